"""The View: what decide() may know about one release, cut at the entry's own causal past."""

import heapq
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from entente.account.acts import StandingClass
from entente.account.cascade import Cascade
from entente.account.state import Pair, ReleaseFact, Side
from entente.keys import split_key
from entente.strict import parse_time
from entente.treaty.agreement import Agreement, SignedAgreement
from entente.treaty.request import Ancestor, Assurance, Kem, Person, Request, StandingUse, View


def agreement_at(
    side: Side, other: Side, seen: int, at: str, laws: Mapping[str, SignedAgreement]
) -> SignedAgreement | None:
    """The latest version that both have adopted, as far as the author knew, and that has started; None before that.

    Whether its term has ended is not looked at: what was received stays protected, and acts about it go on.
    """
    found = None
    for name in side.adopted:
        signed = laws.get(name)
        if signed is None or other.adopted.get(name, seen) >= seen or signed.law.start > at:
            continue
        if found is None or signed.law.version > found.law.version:
            found = signed
    return found


def end_of(law: Agreement, notices: list[str], at: str) -> str:
    """The end of the term that holds at `at`: renewed each time that nobody gave notice early enough."""
    end = law.end
    while at >= end and law.renew_years and law.end_after(end) > end:
        limit = law.notice_limit(end)
        if any(notice <= limit for notice in notices):
            return end
        end = law.end_after(end)
    return end


def in_force(side: Side, other: Side, seen: int, at: str, laws: Mapping[str, SignedAgreement]) -> str | None:
    """The hash of the version in force at `at`, or None: not both adopted, not started, or ended."""
    notices = [when for _, act, when in side.terms if act == "notice_of_end"]
    notices += [when for idx, act, when in other.terms if act == "notice_of_end" and idx < seen]
    found = agreement_at(side, other, seen, at, laws)
    if found is None or at >= end_of(found.law, notices, at):
        return None
    return found.hash


def view_for(pair: Pair, party: str, seen: int, request: Request, laws: Mapping[str, SignedAgreement]) -> View:
    """The View of the next entry of `party`, which has seen `seen` of the partner's entries.

    All of `party`'s facts so far count; the partner's count below `seen`. Source: design core-spec, Fold.
    """
    side, other = pair.sides[party], pair.other(party)
    core, at = request.core, request.at
    return View(
        persons=_persons(side, [given.by for given in request.approvals], request.idx),
        ancestors=_ancestors(pair, side, seen, core.ancestors, laws),
        assurances=_assurances(other, seen, core.area),
        overdue_hours=overdue_hours(side, seen, at, laws),
        seen_before=core.rid in side.by_rid,
        suspended=tuple(sorted([side.party] * side.suspended_at(side.size) + [other.party] * other.suspended_at(seen))),
        in_force=in_force(side, other, seen, at, laws),
        standing=_standing(side, core.standing, at),
        kem=_kem(other, seen, request.sealed.kem_key),
        last_at=side.last_at,
    )


def _persons(side: Side, handles: list[str], idx: int) -> dict[str, Person]:
    found = {}
    for handle in handles:
        fact = side.persons.get(handle)
        if fact is not None and (fact.revoked_from is None or fact.revoked_from > idx):
            found[handle] = fact.person
    return found


def _ancestors(
    pair: Pair, side: Side, seen: int, rids: tuple[str, ...], laws: Mapping[str, SignedAgreement]
) -> dict[str, Ancestor]:
    """The ancestors that may be built upon: known at this cut, and with a marking that can be told in their scale."""
    other, found = pair.other(side.party), {}
    cascade = Cascade(pair, {side.party: side.size, other.party: seen}, laws)
    for rid in rids:
        fact = other.release(rid)
        if fact is None or fact.idx >= seen:
            continue
        current = cascade.of(other, fact)
        if not current.known:
            continue
        outcomes = fact.outcomes_at(side.size)
        state = "live"
        if fact.withdrawn_at(seen):
            state = "withdrawn"
        elif "destroyed" in outcomes:
            state = "destroyed"
        elif "returned" in outcomes:
            state = "returned"
        found[rid] = Ancestor(current.marking, state)
    return found


def _assurances(other: Side, seen: int, area: str) -> tuple[Assurance, ...]:
    """The latest assurance for this area, for government and for each set of units."""
    latest = {}
    for idx, body in other.assurances:
        if idx < seen and area in body.areas:
            latest[body.units] = Assurance(body.level, (area,), body.units, body.until)
    return tuple(latest[units] for units in sorted(latest))


def overdue_hours(side: Side, seen: int, at: str, laws: Mapping[str, SignedAgreement]) -> int:
    """Whole hours by which the oldest unanswered, unwithdrawn release has passed its area's answer_hours; 0 if none.

    Each by the version of the agreement that it was made under, as `duties` has it. Changes nothing: the heaps in
    `side.open` are pruned as the fold goes on (`prune_open`).
    """
    worst = 0
    for name, heap in side.open.items():
        oldest = _oldest_open(side, seen, heap)
        version, _, area = name.partition("/")
        terms = laws[version].law.areas.get(area)
        if oldest is not None and terms is not None and terms.answer_hours is not None:
            late = parse_time(at) - parse_time(oldest) - timedelta(hours=terms.answer_hours)
            worst = max(worst, late // timedelta(hours=1))
    return worst


def _oldest_open(side: Side, seen: int, heap: list[tuple[str, int]]) -> str | None:
    """The time of the oldest release in the heap that is open at this cut; the heap itself is left alone."""
    if heap and not _closed(side.releases[heap[0][1]], side.size, seen):
        return heap[0][0]
    return min((when for when, place in heap if not _closed(side.releases[place], side.size, seen)), default=None)


def prune_open(side: Side) -> None:
    """What is answered below the author's own `seen`, or withdrawn, never opens again: it leaves the heaps."""
    for heap in side.open.values():
        while heap and _closed(side.releases[heap[0][1]], side.size, side.seen):
            heapq.heappop(heap)


def _closed(fact: ReleaseFact, own_size: int, seen: int) -> bool:
    return any(answer.idx < seen for answer in fact.answers) or fact.withdrawn_at(own_size)


def _standing(side: Side, act: str | msgspec.UnsetType, at: str) -> StandingUse | None:
    fact = side.standings.get(act) if isinstance(act, str) else None
    if fact is None or fact.revoked is not None:
        return None
    covers, quota, until = fact.body.covers, fact.body.per_day, fact.body.until
    if not isinstance(covers, StandingClass) or quota is msgspec.UNSET or until is msgspec.UNSET:
        return None
    used_count, used_bytes = fact.used.get(at[:10], (0, 0))
    return StandingUse(
        area=covers.area, format=covers.format, view=covers.view, ceiling=covers.ceiling, purpose=covers.purpose,
        count=quota.count, bytes=quota.bytes, until=str(until), used_count=used_count, used_bytes=used_bytes,
    )  # fmt: skip


def _kem(other: Side, seen: int, name: str) -> Kem | None:
    fact = other.kems.get(name)
    if fact is None or fact.born >= seen or (fact.revoked_from is not None and fact.revoked_from < seen):
        return None
    return Kem(split_key(fact.key)[0], fact.until)


def live_kem(other: Side, seen: int, at: str, algorithms: set[str]) -> str | None:
    """The id of the partner's usable sealing key that stays valid longest, or None."""
    usable = [
        (fact.until, name)
        for name, fact in other.kems.items()
        if _kem(other, seen, name) is not None and fact.until > at and split_key(fact.key)[0] in algorithms
    ]
    return max(usable)[1] if usable else None
