"""What a visitor may know of imports, of what is held of releases, and of single objects; asked by every screen alike.

An import is known to who may read one of its objects. What of it was set aside has no marking that could be read: it
is known to who may read all that its marking map gives, and nothing of its content is kept.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from entente.account.state import ReleaseFact, Side, find_release
from entente.errors import EntenteError
from entente.node.import_ import read_map
from entente.node.shelves import FROM, OWN, TO, shelf
from entente.store.find_rows import Found
from entente.store.node_db import DraftRow, SourceRow
from entente.strict import read_own
from entente.treaty.approval import Core
from entente.treaty.marking import Marking
from entente.web.page import Cell, Content, Said
from entente.web.visit import Visit


class Place(msgspec.Struct, frozen=True):
    """Where objects rest: an import, a draft of ours, or a release; who marked it, and its address here."""

    kind: Literal["import", "draft", "release"]
    name: str
    area: str
    sender: str
    at: str
    href: str


MOST_SAME = 200
KINDS = {"import": Said("import"), "draft": Said("draft"), "release": Said("release")}
SHELVES = {OWN: Said("import of ours"), FROM: Said("from the partner"), TO: Said("released by us")}


def shelves(visit: Visit) -> tuple[str, ...]:
    """The shelves that the visitor's areas have."""
    return tuple(shelf(area, kind) for area in visit.visitor.areas for kind in (OWN, FROM, TO))


def place_of(visit: Visit, name: str) -> Place | None:
    """What rests under this name, if anything of it may be used and its area is the visitor's; not its objects' ranks.

    What the partner withdrew, or was ended, counts as nothing.
    """
    node = visit.node
    found = find_release(node.pair, name)
    if found is not None:
        side, fact = found
        if fact.withdrawn_at(side.size) or not visit.sees(side, fact):
            return None
        return Place("release", name, fact.area, side.party, fact.at, f"/release/{name}")
    source = node.db.source(name)
    if source is not None:
        made = Place("import", name, source.area, node.party, source.at, f"/import/{name}")
        return made if visit.reads(source.area, 0) else None
    draft = node.db.draft(name)
    if draft is None:
        return None
    core = core_of(draft)
    if not visit.sees_marking(core.area, core.marking, node.party):
        return None
    return Place("draft", name, core.area, node.party, draft.at, f"/draft/{name}")


def place_cell(place: Place) -> Cell:
    """A place by name, as a link."""
    return Cell(place.name[:12], "digest", place.href)


def core_of(draft: DraftRow) -> Core:
    """What a draft says."""
    return read_own(draft.core, Core)


# Imports


def sees_import(visit: Visit, source: SourceRow) -> bool:
    """Whether the visitor may know of this import."""
    if not visit.reads(source.area, 0):
        return False
    return visit.node.view.readable_any(source.id, visit.visitor.rank) or (
        source.quarantined > 0 and sees_set_aside(visit, source)
    )


def sees_set_aside(visit: Visit, source: SourceRow) -> bool:
    """Whether the visitor may know what of this import was set aside."""
    return visit.reads(source.area, map_rank(visit, source.map))


def map_rank(visit: Visit, map_id: str) -> int:
    """The rank that reads all that a marking map can give; the highest of this party's scale without one."""
    highest = len(visit.law.party[visit.node.party].levels) - 1

    def rank() -> int:
        try:
            found = read_map(visit.node, map_id)
        except EntenteError:
            return highest
        marks = [row.marking for row in found.rows]
        marks += [found.default] if isinstance(found.default, Marking) else []
        ranks = [visit.rank(mark, visit.node.party) for mark in marks]
        return min(max(ranks, default=highest), highest)

    return visit.door.kept(visit.node, ("map rank", map_id), rank)


def imports(visit: Visit) -> Sequence[SourceRow]:
    """The imports that the visitor may know of, newest first."""
    sources = visit.node.db.sources()
    who = visit.visitor
    key = ("imports", len(sources), who.rank, who.areas)
    return visit.door.kept(
        visit.node, key, lambda: [source for source in reversed(sources) if sees_import(visit, source)]
    )


# Releases


def received(visit: Visit) -> Sequence[ReleaseFact]:
    """The partner's releases that the visitor may know of, newest first."""
    return releases(visit, visit.node.other_side)


def releases(visit: Visit, side: Side) -> Sequence[ReleaseFact]:
    """A party's releases that the visitor may know of, newest first."""
    who = visit.visitor

    def find() -> list[ReleaseFact]:
        known: dict[tuple[str, Marking], bool] = {}
        found = []
        for fact in reversed(side.releases):
            if fact.orders or fact.ancestors:
                sees = visit.sees(side, fact)
            else:
                key = (fact.area, fact.marking)
                if key not in known:
                    known[key] = visit.sees(side, fact)
                sees = known[key]
            if sees:
                found.append(fact)
        return found

    return visit.door.kept(visit.node, ("releases", side.party, who.rank, who.areas), find)


# Objects


def object_of(visit: Visit, name: str, number: str) -> tuple[Place | None, Found]:
    """The object that an address names, and where it rests; the visit's `missing` unless the visitor may read it.

    One that rests where the visitor may not look, in a release marked higher than itself, is named by its digest.
    """
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise visit.missing()
    place = place_of(visit, name)
    if place is None:
        apart = _apart(visit, name)
        if int(number) >= len(apart):
            raise visit.missing()
        return None, apart[int(number)]
    found = visit.node.view.object(name, int(number))
    if found is None or not visit.reads(place.area, found.rank):
        raise visit.missing()
    return place, found


def object_path(visit: Visit, found: Found, place: Place | None) -> str:
    """The address of an object that the visitor may read."""
    if place is not None:
        return f"/object/{found.place}/{found.number}"
    rows = [(one.place, one.number) for one in _apart(visit, found.sha256)]
    return f"/object/{found.sha256}/{rows.index((found.place, found.number))}"


def _apart(visit: Visit, sha256: str) -> list[Found]:
    """Listed objects with this digest that the visitor may read, though not look at where they rest."""
    mine = shelves(visit)
    found = visit.node.view.same_bytes(sha256, visit.visitor.rank, MOST_SAME)
    return [one for one in found if one.shelf in mine and place_of(visit, one.place) is None]


def sender_of(visit: Visit, found: Found) -> str:
    """Whose marking an object bears."""
    return visit.node.partner if found.shelf.endswith(f"/{FROM}") else visit.node.party


def object_mark(visit: Visit, found: Found) -> str:
    """The portion mark of an object, by the rank it asks for and its caveats; the banner knows."""
    held = visit.node.view.holding(found.place)
    marks = held[0] if held is not None else []
    caveats = marks[found.marking].caveats if found.marking < len(marks) else ()
    return visit.portion(found.rank, caveats)


def shelf_words(found: Found) -> Content:
    """Where an object came from, in words."""
    return SHELVES.get(found.shelf.rpartition("/")[2], Said("-"))
