"""Inclusion and consistency proofs, of whole trees and of subtrees.

A subtree is a range [start, end) of leaves where `start` is a multiple of the power of two not below `end - start`;
[0, size) is the tree itself, so the plain functions are the subtree functions with `start` 0. Every `check_` function
returns nothing when the proof holds and raises VerificationError otherwise, whatever it is given: a result that nobody
looks at cannot pass for a proof.
"""

from collections.abc import Sequence

import msgspec

from entente.errors import UsageError, VerificationError
from entente.register.tree import EMPTY_ROOT, HASH_BYTES, Tree, node_hash

_INCLUSION = "inclusion proof"
_CONSISTENCY = "consistency proof"


class Subtree(msgspec.Struct, frozen=True):
    """The leaves [start, end) of a tree. Source: draft-ietf-plants-merkle-tree-certs, Subtrees."""

    start: int
    end: int

    @property
    def valid(self) -> bool:
        """Whether `start` is a multiple of the power of two not below the number of leaves."""
        if self.start == self.end:
            return self.start >= 0
        return 0 <= self.start < self.end and self.start % (1 << (self.end - self.start - 1).bit_length()) == 0


def inclusion_proof(tree: Tree, index: int, size: int) -> list[bytes]:
    """The hashes that lead from the leaf at `index` to the root at `size`. Source: RFC 6962 2.1.1."""
    return subtree_inclusion_proof(tree, index, Subtree(0, size))


def consistency_proof(tree: Tree, old_size: int, new_size: int) -> list[bytes]:
    """The hashes that show the tree at `new_size` to begin with the tree at `old_size` (above 0).

    Source: RFC 6962 2.1.2.
    """
    return subtree_consistency_proof(tree, Subtree(0, old_size), new_size)


def subtree_inclusion_proof(tree: Tree, index: int, subtree: Subtree) -> list[bytes]:
    """The hashes that lead from the leaf at `index` to the root of the subtree; UsageError if it is not in it.

    Source: draft-ietf-plants-merkle-tree-certs, Subtree Inclusion Proofs.
    """
    start, end = subtree.start, subtree.end
    if not (subtree.valid and start <= index < end <= tree.size):
        raise UsageError(f"leaf {index} is not in a subtree [{start}, {end}) of {tree.size} leaves")
    path: list[bytes] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(tree.subtree_root(middle, end))
            end = middle
        else:
            path.append(tree.subtree_root(start, middle))
            start = middle
    path.reverse()
    return path


def subtree_consistency_proof(tree: Tree, subtree: Subtree, size: int) -> list[bytes]:
    """The hashes that show the subtree to be part of the tree at `size`; UsageError if it is empty or not in it.

    Source: draft-ietf-plants-merkle-tree-certs, Subtree Consistency Proofs.
    """
    start, end = subtree.start, subtree.end
    if not (subtree.valid and start < end <= size <= tree.size):
        raise UsageError(f"[{start}, {end}) is not a subtree of the first {size} of {tree.size} leaves")
    path: list[bytes] = []
    low, high, known = 0, size, True
    while (start, end) != (low, high):
        middle = low + _split(high - low)
        if end <= middle:
            path.append(tree.subtree_root(middle, high))
            high = middle
        else:
            path.append(tree.subtree_root(low, middle))
            low = middle
            if start < middle:
                start, known = middle, False
    if not known:
        path.append(tree.subtree_root(low, high))
    path.reverse()
    return path


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """The leaf hash stands at `index` in the tree of `size` with this root, or VerificationError.

    Source: RFC 9162 2.1.3.2.
    """
    check_subtree_inclusion(leaf, index, Subtree(0, size), proof, root)


def check_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """The tree of `new_size` begins with the tree of `old_size`, or VerificationError.

    A proof from size 0 is always refused: it would hold for any root. Source: RFC 9162 2.1.4.2.
    """
    if old_size == 0:
        raise VerificationError("every tree extends the empty one; nothing is proved", place=_CONSISTENCY)
    check_subtree_consistency(Subtree(0, old_size), old_root, new_size, new_root, proof)


def check_subtree_inclusion(leaf: bytes, index: int, subtree: Subtree, proof: Sequence[bytes], root: bytes) -> None:
    """The leaf hash stands at `index` in the subtree with this root, or VerificationError.

    Source: draft-ietf-plants-merkle-tree-certs, Verifying a Subtree Inclusion Proof.
    """
    if not (subtree.valid and subtree.start <= index < subtree.end):
        raise VerificationError(f"leaf {index} is not in [{subtree.start}, {subtree.end})", place=_INCLUSION)
    _check_lengths([leaf, *proof], _INCLUSION)
    first, last, found = index - subtree.start, subtree.end - subtree.start - 1, leaf
    for sibling in proof:
        if last == 0:
            raise VerificationError("too many hashes", place=_INCLUSION)
        if first & 1 or first == last:
            found = node_hash(sibling, found)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        first, last = first >> 1, last >> 1
    if last or found != root:
        raise VerificationError("does not lead to the root", place=_INCLUSION)


def check_subtree_consistency(
    subtree: Subtree, subtree_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """The subtree with `subtree_root` is part of the tree of `size` with `root`, or VerificationError.

    The empty subtree is part of every tree, by an empty proof, whatever `root` says.
    Source: draft-ietf-plants-merkle-tree-certs, Verifying a Subtree Consistency Proof.
    """
    if not (subtree.valid and subtree.end <= size):
        raise VerificationError(f"[{subtree.start}, {subtree.end}) is not in {size} leaves", place=_CONSISTENCY)
    _check_lengths(proof, _CONSISTENCY)
    if subtree.start == subtree.end:
        if proof or subtree_root != EMPTY_ROOT:
            raise VerificationError("does not lead to the root of the empty tree", place=_CONSISTENCY)
        return
    first, last, top = subtree.start, subtree.end - 1, size - 1
    while first != last and (last & 1 or last == top):
        first, last, top = first >> 1, last >> 1, top >> 1
    path = [subtree_root, *proof] if first == last else list(proof)
    if not path:
        raise VerificationError("too few hashes", place=_CONSISTENCY)
    if _climb(first, last, top, path) != (subtree_root, root):
        raise VerificationError("does not lead to both roots", place=_CONSISTENCY)


def _climb(first: int, last: int, top: int, path: list[bytes]) -> tuple[bytes, bytes]:
    """The roots of the subtree and of the tree to which a consistency proof leads from its first node."""
    within = whole = path[0]
    for sibling in path[1:]:
        if top == 0:
            raise VerificationError("too many hashes", place=_CONSISTENCY)
        if last & 1 or last == top:
            if first < last:
                within = node_hash(sibling, within)
            whole = node_hash(sibling, whole)
            while last and not last & 1:
                first, last, top = first >> 1, last >> 1, top >> 1
        else:
            whole = node_hash(whole, sibling)
        first, last, top = first >> 1, last >> 1, top >> 1
    if top:
        raise VerificationError("too few hashes", place=_CONSISTENCY)
    return within, whole


def _split(size: int) -> int:
    """The largest power of two below `size`: where a tree divides."""
    return 1 << (size - 1).bit_length() - 1


def _check_lengths(hashes: Sequence[bytes], place: str) -> None:
    """A hash of another length could make two nodes out of one preimage."""
    if any(len(item) != HASH_BYTES for item in hashes):
        raise VerificationError(f"a hash is not {HASH_BYTES} bytes", place=place)
