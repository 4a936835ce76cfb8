"""The part of view.db that a person reviews by: rows of one place by number, and every place of one id."""

from collections.abc import Collection, Iterable

import msgspec
from sqlalchemy import bindparam, func, select

from entente.store import tables as t
from entente.store.sqlite import Database, Row

_c = t.thing.c
_ROW = _c.place, _c.number, _c.id, _c.type, _c.version, _c.title, _c.sha256, _c.marking, _c.rank, _c.size
_highest = select(func.max(_c.least), func.max(_c.rank)).where(_c.place == bindparam("b_place"))
_ranks = select(_c.rank, func.count()).where(_c.place == bindparam("b_place")).group_by(_c.rank)
_some = (
    select(*_ROW)
    .where(_c.place == bindparam("b_place"), _c.rank <= bindparam("b_rank"))
    .order_by(_c.number)
    .limit(bindparam("b_most"))
    .offset(bindparam("b_first"))
)
_row_at = select(*_ROW).where(_c.place == bindparam("b_place"), _c.number == bindparam("b_number"))
_place = func.coalesce(
    _c.place, ""
)  # or the rows of the place would be gone through, not the index of the other column
_by_digest = select(*_ROW).where(_c.sha256 == bindparam("b_sha256"), _place == bindparam("b_place"))
_by_id = (
    select(*_ROW)
    .where(_c.shelf == bindparam("b_shelf"), _c.id == bindparam("b_id"))
    .order_by(_c.order, _c.place, _c.number)
)
_same = _c.id == bindparam("b_id"), _c.order == bindparam("b_order")
_number_of = select(_c.number).where(_c.place == bindparam("b_place"), *_same)
_number_on = select(_c.number).where(_c.shelf == bindparam("b_shelf"), *_same, _place == bindparam("b_place"))
_shelf_at = select(_c.shelf).where(_c.place == bindparam("b_place")).order_by(_c.number).limit(1)
_at_place = select(*_ROW).where(_c.place == bindparam("b_place")).order_by(_c.number)


class Resting(msgspec.Struct, frozen=True):
    """One object version where it rests, without its bytes; `rank` is the least clearance that may read it."""

    place: str
    number: int
    id: str
    type: str
    version: str
    title: str
    sha256: str
    marking: int
    rank: int
    size: int


class ThingRows(Database):
    """Questions only: nothing here writes."""

    def highest(self, place: str) -> int:
        """The highest rank that any object of a place asks for, by its own marking or by a copy of it; 0 if none."""
        row = self.one(_highest, b_place=place)
        return max((int(rank) for rank in row or () if rank is not None), default=0)

    def ranks(self, place: str) -> dict[int, int]:
        """How many objects of a place ask for each rank; counted in an index."""
        return {int(row[0]): int(row[1]) for row in self.all(_ranks, b_place=place)}

    def some(self, place: str, rank: int, first: int, most: int) -> list[Resting]:
        """Some objects of a place that this rank may read, in their order, from the `first` of these on."""
        rows = self.all(_some, b_place=place, b_rank=rank, b_first=first, b_most=most)
        return [Resting(*row) for row in rows]

    def resting(self, place: str, number: int) -> Resting | None:
        """One object of a place."""
        return _resting(self.one(_row_at, b_place=place, b_number=number))

    def with_digest(self, place: str, sha256: str) -> Resting | None:
        """The object of a place that has exactly these bytes."""
        return _resting(self.one(_by_digest, b_sha256=sha256, b_place=place))

    def with_digests(self, place: str, wanted: Collection[str]) -> dict[str, Resting]:
        """By digest, the objects of a place that have one of these: a walk over all of them."""
        return {str(row[6]): Resting(*row) for row in self.each(_at_place, b_place=place) if row[6] in wanted}

    def on_shelf(self, shelf: str, own_id: str) -> list[Resting]:
        """Every row of an id that belongs to a shelf, whether listed or beside another, by version."""
        return [Resting(*row) for row in self.all(_by_id, b_shelf=shelf, b_id=own_id)]

    def number_of(self, place: str, own_id: str, order: str) -> int | None:
        """At which number of a place this version of an id stands; an index finds it while the place is on a shelf."""
        on = self.one(_shelf_at, b_place=place)
        values = {"b_place": place, "b_id": own_id, "b_order": order}
        row = self.one(_number_on, b_shelf=on[0], **values) if on is not None and on[0] is not None else None
        row = self.one(_number_of, **values) if row is None else row
        return None if row is None else int(row[0])

    def with_ids(self, place: str, ids: Iterable[str]) -> list[Resting]:
        """The objects of a place that have one of these ids: a walk over all of them."""
        wanted = frozenset(ids)
        return [Resting(*row) for row in self.each(_at_place, b_place=place) if row[2] in wanted]


def _resting(row: Row | None) -> Resting | None:
    return None if row is None else Resting(*row)
