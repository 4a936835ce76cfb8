"""The sample bundle of the demo: 12 valid objects, of which three have a reason not to cross."""

from pathlib import Path

import pytest

import entente
from entente.areas.intelligence import AREA, redact
from entente.treaty.record import Record, whole

SAMPLE = Path(entente.__file__).parent / "samples" / "sample.stix.json"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    found, rejected = AREA.split("stix-2.1", SAMPLE.read_bytes(), place=SAMPLE.name)
    assert rejected == []
    return found


def one(records: list[Record], title: str) -> Record:
    """The one record whose title begins so."""
    (found,) = [record for record in records if record.title.startswith(title)]
    return found


def test_twelve_objects_are_valid(records: list[Record]) -> None:
    assert len(records) == 12
    assert len({record.id for record in records}) == 12


def test_exactly_three_may_not_cross(records: list[Record]) -> None:
    third = one(records, "Team Meridian").id
    refused = {record.id for record in records if record.type == "intrusion-set" or record.author == third}
    while more := {record.id for record in records if record.id not in refused and refused.intersection(record.names)}:
        refused |= more
    assert [record.title.split(maxsplit=3)[:2] for record in records if record.id in refused] == [
        ["Copper", "Heron"],
        ["relationship:", "uses"],
        ["Relay", "seen"],
    ]


def test_all_bear_the_authors_marking_but_the_marking_itself_and_the_thirds_indicator(records: list[Record]) -> None:
    (marking,) = [record for record in records if record.type == "marking-definition"]
    author = one(records, "Sample National CERT").id
    bare = [record for record in records if record.markings != (marking.id,)]
    assert [record.type for record in bare] == ["marking-definition", "indicator"]
    assert marking.author == author
    assert bare[1].author == one(records, "Team Meridian").id
    assert bare[1].markings == ()


def test_every_name_but_none_other_is_in_the_bundle(records: list[Record]) -> None:
    ids = {record.id for record in records}
    assert {name for record in records for name in record.names} <= ids


def test_one_crossing_object_mentions_the_group_in_prose(records: list[Record]) -> None:
    group = one(records, "Copper Heron")
    needles = AREA.mention_pattern([group])
    assert needles is not None
    crossing = [record for record in records if record.id != group.id and group.id not in record.names]
    assert [record.type for record in crossing if needles.search(whole(record.data))] == ["report"]
    bare = [redact.view("no-prose", record.data) for record in crossing]
    assert not any(data is None or needles.search(data) for data in bare)
