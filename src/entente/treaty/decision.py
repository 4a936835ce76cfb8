"""decide(): whether one release may cross, by every rule of the agreement, each with its article and what it observed.

Pure and total: the same inputs give the same findings on both nodes and years later. Every rule is always evaluated;
what is unknown or missing refuses. The corners are fixed in docs/reference/formats.md; a second implementation
written from that page alone must agree on 10,000 random cases (tests/treaty/test_decision.py).
"""

from collections.abc import Callable

from entente.keys import SUITE_ALGORITHM, Verifier
from entente.treaty.agreement import DECIDE_RULES, Agreement, Row, Terms
from entente.treaty.approval import approval_message
from entente.treaty.request import Decision, Finding, Request, View, parties_of

Outcome = tuple[bool, str]
NOT_APPLICABLE: Outcome = (True, "n/a")


class _Case:
    """One request with what several rules need: terms, scale, row, and the level in both scales (None: unknown)."""

    __slots__ = (
        "area", "at", "core", "law", "level_known", "mark", "own", "rank", "rank_there", "recipient", "request", "row",
        "sender", "theirs", "verify", "view",
    )  # fmt: skip

    def __init__(self, law: Agreement, view: View, request: Request, verify: Verifier) -> None:
        self.law, self.view, self.request, self.verify = law, view, request, verify
        core = request.core
        self.core, self.mark, self.at = core, core.marking, request.at
        self.sender, self.recipient = parties_of(request.origin)
        self.area: Terms | None = law.areas.get(core.area)
        ranks = law.ranks
        self.rank = ranks.get(self.sender, {})
        self.rank_there = ranks.get(self.recipient, {})
        mark = core.marking
        scale = ranks.get(mark.originator, self.rank)
        self.level_known = mark.level in scale
        back = mark.originator == self.recipient
        left, right = (self.recipient, self.sender) if back else (self.sender, self.recipient)
        rows = law.rows.get(left, {}) if right in law.party else {}
        self.row: Row | None = rows.get(mark.level) if self.level_known else None
        over = self.row.equivalent if self.row is not None else None
        own, theirs = (over, mark.level) if back else (mark.level, over)
        self.own = own if own in self.rank else None
        self.theirs = theirs if theirs in self.rank_there else None


def _unknown(name: str) -> Outcome:
    return False, f"unknown:{name}"


def _level(case: _Case, *, carried: str | None) -> Outcome | None:
    """Why the level cannot be compared in the scale that `carried` belongs to; None if it can."""
    if not case.level_known:
        return _unknown("level")
    return _unknown("row") if carried is None else None


def _in_force(case: _Case) -> Outcome:
    if case.view.in_force is None:
        return _unknown("in_force")
    return case.core.agreement == case.view.in_force, case.view.in_force[:16]


def _status(case: _Case) -> Outcome:
    return not case.view.suspended, ", ".join(case.view.suspended) or "not suspended"


def _parties(case: _Case) -> Outcome:
    core, law = case.core, case.law
    exercise = core.exercise is True
    good = (
        core.origin == case.request.origin
        and core.to == case.recipient
        and case.sender != case.recipient
        and case.sender in law.party
        and case.recipient in law.party
        and exercise == law.exercise
    )
    return good, f"{case.sender} to {core.to}{', exercise' if exercise else ''}"


def _area(case: _Case) -> Outcome:
    if case.area is None:
        return _unknown("area")
    opened = f"{case.sender}>{case.recipient}" in (case.area.directions or ())
    return opened and case.core.article in (case.area.articles or ()), f"{case.core.area}, Art. {case.core.article}"


def _format(case: _Case) -> Outcome:
    area, core = case.area, case.core
    if area is None:
        return _unknown("area")
    good = (
        core.format in (area.formats or ())
        and core.view in (area.views or ())
        and core.bytes_padded <= (area.max_bytes or 0)
    )
    return good, f"{core.format}, {core.view}, {core.bytes_padded} bytes"


def _level_rule(case: _Case) -> Outcome:
    return (True, case.mark.level) if case.level_known else _unknown("level")


def _equivalence(case: _Case) -> Outcome:
    if not case.level_known:
        return _unknown("level")
    return (True, f"{case.row.level} = {case.row.equivalent}") if case.row is not None else _unknown("row")


def _channel(case: _Case) -> Outcome:
    if case.row is None:
        return _unknown("row")
    return case.core.channel in case.row.channels, case.core.channel


def _ceiling(case: _Case) -> Outcome:
    if case.area is None:
        return _unknown("area")
    problem = _level(case, carried=case.own)
    if problem is not None:
        return problem
    ceiling = (case.area.ceiling or {}).get(case.sender)
    if ceiling not in case.rank:
        return _unknown("ceiling")
    return case.rank[case.own] <= case.rank[ceiling], f"{case.own}, ceiling {ceiling}"  # type: ignore[index]


def _releasable(case: _Case) -> Outcome:
    to = set(case.mark.releasable_to)
    good = {case.sender, case.core.to} <= to <= case.law.party.keys() | set(case.law.thirds)
    return good, ", ".join(case.mark.releasable_to)


def _caveats(case: _Case) -> Outcome:
    if not case.mark.caveats:
        return NOT_APPLICABLE
    if case.area is None:
        return _unknown("area")
    good = all(caveat in case.law.caveats and caveat in (case.area.caveats or ()) for caveat in case.mark.caveats)
    return good, ", ".join(case.mark.caveats)


def _purpose(case: _Case) -> Outcome:
    if case.area is None:
        return _unknown("area")
    return case.mark.purpose in (case.area.purposes or ()), case.mark.purpose


def _originator(case: _Case) -> Outcome:
    origin = case.mark.originator
    if origin in (case.sender, case.recipient):
        return True, origin
    if case.area is None:
        return _unknown("area")
    return case.area.third_party is True and case.core.third_party != "none", f"third: {origin}"


def _join(case: _Case) -> Outcome:
    if not case.core.ancestors:
        return NOT_APPLICABLE
    problem = _level(case, carried=case.own)
    if problem is not None:
        return problem
    if any(rid not in case.view.ancestors for rid in case.core.ancestors):
        return _unknown("ancestors")
    highest = 0
    rows = case.law.rows.get(case.recipient, {})
    for rid in case.core.ancestors:
        found = case.view.ancestors[rid].marking
        level: str | None = found.level
        if found.originator != case.sender:
            row = rows.get(found.level)
            level = row.equivalent if row is not None else None
        if level not in case.rank:
            return _unknown("level" if found.originator == case.sender else "row")
        highest = max(highest, case.rank[level])
    parents = [case.view.ancestors[rid].marking for rid in case.core.ancestors]
    mark = case.mark
    good = (
        case.rank[case.own] >= highest  # type: ignore[index]
        and all(set(mark.releasable_to) <= set(parent.releasable_to) for parent in parents)
        and all(set(mark.caveats) >= set(parent.caveats) for parent in parents)
        and all(mark.purpose == parent.purpose for parent in parents)
    )
    return good, f"{case.own} over {len(parents)}"


def _ancestors(case: _Case) -> Outcome:
    if not case.core.ancestors:
        return NOT_APPLICABLE
    states = []
    for rid in case.core.ancestors:
        found = case.view.ancestors.get(rid)
        if found is None:
            return _unknown("ancestors")
        states.append(found.state)
    return all(state not in ("withdrawn", "destroyed") for state in states), ", ".join(sorted(set(states)))


def _assured(case: _Case, unit: str | None) -> bool:
    """Whether the recipient assures the level and area at `at`, for government (`unit` None) or for one unit."""
    rank = case.rank_there
    return any(
        (unit in found.units if unit is not None else not found.units)
        and case.core.area in found.areas
        and rank.get(found.level, -1) >= rank[case.theirs]  # type: ignore[index]
        and case.at < found.until
        for found in case.view.assurances
    )


def _assurance(case: _Case) -> Outcome:
    problem = _level(case, carried=case.theirs)
    if problem is not None:
        return problem
    if not case.view.assurances:
        return _unknown("assurances")
    return _assured(case, None), f"{case.recipient}: {case.theirs}"


def _units(case: _Case) -> Outcome:
    if not case.core.units:
        return NOT_APPLICABLE
    problem = _level(case, carried=case.theirs)
    if problem is not None:
        return problem
    if not case.view.assurances:
        return _unknown("assurances")
    return all(_assured(case, unit) for unit in case.core.units), ", ".join(case.core.units)


def _custody(case: _Case) -> Outcome:
    if case.area is None:
        return _unknown("area")
    if not case.level_known:
        return _unknown("level")
    modes = case.area.custody or {}
    mode = modes.get(case.mark.level, modes.get("default"))
    return (case.core.custody == mode, case.core.custody) if mode is not None else _unknown("custody")


def _retention(case: _Case) -> Outcome:
    if case.area is None:
        return _unknown("area")
    return 1 <= case.core.retain_days <= (case.area.retain_days or 0), f"{case.core.retain_days} days"


def _copies(case: _Case) -> Outcome:
    if case.area is None:
        return _unknown("area")
    return 1 <= case.core.copies <= (case.area.copies or 0), str(case.core.copies)


def _answers(case: _Case) -> Outcome:
    if case.area is None:
        return _unknown("area")
    limit = case.area.block_after_hours
    hours = case.view.overdue_hours
    return limit == "never" or (isinstance(limit, int) and hours < limit), f"{hours} h overdue"


def _kem(case: _Case) -> Outcome:
    kem = case.view.kem
    if kem is None:
        return _unknown("kem")
    suite = case.request.sealed.suite
    good = suite in case.law.suites and SUITE_ALGORITHM.get(suite) == kem.algorithm and case.at < kem.until
    return good, f"{suite} until {kem.until}"


def _approval_valid(case: _Case) -> Outcome:
    if isinstance(case.core.standing, str):
        return NOT_APPLICABLE
    approvals = case.request.approvals
    if not approvals:
        return True, "0"
    problem = _level(case, carried=case.own)
    if problem is not None:
        return problem
    persons = case.view.persons
    if any(approval.by not in persons for approval in approvals):
        return _unknown("persons")
    rid = case.core.rid
    needed = case.rank[case.own]  # type: ignore[index]
    for given in approvals:
        person = persons[given.by]
        good = (
            case.at < given.until
            and case.at < person.until
            and given.role in person.roles
            and case.core.area in person.areas
            and case.rank.get(person.ceiling, -1) >= needed
            and case.verify(person.key, approval_message(rid, given.by, given.role, given.until), given.sig)
        )
        if not good:
            return False, given.by
    return True, ", ".join(approval.by for approval in approvals)


def _approval_count(case: _Case) -> Outcome:
    if isinstance(case.core.standing, str):
        return NOT_APPLICABLE
    area = case.area
    if area is None:
        return _unknown("area")
    known = [given for given in case.request.approvals if given.by in case.view.persons]
    persons = [case.view.persons[given.by] for given in known]
    count = min(len({person.commitment for person in persons}), len({person.key for person in persons}))
    good = (
        area.approvals is not None
        and count >= area.approvals
        and set(area.roles or ()) <= {given.role for given in known}
    )
    return good, f"{count} of {area.approvals}"


def _standing(case: _Case) -> Outcome:
    core = case.core
    if not isinstance(core.standing, str):
        return NOT_APPLICABLE
    if case.area is None:
        return _unknown("area")
    problem = _level(case, carried=case.own)
    if problem is not None:
        return problem
    use = case.view.standing
    if use is None:
        return _unknown("standing")
    good = (
        case.area.standing is True
        and (use.area, use.format, use.view, use.purpose) == (core.area, core.format, core.view, core.marking.purpose)
        and case.rank[case.own] <= case.rank.get(use.ceiling, -1)  # type: ignore[index]
        and not core.marking.caveats
        and use.used_count + 1 <= use.count
        and use.used_bytes + core.bytes_padded <= use.bytes
        and case.at < use.until
        and (case.view.last_at is None or case.at >= case.view.last_at)
    )
    return good, f"{use.used_count + 1} of {use.count} today"


def _once(case: _Case) -> Outcome:
    return not case.view.seen_before, "seen before" if case.view.seen_before else "new"


_RULES: tuple[Callable[[_Case], Outcome], ...] = (
    _in_force, _status, _parties, _area, _format, _level_rule, _equivalence, _channel, _ceiling, _releasable, _caveats,
    _purpose, _originator, _join, _ancestors, _assurance, _units, _custody, _retention, _copies, _answers, _kem,
    _approval_valid, _approval_count, _standing, _once,
)  # fmt: skip
_TABLE = tuple(zip(DECIDE_RULES, _RULES, strict=True))


def decide(
    law: Agreement, view: View, request: Request, verify: Verifier, *, skip: frozenset[str] = frozenset()
) -> Decision:
    """The decision of the agreement on one request: 26 findings in the table's order; permit if all are ok.

    Args:
        law: the agreement that `core.agreement` names.
        view: the slice of both registers that the request depends on (`account.fold`).
        request: the release as its entry states it.
        verify: checks one Ed25519 signature.
        skip: rules left out, for a draft that has no approvals and no sealing key yet; never used on an entry.
    Source: design core-spec, decide().
    """
    case = _Case(law, view, request, verify)
    articles = law.rules.decide
    findings = []
    permit = True
    for name, rule in _TABLE:
        if name in skip:
            continue
        ok, observed = rule(case)
        article = articles.get(name, "")
        ok = ok and article != ""
        permit = permit and ok
        findings.append(Finding(name, article, ok, observed))
    return Decision(permit, request.core.agreement, tuple(findings))
