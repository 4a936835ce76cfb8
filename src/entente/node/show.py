"""One release as it stands: its marking in both nations' words, what was ordered and answered, what hangs on it."""

from typing import Literal

import msgspec

from entente.account.cascade import current_marking, derivatives
from entente.account.duties import Duty, duties
from entente.account.state import ReleaseFact, Side
from entente.errors import UsageError
from entente.node.copies import Copy, copies_of
from entente.node.documents import banner
from entente.node.ledger import Ledger
from entente.node.order import is_number, release_of
from entente.node.why import state_of
from entente.store.view_db import Thing


class Event(msgspec.Struct, frozen=True):
    """One thing that was said about the release: by whom, at which index of their register, and when."""

    by: str
    idx: int
    at: str
    what: str


class Shown(msgspec.Struct, frozen=True):
    """A release with all that both registers say of it, and what this node holds of it."""

    rid: str
    by: str
    number: int
    state: str
    area: str
    article: str
    format: str
    agreement: str
    banner: tuple[str, ...]
    records: int
    bytes: int
    retain_days: int
    copies_allowed: int
    ancestors: tuple[str, ...]
    derivatives: tuple[str, ...]
    events: tuple[Event, ...]
    duties: tuple[Duty, ...]
    copies: tuple[Copy, ...]
    held: Literal["sealed", "nothing"]
    objects: tuple[Thing, ...]


def show(node: Ledger, which: str) -> Shown:
    """The release with this number in our register, or whose id in either register begins so.

    Raises: UsageError if there is none, or more than one.
    """
    side, fact = find(node, which)
    law = node.laws[fact.acts_under].law  # its core may name one that nobody knows
    now = current_marking(node.pair, side, fact, node.laws)
    below = tuple(found.rid for _, _, found in derivatives(node.pair, node.pair.sizes, side, [fact.rid]))
    return Shown(
        rid=fact.rid, by=side.party, number=fact.number, state=state_of(node, fact), area=fact.area,
        article=fact.article, format=fact.format, agreement=fact.agreement,
        banner=banner(law, now.marking, side.party), records=fact.records, bytes=fact.bytes_padded,
        retain_days=fact.retain_days, copies_allowed=fact.copies, ancestors=fact.ancestors, derivatives=below,
        events=_events(node, side, fact),
        duties=tuple(duty for duty in duties(node.pair, node.laws, node.now()) if duty.rid == fact.rid),
        copies=tuple(copies_of(node, fact.rid)),
        held="sealed" if node.keys.key(fact.rid) is not None and node.blobs.holds(fact.blob) else "nothing",
        objects=tuple(_objects(node, side, fact)),
    )  # fmt: skip


def find(node: Ledger, which: str) -> tuple[Side, ReleaseFact]:
    """The side and fact of a release, by number in our register or by the beginning of its id in either."""
    if is_number(which):
        return node.side, release_of(node.side, which)
    found = [
        (side, side.releases[place])
        for side in node.pair.sides.values()
        for rid, place in side.by_rid.items()
        if which and rid.startswith(which)
    ]
    if len(found) != 1:
        what = f"{which} names {len(found)} releases" if found else f"no release {which}"
        raise UsageError(what, remedy="See `entente list releases`; a draft is shown by `entente why`.")
    return found[0]


def _events(node: Ledger, side: Side, fact: ReleaseFact) -> tuple[Event, ...]:
    """Entry, orders and answers, each party's in the order of its register; the release's own comes first."""
    other = node.pair.other(side.party)
    found = [Event(side.party, fact.idx, fact.at, "released")]
    found += [Event(side.party, order.idx, order.at, f"ordered: {order.act}") for order in fact.orders]
    found += [Event(other.party, given.idx, given.at, f"answered: {given.outcome}") for given in fact.answers]
    for order in fact.orders:
        found += [
            Event(other.party, given.idx, given.at, f"answered {order.act}: {given.outcome}")
            for given in side.order_answers[order.idx]
            if given not in fact.answers
        ]
    return tuple(sorted(found, key=lambda event: (event.at, event.by != side.party, event.idx)))


def _objects(node: Ledger, side: Side, fact: ReleaseFact) -> list[Thing]:
    """What view.db has of it: as received, or of our own what crossed out of the import."""
    if side is not node.side:
        return node.view.things(fact.rid)
    draft = node.db.draft(fact.rid)
    return node.view.things(draft.source) if draft is not None and draft.source == fact.rid else []
