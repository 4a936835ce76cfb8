"""Custody on the desk: one item's life with where each step stands, for who may know of it, to the last copy's end."""

import pytest

from lab.acts import ordered
from lab.site import PASSWORD
from web.desk.hands import Hands


@pytest.fixture(scope="module")
def theirs(hands: Hands) -> str:
    """A release of the partner's, received here."""
    rid = hands.pair.release(hands.pair.b).rid
    hands.pair.exchange()
    return rid


def test_an_import_leads_to_its_draft_and_a_release_back_to_its_import(hands: Hands) -> None:
    node = hands.site.node
    rid = hands.pair.release(node).rid
    hands.pair.exchange()
    draft = node.db.draft(rid)
    assert draft is not None
    page = hands.get("iyer", f"/custody/{draft.source}").text
    assert f"/release/{rid}" in page
    page = hands.get("iyer", f"/custody/{rid}").text
    fact = node.side.release(rid)
    assert fact is not None
    assert f"/custody/{draft.source}" in page
    assert f"/entry/{node.party}/{fact.idx}" in page
    assert f"/entry/{node.partner}/{fact.answers[0].idx}" in page
    told = hands.read("iyer", f"/custody/{rid}")
    for step in ("imported", "drafted", "checked", "approved", "dispatched", "cosigned", "received"):
        assert step in told


def test_copies_made_and_closed_and_the_end_balance(hands: Hands, theirs: str) -> None:
    path, where = f"/release/{theirs}", f"/custody/{theirs}"
    hands.hand_in("nair", path, "copy", holder="Col. Sen", place="Room 4", password=PASSWORD)
    assert "2 copies: 2 held, 0 returned" in hands.read("nair", where)
    assert "close copy 1" in hands.read("nair", where)
    hands.hand_in("nair", path, "close", copy="1", password=PASSWORD)
    ordered(hands.pair, hands.pair.b, theirs, "destroy")
    hands.pair.exchange()
    hands.site.node.destroy(theirs)
    hands.pair.exchange()
    page = hands.read("nair", where)
    assert "2 copies: 0 held, 0 returned, 1 destroyed, 1 closed, 0 never held." in page
    assert "No copy is held any more" in page
    assert "Nothing: its life is over" in page


def test_what_may_not_be_known_of_is_not_there_and_no_beginning_of_an_id_finds_anything(hands: Hands) -> None:
    node = hands.site.node
    level = node.law.law.party[node.party].levels[3]
    rid = hands.pair.approved(node, level=level)
    assert hands.get("iyer", f"/custody/{rid}").status_code == 200
    missing = hands.get("low", f"/custody/{'0' * 64}").text
    for name, which in (("low", rid), ("elsewhere", rid), ("low", rid[:20]), ("low", "1"), ("low", "")):
        answer = hands.get(name, f"/custody/{which}")
        assert answer.status_code == 404
        assert not which or answer.text == missing.replace("low", name)
    assert hands.get("iyer", f"/custody/{rid[:20]}").status_code == 404


def test_a_hidden_draft_is_no_step_in_the_life_of_the_import_it_was_drawn_from(hands: Hands) -> None:
    node = hands.site.node
    level = node.law.law.party[node.party].levels[3]
    rid = hands.pair.approved(node, level=level)
    draft = node.db.draft(rid)
    assert draft is not None
    assert rid in hands.get("iyer", f"/custody/{draft.source}").text
    low = hands.get("low", f"/custody/{draft.source}")
    assert rid not in low.text
    assert "SECRET" not in low.text
