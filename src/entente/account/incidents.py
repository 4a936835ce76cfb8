"""Losses and compromises: each case from notice to measures, and how far it reaches.

A case is what one party states of one discovery: the same `discovered_at`, and spans that touch those stated before.
It is open until measures are stated.
Source: design core, After the crossing; treaty duties D22.
"""

from collections.abc import Mapping, Sequence

import msgspec

from entente.account.acts import Pointed
from entente.account.cascade import Cascade, derivatives, scale_of
from entente.account.state import IncidentFact, Pair, ReleaseFact, Side, release_state
from entente.treaty.agreement import SignedAgreement
from entente.treaty.marking import Marking

STAGES = ("notice", "findings", "measures")


class Case(msgspec.Struct, frozen=True):
    """One party's incident: its entries in order, the stages they reached, and the releases they point at."""

    author: str
    origin: str
    facts: tuple[IncidentFact, ...]
    stages: tuple[str, ...]
    releases: tuple[tuple[str, str], ...]  # (party, rid), as the author knew them

    @property
    def idx(self) -> int:
        """The index of its first entry."""
        return self.facts[0].idx

    @property
    def open(self) -> bool:
        """Whether measures are still to be stated."""
        return STAGES[-1] not in self.stages

    @property
    def owes(self) -> str | None:
        """The stage that comes next, or None for a closed case."""
        return STAGES[max(STAGES.index(stage) for stage in self.stages) + 1] if self.open else None


class Reached(msgspec.Struct, frozen=True):
    """One release that a case reaches, `steps` derivations away; `holder` is the recipient while it holds it."""

    steps: int
    party: str
    origin: str
    idx: int
    rid: str
    area: str
    state: str
    holder: str | None
    copies: int
    copies_answered: int | None
    marking: Marking
    known: bool


def cases(pair: Pair) -> tuple[Case, ...]:
    """Every case of both parties, in the order of their first entries, party by party."""
    found: list[Case] = []
    for side in pair.sides.values():
        groups: list[list[IncidentFact]] = []
        for fact in side.incidents:
            home = [group for group in groups if any(_same(fact, one) for one in group)]
            merged = sorted((one for group in home for one in group), key=lambda one: one.idx)
            groups = [group for group in groups if group not in home]
            groups.append([*merged, fact])
        for group in sorted(groups, key=lambda group: group[0].idx):
            stages = {fact.body.stage for fact in group}
            found.append(
                Case(
                    side.party,
                    side.origin,
                    tuple(group),
                    tuple(stage for stage in STAGES if stage in stages),
                    tuple(sorted({one for fact in group for one in pointed_at(pair, side, fact)})),
                )
            )
    return tuple(found)


def _same(first: IncidentFact, second: IncidentFact) -> bool:
    """Whether two incidents of one party are one discovery."""
    if first.body.discovered_at != second.body.discovered_at:
        return False
    if not first.body.releases or not second.body.releases:
        return first.body.releases == second.body.releases
    return any(_touch(one, two) for one in first.body.releases for two in second.body.releases)


def _touch(one: Pointed, two: Pointed) -> bool:
    if one.origin != two.origin:
        return False
    return any(a <= d and c <= b for a, b in one.spans for c, d in two.spans)


def pointed_at(pair: Pair, author: Side, fact: IncidentFact) -> list[tuple[str, str]]:
    """(party, rid) of the releases in its spans that stood when it was stated, as far as its author knew."""
    found = []
    for pointed in fact.body.releases:
        for side in pair.sides.values():
            known = fact.idx if side is author else fact.seen
            if side.origin == pointed.origin:
                for first, last in pointed.spans:
                    places = (side.by_idx.get(idx) for idx in side.rank2_between(first, min(last, known - 1)))
                    found += [(side.party, side.releases[place].rid) for place in places if place is not None]
    return found


def blast_radius(
    pair: Pair, laws: Mapping[str, SignedAgreement], releases: Sequence[tuple[str, str]]
) -> tuple[Reached, ...]:
    """The releases pointed at and all that derives from them in either register, at the cut the facts are at.

    `releases` are (party, rid), as `Case.releases` has them; what neither register holds is left out. The rows stand in
    the order of steps, party and index.
    """
    cascade, rows = Cascade(pair, pair.sizes, laws), {}
    for side in pair.sides.values():
        named = [rid for party, rid in releases if party == side.party]
        for fact in (side.release(rid) for rid in named):
            if fact is not None:
                rows[fact.rid] = _reached(pair, cascade, 0, side, fact)
        for steps, holder, fact in derivatives(pair, pair.sizes, side, named):
            if fact.rid not in rows or steps < rows[fact.rid].steps:
                rows[fact.rid] = _reached(pair, cascade, steps, holder, fact)
    return tuple(sorted(rows.values(), key=lambda row: (row.steps, row.party, row.idx)))


def _reached(pair: Pair, cascade: Cascade, steps: int, side: Side, fact: ReleaseFact) -> Reached:
    other = pair.other(side.party)
    state, current = release_state(fact, side.size, other.size), cascade.of(side, fact)
    answered = [given.copies for given in fact.answers if given.copies is not None]
    return Reached(
        steps=steps,
        party=side.party,
        origin=side.origin,
        idx=fact.idx,
        rid=fact.rid,
        area=fact.area,
        state=state,
        holder=other.party if held(fact, other.size) else None,
        copies=fact.copies,
        copies_answered=answered[-1] if answered else None,
        marking=current.marking,
        known=current.known,
    )


def held(fact: ReleaseFact, partner_size: int) -> bool:
    """Whether the recipient received it and has not ended it: it holds it, though it be withdrawn."""
    return "received" in fact.outcomes_at(partner_size) and not fact.ended_at(partner_size)


def highest(rows: Sequence[Reached], laws: Mapping[str, SignedAgreement], agreement: str) -> dict[str, str]:
    """For each party's scale in which a row is marked, the highest level among the rows."""
    law, found = laws[agreement].law, dict[str, str]()
    for row in rows:
        scale = scale_of(row.marking, row.party, law)
        ranks = law.ranks[scale]
        if row.marking.level in ranks and ranks[row.marking.level] >= ranks.get(found.get(scale, ""), 0):
            found[scale] = row.marking.level
    return found
