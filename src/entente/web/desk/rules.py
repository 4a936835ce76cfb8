"""Every rule in words, and how a draft stands before each: what decide() and gate() observed, with the article."""

from collections.abc import Sequence

from entente.node.propose import check_draft
from entente.node.why import findings_of
from entente.treaty.request import Finding
from entente.web.desk.waiting import Waiting
from entente.web.page import Cell, Content, Said, Table, said
from entente.web.visit import Visit

PERSONS = frozenset({"approval_valid", "approval_count"})
LATER = frozenset({"kem"})  # no sealing key is chosen before dispatch
ASKED = "at dispatch"
RULES: dict[str, Said] = {
    "in_force": said("The agreement is in force"),
    "status": said("Neither side has suspended it"),
    "parties": said("From one party to the other, exercise to exercise"),
    "area": said("The area is open in this direction, and the article is one of its"),
    "format": said("The format, the view and the size are the area's"),
    "level": said("The level is a word of its scale"),
    "equivalence": said("The partner has a level equal to it"),
    "channel": said("It may travel by this channel"),
    "ceiling": said("It is not above the area's ceiling"),
    "releasable": said("It is releasable to both parties and to nobody unknown"),
    "caveats": said("Its caveats may cross"),
    "purpose": said("The purpose is one of the area's"),
    "originator": said("It is ours to give, or goes home"),
    "join": said("It is marked no lower than what it derives from"),
    "ancestors": said("What it derives from is not withdrawn or destroyed"),
    "assurance": said("The partner has assured that it can protect it"),
    "units": said("Each unit is assured"),
    "custody": said("The custody is the one laid down"),
    "retention": said("It is kept no longer than allowed"),
    "copies": said("No more copies than allowed"),
    "answers": said("The partner does not owe answers for too long"),
    "kem": said("The partner has a sealing key in force"),
    "approval_valid": said("Each signature is over these bytes, by a person with role, area and ceiling"),
    "approval_count": said("Enough persons have signed, in all the roles"),
    "standing": said("The standing approval covers it"),
    "once": said("It was not released before"),
    "author": said("The author is none of those who approve"),
    "need": said("Author and approvers are cleared for it"),
    "consent": said("The third state has consented"),
    "ip": said("A licence is on file"),
    "accreditation": said("This node may hold it"),
    "shown": said("The bytes shown are the bytes committed to"),
    "running": said("This node may sign"),
    "mapped": said("Its foreign marking is mapped"),
    "withhold": said("Its type is not kept back by the article"),
    "reference": said("It names nothing that is kept back"),
}


def rule_words(rule: str) -> Content:
    """A rule in words; its bare name where there are none."""
    return RULES.get(rule, Cell(rule, "code"))


def findings(visit: Visit, one: Waiting) -> tuple[Finding, ...]:
    """What every rule says of the draft as things stand now, or said when it was dispatched or refused."""
    node, row = visit.node, one.row
    if row.state in ("dispatched", "refused"):
        return findings_of(node, row.rid)

    def make() -> tuple[Finding, ...]:
        decision, private = check_draft(node, row, skip=LATER)
        law = node.laws[one.core.agreement].law
        later = [Finding(rule, law.rules.decide.get(rule, ""), ok=True, observed=ASKED) for rule in sorted(LATER)]
        return (*decision.findings, *later, *private.findings)

    signed = tuple((given.by, given.sig) for given in one.approvals)
    return visit.door.kept(node, ("findings", row.rid, row.state, signed), make)


def failed(found: Sequence[Finding]) -> list[Finding]:
    """The rules that refuse it; that persons have not signed yet is no refusal."""
    return [finding for finding in found if not finding.ok and finding.rule not in PERSONS]


def rules_table(found: Sequence[Finding]) -> Table:
    """Every rule: failed ones first, then what waits for persons, then the rest in the order of the agreement."""

    def result(finding: Finding) -> Said:
        if finding.observed == ASKED:
            return said("asked at dispatch")
        if finding.ok:
            return said("n/a") if finding.observed == "n/a" else said("passed", tone="good")
        return said("not yet", tone="wait") if finding.rule in PERSONS else said("refuses", tone="bad")

    def order(finding: Finding) -> int:
        return 2 if finding.ok else 1 if finding.rule in PERSONS else 0

    rows: list[list[Content]] = [
        [result(one), rule_words(one.rule), Cell(one.rule, "code"), Cell(one.article), Cell(one.observed)]
        for one in sorted(found, key=order)
    ]
    columns = [said("Result"), said("Rule"), said("Name"), said("Article"), said("Observed")]
    return Table(said("Every rule, with its article"), columns, rows, said("No rule was asked yet."))
