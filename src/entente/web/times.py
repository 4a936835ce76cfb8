"""Times as people at two ends read them: the visitor's own capital, the other one, and UTC.

Times are kept in UTC (`2026-11-22T09:00Z`); a zone is the agreement's, by its name in the IANA database.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from entente.strict import parse_time


def clock(text: str, zones: Sequence[str]) -> str:
    """`22 Nov 2026 14:30 IST (18:00 KST, 09:00Z)`; the day is said again where it is another one there."""
    at = parse_time(text)
    own = at.astimezone(ZoneInfo(zones[0])) if zones else at.astimezone(UTC)
    others = [_short(at.astimezone(ZoneInfo(zone)), own) for zone in zones[1:]]
    if not zones:
        return f"{_day(own)} {own:%H:%M}Z"
    return f"{_day(own)} {own:%H:%M} {_name(own)} ({', '.join([*others, _short(at.astimezone(UTC), own)])})"


def day(text: str, zones: Sequence[str]) -> str:
    """The day of a time in the first zone: `22 Nov 2026`."""
    at = parse_time(text)
    return _day(at.astimezone(ZoneInfo(zones[0]) if zones else UTC))


def _short(there: datetime, own: datetime) -> str:
    name = "Z" if there.tzinfo is UTC else f" {_name(there)}"
    other = "" if there.date() == own.date() else f"{_day(there, year=False)} "
    return f"{other}{there:%H:%M}{name}"


def _name(at: datetime) -> str:
    """The zone's abbreviation, or its offset where it has none but a number."""
    name = at.tzname() or ""
    return name if name.isalpha() else f"UTC{name}"


def _day(at: datetime, *, year: bool = True) -> str:
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{at.day} {months[at.month - 1]}" + (f" {at.year}" if year else "")


def age(text: str, now: str) -> str:
    """How long ago a time was, roughly: `3 d`, `5 h`, `12 min`."""
    minutes = int((parse_time(now) - parse_time(text)).total_seconds() // 60)
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} d"
    return f"{minutes // 60} h" if minutes >= 120 else f"{max(minutes, 0)} min"
