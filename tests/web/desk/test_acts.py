"""Acts are prepared, signed by others with their own proof, and entered; who may not know of one meets none."""

from itertools import count

import pytest
from stix_objects import as_bytes, indicator

from entente.store.act_rows import PREPARED
from lab.site import PASSWORD
from web.desk.hands import Hands, words

NUMBERS = count(600)


def released(hands: Hands, level: int = 0) -> str:
    """A release of ours at a level, received by the partner."""
    node = hands.site.node
    word = node.law.law.party[node.party].levels[level]
    (done,) = node.dispatch([hands.pair.approved(node, [as_bytes(indicator(next(NUMBERS)))], level=word)])
    hands.pair.exchange()
    return done.rid


def prepared(hands: Hands, name: str, path: str, act: str, **fields: str) -> str:
    """The id of the act that this form prepared."""
    answer = hands.hand_in(name, path, act, **fields)
    assert answer.status_code == 303, words(answer)
    where: str = answer.headers["location"]
    assert where.startswith("/act/")
    return where.removeprefix("/act/")


def state(hands: Hands, name: str) -> str:
    return hands.site.node.act_named(name).state


def test_an_order_is_prepared_signed_by_another_and_entered(hands: Hands) -> None:
    rid = released(hands)
    where = f"/release/{rid}/order"
    text = hands.read("rao", where)
    for part in ("Withdraw it", "Have it back", "Have it destroyed", "Give it another marking", "Art. "):
        assert part in text
    name = prepared(hands, "rao", where, "withdraw")
    needed = hands.site.node.law.law.acts.signers.order
    assert needed == 2
    assert "Withdraw it: the partner uses it no more" in hands.read("nair", f"/act/{name}")
    assert name[:12] in hands.read("nair", "/acts")
    assert hands.form("rao", f"/act/{name}", "sign") is None
    assert hands.form("rao.two", f"/act/{name}", "sign") is None
    assert hands.form("nair", f"/act/{name}", "enter") is None
    kept = hands.form("nair", f"/act/{name}", "sign")
    assert kept is not None
    assert hands.post("nair", f"/act/{name}", {**kept, "password": "no"}).status_code == 400
    assert state(hands, name) == PREPARED
    assert hands.hand_in("nair", f"/act/{name}", "sign").status_code == 303
    assert hands.hand_in("nair", f"/act/{name}", "enter").status_code == 303
    assert state(hands, name) == "entered"
    fact = hands.site.node.side.release(rid)
    assert fact is not None
    assert [order.act for order in fact.orders] == ["withdraw"]
    assert hands.form("rao", where, "withdraw") is None
    assert hands.form("rao", where, "destroy") is not None


def test_the_same_natural_person_cannot_sign_an_act_twice(hands: Hands) -> None:
    name = prepared(hands, "rao", f"/release/{released(hands)}/order", "return")
    kept = hands.form("nair", f"/act/{name}", "sign")
    assert kept is not None
    answer = hands.post("rao.two", f"/act/{name}", {**kept, "password": PASSWORD, "once": ""})
    assert answer.status_code == 403
    assert "signed already" in words(answer)
    assert hands.site.node.act_named(name).signed == (f"{hands.site.code}/rao",)


def test_a_reclassification_names_the_marking_in_both_parties_words(hands: Hands) -> None:
    rid = released(hands)
    node = hands.site.node
    higher = node.law.law.party[node.party].levels[2]
    where = f"/release/{rid}/order"
    same = hands.hand_in("rao", where, "reclass", level=node.law.law.party[node.party].levels[0])
    assert same.status_code == 409
    name = prepared(hands, "rao", where, "reclass", level=higher)
    text = hands.read("rung2", f"/act/{name}")
    assert f"{node.party}: {node.party} {higher}" in text
    assert f"{node.partner}: " in text
    assert hands.get("rung1", f"/act/{name}").status_code == 404
    assert name[:12] not in hands.get("rung1", "/acts").text
    assert hands.get("rung1", f"/act/{name}").text == hands.get("rung1", f"/act/{'0' * 64}").text


def test_an_act_about_what_may_not_be_read_does_not_exist(hands: Hands) -> None:
    rid = released(hands, level=2)
    name = prepared(hands, "rao", f"/release/{rid}/order", "withdraw")
    for low in ("rung1", "elsewhere"):
        assert hands.get(low, f"/act/{name}").status_code == 404
        assert hands.get(low, f"/release/{rid}/order").status_code == 404
        assert name[:12] not in hands.get(low, "/acts").text
        assert hands.get(low, "/acts.json?state=all").json()["rows"] == [
            row for row in hands.get(low, "/acts.json?state=all").json()["rows"] if row["act"] != name[:12]
        ]


def test_an_act_is_given_up_by_whom_it_concerns(hands: Hands) -> None:
    name = prepared(hands, "rao", "/acts", "suspend")
    assert hands.hand_in("nair", f"/act/{name}", "drop").status_code == 303
    assert state(hands, name) == "dropped"
    assert hands.form("nair", f"/act/{name}", "sign") is None


def test_who_may_not_sign_leaves_nothing_prepared(hands: Hands) -> None:
    rid = released(hands)
    before = len(hands.site.node.db.acts())
    answer = hands.hand_in("rao", f"/release/{rid}/order", "withdraw", password="wrong")  # noqa: S106 - invented
    assert answer.status_code == 400
    assert len(hands.site.node.db.acts()) == before


@pytest.mark.parametrize("path", ["/acts", "/acts.csv", "/acts.json?state=all&kind=order"])
def test_the_list_of_acts_answers(hands: Hands, path: str) -> None:
    assert hands.get("nair", path).status_code == 200
