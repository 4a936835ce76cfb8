"""Answers: one entry per outcome, over sorted disjoint spans of the partner's indices.

Source: design core-spec, Entries (answer) and Outcomes.
"""

from collections.abc import Iterable, Iterator

from entente.account.acts import OUTCOMES

MAX_SPANS = 512  # 512 spans of two 16-digit indices stay far below the 32,768 bytes of an entry


def spans_of(indices: Iterable[int]) -> list[list[int]]:
    """The indices as sorted, disjoint, inclusive [first, last] spans."""
    spans: list[list[int]] = []
    for idx in sorted(set(indices)):
        if spans and spans[-1][1] == idx - 1:
            spans[-1][1] = idx
        else:
            spans.append([idx, idx])
    return spans


def answer_bodies(origin: str, outcomes: Iterable[tuple[int, str]]) -> Iterator[dict[str, object]]:
    """Bodies of the answer entries that state each (index, outcome), in the fixed order of outcomes."""
    by_outcome: dict[str, list[int]] = {}
    for idx, outcome in outcomes:
        by_outcome.setdefault(outcome, []).append(idx)
    for outcome in OUTCOMES:
        spans = spans_of(by_outcome.get(outcome, ()))
        for first in range(0, len(spans), MAX_SPANS):
            part = spans[first : first + MAX_SPANS]
            yield {"outcome": outcome, "re": {"origin": origin, "spans": part}, "witnesses": []}
