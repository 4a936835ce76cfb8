"""What rests sealed here, read again in one pass: imports and releases. Long records stay where they rest."""

from collections.abc import Iterator

from entente.crossing import payload
from entente.crossing.seal import Unsealed, chunk_count, plain_bytes, unseal
from entente.errors import StoreError
from entente.node.ledger import Ledger
from entente.store.blobs import Blobs
from entente.store.node_db import DraftRow, SourceRow
from entente.strict import read_own
from entente.treaty.area import Area
from entente.treaty.record import LONG, Data, Long, Record

PACK = "pack/"  # how the key of an import is named in keys.db
QUARANTINE = "quarantine"  # the kind of journal line that tells what of an import was set aside


def unseal_blob(blobs: Blobs, root: str, dek: bytes) -> Iterator[bytes]:
    """The plaintext of a blob held here, chunk by chunk; VerificationError if the key does not open it."""
    return unseal(blobs.chunks(root), chunk_count(blobs.size(root)) if blobs.holds(root) else 0, dek)


def window(blobs: Blobs, root: str, size: int, dek: bytes) -> Unsealed:
    """The plaintext at any place of a blob of `size` ciphertext bytes that is held here, or will be once it is read."""
    return Unsealed(lambda number: blobs.chunk(root, number), chunk_count(size), dek)


def read_source(node: Ledger, area: Area, source: SourceRow) -> list[Record]:
    """The records of an import, from its encrypted pack; StoreError if its key is gone."""
    dek = node.keys.key(PACK + source.id)
    if dek is None:
        raise StoreError("the key of this import is gone", place=source.id)
    size = plain_bytes(source.blob_bytes)
    data: Data = Long(size, window(node.blobs, source.blob, source.blob_bytes, dek).read)
    if size <= LONG:
        data = b"".join(unseal_blob(node.blobs, source.blob, dek))
    bad = {
        read_own(line, dict[str, str])["sha256"] for line in node.db.journal_of(QUARANTINE, source.id)
    }  # the child may have refused what `split` lets pass
    return [record for record in area.split(source.format, data, place=source.id)[0] if record.sha256 not in bad]


def read_release(node: Ledger, root: str, size: int, secret: bytes) -> tuple[payload.Listing, list[Data]]:
    """The list and records of a release whose blob of `size` bytes is held here; `secret` is its key and salt."""
    dek = secret[:32]
    return payload.open_payload(unseal_blob(node.blobs, root, dek), window(node.blobs, root, size, dek).read)


def sealed_content(node: Ledger, draft: DraftRow) -> str:
    """The content commitment of the bytes that rest sealed for this draft; "" if they cannot be opened."""
    secret = node.keys.key(draft.rid)
    if secret is None or not node.blobs.holds(draft.blob):
        return ""
    return payload.content(secret[32:], unseal_blob(node.blobs, draft.blob, secret[:32]))
