"""The floor of `bench.taxii`: a throw-away server that passes objects through, and does nothing that can be left out.

Objects are split and never decoded (but for their id), inserted into SQLite (WAL, synchronous=FULL), selected and
joined as they are. No persons, no validation, no markings, no versions: it is no server, and nobody should run it.

    python -m bench.taxii_floor PORT FILE
"""

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pysqlite3
import uvicorn

from bench.taxii_client import HOST, MEDIA, Split

API_ROOT, COLLECTION = "/floor/", "/floor/collections/all/"
EPOCH_S = 1_760_000_000
_LAYOUT = """
CREATE TABLE thing (stamp INTEGER PRIMARY KEY, id TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX thing_id ON thing (id);
"""
_PAGE = "SELECT stamp, data FROM thing WHERE stamp > ? ORDER BY stamp LIMIT ?"
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Head(msgspec.Struct):
    """All that it looks at in an object."""

    id: str


class Floor:
    """An ASGI application over one file."""

    def __init__(self, path: Path) -> None:
        self.db = open_file(path)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request is answered."""
        if scope["type"] != "http":
            return
        if scope["method"] == "POST":
            status, headers, body = self.post(await _body(receive))
        else:
            status, headers, body = self.page(scope["path"], scope["query_string"].decode())
        headers = [(b"content-type", MEDIA.encode()), (b"content-length", b"%d" % len(body)), *headers]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def post(self, data: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """The objects are on the disk."""
        found = msgspec.json.decode(data, type=Split).objects
        insert(self.db, found)
        told = {"id": "floor", "status": "complete", "total_count": len(found), "success_count": len(found)}
        return 202, [], msgspec.json.encode(told)

    def page(self, path: str, query: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """A page, or one object."""
        name = path.removeprefix(f"{COLLECTION}objects/").rstrip("/")
        if name:
            rows = self.db.execute("SELECT stamp, data FROM thing WHERE id = ?", (name,)).fetchall()
            return 200, [], b'{"objects":[' + b",".join(data for _, data in rows) + b"]}"
        asked = {key: values[0] for key, values in parse_qs(query).items()}
        after, limit = int(asked.get("next", asked.get("added_after", "0"))), int(asked["limit"])
        rows = self.db.execute(_PAGE, (after, limit + 1)).fetchall()
        more, rows = len(rows) > limit, rows[:limit]
        head = b'{"more":true,"next":"%d","objects":[' % rows[-1][0] if more else b'{"objects":['
        last = [(b"x-taxii-date-added-last", b"%d" % rows[-1][0])] if rows else []
        return 200, last, head + b",".join(data for _, data in rows) + b"]}"


def open_file(path: Path) -> Any:  # noqa: ANN401 - the driver has no types
    """The file, with its two indexes, each transaction on the disk before it counts."""
    db = pysqlite3.connect(str(path), isolation_level=None, check_same_thread=False)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;")
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'thing'").fetchone():
        db.executescript(_LAYOUT)
    return db


def insert(db: Any, found: Iterable[msgspec.Raw]) -> None:  # noqa: ANN401 - the driver has no types
    """One transaction holds all of these, each with a stamp of its own."""
    (first,) = db.execute("SELECT coalesce(max(stamp), ?) + 1 FROM thing", (EPOCH_S * 1_000_000,)).fetchone()
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT INTO thing VALUES (?, ?, ?)", _rows(found, first))
    db.execute("COMMIT")


def _rows(found: Iterable[msgspec.Raw], first: int) -> Iterator[tuple[int, str, bytes]]:
    for stamp, raw in enumerate(found, first):
        yield stamp, msgspec.json.decode(raw, type=Head).id, bytes(raw)


async def _body(receive: Receive) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


if __name__ == "__main__":
    uvicorn.run(Floor(Path(sys.argv[2])), host=HOST, port=int(sys.argv[1]), log_level="error", access_log=False)
