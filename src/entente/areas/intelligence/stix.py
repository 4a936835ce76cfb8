"""STIX 2.1 in: a bundle becomes records whose bytes are exactly those received, and bad objects are quarantined alone.

The bytes are never written anew, so a hash or a signature over an object holds at the receiver too. An object is
read once, strictly (`strict.parse_foreign`), and held to the OASIS schema of its type and to `rules`.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from entente.areas.intelligence import bundle, granular, rules
from entente.errors import FormatError
from entente.strict import parse_foreign
from entente.treaty.record import Data, Record, Rejected, whole

MEDIA = "application/stix+json;version=2.1"
# What says something about other objects, and by which property it names them.
RETURNS = {"sighting": "sighting_of_ref", "opinion": "object_refs", "note": "object_refs"}

_LONGEST_ID = 300  # a type has at most 250 characters, the rest of an id 38
_LONGEST_REASON = 300  # the name of a property may be as long as it likes
_TITLE = 120
_TITLE_FROM = ("name", "value", "pattern", "abstract", "content", "explanation", "path", "key", "subject", "user_id")
_JOINERS = "\u200c\u200d"  # needed to write Hindi; the other format characters could disguise a title

Object = dict[str, Any]


def split(data: bytes, *, place: str) -> tuple[list[Record], list[Rejected]]:
    """Every object version of the bundle as a record, or rejected with the reason why it is not one.

    Identical bytes that occur twice are one record. The same id and version with other bytes is a contradiction: the
    first stays, each later one is rejected with both hashes.

    Args:
        data: a STIX 2.1 bundle, UTF-8 JSON; `objects` may be absent or empty.
        place: what to call it in an error, such as the file's name.
    Returns: records and rejected objects, each in the bundle's order.
    Raises: FormatError when the bundle itself cannot be read; nothing of it should be imported.
    Source: STIX 2.1 (OASIS Standard), 3.6 versioning, 8 bundles.
    """
    kept: dict[tuple[str, str], Record] = {}
    rejected: list[Rejected] = []
    for index, raw in enumerate(bundle.members(data, place=place)):
        value, reason = _read(raw)
        own = value.get("id") if isinstance(value, dict) else None
        named = isinstance(own, str) and len(own) <= _LONGEST_ID and rules.IDENTIFIER(own)
        where = f"objects[{index}] {own}" if named else f"objects[{index}]"
        if reason is None:
            record = _record(raw, value)
            first = kept.setdefault((record.id, record.order), record)
            if first.data == raw:
                continue
            reason = f"same id and version as an earlier object, other bytes: {first.sha256} kept, {record.sha256} not"
        rejected.append(Rejected(data=raw, place=where, reason=reason))
    return list(kept.values()), rejected


def split_file(_form: str, data: Data, *, place: str) -> tuple[list[Record], list[Rejected]]:
    """`split`, as the core calls it."""
    return split(whole(data), place=place)


def read(_form: str, data: Data) -> Record | str:
    """The record of one object's bytes, or why they are not a valid STIX 2.1 object."""
    raw = whole(data)
    value, reason = _read(raw)
    return _record(raw, value) if reason is None else reason


def check(data: bytes) -> str | None:
    """Why one object's bytes are not a valid STIX 2.1 object; None when they are."""
    return _read(data)[1]


def _read(data: bytes) -> tuple[Any, str | None]:
    """The parsed value (None if it cannot be parsed) and why it is not a valid object, in printable characters."""
    try:
        value = parse_foreign(data)
    except FormatError as fault:
        return None, fault.detail[:_LONGEST_REASON]
    reason = rules.fault(value)
    if reason is not None and not reason.isprintable():  # it may quote the object
        reason = "".join(char if char.isprintable() else "?" for char in reason)
    return value, reason


def _record(data: bytes, value: Object) -> Record:
    own, version = value["id"], _version(value)
    whole_refs, part_refs = _markings(value), granular.refs(value)
    return Record(
        data=data,
        media=MEDIA,
        id=own,
        type=value["type"],
        version=version,
        title=_title(value),
        names=_names(value, own),
        markings=tuple(sorted(whole_refs | part_refs)),
        author=_text(value, "created_by_ref"),
        prose=_addresses(value),
        order=order(version),
        granular=tuple(sorted(part_refs - whole_refs)),
    )


def _version(value: Object) -> str:
    """The timestamp that tells the object's versions apart, as it is written; "" for an object that has none."""
    return next(filter(rules.is_timestamp, (_text(value, "modified"), _text(value, "created"))), "")


def about(data: bytes) -> frozenset[str]:
    """The ids that a valid sighting, opinion or note says something about; none for an object of another type."""
    value = parse_foreign(data)
    named = value.get(RETURNS.get(value["type"], ""), ())
    return frozenset([named] if isinstance(named, str) else named)


@lru_cache(4096)
def order(version: str) -> str:
    """The text by which versions of one id are ordered and told apart: the instant; "" for no version."""
    return "".join(rules.instant(version)) if version else ""


def _text(value: Object, key: str) -> str:
    """A string property, or "" when it is absent or something else."""
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _objects(value: Object, key: str) -> Iterable[Object]:
    """The JSON objects in a list property."""
    found = value.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _title(value: Object) -> str:
    """A line by which a person knows the object: no line break, no invisible or direction-changing character."""
    if value["type"] == "relationship":
        text = " ".join(
            ["relationship:", *(_text(value, key) for key in ("relationship_type", "source_ref", "target_ref"))]
        )
    elif value["type"] == "sighting":
        text = f"sighting: {_text(value, 'sighting_of_ref')}"
    else:
        text = next(filter(None, (_text(value, key) for key in _TITLE_FROM)), "")
        definition = value.get("definition")
        if not text and isinstance(definition, dict):
            text = _text(definition, "statement")
    line = " ".join(text[: 10 * _TITLE].split())
    if not line.isprintable():
        line = " ".join("".join(char for char in line if char.isprintable() or char in _JOINERS).split())
    return (line if len(line) <= _TITLE else f"{line[: _TITLE - 3]}...") or value["id"][:_TITLE]


def _names(value: Object, own: str) -> tuple[str, ...]:
    """Every string, value or key at any depth, that could equal another object's id; sorted."""
    found: set[str] = set()
    _collect(value, found)
    found.discard(own)
    return tuple(sorted(text for text in found if len(text) <= _LONGEST_ID and " " not in text))


def _collect(item: object, found: set[str]) -> None:
    """Add the strings with two hyphens; the parser has bounded the depth."""
    if isinstance(item, str):
        if "--" in item:
            found.add(item)
    elif isinstance(item, dict):
        for key, inner in item.items():
            if "--" in key:
                found.add(key)
            _collect(inner, found)
    elif isinstance(item, list):
        for inner in item:
            _collect(inner, found)


def _markings(value: Object) -> frozenset[str]:
    """The marking definitions that the whole object bears."""
    refs = value.get("object_marking_refs")
    return frozenset(ref for ref in refs if isinstance(ref, str) and ref) if isinstance(refs, list) else frozenset()


def _addresses(value: Object) -> tuple[str, ...]:
    """The addresses that point at this object itself, in its own order.

    ATT&CK puts its own first (source_name mitre-...) and others' entries for the same thing after it; elsewhere every
    reference with an external_id is an entry for the object in some catalogue, and one without is further reading.
    """
    references = _objects(value, "external_references")
    own = [ref for ref in references if _text(ref, "source_name").startswith("mitre-")][:1]
    entries = own or [ref for ref in references if _text(ref, "external_id")]
    return tuple(filter(None, (_text(ref, "url") for ref in entries)))
