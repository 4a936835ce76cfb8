"""Words of a document, for search only: at most a MiB, and none where they cannot be had in time."""

import io
import logging
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

MAX_TEXT = 1 << 20
MAX_FILE = 64 << 20
SECONDS = 10.0
_MAX_PAGES = 2000
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


class Words:
    """Text gathered piece by piece, up to MAX_TEXT bytes of UTF-8."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = MAX_TEXT

    def __call__(self, text: str) -> None:
        """These words come next."""
        if self._left > 0:
            text = text[: self._left]
            self._parts.append(text)
            self._left -= len(text)

    @property
    def full(self) -> bool:
        """Whether no more is taken."""
        return self._left <= 0

    def text(self) -> str:
        """All of it on one line: no control characters, no runs of spaces, at most MAX_TEXT bytes."""
        line = _SPACE.sub(" ", "".join(self._parts)).strip()
        return line.encode()[:MAX_TEXT].decode("utf-8", "ignore")


class _TooLongError(BaseException):
    """Time is up. Not an Exception, so that a parser that forgives everything does not forgive this."""


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """What happens inside takes this much processor time at most; _TooLongError then. Main thread only."""

    def late(_: int, __: FrameType | None) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def pdf_words(data: bytes, words: Words, *, seconds: float = SECONDS) -> None:
    """What a PDF's pages say is in `words`, as far as it can be had; a PDF that cannot be read adds none."""
    from pypdf import PdfReader  # noqa: PLC0415 - only the child process that reads a PDF pays for it

    logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)  # what it complains of quotes the document
    try:
        with _within(seconds):
            for number, page in enumerate(PdfReader(io.BytesIO(data)).pages):
                if words.full or number >= _MAX_PAGES:
                    return
                words(page.extract_text())
                words("\n")
    except (_TooLongError, Exception):  # noqa: BLE001 - a foreign parser on foreign bytes; text is never a reason to refuse
        return
