"""Exchange: what crossed either way, counted in both registers, what waits, and how fast questions are answered."""

from collections.abc import Iterable, Sequence

from entente.account.state import Side
from entente.node.traffic import DRAFTS, STATES, Traffic, Waiting, traffic
from entente.node.worker import read_state
from entente.treaty.marking import Marking
from entente.web import charts
from entente.web.charts import Answered, Chart
from entente.web.desk.books import Listed, seen_releases
from entente.web.desk.telling import OUTCOMES, word
from entente.web.desk.telling import STATES as WORDS
from entente.web.page import (
    Block,
    Cell,
    Column,
    Content,
    Facts,
    Figure,
    Filter,
    Line,
    Links,
    Listing,
    Page,
    Row,
    Said,
    Table,
    said,
)
from entente.web.screen import page
from entente.web.visit import Visit, sliced

WINDOW_DAYS = 30
MOST_WAITING = 10
NONE = "none"  # the filter's word for a release without an answer


@page("/exchange", said("Exchange"), menu=True, key="e", lists=True)
def exchange(visit: Visit) -> Page:
    """Both directions, and every release that the visitor may know of."""
    rows = seen_releases(visit)
    found = _traffic(visit)
    links = [
        Cell(said("The account of both registers: reconcile"), href="/reconcile"),
        Cell(said("Every entry: the register"), href="/register"),
    ]
    blocks: list[Block] = [
        _link(visit),
        *(_direction(visit, side, rows) for side in (visit.node.side, visit.node.other_side)),
        *_drafts(found),
        *_waiting(visit, found),
        Links(said("Go on from here"), links),
        _listing(visit, rows),
        _over_time(found),
        _hours(visit, found),
    ]
    waiting = sum(len(one.waiting) for one in found.directions)
    lead = said("Every release is answered.", tone="good")
    if waiting:
        lead = said("{n} releases without an answer", tone="wait", n=waiting)
    return Page(said("Exchange"), blocks, lead=lead)


def _traffic(visit: Visit) -> Traffic:
    """The traffic as this visitor may see it, kept for all who see the same."""
    known: dict[tuple[str, Marking, str], bool] = {}

    def sees(area: str, marking: Marking, sender: str) -> bool:
        key = area, marking, sender
        if key not in known:
            known[key] = visit.sees_marking(area, marking, sender)
        return known[key]

    who = visit.visitor
    key = ("traffic", who.rank, who.areas, visit.node.acknowledged())
    return visit.door.kept(visit.node, key, lambda: traffic(visit.node, window_days=WINDOW_DAYS, sees=sees))


# The link


def _link(visit: Visit) -> Facts:
    """How the link stands, in words."""
    state, node = read_state(visit.node.folder), visit.node
    if state is None:
        contact: Content = said("This node does not run by itself: files are carried, or `entente sync` is run.")
        how: Content = said("not linked", tone="wait")
    else:
        contact = visit.time(state.last_contact) if state.last_contact else said("never", tone="bad")
        how = said("linked", tone="good")
        if state.fault:
            how = said("in trouble: {fault}", tone="bad", fault=state.fault)
        elif state.failures:
            how = said("the partner does not answer, {n} times in a row", tone="bad", n=state.failures)
    rows: list[tuple[Said | str, Line]] = [(said("Link"), how), (said("Last contact"), contact)]
    if state is not None and state.last_wire_fault:
        rows.append((said("Last fault on the wire"), Cell(state.last_wire_fault)))
    if node.frozen:
        rows.append((said("This node signs nothing"), said("{why}", tone="bad", why=node.frozen)))
    behind = node.side.size - node.acknowledged()
    words = said("{n} entries not yet", tone="wait", n=behind) if behind else said("all", tone="good")
    rows.append((said("Our entries that the partner has cosigned"), words))
    return Facts(said("Link"), rows)


# Counted twice


def _direction(visit: Visit, side: Side, rows: Iterable[Listed]) -> Table:
    """One direction as either register counts it: what its own party states, and what it has seen of the other."""
    node, other = visit.node, visit.node.pair.other(side.party)
    head = node.head_of(side.party)
    cosigned = node.acknowledged() if side is node.side else head.size if head is not None else 0
    key = ("counts", side.party, cosigned, visit.visitor.rank, visit.visitor.areas)
    counts = visit.door.kept(node, key, lambda: _counts(side, other, cosigned, rows), hourly=True)
    told = [(_NAMES[name], *_pair(name, both, side.party, other.party)) for name, both in counts.items()]
    columns = [said("Releases"), said("By the register of {party}", party=side.party)]
    columns += [said("By the register of {party}", party=other.party), said("Do they agree?")]
    note = said("A register counts what its own party states, and of the other's what it says it has seen.")
    return Table(said("{a} to {b}", a=side.party, b=other.party), columns, told, note=note)


def _counts(side: Side, other: Side, cosigned: int, rows: Iterable[Listed]) -> dict[str, list[int]]:
    """State → how many of these releases of `side` are so by its own register, and by the other's."""
    counts = {name: [0, 0] for name in ("dispatched", "stored", "received", "disputed", "withdrawn", "ended")}
    for row in rows:
        if row.party != side.party:
            continue
        fact = row.fact
        counts["dispatched"][0] += 1
        counts["dispatched"][1] += fact.idx < other.seen
        counts["stored"][1] += fact.idx < cosigned
        orders = [order.idx for order in fact.orders if order.act == "withdraw"]
        counts["withdrawn"][0] += bool(orders)
        counts["withdrawn"][1] += any(idx < other.seen for idx in orders)
        for name, outcomes in _ANSWERS.items():
            at = [given.idx for given in fact.answers if given.outcome in outcomes]
            counts[name][0] += any(idx < side.seen for idx in at)
            counts[name][1] += bool(at)
    return counts


_ANSWERS = {
    "received": frozenset({"received"}),
    "disputed": frozenset(OUTCOMES) - {"received", "applied", "returned", "destroyed"},
    "ended": frozenset({"returned", "destroyed"}),
}
_NAMES = {
    "dispatched": said("dispatched"),
    "stored": said("stored (cosigned)"),
    "received": said("received"),
    "disputed": said("disputed"),
    "withdrawn": said("withdrawn"),
    "ended": said("ended: returned or destroyed"),
}


def _pair(name: str, both: Sequence[int], by: str, to: str) -> tuple[Content, Content, Content]:
    author, receiver = both
    if name == "stored":
        return Cell("-"), receiver, said("cosigned by {party}", party=to)
    if author == receiver:
        return author, receiver, said("agree", tone="good")
    late = by if author < receiver else to
    return author, receiver, said("{party} has {n} yet to see", tone="wait", party=late, n=abs(author - receiver))


def _drafts(found: Traffic) -> list[Table]:
    """What of ours has not left."""
    drafts = found.directions[0].drafts
    rows = [(word(WORDS, state), drafts[state]) for state in DRAFTS if drafts.get(state)]
    if not rows:
        return []
    return [Table(said("Ours that have not left"), [said("State"), said("Drafts")], rows)]


def _waiting(visit: Visit, found: Traffic) -> list[Table]:
    """The oldest releases without an answer."""
    waiting = sorted((one for side in found.directions for one in side.waiting), key=lambda one: one.at)
    columns = [said("Release"), said("For"), said("Answer due"), said("State")]
    rows = [_waits(visit, one) for one in waiting[:MOST_WAITING]]
    title = said("Without an answer, the oldest first")
    more = len(waiting) - MOST_WAITING
    note = said("{n} more stand in the list below.", n=more) if more > 0 else ""
    return [Table(title, columns, rows, said("None."), note)]


def _waits(visit: Visit, one: Waiting) -> tuple[Content, ...]:
    mark = visit.portion(one.rank, one.marking.caveats)
    return (
        Cell(f"{one.by} {one.number}", href=f"/release/{one.rid}", mark=mark), Cell(visit.age(one.at)),
        visit.time(one.due), said("overdue", tone="bad") if one.overdue else said("waits", tone="wait"),
    )  # fmt: skip


# Pictures


def figure(
    title: Said, chart: Chart, columns: Sequence[Said], rows: Sequence[Sequence[Content]], note: Said | str = ""
) -> Figure:
    """A picture with its table."""
    return Figure(title, chart.svg, Table(title, columns, rows, note=note))


def _over_time(found: Traffic) -> Figure:
    """Releases a day, both directions."""
    first, second = (one.by for one in found.directions)
    days = found.days.days
    labels = [one.day for one in days]
    series = [(party, [one.counts.get(party, 0) for one in days]) for party in (first, second)]
    chart = charts.bars("exchange", f"Releases a day, {labels[0]} to {labels[-1]}", labels, *series)
    before = found.days.before
    rows: list[tuple[Content, ...]] = [(said("before that"), before.get(first, 0), before.get(second, 0))]
    busy = [one for one in days if any(one.counts.values())]
    rows += [(Cell(one.day), one.counts.get(first, 0), one.counts.get(second, 0)) for one in busy]
    rows.append((said("each other day"), 0, 0))
    columns = [said("Day (UTC)"), said("{party}", party=first), said("{party}", party=second)]
    return figure(said("Exchange over time"), chart, columns, rows)


def _hours(visit: Visit, found: Traffic) -> Figure:
    """Hours from a question to the receipt of its answer."""
    marks = [visit.mark(one.marking, one.by) for one in found.questions]
    items = [Answered(f"{one.by} {one.number}", one.waited, one.hours is not None) for one in found.questions]
    chart = charts.hours("hours", "Hours from question to answer", items)
    rows = [
        (
            Cell(f"{one.by} {one.number}", href=f"/request/{one.rid}", mark=mark), Cell(f"{one.waited:g}"),
            said("answered", tone="good") if one.hours is not None else said("waits", tone="wait"),
        )
        for one, mark in zip(found.questions, marks, strict=True)
    ]  # fmt: skip
    columns = [said("Question"), said("Hours"), said("State")]
    return figure(said("Hours from question to answer"), chart, columns, rows)


# Every release


def _listing(visit: Visit, rows: Sequence[Listed]) -> Listing:
    """All releases of both sides, the latest first."""
    kept = visit.held(
        rows,
        tests={
            "direction": lambda row, value: row.party == value,
            "state": lambda row, value: row.state == value,
            "area": lambda row, value: row.fact.area == value,
            "answer": lambda row, value: row.answer == ("" if value == NONE else value),
        },
        sorts={
            "release": lambda row: (row.party, row.fact.number),
            "at": lambda row: row.fact.at,
            "state": lambda row: row.state,
            "area": lambda row: row.fact.area,
            "records": lambda row: row.fact.records,
            "received": lambda row: row.received,
        },
    )
    parties = [(side.party, said("{a} to {b}", a=side.party, b=visit.node.pair.other(side.party).party))
               for side in (visit.node.side, visit.node.other_side)]  # fmt: skip
    areas = [(name, name) for name in visit.law.areas if name in visit.visitor.areas]
    return Listing(
        said("Releases of both sides"),
        [
            Column("release", said("Release"), sort=True), Column("at", said("Dispatched"), "time", sort=True),
            Column("state", said("State"), sort=True), Column("area", said("Area"), sort=True),
            Column("article", said("Article")), Column("format", said("Format")),
            Column("records", said("Records"), "number", sort=True), Column("answer", said("Answer")),
            Column("received", said("Received"), "time", sort=True), Column("rid", said("Id"), "digest"),
        ],
        sliced(kept),
        lambda row: _row(visit, row),
        filters=[
            Filter("direction", said("Direction"), parties),
            Filter("state", said("State"), [(state, WORDS[state]) for state in STATES]),
            Filter("area", said("Area"), areas),
            Filter("answer", said("Answer"), [(NONE, said("none yet")), *OUTCOMES.items()]),
        ],
        total=len(kept),
        stamp=lambda: repr((visit.node.pair.sizes, visit.node.acknowledged())),
        empty=said("No such release."),
    )  # fmt: skip


def _row(visit: Visit, row: Listed) -> Row:
    fact = row.fact
    cells: dict[str, Content] = {
        "release": Cell(f"{row.party} {fact.number}"), "at": visit.time(fact.at), "state": word(WORDS, row.state),
        "area": Cell(fact.area), "article": Cell(fact.article), "format": Cell(fact.format), "records": fact.records,
        "answer": word(OUTCOMES, row.answer) if row.answer else said("none yet"),
        "received": visit.time(row.received) if row.received else "", "rid": Cell(fact.rid, "digest"),
    }  # fmt: skip
    return Row(fact.rid, cells, f"/release/{fact.rid}", visit.mark(row.marking, row.party))
