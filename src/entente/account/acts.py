"""The body of every entry kind: what a party can say in its register, and nothing else.

A body that does not parse is listed as invalid and changes nothing. Rank 2 kinds (release, order, incident) call for
an answer; rank 1 provokes nothing.
Source: design core-spec, Entries.
"""

from typing import Annotated, Any, Literal

import msgspec

from entente.errors import FormatError
from entente.keys import pae, split_key
from entente.register.entry import Sig, act_body
from entente.strict import check_sorted_set, convert, parse_time
from entente.treaty.approval import MAX_APPROVALS, Approval, Core, Sealed
from entente.treaty.marking import Count, Hex16, Hex32, Marking, Wire

Handle = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2,8}/[A-Za-z0-9._-]{1,64}\Z")]
Index = Count
Span = tuple[Index, Index]
MACHINE_SUBJECTS = ("kem", "log", "mirror", "tls")
OUTCOMES = (
    "received", "applied", "returned", "destroyed",
    "not_permitted", "bad_digest", "unopenable", "bad_format", "too_large", "no_blob",
)  # fmt: skip
REFUSALS = frozenset(OUTCOMES[4:])
STRENGTHS = (
    "agreed", "finalised", "will", "explore", "keen", "aim", "discussed", "exchanged", "conveyed", "noted", "fact",
)  # fmt: skip


class LogKey(Wire, frozen=True):
    """A key of the register itself."""

    key: str

    def check(self) -> None:
        """Raise FormatError unless it is an Ed25519 key."""
        if split_key(self.key)[0] != "ed25519":
            raise FormatError("a register's key is ed25519")


class KemKey(Wire, frozen=True):
    """A sealing key, certified until a time."""

    key: str
    until: str

    def check(self) -> None:
        """Raise FormatError unless it is a sealing key with a time."""
        parse_time(self.until)
        if split_key(self.key)[0] == "ed25519":
            raise FormatError("a sealing key is not ed25519")


class NodeKeys(Wire, frozen=True):
    """The machine keys a register starts with."""

    kem: KemKey
    log: LogKey
    mirror: LogKey

    def check(self) -> None:
        """Raise FormatError unless each key is of its kind and log and mirror differ."""
        self.kem.check()
        self.log.check()
        self.mirror.check()
        if self.log.key == self.mirror.key:
            raise FormatError("log and mirror keys must differ")


class Genesis(Wire, frozen=True):
    """Entry 0: the agreement, the register's name and its keys, by the authority."""

    agreement: Hex32
    origin: str
    keys: NodeKeys
    nonce: Hex16

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        self.keys.check()


class OldRegister(Wire, frozen=True):
    """The last agreed head of the register that an epoch continues."""

    origin: str
    size: Index
    root: Hex32


class Epoch(Wire, frozen=True):
    """Entry 0 of a register that continues another, by both authorities."""

    old: OldRegister
    new_origin: str
    keys: NodeKeys
    cause: str
    nonce: Hex16

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        self.keys.check()


class Adopt(Wire, frozen=True):
    """The author's authority signed these exact agreement bytes."""

    agreement: Hex32
    sig: Sig
    nonce: Hex16
    supersedes: Hex32 | msgspec.UnsetType = msgspec.UNSET


class Revoked(Wire, frozen=True):
    """From which index of the author's register a key counts no more, and why."""

    from_index: Index
    reason: str


class Key(Wire, frozen=True):
    """A person's or machine's key, certified, replaced or revoked."""

    subject: str
    key: str
    roles: tuple[str, ...]
    areas: tuple[str, ...]
    until: str
    nonce: Hex16
    commitment: Hex32 | msgspec.UnsetType = msgspec.UNSET
    ceiling: str | msgspec.UnsetType = msgspec.UNSET
    replaces: Hex32 | msgspec.UnsetType = msgspec.UNSET
    revoked: Revoked | msgspec.UnsetType = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        algorithm, _ = split_key(self.key)
        parse_time(self.until)
        check_sorted_set(self.roles, "roles")
        check_sorted_set(self.areas, "areas")
        person = self.subject not in MACHINE_SUBJECTS
        if person:
            convert(self.subject, Handle, place="subject")
        if person != isinstance(self.commitment, str) or person != isinstance(self.ceiling, str):
            raise FormatError("a person's key has a commitment and a ceiling, a machine's has neither")
        if (algorithm == "ed25519") == (self.subject == "kem"):
            raise FormatError(f"a {algorithm} key cannot serve {self.subject}")


class Term(Wire, frozen=True):
    """Suspend, resume, or notice of end."""

    act: Literal["suspend", "resume", "notice_of_end"]
    nonce: Hex16


class Assure(Wire, frozen=True):
    """The author can protect up to `level` in `areas` until a time, in government or in `units`."""

    level: str
    areas: tuple[str, ...]
    units: tuple[str, ...]
    until: str
    nonce: Hex16

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        parse_time(self.until)
        check_sorted_set(self.areas, "areas")
        check_sorted_set(self.units, "units")


class StandingClass(Wire, frozen=True):
    """What a standing approval covers."""

    area: str
    format: str
    view: str
    ceiling: str
    purpose: str


class Quota(Wire, frozen=True):
    """Releases and padded bytes per UTC date."""

    bytes: Count
    count: Count


class Standing(Wire, frozen=True):
    """As many persons as the area's approvals approve a class in advance; or `signers.revoke` persons revoke one."""

    nonce: Hex16
    covers: StandingClass | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="class")
    per_day: Quota | msgspec.UnsetType = msgspec.UNSET
    until: str | msgspec.UnsetType = msgspec.UNSET
    revokes: Hex32 | msgspec.UnsetType = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        given = [value is not msgspec.UNSET for value in (self.covers, self.per_day, self.until)]
        if all(given) == (self.revokes is not msgspec.UNSET) or any(given) != all(given):
            raise FormatError("a standing approval has class, per_day and until; a revocation has revokes alone")
        if isinstance(self.until, str):
            parse_time(self.until)


class Release(Wire, frozen=True):
    """A release: what (core), where and how sealed, who approved, and a commitment to the home journal."""

    core: Core
    sealed: Sealed
    approvals: Annotated[tuple[Approval, ...], msgspec.Meta(max_length=MAX_APPROVALS)]
    private: Hex32

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        self.core.check()
        check_sorted_set([approval.by for approval in self.approvals], "approvals")
        for approval in self.approvals:
            parse_time(approval.until)
        if isinstance(self.core.standing, str) and self.approvals:
            raise FormatError("a release under a standing approval carries no approvals")


class Order(Wire, frozen=True):
    """The originator withdraws, reclassifies, or wants back or destroyed what it released."""

    rid: Hex32
    act: Literal["withdraw", "reclass", "return", "destroy"]
    nonce: Hex16
    marking: Marking | msgspec.UnsetType = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        if (self.act == "reclass") != isinstance(self.marking, Marking):
            raise FormatError("an order has a marking exactly when it reclassifies")
        if isinstance(self.marking, Marking):
            self.marking.check()


class Pointed(Wire, frozen=True):
    """Entries of one register, as sorted, disjoint, inclusive spans of indices."""

    origin: str
    spans: Annotated[tuple[Span, ...], msgspec.Meta(min_length=1)]

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        last = -1
        for first, end in self.spans:
            if first <= last or end < first:
                raise FormatError("spans are sorted, disjoint [first, last] pairs")
            last = end


class Incident(Wire, frozen=True):
    """A loss or compromise, or the possibility of one."""

    releases: tuple[Pointed, ...]
    discovered_at: str
    kind: Literal["loss", "compromise", "possible"] = msgspec.field(name="class")
    stage: Literal["notice", "findings", "measures"]
    nonce: Hex16

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        parse_time(self.discovered_at)
        for pointed in self.releases:
            pointed.check()


class Answer(Wire, frozen=True):
    """The machine's outcome for the rank-2 entries in the spans."""

    re: Pointed
    outcome: str
    witnesses: tuple[Sig, ...]
    copies: Count | msgspec.UnsetType = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        self.re.check()
        if self.outcome not in OUTCOMES:
            raise FormatError(f"outcome {self.outcome!r} is not known")
        check_sorted_set([sig.by for sig in self.witnesses], "witnesses")


class Undertaking(Wire, frozen=True):
    """Who owes whom what by when, in which words and how strongly."""

    key: str
    to: str
    text: dict[str, str]
    strength: str
    source: str
    measure: str
    basis: str
    band: str
    nonce: Hex16
    owed_by: str = msgspec.field(name="from")
    due: str | msgspec.UnsetType = msgspec.UNSET
    amends: Hex32 | msgspec.UnsetType = msgspec.UNSET
    restates: Hex32 | msgspec.UnsetType = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        if not self.key or not self.text or not all(self.text.values()):
            raise FormatError("an undertaking has a key, and words in at least one language")
        if self.strength not in STRENGTHS:
            raise FormatError(f"strength {self.strength!r} is not known")
        if isinstance(self.due, str):
            parse_time(self.due)


class Claim(Wire, frozen=True):
    """One party's signed statement about a shared key."""

    key: str
    value: str
    basis: str
    evidence: tuple[Hex32, ...]
    nonce: Hex16

    def check(self) -> None:
        """Raise FormatError unless the fields fit together."""
        if not self.key:
            raise FormatError("a claim has a key")
        check_sorted_set(self.evidence, "evidence")


Body = (
    Genesis | Epoch | Adopt | Key | Term | Assure | Standing | Release | Order | Incident | Answer | Undertaking | Claim
)
KINDS: dict[str, type[Body]] = {
    "genesis": Genesis, "epoch": Epoch, "adopt": Adopt, "key": Key, "term": Term, "assurance": Assure,
    "standing": Standing, "release": Release, "order": Order, "incident": Incident, "answer": Answer,
    "undertaking": Undertaking, "claim": Claim,
}  # fmt: skip
RANK_2 = frozenset({"release", "order", "incident"})


def parse_body(kind: str, body: object) -> Body:
    """The typed body of an entry of this kind; FormatError if it is not one."""
    if kind not in KINDS:
        raise FormatError(f"kind {kind!r} is not known")
    found = convert(body, KINDS[kind], place=f"{kind} body")
    check = getattr(found, "check", None)
    if check is not None:
        check()
    return found


def act_message(kind: str, origin: str, agreement: str, body: dict[str, Any]) -> bytes:
    """The bytes that a person or authority signs, offline if need be, before an entry exists."""
    return pae(kind, act_body(origin, agreement, body))
