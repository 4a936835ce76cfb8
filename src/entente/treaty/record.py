"""A record: one object version whose bytes are kept exactly as they were received."""

import hashlib
from functools import cached_property

import msgspec


class Record(msgspec.Struct, frozen=True, dict=True):
    """One object version. Areas make records; the core never looks inside `data`.

    `data` are the exact bytes; `media` their media type. `id` is the name other records of the same area use for it,
    `type` what the agreement's `withhold` rows match, `version` orders versions of one id (`""` if it has none) and
    `title` is for people. `names` holds every string inside the record that could name another record (values and
    keys, never its own id); `markings` the foreign marking ids it bears and `author` who made it, which a marking map
    translates; `prose` the texts (such as addresses) by which running prose would point at this record.
    """

    data: bytes
    media: str
    id: str
    type: str
    version: str = ""
    title: str = ""
    names: tuple[str, ...] = ()
    markings: tuple[str, ...] = ()
    author: str = ""
    prose: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Lowercase hex SHA-256 of the bytes."""
        return hashlib.sha256(self.data).hexdigest()


class Rejected(msgspec.Struct, frozen=True):
    """One object that its format does not allow; it is quarantined alone. `place` says which one (index or id)."""

    data: bytes
    place: str
    reason: str
