"""The way from draft to dispatch at the desk, under an agreement with two approvers and under one with one."""

from stix_objects import as_bytes, indicator

from lab.pair import AREA, Pair
from web.desk.hands import Hands


def test_as_many_approve_as_the_article_asks_and_the_draft_can_be_dispatched(either: Pair) -> None:
    hands = Hands(either, either.codes[0])
    node = hands.site.node
    terms = node.law.law.areas[AREA]
    rid = either.propose(node, [as_bytes(indicator(901))]).rid
    where = f"/draft/{rid}"
    assert hands.form("rao", where, "approve") is None
    for name in ("nair", "iyer")[: terms.approvals or 0]:
        assert hands.form(name, where, "dispatch") is None
        assert hands.hand_in(name, where, "approve").status_code == 303
    assert hands.form("sen", where, "approve") is None
    assert hands.hand_in("sen", where, "dispatch").status_code == 303
    assert node.side.release(rid) is not None
    either.exchange()
    assert "received" in hands.read("sen", f"/release/{rid}/order")
    for path in ("/", "/desk", "/propose", "/acts"):
        assert hands.get("sen", path).status_code == 200
    hands.close()
