"""Sessions: a browser in which a person signed in, until they sign out, are idle for too long, or the day is over.

Only the digest of a session's cookie is kept. A session can be ended from any other, and by the administrator; it ends
nobody's token. Whether the person is certified is asked at each request, as for a token.
Source: OWASP ASVS 5.0, V7.
"""

import hashlib
import hmac
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta

import msgspec

from entente.errors import UsageError
from entente.store.access_db import AccessDb, SessionRow
from entente.strict import parse_time, time_text

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
SEE_S = 60.0
LONGEST_AGENT = 120


class Session(msgspec.Struct, frozen=True):
    """An open session: whose, and the text that its forms must bear."""

    handle: str
    digest: bytes
    csrf: str


class Sessions:
    """The sessions of one node. Usable from any thread."""

    def __init__(self, access: AccessDb, lock: threading.Lock) -> None:
        """`lock` is held while `access` is used."""
        self._access, self._lock = access, lock
        with lock:
            self._secret = access.secret("forms")
        self._seen: dict[bytes, float] = {}

    def open(self, handle: str, agent: str) -> str:
        """The person is signed in; returns the cookie's text, which is kept nowhere."""
        text = secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        row = SessionRow(_digest(text), handle, _plain(agent), time_text(now), time_text(now))
        with self._lock:
            self._access.put_session(row, forget_before=time_text(now - 2 * LONGEST))
        return text

    def find(self, text: str) -> Session | None:
        """The open session of this cookie, or None."""
        digest = _digest(text)
        with self._lock:
            row = self._access.session(digest)
        if row is None or not is_open(row):
            return None
        if self._seen.get(digest, 0.0) < time.monotonic():
            self._seen[digest] = time.monotonic() + SEE_S
            with self._lock:
                self._access.see(digest, time_text(datetime.now(UTC)))
        return Session(row.handle, digest, self.form_text(digest))

    def form_text(self, digest: bytes) -> str:
        """What the forms of this session bear, and nobody else can know."""
        return hmac.digest(self._secret, digest, "sha256").hex()

    def sealed(self, handle: str, data: bytes) -> str:
        """What only this node can have written for this person, as a cookie carries it."""
        seal = hmac.digest(self._secret, handle.encode() + b"\0" + data, "sha256")
        return f"{data.hex()}.{seal.hex()}"

    def opened(self, handle: str, text: str) -> bytes | None:
        """What was sealed for this person; None if it was not, or for somebody else."""
        try:
            data = bytes.fromhex(text.partition(".")[0])
        except ValueError:
            return None
        return data if hmac.compare_digest(self.sealed(handle, data).encode(), text.encode()) else None

    def of(self, handle: str = "") -> list[SessionRow]:
        """The open sessions of a person, or of all."""
        with self._lock:
            return [row for row in self._access.sessions() if is_open(row) and handle in ("", row.handle)]

    def drop(self, digest: bytes) -> None:
        """The session is over, if it was not."""
        with self._lock:
            self._access.end_session(digest, time_text(datetime.now(UTC)))

    def end(self, digest: bytes) -> None:
        """The session is over; UsageError if there is none that was not."""
        with self._lock:
            ended = self._access.end_session(digest, time_text(datetime.now(UTC)))
        if not ended:
            raise UsageError("no such session", remedy="It may have ended by itself.")


def is_open(row: SessionRow) -> bool:
    """Whether a session is neither ended, nor idle for too long, nor older than a day's work."""
    now = datetime.now(UTC)
    return not row.ended and now - parse_time(row.seen) < IDLE and now - parse_time(row.made) < LONGEST


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _plain(agent: str) -> str:
    """What a browser calls itself, as one short line."""
    return "".join(char if char.isprintable() else "?" for char in agent)[:LONGEST_AGENT]
