"""Receive: one release of the partner's, from its entry to a holding of ours and an intent to answer.

Order: blob by chunks, key object by its digest, open, content, padding, markings, the area's validator in a child
process; then blob file, keys.db, view.db, and last the outcome in node.db, which is the commit point. A fault fails
this release only.
Source: design core-spec, Receiver, steps 5 to 9.
"""

import hashlib
from collections.abc import Callable

import msgspec

from entente.account.acts import Release, parse_body
from entente.crossing import payload
from entente.crossing.references import NOT_OWN_MARKING, first_fault
from entente.crossing.seal import (
    CHUNK,
    TAG,
    Blob,
    check_chunk,
    check_leaves,
    chunk_count,
    leaf_hash,
    sealed_bytes,
    unseal,
    unwrap_key,
)
from entente.errors import CorruptionError, FormatError, PartnerError, VerificationError
from entente.keys import verify
from entente.node.ledger import Ledger
from entente.node.served import Reader
from entente.register.entry import Entry, parse_entry
from entente.store.node_db import InboxRow
from entente.treaty.agreement import SignedAgreement
from entente.treaty.approval import Core
from entente.treaty.decision import decide
from entente.treaty.marking import Marking
from entente.treaty.record import Record
from entente.treaty.request import Request, SealedRef, View

MAX_KEY = 8192
Validate = Callable[[str, list[bytes]], list[Record] | str]
_NO_VIEW = View({}, {}, (), 0, seen_before=False, suspended=())


class Held(msgspec.Struct, frozen=True):
    """A release opened and held here."""

    idx: int
    rid: str
    records: int
    bytes: int
    sha256: tuple[str, ...]


class _RefusedError(Exception):
    """This release gets a refusing answer. `reason` is kept and holds no content; `detail` is told once."""

    def __init__(self, outcome: str, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.outcome, self.reason, self.detail = outcome, reason, detail or reason


def open_release(node: Ledger, tree: Reader, validate: Validate, row: InboxRow) -> Held | tuple[str, str] | None:
    """The release is held here, or has a refusing outcome (outcome, reason), or None: its key is not served yet.

    Raises: CorruptionError, PartnerError, FormatError: bytes are missing or damaged; fetch again, nothing was decided.
    """
    entry = parse_entry(node.db.entries(row.log_id, row.idx, row.idx + 1)[0])
    try:
        if row.kind != "release":
            return _act(node, row, entry)
        body = parse_body("release", entry.body)
        if not isinstance(body, Release):
            raise _RefusedError("bad_format", "not a release")
        held = _open(node, tree, validate, row, body)
    except _RefusedError as fault:
        node.db.set_outcome(row.log_id, row.idx, fault.outcome, fault.reason)
        return fault.outcome, fault.detail
    if held is not None:
        node.db.set_outcome(row.log_id, row.idx, "received", "")
    return held


def _act(node: Ledger, row: InboxRow, entry: Entry) -> tuple[str, str] | None:
    """Orders that only change what the fold says are applied by having been folded; others wait for persons."""
    act = entry.body.get("act", "notice")
    if act in ("return", "destroy"):
        return None
    node.db.set_outcome(row.log_id, row.idx, "applied", str(act))
    return "applied", str(act)


def _open(node: Ledger, tree: Reader, validate: Validate, row: InboxRow, body: Release) -> Held | None:
    core, sealed = body.core, body.sealed
    law = node.laws[core.agreement]
    limit = law.law.areas[core.area].max_bytes or 0
    if core.bytes_padded > limit or sealed.blob_bytes > sealed_bytes(limit):
        raise _RefusedError("too_large", f"{sealed.blob_bytes} bytes")
    if sealed.blob_bytes != sealed_bytes(core.bytes_padded):
        raise _RefusedError("bad_digest", "blob_bytes does not fit bytes_padded")
    wrapped = tree.get(f"key/{core.rid}", MAX_KEY)
    if wrapped is None:
        return None
    if hashlib.sha256(wrapped).hexdigest() != sealed.key_digest:
        raise CorruptionError("the key object is not the one the entry names", place=f"key/{core.rid}")
    private = node.keys.key(f"kem/{sealed.kem_key}")
    if private is None:
        raise _RefusedError("unopenable", "our sealing key is gone")
    try:
        dek, salt = unwrap_key(sealed.suite, private, sealed.kem_key, core.rid, wrapped)
    except VerificationError as fault:
        raise _RefusedError("unopenable", fault.detail) from None
    if not node.blobs.holds(sealed.blob):
        _fetch_blob(node, tree, sealed.blob, sealed.blob_bytes)
    listing, bodies = _unpack(node, core, sealed.blob, dek, salt)
    records = _validated(validate, core, bodies)
    _check_markings(node, law, core, listing)
    reason = first_fault(records, law.law, core.area)
    if reason is not None:
        raise _RefusedError("not_permitted", "a record is withheld or names what is withheld", reason)
    node.keys.put_key(core.rid, dek + salt)
    node.view.put_holding(
        core.rid, zip(records, [item.marking for item in listing.records], strict=True), listing.markings
    )
    return Held(row.idx, core.rid, len(records), core.bytes_padded, tuple(item.sha256 for item in listing.records))


def _fetch_blob(node: Ledger, tree: Reader, root: str, size: int) -> None:
    """The ciphertext rests here under its root, every chunk verified before it was written."""
    data = tree.get(f"leaves/{root}", 32 * chunk_count(size))
    if data is None:
        raise PartnerError("the leaf hashes are not served", place=f"leaves/{root}")
    leaves = check_leaves(data, root, size)

    def make(write: Callable[[bytes], object]) -> Blob:
        for number, leaf in enumerate(leaves):
            length = min(CHUNK + TAG, size - number * (CHUNK + TAG))
            chunk = tree.range(f"blob/{root}", number * (CHUNK + TAG), length)
            if chunk is None:
                raise PartnerError("the blob is not served", place=f"blob/{root}")
            check_chunk(chunk, leaf, place=f"blob/{root} chunk {number}")
            write(chunk)
        return Blob(root, leaves, size)

    node.blobs.write(make)


def _unpack(node: Ledger, core: Core, root: str, dek: bytes, salt: bytes) -> tuple[payload.Listing, list[bytes]]:
    """The payload's list and bodies; a refusing outcome unless they are exactly what the core commits to."""
    leaves = node.blobs.leaves(root)
    count = len(leaves) // 32
    for number, chunk in enumerate(node.blobs.chunks(root)):
        if leaf_hash(chunk) != leaves[32 * number : 32 * number + 32]:
            raise CorruptionError("a stored chunk is damaged", place=f"blobs/{root} chunk {number}")
    try:
        plaintext = b"".join(unseal(node.blobs.chunks(root), count, dek))
        if payload.content(salt, [plaintext]) != core.content or len(plaintext) != core.bytes_padded:
            raise _RefusedError("bad_digest", "the plaintext is not the one that was approved")
        listing, bodies = payload.open_payload(plaintext)
    except FormatError as fault:
        raise _RefusedError("bad_format", fault.detail) from None
    except VerificationError as fault:
        raise _RefusedError("bad_digest", fault.detail) from None
    if payload.commit(salt, listing) != core.records:
        raise _RefusedError("bad_digest", "the record commitments are not those that were approved")
    return listing, bodies


def _validated(validate: Validate, core: Core, bodies: list[bytes]) -> list[Record]:
    found = validate(core.format, bodies)
    if isinstance(found, str):
        raise _RefusedError("bad_format", "the area's validator refuses a record", found)
    seen: dict[tuple[str, str], str] = {}
    for record in found:
        if seen.setdefault((record.id, record.version), record.sha256) != record.sha256:
            raise _RefusedError("bad_format", "one version of an object with two contents", record.id)
    return found


def _check_markings(node: Ledger, law: SignedAgreement, core: Core, listing: payload.Listing) -> None:
    """Each record's marking passes rules 6 to 13 by itself and is not above the core's."""
    rank = law.law.ranks[node.partner]
    for mark in listing.markings:
        lower = (
            rank.get(mark.level, len(rank)) <= rank.get(core.marking.level, -1)
            and set(core.marking.releasable_to) <= set(mark.releasable_to)
            and set(mark.caveats) <= set(core.marking.caveats)
            and mark.purpose == core.marking.purpose
        )
        if not lower:
            raise _RefusedError("not_permitted", "a record is marked above its release")
        refusals = _own_marking(node, law, core, mark)
        if refusals:
            raise _RefusedError("not_permitted", f"a record fails rule {refusals}")


def _own_marking(node: Ledger, law: SignedAgreement, core: Core, mark: Marking) -> str:
    request = Request(
        node.other_side.origin, 0, node.now(), msgspec.structs.replace(core, marking=mark), SealedRef("", ""), ()
    )
    decision = decide(law.law, _NO_VIEW, request, verify, skip=NOT_OWN_MARKING)
    return ", ".join(finding.rule for finding in decision.refusals)
