"""A draft is reviewed object by object: the bytes shown are those that approvals commit to, beside those imported.

What stays is there with rule, article and what it names; prose that points at it is found where it stands; and what the
partner has already of the same objects is told from earlier releases.
"""

import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from stix_objects import as_bytes, bundle_of, identifier, indicator

from entente.app import AREAS
from entente.crossing.seal import seal
from entente.errors import StateError, VerificationError
from entente.node.held import unseal_blob
from entente.node.holdings import held_by_partner
from entente.node.node import Node
from entente.node.propose import Proposal, Wish
from entente.node.review import Review, mentioning, prepare, review
from entente.treaty.cover import Stated
from entente.treaty.marking import MapRow, MarkingMap
from lab.acts import ordered
from lab.pair import AREA, Pair, sighted

GROUP = identifier("intrusion-set", 5)
URL = "https://attack.mitre.org/groups/G0005"


def group() -> bytes:
    """A withheld object with a name and an address by which prose points at it."""
    return as_bytes(
        {
            "type": "intrusion-set",
            "spec_version": "2.1",
            "id": GROUP,
            "created": "2026-01-02T03:04:05.000Z",
            "modified": "2026-01-02T03:04:05.000Z",
            "name": "Sundew Crane",
            "external_references": [{"source_name": "mitre-attack", "external_id": "G0005", "url": URL}],
        }
    )


def naming(number: int, kind: str = "related-to") -> bytes:
    """A relationship that names the withheld object."""
    return as_bytes(
        {
            "type": "relationship",
            "spec_version": "2.1",
            "id": identifier("relationship", number),
            "created": "2026-01-02T03:04:05.000Z",
            "modified": "2026-01-02T03:04:05.000Z",
            "relationship_type": kind,
            "source_ref": identifier("indicator", 1),
            "target_ref": GROUP,
        }
    )


PROSE = f"used by ([Sundew Crane]({URL})) since May"
BODIES = (
    as_bytes(indicator(1, description=PROSE)),
    group(),
    as_bytes(indicator(2)),
    naming(7),
)


def draft(pair: Pair, node: Node, *, view: str = "full", bodies: tuple[bytes, ...] = BODIES) -> Proposal:
    map_id = node.sign_map(MarkingMap(node.law.hash, AREA, (), pair.marking(node)), [pair.of(node, "iyer")])
    source = node.import_file(AREA, bundle_of(*bodies), place="own.json", map_id=map_id).source
    return node.propose(source, Wish(f"{node.party}/rao", view=view))


def pages(node: Node, rid: str, most: int) -> list[Review]:
    first = review(node, AREAS, rid, most=most)
    total = first.crosses + first.stays
    return [first, *(review(node, AREAS, rid, first=at, most=most) for at in range(most, total, most))]


def test_the_bytes_shown_are_those_that_cross_and_those_that_were_imported(either: Pair) -> None:
    made = draft(either, either.a)
    page = review(either.a, AREAS, made.rid[:12])
    assert (page.crosses, page.stays, page.state, page.author) == (2, 2, "checked", f"{either.a.party}/rao")
    assert [one.outgoing for one in page.objects[:2]] == [BODIES[0], BODIES[2]]
    assert [one.source for one in page.objects] == [BODIES[0], BODIES[2], BODIES[1], BODIES[3]]
    assert not any(one.changed for one in page.objects)
    either.approve(either.a, made.rid, "nair")
    if (either.a.law.law.areas[AREA].approvals or 0) > 1:
        either.approve(either.a, made.rid, "iyer", "security")
    either.a.dispatch([made.rid])
    either.exchange()
    assert either.b.view.bodies(made.rid) == [one.outgoing for one in page.objects if one.crosses]
    assert review(either.a, AREAS, made.rid).state == "dispatched"


def test_what_stays_is_there_with_its_rule_and_what_it_names(either: Pair) -> None:
    made = draft(either, either.a)
    page = review(either.a, AREAS, made.rid)
    one, two = page.objects[2:]
    assert (one.id, one.rule, one.named_by) == (GROUP, "withhold", (identifier("relationship", 7),))
    assert (two.rule, two.refers, two.outgoing) == ("reference", (GROUP,), b"")
    refusals = [(why.rule, why.article, why.sha256) for _, why in made.refused]
    assert [(one.rule, one.article, one.sha256) for one in page.objects[2:]] == refusals
    assert sum(count for _, _, count in page.rules) == page.stays
    assert {rule: count for rule, _, count in page.rules} == {"withhold": 1, "reference": 1}


def test_prose_that_points_at_what_stays_is_found_where_it_stands(either: Pair) -> None:
    made = draft(either, either.a)
    assert made.mentions == 1
    (first, second) = review(either.a, AREAS, made.rid).objects[:2]
    assert second.mentions == ()
    assert first.mentions
    for found in first.mentions:
        assert first.outgoing[found.start : found.end].decode() == found.text
    assert any(URL in found.text or "G0005" in found.text for found in first.mentions)
    assert mentioning(either.a, prepare(either.a, AREAS, made.rid)) == (0,)


def test_pages_give_each_object_once_and_sum_to_all(either: Pair) -> None:
    made = draft(either, either.a, bodies=(*BODIES, *sighted(7, first=20)))
    whole = review(either.a, AREAS, made.rid, most=1000)
    assert len(whole.objects) == 11 == whole.crosses + whole.stays
    for most in (1, 3, 11):
        parts = pages(either.a, made.rid, most)
        assert tuple(one for part in parts for one in part.objects) == whole.objects
    assert [one.number for one in whole.objects] == list(range(11))
    assert review(either.a, AREAS, made.rid, first=99).objects == ()
    shared = prepare(either.a, AREAS, made.rid)
    assert review(either.a, AREAS, made.rid, most=1000, prepared=shared) == whole


def test_what_a_granular_marking_strips_is_seen_beside_what_is_left(either: Pair) -> None:
    node, home = either.a, identifier("marking-definition", 2)
    low = either.marking(node)
    row = MapRow(home, msgspec.structs.replace(low, releasable_to=(node.party,)))
    map_id = node.sign_map(MarkingMap(node.law.hash, AREA, (row,), low), [either.of(node, "iyer")])
    marked = {"marking_ref": home, "selectors": ["description", "labels.[1]"]}
    secretive = indicator(1, description="the tungsten", labels=["a", "b"], granular_markings=[marked])
    bodies = bundle_of(as_bytes(secretive), as_bytes(indicator(2)))
    source = node.import_file(AREA, bodies, place="own.json", map_id=map_id).source
    made = node.propose(source, Wish(f"{node.party}/rao", view="granular"))
    one, two = review(node, AREAS, made.rid).objects
    assert one.changed
    assert one.stripped == 2
    assert b"tungsten" in one.source
    assert json.loads(one.outgoing) == indicator(1, labels=["a"])
    assert not two.changed
    assert two.stripped == 0


def test_a_view_shows_the_prose_that_it_takes_away(pair: Pair) -> None:
    made = draft(pair, pair.a, view="no-prose")
    one = review(pair.a, AREAS, made.rid).objects[0]
    assert one.changed
    assert b"Sundew" in one.source
    assert b"Sundew" not in one.outgoing
    assert one.mentions == ()


def test_other_bytes_than_those_approved_are_never_shown(pair: Pair) -> None:
    """A record, the order of the list and the whole payload, each sealed anew with the right key; then the core."""
    made = draft(pair, pair.a)
    row = pair.a.db.draft(made.rid)
    assert row is not None
    dek = (pair.a.keys.key(made.rid) or b"")[:32]
    plain = b"".join(unseal_blob(pair.a.blobs, row.blob, dek))
    one, two = (sha256(body).hexdigest().encode() for body in (BODIES[0], BODIES[2]))
    swapped = plain.replace(one, b"*").replace(two, one).replace(b"*", two)
    assert len({plain, swapped}) == 2
    others = {"record 0": plain.replace(b"example.org", b"example.com"), "sealed list": swapped, "no list": plain[::-1]}
    for place, changed in others.items():
        pair.a.blobs.delete(row.blob)
        with pair.a.blobs.path(row.blob).open("wb") as file:
            seal([changed], dek, file.write)
        with pytest.raises(VerificationError, match=place):
            review(pair.a, AREAS, made.rid)
    pair.a.db.raw.execute("UPDATE draft SET core = CAST(replace(core, '\"full\"', '\"none\"') AS BLOB)")
    with pytest.raises(VerificationError, match="core"):
        review(pair.a, AREAS, made.rid)


def test_a_changed_row_of_view_db_is_not_taken_for_the_import(pair: Pair) -> None:
    made = draft(pair, pair.a)
    pair.a.view.raw.execute(
        "UPDATE thing SET data = CAST(replace(data, 'example', 'invented') AS BLOB) WHERE place <> ?", [made.rid]
    )
    with pytest.raises(VerificationError, match="view"):
        review(pair.a, AREAS, made.rid)


def test_a_draft_whose_key_is_gone_says_so(pair: Pair) -> None:
    made = draft(pair, pair.a)
    pair.a.keys.destroy(made.rid)
    with pytest.raises(StateError, match="not here"):
        review(pair.a, AREAS, made.rid)


# What the partner has already


def known(pair: Pair, *ids: str) -> list[tuple[str, str, int, str, bool]]:
    return [(one.id, one.version, one.number, one.state, one.held) for one in held_by_partner(pair.a, ids)]


def test_what_the_partner_has_of_an_object_is_told_by_version_and_release(either: Pair) -> None:
    own = identifier("indicator", 1)
    later = as_bytes(indicator(1, modified="2026-02-02T03:04:05.000Z"))
    first = either.release(either.a, [as_bytes(indicator(1)), as_bytes(indicator(2))])
    either.exchange()
    second = either.release(either.a, [later])
    old, new = "2026-01-02T03:04:05.000Z", "2026-02-02T03:04:05.000Z"
    assert known(either, own) == [(own, old, 1, "received", True), (own, new, 2, "dispatched", False)]
    assert known(either, identifier("indicator", 2), identifier("indicator", 3), GROUP) == [
        (identifier("indicator", 2), old, 1, "received", True)
    ]
    either.exchange()
    assert [row[3:] for row in known(either, own)] == [("received", True)] * 2
    assert {one.rid for one in held_by_partner(either.a, [own])} == {first.rid, second.rid}
    for one in held_by_partner(either.a, [own]):
        fact = either.a.side.release(one.rid)
        assert fact is not None
        assert one.marking == fact.marking


def test_what_was_withdrawn_is_told_until_the_partner_has_ended_it(either: Pair) -> None:
    own = identifier("indicator", 1)
    rid = either.release(either.a, [as_bytes(indicator(1))]).rid
    either.exchange()
    ordered(either, either.a, rid, "withdraw")
    either.exchange()
    assert known(either, own) == [(own, "2026-01-02T03:04:05.000Z", 1, "withdrawn", True)]
    either.b.destroy(rid)
    either.exchange()
    assert known(either, own) == []


def test_a_record_that_rises_is_for_fewer_readers(pair: Pair) -> None:
    """The rank of each object is there for whoever may see less than all."""
    law = pair.a.law.law
    levels = law.party[pair.a.party].levels
    top = list(law.rows[pair.a.party])[-1]
    low: Any = pair.marking(pair.a)
    ref = identifier("marking-definition", 8)
    rows = (MapRow(ref, pair.marking(pair.a, top)),)
    map_id = pair.a.sign_map(MarkingMap(pair.a.law.hash, AREA, rows, low), [pair.of(pair.a, "iyer")])
    bodies = (as_bytes(indicator(1)), as_bytes(indicator(2, object_marking_refs=[ref])))
    source = pair.a.import_file(AREA, bundle_of(*bodies), place="own.json", map_id=map_id).source
    made = pair.a.propose(source, Wish(f"{pair.a.party}/rao"))
    page = review(pair.a, AREAS, made.rid)
    ranks = {level: place for place, level in enumerate(levels)}
    assert sorted({one.rank for one in page.objects}) in ([0, ranks[top]], [0])
    assert page.rank == ranks[page.marking.level]


def test_a_long_object_is_named_and_proved_but_not_shown(pair: Pair) -> None:
    """Documents are opened by a child process alone, so nothing of what stays is read here either."""
    node = pair.a
    mark = msgspec.structs.replace(pair.marking(node), purpose=(node.law.law.areas["documents"].purposes or ("",))[0])
    map_id = node.sign_map(MarkingMap(node.law.hash, "documents", (), mark), [pair.of(node, "iyer")])
    for size in (5, 2 << 20):
        stated = Stated({"en": "Chart"}, "zxx", "data")
        done = node.document(b"\x00\x01" * (size // 2), stated, label="", parents=(), place="x", map_id=map_id)
        made = node.propose(done.source, Wish(f"{node.party}/rao"))
        page = review(node, AREAS, made.rid)
        (one,) = page.objects
        assert (one.title, one.crosses, page.area) == ("Chart", True, "documents")
        assert one.size > size - 2
        assert bool(one.outgoing) == bool(one.source) == (size < 1 << 20)
        assert not one.changed
