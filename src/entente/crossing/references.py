"""Screening: which single records may cross, and reference closure: nothing crosses that names what does not.

A record is refused by the first of: `mapped` (the marking map gives it a marking), rules 6 to 13 of decide() on its own
marking, `withhold` (its type is kept back), `reference` (some string in it equals an id that does not cross, to a
fixed point). Prose is not closed; whoever proposes is told how many records mention a withheld one.
Source: design core-spec, Before decide().
"""

from collections.abc import Callable, Sequence

import msgspec

from entente.treaty.agreement import DECIDE_RULES, Agreement
from entente.treaty.marking import Marking
from entente.treaty.record import Record
from entente.treaty.request import Decision

OWN_MARKING_RULES = DECIDE_RULES[5:13]
NOT_OWN_MARKING = frozenset(DECIDE_RULES) - frozenset(OWN_MARKING_RULES)


class Refusal(msgspec.Struct, frozen=True):
    """Why one record stays at home."""

    id: str
    sha256: str
    rule: str
    article: str
    reason: str


class Screening(msgspec.Struct, frozen=True):
    """What may cross, each with its marking, and what may not, in the order of the input."""

    kept: tuple[tuple[Record, Marking], ...]
    refused: tuple[tuple[Record, Refusal], ...]


def screen(
    records: Sequence[Record],
    law: Agreement,
    area: str,
    mark: Callable[[Record], Marking | str],
    decide_marking: Callable[[Marking], Decision],
) -> Screening:
    """Every record decided by itself, then closed over references.

    Args:
        records: the candidates, all of one area.
        law: the agreement in force.
        area: the area whose terms hold.
        mark: gives a record's marking, or the reason why it has none.
        decide_marking: rules 6 to 13 for one marking.
    """
    verdicts: dict[int, tuple[str, str, str]] = {}
    markings: dict[int, Marking] = {}
    judged: dict[Marking, tuple[str, str, str] | None] = {}
    rows = {row.type: row.article for row in law.areas[area].withhold or ()}
    for place, record in enumerate(records):
        found = mark(record)
        if isinstance(found, str):
            verdicts[place] = ("mapped", law.rules.record.get("mapped", ""), found)
            continue
        markings[place] = found
        if found not in judged:
            judged[found] = _first_refusal(decide_marking(found))
        verdict = judged[found]
        if verdict is not None:
            verdicts[place] = verdict
        elif record.type in rows:
            verdicts[place] = ("withhold", rows[record.type], f"{record.type} is withheld")
    _close(records, verdicts, rows, law.rules.record.get("reference", ""))
    kept = tuple((record, markings[place]) for place, record in enumerate(records) if place not in verdicts)
    refused = tuple(
        (record, Refusal(record.id, record.sha256, *verdicts[place]))
        for place, record in enumerate(records)
        if place in verdicts
    )
    return Screening(kept, refused)


def _first_refusal(decision: Decision) -> tuple[str, str, str] | None:
    for finding in decision.findings:
        if not finding.ok:
            return finding.rule, finding.article, finding.observed
    return None


def _close(
    records: Sequence[Record], verdicts: dict[int, tuple[str, str, str]], rows: dict[str, str], article: str
) -> None:
    """Refuse, to a fixed point, what names an id none of whose versions crosses, or an absent id of a withheld type."""
    versions: dict[str, int] = {}
    for record in records:
        versions[record.id] = versions.get(record.id, 0) + 1
    namers: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        for name in record.names:
            if name in versions:
                namers.setdefault(name, []).append(place)
            elif place not in verdicts and names_withheld_type(name, rows):
                verdicts[place] = ("reference", article, f"names {name}, which is withheld")
    waiting = []
    for place in verdicts:
        versions[records[place].id] -= 1
        if not versions[records[place].id]:
            waiting.append(records[place].id)
    while waiting:
        gone = waiting.pop()
        for place in namers.get(gone, ()):
            if place in verdicts:
                continue
            verdicts[place] = ("reference", article, f"names {gone}, which does not cross")
            own = records[place].id
            versions[own] -= 1
            if not versions[own]:
                waiting.append(own)


def names_withheld_type(name: str, rows: dict[str, str]) -> bool:
    """Whether an id's type part (before `--`) is one that the area withholds."""
    kind, dashes, _ = name.partition("--")
    return bool(dashes) and kind in rows


def first_fault(records: Sequence[Record], law: Agreement, area: str) -> str | None:
    """What the receiver repeats, needing no map: a withheld type, or an id of one named; the reason, or None."""
    rows = {row.type: row.article for row in law.areas[area].withhold or ()}
    for record in records:
        if record.type in rows:
            return f"{record.id} is of a withheld type"
        for name in record.names:
            if names_withheld_type(name, rows):
                return f"{record.id} names {name}, which is of a withheld type"
    return None
