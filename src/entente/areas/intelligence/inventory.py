"""What is in the three collections of a node: its own, what came from the partner, what went to it.

What of them may be released or exported, which sightings, opinions and notes came back about what crossed, and how much
there is.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Literal

import msgspec

from entente.account.cascade import current_marking, scale_of
from entente.areas.intelligence import AREA, rules, stix
from entente.areas.intelligence.export import Exported
from entente.errors import UsageError
from entente.node.import_ import mapper_of
from entente.node.node import Node
from entente.node.shelves import shelf
from entente.store.view_db import Thing
from entente.strict import parse_foreign
from entente.treaty.marking import Mapper, Marking, join, marking_line
from entente.treaty.record import Record

Kind = Literal["own", "from", "to"]
KINDS: tuple[Kind, ...] = ("own", "from", "to")
NOT_MARKED = "not marked"
_Marks = Mapper | tuple[Marking, ...] | None


class Item(msgspec.Struct, frozen=True):
    """One listed object version: the import or release it is of, since when that is there, and its exact bytes."""

    place: str
    at: str
    thing: Thing
    data: bytes


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
    """How much there is: listed object versions by collection and type; and what happened on each day."""

    collections: dict[str, dict[str, int]]
    imports: int
    quarantined: int
    released: int
    received: int
    days: dict[str, dict[str, int]]


def items(node: Node, kind: Kind, *, twins: bool = False) -> Iterator[Item]:
    """Every object version that a collection lists, for whatever clearance, in the order of listing.

    With `twins` those follow that hold the same versions again, of other imports or releases.
    """
    times = {source.id: source.at for source in node.db.sources()}
    for side in (node.side, node.other_side):
        times |= {fact.rid: fact.at for fact in side.releases}
    name = shelf(AREA.name, kind)
    for place, thing, data in chain(node.view.listed(name), node.view.beside(name) if twins else ()):
        yield Item(place, times.get(place, ""), thing, data)


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
    crossed = set() if again else _crossed(node)
    maps = {source.id: source.map for source in node.db.sources()}
    found: dict[tuple[str, str], Item] = {}
    for item in chosen(items(node, "own", twins=True), types, since):
        name, version = maps[item.place], (item.thing.id, item.thing.version)
        if name.startswith(map_id) and version not in crossed and (name or version not in found):
            found[version] = item  # under a map rather than without, and by the latest
    used = sorted({maps[item.place] for item in found.values()})
    if not used:
        raise UsageError(
            "nothing of ours is like that and has not crossed",
            remedy="See `entente intelligence stats`; --again releases once more what stands released.",
        )
    if len(used) > 1:
        names = ", ".join(name[:16] or "(none: cannot cross)" for name in used)
        raise UsageError("it was imported by several marking maps", remedy=f"Give --map: {names}.")
    return used[0], [item.data for item in found.values()]


def _crossed(node: Node) -> set[tuple[str, str]]:
    """Id and version of what went to the partner, and was not turned away there."""
    away = {fact.rid for fact in node.side.releases if node.state_of(fact) in ("disputed", "withdrawn", "ended")}
    return {(item.thing.id, item.thing.version) for item in items(node, "to") if item.place not in away}


def exported(node: Node, found: Sequence[Item]) -> tuple[list[Exported], str]:
    """Each item with its marking as it is now, and the marking line of all of it together.

    Where they have no common marking that line names each; what no map reads is said to be unmarked.
    """
    known: dict[str, _Marks] = {}
    marks = [_marking_of(node, item, known) for item in found]
    lines = [marking_line(mark) if mark is not None else NOT_MARKED for mark in marks]
    one = [Exported(item.data, line) for item, line in zip(found, lines, strict=True)]
    law, stated = node.law.law, list(dict.fromkeys(mark for mark in marks if mark is not None))
    scales = {scale_of(mark, node.party, law) for mark in stated}
    joined = None
    if len(scales) == 1 and NOT_MARKED not in lines:
        (scale,) = scales
        joined = join(stated, law.ranks[scale], scale)
    return one, marking_line(joined) if joined is not None else " / ".join(sorted(set(lines))) or NOT_MARKED


def _marking_of(node: Node, item: Item, known: dict[str, _Marks]) -> Marking | None:
    """The marking of an item as it is now; `known` keeps what is the same for all of a place."""
    if item.place not in known:
        source = node.db.source(item.place)
        known[item.place] = mapper_of(node, source.map) if source is not None else _markings(node, item.place)
    marks = known[item.place]
    if isinstance(marks, tuple):
        return marks[item.thing.marking] if item.thing.marking < len(marks) else None
    record = AREA.read(AREA.formats[0], item.data)
    if marks is None or not isinstance(record, Record):
        return None
    mark = marks.mark(record.id, record.author, record.markings, record.granular)
    return mark if isinstance(mark, Marking) else None


def _markings(node: Node, rid: str) -> tuple[Marking, ...]:
    """The markings of a release's objects, each raised to what the release is now, if that rose."""
    side = node.side if rid in node.side.by_rid else node.other_side
    fact, holding = side.release(rid), node.view.holding(rid)
    if fact is None or holding is None:
        return ()
    now = current_marking(node.pair, side, fact, node.laws).marking
    if now == fact.marking:
        return tuple(holding[0])
    law = node.law.law
    scale = scale_of(now, side.party, law)
    return tuple(join([mark, now], law.ranks[scale], now.originator) or now for mark in holding[0])


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
        if item.thing.type in stix.RETURNS:
            old = latest.get(item.thing.id)
            if old is None or _instant(old.thing) <= _instant(item.thing):
                latest[item.thing.id] = item
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for item in latest.values():
        value = parse_foreign(item.data)
        for name in stix.about(item.data):
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
    """Objects by collection and type, and per day what was imported, quarantined, released and received."""
    days: defaultdict[str, Counter[str]] = defaultdict(Counter)
    sources = [source for source in node.db.sources() if source.area == AREA.name]
    for source in sources:
        days[source.at[:10]] += Counter(imported=source.count, quarantined=source.quarantined)
    for word, side in (("released", node.side), ("received", node.other_side)):
        for fact in side.releases:
            if fact.area == AREA.name:
                days[fact.at[:10]] += Counter({word: fact.records})
    totals = sum(days.values(), Counter[str]())
    return Stats(
        {kind: dict(Counter(item.thing.type for item in items(node, kind)).most_common()) for kind in KINDS},
        len(sources),
        totals["quarantined"],
        totals["released"],
        totals["received"],
        {day: dict(sorted(counts.items())) for day, counts in sorted(days.items())},
    )
