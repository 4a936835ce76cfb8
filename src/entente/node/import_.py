"""Import: a foreign file becomes records of an area; a bad object is quarantined alone, the rest goes on."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from entente.crossing.seal import seal
from entente.errors import FormatError, UsageError
from entente.node.held import PACK, QUARANTINE
from entente.node.ledger import Ledger
from entente.node.shelves import APART, OWN, bring_back, import_holding, ranker, shelf
from entente.store.node_db import SourceRow
from entente.store.shelf_rows import NOBODY, Twin
from entente.strict import canonical, parse_foreign, read_own
from entente.treaty.area import Area
from entente.treaty.marking import Mapper, MarkingMap
from entente.treaty.record import LONG, Data, Long, Record, Rejected, pieces, whole

Validate = Callable[[str, list[list[Data]]], list[list[Record] | str]]


DERIVED = "derived"  # the kind of journal line that tells which imports derive from a release of the partner's


class Imported(msgspec.Struct, frozen=True):
    """What an import took in: its id, and the objects set aside with their reasons."""

    source: str
    records: int
    quarantined: tuple[Rejected, ...]


Along = Callable[[Imported], None]


def file_data(path: Path) -> Data:
    """The bytes of a file: held if they are few, else read when they are asked for."""
    size = path.stat().st_size
    return path.read_bytes() if size <= LONG else Long(size, lambda start, end: _read(path, start, end))


def _read(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (piece := file.read(min(LONG, end - start))):
            start += len(piece)
            yield piece


def import_file(
    node: Ledger,
    area: Area,
    form: str,
    data: Data,
    *,
    place: str,
    map_id: str,
    validate: Validate,
    along: Along = lambda _: None,
    reads: int = NOBODY,
) -> Imported:
    """The file's objects can be proposed; the exact file rests encrypted, and importing it again changes nothing.

    Args:
        node: where it rests.
        area: whose format it is.
        form: the format.
        data: the file.
        place: names it in errors.
        map_id: the marking map that its foreign markings will be read by; "" for none.
        validate: reads records in a child process, for an area that opens foreign formats.
        along: what it writes into node.db is committed with the import, or neither is.
        reads: the rank up to which whoever imports may read; what stands above it neither hinders nor shows.
    Raises: FormatError if the file as a whole cannot be read; nothing is imported then.
    """
    mapper = mapper_of(node, map_id)
    records, rejected = area.split(form, data, place=place)
    records, rejected = opened(area, form, records, rejected, validate)
    found = _Standing(node, shelf(area.name, OWN), ranker(node, mapper), reads)
    records, rejected = found.sort(records, rejected)
    digest = hashlib.sha256(map_id.encode() + b"\n")
    for piece in pieces(data):
        digest.update(piece)
    source = digest.hexdigest()[:16]
    done = Imported(source, len(records), tuple(rejected))
    if node.db.source(source) is not None:
        bring_back(node, shelf(area.name, OWN), source)
        with node.db.transaction():
            along(done)
        return done
    node.keys.put_key(PACK + source, os.urandom(32))  # the first under this name stands, also after a crash
    dek = node.keys.key(PACK + source) or b""
    blob = node.blobs.write(lambda write: seal(pieces(data), dek, write))
    node.view.put_holdings([import_holding(node, area.name, source, records, mapper, apart=found.apart)])
    row = SourceRow(source, node.now(), area.name, form, blob.root, blob.size, len(records), len(rejected), map_id)
    with node.db.transaction():
        node.db.put_source(row)
        for bad in rejected:
            node.db.journal(row.at, QUARANTINE, source, canonical(_line(area, bad, place)))
        if found.apart:
            node.db.journal(row.at, APART, source, canonical(found.apart))
        for parent in sorted({rid for record in records for rid in record.parents}):
            node.db.journal(row.at, DERIVED, parent, canonical({"source": source}))
        along(done)
    return done


class SetAside(msgspec.Struct, frozen=True):
    """An object of an import that was set aside: its digest, which one it was, and why, as far as that is kept."""

    sha256: str
    place: str = ""
    reason: str = ""


def _line(area: Area, bad: Rejected, file: str) -> dict[str, str]:
    """What the journal keeps of a rejected object: its reason only if the area's quote no content, no file's name."""
    if area.quotes:
        return {"sha256": bad.sha256}
    return {"place": bad.place if bad.place != file else "", "reason": bad.reason, "sha256": bad.sha256}


def set_aside(node: Ledger, source: str) -> list[SetAside]:
    """What of an import was set aside, in the order of its file."""
    return [read_own(line, SetAside) for line in node.db.journal_of(QUARANTINE, source)]


class _Standing:
    """What stands on a shelf, as an import meets it."""

    def __init__(self, node: Ledger, shelf: str, rank: Callable[[Record], int], reads: int) -> None:
        self.node, self.shelf, self.rank, self.reads = node, shelf, rank, reads
        self.apart: dict[str, str] = {}

    def sort(self, records: list[Record], rejected: list[Rejected]) -> tuple[list[Record], list[Rejected]]:
        """The records but for those of which the same id and version stands there and says something else.

        What stands above the clearance of whoever imports is not compared: such a record is kept, apart from it.
        """
        kept, bad = [], list(rejected)
        for record in records:
            twins = self.node.view.twins(self.shelf, record.id, record.order)
            against = self._against(record, twins) if twins else None
            if against is None:
                kept.append(record)
            else:
                reason = f"same id and version as an earlier object, other content: {against} kept, {record.sha256} not"
                bad.append(Rejected(record.data, record.id, reason))
        return kept, bad

    def _against(self, record: Record, twins: Sequence[Twin]) -> str | None:
        """The digest of what a record contradicts; None if it stands with its equal, or apart from what is above."""
        seen = [twin for twin in twins if twin.rank <= self.reads]
        same = next((twin for twin in (seen or twins) if self._says_the_same(record, twin)), None)
        if same is not None and (seen or self.rank(record) >= same.rank):
            if same.apart:
                self.apart[record.sha256] = same.apart
            return None
        if seen:
            return seen[0].sha256
        self.apart[record.sha256] = record.sha256
        return None

    def _says_the_same(self, record: Record, twin: Twin) -> bool:
        if twin.sha256 == record.sha256:
            return True
        return _same_json(self.node.view.body(twin.place, twin.number), record.data)


def _same_json(first: bytes, second: Data) -> bool:
    """Whether two texts say the same in JSON: tools write an object anew, with other spaces and in another order."""
    try:
        return bool(parse_foreign(first) == parse_foreign(whole(second)))
    except FormatError:
        return False


def opened(
    area: Area, form: str, records: list[Record], rejected: list[Rejected], validate: Validate
) -> tuple[list[Record], list[Rejected]]:
    """The records with what the child found in them, if the area opens foreign formats; what it refuses joins the rest.

    Raises: nothing of its own; StoreError if a record's bytes cannot be read any more.
    """
    if form not in area.opens:
        return records, rejected
    kept, bad = [], list(rejected)
    for record, found in zip(records, validate(form, [[record.data] for record in records]), strict=True):
        if isinstance(found, str):
            bad.append(Rejected(record.data, record.id, found))
        else:
            kept.append(msgspec.structs.replace(record, text=found[0].text))
    return kept, bad


def read_map(node: Ledger, map_id: str) -> MarkingMap:
    """A signed marking map; UsageError if this node does not hold it."""
    if not map_id:
        raise UsageError(
            "this was taken in without a marking map, so nothing of it can cross",
            remedy="Take it in again with --map: the same bytes under a map are an import of their own.",
        )
    found = node.db.get_map(map_id)
    if found is None:
        raise UsageError(f"no marking map {map_id[:16]} is held here", remedy="Sign one: `entente map FILE`.")
    return read_own(found[0], MarkingMap)


def mapper_of(node: Ledger, map_id: str) -> Mapper | None:
    """What reads foreign markings by a map held here; None for no map."""
    return Mapper(read_map(node, map_id), node.law.law.ranks[node.party], node.party) if map_id else None
