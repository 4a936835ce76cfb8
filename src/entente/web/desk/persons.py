"""Persons of this party as the authority certified them; a person is certified by the command line, with its key."""

from entente.account.state import PersonFact
from entente.web.desk.admin import until_words
from entente.web.page import Block, Cell, Column, Content, Facts, Filter, Listing, Page, Row, Said, Text, said
from entente.web.screen import page
from entente.web.visit import Visit, sliced

CERTIFY = "entente person HANDLE --roles … --areas … --ceiling … --until … --national-id-file … --authority …"
REVOKE = "entente key revoke HANDLE --reason … --authority …"
COLUMNS = (
    Column("handle", said("Person"), sort=True), Column("roles", said("Roles")), Column("areas", said("Areas")),
    Column("ceiling", said("Up to")), Column("until", said("Until"), "time", sort=True), Column("state", said("State")),
)  # fmt: skip


def _state(visit: Visit, fact: PersonFact) -> Said:
    if fact.revoked_from is not None:
        return said("revoked", tone="bad")
    return until_words(visit, fact.person.until)


@page("/persons", said("Persons"), lists=True)
def persons(visit: Visit) -> Page:
    """Every person of this party, by handle."""
    rows = sorted(visit.node.side.persons.items())
    tests = {
        "q": lambda row, value: value.casefold() in row[0].casefold(),
        "role": lambda row, value: value in row[1].person.roles,
        "area": lambda row, value: value in row[1].person.areas,
    }
    sorts = {"handle": lambda row: row[0], "until": lambda row: row[1].person.until}
    found = visit.held(rows, tests=tests, sorts=sorts)
    roles = sorted({role for _, fact in rows for role in fact.person.roles})
    filters = [
        Filter("q", said("Handle")),
        Filter("role", said("Role"), [(role, role) for role in roles]),
        Filter("area", said("Area"), [(area, area) for area in visit.law.areas]),
    ]
    listing = Listing(
        said("Persons"), COLUMNS, sliced(found), lambda row: _row(visit, *row), filters, len(found),
        stamp=lambda: str(visit.node.side.size), empty=said("No person fits."),
    )  # fmt: skip
    blocks: list[Block] = [listing, _how()]
    return Page(said("Persons"), blocks, "", [Cell(said("Administration"), href="/admin")])


def _row(visit: Visit, handle: str, fact: PersonFact) -> Row:
    one = fact.person
    cells: dict[str, Content] = {
        "handle": Cell(handle), "roles": ", ".join(one.roles), "areas": ", ".join(one.areas), "ceiling": one.ceiling,
        "until": visit.time(one.until), "state": _state(visit, fact),
    }  # fmt: skip
    return Row(handle, cells, f"/person/{handle.partition('/')[2]}")


def _how() -> Text:
    return Text(
        said("Who certifies, and how"),
        [
            said("The authority certifies and revokes persons. Its key is not on this machine. Where it is:"),
            Cell(CERTIFY, "code"),
            Cell(REVOKE, "code"),
        ],
    )


@page("/person/{user}", said("Person"))
def person(visit: Visit) -> Page:
    """One person as certified."""
    handle = f"{visit.node.party}/{visit.params['user']}"
    fact = visit.node.side.persons.get(handle)
    if fact is None:
        raise visit.missing()
    one = fact.person
    facts = Facts(
        said("As certified"),
        [
            (said("Handle"), Cell(handle)), (said("Roles"), [Cell(role) for role in one.roles]),
            (said("Areas"), [Cell(area) for area in one.areas]), (said("Up to"), Cell(one.ceiling)),
            (said("Until"), visit.time(one.until)), (said("State"), _state(visit, fact)),
            (said("Public key"), Cell(one.key, "digest")),
        ],
    )  # fmt: skip
    return Page(handle, [facts, _how()], "", [Cell(said("Persons"), href="/persons")])
