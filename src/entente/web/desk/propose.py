"""Propose: what was taken in and could cross, and the draft that is frozen of it.

A visitor knows of an import by those of its objects that they may read, and of no others.
"""

from collections.abc import Iterator

import msgspec

from entente.errors import RefusedError
from entente.node.propose import NothingCrossesError, Wish, foreseen
from entente.node.standing import usable
from entente.node.why import RefusedLine
from entente.store.node_db import SourceRow
from entente.store.thing_rows import Resting
from entente.strict import read_own
from entente.treaty.agreement import Terms
from entente.web.desk.rules import rule_words
from entente.web.desk.waiting import STATES, drafts_seen
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
    Line,
    Listing,
    Page,
    Row,
    Said,
    Table,
    said,
)
from entente.web.screen import FieldError, Given, page
from entente.web.visit import Visit
from entente.web.words import many

CRUMBS = (Cell(said("Desk"), href="/desk"), Cell(said("Propose"), href="/propose"))


class Source(msgspec.Struct, frozen=True):
    """An import as a visitor knows it: how many of its objects they may read, and whether that is all of them."""

    row: SourceRow
    count: int
    rank: int
    whole: bool


def source_seen(visit: Visit, row: SourceRow) -> Source | None:
    """The import, if the visitor may read any of it."""
    if row.area not in visit.visitor.areas:
        return None
    found = visit.node.view.ranks(row.id)
    mine = {rank: count for rank, count in found.items() if rank <= visit.visitor.rank}
    return Source(row, sum(mine.values()), max(mine), len(mine) == len(found)) if mine else None


def source_of(visit: Visit) -> Source:
    """The import that the address names; the same error for none and for one that this visitor may not know of."""
    row = visit.node.db.source(visit.params["id"])
    found = source_seen(visit, row) if row is not None else None
    if found is None:
        raise visit.missing()
    return found


@page("/propose", said("Propose"), lists=True)
def imports(visit: Visit) -> Page:
    """What was taken in and rests here, newest first."""
    area = visit.query.get("area")

    def seen() -> Iterator[Source]:
        for row in reversed(visit.node.db.sources()):
            if area in ("", row.area):
                found = source_seen(visit, row)
                if found is not None:
                    yield found

    def items(first: int, most: int) -> list[Source]:
        return [one for place, one in zip(range(first + most), seen(), strict=False) if place >= first]

    columns = [
        Column("id", said("Import"), "digest"), Column("at", said("Taken in"), "time"), Column("area", said("Area")),
        Column("format", said("Format")), Column("count", said("Objects"), "number"),
    ]  # fmt: skip
    areas = [(name, name) for name in visit.visitor.areas if name in visit.node.areas]
    listing = Listing(
        said("Imports"), columns, items, lambda one: _row(visit, one), [Filter("area", said("Area"), areas)],
        stamp=lambda: str(len(visit.node.db.sources())), empty=said("Nothing was taken in that you may read."),
    )  # fmt: skip
    return Page(said("Propose"), [listing], crumbs=CRUMBS[:1])


def _row(visit: Visit, one: Source) -> Row:
    row = one.row
    cells: dict[str, Content] = {
        "id": Cell(row.id, "digest"), "at": visit.time(row.at), "area": row.area, "format": row.format,
        "count": one.count,
    }  # fmt: skip
    return Row(row.id, cells, f"/import/{row.id}", visit.portion(one.rank))


@page("/import/{id}", said("An import"), lists=True)
def source(visit: Visit) -> Page:
    """One import: its objects, what was made of it, and the form that freezes a draft."""
    one = source_of(visit)
    row, rank = one.row, visit.visitor.rank
    rows: list[tuple[Said | str, Line]] = [
        (said("Import"), Cell(row.id, "digest", mark=visit.portion(one.rank))),
        (said("Taken in"), visit.time(row.at)),
        (said("Area and format"), Cell(f"{row.area}, {row.format}")),
        (said("Objects"), many(one.count, "object")),
        (said("Marking map"), Cell(row.map[:16], "digest") if row.map else said("none: nothing of it can cross")),
    ]
    if one.whole and row.quarantined:
        rows.append((said("Set aside"), many(row.quarantined, "object")))
    columns = [
        Column("number", said("No."), "number"), Column("title", said("Object")), Column("type", said("Type"), "code"),
        Column("version", said("Version")), Column("id", said("Id"), "code"),
    ]  # fmt: skip

    def shown(each: Resting) -> Row:
        cells: dict[str, Content] = {
            "number": each.number + 1, "title": Cell(each.title or each.id), "type": Cell(each.type, "code"),
            "version": each.version, "id": Cell(each.id, "code"),
        }  # fmt: skip
        return Row(str(each.number), cells, mark=visit.portion(each.rank))

    listing = Listing(
        said("Its objects"), columns, lambda first, most: visit.node.view.some(row.id, rank, first, most), shown,
        total=one.count, stamp=lambda: str(visit.node.view.ranks(row.id)),
    )  # fmt: skip
    made: list[Block] = [Facts(said("What it is"), rows), *_made_of(visit, one), *_refused(visit, one)]
    if row.map and not visit.visitor.read_only:
        made.append(_form(visit, row))
    return Page(said("An import"), [*made, listing], crumbs=CRUMBS)


def _made_of(visit: Visit, one: Source) -> list[Block]:
    rows: list[list[Content]] = []
    for draft in (found for found in drafts_seen(visit) if found.row.source == one.row.id):
        mark = visit.mark(draft.core.marking, visit.node.party)
        link = Cell(draft.row.rid[:12], "digest", f"/draft/{draft.row.rid}", mark=mark)
        rows.append([link, visit.time(draft.row.at), Cell(draft.row.author), STATES[draft.row.state]])
    columns = [said("Draft"), said("Drafted"), said("Author"), said("State")]
    return [Table(said("Drafts of it that have not left"), columns, rows)] if rows else []


def _refused(visit: Visit, one: Source) -> list[Block]:
    """Why nothing of it could cross when that was last asked, of what this visitor may read."""
    lines = visit.node.db.journal_of("refused", one.row.id)
    if not lines:
        return []
    rows: list[list[Content]] = [
        [rule_words(rule), Cell(rule, "code"), Cell(article), count]
        for (rule, article), count in _counted(visit, one.row.id, read_own(lines[-1], list[RefusedLine])).items()
    ]
    columns = [said("Rule"), said("Name"), said("Article"), said("Objects")]
    return [Table(said("Nothing of it could cross when it was proposed last"), columns, rows)] if rows else []


def _counted(visit: Visit, place: str, lines: list[RefusedLine]) -> dict[tuple[str, str], int]:
    """How many objects were refused by (rule, article), of those the visitor may read."""
    found: dict[tuple[str, str], int] = {}
    for line in lines:
        row = visit.node.view.with_digest(place, line.sha256)
        if row is not None and row.rank <= visit.visitor.rank:
            found[line.rule, line.article] = found.get((line.rule, line.article), 0) + 1
    return found


def _terms(visit: Visit, row: SourceRow) -> Terms:
    terms = visit.law.areas.get(row.area)
    if terms is None:
        raise RefusedError(f"the agreement has no area {row.area}")
    return terms


def _form(visit: Visit, row: SourceRow) -> Form:
    """What a release officer states; what they leave is what the agreement says first, or at most."""
    terms = _terms(visit, row)
    statements = visit.law.statements
    articles = [
        (name, f"Art. {name}: {statements[name][0]}" if name in statements else f"Art. {name}")
        for name in terms.articles or ()
    ]
    built = visit.node.areas[row.area].views
    views = [(name, name) for name in terms.views or ("full",) if name in built]
    days, copies = terms.retain_days or 1, terms.copies or 1
    fields = [
        Field("article", said("Under which article"), "choice", articles[0][0] if articles else "", articles),
        Field("view", said("View: what is stripped"), "choice", views[0][0] if views else "", views),
        Field("days", said("Days the partner may keep it"), "number", str(days), hint=said("At most {n}.", n=days)),
        Field("copies", said("Copies it may make"), "number", "1", hint=said("At most {n}.", n=copies)),
    ]
    grants: list[tuple[str, Said | str]] = [("", said("none: persons sign it"))]
    grants += [(one.act, f"{one.act[:12]}, {one.ceiling}") for one in usable(visit.node, row.area, row.format)]
    if len(grants) > 1:
        fields.append(Field("standing", said("Under a standing approval"), "choice", "", grants, required=False))
    note = said("What may cross is frozen, byte for byte; what may not stays, each with its rule. Nothing leaves yet.")
    return Form("freeze", said("Freeze a draft"), said("Freeze the draft"), fields, note)


@source.act("freeze")
def _freeze(visit: Visit, given: Given) -> Done:
    one = source_of(visit)
    row, terms, node = one.row, _terms(visit, one.row), visit.node
    for name, known in (("article", terms.articles or ()), ("view", node.areas[row.area].views)):
        if given.get(name) and given.get(name) not in known:
            raise FieldError(name, "this is none of the agreement's")
    standing = given.get("standing")
    if standing and standing not in {grant.act for grant in usable(node, row.area, row.format)}:
        raise FieldError("standing", "this is no standing approval that can be used now")
    wish = Wish(
        visit.visitor.handle, given.get("article"), given.get("view"),
        retain_days=given.number("days", 1, terms.retain_days or 10**5),
        copies=given.number("copies", 1, terms.copies or 10**5), standing=standing,
    )  # fmt: skip
    try:
        if not one.whole:
            _check_reach(visit, row, wish)
        made = node.propose(row.id, wish)
    except NothingCrossesError as fault:
        lines = [RefusedLine(why.sha256, why.rule, why.article) for why in fault.refusals]
        told = [
            f"{count} by rule {rule} (Art. {article})"
            for (rule, article), count in _counted(visit, row.id, lines).items()
        ]
        raise RefusedError(
            f"nothing of this import may cross: {'; '.join(told) or 'each object is refused'}",
            remedy="Take in others, or map their markings.",
        ) from None
    return Done(f"/draft/{made.rid}", many(made.kept, "object frozen", "objects frozen"))


def _check_reach(visit: Visit, row: SourceRow, wish: Wish) -> None:
    """Raise RefusedError if the draft would be marked above the visitor's clearance."""
    node = visit.node
    _, marking = foreseen(node, node.areas, node.validate, row.id, wish)
    if marking is not None and not visit.sees_marking(row.area, marking, node.party):
        article = visit.law.rules.gate.get("need", "")
        raise RefusedError("you are not cleared for what would cross of it", place=f"Art. {article}")
