"""The part of view.db about finding: what is listed and holds some words, for one reader, newest first.

Objects are gone through from the newest to the oldest and no index of words is kept: 200,000 of them take less than a
tenth of a second, an index of three letters each makes an import eighteen times as long, and to erase a thousand
objects from it so that nothing is left takes six seconds.
"""

from collections.abc import Sequence
from functools import cache

import msgspec
from sqlalchemy import ColumnElement, Select, Text, bindparam, case, cast, func, literal_column, or_, select

from entente.store import tables as t
from entente.store.shelf_rows import ShelfRows
from entente.store.sqlite import Row

MOST_WORDS = 8
LAST_ROW = (1 << 63) - 1

_thing = t.thing.c
_row: ColumnElement[int] = literal_column("thing.rowid")
_COLUMNS = (
    _row, _thing.place, _thing.number, _thing.id, _thing.type, _thing.version, _thing.title, _thing.sha256,
    _thing.marking, _thing.size, _thing.rank,
    func.coalesce(_thing.shelf, ""),
    _thing.order,
)  # fmt: skip
# what shows its words in its bytes shows its id there too; where those are escaped, the title still holds them
_text = case((_thing.text == "", cast(_thing.data, Text)), else_=_thing.id + " " + _thing.text)
_of_place = (bindparam("b_place") == _thing.place,)
_readable = (*_of_place, _thing.rank <= bindparam("b_rank"))
_count_at = select(func.count()).select_from(t.thing).where(*_readable)
_any_at = select(_thing.number).where(*_readable).limit(1)
_highest_at = select(func.max(_thing.rank)).where(*_readable)
_object = select(*_COLUMNS).where(*_of_place, _thing.number == bindparam("b_number"))
_same = (
    select(*_COLUMNS)
    .where(_thing.sha256 == bindparam("b_sha256"), _thing.rank <= bindparam("b_rank"))
    .order_by(_thing.place, _thing.number)
    .limit(bindparam("b_most"))
)
_shelves = select(func.json_each(bindparam("b_shelves")).table_valued("value").c.value)
_versions_of = (
    select(*_COLUMNS)
    .where(
        _thing.shelf.in_(_shelves),
        _thing.id == bindparam("b_id"),
        _thing.rank <= bindparam("b_rank"),
    )
    .order_by(_thing.order, _row)
    .limit(bindparam("b_most"))
)


class Found(msgspec.Struct, frozen=True):
    """One object version, where it rests, and the rank that it asks for; `shelf` is "" where it is not listed."""

    row: int
    place: str
    number: int
    id: str
    type: str
    version: str
    title: str
    sha256: str
    marking: int
    size: int
    rank: int
    shelf: str
    order: str


class Sought(msgspec.Struct, frozen=True):
    """What is looked for: objects on these shelves, up to a rank, that hold all of the words, and are of a type."""

    shelves: tuple[str, ...]
    rank: int
    words: tuple[str, ...] = ()
    type: str = ""


@cache
def _find(words: int, *, typed: bool) -> Select[tuple[object, ...]]:
    """The question for so many words. It walks the table itself, backwards, so that a page ends it early."""
    where: list[ColumnElement[bool]] = [
        _row < bindparam("b_before"),
        _thing.rank <= bindparam("b_rank"),
        func.coalesce(_thing.stamp, -1) >= 0,  # or an index would be used, and all that matches sorted
        func.coalesce(_thing.shelf, "").in_(_shelves),
    ]
    if typed:
        where.append(func.coalesce(_thing.type, "") == bindparam("b_type"))
    for number in range(words):
        word = bindparam(f"b_word{number}", type_=Text)
        where.append(or_(*(field.like(word, escape="\\") for field in (_thing.title, _text))))
    return select(*_COLUMNS).where(*where).order_by(_row.desc()).limit(bindparam("b_most")).offset(bindparam("b_first"))


class FindRows(ShelfRows):
    """Questions of people; each names the rank up to which its asker may read."""

    def find(self, sought: Sought, *, first: int, most: int, before: int = LAST_ROW) -> list[Found]:
        """What is listed and fits, the newest row first, from the `first` of those below row `before` on.

        Case counts for letters beyond ASCII. Of more than eight words the longest eight count.
        """
        if not sought.shelves:
            return []
        words = sorted(dict.fromkeys(sought.words), key=len, reverse=True)[:MOST_WORDS]
        values: dict[str, object] = {f"b_word{number}": like(word) for number, word in enumerate(words)}
        if sought.type:
            values["b_type"] = sought.type
        rows = self.all(
            _find(len(words), typed=bool(sought.type)), b_before=before, b_rank=sought.rank, b_most=most, b_first=first,
            b_shelves=_json(sought.shelves), **values,
        )  # fmt: skip
        return [_found(row) for row in rows]

    def readable(self, place: str, rank: int) -> int:
        """How many objects of a place this rank may read."""
        row = self.one(_count_at, b_place=place, b_rank=rank)
        return int(row[0]) if row is not None else 0

    def readable_any(self, place: str, rank: int) -> bool:
        """Whether this rank may read anything of a place."""
        return self.one(_any_at, b_place=place, b_rank=rank) is not None

    def highest_to(self, place: str, rank: int) -> int:
        """The highest rank that anything of a place asks for, up to this one; -1 if there is nothing."""
        row = self.one(_highest_at, b_place=place, b_rank=rank)
        return -1 if row is None or row[0] is None else int(row[0])

    def object(self, place: str, number: int) -> Found | None:
        """One object, for whomever."""
        row = self.one(_object, b_place=place, b_number=number)
        return None if row is None else _found(row)

    def same_bytes(self, sha256: str, rank: int, most: int) -> list[Found]:
        """Where else these very bytes rest, as far as this rank may read."""
        return [_found(row) for row in self.all(_same, b_sha256=sha256, b_rank=rank, b_most=most)]

    def versions_of(self, shelves: Sequence[str], own_id: str, rank: int, most: int) -> list[Found]:
        """Every row of an id on these shelves that this rank may read, the oldest version first."""
        values = {"b_shelves": _json(shelves), "b_id": own_id, "b_rank": rank, "b_most": most}
        return [_found(row) for row in self.all(_versions_of, **values)]


def like(words: str) -> str:
    """The pattern of whatever holds these words."""
    return "%" + "".join(f"\\{char}" if char in "\\%_" else char for char in words) + "%"


def _found(row: Row) -> Found:
    return Found(*row)


def _json(items: Sequence[object]) -> str:
    return msgspec.json.encode(items).decode()
