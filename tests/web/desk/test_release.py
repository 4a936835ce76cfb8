"""A release's page: what both registers and this node say of it, for who may know of it; copies are made with proof."""

import json
import re

import pytest

from entente.node.order import Remark
from entente.web.desk.rules import RULES
from lab.acts import derived, ordered
from lab.pair import sighted
from lab.site import PASSWORD
from web.desk.hands import Hands, words


@pytest.fixture(scope="module")
def received(hands: Hands) -> str:
    """A release of the partner's with 60 objects, received here."""
    rid = hands.pair.release(hands.pair.b, sighted(60, first=500)).rid
    hands.pair.exchange()
    return rid


def released(hands: Hands, level: int = 0) -> str:
    """A release of ours at a level, received there."""
    node = hands.site.node
    words_ = node.law.law.party[node.party].levels
    (done,) = node.dispatch([hands.pair.approved(node, level=words_[level])])
    hands.pair.exchange()
    return done.rid


def test_both_markings_every_rule_and_every_step_stand_on_the_page(hands: Hands) -> None:
    rid = released(hands, 3)
    page = hands.read("iyer", f"/release/{rid}")
    assert "IND: IND SECRET // REL IND, KOR" in page
    assert "KOR: IND 군사II급비밀 // REL IND, KOR" in page
    findings = json.loads(hands.site.node.db.journal_of("decision", rid)[-1])
    for one in findings:
        assert f"{RULES[one['rule']].text} Art. {one['article']} passed" in page
    for step in ("Drafted", "Checked", "Approved", "Dispatched", "Stored by the partner", "Received"):
        assert step in page
    assert "not yet" not in page.split("How far it has come", 1)[1].split("Rules of the agreement", 1)[0]


def test_whoever_may_not_know_of_it_gets_the_bytes_of_what_is_not_there(hands: Hands) -> None:
    rid = released(hands, 3)
    missing = hands.get("low", f"/release/{'0' * 64}")
    for name, path in (("low", rid), ("elsewhere", rid), ("low", rid[:12]), ("low", "1")):
        answer = hands.get(name, f"/release/{path}")
        assert (answer.status_code, answer.text) == (404, missing.text.replace("low", name))
    for kind in (".csv", ".json"):
        assert hands.get("low", f"/release/{rid}{kind}").status_code == 404


def test_its_objects_come_page_by_page_and_as_a_whole_file(hands: Hands, received: str) -> None:
    first = hands.get("iyer", f"/release/{received}?size=25").text
    second = hands.get("iyer", f"/release/{received}?size=25&from=50").text
    found = [re.findall(rf"data-href=\"/object/{received}/(\d+)\"", text) for text in (first, second)]
    assert [list(map(int, one)) for one in found] == [list(range(25)), list(range(50, 60))]
    rows = hands.get("iyer", f"/release/{received}.json").json()["rows"]
    assert len(rows) == 60
    assert all(row["marking"] for row in rows)
    narrowed = hands.get("iyer", f"/release/{received}.json?type=indicator&title=harmless 50").json()["rows"]
    assert [row["title"] for row in narrowed] == [f"harmless {number}" for number in range(500, 510)]
    assert hands.get("iyer", f"/release/{received}.json?type=malware").json()["rows"] == []


def test_objects_above_the_readers_clearance_are_neither_listed_nor_counted(hands: Hands, received: str) -> None:
    view = hands.site.node.view
    view.raw.execute("UPDATE thing SET rank = 3, least = 3 WHERE place = ? AND number < 10", (received,))
    try:
        low, high = (hands.get(name, f"/release/{received}") for name in ("low", "iyer"))
        assert "50 in all" in words(low)
        assert "60 in all" in words(high)
        assert "harmless 505" not in low.text
        assert "harmless 505" in high.text
        assert "SECRET" not in words(low)
        assert "SECRET" in words(high)
        assert view.page_of(received, -1, 0, 100) == []
    finally:
        view.raw.execute("UPDATE thing SET rank = 0, least = 0 WHERE place = ?", (received,))


def test_a_copy_takes_the_persons_password_a_holder_and_a_place(hands: Hands, received: str) -> None:
    path = f"/release/{received}"
    answer = hands.hand_in("nair", path, "copy", holder="Col. Sen", place="Room 4", password="wrong")  # noqa: S106
    assert answer.status_code == 400
    assert "this password does not open your key" in words(answer)
    assert "No copy was made." in hands.read("nair", path)
    assert hands.hand_in("nair", path, "copy", holder="", place="Room 4").status_code == 400
    answer = hands.hand_in("nair", path, "copy", holder="Col. Sen", place="Room 4")
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert "1 of 1 Col. Sen Room 4" in hands.read("nair", path)
    assert hands.form("nair", path, "copy") is None  # it allows one
    answer = hands.hand_in("nair", path, "close", copy="1")
    assert answer.status_code == 303
    assert hands.form("nair", path, "close") is None
    fields = {"act": "copy", "holder": "x", "place": "y", "password": PASSWORD}
    answer = hands.post("nair", path, fields)
    assert "1 of 1 copies were made" in words(answer)
    assert "Art. " in words(answer)


def test_no_copy_is_made_of_a_release_of_ours_or_of_one_that_may_not_be_known_of(hands: Hands) -> None:
    fields = {"act": "copy", "holder": "x", "place": "y", "password": PASSWORD}
    for name, rid in (("nair", released(hands)), ("low", released(hands, 3))):
        assert hands.form(name, f"/release/{rid}", "copy") is None
        assert hands.post(name, f"/release/{rid}", fields).status_code == 404


def test_what_derives_from_it_is_named_to_who_may_know_of_that_too(hands: Hands) -> None:
    pair, node = hands.pair, hands.site.node
    rid = pair.release(pair.b).rid
    pair.exchange()
    below = derived(pair, node, rid)
    pair.exchange()
    assert below[:12] in hands.get("iyer", f"/release/{rid}").text
    assert rid[:12] in hands.get("iyer", f"/release/{below}").text
    words_ = node.law.law.party[node.party].levels
    fact = node.side.release(below)
    assert fact is not None
    ordered(pair, node, below, "reclass", Remark(level=words_[3]))
    pair.exchange()
    page = hands.get("low", f"/release/{rid}").text
    assert below[:12] not in page
    assert "SECRET" not in page
    assert below[:12] in hands.get("iyer", f"/release/{rid}").text


def test_an_order_and_its_answer_change_what_the_page_says(hands: Hands) -> None:
    rid = released(hands)
    ordered(hands.pair, hands.site.node, rid, "withdraw")
    hands.pair.exchange()
    page = hands.read("iyer", f"/release/{rid}")
    assert "ordered: withdraw" in page
    assert "Withdrawn" in page
    assert "return or destroy it" in page
