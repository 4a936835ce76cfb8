"""What no client library would send: requests that lie about their length, grow a thousandfold, or never end.

Each is refused or dropped, in JSON where there is an answer; none is understood in two ways, none harms the next.
"""

import gzip
import json
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
from listening import HOST, OWN, TAXII, Listening, listening, new_pair
from stix_objects import as_bytes, indicator

from entente.areas.intelligence.taxii import MAX_BODY
from lab.pair import Template

pytestmark = pytest.mark.allow_hosts([HOST])
OBJECTS = f"{OWN}objects/"
BOMB = 1 << 28
GROWTH = 64 << 20  # far below what any of the bombs unpacks to


@pytest.fixture(scope="module")
def node(templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """A node with nothing of its own, which in the end still takes in what is right."""
    place = tmp_path_factory.mktemp("raw")
    with new_pair(templates("india-korea"), place) as pair, listening(pair, pair.codes[0]) as found:
        yield found
        found.add([indicator(1)])
        assert [item["id"] for item in found.ask("GET", OBJECTS).json["objects"]] == [indicator(1)["id"]]


@pytest.fixture
def served(node: Listening) -> Iterator[Listening]:
    """The same; whatever a test sent, it goes on serving and took in nothing."""
    yield node
    assert node.ask("GET", OBJECTS).json == {}


def head(served: Listening, *lines: str, method: str = "POST", path: str = OBJECTS) -> bytes:
    always = (
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}:{served.port}",
        f"Authorization: {served.authorization}",
        f"Accept: {TAXII}",
        f"Content-Type: {TAXII}",
    )
    return "\r\n".join((*always, *lines, "", "")).encode()


def envelope(number: int = 9) -> bytes:
    return json.dumps({"objects": [indicator(number)]}).encode()


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def peak_bytes() -> int:
    lines = (line.split() for line in Path("/proc/self/status").read_text().split("\n"))
    return next(int(words[1]) << 10 for words in lines if words[:1] == ["VmHWM:"])


def test_a_length_and_chunks_at_once_are_taken_by_neither(served: Listening) -> None:
    """RFC 9112, 6.3: two ways to say where a message ends are how one request is smuggled inside another."""
    inner = head(served, f"Content-Length: {len(envelope())}") + envelope()
    for lines in (
        (f"Content-Length: {len(chunked(envelope()))}", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 0"),
    ):
        found = served.raw(head(served, *lines) + chunked(envelope()) + inner, answers=3)
        assert all(each.status >= 400 for each in found[-1:])


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Content-Length: 5000"),
        ("Content-Length: -1",),
        ("Content-Length: +20",),
        ("Content-Length: 0x10",),
        ("Content-Length: 99999999999999999999999",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_refused(served: Listening, lines: tuple[str, ...]) -> None:
    (found,) = served.raw(head(served, *lines) + envelope())
    assert 400 <= found.status < 500


def test_a_body_shorter_than_its_length_is_not_taken_in(served: Listening) -> None:
    """The objects are all there, and then the client is gone: it never said that this was all."""
    found = served.raw(head(served, f"Content-Length: {len(envelope()) + 1}") + envelope(), finish=True)
    assert not found or found[0].status >= 400


def test_a_body_longer_than_its_length_is_cut_there_and_refused(served: Listening) -> None:
    found = served.raw(head(served, f"Content-Length: {len(envelope()) - 1}") + envelope(), answers=2)
    assert found
    assert all(400 <= each.status < 500 for each in found)


def test_chunks_that_never_end_are_not_taken_in(served: Listening) -> None:
    found = served.raw(head(served, "Transfer-Encoding: chunked") + chunked(envelope())[:-5], finish=True)
    assert not found or found[0].status >= 400


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"5;" + b"x" * 100_000 + b"\r\n"])
def test_a_chunk_of_no_size_is_refused(served: Listening, chunk: bytes) -> None:
    (found,) = served.raw(head(served, "Transfer-Encoding: chunked") + chunk + envelope())
    assert 400 <= found.status < 500


def test_more_than_is_taken_is_refused_before_it_is_read(served: Listening) -> None:
    before = peak_bytes()
    (answer,) = served.raw(head(served, f"Content-Length: {MAX_BODY + 1}") + envelope())
    assert answer.refuses(413)
    assert peak_bytes() - before < GROWTH


@pytest.mark.slow
def test_chunks_of_more_than_is_taken_are_refused_on_the_way(served: Listening) -> None:
    piece, before = chunked(b" " * (1 << 20))[:-5], peak_bytes()
    with socket.create_connection((HOST, served.port), timeout=20) as connected:
        connected.sendall(head(served, "Transfer-Encoding: chunked"))
        for _ in range(4 * MAX_BODY >> 20):
            connected.sendall(piece)
        response = HTTPResponse(connected)  # in the middle of the request
        response.begin()
        assert response.status == 413
    assert peak_bytes() - before < 2 * MAX_BODY


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("x-gzip", gzip.compress)]
)
def test_a_bomb_is_not_unpacked(served: Listening, coding: str, pack: type) -> None:
    """A quarter of a megabyte that unpacks to 256 of spaces before an envelope."""
    squeezer = zlib.compressobj(9, wbits=31 if "gzip" in coding else 15)
    block = b" " * (1 << 20)
    bomb = b"".join(squeezer.compress(block) for _ in range(BOMB >> 20)) + squeezer.compress(envelope())
    bomb += squeezer.flush()
    before, began = peak_bytes(), time.monotonic()
    assert served.ask("POST", OBJECTS, bomb, Content_Encoding=coding).refuses(415)
    (answer,) = served.raw(head(served, f"Content-Encoding: {coding}", "Transfer-Encoding: chunked") + chunked(bomb))
    assert answer.refuses(415)
    assert served.ask("POST", OBJECTS, bomb).refuses(400)
    assert peak_bytes() - before < GROWTH
    assert time.monotonic() - began < 10
    assert served.ask("POST", OBJECTS, pack(envelope()), Content_Encoding=f"identity, {coding}").refuses(415)


def test_deep_nesting_is_refused_as_json_of_another_kind(served: Listening) -> None:
    for body in (
        b'{"objects":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"objects":[' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"]}",
        b'{"objects":[' + b'{"a":' * 100_000,
    ):
        answer = served.ask("POST", OBJECTS, body)
        assert answer.refuses(400) or answer.json["success_count"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"objects"',
        b'{"objects":{}}',
        b'{"objects":null}',
        b'{"objects":[],"objects":[{}]}',
        b"\xef\xbb\xbf{}",
        '{"objects":[]}'.encode("utf-16"),
        b'{"objects":[1e999]',
        b'{"objects":[]}{"objects":[]}',
    ],
)
def test_what_is_no_envelope_is_refused_in_json(served: Listening, body: bytes) -> None:
    assert served.ask("POST", OBJECTS, body).refuses(400)


def test_bytes_that_are_no_utf_8_spoil_their_own_object_alone(served: Listening) -> None:
    body = b'{"objects":["\xff\xfe",' + as_bytes(indicator(5)).replace(b"example", b"ex\xffmple") + b"]}"
    status = served.ask("POST", OBJECTS, body).json
    assert (status["success_count"], status["failure_count"]) == (0, 2)


@pytest.mark.parametrize("path", ["/taxii2/" + "a" * 70_000, OBJECTS + "?" + "added_after=1&" * 10_000])
def test_a_line_that_is_far_too_long_is_refused(served: Listening, path: str) -> None:
    (found,) = served.raw(head(served, "Connection: close", method="GET", path=path))
    assert 400 <= found.status < 500


@pytest.mark.parametrize(
    "path",
    [
        f"{OBJECTS}%2e%2e/%2e%2e/",
        f"{OBJECTS}..%2f..%2fnode.db/",
        f"{OBJECTS}%00/",
        f"{OBJECTS}%ff%fe/",
        f"{OWN}objects//",
        "/taxii2//intelligence/",
        f"{OBJECTS}?match[id]=%00%ff",
        f"{OBJECTS}?added_after=%F0%9F%98%80",
        f"{OBJECTS}?limit=%D9%A1",
        f"{OBJECTS}?next=%2e%2e",
    ],
)
def test_an_odd_path_or_query_has_a_json_answer_of_its_own(served: Listening, path: str) -> None:
    answer = served.ask("GET", path)
    assert answer.status == 200 or answer.refuses(400) or answer.refuses(404)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "CONNECT", "FOO", "OPTIONS", "DELETE"])
def test_a_method_that_is_not_there_is_refused(served: Listening, method: str) -> None:
    (found,) = served.raw(head(served, "Connection: close", "Content-Length: 0", method=method))
    assert found.status in {400, 405}


@pytest.mark.parametrize(("path", "methods"), [(OBJECTS, {"GET", "POST"}), (f"{OBJECTS}x/", {"GET", "DELETE"})])
def test_a_refused_method_is_told_all_that_there_are(served: Listening, path: str, methods: set[str]) -> None:
    """RFC 9110, 15.5.6: Allow lists what the resource takes."""
    answer = served.ask("PUT", path, b"{}")
    assert answer.refuses(405)
    assert {each.strip() for each in answer.headers["allow"].split(",")} - {"HEAD"} == methods


def test_requests_behind_one_another_are_each_answered_in_order(served: Listening) -> None:
    one = head(served, method="GET") + head(served, method="GET", path="/taxii2/")
    first, second = served.raw(one, answers=2)
    assert first.status == 200
    assert "api_roots" not in first.json
    assert second.json["api_roots"]


def test_a_request_without_its_end_does_not_keep_others_waiting(served: Listening) -> None:
    held = [socket.create_connection((HOST, served.port), timeout=20) for _ in range(100)]
    for each in held:
        each.sendall(head(served, "Content-Length: 1000")[:-2])
    assert served.ask("GET", OBJECTS).status == 200
    for each in held:
        each.close()
