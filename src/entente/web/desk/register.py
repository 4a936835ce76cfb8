"""The register: every entry of both parties, who may know what of each, and how far all of it was verified."""

from collections.abc import Iterator, Sequence

from entente.account.acts import RANK_2, Release, parse_body
from entente.account.state import ReleaseFact, Side
from entente.errors import EntenteError
from entente.register.entry import Entry, parse_entry
from entente.register.tiles import TILE_WIDTH
from entente.web.desk.books import Line, books, clear_rank, entry_of, release_named
from entente.web.desk.telling import ACTS, KINDS, word
from entente.web.desk.verify import verified
from entente.web.page import Cell, Column, Content, Filter, Links, Listing, Page, Row, said
from entente.web.screen import page
from entente.web.visit import Visit

MOST_NAMED = 3  # releases that one row names
Told = tuple[Line, bytes]


@page("/register", said("Register"), menu=True, key="r", lists=True)
def register(visit: Visit) -> Page:
    """Every entry of both registers, the latest first."""
    lines = _asked(visit, books(visit.door).lines(visit.node))
    links = [
        Cell(said("Verify everything now"), href="/verify"),
        Cell(said("The account of both registers: reconcile"), href="/reconcile"),
        Cell(said("The auditor's extract"), href="/extract"),
    ]
    parties = [(party, party) for party in visit.node.pair.sides]
    kinds = [(kind, words) for kind, words in KINDS.items() if kind]
    listing = Listing(
        said("Entries"),
        [
            Column("entry", said("Entry"), "code"), Column("at", said("When"), "time"),
            Column("kind", said("Kind")), Column("about", said("What it concerns")),
            Column("says", said("What it says")), Column("state", said("State")),
        ],
        lambda first, most: _read(visit, lines[first : first + most]),
        lambda told: _row(visit, *told),
        filters=[
            Filter("party", said("Register of"), parties), Filter("kind", said("Kind"), kinds),
            Filter("since", said("From (YYYY-MM-DD)")), Filter("until", said("To (YYYY-MM-DD)")),
        ],
        total=len(lines),
        stamp=lambda: repr(visit.node.pair.sizes),
    )  # fmt: skip
    return Page(said("Register"), [Links(said("What can be done with it"), links), listing], lead=verified(visit))


def _asked(visit: Visit, lines: Sequence[Line]) -> Sequence[Line]:
    """The lines that the query asks for."""
    party, kind = visit.query.get("party"), visit.query.get("kind")
    since, until = visit.query.get("since"), visit.query.get("until")
    if party:
        lines = [line for line in lines if line.party == party]
    if kind:
        lines = [line for line in lines if line.kind == kind]
    if since:
        lines = [line for line in lines if line.at >= since]
    if until:
        lines = [line for line in lines if line.at[: len(until)] <= until]
    return lines


def _read(visit: Visit, lines: Sequence[Line]) -> list[Told]:
    """These entries' bytes; each bundle is read once."""
    node, bundles = visit.node, dict[tuple[str, int], list[bytes]]()
    found = []
    for line in lines:
        place, number = divmod(line.idx, TILE_WIDTH)
        if (line.party, place) not in bundles:
            end = min((place + 1) * TILE_WIDTH, node.trees[line.party].size)
            bundles[line.party, place] = node.db.entries(node.logs[line.party], place * TILE_WIDTH, end)
        found.append((line, bundles[line.party, place][number]))
    return found


def _row(visit: Visit, line: Line, data: bytes) -> Row:
    about, says, mark = _about(visit, line, data)
    invalid = any(bad.idx == line.idx for bad in visit.node.pair.sides[line.party].invalid)
    cells: dict[str, Content] = {
        "entry": Cell(f"{line.party} {line.idx:,}"), "at": visit.time(line.at) if line.at else "",
        "kind": word(KINDS, line.kind), "about": about, "says": says,
        "state": said("changes nothing", tone="bad") if invalid else said("counts", tone="good"),
    }  # fmt: skip
    return Row(f"{line.party}/{line.idx}", cells, f"/entry/{line.party}/{line.idx}", mark)


def _about(visit: Visit, line: Line, data: bytes) -> tuple[Content, Content, str]:
    """What an entry concerns, what it says of it, and the portion mark; nothing that is not for the visitor."""
    about: Content = ""
    says = mark = ""
    try:
        entry = parse_entry(data)
    except EntenteError:
        return "", "", ""
    says = str(entry.body.get("outcome") or entry.body.get("act") or entry.body.get("stage") or "")
    match entry.kind:
        case "release" | "order" | "answer" | "incident":
            about, mark = _releases(visit, line, entry)
            says = says if about else ""
        case "undertaking" | "claim":
            if visit.visitor.rank >= clear_rank(visit):
                about, mark = Cell(str(entry.body.get("key", ""))), visit.portion(clear_rank(visit))
        case "key":
            about = Cell(str(entry.body.get("subject", "")))
    return about, word(ACTS, says), mark


def _releases(visit: Visit, line: Line, entry: Entry) -> tuple[Content, str]:
    """The first few releases that an entry is about, by number, and the highest of their portion marks."""
    named: list[str] = []
    highest, mark = -1, ""
    for side, fact in concerned(visit, line.party, line.idx, entry):
        if fact is None or not visit.sees(side, fact):
            continue
        if len(named) == MOST_NAMED:
            named.append("…")
            break
        marking = visit.release_marking(side, fact)
        rank, own = visit.rank(marking, side.party), visit.mark(marking, side.party)
        if rank > highest:
            highest, mark = rank, own
        named.append(f"{side.party} {fact.number}")
    return Cell(", ".join(named)) if named else "", mark


# Who may know what of an entry


def concerned(visit: Visit, party: str, idx: int, entry: Entry) -> Iterator[tuple[Side, ReleaseFact | None]]:
    """The releases that an entry is about; None for one that no valid entry stands for."""
    pair = visit.node.pair
    side, other = pair.sides[party], pair.other(party)
    match entry.kind:
        case "release":
            yield side, _at(side, idx)
        case "order":
            yield side, side.release(str(entry.body.get("rid", "")))
        case "answer":
            yield from _pointed(visit, other, [entry.body.get("re")])
        case "incident":
            for origin in (side, other):
                found = [one for one in entry.body.get("releases", []) if one.get("origin") == origin.origin]
                yield from _pointed(visit, origin, found)


def _at(side: Side, idx: int) -> ReleaseFact | None:
    place = side.by_idx.get(idx)
    return side.releases[place] if place is not None else None


def _pointed(visit: Visit, side: Side, pointed: Sequence[object]) -> Iterator[tuple[Side, ReleaseFact | None]]:
    """The releases among the entries that are pointed at, and those that the orders and incidents there are about."""
    for one in pointed:
        spans = one.get("spans", []) if isinstance(one, dict) else []
        for first, last in spans:
            for idx in side.rank2_between(first, last):
                if idx in side.by_idx:
                    yield side, _at(side, idx)
                    continue
                _, entry = entry_of(visit.node, side.party, idx)
                if entry is not None and entry.kind in RANK_2:
                    yield from concerned(visit, side.party, idx, entry)


def may_read(visit: Visit, party: str, idx: int, entry: Entry | None) -> bool:
    """Whether the visitor may read an entry whole: they may know of every release that it is about."""
    if entry is None:
        return _cleared(visit)
    match entry.kind:
        case "undertaking" | "claim":
            return visit.visitor.rank >= clear_rank(visit)
        case "standing":
            covers = entry.body.get("class")
            return not isinstance(covers, dict) or covers.get("area") in visit.visitor.areas
        case "release" | "order" | "answer" | "incident":
            return _may_read_all(visit, party, idx, entry)
    return True


def _may_read_all(visit: Visit, party: str, idx: int, entry: Entry) -> bool:
    if entry.kind == "release" and _at(visit.node.pair.sides[party], idx) is None:
        return _may_read_core(visit, party, entry)
    found = [fact for _, fact in concerned(visit, party, idx, entry)]
    if None in found or (not found and entry.kind != "answer"):
        return _cleared(visit)
    return all(fact is not None and release_named(visit, fact.rid) is not None for fact in found)


def _may_read_core(visit: Visit, party: str, entry: Entry) -> bool:
    """The same of a release entry that counts for nothing: by what it says of itself."""
    try:
        body = parse_body(entry.kind, entry.body)
    except EntenteError:
        return _cleared(visit)
    return isinstance(body, Release) and visit.sees_marking(body.core.area, body.core.marking, party)


def _cleared(visit: Visit) -> bool:
    """Whether the visitor may read whatever it is: the highest level, and every area."""
    top = max(visit.law.ranks[visit.node.party].values(), default=0)
    return visit.visitor.rank >= top and set(visit.law.areas) <= set(visit.visitor.areas)
