"""Standing approvals: what may be granted under the agreement, which are live, and what is used of them.

Source: design core, law 3; core-spec, rule 25.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from entente.account.acts import Quota, StandingClass
from entente.errors import RefusedError, UsageError
from entente.node.ledger import Ledger
from entente.strict import parse_time


class Granted(msgspec.Struct, frozen=True):
    """A standing approval as it stands now; `used_*` on the UTC date of now."""

    act: str
    party: str
    state: str
    area: str
    format: str
    view: str
    ceiling: str
    purpose: str
    count: int
    bytes: int
    used_count: int
    used_bytes: int
    until: str


def grant_body(node: Ledger, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a grant under which something could be released.

    Raises: RefusedError if the agreement allows no standing approval for the area; UsageError if it names a format,
    view, purpose or level that the area has not, or its end has passed.
    """
    law, covers = node.law.law, body["class"]
    terms = law.areas.get(covers["area"])
    if terms is None:
        raise UsageError(f"the agreement has no area {covers['area']}", remedy=f"Areas: {', '.join(law.areas)}.")
    if not terms.standing:
        raise RefusedError(
            f"the agreement allows no standing approval for {covers['area']}",
            place=f"Art. {law.rules.decide.get('standing', '')}",
            remedy="Approve each release.",
        )
    for name, known in (("format", terms.formats), ("view", terms.views), ("purpose", terms.purposes)):
        if covers[name] not in (known or ()):
            raise UsageError(
                f"{covers[name]!r} is no {name} of {covers['area']}", remedy=f"It has {', '.join(known or ())}."
            )
    ranks, most = law.ranks[node.party], (terms.ceiling or {}).get(node.party, "")
    if covers["ceiling"] not in ranks:
        raise UsageError(f"{covers['ceiling']!r} is not a level of {node.party}", remedy=f"Levels: {', '.join(ranks)}.")
    if ranks[covers["ceiling"]] > ranks.get(most, -1):
        raise RefusedError(
            f"{covers['ceiling']} is above the ceiling of {covers['area']}, {most}",
            place=f"Art. {law.rules.decide.get('ceiling', '')}",
            remedy="Grant it up to a lower level.",
        )
    parse_time(body["until"])
    if body["until"] <= node.now():
        raise UsageError(f"{body['until']} has passed")
    return dict(body)


def revoke_body(node: Ledger, name: str) -> dict[str, Any]:
    """The body that revokes our live standing approval whose act id begins so; UsageError if not exactly one does."""
    found = [act for act, fact in node.side.standings.items() if name and act.startswith(name) and fact.revoked is None]
    if len(found) != 1:
        what = f"{name} names {len(found)} standing approvals" if found else f"no live standing approval {name}"
        raise UsageError(what, remedy="See `entente standing list`.")
    return {"revokes": found[0]}


def granted(node: Ledger) -> list[Granted]:
    """Every standing approval of both parties, oldest first."""
    now, rows = node.now(), []
    for party, side in node.pair.sides.items():
        for act, fact in side.standings.items():
            covers, quota, until = fact.body.covers, fact.body.per_day, fact.body.until
            if not isinstance(covers, StandingClass) or not isinstance(quota, Quota) or not isinstance(until, str):
                continue
            state = "revoked" if fact.revoked is not None else "live" if now < until else "expired"
            used_count, used_bytes = fact.used.get(now[:10], (0, 0))
            rows.append(
                Granted(
                    act, party, state, covers.area, covers.format, covers.view, covers.ceiling, covers.purpose,
                    quota.count, quota.bytes, used_count, used_bytes, until,
                )
            )  # fmt: skip
    return rows


def usable(node: Ledger, area: str, form: str) -> list[Granted]:
    """Our live standing approvals for a format of an area that still have something left today."""
    return [
        one
        for one in granted(node)
        if (one.party, one.state, one.area, one.format) == (node.party, "live", area, form)
        and one.used_count < one.count
        and one.used_bytes < one.bytes
    ]
