"""What a person may not read stands nowhere that they can look: no page, list, file, error, header, journal or log."""

import json
import logging

import pytest

from entente.web import diary
from lab.pages import Parsed
from lab.walk import AREAS, CANARY, CROSSING, TOP, WHO, Walk, readable

MORE = ("q=q", "q=zz", "sort=-at", "size=250", "from=1", "from=999999")  # what a list can be asked besides


def betrayed(text: str, hidden: set[str]) -> list[str]:
    """The hidden words that stand in a text."""
    return sorted(word for word in hidden if word in text)


def test_the_walk_finds_an_address_of_every_route(walk: Walk) -> None:
    """Else what follows would prove nothing of that route."""
    assert {one.path for one in walk.routes("GET")} - set(walk.found) == {"/static/{name}"}


def test_the_person_who_may_read_most_finds_every_canary_that_crossed(walk: Walk) -> None:
    found = {word for answer in walk.told(TOP).values() for word in CANARY.findall(answer.text)}
    assert found >= {(area[:3], str(level)) for area in AREAS for level in CROSSING}


@pytest.mark.parametrize("who", [who for who in WHO if who != TOP])
def test_nothing_above_its_reader_is_betrayed_by_any_answer(walk: Walk, who: str) -> None:
    hidden = walk.filled.hidden(who)
    for path, answer in walk.told(who).items():
        hidden_here = {word for word in hidden if word not in path}  # what they asked for may be repeated
        known = (200, 400, 403, 404, 409) if path != "/signin/passkey" else (401,)  # no name to bind one to
        assert answer.status_code in known, (path, answer.status_code)
        assert not betrayed(answer.text + str(answer.headers), hidden_here), path


@pytest.mark.parametrize("who", ["rung0", "paper0", "whole2"])
def test_nothing_above_its_reader_is_betrayed_by_what_a_list_is_asked(walk: Walk, who: str) -> None:
    hidden = walk.filled.hidden(who)
    lists = [path for name, path in walk.addresses() if "{" not in name and "?" not in path]
    for path in set(lists) - {"/signin/passkey"}:
        for more in MORE:
            answer = walk.get(who, f"{path}?{more}")
            assert answer.status_code in (200, 400, 403, 404), (path, more)
            assert not betrayed(answer.text, hidden), (path, more)


@pytest.mark.parametrize("who", ["rung0", "rung2", "paper3", "whole0"])
def test_counts_are_those_of_what_is_listed(walk: Walk, who: str) -> None:
    """A count that knew of more would tell that there is more."""
    counted = 0
    for path, answer in walk.told(who).items():
        if not answer.headers["content-type"].startswith("text/html") or answer.status_code != 200 or "?" in path:
            continue
        page = Parsed(answer.text)
        said = [words for words, _ in page.words if words.endswith(" in all")]
        files = [link for link in page.links if link.startswith(f"{path}.json")]
        if said and files:
            told = walk.get(who, files[0])
            assert told.status_code == 200, (files[0], told.text)
            rows = json.loads(told.text)["rows"]
            assert said == [f"{len(rows):,} in all"], path
            counted += 1
    assert counted


def test_neither_log_nor_journal_holds_content(walk: Walk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for path in list(walk.told(TOP)):
        walk.get(TOP, path)
    walk.site.door.diary.flush()
    words = {f"{word}" for area in AREAS for level in range(5) for word in [f"q{area[:3]}{level}zz"]}
    assert not betrayed(caplog.text, words)
    kinds = (diary.READ, diary.EXPORT, diary.TURNED_AWAY, diary.SIGN_IN)
    rows = walk.site.node.db.raw.execute("SELECT kind, key, data FROM journal").fetchall()
    told = [row for row in rows if row[0] in kinds]
    assert told
    assert not betrayed(repr(told), words)


def test_the_ladder_is_what_it_says() -> None:
    assert readable("rung2", "intelligence", 2)
    assert not readable("rung2", "intelligence", 3)
    assert not readable("paper3", "intelligence", 0)
