"""Serve the partner: the served tree, read-only, over mutual TLS, on a listener of its own.

Only the partner's CA is trusted, the leaf's key is compared before a byte of a request is read, and only the paths of a
served tree exist. Nothing here opens a database or holds the key of a record: what is not in the tree cannot be had.
Before it is said to serve, it has shown that a connection without a certificate gets nothing.
Source: design core-spec, Served tree; RFC 9110 (Range).
"""

import asyncio
import contextlib
import os
import re
import socket
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entente.errors import FormatError, StateError, VerificationError
from entente.node.listening import START_S, STOP_S, Listening, bound, url_of
from entente.node.served import FolderTree
from entente.node.tls import check_peer
from entente.register.tiles import parse_path

MAX_CONNECTIONS = 16
MAX_STRANGERS = 64  # connections that have not shown yet whose they are; each takes a quarter of a megabyte
MAX_REQUEST_BYTES = 8192
IDLE_S = 60.0
REQUESTS_PER_S = 5000
BURST = 20_000
PIECE = 1 << 20
_OBJECT = re.compile(r"(agreement|key|blob|leaves)/[0-9a-f]{64}")
_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{1,15})")
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Bucket:
    """So many requests a second, and so many at once: more are asked to wait."""

    def __init__(self, per_second: float = REQUESTS_PER_S, burst: float = BURST) -> None:
        self.per_second, self.burst = per_second, burst
        self._left, self._at = burst, time.monotonic()

    def take(self) -> bool:
        """Whether one more request may be answered now."""
        now = time.monotonic()
        self._left = min(self.burst, self._left + (now - self._at) * self.per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Application:
    """The served tree as an ASGI application: GET and HEAD of its files, whole or one range, and nothing else."""

    def __init__(self, folder: Path, bucket: Bucket | None = None) -> None:
        self.tree = FolderTree(folder)
        self.bucket = bucket or Bucket()

    async def __call__(self, scope: MutableMapping[str, Any], receive: object, send: Send) -> None:
        """Answer one request. What is not served, not allowed and not known looks the same: 404, no body."""
        del receive
        method, path = scope["method"], scope["path"]
        plain = scope["raw_path"] == path.encode() and not scope["query_string"]
        if not self.bucket.take():
            await _say(send, 429, {"retry-after": "1"})
        elif method not in ("GET", "HEAD"):
            await _say(send, 405, {"allow": "GET, HEAD"})
        elif not plain or not is_served(path[1:]):
            await _say(send, 404)
        else:
            wanted = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"range"), "")
            await self._file(path[1:], wanted, send, body=method == "GET")

    async def _file(self, path: str, wanted: str, send: Send, *, body: bool) -> None:
        try:
            file = self.tree.open(path)
        except OSError:  # the disk, or too many open files: not for ever
            await _say(send, 503, {"retry-after": "1"})
            return
        if file is None:
            await _say(send, 404)
            return
        with file:  # one file from here on, whatever takes its place meanwhile
            size = os.fstat(file.fileno()).st_size
            first, end, headers, status = 0, size, {"accept-ranges": "bytes"}, 200
            match = _RANGE.fullmatch(wanted)
            if match is not None:
                first, end = int(match[1]), min(int(match[2]) + 1, size)
                if first >= end:
                    await _say(send, 416, {"content-range": f"bytes */{size}"})
                    return
                headers["content-range"] = f"bytes {first}-{end - 1}/{size}"
                status = 206
            await _start(send, status, {**headers, "content-length": str(end - first)})
            file.seek(first)
            for start in range(first, end if body else first, PIECE):
                data = file.read(min(PIECE, end - start))
                await send({"type": "http.response.body", "body": data, "more_body": start + PIECE < end})
            if not body or first == end:
                await send({"type": "http.response.body", "body": b""})


def is_served(path: str) -> bool:
    """Whether a path is one that a served tree can have."""
    prefix, _, rest = path.partition("/")
    if prefix not in ("own", "mirror"):
        return bool(_OBJECT.fullmatch(path))
    try:
        return rest == "checkpoint" or parse_path(rest).path == rest
    except FormatError:
        return False


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _say(send: Send, status: int, headers: dict[str, str] | None = None) -> None:
    await _start(send, status, {**(headers or {}), "content-length": "0"})
    await send({"type": "http.response.body", "body": b""})


class _Conversation(HttpToolsProtocol):
    """One connection of the partner: its leaf is checked first, and it may neither flood nor idle."""

    def __init__(self, listener: "Listener", **named: Any) -> None:  # noqa: ANN401 - as the server calls it
        super().__init__(**named)
        self._listener = listener
        self._asked, self._leaf = 0, ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Go on only with a pinned leaf."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn takes Transport, asyncio says more
        self._alarm = self.loop.call_later(IDLE_S, self.transport.abort)
        shown = transport.get_extra_info("ssl_object")
        with contextlib.suppress(VerificationError):
            self._leaf = check_peer(shown.getpeercert(binary_form=True), self._listener.allowed)
        if not self._leaf or len(self.connections) > MAX_CONNECTIONS:
            self._turn_away()
        else:
            self._listener.door.admit(transport.get_extra_info("socket").fileno())

    def data_received(self, data: bytes) -> None:
        """Take in no more than a request may have, and only while the leaf is a pinned one."""
        self._asked += len(data)
        if self._asked > MAX_REQUEST_BYTES:
            self.transport.abort()
        elif not self.transport.is_closing() and not self._listener.allowed(self._leaf):
            self._turn_away()
        elif not self.transport.is_closing():
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP is answered without a word of what reads it."""
        del msg
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def on_response_complete(self) -> None:
        """The next request may begin."""
        self._asked = 0
        self._wind()
        super().on_response_complete()

    def shutdown(self) -> None:
        """An idle connection ends at once: the partner need not be waited for, it asks again."""
        cycle: object = self.cycle  # None until the first request, whatever uvicorn's annotation says
        if getattr(cycle, "response_complete", True) and not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().shutdown()

    def resume_writing(self) -> None:
        """The other end takes what is sent, so a long answer may take long."""
        self._wind()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing of the connection is left."""
        self._alarm.cancel()
        super().connection_lost(exc)

    def _wind(self) -> None:
        self._alarm.cancel()
        self._alarm = self.loop.call_later(IDLE_S, self.transport.abort)

    def _turn_away(self) -> None:
        self._listener.turned_away += 1
        self.transport.abort()


class Listener(Listening):
    """A running listener in a thread of its own. `start` returns once it serves and has shown that it refuses."""

    def __init__(
        self,
        folder: Path,
        context: ssl.SSLContext,
        allowed: Callable[[str], bool],
        *,
        host: str,
        port: int,
        bucket: Bucket | None = None,
    ) -> None:
        self.turned_away = 0
        self.allowed = allowed
        self.door = bound(host, port, _Door)
        self.host, self.port = host, int(self.door.getsockname()[1])
        config = uvicorn.Config(
            Application(folder, bucket),
            http=partial(_Conversation, self),  # type: ignore[arg-type]  # a class, or what makes one
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # a partner that sends nonsense fills no log
            access_log=False,
            backlog=2 * MAX_STRANGERS,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=int(IDLE_S),
            timeout_graceful_shutdown=STOP_S,
            ssl_context_factory=lambda *_: context,
        )
        super().__init__(config, self.door, url_of("https", host, self.door), "partner")

    def start(self) -> None:
        """It serves. StateError if it does not come up, or if a connection without a certificate is answered."""
        super().start()
        try:
            answered = answers_strangers(self.host, self.port)
        except OSError as fault:
            self.stop()
            raise StateError(f"nobody could try whether it refuses strangers: {fault}", place=self.url) from None
        if answered:
            self.stop()
            raise StateError("it answered a connection without a certificate", place=self.url, remedy="Serve nothing.")


class _Door(socket.socket):
    """A listening socket with so many places for those who have not shown yet whose they are.

    Where all are taken, whoever comes next gets the place of the oldest from the address that has taken the most: who
    opens connections by the hundred and says nothing takes neither memory nor the partner's place.
    """

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, kind, protocol)
        self._strangers: dict[int, tuple[socket.socket, str]] = {}

    def accept(self) -> tuple[socket.socket, Any]:
        """As a socket does it."""
        made, address = super().accept()
        self._strangers = {number: held for number, held in self._strangers.items() if held[0].fileno() == number}
        if len(self._strangers) >= MAX_STRANGERS:
            crowd = Counter(place for _, place in self._strangers.values()).most_common(1)[0][0]
            number = next(number for number, (_, place) in self._strangers.items() if place == crowd)
            with contextlib.suppress(OSError):
                self._strangers.pop(number)[0].shutdown(socket.SHUT_RDWR)
        self._strangers[made.fileno()] = made, str(address[0])
        return made, address

    def admit(self, number: int) -> None:
        """The connection with this file number is the partner's."""
        self._strangers.pop(number, None)


def answers_strangers(host: str, port: int) -> bool:
    """Whether a connection without a certificate gets as much as one byte of an answer; OSError if there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it asks as a stranger would, who trusts nobody and is trusted by nobody
    with socket.create_connection((host, port), timeout=START_S) as plain:
        try:
            with context.wrap_socket(plain) as sock:
                sock.sendall(b"GET /own/checkpoint HTTP/1.1\r\nHost: partner\r\n\r\n")
                return bool(sock.recv(1))
        except OSError:
            return False
