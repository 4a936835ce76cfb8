"""What rivals get wrong, and what the standard leaves to be got wrong, in requests that read.

Source: the facts page's "Traps in TAXII 2.1" and "Defects reproduced"; TAXII 2.1 (OASIS Standard), 1.6, 3.4, 3.5, 5.
"""

import base64
import re
from collections.abc import Callable, Iterator

import pytest
from stix_objects import as_bytes, indicator

from entente import keys
from lab.pair import Pair, Template
from lab.site import ROOT, TAXII, Site, details, id_of, marked

CHEAP = 2**5
OBJECTS = "collections/own/objects/"
STAMP = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z")


@pytest.fixture(scope="module")
def site(templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A node with nine objects of its own, the first in three versions."""
    with pytest.MonkeyPatch.context() as cheap:
        cheap.setattr(keys, "_ARGON2_KIB", CHEAP)
        pair = Pair(templates("india-korea"), tmp_path_factory.mktemp("pair"))
        made = Site(pair, pair.codes[0])
        for number in range(1, 10):
            made.add("rung0", marked(number, 0))
        made.add("rung0", marked(1, 0, modified="2026-03-01T00:00:00.1948Z"))
        made.add("rung0", marked(1, 0, modified="2026-02-01T00:00:00.123456789Z"))
        yield made
        made.close()
        pair.close()


def count(site: Site, query: str, path: str = OBJECTS) -> int:
    answer = site.ask("rung0", f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    return len(answer.json().get("objects", answer.json().get("versions", [])))


# Limit and times


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", "1e3", "", "%20", "+1", "٣", "0x1", "00", "-0", "1,2", "NaN"])
@pytest.mark.parametrize("endpoint", ["objects/", "manifest/", f"objects/{id_of(1)}/", f"objects/{id_of(1)}/versions/"])
def test_a_limit_that_is_no_number_above_nought_is_refused(site: Site, limit: str, endpoint: str) -> None:
    answer = site.ask("rung0", f"collections/own/{endpoint}?limit={limit}")
    assert answer.status_code == 400
    assert details(answer)["description"].startswith("limit: ")


@pytest.mark.parametrize("limit", ["1000", "1001", "999999999", str(10**30), str(10**300), "0009"])
def test_a_limit_above_the_largest_is_taken_as_the_largest(site: Site, limit: str) -> None:
    assert count(site, f"limit={limit}") == 9


@pytest.mark.parametrize("limit", range(1, 13))
def test_pages_of_every_size_hold_each_object_once(site: Site, limit: int) -> None:
    for query in ("match[version]=all", ""):
        found = [(one["id"], one["modified"]) for one in site.listed("rung0", OBJECTS, f"limit={limit}&{query}")]
        assert len(found) == len(set(found)) == (11 if query else 9)
    manifest = site.listed("rung0", "collections/own/manifest/", f"limit={limit}&match[version]=all")
    assert [one["date_added"] for one in manifest] == sorted({one["date_added"] for one in manifest})
    assert len(manifest) == 11
    last = site.ask("rung0", f"{OBJECTS}?limit=9").json()
    assert last["more"] is False
    assert "next" not in last


def test_versions_are_paged_too(site: Site) -> None:
    path = f"{OBJECTS}{id_of(1)}/versions/"
    whole = site.ask("rung0", path).json()
    first = site.ask("rung0", f"{path}?limit=2").json()
    rest = site.ask("rung0", f"{path}?limit=2&next={first['next']}").json()
    assert (first["more"], whole["more"], rest["more"]) == (True, False, False)
    assert first["versions"] + rest["versions"] == whole["versions"]
    assert len(whole["versions"]) == 3


TIMES = [
    "2000-01-01T00:00:00Z", "2000-01-01T00:00:00.0Z", "2000-01-01T00:00:00.1234Z", "2000-01-01T00:00:00.123456Z",
    "2000-01-01T00:00:00.123456789Z", "2000-01-01T00:00:00%2B00:00", "2000-01-01T00:00:00+00:00",
    "2000-01-01T09:00:00-05:30",
    "2000-01-01t00:00:00z", "1960-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
]  # fmt: skip


@pytest.mark.parametrize("after", TIMES)
def test_added_after_is_read_however_it_is_written(site: Site, after: str) -> None:
    assert count(site, f"added_after={after}") == 9


@pytest.mark.parametrize(
    "after",
    [
        "garbage", "", "2000-01-01", "2000-01-01T00:00:00", "2000-13-01T00:00:00Z", "2000-01-01 00:00:00Z", "0", "-1",
        "2000-01-01T00:00:00.Z", "2000-01-01T00:00:00,5Z", "2000-01-01T24:00:00Z", "2000-02-30T00:00:00Z",
        "٢٠٠٠-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00%2B23:59",
        "2000-01-01T00:00:00+99:99", "now",
        "2000-01-01T00:00:00Z,x", "2000-01-01T00:00:00ZZ", "99999-01-01T00:00:00Z",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["added_after", "match[version]"])
def test_what_is_no_time_is_refused(site: Site, name: str, after: str) -> None:
    answer = site.ask("rung0", f"{OBJECTS}?{name}={after}")
    assert answer.status_code == 400, answer.text
    assert details(answer)["description"].startswith(f"{name}: ")


def test_added_after_is_strictly_after_and_rounded_down(site: Site) -> None:
    page = site.ask("rung0", f"{OBJECTS}?limit=4")
    first, last = (page.headers[f"X-TAXII-Date-Added-{end}"] for end in ("First", "Last"))
    assert STAMP.fullmatch(first)
    assert STAMP.fullmatch(last)
    assert first < last
    everything = [one["id"] for one in site.listed("rung0", "collections/own/manifest/")]
    following = [one["id"] for one in site.listed("rung0", "collections/own/manifest/", f"added_after={last}")]
    assert following == everything[4:]
    # a microsecond more is cut off, so that nothing is passed over: what was read last may come again
    assert [one["id"] for one in site.listed("rung0", OBJECTS, f"added_after={last[:-1]}999Z")] == everything[4:]


def test_the_last_version_is_the_last_of_what_the_other_filters_leave(site: Site) -> None:
    """Version 2 was added after version 3: who has read version 3 is given version 2, not nothing."""
    path = f"{OBJECTS}{id_of(1)}/"
    manifest = site.listed("rung0", "collections/own/manifest/", f"match[id]={id_of(1)}&match[version]=all")
    assert [one["version"] for one in manifest] == [
        "2026-01-02T03:04:05.000Z", "2026-03-01T00:00:00.1948Z", "2026-02-01T00:00:00.123456789Z",
    ]  # fmt: skip
    assert [one["modified"] for one in site.ask("rung0", path).json()["objects"]] == [manifest[1]["version"]]
    late = site.ask("rung0", f"{path}?added_after={manifest[1]['date_added']}").json()["objects"]
    assert [one["modified"] for one in late] == [manifest[2]["version"]]


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("first", "2026-01-02T03:04:05.000Z"),
        ("last", "2026-03-01T00:00:00.1948Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02T03:04:05.000000000Z", "2026-01-02T03:04:05.000Z"),
        ("2026-03-01T00:00:00.194800Z", "2026-03-01T00:00:00.1948Z"),
        ("2026-02-01T00:00:00.123456789Z", "2026-02-01T00:00:00.123456789Z"),
        ("2026-02-01T00:00:00.123456788Z", ""),
        ("2026-02-01T00:00:00.123456Z", ""),
        ("2031-02-01T00:00:00Z", ""),
    ],
)
def test_versions_are_instants_to_the_last_digit(site: Site, version: str, found: str) -> None:
    answer = site.ask("rung0", f"{OBJECTS}{id_of(1)}/?match[version]={version}")
    assert [one["modified"] for one in answer.json().get("objects", [])] == [found] * bool(found)
    assert bool(found) == ("X-TAXII-Date-Added-Last" in answer.headers)
    if not found:
        assert answer.content == b"{}"


# Filters


@pytest.mark.parametrize(
    ("endpoint", "query"),
    [
        ("objects/", "limit=1&limit=2"),
        ("objects/", "limit=1&limit=1"),
        ("objects/", "match[id]=a--1&match[id]=a--1"),
        ("manifest/", "match[type]=indicator&match%5Btype%5D=malware"),
        ("objects/", "added_after=2000-01-01T00:00:00Z&added_after=2000-01-01T00:00:00Z"),
        ("objects/", "next=a&next=b"),
        ("objects/", "match[name]=x"),
        ("objects/", "match[]=x"),
        ("objects/", "match[id"),
        ("manifest/", "match[confidence]=1"),
        (f"objects/{id_of(1)}/", f"match[id]={id_of(1)}"),
        (f"objects/{id_of(1)}/", "match[type]=indicator"),
        (f"objects/{id_of(1)}/versions/", "match[version]=all"),
        ("objects/", "match[id]="),
        ("objects/", "match[id]=a,,b"),
        ("objects/", "match[type]=,"),
        ("objects/", "match[spec_version]=x"),
        ("objects/", "match[spec_version]=2"),
        ("objects/", "match[version]=first,garbage"),
        ("objects/", "match[id]=" + ",".join(f"a--{n}" for n in range(1001))),
    ],
)
def test_a_filter_that_is_doubled_unknown_or_empty_is_refused(site: Site, endpoint: str, query: str) -> None:
    answer = site.ask("rung0", f"collections/own/{endpoint}?{query}")
    assert answer.status_code == 400, answer.text
    details(answer)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("match[type]=indicator", 9),
        ("match[type]=indicator,malware", 9),
        ("match[type]=malware", 0),
        ("match[type]=INDICATOR", 0),
        (f"match[id]={id_of(1)},{id_of(2)}", 2),
        (f"match[id]={id_of(1)},%20{id_of(2)}%20", 2),
        (f"match[id]={id_of(1)}&match[type]=malware", 0),
        ("match[id]=%27%20or%201=1--", 0),
        ("match[id]=%25", 0),
        ("match[version]=all", 11),
        ("match[version]=first,last", 10),
        ("match[version]=all,first", 11),
        ("match[spec_version]=2.1", 9),
        ("match[spec_version]=2.0,2.1", 9),
        ("match[spec_version]=2.0", 0),
        ("match%5Bid%5D=" + id_of(1), 1),
        ("other=1&other=2", 9),
        ("match[id]=" + ",".join([id_of(1)] * 1200), 1),
    ],
)
def test_filters_choose(site: Site, query: str, found: int) -> None:
    assert count(site, query) == found
    assert count(site, query, "collections/own/manifest/") == found


# The cursor


def cursor(site: Site, path: str, name: str = "rung0") -> str:
    return str(site.ask(name, path).json()["next"])


def test_a_cursor_is_good_for_its_own_question_alone(site: Site) -> None:
    query = "match[type]=indicator&match[version]=all"
    given = cursor(site, f"{OBJECTS}?{query}&limit=2")
    own = next(one["id"] for one in site.ask("rung0", "collections/").json()["collections"] if one["alias"] == "own")
    good = [
        f"{OBJECTS}?{query}&limit=2",
        f"{OBJECTS}?{query}&limit=5",
        f"{OBJECTS}?{query}",
        f"collections/{own}/objects/?{query}",
    ]
    for path in good:
        assert site.ask("rung0", f"{path}&next={given}").status_code == 200, path
    elsewhere = [
        f"{OBJECTS}?limit=2", f"{OBJECTS}?match[type]=indicator&limit=2",
        f"{OBJECTS}?{query}&added_after=2000-01-01T00:00:00Z",
        f"{OBJECTS}?match[type]=indicator,malware&match[version]=all", f"collections/own/manifest/?{query}",
        f"collections/from-{site.partner}/objects/?{query}", f"{OBJECTS}?{query}&match[spec_version]=2.0",
        f"{OBJECTS}{id_of(1)}/?match[version]=all", f"{OBJECTS}{id_of(1)}/versions/?limit=1",
    ]  # fmt: skip
    for path in elsewhere:
        answer = site.ask("rung0", f"{path}&next={given}")
        assert answer.status_code == 400, path
        assert details(answer)["description"].startswith("next: ")
    assert site.ask("rung1", f"{OBJECTS}?{query}&limit=2&next={given}").status_code == 400


def test_a_cursor_that_was_edited_is_refused(site: Site) -> None:
    path = f"{OBJECTS}?limit=2"
    given = cursor(site, path)
    raw = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
    edited = [base64.urlsafe_b64encode(raw[:n] + bytes([raw[n] ^ 1]) + raw[n + 1 :]).decode() for n in range(len(raw))]
    edited += [
        given[:-1],
        given + "A",
        given + "AAAA",
        "A",
        "AA",
        "0",
        "1",
        "-1",
        "%00",
        "é",
        given.swapcase(),
        "x" * 5000,
    ]
    edited += [base64.urlsafe_b64encode(raw[:8]).decode(), base64.urlsafe_b64encode(b"\0" * len(raw)).decode()]
    for text in edited:
        answer = site.ask("rung0", f"{path}&next={text}")
        assert answer.status_code == 400, text
        details(answer)
    assert site.ask("rung0", f"{path}&next={given}").status_code == 200


def test_a_cursor_outlives_the_process(site: Site) -> None:
    path = f"{OBJECTS}?limit=2"
    given = cursor(site, path)
    again = Site(site.pair, site.code)
    assert again.ask("rung0", f"{path}&next={given}").status_code == 200
    again.close()


# Media types and slashes

GOOD = [
    "", "*/*", "application/*", "application/taxii+json", "application/taxii+json;version=2.1",
    "application/taxii+json; version=2.1", "application/taxii+json ; version = 2.1",
    'application/taxii+json;version="2.1"',
    "Application/TAXII+JSON;Version=2.1", "text/html, application/taxii+json;version=2.1;q=0.1",
    "text/html,*/*;q=0.8",
    "application/taxii+json;version=2.0, application/taxii+json;version=2.1", "application/taxii+json;q=0.5",
]  # fmt: skip
BAD = [
    "text/html", "application/json", "application/taxii+json;version=2.0", "application/taxii+json;version=3",
    "application/vnd.oasis.taxii+json;version=2.0", "application/stix+json;version=2.1", "text/*", "*/*;q=0",
    "garbage",
    "application/taxii+json;version=2.1;q=0", "application/taxii+json;version=", "application/taxii+jsonx", "*/json",
    ";", ",",
]  # fmt: skip
READS = ["/taxii2/", "", "collections/", "collections/own/", OBJECTS, "collections/own/manifest/",
f"{OBJECTS}{id_of(2)}/",
         f"{OBJECTS}{id_of(2)}/versions/"]  # fmt: skip


@pytest.mark.parametrize("accept", GOOD)
def test_what_accepts_taxii_21_is_given_it(site: Site, accept: str) -> None:
    for path in READS:
        answer = site.ask("rung0", path, Accept=accept or "*/*")
        assert answer.status_code == 200, (path, answer.text)
        assert answer.headers["content-type"] == TAXII


def test_what_says_nothing_of_what_it_accepts_is_given_it(site: Site) -> None:
    request = site.client.build_request("GET", f"{ROOT}/", headers={"Authorization": f"Bearer {site.token('rung0')}"})
    del request.headers["Accept"]
    assert site.client.send(request).status_code == 200


@pytest.mark.parametrize("accept", BAD)
def test_what_accepts_something_else_is_refused_in_json(site: Site, accept: str) -> None:
    for path in READS:
        answer = site.ask("rung0", path, Accept=accept)
        assert answer.status_code == 406, path
        assert details(answer)["http_status"] == "406"


@pytest.mark.parametrize("path", READS)
def test_a_slash_at_the_end_makes_no_difference(site: Site, path: str) -> None:
    with_slash = site.ask("rung0", path or f"{ROOT}/")
    without = site.ask("rung0", path.rstrip("/") if path else ROOT)
    assert with_slash.status_code == without.status_code == 200
    assert with_slash.content == without.content


# Resources


def test_resources_are_as_the_standard_has_them(site: Site) -> None:
    found = site.ask("rung0", "/taxii2/").json()
    assert found["default"] == f"{ROOT}/"
    assert found["api_roots"] == [f"{ROOT}/"]
    root = site.ask("rung0", f"{ROOT}/").json()
    assert root["versions"] == [TAXII]
    assert root["max_content_length"] == 64 << 20
    collections = site.ask("rung0", "collections/").json()["collections"]
    assert [one["alias"] for one in collections] == ["own", f"from-{site.partner}", f"to-{site.partner}"]
    assert [(one["can_read"], one["can_write"]) for one in collections] == [(True, True), (True, False), (True, True)]
    for one in collections:
        assert site.ask("rung0", f"collections/{one['id']}/").json() == one
        assert site.ask("rung0", f"collections/{one['alias']}/").json() == one
    assert site.ask("rung0", f"collections/from-{site.partner}/objects/").content == b"{}"
    record = site.ask("rung0", f"collections/own/manifest/?match[id]={id_of(2)}").json()["objects"][0]
    assert set(record) == {"id", "date_added", "version", "media_type"}
    assert record["media_type"] == "application/stix+json;version=2.1"
    assert STAMP.fullmatch(record["date_added"])


def test_objects_are_given_back_byte_for_byte(site: Site) -> None:
    odd = as_bytes(indicator(50, description="हिन्दी 한국어 \u2028")).replace(b'","', b'" ,\n "') + b" "
    site.add("rung0", odd)
    answer = site.ask("rung0", f"{OBJECTS}{id_of(50)}/")
    assert odd.rstrip() in answer.content
    assert site.ask("rung0", f"{OBJECTS}{id_of(50)}", "DELETE").status_code == 200
