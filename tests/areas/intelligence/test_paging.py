"""No object is missed and nothing is asked for ever, whatever a server gets wrong about cursors, stamps and ends.

The server here is a model of one (lab/taxii.Shelf) that is asked directly; over HTTP it is in test_feeds.py.
"""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entente.areas.intelligence.paging import LOOK_BACK_S, Position, Step, steps
from entente.areas.intelligence.taxii_client import Page, lowered, stamp
from entente.areas.intelligence.taxii_wire import TaxiiError
from lab.taxii import Shelf, read

SECOND = 1_000_000
MOST_ASKED = 3000


def asking(shelf: Shelf, clock: str = "") -> Callable[[str, str, int], Page]:
    """The model server as `steps` asks it; an endless walk is a failure."""

    def ask(after: str, cursor: str, limit: int) -> Page:
        given = shelf.page(after, cursor, limit)
        assert shelf.asked < MOST_ASKED, "asked for ever"
        if given is None:
            raise TaxiiError("status 400", "refused")
        if given.broken:
            raise TaxiiError("not JSON", "unreadable", headers={"x-taxii-date-added-last": given.last})
        return Page(tuple(given.objects), given.more, given.next, stamp(given.last), clock)

    return ask


def walk(shelf: Shelf, start: Position | None = None, *, limit: int = 8, clock: str = "") -> list[Step]:
    return list(steps(asking(shelf, clock), start or Position(), limit=limit))


def objects(found: list[Step]) -> set[bytes]:
    return {data for step in found for data in step.objects}


def shelf_of(*stamps: int, **wrong: object) -> Shelf:
    """Objects 0, 1, 2, … added then."""
    return Shelf([(at, str(place).encode()) for place, at in enumerate(stamps)], **wrong)  # type: ignore[arg-type]


STAMPS = st.lists(st.integers(0, 40) | st.integers(0, 9 * SECOND), max_size=40)


@settings(max_examples=400, deadline=None)
@given(
    stamps=STAMPS, cap=st.integers(1, 12), cursor=st.booleans(), trailing=st.booleans(), forgets=st.booleans(),
    digits=st.sampled_from([0, 3, 6]), ceils=st.booleans(), states=st.booleans(), data=st.data(),
)  # fmt: skip
def test_every_object_that_can_be_read_is_given_or_its_loss_is_told(
    stamps: list[int], cap: int, cursor: bool, trailing: bool, forgets: bool, digits: int, ceils: bool, states: bool,
    data: st.DataObject,
) -> None:  # fmt: skip
    shelf = shelf_of(
        *stamps, cap=cap, cursor=cursor, trailing=trailing, forgets=forgets, digits=digits, ceils=ceils, states=states
    )
    everything = {body for _, body in shelf.rows}
    shelf.poison = data.draw(st.sets(st.sampled_from(sorted(everything)), max_size=3)) if everything else set()
    found: list[Step] = []
    try:
        for step in steps(asking(shelf), Position(), limit=8):
            found.append(step)  # noqa: PERF402 - what came before a fault counts
    except TaxiiError:
        densest = max(map([shelf.stated(at) for at in stamps].count, (shelf.stated(at) for at in stamps)))
        unit = 10 ** (6 - digits)
        close = max(sum(0 <= other - at <= 2 * unit for other in stamps) for at in stamps)
        vague = digits < 6 and (shelf.poison or close >= cap)  # it does not say exactly up to where it gave objects
        helpless = not states and (shelf.poison or not cursor or forgets)
        alone = densest > 1 or cap == 1  # a page may hold one stamp only, and nobody can tell whether all of it
        astray = forgets and (alone or shelf.poison)
        assert vague or helpless or astray or (not cursor and alone), "it ends with a fault where none is needed"
        return
    told = {word for step in found for word in step.passed.split() if word.endswith("Z")}
    told |= {word.rstrip(":") for step in found for word in step.passed.split() if word.endswith("Z:")}
    lost = {body for at, body in shelf.rows if shelf.stated(at) in told}
    assert everything - objects(found) <= lost
    assert objects(found) <= everything - shelf.poison


@settings(max_examples=200, deadline=None)
@given(stamps=STAMPS, cap=st.integers(1, 12), cursor=st.booleans(), stop=st.integers(0, 30), more=STAMPS)
def test_a_walk_that_is_stopped_anywhere_goes_on_from_the_last_position(
    stamps: list[int], cap: int, cursor: bool, stop: int, more: list[int]
) -> None:
    """What is added meanwhile, later than what is there, is met too."""
    shelf = shelf_of(*stamps, cap=cap, cursor=cursor)
    found: list[Step] = []
    try:
        for number, step in enumerate(steps(asking(shelf), Position(), limit=8)):
            found.append(step)
            if number == stop:
                break
        for place, late in enumerate(more):
            shelf.add(f"late {place}".encode(), 20 * SECOND + late)
        found += walk(shelf, found[-1].new if found else None)
        found += walk(shelf, found[-1].new)
    except TaxiiError:
        assert not cursor
        return
    assert objects(found) == {body for _, body in shelf.rows}


def test_a_second_round_without_news_asks_once_and_brings_the_last_again() -> None:
    shelf = shelf_of(1, 2, 3)
    first = walk(shelf)
    asked = shelf.asked
    again = walk(shelf, first[-1].new)
    assert shelf.asked == asked + 1
    assert [step.objects for step in again] == [(b"2",)]
    assert again[-1].new == first[-1].new


def test_what_becomes_visible_late_is_met_by_the_next_round() -> None:
    """As where a slow addition took its stamp before it was committed: 547 of 903 objects were lost so."""
    shelf = shelf_of(10 * SECOND, 11 * SECOND)
    first = walk(shelf, clock="2026-05-01T00:00:12.000000Z")
    shelf.add(b"slow", 5 * SECOND)
    assert b"slow" in objects(walk(shelf, first[-1].new))


def test_what_is_long_settled_is_not_asked_for_again() -> None:
    """The look back is from when the round began, not from the latest stamp."""
    shelf = shelf_of(1 * SECOND, 2 * SECOND)
    late = "2026-05-01T01:00:00.000000Z"
    first = walk(shelf, clock=late)
    assert read(first[-1].new.after) == 2 * SECOND - 1
    assert read(walk(shelf_of(3600 * SECOND), clock=late)[-1].new.after) == (3600 - LOOK_BACK_S) * SECOND


def test_more_without_next_goes_on_by_time_and_meets_what_bears_the_same_stamp() -> None:
    """A strictly greater stamp would pass by the third and fourth object."""
    found = walk(shelf_of(1, 5, 5, 5, 9, cursor=False), limit=2)
    assert len(objects(found)) == 5


def test_more_objects_of_one_stamp_than_a_page_holds_are_asked_for_in_a_larger_page() -> None:
    assert len(objects(walk(shelf_of(*[7] * 30, 9, cursor=False), limit=4))) == 31


def test_more_objects_of_one_stamp_than_the_server_gives_at_once_are_a_fault_and_no_loss() -> None:
    shelf = shelf_of(*[7] * 30, 9, cursor=False, cap=4)
    with pytest.raises(TaxiiError, match="one date_added"):
        walk(shelf, limit=4)
    assert shelf.asked < 10


def test_next_without_more_is_followed_once_more_than_it_brings() -> None:
    shelf = shelf_of(1, 2, 3, trailing=True)
    assert len(objects(walk(shelf))) == 3
    assert shelf.asked == 2


def test_a_cursor_that_says_no_more_too_early_loses_nothing() -> None:
    def ask(after: str, cursor: str, _limit: int) -> Page:
        del after
        place = int(cursor or "0")
        return Page((str(place).encode(),), more=False, next=str(place + 1), last="", clock="") if place < 5 else EMPTY

    assert len(objects(list(steps(ask, Position())))) == 5


EMPTY = Page((), more=False, next="", last="", clock="")


@pytest.mark.parametrize("cursor", ["1", ""])
def test_the_same_page_twice_is_a_fault(cursor: str) -> None:
    asked = []

    def ask(after: str, _cursor: str, _limit: int) -> Page:
        asked.append(after)
        return Page((b"same",), more=True, next=cursor, last=f"2026-05-01T00:00:{len(asked):02}Z", clock="")

    with pytest.raises(TaxiiError, match="the same page again"):
        list(steps(ask, Position()))
    assert len(asked) <= 3


def test_empty_pages_without_end_are_a_fault() -> None:
    asked = []

    def ask(_after: str, _cursor: str, _limit: int) -> Page:
        asked.append(1)
        return Page((), more=True, next=str(len(asked)), last="", clock="")

    with pytest.raises(TaxiiError, match="empty pages"):
        list(steps(ask, Position()))
    assert len(asked) < 200


def test_more_with_no_way_on_is_a_fault() -> None:
    page = Page((b"a",), more=True, next="", last="", clock="")
    with pytest.raises(TaxiiError, match="neither `next`"):
        list(steps(lambda *_: page, Position()))


def test_a_page_that_cannot_be_read_is_narrowed_down_to_the_one_object() -> None:
    shelf = shelf_of(*range(100), poison={b"50"})
    found = walk(shelf, limit=64)
    assert objects(found) == {str(n).encode() for n in range(100)} - {b"50"}
    assert [step.passed for step in found if step.passed] == [
        f"an object added at {shelf.stated(50)} could not be read (not JSON)"
    ]


def test_what_cannot_be_read_and_bears_no_stamp_is_a_fault() -> None:
    with pytest.raises(TaxiiError, match="not JSON"):
        walk(shelf_of(*range(10), poison={b"5"}, states=False))


def test_a_server_that_is_away_is_not_asked_for_smaller_pages() -> None:
    asked = []

    def ask(*_: object) -> Page:
        asked.append(1)
        raise TaxiiError("no answer", "away")

    with pytest.raises(TaxiiError, match="no answer"):
        list(steps(ask, Position()))
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("text", "lower"),
    [
        ("2026-05-01T00:00:01Z", "2026-05-01T00:00:00.000000Z"),
        ("2026-05-01T00:00:01.5Z", "2026-05-01T00:00:01.400000Z"),
        ("2026-05-01T00:00:01.123Z", "2026-05-01T00:00:01.122000Z"),
        ("2026-05-01T00:00:01.1948Z", "2026-05-01T00:00:01.194700Z"),
        ("2026-05-01T00:00:01.000000Z", "2026-05-01T00:00:00.999999Z"),
        ("2026-05-01T00:00:01.123456789Z", "2026-05-01T00:00:01.123455Z"),
    ],
)
def test_the_resume_point_is_before_a_stamp_by_one_unit_of_its_last_digit(text: str, lower: str) -> None:
    assert lowered(stamp(text)) == lower


@pytest.mark.parametrize("text", ["", "garbage", "2026-13-01T00:00:00Z", "2026-05-01", "2026-05-01T00:00:00+05:30"])
def test_a_stamp_that_is_none_is_not_believed(text: str) -> None:
    assert stamp(text) == ""


def test_each_step_begins_where_the_one_before_ended() -> None:
    found = walk(shelf_of(*range(30)))
    assert [step.old for step in found[1:]] == [step.new for step in found[:-1]]
