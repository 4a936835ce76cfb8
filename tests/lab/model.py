"""A plain model of two nodes, written from the specification alone: lists of entries, dicts, and no code of ours.

It knows what each party has entered, how much of the other's register each node holds, and what each node may know by
that. Levels are the rows of the equivalence table by number, so that they need no carrying between scales. Persons,
keys, files and bytes are somebody else's to check (`promises/test_model.py` does).
Source: design core-spec, States of a release and Fold; docs/reference/formats.md, The account.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

DAY = timedelta(days=1)
ENDS = ("destroyed", "returned")
OUTCOMES = ("received", "applied", "returned", "destroyed", "no_blob")
RANK_2 = ("release", "order")
KEM_DAYS = 90
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
    until: datetime = datetime.max
    copies: int = 1
    canary: str = ""
    unstored: bool = False


@dataclass
class Row:
    """An entry of the partner's that calls for an answer."""

    since: datetime
    outcome: str = ""
    answered: bool = False


@dataclass
class Draft:
    """What may be dispatched; `gone` once what it was made of is nowhere any more."""

    rid: str
    party: str
    level: int
    originator: str
    version: int
    ancestors: tuple[str, ...] = ()
    standing: str = ""
    copies: int = 1
    canary: str = ""
    state: str = "drafted"
    approvals: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    gone: bool = False


class World:
    """Both registers and both nodes."""

    def __init__(
        self, terms: Terms, sizes: Cut, now: datetime, persons: dict[str, Person], key_until: dict[str, datetime]
    ) -> None:
        self.terms, self.now, self.persons = terms, now, persons
        self.codes = tuple(sizes)
        self.logs = {x: [Entry("founding", now, 0, 1) for _ in range(size)] for x, size in sizes.items()}
        for x, until in key_until.items():
            self.logs[x][0].until = until
        self.mirror = {x: sizes[self.other(x)] for x in sizes}
        self.acked = dict(sizes)
        self.inbox: dict[str, dict[int, Row]] = {x: {} for x in sizes}
        self.copies: dict[str, list[bool]] = {}  # rid → whether each copy is out
        self.where: dict[str, tuple[str, int]] = {}
        self.drafts: list[Draft] = []
        self.loose: set[tuple[str, str]] = set()  # imports of which no draft was made

    def other(self, x: str) -> str:
        return next(code for code in self.codes if code != x)

    def cut(self, x: str) -> Cut:
        """What the node of `x` holds."""
        return {x: len(self.logs[x]), self.other(x): self.mirror[x]}

    def level_cut(self) -> bool:
        return all(self.cut(x) == {code: len(log) for code, log in self.logs.items()} for x in self.codes)

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
        return max(e.until for _, e in self.entries(other, self.cut(x), "founding", "kem") if e.until != datetime.max)

    # Drafts

    def refusal(self, draft: Draft) -> str:
        """The first rule that refuses it as things stand, approvals and sealing key apart; empty if none does."""
        x = draft.party
        cut, other = self.cut(x), self.other(x)
        if draft.gone:
            return "shown"
        if self.in_force(x) != draft.version:
            return "in_force"
        if self.suspended(x, cut) or self.suspended(other, cut):
            return "status"
        for rid in draft.ancestors:
            if self.current(rid, cut) > draft.level:
                return "join"
            if self.withdrawn(rid, cut) or "destroyed" in self.outcomes(rid, cut):
                return "ancestors"
        if self.terms.block_hours is not None and self.overdue_hours(x) >= self.terms.block_hours:
            return "answers"
        return self._standing_refusal(draft) if draft.standing else ""

    def _standing_refusal(self, draft: Draft) -> str:
        cut = self.cut(draft.party)
        granted = next(e for _, e in self.entries(draft.party, cut, "standing") if e.act == draft.standing)
        revoked = any(e.act == draft.standing for _, e in self.entries(draft.party, cut, "revoke"))
        used = [e for _, e in self.releases(draft.party, cut) if e.act == draft.standing]
        today = sum(e.at.date() == self.now.date() for e in used)
        good = not revoked and today < granted.quota and draft.level <= granted.level and self.now < granted.until
        return "" if good else "standing"

    def may_approve(self, draft: Draft, name: str, role: str, until: datetime) -> bool:
        """Whether this approval, by itself, is valid now. The author never counts."""
        person = self.persons[name]
        return (
            person.natural != self.persons["rao"].natural
            and self.now < min(until, person.until)
            and role in person.roles
            and "intelligence" in person.areas
            and person.ceiling >= self.terms.ranks[draft.level]
        )

    def approval_end(self) -> datetime:
        """The end of the seventh day."""
        return (self.now + 8 * DAY).replace(hour=0, minute=0)

    def enough(self, draft: Draft) -> bool:
        given = {name: role for name, (role, _) in draft.approvals.items()}
        persons = [self.persons[name] for name in given]
        count = min(len({person.natural for person in persons}), len({person.key for person in persons}))
        return count >= self.terms.approvals and self.terms.roles <= set(given.values())

    def approvals_hold(self, draft: Draft) -> bool:
        if draft.standing:
            return True
        valid = all(self.may_approve(draft, name, *given) for name, given in draft.approvals.items())
        return valid and self.enough(draft)

    def settle_draft(self, draft: Draft) -> None:
        """What counts no more is dropped; it is approved if enough is left and nothing refuses it."""
        held = {name: given for name, given in draft.approvals.items() if self.may_approve(draft, name, *given)}
        draft.approvals = held
        draft.state = "approved" if self.enough(draft) and not self.refusal(draft) else "checked"

    # What nodes do

    def enter(self, x: str, kind: str, **fields: object) -> int:
        """An entry of `x`; returns its index."""
        entry = Entry(kind, self.now, self.mirror[x], self.version(x))
        for name, value in fields.items():
            setattr(entry, name, value)
        self.logs[x].append(entry)
        return len(self.logs[x]) - 1

    def dispatch(self, draft: Draft) -> None:
        """The release stands in the register."""
        idx = self.enter(
            draft.party, "release", rid=draft.rid, level=draft.level, originator=draft.originator, canary=draft.canary,
            ancestors=draft.ancestors, act=draft.standing, copies=draft.copies,
        )  # fmt: skip
        self.where[draft.rid] = draft.party, idx
        draft.state = "dispatched"

    def served(self, x: str, rid: str) -> bool:
        """Whether `x` serves the key: cosigned as far as it knows, and nothing stopped it since."""
        entry, cut = self.entry_of(rid), self.cut(x)
        stopped = any(e.what in ("withdraw", "destroy") for _, e in self.orders(rid, cut))
        home = self.is_return(entry) and all(self.ended(above, cut) for above in entry.ancestors)
        return self.where[rid][1] < self.acked[x] and not stopped and not self.ended(rid, cut) and not home

    def is_return(self, entry: Entry) -> bool:
        return bool(entry.ancestors) and entry.originator != self.where[entry.rid][0]

    def pull(self, x: str) -> None:
        """Its register first, then how far it has cosigned ours, then what it serves."""
        other = self.other(x)
        self.mirror[x] = len(self.logs[other])
        self.acked[x] = max(self.acked[x], self.mirror[other])
        for idx, entry in self.entries(other, self.cut(x), *RANK_2):
            row = self.inbox[x].setdefault(idx, Row(self.now))
            if not row.outcome:
                row.outcome = self._outcome(x, row, entry)
        for _, entry in self.releases(other, self.cut(x)):
            self._answer_late(x, entry.rid)

    def _outcome(self, x: str, row: Row, entry: Entry) -> str:
        if entry.kind == "order":
            return "" if entry.what in ("return", "destroy") else "applied"
        if self.withdrawn(entry.rid, self.cut(x)):
            return "no_blob"
        if self.served(self.other(x), entry.rid):
            return "received"
        return "no_blob" if self.now - row.since >= DAY else ""

    def _answer_late(self, x: str, rid: str) -> None:
        """An order about what has ended is answered as that was."""
        ends = [outcome for outcome in self.outcomes(rid, self.cut(x)) if outcome in ENDS]
        for idx, order in self.orders(rid, self.cut(x)) if ends else ():
            if order.what in ("return", "destroy") and not self.inbox[x][idx].outcome:
                self.inbox[x][idx].outcome = ends[0]

    def answer(self, x: str) -> None:
        """One entry for each outcome that waits."""
        for outcome in OUTCOMES:
            waiting = [i for i, row in self.inbox[x].items() if row.outcome == outcome and not row.answered]
            if waiting:
                self.enter(x, "answer", what=outcome, covers=frozenset(waiting))
                for idx in waiting:
                    self.inbox[x][idx].answered = True

    # The receiver's end of it

    def holds(self, x: str, rid: str) -> bool:
        """Whether `x`, its receiver, has its content."""
        row = self.inbox[x].get(self.where[rid][1])
        return row is not None and row.outcome == "received" and not self.ended(rid, self.cut(x))

    def keeps(self, rid: str) -> bool:
        """Whether its sender can still open it."""
        x, entry = self.where[rid][0], self.entry_of(rid)
        cut = self.cut(x)
        erased = any(e.what == "destroy" or e.unstored for _, e in self.orders(rid, cut))
        home = self.is_return(entry) and any(self.ended(above, cut) for above in entry.ancestors)
        return not erased and not self.ended(rid, cut) and not home

    def usable(self, x: str, rid: str) -> bool:
        """Whether `x` may make something of a release of the partner's."""
        return self.known(x, rid) and self.holds(x, rid) and not self.withdrawn(rid, self.cut(x))

    def may_copy(self, x: str, rid: str) -> bool:
        cut = self.cut(x)
        made = len(self.copies.get(rid, []))
        ordered = any(e.what != "reclass" for _, e in self.orders(rid, cut))
        answered = self.outcomes(rid, cut) == ["received"]
        return answered and not ordered and self.holds(x, rid) and made < self.entry_of(rid).copies

    def open_orders(self, x: str, rid: str) -> list[tuple[int, Entry]]:
        """Orders to give it back or destroy it that `x` has not answered."""
        cut, (party, _) = self.cut(x), self.where[rid]
        return [(i, e) for i, e in self.orders(rid, cut) if e.what in ("return", "destroy") and not self.answers(party, i, cut)]  # fmt: skip  # noqa: E501

    def may_end(self, x: str, rid: str, outcome: str) -> bool:
        """Whether `x` may end it so, witnesses apart."""
        cut, other = self.cut(x), self.other(x)
        outcomes, orders = self.outcomes(rid, cut), self.open_orders(x, rid)
        against = {"destroyed": "return", "returned": "destroy"}[outcome]
        disobeys = orders and orders[-1][1].what == against and ("received" in outcomes or outcome == "returned")
        if self.ended(rid, cut) or disobeys or any(self.copies.get(rid, [])) or self._live(x, rid):
            return False
        made = [e for _, e in self.releases(x, cut) if rid in e.ancestors and e.originator == other]
        if any(self.state(e.rid, cut) == "dispatched" for e in made):
            return False
        return outcome == "destroyed" or any(self.state(e.rid, cut) == "received" for e in made)

    def _live(self, x: str, rid: str) -> bool:
        """Whether a release of `x` that derives from it, at whatever distance, still stands; returns do not count."""
        cut, met, wave = self.cut(x), {rid}, [rid]
        while wave:
            below = [e.rid for code in self.codes for _, e in self.releases(code, cut) if set(e.ancestors) & set(wave)]
            wave = [one for one in below if one not in met]
            met |= set(wave)
        own = [self.entry_of(one) for one in met if self.where[one][0] == x]
        return any(
            e.originator == x and not self.ended(e.rid, cut) and not self.withdrawn(e.rid, cut) for e in own
        )

    def witnesses(self, x: str, rid: str) -> bool:
        limit = self.terms.witnesses_from
        return limit is not None and self.current(rid, self.cut(x)) >= limit

    def end_release(self, x: str, rid: str, outcome: str) -> None:
        covers = frozenset({self.where[rid][1], *(idx for idx, _ in self.open_orders(x, rid))})
        self.enter(x, "answer", what=outcome, covers=covers)
        for idx in covers:
            row = self.inbox[x].setdefault(idx, Row(self.now))
            row.outcome, row.answered = row.outcome or outcome, True
        for draft in self.drafts:
            if draft.party == x and rid in draft.ancestors and draft.originator != x:
                draft.gone = True

    # What is owed

    def duties(self) -> set[tuple[str, str, str, datetime]]:
        """(kind, cause, who owes, due), once both nodes hold everything."""
        cut = {code: len(log) for code, log in self.logs.items()}
        found = set()
        for x in self.codes:
            other = self.other(x)
            for idx, entry in self.entries(x, cut, *RANK_2):
                about = self.entry_of(entry.rid)
                taken = entry.kind == "release" and self.withdrawn(entry.rid, cut)
                if not self.answers(x, idx, cut) and not taken:
                    hours = timedelta(hours=self.terms.answer_hours[about.version])
                    found.add((f"answer {x} {idx}", entry.kind, other, entry.at + hours))
            for idx, entry in self.releases(x, cut):
                came = [e.at for e in self.answers(x, idx, cut) if e.what == "received"]
                if came and not self.ended(entry.rid, cut) and (self.terms.protected or self.now < self.end(cut)):
                    words = {"withdraw": "withdrawn", "return": "return", "destroy": "destroy"}
                    causes = [(e.at, words[e.what]) for _, e in self.orders(entry.rid, cut) if e.what in words]
                    due, cause = min([*causes, (came[0] + self.terms.retain_days * DAY, "retention")])
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
