"""The partner's served tree over mutual TLS: the same calls as a folder, and nothing the other end sends is trusted.

One connection is kept and used again. Every answer has a size and a time it must keep to; a request that fails is
asked again a few times, since asking changes nothing. Whoever needs this node meanwhile interrupts the reading.
Source: RFC 9110 (GET, Range); RFC 9112.
"""

import http.client
import os
import re
import select
import socket
import ssl
import time
from collections.abc import Callable
from errno import EINPROGRESS
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from entente.errors import FormatError, PartnerError, UsageError, VerificationError
from entente.node.tls import check_peer

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CONNECT_S = 10.0
ANSWER_S = 30.0
SLOWEST_BYTES_S = 65_536  # a partner that sends less than this is as good as away
LOOK_UP_S = 0.5  # how often whoever waits looks whether it was interrupted
ATTEMPTS = 3
PAUSE_S = 0.1
MAX_PATIENCE_S = 30.0
_OK, _PART, _MISSING, _GONE, _BEYOND, _BUSY = 200, 206, 404, 410, 416, (429, 503)
_LENGTH = re.compile("[0-9]{1,18}").fullmatch


class StrangerError(VerificationError, PartnerError):
    """Whoever answers at the partner's address does not hold the partner's key. Nothing it says is read."""

    code = "stranger"
    status = 502
    exit_code = 4
    title = "Somebody else answers"


class YieldedError(PartnerError):
    """Reading was interrupted because this node is needed for something else; it goes on where it was."""

    code = "yielded"
    title = "Reading was interrupted"


class _UnfitError(http.client.HTTPException):
    """An answer that is not what was asked for. Its text is ours: what a partner says is not repeated to persons."""


_NET = (OSError, http.client.HTTPException)


class _Patience:
    """Until when an answer is waited for, and whether the waiting was interrupted."""

    def __init__(self, interrupted: Callable[[], bool]) -> None:
        self.deadline = float("inf")
        self._interrupted = interrupted
        self._looked = float("-inf")

    def start(self, seconds: float) -> None:
        """There is so much time from now on."""
        self.deadline = time.monotonic() + seconds

    def check(self) -> None:
        """YieldedError if the waiting was interrupted."""
        self._looked = time.monotonic()
        if self._interrupted():
            raise YieldedError("this node is needed for something else")

    def left(self) -> float:
        """How long to wait until asking again; TimeoutError past the deadline, YieldedError when interrupted.

        It looks by the clock and not only when nothing comes: bytes that drip must not keep it from looking.
        """
        now = time.monotonic()
        if now - self._looked >= LOOK_UP_S:
            self.check()
        if now >= self.deadline:
            raise TimeoutError("too slow")
        return min(self.deadline - now, LOOK_UP_S)


class _TimedSocket(ssl.SSLSocket):
    """A socket whose whole answer has a deadline, however slowly its bytes drip, and whose waiting can be ended.

    What it waits for it asks again twice a second; TimeoutError past the deadline, YieldedError when interrupted.
    """

    patience: _Patience

    def reach(self, address: tuple[Any, ...]) -> None:
        """TCP and TLS stand."""
        self.settimeout(0)
        code, waiting = self.connect_ex(address), select.poll()
        waiting.register(self, select.POLLOUT)
        while code == EINPROGRESS:
            if waiting.poll(1000 * self.patience.left()):
                code = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.do_handshake()

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0) -> int:
        """As a socket does it."""
        while True:
            self.settimeout(self.patience.left())
            try:
                return super().recv_into(buffer, nbytes, flags)
            except TimeoutError:
                continue

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as the class above has it
        """As a socket does it."""
        while True:
            self.settimeout(self.patience.left())
            try:
                return super().do_handshake(block)
            except TimeoutError:
                continue


class _Connection(http.client.HTTPSConnection):
    """A connection that is made in its time, or until it is interrupted."""

    sock: _TimedSocket

    def __init__(self, host: str, port: int, context: ssl.SSLContext, patience: _Patience) -> None:
        super().__init__(host, port, context=context)
        self._tls, self._patience = context, patience

    def connect(self) -> None:
        """TCP and TLS stand, to the first of the host's addresses that answers; the last one's fault if none does."""
        fault = OSError("no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            plain = socket.socket(family, kind, protocol)
            made = self._tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = made  # type: ignore[assignment]  # of the class that the context was given
            self.sock.patience = self._patience
            self._patience.start(CONNECT_S)
            try:
                return self.sock.reach(address)
            except OSError as found:
                self.sock.close()
                fault = found
        raise fault


def endpoint(url: str) -> tuple[str, int]:
    """Host and port of a partner's URL; UsageError if it is not one."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port or 443
        if not host or "@" in url or url.removesuffix("/") != f"https://{parts.netloc}":
            raise ValueError(url)
    except ValueError:
        raise UsageError("not a partner's URL", place=repr(url[:200]), remedy="Write https://HOST:PORT.") from None
    return host, port


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
        self.url, self._allowed, self._pause = url, allowed, pause
        self._host, self._port = endpoint(url)
        self._patience = _Patience(interrupted)
        self._context = context
        self._context.sslsocket_class = _TimedSocket
        self._connection: _Connection | None = None
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
        last, pause_s = "", 0.0
        for attempt in range(1, ATTEMPTS + 1):
            self._wait(pause_s)
            pause_s = PAUSE_S * 2**attempt
            try:
                status, data, patience_s = self._once(path, start, limit)
            except VerificationError as fault:
                self.close()
                raise StrangerError(fault.detail, place=self.url, remedy=fault.remedy) from None
            except (YieldedError, FormatError):
                self.close()
                raise
            except _NET as fault:
                self.close()
                last = _words(fault)
                self.faults.append(f"{path}: {last}")
                continue
            if status not in _BUSY:
                return data
            last = "the partner asks for patience"
            pause_s += min(patience_s, MAX_PATIENCE_S)
        raise PartnerError(last, place=f"{self.url}/{path}", remedy="Try again later; nothing is lost.")

    def _wait(self, seconds: float) -> None:
        """So much time has passed; YieldedError if it was interrupted."""
        self._patience.check()
        while seconds > 0:
            self._pause(min(seconds, LOOK_UP_S))
            seconds -= LOOK_UP_S
            self._patience.check()

    def _once(self, path: str, start: int | None, limit: int) -> tuple[int, bytes | None, float]:
        connection = self._connect()
        self._patience.start(ANSWER_S + limit / SLOWEST_BYTES_S)
        headers = {} if start is None else {"Range": f"bytes={start}-{start + limit - 1}"}
        connection.request("GET", f"/{path}", headers=headers)
        answer = connection.getresponse()
        size = _size(answer)
        wanted = answer.status == (_OK if start is None else _PART)
        if wanted and size > limit:
            raise FormatError(f"more than the {limit} bytes it may have", place=path)
        if size > limit:
            raise _UnfitError(f"status {answer.status} with {size} bytes")
        data = answer.read(size)
        if len(data) != size:
            raise _UnfitError(f"{len(data)} of {size} bytes")
        self.received += size
        if answer.status in (_MISSING, _GONE):
            return answer.status, None, 0.0
        if answer.status in _BUSY:
            return answer.status, None, _patience(answer)
        if answer.status == _BEYOND and start is not None:
            return answer.status, b"", 0.0
        if not wanted or (start is not None and not _is_part(answer, start, size)):
            raise _UnfitError(f"status {answer.status} where {_OK if start is None else _PART} was due")
        return answer.status, data, 0.0

    def _connect(self) -> _Connection:
        """A connection whose other end is the partner, by a key that is the partner's now."""
        if self._connection is None or self._connection.sock is None:  # the other end may have said that it closes
            self._connection = _Connection(self._host, self._port, self._context, self._patience)
            self._connection.connect()
        check_peer(self._connection.sock.getpeercert(binary_form=True), self._allowed)
        return self._connection


def _size(answer: http.client.HTTPResponse) -> int:
    """The length that the answer states; one that states none, or is encoded, is not what we asked for."""
    length = answer.getheader("Content-Length", "")
    if not _LENGTH(length) or answer.getheader("Content-Encoding") or answer.getheader("Transfer-Encoding"):
        raise _UnfitError("an answer without a plain length")
    return int(length)


def _words(fault: Exception) -> str:
    """What to say of a fault; of one that cites the partner, its name."""
    cites = isinstance(fault, http.client.HTTPException) and not isinstance(fault, OSError | _UnfitError)
    return type(fault).__name__ if cites else str(fault) or type(fault).__name__


def _patience(answer: http.client.HTTPResponse) -> float:
    text = answer.getheader("Retry-After", "1")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 1.0


def _is_part(answer: http.client.HTTPResponse, start: int, size: int) -> bool:
    return (answer.getheader("Content-Range") or "").startswith(f"bytes {start}-{start + size - 1}/")
