"""A sheet becomes a PDF: A4, tagged, the same bytes on every run, with the signed JSON attached to it.

The engine (typst) is loaded when a PDF is asked for, never before. It is given its template, our fonts and the sheet as
data; it asks neither the network nor the system's fonts, and reads no file but those. Source: docs/adr/0017.
"""

import unicodedata
from bisect import bisect_right
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec

from entente.errors import StoreError
from entente.strict import canonical
from entente.treaty.agreement import SignedAgreement
from entente.web.sheet import Sheet, sheet_of

HERE = Path(__file__).parent
FONTS, PRINT = HERE / "fonts", HERE / "print"
FAMILIES = frozenset({"Noto Sans", "Noto Sans Devanagari", "Noto Sans CJK KR"})
STANDARDS: list[Literal["a-3a", "ua-1"]] = ["a-3a", "ua-1"]  # kept for decades, read aloud
JOINERS = "\u200c\u200d"
BREAK = "\u200b"
SIGNS = "/-_.:,;@"
SHORT, LONG = 12, 32  # letters: what fits any column, and beyond what nobody reads as a word
STEP = 4
MOST_MARKS = 4
VIRAMA = "\u094d"


def pdf(paper: bytes, agreement: SignedAgreement) -> bytes:
    """The picture of a paper, with the paper itself attached.

    Args:
        paper: the signed JSON that `node.papers` made.
        agreement: the version that the paper names; the parties' names and words come from it.
    Raises: as `sheet_of` and `draw`.
    """
    sheet, seconds = sheet_of(paper, agreement)
    return draw(sheet, paper, seconds)


def draw(sheet: Sheet, attached: bytes, seconds: int) -> bytes:
    """The sheet as a PDF with `attached` (UTF-8) in it, stated to be made at these POSIX seconds.

    Raises: StoreError if the engine or its fonts are not there.
    """
    try:
        import typst  # noqa: PLC0415 - 80 MB that only a PDF needs
    except ImportError as fault:
        raise StoreError(
            f"PDFs cannot be made here: {fault}", remedy="Use the signed JSON: it is the record."
        ) from None
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS])
    if not set(fonts.families()) >= FAMILIES:
        raise StoreError("fonts are missing", place=str(FONTS), remedy="Install entente again.")
    inputs = {"paper": attached.decode(), "sheet": canonical(_drawable(msgspec.to_builtins(sheet))).decode()}
    compiler = typst.Compiler(
        input=(PRINT / "paper.typ").read_bytes(), root=PRINT, font_paths=fonts, ignore_system_fonts=True,
        sys_inputs=inputs,
    )  # fmt: skip
    made = compiler.compile(format="pdf", timestamp=seconds, pdf_standards=[*STANDARDS])
    if not isinstance(made, bytes):
        raise StoreError("the engine made no PDF", remedy="Use the signed JSON: it is the record.")
    return made


def _drawable(value: object) -> object:
    """The same plain value, each of its strings as `drawable` leaves it."""
    if isinstance(value, str):
        return drawable(value)
    if isinstance(value, dict):
        return {key: _drawable(item) for key, item in value.items()}
    return [_drawable(item) for item in value] if isinstance(value, list | tuple) else value


def drawable(text: str) -> str:
    """The text as our fonts can draw it: what they have not, or what would draw nothing, is written `U+XXXX`.

    A long word may be broken: after a sign, or anywhere between two letters if it has none for long.
    """
    shown, marks = [], 0
    for place, char in enumerate(text):
        marks = marks + 1 if unicodedata.category(char) == "Mn" else 0
        before = text[place - 1] if place else ""
        if _has_glyph(char) and marks <= MOST_MARKS and (char not in JOINERS or _is_indic(before)):
            shown.append(char)
        else:
            shown.append(f" U+{ord(char):04X} ")
    return " ".join(_breakable(word) for word in "".join(shown).split(" "))


def _breakable(word: str) -> str:
    """The word with places at which a line may end, if it may be too long for a column."""
    if len(word) <= SHORT:
        return word
    step = STEP if len(word) > LONG else SHORT
    made, since = [word[0]], 1
    for before, char in pairwise(word):
        whole = unicodedata.category(char)[0] == "M" or char in JOINERS or before in (VIRAMA, *JOINERS)
        if not whole and (since >= step or before in SIGNS):
            made.append(BREAK)
            since = 0
        made.append(char)
        since += 1
    return "".join(made)


def _is_indic(char: str) -> bool:
    return "\u0900" <= char <= "\u097f" or (char != "" and char in JOINERS)


def _has_glyph(char: str) -> bool:
    if char in JOINERS:
        return True
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return False
    starts, ends = _coverage()
    place = bisect_right(starts, ord(char)) - 1
    return place >= 0 and ord(char) <= ends[place]


@cache
def _coverage() -> tuple[list[int], list[int]]:
    """First and last code points of the ranges that our fonts have, ascending."""
    pairs = [line.split("-") for line in (FONTS / "coverage.txt").read_text().split("\n") if line]
    return [int(first, 16) for first, _ in pairs], [int(last, 16) for _, last in pairs]
