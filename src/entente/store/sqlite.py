"""One way to open a SQLite file: durable, single-writer, wiping what it deletes.

The driver is pysqlite3, whose wheel carries its own SQLite: the one in Debian 12 (3.40.1) has the WAL-reset bug
(fixed in 3.51.3), so anything older is refused.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite
from sqlalchemy import ClauseElement, MetaData
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from entente.errors import StoreError

OLDEST = (3, 51, 3)
# Once the write-ahead log has this many pages (8 MiB) it is written over from its beginning: a flush that makes no file
# longer takes half as long. A longer log copies fewer pages twice, but is longer in getting there.
LOG_PAGES = 2000
Row = tuple[Any, ...]
_DIALECT = SQLiteDialect_pysqlite(paramstyle="named")


@cache
def _compiled(statement: ClauseElement) -> tuple[str, dict[str, object]]:
    """The SQL text of a Core statement and its constants: the driver's cursor runs it three to four times faster."""
    made = statement.compile(dialect=_DIALECT)
    return str(made), {name: value for name, value in (made.params or {}).items() if value is not None}


def sqlite_version() -> tuple[str, bool]:
    """The version of SQLite in use, and whether a node may run on it."""
    return sqlite.sqlite_version, sqlite.sqlite_version_info >= OLDEST


def version_of(path: Path) -> int:
    """The schema version that a file states; StoreError if it is no database."""
    try:
        with closing(sqlite.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as raw:
            return int(raw.execute("PRAGMA user_version").fetchone()[0])
    except sqlite.Error as fault:
        raise StoreError(str(fault), place=str(path)) from None


class Database:
    """One SQLite file held by this process. Statements run at once; `transaction` groups them."""

    def __init__(
        self,
        path: Path,
        metadata: MetaData,
        *,
        version: int,
        grown: tuple[int, ...] = (),
        durable: bool = True,
        log_pages: int = LOG_PAGES,
    ) -> None:
        """Open or create; StoreError if SQLite is too old, the file is of another version or cannot be opened.

        Args: `grown`: earlier versions that differ by nothing but tables which they lack.
        """
        version_text, usable = sqlite_version()
        if not usable:
            raise StoreError(
                f"SQLite {version_text} carries the WAL-reset bug",
                remedy="Install pysqlite3 0.6.1 (not pysqlite3-binary).",
            )
        self.path = path
        try:
            self.raw = sqlite.connect(str(path), isolation_level=None, timeout=10, check_same_thread=False)
            self.raw.execute("PRAGMA journal_mode = WAL")
            self.raw.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self.raw.execute("PRAGMA secure_delete = ON")
            self.raw.execute("PRAGMA foreign_keys = ON")
            self.raw.execute(f"PRAGMA wal_autocheckpoint = {log_pages}")
            self._migrate(metadata, version, grown)
        except sqlite.Error as fault:
            raise StoreError(str(fault), place=str(path)) from None

    def _migrate(self, metadata: MetaData, version: int, grown: tuple[int, ...]) -> None:
        """The file has every table of this version; one of an earlier version in `grown` gets those that it lacks."""
        found = self.raw.execute("PRAGMA user_version").fetchone()[0]
        if found == version:
            return
        if found and found not in grown:
            raise StoreError(
                f"schema version {found}, this program knows {version}",
                place=str(self.path),
                remedy="Run the version of entente that wrote it, or a newer one.",
            )
        self.raw.execute("BEGIN IMMEDIATE")
        for table in metadata.sorted_tables:
            self.raw.execute(str(CreateTable(table, if_not_exists=True).compile(dialect=_DIALECT)))
            for index in table.indexes:
                self.raw.execute(str(CreateIndex(index, if_not_exists=True).compile(dialect=_DIALECT)))
        self.raw.execute(f"PRAGMA user_version = {version}")
        self.raw.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside are committed together, or none is."""
        try:
            self.raw.execute("BEGIN IMMEDIATE")
        except sqlite.Error as fault:
            raise StoreError(str(fault), place=str(self.path), remedy="Is another process writing?") from None
        try:
            yield
            self.raw.execute("COMMIT")
        except sqlite.Error as fault:
            self._rollback()
            raise StoreError(str(fault), place=str(self.path), remedy="Nothing of this act was written.") from None
        except BaseException:
            self._rollback()
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads inside see the file as it is at the first of them, whoever writes meanwhile."""
        if self.raw.in_transaction:
            yield
            return
        try:
            self.raw.execute("BEGIN")
            yield
        except sqlite.Error as fault:
            raise StoreError(str(fault), place=str(self.path)) from None
        finally:
            self._rollback()

    def _rollback(self) -> None:
        if self.raw.in_transaction:
            self.raw.execute("ROLLBACK")

    def run(self, statement: ClauseElement, **values: object) -> int:
        """Execute and return how many rows it changed."""
        return int(self._execute(statement, values).rowcount)

    def run_many(self, statement: ClauseElement, rows: Iterator[dict[str, object]] | list[dict[str, object]]) -> None:
        """Execute once per row of values."""
        self.raw.executemany(_compiled(statement)[0], rows)

    def one(self, statement: ClauseElement, **values: object) -> Row | None:
        """The first row, or None."""
        found: Row | None = self._execute(statement, values).fetchone()
        return found

    def all(self, statement: ClauseElement, **values: object) -> list[Row]:
        """Every row."""
        return list(self._execute(statement, values).fetchall())

    def each(self, statement: ClauseElement, **values: object) -> Iterator[Row]:
        """Every row, read as it is asked for."""
        yield from self._execute(statement, values)

    def _execute(self, statement: ClauseElement, values: dict[str, object]) -> sqlite.Cursor:
        text, constants = _compiled(statement)
        try:
            return self.raw.execute(text, {**constants, **values} if constants else values)
        except sqlite.Error as fault:
            raise StoreError(str(fault), place=str(self.path)) from None

    def seal(self) -> None:
        """Nothing is written by this connection any more; StoreError if somebody tries."""
        self.raw.execute("PRAGMA query_only = ON")

    def copy_to(self, path: Path) -> None:
        """A whole and consistent copy of the file stands at `path`, where nothing may be yet; this one stays open."""
        try:
            path.touch(mode=0o600, exist_ok=False)
            self.raw.execute("VACUUM INTO ?", (str(path),))
        except (sqlite.Error, OSError) as fault:
            raise StoreError(str(fault), place=str(path), remedy="Give a new name on a disk with room.") from None

    def wipe(self) -> None:
        """What was deleted is in no file: the write-ahead log is empty.

        Raises: StoreError if somebody reads for so long that it cannot be emptied; try again.
        """
        busy, _, _ = self.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(
                "somebody reads it, so what was deleted is still in its log",
                place=str(self.path),
                remedy="It is tried again at the next pull or opening.",
            )

    def close(self) -> None:
        """Close the file; nothing committed is lost."""
        self.raw.close()
