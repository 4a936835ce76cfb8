"""The account of both registers at one cut, drawn by either node to the same bytes."""

from collections.abc import Mapping, Sequence

import msgspec

from entente.account.fold import EMPTY_ROOT, Fold, new_pair
from entente.account.reconcile import Cut, closed_cut, reconcile
from entente.errors import EntenteError, UsageError
from entente.keys import verify
from entente.node.ledger import Ledger
from entente.register.entry import parse_entry
from entente.strict import parse_time, read_own

Entries = Mapping[str, Sequence[bytes]]


class Account(msgspec.Struct, frozen=True):
    """A reconciliation: at which cut and time, its bytes, and the SHA-256 that its last line states."""

    cut: str
    at: str
    text: bytes
    sha256: str


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
    pair = new_pair(node.law.law)
    part = {party: entries[party][: sizes[party]] for party in order}
    Fold(pair, node.laws, node.root_at, verify).extend(part)
    moment = at or max((_at(data) for found in part.values() for data in found), default="")
    roots = {party: node.root_at(party, sizes[party]) or EMPTY_ROOT for party in order}
    text = reconcile(pair, roots, node.law.hash, moment, node.laws)
    digest = read_own(text.rstrip(b"\n").rpartition(b"\n")[2], dict[str, str])["sha256"]
    return Account(":".join(str(sizes[party]) for party in order), moment, text, digest)


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
