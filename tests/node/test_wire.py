"""The reader takes what it asked for and nothing else, within its time, and lets itself be stopped.

Here the server holds the partner's real key and cheats; who does not hold it is in test_tls.py.
"""

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entente.errors import FormatError, PartnerError, UsageError
from entente.node import wire
from entente.node.serve_partner import Bucket
from entente.node.wire import ATTEMPTS, MAX_PATIENCE_S, WireTree, YieldedError
from lab.tls import HOST, Ends, Server, answer, reader, server, serving, until

pytestmark = pytest.mark.allow_hosts([HOST])
BODY = b"0123456789" * 10
PART = "206 Partial Content"
Cheat = Callable[..., Server]
Read = Callable[[WireTree], bytes | None]


@pytest.fixture
def pauses() -> list[float]:
    """How long the reader would have waited, slice by slice."""
    return []


@pytest.fixture
def cheat(ends: Ends) -> Iterator[Cheat]:
    """Makes servers that hold the partner's key and say what a test tells them to say, once per request."""
    theirs = ends.theirs
    context = server(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key)
    with contextlib.ExitStack() as stack:

        def make(*answers: bytes) -> Server:
            left = itertools.chain(answers, itertools.repeat(answers[-1]))
            return stack.enter_context(Server(context, lambda sock, _: sock.sendall(next(left))))

        yield make


@pytest.fixture
def scripted(ends: Ends) -> Iterator[Callable[[Callable[[ssl.SSLSocket, bytes], None]], Server]]:
    """Makes servers that hold the partner's key and do with a connection what a test does."""
    theirs = ends.theirs
    context = server(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key)
    with contextlib.ExitStack() as stack:
        yield lambda script: stack.enter_context(Server(context, script))


@pytest.fixture
def read(ends: Ends, pauses: list[float]) -> Iterator[Callable[[int], WireTree]]:
    """Makes our readers of a port."""
    with contextlib.ExitStack() as stack:

        def make(port: int) -> WireTree:
            tree = reader(port, ends.ours, ends.theirs, pause=pauses.append)
            return stack.enter_context(contextlib.closing(tree))

        yield make


def whole(tree: WireTree) -> bytes | None:
    """The file as a whole, at most 100 bytes of it."""
    return tree.get("own/checkpoint", 100)


def part(tree: WireTree) -> bytes | None:
    """Ten bytes of it from the third on."""
    return tree.range("own/checkpoint", 2, 10)


GOOD_PART = answer(BODY[2:12], PART, "content-range: bytes 2-11/100")


# What it takes


def test_an_honest_answer_is_taken_and_the_connection_used_again(cheat: Cheat, read: Callable[[int], WireTree]) -> None:
    partner = cheat(answer(BODY), GOOD_PART, answer(b"", "404 Not Found"), answer(b"gone", "410 Gone"), answer(b""))
    tree = read(partner.port)
    assert [whole(tree), part(tree), whole(tree), whole(tree), whole(tree)] == [BODY, BODY[2:12], None, None, b""]
    assert partner.connections == 1
    assert tree.faults == []
    assert tree.received == len(BODY) + 10 + 0 + 4 + 0


def test_a_request_says_where_and_what_and_nothing_of_us(cheat: Cheat, read: Callable[[int], WireTree]) -> None:
    """No user agent, no cookie, no language: the path, and the range where there is one."""
    partner = cheat(answer(BODY), GOOD_PART)
    tree = read(partner.port)
    whole(tree)
    part(tree)
    host = f"Host: {HOST}:{partner.port}\r\nAccept-Encoding: identity\r\n"
    assert partner.heard == [
        f"GET /own/checkpoint HTTP/1.1\r\n{host}\r\n".encode(),
        f"GET /own/checkpoint HTTP/1.1\r\n{host}Range: bytes=2-11\r\n\r\n".encode(),
    ]


def test_bytes_from_beyond_the_end_are_none_as_in_a_folder(cheat: Cheat, read: Callable[[int], WireTree]) -> None:
    tree = read(cheat(answer(b"", "416 Range Not Satisfiable", "content-range: bytes */2")).port)
    assert part(tree) == b""


def test_a_server_that_closes_after_each_answer_is_read_on(cheat: Cheat, read: Callable[[int], WireTree]) -> None:
    """As ours does while it shuts down."""
    partner = cheat(answer(BODY, "200 OK", "connection: close"))
    tree = read(partner.port)
    assert [whole(tree), whole(tree), whole(tree)] == [BODY] * 3
    assert partner.connections == 3


# What it refuses

HONEST = answer(BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n" + BODY + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        pytest.param(whole, answer(BODY, "301 Moved Permanently", "location: /own/checkpoint"), id="redirect"),
        pytest.param(whole, answer(BODY, "307 Temporary Redirect", "location: https://192.0.2.1/"), id="redirect away"),
        pytest.param(whole, answer(BODY, "203 Non-Authoritative Information"), id="another success"),
        pytest.param(whole, answer(b"", "204 No Content"), id="no content"),
        pytest.param(whole, answer(b"", "304 Not Modified"), id="not modified"),
        pytest.param(whole, answer(BODY, "500 Internal Server Error"), id="error"),
        pytest.param(whole, answer(b"", "401 Unauthorized", "www-authenticate: Basic"), id="asks for a password"),
        pytest.param(whole, answer(BODY, "700 Beyond"), id="status of no class"),
        pytest.param(whole, CHUNKED, id="chunked"),
        pytest.param(whole, CHUNKED.replace(b"\r\n\r\n64", b"\r\ncontent-length: 100\r\n\r\n64"), id="chunked, length"),
        pytest.param(whole, answer(BODY, "200 OK", "transfer-encoding: identity"), id="identity transfer"),
        pytest.param(whole, answer(BODY, "200 OK", "content-encoding: gzip"), id="gzip"),
        pytest.param(whole, b"HTTP/1.1 200 OK\r\n\r\n" + BODY, id="no length"),
        pytest.param(whole, answer(BODY, "200 OK", "content-length: 99"), id="two lengths"),
        pytest.param(whole, answer(BODY).replace(b"100", b"-100"), id="negative length"),
        pytest.param(whole, answer(BODY).replace(b"100", b"+100"), id="signed length"),
        pytest.param(whole, answer(BODY).replace(b"100", b"1e2"), id="length in another spelling"),
        pytest.param(whole, answer(BODY).replace(b"100", b"0" * 18 + b"100"), id="length with many zeros"),
        pytest.param(whole, answer(BODY).replace(b"100", "\u0661\u0660\u0660".encode()), id="length in other digits"),
        pytest.param(whole, answer(BODY[:-1], length=100), id="less than it says"),
        pytest.param(part, HONEST, id="all where a part was due"),
        pytest.param(part, answer(BODY[:10], "200 OK"), id="200 where a part was due"),
        pytest.param(whole, answer(BODY, PART, "content-range: bytes 0-99/100"), id="a part where all was due"),
        pytest.param(part, answer(BODY[3:13], PART, "content-range: bytes 3-12/100"), id="another part"),
        pytest.param(part, answer(BODY[:10], PART, "content-range: bytes 0-9/100"), id="a part from the start"),
        pytest.param(part, answer(BODY[2:12], PART), id="a part of what"),
        pytest.param(part, answer(BODY[2:12], PART, "content-range: bytes 2-10/100"), id="a part of another length"),
        pytest.param(part, answer(BODY[2:12], PART, "content-range: lines 2-11/100"), id="a part in other units"),
        pytest.param(part, answer(b"", PART, "content-type: multipart/byteranges; boundary=x"), id="several parts"),
        pytest.param(part, answer(BODY, "404 Not Found", length=1 << 40), id="a refusal without end"),
        pytest.param(whole, b"", id="nothing at all"),
        pytest.param(whole, b"HTTP/1.1 200 OK\r\n", id="half a head"),
        pytest.param(whole, b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n", id="two hundred headers"),
        pytest.param(whole, b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", id="one long header"),
        pytest.param(whole, b"HTTP/1.1 200 " + b"y" * 70_000, id="one long line"),
        pytest.param(whole, b"HTTP/3.0 200 OK\r\n\r\n", id="another HTTP"),
        pytest.param(whole, b"HTTP/1.1 2OO OK\r\n\r\n", id="a status of letters"),
        pytest.param(whole, b"\x00\xff\x1b]0;owned\x07\r\n\r\n", id="nonsense"),
        pytest.param(whole, b"220 mail.example ESMTP\r\n", id="another protocol"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_counts_as_an_absent_partner(
    ends: Ends,
    scripted: Callable[..., Server],
    read: Callable[[int], WireTree],
    pauses: list[float],
    ask: Read,
    said: bytes,
) -> None:
    """It is asked again on a new connection, a few times; then nothing is taken, and the fault tells our words only."""
    del ends

    def once(sock: ssl.SSLSocket, _: bytes) -> None:
        sock.sendall(said)
        sock.unwrap().close()

    partner = scripted(once)
    tree = read(partner.port)
    with pytest.raises(PartnerError) as fault:
        ask(tree)
    assert not isinstance(fault.value, YieldedError)
    assert partner.connections == len(partner.heard) == len(tree.faults) == ATTEMPTS
    assert sum(pauses) == pytest.approx(0.2 + 0.4)
    for text in (*tree.faults, fault.value.explain()):
        assert text.replace("\n", "").isprintable()
        assert "owned" not in text
        assert "ESMTP" not in text


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        pytest.param(whole, answer(BODY + b"!"), id="one byte more than all"),
        pytest.param(whole, answer(BODY, length=10**17), id="petabytes"),
        pytest.param(whole, answer(BODY).replace(b"100", b"9" * 5000), id="a length of 5,000 digits"),
        pytest.param(part, answer(BODY[2:13], PART, "content-range: bytes 2-12/100"), id="one byte more than a part"),
    ],
)
def test_more_than_the_limit_is_bad_input_and_not_asked_for_again(
    cheat: Cheat, read: Callable[[int], WireTree], ask: Read, said: bytes
) -> None:
    partner = cheat(said)
    tree = read(partner.port)
    with pytest.raises((FormatError, PartnerError)) as fault:
        ask(tree)
    assert isinstance(fault.value, FormatError) or b"9999" in said, "5,000 digits are no number, the others are"
    assert tree.received == 0


def test_what_follows_an_answer_unasked_is_no_part_of_the_next(cheat: Cheat, read: Callable[[int], WireTree]) -> None:
    """A second answer in the same breath is not believed to be the answer to the second question."""
    partner = cheat(answer(BODY) + answer(b"smuggled"), answer(b"second"))
    tree = read(partner.port)
    assert whole(tree) == BODY
    second = whole(tree)
    assert second in (b"second", b"smuggled"), "a partner may lie; all it says is proven by the register or not taken"


def test_a_hundred_interim_answers_do_not_hide_the_real_one(cheat: Cheat, read: Callable[[int], WireTree]) -> None:
    tree = read(cheat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + answer(BODY)).port)
    assert whole(tree) == BODY


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 200), size=st.integers(0, 20), junk=st.binary(max_size=30))
def test_an_answer_damaged_anywhere_is_taken_or_refused_and_never_a_crash(
    ends: Ends, place: int, size: int, junk: bytes
) -> None:
    """What comes of it is bytes within the limit, nothing, or an error of ours."""
    theirs, sound = ends.theirs, answer(BODY, "200 OK", "accept-ranges: bytes")

    def once(sock: ssl.SSLSocket, _: bytes) -> None:
        sock.sendall(sound[:place] + junk + sound[place + size :])
        sock.unwrap().close()

    context = server(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key)
    with Server(context, once) as partner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "ATTEMPTS", 1)
        tree = reader(partner.port, ends.ours, theirs)
        with contextlib.closing(tree), contextlib.suppress(PartnerError, FormatError):
            found = whole(tree)
            assert found is None or len(found) <= 100


# How long it waits


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits looks up ten times a second."""
    monkeypatch.setattr(wire, "LOOK_UP_S", 0.1)


@pytest.mark.parametrize(
    ("drop", "every"),
    [
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", b"", id="interim answers without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"x", id="a header that never ends"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", b"x", id="a body that drips"),
        pytest.param(b"", b"", id="silence"),
    ],
)
def test_an_answer_that_drips_is_given_up_at_its_deadline(
    scripted: Callable[..., Server],
    read: Callable[[int], WireTree],
    monkeypatch: pytest.MonkeyPatch,
    drop: bytes,
    every: bytes,
) -> None:
    """However steadily bytes come: the whole answer has one deadline."""
    monkeypatch.setattr(wire, "ANSWER_S", 0.05)
    monkeypatch.setattr(wire, "PAUSE_S", 0.0)
    gone = threading.Event()

    def drip(sock: ssl.SSLSocket, _: bytes) -> None:
        with contextlib.suppress(OSError):
            sock.sendall(drop)
            while not gone.wait(0.01):
                sock.sendall(every or drop)

    partner = scripted(drip)
    try:
        tree = read(partner.port)
        with pytest.raises(PartnerError, match="too slow"):
            whole(tree)
        assert partner.connections == ATTEMPTS
    finally:
        gone.set()


@pytest.mark.parametrize("every", [b"x", b""], ids=["dripping", "silent"])
@pytest.mark.usefixtures("quick")
def test_a_read_ends_when_the_node_is_needed_though_the_partner_drips(
    ends: Ends, scripted: Callable[..., Server], every: bytes
) -> None:
    """The deadline is minutes away for a large file; whoever needs the node waits half a second."""
    gone, needed = threading.Event(), threading.Event()

    def drip(sock: ssl.SSLSocket, _: bytes) -> None:
        with contextlib.suppress(OSError):
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
            needed.set()
            while not gone.wait(0.01):
                sock.sendall(every)

    partner = scripted(drip)
    tree = reader(partner.port, ends.ours, ends.theirs, interrupted=needed.is_set)
    try:
        with pytest.raises(YieldedError):
            tree.get("own/checkpoint", 100_000_000)
        assert partner.connections == 1
        assert tree.faults == []
    finally:
        gone.set()
        tree.close()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("accepts", [True, False], ids=["no handshake", "no connection"])
def test_a_connection_ends_when_the_node_is_needed_though_nobody_answers(ends: Ends, accepts: bool) -> None:
    """A server that accepts and says nothing, and one whose queue is full, as behind a firewall that drops."""
    needed = threading.Event()
    with contextlib.ExitStack() as stack:
        dumb = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        port = dumb.getsockname()[1]
        if not accepts:
            for _ in range(4):
                held = stack.enter_context(socket.socket())
                held.setblocking(False)
                held.connect_ex((HOST, port))
        looks = itertools.count()

        def interrupted() -> bool:
            if next(looks) == 2:
                needed.set()
            return needed.is_set()

        tree = reader(port, ends.ours, ends.theirs, interrupted=interrupted)
        stack.enter_context(contextlib.closing(tree))
        with pytest.raises(YieldedError):
            tree.get("own/checkpoint", 100)
        assert tree.faults == [], "it gave way in its first attempt"


def test_a_partner_that_asks_for_patience_gets_it(
    cheat: Cheat, read: Callable[[int], WireTree], pauses: list[float]
) -> None:
    """L-06: Retry-After is obeyed, up to half a minute; then the answer is taken."""
    partner = cheat(answer(b"", "429 Too Many Requests", "retry-after: 7"), answer(BODY))
    assert whole(read(partner.port)) == BODY
    assert sum(pauses) == pytest.approx(7 + 0.2)


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("retry-after: 86400", MAX_PATIENCE_S),
        ("retry-after: Wed, 21 Oct 2037 07:28:00 GMT", 1),
        ("x: y", 1),
        ("retry-after: -5", 1),
    ],
)
def test_a_partner_that_asks_for_patience_without_end_does_not_get_it(
    cheat: Cheat, read: Callable[[int], WireTree], pauses: list[float], header: str, waited: float
) -> None:
    """Twice half a minute at most, none after the last attempt; then it counts as away."""
    partner = cheat(answer(b"", "503 Service Unavailable", header))
    with pytest.raises(PartnerError, match="patience"):
        whole(read(partner.port))
    assert sum(pauses) == pytest.approx(2 * waited + 0.2 + 0.4)
    assert len(partner.heard) == ATTEMPTS


def test_patience_ends_when_the_node_is_needed(ends: Ends, cheat: Cheat) -> None:
    """A partner that asks for half a minute does not keep local users out for it."""
    partner = cheat(answer(b"", "429 Too Many Requests", "retry-after: 30"))
    pauses: list[float] = []
    tree = reader(partner.port, ends.ours, ends.theirs, interrupted=lambda: sum(pauses) > 1, pause=pauses.append)
    with contextlib.closing(tree), pytest.raises(YieldedError):
        tree.get("own/checkpoint", 100)
    assert sum(pauses) <= 2


def test_our_own_listeners_patience_is_obeyed(ends: Ends, served_tree: bytes) -> None:
    """L-06, both real ends: the fourth request in a moment is asked to wait, and is answered after it."""
    bucket = Bucket(0, 3)
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        bucket._left = 1

    with serving(ends.folder / "patient", ends.ours, ends.theirs, bucket=bucket) as listener:
        tree = reader(listener.port, ends.theirs, ends.ours, pause=wait)
        with contextlib.closing(tree):
            assert [whole(tree) for _ in range(4)] == [served_tree] * 4
    assert sum(pauses) == pytest.approx(1 + 0.2)


@pytest.fixture
def served_tree(ends: Ends) -> bytes:
    """What a served tree of one file holds."""
    place = ends.folder / "patient" / "own" / "checkpoint"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(BODY)
    return BODY


# Where the partner is


@pytest.mark.parametrize(
    "url",
    [
        "",
        "partner.example",
        "http://partner.example",
        "https://",
        "https://partner.example/path",
        "https://partner.example?query",
        "https://partner.example:port",
        "https://partner.example:99999",
        "https://[::1",
        "file:///etc/passwd",
        "https://user:password@partner.example",
        "https://a..b",
        "https://" + "a" * 70 + ".example",
    ],
)
def test_what_is_no_partners_url_is_said_in_words(ends: Ends, url: str) -> None:
    with pytest.raises(UsageError):
        WireTree(url, ends.ours.context(ends.theirs.identity.ca, server=False), lambda _: True)


def test_a_partner_that_is_not_there_is_away_and_nothing_stays_open(ends: Ends) -> None:
    with socket.create_server((HOST, 0)) as gone:
        port = gone.getsockname()[1]
    tree = reader(port, ends.ours, ends.theirs, pause=lambda _: None)
    with pytest.raises(PartnerError, match="refused"):
        whole(tree)
    tree.close()
    until(lambda: tree._connection is None)
