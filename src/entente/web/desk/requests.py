"""Requests: questions of both sides, one of them with its replies, and the forms to ask and to reply."""

from datetime import date
from typing import get_args

import msgspec

from entente.node.requests import Asked
from entente.treaty.cover import REPLY, REQUEST, Priority, Reason, ReplySheet, RequestSheet
from entente.treaty.cover import State as ReplyState
from entente.web.desk.questions import (
    PRIORITIES,
    REASONS,
    STATES,
    asked,
    clock,
    due_of,
    lead,
    mark_of,
)
from entente.web.desk.seen import releases
from entente.web.desk.take_in import chosen_map, map_field
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
    Said,
    Table,
    Text,
    said,
)
from entente.web.screen import FieldError, Given, page
from entente.web.visit import Visit, release_cell, sliced

LONGEST = 160
MOST_OFFERED = 40
DAY = len("2026-11-22")
COLUMNS = (
    Column("text", said("Request")), Column("by", said("Asked by")), Column("area", said("Area"), sort=True),
    Column("priority", said("Priority"), sort=True), Column("state", said("State")), Column("clock", said("Clock")),
    Column("at", said("Asked"), "time", sort=True), Column("wanted", said("Wanted by"), "time", sort=True),
)  # fmt: skip


@page("/requests", said("Requests"), menu=True, key="q", lists=True)
def requests(visit: Visit) -> Page:
    """The requests of both sides, newest first."""
    rows = asked(visit)
    tests = {
        "by": lambda row, value: (row.by == visit.node.party) == (value == "ours"),
        "state": lambda row, value: row.state == value,
        "area": lambda row, value: row.area == value,
        "priority": lambda row, value: row.priority == value,
    }
    order = get_args(Priority)
    sorts = {
        "at": lambda row: row.at,
        "area": lambda row: row.area,
        "priority": lambda row: order.index(row.priority),
        "wanted": lambda row: row.wanted_by or "9",
    }
    found = visit.held(rows, tests=tests, sorts=sorts)
    filters = [
        Filter("by", said("Asked by"), [("ours", said("us")), ("theirs", said("the partner"))]),
        Filter("state", said("State"), list(STATES.items())),
        Filter("area", said("Area"), [(area, area) for area in sorted({row.area for row in rows})]),
        Filter("priority", said("Priority"), list(PRIORITIES.items())),
    ]
    listing = Listing(
        said("Requests"), COLUMNS, sliced(found), lambda row: _row(visit, row), filters, len(found),
        stamp=lambda: str(len(asked(visit))), empty=said("No request fits."),
    )  # fmt: skip
    links = [Cell(said("Ask the partner"), href="/ask"), Cell(said("Documents"), href="/documents")]
    return Page(said("Requests"), [Links(said("Go on"), links), listing], lead(visit, rows))


def _row(visit: Visit, row: Asked) -> Row:
    language, words = next(iter(row.text.items()))
    line = " ".join(words.split())
    cells: dict[str, Content] = {
        "text": Cell(line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…", lang=language),
        "by": f"{row.by} {row.number}", "area": row.area, "priority": PRIORITIES.get(row.priority, row.priority),
        "state": _state(row), "clock": clock(visit, row), "at": visit.time(row.at), "wanted": visit.time(row.wanted_by),
    }  # fmt: skip
    return Row(row.rid, cells, f"/request/{row.rid}", mark_of(visit, row.rid))


def _state(row: Asked) -> Said:
    """How far it is, with the reason where one was given."""
    if not row.received:
        return said("not received yet", tone="wait")
    found = STATES[row.state]
    reason = REASONS.get(row.reason)
    return said("{state}: {reason}", tone=found.tone, state=found.text, reason=reason.text) if reason else found


def _asked(visit: Visit) -> Asked:
    rid = visit.params["rid"]
    found = next((row for row in asked(visit) if row.rid == rid), None)
    if found is None:
        raise visit.missing()
    return found


@page("/request/{rid}", said("Request"))
def request(visit: Visit) -> Page:
    """One request: its words in each language, its clock, its replies, and what can be done about it."""
    row = _asked(visit)
    mark = mark_of(visit, row.rid)
    due = due_of(visit, row)
    about = Facts(
        said("What is asked"),
        [
            (said("State"), _state(row)), (said("Clock"), clock(visit, row)),
            (said("Asked by"), f"{row.by} {row.number}"), (said("Asked"), visit.time(row.at)),
            (said("Answer due"), visit.time(due)), (said("Area"), row.area),
            (said("Priority"), PRIORITIES.get(row.priority, row.priority)), (said("Release"), release_cell(row.rid)),
        ],
    )  # fmt: skip
    blocks: list[Block] = [about]
    blocks += [
        Text(said("In {language}", language=language), [Cell(words, "pre", lang=language)], mark, pre=True)
        for language, words in row.text.items()
    ]
    replies = [
        (
            Cell(reply.rid[:12], "digest", f"/release/{reply.rid}", mark=mark_of(visit, reply.rid)), reply.by,
            visit.time(reply.at), STATES.get(reply.state, said("-")),  # type: ignore[call-overload]
            REASONS.get(reply.reason, said("-")), said("yes") if reply.counts else said("no, or not yet"),
        )
        for reply in row.replies
    ]  # fmt: skip
    columns = [said("Reply"), said("By"), said("When"), said("State"), said("Reason"), said("Counts")]
    blocks.append(Table(said("Replies"), columns, replies, said("No reply yet.")))
    if row.answers:
        links = [Cell(rid[:12], "digest", f"/release/{rid}", mark=mark_of(visit, rid)) for rid in row.answers]
        blocks.append(Links(said("Releases that answer it"), links))
    if row.by != visit.node.party and row.state != "closed":
        blocks.append(_reply_form(visit))
    return Page(said("Request"), blocks, _state(row), [Cell(said("Requests"), href="/requests")])


def _reply_form(visit: Visit) -> Form:
    offered = [fact for fact in releases(visit, visit.node.side) if fact.format not in (REQUEST, REPLY)][:MOST_OFFERED]
    states = [(state, STATES[state]) for state in get_args(ReplyState)]
    fields = [
        Field("state", said("What becomes of it"), "choice", choices=states),
        Field(
            "reason", said("Reason"), "choice", choices=[("", said("none")), *REASONS.items()], required=False,
            hint=said("A refusal needs one; closing may have one."),
        ),
        map_field(visit, *_areas(visit, REPLY)),
    ]  # fmt: skip
    if offered:
        choices = [
            (
                fact.rid,
                said("release {n} ({area}, {mark})", n=fact.number, area=fact.area, mark=mark_of(visit, fact.rid)),
            )
            for fact in offered
        ]
        fields.insert(2, Field("rids", said("Releases of ours that answer it"), "checks", choices=choices))
    note = said("It becomes a draft, which persons approve like any release. Nothing leaves now.")
    return Form("reply", said("Reply"), said("Draft the reply"), fields, note)


def _areas(visit: Visit, form: str) -> tuple[str, ...]:
    """The visitor's areas that carry records of this form."""
    return tuple(
        name for name, area in visit.node.areas.items() if form in area.formats and name in visit.visitor.areas
    )


@request.act("reply")
def _reply(visit: Visit, given: Given) -> Done:
    row = _asked(visit)
    state, reason = given.need("state"), given.get("reason")
    if state not in get_args(ReplyState):
        raise FieldError("state", "this is none of the states")
    if reason and reason not in get_args(Reason):
        raise FieldError("reason", "this is none of the reasons")
    if state == "refused" and not reason:
        raise FieldError("reason", "a refusal needs a reason")
    known = {fact.rid for fact in releases(visit, visit.node.side)}
    rids = tuple(sorted({rid for rid in given.several.get("rids", ()) if rid}))
    if not known.issuperset(rids):
        raise FieldError("rids", "this is none of the releases offered")
    map_id = chosen_map(visit, given, *_areas(visit, REPLY))
    sheet = ReplySheet(row.rid, state, rids, reason or msgspec.UNSET)  # type: ignore[arg-type]  # both were looked up
    done = visit.node.reply(sheet, author=visit.visitor.handle, map_id=map_id)
    return Done(f"/draft/{done.proposal.rid}", said("Drafted. It leaves once enough persons have approved it."))


# Asking


def languages(visit: Visit) -> list[str]:
    """The languages that the agreement names its parties in, in its own order."""
    return list(dict.fromkeys(tag for code in visit.law.parties for tag in visit.law.party[code].names))


@page("/ask", said("Ask the partner"))
def ask(visit: Visit) -> Page:
    """The form by which a question is drafted."""
    crumbs = [Cell(said("Requests"), href="/requests")]
    if not _areas(visit, REQUEST):
        return Page(said("Ask the partner"), [], said("No area of yours carries requests."), crumbs)
    areas = [(area, area) for area in visit.law.areas if area in visit.visitor.areas]
    fields = [
        *(
            Field(f"text-{tag}", said("Words in {language}", language=tag), "area", required=False)
            for tag in languages(visit)
        ),
        Field("area", said("About which area"), "choice", choices=areas),
        Field("priority", said("Priority"), "choice", choices=list(PRIORITIES.items())),
        Field("wanted", said("Wanted by the end of the day (UTC)"), "date", required=False),
        map_field(visit, *_areas(visit, REQUEST)),
    ]
    note = said(
        "One language is enough; the others cross beside it, as written. It becomes a draft. Nothing leaves now."
    )
    return Page(
        said("Ask the partner"), [Form("ask", said("The request"), said("Draft the request"), fields, note)],
        "", crumbs,
    )  # fmt: skip


@ask.act("ask")
def _ask(visit: Visit, given: Given) -> Done:
    texts = {tag: words for tag in languages(visit) if (words := given.get(f"text-{tag}").replace("\r\n", "\n"))}
    if not texts:
        raise FieldError(f"text-{languages(visit)[0]}", "words in one language at least are needed")
    area, priority = given.need("area"), given.need("priority")
    if area not in visit.law.areas or area not in visit.visitor.areas:
        raise FieldError("area", "this is none of your areas")
    if priority not in get_args(Priority):
        raise FieldError("priority", "this is none of the priorities")
    map_id = chosen_map(visit, given, *_areas(visit, REQUEST))
    sheet = RequestSheet(texts, area, priority, _end_of(given.get("wanted")))  # type: ignore[arg-type]  # looked up
    done = visit.node.ask(sheet, author=visit.visitor.handle, map_id=map_id)
    return Done(f"/draft/{done.proposal.rid}", said("Drafted. It leaves once enough persons have approved it."))


def _end_of(day: str) -> str | msgspec.UnsetType:
    """The last minute of a day; FieldError if it is none."""
    if not day:
        return msgspec.UNSET
    try:
        if len(day) != DAY or date.fromisoformat(day).isoformat() != day:
            raise FieldError("wanted", "write YYYY-MM-DD")
    except ValueError:
        raise FieldError("wanted", "write YYYY-MM-DD") from None
    return f"{day}T23:59Z"
