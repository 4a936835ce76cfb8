"""Proofs pass exactly when they should: every published vector, and a recursive oracle of RFC 6962."""

import base64
import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entente.errors import UsageError, VerificationError
from entente.register import proof
from entente.register.proof import Subtree
from entente.register.tree import Tree

COUNTS = {"inclusion": 98, "consistency": 98, "subtreeinclusion": 204, "subtreeconsistency": 118}
LEAVES = [sha256(b"leaf %d" % i).digest() for i in range(700)]
TREE = Tree.from_leaves(b"".join(LEAVES))


def run_vector(kind: str, vector: dict[str, Any]) -> None:
    """Check one published vector; raises VerificationError when its proof is refused."""

    def raw(name: str) -> bytes:
        return base64.b64decode(vector[name] or "")

    path = [base64.b64decode(item) for item in vector["proof"] or []]
    if kind == "inclusion":
        proof.check_inclusion(raw("leafHash"), vector["leafIdx"], vector["treeSize"], path, raw("root"))
    elif kind == "consistency":
        proof.check_consistency(vector["size1"], raw("root1"), vector["size2"], raw("root2"), path)
    elif kind == "subtreeinclusion":
        subtree = Subtree(vector["start"], vector["end"])
        proof.check_subtree_inclusion(raw("leafHash"), vector["leafIdx"], subtree, path, raw("root"))
    else:
        subtree = Subtree(vector["start"], vector["end"])
        proof.check_subtree_consistency(subtree, raw("root1"), vector["size"], raw("root2"), path)


@pytest.mark.parametrize("kind", COUNTS)
def test_published_vectors(published: Path, kind: str) -> None:
    files = [path for path in (published / "merkle" / kind).rglob("*") if path.is_file()]
    wrong = []
    for file in files:
        vector = json.loads(file.read_text())
        try:
            run_vector(kind, vector)
            refused = False
        except VerificationError:
            refused = True
        if refused != vector["wantErr"]:
            wrong.append(f"{file.parent.name}/{file.name}")
    assert (len(files), wrong) == (COUNTS[kind], [])


def root(leaves: Sequence[bytes]) -> bytes:
    """MTH over leaf hashes. Source: RFC 6962 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    k = half(len(leaves))
    return sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def half(n: int) -> int:
    """The largest power of two below n, by counting."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path_of(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]). Source: RFC 6962 2.1.1."""
    if len(leaves) == 1:
        return []
    k = half(len(leaves))
    return [*path_of(m, leaves[:k]), root(leaves[k:])] if m < k else [*path_of(m - k, leaves[k:]), root(leaves[:k])]


def subproof(start: int, end: int, leaves: Sequence[bytes], *, known: bool = True) -> list[bytes]:
    """SUBTREE_SUBPROOF of the draft; with start 0 it is SUBPROOF of RFC 6962 2.1.2."""
    n = len(leaves)
    if (start, end) == (0, n):
        return [] if known else [root(leaves)]
    k = half(n)
    if end <= k:
        return [*subproof(start, end, leaves[:k], known=known), root(leaves[k:])]
    if start >= k:
        return [*subproof(start - k, end - k, leaves[k:], known=known), root(leaves[:k])]
    return [*subproof(0, end - k, leaves[k:], known=False), root(leaves[:k])]


@st.composite
def subtrees(draw: st.DrawFn) -> tuple[int, int, int]:
    """(start, end, size): a valid, non-empty subtree of the first `size` leaves."""
    size = draw(st.integers(1, len(LEAVES)))
    width = draw(st.integers(1, size))
    step = 1 << (width - 1).bit_length()
    start = step * draw(st.integers(0, (size - width) // step))
    return start, start + width, size


@settings(max_examples=150, deadline=None)
@given(subtrees(), st.data())
def test_proofs_are_the_recursive_ones_and_verify(drawn: tuple[int, int, int], data: st.DataObject) -> None:
    start, end, size = drawn
    part, sub, whole = Subtree(start, end), root(LEAVES[start:end]), root(LEAVES[:size])
    index = data.draw(st.integers(start, end - 1))
    path = proof.subtree_inclusion_proof(TREE, index, part)
    assert path == path_of(index - start, LEAVES[start:end])
    proof.check_subtree_inclusion(LEAVES[index], index, part, path, sub)
    path = proof.subtree_consistency_proof(TREE, part, size)
    assert path == subproof(start, end, LEAVES[:size])
    proof.check_subtree_consistency(part, sub, size, whole, path)
    assert TREE.subtree_root(start, end) == sub
    if start == 0:
        assert path == proof.consistency_proof(TREE, end, size)
        proof.check_consistency(end, sub, size, whole, path)
        proof.check_inclusion(LEAVES[index], index, end, proof.inclusion_proof(TREE, index, end), sub)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 300), st.integers(0, 299), st.integers(1, 300), st.data())
def test_a_changed_proof_is_refused(size: int, index: int, old: int, data: st.DataObject) -> None:
    index, old = index % size, (old - 1) % size + 1
    whole, before = TREE.root(size), TREE.root(old)
    included, extends = proof.inclusion_proof(TREE, index, size), proof.consistency_proof(TREE, old, size)

    def spoil(path: list[bytes]) -> list[bytes]:
        changes: list[Callable[[int], list[bytes]]] = [lambda _: [*path, LEAVES[0]]]
        if path:
            changes += [
                lambda i: [*path[:i], *path[i + 1 :]],
                lambda i: [*path[:i], bytes([path[i][0] ^ 1]) + path[i][1:], *path[i + 1 :]],
                lambda i: [*path[:i], path[i][:-1], *path[i + 1 :]],
            ]
        return data.draw(st.sampled_from(changes))(data.draw(st.integers(0, max(0, len(path) - 1))))

    attempts: list[Callable[[], None]] = [
        lambda: proof.check_inclusion(LEAVES[index], index, size, spoil(included), whole),
        lambda: proof.check_inclusion(LEAVES[index + 1], index, size, included, whole),
        lambda: proof.check_inclusion(LEAVES[index], index + 1, size, included, whole),
        lambda: proof.check_consistency(old, before, size, whole, spoil(extends)),
        lambda: proof.check_consistency(old, LEAVES[0][::-1], size, whole, extends),
        lambda: proof.check_consistency(old, before, size, LEAVES[0][::-1], extends),
        lambda: proof.check_consistency(size + 1, before, size, whole, extends),
    ]
    for refused in attempts:
        with pytest.raises(VerificationError):
            refused()


def test_a_leaf_cut_so_that_the_preimage_fits_is_refused() -> None:
    """H(01, left, right) would hold for a 31-byte leaf and a 33-byte sibling as well."""
    left, right = LEAVES[:2]
    with pytest.raises(VerificationError):
        proof.check_inclusion(left[:31], 0, 2, [left[31:] + right], TREE.root(2))


def test_a_proof_that_goes_on_above_the_claimed_size_is_refused() -> None:
    """The second of two leaves must not pass for the only leaf of a tree of one."""
    with pytest.raises(VerificationError):
        proof.check_inclusion(LEAVES[1], 0, 1, [LEAVES[0]], TREE.root(2))
    with pytest.raises(VerificationError):
        proof.check_consistency(1, LEAVES[1], 1, TREE.root(2), [LEAVES[0]])


def test_a_hash_of_another_length_is_refused_as_such() -> None:
    path = proof.consistency_proof(TREE, 3, 7)
    for spoilt in ([path[0][:31], *path[1:]], [*path[:-1], path[-1] + b"\0"], [b"", *path[1:]]):
        with pytest.raises(VerificationError, match="not 32 bytes"):
            proof.check_consistency(3, TREE.root(3), 7, TREE.root(7), spoilt)


def test_a_proof_from_nothing_is_refused() -> None:
    with pytest.raises(VerificationError):
        proof.check_consistency(0, TREE.root(0), 5, TREE.root(5), [])
    attempts: list[Callable[[], object]] = [
        lambda: proof.consistency_proof(TREE, 0, 5),
        lambda: proof.consistency_proof(TREE, 6, 5),
        lambda: proof.consistency_proof(TREE, 5, 701),
        lambda: proof.inclusion_proof(TREE, 5, 5),
        lambda: proof.inclusion_proof(TREE, -1, 5),
        lambda: proof.subtree_inclusion_proof(TREE, 3, Subtree(3, 5)),
        lambda: proof.subtree_consistency_proof(TREE, Subtree(4, 9), 20),
    ]
    for wrong in attempts:
        with pytest.raises(UsageError):
            wrong()


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=40),
    st.integers(-2, 2**70),
    st.integers(-2, 2**70),
    st.integers(-2, 2**70),
    st.lists(st.binary(min_size=32, max_size=32), max_size=80),
)
def test_checks_are_total(data: bytes, a: int, b: int, c: int, path: list[bytes]) -> None:
    """Random claims end in VerificationError, never in another fault or an endless loop."""
    attempts: list[Callable[[], None]] = [
        lambda: proof.check_subtree_inclusion(data, a, Subtree(b, c), path, data),
        lambda: proof.check_subtree_consistency(Subtree(a, b), data, c, data[::-1] + b"x", path),
    ]
    for check in attempts:
        if not (a == b and data == sha256(b"").digest()):
            with pytest.raises(VerificationError):
                check()
