"""Pages of what is listed in view.db, for one reader: the clearance is part of the question, before all counting.

Reads are short and take no lock of the node. A page goes on where the last one ended, by stamp: an index finds the
place, however far it is.
"""

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import msgspec
from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, or_, select

from entente.errors import BusyError
from entente.store import tables as t
from entente.store.shelf_rows import ShelfRows
from entente.store.view_db import VERSION

PAGE_BYTES = 16 << 20  # a page ends before it gets longer, but for its first object
FIRST, LAST, ALL = "first", "last", "all"
CONNECTIONS = 8

_thing = t.thing.c
_get_status = select(t.status.c.handle, t.status.c.shelf, t.status.c.data).where(t.status.c.id == bindparam("b_id"))
_known = select(_thing.id).where(
    _thing.shelf == bindparam("b_shelf"),
    _thing.id == bindparam("b_id"),
    func.coalesce(_thing.stamp, -1) >= 0,
    _thing.rank <= bindparam("b_rank"),
).limit(1)  # fmt: skip


class Wanted(msgspec.Struct, frozen=True):
    """What is asked for: whose shelf, up to which rank, listed after when, and which of it.

    `after` is the filter's own limit and `position` where the page goes on (not before `after`), both stamps. `types`
    and `ids` are alternatives, empty for any. `versions` holds FIRST, LAST, ALL or the exact orders of versions;
    `stamps` those of objects that have no versions of their own.
    """

    shelf: str
    rank: int
    limit: int
    after: int = -1
    position: int = -1
    types: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    versions: tuple[str, ...] = (LAST,)
    stamps: tuple[int, ...] = ()


class Listed(msgspec.Struct, frozen=True):
    """One listed version; `data` is empty where no bodies were asked for."""

    stamp: int
    id: str
    version: str
    data: bytes


class Page(msgspec.Struct, frozen=True):
    """Listed versions in the order of their stamps, and whether more follow."""

    rows: list[Listed]
    more: bool


@cache
def _statement(versions: tuple[str, ...], *, types: int, ids: bool, bodies: bool) -> Select[tuple[object, ...]]:
    """The question of one shape. `types`: how many, at most 2 for several."""
    later = t.thing.alias("later")
    columns = [_thing.stamp, _thing.id, _thing.version, *([_thing.data] if bodies else [])]
    # where ids are named, their index is to be used, not that of stamps
    stamp = func.coalesce(_thing.stamp, -1) if ids else _thing.stamp
    where: list[ColumnElement[bool]] = [
        _thing.shelf == bindparam("b_shelf"),
        stamp > bindparam("b_position"),
        _thing.rank <= bindparam("b_rank"),
    ]
    if types == 1:
        where.append(_thing.type == bindparam("b_types"))
    elif types:
        where.append(_thing.type.in_(_listed_in("b_types")))
    if ids:
        where.append(_thing.id.in_(_listed_in("b_ids")))
    same = and_(
        later.c.shelf == bindparam("b_shelf"),
        later.c.id == _thing.id,
        func.coalesce(later.c.stamp, -1) > bindparam("b_after"),  # or the index of stamps would be used, not of ids
        later.c.rank <= bindparam("b_rank"),
    )
    choices: list[ColumnElement[bool]] = []
    if LAST in versions:
        choices.append(~exists().where(same, later.c.order > _thing.order))
    if FIRST in versions:
        choices.append(~exists().where(same, later.c.order < _thing.order))
    if "exact" in versions:
        choices.append(and_(_thing.order != "", _thing.order.in_(_listed_in("b_versions"))))
        choices.append(and_(_thing.order == "", _thing.stamp.in_(_listed_in("b_stamps"))))
    if choices and ALL not in versions:
        where.append(or_(*choices))
    return select(*columns).where(*where).order_by(_thing.stamp).limit(bindparam("b_limit"))


def _listed_in(name: str) -> Select[tuple[object]]:
    return select(func.json_each(bindparam(name)).table_valued("value").c.value)


class ShelfPages(ShelfRows):
    """One connection for readers."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, t.view, version=VERSION, durable=False)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """What is read inside is one state of the file, in which nothing is missing, or listed that should not be.

        Raises: BusyError while the file is being made anew.
        """
        self.raw.execute("BEGIN")
        try:
            if not self.built:
                raise BusyError("view.db is being made anew", remedy="Try again in a moment.")
            yield
        finally:
            self.raw.execute("COMMIT")

    def page(self, wanted: Wanted, *, bodies: bool) -> Page:
        """At most `wanted.limit` listed versions, and at most PAGE_BYTES."""
        named = {each for each in wanted.versions if each in (FIRST, LAST, ALL)}
        exact = [each for each in wanted.versions if each not in named]
        shape = tuple(sorted(named | ({"exact"} if exact or wanted.stamps else set())))
        statement = _statement(shape, types=min(len(wanted.types), 2), ids=bool(wanted.ids), bodies=bodies)
        values: dict[str, object] = {
            "b_shelf": wanted.shelf,
            "b_position": max(wanted.position, wanted.after),
            "b_rank": wanted.rank,
            "b_limit": wanted.limit + 1,
        }
        if {FIRST, LAST} & named:
            values["b_after"] = max(wanted.after, -1)  # what is not listed counts as -1
        if wanted.types:
            values["b_types"] = wanted.types[0] if len(wanted.types) == 1 else _json(wanted.types)
        if wanted.ids:
            values["b_ids"] = _json(wanted.ids)
        if "exact" in shape and ALL not in named:
            values |= {"b_versions": _json(exact), "b_stamps": _json(wanted.stamps)}
        rows: list[Listed] = []
        size = 0
        for row in self.each(statement, **values):
            data = bytes(row[3]) if bodies else b""
            size += len(data)
            if len(rows) == wanted.limit or (rows and size > PAGE_BYTES):
                return Page(rows, more=True)
            rows.append(Listed(int(row[0]), str(row[1]), str(row[2]), data))
        return Page(rows, more=False)

    def knows(self, shelf: str, rank: int, own_id: str) -> bool:
        """Whether any version of an id stands on the shelf for this rank."""
        return self.one(_known, b_shelf=shelf, b_rank=rank, b_id=own_id) is not None

    def status(self, name: str) -> tuple[str, str, bytes] | None:
        """(handle, shelf, outcome) of one act of adding; None if there is none."""
        row = self.one(_get_status, b_id=name)
        return None if row is None else (str(row[0]), str(row[1]), bytes(row[2]))


class Pool:
    """A few connections to view.db; whoever reads has one to itself."""

    def __init__(self, path: Path) -> None:
        self._all = [ShelfPages(path) for _ in range(CONNECTIONS)]
        self._free: queue.SimpleQueue[ShelfPages] = queue.SimpleQueue()
        for each in self._all:
            self._free.put(each)

    @contextmanager
    def reading(self) -> Iterator[ShelfPages]:
        """A connection, once one is free; as `ShelfPages.whole`."""
        one = self._free.get()
        try:
            with one.whole():
                yield one
        finally:
            self._free.put(one)

    def close(self) -> None:
        """No connection is open."""
        for each in self._all:
            each.close()


def _json(items: Sequence[object]) -> str:
    return msgspec.json.encode(items).decode()
