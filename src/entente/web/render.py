"""Pages become HTML: one template, one way to draw each block, a banner at head and foot.

No inline script or style, nothing from another origin. Source: OWASP ASVS 5.0, V3; CSP Level 3.
"""

import hashlib
import secrets
from functools import cache
from importlib.resources import files
from urllib.parse import quote, urlencode, urlsplit

import jinja2
import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from entente.errors import EntenteError
from entente.web import times
from entente.web.door import Door
from entente.web.page import Cell, Content, Field, Said
from entente.web.screen import Screen
from entente.web.signin import Visitor
from entente.web.visit import PAGES, Visit
from entente.web.words import ENGLISH, languages, say

SIGN_IN = "/signin"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


PROOF = Field("password", Said("Your password, once more"), "password", autocomplete="current-password")


def _kind(block: object) -> str:
    return type(block).__name__.lower()


class Frame(msgspec.Struct, frozen=True):
    """What stands around every page: whose door it is, and the screens of its navigation."""

    door: Door
    menu: tuple[Screen, ...]


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("entente.web", "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.globals.update(asset=asset, kind=_kind, local=local, Markup=Markup, password_field=PROOF)
    return made


@cache
def asset(name: str) -> str:
    """The address of a file that ships with the pages; it changes with its bytes."""
    digest = hashlib.sha256((files("entente.web") / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def language(request: Request) -> str:
    """The language that the address or the browser's cookie asks for, if there is such."""
    wanted = request.query_params.get("lang") or ENGLISH
    return wanted if wanted in languages() or wanted == "en-XA" else ENGLISH


def page(
    frame: Frame, request: Request, visit: Visit, screen: Screen, *, fault: EntenteError | None = None
) -> Response:
    """The page as HTML, marked by what it shows."""
    draw = Draw(visit)
    made = screen(visit)
    listing = made.listing
    menu = [one for one in frame.menu if one.permit.allows(visit.visitor)]
    rows = more = None
    if listing is not None:
        query = visit.query
        found = listing.items(query.first, query.size + 1)
        more = len(found) > query.size
        rows = [listing.row(each) for each in found[: query.size]]
    values = {
        "page": made, "screen": screen, "visit": visit, "draw": draw, "say": draw.say, "menu": menu, "rows": rows,
        "more": more, "fault": fault, "field": getattr(fault, "field", ""), "given": visit.given, "sizes": PAGES,
        "once": secrets.token_urlsafe(16), "path": own_path(request), "link": _linker(request),
        "session": visit.visitor.session, "flash": _flash(frame, request, visit), "user": visit.user,
        "palette": [(draw.say(one.title), one.path) for one in menu],
    }  # fmt: skip
    # first the blocks, for the banner is of what they show; what they are drawn by escapes
    body = Markup(_environment().get_template("blocks.html").render(values))  # noqa: S704
    text = (
        _environment()
        .get_template("base.html")
        .render(values, body=body, banner=banner(visit), environment=environment(frame), sample=visit.law.exercise)
    )
    answer = _answer(text, fault.status if fault is not None else 200)
    if frame.door.cookie("said") in request.cookies:
        answer.delete_cookie(frame.door.cookie("said"))
    return answer


def trouble(frame: Frame, request: Request, fault: EntenteError, visitor: Visitor | None) -> Response:
    """The page, or the JSON of a tool, that says what went wrong; nothing of content, and nothing of what there is."""
    headers = {"Retry-After": "5"} if fault.status in (429, 503) else {}
    if fault.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="entente"'
    if str(request.scope["path"]).endswith((".csv", ".json")):
        body = {"code": fault.code, "detail": fault.detail, "remedy": fault.remedy, "title": fault.title}
        made = Response(msgspec.json.encode(body), fault.status, media_type="application/problem+json")
        made.headers.update({**HEADERS, **headers})
        return made
    text = (
        _environment()
        .get_template("trouble.html")
        .render(_bare(frame, request), fault=fault, signed_in=visitor is not None)
    )
    made = _answer(text, fault.status)
    made.headers.update(headers)
    return made


def sign_in(frame: Frame, request: Request, values: dict[str, object], status: int = 200) -> Response:
    """The page where persons sign in."""
    return _answer(_environment().get_template("signin.html").render(_bare(frame, request), **values), status)


def _bare(frame: Frame, request: Request) -> dict[str, object]:
    """What a page without a visitor is drawn with."""
    wanted = language(request)
    return {
        "environment": environment(frame),
        "language": wanted,
        "say": lambda words: say(Said(words) if isinstance(words, str) else words, wanted),
        "site": frame.door,
    }


def to_sign_in(request: Request) -> Response:
    """On to sign-in, and back here after it."""
    query = request.scope.get("query_string", b"").decode("latin-1")
    wanted = own_path(request) + (f"?{query}" if query else "")
    return RedirectResponse(f"{SIGN_IN}?next={quote(wanted, safe='')}", 303, HEADERS)


def own_path(request: Request) -> str:
    """The path that was asked for, as an address has it."""
    return quote(str(request.scope["path"]), safe="/:@!$&'()*+,;=~")


def local(where: str) -> str:
    """The address if it leads to a page of this node; else ""."""
    try:
        parts = urlsplit(where)
    except ValueError:
        return ""
    fine = where.startswith("/") and not where.startswith("//") and not parts.netloc and where.isprintable()
    return where if fine and "\\" not in where else ""


def _answer(text: str, status: int) -> Response:
    made = Response(text, status, media_type="text/html")
    made.headers.update(HEADERS)
    return made


def _flash(frame: Frame, request: Request, visit: Visit) -> Said | None:
    """What the act before this page says; a cookie that this node did not write for this person says nothing."""
    text = request.cookies.get(frame.door.cookie("said"), "")
    data = frame.door.sign_in.sessions.opened(visit.visitor.handle, text)
    return msgspec.json.decode(data, type=Said) if data is not None else None


def _linker(request: Request) -> "object":
    """Makes this page's address with other query values; None leaves one out."""

    def link(path: str = "", **changes: object) -> str:
        values = {**dict(request.query_params.items()), **{name.rstrip("_"): value for name, value in changes.items()}}
        text = urlencode({name: str(value) for name, value in values.items() if value not in (None, "")})
        return (path or own_path(request)) + (f"?{text}" if text else "")

    return link


def environment(frame: Frame) -> Said:
    """Whether what is done here is meant, in words."""
    return Said("EXERCISE") if frame.door.exercise else Said("PRODUCTION")


def banner(visit: Visit) -> str:
    """The highest marking of what is shown, in both parties' words; "" if nothing shown is marked."""
    if visit.shown.rank < 0:
        return ""
    return " // ".join([visit.level_words(visit.shown.rank), *sorted(visit.shown.caveats)])


class Draw:
    """Draws contents for one visit."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit

    def say(self, words: Said | str, **given: str | int) -> str:
        """Words of ours in the visit's language."""
        return say(Said(words, given) if isinstance(words, str) else words, self.visit.language)

    def cell(self, content: Content, kind: str = "text") -> Markup:
        """One datum or some words, with portion mark, link, and the language it is in."""
        if isinstance(content, Said):
            return Markup('<span class="tone-{}">{}</span>').format(content.tone or "plain", self.say(content))
        found = content if isinstance(content, Cell) else Cell(f"{content:,}" if isinstance(content, int) else content)
        shown = found.kind if found.kind != "text" else kind
        return self._linked(found, self._inner(found, shown))

    def _inner(self, found: Cell, kind: str) -> Markup:
        mark = Markup('<b class="portion" translate="no">({})</b> ').format(found.mark) if found.mark else Markup("")
        if isinstance(found.text, Said):
            return mark + self.cell(found.text)
        if kind == "time" and found.text:
            words = times.clock(found.text, self.visit.zones)
            return mark + Markup('<time datetime="{}" translate="no">{}</time>').format(found.text, words)
        if kind == "day" and found.text:
            words = times.day(found.text, self.visit.zones)
            return mark + Markup('<time datetime="{}" translate="no">{}</time>').format(found.text, words)
        lang = Markup(' lang="{}"').format(found.lang) if found.lang else Markup("")
        name = {"digest": "code", "code": "code", "pre": "pre"}.get(kind, "bdi")
        return mark + Markup('<{0}{1} translate="no">{2}</{0}>').format(name, lang, found.text)

    @staticmethod
    def _linked(found: Cell, inner: Markup) -> Markup:
        # an address that data brought leads nowhere: pages lead to pages of this node alone
        where = found.href if found.href.startswith("#") else local(found.href)
        return Markup('<a href="{}">{}</a>').format(where, inner) if where else inner
