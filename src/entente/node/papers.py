"""Papers of one release: its decision with the receipt, and the certificate of its end, as signed JSON.

Both are made from the registers alone and change nothing. The same heads give the same bytes: a paper says nothing of
when it was made.
"""

from collections.abc import Iterator, Sequence

import msgspec

from entente.account.acts import Release, parse_body
from entente.account.cascade import current_marking
from entente.account.fold import Fold, new_pair
from entente.account.state import ReleaseFact, Side, release_state
from entente.account.view import view_for
from entente.errors import StateError, VerificationError
from entente.keys import key_id, verify
from entente.node.ledger import PARTNER, Ledger
from entente.node.paper import ENDS, Paper, Proven, check, read, signed_message, words_of
from entente.node.show import find
from entente.register.checkpoint import parse_text
from entente.register.entry import Entry, parse_entry
from entente.register.note import parse as parse_note
from entente.register.proof import inclusion_proof
from entente.strict import encode, read_own
from entente.treaty.agreement import DECIDE_RULES
from entente.treaty.decision import decide
from entente.treaty.request import Finding, Request, sealed_ref

__all__ = ["Paper", "check", "decision", "destruction", "read"]

AT_ONCE = 4096
MACHINES = frozenset({"log", "mirror"})
Wanted = dict[str, set[int]]  # party → indices of its register


def decision(node: Ledger, which: str) -> bytes:
    """Why a release may cross, who approved it and what the partner answered, as signed canonical JSON.

    Args:
        node: either party's.
        which: a number in our register, or the beginning of an id in either.
    Raises: UsageError if there is no such release; FrozenError if this node may not sign.
    """
    side, fact = find(node, which)
    return _paper(node, "decision", side, fact, _findings(node, side, fact))


def destruction(node: Ledger, which: str) -> bytes:
    """That a release was destroyed or given back, by whose order and before which witnesses, as signed canonical JSON.

    Args: as `decision`.
    Raises: as `decision`; StateError if it has not ended.
    """
    side, fact = find(node, which)
    if not ENDS & {given.outcome for given in fact.answers}:
        holder = node.pair.other(side.party).party
        raise StateError(
            f"{holder} has not answered it destroyed or returned",
            place=fact.rid[:16],
            remedy="Pull; `entente show` says what was ordered and answered.",
        )
    return _paper(node, "destruction", side, fact, ())


def _paper(node: Ledger, kind: str, side: Side, fact: ReleaseFact, findings: tuple[Finding, ...]) -> bytes:
    node.check_may_sign()
    wanted = _evidence(node, side, fact)
    registers, entries = {}, []
    for party, indices in sorted(wanted.items()):
        registers[party], size = _checkpoint(node, party, max(indices))
        log, tree = node.logs[party], node.trees[party]
        for idx in sorted(indices):
            (data,) = node.db.entries(log, idx, idx + 1)
            proof = tuple(piece.hex() for piece in inclusion_proof(tree, idx, size))
            entries.append(Proven(data.decode(), idx, party, proof))
    law = node.laws[fact.acts_under].law
    mark = current_marking(node.pair, side, fact, node.laws).marking
    paper = Paper(
        agreement=fact.acts_under, entries=tuple(entries), findings=findings, issuer=node.party,
        kind="decision" if kind == "decision" else "destruction", marking=mark, number=fact.number, registers=registers,
        rid=fact.rid, state=release_state(fact, side.size, node.pair.other(side.party).size), v=1,
        words=words_of(law, mark, side.party),
    )  # fmt: skip
    sig = node.machine_signer("log").sign(signed_message(encode(paper))).hex()
    return encode(msgspec.structs.replace(paper, sig=sig))


def _checkpoint(node: Ledger, party: str, last: int) -> tuple[str, int]:
    """The note of a register that covers index `last`, and its size: cosigned by the partner if there is such a one.

    Our own cosignature of the partner's register is left out: it is renewed every two minutes, so that no two papers
    would be alike, and says no more than our signature of the paper does.
    """
    note = node.db.get_note(node.logs[party], "acknowledged" if party == node.party else PARTNER)
    head = node.head_of(party)
    for line in [*([note.data] if note is not None else []), *([head.line] if head is not None else [])]:
        size = parse_text(parse_note(line).text).size
        if size > last:
            return line.decode(), size
    raise StateError(f"no head of {party}'s register is signed yet", place=party, remedy="Pull.")


# Which entries matter


def _evidence(node: Ledger, side: Side, fact: ReleaseFact) -> Wanted:
    """The indices of the entries that a paper on this release must hold."""
    other = node.pair.other(side.party)
    wanted: Wanted = {party: {0, *found.adopted.values()} for party, found in node.pair.sides.items()}
    for party, found in node.pair.sides.items():
        wanted[party].update(idx for idx, _, _ in found.terms)
    for owner, one in _with_ancestors(node, side, fact):
        wanted[owner.party] |= {one.idx, *(order.idx for order in one.orders)}
        answers = [*one.answers, *(given for order in one.orders for given in owner.order_answers[order.idx])]
        wanted[node.pair.other(owner.party).party] |= {given.idx for given in answers}
    wanted[other.party].update(idx for idx, body in other.assurances if fact.area in body.areas)
    body = _body(node, side, fact.idx)
    if isinstance(body.core.standing, str) and body.core.standing in side.acts:
        wanted[side.party].add(side.acts[body.core.standing])
    subjects = {party: _subjects(node, party, indices) for party, indices in wanted.items()}
    for party, found in node.pair.sides.items():
        sealing = body.sealed.kem_key if found is other else ""
        wanted[party] |= set(_certified(node, found, subjects[party] | MACHINES, sealing))
    return wanted


def _with_ancestors(node: Ledger, side: Side, fact: ReleaseFact) -> Iterator[tuple[Side, ReleaseFact]]:
    """The release and all that it derives from: its marking depends on theirs."""
    met, waiting = {fact.rid}, [(side, fact)]
    while waiting:
        owner, one = waiting.pop()
        yield owner, one
        above = node.pair.other(owner.party)
        for rid in one.ancestors:
            found = above.release(rid)
            if found is not None and rid not in met:
                met.add(rid)
                waiting.append((above, found))


def _subjects(node: Ledger, party: str, indices: set[int]) -> set[str]:
    """The persons whose signatures stand in these entries."""
    found = set()
    for idx in indices:
        (data,) = node.db.entries(node.logs[party], idx, idx + 1)
        entry = parse_entry(data)
        found |= {sig.by for sig in entry.sigs}
        signed = [*entry.body.get("approvals", ()), *entry.body.get("witnesses", ())]
        found |= {str(item["by"]) for item in signed}
    return found


def _certified(node: Ledger, side: Side, subjects: set[str], sealing: str) -> Iterator[int]:
    """The indices of the valid entries that certify, replace or revoke these subjects' keys, or that sealing key."""
    invalid = {item.idx for item in side.invalid}
    for first in range(0, side.size, AT_ONCE):
        batch = node.db.entries(node.logs[side.party], first, min(side.size, first + AT_ONCE))
        for idx, data in enumerate(batch, first):
            if b'"kind":"key"' not in data or idx in invalid:
                continue
            body = parse_entry(data).body
            if body["subject"] in subjects or (body["subject"] == "kem" and key_id(body["key"]) == sealing):
                yield idx


def _body(node: Ledger, side: Side, idx: int) -> Release:
    (data,) = node.db.entries(node.logs[side.party], idx, idx + 1)
    body = parse_body("release", parse_entry(data).body)
    if not isinstance(body, Release):
        raise VerificationError("is no release", place=f"{side.party} entry {idx}")
    return body


# The decision


def _findings(node: Ledger, side: Side, fact: ReleaseFact) -> tuple[Finding, ...]:
    """All findings on an entered release: as journalled when it was entered or received, else computed again."""
    if side is node.side:
        lines: Sequence[bytes] = node.db.journal_of("decision", fact.rid)[-1:]
    else:
        row = node.db.inbox_row(node.logs[side.party], fact.idx)
        lines = [row.findings] if row is not None else []
    found = tuple(read_own(lines[0], list[Finding])) if lines else ()
    if tuple(finding.rule for finding in found) == DECIDE_RULES:
        return found
    return decided_again(node, side, fact)


def decided_again(node: Ledger, side: Side, fact: ReleaseFact) -> tuple[Finding, ...]:
    """The findings on a release, computed from both registers as they were in its entry's causal past."""
    pair, other = new_pair(node.laws[fact.acts_under].law), node.pair.other(side.party)
    found: list[tuple[Finding, ...]] = []

    def on_release(author: Side, idx: int, entry: Entry, body: Release) -> None:
        if (author.party, idx) != (side.party, fact.idx):
            return
        request = Request(author.origin, idx, entry.at, body.core, sealed_ref(body.sealed), body.approvals)
        view = view_for(pair, author.party, entry.seen.size, request, node.laws)
        found.append(decide(node.laws[entry.agreement].law, view, request, verify).findings)

    past = {
        side.party: node.db.entries(node.logs[side.party], 0, fact.idx + 1),
        other.party: node.db.entries(node.logs[other.party], 0, fact.seen),
    }
    Fold(pair, node.laws, node.root_at, verify, on_release).extend(past)
    return found[0]
