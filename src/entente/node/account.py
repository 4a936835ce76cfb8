"""The account of both registers at one cut, drawn by either node to the same bytes."""

from collections.abc import Mapping, Sequence
from datetime import MAXYEAR

import msgspec

from entente.account.fold import EMPTY_ROOT, Fold, new_pair
from entente.account.reconcile import Cut, closed_cut, reconcile
from entente.errors import EntenteError, UsageError
from entente.keys import verify
from entente.node.ledger import Ledger
from entente.register.entry import parse_entry
from entente.strict import parse_time, read_own

FIRST_YEAR = 1970
Entries = Mapping[str, Sequence[bytes]]


class Account(msgspec.Struct, frozen=True):
    """A reconciliation: at which cut and time, its bytes, and the SHA-256 that its last line states."""

    cut: str
    at: str
    text: bytes
    sha256: str


def draw_year(node: Ledger, year: int) -> Account:
    """The account of a year, the same bytes on both nodes: at its end, with totals of what was released within it.

    What counts are the entries before the first one of the next year, as far as both have cosigned them; duties are
    those of the year's last moment. Raises: UsageError for a year before 1970 or after 9998.
    """
    if not FIRST_YEAR <= year < MAXYEAR:
        raise UsageError(f"{year} is no year to account for", remedy=f"Give one from {FIRST_YEAR} on.")
    order = list(node.pair.sides)
    entries = {party: node.db.entries(node.logs[party]) for party in order}
    begin, end = (f"{number:04d}-01-01T00:00Z" for number in (year, year + 1))
    before = {party: _first_at(entries[party], begin) for party in order}
    limits = {party: min(size, _first_at(entries[party], end)) for party, size in _limits(node).items()}
    sizes = closed_cut(entries, limits, node.root_at).sizes
    since = {party: min(before[party], sizes[party]) for party in order}
    return _drawn(node, {party: entries[party][: sizes[party]] for party in order}, end, since)


def _first_at(entries: Sequence[bytes], moment: str) -> int:
    """The index of the first entry at or after a moment, or how many there are."""
    return next((idx for idx, data in enumerate(entries) if _at(data) >= moment), len(entries))


def draw(node: Ledger, cut: str = "", at: str = "") -> Account:
    """The account at a cut, the same bytes on both nodes.

    Args:
        node: which holds both registers.
        cut: `A:B`, entries of each register in the agreement's order of parties; default the largest causally closed
            one that both have cosigned, as far as this node knows.
        at: the time it is drawn for; default the latest `at` within the cut.
    Raises: UsageError if the cut is not one this node can draw.
    """
    if at:
        parse_time(at)
    order = list(node.pair.sides)
    entries = {party: node.db.entries(node.logs[party]) for party in order}
    sizes = _parse_cut(cut, order, entries).sizes if cut else closed_cut(entries, _limits(node), node.root_at).sizes
    part = {party: entries[party][: sizes[party]] for party in order}
    return _drawn(node, part, at or max((_at(data) for found in part.values() for data in found), default=""), None)


def _drawn(node: Ledger, part: Entries, at: str, since: Mapping[str, int] | None) -> Account:
    """The account of exactly these entries of both registers."""
    pair = new_pair(node.law.law)
    Fold(pair, node.laws, node.root_at, verify).extend(part)
    roots = {party: node.root_at(party, len(found)) or EMPTY_ROOT for party, found in part.items()}
    text = reconcile(pair, roots, node.law.hash, at, node.laws, since=since)
    digest = read_own(text.rstrip(b"\n").rpartition(b"\n")[2], dict[str, str])["sha256"]
    return Account(":".join(str(len(found)) for found in part.values()), at, text, digest)


def _limits(node: Ledger) -> dict[str, int]:
    """How much of each register both have cosigned, as far as this node knows."""
    head = node.head_of(node.partner)
    return {node.party: node.acknowledged(), node.partner: head.size if head is not None else 0}


def _parse_cut(text: str, order: Sequence[str], entries: Entries) -> Cut:
    pieces = text.split(":")
    if len(pieces) != 2 or not all(piece.isascii() and piece.isdecimal() for piece in pieces):
        raise UsageError(f"{text!r} is not a cut", remedy="Write A:B, two numbers of entries.")
    sizes = {party: int(piece) for party, piece in zip(order, pieces, strict=True)}
    for party, size in sizes.items():
        if size > len(entries[party]):
            raise UsageError(
                f"this node holds {len(entries[party])} entries of {party}, not {size}", remedy="Pull first."
            )
    return Cut(sizes)


def _at(data: bytes) -> str:
    try:
        return parse_entry(data).at
    except EntenteError:
        return ""
