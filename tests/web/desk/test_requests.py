"""Requests of both sides are shown with clock and replies to whom may read them; asking and replying make drafts."""

from dataclasses import dataclass

import msgspec
import pytest

from entente.node.node import Node
from entente.node.requests import Proposed
from entente.strict import read_own
from entente.treaty.approval import Core
from entente.treaty.cover import ReplySheet, RequestSheet, parse_sheet
from entente.treaty.marking import Marking, MarkingMap
from lab.desk import Seat, banner_of, text_of
from lab.pair import AREA, Pair
from lab.site import Site, certified

DOCUMENTS = "documents"
KOREAN = "누가 항구를 지키는가?"


def map_of(pair: Pair, node: Node, level: int = 0) -> str:
    law = node.law.law
    word = law.party[node.party].levels[level]
    purpose = (law.areas[DOCUMENTS].purposes or ("",))[0]
    mark = Marking((), word, node.party, purpose, tuple(sorted(law.parties)))
    return node.sign_map(MarkingMap(node.law.hash, DOCUMENTS, (), mark), [pair.of(node, "iyer")])


def send(pair: Pair, node: Node, made: Proposed) -> str:
    rid = made.proposal.rid
    pair.approve(node, rid, "nair")
    if (node.law.law.areas[DOCUMENTS].approvals or 0) > 1:
        pair.approve(node, rid, "iyer", "security")
    node.dispatch([rid])
    pair.exchange()
    return rid


def asked(pair: Pair, node: Node, words: dict[str, str], level: int = 0, wanted: str = "") -> str:
    sheet = RequestSheet(words, AREA, "priority", wanted or msgspec.UNSET)
    return send(pair, node, node.ask(sheet, author=f"{node.party}/rao", map_id=map_of(pair, node, level)))


def replied(pair: Pair, node: Node, rid: str, state: str, level: int = 0) -> str:
    sheet = ReplySheet(rid, state, (), "not_held" if state == "refused" else msgspec.UNSET)  # type: ignore[arg-type]
    return send(pair, node, node.reply(sheet, author=f"{node.party}/rao", map_id=map_of(pair, node, level)))


@dataclass
class Asking:
    """A site with requests of both sides."""

    site: Site
    map: str
    plain: str
    deep: str
    ours: str


@pytest.fixture(scope="module")
def filled(site: Site) -> Asking:
    """Two requests of the partner's, one of them marked high, and one of ours; persons with the area at two levels."""
    pair = site.pair
    for name, level in (("doc0", 0), ("doc3", 3)):
        certified(pair, site.node, name, level, areas=[AREA, DOCUMENTS])
    plain = asked(pair, pair.b, {"en": "Who guards the port?", "ko": KOREAN}, wanted="2026-06-01T12:00Z")
    deep = asked(pair, pair.b, {"en": "CANARY of the deep"}, level=2)
    ours = asked(pair, site.node, {"en": "Our own question"})
    return Asking(site, map_of(pair, site.node), plain, deep, ours)


def test_requests_of_both_sides_are_listed_with_their_clock(filled: Asking) -> None:
    rows = {row["text"]: row for row in Seat(filled.site, "doc3").rows("/requests.json")}
    assert set(rows) == {"Who guards the port?", "CANARY of the deep", "Our own question"}
    assert rows["Who guards the port?"]["clock"] == "3 h left"
    assert rows["Our own question"]["by"].startswith(filled.site.code)
    assert len(Seat(filled.site, "doc3").rows("/requests.json?by=theirs")) == 2


def test_a_request_above_the_clearance_is_in_no_list_no_count_and_no_address(filled: Asking) -> None:
    seat = Seat(filled.site, "doc0")
    page = seat.ask("/requests").text
    assert "CANARY" not in page
    assert "1 request waits for us" in text_of(page) or "1 waiting for us" in text_of(page)
    hidden, missing = seat.ask(f"/request/{filled.deep}"), seat.ask(f"/request/{'0' * 64}")
    assert (hidden.status_code, hidden.text) == (404, missing.text)
    assert Seat(filled.site, "rung3").rows("/requests.json") == []


def test_a_request_shows_its_words_in_each_language(filled: Asking) -> None:
    answer = Seat(filled.site, "doc0").ask(f"/request/{filled.plain}")
    assert f'lang="ko" translate="no">{KOREAN}' in answer.text
    assert 'lang="en"' in answer.text
    levels = filled.site.node.law.law.party[filled.site.code].levels
    assert banner_of(answer.text).startswith(levels[0])


def test_a_question_becomes_a_draft_that_says_it_in_each_language(filled: Asking) -> None:
    seat = Seat(filled.site, "doc0")
    fields = {"text-en": "Two\r\nlines", "text-ko": KOREAN, "area": AREA, "priority": "routine",
              "wanted": "2026-07-01", "map": filled.map}  # fmt: skip
    where = seat.do("/ask", "ask", **fields)
    draft = filled.site.node.db.draft(where.rpartition("/")[2])
    assert draft is not None
    core = read_own(draft.core, Core)
    assert (draft.author, core.format) == (f"{filled.site.code}/doc0", "request-1")
    sheet = parse_sheet("request-1", filled.site.node.view.bodies(draft.rid)[0])
    assert sheet == RequestSheet({"en": "Two\nlines", "ko": KOREAN}, AREA, "routine", "2026-07-01T23:59Z")


@pytest.mark.parametrize(
    ("field", "value"),
    [("text-en", ""), ("area", "x"), ("priority", "soon"), ("wanted", "2026-13-01"), ("wanted", "1"), ("map", "x")],
)
def test_a_question_that_is_not_well_formed_makes_no_draft(filled: Asking, field: str, value: str) -> None:
    before = len(filled.site.node.db.drafts())
    fields = {"text-en": "words", "area": AREA, "priority": "routine", "map": filled.map}
    answer = Seat(filled.site, "doc0").hand_in("/ask", "ask", **{**fields, field: value})
    assert answer.status_code == 400
    assert "Nothing was done" in text_of(answer.text)
    assert len(filled.site.node.db.drafts()) == before


def test_a_reply_becomes_a_draft_and_what_does_not_fit_none(filled: Asking) -> None:
    seat, path = Seat(filled.site, "doc0"), f"/request/{filled.plain}"
    fields = {"state": "acknowledged", "map": filled.map}
    where = seat.do(path, "reply", **fields)
    draft = filled.site.node.db.draft(where.rpartition("/")[2])
    assert draft is not None
    assert parse_sheet("reply-1", filled.site.node.view.bodies(draft.rid)[0]) == ReplySheet(
        filled.plain,
        "acknowledged",
        (),
    )
    for wrong in ({"state": "refused"}, {"state": "x"}, {"rids": "0" * 64}, {"reason": "x"}, {"map": "none"}):
        answer = seat.hand_in(path, "reply", **{**fields, **wrong})
        assert answer.status_code == 400, wrong


def test_what_a_reply_says_is_unknown_to_whom_it_is_marked_above(filled: Asking) -> None:
    pair, rid = filled.site.pair, filled.ours
    replied(pair, pair.b, rid, "refused", level=2)
    assert "not held" in Seat(filled.site, "doc3").see(f"/request/{rid}")
    low = Seat(filled.site, "doc0").see(f"/request/{rid}")
    assert "not held" not in low
    assert "No reply yet." in low
    states = {row["text"]: row["state"] for row in Seat(filled.site, "doc0").rows("/requests.json")}
    assert states["Our own question"] == "open"


def test_no_form_is_offered_for_a_request_of_ours_or_to_who_has_no_area_for_it(filled: Asking) -> None:
    assert "Draft the reply" not in Seat(filled.site, "doc0").see(f"/request/{filled.ours}")
    assert "Draft the reply" in Seat(filled.site, "doc0").see(f"/request/{filled.plain}")
    assert "No area of yours" in Seat(filled.site, "rung3").see("/ask")
