"""What the screens list of both registers, kept as long as the door is open and made anew only where they grew.

A release comes with its state and the least clearance that may know of it; an entry with kind and time alone.
"""

from collections.abc import Hashable, Sequence

import msgspec

from entente.account.acts import REFUSALS
from entente.account.cascade import Cascade
from entente.account.state import ReleaseFact, Side
from entente.errors import EntenteError
from entente.node.node import Node
from entente.node.shelves import rank_of
from entente.node.why import state_of
from entente.register.entry import Entry, parse_entry
from entente.treaty.marking import Marking
from entente.web.door import Door
from entente.web.visit import Visit

AT_ONCE = 4096
UNREAD = ""  # the kind of an entry that does not parse


class Listed(msgspec.Struct, frozen=True):
    """A release as it stands: whose, its facts, state and marking now, and the least clearance to know of it here."""

    party: str
    fact: ReleaseFact
    state: str
    marking: Marking
    rank: int

    @property
    def answer(self) -> str:
        """The partner's first outcome, "" if there is none."""
        return self.fact.answers[0].outcome if self.fact.answers else ""

    @property
    def received(self) -> str:
        """When it was received, "" if it was not."""
        return next((given.at for given in self.fact.answers if given.outcome == "received"), "")

    @property
    def disputed(self) -> bool:
        """Whether the partner refused it."""
        return any(given.outcome in REFUSALS for given in self.fact.answers)


class Line(msgspec.Struct, frozen=True):
    """An entry without what it says."""

    at: str
    party: str
    idx: int
    kind: str


class _Head(msgspec.Struct):
    at: str
    kind: str


class Books:
    """Both registers as lists. Used inside `Door.reading` alone, which lets one reader in at a time."""

    def __init__(self) -> None:
        self._head = msgspec.json.Decoder(_Head)
        self._known: Hashable = None
        self._releases: list[Listed] = []
        self._told: dict[str, tuple[Hashable, list[Line]]] = {}
        self._lines: list[Line] = []

    def releases(self, node: Node) -> Sequence[Listed]:
        """Every release of both sides, the latest first."""
        note = node.acknowledged()
        known = (tuple(tree.root() for tree in node.trees.values()), note, node.law.hash)
        if known != self._known:
            law, cascade = node.law.law, Cascade(node.pair, node.pair.sizes, node.laws)
            found = []
            for side in node.pair.sides.values():
                for fact in side.releases:
                    plain = not fact.orders and not fact.ancestors
                    marking = fact.marking if plain else cascade.of(side, fact).marking
                    rank = rank_of(law, node.party, marking, side.party)
                    found.append(Listed(side.party, fact, state_of(node, fact), marking, rank))
            found.sort(key=lambda row: (row.fact.at, row.party, row.fact.idx), reverse=True)
            self._releases, self._known = found, known
        return self._releases

    def lines(self, node: Node) -> Sequence[Line]:
        """Every entry of both registers, the latest first."""
        grown = False
        for party, tree in node.trees.items():
            known, held = self._told.get(party, (None, []))
            if known == (tree.size, tree.root()):
                continue
            grown = True
            # what stood before stands still, unless this node was put back to an older state
            if len(held) > tree.size or (held and known != (len(held), tree.root(len(held)))):
                held = []
            for first in range(len(held), tree.size, AT_ONCE):
                entries = node.db.entries(node.logs[party], first, min(first + AT_ONCE, tree.size))
                held += [self._line(party, first + at, data) for at, data in enumerate(entries)]
            self._told[party] = (tree.size, tree.root()), held
        if grown:
            both = [line for _, held in self._told.values() for line in held]
            self._lines = sorted(both, key=lambda line: (line.at, line.party, line.idx), reverse=True)
        return self._lines

    def _line(self, party: str, idx: int, data: bytes) -> Line:
        try:
            head = self._head.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return Line("", party, idx, UNREAD)
        return Line(head.at, party, idx, head.kind)


def books(door: Door) -> Books:
    """The books of this door."""
    return door.lasting("books", Books)


def seen_releases(visit: Visit) -> list[Listed]:
    """Every release that the visitor may know of, the latest first."""
    areas, rank = visit.visitor.areas, visit.visitor.rank
    return [row for row in books(visit.door).releases(visit.node) if row.rank <= rank and (row.fact.area in areas)]


def sees_all(visit: Visit) -> bool:
    """Whether there is no release in either register that the visitor may not know of."""
    areas, rank = visit.visitor.areas, visit.visitor.rank
    return all(row.rank <= rank and row.fact.area in areas for row in books(visit.door).releases(visit.node))


def release_named(visit: Visit, rid: str) -> tuple[Side, ReleaseFact] | None:
    """A release that the visitor may know of, by its id; None alike if there is none and if it is not for them."""
    for side in visit.node.pair.sides.values():
        fact = side.release(rid)
        if fact is not None and visit.sees(side, fact):
            return side, fact
    return None


def entry_of(node: Node, party: str, idx: int) -> tuple[bytes, Entry | None]:
    """The exact bytes of an entry that there is, and what they say if they can be read."""
    (data,) = node.db.entries(node.logs[party], idx, idx + 1)
    try:
        return data, parse_entry(data)
    except EntenteError:
        return data, None


def clear_rank(visit: Visit) -> int:
    """The clearance that undertakings and claims ask for: they stand in clear up to the agreement's clear level."""
    levels = visit.law.ranks[visit.node.party]
    return levels.get(visit.law.acts.clear_level.get(visit.node.party, ""), max(levels.values(), default=0))
