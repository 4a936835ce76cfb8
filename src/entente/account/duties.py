"""What each party owes the other at a time: computed from both registers, entered by nobody, the same on both nodes.

Each duty is read by the version of the agreement under which it arose, and outlives the agreement's term. What the
agreement states no time for has no `due` and is never overdue. Times are half-open: what is due at T is overdue at T.
Source: design core, After the crossing; treaty duties D11, D14, D22, D24, D28.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import msgspec

from entente.account.cascade import Cascade, carried, scale_of
from entente.account.incidents import cases, held, pointed_at
from entente.account.state import AnswerFact, IncidentFact, Pair, ReleaseFact, Side
from entente.account.view import agreement_at, end_of
from entente.strict import parse_time
from entente.treaty.agreement import Agreement, SignedAgreement

RENEW_DAYS = 30  # before its end, where the agreement states no notice_days
ORDERS = {"withdraw": "withdrawn", "return": "return", "destroy": "destroy"}


class Duty(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who owes whom what: `kind` answer, return_or_destroy, report or renew_assurance, and what gave rise to it.

    `cause` is the kind of entry to answer; retention, withdrawn, return or destroy; the stage to report; government or
    the unit that an assurance covers. `origin` and `idx` name the entry that gave rise to it. `article` is the
    agreement's, empty where it states none; `area` is empty where several or none are concerned.
    """

    kind: str
    cause: str
    owed_by: str
    owed_to: str
    origin: str
    idx: int
    area: str
    article: str
    overdue: bool
    due: str | None = None
    rid: str | None = None


def duties(pair: Pair, laws: Mapping[str, SignedAgreement], at: str) -> tuple[Duty, ...]:
    """Every open duty of both parties at `at`, sorted by (kind, origin, idx, cause).

    What is held is owed back from its receipt, and due when its retention ends or an order says so.
    """
    books = _Books(pair, laws, at)
    found: list[Duty] = []
    for side in pair.sides.values():
        found += books.answers(side)
        found += books.ends(side)
        found += books.assurances(side)
    found += books.reports()
    return tuple(sorted(found, key=lambda duty: (duty.kind, duty.origin, duty.idx, duty.cause, duty.rid or "")))


class _Books:
    """Both registers at one time, with what several duties need."""

    def __init__(self, pair: Pair, laws: Mapping[str, SignedAgreement], at: str) -> None:
        self.pair, self.laws, self.at = pair, laws, at
        self.cascade = Cascade(pair, pair.sizes, laws)
        first, second = pair.sides.values()
        self.latest = agreement_at(first, second, second.size, at, laws)
        notices = [when for side in (first, second) for _, act, when in side.terms if act == "notice_of_end"]
        self.end = end_of(self.latest.law, notices, at) if self.latest is not None else None

    def _law(self, fact: ReleaseFact) -> Agreement:
        return self.laws[fact.acts_under].law

    def _passed(self, due: str | None) -> bool:
        return due is not None and self.at >= due

    def answers(self, side: Side) -> Iterator[Duty]:
        """What the partner of `side` has not answered yet: releases that are not withdrawn, orders, incidents."""
        other = self.pair.other(side.party)
        for fact in side.releases:
            if not fact.answers and not fact.withdrawn_at(side.size):
                yield self._answer(side, fact.idx, "release", fact.at, about=[fact], rid=fact.rid)
            for order in fact.orders:
                if not _below(side.order_answers[order.idx], other.size):
                    yield self._answer(side, order.idx, "order", order.at, about=[fact], rid=fact.rid)
        for incident in side.incidents:
            if not _below(side.order_answers[incident.idx], other.size):
                yield self._answer(side, incident.idx, "incident", incident.at, about=self._concerned(side, incident))

    def _concerned(self, author: Side, incident: IncidentFact) -> list[ReleaseFact]:
        named = pointed_at(self.pair, author, incident)
        facts = (self.pair.sides[party].release(rid) for party, rid in named)
        return [fact for fact in facts if fact is not None]

    def _answer(
        self, side: Side, idx: int, cause: str, at: str, *, about: list[ReleaseFact], rid: str | None = None
    ) -> Duty:
        """An answer, due after the shortest `answer_hours` among the areas concerned, or with no time stated."""
        hours = []
        for fact in about:
            terms = self._law(fact).areas.get(fact.area)
            if terms is not None and terms.answer_hours is not None:
                hours.append(terms.answer_hours)
        due = _after(at, timedelta(hours=min(hours))) if hours else None
        articles = {self._law(fact).rules.decide.get("answers", "") for fact in about}
        return Duty(
            kind="answer", cause=cause, owed_by=self.pair.other(side.party).party, owed_to=side.party,
            origin=side.origin, idx=idx, area=_only({fact.area for fact in about}), article=_only(articles),
            overdue=self._passed(due), due=due, rid=rid,
        )  # fmt: skip

    def ends(self, side: Side) -> Iterator[Duty]:
        """What the partner of `side` received and must return or destroy: one duty a release, as it first falls due."""
        other = self.pair.other(side.party)
        for fact in side.releases:
            if fact.marking.originator == other.party:
                continue  # it went home: nobody owes its own back
            if not held(fact, other.size) or not self._protected(self._law(fact)):
                continue
            received = next(given.at for given in fact.answers if given.outcome == "received")
            kept_until = _after(received, timedelta(days=fact.retain_days))
            causes = [(act.at, ORDERS[act.act], act.idx) for act in fact.orders if act.act in ORDERS]
            if kept_until is not None:
                causes.append((kept_until, "retention", fact.idx))
            if causes:
                due, cause, idx = min(causes)
                yield Duty(
                    kind="return_or_destroy", cause=cause, owed_by=other.party, owed_to=side.party,
                    origin=side.origin, idx=idx, area=fact.area,
                    article=self._law(fact).rules.decide.get("retention", ""),
                    overdue=self._passed(due), due=due, rid=fact.rid,
                )  # fmt: skip

    def _protected(self, law: Agreement) -> bool:
        """Whether what was received under this version is protected still: until so many days after the end."""
        after = law.protection_after_end
        if after == "for ever" or self.end is None or self.at < self.end:
            return True
        ends = _after(self.end, timedelta(days=after if isinstance(after, int) else 0))
        return ends is None or self.at < ends

    def reports(self) -> Iterator[Duty]:
        """The next stage of each open case, by the author of its notice; the agreement states no time for it."""
        for case in cases(self.pair):
            if case.owes is None:
                continue
            areas = {fact.area for one in case.facts for fact in self._concerned(self.pair.sides[case.author], one)}
            rids = sorted({rid for _, rid in case.releases})
            yield Duty(
                kind="report", cause=case.owes, owed_by=case.author, owed_to=self.pair.other(case.author).party,
                origin=case.origin, idx=case.idx, area=_only(areas), article="", overdue=False,
                rid=rids[0] if len(rids) == 1 else None,
            )  # fmt: skip

    def assurances(self, side: Side) -> Iterator[Duty]:
        """The assurances of the partner of `side` that cover what it holds and are about to end, or have ended.

        One duty for each area, for government and for each unit, at the highest level held there.
        """
        other = self.pair.other(side.party)
        needed: dict[tuple[str, str], tuple[int, ReleaseFact]] = {}
        for fact in side.releases:
            stands = held(fact, other.size) and not fact.withdrawn_at(side.size) and self._protected(self._law(fact))
            for unit in ("", *fact.units) if stands else ():
                rank = self._rank(side, other, fact)
                known = needed.get((fact.area, unit))
                if known is None or rank > known[0]:
                    needed[fact.area, unit] = rank, fact
        for (_, unit), (rank, fact) in sorted(needed.items(), key=lambda item: item[0]):
            duty = self._renewal(side, unit, rank, fact)
            if duty is not None:
                yield duty

    def _rank(self, side: Side, other: Side, fact: ReleaseFact) -> int:
        """The rank of its current level among the recipient's; above them all where it cannot be told."""
        law, current = self._law(fact), self.cascade.of(side, fact)
        ranks = law.ranks[other.party]
        mark = current.marking
        word = carried(mark.level, scale_of(mark, side.party, law), other.party, law) if current.known else None
        return ranks.get(word, len(ranks)) if word is not None else len(ranks)

    def _renewal(self, side: Side, unit: str, rank: int, fact: ReleaseFact) -> Duty | None:
        """The duty to renew what covers this, or None while it holds for long enough."""
        law, other = self._law(fact), self.pair.other(side.party)
        standing = {}
        for idx, body in other.assurances:
            if fact.area in body.areas and (unit in body.units if unit else not body.units):
                standing[body.units] = idx, body
        covers = [
            (body.until, idx) for idx, body in standing.values() if law.ranks[other.party].get(body.level, -1) >= rank
        ]
        due, (origin, idx) = None, (side.origin, fact.idx)
        if covers:
            due, idx = max(covers)
            if self.at < _before(due, timedelta(days=law.notice_days or RENEW_DAYS)):
                return None
        if standing:
            origin, idx = other.origin, idx if covers else max(idx for idx, _ in standing.values())
        return Duty(
            kind="renew_assurance", cause=unit or "government", owed_by=other.party, owed_to=side.party,
            origin=origin, idx=idx, area=fact.area,
            article=law.rules.decide.get("units" if unit else "assurance", ""), overdue=self._passed(due), due=due,
        )  # fmt: skip


def _below(answers: list[AnswerFact], size: int) -> bool:
    return any(given.idx < size for given in answers)


def _only(found: set[str]) -> str:
    """The one of the set, or nothing where there are several."""
    return next(iter(found)) if len(found) == 1 else ""


def _after(at: str, time: timedelta) -> str | None:
    """`at` and so much more, or None beyond the end of the calendar."""
    try:
        return (parse_time(at) + time).isoformat()[:16] + "Z"
    except OverflowError:
        return None


def _before(at: str, time: timedelta) -> str:
    """`at` less so much, or the beginning of the calendar."""
    try:
        return (parse_time(at) - time).isoformat()[:16] + "Z"
    except OverflowError:
        return "0001-01-01T00:00Z"
