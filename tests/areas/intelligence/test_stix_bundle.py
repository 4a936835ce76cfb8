"""A bundle is cut into its members' exact bytes, or refused whole with its place and a remedy."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix_objects import as_bytes, bundle_of, indicator

from entente.areas.intelligence import bundle
from entente.errors import FormatError

DEEP = b"[" * 100_000
ONE = as_bytes(indicator())
TEXT = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=8)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SPACES = st.text(" \t\r\n", max_size=2)


def test_odd_spacing_and_escapes_are_kept_byte_for_byte() -> None:
    odd = [b'{ "a" :\t1.50E+2 , "\\u0061b" : "\\/ \\ud83d\\ude00 \xc3\xa9" }', b"[\n]", b'"x\\"],[{"', b"-0.0", b"null"]
    spaced = b' \r\n{"x_a":[1],"objects" : [ ' + b"\n,\t".join(odd) + b' ] , "type":"bundle"}\n'
    assert bundle.members(spaced, place="f") == odd


@pytest.mark.parametrize("empty", [b'{"type":"bundle"}', b'{"type":"bundle","objects":[ ]}'])
def test_bundle_without_objects_gives_nothing(empty: bytes) -> None:
    assert bundle.members(empty, place="f") == []


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "not JSON"),
        (b"STIX", "not JSON"),
        (b"[]", "not a STIX bundle"),
        (b"{}", "not a STIX bundle"),
        (b"{\xff}", "not JSON"),
        (b'{"objects":[]}', "not a STIX bundle"),
        (ONE, "not a STIX bundle"),
        (bundle_of(ONE)[:-1], "not JSON"),
        (bundle_of(ONE) + b"x", "something follows"),
        (bundle_of(ONE, b"{1}"), "not JSON"),
        (bundle_of(ONE, b""), "not JSON"),
        (b'{"type":"bundle","objects":{}}', "not a list"),
        (b'{"type":"bundle","objects":null}', "not a list"),
        (b'{"type":"bundle","objects":1}', "not a list"),
        (b'{"type":"bundle","x":NaN,"objects":[]}', "NaN"),
        (b'{"type":"bundle","x":1e400,"objects":[]}', "beyond a double"),
        (b'{"type":"bundle","x":"\\ud800","objects":[]}', "surrogate"),
        (b'{"type":"indicator","type":"bundle","objects":[]}', "'type' stands twice"),
        (b'{"type":"bundle","objects":[' + ONE + b'],"objects":[]}', "'objects' stands twice"),
        (b'{"type":"bundle","objects":[' + ONE + b'],"objects":[' + ONE + b"]}", "'objects' stands twice"),
        (b'{"type":"bundle","objects":[NaN],"obj\\u0065cts":[' + ONE + b"]}", "'objects' stands twice"),
        (b'{"type":"bundle","obj\\u0065cts":[' + ONE + b'],"objects":[]}', "'objects' stands twice"),
        (b"\xef\xbb\xbf" + bundle_of(ONE), "byte-order mark"),
        (bundle_of(ONE).decode().encode("utf-16"), "byte-order mark"),
        (bundle_of(ONE).decode().encode("utf-16-le"), "UTF-16"),
        (bundle_of(ONE).decode().encode("utf-16-be"), "UTF-16"),
        (bundle_of(ONE).decode().encode("utf-32-be"), "UTF-16"),
        (DEEP, "nest"),
        (bundle_of(DEEP), "nest"),
        (bundle_of(DEEP + b"]" * 100_000), "nest"),
        (b'{"type":"bundle","x":' + DEEP + b"]" * 100_000 + b',"objects":[]}', "nest"),
        (b'{"type":"bundle","x":' + b"[" * 70 + b"]" * 70 + b',"objects":[]}', "nest"),
    ],
)
def test_unreadable_bundle_is_refused_whole(data: bytes, detail: str) -> None:
    with pytest.raises(FormatError) as caught:
        bundle.members(data, place="feed.json")
    assert detail in caught.value.detail
    assert caught.value.place == "feed.json"
    assert caught.value.remedy


@settings(deadline=None)  # the first example compiles schemas
@given(st.lists(VALUES, max_size=4), st.sampled_from(["ascii", "utf-8"]), SPACES, VALUES)
def test_members_are_the_slices_that_were_written(values: list[object], form: str, space: str, beside: object) -> None:
    pieces = [json.dumps(value, ensure_ascii=form == "ascii").encode() for value in values]
    inside = (space + ",").encode().join(pieces)
    extra = json.dumps(beside).encode()
    data = b'{"type":"bundle","x":' + extra + space.encode() + b',"objects":[' + inside + b"]" + space.encode() + b"}"
    assert bundle.members(data, place="f") == pieces
    assert bundle._cut_tolerantly(data)[0] == pieces


@settings(deadline=None)  # the first example compiles schemas
@given(st.lists(st.sampled_from([b"NaN", b"-Infinity", b'"a\x01"', b'{"a":"\\ud800"}', b"1", b'"\xff"']), min_size=1))
def test_members_that_are_nearly_json_are_cut_exactly(pieces: list[bytes]) -> None:
    assert bundle.members(bundle_of(*pieces), place="f") == pieces
