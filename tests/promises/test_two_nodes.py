"""Three laws on two nodes, each in its plainest form: no key before the cosignature, state is a fold, silence.

Besides: the last day on which a notice counts, and what a node stops serving once what it returned has ended.
"""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entente.app import AREAS
from entente.errors import RefusedError
from entente.node.node import Node
from entente.node.order import Remark
from entente.register.checkpoint import parse_text
from entente.register.note import parse
from entente.strict import parse_time
from entente.treaty.cover import RequestSheet
from entente.treaty.marking import Marking, MarkingMap
from lab.acts import derived, entered, give_back, ordered
from lab.near_end import near_end
from lab.pair import Pair, Template, answers, files, heads, in_process, sighted, state

Make = Callable[..., Pair]
SHORT = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
STEPS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["release", "pull", "pull", "answer"])), max_size=14)


def level(node: Node, number: int) -> str:
    """A level of this party's that has an equivalent, from the lowest."""
    law = node.law.law
    return sorted(law.rows[node.party], key=law.ranks[node.party].__getitem__)[number]


# Law 7


def cosigned(folder: Path) -> int:
    """How many entries of the other's register this node's served mirror vouches for."""
    shown = folder / "served" / "mirror" / "checkpoint"
    return parse_text(parse(shown.read_bytes()).text).size if shown.exists() else 0


@pytest.mark.parametrize("sample", ["india-korea", "two-certs"])
def test_no_key_is_served_before_the_partner_has_cosigned_its_entry(make_pair: Make, sample: str) -> None:
    """Read from the served files alone, whoever releases and pulls whenever."""

    @SHORT
    @given(steps=STEPS)
    def course(steps: list[tuple[int, str]]) -> None:
        pair = make_pair(sample)
        for which, step in [*steps, (0, "release"), (1, "pull"), (0, "pull")]:
            node = pair.nodes[pair.codes[which]]
            if step == "release":
                pair.release(node)
            elif step == "pull":
                node.pull()
            else:
                node.answer()
            for own, other in ((pair.a, pair.b), (pair.b, pair.a)):
                keys = {path.name for path in (own.folder / "served" / "key").glob("*")}
                vouched = cosigned(other.folder)
                assert keys <= {fact.rid for fact in own.side.releases if fact.idx < vouched}
        assert list((pair.a.folder / "served" / "key").glob("*")), "a key that is never served proves nothing"
        pair.close()

    course()


# Law 8


def test_what_a_register_says_does_not_depend_on_when_it_was_read(either: Pair) -> None:
    """A node that pulled after every act and one that pulled once have the same facts and draw the same account."""
    busy = either.a
    either.exchange()
    shutil.copytree(either.shut(either.codes[1]), either.folder / "late")
    either.open(either.codes[1])
    rids = []
    for number in range(4):
        rids.append(either.release(busy, sighted(first=10 * number + 1)).rid)
        either.b.pull()
        if number == 1:
            ordered(either, busy, rids[0], "reclass", Remark(level=level(busy, 1)))
        if number == 2:
            ordered(either, busy, rids[1], "withdraw")
            entered(either, busy, "term", {"act": "suspend"})
            either.b.pull()
            entered(either, busy, "term", {"act": "resume"})
        either.clock.forward(hours=5)
        busy.pull()
    either.b.pull()
    late = Node(either.folder / "late", AREAS, in_process, clock=either.clock)
    late.pull()
    try:
        assert heads(late)[:2] == heads(either.b)[:2]
        sides = [msgspec.msgpack.encode(node.other_side) for node in (late, either.b)]
        assert sides[0] == sides[1]
        drawn = either.b.reconcile(f"{busy.side.size}:{either.b.side.size}", busy.now())
        assert late.reconcile(drawn.cut, drawn.at).text == drawn.text
    finally:
        late.close()


# Law 10


def test_five_hundred_polls_with_documents_orders_and_duties_open_change_nothing(either: Pair) -> None:
    """Neither what waits for a person nor what is overdue makes a node speak."""
    kept = either.release(either.a).rid
    either.release(either.b, sighted(first=9))
    either.exchange()
    node = either.b
    law = node.law.law
    mark = Marking(
        (),
        law.party[node.party].levels[0],
        node.party,
        (law.areas["documents"].purposes or ("",))[0],
        tuple(sorted(law.parties)),
    )
    map_id = node.sign_map(MarkingMap(node.law.hash, "documents", (), mark), [either.of(node, "iyer")])
    sheet = RequestSheet({"en": "Since when?"}, "documents", "routine")
    rid = node.ask(sheet, author=f"{node.party}/rao", map_id=map_id).proposal.rid
    either.approve(node, rid, "nair")
    if (law.areas["documents"].approvals or 0) > 1:
        either.approve(node, rid, "iyer", "security")
    node.dispatch([rid])
    either.b.make_copy(kept, "desk 1", "room 5")
    ordered(either, either.a, kept, "return")
    either.exchange()
    before = [state(node) for node in either.nodes.values()]
    sizes = [len(answers(node)) for node in either.nodes.values()]
    for _ in range(500):
        either.round()
        either.clock.forward(minutes=15)
    assert [state(node) for node in either.nodes.values()] == before
    assert [len(answers(node)) for node in either.nodes.values()] == sizes
    assert either.b.db.pending(either.b.logs[either.a.party]), "an order waits all the while"


# Notice


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Template]:
    """Templates under an agreement that ends soon."""
    made: dict[str, Template] = {}

    def get(sample: str) -> Template:
        if sample not in made:
            made[sample] = near_end(tmp_path_factory.mktemp("ending") / sample, sample)
        return made[sample]

    return get


@pytest.fixture
def short(
    ending: Callable[[str], Template],
    tmp_path: Path,
    cheap_passphrases: None,  # noqa: ARG001 - wanted for what it does
    request: pytest.FixtureRequest,
) -> Iterator[Pair]:
    pair = Pair(ending(request.param), tmp_path / "pair")
    yield pair
    pair.close()


@pytest.mark.parametrize("short", ["india-korea", "two-certs"], indirect=True)
@pytest.mark.parametrize(("days", "minutes", "ends"), [(0, 0, True), (0, 1, False), (-1, 0, True), (1, 0, False)])
def test_a_notice_counts_up_to_notice_days_before_the_end_and_not_a_minute_later(
    short: Pair, days: int, minutes: int, ends: bool
) -> None:
    """Both know: from the end on neither may release, or both may for another year; what was received stays owed."""
    law = short.a.law.law
    limit = parse_time(law.end) - timedelta(days=law.notice_days)
    for node in short.nodes.values():
        short.release(node)
    short.exchange()
    later(short, limit + timedelta(days=days, minutes=minutes))
    entered(short, short.a, "term", {"act": "notice_of_end"})
    short.exchange()
    later(short, parse_time(law.end) - timedelta(minutes=1))
    for node in short.nodes.values():
        short.release(node)
    later(short, parse_time(law.end))
    for node in short.nodes.values():
        if ends:
            assert short.propose(node, sighted(first=30)).state == "drafted"
        else:
            short.release(node, sighted(first=30))
    short.exchange()
    for node in short.nodes.values():
        assert not node.side.invalid
        assert {node.state_of(fact) for fact in node.other_side.releases} == {"received"}
        assert len(node.other_side.releases) == 2 + (not ends)
    mine = short.a.reconcile()
    assert mine.text == short.b.reconcile(mine.cut, mine.at).text


@pytest.mark.parametrize("short", ["india-korea"], indirect=True)
def test_a_notice_that_the_partner_has_not_read_binds_its_author_alone_until_then(short: Pair) -> None:
    law = short.a.law.law
    early = short.approved(short.b)
    later(short, parse_time(law.end) - timedelta(days=law.notice_days))
    entered(short, short.a, "term", {"act": "notice_of_end"})
    later(short, parse_time(law.end))
    assert short.propose(short.a, sighted()).state == "drafted"
    fresh = short.approved(short.b, sighted(first=20))
    short.b.dispatch([fresh])
    short.exchange()
    (fact,) = short.a.other_side.releases
    assert short.a.state_of(fact) == "received", "it was in force as far as its author knew"
    with pytest.raises(RefusedError):
        short.b.dispatch([early])


def later(pair: Pair, moment: datetime) -> None:
    """It is that time; both nodes have run meanwhile."""
    while pair.clock.now != moment:
        pair.clock.now = min(pair.clock.now + timedelta(hours=23), moment)
        for node in pair.nodes.values():
            node.mark_time()


# What has ended


def test_the_key_of_a_return_is_served_no_more_the_moment_what_it_returned_has_ended(either: Pair) -> None:
    """Found by the model: it stayed among the served files until the next news of the partner."""
    rid = either.release(either.a).rid
    either.exchange()
    back = give_back(either, either.b, rid)
    either.exchange()
    assert f"key/{back}" in files(either.b.folder / "served")
    either.b.give_back(rid)
    assert not any(back in path for path in files(either.b.folder / "served"))


def test_what_derives_from_a_release_is_raised_with_it_at_both_nodes(either: Pair) -> None:
    rid = either.release(either.a).rid
    either.exchange()
    own = derived(either, either.b, rid)
    ordered(either, either.a, rid, "reclass", Remark(level=level(either.a, 1)))
    either.exchange()
    lines = either.a.reconcile().text.splitlines()
    (line,) = [line for line in lines if own.encode() in line and b'"kind":"release"' in line]
    assert level(either.b, 1) in line.decode()
