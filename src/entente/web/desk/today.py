"""Today: the one number for whoever looks, and what is blocked on them; every line leads to where it is done."""

from collections.abc import Sequence

from entente.account.state import ReleaseFact, Side
from entente.node.requests import Asked
from entente.node.worker import State, read_state
from entente.strict import time_text
from entente.web.desk.acts_seen import KINDS, Waits, mark_of, on_me, short
from entente.web.desk.waiting import STATES, Waiting, blocks, drafts_seen
from entente.web.page import Block, Cell, Content, Facts, Line, Page, Said, Table, Text, said
from entente.web.screen import page
from entente.web.visit import Visit, release_cell

MOST = 10  # lines of one kind; where they come from has all
DONE = frozenset({"answered", "closed", "refused"})
QUESTIONS = {"open": said("open", tone="wait"), "acknowledged": said("acknowledged", tone="wait")}
DUTIES = {
    "answer": said("answer"),
    "return_or_destroy": said("return or destroy"),
    "report": said("report"),
    "renew_assurance": said("renew the assurance"),
}


@page("/", said("Today"), menu=True, key="t")
def today(visit: Visit) -> Page:
    """What waits on this visitor, and how things stand."""
    drafts = list(drafts_seen(visit))
    mine = [one for one in drafts if one.on_me]
    signing, entering = on_me(visit)
    questions = _questions(visit)
    late = _unanswered(visit)
    worker = read_state(visit.door.folder)
    made: list[Block] = [
        *_loud(visit, worker),
        *_drafts(visit, said("Drafts that wait for your approval"), mine),
        *_acts(visit, said("Acts that wait for your signature"), signing),
        *_acts(visit, said("Acts that can be entered"), entering),
        *_drafts(visit, said("Approved and not dispatched"), [one for one in drafts if one.row.state == "approved"]),
        *_asked(visit, questions),
        *_drafts(visit, said("Your drafts"), [one for one in drafts if one.own]),
        *_late(visit, late),
        *_overdue(visit),
        *_aside(visit),
        _link(visit, worker),
    ]
    since = [one.row.at for one in mine] + [row.at for row, _ in (*signing, *entering)] + [one.at for one in questions]
    return Page(said("Today"), made, lead=_lead(visit, since, len(late), worker))


def _lead(visit: Visit, since: Sequence[str], late: int, worker: State | None) -> Said:
    """The one number: what waits on who approves; for an auditor the registers; for the others what came."""
    node, roles, areas = visit.node, {*visit.visitor.roles}, visit.law.areas
    if not visit.visitor.areas:
        return _link_words(visit, worker)
    signing = {role for name in visit.visitor.areas if name in areas for role in areas[name].roles or ()}
    if since:
        words = "Waiting on you: {n}, the oldest for {age}"
        return said(words, tone="wait", n=len(since), age=visit.age(min(since)))
    if roles & signing:
        return said("Nothing waits on you.", tone="good")
    if roles:
        sizes = ", ".join(f"{party} {size:,}" for party, size in node.pair.sizes.items())
        return said("Entries in the registers: {sizes}; releases without an answer: {n}", sizes=sizes, n=late)
    came = _since_yesterday(visit)
    return said("Received since yesterday: {n}; without an answer: {late}", n=came, late=late)


def _since_yesterday(visit: Visit) -> int:
    """How many of the partner's releases of the last day this visitor may know of."""
    from_ = time_text(visit.node.clock().replace(hour=0, minute=0))
    side, count = visit.node.other_side, 0
    for fact in reversed(side.releases):
        if fact.at < from_:
            break
        count += visit.sees(side, fact)
    return count


def _loud(visit: Visit, worker: State | None) -> list[Block]:
    """What stops the node from signing: said first, and loudly."""
    node, told = visit.node, list[Content]()
    if node.frozen:
        told.append(said("The node is frozen and signs nothing: {why}", tone="bad", why=node.frozen))
    if node.clock_doubt:
        told.append(said("The clock is in doubt, and the node signs nothing: {why}", tone="bad", why=node.clock_doubt))
    for side in (node.side, node.other_side):
        if side.suspended_at(side.size):
            told.append(said("{party} has suspended the agreement: nothing is released.", tone="bad", party=side.party))
    if worker is not None and worker.fault:
        told.append(said("The last round failed: {why}", tone="bad", why=worker.fault))
    return [Text(said("Look at this first"), told)] if told else []


def _more(count: int, where: str) -> Said | str:
    return said("{n} in all; see {where}.", n=count, where=where) if count > MOST else ""


def _drafts(visit: Visit, title: Said, found: Sequence[Waiting]) -> list[Block]:
    if not found:
        return []
    rows: list[list[Content]] = []
    for one in found[:MOST]:
        row, core = one.row, one.core
        mark = visit.mark(core.marking, visit.node.party)
        rows.append(
            [
                Cell(row.rid[:12], "digest", f"/draft/{row.rid}", mark=mark), Cell(f"{core.area}, Art. {core.article}"),
                core.records.count, Cell(row.author), STATES.get(row.state, Cell(row.state)),
                said("{age} ago", age=visit.age(row.at)), blocks(visit, one),
            ]
        )  # fmt: skip
    columns = [
        said("Draft"), said("Area and article"), said("Objects"), said("Author"), said("State"), said("Drafted"),
        said("Waits for"),
    ]  # fmt: skip
    return [Table(title, columns, rows, note=_more(len(found), "/desk"))]


def _acts(visit: Visit, title: Said, found: Sequence[Waits]) -> list[Block]:
    if not found:
        return []
    rows: list[list[Content]] = [
        [
            Cell(row.id[:12], "digest", f"/act/{row.id}", mark=mark_of(visit, row, act.body)), KINDS[row.kind],
            short(row, act.body), Cell(row.by), said("{age} ago", age=visit.age(row.at)),
            said("{n} of {needed}", n=len(act.signed), needed=act.needed),
        ]
        for row, act in found[:MOST]
    ]  # fmt: skip
    columns = [said("Act"), said("Kind"), said("What it says"), said("By"), said("Prepared"), said("Signed")]
    return [Table(title, columns, rows, note=_more(len(found), "/acts"))]


def _questions(visit: Visit) -> list[Asked]:
    """The partner's questions that are not answered, of those the visitor may know of."""
    node = visit.node
    every = visit.door.kept(node, ("asked",), node.asked)
    found = []
    for one in every:
        fact = node.other_side.release(one.rid) if one.by == node.partner and one.state not in DONE else None
        if fact is not None and visit.sees(node.other_side, fact):
            found.append(one)
    return found


def _asked(visit: Visit, found: Sequence[Asked]) -> list[Block]:
    if not found:
        return []
    rows: list[list[Content]] = []
    for one in found[:MOST]:
        fact = visit.node.other_side.release(one.rid)
        mark = visit.mark(visit.release_marking(visit.node.other_side, fact), visit.node.partner) if fact else ""
        language, text = next(iter(one.text.items()), ("", ""))
        short_text = text if len(text) <= 120 else f"{text[:120]} …"
        late = bool(one.wanted_by) and one.wanted_by <= visit.node.now()
        rows.append(
            [
                Cell(short_text, href=f"/request/{one.rid}", lang=language, mark=mark), Cell(one.area),
                Cell(one.priority), said("{age} ago", age=visit.age(one.at)), visit.time(one.wanted_by),
                said("overdue", tone="bad") if late else QUESTIONS[one.state],
            ]
        )  # fmt: skip
    columns = [said("Question"), said("Area"), said("Priority"), said("Asked"), said("Wanted by"), said("State")]
    return [Table(said("The partner's questions to answer"), columns, rows, note=_more(len(found), "/requests"))]


def _unanswered(visit: Visit) -> list[tuple[Side, ReleaseFact]]:
    """Releases that nobody has answered, of either side, oldest first."""
    node = visit.node

    def make() -> list[tuple[str, str]]:
        return [
            (side.party, fact.rid)
            for side in node.pair.sides.values()
            for fact in side.releases
            if not fact.answers and not fact.withdrawn_at(side.size)
        ]

    found = []
    for party, rid in visit.door.kept(node, ("unanswered",), make):
        side = node.pair.sides[party]
        fact = side.release(rid)
        if fact is not None and visit.sees(side, fact):
            found.append((side, fact))
    return sorted(found, key=lambda one: one[1].at)


def _late(visit: Visit, found: Sequence[tuple[Side, ReleaseFact]]) -> list[Block]:
    if not found:
        return []
    rows: list[list[Content]] = [
        [
            _release(visit, side, fact), Cell(side.party), Cell(fact.area), visit.time(fact.at),
            said("{age} ago", age=visit.age(fact.at)),
        ]
        for side, fact in found[:MOST]
    ]  # fmt: skip
    columns = [said("Release"), said("Of"), said("Area"), said("Dispatched"), said("Age")]
    return [Table(said("Releases without an answer"), columns, rows, note=_more(len(found), "/exchange"))]


def _release(visit: Visit, side: Side, fact: ReleaseFact) -> Cell:
    cell = release_cell(fact.rid, f"{side.party} {fact.number}")
    return Cell(cell.text, cell.kind, cell.href, mark=visit.mark(visit.release_marking(side, fact), side.party))


def _overdue(visit: Visit) -> list[Block]:
    """Duties of either party that are overdue, about what the visitor may know of."""
    node = visit.node
    open_ones = visit.door.kept(node, ("duties",), node.duties, hourly=True)
    every = [duty for duty in open_ones if duty.due is not None and duty.due <= node.now()]
    rows: list[list[Content]] = []
    count = 0
    for duty in sorted(every, key=lambda one: one.due or ""):
        held = [(side, side.release(duty.rid)) for side in node.pair.sides.values()] if duty.rid else []
        about = next(((side, fact) for side, fact in held if fact is not None), None)
        if about is None and duty.kind != "renew_assurance":  # about several releases: those are told elsewhere
            continue
        if about is not None and not visit.sees(*about):
            continue
        if duty.area and duty.area not in visit.visitor.areas:
            continue
        count += 1
        if count <= MOST:
            what: Content = _release(visit, *about) if about is not None else Cell(duty.area or "-")
            rows.append([DUTIES[duty.kind], Cell(duty.owed_by), what, visit.time(duty.due or ""), Cell(duty.article)])
    columns = [said("Duty"), said("Owed by"), said("About"), said("Due"), said("Article")]
    return [Table(said("Overdue"), columns, rows, note=_more(count, "/exchange"))] if rows else []


def _aside(visit: Visit) -> list[Block]:
    """Imports of the last days of which something was set aside, where the visitor reads all of them."""
    rows: list[list[Content]] = []
    for row in reversed(visit.node.db.sources()):
        if row.quarantined and row.area in visit.visitor.areas:
            ranks = visit.node.view.ranks(row.id)
            if ranks and max(ranks) <= visit.visitor.rank:
                mark = visit.portion(max(ranks))
                where = Cell(row.id, "digest", f"/quarantine?import={row.id}", mark=mark)
                rows.append([where, visit.time(row.at), Cell(row.area), row.quarantined])
        if len(rows) == MOST // 2:
            break
    columns = [said("Import"), said("Taken in"), said("Area"), said("Objects set aside")]
    return [Table(said("Set aside lately"), columns, rows)] if rows else []


def _link_words(visit: Visit, worker: State | None) -> Said:
    if worker is None:
        return said("No worker has run here: nothing is exchanged.", tone="bad")
    if worker.doing == "stopped":
        return said("The worker is stopped: nothing is exchanged.", tone="bad")
    if not worker.last_contact:
        return said("The partner was not reached yet.", tone="wait")
    age = visit.age(worker.last_contact)
    if worker.failures:
        return said("The link is down; last contact {age} ago.", tone="bad", age=age)
    return said("The link is up; last contact {age} ago.", tone="good", age=age)


def _link(visit: Visit, worker: State | None) -> Facts:
    """The link in words, and how far both registers are."""
    node = visit.node
    rows: list[tuple[Said | str, Line]] = [(said("Link"), _link_words(visit, worker))]
    if worker is not None:
        rows.append((said("Last contact"), visit.time(worker.last_contact)))
    for party, size in node.pair.sizes.items():
        rows.append((said("Register of {party}", party=party), said("{n} entries", n=size)))
    ahead = node.side.size - node.acknowledged()
    stored: Content = said("all of ours is stored by the partner", tone="good")
    if ahead:
        stored = said("{n} entries of ours are not stored by the partner yet", tone="wait", n=ahead)
    rows.append((said("Stored"), stored))
    return Facts(said("Link and registers"), rows)
