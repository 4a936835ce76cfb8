"""The OASIS JSON schemas of STIX 2.1 (vendored in schemas/), compiled when a type is first met; nothing is fetched.

Their regular expressions run on a linear-time engine, so that no object can stall the validator.
"""

from functools import cache
from importlib import resources

import jsonschema_rs

from entente.errors import FormatError
from entente.strict import parse_foreign

COUNT = 57
_COMMON_TYPES = ("extension-definition", "language-content", "marking-definition")
_SHOWN = 160  # characters of a schema's own message


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
    return found


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
        {"$ref": identifier}, registry=_registry(), offline=True, pattern_options=jsonschema_rs.RegexOptions()
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
    where = "/".join(map(str, first.instance_path))
    message = first.message if len(first.message) <= _SHOWN else f"{first.message[:_SHOWN]}..."
    return f"schema: {where}: {message}" if where else f"schema: {message}"
