"""The client asks the origin it was given alone, takes answers that are TAXII 2.1 in size and time, and hides secrets.

The server is lab/taxii.Wicked, a foreign party on loopback.
"""

import gzip
import json
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from entente.areas.intelligence import taxii_wire
from entente.areas.intelligence.taxii_client import add, envelopes, find_collection, read_page
from entente.areas.intelligence.taxii_wire import Credentials, TaxiiError, Wire, origin_of
from entente.errors import UsageError
from lab.taxii import COLLECTION, HOST, MEDIA, PLACE, ROOT, Asked, Said, Shelf, Wicked, answer
from lab.tls import DAY, now, server

pytestmark = pytest.mark.allow_hosts([HOST])
SECRET = "saffron-kettle-9"  # noqa: S105 - invented
BASIC = "Basic YW5hOnNhZmZyb24ta2V0dGxlLTk="
OBJECTS = f"{PLACE}objects/"
MakeWire = Callable[..., Wire]


@pytest.fixture
def foreign() -> Iterator[Wicked]:
    with Wicked(Shelf([(n, b'{"n":%d}' % n) for n in range(5)])) as made:
        yield made


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def wire(foreign: Wicked, pauses: list[float]) -> Iterator[MakeWire]:
    with ExitStack() as stack:

        def make(auth: str = "", user: str = "", **more: object) -> Wire:
            made = Wire(foreign.url, Credentials(auth, user, SECRET.encode()), pause=pauses.append, **more)  # type: ignore[arg-type]
            return stack.enter_context(closing(made))

        yield make


def says(status: int = 200, body: bytes = b"{}", /, **headers: str) -> Callable[[Asked], Said]:
    named = {"Content-Type": MEDIA} | {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda _: (status, named, body)


# What is asked


def test_a_request_says_what_it_takes_who_asks_and_nothing_of_us(foreign: Wicked, wire: MakeWire) -> None:
    foreign.authorization = BASIC
    page = read_page(wire("basic", "ana"), foreign.url, after="2026-04-01T00:00:00.000000Z", cursor="", limit=3)
    assert page.objects == (b'{"n":0}', b'{"n":1}', b'{"n":2}')
    (asked,) = foreign.heard
    assert asked.query == {"added_after": "2026-04-01T00:00:00.000000Z", "limit": "3"}
    assert asked.headers == {
        "Host": f"{HOST}:{foreign.port}",
        "Accept": MEDIA,
        "Accept-Encoding": "identity",
        "Authorization": BASIC,
        "Connection": "keep-alive",
    }


def test_a_bearer_token_is_shown_as_such(foreign: Wicked, wire: MakeWire) -> None:
    foreign.authorization = f"Bearer {SECRET}"
    read_page(wire("bearer"), foreign.url)


def test_a_cookie_of_theirs_is_not_sent_back(foreign: Wicked, wire: MakeWire) -> None:
    foreign.scripts["GET", OBJECTS] = says(Set_Cookie="track=1; Path=/")
    asking = wire()
    for _ in range(2):
        read_page(asking, foreign.url)
    assert "Cookie" not in foreign.heard[-1].headers


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a/", "http://example.org/", "https://", "https://user:pw@example.org/", "//a/",
     "https://a b/", "https://a/#x", "http://169.254.169.254/", "https://[::1", "https://a:99999/"],
)  # fmt: skip
def test_a_url_that_must_not_be_asked_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError) as fault:
        origin_of(url)
    assert "pw" not in fault.value.explain()


@pytest.mark.parametrize("token", [b"", b"two words", b"line\r\nX-Evil: 1", "é".encode()])
def test_a_token_that_no_header_can_hold_is_refused_unshown(token: bytes) -> None:
    with pytest.raises(UsageError) as fault:
        Credentials("bearer", "", token)
    assert not token or token.decode() not in fault.value.explain()


# Where it does not go


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "http://127.0.0.2:1/", "http://localhost:1/", "https://127.0.0.1/", "gopher://x/", "//x/",
     "http://u:p@127.0.0.1/", "", "http://[::1"],
)  # fmt: skip
def test_a_redirect_to_another_origin_is_refused(foreign: Wicked, wire: MakeWire, target: str) -> None:
    asking = wire()
    statuses = (301, 302, 303, 307, 308)
    for status in statuses:
        foreign.scripts["GET", OBJECTS] = says(status, b"", Location=target)
        with pytest.raises(TaxiiError, match="another server") as fault:
            read_page(asking, foreign.url)
        assert fault.value.fault == "unfit"
        assert not target or target not in fault.value.explain(), "what it says is not repeated"
    assert len(foreign.heard) == len(statuses)


def test_a_redirect_at_home_is_followed_three_times(foreign: Wicked, wire: MakeWire) -> None:
    path = "/moved/"
    for number in range(3):
        foreign.scripts["GET", OBJECTS if not number else f"{path}{number}/"] = says(
            308, b"", Location=f"{path}{number + 1}/"
        )
    foreign.scripts["GET", f"{path}3/"] = says(200, b'{"objects":[{"a":1}]}')
    assert read_page(wire(), foreign.url).objects == (b'{"a":1}',)
    foreign.scripts["GET", f"{path}3/"] = says(308, b"", Location=f"{path}4/")
    with pytest.raises(TaxiiError, match="more than 3 redirects"):
        read_page(wire(), foreign.url)


def test_what_is_sent_is_not_sent_elsewhere(foreign: Wicked, wire: MakeWire) -> None:
    asking = wire()
    to = find_collection(asking, foreign.url)
    foreign.scripts["POST", OBJECTS] = says(307, b"", Location="/elsewhere/")
    with pytest.raises(TaxiiError, match="redirects what is sent"):
        add(asking, to, [b"{}"])
    assert foreign.heard[-1].path == OBJECTS


def test_an_api_root_at_another_origin_is_not_asked(foreign: Wicked, wire: MakeWire) -> None:
    foreign.scripts["GET", "/taxii2/"] = lambda _: answer({"title": "t", "api_roots": ["https://elsewhere.example/r/"]})
    with pytest.raises(TaxiiError, match="another server"):
        find_collection(wire(), foreign.base)


# What it takes


@pytest.mark.parametrize(
    "media",
    ["application/json", "text/html", "", "application/taxii+json;version=2.0", "application/vnd.oasis.taxii+json",
     "application/stix+json;version=2.1", "application/taxii+jsonx;version=2.1"],
)  # fmt: skip
def test_an_answer_of_another_media_type_is_refused(foreign: Wicked, wire: MakeWire, media: str) -> None:
    foreign.scripts["GET", OBJECTS] = says(200, b'{"objects":[]}', Content_Type=media)
    with pytest.raises(TaxiiError, match="its answer is not"):
        read_page(wire(), foreign.url)


@pytest.mark.parametrize(
    "media",
    [MEDIA, "application/taxii+json; version=2.1", 'Application/TAXII+JSON ;version="2.1"', MEDIA + ";charset=utf-8"],
)
def test_the_media_type_is_known_however_it_is_written(foreign: Wicked, wire: MakeWire, media: str) -> None:
    foreign.scripts["GET", OBJECTS] = says(200, b'{"objects":[{"a":1}]}', Content_Type=media)
    assert len(read_page(wire(), foreign.url).objects) == 1


def test_a_gzip_bomb_is_not_opened(foreign: Wicked, wire: MakeWire) -> None:
    bomb = gzip.compress(b'{"objects":[' + b" " * (64 << 20) + b"]}")
    foreign.scripts["GET", OBJECTS] = says(200, bomb, Content_Encoding="gzip")
    with pytest.raises(TaxiiError, match="encoded answer") as fault:
        read_page(wire(), foreign.url)
    assert fault.value.fault == "unfit", "it is not asked for in smaller pieces either"


@pytest.mark.parametrize("stated", [True, False])
def test_an_answer_beyond_the_limit_is_left_off(
    foreign: Wicked, wire: MakeWire, monkeypatch: pytest.MonkeyPatch, stated: bool
) -> None:
    monkeypatch.setattr(taxii_wire, "LARGEST_ANSWER", 1000)
    body = b" " * 5000
    length = str(len(body)) if stated else "10" * 300
    foreign.scripts["GET", OBJECTS] = says(200, body, Content_Length=length) if stated else _chunked
    with pytest.raises(TaxiiError, match="more than 64 MiB") as fault:
        read_page(wire(), foreign.url)
    assert fault.value.fault == "too large"


def _chunked(_: Asked) -> Said:
    body = b"".join(b"3e8\r\n" + b" " * 1000 + b"\r\n" for _ in range(5)) + b"0\r\n\r\n"
    return 200, {"Content-Type": MEDIA, "Transfer-Encoding": "chunked", "Content-Length": ""}, body


def test_a_server_that_drips_is_given_up_in_time(foreign: Wicked, wire: MakeWire) -> None:
    def drip(_: Asked) -> Said:
        time.sleep(0.6)
        return answer({})

    foreign.scripts["GET", OBJECTS] = drip
    with pytest.raises(TaxiiError, match=r"no whole answer within 0\.2 seconds") as fault:
        read_page(wire(answer_s=0.2), foreign.url)
    assert fault.value.fault == "away"


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_for_patience_gets_it_a_few_times(
    foreign: Wicked, wire: MakeWire, pauses: list[float], status: int
) -> None:
    foreign.scripts["GET", OBJECTS] = says(status, b"<html>busy</html>", Retry_After="7", Content_Type="text/html")
    with pytest.raises(TaxiiError, match="asks for patience"):
        read_page(wire(), foreign.url)
    assert pauses == [7.0, 7.0]


def test_a_server_that_is_gone_is_away(foreign: Wicked, wire: MakeWire) -> None:
    asking = wire()
    foreign.__exit__()
    with pytest.raises(TaxiiError, match="cannot be reached") as fault:
        read_page(asking, foreign.url)
    assert fault.value.fault == "away"
    foreign.__init__()  # type: ignore[misc]  # so that the fixture has one to end
    foreign.__enter__()


BROKEN = [
    b"", b"null", b"[]", b'{"objects":{}}', b'{"objects":[}', b'{"objects":[1],"objects":[2]}', b"<html>",
    b'{"objects":[' + b"[" * 5000 + b"]" * 5000 + b'],"more":tru}', b'{"more":' + b"[" * 5000, b"\xff\xfe{}",
]  # fmt: skip


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_a_page_that_cannot_be_read_in_one_way_only_is_unreadable(foreign: Wicked, wire: MakeWire, body: bytes) -> None:
    foreign.scripts["GET", OBJECTS] = says(200, body, X_TAXII_Date_Added_Last="2026-05-01T00:00:01Z")
    with pytest.raises(TaxiiError) as fault:
        read_page(wire(), foreign.url)
    assert fault.value.fault == "unreadable"
    assert fault.value.headers["x-taxii-date-added-last"] == "2026-05-01T00:00:01Z"


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"objects":null}', b'{"objects":[]}', b'{"more":false}', b'{"more":"x","next":null,"objects":null}'],
)
def test_an_empty_page_may_be_written_in_many_ways(foreign: Wicked, wire: MakeWire, body: bytes) -> None:
    foreign.scripts["GET", OBJECTS] = says(200, body)
    page = read_page(wire(), foreign.url)
    assert (page.objects, page.more, page.next) == ((), False, "")


def test_objects_under_another_key_are_not_taken_for_none(foreign: Wicked, wire: MakeWire) -> None:
    foreign.scripts["GET", OBJECTS] = says(200, b'{"items":[{"a":1}]}')
    with pytest.raises(TaxiiError, match="not under `objects`"):
        read_page(wire(), foreign.url)


def test_objects_are_the_bytes_that_came_and_a_broken_one_among_them_too(foreign: Wicked, wire: MakeWire) -> None:
    objects = [b'{ "a" : 1.50 }', b'{"b":NaN}', '{"c":"é"}'.encode()]
    foreign.scripts["GET", OBJECTS] = says(200, b'{"more":true,"next":7,"objects":[' + b" , ".join(objects) + b"]}")
    page = read_page(wire(), foreign.url)
    assert list(page.objects) == objects
    assert (page.more, page.next) == (True, "7")


# Finding a collection


@pytest.mark.parametrize("place", ["", "/", "/taxii2/", "/taxii2", ROOT])
@pytest.mark.parametrize("wanted", [COLLECTION, "all", "All of it"])
def test_a_collection_is_found_by_id_alias_or_title(foreign: Wicked, wire: MakeWire, place: str, wanted: str) -> None:
    found = find_collection(wire(), foreign.base + place, wanted)
    assert (found.url, found.root) == (foreign.url, foreign.base + ROOT)
    assert (found.can_read, found.can_write, found.most_bytes) == (True, True, 1 << 20)


@pytest.mark.parametrize(
    "tail", [f"collections/{COLLECTION}", f"collections/{COLLECTION}/", f"collections/{COLLECTION}/objects/"]
)
def test_a_collections_own_url_leaves_nothing_open(foreign: Wicked, wire: MakeWire, tail: str) -> None:
    assert find_collection(wire(), f"{foreign.base}{ROOT}{tail}").url == foreign.url


@pytest.mark.parametrize("wanted", ["", "nothing like it"])
def test_a_collection_that_is_not_named_clearly_is_asked_for(foreign: Wicked, wire: MakeWire, wanted: str) -> None:
    with pytest.raises(UsageError, match=r"collections there are meant[\s\S]*All of it"):
        find_collection(wire(), foreign.base, wanted)


def test_a_server_that_cannot_describe_a_collection_is_asked_for_its_objects(foreign: Wicked, wire: MakeWire) -> None:
    """OpenTAXII 0.9.3 answers 500, in HTML, to any question about its collections."""
    foreign.scripts["GET", PLACE] = says(500, b"<html></html>", Content_Type="text/html")
    assert find_collection(wire(), foreign.url).can_read
    foreign.scripts["GET", OBJECTS] = foreign.scripts["GET", PLACE]
    with pytest.raises(TaxiiError, match="status 500"):
        find_collection(wire(), foreign.url)


# Adding


def test_what_is_added_arrives_as_it_is_and_the_outcome_is_waited_for(
    foreign: Wicked, wire: MakeWire, pauses: list[float]
) -> None:
    asking = wire()
    to = find_collection(asking, foreign.url)
    pending = {"id": "s-1", "status": "pending", "success_count": 0}
    failures = [{"id": "indicator--1", "message": "no"}]
    foreign.statuses = [pending, pending, {"id": "s-1", "status": "complete", "success_count": 1, "failures": failures}]
    done = add(asking, to, [b'{ "a" : 1 }', b'{"b":2}'])
    assert (done.success, done.failed, done.pending) == (1, ("indicator--1",), 0)
    assert foreign.heard[2].body == b'{"objects":[{ "a" : 1 },{"b":2}]}'
    assert foreign.heard[2].headers["Content-Type"] == MEDIA
    assert len(pauses) == 2


@pytest.mark.parametrize("name", ["../../secret", "..", "a/b", "", None, 7, "x" * 200])
def test_a_status_that_cannot_be_asked_for_is_left_pending(foreign: Wicked, wire: MakeWire, name: object) -> None:
    asking = wire()
    to = find_collection(asking, foreign.url)
    foreign.statuses = [{"id": name, "status": "pending"}]
    assert add(asking, to, [b"{}"]).pending == 1
    assert foreign.heard[-1].method == "POST"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ({"success_count": 99}, (2, 0, 0)),
        ({"success_count": -1, "failure_count": 1}, (0, 1, 1)),
        ({"failures": [{}, {}, {}, {}]}, (0, 2, 0)),
        ({"success_count": None, "failures": "x"}, (0, 0, 2)),
        ({"success_count": True, "failure_count": 2, "failures": [{"id": "a"}]}, (0, 2, 0)),
    ],
)
def test_a_status_never_counts_more_than_was_sent(
    foreign: Wicked, wire: MakeWire, status: dict[str, object], outcome: tuple[int, int, int]
) -> None:
    asking = wire()
    foreign.statuses = [{"id": "s", "status": "complete", **status}]
    done = add(asking, find_collection(asking, foreign.url), [b"{}", b"{}"])
    assert (done.success, len(done.failed), done.pending) == outcome


def test_envelopes_hold_as_many_as_fit() -> None:
    found = list(envelopes([b"aaaa", b"bb", b"c" * 20, b"d", b"e", b"f"], 2, 10))
    assert found == [[b"aaaa", b"bb"], [b"c" * 20], [b"d", b"e"], [b"f"]]
    assert list(envelopes([], 2, 10)) == []


# Secrets


def test_a_secret_that_a_server_throws_back_is_in_no_error_and_no_log(
    foreign: Wicked, wire: MakeWire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f"{SECRET} {BASIC} YW5hOnNhZmZyb24ta2V0dGxlLTk="
    asking = wire("basic", "ana")
    said = []
    for status, body in ((401, echo), (400, echo), (500, echo), (200, echo), (200, json.dumps({"items": [echo]}))):
        foreign.scripts["GET", OBJECTS] = says(status, body.encode(), X_TAXII_Date_Added_Last=SECRET)
        with pytest.raises(TaxiiError) as fault:
            read_page(asking, foreign.url)
        said.append(fault.value.explain())
    foreign.scripts["GET", f"{ROOT}collections/"] = lambda _: answer({"collections": [{"id": echo, "title": echo}] * 2})
    with pytest.raises(UsageError) as usage:
        find_collection(asking, foreign.base + ROOT)
    foreign.statuses = [{"id": "s", "status": "complete", "failures": [{"id": echo}]}]
    said += [usage.value.explain(), *add(asking, find_collection(asking, foreign.url), [b"{}"]).failed]
    said += [caplog.text, repr(Credentials("basic", "ana", SECRET.encode()))]
    assert len(said) == 9
    for text in said:
        assert SECRET not in text
        assert "YW5hOnNhZmZyb24" not in text


# TLS


def test_a_certificate_that_is_not_trusted_is_refused_and_a_named_ca_is_trusted(tmp_path: Path) -> None:
    ca, context = here(tmp_path)
    none = Credentials("", "", b"")
    with Wicked(Shelf([(1, b"{}")]), context=context) as foreign:
        unknown = Wire(foreign.url, none, pause=lambda _: None)
        with closing(unknown), pytest.raises(TaxiiError, match="its certificate is not trusted"):
            read_page(unknown, foreign.url)
        with closing(Wire(foreign.url, none, ca=ca)) as known:
            assert read_page(known, foreign.url).objects == (b"{}",)
            foreign.scripts["GET", OBJECTS] = says(302, b"", Location=foreign.url.replace("https", "http"))
            with pytest.raises(TaxiiError, match="another server"):
                read_page(known, foreign.url)
    with pytest.raises(UsageError, match="no certificate"):
        Wire("https://example.org/", none, ca="nonsense")


def here(folder: Path) -> tuple[str, ssl.SSLContext]:
    """A certificate of this machine's own for 127.0.0.1, as PEM, and a server that shows it."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now() - DAY, now() + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, None)
    )
    return made.public_bytes(Encoding.PEM).decode(), server(folder, [made], key)
