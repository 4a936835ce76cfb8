"""A pair of nodes as they are after half a year of work, for `bench.web`: 50,000 entries, 200,000 readable records.

Everything is done by the nodes' own rooms, so that `entente verify` and verify.py accept both trees. To be quick it
leaves out what leaves no trace that is measured:

* a draft is frozen by `propose`'s own last step, from records made here, and its approvals are signed without asking
  the rules once for each; dispatch asks all of them.
* acts and answers are signed by the right persons and appended, but have no rows among the acts prepared at home.
* the partner answers without opening: it holds the measured node's entries, not its objects. It is a prop.
* nothing waits for the disk while it is built; a machine that fails meanwhile leaves nothing that is used.

    python -m bench.web_site FOLDER [JSON]    builds one there, of this Size, and says what it took
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import msgspec

from bench.taxii_node import indicator, record
from bench.wire import AGREEMENT
from entente.account.acts import act_message
from entente.app import AREAS, validate
from entente.keys import SoftSigner
from entente.node import propose, setup
from entente.node.ledger import Draft
from entente.node.material import Material
from entente.node.mirror import pull_register
from entente.node.node import Node
from entente.node.pull import pull_mirror
from entente.node.served import FolderTree
from entente.register.entry import Sig
from entente.strict import encode, time_text
from entente.treaty.agreement import parse_agreement
from entente.treaty.approval import approve
from entente.treaty.marking import MapRow, Marking, MarkingMap

WEEK_S = 7 * 86400.0
ROOT = Path(__file__).resolve().parents[1]
AREA, FORMAT = "intelligence", "stix-2.1"
DAYS, ROUNDS = 168, 24
RENEW = 8  # rounds between two sealing keys, which live 90 days
LEVELS = (0, 0, 2, 0, 3)  # of the party's scale, in turn: those that can cross
PEOPLE = {
    "rao": ("release",),
    "nair": ("release",),
    "iyer": ("release", "security"),
    "reader": (),  # cleared for the lowest level alone
}
BLOBS = {"blobs", "blob", "leaves"}
PASSWORD = "bench bench bench"  # noqa: S105 - opens an invented person's key


class Size(msgspec.Struct, frozen=True):
    """How much there is; the measured node is of the agreement's first party.

    `own` records in imports; `sent` releases of one record each; `came` releases of the partner's of `each` records;
    `entries` in both registers together, claims making up the rest; `waiting` drafts that nobody has approved.
    """

    entries: int = 50_000
    own: int = 80_000
    sent: int = 16_000
    came: int = 2_080
    each: int = 50
    undertakings: int = 1_000
    orders: int = 300
    waiting: int = 40

    @property
    def records(self) -> int:
        """Objects that can be read at the measured node."""
        return self.own + self.sent + self.came * self.each + self.waiting


class Site(msgspec.Struct, frozen=True):
    """The measured node's folder, who reads all of it, who reads the lowest level alone, and what can be asked for.

    `sent` and `came` are releases, `thing` an object of an import, `draft` one that waits, `source` an import.
    """

    folder: Path
    party: str
    partner: str
    user: str
    low: str
    password: str
    entries: int
    records: int
    sent: str
    came: str
    thing: str
    draft: str
    source: str

    def copy(self, folder: Path) -> "Site":
        """The same in another folder; blobs, which are never written twice, are the same files."""

        def link(source: str, to: str) -> None:
            (os.link if BLOBS & {*Path(source).parts} else shutil.copy2)(source, to)

        shutil.copytree(self.folder, folder, copy_function=link)
        return msgspec.structs.replace(self, folder=folder)


class Clock:
    """What time it is at both nodes."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=DAYS)

    def __call__(self) -> datetime:
        """The time set."""
        return self.now


class Party:
    """A node that is open, and the persons who sign for it."""

    def __init__(self, node: Node, authority: SoftSigner, people: dict[str, SoftSigner]) -> None:
        self.node, self.authority, self.people = node, authority, people
        law, party = node.law.law, node.party
        purpose = (law.areas[AREA].purposes or ("",))[0]
        parties, words = tuple(sorted(law.parties)), law.party[party].levels
        self.markings = [Marking((), words[level], party, purpose, parties) for level in LEVELS]
        self.tree = FolderTree(node.folder / "served")
        self.made = 0

    def handle(self, name: str) -> str:
        """A person's handle."""
        return f"{self.node.party}/{name}"

    def signed(self, kind: str, body: dict[str, object], *names: str) -> Draft:
        """An entry to be, signed by these persons."""
        whole = {**body, "nonce": setup.nonce()}
        message = act_message(kind, self.node.side.origin, self.node.law.hash, whole)
        sigs = [Sig(self.handle(name), self.people[name].sign(message).hex()) for name in names]
        return Draft(kind, whole, tuple(sigs))

    def drafts(self, number: int, each: int, source: str) -> list[str]:
        """So many drafts of so many records, marked by turns; their ids."""
        return [self._draft(each, source) for _ in range(number)]

    def _draft(self, each: int, source: str) -> str:
        node, mark = self.node, self.markings[self.made % len(LEVELS)]
        first = (node.party == node.law.law.parties[0]) * 100_000_000 + 1_000_000 + self.made * each
        self.made += 1
        kept = [(record(first + number), mark) for number in range(each)]
        stuff = Material(source, AREA, FORMAT, [one for one, _ in kept], lambda _: mark, frozenset())
        wish = propose.Wish(self.handle("rao"))
        law = node.law
        template = propose._template(node, law, law.law.areas[AREA], stuff, wish)  # noqa: SLF001 - the docstring says
        whole = propose._Screened(template, stuff, kept, [], {})  # noqa: SLF001 - why
        return propose._freeze(node, AREAS[AREA], whole, author=wish.author).rid  # noqa: SLF001

    def dispatch(self, rids: Sequence[str]) -> None:
        """The drafts are approved by two persons and stand in the register."""
        node = self.node
        until = time_text((node.clock() + timedelta(days=8)).replace(hour=0, minute=0))
        with node.db.transaction():
            for rid in rids:
                for name, role in (("nair", "release"), ("iyer", "security")):
                    given = approve(self.people[name], rid, self.handle(name), role, until)
                    node.db.put_approval(rid, given.by, encode(given))
                node.db.set_draft(rid, "approved")
        node.dispatch(rids)

    def import_some(self, first: int, number: int, map_id: str) -> str:
        """An import of so many objects; its id."""
        marks = [f"marking-definition--{_uuid(level)}" for level in LEVELS]
        objects = [
            indicator(n) | {"object_marking_refs": [marks[n % len(LEVELS)]]} for n in range(first, first + number)
        ]
        bundle = {"type": "bundle", "id": f"bundle--{_uuid(first)}", "objects": objects}
        return self.node.import_file(
            AREA, msgspec.json.encode(bundle), place=f"{first}.json", map_id=map_id, form=FORMAT
        ).source

    def sign_map(self) -> str:
        """A marking map by which what is imported is of the levels in turn."""
        rows = {f"marking-definition--{_uuid(level)}": mark for level, mark in zip(LEVELS, self.markings, strict=True)}
        listed = tuple(MapRow(name, rows[name]) for name in sorted(rows))
        found = MarkingMap(self.node.law.hash, AREA, listed, self.markings[0])
        return self.node.sign_map(found, [(self.handle("iyer"), self.people["iyer"])])

    def answer(self, other: "Party") -> None:
        """Each new entry of the partner's that calls for an answer has one, an entry of its own; nothing is opened."""
        node, log_id = self.node, self.node.logs[self.node.partner]
        pull_register(node, other.tree)
        pull_mirror(node, other.tree)
        rows = node.db.pending(log_id)
        outcomes = [(row.idx, "received" if row.kind == "release" else "applied") for row in rows]
        with node.db.transaction():
            for idx, outcome in outcomes:
                node.db.set_outcome(log_id, idx, outcome, "")
        self.state_outcomes()

    def state_outcomes(self) -> None:
        """Every outcome that is decided stands as an entry of its own."""
        node, log_id = self.node, self.node.logs[self.node.partner]
        intents, origin = node.db.intents(log_id), node.other_side.origin
        bodies: Iterator[dict[str, object]] = (
            {"outcome": outcome, "re": {"origin": origin, "spans": [[idx, idx]]}, "witnesses": []}
            for idx, outcome in intents
        )
        if intents:
            node.append(
                [Draft("answer", body) for body in bodies],
                also=lambda _: node.db.set_answered(log_id, [idx for idx, _ in intents]),
            )


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def built(folder: Path, size: Size) -> Site:
    """The two nodes stand closed in a new folder."""
    clock = Clock()
    with ExitStack() as stack:
        stack.enter_context(mock.patch("os.fsync"))
        first, second = _founded(folder, clock, stack)
        for party in (first, second):
            for store in (party.node.db, party.node.keys, party.node.heads):
                store.raw.execute("PRAGMA synchronous = OFF")
        map_id = first.sign_map()
        sources = []
        for number in range(ROUNDS):
            sources += _imports(first, size, number, map_id)
            _round((first, second), size, number, sources[-1], clock)
        _fill(first, second, size, clock)
        first.drafts(size.waiting, 1, sources[-1])
        node = first.node
        _tell(folder, (first, second))
        return Site(
            node.folder, node.party, node.partner, "rao", "reader", PASSWORD,
            entries=sum(side.size for side in node.pair.sides.values()), records=size.records,
            sent=node.side.releases[size.sent // 2].rid, came=node.other_side.releases[size.came // 2].rid,
            thing=str(indicator(size.own // 2)["id"]), draft=node.db.rids_in("checked")[0], source=sources[-1],
        )  # fmt: skip


def _tell(folder: Path, parties: Sequence[Party]) -> None:
    """The folder is to the verifiers what a demo's is."""
    index = {party.node.party: {"dir": str(party.node.folder)} for party in parties}
    (folder / "demo.json").write_bytes(msgspec.json.encode(index))


def _share(whole: int, number: int) -> int:
    """What of a whole falls to this round."""
    return whole * (number + 1) // ROUNDS - whole * number // ROUNDS


def _imports(first: Party, size: Size, number: int, map_id: str) -> list[str]:
    begin = size.own * number // ROUNDS
    return [first.import_some(begin, _share(size.own, number), map_id)]


def _round(parties: tuple[Party, Party], size: Size, number: int, source: str, clock: Clock) -> None:
    """A week of both parties' work: releases and acts, the partner's answers three hours later, ours after these."""
    first, second = parties
    if number % RENEW == RENEW - 1:
        for party in parties:
            party.node.append([setup.renew_kem(party.node, party.authority)])
        _level(first, second)
    answered = len(first.node.side.releases)
    first.dispatch(first.drafts(_share(size.sent, number), 1, source))
    second.dispatch(second.drafts(_share(size.came, number), size.each, ""))
    done = size.undertakings * number // ROUNDS
    acts = [_undertaking(first, done + n, clock) for n in range(_share(size.undertakings, number))]
    if answered:
        acts += [_order(first, answered, n) for n in range(_share(size.orders, number))]
    first.node.append(acts)
    clock.now += timedelta(hours=3)
    second.answer(first)
    first.node.pull(second.tree)
    clock.now += timedelta(hours=1)
    second.answer(first)  # and cosigns, so that keys are served
    first.node.pull(second.tree)
    first.state_outcomes()
    clock.now += timedelta(days=DAYS / ROUNDS) - timedelta(hours=4)


def _level(first: Party, second: Party) -> None:
    for _ in range(2):
        for party, other in ((first, second), (second, first)):
            pull_register(party.node, other.tree)
            pull_mirror(party.node, other.tree)


def _undertaking(party: Party, number: int, clock: Clock) -> Draft:
    body: dict[str, object] = {
        "band": "", "basis": "", "from": party.node.party, "key": f"project/{number}", "measure": "units",
        "source": "talks", "strength": ("agreed", "will", "aim")[number % 3], "to": party.node.partner,
        "text": {"en": f"Equipment of lot {number} is handed over."},
        "due": time_text(clock.now + timedelta(days=10 + number % 400)),
    }  # fmt: skip
    return party.signed("undertaking", body, "nair")


def _order(party: Party, answered: int, number: int) -> Draft:
    """About a release of an earlier round that none was given about; a return, or a withdrawal."""
    side = party.node.side
    ordered = sum(1 for fact in side.releases if fact.orders)
    fact = side.releases[(ordered + number) * 7 % answered]
    return party.signed("order", {"rid": fact.rid, "act": ("withdraw", "return")[number % 2]}, "nair", "iyer")


def _fill(first: Party, second: Party, size: Size, clock: Clock) -> None:
    """Claims of both parties, most of which agree, make up the number of entries."""
    node = first.node
    lack = size.entries - sum(side.size for side in node.pair.sides.values())
    for party, share in ((first, lack - lack // 2), (second, lack // 2)):
        for begin in range(0, share, 1000):
            clock.now += timedelta(minutes=10)
            party.node.append(_claim(party, number) for number in range(begin, min(begin + 1000, share)))
    second.answer(first)
    first.node.pull(second.tree)
    first.state_outcomes()
    _level(first, second)


def _claim(party: Party, number: int) -> Draft:
    differs = number % 50 == 0 and party.node.party != party.node.law.law.parties[0]
    body: dict[str, object] = {
        "key": f"trade/{number}",
        "value": str(number + differs),
        "basis": "customs",
        "evidence": [],
    }
    return party.signed("claim", body, "nair")


def _founded(folder: Path, clock: Clock, stack: ExitStack) -> list[Party]:
    """Both nodes are open, with their persons, and know each other's registers."""
    raw = AGREEMENT.read_bytes()
    law = parse_agreement(raw).law
    authorities = {code: SoftSigner.generate() for code in law.parties}
    data = setup.with_authorities(raw, {code: own.public for code, own in authorities.items()})
    envelope = setup.sign_agreement(data, list(authorities.values()))
    until = time_text(clock.now + timedelta(days=3650))
    parties = []
    for code in law.parties:
        place, passphrase = folder / code, os.urandom(12).hex().encode()
        tree = f"../{law.other(code)}/served"
        setup.create(place, setup.Settings(code, partner_tree=tree, dispatch_slot_minutes=0), passphrase)
        (place / "passphrase").write_bytes(passphrase)
        node = stack.enter_context(closing(Node(place, AREAS, validate, clock=clock)))
        setup.found(node, data, envelope, authorities[code])
        levels, drafts, people = law.party[code].levels, [], {}
        for name, roles in PEOPLE.items():
            key = node.add_person_key(f"{code}/{name}", PASSWORD.encode())
            people[name] = node.person_signer(f"{code}/{name}", PASSWORD.encode())
            drafts.append(
                setup.certify(
                    node, authorities[code], handle=f"{code}/{name}", national_id=f"{code}-{name}", key=key,
                    roles=roles, areas=sorted(law.area), ceiling=levels[max(LEVELS) if roles else 0], until=until,
                )
            )  # fmt: skip
        top = levels[max(LEVELS)]
        drafts.append(setup.assure(node, authorities[code], level=top, areas=sorted(law.area), until=until))
        node.append(drafts)
        parties.append(Party(node, authorities[code], people))
    for party, other in ((parties[0], parties[1]), (parties[1], parties[0])):
        genesis = setup.genesis_hash(other.node)
        party.node.settings = msgspec.structs.replace(party.node.settings, partner_genesis=genesis)
        setup.write_settings(party.node.folder, party.node.settings)
        party.node.partner_genesis = genesis
    _level(parties[0], parties[1])
    return parties


# Kept


def kept(size: Size | None = None) -> Site:
    """A site of this size, built if none is kept that this program built this week; do not change it: copy it."""
    wanted = size or Size()
    folder = Path(tempfile.gettempdir()) / f"entente-bench-web-{_name(wanted)}"
    told = folder / "site.json"
    if not told.is_file():
        for old in folder.parent.glob("entente-bench-web-*"):
            if old == folder or time.time() - old.stat().st_mtime > WEEK_S:
                shutil.rmtree(old, ignore_errors=True)
        command = [sys.executable, "-m", "bench.web_site", str(folder), msgspec.json.encode(wanted).decode()]
        subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)  # noqa: S603 - our own module
    return msgspec.json.decode(told.read_bytes(), type=Site, dec_hook=lambda kind, value: kind(value))


def _name(size: Size) -> str:
    """Of the size, the week, and all source on which the stores depend."""
    digest = hashlib.sha256(msgspec.json.encode(size) + f"{datetime.now(UTC):%G-%V}".encode())
    rooms = ("account", "areas/intelligence", "crossing", "node", "register", "store", "treaty")
    read = [one for room in rooms for one in sorted((ROOT / "src/entente" / room).glob("*.py"))]
    for path in (Path(__file__), *read):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    began = time.perf_counter()
    there = Path(sys.argv[1])
    there.mkdir(mode=0o700)
    done = built(there, msgspec.json.decode((sys.argv[2:] or ["{}"])[0], type=Size))
    (there / "site.json").write_bytes(msgspec.json.encode(done, enc_hook=str))
    sys.stdout.write(f"{time.perf_counter() - began:.0f} s: {done.entries} entries, {done.records} records\n")
