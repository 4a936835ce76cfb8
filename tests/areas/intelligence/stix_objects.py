"""What the tests of the area share: a maker of valid objects, bundles as bytes, and the ATT&CK files where they are."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from entente.areas.intelligence import stix
from entente.treaty.record import Record

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path("shared", "data", "intelligence")
DATA = next((folder / SHARED for folder in ROOT.parents if (folder / SHARED).is_dir()), ROOT.parent / SHARED)
UUID = "11111111-2222-4333-8444-{:012x}"


def indicator(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A valid indicator; a change to None takes the property out."""
    whole = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{UUID.format(number)}",
        "created": "2026-01-02T03:04:05.000Z",
        "modified": "2026-01-02T03:04:05.000Z",
        "pattern": "[domain-name:value = 'example.org']",
        "pattern_type": "stix",
        "valid_from": "2026-01-02T00:00:00Z",
    } | changes
    return {key: item for key, item in whole.items() if item is not None}


def identifier(kind: str, number: int = 99) -> str:
    """A well-formed id of the type."""
    return f"{kind}--{UUID.format(number)}"


def as_bytes(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def record_of(data: bytes) -> Record:
    """The record of a valid object's bytes."""
    found = stix.read("stix-2.1", data)
    assert isinstance(found, Record), found
    return found


def bundle_of(*members: bytes) -> bytes:
    """A bundle with these exact bytes as its objects."""
    head = b'{"type":"bundle","id":"bundle--' + UUID.format(0).encode() + b'","objects":['
    return head + b",".join(members) + b"]}"


@cache
def shared(name: str) -> bytes:
    """A file of the shared data; skips the test where it is not."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    return path.read_bytes()


@cache
def attack(name: str) -> list[Record]:
    """The records of ATT&CK 18.1, `ics` or `enterprise`."""
    return stix.split(shared(f"{name}-attack-18.1.stix21.json"), place=name)[0]
