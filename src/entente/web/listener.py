"""The listener for this party's own persons and their tools: one HTTP server on loopback, in a thread of its own.

It speaks plain HTTP, so it listens on loopback alone; whoever wants it elsewhere puts a TLS proxy of the house before
it.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entente.errors import UsageError
from entente.node.listening import STOP_S, Listening, bound, split_address, url_of

IDLE_S = 30
WHOLE_S = 300.0  # for a request to be whole, from its first byte: 64 MiB take seconds
HEAD_BYTES = 128 << 10  # a thousand ids in a query fit


class _Bounded(HttpToolsProtocol):
    """Ends a connection that sends on and on, or drip by drip, without a request becoming whole.

    The server itself would keep heads and trailers of any length, and wait for ever, also for somebody who never signs
    in.
    """

    _unread = 0
    _late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """These bytes are taken in."""
        if self._late is None:
            self._late = self.loop.call_later(WHOLE_S, self.transport.close)
        self._unread += len(data)
        super().data_received(data)
        if self._unread > HEAD_BYTES and not self.transport.is_closing():
            self.transport.close()

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._unread = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body is there."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._unread = 0
        self._in_time()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._in_time()
        super().connection_lost(exc)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class WebListener(Listening):
    """A running listener. `start` returns once it serves."""

    def __init__(self, app: Starlette, listen: str, closed: Callable[[], object]) -> None:
        """`closed` is called once nothing is served any more.

        Raises: UsageError unless `listen` is HOST:PORT with a loopback address that is free.
        """
        host, port = split_address(listen)
        if host != "localhost":
            _check_loopback(host, listen)
        self._closed = closed
        door = bound(host, port, socket.socket, lambda address: _check_loopback(address, listen))
        config = uvicorn.Config(
            app, http=_Bounded, ws="none", lifespan="off", log_config=None, log_level="error", access_log=False,
            server_header=False, proxy_headers=False, timeout_keep_alive=IDLE_S, timeout_graceful_shutdown=STOP_S,
            backlog=256,
        )  # fmt: skip
        super().__init__(config, door, url_of("http", host, door), "web")

    def stop(self) -> None:
        """Nothing is served any more, and what it stood on is closed."""
        super().stop()
        self._closed()


def _check_loopback(address: str, listen: str) -> None:
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(
            "plain HTTP would leave this machine",
            place=listen,
            remedy="Listen on 127.0.0.1 and put a TLS proxy of the house before it.",
        )
