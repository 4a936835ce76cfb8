"""What a tool adds is judged object by object; adding again changes nothing; what is refused is told with its reason.

Adding to `own` imports, adding to `to-` proposes; deleting takes from the shelf what one may see and nothing else.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from stix_objects import UUID, as_bytes, bundle_of, identifier, indicator

from entente import keys
from entente.areas.intelligence import taxii
from entente.errors import BusyError
from entente.node.node import Node
from entente.strict import time_text
from lab.acts import entered
from lab.pair import AREA, Pair, Template
from lab.site import ROOT, Site, details, envelope, id_of, marked

CHEAP = 2**5
OBJECTS = "collections/own/objects/"
FIRST = "2026-01-02T03:04:05.000Z"


@pytest.fixture(scope="module")
def make_site(
    templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(sample: str = "india-korea") -> Site:
        pair = Pair(templates(sample), tmp_path_factory.mktemp("pair"))
        made.append(Site(pair, pair.codes[0]))
        return made[-1]

    with pytest.MonkeyPatch.context() as cheap:
        cheap.setattr(keys, "_ARGON2_KIB", CHEAP)
        yield make
        for site in made:
            site.close()
            site.pair.close()


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


def post(site: Site, body: bytes, to: str = "own", **headers: str) -> httpx2.Response:
    return site.ask("rung4", f"collections/{to}/objects/", "POST", body=body, **headers)


def told(status: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Ids of successes and of failures; what else a status says must fit them."""
    good, bad = ([one["id"] for one in status[name]] for name in ("successes", "failures"))
    assert status["status"] == "complete"
    assert (status["success_count"], status["failure_count"], status["pending_count"]) == (len(good), len(bad), 0)
    assert status["total_count"] == len(good) + len(bad)
    assert all(one["message"] for one in status["failures"])
    return good, bad


def held(site: Site) -> tuple[object, ...]:
    """What the node holds, but for what tells that something was asked."""
    node = site.node
    return [row.id for row in node.db.sources()], [row.rid for row in node.db.drafts()], site.listed("rung4")


# Bodies


@pytest.mark.parametrize(
    "kind",
    [
        "", "application/json", "application/stix+json;version=2.1", "text/plain",
        "application/taxii+json;version=2.0", "*/*",
        "application/*", "application/taxii+json;version=2.1, text/plain", "multipart/form-data", "application/taxii",
    ],
)  # fmt: skip
def test_a_body_of_another_type_is_not_taken(site: Site, kind: str) -> None:
    before = held(site)
    answer = post(site, envelope(marked(1, 0)), Content_Type=kind)
    assert answer.status_code == 415
    details(answer)
    assert held(site) == before


@pytest.mark.parametrize("kind", ["application/taxii+json", 'Application/TAXII+json ; Version="2.1"'])
def test_a_body_of_this_type_is_taken_however_it_is_written(site: Site, kind: str) -> None:
    assert post(site, b"{}", Content_Type=kind).status_code == 202


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-gzip", "gzip, identity", "zstd", ""])
def test_a_packed_body_is_never_unpacked(site: Site, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b" " * (1 << 24) + envelope(marked(1, 0)))
    monkeypatch.setattr(zlib, "decompressobj", None)
    answer = post(site, bomb, **({"Content_Encoding": encoding} if encoding else {}))
    assert answer.status_code == (415 if encoding else 400)
    details(answer)


def test_identity_is_no_packing(site: Site) -> None:
    assert post(site, b"{}", Content_Encoding="identity").status_code == 202


def test_a_body_that_says_it_is_too_long_is_refused_unread(site: Site) -> None:
    def never() -> Iterator[bytes]:
        yield b"{"
        raise AssertionError

    for said in (taxii.MAX_BODY + 1, 10**40):
        headers = {"Authorization": f"Bearer {site.token('rung4')}", "Content-Type": taxii.TAXII}
        answer = site.client.post(f"{ROOT}/{OBJECTS}", content=b"{}", headers=headers | {"Content-Length": str(said)})
        assert answer.status_code == 413
        details(answer)


def test_a_body_that_turns_out_too_long_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taxii, "MAX_BODY", 1000)

    def pieces() -> Iterator[bytes]:
        yield from [b" " * 300] * 5

    headers = {"Authorization": f"Bearer {site.token('rung4')}", "Content-Type": taxii.TAXII}
    answer = site.client.post(f"{ROOT}/{OBJECTS}", content=pieces(), headers=headers)
    assert answer.status_code == 413
    exact = b"{}" + b" " * 998
    assert post(site, exact).status_code == 202
    assert post(site, exact + b" ").status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"[]", b"null", b"1", b'"x"', b"{", b'{"objects":}', b'{"objects":{}}', b'{"objects":null}',
        b'{"objects":1}',
        b'{"objects":[],"objects":[]}', b"\xef\xbb\xbf{}", '{"objects":[]}'.encode("utf-16"), b"\xff",
        b'{"objects":[]}x',
        b'{"objects":[' + b"[" * 100_000, b'{"x":' + b"[" * 70 + b"]" * 70 + b"}", b'{"a":1,"a":2}', b'{"a":NaN}',
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_refused_whole(site: Site, body: bytes) -> None:
    before = held(site)
    answer = post(site, body)
    assert answer.status_code == 400, answer.text
    details(answer)
    assert held(site) == before


@pytest.mark.parametrize("body", [b"{}", b'{"objects":[]}', b' {"more":false}\n', b'{"objects":[ ],"next":"x"}'])
def test_an_empty_envelope_is_taken_and_does_nothing(site: Site, body: bytes) -> None:
    before = held(site)
    assert told(post(site, body).json()) == ([], [])
    assert held(site) == before


# Objects


def test_one_bad_object_of_a_thousand_stops_no_other(site: Site) -> None:
    members = [marked(number, 0) for number in range(1000, 2000)]
    members[500] = as_bytes(indicator(1500, pattern="[nonsense"))
    good, bad = told(post(site, envelope(*members)).json())
    assert bad == [id_of(1500)]
    assert good == [id_of(number) for number in range(1000, 2000) if number != 1500]
    assert len(site.listed("rung4", query="match[type]=indicator")) >= 999


@pytest.mark.parametrize(
    ("member", "named"),
    [
        (bundle_of(marked(30, 0)), f"bundle--{UUID.format(0)}"),
        (as_bytes(indicator(31, id=None)), "unreadable"),
        (b"1", "unreadable"),
        (b"[]", "unreadable"),
        (b"null", "unreadable"),
        (b'{"type":"nonsense","id":"x"}', "unreadable"),
        (b"{}", "unreadable"),
        (as_bytes(indicator(32, id=5)), "unreadable"),
        (as_bytes(indicator(33, modified="canary")), id_of(33)),
        (as_bytes(indicator(34, created=["canary"])), "unreadable"),
        (as_bytes(indicator(35, spec_version="2.0")), id_of(35)),
        (as_bytes(indicator(36, modified="2025-01-01T00:00:00Z")), id_of(36)),
    ],
)
def test_a_bad_object_is_a_failure_with_its_reason(site: Site, member: bytes, named: str) -> None:
    before = site.listed("rung4")
    status = post(site, envelope(member)).json()
    assert told(status) == ([], [named])
    assert "canary" not in status["failures"][0]["version"]
    assert site.listed("rung4") == before


def test_an_object_without_spec_version_that_need_not_have_one_is_taken(site: Site) -> None:
    name = as_bytes({"type": "domain-name", "id": identifier("domain-name", 40), "value": "example.org"})
    status = post(site, envelope(name)).json()
    assert told(status) == ([identifier("domain-name", 40)], [])
    path = f"{OBJECTS}{identifier('domain-name', 40)}"
    added = site.ask("rung4", f"{path}/versions/").json()["versions"]
    assert len(added) == 1
    assert len(site.ask("rung4", f"{path}/?match[version]={added[0]}").json()["objects"]) == 1
    assert site.ask("rung4", f"{path}/?match[version]=2000-01-01T00:00:00Z").content == b"{}"


def test_adding_again_succeeds_and_changes_nothing(site: Site) -> None:
    body = envelope(marked(41, 0), marked(42, 1))
    first = post(site, body).json()
    before, manifest = held(site), site.listed("rung4", "collections/own/manifest/")
    second = post(site, body).json()
    assert first["successes"] == second["successes"]
    assert first["id"] != second["id"]
    spaced = json.dumps(json.loads(marked(41, 0)), indent=1, sort_keys=True).encode()
    third = post(site, envelope(spaced, marked(42, 1), marked(42, 1))).json()
    assert told(third) == ([id_of(41), id_of(42), id_of(42)], [])
    assert site.listed("rung4", "collections/own/manifest/") == manifest
    assert held(site)[2] == before[2]


def test_the_same_version_with_other_content_fails_with_both_hashes(site: Site) -> None:
    first = marked(43, 0)
    other = as_bytes(indicator(43, description="other"))
    post(site, envelope(first))
    status = post(site, envelope(other, marked(44, 0))).json()
    assert told(status) == ([id_of(44)], [id_of(43)])
    words = status["failures"][0]["message"]
    assert hashlib.sha256(first).hexdigest() in words
    assert hashlib.sha256(other).hexdigest() in words
    again = post(site, envelope(other, marked(44, 0))).json()
    assert told(again) == ([id_of(44)], [id_of(43)])
    site.node.rebuild()
    assert first in site.ask("rung4", f"{OBJECTS}{id_of(43)}/").content


def test_what_was_set_aside_once_is_told_again_though_its_reason_is_gone(site: Site) -> None:
    post(site, envelope(marked(45, 0)))
    body = envelope(as_bytes(indicator(45, description="other")))
    assert told(post(site, body).json())[1] == [id_of(45)]
    assert site.ask("rung4", f"{OBJECTS}{id_of(45)}/", "DELETE").status_code == 200
    assert told(post(site, body).json()) == ([], [id_of(45)])
    wider = envelope(as_bytes(indicator(45, description="other")), marked(46, 0))
    assert told(post(site, wider).json()) == ([id_of(45), id_of(46)], [])


def test_a_status_can_be_asked_for_later(site: Site) -> None:
    made = post(site, envelope(marked(47, 0))).json()
    for slash in ("", "/"):
        assert site.ask("rung4", f"status/{made['id']}{slash}").json() == made
    assert site.ask("rung4", "status/none/").status_code == 404


# Deleting


def versions(site: Site, number: int) -> list[str]:
    answer = site.ask("rung4", f"{OBJECTS}{id_of(number)}/versions/")
    return list(answer.json()["versions"]) if answer.status_code == 200 else []


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("", ""), ("match[version]=all", ""), ("match[version]=first", "BC"), ("match[version]=last", "AB"),
        ("match[version]=first,last", "B"), ("match[version]=2026-02-01T00:00:00.000Z", "AC"),
        ("match[version]=2031-01-01T00:00:00Z", "ABC"),
        ("match[spec_version]=2.0", "ABC"), ("match[spec_version]=2.1", ""),
    ],
)  # fmt: skip
def test_deleting_takes_the_chosen_versions_from_the_shelf(
    make_number: Callable[[], int], site: Site, query: str, left: str
) -> None:
    number = make_number()
    named = {"A": FIRST, "B": "2026-02-01T00:00:00.000Z", "C": "2026-03-01T00:00:00.000Z"}
    for version in named.values():
        post(site, envelope(marked(number, 0, modified=version)))
    path = f"{OBJECTS}{id_of(number)}"
    answer = site.ask("rung0", f"{path}/?{query}" if query else path, "DELETE")
    assert (answer.status_code, answer.content) == (200, b"")
    assert versions(site, number) == [named[letter] for letter in left]
    site.node.rebuild()
    assert versions(site, number) == [named[letter] for letter in left]
    post(site, envelope(marked(number, 0)))
    assert FIRST in versions(site, number), "it can be added again"
    site.node.rebuild()
    assert FIRST in versions(site, number)


@pytest.fixture(scope="module")
def make_number() -> Callable[[], int]:
    numbers = iter(range(60, 1000))
    return lambda: next(numbers)


def test_a_deleted_copy_does_not_hide_one_that_was_added_later(site: Site, make_number: Callable[[], int]) -> None:
    number, other = make_number(), make_number()
    post(site, envelope(marked(number, 0)))
    site.ask("rung4", f"{OBJECTS}{id_of(number)}/", "DELETE")
    post(site, envelope(marked(number, 0), marked(other, 0)))
    assert versions(site, number) == [FIRST]
    site.node.rebuild()
    assert versions(site, number) == [FIRST]


@pytest.mark.parametrize(
    "query", ["limit=1", "added_after=2000-01-01T00:00:00Z", "match[id]=x", "next=x", "match[version]=x"]
)
def test_a_filter_that_does_not_choose_versions_deletes_nothing(site: Site, query: str) -> None:
    post(site, envelope(marked(48, 0)))
    assert site.ask("rung4", f"{OBJECTS}{id_of(48)}/?{query}", "DELETE").status_code == 400
    assert versions(site, 48) == [FIRST]


@pytest.mark.parametrize("alias", ["from", "to"])
def test_what_crossed_is_not_deleted(site: Site, alias: str) -> None:
    answer = site.ask("rung4", f"collections/{alias}-{site.partner}/objects/{id_of(1)}/", "DELETE")
    assert answer.status_code == 403
    assert "withdraw" in details(answer)["description"]


def test_nothing_is_added_to_what_comes_from_the_partner(site: Site) -> None:
    before = held(site)
    answer = post(site, envelope(marked(1, 0)), to=f"from-{site.partner}")
    assert answer.status_code == 403
    details(answer)
    assert held(site) == before


# Proposing


def crossed(site: Site) -> str:
    return f"to-{site.partner}"


def test_adding_to_the_partners_collection_drafts_a_release_once(make_site: Callable[..., Site]) -> None:
    site = make_site()
    group = as_bytes({
        "type": "intrusion-set", "spec_version": "2.1", "id": identifier("intrusion-set", 7), "created": FIRST,
        "modified": FIRST, "name": "a group",
    })  # fmt: skip
    body = envelope(
        marked(1, 0),
        marked(2, 1),
        marked(3, None),
        group,
        marked(4, 2),
        marked(4, None, modified="2026-02-01T00:00:00.000Z"),
    )
    status = post(site, body, to=crossed(site)).json()
    good, bad = told(status)
    assert sorted(good) == sorted([id_of(1), id_of(4)])
    assert sorted(bad) == sorted([id_of(2), id_of(3), identifier("intrusion-set", 7), id_of(4)])
    reasons = {(one["id"], one["version"]): one["message"] for one in status["failures"]}
    assert all(re_article in words for re_article, words in zip(["(Art. "] * 4, reasons.values(), strict=True)), reasons
    assert "4(3)" in reasons[identifier("intrusion-set", 7), FIRST]
    assert (id_of(4), "2026-02-01T00:00:00.000Z") in reasons
    (draft,) = site.node.db.drafts()
    assert draft.state == "checked"
    again = post(site, body, to=crossed(site)).json()
    assert [sorted(ids) for ids in told(again)] == [sorted(good), sorted(bad)]
    assert len(site.node.db.drafts()) == 1
    assert not site.seen("rung4", crossed(site)), "nothing crossed yet"
    pair = site.pair
    pair.approve(site.node, draft.rid, "nair")
    pair.approve(site.node, draft.rid, "iyer", "security")
    site.node.dispatch([draft.rid])
    assert {own for own, _ in site.seen("rung4", crossed(site))} == set(good)
    assert told(post(site, body, to=crossed(site)).json())[0] == good
    assert len(site.node.db.drafts()) == 1


def test_what_may_not_cross_at_all_leaves_no_draft(make_site: Callable[..., Site]) -> None:
    site = make_site()
    for _ in range(2):
        status = post(site, envelope(marked(1, 1), marked(2, 4), marked(3, None)), to=crossed(site)).json()
        assert told(status) == ([], [id_of(1), id_of(2), id_of(3)])
        assert all("(Art. " in one["message"] for one in status["failures"])
    assert not list(site.node.db.drafts())


def granted(site: Site, level: int, *, count: int = 3) -> None:
    """A standing approval up to a level stands in the register."""
    node = site.node
    law = node.law.law
    covers = {
        "area": AREA, "ceiling": law.party[node.party].levels[level], "format": "stix-2.1",
        "purpose": (law.areas[AREA].purposes or ("",))[0], "view": "full",
    }  # fmt: skip
    until = time_text(node.clock() + timedelta(days=30))
    entered(site.pair, node, "standing", {"class": covers, "per_day": {"bytes": 10**6, "count": count}, "until": until})


def test_under_a_standing_approval_it_leaves_by_itself(make_site: Callable[..., Site]) -> None:
    site = make_site()
    granted(site, 0, count=2)
    low, high = envelope(marked(1, 0)), envelope(marked(2, 3))
    status = post(site, low, to=crossed(site)).json()
    assert told(status) == ([id_of(1)], [])
    assert "standing" in status["successes"][0]["message"]
    drafts = list(site.node.db.drafts())
    assert [draft.state for draft in drafts] == ["queued"]
    for _ in range(2):
        assert told(post(site, high, to=crossed(site)).json()) == ([id_of(2)], [])
    states = sorted(draft.state for draft in site.node.db.drafts())
    assert states == ["checked", "queued"], "one that persons must approve, and none that nobody needs"
    site.node.sync()
    site.pair.exchange()
    assert {own for own, _ in site.seen("rung4", crossed(site))} == {id_of(1)}


def test_without_a_marking_map_nothing_crosses_and_each_object_is_told_so(
    templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory, make_site: Callable[..., Site]
) -> None:
    del templates, tmp_path_factory
    site = make_site("two-certs")
    site.node.db.raw.execute("DELETE FROM journal WHERE kind = 'map'")
    status = post(site, envelope(marked(1, 0), marked(2, 0)), to=crossed(site)).json()
    assert told(status) == ([], [id_of(1), id_of(2)])
    assert "map" in status["failures"][0]["message"]
    assert not site.seen("rung0"), "unmapped: for the highest clearance alone"


def test_a_draft_that_stands_refused_is_not_made_again_and_again(make_site: Callable[..., Site]) -> None:
    site = make_site()
    node = site.node
    levels = node.law.law.party[node.party].levels
    body = envelope(marked(1, 3))
    site.door.using = refusing(site, levels)
    first = post(site, body, to=crossed(site)).json()
    second = post(site, body, to=crossed(site)).json()
    assert told(first) == told(second) == ([], [id_of(1)])
    assert first["failures"][0]["message"] == second["failures"][0]["message"]
    assert len(node.db.drafts()) == 1
    site.door.using = site.using
    assert told(post(site, body, to=crossed(site)).json()) == ([id_of(1)], [])


def refusing(site: Site, levels: tuple[str, ...]) -> Any:
    """Lends a node whose accreditation ends below the third level, so that gate() refuses."""

    @contextmanager
    def using(*, news: bool = False) -> Iterator[Node]:
        del news
        before, site.node.accreditation = site.node.accreditation, levels[0]
        yield site.node
        site.node.accreditation = before

    return using


def test_while_the_node_cannot_be_had_reading_goes_on_and_adding_waits_elsewhere(site: Site) -> None:
    @contextmanager
    def busy(*, news: bool = False) -> Iterator[Node]:
        del news
        if site.code:
            raise BusyError("the node is at work", place="here", remedy="Try again in a moment.")
        yield site.node

    before = held(site)
    site.door.using = busy
    try:
        for method, path, body in [
            ("POST", OBJECTS, envelope(marked(1, 0))),
            ("DELETE", f"{OBJECTS}{id_of(1)}/", None),
        ]:
            answer = site.ask("rung4", path, method, body=body)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            details(answer)
        assert site.ask("rung4", OBJECTS).status_code == 200
    finally:
        site.door.using = site.using
    assert held(site) == before
