"""The part of view.db that a list of one place reads: its objects page by page, for one clearance, before counting."""

from functools import cache

from sqlalchemy import ColumnElement, Select, bindparam, func, select

from entente.store import tables as t
from entente.store.find_rows import like
from entente.store.sqlite import Database
from entente.store.thing_rows import Resting

_c = t.thing.c
_ROW = _c.place, _c.number, _c.id, _c.type, _c.version, _c.title, _c.sha256, _c.marking, _c.rank, _c.size
_types = (
    select(_c.type).where(_c.place == bindparam("b_place"), _c.rank <= bindparam("b_rank")).distinct().order_by(_c.type)
)


@cache
def _where(*, typed: bool, worded: bool) -> tuple[ColumnElement[bool], ...]:
    found: list[ColumnElement[bool]] = [_c.place == bindparam("b_place"), _c.rank <= bindparam("b_rank")]
    if typed:
        found.append(_c.type == bindparam("b_type"))
    if worded:
        found.append(_c.title.like(bindparam("b_like"), escape="\\"))
    return tuple(found)


@cache
def _page(*, typed: bool, worded: bool) -> Select[tuple[object, ...]]:
    chosen = select(*_ROW).where(*_where(typed=typed, worded=worded)).order_by(_c.number)
    return chosen.limit(bindparam("b_most")).offset(bindparam("b_first"))


@cache
def _count(*, typed: bool, worded: bool) -> Select[int]:
    return select(func.count()).select_from(t.thing).where(*_where(typed=typed, worded=worded))


class PlaceRows(Database):
    """Questions only: nothing here writes. `rank` is the reader's; what asks for more is neither listed nor counted."""

    def page_of(
        self, place: str, rank: int, first: int, most: int, *, kind: str = "", words: str = ""
    ) -> list[Resting]:
        """The objects of a place from the `first` on, at most so many, of one type and with words in their title."""
        values = _values(place, rank, kind, words)
        found = self.all(_page(typed=bool(kind), worded=bool(words)), **values, b_first=first, b_most=most)
        return [Resting(*row) for row in found]

    def count_of(self, place: str, rank: int, *, kind: str = "", words: str = "") -> int:
        """How many there are of them."""
        row = self.one(_count(typed=bool(kind), worded=bool(words)), **_values(place, rank, kind, words))
        return 0 if row is None else int(row[0])

    def types_of(self, place: str, rank: int) -> list[str]:
        """The types among them, sorted."""
        return [str(row[0]) for row in self.all(_types, b_place=place, b_rank=rank)]


def _values(place: str, rank: int, kind: str, words: str) -> dict[str, object]:
    found: dict[str, object] = {"b_place": place, "b_rank": rank}
    return found | ({"b_type": kind} if kind else {}) | ({"b_like": like(words)} if words else {})
