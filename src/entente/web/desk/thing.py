"""One object: its fields as it names them, its exact bytes, where it came from, and every version that can be read."""

import msgspec

from entente.errors import FormatError, UsageError
from entente.store.find_rows import Found
from entente.strict import parse_foreign
from entente.web.desk.laid_out import lines_of, visible
from entente.web.desk.seen import (
    KINDS,
    Place,
    object_mark,
    object_of,
    object_path,
    place_cell,
    place_of,
    sender_of,
    shelf_words,
    shelves,
)
from entente.web.page import Block, Cell, Content, Facts, Line, Links, Page, Said, Table, Text, said
from entente.web.screen import File, download, page
from entente.web.visit import Visit

MOST_VERSIONS = 100
MOST_SHOWN = 40_000  # characters; the whole is there to be downloaded
LONGEST_FIELD = 2000


@page("/object/{place}/{number}", said("Object"))
def thing(visit: Visit) -> Page:
    """The object that the address names, as far as the visitor may read it."""
    place, found = object_of(visit, visit.params["place"], visit.params["number"])
    mark = object_mark(visit, found)
    data = visit.node.view.body(found.place, found.number)
    blocks: list[Block] = [_about(visit, place, found, mark), *_fields(data, mark)]
    lines, rest = lines_of(data)
    text = "\n".join(lines)
    shown = [text[:MOST_SHOWN]]
    if len(text) > MOST_SHOWN or rest or not data:
        blocks.append(Links(said("Not all of it is shown"), _whole(visit, place, found, data)))
    if data:
        blocks.append(Text(said("Its exact content, laid out"), [Cell(part, "pre") for part in shown], mark, pre=True))
    blocks.append(_versions(visit, found))
    crumbs = [Cell(said("Search"), href="/search")]
    crumbs += [Cell(KINDS[place.kind], href=place.href)] if place is not None else []
    return Page(found.title or found.id, blocks, Cell(found.type, mark=mark), crumbs)


def _whole(visit: Visit, place: Place | None, found: Found, data: bytes) -> list[Cell]:
    if data:
        return [Cell(said("Download its exact bytes"), href=f"{object_path(visit, found, place)}/bytes")]
    return [Cell(said("It is long: it can be had where it rests"), href=place.href if place is not None else "/search")]


def _about(visit: Visit, place: Place | None, found: Found, mark: str) -> Facts:
    """Where it came from, and under which marking."""
    held = visit.node.view.holding(found.place)
    marks = held[0] if held is not None else []
    exact: Line = Cell(mark)
    if found.marking < len(marks):
        exact = [Cell(line) for line in visit.marking_lines(marks[found.marking], sender_of(visit, found))]
    rows: list[tuple[Said | str, Line]] = [
        (said("Marking"), exact),
        (said("Asks for"), Cell(visit.level_words(found.rank))),
        (said("Where"), shelf_words(found)),
        (said("Rests in"), [KINDS[place.kind], place_cell(place), visit.time(place.at)] if place is not None else "-"),
        (said("Area"), place.area if place is not None else found.shelf.partition("/")[0]),
        (said("Type"), Cell(found.type, "code")),
        (said("Id"), Cell(found.id, "code")),
        (said("Version"), Cell(found.version or "-", "code")),
        (said("Size"), said("{n} bytes", n=found.size)),
        (said("SHA-256"), Cell(found.sha256, "digest")),
        (said("Exact bytes"), Cell(said("download"), href=f"{object_path(visit, found, place)}/bytes")),
    ]
    return Facts(said("What it is"), rows)


def _fields(data: bytes, mark: str) -> list[Block]:
    """The properties of a JSON object, by the names that it gives them; nothing for other bytes."""
    try:
        value = parse_foreign(data) if data[:1] == b"{" else None
    except FormatError:
        return []
    if not isinstance(value, dict):
        return []
    rows = [(visible(str(key)).replace("_", " "), _value(item, mark)) for key, item in value.items()]
    return [Facts(said("Its properties, as it names them"), rows)]


def _value(item: object, mark: str) -> Line:
    if isinstance(item, list):
        return [_one(one, mark) for one in item[:MOST_VERSIONS]] or Cell("[]")
    return _one(item, mark)


def _one(item: object, mark: str) -> Cell:
    """One value; an id leads to what else bears it."""
    text = item if isinstance(item, str) else msgspec.json.encode(item).decode()
    text = visible(text)
    short = text if len(text) <= LONGEST_FIELD else f"{text[:LONGEST_FIELD]}…"
    is_id = isinstance(item, str) and len(text) < 300 and "--" in text and text.isascii() and " " not in text
    return Cell(short, "code" if is_id else "text", f"/search?q={text}" if is_id else "", mark=mark)


def _versions(visit: Visit, found: Found) -> Table:
    """Every version of this id, wherever it rests: what came, what is ours, and what crossed."""
    rows: list[tuple[Content, ...]] = []
    for one in visit.node.view.versions_of(shelves(visit), found.id, visit.visitor.rank, MOST_VERSIONS):
        place = place_of(visit, one.place)
        path = object_path(visit, one, place)
        rests: tuple[Content, ...] = ("-", "-", "-")
        if place is not None:
            rests = (KINDS[place.kind], place_cell(place), visit.time(place.at))
        rows.append(
            (
                Cell(one.version or "-", "code", path, mark=object_mark(visit, one)), shelf_words(one), *rests,
                said("the same bytes") if one.sha256 == found.sha256 else Cell(one.sha256[:16], "digest"),
            )
        )  # fmt: skip
    columns = [said("Version"), said("Where"), said("In"), said("Which"), said("Since"), said("Bytes")]
    return Table(said("Versions, and where each came from or crossed"), columns, rows)


@download("/object/{place}/{number}/bytes", said("An object's exact bytes"))
def thing_bytes(visit: Visit) -> File:
    """The bytes of an object, exactly as they rest."""
    place, found = object_of(visit, visit.params["place"], visit.params["number"])
    data = visit.node.view.body(found.place, found.number)
    if not data:
        raise UsageError("it is long: it can be had where it rests", place=place.href if place is not None else "")
    object_mark(visit, found)
    ending = "json" if data[:1] == b"{" and not lines_of(data)[1] else "bin"
    return File(data, f"object-{found.sha256[:16]}.{ending}", "application/octet-stream")
