"""What the partner has of ours already: the objects of earlier releases that have not ended, by their ids."""

from collections.abc import Sequence

import msgspec

from entente.account.cascade import Cascade
from entente.account.state import ReleaseFact
from entente.node.ledger import Ledger
from entente.node.shelves import TO, shelf
from entente.node.why import state_of
from entente.treaty.marking import Marking


class Known(msgspec.Struct, frozen=True):
    """An object version in an earlier release of ours that has not ended; `held` says that its receipt was answered.

    `marking` is the release's as it stands now; `rank` the least clearance here that may read the object.
    """

    id: str
    version: str
    title: str
    sha256: str
    rid: str
    number: int
    at: str
    area: str
    marking: Marking
    rank: int
    state: str
    held: bool


def held_by_partner(node: Ledger, ids: Sequence[str]) -> tuple[Known, ...]:
    """What the partner has of these objects from earlier releases of ours: every version, by id, then release.

    What was withdrawn is in it until the partner answers that it is gone. Objects are found by an index, but for
    withdrawn releases, whose objects are gone through.
    """
    cascade, found = Cascade(node.pair, node.pair.sizes, node.laws), []
    areas = {name for law in node.laws.values() for name in law.law.areas}
    rows = [
        row for name in sorted(areas) for own in dict.fromkeys(ids) for row in node.view.on_shelf(shelf(name, TO), own)
    ]
    for fact in _withdrawn(node):
        rows += node.view.with_ids(fact.rid, ids)
    for row in rows:
        fact_of = node.side.release(row.place)
        if fact_of is None or fact_of.ended_at(node.other_side.size):
            continue
        received = any(given.outcome == "received" for given in fact_of.answers)
        found.append(
            Known(
                id=row.id,
                version=row.version,
                title=row.title,
                sha256=row.sha256,
                rid=fact_of.rid,
                number=fact_of.number,
                at=fact_of.at,
                area=fact_of.area,
                rank=row.rank,
                held=received,
                marking=cascade.of(node.side, fact_of).marking,
                state=state_of(node, fact_of),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.id, one.number, one.sha256)))


def _withdrawn(node: Ledger) -> list[ReleaseFact]:
    """Releases of ours that were withdrawn after they had been received, and have not ended."""
    return [
        fact
        for fact in node.side.releases
        if fact.orders
        and fact.withdrawn_at(node.side.size)
        and not fact.ended_at(node.other_side.size)
        and any(given.outcome == "received" for given in fact.answers)
    ]
