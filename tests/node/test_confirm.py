"""A clock that leapt and a register that may not be the latest: the node signs nothing until somebody may vouch for it.

That is the partner, by a cosignature within five minutes of our clock, or as many persons as the agreement asks to
resume. Wrong clocks make a node stricter, never less strict.
Source: design core-spec, Clock and start gate.
"""

import ast
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from entente.bad_wire import HOST
from entente.errors import EntenteError, ForkError, FrozenError, RefusedError
from entente.keys import SoftSigner
from entente.node.node import Node
from entente.node.setup import write_settings
from entente.store.heads import Head
from entente.strict import read_own, time_text
from lab.cheat import Cheat
from lab.pair import Clock, Pair, answers, copy_of, heads, put_back, revoke, sighted, signs_nothing, unchanged
from lab.wired import Wired

DAYS = 20
Persons = Sequence[tuple[str, SoftSigner]]


def stopped(pair: Pair, code: str = "IND", *, days: int = DAYS, hours: int = 0) -> Node:
    """The node of a party, open again after a stop; the other has been running."""
    pair.exchange()
    pair.shut(code)
    pair.clock.forward(days=days, hours=hours)
    return pair.open(code)


def by(pair: Pair, node: Node, *names: str) -> Persons:
    return [pair.of(node, name) for name in names]


def stolen(pair: Pair, node: Node) -> Persons:
    """The second handle with another person's key."""
    return [pair.of(node, "rao"), (pair.of(node, "nair")[0], pair.of(node, "sen")[1])]


NOT_ENOUGH: dict[str, Callable[[Pair, Node], Persons]] = {
    "nobody": lambda _, __: [],
    "one": lambda pair, node: by(pair, node, "rao"),
    "one twice": lambda pair, node: by(pair, node, "rao", "rao"),
    "one under two handles": lambda pair, node: by(pair, node, "rao", "rao.two"),
    "one whose certificate has expired": lambda pair, node: by(pair, node, "rao", "brief"),
    "one who was revoked": lambda pair, node: by(pair, node, "rao", "sen"),
    "one with another's key": stolen,
    "one unheard of": lambda pair, node: [*by(pair, node, "rao"), ("IND/nobody", pair.of(node, "nair")[1])],
    "one of the partner's": lambda pair, node: [*by(pair, node, "rao"), pair.of(pair.b, "nair")],
}


@pytest.mark.parametrize("who", NOT_ENOUGH)
def test_too_few_good_persons_confirm_nothing(pair: Pair, who: str) -> None:
    """The stopped node is as it was and signs nothing; the partner knows nothing of the attempt."""
    revoke(pair, pair.a, "sen")
    node = stopped(pair)
    for found in (NOT_ENOUGH[who](pair, node), NOT_ENOUGH[who](pair, node)[::-1]):
        with unchanged(node), pytest.raises(RefusedError):
            node.confirm(found)
        assert node.clock_doubt
    signs_nothing(pair, node)


def test_enough_persons_vouch_for_the_clock_and_are_written_down(pair: Pair) -> None:
    """The home journal has both signatures; the node signs again and both know the release, received."""
    node = stopped(pair)
    with pytest.raises(FrozenError, match="clock"):
        pair.release(node)
    assert node.confirm(by(pair, node, "rao", "nair")).startswith("the clock says")
    (record,) = node.db.journal_of("confirm", node.party)
    assert [sig["by"] for sig in read_own(record, dict[str, object])["sigs"]] == ["IND/rao", "IND/nair"]  # type: ignore[attr-defined]
    done = pair.release(node)
    pair.exchange()
    assert answers(pair.b) == [("received", [[done.idx, done.idx]])]
    with unchanged(node):
        assert node.confirm([]) == "", "nothing is in doubt any more"


def test_enough_persons_vouch_for_the_registers_when_heads_db_was_lost(pair: Pair) -> None:
    """heads.db gone and the partner away: two persons say that nothing is missing, and heads.db knows it again.

    Later both know the next release, received.
    """
    first = pair.release(pair.a)
    pair.exchange()
    folder = pair.shut("IND")
    for path in folder.glob("heads.db*"):
        path.unlink()
    node = pair.open("IND")
    signs_nothing(pair, node)
    assert "lost" in node.confirm(by(pair, node, "rao", "nair"))
    assert not node.frozen
    assert node.head_of("IND") == Head(node.side.size, node.trees["IND"].root().hex(), _own_note(node))
    second = pair.release(node, sighted(first=5))
    pair.exchange()
    assert answers(pair.b) == [("received", [[done.idx, done.idx]]) for done in (first, second)]


def _own_note(node: Node) -> bytes:
    return (node.folder / "served/own/checkpoint").read_bytes()


def test_persons_cannot_vouch_for_a_fork(pair: Pair) -> None:
    """Two signed heads contradict each other: the node says so to the persons, and signs nothing before or after."""
    cheat = Cheat(pair, pair.a)
    pair.release(pair.a)
    pair.exchange()
    cheat.order("11" * 32)
    with pytest.raises(ForkError):
        pair.b.pull(cheat.publish())
    with unchanged(pair.b), pytest.raises(FrozenError, match="contradict"):
        pair.b.confirm(by(pair, pair.b, "rao", "nair"))
    signs_nothing(pair, pair.b)


def test_persons_cannot_vouch_for_entries_that_are_missing(pair: Pair, tmp_path: Path) -> None:
    """node.db is older than what was signed: persons change nothing. A pull brings the rest back, and it signs."""
    saved = copy_of(pair.a.folder, "node.db", tmp_path / "backup").parent
    pair.release(pair.a)
    pair.exchange()
    whole = heads(pair.a)
    put_back(pair, "IND", "node.db", saved=saved)
    with pytest.raises(FrozenError):
        pair.a.confirm(by(pair, pair.a, "rao", "nair"))
    signs_nothing(pair, pair.a)
    pair.a.pull()
    assert heads(pair.a) == whole
    assert not pair.a.frozen


# The partner confirms


@pytest.mark.parametrize(("minutes", "believed"), [(0, True), (4, True), (6, False), (-4, True), (-6, False)])
def test_a_cosignature_within_five_minutes_confirms_the_clock(pair: Pair, minutes: int, believed: bool) -> None:
    """The partner has just cosigned; the stopped node's clock says so many minutes more.

    Within five both know afterwards that it signs again; beyond, it signs nothing.
    """
    node = stopped(pair)
    pair.b.sync()
    node.clock = Clock(pair.clock() + timedelta(minutes=minutes))
    node.pull()
    assert bool(node.clock_doubt) != believed
    if believed:
        pair.release(node)
        pair.b.pull()
        assert len(pair.b.other_side.releases) == 1
    else:
        signs_nothing(pair, node)


def test_a_cosignature_from_before_the_stop_confirms_nothing(pair: Pair) -> None:
    """The partner has not looked since: what it cosigned weeks ago says nothing of the clock today."""
    node = stopped(pair)
    with unchanged(node):
        node.pull()
    signs_nothing(pair, node)


def test_two_nodes_that_were_both_stopped_need_persons_at_one_of_them(pair: Pair) -> None:
    """Neither may cosign, so neither confirms the other; once persons do at one, it confirms the other's clock."""
    pair.shut("KOR")
    node = stopped(pair)
    other = pair.open("KOR")
    for _ in range(2):
        for each in (node, other):
            with unchanged(each):
                each.sync()
            assert each.clock_doubt
    node.confirm(by(pair, node, "rao", "nair"))
    node.sync()
    other.sync()
    assert not other.clock_doubt
    done = pair.release(other)
    pair.exchange()
    assert answers(node) == [("received", [[done.idx, done.idx]])]


def test_a_release_that_is_due_does_not_keep_the_clock_in_doubt(pair: Pair) -> None:
    """What was queued before the stop waits; the partner's cosignature is read all the same, and then it leaves.

    Both know the release, received.
    """
    pair.a.settings = msgspec.structs.replace(pair.a.settings, dispatch_slot_minutes=15)
    write_settings(pair.a.folder, pair.a.settings)
    pair.a.queue([pair.approved(pair.a)])
    node = stopped(pair, days=2)
    pair.b.sync()
    node.sync()
    assert not node.clock_doubt
    assert node.sync().dispatched == 1
    pair.exchange()
    assert [given.outcome for fact in node.side.releases for given in fact.answers] == ["received"]


# F-08: clocks


def test_four_hundred_days_ahead_everything_has_expired(pair: Pair) -> None:
    """The clock leaps while the node runs: approved drafts and the partner's sealing key have expired, nothing leaves.

    After a restart it signs nothing at all. The partner knows nothing of it.
    """
    rid = pair.approved(pair.a)
    before = heads(pair.a)
    pair.clock.forward(days=400)
    with pytest.raises(RefusedError):
        pair.a.dispatch([rid])
    made = pair.propose(pair.a, sighted(first=50)) if pair.a.may_sign() else None
    if made is not None:
        with pytest.raises(EntenteError):
            pair.approve(pair.a, made.rid, "brief")
    assert heads(pair.a) == before
    node = pair.open("IND")
    with pytest.raises(FrozenError):
        node.dispatch([rid])
    signs_nothing(pair, node)


def test_two_hours_back_nothing_is_signed_and_the_watermark_stays(pair: Pair) -> None:
    """The clock falls back while the node runs: it reads on and signs nothing; set right, both know the release."""
    rid = pair.approved(pair.a)
    pair.exchange()
    pair.clock.forward(hours=3)
    for node in pair.nodes.values():
        node.sync()
    mark = pair.a.heads.watermark()
    pair.clock.forward(hours=-2)
    for _ in range(3):
        with pytest.raises(FrozenError, match="clock"):
            pair.a.dispatch([rid])
        pair.a.sync()
        signs_nothing(pair, pair.a)
        pair.clock.forward(minutes=10)
    assert pair.a.heads.watermark() == mark
    pair.clock.forward(hours=2)
    pair.a.dispatch([rid])
    pair.exchange()
    assert [given.outcome for fact in pair.a.side.releases for given in fact.answers] == ["received"]


def test_a_clock_that_leapt_ahead_for_a_while_can_be_confirmed_when_it_is_right_again(pair: Pair) -> None:
    """A year ahead for a minute, then right: until persons confirm it the node signs nothing, then it does."""
    pair.clock.forward(days=400)
    pair.a.sync()
    pair.clock.forward(days=-400)
    signs_nothing(pair, pair.a)
    pair.a.confirm(by(pair, pair.a, "rao", "nair"))
    pair.release(pair.a)


def test_the_watermark_is_kept_hourly_while_the_node_may_sign(pair: Pair) -> None:
    """A stop is measured from the last full hour at most; a node that may not sign moves nothing."""
    node = pair.a
    node.sync()
    mark = node.heads.watermark()
    for _ in range(5):
        pair.clock.forward(minutes=11)
        node.sync()
        assert node.heads.watermark() == mark
    pair.clock.forward(minutes=5)
    node.sync()
    assert node.heads.watermark() == time_text(pair.clock()) != mark
    mark = node.heads.watermark()
    node.frozen = "for a while"
    pair.clock.forward(hours=5)
    node.mark_time()
    assert node.heads.watermark() == mark


@pytest.mark.parametrize(("hours", "doubted"), [(23, False), (25, True)])
def test_a_stop_of_more_than_a_day_puts_the_clock_in_doubt(pair: Pair, hours: int, doubted: bool) -> None:
    """Measured from when the node last ran, not from when it last signed; the partner knows nothing of it."""
    pair.exchange()
    for _ in range(5):
        pair.clock.forward(days=3)
        pair.a.sync()
    assert bool(stopped(pair, days=0, hours=hours).clock_doubt) == doubted


@pytest.mark.allow_hosts([HOST])
def test_a_machine_whose_clock_jumps_about_still_waits_as_long_as_it_should(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock falls two hours at every look at it: no deadline notices, and both know the release, received."""
    wall = [time.time()]

    def falling() -> float:
        wall[0] -= 7200
        return wall[0]

    with Wired(pair) as wired:
        done = pair.release(pair.a)
        monkeypatch.setattr(time, "time", falling)
        wired.exchange()
        pair.open("KOR")  # waits for the lock
    assert answers(pair.b) == [("received", [[done.idx, done.idx]])]


def test_no_module_measures_a_time_to_wait_by_the_wall_clock() -> None:
    """`time.time` stands nowhere in our code: whoever needs the date asks the node's clock, deadlines are monotonic."""
    source = Path(__file__).resolve().parents[2] / "src" / "entente"
    found = [
        f"{path.name}:{node.lineno}"
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.time", "time.time_ns")
    ]
    assert found == []
