"""The lab: two real nodes with real keys, files and SQLite, invented persons and a clock that a test sets.

`build` makes a template once (scrypt is slow); each test opens a `Pair` on a copy of it. `Tampered` stands between a
node and what its partner serves. What a partner can sign that an honest node never would is in `lab/cheat.py`.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
import pysqlite3.dbapi2 as sqlite
import pytest
from stix_objects import as_bytes, bundle_of, indicator

from entente.app import AREAS, area_of
from entente.errors import FormatError, FrozenError
from entente.keys import SoftSigner
from entente.node import setup
from entente.node.dispatch import Dispatched
from entente.node.node import Node
from entente.node.propose import Proposal, Wish
from entente.node.served import FolderTree
from entente.register.entry import parse_entry
from entente.strict import time_text
from entente.treaty.agreement import parse_agreement
from entente.treaty.marking import Marking, MarkingMap
from entente.treaty.record import Data, Record

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "src" / "entente" / "samples"
START = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
PASSPHRASE = b"a passphrase of the lab"
UNTIL = "2030-01-01T00:00Z"
AREA = "intelligence"
Change = Callable[[bytes | None], bytes | None]


class Clock:
    """What time it is, until a test says otherwise; both nodes look at the same one."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time set."""
        return self.now

    def forward(self, *, days: int = 0, hours: int = 0, minutes: int = 0) -> str:
        """It is later by this much; returns the new time as entries write it."""
        self.now += timedelta(days=days, hours=hours, minutes=minutes)
        return time_text(self.now)


@dataclass(frozen=True)
class Template:
    """Two founded and paired nodes as folders, and every secret outside them."""

    folder: Path
    toml: bytes
    envelope: bytes
    authorities: dict[str, SoftSigner]
    people: dict[str, SoftSigner]


def persons(code: str, levels: Sequence[str], map_role: str) -> list[tuple[str, str, set[str], list[str], str, str]]:
    """(name, natural person, roles, areas, ceiling, until).

    Honest ones and every oddity that approvals must withstand.
    """
    top = levels[3]
    soon = time_text(START + timedelta(days=2))
    both = [AREA, "documents"]
    return [
        ("rao", f"{code}-1", {"release", "security"}, both, top, UNTIL),
        ("nair", f"{code}-2", {"release"}, both, top, UNTIL),
        ("iyer", f"{code}-3", {"security", map_role}, both, top, UNTIL),
        ("sen", f"{code}-4", {"release"}, both, top, UNTIL),
        ("rao.two", f"{code}-1", {"release", "security"}, both, top, UNTIL),
        ("nair.two", f"{code}-2", {"release", "security"}, both, top, UNTIL),
        ("twin", f"{code}-5", {"release", "security"}, both, top, UNTIL),
        ("low", f"{code}-6", {"release", "security"}, both, levels[0], UNTIL),
        ("brief", f"{code}-7", {"release", "security"}, both, top, soon),
        ("elsewhere", f"{code}-8", {"release", "security"}, ["documents"], top, UNTIL),
    ]


def build(folder: Path, sample: str) -> Template:
    """Both nodes under a sample agreement.

    Founded, persons certified, assured, paired, each holding the other's entries.
    """
    raw = (SAMPLES / f"{sample}.toml").read_bytes()
    law = parse_agreement(raw).law
    authorities = {code: SoftSigner.generate() for code in law.parties}
    toml = setup.with_authorities(raw, {code: signer.public for code, signer in authorities.items()})
    envelope = setup.sign_agreement(toml, list(authorities.values()))
    people: dict[str, SoftSigner] = {}
    clock = Clock()
    nodes = {}
    for code in law.parties:
        settings = setup.Settings(code, partner_tree=f"../{law.other(code)}/served", dispatch_slot_minutes=0)
        setup.create(folder / code, settings, PASSPHRASE)
        (folder / code / "passphrase").write_bytes(PASSPHRASE)
        node = nodes[code] = Node(folder / code, AREAS, in_process, clock=clock)
        setup.found(node, toml, envelope, authorities[code])
        drafts = []
        for name, natural, roles, areas, ceiling, until in persons(code, law.party[code].levels, law.acts.roles.map):
            handle = f"{code}/{name}"
            people[handle] = people[f"{code}/nair"] if name == "twin" else SoftSigner.generate()
            drafts.append(
                setup.certify(
                    node,
                    authorities[code],
                    handle=handle,
                    national_id=natural,
                    key=people[handle].public,
                    roles=sorted(roles),
                    areas=areas,
                    ceiling=ceiling,
                    until=until,
                )
            )
        top = law.party[code].levels[3]
        drafts.append(setup.assure(node, authorities[code], level=top, areas=sorted(law.area), until=UNTIL))
        node.append(drafts)
    for code, node in nodes.items():
        genesis = setup.genesis_hash(nodes[law.other(code)])
        node.settings = msgspec.structs.replace(node.settings, partner_genesis=genesis)
        setup.write_settings(node.folder, node.settings)
        node.partner_genesis = genesis
    for _ in range(2):
        for node in nodes.values():
            node.pull()
    for node in nodes.values():
        node.close()
    return Template(folder, toml, envelope, authorities, people)


def in_process(form: str, releases: list[list[Data]]) -> list[list[Record] | str]:
    """The area's own functions as the child process calls them, without the child: a sixth of a second less."""
    return [_in_process(form, bodies) for bodies in releases]


def _in_process(form: str, bodies: list[Data]) -> list[Record] | str:
    area = area_of(form)
    if area is None:
        return f"no area here reads {form}"
    found = []
    for number, body in enumerate(bodies):
        record = area.read(form, body)
        if isinstance(record, str):
            return f"record {number}: {record}"
        found.append(record)
    return found


def sighted(count: int = 2, *, word: str = "harmless", first: int = 1) -> list[bytes]:
    """Valid indicators whose names hold `word`."""
    return [as_bytes(indicator(first + n, name=f"{word} {first + n}")) for n in range(count)]


@dataclass
class Pair:
    """Two open nodes on a copy of a template. `a` sends in most tests, `b` receives."""

    template: Template
    folder: Path
    clock: Clock = field(default_factory=Clock)
    nodes: dict[str, Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The copy is made and both nodes are open."""
        shutil.copytree(self.template.folder, self.folder, dirs_exist_ok=True)
        for code in self.template.authorities:
            self.open(code)

    def open(self, code: str, folder: Path | None = None) -> Node:
        """The node of a party is open (again, if it was)."""
        if code in self.nodes:
            self.nodes.pop(code).close()
        self.nodes[code] = Node(folder or self.folder / code, AREAS, in_process, clock=self.clock)
        return self.nodes[code]

    def shut(self, code: str) -> Path:
        """The node of a party is closed; returns its folder."""
        node = self.nodes.pop(code)
        node.close()
        return node.folder

    def close(self) -> None:
        """Both are closed."""
        for code in list(self.nodes):
            self.shut(code)

    @property
    def codes(self) -> tuple[str, str]:
        """The parties in the agreement's order."""
        first, second = self.template.authorities
        return first, second

    @property
    def a(self) -> Node:
        """The node of the first party."""
        return self.nodes[self.codes[0]]

    @property
    def b(self) -> Node:
        """The node of the second party."""
        return self.nodes[self.codes[1]]

    def of(self, node: Node, name: str) -> tuple[str, SoftSigner]:
        """A person of this node's party: handle and signer."""
        handle = f"{node.party}/{name}"
        return handle, self.template.people[handle]

    def tree(self, node: Node) -> FolderTree:
        """What this node serves."""
        return FolderTree(node.folder / "served")

    # The way of a release

    def marking(self, node: Node, level: str = "") -> Marking:
        """A marking of this party's own at a level (default its lowest)."""
        law = node.law.law
        return Marking(
            (),
            level or law.party[node.party].levels[0],
            node.party,
            (law.areas[AREA].purposes or ("",))[0],
            tuple(sorted(law.parties)),
        )

    def propose(self, node: Node, bodies: Sequence[bytes], *, author: str = "rao", level: str = "") -> Proposal:
        """A draft of these objects at a level."""
        found = MarkingMap(node.law.hash, AREA, (), self.marking(node, level))
        map_id = node.sign_map(found, [self.of(node, "iyer")])
        source = node.import_file(AREA, bundle_of(*bodies), place="lab.json", map_id=map_id).source
        return node.propose(source, Wish(f"{node.party}/{author}"))

    def approve(self, node: Node, rid: str, name: str, role: str = "release") -> str:
        """A person approves; returns the draft's state after it."""
        handle, signer = self.of(node, name)
        return node.approve(rid, handle, role, signer).state

    def approved(self, node: Node, bodies: Sequence[bytes] | None = None, *, level: str = "") -> str:
        """The rid of a draft that enough persons have approved."""
        made = self.propose(node, bodies if bodies is not None else sighted(), level=level)
        self.approve(node, made.rid, "nair")
        if (node.law.law.areas[AREA].approvals or 0) > 1:
            self.approve(node, made.rid, "iyer", "security")
        draft = node.db.draft(made.rid)
        assert draft is not None
        assert draft.state == "approved"
        return made.rid

    def release(self, node: Node, bodies: Sequence[bytes] | None = None) -> Dispatched:
        """One release of these objects stands in this node's register."""
        (done,) = node.dispatch([self.approved(node, bodies)])
        return done

    def round(self) -> None:
        """Each node pulls from the other and answers, once."""
        for node in self.nodes.values():
            node.pull()
            node.answer()

    def exchange(self) -> None:
        """Both pull and answer until neither has news."""
        for _ in range(8):
            before = [heads(node) for node in self.nodes.values()]
            self.round()
            if [heads(node) for node in self.nodes.values()] == before:
                return
        raise AssertionError("two nodes with nothing to do do not fall silent")


class Tampered:
    """A reader that changes what is served: each rule is a pattern of paths and what becomes of the file's bytes."""

    def __init__(self, inner: FolderTree, *rules: tuple[str, Change]) -> None:
        self.inner, self.rules = inner, list(rules)
        self.asked: list[str] = []

    def _bytes(self, path: str) -> bytes | None:
        self.asked.append(path)
        data = self.inner.range(path, 0, 1 << 30)
        for pattern, change in self.rules:
            if fnmatchcase(path, pattern):
                data = change(data)
        return data

    def get(self, path: str, limit: int) -> bytes | None:
        """As a folder gives it, changed."""
        data = self._bytes(path)
        if data is not None and len(data) > limit:
            raise FormatError(f"more than the {limit} bytes it may have", place=path)
        return data

    def range(self, path: str, start: int, length: int) -> bytes | None:
        """As a folder gives it, changed."""
        data = self._bytes(path)
        return None if data is None else data[start : start + length]

    def close(self) -> None:
        """Nothing stays open."""


def gone(_: bytes | None) -> None:
    """The file is not served."""


def flip(place: int = 0) -> Change:
    """One bit of the byte at this place is the other way round."""

    def change(data: bytes | None) -> bytes | None:
        if data is None:
            return None
        at = place % len(data)
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return change


def given(data: bytes) -> Change:
    """The file has these bytes instead."""
    return lambda _: data


# What befalls a node


def copy_of(folder: Path, name: str, to: Path) -> Path:
    """A consistent copy of one database, as a backup makes it."""
    to.mkdir(parents=True, exist_ok=True)
    source = sqlite.connect(str(folder / name))
    target = sqlite.connect(str(to / name))
    source.backup(target)
    source.close()
    target.close()
    return to / name


def put_back(pair: Pair, code: str, *names: str, saved: Path) -> None:
    """The node is opened on older copies of these databases."""
    folder = pair.shut(code)
    for name in names:
        for path in folder.glob(f"{name}*"):
            path.unlink()
        shutil.copy(saved / name, folder / name)
    pair.open(code)


def revoke(pair: Pair, node: Node, name: str) -> None:
    """The authority revokes a person from the next entry on."""
    handle, _ = pair.of(node, name)
    node.append([setup.revoke_person(node, pair.template.authorities[node.party], handle, "left")])


# What a node knows


def heads(node: Node) -> tuple[object, ...]:
    """Sizes and roots of both registers, and how far the partner is known to have cosigned."""
    return (
        *((party, tree.size, tree.root().hex()) for party, tree in node.trees.items()),
        node.acknowledged(),
    )


def answers(node: Node) -> list[tuple[str, list[list[int]]]]:
    """Every answer in this node's own register: outcome and spans."""
    found = []
    for data in node.db.entries(node.logs[node.party]):
        entry = parse_entry(data)
        if entry.kind == "answer":
            found.append((str(entry.body["outcome"]), entry.body["re"]["spans"]))
    return found


def rows(node: Node) -> dict[str, str]:
    """A digest of every table of node.db."""
    tables = [row[0] for row in node.db.raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
    found = {}
    for name in tables:
        lines = node.db.raw.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()  # noqa: S608 - its own table names
        found[name] = hashlib.sha256(repr(lines).encode()).hexdigest()
    return found


def signed(node: Node) -> list[tuple[object, ...]]:
    """What heads.db remembers."""
    return list(node.heads.raw.execute("SELECT * FROM signed ORDER BY origin").fetchall())


def files(folder: Path) -> dict[str, str]:
    """Path to digest of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def state(node: Node, *, but: Sequence[str] = ()) -> dict[str, object]:
    """All that a node has written: tables, heads, served files; tables named in `but` left out."""
    return {
        "heads": heads(node),
        "rows": {name: digest for name, digest in rows(node).items() if name not in but},
        "served": files(node.folder / "served"),
        "signed": signed(node),
    }


@contextmanager
def unchanged(*nodes: Node, but: Sequence[str] = ()) -> Iterator[None]:
    """What happens inside leaves no trace on these nodes, in tables, heads or served files."""
    before = [state(node, but=but) for node in nodes]
    yield
    for node, was in zip(nodes, before, strict=True):
        now = state(node, but=but)
        changed = [key for key in was if was[key] != now[key]]
        assert not changed, f"{node.party}: {changed}"


def signs_nothing(pair: Pair, node: Node) -> None:
    """An assurance that its authority signed, and every answer, are refused; no head is signed."""
    before = signed(node), heads(node), files(node.folder / "served")
    draft = setup.assure(
        node,
        pair.template.authorities[node.party],
        level=node.law.law.party[node.party].levels[0],
        areas=[AREA],
        until=UNTIL,
    )
    with pytest.raises(FrozenError):
        node.append([draft])
    node.db.raw.execute("UPDATE inbox SET answered = 0 WHERE outcome IS NOT NULL")
    if node.db.intents(node.logs[node.partner]):
        with pytest.raises(FrozenError):
            node.answer()
    node.db.raw.execute("UPDATE inbox SET answered = 1 WHERE outcome IS NOT NULL")
    assert (signed(node), heads(node), files(node.folder / "served")) == before
