"""heads.db, the signer's own memory: which heads were signed and cosigned. Never restored from a backup.

A head is signed only after a compare-and-swap here, so that two histories can never both be signed.
Source: design core-spec, Clock and start gate.
"""

import os
from pathlib import Path

import msgspec
from sqlalchemy import bindparam, insert, select, update

from entente.errors import BehindError, ForkError
from entente.store import tables as t
from entente.store.sqlite import Database

VERSION = 1
LOG_PAGES = 100  # few pages are written here, and over and over
_get = select(t.signed.c.size, t.signed.c.root, t.signed.c.line).where(t.signed.c.origin == bindparam("b_origin"))
_new = insert(t.signed).prefix_with("OR IGNORE")
_swap = (
    update(t.signed)
    .where(
        t.signed.c.origin == bindparam("b_origin"),
        t.signed.c.size == bindparam("b_old"),
        t.signed.c.root == bindparam("b_old_root"),
    )
    .values(size=bindparam("b_size"), root=bindparam("b_root"), line=bindparam("b_line"))
)
_all = select(t.signed.c.origin, t.signed.c.size, t.signed.c.root, t.signed.c.line)
_clock = select(t.watermark.c.at).where(t.watermark.c.id == 1)
_new_clock = insert(t.watermark).prefix_with("OR REPLACE")


class Head(msgspec.Struct, frozen=True):
    """A head that was signed or cosigned here, with the note bytes made for it."""

    size: int
    root: str
    line: bytes


class Heads(Database):
    """Signed heads by name (an origin, or an origin with `#cosigned`), and the watermark of the clock.

    A head is committed before it is signed, and `flush`ed to disk before its signature is published: a signature that
    anybody has seen is never forgotten, and signing itself costs no second flush.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, t.heads, version=VERSION, durable=False, log_pages=LOG_PAGES)
        self._known: dict[str, Head] = {}
        self._mark: str | None = None
        self._flushed = False  # a process killed before it flushed may have left a head

    def get(self, name: str) -> Head | None:
        """The last head under this name."""
        if name not in self._known:
            row = self.one(_get, b_origin=name)
            if row is None:
                return None
            self._known[name] = Head(int(row[0]), str(row[1]), bytes(row[2]))
        return self._known[name]

    def refresh(self) -> None:
        """Known is what the file says by now: for whoever only reads what another connection writes."""
        self._known = {str(row[0]): Head(int(row[1]), str(row[2]), bytes(row[3])) for row in self.all(_all)}
        self._mark = None

    def swap(self, name: str, old: Head | None, new: Head, *, at: str | None = None) -> None:
        """`new` is the last head if `old` still was; `at` moves the watermark. The caller has shown that it extends.

        Raises: BehindError if `new` is smaller; ForkError if it is another root at the same size; both mean: sign
        nothing.
        """
        if old is not None and new.size < old.size:
            raise BehindError(f"size {new.size} was offered for signing after {old.size}", place=name)
        if old is not None and new.size == old.size and new.root != old.root:
            raise ForkError(f"a second root at size {new.size} was offered for signing", place=name)
        self._flushed = False
        with self.transaction():
            if old is None:
                changed = self.run(_new, origin=name, size=new.size, root=new.root, line=new.line)
            else:
                changed = self.run(
                    _swap,
                    b_origin=name,
                    b_old=old.size,
                    b_old_root=old.root,
                    b_size=new.size,
                    b_root=new.root,
                    b_line=new.line,
                )
            if changed != 1:
                self._known.pop(name, None)
                raise ForkError("another process signed in between", place=name, remedy="One writer per node.")
            mark = self.watermark()
            if at is not None and (mark is None or at > mark):
                self.run(_new_clock, id=1, at=at)
                self._mark = at
        self._known[name] = new

    def mark(self, at: str) -> None:
        """The node is known to have run at this time, with a clock that was believed."""
        self.run(_new_clock, id=1, at=at)
        self._mark = at

    def flush(self) -> None:
        """Every head committed so far survives a power cut."""
        if self._flushed:
            return
        # Only the write-ahead log: closing any descriptor of the database file would drop SQLite's own locks on it,
        # and what the log holds SQLite itself flushes into the database before the log is used again.
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists():
            handle = os.open(log, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        self._flushed = True

    def watermark(self) -> str | None:
        """The latest time at which this node is known to have signed."""
        if self._mark is None:
            row = self.one(_clock)
            self._mark = None if row is None else str(row[0])
        return self._mark
