"""The records of the core: a document with its cover sheet, a request, a reply; and the package an import is made of.

A record is the sheet's canonical JSON and, for a document, the file's bytes directly after it. What stands in a sheet
crosses. A package is one line of canonical JSON at home (what a person states, the foreign marking, the parents), a
line feed, and the file's bytes.
Source: design core-spec, Records of the core.
"""

import re
from datetime import date
from typing import Annotated, Literal

import msgspec

from entente.errors import FormatError
from entente.strict import canonical, check_sorted_set, check_text, convert, encode, parse_as, parse_time
from entente.treaty.marking import Hex32, Wire
from entente.treaty.record import Data, after, head, joined, size_of

DOCUMENT, REQUEST, REPLY = "document-1", "request-1", "reply-1"
FORMATS = (DOCUMENT, REQUEST, REPLY)
MAX_SHEET = 65_536
_MANY = 256

Tag = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}\Z")]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Texts = Annotated[dict[Tag, Annotated[str, msgspec.Meta(min_length=1)]], msgspec.Meta(min_length=1, max_length=16)]
Titles = Annotated[dict[Tag, Line], msgspec.Meta(min_length=1, max_length=16)]
Media = Annotated[str, msgspec.Meta(pattern=r"^[a-z]+/[a-z0-9][a-z0-9.+-]*\Z", max_length=127)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]*\Z", max_length=64)]
Size = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
Digests = Annotated[tuple[Hex32, ...], msgspec.Meta(max_length=_MANY)]
Kind = Literal["report", "translation", "extract", "image", "data", "other"]
Priority = Literal["routine", "priority", "immediate"]
State = Literal["acknowledged", "answered", "closed", "refused"]
Reason = Literal[
    "not_held", "not_releasable", "not_understood", "too_broad", "too_late", "duplicate", "withdrawn", "other"
]
Maybe = msgspec.UnsetType

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}]', re.DOTALL)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


class Stated(Wire, frozen=True):
    """What a person says of a document; `language` is a tag of BCP 47 (`zxx`: no words in it), `date` a day."""

    title: Titles
    language: Tag
    kind: Kind
    derived: Digests = ()
    author: Line | Maybe = msgspec.UNSET
    date: str | Maybe = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless set, texts and day are well formed."""
        _check_stated(self)


class DocumentSheet(Wire, frozen=True):
    """A document's cover: what a person said of it, and media type, SHA-256 and size of its bytes.

    `derived` are commitments of the records it is made from.
    """

    title: Titles
    media: Media
    sha256: Hex32
    size: Size
    language: Tag
    kind: Kind
    derived: Digests
    author: Line | Maybe = msgspec.UNSET
    date: str | Maybe = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless set, texts and day are well formed."""
        _check_stated(self)


class RequestSheet(Wire, frozen=True):
    """A question to the partner: words in one or more languages, the area it is about, and by when it is wanted."""

    text: Texts
    area: Name
    priority: Priority
    wanted_by: str | Maybe = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless texts and time are well formed."""
        for words in self.text.values():
            check_text(words, newlines=True)
            _need(words.strip() != "", "text is empty")
        if self.wanted_by is not msgspec.UNSET:
            parse_time(self.wanted_by)


class ReplySheet(Wire, frozen=True):
    """What became of a request: its release id, a state, a class of reason, and the releases that answer it."""

    request: Hex32
    state: State
    rids: Digests
    reason: Reason | Maybe = msgspec.UNSET

    def check(self) -> None:
        """Raise FormatError unless the set is sorted and reason and releases fit the state.

        `refused` needs a reason and `closed` may have one; releases stand where it is answered or closed.
        """
        check_sorted_set(self.rids, "rids")
        given = self.reason is not msgspec.UNSET
        _need(given or self.state != "refused", "a refusal without a reason", "Give one of the classes.")
        _need(not given or self.state in ("refused", "closed"), f"a reason with the state {self.state}")
        _need(not self.rids or self.state in ("answered", "closed"), f"releases with the state {self.state}")


Sheet = DocumentSheet | RequestSheet | ReplySheet
_SHEETS: dict[str, type[Sheet]] = {DOCUMENT: DocumentSheet, REQUEST: RequestSheet, REPLY: ReplySheet}
_STATED: dict[str, type[Stated | RequestSheet | ReplySheet]] = {
    DOCUMENT: Stated,
    REQUEST: RequestSheet,
    REPLY: ReplySheet,
}


class Package(msgspec.Struct, frozen=True):
    """An import taken apart: what was stated, the foreign marking it bears ("" for none), its parents, its file."""

    stated: Stated | RequestSheet | ReplySheet
    label: str
    parents: tuple[str, ...]
    file: Data


class _Header(Wire, frozen=True):
    cover: dict[str, object]
    label: Annotated[str, msgspec.Meta(max_length=300)]
    parents: Digests


def _need(good: object, detail: str, remedy: str = "") -> None:
    if not good:
        raise FormatError(detail, place="sheet", remedy=remedy)


def _check_stated(sheet: Stated | DocumentSheet) -> None:
    check_sorted_set(sheet.derived, "derived")
    for words in (*sheet.title.values(), "" if isinstance(sheet.author, Maybe) else sheet.author):
        check_text(words)
    _need(all(words.strip() for words in sheet.title.values()), "title is empty")
    if not isinstance(sheet.date, Maybe):
        try:
            good = _DAY(sheet.date) is not None and date.fromisoformat(sheet.date) is not None
        except ValueError:
            good = False
        _need(good, f"{ascii(sheet.date)[:24]} is not a day", "Write YYYY-MM-DD.")


# Sheets


def sheet_bytes(sheet: Sheet) -> bytes:
    """The canonical bytes of a sheet; FormatError if it breaks a rule."""
    sheet.check()
    data = encode(sheet)
    _need(len(data) <= MAX_SHEET, f"{len(data)} bytes, more than {MAX_SHEET}", "Shorten the texts.")
    parse_sheet(_form_of(sheet), data)  # held to what a reader will hold it to
    return data


def parse_sheet(form: str, data: bytes) -> Sheet:
    """The sheet in exactly these bytes; FormatError unless they are its one canonical form."""
    if form not in _SHEETS:
        raise FormatError(f"{form} is no record of the core", place="sheet")
    _need(len(data) <= MAX_SHEET, f"more than {MAX_SHEET} bytes")
    sheet = parse_as(data, _SHEETS[form], place="sheet", newlines=form == REQUEST)
    sheet.check()
    return sheet


def _form_of(sheet: Sheet) -> str:
    return next(form for form, kind in _SHEETS.items() if isinstance(sheet, kind))


def sheet_end(first: bytes) -> int:
    """Where the JSON object at the beginning ends; FormatError if it does not, within the bytes given."""
    depth = 0
    if first.startswith(b"{"):
        for token in _TOKEN.finditer(first):
            mark = token[0]
            depth += (mark == b"{") - (mark == b"}")
            if depth == 0 and mark == b"}":
                return token.end()
    raise FormatError(f"no sheet in the first {MAX_SHEET} bytes", place="sheet")


def sheet_of(form: str, first: bytes, size: int) -> tuple[Sheet, int]:
    """The sheet at the beginning of a record of `size` bytes, and where the file begins.

    `first` are its first MAX_SHEET bytes, or all of a shorter one. Raises: FormatError unless the sheet is canonical
    and the sizes fit; a request or reply has nothing after it.
    """
    end = sheet_end(first[:MAX_SHEET])
    sheet = parse_sheet(form, first[:end])
    if isinstance(sheet, DocumentSheet):
        _need(sheet.size == size - end, f"states {sheet.size} bytes of file, {size - end} follow")
    else:
        _need(size == end, "something follows the sheet")
    return sheet, end


def open_record(form: str, data: Data) -> tuple[Sheet, Data]:
    """The sheet and the file of a record; the file's bytes are not looked into."""
    sheet, end = sheet_of(form, head(data, MAX_SHEET), size_of(data))
    return sheet, after(data, end)


def open_document(data: Data) -> tuple[DocumentSheet, Data]:
    """Cover and file of a document's record; FormatError if it is none. The file's bytes are not looked into."""
    sheet, file = open_record(DOCUMENT, data)
    if not isinstance(sheet, DocumentSheet):
        raise FormatError("not a document", place="sheet")
    return sheet, file


def covered(stated: Stated, media: str, sha256: str, size: int) -> DocumentSheet:
    """The cover of a file of this type, digest and size, about which this was stated."""
    return DocumentSheet(
        title=stated.title,
        media=media,
        sha256=sha256,
        size=size,
        language=stated.language,
        kind=stated.kind,
        derived=stated.derived,
        author=stated.author,
        date=stated.date,
    )


# Packages


def package(
    stated: Stated | RequestSheet | ReplySheet, file: Data = b"", *, label: str = "", parents: tuple[str, ...] = ()
) -> Data:
    """The bytes that an import is made of; FormatError if what was stated breaks a rule."""
    stated.check()
    check_sorted_set(parents, "parents")
    line = canonical({"cover": msgspec.to_builtins(stated), "label": label, "parents": list(parents)}) + b"\n"
    open_package(next(form for form, kind in _STATED.items() if isinstance(stated, kind)), line)
    return joined(line, file)


def open_package(form: str, data: Data) -> Package:
    """A package's parts; the file's bytes are not looked into. FormatError if its line is not as it must be."""
    line, found, _ = head(data, MAX_SHEET).partition(b"\n")
    _need(found, f"no line of JSON in the first {MAX_SHEET} bytes", "Import a document by `entente document import`.")
    if form not in _STATED:
        raise FormatError(f"{form} is no record of the core", place="sheet")
    header = parse_as(line, _Header, place="package", newlines=form == REQUEST)
    check_text(header.label)
    check_sorted_set(header.parents, "parents")
    stated = convert(header.cover, _STATED[form], place="sheet")
    stated.check()
    file = after(data, len(line) + 1)
    _need(form == DOCUMENT or size_of(file) == 0, "something follows the sheet")
    return Package(stated, header.label, header.parents, file)
