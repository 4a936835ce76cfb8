"""A list as a file: the same rows as on the screen, whole, marked, streamed, and ending in a line that says so.

The first line is the marking of all that is in it, the last `#END rows=N sha256=...` over every byte before it. A file
without that line is not whole; one that ends in `#ERROR` says why. Cells that a spreadsheet would take for a formula
bear an apostrophe. Source: RFC 4180; OWASP ASVS 5.0, 1.2.10.
"""

import csv
import hashlib
import io
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
from starlette.responses import StreamingResponse

from entente.errors import EntenteError
from entente.web import render
from entente.web.door import Door
from entente.web.page import Cell, Content, Listing, Row
from entente.web.visit import Shown, Visit
from entente.web.words import say

AT_ONCE = 1000
_log = logging.getLogger(__name__)
# what a spreadsheet computes, the same in full width, and where a reader would look for a line of this format itself
FORMULA = tuple("=+-@\t\r\n|#\uff1d\uff0b\uff0d\uff20")


class Export:
    """One list's export. `measure` it within `Door.reading`; its pieces are then read by themselves."""

    def __init__(self, door: Door, visit: Visit, listing: Listing, name: str) -> None:
        self.door, self.visit, self.listing, self.name = door, visit, listing, name
        self.count, self.marking, self.marked, self._stamp = 0, "", False, ""

    def measure(self) -> None:
        """How many rows there are, and what the highest marking among them is."""
        self.visit.shown = Shown()
        self._stamp = self.listing.stamp()
        for rows in self._rows():
            self.count += len(rows)
            self.marked = self.marked or any(row.mark for row in rows)
        self.marking = render.banner(self.visit)

    def _rows(self) -> Iterator[list[Row]]:
        first = 0
        while True:
            found = self.listing.items(first, AT_ONCE)
            if not found:
                return
            yield [self.listing.row(each) for each in found]
            first += len(found)

    def response(self, kind: str) -> StreamingResponse:
        """The file, as it is read."""
        level = "".join(char if char.isalnum() and char.isascii() else "-" for char in self.marking)[:40].strip("-")
        name = "-".join(part for part in (self.name.replace("/", "-").replace("{", "").replace("}", ""), level) if part)
        made = StreamingResponse(
            self._signed(self._csv() if kind == ".csv" else self._json(), kind),
            media_type="text/csv; charset=utf-8" if kind == ".csv" else "application/json",
        )
        made.headers.update(render.HEADERS)
        made.headers["Content-Disposition"] = f'attachment; filename="{name}{kind}"'
        return made

    def _chunks(self) -> Iterator[list[Row]]:
        """The rows, each thousand read under the door's lock; the export as a whole holds nobody up."""
        first, told = 0, 0
        while True:
            with self.door.reading() as node:
                self.visit.node = node
                found = self.listing.items(first, AT_ONCE)
                rows = [self.listing.row(each) for each in found]
                changed = self.listing.stamp() != self._stamp or render.banner(self.visit) != self.marking
            first += len(found)
            told += len(rows)
            if changed or (not rows and told != self.count):
                raise ChangedError("the list changed while it was read", remedy="Ask for it again.")
            if not rows:
                return
            yield rows

    def _csv(self) -> Iterator[bytes]:
        text = io.StringIO()
        write = csv.writer(text, lineterminator="\r\n")
        zones = ", ".join((*self.visit.zones, "UTC"))
        yield f"#MARKING {self.marking or 'none'}\r\n#TIMES in UTC; zones of the agreement: {zones}\r\n".encode()
        keys = [column.key for column in self.listing.columns]
        write.writerow((["marking"] if self.marked else []) + keys)
        for rows in self._chunks():
            for row in rows:
                cells = [_safe(self._plain(row.cells.get(key, ""))) for key in keys]
                write.writerow(([_safe(row.mark)] if self.marked else []) + cells)
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
        yield text.getvalue().encode()

    def _json(self) -> Iterator[bytes]:
        yield b'{"marking":' + msgspec.json.encode(self.marking) + b',"rows":['
        comma = b"\n"
        for rows in self._chunks():
            for row in rows:
                value: dict[str, Any] = {c.key: self._plain(row.cells.get(c.key, "")) for c in self.listing.columns}
                if row.mark:
                    value["marking"] = row.mark
                yield comma + msgspec.json.encode(value)
                comma = b",\n"
        yield b"]"

    def _signed(self, pieces: Iterator[bytes], kind: str) -> Iterator[bytes]:
        digest, why = hashlib.sha256(), ""
        try:
            for piece in pieces:
                digest.update(piece)
                yield piece
        except EntenteError as fault:
            why = " ".join(fault.explain().split())
        except Exception as fault:  # noqa: BLE001 - a server would log it whole, and it may quote what is listed
            _log.error("an export failed: %s", type(fault).__name__)
            why = "the list could not be read to its end"
        if why:
            yield f"\r\n#ERROR {why}\r\n".encode() if kind == ".csv" else b',"error":true'
            return
        end = f"rows={self.count} sha256={digest.hexdigest()}"
        yield f"#END {end}\r\n".encode() if kind == ".csv" else b',"end":' + msgspec.json.encode(end) + b"}\n"

    def _plain(self, content: Content) -> str:
        """A datum as text: times in UTC, words in English or the visit's language."""
        if isinstance(content, Cell):
            content = content.text
        return str(content) if isinstance(content, str | int) else say(content, self.visit.language)


class ChangedError(EntenteError):
    """What was exported changed meanwhile, so the file is not whole; ask for it again."""

    code = "changed"
    status = 409
    title = "It changed meanwhile"


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
