"""Undertakings: who owes whom what by when, in either side's words, and how what both state and claim agrees."""

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from entente.account.acts import STRENGTHS, Undertaking
from entente.account.claim import claims
from entente.account.statement import Reconciled
from entente.account.undertaking import undertakings
from entente.web import charts
from entente.web.charts import Dated
from entente.web.desk.books import clear_rank
from entente.web.desk.exchange import figure
from entente.web.desk.stating import key_field, prepared, stating_fields, undertaking_body
from entente.web.page import Block, Cell, Column, Content, Done, Figure, Filter, Form, Listing, Page, Row, Said, said
from entente.web.screen import Given, page
from entente.web.visit import Visit, sliced

CLEAR = said("These words will stand in clear in both registers. Above the clear level they travel as a document.")
AGREE, DIFFER, OURS, THEIRS, NOBODY = "agree", "differ", "ours", "theirs", "nobody"
STATED = {
    AGREE: said("agree", tone="good"),
    DIFFER: said("differ", tone="bad"),
    OURS: said("only ours", tone="wait"),
    THEIRS: said("only theirs", tone="wait"),
    NOBODY: said("nobody claims"),
}
PICTURED = 60
PASSED, COMING, UNDATED = "passed", "coming", "undated"


class Promise(msgspec.Struct, frozen=True):
    """One key: what either side states and claims under it, and when it is due by the earlier of them."""

    key: str
    stated: Reconciled
    claimed: Reconciled | None
    owed_by: str
    due: str

    def body(self, party: str) -> Undertaking | None:
        """What a party states."""
        fact = self.stated.stated.get(party)
        return fact.body if fact is not None and isinstance(fact.body, Undertaking) else None

    def value(self, party: str) -> str:
        """What a party claims."""
        fact = self.claimed.stated.get(party) if self.claimed is not None else None
        return fact.body.value if fact is not None and not isinstance(fact.body, Undertaking) else ""


def standing(state: str, own: str) -> str:
    """How two statements stand to each other, as this side says it."""
    return (OURS if state == f"only {own}" else THEIRS) if state.startswith("only ") else state


def promises(visit: Visit) -> Sequence[Promise]:
    """Every undertaking, by due date, those without one last; none if they are not for the visitor."""
    if visit.visitor.rank < clear_rank(visit):
        return ()
    return visit.door.kept(visit.node, ("undertakings",), lambda: _all(visit))


def _all(visit: Visit) -> tuple[Promise, ...]:
    claimed = {row.key: row for row in claims(visit.node.pair)}
    found = []
    for row in undertakings(visit.node.pair):
        bodies = [fact.body for fact in row.stated.values() if isinstance(fact.body, Undertaking)]
        due = min((body.due for body in bodies if isinstance(body.due, str)), default="")
        found.append(Promise(row.key, row, claimed.get(row.key), bodies[0].owed_by, due))
    return tuple(sorted(found, key=lambda one: (not one.due, one.due, one.key)))


@page("/undertakings", said("Undertakings"), menu=True, key="u", lists=True)
def undertakings_(visit: Visit) -> Page:
    """All that was undertaken, ours and theirs."""
    rows = promises(visit)
    late = sum(_when(visit, one) == PASSED for one in rows)
    lead = said("{n} of {all} are past their date", tone="wait" if late else "good", n=late, all=len(rows))
    blocks: list[Block] = [_picture(visit, rows), _listing(visit, rows)]
    if visit.visitor.rank >= clear_rank(visit):
        fields = [key_field(), *stating_fields(visit, None)]
        title = said("State an undertaking")
        blocks.append(Form("state", title, said("Prepare it for signing"), fields, CLEAR))
    return Page(said("Undertakings"), blocks, lead=lead)


def _when(visit: Visit, one: Promise) -> str:
    return UNDATED if not one.due else PASSED if one.due <= visit.node.now() else COMING


def _picture(visit: Visit, rows: Sequence[Promise]) -> Figure:
    """Undertakings on the line of their dates: those nearest to today, where there are many."""
    own, other = visit.node.party, visit.node.partner
    every, rows = len(rows), _nearest(rows, visit.node.now())
    note = said("The {n} nearest of {all}: the list below has them all.", n=len(rows), all=every)
    mark = visit.portion(clear_rank(visit)) if rows else ""
    items = [Dated(one.key, one.due, one.owed_by == own) for one in rows]
    title = "Undertakings by due date"
    chart = charts.dues("dues", title, visit.node.now(), (f"owed by {own}", f"owed by {other}"), items)
    words = {PASSED: said("past its date", tone="wait"), COMING: said("to come"), UNDATED: said("no date")}
    told = [
        (number, Cell(one.key, href=path_of(one.key), mark=mark), Cell(one.owed_by), visit.time(one.due),
         words[_when(visit, one)])
        for number, one in enumerate(rows, 1)
    ]  # fmt: skip
    columns = [said("No."), said("Undertaking"), said("Owed by"), said("Due"), said("State")]
    return figure(said("Undertakings by due date"), chart, columns, told, note if len(rows) < every else "")


def _nearest(rows: Sequence[Promise], now: str) -> Sequence[Promise]:
    """So many of what has a date as a picture can show, half of them past where there are enough."""
    dated = [one for one in rows if one.due]
    if len(rows) <= PICTURED:
        return rows
    first = sum(one.due <= now for one in dated) - PICTURED // 2
    return dated[max(0, min(first, len(dated) - PICTURED)) :][:PICTURED]


def path_of(key: str) -> str:
    """Where an undertaking's page is."""
    return f"/undertaking/{quote(key, safe='/')}"


def _listing(visit: Visit, rows: Sequence[Promise]) -> Listing:
    own, other = visit.node.party, visit.node.partner
    kept = visit.held(
        rows,
        tests={
            "owed": lambda one, value: one.owed_by == value,
            "stated": lambda one, value: standing(one.stated.state, own) == value,
            "claimed": lambda one, value: _claimed(one, own) == value,
            "strength": lambda one, value: value in {body.strength for body in _bodies(one)},
            "due": lambda one, value: _when(visit, one) == value,
        },
        sorts={
            "key": lambda one: one.key,
            "owed": lambda one: one.owed_by,
            "due": lambda one: (not one.due, one.due),
            "stated": lambda one: one.stated.state,
        },
    )
    whens = [(PASSED, said("past its date")), (COMING, said("to come")), (UNDATED, said("no date"))]
    states = [(state, STATED[state]) for state in (AGREE, DIFFER, OURS, THEIRS)]
    return Listing(
        said("All undertakings"),
        [
            Column("key", said("Key"), sort=True), Column("owed", said("Owed by"), sort=True),
            Column("words", said("Words")), Column("strength", said("Strength")),
            Column("due", said("Due"), "time", sort=True), Column("stated", said("As both state it"), sort=True),
            Column("ours", said("We claim")), Column("theirs", said("They claim")), Column("claimed", said("Claims")),
        ],
        sliced(kept),
        lambda one: _row(visit, one),
        filters=[
            Filter("owed", said("Owed by"), [(own, own), (other, other)]),
            Filter("stated", said("As both state it"), states),
            Filter("claimed", said("Claims"), [*states, (NOBODY, STATED[NOBODY])]),
            Filter("strength", said("Strength"), [(word, word) for word in STRENGTHS]),
            Filter("due", said("Due"), whens),
        ],
        total=len(kept),
        stamp=lambda: repr(visit.node.pair.sizes),
        empty=said("No undertaking."),
    )  # fmt: skip


def _bodies(one: Promise) -> list[Undertaking]:
    return [fact.body for fact in one.stated.stated.values() if isinstance(fact.body, Undertaking)]


def _claimed(one: Promise, own: str) -> str:
    return standing(one.claimed.state, own) if one.claimed is not None else NOBODY


def _row(visit: Visit, one: Promise) -> Row:
    own, other = visit.node.party, visit.node.partner
    body = one.body(own) or _bodies(one)[0]
    language, words = next(iter(body.text.items()))
    strengths = list(dict.fromkeys(each.strength for each in _bodies(one)))
    cells: dict[str, Content] = {
        "key": Cell(one.key), "owed": Cell(one.owed_by), "words": Cell(" ".join(words.split()), lang=language),
        "strength": Cell(" / ".join(strengths)), "due": visit.time(one.due) if one.due else "",
        "stated": STATED[standing(one.stated.state, own)], "ours": Cell(one.value(own) or "-"),
        "theirs": Cell(one.value(other) or "-"), "claimed": STATED[_claimed(one, own)],
    }  # fmt: skip
    return Row(one.key, cells, path_of(one.key), visit.portion(clear_rank(visit)))


@undertakings_.act("state")
def _state(visit: Visit, given: Given) -> Done:
    if visit.visitor.rank < clear_rank(visit):
        raise visit.missing()
    key = given.need("key")
    return prepared(visit, "undertaking", {"key": key, **undertaking_body(visit, given)})


def words_of(fields: Sequence[str]) -> Said:
    """In what two statements differ."""
    return said("They differ in: {fields}", tone="bad", fields=", ".join(fields))
