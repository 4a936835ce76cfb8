"""The agreement in words: its parties and levels side by side, its areas, its rules, and what it leaves open."""

from entente.treaty.agreement import DECIDE_RULES, GATE_RULES, RECORD_RULES, Terms, holes
from entente.web.page import Block, Cell, Content, Facts, Line, Page, Said, Table, said
from entente.web.screen import page
from entente.web.visit import Visit
from entente.web.words import many


@page("/agreement", said("Agreement"))
def agreement(visit: Visit) -> Page:
    """The version in force, as data tells it."""
    law = visit.law
    rows: list[tuple[Said | str, Line]] = [
        (said("Name"), Cell(law.id)), (said("Version"), law.version), (said("From"), visit.time(law.start)),
        (said("To"), visit.time(law.end)), (said("Renewed for"), many(law.renew_years, "year")),
        (said("Notice"), said("{n} days", n=law.notice_days)),
        (said("Hash"), Cell(visit.node.law.hash, "digest")),
    ]  # fmt: skip
    rows += [
        (code, [Cell(name, lang=tag) for tag, name in party.names.items()] + [Cell(party.time_zone)])
        for code, party in law.party.items()
    ]
    found = list(holes(law))
    gaps: list[tuple[Content, ...]] = [(Cell(words), Cell(article) if article else "-") for words, article in found]
    blocks: list[Block] = [
        Facts(said("The agreement in force"), rows),
        Table(said("What it leaves open"), [said("Hole"), said("Article")], gaps, said("Nothing.")),
        _levels(visit),
        _areas(visit),
        _rules(visit),
    ]
    lead = said("{n} holes", tone="wait", n=len(found)) if found else said("it leaves nothing open", tone="good")
    return Page(said("Agreement"), blocks, lead, [Cell(said("Administration"), href="/admin")])


def _levels(visit: Visit) -> Table:
    """Each level of each party, and what it is at the other; a missing cell stops the transfer."""
    rows: list[tuple[Content, ...]] = []
    for code in visit.law.parties:
        other = visit.law.other(code)
        for level in reversed(visit.law.party[code].levels):
            row = visit.law.rows[code].get(level)
            if row is None:
                rows.append((code, Cell(level), said("missing: it cannot cross", tone="bad"), other, "-", "-"))
            else:
                rows.append(
                    (code, Cell(level), Cell(row.equivalent), other, ", ".join(sorted(row.channels)), row.article)
                )
    columns = [said("From"), said("Level"), said("Is there"), said("To"), said("Channels"), said("Article")]
    return Table(said("Equivalence of levels"), columns, rows)


def _areas(visit: Visit) -> Table:
    rows = [
        (
            name, ", ".join(terms.articles or ()), ", ".join(terms.formats or ()), _given(terms.approvals),
            ", ".join(terms.roles or ()), _given(terms.answer_hours), _given(terms.retain_days), _given(terms.copies),
            _ceiling(terms), said("works", tone="good") if name in visit.node.areas else said("not built yet"),
        )
        for name, terms in visit.law.areas.items()
    ]  # fmt: skip
    columns = [
        said("Area"), said("Articles"), said("Formats"), said("Approvals"), said("Roles"), said("Answer hours"),
        said("Retain days"), said("Copies"), said("Up to"), said("Here"),
    ]  # fmt: skip
    return Table(said("Areas"), columns, rows)


def _given(value: int | None) -> Content:
    return value if value is not None else said("not stated", tone="bad")


def _ceiling(terms: Terms) -> Content:
    words = [f"{code} {level}" for code, level in (terms.ceiling or {}).items()]
    return ", ".join(words) if words else said("not stated", tone="bad")


def _rules(visit: Visit) -> Table:
    rules = visit.law.rules
    rows: list[tuple[Content, ...]] = [
        (kind, Cell(rule, "code"), Cell(articles[rule]) if articles.get(rule) else said("no article", tone="wait"))
        for kind, names, articles in (
            (said("every release"), DECIDE_RULES, rules.decide),
            (said("each record"), RECORD_RULES, rules.record),
            (said("at home"), GATE_RULES, rules.gate),
        )
        for rule in names
    ]
    return Table(said("Rules and their articles"), [said("Applies to"), said("Rule"), said("Article")], rows)
