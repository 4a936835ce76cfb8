"""A file that is uploaded becomes an import; what was not offered, or cannot be read, changes nothing."""

import pytest
from stix_objects import as_bytes, bundle_of, indicator

from lab.desk import Seat, text_of
from lab.pair import AREA
from lab.site import Site, certified


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    """A site with somebody of another area."""
    certified(site.pair, site.node, "other", 4, areas=["documents"])
    return site


def test_an_upload_becomes_an_import(filled: Site) -> None:
    seat = Seat(filled, "rung4")
    file = bundle_of(as_bytes(indicator(300, name="uploaded")))
    files = {"file": ("up.json", file, "application/json")}
    where = seat.do("/import", "take", files=files, form=f"{AREA}:stix-2.1", map=filled.map_id)
    source = filled.node.db.source(where.rpartition("/")[2])
    assert source is not None
    assert source.count == 1
    assert seat.do("/import", "take", files=files, form=f"{AREA}:stix-2.1", map=filled.map_id) == where


@pytest.mark.parametrize(
    ("field", "value"), [("form", "documents:document-1"), ("form", "x"), ("map", "0" * 64), ("map", "")]
)
def test_a_form_with_a_choice_that_was_not_offered_does_nothing(filled: Site, field: str, value: str) -> None:
    before = len(filled.node.db.sources())
    given = {"form": f"{AREA}:stix-2.1", "map": filled.map_id, field: value}
    files = {"file": ("up.json", bundle_of(as_bytes(indicator(301))), "application/json")}
    answer = Seat(filled, "rung4").hand_in("/import", "take", files=files, **given)
    assert answer.status_code == 400, text_of(answer.text)
    assert len(filled.node.db.sources()) == before


def test_no_file_and_an_unreadable_one_are_refused_in_words(filled: Site) -> None:
    seat = Seat(filled, "rung4")
    given = {"form": f"{AREA}:stix-2.1", "map": filled.map_id}
    assert "a file is needed" in text_of(seat.hand_in("/import", "take", **given).text)
    answer = seat.hand_in("/import", "take", files={"file": ("x", b"no json")}, **given)
    assert answer.status_code == 400
    assert "Nothing was done" in text_of(answer.text)


def test_who_has_no_area_that_takes_files_is_not_offered_the_form(filled: Site) -> None:
    page = Seat(filled, "other").see("/import")
    assert "No area of yours" in page
