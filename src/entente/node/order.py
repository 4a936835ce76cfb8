"""Orders: the originator withdraws, reclassifies, or wants back or destroyed what it released.

What an order makes of our own copies is intended in the transaction that enters it, and carried out after it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from entente.account.acts import Order, parse_body
from entente.account.cascade import current_marking
from entente.account.state import ReleaseFact, Side
from entente.crossing.answer import spans_of
from entente.errors import RefusedError, StateError, UsageError
from entente.node import act, destroy
from entente.node.ledger import Ledger
from entente.strict import encode, parse
from entente.treaty.marking import Marking

KEEP_IMPORT = "keep_import"


class Remark(msgspec.Struct, frozen=True):
    """What a reclassification changes; what is None stays as it is. Originator and purpose always do."""

    level: str | None = None
    caveats: tuple[str, ...] | None = None
    releasable_to: tuple[str, ...] | None = None


def release_of(side: Side, which: str) -> ReleaseFact:
    """The release with this number in the side's register, or whose id begins so; UsageError if not exactly one.

    Up to seven digits are a number, never the beginning of an id: an order must not go to another release.
    """
    if is_number(which):
        found = [fact.rid for fact in side.releases[int(which) - 1 : int(which)]] if int(which) else []
    else:
        found = [rid for rid in side.by_rid if which and rid.startswith(which)]
    fact = side.release(found[0]) if len(found) == 1 else None
    if fact is None:
        what = f"{which} names {len(found)} releases" if found else f"no release {which}"
        raise UsageError(f"{what} of {side.party}", remedy="See `entente list releases`.")
    return fact


def is_number(which: str) -> bool:
    """Whether a person means a release's number by this, not its id."""
    return which.isascii() and which.isdecimal() and len(which) < 8


def order_body(node: Ledger, which: str, what: str, remark: Remark | None = None) -> dict[str, Any]:
    """The body of an order about a release of ours.

    Raises: UsageError if there is no such release; StateError if the order would change nothing; RefusedError if the
    partner could not hold it under the new marking.
    """
    fact = release_of(node.side, which)
    given = {order.act for order in fact.orders}
    if {"destroyed", "returned"} & {answer.outcome for answer in fact.answers}:
        raise StateError("the partner has ended this release", place=fact.rid[:16])
    if what == "reclass":
        marking = _remarked(node, fact, remark or Remark())
        return {"act": what, "marking": parse(encode(marking)), "rid": fact.rid}
    if what in given:
        raise StateError(f"it was ordered already: {what}", place=fact.rid[:16])
    return {"act": what, "rid": fact.rid}


def _remarked(node: Ledger, fact: ReleaseFact, remark: Remark) -> Marking:
    """The marking after the order, under which the partner can still hold the release."""
    law = node.laws[fact.agreement].law
    old = current_marking(node.pair, node.side, fact, node.laws).marking
    new = Marking(
        tuple(sorted(set(remark.caveats))) if remark.caveats is not None else old.caveats,
        remark.level or old.level,
        old.originator,
        old.purpose,
        tuple(sorted(set(remark.releasable_to))) if remark.releasable_to is not None else old.releasable_to,
    )
    if new == old:
        raise StateError("that is its marking already", place=fact.rid[:16])
    scale = old.originator if old.originator in law.parties else node.party
    articles = law.rules.decide
    if new.level not in law.ranks[scale]:
        raise UsageError(f"{new.level!r} is not a level of {scale}", remedy=f"Levels: {', '.join(law.ranks[scale])}.")
    if scale == node.party and new.level not in law.rows[node.party]:
        raise RefusedError(
            f"{new.level} has no equivalent at {law.other(node.party)}",
            place=f"Art. {articles.get('equivalence', '')}",
            remedy="Order it withdrawn, returned or destroyed: the partner has no level at which to hold it.",
        )
    if not set(law.parties) <= set(new.releasable_to) <= {*law.parties, *law.thirds}:
        raise RefusedError(
            "releasable to others than the agreement names, or not to both parties",
            place=f"Art. {articles.get('releasable', '')}",
            remedy="What the partner may no longer hold is withdrawn, not reclassified.",
        )
    if not set(new.caveats) <= set(law.caveats):
        raise RefusedError("a caveat that the agreement does not know", place=f"Art. {articles.get('caveats', '')}")
    return new


def enter_order(node: Ledger, name: str) -> act.Entered:
    """The order stands in our register, and what it makes of our own copies is done.

    Withdrawn before the partner stored it: neither its key nor its blob is anywhere here. To be destroyed: the same,
    and the import it was drawn from too, unless that was to be kept or something else draws on it.
    Raises: as `act.enter`; StoreError if the order stands, but not everything could be erased yet.
    """
    row = act.act_of(node, name)
    body = parse_body("order", parse(row.body))
    fact = node.side.release(body.rid) if isinstance(body, Order) else None
    if not isinstance(body, Order) or fact is None:
        raise StateError("not an order about a release of ours", place=row.id[:16])
    keep = bool(parse(row.home).get(KEEP_IMPORT))

    def intend(_: int) -> None:
        if body.act == "destroy":
            destroy.intend(node, fact, destroy.sealed_copy(fact) if keep else destroy.with_import(node, fact))
        elif body.act == "withdraw" and not _is_stored(node, fact):
            destroy.intend(node, fact, destroy.sealed_copy(fact))

    done = act.enter(node, row.id, intend)
    node.publish_releases(fact.number - 1)
    destroy.finish(node, fact.rid)
    return done


def _is_stored(node: Ledger, fact: ReleaseFact) -> bool:
    """Whether its key may have been read: once the partner has cosigned it, or at once where the agreement says so."""
    return fact.idx < node.acknowledged() or node.laws[fact.agreement].law.key_before_ack


def pointed(node: Ledger, which: Sequence[str]) -> list[dict[str, Any]]:
    """Releases as an incident points at them: by number in our register, by id, or `CODE/` and either of a party's."""
    found: dict[str, set[int]] = {}
    for text in which:
        side, key = _side_of(node, text)
        found.setdefault(side.origin, set()).add(release_of(side, key).idx)
    return [{"origin": origin, "spans": spans_of(found[origin])} for origin in sorted(found)]


def _side_of(node: Ledger, text: str) -> tuple[Side, str]:
    code, slash, key = text.rpartition("/")
    if slash and code not in node.pair.sides:
        raise UsageError(f"{code} is not a party", remedy=f"Parties: {', '.join(node.pair.sides)}.")
    if slash:
        return node.pair.sides[code], key
    theirs = not is_number(key) and any(rid.startswith(key) for rid in node.other_side.by_rid)
    return (node.other_side if theirs else node.side), key
