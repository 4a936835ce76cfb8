"""A package becomes one record whose bytes any reader takes apart the same way, in one pass; what is wrong is told."""

import hashlib
from typing import Any

import msgspec
import pytest
from corpus import PNG, docx, in_pieces, packed, pdf, stated
from hypothesis import given
from hypothesis import strategies as st

from entente.areas.documents import AREA, record
from entente.errors import FormatError
from entente.treaty.cover import (
    DOCUMENT,
    REPLY,
    REQUEST,
    ReplySheet,
    RequestSheet,
    covered,
    open_document,
    package,
    sheet_bytes,
)
from entente.treaty.record import Data, Long, Record, whole


def split_one(form: str, data: Data) -> Record:
    (found,), rejected = AREA.split(form, data, place="x")
    assert not rejected
    return found


def reason_of(data: Data) -> str:
    found, (rejected,) = AREA.split(DOCUMENT, data, place="here.bin")
    assert not found
    assert rejected.place == "here.bin"
    return rejected.reason


def read_one(form: str, data: Data) -> Record:
    found = AREA.read(form, data)
    assert isinstance(found, Record), found
    return found


@pytest.mark.parametrize("file", [b"Convoy at dawn", docx(), pdf(), PNG])
def test_what_is_split_at_home_is_read_as_the_same_record(file: bytes) -> None:
    label = "NATO RESTRICTED"
    made = split_one(DOCUMENT, package(stated(), file, label=label, parents=("ab" * 32,)))
    assert (made.markings, made.parents, made.type) == ((label,), ("ab" * 32,), "report")
    found = read_one(DOCUMENT, made.data)
    for name in ("id", "media", "type", "version", "title", "author", "names"):
        assert getattr(found, name) == getattr(made, name)
    sheet, rest = open_document(whole(made.data))
    assert (rest, sheet.sha256, sheet.size) == (file, hashlib.sha256(file).hexdigest(), len(file))
    assert label.encode() not in whole(made.data), "the foreign label stays at home"


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 700))
def test_a_record_that_passes_once_in_pieces_is_the_same(file: bytes, size: int) -> None:
    found, rejected = AREA.split(DOCUMENT, packed(file), place="x")
    if rejected:
        return
    data = whole(found[0].data)
    at_once, in_parts = AREA.read(DOCUMENT, data), AREA.read(DOCUMENT, in_pieces(data, size))
    if isinstance(at_once, str):
        assert at_once == in_parts
        return
    assert isinstance(in_parts, Record)
    assert isinstance(in_parts.data, Long)
    assert in_parts.sha256 == at_once.sha256 == hashlib.sha256(data).hexdigest(), "known without a second pass"
    assert msgspec.structs.replace(in_parts, data=b"") == msgspec.structs.replace(at_once, data=b"")


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_changed_byte_is_refused_or_is_a_changed_cover(file: bytes, draw: st.DataObject) -> None:
    found, rejected = AREA.split(DOCUMENT, packed(b"-" + file), place="x")
    if rejected:
        return
    data = whole(found[0].data)
    place = draw.draw(st.integers(0, len(data) - 1))
    other = data[:place] + bytes([data[place] ^ draw.draw(st.integers(1, 255))]) + data[place + 1 :]
    again = AREA.read(DOCUMENT, other)
    if isinstance(again, Record):
        assert open_document(other)[0] != open_document(data)[0]
        assert open_document(other)[1] == open_document(data)[1]


def test_a_cover_that_says_something_else_of_its_file_is_refused() -> None:
    file = b"Convoy at dawn"
    digest = hashlib.sha256(file).hexdigest()
    for sheet, reason in (
        (covered(stated(), "text/plain", "00" * 32, len(file)), "SHA-256"),
        (covered(stated(), "image/png", digest, len(file)), "the file is text/plain"),
        (covered(stated(), "text/plain", digest, len(file) + 1), "bytes of file"),
    ):
        told = AREA.read(DOCUMENT, sheet_bytes(sheet) + file)
        assert isinstance(told, str)
        assert reason in told


def test_a_record_that_ends_early_is_told_so() -> None:
    data = whole(split_one(DOCUMENT, packed(b"Convoy at dawn " * 9000)).data)
    short = Long(len(data), lambda start, end: iter([data[start : end - 10]]))
    assert AREA.read(DOCUMENT, short) == "the document ends early"


def test_what_acts_is_rejected_at_home_by_its_kind_and_by_every_reader_by_what_is_in_it() -> None:
    assert "program" in reason_of(packed(b"MZ\x90\x00"))
    assert "empty" in reason_of(packed(b""))
    script = pdf(b"<< /S /JavaScript >>")
    told = AREA.read(DOCUMENT, split_one(DOCUMENT, packed(script)).data)
    assert told == "a PDF with scripts (/JavaScript)"


def test_requests_and_replies_are_records_of_their_sheet_alone() -> None:
    question = RequestSheet({"en": "Who holds\nthe harbour?", "ko": "누구"}, "documents", "routine")
    made = split_one(REQUEST, package(question))
    assert made == read_one(REQUEST, sheet_bytes(question))
    assert (made.type, made.title) == ("request", "Who holds the harbour?")
    assert made.text == "Who holds the harbour? 누구"
    answer = ReplySheet("ab" * 32, "refused", (), "not_held")
    made = split_one(REPLY, package(answer))
    assert made == read_one(REPLY, sheet_bytes(answer))
    assert (made.type, made.title, made.names) == ("reply", "refused (not_held): request " + "ab" * 8, ())


def test_two_files_have_two_ids_and_one_file_has_one() -> None:
    ids = [split_one(DOCUMENT, packed(file)).id for file in (b"one", b"two", b"one")]
    assert ids[0] == ids[2] != ids[1]
    assert ids[0] == f"document--{hashlib.sha256(b'one').hexdigest()}"


def test_a_title_is_shown_in_the_documents_own_language_on_one_line() -> None:
    found = split_one(
        DOCUMENT, package(msgspec.structs.replace(stated(), title={"en": "Patrol", "ko": "초계"}, language="ko"), b"x")
    )
    assert found.title == "초계"
    question = RequestSheet({"en": "Who\u200b?\n" + "x" * 500}, "documents", "routine")
    title = split_one(REQUEST, package(question)).title
    assert len(title) == 120
    assert title.isprintable()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"words without a cover", "no line of JSON"),
        (b"{}\nwords", "missing required field"),
        (b'{"cover":{},"label":"","parents":[]}\nwords', "missing required field"),
        (b'{"cover":{},"label":"","parents":["00"]}\nwords', "matching"),
        (whole(packed(b"x")).replace(b'"label"', b' "label"'), "canonical"),
        (whole(packed(b"x")).replace(b'"report"', b'"memo"'), "Invalid enum"),
    ],
)
def test_a_package_that_is_not_well_formed_is_told_with_its_place(data: Any, reason: str) -> None:
    with pytest.raises(FormatError, match=reason) as told:
        AREA.split(DOCUMENT, data, place="here.bin")
    assert told.value.place == "here.bin"


def test_there_is_one_view_and_prose_points_nowhere() -> None:
    assert AREA.view("full", b"x") == b"x"
    assert AREA.view("no-prose", b"x") is None
    assert AREA.mention_pattern([]) is None
    assert record.MEDIA.keys() == set(AREA.formats)
