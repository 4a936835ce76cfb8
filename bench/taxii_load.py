"""Fifty readers and five writers for a minute: how long each answer took, and what was no answer.

Every client is a thread with one kept connection. A reader pages through the collection and begins anew, without a
pause; a writer posts 100 new indicators and waits half a second.
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import msgspec

from bench import taxii_node
from bench.measure import Result, result
from bench.rivals import Served
from bench.taxii_client import Answer, Connection, Page, Place, objects

READERS, WRITERS = 50, 5
SECONDS = 60.0
LIMIT = 100
NEW, PAUSE_S = 100, 0.5
Opener = Callable[[Path], AbstractContextManager[Served]]


class Spent(msgspec.Struct):
    """Milliseconds of each answer, and what went wrong."""

    reads: list[float] = msgspec.field(default_factory=list)
    writes: list[float] = msgspec.field(default_factory=list)
    faults: list[str] = msgspec.field(default_factory=list)


def run(sides: Mapping[str, Opener], bodies: Mapping[str, Sequence[bytes]]) -> Iterator[Result]:
    """One server after the other; each first takes in its bodies. `value` is ours, every other name a rival."""
    found = {name: _one(opened, bodies[name]) for name, opened in sides.items()}
    case = f"{READERS} readers, {WRITERS} writers, {SECONDS:.0f} s"
    for what, unit, measure in MEASURES:
        each = {name: measure(spent) for name, spent in found.items()}
        if len(each) == 1:
            yield result(f"{case}: {what}", unit, each["value"])
        for rival in each.keys() - {"value"}:
            yield result(f"{case}: {what}; {rival}", unit, each["value"], rival=each[rival])


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1] if len(times) > 1 else 1000 * SECONDS


MEASURES: tuple[tuple[str, str, Callable[[Spent], float]], ...] = (
    ("answers that were none or no 2xx", "answers", lambda spent: float(len(spent.faults))),
    ("reads, p95", "ms", lambda spent: _p95(spent.reads)),
    ("writes, p95", "ms", lambda spent: _p95(spent.writes)),
    ("all answers, p95", "ms", lambda spent: _p95(spent.reads + spent.writes)),
    ("reads", "reads/s", lambda spent: len(spent.reads) / SECONDS),
)


def _one(opened: Opener, bodies: Sequence[bytes]) -> Spent:
    """What the clients of one server met."""
    spent = Spent()
    with tempfile.TemporaryDirectory(prefix="entente-bench-") as folder, opened(Path(folder)) as served:
        with Connection(served.place) as asking:
            for body in bodies:
                asking.post(body)
        end = time.monotonic() + SECONDS
        threads = [threading.Thread(target=_read, args=(served.place, end, spent)) for _ in range(READERS)]
        threads += [threading.Thread(target=_write, args=(served.place, n, end, spent)) for n in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for fault in sorted(set(spent.faults))[:5]:
        sys.stderr.write(f"{served.name}: {fault}\n")
    return spent


def _read(place: Place, end: float, spent: Spent) -> None:
    with Connection(place) as asking:
        asked = {"limit": str(LIMIT)}
        while time.monotonic() < end:
            answer = _timed(partial(asking.ask, "GET", objects(place, **asked)), spent.reads, spent)
            page = msgspec.json.decode(answer.body, type=Page) if answer is not None else Page()
            asked = {"limit": str(LIMIT)}
            if page.more and answer is not None:
                asked |= {"next": page.next} if page.next else {"added_after": answer.last}


def _write(place: Place, number: int, end: float, spent: Spent) -> None:
    first = (number + 1) * 10_000_000
    with Connection(place) as asking:
        while time.monotonic() < end:
            body = json.dumps({"objects": [taxii_node.indicator(n) for n in range(first, first + NEW)]}).encode()
            _timed(partial(asking.ask, "POST", f"{place.collection}objects/", body), spent.writes, spent)
            first += NEW
            time.sleep(PAUSE_S)


def _timed(ask: Callable[[], Answer], times: list[float], spent: Spent) -> Answer | None:
    """The answer if it is a good one; its time counts in any case."""
    began = time.perf_counter()
    try:
        answer = ask()
    except OSError as fault:
        spent.faults.append(str(fault))
        return None
    finally:
        times.append(1000 * (time.perf_counter() - began))
    if answer.status not in {200, 202}:
        spent.faults.append(f"{answer.status} {answer.body[:100]!r}")
        return None
    return answer
