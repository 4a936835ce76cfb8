"""Two parties that build their registers in memory, and nodes and auditors that fold them: no store, no wire, no clock.

A `World` holds the agreement versions, keys and bytes of both registers; `draft` signs an entry, well formed or not,
and `put` appends it. A `Node` knows one register whole and a prefix of the other, as a real node does. `random_history`
drives two nodes from one seed.
"""

import functools
import hashlib
import random
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from entente.account.acts import Release, act_message
from entente.account.fold import EMPTY_ROOT, Fold, new_pair
from entente.account.state import Pair, Side
from entente.account.view import in_force, view_for
from entente.errors import EntenteError, FormatError
from entente.keys import SoftSigner, key_id, pae, verify
from entente.register.entry import Entry, Seen, Sig, act_id, encode, parse_entry
from entente.register.tree import Edge, leaf_hash
from entente.strict import canonical, parse, parse_time, time_text
from entente.treaty.agreement import SignedAgreement, parse_agreement
from entente.treaty.approval import approval_message, rid_of
from entente.treaty.decision import decide
from entente.treaty.request import Decision, Request, View, sealed_ref

SAMPLES = ("india-korea", "two-certs")
FOLDER = Path(__file__).resolve().parents[2] / "src" / "entente" / "samples"
START = "2026-03-01T00:00Z"
LATER = "2030-06-01T00:00Z"
KEM_MINUTES = 90 * 24 * 60
remembered_verify = functools.lru_cache(200_000)(verify)


@functools.lru_cache(4096)
def signer(*name: object) -> SoftSigner:
    """The signer that this name always means."""
    return SoftSigner(hashlib.sha256(repr(name).encode()).digest())


@functools.lru_cache(64)
def agreement(
    sample: str,
    version: int = 1,
    start: str = "2026-01-01T00:00Z",
    note: str = "",
    changes: tuple[tuple[str, str], ...] = (),
) -> SignedAgreement:
    """A version of a sample with authority keys in it; `note` makes other bytes with the same content."""
    text = (FOLDER / f"{sample}.toml").read_text()
    for code in tomllib.loads(text)["party"]:
        text = text.replace(f"ed25519:@{code}@", signer(sample, code, "authority").public)
    text = text.replace("\nversion = 1\n", f"\nversion = {version}\n")
    text = text.replace('start = "2026-01-01T00:00Z"', f'start = "{start}"')
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_agreement((text + note).encode())


def later(at: str, minutes: int) -> str:
    """`at` moved by minutes."""
    return time_text(parse_time(at) + timedelta(minutes=minutes))


class World:
    """Both registers as bytes, every size's root, and everyone who can sign."""

    def __init__(self, sample: str, *extra: SignedAgreement, seed: int = 0) -> None:
        self.sample = sample
        first = agreement(sample)
        self.laws = {signed.hash: signed for signed in (first, *extra)}
        self.law = first.law
        self.hash = first.hash
        self.parties = self.law.parties
        self.entries: dict[str, list[bytes]] = {party: [] for party in self.parties}
        self.edges: dict[str, list[Edge]] = {party: [Edge()] for party in self.parties}
        self.origins = {party: side.origin for party, side in new_pair(self.law).sides.items()}
        self.at = START
        self.rng = random.Random(seed)
        self.area = "intelligence"
        self._kept: tuple[tuple[int, ...], Pair] | None = None

    def other(self, party: str) -> str:
        """The other party."""
        return self.law.other(party)

    def root(self, party: str, size: int) -> str | None:
        """The root of a register at a size, or None; what a fold asks."""
        edges = self.edges[party]
        return edges[size].root.hex() if 0 <= size < len(edges) else None

    def nonce(self) -> str:
        """16 bytes that come again with the seed."""
        return self.rng.randbytes(16).hex()

    def authority(self, party: str) -> SoftSigner:
        """A party's authority."""
        return signer(self.sample, party, "authority")

    def person(self, handle: str, generation: int = 0) -> SoftSigner:
        """The key of a person; another generation is another key."""
        return signer(self.sample, handle, generation)

    def seen(self, party: str, size: int | None = None) -> Seen:
        """The other register at a size (its whole if None), truthfully."""
        other = self.other(party)
        place = len(self.entries[other]) if size is None else size
        return Seen(1, place, self.root(other, place) or EMPTY_ROOT)

    # Entries

    def draft(
        self,
        party: str,
        kind: str,
        body: Mapping[str, Any],
        by: Iterable[tuple[str, SoftSigner]] = (),
        *,
        seen: Seen | int | None = None,
        at: str | None = None,
        agreement: str | None = None,
        origin: str | None = None,
    ) -> bytes:
        """The bytes of an entry, signed over `origin` (the party's own register if None)."""
        name = agreement or self.hash
        message = act_message(kind, origin or self.origins[party], name, dict(body))
        sigs = sorted((Sig(handle, who.sign(message).hex()) for handle, who in by), key=lambda sig: sig.by)
        held = seen if isinstance(seen, Seen) else self.seen(party, seen)
        return encode(Entry(1, kind, at or self.at, held, name, dict(body), sigs))

    def put(self, party: str, data: bytes) -> int:
        """The bytes stand as the register's next entry, whatever they are; returns its index."""
        self.entries[party].append(data)
        self.edges[party].append(self.edges[party][-1].grown(leaf_hash(data)).edge)
        return len(self.entries[party]) - 1

    # Bodies and who signs them

    def by_authority(self, party: str) -> list[tuple[str, SoftSigner]]:
        """The authority as a signatory."""
        who = self.authority(party)
        return [(key_id(who.public), who)]

    def genesis(self, party: str) -> dict[str, Any]:
        return {
            "agreement": self.hash,
            "keys": {
                "kem": {"key": kem_text(party, 0), "until": later(self.at, KEM_MINUTES)},
                "log": {"key": signer(self.sample, party, "log").public},
                "mirror": {"key": signer(self.sample, party, "mirror").public},
            },
            "nonce": self.nonce(),
            "origin": self.origins[party],
        }

    def adopt(self, party: str, signed: SignedAgreement, supersedes: str = "") -> dict[str, Any]:
        who = self.authority(party)
        sig = who.sign(pae("agreement", signed.data, suffix="toml")).hex()
        body = {"agreement": signed.hash, "nonce": self.nonce(), "sig": {"by": key_id(who.public), "sig": sig}}
        return {**body, "supersedes": supersedes} if supersedes else body

    def person_key(self, handle: str, generation: int = 0, **other: Any) -> dict[str, Any]:
        """A certification; `who` names the natural person where that is not the handle."""
        who = other.pop("who", handle)
        party = handle.split("/", maxsplit=1)[0]
        areas = sorted(self.law.area)
        return {
            "areas": areas,
            "ceiling": self.law.party.get(party, self.law.party[self.parties[0]]).levels[-1],
            "commitment": hashlib.sha256(who.encode()).hexdigest(),
            "key": self.person(handle, generation).public,
            "nonce": self.nonce(),
            "roles": ["release", "security"],
            "subject": handle,
            "until": LATER,
            **other,
        }

    def kem_key(self, party: str, number: int, **other: Any) -> dict[str, Any]:
        return {
            "areas": [],
            "key": kem_text(party, number),
            "nonce": self.nonce(),
            "roles": [],
            "subject": "kem",
            "until": later(self.at, KEM_MINUTES),
            **other,
        }

    def assurance(self, party: str, level: str = "", **other: Any) -> dict[str, Any]:
        top = level or self.law.party[party].levels[-1]
        return {
            "areas": sorted(self.law.area),
            "level": top,
            "nonce": self.nonce(),
            "units": [],
            "until": LATER,
            **other,
        }

    def standing(self, party: str, **other: Any) -> dict[str, Any]:
        terms = self.law.areas[self.area]
        return {
            "class": {
                "area": self.area,
                "ceiling": (terms.ceiling or {})[party],
                "format": (terms.formats or ("",))[0],
                "purpose": (terms.purposes or ("",))[0],
                "view": "full",
            },
            "nonce": self.nonce(),
            "per_day": {"bytes": 10_000, "count": 3},
            "until": LATER,
            **other,
        }

    def core(self, party: str, **other: Any) -> dict[str, Any]:
        """A core that the agreement permits, but for what `other` changes."""
        area = other.get("area", self.area)
        terms = self.law.areas.get(area, self.law.areas[self.area])
        signed = {"exercise": True} if self.law.exercise else {}
        return {
            "agreement": self.hash,
            "ancestors": [],
            "area": area,
            "article": (terms.articles or ("",))[0],
            "bytes_padded": 512,
            "channel": "network",
            "content": self.rng.randbytes(32).hex(),
            "copies": 1,
            "custody": "delivered",
            "format": (terms.formats or ("",))[0],
            "marking": self.marking(party),
            "nonce": self.nonce(),
            "origin": self.origins[party],
            "records": {"count": 1, "root": self.rng.randbytes(32).hex()},
            "retain_days": 30,
            "third_party": "none",
            "to": self.other(party),
            "units": [],
            "view": "full",
            **signed,
            **other,
        }

    def marking(self, party: str, level: str = "", **other: Any) -> dict[str, Any]:
        terms = self.law.areas[self.area]
        return {
            "caveats": [],
            "level": level or self.law.party[party].levels[0],
            "originator": party,
            "purpose": (terms.purposes or ("",))[0],
            "releasable_to": sorted(self.parties),
            **other,
        }

    def release(
        self,
        party: str,
        core: dict[str, Any],
        by: Iterable[tuple[str, SoftSigner]] = (),
        *,
        kem: str = "",
        until: str = LATER,
    ) -> dict[str, Any]:
        """A release body; each of `by` approves in the roles `release`, `security` in turn."""
        rid = rid_of(canonical(core))
        approvals = []
        for place, (handle, who) in enumerate(sorted(by, key=lambda pair: pair[0])):
            role = ("release", "security")[place % 2]
            sig = who.sign(approval_message(rid, handle, role, until)).hex()
            approvals.append({"by": handle, "role": role, "sig": sig, "until": until})
        sealed = {
            "blob": self.rng.randbytes(32).hex(),
            "blob_bytes": 528,
            "kem_key": kem or key_id(kem_text(self.other(party), 0)),
            "key_digest": self.rng.randbytes(32).hex(),
            "suite": "x25519-hkdfsha256-aes256gcm",
        }
        return {"approvals": approvals, "core": core, "private": self.rng.randbytes(32).hex(), "sealed": sealed}

    def answer(self, party: str, spans: list[list[int]], outcome: str = "received", **other: Any) -> dict[str, Any]:
        return {
            "outcome": outcome,
            "re": {"origin": self.origins[self.other(party)], "spans": spans},
            "witnesses": [],
            **other,
        }

    def order(self, rid: str, act: str = "withdraw", **other: Any) -> dict[str, Any]:
        return {"act": act, "nonce": self.nonce(), "rid": rid, **other}

    def term(self, act: str) -> dict[str, Any]:
        return {"act": act, "nonce": self.nonce()}

    def incident(self, party: str, spans: list[list[int]], **other: Any) -> dict[str, Any]:
        return {
            "class": "possible",
            "discovered_at": self.at,
            "nonce": self.nonce(),
            "releases": [{"origin": self.origins[party], "spans": spans}],
            "stage": "notice",
            **other,
        }

    def undertaking(self, party: str, **other: Any) -> dict[str, Any]:
        return {
            "band": "",
            "basis": "",
            "from": party,
            "key": "t/1",
            "measure": "",
            "nonce": self.nonce(),
            "source": "minutes",
            "strength": "aim",
            "text": {"en": "first line\nsecond line"},
            "to": self.other(party),
            **other,
        }

    def claim(self, **other: Any) -> dict[str, Any]:
        return {"basis": "", "evidence": [], "key": "t/1", "nonce": self.nonce(), "value": "done", **other}

    def people_until(self, party: str) -> list[tuple[str, SoftSigner]]:
        """Two persons whose keys are certified here and now for as long as times can be written."""
        made = []
        for name in ("long-a", "long-b"):
            handle = f"{party}/{name}"
            made.append((handle, self.person(handle)))
            body = self.person_key(handle, until="9999-12-31T23:59Z")
            self.put(party, self.draft(party, "key", body, self.by_authority(party)))
        return made

    # A world ready for releases

    def begin(self) -> "World":
        """Both registers: genesis, adopt, three persons, an assurance; each then sees the other's."""
        for party in self.parties:
            empty = Seen(1, 0, EMPTY_ROOT)
            lead = self.by_authority(party)
            self.put(party, self.draft(party, "genesis", self.genesis(party), lead, seen=empty))
            self.put(party, self.draft(party, "adopt", self.adopt(party, self.laws[self.hash]), lead, seen=empty))
            for name in ("a", "b", "c"):
                self.put(party, self.draft(party, "key", self.person_key(f"{party}/{name}"), lead, seen=empty))
            self.put(party, self.draft(party, "assurance", self.assurance(party), lead, seen=empty))
        return self

    def people(self, party: str, names: str = "ab", generation: int = 0) -> list[tuple[str, SoftSigner]]:
        """Persons of a party as signatories."""
        return [(f"{party}/{name}", self.person(f"{party}/{name}", generation)) for name in names]

    def fold(
        self, pair: Pair | None = None, on_release: Callable[[Side, int, Entry, Release], None] | None = None
    ) -> Fold:
        """An empty fold over this world, or one that goes on from a pair."""
        return Fold(pair or new_pair(self.law), self.laws, self.root, remembered_verify, on_release)

    def folded(self) -> Pair:
        """Both registers folded at once; not to be changed, since it is kept for as long as the registers stand."""
        sizes = tuple(map(len, self.entries.values()))
        if self._kept is None or self._kept[0] != sizes:
            fold = self.fold()
            fold.extend(self.entries)
            self._kept = sizes, fold.pair
        return self._kept[1]


def decisions(world: World) -> dict[tuple[str, int], Decision]:
    """decide() on each release that joins the facts, by an auditor who holds all; every reader has the same Views."""
    found: dict[tuple[str, int], Decision] = {}

    def judge(side: Side, idx: int, entry: Entry, _body: Release) -> None:
        law = world.laws[entry.agreement].law
        request = request_of(world, side.party, idx, entry)
        view = view_for(fold.pair, side.party, entry.seen.size, request, world.laws)
        found[side.party, idx] = decide(law, view, request, remembered_verify)

    fold = world.fold(on_release=judge)
    fold.extend(world.entries)
    first, second = (ahead(world, party).views for party in world.parties)
    assert first == second
    assert first.keys() == found.keys()
    return found


@functools.lru_cache(512)
def kem_text(party: str, number: int) -> str:
    """The public text of a party's sealing key; the bytes are no real point, which no fold looks at."""
    return "x25519:" + hashlib.sha256(f"{party}{number}".encode()).hexdigest()


def view_bytes(view: View) -> bytes:
    """A View in canonical bytes, so that two can be held equal exactly."""
    return canonical(msgspec.to_builtins(view))


def request_of(world: World, party: str, idx: int, entry: Entry) -> Request:
    """What decide() is asked about a release entry."""
    body = msgspec.convert(entry.body, Release)
    return Request(world.origins[party], idx, entry.at, body.core, sealed_ref(body.sealed), body.approvals)


def saved(pair: Pair) -> Pair:
    """The pair as view.db gives it back."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(pair), type=Pair, strict=False)


def state_bytes(pair: Pair, *, without: tuple[str, ...] = ()) -> bytes:
    """The pair's exact state, each side without some of its fields."""
    plain = msgspec.json.decode(msgspec.json.encode(pair))
    for side in plain["sides"].values():
        for name in without:
            del side[name]
    return msgspec.json.encode(plain)


class Node:
    """One party's node: its register whole, the partner's as far as it pulled; the View of each release it judged."""

    def __init__(self, world: World, party: str) -> None:
        self.world, self.party = world, party
        self.views: dict[tuple[str, int], bytes] = {}
        self.fold = world.fold(on_release=self._judge)

    @property
    def pair(self) -> Pair:
        return self.fold.pair

    @property
    def taken(self) -> int:
        """How many of the partner's entries it has."""
        return self.pair.other(self.party).size

    def _judge(self, side: Side, idx: int, entry: Entry, body: Release) -> None:
        request = Request(side.origin, idx, entry.at, body.core, sealed_ref(body.sealed), body.approvals)
        view = view_for(self.pair, side.party, entry.seen.size, request, self.world.laws)
        self.views[side.party, idx] = view_bytes(view)

    def read(self, count: int | None = None) -> None:
        """The partner's next entries are folded in one batch."""
        partner = self.world.other(self.party)
        data = self.world.entries[partner][self.taken :]
        self.fold.extend({partner: data if count is None else data[:count]})

    def append(self, data: bytes) -> int:
        """An entry of this party's stands in the world and in this fold."""
        idx = self.world.put(self.party, data)
        self.fold.append(self.party, data)
        return idx

    def restart(self) -> None:
        """The fold is saved and loaded."""
        self.fold = self.world.fold(saved(self.pair), self._judge)

    def agreement(self, at: str) -> str:
        """The version that an entry written now names, as `Ledger.law` chooses it."""
        side = self.pair.sides[self.party]
        found = in_force(side, self.pair.other(self.party), self.taken, at, self.world.laws)
        return found or max(side.adopted, key=lambda name: self.world.laws[name].law.version, default=self.world.hash)


def ahead(world: World, party: str) -> Node:
    """A reader of `party`'s register whose own register is folded as far ahead of it as causes allow."""
    reader = Node(world, world.other(party))
    for data in world.entries[reader.party]:
        more = max(0, saw(world, party, data) - reader.taken)
        reader.fold.extend({party: world.entries[party][reader.taken : reader.taken + more], reader.party: [data]})
    reader.read()
    return reader


def saw(world: World, party: str, data: bytes) -> int:
    """How many of a register's entries these bytes truly saw."""
    seen = seen_of(data)
    return seen.size if seen is not None and world.root(party, seen.size) == seen.root else 0


@functools.lru_cache(100_000)
def seen_of(data: bytes) -> Seen | None:
    try:
        return parse_entry(data).seen
    except FormatError:
        return None


# Random histories


class History:
    """One seed's history: what each party does next is drawn, and most of it is valid."""

    def __init__(self, sample: str, seed: int, length: int) -> None:
        self.rng = random.Random(f"{sample}/{seed}")
        start = self.rng.choice(["2026-01-01T00:00Z", "2026-03-02T00:00Z", "2026-03-06T00:00Z", "2027-01-01T00:00Z"])
        slower = (("answer_hours = 24", "answer_hours = 31"),)
        self.world = World(sample, agreement(sample, 2, start, changes=slower), seed=seed)
        self.second = next(name for name, signed in self.world.laws.items() if signed.law.version == 2)
        self.world.begin()
        self.nodes = {party: Node(self.world, party) for party in self.world.parties}
        for party, node in self.nodes.items():
            node.fold.extend({party: self.world.entries[party]})
            node.read(self.rng.choice([0, 3, None]))
        self.rids: dict[str, list[str]] = {party: [] for party in self.world.parties}
        self.standings: dict[str, list[str]] = {party: [] for party in self.world.parties}
        self.generation: dict[str, int] = {}
        self.kems = dict.fromkeys(self.world.parties, 1)
        for _ in range(length):
            self.step()

    def step(self) -> None:
        """Some time passes, then one party reads, restarts or writes."""
        rng, world = self.rng, self.world
        world.at = later(world.at, rng.choice([0, 0, 1, 7, 60, 600, 3000]))
        if rng.random() < 0.05:
            world.at = later(world.at, -rng.choice([1, 90, 2000]))
        party = rng.choice(world.parties)
        node = self.nodes[party]
        draw = rng.random()
        if draw < 0.25:
            node.read(rng.choice([1, 2, 5, None]))
        elif draw < 0.28:
            node.restart()
        else:
            self.write(node)

    def write(self, node: Node) -> None:
        """One entry, at times with a fault in its envelope."""
        rng = self.rng
        actions: tuple[tuple[int, Callable[[Node], bytes | None]], ...] = (
            (14, self._release),
            (5, self._answer),
            (4, self._order),
            (2, self._person),
            (2, self._kem),
            (2, self._assurance),
            (2, self._standing),
            (2, self._term),
            (1, self._incident),
            (3, self._undertaking),
            (1, self._claim),
            (1, self._adopt),
            (1, self._garbage),
            (1, self._replay),
        )
        weights, makers = zip(*actions, strict=True)
        data = rng.choices(makers, weights)[0](node)
        if data is None:
            return
        node.append(self._twisted(node, data) if rng.random() < 0.06 else data)

    def _twisted(self, node: Node, data: bytes) -> bytes:
        """The same entry with a `seen` that falls, reaches too far, or lies about the root or the epoch.

        Never a true one beyond what the author's own node holds: no node writes that.
        """
        try:
            raw = parse(data, newlines=True)
            size = raw["seen"]["size"]
        except (EntenteError, KeyError):
            return data
        other = self.world.other(node.party)
        choice = self.rng.randrange(5)
        if choice == 0 and 1 < size <= node.taken:
            raw["seen"] = {"epoch": 1, "root": self.world.root(other, size - 1), "size": size - 1}
        elif choice == 1:
            raw["seen"] = {"epoch": 1, "root": self.rng.randbytes(32).hex(), "size": 10_000}
        elif choice == 2:  # it names entries that the partner is about to write
            ahead = len(self.world.entries[other]) + self.rng.choice([1, 1, 2, 5])
            raw["seen"] = {"epoch": 1, "root": self.rng.randbytes(32).hex(), "size": ahead}
        elif choice == 3:
            raw["seen"]["root"] = self.rng.randbytes(32).hex()
        else:
            raw["seen"]["epoch"] = 2
        return canonical(raw)

    def _draft(self, node: Node, kind: str, body: dict[str, Any], by: Iterable[tuple[str, SoftSigner]]) -> bytes:
        chosen = list(by)
        if chosen and self.rng.random() < 0.05:
            chosen.pop()
        at = self.world.at if self.rng.random() < 0.99 else self.rng.choice(["0001-01-01T00:00Z", "9999-12-31T23:59Z"])
        return self.world.draft(node.party, kind, body, chosen, seen=node.taken, at=at, agreement=node.agreement(at))

    def _some_people(self, party: str) -> list[tuple[str, SoftSigner]]:
        names = self.rng.sample("abcd", self.rng.choice([1, 2, 2, 2, 3]))
        return [
            (f"{party}/{n}", self.world.person(f"{party}/{n}", self.generation.get(f"{party}/{n}", 0))) for n in names
        ]

    def _release(self, node: Node) -> bytes:
        rng, world, party = self.rng, self.world, node.party
        area = rng.choice([*sorted(world.law.area), "nowhere"] if rng.random() < 0.1 else sorted(world.law.area))
        partner = world.other(party)
        held = [fact.rid for fact in node.pair.other(party).releases]
        known = held if rng.random() < 0.9 else self.rids[partner]
        parents = sorted(rng.sample(known, min(len(known), rng.choice([0, 0, 1, 2]))))
        more: dict[str, Any] = {
            "ancestors": sorted(set(parents)),
            "area": area,
            "bytes_padded": rng.choice([64, 512, 9000]),
        }
        if self.standings[party] and rng.random() < 0.3:
            more["standing"] = rng.choice(self.standings[party])
        if rng.random() < 0.3:
            more["marking"] = self._marking(party)
        elif rng.random() < 0.1:  # a return, in the words of whoever gets it back
            more["marking"] = self._marking(partner)
        core = world.core(party, agreement=node.agreement(world.at), **more)
        kems = sorted(node.pair.other(party).kems) or ["0" * 64]
        body = world.release(party, core, () if "standing" in more else self._some_people(party), kem=rng.choice(kems))
        self.rids[party].append(rid_of(canonical(core)))
        return self._draft(node, "release", body, ())

    def _answer(self, node: Node) -> bytes | None:
        rng, world = self.rng, self.world
        if not node.taken:
            return None
        first = rng.randrange(node.taken)
        spans = [[first, first + rng.choice([0, 1, 4, 1000])]]
        outcome = rng.choice(["received", "received", "applied", "returned", "destroyed", "not_permitted", "no_blob"])
        body = world.answer(node.party, spans, outcome)
        if outcome == "destroyed" and rng.random() < 0.7:
            message = act_message("answer", world.origins[node.party], node.agreement(world.at), body)
            people = sorted(self._some_people(node.party), key=lambda pair: pair[0])
            body["witnesses"] = [{"by": name, "sig": who.sign(message).hex()} for name, who in people]
        return self._draft(node, "answer", body, ())

    def _order(self, node: Node) -> bytes | None:
        rng, world, party = self.rng, self.world, node.party
        if not self.rids[party]:
            return None
        act = rng.choice(["withdraw", "reclass", "reclass", "return", "destroy"])
        more = {"marking": self._marking(party)} if act == "reclass" else {}
        return self._draft(
            node, "order", world.order(rng.choice(self.rids[party]), act, **more), self._some_people(party)
        )

    def _marking(self, party: str) -> dict[str, Any]:
        rng, world = self.rng, self.world
        caveats = sorted(rng.sample(world.law.caveats, min(len(world.law.caveats), rng.choice([0, 0, 1]))))
        to = sorted(world.parties) if rng.random() < 0.9 else [party]
        level = rng.choice(world.law.party[party].levels)
        return world.marking(party, level, caveats=caveats, releasable_to=to)

    def _person(self, node: Node) -> bytes:
        rng, world, party = self.rng, self.world, node.party
        handle = f"{party}/{rng.choice('abcd')}"
        fact = node.pair.sides[party].persons.get(handle)
        now = self.generation.get(handle, 0)
        more: dict[str, Any] = {}
        if fact is not None and rng.random() < 0.5:
            index = len(world.entries[party]) + rng.choice([-1, 0, 0, 1, 4, 30])
            more["revoked"] = {"from_index": max(index, 0), "reason": "left"}
        elif fact is not None:
            now += 1
            self.generation[handle] = now
            more["replaces"] = fact.key_id
            more["until"] = rng.choice([LATER, later(world.at, 3000)])
        body = world.person_key(handle, now, **more)
        return self._draft(node, "key", body, world.by_authority(party))

    def _kem(self, node: Node) -> bytes:
        rng, world, party = self.rng, self.world, node.party
        if rng.random() < 0.5:
            self.kems[party] += 1
            return self._draft(node, "key", world.kem_key(party, self.kems[party]), world.by_authority(party))
        index = len(world.entries[party]) + rng.choice([0, 1, 10])
        number = rng.randrange(self.kems[party] + 1)
        body = world.kem_key(party, number, revoked={"from_index": index, "reason": "lost"})
        return self._draft(node, "key", body, world.by_authority(party))

    def _assurance(self, node: Node) -> bytes:
        rng, world, party = self.rng, self.world, node.party
        level = rng.choice(world.law.party[party].levels)
        units = rng.choice([[], [], ["unit-1"], ["unit-1", "unit-2"]])
        areas = sorted(rng.sample(sorted(world.law.area), rng.randrange(1, len(world.law.area) + 1)))
        body = world.assurance(party, level, units=units, areas=areas, until=rng.choice([LATER, later(world.at, 500)]))
        return self._draft(node, "assurance", body, world.by_authority(party))

    def _standing(self, node: Node) -> bytes:
        rng, world, party = self.rng, self.world, node.party
        if self.standings[party] and rng.random() < 0.4:
            body = {"nonce": world.nonce(), "revokes": rng.choice(self.standings[party])}
        else:
            body = world.standing(party, per_day={"bytes": 10_000, "count": rng.choice([1, 3])})
        data = self._draft(node, "standing", body, self._some_people(party))
        if "class" in body:
            self.standings[party].append(act_id(world.origins[party], parse_entry(data)))
        return data

    def _term(self, node: Node) -> bytes:
        act = self.rng.choice(["suspend", "resume", "resume", "notice_of_end"])
        return self._draft(node, "term", self.world.term(act), self._some_people(node.party))

    def _incident(self, node: Node) -> bytes:
        rng, world = self.rng, self.world
        first = rng.randrange(9)
        body = world.incident(
            rng.choice(world.parties),
            [[first, first + rng.choice([0, 3, 40])]],
            discovered_at=rng.choice([world.at, "2026-03-01T00:00Z"]),
            stage=rng.choice(["notice", "notice", "findings", "measures"]),
        )
        return self._draft(node, "incident", body, self._some_people(node.party))

    def _undertaking(self, node: Node) -> bytes:
        """Under one of three keys; it amends or restates something at times, not always what it may."""
        rng, world, side = self.rng, self.world, node.pair.sides[node.party]
        other = node.pair.other(node.party)
        key = rng.choice(["t/1", "t/2", "t/3"])
        known = [*side.undertakings.values(), *other.undertakings.values()]
        owing = rng.choice(world.parties)
        more: dict[str, Any] = {"key": key, "from": owing, "to": world.other(owing)}
        more["measure"] = rng.choice(["", "days"])
        if key in side.undertaken and rng.random() < 0.8:
            more["amends"] = side.undertaken[key]
        elif known and rng.random() < 0.1:
            more["amends"] = rng.choice(known).act
        if known and rng.random() < 0.5:
            found = rng.choice(known)
            more["restates"] = found.act
            if rng.random() < 0.8:
                more |= {"from": found.body.owed_by, "measure": found.body.measure, "to": found.body.to}
        return self._draft(node, "undertaking", world.undertaking(node.party, **more), self._some_people(node.party))

    def _claim(self, node: Node) -> bytes:
        rng = self.rng
        body = self.world.claim(key=rng.choice(["t/1", "t/2"]), value=rng.choice(["done", "open"]))
        return self._draft(node, "claim", body, self._some_people(node.party))

    def _adopt(self, node: Node) -> bytes | None:
        world, party = self.world, node.party
        if self.second in node.pair.sides[party].adopted and self.rng.random() < 0.5:
            return None
        body = world.adopt(party, world.laws[self.second], world.hash)
        return self._draft(node, "adopt", body, world.by_authority(party))

    def _garbage(self, _node: Node) -> bytes:
        return self.rng.choice(
            [b"", b"{}", b'{"v":1}', self.rng.randbytes(40), self.world.entries[self.world.parties[0]][0]]
        )

    def _replay(self, _node: Node) -> bytes:
        return self.rng.choice(self.world.entries[self.rng.choice(self.world.parties)])


def random_history(sample: str, seed: int, length: int = 40) -> History:
    """The history of a seed."""
    return History(sample, seed, length)
