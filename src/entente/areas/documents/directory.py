"""The directory at the end of a ZIP file, read strictly: one directory, to the last byte, each name once.

Source: PKWARE APPNOTE 6.3, 4.3.12 and 4.3.16. ZIP64 is not taken: it is for files beyond what an agreement allows.
"""

import re
import struct

import msgspec

from entente.areas.documents.refusal import ActiveError

MEMBERS = 10_000
MOST = 2 << 20  # bytes at the end within which the directory must stand

_END = struct.Struct("<4s4H2IH")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_END_MARK, _ENTRY_MARK = b"PK\x05\x06", b"PK\x01\x02"
_VERSION = 45
_SYMLINK = 0o120000
_FIELD = struct.Struct("<2H")
_OTHER_NAME, _AES = 0x7075, 0x9901
_UNSAFE = re.compile(rb"[\x00-\x1f\x7f\\:*?\"<>|]")
_DAMAGED = "a ZIP archive whose directory is damaged"
_TWO_WAYS = "a ZIP archive that two programs would read differently"


class Member(msgspec.Struct, frozen=True):
    """One file of an archive: what both its own header and the directory say of it."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def ends_as_zip(tail: bytes) -> bool:
    """Whether a ZIP reader would find an archive at the end of these last bytes of a file."""
    at = tail.rfind(_END_MARK)
    return at >= 0 and len(tail) - at >= _END.size


def names(tail: bytes, size: int) -> list[bytes]:
    """The members' names, in the directory's order."""
    return [member.name for member in members(tail, size)]


def members(tail: bytes, size: int) -> list[Member]:
    """What the directory lists. `tail` are the last bytes (MOST of them, or all) of an archive of `size` bytes.

    Raises: ActiveError if it is damaged, or could be read in another way, or lists too much.
    """
    at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END.size:
        raise ActiveError(_DAMAGED)
    _, disk, start_disk, here, count, length, offset, comment = _END.unpack_from(tail, at)
    if disk or start_disk or here != count or at + _END.size + comment != len(tail):
        raise ActiveError(_TWO_WAYS)
    if not count or count > MEMBERS or length > MOST - 70_000:
        raise ActiveError(f"a ZIP archive of {count} members; 1 to {MEMBERS:,} are looked into")
    end = size - len(tail) + at
    if offset + length != end or length > at:
        raise ActiveError(_TWO_WAYS)
    return _entries(tail[at - length : at], count)


def starts_at(tail: bytes) -> int:
    """Where the directory says that it begins."""
    return int(_END.unpack_from(tail, tail.rfind(_END_MARK))[6])


def _entries(data: bytes, count: int) -> list[Member]:
    found: list[Member] = []
    at = 0
    for _ in range(count):
        if len(data) - at < _ENTRY.size:
            raise ActiveError(_DAMAGED)
        (mark, _, version, flags, method, _, _, crc, packed, size, name, extra, comment, disk, _, mode, offset) = (
            _ENTRY.unpack_from(data, at)
        )
        at += _ENTRY.size + name + extra + comment
        if mark != _ENTRY_MARK or disk or at > len(data):
            raise ActiveError(_DAMAGED)
        check_version(version)
        if mode >> 16 & 0o170000 == _SYMLINK:
            raise ActiveError("a ZIP archive with a link to elsewhere in it")
        start = at - name - extra - comment
        check_extra(data[start + name : start + name + extra])
        found.append(Member(data[start : start + name], flags, method, crc, packed, size, offset))
    if at != len(data):
        raise ActiveError(_TWO_WAYS)
    for member in found:
        check_name(member.name)
    if len({member.name.lower() for member in found}) != count:
        raise ActiveError("a ZIP archive with one name twice")
    return found


def check_version(needed: int) -> None:
    """Raise ActiveError if a reader needs to know more than version 4.5 of the format."""
    if needed > _VERSION:
        raise ActiveError("a ZIP archive packed in an unusual way: pack it anew")


def check_extra(extra: bytes) -> None:
    """Raise ActiveError if a member's extra fields give it another name, or say that it is encrypted."""
    at = 0
    while len(extra) - at >= _FIELD.size:
        kind, size = _FIELD.unpack_from(extra, at)
        if kind == _OTHER_NAME:
            raise ActiveError("a ZIP archive whose members have two names each: pack it anew")
        if kind == _AES:
            raise ActiveError("an encrypted archive cannot be looked into")
        at += _FIELD.size + size


def check_name(name: bytes) -> None:
    """Raise ActiveError unless the name stays inside the folder in which an archive is unpacked."""
    parts = name.split(b"/")
    if not name or len(name) > 512 or _UNSAFE.search(name) or b".." in parts or b"" in parts[:-1]:
        raise ActiveError("a ZIP archive with a name that leads elsewhere when it is unpacked")
