"""Acts of persons: what each says, who signed and who is needed; sign, enter or give up; the agreement's term."""

from entente.errors import EntenteError, RefusedError
from entente.node import act as acts
from entente.node.act import Act
from entente.node.standing import granted
from entente.store.act_rows import PREPARED, ActRow
from entente.strict import canonical
from entente.web.desk.acts_seen import (
    KINDS,
    STATES,
    TERMS,
    act_seen,
    in_words,
    mark_of,
    may_end,
    may_sign,
    rows_seen,
    short,
)
from entente.web.desk.laid_out import lines_of
from entente.web.page import (
    Block,
    Cell,
    Column,
    Content,
    Done,
    Facts,
    Filter,
    Form,
    Listing,
    Page,
    Row,
    Table,
    Text,
    said,
)
from entente.web.screen import Given, page
from entente.web.visit import Visit, sliced

COLUMNS = (
    Column("act", said("Act"), "digest"), Column("kind", said("Kind"), sort=True), Column("says", said("What it says")),
    Column("state", said("State"), sort=True), Column("at", said("Prepared"), "time", sort=True),
    Column("by", said("By"), sort=True), Column("signed", said("Signed")), Column("who", said("By whom")),
)  # fmt: skip


@page("/acts", said("Acts"), lists=True)
def listed(visit: Visit) -> Page:
    """The acts prepared here, newest first; what can be begun, and the standing approvals."""
    wanted = visit.query.get("state") or PREPARED
    found = list(rows_seen(visit, "" if wanted == "all" else wanted))
    kind = visit.query.get("kind")
    rows = visit.held(
        [one for one in found if kind in ("", one[0].kind)],
        sorts={
            "kind": lambda one: one[0].kind, "state": lambda one: one[0].state, "at": lambda one: one[0].at,
            "by": lambda one: one[0].by,
        },
    )  # fmt: skip

    def shown(one: tuple[ActRow, dict[str, object]]) -> Row:
        row, body = one
        told = acts.show(visit.node, row)
        cells: dict[str, Content] = {
            "act": Cell(row.id[:12], "digest"), "kind": KINDS[row.kind], "says": short(row, body),
            "state": STATES[told.state], "at": visit.time(row.at), "by": Cell(row.by),
            "signed": said("{n} of {needed}", n=len(told.signed), needed=told.needed),
            "who": Cell(", ".join(told.signed)),
        }  # fmt: skip
        return Row(row.id, cells, f"/act/{row.id}", mark_of(visit, row, body))

    states = [*STATES.items(), ("all", said("all"))]
    filters = [Filter("state", said("State"), states), Filter("kind", said("Kind"), list(KINDS.items()))]
    listing = Listing(
        said("Acts"), COLUMNS, sliced(rows), shown, filters, len(rows),
        stamp=lambda: str([(row.id, row.state) for row, _ in rows_seen(visit)]), empty=said("No act waits."),
    )  # fmt: skip
    begin = said(
        "An order about a release of ours is begun on that release's page; an incident by `entente incident notice`."
    )
    made: list[Block] = [listing, _standings(visit), Text(said("Other acts"), [begin])]
    if not visit.visitor.read_only:
        suspended = visit.node.side.suspended_at(visit.node.side.size)
        buttons = {"resume": said("Resume it")} if suspended else {"suspend": said("Suspend the agreement")}
        buttons["notice_of_end"] = said("Give notice of its end")
        made += [
            Form(name, button, button, note=TERMS[name], proof=True, danger=True) for name, button in buttons.items()
        ]
    return Page(said("Acts"), made, crumbs=[Cell(said("Desk"), href="/desk")])


def _standings(visit: Visit) -> Table:
    rows: list[list[Content]] = [
        [
            Cell(one.act[:12], "digest", f"/act/{one.act}" if visit.node.db.acts_named(one.act) else ""),
            Cell(one.party), Cell(f"{one.area}, {one.format}, {one.view}, {one.ceiling}, {one.purpose}"),
            said("{used} of {n} today", used=one.used_count, n=one.count), visit.time(one.until), Cell(one.state),
        ]
        for one in granted(visit.node)
        if one.area in visit.visitor.areas
    ]  # fmt: skip
    columns = [said("Act"), said("Party"), said("Class"), said("Used"), said("Until"), said("State")]
    note = said("Granted and revoked by `entente standing grant` and `entente standing revoke`.")
    return Table(said("Standing approvals"), columns, rows, said("None was granted."), note)


def prepared(visit: Visit, given: Given, kind: str, body: dict[str, object], **home: object) -> Done:
    """The act rests here, signed by the visitor; on to its page. Nothing is kept if they may not sign it."""
    signer, node, handle = given.proof(visit), visit.node, visit.visitor.handle
    made = node.prepare(kind, body, by=handle, home=home)
    try:
        made = node.sign(made.id, handle, signer)
    except EntenteError:
        node.drop(made.id)
        raise
    if made.enough:
        return Done(f"/act/{made.id}", said("Signed, and enough: it can be entered."))
    return Done(
        f"/act/{made.id}", said("Signed by {n} of {needed}; others sign it.", n=len(made.signed), needed=made.needed)
    )


@listed.act("suspend")
def _suspend(visit: Visit, given: Given) -> Done:
    return prepared(visit, given, "term", {"act": "suspend"})


@listed.act("resume")
def _resume(visit: Visit, given: Given) -> Done:
    return prepared(visit, given, "term", {"act": "resume"})


@listed.act("notice_of_end")
def _end(visit: Visit, given: Given) -> Done:
    return prepared(visit, given, "term", {"act": "notice_of_end"})


@page("/act/{id}", said("An act"))
def one_act(visit: Visit) -> Page:
    """What it says, in words and exactly; who signed, who is needed; sign, enter, give up."""
    found = act_seen(visit, visit.params["id"])
    lead = STATES[found.state]
    if found.state == PREPARED and found.fault:
        lead = said("It cannot be entered: {why}", tone="bad", why=found.fault)
    elif found.state == PREPARED and found.enough:
        lead = said("Enough have signed: it can be entered.", tone="good")
    roles = ", ".join(found.roles or ()) or "-"
    party, idx = visit.node.party, visit.node.side.acts.get(found.id)
    facts = Facts(
        said("What it is"),
        [
            (said("Kind"), KINDS[found.kind]),
            (said("What it says"), in_words(visit, found)),
            (said("Prepared"), [visit.time(found.at), Cell(found.by)]),
            (said("Persons needed"), found.needed),
            (said("In one of the roles"), Cell(roles) if found.roles is not None else said("any")),
            (said("Entry"), said("none yet") if idx is None else Cell(str(idx), href=f"/entry/{party}/{idx}")),
            (said("What is signed"), Cell(found.id, "digest")),
        ],
    )  # fmt: skip
    rows: list[list[Content]] = [[Cell(by)] for by in found.signed]
    exact = "\n".join(lines_of(canonical(found.body))[0])
    made: list[Block] = [
        facts,
        Table(said("Signatures that count"), [said("Person")], rows, said("Nobody has signed yet.")),
        Text(said("Its exact words"), [Cell(exact, "pre")], pre=True),
        *_forms(visit, found),
    ]
    return Page(said("An act"), made, lead=lead, crumbs=[Cell(said("Acts"), href="/acts")])


def _forms(visit: Visit, found: Act) -> list[Block]:
    if found.state != PREPARED or visit.visitor.read_only:
        return []
    made: list[Block] = []
    if not found.enough and not found.fault and may_sign(visit, found):
        note = said("You sign the exact words above. Nothing crosses before it is entered.")
        made.append(Form("sign", said("Sign"), said("Sign"), note=note, proof=True))
    if may_end(visit, found):
        if found.enough:
            note = said("It stands in our register for good, and the partner sees it.")
            made.append(Form("enter", said("Enter"), said("Enter it"), note=note))
        made.append(
            Form("drop", said("Give up"), said("Give it up"), note=said("Its signatures come to nothing."), danger=True)
        )
    return made


def _checked(visit: Visit) -> Act:
    found = act_seen(visit, visit.params["id"])
    if not may_end(visit, found):
        raise RefusedError("this needs a role that you do not have", place=found.id[:16])
    return found


@one_act.act("sign")
def _sign(visit: Visit, given: Given) -> Done:
    found = act_seen(visit, visit.params["id"])
    done = visit.node.sign(found.id, visit.visitor.handle, given.proof(visit))
    return Done(f"/act/{found.id}", said("Signed by {n} of {needed}.", n=len(done.signed), needed=done.needed))


@one_act.act("enter", news=True)
def _enter(visit: Visit, _: Given) -> Done:
    found = _checked(visit)
    done = visit.node.enter(found.id)
    return Done(f"/act/{found.id}", said("Entered, entry {idx}.", idx=done.idx))


@one_act.act("drop")
def _drop(visit: Visit, _: Given) -> Done:
    found = _checked(visit)
    visit.node.drop(found.id)
    return Done(f"/act/{found.id}", said("Given up; its signatures come to nothing."))
