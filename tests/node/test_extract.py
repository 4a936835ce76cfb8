"""The extract holds every decision and refusal of a period once, its totals sum, and anyone can redo its sample."""

import itertools
from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stix_objects import as_bytes, bundle_of, identifier, indicator

from entente.errors import EntenteError, FormatError, RefusedError, UsageError
from entente.node.extract import Extract, Row, each, extract, sample, totals
from entente.node.node import Node
from entente.node.propose import NothingCrossesError, Wish
from entente.treaty.marking import MarkingMap
from lab.acts import ordered
from lab.lives import ACTS, befall
from lab.pair import AREA, Pair, sighted

ALL = "2026-01-01T00:00Z", "2027-01-01T00:00Z"
GROUP = {
    "type": "intrusion-set", "spec_version": "2.1", "id": identifier("intrusion-set", 5), "name": "Sundew",
    "created": "2026-01-02T03:04:05.000Z", "modified": "2026-01-02T03:04:05.000Z",
}  # fmt: skip


def imported(pair: Pair, node: Node, *bodies: bytes) -> str:
    map_id = node.sign_map(MarkingMap(node.law.hash, AREA, (), pair.marking(node)), [pair.of(node, "iyer")])
    return node.import_file(AREA, bundle_of(*bodies), place="own.json", map_id=map_id).source


def of(found: Extract, what: str) -> list[Row]:
    return [row for row in found.rows if row.what == what]


def check_sums(found: Extract) -> None:
    assert sum(one.count for one in found.totals) == len(found.rows)
    assert sum(one.count for one in found.totals if one.refused) == sum(row.refused for row in found.rows)
    assert len({row.id for row in found.rows}) == len(found.rows)
    assert all(row.rule for row in found.rows if row.refused)
    assert not any(row.rule for row in found.rows if not row.refused)


def test_releases_drafts_objects_approvals_and_acts_stand_in_it_each_once(either: Pair) -> None:
    node = either.a
    nothing = imported(either, node, as_bytes(GROUP))
    with pytest.raises(NothingCrossesError):
        node.propose(nothing, Wish(f"{node.party}/rao"))
    left = node.propose(imported(either, node, as_bytes(GROUP), as_bytes(indicator(9))), Wish(f"{node.party}/rao"))
    with pytest.raises(RefusedError):
        either.approve(node, left.rid, "rao")
    with pytest.raises(RefusedError):
        either.approve(node, left.rid, "nair", "no such role")
    done = either.release(node, sighted(first=20))
    ordered(either, node, done.rid, "withdraw")
    found = extract(node, *ALL)
    check_sums(found)
    law = node.law.law
    withheld = law.areas[AREA].withhold or ()
    assert [(row.rule, row.article) for row in of(found, "object")] == [("withhold", withheld[0].article)] * 2
    assert [row.rid for row in of(found, "object")] == [nothing, left.rid]
    assert [(row.rid, row.outcome) for row in of(found, "draft")] == [(left.rid, "checked")]
    (release,) = of(found, "release")
    assert (release.rid, release.idx, release.article) == (done.rid, done.idx, node.side.releases[0].article)
    away = [row for row in of(found, "approval") if row.refused]
    assert [(row.by, row.rule) for row in away] == [
        ((f"{node.party}/rao",), "author"), ((f"{node.party}/nair",), "approval_valid")
    ]  # fmt: skip
    assert [row.article for row in away] == [law.rules.gate.get("author", ""), law.rules.decide["approval_valid"]]
    signed = [row for row in of(found, "approval") if row.rid == done.rid]
    assert {row.by[0] for row in signed} == set(release.by)
    acts = of(found, "act")
    assert [row.outcome for row in acts] == [f"order: {word}" for word in ("prepared", "signed", "signed", "entered")]
    assert {row.rid for row in acts} == {done.rid}
    assert acts[-1].idx == node.side.size - 1
    checks = [row for row in of(found, "check") if row.rid == done.rid]
    assert len(checks) == 2, "when it was proposed, and when it was dispatched"
    assert "Sundew" not in repr(found)


def test_the_receiver_says_what_it_answered(either: Pair) -> None:
    done = either.release(either.a)
    either.exchange()
    either.b.destroy(done.rid)
    found = extract(either.b, *ALL)
    check_sums(found)
    assert [(row.outcome, row.refused, row.rid) for row in of(found, "answer")] == [
        ("received", False, done.rid), ("destroyed", False, done.rid)
    ]  # fmt: skip


def test_a_draft_that_a_rule_refuses_stands_in_it_with_each_rule(pair: Pair) -> None:
    node = pair.a
    made = node.propose(imported(pair, node, as_bytes(indicator(1))), Wish(f"{node.party}/rao", retain_days=99_999))
    found = extract(node, *ALL)
    refused = [row for row in of(found, "check") if row.refused]
    assert [(row.rule, row.article, row.rid) for row in refused] == [
        ("retention", node.law.law.rules.decide["retention"], made.rid)
    ]
    check_sums(found)


def test_a_period_is_half_open(pair: Pair) -> None:
    pair.release(pair.a)
    first = pair.a.now()
    second = pair.clock.forward(minutes=1)
    pair.release(pair.a, sighted(first=20))
    assert [row.rid for row in of(extract(pair.a, first, second), "release")] == [pair.a.side.releases[0].rid]
    assert len(of(extract(pair.a, second, ALL[1]), "release")) == 1
    parts = [*extract(pair.a, ALL[0], second).rows, *extract(pair.a, second, ALL[1]).rows]
    assert {row.id for row in parts} == {row.id for row in extract(pair.a, *ALL).rows}
    with pytest.raises(UsageError):
        extract(pair.a, second, first)
    with pytest.raises(FormatError):
        extract(pair.a, "yesterday", second)


def test_a_reader_sees_the_rows_of_its_clearance_and_totals_of_these_alone(pair: Pair) -> None:
    levels = list(pair.a.law.law.rows[pair.a.party])
    for number, level in enumerate((levels[0], levels[-1])):
        pair.a.dispatch([pair.approved(pair.a, sighted(first=50 + 10 * number), level=level)])
    found = extract(pair.a, *ALL, sees=lambda row: row.rank == 0)
    assert len(of(found, "release")) == 1
    check_sums(found)
    assert len(of(extract(pair.a, *ALL), "release")) == 2


rows = st.lists(
    st.builds(
        Row, id=st.text(max_size=20), what=st.sampled_from(["a", "b"]), refused=st.booleans(), at=st.just(""),
        by=st.just(()), outcome=st.just(""), area=st.just(""), rank=st.just(0), rule=st.sampled_from(["", "x", "y"]),
        article=st.sampled_from(["1", "2"]),
    ), unique_by=lambda row: row.id, max_size=40,
)  # fmt: skip


@given(rows, st.integers(0, 10), st.text("abc123", min_size=1), st.randoms())
def test_a_sample_is_what_its_rule_says_in_whatever_order_rows_come(found, n, seed, random) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    def by_hand(refused: bool) -> list[str]:
        ids = [row.id for row in found if row.refused == refused]
        return sorted(ids, key=lambda own: sha256(seed.encode() + b"\n" + own.encode()).hexdigest())[:n]

    taken = sample(found, n, seed)
    assert [row.id for row in taken.granted] == by_hand(refused=False)
    assert [row.id for row in taken.refused] == by_hand(refused=True)
    assert taken.of_granted + taken.of_refused == len(found) == sum(one.count for one in totals(found))
    shuffled = list(found)
    random.shuffle(shuffled)
    assert sample(iter(shuffled), n, seed) == taken
    assert taken.seed == seed


def test_refusals_are_sampled_apart_so_that_many_grants_do_not_hide_them(pair: Pair) -> None:
    bodies = as_bytes(GROUP), *sighted(2, first=30)
    pair.a.propose(imported(pair, pair.a, *bodies), Wish(f"{pair.a.party}/rao"))
    for number in range(3):
        pair.release(pair.a, sighted(first=40 + 10 * number))
    taken = sample(each(pair.a, *ALL), 2, "talks of June")
    assert (len(taken.granted), len(taken.refused), taken.of_refused) == (2, 1, 1)
    for seed in ("", "x" * 201, "a\nb"):
        with pytest.raises(UsageError):
            sample([], 1, seed)


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 3)), min_size=3, max_size=10))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_totals_sum_whatever_happens(make_pair: Callable[[], Pair], acts: list[tuple[str, int]]) -> None:
    pair = make_pair()
    counter = itertools.count(1)
    for act, which in [("release", 0), ("exchange", 0), *acts]:
        rids = [fact.rid for fact in pair.a.side.releases]
        try:
            befall(pair, act, rids[which % len(rids)] if rids else "", next(counter))
        except EntenteError:
            continue  # refused as it stands: nothing happened
    for node in pair.nodes.values():
        found = extract(node, *ALL)
        check_sums(found)
        assert len(of(found, "release")) == len(node.side.releases)
        assert len(of(found, "answer")) == sum(len(fact.answers) for fact in node.other_side.releases)
        unsent = sum(draft.state != "dispatched" for draft in node.db.drafts())
        assert len(of(found, "draft")) == unsent
