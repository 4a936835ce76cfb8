"""The account of both registers at a cut is the same bytes on both nodes; every record in it stands in one state."""

import hashlib
import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from account.histories import SAMPLES, later, random_history, saved
from account.scenes import DAY, Scene
from entente.account.duties import duties
from entente.account.reconcile import STATES, reconcile
from entente.account.state import Pair
from entente.strict import parse

Line = dict[str, Any]


def lines_of(text: bytes) -> list[Line]:
    return [parse(line) for line in text.splitlines()]


def of(lines: list[Line], kind: str) -> list[Line]:
    return [line for line in lines if line["kind"] == kind]


@pytest.fixture(params=SAMPLES)
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


@pytest.mark.parametrize("sample", SAMPLES)
def test_both_nodes_and_a_fold_in_pieces_write_the_same_bytes(sample: str) -> None:
    kinds: set[str] = set()
    for seed in range(15):
        made = random_history(sample, seed, 60)
        world, rng = made.world, random.Random(seed)
        for node in made.nodes.values():
            node.read()
        turned = world.fold()
        turned.extend({party: world.entries[party] for party in reversed(world.parties)})
        at = later(world.at, rng.choice([0, 9 * DAY, 90 * DAY]))
        roots = {party: world.root(party, len(world.entries[party])) or "" for party in world.parties}
        pairs = [*(node.pair for node in made.nodes.values()), turned.pair, saved(turned.pair)]
        texts = {reconcile(pair, roots, world.hash, at, world.laws) for pair in pairs}
        assert len(texts) == 1
        text = texts.pop()
        lines = lines_of(text)
        kinds |= {line["kind"] for line in lines}
        body = text[: text.rstrip(b"\n").rindex(b"\n") + 1]
        assert lines[-1] == {"kind": "sha256", "sha256": hashlib.sha256(body).hexdigest()}
        keys = [(line["kind"], line["origin"], line["idx"]) for line in lines[1:-1] if line["kind"] != "total"]
        assert keys == sorted(keys)
        assert [line["kind"] for line in lines].index("total") == len(keys) + 1
    assert kinds == {
        "header", "release", "duty", "undertaking", "claim", "incident", "standing", "invalid", "total", "sha256",
    }  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES)
def test_custody_balances_to_zero_in_every_direction_area_and_level(sample: str) -> None:
    """What crossed is, record for record, what is received, disputed, on its way, withdrawn or ended."""
    met: set[str] = set()
    for seed in range(20):
        world = random_history(sample, seed, 60).world
        roots = {party: world.root(party, len(world.entries[party])) or "" for party in world.parties}
        lines = lines_of(reconcile(world.folded(), roots, world.hash, world.at, world.laws))
        crossed: Counter[tuple[str, ...]] = Counter()
        for line in of(lines, "release"):
            sender, recipient = line["origin"].split("/")[2].split("-to-")
            crossed[f"{sender}>{recipient}", line["area"], line["level"]] += 1
            met.add(line["state"])
        totals = {(line["direction"], line["area"], line["level"]): line for line in of(lines, "total")}
        assert {key: line["releases"] for key, line in totals.items()} == crossed
        for line in totals.values():
            assert line["records"] - sum(line[state] for state in STATES) == 0
    assert met == set(STATES)


def test_a_total_counts_the_records_of_each_release_once(scene: Scene) -> None:
    one, two = scene.one, scene.two
    held = scene.received(one, records={"count": 3, "root": "00" * 32})
    scene.sent(one, records={"count": 5, "root": "00" * 32})
    ended = scene.received(one, records={"count": 7, "root": "00" * 32})
    scene.answered(two, scene.fact(one, ended).idx, "returned")
    scene.marked(one, held, scene.crossing(one, 1))
    totals = of(lines_of(scene.account()), "total")
    found = {(line["level"], line["records"], *(line[state] for state in STATES)) for line in totals}
    assert found == {(scene.crossing(one, 0), 12, 5, 0, 0, 0, 7), (scene.crossing(one, 1), 3, 0, 3, 0, 0, 0)}


def test_a_derivative_counts_at_the_level_that_it_was_raised_to(scene: Scene) -> None:
    first = scene.received(scene.one)
    second = scene.received(scene.two, first)
    scene.marked(scene.one, first, scene.crossing(scene.one, 2))
    lines = {line["rid"]: line["level"] for line in of(lines_of(scene.account()), "release")}
    assert lines == {first: scene.crossing(scene.one, 2), second: scene.crossing(scene.two, 2)}


def test_the_duties_in_it_are_those_of_the_time_it_is_drawn_for(scene: Scene) -> None:
    rid = scene.received(scene.one, retain_days=2)
    for at, overdue in ((scene.at, False), (later(scene.at, 2 * DAY), True)):
        owed = duties(scene.pair, scene.laws, at)
        shown = of(lines_of(scene.account(at)), "duty")
        assert [(line["duty"], line["rid"], line["overdue"]) for line in shown] == [
            (duty.kind, duty.rid, duty.overdue) for duty in owed
        ]
        assert [(duty.rid, duty.overdue) for duty in owed] == [(rid, overdue)]


def test_both_sides_words_stand_under_their_codes(scene: Scene) -> None:
    one, two = scene.one, scene.two
    mine = scene.act(one, "undertaking", scene.undertaking(one, key="k", source="minutes"))
    theirs = scene.act(two, "undertaking", scene.undertaking(two, key="k", **{"from": one, "to": two}))
    scene.act(two, "undertaking", scene.undertaking(two, key="alone"))
    scene.act(one, "claim", scene.claim(value="done"), scene.people(one, "a"))
    scene.act(two, "claim", scene.claim(value="open"), scene.people(two, "a"))
    lines = lines_of(scene.account())
    both, alone = sorted(of(lines, "undertaking"), key=lambda line: line["key"], reverse=True)
    assert (both["state"], both["origin"], both["idx"]) == ("agree", scene.origins[one], mine)
    assert {party: stated["idx"] for party, stated in both["stated"].items()} == {one: mine, two: theirs}
    assert (alone["state"], alone["origin"], list(alone["stated"])) == (f"only {two}", scene.origins[two], [two])
    (claim,) = of(lines, "claim")
    assert (claim["state"], claim["fields"]) == ("differ", ["value"])


def test_an_open_case_and_a_standing_approval_with_its_use_are_in_it(scene: Scene) -> None:
    one = scene.one
    scene.act(one, "standing", scene.standing(one))
    act = next(iter(scene.side(one).standings))
    core = scene.core(one, standing=act)
    idx = scene.act(one, "release", scene.release(one, core), [])
    scene.act(one, "incident", scene.incident(one, [[idx, idx]]))
    lines = lines_of(scene.account())
    (standing,), (case,) = of(lines, "standing"), of(lines, "incident")
    assert (standing["act"], standing["state"]) == (act, "live")
    assert standing["used"] == {"bytes": core["bytes_padded"], "count": 1}
    assert (case["stages"], case["releases"]) == (["notice"], 1)
    scene.act(one, "incident", scene.incident(one, [[idx, idx]], stage="measures"))
    scene.act(one, "standing", {"nonce": scene.nonce(), "revokes": act})
    lines = lines_of(scene.account())
    assert (of(lines, "incident"), of(lines, "standing")[0]["state"]) == ([], "revoked")


def test_a_fold_saved_in_the_form_before_is_computed_again(scene: Scene) -> None:
    """It knows no ancestors: were it believed, a raise would be lost."""
    scene.received(scene.one)
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(scene.pair))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plain), type=Pair, strict=False) == scene.pair
    for form in ({}, {"form": 1}):
        old = {**{name: value for name, value in plain.items() if name != "form"}, **form}
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=Pair, strict=False)
