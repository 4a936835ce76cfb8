"""The home journal's lines of who read what: marked pages, exports, prints, and attempts that were turned away.

A line names the person, the act and the address, never content. Lines wait a moment and are written together, by a
connection of their own, so that a page waits for no disk; but once a line could not be written, nothing marked is
given out until one can be again.
Source: NIST SP 800-53 AU-2, AU-5, AU-12; design core, law 9.
"""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from entente.errors import EntenteError, StoreError
from entente.store.node_db import NodeDb
from entente.strict import canonical

READ, EXPORT, TURNED_AWAY, SIGN_IN, SIGN_OUT = "read", "export", "turned-away", "sign-in", "sign-out"
WAIT_S = 0.5
LONGEST = 300
MOST_WAITING = 10_000
MOST_ALIKE = 100  # attempts of one who is turned away that are written one by one, in each writing


class DiaryError(StoreError):
    """The home journal cannot be written, so nothing marked is shown: what is read must stand there."""

    code = "diary"
    title = "The home journal cannot be written"


class Diary:
    """Writes lines in a thread of its own. Close it, and what waits is written."""

    def __init__(self, path: Path, now: Callable[[], str]) -> None:
        self._db, self._now = NodeDb(path), now
        self._lines: list[tuple[str, str, str, bytes]] = []
        self._changed = threading.Condition()
        self._alike: Counter[tuple[str, str]] = Counter()
        self._fault: str = ""
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="diary", daemon=True)
        self._thread.start()

    def note(self, kind: str, by: str, place: str, **more: str | int) -> None:
        """The line will be written.

        Raises: DiaryError while lines cannot be written; for what was turned away anyway it is not raised.
        """
        data = canonical({**more, "by": by, "place": place[:LONGEST]})
        with self._changed:
            if self._fault and kind in (READ, EXPORT):
                self._changed.notify()
                raise DiaryError(self._fault, remedy="Free the disk; pages come back by themselves.")
            if len(self._lines) >= MOST_WAITING and kind in (READ, EXPORT):
                raise DiaryError("it is not written as fast as it is read", remedy="Ask again in a moment.")
            self._alike[kind, by] += 1
            fits = kind != TURNED_AWAY or self._alike[kind, by] <= MOST_ALIKE
            if fits and len(self._lines) < MOST_WAITING:
                self._lines.append((self._now(), kind, by, data))
            self._changed.notify()

    def flush(self) -> None:
        """Whatever waits is written now; StoreError if it cannot be."""
        with self._changed:
            lines, self._lines = self._lines, []
            many = {pair: count for pair, count in self._alike.items() if count > MOST_ALIKE and pair[0] == TURNED_AWAY}
            self._alike.clear()
            for (kind, by), count in many.items():
                lines.append((self._now(), kind, by, canonical({"attempts": count, "by": by, "place": "many"})))
        if not lines:
            return
        try:
            with self._db.transaction():
                for at, kind, key, data in lines:
                    self._db.journal(at, kind, key, data)
        except EntenteError as fault:
            with self._changed:
                self._lines = lines + self._lines
                self._fault = fault.detail
            raise
        with self._changed:
            self._fault = ""

    def close(self) -> None:
        """Everything is written, as far as it can be."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._lines and not self._ends:
                    self._changed.wait()
                ends = self._ends
            if not ends:
                threading.Event().wait(WAIT_S)
            with suppress(EntenteError):
                self.flush()
            if ends:
                return
