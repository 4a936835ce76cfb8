"""What decide() is asked and what it answers: the request, the View it may know, findings and the decision."""

import msgspec

from entente.keys import digest
from entente.strict import encode
from entente.treaty.approval import Approval, Core, Sealed
from entente.treaty.marking import Marking


class Person(msgspec.Struct, frozen=True):
    """A certified, unrevoked handle as the sender's log shows it."""

    commitment: str
    key: str
    roles: tuple[str, ...]
    areas: tuple[str, ...]
    ceiling: str
    until: str


class Ancestor(msgspec.Struct, frozen=True):
    """A partner's release that this one derives from: current marking; live, withdrawn, returned or destroyed."""

    marking: Marking
    state: str


class Assurance(msgspec.Struct, frozen=True):
    """The recipient's word that it can protect up to `level` in `areas`; `units` empty means government."""

    level: str
    areas: tuple[str, ...]
    units: tuple[str, ...]
    until: str


class StandingUse(msgspec.Struct, frozen=True):
    """A live standing approval with what was used of it on the UTC date of the entry."""

    area: str
    format: str
    view: str
    ceiling: str
    purpose: str
    count: int
    bytes: int
    until: str
    used_count: int
    used_bytes: int


class Kem(msgspec.Struct, frozen=True):
    """The recipient's sealing key that the release names."""

    algorithm: str
    until: str


class View(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything decide() may know, as it stood in the entry's own causal past."""

    persons: dict[str, Person]
    ancestors: dict[str, Ancestor]
    assurances: tuple[Assurance, ...]
    overdue_hours: int
    seen_before: bool
    suspended: tuple[str, ...]
    in_force: str | None = None
    standing: StandingUse | None = None
    kem: Kem | None = None
    last_at: str | None = None


class SealedRef(msgspec.Struct, frozen=True):
    """The part of `sealed` that decide() reads."""

    suite: str
    kem_key: str


class Request(msgspec.Struct, frozen=True):
    """One release as an entry asks for it: where, when, what, sealed how, approved by whom."""

    origin: str
    idx: int
    at: str
    core: Core
    sealed: SealedRef
    approvals: tuple[Approval, ...]


class Finding(msgspec.Struct, frozen=True):
    """One rule's answer."""

    rule: str
    article: str
    ok: bool
    observed: str


class Decision(msgspec.Struct, frozen=True):
    """The answer of the agreement to one request."""

    permit: bool
    agreement: str
    findings: tuple[Finding, ...]

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings that are not ok."""
        return tuple(finding for finding in self.findings if not finding.ok)


def request_digest(request: Request) -> str:
    """D(request, its canonical form); computed on demand, since it costs more than deciding."""
    return digest("request", encode(request))


def view_digest(view: View) -> str:
    """D(view, its canonical form); computed on demand."""
    return digest("view", encode(view))


def parties_of(origin: str) -> tuple[str, str]:
    """Sender and recipient that a log's origin names; two empty strings if it names none."""
    pieces = origin.split("/")
    sender, _, recipient = pieces[2].partition("-to-") if len(pieces) == 4 else ("", "", "")
    return sender, recipient


def sealed_ref(sealed: Sealed) -> SealedRef:
    """The part of `sealed` that decide() reads."""
    return SealedRef(sealed.suite, sealed.kem_key)
