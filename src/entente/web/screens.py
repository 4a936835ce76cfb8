"""The screens of one door, served: who may come in, what a page answers, forms carried out once, lists as files.

Reading goes through `Door.reading`, acting through `Door.using`; nothing is decided here but who may come in.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from entente.errors import EntenteError, RefusedError, StateError, UsageError
from entente.node.node import Node
from entente.strict import time_text
from entente.web import diary, export, render
from entente.web.door import Door
from entente.web.page import Done, Said
from entente.web.passkeys import SignInError
from entente.web.permits import Endpoint, path_of, permits, route
from entente.web.screen import Act, Download, FieldError, Given, Screen
from entente.web.sessions import Session
from entente.web.signin import Visitor
from entente.web.visit import Visit, parse_query
from entente.web.words import say

ACTING = 4  # threads that wait for the node, or have it; they take none from those who read
MOST_BYTES = 64 << 20
REMEMBERED = timedelta(days=2)
MOST_FIELDS = 2000
LONGEST_NAME = 200


class Screens:
    """The screens of one door, and their routes."""

    def __init__(self, door: Door, screens: Sequence[Screen | Download]) -> None:
        self.door = door
        self.screens = tuple(one for one in screens if isinstance(one, Screen))
        self.downloads = tuple(one for one in screens if isinstance(one, Download))
        self._acting = CapacityLimiter(ACTING)
        self._running: set[bytes] = set()  # forms that this process carries out now
        self.frame = render.Frame(door, tuple(one for one in self.screens if one.menu))

    def routes(self) -> list[Route]:
        """A page and its acts at each path; a list also as .csv and .json."""
        made = [self._route(one, one.path, self._sends(one), "GET") for one in self.downloads]
        for screen in self.screens:
            base = screen.path.rstrip("/") or "/index"
            kinds = (".csv", ".json") if screen.lists else ()
            # before the page itself: `/draft/{rid}` would take `.csv` for the end of an id
            made += [self._route(screen, base + kind, self._exports(screen, kind), "GET") for kind in kinds]
            made += [self._route(one, one.path, self._sends(one), "GET") for one in screen.files]
            made.append(self._route(screen, screen.path, self._shows(screen), "GET"))
            if screen.acts:
                made.append(self._route(screen, screen.path, self._acts(screen), "POST"))
                made[-1].acts = tuple(screen.acts)  # type: ignore[attr-defined]  # read by `openapi` alone
        return made

    def _route(self, screen: Screen | Download, path: str, endpoint: Endpoint, method: str) -> Route:
        marked = permits(screen.permit.area, roles=screen.permit.roles)(endpoint)
        made = route(path, marked, method, sign_in=self.door.sign_in, desk=self._trouble, note=self.door.turned_away)
        made.name = say(screen.title)
        made.file = isinstance(screen, Download)  # type: ignore[attr-defined]  # read by `openapi` alone
        return made

    def _sends(self, one: Download) -> Endpoint:
        async def send(request: Request, visitor: Visitor) -> Response:
            def begin() -> Response:
                with self.door.reading() as node:
                    visit = self.visit(request, visitor, node)
                    file = one(visit)
                self._note(visit, request, diary.EXPORT)
                data = file.data if isinstance(file.data, bytes) else file.data()
                made = Response(data, media_type=file.media, headers=render.HEADERS)
                made.headers["Content-Disposition"] = f'attachment; filename="{_header_name(file.name)}"'
                return made

            return await run_sync(begin)

        return send

    # What goes wrong

    async def _trouble(self, request: Request, fault: EntenteError, visitor: Visitor | None) -> Response:
        """The page that says what went wrong; whoever is not signed in is led to where they can be."""
        if isinstance(fault, SignInError) and "authorization" not in request.headers and _wants_page(request):
            return render.to_sign_in(request)
        return render.trouble(self.frame, request, fault, visitor)

    # Showing

    def _shows(self, screen: Screen) -> Endpoint:
        async def show(request: Request, visitor: Visitor) -> Response:
            return await run_sync(self._shown, screen, request, visitor)

        return show

    def _shown(
        self, screen: Screen, request: Request, visitor: Visitor, fault: EntenteError | None = None,
        given: Given | None = None,
    ) -> Response:  # fmt: skip
        with self.door.reading() as node:
            visit = self.visit(request, visitor, node, given)
            text = render.page(self.frame, request, visit, screen, fault=fault)
        self._note(visit, request, diary.READ)
        return text

    def visit(self, request: Request, visitor: Visitor, node: Node, given: Given | None = None) -> Visit:
        """Who asks for what, on this node."""
        return Visit(
            self.door, node, visitor, parse_query(request.query_params.multi_items()), dict(request.path_params),
            language=render.language(request), words=given.fields if given is not None else None,
            site=self.door.site(request.headers.get("host", "")),
        )  # fmt: skip

    def _note(self, visit: Visit, request: Request, kind: str, **more: int) -> None:
        rank, levels = visit.shown.rank, visit.law.party[visit.node.party].levels
        if rank > 0 or kind == diary.EXPORT:
            level = levels[max(0, min(rank, len(levels) - 1))]
            self.door.diary.note(kind, visit.visitor.handle, path_of(request), level=level, **more)

    def _exports(self, screen: Screen, kind: str) -> Endpoint:
        async def send(request: Request, visitor: Visitor) -> Response:
            def begin() -> Response:
                with self.door.reading() as node:
                    visit = self.visit(request, visitor, node)
                    listing = screen(visit).listing
                    if listing is None:
                        raise visit.missing()
                    made = export.Export(self.door, visit, listing, str(screen.path.strip("/") or "list"))
                    made.measure()
                self._note(visit, request, diary.EXPORT, rows=made.count)
                return made.response(kind)

            return await run_sync(begin)

        return send

    # Acting

    def _acts(self, screen: Screen) -> Endpoint:
        async def act(request: Request, visitor: Visitor) -> Response:
            check_origin(request)
            given = await read_form(request)
            if visitor.session is not None:
                check_session(request, given, visitor.session)
            found = screen.acts.get(given.get("act"))
            if found is None:
                raise UsageError("this page has no such act", place=path_of(request))
            return await run_sync(self._acted, screen, found, request, visitor, given, limiter=self._acting)

        return act

    def _acted(self, screen: Screen, act: Act, request: Request, visitor: Visitor, given: Given) -> Response:
        deed = _deed(request, visitor, given)
        before = self._begin(deed, visitor)
        if before is not None:
            return self._gone_on(before, visitor)
        try:
            return self._carried_out(screen, act, request, visitor, given, deed=deed)
        finally:
            self._running.discard(deed)

    def _carried_out(
        self, screen: Screen, act: Act, request: Request, visitor: Visitor, given: Given, *, deed: bytes
    ) -> Response:  # fmt: skip
        try:
            with self.door.apart() if act.apart else self.door.using(news=act.news) as node:
                done = act.do(self.visit(request, visitor, node, given), given)
        except EntenteError as fault:
            self._undo(deed)
            if fault.status in (403, 404) or getattr(fault, "field", "") == "password":
                self.door.diary.note(diary.TURNED_AWAY, visitor.handle, path_of(request), act=act.name)
            return self._shown(screen, request, visitor, fault, given)
        except BaseException:
            self._undo(deed)
            raise
        if deed:
            with self.door.sign_in.one:
                kept = Said("That was done already.") if done.secret else done.words
                self.door.sign_in.access.close_deed(deed, done.href, msgspec.json.encode(kept))
        return self._gone_on(done, visitor)

    def _begin(self, deed: bytes, visitor: Visitor) -> Done | None:
        """None if this form was not handed in before; else where it led."""
        if not deed:
            return None
        access, now = self.door.sign_in.access, datetime.now(UTC)
        with self.door.sign_in.one:
            running, old = deed in self._running, time_text(now - REMEMBERED)
            if not running and access.begin_deed(deed, visitor.handle, time_text(now), forget_before=old):
                self._running.add(deed)
                return None
            found = access.deed(deed)
        if running:
            raise StateError("this form is being carried out", remedy="Look in a moment.")
        if found is None or not found[1]:
            raise StateError(
                "the node stopped while it carried this form out", remedy="See whether it was done; else open it anew."
            )
        return Done(found[1], msgspec.json.decode(found[2], type=Said))

    def _gone_on(self, done: Done, visitor: Visitor) -> Response:
        """On to where the act led, with what it says there."""
        made = RedirectResponse(render.local(done.href) or "/", 303, render.HEADERS)
        text = self.door.sign_in.sessions.sealed(visitor.handle, msgspec.json.encode(done.words))
        name, secure = self.door.cookie("said"), self.door.origin.startswith("https:")
        made.set_cookie(name, text, max_age=60, httponly=True, samesite="strict", secure=secure)
        return made

    def _undo(self, deed: bytes) -> None:
        if deed:
            with self.door.sign_in.one:
                self.door.sign_in.access.drop_deed(deed)


def _wants_page(request: Request) -> bool:
    return request.method in ("GET", "HEAD") and not path_of(request).endswith((".csv", ".json"))


def check_origin(request: Request) -> None:
    """Raise RefusedError for a form that another site's page handed in. Source: OWASP ASVS 5.0, 3.5."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    own = {f"{request.scope['scheme']}://{request.headers.get('host', '')}"}
    if request.app.state.origin:
        own.add(request.app.state.origin)
    if site not in ("same-origin", "none") or (origin is not None and origin not in own):
        raise RefusedError("this form came from another site", place=path_of(request))


def check_session(request: Request, given: Given, session: Session) -> None:
    """Raise RefusedError for a form that was not shown in this session."""
    if not secrets.compare_digest(given.get("csrf").encode(), session.csrf.encode()):
        raise RefusedError("this form is not of your session", place=path_of(request), remedy="Open it again.")


async def read_form(request: Request, most: int = MOST_BYTES) -> Given:
    """What the form brought.

    Raises: UsageError if it is too large, does not say how large, or holds what is no text in UTF-8.
    """
    said = request.headers.get("content-length", "")
    if not said.isdecimal() or len(said) > 12 or int(said) > most:
        raise UsageError(f"more than {max(most >> 20, 1)} MiB", place="form", remedy="Use the command line for it.")
    _, options = parse_options_header(request.headers.get("content-type", ""))
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise UsageError("forms are written in UTF-8", place="form")
    fields: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    files: dict[str, tuple[str, bytes]] = {}
    async with request.form(max_files=4, max_fields=MOST_FIELDS, max_part_size=1 << 20) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                data = await value.read(most + 1)
                if value.filename:
                    files[name] = (_file_name(value.filename), data)
            else:
                fields[name] = _text(value, name)
                several.setdefault(name, []).append(value)
    kept = {name: tuple(values) for name, values in several.items()}
    return Given(fields, kept.get("row", ()), files, kept)


def _text(value: str, name: str) -> str:
    """The value; FieldError if it holds characters that no text has, such as NUL."""
    if any(char < " " and char not in "\t\n\r" for char in value):
        raise FieldError(name, "this holds characters that no text has")
    return value


def _header_name(given: str) -> str:
    """A name that a header can bear, whatever it was made of."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "-" for char in given)


def _file_name(given: str) -> str:
    """What a file is called, without where it was, as one short line."""
    last = given.replace("\\", "/").rpartition("/")[2]
    return "".join(char if char.isprintable() else "?" for char in last)[:LONGEST_NAME]


def _deed(request: Request, visitor: Visitor, given: Given) -> bytes:
    """A digest of who hands in which form with what in it, so that a form changed after it was carried out is another.

    b"" for a form without a number of its own, as tools send it.
    """
    if not given.get("once"):
        return b""
    fields = sorted(item for item in given.several.items() if item[0] not in ("csrf", "password"))
    files = sorted((field, name, hashlib.sha256(data).hexdigest()) for field, (name, data) in given.files.items())
    return hashlib.sha256(msgspec.json.encode([visitor.handle, path_of(request), fields, files])).digest()
