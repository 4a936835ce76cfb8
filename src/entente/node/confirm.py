"""Persons vouch for what the node cannot know alone: that its clock is right, or that what it holds is the latest.

It takes as many as the agreement asks to resume (`acts.signers.resume`). Their signatures stand in the home journal.
Source: design core-spec, Clock and start gate.
"""

from collections.abc import Sequence

import msgspec

from entente.account.acts import act_message
from entente.errors import FrozenError, RefusedError
from entente.keys import Signer, verify
from entente.node.ledger import Ledger
from entente.register.entry import Sig
from entente.strict import canonical


def confirm(node: Ledger, persons: Sequence[tuple[str, Signer]]) -> str:
    """The node may sign again; returns what was confirmed ("" if nothing was in doubt).

    Raises: RefusedError if too few certified persons sign; FrozenError if it takes more than persons: a fork, or
    entries that only the partner has.
    """
    doubt = node.doubt()
    if not doubt:
        _check_thawed(node)
        return ""
    body: dict[str, object] = {"at": node.now(), "doubt": doubt, "size": node.trees[node.party].size}
    message = act_message("confirm", node.side.origin, node.law.hash, body)
    sigs, commitments = [], set()
    for handle, signer in persons:
        fact = node.side.persons.get(handle)
        sig = signer.sign(message).hex()
        if fact is None or fact.revoked_from is not None or not verify(fact.person.key, message, sig):
            raise RefusedError(f"{handle} is not certified here with this key")
        if node.now() >= fact.person.until:
            raise RefusedError(f"the certificate of {handle} has expired")
        sigs.append(Sig(handle, sig))
        commitments.add(fact.person.commitment)
    wanted = node.law.law.acts.signers.resume
    if len(commitments) < wanted:
        raise RefusedError(f"{len(commitments)} of {wanted} persons confirmed", remedy="Ask more persons.")
    record = {**body, "sigs": [msgspec.to_builtins(sig) for sig in sigs]}
    node.db.journal(node.now(), "confirm", node.party, canonical(record))
    node.trust()
    _check_thawed(node)
    return doubt


def _check_thawed(node: Ledger) -> None:
    if node.frozen:
        raise FrozenError(node.frozen, remedy="Persons cannot vouch for this: pull, or agree an epoch.")
