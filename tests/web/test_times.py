"""A time is read in both capitals and in UTC, and its day is said again where it is another one there."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.strict import time_text
from entente.web.times import age, clock, day

BOTH = ("Asia/Kolkata", "Asia/Seoul")
ZONES = [
    "Asia/Kolkata",
    "Asia/Seoul",
    "Asia/Kathmandu",
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "UTC",
    "Pacific/Kiritimati",
]


@pytest.mark.parametrize(
    ("text", "zones", "words"),
    [
        ("2026-11-22T09:00Z", BOTH, "22 Nov 2026 14:30 IST (18:00 KST, 09:00Z)"),
        ("2026-11-22T18:00Z", BOTH, "22 Nov 2026 23:30 IST (23 Nov 03:00 KST, 18:00Z)"),
        ("2026-11-22T18:30Z", BOTH, "23 Nov 2026 00:00 IST (03:30 KST, 22 Nov 18:30Z)"),
        ("2026-12-31T18:00Z", BOTH, "31 Dec 2026 23:30 IST (1 Jan 03:00 KST, 18:00Z)"),
        ("2026-11-22T18:00Z", BOTH[::-1], "23 Nov 2026 03:00 KST (22 Nov 23:30 IST, 22 Nov 18:00Z)"),
        ("2024-02-29T18:00Z", BOTH, "29 Feb 2024 23:30 IST (1 Mar 03:00 KST, 18:00Z)"),
        ("2026-03-29T00:59Z", ("Europe/Paris", "UTC"), "29 Mar 2026 01:59 CET (00:59 UTC, 00:59Z)"),
        ("2026-03-29T01:00Z", ("Europe/Paris", "UTC"), "29 Mar 2026 03:00 CEST (01:00 UTC, 01:00Z)"),
        ("2026-10-25T00:30Z", ("Europe/Paris",), "25 Oct 2026 02:30 CEST (00:30Z)"),
        ("2026-10-25T01:30Z", ("Europe/Paris",), "25 Oct 2026 02:30 CET (01:30Z)"),
        ("2026-01-01T00:00Z", ("Asia/Kathmandu",), "1 Jan 2026 05:45 UTC+0545 (00:00Z)"),
        ("2026-11-22T09:00Z", (), "22 Nov 2026 09:00Z"),
    ],
)
def test_a_time_in_words(text: str, zones: tuple[str, ...], words: str) -> None:
    assert clock(text, zones) == words


def test_a_day_is_that_of_the_readers_own_capital() -> None:
    assert day("2026-11-22T18:29Z", BOTH) == "22 Nov 2026"
    assert day("2026-11-22T18:30Z", BOTH) == "23 Nov 2026"
    assert day("2026-11-22T18:30Z", ()) == "22 Nov 2026"


@given(
    st.integers(631152000, 3786912000),
    st.lists(st.sampled_from(ZONES), min_size=1, max_size=2, unique=True),
)
def test_the_hours_of_each_zone_and_each_other_day_are_said(moment: int, zones: list[str]) -> None:
    at = datetime.fromtimestamp(moment // 60 * 60, UTC)
    words = clock(time_text(at), zones)
    own = at.astimezone(ZoneInfo(zones[0]))
    assert words.startswith(f"{own.day} {own:%b} {own:%Y} {own:%H:%M} ")
    inside = words.partition("(")[2].rstrip(")").split(", ")
    assert len(inside) == len(zones)
    for part, zone in zip(inside, [*zones[1:], "UTC"], strict=True):
        there = at.astimezone(ZoneInfo(zone))
        assert f"{there:%H:%M}" in part
        assert part.startswith(f"{there.day} {there:%b} ") == (there.date() != own.date())
    assert words.endswith("Z)")


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(-5, "0 min"), (0, "0 min"), (119, "119 min"), (120, "2 h"), (2879, "47 h"), (2880, "2 d"), (99999, "69 d")],
)
def test_an_age_in_words(minutes: int, words: str) -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert age(time_text(datetime.fromtimestamp(now.timestamp() - 60 * minutes, UTC)), time_text(now)) == words
