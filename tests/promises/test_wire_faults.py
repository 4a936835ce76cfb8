"""Whatever the wire does, both nodes come to the same state as over a good one; only time is lost.

The nodes are real, each behind its own listener with mutual TLS, and the wire between them cuts, flips, loses replies,
goes away for weeks, or gives back what it carried before. After each fault the wire is good again, and then both nodes
must hold, to the byte, what they would have held without it. Damage and absence are never called a fork.
"""

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from stix_objects import as_bytes, indicator

from entente.bad_wire import HOST, WAYS, Fault, Plan, Scripted, Way, calm
from entente.errors import BehindError, EntenteError, ForkError, PartnerError, StateError
from entente.node import fetch, wire
from entente.node.dispatch import Dispatched
from entente.node.node import Node
from entente.node.served import FolderTree
from entente.node.wire import WireTree
from entente.node.worker import Worker
from lab.cheat import Cheat
from lab.pair import Pair, Tampered, answers, sighted, state, unchanged
from lab.wired import Wired

pytestmark = pytest.mark.allow_hosts([HOST])
CHUNKS = 3
MIB = 1 << 20
HANDSHAKES = 16_384  # more than a new connection and the request that was cut cost
FEW, MANY = 5, 30


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed length keeps a reader waiting for bytes that never come: for two seconds here, in life for thirty."""
    monkeypatch.setattr(wire, "ANSWER_S", 2.0)
    monkeypatch.setattr(wire, "CONNECT_S", 2.0)
    monkeypatch.setattr(wire, "PAUSE_S", 0.001)
    monkeypatch.setattr(fetch, "RANGE_CHUNKS", 1)


@pytest.fixture
def wired(pair: Pair) -> Iterator[Wired]:
    """Two nodes under the India-Korea sample, over the wire."""
    with Wired(pair) as made:
        yield made


# One crossing, to be had again and again


@dataclass
class Crossing:
    """One large release is dispatched and nothing of it has crossed; `again` puts both nodes back to there."""

    wired: Wired
    saved: Path
    done: Dispatched
    bodies: list[bytes]

    @property
    def pair(self) -> Pair:
        return self.wired.pair

    def again(self) -> None:
        for wire_ in self.wired.wires.values():
            wire_.plan = calm()
        for code in self.pair.codes:
            folder = self.pair.shut(code)
            shutil.rmtree(folder)
            shutil.copytree(self.saved / code, folder)
            self.pair.open(code)

    def cross(self, tree: WireTree) -> None:
        """The receiver pulls entries, the sender the cosignature, the receiver the content, on one connection."""
        sender, receiver = self.pair.a, self.pair.b
        receiver.pull(tree)
        sender.pull(self.pair.tree(receiver))
        receiver.pull(tree)
        receiver.answer()

    def finish(self) -> list[dict[str, object]]:
        """Over a good wire the crossing is done; all that both nodes have written."""
        for wire_ in self.wired.wires.values():
            wire_.plan = calm()
        self.wired.exchange()
        for node in self.pair.nodes.values():
            assert not node.frozen
            assert not (node.folder / "evidence").exists()
        assert self.pair.b.view.bodies(self.done.rid) == self.bodies
        assert answers(self.pair.b) == [("received", [[self.done.idx, self.done.idx]])]
        assert not [path for path in self.pair.b.blobs.folder.iterdir() if path.suffix == ".part"]
        return [state(node) for node in self.pair.nodes.values()]

    def came(self, way: Way) -> int:
        """Bytes that came by the wire that the receiver reads, in the last `under`."""
        return self.crossed[way]

    def under(self, plan: Plan, *, times: int = 1) -> list[EntenteError]:
        """The crossing was tried so often over a wire with this plan; returns what came of it."""
        self.again()
        wire_ = self.wired.wires[self.pair.a.party]
        first = len(wire_.log)
        wire_.plan = plan
        faults = []
        tree = self.wired.tree(self.pair.b)
        try:
            for _ in range(times):
                try:
                    self.cross(tree)
                except EntenteError as fault:
                    faults.append(fault)
        finally:
            tree.close()
        log = wire_.log[first:]
        self.struck = sum(len(deed.struck) for deed in log)
        self.crossed: dict[Way, int] = {way: sum(deed.came[way] for deed in log) for way in WAYS}
        return faults


@pytest.fixture
def crossing(wired: Wired, tmp_path: Path) -> Crossing:
    """A release of three chunks."""
    bodies = [as_bytes(indicator(n, name=f"harmless {n}", description="x" * (MIB - 9))) for n in range(1, CHUNKS)]
    done = wired.pair.release(wired.pair.a, bodies)
    made = Crossing(wired, tmp_path / "saved", done, bodies)
    for code in wired.pair.codes:
        shutil.copytree(wired.pair.shut(code), made.saved / code)
        wired.pair.open(code)
    return made


def places(crossing: Crossing, way: Way, count: int) -> list[int]:
    """Positions on a connection that carries one whole crossing: most before the blob, some within it, both ends."""
    came = crossing.came(way)
    small = min(came, 9_000)
    found = {1 + small * number // count for number in range(count)}
    return sorted(found | {came * number // (count // 2) for number in range(1, count // 2)} | {came - 1})


def swept(
    crossing: Crossing, fault: Callable[[Way, int], Fault], count: int, ways: Sequence[Way] = WAYS
) -> Iterator[tuple[Way, int, Fault]]:
    """Each fault of a sweep over the ways of one crossing; all of them struck."""
    assert crossing.under(calm()) == []
    found = [(way, at) for way in ways for at in places(crossing, way, count)]
    struck = 0
    for way, at in found:
        yield way, at, fault(way, at)
        struck += crossing.struck > 0
    assert struck >= len(found) - 2, "the last byte may not come"


def cut_once(crossing: Crossing, count: int) -> None:
    assert crossing.under(calm()) == []
    whole, good = crossing.came("down"), crossing.finish()
    for way, at, fault in swept(crossing, lambda way, at: Fault("cut", way, at), count):
        assert crossing.under(Scripted([fault])) == [], f"{way} {at}"
        assert crossing.came("down") <= whole + MIB + HANDSHAKES, f"{way} {at}: more than one chunk was asked again"
        assert crossing.finish() == good, f"{way} {at}"


def test_a_wire_cut_once_anywhere_loses_one_answer_at_most(crossing: Crossing) -> None:
    """Both know what they would know over a good wire, to the byte; what had come whole was not asked for again."""
    cut_once(crossing, FEW)


def cut_always(crossing: Crossing, count: int) -> None:
    assert crossing.under(calm()) == []
    good = crossing.finish()
    for way, at, fault in swept(crossing, lambda way, at: Fault("cut", way, at, reset=at % 2 == 0), count):
        faults = crossing.under(Scripted(rest=[fault]), times=2)
        assert {type(found) for found in faults} <= {PartnerError}, f"{way} {at}"
        assert crossing.finish() == good, f"{way} {at}"


@pytest.mark.slow
def test_a_wire_that_always_breaks_at_one_place_leaves_a_state_to_go_on_from(crossing: Crossing) -> None:
    """Both know, once the wire is good, what they would have known; before that, that the partner was away."""
    cut_always(crossing, FEW)


def flip(crossing: Crossing, count: int) -> None:
    assert crossing.under(calm()) == []
    good = crossing.finish()
    for way, at, fault in swept(crossing, lambda way, at: Fault("flip", way, at, bit=at % 8), count):
        faults = crossing.under(Scripted([fault]))
        assert {type(found) for found in faults} <= {PartnerError}, f"{way} {at}"
        assert crossing.finish() == good, f"{way} {at}"


def test_a_byte_changed_anywhere_is_never_accepted_and_never_called_a_fork(crossing: Crossing) -> None:
    """Both know what they would know over a good wire, to the byte; nobody was accused, no evidence was kept."""
    flip(crossing, FEW)


def lose(crossing: Crossing, count: int) -> None:
    assert crossing.under(calm()) == []
    good = crossing.finish()
    for _, at, fault in swept(crossing, lambda _, at: Fault("lose_reply", "up", at), 2 * count, ("up",)):
        assert crossing.under(Scripted([fault])) == [], f"{at}"
        assert crossing.finish() == good, f"{at}"


def test_a_reply_that_was_lost_is_given_again_and_has_no_second_effect(crossing: Crossing) -> None:
    """Both know: one entry, one answer, received once, whichever reply was lost."""
    lose(crossing, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("sweep", [cut_once, cut_always, flip, lose])
def test_the_same_at_many_more_places(crossing: Crossing, sweep: Callable[[Crossing, int], None]) -> None:
    """Both know what they would know over a good wire, to the byte."""
    sweep(crossing, MANY)


# F-06: lost after commit


def test_an_answer_whose_delivery_was_lost_stands_once_and_is_read_again(wired: Wired) -> None:
    """The receiver has committed its answer and every first reply to the sender is lost: one entry, one outcome."""
    pair = wired.pair
    done = pair.release(pair.a)
    wired.pull(pair.b)
    wired.pull(pair.a)
    wired.pull(pair.b)
    said = answers(pair.b)
    back = wired.wires[pair.b.party]
    asked = back.log[-1].came["up"]  # by the pull before, of which the last question was short
    back.plan = Scripted([Fault("lose_reply", "up", asked - back_by) for back_by in (10, 60)])
    first = len(back.log)
    wired.pull(pair.a)
    assert sum(len(deed.struck) for deed in back.log[first:]) == 2
    wired.exchange()
    assert answers(pair.b) == said == [("received", [[done.idx, done.idx]])]
    assert [given.outcome for given in pair.a.side.releases[0].answers] == ["received"]


def test_a_dispatch_asked_for_again_enters_nothing(wired: Wired) -> None:
    """Who did not hear that the dispatch was done asks again: refused; both know one release."""
    pair = wired.pair
    done = pair.release(pair.a)
    for _ in range(2):
        with unchanged(pair.a), pytest.raises(StateError):
            pair.a.dispatch([done.rid])
        wired.exchange()
    assert [fact.idx for fact in pair.b.other_side.releases] == [done.idx]


# F-07: away for weeks


def look(worker: Worker, node: Node) -> None:
    """The node's worker has looked at the partner once."""
    worker._node = node
    worker._round()
    worker._node = None


def test_three_weeks_apart_leave_order_whole_and_the_backlog_in_sight(wired: Wired, tmp_path: Path) -> None:
    """Apart: each sees how much of its own waits, and that the partner is away.

    Together again, both know every release of both, received, in the order sent, once.
    """
    pair = wired.pair
    workers = {}
    for code, node in pair.nodes.items():
        (tmp_path / code).mkdir()
        workers[code] = Worker(lambda: pytest.fail("it is open"), tmp_path / code, every_s=0, stop=_never())
        workers[code]._tree = wired.tree(node)
    wired.exchange()
    for each in wired.wires.values():
        each.partition()
    sent: dict[str, list[Dispatched]] = {code: [] for code in pair.codes}
    for day in range(21):
        for code, node in pair.nodes.items():
            if code == pair.codes[0] or day % 3 == 0:
                sent[code].append(pair.release(node, sighted(1, first=100 * day)))
            look(workers[code], node)
        pair.clock.forward(days=1)
    for code, node in pair.nodes.items():
        shown = workers[code].state
        assert shown.released - shown.answered == len(sent[code]), "the backlog"
        assert shown.own - shown.acknowledged == len(sent[code])
        assert shown.failures == 21
        assert "away" in shown.fault.lower() or "partner" in shown.fault.lower()
        assert not node.frozen
    for each in wired.wires.values():
        each.heal()
    for _ in range(4):
        for code, node in pair.nodes.items():
            look(workers[code], node)
    for code, node in pair.nodes.items():
        (other,) = (found for found in pair.nodes.values() if found is not node)
        mine, theirs = node.side.releases, other.other_side.releases
        assert [fact.rid for fact in mine] == [fact.rid for fact in theirs] == [done.rid for done in sent[code]]
        assert [fact.number for fact in theirs] == list(range(1, len(theirs) + 1))
        assert [[given.outcome for given in fact.answers] for fact in mine] == [["received"]] * len(mine)
        shown = workers[code].state
        assert (shown.failures, shown.fault) == (0, "")
        assert shown.released == shown.answered == len(sent[code])
        workers[code].close()
    mine_, theirs_ = pair.a.reconcile(), pair.b.reconcile()
    assert mine_.text == theirs_.text


def _never() -> "threading.Event":
    return threading.Event()


# what was carried before is carried again


def test_an_older_tree_served_again_takes_nothing_back(pair: Pair, tmp_path: Path) -> None:
    """A man in the middle gives each node any tree of the partner's past: behind, or nothing new. Both keep all."""
    past: dict[str, list[Path]] = {code: [] for code in pair.codes}

    def keep() -> None:
        for code, node in pair.nodes.items():
            past[code].append(tmp_path / f"{code}-{len(past[code])}")
            shutil.copytree(node.folder / "served", past[code][-1])

    keep()
    for number in range(3):
        pair.release(pair.a, sighted(first=10 * number))
        pair.release(pair.b, sighted(first=10 * number))
        keep()
        pair.exchange()
        keep()
    behind = 0
    for node in pair.nodes.values():
        for folder in past[node.partner]:
            with unchanged(node):
                try:
                    node.pull(FolderTree(folder))
                    assert node.answer() == 0
                except BehindError:
                    behind += 1
    assert behind == 2 * (len(past[pair.codes[0]]) - 1), "only the latest tree is not behind"
    pair.release(pair.a, sighted(first=90))
    pair.exchange()
    assert len(answers(pair.b)) >= 3


@pytest.mark.parametrize("mixed", ["own", "mirror"])
def test_an_older_half_of_a_tree_takes_nothing_back(pair: Pair, tmp_path: Path, mixed: str) -> None:
    """The partner's register of today beside its mirror of yesterday, or the reverse: both keep all they know."""
    pair.release(pair.a)
    pair.release(pair.b)
    pair.exchange()
    shutil.copytree(pair.b.folder / "served", tmp_path / "tree")
    pair.release(pair.a, sighted(first=10))
    pair.release(pair.b, sighted(first=10))
    pair.exchange()
    shutil.rmtree(tmp_path / "tree" / mixed)
    shutil.copytree(pair.b.folder / "served" / mixed, tmp_path / "tree" / mixed)
    with unchanged(pair.a):
        if mixed == "own":
            pair.a.pull(FolderTree(tmp_path / "tree"))
        else:
            with pytest.raises(BehindError):
                pair.a.pull(FolderTree(tmp_path / "tree"))
        assert pair.a.answer() == 0


class Crossed(Tampered):
    """A man in the middle who answers one question with the true answer to another."""

    def __init__(self, inner: FolderTree, asked: str, answered: str) -> None:
        super().__init__(inner, (asked, lambda _: inner.range(answered, 0, 1 << 30)))


def paths_of(pair: Pair, releases: Sequence[Dispatched]) -> list[str]:
    """Every path that the receiver asks for when two releases cross."""
    seen = Tampered(pair.tree(pair.a))
    pair.b.pull(seen)
    pair.a.pull()
    pair.b.pull(seen)
    assert {f"key/{done.rid}" for done in releases} <= set(seen.asked)
    return sorted(path for path in set(seen.asked) if seen.inner.get(path, 1 << 30) is not None)


@pytest.mark.slow
def test_an_answer_to_another_question_is_never_accepted(pair: Pair, tmp_path: Path) -> None:
    """Each file that the receiver asks for is replaced by each other: refused or awaited, never held, never a fork.

    Over a good wire both then know: both releases received, with the bytes that were sent.
    """
    sent = [pair.release(pair.a, sighted(1, first=10 * n)) for n in (1, 2)]
    for code in pair.codes:
        shutil.copytree(pair.shut(code), tmp_path / "saved" / code)
        pair.open(code)

    def again() -> None:
        for code in pair.codes:
            folder = pair.shut(code)
            shutil.rmtree(folder)
            shutil.copytree(tmp_path / "saved" / code, folder)
            pair.open(code)

    asked = paths_of(pair, sent)
    swaps = [(one, two) for one in asked for two in asked if one != two]
    assert len(swaps) > 40
    for one, two in swaps:
        again()
        for _ in range(2):
            try:
                pair.b.pull(Crossed(pair.tree(pair.a), one, two))
            except ForkError as fault:
                raise AssertionError(f"{two} in place of {one}: a fork was claimed") from fault
            except EntenteError:
                pass
            pair.b.answer()
            pair.a.pull()
        assert not pair.b.frozen
        pair.exchange()
        assert [pair.b.view.bodies(done.rid) for done in sent] == [sighted(1, first=10 * n) for n in (1, 2)], (one, two)
        outcomes = [given.outcome for fact in pair.a.side.releases for given in fact.answers]
        assert outcomes == ["received", "received"], f"{two} in place of {one}"


def test_an_answer_entered_again_says_nothing_new(pair: Pair) -> None:
    """The receiver's own answer stands a second time in its register, byte for byte: received, as before.

    One that names a release of its own is invalid and listed; the sender's other release is as it was.
    """
    done = pair.release(pair.a)
    pair.release(pair.a, sighted(first=10))
    pair.exchange()
    before = pair.a.reconcile()
    cheat = Cheat(pair, pair.b)
    again = cheat.entries[-1]
    assert b'"kind":"answer"' in again
    cheat.add(again)
    other = {"origin": pair.b.side.origin, "spans": [[done.idx, done.idx]]}
    listed = cheat.add(cheat.entry("answer", {"outcome": "received", "re": other, "witnesses": []}))
    pair.a.pull(cheat.publish())
    assert listed in [found.idx for found in pair.a.other_side.invalid]
    assert [pair.a.state_of(fact) for fact in pair.a.side.releases] == ["received", "received"]
    assert releases_in(pair.a.reconcile().text) == releases_in(before.text)
    assert pair.a.answer() == 0


def releases_in(account: bytes) -> list[bytes]:
    """The lines of an account that say what became of each release."""
    return [line for line in account.splitlines() if b'"state"' in line]
