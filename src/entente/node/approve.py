"""Approve: a person signs one draft's exact bytes. The author never counts, whatever handle they use."""

from datetime import timedelta

import msgspec

from entente.errors import RefusedError, StateError, UsageError
from entente.keys import Signer
from entente.node.ledger import Ledger
from entente.node.propose import NOT_YET, check_draft
from entente.store.node_db import REFUSED, DraftRow
from entente.strict import canonical, encode, parse_as, read_own, time_text
from entente.treaty.agreement import DECIDE_RULES
from entente.treaty.approval import Approval, Core, approve
from entente.treaty.request import Request, SealedRef

VALID_DAYS = 7
ONE_APPROVAL = frozenset(DECIDE_RULES) - {"approval_valid"}


class Approved(msgspec.Struct, frozen=True):
    """After an approval: the draft's state, who signed so far, and how many the article wants."""

    rid: str
    state: str
    by: tuple[str, ...]
    needed: int


def draft_of(node: Ledger, rid: str) -> DraftRow:
    """The draft with this id or unique beginning of one; UsageError otherwise."""
    found = node.db.drafts_named(rid) if rid else []
    if len(found) != 1:
        raise UsageError(
            f"no draft {rid}" if not found else f"{rid} names several drafts", remedy="See `entente list drafts`."
        )
    return found[0]


def approve_draft(
    node: Ledger, rid: str, handle: str, role: str, signer: Signer, *, seconds: int | None = None
) -> Approved:
    """The approval of the draft's exact bytes stands to the end of the seventh day; `approved` once enough signed.

    `seconds` is how long after it was shown to them the person signed, where that is known; the journal tells it.

    Raises: RefusedError if the agreement or a national rule does not let this person approve, StateError if the draft
    itself is refused as things stand; nothing was signed then.
    """
    draft = draft_of(node, rid)
    core = parse_as(draft.core, Core, place="draft")
    law = node.laws[core.agreement].law
    if isinstance(core.standing, str):
        raise StateError("the draft is under a standing approval, no person signs it", place=draft.rid[:16])
    _open_for_approval(node, draft)
    person = node.side.persons.get(handle)
    if person is None or (person.revoked_from is not None and person.revoked_from <= node.side.size):
        raise RefusedError(
            f"{handle} is not certified here", remedy="The authority certifies persons: `entente person`."
        )
    author = node.side.persons.get(draft.author)
    if author is None or author.person.commitment == person.person.commitment:
        article = law.rules.gate.get("author", "")
        _note(node, draft.rid, handle, "author")
        raise RefusedError("the author may not approve", place=f"Art. {article}", remedy="Ask two other persons.")
    if person.person.key != signer.public:
        raise RefusedError(f"the key given is not the one certified for {handle}")
    # The end of a day: the minute would tell the partner when this person signed.
    end = (node.clock() + timedelta(days=VALID_DAYS + 1)).replace(hour=0, minute=0)
    until = min(time_text(end), person.person.until)
    given = approve(signer, draft.rid, handle, role, until)
    alone = node.decide_next(_request(node, core, (given,)), ONE_APPROVAL)
    if not alone.permit:
        _note(node, draft.rid, handle, "refused")
        raise RefusedError(
            f"{handle} may not approve this in role {role!r}",
            place=f"Art. {law.rules.decide.get('approval_valid', '')}",
            remedy="It takes the role, the area, a ceiling not below the level, and a certificate that still holds.",
        )
    with node.db.transaction():
        node.db.put_approval(draft.rid, handle, encode(given))
        _note(node, draft.rid, handle, "signed", seconds)
        return _settle(node, draft, law.areas[core.area].approvals or 0)


def _request(node: Ledger, core: Core, approvals: tuple[Approval, ...]) -> Request:
    return Request(node.side.origin, node.side.size, node.now(), core, SealedRef("", ""), approvals)


def _open_for_approval(node: Ledger, draft: DraftRow) -> None:
    """Raise StateError unless the draft would cross as things stand now, approvals and sealing key apart.

    What was refused for a reason that has passed since is open again.
    """
    if draft.state in ("dispatched", REFUSED):
        raise StateError(f"the draft is {draft.state}", place=draft.rid[:16])
    decision, private = check_draft(node, draft, skip=NOT_YET)
    bad = (*decision.refusals, *(finding for finding in private.refusals if finding.rule != "author"))
    if bad:
        node.db.set_draft(draft.rid, "drafted")
        raise StateError(
            f"rule {bad[0].rule} refuses the draft: {bad[0].observed}",
            place=f"{draft.rid[:16]}, Art. {bad[0].article}",
            remedy="`entente why` shows every rule.",
        )


def _settle(node: Ledger, draft: DraftRow, needed: int) -> Approved:
    """Inside a transaction: what counts no more is dropped; the draft's state is what decide() and gate() then say."""
    core = parse_as(draft.core, Core, place="draft")
    for data in node.db.approvals(draft.rid):
        given = read_own(data, Approval)
        if not node.decide_next(_request(node, core, (given,)), ONE_APPROVAL).permit:
            node.db.drop_approval(draft.rid, given.by)
            _note(node, draft.rid, given.by, "void")
    decision, private = check_draft(node, draft, skip=frozenset({"kem"}))
    stands = "queued" if draft.state == "queued" else "approved"
    state = stands if decision.permit and private.permit else "checked"
    node.db.set_draft(draft.rid, state)
    return Approved(draft.rid, state, approvers(node, draft.rid), needed)


def approvers(node: Ledger, rid: str) -> tuple[str, ...]:
    """The handles of those whose approval of this draft or release stands."""
    return tuple(read_own(data, Approval).by for data in node.db.approvals(rid))


def revoke_approval(node: Ledger, rid: str, handle: str, signer: Signer) -> Approved:
    """The person's own approval of the draft counts no more; possible until dispatch.

    Raises: StateError if there is none to revoke; RefusedError if `signer` is not the person's.
    """
    person = node.side.persons.get(handle)
    if person is None or person.person.key != signer.public:
        raise RefusedError(f"the key given is not the one certified for {handle}")
    draft = draft_of(node, rid)
    if draft.state in ("dispatched", REFUSED) or handle not in approvers(node, draft.rid):
        raise StateError(f"{handle} has no approval of this draft to revoke", place=f"{draft.rid[:16]}, {draft.state}")
    with node.db.transaction():
        node.db.drop_approval(draft.rid, handle)
        _note(node, draft.rid, handle, "revoked")
        core = parse_as(draft.core, Core, place="draft")
        return _settle(node, draft, node.laws[core.agreement].law.areas[core.area].approvals or 0)


class Line(msgspec.Struct, frozen=True):
    """What the home journal says of an approval; `seconds` is how long after it was shown it was signed."""

    by: str
    outcome: str
    seconds: int | None = None


def approval_lines(node: Ledger, rid: str) -> list[tuple[str, Line]]:
    """When, and what, the home journal says of approvals of this draft, oldest first."""
    return [(line.at, read_own(line.data, Line)) for line in node.db.lines_of("approval", rid)]


def _note(node: Ledger, rid: str, handle: str, what: str, seconds: int | None = None) -> None:
    more = {} if seconds is None else {"seconds": seconds}
    node.db.journal(node.now(), "approval", rid, canonical({"by": handle, "outcome": what, **more}))
