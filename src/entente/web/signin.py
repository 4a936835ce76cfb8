"""Sign-in of persons' tools: by the person's own password, or by a token made for the tool.

A password is right if it opens the person's key; there is no second copy of it. What was found right is remembered for
a few minutes, in memory and under a key that dies with the process, because opening a key takes a tenth of a second on
purpose. Whether the person is certified is asked each time. Source: RFC 7617 (Basic), RFC 6750 (Bearer).
"""

import base64
import hmac
import os
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request

from entente.errors import EntenteError, KeyUnavailableError
from entente.keys import lock, unlock
from entente.node.node import PERSON
from entente.node.tokens import PREFIX, digest_of
from entente.store.access_db import AccessDb
from entente.store.keystore import Keystore
from entente.store.shelf_pages import Pool
from entente.store.shelf_rows import Reader
from entente.strict import time_text
from entente.web.passkeys import Passkeys, SignInError, Site
from entente.web.sessions import Session, Sessions

SESSION = "session"  # the cookie that a session is found by
REMEMBERED_S = 300.0
MOST_REMEMBERED = 1000
TRIES, TRIES_PER_S = 10.0, 0.1  # wrong passwords of one handle: ten at once, then one in ten seconds
OPENERS, MOST_WAITING = 2, 50  # keys opened at once, which is slow on purpose; requests that wait for it
MARK_S = 60.0
LONGEST_HANDLE = 200


class TooOftenError(EntenteError):
    """Too many wrong passwords for one person; wait a minute and try again."""

    code = "too_often"
    status = 429
    exit_code = 1
    title = "Too often"


class Visitor(msgspec.Struct, frozen=True):
    """A signed-in person: handle, rank of the clearance in this party's scale, roles, areas; a token may only read."""

    handle: str
    rank: int
    roles: tuple[str, ...]
    areas: tuple[str, ...]
    read_only: bool = False
    session: Session | None = None


class _Attempt(msgspec.Struct, frozen=True):
    """A password that was not found right yet, and the key that it should open."""

    handle: str
    password: str
    locked: bytes | None
    proof: bytes


class SignIn:
    """Finds out whose request it is. Its own connections; usable from any thread."""

    def __init__(self, folder: Path, party: str, pool: Pool) -> None:
        self.party, self._pool = party, pool
        self._keys = Keystore(folder / "keys.db")
        self.access = AccessDb(folder / "access.db")
        self.one = threading.Lock()  # held while a connection is used
        self.sessions = Sessions(self.access, self.one)
        self._counting = threading.Lock()  # held while `_left` changes
        self.passkeys = Passkeys(self.access, self.one)
        self.cookie = f"entente_{party.encode().hex()}_{SESSION}"
        self._openers = CapacityLimiter(OPENERS)
        self._secret = os.urandom(32)
        self._known: dict[bytes, float] = {}
        self._left: dict[str, tuple[float, float]] = {}
        self._marked: dict[str, float] = {}
        self._decoy = lock(b"", os.urandom(16), label="")

    def close(self) -> None:
        """Nobody can sign in any more."""
        self._keys.close()
        self.access.close()

    async def visitor(self, request: Request) -> Visitor:
        """The person whose request it is; SignInError or TooOftenError if it is nobody's."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            return await self.by_password(*_user_and_password(given.strip()))
        if scheme.lower() == "bearer":
            return await run_sync(self._by_token, given.strip())
        raise SignInError("no password and no token was given", remedy="Use HTTP Basic, or a bearer token.")

    async def at_desk(self, request: Request) -> Visitor:
        """The same for a page: a browser's session counts too, where no password and no token is given."""
        cookie = request.cookies.get(self.cookie, "")
        if "authorization" in request.headers or not cookie:
            return await self.visitor(request)
        return await run_sync(self._by_session, cookie)

    def _by_session(self, cookie: str) -> Visitor:
        session = self.sessions.find(cookie)
        if session is None:
            raise SignInError("the session is over", remedy="Sign in again.")
        return msgspec.structs.replace(self._certified(session.handle, read_only=False), session=session)

    async def by_password(self, name: str, password: str) -> Visitor:
        """The person whose key this password opens; SignInError or TooOftenError if it is nobody's."""
        handle = (name if "/" in name else f"{self.party}/{name}")[:LONGEST_HANDLE]
        found = await run_sync(self._remembered, handle, password)
        if isinstance(found, Visitor):
            return found
        if self._openers.statistics().tasks_waiting >= MOST_WAITING:
            raise TooOftenError("too many sign in at once", remedy="Wait a minute.")
        return await run_sync(self._opened, found, limiter=self._openers)

    def has_key(self, name: str) -> bool:
        """Whether a person of this handle has a key here."""
        handle = name if "/" in name else f"{self.party}/{name}"
        with self.one:
            return self._keys.locked(PERSON + handle) is not None

    def _remembered(self, handle: str, password: str) -> "Visitor | _Attempt":
        """The person, if this password was right a few minutes ago; else what is to be tried."""
        with self.one:
            locked = self._keys.locked(PERSON + handle)
        proof = hmac.digest(self._secret, b"\0".join([handle.encode(), locked or b"", password.encode()]), "sha256")
        now = time.monotonic()
        if self._known.get(proof, 0.0) < now:
            return _Attempt(handle, password, locked, proof)
        self._known[proof] = now + REMEMBERED_S
        return self._certified(handle, read_only=False)

    def _opened(self, tried: "_Attempt") -> Visitor:
        """The password opens the key, which is remembered; else SignInError, as slow for a stranger as for a person."""
        self.count(tried.handle, -1)
        label = PERSON + tried.handle if tried.locked is not None else ""
        try:
            unlock(tried.locked or self._decoy, tried.password.encode(), label=label)
        except KeyUnavailableError:
            raise SignInError("wrong user or password") from None
        self.count(tried.handle, 1)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[tried.proof] = time.monotonic() + REMEMBERED_S
        return self._certified(tried.handle, read_only=False)

    async def by_passkey(self, credential: str, site: Site) -> Visitor:
        """The person whose passkey answered the challenge; SignInError if it is nobody's."""
        handle = await run_sync(self.passkeys.answer, credential, site)
        return await run_sync(partial(self._certified, handle, read_only=False))

    def count(self, handle: str, change: int) -> None:
        """One try less is left, before it is made, so that tries at the same time count too; or it was none.

        Raises: TooOftenError if none is left.
        """
        with self._counting:
            now = time.monotonic()
            left, at = self._left.get(handle, (TRIES, now))
            left = min(TRIES, left + (now - at) * TRIES_PER_S)
            if left + change < 0:
                raise TooOftenError("too many wrong passwords", remedy="Wait a minute.")
            if len(self._left) > MOST_REMEMBERED:  # only those of whom nothing is to be remembered any more
                self._left = {
                    one: row for one, row in self._left.items() if row[0] + (now - row[1]) * TRIES_PER_S < TRIES
                }
            self._left[handle] = left + change, now

    def _by_token(self, given: str) -> Visitor:
        name, _, secret = given.removeprefix(PREFIX).partition("_")
        with self.one:
            token = self.access.token(name)
        right = token is not None and hmac.compare_digest(token.digest, digest_of(secret))
        now = time_text(datetime.now(UTC))
        if token is None or not right or token.revoked or token.until <= now:
            raise SignInError("not a token that works", remedy="Make another: `entente token make`.")
        if self._marked.get(name, 0.0) < time.monotonic():
            self._marked[name] = time.monotonic() + MARK_S
            with self.one:
                self.access.use(name, now)
        return self._certified(token.handle, read_only=token.read_only)

    def _certified(self, handle: str, *, read_only: bool) -> Visitor:
        """The person, if the register certifies them now."""
        with self._pool.reading() as pages:
            reader = pages.reader(handle)
        if reader is None or not is_certified(reader):
            raise SignInError("not certified now", remedy="The authority certifies persons: `entente person`.")
        return Visitor(handle, reader.rank, reader.roles, reader.areas, read_only)


def is_certified(reader: Reader) -> bool:
    """Whether the person is certified at this moment for anything."""
    return bool(reader.areas) and time_text(datetime.now(UTC)) < reader.until


def _user_and_password(given: str) -> tuple[str, str]:
    try:
        name, colon, password = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        name, colon, password = "", "", ""
    if not colon:
        raise SignInError("not a user and a password", remedy="RFC 7617: base64 of USER:PASSWORD.")
    return name, password
