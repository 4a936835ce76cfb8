"""Quarantine: every object that an import set aside, and every release of the partner's that was refused, with why."""

from collections.abc import Iterator, Sequence

import msgspec

from entente.node.import_ import SetAside, set_aside
from entente.store.node_db import SourceRow
from entente.web.desk.inbox import KINDS, OUTCOMES, Arrived, arrived, why
from entente.web.desk.seen import imports, sees_set_aside
from entente.web.page import Cell, Column, Content, Filter, Listing, Page, Row, said
from entente.web.screen import page
from entente.web.visit import Visit


class Aside(msgspec.Struct, frozen=True):
    """An object that was set aside, with the import that it came in and its number among those."""

    source: SourceRow
    number: int
    bad: SetAside


@page("/quarantine", said("Quarantine"), lists=True)
def quarantine(visit: Visit) -> Page:
    """What was set aside or refused, newest import first, then releases."""
    ask = visit.query.get
    sources = [
        one
        for one in imports(visit)
        if one.quarantined and ask("area") in ("", one.area) and one.id.startswith(ask("import"))
        and sees_set_aside(visit, one)
    ]  # fmt: skip
    sources = [] if ask("kind") == "release" else sources
    refused = [row for row in arrived(visit) if row.state == "refused" and ask("area") in ("", row.area)]
    refused = [] if ask("kind") == "import" or ask("import") else refused
    total = len(refused) + sum(one.quarantined for one in sources)

    def items(first: int, most: int) -> Sequence[Arrived | Aside]:
        rows: list[Arrived | Aside] = list(refused[first : first + most])
        return rows + list(_asides(visit, sources, max(first - len(refused), 0), most - len(rows)))

    columns = [
        Column("what", said("What")), Column("which", said("Which"), "code"), Column("why", said("Why")),
        Column("at", said("When"), "time"), Column("area", said("Area")), Column("sha256", said("SHA-256"), "digest"),
    ]  # fmt: skip
    filters = [
        Filter("kind", said("What"), [(key, KINDS[key]) for key in ("release", "import")]),
        Filter("area", said("Area"), [(area, area) for area in visit.visitor.areas]),
        Filter("import", said("Import (the beginning of its id)")),
    ]
    listing = Listing(
        said("Set aside or refused"), columns, items, lambda row: _row(visit, row), filters, total,
        stamp=lambda: str(total), empty=said("Nothing was set aside or refused that fits."),
    )  # fmt: skip
    note = said("{n} set aside or refused. None of it can be proposed or cross.", n=total, tone="wait" if total else "")
    return Page(said("Quarantine"), [listing], note, [Cell(said("Inbox"), href="/inbox")])


def _asides(visit: Visit, sources: Sequence[SourceRow], first: int, most: int) -> Iterator[Aside]:
    """At most so many objects, from the `first` on; only the journal of the imports they are in is read."""
    for source in sources:
        if first >= source.quarantined:
            first -= source.quarantined
            continue
        if most <= 0:
            return
        rows = set_aside(visit.node, source.id)
        for number, bad in enumerate(rows[first : first + most], first):
            yield Aside(source, number, bad)
            most -= 1
        first = 0


def _row(visit: Visit, row: Arrived | Aside) -> Row:
    if isinstance(row, Arrived):
        fact = row.release
        number, rid = (fact.number, fact.rid) if fact is not None else (0, "")
        marking = visit.release_marking(visit.node.other_side, fact) if fact is not None else None
        mark = visit.mark(marking, visit.node.partner) if marking is not None else ""
        outcome = _outcome(visit, row)
        cells: dict[str, Content] = {
            "what": said("release {n}", n=number), "which": Cell(rid[:12], "digest"), "why": outcome,
            "at": visit.time(row.at), "area": row.area, "sha256": "",
        }  # fmt: skip
        return Row(f"release/{rid}", cells, f"/release/{rid}", mark)
    cells = {
        "what": said("object of import {id}", id=row.source.id), "which": row.bad.place,
        "why": Cell(row.bad.reason) if row.bad.reason else said("the reason was told at the import, and not kept"),
        "at": visit.time(row.source.at), "area": row.source.area, "sha256": Cell(row.bad.sha256, "digest"),
    }  # fmt: skip
    return Row(f"import/{row.source.id}/{row.number}", cells, f"/import/{row.source.id}")


def _outcome(visit: Visit, row: Arrived) -> Content:
    """Why a release was refused: what our register says, and what this node keeps of it."""
    told = next((answer.outcome for answer in row.release.answers), "") if row.release is not None else ""
    found = why(visit, row)
    words = found.text if isinstance(found, Cell) else ""
    plain = isinstance(words, str) and words != ""
    return said("{what}: {why}", what=OUTCOMES[told].text, why=str(words)) if told in OUTCOMES and plain else found
