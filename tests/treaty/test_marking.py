"""Markings join to the least one at or above each, in any order; what a map does not name is refused (row A-04)."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.errors import FormatError
from entente.strict import canonical, parse_as
from entente.treaty.marking import Mapper, MapRow, Marking, MarkingMap, join, marking_line

SCALES = (
    ("UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP SECRET"),
    ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"),
    ("일반", "대외비", "군사III급비밀", "군사II급비밀", "군사I급비밀"),
)
SENDER = "AAA"


def sets(words: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sets(st.sampled_from(words)).map(lambda found: tuple(sorted(found)))


def markings(scale: tuple[str, ...]) -> st.SearchStrategy[Marking]:
    return st.builds(
        Marking,
        caveats=sets(["IP", "NO CONTRACTORS", "ORIGINATOR CONTROLLED"]),
        level=st.sampled_from([*scale, *scale, "COSMIC"]),
        originator=st.sampled_from([SENDER, SENDER, SENDER, "BBB", "CCC"]),
        purpose=st.sampled_from(["defence", "defence", "defence", "cyber"]),
        releasable_to=sets(["AAA", "BBB", "CCC"]),
    )


def rank(scale: tuple[str, ...]) -> dict[str, int]:
    return {level: number for number, level in enumerate(scale)}


def meet(one: Marking | None, two: Marking | None, scale: tuple[str, ...]) -> Marking | None:
    """The join of two, where no marking stands above everything."""
    return None if one is None or two is None else join([one, two], rank(scale), SENDER)


scaled = st.sampled_from(SCALES).flatmap(lambda scale: st.tuples(st.just(scale), *[markings(scale)] * 3))


@given(scaled)
def test_join_is_commutative_associative_and_idempotent(case: tuple[Any, ...]) -> None:
    scale, a, b, c = case
    assert meet(a, b, scale) == meet(b, a, scale)
    assert meet(meet(a, b, scale), c, scale) == meet(a, meet(b, c, scale), scale)
    assert meet(meet(a, b, scale), c, scale) == (join([a, b, c], rank(scale), SENDER) if a.level in scale else None)
    if a.level in scale:
        assert meet(a, a, scale) == a == join([a], rank(scale), SENDER)


@given(scaled)
def test_the_order_and_repetition_of_markings_do_not_matter(case: tuple[Any, ...]) -> None:
    scale, *found = case
    results = {join([*order, *order[:1]], rank(scale), SENDER) for order in itertools.permutations(found)}
    assert len(results) == 1


@given(scaled)
def test_a_join_is_above_each_and_no_higher_than_it_must_be(case: tuple[Any, ...]) -> None:
    scale, *found = case
    ranks = rank(scale)
    result = join(found, ranks, SENDER)
    if result is None:
        others = {mark.originator for mark in found} - {SENDER}
        assert (
            any(mark.level not in ranks for mark in found)
            or len({mark.purpose for mark in found}) > 1
            or len(others) > 1
        )
        return
    result.check()
    assert ranks[result.level] == max(ranks[mark.level] for mark in found)
    for mark in found:
        assert set(result.caveats) >= set(mark.caveats)
        assert set(result.releasable_to) <= set(mark.releasable_to)
        assert result.purpose == mark.purpose
        assert mark.originator in (result.originator, SENDER)
    assert all(any(caveat in mark.caveats for mark in found) for caveat in result.caveats)
    for code in ("AAA", "BBB", "CCC"):
        assert (code in result.releasable_to) == all(code in mark.releasable_to for mark in found)
    assert result.originator in {mark.originator for mark in found}


MARK = Marking((), "CLEAR", "AAA", "defence", ("AAA", "BBB"))


@pytest.mark.parametrize("scale", SCALES)
def test_an_unknown_level_an_empty_list_two_purposes_or_two_thirds_have_no_join(scale: tuple[str, ...]) -> None:
    good = msgspec.structs.replace(MARK, level=scale[0])
    change = msgspec.structs.replace
    assert join([], rank(scale), SENDER) is None
    assert join([good, change(good, level="COSMIC")], rank(scale), SENDER) is None
    assert join([change(good, level="COSMIC")], rank(scale), SENDER) is None
    assert join([good, change(good, purpose="cyber")], rank(scale), SENDER) is None
    assert join([change(good, originator="BBB"), change(good, originator="CCC")], rank(scale), SENDER) is None
    kept = join([good, change(good, originator="CCC")], rank(scale), SENDER)
    assert kept is not None
    assert kept.originator == "CCC"


def test_nobody_left_to_release_to_is_a_marking_that_no_rule_lets_pass() -> None:
    one = msgspec.structs.replace(MARK, releasable_to=("AAA",))
    two = msgspec.structs.replace(MARK, releasable_to=("BBB",))
    found = join([one, two], rank(SCALES[1]), SENDER)
    assert found is not None
    assert found.releasable_to == ()


# The map


def mapper(rows: dict[str, Marking], default: Marking | None = None) -> Mapper:
    made = MarkingMap(
        "ab" * 32,
        "intelligence",
        tuple(MapRow(key, rows[key]) for key in sorted(rows)),
        default if default is not None else msgspec.UNSET,
    )
    made.check()
    return Mapper(made, rank(SCALES[1]), SENDER)


GREEN = msgspec.structs.replace(MARK, level="GREEN")
AMBER = msgspec.structs.replace(MARK, level="AMBER", caveats=("IP",))
CYBER = msgspec.structs.replace(MARK, purpose="cyber")


def test_a_foreign_marking_without_a_row_is_refused_default_or_not() -> None:
    for default in (None, MARK):
        found = mapper({"tlp-green": GREEN}, default).mark("x--1", "", ["tlp-green", "tlp-unknown"])
        assert isinstance(found, str)
        assert "tlp-unknown" in found
    assert isinstance(mapper({"x--1": GREEN, "who": GREEN}, MARK).mark("x--1", "who", ["x--1", "unknown"]), str)


def test_the_default_is_for_records_that_bear_nothing_at_all() -> None:
    assert mapper({}, MARK).mark("x--1", "", []) == MARK
    assert mapper({}, MARK).mark("x--1", "nobody in the map", []) == MARK
    assert isinstance(mapper({}).mark("x--1", "", []), str)
    assert mapper({"who": AMBER}, MARK).mark("x--1", "who", []) == AMBER
    assert mapper({"x--1": AMBER}, MARK).mark("x--1", "who", []) == AMBER


def test_two_markings_and_an_author_add_up() -> None:
    made = mapper({"a": GREEN, "b": AMBER, "who": msgspec.structs.replace(MARK, releasable_to=("AAA",))})
    both = made.mark("x--1", "", ["a", "b"])
    assert isinstance(both, Marking)
    assert (both.level, both.caveats) == ("AMBER", ("IP",))
    assert made.mark("x--1", "", ["b", "a"]) == both
    assert made.mark("x--1", "", ["a", "a"]) == GREEN
    with_author = made.mark("x--2", "who", ["a"])
    assert isinstance(with_author, Marking)
    assert (with_author.level, with_author.releasable_to) == ("GREEN", ("AAA",))


def test_markings_that_have_no_join_are_refused() -> None:
    made = mapper({"a": GREEN, "b": CYBER, "c": msgspec.structs.replace(MARK, level="COSMIC")})
    assert isinstance(made.mark("x--1", "", ["a", "b"]), str)
    assert isinstance(made.mark("x--1", "", ["c"]), str)


def test_what_was_said_of_one_record_is_not_said_of_another() -> None:
    made = mapper({"a": GREEN, "x--1": AMBER, "who": AMBER})
    assert made.mark("x--2", "", ["a"]) == GREEN
    assert made.mark("x--2", "who", ["a"]) != GREEN
    assert made.mark("x--2", "", ["a"]) == GREEN
    assert made.mark("x--1", "", []) == AMBER
    assert isinstance(made.mark("x--3", "", []), str)


@pytest.mark.parametrize("words", [("b", "a"), ("a", "a")])
def test_a_map_is_sorted_and_names_each_foreign_marking_once(words: tuple[str, str]) -> None:
    made = MarkingMap("ab" * 32, "intelligence", tuple(MapRow(word, MARK) for word in words))
    with pytest.raises(FormatError):
        made.check()


@pytest.mark.parametrize("field", ["caveats", "releasable_to"])
@pytest.mark.parametrize("bad", [("b", "a"), ("a", "a")])
def test_the_sets_of_a_marking_are_sorted(field: str, bad: tuple[str, str]) -> None:
    wrong = msgspec.structs.replace(MARK, **{field: bad})
    with pytest.raises(FormatError):
        wrong.check()
    with pytest.raises(FormatError):
        MarkingMap("ab" * 32, "x", (MapRow("a", wrong),)).check()
    with pytest.raises(FormatError):
        MarkingMap("ab" * 32, "x", (), wrong).check()


def test_a_marking_is_read_strictly_and_written_for_people() -> None:
    data = canonical(msgspec.to_builtins(AMBER))
    assert parse_as(data, Marking) == AMBER
    for wrong in ({"more": 1}, {"level": 1}, {"caveats": "IP"}, {"caveats": [1]}, {"level": None}):
        with pytest.raises(FormatError):
            parse_as(canonical({**msgspec.to_builtins(AMBER), **wrong}), Marking)
    assert marking_line(AMBER) == "AAA AMBER // IP // REL AAA, BBB // defence"
