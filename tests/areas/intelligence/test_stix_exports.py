"""Exports hold what the records hold, bear their markings, run no formula, and say when they were cut off."""

import csv
import hashlib
import io
import json
import tracemalloc
import uuid
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stix_objects import as_bytes, attack, identifier, indicator
from stix_types import DOMAIN, OBSERVABLE, made

from entente.areas.intelligence import export_csv, export_misp, stix
from entente.areas.intelligence.export import Exported, bundle
from entente.errors import UsageError
from entente.treaty.record import whole

LINE = "ONE LOW // REL ONE, TWO // cyber defence"
GREEN, STRICT = "34098fce-860f-48ae-8e50-ebd3cc5e41da", "939a9414-2ddd-4d32-a0cd-375ea402b003"
SHA1 = "a" * 40


def given_out(*values: dict[str, Any]) -> list[Exported]:
    """These objects as exports take them."""
    return [Exported(as_bytes(value), LINE) for value in values]


ALL = given_out(*(made(kind, fields, n) for n, (kind, fields) in enumerate((DOMAIN | OBSERVABLE).items())))


def table(*values: dict[str, Any], records: list[Exported] | None = None) -> tuple[list[list[str]], bytes]:
    """The rows of a CSV export as a reader sees them, and its bytes."""
    data = b"".join(export_csv.csv(given_out(*values) if records is None else records, marking=LINE))
    return list(csv.reader(io.StringIO(data.decode(), newline=""))), data


def event(*values: dict[str, Any], records: list[Exported] | None = None) -> dict[str, Any]:
    """The MISP event of these objects."""
    stream = export_misp.misp(
        given_out(*values) if records is None else records, info="a title", day=date(2026, 1, 2), marking=LINE
    )
    found: dict[str, Any] = json.loads(b"".join(stream))["Event"]
    return found


# Bundles


def test_a_bundle_holds_each_objects_bytes() -> None:
    records = [Exported(as_bytes(indicator()).replace(b",", b" ,\t"), LINE), *ALL]
    data = b"".join(bundle(records))
    found, rejected = stix.split(data, place="f")
    assert rejected == []
    assert [record.data for record in found] == [record.data for record in records]
    assert data == b"".join(bundle(records))
    name = json.loads(data)["id"]
    assert name.startswith("bundle--")
    assert uuid.UUID(name.removeprefix("bundle--")).version == 5
    assert json.loads(b"".join(bundle(ALL)))["id"] != name


def test_a_bundle_of_nothing_has_no_empty_list() -> None:
    data = b"".join(bundle([]))
    assert set(json.loads(data)) == {"type", "id"}
    assert stix.split(data, place="f") == ([], [])


# CSV


def test_a_table_bears_its_marking_and_says_where_it_ends() -> None:
    rows, data = table(
        indicator(1, labels=["a", "b"], confidence=70, valid_until="2027-01-01T00:00:00Z"),
        made("domain-name", {"value": "example.org"}, 2),
        made("file", {"name": "n", "hashes": {"MD5": "0" * 32}}, 3),
        made("campaign", DOMAIN["campaign"], 4),
    )
    one = indicator()
    assert rows[:-1] == [
        [LINE],
        list(export_csv.COLUMNS),
        ["indicator", one["id"], one["pattern"], one["valid_from"], "2027-01-01T00:00:00Z", "a;b", "70", LINE],
        ["domain-name", identifier("domain-name", 2), "example.org", "", "", "", "", LINE],
        ["file:name", identifier("file", 3), "n", "", "", "", "", LINE],
        ["file:hashes.MD5", identifier("file", 3), "0" * 32, "", "", "", "", LINE],
    ]
    before, end = data.rsplit(b"#END ", 1)
    assert end == f"rows=4 sha256={hashlib.sha256(before).hexdigest()}\r\n".encode()
    assert rows[-1] == [f"#END {end.decode().strip()}"]


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
    st.sampled_from(["", *"=+-@\t\r\n'\uff1d"]),
)
def test_no_field_is_a_formula_and_each_can_be_read_back(text: str, first: str) -> None:
    said = first + text
    rows, data = table(made("mutex", {"name": said}))
    cell = rows[2][2]
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.removeprefix("'") == said
    assert len(rows) == 4
    assert data.count(b"\r\n#END ") == 1


def test_every_observable_says_something_in_a_table() -> None:
    rows, _ = table(records=ALL)
    kinds = {row[0].partition(":")[0] for row in rows[2:-1]}
    assert kinds == {*OBSERVABLE, "indicator"} - {"network-traffic", "process", "email-message"}


# MISP


def attribute(found: dict[str, Any]) -> tuple[str, str, bool]:
    """What an attribute says."""
    return found["type"], found["value"], found["to_ids"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (indicator(), [("domain", "example.org", True)]),
        (
            indicator(pattern="[ipv4-addr:value = '203.0.113.1' OR url:value = 'http://a.example/']"),
            [("ip-dst", "203.0.113.1", True), ("url", "http://a.example/", True)],
        ),
        (indicator(pattern="[a:b > 5]"), [("stix2-pattern", "[a:b > 5]", True)]),
        (indicator(pattern="[a:b = 5]"), [("stix2-pattern", "[a:b = 5]", True)]),
        (indicator(pattern="rule", pattern_type="yara"), [("yara", "rule", True)]),
        (indicator(pattern="rule", pattern_type="suricata"), [("suricata", "rule", True)]),
        (indicator(pattern="rule", pattern_type="x-own"), [("text", "rule", True)]),
        (made("autonomous-system", {"number": 64500}), [("AS", "AS64500", False)]),
        (made("file", {"name": "n"}), [("filename", "n", False)]),
        (made("windows-registry-key", {"key": "HKEY_USERS\\x"}), [("regkey", "HKEY_USERS\\x", False)]),
    ],
)
def test_what_is_one_thing_is_an_attribute(value: dict[str, Any], said: list[tuple[str, str, bool]]) -> None:
    found = event(value)
    assert [attribute(one) for one in found["Attribute"]] == said
    assert found["Object"] == []
    ids = [one["uuid"] for one in found["Attribute"]]
    assert len(set(ids)) == len(ids)
    if len(ids) == 1:
        assert ids == [value["id"].partition("--")[2]]


@pytest.mark.parametrize(
    ("value", "name", "said"),
    [
        (
            indicator(pattern=f"[file:name = 'n' AND file:hashes.'SHA-1' = '{SHA1}']"),
            "file",
            {"filename": "n", "sha1": SHA1},
        ),
        (
            indicator(
                pattern="[domain-name:value = 'a.example' AND domain-name:resolves_to_refs[*].value = '203.0.113.1']"
            ),
            "domain-ip",
            {"domain": "a.example", "ip": "203.0.113.1"},
        ),
        (made("file", {"name": "n", "hashes": {"SHA-1": SHA1}}), "file", {"filename": "n", "sha1": SHA1}),
        (
            made("email-message", {"is_multipart": False, "subject": "s", "message_id": "<a@b>"}),
            "email",
            {"subject": "s", "message-id": "<a@b>"},
        ),
        (made("x509-certificate", {"issuer": "CN=i"}), "x509", {"issuer": "CN=i"}),
        (made("user-account", {"user_id": "7"}), "user-account", {"user-id": "7"}),
        (
            made("windows-registry-key", {"key": "k", "values": [{"name": "n", "data": "d", "data_type": "REG_SZ"}]}),
            "registry-key",
            {"key": "k", "name": "n", "data": "d", "data-type": "REG_SZ"},
        ),
    ],
)
def test_what_belongs_together_is_an_object(value: dict[str, Any], name: str, said: dict[str, str]) -> None:
    found = event(value)
    assert found["Attribute"] == []
    (made_of,) = found["Object"]
    assert made_of["name"] == name
    assert made_of["uuid"] == value["id"].partition("--")[2]
    assert {one["object_relation"]: one["value"] for one in made_of["Attribute"]} == said


def test_an_event_bears_markings_and_the_strictest_tlp() -> None:
    marks = [f"marking-definition--{GREEN}"]
    found = event(
        indicator(1, object_marking_refs=marks), indicator(2, object_marking_refs=[f"marking-definition--{STRICT}"])
    )
    assert found["info"] == f"{LINE}: a title"
    assert (found["published"], found["distribution"], found["date"]) == (False, "0", "2026-01-02")
    assert found["Tag"] == [{"name": "tlp:amber+strict"}]
    assert [one["Tag"] for one in found["Attribute"]] == [[{"name": "tlp:green"}], [{"name": "tlp:amber+strict"}]]
    assert all(one["comment"].startswith(LINE) for one in found["Attribute"])
    assert event(indicator())["Tag"] == []


def test_what_misp_has_no_form_for_is_counted_in_the_event() -> None:
    found = event(records=ALL)
    (remark,) = [one for one in found["Attribute"] if one["type"] == "comment"]
    assert "1 campaign" in remark["value"]
    assert "1 process" in remark["value"]
    assert "indicator" not in remark["value"]


def test_ids_are_the_same_in_each_export() -> None:
    assert event(records=ALL) == event(records=ALL)
    ids = [one["uuid"] for one in event(records=ALL)["Attribute"]]
    assert len(ids) == len(set(ids))


def test_an_event_is_not_made_of_what_can_be_read_once_only() -> None:
    with pytest.raises(UsageError, match="once"):
        b"".join(export_misp.misp(iter(ALL), info="i", day=date(2026, 1, 2), marking=LINE))


# All


class Many:
    """So many records that they could not be held without being seen."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Exported]:
        for number in range(self.count):
            yield Exported(as_bytes(indicator(number, description="x" * 2_000)), LINE)


def test_exports_hold_nothing_back() -> None:
    """Peak memory for 2,000 objects of 2 KB is that for 40."""
    for stream in (
        bundle,
        lambda many: export_csv.csv(many, marking=LINE),
        lambda many: export_misp.misp(many, info="i", day=date(2026, 1, 2), marking=LINE),
    ):
        peaks = []
        for count in (40, 2_000):
            tracemalloc.start()
            for _ in stream(Many(count)):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < peaks[0] + 200_000


def test_attack_can_be_exported_whole() -> None:
    records = [Exported(whole(record.data), LINE) for record in attack("ics")]
    assert len(stix.split(b"".join(bundle(records)), place="f")[0]) == len(records)
    assert event(records=records)["Attribute"][0]["type"] == "comment"
