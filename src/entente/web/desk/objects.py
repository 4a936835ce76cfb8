"""What of a draft crosses and what stays, object by object: source beside outgoing bytes, and what was struck out.

Of what stays a visitor sees no more than their clearance reaches; what it names, and prose that points at it, likewise.
"""

from collections.abc import Sequence

from entente.node.holdings import held_by_partner
from entente.node.review import Prepared, Reviewed, mentioning, prepare, reviewed
from entente.treaty.record import LONG
from entente.web.desk.laid_out import beside, lines_of, visible
from entente.web.desk.rules import rule_words
from entente.web.desk.waiting import Waiting
from entente.web.page import (
    Beside,
    Block,
    Cell,
    Column,
    Content,
    Facts,
    Filter,
    Line,
    Listing,
    Row,
    Said,
    Table,
    Text,
    said,
)
from entente.web.visit import Visit, release_cell

MOST_SHOWN = 12_000  # characters of one object on the draft's page; its own page shows it whole
MOST_ON_PAGE = 250_000
MOST_LOOKED = 1 << 22  # bytes of payload that are gone through unasked for prose that points at what stays
COLUMNS = (
    Column("number", said("No."), "number"),
    Column("title", said("Object")),
    Column("type", said("Type"), "code"),
    Column("fate", said("What becomes of it")),
    Column("rule", said("Rule not met")),
    Column("article", said("Article")),
    Column("id", said("Id"), "code"),
    Column("sha256", said("SHA-256"), "digest"),
)


class Objects:
    """The objects of one draft as one visitor may see them."""

    def __init__(self, visit: Visit, one: Waiting) -> None:
        """Raises: StateError if its key is gone; VerificationError if other bytes rest here than approvals sign."""
        self.visit, self.one, rid = visit, one, one.row.rid
        node = visit.node
        self.shared: Prepared = visit.door.kept(node, ("review", rid), lambda: prepare(node, node.areas, rid))
        self.crosses = len(self.shared.listing.records)
        self.staying = self._staying()
        self.all_seen = len(self.staying) == len(self.shared.refused)
        self._last: tuple[tuple[int, ...], tuple[Reviewed, ...]] = ((), ())

    def _staying(self) -> list[int]:
        """The numbers of what stays that this visitor may know of."""
        resting, found = self.shared.resting, []
        for place, line in enumerate(self.shared.refused):
            row = resting.get(line.sha256)
            if (row.rank if row is not None else self.shared.highest) <= self.visit.visitor.rank:
                found.append(self.crosses + place)
        return found

    def rules(self) -> dict[tuple[str, str], int]:
        """How many stay by (rule, article)."""
        found: dict[tuple[str, str], int] = {}
        for number in self.staying:
            line = self.shared.refused[number - self.crosses]
            found[line.rule, line.article] = found.get((line.rule, line.article), 0) + 1
        return found

    def pointing(self) -> tuple[int, ...]:
        """The numbers of crossing objects whose prose points at what stays; none where not all of that may be known."""
        node, rid = self.visit.node, self.one.row.rid
        if not self.all_seen:
            return ()
        return self.visit.door.kept(node, ("mentions", rid), lambda: mentioning(node, self.shared))

    @property
    def looked(self) -> bool:
        """Whether prose is looked through unasked."""
        return self.one.core.bytes_padded <= MOST_LOOKED

    def numbers(self) -> Sequence[int]:
        """The numbers of what the visit's query asks for."""
        query, crossing = self.visit.query, range(self.crosses)
        rule, fate = query.get("rule"), query.get("fate")
        if rule:
            return [n for n in self.staying if self.shared.refused[n - self.crosses].rule == rule]
        if fate == "mentions":
            return self.pointing()
        return crossing if fate == "crosses" else self.staying if fate == "stays" else [*crossing, *self.staying]

    def some(self, numbers: Sequence[int]) -> tuple[Reviewed, ...]:
        """These objects; kept until others are asked for."""
        wanted = tuple(numbers)
        if self._last[0] != wanted:
            node = self.visit.node
            self._last = wanted, reviewed(node, node.areas, self.shared, wanted)
        return self._last[1]

    # Blocks

    def listing(self) -> Listing:
        """All of them, a page at a time."""
        numbers = self.numbers()
        rules = [(rule, rule_text(rule)) for rule in dict.fromkeys(rule for rule, _ in self.rules())]
        fates = [("crosses", said("crosses")), ("stays", said("stays"))]
        if self.all_seen:
            fates.append(("mentions", said("its prose points at what stays")))
        return Listing(
            said("Objects"), COLUMNS, lambda first, most: self.some(numbers[first : first + most]), self._row,
            [Filter("fate", said("What becomes of it"), fates), Filter("rule", said("Rule not met"), rules)],
            len(numbers), stamp=lambda: self.one.row.rid,
        )  # fmt: skip

    def _row(self, one: Reviewed) -> Row:
        cells: dict[str, Content] = {
            "number": one.number + 1,
            "title": Cell(one.title or one.id),
            "type": Cell(one.type, "code"),
            "fate": fate_of(one),
            "rule": rule_words(one.rule) if one.rule else "",
            "article": one.article,
            "id": Cell(one.id, "code"),
            "sha256": Cell(one.sha256[:16], "digest"),
        }
        return Row(str(one.number), cells, f"/draft/{self.one.row.rid}/object/{one.number}", self.mark(one))

    def mark(self, one: Reviewed) -> str:
        """Its portion mark: what crosses as the payload marks it, what stays by the clearance that it asks for."""
        if one.marking is not None:
            return self.visit.mark(one.marking, self.visit.node.party)
        return self.visit.portion(one.rank)

    def page(self) -> list[Block]:
        """The objects of this page of the list: bytes beside bytes, what names what stays, and what the partner has."""
        query = self.visit.query
        shown = self.some(self.numbers()[query.first : query.first + query.size + 1])[: query.size]
        made: list[Block] = []
        left = MOST_ON_PAGE
        for one in shown:
            if one.crosses and left > 0:
                blocks, used = self.bytes_of(one, MOST_SHOWN)
                left -= used
                made += blocks
        if left <= 0:
            made.append(Text(said("More"), [said("The bytes of the other objects stand on their own pages.")]))
        return [*self.withheld(shown), *self.partner_has(shown), *made]

    def bytes_of(self, one: Reviewed, most: int) -> tuple[list[Block], int]:
        """Source beside outgoing bytes, up to so many characters a side; and how many that took."""
        n, name, mark = one.number + 1, one.title or one.id, self.mark(one)
        if not one.outgoing:
            text = said("{n} bytes, too many to show here; SHA-256 {digest}.", n=one.size, digest=one.sha256)
            return [Text(said("{n}. {name}", n=n, name=name), [text], mark)], 0
        source = lines_of(one.source)[0] if self._source_seen(one) else []
        outgoing, rest = lines_of(one.outgoing)
        left = beside(source, outgoing) if one.changed else [("\n".join(source), True)]
        cut = one.changed and is_stripped(one)
        right = [("\n".join(outgoing), True)]
        used = max(sum(len(text) for text, _ in left), len(right[0][0]))
        words = "{n}. {name}: something is stripped" if cut else "{n}. {name}"
        made: list[Block] = [
            Beside(
                said(words, n=n, name=name),
                said("Source, as imported") if source else said("Source: not held, or not for you to read"),
                said("Outgoing, as approvals sign it"), _cut(left, most) if source else [], _cut(right, most),
                self.visit.portion(self._source_rank(one)) if source else mark,
            )
        ]  # fmt: skip
        notes = self._notes(one, rest)
        if used > most:
            where = f"/draft/{self.one.row.rid}/object/{one.number}"
            notes.append(Cell(said("It is longer: see all of it."), href=where))
        if notes:
            made.append(Text(said("To {n}", n=n), notes, mark))
        return made, 2 * min(used, most)

    def whole(self, one: Reviewed) -> list[Block]:
        """All of one object: its bytes, or why it stays and what of it this visitor may read."""
        rows: list[tuple[Said | str, Line]] = [
            (said("Object"), Cell(one.title or one.id, mark=self.mark(one))),
            (said("Id and version"), [Cell(one.id, "code"), Cell(one.version)]),
            (said("Type"), Cell(one.type, "code")),
            (said("What becomes of it"), fate_of(one)),
            (said("SHA-256"), Cell(one.sha256, "digest")),
        ]
        if one.rule:
            rows.append((said("Rule not met"), [rule_words(one.rule), Cell(f"Art. {one.article}")]))
        made: list[Block] = [Facts(said("What it is"), rows)]
        if one.crosses:
            return [*made, *self.bytes_of(one, 2 * LONG)[0], *self.partner_has([one])]
        text = "\n".join(lines_of(one.source)[0])
        return [*made, Text(said("As imported"), [Cell(text, "pre")], self.mark(one), pre=True), *self.withheld([one])]

    def _source_rank(self, one: Reviewed) -> int:
        """The clearance that the object of the import asks for, which may hold more than what goes out."""
        row = self.visit.node.view.with_digest(self.one.row.source, one.source_sha256)
        return max(one.rank, row.rank) if row is not None else one.rank

    def _source_seen(self, one: Reviewed) -> bool:
        return bool(one.source) and self._source_rank(one) <= self.visit.visitor.rank

    def _notes(self, one: Reviewed, rest: bytes) -> list[Content]:
        notes: list[Content] = []
        if rest:
            notes.append(said("After these words {n} bytes of a file follow ({media}).", n=len(rest), media=one.media))
        if one.stripped:
            notes.append(said("{n} properties were kept back by their own markings.", n=one.stripped))
        if one.mentions and self.all_seen:
            texts = ", ".join(dict.fromkeys(visible(found.text) for found in one.mentions))
            notes.append(said("Its prose points at what stays: {texts}", tone="wait", texts=texts))
        return notes

    def withheld(self, shown: Sequence[Reviewed]) -> list[Block]:
        """Of what stays on this page: what it names that stays too, and what names it."""
        known = {row.id for row in self.shared.resting.values() if row.rank <= self.visit.visitor.rank}

        def told(names: Sequence[str]) -> str:
            return ", ".join(name for name in names if name in known or self.all_seen)

        rows: list[list[Content]] = [
            [
                Cell(one.title or one.id, mark=self.mark(one)), Cell(told(one.refers), "code"),
                Cell(told(one.named_by), "code"),
            ]
            for one in shown
            if not one.crosses and (told(one.refers) or told(one.named_by))
        ]  # fmt: skip
        columns = [said("Stays"), said("It names"), said("It is named by")]
        return [Table(said("References to what is kept back, on this page"), columns, rows)] if rows else []

    def partner_has(self, shown: Sequence[Reviewed]) -> list[Block]:
        """What the partner holds already of the objects that cross on this page."""
        visit = self.visit
        ids = [one.id for one in shown if one.crosses]
        now = {one.sha256 for one in shown}
        rows: list[list[Content]] = [
            [
                Cell(one.title or one.id, mark=visit.mark(one.marking, visit.node.party)), Cell(one.version),
                release_cell(one.rid, str(one.number)), visit.time(one.at), Cell(one.marking.level),
                said("received", tone="good") if one.held else Cell(one.state),
                said("the same bytes") if one.sha256 in now else said("other bytes", tone="wait"),
            ]
            for one in held_by_partner(visit.node, ids)
            if one.rid != self.one.row.rid and visit.sees_marking(one.area, one.marking, visit.node.party)
        ]  # fmt: skip
        columns = [
            said("Object"), said("Version"), said("Release"), said("At"), said("Level now"), said("State"),
            said("Beside this draft"),
        ]  # fmt: skip
        none = said("Nothing of these objects was released before.")
        return [Table(said("What the partner holds now on this subject"), columns, rows, none)]


def rule_text(rule: str) -> Said | str:
    """A rule for a choice."""
    words = rule_words(rule)
    return words if isinstance(words, Said) else rule


def is_stripped(one: Reviewed) -> bool:
    """Whether something of a changed object does not go out, or is not known to; other spaces alone are nothing."""
    return not all(kept for _, kept in beside(lines_of(one.source)[0], lines_of(one.outgoing)[0])) or not one.outgoing


def fate_of(one: Reviewed) -> Said:
    """What becomes of an object."""
    if not one.crosses:
        return said("stays", tone="bad")
    if one.changed and is_stripped(one):
        return said("crosses, stripped", tone="wait")
    if one.changed:
        return said("crosses, written with other spaces", tone="good")
    return said("crosses as imported", tone="good") if one.source_sha256 else said("crosses", tone="good")


def _cut(pieces: Sequence[tuple[str, bool]], most: int) -> list[tuple[str, bool]]:
    made, left = [], most
    for text, kept in pieces:
        if left <= 0:
            break
        made.append((text if len(text) <= left else f"{text[:left]} …", kept))
        left -= len(text)
    return made
