"""Requests as a visitor may see them: both directions, how far each is by the replies that they may read, its clock."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from entente.account.state import find_release
from entente.node.requests import Asked, Reply, State, pace
from entente.strict import parse_time, time_text
from entente.web.page import Content, Said, said
from entente.web.visit import Visit
from entente.web.words import many

STATES: dict[State, Said] = {
    "open": Said("open", tone="wait"),
    "acknowledged": Said("acknowledged", tone="wait"),
    "answered": Said("answered", tone="good"),
    "closed": Said("closed"),
    "refused": Said("refused", tone="bad"),
}
REASONS = {
    "not_held": Said("not held"), "not_releasable": Said("not releasable"), "not_understood": Said("not understood"),
    "too_broad": Said("too broad"), "too_late": Said("too late"), "duplicate": Said("duplicate"),
    "withdrawn": Said("withdrawn"), "other": Said("another reason"),
}  # fmt: skip
PRIORITIES = {"routine": Said("routine"), "priority": Said("priority"), "immediate": Said("immediate")}
WAITING = frozenset({"open", "acknowledged"})


def asked(visit: Visit) -> Sequence[Asked]:
    """The requests that the visitor may know of, newest first, each with the replies that they may read."""
    node, who = visit.node, visit.visitor
    every = visit.door.kept(node, ("asked",), node.asked)
    key = ("asked of", who.rank, who.areas)
    return visit.door.kept(
        node, key, lambda: [_for_reader(visit, row) for row in reversed(every) if sees_rid(visit, row.rid)]
    )


def sees_rid(visit: Visit, rid: str) -> bool:
    """Whether the visitor may know of the release with this id."""
    found = find_release(visit.node.pair, rid)
    return found is not None and visit.sees(*found)


def mark_of(visit: Visit, rid: str) -> str:
    """The portion mark of a release shown."""
    found = find_release(visit.node.pair, rid)
    return visit.mark(visit.release_marking(*found), found[0].party) if found is not None else ""


def _for_reader(visit: Visit, row: Asked) -> Asked:
    """The request as its reader may know it: what a reply says that they may not read is not part of it."""
    replies = tuple(reply for reply in row.replies if sees_rid(visit, reply.rid))
    answers = tuple(rid for rid in row.answers if sees_rid(visit, rid))
    if replies == row.replies:
        return msgspec.structs.replace(row, answers=answers)
    counting = [reply for reply in replies if reply.counts]
    last: Reply | None = counting[-1] if counting else None
    named = {rid for reply in counting for rid in reply.rids}
    first = next((reply.rid for reply in row.replies if reply.counts and reply.state == "answered"), "")
    return msgspec.structs.replace(
        row, replies=replies, answers=tuple(rid for rid in answers if rid in named),
        state=last.state if last is not None else "open", reason=last.reason if last is not None else "",
        hours=row.hours if first in {reply.rid for reply in replies} else None,
    )  # fmt: skip


def due_of(visit: Visit, row: Asked) -> str:
    """By when an answer is due: when it is wanted, else the answer time of its area; "" if neither is stated."""
    if row.wanted_by:
        return row.wanted_by
    terms = visit.law.areas.get(row.area)
    hours = terms.answer_hours if terms is not None else None
    return time_text(parse_time(row.at) + timedelta(hours=hours)) if hours is not None else ""


def clock(visit: Visit, row: Asked) -> Content:
    """The hours that are left to answer, or by how many it is late; the hours it took once it is answered."""
    if row.hours is not None:
        return said("answered in {n} h", tone="good", n=f"{row.hours:g}")
    due = due_of(visit, row)
    if row.state not in WAITING or not due:
        return said("-")
    left = int((parse_time(due) - parse_time(visit.node.now())).total_seconds() // 3600)
    return said("{n} h left", tone="wait", n=left) if left >= 0 else said("{n} h late", tone="bad", n=-left)


def lead(visit: Visit, rows: Sequence[Asked]) -> Said:
    """What waits for us, and how fast answers come."""
    ours = sum(1 for row in rows if row.by != visit.node.party and row.state in WAITING)
    measure = pace(rows)
    waiting = many(ours, "request waits for us", "requests wait for us")
    if measure.hours_median is None:
        return msgspec.structs.replace(waiting, tone="wait" if ours else "")
    return said(
        "{n} waiting for us; {answered} of {all} answered, median {hours} h", tone="wait" if ours else "", n=ours,
        answered=measure.answered, all=measure.requests, hours=f"{measure.hours_median:g}",
    )  # fmt: skip
