"""Drafts as a visitor meets them: which they may see, who signed, who is needed, and whether it waits on them."""

from collections.abc import Iterator

import msgspec

from entente.node.node import Node
from entente.node.refuse import Refusal, refusal_of
from entente.store.node_db import REFUSED, DraftRow
from entente.strict import read_own
from entente.treaty.agreement import Terms
from entente.treaty.approval import Approval, Core
from entente.treaty.request import Person
from entente.web.page import Said, said
from entente.web.visit import Visit

QUEUED = "queued"
STATES: dict[str, Said] = {
    "drafted": said("drafted, refused by a rule", tone="bad"),
    "checked": said("checked", tone="wait"),
    "approved": said("approved", tone="good"),
    QUEUED: said("approved, leaves with its slot", tone="good"),
    REFUSED: said("refused by a person", tone="bad"),
    "dispatched": said("dispatched", tone="good"),
}


class Waiting(msgspec.Struct, frozen=True):
    """A draft and its approvals. `missing` are roles that nobody has signed in; `mine` those the visitor could.

    `barred` says why the visitor cannot approve it; None where `mine` is not empty. `twin` is another handle of the
    same natural person, or with the same key, that has signed.
    """

    row: DraftRow
    core: Core
    approvals: tuple[Approval, ...]
    needed: int
    missing: tuple[str, ...]
    mine: tuple[str, ...]
    barred: Said | None
    own: bool
    signed: bool
    twin: str

    @property
    def open(self) -> bool:
        """Whether it can be approved still."""
        return self.row.state in ("drafted", "checked")

    @property
    def on_me(self) -> bool:
        """Whether it waits on the visitor's approval."""
        return self.row.state == "checked" and bool(self.mine)


def person_of(node: Node, handle: str) -> Person | None:
    """The person of a handle of ours, as certified now."""
    fact = node.side.persons.get(handle)
    return fact.person if fact is not None and fact.revoked_from is None else None


def draft_seen(visit: Visit, rid: str) -> Waiting:
    """The draft with this id; the same error if there is none and if this visitor may not know of it."""
    row = visit.node.db.draft(rid)
    found = _seen(visit, row) if row is not None else None
    if found is None:
        raise visit.missing()
    return found


def drafts_seen(visit: Visit) -> Iterator[Waiting]:
    """What is not dispatched, of what the visitor may know of, oldest first."""
    rows = (visit.node.db.draft(rid) for rid in visit.node.db.open_rids())
    for row in sorted((row for row in rows if row is not None), key=lambda row: (row.at, row.rid)):
        found = _seen(visit, row)
        if found is not None:
            yield found


def _seen(visit: Visit, row: DraftRow) -> Waiting | None:
    node, core = visit.node, read_own(row.core, Core)
    if not visit.sees_marking(core.area, core.marking, node.party):
        return None
    fact = node.side.release(row.rid)
    if fact is not None and not visit.sees(node.side, fact):
        return None
    terms = node.laws[core.agreement].law.areas[core.area]
    approvals = tuple(read_own(data, Approval) for data in node.db.approvals(row.rid))
    held = {given.role for given in approvals}
    missing = tuple(role for role in terms.roles or () if role not in held)
    needed = 0 if isinstance(core.standing, str) else terms.approvals or 0
    twin = _twin(visit, approvals)
    barred = _barred(visit, row, core, twin)
    signed = any(given.by == visit.visitor.handle for given in approvals)
    if signed:
        barred = said("You have signed it.")
    mine = _mine(visit, terms, missing) if barred is None and len(approvals) < max(needed, 1) else ()
    if barred is None and not mine and len(approvals) < needed:
        barred = said("Your roles are not among those that it still needs: {roles}.", roles=", ".join(missing))
    return Waiting(
        row, core, approvals, needed, missing, mine, barred,
        own=row.author == visit.visitor.handle,
        signed=signed, twin=twin,
    )  # fmt: skip


def _mine(visit: Visit, terms: Terms, missing: tuple[str, ...]) -> tuple[str, ...]:
    wanted = missing or terms.roles or ()
    return tuple(role for role in visit.visitor.roles if not wanted or role in wanted)


def _twin(visit: Visit, approvals: tuple[Approval, ...]) -> str:
    me = person_of(visit.node, visit.visitor.handle)
    for given in approvals if me is not None else ():
        other = person_of(visit.node, given.by)
        same = other is not None and me is not None and (other.commitment == me.commitment or other.key == me.key)
        if same and given.by != visit.visitor.handle:
            return given.by
    return ""


def _barred(visit: Visit, row: DraftRow, core: Core, twin: str) -> Said | None:
    """Why this natural person does not count here: the author, or one who signed already."""
    node, law = visit.node, visit.node.laws[core.agreement].law
    if isinstance(core.standing, str):
        return said("It is under a standing approval: nobody signs it.")
    me = person_of(node, visit.visitor.handle)
    if me is None:
        return said("You are not certified now.")
    author = node.side.persons.get(row.author)
    if author is None or author.person.commitment == me.commitment:
        return said("The author may not approve (Art. {article}).", article=law.rules.gate.get("author", ""))
    if twin:
        article = law.rules.decide.get("approval_count", "")
        words = "The same natural person, or the same key, has signed as {other}: it counts once (Art. {article})."
        return said(words, other=twin, article=article)
    return None


def blocks(visit: Visit, one: Waiting) -> Said:
    """What it waits for, in words."""
    state = one.row.state
    if state == "drafted":
        return said("A rule refuses it as things stand.", tone="bad")
    if state == "checked":
        roles = ", ".join(one.missing)
        count = one.needed - len(one.approvals)
        if roles:
            return said("{n} more to sign, among them: {roles}", tone="wait", n=max(count, 1), roles=roles)
        return said("{n} more to sign", tone="wait", n=max(count, 1))
    if state == "approved":
        return said("Somebody dispatches it.", tone="wait")
    if state == QUEUED:
        return said("It leaves at the end of its slot.", tone="good")
    refusal = refusal_of(visit.node, one.row.rid) if state == REFUSED else None
    return _refused(refusal) if state == REFUSED else said("Nothing.")


def _refused(found: Refusal | None) -> Said:
    return said("Refused by {by}: {reason}", tone="bad", by=found.by, reason=found.reason) if found else said("Refused")
