"""A revocation is a version like any other: it travels, is answered, and stands as the latest at the partner's node."""

import json

import pytest
from stix_objects import bundle_of

from entente.node.node import Node
from entente.node.propose import Wish
from entente.node.shelves import FROM, TO, shelf
from entente.store.shelf_pages import ALL, LAST, ShelfPages, Wanted
from entente.treaty.marking import MarkingMap
from lab.pair import AREA, Pair, sighted


def released(pair: Pair, node: Node, body: bytes) -> str:
    """The release id of one object that was imported, approved, dispatched and received."""
    map_id = node.sign_map(MarkingMap(node.law.hash, AREA, (), pair.marking(node)), [pair.of(node, "iyer")])
    source = node.import_file(AREA, bundle_of(body), place="one.json", map_id=map_id).source
    rid = node.propose(source, Wish(f"{node.party}/rao")).rid
    pair.approve(node, rid, "nair")
    if (node.law.law.areas[AREA].approvals or 0) > 1:
        pair.approve(node, rid, "iyer", "security")
    node.dispatch([rid])
    pair.exchange()
    return rid


def on_shelf(node: Node, kind: str, versions: tuple[str, ...]) -> list[bytes]:
    pages = ShelfPages(node.folder / "view.db")
    try:
        found = pages.page(Wanted(shelf(AREA, kind), 99, 100, versions=versions), bodies=True)
        return [row.data for row in found.rows]
    finally:
        pages.close()


def state(node: Node, rid: str) -> str:
    fact = node.side.release(rid)
    assert fact is not None
    return node.state_of(fact)


@pytest.mark.parametrize("text", ["2026-02-02T03:04:05.000Z", "2026-02-02T03:04:05.0001Z"])
def test_a_revoked_version_crosses_is_answered_and_takes_the_place_of_the_one_before(pair: Pair, text: str) -> None:
    (first,) = sighted(1)
    value = json.loads(first)
    second = json.dumps(value | {"modified": text, "revoked": True}).encode()
    rids = [released(pair, pair.a, first), released(pair, pair.a, second)]
    assert [state(pair.a, rid) for rid in rids] == ["received", "received"]
    for node, kind in ((pair.b, FROM), (pair.a, TO)):
        assert on_shelf(node, kind, (ALL,)) == [first, second]
        assert on_shelf(node, kind, (LAST,)) == [second]
    (row,) = on_shelf(pair.b, FROM, (LAST,))
    assert json.loads(row)["revoked"] is True


def test_a_version_that_comes_late_does_not_take_the_place_of_a_later_one(pair: Pair) -> None:
    (first,) = sighted(1)
    later = json.dumps(json.loads(first) | {"modified": "2027-01-01T00:00:00.000Z"}).encode()
    released(pair, pair.a, later)
    released(pair, pair.a, first)
    assert on_shelf(pair.b, FROM, (LAST,)) == [later]
    assert on_shelf(pair.b, FROM, (ALL,)) == [later, first]
