"""Exchange counts each direction in both registers, and for each reader what that reader may know of, no more."""

import re
from collections.abc import Callable, Iterator

import pytest

from entente.web.desk.books import Books
from lab.acts import ordered
from lab.pair import Pair
from lab.site import Site
from web.desk.hands import Hands, words

Both = Callable[[str], tuple[Pair, Hands]]


def cells(page: str, caption: str) -> dict[str, list[str]]:
    """A table by the first cell of each row."""
    found = re.search(rf"<caption>{caption}</caption>(.*?)</table>", page, re.DOTALL)
    assert found is not None, re.sub(r"<[^>]*>", " ", page)
    rows = re.findall(r"<tr>(.*?)</tr>", found[1], re.DOTALL)
    plain = [[" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)]
             for row in rows]  # fmt: skip
    return {row[0]: row[1:] for row in plain if row}


@pytest.fixture
def both(make_pair: Callable[..., Pair]) -> Iterator[Both]:
    """Makes a pair with its first party's desk."""
    made: list[Hands] = []

    def make(sample: str) -> tuple[Pair, Hands]:
        pair = make_pair(sample)
        made.append(Hands(pair, pair.codes[0]))
        return pair, made[-1]

    yield make
    for hands in made:
        hands.close()


@pytest.mark.parametrize("sample", ["india-korea", "two-certs"])
def test_each_step_is_counted_in_both_registers_as_they_come_to_agree(both: Both, sample: str) -> None:
    pair, hands = both(sample)
    a, b = pair.codes
    way = f"{a} to {b}"
    rid = pair.release(pair.a).rid
    page = cells(hands.get("iyer", "/exchange").text, way)
    assert page["dispatched"] == ["1", "0", f"{b} has 1 yet to see"]
    assert page["stored (cosigned)"][:2] == ["-", "0"]
    assert "1 releases without an answer" in hands.read("iyer", "/exchange")
    pair.b.pull()
    pair.a.pull()
    page = cells(hands.get("iyer", "/exchange").text, way)
    assert page["stored (cosigned)"][:2] == ["-", "1"]
    assert page["received"] == ["0", "0", "agree"]
    pair.b.pull()
    pair.b.answer()
    pair.a.pull()
    page = cells(hands.get("iyer", "/exchange").text, way)
    assert page["dispatched"] == ["1", "1", "agree"]
    assert page["received"] == ["0", "1", f"{a} has 1 yet to see"]
    ordered(pair, pair.a, rid, "withdraw")  # this entry of ours has seen their answer
    page = cells(hands.get("iyer", "/exchange").text, way)
    assert page["received"] == ["1", "1", "agree"]
    assert page["withdrawn"] == ["1", "0", f"{b} has 1 yet to see"]
    pair.exchange()
    assert cells(hands.get("iyer", "/exchange").text, way)["withdrawn"] == ["1", "1", "agree"]


def test_a_count_holds_nothing_that_the_reader_may_not_know_of(hands: Hands) -> None:
    pair, node = hands.pair, hands.site.node
    way = f"{node.party} to {node.partner}"
    before = int(cells(hands.get("low", "/exchange").text, way)["dispatched"][0])
    listed = hands.get("low", "/exchange.csv").text.count("stix-2.1")
    pair.release(node)
    node.dispatch([pair.approved(node, level=node.law.law.party[node.party].levels[3])])
    pair.exchange()
    high, low, none = (hands.get(name, "/exchange") for name in ("iyer", "low", "elsewhere"))
    assert cells(high.text, way)["dispatched"][:2] == [str(before + 2)] * 2
    assert cells(low.text, way)["dispatched"][:2] == [str(before + 1)] * 2
    assert cells(none.text, way)["dispatched"][:2] == ["0", "0"]
    files = [hands.get(name, "/exchange.csv").text.count("stix-2.1") for name in ("iyer", "low", "elsewhere")]
    assert files == [listed + 2, listed + 1, 0]
    assert "SECRET" in words(high)
    assert "SECRET" not in low.text
    assert f"{node.party}: {before + 1} in all" in low.text  # the picture's description


def test_the_list_is_narrowed_and_sorted_by_what_stands_in_the_address(hands: Hands) -> None:
    pair, node = hands.pair, hands.site.node
    pair.release(pair.b)
    pair.exchange()
    waits = pair.release(node).rid
    rows = hands.get("iyer", "/exchange.json?answer=none").json()["rows"]
    assert [row["rid"] for row in rows] == [waits]
    assert rows[0]["state"] == "Dispatched"
    theirs = hands.get("iyer", f"/exchange.json?direction={node.partner}").json()["rows"]
    assert {row["release"].split()[0] for row in theirs} == {node.partner}
    everything = hands.get("iyer", "/exchange.json?sort=release").json()["rows"]
    names = [(row["release"].split()[0], int(row["release"].split()[1])) for row in everything]
    assert names == sorted(names)
    assert hands.get("iyer", "/exchange.json?state=disputed").json()["rows"] == []
    pair.exchange()


def test_what_the_books_say_of_a_release_is_what_the_node_says(hands: Hands) -> None:
    node = hands.site.node
    rows = Books().releases(node)
    assert len(rows) == sum(len(side.releases) for side in node.pair.sides.values())
    for row in rows:
        assert row.state == node.state_of(row.fact)


def test_both_pictures_stand_there_with_their_tables(hands: Hands) -> None:
    page = hands.get("iyer", "/exchange").text
    assert page.count('role="img"') == 2
    assert page.count("The same as a table") == 2
    assert "style=" not in page


def test_the_link_is_told_in_words(site: Site, hands: Hands) -> None:
    assert "This node does not run by itself" in hands.read("low", "/exchange")
    path = site.node.folder / "worker.json"
    path.write_text('{"pid":1,"last_contact":"2026-06-01T08:00Z","failures":3}')
    try:
        page = hands.read("low", "/exchange")
        assert "the partner does not answer, 3 times in a row" in page
        assert "1 Jun 2026 13:30 IST" in page
    finally:
        path.unlink()
