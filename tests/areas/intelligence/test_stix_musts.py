"""Each MUST that is held (docs/reference/intelligence.md) has an object that breaks it and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix_objects import as_bytes, bundle_of, identifier, indicator
from stix_types import DOMAIN, EXT, OBSERVABLE, WHEN, made

from entente.areas.intelligence import stix
from entente.strict import MAX_DEPTH

EARLIER = "2025-01-02T03:04:05.000Z"
NO_DAY = "2026-02-30T00:00:00.000Z"
MARK = identifier("marking-definition")
WRONG = identifier("campaign")
SECRET = "tungsten"  # noqa: S105 - stands for what a reason must not tell
ALL = DOMAIN | OBSERVABLE
ENDS = ("campaign", "infrastructure", "intrusion-set", "malware", "sighting", "threat-actor")


def granular(*selectors: str, **changes: Any) -> dict[str, Any]:
    """What a granular marking of an indicator named n may be."""
    return {"granular_markings": [{"marking_ref": MARK, "selectors": list(selectors)} | changes]}


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("tool", {"modified": EARLIER}, "modified is not at or after created"),
    ("tool", {"created": NO_DAY, "modified": "2026-03-02T00:00:00.000Z"}, "created is no day"),
    ("report", {"published": NO_DAY}, "published is no day"),
    ("file", {"ctime": NO_DAY}, "ctime is no day"),
    ("x509-certificate", {"x509_v3_extensions": {"private_key_usage_period_not_after": NO_DAY}}, "is no day"),
    ("indicator", {"valid_until": WHEN, "valid_from": WHEN}, "valid_until is not after valid_from"),
    *[(kind, {"first_seen": WHEN, "last_seen": EARLIER}, "last_seen is not at or after first_seen") for kind in ENDS],
    ("observed-data", {"last_observed": EARLIER}, "last_observed is not at or after first_observed"),
    ("relationship", {"stop_time": WHEN}, "stop_time is not after start_time"),
    ("network-traffic", {"end": EARLIER}, "end is not at or after start"),
    ("network-traffic", {"is_active": True}, "schema"),
    ("tool", {"defanged": True}, "defanged is for observables only"),
    ("tool", {"lang": "not a language"}, "lang is not a language code"),
    ("tool", {"x_count": 2**53}, "x_count is a number beyond 2^53"),
    ("tool", {"created_by_ref": WRONG}, "created_by_ref names something that is not of type identity"),
    ("tool", {"object_marking_refs": [WRONG]}, "is not of type marking-definition"),
    ("tool", {"aliases": []}, "schema: aliases"),
    ("tool", {"aliases": [None]}, "schema: aliases/0"),
    ("tool", {"action": "a"}, "schema"),
    (
        "tool",
        {"external_references": [{"source_name": "s", "external_id": "1", "x_more": []}]},
        "x_more is an empty list",
    ),
    ("email-message", {"received_lines": []}, "received_lines"),
    (
        "tool",
        {"external_references": [{"source_name": "s", "external_id": "1", "x_more": None}]},
        "x_more is null",
    ),
    # 7.2.3
    ("indicator", granular("name", lang="de"), "has not one of lang and marking_ref"),
    ("indicator", {"granular_markings": [{"selectors": ["pattern"]}]}, "has not one of lang and marking_ref"),
    ("indicator", {"granular_markings": [{"selectors": ["pattern"], "lang": "?"}]}, "lang is not a language code"),
    ("indicator", granular("description"), "selectors/0 selects nothing"),
    ("indicator", granular("pattern", "labels.[1]") | {"labels": ["a"]}, "selectors/1 selects nothing"),
    ("indicator", granular("labels.name") | {"labels": ["a"]}, "selectors/0 selects nothing"),
    ("indicator", granular("pattern.[0]"), "selectors/0 selects nothing"),
    ("indicator", granular("[0]"), "selectors/0 selects nothing"),
    ("indicator", granular("labels[0]") | {"labels": ["a"]}, "selectors/0 is not a selector"),
    ("indicator", granular("labels.[01]") | {"labels": ["a", "b"]}, "selectors/0 is not a selector"),
    ("indicator", granular("labels.[-1]") | {"labels": ["a"]}, "selectors/0 is not a selector"),
    ("indicator", granular("labels.[*]") | {"labels": ["a"]}, "selectors/0 is not a selector"),
    ("indicator", granular(""), "selectors/0 is not a selector"),
    ("indicator", granular("pattern."), "selectors/0 is not a selector"),
    ("indicator", granular("labels.[99999999999999999999]") | {"labels": ["a"]}, "selectors/0 is not a selector"),
    ("indicator", granular("pattern", marking_ref=WRONG), "schema: granular_markings/0/marking_ref"),
    # types of references
    ("directory", {"contains_refs": [WRONG]}, "contains_refs names something that is not of type directory or file"),
    ("domain-name", {"resolves_to_refs": [identifier("url")]}, "resolves_to_refs names"),
    ("email-addr", {"belongs_to_ref": WRONG}, "belongs_to_ref names"),
    *[
        ("email-message", {key: WRONG if key.endswith("ref") else [WRONG]}, f"{key} names")
        for key in ("from_ref", "sender_ref", "to_refs", "cc_refs", "bcc_refs", "raw_email_ref")
    ],
    ("email-message", {"body_multipart": [{"body_raw_ref": WRONG}]}, "body_raw_ref names"),
    ("file", {"parent_directory_ref": WRONG}, "parent_directory_ref names"),
    ("file", {"content_ref": WRONG}, "content_ref names"),
    ("file", {"extensions": {"archive-ext": {"contains_refs": [WRONG]}}}, "contains_refs names"),
    ("ipv4-addr", {"resolves_to_refs": [WRONG]}, "resolves_to_refs names"),
    ("ipv6-addr", {"belongs_to_refs": [WRONG]}, "belongs_to_refs names"),
    ("malware", {"sample_refs": [WRONG]}, "sample_refs names"),
    *[
        ("network-traffic", {key: WRONG if key.endswith("ref") else [WRONG]}, f"{key} names")
        for key in (
            "src_ref",
            "dst_ref",
            "src_payload_ref",
            "dst_payload_ref",
            "encapsulates_refs",
            "encapsulated_by_ref",
        )
    ],
    (
        "network-traffic",
        {
            "extensions": {
                "http-request-ext": {"request_method": "g", "request_value": "/", "message_body_data_ref": WRONG}
            }
        },
        "message_body_data_ref names",
    ),
    *[
        ("process", {key: WRONG if key.endswith("ref") else [WRONG]}, f"{key} names")
        for key in ("opened_connection_refs", "creator_user_ref", "image_ref", "parent_ref", "child_refs")
    ],
    ("process", {"extensions": {"windows-service-ext": {"service_dll_refs": [WRONG]}}}, "service_dll_refs names"),
    ("windows-registry-key", {"creator_user_ref": WRONG}, "creator_user_ref names"),
    ("relationship", {"source_ref": identifier("sighting")}, "schema: source_ref"),
    ("relationship", {"target_ref": EXT}, "target_ref names something that is neither"),
    ("sighting", {"sighting_of_ref": identifier("relationship")}, "schema: sighting_of_ref"),
    ("sighting", {"sighting_of_ref": identifier("url")}, "sighting_of_ref names something that is not a domain object"),
    ("sighting", {"observed_data_refs": [WRONG]}, "schema: observed_data_refs"),
    ("sighting", {"where_sighted_refs": [WRONG]}, "schema: where_sighted_refs"),
    ("observed-data", {"object_refs": [WRONG, identifier("relationship")]}, "object_refs names no observable"),
    ("observed-data", {"objects": {"0": {"type": "mutex", "name": "m"}}}, "schema"),
    # single types
    ("artifact", {"payload_bin": "YWI="}, "schema"),
    ("artifact", {"hashes": None}, "schema"),
    ("domain-name", {"value": "two words"}, "value is not in the form of domain-name"),
    ("domain-name", {"value": "a..b"}, "value is not in the form of domain-name"),
    ("email-addr", {"value": "A B <a@example.org>"}, "value is not in the form of email-addr"),
    ("email-message", {"body": "b"}, "schema"),
    ("email-message", {"additional_header_fields": {"X-A": [1]}}, "schema"),
    ("extension-definition", {"created_by_ref": None}, "has no created_by_ref"),
    ("extension-definition", {"extension_properties": ["Rank"]}, "not the name of a property"),
    ("extension-definition", {"extension_types": ["new-sdo"]}, "schema"),
    ("file", {"name": None}, "name_enc without name"),
    ("file", {"hashes": {"MD5": "ab"}}, "schema: hashes/MD5"),
    ("file", {"hashes": {"a": "b"}}, "schema: hashes"),
    ("file", {"size": -1}, "schema: size"),
    ("ipv4-addr", {"value": "203.0.113.256"}, "value is not in the form of ipv4-addr"),
    ("ipv4-addr", {"value": "203.0.113.1/33"}, "value is not in the form of ipv4-addr"),
    ("ipv6-addr", {"value": "1::2::3"}, "value is not in the form of ipv6-addr"),
    ("language-content", {"contents": {"k": {"name": "n"}}}, "a key of contents is not a language code"),
    ("language-content", {"contents": {"ko": "n"}}, "translates no property"),
    ("language-content", {"contents": {"ko": {}}}, "translates no property"),
    ("language-content", {"contents": {"ko": {"name": None}}}, "an empty translation"),
    ("language-content", {"object_ref": identifier("language-content")}, "schema: object_ref"),
    ("location", {"longitude": None}, "schema"),
    ("mac-addr", {"value": "00:00:AB:CD:EF:01"}, "value is not in the form of mac-addr"),
    ("malware", {"name": None}, "schema"),
    ("malware-analysis", {"result": None}, "schema"),
    ("software", {"languages": ["not a language"]}, "languages holds something"),
    ("url", {"value": "no scheme"}, "value is not in the form of url"),
    ("windows-registry-key", {"key": "hklm\\Software"}, "schema: key"),
    (
        "process",
        {
            "created_time": None,
            "image_ref": None,
            "child_refs": None,
            "environment_variables": None,
            "extensions": None,
        },
        "schema",
    ),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_what_breaks_one_rule_is_refused_for_it(number: int) -> None:
    kind, changes, reason = BROKEN[number]
    sound = made(kind, ALL[kind])
    assert stix.check(as_bytes(sound)) is None
    broken = {key: item for key, item in (sound | changes).items() if item is not None}
    assert reason in (stix.check(as_bytes(broken)) or "")


CONTAINED: list[tuple[dict[str, Any], str]] = [
    ({"type": "campaign", "name": "n"}, "is not an observable"),
    ({"type": 7}, "is not an observable"),
    ({"type": "file"}, "objects/0: schema"),
    ({"type": "file", "name": "n", "ctime": NO_DAY}, "ctime is no day"),
    ({"type": "file", "name": "n", "spec_version": "3"}, "spec_version"),
    ({"type": "file", "name": "n", "parent_directory_ref": "9"}, "names nothing in the same container"),
    (
        {"type": "file", "name": "n", "parent_directory_ref": identifier("directory")},
        "names nothing in the same container",
    ),
    ({"type": "file", "name": "n", "parent_directory_ref": "1"}, "is not of type directory"),
    ({"type": "ipv4-addr", "value": "x"}, "value is not in the form of ipv4-addr"),
]


@pytest.mark.parametrize(("item", "reason"), CONTAINED)
def test_what_a_deprecated_container_holds_is_held_to_its_type(item: dict[str, Any], reason: str) -> None:
    whole = made("observed-data", DOMAIN["observed-data"])
    del whole["object_refs"]
    objects: dict[str, Any] = {"0": {"type": "mutex", "name": "m"}, "1": {"type": "mutex", "name": "m"}}
    assert stix.check(as_bytes(whole | {"objects": objects})) is None
    assert reason in (stix.check(as_bytes(whole | {"objects": objects | {"0": item}})) or "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modified": "2026-03-02T00:00:00.000Z"}, "has no versions"),
        ({"modified": 7}, "has no versions"),
        ({"revoked": True}, "has no versions"),
        ({"object_marking_refs": [MARK]}, "names the object itself"),
        ({"name": "n", "granular_markings": [{"selectors": ["name"], "marking_ref": MARK}]}, "names the object itself"),
        ({"definition": None}, "schema"),
        ({"definition_type": "tlp", "definition": {"tlp": "white"}}, "schema"),
    ],
)
def test_a_marking_is_neither_versioned_nor_its_own_nor_another_tlp(changes: dict[str, Any], reason: str) -> None:
    sound: dict[str, Any] = {"type": "marking-definition", "spec_version": "2.1", "id": MARK, "created": WHEN}
    sound |= {"definition_type": "statement", "definition": {"statement": "s"}}
    assert stix.check(as_bytes(sound)) is None
    broken = {key: item for key, item in (sound | changes).items() if item is not None}
    assert reason in (stix.check(as_bytes(broken)) or "")


# What feeds have been seen to hold, and what somebody may try (test-table B-05, B-06)


MANY = [identifier("malware", number) for number in range(1_000_000)]
ODD: dict[str, bytes] = {
    "null list": as_bytes(indicator(2, labels=0)).replace(b'"labels":0', b'"labels":null'),
    "list of null": as_bytes(indicator(2, object_marking_refs=[None])),
    "null everywhere": b'{"type":null,"id":null,"objects":null}',
    "deep": as_bytes(indicator(2, x_deep=0)).replace(b'"x_deep":0', b'"x_deep":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH),
    "NUL": as_bytes(indicator(2, description="a\x00b")),
    "raw NUL": as_bytes(indicator(2, description="a_b")).replace(b"a_b", b"a\x00b"),
    "lone surrogate": as_bytes(indicator(2, description="a_b")).replace(b"a_b", b"\\ud800"),
    "own id as marking": as_bytes(indicator(2, object_marking_refs=[indicator(2)["id"]])),
    "million selectors": as_bytes(
        indicator(2, granular_markings=[{"marking_ref": MARK, "selectors": ["x"] * 1_000_000}])
    ),
    "long selector": as_bytes(indicator(2, **granular("a" + ".a" * 1_000_000))),
    "long id": as_bytes(indicator(2, id="indicator--" + "1" * 1_000_000)),
    "long type": as_bytes(indicator(2, type="a" * 1_000_000)),
    "long type in an id": as_bytes(indicator(2, type="a" * 1_000_000, id=identifier("a" * 1_000_000))),
    "long key twice": as_bytes(indicator(2))[:-1] + b',"x":{"' + b"a" * 100_000 + b'":1,"' + b"a" * 100_000 + b'":1}}',
    "huge number": as_bytes(indicator(2, confidence=10**39)),
    "pattern of null": as_bytes(indicator(2, pattern=["a"])),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_object_is_quarantined_alone(name: str) -> None:
    around = [as_bytes(indicator(1)), as_bytes(indicator(3))]
    records, rejected = stix.split(bundle_of(around[0], ODD[name], around[1]), place="f")
    assert [record.data for record in records] == around
    assert [one.data for one in rejected] == [ODD[name]]
    assert len(rejected[0].reason) < 400
    assert len(rejected[0].place) < 400


def test_a_million_references_and_circles_are_taken_in() -> None:
    first, second = made("report", DOMAIN["report"], 1), made("report", DOMAIN["report"], 2)
    first["object_refs"] = MANY
    second["object_refs"] = [first["id"], second["id"]]
    first["x_back_ref"] = second["id"]
    records, rejected = stix.split(bundle_of(as_bytes(first), as_bytes(second)), place="f")
    assert rejected == []
    assert len(records[0].names) == 1_000_001
    assert records[1].names == (first["id"],)


@settings(deadline=None)  # the first example compiles schemas
@given(st.sampled_from(sorted(indicator(2, name=1, labels=1, lang=1, created_by_ref=1))), st.data())
def test_no_reason_quotes_a_value(key: str, data: st.DataObject) -> None:
    odd = data.draw(st.sampled_from([SECRET, [SECRET], {"a": SECRET}, f"{SECRET}--{WRONG}", [{"b_ref": SECRET}]]))
    reason = stix.check(json.dumps(indicator(2, x_any=SECRET) | {key: odd}).encode())
    assert reason is None or SECRET not in reason
