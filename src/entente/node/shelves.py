"""What is listed for this party's own readers, and who they are, as the registers say it.

An area's own imports stand on the shelf `AREA/own`, what the partner released on `AREA/from`, what of ours crossed on
`AREA/to`. An object is for readers whose clearance reaches its marking in our words; one that no map reads, or whose
level has no word here, is for the highest clearance or for nobody.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from entente.account.cascade import Cascade, carried, current_marking, scale_of
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
APART = "apart"  # the kind of journal line that tells what of an import stands beside another of the same version
ORDERS = "orders"  # how many orders view.db has taken account of
SENT = "sent"  # how many of our releases view.db has listed


def shelf(area: str, kind: str) -> str:
    """The name of one of an area's three shelves."""
    return f"{area}/{kind}"


def rank_of(law: Agreement, party: str, mark: Marking, sender: str) -> int:
    """The rank, in the party's own scale, of the least clearance that may read what `sender` marked so."""
    word = carried(mark.level, scale_of(mark, sender, law), party, law)
    return law.ranks[party].get(word, NOBODY) if word is not None else NOBODY


def ranker(node: Ledger, mapper: Mapper | None) -> Callable[[Record], int]:
    """What gives the rank of the least clearance that may read a record of an import of ours, by its marking map."""
    law = node.law.law
    known: dict[Marking | str, int] = {}
    highest = len(law.ranks[node.party]) - 1

    def rank(record: Record) -> int:
        mark = mapper.mark(record.id, record.author, record.markings, record.granular) if mapper is not None else ""
        if mark not in known:
            known[mark] = highest if isinstance(mark, str) else rank_of(law, node.party, mark, node.party)
        return known[mark]

    return rank


def import_holding(
    node: Ledger, area: str, source: str, records: Iterable[Record], mapper: Mapper | None, *, apart: Mapping[str, str]
) -> Holding:
    """The records of an import of ours, listed for who may read them by its marking map; `apart` as in `Holding`."""
    rank = ranker(node, mapper)
    return Holding(source, ((record, 0, rank(record)) for record in records), (), shelf(area, OWN), apart)


def kept_apart(node: Ledger, source: str) -> dict[str, str]:
    """What of an import was found to stand beside another of the same version when it was taken in."""
    return {
        digest: beside
        for line in node.db.journal_of(APART, source)
        for digest, beside in read_own(line, dict[str, str]).items()
    }


def release_holding(
    node: Ledger, area: str, rid: str, records: Iterable[tuple[Record, int]], markings: Sequence[Marking], *, ours: bool
) -> Holding:
    """The records of a release, each with the index of its marking; those of ours are listed once they crossed.

    What was ordered since it was released counts from the first moment.
    """
    side = node.side if ours else node.other_side
    fact = side.release(rid)
    ranks = _ranks(node, side.party, markings)
    on = "" if ours else shelf(area, FROM)
    if fact is not None and (fact.orders or fact.ancestors):
        now = current_marking(node.pair, side, fact, node.laws)
        ranks = _now(node, side, fact, ranks, now.marking if now.known else None)
        on = "" if fact.withdrawn_at(side.size) else on
    held = ((record, marking, ranks[marking]) for record, marking in records)
    return Holding(rid, held, markings, on)


def _ranks(node: Ledger, sender: str, markings: Iterable[Marking]) -> list[int]:
    return [rank_of(node.law.law, node.party, mark, sender) for mark in markings]


def _now(node: Ledger, side: Side, fact: ReleaseFact, ranks: Sequence[int], now: Marking | None) -> list[int]:
    """The ranks of a release's records as it is marked now; nobody reads what has no known marking."""
    if now is None:
        return [NOBODY] * len(ranks)
    if now == fact.marking:
        return list(ranks)
    first, last = _ranks(node, side.party, [fact.marking, now])
    choose = max if last > first else min
    return [choose(rank, last) for rank in ranks]


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rows (place, digest) that were taken from their shelf, or a place whose rows were all brought back to it."""

    down: tuple[tuple[str, str], ...] = ()
    back: str = ""


def take_down(node: Ledger, shelf: str, by: str, versions: Iterable[tuple[str, str]], rank: int) -> None:
    """These versions (id, order) stand on the shelf no more for this rank; the imports they came in rest on."""
    rows = tuple(row for own, order in versions for row in node.view.copies(shelf, own, order, rank))
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


def list_sent(node: Ledger) -> None:
    """What crossed to the partner is listed, also if this process ended before it could be."""
    first, last = node.view.number(SENT), len(node.side.releases)
    for fact in node.side.releases[first:]:
        if not fact.withdrawn_at(node.side.size):
            node.view.list_holding(fact.rid, shelf(fact.area, TO))
    if last > first:
        node.view.set_number(SENT, last)


def settle(node: Ledger) -> None:
    """What was withdrawn is listed no more; what was marked anew is for those whom its marking now lets read it."""
    if not node.trees:
        return
    list_sent(node)
    orders = sum(len(fact.orders) for side in node.pair.sides.values() for fact in side.releases)
    if orders == node.view.number(ORDERS):
        return
    cascade = Cascade(node.pair, node.pair.sizes, node.laws)
    with node.view.transaction():
        for side in (node.side, node.other_side):
            for fact in side.releases:
                if fact.orders or fact.ancestors:
                    _settle(node, cascade, side, fact)
        node.view.set_number(ORDERS, orders)


def _settle(node: Ledger, cascade: Cascade, side: Side, fact: ReleaseFact) -> None:
    held = node.view.holding(fact.rid)
    if held is None:
        return
    if fact.withdrawn_at(side.size):
        node.view.hide(fact.rid)
        return
    now = cascade.of(side, fact)
    ranks = _ranks(node, side.party, held[0])
    node.view.relist(fact.rid, _now(node, side, fact, ranks, now.marking if now.known else None))
