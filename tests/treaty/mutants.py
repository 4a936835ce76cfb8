"""Eight classic mistakes, each planted in one rule of the second decide()."""

from collections.abc import Callable

from second_decide import (
    RULES,
    Facts,
    Finding,
    Rule,
    Tree,
    Unknown,
    Verify,
    ancestor_rank,
    applies_if,
    approval_stands,
    evaluate,
)


def until_inclusive(f: Facts) -> bool:
    """An approval still counts in the very minute at which it ends."""
    applies_if("standing" not in f.core)
    if not f.approvals:
        return True
    rank = f.rank_for(f.sender)
    if any(one["by"] not in f.view["persons"] for one in f.approvals):
        raise Unknown("persons")

    def stands(one: Tree) -> bool:
        person = f.view["persons"][one["by"]]
        ends = min(one["until"], person["until"])
        late = Facts(f.agreement, f.view, f.request, f.verify)
        late.at = "0" if f.at == ends else f.at
        return approval_stands(late, one, person, rank)

    return all(stands(one) for one in f.approvals)


def copies_below_limit(f: Facts) -> bool:
    """The limit itself is refused."""
    return bool(1 <= f.core["copies"] < f.area["copies"])


def rows_both_ways(f: Facts) -> bool:
    """`one_way` is not read."""
    left, right = f.sender, f.recipient
    if f.originator == f.recipient:
        left, right = right, left
    level = f.level
    if not any(right in row and row.get(left) == level for row in f.agreement["equivalence"]["rows"]):
        raise Unknown("row")
    return True


def distinct_handles(f: Facts) -> bool:
    """Two handles of one person count as two persons."""
    applies_if("standing" not in f.core)
    terms = f.area
    known = [one for one in f.approvals if one["by"] in f.view["persons"]]
    return len({one["by"] for one in known}) >= terms["approvals"] and set(terms["roles"]) <= {
        one["role"] for one in known
    }


def releasable_without_sender(f: Facts) -> bool:
    """Only the addressee has to be in `releasable_to`."""
    named = {*f.parties, *f.agreement["thirds"]}
    return {f.core["to"]} <= set(f.marking["releasable_to"]) <= named


def join_without_caveats(f: Facts) -> bool:
    """A caveat of an ancestor may be dropped."""
    applies_if(f.core["ancestors"])
    rank = f.rank_for(f.sender)
    markings = [one["marking"] for one in f.ancestors()]
    return (
        max([ancestor_rank(f, one) for one in markings]) <= rank
        and all(set(f.marking["releasable_to"]) <= set(one["releasable_to"]) for one in markings)
        and {one["purpose"] for one in markings} == {f.marking["purpose"]}
    )


def standing_one_more(f: Facts) -> bool:
    """This release is not counted among the day's."""
    applies_if("standing" in f.core)
    if "standing" not in f.view:
        return RULES["standing"](f)
    act = {**f.view["standing"], "count": f.view["standing"]["count"] + 1}
    return RULES["standing"](Facts(f.agreement, {**f.view, "standing": act}, f.request, f.verify))


def overdue_inclusive(f: Facts) -> bool:
    """Blocks an hour late."""
    block = f.area["block_after_hours"]
    return bool(block == "never" or f.view["overdue_hours"] <= block)


def planted(name: str, rule: Rule) -> Callable[[Tree, Tree, Tree, Verify], list[Finding]]:
    if name not in RULES:
        raise KeyError(name)
    table = {**RULES, name: rule}

    def decide(agreement: Tree, view: Tree, request: Tree, verify: Verify) -> list[Finding]:
        return evaluate(table.items(), Facts(agreement, view, request, verify))

    return decide


MUTANTS: dict[str, Callable[[Tree, Tree, Tree, Verify], list[Finding]]] = {
    "approval: at <= until": planted("approval_valid", until_inclusive),
    "copies: < limit": planted("copies", copies_below_limit),
    "equivalence: one_way rows read both ways": planted("equivalence", rows_both_ways),
    "approval count: distinct handles": planted("approval_count", distinct_handles),
    "releasable_to: without the sender": planted("releasable", releasable_without_sender),
    "join: caveats ignored": planted("join", join_without_caveats),
    "standing: usage off by one": planted("standing", standing_one_more),
    "answers: overdue <= block": planted("answers", overdue_inclusive),
}
