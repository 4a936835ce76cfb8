"""The envelope of an entry: who saw what, under which agreement, and the signatures over its body.

The body stays plain data here; each kind's own rules live where the kind is understood.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

from entente import keys, strict
from entente.errors import FormatError

MAX_ENTRY_BYTES = 32_768
KINDS = frozenset(
    {
        "genesis",
        "epoch",
        "adopt",
        "key",
        "term",
        "assurance",
        "standing",
        "release",
        "order",
        "incident",
        "answer",
        "undertaking",
        "claim",
    }
)
_NEWLINES_ALLOWED = "undertaking"
_HASH_BYTES = 32
_SIGNATURE_BYTES = 64


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The partner's register as the author held it: its epoch (from 1), size and root (hex)."""

    epoch: int
    size: int
    root: str


class Sig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One Ed25519 signature (hex) over the act; `by` is a person's handle or a key id."""

    by: str
    sig: str


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of a register. `at` is wire text (`YYYY-MM-DDTHH:MMZ`); it never decides order."""

    v: Literal[1]
    kind: str
    at: str
    seen: Seen
    agreement: str
    body: dict[str, Any]
    sigs: list[Sig]

    @property
    def moment(self) -> datetime:
        """`at` as an aware UTC time."""
        return strict.parse_time(self.at)


def parse_entry(data: bytes, *, place: str = "entry") -> Entry:
    """The entry in canonical bytes; FormatError says why they are not one.

    Line feeds may stand in an undertaking's strings only. Signatures are not verified here.
    Source: design core-spec, Entries.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise FormatError(f"{len(data)} bytes are more than {MAX_ENTRY_BYTES}", place=place)
    entry = strict.convert(strict.parse(data, place=place, newlines=True), Entry, place=place)
    if entry.kind != _NEWLINES_ALLOWED and rb"\n" in data:
        strict.parse(data, place=place)
    try:
        _check_fields(entry)
    except FormatError as fault:
        raise FormatError(fault.detail, place=place, remedy=fault.remedy) from None
    return entry


def _check_fields(entry: Entry) -> None:
    if entry.kind not in KINDS:
        raise FormatError(f"kind {entry.kind[:40]!r} is not known")
    strict.parse_time(entry.at)
    strict.check_hex(entry.agreement, _HASH_BYTES, "agreement")
    strict.check_hex(entry.seen.root, _HASH_BYTES, "seen.root")
    if entry.seen.epoch < 1 or entry.seen.size < 0:
        raise FormatError("seen.epoch starts at 1 and seen.size at 0")
    for signature in entry.sigs:
        strict.check_hex(signature.sig, _SIGNATURE_BYTES, f"the signature by {signature.by[:80]!r}")
        if not signature.by:
            raise FormatError("a signature names nobody")
    strict.check_sorted_set([signature.by for signature in entry.sigs], "sigs")


def encode(entry: Entry) -> bytes:
    """The entry's canonical bytes, which `parse_entry` takes back; FormatError if it would not."""
    data = strict.encode(entry)
    if parse_entry(data) != entry:
        raise FormatError("does not read back as itself", place="entry")
    return data


def act_body(origin: str, agreement: str, body: dict[str, Any]) -> bytes:
    """The canonical bytes that an act's signatures and its id are made over, before the kind is bound to them.

    Neither `at` nor `seen` is in them: an authority signs offline, before the entry exists.
    """
    return strict.canonical({"agreement": agreement, "body": body, "origin": origin})


def signed_message(origin: str, entry: Entry) -> bytes:
    """PAE(kind, {agreement, body, origin}): what each of `sigs` signs, for the register named `origin`."""
    return keys.pae(entry.kind, act_body(origin, entry.agreement, entry.body))


def act_id(origin: str, entry: Entry) -> str:
    """D(kind, {agreement, body, origin}): what an act is called by, and what may stand once only."""
    return keys.digest(entry.kind, act_body(origin, entry.agreement, entry.body))
