"""Two registers as plain lists, and what either node may know by what it holds of them: the lower half of the model.

Levels are the rows of the equivalence table by number, so that they need no carrying between scales.
Source: design core-spec, States of a release and Fold; docs/reference/formats.md, The account.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

ENDS = ("destroyed", "returned")
NEVER = datetime.max.replace(tzinfo=UTC)
Cut = dict[str, int]


@dataclass(frozen=True)
class Person:
    """What a certificate says; `ceiling` by its place among all levels of the party."""

    natural: str
    key: str
    roles: frozenset[str]
    areas: frozenset[str]
    ceiling: int
    until: datetime


@dataclass(frozen=True)
class Terms:
    """What the agreement says about the area that the model plays in, and about persons."""

    end: datetime
    notice: timedelta
    answer_hours: dict[int, int]
    block_hours: int | None
    approvals: int
    roles: frozenset[str]
    signers: dict[str, int]
    witnesses_from: int | None
    protected: bool
    retain_days: int
    ranks: tuple[int, ...]


@dataclass
class Entry:
    """One entry of a register, with the fields that its kind has."""

    kind: str
    at: datetime
    seen: int
    version: int
    rid: str = ""
    what: str = ""
    level: int = 0
    originator: str = ""
    ancestors: tuple[str, ...] = ()
    covers: frozenset[int] = frozenset()
    act: str = ""
    words: str = ""
    quota: int = 0
    until: datetime = NEVER
    copies: int = 1
    canary: str = ""
    unstored: bool = False


class Registers:
    """Both registers, and how much of them each node holds."""

    def __init__(self, terms: Terms, sizes: Cut, now: datetime, key_until: dict[str, datetime]) -> None:
        self.terms, self.now = terms, now
        self.codes = tuple(sizes)
        self.logs = {x: [Entry("founding", now, 0, 1) for _ in range(size)] for x, size in sizes.items()}
        for x, until in key_until.items():
            self.logs[x][0].until = until
        self.mirror = {x: sizes[self.other(x)] for x in sizes}
        self.acked = dict(sizes)
        self.where: dict[str, tuple[str, int]] = {}  # rid → whose register, which entry

    def other(self, x: str) -> str:
        return next(code for code in self.codes if code != x)

    def cut(self, x: str) -> Cut:
        """What the node of `x` holds."""
        return {x: len(self.logs[x]), self.other(x): self.mirror[x]}

    def quiet(self) -> tuple[object, ...]:
        return tuple((len(self.logs[x]), self.mirror[x], self.acked[x]) for x in self.codes)

    def entries(self, x: str, cut: Cut, *kinds: str) -> Iterator[tuple[int, Entry]]:
        for idx, entry in enumerate(self.logs[x][: cut[x]]):
            if entry.kind in kinds:
                yield idx, entry

    def releases(self, x: str, cut: Cut) -> list[tuple[int, Entry]]:
        return list(self.entries(x, cut, "release"))

    def entry_of(self, rid: str) -> Entry:
        party, idx = self.where[rid]
        return self.logs[party][idx]

    def known(self, x: str, rid: str) -> bool:
        """Whether the node of `x` holds the entry of this release."""
        party, idx = self.where[rid]
        return idx < self.cut(x)[party]

    # States

    def orders(self, rid: str, cut: Cut) -> list[tuple[int, Entry]]:
        return [(idx, e) for idx, e in self.entries(self.where[rid][0], cut, "order") if e.rid == rid]

    def answers(self, party: str, idx: int, cut: Cut) -> list[Entry]:
        """What the partner of `party` answered about its entry."""
        return [e for _, e in self.entries(self.other(party), cut, "answer") if idx in e.covers]

    def outcomes(self, rid: str, cut: Cut) -> list[str]:
        return [e.what for e in self.answers(*self.where[rid], cut)]

    def withdrawn(self, rid: str, cut: Cut) -> bool:
        return any(e.what == "withdraw" for _, e in self.orders(rid, cut))

    def ended(self, rid: str, cut: Cut) -> bool:
        return any(outcome in ENDS for outcome in self.outcomes(rid, cut))

    def state(self, rid: str, cut: Cut) -> str:
        outcomes = self.outcomes(rid, cut)
        if self.ended(rid, cut):
            return "ended"
        if self.withdrawn(rid, cut):
            return "withdrawn"
        if "received" in outcomes:
            return "received"
        return "disputed" if outcomes else "dispatched"

    def shown(self, x: str, rid: str) -> str:
        """The state as the node of `x` shows it."""
        state = self.state(rid, self.cut(x))
        party, idx = self.where[rid]
        return "stored" if state == "dispatched" and party == x and idx < self.acked[x] else state

    # Markings

    def current(self, rid: str, cut: Cut) -> int:
        return self._since(rid, len(self._stated(rid, cut)) - 1, cut)

    def _stated(self, rid: str, cut: Cut) -> list[tuple[int, int]]:
        """(what its author had seen, the level stated), by index."""
        entry = self.entry_of(rid)
        told = [(e.seen, e.level) for _, e in self.orders(rid, cut) if e.what == "reclass"]
        return [(entry.seen, entry.level), *told]

    def _since(self, rid: str, number: int, cut: Cut) -> int:
        """The highest that has held of it since that statement."""
        stated = self._stated(rid, cut)
        seen, party = stated[number][0], self.where[rid][0]
        highest = max(level for _, level in stated[number:])
        for above in self.entry_of(rid).ancestors:
            then = {**cut, self.other(party): seen}
            first = max(len(self._stated(above, then)) - 1, 0)
            highest = max(highest, self._since(above, first, cut))
        return highest

    # Standing of a party

    def suspended(self, x: str, cut: Cut) -> bool:
        told = [e.what for _, e in self.entries(x, cut, "term") if e.what in ("suspend", "resume")]
        return bool(told) and told[-1] == "suspend"

    def version(self, x: str) -> int:
        """The version that entries of `x` act under."""
        cut = self.cut(x)
        return 2 if all(list(self.entries(code, cut, "adopt")) for code in self.codes) else 1

    def in_force(self, x: str) -> int:
        """0 once the term is over."""
        return self.version(x) if self.now < self.end(self.cut(x)) else 0

    def end(self, cut: Cut) -> datetime:
        notices = [e.at for code in self.codes for _, e in self.entries(code, cut, "term") if e.what == "notice_of_end"]
        end = self.terms.end
        while self.now >= end:
            if any(at <= end - self.terms.notice for at in notices):
                return end
            end = end.replace(year=end.year + 1)
        return end

    def overdue_hours(self, x: str) -> int:
        cut, worst = self.cut(x), 0
        for idx, entry in self.releases(x, cut):
            if not self.answers(x, idx, cut) and not self.withdrawn(entry.rid, cut):
                late = self.now - entry.at - timedelta(hours=self.terms.answer_hours[entry.version])
                worst = max(worst, late // timedelta(hours=1))
        return worst

    def sealing_until(self, x: str) -> datetime:
        """Until when something can be sealed to the partner of `x`, as far as `x` knows."""
        other = self.other(x)
        return max(e.until for _, e in self.entries(other, self.cut(x), "founding", "kem") if e.until != NEVER)

    def is_return(self, entry: Entry) -> bool:
        return bool(entry.ancestors) and entry.originator != self.where[entry.rid][0]

    # What is owed

    def duties(self) -> set[tuple[str, str, str, datetime]]:
        """(kind, cause, who owes, due), once both nodes hold everything."""
        cut = {code: len(log) for code, log in self.logs.items()}
        found = set()
        for x in self.codes:
            other = self.other(x)
            for idx, entry in self.entries(x, cut, "release", "order"):
                about = self.entry_of(entry.rid)
                taken = entry.kind == "release" and self.withdrawn(entry.rid, cut)
                if not self.answers(x, idx, cut) and not taken:
                    hours = timedelta(hours=self.terms.answer_hours[about.version])
                    found.add((f"answer {x} {idx}", entry.kind, other, entry.at + hours))
            for idx, entry in self.releases(x, cut):
                came = [e.at for e in self.answers(x, idx, cut) if e.what == "received"]
                if self.is_return(entry):
                    continue
                if came and not self.ended(entry.rid, cut) and (self.terms.protected or self.now < self.end(cut)):
                    words = {"withdraw": "withdrawn", "return": "return", "destroy": "destroy"}
                    causes = [(e.at, words[e.what]) for _, e in self.orders(entry.rid, cut) if e.what in words]
                    due, cause = min([*causes, (came[0] + timedelta(days=self.terms.retain_days), "retention")])
                    found.add((f"return_or_destroy {x} {entry.rid}", cause, other, due))
        return found

    def statements(self, kind: str) -> dict[str, str]:
        """Key → agree, differ or only CODE."""
        said: dict[str, dict[str, str]] = {}
        for x, log in self.logs.items():
            for entry in log:
                if entry.kind == kind:
                    said.setdefault(entry.what, {})[x] = entry.words
        return {
            key: f"only {next(iter(by))}" if len(by) == 1 else "agree" if len(set(by.values())) == 1 else "differ"
            for key, by in said.items()
        }
