"""Duties follow from both registers and a time: alike on both nodes, to the minute, beyond the agreement's end."""

from datetime import timedelta

import pytest

from account.histories import SAMPLES, Node, World, later, random_history
from account.scenes import DAY, Scene
from entente.account.duties import duties
from entente.account.view import overdue_hours
from entente.strict import parse_time

FOR_EVER = 'protection_after_end = "for ever"'
NONE = 'protection_after_end = "none"'
PROTECTION = dict(zip(SAMPLES, (FOR_EVER, NONE), strict=True))


@pytest.fixture(params=SAMPLES)
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


# Answers


def test_every_act_that_calls_for_an_answer_is_owed_one_until_it_is_answered(scene: Scene) -> None:
    one, two = scene.one, scene.two
    rid = scene.sent(one)
    order = scene.ordered(one, rid, "return")
    incident = scene.act(one, "incident", scene.incident(one, [[scene.fact(one, rid).idx] * 2]))
    hours = scene.law.areas[scene.area].answer_hours or 0
    due = later(scene.at, 60 * hours)
    owed = scene.owed("answer")
    assert [(duty.cause, duty.idx, duty.due) for duty in owed] == [
        ("release", scene.fact(one, rid).idx, due),
        ("order", order, due),
        ("incident", incident, due),
    ]
    assert {(duty.owed_by, duty.owed_to, duty.area) for duty in owed} == {(two, one, scene.area)}
    assert {duty.article for duty in owed} == {scene.law.rules.decide["answers"]}
    assert not any(duty.overdue for duty in scene.owed("answer", later(due, -1)))
    assert all(duty.overdue for duty in scene.owed("answer", due))
    for idx in (scene.fact(one, rid).idx, order, incident):
        scene.answered(two, idx, "applied")
    assert scene.owed("answer") == []


def test_a_withdrawn_release_is_owed_no_answer_but_its_order_is(scene: Scene) -> None:
    rid = scene.sent(scene.one)
    order = scene.ordered(scene.one, rid)
    assert [(duty.cause, duty.idx) for duty in scene.owed("answer")] == [("order", order)]


def test_an_incident_is_answered_in_the_shortest_time_of_its_areas_and_one_about_nothing_in_none() -> None:
    scene = Scene(SAMPLES[0])
    one = scene.one
    first = scene.fact(one, scene.sent(one, area="documents", article="4(1)", format="document-1")).idx
    last = scene.fact(one, scene.sent(one, area="space", article="13(1)", format="ccsds-ndm")).idx
    about = scene.act(one, "incident", scene.incident(one, [[first, last]]))
    empty = scene.act(one, "incident", scene.incident(one, [[0, 0]], discovered_at="2026-02-01T00:00Z"))
    found = {duty.idx: duty for duty in scene.owed("answer") if duty.cause == "incident"}
    assert found[about].due == later(scene.at, 2 * 60)
    assert found[about].area == ""
    assert (found[empty].due, found[empty].overdue) == (None, False)


@pytest.mark.parametrize("sample", SAMPLES)
def test_rule_21_counts_the_hours_by_which_the_oldest_answer_is_overdue(sample: str) -> None:
    """The figure in the View and the duties are computed by different ways; in random histories they are one."""
    late = 0
    for seed in range(30):
        world = random_history(sample, seed, 40).world
        pair = world.folded()
        for ahead in (0, 60 * 23, 60 * 31, 60 * 24 * 9, 60 * 24 * 9 + 59):
            at = later(world.at, ahead)
            for side in pair.sides.values():
                dues = [
                    parse_time(duty.due)
                    for duty in duties(pair, world.laws, at)
                    if (duty.kind, duty.cause, duty.owed_to) == ("answer", "release", side.party) and duty.due
                ]
                hours = max([0, *((parse_time(at) - due) // timedelta(hours=1) for due in dues)])
                assert overdue_hours(side, pair.other(side.party).size, at, world.laws) == hours
                late += hours > 0
    assert late > 30


# Return or destroy


def test_what_is_held_is_owed_back_from_its_receipt_and_overdue_after_its_days(scene: Scene) -> None:
    one, two = scene.one, scene.two
    rid = scene.received(one, retain_days=3)
    end = later(scene.at, 3 * DAY)
    (before,) = scene.owed("return_or_destroy", later(end, -1))
    (duty,) = scene.owed("return_or_destroy", end)
    assert (before.due, before.overdue) == (end, False)
    assert (duty.cause, duty.owed_by, duty.owed_to, duty.rid, duty.due) == ("retention", two, one, rid, end)
    assert duty.article == scene.law.rules.decide["retention"]
    assert duty.overdue
    scene.answered(two, scene.fact(one, rid).idx, "returned")
    assert scene.owed("return_or_destroy", end) == []


@pytest.mark.parametrize(("act", "cause"), [("withdraw", "withdrawn"), ("return", "return"), ("destroy", "destroy")])
def test_what_is_called_back_must_go_at_once_if_it_was_received(scene: Scene, act: str, cause: str) -> None:
    one, two = scene.one, scene.two
    held, never = scene.received(one), scene.sent(one)
    scene.answered(two, scene.fact(one, never).idx, "no_blob")
    for rid in (held, never):
        scene.ordered(one, rid, act)
    (duty,) = scene.owed("return_or_destroy")
    assert (duty.cause, duty.rid, duty.due, duty.overdue) == (cause, held, scene.at, True)


def test_what_went_home_is_owed_back_by_nobody(scene: Scene) -> None:
    one, two = scene.one, scene.two
    rid = scene.received(one)
    scene.received(two, rid, marking=scene.marking(one, scene.crossing(one, 0)))
    assert [duty.rid for duty in scene.owed("return_or_destroy")] == [rid]
    scene.answered(two, scene.fact(one, rid).idx, "returned")
    assert scene.owed("return_or_destroy") == []


# The end of the agreement: D27, D28


def ended(scene: Scene) -> str:
    """The end of the term, of which notice was given as late as the agreement allows."""
    limit = scene.law.notice_limit(scene.law.end)
    scene.act(scene.one, "term", scene.term("notice_of_end"), scene.people_until(scene.one), at=limit)
    return scene.law.end


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize(("words", "days"), [(FOR_EVER, None), (NONE, 0), ("protection_after_end = 30", 30)])
def test_protection_goes_on_after_the_end_for_as_long_as_the_agreement_says(
    sample: str, words: str, days: int | None
) -> None:
    scene = Scene(sample, (PROTECTION[sample], words))
    scene.received(scene.one, retain_days=3)
    end = ended(scene)
    last = later(end, (days if days is not None else 36_500) * DAY)
    assert len(scene.owed("return_or_destroy", later(end, -1))) == 1
    assert len(scene.owed("return_or_destroy", later(last, -1))) == 1
    assert len(scene.owed("return_or_destroy", last)) == (days is None)
    unanswered = scene.sent(scene.one)
    assert [duty.rid for duty in scene.owed("answer", later(end, 99 * DAY)) if duty.cause == "release"] == [unanswered]


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("late", [0, 1])
def test_a_notice_one_minute_late_ends_no_protection(sample: str, late: int) -> None:
    scene = Scene(sample, (PROTECTION[sample], NONE))
    scene.received(scene.one, retain_days=3)
    limit = later(scene.law.notice_limit(scene.law.end), late)
    scene.act(scene.two, "term", scene.term("notice_of_end"), scene.people_until(scene.two), at=limit)
    assert len(scene.owed("return_or_destroy", scene.law.end)) == late


# Reports


def test_an_incident_owes_findings_then_measures_then_nothing(scene: Scene) -> None:
    one = scene.one
    rid = scene.received(one)
    idx = scene.fact(one, rid).idx
    when = {"discovered_at": scene.at}
    first = scene.act(one, "incident", scene.incident(one, [[idx, idx]], **when))
    owed = []
    for stage in ("", "findings", "measures"):
        if stage:
            scene.wait(DAY)
            scene.act(one, "incident", scene.incident(one, [[0, idx]], stage=stage, **when))
        owed += [(duty.cause, duty.owed_by, duty.idx, duty.rid, duty.due) for duty in scene.owed("report")]
    assert owed == [("findings", one, first, rid, None), ("measures", one, first, rid, None)]


# Assurances


def test_an_assurance_that_covers_what_is_held_is_renewed_in_time(scene: Scene) -> None:
    one, two = scene.one, scene.two
    until = later(scene.at, 400 * DAY)
    body = scene.assurance(two, until=until)
    idx = scene.act(two, "assurance", body, scene.by_authority(two))
    first = later(until, -(scene.law.notice_days or 30) * DAY)
    assert scene.owed("renew_assurance", first) == [], "nothing is held under it"
    rid = scene.received(one)
    assert scene.owed("renew_assurance", later(first, -1)) == []
    (duty,) = scene.owed("renew_assurance", first)
    assert (duty.owed_by, duty.owed_to, duty.origin, duty.idx) == (two, one, scene.origins[two], idx)
    assert (duty.due, duty.overdue, duty.area) == (until, False, scene.area)
    assert scene.owed("renew_assurance", until)[0].overdue
    scene.act(two, "assurance", scene.assurance(two), scene.by_authority(two))
    assert scene.owed("renew_assurance", until) == []
    scene.act(two, "assurance", body | {"nonce": scene.nonce()}, scene.by_authority(two))
    scene.answered(two, scene.fact(one, rid).idx, "returned")
    assert scene.owed("renew_assurance", until) == []


def test_an_assurance_below_what_is_held_is_owed_anew_with_no_time(scene: Scene) -> None:
    one, two = scene.one, scene.two
    rid = scene.received(one)
    scene.act(two, "assurance", scene.assurance(two, scene.crossing(two, 1)), scene.by_authority(two))
    assert scene.owed("renew_assurance") == []
    scene.marked(one, rid, scene.crossing(one, 2))
    assert [(duty.owed_by, duty.due) for duty in scene.owed("renew_assurance")] == [(two, None)]


def test_a_units_assurance_is_renewed_apart_from_the_governments(scene: Scene) -> None:
    one, two = scene.one, scene.two
    until = later(scene.at, 10 * DAY)
    scene.act(two, "assurance", scene.assurance(two, units=["unit-1"], until=until), scene.by_authority(two))
    scene.received(one, units=["unit-1"])
    (duty,) = scene.owed("renew_assurance")
    assert (duty.cause, duty.due, duty.article) == ("unit-1", until, scene.law.rules.decide["units"])


# Both nodes


@pytest.mark.parametrize("sample", SAMPLES)
def test_both_nodes_have_the_same_duties_in_random_histories(sample: str) -> None:
    kinds = set()
    for seed in range(10):
        made = random_history(sample, seed, 50)
        world: World = made.world
        for node in made.nodes.values():
            node.read()
        fresh = Node(world, world.parties[0])
        fresh.fold.extend(world.entries)
        for at in (world.at, later(world.at, 40 * DAY), "2035-01-01T00:00Z"):
            found = {duties(node.pair, world.laws, at) for node in (*made.nodes.values(), fresh)}
            assert len(found) == 1
            kinds |= {duty.kind for duty in found.pop()}
    assert kinds == {"answer", "return_or_destroy", "report", "renew_assurance"}
