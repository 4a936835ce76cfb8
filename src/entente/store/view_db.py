"""view.db: plaintext objects, search tables and the saved fold. Never backed up; dropped and rebuilt at will."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from sqlalchemy import Text, bindparam, cast, delete, insert, select, update

from entente.account.state import Pair
from entente.store import tables as t
from entente.store.find_rows import FindRows, like
from entente.store.place_rows import PlaceRows
from entente.store.shelf_rows import BUILT, Version
from entente.store.sqlite import version_of
from entente.store.thing_rows import ThingRows
from entente.strict import encode, read_own
from entente.treaty.marking import Marking
from entente.treaty.record import Record

VERSION = 5
_add_thing = insert(t.thing)
_drop_things = delete(t.thing).where(t.thing.c.place == bindparam("b_place"))
_drop_holding = delete(t.holding).where(t.holding.c.place == bindparam("b_place"))
_drop_all_things, _drop_all_holdings = delete(t.thing), delete(t.holding)
_THING = [t.thing.c[name] for name in ("id", "type", "version", "title", "sha256", "marking", "size")]
_things = select(*_THING).where(t.thing.c.place == bindparam("b_place")).order_by(t.thing.c.number)
_search = (
    select(t.thing.c.place, *_THING)
    .where(
        t.thing.c.title.like(bindparam("b_like"), escape="\\")
        | t.thing.c.text.like(bindparam("b_like"), escape="\\")
        | cast(t.thing.c.data, Text).like(bindparam("b_like"), escape="\\")
    )
    .order_by(t.thing.c.place, t.thing.c.number)
    .limit(bindparam("b_most"))
)
_bodies = select(t.thing.c.data).where(t.thing.c.place == bindparam("b_place")).order_by(t.thing.c.number)
_bodies_on_shelf = (
    select(t.thing.c.data)
    .where(t.thing.c.place == bindparam("b_place"), t.thing.c.shelf.is_not(None))
    .order_by(t.thing.c.number)
)
_listed = (
    select(t.thing.c.place, t.thing.c.data, *_THING)
    .where(t.thing.c.shelf == bindparam("b_shelf"), t.thing.c.stamp >= 0)
    .order_by(t.thing.c.stamp)
)
_beside = (
    select(t.thing.c.place, t.thing.c.data, *_THING)
    .where(t.thing.c.shelf == bindparam("b_shelf"), t.thing.c.stamp.is_(None))
    .order_by(t.thing.c.place, t.thing.c.number)
)
_body = select(t.thing.c.data).where(t.thing.c.place == bindparam("b_place"), t.thing.c.number == bindparam("b_number"))
_titles = select(t.thing.c.sha256, t.thing.c.id, t.thing.c.title).where(t.thing.c.place == bindparam("b_place"))
_unlisted = (
    select(t.thing.c.id, t.thing.c.order, t.thing.c.apart)
    .where(t.thing.c.place == bindparam("b_place"), t.thing.c.shelf.is_(None))
    .order_by(t.thing.c.number)
)
_put_on = (
    update(t.thing)
    .where(t.thing.c.place == bindparam("b_place"), t.thing.c.shelf.is_(None))
    .values(shelf=bindparam("b_shelf"))
)
_places_of = select(t.thing.c.place).where(t.thing.c.sha256 == bindparam("b_sha256"))
_put_holding = insert(t.holding).prefix_with("OR REPLACE")
_holding = select(t.holding.c.markings, t.holding.c.count).where(t.holding.c.place == bindparam("b_place"))
_put_fold = insert(t.saved_fold).prefix_with("OR REPLACE")
_drop_built = delete(t.saved_fold).where(t.saved_fold.c.id == BUILT)
_get_fold = select(t.saved_fold.c.heads, t.saved_fold.c.data).where(t.saved_fold.c.id == 1)


class Holding(msgspec.Struct, frozen=True):
    """The records that rest at a place, each with its marking (an index) and the least rank that may read it.

    `shelf` is what they are listed with; empty for nothing. `apart` names, by digest, those that stand beside another
    with the same id and version, and what they are told apart by.
    """

    place: str
    records: Iterable[tuple[Record, int, int]]
    markings: Iterable[Marking] = ()
    shelf: str = ""
    apart: Mapping[str, str] = msgspec.field(default_factory=dict)


class Thing(msgspec.Struct, frozen=True):
    """One object version as people see it; `marking` indexes its holding's markings, `size` counts its bytes."""

    id: str
    type: str
    version: str
    title: str
    sha256: str
    marking: int
    size: int

    @property
    def name(self) -> tuple[str, str, str]:
        """By what people know it: id, type and title."""
        return self.id, self.type, self.title


class ViewDb(FindRows, ThingRows, PlaceRows):
    """Projections. A `place` is an import's id or a release's rid."""

    def __init__(self, path: Path) -> None:
        """Open it; what another version of this program wrote is dropped."""
        if path.exists() and version_of(path) != VERSION:
            for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                name.unlink(missing_ok=True)
        super().__init__(path, t.view, version=VERSION, durable=False)

    def mark_built(self) -> None:
        """It holds all that was taken in before."""
        self.run(_put_fold, id=BUILT, heads="", data=b"")

    def clear(self) -> None:
        """It holds nothing, and nothing of what it held is in the file."""
        with self.transaction():
            for statement in (_drop_all_things, _drop_all_holdings, _drop_built):
                self.run(statement)
        self.wipe()

    def put_holdings(self, holdings: Iterable[Holding]) -> None:
        """The records of all these places can be listed and read; idempotent by place.

        Of a version that stands on the shelf already, the first row stays listed, for the higher rank of the two.
        """
        with self.transaction():
            for holding in holdings:
                self._put_holding(holding)

    def _put_holding(self, holding: Holding) -> None:
        place, shelf = holding.place, holding.shelf
        self.hide(place)
        self.run(_drop_things, b_place=place)
        first, count = self.next_stamps(0).start, 0

        def rows() -> Iterator[dict[str, object]]:  # one at a time: 100,000 of them would take more than the records
            nonlocal count
            for record, marking, rank in holding.records:
                apart = holding.apart.get(record.sha256, "")
                listed = bool(shelf) and not self.is_listed(Version(shelf, record.id, record.order, apart), rank)
                yield {
                    "place": place,
                    "number": count,
                    "id": record.id,
                    "type": record.type,
                    "version": record.version,
                    "order": record.order,
                    "title": record.title,
                    "sha256": record.sha256,
                    "marking": marking,
                    "least": rank,
                    "rank": rank,
                    "apart": apart,
                    "size": record.size,
                    "shelf": shelf or None,
                    "stamp": first + count if listed else None,
                    "text": record.text,
                    "data": record.data if isinstance(record.data, bytes) else b"",
                }
                count += 1

        self.run_many(_add_thing, rows())
        if shelf and count:
            self.set_number("stamp", first + count - 1)
        marks = msgspec.json.encode([msgspec.to_builtins(marking) for marking in holding.markings])
        self.run(_put_holding, place=place, markings=marks, count=count)

    def list_holding(self, place: str, shelf: str) -> bool:
        """What rests at a place without a shelf is listed on this one, in its order; whether there was anything."""
        with self.transaction():
            rows = self.all(_unlisted, b_place=place)
            self.run(_put_on, b_place=place, b_shelf=shelf)
            self.settle(Version(shelf, *row) for row in rows)
        return bool(rows)

    def things(self, place: str) -> list[Thing]:
        """The objects of a place, in order."""
        return [Thing(*row) for row in self.all(_things, b_place=place)]

    def bodies(self, place: str) -> list[bytes]:
        """The exact bytes of the objects of a place, in order; empty where they are long (`node.held` reads those)."""
        return [bytes(row[0]) for row in self.all(_bodies, b_place=place)]

    def bodies_on_shelf(self, place: str) -> list[bytes]:
        """The exact bytes of those objects of a place that nobody has taken from its shelf, in order."""
        return [bytes(row[0]) for row in self.all(_bodies_on_shelf, b_place=place)]

    def listed(self, shelf: str) -> Iterator[tuple[str, Thing, bytes]]:
        """(place, object, its exact bytes) of whatever is listed on a shelf, for whomever, in the order of listing.

        The file must stay open until the last.
        """
        for row in self.each(_listed, b_shelf=shelf):
            yield str(row[0]), Thing(*row[2:]), bytes(row[1])

    def beside(self, shelf: str) -> Iterator[tuple[str, Thing, bytes]]:
        """The same of whatever belongs to a shelf where another row of the same version is listed."""
        for row in self.each(_beside, b_shelf=shelf):
            yield str(row[0]), Thing(*row[2:]), bytes(row[1])

    def body(self, place: str, number: int) -> bytes:
        """The exact bytes of one object of a place; empty if there is none, or if it is long."""
        row = self.one(_body, b_place=place, b_number=number)
        return b"" if row is None else bytes(row[0])

    def each_body(self, place: str) -> Iterator[bytes]:
        """The same, one at a time; the file must stay open until the last."""
        for (data,) in self.each(_bodies, b_place=place):
            yield bytes(data)

    def search(self, words: str, most: int) -> list[tuple[str, Thing]]:
        """(place, object) of whatever holds these words in its title, text or bytes, at most so many.

        Case counts for letters beyond ASCII.
        """
        return [(str(row[0]), Thing(*row[1:])) for row in self.all(_search, b_like=like(words), b_most=most)]

    def places_of(self, sha256: str) -> list[str]:
        """The imports and releases in which these very bytes are."""
        return [str(row[0]) for row in self.all(_places_of, b_sha256=sha256)]

    def titles(self, place: str) -> dict[str, tuple[str, str]]:
        """Digest → (id, title) of a place's objects."""
        return {str(row[0]): (str(row[1]), str(row[2])) for row in self.all(_titles, b_place=place)}

    def holding(self, place: str) -> tuple[list[Marking], int] | None:
        """The markings and count of a place, or None if it is not held."""
        row = self.one(_holding, b_place=place)
        return None if row is None else (read_own(bytes(row[0]), list[Marking]), int(row[1]))

    def forget(self, place: str) -> None:
        """Nothing of the place is in this file any more."""
        with self.transaction():
            self.hide(place)
            self.drop_statuses(place)
            self.run(_drop_things, b_place=place)
            self.run(_drop_holding, b_place=place)
        self.wipe()

    def save_fold(self, heads: str, pair: Pair) -> None:
        """The fold at these heads need not be computed again."""
        self.run(_put_fold, id=1, heads=heads, data=msgspec.msgpack.encode(pair))

    def saved_fold(self) -> tuple[str, Pair] | None:
        """(heads, fold) as last saved, or None; a fold that no longer decodes counts as none."""
        row = self.one(_get_fold)
        if row is None:
            return None
        try:
            return str(row[0]), msgspec.msgpack.decode(bytes(row[1]), type=Pair, strict=False)
        except msgspec.MsgspecError:
            return None


def heads_text(heads: dict[str, tuple[int, str]], laws: list[str]) -> str:
    """The heads a fold was made at and the agreements it knew, as one canonical line."""
    return encode(_Heads(heads, laws)).decode()


class _Heads(msgspec.Struct):
    heads: dict[str, tuple[int, str]]
    laws: list[str]
