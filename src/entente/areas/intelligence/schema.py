"""The OASIS JSON schemas of STIX 2.1 (vendored in schemas/), compiled when a type is first met; nothing is fetched.

Their regular expressions run on a linear-time engine, so that no object can stall the validator. Where a schema refuses
what the standard allows, or does not say what it means, AMENDED puts it right in memory; the files stay OASIS's own.
What a fault says holds names of properties and words of the schemas, never a value of the object.
"""

from collections.abc import Iterator
from functools import cache
from importlib import resources

import jsonschema_rs

from entente.errors import FormatError
from entente.strict import parse_foreign

COUNT = 57
_COMMON_TYPES = ("extension-definition", "language-content", "marking-definition")
_SHOWN = 160  # characters of a schema's own message
_PLACE = 80

_ANY = {"type": "string"}
_OWN = ("allOf", 1, "properties")
_OWN_MARKING = ("oneOf", 0, "oneOf", 1, "properties")
AMENDED: tuple[tuple[str, tuple[str | int, ...], object], ...] = (
    # 7.2.3: `lang` stands in place of marking_ref; keys of dictionaries (SHA-256) are selected too; `granular` holds it
    ("granular-marking", ("required",), ["selectors"]),
    ("granular-marking", ("properties", "selectors", "items"), _ANY),
    # 7.2.1: any type of marking but these two may be one's own; the pattern stood open at both ends
    ("marking-definition", (*_OWN_MARKING, "definition_type", "not", "pattern"), "^(statement|tlp)$"),
    # 2.5: nothing keeps a CVE or CAPEC number from being cited after another source's name
    ("external-reference", ("oneOf", 2, "properties", "external_id"), _ANY),
    # 10.7: TLSH writes its version before the 35 bytes since 2020; an ssdeep hash may have 148 characters
    ("hashes-type", ("patternProperties", "^TLSH$", "pattern"), "^(T1)?[a-fA-F0-9]{70}$"),
    ("hashes-type", ("patternProperties", "^SSDEEP$", "pattern"), "^[a-zA-Z0-9/+:.]{1,148}$"),
    # 6.8 to 6.10: a defanged value is not in its own syntax, and \\d of an IPv6 pattern was lost; `rules` hold them
    ("ipv4-addr", (*_OWN, "value"), _ANY),
    ("ipv6-addr", (*_OWN, "value"), _ANY),
    ("mac-addr", (*_OWN, "value"), _ANY),
    # 6.6.1: a header that stands once is a list of one (the standard's own example also writes a string)
    ("email-message", ("definitions", "email-additional-header-fields"), {
        "allOf": [{"$ref": "../common/dictionary.json"}],
        "additionalProperties": {"anyOf": [_ANY, {"type": "array", "minItems": 1, "items": _ANY}]},
    }),
    # 6.13, 6.17: the property that makes such an object enough is called created_time, modified_time
    ("process", ("anyOf", 4, "required"), ["created_time"]),
    ("windows-registry-key", ("anyOf", 2, "required"), ["modified_time"]),
    # 6.17.1: the short name of a hive is refused in front, not anywhere in the key
    ("windows-registry-key", (*_OWN, "key", "not", "pattern"), r"^(?i:HKLM|HKCC|HKCR|HKCU|HKU)(\\|$)"),
    # 6.14.1: RFC 5646, not three letters alone; `rules` hold it
    ("software", (*_OWN, "languages", "items"), _ANY),
    # 2.9, 2.13: an object in the deprecated container may have any id or none; `rules` hold each to its type
    ("observed-data", (*_OWN, "objects"), {
        "type": "object", "minProperties": 1, "additionalProperties": {"type": "object", "required": ["type"]},
    }),
)  # fmt: skip


@cache
def _documents() -> dict[str, dict[str, dict[str, object]]]:
    """Folder to file stem to schema; FormatError unless all 57 are there."""
    root = resources.files(__package__) / "schemas"
    found: dict[str, dict[str, dict[str, object]]] = {
        folder.name: {
            file.name.removesuffix(".json"): parse_foreign(file.read_bytes(), place=file.name)
            for file in folder.iterdir()
            if file.name.endswith(".json")
        }
        for folder in root.iterdir()
        if folder.is_dir()
    }
    if sum(map(len, found.values())) != COUNT:
        raise FormatError(f"not the {COUNT} STIX schemas", place=str(root), remedy="Install entente again.")
    every = {name: document for folder in found.values() for name, document in folder.items()}
    for name, path, value in AMENDED:
        _put(every[name], path, value)
    return found


def _put(document: object, path: tuple[str | int, ...], value: object) -> None:
    """The value stands at this place of the document, where one stood before."""
    for step in path[:-1]:
        document = document[step]  # type: ignore[index]
    if not isinstance(document, dict) or path[-1] not in document:
        raise FormatError(f"no {path[-1]} to amend in a STIX schema", remedy="Install entente again.")
    document[path[-1]] = value


@cache
def observables() -> frozenset[str]:
    """The types of cyber observables, whose objects have no creation time and need no spec_version."""
    return frozenset(_documents()["observables"])


@cache
def _types() -> dict[str, dict[str, object]]:
    found = _documents()
    common = {name: found["common"][name] for name in _COMMON_TYPES}
    return found["sdos"] | found["sros"] | found["observables"] | common


@cache
def properties(kind: str) -> frozenset[str]:
    """The names of the properties that the standard defines for the type; for a type of one's own, the common ones."""
    names: set[str] = set()
    stack: list[object] = [_types().get(kind, _documents()["common"]["core"]), _documents()["common"]["core"]]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            defined = item.get("properties")
            if isinstance(defined, dict):
                names.update(defined)
            stack += [item.get("allOf"), item.get("oneOf"), item.get("anyOf")]
        elif isinstance(item, list):
            stack.extend(item)
    return frozenset(names)


@cache
def required(kind: str) -> frozenset[str]:
    """The names of the properties that the type adds to the common ones and demands; none for a type of one's own."""
    document = _types().get(kind, {})
    parts = [document, *_list(document.get("allOf"))]
    return frozenset(str(name) for part in parts if isinstance(part, dict) for name in _list(part.get("required")))


@cache
def times(kind: str) -> frozenset[str]:
    """The names of the type's own timestamp properties; the common ones for a type of one's own."""
    document = _types().get(kind, _documents()["common"]["core"])
    return frozenset(_times(document)) | frozenset(_times(_documents()["common"]["core"]))


@cache
def nested_times() -> frozenset[str]:
    """The names of timestamp properties anywhere inside the standard's objects and extensions."""
    return frozenset(name for document in _types().values() for name in _times(document, deep=True))


def _times(item: object, *, deep: bool = False) -> Iterator[str]:
    """The names of the properties that the schema refers to the type timestamp."""
    if isinstance(item, list):
        for entry in item:
            yield from _times(entry, deep=deep)
    elif isinstance(item, dict):
        defined = item.get("properties")
        for name, rule in defined.items() if isinstance(defined, dict) else ():
            if "timestamp.json" in str(rule):
                yield name
        for key, inner in item.items():
            if deep or key in ("allOf", "oneOf", "anyOf"):
                yield from _times(inner, deep=deep)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def is_standard(kind: str) -> bool:
    """Whether STIX 2.1 itself defines the type."""
    return kind in _types()


@cache
def _registry() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry(
        [(str(doc["$id"]), doc) for folder in _documents().values() for doc in folder.values()],
    )


@cache
def _validator(identifier: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {"$ref": identifier},
        registry=_registry(),
        offline=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        mask="this value",
    )


def fault(value: dict[str, object], kind: str, *, observable: bool) -> str | None:
    """Why the parsed object breaks the schema of its type, or None.

    Args:
        value: the object as parsed.
        kind: its type; one the standard does not define is held to the common properties alone.
        observable: for such a type, whether the common properties are those of an observable.
    """
    document = _types().get(kind) or _documents()["common"]["cyber-observable-core" if observable else "core"]
    validator = _validator(str(document["$id"]))
    if validator.is_valid(value):
        return None
    first = next(iter(validator.iter_errors(value)))
    where = "/".join(map(str, first.instance_path))[:_PLACE]
    message = first.message if len(first.message) <= _SHOWN else f"{first.message[:_SHOWN]}..."
    return f"schema: {where}: {message}" if where else f"schema: {message}"
