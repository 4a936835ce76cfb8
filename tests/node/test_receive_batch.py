"""Releases are opened in groups, and each is as alone as before: a bad one fails by itself, what came of it is kept.

The partner is a cheat that makes releases cheaply (`lab/cheat.py`). Children are real: what runs in them is in
`lab/odd_child.py`.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from stix_objects import as_bytes, indicator

from entente.app import validate as validate_in_real_child
from entente.crossing.seal import SEALED_CHUNK
from entente.errors import PartnerError
from entente.node import fetch, receive, sandbox
from entente.node.import_ import Validate
from entente.node.node import Node
from entente.node.served import FolderTree
from entente.treaty.record import Data, Record
from lab.cheat import Cheat, Forged
from lab.pair import Change, Pair, Tampered, answers, flip, gone, in_process, sighted, unchanged

CHILD = Path(__file__).resolve().parents[1] / "lab" / "odd_child.py"
MIB = 1 << 20


@pytest.fixture
def cheat(pair: Pair) -> Cheat:
    """IND, the sender, in the hands of a cheat; KOR is honest."""
    return Cheat(pair, pair.a)


class Watched:
    """A validator that notes how many releases it was given each time."""

    def __init__(self, inner: Validate = in_process) -> None:
        self.inner, self.groups = inner, list[int]()

    def __call__(self, form: str, releases: list[list[Data]]) -> list[list[Record] | str]:
        """As the inner one says."""
        self.groups.append(len(releases))
        return self.inner(form, releases)


def releases(cheat: Cheat, *words: str) -> list[Forged]:
    """One release for each word, which stands in its object's name."""
    return [cheat.release(sighted(1, word=word, first=10 * place + 1)) for place, word in enumerate(words)]


def outcomes(node: Node) -> dict[int, str]:
    """Index to outcome of everything that this node has answered."""
    node.answer()
    return {idx: outcome for outcome, spans in answers(node) for first, last in spans for idx in range(first, last + 1)}


def held(node: Node, forged: Forged) -> bool:
    """Whether key, objects and blob of a release are all here; never some of them."""
    key, view = node.keys.key(forged.rid) is not None, node.view.holding(forged.rid) is not None
    assert key == view
    assert not key or node.blobs.holds(forged.sealed.blob)
    return key


def parts(node: Node) -> list[str]:
    """The names of blobs of which something has come."""
    return sorted(path.name for path in node.blobs.folder.glob("*.part"))


# One group


def test_releases_that_wait_together_are_validated_together(pair: Pair, cheat: Cheat) -> None:
    """Twenty releases are one group: one validation, each held and answered."""
    made = releases(cheat, *["harmless"] * 20)
    pair.b.validate = watched = Watched()
    pair.b.pull(cheat.publish())
    assert watched.groups == [20]
    assert outcomes(pair.b) == {one.idx: "received" for one in made}
    assert all(held(pair.b, one) for one in made)
    assert parts(pair.b) == []


@pytest.mark.parametrize(("count", "size", "groups"), [(3, 99, [3, 3, 1]), (64, 4, [4, 3]), (64, 0, [1] * 7)])
def test_a_group_is_bounded_by_count_and_by_bytes(
    pair: Pair, cheat: Cheat, monkeypatch: pytest.MonkeyPatch, count: int, size: int, groups: list[int]
) -> None:
    """Seven releases fall into groups as the bounds say; one that is larger than the bound is a group alone."""
    made = releases(cheat, *["harmless"] * 7)
    monkeypatch.setattr(receive, "GROUP", count)
    monkeypatch.setattr(receive, "GROUP_BYTES", size * made[0].core.bytes_padded)
    pair.b.validate = watched = Watched()
    pulled = pair.b.pull(cheat.publish())
    assert watched.groups == groups
    assert [one.idx for one in pulled.opened] == [one.idx for one in made]
    assert set(outcomes(pair.b).values()) == {"received"}


BAD: dict[str, Callable[[Cheat], Forged]] = {
    "bad_format": lambda cheat: cheat.release([b"{}"]),
    "bad_digest": lambda cheat: cheat.release(sealed={"blob_bytes": 17}),
    "too_large": lambda cheat: cheat.release(sealed={"blob_bytes": 2**31}),
    "unopenable": lambda cheat: cheat.release(wrapped=b"\7" * 112),
    "not_permitted": lambda cheat: cheat.release(
        [as_bytes(indicator(1, labels=[f"intrusion-set--{'1' * 8}-2222-4333-8444-{'5' * 12}"]))]
    ),
}


@pytest.mark.parametrize("outcome", BAD)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_release_is_refused_and_its_neighbours_are_received(
    pair: Pair, cheat: Cheat, outcome: str, place: int
) -> None:
    """Whatever is wrong with it, and wherever it stands in the group: nothing of it is held, the others are."""
    made, bad = [], None
    for number in range(3):
        if number == place:
            bad = BAD[outcome](cheat)
        made.append(cheat.release(sighted(first=10 * number + 1)))
    assert bad is not None
    pair.b.pull(cheat.publish())
    assert outcomes(pair.b) == {bad.idx: outcome, **{one.idx: "received" for one in made}}
    assert not held(pair.b, bad)
    assert parts(pair.b) == []


def test_a_release_without_its_bytes_waits_and_its_neighbours_are_received(pair: Pair, cheat: Cheat) -> None:
    """A missing key, a missing blob, a wrong chunk: each waits alone, and is received once it is served right."""
    made = releases(cheat, "one", "two", "three", "four", "five")
    tree = cheat.publish()
    damaged = Tampered(
        tree,
        (f"key/{made[0].rid}", gone),
        (f"blob/{made[1].sealed.blob}", gone),
        (f"blob/{made[3].sealed.blob}", flip(9)),
    )
    pulled = pair.b.pull(damaged)
    assert [idx for idx, _ in pulled.waiting] == [made[0].idx, made[1].idx, made[3].idx]
    assert outcomes(pair.b) == {made[2].idx: "received", made[4].idx: "received"}
    with unchanged(pair.b):
        pair.b.pull(damaged)
    pair.b.pull(tree)
    assert set(outcomes(pair.b).values()) == {"received"}
    assert len(outcomes(pair.b)) == 5


@pytest.mark.parametrize("good_first", [True, False])
def test_a_refused_release_takes_no_blob_from_another(pair: Pair, cheat: Cheat, good_first: bool) -> None:
    """Two releases in one group name one blob, which only one of them can open: that one is received, and held."""
    good = cheat.release()
    taken = {"blob": good.sealed.blob, "blob_bytes": good.sealed.blob_bytes}
    if not good_first:
        cheat.entries.pop()
    bad = cheat.release(sealed=taken)
    if not good_first:
        again = cheat.add(cheat.entry("release", good.body))
        good = Forged(again, good.rid, good.core, good.sealed, good.approvals, good.wrapped, good.body)
    pair.b.pull(cheat.publish())
    assert outcomes(pair.b) == {good.idx: "received", bad.idx: "bad_digest"}
    assert held(pair.b, good)
    assert parts(pair.b) == []


@pytest.mark.parametrize("where", ["the blob", "its part"])
def test_what_cannot_be_stored_waits_and_its_neighbours_are_received(pair: Pair, cheat: Cheat, where: str) -> None:
    """Something stands in the way of one blob: its release waits, for longer than a day too: it is our own fault."""
    made = releases(cheat, "one", "two", "three")
    root = made[1].sealed.blob
    obstacle = pair.b.blobs.path(root) if where == "the blob" else pair.b.blobs.part_path(root)
    obstacle.mkdir()
    pulled = pair.b.pull(cheat.publish())
    assert [idx for idx, _ in pulled.waiting] == [made[1].idx]
    assert outcomes(pair.b) == {made[0].idx: "received", made[2].idx: "received"}
    pair.clock.forward(hours=30)
    assert [idx for idx, _ in pair.b.pull(cheat.tree).waiting] == [made[1].idx]
    assert made[1].idx not in outcomes(pair.b)
    obstacle.rmdir()
    pair.b.pull(cheat.tree)
    assert outcomes(pair.b)[made[1].idx] == "received"


# A partner that goes away


class Away(Tampered):
    """A partner that cannot be reached once it is asked for a file that matches."""

    def __init__(self, inner: FolderTree, pattern: str, after: int = 0) -> None:
        super().__init__(inner)
        self.pattern, self.left = re.compile(pattern).match, after
        self.ranges: list[tuple[int, int]] = []

    def _bytes(self, path: str) -> bytes | None:
        if self.pattern(path):
            if not self.left:
                raise PartnerError("the wire was cut", place=path)
            self.left -= 1
        return super()._bytes(path)

    def range(self, path: str, start: int, length: int) -> bytes | None:
        """As before; which ranges were given is noted."""
        data = super().range(path, start, length)
        self.ranges.append((start, length))
        return data


def test_a_partner_that_goes_away_is_not_asked_for_the_rest(pair: Pair, cheat: Cheat) -> None:
    """Two of five releases are here when it goes: they are held, the others wait, and none of them was asked for."""
    made = releases(cheat, *["harmless"] * 5)
    tree = Away(cheat.publish(), f"blob/{made[2].sealed.blob}")
    pulled = pair.b.pull(tree)
    assert [one.idx for one in pulled.opened] == [made[0].idx, made[1].idx]
    assert [idx for idx, _ in pulled.waiting] == [one.idx for one in made[2:]]
    assert not any(made[3].rid in path or made[4].rid in path for path in tree.asked)
    pair.b.pull(cheat.tree)
    assert outcomes(pair.b) == {one.idx: "received" for one in made}


def test_a_partner_that_is_away_for_days_is_given_no_answer(pair: Pair, cheat: Cheat) -> None:
    """An unreachable partner is no missing blob: after a day nothing is answered, and once it is back: received."""
    (made,) = releases(cheat, "harmless")
    tree = Away(cheat.publish(), "blob/")
    for _ in range(3):
        pair.b.pull(tree)
        pair.clock.forward(hours=20)
    assert outcomes(pair.b) == {}
    pair.b.pull(cheat.tree)
    assert outcomes(pair.b) == {made.idx: "received"}


# Blobs that come in pieces


def large(cheat: Cheat, mebibytes: int = 5) -> Forged:
    """A release of so many chunks and one more."""
    body = as_bytes(indicator(1, description="x" * (mebibytes * MIB)))
    made = cheat.release([body])
    assert made.sealed.blob_bytes // SEALED_CHUNK == mebibytes
    return made


@pytest.fixture
def _single_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "RANGE_CHUNKS", 1)


def test_a_large_blob_is_asked_for_in_few_ranges(pair: Pair, cheat: Cheat) -> None:
    """Six chunks come in two ranges, and nothing beyond the blob's end is asked for."""
    made = large(cheat)
    tree = Away(cheat.publish(), "never")
    pair.b.pull(tree)
    assert tree.ranges == [(0, 4 * SEALED_CHUNK), (4 * SEALED_CHUNK, made.sealed.blob_bytes - 4 * SEALED_CHUNK)]
    assert outcomes(pair.b) == {made.idx: "received"}


@pytest.mark.usefixtures("_single_chunks")
@pytest.mark.parametrize("restart", [False, True])
def test_chunks_that_came_before_a_cut_are_not_asked_for_again(pair: Pair, cheat: Cheat, restart: bool) -> None:
    """Two chunks, then a cut, a restart perhaps: the part is no blob; the next pull asks for the other four alone."""
    made = large(cheat)
    pair.b.pull(Away(cheat.publish(), "blob/", after=2))
    assert parts(pair.b) == [f"{made.sealed.blob}.part"]
    assert not pair.b.blobs.holds(made.sealed.blob)
    assert not held(pair.b, made)
    if restart:
        pair.open("KOR")
    rest = Away(cheat.tree, "never")
    pair.b.pull(rest)
    assert [start // SEALED_CHUNK for start, _ in rest.ranges] == [2, 3, 4, 5]
    assert outcomes(pair.b) == {made.idx: "received"}
    assert held(pair.b, made)
    assert parts(pair.b) == []


def damage(part: Path, how: str) -> None:
    """What a disk, or whoever may write to it, does to a part of two chunks."""
    data = bytearray(part.read_bytes())
    assert len(data) == 2 * SEALED_CHUNK
    if how == "a flipped bit":
        data[SEALED_CHUNK // 2] ^= 1
    elif how == "cut short":
        del data[SEALED_CHUNK // 2 :]
    elif how == "zeros":
        data[:SEALED_CHUNK] = bytes(SEALED_CHUNK)
    else:
        data += bytes(9 * SEALED_CHUNK)
    part.write_bytes(data)


@pytest.mark.usefixtures("_single_chunks")
@pytest.mark.parametrize(
    ("how", "asked"),
    [
        ("a flipped bit", [0, 2, 3, 4, 5]),
        ("cut short", [0, 1, 2, 3, 4, 5]),
        ("zeros", [0, 2, 3, 4, 5]),
        ("too long", [2, 3, 4, 5]),
    ],
)
def test_a_part_damaged_at_rest_is_found_and_only_its_chunk_fetched_again(
    pair: Pair, cheat: Cheat, how: str, asked: list[int]
) -> None:
    """The chunk that no longer matches its leaf is asked for again, the others are not; then both know: received."""
    made = large(cheat)
    pair.b.pull(Away(cheat.publish(), "blob/", after=2))
    damage(pair.b.blobs.part_path(made.sealed.blob), how)
    rest = Away(cheat.tree, "never")
    pair.b.pull(rest)
    assert [start // SEALED_CHUNK for start, _ in rest.ranges] == asked
    assert outcomes(pair.b) == {made.idx: "received"}
    assert pair.b.blobs.size(made.sealed.blob) == made.sealed.blob_bytes


@pytest.mark.usefixtures("_single_chunks")
def test_a_chunk_that_came_wrong_is_not_kept(pair: Pair, cheat: Cheat) -> None:
    """The third chunk of the way is damaged: two are kept, and the next pull begins with the third."""
    made = large(cheat)
    pair.b.pull(Tampered(cheat.publish(), ("blob/*", flip(2 * SEALED_CHUNK + 5))))
    assert pair.b.blobs.part_path(made.sealed.blob).stat().st_size == 2 * SEALED_CHUNK
    rest = Away(cheat.tree, "never")
    pair.b.pull(rest)
    assert [start // SEALED_CHUNK for start, _ in rest.ranges] == [2, 3, 4, 5]
    assert outcomes(pair.b) == {made.idx: "received"}


@pytest.mark.usefixtures("_single_chunks")
@pytest.mark.parametrize("how", ["given up", "refused"])
def test_nothing_is_left_of_a_blob_that_was_refused(
    pair: Pair, cheat: Cheat, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of it had come: after the refusal no part rests here, and no blob."""
    made = large(cheat, 2)
    pair.b.pull(Away(cheat.publish(), "blob/", after=1))
    assert len(parts(pair.b)) == 1
    if how == "given up":
        pair.clock.forward(hours=25)
        pair.b.pull(Tampered(cheat.tree, ("blob/*", gone)))
    else:
        monkeypatch.setattr(pair.b, "validate", lambda _, releases: ["no"] * len(releases))
        pair.b.pull(cheat.tree)
    assert outcomes(pair.b) == {made.idx: "no_blob" if how == "given up" else "bad_format"}
    assert parts(pair.b) == []
    assert not pair.b.blobs.holds(made.sealed.blob)


# The child


def odd_child(form: str, releases: Sequence[list[Data]]) -> list[list[Record] | str]:
    """A real child with the sandbox's own life, in which certain words do harm; see `lab/odd_child.py`."""
    return sandbox.validate_in_child([sys.executable, str(CHILD), form], releases)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How each child ended, in order."""
    ended: list[int] = []

    class Noted(subprocess.Popen[bytes]):
        def wait(self, timeout: float | None = None) -> int:
            if self.returncode is None:
                ended.append(super().wait(timeout))
            return int(self.returncode)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return ended


@pytest.mark.parametrize(
    ("word", "place", "price"),
    [
        *((word, 2, 3) for word in ("DIE", "EXIT", "EAT", "LIE", "LOSE", "WRONG", "EARLY")),
        pytest.param("HANG", 2, 3, marks=pytest.mark.slow),
        ("DIE", 0, 3),
        ("DIE", 4, 2),
        ("MUCH", 2, 10),
    ],
)
def test_a_release_that_harms_the_child_is_refused_and_its_neighbours_are_received(
    pair: Pair, cheat: Cheat, monkeypatch: pytest.MonkeyPatch, children: list[int], word: str, place: int, price: int
) -> None:
    """It kills or stops the child, or makes it lie: bad_format for it alone, at the price of a few children."""
    monkeypatch.setattr(sandbox, "WALL_S", 5 if word == "HANG" else 300)
    made = releases(cheat, *[word if number == place else "harmless" for number in range(5)])
    pair.b.validate = odd_child
    pair.b.pull(cheat.publish())
    assert outcomes(pair.b) == {
        one.idx: "bad_format" if number == place else "received" for number, one in enumerate(made)
    }
    assert [held(pair.b, one) for one in made] == [number != place for number in range(5)]
    assert len(children) <= price


def test_a_release_at_which_the_child_is_worn_out_is_tried_alone(pair: Pair, cheat: Cheat, children: list[int]) -> None:
    """Each child endures two such releases: all five are received, none is blamed for what came before it."""
    made = releases(cheat, *["WEAR"] * 5)
    pair.b.validate = odd_child
    pair.b.pull(cheat.publish())
    assert outcomes(pair.b) == {one.idx: "received" for one in made}
    assert len(children) > 1


def test_a_group_of_killers_is_refused_one_by_one(pair: Pair, cheat: Cheat, children: list[int]) -> None:
    """Nothing is left of a group in which every release kills, and it ends."""
    made = releases(cheat, *["DIE"] * 4)
    pair.b.validate = odd_child
    pair.b.pull(cheat.publish())
    assert outcomes(pair.b) == {one.idx: "bad_format" for one in made}
    assert len(children) <= 2 * len(made)


def test_the_real_child_gives_what_the_area_gives(pair: Pair, cheat: Cheat, children: list[int]) -> None:
    """One child for the group, the same records as without a child; a bad release has its own reason."""
    bodies: list[list[Data]] = [list(sighted(3)), [b"{}"], list(sighted(2, first=9)), []]
    assert validate_in_real_child("stix-2.1", bodies) == [
        found if isinstance(found, str) else [_bare(record) for record in found]
        for found in in_process("stix-2.1", bodies)
    ]
    assert children == [0]
    made = releases(cheat, "one", "two")
    pair.b.validate = validate_in_real_child
    pair.b.pull(cheat.publish())
    assert outcomes(pair.b) == {one.idx: "received" for one in made}
    assert children == [0, 0]


def _bare(record: Record) -> Record:
    """What a child tells of a record."""
    return Record(
        record.data, "", record.id, record.type, record.version, record.title, record.names, order=record.order
    )


# What else rests


def test_polls_while_releases_wait_change_nothing(pair: Pair, cheat: Cheat) -> None:
    """Two releases are held, two wait for their keys: fifty polls write nothing, start no child and fetch no blob."""
    made = releases(cheat, *["harmless"] * 4)
    rules: list[tuple[str, Change]] = [(f"key/{one.rid}", gone) for one in made[2:]]
    pair.b.pull(Tampered(cheat.publish(), *rules))
    pair.b.answer()
    pair.b.validate = watched = Watched()
    tree = Tampered(cheat.tree, *rules)
    with unchanged(pair.b):
        for _ in range(50):
            pair.b.pull(tree)
            pair.b.answer()
    assert watched.groups == []
    assert not any(path.startswith(("blob/", "leaves/")) for path in tree.asked)
