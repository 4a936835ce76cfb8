"""What a form says of what was shown: to whom, which draft, which bytes, and when; nobody else can write that.

So a person signs what they saw, and how soon after they saw it is known. Source: threats, rubber stamps.
"""

import hmac
import time

from entente.errors import RefusedError
from entente.web.page import Field, said
from entente.web.screen import Given
from entente.web.visit import Visit

HASTY_S = 5  # who signs sooner has not read it
LONGEST_S = 12 * 3600
SECRET = "shown"  # noqa: S105 - the name under which access.db keeps it


def now_s() -> int:
    """Seconds of a clock that nobody sets."""
    return int(time.monotonic())


def fields(visit: Visit, rid: str, content: str) -> list[Field]:
    """The hidden fields of a form about this draft with these bytes, as shown now."""
    at = str(now_s())
    told = {"rid": rid, "content": content, "shown": f"{at}.{_proof(visit, rid, content, at)}"}
    return [Field(name, said("shown"), "hidden", value) for name, value in told.items()]


def seconds_since(visit: Visit, given: Given, rid: str, content: str) -> int:
    """How many seconds ago this draft with these bytes was shown to the visitor.

    Raises: RefusedError if what was shown is another draft, or other bytes, or was shown to somebody else or too long
    ago. Nothing is signed then.
    """
    at, _, proof = given.get("shown").partition(".")
    whole = at.isascii() and at.isdecimal() and len(at) < 12
    good = hmac.compare_digest(proof.encode(), _proof(visit, given.get("rid"), given.get("content"), at).encode())
    seconds = now_s() - int(at) if whole else -1
    if not good or (given.get("rid"), given.get("content")) != (rid, content) or not 0 <= seconds <= LONGEST_S:
        raise RefusedError(
            "this is not what was shown to you", place=rid[:16], remedy="Open the draft again, and read it again."
        )
    return seconds


def _proof(visit: Visit, rid: str, content: str, at: str) -> str:
    sign_in = visit.door.sign_in
    with sign_in.one:
        secret = sign_in.access.secret(SECRET)
    text = f"{visit.visitor.handle}\n{rid}\n{content}\n{at}"
    return hmac.digest(secret, text.encode(), "sha256").hex()
