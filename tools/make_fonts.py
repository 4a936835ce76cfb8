"""After this, src/entente/web/fonts holds the letters that printed papers need, cut from Debian's Noto packages.

    apt-get download fonts-noto-core fonts-noto-cjk; dpkg -x each into FOLDER
    python tools/make_fonts.py FOLDER        with fonttools and brotli installed, in a throw-away environment

Latin, Greek, Cyrillic and Devanagari in two weights; for Korean one weight: every Hangul syllable, the jamo, and the
signs and Hanja of KS X 1001. `coverage.txt` says in ranges of hexadecimal code points what is there. For screens the
same as woff2, Korean with the 2,350 syllables of KS X 1001 and no Hanja: a browser takes the rest from its system.
"""

import sys
from itertools import pairwise
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont

OUT = Path(__file__).resolve().parent.parent / "src" / "entente" / "web" / "fonts"
LATIN = (
    (0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x52F), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x20A0, 0x20CF),
    (0x2100, 0x214F), (0x2212, 0x2212),
)  # fmt: skip
DEVANAGARI = (
    (0x900, 0x97F), (0xA8E0, 0xA8FF), (0x1CD0, 0x1CFF), (0x200C, 0x200D), (0x20B9, 0x20B9), (0x25CC, 0x25CC),
)  # fmt: skip
HANGUL = ((0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x3131, 0x318E))
KOREAN_FEATURES = ["ljmo", "vjmo", "tjmo", "ccmp", "locl", "kern"]


def code_points(*ranges: tuple[int, int]) -> set[int]:
    """Every code point in the ranges, ends included."""
    return {code for first, last in ranges for code in range(first, last + 1)}


def ks_x_1001() -> set[int]:
    """Every character of KS X 1001: signs, letters, Hangul and 4,888 Hanja."""
    found = set()
    for high in range(0xA1, 0xFF):
        text = bytes(byte for low in range(0xA1, 0xFF) for byte in (high, low)).decode("euc_kr", errors="ignore")
        found |= {ord(char) for char in text}
    return found


def cut(font: TTFont, name: str, wanted: set[int], features: list[str]) -> set[int]:
    """The font with these characters alone stands in `OUT`; returns which of them it has."""
    options = Options(layout_features=features, hinting=False, recalc_timestamp=False, notdef_outline=True)
    options.drop_tables += ["DSIG", "meta", "vhea", "vmtx", "VORG"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=wanted)
    subsetter.subset(font)
    font.flavor = "woff2" if name.endswith(".woff2") else None
    font.save(OUT / name)
    return set(font.getBestCmap())


def ranges_of(codes: set[int]) -> list[str]:
    """The code points as lines `FIRST-LAST` in hexadecimal."""
    ordered = sorted(codes)
    starts = [ordered[0], *(after for before, after in pairwise(ordered) if after != before + 1)]
    ends = [*(before for before, after in pairwise(ordered) if after != before + 1), ordered[-1]]
    return [f"{first:04X}-{last:04X}" for first, last in zip(starts, ends, strict=True)]


def opened(path: Path) -> TTFont:
    """The font in a file; saved again, it does not say when."""
    return TTFont(path, recalcTimestamp=False)


def korean(folder: Path) -> TTFont:
    """The Korean font of Debian's collection."""
    collection = TTCollection(folder / "usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", recalcTimestamp=False)
    return next(font for font in collection.fonts if font["name"].getDebugName(1) == "Noto Sans CJK KR")


def main(folder: Path) -> None:
    """All fonts and the list of what they cover."""
    truetype = folder / "usr/share/fonts/truetype/noto"
    found: set[int] = set()
    for weight in ("Regular", "Bold"):
        for family, wanted in (("NotoSans", code_points(*LATIN)), ("NotoSansDevanagari", code_points(*DEVANAGARI))):
            name = f"{family}-{weight}"
            found |= cut(opened(truetype / f"{name}.ttf"), f"{name}.ttf", wanted, ["*"])
            cut(opened(truetype / f"{name}.ttf"), f"{name}.woff2", wanted, ["*"])
    signs = {code for code in ks_x_1001() if code > 0x7F}
    hanja = signs & code_points((0x4E00, 0x9FFF), (0xF900, 0xFAFF))
    found |= cut(korean(folder), "NotoSansCJKkr-Regular.otf", signs | code_points(*HANGUL), KOREAN_FEATURES)
    cut(korean(folder), "NotoSansCJKkr-Regular.woff2", signs - hanja, KOREAN_FEATURES)
    (OUT / "coverage.txt").write_text("\n".join(ranges_of(found)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
