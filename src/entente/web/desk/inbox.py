"""Inbox: what arrived from the partner and what was imported here, what was refused or set aside, and what waits."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

import msgspec

from entente.account.acts import REFUSALS
from entente.account.state import Act, ReleaseFact
from entente.store.node_db import SourceRow
from entente.strict import parse_time, time_text
from entente.web.desk.seen import imports, received, sees_set_aside
from entente.web.page import Cell, Column, Content, Filter, Links, Listing, Page, Row, Said, said
from entente.web.screen import page
from entente.web.visit import Visit, sliced

State = Literal["waiting", "received", "refused", "withdrawn", "ended", "taken", "aside", "order"]
STATES: dict[State, Said] = {
    "waiting": Said("waiting", tone="wait"),
    "received": Said("received", tone="good"),
    "refused": Said("refused", tone="bad"),
    "withdrawn": Said("withdrawn by the partner", tone="bad"),
    "ended": Said("returned or destroyed"),
    "taken": Said("taken in", tone="good"),
    "aside": Said("taken in, some set aside", tone="wait"),
    "order": Said("order"),
}
OUTCOMES = {
    "not_permitted": Said("the agreement does not permit it"),
    "bad_digest": Said("it is not what was approved"),
    "unopenable": Said("it cannot be opened with our keys"),
    "bad_format": Said("an object of it is not valid"),
    "too_large": Said("it is larger than the agreement allows"),
    "no_blob": Said("its content was not served for a day, or was withdrawn"),
}
ORDERS = {
    "withdraw": Said("order: withdraw"),
    "reclass": Said("order: new marking"),
    "return": Said("order: return"),
    "destroy": Said("order: destroy"),
}
KINDS = {"release": Said("release"), "import": Said("import"), "order": Said("order of the partner")}


class Arrived(msgspec.Struct, frozen=True):
    """One line of the inbox: a release or an order of the partner's, or an import of ours."""

    kind: Literal["release", "import", "order"]
    at: str
    area: str
    state: State
    records: int
    release: ReleaseFact | None = None
    source: SourceRow | None = None
    order: Act | None = None
    answered: bool = True


def arrived(visit: Visit) -> Sequence[Arrived]:
    """All that arrived, as far as the visitor may know of it, newest first."""
    node, who = visit.node, visit.visitor
    log_id = node.logs[node.partner]
    intents = dict(node.db.intents(log_id))
    waiting = frozenset(node.db.pending_indices(log_id))
    sources = imports(visit)

    def make() -> list[Arrived]:
        rows: list[Arrived] = []
        for fact in received(visit):
            rows.append(
                Arrived(
                    "release", fact.at, fact.area, state_of(fact, intents, node.other_side.size), fact.records, fact,
                    answered=bool(fact.answers),
                )
            )  # fmt: skip
            rows += [
                Arrived(
                    "order", order.at, fact.area, "waiting" if order.idx in waiting else "order", fact.records, fact,
                    order=order, answered=order.idx not in waiting,
                )
                for order in fact.orders
            ]  # fmt: skip
        rows += [_import(visit, source) for source in sources]
        rows.sort(key=lambda row: row.at, reverse=True)
        return rows

    key = ("arrived", len(sources), len(waiting), len(intents), who.rank, who.areas)
    return visit.door.kept(node, key, make)


def _import(visit: Visit, source: SourceRow) -> Arrived:
    aside = source.quarantined > 0 and sees_set_aside(visit, source)
    count = visit.node.view.readable(source.id, visit.visitor.rank)
    return Arrived("import", source.at, source.area, "aside" if aside else "taken", count, source=source)


def state_of(fact: ReleaseFact, intents: Mapping[int, str], partner_size: int) -> State:
    """How far this node is with a release of the partner's."""
    said_so = {answer.outcome for answer in fact.answers} | ({intents[fact.idx]} if fact.idx in intents else set())
    if said_so & {"returned", "destroyed"}:
        return "ended"
    if fact.withdrawn_at(partner_size):
        return "withdrawn"
    if "received" in said_so:
        return "received"
    return "refused" if said_so & REFUSALS else "waiting"


@page("/inbox", said("Inbox"), menu=True, key="i", lists=True)
def inbox(visit: Visit) -> Page:
    """What arrived, newest first: releases and orders of the partner, and imports."""
    rows = arrived(visit)
    tests = {
        "kind": lambda row, value: row.kind == value,
        "state": lambda row, value: row.state == value,
        "area": lambda row, value: row.area == value,
        "answered": lambda row, value: row.answered == (value == "yes"),
    }
    found = visit.held(rows, tests=tests, sorts={"at": lambda row: row.at, "records": lambda row: row.records})
    columns = [
        Column("what", said("What")), Column("at", said("When"), "time", sort=True), Column("area", said("Area")),
        Column("state", said("State")), Column("why", said("Why")),
        Column("records", said("Records"), "number", sort=True),
    ]  # fmt: skip
    areas = [(area, area) for area in visit.visitor.areas]
    filters = [
        Filter("kind", said("What"), list(KINDS.items())),
        Filter("state", said("State"), list(STATES.items())),
        Filter("area", said("Area"), areas),
        Filter("answered", said("Acknowledged"), [("yes", said("yes")), ("no", said("no"))]),
    ]
    listing = Listing(
        said("What arrived"), columns, sliced(found), lambda row: _row(visit, row), filters, len(found),
        stamp=lambda: str(len(arrived(visit))), empty=said("Nothing arrived that fits."),
    )  # fmt: skip
    links = [Cell(said("Take in a file"), href="/import"), Cell(said("Quarantine"), href="/quarantine"),
             Cell(said("Search"), href="/search")]  # fmt: skip
    return Page(said("Inbox"), [Links(said("Go on"), links), listing], _lead(visit, rows))


def _lead(visit: Visit, rows: Sequence[Arrived]) -> Said:
    """Received since yesterday, quarantined, unacknowledged."""
    since = time_text(parse_time(visit.node.now()) - timedelta(days=1))
    new = sum(1 for row in rows if row.kind == "release" and row.state == "received" and row.at >= since)
    aside = sum(row.source.quarantined for row in rows if row.source is not None and row.state == "aside")
    open_ = sum(1 for row in rows if not row.answered)
    return said(
        "{new} received since yesterday, {aside} quarantined, {open} unacknowledged", tone="wait" if open_ else "",
        new=new, aside=aside, open=open_,
    )  # fmt: skip


def _row(visit: Visit, row: Arrived) -> Row:
    cells: dict[str, Content] = {
        "at": visit.time(row.at), "area": row.area, "state": STATES[row.state], "records": row.records,
        "why": why(visit, row),
    }  # fmt: skip
    if row.source is not None:
        cells["what"] = said("import {id}", id=row.source.id)
        return Row(f"import/{row.source.id}", cells, f"/import/{row.source.id}", _import_mark(visit, row.source))
    fact = row.release
    if fact is None:
        return Row("", cells)
    mark = visit.mark(visit.release_marking(visit.node.other_side, fact), visit.node.partner)
    cells["what"] = said("release {n}", n=fact.number)
    if row.order is not None:
        cells["what"] = ORDERS.get(row.order.act, KINDS["order"])
    return Row(f"{row.kind}/{row.order.idx if row.order else fact.idx}", cells, f"/release/{fact.rid}", mark)


def _import_mark(visit: Visit, source: SourceRow) -> str:
    """The highest marking of what the visitor may read of an import."""
    rank = visit.node.view.highest_to(source.id, visit.visitor.rank)
    return visit.portion(rank) if rank >= 0 else ""


def why(visit: Visit, row: Arrived) -> Content:
    """Why something was refused, or what it waits for; "" where there is nothing to say."""
    if row.source is not None:
        return said("{n} set aside", n=row.source.quarantined) if row.state == "aside" else ""
    fact = row.release
    if fact is None or row.state not in ("waiting", "refused"):
        return "" if row.answered else said("our answer waits for the next round")
    if row.order is not None:
        return said("a person must carry it out")
    found = visit.node.db.inbox_row(visit.node.logs[visit.node.partner], fact.idx)
    if row.state == "waiting":
        if found is None:
            return said("it is being read")
        return said("its key or its content is not served yet; after a day it is refused")
    outcome = found.outcome if found is not None and found.outcome else ""
    reason = found.reason if found is not None else ""
    return Cell(reason) if reason else OUTCOMES.get(outcome, said("refused"))
