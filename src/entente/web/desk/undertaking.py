"""One undertaking: its words in each language as either side states them, where they come from, and what is claimed."""

from collections.abc import Iterator
from typing import Any

from entente.account.acts import Claim
from entente.account.state import Side, UndertakingFact
from entente.strict import encode, parse
from entente.web.desk.books import clear_rank
from entente.web.desk.stating import claim_body, claim_fields, prepared, stating_fields, undertaking_body
from entente.web.desk.telling import entry_cell
from entente.web.desk.undertakings import CLEAR, STATED, Promise, path_of, promises, standing, words_of
from entente.web.page import Block, Cell, Content, Done, Facts, Form, Line, Page, Said, Table, Text, said
from entente.web.screen import Given, page
from entente.web.visit import Visit

LONGEST_LINE = 1000  # steps of a lineage that are told


@page("/undertaking/{key:path}", said("Undertaking"))
def undertaking(visit: Visit) -> Page:
    """What both sides state and claim under one key."""
    one = _named(visit)
    own, other = visit.node.party, visit.node.partner
    mark = visit.portion(clear_rank(visit))
    blocks: list[Block] = []
    for party in (own, other):
        blocks += _stated(visit, one, party, mark)
    blocks += [_claims(visit, one, mark), *_lineage(visit, one, mark)]
    mine = one.body(own)
    if mine is not None:
        fields = stating_fields(visit, mine)
        blocks.append(Form("amend", said("Amend what we state"), said("Prepare it for signing"), fields, CLEAR))
    else:
        fields = stating_fields(visit, one.body(other))
        blocks.append(Form("state", said("State it too"), said("Prepare it for signing"), fields, CLEAR))
    fields = claim_fields(one.value(own))
    blocks.append(Form("claim", said("Claim how it stands"), said("Prepare it for signing"), fields, CLEAR))
    crumbs = [Cell(said("Undertakings"), href="/undertakings")]
    lead = STATED[standing(one.stated.state, own)]
    return Page(one.key, blocks, lead=words_of(one.stated.fields) if one.stated.fields else lead, crumbs=crumbs)


def _named(visit: Visit) -> Promise:
    found = next((one for one in promises(visit) if one.key == visit.params["key"]), None)
    if found is None:
        raise visit.missing()
    return found


def _fact(visit: Visit, one: Promise, party: str) -> UndertakingFact | None:
    act = visit.node.pair.sides[party].undertaken.get(one.key)
    return visit.node.pair.sides[party].undertakings[act] if act is not None else None


def _stated(visit: Visit, one: Promise, party: str, mark: str) -> list[Block]:
    """One side's current statement: its words, then the rest."""
    fact = _fact(visit, one, party)
    name = said("{party} states", party=party)
    if fact is None:
        return [Facts(name, [(said("Words"), said("nothing", tone="wait"))])]
    body = fact.body
    due = visit.time(body.due) if isinstance(body.due, str) else said("no date")
    rows: list[tuple[Said | str, Line]] = [
        (said("Owed by, to"), said("{a} to {b}", a=body.owed_by, b=body.to)),
        (said("Strength"), Cell(body.strength)),
        (said("Due"), due),
        (said("Where it was said"), Cell(body.source or "-")),
        (said("Measured in"), Cell(body.measure or "-")),
        (said("A part of what"), Cell(body.basis or "-")),
        (said("Within which bounds"), Cell(body.band or "-")),
        (said("Entry"), entry_cell(party, fact.idx)),
        (said("Act"), Cell(fact.act, "digest")),
    ]
    texts = [
        Text(
            said("{party} states, in {language}", party=party, language=lang), [Cell(words, lang=lang)], mark, pre=True
        )
        for lang, words in body.text.items()
    ]
    return [*texts, Facts(said("The rest of what {party} states", party=party), rows)]


def _claims(visit: Visit, one: Promise, mark: str) -> Table:
    """How either side says that it stands, and on what that rests."""
    rows: list[tuple[Content, ...]] = []
    for party, fact in one.claimed.stated.items() if one.claimed is not None else ():
        if isinstance(fact.body, Claim):
            evidence = ", ".join(fact.body.evidence) or "-"
            rows.append((Cell(party), Cell(fact.body.value, mark=mark), Cell(fact.body.basis or "-"),
                         Cell(evidence, "digest"), entry_cell(party, fact.idx)))  # fmt: skip
    columns = [said("Side"), said("Claims"), said("On what it rests"), said("Evidence"), said("Entry")]
    note: Said | str = ""
    if one.claimed is not None:
        note = STATED[standing(one.claimed.state, visit.node.party)]
        if one.claimed.fields:
            note = words_of(one.claimed.fields)
    return Table(said("Claims"), columns, rows, said("Nobody claims how it stands."), note)


# Lineage


def _lineage(visit: Visit, one: Promise, mark: str) -> list[Table]:
    """What the current statements amend and restate, back to the first."""
    rows: list[tuple[Content, ...]] = []
    for party in one.stated.stated:
        fact = _fact(visit, one, party)
        if fact is not None:
            rows += [_ancestor(*found, mark) for found in _before(visit, visit.node.pair.sides[party], fact)]
    columns = [said("How"), said("Side"), said("Key"), said("Words"), said("Strength"), said("Entry")]
    return [Table(said("Where it comes from"), columns, rows)] if rows else []


def _before(visit: Visit, side: Side, fact: UndertakingFact) -> Iterator[tuple[Said, Side, UndertakingFact]]:
    """Each statement that this one amends or restates, and those that they do, nearest first."""
    waiting, met = [(side, fact)], {fact.act}
    while waiting and len(met) < LONGEST_LINE:
        author, now = waiting.pop(0)
        for how, act in ((said("amends"), now.body.amends), (said("restates"), now.body.restates)):
            for found in (author, visit.node.pair.other(author.party)):
                old = found.undertakings.get(act) if isinstance(act, str) else None
                if old is not None and old.act not in met:
                    met.add(old.act)
                    waiting.append((found, old))
                    yield how, found, old


def _ancestor(how: Said, side: Side, fact: UndertakingFact, mark: str) -> tuple[Content, ...]:
    language, words = next(iter(fact.body.text.items()))
    return (
        how, Cell(side.party), Cell(fact.body.key, href=path_of(fact.body.key)), Cell(words, lang=language, mark=mark),
        Cell(fact.body.strength), entry_cell(side.party, fact.idx),
    )  # fmt: skip


# Stating


@undertaking.act("amend")
def _amend(visit: Visit, given: Given) -> Done:
    one = _named(visit)
    fact = _fact(visit, one, visit.node.party)
    if fact is None:
        raise visit.missing()
    old: dict[str, Any] = parse(encode(fact.body), newlines=True)
    for field in ("nonce", "amends", "restates", "due"):
        old.pop(field, None)
    return prepared(visit, "undertaking", {**old, **undertaking_body(visit, given), "amends": fact.act})


@undertaking.act("state")
def _state(visit: Visit, given: Given) -> Done:
    return prepared(visit, "undertaking", {"key": _named(visit).key, **undertaking_body(visit, given)})


@undertaking.act("claim")
def _claim(visit: Visit, given: Given) -> Done:
    return prepared(visit, "claim", {"key": _named(visit).key, **claim_body(given)})
