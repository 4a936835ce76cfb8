"""A draft under review: what would cross, byte for byte, every rule, who signed; approve, revoke, refuse, dispatch.

What is signed is what was shown: the form carries the draft's id and the commitment to its bytes, proved to be of this
page and this visitor.
"""

from collections.abc import Sequence

from entente.account.state import ReleaseFact
from entente.errors import EntenteError, RefusedError
from entente.node.approve import approval_lines
from entente.node.refuse import LONGEST_REASON, refusal_of
from entente.node.slots import leaves
from entente.store.node_db import REFUSED
from entente.treaty.request import Finding
from entente.web.desk import showing
from entente.web.desk.objects import Objects, rule_text
from entente.web.desk.rules import failed, findings, rules_table
from entente.web.desk.waiting import QUEUED, STATES, Waiting, blocks, draft_seen
from entente.web.page import (
    Block,
    Cell,
    Content,
    Done,
    Facts,
    Field,
    Form,
    Line,
    Links,
    Page,
    Said,
    Steps,
    Table,
    Text,
    said,
)
from entente.web.screen import FieldError, Given, page
from entente.web.visit import Visit, release_cell
from entente.web.words import many

CRUMBS = (Cell(said("Desk"), href="/desk"),)


@page("/draft/{rid}", said("Draft under review"), lists=True)
def draft(visit: Visit) -> Page:
    """The draft with all that an approver must see before they sign."""
    one = draft_seen(visit, visit.params["rid"])
    found = findings(visit, one)
    try:
        objects: Objects | None = Objects(visit, one)
        fault = None
    except EntenteError as trouble:
        objects, fault = None, trouble
    forms = _forms(visit, one, shown=objects is not None)
    made: list[Block] = [_steps(visit, one, found), *_down_to(forms), _about(visit, one)]
    if one.approvals or one.open:
        made.append(_approvals(visit, one))
    if objects is None:
        told: list[Content] = [said("What it would send cannot be shown: {why}", tone="bad", why=str(fault))]
        made.append(Text(said("The bytes"), told))
    else:
        made += [_counted(objects), objects.listing(), *objects.page()]
    made += [rules_table(found), *forms]
    return Page(said("Draft under review"), made, lead=_lead(visit, one, found), crumbs=CRUMBS)


def _down_to(forms: Sequence[Block]) -> list[Block]:
    """Links to the forms at the page's foot, below all that is to be read first."""
    places = {"approve": "role", "refuse": "reason"}
    found = [form for form in forms if isinstance(form, Form) and form.act in places]
    links = [Cell(form.title, href=f"#f-{form.act}-{places[form.act]}") for form in found]
    return [Links(said("At the foot of this page"), links)] if links else []


def _lead(visit: Visit, one: Waiting, found: Sequence[Finding]) -> Content:
    bad = failed(found)
    if one.row.state in ("drafted", "checked", "approved", QUEUED) and bad:
        return said(
            "Refused as things stand: {rule} (Art. {article})", tone="bad", rule=bad[0].rule, article=bad[0].article
        )
    if one.on_me:
        return said("It waits for your approval.", tone="wait")
    return blocks(visit, one) if one.row.state != "dispatched" else STATES["dispatched"]


def _steps(visit: Visit, one: Waiting, found: Sequence[Finding]) -> Steps:
    """How far it has come, in the words of the way."""
    node, row = visit.node, one.row
    fact = node.side.release(row.rid)
    bad = failed(found)
    checked: Content = said("{n} rules asked, none refuses", n=len(found))
    if bad:
        checked = many(len(bad), "rule refuses", "rules refuse")
    signed = said("{n} of {needed} persons", n=len(one.approvals), needed=one.needed)
    enough = row.state in ("approved", QUEUED, "dispatched")
    steps: list[tuple[Said, Content, bool]] = [
        (said("Drafted"), visit.time(row.at), True),
        (said("Checked"), checked, not bad),
        (said("Approved"), signed if one.needed else said("by a standing approval"), enough),
    ]
    if row.state == REFUSED:
        refusal = refusal_of(node, row.rid)
        return Steps(said("The way"), [*steps[:2], (said("Refused"), visit.time(refusal.at if refusal else ""), True)])
    when: Content = visit.time(fact.at) if fact is not None else ""
    if row.state == QUEUED:
        at = leaves(node, row.rid, node.settings.dispatch_slot_minutes)
        when = visit.time(at) if at else said("it leaves with the next round")
    steps.append((said("Dispatched"), when, fact is not None))
    answered = next((given for given in fact.answers if given.outcome == "received"), None) if fact else None
    last: Content = visit.time(answered.at) if answered is not None else _waits_there(visit, fact)
    steps.append((said("Received"), last, answered is not None))
    return Steps(said("The way"), steps)


def _waits_there(visit: Visit, fact: ReleaseFact | None) -> Content:
    if fact is None:
        return ""
    if fact.answers:
        return said("the partner answered: {outcome}", tone="bad", outcome=fact.answers[0].outcome)
    if fact.idx < visit.node.acknowledged():
        return said("stored by the partner, no answer yet")
    return said("not stored by the partner yet")


def _about(visit: Visit, one: Waiting) -> Facts:
    """What it is, under which article, and what exactly is signed."""
    core, node = one.core, visit.node
    law = node.laws[core.agreement].law
    statement = law.statements.get(core.article)
    rows: list[tuple[Said | str, Line]] = [
        (said("Marking"), [Cell(line) for line in visit.marking_lines(core.marking, node.party)]),
        (said("To"), Cell(law.party[core.to].names.get("en", core.to))),
        (said("Area and article"), [Cell(core.area), Cell(f"Art. {core.article}")]),
        (said("Format and view"), Cell(f"{core.format}, {core.view}")),
        (said("Objects"), many(core.records.count, "object")),
        (said("Bytes, padded"), core.bytes_padded),
        (said("The partner keeps it"), many(core.retain_days, "day")),
        (said("Copies allowed"), core.copies),
        (said("Channel and custody"), Cell(f"{core.channel}, {core.custody}")),
        (said("Author"), Cell(one.row.author)),
        (said("Drafted"), [visit.time(one.row.at), said("{age} ago", age=visit.age(one.row.at))]),
        (said("Drawn from"), Cell(one.row.source[:16], "digest", _source_link(visit, one.row.source))),
        (said("What approvals sign"), Cell(one.row.rid, "digest")),
        (said("Commitment to the bytes"), Cell(core.content, "digest")),
    ]
    if statement:
        rows.append((said("Words of the article"), Cell(f"{statement[0]} ({statement[1]})")))
    above = [(rid, node.other_side.release(rid)) for rid in core.ancestors]
    known = [rid for rid, fact in above if fact is not None and visit.sees(node.other_side, fact)]
    rows.extend((said("Derives from"), release_cell(rid)) for rid in known)
    if isinstance(core.standing, str):
        rows.append((said("Standing approval"), Cell(core.standing[:16], "digest", f"/act/{core.standing}")))
    return Facts(said("What it is"), rows)


def _source_link(visit: Visit, source: str) -> str:
    return f"/import/{source}" if visit.node.db.source(source) is not None else f"/release/{source}"


def _approvals(visit: Visit, one: Waiting) -> Table:
    """Who signed, in which role, when, until when it counts, and how soon after it was shown."""
    lines = {line.by: (at, line) for at, line in approval_lines(visit.node, one.row.rid) if line.outcome == "signed"}
    rows: list[list[Content]] = []
    for given in one.approvals:
        at, line = lines.get(given.by, ("", None))
        seconds = line.seconds if line is not None else None
        soon: Content = "-" if seconds is None else said("{n} s", n=seconds)
        if seconds is not None and seconds < showing.HASTY_S:
            soon = said("{n} s: too soon to have read it", tone="bad", n=seconds)
        rows.append([Cell(given.by), Cell(given.role), visit.time(at), visit.time(given.until), soon])
    columns = [said("Person"), said("Role"), said("Signed"), said("Counts until"), said("After it was shown")]
    roles = ", ".join(one.missing)
    note = said("Still needed among the roles: {roles}", roles=roles) if roles and one.open else ""
    return Table(said("Approvals"), columns, rows, said("Nobody has signed yet."), note)


def _counted(objects: Objects) -> Table:
    """How many cross and stay, by rule and article: only of what this visitor may know of."""
    rows: list[list[Content]] = [[said("crosses", tone="good"), "", objects.crosses]]
    rows += [[rule_text(rule), Cell(article), count] for (rule, article), count in objects.rules().items()]
    if objects.looked and objects.all_seen:
        found = len(objects.pointing())
        note = said("Crossing objects whose prose points at what stays: {n}.", n=found, tone="wait" if found else "")
    else:
        note = said("Prose that points at what stays is found by the filter of the list.")
    columns = [said("Crosses, or the rule not met"), said("Article"), said("Objects")]
    return Table(said("In sum"), columns, rows, note=note if objects.all_seen else "")


# What can be done


def _forms(visit: Visit, one: Waiting, *, shown: bool) -> list[Block]:
    row, made = one.row, list[Block]()
    visitor = visit.visitor
    if row.state == "dispatched":
        links = [release_cell(row.rid, row.rid[:12]), Cell(said("Look again"), href=f"/draft/{row.rid}")]
        return [Links(said("On from here"), links)]
    if row.state == REFUSED:
        return [Links(said("On from here"), [Cell(said("Propose anew"), href=_source_link(visit, row.source))])]
    if one.open and shown and one.mine:
        roles = [(role, role) for role in one.mine]
        fields = [Field("role", said("In the role"), "choice", roles[0][0], roles)]
        fields += showing.fields(visit, row.rid, one.core.content)
        note = said("You sign exactly the bytes shown here, their marking, the recipient and the agreement.")
        made.append(Form("approve", said("Approve"), said("Approve"), fields, note, proof=True))
    elif one.open and one.barred is not None:
        made.append(Text(said("Approve"), [one.barred]))
    if row.state == "approved" and may_dispatch(visit, one):
        note = said("It becomes an entry of our register, sealed to the partner. That cannot be undone.")
        made.append(Form("dispatch", said("Dispatch"), said("Dispatch"), note=note))
    if one.signed:
        form = Form("revoke", said("Revoke my approval"), said("Revoke"), proof=True)
        made.append(form)
    if one.own or may_dispatch(visit, one):
        reason = Field("reason", said("Reason"), hint=said("One line; it stays at this node."))
        note = said("Nobody can approve or dispatch it after that. Its import can be proposed anew.")
        made.append(Form("refuse", said("Refuse"), said("Refuse for good"), [reason], note, proof=True, danger=True))
    return made if not visitor.read_only else []


def may_dispatch(visit: Visit, one: Waiting) -> bool:
    """Whether the visitor has one of the roles that the area's releases are signed in."""
    roles = visit.node.laws[one.core.agreement].law.areas[one.core.area].roles or ()
    return not roles or bool({*roles} & {*visit.visitor.roles})


def _here(visit: Visit) -> tuple[Waiting, str]:
    one = draft_seen(visit, visit.params["rid"])
    return one, f"/draft/{one.row.rid}"


@draft.act("approve")
def _approve(visit: Visit, given: Given) -> Done:
    one, here = _here(visit)
    seconds = showing.seconds_since(visit, given, one.row.rid, one.core.content)
    role = given.need("role")
    if role not in visit.visitor.roles:
        raise FieldError("role", "this is no role of yours")
    signer = given.proof(visit)
    if one.twin:
        article = visit.node.laws[one.core.agreement].law.rules.decide.get("approval_count", "")
        raise RefusedError(
            f"{one.twin} is the same person, or has the same key, and has signed: one person counts once",
            place=f"Art. {article}", remedy="Ask another person.",
        )  # fmt: skip
    done = visit.node.approve(one.row.rid, visit.visitor.handle, role, signer, seconds=seconds)
    if done.state == "approved":
        return Done(here, said("Approved: {n} persons have signed. It can be dispatched.", n=len(done.by)))
    return Done(here, said("Signed by {n} of {needed} persons.", n=len(done.by), needed=done.needed))


@draft.act("revoke")
def _revoke(visit: Visit, given: Given) -> Done:
    one, here = _here(visit)
    done = visit.node.revoke_approval(one.row.rid, visit.visitor.handle, given.proof(visit))
    return Done(here, said("Your approval counts no more; {n} stand.", n=len(done.by)))


@draft.act("refuse")
def _refuse(visit: Visit, given: Given) -> Done:
    one, here = _here(visit)
    reason = given.need("reason")
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise FieldError("reason", f"one line of at most {LONGEST_REASON} characters is needed")
    visit.node.refuse(one.row.rid, visit.visitor.handle, reason, given.proof(visit))
    return Done(here, said("Refused. The reason stands in the home journal."))


@draft.act("dispatch", news=True)
def _dispatch(visit: Visit, _: Given) -> Done:
    one, here = _here(visit)
    if not may_dispatch(visit, one):
        raise RefusedError("this needs a role that you do not have", place=here)
    node = visit.node
    if node.settings.dispatch_slot_minutes:
        return Done(here, said("It leaves at {when}.", when=node.queue([one.row.rid])))
    (done,) = node.dispatch([one.row.rid])
    return Done(here, said("Dispatched as release {n}, entry {idx}.", n=done.number, idx=done.idx))


@page("/draft/{rid}/object/{number}", said("Object of a draft"))
def draft_object(visit: Visit) -> Page:
    """One object of a draft, whole: source beside outgoing bytes, or why it stays."""
    one = draft_seen(visit, visit.params["rid"])
    objects, text = Objects(visit, one), visit.params["number"]
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else -1
    if not 0 <= number < objects.crosses and number not in objects.staying:
        raise visit.missing()
    (found,) = objects.some([number])
    back = f"/draft/{one.row.rid}"
    crumbs = (*CRUMBS, Cell(said("Draft under review"), href=back))
    return Page(found.title or found.id, objects.whole(found), crumbs=crumbs)
