"""Consents of third states: which of them let what they originated be passed on to the partner.

The consent itself is theirs and stays at home; a release of such material carries a commitment to it, by which the
nation can show later that it held one.
"""

import hashlib
import hmac

import msgspec

from entente.errors import RefusedError, StoreError, UsageError
from entente.node.ledger import Ledger
from entente.strict import canonical, read_own

NONE = "none"
_KIND = "consent"


class Consent(msgspec.Struct, frozen=True):
    """A third's consent to one recipient: the digest of what it wrote, by whom it was noted, and whether it stands."""

    third: str
    recipient: str
    sha256: str
    by: str
    stands: bool = True


def note_consent(node: Ledger, third: str, letter: bytes, by: str) -> str:
    """The third's consent to passing on to this partner is held; returns the commitment that releases will carry.

    Raises: UsageError if the agreement names no such third; RefusedError if `by` is not certified here.
    """
    if third not in node.law.law.thirds:
        raise UsageError(f"the agreement names no third {third!r}", remedy="See `thirds` in the agreement.")
    return _note(node, Consent(third, node.partner, hashlib.sha256(letter).hexdigest(), by))


def end_consent(node: Ledger, third: str, by: str) -> None:
    """The third's consent is held no more: nothing of it that has not left yet may leave."""
    last = _last(node, third)
    if last is None or not last.stands:
        raise UsageError(f"no consent of {third} is held", remedy="See `entente consent list`.")
    _note(node, msgspec.structs.replace(last, by=by, stands=False))


def _note(node: Ledger, consent: Consent) -> str:
    fact = node.side.persons.get(consent.by)
    if fact is None or fact.revoked_from is not None:
        raise RefusedError(f"{consent.by} is not certified here", remedy="See `entente person`.")
    node.db.journal(node.now(), _KIND, consent.third, canonical(msgspec.to_builtins(consent)))
    return _commitment(node, consent)


def _last(node: Ledger, third: str) -> Consent | None:
    lines = node.db.journal_of(_KIND, third)
    return read_own(lines[-1], Consent) if lines else None


def _commitment(node: Ledger, consent: Consent) -> str:
    secret = node.keys.key("gate-secret")
    if secret is None:
        raise StoreError("the gate secret is gone", place=str(node.keys.path))
    text = canonical({"recipient": consent.recipient, "sha256": consent.sha256, "third": consent.third})
    return hmac.digest(secret, text, "sha256").hex()


def held_consent(node: Ledger, originator: str) -> str:
    """What a release of this originator's material carries: the commitment to its consent, or `none`."""
    if originator in node.law.law.party:
        return NONE
    last = _last(node, originator)
    return _commitment(node, last) if last is not None and last.stands else NONE


def consents_noted(node: Ledger) -> dict[str, Consent | None]:
    """Each third state that the agreement names, with what was last noted of its consent."""
    return {third: _last(node, third) for third in node.law.law.thirds}


def consents(node: Ledger) -> tuple[str, ...]:
    """The commitments to every consent that stands."""
    found = (held_consent(node, third) for third in node.law.law.thirds)
    return tuple(commitment for commitment in found if commitment != NONE)
