"""Raising a release raises what derives from it, in both registers, however deep; lowering never does."""

import random

import msgspec
import pytest

from account.histories import SAMPLES, Node, World, decisions, random_history, view_bytes
from account.scenes import Scene
from entente.account.cascade import Cascade, carried, scale_of
from entente.account.state import FORM, Pair, ReleaseFact, Side
from entente.account.view import view_for
from entente.register.entry import parse_entry
from entente.strict import canonical
from entente.treaty.approval import Core, Sealed, rid_of
from entente.treaty.marking import Marking
from entente.treaty.request import Request, sealed_ref


@pytest.fixture(params=SAMPLES)
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


def test_raising_the_first_raises_the_whole_line_in_each_scale(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = scene.received(one)
    second = scene.received(two, first)
    third = scene.received(one, second)
    apart = scene.received(two)
    assert [scene.level(one, first), scene.level(two, second)] == [scene.crossing(one, 0), scene.crossing(two, 0)]
    scene.marked(one, first, scene.crossing(one, 2))
    assert scene.level(one, first) == scene.crossing(one, 2)
    assert scene.level(two, second) == scene.crossing(two, 2)
    assert scene.level(one, third) == scene.crossing(one, 2)
    assert scene.level(two, apart) == scene.crossing(two, 0)


def test_lowering_again_leaves_what_derives_raised_until_its_own_author_lowers_it(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = scene.received(one)
    second = scene.received(two, first)
    scene.marked(one, first, scene.crossing(one, 2))
    scene.marked(one, first, scene.crossing(one, 1))
    assert scene.level(one, first) == scene.crossing(one, 1)
    assert scene.level(two, second) == scene.crossing(two, 2)
    scene.marked(two, second, scene.crossing(two, 0))
    assert scene.level(two, second) == scene.crossing(two, 1), "no lower than what it derives from is now"


def test_an_author_that_had_not_seen_the_lowering_keeps_what_it_stated_against_the_raise(scene: Scene) -> None:
    """Its statement counts from what it had seen: the raise that crossed it still holds."""
    one, two = scene.one, scene.two
    first = scene.received(one)
    second = scene.received(two, first)
    seen = len(scene.entries[one])
    scene.marked(one, first, scene.crossing(one, 2))
    scene.marked(one, first, scene.crossing(one, 0))
    scene.marked(two, second, scene.crossing(two, 0), seen=seen)
    assert scene.level(two, second) == scene.crossing(two, 2)
    scene.marked(two, second, scene.crossing(two, 0))
    assert scene.level(two, second) == scene.crossing(two, 0)


def test_a_lower_ancestor_never_lowers(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = scene.received(one, marking=scene.marking(one, scene.crossing(one, 1)))
    second = scene.received(two, first, marking=scene.marking(two, scene.crossing(two, 2)))
    scene.marked(one, first, scene.crossing(one, 0))
    assert scene.level(two, second) == scene.crossing(two, 2)


def test_caveats_are_added_and_releasability_narrows() -> None:
    scene = Scene(SAMPLES[0])
    one, two = scene.one, scene.two
    first = scene.received(one)
    second = scene.received(two, first)
    caveat = scene.law.caveats[0]
    scene.marked(one, first, caveats=[caveat], releasable_to=[one])
    now = scene.now(two, second)
    assert now.caveats == (caveat,)
    assert now.releasable_to == (one,)
    assert now.originator == two
    assert now.level == scene.crossing(two, 0)


def test_what_is_raised_above_every_row_may_not_be_built_upon(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = scene.received(one)
    second = scene.received(two, first)
    third = scene.sent(one, second)
    top = next(level for level in reversed(scene.law.party[one].levels) if level not in scene.law.rows[one])
    before = decisions(scene)[one, scene.fact(one, third).idx]
    assert before.permit
    scene.marked(one, first, top)
    cascade = Cascade(scene.pair, scene.pair.sizes, scene.laws)
    assert not cascade.of(scene.side(two), scene.fact(two, second)).known
    assert not cascade.of(scene.side(one), scene.fact(one, third)).known
    scene.act(two, "assurance", scene.assurance(two), scene.by_authority(two))  # has seen the raise
    fourth = scene.sent(one, second)
    found = {finding.rule: finding for finding in decisions(scene)[one, scene.fact(one, fourth).idx].findings}
    assert not found["join"].ok
    assert found["join"].observed == found["ancestors"].observed == "unknown:ancestors"
    assert b'"onward":false' in scene.account()


def test_the_view_shows_the_raised_marking_only_from_the_entry_that_saw_it(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = scene.received(one)
    second = scene.received(two, first)
    unaware = scene.sent(one, second)
    scene.marked(one, first, scene.crossing(one, 1))
    low = scene.sent(one, second)
    high = scene.sent(one, second, marking=scene.marking(one, scene.crossing(one, 1)))
    found = {rid: decisions(scene)[one, scene.fact(one, rid).idx].permit for rid in (unaware, low, high)}
    assert found == {unaware: True, low: False, high: True}


def test_an_ancestor_beyond_the_cut_counts_as_unknown(scene: Scene) -> None:
    """Its id was told before it stood: at the older cut nobody may build on what names it, whoever holds more now."""
    one, two = scene.one, scene.two
    coming = scene.core(two)
    first = scene.sent(one, rid_of(canonical(coming)))
    second = scene.sent(two, first)
    cut = scene.pair.sizes
    scene.act(two, "release", scene.release(two, coming, scene.people(two)), [])
    assert not Cascade(scene.pair, cut, scene.laws).of(scene.side(two), scene.fact(two, second)).known
    assert Cascade(scene.pair, scene.pair.sizes, scene.laws).of(scene.side(two), scene.fact(two, second)).known


def test_a_line_of_a_thousand_derivatives_is_raised_without_a_deep_stack() -> None:
    side, other = Side("AAA", "a"), Side("BBB", "b")
    pair = Pair({"AAA": side, "BBB": other}, FORM)
    scene = Scene(SAMPLES[1])
    sample = scene.fact(scene.one, scene.sent(scene.one))
    for number in range(3000):
        here = (side, other)[number % 2]
        line = (f"{number - 1:064x}",) if number else ()
        mark = msgspec.structs.replace(sample.marking, originator=here.party, level="AMBER" if not number else "CLEAR")
        fact = msgspec.structs.replace(
            sample, idx=number // 2, rid=f"{number:064x}", marking=mark, ancestors=line, seen=number // 2 + 1
        )
        here.by_rid[fact.rid] = here.by_idx[fact.idx] = len(here.releases)
        here.releases.append(fact)
    cut = {"AAA": 1500, "BBB": 1500}
    assert Cascade(pair, cut, scene.laws).of(other, other.releases[-1]).marking.level == "AMBER"


# Random histories against the definition, read word by word


def plainly(
    world: World, pair: Pair, cut: dict[str, int], side: Side, fact: ReleaseFact, number: int
) -> Marking | None:
    """What has held of a release since its `number`-th statement, by recursion; None where it cannot be told."""
    law, other = world.laws[fact.acts_under].law, pair.other(side.party)
    scale = scale_of(fact.marking, side.party, law)
    stated = fact.statements(cut[side.party])
    held = [mark for _, mark in stated[number:]]
    for rid in fact.ancestors:
        parent = other.release(rid)
        if parent is None or parent.idx >= cut[other.party]:
            return None
        since = sum(1 for order in parent.orders if order.marking is not None and order.idx < stated[number][0])
        above = plainly(world, pair, cut, other, parent, since)
        word = above and carried(above.level, scale_of(above, other.party, law), scale, law)
        if above is None or word is None:
            return None
        held.append(msgspec.structs.replace(above, level=word))
    if any(mark.level not in law.ranks[scale] for mark in held):
        return None
    return Marking(
        caveats=tuple(sorted(set().union(*(mark.caveats for mark in held)))),
        level=max((mark.level for mark in held), key=law.ranks[scale].__getitem__),
        originator=fact.marking.originator,
        purpose=stated[-1][1].purpose,
        releasable_to=tuple(sorted(set.intersection(*(set(mark.releasable_to) for mark in held)))),
    )


def at_least(law_ranks: dict[str, int], upper: Marking, lower: Marking) -> bool:
    return (
        law_ranks[upper.level] >= law_ranks[lower.level]
        and set(upper.caveats) >= set(lower.caveats)
        and set(upper.releasable_to) <= set(lower.releasable_to)
    )


@pytest.mark.parametrize("sample", SAMPLES)
def test_in_random_histories_every_marking_is_that_of_the_definition_and_falls_by_its_author_alone(sample: str) -> None:
    raised = lines = 0
    for seed in range(12):
        world = random_history(sample, seed, 60).world
        pair, rng = world.folded(), random.Random(seed)
        sizes = sorted(rng.randint(0, side.size) for side in pair.sides.values())
        early = {party: min(size, pair.sides[party].size) for party, size in zip(pair.sides, sizes, strict=True)}
        before, after = Cascade(pair, early, world.laws), Cascade(pair, pair.sizes, world.laws)
        for side in pair.sides.values():
            for fact in side.releases:
                now = after.of(side, fact)
                want = plainly(world, pair, pair.sizes, side, fact, len(fact.statements(side.size)) - 1)
                assert (now.marking if now.known else None) == want
                lines += bool(fact.ancestors)
                law = world.laws[fact.acts_under].law
                ranks = law.ranks[scale_of(fact.marking, side.party, law)]
                if now.known:
                    raised += now.marking != fact.statements(side.size)[-1][1]
                stated = [order.idx for order in fact.orders if order.marking is not None]
                silent = fact.idx < early[side.party] and not any(idx >= early[side.party] for idx in stated)
                if silent and before.of(side, fact).known and now.known:
                    assert at_least(ranks, now.marking, before.of(side, fact).marking)
    assert lines > 20
    assert raised > 2


@pytest.mark.parametrize("sample", SAMPLES)
def test_asking_for_a_view_at_an_older_cut_gives_the_marking_of_that_cut(sample: str) -> None:
    scene = Scene(sample)
    one, two = scene.one, scene.two
    first = scene.received(one)
    size = len(scene.entries[one])
    second = scene.sent(two, first)
    scene.marked(one, first, scene.crossing(one, 1))
    node = Node(scene, two)
    node.fold.extend(scene.entries)
    entry = parse_entry(scene.entries[two][scene.fact(two, second).idx])
    core, sealed = msgspec.convert(entry.body["core"], Core), msgspec.convert(entry.body["sealed"], Sealed)
    asked = Request(scene.origins[two], scene.side(two).size, scene.at, core, sealed_ref(sealed), ())
    old = view_for(node.pair, two, size, asked, scene.laws)
    new = view_for(node.pair, two, len(scene.entries[one]), asked, scene.laws)
    assert old.ancestors[first].marking.level == scene.crossing(one, 0)
    assert new.ancestors[first].marking.level == scene.crossing(one, 1)
    assert view_bytes(old) != view_bytes(new)
