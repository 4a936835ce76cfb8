"""Heal: a node whose database is older than what it signed takes its own entries back from the partner's mirror.

A node that lost heads.db learns from the same files how far it had gone, and remembers from there on.

Only what bears our own log signature and gives its root is taken. Nothing is signed until the database has reached
every head that heads.db remembers; if the partner has not the rest either, the node stays read-only and an epoch is
the way out.
Source: design core-spec, start gate.
"""

from collections.abc import Callable

from entente.account.fold import Fold, new_pair
from entente.errors import BehindError, CorruptionError, VerificationError
from entente.keys import verify
from entente.node.inbox import judge, store_inbox
from entente.node.ledger import PARTNER, Ledger
from entente.register.checkpoint import Checkpoint
from entente.register.tree import leaf_hashes
from entente.store.node_db import NoteRow
from entente.strict import canonical

Fetch = Callable[[str, str, Checkpoint], list[bytes]]


def heal(node: Ledger, heads: dict[str, tuple[str, Checkpoint, bytes]], fetch: Fetch) -> dict[str, int]:
    """Both registers reach the heads shown, entry by entry proven; returns how many entries of each came back.

    `heads` gives for each party the prefix of the partner's tree that serves its register, the verified head there
    and its note; `fetch` (prefix, party, head) the entries after what this node holds.
    Raises: CorruptionError (fetch again), BehindError (the partner lacks some that we signed: an epoch is needed).
    """
    fetched = {}
    for party, (prefix, head, _) in heads.items():
        tree = node.trees[party]
        if head.size <= tree.size:
            if tree.root(head.size) != head.root:
                raise VerificationError(f"the partner shows another history of {party}", place=prefix)
            continue
        entries = fetch(prefix, party, head)
        if tree.grown(leaf_hashes(entries)).root != head.root:
            raise CorruptionError("does not give the signed root", place=prefix, remedy="Fetch it again.")
        fetched[party] = entries
    try:
        for party, entries in fetched.items():
            node.trees[party].take(node.trees[party].grown(leaf_hashes(entries)))
        _store(node, heads, fetched)
    except BaseException:
        node.reload()
        raise
    node.restore_heads()
    node.reload()
    if node.healable:
        raise BehindError(
            node.frozen, place=node.side.origin, remedy="Nobody has the rest: an epoch signed by both is needed."
        )
    return {party: len(fetched.get(party, ())) for party in heads}


def _store(node: Ledger, heads: dict[str, tuple[str, Checkpoint, bytes]], fetched: dict[str, list[bytes]]) -> None:
    """What came back, and what inbox and drafts must say then, in one transaction: a heal is done or was not begun."""
    pair = new_pair(node.law.law)
    rows, on_release = judge(node, pair)
    held = {party: node.db.entries(node.logs[party]) for party in pair.sides}
    whole = {party: held[party] + fetched.get(party, []) for party in held}
    Fold(pair, node.laws, node.root_at, verify, on_release).extend(whole)
    with node.db.transaction():
        for party, entries in fetched.items():
            _, head, data = heads[party]
            node.db.drop_ahead(node.logs[party])  # it is among what came back
            node.db.append(node.logs[party], len(held[party]), entries, head.root.hex())
            if party != node.party:
                node.db.put_note(node.logs[party], PARTNER, NoteRow(head.size, head.root.hex(), data))
        store_inbox(node, pair, rows)
        for draft in node.db.drafts():
            if draft.rid in pair.sides[node.party].by_rid and draft.state != "dispatched":
                node.db.set_draft(draft.rid, "dispatched")
        node.db.journal(node.now(), "healed", node.party, canonical({p: len(e) for p, e in fetched.items()}))
