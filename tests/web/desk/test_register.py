"""The register's screens: each entry is there for everybody, what it says only for who may know of its release."""

import csv
import html
import re
from collections.abc import Callable

import pytest

from entente.register.proof import check_inclusion
from entente.register.tree import leaf_hash
from entente.web.desk.books import Books
from lab.acts import entered, ordered
from lab.cheat import Cheat
from lab.pair import Pair
from web.desk.hands import Hands

HASHES = re.compile(r"Inclusion hashes, in order</h2><div[^>]*>(.*?)</div>", re.DOTALL)
BYTES = re.compile(r"Its exact bytes</h2><div[^>]*>.*?<pre translate=\"no\">(.*?)</pre>", re.DOTALL)
STATED = {
    "band": "", "basis": "", "from": "IND", "key": "radar/1", "measure": "", "source": "talks", "strength": "agreed",
    "text": {"en": "Ten radar sets"}, "to": "KOR",
}  # fmt: skip


@pytest.fixture(scope="module")
def secret(hands: Hands) -> str:
    """A release of the fourth level with an order and answers, beside one of the lowest level and an undertaking."""
    pair, node = hands.pair, hands.site.node
    pair.release(node)
    (done,) = node.dispatch([pair.approved(node, level=node.law.law.party[node.party].levels[3])])
    entered(pair, node, "undertaking", STATED)
    pair.exchange()
    ordered(pair, node, done.rid, "withdraw")
    pair.exchange()
    return done.rid


def rows(hands: Hands, name: str, query: str = "") -> list[dict[str, str]]:
    """The list as this person gets it."""
    text = hands.get(name, f"/register.csv{query}").text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [{"marking": "", **row} for row in csv.DictReader(lines)]


def test_every_entry_of_both_registers_is_listed_for_everybody_with_kind_and_time(hands: Hands, secret: str) -> None:
    node = hands.site.node
    for name in ("iyer", "low", "elsewhere"):
        found = rows(hands, name)
        places = {(party, idx) for party, tree in node.trees.items() for idx in range(tree.size)}
        assert {(row["entry"].split()[0], int(row["entry"].split()[1])) for row in found} == places
        assert all(row["kind"] and row["at"] for row in found)
    assert secret in node.side.by_rid


def test_what_an_entry_is_about_is_told_to_who_may_know_of_its_release_and_to_nobody_else(
    hands: Hands, secret: str
) -> None:
    fact = hands.site.node.side.release(secret)
    assert fact is not None
    name = f"{hands.site.code} {fact.number}"
    high = [row for row in rows(hands, "iyer") if name in row["about"].split(", ")]
    assert sorted(row["kind"] for row in high) == [
        "a release", "an answer", "an answer", "an order about a release",
    ]  # fmt: skip
    assert all(row["marking"].startswith("SECRET") for row in high if row["kind"] != "an answer")
    for who in ("low", "elsewhere"):
        told = rows(hands, who)
        assert not [row for row in told if name in row["about"].split(", ")]
        assert not [row for row in told if "SECRET" in row["marking"]]
        assert {row["kind"] for row in told} == {row["kind"] for row in rows(hands, "iyer")}


def test_an_answer_to_two_releases_names_the_one_that_may_be_known_of(hands: Hands, secret: str) -> None:
    fact = hands.site.node.side.release(secret)
    assert fact is not None
    own, answered = hands.site.code, fact.answers[0].idx
    (high,) = [row for row in rows(hands, "iyer", "?kind=answer") if row["entry"].endswith(f" {answered}")]
    (low,) = [row for row in rows(hands, "low", "?kind=answer") if row["entry"].endswith(f" {answered}")]
    assert high["about"].split(", ") == [f"{own} {fact.number - 1}", f"{own} {fact.number}"]
    assert low["about"] == f"{own} {fact.number - 1}"
    page = hands.read("low", f"/entry/{low['entry'].replace(' ', '/')}")
    assert "Its exact bytes" not in page  # they tell of the other one too


def test_the_list_is_narrowed_by_party_kind_and_time(hands: Hands, secret: str) -> None:
    assert secret
    everything = rows(hands, "iyer")
    assert {row["entry"].split()[0] for row in rows(hands, "iyer", "?party=KOR")} == {"KOR"}
    keys = rows(hands, "iyer", "?kind=key")
    assert keys == [row for row in everything if row["kind"].startswith("a key")]
    assert rows(hands, "iyer", "?since=2026-06-01&until=2026-06-01") == everything
    assert rows(hands, "iyer", "?since=2026-06-02") == rows(hands, "iyer", "?until=2026-05-31") == []


def test_books_that_grew_with_the_registers_are_those_made_at_once(hands: Hands) -> None:
    node, grown = hands.site.node, Books()
    for _ in range(3):
        hands.pair.release(node)
        hands.pair.exchange()
        once = Books()
        assert list(grown.lines(node)) == list(once.lines(node))
        assert list(grown.releases(node)) == list(once.releases(node))
    assert len(grown.lines(node)) == sum(tree.size for tree in node.trees.values())


def test_the_page_of_an_entry_has_its_exact_bytes_and_the_hashes_that_lead_to_the_head(hands: Hands) -> None:
    node = hands.site.node
    for party, tree in node.trees.items():
        for idx, data in enumerate(node.db.entries(node.logs[party])):
            page = hands.get("iyer", f"/entry/{party}/{idx}").text
            shown = BYTES.search(page)
            assert shown is not None
            assert html.unescape(shown[1]).encode() == data
            hashes = HASHES.search(page)
            assert hashes is not None
            path = [bytes.fromhex(one) for one in re.findall(r"[0-9a-f]{64}", hashes[1])]
            check_inclusion(leaf_hash(data), idx, tree.size, path, tree.root())


def test_the_bytes_of_a_hidden_release_stand_on_no_page(hands: Hands, secret: str) -> None:
    fact = hands.site.node.side.release(secret)
    assert fact is not None
    for name in ("low", "elsewhere"):
        page = hands.get(name, f"/entry/{hands.site.code}/{fact.idx}").text
        assert secret not in page
        assert fact.blob not in page
        assert "SECRET" not in page
        assert "a release" in page
        assert hands.get(name, f"/release/{secret}").status_code == 404


def test_an_entry_that_is_not_there_is_answered_like_any_nonsense(hands: Hands) -> None:
    asked = [f"/entry/{hands.site.code}/99999", "/entry/XYZ/0", f"/entry/{hands.site.code}/-1", "/entry/IND/1e1"]
    answers = {hands.get("iyer", path).text for path in asked}
    assert len(answers) == 1
    assert hands.get("iyer", asked[0]).status_code == 404


def test_an_entry_that_changes_nothing_is_listed_with_the_reason(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair()
    cheat = Cheat(pair, pair.b)
    idx = cheat.add(cheat.entry("order", {"act": "withdraw", "nonce": "00" * 16, "rid": "ab" * 32}))
    cheat.publish()
    pair.a.pull(cheat.tree)
    found = Hands(pair, pair.codes[0])
    try:
        (row,) = [row for row in rows(found, "iyer") if row["state"] != "counts"]
        assert (row["entry"], row["state"]) == (f"{pair.codes[1]} {idx}", "changes nothing")
        reason = pair.a.other_side.invalid[-1].reason
        top = found.site.ask("rung4", f"/entry/{pair.codes[1]}/{idx}", Accept="text/html").text
        assert "changes nothing" in top
        assert reason not in found.get("low", f"/entry/{pair.codes[1]}/{idx}").text
    finally:
        found.close()
