"""The partner gets the files of the served tree as they are, and nothing else; strangers slow nobody.

Who is no partner gets nothing at all: that is test_tls.py. Here the client holds the partner's key, and asks for what
it should not have, too much, too slowly or in ways that two readers could see differently.
"""

import contextlib
import logging
import os
import random
import re
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entente.errors import StateError, UsageError
from entente.node import serve_partner
from entente.node.listening import split_address
from entente.node.serve_partner import (
    MAX_CONNECTIONS,
    MAX_REQUEST_BYTES,
    MAX_STRANGERS,
    Bucket,
    Listener,
    answers_strangers,
    is_served,
)
from entente.node.served import FolderTree, ServedTree
from entente.register.tiles import Tile
from entente.register.tree import Tree, leaf_hashes
from lab.tls import (
    GET,
    HOST,
    Ends,
    Heard,
    Server,
    answer,
    ask,
    client,
    connected,
    listen,
    reader,
    said,
    server,
    serving,
    until,
)

pytestmark = pytest.mark.allow_hosts([HOST])
HEX = "ab" * 32
SECRET = b"what the partner must not have"
BIG = 24 << 20
NOTHING = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
BAD = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
TOLD = {b"accept-ranges", b"allow", b"connection", b"content-length", b"content-range", b"retry-after"}
FLOOD = """
import socket, sys
held = []
for number in range(int(sys.argv[2])):
    held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20, source_address=("127.0.0.2", 0)))
    if number % 2:
        held[-1].sendall(bytes.fromhex("160301"))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def tree(ends: Ends) -> Path:
    """A served tree with all that one can have, and beside and inside it what nobody may get at."""
    folder = ends.folder / "served"
    made = ServedTree(folder, ends.folder / "tmp")
    entries = [f"entry {number}".encode() for number in range(300)]
    grown = Tree.from_leaves(leaf_hashes(entries))
    for prefix in ("own", "mirror"):
        made.publish(prefix, grown, 0, f"head of {prefix}\n".encode(), lambda first, end: entries[first:end])
    for kind in ("agreement", "key", "leaves"):
        made.put(f"{kind}/{HEX}", kind.encode())
    made.put(f"blob/{HEX}", random.Random(1).randbytes((3 << 20) + 5))
    made.put(f"blob/{'ee' * 32}", b"")
    with (folder / "blob" / ("bb" * 32)).open("wb") as file:
        file.truncate(BIG)
    (ends.folder / "secret").write_bytes(SECRET)
    for place in ("checkpoint.new", "notes", ".hidden", "own/notes", "own/.checkpoint", "key/short", f"key/{HEX}.new"):
        made.put(place, SECRET)
    made.put(f"key/{'AB' * 32}", SECRET)
    (folder / "key" / ("cc" * 32)).symlink_to("../../secret")
    (folder / "key" / ("cd" * 32)).symlink_to(HEX)
    (folder / "key" / ("dd" * 32)).mkdir()
    os.mkfifo(folder / "key" / ("ef" * 32))
    (folder / "tiles").mkdir()
    (ends.folder / "elsewhere" / "0").mkdir(parents=True)
    (ends.folder / "elsewhere" / "0" / "007").write_bytes(SECRET)
    (folder / "own" / "tile" / "1" / "x001").symlink_to("../../../../elsewhere/0")
    return folder


@pytest.fixture(scope="module")
def listener(ends: Ends, tree: Path) -> Iterator[Listener]:
    """Our listener, which serves it."""
    with serving(tree, ends.ours, ends.theirs) as made:
        yield made


@pytest.fixture(scope="module")
def partner(ends: Ends) -> ssl.SSLContext:
    """The partner as a client that says anything."""
    return client(ends.folder, [ends.theirs.shown("leaf")], ends.theirs.holder("leaf").key)


Say = Callable[[bytes], Heard]


@pytest.fixture
def say(listener: Listener, partner: ssl.SSLContext) -> Say:
    """Says these bytes as the partner, on a connection of their own, and gives all that comes until the end."""
    return lambda request: ask(listener.port, partner, request)


def request(path: str | bytes, *headers: str, method: str = "GET", close: bool = True) -> bytes:
    """A request for a path as it stands."""
    raw = path if isinstance(path, bytes) else path.encode()
    lines = ["Host: partner", *headers, *(["Connection: close"] if close else []), "", ""]
    return method.encode() + b" " + raw + b" HTTP/1.1\r\n" + "\r\n".join(lines).encode("latin-1")


def head_of(data: bytes) -> dict[bytes, bytes]:
    """The header lines of one answer; the status under an empty name."""
    first, *lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return {b"": first, **dict(line.split(b": ", 1) for line in lines)}


def body_of(data: bytes) -> bytes:
    """What follows the head."""
    return data.partition(b"\r\n\r\n")[2]


# What it serves


def test_the_partner_gets_every_file_of_the_served_tree_byte_for_byte_and_no_other(
    ends: Ends, listener: Listener, tree: Path
) -> None:
    """Each path that a tree has, by our own reader; whatever else lies in the folder is not there for the partner."""
    served, hidden = list[str](), list[str]()
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree).as_posix()
        (served if is_served(name) and path.is_file() and not path.is_symlink() else hidden).append(name)
    with contextlib.closing(reader(listener.port, ends.theirs, ends.ours)) as read:
        assert len(served) == 18
        for name in served:
            assert read.get(name, BIG) == (tree / name).read_bytes(), name
        assert len(hidden) > 15
        for name in hidden:
            assert read.get(name, BIG) is None, name
        assert read.get("own/tile/1/x001/007", BIG) is None
    assert read.faults == []


def test_every_part_of_a_file_is_the_part_that_was_asked_for(ends: Ends, listener: Listener, tree: Path) -> None:
    """By our own reader, at the borders of a piece and of the file; past the end there is nothing."""
    whole = (tree / "blob" / HEX).read_bytes()
    size = len(whole)
    with contextlib.closing(reader(listener.port, ends.theirs, ends.ours)) as read:
        for start in (0, 1, (1 << 20) - 1, 1 << 20, 3 << 20, size - 1, size, size + 1, 1 << 40):
            for length in (1, 2, 1 << 20, (1 << 20) + 16, 1 << 30):
                assert read.range(f"blob/{HEX}", start, length) == whole[start : start + length]
        assert read.range(f"blob/{'ee' * 32}", 0, 5) == b""
        assert read.range(f"blob/{'99' * 32}", 0, 5) is None
    assert read.faults == []


def test_a_file_that_is_replaced_while_it_is_read_is_one_file(
    ends: Ends, listener: Listener, tree: Path, partner: ssl.SSLContext
) -> None:
    """The checkpoint is replaced thousands of times meanwhile; every answer is one whole version."""
    put, stop = ServedTree(tree, ends.folder / "tmp"), threading.Event()
    before = (tree / "mirror" / "checkpoint").read_bytes()
    versions = {bytes([letter]) * (2000 + 3000 * number) for number, letter in enumerate(b"abcdefgh")}

    def replace() -> None:
        for version in iter(lambda: random.choice(sorted(versions)), b""):
            put.put("mirror/checkpoint", version)
            if stop.is_set():
                return

    put.put("mirror/checkpoint", min(versions))
    thread = threading.Thread(target=replace)
    thread.start()
    try:
        with connected(listener.port, partner) as sock:
            for _ in range(150):
                assert body_of(said(sock, request("/mirror/checkpoint", close=False))) in versions
    finally:
        stop.set()
        thread.join()
        put.put("mirror/checkpoint", before)


def test_a_link_that_leads_to_itself_is_not_there(tmp_path: Path) -> None:
    """A partner's stick may hold one: it is no file, as any other link."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "checkpoint").symlink_to("checkpoint")
    assert FolderTree(tmp_path).get("own/checkpoint", 100) is None


def test_head_gives_the_same_head_as_get_and_no_body(listener: Listener, partner: ssl.SSLContext) -> None:
    with connected(listener.port, partner) as sock:
        for headers in ((), ("Range: bytes=1-3",), ("Range: bytes=99-999",)):
            get = said(sock, request("/own/checkpoint", *headers, close=False))
            head = said(sock, request("/own/checkpoint", *headers, method="HEAD", close=False), body=False)
            assert head == get.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


# What it does not serve

SPELLINGS = [
    "",
    "/",
    "//",
    "*",
    "/own",
    "/own/",
    "/own//checkpoint",
    "//own/checkpoint",
    "/own/checkpoint/",
    "/own/./checkpoint",
    "/./own/checkpoint",
    "/own/../own/checkpoint",
    "/../served/own/checkpoint",
    "/own/../../secret",
    "/../secret",
    "/../keys.db",
    "/..",
    "/%2e%2e/secret",
    "/own/%2e%2e/%2e%2e/secret",
    "/own/%252e%252e/%252e%252e/secret",
    "/own/..%2f..%2fsecret",
    "/own/..%5c..%5csecret",
    "/own\\..\\..\\secret",
    "/own/%c0%ae%c0%ae/secret",
    "/%2fetc/passwd",
    "//etc/passwd",
    "/etc/passwd",
    "/file:///etc/passwd",
    "/own%2fcheckpoint",
    "/%6fwn/checkpoint",
    "/own/%63heckpoint",
    "/own/checkpoint%00",
    "/own/checkpoint%00.txt",
    "/%00",
    "/own/checkpoint%0d%0aX:y",
    "/own/checkpoint%20",
    "/own/checkpoint.",
    "/own/checkpoint~",
    "/own/checkpoint.new",
    "/OWN/checkpoint",
    "/own/Checkpoint",
    "/own/checkpoint;a=b",
    "/own/checkpoint?a",
    "/own/checkpoint?../../secret",
    "/mirror",
    "/mirror/tile",
    "/own/tile/0",
    "/own/tile/0/",
    "/own/tile/0/0",
    "/own/tile/0/0000",
    "/own/tile/0/000.p",
    "/own/tile/0/000.p/0",
    "/own/tile/0/000.p/256",
    "/own/tile/0/000.p/1/../2",
    "/own/tile/00/000",
    "/own/tile/64/000",
    "/own/tile/-1/000",
    "/own/tile/entries/x000/000",
    "/own/tile/0/\u0660\u0660\u0660",
    "/own/tile/0/x001/007",
    "/own/tile/1/x001/007",
    "/own/notes",
    "/own/.checkpoint",
    "/notes",
    "/.hidden",
    "/tiles",
    f"/key/{HEX}/",
    f"/key/{HEX[:-1]}",
    f"/key/{HEX}a",
    f"/key/{HEX.upper()}",
    f"/key/{HEX}.new",
    f"/key/{'cc' * 32}",
    f"/key/{'cd' * 32}",
    f"/key/{'dd' * 32}",
    f"/key/{'ef' * 32}",
    f"/key/{'00' * 32}",
    "/key/short",
    f"/secret/{HEX}",
    f"/own/{HEX}",
    f"/keys/{HEX}",
    "/node.db",
    "/keys.db",
    "/tls/leaf.pem",
    "/worker.json",
    "/favicon.ico",
    "/robots.txt",
    "/.well-known/security.txt",
    "/" + "a" * 6000,
]


def test_every_other_path_gives_the_same_404_to_the_byte_and_leaks_nothing(
    listener: Listener, partner: ssl.SSLContext
) -> None:
    """Not served, not there, not allowed: one answer. What is no path at all gets another, as short."""
    found: dict[bytes, set[str]] = {}
    for path in SPELLINGS:
        heard = ask(listener.port, partner, request(path))
        assert SECRET not in heard.data
        assert b"root:" not in heard.data
        found.setdefault(heard.data, set()).add(path)
    missing = NOTHING.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    assert found.keys() == {missing, BAD}
    assert found[BAD] == {"", "/own/tile/0/\u0660\u0660\u0660"}


def test_a_404_is_the_same_on_an_open_connection_whatever_lies_there(
    listener: Listener, partner: ssl.SSLContext
) -> None:
    with connected(listener.port, partner) as sock:
        answers = {
            said(sock, request(path, *headers, close=False))
            for path in (f"/key/{'00' * 32}", f"/key/{'cc' * 32}", f"/key/{'dd' * 32}", "/own/notes", "/nothing")
            for headers in ((), ("Range: bytes=0-1",), ("If-None-Match: *",), ("Accept: text/html",))
        }
    assert answers == {NOTHING}


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                "own",
                "mirror",
                "key",
                "tile",
                "entries",
                "0",
                "000",
                "x001",
                ".p",
                "5",
                "checkpoint",
                HEX,
                "cc" * 32,
                "..",
                ".",
                "",
                "%2e",
                "%2f",
                "/",
                "\\",
                "%00",
                "?",
                "#",
                ";",
                "~",
                ":",
                "@",
                "secret",
                "notes",
            ]
        ),
        max_size=8,
    ),
    slash=st.sampled_from(["/", "", "%2f"]),
)
def test_a_path_made_of_anything_gives_a_file_of_the_tree_or_nothing(
    listener: Listener, partner: ssl.SSLContext, tree: Path, pieces: list[str], slash: str
) -> None:
    heard = ask(listener.port, partner, request("/" + slash.join(pieces)))
    status = heard.data[9:12]
    assert SECRET not in heard.data
    if status == b"200":
        plain = re.split("[?#]", slash.join(pieces))[0]
        assert is_served(plain)
        assert body_of(heard.data) == (tree / plain).read_bytes()
    else:
        assert status in (b"404", b"400")
        assert body_of(heard.data) == b""


@given(st.text(max_size=80) | st.from_regex(r"(own|mirror|key|blob)/[a-z0-9./%x]{0,70}"))
def test_a_path_that_is_served_is_the_only_spelling_of_a_file(path: str) -> None:
    """Whatever is let through has no dot-dot, no empty part, no absolute part and no letter but the expected ones."""
    if is_served(path):
        assert re.fullmatch(r"[a-z0-9/.]+", path)
        parts = path.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert parts[0] in ("own", "mirror", "agreement", "key", "blob", "leaves")


@pytest.mark.parametrize(
    "path", ["own/checkpoint\n", "own/checkpoint\x00", f"key/{HEX}\n", "own/tile/0/000\n", "own/tile/0/000.p/5\n"]
)
def test_a_path_with_something_after_it_is_not_served(path: str) -> None:
    assert not is_served(path)


def test_the_paths_of_a_tree_of_any_size_are_served() -> None:
    for index in (0, 255, 999, 1000, 123_456_789):
        for level in (-1, 0, 1, 63):
            for width in (1, 255, 256):
                assert is_served(f"own/{Tile(level, index, width).path}")


# What it is asked


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "LOCK"]
)
@pytest.mark.parametrize("path", ["/own/checkpoint", "/nothing", "/../secret"])
def test_a_method_that_is_not_get_or_head_is_refused_without_a_look_at_the_path(
    say: Say, method: str, path: str
) -> None:
    heard = say(request(path, "Content-Length: 5", method=method) + b"hello")
    assert heard.data == (
        b"HTTP/1.1 405 Method Not Allowed\r\nallow: GET, HEAD\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(b"FETCH /own/checkpoint HTTP/1.1\r\nHost: p\r\n\r\n", id="unknown method"),
        pytest.param(b"get /own/checkpoint HTTP/1.1\r\nHost: p\r\n\r\n", id="method in small letters"),
        pytest.param(b"GET own/checkpoint HTTP/1.1\r\nHost: p\r\n\r\n", id="no slash"),
        pytest.param(b"GET http://partner HTTP/1.1\r\nHost: p\r\n\r\n", id="no path"),
        pytest.param(b"CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: p\r\n\r\n", id="proxy"),
        pytest.param(b"GET /own/checkpoint HTTP/9.9\r\nHost: p\r\n\r\n", id="another version"),
        pytest.param(b"GET /own/check\x00point HTTP/1.1\r\nHost: p\r\n\r\n", id="NUL"),
        pytest.param(b"GET /own/checkpoint HTTP/1.1\r\nHost : p\r\n\r\n", id="space before a colon"),
        pytest.param(b"GET /own/checkpoint HTTP/1.1\r\nX: a\r\n b\r\n\r\n", id="folded header"),
        pytest.param(b"GET /own/checkpoint HTTP/1.1\r\nX: a\x00b\r\n\r\n", id="NUL in a header"),
        pytest.param(b"GET /own/checkpoint HTTP/1.1\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="two lengths"),
        pytest.param(
            b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="length and chunks",
        ),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"\x00\x01\x02\x03" * 10, id="nonsense"),
    ],
)
def test_what_is_not_http_is_refused_without_a_word(say: Say, words: bytes) -> None:
    heard = say(words)
    assert heard.data in (BAD, NOTHING.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") + BAD, NOTHING + BAD)


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ("bytes=0-0", 206),
        ("bytes=3-6", 206),
        ("bytes=0-999999999999999", 206),
        ("bytes=11-11", 206),
        ("bytes=12-12", 416),
        ("bytes=999999999999999-999999999999999", 416),
        ("bytes=6-3", 416),
        ("bytes=3-", 200),
        ("bytes=-3", 200),
        ("bytes=-", 200),
        ("bytes=", 200),
        ("bytes", 200),
        ("bytes=0-1,3-4", 200),
        ("bytes=0-1, 0-1, 0-1", 200),
        ("bytes=0-0," * 800, 200),
        ("bytes= 0-1", 200),
        ("bytes=0 -1", 200),
        ("BYTES=0-1", 200),
        ("lines=0-1", 200),
        ("bytes=a-b", 200),
        ("bytes=0x0-0x1", 200),
        ("bytes=+0-1", 200),
        ("bytes=-1-1", 200),
        ("bytes=0-9999999999999999", 200),
        ("bytes=\xb2-\xb3", 200),
    ],
)
def test_a_range_is_one_closed_range_and_any_other_form_gives_the_whole(say: Say, wanted: str, status: int) -> None:
    """RFC 9110 14.2 lets a server ignore what it does not offer; a range with nothing in it is 416 with the size."""
    whole = b"head of own\n"
    heard = say(request("/own/checkpoint", f"Range: {wanted}"))
    head = head_of(heard.data)
    assert int(head[b""].split(b" ")[1]) == status
    if status == 206:
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        last = min(last, len(whole) - 1)
        assert body_of(heard.data) == whole[first : last + 1]
        assert head[b"content-range"] == f"bytes {first}-{last}/12".encode()
    else:
        assert body_of(heard.data) == (whole if status == 200 else b"")
        assert head.get(b"content-range") == (None if status == 200 else b"bytes */12")


def test_no_answer_names_the_software_the_time_or_anything_but_its_length(
    ends: Ends, tree: Path, say: Say, partner: ssl.SSLContext
) -> None:
    """Of any status: the header names are these six, and no word in head or body of a refusal tells what answers."""
    answers = [
        say(request("/own/checkpoint")),
        say(request("/own/checkpoint", "Range: bytes=0-1")),
        say(request("/own/checkpoint", "Range: bytes=99-99")),
        say(request("/nothing")),
        say(request("/own/checkpoint", method="POST")),
        say(b"nonsense\r\n\r\n"),
    ]
    with serving(tree, ends.ours, ends.theirs, bucket=Bucket(0, 0)) as listener:
        answers.append(ask(listener.port, partner, request("/own/checkpoint")))
    assert [heard.data[9:12] for heard in answers] == [b"200", b"206", b"416", b"404", b"405", b"400", b"429"]
    for heard in answers:
        head = head_of(heard.data)
        assert set(head) - {b""} <= TOLD
        assert not re.search(rb"uvicorn|python|entente|asgi|invalid|error", heard.data, re.IGNORECASE)


def test_a_file_that_cannot_be_opened_is_busy_and_not_gone(ends: Ends, tree: Path, partner: ssl.SSLContext) -> None:
    """No file handle is left: the partner is asked to come again, told no reason, and its connection stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serving(tree, ends.ours, ends.theirs) as listener, connected(listener.port, partner) as sock:
        assert said(sock, request("/own/checkpoint", close=False)).startswith(b"HTTP/1.1 200")
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            heard = said(sock, request("/own/checkpoint", close=False))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert heard == b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
        assert said(sock, request("/own/checkpoint", close=False)).startswith(b"HTTP/1.1 200")


# Too much


def test_a_request_of_more_than_eight_kilobytes_is_cut_off_unanswered(say: Say) -> None:
    """By its headers or its path; a little less is answered."""
    room = MAX_REQUEST_BYTES - len(request("/own/checkpoint", "X: "))
    assert say(request("/own/checkpoint", "X: " + "a" * room)).data.startswith(b"HTTP/1.1 200")
    for much in (
        request("/own/checkpoint", "X: " + "a" * (room + 1)),
        request("/own/checkpoint", *(f"X{number}: y" for number in range(2000))),
        request("/" + "a" * MAX_REQUEST_BYTES),
        request("/own/checkpoint", *(f"Range: bytes=0-{number}" for number in range(1000))),
    ):
        assert say(much).data == b""


def test_headers_that_come_one_by_one_without_end_are_cut_off(listener: Listener, partner: ssl.SSLContext) -> None:
    with connected(listener.port, partner) as sock, contextlib.suppress(OSError):
        sock.sendall(b"GET /own/checkpoint HTTP/1.1\r\n")
        for number in range(20_000):
            sock.sendall(f"X{number}: y\r\n".encode())
        assert listen(sock).data == b""


def test_a_body_is_not_read_beyond_eight_kilobytes(listener: Listener, partner: ssl.SSLContext) -> None:
    """A GET that announces a gigabyte is answered and then cut off; nothing of it is kept."""
    with connected(listener.port, partner) as sock:
        heard = said(sock, request("/own/checkpoint", "Content-Length: 1073741824", close=False))
        assert body_of(heard) == b"head of own\n"
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 1 << 30:
                sent += sock.send(bytes(4096))
        assert sent < 64 << 20


@pytest.mark.parametrize("body", [b"hello", b"5\r\nhello\r\n0\r\n\r\n"], ids=["length", "chunked"])
def test_a_request_with_a_body_is_answered_as_without(listener: Listener, partner: ssl.SSLContext, body: bytes) -> None:
    """The body is not taken for the next request: what follows it is."""
    header = "Content-Length: 5" if body == b"hello" else "Transfer-Encoding: chunked"
    with connected(listener.port, partner) as sock:
        first = said(sock, request("/own/checkpoint", header, close=False) + body)
        assert body_of(first) == b"head of own\n"
        assert body_of(said(sock, request("/mirror/checkpoint", close=False))) == b"head of mirror\n"


def test_requests_in_one_breath_are_answered_in_order(say: Say) -> None:
    """Up to eight kilobytes of them; a hundred times as many are cut off, and none is answered twice."""
    paths = ["/own/checkpoint", "/mirror/checkpoint", "/nothing", f"/key/{HEX}"] * 12
    words = b"".join(request(path, close=False) for path in paths) + request("/own/checkpoint")
    assert len(words) < MAX_REQUEST_BYTES
    heard = say(words)
    assert re.findall(rb"head of own|head of mirror|404|key(?![a-z])", heard.data) == (
        [b"head of own", b"head of mirror", b"404", b"key"] * 12 + [b"head of own"]
    )
    assert say(words * 100).data.count(b"HTTP/1.1") < len(paths) * 100


def test_an_upgrade_is_not_taken_up(say: Say) -> None:
    for protocol in ("websocket", "h2c", "TLS/1.0"):
        heard = say(request("/own/checkpoint", f"Upgrade: {protocol}", "Connection: Upgrade", close=True))
        assert heard.data.startswith(b"HTTP/1.1 200")
        assert b"upgrade" not in heard.data.lower()


def test_what_a_partner_says_wrong_fills_no_log(
    say: Say, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Threats 19: nonsense of the partner's is not written down line by line, and nowhere in its own words."""
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            say(b"nonsense \x1b]0;owned\x07\r\n\r\n")
            say(request("/own/checkpoint", "Upgrade: websocket", "Connection: Upgrade"))
            say(request("/%1b%5d0;owned%07"))
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


# Too many, too slow


def test_more_requests_in_a_moment_than_agreed_are_asked_to_wait(
    ends: Ends, tree: Path, partner: ssl.SSLContext
) -> None:
    """L-06: 429 with Retry-After, on the same connection, for any path; once there is room, the file."""
    bucket = Bucket(0, 3)
    with serving(tree, ends.ours, ends.theirs, bucket=bucket) as listener, connected(listener.port, partner) as sock:
        for _ in range(3):
            assert body_of(said(sock, request("/own/checkpoint", close=False))) == b"head of own\n"
        for path in ("/own/checkpoint", "/nothing", "/../secret"):
            assert said(sock, request(path, close=False)) == (
                b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
            )
        bucket._left = 1
        assert body_of(said(sock, request("/own/checkpoint", close=False))) == b"head of own\n"


def test_a_bucket_holds_its_burst_and_fills_at_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the monotonic clock: a clock that is set back or forward gives nobody more."""
    moment = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    bucket = Bucket(10, 5)
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    moment += 0.1
    assert [bucket.take() for _ in range(2)] == [True, False]
    moment += 1e9
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]


def test_connections_beyond_sixteen_are_turned_away_until_one_ends(
    ends: Ends, tree: Path, partner: ssl.SSLContext
) -> None:
    with serving(tree, ends.ours, ends.theirs) as listener, contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connected(listener.port, partner)) for _ in range(MAX_CONNECTIONS)]
        for sock in socks:
            assert said(sock, request("/own/checkpoint", close=False)).startswith(b"HTTP/1.1 200")
        assert ask(listener.port, partner, request("/own/checkpoint")).data == b""
        assert listener.turned_away == 1
        assert said(socks[0], request("/own/checkpoint", close=False)).startswith(b"HTTP/1.1 200"), "the others stay"
        socks[0].close()
        until(lambda: ask(listener.port, partner, request("/own/checkpoint")).data.startswith(b"HTTP/1.1 200"))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(b"", id="say nothing", marks=pytest.mark.slow),
        pytest.param(b"GET /own/checkpoint HTTP/1.1\r\nX: ", id="never end a header"),
        pytest.param(GET, id="stay after an answer", marks=pytest.mark.slow),
        pytest.param(GET.replace(b"own/checkpoint", b"blob/" + b"bb" * 32), id="never read an answer"),
    ],
)
def test_slow_connections_do_not_keep_the_partner_out_for_ever(
    ends: Ends, tree: Path, partner: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, words: bytes
) -> None:
    """All sixteen places are taken by connections that hang; each is ended, and the next is served."""
    monkeypatch.setattr(serve_partner, "IDLE_S", 1.0 if words == GET else 0.2)
    with serving(tree, ends.ours, ends.theirs) as listener, contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connected(listener.port, partner)) for _ in range(MAX_CONNECTIONS)]
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.sendall(words)
        until(lambda: ask(listener.port, partner, request("/own/checkpoint")).data.startswith(b"HTTP/1.1 200"))
        for sock in socks:
            assert listen(sock).ended != "TimeoutError"


def test_a_connection_that_drips_its_request_is_ended(
    ends: Ends, tree: Path, partner: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte in time, the whole not: a request has one deadline."""
    monkeypatch.setattr(serve_partner, "IDLE_S", 0.2)
    with serving(tree, ends.ours, ends.theirs) as listener, connected(listener.port, partner) as sock:
        with pytest.raises(OSError):  # noqa: PT011, PT012 - a reset, a broken pipe or an end, as it comes
            sock.sendall(b"GET /own/checkpoint HTTP/1.1\r\nX: ")
            for _ in range(2000):
                sock.sendall(b"a")
                time.sleep(0.01)
        assert listen(sock).data == b""


@pytest.mark.slow
def test_a_long_answer_may_take_longer_than_a_request(
    ends: Ends, tree: Path, partner: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other end takes what is sent, slowly: a bundle over a thin line arrives."""
    monkeypatch.setattr(serve_partner, "IDLE_S", 0.8)
    with serving(tree, ends.ours, ends.theirs) as listener:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        plain.settimeout(20)
        plain.connect((HOST, listener.port))
        with plain, partner.wrap_socket(plain) as sock:
            sock.sendall(request(f"/blob/{'bb' * 32}"))
            size = 0
            while data := sock.recv(65_536):
                size += len(data)
                time.sleep(0.001)
    assert size > BIG


def flood(port: int, count: int) -> subprocess.Popen[bytes]:
    """A stranger with this many connections, half of which have begun to speak, none of which goes on."""
    made = subprocess.Popen(
        [sys.executable, "-c", FLOOD, str(port), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert made.stdout is not None
    assert made.stdout.readline() == b"held\n"
    return made


def end(process: subprocess.Popen[bytes]) -> None:
    """The process and its pipes are gone."""
    process.kill()
    process.communicate()


def open_files() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


def test_a_strangers_flood_of_connections_keeps_the_partner_neither_waiting_nor_out(
    ends: Ends, tree: Path, partner: ssl.SSLContext
) -> None:
    """The open connection is served meanwhile, new ones are made; the flood takes sixty-four places, not 150."""
    with serving(tree, ends.ours, ends.theirs) as listener, connected(listener.port, partner) as sock:
        assert said(sock, request("/own/checkpoint", close=False)).startswith(b"HTTP/1.1 200")
        before = open_files()
        stranger = flood(listener.port, 150)
        try:
            for _ in range(20):
                assert said(sock, request("/own/checkpoint", close=False)).startswith(b"HTTP/1.1 200")
                assert ask(listener.port, partner, request("/own/checkpoint")).data.startswith(b"HTTP/1.1 200")
            until(lambda: open_files() <= before + MAX_STRANGERS + 4, "an end of what is too much")
        finally:
            end(stranger)
        until(lambda: open_files() <= before)


def test_a_strangers_flood_takes_no_place_of_those_who_come_from_elsewhere(
    ends: Ends, tree: Path, partner: ssl.SSLContext
) -> None:
    """The partner was there first and speaks last, over a slow line: the stranger's own connections gave way."""
    with (
        serving(tree, ends.ours, ends.theirs) as listener,
        socket.create_connection((HOST, listener.port), 20) as plain,
    ):
        stranger = flood(listener.port, 150)
        try:
            with partner.wrap_socket(plain) as sock:
                assert said(sock, request("/own/checkpoint")).startswith(b"HTTP/1.1 200")
        finally:
            end(stranger)


def test_strangers_who_wait_do_not_keep_the_listener_from_stopping(ends: Ends, tree: Path) -> None:
    with serving(tree, ends.ours, ends.theirs) as listener:
        stranger = flood(listener.port, 30)
    end(stranger)
    assert not listener._thread.is_alive()


# Starting and stopping


class Credulous(ssl.SSLObject):
    """What TLS would be if it believed everybody to be the partner."""

    shown: bytes

    def getpeercert(self, binary_form: bool = False) -> bytes:  # type: ignore[override]
        """The partner's certificate, whoever it is."""
        del binary_form
        return self.shown


def test_start_refuses_when_a_stranger_gets_an_answer(ends: Ends, tree: Path) -> None:
    """Both defences are gone: TLS asks for no certificate, and shows the partner's for whoever comes."""
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - in this test alone

    context = ends.ours.context(ends.theirs.identity.ca, server=True)
    context.verify_mode = ssl.CERT_NONE
    context.sslobject_class = type(
        "Deceived", (Credulous,), {"shown": ends.theirs.shown("leaf").public_bytes(Encoding.DER)}
    )
    listener = Listener(tree, context, ends.theirs.identity.key.__eq__, host=HOST, port=0)
    with pytest.raises(StateError, match="without a certificate"):
        listener.start()
    assert not listener._thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, listener.port))


def test_a_context_that_verifies_nobody_is_not_enough_to_let_a_stranger_in(ends: Ends, tree: Path) -> None:
    """The pin is a second defence: who shows no certificate is turned away though TLS asked for none."""
    context = ends.ours.context(ends.theirs.identity.ca, server=True)
    context.verify_mode = ssl.CERT_NONE
    listener = Listener(tree, context, lambda _: True, host=HOST, port=0)
    listener.start()
    try:
        assert ask(listener.port, client(ends.folder), request("/own/checkpoint")).data == b""
        assert listener.turned_away == 2
    finally:
        listener.stop()


def test_a_server_that_answers_strangers_is_told_from_one_that_does_not(ends: Ends, listener: Listener) -> None:
    """And from one that is not there: then nothing was tried, and nothing is claimed."""
    context = server(ends.folder, [ends.ours.shown("leaf")], ends.ours.holder("leaf").key)
    with Server(context, lambda sock, _: sock.sendall(answer(b"welcome"))) as open_house:
        assert answers_strangers(HOST, open_house.port)
    assert not answers_strangers(HOST, listener.port)
    with pytest.raises(OSError, match="refused"):
        answers_strangers(HOST, open_house.port)


def test_a_listener_that_stops_finishes_what_it_sends_and_leaves_nothing_open(
    ends: Ends, tree: Path, partner: ssl.SSLContext
) -> None:
    """A file of three megabytes that is under way arrives whole; then the port is free, no file or thread is left."""
    threads, before = set(threading.enumerate()), open_files()
    for _ in range(3):
        with serving(tree, ends.ours, ends.theirs) as listener:
            idle = socket.create_connection((HOST, listener.port))
            with connected(listener.port, partner) as sock:
                sock.sendall(request(f"/blob/{HEX}", close=False))
                first = sock.recv(1)
                stopper = threading.Thread(target=listener.stop)
                stopper.start()
                rest = listen(sock).data
            stopper.join()
            idle.close()
            assert body_of(first + rest) == (tree / "blob" / HEX).read_bytes()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((HOST, listener.port))
    until(lambda: set(threading.enumerate()) == threads)
    until(lambda: open_files() <= before)


@pytest.mark.parametrize("reads", [True, False], ids=["never closes", "never reads"])
def test_a_partner_that_hangs_does_not_keep_the_listener_from_stopping(
    ends: Ends, tree: Path, partner: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    """It has its time (here none); then its connection is cut, and nothing of it stays open."""
    monkeypatch.setattr(serve_partner, "STOP_S", 0)
    before = open_files()
    with serving(tree, ends.ours, ends.theirs) as listener, connected(listener.port, partner) as sock:
        sock.sendall(request(f"/blob/{HEX if reads else 'bb' * 32}", close=False))
        sock.recv(1)
        stopper = threading.Thread(target=listener.stop)
        stopper.start()
        if reads:
            listen(sock)
        stopper.join()
        assert open_files() <= before + 1, "only the end that hangs"


def test_an_address_that_cannot_be_listened_at_is_said_in_words(ends: Ends, tree: Path, listener: Listener) -> None:
    context = ends.ours.context(ends.theirs.identity.ca, server=True)
    for host, port in ((HOST, listener.port), ("192.0.2.1", 0), ("no.such.host.invalid", 0), ("a..b", 0), ("", 0)):
        with pytest.raises(UsageError):
            Listener(tree, context, lambda _: True, host=host, port=port)


@pytest.mark.parametrize(
    "text", ["", "8443", ":8443", "host", "host:", "host:port", "host:65536", "host:-1", "host:٨٤"]
)
def test_what_is_no_host_and_port_is_said_in_words(text: str) -> None:
    with pytest.raises(UsageError):
        split_address(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [("192.0.2.1:8443", ("192.0.2.1", 8443)), ("[::1]:1", ("::1", 1)), ("a.example:0", ("a.example", 0))],
)
def test_host_and_port_are_taken_apart(text: str, place: tuple[str, int]) -> None:
    assert split_address(text) == place
