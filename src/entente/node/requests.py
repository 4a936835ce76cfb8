"""Requests and replies: questions to the partner, and how long an answer took, the same on both nodes.

What counts is in both registers and in what both sides hold: a request or reply counts once the side it went to has
answered `received`. The hours run from the request's entry to that answer for the first reply that says `answered`.
What its author took back, and what was destroyed or returned, is not used any more: it is neither listed nor counted.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from entente.account.state import ReleaseFact, Side
from entente.errors import FormatError, RefusedError, UsageError
from entente.node.import_ import Validate, import_file
from entente.node.ledger import Ledger
from entente.node.propose import Proposal, Wish, propose
from entente.strict import parse_time
from entente.treaty.area import Area
from entente.treaty.cover import REPLY, REQUEST, ReplySheet, RequestSheet, package, parse_sheet
from entente.treaty.record import Data

_TAKEN_BACK = frozenset({"withdraw", "destroy", "return"})
State = Literal["open", "acknowledged", "answered", "closed", "refused"]


class Reply(msgspec.Struct, frozen=True):
    """One reply as it stands in its author's register.

    It `counts` unless it is not received yet, came after `closed`, is the asker's own, or names no request.
    """

    rid: str
    by: str
    at: str
    state: str
    reason: str
    rids: tuple[str, ...]
    counts: bool


class Asked(msgspec.Struct, frozen=True):
    """One request with what became of it.

    `received` says that the side it went to states so; `answers` are the releases that the replies which count name and
    that stand in the replying side's register; `hours` ran until the asker received the first answer.
    """

    rid: str
    by: str
    to: str
    number: int
    at: str
    text: dict[str, str]
    area: str
    priority: str
    wanted_by: str
    received: bool
    state: State
    reason: str
    replies: tuple[Reply, ...]
    answers: tuple[str, ...]
    hours: float | None


class Pace(msgspec.Struct, frozen=True):
    """How fast requests are answered: how many there are, how many were, and the median of the hours it took."""

    requests: int
    answered: int
    hours_median: float | None


class Proposed(msgspec.Struct, frozen=True):
    """A request or reply as a draft, and the import it was made from."""

    source: str
    proposal: Proposal


# What both sides hold


def asked(node: Ledger) -> tuple[Asked, ...]:
    """Every request of either side with its replies, oldest first."""
    found = _Found(node)
    return tuple(sorted((_row(found, *one) for one in found.requests), key=lambda row: (row.at, row.by, row.number)))


def strays(node: Ledger) -> tuple[tuple[str, Reply], ...]:
    """Replies to what is no request known here, each with the release id it names; they count for nothing."""
    found = _Found(node)
    known = {fact.rid for _, fact, _ in found.requests}
    return tuple(
        (request, _reply(side, fact, sheet, counts=False))
        for request, replies in found.replies.items()
        for side, fact, sheet in replies
        if request not in known
    )


def pace(rows: Sequence[Asked]) -> Pace:
    """The measure of these requests."""
    hours = [row.hours for row in rows if row.hours is not None]
    return Pace(len(rows), len(hours), round(statistics.median(hours), 2) if hours else None)


class _Found:
    """The requests, and by request the replies, whose content is held here: author's side, fact and sheet.

    Replies stand in the order of their author's register; only one of the two can be the other party of a request.
    """

    def __init__(self, node: Ledger) -> None:
        self.node = node
        self.requests: list[tuple[Side, ReleaseFact, RequestSheet]] = []
        self.replies: dict[str, list[tuple[Side, ReleaseFact, ReplySheet]]] = {}
        for side in (node.side, node.other_side):
            for fact in side.releases:
                for sheet in _sheets(node, side, fact):
                    if isinstance(sheet, RequestSheet):
                        self.requests.append((side, fact, sheet))
                    else:
                        self.replies.setdefault(sheet.request, []).append((side, fact, sheet))


def _sheets(node: Ledger, side: Side, fact: ReleaseFact) -> Iterator[RequestSheet | ReplySheet]:
    """The requests or replies in a release, if it is of such a format and its content is held on both sides."""
    if fact.format not in (REQUEST, REPLY) or fact.ended_at(node.pair.other(side.party).size):
        return
    if any(order.act in _TAKEN_BACK for order in fact.orders):
        return
    for data in node.view.bodies(fact.rid):
        try:
            sheet = parse_sheet(fact.format, data)
        except FormatError:
            continue  # what does not parse is not held as a request either
        if isinstance(sheet, RequestSheet | ReplySheet):
            yield sheet


def _row(found: _Found, side: Side, fact: ReleaseFact, sheet: RequestSheet) -> Asked:
    pair = found.node.pair
    other = pair.other(side.party)
    replies: list[Reply] = []
    state: State = "open"
    reason, first, answers = "", "", dict[str, None]()
    for author, told, reply in found.replies.get(fact.rid, ()):
        counts = author is other and state != "closed" and _received_at(told) != ""
        replies.append(_reply(author, told, reply, counts=counts))
        if counts:
            state, reason = reply.state, _given(reply.reason)
            answers.update(dict.fromkeys(rid for rid in reply.rids if rid in other.by_rid))
            if reply.state == "answered" and not first:
                first = _received_at(told)
    return Asked(
        rid=fact.rid,
        by=side.party,
        to=other.party,
        number=fact.number,
        at=fact.at,
        text=dict(sheet.text),
        area=sheet.area,
        priority=sheet.priority,
        wanted_by=_given(sheet.wanted_by),
        received=_received_at(fact) != "",
        state=state,
        reason=reason,
        replies=tuple(replies),
        answers=tuple(answers),
        hours=_hours(fact.at, first) if first else None,
    )


def _reply(side: Side, fact: ReleaseFact, sheet: ReplySheet, *, counts: bool) -> Reply:
    return Reply(fact.rid, side.party, fact.at, sheet.state, _given(sheet.reason), sheet.rids, counts)


def _given(value: str | msgspec.UnsetType) -> str:
    return value if isinstance(value, str) else ""


def _received_at(fact: ReleaseFact) -> str:
    """When the side that it went to stated that it was received; "" if it has not."""
    return next((answer.at for answer in fact.answers if answer.outcome == "received"), "")


def _hours(start: str, end: str) -> float:
    return round((parse_time(end) - parse_time(start)).total_seconds() / 3600, 2)


# Asking and replying


def ask(
    node: Ledger, areas: Mapping[str, Area], sheet: RequestSheet, *, author: str, map_id: str, validate: Validate
) -> Proposed:
    """A draft of this request stands; persons approve and dispatch it like any release.

    Raises: UsageError if the agreement has no such area to ask about; RefusedError if it may not cross.
    """
    law = node.law.law
    if sheet.area not in law.areas:
        raise UsageError(f"the agreement has no area {sheet.area}", remedy=f"Its areas: {', '.join(law.areas)}.")
    return _propose(node, areas, REQUEST, package(sheet), author=author, map_id=map_id, validate=validate)


def reply(
    node: Ledger, areas: Mapping[str, Area], sheet: ReplySheet, *, author: str, map_id: str, validate: Validate
) -> Proposed:
    """A draft of this reply stands; persons approve and dispatch it like any release.

    Raises: UsageError unless it is to a request of the partner's that is held here and not closed, and names releases
    of ours; RefusedError if it may not cross.
    """
    row = next((row for row in asked(node) if row.rid == sheet.request), None)
    if row is None or row.by == node.party:
        raise UsageError(f"no request {sheet.request[:16]} of {node.partner}", remedy="See `entente list requests`.")
    if row.state == "closed":
        raise UsageError(f"request {sheet.request[:16]} is closed", remedy="What is new about it is a new request.")
    for rid in sheet.rids:
        if rid not in node.side.by_rid:
            raise UsageError(f"no release {rid[:16]} stands in our register", remedy="Dispatch the answer first.")
    return _propose(node, areas, REPLY, package(sheet), author=author, map_id=map_id, validate=validate)


def _propose(
    node: Ledger, areas: Mapping[str, Area], form: str, data: Data, *, author: str, map_id: str, validate: Validate
) -> Proposed:
    """The package is imported and proposed."""
    area = next((found for found in areas.values() if form in found.formats), None)
    if area is None:
        raise UsageError(f"no area here reads {form}")
    done = import_file(node, area, form, data, place=form, map_id=map_id, validate=validate)
    if done.quarantined:
        raise RefusedError(done.quarantined[0].reason)
    return Proposed(done.source, propose(node, areas, validate, done.source, Wish(author)))
