"""What is listed: stamps only ever rise, one version is listed once for the highest rank asked, and pages are exact.

`test_shelf_pages.py` compares whole histories with a list that is filtered by hand.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from entente.errors import BusyError
from entente.store import shelf_pages, shelf_rows
from entente.store.shelf_pages import ALL, FIRST, LAST, PAGE_BYTES, Pool, ShelfPages, Wanted
from entente.store.shelf_rows import NOBODY, Reader, Version
from entente.store.sqlite import _compiled
from entente.store.view_db import Holding, ViewDb
from lab.listing import SHELF, body_of, holding, record

Seen = list[tuple[str, str, str]]


@pytest.fixture
def view(tmp_path: Path) -> Iterator[ViewDb]:
    made = ViewDb(tmp_path / "view.db")
    made.mark_built()
    yield made
    made.close()


def page(view: ViewDb, rank: int = NOBODY - 1, **wanted: Any) -> shelf_pages.Page:
    asked: dict[str, Any] = {"limit": 1000, "versions": (ALL,)} | wanted
    reader = ShelfPages(view.path)
    try:
        return reader.page(Wanted(shelf=SHELF, rank=rank, **asked), bodies=True)
    finally:
        reader.close()


def seen(view: ViewDb, rank: int = NOBODY - 1) -> Seen:
    return [(row.id, row.version, row.data.decode()) for row in page(view, rank).rows]


def stamps(view: ViewDb) -> list[int]:
    return [row.stamp for row in page(view).rows]


def put(view: ViewDb, place: str, *what: tuple[str, str, int], content: str = "", **more: Any) -> None:
    """These (id, order, rank) are held at the place, and listed."""
    view.put_holdings([holding(place, [(record(own, order, content), rank) for own, order, rank in what], **more)])


def reader_of(rank: int, *areas: str) -> Reader:
    return Reader("AA/one", rank, (), areas or ("area",), "2030-01-01T00:00Z")


# Stamps


class _Clock:
    at = datetime(2026, 11, 22, tzinfo=UTC)

    @classmethod
    def now(cls, _zone: object) -> datetime:
        return cls.at


def test_stamps_rise_whatever_the_clock_says_and_across_restart_and_rebuild(
    view: ViewDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_rows, "datetime", _Clock)
    given: list[int] = []

    def more(view: ViewDb, place: str) -> None:
        put(view, place, *[(f"{place}-{n}", "", 0) for n in range(3)])
        given.extend(row.stamp for row in page(view).rows if row.id.startswith(place))

    for number, year in enumerate((2026, 2030, 1999, 1969, 2026)):
        monkeypatch.setattr(_Clock, "at", datetime(year, 11, 22, tzinfo=UTC))
        more(view, f"place{number}")
    again = ViewDb(view.path)
    more(again, "restarted")
    again.clear()
    more(again, "rebuilt")
    again.hide("rebuilt")
    again.close()
    assert given == sorted(set(given))
    assert len(given) == 21
    assert given[0] == shelf_rows.stamp_of(datetime(2026, 11, 22, tzinfo=UTC))
    assert given[3] == shelf_rows.stamp_of(datetime(2030, 11, 22, tzinfo=UTC))
    assert given[6] == given[5] + 1


def test_a_transaction_that_fails_gives_out_no_stamp_that_a_later_one_does_not_pass(view: ViewDb) -> None:
    put(view, "one", ("a", "", 0))

    def broken() -> Iterator[tuple[Any, int, int]]:
        yield record("b", ""), 0, 0
        raise RuntimeError

    with pytest.raises(RuntimeError):
        view.put_holdings([Holding("two", broken(), (), SHELF)])
    put(view, "three", ("c", "", 0))
    assert [own for own, _, _ in seen(view)] == ["a", "c"]
    assert stamps(view)[1] > stamps(view)[0]


# Twins


@pytest.mark.parametrize("content", ["", " ", "other"])
@pytest.mark.parametrize(("first", "second"), [(0, 3), (3, 0), (2, 2)])
def test_a_version_held_twice_is_listed_once_for_the_higher_rank(
    view: ViewDb, content: str, first: int, second: int
) -> None:
    put(view, "one", ("a", "1", first))
    put(view, "two", ("a", "1", second), content=content)
    assert seen(view) == [("a", "1", body_of("a", "1"))]
    assert seen(view, max(first, second)) == seen(view)
    assert not seen(view, max(first, second) - 1)


def test_a_version_held_twice_in_one_import_is_listed_once(view: ViewDb) -> None:
    put(view, "one", ("a", "1", 0), ("a", "1", 2), ("a", "1", 1))
    assert len(seen(view)) == 1
    assert not seen(view, 1)


@pytest.mark.parametrize("leave", ["hide", "forget", "take_down", "put"])
def test_where_the_listed_copy_goes_the_next_takes_its_place_for_the_highest_rank_left(
    view: ViewDb, leave: str
) -> None:
    put(view, "one", ("a", "1", 3), ("b", "1", 0))
    put(view, "two", ("a", "1", 0), content="two")
    put(view, "three", ("a", "1", 2), content="three")
    last = stamps(view)[-1]
    if leave == "take_down":
        with view.transaction():
            view.take_down([("one", record("a", "1").sha256)])
    elif leave == "put":
        put(view, "one", ("b", "1", 0))
    else:
        with view.transaction() if leave == "hide" else _nothing():
            getattr(view, leave)("one")
    heir = ("a", "1", body_of("a", "1", "three"))
    assert heir in seen(view, 2)
    assert heir not in seen(view, 1)
    assert [row.stamp > last for row in page(view).rows if row.id == "a"] == [True]


class _nothing:  # noqa: N801 - stands where `transaction` does
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_what_was_listed_for_more_because_of_a_copy_is_listed_anew_when_the_copy_goes(view: ViewDb) -> None:
    put(view, "one", ("a", "1", 0))
    (early,) = stamps(view)
    put(view, "two", ("a", "1", 3))
    assert stamps(view) == [early]
    view.forget("two")
    assert len(seen(view, 0)) == 1
    assert stamps(view)[0] > early


def test_who_could_not_read_the_first_adds_beside_it_and_neither_hides_the_other(view: ViewDb) -> None:
    put(view, "high", ("a", "1", 3))
    low = record("a", "1", "low")
    view.put_holdings([holding("low", [(low, 0)], apart={low.sha256: low.sha256})])
    view.put_holdings([holding("low again", [(low, 1)], apart={low.sha256: low.sha256})])
    assert [data for _, _, data in seen(view)] == [body_of("a", "1"), body_of("a", "1", "low")]
    assert [data for _, _, data in seen(view, 1)] == [body_of("a", "1", "low")]
    assert not seen(view, 0)
    assert [twin.rank for twin in view.twins(SHELF, "a", "1")] == [3, 1]
    view.forget("high")
    assert [data for _, _, data in seen(view)] == [body_of("a", "1", "low")]
    with view.transaction():
        view.take_down(view.copies(SHELF, "a", "1", 1))
    assert not seen(view)


def test_taking_down_what_one_may_read_leaves_what_one_may_not(view: ViewDb) -> None:
    put(view, "high", ("a", "1", 3))
    low = record("a", "1", "low")
    view.put_holdings([holding("low", [(low, 0)], apart={low.sha256: low.sha256})])
    with view.transaction():
        view.take_down(view.copies(SHELF, "a", "1", 0))
    assert [data for _, _, data in seen(view)] == [body_of("a", "1")]


# Raising, lowering, widening


def test_raising_hides_at_once_and_lowering_lists_anew(view: ViewDb) -> None:
    put(view, "one", ("a", "1", 1), ("b", "1", 1))
    early = stamps(view)
    with view.transaction():
        view.relist("one", [3])
    assert (seen(view, 2), stamps(view)) == ([], early)
    with view.transaction():
        view.relist("one", [0])
    assert len(seen(view, 0)) == 2
    assert min(stamps(view)) > max(early)
    late = stamps(view)
    with view.transaction():
        view.relist("one", [0])
    assert stamps(view) == late


def test_lowering_one_copy_does_not_lower_what_another_keeps_up(view: ViewDb) -> None:
    put(view, "one", ("a", "1", 2))
    put(view, "two", ("a", "1", 3))
    with view.transaction():
        view.relist("one", [0])
    assert not seen(view, 2)
    with view.transaction():
        view.relist("two", [1])
    assert (seen(view, 0), len(seen(view, 1))) == ([], 1)
    with view.transaction():
        view.relist("two", [3])
    assert not seen(view, 2)


def test_a_marking_that_is_not_there_is_for_nobody(view: ViewDb) -> None:
    put(view, "one", ("a", "1", 0))
    with view.transaction():
        view.relist("one", [])
    assert not seen(view)


@pytest.mark.parametrize(
    ("before", "after", "anew"),
    [
        (reader_of(0), reader_of(2), "bc"),
        (reader_of(1), reader_of(1), ""),
        (reader_of(3), reader_of(1), ""),
        (reader_of(3, "elsewhere"), reader_of(1, "area", "elsewhere"), "ab"),
        (None, reader_of(3), ""),
    ],
)
def test_what_a_person_gains_is_listed_anew_in_its_old_order(
    view: ViewDb, before: Reader | None, after: Reader, anew: str
) -> None:
    view.set_readers([before] if before else [])
    put(view, "one", ("a", "", 0), ("b", "", 1), ("c", "", 2), ("d", "", 3))
    last = stamps(view)[-1]
    view.set_readers([after])
    assert "".join(row.id for row in page(view).rows if row.stamp > last) == anew
    assert view.reader("AA/one") == after


def test_a_holding_without_a_shelf_is_listed_once_it_is_put_on_one(view: ViewDb) -> None:
    put(view, "one", ("a", "1", 0), ("b", "1", 3), shelf="")
    assert not seen(view)
    assert view.list_holding("one", SHELF)
    early = stamps(view)
    assert [own for own, _, _ in seen(view)] == ["a", "b"]
    assert not view.list_holding("one", SHELF)
    assert stamps(view) == early
    assert not seen(view, 2) or [own for own, _, _ in seen(view, 2)] == ["a"]


# Pages


_NAMES = (ALL, "exact", FIRST, LAST)
_CHOICES = [choice for size in range(1, 5) for choice in combinations(_NAMES, size)]


@pytest.mark.parametrize("versions", _CHOICES, ids="+".join)
def test_no_question_looks_at_every_row(plans: Callable[..., list[str]], versions: tuple[str, ...]) -> None:
    for types, ids, bodies in product((0, 1, 2), (False, True), (False, True)):
        steps = plans(shelf_pages._statement(versions, types=types, ids=ids, bodies=bodies))
        assert not [step for step in steps if step.startswith("SCAN") and "VIRTUAL" not in step], steps
        outer = next(step for step in steps if step.startswith("SEARCH thing USING"))
        if ids:
            assert "thing_version (shelf=? AND id=?" in outer, steps
        else:
            by_type = "thing_type (shelf=? AND type=? AND stamp>?"
            assert (by_type if types == 1 else "thing_listed (shelf=? AND stamp>?") in outer, steps
            assert not [step for step in steps if "ORDER BY" in step], steps
        for step in steps:
            assert not step.startswith("SEARCH later") or "thing_version (shelf=? AND id=?" in step, steps


@pytest.mark.parametrize("name", ["_known", "_twins", "_listed", "_group", "_copies", "_versions", "_widened"])
def test_no_look_up_looks_at_every_row(plans: Callable[..., list[str]], name: str) -> None:
    steps = plans(getattr(shelf_pages if name == "_known" else shelf_rows, name))
    index = "thing_listed" if name == "_widened" else "thing_version"
    searches = [step for step in steps if not step.startswith("USE TEMP")]
    assert searches
    assert all(index in step and step.startswith("SEARCH") for step in searches), steps


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[str]]]:
    view = ViewDb(tmp_path_factory.mktemp("plans") / "view.db")
    put(view, "one", *[(f"{n % 50}", f"{n}", n % 4) for n in range(500)])

    def get(statement: Any) -> list[str]:
        text, constants = _compiled(statement)
        names = dict.fromkeys(statement.compile().params, 0)
        found = view.raw.execute(f"EXPLAIN QUERY PLAN {text}", names | constants).fetchall()
        return [str(row[3]) for row in found]

    yield get
    view.close()


def test_a_page_ends_before_it_gets_too_long_but_never_without_an_object(view: ViewDb) -> None:
    sizes = [PAGE_BYTES // 2, PAGE_BYTES // 2, 1, PAGE_BYTES + 5, 1, 1]
    things = [(record(f"{n}", "", "x" * size, exact=True), 0) for n, size in enumerate(sizes)]
    view.put_holdings([holding("one", things)])
    position, pages = -1, []
    while True:
        found = page(view, position=position)
        pages.append([row.id for row in found.rows])
        if not found.more:
            break
        position = found.rows[-1].stamp
    assert pages == [["0", "1"], ["2"], ["3"], ["4", "5"]]


def test_nothing_is_read_while_the_file_is_made_anew(view: ViewDb) -> None:
    put(view, "one", ("a", "", 0))
    pool = Pool(view.path)
    with pool.reading() as pages:
        assert pages.knows(SHELF, 0, "a")
    view.clear()
    with pytest.raises(BusyError), pool.reading():
        pass
    put(view, "one", ("a", "", 0))
    with pytest.raises(BusyError), pool.reading():
        pass
    view.mark_built()
    with pool.reading() as pages:
        assert pages.knows(SHELF, 0, "a")
        put(view, "two", ("b", "", 0))
        assert not pages.knows(SHELF, 0, "b")
    with pool.reading() as pages:
        assert pages.knows(SHELF, 0, "b")
    pool.close()


def test_what_is_not_listed_does_not_stand_before_what_is(view: ViewDb) -> None:
    """An unlisted copy for a lower rank must not count as a later version, however far back the reader asks."""
    put(view, "one", ("a", "1", 0), ("a", "2", 3))
    put(view, "two", ("a", "2", 0), content="other")
    for after in (-1, -(10**15)):
        found = page(view, rank=0, versions=(LAST,), after=after)
        assert [row.version for row in found.rows] == ["1"], after


def test_a_version_is_known_by_its_shelf_too(view: ViewDb) -> None:
    put(view, "one", ("a", "1", 0))
    assert view.is_listed(Version(SHELF, "a", "1"), 0)
    assert not view.is_listed(Version("area/other", "a", "1"), 0)
