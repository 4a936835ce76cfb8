"""Files made for the tests: small, each with one thing in it."""

import io
import zipfile
import zlib
from collections.abc import Mapping

from entente.treaty.cover import DOCUMENT, Stated, package
from entente.treaty.record import Data, Long

CONTENT = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + bytes(17)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
Members = Mapping[str, bytes]


def stated(title: str = "Patrol report") -> Stated:
    """What a person says of a document."""
    return Stated(title={"en": title}, language="en", kind="report")


def packed(file: Data, label: str = "") -> Data:
    """The package of a file."""
    return package(stated(), file, label=label)


def archive(members: Members, *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP file of these members, in this order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return out.getvalue()


def docx_members(words: str = "Convoy at dawn", *, more: Members | None = None) -> dict[str, bytes]:
    """The members of a small text of Word's kind."""
    return {
        "[Content_Types].xml": f'<Types xmlns="{CONTENT}"><Default Extension="xml" ContentType="application/xml"/>'
        "</Types>".encode(),
        "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{OFFICE}/officeDocument" '
        'Target="word/document.xml"/></Relationships>'.encode(),
        "word/document.xml": f'<?xml version="1.0"?><w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>{words}</w:t>'
        "</w:r></w:p></w:body></w:document>".encode(),
        **(more or {}),
    }


def docx(words: str = "Convoy at dawn", *, more: Members | None = None) -> bytes:
    """A small text of Word's kind."""
    return archive(docx_members(words, more=more))


def odt(words: str = "Convoy at dawn", *, body: str = "", more: Members | None = None) -> bytes:
    """A small OpenDocument text."""
    names = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    names += 'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:xlink="http://www.w3.org/1999/xlink"'
    content = f"<office:document-content {names}><office:body><text:p>{words}</text:p>{body}</office:body>"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(zipfile.ZipInfo("mimetype"), b"application/vnd.oasis.opendocument.text", zipfile.ZIP_STORED)
        made.writestr("content.xml", f"{content}</office:document-content>".encode())
        for name, data in (more or {}).items():
            made.writestr(name, data)
    return out.getvalue()


def pdf(*objects: bytes, words: str = "Convoy at dawn", catalog: bytes = b"") -> bytes:
    """A PDF of one page that says `words`, with more objects and more in its catalog."""
    stream = f"BT /F1 12 Tf 10 100 Td ({words}) Tj ET".encode()
    found = [
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
        *objects,
    ]
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(found, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(found) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        count,
        table,
        count,
        len(out),
    )


def object_stream(inside: bytes, more: bytes = b"", *, named: bytes = b"/Type /ObjStm") -> bytes:
    """An object stream that holds one object."""
    data = zlib.compress(b"9 0 " + inside)
    return b"<< %s /N 1 /First 4 %s /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (
        named,
        more,
        len(data),
        data,
    )


def in_pieces(data: bytes, *sizes: int) -> Long:
    """The same bytes, which can be gone through once and come in pieces of these sizes, over and over."""
    passed = [False]

    def read(start: int, end: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
        if passed[0]:
            raise ValueError("gone through twice")
        passed[0] = True
        number = 0
        while start < end:
            size = sizes[number % len(sizes)]
            yield data[start : min(start + size, end)]
            start += size
            number += 1

    return Long(len(data), read)


FORM = DOCUMENT
