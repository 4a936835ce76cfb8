"""A record: one object version whose bytes are kept exactly as they were received, in memory or where they rest."""

import hashlib
from collections.abc import Callable, Iterator
from functools import cached_property

import msgspec

LONG = 1 << 20  # bytes; what is longer is not held in memory


class Long(msgspec.Struct, frozen=True, eq=False):
    """Bytes too many to hold: they rest somewhere, and are gone through piece by piece as often as it takes.

    `read(start, end)` yields them from `start` up to, not including, `end`; `digest` is their hex SHA-256 where it is
    known already, else empty.
    """

    size: int
    read: Callable[[int, int], Iterator[bytes]]
    digest: str = ""


Data = bytes | Long


def size_of(data: Data) -> int:
    """How many bytes these are."""
    return data.size if isinstance(data, Long) else len(data)


def pieces(data: Data, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes from `start` up to, not including, `end`, in order."""
    if isinstance(data, Long):
        return data.read(start, data.size if end is None else min(end, data.size))
    return iter((data[start:end],))


def head(data: Data, size: int) -> bytes:
    """The first bytes, at most `size`."""
    return b"".join(pieces(data, 0, size))


def whole(data: Data) -> bytes:
    """All of the bytes at once, for a format that cannot be read in pieces."""
    return b"".join(data.read(0, data.size)) if isinstance(data, Long) else data


def after(data: Data, start: int) -> Data:
    """The bytes from `start` on."""
    if isinstance(data, Long):
        return Long(data.size - start, lambda first, end: data.read(start + first, start + end))
    return data[start:]


def joined(first: bytes, rest: Data, digest: str = "") -> Data:
    """The bytes of one after the other; `digest` where it is known."""
    if isinstance(rest, bytes):
        return first + rest
    long = rest

    def read(start: int, end: int) -> Iterator[bytes]:
        if start < len(first):
            yield first[start:end]
        if end > len(first):
            yield from long.read(max(start - len(first), 0), end - len(first))

    return Long(len(first) + long.size, read, digest)


def sha256_of(data: Data) -> str:
    """Lowercase hex SHA-256 of the bytes."""
    if isinstance(data, Long) and data.digest:
        return data.digest
    found = hashlib.sha256()
    for piece in pieces(data):
        found.update(piece)
    return found.hexdigest()


class Record(msgspec.Struct, frozen=True, dict=True):
    """One object version. Areas make records; the core never looks inside `data`.

    `data` are the exact bytes; `media` their media type. `id` is the name other records of the same area use for it,
    `type` what the agreement's `withhold` rows match, `version` orders versions of one id (`""` if it has none) and
    `title` is for people. `names` holds every string inside the record that could name another record (values and
    keys, never its own id); `markings` the foreign marking ids it bears and `author` who made it, which a marking map
    translates; `prose` the texts (such as addresses) by which running prose would point at this record. `parents`
    are the releases it derives from; `text` is what can be searched in it, for formats whose bytes do not show it.
    `order` orders the versions of one id as text, equal for equal instants; `""` where it has no version. `granular`
    are those of `markings` that only parts of the object bear.
    """

    data: Data
    media: str
    id: str
    type: str
    version: str = ""
    title: str = ""
    names: tuple[str, ...] = ()
    markings: tuple[str, ...] = ()
    author: str = ""
    prose: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    text: str = ""
    order: str = ""
    granular: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Lowercase hex SHA-256 of the bytes."""
        return sha256_of(self.data)

    @property
    def name(self) -> tuple[str, str, str]:
        """By what people know it: id, type and title."""
        return self.id, self.type, self.title

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return size_of(self.data)


class Rejected(msgspec.Struct, frozen=True):
    """One object that its format does not allow; it is quarantined alone. `place` says which one (index or id)."""

    data: Data
    place: str
    reason: str

    @property
    def sha256(self) -> str:
        """Lowercase hex SHA-256 of the bytes."""
        return sha256_of(self.data)
