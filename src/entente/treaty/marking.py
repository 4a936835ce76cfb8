"""Markings, the lattice they form in one scale, and the map from foreign markings to the agreement's terms."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import msgspec

from entente.strict import check_sorted_set

Hex16 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
Hex32 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Hex64 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{128}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """What every signed object is made of: frozen, and with an unknown field invalid."""


class Marking(Wire, frozen=True):
    """Who originated something, how it is classified, who may have it, under which caveats, for which purpose.

    `originator` is a party's code or a third's name; `level` is a word of the originator's scale if the originator is
    a party, else of the sender's. `releasable_to` and `caveats` are sorted sets.
    """

    caveats: tuple[str, ...]
    level: str
    originator: str
    purpose: str
    releasable_to: tuple[str, ...]

    def check(self) -> None:
        """Raise FormatError unless the sets are sorted and unique."""
        check_sorted_set(self.caveats, "caveats")
        check_sorted_set(self.releasable_to, "releasable_to")


def marking_line(mark: Marking) -> str:
    """The marking as one line of text for people."""
    caveats = "".join(f" // {caveat}" for caveat in mark.caveats)
    return f"{mark.originator} {mark.level}{caveats} // REL {', '.join(mark.releasable_to)} // {mark.purpose}"


def join(markings: Sequence[Marking], rank: Mapping[str, int], sender: str) -> Marking | None:
    """The least marking that is at or above every given one, levels being words of one scale; None if there is none.

    Highest level, intersection of releasable-to, union of caveats, one purpose. The originator is not part of the
    lattice: a single one other than the sender is kept, several have no join.
    Source: design core-spec, rule 14.
    """
    if not markings or any(mark.level not in rank for mark in markings):
        return None
    purposes = {mark.purpose for mark in markings}
    others = {mark.originator for mark in markings} - {sender}
    if len(purposes) != 1 or len(others) > 1:
        return None
    return Marking(
        caveats=tuple(sorted({caveat for mark in markings for caveat in mark.caveats})),
        level=max((mark.level for mark in markings), key=lambda level: rank[level]),
        originator=others.pop() if others else sender,
        purpose=purposes.pop(),
        releasable_to=tuple(sorted(set.intersection(*(set(mark.releasable_to) for mark in markings)))),
    )


class MapRow(Wire, frozen=True):
    """One foreign marking, author or object id, and what it means under the agreement."""

    foreign: str
    marking: Marking


class MarkingMap(Wire, frozen=True):
    """How a person mapped foreign markings and third-party originators to the agreement's terms.

    `default`, where it is stated, is for records that bear no foreign marking at all; a foreign marking that no row
    names is never covered by it.
    """

    agreement: Hex32
    area: str
    rows: tuple[MapRow, ...]
    default: Marking | msgspec.UnsetType = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless rows are sorted by the foreign id and each marking is well formed."""
        check_sorted_set([row.foreign for row in self.rows], "rows of the marking map")
        for row in self.rows:
            row.marking.check()
        if self.default is not msgspec.UNSET:
            self.default.check()


class Mapper:
    """A marking map made ready for many records: marks each one, or says which foreign marking is not mapped."""

    def __init__(self, found: MarkingMap, rank: Mapping[str, int], sender: str) -> None:
        self._rows = {row.foreign: row.marking for row in found.rows}
        self._default = found.default
        self._rank = rank
        self._sender = sender
        self._known: dict[tuple[str, ...], Marking | str] = {}

    def mark(self, own_id: str, author: str, markings: Iterable[str], granular: Iterable[str] = ()) -> Marking | str:
        """The joined marking of one record, or the reason why it has none.

        Every foreign marking must have a row. Those in `granular` mark only parts: the whole bears what it would bear
        without them, if only the default, and they can raise that but not lower it. The author counts where it has one, and so does the record's own id if it
        bears no foreign marking (a marking's definition cannot bear itself).
        """
        borne, parts = tuple(markings), frozenset(granular)
        if parts:
            return self._in_parts(own_id, author, borne, parts)
        named = tuple(name for name in ((author,) if borne else (author, own_id)) if name in self._rows)
        key = (*borne, "", *named)
        if key not in self._known:
            self._known[key] = self._translate(borne, named)
        return self._known[key]

    def _in_parts(self, own_id: str, author: str, borne: tuple[str, ...], parts: frozenset[str]) -> Marking | str:
        whole = self.mark(own_id, author, tuple(name for name in borne if name not in parts))
        every = self.mark(own_id, author, borne)
        if isinstance(whole, str) or isinstance(every, str):
            return whole if isinstance(whole, str) else every
        if whole == every:
            return whole
        return join([whole, every], self._rank, self._sender) or "its foreign markings have no common marking"

    def _translate(self, borne: tuple[str, ...], named: tuple[str, ...]) -> Marking | str:
        missing = [name for name in borne if name not in self._rows]
        if missing:
            return f"foreign marking {missing[0]} has no row in the marking map"
        found = [self._rows[name] for name in dict.fromkeys((*borne, *named)) if name in self._rows]
        if not found:
            if self._default is msgspec.UNSET:
                return "no marking, and the marking map states no default"
            return self._default
        return join(found, self._rank, self._sender) or "its foreign markings have no common marking"
