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
BUILT = 2  # the row beside the saved fold that says that all places are there

_thing = t.thing.c
_get_mark = select(t.mark.c.value).where(t.mark.c.name == bindparam("b_name"))
_get_built = select(t.saved_fold.c.id).where(t.saved_fold.c.id == BUILT)
_put_mark = insert(t.mark).prefix_with("OR REPLACE")
_same = bindparam("b_shelf") == _thing.shelf, bindparam("b_id") == _thing.id, bindparam("b_order") == _thing.order
_copy = *_same, bindparam("b_apart") == _thing.apart
_stamp = func.coalesce(_thing.stamp, -1)  # or the index of stamps would be used, not that of versions
_twins = (
    select(_thing.place, _thing.number, _thing.sha256, _thing.rank, _thing.apart)
    .where(*_same, _stamp >= 0)
    .order_by(_stamp)
)
_listed = select(_thing.place, _thing.number, _thing.rank).where(*_copy, _stamp >= 0)
_group = (
    select(_thing.place, _thing.number, _thing.least, _thing.rank, _thing.stamp)
    .where(*_copy)
    .order_by(_stamp.desc(), _thing.place, _thing.number)
)
_row = _thing.place == bindparam("b_place"), _thing.number == bindparam("b_number")
_set_rank = update(t.thing).where(*_row).values(rank=bindparam("b_rank"))
_set_least = update(t.thing).where(*_row).values(least=bindparam("b_rank"))
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
    select(_thing.number, _thing.shelf, _thing.id, _thing.order, _thing.apart, _thing.marking, _thing.sha256)
    .where(_thing.place == bindparam("b_place"), _thing.shelf.is_not(None))
    .order_by(_thing.number)
)
_hide = update(t.thing).where(_thing.place == bindparam("b_place")).values(stamp=null(), shelf=null())
_take_down = (
    update(t.thing)
    .where(_thing.place == bindparam("b_place"), _thing.sha256 == bindparam("b_sha256"))
    .values(stamp=null(), shelf=null())
)
_copies = select(_thing.place, _thing.sha256).where(*_same, _thing.rank <= bindparam("b_rank"))
_versions = (
    select(_thing.order, _thing.stamp, _thing.rank, _thing.place, _thing.sha256)
    .where(_thing.shelf == bindparam("b_shelf"), _thing.id == bindparam("b_id"), _stamp >= 0)
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


class Twin(msgspec.Struct, frozen=True):
    """A listed row that holds the same version of the same id. `apart` as in `Version`."""

    place: str
    number: int
    sha256: str
    rank: int
    apart: str


class Version(msgspec.Struct, frozen=True):
    """A version on a shelf; `apart` is the digest of one that stands beside another with the same id and order.

    Who added it could not read that other: it must neither keep it from being listed nor tell that it is there.
    """

    shelf: str
    id: str
    order: str
    apart: str = ""


class Reader(msgspec.Struct, frozen=True):
    """A person as certified: the rank of the clearance, roles and areas, and until when."""

    handle: str
    rank: int
    roles: tuple[str, ...]
    areas: tuple[str, ...]
    until: str


class ShelfRows(Database):
    """What is listed, and for whom. Every method but the questions belongs inside a transaction."""

    @property
    def built(self) -> bool:
        """Whether it holds all that was taken in before: not in a new file, and not before a rebuild has ended."""
        return self.one(_get_built) is not None

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

    def twins(self, shelf: str, own_id: str, order: str) -> list[Twin]:
        """The rows by which this version stands on the shelf, the first listed first; seldom more than one."""
        return [Twin(*row) for row in self.all(_twins, b_shelf=shelf, b_id=own_id, b_order=order)]

    def is_listed(self, version: Version, least: int) -> bool:
        """Whether this version stands on the shelf already; it is then for those whose rank is at least this."""
        row = self.one(_listed, **_named(version))
        if row is not None and row[2] < least:
            self.run(_set_rank, b_place=row[0], b_number=row[1], b_rank=least)
        return row is not None

    def widen(self, shelf: str, above: int, upto: int) -> int:
        """What is listed on a shelf for these ranks is listed anew, in its old order; returns how many rows that is."""
        return self.stamp_anew(
            [(str(row[0]), int(row[1])) for row in self.all(_widened, b_shelf=shelf, b_above=above, b_upto=upto)]
        )

    def relist(self, place: str, ranks: Sequence[int]) -> None:
        """What is listed from a place is for these ranks, one for each of its markings, and its copies with it."""
        rows = self.all(_at_place, b_place=place)
        for number, _, _, _, _, marking, _ in rows:
            least = ranks[marking] if marking < len(ranks) else NOBODY
            self.run(_set_least, b_place=place, b_number=number, b_rank=least)
        self.settle(Version(*row[1:5]) for row in rows)

    def hide(self, place: str) -> None:
        """Nothing at a place is listed, now or later; another row that holds the same version takes its place."""
        versions = [Version(*row[1:5]) for row in self.all(_at_place, b_place=place)]
        self.run(_hide, b_place=place)
        self.settle(versions)

    def settle(self, versions: Iterable[Version]) -> None:
        """Each of these versions is listed once, for no lower rank than any copy of it on the shelf asks for.

        One that was not listed, or becomes readable for more people, gets a new stamp.
        """
        anew = []
        for version in dict.fromkeys(versions):
            rows = self.all(_group, **_named(version))
            if not rows:
                continue
            (place, number, _, rank, stamp), least = rows[0], max(row[2] for row in rows)
            if rank != least:
                self.run(_set_rank, b_place=place, b_number=number, b_rank=least)
            if stamp is None or least < rank:
                anew.append((str(place), int(number)))
        self.stamp_anew(anew)

    def copies(self, shelf: str, own_id: str, order: str, rank: int) -> list[tuple[str, str]]:
        """(place, digest) of every row that holds this version, belongs to the shelf and is for this rank."""
        found = self.all(_copies, b_shelf=shelf, b_id=own_id, b_order=order, b_rank=rank)
        return [(str(row[0]), str(row[1])) for row in found]

    def take_down(self, rows: Iterable[tuple[str, str]]) -> None:
        """These rows (place, digest) belong to no shelf any more."""
        versions: list[Version] = []
        for place, wanted in _by_place(rows).items():
            versions += [Version(*row[1:5]) for row in self.all(_at_place, b_place=place) if row[6] in wanted]
            for digest in wanted:
                self.run(_take_down, b_place=place, b_sha256=digest)
        self.settle(versions)

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


def _named(version: Version) -> dict[str, object]:
    return {
        "b_shelf": version.shelf,
        "b_id": version.id,
        "b_order": version.order,
        "b_apart": version.apart,
    }


def _by_place(rows: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for place, digest in rows:
        found.setdefault(place, set()).add(digest)
    return found


def _as_reader(row: Row) -> Reader:
    roles, areas = (read_own(bytes(data), tuple[str, ...]) for data in row[2:4])
    return Reader(row[0], row[1], roles, areas, row[4])
