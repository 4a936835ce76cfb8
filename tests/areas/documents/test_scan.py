"""What acts when a file is opened is found wherever it is kept, in one pass and flat memory; the rest passes."""

import io
import random
import resource
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from corpus import CONTENT, OFFICE, OLE, PNG, RELATIONS, WORD, archive, docx, object_stream, odt, pdf
from hypothesis import given, settings
from hypothesis import strategies as st

from entente.areas.documents import text
from entente.areas.documents.refusal import ActiveError
from entente.areas.documents.scan import Scan

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">%s</svg>'


def scanned(data: bytes, *sizes: int) -> tuple[str, str]:
    """Media type and text of bytes that come in pieces of these sizes, over and over."""
    scan = Scan()
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)] if sizes else len(data)
        scan.feed(data[at : at + size])
        at, number = at + size, number + 1
    return scan.finish(), scan.words.text()


def rels(kind: str, target: str, *, external: bool = True) -> dict[str, bytes]:
    mode = ' TargetMode="External"' if external else ""
    relation = f'<Relationship Id="r9" Type="{OFFICE}/{kind}" Target="{target}"{mode}/>'
    return {"word/_rels/document.xml.rels": f'<Relationships xmlns="{RELATIONS}">{relation}</Relationships>'.encode()}


def word(inner: str) -> dict[str, bytes]:
    return {"word/footer1.xml": f'<w:ftr xmlns:w="{WORD}">{inner}</w:ftr>'.encode()}


def spread(*parts: str) -> str:
    """A field whose instruction is cut into several runs."""
    runs = "".join(f"<w:r><w:instrText>{part}</w:instrText></w:r>" for part in parts)
    return f'<w:fldChar w:fldCharType="begin"/>{runs}<w:fldChar w:fldCharType="end"/>'


def encrypted() -> bytes:
    data = bytearray(archive({"a.txt": b"secret"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def linked() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        link = zipfile.ZipInfo("harmless.txt")
        link.external_attr = 0o120777 << 16
        made.writestr(link, "/etc/passwd")
    return out.getvalue()


def archive_with_extra(kind: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        member = zipfile.ZipInfo("harmless.txt")
        member.extra = struct.pack("<2H", 0xCAFE, 0) + struct.pack("<2H", kind, 7) + b"run.bat"
        made.writestr(member, "words")
    return out.getvalue()


def typed(kind: str) -> dict[str, bytes]:
    override = f'<Override PartName="/x" ContentType="{kind}"/>'
    return {"[Content_Types].xml": f'<Types xmlns="{CONTENT}">{override}</Types>'.encode()}


GOOD = {
    "text": b"Convoy at dawn, said the JavaScript developer: /JavaScript\n",
    "word": docx(),
    "word with a link": docx(more=rels("hyperlink", "https://example.org/a")),
    "word with a picture": docx(more={"word/media/image1.png": PNG}),
    "word with a page number": docx(more=word(spread(" PA", "GE "))),
    "open text": odt(),
    "open text with a link": odt(body='<text:a xlink:href="https://example.org">here</text:a>'),
    "open text with an inner picture": odt(body='<text:x xlink:href="Pictures/1.png"/>'),
    "pdf": pdf(),
    "pdf that opens at a page": pdf(catalog=b"/OpenAction [3 0 R /Fit]"),
    "pdf that jumps": pdf(catalog=b"/OpenAction << /S /GoTo /D [3 0 R /Fit] >>"),
    "pdf with a link": pdf(b"<< /S /URI /URI (https://example.org) >>"),
    "pdf with a font's name escaped": pdf(b"<< /BaseFont /Noto#20Sans >>"),
    "pdf with object streams": pdf(object_stream(b"<< /S /GoTo >>")),
    "pdf with a name table after object streams": pdf(
        object_stream(b"<< /S /GoTo >>"),
        object_stream(b"\x01\x02\x03", b"/DecodeParms << /Predictor 12 >>", named=b"/Type /XRef"),
    ),
    "archive": archive({"a/report.txt": b"words", "b.png": PNG, "empty": b""}),
    "archive of a pdf": archive({"report.pdf": pdf()}),
    "html": b"<!doctype html><html lang=en><head><meta charset=utf-8><title>T</title></head><body><p>Convoy</p>"
    b"<a href='https://example.org'>x</a><img src='data:image/png;base64,AAAA'></body></html>",
    "svg": SVG % b"<g fill='url(#a)'><text>Convoy</text><use xlink:href='#b'/><a xlink:href='https://e.org'/></g>",
    "xml": b'<?xml version="1.0"?><order><p a="b">Convoy</p></order>',
    "rtf": b"{\\rtf1 Convoy \\b at\\b0  dawn}",
}

BAD = {
    "word with macros": (docx(more={"word/vbaProject.bin": OLE}), "macros"),
    "word with a macro's data elsewhere": (docx(more={"word/data.bin": OLE}), "OLE2"),
    "word with a control": (docx(more={"word/activeX/activeX1.xml": b"<a/>"}), "controls"),
    "word with an embedded sheet": (docx(more={"word/embeddings/s.xlsx": docx()}), "embedded"),
    "word with an embedded archive": (docx(more={"word/media/x.bin": docx()}), "inside an archive"),
    "word of the macro kind": (docx(more=typed("application/vnd.ms-word.document.macroEnabled.main+xml")), "macros"),
    "word with a template elsewhere": (docx(more=rels("attachedTemplate", "https://e.org/t.dotm")), "drawn in"),
    "word with a picture elsewhere": (docx(more=rels("image", "https://e.org/p.png")), "from elsewhere"),
    "word with a link to a script": (docx(more=rels("hyperlink", "javascript:x")), "script|elsewhere"),
    "word with a link to a file": (docx(more=rels("hyperlink", "file:///c:/x.exe")), "from elsewhere"),
    "word with a macro under another name": (docx(more=rels("vbaProject", "x.bin", external=False)), "drawn in"),
    "word with a ribbon of its own": (docx(more=rels("extensibility", "x.xml", external=False)), "drawn in"),
    "word with an object": (docx(more=rels("oleObject", "x.bin", external=False)), "embedded"),
    "word with a field that runs": (docx(more=word(spread(" DDE", 'AUTO c:\\\\cmd.exe "/k"'))), "field"),
    "word with a simple field that fetches": (docx(more=word('<w:fldSimple w:instr=" INCLUDEPICTURE x"/>')), "field"),
    "word with a document type": (
        docx(more={"word/x.xml": b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}),
        "document type",
    ),
    "word with damaged xml": (docx(more={"word/x.xml": b"<a>"}), "damaged XML"),
    "word with utf-16": (docx(more={"word/x.dat": "<a/>".encode("utf-16")}), "UTF-16"),
    "slide with a button that runs": (
        docx(more={"ppt/s.xml": f'<a xmlns="{WORD}"><b action="ppaction://macro?name=x"/></a>'.encode()}),
        "button",
    ),
    "sheet that fetches": (
        docx(more={"xl/s.xml": f'<c xmlns="{WORD}"><f>_xlfn.WEBSERVICE("h")</f></c>'.encode()}),
        "formula",
    ),
    "sheet with a macro sheet": (docx(more={"xl/macrosheets/s.xml": b"<a/>"}), "macros"),
    "open text with scripts": (odt(more={"Basic/Standard/a.xml": b"<a/>"}), "macros"),
    "open text with an event": (odt(body="<office:event-listeners/>"), "scripts"),
    "open text with a picture elsewhere": (odt(body='<text:x xlink:href="https://e.org/p"/>'), "from elsewhere"),
    "open text that runs a macro": (odt(body='<text:a xlink:href="vnd.sun.star.script:a"/>'), "from elsewhere"),
    "open text encrypted": (
        odt(more={"META-INF/manifest.xml": b'<m:encryption-data xmlns:m="urn:oasis:names:tc:opendocument:x"/>'}),
        "encrypted",
    ),
    "pdf with a script": (pdf(b"<< /S /JavaScript /JS (app.alert(1)) >>"), "scripts"),
    "pdf with a short name": (pdf(b"<< /JS (app.alert(1)) >>"), "scripts"),
    "pdf with a script in the catalog": (pdf(catalog=b"/OpenAction << /S /JavaScript /JS (x) >>"), "scripts"),
    "pdf with an escaped name": (pdf(b"<< /S /J#61vaScript >>"), "another spelling"),
    "pdf with an escaped short name": (pdf(b"<< /A/#4aS (x) >>"), "another spelling"),
    "pdf with a script in an object stream": (pdf(object_stream(b"<< /S /JavaScript >>")), "scripts"),
    "pdf with a hidden object stream": (pdf(object_stream(b"<< >>", named=b"/Type /Obj#53tm")), "another spelling"),
    "pdf with an odd object stream": (pdf(object_stream(b"<< >>", b"/DecodeParms << /Predictor 12 >>")), "unusual"),
    "pdf with a string before its object stream": (
        pdf(object_stream(b"<< /S /JavaScript >>", named=b"/Type /ObjStm /X (1 0 obj)")),
        "scripts",
    ),
    "pdf that starts a program": (pdf(b"<< /S /Launch /F (cmd.exe) >>"), "starts a program"),
    "pdf with a file in it": (pdf(catalog=b"/Names << /EmbeddedFiles 9 0 R >>"), "embedded file"),
    "pdf with media": (pdf(b"<< /Subtype /RichMedia >>"), "media"),
    "pdf with a live form": (pdf(catalog=b"/AcroForm << /XFA 9 0 R >>"), "form"),
    "pdf that acts at opening": (pdf(catalog=b"/OpenAction << /S /URI /URI (https://e.org) >>"), "when it is opened"),
    "pdf encrypted": (pdf(catalog=b"/Encrypt 9 0 R"), "encrypted"),
    "archive encrypted": (encrypted(), "encrypted"),
    "archive with a link": (linked(), "link to elsewhere"),
    "archive with a second name": (archive_with_extra(0x7075), "two names"),
    "archive encrypted by AES": (archive_with_extra(0x9901), "encrypted"),
    "archive in an archive": (archive({"a.zip": archive({"b": b"x"})}), "inside an archive"),
    "tar in an archive": (archive({"a.tgz": b"\x1f\x8b\x08" + bytes(50)}), "other than ZIP"),
    "program in an archive": (archive({"a": b"x", "b/readme.txt": b"MZ\x90"}), "program"),
    "script in an archive": (archive({"run.ps1": b"Get-Item"}), "program or script"),
    "pdf with a script in an archive": (
        archive({"a.pdf": pdf(b"<< /S /JavaScript >>")}),
        "'a.pdf': a PDF with scripts",
    ),
    "html with a script": (b"<html><script>x()</script></html>", "scripts"),
    "html with an event": (b"<p onclick='x()'>x</p>", "onclick"),
    "html with a script hidden in a comment": (b"<p>x</p><!--><script>x()</script>-->", "scripts"),
    "html with a picture elsewhere": (b"<p><img src='https://e.org/p.png'></p>", "draw something in"),
    "html with a written-out script link": (b"<p><a href='java&#115;cript:x()'>x</a></p>", "draw something in"),
    "html with a style that fetches": (b"<p><style>p{background:url(https://e.org)}</style></p>", "style"),
    "html that goes elsewhere": (b"<html><meta http-equiv=refresh content='0;url=https://e.org'>", "may act"),
    "html in another encoding": (b"<html><meta charset=iso-2022-jp><p>x", "another encoding"),
    "html with a frame": (b"<html><iframe src=x></iframe>", "frames"),
    "html with an unknown element": (b"<html><blink>x", "not known to be harmless"),
    "svg with a script": (SVG % b"<script>x()</script>", "acts"),
    "svg with an event": (SVG % b"<g onload='x()'/>", "acts"),
    "svg with a picture elsewhere": (SVG % b"<image xlink:href='https://e.org/p.png'/>", "elsewhere"),
    "svg with html": (SVG % b"<foreignObject/>", "acts"),
    "svg with a style that fetches": (SVG % b"<style>@im<!-- -->port 'x'; @import 'y'</style>", "style"),
    "svg based elsewhere": (SVG % b"<g xml:base='https://e.org/'><use xlink:href='#a'/></g>", "elsewhere"),
    "svg that changes its links": (SVG % b"<set attributeName='xlink:href' to='x'/>", "acts"),
    "svg with a document type": (b"<!DOCTYPE svg><svg xmlns='http://www.w3.org/2000/svg'/>", "document type"),
    "xml with a script in it": (
        b"<?xml version='1.0'?><a><s:svg xmlns:s='http://www.w3.org/2000/svg'><s:script/></s:svg></a>",
        "acts",
    ),
    "xml with html in it": (b"<?xml version='1.0'?><a><b xmlns='http://www.w3.org/1999/xhtml'/></a>", "HTML inside"),
    "xml with a style sheet": (b"<?xml version='1.0'?><?xml-stylesheet href='x.xsl'?><order/>", "style sheet"),
    "xml for an office program": (b"<?xml version='1.0'?><?mso-application progid='Word.Document'?><a/>", "Office"),
    "rtf with an object": (b"{\\rtf1{\\object\\objemb{\\*\\objdata 01}}}", "RTF"),
    "rtf with a field that fetches": (b"{\\rtf1{\\field{\\*\\fldinst  DDEAUTO cmd}}}", "RTF"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_does_not_act_passes_however_it_is_cut(name: str) -> None:
    whole = scanned(GOOD[name])
    for sizes in ((1,), (7, 1, 300), (4095,), (4097, 2)):
        assert scanned(GOOD[name], *sizes) == whole


@pytest.mark.parametrize("name", BAD)
def test_what_acts_is_refused_with_its_reason_however_it_is_cut(name: str) -> None:
    data, reason = BAD[name]
    for sizes in ((), (1,), (13, 2), (4095,)):
        with pytest.raises(ActiveError, match=reason):
            scanned(data, *sizes)


@settings(max_examples=60)
@given(st.sampled_from(sorted(GOOD)), st.lists(st.integers(1, 900), min_size=1, max_size=4))
def test_any_pieces_say_what_the_whole_says(name: str, sizes: list[int]) -> None:
    assert scanned(GOOD[name], *sizes) == scanned(GOOD[name])


def test_a_name_is_found_across_any_border_of_two_pieces() -> None:
    data = pdf(b" " * 6000, b"<< /S /JavaScript >>")
    at = data.index(b"/JavaScript")
    for border in range(at - 2, at + 14):
        with pytest.raises(ActiveError, match="scripts"):
            scanned(data, border, len(data))


def test_an_object_stream_is_found_across_any_border_of_two_pieces() -> None:
    data = pdf(b" " * 6000, object_stream(b"<< /S /JavaScript >>"))
    for border in range(data.index(b"/ObjStm") - 6, data.rindex(b"endstream")):
        with pytest.raises(ActiveError, match="scripts"):
            scanned(data, border, len(data))


# Archives that lie


def test_an_archive_whose_directory_and_members_differ_is_refused() -> None:
    good = archive({"report.txt": b"words", "second.txt": b"more words"}, method=zipfile.ZIP_STORED)
    renamed = good.replace(b"report.txt", b"REPORT.txt", 1)
    extra = archive({"x.txt": b"hidden"}, method=zipfile.ZIP_STORED)
    between = extra[: extra.index(b"PK\x01\x02")] + good
    longer = good + b"trailing"
    twice = archive({"a.txt": b"1", "A.TXT": b"2"})
    for data in (renamed, between, longer, twice, good[:-30], good.replace(b"words", b"wordz", 1)):
        with pytest.raises(ActiveError):
            scanned(data)
    assert scanned(good)[0] == "application/zip"


@given(st.data())
@settings(max_examples=80)
def test_a_changed_byte_of_an_archive_is_seen_or_shown(draw: st.DataObject) -> None:
    """Whatever passes after a change is read by the standard library as the very members that passed here."""
    data = bytearray(docx())
    data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    try:
        _, words = scanned(bytes(data))
    except ActiveError:
        return
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as found:
        assert found.testzip() is None
        assert words == "Convoy at dawn"


@pytest.mark.parametrize("name", ["../x.txt", "/etc/x", "a\\b.txt", "c:x.txt", "a/../../b", "a//b", "tab\tx"])
def test_a_member_that_would_be_unpacked_elsewhere_is_refused(name: str) -> None:
    data = archive({"abcdefghijklmnop"[: len(name)]: b"x"})
    data = data.replace(b"abcdefghijklmnop"[: len(name)], name.encode())
    with pytest.raises(ActiveError, match="leads elsewhere"):
        scanned(data)


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    bomb = archive({"zeros.bin": bytes(64 << 20)})
    assert len(bomb) < 100_000
    tracemalloc.start()
    with pytest.raises(ActiveError, match="bomb"):
        scanned(bomb)
    assert tracemalloc.get_traced_memory()[1] < 24 << 20
    tracemalloc.stop()


def test_too_many_members_are_refused() -> None:
    with pytest.raises(ActiveError, match="10,000"):
        scanned(archive({f"{number}.txt": b"" for number in range(10_001)}, method=zipfile.ZIP_STORED))


def test_a_pdf_that_unpacks_for_ever_is_refused() -> None:
    bomb = zlib.compress(bytes(300 << 20), 9)
    data = pdf(b"<< /Type /ObjStm /Filter /FlateDecode >>\nstream\n" + bomb + b"\nendstream")
    with pytest.raises(ActiveError, match="far more than it is"):
        scanned(data, 1 << 16)


def test_an_archive_written_to_a_pipe_passes() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.got = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.got += bytes(data)  # type: ignore[call-overload]
            return len(bytes(data))  # type: ignore[call-overload]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as made:
        for name in ("a.txt", "b.txt"):
            made.writestr(name, b"words " * 1000)
    assert scanned(bytes(pipe.got), 100)[0] == "application/zip"


# Text


def test_text_is_what_a_person_would_search_for() -> None:
    for name in ("word", "open text", "pdf", "html", "svg", "xml", "rtf"):
        assert "Convoy" in scanned(GOOD[name])[1], name
    assert scanned(docx("호위 함대"))[1] == "호위 함대"


def test_text_is_cut_at_a_mib_and_holds_no_controls() -> None:
    found = scanned("호위\x0c\t\u202e ".encode() * 300_000)[1]
    assert text.MAX_TEXT - 4 < len(found.encode()) <= text.MAX_TEXT
    assert found.startswith("호위 호위 호위")


def test_a_pdf_that_no_parser_reads_has_no_text_and_is_no_less_a_pdf() -> None:
    for data in (b"%PDF-1.7\n", pdf()[:200], pdf().replace(b"/Pages 2 0 R", b"/Pages 1 0 R")):
        assert scanned(data) == ("application/pdf", "")


def test_a_pdf_whose_text_takes_too_long_has_as_much_as_there_was_time_for() -> None:
    words = text.Words()
    text.pdf_words(pdf(words="x " * 200_000), words, seconds=0.01)
    assert words.text() == ""


def test_two_parsers_agree_on_what_random_words_say() -> None:
    chance = random.Random(7)
    for _ in range(20):
        words = " ".join("".join(chance.choices("abcdefg", k=5)) for _ in range(30))
        assert scanned(docx(words))[1] == words
        assert scanned(pdf(words=words))[1] == words


# One pass, flat memory


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "pdf", "unknown", "archive"])
def test_300_mb_pass_in_flat_memory(kind: str) -> None:
    size = 300 << 20
    block = {"text": b"Convoy at dawn.\n" * 65536, "pdf": random.Random(1).randbytes(1 << 20)}.get(kind, bytes(1 << 20))
    first = {"pdf": b"%PDF-1.7\n1 0 obj\n<< >>\nstream\n", "unknown": b"\x00\x01"}.get(kind, b"")
    last = b""
    if kind == "archive":
        crc = 0
        for _ in range(size >> 20):
            crc = zlib.crc32(block, crc)
        facts = struct.pack("<4H3I2H", 0, 0, 0, 33, crc, size, size, 5, 0)
        first = b"PK\x03\x04\x14\x00" + facts + b"a.bin"
        last = b"PK\x01\x02\x14\x00\x14\x00" + facts + struct.pack("<3H2I", 0, 0, 0, 0, 0) + b"a.bin"
        last += b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 1, 1, len(last), len(first) + size, 0)
    scan = Scan()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scan.feed(first)
    for _ in range(size >> 20):
        scan.feed(block)
    scan.feed(last)
    media = scan.finish()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert media == {"text": "text/plain", "pdf": "application/pdf", "archive": "application/zip"}.get(kind, media)
    assert grown < 100 << 10, "KiB; a PDF keeps 64 MiB for its text, no more"
