"""One party has one current statement under a key; what both say is held together field by field."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from account.histories import SAMPLES
from account.scenes import Scene
from entente.account.claim import claims, consents
from entente.account.undertaking import undertakings
from entente.register.entry import act_id, parse_entry


@pytest.fixture(params=SAMPLES)
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


def state(scene: Scene, party: str, seen: int | None = None, **other: Any) -> str:
    """The act id of an undertaking that stands."""
    idx = scene.act(party, "undertaking", scene.undertaking(party, **other), seen=seen)
    return act_id(scene.origins[party], parse_entry(scene.entries[party][idx]))


def refused(scene: Scene, party: str, **other: Any) -> str:
    """Why an undertaking does not count."""
    seen = other.pop("seen", None)
    return scene.attempt(party, "undertaking", scene.undertaking(party, **other), scene.people(party), seen=seen)


def owing(debtor: str, to: str) -> dict[str, Any]:
    return {"from": debtor, "to": to}


def told(scene: Scene, key: str = "t/1") -> tuple[str, tuple[str, ...]]:
    found = next(held for held in undertakings(scene.pair) if held.key == key)
    return found.state, found.fields


def test_it_is_from_one_party_to_the_other_either_way(scene: Scene) -> None:
    one, two = scene.one, scene.two
    state(scene, one, key="a")
    state(scene, one, key="b", **owing(two, one))
    for debtor, to in ((one, one), (two, two), (one, "ZZZ"), ("ZZZ", two)):
        assert refused(scene, one, key="c", **owing(debtor, to)) == ("an undertaking is from one party to the other")
    assert set(scene.side(one).undertaken) == {"a", "b"}


def test_a_second_statement_under_a_key_must_amend_the_current_one(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = state(scene, one)
    assert refused(scene, one) == "states a second undertaking under one key: amend it"
    elsewhere = state(scene, one, key="t/2")
    theirs = state(scene, two)
    wrong = "amends what is not the author's current statement under this key"
    for act in (elsewhere, theirs, "00" * 32):
        assert refused(scene, one, amends=act) == wrong
    second = state(scene, one, amends=first, measure="days")
    assert refused(scene, one, amends=first) == wrong
    assert scene.side(one).undertaken["t/1"] == second
    assert refused(scene, one, key="t/3", amends=second) == wrong


def test_a_restatement_carries_on_what_its_author_has_seen(scene: Scene) -> None:
    one, two = scene.one, scene.two
    seen = len(scene.entries[two])
    theirs = state(scene, two, **owing(two, one))
    said: dict[str, Any] = {"from": two, "to": one, "source": "other minutes", "restates": theirs}
    assert refused(scene, one, seen=seen, **said) == "restates what its author has not seen"
    assert refused(scene, one, **said, measure="days") == "restates other content"
    mine = state(scene, one, **said)
    assert told(scene) == ("agree", ())
    state(scene, one, key="t/2", **(said | {"restates": mine}))
    assert refused(scene, one, key="t/3", restates="00" * 32) == "restates what its author has not seen"


def test_what_both_say_agrees_differs_or_stands_alone(scene: Scene) -> None:
    one, two = scene.one, scene.two
    first = state(scene, one, source="minutes")
    assert told(scene) == (f"only {one}", ())
    theirs = state(scene, two, source="cable", **owing(one, two))
    assert told(scene) == ("agree", ())
    state(scene, one, amends=first, strength="agreed", due="2027-01-01T00:00Z")
    assert told(scene) == ("differ", ("due", "strength"))
    state(scene, two, amends=theirs, strength="agreed", due="2027-01-01T00:00Z", **owing(one, two))
    assert told(scene) == ("agree", ())
    state(scene, two, amends=scene.side(two).undertaken["t/1"], **owing(two, one))
    assert told(scene) == ("differ", ("due", "from", "strength", "to"))


def claim(scene: Scene, party: str, **other: Any) -> int:
    return scene.act(party, "claim", scene.claim(**other), scene.people(party, "a"))


def test_the_latest_claim_of_a_key_counts_and_evidence_is_each_partys_own(scene: Scene) -> None:
    one, two = scene.one, scene.two
    claim(scene, one, value="open")
    claim(scene, one, value="done", evidence=["11" * 32])
    assert [held.state for held in claims(scene.pair)] == [f"only {one}"]
    claim(scene, two, value="done", evidence=["22" * 32])
    assert [held.state for held in claims(scene.pair)] == ["agree"]
    claim(scene, two, value="done", basis="earned value")
    assert [(held.state, held.fields) for held in claims(scene.pair)] == [("differ", ("basis",))]


def test_a_joint_act_has_the_consent_of_those_whose_latest_claim_names_it(scene: Scene) -> None:
    one, two = scene.one, scene.two
    digest = "ab" * 32
    assert consents(scene.pair, digest) == ()
    claim(scene, one, key="joint", value=digest)
    claim(scene, two, key="joint", value="other", evidence=[digest])
    assert consents(scene.pair, digest) == tuple(sorted((one, two)))
    claim(scene, two, key="joint", value="taken back")
    assert consents(scene.pair, digest) == (one,)
    assert consents(scene.pair, "cd" * 32) == ()


def test_words_and_a_key_are_not_empty(scene: Scene) -> None:
    one = scene.one
    empty: tuple[dict[str, Any], ...] = ({"key": ""}, {"text": {}}, {"text": {"en": ""}})
    for other in empty:
        assert refused(scene, one, **other).startswith("format: an undertaking has a key")
    assert "a claim has a key" in scene.attempt(one, "claim", scene.claim(key=""), scene.people(one, "a"))


# A model of it in ten lines


Said = tuple[int, str, str, str]


@settings(max_examples=30, deadline=None)
@given(
    sample=st.sampled_from(SAMPLES),
    said=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from("ab"),
            st.sampled_from(["", "days"]),
            st.sampled_from(["nothing", "mine", "mine", "theirs", "elsewhere"]),
        ),
        max_size=12,
    ),
)
def test_whatever_is_said_the_current_statements_are_those_of_the_model(sample: str, said: list[Said]) -> None:
    scene = Scene(sample)
    current: dict[tuple[str, str], tuple[str, str]] = {}
    for who, key, measure, amended in said:
        party = scene.parties[who]
        place = {
            "mine": (party, key),
            "theirs": (scene.other(party), key),
            "elsewhere": (party, "b" if key == "a" else "a"),
        }.get(amended)
        act = current.get(place, ("00" * 32, ""))[0] if place else None
        body = scene.undertaking(party, key=key, measure=measure, **owing(scene.one, scene.two))
        data = scene.draft(party, "undertaking", body | ({"amends": act} if act else {}), scene.people(party))
        scene.put(party, data)
        if act == current.get((party, key), (None, ""))[0]:
            current[party, key] = act_id(scene.origins[party], parse_entry(data)), measure
    for held in undertakings(scene.pair):
        mine = {party: current[party, held.key] for party in scene.parties if (party, held.key) in current}
        assert {party: fact.act for party, fact in held.stated.items()} == {
            party: act for party, (act, _) in mine.items()
        }
        measures = {measure for _, measure in mine.values()}
        assert held.state == (
            f"only {next(iter(mine))}" if len(mine) == 1 else "agree" if len(measures) == 1 else "differ"
        )
    assert {key for _, key in current} == {held.key for held in undertakings(scene.pair)}
