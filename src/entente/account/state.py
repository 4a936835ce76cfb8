"""The facts that two registers add up to, each with the index at which its party stated it.

Whoever asks "as X saw it at index i" takes all of X's facts so far and those of Y below X[i].seen.size. Facts of one
party never depend on where the other party's entries were read in between.
"""

from bisect import bisect_left

import msgspec

from entente.account.acts import Assure, Claim, Incident, Standing, Undertaking
from entente.errors import StateError
from entente.treaty.marking import Marking
from entente.treaty.request import Person


class PersonFact(msgspec.Struct):
    """A handle as last certified; `revoked_from` is the first index of its log at which it counts no more."""

    person: Person
    key_id: str
    revoked_from: int | None = None


class KeyFact(msgspec.Struct):
    """A sealing key, or that of a TLS leaf; `revoked_from` is the first index of its log at which it counts no more."""

    key: str
    until: str
    born: int
    revoked_from: int | None = None


class Act(msgspec.Struct):
    """An order as it stands in the register."""

    idx: int
    act: str
    marking: Marking | None = None


class AnswerFact(msgspec.Struct):
    """One outcome that the partner stated, at its own index."""

    idx: int
    at: str
    outcome: str


class ReleaseFact(msgspec.Struct):
    """A release of one party: what decides about it later, its orders and the partner's answers."""

    idx: int
    rid: str
    number: int
    at: str
    agreement: str
    area: str
    article: str
    marking: Marking
    records: int
    bytes_padded: int
    retain_days: int
    blob: str
    key_digest: str
    orders: list[Act] = []
    answers: list[AnswerFact] = []

    def marking_at(self, own_size: int) -> Marking:
        """The current marking as the first `own_size` entries of its log have it."""
        found = self.marking
        for order in self.orders:
            if order.idx < own_size and order.marking is not None:
                found = order.marking
        return found

    def withdrawn_at(self, own_size: int) -> bool:
        """Whether it is withdrawn in the first `own_size` entries of its log."""
        return any(order.act == "withdraw" and order.idx < own_size for order in self.orders)

    def outcomes_at(self, partner_size: int) -> list[str]:
        """The partner's outcomes in the first `partner_size` entries of its log, in order."""
        return [answer.outcome for answer in self.answers if answer.idx < partner_size]


class StandingFact(msgspec.Struct):
    """A standing approval and what was used of it, per UTC date."""

    idx: int
    body: Standing
    revoked: int | None = None
    used: dict[str, tuple[int, int]] = {}


class Invalid(msgspec.Struct):
    """An entry that changes nothing, and why."""

    idx: int
    reason: str


class Side(msgspec.Struct):
    """Everything one party's register says."""

    party: str
    origin: str
    size: int = 0
    epoch: int = 1
    seen: int = 0
    seen_root: str = ""
    last_at: str | None = None
    agreement: str | None = None
    log_key: str | None = None
    mirror_key: str | None = None
    adopted: dict[str, int] = {}
    persons: dict[str, PersonFact] = {}
    kems: dict[str, KeyFact] = {}
    tls: dict[str, KeyFact] = {}
    terms: list[tuple[int, str, str]] = []
    assurances: list[tuple[int, Assure]] = []
    standings: dict[str, StandingFact] = {}
    releases: list[ReleaseFact] = []
    by_rid: dict[str, int] = {}
    by_idx: dict[int, int] = {}
    rank2: list[int] = []
    open: dict[str, list[tuple[str, int]]] = {}
    acts: dict[str, int] = {}
    order_answers: dict[int, list[AnswerFact]] = {}
    incidents: list[tuple[int, Incident]] = []
    undertakings: list[tuple[int, Undertaking]] = []
    claims: list[tuple[int, Claim]] = []
    invalid: list[Invalid] = []

    def release(self, rid: str) -> ReleaseFact | None:
        """The first release with this id, if the register has one."""
        place = self.by_rid.get(rid)
        return None if place is None else self.releases[place]

    def suspended_at(self, size: int) -> bool:
        """Whether the party's last suspend or resume below `size` is a suspend."""
        last = ""
        for idx, act, _ in self.terms:
            if idx < size and act in ("suspend", "resume"):
                last = act
        return last == "suspend"

    def rank2_between(self, first: int, last: int) -> list[int]:
        """The indices of rank-2 entries from `first` to `last`, both included."""
        return self.rank2[bisect_left(self.rank2, first) : bisect_left(self.rank2, last + 1)]


class Pair(msgspec.Struct):
    """Both registers' facts, by party."""

    sides: dict[str, Side]

    def other(self, party: str) -> Side:
        """The other party's side; StateError if `party` is neither."""
        if party not in self.sides:
            raise StateError(f"{party} is not a party here")
        return next(side for code, side in self.sides.items() if code != party)


def find_release(pair: Pair, rid: str) -> tuple[Side, ReleaseFact] | None:
    """The side and fact of a release id, whichever register holds it."""
    for side in pair.sides.values():
        found = side.release(rid)
        if found is not None:
            return side, found
    return None
