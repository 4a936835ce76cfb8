"""Receive: what the partner released, from its entries to holdings of ours and intents to answer.

For each release: blob by chunks, key object by its digest, open, content, padding. Releases are then taken together:
the area's validator looks at all of a group in one child process, markings and references are checked, and what is
sound is kept: blob files, keys.db, view.db, and last every outcome in one transaction of node.db, which is the commit
point. A fault fails its own release only.
Source: design core-spec, Receiver, steps 5 to 9.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from entente.account.acts import Release, parse_body
from entente.account.cascade import scale_of
from entente.crossing import payload
from entente.crossing.references import NOT_OWN_MARKING, first_fault
from entente.crossing.seal import (
    Blob,
    chunk_count,
    sealed_bytes,
    unseal,
    unwrap_key,
)
from entente.errors import CorruptionError, EntenteError, FormatError, PartnerError, StoreError, VerificationError
from entente.keys import verify
from entente.node.fetch import NotServedError, fetch_blob, stored_chunks
from entente.node.held import window
from entente.node.import_ import Validate
from entente.node.ledger import Ledger
from entente.node.served import Reader
from entente.node.shelves import release_holding
from entente.register.entry import Entry, parse_entry
from entente.register.tiles import TILE_WIDTH
from entente.store.node_db import InboxRow
from entente.strict import parse_time
from entente.treaty.agreement import SignedAgreement
from entente.treaty.approval import Core, Sealed
from entente.treaty.decision import decide
from entente.treaty.marking import Marking
from entente.treaty.record import Data, Record
from entente.treaty.request import Request, SealedRef, View

MAX_KEY = 8192
GROUP = 256
GROUP_BYTES = 32 << 20
GIVE_UP = timedelta(hours=24)
_NO_VIEW = View({}, {}, (), 0, seen_before=False, suspended=())


class Held(msgspec.Struct, frozen=True):
    """A release opened and held here."""

    idx: int
    rid: str
    records: int
    bytes: int
    sha256: tuple[str, ...]


class Opening(msgspec.Struct):
    """What became of the entries that had no outcome: (index, outcome, reason) if refused, (index, why) if it waits."""

    opened: list[Held] = []
    refused: list[tuple[int, str, str]] = []
    waiting: list[tuple[int, str]] = []


class _RefusedError(Exception):
    """This release gets a refusing answer. `reason` is kept and holds no content; `detail` is told once."""

    def __init__(self, outcome: str, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.outcome, self.reason, self.detail = outcome, reason, detail or reason


class _Opened(msgspec.Struct, frozen=True):
    """A release whose payload is what its core commits to; `blob` if that is new here."""

    row: InboxRow
    core: Core
    secret: bytes
    listing: payload.Listing
    bodies: list[Data]
    blob: Blob | None


class _Decided(msgspec.Struct, frozen=True):
    """An outcome about to be committed; with `opened` the release is held, as these records."""

    row: InboxRow
    outcome: str
    reason: str
    detail: str = ""
    opened: _Opened | None = None
    records: list[Record] = []


def open_pending(node: Ledger, tree: Reader, validate: Validate) -> Opening:
    """Every entry of the partner without an outcome has one, or waits for what is not served yet, or served wrong.

    A partner that goes away meanwhile is not asked for the rest.
    """
    done = Opening()
    group = _Group(node, validate, done)
    log_id = node.logs[node.partner]
    pending = iter(node.db.pending_indices(log_id))
    for idx in pending:
        row = node.db.inbox_row(log_id, idx)
        if row is None:
            continue
        try:
            group.take(row, tree)
        except PartnerError as fault:
            done.waiting += [(later, f"{fault.title}: {fault.detail}") for later in (idx, *pending)]
        except EntenteError as fault:
            group.put_off(row, fault)
    group.finish()
    return done


class _Group:
    """Releases that are opened but not held yet, and outcomes that are not committed: few enough for the memory."""

    def __init__(self, node: Ledger, validate: Validate, done: Opening) -> None:
        self.node, self.validate, self.done = node, validate, done
        self.opened: list[_Opened] = []
        self.decided: list[_Decided] = []
        self._near: tuple[int, list[bytes]] = (0, [])

    def take(self, row: InboxRow, tree: Reader) -> None:
        """The entry is opened or decided as far as it can be alone.

        Raises: CorruptionError, PartnerError, FormatError: bytes are missing or damaged; fetch again.
        """
        entry = self._entry(row)
        if row.kind != "release":
            self._act(row, entry)
            return
        body = parse_body("release", entry.body)
        if not isinstance(body, Release):
            raise FormatError("not a release", place=f"entry {row.idx}")
        fact = self.node.other_side.release(body.core.rid)
        if fact is not None and fact.withdrawn_at(self.node.other_side.size):
            self.decided.append(_Decided(row, "no_blob", "withdrawn", "the partner withdrew it"))
            return
        weight = sum(one.core.bytes_padded for one in self.opened)
        if len(self.opened) + len(self.decided) >= GROUP or weight + body.core.bytes_padded > GROUP_BYTES:
            self.finish()
        try:
            self.opened.append(_open(self.node, tree, row, body))
        except _RefusedError as fault:
            self.decided.append(_Decided(row, fault.outcome, fault.reason, fault.detail))
        except NotServedError as missing:
            if _overdue(self.node, row):
                reason = f"its {missing} was not served for a day"
                self.decided.append(_Decided(row, "no_blob", reason, reason))
            else:
                self.done.waiting.append((row.idx, f"its {missing} is not served yet"))

    def _act(self, row: InboxRow, entry: Entry) -> None:
        """Orders that only change what the fold says are applied by having been folded; others wait for persons."""
        act = str(entry.body.get("act", "notice"))
        if act in ("return", "destroy"):
            self.done.waiting.append((row.idx, "a person must carry it out"))
        else:
            self.decided.append(_Decided(row, "applied", act, act))

    def put_off(self, row: InboxRow, fault: EntenteError) -> None:
        """The entry waits; what the partner served wrong for 24 hours has an outcome. A fault of our stores is none."""
        if _overdue(self.node, row) and not isinstance(fault, StoreError):
            outcome = "bad_digest" if isinstance(fault, VerificationError) else "no_blob"
            self.decided.append(_Decided(row, outcome, fault.title, fault.detail))
        else:
            self.done.waiting.append((row.idx, f"{fault.title}: {fault.detail}"))

    def finish(self) -> None:
        """Every release taken is held here or has a refusing outcome, and the group is empty."""
        for form in sorted({one.core.format for one in self.opened}):
            releases = [one for one in self.opened if one.core.format == form]
            for one, found in zip(releases, self.validate(form, [one.bodies for one in releases]), strict=True):
                self.decided.append(_judge(self.node, one, found))
        self._commit(sorted(self.decided, key=lambda one: one.row.idx))
        self.opened, self.decided = [], []

    def _commit(self, decided: Sequence[_Decided]) -> None:
        """The outcomes stand, each after what it says is held; what cannot be stored waits, the others do not."""
        if not decided:
            return
        try:
            self._store(decided)
        except StoreError as fault:
            if len(decided) == 1:
                self.done.waiting.append((decided[0].row.idx, f"{fault.title}: {fault.detail}"))
                return
            for one in decided:
                self._commit([one])
            return
        for one in decided:
            if one.opened is not None:
                core, listing = one.opened.core, one.opened.listing
                digests = tuple(item.sha256 for item in listing.records)
                self.done.opened.append(Held(one.row.idx, core.rid, len(one.records), core.bytes_padded, digests))
            else:
                self.done.refused.append((one.row.idx, one.outcome, one.detail))
                self._drop_part(one.row)

    def _store(self, decided: Sequence[_Decided]) -> None:
        node, held = self.node, [(one.opened, one.records) for one in decided if one.opened is not None]
        if held:
            node.blobs.keep(one.blob.root for one, _ in held if one.blob is not None)
            node.keys.put_keys((one.core.rid, one.secret) for one, _ in held)
            node.view.put_holdings(
                release_holding(
                    node,
                    one.core.area,
                    one.core.rid,
                    zip(records, [item.marking for item in one.listing.records], strict=True),
                    one.listing.markings,
                    ours=False,
                )
                for one, records in held
            )
        with node.db.transaction():
            for one in decided:
                node.db.set_outcome(one.row.log_id, one.row.idx, one.outcome, one.reason)

    def _drop_part(self, row: InboxRow) -> None:
        body = parse_body("release", self._entry(row).body) if row.kind == "release" else None
        if isinstance(body, Release):
            self.node.blobs.drop_part(body.sealed.blob)

    def _entry(self, row: InboxRow) -> Entry:
        """The entry, read with its neighbours: they are asked for next."""
        first, near = self._near
        if not first <= row.idx < first + len(near):
            first = row.idx - row.idx % TILE_WIDTH
            near = self.node.db.entries(row.log_id, first, first + TILE_WIDTH)
            self._near = first, near
        return parse_entry(near[row.idx - first])


def _overdue(node: Ledger, row: InboxRow) -> bool:
    """Whether a release has been here for a day by our own clock, whatever its author's `at` says."""
    return row.kind == "release" and parse_time(node.now()) - parse_time(row.since) >= GIVE_UP


# One release


def _open(node: Ledger, tree: Reader, row: InboxRow, body: Release) -> _Opened:
    core, sealed = body.core, body.sealed
    law = node.laws[core.agreement]
    limit = law.law.areas[core.area].max_bytes or 0
    if core.bytes_padded > limit or sealed.blob_bytes > sealed_bytes(limit):
        raise _RefusedError("too_large", f"{sealed.blob_bytes} bytes")
    if sealed.blob_bytes != sealed_bytes(core.bytes_padded):
        raise _RefusedError("bad_digest", "blob_bytes does not fit bytes_padded")
    dek, salt = _unwrapped(node, tree, core, sealed)
    blob = fetch_blob(node, tree, sealed) if not node.blobs.holds(sealed.blob) else None
    listing, bodies = _unpack(node, core, sealed, blob, dek + salt)
    return _Opened(row, core, dek + salt, listing, bodies, blob)


def _unwrapped(node: Ledger, tree: Reader, core: Core, sealed: Sealed) -> tuple[bytes, bytes]:
    """Data key and salt from the key object that the entry names."""
    wrapped = tree.get(f"key/{core.rid}", MAX_KEY)
    if wrapped is None:
        raise NotServedError("key")
    if hashlib.sha256(wrapped).hexdigest() != sealed.key_digest:
        raise CorruptionError("the key object is not the one the entry names", place=f"key/{core.rid}")
    private = node.keys.key(f"kem/{sealed.kem_key}")
    if private is None:
        raise _RefusedError("unopenable", "our sealing key is gone")
    try:
        return unwrap_key(sealed.suite, private, sealed.kem_key, core.rid, wrapped)
    except VerificationError as fault:
        raise _RefusedError("unopenable", fault.detail) from None


def _unpack(
    node: Ledger, core: Core, sealed: Sealed, blob: Blob | None, secret: bytes
) -> tuple[payload.Listing, list[Data]]:
    """The payload's list and bodies; a refusing outcome unless they are exactly what the core commits to.

    One pass over the ciphertext; long records stay where they rest. Raises: CorruptionError if it is damaged at rest.
    """
    dek, salt = secret[:32], secret[32:]
    content, opened, fault = payload.Content(salt), None, None
    plaintext = content.through(unseal(stored_chunks(node, sealed, blob), chunk_count(sealed.blob_bytes), dek))
    again = window(node.blobs, sealed.blob, sealed.blob_bytes, dek).read
    try:
        try:
            opened = payload.open_payload(plaintext, again)
        except FormatError as found:
            fault = _RefusedError("bad_format", found.detail)
        for _ in plaintext:  # to the end: whether these bytes were approved comes before what is wrong with them
            pass
    except CorruptionError:
        raise
    except VerificationError as found:
        raise _RefusedError("bad_digest", found.detail) from None
    if (content.hex, content.size) != (core.content, core.bytes_padded):
        raise _RefusedError("bad_digest", "the plaintext is not the one that was approved")
    if opened is None:
        raise fault or _RefusedError("bad_format", "no payload")
    listing, bodies = opened
    if payload.commit(salt, listing) != core.records:
        raise _RefusedError("bad_digest", "the record commitments are not those that were approved")
    return listing, bodies


# What is inside


def _judge(node: Ledger, one: _Opened, found: list[Record] | str) -> _Decided:
    """Received if every record is valid, may cross and is marked as its release says; else refused."""
    law = node.laws[one.core.agreement]
    try:
        if isinstance(found, str):
            raise _RefusedError("bad_format", "the area's validator refuses a record", found)
        seen: dict[tuple[str, str], str] = {}
        for record in found:
            if seen.setdefault((record.id, record.order), record.sha256) != record.sha256:
                raise _RefusedError("bad_format", "one version of an object with two contents", record.id)
        _check_markings(node, law, one.core, one.listing)
        reason = first_fault(found, law.law, one.core.area)
        if reason is not None:
            raise _RefusedError("not_permitted", "a record is withheld or names what is withheld", reason)
    except _RefusedError as fault:
        return _Decided(one.row, fault.outcome, fault.reason, fault.detail)
    return _Decided(one.row, "received", "", opened=one, records=found)


def _check_markings(node: Ledger, law: SignedAgreement, core: Core, listing: payload.Listing) -> None:
    """Each record's marking passes rules 6 to 13 by itself and is not above the core's."""
    scale = scale_of(core.marking, node.partner, law.law)
    rank = law.law.ranks[scale]
    for mark in listing.markings:
        lower = (
            scale_of(mark, node.partner, law.law) == scale
            and rank.get(mark.level, len(rank)) <= rank.get(core.marking.level, -1)
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
