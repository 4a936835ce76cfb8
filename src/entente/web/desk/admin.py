"""Administration: how this node stands, its keys, who is signed in, and what to back up. Nothing of content is here."""

import shutil
from datetime import timedelta

from entente.account.state import KeyFact, Side
from entente.node.map import maps_of
from entente.node.tokens import revoke_token
from entente.node.worker import State, read_state
from entente.strict import parse_time, time_text
from entente.treaty.marking import Marking, marking_line
from entente.web.page import Block, Cell, Content, Done, Facts, Field, Form, Line, Links, Page, Said, Table, Tone, said
from entente.web.screen import FieldError, Given, page
from entente.web.visit import Visit

ADMINISTRATOR = "administrator"
SOON_DAYS = 30
SILENT = timedelta(hours=1)
LEAST_FREE = 1 << 30


@page("/admin", said("Administration"), menu=True, key="a")
def admin(visit: Visit) -> Page:
    """How this node stands, and what there is to do about it."""
    state = read_state(visit.door.folder)
    links = [
        Cell(said("Persons"), href="/persons"), Cell(said("The agreement in words"), href="/agreement"),
        Cell(said("My account, sessions and tokens"), href="/me"), Cell(said("Programs' interface"), href="/api"),
    ]  # fmt: skip
    blocks: list[Block] = [
        Facts(said("Status"), _status(visit, state)),
        Links(said("Go on"), links),
        _keys(visit),
        _maps(visit),
        _sessions(visit),
        _tokens(visit),
        *_forms(visit),
        _backups(),
    ]
    return Page(said("Administration"), blocks, _lead(visit, state))


def _lead(visit: Visit, state: State | None) -> Said:
    """Whether the link is up, and the days to the nearest expiry."""
    link = _link(visit, state)
    days = min((_days(visit, fact.until) for _, _, fact in _live_keys(visit)), default=None)
    if days is None:
        return link
    tone: Tone = "bad" if link.tone == "bad" or days < 0 else "wait" if days < SOON_DAYS else "good"
    return said("{link}; {n} days to the nearest expiry of a key", tone=tone, link=link.text, n=days)


def _link(visit: Visit, state: State | None) -> Said:
    if state is None or not state.last_contact:
        return said("the partner was not reached yet", tone="wait")
    if state.failures:
        return said("the link is down", tone="bad")
    limit = time_text(parse_time(visit.node.now()) - SILENT)
    if state.last_contact < limit:
        return said("the partner was not reached for more than an hour", tone="bad")
    return said("the link is up", tone="good")


def _status(visit: Visit, state: State | None) -> list[tuple[Said | str, Line]]:
    node = visit.node
    disk = shutil.disk_usage(visit.door.folder)
    log_id = node.logs[node.partner]
    free = said("{n} MiB free", tone="good" if disk.free > LEAST_FREE else "bad", n=disk.free >> 20)
    clock = Cell(node.clock_doubt) if node.clock_doubt else said("believed", tone="good")
    rows: list[tuple[Said | str, Line]] = [
        (said("Link"), _link(visit, state)),
        (said("Partner last reached"), visit.time(state.last_contact if state is not None else "")),
        (said("Last fault"), Cell(state.fault) if state is not None and state.fault else said("none", tone="good")),
        (said("Worker"), Cell(state.doing) if state is not None else said("none has run here", tone="wait")),
        (said("Disk"), free),
        (said("Clock"), [clock, visit.time(node.now())]),
        (said("Signing"), Cell(node.frozen) if node.frozen else said("this node may sign", tone="good")),
        (said("Waiting to be opened"), len(node.db.pending_indices(log_id))),
        (said("Waiting to be answered"), len(node.db.intents(log_id))),
        (said("Not fully erased"), len(node.db.begun_erasures())),
        (
            said("Cosigned by the partner"),
            said("{n} of {all} entries", n=node.acknowledged(), all=node.side.size),
        ),
        (said("Invalid entries of the partner"), len(node.other_side.invalid)),
    ]
    return rows


# Keys


def _live_keys(visit: Visit) -> list[tuple[Side, Said, KeyFact]]:
    """Of each party the latest sealing key and TLS key that are not revoked."""
    found = []
    for side in (visit.node.side, visit.node.other_side):
        for kind, keys in ((said("sealing key"), side.kems), (said("TLS key"), side.tls)):
            live = [fact for fact in keys.values() if fact.revoked_from is None]
            if live:
                found.append((side, kind, max(live, key=lambda fact: fact.until)))
    return found


def _days(visit: Visit, until: str) -> int:
    return (parse_time(until) - parse_time(visit.node.now())).days


def until_words(visit: Visit, until: str) -> Said:
    """How many days are left."""
    days = _days(visit, until)
    return said("{n} days", tone="bad" if days < 0 else "wait" if days < SOON_DAYS else "good", n=days)


def _keys(visit: Visit) -> Table:
    rows = [
        (side.party, kind, Cell(fact.key[:40], "digest"), visit.time(fact.until), until_words(visit, fact.until))
        for side, kind, fact in _live_keys(visit)
    ]
    columns = [said("Party"), said("Key"), said("Public half"), said("Until"), said("Left")]
    note = said("The authority certifies keys; its key is not here: entente key renew kem, entente key renew tls")
    return Table(said("The partner's keys and ours"), columns, rows, said("No key is certified."), note)


def _maps(visit: Visit) -> Table:
    rows = [
        (
            one.area, Cell(name[:16], "digest"), len(one.rows),
            Cell(marking_line(one.default)) if isinstance(one.default, Marking) else said("nothing crosses"),
        )
        for name, one in maps_of(visit.node, *visit.law.areas)
    ]  # fmt: skip
    columns = [said("Area"), said("Map"), said("Rows"), said("What bears no marking")]
    note = said("Persons with the role {role} sign them: entente map FILE", role=visit.law.acts.roles.map)
    return Table(said("Marking maps"), columns, rows, said("No map is held."), note)


# Who is signed in


def _rules(visit: Visit) -> bool:
    """Whether the visitor may see, and end, what others are signed in with."""
    return ADMINISTRATOR in visit.visitor.roles


def _sessions(visit: Visit) -> Table:
    rows = [
        (Cell(row.handle), Cell(row.agent), visit.time(row.made), visit.time(row.seen), Cell(_name(row.digest), "code"))
        for row in visit.door.sign_in.sessions.of("" if _rules(visit) else visit.visitor.handle)
    ]
    columns = [said("Person"), said("Browser"), said("Since"), said("Last seen"), said("Session")]
    return Table(said("Sessions"), columns, rows, said("No browser is signed in."))


def _name(digest: bytes) -> str:
    return digest.hex()[:16]


def _tokens(visit: Visit) -> Table:
    sign_in = visit.door.sign_in
    with sign_in.one:
        tokens = sign_in.access.tokens()
    rows = [
        (
            Cell(one.handle), Cell(one.label), Cell(one.id, "code"), visit.time(one.until), visit.time(one.used),
            said("revoked", tone="bad") if one.revoked else said("works", tone="good"),
        )
        for one in tokens
        if _rules(visit) or one.handle == visit.visitor.handle
    ]  # fmt: skip
    columns = [said("Person"), said("For"), said("Token"), said("Until"), said("Last used"), said("State")]
    return Table(said("Tokens of tools"), columns, rows, said("No tool has a token."))


def _forms(visit: Visit) -> list[Block]:
    sign_in = visit.door.sign_in
    session = [
        (_name(row.digest), f"{row.handle} {_name(row.digest)}")
        for row in sign_in.sessions.of("" if _rules(visit) else visit.visitor.handle)
    ]
    with sign_in.one:
        tokens = [
            (one.id, f"{one.handle} {one.label} ({one.id})")
            for one in sign_in.access.tokens()
            if not one.revoked and (_rules(visit) or one.handle == visit.visitor.handle)
        ]
    made: list[Block] = []
    if session:
        chosen = Field("session", said("Session"), "choice", choices=session)
        made.append(Form("end", said("End a session"), said("End it"), [chosen]))
    if tokens:
        chosen = Field("token", said("Token"), "choice", choices=tokens)
        made.append(Form("revoke", said("Revoke a token"), said("Revoke"), [chosen]))
    return made


@admin.act("end")
def _end(visit: Visit, given: Given) -> Done:
    sessions, wanted = visit.door.sign_in.sessions, given.need("session")
    for row in sessions.of("" if _rules(visit) else visit.visitor.handle):
        if _name(row.digest) == wanted:
            sessions.end(row.digest)
            return Done("/admin", said("The session is over."))
    raise FieldError("session", "this is no session that you may end")


@admin.act("revoke")
def _revoke(visit: Visit, given: Given) -> Done:
    sign_in, name = visit.door.sign_in, given.need("token")
    with sign_in.one:
        token = sign_in.access.token(name)
        if token is None or not (_rules(visit) or token.handle == visit.visitor.handle):
            raise FieldError("token", "this is no token that you may revoke")
        revoke_token(sign_in.access, name)
    return Done("/admin", said("The token works no more."))


def _backups() -> Table:
    """What a backup must hold, and what it must not."""
    kept: list[tuple[str, Said]] = [
        ("node.db", said("back it up: the registers and all that was decided; by SQLite's own copy, never as a file")),
        ("blobs/, tls/, node.json", said("back them up")),
        ("keys.db", said("alone, and for a short time: a backup of it undoes destruction")),
        ("heads.db", said("never: an older copy would let this node sign two histories")),
        ("view.db, served/", said("never: they are made anew")),
    ]
    rows: list[tuple[Content, ...]] = [(Cell(name, "code"), words) for name, words in kept]
    note = said(
        "When a copy was made last is not known here: this node keeps no record of it. Try a restore every quarter."
    )
    return Table(said("Backups"), [said("What"), said("Why")], rows, note=note)
