"""Nodes with their own persons' listener on loopback, as `entente serve --web` has it, and a client of bare sockets."""

import base64
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from entente import keys
from entente.app import AREAS, web
from entente.keys import SoftSigner
from entente.node.node import PERSON, Node
from entente.node.worker import Worker, serve
from entente.treaty.marking import MarkingMap
from entente.web.door import Door
from entente.web.listener import WebListener
from lab.pair import AREA, Pair, Template, in_process
from lab.tls import until

HOST = "127.0.0.1"
PASSWORD = "correct horse"  # noqa: S105 - opens an invented person's key
TAXII = "application/taxii+json;version=2.1"
ROOT = "/taxii2/intelligence/"
OWN = f"{ROOT}collections/own/"
CHEAP = 2**5  # of conftest.py
PATIENCE_S = 20.0


class Listening:
    """A node served to its own persons by a thread, until the block ends; `user` may sign in with PASSWORD."""

    def __init__(self, folder: Path, clock: Callable[[], Any], user: str, *, every_s: float = 0.05) -> None:
        self.folder, self.user, self.url = folder, user, ""
        self.stop = threading.Event()
        self.worker = Worker(
            lambda: Node(folder, AREAS, in_process, clock=clock, yields=True), folder, every_s=every_s, stop=self.stop
        )
        self.fault: BaseException | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            serve(self.worker, "", lambda _: None, self._door)
        except BaseException as fault:  # noqa: BLE001 - told where the block ends
            self.fault = fault

    def _door(self, node: Node) -> WebListener:
        door = Door(self.folder, node, self.worker.using)
        listener = WebListener(web(door), f"{HOST}:0", door.close)
        self.url = listener.url
        return listener

    def __enter__(self) -> Self:
        self.thread.start()
        until(lambda: bool(self.worker.state.web) or not self.thread.is_alive(), "serving its persons")
        return self

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: TracebackType | None) -> None:
        self.stop.set()
        self.thread.join()
        if fault is None and self.fault is not None:
            raise self.fault

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def authorization(self) -> str:
        """The header by which the person signs in."""
        return f"Basic {base64.b64encode(f'{self.user}:{PASSWORD}'.encode()).decode()}"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> "Answer":
        """The answer to one request of the person, over a connection of its own."""
        lines = {
            "Host": f"{HOST}:{self.port}",
            "Accept": TAXII,
            "Authorization": self.authorization,
            "Connection": "close",
        }
        if body is not None:
            lines |= {"Content-Type": TAXII, "Content-Length": str(len(body))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b""))[0]

    def add(self, objects: Sequence[dict[str, Any]], collection: str = OWN) -> dict[str, Any]:
        """The status of adding these."""
        answer = self.ask("POST", f"{collection}objects/", json.dumps({"objects": list(objects)}).encode())
        assert answer.status == 202, answer
        status: dict[str, Any] = answer.json
        return status

    def raw(
        self, data: bytes, *, answers: int = 1, finish: bool = False, patience_s: float = PATIENCE_S
    ) -> list["Answer"]:
        """What comes back for these bytes, at most so many answers; none where the server closed the connection."""
        found: list[Answer] = []
        with socket.create_connection((HOST, self.port), timeout=patience_s) as connected:
            try:
                connected.sendall(data)
                if finish:
                    connected.shutdown(socket.SHUT_WR)
                kept = _Kept(connected.makefile("rb", buffering=0))
                for _ in range(answers):
                    response = HTTPResponse(_Shared(kept))  # type: ignore[arg-type]  # it asks it for `makefile` alone
                    response.begin()
                    found.append(Answer(response.status, dict(response.getheaders()), response.read()))
            except OSError:  # it had answered, or would not; what it said is what counts
                return found
        return found


class _Kept(io.BufferedReader):
    """What one answer leaves in the buffer is there for the next."""

    def close(self) -> None:
        pass


class _Shared:
    """A connection of which every answer reads on."""

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept

    def makefile(self, *_: object) -> _Kept:
        return self._kept


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)

    def refuses(self, status: int) -> bool:
        """Whether this is an error of this status as TAXII wants errors: JSON that states the status as text."""
        found = self.json
        kind = self.headers.get("content-type", "")
        return self.status == status and kind == TAXII and bool(found["title"]) and found["http_status"] == str(status)


def give_password(node: Node, signer: SoftSigner, user: str) -> str:
    """The person can sign in; returns the user name."""
    node.keys.put_secret(PERSON + user, signer.public, signer.seed, PASSWORD.encode())
    return user


@contextmanager
def new_pair(template: Template, folder: Path) -> Iterator[Pair]:
    """Two nodes, where opening a key is cheap: for fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as cheap:
        cheap.setattr(keys, "_ARGON2_KIB", CHEAP)
        pair = Pair(template, folder)
        yield pair
        pair.close()


@contextmanager
def listening(pair: Pair, code: str) -> Iterator[Listening]:
    """The node of this party serves its person rao, who may read what it takes in; it is closed here meanwhile."""
    node = pair.nodes[code]
    node.sign_map(MarkingMap(node.law.hash, AREA, (), pair.marking(node)), [pair.of(node, "iyer")])
    handle, signer = pair.of(node, "rao")
    user = give_password(node, signer, handle)
    with Listening(pair.shut(code), pair.clock, user) as served:
        yield served
    pair.open(code)
