"""TAXII 2.1: this node's server beside the floor, OpenTAXII and medallion; same data, same run, same client.

The data is enterprise-attack: 24,771 objects. Every server is a process of its own on loopback, asked over one kept
connection by the client of `bench.taxii_client`, which decodes no object; the processor time that it takes itself is
a case of its own. The floor is `bench.taxii_floor`. The rivals get as many objects as they take in the time there is,
the number is in the case (both get slower with more, medallion by the square), and are set up as is best for them
(`bench.rivals`); they validate less, and neither enforces a marking, so what they are given here they are given free.

* ingest: from the first POST of 1,000 objects until nothing is pending, into a new server each round. The node
  validates each object by the schemas and its own rules, seals the file at rest and lists it.
* pages: all objects, `limit` 1,000, the reader's clearance part of every question.
* one object by its id: one request at a time over a kept connection, as the client sees it.
* `added_after`: a page of 1,000 after the first object, and after the millionth. The store's own functions put the
  million into view.db, one in ten for a clearance that the reader has not.
* 50 readers page through ATT&CK, `limit` 100, and begin anew, without a pause; 5 writers post 100 new indicators and
  wait half a second. A minute; every answer counts.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import msgspec

from bench import rivals, taxii_load, taxii_node
from bench.crossing import BUNDLES, status_of
from bench.measure import Result, Skipped, result, take_turns, timed
from bench.rivals import Missing, Served
from bench.taxii_client import Connection, Split, count, objects

PER_POST = LIMIT = 1000
ROUNDS = 5
BLOCKS, PER_BLOCK = 20, 30
FAR = 1_000_000
INGEST = {"OpenTAXII": 2000, "medallion": 1000}
HELD = {"OpenTAXII": 5000, "medallion": 500}
Opener = Callable[[Path], AbstractContextManager[Served]]
RIVALS: dict[str, Opener] = {"OpenTAXII": rivals.opentaxii, "medallion": rivals.medallion}


class Head(msgspec.Struct):
    """What is looked at in an object."""

    id: str
    modified: str = ""


def run() -> Iterator[Result | Skipped]:
    """Every case; what needs a rival that is not here is skipped, the floor stays."""
    path = BUNDLES["enterprise-attack"]
    if not path.is_file():
        yield Skipped("enterprise-attack by TAXII", f"{path} is not there")
        return
    found = [bytes(raw) for raw in msgspec.json.decode(path.read_bytes(), type=Split).objects]
    there, missing = RIVALS, ""
    try:
        rivals.prepare()
    except Missing as why:
        there, missing = {}, str(why)
    for name in RIVALS:
        if missing:
            yield Skipped(f"{name}, every case", missing)
    with tempfile.TemporaryDirectory(prefix="entente-bench-") as folder:
        pristine = taxii_node.founded(Path(folder) / "founded")
        yield from _ingest(pristine, found, there)
        yield from _reads(pristine, found, there)
        yield from _far(pristine)
        yield from _load(pristine, found, there)


def _load(pristine: taxii_node.Founded, found: list[bytes], there: Mapping[str, Opener]) -> Iterator[Result | Skipped]:
    """Many clients at once; OpenTAXII with as many workers as there are processors."""
    sides: dict[str, Opener] = {"value": partial(taxii_node.fresh, pristine)}
    bodies = {"value": envelopes(found)}
    if "OpenTAXII" in there:
        sides["OpenTAXII"] = partial(rivals.opentaxii, workers=os.cpu_count() or 1)
        bodies["OpenTAXII"] = envelopes(for_rival(found, HELD["OpenTAXII"]))
    yield from taxii_load.run(sides, bodies)
    yield Skipped("50 readers and 5 writers, medallion", "one of its pages takes seconds")


def envelopes(found: Sequence[bytes], most: int = 0) -> list[bytes]:
    """The objects (or the first `most`) as the bodies of POSTs."""
    some = found[: most or len(found)]
    return [
        b'{"objects":[' + b",".join(some[start : start + PER_POST]) + b"]}" for start in range(0, len(some), PER_POST)
    ]


def for_rival(found: Sequence[bytes], most: int) -> list[bytes]:
    """The first `most` objects that every rival takes: OpenTAXII takes none without `modified`."""
    kept = []
    for data in found:
        if msgspec.json.decode(data, type=Head).modified:
            kept.append(data)
        if len(kept) == most:
            break
    return kept


def fill(served: Served, bodies: Sequence[bytes]) -> float:
    """The seconds that the POSTs took; RuntimeError unless every object was taken."""
    with Connection(served.place) as asking:
        began = time.perf_counter()
        jobs = [asking.post(body) for body in bodies]
        spent = time.perf_counter() - began
    if any(job.failure_count or job.success_count != job.total_count for job in jobs):
        raise RuntimeError(f"{served.name} did not take every object: {jobs}")
    return spent


def _ingest(pristine: taxii_node.Founded, found: list[bytes], there: Mapping[str, Opener]) -> Iterator[Result]:
    """Into a new server each time."""
    peaks: list[float] = []

    def step(opened: Opener, some: Sequence[bytes]) -> float:
        with tempfile.TemporaryDirectory(prefix="entente-bench-") as folder, opened(Path(folder)) as served:
            spent = fill(served, envelopes(some))
            if served.name == taxii_node.NAME:
                peaks.append(status_of(served.pid)["VmHWM"])
            return spent

    opened: dict[str, Opener] = {"value": partial(taxii_node.fresh, pristine), "floor": rivals.floor}
    opened |= {name: RIVALS[name] for name in there}
    some = {name: for_rival(found, INGEST[name]) if name in INGEST else found for name in opened}
    counts = {name: len(each) for name, each in some.items()}
    seconds = take_turns({name: partial(step, opened[name], some[name]) for name in opened}, rounds=ROUNDS)
    each = {name: counts[name] / spent for name, spent in seconds.items()}
    case = f"ingest, POSTs of {PER_POST} objects, n={len(found)}"
    yield result(case, "objects/s", each["value"], floor=each["floor"])
    for name in there:
        yield result(f"ingest, {name} n={counts[name]}", "objects/s", each["value"], rival=each[name])
    yield result("memory of the serving process at its height while it takes them in", "MB", statistics.median(peaks))


def _reads(pristine: taxii_node.Founded, found: list[bytes], there: Mapping[str, Opener]) -> Iterator[Result]:
    """Pages, single objects and memory, of servers that all hold their data."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="entente-bench-")))
        filled = pristine.copy(folder / "node")
        with filled.served(folder) as served:
            fill(served, envelopes(found))
        servers = {
            "value": stack.enter_context(filled.served(folder)),
            "floor": stack.enter_context(rivals.floor(folder)),
        }
        yield from _memory(servers["value"], len(found))
        fill(servers["floor"], envelopes(found))
        some = {"value": found, "floor": found}
        for name in there:
            (folder / name).mkdir()
            servers[name] = stack.enter_context(RIVALS[name](folder / name))
            some[name] = for_rival(found, HELD[name])
            fill(servers[name], envelopes(some[name]))
        asking = {name: stack.enter_context(Connection(each.place)) for name, each in servers.items()}
        yield from _pages(asking, {name: len(held) for name, held in some.items()})
        ids = [msgspec.json.decode(data, type=Head).id for data in for_rival(found, min(HELD.values()))]
        yield from _by_id(asking, ids, servers["value"].pid)


def _memory(served: Served, many: int) -> Iterator[Result]:
    """What the serving process holds before, while and after all objects go out; it has just begun."""
    with Connection(served.place) as asking:
        asking.get(objects(served.place, limit="1"))
        start = status_of(served.pid)["VmRSS"]
        for _ in range(3):
            if count(list(asking.pages(LIMIT))) != many:
                raise RuntimeError("not every object came")
        now = status_of(served.pid)
    yield result(f"memory before {many} objects stream three times", "MB", start)
    yield result("the same, at its height", "MB", now["VmHWM"])
    yield result("the same, after", "MB", now["VmRSS"])


def _pages(asking: dict[str, Connection], counts: dict[str, int]) -> Iterator[Result]:
    own: list[float] = []

    def step(name: str) -> float:
        began, busy = time.perf_counter(), time.process_time()
        answers = list(asking[name].pages(LIMIT))
        spent, busy = time.perf_counter() - began, time.process_time() - busy
        if name == "value":
            own.append(1000 * busy * LIMIT / counts[name])
        if count(answers) != counts[name]:
            raise RuntimeError(f"{name} gave {count(answers)} objects of {counts[name]}")
        return spent

    seconds = take_turns({name: partial(step, name) for name in asking}, rounds=ROUNDS)
    each = {name: counts[name] / spent for name, spent in seconds.items()}
    yield result(f"pages of {LIMIT}, all of n={counts['value']}", "objects/s", each["value"], floor=each["floor"])
    for name in asking.keys() & RIVALS:
        yield result(f"pages, {name} n={counts[name]}", "objects/s", each["value"], rival=each[name])
    yield result("pages, the client's own processor time for 1000 objects", "ms", statistics.median(own))


def _by_id(asking: dict[str, Connection], ids: list[str], own: int) -> Iterator[Result]:
    """A block of requests to each in turn; `own` is this node's process, whose processor time is counted too."""
    spent: dict[str, list[float]] = {name: [] for name in asking}
    busy = 0.0
    for block in range(BLOCKS):
        for name, connection in asking.items():
            before = _busy_s(own)
            for number in range(2 if name == "medallion" else PER_BLOCK):
                path = objects(connection.place, ids[(block * PER_BLOCK + number) * 7 % len(ids)])
                began = time.perf_counter()
                answer = connection.get(path)
                spent[name].append(1000 * (time.perf_counter() - began))
                if count([answer]) != 1:
                    raise RuntimeError(f"{name} gave {answer.body[:200]!r}")
            busy += _busy_s(own) - before if name == "value" else 0.0
    for what, place in (("p50", 9), ("p95", 18)):
        each = {name: statistics.quantiles(times, n=20)[place] for name, times in spent.items()}
        yield result(f"one object by its id, {what}", "ms", each["value"], floor=each["floor"])
        for name in asking.keys() & RIVALS:
            yield result(f"one object by its id, {what}, {name}", "ms", each["value"], rival=each[name])
    yield result("one object by its id, processor time of the server", "ms", 1000 * busy / len(spent["value"]))


def _busy_s(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _far(pristine: taxii_node.Founded) -> Iterator[Result]:
    """A page after the first object and after the millionth."""
    with tempfile.TemporaryDirectory(prefix="entente-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        many = pristine.copy(folder / "node")
        first, last = many.hold(FAR)
        served = stack.enter_context(many.served(folder))
        asking = stack.enter_context(Connection(served.place))

        def page(after: str) -> float:
            path = objects(served.place, limit=str(LIMIT), added_after=after)
            spent = timed(lambda: asking.get(path))
            if count([asking.get(path)]) != LIMIT:
                raise RuntimeError("not a whole page")
            return spent

        seconds = take_turns({"value": lambda: page(last), "rival": lambda: page(first)}, rounds=ROUNDS, steps=10)
        megabytes = (many.folder / "view.db").stat().st_size / 1e6
    near, far = 1000 * seconds["rival"], 1000 * seconds["value"]
    yield result(f"a page of {LIMIT} after {FAR} objects; rival: after none", "ms", far, rival=near)
    yield result(f"view.db with {FAR} small objects", "MB", megabytes)
