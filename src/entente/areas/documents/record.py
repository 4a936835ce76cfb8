"""Documents, requests and replies as records: made of a package at home, read again wherever they arrive."""

import hashlib
from collections.abc import Iterator

import msgspec

from entente.areas.documents.media import Sniffer
from entente.areas.documents.refusal import ActiveError
from entente.areas.documents.scan import Scan
from entente.errors import FormatError
from entente.treaty.cover import (
    DOCUMENT,
    MAX_SHEET,
    REPLY,
    REQUEST,
    DocumentSheet,
    ReplySheet,
    RequestSheet,
    Sheet,
    Stated,
    covered,
    open_package,
    sheet_bytes,
    sheet_of,
)
from entente.treaty.record import Data, Long, Record, Rejected, joined, pieces, size_of

MEDIA = {
    DOCUMENT: "application/vnd.entente.document-1",
    REQUEST: "application/vnd.entente.request-1+json",
    REPLY: "application/vnd.entente.reply-1+json",
}
_STEP = 1 << 20
_TITLE = 120


def split(form: str, data: Data, *, place: str) -> tuple[list[Record], list[Rejected]]:
    """The one record of a package, its cover completed from the file; or rejected, with the reason.

    The file is hashed and its kind is told by its beginning, its end and the names in it; what acts inside it only
    `read` finds, in the child process.
    Raises: FormatError if what was stated is not well formed; nothing is imported then.
    """
    try:
        found = open_package(form, data)
        if not isinstance(found.stated, Stated):
            record = _record(form, found.stated, sheet_bytes(found.stated))
        else:
            media, digest = _named(found.file)
            sheet = covered(found.stated, media, digest, size_of(found.file))
            record = _record(form, sheet, joined(sheet_bytes(sheet), found.file))
    except ActiveError as fault:
        return [], [Rejected(data, place, fault.reason)]
    except FormatError as fault:
        raise FormatError(fault.detail, place=place, remedy=fault.remedy) from None
    markings = (found.label,) if found.label else ()
    return [msgspec.structs.replace(record, markings=markings, parents=found.parents)], []


def read(form: str, data: Data) -> Record | str:
    """The record of one object's bytes, gone through once and in order; or why it may not be exchanged.

    The file must be what its cover says, and nothing in it may act. What can be searched in it is its `text`.
    """
    try:
        return _read(form, data)
    except ActiveError as fault:
        return fault.reason
    except FormatError as fault:
        return f"{fault.place}: {fault.detail}" if fault.place else fault.detail


def _read(form: str, data: Data) -> Record | str:
    size = size_of(data)
    passing = _steps(data)
    first = b""
    for piece in passing:
        first += piece
        if len(first) >= MAX_SHEET:
            break
    sheet, start = sheet_of(form, first, size)
    if not isinstance(sheet, DocumentSheet):
        return _record(form, sheet, first)
    whole, file, scan = hashlib.sha256(first), hashlib.sha256(first[start:]), Scan()
    scan.feed(first[start:])
    got = len(first)
    for piece in passing:
        got += len(piece)
        whole.update(piece)
        file.update(piece)
        scan.feed(piece)
    if got != size:
        return "the document ends early"
    if file.hexdigest() != sheet.sha256:
        return "the file is not the one that its cover names by SHA-256"
    media = scan.finish()
    if media != sheet.media:
        return f"the cover says {sheet.media}, the file is {media}"
    kept = Long(data.size, data.read, whole.hexdigest()) if isinstance(data, Long) else data
    return _record(form, sheet, kept, scan.words.text())


def _steps(data: Data) -> Iterator[bytes]:
    """The bytes in order, no piece longer than a MiB."""
    for piece in pieces(data):
        for at in range(0, len(piece), _STEP):
            yield piece[at : at + _STEP]


def _named(file: Data) -> tuple[str, str]:
    """Media type and SHA-256 of a file, gone through once."""
    digest, sniffer = hashlib.sha256(), Sniffer()
    for piece in _steps(file):
        digest.update(piece)
        sniffer.feed(piece)
    return sniffer.finish(), digest.hexdigest()


def _record(form: str, sheet: Sheet, data: Data, text: str = "") -> Record:
    """The record of a sheet and the bytes that begin with it."""
    media = MEDIA[form]
    if isinstance(sheet, DocumentSheet):
        author = sheet.author if isinstance(sheet.author, str) else ""
        words = " ".join(filter(None, (*sheet.title.values(), author, text)))
        title = sheet.title.get(sheet.language) or next(iter(sheet.title.values()))
        found = Record(data, media, f"document--{sheet.sha256}", sheet.kind, title=_line(title), author=author)
        return msgspec.structs.replace(found, text=words)
    digest = hashlib.sha256(sheet_bytes(sheet)).hexdigest()
    if isinstance(sheet, RequestSheet):
        words = " ".join(sheet.text.values())
        title = _line(next(iter(sheet.text.values())))
        return Record(data, media, f"request--{digest}", "request", title=title, text=" ".join(words.split()))
    return Record(data, media, f"reply--{digest}", "reply", title=_reply_title(sheet))


def _reply_title(sheet: ReplySheet) -> str:
    reason = f" ({sheet.reason})" if isinstance(sheet.reason, str) else ""
    return f"{sheet.state}{reason}: request {sheet.request[:16]}"


def _line(text: str) -> str:
    """A title of one printable line."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _TITLE else f"{line[: _TITLE - 3]}..."


def view(name: str, data: Data) -> Data | None:
    """The bytes that cross under a view; there is one, `full`."""
    return data if name == "full" else None
