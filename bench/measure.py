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

REPEATS = 7
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


def take_turns(sides: Mapping[str, Side], repeats: int = REPEATS) -> dict[str, float]:
    """Each side's median over rounds in which every side is measured once; who begins changes from round to round.

    Args:
        sides: name to a function that does its work once and returns what was measured.
        repeats: rounds, at least five; one more comes first and is not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for number in range(max(repeats, LEAST) + 1):
        for name in order:
            value = sides[name]()
            if number:
                found[name].append(value)
        order = [*order[1:], order[0]]
    return {name: statistics.median(values) for name, values in found.items()}


def compare(
    case: str, unit: str, ours: Side, *, floor: Side | None = None, rival: Side | None = None, repeats: int = REPEATS
) -> Result:
    """Ours beside its floor and its rival, measured in turns."""
    given = {"value": ours, "floor": floor, "rival": rival}
    return result(case, unit, take_turns({name: side for name, side in given.items() if side is not None}, repeats))


def result(case: str, unit: str, medians: Mapping[str, float]) -> Result:
    """The result of medians by the names `value`, `floor` and `rival`."""
    value, floor, rival = medians["value"], medians.get("floor"), medians.get("rival")
    against = floor if floor is not None else rival
    return Result(
        case=case,
        value=_short(value),
        unit=unit,
        floor=None if floor is None else _short(floor),
        rival=None if rival is None else _short(rival),
        ratio=round(value / against, 3) if against else None,
    )


def per_second(count: int, work: Callable[[], object]) -> float:
    """How many a second, `work` doing `count` of them."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def _short(value: float) -> float:
    """Four significant digits; a whole number from a thousand on."""
    return float(round(value)) if abs(value) >= 1000 else float(f"{value:.4g}")
