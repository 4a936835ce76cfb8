"""Nobody ends what its own releases still derive from: such an answer changes nothing, here and in verify.py.

The random histories here are read twice: by the fold, and by the independent verifier from the bytes of both registers.
"""

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from account.histories import SAMPLES, World, ahead, signer, state_bytes
from account.scenes import Scene
from entente.register.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from entente.register.note import LOG, NoteKey
from entente.register.tiles import changed_bundles, changed_tiles, pack
from entente.register.tree import Tree, leaf_hashes
from entente.strict import canonical
from entente.treaty.approval import rid_of


@pytest.fixture(params=SAMPLES)
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


def ending(scene: Scene, party: str, rid: str, outcome: str = "returned", **other: Any) -> str:
    """Why `party` may not answer its partner's release so, or nothing."""
    idx = scene.fact(scene.other(party), rid).idx
    return scene.attempt(party, "answer", scene.answer(party, [[idx, idx]], outcome), [], **other)


@pytest.mark.parametrize("outcome", ["returned", "destroyed"])
def test_what_a_live_release_derives_from_is_not_ended(scene: Scene, outcome: str) -> None:
    one, two = scene.one, scene.two
    first = scene.received(one)
    second = scene.received(two, first)
    idx = scene.fact(two, second).idx
    assert ending(scene, two, first, outcome) == f"{outcome} while its derivative at {idx} is live"
    assert not scene.fact(one, first).ended_at(scene.side(two).size)
    assert ending(scene, two, first, "applied") == ""
    scene.ordered(two, second)
    assert ending(scene, two, first, outcome) == ""
    assert scene.fact(one, first).ended_at(scene.side(two).size)


def test_it_may_end_once_the_author_has_seen_that_the_partner_ended_the_derivative(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = scene.received(one)
    second = scene.received(two, first)
    seen = len(scene.entries[one])
    scene.answered(one, scene.fact(two, second).idx, "returned")
    assert ending(scene, two, first, seen=seen) != ""
    assert ending(scene, two, first) == ""


def test_a_derivative_of_a_derivative_hinders_too(scene: Scene, tmp_path: Path) -> None:
    one, two = scene.one, scene.two
    first = scene.received(one)
    second = scene.received(two, first)
    third = scene.received(one, second)
    fourth = scene.received(two, third)
    scene.ordered(two, second)
    assert "derivative" in ending(scene, two, first)
    scene.ordered(two, fourth)
    assert ending(scene, two, first) == ""
    assert len(read_alike(scene, tmp_path)) == 1


def test_a_derivative_that_the_author_had_not_seen_hinders_nothing(scene: Scene, tmp_path: Path) -> None:
    """Its id was told before it stood; whoever folds it first must still judge as its author could."""
    one, two = scene.one, scene.two
    first = scene.received(one)
    second = scene.sent(two, first)
    coming = scene.core(one, ancestors=[second])
    scene.sent(two, rid_of(canonical(coming)))
    scene.ordered(two, second)
    assert ending(scene, two, first) == ""
    scene.act(one, "release", scene.release(one, coming, scene.people(one)), [], seen=scene.fact(two, second).idx + 1)
    assert read_alike(scene, tmp_path) == set()
    assert state_bytes(ahead(scene, two).pair) == state_bytes(scene.pair)


def test_the_release_by_which_a_thing_is_returned_hinders_nothing(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = scene.received(one)
    scene.received(two, first, marking=scene.marking(one))
    assert ending(scene, two, first) == ""


def test_the_authors_own_derivatives_are_no_hindrance_to_its_partner(scene: Scene) -> None:
    one, two = scene.one, scene.two
    theirs = scene.received(two)
    scene.received(one, theirs)
    assert ending(scene, two, scene.received(one)) == ""


# The same, read by verify.py


def reader() -> ModuleType:
    """verify.py at the root of the repository, which imports nothing of ours."""
    found = sys.modules.get("verify_py")
    if found is None:
        path = Path(__file__).resolve().parents[2] / "verify.py"
        spec = importlib.util.spec_from_file_location("verify_py", path)
        assert spec is not None
        assert spec.loader is not None
        found = sys.modules["verify_py"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    return found


def serve(world: World, keeper: str, folder: Path) -> Path:
    """The node's served tree, but for blobs and keys."""
    for party in world.parties:
        side, entries = folder / ("own" if party == keeper else "mirror"), world.entries[party]
        tree = Tree.from_leaves(leaf_hashes(entries))
        for tile in changed_tiles(0, tree.size):
            write(side / tile.path, tree.tile(tile))
        for tile in changed_bundles(0, tree.size):
            write(side / tile.path, pack(entries[256 * tile.index : 256 * tile.index + tile.width]))
        write(side / "checkpoint", head(world, party, tree, keeper))
    for name, signed in world.laws.items():
        write(folder / "agreement" / name, signed.data)
    return folder


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def head(world: World, party: str, tree: Tree, keeper: str) -> bytes:
    """The signed checkpoint, with the keeper's cosignature where it is a mirror."""
    log = sign_checkpoint(Checkpoint(world.origins[party], tree.size, tree.root()), signer(world.sample, party, "log"))
    if party == keeper:
        return log
    key = NoteKey(world.origins[party], signer(world.sample, party, "log").public, LOG)
    name = f"entente/{world.law.id}/{keeper}/mirror"
    return cosign_checkpoint(log, [key], name, signer(world.sample, keeper, "mirror"), 1_790_000_000)


def listed(world: World, folder: Path) -> set[tuple[str, int]]:
    """What verify.py lists as invalid: (party, index)."""
    report = reader().verify(folder)
    own = next(iter(report.registers))
    sides = {"own": own, "mirror": world.other(own)}
    return {(sides[row["place"].split()[0]], int(row["place"].split()[-1])) for row in report.invalid}


def read_alike(scene: Scene, folder: Path) -> set[tuple[str, int]]:
    """What both readers list as invalid, from either node's tree."""
    wanted = {(party, bad.idx) for party, side in scene.pair.sides.items() for bad in side.invalid}
    for keeper in scene.parties:
        assert listed(scene, serve(scene, keeper, folder / keeper)) == wanted
    return wanted


class Talk:
    """A random history of releases, withdrawals, endings and undertakings; who writes may not have read all yet."""

    def __init__(self, sample: str, seed: int, length: int) -> None:
        self.rng, self.scene = random.Random(seed), Scene(sample, seed=seed)
        self.seen = {party: len(self.scene.entries[self.scene.other(party)]) for party in self.scene.parties}
        for _ in range(length):
            party = self.rng.choice(self.scene.parties)
            top = len(self.scene.entries[self.scene.other(party)])
            self.seen[party] = self.rng.randint(self.seen[party], top)
            self.rng.choices([self.release, self.withdraw, self.end, self.undertake, self.mark], [4, 1, 3, 3, 1])[0](
                party
            )

    def put(self, party: str, kind: str, body: dict[str, Any], *, signed: bool = True) -> None:
        people = self.scene.people(party) if signed else []
        self.scene.put(party, self.scene.draft(party, kind, body, people, seen=self.seen[party]))

    def release(self, party: str) -> None:
        rng, scene = self.rng, self.scene
        known = [fact.rid for fact in scene.side(scene.other(party)).releases if fact.idx < self.seen[party]]
        parents = sorted(rng.sample(known, min(len(known), rng.choice([0, 1, 1, 2]))))
        home = scene.other(party) if rng.random() < 0.15 else party
        core = scene.core(party, ancestors=parents, marking=scene.marking(home))
        self.put(party, "release", scene.release(party, core, scene.people(party)), signed=False)

    def withdraw(self, party: str) -> None:
        known = self.scene.side(party).releases
        if known:
            self.put(party, "order", self.scene.order(self.rng.choice(known).rid))

    def mark(self, party: str) -> None:
        known = self.scene.side(party).releases
        if known:
            home, scale = (self.rng.choice([party, party, self.scene.other(party)]) for _ in range(2))
            level = self.rng.choice(self.scene.law.party[scale].levels[:1])
            marking = self.scene.marking(home, level)
            self.put(party, "order", self.scene.order(self.rng.choice(known).rid, "reclass", marking=marking))

    def end(self, party: str) -> None:
        known = [fact.idx for fact in self.scene.side(self.scene.other(party)).releases if fact.idx < self.seen[party]]
        if known:
            spans = [[idx, idx] for idx in sorted(self.rng.sample(known, min(len(known), self.rng.choice([1, 1, 2]))))]
            body = self.scene.answer(party, spans, self.rng.choice(["received", "returned", "destroyed"]))
            self.put(party, "answer", body, signed=False)

    def undertake(self, party: str) -> None:
        rng, side, other = self.rng, self.scene.side(party), self.scene.pair.other(party)
        known = [*side.undertakings.values(), *other.undertakings.values()]
        key = rng.choice(["a", "b"])
        more: dict[str, Any] = {"key": key, "measure": rng.choice(["", "", "days"])}
        if key in side.undertaken and rng.random() < 0.8:
            more["amends"] = side.undertaken[key]
        if known and rng.random() < 0.5:
            found = rng.choice(known)
            more |= {"restates": found.act, "from": found.body.owed_by, "to": found.body.to}
        if known and rng.random() < 0.05:
            more["amends"] = rng.choice(known).act
        if rng.random() < 0.05:
            more["to"] = party
        self.put(party, "undertaking", self.scene.undertaking(party, **more))


@pytest.mark.parametrize("sample", SAMPLES)
def test_verify_py_finds_the_same_entries_invalid(sample: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader(), "ed25519", lambda *_: True)  # signatures are another test's, and cost seconds here
    reasons: set[str] = set()
    for seed in range(12):
        scene = Talk(sample, seed, 40).scene
        read_alike(scene, tmp_path / str(seed))
        reasons |= {bad.reason.split(" at ")[0] for side in scene.pair.sides.values() for bad in side.invalid}
    assert {
        "returned while its derivative",
        "destroyed while its derivative",
        "an undertaking is from one party to the other",
        "amends what is not the author's current statement under this key",
        "states a second undertaking under one key: amend it",
        "restates what its author has not seen",
        "restates other content",
        "reclassifies to another originator",
        *(["reclassifies to a level that its scale has not"] if sample == SAMPLES[0] else []),
    } <= reasons
