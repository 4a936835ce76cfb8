"""Whoever folds the two registers, in any order and batches, has the same facts and gives each release the same View.

Random seeded histories with lagging and lying `seen`, garbage, replays, revocations and a second version of the
agreement: the author's View when it writes, the partner's when it reads (in any split), an auditor's from scratch in
either order.
"""

import random

import msgspec
import pytest

from account.histories import (
    LATER,
    SAMPLES,
    History,
    Node,
    World,
    agreement,
    ahead,
    decisions,
    later,
    random_history,
    request_of,
    saved,
    saw,
    state_bytes,
    view_bytes,
)
from entente.account.fold import EMPTY_ROOT
from entente.account.view import view_for
from entente.keys import key_id
from entente.register.entry import Seen, parse_entry

FAST, SLOW = 35, 400


def check_history(made: History) -> None:
    """Every claim of this file about one history."""
    world, rng = made.world, made.rng
    written = {party: dict(node.views) for party, node in made.nodes.items()}
    for node in made.nodes.values():
        node.read()
    first, second = world.parties
    one, two = made.nodes[first], made.nodes[second]
    assert one.views == two.views
    for party in world.parties:
        assert written[party].items() <= one.views.items()
    assert state_bytes(one.pair) == state_bytes(two.pair)

    plain = world.fold()
    plain.extend({first: world.entries[first], second: world.entries[second]})
    turned = world.fold()
    turned.extend({second: world.entries[second], first: world.entries[first]})
    assert state_bytes(plain.pair) == state_bytes(turned.pair)
    assert state_bytes(plain.pair) == state_bytes(one.pair)
    assert state_bytes(saved(plain.pair)) == state_bytes(plain.pair)

    for party in world.parties:  # the partner reads anew, alone, in another split
        partner = world.other(party)
        assert ahead(world, partner).views == one.views
        split = Node(world, party)
        size = rng.choice([1, 2, 7])
        while split.pair.sides[party].size < len(world.entries[party]) or split.taken < len(world.entries[partner]):
            reach(split, size, rng)
        assert split.views == one.views
        assert state_bytes(split.pair) == state_bytes(one.pair)


def reach(node: Node, size: int, rng: random.Random) -> None:
    """Some more of both registers, as far as the cut stays causally closed."""
    world, cut = node.world, {}
    for party, side in node.pair.sides.items():
        cut[party] = min(len(world.entries[party]), side.size + rng.randint(0, size))
    growing = True
    while growing:
        growing = False
        for party, upto in cut.items():
            other = world.other(party)
            for data in world.entries[party][:upto]:
                if cut[other] < saw(world, other, data):
                    cut[other], growing = saw(world, other, data), True
    parts = {party: world.entries[party][node.pair.sides[party].size : upto] for party, upto in cut.items()}
    node.fold.extend(parts)


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("block", range(4))
def test_both_nodes_and_an_auditor_have_the_same_views_and_facts(sample: str, block: int) -> None:
    for seed in range(block * FAST // 4, (block + 1) * FAST // 4):
        check_history(random_history(sample, seed, 20 + seed % 25))


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES)
def test_many_longer_histories_have_the_same_views_and_facts(sample: str) -> None:
    for seed in range(1000, 1000 + SLOW):
        check_history(random_history(sample, seed, 30 + seed % 90))


def test_the_random_histories_reach_what_they_are_about() -> None:
    views, kinds, reasons = 0, set(), set()
    permits = 0
    for seed in range(24):
        made = random_history(SAMPLES[seed % 2], seed)
        for node in made.nodes.values():
            node.read()
        pair = next(iter(made.nodes.values())).pair
        permits += sum(decision.permit for decision in decisions(made.world).values())
        views += len(next(iter(made.nodes.values())).views)
        for party, side in pair.sides.items():
            wrong = {fault.idx for fault in side.invalid}
            reasons |= {fault.reason.split(":")[0] for fault in side.invalid}
            kinds |= {parse_entry(d).kind for i, d in enumerate(made.world.entries[party]) if i not in wrong}
    assert views > 100
    assert permits > 5
    assert kinds == {
        "genesis",
        "adopt",
        "key",
        "term",
        "assurance",
        "standing",
        "release",
        "order",
        "incident",
        "answer",
        "undertaking",
        "claim",
    }
    assert {"bad_seen", "format", "repeated act"} <= reasons


# Facts that must not leak from beyond the causal past, one by one


def ready(sample: str, *extra: object) -> World:
    return World(sample, *extra).begin()  # type: ignore[arg-type]


def put_release(world: World, party: str, *, seen: int | None = None, names: str = "ab", **core: object) -> int:
    body = world.release(party, world.core(party, **core), () if "standing" in core else world.people(party, names))
    return world.put(party, world.draft(party, "release", body, seen=seen))


def views_of(world: World, party: str) -> dict[int, bytes]:
    """The Views of a party's releases, the same for an auditor and for a partner whose own register is far ahead."""
    auditor = Node(world, party)
    auditor.fold.extend(world.entries)
    assert ahead(world, party).views == auditor.views
    return {idx: view for (who, idx), view in auditor.views.items() if who == party}


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_the_partner_states_later_never_reaches_an_earlier_view(sample: str) -> None:
    world = ready(sample)
    one, two = world.parties
    parent = put_release(world, two)
    rid = world.folded().sides[two].releases[0].rid
    idx = put_release(world, one, ancestors=[rid])
    put_release(world, one, seen=len(world.entries[two]))
    before = views_of(world, one)
    lead = world.by_authority(two)
    behind = idx  # the partner has not read the releases yet, and the last act alone has
    kem = world.kem_key(two, 0, revoked={"from_index": len(world.entries[two]), "reason": "lost"})
    for kind, body, by in (
        ("key", kem, lead),
        ("order", world.order(rid), world.people(two)),
        (
            "order",
            world.order(rid, "reclass", marking=world.marking(two, world.law.party[two].levels[-1])),
            world.people(two),
        ),
        ("assurance", world.assurance(two, world.law.party[two].levels[0]), lead),
        ("term", world.term("suspend"), world.people(two)),
        ("term", world.term("notice_of_end"), world.people(two)),
        ("answer", world.answer(two, [[0, 10_000]]), ()),
    ):
        world.put(two, world.draft(two, kind, body, by, seen=None if kind == "answer" else behind))
        assert not world.folded().sides[two].invalid
        assert views_of(world, one) == before, kind
    assert parent < len(world.entries[two])
    assert before[idx] != b""


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_the_author_states_later_never_reaches_its_earlier_view(sample: str) -> None:
    world = ready(sample)
    one, two = world.parties
    world.put(one, world.draft(one, "standing", world.standing(one), world.people(one)))
    act = next(iter(world.folded().sides[one].standings))
    put_release(world, one, standing=act)
    idx = put_release(world, one)
    before = views_of(world, one)
    rid = world.folded().sides[one].releases[1].rid
    lead = world.by_authority(one)
    size = len(world.entries[one])
    for kind, body, by in (
        ("standing", {"nonce": world.nonce(), "revokes": act}, world.people(one)),
        ("order", world.order(rid), world.people(one)),
        ("term", world.term("suspend"), world.people(one)),
        ("key", world.person_key(f"{one}/a", 1, replaces=key_id(world.person(f"{one}/a").public)), lead),
        ("key", world.person_key(f"{one}/b", revoked={"from_index": size + 9, "reason": "left"}), lead),
    ):
        world.put(one, world.draft(one, kind, body, by))
        assert not world.folded().sides[one].invalid
        found = views_of(world, one)
        assert {number: found[number] for number in before} == before, kind
    assert before[idx]
    assert two


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_partner_that_adopts_the_same_version_again_changes_no_earlier_view(sample: str) -> None:
    second = agreement(sample, 2)
    world = ready(sample, second)
    one, two = world.parties
    for party in world.parties:
        body = world.adopt(party, second, world.hash)
        world.put(party, world.draft(party, "adopt", body, world.by_authority(party)))
    core = world.core(one, agreement=second.hash)
    idx = world.put(
        one, world.draft(one, "release", world.release(one, core, world.people(one)), agreement=second.hash)
    )
    before, facts = views_of(world, one)[idx], world.folded().sides[one]
    assert second.hash.encode() in before
    again = world.adopt(two, second, world.hash)
    world.put(two, world.draft(two, "adopt", again, world.by_authority(two), agreement=second.hash, seen=idx))
    reader = ahead(world, one)
    assert not facts.invalid
    assert not reader.pair.sides[one].invalid
    assert views_of(world, one)[idx] == before


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("order", [0, 1])
def test_one_lying_seen_never_makes_an_honest_entry_invalid(sample: str, liar: int, order: int) -> None:
    """The lie names one entry more than the partner has; the partner then honestly sees the lying entry."""
    world = ready(sample)
    one, two = world.parties[liar], world.parties[1 - liar]
    honest = Node(world, two)
    honest.fold.extend({two: world.entries[two]})
    lie = Seen(1, len(world.entries[two]) + 1, "ab" * 32)
    wrong = world.put(one, world.draft(one, "assurance", world.assurance(one), world.by_authority(one), seen=lie))
    honest.read()
    honest.append(world.draft(two, "assurance", world.assurance(two), world.by_authority(two)))
    assert not honest.pair.sides[two].invalid
    auditor = world.fold()
    auditor.extend({party: world.entries[party] for party in (world.parties if order else world.parties[::-1])})
    assert [fault.idx for fault in auditor.pair.sides[one].invalid] == [wrong]
    assert not auditor.pair.sides[two].invalid
    assert state_bytes(auditor.pair) == state_bytes(honest.pair)


@pytest.mark.parametrize("sample", SAMPLES)
def test_asking_for_a_view_changes_no_fact_and_no_later_view(sample: str) -> None:
    world = ready(sample)
    one, two = world.parties
    put_release(world, one)
    idx = put_release(world, one)
    world.put(two, world.draft(two, "answer", world.answer(two, [[0, 10_000]])))
    world.at = later(world.at, 60 * 24 * 9)
    fold = world.fold()
    fold.extend(world.entries)
    before = state_bytes(fold.pair)
    request = request_of(world, one, idx + 1, parse_entry(world.entries[one][idx]))
    request = msgspec.structs.replace(request, at=world.at)
    size = len(world.entries[two])
    early = view_bytes(view_for(fold.pair, one, size - 1, request, world.laws))
    view_for(fold.pair, one, size, request, world.laws)
    assert view_bytes(view_for(fold.pair, one, size - 1, request, world.laws)) == early
    assert state_bytes(fold.pair) == before


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_unanswered_release_is_overdue_until_the_author_has_seen_the_answer(sample: str) -> None:
    world = ready(sample)
    one, two = world.parties
    hours = world.law.areas[world.area].answer_hours or 0
    put_release(world, one)
    world.at = later(world.at, 60 * (hours + 5))
    world.put(two, world.draft(two, "answer", world.answer(two, [[0, 10_000]])))
    unseen = put_release(world, one, seen=len(world.entries[two]) - 1)
    seen = put_release(world, one)
    views = views_of(world, one)
    assert b'"overdue_hours":5' in views[unseen]
    assert b'"overdue_hours":0' in views[seen]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_far_future_time_in_one_entry_stops_no_fold(sample: str) -> None:
    world = ready(sample)
    one, two = world.parties
    world.put(
        one, world.draft(one, "release", world.release(one, world.core(one), world.people(one)), at="9999-12-31T23:59Z")
    )
    reader = Node(world, two)
    reader.fold.extend(world.entries)
    assert reader.pair.sides[one].size == len(world.entries[one])


@pytest.mark.parametrize("sample", SAMPLES)
def test_acts_go_on_between_the_adoption_of_a_version_and_its_start(sample: str) -> None:
    second = agreement(sample, 2, "2026-09-01T00:00Z")
    world = ready(sample, second)
    one, two = world.parties
    for party in world.parties:
        body = world.adopt(party, second, world.hash)
        world.put(party, world.draft(party, "adopt", body, world.by_authority(party)))
    node = Node(world, one)
    node.fold.extend(world.entries)
    assert node.agreement(world.at) == world.hash  # what decide() will hold a release to
    put_release(world, one)
    world.put(two, world.draft(two, "answer", world.answer(two, [[0, 10_000]])))
    pair = world.folded()
    assert not pair.sides[one].invalid
    assert not pair.sides[two].invalid
    world.at = "2026-09-01T00:00Z"
    core = world.core(one, agreement=second.hash)
    world.put(one, world.draft(one, "release", world.release(one, core, world.people(one)), agreement=second.hash))
    assert not world.folded().sides[one].invalid


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_version_that_a_node_learns_late_leaves_it_with_the_facts_of_one_that_had_it(sample: str) -> None:
    """The node must have the bytes of an agreement before it folds its adopt, or fold again when they come."""
    second = agreement(sample, 2)
    world = ready(sample, second)
    two = world.parties[1]
    body = world.adopt(two, second, world.hash)
    world.put(two, world.draft(two, "adopt", body, world.by_authority(two)))
    early = world.fold()
    early.laws = {world.hash: world.laws[world.hash]}
    early.extend(world.entries)
    assert [fault.reason for fault in early.pair.sides[two].invalid] == ["unknown agreement"]
    again = world.fold()
    again.extend(world.entries)
    assert not again.pair.sides[two].invalid


def test_the_empty_register_has_the_root_of_nothing() -> None:
    world = World(SAMPLES[0])
    assert world.root(world.parties[0], 0) == EMPTY_ROOT
    assert world.seen(world.parties[0]).root == EMPTY_ROOT
    assert world.law.end > LATER
