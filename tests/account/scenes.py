"""A world in which one line is one valid act, for tests that tell a story; every act says why if it is not valid."""

from typing import Any

from account.histories import World, agreement, later
from entente.account.cascade import current_marking
from entente.account.duties import Duty, duties
from entente.account.reconcile import reconcile
from entente.account.state import Pair, ReleaseFact, Side
from entente.keys import SoftSigner
from entente.strict import canonical
from entente.treaty.approval import rid_of
from entente.treaty.marking import Marking

DAY = 24 * 60


class Scene(World):
    """Both registers begun and seen by each other; `one` and `two` are the parties."""

    def __init__(self, sample: str, *changes: tuple[str, str], seed: int = 0) -> None:
        first = agreement(sample, changes=changes)
        super().__init__(sample, first, seed=seed)
        self.laws, self.hash, self.law = {first.hash: first}, first.hash, first.law
        self.one, self.two = self.parties
        self.begin()

    @property
    def pair(self) -> Pair:
        return self.folded()

    def side(self, party: str) -> Side:
        return self.pair.sides[party]

    def attempt(
        self, party: str, kind: str, body: dict[str, Any], by: list[tuple[str, SoftSigner]], **other: Any
    ) -> str:
        """Why the entry that now stands is not valid, or nothing."""
        idx = self.put(party, self.draft(party, kind, body, by, **other))
        return next((bad.reason for bad in self.side(party).invalid if bad.idx == idx), "")

    def act(
        self, party: str, kind: str, body: dict[str, Any], by: list[tuple[str, SoftSigner]] | None = None, **other: Any
    ) -> int:
        """The index of the entry, which is valid."""
        signed = self.people(party) if by is None else by
        assert self.attempt(party, kind, body, signed, **other) == ""
        return len(self.entries[party]) - 1

    def sent(self, party: str, *parents: str, seen: int | None = None, **core: Any) -> str:
        """The rid of a release that derives from `parents`."""
        made = self.core(party, ancestors=sorted(parents), **core)
        self.act(party, "release", self.release(party, made, self.people(party)), [], seen=seen)
        return rid_of(canonical(made))

    def fact(self, party: str, rid: str) -> ReleaseFact:
        found = self.side(party).release(rid)
        assert found is not None
        return found

    def ordered(self, party: str, rid: str, act: str = "withdraw", **other: Any) -> int:
        return self.act(party, "order", self.order(rid, act, **other))

    def marked(self, party: str, rid: str, level: str = "", seen: int | None = None, **other: Any) -> int:
        """A reclass by its author."""
        body = self.order(rid, "reclass", marking=self.marking(party, level, **other))
        return self.act(party, "order", body, seen=seen)

    def answered(self, party: str, idx: int, outcome: str = "received", **other: Any) -> int:
        """One entry of the partner's is answered by `party`."""
        return self.act(party, "answer", self.answer(party, [[idx, idx]], outcome, **other), [])

    def received(self, party: str, *parents: str, **core: Any) -> str:
        """The rid of a release of `party` that its partner received."""
        rid = self.sent(party, *parents, **core)
        self.answered(self.other(party), self.fact(party, rid).idx)
        return rid

    def now(self, party: str, rid: str) -> Marking:
        """The current marking of a release."""
        return current_marking(self.pair, self.side(party), self.fact(party, rid), self.laws).marking

    def level(self, party: str, rid: str) -> str:
        return self.now(party, rid).level

    def crossing(self, party: str, place: int) -> str:
        """A level of the party that has a row to the other, the lowest being 0."""
        rows = self.law.rows[party]
        return [level for level in self.law.party[party].levels if level in rows][place]

    def owed(self, kind: str, at: str = "") -> list[Duty]:
        """The open duties of a kind, at a time."""
        return [duty for duty in duties(self.pair, self.laws, at or self.at) if duty.kind == kind]

    def account(self, at: str = "", pair: Pair | None = None) -> bytes:
        """The lines of reconcile."""
        found = pair or self.pair
        roots = {party: self.root(party, side.size) or "" for party, side in found.sides.items()}
        return reconcile(found, roots, self.hash, at or self.at, self.laws)

    def wait(self, minutes: int) -> None:
        self.at = later(self.at, minutes)
