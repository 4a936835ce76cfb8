"""Approve: a person signs one draft's exact bytes. The author never counts, whatever handle they use."""

from datetime import timedelta

import msgspec

from entente.errors import RefusedError, StateError, UsageError
from entente.keys import Signer
from entente.node.ledger import Ledger
from entente.node.propose import check_draft
from entente.store.node_db import DraftRow
from entente.strict import canonical, encode, parse_as, read_own, time_text
from entente.treaty.approval import Approval, Core, approve

VALID_DAYS = 7


class Approved(msgspec.Struct, frozen=True):
    """After an approval: the draft's state, who signed so far, and how many the article wants."""

    rid: str
    state: str
    by: tuple[str, ...]
    needed: int


def draft_of(node: Ledger, rid: str) -> DraftRow:
    """The draft with this id or unique beginning of one; UsageError otherwise."""
    found = [draft for draft in node.db.drafts() if draft.rid.startswith(rid)] if rid else []
    if len(found) != 1:
        raise UsageError(
            f"no draft {rid}" if not found else f"{rid} names {len(found)} drafts", remedy="See `entente list drafts`."
        )
    return found[0]


def approve_draft(node: Ledger, rid: str, handle: str, role: str, signer: Signer) -> Approved:
    """The person's approval of the draft's exact bytes stands, good for 7 days; `approved` once enough persons signed.

    Raises: RefusedError if the agreement or a national rule does not let this person approve (nothing was signed);
    StateError if the draft is not open for approval.
    """
    draft = draft_of(node, rid)
    core = parse_as(draft.core, Core, place="draft")
    law = node.laws[core.agreement].law
    if draft.state not in ("checked", "approved"):
        raise StateError(
            f"the draft is {draft.state}", place=draft.rid[:16], remedy="`entente why` shows what it needs."
        )
    person = node.side.persons.get(handle)
    if person is None or (person.revoked_from is not None and person.revoked_from <= node.side.size):
        raise RefusedError(
            f"{handle} is not certified here", remedy="The authority certifies persons: `entente person add`."
        )
    author = node.side.persons.get(draft.author)
    if author is None or author.person.commitment == person.person.commitment:
        article = law.rules.gate.get("author", "")
        _note(node, draft.rid, handle, "author")
        raise RefusedError("the author may not approve", place=f"Art. {article}", remedy="Ask two other persons.")
    if person.person.key != signer.public:
        raise RefusedError(f"the key given is not the one certified for {handle}")
    article = law.rules.decide.get("approval_valid", "")
    until = min(time_text(node.clock() + timedelta(days=VALID_DAYS)), person.person.until)
    if role not in person.person.roles or core.area not in person.person.areas:
        _note(node, draft.rid, handle, "role")
        raise RefusedError(f"{handle} does not hold the role {role} for {core.area}", place=f"Art. {article}")
    given = approve(signer, draft.rid, handle, role, until)
    with node.db.transaction():
        node.db.put_approval(draft.rid, handle, encode(given))
        _note(node, draft.rid, handle, "signed")
    return _settle(node, draft, law.areas[core.area].approvals or 0)


def _settle(node: Ledger, draft: DraftRow, needed: int) -> Approved:
    decision, private = check_draft(node, draft, skip=frozenset({"kem"}))
    bad = [finding.observed for finding in decision.refusals if finding.rule == "approval_valid"]
    if bad and bad[0] in approvers(node, draft.rid):  # expired, or its key was revoked since: it counts no more
        with node.db.transaction():
            node.db.drop_approval(draft.rid, bad[0])
            _note(node, draft.rid, bad[0], "void")
        return _settle(node, draft, needed)
    state = "approved" if decision.permit and private.permit else "checked"
    node.db.set_draft(draft.rid, state)
    return Approved(draft.rid, state, approvers(node, draft.rid), needed)


def approvers(node: Ledger, rid: str) -> tuple[str, ...]:
    """The handles of those whose approval of this draft or release stands."""
    return tuple(read_own(data, Approval).by for data in node.db.approvals(rid))


def revoke_approval(node: Ledger, rid: str, handle: str) -> Approved:
    """The person's approval of the draft counts no more; possible until dispatch. StateError if there is none to revoke."""
    draft = draft_of(node, rid)
    if draft.state == "dispatched" or handle not in approvers(node, draft.rid):
        raise StateError(f"{handle} has no approval of this draft to revoke", place=f"{draft.rid[:16]}, {draft.state}")
    with node.db.transaction():
        node.db.drop_approval(draft.rid, handle)
        _note(node, draft.rid, handle, "revoked")
    core = parse_as(draft.core, Core, place="draft")
    return _settle(node, draft, node.laws[core.agreement].law.areas[core.area].approvals or 0)


def _note(node: Ledger, rid: str, handle: str, what: str) -> None:
    node.db.journal(node.now(), "approval", rid, canonical({"by": handle, "outcome": what}))
