"""gate(): the national, private half of the question. Pure; journalled at home; the entry carries only a commitment.

It has the shape of decide(): every rule always evaluated, each citing the agreement's `[rules].gate` article, or
`local`.
Source: design core-spec, gate().
"""

import msgspec

from entente.treaty.agreement import Agreement
from entente.treaty.approval import Core
from entente.treaty.request import Decision, Finding, Person


class Situation(msgspec.Struct, frozen=True):
    """What only this node knows: who is who, what was shown, what the node may hold, whether it may sign."""

    author: Person | None
    approvers: tuple[Person, ...]
    accreditation: str
    shown: str
    frozen: str
    consents: tuple[str, ...] = ()


def gate(law: Agreement, sender: str, core: Core, now: Situation) -> Decision:
    """The national decision on one release: rules author, need, consent, ip, accreditation, shown, running."""
    ranks = law.ranks[sender]
    mark = core.marking
    row = law.rows[law.other(sender)].get(mark.level) if mark.originator == law.other(sender) else None
    level = row.equivalent if row is not None else mark.level
    persons = (*([now.author] if now.author else []), *now.approvers)
    same = [person for person in now.approvers if now.author is not None and person.commitment == now.author.commitment]
    needing = [
        p for p in persons if core.area not in p.areas or ranks.get(p.ceiling, -1) < ranks.get(level, len(ranks))
    ]
    holds = not now.accreditation or ranks.get(level, len(ranks)) <= ranks.get(now.accreditation, -1)
    author = "the author may not approve" if same else "author apart" if now.author else "the author is not certified"
    found: tuple[tuple[str, bool, str], ...] = (
        ("author", now.author is not None and not same, author),
        (
            "need",
            not needing,
            f"{len(persons)} persons cleared for {core.area}, {level}" if not needing else "not cleared for it",
        ),
        (
            "consent",
            core.third_party == "none" or core.third_party in now.consents,
            "n/a" if core.third_party == "none" else "held",
        ),
        ("ip", "IP" not in mark.caveats, "n/a" if "IP" not in mark.caveats else "no licence on file"),
        ("accreditation", holds, now.accreditation or "not limited"),
        (
            "shown",
            now.shown == core.content,
            "bytes shown = bytes committed" if now.shown == core.content else "other bytes",
        ),
        ("running", not now.frozen, now.frozen or "may sign"),
    )
    articles = law.rules.gate
    findings = []
    for rule, ok, observed in found:
        article = articles.get(rule, "local" if rule in ("shown", "running") else "")
        findings.append(Finding(rule, article, ok and article != "", observed))
    return Decision(all(finding.ok for finding in findings), core.agreement, tuple(findings))
