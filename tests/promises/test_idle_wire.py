"""Two nodes that have nothing to say to each other look at each other for a day, and nothing grows.

Two workers as `entente serve` runs them, each behind its own listener, poll without a pause; their clock goes on a
second at every look at it, so that the hourly watermark and the fresh cosignature every two minutes are in it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from entente.app import AREAS
from entente.bad_wire import HOST
from entente.node.node import Node
from entente.node.worker import STATE, Worker
from entente.store import heads, sqlite
from lab.pair import START, Pair, answers, files, in_process, sighted
from lab.wired import Wired

pytestmark = [pytest.mark.allow_hosts([HOST]), pytest.mark.slow]
POLLS = 5_000  # of each
PAGE = 4096 + 24  # in a write-ahead log, with its header
MOST = {"heads.db-wal": heads.LOG_PAGES, "node.db-wal": sqlite.LOG_PAGES}
LAST_TRANSACTION = 64  # pages that the last commit before a checkpoint may add
EXPECTED_LOGS = {"node.db-wal", "keys.db-wal", "view.db-wal", "heads.db-wal"}


class Ticking:
    """A second later at every look, whoever looks."""

    def __init__(self, start: datetime) -> None:
        self._start, self._seconds = start, count()

    def __call__(self) -> datetime:
        return self._start + timedelta(seconds=next(self._seconds))


class Idle:
    """Two workers on the nodes of a pair."""

    def __init__(self, wired: Wired, clock: Ticking) -> None:
        self.wired, self.pair, self.clock = wired, wired.pair, clock
        self.largest: dict[str, int] = {}

    def folders(self) -> list[Path]:
        return [self.pair.folder / code for code in self.pair.codes]

    @contextmanager
    def working(self) -> Iterator[list[Worker]]:
        """Both workers poll in threads; afterwards both have ended, and had no fault to show."""
        stop = threading.Event()
        workers = [self._worker(folder, stop) for folder in self.folders()]
        threads = [threading.Thread(target=worker.run) for worker in workers]
        for thread in threads:
            thread.start()
        try:
            yield workers
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            self.pair.nodes.clear()
        assert [(worker.state.fault, worker.state.wire_faults) for worker in workers] == [("", 0)] * 2

    def _worker(self, folder: Path, stop: threading.Event) -> Worker:
        worker = Worker(lambda: self._open(folder), folder, every_s=0, stop=stop)
        worker.open()
        return worker

    def _open(self, folder: Path) -> Node:
        node = Node(folder, AREAS, in_process, clock=self.clock, yields=True)
        self.pair.nodes[folder.name] = node
        return node

    def poll(self, times: int) -> None:
        """Each has looked so often; what their logs grew to meanwhile is in `largest`."""
        with self.working() as workers:
            while any(worker.state.rounds < times for worker in workers):
                for folder in self.folders():
                    for path in folder.glob("*-wal"):
                        size = path.stat().st_size if path.exists() else 0
                        self.largest[path.name] = max(self.largest.get(path.name, 0), size)
                time.sleep(0.05)

    def measured(self) -> list[dict[str, object]]:
        """Rows and bytes of every table, names and sizes of every file, of both nodes at rest."""
        found: list[dict[str, object]] = []
        for folder in self.folders():
            sizes = {
                path.relative_to(folder).as_posix(): path.stat().st_size
                for path in folder.rglob("*")
                if path.is_file() and path.name != STATE
            }
            node = self._open(folder)
            stores = (node.db, node.keys, node.heads, node.view)
            tables = {name: weight for store in stores for name, weight in weights(store).items()}
            served = files(folder / "served")
            stamp = served.pop("mirror/checkpoint")  # made anew every two minutes
            assert stamp
            found.append(
                {
                    "sizes": sizes,
                    "tables": tables,
                    "served": served,
                    "heads": {p: t.size for p, t in node.trees.items()},
                }
            )
            node.close()
        self.pair.nodes.clear()
        return found


def weights(store: sqlite.Database) -> dict[str, tuple[int, int]]:
    """Rows and bytes of every table."""
    names = [name for (name,) in store.raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    found = {}
    for name in names:
        rows = store.raw.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608 - its own table names
        values = [value for row in rows for value in row]
        found[name] = len(rows), sum(len(value if isinstance(value, bytes) else str(value)) for value in values)
    return found


def test_ten_thousand_polls_in_a_day_leave_nothing_behind(pair: Pair) -> None:
    """Both know what they knew: no row, no byte of a table, no served file more; the logs kept to their bound."""
    done = pair.release(pair.a)
    pair.release(pair.b, sighted(first=9))
    pair.exchange()
    assert answers(pair.b) == [("received", [[done.idx, done.idx]])]
    with Wired(pair) as wired:
        for code in pair.codes:
            pair.shut(code)
        idle = Idle(wired, clock := Ticking(START))
        idle.poll(100)
        before = idle.measured()
        began = clock()
        idle.poll(POLLS)
        assert idle.measured() == before
        assert clock() - began > timedelta(hours=12)
        assert [len(wire.log) for wire in wired.wires.values()] == [2, 2], "one connection each, twice"
    for name, size in idle.largest.items():
        assert size <= PAGE * (MOST.get(name, sqlite.LOG_PAGES) + LAST_TRANSACTION), name
    assert set(idle.largest) <= EXPECTED_LOGS
