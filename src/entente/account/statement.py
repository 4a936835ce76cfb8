"""What both parties state under one key, held against each other: agree, differ, or only one says it."""

from collections.abc import Callable, Mapping

import msgspec

from entente.account.acts import Claim, Undertaking
from entente.account.state import ClaimFact, Pair, Side, UndertakingFact

Stated = UndertakingFact | ClaimFact


class Reconciled(msgspec.Struct, frozen=True):
    """One key: what each party states now (by code, in the agreement's order), and how they stand to each other.

    `state` is `agree`, `differ` or `only CODE`; `fields` names what differs.
    """

    key: str
    stated: dict[str, Stated]
    state: str
    fields: tuple[str, ...] = ()


def held_together(
    pair: Pair, current: Callable[[Side], Mapping[str, Stated]], apart: frozenset[str]
) -> tuple[Reconciled, ...]:
    """Every key that either party states something under, sorted; the fields in `apart` may differ."""
    held = {party: current(side) for party, side in pair.sides.items()}
    return tuple(
        _reconciled(key, {party: found[key] for party, found in held.items() if key in found}, apart)
        for key in sorted(set().union(*held.values()))
    )


def _reconciled(key: str, stated: dict[str, Stated], apart: frozenset[str]) -> Reconciled:
    if len(stated) == 1:
        return Reconciled(key, stated, f"only {next(iter(stated))}")
    first, second = stated.values()
    fields = differing(first.body, second.body, apart)
    return Reconciled(key, stated, "differ" if fields else "agree", fields)


def differing(first: Undertaking | Claim, second: Undertaking | Claim, apart: frozenset[str]) -> tuple[str, ...]:
    """The fields, by their names on the wire, in which two statements differ, those in `apart` left out."""
    names = zip(first.__struct_fields__, first.__struct_encode_fields__, strict=True)
    return tuple(
        sorted(wire for name, wire in names if wire not in apart and getattr(first, name) != getattr(second, name))
    )
