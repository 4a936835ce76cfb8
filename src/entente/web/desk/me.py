"""My account: who I am here, my sessions, and the tokens of my tools."""

from collections.abc import Sequence

from entente.node.tokens import make_token, revoke_token
from entente.store.access_db import Token
from entente.web.page import Block, Cell, Done, Facts, Field, Form, Page, Table, Text, said
from entente.web.screen import FieldError, Given, page
from entente.web.visit import Visit


@page("/me", said("My account"))
def me(visit: Visit) -> Page:
    """Who the visitor is, where they are signed in, and their tools' tokens."""
    who, sign_in = visit.visitor, visit.door.sign_in
    fact = visit.node.side.persons.get(who.handle)
    rows = [
        (said("Handle"), Cell(who.handle)),
        (said("Roles"), Cell(", ".join(who.roles))),
        (said("Areas"), Cell(", ".join(who.areas))),
        (said("Clearance"), Cell(visit.level_words(who.rank))),
        (said("Certified until"), visit.time(fact.person.until if fact is not None else "")),
    ]
    own = who.session.digest if who.session is not None else b""
    sessions = [
        (
            Cell(row.agent), visit.time(row.made), visit.time(row.seen),
            said("this one", tone="good") if row.digest == own else Cell(row.digest.hex()[:8], "code"),
        )
        for row in sign_in.sessions.of(who.handle)
    ]  # fmt: skip
    with sign_in.one:
        tokens = [token for token in sign_in.access.tokens() if token.handle == who.handle]
    return Page(
        said("My account"),
        [
            Facts(said("Who I am here"), rows),
            Table(said("Signed in"), [said("Browser"), said("Since"), said("Last seen"), said("Session")], sessions),
            Form("end", said("Sign out elsewhere"), said("End all other sessions")),
            *_passkeys(visit),
            *_tokens(visit, tokens),
        ],
    )


def _passkeys(visit: Visit) -> list[Block]:
    """The visitor's passkeys, and what can be done about them."""
    own = visit.door.sign_in.passkeys.of(visit.visitor.handle)
    rows = [(Cell(one.label), visit.time(one.made), visit.time(one.used)) for one in own]
    columns = [said("Passkey"), said("Since"), said("Last used")]
    fields = [Field("label", said("For which device")), Field("credential", said("Passkey"), "hidden")]
    note = said("Your device signs you in. What you sign still takes your password, which opens your key.")
    made: list[Block] = [
        Table(said("My passkeys"), columns, rows, said("No device signs you in yet.")),
        Form("passkey", said("A passkey on this device"), said("Make a passkey"), fields, note, proof=True),
    ]
    if own:
        chosen = Field("passkey", said("Passkey"), "choice", choices=[(one.id.hex(), one.label) for one in own])
        made.append(Form("forget", said("Forget a passkey"), said("Forget"), [chosen]))
    return made


def _tokens(visit: Visit, tokens: Sequence[Token]) -> list[Block]:
    """The visitor's tokens, and what can be done about them."""
    columns = [said("Token"), said("For"), said("What it may"), said("Until"), said("Last used"), said("State")]
    told = [
        (
            Cell(one.id, "code"), Cell(one.label),
            said("may read") if one.read_only else said("may read and write"),
            visit.time(one.until), visit.time(one.used),
            said("revoked", tone="bad") if one.revoked else said("works", tone="good"),
        )
        for one in tokens
    ]  # fmt: skip
    fields = [
        Field("label", said("For which tool")),
        Field("days", said("Days"), "number", "90"),
        Field("writes", said("It may also add and change, not only read"), "check", required=False),
    ]
    note = said("It gives what you may do at the time of use, never more. Its text is shown once.")
    made: list[Block] = [
        Table(said("Tokens of my tools"), columns, told, said("No tool has a token of yours.")),
        Form("token", said("A token for a tool"), said("Make the token"), fields, note, proof=True),
    ]
    live = [(one.id, f"{one.label} ({one.id})") for one in tokens if not one.revoked]
    if live:
        chosen = Field("token", said("Token"), "choice", choices=live)
        made.append(Form("revoke", said("Revoke a token"), said("Revoke"), [chosen]))
    return made


@me.act("end")
def _end(visit: Visit, _: Given) -> Done:
    sign_in = visit.door.sign_in
    own = visit.visitor.session
    for row in sign_in.sessions.of(visit.visitor.handle):
        if own is None or row.digest != own.digest:
            sign_in.sessions.end(row.digest)
    return Done("/me", said("All other sessions are over."))


@me.act("token")
def _token(visit: Visit, given: Given) -> Done:
    given.proof(visit)
    sign_in = visit.door.sign_in
    days = given.number("days", 1, 366)
    with sign_in.one:
        _, text = make_token(
            sign_in.access, visit.visitor.handle, label=given.need("label"), days=days,
            read_only=given.get("writes") != "yes" or visit.visitor.read_only,
        )  # fmt: skip
    return Done("/me", said("The token's text, shown this once: {text}", text=text), secret=True)


@me.act("revoke")
def _revoke(visit: Visit, given: Given) -> Done:
    sign_in, name = visit.door.sign_in, given.need("token")
    with sign_in.one:
        token = sign_in.access.token(name)
        if token is None or token.handle != visit.visitor.handle:
            raise FieldError("token", "this is no token of yours")
        revoke_token(sign_in.access, name)
    return Done("/me", said("The token works no more."))


@me.act("passkey")
def _passkey(visit: Visit, given: Given) -> Done:
    if not given.get("credential"):
        raise FieldError("label", "this browser made no passkey", remedy="It takes JavaScript, and a device that can.")
    given.proof(visit)
    site = visit.site
    if site is None:
        raise FieldError("label", "passkeys are bound to a name, not to a number", remedy="Open the desk as localhost.")
    visit.door.sign_in.passkeys.add(visit.visitor.handle, given.need("label"), given.get("credential"), site)
    return Done("/me", said("This device signs you in from now on."))


@me.act("forget")
def _forget(visit: Visit, given: Given) -> Done:
    try:
        name = bytes.fromhex(given.need("passkey"))
    except ValueError:
        raise FieldError("passkey", "this is no passkey of yours") from None
    visit.door.sign_in.passkeys.drop(name, visit.visitor.handle)
    return Done("/me", said("That device signs you in no more."))


@page("/me/passkey", said("A passkey to be made"))
def passkey(visit: Visit) -> Page:
    """What the browser is asked to make a passkey by: asked for by the script of the page before."""
    if visit.site is None:
        raise visit.missing()
    offer = visit.door.sign_in.passkeys.offer(visit.visitor.handle, visit.site)
    return Page(said("A passkey to be made"), [Text(said("Asked of the browser"), [Cell(offer, "pre")])])
