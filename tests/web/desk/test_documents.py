"""Documents held here are listed by need to know, taken in with a cover, and given out as numbered copies."""

from dataclasses import dataclass

import pytest

from entente.node.copies import copies_of
from entente.node.propose import Wish
from entente.treaty.cover import Stated
from entente.treaty.marking import Marking, MarkingMap
from lab.desk import Seat, text_of
from lab.pair import AREA, Pair
from lab.site import PASSWORD, Site, certified, put_password

DOCUMENTS = "documents"
FILE = b"The port is guarded by night.\n"


@dataclass
class Held:
    """A site that holds a document of each party's."""

    site: Site
    map: str
    ours: str
    theirs: str
    deep: str


def sent(pair: Pair, code: str, title: str, level: int, data: bytes = FILE) -> tuple[str, str]:
    """A document that this party released, and the map it is marked by."""
    node = pair.nodes[code]
    law = node.law.law
    mark = Marking(
        (), law.party[code].levels[level], code, (law.areas[DOCUMENTS].purposes or ("",))[0],
        tuple(sorted(law.parties)),
    )  # fmt: skip
    map_id = node.sign_map(MarkingMap(node.law.hash, DOCUMENTS, (), mark), [pair.of(node, "iyer")])
    stated = Stated({"en": title}, "en", "report")
    source = node.document(data, stated, label="", parents=[], place="x.txt", map_id=map_id).source
    made = node.propose(source, Wish(f"{code}/rao", copies=2))
    pair.approve(node, made.rid, "nair")
    if (law.areas[DOCUMENTS].approvals or 0) > 1:
        pair.approve(node, made.rid, "iyer", "security")
    node.dispatch([made.rid])
    pair.exchange()
    return made.rid, map_id


@pytest.fixture(scope="module")
def held(site: Site) -> Held:
    pair = site.pair
    for name, level in (("doc0", 0), ("doc3", 3)):
        certified(pair, site.node, name, level, areas=[AREA, DOCUMENTS])
        put_password(pair, site.node, name)
    ours, map_id = sent(pair, site.code, "Our report", 0)
    theirs, _ = sent(pair, site.partner, "Their report", 0)
    deep, _ = sent(pair, site.partner, "CANARY report", 2, b"CANARY inside\n")
    return Held(site, map_id, ours, theirs, deep)


def test_documents_are_listed_by_need_to_know(held: Held) -> None:
    titles = {
        name: {row["title"] for row in Seat(held.site, name).rows("/documents.json")} for name in ("doc0", "doc3")
    }
    assert titles == {"doc0": {"Our report", "Their report"}, "doc3": {"Our report", "Their report", "CANARY report"}}
    assert Seat(held.site, "rung3").rows("/documents.json") == []
    for path in (f"/document/{held.deep}", f"/document/{held.deep}/file"):
        hidden = Seat(held.site, "doc0").ask(path)
        missing = Seat(held.site, "doc0").ask(path.replace(held.deep, "0" * 64))
        assert (hidden.status_code, hidden.text) == (404, missing.text)


def test_a_document_of_ours_is_downloaded_as_it_is(held: Held) -> None:
    assert Seat(held.site, "doc0").ask(f"/document/{held.ours}/file").content == FILE


def test_a_document_of_the_partners_leaves_as_a_numbered_copy_alone(held: Held) -> None:
    seat, path = Seat(held.site, "doc0"), f"/document/{held.theirs}"
    assert seat.ask(f"{path}/file").status_code == 404
    assert seat.ask(f"{path}/file?copy=1&ticket=é").status_code == 404
    fields = {"holder": "The duty officer", "place": "Room 4"}
    assert seat.hand_in(path, "copy", **fields, password=PASSWORD[1:]).status_code == 400
    assert copies_of(held.site.node, held.theirs) == []
    where = seat.do(path, "copy", **fields, password=PASSWORD)
    (copy,) = copies_of(held.site.node, held.theirs)
    assert (copy.n, copy.holder, copy.place) == (1, "The duty officer", "Room 4")
    link = where.replace("?", "/file?", 1)
    assert "Download" in seat.see(where)
    assert seat.ask(link).content == FILE
    assert Seat(held.site, "doc3").ask(link).status_code == 404, "whoever made it alone"
    held.site.node.close_copy(held.theirs, 1)
    assert seat.ask(link).status_code == 404


def test_a_document_is_taken_in_with_its_cover(held: Held) -> None:
    seat = Seat(held.site, "doc0")
    fields: dict[str, str | list[str]] = {
        "title-en": "A new one",
        "title-ko": "새 문서",
        "language": "en",
        "kind": "report",
        "map": held.map,
        "author": "The harbour office",
        "date": "2026-05-30",
        "parents": [held.theirs],
    }
    files = {"file": ("new.txt", b"words\n", "text/plain")}
    where = seat.do("/documents/new", "take", files=files, **fields)
    source = held.site.node.db.source(where.rpartition("/")[2])
    assert source is not None
    (thing,) = held.site.node.view.things(source.id)
    assert (thing.title, thing.type) == ("A new one", "report")
    wrongs: tuple[dict[str, str | list[str]], ...] = (
        {"kind": "x"},
        {"language": "x"},
        {"date": "30 May"},
        {"parents": ["0" * 64]},
        {"map": "x"},
        {"title-en": "", "title-ko": ""},
    )
    for wrong in wrongs:
        before = len(held.site.node.db.sources())
        answer = seat.hand_in("/documents/new", "take", files=files, **{**fields, **wrong})
        assert answer.status_code == 400, (wrong, text_of(answer.text))
        assert len(held.site.node.db.sources()) == before


def test_what_acts_by_itself_is_set_aside_and_said_so(held: Held) -> None:
    files = {"file": ("x.html", b"<html><script>alert(1)</script></html>", "text/html")}
    fields = {"title-en": "A page", "language": "en", "kind": "report", "map": held.map}
    where = Seat(held.site, "doc0").do("/documents/new", "take", files=files, **fields)
    source = held.site.node.db.source(where.rpartition("/")[2])
    assert source is not None
    assert (source.count, source.quarantined) == (0, 1)


def test_who_has_no_area_for_documents_is_offered_none(held: Held) -> None:
    assert "No area of yours" in Seat(held.site, "rung3").see("/documents/new")
    assert Seat(held.site, "rung3").hand_in("/documents/new", "take").status_code == 404
