"""Tokens: by which a person's own tools sign in as that person, for a time, and never for more than the person may."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from entente.errors import UsageError
from entente.store.access_db import AccessDb, Token
from entente.strict import time_text

PREFIX = "ent_"
MOST_DAYS = 366


def make_token(access: AccessDb, handle: str, *, label: str, days: int, read_only: bool) -> tuple[Token, str]:
    """A token of this person's works for so many days; returned with its text, which is kept nowhere.

    It gives what the person may do at the time of use. Raises: UsageError for less than a day or more than a year, or
    no label.
    """
    if not 1 <= days <= MOST_DAYS or not label.strip():
        raise UsageError(f"a token needs a label and 1 to {MOST_DAYS} days", place="token")
    name, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    until = time_text(now + timedelta(days=days))
    token = Token(name, handle, label.strip(), digest_of(secret), read_only, time_text(now), until)
    access.put_token(token)
    return token, f"{PREFIX}{name}_{secret}"


def revoke_token(access: AccessDb, name: str) -> None:
    """The token works no more, from now on; UsageError if there is none of this id that did."""
    if not access.revoke(name, time_text(datetime.now(UTC))):
        raise UsageError(f"no token {name} that works", remedy="See `entente token list`.")


def digest_of(secret: str) -> bytes:
    """What is kept of a token's secret: it is random and long, so one hash is enough."""
    return hashlib.sha256(secret.encode()).digest()
