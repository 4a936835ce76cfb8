"""Destruction, and giving back: keys first, then what was in the clear, then ciphertext; then the register says so.

What is to be gone, and what will be answered, is written to node.db before the first of it goes (an erasure). A crash
after that leaves something that the next opening or pull finishes; before it, nothing has happened; each step can be
done again. The ciphertext of a release whose key is gone says nothing more, in whatever backup it rests. What the keys'
own short-lived backup holds, and what a disk keeps of files that were removed, is outside a program's reach.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from entente.account.acts import act_message
from entente.account.cascade import live_derivative
from entente.account.state import ReleaseFact, Side, release_state
from entente.crossing.answer import spans_of
from entente.errors import EntenteError, RefusedError, StateError, StoreError
from entente.keys import Signer
from entente.node import act, copies
from entente.node.held import PACK
from entente.node.import_ import DERIVED
from entente.node.ledger import Draft, Ledger
from entente.store.act_rows import BEGUN, ErasureRow
from entente.store.node_db import DraftRow
from entente.strict import canonical, encode, parse, read_own
from entente.treaty.approval import Core

ENDS = frozenset({"destroyed", "returned"})
ORDERED = {"destroyed": "return", "returned": "destroy"}  # outcome: the order that it would disobey


class What(msgspec.Struct, frozen=True):
    """What an erasure leaves nowhere: names in keys.db, places in view.db, blobs by root, and imports."""

    keys: tuple[str, ...]
    blobs: tuple[str, ...]
    places: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Ending(msgspec.Struct, frozen=True):
    """How a release of the partner's ends here: the answer's body without witnesses, how many it takes, what goes."""

    rid: str
    outcome: str
    body: dict[str, Any]
    witnesses: int
    what: What


# What is to be gone


def sealed_copy(fact: ReleaseFact) -> What:
    """The sealed copy of a release, and what was opened of it."""
    return What((fact.rid,), (fact.blob,), (fact.rid,))


def held_copy(node: Ledger, fact: ReleaseFact) -> What:
    """What is held of a release of the partner's, and what was made from it here and does not stand for itself.

    Those are drafts, and releases that went back, were withdrawn or have ended; with the imports that they were drawn
    from, if nothing else draws on these.
    """
    name = fact.rid.encode()
    drafts = node.db.drafts()
    made = [
        draft
        for draft in drafts
        if draft.source == fact.rid or (name in draft.core and fact.rid in read_own(draft.core, Core).ancestors)
    ]
    gone = {draft.rid: draft for draft in made if _is_over(node, draft)}
    kept = {draft.source for draft in drafts if draft.rid not in gone and _draws(node, draft)}
    derived = {read_own(line, dict[str, str])["source"] for line in node.db.journal_of(DERIVED, fact.rid)}
    found = [node.db.source(place) for place in sorted(({draft.source for draft in gone.values()} | derived) - kept)]
    sources = [source for source in found if source is not None]
    rids, places = (fact.rid, *gone), tuple(source.id for source in sources)
    return What(
        (*rids, *(PACK + place for place in places)),
        (fact.blob, *(draft.blob for draft in gone.values()), *(source.blob for source in sources)),
        (*rids, *places),
        places,
    )


def _is_over(node: Ledger, draft: DraftRow) -> bool:
    """Whether a draft made from something of the partner's stands no more: never left, went back, or ended."""
    own = node.side.release(draft.rid)
    return own is None or own.marking.originator == node.partner or not _is_live(node.side, own)


def _draws(node: Ledger, draft: DraftRow) -> bool:
    """Whether a draft still needs the import it was drawn from."""
    return draft.state != "dispatched" or _is_live(node.side, node.side.release(draft.rid))


def with_import(node: Ledger, fact: ReleaseFact) -> What:
    """The sealed copy of a release of ours, and the import it was drawn from if nothing else that is live draws on it.

    Live is a draft that is not dispatched, and a release neither withdrawn, nor ended, nor ordered destroyed.
    """
    what, draft = sealed_copy(fact), node.db.draft(fact.rid)
    source = node.db.source(draft.source) if draft is not None else None
    if source is None:
        return what
    others = [other for other in node.db.drafts() if other.source == source.id and other.rid != fact.rid]
    if any(_draws(node, other) for other in others):
        return what
    return What(
        (*what.keys, PACK + source.id), (*what.blobs, source.blob), (*what.places, source.id), sources=(source.id,)
    )


def _is_live(side: Side, fact: ReleaseFact | None) -> bool:
    return fact is not None and not (
        fact.withdrawn_at(side.size) or is_ordered_destroyed(fact) or ENDS & {given.outcome for given in fact.answers}
    )


def is_ordered_destroyed(fact: ReleaseFact) -> bool:
    """Whether its originator ordered it destroyed."""
    return any(order.act == "destroy" for order in fact.orders)


def intend(node: Ledger, fact: ReleaseFact, what: What, answer: dict[str, Any] | None = None) -> None:
    """Inside a transaction: from now on this is to be gone, whatever happens; `settle` does it."""
    node.db.put_erasure(
        ErasureRow(fact.rid, node.now(), BEGUN, encode(what), canonical(answer) if answer is not None else b"")
    )


# The receiver


def ending(node: Ledger, fact: ReleaseFact, outcome: str) -> Ending:
    """How a release of the partner's would end here with this outcome, and how many witnesses it takes.

    Raises: StateError if it has ended, or copies or releases of ours that were made from it are open, or its originator
    ordered otherwise.
    """
    if ENDS & {answer.outcome for answer in fact.answers}:
        raise StateError("it has ended already", place=fact.rid[:16])
    orders = [o for o in fact.orders if o.act in ORDERED.values() and not node.other_side.order_answers[o.idx]]
    held = "received" in {answer.outcome for answer in fact.answers}  # what never came cannot go back
    if orders and orders[-1].act == ORDERED[outcome] and (held or outcome == "returned"):
        verb = "give-back" if outcome == "destroyed" else "destroy"
        raise StateError(f"its originator ordered: {orders[-1].act}", place=fact.rid[:16], remedy=f"`entente {verb}`.")
    _check_open(node, fact, outcome)
    body: dict[str, Any] = {
        "outcome": outcome,
        "re": {"origin": node.other_side.origin, "spans": spans_of([fact.idx, *(order.idx for order in orders)])},
        "witnesses": [],
    }
    made = len(copies.copies_of(node, fact.rid))
    if made:
        body["copies"] = made
    try:
        act.check_valid(node, "answer", body)
    except StateError as fault:
        if "persons signed" not in fault.detail:
            raise
        return Ending(fact.rid, outcome, body, node.law.law.acts.signers.witnesses, held_copy(node, fact))
    return Ending(fact.rid, outcome, body, 0, held_copy(node, fact))


def _check_open(node: Ledger, fact: ReleaseFact, outcome: str) -> None:
    out = [str(copy.n) for copy in copies.copies_of(node, fact.rid) if not copy.closed]
    if out:
        raise StateError(
            f"copies are out: {', '.join(out)}", place=fact.rid[:16], remedy="`entente copy close RID N` for each."
        )
    for own in _made_from(node, fact):
        if own.marking.originator == node.partner and not own.answers and not own.withdrawn_at(node.side.size):
            raise StateError(
                f"it is on its way back: {own.rid[:16]}", place=fact.rid[:16], remedy="Pull until that is answered."
            )
    live = live_derivative(node.pair, node.pair.sizes, node.other_side, [fact.rid])
    if live is not None:
        raise StateError(
            f"a release of ours that was made from it is live: {node.side.releases[node.side.by_idx[live]].rid[:16]}",
            place=fact.rid[:16],
            remedy="Order it withdrawn or destroyed first.",
        )
    if outcome == "returned" and not any(_is_return(node, own) for own in _made_from(node, fact)):
        raise StateError(
            "its originator has not received it back",
            place=fact.rid[:16],
            remedy="Release it to its originator, with it as ancestor, and pull the answer.",
        )


def _made_from(node: Ledger, fact: ReleaseFact) -> list[ReleaseFact]:
    """Our releases that name this one of the partner's as an ancestor."""
    return [node.side.releases[place] for place in node.side.derived.get(fact.rid, ())]


def _is_return(node: Ledger, own: ReleaseFact) -> bool:
    """Whether a release of ours brought something of the partner's home to it."""
    state = release_state(own, node.side.size, node.other_side.size)
    return own.marking.originator == node.partner and state == "received"


def end(node: Ledger, found: Ending, witnesses: Sequence[tuple[str, Signer]]) -> int:
    """Nothing of the release is here, and our register says so; returns the answer's index.

    Raises: RefusedError if too few witnesses signed, or one that may not; FrozenError if this node may not sign:
    nothing was destroyed then. StoreError: it is begun, and the next opening or pull finishes it.
    """
    node.check_may_sign()
    fact = node.other_side.release(found.rid)
    if fact is None:
        raise StateError("no such release", place=found.rid[:16])
    body = {**found.body, "witnesses": _witnessed(node, found, witnesses)}
    try:
        act.check_valid(node, "answer", body)
    except StateError as fault:
        raise RefusedError(fault.detail, place=found.rid[:16], remedy="Ask certified persons to witness it.") from None
    with node.db.transaction():
        intend(node, fact, found.what, body)
        _note(node, found.rid, BEGUN)
    finish(node, found.rid)
    return fact.answers[-1].idx


def _witnessed(node: Ledger, found: Ending, witnesses: Sequence[tuple[str, Signer]]) -> list[dict[str, str]]:
    """Each witness's signature over the answer without witnesses, sorted by handle."""
    message = act_message("answer", node.side.origin, node.law.hash, found.body)
    signers = dict(witnesses)
    persons = [(handle, act.certified(node, handle, signer.public, None)) for handle, signer in signers.items()]
    for place, (handle, person) in enumerate(persons):
        act.check_apart(person, handle, persons[:place])
    sigs = [{"by": handle, "sig": signer.sign(message).hex()} for handle, signer in signers.items()]
    if len(sigs) < found.witnesses:
        raise RefusedError(
            f"{len(sigs)} of {found.witnesses} witnesses signed", place=found.rid[:16], remedy="Name more: --witness."
        )
    return sorted(sigs, key=lambda sig: sig["by"])


# Both


def settle(node: Ledger) -> None:
    """What was begun is done, and what the registers say has ended is nowhere here; what cannot be yet stays begun.

    Called when the node is opened, and after each pull.
    """
    if not node.trees or not node.may_sign():
        return
    sizes = node.side.size, node.other_side.size
    if sizes != node.settled:
        _intend_ended(node)
    for row in node.db.begun_erasures():
        with suppress(EntenteError):  # a witness's certificate ran out, say: `status` shows what is begun
            _finish(node, row)
    node.settled = sizes


def _intend_ended(node: Ledger) -> None:
    """What the registers say has ended is to be gone; an order that came after an end is answered like it."""
    known = {row.rid for row in node.db.erasures()}
    gone = [fact for fact in _ended(node) if fact.rid not in known]
    late = [
        (order.idx, given.outcome)
        for fact in node.other_side.releases
        for given in fact.answers
        for order in fact.orders
        if given.outcome in ENDS and order.act in ORDERED.values() and not node.other_side.order_answers[order.idx]
    ]
    with node.db.transaction():
        for fact in gone:
            ours = fact.rid in node.side.by_rid
            intend(node, fact, sealed_copy(fact) if ours else held_copy(node, fact))
            _note(node, fact.rid, BEGUN)
        for idx, outcome in late:
            node.db.set_outcome(node.logs[node.partner], idx, outcome, "it had ended before")


def _ended(node: Ledger) -> Iterator[ReleaseFact]:
    """Releases of either party that were answered destroyed or returned, and those of ours ordered destroyed."""
    for side in (node.side, node.other_side):
        for fact in side.releases:
            if ENDS & {given.outcome for given in fact.answers} or (side is node.side and is_ordered_destroyed(fact)):
                yield fact


def finish(node: Ledger, rid: str) -> None:
    """What was begun of this release is done; StoreError if the disk refuses, and the next opening goes on."""
    row = node.db.erasure(rid)
    if row is not None and row.state == BEGUN:
        _finish(node, row)


def _finish(node: Ledger, row: ErasureRow) -> None:
    """The erasure is done, and answered if an answer belongs to it and does not stand yet."""
    what = read_own(row.what, What)
    try:
        _erase(node, what)
    except OSError as fault:
        raise StoreError(
            f"not everything could be erased yet: {fault}",
            place=row.rid[:16],
            remedy="The next pull, or the next opening of the node, finishes it.",
        ) from None
    fact = node.other_side.release(row.rid)
    stated = fact is not None and bool(ENDS & {given.outcome for given in fact.answers})
    if row.answer and not stated:
        body = parse(row.answer)
        node.append([Draft("answer", body)], also=lambda _: _done(node, row, what, body))
    else:
        with node.db.transaction():
            _done(node, row, what, None)


def _erase(node: Ledger, what: What) -> None:
    """Nothing of it is in any file of this node. Keys go first: from then on the rest is noise."""
    for name in what.keys:
        node.keys.destroy(name)
    for place in what.places:
        node.view.forget(place)
        node.served.delete(f"key/{place}")
    for root in what.blobs:
        node.served.delete(f"blob/{root}")
        node.served.delete(f"leaves/{root}")
        node.blobs.drop_part(root)
        node.blobs.delete(root)


def _done(node: Ledger, row: ErasureRow, what: What, body: dict[str, Any] | None) -> None:
    """Inside a transaction: the erasure is done, and what it answers waits for nobody any more."""
    node.db.set_erased(row.rid)
    for source in what.sources:
        node.db.drop_source(source)
    for name in what.keys:
        draft = node.db.draft(name)
        if draft is not None and draft.state != "dispatched":
            node.db.set_draft(name, "drafted")  # it can leave no more
    log_id = node.logs[node.partner]
    if body is not None:
        covered = [i for first, last in body["re"]["spans"] for i in node.other_side.rank2_between(first, last)]
        for idx in covered:
            node.db.set_outcome(log_id, idx, str(body["outcome"]), "")
        node.db.set_answered(log_id, covered)
    _note(node, row.rid, "done")


def _note(node: Ledger, rid: str, what: str) -> None:
    node.db.journal(node.now(), "erasure", rid, canonical({"outcome": what}))
