"""One visit to one screen: who asks, for what, on which node; and what they were shown, which makes the banner.

Need to know is asked here, the same way for every screen: what a visitor may not read does not exist for them, in
lists, counts, errors and exports alike.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from entente.account.cascade import carried, current_marking
from entente.account.state import ReleaseFact, Side
from entente.errors import EntenteError
from entente.node.documents import banner
from entente.node.node import Node
from entente.node.shelves import rank_of
from entente.treaty.agreement import Agreement
from entente.treaty.marking import Marking
from entente.web import times
from entente.web.door import Door
from entente.web.page import Cell, Content, Said
from entente.web.passkeys import Site
from entente.web.signin import Visitor

T = TypeVar("T")
PAGE = 50
PAGES = (25, 50, 100, 250)


class NoneSuchError(EntenteError):
    """There is nothing of this name here, or nothing that this person may see: the two are told apart nowhere."""

    code = "none_such"
    status = 404
    exit_code = 1
    title = "Not here"


class Query(msgspec.Struct, frozen=True):
    """What the address asks of a list: filters by key, the column to sort by, and which part of it."""

    filters: Mapping[str, str]
    sort: str = ""
    down: bool = False
    first: int = 0
    size: int = PAGE

    def get(self, key: str) -> str:
        """A filter's value, "" where it is not set."""
        return self.filters.get(key, "")


def parse_query(items: Iterable[tuple[str, str]]) -> Query:
    """The query of an address; what is not understood falls back to the beginning of everything."""
    given = dict(items)
    sort = given.pop("sort", "")
    first, size = given.pop("from", "0"), given.pop("size", str(PAGE))
    return Query(
        {key: value.strip() for key, value in given.items() if value.strip()},
        sort.removeprefix("-"),
        sort.startswith("-"),
        min(int(first), 10**9) if first.isascii() and first.isdecimal() and len(first) < 12 else 0,
        int(size) if size in map(str, PAGES) else PAGE,
    )


class Shown:
    """The markings of what was put on a page or into an export."""

    def __init__(self) -> None:
        self.rank = -1
        self.caveats: set[str] = set()

    def add(self, rank: int, caveats: Iterable[str] = ()) -> None:
        """Something of this rank is shown."""
        self.rank = max(self.rank, rank)
        self.caveats.update(caveats)


class Visit:
    """Who asks for what. `node` is open for reading alone, for as long as the page is made."""

    def __init__(
        self, door: Door, node: Node, visitor: Visitor, query: Query, params: Mapping[str, str], *,
        language: str = "en", words: Mapping[str, str] | None = None, site: Site | None = None,
    ) -> None:  # fmt: skip
        self.door, self.node, self.visitor, self.query, self.params = door, node, visitor, query, params
        self.language, self.site = language, site
        self.given: Mapping[str, str] = words or {}
        self.shown = Shown()
        self._portions: dict[int, str] = {}

    # Who and where

    @property
    def law(self) -> Agreement:
        """The agreement in force."""
        return self.node.law.law

    @property
    def user(self) -> str:
        """The visitor's handle without the party."""
        return self.visitor.handle.partition("/")[2]

    @property
    def zones(self) -> tuple[str, ...]:
        """The time zones of both capitals, this party's first."""
        return tuple(self.law.party[code].time_zone for code in (self.node.party, self.node.partner))

    def time(self, text: str) -> Cell:
        """A time, as both capitals read it; a dash if there is none."""
        return Cell(text, "time") if text else Cell("-", "code")  # not read as a time, in a column of times

    def age(self, text: str) -> str:
        """How long ago that was."""
        return times.age(text, self.node.now())

    # Need to know

    def reads(self, area: str, rank: int) -> bool:
        """Whether the visitor may read what is of this area ("": any) and asks for this rank."""
        return (not area or area in self.visitor.areas) and rank <= self.visitor.rank

    def portion(self, rank: int, caveats: Iterable[str] = ()) -> str:
        """The portion mark of something shown that asks for this rank, in both parties' words; the banner knows."""
        self.shown.add(rank, caveats)
        return self.level_words(rank)

    def level_words(self, rank: int) -> str:
        """A level of this party's scale, and the other party's word for it where the agreement has one."""
        if rank not in self._portions:
            levels = self.law.party[self.node.party].levels
            word = levels[max(0, min(rank, len(levels) - 1))]
            other = carried(word, self.node.party, self.node.partner, self.law)
            self._portions[rank] = f"{word} / {other}" if other not in (None, word) else word
        return self._portions[rank]

    def rank(self, marking: Marking, sender: str) -> int:
        """The least clearance, as a rank in this party's scale, that may read what `sender` marked so."""
        return rank_of(self.law, self.node.party, marking, sender)

    def release_marking(self, side: Side, fact: ReleaseFact) -> Marking:
        """How a release is marked now."""
        if not fact.orders and not fact.ancestors:
            return fact.marking
        return current_marking(self.node.pair, side, fact, self.node.laws).marking

    def sees(self, side: Side, fact: ReleaseFact) -> bool:
        """Whether the visitor may know of this release."""
        return self.reads(fact.area, self.rank(self.release_marking(side, fact), side.party))

    def sees_marking(self, area: str, marking: Marking, sender: str) -> bool:
        """Whether the visitor may know of what is marked so."""
        return self.reads(area, self.rank(marking, sender))

    def mark(self, marking: Marking, sender: str) -> str:
        """The portion mark of something shown with this marking; the banner knows."""
        return self.portion(self.rank(marking, sender), marking.caveats)

    def marking_lines(self, marking: Marking, sender: str) -> tuple[str, ...]:
        """A marking in full, as each party writes it."""
        self.mark(marking, sender)
        return banner(self.law, marking, sender)

    def missing(self, what: str = "") -> NoneSuchError:
        """To be raised for what is not there, and for what this visitor may not see."""
        return NoneSuchError("there is nothing of this name here, or nothing that you may see", remedy=what)

    # Lists in memory

    def held(
        self, found: Sequence[T], *, tests: Mapping[str, Callable[[T, str], bool]] | None = None,
        sorts: Mapping[str, Callable[[T], object]] | None = None,
    ) -> list[T]:  # fmt: skip
        """What of a sequence the query asks for, in its order; filters by key, sorts by column."""
        wanted = [(test, self.query.get(key)) for key, test in (tests or {}).items() if self.query.get(key)]
        rows = [each for each in found if all(test(each, value) for test, value in wanted)]
        key = (sorts or {}).get(self.query.sort)
        if key is not None:
            rows.sort(key=key, reverse=self.query.down)  # type: ignore[arg-type]  # keys of one column compare
        return rows


def sliced(rows: Sequence[T]) -> Callable[[int, int], Sequence[T]]:
    """What a `Listing` asks its items by, of rows in memory."""
    return lambda first, most: rows[first : first + most]


def release_cell(rid: str, text: str = "") -> Cell:
    """A release's id, short, as a link to it."""
    return Cell(text or rid[:12], "digest", f"/release/{rid}")


def yes(value: object) -> Content:
    """Yes or no, as words."""
    return Said("yes", tone="good") if value else Said("no")
