"""A bundle becomes records with the received bytes; nothing it may hold does more than quarantine one object."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix_objects import as_bytes, attack, bundle_of, identifier, indicator, record_of, shared

from entente.areas.intelligence import AREA, stix
from entente.errors import FormatError
from entente.treaty.record import Record, whole

GOOD = as_bytes(indicator())
OTHER = as_bytes(indicator(2))
WHEN = "2026-01-02T03:04:05.1948Z"


def with_value(raw: bytes) -> bytes:
    """An otherwise good indicator with these bytes as the value of x_odd."""
    return OTHER[:-1] + b',"x_odd":' + raw + b"}"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("ics-attack-18.1.stix21.json", 1826),
        ("enterprise-attack-18.1.stix21.json", 24771),
        ("indicators/amnesty-cytrox.stix2.json", 687),
        ("indicators/amnesty-malware.stix2.json", 4375),
        ("indicators/amnesty-novispy.stix2.json", 37),
        ("indicators/amnesty-pegasus.stix2.json", 3099),
        ("indicators/amnesty-wintego_helios.stix2.json", 352),
    ],
)
def test_real_files_are_valid_whole(name: str, count: int) -> None:
    data = shared(name)
    records, rejected = stix.split(data, place=name)
    assert (len(records), rejected) == (count, [])
    at = 0
    for record in records:  # each slice stands in the file, in order, and what lies between holds nothing
        start = data.index(whole(record.data), at)
        assert at == 0 or data[at:start].strip() == b","
        at = start + len(whole(record.data))
    assert b"".join(data[at:].split()) == b"]}"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a":1,"a":1}', "'a' stands twice"),
        (b'{"a":1,"\\u0061":2}', "'a' stands twice"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "Infinity"),
        (b"1e400", "beyond a double"),
        (b"-1e400", "beyond a double"),
        (b"9" * 41, "41 digits"),
        (b"[" * 64 + b"]" * 64, "levels of nesting"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"\\udc00":1}', "lone surrogate"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xff"', "not UTF-8"),
        (b'"\\u0000"', "U+0000"),
        (b'"\x00"', "NUL"),
        (b'"\x07"', "not JSON"),
    ],
)
def test_strict_trap_rejects_its_object_alone(raw: bytes, reason: str) -> None:
    bad = with_value(raw)
    records, rejected = stix.split(bundle_of(GOOD, bad, as_bytes(indicator(3))), place="f")
    assert [record.id for record in records] == [identifier("indicator", 1), identifier("indicator", 3)]
    assert [one.data for one in rejected] == [bad]
    assert reason in rejected[0].reason
    assert stix.check(bad) == rejected[0].reason


def test_same_bytes_twice_are_one_record() -> None:
    records, rejected = stix.split(bundle_of(GOOD, OTHER, GOOD), place="f")
    assert ([record.data for record in records], rejected) == ([GOOD, OTHER], [])


def test_same_version_with_other_bytes_is_rejected_with_both_hashes() -> None:
    twin = as_bytes(indicator(modified="2026-01-02T03:04:05.0Z", description="other"))
    twin = twin.replace(b'05.0Z"', b'05.0000Z"')
    records, rejected = stix.split(bundle_of(GOOD, twin), place="f")
    assert [record.data for record in records] == [GOOD]
    assert records[0].sha256 in rejected[0].reason
    assert record_of(twin).sha256 in rejected[0].reason


def test_later_version_stands_beside_the_earlier() -> None:
    later = as_bytes(indicator(modified="2026-02-02T00:00:00.000Z"))
    records, rejected = stix.split(bundle_of(later, GOOD), place="f")
    assert ([record.version for record in records], rejected) == (
        ["2026-02-02T00:00:00.000Z", "2026-01-02T03:04:05.000Z"],
        [],
    )


def test_record_says_what_the_core_screens() -> None:
    extension = identifier("extension-definition")
    marks = [identifier("marking-definition", n) for n in (7, 5, 7)]
    whole = indicator(
        name="A \u202e\tname\nof two lines",
        created_by_ref=identifier("identity"),
        object_marking_refs=marks[:2],
        granular_markings=[{"selectors": ["name"], "marking_ref": identifier("marking-definition", 6)}],
        extensions={extension: {"extension_type": "property-extension", "deep": [{identifier("malware"): 1}]}},
        x_self_ref=indicator()["id"],
        x_note="it was said -- by nobody -- that a--b",
        external_references=[
            {"source_name": "a", "external_id": "1", "url": "https://example.org/1"},
            {"source_name": "b", "url": "https://example.org/2"},
            {"source_name": "c", "external_id": "3"},
        ],
    )
    data = as_bytes(whole).replace(b"malware--", b"malware\\u002d-")
    record = record_of(data)
    assert record == Record(
        data=data,
        media="application/stix+json;version=2.1",
        id=whole["id"],
        type="indicator",
        version=whole["modified"],
        title="A name of two lines",
        names=tuple(
            sorted({*marks, *map(identifier, ("identity", "malware")), extension, identifier("marking-definition", 6)})
        ),
        markings=tuple(identifier("marking-definition", n) for n in (5, 6, 7)),
        author=identifier("identity"),
        prose=("https://example.org/1",),
        order="2026-01-02T03:04:05",
        granular=(identifier("marking-definition", 6),),
    )
    assert stix.split(bundle_of(data), place="f") == ([record], [])


@pytest.mark.parametrize(
    ("value", "title", "version"),
    [
        ({"type": "ipv4-addr", "id": identifier("ipv4-addr"), "value": "203.0.113.1"}, "203.0.113.1", ""),
        ({"type": "ipv4-addr", "id": identifier("ipv4-addr"), "value": "\u202e"}, identifier("ipv4-addr"), ""),
        ({"type": "x-a", "id": "x", "created": WHEN, "name": "n" * 200}, "n" * 117 + "...", WHEN),
        ({"type": "x-a", "id": "x", "created": WHEN, "modified": "later", "name": "n"}, "n", WHEN),
        ({"type": "x-a", "id": "x", "created": "c", "name": "n"}, "n", ""),
        (indicator(name="हिन्दी क्\u200dष"), "हिन्दी क्\u200dष", indicator()["modified"]),
        (indicator(), indicator()["pattern"], indicator()["modified"]),
        (
            {
                "type": "relationship",
                "id": "r",
                "relationship_type": "uses",
                "source_ref": "a--1",
                "target_ref": "b--2",
            },
            "relationship: uses a--1 b--2",
            "",
        ),
    ],
)
def test_title_and_version(value: dict[str, Any], title: str, version: str) -> None:
    record = stix._record(as_bytes(value), value)
    assert (record.title, record.version) == (title, version)


def test_versions_order_by_instant_and_equal_instants_are_equal() -> None:
    rising = ["04.9999999Z", "05.000Z", "05.0000001Z", "05.190Z", "05.194Z", "05.1948Z", "06.000000000Z", "10.000Z"]
    order = [
        record_of(as_bytes(indicator(created="2025-01-02T03:04:05.000Z", modified=f"2026-01-02T03:04:{end}"))).order
        for end in rising
    ]
    assert order == sorted(set(order))
    assert order[1] == record_of(as_bytes(indicator(modified="2026-01-02T03:04:05.00000Z"))).order
    assert record_of(as_bytes({"type": "ipv4-addr", "id": identifier("ipv4-addr"), "value": "203.0.113.1"})).order == ""


def test_attack_entry_comes_before_other_catalogues_entries() -> None:
    references = [
        {"source_name": "capec", "external_id": "CAPEC-163", "url": "https://example.org/capec/163"},
        {"source_name": "mitre-attack", "external_id": "T1566", "url": "https://example.org/techniques/T1566"},
        {"source_name": "mitre-ics", "external_id": "T0865", "url": "https://example.org/techniques/T0865"},
    ]
    for listed, prose in ((references, references[1:2]), (references[:1], references[:1])):
        record = record_of(as_bytes(indicator(external_references=listed)))
        assert record.prose == tuple(reference["url"] for reference in prose)


def test_attack_object_is_known_by_its_own_address_only() -> None:
    groups = [record for record in attack("ics") if record.type == "intrusion-set"]
    assert all(len(group.prose) == 1 and "/groups/G" in group.prose[0] for group in groups)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"type":"a","id":1}', b"\xff"])
def test_what_is_no_object_is_read_as_a_reason(data: bytes) -> None:
    assert stix.read("stix-2.1", data) == stix.check(data)


def holds(data: bytes) -> None:
    """Split gives records that stand in the data and pass again, rejected slices, or a FormatError; nothing else."""
    try:
        records, rejected = AREA.split("stix-2.1", data, place="f")
    except FormatError as fault:
        if fault.place != "f":
            raise
        return
    for record in records:
        assert whole(record.data) in data
        assert AREA.read("stix-2.1", record.data) == record
    for one in rejected:
        assert whole(one.data) in data
        assert one.reason.isprintable()


@settings(deadline=None)  # the first example compiles schemas
@given(st.binary(max_size=200))
def test_any_bytes_are_split_or_refused(data: bytes) -> None:
    holds(data)
    holds(bundle_of(data, GOOD))


SEEDS = bundle_of(GOOD, with_value(b'{"a":[1.5,"\\u00e9"],"b_refs":["' + identifier("malware").encode() + b'"]}'))


@settings(deadline=None)  # the first example compiles schemas
@given(st.data())
def test_damaged_bundle_is_split_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(SEEDS)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged)))
        width = data.draw(st.integers(0, 4))
        damaged[at : at + width] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b"\\u0000", b"{", b"NaN", b"]", b"--"])
        )
    holds(bytes(damaged))


KEYS = st.sampled_from(sorted(indicator(labels=1, granular_markings=1, extensions=1, object_marking_refs=1, x_ref=1)))
ITEMS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([identifier("malware"), "2.1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)  # the first example compiles schemas
@given(st.dictionaries(KEYS, ITEMS, max_size=3))
def test_odd_values_in_any_property_reject_the_object_alone(changes: dict[str, Any]) -> None:
    odd = json.dumps(indicator(2) | changes, ensure_ascii=True).encode()
    holds(bundle_of(GOOD, odd))
    records, _ = stix.split(bundle_of(GOOD, odd), place="f")
    assert records[0].data == GOOD
    found = stix.read("stix-2.1", odd)
    assert found if isinstance(found, str) else found.data == odd
