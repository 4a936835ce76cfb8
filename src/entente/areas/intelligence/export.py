"""Exports: records written for others' tools, in one pass and with flat memory, each bearing its marking.

All are pure: the same records in the same order give the same bytes. What goes out is a copy; whoever asks for one
counts it (that is the command's affair).
"""

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from entente.strict import parse_foreign

Object = dict[str, Any]

NAMESPACE = uuid.UUID("5f1b7c52-8a0e-4d3c-9b63-0d6f2e4a91c7")  # of the ids that exports give to what has none
FACTS = frozenset(  # properties of observables that say what was observed; hashes besides
    {
        "value", "path", "key", "number", "name", "subject", "message_id", "user_id", "account_login", "url",
        "serial_number", "issuer", "command_line", "cwd",
    }
)  # fmt: skip


class Exported(msgspec.Struct, frozen=True):
    """One record as it is exported: its bytes as they rest, and its marking as a line of text."""

    data: bytes
    marking_line: str


class Fact(msgspec.Struct, frozen=True):
    """One thing that an observable says: where it stands (`value`, `hashes.MD5`), and what it is as text."""

    path: str
    text: str


def bundle(records: Iterable[Exported]) -> Iterator[bytes]:
    """A STIX 2.1 bundle of the records, each object's bytes as they are.

    Its id comes last, for it is made from the objects. A bundle of nothing has no `objects`.
    """
    digest = hashlib.sha256()
    head = b'{"type":"bundle","objects":[\n'
    for record in records:
        digest.update(record.data)
        yield head + record.data
        head = b",\n"
    close = b'{"type":"bundle",' if head.startswith(b"{") else b"\n],"
    yield close + f'"id":"bundle--{uuid.uuid5(NAMESPACE, digest.hexdigest())}"}}\n'.encode()


def opened(record: Exported) -> Object:
    """The record's object, parsed."""
    found: Object = parse_foreign(record.data, place="record")
    return found


def facts(value: Object) -> list[Fact]:
    """What an observable says of itself, one fact for each hash and each describing property, in its own order."""
    found = []
    for key, item in value.items():
        if key == "hashes" and isinstance(item, dict):
            found += [Fact(f"hashes.{name}", text) for name, text in item.items() if isinstance(text, str)]
        elif key in FACTS and isinstance(item, str | int) and not isinstance(item, bool):
            found.append(Fact(key, str(item)))
    return found
