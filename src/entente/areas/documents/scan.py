"""A file looked through while it passes, once and in order: what it is, whether something in it acts, what it says.

Nothing is kept but its beginning and end, and for text what `text` wants. Of a ZIP file each member is looked through
in the same way.
"""

import codecs
import re
from typing import Protocol

from entente.areas.documents import media, text
from entente.areas.documents.markup import Html, Xml
from entente.areas.documents.media import HTML, PDF, RTF, SVG, TEXT, XML, ZIP, Sniffer
from entente.areas.documents.pdf import Pdf
from entente.areas.documents.refusal import ActiveError
from entente.areas.documents.text import Words
from entente.areas.documents.zips import Walk

_STEP = 1 << 20
_RTF_BAD = re.compile(
    rb"\\(?:object|obj[a-z]+|template|listpicture\\bin|fldinst[^}]{0,200}?(?:DDE|INCLUDE|IMPORT|LINK\b))", re.IGNORECASE
)
_RTF_WORD = re.compile(r"\\'[0-9a-fA-F]{2}|\\[a-z]+-?[0-9]* ?|\\.|[{}]", re.DOTALL)
_SCRIPTS = re.compile(
    rb"\.(?:bat|cmd|com|exe|scr|pif|cpl|dll|msi|msp|hta|jse?|mjs|vbs?|vbe|wsf|wsh|ps1|psm1|sh|py|pl|rb|jar|reg|lnk|url"
    rb"|desktop|inf|scf|sct|xll|xlsb|[dxp]o[ct]m|xlsm|xltm|xlam|pp[ast]m|iqy|slk|chm|application|gadget)\Z",
    re.IGNORECASE,
)
_OFFICE_BAD = re.compile(
    rb"^/(?:basic|scripts|dialogs)/|vbaproject|vbadata|/activex/|/ctrlprops/|/embeddings/|/macrosheets/|/dialogsheets/|/externallinks/|/querytables/"
    rb"|xl/connections\.xml|customui|attachedtoolbars|xl/workbook\.bin",
    re.IGNORECASE,
)
_XML_NAME = re.compile(rb"\.(?:xml|rels|vml|xhtml|rdf)\Z", re.IGNORECASE)


class _Watch(Protocol):
    def feed(self, piece: bytes, /) -> None: ...

    def finish(self) -> object: ...


class Scan:
    """A whole file, or a member of an archive, on its way through.

    `name` is a member's name, by which its place in an Office file is known; "" for a file of its own.
    """

    def __init__(self, *, name: bytes = b"", words: Words | None = None) -> None:
        self.words = words if words is not None else Words()
        self._name = name
        self._sniffer = Sniffer(inside=bool(name))
        self._watch: _Watch | None = None
        self._walk: Walk | None = None
        self._early: list[bytes] = []
        self._begun = False
        self._pdf: list[bytes] | None = None

    def feed(self, piece: bytes) -> None:
        """The next bytes are looked through. Raises: ActiveError as soon as the file is seen to be refused."""
        for at in range(0, len(piece), _STEP):
            self._feed(piece[at : at + _STEP] if len(piece) > _STEP else piece)

    def _feed(self, piece: bytes) -> None:
        self._sniffer.feed(piece)
        if self._begun:
            self._pass(piece)
            return
        self._early.append(piece)
        if self._sniffer.size >= media.HEAD:
            self._begin()

    def _begin(self) -> None:
        """What the file is by its beginning is known: what watches the rest of it is chosen."""
        self._begun = True
        kind = self._sniffer.settle()
        if kind in (XML, SVG) or _XML_NAME.search(self._name):
            self._watch = Xml(self.words)
        elif kind == ZIP:
            self._walk = Walk(self._open_member)
        elif kind == PDF:
            self._watch = Pdf()
            self._pdf = None if self._name else []
        elif kind == HTML:
            self._watch = Html(self.words)
        elif kind == RTF:
            self._watch = _Rtf(self.words)
        elif kind == TEXT and self._name != b"mimetype":
            self._watch = _Plain(self.words)
        early, self._early = b"".join(self._early), []
        self._pass(early)

    def _open_member(self, name: bytes) -> "_Member":
        """What takes a member. Raises: ActiveError if its name alone says that it acts."""
        if _SCRIPTS.search(name):
            raise ActiveError(f"an archive with a program or script in it ({_shown(name)})")
        if _OFFICE_BAD.search(b"/" + name):
            raise ActiveError(f"it holds macros, controls, embedded objects or data from elsewhere ({_shown(name)})")
        return _Member(name, Scan(name=name, words=self.words))

    def _pass(self, piece: bytes) -> None:
        if self._walk is not None:
            self._walk.feed(piece)
        if self._watch is not None:
            self._watch.feed(piece)
        if self._pdf is not None:
            self._pdf.append(piece)
            if self._sniffer.size > text.MAX_FILE:
                self._pdf = None

    def finish(self) -> str:
        """The media type. Raises: ActiveError if the file may not be exchanged, with the reason."""
        if not self._begun and self._sniffer.size:
            self._begin()
        if self._walk is not None:
            self._walk.finish(self._sniffer.tail, self._sniffer.size)
        if self._watch is not None:
            self._watch.finish()
        if self._name and not self._sniffer.size:
            return media.UNKNOWN
        found = self._sniffer.finish()
        if self._pdf is not None:
            text.pdf_words(b"".join(self._pdf), self.words)
        return found


class _Member:
    """A member of an archive on its way: what is wrong with it is told with its name."""

    def __init__(self, name: bytes, scan: Scan) -> None:
        self._name, self._scan = name, scan

    def feed(self, piece: bytes) -> None:
        """The next bytes are looked through."""
        try:
            self._scan.feed(piece)
        except ActiveError as fault:
            raise ActiveError(f"{_shown(self._name)}: {fault.reason}") from None

    def finish(self) -> None:
        """There are no more."""
        try:
            self._scan.finish()
        except ActiveError as fault:
            raise ActiveError(f"{_shown(self._name)}: {fault.reason}") from None


def _shown(name: bytes) -> str:
    return ascii(name[-60:].decode(errors="replace"))


class _Plain:
    """Plain text: only its words are of interest."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        if not self._words.full:
            self._words(self._decoder.decode(piece))

    def finish(self) -> None:
        """There are no more."""
        self._words(" ")


class _Rtf:
    """RTF: refused if it holds an object, a template or a field that fetches."""

    def __init__(self, words: Words) -> None:
        self._words, self._carry = words, b""

    def feed(self, piece: bytes) -> None:
        """The next bytes are looked through."""
        data = self._carry + piece
        if _RTF_BAD.search(data):
            raise ActiveError("RTF with an embedded object, a template or a field that fetches something")
        if not self._words.full:
            self._words(_RTF_WORD.sub(" ", piece.decode("ascii", "replace")))
        self._carry = data[-512:]

    def finish(self) -> None:
        """There are no more."""
