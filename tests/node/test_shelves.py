"""Who may read what is listed follows from marking maps, registers and orders; view.db made anew says the same."""

from collections.abc import Callable

import pytest
from stix_objects import as_bytes, bundle_of, indicator

from entente.node import shelves
from entente.node.node import Node
from entente.node.order import Remark
from entente.node.shelves import FROM, OWN, TO, rank_of, shelf
from entente.store.shelf_pages import ALL, Pool, Wanted
from entente.store.shelf_rows import NOBODY
from lab.acts import derived, ordered
from lab.pair import AREA, Pair, revoke, sighted
from lab.site import id_of, ladder_map, marked

Listed = list[tuple[str, bytes]]


def seen(node: Node, kind: str, rank: int = NOBODY - 1) -> Listed:
    """(version, bytes) of what a person of this rank reads on a shelf, oldest first."""
    pool = Pool(node.folder / "view.db")
    with pool.reading() as pages:
        found = pages.page(Wanted(shelf(AREA, kind), rank, 1000, versions=(ALL,)), bodies=True)
    pool.close()
    return [(row.version, row.data) for row in found.rows]


def by_rank(node: Node) -> dict[tuple[str, int], set[bytes]]:
    """What is read, by shelf and rank."""
    return {
        (kind, rank): {data for _, data in seen(node, kind, rank)}
        for kind in (OWN, FROM, TO)
        for rank in range(len(node.law.law.party[node.party].levels))
    }


def test_a_rank_is_that_of_the_word_in_our_own_scale_and_nobodys_where_there_is_none(either: Pair) -> None:
    node = either.b
    law, ours, theirs = node.law.law, node.party, node.partner
    for place, level in enumerate(law.party[ours].levels):
        assert rank_of(law, ours, either.marking(node, level), ours) == place
    for level in law.party[theirs].levels:
        row = law.rows[theirs].get(level)
        want = law.ranks[ours][row.equivalent] if row is not None else NOBODY
        assert rank_of(law, ours, either.marking(either.a, level), theirs) == want


def test_without_a_map_or_a_row_an_import_is_for_the_highest_clearance(either: Pair) -> None:
    node = either.a
    top = len(node.law.law.party[node.party].levels) - 1
    node.import_file(AREA, bundle_of(*sighted()), place="x", map_id="")
    assert (len(seen(node, OWN, top)), seen(node, OWN, top - 1)) == (2, [])
    map_id = node.sign_map(ladder_map(node), [either.of(node, "iyer")])
    node.import_file(AREA, bundle_of(marked(7, None), marked(8, 0)), place="x", map_id=map_id)
    assert (len(seen(node, OWN, top)), len(seen(node, OWN, top - 1))) == (4, 1)


def test_view_db_made_anew_shows_everybody_what_they_saw_before(either: Pair) -> None:
    a, b = either.a, either.b
    levels = a.law.law.party[a.party].levels
    map_id = a.sign_map(ladder_map(a), [either.of(a, "iyer")])
    for number in range(1, 6):
        a.import_file(AREA, bundle_of(*(marked(n, n % 4) for n in range(number, number + 3))), place="x", map_id=map_id)
    other = as_bytes(indicator(3, description="low"))
    a.import_file(AREA, bundle_of(other), place="x", map_id=map_id, reads=0)
    take_down(a, 2)
    first = either.release(a, sighted(first=20)).rid
    second = either.release(a, sighted(first=30)).rid
    third = either.release(a, sighted(first=40)).rid
    either.exchange()
    child = derived(either, b, first)
    either.exchange()
    ordered(either, a, first, "reclass", Remark(level=_crossing(a, highest=True)))
    ordered(either, a, second, "withdraw")
    ordered(either, a, third, "destroy")
    either.exchange()
    for node in (a, b):
        node.answer()
    either.exchange()
    assert len(levels) > 3
    for node in (a, b):
        before = by_rank(node)
        assert before[OWN, 3]
        _, lost = node.rebuild()
        assert not lost
        assert by_rank(node) == before
        assert by_rank(either.open(node.party)) == before
    assert child in either.b.side.by_rid


def take_down(node: Node, number: int) -> None:
    """Every version of an object of our own is deleted from the shelf."""
    place, own = shelf(AREA, OWN), id_of(number)
    shelves.take_down(node, place, "x", [(own, one.order) for one in node.view.versions(place, own)], NOBODY)


def _crossing(node: Node, *, highest: bool) -> str:
    """The highest or lowest of our levels that the partner has a word for, below the area's ceiling."""
    law = node.law.law
    most = law.ranks[node.party][(law.areas[AREA].ceiling or {})[node.party]]
    words = [word for word in law.party[node.party].levels[: most + 1] if word in law.rows[node.party]]
    return words[-1] if highest else words[0]


def test_what_derives_from_a_raised_release_is_raised_with_it_at_both_ends(either: Pair) -> None:
    a, b = either.a, either.b
    parent = either.release(a).rid
    either.exchange()
    derived(either, b, parent)
    either.exchange()
    least = {node.party: _ranks(node) for node in (a, b)}
    assert least == {a.party: (0, 0), b.party: (0, 0)}
    high = _crossing(a, highest=True)
    ordered(either, a, parent, "reclass", Remark(level=high))
    either.exchange()
    rank = a.law.law.ranks[a.party][high]
    there = b.law.law.ranks[b.party][a.law.law.rows[a.party][high].equivalent]
    assert (_ranks(a), _ranks(b)) == ((rank, rank), (there, there))
    ordered(either, a, parent, "reclass", Remark(level=_crossing(a, highest=False)))
    either.exchange()
    assert (_ranks(a), _ranks(b)) == ((rank, 0), (0, there)), "a raise from above stays until its author states another"


def _ranks(node: Node) -> tuple[int, ...]:
    """The least rank that reads all of `from` and all of `to`."""
    top = len(node.law.law.party[node.party].levels)
    return tuple(next(r for r in range(top) if seen(node, kind, r) == seen(node, kind)) for kind in (FROM, TO))


def test_a_raised_marking_without_a_word_on_the_other_side_is_for_nobody_there(pair: Pair) -> None:
    """The national word has no equivalent: nobody there is cleared for it, whatever the rank."""
    node = pair.b
    rid = pair.release(pair.a).rid
    pair.exchange()
    fact = node.other_side.release(rid)
    assert fact is not None
    assert shelves._now(node, node.other_side, fact, [0, 2], None) == [NOBODY] * 2
    raised = pair.marking(pair.a, pair.a.law.law.party[pair.a.party].levels[4])
    assert shelves._now(node, node.other_side, fact, [0, 2], raised) == [NOBODY] * 2
    assert shelves._now(node, node.other_side, fact, [0, 2], fact.marking) == [0, 2]


def test_persons_are_known_as_the_register_has_them_now(either: Pair) -> None:
    node = either.a
    levels = node.law.law.party[node.party].levels
    known = node.view.readers()
    assert set(known) == set(node.side.persons)
    low, elsewhere = known[f"{node.party}/low"], known[f"{node.party}/elsewhere"]
    assert (low.rank, levels[known[f"{node.party}/rao"].rank]) == (0, levels[3])
    assert elsewhere.areas == ("documents",)
    revoke(either, node, "rao")
    node = either.open(node.party)
    assert node.view.readers()[f"{node.party}/rao"].areas == ()


@pytest.mark.parametrize("again", [False, True])
def test_what_was_taken_down_comes_back_by_importing_it_again(make_pair: Callable[..., Pair], again: bool) -> None:
    pair = make_pair()
    node = pair.a
    map_id = node.sign_map(ladder_map(node), [pair.of(node, "iyer")])
    data = bundle_of(marked(1, 0), marked(2, 0))
    node.import_file(AREA, data, place="x", map_id=map_id)
    node.import_file(AREA, bundle_of(marked(1, 0), marked(3, 0)), place="x", map_id=map_id)
    take_down(node, 1)
    assert len(seen(node, OWN)) == 2
    if again:
        node.import_file(AREA, data, place="x", map_id=map_id)
    node.rebuild()
    assert len(seen(node, OWN)) == (3 if again else 2)
    if again:
        take_down(node, 1)
        node.rebuild()
        assert len(seen(node, OWN)) == 2
