"""The area's page at the desk: indicators and other objects by type, as far as the visitor may read them."""

from entente.store.find_rows import Found, Sought
from entente.web.desk.search import Finding, words_of
from entente.web.desk.seen import object_mark, object_path, place_of, shelf_words, shelves
from entente.web.page import Cell, Column, Filter, Listing, Page, Row, said
from entente.web.screen import page
from entente.web.visit import Visit

AREA = "intelligence"
TYPES = ("indicator", "malware", "campaign", "intrusion-set", "vulnerability", "report", "sighting", "attack-pattern")
COLUMNS = (Column("title", said("Object")), Column("where", said("Where")), Column("version", said("Version"), "code"))


@page("/intelligence", said("Threat intelligence"), area=AREA, menu=True, lists=True)
def intelligence(visit: Visit) -> Page:
    """Objects of one type or of all, the newest first."""
    mine = tuple(name for name in shelves(visit) if name.startswith(f"{AREA}/"))
    finding = Finding(visit, Sought(mine, visit.visitor.rank, words_of(visit.query.get("q")), visit.query.get("type")))

    def row(found: Found) -> Row:
        path = object_path(visit, found, place_of(visit, found.place))
        cells = {"title": Cell(found.title), "where": shelf_words(found), "version": Cell(found.version)}
        return Row(path, cells, path, object_mark(visit, found))

    listing = Listing(
        said("Objects"), COLUMNS, finding.items, row,
        [Filter("type", said("Type"), [(name, name) for name in TYPES]), Filter("q", said("Words"))],
        stamp=lambda: str(visit.node.view.number("stamp")),
    )  # fmt: skip
    return Page(said("Threat intelligence"), [listing])


SCREENS = (intelligence,)
