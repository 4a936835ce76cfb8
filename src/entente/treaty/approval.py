"""Core, the object that persons approve: it commits to the exact plaintext, its marking, recipient and agreement."""

from functools import cached_property
from typing import Annotated, NewType

import msgspec

from entente.errors import FormatError
from entente.keys import Signer, digest, pae
from entente.strict import canonical, check_sorted_set, encode, parse_time
from entente.treaty.marking import Count, Hex16, Hex32, Hex64, Marking, Wire

Rid = NewType("Rid", str)
MAX_APPROVALS = 16


class Records(Wire, frozen=True):
    """How many records a payload holds and the RFC 6962 root over their commitments."""

    count: Count
    root: Hex32


class Core(Wire, frozen=True, dict=True):
    """What is released, exactly. Its D is the release id; a changed byte is another release and voids approvals."""

    agreement: Hex32
    ancestors: Annotated[tuple[Hex32, ...], msgspec.Meta(max_length=256)]
    area: str
    article: str
    bytes_padded: Count
    channel: str
    content: Hex32
    copies: Count
    custody: str
    format: str
    marking: Marking
    nonce: Hex16
    origin: str
    records: Records
    retain_days: Count
    third_party: str
    to: str
    units: Annotated[tuple[str, ...], msgspec.Meta(max_length=64)]
    view: str
    exercise: bool | msgspec.UnsetType = msgspec.UNSET
    standing: Hex32 | msgspec.UnsetType = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless sets are sorted and the omitted fields are truly omitted."""
        self.marking.check()
        check_sorted_set(self.ancestors, "ancestors")
        check_sorted_set(self.units, "units")
        if self.exercise is False:
            raise FormatError("exercise is true or omitted")
        if self.third_party != "none" and (len(self.third_party) != 64 or not _is_hex(self.third_party)):
            raise FormatError("third_party is `none` or a 32-byte commitment")

    @cached_property
    def rid(self) -> Rid:
        """D(core, canonical core): what approvals and keys are bound to."""
        return rid_of(encode(self))


def _is_hex(text: str) -> bool:
    return all(char in "0123456789abcdef" for char in text)


class Sealed(Wire, frozen=True):
    """Where the ciphertext is and what opens it. `blob_bytes` counts ciphertext."""

    blob: Hex32
    blob_bytes: Count
    kem_key: Hex32
    key_digest: Hex32
    suite: str


class Approval(Wire, frozen=True):
    """A person's signature over one release id in one role, good until a time."""

    by: str
    role: str
    sig: Hex64
    until: str


def rid_of(core: bytes) -> Rid:
    """The release id of a core in its canonical bytes."""
    return Rid(digest("core", core))


def approval_message(rid: str, by: str, role: str, until: str) -> bytes:
    """The bytes an approver signs."""
    return pae("approval", canonical({"by": by, "rid": rid, "role": role, "until": until}))


def approve(signer: Signer, rid: str, by: str, role: str, until: str) -> Approval:
    """A signed approval of `rid` by the person with handle `by`, in `role`, valid until a time."""
    parse_time(until)
    return Approval(by, role, signer.sign(approval_message(rid, by, role, until)).hex(), until)
