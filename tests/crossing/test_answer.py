"""Answers cover exactly the indices they are made from, in sorted disjoint spans, and every one fits an entry."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from entente.account.acts import OUTCOMES, Answer, parse_body
from entente.crossing.answer import MAX_SPANS, answer_bodies, spans_of
from entente.register.entry import MAX_ENTRY_BYTES, Entry, Seen, encode

ORIGIN = "entente/india-korea/IND-to-KOR/1"


def covered(spans: list[list[int]]) -> list[int]:
    return [index for first, last in spans for index in range(first, last + 1)]


@given(st.lists(st.integers(0, 60)))
def test_spans_cover_each_index_once_and_no_other(indices: list[int]) -> None:
    spans = spans_of(indices)
    assert covered(spans) == sorted(set(indices))
    assert all(first <= last for first, last in spans)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(spans)), "spans that touch are one"


def test_no_index_makes_no_answer() -> None:
    assert spans_of([]) == []
    assert list(answer_bodies(ORIGIN, [])) == []


@given(st.dictionaries(st.integers(0, 80), st.sampled_from(OUTCOMES)))
def test_each_index_is_answered_with_its_outcome_in_a_valid_body(outcomes: dict[int, str]) -> None:
    found: dict[int, str] = {}
    order = []
    for body in answer_bodies(ORIGIN, outcomes.items()):
        parsed = parse_body("answer", body)
        assert isinstance(parsed, Answer)
        assert parsed.re.origin == ORIGIN
        order.append(OUTCOMES.index(parsed.outcome))
        for index in covered([list(span) for span in parsed.re.spans]):
            assert index not in found
            found[index] = parsed.outcome
    assert found == outcomes
    assert order == sorted(order)


def test_ten_thousand_scattered_answers_fit_their_entries() -> None:
    rng = random.Random(1)
    top = 2**53 - 2
    indices = sorted(rng.sample(range(top - 30_000, top), 10_000))
    bodies = list(answer_bodies(ORIGIN, ((index, "not_permitted") for index in indices)))
    got: list[int] = []
    for body in bodies:
        entry = Entry(1, "answer", "2026-01-01T00:00Z", Seen(1, top, "ab" * 32), "cd" * 32, body, [])
        assert len(encode(entry)) <= MAX_ENTRY_BYTES
        spans = body["re"]["spans"]  # type: ignore[index]
        assert len(spans) <= MAX_SPANS
        got += covered(spans)
    assert got == indices


def test_a_full_answer_of_longest_numbers_leaves_room_for_witnesses() -> None:
    spans = [[2**53 - 3 * i - 2, 2**53 - 3 * i - 2] for i in range(MAX_SPANS)]
    bodies = list(answer_bodies(ORIGIN, ((first, "destroyed") for first, _ in spans)))
    assert len(bodies) == 1
    witnesses = [{"by": f"IND/{i:064}"[:68], "sig": "ab" * 64} for i in range(4)]
    body = {**bodies[0], "witnesses": witnesses}
    entry = Entry(1, "answer", "2026-01-01T00:00Z", Seen(1, 2**53 - 1, "ab" * 32), "cd" * 32, body, [])
    assert len(encode(entry)) <= MAX_ENTRY_BYTES
