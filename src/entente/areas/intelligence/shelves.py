"""The three collections of a node, read from view.db: what is its own, what came from the partner, what went to it.

And what is seen across them: what of them may be released or exported, which sightings, opinions and notes came back
about what crossed, and how much there is.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal

import msgspec

from entente.account.state import ReleaseFact
from entente.areas.intelligence import AREA, rules
from entente.errors import UsageError
from entente.node.import_ import read_map
from entente.node.node import Node
from entente.store.view_db import Thing
from entente.strict import parse_foreign, read_own
from entente.treaty.marking import Mapper, Marking, marking_line
from entente.treaty.record import Record

Shelf = Literal["own", "from", "to"]
SHELVES: tuple[Shelf, ...] = ("own", "from", "to")
RETURNS = {"sighting": "sighting_of_ref", "opinion": "object_refs", "note": "object_refs"}
_OVER = ("withdrawn", "ended", "disputed")


class Item(msgspec.Struct, frozen=True):
    """One object version on a shelf: the import or release it is of, since when, its bytes, and how it is marked."""

    place: str
    at: str
    thing: Thing
    data: bytes
    marking: Marking | None = None


class Echo(msgspec.Struct, frozen=True):
    """An object that crossed, and what the other side gave back about it: `seen` adds up what its sightings count."""

    released_by: str
    id: str
    type: str
    title: str
    sightings: int
    seen: int
    opinions: int
    notes: int


class Stats(msgspec.Struct, frozen=True):
    """How much there is: distinct objects by collection and type; and how much was there on each day."""

    collections: dict[str, dict[str, int]]
    imports: int
    quarantined: int
    released: int
    received: int
    days: dict[str, dict[str, int]]


def items(node: Node, shelf: Shelf) -> Iterator[Item]:
    """Every object version on a shelf, oldest place first; the same bytes once."""
    seen: set[str] = set()
    for item in _READ[shelf](node):
        if item.thing.sha256 not in seen:
            seen.add(item.thing.sha256)
            yield item


def _own(node: Node) -> Iterator[Item]:
    for source in node.db.sources():
        if source.area == AREA.name:
            for thing, data in _things(node, source.id):
                yield Item(source.id, source.at, thing, data)


def _from(node: Node) -> Iterator[Item]:
    for fact in node.other_side.releases:
        if _stands(node, fact):
            holding = node.view.holding(fact.rid)
            marks = holding[0] if holding is not None else []
            for thing, data in _things(node, fact.rid):
                yield Item(fact.rid, fact.at, thing, data, marks[thing.marking] if thing.marking < len(marks) else None)


def _to(node: Node) -> Iterator[Item]:
    for fact in node.side.releases:
        draft = node.db.draft(fact.rid) if _stands(node, fact) else None
        if draft is None:
            continue
        stay = {row.sha256 for line in node.db.journal_of("refused", fact.rid) for row in read_own(line, list[_Stays])}
        for thing, data in _things(node, draft.source):
            if thing.sha256 not in stay:
                yield Item(fact.rid, fact.at, thing, data, fact.marking)


class _Stays(msgspec.Struct):
    sha256: str


_READ: dict[str, Callable[[Node], Iterator[Item]]] = {"own": _own, "from": _from, "to": _to}


def _stands(node: Node, fact: ReleaseFact) -> bool:
    return fact.area == AREA.name and node.state_of(fact) not in _OVER


def _things(node: Node, place: str) -> Iterator[tuple[Thing, bytes]]:
    yield from zip(node.view.things(place), node.view.each_body(place), strict=True)


def chosen(found: Iterator[Item], types: Collection[str], since: str = "") -> list[Item]:
    """Those of these types (of all, if none is given) that are there since a time."""
    return [item for item in found if (not types or item.thing.type in types) and item.at >= since]


# Release and export


def to_release(
    node: Node, types: Collection[str], since: str, *, map_id: str = "", again: bool = False
) -> tuple[str, list[bytes]]:
    """What of our own a filter selects, as the map and the bytes of one import.

    What stands released to the partner already is left out, unless `again`. `map_id` (or its beginning) selects what
    was imported by that map.
    Raises: UsageError if that is nothing, or was imported by several maps.
    """
    crossed = set() if again else {item.thing.sha256 for item in items(node, "to")}
    maps = {source.id: source.map for source in node.db.sources()}
    found = [item for item in chosen(_own(node), types, since) if item.thing.sha256 not in crossed]
    found = [item for item in found if maps[item.place].startswith(map_id)]
    used = sorted({maps[item.place] for item in found})
    if len(used) != 1:
        raise UsageError(
            "it was imported by several marking maps" if used else "nothing of ours is like that and has not crossed",
            remedy="Give --map: " + ", ".join(name[:16] or "(none: cannot cross)" for name in used)
            if used
            else "See `entente intelligence stats`; --again releases once more what stands released.",
        )
    return used[0], list({item.thing.sha256: item.data for item in found}.values())


def marking_lines(node: Node, found: Sequence[Item]) -> Iterator[tuple[bytes, str]]:
    """Bytes and marking line of each item; what no map reads is said to be unmarked."""
    mappers: dict[str, Mapper | None] = {}
    maps = {source.id: source.map for source in node.db.sources()}
    for item in found:
        mark: Marking | str | None = item.marking
        if mark is None and maps.get(item.place):
            name = maps[item.place]
            if name not in mappers:
                mappers[name] = Mapper(read_map(node, name), node.law.law.ranks[node.party], node.party)
            mapper, record = mappers[name], AREA.read(AREA.formats[0], item.data)
            if mapper is not None and isinstance(record, Record):
                mark = mapper.mark(record.id, record.author, record.markings)
        yield item.data, marking_line(mark) if isinstance(mark, Marking) else "not marked"


# What came back


def echoes(node: Node) -> list[Echo]:
    """For each object that crossed either way: the sightings, opinions and notes that the other side released about it.

    Both nodes count the same. Of an object given back in several versions the latest counts, and none if that is
    revoked.
    """
    gave, got = list(items(node, "to")), list(items(node, "from"))
    found = (*_echoes(node.party, gave, got), *_echoes(node.partner, got, gave))
    return sorted(found, key=lambda echo: (echo.released_by, echo.id))


def _echoes(party: str, crossed: Sequence[Item], back: Sequence[Item]) -> Iterator[Echo]:
    latest: dict[str, Item] = {}
    for item in back:
        if item.thing.type in RETURNS:
            old = latest.get(item.thing.id)
            if old is None or _instant(old.thing) <= _instant(item.thing):
                latest[item.thing.id] = item
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for item in latest.values():
        value = parse_foreign(item.data)
        named = value.get(RETURNS[item.thing.type])
        for name in {named} if isinstance(named, str) else set(named or ()):
            if value.get("revoked") is not True:
                counts[name][item.thing.type] += 1
                counts[name]["seen"] += value.get("count", 1) if item.thing.type == "sighting" else 0
    titles = {item.thing.id: item.thing for item in crossed}
    for name, thing in titles.items():
        if name in counts:
            count = counts[name]
            yield Echo(
                party, name, thing.type, thing.title, count["sighting"], count["seen"], count["opinion"], count["note"]
            )


def _instant(thing: Thing) -> tuple[str, str]:
    return rules.instant(thing.version) if thing.version else ("", "")


def stats(node: Node) -> Stats:
    """Distinct objects by collection and type, and per day what was imported, quarantined, released and received."""
    days: defaultdict[str, Counter[str]] = defaultdict(Counter)
    sources = [source for source in node.db.sources() if source.area == AREA.name]
    for source in sources:
        days[source.at[:10]] += Counter(imported=source.count, quarantined=source.quarantined)
    for word, side in (("released", node.side), ("received", node.other_side)):
        for fact in side.releases:
            if _stands(node, fact):
                days[fact.at[:10]] += Counter({word: fact.records})
    totals = sum(days.values(), Counter[str]())
    return Stats(
        {shelf: dict(Counter(item.thing.type for item in items(node, shelf)).most_common()) for shelf in SHELVES},
        len(sources),
        totals["quarantined"],
        totals["released"],
        totals["received"],
        {day: dict(sorted(counts.items())) for day, counts in sorted(days.items())},
    )
