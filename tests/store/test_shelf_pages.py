"""Whatever befalls view.db, each page is what a list of rows, filtered by hand, gives; and stamps only ever rise."""

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from entente.store.shelf_pages import ALL, FIRST, LAST, Listed, ShelfPages, Wanted
from entente.store.shelf_rows import Reader
from entente.store.view_db import ViewDb
from lab.listing import body_of, holding, record

SHELVES = ("area/own", "area/from")
IDS, ORDERS, PLACES, RANKS = ("a1", "a2", "b1"), ("", "1", "2", "3"), ("p", "q", "r"), (0, 1, 2, 3)
things = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from(ORDERS), st.sampled_from(("", "x")), st.sampled_from(RANKS)),
    max_size=6,
)


@dataclass
class Row:
    """What stands at (place, number); `since` is when it was listed in the model's own count, None if it is not."""

    place: str
    number: int
    id: str
    order: str
    content: str
    least: int
    shelf: str | None
    since: int | None = None
    rank: int = 0

    @property
    def key(self) -> tuple[str | None, str, str]:
        return self.shelf, self.id, self.order


@dataclass
class Model:
    """The rows as a list."""

    rows: list[Row] = field(default_factory=list)
    count: int = 0

    def settle(self, keys: Sequence[tuple[str | None, str, str]]) -> None:
        for key in dict.fromkeys(keys):
            group = [row for row in self.rows if row.key == key and key[0] is not None]
            listed = [row for row in group if row.since is not None]
            assert len(listed) < 2
            if not group:
                continue
            row = listed[0] if listed else min(group, key=lambda row: (row.place, row.number))
            rank = max(one.least for one in group)
            if row.since is None or rank < row.rank:
                self.count += 1
                row.since = self.count
            row.rank = rank

    def remove(self, gone: Sequence[Row], *, drop: bool) -> None:
        keys = [row.key for row in gone]
        for row in gone:
            row.shelf = row.since = None
        if drop:
            self.rows = [row for row in self.rows if row not in gone]
        self.settle(keys)

    def at(self, place: str) -> list[Row]:
        return sorted((row for row in self.rows if row.place == place), key=lambda row: row.number)


class Shelves(RuleBasedStateMachine):
    """view.db beside its model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "view.db"
        self.view, self.model, self.readers = ViewDb(path), Model(), {"one": 3}
        self.view.set_readers([Reader("one", 3, (), ("area",), "")])
        self.pages = ShelfPages(path)
        self.latest = 0

    def teardown(self) -> None:
        self.pages.close()
        self.view.close()
        self.folder.cleanup()

    # What befalls it

    @rule(place=st.sampled_from(PLACES), what=things, shelf=st.sampled_from((*SHELVES, "")))
    def put(self, place: str, what: list[tuple[str, str, str, int]], shelf: str) -> None:
        made = [(record(own, order, content), rank) for own, order, content, rank in what]
        self.view.put_holdings([holding(place, made, shelf=shelf)])
        self.model.remove(self.model.at(place), drop=True)
        for number, (own, order, content, rank) in enumerate(what):
            self.model.rows.append(Row(place, number, own, order, content, rank, shelf or None))
            listed = [row for row in self.model.rows if row.key == (shelf, own, order) and row.since is not None]
            if listed:
                listed[0].rank = max(listed[0].rank, rank)
            self.model.settle([(shelf or None, own, order)])

    @rule(place=st.sampled_from(PLACES), shelf=st.sampled_from(SHELVES))
    def list_holding(self, place: str, shelf: str) -> None:
        fresh = [row for row in self.model.at(place) if row.shelf is None]
        assert self.view.list_holding(place, shelf) == bool(fresh)
        for row in fresh:
            row.shelf = shelf
        self.model.settle([row.key for row in fresh])

    @rule(place=st.sampled_from(PLACES), forget=st.booleans())
    def leave(self, place: str, forget: bool) -> None:
        if forget:
            self.view.forget(place)
        else:
            with self.view.transaction():
                self.view.hide(place)
        self.model.remove([row for row in self.model.at(place) if row.shelf or forget], drop=forget)

    @rule(place=st.sampled_from(PLACES), rank=st.sampled_from(RANKS))
    def relist(self, place: str, rank: int) -> None:
        with self.view.transaction():
            self.view.relist(place, [rank])
        rows = [row for row in self.model.at(place) if row.shelf]
        for row in rows:
            row.least = rank
        self.model.settle([row.key for row in rows])

    @rule(shelf=st.sampled_from(SHELVES), own=st.sampled_from(IDS), order=st.sampled_from(ORDERS))
    def take_down(self, shelf: str, own: str, order: str) -> None:
        with self.view.transaction():
            self.view.take_down(self.view.copies(shelf, own, order, 99))
        self.model.remove([row for row in self.model.rows if row.key == (shelf, own, order)], drop=False)

    @rule(rank=st.sampled_from(RANKS))
    def certify(self, rank: int) -> None:
        self.view.set_readers([Reader("one", rank, (), ("area",), "")])
        before, self.readers["one"] = self.readers["one"], rank
        for shelf in sorted({row.shelf for row in self.model.rows if row.shelf}):
            for row in sorted(self.listed(shelf), key=lambda row: row.since or 0):
                if before < row.rank <= rank:
                    self.model.count += 1
                    row.since = self.model.count

    # What is seen

    def listed(self, shelf: str) -> list[Row]:
        return [row for row in self.model.rows if row.shelf == shelf and row.since is not None]

    @invariant()
    def stamps_rise(self) -> None:
        for shelf in SHELVES:
            rows = sorted(self.listed(shelf), key=lambda row: row.since or 0)
            found = self.pages.page(Wanted(shelf=shelf, rank=99, limit=999, versions=(ALL,)), bodies=True).rows
            assert [one.data for one in found] == [body_of(row.id, row.order, row.content).encode() for row in rows]
            assert all(first.stamp < second.stamp for first, second in itertools.pairwise(found))
        everything = [
            (row.since, one.stamp)
            for shelf in SHELVES
            for row, one in zip(
                sorted(self.listed(shelf), key=lambda row: row.since or 0),
                self.pages.page(Wanted(shelf=shelf, rank=99, limit=999, versions=(ALL,)), bodies=False).rows,
                strict=True,
            )
        ]
        assert sorted(everything) == sorted(everything, key=lambda pair: pair[1])

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        shelf, rank = data.draw(st.sampled_from(SHELVES)), data.draw(st.sampled_from((-1, *RANKS)))
        stamps = {
            row.data: row.stamp
            for row in self.pages.page(Wanted(shelf=shelf, rank=99, limit=999, versions=(ALL,)), bodies=True).rows
        }
        known = sorted(stamps.values())
        asked = Wanted(
            shelf=shelf,
            rank=rank,
            limit=data.draw(st.integers(1, 3)),
            after=data.draw(st.sampled_from([-1, -5, *known])),
            types=tuple(data.draw(st.sets(st.sampled_from(("a", "b", "c"))))),
            ids=tuple(data.draw(st.sets(st.sampled_from((*IDS, "z"))))),
            versions=tuple(data.draw(st.sets(st.sampled_from((FIRST, LAST, ALL, "1", "2", "9")), min_size=1))),
            stamps=tuple(data.draw(st.sets(st.sampled_from(known)))) if known else (),
        )
        want = [body for _, body in sorted(self.wanted(asked, stamps))]
        bodies = data.draw(st.booleans())
        got = [row for page in self.paged(asked, bodies=bodies) for row in page]
        assert [stamps[body] for body in want] == [row.stamp for row in got]
        assert not bodies or [row.data for row in got] == want
        for own in IDS:
            there = any(row.id == own and row.rank <= rank for row in self.listed(shelf))
            assert self.pages.knows(shelf, rank, own) == there

    def wanted(self, asked: Wanted, stamps: dict[bytes, int]) -> Iterator[tuple[int, bytes]]:
        """(stamp, bytes) of what is asked for, without limit."""
        rows = [
            (stamps[body_of(row.id, row.order, row.content).encode()], row)
            for row in self.listed(asked.shelf)
            if row.rank <= asked.rank
        ]
        rows = [(stamp, row) for stamp, row in rows if stamp > asked.after]
        for stamp, row in rows:
            if asked.types and row.id[0] not in asked.types:
                continue
            if asked.ids and row.id not in asked.ids:
                continue
            others = [other.order for _, other in rows if other.id == row.id]
            chosen = (
                ALL in asked.versions
                or (LAST in asked.versions and row.order == max(others))
                or (FIRST in asked.versions and row.order == min(others))
                or (row.order and row.order in asked.versions)
                or (not row.order and stamp in asked.stamps)
            )
            if chosen:
                yield stamp, body_of(row.id, row.order, row.content).encode()

    def paged(self, asked: Wanted, *, bodies: bool) -> Iterator[list[Listed]]:
        position = -1
        while True:
            page = self.pages.page(
                Wanted(
                    asked.shelf, asked.rank, asked.limit, asked.after, position,
                    asked.types, asked.ids, asked.versions, asked.stamps,
                ),
                bodies=bodies,
            )  # fmt: skip
            yield page.rows
            if not page.more:
                return
            assert len(page.rows) == asked.limit
            position = page.rows[-1].stamp


Shelves.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestShelves = Shelves.TestCase
