"""Documents held here: the list, taking one in with its cover sheet, and giving one out as a numbered copy."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import date
from typing import get_args

import msgspec

from entente.account.state import ReleaseFact, Side, find_release
from entente.errors import UsageError
from entente.node.copies import copies_of
from entente.node.documents import Held
from entente.treaty.cover import DOCUMENT, Kind, Stated
from entente.treaty.record import whole
from entente.web.desk.requests import languages
from entente.web.desk.seen import releases
from entente.web.desk.take_in import chosen_map, file_of, map_field
from entente.web.page import (
    Block,
    Cell,
    Column,
    Content,
    Done,
    Facts,
    Field,
    Filter,
    Form,
    Links,
    Listing,
    Page,
    Row,
    Table,
    said,
)
from entente.web.screen import FieldError, File, Given, download, page
from entente.web.visit import Visit, release_cell, sliced

KINDS = {
    "report": said("report"), "translation": said("translation"), "extract": said("extract"), "image": said("image"),
    "data": said("data"), "other": said("other"),
}  # fmt: skip
NO_WORDS = "zxx"  # BCP 47: it holds no words
MOST_PARENTS = 40
COLUMNS = (
    Column("title", said("Document")), Column("by", said("Released by")), Column("type", said("Kind")),
    Column("size", said("Bytes"), "number", sort=True), Column("at", said("When"), "time", sort=True),
    Column("copies", said("Copies")),
)  # fmt: skip


class Document(msgspec.Struct, frozen=True):
    """One document as listed: the release or draft that holds it, and its first object's row."""

    rid: str
    party: str
    at: str
    fact: ReleaseFact
    title: str
    kind: str
    size: int
    count: int


def _held(visit: Visit) -> Sequence[Document]:
    """The documents of either party's releases that are held here and may be used, newest first."""
    who = visit.visitor

    def find() -> list[Document]:
        rows = [
            made
            for side in visit.node.pair.sides.values()
            for fact in releases(visit, side)
            if fact.format == DOCUMENT and (made := _document(visit, side, fact)) is not None
        ]
        return sorted(rows, key=lambda row: row.at, reverse=True)

    return visit.door.kept(visit.node, ("documents", who.rank, who.areas), find)


def _document(visit: Visit, side: Side, fact: ReleaseFact) -> Document | None:
    if fact.withdrawn_at(side.size):
        return None
    found = visit.node.view.page_of(fact.rid, visit.visitor.rank, 0, 1)
    if not found:
        return None
    one = found[0]
    return Document(fact.rid, side.party, fact.at, fact, one.title, one.type, one.size, fact.records)


@page("/documents", said("Documents"), lists=True)
def documents(visit: Visit) -> Page:
    """The documents held here, and the form to take one in."""
    rows = _held(visit)
    tests = {
        "by": lambda row, value: row.party == value,
        "type": lambda row, value: row.kind == value,
        "q": lambda row, value: value.casefold() in row.title.casefold(),
    }
    found = visit.held(rows, tests=tests, sorts={"at": lambda row: row.at, "size": lambda row: row.size})
    filters = [
        Filter("q", said("Words of the title")),
        Filter("by", said("Released by"), [(party, party) for party in visit.law.parties]),
        Filter("type", said("Kind"), list(KINDS.items())),
    ]
    listing = Listing(
        said("Documents held here"), COLUMNS, sliced(found), lambda row: _row(visit, row), filters, len(found),
        stamp=lambda: str(len(_held(visit))), empty=said("No document fits."),
    )  # fmt: skip
    blocks: list[Block] = [listing]
    if _areas(visit):
        blocks.append(Links(said("Go on"), [Cell(said("Take in a document"), href="/documents/new")]))
    return Page(
        said("Documents"), blocks, said("{n} held here", n=len(rows)), [Cell(said("Requests"), href="/requests")]
    )


def _row(visit: Visit, row: Document) -> Row:
    out = sum(1 for copy in copies_of(visit.node, row.rid) if not copy.closed)
    cells: dict[str, Content] = {
        "title": Cell(row.title), "by": f"{row.party} {row.fact.number}", "type": KINDS.get(row.kind, row.kind),
        "size": row.size, "at": visit.time(row.at),
        "copies": said("{n} of {most}", n=out, most=row.fact.copies) if row.party == visit.node.partner else "",
    }  # fmt: skip
    return Row(row.rid, cells, f"/document/{row.rid}", _mark(visit, row.rid))


def _mark(visit: Visit, rid: str) -> str:
    found = find_release(visit.node.pair, rid)
    return visit.mark(visit.release_marking(*found), found[0].party) if found is not None else ""


# One document


def _one(visit: Visit) -> tuple[Side, ReleaseFact, tuple[Held, ...]]:
    """The release that the address names and its documents; the visit's `missing` if it is not held or not for them."""
    found = find_release(visit.node.pair, visit.params["rid"])
    if found is None or found[1].format != DOCUMENT or not visit.sees(*found):
        raise visit.missing()
    side, fact = found
    if fact.withdrawn_at(side.size) or visit.node.keys.key(fact.rid) is None:
        raise visit.missing()
    return side, fact, visit.node.documents(fact.rid)


@page("/document/{rid}", said("Document"))
def document(visit: Visit) -> Page:
    """A document's cover, its markings, its copies, and the form to give it out."""
    side, fact, held = _one(visit)
    mark = _mark(visit, fact.rid)
    blocks: list[Block] = []
    for one in held:
        sheet = one.sheet
        rows: list[tuple[object, object]] = [
            (said("Title"), [Cell(words, lang=tag, mark=mark) for tag, words in sheet.title.items()]),
            (said("Marking"), [Cell(line) for line in one.banner]),
            (said("Kind"), KINDS.get(sheet.kind, sheet.kind)),
            (said("Language"), sheet.language),
            (said("By"), Cell(sheet.author, mark=mark) if isinstance(sheet.author, str) else "-"),
            (said("Date"), sheet.date if isinstance(sheet.date, str) else "-"),
            (said("File"), [Cell(sheet.media, "code"), said("{n} bytes", n=sheet.size)]),
            (said("SHA-256"), Cell(sheet.sha256, "digest")),
            (said("Release"), release_cell(fact.rid)),
        ]
        blocks.append(Facts(said("Cover"), rows))  # type: ignore[arg-type]  # each is a line of contents
    ours = side is visit.node.side
    if not ours:
        blocks.append(_copies(visit, fact))
    blocks += _giving(visit, fact, held, ours=ours)
    return Page(held[0].sheet.title[next(iter(held[0].sheet.title))] if held else fact.rid[:12], blocks, "",
                [Cell(said("Documents"), href="/documents")])  # fmt: skip


def _copies(visit: Visit, fact: ReleaseFact) -> Table:
    rows = [
        (copy.n, Cell(copy.holder), Cell(copy.place), visit.time(copy.made), visit.time(copy.closed))
        for copy in copies_of(visit.node, fact.rid)
    ]
    columns = [said("Copy"), said("Holder"), said("Place"), said("Made"), said("Closed")]
    return Table(said("Numbered copies"), columns, rows, said("No copy was made."),
                 said("{n} may be made.", n=fact.copies))  # fmt: skip


def _giving(visit: Visit, fact: ReleaseFact, held: Sequence[Held], *, ours: bool) -> list[Block]:
    """The way to its file: a document of ours at once, one of the partner's as a numbered copy."""
    if len(held) != 1:
        return []
    if ours:
        return [Links(said("Its file"), [Cell(said("Download"), href=f"/document/{fact.rid}/file")])]
    made: list[Block] = []
    asked = visit.query.get("copy")
    if asked and hmac.compare_digest(visit.query.get("ticket").encode(), _ticket(visit, fact.rid, asked).encode()):
        link = f"/document/{fact.rid}/file?copy={asked}&ticket={visit.query.get('ticket')}"
        made.append(Links(said("Its file, for copy {n}", n=asked), [Cell(said("Download"), href=link)]))
    fields = [Field("holder", said("Who will have it")), Field("place", said("Where it will be"))]
    note = said("It is given out as the next numbered copy, which the home journal keeps.")
    made.append(Form("copy", said("Give it out"), said("Make a copy"), fields, note, proof=True))
    return made


@document.act("copy")
def _copy(visit: Visit, given: Given) -> Done:
    side, fact, _ = _one(visit)
    if side is visit.node.side:
        raise UsageError("a document of ours needs no numbered copy")
    holder, place = given.need("holder"), given.need("place")
    given.proof(visit)
    made = visit.node.make_copy(fact.rid, holder, place)
    path = f"/document/{fact.rid}?copy={made.n}&ticket={_ticket(visit, fact.rid, str(made.n))}"
    return Done(path, said("Copy {n} of {most} is out.", n=made.n, most=fact.copies))


def _ticket(visit: Visit, rid: str, number: str) -> str:
    """What lets the person who made a copy have its file, on the day that it was made."""
    with visit.door.sign_in.one:
        secret = visit.door.sign_in.access.secret("copies")
    text = "\0".join([visit.visitor.handle, rid, number, visit.node.now()[:10]])
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


@download("/document/{rid}/file", said("A document's file"))
def document_file(visit: Visit) -> File:
    """The exact file: of ours, or for a copy that this person made today and that is still out."""
    side, fact, held = _one(visit)
    if len(held) != 1:
        raise visit.missing()
    if side is not visit.node.side:
        number, ticket = visit.query.get("copy"), visit.query.get("ticket")
        out = {str(copy.n) for copy in copies_of(visit.node, fact.rid) if not copy.closed}
        if number not in out or not hmac.compare_digest(ticket.encode(), _ticket(visit, fact.rid, number).encode()):
            raise visit.missing()
    _mark(visit, fact.rid)
    sheet, data = held[0].sheet, whole(held[0].file)
    if hashlib.sha256(data).hexdigest() != sheet.sha256:
        raise visit.missing()
    return File(data, f"document-{sheet.sha256[:16]}", "application/octet-stream")


# Taking one in


def _areas(visit: Visit) -> tuple[str, ...]:
    return tuple(
        name for name, area in visit.node.areas.items() if DOCUMENT in area.formats and name in visit.visitor.areas
    )


@page("/documents/new", said("Take in a document"))
def new_document(visit: Visit) -> Page:
    """The form by which a document is taken in."""
    crumbs = [Cell(said("Documents"), href="/documents")]
    areas = _areas(visit)
    if not areas:
        return Page(said("Take in a document"), [], said("No area of yours carries documents."), crumbs)
    tongues = [*languages(visit), NO_WORDS]
    parents = [
        (fact.rid, said("release {n} ({area}, {mark})", n=fact.number, area=fact.area, mark=_mark(visit, fact.rid)))
        for fact in releases(visit, visit.node.other_side)
        if not fact.withdrawn_at(visit.node.other_side.size) and visit.node.keys.key(fact.rid) is not None
    ][:MOST_PARENTS]
    fields = [
        Field("file", said("File"), "file"),
        *(Field(f"title-{tag}", said("Title in {language}", language=tag), required=False) for tag in languages(visit)),
        Field("language", said("Its language"), "choice", choices=[(tag, tag) for tag in tongues]),
        Field("kind", said("What it is"), "choice", choices=list(KINDS.items())),
        Field("author", said("Who made it, as it is to be shown"), required=False),
        Field("date", said("Its date"), "date", required=False),
        Field("label", said("The foreign marking it bears"), required=False),
        map_field(visit, *areas),
    ]
    if parents:
        fields.append(Field("parents", said("Releases of the partner's it derives from"), "checks", choices=parents))
    note = said("What acts by itself when it is opened is refused. Nothing leaves.")
    form = Form("take", said("A document and its cover"), said("Take it in"), fields, note)
    return Page(said("Take in a document"), [form], "", crumbs)


@new_document.act("take")
def _take(visit: Visit, given: Given) -> Done:
    areas = _areas(visit)
    if not areas:
        raise visit.missing()
    name, data = file_of(given)
    titles = {tag: words for tag in languages(visit) if (words := given.get(f"title-{tag}"))}
    if not titles:
        raise FieldError(f"title-{languages(visit)[0]}", "a title in one language at least is needed")
    language, kind, day = given.need("language"), given.need("kind"), given.get("date")
    if language not in (*languages(visit), NO_WORDS):
        raise FieldError("language", "this is none of the languages")
    if kind not in get_args(Kind):
        raise FieldError("kind", "this is none of the kinds")
    if day and not _is_day(day):
        raise FieldError("date", "write YYYY-MM-DD")
    known = {fact.rid for fact in releases(visit, visit.node.other_side)}
    parents = sorted({rid for rid in given.several.get("parents", ()) if rid})
    if not known.issuperset(parents):
        raise FieldError("parents", "this is none of the releases offered")
    stated = Stated(
        titles, language, kind, author=given.get("author") or msgspec.UNSET, date=day or msgspec.UNSET,  # type: ignore[arg-type]
    )  # fmt: skip
    map_id = chosen_map(visit, given, *areas)
    done = visit.node.document(data, stated, label=given.get("label"), parents=parents, place=name, map_id=map_id)
    if done.quarantined:
        refused = said("Set aside, it cannot be proposed: {why}", tone="bad", why=done.quarantined[0].reason)
        return Done(f"/import/{done.source}", refused)
    return Done(f"/import/{done.source}", said("Taken in. It can be proposed."))


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


DOCUMENTS = (documents, new_document, document, document_file)
