"""The wire's reader takes what a server may lawfully or unlawfully say, and goes on: it never ends in a traceback.

The server shows the partner's true certificate; what it answers is written here, byte for byte.
"""

import gc
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from entente.bad_wire import HOST
from entente.errors import EntenteError, FormatError, PartnerError
from entente.node import wire
from entente.node.node import Node
from entente.node.wire import WireTree
from lab.pair import Pair, answers
from lab.wired import Wired, pair_by_wire

pytestmark = pytest.mark.allow_hosts([HOST])
PATIENCE_S = 10.0
LIMIT = 4096


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(wire, "ANSWER_S", 2.0)
    yield
    gc.collect()  # a socket that nobody closed is told of here


@contextmanager
def saying(node: Node, *said: Sequence[bytes]) -> Iterator[tuple[int, list[int]]]:
    """A port at which this node's certificate is shown; the nth connection's requests get the nth answers, in order.

    After the last one the connection is ended. Also yields how many requests each connection has made.
    """
    context, asked, done = node.tls_context(server=True), list[int](), threading.Event()
    with socket.create_server((HOST, 0)) as listening:
        listening.settimeout(0.05)

        def accept() -> socket.socket | None:
            while not done.is_set():
                with suppress(TimeoutError):
                    return listening.accept()[0]
            return None

        def serve() -> None:
            for replies in said:
                if (plain := accept()) is None:
                    return
                plain.settimeout(PATIENCE_S)
                asked.append(0)
                with context.wrap_socket(plain, server_side=True) as sock:
                    for reply in replies:
                        while sock.recv(65_536)[-4:] not in (b"", b"\r\n\r\n"):
                            pass
                        asked[-1] += 1
                        sock.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1], asked
        finally:
            done.set()
            thread.join()


def reader(pair: Pair, port: int) -> WireTree:
    context = pair.b.tls_context(server=False)
    return WireTree(f"https://{HOST}:{port}", context, pair.b.is_partner_leaf, pause=lambda _: None)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.fixture
def paired(pair: Pair) -> Pair:
    """Both nodes know each other's certificates."""
    pair_by_wire(pair.nodes, dict.fromkeys(pair.nodes, 1))
    return pair


def test_a_server_that_ends_the_connection_after_an_answer_is_asked_on_a_new_one(paired: Pair) -> None:
    """A partner's node that is being stopped says so in its answer: the next question goes out on a new connection."""
    last = answer(b"one", "Connection: close")
    with saying(paired.a, [last], [answer(b"two")]) as (port, asked):
        tree = reader(paired, port)
        assert [tree.get("own/checkpoint", LIMIT) for _ in range(2)] == [b"one", b"two"]
        tree.close()
    assert asked == [1, 1]
    assert tree.faults == []


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 ", id="half a line"),
        pytest.param(b"nonsense\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="no length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="a length below nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", id="less than its length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n", id="many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\n: \xff\r\n\x00\r\nContent-Length: 1\r\n\r\n", id="headers of no meaning"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 50, id="patience without end"),
        pytest.param(b"HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\n", id="a status without a body"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: /own\r\nContent-Length: 0\r\n\r\n", id="elsewhere"),
        pytest.param(b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n", id="a version unheard of"),
        pytest.param(b"HTTP/1.1 999999 OK\r\nContent-Length: 0\r\n\r\n", id="a status unheard of"),
        pytest.param(b"HTTP/1.1 429 Wait\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n", id="a wait below nothing"),
    ],
)
def test_an_answer_that_is_none_means_that_the_partner_is_away(paired: Pair, reply: bytes) -> None:
    """Whatever the server says three times, the node is told that its partner is away, and nothing stays open."""
    with saying(paired.a, *[[reply]] * wire.ATTEMPTS) as (port, _):
        tree = reader(paired, port)
        with pytest.raises(EntenteError) as fault:
            tree.get("own/checkpoint", LIMIT)
        tree.close()
    assert isinstance(fault.value, PartnerError)


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 9" + b"9" * 5000 + b"\r\n\r\n", answer(b"x" * (LIMIT + 1))],
    ids=["digits", "bytes"],
)
def test_an_answer_longer_than_the_file_may_be_is_not_read(paired: Pair, reply: bytes) -> None:
    """The node is told that the file is too long, at once: asking again would change nothing."""
    with saying(paired.a, [reply]) as (port, asked):
        tree = reader(paired, port)
        with pytest.raises(FormatError):
            tree.get("own/checkpoint", LIMIT)
        tree.close()
    assert asked == [1]


def test_a_partner_that_ends_while_it_is_read_is_read_again_when_it_is_back(pair: Pair) -> None:
    """The partner's node ends and comes back between two pulls on one tree; both know the release, received."""
    with Wired(pair) as wired:
        tree = wired.tree(pair.b)
        pair.b.pull(tree)
        done = pair.release(pair.a)
        wired.wires[pair.a.party].partition()
        wired.serve_again(pair.a.party)
        wired.wires[pair.a.party].heal()
        pair.b.pull(tree)
        pair.a.pull(pair.tree(pair.b))
        pair.b.pull(tree)
        pair.b.answer()
        tree.close()
    assert answers(pair.b) == [("received", [[done.idx, done.idx]])]
