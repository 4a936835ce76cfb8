"""The facts that two registers add up to, each with the index at which its party stated it.

Whoever asks "as X saw it at index i" takes all of X's facts so far and those of Y below X[i].seen.size. Facts of one
party never depend on where the other party's entries were read in between.
"""

from bisect import bisect_left
from typing import Literal

import msgspec

from entente.account.acts import REFUSALS, Assure, Claim, Incident, Standing, Undertaking
from entente.errors import StateError
from entente.treaty.marking import Marking
from entente.treaty.request import Person

FORM: Literal[2] = 2  # of a saved Pair; one of another form does not decode, and is computed again


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
    """An order as it stands in the register; `seen` is how many of the partner's entries its author knew."""

    idx: int
    at: str
    seen: int
    act: str
    marking: Marking | None = None


class AnswerFact(msgspec.Struct):
    """One outcome that the partner stated, at its own index."""

    idx: int
    at: str
    outcome: str
    copies: int | None = None


class ReleaseFact(msgspec.Struct):
    """A release of one party: what decides about it later, its orders and the partner's answers.

    `agreement` is the version that its core names, `acts_under` the one its entry acts under, which is always known.
    """

    idx: int
    rid: str
    number: int
    at: str
    seen: int
    agreement: str
    acts_under: str
    area: str
    article: str
    format: str
    custody: str
    marking: Marking
    records: int
    bytes_padded: int
    retain_days: int
    copies: int
    units: tuple[str, ...]
    ancestors: tuple[str, ...]
    blob: str
    key_digest: str
    orders: list[Act] = []
    answers: list[AnswerFact] = []

    def statements(self, own_size: int) -> list[tuple[int, Marking]]:
        """What its author stated as its marking below `own_size`, in order, each with what the author had seen then.

        What it amounts to, with what it derives from, is `cascade.current_marking`.
        """
        stated = [(self.seen, self.marking)]
        return stated + [(act.seen, act.marking) for act in self.orders if act.idx < own_size and act.marking]

    def withdrawn_at(self, own_size: int) -> bool:
        """Whether it is withdrawn in the first `own_size` entries of its log."""
        return any(order.act == "withdraw" and order.idx < own_size for order in self.orders)

    def outcomes_at(self, partner_size: int) -> list[str]:
        """The partner's outcomes in the first `partner_size` entries of its log, in order."""
        return [answer.outcome for answer in self.answers if answer.idx < partner_size]

    def ended_at(self, partner_size: int) -> bool:
        """Whether the partner answered it returned or destroyed in the first `partner_size` entries of its log."""
        return any(given.outcome in ("destroyed", "returned") for given in self.answers if given.idx < partner_size)


class StandingFact(msgspec.Struct):
    """A standing approval and what was used of it, per UTC date."""

    idx: int
    body: Standing
    revoked: int | None = None
    used: dict[str, tuple[int, int]] = {}


class IncidentFact(msgspec.Struct):
    """A loss or compromise as its author stated it, having seen `seen` of the partner's entries."""

    idx: int
    at: str
    seen: int
    body: Incident


class UndertakingFact(msgspec.Struct):
    """An undertaking as its author stated it, with its act id."""

    idx: int
    act: str
    body: Undertaking


class ClaimFact(msgspec.Struct):
    """A claim as its author stated it, with its act id."""

    idx: int
    act: str
    body: Claim


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
    derived: dict[str, list[int]] = {}  # rid of a partner's release → places of those that name it as an ancestor
    incidents: list[IncidentFact] = []
    undertakings: dict[str, UndertakingFact] = {}  # by act id, in the order of the register
    undertaken: dict[str, str] = {}  # key → the act id that is current
    claims: dict[str, ClaimFact] = {}  # the latest of each key
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
    form: Literal[2]

    @property
    def sizes(self) -> dict[str, int]:
        """The cut that these facts are at: party → entries."""
        return {party: side.size for party, side in self.sides.items()}

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


def release_state(fact: ReleaseFact, own_size: int, partner_size: int) -> str:
    """dispatched, received, disputed, withdrawn or ended, as both registers show it at a cut."""
    if fact.ended_at(partner_size):
        return "ended"
    if fact.withdrawn_at(own_size):
        return "withdrawn"
    outcomes = fact.outcomes_at(partner_size)
    if "received" in outcomes:
        return "received"
    return "disputed" if REFUSALS & set(outcomes) else "dispatched"
