"""Search: objects that the visitor may read, by words or id, and what else of the node bears that name."""

from collections.abc import Sequence

from entente.account.undertaking import undertakings
from entente.node.shelves import FROM, OWN, TO, shelf, take_down
from entente.store.find_rows import LAST_ROW, Found, Sought
from entente.strict import parse_time
from entente.web.desk.seen import (
    SHELVES,
    core_of,
    imports,
    object_mark,
    object_of,
    object_path,
    place_cell,
    place_of,
    releases,
    shelf_words,
)
from entente.web.page import Block, Cell, Column, Content, Done, Filter, Form, Listing, Page, Row, Table, said
from entente.web.screen import FieldError, Given, page
from entente.web.visit import Visit

MOST_NAMED = 20
LEAST = 2  # characters; fewer find nearly everything
COLUMNS = (
    Column("title", said("Object")), Column("type", said("Type"), "code"), Column("where", said("Where")),
    Column("place", said("Rests in"), "digest"), Column("version", said("Version"), "code"),
    Column("id", said("Id"), "code"),
)  # fmt: skip


def words_of(text: str) -> tuple[str, ...]:
    """The words that a query asks for; what stands between quotation marks is one."""
    parts = text.split('"')
    found = [part.strip() for part in parts[1::2]] + [word for part in parts[::2] for word in part.split()]
    return tuple(word for word in found if word)


def sought(visit: Visit) -> Sought:
    """What the address asks for, within the visitor's areas and clearance."""
    ask = visit.query.get
    areas = [area for area in visit.visitor.areas if ask("area") in ("", area)]
    kinds = [kind for kind in (OWN, FROM, TO) if ask("in") in ("", kind)]
    names = tuple(shelf(area, kind) for area in areas for kind in kinds)
    return Sought(names, visit.visitor.rank, words_of(ask("q")), ask("type"))


class Finding:
    """The objects that a query finds, read page after page without going through the ones before again."""

    def __init__(self, visit: Visit, wanted: Sought) -> None:
        self.visit, self.wanted = visit, wanted
        self._ends = {0: LAST_ROW}

    def items(self, first: int, most: int) -> Sequence[Found]:
        """The objects from the `first` on."""
        known = max(place for place in self._ends if place <= first)
        found = self.visit.node.view.find(self.wanted, first=first - known, most=most, before=self._ends[known])
        if found:
            self._ends[first + len(found)] = found[-1].row
        return found


@page("/search", said("Search"), lists=True)
def search(visit: Visit) -> Page:
    """What is found: by name first, then objects, the newest first."""
    asked = visit.query.get("q")
    wanted = sought(visit)
    narrowed = any(visit.query.get(key) for key in ("in", "area", "type"))
    enough = sum(map(len, wanted.words)) >= LEAST or (narrowed and not wanted.words)
    finding = Finding(visit, wanted)
    filters = [
        Filter("q", said("Words or id")),
        Filter("in", said("Where"), list(SHELVES.items())),
        Filter("area", said("Area"), [(area, area) for area in visit.visitor.areas]),
        Filter("type", said("Type")),
    ]
    down = Form("down", said("Take from the list"), said("Take from the list of ours"), danger=True)
    listing = Listing(
        said("Objects"), COLUMNS, finding.items if enough else lambda _first, _most: (),
        lambda found: _row(visit, found), filters, stamp=lambda: str(visit.node.view.number("stamp")), bulk=[down],
        empty=said("No object that you may read fits.") if enough else said("Write two characters, or say where."),
    )  # fmt: skip
    named = _named(visit, asked) if asked and enough and not visit.query.first else []
    blocks: list[Block] = [listing]
    if named:
        columns = [said("What"), said("Name"), said("More")]
        blocks.insert(0, Table(said("By name"), columns, named[:MOST_NAMED]))
    return Page(said("Search"), blocks, said("for {words}", words=asked) if asked else "")


def _row(visit: Visit, found: Found) -> Row:
    place = place_of(visit, found.place)
    cells: dict[str, Content] = {
        "title": Cell(found.title), "type": found.type, "where": shelf_words(found), "version": found.version,
        "id": found.id, "place": place_cell(place) if place is not None else "-",
    }  # fmt: skip
    path = object_path(visit, found, place)
    return Row(path.removeprefix("/object/"), cells, path, object_mark(visit, found))


@search.act("down")
def _down(visit: Visit, given: Given) -> Done:
    """Objects of ours are listed no more; the imports they came in rest on, and taking one in again lists it anew."""
    rows = [object_of(visit, *key.rpartition("/")[::2])[1] for key in given.selected]
    if not rows:
        raise FieldError("row", "no row is selected", remedy="Select objects of our imports.")
    if any(not row.shelf.endswith(f"/{OWN}") for row in rows):
        raise FieldError("row", "only objects of our own imports can be taken from the list", remedy="Select those.")
    for name in sorted({row.shelf for row in rows}):
        versions = [(row.id, row.order) for row in rows if row.shelf == name]
        take_down(visit.node, name, visit.visitor.handle, versions, visit.visitor.rank)
    return Done("/search", said("{n} objects are listed no more. Taking their file in again lists them.", n=len(rows)))


# By name


def _named(visit: Visit, asked: str) -> list[Sequence[Content]]:
    """Releases, drafts, imports, undertakings and persons that bear this name or number, as the visitor may know."""
    text = asked.strip().casefold()
    return [
        *_releases(visit, text),
        *_drafts(visit, text),
        *_imports(visit, text),
        *_undertakings(visit, text),
        *_persons(visit, text),
    ]


def _is_id(text: str) -> bool:
    return len(text) >= LEAST and all(char in "0123456789abcdef" for char in text)


def _releases(visit: Visit, text: str) -> list[Sequence[Content]]:
    rows: list[Sequence[Content]] = []
    party, _, number = text.rpartition(" ")
    for side in visit.node.pair.sides.values():
        wanted = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else -1
        meant = wanted >= 0 and party in ("", side.party.casefold())
        if not meant and not _is_id(text):
            continue
        for fact in releases(visit, side):
            if (meant and fact.number == wanted) or (_is_id(text) and fact.rid.startswith(text)):
                mark = visit.mark(visit.release_marking(side, fact), side.party)
                name = Cell(f"{side.party} {fact.number} {fact.rid[:12]}", "digest", f"/release/{fact.rid}", mark=mark)
                rows.append((said("release"), name, visit.time(fact.at)))
                if len(rows) >= MOST_NAMED:
                    return rows
    return rows


def _drafts(visit: Visit, text: str) -> list[Sequence[Content]]:
    if not _is_id(text):
        return []
    rows: list[Sequence[Content]] = []
    for draft in visit.node.db.drafts_named(text, MOST_NAMED):
        core = core_of(draft)
        if visit.sees_marking(core.area, core.marking, visit.node.party):
            mark = visit.mark(core.marking, visit.node.party)
            rows.append((said("draft"), Cell(draft.rid[:12], "digest", f"/draft/{draft.rid}", mark=mark), draft.state))
    return rows


def _imports(visit: Visit, text: str) -> list[tuple[Content, ...]]:
    return [
        (said("import"), Cell(source.id, "digest", f"/import/{source.id}"), visit.time(source.at))
        for source in (imports(visit) if _is_id(text) else ())
        if source.id.startswith(text)
    ]


def _undertakings(visit: Visit, text: str) -> list[Sequence[Content]]:
    """Undertakings stand in clear in both registers, for everybody who signs in."""
    rows: list[Sequence[Content]] = []
    for one in visit.door.kept(visit.node, ("undertakings",), lambda: undertakings(visit.node.pair)):
        words = [
            line
            for side in visit.node.pair.sides.values()
            if (act := side.undertaken.get(one.key)) is not None
            for line in side.undertakings[act].body.text.values()
        ]
        if text in one.key.casefold() or any(text in line.casefold() for line in words):
            rows.append((said("undertaking"), Cell(one.key, href=f"/undertaking/{one.key}"), words[0] if words else ""))
    return rows[:MOST_NAMED]


def _persons(visit: Visit, text: str) -> list[Sequence[Content]]:
    rows: list[Sequence[Content]] = []
    for handle, fact in visit.node.side.persons.items():
        if text in handle.casefold():
            works = fact.revoked_from is None and parse_time(visit.node.now()) < parse_time(fact.person.until)
            state = said("certified", tone="good") if works else said("not certified now", tone="bad")
            rows.append((said("person"), Cell(handle, href=f"/person/{handle.partition('/')[2]}"), state))
    return rows[:MOST_NAMED]
