"""One error family: every fault that a person may meet has a code, a place and a remedy.

A refusal to release is not an error: it is a value (`treaty.decision.Decision`).
"""

from typing import ClassVar


class EntenteError(Exception):
    """A fault with a stable code. `place` names where, `remedy` what to do about it.

    `status` is the HTTP status of its problem body (RFC 9457), `exit_code` what the command line returns.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, *, place: str = "", remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.place = place
        self.remedy = remedy

    def explain(self) -> str:
        """The error as a person reads it: title, place, detail, remedy."""
        where = f" in {self.place}" if self.place else ""
        what_to_do = f"\n  {self.remedy}" if self.remedy else ""
        return f"{self.title}{where}: {self.detail}{what_to_do}"

    def __str__(self) -> str:
        return self.explain()


class UsageError(EntenteError):
    """The command or its arguments cannot be carried out as given; nothing was changed."""

    code = "usage"
    status = 400
    exit_code = 2
    title = "Cannot do that as asked"


class FormatError(EntenteError):
    """Bytes are not what their format demands; they were not taken in."""

    code = "format"
    status = 400
    exit_code = 2
    title = "Bad input"


class AgreementError(EntenteError):
    """The agreement file is incomplete, contradictory or not properly signed; it is not in force here."""

    code = "agreement"
    status = 409
    exit_code = 2
    title = "The agreement cannot be used"


class RefusedError(EntenteError):
    """The agreement or a national rule refuses the act; nothing crossed. `why` shows each rule with its article."""

    code = "refused"
    status = 403
    exit_code = 1
    title = "Refused"


class StateError(EntenteError):
    """The act does not fit the state of the thing it names (for example, dispatching an unapproved release)."""

    code = "state"
    status = 409
    exit_code = 1
    title = "Not now"


class VerificationError(EntenteError):
    """Something that should be provable does not verify. Nothing built on it was accepted."""

    code = "verification"
    status = 422
    exit_code = 3
    title = "Verification failed"


class CorruptionError(VerificationError):
    """Bytes do not match their hash: damaged on the way or at rest. Fetch them again; this is not a fork."""

    code = "corrupt"
    title = "Corrupt"


class ForkError(VerificationError):
    """Two validly signed heads contradict each other. The evidence is kept and nothing more is signed."""

    code = "fork"
    title = "The partner's register has forked"


class BehindError(VerificationError):
    """What is held or offered is older than what was already signed; a restored backup, or a partner that lags."""

    code = "behind"
    title = "Behind what was signed"


class FrozenError(EntenteError):
    """The node signs nothing until a person or the partner resolves the cause named in the detail."""

    code = "frozen"
    status = 503
    exit_code = 1
    title = "Read-only"


class KeyUnavailableError(EntenteError):
    """A private key cannot be opened: wrong passphrase, or the key is not held here."""

    code = "key"
    status = 401
    exit_code = 2
    title = "Key unavailable"


class StoreError(EntenteError):
    """A store cannot be opened or written. What was acknowledged before is safe; the act was not carried out."""

    code = "store"
    status = 503
    exit_code = 1
    title = "Store unavailable"


class BusyError(StoreError):
    """Another process has the node open; wait for it, or end it."""

    code = "busy"
    title = "In use"


class PartnerError(EntenteError):
    """The partner's tree cannot be reached or has nothing to serve yet. Try again later; nothing was changed."""

    code = "partner"
    status = 502
    exit_code = 4
    title = "Partner unreachable"
