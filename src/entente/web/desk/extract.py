"""The auditor's extract: every decision and refusal of a period, their totals, and a sample that anyone can redo.

Going through a period's journal takes long, so it is done apart from reading and acting; the last extracts are kept as
long as the door is open, and each visitor is shown what they may know of.
"""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from urllib.parse import urlencode

import msgspec

from entente.errors import FormatError, UsageError
from entente.node.extract import Extract, Sample, Total, extract, place_of, sample, totals
from entente.node.extract import Row as Decision
from entente.strict import parse_time
from entente.web.desk.telling import entry_cell, may_know
from entente.web.page import (
    Block,
    Cell,
    Column,
    Content,
    Done,
    Field,
    Filter,
    Form,
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

MOST_KEPT = 2
MOST_SAMPLED = 200
SAMPLED = 10
WHAT = {
    "release": said("release dispatched"),
    "draft": said("draft that has not left"),
    "object": said("object that stays at home"),
    "check": said("decision of the agreement"),
    "gate": said("decision of national rules"),
    "approval": said("approval"),
    "act": said("act of persons"),
    "answer": said("answer to the partner"),
}
RESULTS = {"granted": said("granted"), "refused": said("refused", tone="bad")}


class Drawn(msgspec.Struct):
    """The extracts that were drawn last, by period."""

    extracts: OrderedDict[tuple[str, str], Extract] = msgspec.field(default_factory=OrderedDict)


class Seen(msgspec.Struct, frozen=True):
    """What one visitor may know of an extract."""

    rows: tuple[Decision, ...]
    totals: tuple[Total, ...]


def _drawn(visit: Visit) -> Drawn:
    return visit.door.lasting("extracts", Drawn)


@page("/extract", said("Auditor's extract"), lists=True)
def audit(visit: Visit) -> Page:
    """The extract of the period that the address names, as far as it was drawn."""
    today = date.fromisoformat(visit.node.now()[:10])
    since = visit.query.get("since") or today.replace(day=1).isoformat()
    until = visit.query.get("until") or (today + timedelta(days=1)).isoformat()
    note = said("It goes through the home journal and both registers for the period, beside what others do.")
    fields = [
        Field("since", said("From (day, UTC)"), "date", since),
        Field("until", said("Until, not including (day, UTC)"), "date", until),
    ]
    form = Form("draw", said("Draw an extract"), said("Draw the extract"), fields, note)
    crumbs = [Cell(said("Register"), href="/register")]
    found = _drawn(visit).extracts.get((since, until))
    if found is None:
        lead = said("This period was not drawn since this desk was opened.", tone="wait")
        return Page(said("Auditor's extract"), [form], lead=lead, crumbs=crumbs)
    seen = visit.door.kept(
        visit.node, ("extract", since, until, id(found), visit.visitor.rank, visit.visitor.areas),
        lambda: _seen(visit, found),
    )  # fmt: skip
    refused = sum(row.refused for row in seen.rows)
    lead = said("{n} decisions, {m} of them refusals, from {since} until {until}",
                n=len(seen.rows), m=refused, since=since, until=until)  # fmt: skip
    blocks: list[Block] = [_totals(seen.totals), *_sampled(visit, seen.rows), _listing(visit, seen.rows), form]
    return Page(said("Auditor's extract"), blocks, lead=lead, crumbs=crumbs)


def _seen(visit: Visit, found: Extract) -> Seen:
    """The rows that the visitor may know of; a release counts as it is marked now, and as it was then."""
    known: dict[str, bool] = {}

    def sees(row: Decision) -> bool:
        if not visit.reads(row.area, row.rank):
            return False
        if row.rid not in known:
            facts = ((side, side.release(row.rid)) for side in visit.node.pair.sides.values())
            known[row.rid] = all(fact is None or visit.sees(side, fact) for side, fact in facts)
        return known[row.rid]

    rows = tuple(row for row in found.rows if sees(row))
    return Seen(rows, totals(rows))


def _totals(found: Sequence[Total]) -> Table:
    """By rule and article; they sum to all rows."""
    rows: list[tuple[Content, ...]] = [
        (_result(one.refused), _what(one.what), Cell(one.rule or "-"), _article(one.article), one.count)
        for one in found
    ]
    if rows:
        rows.append((said("in all"), "", "", "", sum(one.count for one in found)))
    columns = [said("Result"), said("What"), said("Rule"), said("Article"), said("How many")]
    return Table(said("Totals by rule and article"), columns, rows, said("Nothing was decided in this period."))


def _result(refused: bool) -> Said:  # noqa: FBT001 - it is the row's own word
    return RESULTS["refused" if refused else "granted"]


def _what(what: str) -> Content:
    return WHAT.get(what, Cell(what))


def _article(article: str) -> Cell:
    return Cell(f"Art. {article}") if article else Cell("-")


# The sample


def _sampled(visit: Visit, rows: Sequence[Decision]) -> list[Block]:
    """The sampling list by the seed in the address, refusals apart, and the rule to redo it."""
    seed, count = visit.query.get("seed") or "1", visit.query.get("n")
    n = int(count) if count.isascii() and count.isdecimal() and len(count) < 4 else SAMPLED
    try:
        taken = sample(rows, min(n, MOST_SAMPLED), seed)
    except UsageError:
        taken = Sample(seed, (), (), 0, 0)
    rule: list[Content] = [
        said("Seed: {seed}. Give another below, or in the address: the same seed gives the same sample.", seed=seed),
        said("Of what was granted and of what was refused, each apart, those rows are taken whose digest comes first."),
        said("The digest of a row is SHA-256 over the seed, a line feed, and the row's id. By hand:"),
        Cell("printf '%s\\n%s' SEED ID | sha256sum", "code"),
        said("Take the ids from the list below as CSV or JSON, sort the digests, and take the first ones."),
    ]
    columns = [
        said("Digest"),
        said("Id"),
        said("What"),
        said("When"),
        said("By whom"),
        said("Outcome"),
        said("Article"),
    ]
    granted = said("Sample of what was granted: {n} of {all}", n=len(taken.granted), all=taken.of_granted)
    refused = said("Sample of what was refused: {n} of {all}", n=len(taken.refused), all=taken.of_refused)
    return [
        Table(granted, columns, [_sample_row(visit, row, seed) for row in taken.granted]),
        Table(refused, columns, [_sample_row(visit, row, seed) for row in taken.refused]),
        Text(said("How the sample is drawn"), rule),
    ]


def _sample_row(visit: Visit, row: Decision, seed: str) -> tuple[Content, ...]:
    mark = visit.portion(row.rank)
    return (
        Cell(place_of(row.id, seed)[:16], "digest"), Cell(row.id, "code", mark=mark), _what(row.what),
        visit.time(row.at), Cell(", ".join(row.by) or "-"), Cell(row.outcome), _article(row.article),
    )  # fmt: skip


# Every row


def _listing(visit: Visit, rows: Sequence[Decision]) -> Listing:
    kept = visit.held(
        rows,
        tests={
            "what": lambda row, value: row.what == value,
            "result": lambda row, value: row.refused == (value == "refused"),
            "rule": lambda row, value: row.rule == value,
            "article": lambda row, value: row.article == value,
        },
        sorts={
            "at": lambda row: row.at,
            "what": lambda row: row.what,
            "rule": lambda row: row.rule,
            "article": lambda row: row.article,
        },
    )
    rules = sorted({row.rule for row in rows if row.rule})
    articles = sorted({row.article for row in rows if row.article})
    return Listing(
        said("Every decision and refusal"),
        [
            Column("at", said("When"), "time", sort=True), Column("result", said("Result")),
            Column("what", said("What"), sort=True), Column("outcome", said("Outcome")),
            Column("rule", said("Rule"), sort=True), Column("article", said("Article"), sort=True),
            Column("by", said("By whom")), Column("area", said("Area")), Column("about", said("About"), "digest"),
            Column("stands", said("Where it stands")), Column("id", said("Id"), "code"),
        ],
        sliced(kept),
        lambda row: _row(visit, row),
        filters=[
            Filter("since", said("From (YYYY-MM-DD)")), Filter("until", said("Until, not including")),
            Filter("what", said("What"), list(WHAT.items())), Filter("result", said("Result"), list(RESULTS.items())),
            Filter("rule", said("Rule"), [(rule, rule) for rule in rules]),
            Filter("article", said("Article"), [(article, article) for article in articles]),
            Filter("seed", said("Seed of the sample")), Filter("n", said("Rows of each sample")),
        ],
        total=len(kept),
        empty=said("Nothing of this kind."),
    )  # fmt: skip


def _row(visit: Visit, row: Decision) -> Row:
    """One decision; what it is about is named where the visitor may know of it."""
    named = bool(row.rid) and may_know(visit, row.rid)
    about: Content = release_cell(row.rid) if named else ""
    stands: Content = said("node.db")
    if row.idx >= 0:
        stands = entry_cell(visit.node.party, row.idx)
    elif row.seq:
        stands = said("home journal, line {n}", n=row.seq)
    cells: dict[str, Content] = {
        "at": visit.time(row.at), "result": _result(row.refused), "what": _what(row.what), "outcome": Cell(row.outcome),
        "rule": Cell(row.rule), "article": Cell(row.article), "by": Cell(", ".join(row.by)), "area": Cell(row.area),
        "about": about, "stands": stands, "id": Cell(row.id, "code"),
    }  # fmt: skip
    href = f"/custody/{row.rid}" if named else ""
    return Row(row.id, cells, href, visit.portion(row.rank) if row.area else "")


@audit.act("draw", apart=True)
def _draw(visit: Visit, given: Given) -> Done:
    since, until = (_day(given, name) for name in ("since", "until"))
    if since >= until:
        raise FieldError("until", "the period ends before it begins")
    with closing(visit.node.onlooker()) as node:
        found = extract(node, f"{since}T00:00Z", f"{until}T00:00Z")
    extracts = _drawn(visit).extracts
    extracts[since, until] = found
    extracts.move_to_end((since, until))
    while len(extracts) > MOST_KEPT:
        extracts.popitem(last=False)
    return Done(f"/extract?{urlencode({'since': since, 'until': until})}", said("The extract was drawn."))


def _day(given: Given, name: str) -> str:
    text = given.need(name)
    try:
        parse_time(f"{text}T00:00Z")
    except FormatError:
        raise FieldError(name, "a day such as 2027-03-31") from None
    return text
