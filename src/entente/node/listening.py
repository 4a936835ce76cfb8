"""A listener: an HTTP server in a thread of its own, on a socket that was bound before anything else was done."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import uvicorn

from entente.errors import StateError, UsageError

START_S = 10.0
STOP_S = 5

Socket = TypeVar("Socket", bound=socket.socket)


class Listening:
    """A server that listens at `url` from `start` to `stop`."""

    def __init__(self, config: uvicorn.Config, door: socket.socket, url: str, name: str) -> None:
        """Args: `door`: the bound socket; `name`: the thread's."""
        self.url = url
        self._bound = door
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name=name, daemon=True)

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
        """What is being sent is finished (five seconds at most); nothing is served any more."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._bound.close()

    async def _serve(self) -> None:
        await self._server.serve(sockets=[self._bound])
        for left in list(self._server.server_state.connections):  # the other end did not close in its turn
            left.transport.abort()
        await asyncio.sleep(0)


def split_address(listen: str) -> tuple[str, int]:
    """Host and port of HOST:PORT; UsageError if it is something else."""
    host, _, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal() and int(port[:6]) < 1 << 16):
        raise UsageError("not HOST:PORT", place=listen[:200], remedy="Set another address in node.json.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def url_of(scheme: str, host: str, door: socket.socket) -> str:
    """Where a bound socket is reached."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{door.getsockname()[1]}"


def bound(
    host: str, port: int, make: Callable[[int, int, int], Socket], check: Callable[[str], object] = lambda _: None
) -> Socket:
    """A bound socket that says it is TCP: only then does asyncio send small answers without delay.

    Args: `make`: makes the socket; `check`: is given the address that the name leads to, before it is bound.
    Raises: UsageError if the address cannot be had.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        check(str(address[0]))
        made = make(family, kind, socket.IPPROTO_TCP)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
        except OSError:
            made.close()
            raise
    except (OSError, UnicodeError) as fault:
        raise UsageError(str(fault), place=f"{host}:{port}", remedy="Set another address in node.json.") from None
    return made
