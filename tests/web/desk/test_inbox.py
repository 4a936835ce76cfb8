"""The inbox shows what arrived with its state and why, and quarantine what was set aside, to whom may know of it."""

import json

import msgspec
import pytest
from stix_objects import as_bytes, bundle_of, indicator

from entente.node.import_ import set_aside
from lab.desk import Seat, banner_of
from lab.pair import AREA, sighted
from lab.site import Site, certified, marked

BAD = as_bytes(indicator(66, pattern="CANARY is no pattern", valid_from="2026-13-99T00:00:00Z"))


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    """A release of the partner's received, one of its highest level, and two imports with something set aside."""
    pair = site.pair
    certified(pair, site.node, "other", 4, areas=["documents"])
    pair.release(pair.b, sighted(2, word="from the partner"))
    pair.exchange()
    file = bundle_of(marked(1, 0, "plain"), marked(2, 3, "deep"), BAD)
    site.node.import_file(AREA, file, place="CANARY.json", map_id=site.map_id)
    return site


def test_the_inbox_lists_releases_and_imports_with_state_and_reason(filled: Site) -> None:
    rows = Seat(filled, "rung4").rows("/inbox.json")
    assert {row["what"].partition(" ")[0] for row in rows} == {"release", "import"}
    assert {row["state"] for row in rows} == {"received", "taken in, some set aside"}
    assert [row["records"] for row in rows if row["what"].startswith("release")] == ["2"]
    assert {row["why"] for row in rows if row["what"].startswith("import")} == {"1 set aside"}
    assert "1 received since yesterday" in Seat(filled, "rung3").see("/inbox")


def test_an_import_counts_only_what_its_reader_may_read(filled: Site) -> None:
    for name, count in (("rung0", "1"), ("rung3", "2")):
        rows = Seat(filled, name).rows("/inbox.json?kind=import")
        assert [row["records"] for row in rows if row["records"] != "0"] == [count], name


def test_whoever_lacks_the_area_sees_an_empty_inbox(filled: Site) -> None:
    seat = Seat(filled, "other")
    assert seat.rows("/inbox.json") == []
    assert "0 received since yesterday, 0 quarantined" in seat.see("/inbox")
    assert seat.rows("/quarantine.json") == []


def test_filters_narrow_the_inbox(filled: Site) -> None:
    seat = Seat(filled, "rung4")
    assert [row["state"] for row in seat.rows("/inbox.json?state=received")] == ["received"]
    assert seat.rows("/inbox.json?state=waiting") == []
    assert seat.rows("/inbox.json?area=documents") == []


def test_quarantine_says_which_object_and_why_and_quotes_nothing(filled: Site) -> None:
    (row,) = [one for one in Seat(filled, "rung4").rows("/quarantine.json") if one["which"]]
    assert row["which"].startswith("objects[2] indicator--")
    assert "valid_from" in row["why"]
    assert len(row["sha256"]) == 64
    page = Seat(filled, "rung4").ask("/quarantine").text
    assert "CANARY" not in page
    source = next(one for one in filled.node.db.sources() if one.quarantined and one.count)
    assert "CANARY" not in repr(set_aside(filled.node, source.id))


def test_what_was_set_aside_is_for_who_may_read_all_that_the_map_gives(filled: Site) -> None:
    assert Seat(filled, "rung0").rows("/quarantine.json") == []
    assert "0 quarantined" in Seat(filled, "rung0").see("/inbox")


def test_the_banner_is_the_highest_of_the_rows_shown(filled: Site) -> None:
    levels = filled.node.law.law.party[filled.code].levels
    assert banner_of(Seat(filled, "rung3").ask("/inbox?kind=import").text).startswith(levels[3])
    assert banner_of(Seat(filled, "rung0").ask("/inbox").text).startswith(levels[0])


def test_the_list_as_json_is_whole(filled: Site) -> None:
    found = json.loads(Seat(filled, "rung4").ask("/inbox.json").text)
    assert found["end"].startswith(f"rows={len(found['rows'])} ")


def test_an_area_whose_reasons_may_quote_keeps_none(filled: Site) -> None:
    """The journal then has the digest alone."""
    node = filled.node
    before = node.areas
    node.areas = {**before, AREA: msgspec.structs.replace(before[AREA], quotes=True)}
    try:
        bad = as_bytes(indicator(67, pattern="CANARY"))
        done = node.import_file(AREA, bundle_of(bad), place="q.json", map_id=filled.map_id)
    finally:
        node.areas = before
    (found,) = set_aside(node, done.source)
    assert (found.place, found.reason, len(found.sha256)) == ("", "", 64)
    rows = Seat(filled, "rung4").rows(f"/quarantine.json?import={done.source}")
    assert [row["why"] for row in rows] == ["the reason was told at the import, and not kept"]
