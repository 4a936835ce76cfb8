"""What was deleted is in no file once `wipe` returns; while somebody still reads the old state, it says that it is."""

from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select

from entente.errors import StoreError
from entente.store import tables as t
from entente.store.sqlite import Database

WORD = b"a word that nobody else uses"


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_reader_in_the_middle_keeps_a_wipe_from_being_said_done(tmp_path: Path) -> None:
    writer, reader = (Database(tmp_path / "a.db", t.access, version=1) for _ in range(2))
    writer.raw.execute("PRAGMA busy_timeout = 20")
    for name in ("one", "two"):
        writer.run(insert(t.web_secret), name=name, data=WORD)
    rows = reader.each(select(t.web_secret.c.data))
    assert next(rows) == (WORD,)
    writer.run(delete(t.web_secret))
    with pytest.raises(StoreError, match="somebody reads it"):
        writer.wipe()
    assert WORD in files(tmp_path)
    rows.close()  # type: ignore[attr-defined]  # a generator
    writer.wipe()
    assert WORD not in files(tmp_path)
    reader.close()
    writer.close()
