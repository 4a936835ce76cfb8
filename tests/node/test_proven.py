"""The proof of an entry convinces whoever has nothing but its bytes, the hashes and the notes; changed, it does not."""

import base64
import re
from hashlib import sha256

import msgspec
import pytest

from entente.errors import StateError, UsageError, VerificationError
from entente.node.node import Node
from entente.node.proven import EntryProof, Head, entry_proof
from entente.register.checkpoint import Checkpoint, open_checkpoint
from entente.register.note import parse_vkey
from entente.register.proof import check_consistency, check_inclusion
from entente.register.tree import leaf_hash
from lab.acts import ordered
from lab.pair import Pair, sighted


def checked(proof: EntryProof) -> tuple[Checkpoint, Checkpoint | None]:
    """As an auditor does, from the proof alone: the heads that it leads to."""
    signed = opened(proof.signed)
    assert signed.origin == proof.origin
    path = [bytes.fromhex(one) for one in proof.inclusion]
    check_inclusion(leaf_hash(proof.entry), proof.idx, signed.size, path, signed.root)
    if proof.cosigned is None:
        return signed, None
    cosigned = opened(proof.cosigned)
    joint = [bytes.fromhex(one) for one in proof.consistency]
    check_consistency(cosigned.size, cosigned.root, signed.size, signed.root, joint)
    return signed, cosigned


def opened(head: Head) -> Checkpoint:
    found = open_checkpoint(head.note.encode(), [parse_vkey(key) for key in head.keys]).checkpoint
    assert (found.size, found.root.hex()) == (head.size, head.root)
    return found


def by_hand(proof: EntryProof) -> str:
    """What a person gets who follows the steps: the root, in hex."""
    result = sha256(b"\x00" + proof.entry).hexdigest()
    assert proof.steps[0].endswith(f"{result}.")
    for step in proof.steps:
        if "one byte 01" in step:
            parts = re.findall(r"the last result|[0-9a-f]{64}", step)
            one, two = (result if part == "the last result" else part for part in parts[:2])
            result = sha256(b"\x01" + bytes.fromhex(one) + bytes.fromhex(two)).hexdigest()
            assert parts[2] == result
    return result


def each(node: Node) -> list[EntryProof]:
    return [entry_proof(node, party, idx) for party, tree in node.trees.items() for idx in range(tree.size)]


def test_every_entry_of_both_registers_is_proved_at_both_nodes(either: Pair) -> None:
    either.release(either.a)
    either.exchange()
    either.release(either.a, sighted(first=20))
    for node in either.nodes.values():
        for proof in each(node):
            signed, cosigned = checked(proof)
            assert by_hand(proof) == signed.root.hex() == proof.signed.root
            assert base64.b64encode(signed.root).decode() == proof.signed.note.split("\n")[2]
            assert cosigned is not None
            assert proof.covered == (proof.idx < cosigned.size)
            assert [step.split(".")[0] for step in proof.steps] == [str(n + 1) for n in range(len(proof.steps))]
    last = entry_proof(either.a, either.a.party, either.a.side.size - 1)
    assert (last.kind, last.covered) == ("release", False)
    assert last.consistency
    either.exchange()
    assert entry_proof(either.a, last.party, last.idx).covered
    one, two = (entry_proof(node, last.party, last.idx) for node in either.nodes.values())
    assert (one.entry, one.leaf) == (two.entry, two.leaf)


def test_a_changed_byte_anywhere_is_no_proof_any_more(pair: Pair) -> None:
    pair.release(pair.a)
    proof = entry_proof(pair.a, pair.a.party, pair.a.side.size - 1)
    _, cosigned = checked(proof)
    assert cosigned is not None
    zero, note = "00" * 32, proof.signed.note
    changes = {
        "entry": proof.entry.replace(b"intelligence", b"intelligencf"),
        "idx": proof.idx - 1,
        "inclusion": (zero, *proof.inclusion[1:]),
        "consistency": (*proof.consistency[:-1], zero),
        "signed": msgspec.structs.replace(proof.signed, note=note.replace(f"\n{proof.signed.size}\n", "\n7\n")),
        "cosigned": msgspec.structs.replace(proof.signed, keys=(*proof.signed.keys, *proof.signed.keys)),
    }
    for name, value in changes.items():
        assert value != getattr(proof, name)
        with pytest.raises(VerificationError):
            checked(msgspec.structs.replace(proof, **{name: value}))


def test_what_may_be_known_of_an_entry_goes_by_the_release_it_is_about(pair: Pair) -> None:
    level = list(pair.a.law.law.rows[pair.a.party])[-1]
    rank = pair.a.law.law.ranks[pair.a.party][level]
    rid = pair.approved(pair.a, level=level)
    (done,) = pair.a.dispatch([rid])
    pair.exchange()
    entered = ordered(pair, pair.a, rid, "withdraw")
    for idx in (done.idx, entered.idx):
        proof = entry_proof(pair.a, pair.a.party, idx)
        assert (proof.area, proof.rank) == ("intelligence", rank)
    assert entry_proof(pair.a, pair.a.party, 0).rank == 0


def test_what_is_not_there_or_not_signed_yet_is_refused(pair: Pair) -> None:
    for party, idx in ((pair.a.party, 10_000), (pair.a.party, -1), ("XX", 0)):
        with pytest.raises(UsageError):
            entry_proof(pair.a, party, idx)
    pair.a.heads.raw.execute("DELETE FROM signed")
    pair.a.heads._known.clear()
    with pytest.raises(StateError, match="no signed head"):
        entry_proof(pair.a, pair.a.party, 0)
