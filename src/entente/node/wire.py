"""The partner's served tree over mutual TLS: the same calls as a folder, and nothing the other end sends is trusted.

One connection is kept and used again. Every answer has a size and a time it must keep to; a request that fails is
asked again a few times, since asking changes nothing. Whoever needs this node meanwhile interrupts the reading.
Source: RFC 9110 (GET, Range); RFC 9112.
"""

import http.client
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from entente.errors import FormatError, PartnerError, UsageError, VerificationError
from entente.node.tls import check_peer

CONNECT_S = 10.0
ANSWER_S = 30.0
SLOWEST_BYTES_S = 65_536  # a partner that sends less than this is as good as away
LOOK_UP_S = 0.5  # how often a waiting read looks whether it was interrupted
ATTEMPTS = 3
PAUSE_S = 0.1
MAX_PATIENCE_S = 30.0
_OK, _PART, _MISSING, _GONE, _BUSY = 200, 206, 404, 410, (429, 503)
_NET = (OSError, http.client.HTTPException)


class YieldedError(PartnerError):
    """Reading was interrupted because this node is needed for something else; it goes on where it was."""

    code = "yielded"
    title = "Reading was interrupted"


class _TimedSocket(ssl.SSLSocket):
    """A socket whose whole answer has a deadline, however slowly its bytes drip, and whose waiting can be ended."""

    deadline = float("inf")
    interrupted: Callable[[], bool] = staticmethod(lambda: False)

    def recv_into(self, *args: object, **named: object) -> int:
        """As a socket does it; TimeoutError past the deadline, YieldedError when interrupted."""
        while True:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("too slow")
            self.settimeout(min(left, LOOK_UP_S))
            try:
                return super().recv_into(*args, **named)  # type: ignore[arg-type]
            except TimeoutError:
                if self.interrupted():
                    raise YieldedError("this node is needed for something else") from None


class WireTree:
    """What the partner serves at a URL. Not for several threads at once."""

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext,
        allowed: Callable[[str], bool],
        *,
        interrupted: Callable[[], bool] = lambda: False,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Args: the base URL, our client context, which leaf keys are the partner's, and when to stop reading."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise UsageError("not a partner's URL", place=url[:200], remedy="Write https://HOST:PORT.")
        self.url, self._allowed, self._interrupted, self._pause = url, allowed, interrupted, pause
        self._host, self._port = parts.hostname, parts.port or 443
        self._context = context
        self._context.sslsocket_class = _TimedSocket
        self._connection: http.client.HTTPSConnection | None = None
        self.faults: list[str] = []
        self.received = 0

    def get(self, path: str, limit: int) -> bytes | None:
        """The file's bytes, or None if it is not served; PartnerError if the partner is away, FormatError if more."""
        return self._ask(path, None, limit)

    def range(self, path: str, start: int, length: int) -> bytes | None:
        """Up to `length` bytes of the file from `start`, or None if it is not served."""
        return self._ask(path, start, length)

    def close(self) -> None:
        """The connection is closed; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, path: str, start: int | None, limit: int) -> bytes | None:
        last = ""
        for attempt in range(ATTEMPTS):
            if self._interrupted():
                raise YieldedError("this node is needed for something else")
            if attempt:
                self._pause(PAUSE_S * 2**attempt)
            try:
                status, data, patience = self._once(path, start, limit)
            except YieldedError:
                self.close()
                raise
            except (VerificationError, FormatError):
                self.close()
                raise
            except _NET as fault:
                self.close()
                last = str(fault) or type(fault).__name__
                self.faults.append(f"{path}: {last}")
                continue
            if status not in _BUSY:
                return data
            last = "the partner asks for patience"
            self._pause(min(patience, MAX_PATIENCE_S))
        raise PartnerError(last, place=f"{self.url}/{path}", remedy="Try again later; nothing is lost.")

    def _once(self, path: str, start: int | None, limit: int) -> tuple[int, bytes | None, float]:
        connection = self._connect()
        sock: _TimedSocket = connection.sock  # type: ignore[assignment]
        sock.deadline = time.monotonic() + ANSWER_S + limit / SLOWEST_BYTES_S
        headers = {} if start is None else {"Range": f"bytes={start}-{start + limit - 1}"}
        connection.request("GET", f"/{path}", headers=headers)
        answer = connection.getresponse()
        size = self._size(answer, path)
        wanted = answer.status == (_OK if start is None else _PART)
        if wanted and size > limit:
            raise FormatError(f"more than the {limit} bytes it may have", place=path)
        if size > limit:
            raise http.client.HTTPException(f"status {answer.status} with {size} bytes")
        data = answer.read(size)
        if len(data) != size:
            raise http.client.IncompleteRead(data, size - len(data))
        self.received += size
        if answer.status in (_MISSING, _GONE):
            return answer.status, None, 0.0
        if answer.status in _BUSY:
            return answer.status, None, _patience(answer)
        if not wanted or (start is not None and not _is_part(answer, start, size)):
            raise http.client.HTTPException(f"status {answer.status} where {_OK if start is None else _PART} was due")
        return answer.status, data, 0.0

    @staticmethod
    def _size(answer: http.client.HTTPResponse, path: str) -> int:
        """The length that the answer states; one that states none, or is encoded, is not what we asked for."""
        length = answer.getheader("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or answer.getheader("Content-Encoding"):
            raise http.client.HTTPException(f"an answer without a plain length for {path}")
        return int(length[:18])

    def _connect(self) -> http.client.HTTPSConnection:
        if self._connection is None or self._connection.sock is None:  # the partner may end it with an answer
            made = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_S, context=self._context)
            made.connect()
            self._connection = made
            sock: _TimedSocket = made.sock  # type: ignore[assignment]
            sock.interrupted = self._interrupted
            check_peer(sock.getpeercert(binary_form=True), self._allowed)
        return self._connection


def _patience(answer: http.client.HTTPResponse) -> float:
    text = answer.getheader("Retry-After", "1")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 1.0


def _is_part(answer: http.client.HTTPResponse, start: int, size: int) -> bool:
    return (answer.getheader("Content-Range") or "").startswith(f"bytes {start}-{start + size - 1}/")
