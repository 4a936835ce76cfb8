"""Custody: the life of one import, draft or release, each step with the entry or journal line that says so."""

from entente.errors import UsageError
from entente.node.custody import Custody, custody
from entente.web.desk.telling import STATES, steps_table, word
from entente.web.page import Block, Cell, Content, Facts, Line, Page, Said, Table, said
from entente.web.screen import page
from entente.web.visit import Visit

ENDS = {
    "held": said("still held", tone="wait"),
    "returned": said("returned", tone="good"),
    "destroyed": said("destroyed", tone="good"),
    "closed": said("closed", tone="good"),
    "never held": said("never held"),
}
ITEMS = {
    "import": said("Import"),
    "draft": said("Draft of ours"),
    "sent": said("Release of ours"),
    "received": said("Release of the partner"),
}


@page("/custody/{which}", said("Custody"))
def life(visit: Visit) -> Page:
    """One item from birth to destruction, and what end is still open."""
    found = _found(visit)
    mark = visit.portion(found.rank, found.marking.caveats if found.marking is not None else ())
    blocks: list[Block] = [
        _facts(found, mark),
        steps_table(visit, said("Its life, step by step"), found.steps),
        _copies(visit, found),
        _open(visit, found),
    ]
    held = found.totals["held"]
    lead = said("{n} copies still held", tone="wait", n=held) if held else said("No copy is held any more", tone="good")
    return Page(said("Custody"), blocks, lead=lead, crumbs=[Cell(said("Register"), href="/register")])


def _found(visit: Visit) -> Custody:
    """The item, if there is one of this whole id that the visitor may know of."""
    which = visit.params["which"]
    if len(which) < len("0" * 16):  # the beginning of an id, or a number, would tell what there is
        raise visit.missing()
    try:
        found = custody(visit.node, which)
    except UsageError:
        raise visit.missing() from None
    if found.id != which or not visit.reads(found.area, found.rank):
        raise visit.missing()
    return found


def _facts(found: Custody, mark: str) -> Facts:
    way = {"sent": f"/release/{found.id}", "received": f"/release/{found.id}", "draft": f"/draft/{found.id}"}
    rows: list[tuple[Said | str, Line]] = [
        (said("Item"), word(ITEMS, found.kind)),
        (said("Id"), Cell(found.id, "digest", way.get(found.kind, f"/import/{found.id}"), mark=mark)),
        (said("State"), word(STATES, found.state)),
        (said("Area, format"), [Cell(found.area), Cell(found.format)]),
    ]
    if found.number:
        rows.append((said("Number"), said("{n} of {party}", n=found.number, party=found.party)))
    if found.source and found.source != found.id:
        rows.append((said("Drawn from"), Cell(found.source, "digest", f"/custody/{found.source}")))
    held: list[Content] = []
    if found.held.key:
        held.append(said("its key"))
    if found.held.blob:
        held.append(said("its sealed bytes"))
    if found.held.rows:
        held.append(said("{n} objects that can be read", n=found.held.rows))
    if found.held.copies_out:
        held.append(said("{n} numbered copies out", n=len(found.held.copies_out)))
    rows.append((said("Held here"), held or said("nothing", tone="good")))
    return Facts(said("The item"), rows)


def _copies(visit: Visit, found: Custody) -> Table:
    """Each copy's own life, and their sum by end."""
    rows = [
        (
            said(one.what) if not one.n else said("numbered copy {n}", n=one.n), Cell(one.holder), Cell(one.place),
            visit.time(one.since), visit.time(one.until), word(ENDS, one.end),
        )
        for one in found.lives
    ]  # fmt: skip
    columns = [said("Copy"), said("Holder"), said("Place"), said("Since"), said("Until"), said("End")]
    totals = found.totals
    note = said(
        "{all} copies: {held} held, {returned} returned, {destroyed} destroyed, {closed} closed, {never} never held.",
        all=len(found.lives), held=totals["held"], returned=totals["returned"], destroyed=totals["destroyed"],
        closed=totals["closed"], never=totals["never held"],
    )  # fmt: skip
    return Table(said("Every copy"), columns, rows, note=note)


def _open(visit: Visit, found: Custody) -> Table:
    rows = [(said(one.what), Cell(one.by), visit.time(one.due)) for one in found.open]
    columns = [said("What has to happen"), said("By whom"), said("Due")]
    return Table(said("What is still open"), columns, rows, said("Nothing: its life is over, or nothing is owed."))
