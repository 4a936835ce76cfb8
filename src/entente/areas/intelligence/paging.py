"""Going through a foreign collection so that no object is missed and nothing is asked for ever.

`steps` gives page after page with the position before and after it; whoever commits that position with the page's
objects can be stopped anywhere. Duplicates come and are harmless. What servers get wrong, and what is done about it:

* `more` without `next`: on from just before X-TAXII-Date-Added-Last, since others may bear the very same stamp.
* stamps that stand still over a whole page: a larger page is asked for; if that is no larger, it ends with a fault.
* `next` without `more`: one more look, and whatever new it brings is taken.
* a cursor that is not known any more: as if there were none.
* a page that cannot be read: smaller ones, down to the one object, which is passed by if the server states its stamp.
* objects that become visible after later ones: each round begins LOOK_BACK_S before the last one began.
* the same page again, or empty pages without end: a fault.
"""

import hashlib
from collections.abc import Callable, Iterator

import msgspec

from entente.areas.intelligence.taxii_client import Page, before, instant, last_added, lowered
from entente.areas.intelligence.taxii_wire import TaxiiError

LIMIT = 1000
LARGEST = 64  # times the limit, where stamps stand still
SMALLER = 8
LOOK_BACK_S = 300.0  # a server may stamp an object that long before others can see it
MOST_EMPTY = 100
MOST_PASSED = 100  # of what cannot be read, in one run


class Position(msgspec.Struct, frozen=True):
    """Up to where a collection was read.

    `after` is the `added_after` of this round and `next` the cursor within it; `high` the latest stamp met in it and
    `began` the server's time when it began.
    """

    after: str = ""
    next: str = ""
    high: str = ""
    began: str = ""


class Step(msgspec.Struct, frozen=True):
    """A page's objects, where it stands, and up to which stamp it goes as the server states it.

    `passed` says in words what could not be read and was gone past.
    """

    objects: tuple[bytes, ...]
    old: Position
    new: Position
    passed: str = ""
    upto: str = ""


Ask = Callable[[str, str, int], Page]


def steps(ask: Ask, start: Position, *, limit: int = LIMIT) -> Iterator[Step]:
    """Every page of one round from `start` on; the last step's position is where the next round begins.

    Args:
        ask: (added_after, next, limit) → page.
        start: where the round before, or this one, ended.
        limit: objects to a page.
    Raises: TaxiiError when the server cannot be asked, or cannot be gone through; what was given until then stands.
    """
    return _Round(ask, start, limit).steps()


class _Round:
    """One round and what it has met."""

    def __init__(self, ask: Ask, start: Position, limit: int) -> None:
        self.ask, self.here, self.limit, self.size = ask, start, limit, limit
        self.narrow = False  # looking for one object that cannot be read
        self.looking = False  # beyond what the server called the end
        self.lost_cursor = False
        self.fresh = False  # whether anything new came since a cursor was lost
        self.empty = self.passed = self.largest = 0
        self.seen: set[bytes] = set()  # pages of this round,
        self.walked: set[bytes] = set()  # and those since a cursor was lost

    def steps(self) -> Iterator[Step]:
        while True:
            old = self.here
            try:
                page = self.ask(old.after, old.next, self.size)
            except TaxiiError as fault:
                passed = self._recover(fault)
                if passed:
                    yield Step((), old, self.here, passed)
                elif self.looking:
                    break
                continue
            again = self._is_again(page)
            if self.looking and (again or not page.objects):
                break
            going, passed = self._on(page, again=again)
            if not going:
                self.here = self._end()
            yield Step(page.objects, old, self.here, passed, page.last)
            if not going:
                return
        old, self.here = self.here, self._end()
        yield Step((), old, self.here)

    def _recover(self, fault: TaxiiError) -> str:
        """How to go on after a page that did not come; what was gone past, or raises the fault."""
        here = self.here
        if self.looking:
            return ""
        if fault.fault in ("refused", "missing") and here.next:
            if self.lost_cursor and not self.fresh:
                raise fault
            self.lost_cursor, self.fresh = True, False
            self.walked.clear()
            self.here = msgspec.structs.replace(here, next="", after=self._back(here))
            return ""
        if fault.fault not in ("unreadable", "too large"):
            raise fault
        if self.size > 1:
            self.size, self.narrow = max(1, self.size // SMALLER), True
            return ""
        past = last_added(fault.headers)
        self.passed += 1
        if not past or self.passed > MOST_PASSED or instant(past) <= instant(here.after):
            raise fault
        self.here = msgspec.structs.replace(here, after=past, next="", high=_later(here.high, past))
        return f"an object added at {past} could not be read ({fault.detail})"

    def _is_again(self, page: Page) -> bool:
        """Whether these very objects came before on this walk; an empty page never does."""
        if not page.objects:
            return False
        digest = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in page.objects)).digest()
        again = digest in self.walked
        self.fresh |= digest not in self.seen
        self.walked.add(digest)
        self.seen.add(digest)
        return again

    def _on(self, page: Page, *, again: bool) -> tuple[bool, str]:
        """Whether there is more, from `here` on, and what was gone past; raises if there is no way on."""
        here = msgspec.structs.replace(
            self.here,
            high=_later(self.here.high, page.last),
            began=self.here.began or (before(page.clock, LOOK_BACK_S) if page.clock else ""),
        )
        self.here = here
        self.looking = False
        self.empty = 0 if page.objects else self.empty + 1
        if page.next and (page.more or page.objects):
            if self.empty > MOST_EMPTY:
                raise _stuck("it gives empty pages without end")
            if again and here.next:
                raise _stuck("it gives the same page again")
            self.here = msgspec.structs.replace(here, next=page.next)
            self.looking = not page.more
            self._widen()
            return True, ""
        if not page.more:
            return False, ""
        return True, self._without_cursor(page, again=again)

    def _without_cursor(self, page: Page, *, again: bool) -> str:
        """On by time alone; what was perhaps gone past."""
        here, last = self.here, page.last
        if not last or not page.objects:
            raise _stuck("it has more, and states neither `next` nor X-TAXII-Date-Added-Last")
        back = lowered(last)
        if instant(back) > instant(here.after) and not again:
            self.here = msgspec.structs.replace(here, next="", after=back)
            self.largest = 0
            self._widen()
            return ""
        if self.narrow and instant(last) > instant(here.after):
            self.here = msgspec.structs.replace(here, next="", after=last)
            return f"what else was added at {last} may be missing: it was read one by one"
        if len(page.objects) <= self.largest or self.size >= self.limit * LARGEST:
            raise _stuck("it gives the same page again: more objects bear one date_added than it gives at once")
        self.largest = len(page.objects)
        self.size *= SMALLER
        self.here = msgspec.structs.replace(here, next="")
        return ""

    def _widen(self) -> None:
        """After a page that could be read the next may be larger again."""
        self.size = min(self.limit, self.size * SMALLER)
        self.narrow = self.size < self.limit

    def _back(self, here: Position) -> str:
        """Where to begin without a cursor: just before the latest stamp met."""
        return lowered(here.high) if here.high else here.after

    def _end(self) -> Position:
        """Where the next round begins: before the latest stamp, and before this round began, whichever is earlier."""
        after = self._back(self.here)
        if self.here.high and self.here.began and instant(self.here.began) < instant(after):
            after = self.here.began
        return Position(after)


def _later(one: str, other: str) -> str:
    return max(one, other, key=instant) if one and other else one or other


def _stuck(words: str) -> TaxiiError:
    return TaxiiError(words, "unfit", remedy="What came until then is held; tell whoever runs that server.")
