"""The client of `bench.taxii`: one kept connection, answers taken apart by httptools, no object decoded.

It must be cheap enough not to be what is measured; `bench.taxii` reports the processor time that it took. Every server
is asked the same way, by the standard alone: `next` where there is one, else X-TAXII-Date-Added-Last.
"""

import base64
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Self
from urllib.parse import urlencode

import httptools
import msgspec

HOST = "127.0.0.1"
MEDIA = "application/taxii+json;version=2.1"
PIECE = 1 << 20
PATIENCE_S = 120.0


class Place(msgspec.Struct, frozen=True):
    """A collection of a server, and who asks."""

    port: int
    collection: str  # the path, with the slash at its end
    api_root: str
    user: str = ""
    password: str = ""
    accept: str = MEDIA

    @property
    def head(self) -> str:
        """The header lines of every request."""
        lines = f"Host: {HOST}:{self.port}\r\nAccept: {self.accept}\r\n"
        if self.user:
            lines += f"Authorization: Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}\r\n"
        return lines


class Answer:
    """What came back for one request; it is what httptools calls while it parses."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.pieces: list[bytes] = []
        self.status, self.kept, self.complete = 0, False, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header more."""
        self.headers[name.lower()] = value

    def on_body(self, data: bytes) -> None:
        """One piece more."""
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        """Nothing more comes."""
        self.complete = True

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)

    @property
    def last(self) -> str:
        """X-TAXII-Date-Added-Last, or ""."""
        return self.headers.get(b"x-taxii-date-added-last", b"").decode()


class Page(msgspec.Struct):
    """What leads on to the next page; the objects are passed over."""

    more: bool = False
    next: str | None = None


class Split(msgspec.Struct):
    """An envelope whose objects are told apart."""

    objects: list[msgspec.Raw] = msgspec.field(default_factory=list)


class Job(msgspec.Struct):
    """The status of a POST."""

    id: str
    status: str
    total_count: int = 0
    success_count: int = 0
    failure_count: int = 0
    pending_count: int = 0


class Connection:
    """One connection, made anew when the server has closed it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._head = place.head
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """It is closed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """The whole answer to one request."""
        data = request(method, path, self._head, body)
        for retry in (True, False):
            kept = self._socket is not None
            if self._socket is None:
                self._socket = socket.create_connection((HOST, self.place.port), timeout=PATIENCE_S)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(ConnectionError):
                return self._answer(self._socket, data)
            self.close()  # the server had closed a kept connection; a new one must do
            if not (retry and kept):
                break
        raise ConnectionError(f"{method} {path}: no answer")

    def _answer(self, connected: socket.socket, data: bytes) -> Answer:
        connected.sendall(data)
        answer = Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete:
            piece = connected.recv(PIECE)
            if not piece:
                if b"content-length" in answer.headers or not answer.headers:
                    raise ConnectionError("the server closed the connection")
                break  # an answer without a length ends with its connection
            parser.feed_data(piece)
        answer.status = parser.get_status_code()
        if not (answer.complete and parser.should_keep_alive()):
            self.close()
        return answer

    def get(self, path: str, status: int = 200) -> Answer:
        """The answer to a GET, which must have this status."""
        return expected(self.ask("GET", path), status, path)

    def pages(self, limit: int, **asked: str) -> Iterator[Answer]:
        """Every page of the collection's objects."""
        query = {"limit": str(limit), **asked}
        while True:
            answer = self.get(objects(self.place, **query))
            yield answer
            page = msgspec.json.decode(answer.body, type=Page)
            if not page.more:
                return
            query = {"limit": str(limit), **asked}
            query.update({"next": page.next} if page.next else {"added_after": answer.last})

    def post(self, envelope: bytes) -> Job:
        """The status of a POST once nothing of it is pending."""
        answer = expected(self.ask("POST", f"{self.place.collection}objects/", envelope), 202, "POST")
        job = msgspec.json.decode(answer.body, type=Job)
        while job.status != "complete":
            time.sleep(0.001)
            job = msgspec.json.decode(self.get(f"{self.place.api_root}status/{job.id}/").body, type=Job)
        return job


def request(method: str, path: str, head: str, body: bytes = b"") -> bytes:
    """The bytes of one request."""
    more = f"Content-Type: {MEDIA}\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\n{head}{more}\r\n".encode() + body


def objects(place: Place, name: str = "", **asked: str) -> str:
    """The path of the collection's objects, or of one, with this query."""
    path = f"{place.collection}objects/{name}{'/' if name else ''}"
    return f"{path}?{urlencode(asked)}" if asked else path


def expected(answer: Answer, status: int, what: str) -> Answer:
    """The answer, which has this status; else RuntimeError with what it says."""
    if answer.status != status:
        raise RuntimeError(f"{what}: {answer.status} {answer.body[:300]!r}")
    return answer


def count(answers: list[Answer]) -> int:
    """How many objects the pages hold."""
    return sum(len(msgspec.json.decode(answer.body, type=Split).objects) for answer in answers)
