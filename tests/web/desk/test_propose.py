"""An import becomes a draft under the agreement's terms; a visitor knows of what they may read, and of no more."""

from stix_objects import as_bytes, bundle_of, identifier, indicator

from entente.strict import read_own
from entente.treaty.approval import Core
from lab.pair import AREA
from lab.site import REFS, marked
from web.desk.hands import Hands, words


def taken_in(hands: Hands, *bodies: bytes) -> str:
    """The import of these objects."""
    return hands.site.node.import_file(
        AREA, bundle_of(*bodies), place="x.json", map_id=hands.site.map_id
    ).source  # fmt: skip


def test_a_draft_is_frozen_as_the_officer_stated_it(hands: Hands) -> None:
    node = hands.site.node
    name = taken_in(hands, marked(41, 0, "watched"))
    assert f"/import/{name}" in hands.get("rao", "/propose").text
    text = hands.read("rao", f"/import/{name}")
    assert "watched 41" in text
    terms = node.law.law.areas[AREA]
    form = hands.form("rao", f"/import/{name}", "freeze")
    assert form is not None
    assert form["article"] == (terms.articles or ("",))[0]
    assert form["days"] == str(terms.retain_days)
    answer = hands.hand_in("rao", f"/import/{name}", "freeze", days="3", copies="0")
    assert answer.status_code == 400
    answer = hands.hand_in("rao", f"/import/{name}", "freeze", days="3", copies="1")
    assert answer.status_code == 303
    rid = answer.headers["location"].removeprefix("/draft/")
    row = node.db.draft(rid)
    assert row is not None
    core = read_own(row.core, Core)
    assert (row.author, row.state, core.retain_days, core.copies) == (f"{node.party}/rao", "checked", 3, 1)
    assert rid[:12] in hands.read("nair", f"/import/{name}")
    assert hands.hand_in("rao", f"/import/{name}", "freeze", days="99999999").status_code == 400


def test_where_nothing_may_cross_the_reasons_are_counted_by_rule_with_articles(hands: Hands) -> None:
    times = {"created": "2026-01-02T03:04:05.000Z", "modified": "2026-01-02T03:04:05.000Z"}
    group = {"type": "intrusion-set", "spec_version": "2.1", "name": "Crane", **times, "object_marking_refs": [REFS[0]]}
    found = [as_bytes({**group, "id": identifier("intrusion-set", number)}) for number in (42, 43)]
    name = taken_in(hands, *found)
    before = len(hands.site.node.db.drafts())
    answer = hands.hand_in("rao", f"/import/{name}", "freeze")
    assert answer.status_code == 403
    article = next(row.article for row in hands.site.node.law.law.areas[AREA].withhold or ())
    assert f"2 by rule withhold (Art. {article})" in words(answer)
    assert len(hands.site.node.db.drafts()) == before
    assert "Nothing of it could cross when it was proposed last" in hands.read("rao", f"/import/{name}")


def test_objects_above_the_clearance_are_in_no_list_count_or_reason(hands: Hands) -> None:
    mixed = taken_in(hands, marked(44, 0, "plain"), marked(45, 4, "canary-high"))
    high = taken_in(hands, marked(46, 4, "canary-only"))
    assert hands.get("rung1", f"/import/{high}").status_code == 404
    assert hands.get("rung1", f"/import/{high}").text == hands.get("rung1", "/import/0123456789abcdef").text
    assert high not in hands.get("rung1", "/propose").text
    assert high in hands.get("rung4", "/propose").text
    for path in (f"/import/{mixed}", f"/import/{mixed}.csv", f"/import/{mixed}.json"):
        assert "plain 44" in hands.get("rung1", path).text
        assert "canary" not in hands.get("rung1", path).text
        assert "canary-high" in hands.get("rung4", path).text
    rows = hands.get("rung1", "/propose.json").json()["rows"]
    assert [row["count"] for row in rows if row["id"] == mixed] == ["1"]
    assert hands.get("elsewhere", f"/import/{mixed}").status_code == 404


def test_nobody_freezes_what_they_could_not_read(hands: Hands) -> None:
    name = taken_in(hands, marked(47, 0, "plain"), marked(48, 3, "higher"))
    before = len(hands.site.node.db.drafts())
    answer = hands.hand_in("rung0", f"/import/{name}", "freeze")
    assert answer.status_code == 403
    assert "not cleared" in words(answer)
    assert len(hands.site.node.db.drafts()) == before


def test_the_desk_lists_what_waits_for_whom(hands: Hands) -> None:
    node = hands.site.node
    first = hands.pair.propose(node, [as_bytes(indicator(51))]).rid
    top = hands.pair.propose(node, [as_bytes(indicator(52))], level=node.law.law.party[node.party].levels[2]).rid
    done = hands.pair.release(node, [as_bytes(indicator(53))]).rid
    hands.pair.approve(node, first, "nair")
    rows = {row["draft"]: row for row in hands.get("iyer", "/desk.json").json()["rows"]}
    assert rows[first[:12]]["signed"] == "1 of 2"
    assert rows[first[:12]]["waits"] == "1 more to sign, among them: security"
    assert top[:12] in rows
    assert done[:12] not in rows
    mine = {row["draft"] for row in hands.get("nair", "/desk.json?mine=on-me").json()["rows"]}
    assert top[:12] in mine
    assert first[:12] not in mine
    own = {row["draft"] for row in hands.get("rao", "/desk.json?mine=own&state=checked").json()["rows"]}
    assert {first[:12], top[:12]} <= own
    assert "Nothing waits for your approval." in hands.read("rao", "/desk")
    low = {row["draft"] for row in hands.get("rung1", "/desk.json").json()["rows"]}
    assert first[:12] in low
    assert top[:12] not in low
    assert hands.get("elsewhere", "/desk.json").json()["rows"] == []
