"""A plain model of two nodes, written from the specification alone: lists of entries, dicts, and no code of ours.

It knows what each party has entered and which draft may leave, what each node opens, answers, serves and still has.
Persons, keys, files and bytes are somebody else's to check (`lab/twonodes.py` does).
Source: design core-spec, decide(), Receiver and States of a release.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lab.registers import ENDS, Cut, Entry, Person, Registers, Terms

DAY = timedelta(days=1)
OUTCOMES = ("received", "applied", "returned", "destroyed", "no_blob")
RANK_2 = ("release", "order")


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


class World(Registers):
    """Both registers and both nodes."""

    def __init__(
        self, terms: Terms, sizes: Cut, now: datetime, persons: dict[str, Person], key_until: dict[str, datetime]
    ) -> None:
        super().__init__(terms, sizes, now, key_until)
        self.persons = persons
        self.inbox: dict[str, dict[int, Row]] = {x: {} for x in sizes}
        self.copies: dict[str, list[bool]] = {}  # rid → whether each copy is out
        self.drafts: list[Draft] = []
        self.loose: set[tuple[str, str]] = set()  # imports of which no draft was made

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
        bad = next((fault for rid in draft.ancestors if (fault := self._ancestor_refusal(draft, rid, cut))), "")
        if bad:
            return bad
        late = self.terms.block_hours is not None and self.overdue_hours(x) >= self.terms.block_hours
        if late or not draft.standing:
            return "answers" if late else ""
        return self._standing_refusal(draft)

    def _ancestor_refusal(self, draft: Draft, rid: str, cut: Cut) -> str:
        if self.current(rid, cut) > draft.level:
            return "join"
        return "ancestors" if self.withdrawn(rid, cut) or "destroyed" in self.outcomes(rid, cut) else ""

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
        gone = any(
            draft.rid == rid and draft.gone for draft in self.drafts
        )  # withdrawn before what it was made of ended
        return not erased and not self.ended(rid, cut) and not home and not gone

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
        return any(e.originator == x and not self.ended(e.rid, cut) and not self.withdrawn(e.rid, cut) for e in own)

    def witnesses(self, x: str, rid: str) -> bool:
        limit = self.terms.witnesses_from
        return limit is not None and self.current(rid, self.cut(x)) >= limit

    def end_release(self, x: str, rid: str, outcome: str) -> None:
        covers = frozenset({self.where[rid][1], *(idx for idx, _ in self.open_orders(x, rid))})
        self.enter(x, "answer", what=outcome, covers=covers)
        for idx in covers:
            row = self.inbox[x].setdefault(idx, Row(self.now))
            row.outcome, row.answered = row.outcome or outcome, True
        for draft in self.drafts:  # what was made from it and still stood would have hindered this
            if draft.party == x and rid in draft.ancestors:
                draft.gone = True
