"""Two readers of the same bytes never see two meanings: one canonical form, one parser, and every trap of JSON refused.

Rows B-01 to B-04 of the test table, for signed objects (`parse`) and for foreign files (`parse_foreign`).
"""

import json
import math
import string
import time
import unicodedata
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from random_cases import cases

from entente.errors import FormatError
from entente.strict import (
    MAX_DEPTH,
    canonical,
    check_hex,
    check_sorted_set,
    check_text,
    convert,
    encode,
    parse,
    parse_as,
    parse_foreign,
    parse_time,
    time_text,
)
from entente.treaty.request import Request, View

KEYS = st.text(string.ascii_letters + string.digits + "_-. /$", max_size=8)
PLAIN = st.text(st.characters(exclude_categories=["Cc", "Cs"], max_codepoint=0x24F, exclude_characters="\u0340\u0341"))
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)


def values(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """JSON values of signed objects."""
    return st.recursive(
        st.booleans() | INTEGERS | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=12,
    )


def nfc(value: Any) -> Any:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {key: nfc(item) for key, item in value.items()}
    return [nfc(item) for item in value] if isinstance(value, list) else value


# The canonical form


@given(values(ANY_TEXT))
def test_canonical_is_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(values(PLAIN))
def test_what_was_written_canonically_is_read_back(value: Any) -> None:
    same = nfc(value)
    assert parse(canonical(same)) == same


@given(values(PLAIN))
def test_what_is_read_is_written_as_the_same_bytes(value: Any) -> None:
    data = canonical(nfc(value))
    assert canonical(parse(data)) == data


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800", {"a": "\udfff"}, object(), {1, 2}, b"x"])
def test_what_has_no_canonical_form_is_not_written(value: object) -> None:
    with pytest.raises(FormatError):
        canonical(value)


def test_a_value_nested_beyond_reason_is_not_written() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(FormatError):
        canonical(deep)


class Thing(msgspec.Struct, forbid_unknown_fields=True):
    """A typed object."""

    name: str
    count: int
    more: int | msgspec.UnsetType = msgspec.UNSET


def test_an_unset_field_is_omitted_and_a_typed_object_is_read_back() -> None:
    assert encode(Thing("a", 1)) == b'{"count":1,"name":"a"}'
    assert parse_as(b'{"count":1,"name":"a"}', Thing) == Thing("a", 1)
    assert convert({"count": 1, "name": "a", "more": 2}, Thing) == Thing("a", 1, 2)


@pytest.mark.parametrize(
    "data",
    [
        b'{"count":1}',
        b'{"count":"1","name":"a"}',
        b'{"count":true,"name":"a"}',
        b'{"count":1,"extra":1,"name":"a"}',
        b"[]",
        b'{"count":1,"more":null,"name":"a"}',
        b'{"count":1,"name":1}',
    ],
)
def test_an_unknown_missing_or_ill_typed_field_is_refused_with_its_place(data: bytes) -> None:
    with pytest.raises(FormatError) as fault:
        parse_as(data, Thing, place="the thing")
    assert fault.value.place == "the thing"


# Signed objects: what is refused

REFUSED = {
    "nothing": b"",
    "a duplicate key": b'{"a":1,"a":2}',
    "a duplicate key, equal": b'{"a":1,"a":1}',
    "a duplicate key inside": b'[{"m":{"marking":"SECRET","marking":"RESTRICTED"}}]',
    "a duplicate key, escaped": b'{"a":1,"\\u0061":1}',
    "NaN": b'{"a":NaN}',
    "Infinity": b"Infinity",
    "minus Infinity": b"[-Infinity]",
    "1e400": b'{"a":1e400}',
    "a float": b'{"a":1.5}',
    "a whole float": b'{"a":1.0}',
    "an exponent": b'{"a":1e2}',
    "a negative zero": b"[-0]",
    "a leading zero": b"[01]",
    "a plus": b"[+1]",
    "hex": b"[0x1]",
    "null": b"null",
    "null inside": b'{"a":null}',
    "null in a list": b"[null]",
    "2^53": b"[9007199254740992]",
    "minus 2^53": b"[-9007199254740992]",
    "2^64": b"[18446744073709551616]",
    "4,000 digits": b"[" + b"9" * 4000 + b"]",
    "a lone surrogate": b'"\\ud800"',
    "a lone low surrogate": b'["\\udc00"]',
    "a lone surrogate as a key": b'{"\\ud800":1}',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "an escaped NUL": b'"\\u0000"',
    "a raw NUL": b'"\x00"',
    "a trailing NUL": b"1\x00",
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a":1}'.encode("utf-16-le"),
    "Latin-1": b'"\xe9"',
    "an overlong slash": b'"\xc0\xaf"',
    "unsorted keys": b'{"b":1,"a":2}',
    "a space": b'{"a": 1}',
    "a trailing line feed": b"{}\n",
    "a leading space": b" {}",
    "something after": b"{}{}",
    "a comma too many": b"[1,]",
    "a comment": b"[1]//",
    "an escaped letter": b'"\\u0061"',
    "an escaped slash": b'"\\/"',
    "an uppercase escape": b'"\\u000A"',
    "an escaped accent": b'"\\u00e9"',
    "an escaped pair": b'"\\ud83d\\ude00"',
    "not NFC": '"e\u0301"'.encode(),
    "not NFC as a key": '{"e\u0301":1}'.encode(),
    "a singleton": '"\u212b"'.encode(),
    "bidi": '"\u202egpj"'.encode(),
    "a bidi isolate": '"\u2066x\u2069"'.encode(),
    "an Arabic letter mark": '"\u061c"'.encode(),
    "a right-to-left mark": '"a\u200fb"'.encode(),
    "a tab": b'"\\t"',
    "a line feed": b'"\\n"',
    "a carriage return": b'"\\r"',
    "an escape": b'"\\u001b"',
    "a raw control": b'"\x1f"',
    "DEL": b'"\x7f"',
    "a C1 control": '"\x85"'.encode(),
    "a non-ASCII key": '{"\u00e9":1}'.encode(),
    "a key with a control": b'{"\\n":1}',
    "a single quote": b"'a'",
    "an open string": b'"abc',
    "an open list": b"[1",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_signed_object_with_a_trap_is_refused(name: str) -> None:
    for newlines in (False, True):
        if name == "a line feed" and newlines:
            assert parse(REFUSED[name], newlines=True) == "\n"
            continue
        with pytest.raises(FormatError):
            parse(REFUSED[name], newlines=newlines)


@pytest.mark.parametrize("name", REFUSED)
def test_the_refusal_names_the_place(name: str) -> None:
    with pytest.raises(FormatError) as fault:
        parse(REFUSED[name], place="somewhere")
    if name not in {"1e400", "a float", "a whole float", "an exponent"}:
        assert fault.value.place == "somewhere"


@pytest.mark.parametrize("name", ["a float", "1e400"])
def test_the_refusal_of_a_float_names_the_place_too(name: str) -> None:
    with pytest.raises(FormatError) as fault:
        parse(REFUSED[name], place="somewhere")
    assert fault.value.place == "somewhere"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
        "\ub300\ud55c\ubbfc\uad6d",
        "\u00e9",
        "\U0001f600",
        'a\\b"c/d',
        "\u2028",
    ],
)
def test_ordinary_text_of_any_language_is_taken(text: str) -> None:
    assert parse(canonical({"a": text})) == {"a": text}


@pytest.mark.parametrize("reader", [parse, parse_foreign])
@pytest.mark.parametrize("one", [b"[", b'{"a":', b"]", b'["', b'[{"a":'])
def test_a_hundred_thousand_brackets_are_refused_at_once(reader: Callable[[bytes], Any], one: bytes) -> None:
    began = time.process_time()
    with pytest.raises(FormatError):
        reader(one * 100_000)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("reader", [parse, parse_foreign])
def test_nesting_is_allowed_to_the_limit_and_no_further(reader: Callable[[bytes], Any]) -> None:
    assert reader(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(FormatError, match="levels of nesting"):
        reader(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    wide = b"[" + b",".join([b"[]"] * 500) + b"]"
    assert len(reader(wide)) == 500
    quoted = json.dumps(["[" * 500 + '"' + "{" * 500]).encode()
    assert reader(quoted) == ["[" * 500 + '"' + "{" * 500]


@pytest.mark.parametrize("reader", [parse, parse_foreign])
@pytest.mark.parametrize("tail", [b'\\"', b'"', b"\\\\", b"a", b'"["'])
def test_an_open_string_costs_linear_time(reader: Callable[[bytes], Any], tail: bytes) -> None:
    """32 KiB is one entry; a foreign file may be a thousand times as long."""
    data = b"[]" * 70 + b'"' + tail * (12_000 // len(tail))
    began = time.process_time()
    with pytest.raises(FormatError):
        reader(data)
    assert time.process_time() - began < 0.1


@given(st.binary(max_size=80))
def test_random_bytes_raise_nothing_but_a_format_error(data: bytes) -> None:
    for reader in (parse, parse_foreign):
        try:
            reader(data)
        except FormatError:
            continue


@given(
    values(ANY_TEXT),
    st.integers(0, 500),
    st.sampled_from([b"", b"\x00", b'"', b"\\", b"[", b"}", b"\xff", b" ", b"1", b"e", b"."]),
)
def test_damaged_objects_raise_nothing_but_a_format_error(value: Any, at: int, put: bytes) -> None:
    whole = canonical(value)
    data = whole[: at % (len(whole) + 1)] + put + whole[at % (len(whole) + 1) + 1 :]
    for reader in (parse, parse_foreign):
        try:
            found = reader(data)
        except FormatError:
            continue
        if reader is parse:
            assert canonical(found) == data


# Foreign files

FOREIGN_REFUSED = [
    "nothing",
    "a duplicate key",
    "a duplicate key, equal",
    "a duplicate key inside",
    "a duplicate key, escaped",
    "NaN",
    "Infinity",
    "minus Infinity",
    "1e400",
    "a leading zero",
    "a plus",
    "hex",
    "4,000 digits",
    "a lone surrogate",
    "a lone low surrogate",
    "a lone surrogate as a key",
    "a surrogate in UTF-8",
    "an escaped NUL",
    "a raw NUL",
    "a trailing NUL",
    "a byte-order mark",
    "UTF-16",
    "UTF-16 without mark",
    "Latin-1",
    "an overlong slash",
    "something after",
    "a comma too many",
    "a comment",
    "a raw control",
    "a single quote",
    "an open string",
    "an open list",
]


@pytest.mark.parametrize("name", FOREIGN_REFUSED)
def test_a_foreign_file_with_a_trap_is_refused_with_its_place(name: str) -> None:
    with pytest.raises(FormatError) as fault:
        parse_foreign(REFUSED[name], place="bundle.json")
    assert fault.value.place == "bundle.json"


@pytest.mark.parametrize(
    "data",
    [
        b"[1e309]",
        b"[-1e309]",
        b'{"a":{"b":{}, "b":{}}}',
        b'{"a":1,"b":[{"c":1,"c":2}]}',
        b"\xff\xfe[\x00]\x00",
        b"\xfe\xff\x00[\x00]",
        b'{"\\u0000":1}',
        b'["\\udc00\\ud800"]',
        b"[" + b"1" * 41 + b"]",
        b"-",
        b"tru",
        b"[1]\x0b",
        b"\x0b[1]",
        b"\xc2\xa0[1]",
    ],
)
def test_more_foreign_traps_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_foreign(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b' {"b": 1, "a": null}\n', {"b": 1, "a": None}),
        (b"[1.5, 1e2, -0.0]", [1.5, 100.0, 0.0]),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"[" + b"1" * 40 + b"]", [int("1" * 40)]),
        ('"e\u0301\u202e"'.encode(), "e\u0301\u202e"),
        (b'"\\n\\t"', "\n\t"),
        (b"[1e-400]", [0.0]),
    ],
)
def test_foreign_json_keeps_its_own_freedoms(data: bytes, value: object) -> None:
    assert parse_foreign(data) == value


@given(values(ANY_TEXT))
def test_foreign_reading_agrees_with_json(value: Any) -> None:
    data = json.dumps(value).encode()
    try:
        assert parse_foreign(data) == value
    except FormatError:
        assert "\\u0000" in data.decode()


# Times, sets, hex, text


@given(
    st.datetimes(timezones=st.just(__import__("datetime").UTC), min_value=__import__("datetime").datetime(1000, 1, 1))
)
def test_a_time_is_written_to_the_minute_and_read_back(moment: Any) -> None:
    assert parse_time(time_text(moment)) == moment.replace(second=0, microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00",
        "2026-01-01T00:00:00Z",
        "2026-01-01t00:00z",
        "2026-13-01T00:00Z",
        "2026-02-30T00:00Z",
        "2026-01-01T24:00Z",
        "2026-01-01T00:60Z",
        "0000-01-01T00:00Z",
        " 2026-01-01T00:00Z",
        "2026-01-01T00:00Z\n",
        "2026-1-01T00:00Z",
        "2026-01-01T00:00+00:00",
        "+026-01-01T00:00Z",
        "-026-01-01T00:00Z",
        "\uff12\uff10\uff12\uff16-01-01T00:00Z",
        "2026-01-0\u0661T00:00Z",
        "2026-01-01T0\u096a:00Z",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_time(text)


@given(st.lists(st.text(max_size=3), max_size=6))
def test_a_set_is_sorted_by_its_bytes_without_repeats(items: list[str]) -> None:
    try:
        raw = [item.encode() for item in items]
    except UnicodeEncodeError:
        return
    good = raw == sorted(set(raw))
    try:
        check_sorted_set(items, "things")
    except FormatError:
        assert not good
    else:
        assert good


@pytest.mark.parametrize("text", ["", "ab", "abc", "ABCD", "ab c", "abcd\n", "g0" * 2, "\uff10\uff11\uff12\uff13"])
def test_hex_is_lowercase_and_of_its_length(text: str) -> None:
    check_hex("ab01", 2, "it")
    with pytest.raises(FormatError):
        check_hex(text, 2, "it")


def test_line_feeds_stand_where_they_are_allowed_only() -> None:
    check_text("a\nb", newlines=True)
    with pytest.raises(FormatError):
        check_text("a\nb")
    for bad in ("\r", "\t", "\x00", "\x7f", "\x9f", "\u202a"):
        with pytest.raises(FormatError):
            check_text(f"a{bad}b", newlines=True)


def test_typed_objects_encode_to_the_same_canonical_bytes() -> None:
    """`encode` takes a faster road than `canonical`; both must end at the same bytes."""
    for case in cases(7, 300):
        for struct in (msgspec.convert(case[1], View), msgspec.convert(case[2], Request)):
            assert encode(struct) == canonical(msgspec.to_builtins(struct))
