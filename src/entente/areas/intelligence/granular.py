"""Granular markings: what a selector selects, which of them are wrong, and an object without what some of them select.

A selector is a path of property names, dictionary keys and list indices: `labels.[0]`, `hashes.SHA-256`.
Source: STIX 2.1, 7.2.3.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from entente.areas.intelligence import values

Object = dict[str, Any]
Path = tuple[str | int, ...]

KEPT = frozenset(  # without these an object is another object, or is marked or valid otherwise
    {
        "id", "type", "spec_version", "created", "modified", "revoked", "created_by_ref", "object_marking_refs",
        "granular_markings",
    }
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9_-]{1,250}").fullmatch
_INDEX = re.compile(r"\[(0|[1-9][0-9]{0,8})\]").fullmatch
_GONE = object()


class Cut(msgspec.Struct, frozen=True):
    """An object without what was selected, and how many properties and list items that was."""

    left: Object
    count: int


def fault(value: Object) -> str | None:
    """Why a granular marking of the object is wrong, in words that quote nothing of it; None if all are right."""
    for number, entry in enumerate(value["granular_markings"]):
        place = f"granular_markings/{number}"
        if ("lang" in entry) == ("marking_ref" in entry):
            return f"{place} has not one of lang and marking_ref"
        if "lang" in entry and not values.is_language(entry["lang"]):
            return f"{place}: lang is not a language code of RFC 5646"
        for at, selector in enumerate(entry["selectors"]):
            path = path_of(selector)
            if path is None:
                return f"{place}: selectors/{at} is not a selector"
            if not selects(value, path):
                return f"{place}: selectors/{at} selects nothing that is there"
    return None


def path_of(selector: str) -> Path | None:
    """The steps that a selector names; None if it is not one."""
    steps: list[str | int] = []
    for part in selector.split("."):
        index = _INDEX(part)
        if index is not None:
            steps.append(int(index[1]))
        elif _NAME(part):
            steps.append(part)
        else:
            return None
    return tuple(steps)


def selects(value: object, path: Path) -> bool:
    """Whether there is something at the end of the path."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return False
            value = value[step]
        else:
            if not isinstance(value, dict) or step not in value:
                return False
            value = value[step]
    return True


def refs(value: Object) -> frozenset[str]:
    """The marking definitions that granular markings of the object name."""
    found = value.get("granular_markings")
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    return frozenset(entry["marking_ref"] for entry in entries if isinstance(entry.get("marking_ref"), str))


def cut(value: Object, named: frozenset[str]) -> Cut | None:
    """The object without what granular markings with these refs select, and without those markings themselves.

    None if something of KEPT would go, or nothing would be left.
    """
    entries = value.get("granular_markings", [])
    bearing = [entry for entry in entries if entry.get("marking_ref") in named]
    paths = {path for entry in bearing for path in map(path_of, entry["selectors"]) if path is not None}
    if any(path[0] in KEPT for path in paths):
        return None
    others = [entry for entry in entries if entry.get("marking_ref") not in named]
    return without(value | {"granular_markings": others}, paths)


def without(value: Object, paths: Iterable[Path]) -> Cut | None:
    """The object without what stands at these paths, and without what that empties; None if nothing is left.

    Selectors of granular markings follow the list items that they name, and go with what they name.
    """
    tree, count = _tree(paths)
    places: dict[Path, int | None] = {}
    left = _pruned(value, tree, (), places)
    if not isinstance(left, dict):
        return None
    if "granular_markings" in left:
        entries = [entry | {"selectors": _moved(entry["selectors"], places)} for entry in left["granular_markings"]]
        left["granular_markings"] = [entry for entry in entries if entry["selectors"]]
        if not left["granular_markings"]:
            del left["granular_markings"]
    return Cut(left, count)


def _tree(paths: Iterable[Path]) -> tuple[dict[str | int, Any], int]:
    """The paths as a tree whose leaves are True, each path above others in their place; and how many are left."""
    tree: dict[str | int, Any] = {}
    count = 0
    for path in sorted(paths, key=len):
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, {})
            if node is True:
                break
        else:
            count += node.get(path[-1]) is not True
            node[path[-1]] = True
    return tree, count


def _pruned(item: Any, tree: dict[str | int, Any], at: Path, places: dict[Path, int | None]) -> Any:  # noqa: ANN401 - JSON has no type
    """The item without the leaves of the tree, or _GONE if nothing is left of it.

    `places` takes down, for each part that goes, None, and for each list item that stays in a changed list its new
    index.
    """
    pairs = item.items() if isinstance(item, dict) else enumerate(item)
    left: list[tuple[str | int, Any]] = []
    for step, inner in pairs:
        marked = tree.get(step)
        kept = inner if marked is None else _GONE
        if marked is not None and marked is not True:
            kept = _pruned(inner, marked, (*at, step), places)
        if kept is _GONE:
            places[*at, step] = None
        else:
            if isinstance(step, int):
                places[*at, step] = len(left)
            left.append((step, kept))
    if not left:
        return _GONE
    return dict(left) if isinstance(item, dict) else [kept for _, kept in left]


def _moved(selectors: list[str], places: dict[Path, int | None]) -> list[str]:
    """The selectors as they name the same things in what is left, without those of what went."""
    found = []
    for selector in selectors:
        path = path_of(selector) or ()
        moved = [places.get(path[:end], step) for end, step in enumerate(path, 1)]
        if None not in moved:
            found.append(".".join(f"[{step}]" if isinstance(step, int) else str(step) for step in moved))
    return found
