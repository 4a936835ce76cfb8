"""The inbox: each rank-2 entry of the partner, decided in its own causal past, waiting for outcome and answer."""

import msgspec

from entente.account.acts import Release
from entente.account.judge import OnRelease
from entente.account.state import Pair, Side
from entente.account.view import view_for
from entente.keys import verify
from entente.node.ledger import Ledger
from entente.register.entry import Entry
from entente.store.node_db import InboxRow
from entente.strict import canonical
from entente.treaty.decision import decide
from entente.treaty.request import Decision, Request, sealed_ref


class Judged(msgspec.Struct, frozen=True):
    """A release of the partner's and what decide() answers here."""

    idx: int
    rid: str
    decision: Decision


def judge(node: Ledger, pair: Pair) -> tuple[list[Judged], OnRelease]:
    """A list, and the hook by which a fold over `pair` fills it with the partner's releases as it meets them."""
    rows: list[Judged] = []

    def on_release(side: Side, idx: int, entry: Entry, body: Release) -> None:
        if side.party != node.partner:
            return
        law = node.laws[entry.agreement]
        request = Request(side.origin, idx, entry.at, body.core, sealed_ref(body.sealed), body.approvals)
        view = view_for(pair, side.party, entry.seen.size, request, node.laws)
        rows.append(Judged(idx, body.core.rid, decide(law.law, view, request, verify)))

    return rows, on_release


def store_inbox(node: Ledger, pair: Pair, rows: list[Judged]) -> None:
    """Inside a transaction: every rank-2 entry of the partner that has no row gets one.

    A release that decide() refuses has its outcome at once; what our register has answered already is marked so.
    """
    log_id, side = node.logs[node.partner], pair.sides[node.partner]
    judged = {row.idx: row for row in rows}
    known = node.db.inbox_size(log_id)
    for idx in side.rank2[known:]:
        row = judged.get(idx)
        decision = row.decision if row is not None else None
        refusal = decision.refusals[0] if decision is not None and not decision.permit else None
        place = side.by_idx.get(idx)
        given = side.releases[place].answers if place is not None else side.order_answers.get(idx, [])
        outcome = given[0].outcome if given else "not_permitted" if refusal else None
        node.db.add_inbox(
            InboxRow(
                log_id=log_id,
                idx=idx,
                kind="release" if row is not None else "act",
                rid=row.rid if row is not None else "",
                permit=int(decision is None or decision.permit),
                findings=canonical(msgspec.to_builtins(decision.findings)) if decision is not None else b"[]",
                outcome=outcome,
                reason=f"{refusal.rule}, Art. {refusal.article}: {refusal.observed}" if refusal else "",
                since=node.now(),
                answered=int(bool(given)),
            )
        )
