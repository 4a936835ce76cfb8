"""A ZIP file looked through while it passes: each member unpacked piece by piece, none kept.

What stands in the file in order and what its directory says must be the same, to the byte, so that a reader that
follows either sees the same members. Anything between or around them is refused.
Source: PKWARE APPNOTE 6.3, 4.3.7 to 4.3.12.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Protocol

import msgspec

from entente.areas.documents import directory
from entente.areas.documents.directory import Member
from entente.areas.documents.refusal import ActiveError

MAX_UNPACKED = 1 << 30  # of all members together
FREE = 16 << 20  # a member may unpack to this much whatever its ratio
RATIO = 200

_LOCAL = struct.Struct("<4s5H3I2H")
_STEP = 1 << 18
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _LATER = 0x2041, 0x0008  # 0x2041: encrypted, strongly encrypted, masked headers
_KNOWN_FLAGS = 0x080E  # compression hints, sizes later, UTF-8 names
_MASKED = 0xFFFFFFFF
_TWO_WAYS = "a ZIP archive that two programs would read differently"
_DAMAGED = "a ZIP archive that is damaged"


class Sink(Protocol):
    """Takes one member's bytes."""

    def feed(self, piece: bytes, /) -> None:
        """The next bytes."""

    def finish(self) -> object:
        """There are no more."""


class Walk:
    """Goes through an archive that passes in pieces; `open_member` gives what takes a member's bytes."""

    def __init__(self, open_member: Callable[[bytes], Sink]) -> None:
        self._open = open_member
        self._buffer = bytearray()
        self._at = 0  # where the buffer begins in the file
        self._found: list[Member] = []
        self._unpacked = 0
        self._one: _Unpacking | None = None
        self._ended = False

    def feed(self, piece: bytes) -> None:
        """The next bytes are looked through. Raises: ActiveError as soon as something is not taken in."""
        if self._ended:
            return
        self._buffer += piece
        while self._step():
            pass

    def finish(self, tail: bytes, size: int) -> list[Member]:
        """The members. Raises: ActiveError unless the directory (in `tail`) lists exactly what passed."""
        if not self._ended or self._one is not None:
            raise ActiveError(_DAMAGED)
        if directory.members(tail, size) != self._found or directory.starts_at(tail) != self._at:
            raise ActiveError(_TWO_WAYS)
        return self._found

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._at += count
        return taken

    def _step(self) -> bool:
        """Whether anything went on that lets more go on."""
        one = self._one
        if one is None:
            return self._begin()
        if not (one.ended or self._unpack(one)) or not self._describe(one):
            return False
        self._found.append(one.member())
        one.sink.finish()
        self._one = None
        return True

    def _begin(self) -> bool:
        """The next header is read; False if more bytes are needed, or the directory has begun."""
        if len(self._buffer) < 4:
            return False
        if self._buffer.startswith(b"PK\x01\x02"):
            self._ended = True
            self._buffer.clear()
            return False
        if not self._buffer.startswith(b"PK\x03\x04"):
            raise ActiveError(_TWO_WAYS)
        if len(self._buffer) < _LOCAL.size:
            return False
        _, version, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(self._buffer)
        whole = _LOCAL.size + name_size + extra_size
        if len(self._buffer) < whole:
            return False
        if flags & _ENCRYPTED:
            raise ActiveError("an encrypted archive cannot be looked into")
        directory.check_version(version)
        if method not in (_STORED, _DEFLATED) or flags & ~_KNOWN_FLAGS:
            raise ActiveError("a ZIP archive packed in an unusual way: pack it anew")
        if _MASKED in (packed, size):
            raise ActiveError("a ZIP archive of the kind ZIP64: pack it anew")
        if flags & _LATER and method == _STORED:
            raise ActiveError("a ZIP archive that does not say where a member ends: pack it anew")
        if len(self._found) >= directory.MEMBERS:
            raise ActiveError(f"a ZIP archive of more than {directory.MEMBERS:,} members")
        offset = self._at
        header = self._take(whole)[_LOCAL.size :]
        name = header[:name_size]
        directory.check_name(name)
        directory.check_extra(header[name_size:])
        stated = Member(name, flags, method, crc, packed, size, offset)
        self._one = _Unpacking(stated, self._open(name), self._at)
        return True

    def _unpack(self, one: "_Unpacking") -> bool:
        """What is there of the member is passed on; whether that was the last of it."""
        stored = one.stated.method == _STORED
        while not one.ended:
            left = None if one.later else one.start + one.stated.packed - self._at
            piece = bytes(self._buffer[: _STEP if left is None else min(left, _STEP)])
            if not piece and left != 0 and not one.pending:
                return False
            used, out = (len(piece), piece) if stored else one.inflate(piece)
            self._take(used)
            one.take(out)
            self._unpacked += len(out)
            one.packed = self._at - one.start
            if self._unpacked > MAX_UNPACKED or (one.size > FREE and one.size > RATIO * one.packed):
                raise ActiveError("an archive that unpacks to far more than it is (a ZIP bomb)")
            full = not one.later and one.packed == one.stated.packed
            one.ended = full if stored else one.deflated.eof
            if full and not one.ended and not out:
                raise ActiveError(_DAMAGED)
        return True

    def _describe(self, one: "_Unpacking") -> bool:
        """The member is what its header, or the descriptor after it, says; False if more bytes are needed."""
        stated = (one.stated.crc, one.stated.packed, one.stated.size)
        if one.later:
            if len(self._buffer) < 16:
                return False
            signed = self._buffer.startswith(b"PK\x07\x08")
            stated = struct.unpack("<3I", self._take(16)[4:] if signed else self._take(12))
        if stated != (one.crc, one.packed, one.size):
            raise ActiveError(_DAMAGED)
        return True


class _Unpacking:
    """One member under way."""

    def __init__(self, stated: Member, sink: Sink, start: int) -> None:
        self.stated, self.sink, self.start = stated, sink, start
        self.later = bool(stated.flags & _LATER)
        self.deflated = zlib.decompressobj(-15)
        self.crc = self.size = self.packed = 0
        self.ended = self.pending = False  # pending: the last round gave as much as it might

    def inflate(self, piece: bytes) -> tuple[int, bytes]:
        """How many of these bytes were used, and what they unpack to, a bounded part of it."""
        try:
            out = self.deflated.decompress(piece, 4 * _STEP)
        except zlib.error:
            raise ActiveError(_DAMAGED) from None
        self.pending = len(out) == 4 * _STEP
        return len(piece) - len(self.deflated.unconsumed_tail) - len(self.deflated.unused_data), out

    def take(self, out: bytes) -> None:
        """These unpacked bytes are passed on."""
        self.crc = zlib.crc32(out, self.crc)
        self.size += len(out)
        if out:
            self.sink.feed(out)

    def member(self) -> Member:
        """What the directory must say of it."""
        return msgspec.structs.replace(self.stated, crc=self.crc, packed=self.packed, size=self.size)
