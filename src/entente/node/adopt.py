"""Adopt: a later version of the agreement, signed by both authorities, stands in our register.

It is in force once both have adopted it and it has started. What was released before stays bound to its own version.
Source: design core-spec, Entries (adopt); ../facts/treaty-duties.md, D26.
"""

from collections.abc import Sequence

import msgspec

from entente.account.acts import act_message
from entente.errors import AgreementError, RefusedError, StateError
from entente.keys import Signer, key_id
from entente.node import act
from entente.node.ledger import Draft, Ledger
from entente.node.setup import check_signed, nonce
from entente.register.entry import Sig
from entente.treaty.agreement import SignedAgreement


class Adoption(msgspec.Struct, frozen=True):
    """A version to adopt: its hash and number, which it supersedes, and who must sign the entry (key ids)."""

    agreement: str
    version: int
    start: str
    supersedes: str
    signers: tuple[str, ...]
    entry: int | None = None


def adoption(node: Ledger, data: bytes, envelope: bytes) -> tuple[Adoption, SignedAgreement, Sig]:
    """What adopting these bytes would be, the agreement itself, and our authority's signature over it.

    Raises: AgreementError if both authorities have not signed them, or they are not the next version of ours;
    StateError if we have adopted them already.
    """
    signed, sigs = check_signed(data, envelope)
    if signed.hash in node.side.adopted:
        raise StateError("this version is adopted already", place=signed.hash[:16])
    old = max((node.laws[name] for name in node.side.adopted), key=lambda found: found.law.version)
    new, before = signed.law, old.law
    if new.id != before.id or new.parties != before.parties:
        raise AgreementError(f"it is not a version of {before.id}", remedy="Its id and parties stay the same.")
    if new.version != before.version + 1:
        raise AgreementError(
            f"it is version {new.version}; the next one is {before.version + 1}", remedy="Adopt version by version."
        )
    ours = [law.party[node.party].authority for law in (before, new)]
    signers = tuple(key_id(keys[0]) for keys in ours) if not set(ours[0]) & set(ours[1]) else (key_id(ours[1][0]),)
    return Adoption(signed.hash, new.version, new.start, old.hash, signers), signed, sigs[node.party]


def adopt(node: Ledger, data: bytes, envelope: bytes, authorities: Sequence[Signer]) -> Adoption:
    """Our register says that we adopt these bytes; they are held and served here.

    `authorities` are ours: of the version superseded and, if it has changed, of the new one.
    Raises: as `adoption`; RefusedError if an authority is missing or is not ours; FrozenError, StoreError. Nothing was
    adopted then.
    """
    found, signed, sig = adoption(node, data, envelope)
    node.check_may_sign()
    body: dict[str, object] = {
        "agreement": signed.hash,
        "nonce": nonce(),
        "sig": {"by": sig.by, "sig": sig.sig},
        "supersedes": found.supersedes,
    }
    message = act_message("adopt", node.side.origin, node.law.hash, body)
    sigs = {key_id(by.public): Sig(key_id(by.public), by.sign(message).hex()) for by in authorities}
    known = signed.hash in node.laws
    node.laws[signed.hash] = signed

    def keep(_: Sequence[tuple[int, Draft]]) -> None:
        node.db.put_agreement(signed.hash, data)
        node.served.put(f"agreement/{signed.hash}", data)  # before the entry that names it is published

    try:
        try:
            act.check_valid(node, "adopt", body, tuple(sigs.values()))
        except StateError as fault:
            raise RefusedError(
                fault.detail, remedy="Our authority signs: of the version before and, if it changes, of the new one."
            ) from None
        (idx,) = node.append([Draft("adopt", body, tuple(sigs.values()))], agreement=node.law.hash, also=keep)
    finally:
        if signed.hash not in node.side.adopted and not known:
            del node.laws[signed.hash]
            node.served.delete(f"agreement/{signed.hash}")
    return msgspec.structs.replace(found, entry=idx)
