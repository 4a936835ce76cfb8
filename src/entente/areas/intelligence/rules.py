"""The rules of STIX 2.1 for one object that its JSON schemas do not hold; docs/reference/intelligence.md lists them.

A reason names properties, types and rules. It never quotes a value: it is told to whoever sent the object, and told on.
"""

import re
from collections.abc import Callable, Collection, Iterator
from datetime import date
from functools import partial
from typing import Any

from entente.areas.intelligence import granular, patterns, schema, values

IDENTIFIER = re.compile(
    r"[a-z][a-z0-9-]+[a-z0-9]--[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
).fullmatch
LARGEST = 2**53  # RFC 7493; STIX calls it a signed 54-bit integer
_CONTAINED = "11111111-2222-4333-8444-555555555555"  # stands in for the id that a contained observable need not have
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

_EMAIL = frozenset({"email-addr"})
_HOSTS = frozenset({"ipv4-addr", "ipv6-addr", "mac-addr", "domain-name"})
_FILES = frozenset({"file", "directory"})
_BODY = frozenset({"file", "artifact"})
_MARKING = frozenset({"marking-definition"})
_COMMON = {"created_by_ref": frozenset({"identity"}), "object_marking_refs": _MARKING, "marking_ref": _MARKING}
_TARGETS: dict[str, dict[str, frozenset[str]]] = {  # type of object or name of extension → property → what it may name
    "directory": {"contains_refs": _FILES},
    "domain-name": {"resolves_to_refs": frozenset({"ipv4-addr", "ipv6-addr", "domain-name"})},
    "email-addr": {"belongs_to_ref": frozenset({"user-account"})},
    "email-message": {
        **dict.fromkeys(("from_ref", "sender_ref", "to_refs", "cc_refs", "bcc_refs"), _EMAIL),
        "raw_email_ref": frozenset({"artifact"}),
        "body_raw_ref": _BODY,
    },
    "file": {"parent_directory_ref": frozenset({"directory"}), "content_ref": frozenset({"artifact"})},
    "archive-ext": {"contains_refs": _FILES},
    "ipv4-addr": {
        "resolves_to_refs": frozenset({"mac-addr"}),
        "belongs_to_refs": frozenset({"autonomous-system"}),
    },
    "malware": {"sample_refs": _BODY},
    "network-traffic": {
        **dict.fromkeys(("src_ref", "dst_ref"), _HOSTS),
        **dict.fromkeys(("src_payload_ref", "dst_payload_ref"), frozenset({"artifact"})),
        **dict.fromkeys(("encapsulates_refs", "encapsulated_by_ref"), frozenset({"network-traffic"})),
    },
    "http-request-ext": {"message_body_data_ref": frozenset({"artifact"})},
    "process": {
        "opened_connection_refs": frozenset({"network-traffic"}),
        "creator_user_ref": frozenset({"user-account"}),
        "image_ref": frozenset({"file"}),
        **dict.fromkeys(("parent_ref", "child_refs"), frozenset({"process"})),
    },
    "windows-service-ext": {"service_dll_refs": frozenset({"file"})},
    "windows-registry-key": {"creator_user_ref": frozenset({"user-account"})},
}
_TARGETS["ipv6-addr"] = _TARGETS["ipv4-addr"]
_NOTHING: dict[str, frozenset[str]] = {}

Object = dict[str, Any]


def fault(value: object) -> str | None:
    """Why a parsed JSON value is not a valid STIX 2.1 object, in words; None when it is one.

    Source: STIX 2.1 (OASIS Standard, with errata 01), clause by clause in docs/reference/intelligence.md.
    """
    if not isinstance(value, dict):
        return "not a JSON object"
    kind, own = value.get("type"), value.get("id")
    if not isinstance(kind, str) or not isinstance(own, str):
        return "no `type` or no `id`"
    if kind == "bundle":
        return "a bundle inside a bundle"
    if not IDENTIFIER(own) or not own.startswith(f"{kind}--"):
        return "the id is not <its type>--<UUID>"
    observable = _is_observable(value, kind)
    return (
        _spec_version_fault(value, observable=observable)
        or schema.fault(value, kind, observable=observable)
        or _common_fault(value, kind, observable=observable)
        or _time_fault(value, kind)
        or _reference_fault(value, kind, own)
        or _own_fault(value, kind)
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
    return "spec_version is not '2.1'; convert the object first"


def _common_fault(value: Object, kind: str, *, observable: bool) -> str | None:
    """3.2: what holds of the common properties of any object."""
    if "defanged" in value and not observable:
        return "defanged is for observables only"
    if not observable and "lang" in value and not values.is_language(value["lang"]):
        return "lang is not a language code of RFC 5646"
    if kind == "marking-definition":
        modified = value.get("modified", value["created"])
        if value.get("revoked") or not isinstance(modified, str) or instant(modified) != instant(value["created"]):
            return "a marking-definition has no versions: it is neither modified nor revoked"
    return granular.fault(value) if "granular_markings" in value else None


def _time_fault(value: Object, kind: str) -> str | None:
    for name in schema.times(kind) & value.keys():
        if not _on_calendar(value[name]):
            return f"{name} is no day of the calendar"
    for earlier, later, may_equal in _ORDERED:
        first, last = value.get(earlier), value.get(later)
        if not isinstance(first, str) or not isinstance(last, str) or not _TIME(first) or not _TIME(last):
            continue
        if instant(last) < instant(first) or (not may_equal and instant(last) == instant(first)):
            return f"{later} is not {'at or ' if may_equal else ''}after {earlier}"
    return None


def _on_calendar(text: object) -> bool:
    """False for a timestamp of a day such as 30 February; what is no timestamp is the schema's affair."""
    match = _TIME(text) if isinstance(text, str) else None
    if match is None or int(match[3]) <= _SHORTEST_MONTH:
        return True
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    return True


def _reference_fault(value: Object, kind: str, own: str) -> str | None:
    """References, whole numbers and lists, in every part of the object where names of properties have a meaning."""
    for place, part in _parts(value, kind):
        targets = _TARGETS.get(place, _NOTHING)
        for key, item in part.items():
            if isinstance(item, int) and not -LARGEST < item < LARGEST:
                return f"{_name(key)} is a number beyond 2^53"
            if place and (item is None or item == []):
                return f"{_name(key)} is {'null' if item is None else 'an empty list'}"
            if key.endswith(("_ref", "_refs")):
                found = _named_fault(key, item, targets.get(key) or _COMMON.get(key), own)
                if found:
                    return found
            elif part is not value and key in schema.nested_times() and not _on_calendar(item):
                return f"{key} is no day of the calendar"
    return None


def _named_fault(key: str, item: object, wanted: frozenset[str] | None, own: str) -> str | None:
    """Why a property that holds references does not hold what it must."""
    named: Any = item
    if key.endswith("_ref"):
        named = [item]
    elif not isinstance(item, list):
        return f"{_name(key)} is not a list"
    if item == "" and key.startswith("x_"):
        return None  # ATT&CK writes an unset reference of its own so
    for name in named:
        if not isinstance(name, str) or not IDENTIFIER(name):
            return f"{_name(key)} holds something that is not an id"
        if wanted and type_of(name) not in wanted:
            return f"{key} names something that is not of type {' or '.join(sorted(wanted))}"
        if name == own and wanted == _MARKING:
            return f"{key} names the object itself"
    return None


def type_of(name: str) -> str:
    """The type in an id."""
    return name.partition("--")[0]


def _name(key: str) -> str:
    """A property's name as a reason may show it."""
    return key if len(key) <= 60 else f"{key[:57]}..."


def _parts(value: Object, kind: str) -> Iterator[tuple[str, Object]]:
    """The object, the objects in its lists, its extensions and the objects in their lists, each with what it is of.

    That is the type or the extension that defines it, "" for a part that STIX does not define.
    """
    yield kind, value
    defined = schema.properties(kind)
    yield from _entries(kind, value, defined)
    x509 = value.get("x509_v3_extensions")
    if isinstance(x509, dict):
        yield kind, x509
    extensions = value.get("extensions")
    for name, item in extensions.items() if isinstance(extensions, dict) else ():
        if isinstance(item, dict):
            place = name if name.endswith("-ext") else ""
            yield place, item
            yield from _entries(place, item, item.keys())


def _entries(place: str, whole: Object, defined: Collection[str]) -> Iterator[tuple[str, Object]]:
    """The objects in the lists of one part."""
    for key, item in whole.items():
        if isinstance(item, list):
            for entry in item:
                if isinstance(entry, dict):
                    yield place if key in defined else "", entry


# What holds of single types


def _own_fault(value: Object, kind: str) -> str | None:
    check = _OF_TYPE.get(kind)
    return check(value) if check is not None else None


def _indicator_fault(value: Object) -> str | None:
    return patterns.fault(value["pattern"]) if value["pattern_type"] == "stix" else None


def _observed_fault(value: Object) -> str | None:
    """4.14: at least one observable; 2.13: each object of the deprecated container valid, naming its neighbours."""
    refs = value.get("object_refs")
    if refs is not None and all(
        schema.is_standard(kind) and kind not in schema.observables() for kind in map(type_of, refs)
    ):
        return "object_refs names no observable"
    contained = value.get("objects")
    if contained is None:
        return None
    ids: dict[str, str] = {}
    for key, item in contained.items():
        kind = item["type"]
        if not isinstance(kind, str) or (schema.is_standard(kind) and kind not in schema.observables()):
            return f"objects/{_name(key)} is not an observable"
        ids[key] = kind
        if isinstance(item.get("id"), str):
            ids[item["id"]] = kind
    for key, item in contained.items():
        found = _contained_fault(item, ids)
        if found:
            return f"objects/{_name(key)}: {found}"
    return None


def _contained_fault(item: Object, ids: dict[str, str]) -> str | None:
    kind = item["type"]
    if item.get("spec_version", "2.1") not in ("2.0", "2.1"):
        return "spec_version is not '2.1'"
    found = schema.fault(item | {"id": f"{kind}--{_CONTAINED}"}, kind, observable=True) or _time_fault(item, kind)
    if found:
        return found
    for place, part in _parts(item, kind):
        targets = _TARGETS.get(place, _NOTHING)
        for key, refs in part.items():
            if not key.endswith(("_ref", "_refs")) or key in _COMMON:
                continue
            for name in refs if isinstance(refs, list) else [refs]:
                if not isinstance(name, str) or name not in ids:
                    return f"{_name(key)} names nothing in the same container"
                wanted = targets.get(key)
                if wanted and ids[name] not in wanted:
                    return f"{key} names something that is not of type {' or '.join(sorted(wanted))}"
    return values.fault(kind, item)


def _sighting_fault(value: Object) -> str | None:
    kind = type_of(value["sighting_of_ref"])
    if kind in schema.observables() or kind == "extension-definition":
        return "sighting_of_ref names something that is not a domain object"
    return None


def _relationship_fault(value: Object) -> str | None:
    for key in ("source_ref", "target_ref"):
        if type_of(value[key]) == "extension-definition":
            return f"{key} names something that is neither a domain object nor an observable"
    return None


def _language_fault(value: Object) -> str | None:
    """7.1: language codes as keys, under each the translated properties."""
    for code, content in value["contents"].items():
        if not values.is_language(code):
            return "a key of contents is not a language code of RFC 5646"
        if not isinstance(content, dict) or not content:
            return "an entry of contents translates no property"
        if any(item is None or item in ([], {}) for item in content.values()):
            return "an entry of contents holds an empty translation"
    return None


def _extension_fault(value: Object) -> str | None:
    """7.3.1: who made the extension, and how the properties that it adds are called."""
    if "created_by_ref" not in value:
        return "an extension-definition has no created_by_ref"
    if not all(map(values.is_property_name, value.get("extension_properties", ()))):
        return "extension_properties holds something that is not the name of a property"
    return None


def _software_fault(value: Object) -> str | None:
    if all(map(values.is_language, value.get("languages", ()))):
        return None
    return "languages holds something that is not a language code of RFC 5646"


def _file_fault(value: Object) -> str | None:
    return "name_enc without name" if "name_enc" in value and "name" not in value else None


_OF_TYPE: dict[str, Callable[[Object], str | None]] = {
    "indicator": _indicator_fault,
    "observed-data": _observed_fault,
    "sighting": _sighting_fault,
    "relationship": _relationship_fault,
    "language-content": _language_fault,
    "extension-definition": _extension_fault,
    "software": _software_fault,
    "file": _file_fault,
    **{kind: partial(values.fault, kind) for kind in values.CHECKED},
}
