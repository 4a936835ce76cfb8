"""Reconcile: the account of both registers at a cut or of a year, in words, and its exact text to compare.

Drawing it folds every entry again, which takes long, so it is done apart from reading and acting, and the last account
of each kind is kept as long as the door is open.
"""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import msgspec

from entente.errors import EntenteError
from entente.node.account import FIRST_YEAR, Account
from entente.web.desk.books import clear_rank, sees_all
from entente.web.desk.telling import STATES, word
from entente.web.page import Block, Cell, Content, Done, Facts, Field, Form, Line, Links, Page, Said, Table, said
from entente.web.screen import FieldError, File, Given, page
from entente.web.visit import Visit

LATEST, YEAR = "latest", "year"
STATED = {"undertaking": said("Undertakings"), "claim": said("Claims")}
COUNTED = ("dispatched", "received", "disputed", "withdrawn", "ended")


class Summed(msgspec.Struct, frozen=True):
    """An account and what is told of it: the lines that sum, and how statements stand to each other."""

    account: Account
    year: int
    totals: tuple[dict[str, Any], ...]
    states: dict[str, dict[str, int]]
    invalid: int


class Drawn(msgspec.Struct):
    """The accounts that were drawn last: at the latest common cut (or one asked for), and of a year."""

    accounts: dict[str, Summed] = {}


def _summed(account: Account, year: int = 0) -> Summed:
    """Read once, for an account has a line for each release."""
    totals: list[dict[str, Any]] = []
    states = {kind: dict.fromkeys(("agree", "differ", "only"), 0) for kind in STATED}
    invalid = 0
    for line in account.text.rstrip(b"\n").split(b"\n"):
        row: dict[str, Any] = msgspec.json.decode(line)
        if row["kind"] in ("total", "since"):
            totals.append(row)
        elif row["kind"] in STATED:
            states[row["kind"]][row["state"].partition(" ")[0]] += 1
        invalid += row["kind"] == "invalid"
    return Summed(account, year, tuple(totals), states, invalid)


def _drawn(visit: Visit) -> Drawn:
    return visit.door.lasting("accounts", Drawn)


@page("/reconcile", said("Reconcile"))
def reconcile(visit: Visit) -> Page:
    """The accounts that were drawn, in words, and how to draw them anew."""
    drawn = _drawn(visit)
    blocks: list[Block] = []
    for kind in (LATEST, YEAR):
        summed = drawn.accounts.get(kind)
        if summed is not None:
            blocks += _account(visit, kind, summed)
    note = said("The partner's node gives the same bytes at the same cut and time; compare the SHA-256.")
    first, second = visit.node.pair.sides
    fields = [
        Field("cut", said("Cut, as entries of {a}:{b}", a=first, b=second), required=False,
              hint=said("Empty: the largest cut that both have cosigned.")),
        Field("at", said("Time it is drawn for (YYYY-MM-DDTHH:MMZ)"), required=False,
              hint=said("Empty: the latest time within the cut.")),
    ]  # fmt: skip
    blocks.append(Form("draw", said("Draw the account"), said("Draw the account now"), fields, note))
    year = Field("year", said("Year"), "number", visit.node.now()[:4])
    blocks.append(Form("year", said("A year's report"), said("Draw the year's report"), [year]))
    crumbs = [Cell(said("Exchange"), href="/exchange"), Cell(said("Register"), href="/register")]
    last = drawn.accounts.get(LATEST)
    lead: Said = said("No account was drawn since this desk was opened.", tone="wait")
    if last is not None:
        lead = said("Account at cut {cut}, SHA-256 {sha256}", cut=last.account.cut, sha256=last.account.sha256)
    return Page(said("Reconcile"), blocks, lead=lead, crumbs=crumbs)


def _account(visit: Visit, kind: str, summed: Summed) -> list[Block]:
    """An account in words: of what names or counts releases, what the visitor may know of."""
    account, year = summed.account, str(summed.year)
    first, second = visit.node.pair.sides
    rows: list[tuple[Said | str, Line]] = [
        (said("Cut, as entries of {a}:{b}", a=first, b=second),
         Cell(account.cut, "code")),
        (said("Drawn for"), visit.time(account.at)),
        (said("SHA-256"), Cell(account.sha256, "digest")),
    ]  # fmt: skip
    same = (
        f"entente reconcile --year {year}"
        if kind == YEAR
        else f"entente reconcile --cut {account.cut} --at {account.at}"
    )
    rows.append((said("The partner gets the same with"), Cell(same, "code")))
    rows += _statements(visit, summed)
    title = said("The report of {year}", year=year) if kind == YEAR else said("The account")
    blocks: list[Block] = [Facts(title, rows), _totals(visit, summed, "total")]
    if kind == YEAR:
        blocks.append(_totals(visit, summed, "since"))
    if _may_have(visit):
        link = Cell(said("The exact text"), href=f"/reconcile.{kind}.txt")
        return [*blocks, Links(said("To be saved"), [link])]
    whole = said("The exact text is for those who may read everything that it names.")
    return [*blocks, Facts(said("To be saved"), [(said("The exact text"), whole)])]


def _may_have(visit: Visit) -> bool:
    return sees_all(visit) and visit.visitor.rank >= clear_rank(visit)


def _statements(visit: Visit, summed: Summed) -> list[tuple[Said | str, Line]]:
    """How many undertakings and claims agree, for whom they are in clear."""
    if visit.visitor.rank < clear_rank(visit):
        return []
    found: list[tuple[Said | str, Line]] = []
    for kind, name in STATED.items():
        states = summed.states[kind]
        text = "{agree} agree, {differ} differ, {only} stated by one side alone"
        told = Said(text, states)
        found.append((name, told))
    found.append((said("Invalid entries, which change nothing"), summed.invalid))
    return found


def _totals(visit: Visit, summed: Summed, kind: str) -> Table:
    """Records by direction, area and level; every record counts once, in one state."""
    rows: list[tuple[Content, ...]] = []
    for line in summed.totals:
        if line["kind"] != kind or not _sees(visit, line):
            continue
        sender, _, to = line["direction"].partition(">")
        rank = _rank(visit, line["level"], sender)
        counts = tuple(line[state] for state in COUNTED)
        way = said("{a} to {b}", a=sender, b=to)
        rows.append((way, Cell(line["area"]), Cell(line["level"], mark=visit.portion(rank)), line["releases"],
                     line["records"], *counts))  # fmt: skip
    columns = [said("Direction"), said("Area"), said("Level"), said("Releases"), said("Records")]
    columns += [_word(state) for state in COUNTED]
    title = said("Records by state") if kind == "total" else said("Released within the year")
    return Table(title, columns, rows, said("Nothing that you may see."))


def _word(state: str) -> Said:
    words = word(STATES, state)
    return Said(words.text) if isinstance(words, Said) else Said(state)


def _sees(visit: Visit, line: Mapping[str, Any]) -> bool:
    return visit.reads(line["area"], _rank(visit, line["level"], line["direction"].partition(">")[0]))


def _rank(visit: Visit, level: str, sender: str) -> int:
    """The least clearance that may know of what is of this level; the higher one if both scales have the word."""
    ranks = visit.law.ranks[visit.node.party]
    own = ranks.get(level)
    row = visit.law.rows[sender].get(level) if sender != visit.node.party else None
    other = ranks.get(row.equivalent) if row is not None else None
    found = [rank for rank in (own, other) if rank is not None]
    return max(found) if found else max(ranks.values(), default=0) + 1


# Drawing and saving


@reconcile.act("draw", apart=True)
def _draw(visit: Visit, given: Given) -> Done:
    try:
        with closing(visit.node.onlooker()) as node:
            account = node.reconcile(given.get("cut"), given.get("at"))
    except EntenteError as fault:
        raise FieldError("cut" if "cut" in fault.detail else "at", fault.detail, remedy=fault.remedy) from None
    _drawn(visit).accounts[LATEST] = _summed(account)
    return Done("/reconcile", said("The account at cut {cut} was drawn.", cut=account.cut))


@reconcile.act("year", apart=True)
def _year(visit: Visit, given: Given) -> Done:
    year = given.number("year", FIRST_YEAR, 9998)
    with closing(visit.node.onlooker()) as node:
        account = node.reconcile_year(year)
    _drawn(visit).accounts[YEAR] = _summed(account, year)
    return Done("/reconcile", said("The report of {year} was drawn.", year=str(year)))


def _saved(visit: Visit, kind: str) -> File:
    summed = _drawn(visit).accounts.get(kind)
    if summed is None or not _may_have(visit):
        raise visit.missing()
    account = summed.account
    highest = max(visit.law.ranks[visit.node.party].values(), default=0)
    visit.portion(min(visit.visitor.rank, highest))
    return File(account.text, f"account-{account.cut.replace(':', '-')}-{account.sha256[:12]}.txt")


@reconcile.file(".latest.txt")
def _latest(visit: Visit) -> File:
    return _saved(visit, LATEST)


@reconcile.file(".year.txt")
def _of_year(visit: Visit) -> File:
    return _saved(visit, YEAR)
