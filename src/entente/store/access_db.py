"""access.db: tokens of persons' tools and sessions of their browsers. Never backed up: a restore ends them all."""

import os
from pathlib import Path

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from entente.store import tables as t
from entente.store.sqlite import Database, Row

VERSION = 2
GROWN_FROM = (1,)  # versions that lack tables of this one and differ by nothing else
_put_token = insert(t.token)
_get_token = select(t.token).where(t.token.c.id == bindparam("b_id"))
_tokens = select(t.token).order_by(t.token.c.made, t.token.c.id)
_revoke = (
    update(t.token).where(t.token.c.id == bindparam("b_id"), t.token.c.revoked == "").values(revoked=bindparam("b_at"))
)
_used = update(t.token).where(t.token.c.id == bindparam("b_id")).values(used=bindparam("b_at"))
_get_secret = select(t.web_secret.c.data).where(t.web_secret.c.name == bindparam("b_name"))
_put_secret = insert(t.web_secret).prefix_with("OR IGNORE")
_put_session = insert(t.session)
_get_session = select(t.session).where(t.session.c.digest == bindparam("b_digest"))
_sessions = select(t.session).where(t.session.c.ended == "").order_by(t.session.c.seen.desc())
_seen = update(t.session).where(t.session.c.digest == bindparam("b_digest")).values(seen=bindparam("b_at"))
_end_session = (
    update(t.session)
    .where(t.session.c.digest == bindparam("b_digest"), t.session.c.ended == "")
    .values(ended=bindparam("b_at"))
)
_drop_sessions = delete(t.session).where(t.session.c.made < bindparam("b_before"))
_put_passkey = insert(t.passkey)
_get_passkey = select(t.passkey).where(t.passkey.c.id == bindparam("b_id"))
_passkeys = select(t.passkey).where(t.passkey.c.handle == bindparam("b_handle")).order_by(t.passkey.c.made)
_use_passkey = (
    update(t.passkey)
    .where(t.passkey.c.id == bindparam("b_id"))
    .values(count=bindparam("b_count"), used=bindparam("b_at"))
)
_drop_passkey = delete(t.passkey).where(
    t.passkey.c.id == bindparam("b_id"), t.passkey.c.handle == bindparam("b_handle")
)
_begin_deed = insert(t.deed).prefix_with("OR IGNORE")
_deed = select(t.deed.c.handle, t.deed.c.href, t.deed.c.words).where(t.deed.c.digest == bindparam("b_digest"))
_close_deed = (
    update(t.deed)
    .where(t.deed.c.digest == bindparam("b_digest"))
    .values(href=bindparam("b_href"), words=bindparam("b_words"))
)
_drop_deed = delete(t.deed).where(t.deed.c.digest == bindparam("b_digest"))
_drop_deeds = delete(t.deed).where(t.deed.c.at < bindparam("b_before"))


class Token(msgspec.Struct, frozen=True):
    """A token as it is kept: whose, for what, the digest of its secret, and until when; times as the register's."""

    id: str
    handle: str
    label: str
    digest: bytes
    read_only: bool
    made: str
    until: str
    revoked: str = ""
    used: str = ""


class SessionRow(msgspec.Struct, frozen=True):
    """A session as it is kept: the digest of its cookie, whose it is, in which browser, and when.

    Times are as the register's; `ended` is "" while it goes on.
    """

    digest: bytes
    handle: str
    agent: str
    made: str
    seen: str
    ended: str = ""


class Passkey(msgspec.Struct, frozen=True):
    """A passkey: whose, by what name they know it, its public key (COSE), and the last count of its uses."""

    id: bytes
    handle: str
    label: str
    key: bytes
    count: int
    made: str
    used: str = ""


class AccessDb(Database):
    """Tokens, sessions, forms handed in, and secrets that only this node's own listener uses."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, t.access, version=VERSION, grown=GROWN_FROM)

    def put_token(self, token: Token) -> None:
        """The token can be used."""
        self.run(_put_token, **msgspec.structs.asdict(token))

    def token(self, name: str) -> Token | None:
        """One token, or None."""
        row = self.one(_get_token, b_id=name)
        return None if row is None else _token(row)

    def tokens(self) -> list[Token]:
        """Every token, oldest first."""
        return [_token(row) for row in self.all(_tokens)]

    def revoke(self, name: str, at: str) -> bool:
        """The token works no more; False if there is none that did."""
        return self.run(_revoke, b_id=name, b_at=at) == 1

    def use(self, name: str, at: str) -> None:
        """The token was used last at this time."""
        self.run(_used, b_id=name, b_at=at)

    # Sessions

    def put_session(self, row: SessionRow, *, forget_before: str) -> None:
        """The session is open; those made before that time are gone."""
        with self.transaction():
            self.run(_drop_sessions, b_before=forget_before)
            self.run(_put_session, **msgspec.structs.asdict(row))

    def session(self, digest: bytes) -> SessionRow | None:
        """One session, or None."""
        row = self.one(_get_session, b_digest=digest)
        return None if row is None else _session(row)

    def sessions(self) -> list[SessionRow]:
        """Every session that was not ended, the latest seen first."""
        return [_session(row) for row in self.all(_sessions)]

    def see(self, digest: bytes, at: str) -> None:
        """The session was used last at this time."""
        self.run(_seen, b_digest=digest, b_at=at)

    def end_session(self, digest: bytes, at: str) -> bool:
        """The session is over; False if there was none that was not."""
        return self.run(_end_session, b_digest=digest, b_at=at) == 1

    # Passkeys

    def put_passkey(self, row: Passkey) -> None:
        """The passkey can be signed in with."""
        self.run(_put_passkey, **msgspec.structs.asdict(row))

    def passkey(self, name: bytes) -> Passkey | None:
        """One passkey, or None."""
        row = self.one(_get_passkey, b_id=name)
        return None if row is None else _passkey(row)

    def passkeys(self, handle: str) -> list[Passkey]:
        """A person's passkeys, oldest first."""
        return [_passkey(row) for row in self.all(_passkeys, b_handle=handle)]

    def use_passkey(self, name: bytes, count: int, at: str) -> None:
        """The passkey was used last at this time, and says that it was used so often."""
        self.run(_use_passkey, b_id=name, b_count=count, b_at=at)

    def drop_passkey(self, name: bytes, handle: str) -> bool:
        """The person's passkey is gone; False if there was none."""
        return self.run(_drop_passkey, b_id=name, b_handle=handle) == 1

    # Forms handed in

    def begin_deed(self, digest: bytes, handle: str, at: str, *, forget_before: str) -> bool:
        """The form is being carried out; False if it is, or was, already. Those from before that time are gone."""
        with self.transaction():
            self.run(_drop_deeds, b_before=forget_before)
            return self.run(_begin_deed, digest=digest, handle=handle, at=at, href="", words=b"") == 1

    def deed(self, digest: bytes) -> tuple[str, str, bytes] | None:
        """(handle, where it led, what was said) of a form handed in; it leads nowhere while it is carried out."""
        row = self.one(_deed, b_digest=digest)
        return None if row is None else (str(row[0]), str(row[1]), bytes(row[2]))

    def close_deed(self, digest: bytes, href: str, words: bytes) -> None:
        """The form was carried out."""
        self.run(_close_deed, b_digest=digest, b_href=href, b_words=words)

    def drop_deed(self, digest: bytes) -> None:
        """The form was not carried out, and may be handed in again."""
        self.run(_drop_deed, b_digest=digest)

    def secret(self, name: str) -> bytes:
        """32 random bytes, the same each time they are asked for by this name."""
        self.run(_put_secret, name=name, data=os.urandom(32))
        row = self.one(_get_secret, b_name=name)
        return bytes(row[0]) if row is not None else b""


def _token(row: Row) -> Token:
    return Token(row[0], row[1], row[2], bytes(row[3]), bool(row[4]), *row[5:])


def _passkey(row: Row) -> Passkey:
    return Passkey(bytes(row[0]), row[1], row[2], bytes(row[3]), *row[4:])


def _session(row: Row) -> SessionRow:
    return SessionRow(bytes(row[0]), *row[1:])
