"""Undertakings on the desk: each side's own words and claims beside the other's; what is prepared here is an act."""

import csv
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.acts import entered
from lab.pair import Pair
from web.desk.hands import Hands, words

DUE = "2027-03-31T00:00Z"


def body(pair: Pair, key: str, **changes: Any) -> dict[str, Any]:
    """An undertaking of the first party's."""
    first, second = pair.codes
    plain = {"band": "", "basis": "", "measure": "sets", "source": "talks, item 4", "strength": "agreed"}
    texts = {"en": "Ten radar sets.\nOne by March.", "ko": "레이더 열 대"}
    return {**plain, "due": DUE, "from": first, "key": key, "text": texts, "to": second, **changes}


@pytest.fixture(scope="module")
def stage(hands: Hands) -> Hands:
    """One that differs, one that only we state, one that only they state, and claims about the first."""
    pair = hands.pair
    first, second = pair.codes
    old = entered(pair, pair.a, "undertaking", body(pair, "radar/1", strength="discussed"))
    entered(pair, pair.a, "undertaking", body(pair, "radar/1", amends=old.id))
    entered(pair, pair.b, "undertaking", body(pair, "radar/1", strength="noted"))
    entered(pair, pair.a, "undertaking", body(pair, "ours/a b?", due="2026-01-01T00:00Z"))
    theirs = body(pair, "theirs", **{"from": second, "to": first})
    theirs.pop("due")
    entered(pair, pair.b, "undertaking", theirs)
    entered(pair, pair.a, "claim", {"basis": "count", "evidence": ["ab" * 32], "key": "radar/1", "value": "3"}, "nair")
    entered(pair, pair.b, "claim", {"basis": "count", "evidence": [], "key": "radar/1", "value": "2"}, "nair")
    pair.exchange()
    return hands


def rows(hands: Hands, query: str = "") -> dict[str, dict[str, str]]:
    """The list by key."""
    text = hands.get("low", f"/undertakings.csv{query}").text
    return {row["key"]: row for row in csv.DictReader(x for x in text.splitlines() if not x.startswith("#"))}


def test_the_list_says_how_both_statements_and_both_claims_stand_to_each_other(stage: Hands) -> None:
    found = rows(stage)
    told = {key: (row["stated"], row["claimed"], row["ours"], row["theirs"]) for key, row in found.items()}
    assert told == {
        "radar/1": ("differ", "differ", "3", "2"),
        "ours/a b?": ("only ours", "nobody claims", "'-", "'-"),
        "theirs": ("only theirs", "nobody claims", "'-", "'-"),
    }
    assert found["radar/1"]["strength"] == "agreed / noted"
    assert list(found) == ["ours/a b?", "radar/1", "theirs"]  # by due date, without one last
    assert "1 of 3 are past their date" in stage.read("low", "/undertakings")


def test_the_list_is_narrowed_by_who_owes_by_state_and_by_date(stage: Hands) -> None:
    assert set(rows(stage, f"?owed={stage.pair.codes[1]}")) == {"theirs"}
    assert set(rows(stage, "?stated=differ")) == {"radar/1"}
    assert set(rows(stage, "?claimed=nobody")) == {"ours/a b?", "theirs"}
    assert set(rows(stage, "?due=passed")) == {"ours/a b?"}
    assert set(rows(stage, "?due=undated")) == {"theirs"}
    assert set(rows(stage, "?strength=noted")) == {"radar/1"}


def test_each_language_stands_verbatim_and_bears_its_name(stage: Hands) -> None:
    page = stage.get("low", "/undertaking/radar/1").text
    assert '<bdi lang="ko" translate="no">레이더 열 대</bdi>' in page
    assert '<bdi lang="en" translate="no">Ten radar sets.\nOne by March.</bdi>' in page
    assert page.count('lang="ko"') >= 2  # ours and theirs
    told = stage.read("low", "/undertaking/radar/1")
    assert "They differ in: strength" in told
    assert "ab" * 32 in told
    assert "amends IND radar/1" in told


def test_a_key_of_any_characters_leads_to_its_page(stage: Hands) -> None:
    page = stage.get("low", "/undertakings").text
    assert "/undertaking/ours/a%20b%3F" in page
    assert "only ours" in stage.read("low", "/undertaking/ours/a%20b%3F")
    assert stage.get("low", "/undertaking/nothing").status_code == 404


def test_what_is_stated_claimed_and_amended_here_is_prepared_as_an_act(stage: Hands) -> None:
    node = stage.site.node
    fields = {
        "key": "new/1",
        "from": "IND",
        "text-en": "Words\r\nin two lines",
        "strength": "will",
        "due": "2027-01-31",
    }
    answer = stage.hand_in("nair", "/undertakings", "state", **fields)
    assert answer.status_code == 303
    act = node.act_named(answer.headers["location"].removeprefix("/act/"))
    assert (act.kind, act.body["text"], act.body["due"]) == (
        "undertaking", {"en": "Words\nin two lines"}, "2027-01-31T00:00Z",
    )  # fmt: skip
    assert act.by == "IND/nair"
    answer = stage.hand_in("nair", "/undertaking/radar/1", "amend", **{"text-en": "Nine", "strength": "agreed"})
    act = node.act_named(answer.headers["location"].removeprefix("/act/"))
    assert act.body["amends"] == node.side.undertaken["radar/1"]
    assert act.body["due"] == DUE
    assert '<option value="KOR" selected' in stage.get("nair", "/undertaking/theirs").text
    answer = stage.hand_in("nair", "/undertaking/theirs", "state", **{"text-en": "Nine", "from": "KOR"})
    act = node.act_named(answer.headers["location"].removeprefix("/act/"))
    assert (act.body["key"], act.body["from"]) == ("theirs", "KOR")
    answer = stage.hand_in("nair", "/undertaking/theirs", "claim", value="1 of 3", basis="count", evidence="CD" * 32)
    act = node.act_named(answer.headers["location"].removeprefix("/act/"))
    assert act.body["evidence"] == ["cd" * 32]
    assert act.kind == "claim"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"due": "soon"}, "a day such as"),
        ({"text-en": " "}, "words in at least one language"),
        ({"strength": "maybe"}, "not one of the strengths"),
        ({"from": "XYZ"}, "no party of the agreement"),
        ({"key": "radar/1"}, "states a second undertaking under one key"),
        ({"key": ""}, "this is needed"),
    ],
)
def test_what_cannot_be_stated_is_said_at_its_field_and_nothing_rests(
    stage: Hands, changes: dict[str, str], said: str
) -> None:
    before = len(stage.site.node.acts())
    fields = {"key": "other", "from": "IND", "text-en": "Words", "strength": "will", **changes}
    answer = stage.hand_in("nair", "/undertakings", "state", **fields)
    assert answer.status_code in (400, 409)
    assert said in words(answer)
    assert len(stage.site.node.acts()) == before


@pytest.fixture
def certs(make_pair: Callable[..., Pair]) -> Iterator[Hands]:
    """The other sample, whose clear level is above its lowest."""
    pair = make_pair("two-certs")
    entered(pair, pair.a, "undertaking", body(pair, "radar/1"))
    made = Hands(pair, pair.codes[0])
    yield made
    made.close()


def test_below_the_clear_level_there_is_no_undertaking(certs: Hands) -> None:
    assert set(rows(certs)) == set()
    page = certs.read("low", "/undertakings")
    assert "No undertaking." in page
    assert "GREEN" not in page
    assert certs.form("low", "/undertakings", "state") is None
    assert certs.get("low", "/undertaking/radar/1").status_code == 404
    assert certs.post("low", "/undertakings", {"act": "state", "key": "x"}).status_code == 404
    assert "radar/1" in certs.read("nair", "/undertakings")
    assert "GREEN" in certs.read("nair", "/undertakings")
    entry = certs.site.node.side.size
    place = next(idx for idx in range(entry) if "radar/1" in certs.read("nair", f"/entry/{certs.site.code}/{idx}"))
    assert "radar/1" not in certs.read("low", f"/entry/{certs.site.code}/{place}")
