"""Every type of STIX 2.1 is taken in with all that it may say, and whatever is of one's own is kept byte for byte."""

from typing import Any

import pytest
from stix_objects import as_bytes, bundle_of, identifier, indicator, record_of
from stix_types import DOMAIN, EXT, OBSERVABLE, SHA256, WHEN, made

from entente.areas.intelligence import schema, stix

MARKINGS: list[dict[str, Any]] = [
    {"definition_type": "statement", "definition": {"statement": "s"}},
    {"definition_type": "acme-tlp", "definition": {"level": 3}},
    {
        "name": "TLP:AMBER+STRICT",
        "extensions": {EXT: {"extension_type": "property-extension", "tlp_2_0": "amber+strict"}},
    },
    {
        "definition_type": "statement", "definition": {"statement": "s"}, "modified": "2026-01-02T03:04:05Z",
        "revoked": False,
    },
]  # fmt: skip


def test_these_are_all_the_types_there_are() -> None:
    assert {*DOMAIN, *OBSERVABLE, "marking-definition"} == set(schema._types())
    assert set(OBSERVABLE) == schema.observables()


@pytest.mark.parametrize(("kind", "fields"), [*DOMAIN.items(), *OBSERVABLE.items()], ids=[*DOMAIN, *OBSERVABLE])
def test_an_object_of_each_type_is_taken_in_as_it_is(kind: str, fields: dict[str, Any]) -> None:
    data = as_bytes(made(kind, fields))
    assert stix.check(data) is None
    assert record_of(data).data == data
    assert record_of(data).type == kind


@pytest.mark.parametrize("number", range(len(MARKINGS)))
def test_markings_of_each_make_are_taken_in(number: int) -> None:
    common = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": identifier("marking-definition"),
        "created": WHEN,
    }
    assert stix.check(as_bytes(common | MARKINGS[number])) is None


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("process", {"created_time": WHEN}),
        ("windows-registry-key", {"modified_time": WHEN}),
        ("email-message", {"is_multipart": False, "additional_header_fields": {"X-A": ["one"]}}),
        ("ipv6-addr", {"value": "fe80::1/64"}),
        ("ipv4-addr", {"value": "203.0.113[.]9", "defanged": True}),
        ("domain-name", {"value": "example[.]org", "defanged": True}),
        ("domain-name", {"value": "_dmarc.пример.example."}),
        ("url", {"value": "hxxp://example[.]org", "defanged": True}),
        (
            "vulnerability",
            {"name": "n", "external_references": [{"source_name": "nvd", "external_id": "CVE-2026-1234"}]},
        ),
        ("software", {"name": "n", "languages": ["ko"]}),
    ],
)
def test_what_the_schemas_wrongly_refuse_is_taken_in(kind: str, fields: dict[str, Any]) -> None:
    assert stix.check(as_bytes(made(kind, fields))) is None


def test_a_granular_language_needs_no_marking() -> None:
    assert stix.check(as_bytes(indicator(name="n", granular_markings=[{"selectors": ["name"], "lang": "de"}]))) is None


def test_deprecated_containers_name_their_observables_by_any_key() -> None:
    contained = {
        "0": {"type": "file", "name": "a", "parent_directory_ref": "dir"},
        "dir": {"type": "directory", "path": "/x", "contains_refs": ["0", identifier("file")]},
        "7": {"type": "file", "id": identifier("file"), "hashes": {"MD5": SHA256[:32]}},
        "own": {"type": "x-thing", "size": 1.5},
    }
    fields = {"first_observed": WHEN, "last_observed": WHEN, "number_observed": 1, "objects": contained}
    assert stix.check(as_bytes(made("observed-data", fields))) is None


def test_whatever_is_of_ones_own_is_kept_byte_for_byte() -> None:
    own = [
        b'{ "type":"x-acme-thing", "id":"' + identifier("x-acme-thing").encode() + b'","spec_version":"2.1",'
        b'"created":"2026-01-02T03:04:05.1948Z","modified":"2026-01-02T03:04:05.194800001Z","size":1.50E+2,'
        b'"deep":{"A.b":[{"x":null}], "\\u0061":"\\/"} }',
        b'{"type":"ipv4-addr","id":"'
        + identifier("ipv4-addr").encode()
        + b'","value":"203.0.113.9",\t"x_acme":[[1],{}]}',
        b'{"type":"file","id":"' + identifier("file").encode() + b'","name":"n","extensions":{"x-acme-ext":{"a_b":1}}}',
    ]
    records, rejected = stix.split(bundle_of(*own), place="f")
    assert rejected == []
    assert [record.data for record in records] == own
