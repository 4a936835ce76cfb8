"""Payload: the one plaintext that holds every record of a release, and the commitments that bind it.

u64 length, canonical list, the records' bytes in that order, 0x80, zeros up to the Padmé length.
Source: design core-spec, Bytes (plaintext, content, record commitment).
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from entente.errors import FormatError, VerificationError
from entente.register.tree import root_of_entries
from entente.strict import encode, parse_as
from entente.treaty.approval import Records
from entente.treaty.marking import Count, Hex32, Marking, Wire
from entente.treaty.record import LONG, Data, Long, Record, pieces

HELD = 64 << 20  # bytes of records that a reader holds at most; the others stay where they rest
MAX_LIST = 64 << 20
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
    bodies: Sequence[Data]
    size: int

    @property
    def padded(self) -> int:
        """Length with the padding."""
        return padme(self.size + 1)

    def pieces(self) -> Iterator[bytes]:
        """The plaintext with its padding, in order."""
        yield self.head
        for body in self.bodies:
            yield from pieces(body)
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


def build(records: Iterable[tuple[Record, int, str | None]], markings: Sequence[Marking]) -> Payload:
    """A payload of (record, marking index, previous digest or None), in that order.

    Raises: FormatError if its list would be longer than MAX_LIST bytes.
    """
    items, bodies = [], []
    for record, marking, prev in records:
        items.append(
            Item(marking, record.media, record.sha256, record.size, prev if prev is not None else msgspec.UNSET)
        )
        bodies.append(record.data)
    listing = Listing(tuple(markings), tuple(items))
    text = encode(listing)
    if len(text) > MAX_LIST:
        raise FormatError(f"{len(items)} records are too many for one release", remedy="Propose them in parts.")
    head = len(text).to_bytes(8, "big") + text
    return Payload(head, listing, bodies, len(head) + sum(item.size for item in items))


class Content:
    """HMAC-SHA256(salt, plaintext with its padding): commits to the exact bytes, also where a cipher would not."""

    def __init__(self, salt: bytes) -> None:
        self._mac, self.size = hmac.new(salt, digestmod=hashlib.sha256), 0

    def through(self, plaintext: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces; once they were all taken, `hex` commits to them and `size` counts them."""
        for piece in plaintext:
            self._mac.update(piece)
            self.size += len(piece)
            yield piece

    @property
    def hex(self) -> str:
        """The commitment to what went through so far."""
        return self._mac.hexdigest()


def content(salt: bytes, plaintext: Iterable[bytes]) -> str:
    """The content commitment of a whole plaintext."""
    found = Content(salt)
    for _ in found.through(plaintext):
        pass
    return found.hex


def commitments(salt: bytes, listing: Listing) -> list[bytes]:
    """The salted commitment to each record, in order: one can be opened without the others."""
    key = hmac.digest(salt, b"entente/record/v1", "sha256")
    return [
        hmac.digest(key, index.to_bytes(8, "big") + encode(item), "sha256")
        for index, item in enumerate(listing.records)
    ]


def commit(salt: bytes, listing: Listing) -> Records:
    """The count of records and the RFC 6962 root over their salted commitments."""
    leaves = commitments(salt, listing)
    return Records(len(leaves), root_of_entries(leaves).hex())


def open_payload(
    plaintext: Iterable[bytes], again: Callable[[int, int], Iterator[bytes]], *, held: int = HELD
) -> tuple[Listing, list[Data]]:
    """The list and each record's bytes, read in one pass; every length, digest and pad byte is as it must be.

    Args:
        plaintext: the payload in pieces, in order.
        again: gives the bytes from a start up to an end once more; by it long records are gone through later.
        held: how many bytes of records are held at most; what is longer than LONG never is.
    Raises: FormatError; VerificationError if a record does not match its digest. The rest of `plaintext` is not taken.
    """
    source = _Source(plaintext)
    length = int.from_bytes(source.take(8), "big")
    text = source.take(length) if length <= MAX_LIST else b""
    if len(text) != length:
        raise FormatError("list is longer than the payload, or than a list may be", place="payload")
    listing = parse_as(text, Listing, place="payload list")
    if listing.v != 1:
        raise FormatError(f"payload version {listing.v}", place="payload list")
    at, room, bodies = 8 + length, held, []
    for number, item in enumerate(listing.records):
        if item.marking >= len(listing.markings):
            raise FormatError(f"record {number} has no marking", place="payload list")
        hold = item.size <= min(room, LONG)
        body = _body(source, number, item, Long(item.size, _from(again, at), item.sha256), hold=hold)
        room -= item.size if hold else 0
        bodies.append(body)
        at += item.size
    source.end(padme(at + 1) - at)
    for marking in listing.markings:
        marking.check()
    return listing, bodies


def _from(again: Callable[[int, int], Iterator[bytes]], at: int) -> Callable[[int, int], Iterator[bytes]]:
    return lambda start, end: again(at + start, at + end)


def _body(source: "_Source", number: int, item: Item, rest: Long, *, hold: bool) -> Data:
    """The next record, held or left where it rests; raises unless all of it came and gives its digest."""
    digest, size, parts = hashlib.sha256(), 0, []
    for piece in source.each(item.size):
        digest.update(piece)
        size += len(piece)
        if hold:
            parts.append(piece)
    if size != item.size:
        raise FormatError(f"record {number} lies outside the payload", place="payload list")
    if digest.hexdigest() != item.sha256:
        raise VerificationError(f"record {number} does not match its digest", place="payload")
    return b"".join(parts) if hold else rest


class _Source:
    """Pieces taken in other lengths than they come in."""

    def __init__(self, plaintext: Iterable[bytes]) -> None:
        self._pieces, self._left = iter(plaintext), memoryview(b"")

    def each(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes, fewer at the end."""
        while size > 0:
            while not self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    return
                self._left = memoryview(piece)
            part, self._left = self._left[:size], self._left[size:]
            size -= len(part)
            yield part

    def take(self, size: int) -> bytes:
        """The next `size` bytes at once, fewer at the end."""
        return b"".join(self.each(size))

    def end(self, size: int) -> None:
        """Raise FormatError unless exactly `size` bytes are left: 0x80 and zeros."""
        found, mark = 0, b"\x80"
        for piece in self.each(size + 1):
            if piece[: len(mark)] != mark or bytes(piece[len(mark) :]).strip(b"\x00"):
                found = -1
                break
            found, mark = found + len(piece), b""
        if found != size:
            raise FormatError("padding is not 0x80 and zeros to the Padmé length", place="payload")
