"""no-prose leaves no running text and a valid object; mentions of what is withheld are found exactly."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix_objects import as_bytes, attack, bundle_of, identifier, indicator, record_of

from entente.areas.intelligence import AREA, redact, stix
from entente.errors import UsageError
from entente.treaty.record import Record, whole

EXT = identifier("extension-definition")
GROUP = Record(data=b"", media="", id="g", type="intrusion-set", prose=("https://example.org/groups/G0010",))


def stripped(value: dict[str, Any]) -> dict[str, Any] | None:
    """The object after no-prose, parsed; stripping twice must change nothing."""
    once = redact.strip_prose(as_bytes(value))
    if once is None:
        return None
    assert redact.strip_prose(once) == once
    found: dict[str, Any] = json.loads(once)
    return found


def withheld(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """What the groups take with them, and what crosses."""
    groups = {record.id for record in records if record.type == "intrusion-set"}
    gone = [
        record
        for record in records
        if record.type in ("intrusion-set", "x-mitre-collection")
        or (record.type == "relationship" and not groups.isdisjoint(record.names))
    ]
    ids = {record.id for record in gone}
    return gone, [record for record in records if record.id not in ids]


@pytest.mark.parametrize(("name", "crossing", "mentioning"), [("ics", 1766, 54), ("enterprise", 19087, 881)])
def test_attack_prose_mentions_withheld_groups(name: str, crossing: int, mentioning: int) -> None:
    gone, rest = withheld(attack(name))
    needles = AREA.mention_pattern(gone)
    assert needles is not None
    assert len(rest) == crossing
    assert sum(needles.search(whole(record.data)) is not None for record in rest) == mentioning
    assert sum(redact.mentions(whole(record.data), needles) for record in rest) == mentioning


def test_attack_without_prose_is_valid_and_mentions_nobody() -> None:
    gone, rest = withheld(attack("ics"))
    needles = redact.mention_pattern(gone)
    bare = [redact.view("no-prose", record.data) for record in rest]
    for record, data in zip(rest, bare, strict=True):
        assert data is not None
        assert b'"description":' not in data
        assert stix.check(data) is None
        assert not redact.mentions(data, needles)
        after = record_of(data)
        assert (after.id, after.version, after.markings, after.author) == (
            record.id,
            record.version,
            record.markings,
            record.author,
        )
    assert stix.split(bundle_of(*filter(None, bare)), place="bare")[1] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://example.org/groups/G0010", True),
        ("(https://example.org/groups/G0010)", True),
        ("https://example.org/groups/G0010/", True),
        ("https://example.org/groups/G0010.", True),
        ("https://example.org/groups/G0010.\u00e9", True),
        ("https://example.org/groups/G00101", False),
        ("https://example.org/groups/G0010-2", False),
        ("https://example.org/groups/G0010_a", False),
        ("https://example.org/groups/G001", False),
        ("https://exampleXorg/groups/G0010", False),
    ],
)
@pytest.mark.parametrize("spelling", ["plain", "slashes", "marks", "all"])
def test_mention_is_exact_however_it_is_spelt(text: str, found: bool, spelling: str) -> None:
    plain = as_bytes(indicator(description=f"see {text}"))
    data = {
        "plain": plain,
        "slashes": plain.replace(b"/", b"\\/"),
        "marks": plain.replace(b"/", b"\\u002F").replace(b".", b"\\u002e"),
        "all": plain.replace(b"G", b"\\u0047"),
    }[spelling]
    assert json.loads(data) == json.loads(plain)
    needles = redact.mention_pattern([GROUP])
    assert isinstance(needles, re.Pattern)
    assert redact.mentions(data, needles) is found
    if spelling != "all":
        assert (needles.search(data) is not None) is found


def test_addresses_beyond_ascii_are_found_in_both_spellings() -> None:
    address = "https://example.org/समूह/\U0001f426-1"
    needles = redact.mention_pattern([Record(data=b"", media="", id="g", type="x", prose=(address, "urn:x:7"))])
    assert needles is not None
    for text in (address, "urn:x:7"):
        assert needles.search(json.dumps(text).encode())
        assert needles.search(json.dumps(text, ensure_ascii=False).encode())
        assert needles.search(json.dumps(text).upper().replace("\\U", "\\u").encode()) is None


def test_records_without_addresses_are_never_mentioned() -> None:
    assert redact.mention_pattern([]) is None
    assert redact.mention_pattern([Record(data=b"", media="", id="g", type="x", prose=("/", ""))]) is None
    assert not redact.mentions(b"anything", None)


def test_full_view_is_the_bytes_and_an_unknown_view_is_refused() -> None:
    odd = b' { "a" : 1 } '
    assert redact.view("full", odd) == odd
    with pytest.raises(UsageError, match="no-prose"):
        redact.view("half", odd)


def test_prose_goes_and_data_stays() -> None:
    long = "seven words make this string running text"
    before = indicator(
        name="Beacon of the tool",
        description="x",
        labels=[long],
        x_text=long,
        x_label="six words are still a label",
        x_lines=["a\nb", "https://example.org", "kept"],
        x_deep={"note": {"description": "x"}, "n": 1.5},
        extensions={EXT: {"extension_type": "property-extension", "text": long, "abstract": "x"}},
        external_references=[
            {"source_name": "footnote", "description": "x", "url": "https://example.org/f"},
            {"source_name": "entry", "description": "x", "external_id": "E-1", "url": "https://example.org/e"},
        ],
    )
    assert stripped(before) == indicator(
        labels=[long],
        x_label="six words are still a label",
        x_lines=["kept"],
        x_deep={"n": 1.5},
        extensions={EXT: {"extension_type": "property-extension"}},
        external_references=[{"source_name": "entry", "external_id": "E-1", "url": "https://example.org/e"}],
    )


COMMON = {key: indicator()[key] for key in ("spec_version", "created", "modified")}


@pytest.mark.parametrize(
    ("kind", "fields", "left"),
    [
        (
            "report",
            {"name": "A headline", "published": COMMON["created"], "object_refs": [identifier("malware")]},
            {"name": "", "published": COMMON["created"], "object_refs": [identifier("malware")]},
        ),
        (
            "note",
            {"abstract": "x", "content": "x", "object_refs": [identifier("malware")]},
            {"content": "", "object_refs": [identifier("malware")]},
        ),
        (
            "opinion",
            {"explanation": "x", "opinion": "agree", "object_refs": [identifier("malware")]},
            {"opinion": "agree", "object_refs": [identifier("malware")]},
        ),
        ("campaign", {"name": "C", "objective": "x"}, {"name": "C"}),
        ("intrusion-set", {"name": "C", "goals": ["x"], "aliases": ["y"]}, {"name": "C", "aliases": ["y"]}),
        ("x-thing", {"name": "one two three four five six seven", "value": "short"}, {"value": "short"}),
        (
            "language-content",
            {"object_ref": identifier("malware"), "contents": {"ko": {"name": "n", "description": "x"}}},
            {"object_ref": identifier("malware"), "contents": {"ko": {"name": "n"}}},
        ),
    ],
)
def test_required_text_stays_empty(kind: str, fields: dict[str, Any], left: dict[str, Any]) -> None:
    base = {"type": kind, "id": identifier(kind)} | COMMON
    assert stix.check(as_bytes(base | fields)) is None
    assert stripped(base | fields) == base | left


def test_object_that_is_nothing_but_prose_is_refused() -> None:
    contents = {"ko": {"description": "x"}}
    whole = {"type": "language-content", "id": identifier("language-content"), "object_ref": identifier("malware")}
    assert stripped(whole | COMMON | {"contents": contents}) is None
    assert redact.strip_prose(b"[]") is None
    assert redact.strip_prose(as_bytes(indicator()) + b"x") is None


def test_the_words_of_a_marking_are_not_prose() -> None:
    words = {"statement": "Release only to those who have signed the agreement. See https://example.org"}
    whole: dict[str, Any] = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": identifier("marking-definition"),
    }
    whole |= {"created": COMMON["created"], "definition_type": "statement", "definition": words}
    assert stripped(whole) == whole


VALUES = st.recursive(
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30) | st.just("description"),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(st.sampled_from(["description", "note"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None)  # the first example compiles schemas
@given(st.dictionaries(st.sampled_from(["description", "x_a", "x_b", "name", "labels"]), VALUES, max_size=4))
def test_no_prose_is_valid_without_descriptions_and_stable(changes: dict[str, Any]) -> None:
    after = stripped(indicator(**changes))
    if after is None:
        return
    assert stix.check(as_bytes(after)) is None
    stack: list[Any] = [after]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            assert "description" not in item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
