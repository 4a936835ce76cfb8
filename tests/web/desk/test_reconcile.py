"""Reconcile on the desk gives the bytes that both nodes give, to whoever may read all of them."""

import pytest

from entente.web.desk.reconcile import LATEST, YEAR, Drawn
from lab.acts import entered
from web.desk.hands import Hands, words


@pytest.fixture(scope="module")
def stage(hands: Hands) -> Hands:
    """A release of the lowest level, one of the fourth, and a claim."""
    pair, node = hands.pair, hands.site.node
    pair.release(node)
    node.dispatch([pair.approved(node, level=node.law.law.party[node.party].levels[3])])
    entered(pair, node, "claim", {"basis": "", "evidence": [], "key": "radar/1", "value": "3 of 10"}, "nair")
    pair.exchange()
    return hands


def test_the_text_to_be_saved_is_what_either_node_draws(stage: Hands) -> None:
    assert stage.hand_in("iyer", "/reconcile", "draw", cut="", at="").status_code == 303
    account = stage.site.node.reconcile()
    page = stage.read("iyer", "/reconcile")
    assert account.sha256 in page
    assert f"entente reconcile --cut {account.cut} --at {account.at}" in page
    saved = stage.get("iyer", f"/reconcile.{LATEST}.txt")
    assert saved.content == account.text
    assert saved.content == stage.pair.b.reconcile(account.cut, account.at).text
    assert "attachment" in saved.headers["content-disposition"]
    assert "Claims 0 agree, 0 differ, 1 stated by one side alone" in page


def test_the_years_report_is_the_commands(stage: Hands) -> None:
    assert stage.hand_in("iyer", "/reconcile", "year", year="2026").status_code == 303
    assert stage.get("iyer", f"/reconcile.{YEAR}.txt").content == stage.pair.b.reconcile_year(2026).text
    assert "Released within the year" in stage.read("iyer", "/reconcile")


def test_whoever_may_not_read_all_of_it_gets_what_they_may_and_no_text(stage: Hands) -> None:
    stage.hand_in("low", "/reconcile", "draw", cut="", at="")
    for name in ("low", "elsewhere"):
        page = stage.read(name, "/reconcile")
        assert "The exact text is for those who may read everything that it names." in page
        assert "SECRET" not in page
        assert stage.get(name, f"/reconcile.{LATEST}.txt").status_code == 404
    assert "IND to KOR intelligence (UNCLASSIFIED / 일반) UNCLASSIFIED 1 2" in stage.read("low", "/reconcile")
    assert "SECRET" in stage.read("iyer", "/reconcile")
    assert "intelligence" not in stage.read("elsewhere", "/reconcile")


def test_an_older_cut_can_be_asked_for_and_nonsense_is_said_at_its_field(stage: Hands) -> None:
    assert stage.hand_in("iyer", "/reconcile", "draw", cut="3:3", at="").status_code == 303
    assert stage.get("iyer", f"/reconcile.{LATEST}.txt").content == stage.pair.b.reconcile("3:3").text
    for cut, at in (("999:999", ""), ("x", ""), ("", "yesterday")):
        answer = stage.hand_in("iyer", "/reconcile", "draw", cut=cut, at=at)
        assert answer.status_code == 400
        assert "Nothing was done." in words(answer)
    assert stage.hand_in("iyer", "/reconcile", "year", year="12").status_code == 400


def test_nothing_is_there_to_be_saved_before_it_is_drawn(stage: Hands) -> None:
    stage.site.door.lasting("accounts", Drawn).accounts.clear()
    assert stage.get("iyer", f"/reconcile.{LATEST}.txt").status_code == 404
    assert "No account was drawn" in stage.read("iyer", "/reconcile")
