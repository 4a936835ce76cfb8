"""Nothing crosses that names what does not cross: closure equals a brute-force oracle on random graphs."""

import hashlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stix_objects import record_of

from account.histories import SAMPLES, agreement
from entente.crossing.references import (
    NOT_OWN_MARKING,
    OWN_MARKING_RULES,
    first_fault,
    names_withheld_type,
    screen,
)
from entente.treaty.marking import Marking
from entente.treaty.record import Record, whole
from entente.treaty.request import Decision, Finding

MARK = Marking((), "CLEAR", "AAA", "x", ("AAA", "BBB"))
BAD = Marking((), "RED", "AAA", "x", ("AAA",))
IDS = [f"{kind}--{number}" for kind in ("indicator", "relationship", "intrusion-set", "report") for number in range(3)]
AREA = "intelligence"


def record(name: str, *names: str, version: str = "1", kind: str = "") -> Record:
    data = hashlib.sha256(f"{name}/{version}/{names}".encode()).digest()
    return Record(data, "application/json", name, kind or name.partition("--")[0], version=version, names=tuple(names))


def decide_marking(mark: Marking) -> Decision:
    rules = [Finding(rule, "3", mark is not BAD and mark != BAD, "") for rule in OWN_MARKING_RULES]
    return Decision(mark != BAD, "", tuple(rules))


def verdicts(
    records: list[Record], sample: str, mark: Callable[[Record], Marking | str] = lambda _: MARK
) -> dict[bytes, str]:
    """Record bytes → the rule that refuses, "" if it crosses."""
    law = agreement(sample).law
    found = screen(records, law, AREA, mark, decide_marking)
    assert len(found.kept) + len(found.refused) == len(records)
    rows = {**{whole(r.data): "" for r, _ in found.kept}, **{whole(r.data): why.rule for r, why in found.refused}}
    assert all(why.article for _, why in found.refused)
    assert all((why.id, why.sha256) == (r.id, r.sha256) for r, why in found.refused)
    return rows


def oracle(records: list[Record], withheld: set[str], refused: set[bytes]) -> set[bytes]:
    """What crosses, by definition: drop and look again, until nothing more has to be dropped."""
    crossing = [r for r in records if r.data not in refused and r.type not in withheld]
    present = {r.id for r in records}
    while True:
        here = {r.id for r in crossing}
        left = [
            r
            for r in crossing
            if all(
                n in here if n in present else n.partition("--")[0] not in withheld or "--" not in n for n in r.names
            )
        ]
        if len(left) == len(crossing):
            return {whole(r.data) for r in left}
        crossing = left


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Record], set[bytes], set[bytes]]:
    """Records with several versions and any references; those without a marking and those marked too high."""
    records: dict[bytes, Record] = {}
    unmapped: set[bytes] = set()
    high: set[bytes] = set()
    names = [*IDS, "nothing--9", "intrusion-set--absent", "plain text", "intrusion-set", "--", "intrusion-set--"]
    for number in range(draw(st.integers(0, 14))):
        found = record(
            draw(st.sampled_from(IDS)),
            *draw(st.lists(st.sampled_from(names), max_size=4)),
            version=str(number),
        )
        records[whole(found.data)] = found
        fate = draw(st.sampled_from(["good"] * 6 + ["unmapped", "high"]))
        if fate != "good":
            (unmapped if fate == "unmapped" else high).add(whole(found.data))
    return list(records.values()), unmapped, high


@pytest.mark.parametrize("sample", SAMPLES)
@given(graph=graphs())
def test_closure_is_that_of_the_oracle(sample: str, graph: tuple[list[Record], set[bytes], set[bytes]]) -> None:
    records, unmapped, high = graph

    def mark(found: Record) -> Marking | str:
        if found.data in unmapped:
            return "no row"
        return BAD if found.data in high else MARK

    got = verdicts(records, sample, mark)
    withheld = {row.type for row in agreement(sample).law.areas[AREA].withhold or ()}
    assert withheld == {"intrusion-set"}
    assert {data for data, rule in got.items() if not rule} == oracle(records, withheld, unmapped | high)
    for found in records:
        own = "mapped" if found.data in unmapped else "level" if found.data in high else ""
        own = own or ("withhold" if found.type in withheld else "")
        assert got[whole(found.data)] == own or (not own and got[whole(found.data)] == "reference")


@pytest.mark.parametrize("sample", SAMPLES)
@given(graph=graphs())
def test_what_crosses_passes_the_receivers_own_check(
    sample: str, graph: tuple[list[Record], set[bytes], set[bytes]]
) -> None:
    records, _, _ = graph
    law = agreement(sample).law
    crossing = [found for found in records if not verdicts(records, sample)[whole(found.data)]]
    assert first_fault(crossing, law, AREA) is None


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_example_of_the_design(sample: str) -> None:
    group, tool = record("intrusion-set--1"), record("tool--1")
    uses = record("relationship--1", "intrusion-set--1", "tool--1")
    listing = record("report--1", "relationship--1")
    about = record("note--1", "report--1", "tool--1")
    free = record("note--2", "tool--1")
    got = verdicts([about, listing, uses, group, tool, free], sample)
    assert [got[whole(r.data)] for r in (group, uses, listing, about, tool, free)] == [
        "withhold",
        "reference",
        "reference",
        "reference",
        "",
        "",
    ]


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_id_stays_named_while_one_of_its_versions_crosses(sample: str) -> None:
    old, new = record("tool--1", version="1"), record("tool--1", "intrusion-set--1", version="2")
    user = record("note--1", "tool--1")
    got = verdicts([old, new, user], sample)
    assert [got[whole(r.data)] for r in (old, new, user)] == ["", "reference", ""]
    got = verdicts([old, new, user], sample, lambda r: "no row" if r is old else MARK)
    assert [got[whole(r.data)] for r in (old, new, user)] == ["mapped", "reference", "reference"]


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_absent_id_is_refused_only_if_its_type_is_withheld(sample: str) -> None:
    secret, unknown = record("note--1", "intrusion-set--gone"), record("note--2", "tool--gone")
    word = record("note--3", "intrusion-set", "intrusion-set-", "x intrusion-set--1", "Intrusion-Set--1")
    got = verdicts([secret, unknown, word], sample)
    assert [got[whole(r.data)] for r in (secret, unknown, word)] == ["reference", "", ""]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_record_of_a_withheld_type_is_withheld_whatever_its_id(sample: str) -> None:
    odd = record("harmless--1", kind="intrusion-set")
    user = record("note--1", "harmless--1")
    got = verdicts([odd, user], sample)
    assert [got[whole(r.data)] for r in (odd, user)] == ["withhold", "reference"]
    assert first_fault([odd], agreement(sample).law, AREA) is not None


@pytest.mark.parametrize("sample", SAMPLES)
def test_cycles_and_self_reference_end(sample: str) -> None:
    one, two = record("tool--1", "tool--2"), record("tool--2", "tool--1", "tool--2")
    assert set(verdicts([one, two], sample).values()) == {""}
    bad = record("tool--2", "tool--1", "intrusion-set--0")
    assert set(verdicts([one, bad], sample).values()) == {"reference"}


def test_keys_count_as_well_as_values_for_the_area_that_reads_them() -> None:
    """`names` holds both (treaty.record.Record): what an area finds under a key is closed like any value."""
    ident = "intrusion-set--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061"
    thing = {
        "type": "x-note",
        "spec_version": "2.1",
        "id": "x-note--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0062",
        "created": "2020-01-01T00:00:00.000Z",
        "modified": "2020-01-01T00:00:00.000Z",
        "votes": {ident: 1},
    }
    assert ident in record_of(json.dumps(thing).encode()).names


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_long_chain_of_references_falls_in_linear_time(sample: str) -> None:
    chain = [record(f"tool--{i}", f"tool--{i + 1}") for i in range(20_000)]
    chain.append(record("tool--20000", "intrusion-set--1"))
    assert set(verdicts(chain, sample).values()) == {"reference"}


def test_the_rules_of_a_records_own_marking_are_6_to_13() -> None:
    assert OWN_MARKING_RULES == (
        "level",
        "equivalence",
        "channel",
        "ceiling",
        "releasable",
        "caveats",
        "purpose",
        "originator",
    )
    assert not NOT_OWN_MARKING & set(OWN_MARKING_RULES)
    assert len(NOT_OWN_MARKING) + len(OWN_MARKING_RULES) == 26
    assert names_withheld_type("a--b", {"a": ""})
    assert not names_withheld_type("a", {"a": ""})
