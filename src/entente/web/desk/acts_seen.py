"""Acts as a visitor meets them: which they may know of, what each says in words, and whether it waits on them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from entente.account.state import ReleaseFact, Side
from entente.node import act as acts
from entente.node.act import Act
from entente.node.order import KEEP_IMPORT
from entente.store.act_rows import PREPARED, ActRow
from entente.strict import convert, parse
from entente.treaty.marking import Marking
from entente.web.desk.waiting import person_of
from entente.web.page import Cell, Content, Said, said
from entente.web.visit import Visit, release_cell

Waits = tuple[ActRow, Act]
KINDS: dict[str, Said] = {
    "order": said("order"),
    "term": said("term of the agreement"),
    "incident": said("incident"),
    "standing": said("standing approval"),
    "undertaking": said("undertaking"),
    "claim": said("claim"),
}
STATES: dict[str, Said] = {
    PREPARED: said("waits for signatures", tone="wait"),
    "entered": said("entered", tone="good"),
    "dropped": said("given up", tone="bad"),
}
ORDERS: dict[str, Said] = {
    "withdraw": said("Withdraw it: the partner uses it no more"),
    "return": said("Have it back: the partner releases it back and holds it no more"),
    "destroy": said("Have it destroyed, there and here"),
    "reclass": said("Give it another marking"),
}
TERMS: dict[str, Said] = {
    "suspend": said("Suspend the agreement: nothing is released either way."),
    "resume": said("Resume what this party has suspended."),
    "notice_of_end": said("Give notice of the agreement's end: it is not renewed."),
}


def releases_of(visit: Visit, kind: str, body: Mapping[str, Any]) -> list[tuple[Side, ReleaseFact]]:
    """The releases that an act is about."""
    node = visit.node
    if kind == "order":
        fact = node.side.release(str(body["rid"]))
        return [(node.side, fact)] if fact is not None else []
    found = []
    for pointed in body["releases"] if kind == "incident" else ():
        side = next((side for side in node.pair.sides.values() if side.origin == pointed["origin"]), None)
        for first, last in pointed["spans"] if side is not None else ():
            places = (side.by_idx.get(idx) for idx in range(first, last + 1)) if side is not None else ()
            found += [(side, side.releases[place]) for place in places if place is not None and side is not None]
    return found


def may_see(visit: Visit, kind: str, body: Mapping[str, Any]) -> bool:
    """Whether the visitor may know of an act: of every release it is about, and of the area that it names."""
    if kind == "order" and body["act"] == "reclass":
        fact = visit.node.side.release(str(body["rid"]))
        marking = convert(body["marking"], Marking, place="order")
        if fact is None or not visit.sees_marking(fact.area, marking, visit.node.party):
            return False
    covers = body.get("class") if kind == "standing" else None
    if isinstance(covers, dict) and covers["area"] not in visit.visitor.areas:
        return False
    return all(visit.sees(side, fact) for side, fact in releases_of(visit, kind, body))


def rows_seen(visit: Visit, state: str = "") -> Iterator[tuple[ActRow, dict[str, Any]]]:
    """The acts that the visitor may know of, newest first, with their bodies."""
    for row in reversed(visit.node.db.acts()):
        now = "entered" if row.id in visit.node.side.acts else row.state
        if state in ("", now):
            body = parse(row.body, newlines=row.kind == "undertaking")
            if may_see(visit, row.kind, body):
                yield row, body


def act_seen(visit: Visit, name: str) -> Act:
    """The act with this id; the same error if there is none and if this visitor may not know of it."""
    rows = visit.node.db.acts_named(name) if len(name) == 64 else []
    found = acts.show(visit.node, rows[0]) if rows and rows[0].id == name else None
    if found is None or not may_see(visit, found.kind, found.body):
        raise visit.missing()
    return found


def in_words(visit: Visit, found: Act) -> list[Content]:
    """What an act says."""
    return _WORDS[found.kind](visit, found)


def _term(_: Visit, found: Act) -> list[Content]:
    return [TERMS[found.body["act"]]]


def _order(visit: Visit, found: Act) -> list[Content]:
    body = found.body
    told: list[Content] = [ORDERS[body["act"]], *_releases(visit, found)]
    if body["act"] == "reclass":
        marking = convert(body["marking"], Marking, place="order")
        told += [Cell(line) for line in visit.marking_lines(marking, visit.node.party)]
    if found.home.get(KEEP_IMPORT):
        told.append(said("The import that it was drawn from is kept here."))
    return told


def _incident(visit: Visit, found: Act) -> list[Content]:
    body = found.body
    told = said("{kind}: {stage}, discovered", kind=body["class"], stage=body["stage"])
    return [told, visit.time(body["discovered_at"]), *_releases(visit, found)]


def _standing(visit: Visit, found: Act) -> list[Content]:
    body = found.body
    if "revokes" in body:
        act = str(body["revokes"])
        return [said("Revoke a standing approval:"), Cell(act[:16], "digest", f"/act/{act}")]
    covers, quota = body["class"], body["per_day"]
    return [
        said("Releases of this class need no persons:"),
        Cell(f"{covers['area']}, {covers['format']}, {covers['view']}, {covers['ceiling']}, {covers['purpose']}"),
        said("{n} a day, {b} bytes a day, until", n=quota["count"], b=quota["bytes"]), visit.time(body["until"]),
    ]  # fmt: skip


def _undertaking(_: Visit, found: Act) -> list[Content]:
    body = found.body
    words: list[Content] = [Cell(text, lang=language) for language, text in body["text"].items()]
    return [said("{debtor} owes {creditor}:", debtor=body["from"], creditor=body["to"]), *words]


def _claim(_: Visit, found: Act) -> list[Content]:
    return [said("Of {key} it is claimed:", key=found.body["key"]), Cell(str(found.body["value"]))]


_WORDS: dict[str, Callable[[Visit, Act], list[Content]]] = {
    "term": _term, "order": _order, "incident": _incident, "standing": _standing, "undertaking": _undertaking,
    "claim": _claim,
}  # fmt: skip


def _releases(visit: Visit, found: Act) -> list[Cell]:
    return [_about(visit, side, fact) for side, fact in releases_of(visit, found.kind, found.body)]


def _about(visit: Visit, side: Side, fact: ReleaseFact) -> Cell:
    cell = release_cell(fact.rid, f"{side.party} {fact.number}")
    mark = visit.mark(visit.release_marking(side, fact), side.party)
    return Cell(cell.text, cell.kind, cell.href, mark=mark)


def short(row: ActRow, body: Mapping[str, Any]) -> Content:
    """An act in a few words."""
    if row.kind == "order":
        return ORDERS[str(body["act"])]
    if row.kind == "term":
        return TERMS[str(body["act"])]
    if row.kind in ("undertaking", "claim"):
        return Cell(str(body["key"]))
    if row.kind == "incident":
        return said("{kind}: {stage}", kind=str(body["class"]), stage=str(body["stage"]))
    return said("revokes one") if "revokes" in body else Cell(str(body["class"]["area"]))


def mark_of(visit: Visit, row: ActRow, body: Mapping[str, Any]) -> str:
    """The portion mark of an act in a list: of the highest release that it is about."""
    found = releases_of(visit, row.kind, body)
    if not found:
        return ""
    marked = [(visit.release_marking(side, fact), side.party) for side, fact in found]
    return visit.mark(*max(marked, key=lambda one: visit.rank(*one)))


def may_sign(visit: Visit, found: Act) -> bool:
    """Whether the visitor's signature would count beside those that stand there."""
    me = person_of(visit.node, visit.visitor.handle)
    if me is None or found.state != PREPARED or visit.visitor.read_only:
        return False
    if found.roles is not None and not set(found.roles) & set(me.roles):
        return False
    others = [person_of(visit.node, by) for by in found.signed]
    return all(one is None or (one.commitment != me.commitment and one.key != me.key) for one in others)


def may_end(visit: Visit, found: Act) -> bool:
    """Whether the visitor has to do with this act: prepared or signed it, or could sign it."""
    handle, roles = visit.visitor.handle, found.roles
    return handle in (found.by, *found.signed) or roles is None or bool({*roles} & {*visit.visitor.roles})


def on_me(visit: Visit) -> tuple[list[Waits], list[Waits]]:
    """The acts that wait for the visitor's signature, and those that they can enter; each oldest first."""
    signing, entering = list[Waits](), list[Waits]()
    for row, _ in rows_seen(visit, PREPARED):
        one = acts.show(visit.node, row)
        if one.enough and may_end(visit, one):
            entering.append((row, one))
        elif not one.enough and not one.fault and may_sign(visit, one):
            signing.append((row, one))
    return signing[::-1], entering[::-1]
