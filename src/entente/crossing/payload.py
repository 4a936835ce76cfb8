"""Payload: the one plaintext that holds every record of a release, and the commitments that bind it.

u64 length, canonical list, the records' bytes in that order, 0x80, zeros up to the Padmé length.
Source: design core-spec, Bytes (plaintext, content, record commitment).
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from entente.errors import FormatError, VerificationError
from entente.register.tree import root_of_entries
from entente.strict import encode, parse_as
from entente.treaty.approval import Records
from entente.treaty.marking import Count, Hex32, Marking, Wire

_PIECE = 1 << 20


class Item(Wire, frozen=True):
    """One record's line in the list: its digest, size, media type, marking (index) and previous version's digest."""

    marking: Count
    media: str
    sha256: Hex32
    size: Count
    prev: Hex32 | msgspec.UnsetType = msgspec.UNSET


class Listing(Wire, frozen=True):
    """The list at the head of a payload."""

    markings: tuple[Marking, ...]
    records: tuple[Item, ...]
    v: int = 1


class Payload(msgspec.Struct, frozen=True):
    """A payload ready to be sealed; the bytes are produced piece by piece, never joined."""

    head: bytes
    listing: Listing
    bodies: Sequence[bytes]
    size: int

    @property
    def padded(self) -> int:
        """Length with the padding."""
        return padme(self.size + 1)

    def pieces(self) -> Iterator[bytes]:
        """The plaintext with its padding, in order."""
        yield self.head
        yield from self.bodies
        yield b"\x80"
        rest = self.padded - self.size - 1
        while rest:
            piece = min(rest, _PIECE)
            yield bytes(piece)
            rest -= piece


def padme(length: int) -> int:
    """The Padmé length: at most 12 % more, revealing O(log log n) bits. Source: PURBs, 2019, section 4."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def build(records: Iterable[tuple[bytes, str, int, str | None]], markings: Sequence[Marking]) -> Payload:
    """A payload of (bytes, media type, marking index, previous digest or None), in that order."""
    items, bodies = [], []
    for data, media, marking, prev in records:
        digest = hashlib.sha256(data).hexdigest()
        items.append(Item(marking, media, digest, len(data), prev if prev is not None else msgspec.UNSET))
        bodies.append(data)
    listing = Listing(tuple(markings), tuple(items))
    text = encode(listing)
    head = len(text).to_bytes(8, "big") + text
    return Payload(head, listing, bodies, len(head) + sum(map(len, bodies)))


def content(salt: bytes, pieces: Iterable[bytes]) -> str:
    """HMAC-SHA256(salt, plaintext with its padding): commits to the exact bytes, also where a cipher would not."""
    mac = hmac.new(salt, digestmod=hashlib.sha256)
    for piece in pieces:
        mac.update(piece)
    return mac.hexdigest()


def commit(salt: bytes, listing: Listing) -> Records:
    """The count of records and the RFC 6962 root over their salted commitments."""
    key = hmac.digest(salt, b"entente/record/v1", "sha256")
    leaves = [
        hmac.digest(key, index.to_bytes(8, "big") + encode(item), "sha256")
        for index, item in enumerate(listing.records)
    ]
    return Records(len(leaves), root_of_entries(leaves).hex())


def open_payload(plaintext: bytes | memoryview) -> tuple[Listing, list[bytes]]:
    """The list and each record's bytes; FormatError unless every length, digest and pad byte is as it must be."""
    view = memoryview(plaintext)
    length = int.from_bytes(view[:8], "big")
    if len(view) < 9 or length > len(view) - 9:
        raise FormatError("list is longer than the payload", place="payload")
    listing = parse_as(bytes(view[8 : 8 + length]), Listing, place="payload list")
    if listing.v != 1:
        raise FormatError(f"payload version {listing.v}", place="payload list")
    at, bodies = 8 + length, []
    for number, item in enumerate(listing.records):
        data = bytes(view[at : at + item.size])
        if len(data) != item.size or item.marking >= len(listing.markings):
            raise FormatError(f"record {number} lies outside the payload", place="payload list")
        if hashlib.sha256(data).hexdigest() != item.sha256:
            raise VerificationError(f"record {number} does not match its digest", place="payload")
        bodies.append(data)
        at += item.size
    if len(view) != padme(at + 1) or view[at] != 0x80 or any(view[at + 1 :]):
        raise FormatError("padding is not 0x80 and zeros to the Padmé length", place="payload")
    for marking in listing.markings:
        marking.check()
    return listing, bodies
