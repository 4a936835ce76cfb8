"""A long register is pulled in steps: what was proven is kept, and nothing counts before the signed head is reached.

The partner is a cheat that serves long registers cheaply (`lab/cheat.py`); the wire between is cut where a test says.
Steps are two bundles long here, so that a register of a few thousand entries has many.
"""

import os
import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
import pysqlite3.dbapi2 as sqlite
import pytest

from entente.errors import BehindError, CorruptionError, EntenteError, ForkError, FormatError, PartnerError
from entente.keys import digest
from entente.node import mirror, setup
from entente.node.node import Node
from entente.node.served import FolderTree
from entente.node.verify import verify_folders
from entente.register.checkpoint import Checkpoint, sign_checkpoint
from entente.register.entry import parse_entry
from entente.register.tiles import TILE_WIDTH
from entente.store.tables import place
from lab.cheat import Cheat
from lab.pair import (
    Change,
    Pair,
    Tampered,
    answers,
    flip,
    given,
    gone,
    heads,
    rows,
    sighted,
    signed,
    signs_nothing,
    state,
    unchanged,
)
from lab.worker import BLOWN, Fuse

STEP = 2 * TILE_WIDTH
BUNDLES = "own/tile/entries/*"
Make = Callable[..., Pair]
AHEAD = ("segment", "note")  # the tables in which what rests ahead is


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "STEP_BUNDLES", STEP // TILE_WIDTH)


@pytest.fixture
def cheat(pair: Pair) -> Cheat:
    """IND, the sender, in the hands of a cheat; KOR is honest."""
    return Cheat(pair, pair.a)


class Cut(Tampered):
    """A wire that is cut after so many files that match a pattern; `tampered` rules hold as long as it is there."""

    def __init__(self, inner: FolderTree, pattern: str, after: int, *rules: tuple[str, Change]) -> None:
        super().__init__(inner, *rules)
        self.pattern, self.left = pattern, after

    def _bytes(self, path: str) -> bytes | None:
        if fnmatchcase(path, self.pattern):
            if not self.left:
                raise PartnerError("the wire was cut", place=path)
            self.left -= 1
        return super()._bytes(path)


def fill(cheat: Cheat, size: int) -> None:
    """The cheat's register has this many entries, most of which are junk: listed as invalid, folded at no cost."""
    for number in range(len(cheat.entries), size):
        cheat.add(f"junk {number}".encode())


def bundles(tree: Tampered) -> list[str]:
    """The bundles that were asked for."""
    return [path for path in tree.asked if fnmatchcase(path, BUNDLES)]


def resting(node: Node) -> int:
    """Up to which size entries of the partner rest here, the mirror's own among them."""
    found = node.db.ahead(node.logs[node.partner])
    return found.size if found is not None else node.trees[node.partner].size


def cut_pull(node: Node, tree: FolderTree, after: int) -> None:
    """The node pulls, and the wire is cut after so many bundles."""
    with pytest.raises(PartnerError, match="cut"):
        node.pull(Cut(tree, BUNDLES, after))


def sound(node: Node) -> None:
    """What the node serves verifies by itself, to the last file, with no entry of its own listed as invalid."""
    report = verify_folders({node.party: node.folder})
    assert report.faults == []
    assert not [line.text for line in report.lines if f"{node.party} entry" in line.text]


def evidence(node: Node) -> set[bytes]:
    """What stands in the evidence files of a node."""
    return {path.read_bytes() for path in (node.folder / "evidence").glob("*.note")}


# A cut


@pytest.mark.parametrize("came", range(8))
def test_a_cut_wire_keeps_what_came_and_the_rest_alone_is_asked_for(pair: Pair, cheat: Cheat, came: int) -> None:
    """Each bundle that came before the cut stands, after a restart too; the next pull asks for the others, once."""
    fill(cheat, 2000)
    tree = cheat.publish()
    cut_pull(pair.b, tree, came)
    pair.open("KOR")
    assert resting(pair.b) == (came * TILE_WIDTH or pair.b.other_side.size)
    rest = Tampered(tree)
    pair.b.pull(rest)
    assert pair.b.other_side.size == 2000
    names = [*(f"own/tile/entries/{number:03}" for number in range(7)), "own/tile/entries/007.p/208"]
    assert bundles(rest) == names[came:]


def test_a_pull_cut_at_every_bundle_comes_to_the_same_as_one(
    pair: Pair, cheat: Cheat, make_pair: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Releases and orders among junk: inbox, facts, answers and entries are those of a node that pulled in one go."""
    for number in range(4):
        forged = cheat.release(sighted(first=10 * number + 1))
        fill(cheat, 300 * number + 290)
        cheat.order(forged.rid) if number % 2 else cheat.release(approvers=[])
    tree, whole = cheat.publish(), make_pair()
    for number in range(1, 5):
        cut_pull(pair.b, tree, 1)
        assert resting(pair.b) == number * TILE_WIDTH
        pair.open("KOR")
    monkeypatch.setattr(mirror, "STEP_BUNDLES", 16)
    for node in (pair.b, whole.b):
        node.pull(tree)
        node.answer()
    assert heads(pair.b) == heads(whole.b)
    assert pair.b.pair == whole.b.pair
    assert answers(pair.b) == answers(whole.b)
    assert rows(pair.b)["inbox"] == rows(whole.b)["inbox"]
    assert pair.b.db.entries(pair.b.logs["IND"]) == cheat.entries == whole.b.db.entries(whole.b.logs["IND"])


@pytest.mark.parametrize(("step_bytes", "steps"), [(8 << 20, [512, 1024]), (1 << 20, [256, 512, 768, 1024])])
def test_a_step_rests_here_before_the_next_is_asked_for(
    pair: Pair, cheat: Cheat, monkeypatch: pytest.MonkeyPatch, step_bytes: int, steps: list[int]
) -> None:
    """Steps end after two bundles, or where their entries are long; so much is durable while the wire still gives."""
    monkeypatch.setattr(mirror, "STEP_BYTES", step_bytes)
    for number in range(1200):
        cheat.add(f"{number} ".encode() + b"x" * 5000)
    durable: list[int] = []

    def look(data: bytes | None) -> bytes | None:
        durable.append(resting(pair.b))
        return data

    pair.b.pull(Tampered(cheat.publish(), (BUNDLES, look)))
    assert sorted(set(durable))[1:] == steps
    assert pair.b.other_side.size == len(cheat.entries)


def test_the_hashes_of_a_long_register_cost_a_hundredth_of_its_entries(pair: Pair, cheat: Cheat) -> None:
    """What is read before the first bundle grows with the tiles of the tiles, not with the entries."""
    fill(cheat, 70_000)
    seen = Cut(cheat.publish(), BUNDLES, 0)
    with pytest.raises(PartnerError):
        pair.b.pull(seen)
    assert [path for path in seen.asked if "tile" in path] == [
        "own/tile/0/273.p/112",
        "own/tile/1/000",
        "own/tile/1/001.p/17",
        "own/tile/0/000",
    ]


# Between two signed heads


def test_nothing_counts_before_the_signed_head_is_reached(pair: Pair, cheat: Cheat) -> None:
    """Half a register is here: no head is cosigned, no file served, nothing folded, answered or opened."""
    forged = cheat.release()
    fill(cheat, 2000)
    tree = cheat.publish()
    before = state(pair.b, but=AHEAD)
    for came in (3, 3, 1):
        cut_pull(pair.b, tree, came)
        assert pair.b.answer() == 0
        assert pair.b.db.pending(pair.b.logs["IND"]) == []
        sound(pair.b)
        assert state(pair.b, but=AHEAD) == before
        pair.open("KOR")
        sound(pair.b)
        assert state(pair.b, but=AHEAD) == before
    assert resting(pair.b) == 7 * TILE_WIDTH
    pair.b.pull(tree)
    assert [row[1] for row in signed(pair.b) if "cosigned" in str(row[0])] == [2000]
    pair.b.answer()
    assert answers(pair.b) == [("received", [[forged.idx, forged.idx]])]
    sound(pair.b)


def test_what_is_written_between_two_heads_has_seen_the_first(pair: Pair, cheat: Cheat) -> None:
    """An own entry and a release made with half a register here stand on what was cosigned: both verifiers agree.

    The partner finds nothing invalid in them.
    """
    fill(cheat, 1500)
    tree, before = cheat.publish(), pair.b.seen()
    cut_pull(pair.b, tree, 3)
    made = pair.release(pair.b)
    assert parse_entry(pair.b.db.entries(pair.b.logs["KOR"])[made.idx]).seen == before
    sound(pair.b)
    pair.open("KOR")
    sound(pair.b)
    pair.b.pull(tree)
    sound(pair.b)
    pair.a.pull()
    assert pair.a.other_side.size == made.idx + 1
    assert pair.a.other_side.invalid == []


def test_the_first_pull_of_all_may_be_cut_too(pair: Pair, cheat: Cheat, tmp_path: Path) -> None:
    """A node that has never pulled has entries resting, and serves no mirror, until it is at a signed head."""
    from entente.app import AREAS  # noqa: PLC0415
    from lab.pair import PASSPHRASE, in_process  # noqa: PLC0415

    setup.create(tmp_path / "newborn", setup.Settings("KOR"), PASSPHRASE)
    (tmp_path / "newborn/passphrase").write_bytes(PASSPHRASE)

    def opened() -> Node:
        return Node(tmp_path / "newborn", AREAS, in_process, clock=pair.clock)

    node = opened()
    setup.found(node, pair.template.toml, pair.template.envelope, pair.template.authorities["KOR"])
    fill(cheat, 1500)
    tree = Tampered(cheat.publish(), ("mirror/*", gone))
    cut_pull(node, cheat.tree, 3)  # the first bundle is read twice, for entry 0 too
    assert (resting(node), node.other_side.size) == (STEP, 0)
    assert not (node.folder / "served/mirror").exists()
    node.close()
    node = opened()
    sound(node)
    node.pull(tree)
    assert node.other_side.size == 1500
    sound(node)
    node.close()


def test_a_head_that_was_begun_is_reached_before_a_later_one(pair: Pair, cheat: Cheat) -> None:
    """The partner signs more each time the wire is cut: the head that was begun is cosigned on the way."""
    fill(cheat, 1500)
    cut_pull(pair.b, cheat.publish(), 3)
    fill(cheat, 3000)
    cut_pull(pair.b, cheat.publish(), 6)
    assert pair.b.other_side.size == 1500
    assert [row[1] for row in signed(pair.b) if "cosigned" in str(row[0])] == [1500]
    sound(pair.b)
    assert resting(pair.b) == 2048
    pair.b.pull(cheat.tree)
    assert pair.b.other_side.size == 3000
    sound(pair.b)


def test_polls_after_a_long_pull_change_nothing(pair: Pair, cheat: Cheat) -> None:
    """Once the head is reached, no table, head or file of the node changes while the partner has no news."""
    fill(cheat, 1500)
    cut_pull(pair.b, cheat.publish(), 3)
    pair.b.pull(cheat.tree)
    with unchanged(pair.b):
        for _ in range(5):
            pair.b.pull(cheat.tree)
            pair.b.answer()
    pair.open("KOR")
    assert resting(pair.b) == pair.b.other_side.size == 1500


def test_a_wire_that_is_cut_before_a_bundle_comes_changes_nothing(pair: Pair, cheat: Cheat) -> None:
    """Polls that get no further leave what rests here, and the head that was begun, as they were."""
    fill(cheat, 1500)
    cut_pull(pair.b, cheat.publish(), 3)
    with unchanged(pair.b):
        for _ in range(3):
            cut_pull(pair.b, cheat.tree, 0)


def test_an_agreement_adopted_in_an_early_step_is_known_when_it_counts(
    pair: Pair, cheat: Cheat, make_pair: Make
) -> None:
    """A new version is adopted, then the wire is cut: it is fetched when the head is reached, and not served before."""
    data = pair.template.toml.replace(b"version = 1", b"version = 2", 1)
    name = digest("agreement", data, suffix="toml")
    sigs = setup.check_signed(data, setup.sign_agreement(data, list(pair.template.authorities.values())))[1]
    body = {
        "agreement": name,
        "nonce": os.urandom(16).hex(),
        "sig": msgspec.to_builtins(sigs["IND"]),
        "supersedes": pair.a.law.hash,
    }
    adopt = cheat.add(cheat.entry("adopt", body, cheat.by_authority("adopt", body)))
    fill(cheat, 1500)
    tree, whole = cheat.publish(), make_pair()
    cheat.served.put(f"agreement/{name}", data)
    cut_pull(pair.b, tree, 3)
    assert name not in pair.b.laws
    sound(pair.b)
    pair.open("KOR")
    for node in (pair.b, whole.b):
        node.pull(tree)
        assert name in node.laws
    assert pair.b.pair == whole.b.pair
    assert adopt not in [bad.idx for bad in pair.b.other_side.invalid]
    sound(pair.b)


# Heads that contradict, and heads that are behind


def begun(pair: Pair, cheat: Cheat, size: int = 1500) -> bytes:
    """The head that the honest side has begun to fetch; two bundles of it rest there, then the wire was cut."""
    fill(cheat, size)
    cut_pull(pair.b, cheat.publish(), 2)
    assert resting(pair.b) == STEP
    return (cheat.folder / "own/checkpoint").read_bytes()


def is_fork(pair: Pair, tree: FolderTree | Tampered, *notes: bytes) -> None:
    """The honest side finds a fork, keeps these notes, signs nothing, and is frozen after a restart too."""
    before = heads(pair.b)
    with pytest.raises(ForkError):
        pair.b.pull(tree)
    assert evidence(pair.b) == set(notes)
    for _ in range(2):
        assert pair.b.frozen
        signs_nothing(pair, pair.b)
        with pytest.raises(EntenteError):
            pair.b.pull(tree)
        assert heads(pair.b) == before
        pair.open("KOR")
    assert evidence(pair.b) == set(notes)


@pytest.mark.parametrize("place", [200, 700, 1400])
@pytest.mark.parametrize("size", [1500, 3000])
def test_a_head_that_contradicts_the_one_begun_is_a_fork(pair: Pair, cheat: Cheat, place: int, size: int) -> None:
    """Another history in what rests here or beyond: both signed notes are kept; of equal length they are enough."""
    held = begun(pair, cheat)
    fill(cheat, size)
    cheat.entries[place] = b"another history"
    tree = cheat.publish()
    is_fork(pair, Tampered(tree, ("own/tile/*", gone)) if size == 1500 else tree, held, cheat.note())


def test_a_shorter_head_that_contradicts_what_rests_here_is_a_fork(pair: Pair, cheat: Cheat) -> None:
    """A head within what rests ahead of the mirror, with another root: it needs no tile to be told."""
    held = begun(pair, cheat)
    cheat.entries[100:] = [b"another history"] * 200
    is_fork(pair, Tampered(cheat.publish(), ("own/tile/*", gone)), held, cheat.note())


def test_a_head_that_contradicts_the_mirror_is_a_fork_with_the_cosigned_note(pair: Pair, cheat: Cheat) -> None:
    """Half a register rests here, but the contradiction is older: the evidence is the note that was cosigned."""
    cosigned = pair.b.db.get_note(pair.b.logs["IND"], "partner")
    assert cosigned is not None
    begun(pair, cheat)
    del cheat.entries[cosigned.size - 1 :]
    cheat.add(b"another history")
    is_fork(pair, cheat.publish(), cosigned.data, cheat.note())


@pytest.mark.parametrize("size", [5, 0, 100, STEP, 600, 1499])
def test_a_shorter_head_than_the_one_begun_is_behind(pair: Pair, cheat: Cheat, size: int) -> None:
    """The partner shows less than it signed: nothing changes, nobody is accused, and its later head is reached."""
    mirrored = pair.b.other_side.size
    begun(pair, cheat)
    whole = list(cheat.entries)
    cheat.entries = whole[: size or mirrored]
    cheat.publish()
    with unchanged(pair.b), pytest.raises(BehindError):
        pair.b.pull(cheat.tree)
    assert not pair.b.frozen
    cheat.entries = [*whole, b"one more"]
    pair.b.pull(cheat.publish())
    assert pair.b.other_side.size == 1501


def test_a_damaged_hash_accuses_nobody(pair: Pair, cheat: Cheat) -> None:
    """A tile damaged on the way once is read again; damaged each time it is corruption; it is never a fork."""
    fill(cheat, 1500)
    pair.b.pull(cheat.publish())
    fill(cheat, 3000)
    tree = cheat.publish()
    for pattern in ("own/tile/1/*", "own/tile/0/*"):
        with unchanged(pair.b), pytest.raises(CorruptionError):
            pair.b.pull(Tampered(tree, (pattern, flip(-1))))
    once = [flip(-1)]
    pair.b.pull(Tampered(tree, ("own/tile/1/*", lambda data: once.pop()(data) if once else data)))
    assert pair.b.other_side.size == 3000
    assert not pair.b.frozen


def test_entries_damaged_where_they_rest_are_fetched_again(pair: Pair, cheat: Cheat) -> None:
    """A byte of the disk turned: what rests ahead is dropped, and neither partner nor node is blamed."""
    begun(pair, cheat)
    end = place(pair.b.logs["IND"] + 1, 0)
    folder = pair.shut("KOR")
    raw = sqlite.connect(str(folder / "node.db"))
    raw.execute(
        "UPDATE segment SET data = CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB)"
        " WHERE place = (SELECT max(place) FROM segment WHERE place < ?)",
        (end,),
    )
    raw.commit()
    raw.close()
    node = pair.open("KOR")
    again = Tampered(cheat.tree)
    node.pull(again)
    assert bundles(again)[0] == "own/tile/entries/000"
    assert node.db.entries(node.logs["IND"]) == cheat.entries
    sound(node)


def test_a_register_too_long_for_the_memory_is_refused(
    pair: Pair, cheat: Cheat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed head further away than a pull may go: nothing is read of it, nothing changes."""
    monkeypatch.setattr(mirror, "MAX_NEW", 1000)
    note = sign_checkpoint(Checkpoint(cheat.origin, len(cheat.entries) + 1001, b"\7" * 32), cheat.log)
    tree = Tampered(cheat.publish(), ("own/checkpoint", given(note)))
    with unchanged(pair.b), pytest.raises(FormatError, match="more than"):
        pair.b.pull(tree)
    assert tree.asked == ["own/checkpoint"]


# While the partner publishes


def test_a_checkpoint_read_while_the_partner_publishes_is_read_again(pair: Pair, cheat: Cheat) -> None:
    """The head is the older one, its partial tiles are gone already: one pull takes the newer head all the same."""
    fill(cheat, 300)
    cheat.publish()
    old = cheat.note()
    fill(cheat, 600)
    shown = [old]
    late = Tampered(cheat.publish(), ("own/checkpoint", lambda data: shown.pop() if shown else data))
    assert pair.b.pull(late).size == 600
    assert late.asked.count("own/checkpoint") == 2


def test_a_damaged_tree_is_asked_once_if_its_head_is_the_same(pair: Pair, cheat: Cheat) -> None:
    """Corruption under the same head is told at once, not tried again and again."""
    fill(cheat, 300)
    bad = Tampered(cheat.publish(), (BUNDLES, flip(3)))
    with unchanged(pair.b), pytest.raises(CorruptionError):
        pair.b.pull(bad)
    assert len(bundles(bad)) == 1


# Restored and killed


@pytest.fixture
def older(pair: Pair, cheat: Cheat, tmp_path: Path) -> Node:
    """KOR on a backup of node.db from when half of 1,500 entries rested there; 2,500 were cosigned since."""
    begun(pair, cheat)
    folder = pair.shut("KOR")
    shutil.copy(folder / "node.db", tmp_path)
    fill(cheat, 2500)
    pair.open("KOR").pull(cheat.publish())
    pair.shut("KOR")
    for path in folder.glob("node.db*"):
        path.unlink()
    shutil.rmtree(folder / "served")  # else our own tree would heal it
    shutil.copy(tmp_path / "node.db", folder)
    node = pair.open("KOR")
    assert node.frozen
    assert resting(node) == STEP
    return node


def test_a_backup_from_between_two_heads_heals(older: Node, cheat: Cheat) -> None:
    """Read-only at first; after one pull the mirror is whole and nothing rests ahead of it."""
    older.pull(cheat.tree)
    older.check_may_sign()
    assert older.other_side.size == resting(older) == 2500
    assert older.db.entries(older.logs["IND"]) == cheat.entries
    sound(older)


def test_a_backup_does_not_heal_on_less_than_was_begun(older: Node, cheat: Cheat) -> None:
    """The partner shows a head before the one that was begun: read-only still, and nothing changed."""
    cheat.entries = cheat.entries[:1000]
    cheat.publish()
    with unchanged(older), pytest.raises(BehindError):
        older.pull(cheat.tree)
    assert older.frozen


def test_a_backup_does_not_heal_on_another_history_than_was_begun(older: Node, pair: Pair, cheat: Cheat) -> None:
    """The partner shows a head that contradicts the one that was begun: both notes are kept, nothing is signed."""
    held = cheat.note(cheat.entries[:1500])
    fill(cheat, 3000)
    cheat.entries[700] = b"another history"
    with pytest.raises(ForkError):
        older.pull(cheat.publish())
    assert evidence(older) == {held, cheat.note()}
    signs_nothing(pair, older)


def crash(pair: Pair, tree: FolderTree, left: int) -> bool:
    """KOR pulls in a process that ends before its `left`th act on disk; whether it came to that."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            fuse = Fuse(pair.folder / "KOR")
            node = pair.open("KOR")
            fuse.set(left)
            node.pull(tree)
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in {0, BLOWN}
    return code == BLOWN


@pytest.mark.parametrize("slowly", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_crash_before_any_act_of_a_long_pull_loses_one_step_at_most(pair: Pair, cheat: Cheat, slowly: bool) -> None:
    """Whatever was written, the node opens sound, has each step that was committed, and comes to the same end."""
    forged, begin = cheat.release(), pair.b.other_side.size
    fill(cheat, 1100)
    tree = cheat.publish()
    folder, saved = pair.shut("KOR"), pair.folder / "saved"
    shutil.copytree(folder, saved)
    found, crashed = [], False
    for left in range(1, 99 if slowly else 9):  # what is written after that is the same as after any pull
        shutil.rmtree(folder)
        shutil.copytree(saved, folder)
        crashed = crash(pair, tree, left)
        node = pair.open("KOR")
        sound(node)
        found.append(resting(node))
        rest = Tampered(tree)
        node.pull(rest)
        assert len(bundles(rest)) == {begin: 5, STEP: 3, 2 * STEP: 1, 1100: 0}[found[-1]]
        assert node.db.entries(node.logs["IND"]) == cheat.entries
        row = node.db.inbox_row(node.logs["IND"], forged.idx)
        assert row is not None
        assert row.outcome == "received"
        sound(node)
        pair.shut("KOR")
        if not crashed:
            break
    assert found == sorted(found)
    assert set(found) == {begin, STEP, 2 * STEP, 1100}
    assert crashed != slowly
    pair.open("KOR")
