"""One request to a foreign TAXII server: to the one origin that was named, and its answer has a size and a time.

Nothing of what the server says is shown to persons, for it may hold whatever it was sent. Nothing is asked elsewhere: a
redirect to another scheme, host or port is a fault, so that no server can send this node to a file or into a network
of ours. Answers that are encoded are not opened.
Source: TAXII 2.1 (OASIS Standard), 1.6 and 3; RFC 9110.
"""

import asyncio
import base64
import logging
import re
import ssl
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import ClassVar, Literal
from urllib.parse import urljoin, urlsplit

import httpx2
import msgspec

from entente.errors import EntenteError, UsageError

MEDIA = "application/taxii+json;version=2.1"
LARGEST_ANSWER = 64 << 20
CONNECT_S = 10.0
ANSWER_S = 120.0  # for a whole answer, however slowly its bytes drip
ATTEMPTS = 3
PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
MOST_REDIRECTS = 3
_MOVED = (301, 302, 303, 307, 308)
_BUSY = (429, 502, 503, 504)
_DENIED = (401, 403)
_MISSING = (404, 410)
_TOO_MUCH = 413
_UNFIT = (406, 415)
_MEDIA = re.compile(r'application/taxii\+json(?:\s*;\s*version="?(?P<version>[^";\s]*)"?)?(?:\s*;.*)?\Z', re.IGNORECASE)
_PORTS = {"https": 443, "http": 80}
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*").fullmatch

for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # below that they log headers, which may hold what we sent

Fault = Literal["away", "denied", "missing", "refused", "unreadable", "unfit", "too large"]


class TaxiiError(EntenteError):
    """A foreign server could not be asked, refused, or did not answer as TAXII 2.1 says; nothing of it was taken in.

    `fault` says which; `headers` are those of the answer, as far as one came.
    """

    code: ClassVar[str] = "taxii"
    status: ClassVar[int] = 502
    exit_code: ClassVar[int] = 4
    title: ClassVar[str] = "The TAXII server"

    def __init__(
        self, detail: str, fault: Fault, *, place: str = "", remedy: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail, place=place, remedy=remedy)
        self.fault = fault
        self.headers = headers or {}


class Answer(msgspec.Struct, frozen=True):
    """What came with a status of success: names of headers in lower case, and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Credentials:
    """Who asks: a name and password, or a bearer token. Neither shows itself."""

    def __init__(self, auth: str, user: str, secret: bytes) -> None:
        """Args: `auth`: basic, bearer or empty.

        Raises: UsageError for a token that no header can hold, or a name with a colon.
        """
        self._header = ""
        if auth == "bearer":
            token = secret.decode("ascii", "replace")
            if not _TOKEN(token):
                raise UsageError("this is no bearer token", remedy="One line of letters, digits and -._~+/ (RFC 6750).")
            self._header = f"Bearer {token}"
        elif auth == "basic":
            if ":" in user or not user.isprintable():
                raise UsageError("a user's name has no colon and no control character")
            self._header = "Basic " + base64.b64encode(user.encode() + b":" + secret).decode()

        self._shown = tuple(filter(None, (self._header[6:].strip(), secret.decode("utf-8", "replace"))))

    def __repr__(self) -> str:
        return "Credentials(…)"

    def conceal(self, text: str) -> str:
        """The text without the secret, should the server have sent it back."""
        for secret in self._shown:
            text = text.replace(secret, "…")
        return text

    def headers(self) -> dict[str, str]:
        """What a request bears of them."""
        return {"Authorization": self._header} if self._header else {}


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL that may be asked; UsageError if it is not one.

    Without TLS only this machine is asked.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
        plain = host and port and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        raise UsageError("this is no URL", remedy="Write https://HOST/PATH/.") from None
    if parts.username is not None or parts.password is not None:
        raise UsageError("a URL with a name or password in it", remedy="Give --user and --password-file.")
    if not plain or parts.scheme not in _PORTS or parts.fragment:
        raise UsageError("this is no URL of a TAXII server", remedy="Write https://HOST/PATH/.")
    if parts.scheme == "http" and not _is_here(host):
        raise UsageError("without TLS whoever is on the way reads the password", remedy="Use https://.")
    return parts.scheme, host, port


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Wire:
    """Requests to the origin of one URL, as one who may. Not for several threads at once."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        ca: str = "",
        answer_s: float = ANSWER_S,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Args: `ca`: PEM of what must have signed the server's certificate; empty: what the system trusts."""
        self.origin, self.pause, self._answer_s = origin_of(url), pause, answer_s
        self.conceal = credentials.conceal
        try:
            context = ssl.create_default_context(cadata=ca or None) if ca or self.origin[0] == "https" else False
        except (ssl.SSLError, ValueError):
            raise UsageError("this is no certificate", remedy="Give the server's CA as PEM.") from None
        self._http = httpx2.AsyncClient(
            headers={"Accept": MEDIA, "Accept-Encoding": "identity", **credentials.headers()},
            timeout=httpx2.Timeout(answer_s, connect=CONNECT_S),
            trust_env=False,  # no proxy and no .netrc that a person's shell happens to name
            verify=context,
        )
        del self._http.headers["user-agent"]
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """Nothing is open any more."""
        self._runner.run(self._http.aclose())
        self._runner.close()

    def url(self, relative: str, *, base: str) -> str:
        """What a document of the server's names, seen from `base`; TaxiiError if that is at another origin."""
        try:
            found = urljoin(base, relative)
            if origin_of(found) == self.origin:
                return found
        except (UsageError, ValueError):
            pass
        raise TaxiiError("it points to another server, which is not asked", "unfit", place=base)

    def get(self, url: str) -> Answer:
        """The answer to a question that changes nothing; asked again a few times where that may help."""
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._ask("GET", url, None)
            if answer.status not in _MOVED:
                return answer
            url = self.url(answer.headers.get("location", "file:"), base=url)
        raise TaxiiError(f"more than {MOST_REDIRECTS} redirects", "unfit", place=url)

    def post(self, url: str, body: bytes) -> Answer:
        """The answer to an envelope; the same one twice is one, so that it too may be asked again."""
        answer = self._ask("POST", url, body)
        if answer.status in _MOVED:
            raise TaxiiError("it redirects what is sent to it", "unfit", place=url, remedy="Give its own URL.")
        return answer

    def _ask(self, method: str, url: str, body: bytes | None) -> Answer:
        self.url(url, base=url)
        shown, last, pause_s = url.partition("?")[0], "", 0.0
        for attempt in range(ATTEMPTS):
            if pause_s:
                self.pause(pause_s)
            pause_s = PAUSE_S * 2**attempt
            try:
                answer = self._runner.run(self._once(method, url, body, shown))
            except TimeoutError:
                last = f"no whole answer within {self._answer_s:g} seconds"
                break
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as fault:
                last = _words(fault)
                continue
            finally:
                self._http.cookies.clear()
            if answer.status not in _BUSY:
                return answer
            last = f"status {answer.status}, it asks for patience"
            pause_s = max(pause_s, _patience(answer.headers))
        raise TaxiiError(last, "away", place=shown, remedy="Try again later; nothing is lost.")

    async def _once(self, method: str, url: str, body: bytes | None, shown: str) -> Answer:
        sent = {} if body is None else {"Content-Type": MEDIA}
        async with (
            asyncio.timeout(self._answer_s),
            self._http.stream(method, url, content=body, headers=sent) as answer,
        ):
            headers = {name.lower(): value for name, value in answer.headers.items()}
            if answer.status_code in _BUSY or answer.status_code in _MOVED:
                return Answer(answer.status_code, headers, b"")
            _check(answer.status_code, headers, shown)
            parts, size = [], 0
            async for piece in answer.aiter_raw():
                size += len(piece)
                parts.append(piece)
                if size > LARGEST_ANSWER:
                    raise TaxiiError(_TOO_LARGE, "too large", place=shown, headers=headers)
            return Answer(answer.status_code, headers, b"".join(parts))


_TOO_LARGE = f"an answer of more than {LARGEST_ANSWER >> 20} MiB"


def _check(status: int, headers: Mapping[str, str], shown: str) -> None:
    """Raise TaxiiError unless the body of this answer should be read."""

    def fault(words: str, kind: Fault, remedy: str = "") -> TaxiiError:
        return TaxiiError(words, kind, place=shown, remedy=remedy, headers=headers)

    if status in _DENIED:
        raise fault(f"status {status}: it does not let us", "denied", "Check the name and the secret of this feed.")
    if status in _MISSING:
        raise fault(f"status {status}: there is nothing", "missing", "Check the URL.")
    if status == _TOO_MUCH:
        raise fault(f"status {status}: it does not take so much at once", "too large")
    if status in _UNFIT:
        raise fault(f"status {status}: it does not take what was sent", "unfit", "Does it speak TAXII 2.1?")
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        broken = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        raise fault(f"status {status}", "unreadable" if broken else "refused")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise fault("an encoded answer, which was not asked for and is not opened", "unfit")
    found = _MEDIA.match(headers.get("content-type", ""))
    if found is None or found["version"] not in (None, "2.1"):
        raise fault(f"its answer is not {MEDIA}", "unfit", "Is this the URL of a TAXII 2.1 server?")
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > LARGEST_ANSWER:
        raise fault(_TOO_LARGE, "too large")


def _words(fault: Exception) -> str:
    """What to say of a fault without a word of the server's."""
    inner: BaseException | None = fault
    while inner is not None:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {inner.verify_message}"
        inner = inner.__cause__ or inner.__context__
    return f"it cannot be reached ({type(fault).__name__})"


def _patience(headers: Mapping[str, str]) -> float:
    text = headers.get("retry-after", "")
    return min(float(text), LONGEST_PAUSE_S) if text.isascii() and text.isdecimal() and len(text) < 6 else 0.0
