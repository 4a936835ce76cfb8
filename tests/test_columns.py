"""What people read at the command line stands in columns, however wide its letters are, and holds no raw value."""

import click
from hypothesis import given
from hypothesis import strategies as st

from entente.commands.frame import body_lines, columns, many

WORDS = st.text(st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0x24F), min_size=1, max_size=8)


def test_wide_letters_take_two_places_and_colour_takes_none() -> None:
    rows = [("군사III급비밀", "a"), ("SECRET", "b"), (click.style("late", fg="red"), "c")]
    lines = columns(rows).splitlines()
    assert lines[0] == "군사III급비밀  a"
    assert lines[1] == "SECRET" + " " * 9 + "b"
    assert click.unstyle(lines[2]) == "late" + " " * 11 + "c"


def test_no_rows_are_no_lines_and_a_column_that_is_empty_throughout_is_gone() -> None:
    assert columns([]) == ""
    assert columns([("a", "", "b"), ("cc", "", "")], "  ") == "  a   b\n  cc"


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1))
def test_every_column_begins_at_the_same_place_in_every_line(rows: list[tuple[str, str, str]]) -> None:
    lines = columns(rows).splitlines()
    second = max(len(row[0]) for row in rows) + 2
    assert all(line[second:].startswith(row[1]) for line, row in zip(lines, rows, strict=True))


def test_an_acts_body_is_told_in_words_without_its_nonce() -> None:
    marking = {"caveats": [], "level": "SECRET", "originator": "AAA", "purpose": "p", "releasable_to": ["AAA", "BBB"]}
    pointed = [
        {"origin": "entente/x/AAA-to-BBB/1", "spans": [[3, 3]]},
        {"origin": "entente/x/BBB-to-AAA/1", "spans": [[1, 2]]},
    ]
    told = body_lines(
        {
            "act": "reclass",
            "marking": marking,
            "nonce": "00",
            "releases": pointed,
            "evidence": [],
            "text": {"en": "a\nb"},
        }
    )
    assert told.splitlines() == [
        "  act:       reclass",
        "  marking:   AAA SECRET // REL AAA, BBB // p",
        "  releases:  AAA-to-BBB entry 3; BBB-to-AAA entries 1 to 2",
        "  evidence:  none",
        "  text:      en a b",
    ]


def test_one_thing_is_not_said_to_be_many() -> None:
    assert [many(count, "object") for count in (0, 1, 1200)] == ["0 objects", "1 object", "1,200 objects"]
