"""Documents: a file with its cover sheet is taken in, and given out again with both national markings."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from entente.account.cascade import carried, current_marking, scale_of
from entente.account.state import find_release
from entente.crossing.payload import commitments
from entente.errors import CorruptionError, StateError, StoreError, UsageError
from entente.node.copies import Copy, close_copy, make_copy
from entente.node.held import read_release
from entente.node.import_ import Imported, Validate, import_file
from entente.node.ledger import Ledger
from entente.node.material import received
from entente.strict import read_own
from entente.treaty.agreement import Agreement
from entente.treaty.approval import Core
from entente.treaty.area import Area
from entente.treaty.cover import DOCUMENT, DocumentSheet, Stated, open_document, package
from entente.treaty.marking import Marking, marking_line
from entente.treaty.record import Data, pieces


class Held(msgspec.Struct, frozen=True):
    """A document of a release or draft: its cover, its file, and its marking as both nations write it."""

    rid: str
    sheet: DocumentSheet
    file: Data
    banner: tuple[str, ...]


def document(
    node: Ledger,
    areas: Mapping[str, Area],
    file: Data,
    stated: Stated,
    *,
    label: str,
    parents: tuple[str, ...],
    place: str,
    map_id: str,
    validate: Validate,
) -> Imported:
    """The file can be proposed as a document; importing it again changes nothing.

    Args:
        node: where it rests.
        areas: those that are built.
        file: its bytes.
        stated: what a person says of it.
        label: the foreign marking it bears; "" for none.
        parents: releases of the partner's that it derives from, sorted; it names their records.
        place: names it in errors.
        map_id: the marking map it is marked by.
        validate: reads it in a child process.
    Raises: UsageError if a parent is no release of the partner's; StateError if it was withdrawn, or is not held.
    """
    area = next((found for found in areas.values() if DOCUMENT in found.formats), None)
    if area is None:
        raise UsageError("no area here reads documents")
    above = [commitment for rid in parents for commitment in _commitments(node, rid)]
    stated = msgspec.structs.replace(stated, derived=tuple(sorted({*stated.derived, *above})))
    data = package(stated, file, label=label, parents=parents)
    return import_file(node, area, DOCUMENT, data, place=place, map_id=map_id, validate=validate)


def _commitments(node: Ledger, rid: str) -> list[str]:
    """Which records a document that derives from a release names: all of it, as its core committed to them."""
    fact, secret = received(node, rid), node.keys.key(rid) or b""
    listing, _ = read_release(node, fact.blob, node.blobs.size(fact.blob), secret)
    return [leaf.hex() for leaf in commitments(secret[32:], listing)]


def documents(node: Ledger, rid: str) -> tuple[Held, ...]:
    """The documents of a release that is held here, or of a draft of ours.

    Raises: UsageError if there is no such release, or it holds none; StateError if it was withdrawn or its key is gone.
    """
    place = _place(node, rid)
    if place.form != DOCUMENT:
        raise UsageError(f"{rid[:16]} is of format {place.form}, no document", remedy="See `entente why`.")
    secret = node.keys.key(rid)
    if secret is None or not node.blobs.holds(place.root):
        raise StateError("it is not held here", place=rid[:16], remedy="Pull; what was destroyed is gone for good.")
    listing, bodies = read_release(node, place.root, node.blobs.size(place.root), secret)
    made = []
    for item, body in zip(listing.records, bodies, strict=True):
        sheet, file = open_document(body)
        mark = place.marking if len(bodies) == 1 else listing.markings[item.marking]
        made.append(Held(rid, sheet, file, banner(node.law.law, mark, place.sender)))
    return tuple(made)


class _Place(msgspec.Struct, frozen=True):
    """Where a release or draft rests, and how it is marked now."""

    form: str
    root: str
    marking: Marking
    sender: str


def _place(node: Ledger, rid: str) -> _Place:
    found = find_release(node.pair, rid)
    if found is not None:
        side, fact = found
        if side is node.other_side and fact.withdrawn_at(side.size):
            raise StateError(f"{side.party} withdrew it", place=rid[:16], remedy="It is not used any more.")
        return _Place(fact.format, fact.blob, current_marking(node.pair, side, fact, node.laws).marking, side.party)
    draft = node.db.draft(rid)
    if draft is None:
        raise UsageError(f"no release or draft {rid[:16]}", remedy="See `entente list releases`.")
    core = read_own(draft.core, Core)
    return _Place(core.format, draft.blob, core.marking, node.party)


def banner(law: Agreement, mark: Marking, sender: str) -> tuple[str, ...]:
    """The marking as its sender writes it, and its equivalent as the other party does, one line each."""
    own = scale_of(mark, sender, law)
    other = law.other(own)
    word = carried(mark.level, own, other, law)
    lines = [f"{own}: {marking_line(mark)}"]
    if word is not None:
        lines.append(f"{other}: {marking_line(msgspec.structs.replace(mark, level=word))}")
    return tuple(lines)


def export(node: Ledger, held: Held, out: Path, holder: str, place: str) -> Copy | None:
    """The document's file stands at `out`; of a release of the partner's that is the next numbered copy, else None.

    Raises: as `write_file` and `make_copy`; UsageError if nobody is named to hold a copy. No file is there then, and no
    copy is out.
    """
    fact = node.other_side.release(held.rid)
    if fact is None:
        write_file(held, out)
        return None
    if out.exists():
        raise UsageError("something is there", place=str(out), remedy="Give --out a new name.")
    copy = make_copy(node, fact, holder, place)
    try:
        write_file(held, out)
    except BaseException:
        close_copy(node, fact, copy.n)
        raise
    return copy


def write_file(held: Held, out: Path) -> None:
    """The document's file stands at `out`, whole and as its cover says, or nothing does.

    Raises: UsageError if something is there; CorruptionError if the bytes are not those of the cover.
    """
    part = out.with_name(f".{out.name}.part")
    try:
        if out.exists():
            raise UsageError("something is there", place=str(out), remedy="Give --out a new name.")
        digest = hashlib.sha256()
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            for piece in _through(held.file, digest):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != held.sheet.sha256:
            raise CorruptionError("the file is not the one its cover names", place=held.rid[:16])
        part.rename(out)
    except OSError as fault:
        raise StoreError(str(fault), place=str(out)) from None
    finally:
        part.unlink(missing_ok=True)


def _through(data: Data, digest: "hashlib._Hash") -> Iterator[bytes]:
    for piece in pieces(data):
        digest.update(piece)
        yield piece
