"""Claims: what each party says about a shared key, the latest of each; and consent to a joint act.

Two claims agree when value and basis are equal; the evidence is each party's own.
Source: design core, Undertakings and claims.
"""

from entente.account.acts import Claim
from entente.account.state import Pair
from entente.account.statement import Reconciled, held_together

APART = frozenset({"nonce", "evidence"})


def claims(pair: Pair) -> tuple[Reconciled, ...]:
    """Each key with what either party claims under it now."""
    return held_together(pair, lambda side: side.claims, APART)


def consents(pair: Pair, digest: str) -> tuple[str, ...]:
    """The parties one of whose current claims names this digest, as its value or in its evidence, sorted.

    A joint act stands when both are here; a later claim under the same key that names it no more takes consent back.
    """
    return tuple(
        sorted(
            party
            for party, side in pair.sides.items()
            if any(_names(fact.body, digest) for fact in side.claims.values())
        )
    )


def _names(body: Claim, digest: str) -> bool:
    return body.value == digest or digest in body.evidence
