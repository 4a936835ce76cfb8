"""Each rule that the schemas do not hold rejects its bad object alone, in words."""

from typing import Any

import pytest
from stix_objects import as_bytes, bundle_of, identifier, indicator

from entente.areas.intelligence import rules, stix

OWN = indicator(2)["id"]
TIME = {"created": "2026-01-02T03:04:05.000Z", "modified": "2026-01-02T03:04:05.000Z", "spec_version": "2.1"}
EXT = identifier("extension-definition")


def marking(**changes: Any) -> dict[str, Any]:
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": identifier("marking-definition"),
        "created": "2026-01-02T03:04:05.000Z",
        "definition_type": "statement",
        "definition": {"statement": "SAMPLE"},
    } | changes


BAD: list[tuple[object, str]] = [
    (7, "not a JSON object"),
    ([], "not a JSON object"),
    ({}, "no `type`"),
    (indicator(2, type=5), "no `type`"),
    (indicator(2, id=None), "no `id`"),
    ({"type": "bundle", "id": identifier("bundle"), "objects": []}, "bundle inside a bundle"),
    (indicator(2, id=identifier("malware")), "not <its type>--<UUID>"),
    (indicator(2, id="indicator--1"), "not <its type>--<UUID>"),
    (indicator(2, id=OWN + "\n"), "not <its type>--<UUID>"),
    (indicator(2, spec_version=None), "STIX 2.0 object"),
    (indicator(2, spec_version="2.0"), "spec_version is not '2.1'"),
    (indicator(2, spec_version=2.1), "spec_version is not"),
    (
        {"type": "ipv4-addr", "spec_version": "2.0", "id": identifier("ipv4-addr"), "value": "203.0.113.1"},
        "spec_version is not",
    ),
    (indicator(2, pattern=None), "schema: "),
    (indicator(2, confidence=101), "schema: confidence: this value is greater"),
    (indicator(2, labels=[]), "schema: labels"),
    (indicator(2, created="yesterday"), "schema: created"),
    (indicator(2, x_note=[None], description=5), "schema: description"),
    (indicator(2, modified="2026-01-02T03:04:04.999Z"), "modified is not at or after created"),
    (indicator(2, modified="2026-01-02T03:04:04.9999999Z"), "modified is not at or after created"),
    (indicator(2, created="2026-02-30T00:00:00.000Z", modified="2026-03-30T00:00:00.000Z"), "no day of the calendar"),
    (indicator(2, valid_until="2026-01-02T00:00:00.00Z"), "valid_until is not after valid_from"),
    (indicator(2, created_by_ref=identifier("malware")), "created_by_ref names something that is not of type identity"),
    (indicator(2, object_marking_refs=[identifier("identity")]), "not of type marking-definition"),
    (indicator(2, x_seen_ref="nobody"), "x_seen_ref holds something that is not an id"),
    (indicator(2, x_seen_ref=5), "x_seen_ref holds something that is not an id"),
    (indicator(2, x_seen_refs="nobody"), "x_seen_refs is not a list"),
    (indicator(2, x_seen_refs=[""]), "x_seen_refs holds something that is not an id"),
    (indicator(2, x_list=[{"inner_ref": "nobody"}]), "inner_ref holds"),
    (indicator(2, extensions={EXT: {"extension_type": "property-extension", "a_ref": "no"}}), "a_ref holds"),
    (
        indicator(2, extensions={EXT: {"extension_type": "property-extension", "many": [{"b_ref": "no"}]}}),
        "b_ref holds",
    ),
    (marking(object_marking_refs=[identifier("marking-definition")]), "names the object itself"),
    (marking(created=None), "schema: "),
    ({"type": "x-thing", "id": identifier("x-thing")} | TIME | {"spec_version": "2.0"}, "spec_version is not"),
    ({"type": "x-thing", "id": identifier("x-thing")} | TIME | {"modified": 5}, "schema: modified"),
    ({"type": "x-thing", "id": identifier("x-thing"), "created": TIME["created"]}, "STIX 2.0 object"),
    ({"type": "x-thing", "id": identifier("x-thing"), "extensions": {EXT: {"extension_type": "new-sdo"}}}, "STIX 2.0"),
    ({"type": "X-Thing", "id": identifier("X-Thing")} | TIME, "not <its type>--<UUID>"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_bad_object_is_quarantined_alone(bad: object, reason: str) -> None:
    around = [as_bytes(indicator(1)), as_bytes(indicator(3))]
    records, rejected = stix.split(bundle_of(around[0], as_bytes(bad), around[1]), place="f")
    assert [record.data for record in records] == around
    assert [(one.data, one.place[:10]) for one in rejected] == [(as_bytes(bad), "objects[1]")]
    assert reason in rejected[0].reason
    assert stix.check(as_bytes(bad)) == rejected[0].reason


@pytest.mark.parametrize(
    "good",
    [
        indicator(),
        indicator(modified="2026-01-02T03:04:05.0000001Z"),
        indicator(x_unset_ref="", x_whatever={"free_ref": "text", "a": None}),
        indicator(created="2028-02-29T00:00:00.000Z", modified="2028-02-29T00:00:00.000Z"),
        {"type": "ipv4-addr", "id": identifier("ipv4-addr"), "value": "203.0.113.1"},
        {"type": "process", "id": identifier("process"), "pid": 1, "environment_variables": {"my_ref": "text"}},
        marking(),
        marking(created="2026-01-02T03:04:05Z"),
        {"type": "x-thing", "id": identifier("x-thing"), "deep": {"a": [1.5]}} | TIME,
        {"type": "x-thing", "id": identifier("x-thing"), "value": "an observable of one's own"},
        {"type": "my-thing", "id": identifier("my-thing"), "extensions": {EXT: {"extension_type": "new-sco"}}},
        {"type": "my-thing", "id": identifier("my-thing"), "extensions": {EXT: {"extension_type": "new-sdo"}}} | TIME,
    ],
)
def test_valid_object_passes(good: dict[str, Any]) -> None:
    assert stix.check(as_bytes(good)) is None


def test_instants_are_compared_not_texts() -> None:
    assert rules.instant("2026-01-01T00:00:00Z") == rules.instant("2026-01-01T00:00:00.000Z")
    assert rules.instant("2026-01-01T00:00:00.1948Z") > rules.instant("2026-01-01T00:00:00.194Z")
    assert rules.instant("2026-01-01T00:00:01Z") > rules.instant("2026-01-01T00:00:00.999999999Z")


def test_type_that_would_stall_a_backtracking_engine_is_refused_at_once() -> None:
    kind = "a" * 200
    assert rules.fault({"type": kind, "id": identifier(kind)} | TIME) is None
    kind += "--b"
    assert "schema: type" in (rules.fault({"type": kind, "id": identifier(kind)} | TIME) or "")
