"""An entry is taken in only as its one canonical spelling with every field in its alphabet."""

import copy
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente import keys, strict
from entente.errors import FormatError
from entente.register.entry import KINDS, MAX_ENTRY_BYTES, Entry, Seen, Sig, act_id, encode, parse_entry, signed_message

PLAIN: dict[str, Any] = {
    "v": 1,
    "kind": "claim",
    "at": "2026-11-22T11:30Z",
    "seen": {"epoch": 1, "size": 0, "root": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    "agreement": "ab" * 32,
    "body": {"key": "count", "nonce": "00" * 16, "value": 3},
    "sigs": [{"by": "IND/ro-07", "sig": "cd" * 64}, {"by": "KOR/a", "sig": "ef" * 64}],
}


def changed(path: str, value: object) -> bytes:
    """The canonical bytes of PLAIN with one field set, or removed where the value is None."""
    whole = copy.deepcopy(PLAIN)
    target: Any = whole
    *way, last = path.split(".")
    for step in way:
        target = target[int(step) if step.isdigit() else step]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return strict.canonical(whole)


def test_an_entry_reads_back() -> None:
    data = strict.canonical(PLAIN)
    entry = parse_entry(data)
    assert entry.body == PLAIN["body"]
    assert entry.seen == Seen(1, 0, PLAIN["seen"]["root"])
    assert entry.sigs == [Sig("IND/ro-07", "cd" * 64), Sig("KOR/a", "ef" * 64)]
    assert entry.moment == datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
    assert encode(entry) == data
    assert all(parse_entry(changed("kind", kind)).kind == kind for kind in KINDS)
    assert parse_entry(changed("sigs", [])).sigs == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("v", 2), ("v", True), ("v", "1"), ("v", None), ("kind", "gossip"), ("kind", None),
        ("at", "2026-11-22T11:30:00Z"), ("at", "2026-13-22T11:30Z"),
        ("at", "2026-11-22T11:30Z\n"), ("at", 5), ("at", None), ("agreement", "AB" * 32),
        ("agreement", "ab" * 31), ("agreement", None), ("seen.root", "ab" * 33), ("seen.root", "xy" * 32),
        ("seen.epoch", 0), ("seen.epoch", "1"), ("seen.size", -1), ("seen.size", None), ("seen.extra", 1), ("extra", 1),
        ("body", []), ("body", "text"), ("body", None), ("sigs", None), ("sigs", {}), ("sigs.0.sig", "cd" * 63),
        ("sigs.0.sig", "CD" * 64), ("sigs.0.by", ""), ("sigs.0.by", "KOR/a"), ("sigs.0.by", "Z"), ("sigs.0.extra", 1),
        ("sigs.1.by", None), ("body.value", 2**53), ("body.text", "e\u0301"), ("body.text", "\u202e"),
        ("body.text", "a\nb"),
    ],
)  # fmt: skip
def test_a_field_outside_its_alphabet_is_refused(path: str, value: object) -> None:
    with pytest.raises(FormatError):
        parse_entry(changed(path, value))


def test_line_feeds_stand_in_undertakings_only() -> None:
    for kind in KINDS:
        whole = PLAIN | {"kind": kind, "body": {"kind": "undertaking", "text": "a\nb"}}
        if kind == "undertaking":
            assert parse_entry(strict.canonical(whole)).body["text"] == "a\nb"
        else:
            with pytest.raises(FormatError):
                parse_entry(strict.canonical(whole))
        harmless = PLAIN | {"kind": kind, "body": {"text": "C:\\new"}}
        assert parse_entry(strict.canonical(harmless)).body["text"] == "C:\\new"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        strict.canonical(PLAIN) + b"\n",
        b" " + strict.canonical(PLAIN),
        strict.canonical(PLAIN).replace(b'"v":1', b'"v":1.0'),
        strict.canonical(PLAIN).replace(b'"v":1', b'"v":1,"v":1'),
        strict.canonical(PLAIN).replace(b'"v":1', b'"v": 1'),
        strict.canonical(PLAIN).replace(b'"value":3', b'"value":null'),
        strict.canonical(PLAIN).replace(b"count", b"\\u0063ount"),
    ],
)
def test_another_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_entry(data)


def test_an_entry_may_be_32768_bytes_and_no_more() -> None:
    room = MAX_ENTRY_BYTES - len(changed("body", {"pad": ""}))
    assert parse_entry(changed("body", {"pad": "x" * room})).kind == "claim"
    too_long = changed("body", {"pad": "x" * (room + 1)})
    with pytest.raises(FormatError, match="32769 bytes"):
        parse_entry(too_long)


@given(st.binary(max_size=60))
def test_random_bytes_end_in_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_entry(data)


def test_every_flipped_byte_changes_the_entry_or_is_refused() -> None:
    data = strict.canonical(PLAIN)
    whole = parse_entry(data)
    for place in range(len(data)):
        with suppress(FormatError):
            assert parse_entry(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]) != whole


def test_what_would_not_read_back_is_not_written() -> None:
    entry = parse_entry(strict.canonical(PLAIN))
    for body in ({"x": 1.5}, {"x": None}, {"x": "e\u0301"}, {"x": "y" * 40_000}, {1: "number as key"}, {"x": (1, 2)}):
        with pytest.raises(FormatError):
            encode(Entry(1, "claim", entry.at, entry.seen, entry.agreement, body, []))  # type: ignore[arg-type]


def test_signatures_cover_kind_origin_agreement_and_body_only() -> None:
    entry, origin = parse_entry(strict.canonical(PLAIN)), "entente/demo/IND-to-KOR/1"
    body = (
        b'{"agreement":"' + b"ab" * 32 + b'","body":{"key":"count","nonce":"' + b"00" * 16 + b'","value":3},'
        b'"origin":"entente/demo/IND-to-KOR/1"}'
    )
    media = b"application/vnd.entente.claim.v1+json"
    expected = b"DSSEv1 37 " + media + b" " + str(len(body)).encode() + b" " + body
    assert signed_message(origin, entry) == expected == keys.pae("claim", body)
    assert act_id(origin, entry) == sha256(expected).hexdigest()
    later = parse_entry(strict.canonical(PLAIN | {"at": "2027-01-01T00:00Z", "sigs": []}))
    assert signed_message(origin, later) == expected
    for path, value in (("kind", "order"), ("agreement", "00" * 32), ("body.value", 4)):
        assert act_id(origin, parse_entry(changed(path, value))) != act_id(origin, entry)
    assert act_id(origin + "0", entry) != act_id(origin, entry)
