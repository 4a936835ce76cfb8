"""Traffic is counted in both registers, the same at both nodes, and every count sums to what it is a part of.

A reader's counts hold what that reader may see and nothing else.
"""

import itertools
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entente.errors import EntenteError
from entente.node.node import Node
from entente.node.traffic import Direction, traffic
from entente.treaty.cover import ReplySheet, RequestSheet
from entente.treaty.marking import MarkingMap
from lab.acts import entered, ordered
from lab.lives import ACTS, befall
from lab.pair import AREA, Pair, sighted


def check_balance(pair: Pair) -> None:
    """Each direction's counts sum, and the days too; what both nodes know alike they count alike."""
    for node in pair.nodes.values():
        found = traffic(node, window_days=2)
        for one in found.directions:
            side, other = node.pair.sides[one.by], node.pair.other(one.by)
            assert sum(one.states.values()) == one.dispatched == len(side.releases)
            answered = sum(one.answered.values())
            assert answered == sum(1 for fact in side.releases if fact.answers)
            assert one.stored <= one.dispatched
            assert one.unanswered <= one.stored
            assert one.unanswered + answered <= one.dispatched
            assert one.states["ended"] == sum(one.answered.get(word, 0) for word in ("destroyed", "returned"))
            waits = [fact.rid for fact in side.releases if not fact.answers and not fact.withdrawn_at(side.size)]
            assert sorted(row.rid for row in one.waiting) == sorted(waits)
            total = found.days.before[one.by] + found.days.after[one.by]
            assert total + sum(day.counts[one.by] for day in found.days.days) == one.dispatched
            assert (one.by, one.to) == (side.party, other.party)
        drafts = found.directions[0].drafts
        assert sum(drafts.values()) == sum(draft.state != "dispatched" for draft in node.db.drafts())


def plain(one: Direction) -> Direction:
    """Without what one node alone knows."""
    waiting = tuple(msgspec.structs.replace(row, rank=0) for row in one.waiting)
    return msgspec.structs.replace(one, drafts={}, waiting=waiting)


def check_same(pair: Pair) -> None:
    (first, second), (theirs, ours) = (traffic(node).directions for node in (pair.a, pair.b))
    assert plain(first) == plain(ours)
    assert plain(second) == plain(theirs)


def test_what_crossed_is_counted_in_both_registers_step_by_step(either: Pair) -> None:
    either.propose(either.a, sighted(first=50))
    either.approved(either.a, sighted(first=60))
    either.release(either.a), either.release(either.a, sighted(first=20))
    one = traffic(either.a).directions[0]
    assert (one.drafts["checked"], one.drafts["approved"]) == (1, 1)
    assert (one.dispatched, one.stored, one.unanswered, one.states["dispatched"]) == (2, 0, 0, 2)
    assert len(one.waiting) == 2
    either.b.pull()
    either.a.pull()
    one = traffic(either.a).directions[0]
    assert (one.stored, one.unanswered, one.states["stored"], one.answered) == (2, 2, 2, {})
    either.exchange()
    one = traffic(either.a).directions[0]
    assert (one.answered, one.unanswered, one.waiting) == ({"received": 2}, 0, ())
    check_balance(either)
    check_same(either)


def test_a_release_without_an_answer_grows_old_and_then_late(either: Pair) -> None:
    rid = either.release(either.a).rid
    hours = either.a.law.law.areas[AREA].answer_hours or 24
    either.clock.forward(hours=hours - 1)
    (row,) = traffic(either.a).directions[0].waiting
    assert (row.rid, row.hours, row.overdue) == (rid, hours - 1, False)
    either.clock.forward(hours=1)
    (row,) = traffic(either.a).directions[0].waiting
    (duty,) = [duty for duty in either.a.duties() if duty.rid == rid]
    assert (row.due, row.overdue) == (duty.due, duty.overdue)
    assert row.overdue
    ordered(either, either.a, rid, "withdraw")
    one = traffic(either.a).directions[0]
    assert (one.waiting, one.withdrawn, one.states["withdrawn"]) == ((), 1, 1)


def test_days_are_utc_and_each_of_the_window_is_there(pair: Pair) -> None:
    pair.release(pair.a)
    pair.clock.forward(days=2, hours=14, minutes=59)
    pair.release(pair.a, sighted(first=20))
    pair.clock.forward(minutes=1)
    pair.release(pair.a, sighted(first=30))
    found = traffic(pair.a, window_days=3).days
    assert [(day.day, day.counts[pair.a.party]) for day in found.days] == [
        ("2026-06-02", 0), ("2026-06-03", 1), ("2026-06-04", 1)
    ]  # fmt: skip
    assert found.before == {pair.a.party: 1, pair.b.party: 0}
    check_balance(pair)


def test_a_reader_is_told_of_what_it_may_see_and_its_counts_hold_nothing_else(either: Pair) -> None:
    levels = list(either.a.law.law.rows[either.a.party])
    low, high = levels[0], levels[-1]
    for level in (low, high):
        either.a.dispatch([either.approved(either.a, sighted(first=50 + levels.index(level)), level=level)])
        either.propose(either.a, sighted(first=70 + levels.index(level)), level=level)
    found = traffic(either.a, sees=lambda _area, mark, _by: mark.level == low)
    one = found.directions[0]
    assert (one.dispatched, sum(one.states.values()), sum(one.drafts.values()), len(one.waiting)) == (1, 1, 1, 1)
    assert sum(day.counts[either.a.party] for day in found.days.days) == 1
    assert traffic(either.a).directions[0].dispatched == 2
    nobody = traffic(either.a, sees=lambda *_: False)
    assert not any(sum(one.states.values()) + sum(one.drafts.values()) for one in nobody.directions)


def questioned(pair: Pair, node: Node, **words: str) -> str:
    """A request of the node's, dispatched."""
    law = node.law.law
    mark = msgspec.structs.replace(pair.marking(node), purpose=(law.areas["documents"].purposes or ("",))[0])
    map_id = node.sign_map(MarkingMap(node.law.hash, "documents", (), mark), [pair.of(node, "iyer")])
    author = f"{node.party}/rao"
    if "request" in words:
        sheet = ReplySheet(words["request"], "answered", ())
        made = node.reply(sheet, author=author, map_id=map_id)
    else:
        made = node.ask(RequestSheet({"en": "Who?"}, AREA, "priority"), author=author, map_id=map_id)
    rid = made.proposal.rid
    pair.approve(node, rid, "nair")
    if (law.areas["documents"].approvals or 0) > 1:
        pair.approve(node, rid, "iyer", "security")
    node.dispatch([rid])
    return rid


def test_hours_from_question_to_answer_are_those_of_the_requests(either: Pair) -> None:
    rid = questioned(either, either.a)
    either.exchange()
    either.clock.forward(hours=3)
    (row,) = traffic(either.a).questions
    assert (row.rid, row.hours, row.waited, row.state) == (rid, None, 3.0, "open")
    questioned(either, either.b, request=rid)
    either.exchange()
    for node in either.nodes.values():
        (row,) = traffic(node).questions
        assert (row.hours, row.waited, row.state) == (3.0, 3.0, "answered")
        assert traffic(node, sees=lambda *_: False).questions == ()


def test_undertakings_stand_by_due_date_with_what_each_party_states(either: Pair) -> None:
    first, second = either.codes
    body = {
        "band": "", "basis": "", "from": first, "key": "k", "measure": "units", "source": "talks", "strength": "will",
        "text": {"en": "x"}, "to": second,
    }  # fmt: skip
    for key, due in (("late", "2026-05-01T00:00Z"), ("soon", "2026-07-01T00:00Z"), ("some day", "")):
        entered(either, either.a, "undertaking", body | {"key": key} | ({"due": due} if due else {}))
    either.exchange()
    entered(either, either.b, "undertaking", body | {"key": "soon", "due": "2026-06-15T00:00Z"})
    either.exchange()
    for node in either.nodes.values():
        found = traffic(node).dues
        assert [(one.key, one.due, one.passed) for one in found] == [
            ("late", "2026-05-01T00:00Z", True), ("soon", "2026-06-15T00:00Z", False), ("some day", "", False)
        ]  # fmt: skip
        assert found[1].state == "differ"
        assert dict(found[1].dues) == {first: "2026-07-01T00:00Z", second: "2026-06-15T00:00Z"}
        assert (found[0].by, found[0].to, found[0].state) == (first, second, f"only {first}")


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 3)), min_size=3, max_size=12))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_counts_sum_whatever_happens_and_are_the_same_at_both(
    make_pair: Callable[[], Pair], acts: list[tuple[str, int]]
) -> None:
    pair = make_pair()
    counter = itertools.count(1)
    for act, which in [("release", 0), *acts]:
        rids = [fact.rid for fact in pair.a.side.releases]
        try:
            befall(pair, act, rids[which % len(rids)] if rids else "", next(counter))
        except EntenteError:
            continue  # refused as it stands: nothing happened
        check_balance(pair)
    pair.exchange()
    check_balance(pair)
    check_same(pair)
