"""What a release's marking is now, raised by whatever it derives from; and what derives from it.

Raising cascades: whoever raises a release raises every release that derives from it, in either register, from then on.
Lowering does not: what an author states about its own release holds until the author states another marking, and a
raise that came from above stays until then, though the one above is lowered again.
Source: design core, After the crossing; core-spec, rule 14.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from entente.account.state import Pair, ReleaseFact, Side
from entente.treaty.agreement import Agreement, SignedAgreement
from entente.treaty.marking import Marking

Point = tuple[str, int, int]  # party, place among its releases, number of a statement of its marking


class Current(msgspec.Struct, frozen=True):
    """A marking at a cut. Not `known`: something above it has no word in its scale, so nothing may be built on it."""

    marking: Marking
    known: bool


class Cascade:
    """The current markings at one cut, each computed once.

    A marking is the join of what its author stated last and of everything that has held, since that statement, of what
    it derives from: each ancestor's statements from the one that the author had seen, and so on upwards.

    Args:
        pair: the facts; they may hold more than the cut.
        cut: how many entries of each party's register count.
        laws: every agreement by hash; each release is read by the version it was made under.
    """

    def __init__(self, pair: Pair, cut: Mapping[str, int], laws: Mapping[str, SignedAgreement]) -> None:
        self.pair, self.cut, self.laws = pair, cut, laws
        self._done: dict[Point, Current] = {}
        self._begun: set[Point] = set()

    def of(self, side: Side, fact: ReleaseFact) -> Current:
        """The current marking of a release of `side`."""
        last = len(fact.statements(self.cut[side.party])) - 1
        return self._raised((side.party, side.by_idx[fact.idx], last))

    def _raised(self, wanted: Point) -> Current:
        """The join over everything that has held since that statement; a stack of our own, for chains are long."""
        waiting = [wanted]
        while waiting:
            point = waiting[-1]
            if point in self._done:
                waiting.pop()
                continue
            above = self._above(point)
            missing = [one for one in above if one is not None and one not in self._done]
            if missing and point not in self._begun:
                self._begun.add(point)
                waiting += missing
                continue
            self._done[point] = self._join(point, above)
            waiting.pop()
        return self._done[wanted]

    def _above(self, point: Point) -> list[Point | None]:
        """The ancestors, each from the statement that the author had seen; None for one that is not in the cut."""
        party, place, number = point
        fact, other = self.pair.sides[party].releases[place], self.pair.other(party)
        seen, _ = fact.statements(self.cut[party])[number]
        found: list[Point | None] = []
        for rid in fact.ancestors:
            parent = other.release(rid)
            if parent is None or parent.idx >= self.cut[other.party]:
                found.append(None)
                continue
            first = max(len(parent.statements(seen)) - 1, 0)
            found.append((other.party, other.by_rid[rid], first))
        return found

    def _join(self, point: Point, above: Sequence[Point | None]) -> Current:
        party, place, number = point
        fact = self.pair.sides[party].releases[place]
        law = self.laws[fact.acts_under].law
        scale = scale_of(fact.marking, party, law)
        ranks = law.ranks[scale]
        marks = [mark for _, mark in fact.statements(self.cut[party])[number:]]
        if not above and len(marks) == 1:
            return Current(marks[0], marks[0].level in ranks)
        purpose, words, known = marks[-1].purpose, [mark.level for mark in marks], True
        for one in above:
            found = self._done.get(one) if one is not None else None
            if one is None or found is None:
                known = False
                continue
            word = carried(found.marking.level, scale_of(found.marking, one[0], law), scale, law)
            known = known and found.known and word is not None
            words += [word] if word is not None else []
            marks.append(found.marking)
        raised = Marking(
            caveats=tuple(sorted({caveat for mark in marks for caveat in mark.caveats})),
            level=max(words, key=lambda word: ranks.get(word, -1)),
            originator=fact.marking.originator,
            purpose=purpose,
            releasable_to=tuple(sorted(set(marks[0].releasable_to).intersection(*(m.releasable_to for m in marks)))),
        )
        return Current(raised, known and all(word in ranks for word in words))


def scale_of(mark: Marking, sender: str, law: Agreement) -> str:
    """The party in whose words the level of a release of `sender` stands."""
    return mark.originator if mark.originator in law.party else sender


def carried(level: str, scale: str, to: str, law: Agreement) -> str | None:
    """The word of `to`'s scale for a level of `scale`'s, or None where no row says so."""
    if scale == to:
        return level
    row = law.rows[scale].get(level)
    return row.equivalent if row is not None else None


def current_marking(pair: Pair, side: Side, fact: ReleaseFact, laws: Mapping[str, SignedAgreement]) -> Current:
    """The current marking of one release at the cut that the facts are at. For several, keep one `Cascade`."""
    return Cascade(pair, pair.sizes, laws).of(side, fact)


def derivatives(
    pair: Pair, cut: Mapping[str, int], side: Side, rids: Sequence[str]
) -> Iterator[tuple[int, Side, ReleaseFact]]:
    """Every release in either register that derives from these of `side`, each once: (steps away, whose, which)."""
    met, wave, steps = {(side.party, rid) for rid in rids}, [(side.party, rid) for rid in rids], 0
    while wave:
        steps += 1
        below: list[tuple[str, str]] = []
        for party, rid in wave:
            other = pair.other(party)
            for place in other.derived.get(rid, ()):
                fact = other.releases[place]
                if fact.idx < cut[other.party] and (other.party, fact.rid) not in met:
                    met.add((other.party, fact.rid))
                    below.append((other.party, fact.rid))
                    yield steps, other, fact
        wave = below


def went_home(pair: Pair, side: Side, fact: ReleaseFact) -> bool:
    """Whether a return of `side` is over: it has answered all that it brought home as destroyed or returned.

    Nobody keeps a sealed copy of it then: it would hold what has ended.
    """
    other = pair.other(side.party)
    parents = [other.release(rid) for rid in fact.ancestors]
    return (
        fact.marking.originator == other.party
        and bool(parents)
        and all(parent is not None and parent.ended_at(side.size) for parent in parents)
    )


def live_derivative(pair: Pair, cut: Mapping[str, int], side: Side, rids: Sequence[str]) -> int | None:
    """The index of a release by the partner of `side` that derives from one of these and still stands, or None.

    A return, which bears the originator's own name as originator, is how a thing goes home: it hinders nothing.
    """
    for _, holder, fact in derivatives(pair, cut, side, rids):
        if holder is side or fact.marking.originator == side.party:
            continue
        if not fact.withdrawn_at(cut[holder.party]) and not fact.ended_at(cut[side.party]):
            return fact.idx
    return None
