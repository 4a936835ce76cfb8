"""What is listed for this party's own readers, and who they are, as the registers say it.

An area's own imports stand on the shelf `AREA/own`, what the partner released on `AREA/from`, what of ours crossed on
`AREA/to`. An object is for readers whose clearance reaches its marking in our words; one that no map reads, or whose
level has no word here, is for the highest clearance or for nobody.
"""

from collections.abc import Iterable, Sequence

import msgspec

from entente.account.cascade import Cascade, carried, scale_of
from entente.account.state import ReleaseFact, Side
from entente.node.ledger import Ledger
from entente.store.shelf_rows import NOBODY, Reader
from entente.store.view_db import Holding
from entente.strict import encode, read_own
from entente.treaty.agreement import Agreement
from entente.treaty.marking import Mapper, Marking
from entente.treaty.record import Record

OWN, FROM, TO = "own", "from", "to"
TAKEN_DOWN = "taken-down"  # the kind of journal line that tells what a reader deleted from a shelf, or brought back
ORDERS = "orders"  # how many orders view.db has taken account of


def shelf(area: str, kind: str) -> str:
    """The name of one of an area's three shelves."""
    return f"{area}/{kind}"


def rank_of(law: Agreement, party: str, mark: Marking, sender: str) -> int:
    """The rank, in the party's own scale, of the least clearance that may read what `sender` marked so."""
    word = carried(mark.level, scale_of(mark, sender, law), party, law)
    return law.ranks[party].get(word, NOBODY) if word is not None else NOBODY


def import_holding(node: Ledger, area: str, source: str, records: Iterable[Record], mapper: Mapper | None) -> Holding:
    """The records of an import of ours, listed for who may read them by its marking map."""
    law = node.law.law
    known: dict[Marking | str, int] = {}
    highest = len(law.ranks[node.party]) - 1

    def ranked(record: Record) -> tuple[Record, int, int]:
        mark = mapper.mark(record.id, record.author, record.markings) if mapper is not None else ""
        if mark not in known:
            known[mark] = highest if isinstance(mark, str) else rank_of(law, node.party, mark, node.party)
        return record, 0, known[mark]

    return Holding(source, map(ranked, records), (), shelf(area, OWN))


def release_holding(
    node: Ledger, area: str, rid: str, records: Iterable[tuple[Record, int]], markings: Sequence[Marking], *, ours: bool
) -> Holding:
    """The records of a release, each with the index of its marking; those of ours are listed once they crossed."""
    ranks = _ranks(node, node.party if ours else node.partner, markings)
    held = ((record, marking, ranks[marking]) for record, marking in records)
    return Holding(rid, held, markings, "" if ours else shelf(area, FROM))


def _ranks(node: Ledger, sender: str, markings: Iterable[Marking]) -> list[int]:
    return [rank_of(node.law.law, node.party, mark, sender) for mark in markings]


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rows (place, digest) that were taken from their shelf, or a place whose rows were all brought back to it."""

    down: tuple[tuple[str, str], ...] = ()
    back: str = ""


def take_down(node: Ledger, shelf: str, by: str, versions: Iterable[tuple[str, str]]) -> None:
    """These versions (id, order) stand on the shelf no more; what crossed has crossed, and the import rests on."""
    rows = tuple(row for own, order in versions for row in node.view.copies(shelf, own, order))
    with node.db.transaction():
        node.db.journal(node.now(), TAKEN_DOWN, by, encode(Change(down=rows)))
    with node.view.transaction():
        node.view.take_down(rows)


def bring_back(node: Ledger, shelf: str, place: str) -> None:
    """What was taken down of an import stands on its shelf again, listed anew."""
    if node.view.list_holding(place, shelf):
        with node.db.transaction():
            node.db.journal(node.now(), TAKEN_DOWN, "", encode(Change(back=place)))


def apply_changes(node: Ledger) -> None:
    """In a view.db made anew, what readers had taken down is not listed."""
    for _, line in node.db.journal_lines(TAKEN_DOWN):
        change = read_own(line, Change)
        source = node.db.source(change.back) if change.back else None
        if source is not None:
            node.view.list_holding(source.id, shelf(source.area, OWN))
        with node.view.transaction():
            node.view.take_down(change.down)


def project(node: Ledger) -> None:
    """view.db knows this party's persons as its register does: who is revoked has no area any more."""
    if not node.trees:
        return
    ranks = node.law.law.ranks[node.party]
    node.view.set_readers(
        Reader(
            handle,
            ranks.get(fact.person.ceiling, -1),
            tuple(sorted(fact.person.roles)),
            tuple(sorted(fact.person.areas)) if fact.revoked_from is None else (),
            fact.person.until,
        )
        for handle, fact in node.side.persons.items()
    )


def settle(node: Ledger) -> None:
    """What was withdrawn is listed no more; what was marked anew is for those whom its marking now lets read it."""
    if not node.trees:
        return
    orders = sum(len(fact.orders) for side in node.pair.sides.values() for fact in side.releases)
    if orders == node.view.number(ORDERS):
        return
    cascade = Cascade(node.pair, node.pair.sizes, node.laws)
    with node.view.transaction():
        for side in (node.side, node.other_side):
            for fact in side.releases:
                _settle(node, cascade, side, fact)
        node.view.set_number(ORDERS, orders)


def _settle(node: Ledger, cascade: Cascade, side: Side, fact: ReleaseFact) -> None:
    held = node.view.holding(fact.rid)
    if held is None:
        return
    if fact.withdrawn_at(side.size):
        node.view.hide(fact.rid)
        return
    now = cascade.of(side, fact).marking
    if now == fact.marking:
        return
    first, last = _ranks(node, side.party, [fact.marking, now])
    choose = max if last > first else min
    node.view.relist(fact.rid, [choose(rank, last) for rank in _ranks(node, side.party, held[0])])
