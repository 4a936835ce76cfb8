"""Reconcile: what both registers add up to at one cut, byte-identical on both nodes.

Canonical JSON lines: a header; one line per release, open duty, undertaking, claim, open incident, standing approval
and invalid entry in the order (kind, origin, idx); totals per direction, area and level; the SHA-256 of all above.
Source: design core-spec, Reconcile.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import msgspec

from entente.account.cascade import Cascade
from entente.account.claim import claims
from entente.account.duties import duties
from entente.account.incidents import cases
from entente.account.state import Pair, release_state
from entente.account.undertaking import undertakings
from entente.errors import EntenteError
from entente.register.entry import parse_entry
from entente.strict import canonical
from entente.treaty.agreement import SignedAgreement

Roots = Callable[[str, int], str | None]
Row = dict[str, Any]
STATES = ("dispatched", "received", "disputed", "withdrawn", "ended")


class Cut(msgspec.Struct, frozen=True):
    """How much of each register counts: party → entries."""

    sizes: dict[str, int]

    @property
    def text(self) -> str:
        """`A:B`, in the agreement's order of parties."""
        return ":".join(str(size) for size in self.sizes.values())


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


def reconcile(
    pair: Pair,
    roots: dict[str, str],
    agreement: str,
    at: str,
    laws: Mapping[str, SignedAgreement],
    *,
    since: Mapping[str, int] | None = None,
) -> bytes:
    """The lines for a fold that holds exactly the cut; the last line is their SHA-256.

    With `since` (entries of each register), a second set of totals counts what was released after that, as it stands
    at the cut.
    """
    sides = list(pair.sides.values())
    header = {
        "agreement": agreement,
        "at": at,
        "kind": "header",
        "origins": [side.origin for side in sides],
        "roots": [roots[side.party] for side in sides],
        "sizes": [side.size for side in sides],
    }
    releases, totals = _releases(pair, laws, {})
    if since is not None:
        header["since"] = [since[side.party] for side in sides]
        totals += [{**total, "kind": "since"} for total in _releases(pair, laws, since)[1]]
    rows = [*releases, *_duties(pair, laws, at), *_statements(pair), *_cases(pair), *_standings(pair, at)]
    rows += [
        {"kind": "invalid", "origin": side.origin, "idx": bad.idx, "reason": bad.reason}
        for side in sides
        for bad in side.invalid
    ]
    ordered = sorted((row["kind"], row["origin"], row["idx"], canonical(row)) for row in rows)
    lines = [canonical(header), *(line for *_, line in ordered), *map(canonical, totals)]
    text = b"".join(line + b"\n" for line in lines)
    return text + canonical({"kind": "sha256", "sha256": hashlib.sha256(text).hexdigest()}) + b"\n"


def _releases(pair: Pair, laws: Mapping[str, SignedAgreement], since: Mapping[str, int]) -> tuple[list[Row], list[Row]]:
    """Each release (from an index on) at its current marking, and the totals by direction, area and level.

    In the totals every record counts once, in one state.
    """
    cascade = Cascade(pair, pair.sizes, laws)
    rows: list[Row] = []
    totals: dict[tuple[str, str, str], dict[str, int]] = {}
    for side in pair.sides.values():
        other = pair.other(side.party)
        for fact in side.releases:
            if fact.idx < since.get(side.party, 0):
                continue
            state, current = release_state(fact, side.size, other.size), cascade.of(side, fact)
            level = current.marking.level
            row: Row = {"kind": "release", "origin": side.origin, "idx": fact.idx}
            row |= {"area": fact.area, "level": level, "rid": fact.rid, "state": state}
            rows.append(row if current.known else {**row, "onward": False})
            empty = dict.fromkeys(("releases", "records", *STATES), 0)
            total = totals.setdefault((f"{side.party}>{other.party}", fact.area, level), empty)
            total["releases"] += 1
            total["records"] += fact.records
            total[state] += fact.records
    summed: list[Row] = [
        {"kind": "total", "direction": direction, "area": area, "level": level, **total}
        for (direction, area, level), total in sorted(totals.items())
    ]
    return rows, summed


def _duties(pair: Pair, laws: Mapping[str, SignedAgreement], at: str) -> Iterator[Row]:
    for duty in duties(pair, laws, at):
        named = {name: value for name, value in msgspec.structs.asdict(duty).items() if value is not None}
        yield {**named, "kind": "duty", "duty": duty.kind}


def _statements(pair: Pair) -> Iterator[Row]:
    """Each key under which something is undertaken or claimed, named by the first party's entry that states it."""
    for kind, found in (("undertaking", undertakings(pair)), ("claim", claims(pair))):
        for held in found:
            first = next(iter(held.stated))
            row: Row = {"kind": kind, "origin": pair.sides[first].origin, "idx": held.stated[first].idx}
            row |= {"key": held.key, "state": held.state}
            row["stated"] = {party: {"act": fact.act, "idx": fact.idx} for party, fact in held.stated.items()}
            yield {**row, "fields": list(held.fields)} if held.fields else row


def _cases(pair: Pair) -> Iterator[Row]:
    """Each case that is open."""
    for case in cases(pair):
        if case.open:
            row: Row = {"kind": "incident", "origin": case.origin, "idx": case.idx}
            entries = [fact.idx for fact in case.facts]
            yield row | {"entries": entries, "releases": len(case.releases), "stages": list(case.stages)}


def _standings(pair: Pair, at: str) -> Iterator[Row]:
    """Each standing approval with what was released under it."""
    for side in pair.sides.values():
        for act, fact in side.standings.items():
            state = "revoked" if fact.revoked is not None else "expired" if at >= str(fact.body.until) else "live"
            row: Row = {"kind": "standing", "origin": side.origin, "idx": fact.idx, "act": act, "state": state}
            used = {
                "bytes": sum(size for _, size in fact.used.values()),
                "count": sum(n for n, _ in fact.used.values()),
            }
            yield row | {"until": str(fact.body.until), "used": used}
