"""Dispatch on slots: the hour of an entry says nothing of when its approval was given.

An approved draft that is to cross waits for the end of the slot it was queued in, and leaves with all others of that
slot, in the order of their unpredictable ids. Nothing the partner can read depends on what happened inside a slot.
Source: design core-spec, Clock (`dispatch_slot_minutes`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from entente.errors import RefusedError, StateError
from entente.node.approve import draft_of
from entente.node.dispatch import Dispatched, dispatch
from entente.node.ledger import Ledger
from entente.strict import canonical, read_own, time_text

QUEUED = "queued"


def slot_of(moment: datetime, minutes: int) -> int:
    """The number of the slot in which a moment lies."""
    return int(moment.timestamp()) // (60 * minutes)


def queue(node: Ledger, rids: Sequence[str], minutes: int) -> str:
    """The approved drafts leave at the end of this slot, all or none are queued; returns that time.

    Raises: StateError if one is not approved; approvals can be revoked until they leave.
    """
    slot = slot_of(node.clock(), minutes) if minutes else 0
    drafts = [draft_of(node, rid) for rid in rids]
    for draft in drafts:
        if draft.state != "approved":
            raise StateError(f"the draft is {draft.state}, not approved", place=draft.rid[:16])
    with node.db.transaction():
        for draft in drafts:
            node.db.set_draft(draft.rid, QUEUED)
            node.db.journal(node.now(), QUEUED, draft.rid, canonical({"slot": slot}))
    return time_text(datetime.fromtimestamp((slot + 1) * 60 * minutes, UTC)) if minutes else node.now()


def dispatch_due(node: Ledger, minutes: int) -> list[Dispatched]:
    """What was queued in an earlier slot stands in our register; what a rule refuses now is a draft again.

    While this node may not sign it waits: the pull that comes after may be what confirms the clock, or heals.
    """
    if not node.may_sign():
        return []
    now = slot_of(node.clock(), minutes) if minutes else None
    due = [rid for rid in node.db.rids_in(QUEUED) if now is None or _slot(node, rid) < now]
    if not due:
        return []
    before = len(node.side.releases)
    try:
        return dispatch(node, due)
    except RefusedError:  # the others were entered; the home journal and `why` say what refused this one
        return [Dispatched(fact.rid, fact.idx, fact.number) for fact in node.side.releases[before:]]


def leaves(node: Ledger, rid: str, minutes: int) -> str:
    """When a queued draft leaves; "" if there are no slots."""
    return time_text(datetime.fromtimestamp((_slot(node, rid) + 1) * 60 * minutes, UTC)) if minutes else ""


def _slot(node: Ledger, rid: str) -> int:
    return int(read_own(node.db.journal_of(QUEUED, rid)[-1], dict[str, int])["slot"])
