"""A sheet has one form in bytes: what was written is read back, a changed byte is refused or says something else."""

import hashlib
import unicodedata
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.errors import FormatError
from entente.strict import canonical, time_text
from entente.treaty import cover
from entente.treaty.cover import (
    DOCUMENT,
    FORMATS,
    MAX_SHEET,
    REPLY,
    REQUEST,
    DocumentSheet,
    ReplySheet,
    RequestSheet,
    Sheet,
    Stated,
    covered,
    open_document,
    open_package,
    open_record,
    package,
    parse_sheet,
    sheet_bytes,
    sheet_end,
)
from entente.treaty.record import Long, whole

START = datetime(2000, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
tags = st.sampled_from(["en", "hi", "ko", "zh-Hant", "sr-Latn-RS"])
chars = st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]).filter(lambda char: char.isprintable())
plain = st.text(chars, min_size=1, max_size=40).filter(lambda text: text.strip())
words = plain.map(lambda text: unicodedata.normalize("NFC", text))
braces = st.sampled_from(['{"}', '\\"', '\\\\"{', '}{"', "\\", '"'])
lines = st.lists(st.one_of(words, braces, st.just("\n")), min_size=1, max_size=5).map("".join).filter(str.strip)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
sets = st.sets(digests, max_size=3).map(lambda found: tuple(sorted(found)))
unset: Any = st.just(msgspec.UNSET)
kinds = st.sampled_from(["report", "translation", "extract", "image", "data", "other"])
reasons = st.sampled_from(
    ["not_held", "not_releasable", "not_understood", "too_broad", "too_late", "duplicate", "other"]
)
days = st.one_of(unset, st.dates().map(lambda day: day.isoformat()))

stated = st.builds(
    Stated,
    title=st.dictionaries(tags, st.one_of(words, braces), min_size=1),
    language=tags,
    kind=kinds,
    derived=sets,
    author=st.one_of(unset, words),
    date=days,
)
documents = st.builds(covered, stated, st.sampled_from(["text/plain", "image/png"]), digests, st.integers(1, 2**40))
requests = st.builds(
    RequestSheet,
    text=st.dictionaries(tags, lines, min_size=1),
    area=st.sampled_from(["documents", "intelligence"]),
    priority=st.sampled_from(["routine", "priority", "immediate"]),
    wanted_by=st.one_of(unset, st.datetimes(START, timezones=st.just(UTC)).map(time_text)),
)
replies = st.one_of(
    st.builds(ReplySheet, digests, st.just("acknowledged"), st.just(())),
    st.builds(ReplySheet, digests, st.just("answered"), sets),
    st.builds(ReplySheet, digests, st.just("closed"), sets, st.one_of(unset, reasons)),
    st.builds(ReplySheet, digests, st.just("refused"), st.just(()), reasons),
)
sheets = st.one_of(documents, requests, replies)


def form_of(sheet: Sheet) -> str:
    return {DocumentSheet: DOCUMENT, RequestSheet: REQUEST, ReplySheet: REPLY}[type(sheet)]


@given(sheets)
def test_what_was_written_is_read_back(sheet: Sheet) -> None:
    data = sheet_bytes(sheet)
    assert parse_sheet(form_of(sheet), data) == sheet
    assert canonical(msgspec.to_builtins(sheet)) == data


@given(sheets, st.data())
def test_a_changed_byte_is_refused_or_says_something_else(sheet: Sheet, draw: st.DataObject) -> None:
    data = sheet_bytes(sheet)
    place = draw.draw(st.integers(0, len(data) - 1))
    other = data[:place] + bytes([data[place] ^ draw.draw(st.integers(1, 255))]) + data[place + 1 :]
    try:
        found = parse_sheet(form_of(sheet), other)
    except FormatError:
        return
    assert found != sheet
    assert sheet_bytes(found) == other


@given(sheets, st.binary(max_size=200))
def test_the_end_of_a_sheet_is_found_whatever_follows(sheet: Sheet, rest: bytes) -> None:
    data = sheet_bytes(sheet)
    assert sheet_end(data + rest) == len(data)
    for cut in {0, 1, len(data) // 2, len(data) - 1}:
        with pytest.raises(FormatError):
            sheet_end(data[:cut])


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_with_a_reason(data: bytes) -> None:
    for form in FORMATS:
        with pytest.raises(FormatError):
            open_record(form, data)
        with pytest.raises(FormatError):
            open_package(form, data)


@given(stated, st.binary(min_size=1, max_size=300), st.text("ABC /", max_size=10), sets)
def test_a_package_gives_back_what_went_in(found: Stated, file: bytes, label: str, parents: tuple[str, ...]) -> None:
    for data in (file, Long(len(file), lambda start, end: iter([file[start:end]]))):
        made = open_package(DOCUMENT, package(found, data, label=label, parents=parents))
        assert (made.stated, made.label, made.parents, whole(made.file)) == (found, label, parents, file)


@given(stated, st.binary(min_size=1, max_size=300))
def test_a_document_is_its_cover_and_its_file(found: Stated, file: bytes) -> None:
    sheet = covered(found, "text/plain", hashlib.sha256(file).hexdigest(), len(file))
    data = sheet_bytes(sheet) + file
    assert open_document(data) == (sheet, file)
    for other in (data + b"x", data[:-1]):
        with pytest.raises(FormatError, match="bytes of file"):
            open_document(other)


GOOD = RequestSheet({"en": "Where?"}, "documents", "routine")
WORDS = Stated(title={"en": "Report"}, language="en", kind="report")


def replaced(sheet: Any, **more: Any) -> Any:
    return msgspec.structs.replace(sheet, **more)


@pytest.mark.parametrize(
    ("sheet", "reason"),
    [
        (replaced(GOOD, text={}), "length"),
        (replaced(GOOD, text={"en": " "}), "empty"),
        (replaced(GOOD, text={"EN": "Where?"}), "matching"),
        (replaced(GOOD, text={"en": "a\tb"}), "control"),
        (replaced(GOOD, text={"en": "a\u202eb"}), "control"),
        (replaced(GOOD, text={"en": "e\u0301"}), "normalization"),
        (replaced(GOOD, area="no area\n"), "matching"),
        (replaced(GOOD, priority="at once"), "Invalid enum"),
        (replaced(GOOD, wanted_by="2026-06-01"), "is not a time"),
        (replaced(GOOD, text={"en": "x" * MAX_SHEET}), "more than 65536"),
        (ReplySheet("ab" * 32, "refused", ()), "without a reason"),
        (ReplySheet("ab" * 32, "answered", (), "other"), "a reason with"),
        (ReplySheet("ab" * 32, "refused", ("ab" * 32,), "other"), "releases with"),
        (ReplySheet("ab" * 32, "answered", ("bb" * 32, "ab" * 32)), "sorted set"),
        (ReplySheet("ab" * 31, "answered", ()), "matching"),
        (ReplySheet("ab" * 32, "refused", (), "they are busy"), "Invalid enum"),  # type: ignore[arg-type]
    ],
)
def test_an_ill_formed_sheet_is_neither_written_nor_read(sheet: Sheet, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        sheet_bytes(sheet)
    with pytest.raises(FormatError, match=reason):
        parse_sheet(form_of(sheet), canonical(msgspec.to_builtins(sheet)))


@pytest.mark.parametrize(
    "more",
    [
        {"title": {}},
        {"title": {"en": "two\nlines"}},
        {"title": {"en": " "}},
        {"language": "English"},
        {"kind": "memo"},
        {"date": "2026-02-30"},
        {"date": "1 June"},
        {"author": ""},
        {"derived": ("ff" * 32, "00" * 32)},
    ],
)
def test_what_a_person_states_is_held_to_the_same_rules(more: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        package(replaced(WORDS, **more), b"file")


def test_unknown_fields_and_a_second_spelling_are_refused() -> None:
    data = sheet_bytes(GOOD)
    for other in (
        data[:-1] + b',"x":1}',
        data.replace(b":", b": ", 1),
        data.replace(b"Where", b"\\u0057here"),
        b"\xef\xbb\xbf" + data,
        data.replace(b'"priority":"routine"', b'"priority":"routine","priority":"routine"'),
    ):
        with pytest.raises(FormatError):
            open_record(REQUEST, other)


def test_a_request_or_reply_has_nothing_after_it() -> None:
    with pytest.raises(FormatError, match="something follows"):
        open_record(REQUEST, sheet_bytes(GOOD) + b"\n")
    with pytest.raises(FormatError, match="something follows"):
        open_package(REQUEST, whole(package(GOOD)) + b"x")


def test_a_long_document_is_opened_without_reading_it() -> None:
    sheet = covered(WORDS, "text/plain", "00" * 32, 1 << 40)
    first = sheet_bytes(sheet)
    asked = []

    def read(start: int, end: int) -> Any:
        asked.append((start, end))
        return iter([first[start:end]])

    found, file = open_document(Long(len(first) + (1 << 40), read))
    assert found == sheet
    assert isinstance(file, Long)
    assert file.size == 1 << 40
    assert asked == [(0, MAX_SHEET)]


def test_every_form_has_a_sheet() -> None:
    assert set(cover.FORMATS) == {"document-1", "request-1", "reply-1"}
    with pytest.raises(FormatError, match="no record of the core"):
        parse_sheet("stix-2.1", b"{}")
