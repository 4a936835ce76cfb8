"""Reconcile: what both registers add up to at one cut, byte-identical on both nodes.

Canonical JSON lines: a header, one line per release and per invalid entry in the order (kind, origin, idx), totals per
direction, area and level, and the SHA-256 of all lines above.
Source: design core-spec, Reconcile.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

import msgspec

from entente.account.acts import REFUSALS
from entente.account.state import Pair, ReleaseFact
from entente.errors import EntenteError
from entente.register.entry import parse_entry
from entente.strict import canonical

Roots = Callable[[str, int], str | None]


class Cut(msgspec.Struct, frozen=True):
    """How much of each register counts: party → entries."""

    sizes: dict[str, int]

    @property
    def text(self) -> str:
        """`A:B`, in the agreement's order of parties."""
        return ":".join(str(size) for size in self.sizes.values())


def release_state(fact: ReleaseFact, own_size: int, partner_size: int) -> str:
    """dispatched, received, disputed, withdrawn or ended, as both registers show it at a cut."""
    outcomes = fact.outcomes_at(partner_size)
    if "destroyed" in outcomes or "returned" in outcomes:
        return "ended"
    if fact.withdrawn_at(own_size):
        return "withdrawn"
    if "received" in outcomes:
        return "received"
    return "disputed" if REFUSALS & set(outcomes) else "dispatched"


def closed_cut(entries: Mapping[str, Sequence[bytes]], limits: Mapping[str, int], roots: Roots) -> Cut:
    """The largest causally closed cut within the limits: nothing in it has truly seen more than it holds.

    `roots` gives the root of a register at a size; what an entry says of another root it has not seen.
    """
    sizes = {party: min(limits[party], len(found)) for party, found in entries.items()}
    first, second = entries
    other = {first: second, second: first}
    seen = {
        party: list(accumulate((_seen(data, other[party], roots) for data in found[: sizes[party]]), max))
        for party, found in entries.items()
    }
    moved = True
    while moved:
        moved = False
        for party in (first, second):
            while sizes[party] and seen[party][sizes[party] - 1] > sizes[other[party]]:
                sizes[party] -= 1
                moved = True
    return Cut(sizes)


def _seen(data: bytes, other: str, roots: Roots) -> int:
    try:
        seen = parse_entry(data).seen
    except EntenteError:
        return 0
    return seen.size if roots(other, seen.size) == seen.root else 0


def reconcile(pair: Pair, roots: dict[str, str], agreement: str, at: str) -> bytes:
    """The lines for a fold that holds exactly the cut; the last line is their SHA-256."""
    sides = list(pair.sides.values())
    lines: list[bytes] = [
        canonical(
            {
                "agreement": agreement,
                "at": at,
                "kind": "header",
                "origins": [side.origin for side in sides],
                "roots": [roots[side.party] for side in sides],
                "sizes": [side.size for side in sides],
            }
        )
    ]
    rows: list[tuple[str, str, int, dict[str, object]]] = []
    totals: dict[tuple[str, str, str], list[int]] = {}
    for side in sides:
        other = pair.other(side.party)
        for fact in side.releases:
            state = release_state(fact, side.size, other.size)
            level = fact.marking_at(side.size).level
            rows.append(
                ("release", side.origin, fact.idx, {"area": fact.area, "level": level, "rid": fact.rid, "state": state})
            )
            total = totals.setdefault((f"{side.party}>{other.party}", fact.area, level), [0, 0, 0])
            total[0] += 1
            total[1] += fact.records
            total[2] += fact.records if state == "received" else 0
        rows.extend(("invalid", side.origin, bad.idx, {"reason": bad.reason}) for bad in side.invalid)
    for kind, origin, idx, row in sorted(rows, key=lambda row: row[:3]):
        lines.append(canonical({"idx": idx, "kind": kind, "origin": origin, **row}))
    for (direction, area, level), (releases, records, received) in sorted(totals.items()):
        lines.append(
            canonical(
                {
                    "area": area,
                    "direction": direction,
                    "kind": "total",
                    "level": level,
                    "received": received,
                    "records": records,
                    "releases": releases,
                }
            )
        )
    text = b"".join(line + b"\n" for line in lines)
    return text + canonical({"kind": "sha256", "sha256": hashlib.sha256(text).hexdigest()}) + b"\n"
