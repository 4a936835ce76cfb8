"""Import: a foreign file becomes records of an area; a bad object is quarantined alone, the rest goes on."""

import hashlib
import os
from collections.abc import Sequence

import msgspec

from entente.crossing.seal import seal, unseal
from entente.errors import StoreError, UsageError
from entente.node.ledger import Ledger
from entente.store.blobs import Blobs
from entente.store.node_db import SourceRow
from entente.strict import canonical, read_own
from entente.treaty.area import Area
from entente.treaty.marking import MarkingMap
from entente.treaty.record import Record, Rejected

PACK = "pack/"


class Imported(msgspec.Struct, frozen=True):
    """What an import took in: its id, and the objects set aside with their reasons."""

    source: str
    records: int
    quarantined: tuple[Rejected, ...]


def import_file(node: Ledger, area: Area, data: bytes, *, place: str, map_id: str = "") -> Imported:
    """The file's objects can be proposed; the exact file rests encrypted, and importing it again changes nothing.

    `place` names the file in errors; `map_id` is the marking map that its foreign markings will be read by.
    Raises: FormatError if the file as a whole cannot be read; nothing is imported then.
    """
    if map_id:
        read_map(node, map_id)
    records, rejected = area.split(data, place=place)
    source = hashlib.sha256(map_id.encode() + b"\n" + data).hexdigest()[:16]
    if node.db.source(source) is not None:
        return Imported(source, len(records), tuple(rejected))
    node.keys.put_key(PACK + source, os.urandom(32))  # the first under this name stands, also after a crash
    dek = node.keys.key(PACK + source) or b""
    blob = node.blobs.write(lambda write: seal([data], dek, write))
    node.view.put_holding(source, [(record, 0) for record in records], [])
    row = SourceRow(
        source, node.now(), area.name, area.formats[0], blob.root, blob.size, len(records), len(rejected), map_id
    )
    with node.db.transaction():
        node.db.put_source(row)
        for bad in rejected:
            line = {"sha256": hashlib.sha256(bad.data).hexdigest()}  # a reason may quote content: it is told, not kept
            node.db.journal(row.at, "quarantine", source, canonical(line))
    return Imported(source, len(records), tuple(rejected))


def read_source(node: Ledger, area: Area, source: SourceRow) -> list[Record]:
    """The records of an import, from its encrypted pack; StoreError if its key is gone."""
    dek = node.keys.key(PACK + source.id)
    if dek is None:
        raise StoreError("the key of this import is gone", place=source.id)
    data = b"".join(unseal_blob(node.blobs, source.blob, dek))
    return area.split(data, place=source.id)[0]


def unseal_blob(blobs: Blobs, root: str, dek: bytes) -> Sequence[bytes]:
    """The plaintext chunks of a blob held here."""
    return list(unseal(blobs.chunks(root), len(blobs.leaves(root)) // 32, dek))


def read_map(node: Ledger, map_id: str) -> MarkingMap:
    """A signed marking map; UsageError if this node does not hold it."""
    found = node.db.get_map(map_id)
    if found is None:
        raise UsageError(f"no marking map {map_id[:16]} is held here", remedy="Sign one: `entente map FILE`.")
    return read_own(found[0], MarkingMap)
