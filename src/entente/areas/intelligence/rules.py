"""The rules of STIX 2.1 for one object that its JSON schemas do not hold.

Not held here (honest limits of this first cut): the syntax of indicator patterns, open vocabularies, language codes,
selectors of granular markings, and references inside dictionaries whose keys are free (such as observed-data's
deprecated `objects`). The OASIS schema refuses a granular marking with `lang` alone, which the standard allows.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from entente.areas.intelligence import schema

IDENTIFIER = re.compile(
    r"[a-z][a-z0-9-]+[a-z0-9]--[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
).fullmatch
_MUST_NAME = {
    "created_by_ref": "identity",
    "object_marking_refs": "marking-definition",
    "marking_ref": "marking-definition",
}
_ORDERED = (  # earlier, later, whether they may be equal
    ("created", "modified", True),
    ("valid_from", "valid_until", False),
    ("first_seen", "last_seen", True),
    ("first_observed", "last_observed", True),
    ("start_time", "stop_time", False),
    ("start", "end", True),
)
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(?:\.\d+)?Z").fullmatch
_SECONDS = len("2026-01-01T00:00:00")
_SHORTEST_MONTH = 28

Object = dict[str, Any]


def fault(value: object) -> str | None:
    """Why a parsed JSON value is not a valid STIX 2.1 object, in words; None when it is one.

    Source: STIX 2.1 (OASIS Standard), 2.9 identifiers, 3.2 common properties, 3.6 versioning, 7.2 markings.
    """
    if not isinstance(value, dict):
        return "not a JSON object"
    kind, own = value.get("type"), value.get("id")
    if not isinstance(kind, str) or not isinstance(own, str):
        return "no `type` or no `id`"
    if kind == "bundle":
        return "a bundle inside a bundle"
    if not IDENTIFIER(own) or not own.startswith(f"{kind}--"):
        return f"id {own[:80]!r} is not {kind[:80]}--<UUID>"
    observable = _is_observable(value, kind)
    return (
        _spec_version_fault(value, observable=observable)
        or schema.fault(value, kind, observable=observable)
        or _time_fault(value)
        or _reference_fault(value, own)
    )


def is_timestamp(text: str) -> bool:
    """Whether it has the form of a STIX timestamp."""
    return _TIME(text) is not None


def instant(text: str) -> tuple[str, str]:
    """A STIX timestamp in a form that orders and equals by instant, exact to any number of digits."""
    return text[:_SECONDS], text[_SECONDS:-1].rstrip("0").rstrip(".")


def _is_observable(value: Object, kind: str) -> bool:
    """Whether the object is an observable: by its type, or, for a type of one's own, as it declares itself."""
    if schema.is_standard(kind):
        return kind in schema.observables()
    extensions = value.get("extensions")
    if isinstance(extensions, dict):
        declared = {item.get("extension_type") for item in extensions.values() if isinstance(item, dict)}
        if declared & {"new-sdo", "new-sro"}:
            return False
        if "new-sco" in declared:
            return True
    return "created" not in value and "modified" not in value


def _spec_version_fault(value: Object, *, observable: bool) -> str | None:
    version = value.get("spec_version")
    if version == "2.1" or (version is None and observable and "spec_version" not in value):
        return None
    if "spec_version" not in value:
        return "no spec_version: a STIX 2.0 object; convert it to 2.1 first"
    return f"spec_version {str(version)[:20]!r}, only 2.1 is taken; convert it first"


def _time_fault(value: Object) -> str | None:
    for earlier, later, may_equal in _ORDERED:
        first, last = value.get(earlier), value.get(later)
        for name, text in ((earlier, first), (later, last)):
            if isinstance(text, str) and not _on_calendar(text):
                return f"{name} {text[:40]!r} is no day of the calendar"
        if not isinstance(first, str) or not isinstance(last, str) or not _TIME(first) or not _TIME(last):
            continue
        if instant(last) < instant(first) or (not may_equal and instant(last) == instant(first)):
            return f"{later} {last} is not {'at or ' if may_equal else ''}after {earlier} {first}"
    return None


def _on_calendar(text: str) -> bool:
    """False for a timestamp of a day such as 30 February; what is no timestamp is the schema's affair."""
    match = _TIME(text)
    if match is None or int(match[3]) <= _SHORTEST_MONTH:
        return True
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    return True


def _reference_fault(value: Object, own: str) -> str | None:
    for part in _parts(value):
        for key, item in part.items():
            if key.endswith("_ref"):
                named = [item]
            elif key.endswith("_refs"):
                if not isinstance(item, list):
                    return f"{key} is not a list"
                named = item
            else:
                continue
            if item == "" and key.startswith("x_"):
                continue  # ATT&CK writes an unset reference of its own so
            for name in named:
                if not isinstance(name, str) or not IDENTIFIER(name):
                    return f"{key} holds {str(name)[:80]!r}, which is not an id"
                wanted = _MUST_NAME.get(key)
                if wanted and not name.startswith(f"{wanted}--"):
                    return f"{key} names {name}, which is not of type {wanted}"
                if wanted == "marking-definition" and name == own:
                    return f"{key} names the object itself"
    return None


def _parts(value: Object) -> Iterator[Object]:
    """The object, the objects in its lists, its extensions and the objects in their lists."""
    yield value
    extensions = value.get("extensions")
    wholes = [value, *extensions.values()] if isinstance(extensions, dict) else [value]
    for whole in wholes:
        if not isinstance(whole, dict):
            continue
        if whole is not value:
            yield whole
        for item in whole.values():
            if isinstance(item, list):
                for entry in item:
                    if isinstance(entry, dict):
                        yield entry
