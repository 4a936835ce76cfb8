"""Whether the pattern of an indicator is one of the STIX patterning language, told in bounded time.

The common forms (comparisons of a path with a string or a whole number, joined by AND and OR, in one or more
observations) are recognised here, at a hundred times the speed of a parser and in one pass over the text. Everything
else goes to stix2-patterns, after its size and depth are bounded. A regular expression in MATCHES is not run.
Source: STIX 2.1, 9.
"""

import hashlib
import re

import msgspec

LONGEST = 65_536  # characters of any pattern
LONGEST_PARSED = 16_384  # characters of one that the parser must look at: it takes some 5 microseconds for each
DEEPEST = 32  # brackets within one another
MOST = 400  # operators and steps of paths in one that is parsed: the parser goes a frame deeper for each
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
_STEPS = re.compile(r"[.\[]|\b(?:AND|OR|FOLLOWEDBY)\b")
_COMPARED = re.compile(rf"(?P<type>[a-z][a-z0-9-]*+):(?P<path>[^ =!]++) ?(?P<operator>!?=) ?(?P<literal>{_LITERAL})")
_OPERATOR = re.compile(r"AND|OR|FOLLOWEDBY")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_UNKNOWN = ""
_found: dict[bytes, str | None] = {}


class Comparisons(msgspec.Struct, frozen=True):
    """What a plain pattern compares: (type, path, value) each, and by which operators they are joined."""

    found: tuple[tuple[str, str, str], ...]
    joined: frozenset[str]


def fault(text: str) -> str | None:
    """Why the text is not a pattern, in words that quote nothing of it; None if it is one.

    Each limit is one of the text alone, so that two nodes decide alike.
    """
    if len(text) > LONGEST:
        return f"the pattern has {len(text)} characters, at most {LONGEST} are taken"
    if is_simple(text):
        return None
    if len(text) > LONGEST_PARSED:
        return f"the pattern has {len(text)} characters, at most {LONGEST_PARSED} are taken of one that is not plain"
    bare = _STRING.sub("", text)
    if _depth(bare) > DEEPEST:
        return f"the pattern nests deeper than {DEEPEST} levels"
    if len(_STEPS.findall(bare)) > MOST:
        return f"the pattern has more than {MOST} operators and steps"
    key = hashlib.sha256(text.encode()).digest()
    found = _found.get(key, _UNKNOWN)
    if found == _UNKNOWN:
        found = _parsed(text)
        if len(_found) >= REMEMBERED:
            _found.clear()
        _found[key] = found
    return found


def is_simple(text: str) -> bool:
    """Whether it is a pattern of the common forms; what is not may be a pattern all the same."""
    return _SIMPLE(text) is not None


def _depth(bare: str) -> int:
    """How deep brackets stand within one another, strings being taken out."""
    deepest = depth = 0
    for char in bare:
        if char in "([":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")]":
            depth -= 1
    return deepest


def _parsed(text: str) -> str | None:
    from stix2patterns.validator import run_validator  # noqa: PLC0415 - a tenth of a second that few imports need

    try:
        errors = run_validator(text, "2.1")
    except Exception as fault:  # noqa: BLE001 - whatever a parser does over foreign text, one object is refused for it
        return f"the pattern cannot be parsed ({type(fault).__name__})"
    if not errors:
        return None
    place = re.search(r"line (\d+):(\d+)", str(errors[0]))
    return f"the pattern breaks the language at {place[0]}" if place else "the pattern breaks the language"


def comparisons(text: str) -> Comparisons | None:
    """What a pattern of the common forms compares, in order; None for any other pattern, and for one with `!=`.

    `joined` holds the operators between them, of both kinds: within an observation and between observations.
    """
    if len(text) > LONGEST or not is_simple(text):
        return None
    found, joined, at = [], set(), 0
    for match in _COMPARED.finditer(text):
        joined.update(_OPERATOR.findall(text[at : match.start()]))
        at = match.end()
        if match["operator"] != "=":
            return None
        literal = match["literal"]
        value = _ESCAPED.sub(r"\1", literal[1:-1]) if literal.startswith("'") else literal
        found.append((match["type"], match["path"].replace("'", ""), value))
    return Comparisons(tuple(found), frozenset(joined))
