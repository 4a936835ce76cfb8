"""A picture is SVG that needs no script and no style, says its title and figures in words, and has the table beside it.

Whatever it is given it is well-formed, every text is escaped, and nothing stands outside its frame.
"""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.errors import UsageError
from entente.strict import time_text
from entente.web.charts import WIDTH, Answered, Chart, Dated, bars, dues, hours

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '<script>alert("1")</script> & \' \x00\x1b'
texts = st.text(max_size=30)
counts = st.integers(0, 10**9)


def well_formed(chart: Chart) -> ET.Element:
    """The picture, held to what is promised of each."""
    root = ET.fromstring(chart.svg)  # noqa: S314 - made here
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title, desc = root[0], root[1]
    assert (title.tag, desc.tag) == (f"{SVG}title", f"{SVG}desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    allowed = {"svg", "title", "desc", "defs", "pattern", "line", "rect", "text", "circle", "polygon", "g", "path"}
    height = float(root.get("height", "0"))
    for item in root.iter():
        assert item.tag.removeprefix(SVG) in allowed
        assert "style" not in item.attrib
        assert not [name for name in item.attrib if name.startswith("on") or "href" in name]
        for name, most in (("x", WIDTH), ("cx", WIDTH), ("y", height), ("cy", height), ("x2", WIDTH), ("y2", height)):
            assert 0 <= float(item.get(name, "0")) <= most
        for name in ("width", "height"):
            assert float(item.get(name, "0")) >= 0
        assert item.get("fill", "none") in ("none", "currentColor") or item.get("fill", "").startswith("url(#")
    assert all(len(row) == len(chart.columns) for row in chart.rows)
    return root


def classes(root: ET.Element, kind: str) -> list[ET.Element]:
    return [item for item in root.iter() if kind in item.get("class", "").split() and item.tag != f"{SVG}text"]


@given(st.lists(st.tuples(texts, counts, counts), max_size=40), texts, texts, texts)
def test_bars_of_whatever_are_well_formed(rows: list[tuple[str, int, int]], title: str, one: str, two: str) -> None:
    labels = [label for label, *_ in rows]
    chart = bars("x", title, labels, (one, [n for _, n, _ in rows]), (two, [n for *_, n in rows]))
    root = well_formed(chart)
    assert chart.rows == tuple((label, str(n), str(m)) for label, n, m in rows)
    drawn = sum(1 for _, n, m in rows for value in (n, m) if value)
    assert len(root.findall(f".//{SVG}rect")) == drawn + 2, "and the two of the legend"


@given(st.lists(st.tuples(texts, st.floats(0, 1e6), st.booleans()), max_size=60))
def test_hours_of_whatever_are_well_formed_and_each_has_a_mark(rows: list[tuple[str, float, bool]]) -> None:
    chart = hours("x", "t", [Answered(*row) for row in rows])
    root = well_formed(chart)
    assert len(classes(root, "chart-first")) == 1 + sum(row[2] for row in rows)
    assert len(classes(root, "chart-second")) == 1 + sum(not row[2] for row in rows)
    assert len(chart.rows) == len(rows)


moments = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(lambda one: time_text(one.replace(tzinfo=UTC)))  # noqa: DTZ001
when = st.one_of(st.just(""), moments)


@given(st.lists(st.tuples(texts, when, st.booleans()), max_size=40), moments)
def test_dues_of_whatever_are_well_formed_and_each_stands_in_the_table(
    rows: list[tuple[str, str, bool]], today: str
) -> None:
    chart = dues("x", "t", today, ("A", "B"), [Dated(*row) for row in rows])
    root = well_formed(chart)
    late = sum(bool(due) and due <= today for _, due, _ in rows)
    assert len(classes(root, "chart-passed")) == late == sum(row[4] == "past" for row in chart.rows)
    assert f"; {late} past their date" in chart.description
    assert [row[3] for row in chart.rows] == [due for _, due, _ in rows]
    shown = {text.text for text in root.iter(f"{SVG}text")}
    assert {row[0] for row in chart.rows if row[3]} <= shown


def test_every_text_is_escaped() -> None:
    for chart in (
        bars("x", NASTY, [NASTY], (NASTY, [1]), (NASTY, [2])),
        hours("x", NASTY, [Answered(NASTY, 1, answered=True)]),
        dues("x", NASTY, "2026-06-01T00:00Z", (NASTY, NASTY), [Dated(NASTY, "2026-06-02T00:00Z", first=True)]),
    ):
        well_formed(chart)
        assert "<script" not in chart.svg
        assert not re.search("[\x00-\x08\x0b-\x1f]", chart.svg)


def test_a_bar_is_as_tall_as_its_value_and_hatched_if_it_is_the_second() -> None:
    chart = bars("p", "t", ["a", "b"], ("one", [10, 5]), ("two", [0, 10]))
    root = well_formed(chart)
    tall = {item[0].text: float(item.get("height", 0)) for item in root.findall(f".//{SVG}rect")}
    assert tall["a: 10"] == 2 * tall["b: 5"] == tall["b: 10"]
    assert {item.get("fill") for item in classes(root, "chart-second")} == {"url(#p-hatch)"}
    assert "one: 15 in all, two: 10 in all" in chart.description


def test_the_median_is_that_of_those_answered() -> None:
    chart = hours("x", "t", [Answered("a", 1, True), Answered("b", 4, True), Answered("c", 90, False)])
    assert chart.description == "2 answered, 1 waiting; half were answered within 2.5 hours."
    assert chart.rows[2] == ("c", "90", "waiting")


def test_marks_that_would_cover_each_other_stand_one_above_the_other() -> None:
    chart = dues(
        "x", "t", "2026-06-01T00:00Z", ("A", "B"), [Dated(f"{n}", "2026-06-02T00:00Z", True) for n in range(5)]
    )
    marks = [item for item in well_formed(chart).iter(f"{SVG}circle") if float(item.get("cy", 0)) > 20]
    assert len({item.get("cy") for item in marks}) == 5


def test_nothing_and_one_thing_are_said_as_such() -> None:
    for chart, words in (
        (bars("x", "t", [], ("a", []), ("b", [])), "Nothing in this period."),
        (bars("x", "t", ["d"], ("a", [0]), ("b", [0])), "Nothing in this period."),
        (hours("x", "t", []), "No question was asked."),
        (dues("x", "t", "2026-06-01T00:00Z", ("A", "B"), []), "Nothing has a date."),
    ):
        assert words in {text.text for text in well_formed(chart).iter(f"{SVG}text")}
    well_formed(hours("x", "t", [Answered("a", 0, answered=True)]))


def test_two_pictures_on_a_page_share_no_id() -> None:
    found = [re.findall(r'\bid="([^"]+)"', hours(name, "t", []).svg) for name in ("one", "two")]
    assert not set(found[0]) & set(found[1])
    for name in ("", "1", "a b", 'a"', "é"):
        with pytest.raises(UsageError):
            hours(name, "t", [])
    with pytest.raises(UsageError):
        bars("x", "t", ["a"], ("a", []), ("b", []))
