"""The auditor's extract on the desk: totals that sum, a sample that anyone can redo, and nothing not for the reader."""

import hashlib
import re

import pytest

from entente.errors import RefusedError
from lab.pair import sighted
from web.desk.hands import Hands, words

PERIOD = "since=2026-06-01&until=2026-07-01"
DIGESTS = re.compile(r"<td><code translate=\"no\">([0-9a-f]{16})</code></td>")


@pytest.fixture(scope="module")
def stage(hands: Hands) -> Hands:
    """Releases of the lowest and the fourth level, an author turned away, and the extract of the month."""
    pair, node = hands.pair, hands.site.node
    for _ in range(2):
        pair.release(node)
    node.dispatch([pair.approved(node, level=node.law.law.party[node.party].levels[3])])
    made = pair.propose(node, sighted(first=90))
    with pytest.raises(RefusedError, match="author"):
        pair.approve(node, made.rid, "rao")
    pair.release(pair.b)
    pair.exchange()
    answer = hands.hand_in("iyer", "/extract", "draw", since="2026-06-01", until="2026-07-01")
    assert answer.headers["location"] == f"/extract?{PERIOD}"
    return hands


def rows(hands: Hands, name: str, more: str = "") -> list[dict[str, str]]:
    """The list as this person gets it."""
    found: list[dict[str, str]] = hands.get(name, f"/extract.json?{PERIOD}{more}").json()["rows"]
    return found


def test_the_totals_sum_to_the_rows_and_refusals_stand_apart(stage: Hands) -> None:
    found = rows(stage, "iyer")
    refused = [row for row in found if row["result"] == "refused"]
    page = stage.read("iyer", f"/extract?{PERIOD}")
    assert f"{len(found)} decisions, {len(refused)} of them refusals" in page
    assert f"in all {len(found)}" in page
    assert [(row["what"], row["rule"], row["article"]) for row in refused] == [("approval", "author", "5(2)")]
    assert rows(stage, "iyer", "&result=refused") == refused
    assert {row["what"] for row in rows(stage, "iyer", "&what=release")} == {"release dispatched"}


def test_the_sample_is_what_sha256_says_by_hand(stage: Hands) -> None:
    ids = [row["id"] for row in rows(stage, "iyer", "&result=granted")]
    for seed in ("1", "42 of May"):
        placed = sorted(hashlib.sha256(f"{seed}\n{one}".encode()).hexdigest()[:16] for one in ids)
        page = stage.get("iyer", f"/extract?{PERIOD}&seed={seed}&n=5").text
        granted = page.split("Sample of what was refused", 1)[0]
        assert DIGESTS.findall(granted) == placed[:5]
        assert f"Seed: {seed}." in page
    again = stage.get("nair", f"/extract?{PERIOD}&n=5").text
    assert DIGESTS.findall(again) == DIGESTS.findall(stage.get("iyer", f"/extract?{PERIOD}&n=5&seed=1").text)


def test_what_may_not_be_known_of_is_neither_listed_nor_counted_nor_sampled(stage: Hands) -> None:
    node = stage.site.node
    (hidden,) = (fact.rid for fact in node.side.releases if fact.marking.level == "SECRET")
    high = rows(stage, "iyer")
    assert any(hidden in row["id"] for row in high)
    low = rows(stage, "low")
    page = stage.get("low", f"/extract?{PERIOD}&n=200").text
    assert hidden not in page
    assert "SECRET" not in page
    assert [row for row in high if not row.get("marking", "").startswith("SECRET")] == low
    assert f"{len(low)} decisions" in page
    assert rows(stage, "elsewhere") == []


def test_a_period_that_was_not_drawn_says_so_and_nonsense_is_said_at_its_field(stage: Hands) -> None:
    assert "This period was not drawn" in stage.read("iyer", "/extract?since=2020-01-01&until=2021-01-01")
    assert stage.get("iyer", "/extract.csv?since=2020-01-01&until=2021-01-01").status_code == 404
    for since, until, said in (("x", "2026-01-01", "a day such as"), ("2026-02-01", "2026-01-01", "ends before")):
        answer = stage.hand_in("iyer", "/extract", "draw", since=since, until=until)
        assert answer.status_code == 400
        assert said in words(answer)
    assert stage.get("iyer", f"/extract?{PERIOD}&n=x&seed=").status_code == 200
