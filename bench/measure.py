"""How everything here is measured: ours, its floor and its rival take turns in one run, and the median of each counts.

A shared machine is slow by the minute; taking turns lets a slow minute fall on all sides alike.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pysqlite3

ROUNDS = 7
LEAST = 5
Side = Callable[[], float]


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """One case. `ratio` is the value over the floor, or over the rival where there is no floor; all in `unit`.

    The floor is what the machine takes for the part that no design can leave out; the rival is another way to do the
    same. In `.../s` a larger ratio is better, in `ms`, `s` and `MB` a smaller one.
    """

    case: str
    value: float
    unit: str
    floor: float | None = None
    rival: float | None = None
    ratio: float | None = None


class Skipped(msgspec.Struct, frozen=True):
    """One case that could not be measured here, and why."""

    case: str
    reason: str


class Machine(msgspec.Struct, frozen=True):
    """Where and when a benchmark ran; `load` is the 1, 5 and 15 minutes' average as it began."""

    cpu: str
    cores: int
    python: str
    sqlite: str
    system: str
    date: str
    load: tuple[float, float, float]


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """One benchmark's outcome: the last line on standard output."""

    name: str
    machine: Machine
    results: tuple[Result, ...]
    skipped: tuple[Skipped, ...] = ()


def machine() -> Machine:
    """This machine, now."""
    first, second, third = os.getloadavg()
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        sqlite=str(pysqlite3.sqlite_version),
        system=f"{platform.system()} {platform.release()}",
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        load=(round(first, 2), round(second, 2), round(third, 2)),
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n") if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def take_turns(sides: Mapping[str, Side], *, rounds: int = ROUNDS, steps: int = 1) -> dict[str, float]:
    """Each side's seconds a step: the median over rounds of its mean over a round's steps.

    Step by step every side has its turn, and who begins changes each time.

    Args:
        sides: name to a function that does one step and returns the seconds it took, leaving out what it prepared.
        rounds: at least five; one more comes first and is not counted.
        steps: how many of each side make a round.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for number in range(max(rounds, LEAST) + 1):
        spent = dict.fromkeys(sides, 0.0)
        for _ in range(steps):
            for name in order:
                spent[name] += sides[name]()
            order = [*order[1:], order[0]]
        if number:
            for name, seconds in spent.items():
                found[name].append(seconds / steps)
    return {name: statistics.median(values) for name, values in found.items()}


def result(case: str, unit: str, value: float, *, floor: float | None = None, rival: float | None = None) -> Result:
    """A result with its ratio, in numbers short enough to read."""
    against = floor if floor is not None else rival
    return Result(
        case=case,
        value=_short(value),
        unit=unit,
        floor=None if floor is None else _short(floor),
        rival=None if rival is None else _short(rival),
        ratio=round(value / against, 3) if against else None,
    )


def rates(case: str, unit: str, count: int, seconds: Mapping[str, float]) -> Result:
    """The result of steps that did `count` things each, from the seconds of `value` and of `floor` or `rival`."""
    each = {name: count / spent for name, spent in seconds.items()}
    return result(case, unit, each["value"], floor=each.get("floor"), rival=each.get("rival"))


def timed(work: Callable[[], object]) -> float:
    """The seconds that `work` took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _short(value: float) -> float:
    """Four significant digits; a whole number from a thousand on."""
    return float(round(value)) if abs(value) >= 1000 else float(f"{value:.4g}")
