"""A file is what its bytes are: the media type is told by content, and whole kinds are refused with a reason."""

import codecs
import json

import pytest
from corpus import OLE, PNG, archive, docx, docx_members, odt, pdf
from hypothesis import given
from hypothesis import strategies as st

from entente.areas.documents.media import HEAD, MAX_JSON, Sniffer
from entente.areas.documents.refusal import ActiveError

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


def sniffed(data: bytes, *, inside: bool = False, step: int = 0) -> str:
    sniffer = Sniffer(inside=inside)
    for at in range(0, len(data), step or len(data) or 1):
        sniffer.feed(data[at : at + step] if step else data)
    return sniffer.finish()


def renamed(main: str) -> bytes:
    members = docx_members()
    body = members.pop("word/document.xml")
    return archive({**members, main: body})


KINDS = {
    "text/plain": [
        b"Convoy at dawn.\n",
        "호위".encode(),
        codecs.BOM_UTF8 + b"a;b\n1;2\n",
        b"1 < 2 and 3 > 2",
        b"<3 you",
    ],
    "application/json": [b'{"a": [1, 2.5, null]}', b" \n[]\n", json.dumps(["호위"] * 3000).encode()],
    "text/html": [b"<!DOCTYPE html><p>x", b"\n<!-- a --><HTML>", b"<div class='x'>", codecs.BOM_UTF8 + b"<p>x</p>"],
    "application/xml": [b'<?xml version="1.0"?><order/>', b"<?xml?><!-- x --><a:order xmlns:a='b'>", b"<order>"],
    "image/svg+xml": [b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'<?xml version="1.0"?>\n<svg:svg >'],
    "application/pdf": [pdf()],
    "application/zip": [archive({"a.txt": b"x"}), renamed("elsewhere/document.xml")],
    WORD: [docx()],
    SHEET: [renamed("xl/workbook.xml")],
    SLIDES: [renamed("ppt/presentation.xml")],
    "application/vnd.oasis.opendocument.text": [odt()],
    "application/rtf": [b"{\\rtf1 hello}"],
    "image/png": [PNG],
    "image/jpeg": [b"\xff\xd8\xff\xe0\x00\x10JFIF"],
    "image/gif": [b"GIF89a" + bytes(30)],
    "image/tiff": [b"II*\x00" + bytes(30), b"MM\x00*" + bytes(30)],
    "image/webp": [b"RIFF\x10\x00\x00\x00WEBPVP8 "],
    "image/heic": [b"\x00\x00\x00\x18ftypheic" + bytes(8)],
    "audio/vnd.wave": [b"RIFF\x10\x00\x00\x00WAVEfmt "],
    "audio/mpeg": [b"ID3\x04" + bytes(20), b"\xff\xfb\x90" + bytes(20)],
    "video/mp4": [b"\x00\x00\x00\x18ftypisom" + bytes(8)],
    "application/octet-stream": [b"\x00\x01\x02", "Straße".encode("latin-1"), b"words\x00", b"words \xff"],
}


@pytest.mark.parametrize(("media", "data"), [(media, data) for media, found in KINDS.items() for data in found])
def test_the_media_type_is_what_the_bytes_are(media: str, data: bytes) -> None:
    assert sniffed(data) == media
    for step in (1, 7, HEAD - 1, HEAD + 1):
        assert sniffed(data, step=step) == media


REFUSED = {
    "Windows": b"MZ\x90\x00",
    "ELF": b"\x7fELF\x02",
    "Mach-O": bytes.fromhex("cffaedfe") + bytes(8),
    "Java": b"\xca\xfe\xba\xbe\x00\x00\x00\x34",
    "WebAssembly": b"\x00asm\x01\x00\x00\x00",
    "what runs it": b"#!/bin/sh\nrm -r x\n",
    "shortcut": b"L\x00\x00\x00\x01\x14\x02\x00" + bytes(60),
    "starts something": b"[InternetShortcut]\r\nURL=file:///x\r\n",
    "OLE2": OLE,
    "PostScript": b"%!PS-Adobe-3.0\n",
    "UTF-16": "<html>".encode("utf-16"),
    "other than ZIP": b"\x1f\x8b\x08" + bytes(20),
    "an archive other": b"x" * 257 + b"ustar" + bytes(300),
    "7": b"7z\xbc\xaf\x27\x1c" + bytes(20),
    "empty archive": b"PK\x05\x06" + bytes(18),
    "web archive": b"MIME-Version: 1.0\nContent-Type: multipart/related\n",
    "of which kind": b"<!-- " + b"x" * 2 * HEAD,
    "not UTF-8": b"<p>Stra\xdfe</p>",
    "it is empty": b"",
}


@pytest.mark.parametrize(("reason", "data"), REFUSED.items(), ids=list(REFUSED))
def test_a_kind_that_acts_or_cannot_be_looked_into_is_refused(reason: str, data: bytes) -> None:
    if reason == "7":
        reason = "other than ZIP"
    for step in (0, 1, 300):
        with pytest.raises(ActiveError, match=reason):
            sniffed(data, step=step)


@pytest.mark.parametrize("first", [b"x", PNG, b"GIF89a", b"\xff\xd8\xff", b"words and\n" * 90, b"{"])
def test_a_pdf_that_begins_later_makes_a_file_of_two_kinds(first: bytes) -> None:
    with pytest.raises(ActiveError, match="read this file differently"):
        sniffed(first + pdf())
    assert sniffed(b"x" * 1025 + b"%PDF-1.7") == "text/plain"


@pytest.mark.parametrize("first", [PNG, b"GIF89a", b"plain words\n", b"\xff\xd8\xff", b"\x00\x01"])
def test_an_archive_at_the_end_makes_a_file_of_two_kinds(first: bytes) -> None:
    for rest in (b"", b"trailing bytes"):
        with pytest.raises(ActiveError, match="hides at its end"):
            sniffed(first + archive({"a.txt": b"x"}) + rest)
    with pytest.raises(ActiveError, match="hides at its end"):
        sniffed(pdf() + archive({"a.txt": b"x"}))


def test_an_archive_with_something_before_or_after_it_is_refused_by_its_directory_alone() -> None:
    good = archive({"a.txt": b"words"})
    for data in (b"PK\x03\x04" + good, good + b"PK", good[:4] + good, good[:-1], good[:-22]):
        with pytest.raises(ActiveError, match="ZIP archive"):
            sniffed(data)


def test_an_archive_inside_an_archive_is_refused() -> None:
    with pytest.raises(ActiveError, match="inside an archive"):
        sniffed(docx(), inside=True)


def test_what_looks_like_json_and_is_too_long_or_broken_is_text() -> None:
    assert sniffed(b'{"a": 1') == "text/plain"
    assert sniffed(b'{"a": 1, "a": 2}') == "text/plain"
    assert sniffed(b"[" * 5000) == "text/plain"
    long = b"[" + b"1," * (MAX_JSON // 2) + b"1]"
    assert sniffed(long) == "text/plain"


@given(st.binary(min_size=1, max_size=600), st.integers(1, 50))
def test_any_bytes_get_the_same_answer_however_they_are_cut(data: bytes, step: int) -> None:
    def answer(size: int) -> str:
        try:
            return sniffed(data, step=size)
        except ActiveError as fault:
            return fault.reason

    assert answer(step) == answer(0)


def test_a_prolog_of_many_comments_takes_no_second_try() -> None:
    for comment in (b"<!---->", b"<?a?>", b" <!-- - -->"):
        with pytest.raises(ActiveError, match="of which kind"):
            sniffed(comment * 3000)
