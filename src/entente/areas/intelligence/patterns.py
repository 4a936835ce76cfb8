"""Whether the pattern of an indicator is one of the STIX patterning language, told in bounded time.

The common forms (comparisons of a path with a string or a whole number, joined by AND and OR, in one or more
observations) are recognised here, at a hundred times the speed of a parser and in one pass over the text. Everything
else goes to stix2-patterns, after its size and depth are bounded. A regular expression in MATCHES is not run.
Source: STIX 2.1, 9.
"""

import hashlib
import re

LONGEST = 65_536  # characters of any pattern
LONGEST_PARSED = 16_384  # characters of one that the parser must look at: it takes some 5 microseconds for each
DEEPEST = 32  # brackets within one another
REMEMBERED = 16_384  # outcomes of the parser

_HASH = "|".join(
    rf"hashes\.{name} = '[0-9a-fA-F]{{{digits}}}'"
    for name, digits in (("MD5", 32), ("'SHA-1'", 40), ("'SHA-256'", 64), ("'SHA-512'", 128))
)
_WORD = r"(?!(?:hashes|true|false)\b)[a-z][a-z0-9_]*+"
_STEP = rf"(?:\.{_WORD}|\[(?:\*|0|[1-9][0-9]{{0,8}})\])"
_LITERAL = r"(?:'(?:[^'\\]|\\['\\])*+'|(?:0|[1-9][0-9]{0,14}))"
_COMPARISON = rf"(?!(?:true|false):)[a-z][a-z0-9]*+(?:-[a-z0-9]++)*+:(?:{_HASH}|{_WORD}{_STEP}*+ ?!?= ?{_LITERAL})"
_OBSERVATION = rf"\[ ?{_COMPARISON}(?: (?:AND|OR) {_COMPARISON})*+ ?\]"
_SIMPLE = re.compile(rf"{_OBSERVATION}(?: (?:AND|OR|FOLLOWEDBY) {_OBSERVATION})*+").fullmatch

_STRING = re.compile(r"'(?:[^'\\]|\\.)*+'?", re.DOTALL)
_UNKNOWN = ""
_found: dict[bytes, str | None] = {}


def fault(text: str, version: str = "2.1") -> str | None:
    """Why the text is not a pattern, in words that quote nothing of it; None if it is one.

    Args:
        text: the pattern, whole.
        version: of the language: 2.1, or 2.0, whose START and STOP are written otherwise.
    """
    if len(text) > LONGEST:
        return f"the pattern has {len(text)} characters, at most {LONGEST} are taken"
    if is_simple(text):
        return None
    if len(text) > LONGEST_PARSED:
        return f"the pattern has {len(text)} characters, at most {LONGEST_PARSED} are taken of one that is not plain"
    if _depth(text) > DEEPEST:
        return f"the pattern nests deeper than {DEEPEST} levels"
    key = hashlib.sha256(f"{version}\n{text}".encode()).digest()
    found = _found.get(key, _UNKNOWN)
    if found == _UNKNOWN:
        found = _parsed(text, version)
        if len(_found) >= REMEMBERED:
            _found.clear()
        _found[key] = found
    return found


def is_simple(text: str) -> bool:
    """Whether it is a pattern of the common forms; what is not may be a pattern all the same."""
    return _SIMPLE(text) is not None


def _depth(text: str) -> int:
    """How deep brackets stand within one another outside strings."""
    deepest = depth = 0
    for char in _STRING.sub("", text):
        if char in "([":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")]":
            depth -= 1
    return deepest


def _parsed(text: str, version: str) -> str | None:
    from stix2patterns.validator import run_validator  # noqa: PLC0415 - a tenth of a second that few imports need

    try:
        errors = run_validator(text, version)
    except Exception as fault:  # noqa: BLE001 - whatever a parser does over foreign text, one object is refused for it
        return f"the pattern cannot be parsed ({type(fault).__name__})"
    if not errors:
        return None
    place = re.search(r"line (\d+):(\d+)", str(errors[0]))
    return f"the pattern breaks the language at {place[0]}" if place else "the pattern breaks the language"
