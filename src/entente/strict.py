"""The one parser and the one canonical form.

Two readers of the same bytes must never see two meanings, so everything that is signed is canonical JSON
(RFC 8785 restricted to integers below 2**53, no null) and is taken in only when decoding and encoding again gives
the same bytes. Foreign JSON (STIX and the like) keeps its own bytes but passes the same doors: UTF-8 without a
byte-order mark, no duplicate keys, no NaN, no number beyond a double, no lone surrogate, at most 64 levels.
"""

import json
import re
import unicodedata
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from entente.errors import FormatError

MAX_DEPTH = 64
MAX_INTEGER = 2**53
T = TypeVar("T")

_PLAIN = re.compile(rb"[^\\\x00-\x1f\x7f-\xff]*").fullmatch
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*+"?', re.DOTALL)
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET = bytes(code for code in range(256) if code not in b"[]{}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z").fullmatch
_HEX = re.compile(r"(?:[0-9a-f]{2})*").fullmatch


_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: object) -> bytes:
    """The RFC 8785 bytes of a JSON value made of dicts with ASCII keys, lists, strings, integers and booleans."""
    try:
        return _encoder.encode(value).encode()
    except (UnicodeEncodeError, ValueError, TypeError, RecursionError) as fault:
        raise FormatError(f"cannot be written as canonical JSON: {fault}") from None


def encode(struct: msgspec.Struct) -> bytes:
    """The canonical bytes of a typed object; unset fields are omitted."""
    try:
        return msgspec.json.encode(struct, order="sorted")  # held equal to canonical() by a test; nine times faster
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError) as fault:
        raise FormatError(f"cannot be written as canonical JSON: {fault}") from None


def _raise_float(text: str) -> float:
    raise FormatError(f"number {text[:24]} is not an integer", remedy="Signed objects hold integers only.")


_generic = msgspec.json.Decoder(float_hook=_raise_float)


def parse(data: bytes, *, place: str = "object", newlines: bool = False) -> Any:  # noqa: ANN401 - JSON has no type
    """The value of canonical JSON bytes; FormatError names what is not canonical.

    Args:
        data: the received bytes.
        place: what to call them in an error.
        newlines: whether strings may hold a line feed (undertaking text only).
    Source: design core-spec, Bytes; RFC 8785.
    """
    if _too_deep(data):
        raise FormatError(f"more than {MAX_DEPTH} levels of nesting", place=place)
    try:
        value = _generic.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as fault:
        raise FormatError(str(fault), place=place) from None
    except FormatError as fault:
        raise FormatError(fault.detail, place=place, remedy=fault.remedy) from None
    try:
        if canonical(value) != data:
            raise FormatError(
                "not canonical: duplicate or unsorted keys, spaces or another spelling of the same value",
                remedy="Send the RFC 8785 form.",
            )
        _check(value, newlines=newlines, plain=_PLAIN(data) is not None)
    except FormatError as fault:
        raise FormatError(fault.detail, place=place, remedy=fault.remedy) from None
    return value


def parse_as(data: bytes, kind: type[T], *, place: str = "object", newlines: bool = False) -> T:
    """The typed object in canonical JSON bytes; an unknown, missing or ill-typed field is a FormatError."""
    return convert(parse(data, place=place, newlines=newlines), kind, place=place)


def convert(value: object, kind: type[T], *, place: str = "object") -> T:
    """The typed form of an already parsed value; an unknown, missing or ill-typed field is a FormatError."""
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as fault:
        told = str(fault)  # it may repeat a name from the value, which is shown to persons
        raise FormatError(told if told.isprintable() else ascii(told), place=place) from None


def _check(value: object, *, newlines: bool, plain: bool) -> None:
    """Hold every string and number of a parsed value to the alphabet of signed objects."""
    kind = type(value)
    if kind is str:
        if not plain:
            check_text(value, newlines=newlines)  # type: ignore[arg-type]
    elif kind is int:
        if not -MAX_INTEGER < value < MAX_INTEGER:  # type: ignore[operator]
            raise FormatError(f"integer {value} is not below 2^53")
    elif kind is dict:
        for key, item in value.items():  # type: ignore[attr-defined]
            if not plain and not (key.isascii() and key.isprintable()):
                raise FormatError(f"key {key!r} is not printable ASCII")
            _check(item, newlines=newlines, plain=plain)
    elif kind is list:
        for item in value:  # type: ignore[attr-defined]
            _check(item, newlines=newlines, plain=plain)
    elif value is None:
        raise FormatError("null is not allowed", remedy="Omit the field.")


def check_text(text: str, *, newlines: bool = False) -> None:
    """Raise FormatError unless the text is NFC and holds no control or bidirectional control character."""
    if not unicodedata.is_normalized("NFC", text):
        raise FormatError("text is not in Unicode normalization form C")
    for char in text:
        if char in _BIDI or unicodedata.category(char) in ("Cc", "Cs"):
            if char == "\n" and newlines:
                continue
            raise FormatError(f"text holds the control character U+{ord(char):04X}")


def _too_deep(data: bytes) -> bool:
    """Whether brackets outside strings nest deeper than MAX_DEPTH; linear, never recursive."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    bare = _STRING.sub(b"", data) if b"\\" in data else b"".join(data.split(b'"')[::2])
    brackets = bare.translate(_ONE_KIND, _NO_BRACKET)
    for _ in range(MAX_DEPTH):  # each round takes away the innermost level; which kind closes which, the parser says
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise FormatError(f"key {twice!r} stands twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise FormatError(f"number {text[:24]} is beyond a double")
    return number


def _bounded(text: str) -> int:
    if len(text) > 40:
        raise FormatError(f"integer of {len(text)} digits")
    return int(text)


def _no_constant(text: str) -> float:
    raise FormatError(f"{text} is not JSON")


_foreign = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_int=_bounded, parse_constant=_no_constant
)


def parse_foreign(data: bytes, *, place: str = "document") -> Any:  # noqa: ANN401 - JSON has no type
    """The value of foreign JSON bytes, or a FormatError that names why two readers could differ about them.

    Refused: a byte-order mark, anything but UTF-8, duplicate keys, NaN and infinities, numbers beyond a double,
    integers over 40 digits, lone surrogates, U+0000, more than 64 levels. Floats and null are the format's own affair.
    """
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise FormatError("starts with a byte-order mark", place=place, remedy="Save as UTF-8 without BOM.")
    if b"\x00" in data:
        raise FormatError("holds a NUL byte (UTF-16?)", place=place, remedy="Save as UTF-8.")
    if _too_deep(data):
        raise FormatError(f"more than {MAX_DEPTH} levels of nesting", place=place)
    try:
        text = data.decode()
        value, end = _foreign.raw_decode(text, len(text) - len(text.lstrip(" \t\r\n")))
    except UnicodeDecodeError as fault:
        raise FormatError(f"not UTF-8 at byte {fault.start}", place=place, remedy="Save as UTF-8.") from None
    except json.JSONDecodeError as fault:
        raise FormatError(f"not JSON: {fault}", place=place) from None
    except FormatError as fault:
        raise FormatError(fault.detail, place=place) from None
    if text[end:].strip(" \t\r\n"):
        raise FormatError(f"something follows the JSON value at character {end}", place=place)
    if "\\u" in text and _holds_surrogate_or_nul(value):
        raise FormatError("a string holds a lone surrogate or U+0000", place=place)
    return value


def _holds_surrogate_or_nul(value: object) -> bool:
    if isinstance(value, str):
        return any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, dict):
        return any(_holds_surrogate_or_nul(k) or _holds_surrogate_or_nul(v) for k, v in value.items())
    return isinstance(value, list) and any(map(_holds_surrogate_or_nul, value))


def read_own(data: bytes, kind: type[T], *, place: str = "stored JSON") -> T:
    """The typed value of JSON that this node wrote itself; FormatError if it was damaged since."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as fault:
        raise FormatError(str(fault), place=place) from None


def time_text(moment: datetime) -> str:
    """The minute of an aware time as `YYYY-MM-DDTHH:MMZ`, rounded down."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def parse_time(text: str) -> datetime:
    """The aware UTC time of `YYYY-MM-DDTHH:MMZ`; anything else is a FormatError."""
    try:
        if _TIME(text):
            return datetime(
                int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16]), tzinfo=UTC
            )
    except ValueError:
        pass
    raise FormatError(f"{text!r} is not a time", remedy="Write YYYY-MM-DDTHH:MMZ (UTC).")


def check_sorted_set(items: list[str] | tuple[str, ...], name: str) -> None:
    """Raise FormatError unless the strings are unique and in bytewise order, as every set on the wire is."""
    raw = [item.encode() for item in items]
    if any(a >= b for a, b in pairwise(raw)):
        raise FormatError(f"{name} is not a sorted set without repeats")


def check_hex(text: str, size: int, name: str) -> None:
    """Raise FormatError unless `text` is `size` bytes in lowercase hex."""
    if len(text) != 2 * size or not _HEX(text):
        raise FormatError(f"{name} is not {size} bytes of lowercase hex")
