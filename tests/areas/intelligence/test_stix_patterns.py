"""What the recogniser accepts is a pattern to the library too; a pattern bomb is refused before anything parses it."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix2patterns.validator import validate
from stix_objects import as_bytes, indicator

from entente.areas.intelligence import patterns, stix

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
WORDS = st.sampled_from(
    ["value", "hashes", "true", "false", "in", "like", "t", "h", "b", "not_a", "AND", "x_1", "exists"]
)
TYPES = st.sampled_from(["file", "domain-name", "x-a-b", "true", "a", "in", "x1", "F", "t", "a--b", "a-"])
STEPS = st.one_of(
    WORDS.map(lambda word: f".{word}"),
    st.sampled_from(["[*]", "[0]", "[10]", "[01]", ".'SHA-1'", ".MD5", ".'SHA-256'", "[-1]"]),
)
LITERALS = st.one_of(
    st.text(max_size=8).map(lambda text: f"'{text}'"),
    st.sampled_from(
        ["'a\\'b'", "'a\\\\'", "'\\x'", "0", "7", "007", "-1", "1.5", f"'{MD5}'", "true", "t'2026-01-01T00:00:00Z'"]
    ),
)
GAP = st.sampled_from(["", " ", "  ", "\n"])
COMPARISON = st.builds(
    lambda kind, word, steps, left, op, right, literal: f"{kind}:{word}{''.join(steps)}{left}{op}{right}{literal}",
    TYPES, WORDS, st.lists(STEPS, max_size=2), GAP, st.sampled_from(["=", "!=", "==", ">", "IN"]), GAP, LITERALS,
)  # fmt: skip
JOIN = st.sampled_from([" AND ", " OR ", " FOLLOWEDBY ", "AND", " and "])


def joined(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """One to three of these with operators between them."""
    return st.lists(st.tuples(part, JOIN), min_size=1, max_size=3).map(
        lambda pairs: "".join(text for pair in pairs for text in pair)[: -len(pairs[-1][1])]
    )


PATTERNS = joined(st.tuples(GAP, joined(COMPARISON), GAP).map(lambda parts: f"[{''.join(parts)}]"))


@settings(deadline=None, max_examples=400)  # the first example imports the parser
@given(PATTERNS)
def test_what_is_recognised_is_a_pattern_to_the_library(text: str) -> None:
    if patterns.is_simple(text):
        assert validate(text, "2.1", ret_errs=True) == (True, [])
    assert (patterns.fault(text) is None) == taken(text)


def taken(text: str) -> bool:
    """Whether the library takes it; it falls over some of what it refuses, such as `[a:b[-1] = '']`."""
    try:
        return bool(validate(text, "2.1"))
    except AttributeError:
        return False


def test_what_the_library_falls_over_is_refused() -> None:
    with pytest.raises(AttributeError):
        validate("[a:b = '' AND a:b[-1] = '']", "2.1")
    assert patterns.fault("[a:b = '' AND a:b[-1] = '']") == "the pattern cannot be parsed (AttributeError)"


@pytest.mark.parametrize(
    "text",
    [
        "[domain-name:value = 'example.org']",
        "[domain-name:value='example.org']",
        f"[file:hashes.MD5 = '{MD5}']",
        f"[file:hashes.'SHA-1' = '{MD5}{MD5[:8]}' OR file:name = 'it\\'s \\\\ here']",
        "[ipv4-addr:value = '203.0.113.1' AND ipv4-addr:belongs_to_refs[*].number = 64500]",
        "[a:b = 'c'] AND [a:b = 'd'] FOLLOWEDBY [a:b != 7]",
    ],
)
def test_common_forms_never_wait_for_the_parser(text: str) -> None:
    assert patterns.is_simple(text)
    assert validate(text, "2.1")


@pytest.mark.parametrize(
    "text",
    [
        "([a:b = 'c'] OR [a:d > 1.5]) WITHIN 5 SECONDS",
        "[a:b MATCHES '(x+x+)+y']",
        "[a:b NOT IN ('c', 'd')] REPEATS 3 TIMES",
        "[a:b = 'c'] START t'2026-01-01T00:00:00Z' STOP t'2026-01-02T00:00:00Z'",
        "[EXISTS windows-registry-key:values]",
        "[ipv4-addr:value ISSUBSET '198.51.100.0/24' AND (a:b = h'ab' OR a:b = b'YWI=')]",
    ],
)
def test_other_patterns_are_parsed(text: str) -> None:
    assert not patterns.is_simple(text)
    assert patterns.fault(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "SECRET", "[SECRET", "[a:b = SECRET]", "[a:b = 'SECRET]", "[a:b = 'c'] SECRET", "[a:b]", "a:b = 'c'",
        "[file:hashes.MD5 = 'SECRET']", "[a:b = 'c'] WITHIN 5 SECONDS WITHIN 6 SECONDS",
        "[a:b = t'2026-99-01T00:00:00Z']",
    ],
)  # fmt: skip
def test_what_breaks_the_language_is_refused_in_words_that_quote_nothing(text: str) -> None:
    reason = stix.check(as_bytes(indicator(pattern=text)))
    assert reason is not None
    assert "pattern" in reason
    assert "SECRET" not in reason
    assert patterns.fault(text) == patterns.fault(text)  # remembered


def test_only_stix_patterns_are_held_to_the_language() -> None:
    assert stix.check(as_bytes(indicator(pattern="rule x {}", pattern_type="yara"))) is None
    assert stix.check(as_bytes(indicator(pattern="rule x {}"))) is not None


BOMBS = {
    "parentheses": "(" * 5_000 + "[a:b = 'c']" + ")" * 5_000,
    "inner parentheses": "[" + "(" * 5_000 + "a:b = 'c'" + ")" * 5_000 + "]",
    "brackets": "[" * 16_000,
    "megabytes": "[a:b = '" + "x" * 5_000_000 + "']",
    "alternatives": "[" + " OR ".join(["a:b > 'c'"] * 200_000) + "]",
    "quotes": "'" * 16_000,
    "escapes": "[a:b = '" + "\\" * 60_000,
    "spaces": "[a:b = 'c'" + " " * 60_000,
    "hyphens": "[" + "a-" * 30_000 + ":b = 'c']",
    "dots": "[a:b" + ".c" * 30_000,
    "nots": "[a:b " + "NOT " * 15_000 + "= 'c']",
    "operators": "[" + " OR ".join(["a:b > 'c'"] * 401) + "]",
    "steps": "[a:b" + ".c" * 400 + " > 'c']",
    "deepest that is parsed": "[" + "(" * 31 + "a:b = 'c'" + " OR a:b > 'd')" * 31 + "]",
    "longest that is parsed": "[a:b IN (" + ",".join(["'c'"] * 4_000) + ")]",
    "widest that is parsed": "[" + "(" * 31 + " OR ".join(["a:b > 'c'"] * 400) + ")" * 31 + "]",
}


def far_down(frames: int, what: Callable[[], str | None]) -> str | None:
    """The same, called from deep inside other calls, as under a web server."""
    return far_down(frames - 1, what) if frames else what()


@pytest.mark.parametrize("name", BOMBS)
def test_a_pattern_bomb_is_decided_in_bounded_time(name: str) -> None:
    """Were one exponential in the parser, this would not end; deep in others' calls it is decided the same."""
    reason = far_down(300, lambda: patterns.fault(BOMBS[name]))
    assert (reason is None) == name.endswith("that is parsed")
    assert reason is None or len(reason) < 120


def test_what_the_parser_says_is_remembered_for_a_bounded_number_of_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "REMEMBERED", 3)
    monkeypatch.setattr(patterns, "_found", {})
    for number in range(10):
        assert patterns.fault(f"[a:b > {number}]") is None
        assert len(patterns._found) <= 3


def test_what_a_plain_pattern_compares_is_told_in_order() -> None:
    text = "[file:name = 'a AND [b:c = \\'d\\']' OR file:hashes.'SHA-1' = '" + "a" * 40 + "'] FOLLOWEDBY [a:b = 7]"
    found = patterns.comparisons(text)
    assert found is not None
    assert found.found == (
        ("file", "name", "a AND [b:c = 'd']"),
        ("file", "hashes.SHA-1", "a" * 40),
        ("a", "b", "7"),
    )
    assert found.joined == {"OR", "FOLLOWEDBY"}
    assert patterns.comparisons("[a:b != 'c']") is None
    assert patterns.comparisons("[a:b > 1]") is None
