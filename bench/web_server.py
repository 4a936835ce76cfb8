"""The servers of `bench.web`, each a process of its own with one worker: this node's web, and the floor.

    python -m bench.web_server PORT FOLDER    the node in FOLDER serves its own persons, as `entente serve --web` does
    python -m bench.web_server PORT           the floor: /constant?bytes=N gives N bytes, with &stream=1 piece by piece

Both time themselves: GET TIMINGS gives the milliseconds and the bytes of every answer since it was last asked, from the
request's head until the last byte was handed to the server.
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.taxii_client import HOST
from entente.app import AREAS, validate, web
from entente.node.node import Node
from entente.node.worker import Worker, serve
from entente.web.door import Door
from entente.web.listener import WebListener

TIMINGS = "/-/timings"
NEVER_S = 3600.0  # between two looks at the partner, who is not there
PIECE = 1 << 16


class Timed:
    """An application that knows how long each of its answers took."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.spent: list[tuple[float, int]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request is answered, and timed."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"] == TIMINGS:
            found, self.spent = self.spent, []
            await Response(msgspec.json.encode(found), media_type="application/json")(scope, receive, send)
            return
        size = 0

        async def counted(message: Message) -> None:
            nonlocal size
            size += len(message.get("body", b""))
            await send(message)

        began = time.perf_counter()
        await self.app(scope, receive, counted)
        self.spent.append((1000 * (time.perf_counter() - began), size))


async def constant(request: Request) -> Response:
    """So many bytes, all the same."""
    size = int(request.query_params["bytes"])
    if "stream" not in request.query_params:
        return Response(b"x" * size, media_type="text/html")

    def pieces() -> Iterator[bytes]:
        for start in range(0, size, PIECE):
            yield b"x" * min(PIECE, size - start)

    return StreamingResponse(pieces(), media_type="text/csv")


def node_serves(port: int, folder: Path) -> None:
    """The node in this folder serves until it is told to end."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker = Worker(lambda: Node(folder, AREAS, validate, yields=True), folder, every_s=NEVER_S, stop=stop)

    def door_of(node: Node) -> WebListener:
        door = Door(folder, node, worker.using)
        app = web(door)
        app.add_middleware(Timed)
        return WebListener(app, f"{HOST}:{port}", door.close)

    serve(worker, "", lambda _: None, door_of)


def floor_serves(port: int) -> None:
    """The floor serves until it is told to end."""
    app = Starlette(routes=[Route("/constant", constant)])
    app.add_middleware(Timed)
    uvicorn.run(app, host=HOST, port=port, http="httptools", log_level="error", access_log=False, lifespan="off")


if __name__ == "__main__":
    if sys.argv[2:]:
        node_serves(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        floor_serves(int(sys.argv[1]))
