"""The part of view.db about what is listed: objects on shelves in the order in which they were committed.

A shelf holds the object versions that belong together for who reads them (an area's own imports, what the partner
released). Each listed row has a stamp, given out inside the write transaction that lists it: later than every stamp
given out before, whatever the clock says, so that who has read to a stamp misses nothing that is listed after it. What
becomes readable for more people is listed anew, with new stamps. One version of an id is listed once.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import bindparam, delete, func, insert, null, select, update

from entente.store import tables as t
from entente.store.sqlite import Database, Row
from entente.strict import read_own

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOBODY = 1 << 30  # the rank of what no clearance reads

_thing = t.thing.c
_get_mark = select(t.mark.c.value).where(t.mark.c.name == bindparam("b_name"))
_put_mark = insert(t.mark).prefix_with("OR REPLACE")
_same = bindparam("b_shelf") == _thing.shelf, bindparam("b_id") == _thing.id, bindparam("b_order") == _thing.order
_is_listed = func.coalesce(_thing.stamp, -1) >= 0  # written so, the index of versions is used, not that of stamps
_twin = select(_thing.place, _thing.number, _thing.sha256, _thing.rank).where(*_same, _is_listed)
_row = _thing.place == bindparam("b_place"), _thing.number == bindparam("b_number")
_set_rank = update(t.thing).where(*_row).values(rank=bindparam("b_rank"))
_restamp = update(t.thing).where(*_row).values(stamp=bindparam("b_stamp"))
_widened = (
    select(_thing.place, _thing.number)
    .where(
        _thing.shelf == bindparam("b_shelf"),
        _thing.stamp.is_not(None),
        _thing.rank > bindparam("b_above"),
        _thing.rank <= bindparam("b_upto"),
    )
    .order_by(_thing.stamp)
)
_at_place = (
    select(_thing.number, _thing.shelf, _thing.id, _thing.order, _thing.rank, _thing.stamp, _thing.marking)
    .where(_thing.place == bindparam("b_place"), _thing.shelf.is_not(None))
    .order_by(_thing.number)
)
_heir = (
    select(_thing.place, _thing.number)
    .where(*_same, _thing.stamp.is_(None))
    .order_by(_thing.place, _thing.number)
    .limit(1)
)
_highest = select(func.max(_thing.rank)).where(*_same, _thing.stamp.is_(None))
_hide = update(t.thing).where(_thing.place == bindparam("b_place")).values(stamp=null(), shelf=null())
_take_down = (
    update(t.thing)
    .where(_thing.place == bindparam("b_place"), _thing.sha256 == bindparam("b_sha256"))
    .values(stamp=null(), shelf=null())
)
_copies = select(_thing.place, _thing.sha256).where(*_same)
_versions = (
    select(_thing.order, _thing.stamp, _thing.rank, _thing.place, _thing.sha256)
    .where(_thing.shelf == bindparam("b_shelf"), _thing.id == bindparam("b_id"), _is_listed)
    .order_by(_thing.order)
)
_shelves = select(_thing.shelf).where(_thing.shelf.is_not(None)).distinct()
_readers = select(t.reader).order_by(t.reader.c.handle)
_reader = select(t.reader).where(t.reader.c.handle == bindparam("b_handle"))
_put_reader = insert(t.reader).prefix_with("OR REPLACE")
_put_status = insert(t.status).prefix_with("OR REPLACE")
_drop_status = delete(t.status).where(t.status.c.place == bindparam("b_place"))


def stamp_of(moment: datetime) -> int:
    """A time as a stamp: microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def time_of(stamp: int) -> str:
    """A stamp as the time it is: RFC 3339 with six digits of a second."""
    return (_EPOCH + timedelta(microseconds=stamp)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Listing(msgspec.Struct, frozen=True):
    """A version that stands on a shelf: its order among the versions of its id, its stamp, and where its bytes are."""

    order: str
    stamp: int
    rank: int
    place: str
    sha256: str


class Reader(msgspec.Struct, frozen=True):
    """A person as certified: the rank of the clearance, roles and areas, and until when."""

    handle: str
    rank: int
    roles: tuple[str, ...]
    areas: tuple[str, ...]
    until: str


class ShelfRows(Database):
    """What is listed, and for whom. Every method but the questions belongs inside a transaction."""

    def next_stamps(self, count: int) -> range:
        """So many new stamps, each later than every one given out before."""
        first = max(stamp_of(datetime.now(UTC)), self.number("stamp") + 1)
        if count:
            self.set_number("stamp", first + count - 1)
        return range(first, first + count)

    def number(self, name: str) -> int:
        """A number that was kept under a name; 0 if none was."""
        row = self.one(_get_mark, b_name=name)
        return int(row[0]) if row is not None else 0

    def set_number(self, name: str, value: int) -> None:
        """This number is kept under a name."""
        self.run(_put_mark, name=name, value=value)

    def twin(self, shelf: str, own_id: str, order: str) -> tuple[str, int, str, int] | None:
        """(place, number, digest, rank) of the row by which this version stands on the shelf; None if it does not."""
        row = self.one(_twin, b_shelf=shelf, b_id=own_id, b_order=order)
        return None if row is None else (str(row[0]), int(row[1]), str(row[2]), int(row[3]))

    def set_rank(self, place: str, number: int, rank: int) -> None:
        """A row is for that clearance and up."""
        self.run(_set_rank, b_place=place, b_number=number, b_rank=rank)

    def widen(self, shelf: str, above: int, upto: int) -> int:
        """What is listed on a shelf for these ranks is listed anew, in its old order; returns how many rows that is."""
        return self.stamp_anew(
            [(str(row[0]), int(row[1])) for row in self.all(_widened, b_shelf=shelf, b_above=above, b_upto=upto)]
        )

    def relist(self, place: str, ranks: Sequence[int]) -> None:
        """What is listed from a place is for these ranks, one for each of its markings, as far as no copy is for more.

        A row that becomes readable for more people gets a new stamp.
        """
        anew = []
        for number, shelf, own, order, rank, stamp, marking in self.all(_at_place, b_place=place):
            now = ranks[marking] if marking < len(ranks) else NOBODY
            if stamp is not None:
                above = self.one(_highest, b_shelf=shelf, b_id=own, b_order=order)
                now = max(now, int(above[0]) if above is not None and above[0] is not None else 0)
            elif (twin := self.twin(shelf, own, order)) is not None and twin[3] < now:
                self.set_rank(twin[0], twin[1], now)
            if now != rank:
                self.set_rank(place, number, now)
            if stamp is not None and now < rank:
                anew.append((place, number))
        self.stamp_anew(anew)

    def hide(self, place: str) -> None:
        """Nothing at a place is listed, now or later; another row that holds the same version takes its place."""
        heirs = []
        for _, shelf, own, order, _, stamp, _ in self.all(_at_place, b_place=place):
            if stamp is not None:
                heirs += self.all(_heir, b_shelf=shelf, b_id=own, b_order=order)
        self.run(_hide, b_place=place)
        self.stamp_anew([(str(row[0]), int(row[1])) for row in heirs])

    def copies(self, shelf: str, own_id: str, order: str) -> list[tuple[str, str]]:
        """(place, digest) of every row that holds this version and belongs to the shelf."""
        return [(str(row[0]), str(row[1])) for row in self.all(_copies, b_shelf=shelf, b_id=own_id, b_order=order)]

    def take_down(self, rows: Iterable[tuple[str, str]]) -> None:
        """These rows (place, digest) belong to no shelf any more."""
        for place, digest in rows:
            self.run(_take_down, b_place=place, b_sha256=digest)

    def stamp_anew(self, rows: Sequence[tuple[str, int]]) -> int:
        """These rows (place, number) are listed from now on, in this order; returns how many they are."""
        stamps = self.next_stamps(len(rows))
        self.run_many(
            _restamp,
            [
                {"b_place": place, "b_number": number, "b_stamp": stamp}
                for (place, number), stamp in zip(rows, stamps, strict=True)
            ],
        )
        return len(rows)

    def versions(self, shelf: str, own_id: str) -> list[Listing]:
        """Every version of an id that stands on a shelf, oldest first."""
        return [Listing(*row) for row in self.all(_versions, b_shelf=shelf, b_id=own_id)]

    def shelves(self) -> list[str]:
        """Every shelf that something belongs to."""
        return [str(row[0]) for row in self.all(_shelves)]

    # Who reads

    def readers(self) -> dict[str, Reader]:
        """Every person by handle."""
        return {str(row[0]): _as_reader(row) for row in self.all(_readers)}

    def reader(self, handle: str) -> Reader | None:
        """One person, or None."""
        row = self.one(_reader, b_handle=handle)
        return None if row is None else _as_reader(row)

    def set_readers(self, wanted: Iterable[Reader]) -> None:
        """These persons are known; what became readable for one who was known before is listed anew."""
        before = self.readers()
        after = {reader.handle: reader for reader in wanted}
        if before == after:
            return
        with self.transaction():
            for shelf in self.shelves():
                area = shelf.partition("/")[0]
                gained = [
                    (old.rank if area in old.areas else -1, now.rank)
                    for handle, now in after.items()
                    if (old := before.get(handle)) is not None and area in now.areas
                ]
                for above, upto in gained:
                    if upto > above:
                        self.widen(shelf, above, upto)
            for reader in after.values():
                self.run(
                    _put_reader,
                    handle=reader.handle,
                    rank=reader.rank,
                    roles=msgspec.json.encode(reader.roles),
                    areas=msgspec.json.encode(reader.areas),
                    until=reader.until,
                )

    # What became of what was added

    def put_status(self, name: str, handle: str, shelf: str, place: str, data: bytes) -> None:
        """The outcome of one act of adding can be asked for, until the import it tells of is gone."""
        self.run(_put_status, id=name, handle=handle, shelf=shelf, place=place, data=data)

    def drop_statuses(self, place: str) -> None:
        """No outcome tells of this import any more."""
        self.run(_drop_status, b_place=place)


def _as_reader(row: Row) -> Reader:
    roles, areas = (read_own(bytes(data), tuple[str, ...]) for data in row[2:4])
    return Reader(row[0], row[1], roles, areas, row[4])
