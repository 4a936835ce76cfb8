"""CSV for people and for devices that take lists: indicators and observables, one line for each thing to look for.

RFC 4180: every field in quotes, CRLF. A field that a spreadsheet could take for a formula stands after an apostrophe,
as does one that begins with an apostrophe itself, so that taking one away gives the text back (ASVS 5.0, 1.2.10).
The first line is the marking of the whole, the last says how many rows there are and the SHA-256 of all before it.
"""

import hashlib
from collections.abc import Iterable, Iterator

from entente.areas.intelligence import schema
from entente.areas.intelligence.export import Exported, Object, facts, opened

COLUMNS = ("type", "id", "value", "valid_from", "valid_until", "labels", "confidence", "marking")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv(records: Iterable[Exported], *, marking: str) -> Iterator[bytes]:
    """The lines of the file, `marking` being that of all of it; other objects than those named are left out."""
    digest = hashlib.sha256()
    rows = 0
    for line in (_line(marking), _line(*COLUMNS)):
        digest.update(line)
        yield line
    for record in records:
        value = opened(record)
        for kind, text in _things(value):
            line = _line(
                kind,
                _text(value, "id"),
                text,
                _text(value, "valid_from"),
                _text(value, "valid_until"),
                ";".join(label for label in value.get("labels", ()) if isinstance(label, str)),
                _text(value, "confidence"),
                record.marking_line,
            )
            rows += 1
            digest.update(line)
            yield line
    yield f"#END rows={rows} sha256={digest.hexdigest()}\r\n".encode()


def _things(value: Object) -> list[tuple[str, str]]:
    """What to look for, with its type: `indicator`, `domain-name`, `file:hashes.MD5`."""
    kind = value["type"]
    if kind == "indicator":
        return [(kind, value["pattern"])]
    if kind not in schema.observables():
        return []
    found = facts(value)
    plain = len(found) == 1 and found[0].path in ("value", "path", "key", "number", "name")
    return [(kind if plain else f"{kind}:{fact.path}", fact.text) for fact in found]


def _text(value: Object, key: str) -> str:
    found = value.get(key, "")
    return str(found) if isinstance(found, str | int) else ""


def _line(*fields: str) -> bytes:
    return (",".join(f'"{_safe(field)}"' for field in fields) + "\r\n").encode()


def _safe(field: str) -> str:
    """The field as it stands between quotes."""
    if field.lstrip(" \u00a0\ufeff").startswith(_FORMULA):
        field = f"'{field}"
    return field.replace('"', '""')
