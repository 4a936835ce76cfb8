"""Traffic: what crossed in either direction, counted in both registers; what waits; how long questions and dues take.

Everything here is gone through once for a call: whoever shows it keeps it by (own size, partner size, minute, reader).
A reader's counts hold what that reader may see and nothing else, for a count tells that a thing is there.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import msgspec

from entente.account.acts import Undertaking
from entente.account.cascade import Cascade
from entente.account.state import ReleaseFact, Side, release_state
from entente.account.undertaking import undertakings
from entente.node.ledger import Ledger
from entente.node.requests import asked
from entente.node.shelves import rank_of
from entente.strict import parse_as, parse_time, time_text
from entente.treaty.approval import Core
from entente.treaty.marking import Marking

Sees = Callable[[str, Marking, str], bool]  # area, marking, whose release: whether the reader may know of it
DRAFTS = ("drafted", "checked", "approved", "queued")
STATES = ("dispatched", "stored", "received", "disputed", "withdrawn", "ended")


class Waiting(msgspec.Struct, frozen=True):
    """A release without an answer: since when, for how many hours, and when it is due ("": no time is stated)."""

    rid: str
    by: str
    number: int
    at: str
    hours: float
    due: str
    overdue: bool
    area: str
    marking: Marking
    rank: int


class Direction(msgspec.Struct, frozen=True):
    """Releases of one party to the other, as each register counts them.

    `drafts` are those that have not left, by state; empty for the partner's. `dispatched` and `withdrawn` are counted
    in the author's register; `stored` is how many of them the other has cosigned; `answered` counts, in the other's
    register, each release once by its last outcome there, and `unanswered` those of the stored that have none.
    `states` holds both against each other: each release has one state, so they sum to `dispatched`.
    """

    by: str
    to: str
    drafts: dict[str, int]
    dispatched: int
    withdrawn: int
    stored: int
    answered: dict[str, int]
    unanswered: int
    states: dict[str, int]
    waiting: tuple[Waiting, ...]


class Day(msgspec.Struct, frozen=True):
    """One UTC day: releases of each party by the time that their entries state."""

    day: str
    counts: dict[str, int]


class Days(msgspec.Struct, frozen=True):
    """The days of a window, each one there, and how many releases stand before and after it."""

    days: tuple[Day, ...]
    before: dict[str, int]
    after: dict[str, int]


class Question(msgspec.Struct, frozen=True):
    """A request and the hours until its first answer was received; None: not answered yet, `waited` so far."""

    rid: str
    by: str
    number: int
    at: str
    priority: str
    state: str
    hours: float | None
    waited: float
    area: str
    marking: Marking


class Due(msgspec.Struct, frozen=True):
    """What is owed under one key: by and to whom, when, and whether both state it alike.

    `dues` is what each party states, in the agreement's order ("": no time); `due` is the earliest of them.
    """

    key: str
    by: str
    to: str
    strength: str
    due: str
    dues: tuple[tuple[str, str], ...]
    state: str
    passed: bool


class Traffic(msgspec.Struct, frozen=True):
    """Both directions, ours first, and the three series that are drawn."""

    at: str
    sizes: dict[str, int]
    acknowledged: int
    directions: tuple[Direction, ...]
    days: Days
    questions: tuple[Question, ...]
    dues: tuple[Due, ...]


def everything(area: str, marking: Marking, sender: str) -> bool:
    """Whoever may see all of it."""
    del area, marking, sender
    return True


def traffic(node: Ledger, *, window_days: int = 30, sees: Sees = everything) -> Traffic:
    """The traffic at this minute as this node holds it, for one reader; the window ends today."""
    books = _Books(node, sees)
    facts = {side.party: list(books.seen(side)) for side in (node.side, node.other_side)}
    return Traffic(
        at=node.now(),
        sizes=dict(node.pair.sizes),
        acknowledged=node.acknowledged(),
        directions=tuple(books.direction(side, facts[side.party]) for side in (node.side, node.other_side)),
        days=_days(node, {party: [fact for fact, _ in found] for party, found in facts.items()}, window_days),
        questions=tuple(books.questions()),
        dues=_dues(node),
    )


class _Books:
    """One reader's view of both registers."""

    def __init__(self, node: Ledger, sees: Sees) -> None:
        self.node, self.sees, self.now = node, sees, node.now()
        self.cascade = Cascade(node.pair, node.pair.sizes, node.laws)

    def marking(self, side: Side, fact: ReleaseFact) -> Marking:
        """As it stands now."""
        return self.cascade.of(side, fact).marking if fact.orders or fact.ancestors else fact.marking

    def seen(self, side: Side) -> Iterator[tuple[ReleaseFact, Marking]]:
        """The releases that the reader may know of, with their markings now."""
        for fact in side.releases:
            mark = self.marking(side, fact)
            if self.sees(fact.area, mark, side.party):
                yield fact, mark

    def direction(self, side: Side, facts: list[tuple[ReleaseFact, Marking]]) -> Direction:
        """The releases of one side, counted in both registers."""
        node, other = self.node, self.node.pair.other(side.party)
        cosigned = self._cosigned(side)
        states = dict.fromkeys(STATES, 0)
        answered: Counter[str] = Counter()
        for fact, _ in facts:
            state = release_state(fact, side.size, other.size)
            states["stored" if state == "dispatched" and fact.idx < cosigned else state] += 1
            if fact.answers:
                answered[fact.answers[-1].outcome] += 1
        waiting = [self._waiting(side, fact, mark) for fact, mark in facts if _waits(side, fact)]
        return Direction(
            by=side.party, to=other.party, drafts=self._drafts() if side is node.side else {}, dispatched=len(facts),
            withdrawn=sum(fact.withdrawn_at(side.size) for fact, _ in facts),
            stored=sum(fact.idx < cosigned for fact, _ in facts), answered=dict(sorted(answered.items())),
            unanswered=sum(fact.idx < cosigned and not fact.answers for fact, _ in facts), states=states,
            waiting=tuple(sorted(waiting, key=lambda one: (one.at, one.number))),
        )  # fmt: skip

    def _cosigned(self, side: Side) -> int:
        """How many entries of a side the other has cosigned, as far as this node knows."""
        if side is self.node.side:
            return self.node.acknowledged()
        head = self.node.head_of(side.party)
        return head.size if head is not None else 0

    def _drafts(self) -> dict[str, int]:
        """What has not left, by state."""
        found = dict.fromkeys(DRAFTS, 0)
        for state in DRAFTS:
            for rid in self.node.db.rids_in(state):
                draft = self.node.db.draft(rid)
                core = parse_as(draft.core, Core, place="draft") if draft is not None else None
                found[state] += core is not None and self.sees(core.area, core.marking, self.node.party)
        return found

    def _waiting(self, side: Side, fact: ReleaseFact, mark: Marking) -> Waiting:
        terms = self.node.laws[fact.acts_under].law.areas.get(fact.area)
        due = _later(fact.at, terms.answer_hours) if terms is not None and terms.answer_hours is not None else ""
        return Waiting(
            rid=fact.rid, by=side.party, number=fact.number, at=fact.at, hours=_hours(fact.at, self.now), due=due,
            overdue=bool(due) and self.now >= due, area=fact.area, marking=mark,
            rank=rank_of(self.node.law.law, self.node.party, mark, side.party),
        )  # fmt: skip

    def questions(self) -> Iterator[Question]:
        """Every request with its pace, oldest first."""
        for row in asked(self.node):
            side = self.node.pair.sides[row.by]
            fact = side.release(row.rid)
            if fact is None:
                continue
            mark = self.marking(side, fact)
            if self.sees(fact.area, mark, row.by):
                yield Question(
                    rid=row.rid, by=row.by, number=row.number, at=row.at, priority=row.priority, state=row.state,
                    hours=row.hours, waited=row.hours if row.hours is not None else _hours(row.at, self.now),
                    area=fact.area, marking=mark,
                )  # fmt: skip


def _waits(side: Side, fact: ReleaseFact) -> bool:
    return not fact.answers and not fact.withdrawn_at(side.size)


def _hours(start: str, end: str) -> float:
    return round((parse_time(end) - parse_time(start)).total_seconds() / 3600, 2)


def _later(at: str, hours: int) -> str:
    try:
        return time_text(parse_time(at) + timedelta(hours=hours))
    except OverflowError:
        return ""


def _days(node: Ledger, facts: dict[str, list[ReleaseFact]], window_days: int) -> Days:
    """By the date in `at`, whatever it is: what states a time outside the window is counted beside it."""
    last = date.fromisoformat(node.now()[:10])
    window = [(last - timedelta(days=back)).isoformat() for back in range(max(window_days, 1) - 1, -1, -1)]
    counts = {party: Counter(fact.at[:10] for fact in found) for party, found in facts.items()}
    return Days(
        tuple(Day(day, {party: counts[party][day] for party in counts}) for day in window),
        {party: sum(n for day, n in found.items() if day < window[0]) for party, found in counts.items()},
        {party: sum(n for day, n in found.items() if day > window[-1]) for party, found in counts.items()},
    )


def _dues(node: Ledger) -> tuple[Due, ...]:
    """Undertakings by due date, those without one last. They stand in clear in both registers."""
    found = []
    for one in undertakings(node.pair):
        bodies = {party: fact.body for party, fact in one.stated.items() if isinstance(fact.body, Undertaking)}
        first = next(iter(bodies.values()))
        dues = tuple((party, body.due if isinstance(body.due, str) else "") for party, body in bodies.items())
        due = min((when for _, when in dues if when), default="")
        found.append(
            Due(one.key, first.owed_by, first.to, first.strength, due, dues, one.state, bool(due) and node.now() >= due)
        )
    return tuple(sorted(found, key=lambda one: (not one.due, one.due, one.key)))
