"""Reading never waits for the node; acting waits for it in line, and is told if it cannot be had.

A real listener on loopback, with the worker that lends the node; another process that has the node is another opening
of it, which the lock cannot tell apart.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entente.app import AREAS, web
from entente.errors import BusyError, StoreError, UsageError
from entente.node import lock, worker
from entente.node.node import Node
from entente.node.tokens import make_token
from entente.node.worker import Worker, read_state, serve
from entente.web import listener
from entente.web.door import Door
from entente.web.listener import WebListener
from lab.pair import PASSPHRASE, Pair, in_process, revoke
from lab.site import ROOT, TAXII, envelope, ladder_map, marked
from lab.tls import HOST, PATIENCE_S, until

pytestmark = pytest.mark.allow_hosts([HOST])
OBJECTS = f"{ROOT}/collections/own/objects/"


class Serving:
    """A node that is served and worked on in a thread, and a client of one of its persons."""

    def __init__(self, pair: Pair) -> None:
        node = pair.a
        node.sign_map(ladder_map(node), [pair.of(node, "iyer")])
        self.folder, self.pair = pair.shut(node.party), pair
        self.stop = threading.Event()
        self.worker = Worker(self._open, self.folder, every_s=60, stop=self.stop)
        self.doors: list[WebListener] = []
        self.token = ""
        self.said: list[str] = []
        self.thread = threading.Thread(target=serve, args=(self.worker, "", self.said.append, self._door))
        self.thread.start()
        until(lambda: len(self.said) > 1, "serving")
        headers = {"Authorization": f"Bearer {self.token}", "Accept": TAXII, "Content-Type": TAXII}
        self.client = httpx2.Client(base_url=self.doors[0].url, headers=headers, timeout=30)

    def _open(self) -> Node:
        return Node(self.folder, AREAS, in_process, clock=self.pair.clock, yields=True)

    def _door(self, node: Node) -> WebListener:
        door = Door(self.folder, node, self.worker.using)
        handle = f"{node.party}/rao"
        self.token = make_token(door.sign_in.access, handle, label="x", days=1, read_only=False)[1]
        self.doors.append(WebListener(web(door), f"{HOST}:0", door.close))
        return self.doors[0]

    def other(self) -> Node:
        """The node as another process has it, which asks for it and gets it."""
        return Node(self.folder, AREAS, in_process, clock=self.pair.clock, passphrase=PASSPHRASE)

    def close(self) -> None:
        self.client.close()
        self.stop.set()
        self.thread.join()


@pytest.fixture
def serving(make_pair: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    monkeypatch.setattr(lock, "TURN_S", 0.2)
    made = Serving(make_pair())
    yield made
    made.close()


def test_what_is_added_waits_until_another_process_gives_the_node_back(serving: Serving) -> None:
    other = serving.other()
    with ThreadPoolExecutor(50) as many:
        posts = [many.submit(serving.client.post, OBJECTS, content=envelope(marked(n, 0))) for n in range(1, 46)]
        for _ in range(20):
            assert serving.client.get(OBJECTS).status_code == 200, "who reads does not stand in that line"
        assert not [post for post in posts if post.done()]
        other.close()
        assert {post.result().status_code for post in posts} == {202}
    assert len(serving.client.get(OBJECTS).json()["objects"]) == 45


def test_who_waits_too_long_is_told_to_come_again(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "GUEST_S", 0.3)
    other = serving.other()
    own = marked(1, 0)
    for _ in range(2):
        for method, path in (("POST", OBJECTS), ("DELETE", f"{OBJECTS}indicator--x/")):
            answer = serving.client.request(method, path, content=envelope(own) if method == "POST" else b"")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["http_status"] == "503"
    assert serving.client.get(OBJECTS).content == b"{}"
    other.close()
    monkeypatch.setattr(worker, "GUEST_S", 30.0)
    assert serving.client.post(OBJECTS, content=envelope(own)).status_code == 202


def test_a_guest_is_told_when_another_keeps_the_node(
    make_pair: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the first in line, who would open it."""
    monkeypatch.setattr(lock, "TURN_S", 0.05)
    monkeypatch.setattr(worker, "GUEST_S", 0.1)
    pair = make_pair()
    code, clock = pair.a.party, pair.clock
    folder = pair.a.folder
    made = Worker(
        lambda: Node(folder, AREAS, in_process, clock=clock, yields=True), folder, every_s=60, stop=threading.Event()
    )
    for _ in range(2):
        with pytest.raises(BusyError), made.using():
            pass
    pair.shut(code)
    with made.using(news=True) as node:
        assert node.party == code
    made.close()


def test_after_a_guest_whose_store_failed_the_node_is_opened_anew(make_pair: Callable[..., Pair]) -> None:
    """What a node has in memory may then not be what its stores say: no later guest and no round builds on it."""
    pair = make_pair()
    code, clock, folder = pair.a.party, pair.clock, pair.a.folder
    pair.shut(code)
    made = Worker(
        lambda: Node(folder, AREAS, in_process, clock=clock, yields=True), folder, every_s=60, stop=threading.Event()
    )
    with made.using() as first:
        pass
    with made.using() as second:
        assert second is first
    with pytest.raises(StoreError), made.using():
        raise StoreError("the disk is full")
    with made.using() as third:
        assert third is not first
    made.close()


def test_what_a_verb_of_another_process_changed_counts_at_once(serving: Serving) -> None:
    assert serving.client.get(OBJECTS).status_code == 200
    other = serving.other()
    serving.pair.nodes[other.party] = other
    revoke(serving.pair, other, "rao")
    serving.pair.shut(other.party)
    assert serving.client.get(OBJECTS).status_code == 401


def test_a_served_node_says_where_its_door_is_and_shuts_it(serving: Serving) -> None:
    state = read_state(serving.folder)
    assert state is not None
    assert state.web == serving.doors[0].url
    assert any(state.web in line for line in serving.said)
    with pytest.raises(UsageError):
        WebListener(web(Door(serving.folder, serving.worker._node, serving.worker.using)), state.web[7:], lambda: None)  # type: ignore[arg-type]
    serving.close()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{state.web}/taxii2/")
    serving.client = httpx2.Client()


FLOODS = {
    "a header": b"GET /taxii2/ HTTP/1.1\r\nHost: x\r\nX-A: ",
    "many headers": b"GET /taxii2/ HTTP/1.1\r\nHost: x\r\n",
    "an address": b"GET /taxii2/?",
    "trailers": b"POST /taxii2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    "a chunk's extension": b"POST /taxii2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;",
}


@pytest.mark.parametrize("what", FLOODS)
def test_who_never_comes_to_the_point_is_hung_up_on(flooded: WebListener, what: str) -> None:
    more = b"X-B: y\r\n" * 1024 if what in ("many headers", "trailers") else b"a" * 8192
    sent = 0
    port = int(flooded.url.rpartition(":")[2])
    with socket.create_connection((HOST, port), PATIENCE_S) as sock:
        sock.sendall(FLOODS[what])
        with suppress(OSError):
            while sent < 64 << 20:
                sock.sendall(more)
                sent += len(more)
    assert sent < 64 << 20


@pytest.mark.parametrize("begun", [b"G", b"POST /taxii2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab"])
def test_who_drips_for_too_long_is_hung_up_on(
    flooded: WebListener, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(listener, "WHOLE_S", 0.3)
    port = int(flooded.url.rpartition(":")[2])
    with socket.create_connection((HOST, port), PATIENCE_S) as sock:
        sock.settimeout(PATIENCE_S)
        for byte in (begun[:-1], begun[-1:]):
            if byte:
                sock.sendall(byte)
        with suppress(ConnectionResetError):
            while sock.recv(100):
                pass
        whole = b"GET /taxii2/ HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((HOST, port), PATIENCE_S) as sock:
        sock.settimeout(PATIENCE_S)
        sock.sendall(whole)
        assert sock.recv(100).startswith(b"HTTP/1.1 401")
        sock.settimeout(1)  # a connection that is kept open between two requests is none that drips
        with pytest.raises(TimeoutError):
            sock.recv(100)


def test_a_long_question_and_a_long_body_are_no_flood(flooded: WebListener) -> None:
    with httpx2.Client(base_url=flooded.url) as client:
        assert client.get(f"/taxii2/?match[id]={'a' * 60_000}").status_code == 401
        for _ in range(3):
            assert client.post("/taxii2/", content=iter([b" " * 100_000] * 20)).status_code == 405


@pytest.fixture(scope="module")
def flooded() -> Iterator[WebListener]:
    """A listener that knows nobody."""

    async def nobody(request: Request) -> Response:
        async for _ in request.stream():
            pass
        return Response(status_code=401)

    made = WebListener(Starlette(routes=[Route("/taxii2/", nobody)]), f"{HOST}:0", lambda: None)
    made.start()
    yield made
    made.stop()
