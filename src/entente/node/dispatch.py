"""Dispatch: an approved draft becomes an entry of our register, sealed to the partner.

decide() runs again inside the append, with the entry's own time, index and causal past; a refusal leaves nothing
visible.
"""

import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from entente.account.acts import Release
from entente.account.view import live_kem
from entente.crossing.seal import sealed_bytes, wrap_key
from entente.errors import RefusedError, StateError, StoreError
from entente.keys import SUITE_ALGORITHM, digest, verify
from entente.node.approve import draft_of
from entente.node.ledger import Draft, Ledger
from entente.node.propose import gate_draft, journal_decision
from entente.node.shelves import list_sent
from entente.store.node_db import DraftRow
from entente.strict import canonical, encode, parse, parse_as
from entente.treaty.approval import Approval, Core, Sealed
from entente.treaty.decision import decide
from entente.treaty.request import Decision


class Dispatched(msgspec.Struct, frozen=True):
    """A release as entered: its id, index and number in our register."""

    rid: str
    idx: int
    number: int


class _Ready(msgspec.Struct, frozen=True):
    draft: DraftRow
    release: Release
    wrapped: bytes
    gate: Decision


def dispatch(node: Ledger, rids: Sequence[str]) -> list[Dispatched]:
    """The approved drafts stand in our register, signed and published, their wrapped keys ready to be served.

    Raises: RefusedError if a rule refuses one of them now (it goes back to `drafted`, the others are entered);
    StateError if one is not approved; FrozenError if this node may not sign.
    """
    node.check_may_sign()
    ready = {}
    with node.db.transaction():  # the gate's records of all
        for rid in rids:
            made = _prepare(node, draft_of(node, rid))
            ready[made.draft.rid] = made
    refused: dict[str, Decision] = {}
    decided: dict[str, Decision] = {}

    def admit(draft: Draft, idx: int, at: str) -> bool:
        made = ready[draft_rid[id(draft)]]
        request = node.request_for(made.release, idx, at)
        law = node.laws[made.release.core.agreement]
        view = node.view_of(node.party, node.seen().size, request)
        decision = decided[made.draft.rid] = decide(law.law, view, request, verify)
        if not (decision.permit and made.gate.permit):
            refused[made.draft.rid] = decision if not decision.permit else made.gate
        return decision.permit and made.gate.permit

    def also(entered: Sequence[tuple[int, Draft]]) -> None:
        for _, draft in entered:
            rid = draft_rid[id(draft)]
            node.db.set_draft(rid, "dispatched")
            journal_decision(node, rid, decided[rid])

    with node.keys.transaction():
        for rid, made in ready.items():
            node.keys.put_wrapped(rid, made.wrapped)
    drafts, draft_rid = [], {}
    for made in ready.values():
        draft = Draft("release", parse(encode(made.release)))
        drafts.append(draft)
        draft_rid[id(draft)] = made.draft.rid
    first = len(node.side.releases)
    node.append(drafts, admit=admit, also=also)
    node.publish_releases(first)
    for rid, decision in refused.items():
        _back_to_draft(node, rid, decision)
    done = [fact for rid in ready if rid not in refused and (fact := node.side.release(rid)) is not None]
    list_sent(node)
    if refused:
        worst = next(iter(refused.values())).refusals[0]
        raise RefusedError(
            f"rule {worst.rule}: {worst.observed}", place=f"Art. {worst.article}", remedy="See `entente why`."
        )
    return [Dispatched(fact.rid, fact.idx, fact.number) for fact in done]


def _prepare(node: Ledger, draft: DraftRow) -> _Ready:
    if draft.state not in ("approved", "queued"):
        raise StateError(f"the draft is {draft.state}, not approved", place=draft.rid[:16])
    if draft.rid in node.side.by_rid:  # a second wrapped key would take the place of the one that was entered
        raise StateError("the release is in the register already", place=draft.rid[:16])
    core = parse_as(draft.core, Core, place="draft")
    if draft.blob_bytes != sealed_bytes(core.bytes_padded) or draft.blob_bytes != node.blobs.size(draft.blob):
        raise StoreError("the sealed bytes are not those of the draft; propose it again", place=draft.rid[:16])
    approvals = tuple(parse_as(data, Approval, place="approval") for data in node.db.approvals(draft.rid))
    law = node.laws[core.agreement].law
    suite = {SUITE_ALGORITHM[name]: name for name in law.suites if name in SUITE_ALGORITHM}
    kem = live_kem(node.other_side, node.other_side.size, node.now(), set(suite))
    if kem is None:
        raise RefusedError(
            "the partner has no usable sealing key",
            place=f"Art. {law.rules.decide.get('kem', '')}",
            remedy="Pull: the partner must certify one.",
        )
    public = node.other_side.kems[kem].key
    secret = node.keys.key(draft.rid)
    if secret is None:
        raise StoreError("the key of this draft is gone; propose it again", place=draft.rid[:16])
    name = suite[public.partition(":")[0]]
    wrapped = wrap_key(name, public, kem, draft.rid, secret)
    gate = gate_draft(node, draft, core, approvals)
    record = {"findings": msgspec.to_builtins(gate.findings), "rid": draft.rid}
    text = canonical(record)
    gate_secret = node.keys.key("gate-secret")
    if gate_secret is None:
        raise StoreError("the gate secret is gone", place=str(node.keys.path))
    private = hmac.digest(gate_secret, bytes.fromhex(digest("gate", text)), "sha256").hex()
    node.db.journal(node.now(), "gate", draft.rid, text)
    sealed = Sealed(draft.blob, draft.blob_bytes, kem, hashlib.sha256(wrapped).hexdigest(), name)
    return _Ready(draft, Release(core, sealed, approvals, private), wrapped, gate)


def _back_to_draft(node: Ledger, rid: str, decision: Decision) -> None:
    with node.db.transaction():
        node.db.set_draft(rid, "drafted")
        journal_decision(node, rid, decision)
