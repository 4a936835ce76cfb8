"""Redaction takes out what some granular markings select and nothing else, and leaves a valid object or none."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix_objects import as_bytes, identifier, indicator, record_of
from stix_types import DOMAIN, OBSERVABLE, made

from entente.areas.intelligence import AREA, granular, redact, stix

OUT, IN = identifier("marking-definition", 1), identifier("marking-definition", 2)
OUTS = frozenset({OUT})


def marks(*selectors: str, ref: str = OUT) -> dict[str, Any]:
    """One granular marking."""
    return {"selectors": list(selectors), "marking_ref": ref}


def redacted(value: dict[str, Any], refs: frozenset[str] = OUTS) -> tuple[dict[str, Any], int] | None:
    """The object without what these refs select, parsed, and how many parts that was."""
    found = redact.redact(as_bytes(value), refs)
    return (json.loads(found.data), found.properties) if found is not None else None


FULL = indicator(
    name="n",
    description="d",
    labels=["a", "b", "c", "d"],
    external_references=[
        {"source_name": "s", "description": "d", "url": "u"},
        {"source_name": "t", "external_id": "1"},
    ],
    x_deep={"one": {"two": [{"three": 3}, 4]}},
)


@pytest.mark.parametrize(
    ("selectors", "gone", "count"),
    [
        (["name"], {"name": None}, 1),
        (["labels"], {"labels": None}, 1),
        (["labels", "labels.[1]"], {"labels": None}, 1),
        (["labels.[0]", "labels.[2]", "labels.[0]"], {"labels": ["b", "d"]}, 2),
        (["labels.[0]", "labels.[1]", "labels.[2]", "labels.[3]"], {"labels": None}, 4),
        (["external_references.[0]"], {"external_references": FULL["external_references"][1:]}, 1),
        (
            ["external_references.[0].url"],
            {
                "external_references": [
                    {"source_name": "s", "description": "d"},
                    FULL["external_references"][1],
                ]
            },
            1,
        ),
        (["x_deep.one.two.[0].three"], {"x_deep": {"one": {"two": [4]}}}, 1),
        (["x_deep.one.two.[0]", "x_deep.one.two.[1]"], {"x_deep": None}, 2),
        (["x_deep.one", "name", "description"], {"x_deep": None, "name": None, "description": None}, 3),
    ],
)
def test_what_is_selected_goes_with_what_it_empties(selectors: list[str], gone: dict[str, Any], count: int) -> None:
    left = {key: item for key, item in (FULL | gone).items() if item is not None}
    assert redacted(FULL | {"granular_markings": [marks(*selectors)]}) == (left, count)


def test_selectors_of_other_markings_follow_what_they_name() -> None:
    other = [
        marks("labels.[0]", "labels.[3]", "x_deep.one.two.[1]", ref=IN),
        {"selectors": ["labels.[1]", "description"], "lang": "de"},
        marks("name", ref=IN),
    ]
    out = marks("labels.[1]", "name", "x_deep.one.two.[0]")
    found = redacted(FULL | {"granular_markings": [other[0], out, *other[1:]]})
    assert found is not None
    assert found[0]["granular_markings"] == [
        marks("labels.[0]", "labels.[2]", "x_deep.one.two.[0]", ref=IN),
        {"selectors": ["description"], "lang": "de"},
    ]
    assert found[0]["labels"] == ["a", "c", "d"]


@pytest.mark.parametrize("key", sorted(granular.KEPT))
def test_what_identifies_or_marks_an_object_never_goes(key: str) -> None:
    whole = FULL | {
        "created_by_ref": identifier("identity"), "object_marking_refs": [IN], "revoked": True,
        "granular_markings": [marks(key), marks("name")],
    }  # fmt: skip
    assert stix.check(as_bytes(whole)) is None
    assert redacted(whole) is None


@pytest.mark.parametrize("key", ["pattern", "pattern_type", "valid_from", "external_references.[1].external_id"])
def test_an_object_that_would_not_be_valid_is_not_made(key: str) -> None:
    assert redacted(FULL | {"granular_markings": [marks(key)]}) is None


def test_what_is_no_object_is_not_redacted() -> None:
    for data in (b"", b"[]", b"{}", as_bytes(FULL)[:-1], as_bytes(FULL | {"confidence": 101})):
        assert redact.redact(data, OUTS) is None


def test_keys_of_dictionaries_are_selected_in_any_case() -> None:
    hashes = {"MD5": "0" * 32, "SHA-256": "0" * 64}
    whole = made("file", {"hashes": hashes, "granular_markings": [marks("hashes.SHA-256")]})
    assert redacted(whole) == (made("file", {"hashes": {"MD5": "0" * 32}}), 1)
    assert redacted(made("file", {"hashes": hashes, "granular_markings": [marks("hashes")]})) is None


def test_the_record_says_which_markings_only_parts_bear() -> None:
    whole = FULL | {"object_marking_refs": [IN], "granular_markings": [marks("name"), marks("labels", ref=IN)]}
    record = record_of(as_bytes(whole))
    assert (record.markings, record.granular) == ((OUT, IN), (OUT,))
    assert AREA.redact is not None
    left = AREA.redact(record.data, frozenset(record.granular))
    assert left is not None
    assert (record_of(left.data).markings, record_of(left.data).granular) == ((IN,), ())
    assert (record_of(left.data).id, record_of(left.data).order) == (record.id, record.order)


def test_no_prose_takes_selectors_along() -> None:
    whole = FULL | {
        "granular_markings": [marks("description", "external_references.[1]"), marks("description", ref=IN)]
    }
    data = redact.strip_prose(as_bytes(whole))
    assert data is not None
    assert json.loads(data)["granular_markings"] == [marks("external_references.[0]")]
    assert json.loads(data)["external_references"] == FULL["external_references"][1:]


def paths(item: object, at: str = "") -> list[str]:
    """Every selector there is for the object."""
    found = [at] if at else []
    pairs = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    for key, inner in pairs:
        step = f"[{key}]" if isinstance(key, int) else key
        if granular.path_of(step) is not None and step not in granular.KEPT:
            found += paths(inner, f"{at}.{step}" if at else step)
    return found


WHOLES = [made(kind, fields) for kind, fields in (DOMAIN | OBSERVABLE).items()]


def leaves(item: object) -> list[str]:
    """The texts and numbers in it."""
    if isinstance(item, dict):
        return [text for inner in item.values() for text in leaves(inner)]
    return [text for inner in item for text in leaves(inner)] if isinstance(item, list) else [repr(item)]


def unique(item: Any, number: list[int]) -> Any:
    """The same with each free text made unlike any other, so that a leaf tells where it comes from."""
    if isinstance(item, dict):
        return {key: unique(inner, number) for key, inner in item.items()}
    if isinstance(item, list):
        return [unique(inner, number) for inner in item]
    number[0] += 1
    return f"{item}{number[0]}" if isinstance(item, str) and len(item) == 1 else item


@settings(deadline=None, max_examples=300)  # the first example compiles schemas
@given(st.data())
def test_nothing_selected_is_left_and_nothing_else_goes(data: st.DataObject) -> None:
    whole = unique(data.draw(st.just(FULL) | st.sampled_from(WHOLES)), [0])
    choices = st.lists(st.sampled_from(paths(whole)), min_size=1, max_size=3, unique=True)
    out, kept = data.draw(choices), data.draw(choices)
    whole["granular_markings"] = [marks(*kept, ref=IN), marks(*out)]
    before = as_bytes(whole)
    assert stix.check(before) is None
    found = redact.redact(before, OUTS)
    if found is None:
        return
    assert stix.check(found.data) is None
    assert redact.redact(found.data, OUTS) is not None
    again = redact.redact(found.data, OUTS)
    assert again is not None
    assert (again.data, again.properties) == (found.data, 0)
    after = json.loads(found.data)
    assert OUT not in record_of(found.data).markings
    left = [text for key, item in after.items() if key != "granular_markings" for text in leaves(item)]
    selected = [text for path in tops(out) for text in leaves(at(whole, path))]
    every = [text for key, item in whole.items() if key != "granular_markings" for text in leaves(item)]
    assert sorted([*left, *selected]) == sorted(every)
    for entry in after.get("granular_markings", []):
        for selector in entry["selectors"]:
            assert leaves(at(after, selector))
    names = {
        text
        for entry in after.get("granular_markings", [])
        for s in entry["selectors"]
        for text in leaves(at(after, s))
    }
    assert names <= {text for path in kept for text in leaves(at(whole, path))}


def tops(selectors: list[str]) -> list[str]:
    """Those that are not below another one."""
    return [one for one in selectors if not any(one.startswith(f"{other}.") for other in selectors)]


def at(value: Any, selector: str) -> Any:
    """What the selector selects."""
    for step in granular.path_of(selector) or ():
        value = value[step]
    return value


@settings(deadline=None)  # the first example compiles schemas
@given(st.integers(1, 6), st.data())
def test_a_selected_item_is_selected_wherever_it_comes_to_stand(count: int, data: st.DataObject) -> None:
    chosen = st.sets(st.integers(0, count - 1), min_size=1)
    out, kept = data.draw(chosen), data.draw(chosen)
    labels = [f"label {number}" for number in range(count)]
    entries = [marks(*(f"labels.[{n}]" for n in sorted(some)), ref=ref) for some, ref in ((out, OUT), (kept, IN))]
    found = redacted(indicator(labels=labels, granular_markings=entries))
    assert found is not None
    after = found[0]
    assert after.get("labels", []) == [labels[n] for n in range(count) if n not in out]
    chosen_after = [at(after, s) for entry in after.get("granular_markings", []) for s in entry["selectors"]]
    assert chosen_after == [labels[n] for n in sorted(kept - out)]
