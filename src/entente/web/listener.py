"""The listener for this party's own persons and their tools: one HTTP server on loopback, in a thread of its own.

It speaks plain HTTP, so it listens on loopback alone; whoever wants it elsewhere puts a TLS proxy of the house before
it.
"""

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entente.errors import StateError, UsageError
from entente.node.serve_partner import split_address

START_S = 10.0
STOP_S = 5
IDLE_S = 30


HEAD_BYTES = 128 << 10  # a thousand ids in a query fit


class _Bounded(HttpToolsProtocol):
    """Ends a connection that sends on and on without a request's head, or a part of its body, becoming whole.

    The server itself would keep heads and trailers of any length, also of somebody who never signs in.
    """

    _unread = 0

    def data_received(self, data: bytes) -> None:
        """These bytes are taken in."""
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
        super().on_message_complete()


class WebListener:
    """A running listener. `start` returns once it serves."""

    def __init__(self, app: Starlette, listen: str, closed: Callable[[], object]) -> None:
        """`closed` is called once nothing is served any more.

        Raises: UsageError unless `listen` is HOST:PORT with a loopback address that is free.
        """
        host, port = split_address(listen)
        if host != "localhost":
            _check_loopback(host, listen)
        self._closed = closed
        self._door = _bound(host, port)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._door.getsockname()[1]}"
        config = uvicorn.Config(
            app, http=_Bounded, ws="none", lifespan="off", log_config=None, log_level="error", access_log=False,
            server_header=False, proxy_headers=False, timeout_keep_alive=IDLE_S, timeout_graceful_shutdown=STOP_S,
            backlog=256,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """It serves; StateError if it does not come up."""
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                self.stop()
                raise StateError("the listener did not come up", place=self.url)
            time.sleep(0.01)

    def stop(self) -> None:
        """What is being answered is finished (five seconds at most); nothing is served any more."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._door.close()
        self._closed()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._door]))


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


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        _check_loopback(str(address[0]), f"{host}:{port}")
        made = socket.socket(family, kind, proto or socket.IPPROTO_TCP)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
        except OSError:
            made.close()
            raise
    except OSError as fault:
        raise UsageError(str(fault), place=f"{host}:{port}", remedy="Give --web another HOST:PORT.") from None
    return made
