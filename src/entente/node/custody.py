"""Custody: one import, draft or release from birth to destruction, and what end is still open.

Each copy has a life of its own: the author's sealed copy, the one that the partner received, each numbered copy of
that. A life ends in returned, destroyed or closed, or the copy is still held; nothing else becomes of a copy.
"""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from entente.account.cascade import current_marking
from entente.account.duties import Duty, duties
from entente.account.state import ReleaseFact, Side, find_release
from entente.errors import UsageError
from entente.node import history
from entente.node.copies import copies_of
from entente.node.destroy import ENDS
from entente.node.held import PACK
from entente.node.history import Placed, Step
from entente.node.ledger import Ledger
from entente.node.order import is_number, release_of
from entente.node.shelves import rank_of
from entente.node.why import state_of
from entente.store.act_rows import BEGUN
from entente.store.node_db import REFUSED, DraftRow
from entente.strict import parse_as
from entente.treaty.approval import Core
from entente.treaty.marking import Marking

HELD, RETURNED, DESTROYED, CLOSED, NEVER = "held", "returned", "destroyed", "closed", "never held"


class Life(msgspec.Struct, frozen=True):
    """One copy: which, who has or had it, since when, until when and in what its life ended (`held`: it has not).

    `holder` is a party, or who has the numbered copy `n` (0: the copy of a party). `never held` is a copy that was
    released and did not arrive, or not yet.
    """

    what: str
    holder: str
    place: str
    n: int
    since: str
    until: str
    end: str


class Held(msgspec.Struct, frozen=True):
    """What this node still has: its key, its sealed bytes, rows that can be read, numbered copies that are out."""

    key: bool
    blob: bool
    rows: int
    copies_out: tuple[int, ...]

    @property
    def nothing(self) -> bool:
        """Whether nothing is left of it here."""
        return not (self.key or self.blob or self.rows or self.copies_out)


class Open(msgspec.Struct, frozen=True):
    """An end that is still open: what has to happen, by whom, and by when if a time is stated."""

    what: str
    by: str
    due: str = ""


class Custody(msgspec.Struct, frozen=True):
    """The life of one item. `rank` is the least clearance, in this party's scale, that may read any of it.

    `lives` are the copies that either register or this node knows of, `totals` counts them by end.
    """

    kind: str
    id: str
    party: str
    number: int
    state: str
    area: str
    format: str
    marking: Marking | None
    rank: int
    source: str
    steps: tuple[Step, ...]
    lives: tuple[Life, ...]
    held: Held
    open: tuple[Open, ...]

    @property
    def totals(self) -> dict[str, int]:
        """How many copies there are by the end of their lives; they sum to all of them."""
        found = dict.fromkeys((HELD, RETURNED, DESTROYED, CLOSED, NEVER), 0)
        for life in self.lives:
            found[life.end] += 1
        return found


def custody(node: Ledger, which: str) -> Custody:
    """The item with this number in our register, or whose id begins so: a release of either side, a draft, an import.

    It reads the entries and journal lines of this item alone, and the drafts drawn from the same import.
    Raises: UsageError if there is none, or more than one.
    """
    if is_number(which):
        return _released(node, node.side, release_of(node.side, which))
    rids = {rid for side in node.pair.sides.values() for rid in side.by_rid if which and rid.startswith(which)}
    rids |= {draft.rid for draft in node.db.drafts_named(which)} if which else set()
    sources = node.db.sources_named(which) if which else []
    if len(rids) + len(sources) > 1:
        raise UsageError(f"{which} names several items", remedy="Give more of the id.")
    if sources:
        return _imported(node, sources[0])
    if not rids:
        return _gone_import(node, which)
    (rid,) = rids
    found = find_release(node.pair, rid)
    draft = node.db.draft(rid)
    if found is not None:
        return _released(node, *found)
    if draft is None:
        raise UsageError(f"no import, draft or release {which}", remedy="See `entente list releases`.")
    return _drafted(node, draft)


# Imports


def _imported(node: Ledger, name: str) -> Custody:
    source = node.db.source(name)
    if source is None:
        raise UsageError(f"no import {name}", remedy="See `entente list imports`.")
    steps = [*history.of_import(node, source), *history.drawn_from(node, name)]
    held = Held(node.keys.key(PACK + name) is not None, node.blobs.holds(source.blob), _rows(node, name), ())
    life = Life("import", node.party, "", 0, source.at, "", HELD)
    return Custody(
        kind="import", id=name, party=node.party, number=0, state=HELD, area=source.area, format=source.format,
        marking=None, rank=node.view.highest(name), source="", steps=history.in_order(steps), lives=(life,), held=held,
        open=() if held.nothing else (Open("destroy it, or keep it", node.party),),
    )  # fmt: skip


def _gone_import(node: Ledger, name: str) -> Custody:
    """An import of which only the drafts that were drawn from it are known any more."""
    drafts = node.db.drafts_of(name) if name else []
    if not drafts:
        raise UsageError(f"no import, draft or release {name}", remedy="See `entente list releases`.")
    core = parse_as(drafts[0].core, Core, place="draft")
    steps = list(history.drawn_from(node, name))
    done = [row for draft in drafts if (row := node.db.erasure(draft.rid)) is not None]
    until = max((row.at for row in done), default="")
    if until:
        steps.append((until, 12, 0, Step(until, (node.party,), "destroyed here")))
    return Custody(
        kind="import", id=name, party=node.party, number=0, state=DESTROYED, area=core.area, format=core.format,
        marking=None, rank=max(_rank(node, parse_as(d.core, Core, place="draft").marking, node.party) for d in drafts),
        source="", steps=history.in_order(steps), lives=(Life("import", node.party, "", 0, "", until, DESTROYED),),
        held=Held(key=False, blob=False, rows=0, copies_out=()), open=(),
    )  # fmt: skip


# Drafts


def _drafted(node: Ledger, draft: DraftRow) -> Custody:
    core = parse_as(draft.core, Core, place="draft")
    held = _held(node, draft.rid, draft.blob)
    steps = [*_before(node, draft), *history.of_erasure(node, draft.rid)]
    erased = next((step.at for *_, step in steps if step.what == "destroyed here"), "")
    life = Life("sealed copy", node.party, "", 0, draft.at, erased, HELD if held.key else DESTROYED)
    waits = {"drafted": "propose it anew, or leave it", "checked": "approve it", "approved": "dispatch it"}
    waiting = held.key and draft.state != REFUSED
    opened = [Open(waits.get(draft.state, "it leaves with its slot"), node.party)] if waiting else []
    return Custody(
        kind="draft", id=draft.rid, party=node.party, number=0, state=draft.state, area=core.area, format=core.format,
        marking=core.marking, rank=_rank(node, core.marking, node.party), source=draft.source,
        steps=history.in_order(steps), lives=(life,), held=held, open=(*opened, *_unfinished(node, draft.rid)),
    )  # fmt: skip


def _before(node: Ledger, draft: DraftRow) -> list[Placed]:
    """From the import to the approvals."""
    source = node.db.source(draft.source)
    steps = list(history.of_import(node, source)) if source is not None else []
    return [*steps, *history.of_draft(node, draft)]


# Releases


def _released(node: Ledger, side: Side, fact: ReleaseFact) -> Custody:
    ours = side is node.side
    draft = node.db.draft(fact.rid) if ours else None
    steps = _before(node, draft) if draft is not None else []
    steps += [] if ours else history.taken_in(node, fact.rid)
    steps += history.of_release(node, side, fact)
    steps += [*history.of_copies(node, fact.rid), *history.of_erasure(node, fact.rid)]
    in_sequence = history.in_order(steps)
    held = _held(node, fact.rid, fact.blob)
    now = current_marking(node.pair, side, fact, node.laws)
    highest = max(_rank(node, mark, side.party) for mark in (fact.marking, now.marking))
    return Custody(
        kind="sent" if ours else "received", id=fact.rid, party=side.party, number=fact.number,
        state=state_of(node, fact), area=fact.area, format=fact.format, marking=now.marking, rank=highest,
        source=draft.source if draft is not None else "", steps=in_sequence,
        lives=_lives(node, side, fact, held, in_sequence), held=held,
        open=(*_open(node, side, fact, held), *_unfinished(node, fact.rid)),
    )  # fmt: skip


def _lives(node: Ledger, side: Side, fact: ReleaseFact, held: Held, steps: Sequence[Step]) -> tuple[Life, ...]:
    """The author's sealed copy where it is ours, the partner's as both registers say, and numbered ones made here."""
    other, lives = node.pair.other(side.party), []
    if side is node.side:
        gone = next((step.at for step in reversed(steps) if step.what == "destroyed here"), "")
        end = HELD if held.key else DESTROYED
        lives.append(Life("sealed copy", side.party, "", 0, fact.at, "" if held.key else gone, end))
    since = next((given.at for given in fact.answers if given.outcome == "received"), "")
    ended = next((given for given in fact.answers if given.outcome in ENDS), None)
    if ended is not None:
        lives.append(Life("received copy", other.party, "", 0, since, ended.at, ended.outcome))
    else:
        lives.append(Life("received copy", other.party, "", 0, since, "", HELD if since else NEVER))
    for copy in copies_of(node, fact.rid):
        end = CLOSED if copy.closed else HELD
        lives.append(Life("numbered copy", copy.holder, copy.place, copy.n, copy.made, copy.closed, end))
    return tuple(lives)


def _open(node: Ledger, side: Side, fact: ReleaseFact, held: Held) -> list[Open]:
    """What has to happen yet: the duties of this release alone, by the account's own rules, and copies that are out."""
    found = []
    for duty in _duties(node, side, fact):
        orders = [order.act for order in fact.orders if order.idx == duty.idx]
        what = "answer the release" if duty.cause == "release" else f"answer the order: {''.join(orders)}"
        found.append(Open(what if duty.kind == "answer" else "return or destroy it", duty.owed_by, duty.due or ""))
    outcomes = {given.outcome for given in fact.answers}
    if side is node.other_side and "received" in outcomes and not outcomes & ENDS and not held.key:
        found.append(Open("our register says that it is held here, and it is not", node.party))
    return found + [Open(f"close copy {n}", node.party) for n in held.copies_out]


def _duties(node: Ledger, side: Side, fact: ReleaseFact) -> list[Duty]:
    """Answers and ends that are owed about one release, without going through all the others."""
    other = node.pair.other(side.party)
    alone = {
        side.party: replace(side, releases=[fact], by_rid={fact.rid: 0}, by_idx={fact.idx: 0}, incidents=[]),
        other.party: replace(other, releases=[], by_rid={}, by_idx={}, incidents=[]),
    }
    pair = replace(node.pair, sides={party: alone[party] for party in node.pair.sides})
    return [duty for duty in duties(pair, node.laws, node.now()) if duty.kind in ("answer", "return_or_destroy")]


def _unfinished(node: Ledger, rid: str) -> list[Open]:
    row = node.db.erasure(rid)
    return [Open("finish the destruction that was begun", node.party)] if row and row.state == BEGUN else []


# What is here


def _held(node: Ledger, rid: str, blob: str) -> Held:
    out = tuple(copy.n for copy in copies_of(node, rid) if not copy.closed)
    return Held(node.keys.key(rid) is not None, node.blobs.holds(blob), _rows(node, rid), out)


def _rows(node: Ledger, place: str) -> int:
    holding = node.view.holding(place)
    return holding[1] if holding is not None else 0


def _rank(node: Ledger, mark: Marking, sender: str) -> int:
    return rank_of(node.law.law, node.party, mark, sender)
