"""Fetch: a release's ciphertext by chunks, each verified before it is stored; what is here is not asked for again."""

from collections.abc import Iterator, Sequence

from entente.crossing.seal import SEALED_CHUNK, Blob, check_leaves, chunk_count, leaf_hash
from entente.errors import CorruptionError
from entente.node.ledger import Ledger
from entente.node.served import Reader
from entente.treaty.approval import Sealed

RANGE_CHUNKS = 4


class NotServedError(Exception):
    """The partner does not serve this part of a release; it may yet."""


def fetch_blob(node: Ledger, tree: Reader, sealed: Sealed) -> Blob:
    """The ciphertext is here, every chunk verified before it was written; a chunk once here is not asked for again."""
    root, size = sealed.blob, sealed.blob_bytes
    single = chunk_count(size) == 1  # the root of one leaf is that leaf
    data = bytes.fromhex(root) if single else tree.get(f"leaves/{root}", 32 * chunk_count(size))
    if data is None:
        raise NotServedError("blob")
    blob = Blob(root, check_leaves(data, root, size), size)
    with node.blobs.part(blob) as part:
        for first, count in _runs(part.missing()):
            start = SEALED_CHUNK * first
            got = tree.range(f"blob/{root}", start, min(SEALED_CHUNK * count, size - start))
            if got is None:
                raise NotServedError("blob")
            for number in range(count):
                part.put(first + number, got[SEALED_CHUNK * number : SEALED_CHUNK * (number + 1)])
    return blob


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of the runs into which sorted numbers fall, each short enough to be asked for at once."""
    first = count = 0
    for number in numbers:
        if count and number == first + count and count < RANGE_CHUNKS:
            count += 1
            continue
        if count:
            yield first, count
        first, count = number, 1
    if count:
        yield first, count


def stored_chunks(node: Ledger, sealed: Sealed, part: Blob | None) -> Iterator[bytes]:
    """The ciphertext as it rests here, whole or as a part; CorruptionError if a chunk was damaged at rest."""
    root = sealed.blob
    leaves = part.leaves if part is not None else check_leaves(node.blobs.leaves(root), root, sealed.blob_bytes)
    chunks = node.blobs.part_chunks(root) if part is not None else node.blobs.chunks(root)
    for number, chunk in enumerate(chunks):
        if number < len(leaves) and leaf_hash(chunk) != leaves[number]:
            raise CorruptionError("a stored chunk is damaged", place=f"blobs/{root} chunk {number}")
        yield chunk
