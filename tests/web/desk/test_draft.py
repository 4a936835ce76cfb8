"""A draft under review shows what would cross byte for byte; what is signed is what was shown, by two other persons."""

import json
import re

import pytest
from stix_objects import as_bytes, bundle_of, identifier, indicator

from entente.node.approve import approval_lines
from entente.node.propose import Wish
from entente.strict import read_own
from entente.treaty.approval import Core
from entente.web.desk import showing
from lab.pair import AREA, sighted
from lab.site import PASSWORD, REFS, marked
from web.desk.hands import Hands, words

GROUP = identifier("intrusion-set", 5)
SAID = re.compile(r"entente_[0-9a-f]+_said=([0-9a-f]+)")


def said_after(answer: object) -> str:
    """What the act says on the next page."""
    found = SAID.search(answer.headers.get("set-cookie", ""))  # type: ignore[attr-defined]
    assert found, words(answer)  # type: ignore[arg-type]
    told = json.loads(bytes.fromhex(found[1]))
    text: str = told["text"].format(**told.get("given", {}))
    return text


def state(hands: Hands, rid: str) -> str:
    row = hands.site.node.db.draft(rid)
    assert row is not None
    return row.state


def proposed(hands: Hands, *bodies: bytes, author: str = "rao") -> str:
    """A draft of these objects, marked by the ladder's map."""
    node = hands.site.node
    done = node.import_file(AREA, bundle_of(*bodies), place="x.json", map_id=hands.site.map_id)
    return node.propose(done.source, Wish(f"{node.party}/{author}")).rid


def test_two_others_approve_what_they_were_shown_and_it_is_dispatched(hands: Hands) -> None:
    node, rid = hands.site.node, hands.pair.propose(hands.site.node, sighted()).rid
    where = f"/draft/{rid}"
    assert "It waits for your approval." in hands.read("nair", where)
    answer = hands.hand_in("nair", where, "approve", role="release")
    assert (answer.status_code, said_after(answer)) == (303, "Signed by 1 of 2 persons.")
    assert hands.form("nair", where, "approve") is None
    assert "1 more to sign, among them: security" in hands.read("nair", where)
    answer = hands.hand_in("iyer", where, "approve", role="security")
    assert said_after(answer) == "Approved: 2 persons have signed. It can be dispatched."
    answer = hands.hand_in("iyer", where, "dispatch")
    assert said_after(answer).startswith("Dispatched as release ")
    assert node.side.release(rid) is not None
    hands.pair.exchange()
    text = hands.read("nair", where)
    assert "Received" in text
    assert "not yet" not in text.split("Received", 1)[1].split("What it is", 1)[0]


def test_the_author_and_the_same_natural_person_are_refused_in_words_with_the_article(hands: Hands) -> None:
    rid = hands.pair.propose(hands.site.node, sighted()).rid
    where = f"/draft/{rid}"
    shown = hands.form("nair", where, "approve")
    assert shown is not None
    for name in ("rao", "rao.two"):
        assert hands.form(name, where, "approve") is None
        assert "The author may not approve (Art. " in hands.read(name, where)
    hands.hand_in("nair", where, "approve", role="release")
    assert hands.form("nair.two", where, "approve") is None
    assert "it counts once (Art. " in hands.read("nair.two", where)
    core = read_own(hands.site.node.db.draft(rid).core, Core)  # type: ignore[union-attr]
    for name in ("rao.two", "nair.two"):
        answer = hands.post(name, where, {**forged(hands, name, rid, core.content), "role": "security"})
        assert answer.status_code == 403
        assert "Art. " in words(answer)
        assert "Nothing was done." in words(answer)
    assert [line.by for _, line in approval_lines(hands.site.node, rid) if line.outcome == "signed"] == [
        f"{hands.site.code}/nair"
    ]
    assert state(hands, rid) == "checked"


def forged(hands: Hands, name: str, rid: str, content: str) -> dict[str, str]:
    """The form that this person would have been shown."""
    node = hands.site.node

    class Asking:
        door = hands.site.door

        class visitor:  # noqa: N801 - stands for the visit's
            handle = f"{node.party}/{name}"

    found = {one.name: one.value for one in showing.fields(Asking, rid, content)}  # type: ignore[arg-type]
    return {**found, "act": "approve", "password": PASSWORD}


def test_what_is_signed_is_what_was_shown_to_this_person(hands: Hands) -> None:
    first = hands.pair.propose(hands.site.node, sighted()).rid
    other = hands.pair.propose(hands.site.node, sighted()).rid
    form = hands.form("nair", f"/draft/{first}", "approve")
    theirs = hands.form("iyer", f"/draft/{first}", "approve")
    assert form is not None
    assert theirs is not None
    form["password"] = PASSWORD
    later = f"{int(form['shown'].split('.')[0]) - 60}.{form['shown'].split('.')[1]}"
    for changed, where in (
        ({}, other), ({"rid": other}, other), ({"content": "0" * 64}, first), ({"shown": ""}, first),
        ({"shown": later}, first), ({"shown": theirs["shown"]}, first), ({"shown": "9" * 40}, first),
    ):  # fmt: skip
        answer = hands.post("nair", f"/draft/{where}", {**form, "once": "", **changed})
        assert answer.status_code == 403
        assert "not what was shown to you" in words(answer)
    assert hands.site.node.db.approvals(first) == hands.site.node.db.approvals(other) == []
    assert hands.post("nair", f"/draft/{first}", form).status_code == 303


def test_how_soon_after_it_was_shown_a_person_signed_stands_in_the_journal(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    rid = hands.pair.propose(hands.site.node, sighted()).rid
    where = f"/draft/{rid}"
    hands.hand_in("nair", where, "approve", role="release")
    form = hands.form("iyer", where, "approve")
    assert form is not None
    real = showing.now_s
    monkeypatch.setattr(showing, "now_s", lambda: real() + 120)
    assert hands.post("iyer", where, {**form, "role": "security", "password": PASSWORD}).status_code == 303
    lines = [line.seconds for _, line in approval_lines(hands.site.node, rid)]
    assert lines[0] is not None
    assert lines[0] < showing.HASTY_S
    assert lines[1] in (120, 121, 122)
    text = hands.read("sen", where)
    assert "too soon to have read it" in text
    assert text.count("too soon") == 1


def test_a_wrong_password_signs_nothing(hands: Hands) -> None:
    rid = hands.pair.propose(hands.site.node, sighted()).rid
    answer = hands.hand_in("nair", f"/draft/{rid}", "approve", role="release", password="no")  # noqa: S106 - invented
    assert answer.status_code == 400
    assert "this password does not open your key" in words(answer)
    assert hands.site.node.db.approvals(rid) == []


def test_an_approval_is_revoked_by_whoever_gave_it(hands: Hands) -> None:
    rid = hands.pair.approved(hands.site.node)
    where = f"/draft/{rid}"
    assert hands.form("sen", where, "revoke") is None
    assert said_after(hands.hand_in("nair", where, "revoke")) == "Your approval counts no more; 1 stand."
    assert state(hands, rid) == "checked"
    assert hands.form("iyer", where, "dispatch") is None


def test_a_draft_is_refused_with_a_reason_and_no_step_leads_on_from_there(hands: Hands) -> None:
    rid = hands.pair.approved(hands.site.node)
    where = f"/draft/{rid}"
    kept = hands.form("iyer", where, "dispatch")
    assert kept is not None
    assert hands.hand_in("iyer", where, "refuse", reason="").status_code == 400
    assert state(hands, rid) == "approved"
    assert hands.hand_in("iyer", where, "refuse", reason="it names a source").status_code == 303
    text = hands.read("nair", where)
    assert "it names a source" in text
    assert all(hands.form("nair", where, act) is None for act in ("approve", "dispatch", "refuse", "revoke"))
    assert hands.post("iyer", where, kept).status_code == 409
    assert hands.site.node.side.release(rid) is None


def test_it_may_not_be_known_of_without_its_area_and_clearance(hands: Hands) -> None:
    node = hands.site.node
    top = node.law.law.party[node.party].levels[2]
    rid = hands.pair.propose(node, sighted(), level=top).rid
    there = [hands.get(name, f"/draft/{rid}") for name in ("low", "elsewhere")]
    absent = hands.get("low", f"/draft/{'0' * 64}")
    assert [one.status_code for one in (*there, absent)] == [404] * 3
    assert {one.text for one in there} == {absent.text}
    assert hands.get("rung2", f"/draft/{rid}").status_code == 200
    assert hands.get("rung1", f"/draft/{rid}/object/0").status_code == 404


def test_source_stands_beside_the_outgoing_bytes_and_what_is_stripped_is_struck_through(hands: Hands) -> None:
    secret = indicator(
        12, object_marking_refs=[REFS[0]], name="watch Sundew", description="the source is Harrier",
        granular_markings=[{"marking_ref": REFS[4], "selectors": ["description"]}],
    )  # fmt: skip
    node = hands.site.node
    done = node.import_file(AREA, bundle_of(as_bytes(secret)), place="x.json", map_id=hands.site.map_id)
    views = node.law.law.areas[AREA].views or ()
    if "granular" not in views:
        pytest.skip("the sample has no such view")
    rid = node.propose(done.source, Wish(f"{node.party}/rao", view="granular")).rid
    text = hands.get("rung4", f"/draft/{rid}").text
    assert re.search(r"<del>[^<]*Harrier", text)
    assert "something is stripped" in words(hands.get("rung4", f"/draft/{rid}"))
    lower = hands.read("rung2", f"/draft/{rid}")
    assert "Harrier" not in lower
    assert "watch Sundew" in lower


def group() -> bytes:
    times = {"created": "2026-01-02T03:04:05.000Z", "modified": "2026-01-02T03:04:05.000Z"}
    body = {"type": "intrusion-set", "spec_version": "2.1", "id": GROUP, "name": "Sundew Crane", **times}
    return as_bytes({**body, "object_marking_refs": [REFS[0]]})


def related() -> bytes:
    times = {"created": "2026-01-02T03:04:05.000Z", "modified": "2026-01-02T03:04:05.000Z"}
    ends = {"source_ref": identifier("indicator", 11), "target_ref": GROUP, "relationship_type": "related-to"}
    body = {"type": "relationship", "spec_version": "2.1", "id": identifier("relationship", 7), **times, **ends}
    return as_bytes({**body, "object_marking_refs": [REFS[0]]})


def test_what_stays_is_shown_with_rule_article_and_what_names_it(hands: Hands) -> None:
    rid = proposed(hands, marked(11, 0, "crossing"), group(), related())
    text = hands.read("rung4", f"/draft/{rid}")
    assert "Sundew Crane" in text
    assert "Its type is not kept back by the article" in text
    assert "It names nothing that is kept back" in text
    assert "References to what is kept back, on this page" in text
    rows = hands.get("rung4", f"/draft/{rid}.json").json()["rows"]
    assert [row["fate"] for row in rows] == ["crosses as imported", "stays", "stays"]
    only = hands.get("rung4", f"/draft/{rid}.json?rule=withhold").json()["rows"]
    assert [row["id"] for row in only] == [GROUP]


def test_what_stays_above_the_visitors_clearance_does_not_exist_for_them(hands: Hands) -> None:
    strange = marked(23, None, "canary-strange")
    rid = proposed(hands, marked(21, 0, "plain"), marked(22, 4, "canary-high"), strange)
    for path in (f"/draft/{rid}", f"/draft/{rid}.json", f"/draft/{rid}.csv"):
        answer = hands.get("rung1", path)
        assert answer.status_code == 200
        assert "canary" not in answer.text
        assert "2 in all" not in answer.text
        assert "canary-strange" in hands.get("rung4", path).text
    rows = hands.get("rung1", f"/draft/{rid}.json").json()["rows"]
    assert len(rows) == 1
    assert [hands.get("rung1", f"/draft/{rid}/object/{n}").status_code for n in range(4)] == [200, 404, 404, 404]


def test_what_the_partner_has_of_the_same_objects_is_told(hands: Hands) -> None:
    hands.pair.release(hands.site.node, [indicator_of(31)])
    hands.pair.exchange()
    rid = hands.pair.propose(hands.site.node, [indicator_of(31), indicator_of(32)]).rid
    text = hands.read("rung4", f"/draft/{rid}")
    part = text.split("What the partner holds now on this subject", 1)[1]
    assert "received" in part
    assert "the same bytes" in part
    fresh = hands.pair.propose(hands.site.node, [indicator_of(33)]).rid
    assert "Nothing of these objects was released before." in hands.read("rung4", f"/draft/{fresh}")


def indicator_of(number: int) -> bytes:
    return as_bytes(indicator(number))


def test_every_rule_stands_there_with_its_article_and_those_that_refuse_come_first(hands: Hands) -> None:
    node = hands.site.node
    rid = hands.pair.propose(node, sighted()).rid
    text = hands.read("nair", f"/draft/{rid}")
    for article in {*node.law.law.rules.decide.values(), *node.law.law.rules.gate.values()}:
        assert article in text


def test_a_rule_that_refuses_comes_first_and_the_draft_cannot_be_dispatched(hands: Hands) -> None:
    node = hands.site.node
    rid = hands.pair.approved(node)
    handles = [hands.pair.of(node, name) for name in ("nair", "iyer")]
    act = node.prepare("term", {"act": "suspend"})
    for handle, signer in handles[: act.needed]:
        node.sign(act.id, handle, signer)
    node.enter(act.id)
    text = hands.read("nair", f"/draft/{rid}")
    assert "Refused as things stand: status (Art. " in text
    table = text.split("Every rule, with its article", 1)[1]
    assert table.index("refuses") < table.index("passed")
    assert hands.hand_in("nair", f"/draft/{rid}", "dispatch").status_code == 403
    assert node.side.release(rid) is None
    act = node.prepare("term", {"act": "resume"})
    for handle, signer in handles[: act.needed]:
        node.sign(act.id, handle, signer)
    node.enter(act.id)
