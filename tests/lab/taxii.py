"""A foreign TAXII 2.1 server that misbehaves as servers in the wild do, on loopback.

`Shelf` is its collection and how wrong it is about it; `Wicked` speaks it over HTTP, and says instead whatever a test
scripts for a path. It is a foreign party: nothing in it is ours.
"""

import json
import math
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
MEDIA = "application/taxii+json;version=2.1"
EPOCH = datetime(2026, 5, 1, tzinfo=UTC)
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
ROOT = "/api1/"
PLACE = f"{ROOT}collections/{COLLECTION}/"
Said = tuple[int, dict[str, str], bytes]
Script = Callable[["Asked"], Said]


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Given:
    """One page before it is written."""

    objects: list[bytes]
    more: bool
    next: str
    last: str
    broken: bool = False


@dataclass
class Shelf:
    """Objects by when they were added, in microseconds, and what is wrong with how they are given out.

    `digits` are those of the stamps it states, rounded up if `ceils`; `cap` the most it gives at once; `cursor` whether
    it states `next`, `trailing` whether it does so at the end too; `forgets` whether it forgets its cursors; `states`
    whether it states a stamp; `poison` what no page that holds it can be made of.
    """

    rows: list[tuple[int, bytes]] = field(default_factory=list)
    cap: int = 1000
    cursor: bool = True
    trailing: bool = False
    forgets: bool = False
    digits: int = 6
    ceils: bool = False
    states: bool = True
    poison: set[bytes] = field(default_factory=set)
    asked: int = 0

    def add(self, data: bytes, at: int) -> None:
        """The object is there since then."""
        self.rows.append((at, data))

    def stated(self, at: int) -> str:
        """The stamp as it writes it."""
        unit = 10 ** (6 - self.digits)
        at = (math.ceil(at / unit) if self.ceils else at // unit) * unit
        text = (EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%f")
        return f"{text[: 19 + self.digits + (self.digits > 0)]}Z"

    def page(self, after: str, cursor: str, limit: int) -> Given | None:
        """The page that is asked for; None if the cursor is not known."""
        self.asked += 1
        if cursor and self.forgets and self.asked % 3 == 0:
            return None
        since = read(after) if after else -1
        rows = sorted((at, place, data) for place, (at, data) in enumerate(self.rows) if at > since)
        if cursor:
            at, place = (int(part) for part in cursor.split("."))
            rows = [row for row in rows if row[:2] > (at, place)]
        size = min(limit or self.cap, self.cap)
        now = rows[:size]
        more = len(rows) > size
        states_next = self.cursor and now and (more or self.trailing)
        return Given(
            [data for _, _, data in now],
            more,
            f"{now[-1][0]}.{now[-1][1]}" if states_next else "",
            self.stated(now[-1][0]) if now and self.states else "",
            any(data in self.poison for _, _, data in now),
        )


def read(text: str) -> int:
    """Microseconds since the epoch of the lab, rounded down to what the text states."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def answer(value: Any, status: int = 200, **headers: str) -> Said:
    """A TAXII answer; headers by their names with `_` for `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return status, {"Content-Type": MEDIA, **named}, json.dumps(value).encode()


def envelope(given: Given) -> Said:
    """The page as TAXII writes it, its objects as they are."""
    frame: dict[str, Any] = {"more": given.more} | ({"next": given.next} if given.next else {})
    head = json.dumps(frame)[:-1].encode()
    body = head + (b',"objects":[' + b",".join(given.objects) + b"]}" if given.objects else b"}")
    stamps = {"X-TAXII-Date-Added-Last": given.last} if given.last else {}
    body = body[:-1] + b"]" if given.broken else body
    return 200, {"Content-Type": MEDIA, **stamps}, body


class Wicked:
    """The server. `scripts` answer instead of it, by method and path; `heard` is all that was asked."""

    def __init__(self, shelf: Shelf | None = None, *, context: ssl.SSLContext | None = None) -> None:
        self.shelf = shelf or Shelf()
        self.scripts: dict[tuple[str, str], Script] = {}
        self.heard: list[Asked] = []
        self.authorization = ""  # what every request must bear, if anything
        self.statuses: list[Any] = []  # what its status resource says, one after the other
        self.took: list[bytes] = []
        self.most_bytes = 1 << 20
        self.pace = timedelta(0)  # how far its clock is from the lab's epoch
        wicked = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                asked = Asked(self.command, parts.path, query, dict(self.headers), body)
                status, headers, data = wicked.say(asked)
                self.send_response_only(status)
                for name, text in {"Date": format_datetime(EPOCH + wicked.pace, usegmt=True), **headers}.items():
                    if text:
                        self.send_header(name, text)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a client that stops reading is what some tests are about

        self._server = Server((HOST, 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self.base = f"{'https' if context else 'http'}://{HOST}:{self.port}"
        self.url = f"{self.base}{PLACE}"
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def say(self, asked: Asked) -> Said:
        """What it answers."""
        self.heard.append(asked)
        script = self.scripts.get((asked.method, asked.path))
        if script is not None:
            return script(asked)
        if self.authorization and asked.headers.get("Authorization") != self.authorization:
            return answer({"title": "no"}, 401)
        if (asked.method, asked.path) == ("GET", f"{PLACE}objects/"):
            given = self.shelf.page(
                asked.query.get("added_after", ""), asked.query.get("next", ""), int(asked.query.get("limit", "0"))
            )
            return answer({"title": "unknown cursor"}, 400) if given is None else envelope(given)
        if (asked.method, asked.path) == ("POST", f"{PLACE}objects/"):
            return self._take(asked.body)
        if asked.path == f"{ROOT}status/s-1/" and self.statuses:
            return answer(self.statuses.pop(0))
        found = self._documents().get(asked.path)
        return answer(found) if found is not None else answer({"title": "nothing"}, 404)

    def _take(self, body: bytes) -> Said:
        if len(body) > self.most_bytes:
            return answer({"title": "too large"}, 413)
        objects = json.loads(body)["objects"]
        self.took += [json.dumps(item, separators=(",", ":")).encode() for item in objects]
        if self.statuses:
            return answer(self.statuses.pop(0), 202)
        return answer(
            {"id": "s-1", "status": "complete", "total_count": len(objects), "success_count": len(objects)}, 202
        )

    def _documents(self) -> dict[str, Any]:
        row = {"id": COLLECTION, "title": "All of it", "alias": "all", "can_read": True, "can_write": True}
        return {
            "/taxii2/": {"title": "wicked", "default": ROOT, "api_roots": [ROOT]},
            ROOT: {"title": "root", "versions": [MEDIA], "max_content_length": self.most_bytes},
            f"{ROOT}collections/": {"collections": [row, {**row, "id": "other", "title": "Other", "alias": "others"}]},
            PLACE: row,
        }
