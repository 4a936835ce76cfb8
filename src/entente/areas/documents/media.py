"""Media types by content: what a file is called says nothing, its bytes do. Whole kinds are refused here by rule.

A file is gone through once, in pieces: `Sniffer` keeps its beginning, its end and whether it is text throughout. What
is inside is `scan`'s affair; this looks at no more than names, so that it may run outside the child process.
"""

import codecs
import re
from collections.abc import Mapping, Sequence

from entente.areas.documents import directory
from entente.areas.documents.refusal import ActiveError
from entente.errors import FormatError
from entente.strict import parse_foreign

HEAD = 4096
TAIL = 66_000  # as far from the end as the end of a ZIP directory may stand, and a little more
MAX_JSON = 16 << 20
UNKNOWN = "application/octet-stream"
TEXT, HTML, SVG, XML, JSON = "text/plain", "text/html", "image/svg+xml", "application/xml", "application/json"
PDF, ZIP, RTF = "application/pdf", "application/zip", "application/rtf"

_PDF_WITHIN = 1024  # readers look for a PDF's beginning this far
_PROGRAM = "it is a program"
_ARCHIVE = "an archive other than ZIP is not looked into: send the files, or a ZIP of them"
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"MZ", f"{_PROGRAM} (Windows)"),
    (b"\x7fELF", f"{_PROGRAM} (ELF)"),
    *((bytes.fromhex(mark), f"{_PROGRAM} (Mach-O)") for mark in ("feedface", "feedfacf", "cefaedfe", "cffaedfe")),
    (b"\xca\xfe\xba\xbe", f"{_PROGRAM} (Java class or Mach-O)"),
    (b"\x00asm", f"{_PROGRAM} (WebAssembly)"),
    (b"dex\n", f"{_PROGRAM} (Android)"),
    (b"#!", "it is a script: its first line names what runs it"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "it is a Windows shortcut, which starts something"),
    (b"ITSF", "it is compiled HTML help, which runs scripts"),
    (b"%!", "it is PostScript, which is a program"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "it is of the old Office kind (OLE2), in which macros cannot be excluded: save it as DOCX, XLSX, PPTX or PDF",
    ),
    *((mark, "text in UTF-16: save it as UTF-8") for mark in (b"\xfe\xff", b"\xff\xfe", b"<\x00", b"\x00<")),
    *(
        (mark, _ARCHIVE)
        for mark in (
            b"\x1f\x8b", *(b"BZh%d1AY&SY" % level for level in range(1, 10)),
            b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07",
            b"MSCF", b"xar!", b"!<arch>\n", b"\xed\xab\xee\xdb", b"LZIP", b"\x60\xea",
        )
    ),
    (b"PK\x05\x06", "an empty archive"),
    (b"PK\x07\x08", "an archive in several parts"),
)  # fmt: skip
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", PDF),
    (0, b"PK\x03\x04", ZIP),
    (0, b"{\\rtf", RTF),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"II+\x00", "image/tiff"),
    (0, b"MM\x00+", "image/tiff"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "application/ogg"),
    (0, b"\x1aE\xdf\xa3", "video/matroska"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/vnd.wave", b"AVI ": "video/vnd.avi"}
_BRANDS: Mapping[bytes, str] = {
    b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"avif": "image/avif",
    b"qt  ": "video/quicktime", b"M4A ": "audio/mp4",
}  # fmt: skip
_SHORTCUTS = (b"[internetshortcut]", b"[desktop entry]", b"[{000214a0")
_HTML_TAGS = (
    b"html|head|body|script|iframe|h1|h2|div|font|table|a|style|title|b|br|p|img|meta|link|form|object|embed|span|base"
)
_PROLOG = rb"(?:\s++|<!--(?:(?!-->).)*+-->|<\?(?:(?!\?>).)*+\?>)*+"  # possessive: never tried a second way
_HTML = re.compile(
    rb"(?:\s++|<!--(?:(?!-->).)*+-->)*+<(?:!doctype\s+html|(?:" + _HTML_TAGS + rb")(?=[\s/>]))",
    re.IGNORECASE | re.DOTALL,
)
_ROOT = re.compile(
    _PROLOG + rb"(?:<!doctype[^>]*+>)?+" + _PROLOG + rb"<([A-Za-z_][\w.-]*+:)?([A-Za-z_][\w.-]*+)[\s/>]",
    re.IGNORECASE | re.DOTALL,
)
_MARKUP = re.compile(rb"\s*<(?:!|\?|[A-Za-z_][\w.:-]*[\s/>])")
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_OPEN = {
    b"word/document.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xl/workbook.xml": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"ppt/presentation.xml": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_ODF = re.compile(rb"application/vnd\.oasis\.opendocument\.(?:text|spreadsheet|presentation|graphics)")


def first_kind(head: bytes) -> str:
    """What the beginning says: a media type, TEXT or a markup type if it could be that, or UNKNOWN.

    Raises: ActiveError for a kind that is refused whatever is in it.
    """
    for mark, reason in _REFUSED:
        if head.startswith(mark):
            raise ActiveError(reason)
    if head[257:262] == b"ustar":
        raise ActiveError(_ARCHIVE)
    for at, mark, media in _MAGIC:
        if head.startswith(mark, at):
            return media
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    return _text_kind(head)


def _text_kind(head: bytes) -> str:
    """TEXT, HTML, SVG or XML, by the beginning of what may turn out not to be text; else UNKNOWN."""
    bare = head.removeprefix(codecs.BOM_UTF8)
    start = bare.lstrip()[:64].lower()
    if start.startswith(_SHORTCUTS):
        raise ActiveError("it is a shortcut, which starts something")
    if start.startswith(b"mime-version:"):
        raise ActiveError("it is a web archive, which may hold anything: send the parts")
    if _HTML.match(bare):
        return HTML
    if _MARKUP.match(bare):
        root = _ROOT.match(bare)
        if root is None and b"<!doctype" in bare.lower():
            return XML  # where a document type is refused
        if root is None:
            raise ActiveError("it is markup whose beginning does not say of which kind")
        return SVG if root[2].lower() == b"svg" else XML
    return UNKNOWN if _NOT_TEXT.search(bare) else TEXT


class Sniffer:
    """Names the media type of bytes that pass once, in pieces of any size.

    `inside` is set for a member of an archive, where another archive is refused.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self.inside = inside
        self.size = 0
        self.head = b""
        self.kind: str | None = None  # what the beginning says, once enough of it has passed
        self._end = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_text = True
        self._kept: list[bytes] | None = []  # of what may be JSON

    def feed(self, piece: bytes) -> None:
        """The next bytes are taken in. Raises: ActiveError as soon as the kind is seen to be a refused one."""
        before = self.size
        self.size += len(piece)
        if before < HEAD:
            self.head += piece[: HEAD - before]
            if self.size >= HEAD:
                self._begin()
        self._end += piece
        if len(self._end) > 2 * self._room:
            del self._end[: -self._room]
        if self._is_text:
            try:
                self._decoder.decode(piece)
                self._is_text = _NOT_TEXT.search(piece) is None
            except UnicodeDecodeError:
                self._is_text = False
        if self._kept is not None:
            self._kept.append(piece)
            if not self._is_text or self.size > MAX_JSON or self.head.lstrip()[:1] not in (b"{", b"[", b""):
                self._kept = None

    @property
    def _room(self) -> int:
        return directory.MOST if self.head.startswith(b"PK") else TAIL

    @property
    def tail(self) -> bytes:
        """The last bytes, as many as a directory may take."""
        return bytes(self._end[-self._room :])

    def _begin(self) -> None:
        if self.kind is None:
            self.kind = first_kind(self.head)
            if 0 < self.head.find(b"%PDF-", 0, _PDF_WITHIN + 5) < _PDF_WITHIN:
                raise ActiveError("a PDF begins after the beginning: two programs would read this file differently")
            if self.inside and self.kind == ZIP:
                raise ActiveError("an archive inside an archive")

    def settle(self) -> str:
        """What the beginning says, also if that is all there is."""
        if self.kind is None:
            self._begin()
        return self.kind or UNKNOWN

    def finish(self) -> str:
        """The media type of all that passed. Raises: ActiveError if that is refused, or two readers would differ."""
        if not self.size:
            raise ActiveError("it is empty")
        kind = self.settle()
        if kind == ZIP:
            return office_type(directory.names(self.tail, self.size), self.head)
        if directory.ends_as_zip(self.tail):
            raise ActiveError("a ZIP archive hides at its end: two programs would read this file differently")
        try:
            self._is_text = self._is_text and not self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            self._is_text = False
        if kind in (HTML, SVG, XML) and not self._is_text:
            raise ActiveError("markup that is not UTF-8: save it as UTF-8")
        if kind != TEXT:
            return kind
        if not self._is_text:
            return UNKNOWN
        return JSON if self._is_json() else TEXT

    def _is_json(self) -> bool:
        if self._kept is None:
            return False
        try:
            parse_foreign(b"".join(self._kept))
        except (FormatError, RecursionError):
            return False
        return True


def office_type(names: Sequence[bytes], head: bytes) -> str:
    """What a ZIP with members of these names is: Office Open XML, OpenDocument, or just an archive."""
    held = set(names)
    if b"[Content_Types].xml" in held:
        return next((media for name, media in _OPEN.items() if name in held), ZIP)
    if names and names[0] == b"mimetype" and head[30:38] == b"mimetype" and (found := _ODF.match(head, 38)):
        return found[0].decode()
    return ZIP
