"""Search finds what the visitor may read, by words in any script and by id, and nothing tells of what they may not."""

import hashlib

import pytest
from stix_objects import bundle_of

from entente.node.propose import Wish
from lab.desk import Seat, banner_of, text_of
from lab.pair import AREA, sighted
from lab.site import LADDER, Site, certified, id_of, marked

HINDI, KOREAN = "कोहरा", "안개"  # fog


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    """One object of each level, one with words in other scripts, one that came, and somebody of another area."""
    pair = site.pair
    certified(pair, site.node, "other", 4, areas=["documents"])
    bodies = [marked(10 + level, level, "needle", description=f"level{level}-secret") for level in range(4)]
    bodies.append(marked(20, 0, f"{HINDI} {KOREAN}", description='50 % of "it"_all'))
    site.node.import_file(AREA, bundle_of(*bodies), place="x.json", map_id=site.map_id)
    pair.release(pair.b, sighted(2, word="arrived needle", first=40))
    pair.exchange()
    return site


def _ids(filled: Site, name: str, query: str) -> set[str]:
    return {row["id"] for row in Seat(filled, name).rows(f"/search.json?{query}")}


@pytest.mark.parametrize("level", range(4))
def test_each_person_finds_what_their_clearance_reaches(filled: Site, level: int) -> None:
    came = {id_of(40), id_of(41)}
    assert _ids(filled, LADDER[level], "q=needle") == {id_of(10 + n) for n in range(level + 1)} | came
    assert _ids(filled, LADDER[level], "q=needle&in=own") == {id_of(10 + n) for n in range(level + 1)}


def test_what_may_not_be_read_leaves_no_trace(filled: Site) -> None:
    seat = Seat(filled, "rung0")
    hidden = seat.ask("/search?q=level3-secret").text
    nothing = seat.ask("/search?q=level9-secret").text
    assert text_of(hidden).replace("level3", "") == text_of(nothing).replace("level9", "")
    assert _ids(filled, "other", "q=needle") == set()


@pytest.mark.parametrize("words", [HINDI, KOREAN, HINDI[:2], f"{KOREAN}+{HINDI}", "50+%25", "%22_all", "IT%22_AL"])
def test_words_in_any_script_and_signs_are_found(filled: Site, words: str) -> None:
    assert _ids(filled, "rung0", f"q={words}") == {id_of(20)}


def test_all_words_must_be_there_and_what_is_quoted_stands_together(filled: Site) -> None:
    assert _ids(filled, "rung3", "q=needle+level2-secret") == {id_of(12)}
    assert _ids(filled, "rung3", "q=level2-secret+level1-secret") == set()
    assert _ids(filled, "rung0", 'q="arrived+needle"') == {id_of(40), id_of(41)}
    assert _ids(filled, "rung0", 'q="needle+arrived"') == set()


def test_one_letter_is_too_little(filled: Site) -> None:
    assert "Write two characters" in Seat(filled, "rung0").see("/search?q=n")
    assert Seat(filled, "rung0").rows("/search.json?q=n") == []


def test_pages_of_a_search_follow_each_other(filled: Site) -> None:
    seat = Seat(filled, "rung3")
    whole = [row["id"] for row in seat.rows("/search.json?q=needle")]
    assert whole == [id_of(n) for n in (41, 40, 13, 12, 11, 10)], "the newest first"
    second = seat.ask("/search?q=needle&size=25&from=2").text
    assert [id_of(n) in second for n in (41, 40, 13, 10)] == [False, False, True, True]


def test_what_is_named_is_found_beside_objects(filled: Site) -> None:
    seat = Seat(filled, "rung3")
    (fact,) = filled.node.other_side.releases
    assert fact.rid[:12] in seat.see(f"/search?q={fact.rid[:20]}")
    assert f"{filled.partner} {fact.number}" in seat.see(f"/search?q={filled.partner}+{fact.number}")
    source = filled.node.db.sources()[0]
    assert source.id in seat.see(f"/search?q={source.id[:8]}")
    assert f"{filled.code}/rung2" in seat.see("/search?q=rung2")
    assert fact.rid[:12] not in Seat(filled, "other").see(f"/search?q={fact.rid[:9]}")


def test_a_draft_is_found_by_who_may_read_it_alone(filled: Site) -> None:
    level = filled.node.law.law.party[filled.code].levels[2]
    made = filled.pair.propose(filled.node, sighted(1, first=70), level=level)
    assert made.rid[:12] in Seat(filled, "rung2").see(f"/search?q={made.rid[:16]}")
    for name in ("rung1", "other"):
        assert made.rid[:12] not in Seat(filled, name).see(f"/search?q={made.rid[:16]}").replace(made.rid[:16], "")


def _first(filled: Site, name: str, query: str) -> str:
    (row,) = Seat(filled, name).ask(f"/search?{query}").text.split('data-href="')[1:]
    return row.partition('"')[0]


def test_an_object_shows_its_properties_bytes_and_marking(filled: Site) -> None:
    where = _first(filled, "rung3", "q=level2-secret")
    page = Seat(filled, "rung3").ask(where).text
    text = text_of(page)
    levels = filled.node.law.law.party[filled.code].levels
    assert banner_of(page).startswith(levels[2])
    assert "level2-secret" in text
    assert "pattern type" in text
    exact = Seat(filled, "rung3").ask(f"{where}/bytes").content
    assert hashlib.sha256(exact).hexdigest() in text
    assert exact == marked(12, 2, "needle", description="level2-secret")


def test_what_is_hidden_and_what_is_missing_are_the_same_bytes(filled: Site) -> None:
    where = _first(filled, "rung3", "q=level2-secret")
    place, _, number = where.rpartition("/")
    for ending in ("", "/bytes"):
        hidden = Seat(filled, "rung1").ask(where + ending)
        for other in (f"{place}/9999", f"/object/{'0' * 16}/{number}", f"{place}/x"):
            missing = Seat(filled, "rung1").ask(other + ending)
            assert (hidden.status_code, hidden.text) == (404, missing.text)
    assert Seat(filled, "other").ask(where).status_code == 404


def test_an_object_in_a_release_marked_above_it_is_found_and_the_release_is_not_named(filled: Site) -> None:
    """The release bears the highest of its objects' markings; the lower one of them is for more people."""
    node, pair = filled.node, filled.pair
    source = node.import_file(
        AREA, bundle_of(marked(80, 0, "lowly"), marked(81, 2, "higher")), place="y.json", map_id=filled.map_id
    ).source
    made = node.propose(source, Wish(f"{node.party}/rao"))
    pair.approve(node, made.rid, "nair")
    pair.approve(node, made.rid, "iyer", "security")
    node.dispatch([made.rid])
    pair.exchange()
    rows = Seat(filled, "rung0").rows("/search.json?q=lowly")
    assert {row["where"] for row in rows} == {"import of ours", "released by us"}
    page = Seat(filled, "rung0").ask("/search?q=lowly").text
    assert made.rid[:12] not in page
    assert made.rid not in page
    for href in {part.partition('"')[0] for part in page.split('data-href="')[1:]}:
        assert "lowly" in Seat(filled, "rung0").see(href)
    assert Seat(filled, "rung0").ask(f"/object/{made.rid}/0").status_code == 404
    assert made.rid[:12] in Seat(filled, "rung2").ask("/search?q=lowly").text


def test_objects_of_ours_can_be_taken_from_the_list(filled: Site) -> None:
    filled.node.import_file(AREA, bundle_of(marked(90, 0, "passing")), place="z.json", map_id=filled.map_id)
    seat = Seat(filled, "rung0")
    key = _first(filled, "rung0", "q=passing").removeprefix("/object/")
    assert seat.hand_in("/search", "down").status_code == 400
    seat.do("/search", "down", row=[key])
    assert seat.rows("/search.json?q=passing") == []
    came = _first(filled, "rung0", f"q={id_of(40)}").removeprefix("/object/")
    assert seat.hand_in("/search", "down", row=[came]).status_code == 400
    assert Seat(filled, "other").hand_in("/search", "down", row=[key]).status_code == 404
