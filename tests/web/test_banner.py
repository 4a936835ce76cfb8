"""The banner is never below what stands under it: on every page of every person, head and foot, and in every file."""

import csv
import io
import json

import pytest

from entente.web import render
from lab.pages import Parsed
from lab.walk import AREAS, CANARY, TOP, WHO, Walk, canary

NONE = "NOTHING MARKED IS SHOWN"


def rank_in(walk: Walk, words: str) -> int:
    """The rank of the level that a banner or a portion mark names; -1 if it names none."""
    node = walk.site.node
    levels = node.law.law.party[node.party].levels
    found = [
        rank
        for rank, level in enumerate(levels)
        if words.split(" // ", maxsplit=1)[0].split(" / ", maxsplit=1)[0] == level
    ]
    assert found or words in ("", NONE, "none"), words
    return found[0] if found else -1


@pytest.mark.parametrize("who", list(WHO))
def test_head_and_foot_say_the_same_and_at_least_what_the_highest_portion_says(walk: Walk, who: str) -> None:
    highest = set()
    for path, answer in walk.told(who).items():
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        page = Parsed(answer.text)
        assert len(page.banners) == 2, path
        assert page.banners[0] == page.banners[1], path
        shown = rank_in(walk, page.banners[0])
        assert shown >= max((rank_in(walk, one) for one in page.portions), default=-1), path
        assert shown <= WHO[who][1], path
        highest.add(shown)
    assert max(highest) in (WHO[who][1], WHO[who][1] - 1), highest


@pytest.mark.parametrize("who", ["rung0", "rung3", "paper3", TOP])
def test_whatever_holds_marked_content_bears_its_level_and_a_portion_mark(walk: Walk, who: str) -> None:
    """By the canaries, which know their level by themselves."""
    seen = 0
    for path, answer in walk.told(who).items():
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        page = Parsed(answer.text)
        levels = [int(level) for _, level in CANARY.findall(page.text)]
        if levels and "q=q" not in path:
            assert rank_in(walk, page.banners[0]) >= max(levels), path
            assert page.portions, path
            assert max(rank_in(walk, one) for one in page.portions) >= max(levels), path
            seen += 1
    assert seen


@pytest.mark.parametrize("who", ["rung0", "paper3", TOP])
def test_a_file_names_its_highest_marking_first(walk: Walk, who: str) -> None:
    seen = 0
    for path, answer in walk.told(who).items():
        if answer.status_code != 200 or not path.partition("?")[0].endswith((".csv", ".json")):
            continue
        if path.partition("?")[0].endswith(".csv"):
            first, _, rest = answer.text.partition("\r\n")
            assert first.startswith("#MARKING "), path
            rows = list(csv.DictReader(io.StringIO(rest.partition("\r\n")[2])))
            marks = [row.get("marking") or "" for row in rows if row]
            said = first.removeprefix("#MARKING ")
        elif '"marking":' in answer.text[:20]:
            told = json.loads(answer.text)
            marks, said = [row.get("marking", "") for row in told["rows"]], told["marking"]
        else:
            continue
        levels = [int(level) for _, level in CANARY.findall(answer.text)]
        marks = [mark for mark in marks if not mark.startswith(("#END", "'#"))]
        assert rank_in(walk, said) >= max([rank_in(walk, mark) for mark in marks] + levels, default=-1), path
        seen += 1
    assert seen


def test_both_parties_words_stand_on_what_is_marked(walk: Walk) -> None:
    node = walk.site.node
    law = node.law.law
    pairs = {0: 0, 2: 2, 3: 3}
    banners = {
        Parsed(one.text).banners[0] for one in walk.told(TOP).values() if "text/html" in one.headers["content-type"]
    }
    for ours, theirs in pairs.items():
        words = f"{law.party[node.party].levels[ours]} / {law.party[node.partner].levels[theirs]}"
        assert any(one.split(" // ")[0] == words for one in banners) or ours == 0, banners


def test_errors_and_the_way_in_bear_a_banner_too(walk: Walk) -> None:
    for who, path in [("", "/signin"), ("", "/none"), (TOP, "/none"), (TOP, "/release/none"), ("", "/signin/passkey")]:
        page = Parsed(walk.get(who, path).text)
        assert page.banners == [NONE, NONE], path


def test_canaries_are_told_apart() -> None:
    assert len({canary(area, level) for area in AREAS for level in range(5)}) == 10
    assert render.HEADERS
