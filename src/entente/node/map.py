"""Marking maps: a person maps foreign markings and third-party originators to the agreement's terms, once, signed."""

from collections.abc import Iterator

import msgspec

from entente.account.acts import act_message
from entente.errors import FormatError, RefusedError
from entente.keys import Signer, digest, verify
from entente.node.ledger import Ledger
from entente.register.entry import Sig
from entente.strict import canonical, encode, read_own
from entente.treaty.marking import MarkingMap


def map_message(node: Ledger, found: MarkingMap) -> bytes:
    """The bytes a person signs to make a marking map their word."""
    return act_message("marking-map", node.side.origin, found.agreement, msgspec.to_builtins(found))


def sign_map(node: Ledger, found: MarkingMap, persons: list[tuple[str, Signer]]) -> str:
    """The map is held here under its id, signed by `acts.signers.map` persons with the role `acts.roles.map`.

    Raises: FormatError if it is for another agreement or names a level that is not there; RefusedError if too few
    certified persons sign.
    """
    found.check()
    law = node.laws.get(found.agreement)
    if law is None or found.area not in law.law.area:
        raise FormatError("the map is for another agreement or area", place="marking map")
    ranks = law.law.ranks[node.party]
    for row in found.rows:
        if row.marking.level not in ranks:
            raise FormatError(f"{row.marking.level!r} is not a level of {node.party}", place=f"row {row.foreign}")
    message = map_message(node, found)
    sigs = []
    commitments = set()
    for handle, signer in persons:
        fact = node.side.persons.get(handle)
        if fact is None or fact.revoked_from is not None or law.law.acts.roles.map not in fact.person.roles:
            raise RefusedError(
                f"{handle} may not sign marking maps", remedy=f"It takes the role {law.law.acts.roles.map}."
            )
        sig = signer.sign(message).hex()
        if not verify(fact.person.key, message, sig):
            raise RefusedError(f"the key given is not {handle}'s")
        commitments.add(fact.person.commitment)
        sigs.append(Sig(handle, sig))
    if len(commitments) < law.law.acts.signers.map:
        raise RefusedError(f"{len(commitments)} of {law.law.acts.signers.map} persons signed the map")
    data = encode(found)
    name = digest("marking-map", data)
    with node.db.transaction():
        node.db.put_map(name, data, canonical([msgspec.to_builtins(sig) for sig in sigs]))
        node.db.journal(node.now(), "map", name, canonical({"by": [sig.by for sig in sigs]}))
    return name


def maps_of(node: Ledger, *areas: str) -> Iterator[tuple[str, MarkingMap]]:
    """(id, map) of each marking map of these areas under the agreement in force, the one signed last first."""
    for name in dict.fromkeys(name for name, _ in reversed(node.db.journal_lines("map"))):
        found = node.db.get_map(name)
        if found is not None:
            one = read_own(found[0], MarkingMap)
            if one.area in areas and one.agreement == node.law.hash:
                yield name, one


def latest_map(node: Ledger, area: str) -> str:
    """The id of the marking map of an area that was signed last under the agreement in force; "" if there is none."""
    return next((name for name, _ in maps_of(node, area)), "")
