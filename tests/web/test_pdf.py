"""A printed paper is the picture of its JSON: every page marked, every script drawn, nothing in it evaluated.

The same paper gives the same bytes. Text is read back with PDFium, as readers do, and the letters are compared with a
picture that a person has looked at (golden/names.png).
"""

import hashlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import pypdf
import pypdfium2
import pytest
from fontTools.ttLib import TTFont
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from entente.cli import main
from entente.errors import UsageError
from entente.node import papers
from entente.strict import canonical, parse
from entente.treaty.agreement import SignedAgreement, parse_agreement
from entente.web.pdf import FONTS, draw, drawable, pdf
from entente.web.sheet import Cell, Part, Sheet, code_of, name_of
from lab.acts import ordered
from lab.pair import Pair, sighted

GOLDEN = Path(__file__).parent / "golden" / "names.png"
DEVANAGARI = "भारत गणराज्य क्षत्रिय स्त्री प्रौद्योगिकी विज्ञान श्रीमान् रक्षा मंत्रालय"
KOREAN = "대한민국 군사II급비밀 훈민정음 大韓民國 國防部"
LATIN = "Republic of India, Zürich, Łódź, Ελλάδα, Україна"
HOSTILE = (
    '#image("/etc/passwd")', '#read("/etc/passwd")', '#import "@preview/cetz:0.3.0": *', "#sys.inputs", '#eval("1+1")',
    "*bold* _it_ $x^2$ `raw` <label> @ref // no /* no */ \\ ~ -- ---", "#{ while true {} }", "= heading", "]]]})))#[",
    '"}} {{ \\u{41}', "https://example.invalid/x",
)  # fmt: skip


def a_sheet(*parts: Part, banner: tuple[str, ...] = ("AAA RED / BBB RED", "EXERCISE"), title: str = "A title") -> Sheet:
    return Sheet(title, ("A lead.",), banner, ("EXERCISE", "Code 0", "Page"), parts, "x.json", "a record", (2026, 6, 1))


def drawn(sheet: Sheet) -> bytes:
    return draw(sheet, b'{"v":1}', 1_780_304_400)


def texts(data: bytes) -> list[str]:
    """The text of each page as PDFium reads it."""
    document = pypdfium2.PdfDocument(data)
    found = []
    for number in range(len(document)):
        page = document[number]
        text = page.get_textpage()
        found.append(str(text.get_text_range()).replace("\r\n", "\n"))
        text.close()
        page.close()
    document.close()
    return found


def flat(text: str) -> str:
    """The text without any space: where a line ends is the engine's affair."""
    return "".join(text.split())


def picture(data: bytes, number: int = 0) -> Image.Image:
    document = pypdfium2.PdfDocument(data)
    page = document[number]
    made: Image.Image = page.render(scale=2).to_pil().convert("L")
    page.close()
    document.close()
    return made


def difference(one: Image.Image, two: Image.Image) -> float:
    """The share of ink in which two pictures of the same size differ."""
    ink = ImageStat.Stat(ImageChops.invert(one)).sum[0]
    return float(ImageStat.Stat(ImageChops.difference(one, two)).sum[0] / ink)


@pytest.fixture
def both(either: Pair) -> tuple[SignedAgreement, bytes, bytes]:
    """The agreement, a decision and a certificate of destruction at the highest level that crosses."""
    high = list(either.a.law.law.rows[either.a.party])[-1]
    rid = either.approved(either.a, sighted(), level=high)
    either.a.dispatch([rid])
    either.exchange()
    decided = papers.decision(either.a, rid)
    ordered(either, either.a, rid, "destroy")
    either.exchange()
    either.b.destroy(rid, [either.of(either.b, name) for name in ("nair", "sen")])
    either.exchange()
    return either.a.law, decided, papers.destruction(either.b, rid)


def test_every_page_bears_both_nations_words_the_mode_the_code_and_its_number(
    both: tuple[SignedAgreement, bytes, bytes],
) -> None:
    law, *made = both
    for paper in made:
        pages = texts(pdf(paper, law))
        words = papers.read(paper).words
        banner = " / ".join(f"{code} {words[code]}" for code in law.law.parties)
        code = " ".join(code_of(paper)[at : at + 4] for at in range(0, 16, 4))
        for number, page in enumerate(pages, 1):
            assert page.count(banner) >= 2
            assert "EXERCISE" in page
            assert f"Code {code}" in page
            assert f"Page {number} / {len(pages)}" in page


def test_the_names_of_the_parties_stand_side_by_side_in_their_scripts(
    both: tuple[SignedAgreement, bytes, bytes],
) -> None:
    law, decided, _ = both
    page = texts(pdf(decided, law))[0]
    for party in law.law.party.values():
        assert all(flat(name) in flat(page) for name in party.names.values())
        assert any(all(flat(name) in flat(line) for name in party.names.values()) for line in page.split("\n"))


def test_every_rule_stands_with_its_article_and_passed_or_failed(both: tuple[SignedAgreement, bytes, bytes]) -> None:
    law, decided, _ = both
    value = parse(decided, newlines=True)
    value["findings"][5].update(ok=False, observed="unknown:level")
    for data, bad in ((decided, 0), (canonical(value), 1)):
        whole = "\n".join(texts(pdf(data, law)))
        assert whole.count("passed\n") + whole.count("passed ") >= 26 - bad
        assert whole.count("FAILED") == bad
        assert ("Not permitted: 1 of 26 rules failed." in whole) == bool(bad)
        for number, finding in enumerate(papers.read(data).findings, 1):
            assert flat(f"{number}{finding.rule}{finding.article}") in flat(whole), finding.rule


def test_a_certificate_names_its_order_its_witnesses_and_what_they_signed(
    both: tuple[SignedAgreement, bytes, bytes],
) -> None:
    law, _, ended = both
    whole = "\n".join(texts(pdf(ended, law)))
    assert "Certificate of destruction" in whole
    for name in ("nair", "sen"):
        assert f"{law.law.parties[1]}/{name}" in whole
    assert "release, destroy" in whole
    assert "rule by rule" not in whole.split("How to verify")[0]


def test_the_json_is_attached_byte_for_byte_and_holds(both: tuple[SignedAgreement, bytes, bytes], either: Pair) -> None:
    law, *made = both
    for paper in made:
        reader = pypdf.PdfReader(io.BytesIO(pdf(paper, law)))
        (attached,) = reader.attachment_list
        assert attached.alternative_name == name_of(papers.read(paper))
        assert attached.content == paper
        assert papers.check(paper, [either.template.toml]) == []
        assert hashlib.sha256(paper).hexdigest() in flat("\n".join(texts(pdf(paper, law))))


def test_the_same_paper_gives_the_same_bytes_here_and_in_another_process(
    both: tuple[SignedAgreement, bytes, bytes], tmp_path: Path
) -> None:
    law, decided, _ = both
    first = pdf(decided, law)
    assert pdf(decided, law) == first
    (tmp_path / "paper").write_bytes(decided)
    (tmp_path / "law").write_bytes(law.data)
    script = (
        "import sys, pathlib; from entente.web.pdf import pdf; from entente.treaty.agreement import parse_agreement;"
        "paper, law = (pathlib.Path(name).read_bytes() for name in sys.argv[1:]);"
        "sys.stdout.buffer.write(pdf(paper, parse_agreement(law)))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "paper"), str(tmp_path / "law")]
    env = {"TZ": "Asia/Seoul", "SOURCE_DATE_EPOCH": "1", "HOME": str(tmp_path), "LC_ALL": "C"}
    assert subprocess.run(command, capture_output=True, check=True, env=env, cwd=tmp_path).stdout == first


def test_a_paper_is_drawn_under_the_agreement_it_names_only(both: tuple[SignedAgreement, bytes, bytes]) -> None:
    law, decided, _ = both
    other = parse_agreement(law.data + b"\n# another\n")
    with pytest.raises(UsageError, match="another version"):
        pdf(decided, other)
    in_earnest = msgspec.structs.replace(law, law=msgspec.structs.replace(law.law, exercise=False))
    assert all("PRODUCTION" in page and "EXERCISE" not in page for page in texts(pdf(decided, in_earnest)))


def test_the_commands_it_names_exist(both: tuple[SignedAgreement, bytes, bytes]) -> None:
    law, decided, _ = both
    how = "\n".join(texts(pdf(decided, law))).split("How to verify")[1]
    named = {line.split()[1] for line in how.split("\n") if line.startswith("entente ")}
    assert named == {"show", "why", "paper", "verify"}
    assert named <= set(main.commands)


# The letters


def test_letters_are_drawn_as_a_person_saw_them() -> None:
    """Shaped Devanagari, Hangul and Hanja, Latin; unshaped or missing letters differ by far more than the limit."""

    def shown(change: Callable[[str], str]) -> Image.Image:
        rows = tuple((Cell(change(text)), Cell(change(text), strong=True)) for text in (DEVANAGARI, KOREAN, LATIN))
        return picture(drawn(a_sheet(Part("Names", (), (1, 1), (), rows)))).crop((90, 150, 1110, 560))

    golden = Image.open(GOLDEN)
    assert difference(golden, shown(str)) < 0.02
    assert difference(golden, shown(lambda text: text.replace("\u094d", "\u094d\u200c"))) > 0.06
    assert difference(golden, shown(lambda text: text.replace("क्ष", "□"))) > 0.04


def test_text_is_read_back_as_it_was_written() -> None:
    (page,) = texts(drawn(a_sheet(Part("Names", (DEVANAGARI, KOREAN, LATIN)))))
    for text in (DEVANAGARI, KOREAN, LATIN):
        assert flat(text) in flat(page)


def test_what_has_no_letter_is_written_as_its_code_point() -> None:
    shown = {
        "\x00": "U+0000", "a\nb": "a U+000A b", "\u202etxt": "U+202E txt", "שלום": "U+05E9 U+05DC U+05D5 U+05DD",
        "😀": "U+1F600", "\u2028": "U+2028", "a\u00adb": "a U+00AD b", "مرحبا": "U+0645 U+0631 U+062D U+0628 U+0627",
        "\ue000": "U+E000", "a\u200db": "a U+200D b", "e" + "\u0301" * 9: "é", "\u0e01": "U+0E01",
    }  # fmt: skip
    parts = [Part(f"case {number}", (text,)) for number, text in enumerate(shown)]
    whole = "\n".join(texts(drawn(a_sheet(*parts))))
    for text, code in shown.items():
        assert " ".join(code.split()) in " ".join(drawable(text).replace("e\u0301", "é").split()), text
        assert flat(code) in flat(whole.replace("e\u0301", "é")), text


def test_joiners_inside_devanagari_are_kept() -> None:
    """They choose between a conjunct and a visible virama; elsewhere they would draw nothing, and are shown."""
    for text in ("क्\u200dष", "क्\u200cष", "श्रीमान्\u200c जी"):
        assert drawable(text) == text
        (page,) = texts(drawn(a_sheet(Part("Joined", (text,)))))
        assert "U+200" not in page
    assert "U+200D" in drawable("a\u200d")


def covered() -> set[int]:
    return {code for path in FONTS.glob("*.?tf") for code in TTFont(path).getBestCmap()}


def test_the_list_of_letters_is_what_the_fonts_hold() -> None:
    listed = {
        code
        for line in (FONTS / "coverage.txt").read_text().split()
        for code in range(int(line.split("-")[0], 16), int(line.split("-")[1], 16) + 1)
    }
    assert listed == covered()
    for family in ("NotoSans", "NotoSansDevanagari"):
        regular, bold = (TTFont(FONTS / f"{family}-{weight}.ttf").getBestCmap() for weight in ("Regular", "Bold"))
        assert set(regular) == set(bold), "a letter that only one weight has would be a box in the other"


@given(st.text(max_size=60))
@example("क्‍ष")
@example("a" * 60)
@settings(max_examples=400, deadline=None)
def test_whatever_the_text_only_letters_that_the_fonts_have_are_drawn(text: str) -> None:
    have = covered_once() | {ord(char) for char in "\u200b\u200c\u200d"}
    assert {ord(char) for char in drawable(text)} <= have


_COVERED: set[int] = set()


def covered_once() -> set[int]:
    _COVERED.update(() if _COVERED else covered())
    return _COVERED


def test_the_fonts_are_small_and_bear_their_licence() -> None:
    assert sum(path.stat().st_size for path in FONTS.iterdir()) <= 6_000_000
    names = {path.stem for path in FONTS.glob("*.?tf")}
    assert {path.stem for path in FONTS.glob("*.woff2") if path.read_bytes()[:4] == b"wOF2"} == names
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FONTS / "OFL.txt").read_text()


# What others wrote


def test_markup_in_what_others_wrote_is_text_and_nothing_else() -> None:
    parts = tuple(
        Part(text, (text,), (1, 1), (text, text), ((Cell(text), Cell(text, strong=True)),)) for text in HOSTILE
    )
    sheet = a_sheet(*parts, title=HOSTILE[0], banner=HOSTILE[:2])
    data = drawn(sheet)
    whole = flat("\n".join(texts(data)))
    for text in HOSTILE:
        assert whole.count(flat(text)) >= 6, text
    assert "root:" not in whole
    reader = pypdf.PdfReader(io.BytesIO(data))
    assert "/URI" not in str([page.get("/Annots") for page in reader.pages])
    assert not any(len(page.images) for page in reader.pages)


def test_names_in_the_agreement_are_as_inert(both: tuple[SignedAgreement, bytes, bytes]) -> None:
    law, decided, _ = both
    first, second = law.law.parties
    party = {
        first: msgspec.structs.replace(law.law.party[first], names={"en": HOSTILE[0], "hi": "क" * 10_000}),
        second: msgspec.structs.replace(law.law.party[second], names={"en": "x" * 10_000, "ko": "\x00\u202e😀"}),
    }
    named = msgspec.structs.replace(law, law=msgspec.structs.replace(law.law, party=party))
    pages = texts(pdf(decided, named))
    whole = flat("\n".join(pages))
    assert flat(HOSTILE[0]) in whole
    assert "U+0000U+202EU+1F600" in whole
    assert len(pages) > 5
    assert whole.count("x") >= 10_000
    assert whole.count("क") >= 10_000


def test_a_marking_as_long_as_an_entry_leaves_the_banner_where_it_is(
    both: tuple[SignedAgreement, bytes, bytes],
) -> None:
    """A partner may write any purpose into its own register, and a level that no scale has."""
    law, decided, _ = both
    value = parse(decided, newlines=True)
    value["marking"]["purpose"] = "purpose " * 2_000
    value["words"] = dict.fromkeys(value["words"], "level " * 2000)
    for page in texts(pdf(canonical(value), law)):
        head, foot = page.split("\n")[:4], page.split("\n")[-4:]
        assert sum("EXERCISE" in line for line in head) == 1, head
        assert sum("EXERCISE" in line for line in foot) == 2, foot


@pytest.mark.parametrize("char", ["w", "\u0915\u094d\u0937\u093f", "각", "國", "\u0301", "/", "😀"])
def test_ten_thousand_letters_without_a_space_stay_inside_the_page(char: str) -> None:
    text = (char * 10_000)[:10_000]
    rows = ((Cell(text), Cell("short"), Cell("short")),)
    data = drawn(a_sheet(Part("Long", (text,), (1, 4, 4), ("a", "b", "c"), rows), title=text[:300]))
    document = pypdfium2.PdfDocument(data)
    assert len(document) < 400
    document.close()
    for number in (0, 1):
        page = picture(data, number)
        for edge in ((0, 0, 90, page.height), (page.width - 90, 0, page.width, page.height)):
            assert page.crop(edge).getextrema() == (255, 255), "ink in the margin"


def test_thirty_pages_each_bear_the_banner_at_head_and_foot() -> None:
    rows = tuple((Cell(str(number)), Cell("observed")) for number in range(1700))
    pages = texts(drawn(a_sheet(Part("Many", (), (1, 4), ("No.", "What"), rows))))
    assert len(pages) >= 30
    for number, page in enumerate(pages, 1):
        assert page.count("AAA RED / BBB RED") == 2
        assert f"Page {number} / {len(pages)}" in page
        assert "No. What" in page, "the head of the table stands on each page"


def test_the_engine_is_loaded_when_a_pdf_is_asked_for_and_not_before() -> None:
    script = "import sys, entente.cli, entente.web.pdf; sys.exit('typst' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_pdf_is_tagged_and_says_what_it_is(both: tuple[SignedAgreement, bytes, bytes]) -> None:
    law, decided, _ = both
    reader = pypdf.PdfReader(io.BytesIO(pdf(decided, law)))
    root = cast("pypdf.generic.DictionaryObject", reader.trailer["/Root"])
    assert "/StructTreeRoot" in root
    assert str(root["/Lang"]).startswith("en")
    assert reader.metadata is not None
    assert reader.metadata.title == "Release decision"
    about = cast("pypdf.generic.StreamObject", root["/Metadata"].get_object()).get_data()
    assert b"pdfaid:part>3" in about
    assert b"pdfuaid:part>1" in about
