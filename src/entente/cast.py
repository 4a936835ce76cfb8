"""The cast of the demo: invented persons, their keys, two nodes, and the marking map that reads the sample."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec

from entente.app import AREAS, area_of, validate
from entente.errors import UsageError
from entente.keys import SoftSigner, lock
from entente.node import setup
from entente.node.node import Node
from entente.strict import parse_foreign, time_text
from entente.treaty.agreement import Agreement
from entente.treaty.marking import MapRow, Marking, MarkingMap

SAMPLES = Path(__file__).parent / "samples"
FORMAT = "stix-2.1"
AUTHOR_AND_APPROVERS = (("rao", "nair", "iyer"), ("kim", "lee", "park"))
MITRE_STATEMENT = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168"
MITRE_IDENTITY = "identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5"
TLP_CLEAR = (
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
)


class Person(msgspec.Struct, frozen=True):
    """An invented person with the password made for this demo."""

    user: str
    password: str
    roles: tuple[str, ...]


class Side(msgspec.Struct):
    """One party's node in the demo; `node` is open only while the demo has something to do there."""

    code: str
    name: str
    node: Node
    people: tuple[Person, ...]

    @contextmanager
    def at_desk(self) -> Iterator[Node]:
        """The node, open for as long as this lasts; its own process waits meanwhile."""
        self.node = Node(self.node.folder, AREAS, validate)
        try:
            yield self.node
        finally:
            self.node.close()

    def signer(self, person: Person) -> SoftSigner:
        """The person's signer."""
        return self.node.person_signer(f"{self.code}/{person.user}", person.password.encode())


def make_side(
    demo: Path,
    law: Agreement,
    code: str,
    names: tuple[str, ...],
    authority: SoftSigner,
    *,
    data: bytes,
    envelope: bytes,
) -> Side:
    """One party's node under `demo`: founded, its persons certified, its assurance given."""
    folder = demo / code
    passphrase = secrets.token_urlsafe(24).encode()
    settings = setup.Settings(code, dispatch_slot_minutes=0)
    setup.create(folder, settings, passphrase)
    secret = folder / "passphrase"
    secret.touch(mode=0o600)
    secret.write_bytes(passphrase)
    locked = demo / f"authority-{code}.key"
    locked.touch(mode=0o600)
    locked.write_bytes(lock(authority.seed, passphrase, label=setup.AUTHORITY))
    node = Node(folder, AREAS, validate)
    setup.found(node, data, envelope, authority)
    area = area_for(law)
    terms = law.areas[area]
    ceiling = (terms.ceiling or {}).get(code, law.party[code].levels[0])
    until = time_text(node.clock() + timedelta(days=365))
    roles = _roles(law, area)
    people = tuple(
        Person(name, secrets.token_urlsafe(9), roles)
        for name, roles in zip(_names(names, len(roles)), roles, strict=True)
    )
    drafts = [
        setup.certify(
            node,
            authority,
            handle=f"{code}/{person.user}",
            national_id=secrets.token_hex(8),
            key=node.add_person_key(f"{code}/{person.user}", person.password.encode()),
            roles=person.roles,
            areas=sorted(law.area),
            ceiling=ceiling,
            until=until,
        )
        for person in people
    ]
    drafts.append(setup.assure(node, authority, level=ceiling, areas=sorted(law.area), until=until))
    node.append(drafts)
    return Side(code, law.party[code].names.get("en", code), node, people)


def marking_map(sender: Side, *, default: bool) -> MarkingMap:
    """MITRE, TLP:CLEAR and the sample's author → the sender's lowest level; the sample's third stays a third."""
    node = sender.node
    law = node.law
    terms = law.law.areas[area_for(law.law)]
    lowest = law.law.party[node.party].levels[0]
    purpose = (terms.purposes or ("",))[0]
    plain = Marking((), lowest, node.party, purpose, tuple(sorted(law.law.parties)))
    rows = dict.fromkeys((MITRE_STATEMENT, MITRE_IDENTITY, *TLP_CLEAR), plain)
    sample = parse_foreign((SAMPLES / "sample.stix.json").read_bytes())["objects"]
    for item in sample:
        if item["type"] == "marking-definition":
            rows[item["id"]] = plain
            rows[item["created_by_ref"]] = plain
    authors = {item["created_by_ref"] for item in sample if "created_by_ref" in item} - set(rows)
    thirds = {item["id"]: item["name"] for item in sample if item["id"] in authors}
    for name, title in thirds.items():
        rows[name] = msgspec.structs.replace(plain, originator=title)
    stated = plain if default else msgspec.UNSET
    return MarkingMap(law.hash, area_for(law.law), tuple(MapRow(key, rows[key]) for key in sorted(rows)), stated)


def area_for(law: Agreement) -> str:
    """The area that takes the demo's format."""
    area = area_of(FORMAT)
    names = [
        name
        for name, terms in law.areas.items()
        if FORMAT in (terms.formats or ()) and area is not None and name in AREAS
    ]
    if not names:
        raise UsageError(
            f"the agreement has no area for {FORMAT}", remedy="The demo carries STIX; name the format in an area."
        )
    return names[0]


def _names(names: tuple[str, ...], count: int) -> list[str]:
    return [*names, *(f"person-{number}" for number in range(len(names) + 1, count + 1))][:count]


def _roles(law: Agreement, area: str) -> list[tuple[str, ...]]:
    """The author's roles, then each approver's: one of the area's in turn, and for the last ones that of the map."""
    roles = law.areas[area].roles or ("release",)
    count = max(law.areas[area].approvals or 1, len(roles), law.acts.signers.map, 2)
    approvers = [
        tuple(
            sorted(
                {roles[place % len(roles)]}
                | ({law.acts.roles.map} if place >= count - max(law.acts.signers.map, 1) else set())
            )
        )
        for place in range(count)
    ]
    return [(roles[0],), *approvers]
