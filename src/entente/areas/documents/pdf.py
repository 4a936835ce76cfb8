"""A PDF looked through while it passes, for names under which it acts: in the open, escaped, and in object streams.

The limit of this: it knows names, not objects. A name inside a stream that is no object stream is no part of the
document and may still be found (then a harmless file is refused); a PDF that is encrypted, or whose object streams are
packed in any way but the usual one, is refused because it cannot be looked into.
Source: ISO 32000-2, 7.3.5 (names), 7.5.7 (object streams), 12.6 (actions).
"""

import re
import zlib

from entente.areas.documents.refusal import ActiveError

MAX_UNPACKED = 256 << 20  # of all object streams together
_AT_ONCE = 16  # object streams that could be open at one place
_DICTIONARY = 4096  # bytes before `stream` in which its dictionary must stand
_OVERLAP = 256
_STEP = 1 << 20

_REASONS = {
    b"JavaScript": "scripts",
    b"JS": "scripts",
    b"Launch": "an action that starts a program",
    b"EmbeddedFile": "an embedded file",
    b"EmbeddedFiles": "an embedded file",
    b"EF": "an embedded file",
    b"RichMedia": "embedded media that run",
    b"XFA": "a form that runs scripts",
    b"SubmitForm": "a form that sends what is filled in",
    b"ImportData": "a form that draws in data",
    b"GoToE": "a jump into an embedded file",
    b"GoToR": "a jump into another file",
    b"Movie": "embedded media that run",
    b"Sound": "embedded media that run",
    b"Rendition": "embedded media that run",
    b"3D": "embedded media that run",
    b"U3D": "embedded media that run",
    b"PRC": "embedded media that run",
    b"FileAttachment": "an embedded file",
    b"AA": "actions that run by themselves",
    b"Encrypt": "",
}
_SHORT = 2  # a name this short also occurs in packed bytes by chance; each acts only with a longer one
_END = rb"(?=[\x00\t\n\x0c\r ()<>\[\]{}/%])"
_NAME = re.compile(rb"/(" + b"|".join(_REASONS) + rb")" + _END)
_REGULAR = rb"[^\x00- ()<>\[\]{}/%#]"
_ESCAPED = re.compile(rb"/(" + _REGULAR + rb"{0,60}+(?:#[0-9A-Fa-f]{2}" + _REGULAR + rb"{0,60}+)+)")
_HEX = re.compile(rb"#([0-9A-Fa-f]{2})")
_OPEN_ACTION = re.compile(rb"/OpenAction\s*<<(?!\s*(?:/Type\s*/Action\s*)?/(?:S\s*/GoTo\b|D\b))")
_OBJECT = re.compile(rb"[0-9]\s+obj\b")
_STREAM = re.compile(rb"(?<!end)stream\r?\n")
_PLAIN = re.compile(rb"[\t\n\r -~]*").fullmatch
_FILTER = re.compile(rb"/Filter\s*(?:\[\s*)?/FlateDecode\s*(?:\])?\s*(?=[/>])")


class Pdf:
    """A PDF that passes in pieces; ActiveError as soon as something in it acts."""

    def __init__(self) -> None:
        self._carry = b""
        self._open: list[_Inflating] = []
        self._unpacked = 0

    def feed(self, piece: bytes) -> None:
        """The next bytes are looked through."""
        fresh = len(self._carry)
        data = self._carry + piece
        look(data)
        for one in list(self._open):
            self._follow(one, piece)
        for found in _STREAM.finditer(data, max(0, fresh - len(b"endstream\r\n"))):
            before = data[max(0, found.start() - _DICTIONARY) : found.start()]
            if found.end() > fresh and (what := stream_kind(before)) != "other":
                one = _Inflating(lenient=what == "perhaps")
                self._open.append(one)
                if len(self._open) > _AT_ONCE:
                    raise ActiveError("a PDF whose object streams cannot be told apart")
                self._follow(one, data[found.end() :])
        self._carry = data[-(_DICTIONARY + _OVERLAP) :]

    def _follow(self, one: "_Inflating", piece: bytes) -> None:
        while piece or one.pending:
            out, piece = one.inflate(piece)
            self._unpacked += len(out)
            if self._unpacked > MAX_UNPACKED:
                raise ActiveError("a PDF that unpacks to far more than it is")
            if one.ended:
                self._open.remove(one)
                return

    def finish(self) -> None:
        """There are no more bytes."""
        look(self._carry + b"\n")


class _Inflating:
    """One object stream on its way."""

    def __init__(self, *, lenient: bool) -> None:
        self._lenient = lenient
        self._deflated = zlib.decompressobj()
        self._carry = b""
        self.ended = self.pending = False

    def inflate(self, piece: bytes) -> tuple[bytes, bytes]:
        """What these bytes unpack to, looked through, and those that are left."""
        try:
            out = self._deflated.decompress(piece, _STEP)
        except zlib.error:
            self.ended, self.pending = True, False
            if self._lenient:
                return b"", b""
            raise ActiveError("a PDF with an object stream that cannot be unpacked") from None
        self.pending = len(out) == _STEP
        self.ended = self._deflated.eof
        data = self._carry + out + (b"\n" if self.ended else b"")
        look(data)
        self._carry = data[-_OVERLAP:]
        return out, b"" if self.ended else self._deflated.unconsumed_tail


def look(data: bytes) -> None:
    """Raise ActiveError if a name in these bytes stands for something that acts."""
    for found in _NAME.finditer(data):
        name = found[1]
        around = data[max(0, found.start() - 8) : found.end() + 8]
        if len(name) > _SHORT or _PLAIN(around):
            _refuse(name)
    for found in _ESCAPED.finditer(data):
        spelled = _HEX.sub(lambda pair: bytes([int(pair[1], 16)]), found[1])
        if spelled in _REASONS or spelled in (b"OpenAction", b"ObjStm", b"Filter", b"Type"):
            raise ActiveError("a PDF that hides a name by another spelling")
    if _OPEN_ACTION.search(data):
        raise ActiveError("a PDF that acts when it is opened")


def _refuse(name: bytes) -> None:
    if name == b"Encrypt":
        raise ActiveError("an encrypted PDF cannot be looked into: save it without a password")
    raise ActiveError(f"a PDF with {_REASONS[name]} (/{name.decode()})")


def stream_kind(before: bytes) -> str:
    """`objects`, `perhaps` or `other`: what stream follows these bytes, which end with its dictionary.

    Raises: ActiveError for an object stream that is not packed in the usual way.
    """
    starts = [found.end() for found in _OBJECT.finditer(before)]
    dictionary = before[starts[-1] :] if starts else before
    if b"/ObjStm" not in dictionary:  # what looks like its beginning may stand in a string
        return "perhaps" if b"/ObjStm" in before or (not starts and len(before) == _DICTIONARY) else "other"
    if not _FILTER.search(dictionary) or b"/Predictor" in dictionary or b"/DecodeParms" in dictionary:
        raise ActiveError("a PDF whose object streams are packed in an unusual way: save it anew")
    return "objects"
