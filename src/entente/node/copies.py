"""Copies: each export or print of a release that this party received has a number, a holder and a place.

They stand in the home journal. A number is given once: closing a copy does not make room for another.
Source: ../facts/treaty-duties.md, D13 and D19.
"""

import msgspec

from entente.account.state import ReleaseFact
from entente.errors import RefusedError, StateError, UsageError
from entente.node.ledger import Ledger
from entente.strict import check_text, encode, read_own

COPY = "copy"
LONGEST = 200


class Copy(msgspec.Struct, frozen=True):
    """One numbered copy of a release, since when, and until when ("": it is out)."""

    n: int
    holder: str
    place: str
    made: str
    closed: str = ""


def copies_of(node: Ledger, rid: str) -> list[Copy]:
    """Every copy of a release as it stands now, by number."""
    found = {}
    for line in node.db.journal_of(COPY, rid):
        copy = read_own(line, Copy)
        found[copy.n] = copy
    return [found[n] for n in sorted(found)]


def copied_rids(node: Ledger) -> list[str]:
    """The releases of which copies were made, in the order of their first."""
    return list(dict.fromkeys(rid for rid, _ in node.db.journal_lines(COPY)))


def make_copy(node: Ledger, fact: ReleaseFact, holder: str, place: str) -> Copy:
    """A copy of a release held here is out, under the next number.

    Raises: RefusedError if the release allows no more; StateError if it is not held here, was withdrawn or has ended.
    """
    for text, name in ((holder, "holder"), (place, "place")):
        if not text.strip() or len(text) > LONGEST:
            raise UsageError(f"the {name} of a copy is 1 to {LONGEST} characters", remedy=f"Give --{name}.")
        check_text(text)
    outcomes = {answer.outcome for answer in fact.answers}
    if "received" not in outcomes or {"returned", "destroyed"} & outcomes or node.keys.key(fact.rid) is None:
        raise StateError("it is not held here", place=fact.rid[:16])
    if any(order.act != "reclass" for order in fact.orders):
        raise StateError("the originator has withdrawn it or wants it back", place=fact.rid[:16])
    with node.db.transaction():
        before = copies_of(node, fact.rid)
        if len(before) >= fact.copies:
            article = node.laws[fact.agreement].law.rules.decide.get("copies", "")
            raise RefusedError(
                f"{len(before)} of {fact.copies} copies were made",
                place=f"Art. {article}",
                remedy="The originator may release it anew with more copies.",
            )
        made = Copy(len(before) + 1, holder, place, node.now())
        node.db.journal(made.made, COPY, fact.rid, encode(made))
    return made


def close_copy(node: Ledger, fact: ReleaseFact, number: int) -> Copy:
    """The copy is out no more: destroyed, or taken back; StateError if it is not out."""
    with node.db.transaction():
        found = next((copy for copy in copies_of(node, fact.rid) if copy.n == number), None)
        if found is None or found.closed:
            raise StateError(f"copy {number} is not out", place=fact.rid[:16], remedy="See `entente copy list`.")
        done = msgspec.structs.replace(found, closed=node.now())
        node.db.journal(done.closed, COPY, fact.rid, encode(done))
    return done
