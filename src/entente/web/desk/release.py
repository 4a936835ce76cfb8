"""One release of either side: what both registers say of it, what was decided, and what this node holds of it."""

from collections.abc import Sequence

from entente.account.cascade import derivatives
from entente.account.state import ReleaseFact, Side
from entente.node.copies import Copy, copies_of
from entente.node.custody import HELD, Custody, custody
from entente.node.documents import banner
from entente.node.why import rules_of, state_of
from entente.store.thing_rows import Resting
from entente.treaty.marking import Marking
from entente.treaty.request import Finding
from entente.web.desk.books import release_named
from entente.web.desk.rules import rule_words
from entente.web.desk.seen import place_of
from entente.web.desk.telling import REFUSED, STATES, entry_cell, steps_table, word
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
    Line,
    Links,
    Listing,
    Page,
    Row,
    Said,
    Steps,
    Table,
    said,
)
from entente.web.screen import FieldError, Given, page
from entente.web.visit import Visit
from entente.web.words import many

EXCHANGE = Cell(said("Exchange"), href="/exchange")


@page("/release/{rid}", said("Release"), lists=True)
def release(visit: Visit) -> Page:
    """Everything that may be known here of one release."""
    side, fact = _named(visit)
    node = visit.node
    life = custody(node, fact.rid)
    marking = visit.release_marking(side, fact)
    blocks: list[Block] = [
        _facts(visit, side, fact, marking),
        _steps(visit, side, fact, life),
        *_rules(visit, side, fact),
        _life(visit, life),
        *_around(visit, side, fact),
        *_open(visit, life),
        *_copies(visit, side, fact, life),
        _links(fact, ours=side is node.side),
        _objects(visit, fact),
    ]
    return Page(
        said("Release {number} of {party}", number=fact.number, party=side.party),
        blocks,
        lead=word(STATES, state_of(node, fact)),
        crumbs=[EXCHANGE],
    )


def _named(visit: Visit) -> tuple[Side, ReleaseFact]:
    found = release_named(visit, visit.params["rid"])
    if found is None:
        raise visit.missing()
    return found


def _facts(visit: Visit, side: Side, fact: ReleaseFact, marking: Marking) -> Facts:
    node = visit.node
    mark = visit.mark(marking, side.party)
    law = node.laws[fact.acts_under].law
    first: list[tuple[Said | str, Line]] = []
    lines = [Cell(line) for line in banner(law, marking, side.party)]
    if marking != fact.marking:
        first.append((said("Marked at first"), [Cell(line) for line in banner(law, fact.marking, side.party)]))
    held = node.keys.key(fact.rid) is not None and node.blobs.holds(fact.blob)
    facts: list[tuple[Said | str, Line]] = [
        (said("Marking"), lines),
        *first,
        (said("Id"), Cell(fact.rid, "digest", mark=mark)),
        (said("From, to"), said("{a} to {b}", a=side.party, b=node.pair.other(side.party).party)),
        (said("State"), word(STATES, state_of(node, fact))),
        (said("Area, article, format"), [Cell(fact.area), Cell(f"Art. {fact.article}"), Cell(fact.format)]),
        (said("Dispatched"), visit.time(fact.at)),
        (said("Entry"), entry_cell(side.party, fact.idx)),
        (said("Agreement"), Cell(fact.agreement, "digest")),
        (said("Records"), many(fact.records, "record")),
        (said("Size"), said("{n} bytes, padded", n=fact.bytes_padded)),
        (said("To be kept"), many(fact.retain_days, "day")),
        (said("Numbered copies allowed"), fact.copies),
        (said("Custody"), Cell(fact.custody)),
        (said("Units"), Cell(", ".join(fact.units)) if fact.units else said("government only")),
        (
            said("Held here"),
            said("sealed, and its key", tone="good") if held else said("nothing of it that can be opened"),
        ),
    ]
    return Facts(said("The release"), facts)


def _steps(visit: Visit, side: Side, fact: ReleaseFact, life: Custody) -> Steps:
    """Drafted to received, as far as it came; the first three are known of our own releases alone."""
    at = {step.what: step.at for step in reversed(life.steps)}
    received = next((given.at for given in fact.answers if given.outcome == "received"), "")
    made: list[tuple[Said, Content, bool]] = [(said("Dispatched"), visit.time(fact.at), True)]
    if side is visit.node.side:
        approved = max((step.at for step in life.steps if step.what == "approved"), default="")
        before = [(said("Drafted"), at.get("drafted", "")), (said("Checked"), at.get("checked", ""))]
        before.append((said("Approved"), approved or fact.at))
        made = [*((name, visit.time(when), True) for name, when in before), *made]
        stored = any(step.what == "cosigned" for step in life.steps)
        made.append((said("Stored by the partner"), visit.time(at.get("cosigned", "")), stored))
    if fact.withdrawn_at(side.size):
        ordered = next(order.at for order in fact.orders if order.act == "withdraw")
        made.append((said("Withdrawn"), visit.time(ordered), True))
    if any(given.outcome in REFUSED for given in fact.answers):
        refusal = next(given for given in fact.answers if given.outcome in REFUSED)
        made.append((said("Disputed"), word(REFUSED, refusal.outcome), True))
    else:
        made.append((said("Received"), visit.time(received), bool(received)))
    ended = next((given for given in fact.answers if given.outcome in ("returned", "destroyed")), None)
    if ended is not None:
        made.append(
            (said("Returned") if ended.outcome == "returned" else said("Destroyed"), visit.time(ended.at), True)
        )
    return Steps(said("How far it has come"), made)


def _rules(visit: Visit, side: Side, fact: ReleaseFact) -> list[Table]:
    """Every rule with its article; those that refused first."""
    findings, gate = rules_of(visit.node, side, fact)
    made = [_table(said("Rules of the agreement"), findings)]
    return [*made, _table(said("Our own national rules"), gate)] if gate else made


def _table(title: Said, findings: Sequence[Finding]) -> Table:
    rows = [
        (
            rule_words(one.rule),
            Cell(f"Art. {one.article}") if one.article else Cell("-"),
            said("passed", tone="good") if one.ok else said("refused", tone="bad"),
            Cell(one.observed),
        )
        for one in sorted(findings, key=lambda one: one.ok)
    ]
    columns = [said("Rule"), said("Article"), said("Result"), said("What was found")]
    return Table(title, columns, rows, said("This node has not decided about it."))


def _life(visit: Visit, life: Custody) -> Table:
    return steps_table(visit, said("What happened to it"), life.steps)


def _around(visit: Visit, side: Side, fact: ReleaseFact) -> list[Table]:
    """What it was made from, and what was made from it, as far as the visitor may know of those."""
    node, rows = visit.node, []
    for rid in fact.ancestors:
        found = release_named(visit, rid)
        if found is not None:
            rows.append((said("derives from"), *_kin(visit, *found)))
    for steps, holder, below in derivatives(node.pair, node.pair.sizes, side, [fact.rid]):
        if visit.sees(holder, below):
            home = below.marking.originator == side.party
            how = said("went back as") if home else said("from it, {n} steps away", n=steps)
            rows.append((how, *_kin(visit, holder, below)))
    columns = [said("How"), said("Release"), said("Of"), said("State")]
    return [Table(said("Releases that hang together with it"), columns, rows)] if rows else []


def _kin(visit: Visit, side: Side, fact: ReleaseFact) -> tuple[Content, ...]:
    mark = visit.mark(visit.release_marking(side, fact), side.party)
    return (
        Cell(fact.rid[:12], "digest", f"/release/{fact.rid}", mark=mark),
        Cell(side.party), word(STATES, state_of(visit.node, fact)),
    )  # fmt: skip


def _open(visit: Visit, life: Custody) -> list[Table]:
    rows = [
        (
            said(one.what), Cell(one.by), visit.time(one.due),
            said("overdue", tone="bad") if one.due and one.due <= visit.node.now() else said("open", tone="wait"),
        )
        for one in life.open
    ]  # fmt: skip
    columns = [said("What has to happen"), said("By whom"), said("Due"), said("State")]
    return [Table(said("What is still open"), columns, rows)] if rows else []


# Numbered copies


def _copies(visit: Visit, side: Side, fact: ReleaseFact, life: Custody) -> list[Block]:
    """The copies of what was received here, and what can be done about them."""
    if side is visit.node.side:
        return []
    copies = copies_of(visit.node, fact.rid)
    rows = [
        (
            said("{n} of {all}", n=copy.n, all=fact.copies), Cell(copy.holder), Cell(copy.place), visit.time(copy.made),
            visit.time(copy.closed) if copy.closed else said("out", tone="wait"),
        )
        for copy in copies
    ]  # fmt: skip
    columns = [said("Copy"), said("Holder"), said("Place"), said("Since"), said("Closed")]
    made: list[Block] = [Table(said("Numbered copies"), columns, rows, said("No copy was made."))]
    out = [copy for copy in copies if not copy.closed]
    here = any(one.what == "received copy" and one.end == HELD for one in life.lives) and life.held.key
    if here and len(copies) < fact.copies and not any(order.act != "reclass" for order in fact.orders):
        fields = [Field("holder", said("Who holds it")), Field("place", said("Where"))]
        note = said("A number is given once: closing a copy makes no room for another.")
        made.append(Form("copy", said("Make a numbered copy"), said("Make the copy"), fields, note, proof=True))
    if out:
        field = Field("copy", said("Copy"), "choice", choices=[(str(copy.n), _named_copy(copy)) for copy in out])
        made.append(Form("close", said("Close a copy"), said("It is out no more"), [field], proof=True))
    return made


def _named_copy(copy: Copy) -> str:
    return f"{copy.n}: {copy.holder}, {copy.place}"


def _theirs(visit: Visit) -> ReleaseFact:
    """The partner's release of this page; of our own no copies are made here."""
    side, fact = _named(visit)
    if side is visit.node.side:
        raise visit.missing()
    return fact


@release.act("copy")
def _make(visit: Visit, given: Given) -> Done:
    fact = _theirs(visit)
    holder, place = given.need("holder"), given.need("place")
    for name, text in (("holder", holder), ("place", place)):
        if len(text) > 200 or not text.isprintable():
            raise FieldError(name, "1 to 200 characters on one line")
    given.proof(visit)
    copy = visit.node.make_copy(fact.rid, holder, place)
    return Done(f"/release/{fact.rid}", said("Copy {n} of {all} is out.", n=copy.n, all=fact.copies))


@release.act("close")
def _close(visit: Visit, given: Given) -> Done:
    fact = _theirs(visit)
    number = given.number("copy", 1)
    given.proof(visit)
    copy = visit.node.close_copy(fact.rid, number)
    return Done(f"/release/{fact.rid}", said("Copy {n} is out no more.", n=copy.n))


# What belongs to it


def _links(fact: ReleaseFact, *, ours: bool) -> Links:
    base = f"/release/{fact.rid}"
    links = [Cell(said("Its whole life: custody"), href=f"/custody/{fact.rid}")]
    if ours:
        links.append(Cell(said("Order it withdrawn, reclassified, returned or destroyed"), href=f"{base}/order"))
        links.append(Cell(said("The draft as it was approved"), href=f"/draft/{fact.rid}"))
    papers = [Cell(said("Decision with its receipt (PDF)"), href=f"{base}/decision.pdf")]
    papers.append(Cell(said("The same, signed (JSON)"), href=f"{base}/decision.json"))
    if any(given.outcome in ("destroyed", "returned") for given in fact.answers):
        papers.append(Cell(said("Certificate of destruction (PDF)"), href=f"{base}/destruction.pdf"))
        papers.append(Cell(said("The certificate, signed (JSON)"), href=f"{base}/destruction.json"))
    return Links(said("Go on from here"), [*links, *papers])


def _objects(visit: Visit, fact: ReleaseFact) -> Listing:
    """What is held here of it that the visitor may read, page by page."""
    view, rank = visit.node.view, visit.visitor.rank
    holding = view.holding(fact.rid)
    markings = holding[0] if holding is not None else []
    kind, words = visit.query.get("type"), visit.query.get("title")
    opens = place_of(visit, fact.rid) is not None  # what was withdrawn is not looked at any more

    def items(first: int, most: int) -> Sequence[Resting]:
        return visit.node.view.page_of(fact.rid, rank, first, most, kind=kind, words=words)

    def row(one: Resting) -> Row:
        caveats = markings[one.marking].caveats if one.marking < len(markings) else ()
        cells: dict[str, Content] = {
            "title": Cell(one.title or one.id), "type": Cell(one.type), "id": Cell(one.id, "code"),
            "version": Cell(one.version), "size": one.size,
        }  # fmt: skip
        href = f"/object/{fact.rid}/{one.number}" if opens else ""
        return Row(str(one.number), cells, href, visit.portion(one.rank, caveats))

    return Listing(
        said("Objects held here"),
        [
            Column("title", said("Title")), Column("type", said("Type")), Column("id", said("Id"), "code"),
            Column("version", said("Version")), Column("size", said("Bytes"), "number"),
        ],
        items,
        row,
        filters=[
            Filter("type", said("Type"), [(name, name) for name in view.types_of(fact.rid, rank)]),
            Filter("title", said("Words in the title")),
        ],
        total=view.count_of(fact.rid, rank, kind=kind, words=words),
        stamp=lambda: repr(visit.node.pair.sizes),
        empty=said("Nothing of it is held here that you may read."),
    )  # fmt: skip
