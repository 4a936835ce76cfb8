"""The desk: every draft that has not left, what it waits for, and whom."""

from entente.web.desk.waiting import STATES, Waiting, blocks, drafts_seen
from entente.web.page import Cell, Column, Content, Filter, Links, Listing, Page, Row, said
from entente.web.screen import page
from entente.web.visit import Visit, sliced

COLUMNS = (
    Column("draft", said("Draft"), "digest"),
    Column("state", said("State"), sort=True),
    Column("article", said("Article"), sort=True),
    Column("area", said("Area"), sort=True),
    Column("format", said("Format")),
    Column("records", said("Objects"), "number", sort=True),
    Column("author", said("Author"), sort=True),
    Column("at", said("Drafted"), "time", sort=True),
    Column("age", said("Age")),
    Column("signed", said("Signed")),
    Column("waits", said("Waits for")),
)


@page("/desk", said("Desk"), menu=True, key="d", lists=True)
def desk(visit: Visit) -> Page:
    """The drafts that have not left, of those the visitor may know of; oldest first."""
    found = list(drafts_seen(visit))
    rows = visit.held(
        found,
        tests={
            "state": lambda one, value: one.row.state == value,
            "area": lambda one, value: one.core.area == value,
            "mine": lambda one, value: one.on_me if value == "on-me" else one.own,
        },
        sorts={
            "state": lambda one: one.row.state, "article": lambda one: one.core.article,
            "area": lambda one: one.core.area, "records": lambda one: one.core.records.count,
            "author": lambda one: one.row.author, "at": lambda one: one.row.at,
        },
    )  # fmt: skip
    states = [(name, words) for name, words in STATES.items() if name != "dispatched"]
    areas = [(name, name) for name in visit.visitor.areas if name in visit.law.areas]
    mine = [("on-me", said("waits for my approval")), ("own", said("drafted by me"))]
    filters = [
        Filter("state", said("State"), states), Filter("area", said("Area"), areas), Filter("mine", said("Mine"), mine),
    ]  # fmt: skip
    waits = [one for one in found if one.on_me]
    listing = Listing(
        said("Drafts"), COLUMNS, sliced(rows), lambda one: _row(visit, one), filters, len(rows),
        stamp=lambda: str([(one.row.rid, one.row.state, len(one.approvals)) for one in drafts_seen(visit)]),
        empty=said("No draft waits."),
    )  # fmt: skip
    links = [Cell(said("Propose"), href="/propose"), Cell(said("Acts"), href="/acts")]
    lead: Content = said("Nothing waits for your approval.", tone="good")
    if waits:
        oldest = visit.age(min(one.row.at for one in waits))
        lead = said("Waiting for your approval: {n}, the oldest for {age}", tone="wait", n=len(waits), age=oldest)
    return Page(said("Desk"), [Links(said("Begin"), links), listing], lead=lead)


def _row(visit: Visit, one: Waiting) -> Row:
    core, row = one.core, one.row
    cells: dict[str, Content] = {
        "draft": Cell(row.rid[:12], "digest"),
        "state": STATES.get(row.state, Cell(row.state)),
        "article": core.article,
        "area": core.area,
        "format": core.format,
        "records": core.records.count,
        "author": Cell(row.author),
        "at": visit.time(row.at),
        "age": visit.age(row.at),
        "signed": said("{n} of {needed}", n=len(one.approvals), needed=one.needed),
        "waits": blocks(visit, one),
    }
    return Row(row.rid, cells, f"/draft/{row.rid}", visit.mark(core.marking, visit.node.party))
