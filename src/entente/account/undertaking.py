"""Undertakings: what each party states is owed, amended and restated by act id, and how both sides' words agree.

Under one key a party has one current statement: the first, or the one that amends the current one. A restatement
carries the same content on under another source.
Source: design core, Undertakings and claims.
"""

from entente.account.acts import Undertaking
from entente.account.state import Pair, Side, UndertakingFact
from entente.account.statement import Reconciled, differing, held_together

APART = frozenset({"nonce", "source", "amends", "restates"})


def undertaking_fault(side: Side, other: Side, seen: int, body: Undertaking) -> str:
    """Why a party cannot state this now, having seen `seen` of the partner's entries; empty if it can."""
    if {body.owed_by, body.to} != {side.party, other.party}:
        return "an undertaking is from one party to the other"
    current = side.undertaken.get(body.key)
    if isinstance(body.amends, str):
        if body.amends != current:
            return "amends what is not the author's current statement under this key"
    elif current is not None:
        return "states a second undertaking under one key: amend it"
    if isinstance(body.restates, str):
        found = _stood(side, other, seen, body.restates)
        if found is None:
            return "restates what its author has not seen"
        if differing(found.body, body, APART | {"key"}):
            return "restates other content"
    return ""


def _stood(side: Side, other: Side, seen: int, act: str) -> UndertakingFact | None:
    """An undertaking of either party's in the causal past."""
    theirs = other.undertakings.get(act)
    return side.undertakings.get(act) or (theirs if theirs is not None and theirs.idx < seen else None)


def undertakings(pair: Pair) -> tuple[Reconciled, ...]:
    """Each key with what either party states under it now; they agree if all but nonce and source is equal."""
    return held_together(
        pair, lambda side: {key: side.undertakings[act] for key, act in side.undertaken.items()}, APART
    )
