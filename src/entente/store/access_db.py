"""access.db: the tokens by which persons' tools sign in. Never backed up: after a restore nobody's old token works."""

import os
from pathlib import Path

import msgspec
from sqlalchemy import bindparam, insert, select, update

from entente.store import tables as t
from entente.store.sqlite import Database, Row

VERSION = 1
_put_token = insert(t.token)
_get_token = select(t.token).where(t.token.c.id == bindparam("b_id"))
_tokens = select(t.token).order_by(t.token.c.made, t.token.c.id)
_revoke = (
    update(t.token).where(t.token.c.id == bindparam("b_id"), t.token.c.revoked == "").values(revoked=bindparam("b_at"))
)
_used = update(t.token).where(t.token.c.id == bindparam("b_id")).values(used=bindparam("b_at"))
_get_secret = select(t.web_secret.c.data).where(t.web_secret.c.name == bindparam("b_name"))
_put_secret = insert(t.web_secret).prefix_with("OR IGNORE")


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


class AccessDb(Database):
    """Tokens, and secrets that only this node's own listener uses."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, t.access, version=VERSION)

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

    def secret(self, name: str) -> bytes:
        """32 random bytes, the same each time they are asked for by this name."""
        self.run(_put_secret, name=name, data=os.urandom(32))
        row = self.one(_get_secret, b_name=name)
        return bytes(row[0]) if row is not None else b""


def _token(row: Row) -> Token:
    return Token(row[0], row[1], row[2], bytes(row[3]), bool(row[4]), *row[5:])
