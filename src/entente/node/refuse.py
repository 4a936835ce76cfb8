"""Refuse: a person ends a draft, with a reason that stays at home. Nobody can approve or dispatch it any more."""

import msgspec

from entente.errors import RefusedError, StateError, UsageError
from entente.keys import Signer
from entente.node.approve import draft_of
from entente.node.ledger import Ledger
from entente.node.shelves import rank_of
from entente.store.node_db import REFUSED
from entente.strict import canonical, parse_as, read_own
from entente.treaty.approval import Core

LONGEST_REASON = 500
REFUSAL = "refusal"  # the kind of journal line that says who refused a draft, and why


class Refusal(msgspec.Struct, frozen=True):
    """Who refused a draft, when and why."""

    by: str
    reason: str
    at: str = ""


def refuse(node: Ledger, rid: str, handle: str, reason: str, signer: Signer) -> Refusal:
    """The draft is refused for good: nobody can approve, queue or dispatch it any more; who and why stands at home.

    Its author may, and whoever holds one of the area's roles, with the area and a ceiling not below the level.
    Raises: UsageError without a reason of one to 500 characters on one line; RefusedError if this person may not;
    StateError if the draft is dispatched, or refused already. Nothing is changed then.
    """
    draft = draft_of(node, rid)
    if draft.state in ("dispatched", REFUSED):
        raise StateError(f"the draft is {draft.state}", place=draft.rid[:16])
    why = reason.strip()
    if not 0 < len(why) <= LONGEST_REASON or not why.isprintable():
        raise UsageError(f"a reason is one line of at most {LONGEST_REASON} characters", place=draft.rid[:16])
    core = parse_as(draft.core, Core, place="draft")
    law = node.laws[core.agreement].law
    fact = node.side.persons.get(handle)
    person = fact.person if fact is not None and fact.revoked_from is None else None
    if fact is None or person is None or node.now() >= person.until:
        raise RefusedError(
            f"{handle} is not certified here", remedy="The authority certifies persons: `entente person`."
        )
    if person.key != signer.public:
        raise RefusedError(f"the key given is not the one certified for {handle}")
    rank = law.ranks[node.party].get(person.ceiling, -1)
    reads = core.area in person.areas and rank >= rank_of(law, node.party, core.marking, node.party)
    if not reads or (handle != draft.author and not set(law.areas[core.area].roles or ()) & set(person.roles)):
        raise RefusedError(
            f"{handle} may not refuse this",
            place=f"Art. {law.rules.decide.get('approval_valid', '')}",
            remedy="Its author may, or who could approve it: the area, one of its roles, a ceiling that reaches it.",
        )
    with node.db.transaction():
        node.db.set_draft(draft.rid, REFUSED)
        node.db.journal(node.now(), REFUSAL, draft.rid, canonical({"by": handle, "reason": why}))
    return Refusal(handle, why, node.now())


def refusal_of(node: Ledger, rid: str) -> Refusal | None:
    """Who refused this draft and why, or None."""
    lines = node.db.lines_of(REFUSAL, rid)
    return msgspec.structs.replace(read_own(lines[-1].data, Refusal), at=lines[-1].at) if lines else None
