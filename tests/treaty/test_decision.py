"""decide() and a second implementation, written from the specification's table alone, agree on 10,000 random cases.

They agree on ok, article, `n/a` and `unknown:<field>` of every rule; eight planted mistakes are each told apart.
"""

import functools
from typing import Any

import msgspec
import pytest
from mutants import MUTANTS
from random_cases import cases, coverage, expected_outcomes, verify
from second_decide import second_decide

from entente.treaty.agreement import Agreement
from entente.treaty.decision import decide
from entente.treaty.request import Request, View

COUNT = 10_000
SAMPLES = ("india-korea", "two-certs")
Answer = list[tuple[str, str, bool, str]]


def law_of(raw: dict[str, Any]) -> Agreement:
    return msgspec.convert(raw, Agreement, strict=True)


def classed(observed: str) -> str:
    return observed if observed == "n/a" or observed.startswith("unknown:") else ""


def first(agreement: dict[str, Any], view: dict[str, Any], request: dict[str, Any]) -> Answer:
    decision = decide(law_of(agreement), msgspec.convert(view, View), msgspec.convert(request, Request), verify)
    assert decision.permit == all(finding.ok for finding in decision.findings)
    return [(f.rule, f.article, f.ok, classed(f.observed)) for f in decision.findings]


@functools.cache
def answers() -> tuple[list[tuple[Any, Any, Any]], list[Answer]]:
    found = list(cases(20261122, COUNT))
    return found, [first(*case) for case in found]


def test_two_implementations_agree_on_10_000_cases() -> None:
    found, mine = answers()
    differing = [
        (number, a, b)
        for number, (case, ours) in enumerate(zip(found, mine, strict=True))
        for a, b in zip(ours, second_decide(case[0], case[1], case[2], verify), strict=True)
        if a != b
    ]
    assert not differing, f"{len(differing)} findings differ, first {differing[:3]}"


def test_every_rule_passes_fails_and_is_unknown_somewhere() -> None:
    _, mine = answers()
    assert not expected_outcomes() - set(coverage(mine)), "the random cases do not reach every outcome"


@pytest.mark.slow  # 10,000 cases for each
@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_planted_mutant_is_found(name: str) -> None:
    found, mine = answers()
    assert any(MUTANTS[name](case[0], case[1], case[2], verify) != ours for case, ours in zip(found, mine, strict=True))
