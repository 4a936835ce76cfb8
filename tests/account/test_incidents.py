"""A case is one discovery from notice to measures; its reach is everything that derives from what it points at."""

from typing import Any

import pytest

from account.histories import SAMPLES
from account.scenes import DAY, Scene
from entente.account.incidents import Case, blast_radius, cases, highest


@pytest.fixture(params=SAMPLES)
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


def stated(scene: Scene, party: str, spans: list[list[int]], of: str = "", **other: Any) -> int:
    return scene.act(party, "incident", scene.incident(of or party, spans, **other))


def test_one_discovery_is_one_case_and_another_time_or_other_releases_are_another(scene: Scene) -> None:
    one, two = scene.one, scene.two
    rids = [scene.received(one) for _ in range(3)]
    first, second, third = (scene.fact(one, rid).idx for rid in rids)
    when = scene.at
    start = stated(scene, one, [[first, first]], discovered_at=when)
    apart = stated(scene, one, [[third, third]], discovered_at=when)
    scene.wait(DAY)
    stated(scene, one, [[first, second]], discovered_at=when, stage="findings")
    other_day = stated(scene, one, [[first, first]], discovered_at=scene.at)
    partners = stated(scene, two, [[first, first]], of=one, discovered_at=when, stage="measures")
    found = {(case.author, case.idx): case for case in cases(scene.pair)}
    assert set(found) == {(one, start), (one, apart), (one, other_day), (two, partners)}
    case = found[one, start]
    assert (case.stages, case.open, case.owes) == (("notice", "findings"), True, "measures")
    assert case.releases == tuple(sorted((one, rid) for rid in rids[:2]))
    assert (found[two, partners].open, found[two, partners].owes) == (False, None)


def test_an_entry_that_touches_two_cases_makes_them_one(scene: Scene) -> None:
    one = scene.one
    places = [scene.fact(one, scene.received(one)).idx for _ in range(2)]
    for idx in places:
        stated(scene, one, [[idx, idx]])
    assert len(cases(scene.pair)) == 2
    stated(scene, one, [[places[0], places[1]]], stage="findings")
    (case,) = cases(scene.pair)
    assert len(case.facts) == 3


def test_a_release_that_comes_later_is_never_drawn_into_a_case(scene: Scene) -> None:
    one, two = scene.one, scene.two
    before = scene.received(one)
    seen = len(scene.entries[one])
    unseen = scene.sent(one)
    stated(scene, one, [[0, 10_000]])
    scene.act(two, "incident", scene.incident(one, [[0, 10_000]]), seen=seen)
    scene.received(one)
    found = {case.author: set(case.releases) for case in cases(scene.pair)}
    assert found == {one: {(one, before), (one, unseen)}, two: {(one, before)}}


def row(scene: Scene, case: Case, rid: str) -> Any:
    return next(row for row in blast_radius(scene.pair, scene.laws, case.releases) if row.rid == rid)


def test_it_reaches_every_derivative_in_either_register_and_no_other(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = scene.received(one, copies=1)
    beside = scene.received(one)
    second = scene.received(two, first, beside)
    third = scene.sent(one, second)
    scene.received(two, beside)
    scene.received(one)
    stated(scene, one, [[scene.fact(one, first).idx] * 2])
    (case,) = cases(scene.pair)
    rows = blast_radius(scene.pair, scene.laws, case.releases)
    assert [(found.steps, found.party, found.rid) for found in rows] == [
        (0, one, first),
        (1, two, second),
        (2, one, third),
    ]
    assert [(found.state, found.holder) for found in rows] == [
        ("received", two),
        ("received", one),
        ("dispatched", None),
    ]


def test_it_tells_copies_holders_and_the_highest_marking(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = scene.sent(one, copies=5 if scene.sample == SAMPLES[0] else 7)
    scene.answered(two, scene.fact(one, first).idx, copies=3)
    second = scene.received(two, first)
    scene.marked(one, first, scene.crossing(one, 2))
    stated(scene, two, [[scene.fact(one, first).idx] * 2], of=one)
    (case,) = cases(scene.pair)
    assert (row(scene, case, first).copies_answered, row(scene, case, second).copies_answered) == (3, None)
    assert row(scene, case, first).copies == scene.fact(one, first).copies
    assert row(scene, case, second).marking.level == scene.crossing(two, 2)
    rows = blast_radius(scene.pair, scene.laws, case.releases)
    assert highest(rows, scene.laws, scene.hash) == {one: scene.crossing(one, 2), two: scene.crossing(two, 2)}
    scene.ordered(two, second)
    assert (row(scene, case, second).state, row(scene, case, second).holder) == ("withdrawn", one)
    scene.answered(one, scene.fact(two, second).idx, "returned")
    assert (row(scene, case, second).state, row(scene, case, second).holder) == ("ended", None)
