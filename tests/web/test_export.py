"""A list as a file holds exactly the rows of the screen, neutral, marked and whole; one that is not says so."""

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from entente.web import diary, export
from entente.web.page import Cell, Column, Filter, Listing, Page, Row, said
from entente.web.screen import Screen, page
from entente.web.signin import Visitor
from entente.web.site import make_site
from entente.web.visit import Query, Visit, sliced
from lab.pages import Parsed
from lab.read_csv import NotWholeError, read_csv, read_json
from lab.site import Site
from lab.walk import Walk

ROWS: list[tuple[str, int]] = []
STATE: dict[str, Any] = {"stamp": "", "rank": 0, "fails": -1}
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("=+-@\t\r\n\",;#|'\uff1d"), max_size=12)
COLUMNS = [Column("word", said("Word"), sort=True), Column("number", said("Number"), "number", sort=True)]


def _row(visit: Visit, one: tuple[str, int]) -> Row:
    if STATE["fails"] == one[1]:
        raise ZeroDivisionError
    return Row(str(one[1]), {"word": Cell(one[0]), "number": one[1]}, mark=visit.portion(STATE["rank"]))


@page("/toy", said("Toy"), lists=True)
def toy(visit: Visit) -> Page:
    rows = visit.held(
        ROWS, tests={"word": lambda one, value: value in one[0], "number": lambda one, value: str(one[1]) == value},
        sorts={"word": lambda one: one[0], "number": lambda one: one[1]},
    )  # fmt: skip
    return Page(said("Toy"), [listing(visit, rows)])


def listing(visit: Visit, rows: Sequence[tuple[str, int]]) -> Listing:
    return Listing(
        said("Rows"), COLUMNS, sliced(rows), lambda one: _row(visit, one), total=len(rows),
        stamp=lambda: str(STATE["stamp"]),
        filters=[Filter("word", said("Word")), Filter("number", said("Number"))],
    )  # fmt: skip


class Many(Sequence[tuple[str, int]]):
    """As many rows as there are, none of them kept."""

    def __init__(self, count: int) -> None:
        self.most = count

    def __len__(self) -> int:
        return self.most

    def __getitem__(self, key: Any) -> Any:
        return [(f"word {n}", n) for n in range(*key.indices(self.most))]


@page("/long", said("Long"), lists=True)
def long(visit: Visit) -> Page:
    return Page(said("Long"), [listing(visit, Many(200_000))])


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[TestClient]:
    """A site of two screens."""
    screens: tuple[Screen, ...] = (toy, long)
    app = make_site(site.door, screens, (), {}, "/taxii2")
    headers = {"Authorization": f"Bearer {site.token('rung3')}"}
    with TestClient(app, base_url="http://127.0.0.1", headers=headers, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(autouse=True)
def fresh() -> None:
    ROWS[:] = [(f"word {n}", n) for n in range(5)]
    STATE.update(stamp="", rank=0, fails=-1)


def asked(rows: list[tuple[str, int]], query: dict[str, str]) -> list[tuple[str, int]]:
    """What the query asks for, by hand."""
    word, number, sort = query.get("word", "").strip(), query.get("number", ""), query.get("sort", "")
    found = [one for one in rows if word in one[0] and number in ("", str(one[1]))]
    if sort.removeprefix("-"):
        found.sort(key=lambda one: one[sort.removeprefix("-") == "number"], reverse=sort.startswith("-"))
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(TEXT, st.integers(0, 9)), max_size=60),
    st.fixed_dictionaries({}, optional={
        "word": st.sampled_from(["=", "a", "#", " ", "zz"]), "number": st.sampled_from(["1", "7"]),
        "sort": st.sampled_from(["word", "-word", "number", "-number"]), "size": st.sampled_from(["25", "50"]),
    }),
)  # fmt: skip
def test_pages_json_and_csv_hold_the_same_rows(
    client: TestClient, rows: list[tuple[str, int]], query: dict[str, str]
) -> None:
    ROWS[:] = rows
    wanted = asked(rows, query)
    _, told = read_json(client.get("/toy.json", params={**query, "from": "3"}).content)
    assert [(row["word"], row["number"]) for row in told] == [(word, str(number)) for word, number in wanted]
    _, table = read_csv(client.get("/toy.csv", params=query).content)
    assert [row["number"] for row in table] == [str(number) for _, number in wanted]
    for row, (word, _) in zip(table, wanted, strict=True):
        assert row["word"] in (word, word.removeprefix("'"))
    assert on_pages(client, query) == [str(number) for _, number in wanted]


def on_pages(client: TestClient, query: dict[str, str]) -> list[str]:
    """The numbers of the rows of all pages, by following Next."""
    found: list[str] = []
    where = "/toy"
    params: dict[str, str] | None = query
    while where:
        text = client.get(where, params=params).text
        found += [part.partition("</bdi>")[0] for part in text.split('<td class="k-number"><bdi translate="no">')[1:]]
        more = [link for link in Parsed(text).links if f'href="{link}" rel="next"'.replace("&", "&amp;") in text]
        where, params = (more[0] if more else ""), None
    return found


@pytest.mark.parametrize(
    "word",
    [
        "=1+1",
        "+1",
        "-1",
        "@x",
        "\t=1",
        "\r=1",
        "\n=1",
        "|x",
        "#END rows=5 sha256=x",
        "\uff1d1",
        '=HYPERLINK("http://x")',
        "\r\n#END rows=0",
    ],
)
def test_no_cell_is_a_formula_or_a_line_of_the_format(client: TestClient, word: str) -> None:
    ROWS[:] = [(word, 1)]
    data = client.get("/toy.csv").content.decode()
    (row,) = list(csv.DictReader(io.StringIO(data.split("\r\n", 2)[2].rpartition("#END")[0], newline="")))
    assert row["word"] == f"'{word}"


def test_the_first_line_is_the_marking_and_so_is_the_name(client: TestClient) -> None:
    STATE["rank"] = 3
    answer = client.get("/toy.csv")
    marking, rows = read_csv(answer.content)
    assert marking.startswith("SECRET / ")
    assert "SECRET" in answer.headers["content-disposition"]
    assert all(row["marking"] == marking for row in rows)
    assert read_json(client.get("/toy.json").content)[0] == marking


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize("what", ["stamp", "rank", "fails", "fewer"])
def test_what_changed_or_broke_while_it_was_read_says_so(
    client: TestClient, kind: str, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = export.Export.measure

    def measured(self: export.Export) -> None:
        real(self)
        if what == "fewer":
            monkeypatch.setattr(self, "count", self.count + 1)
        else:
            STATE[what] = {"stamp": "other", "rank": 2, "fails": 4}[what]

    monkeypatch.setattr(export.Export, "measure", measured)
    data = client.get(f"/toy.{kind}").content
    assert b"#END" not in data
    assert b'"end"' not in data
    assert (b"#ERROR " if kind == "csv" else b'"error":true') in data
    assert data.count(b"#ERROR") <= 1
    with pytest.raises(NotWholeError):
        (read_csv if kind == "csv" else read_json)(data)
    assert "word 4" not in caplog.text


def test_a_file_cut_or_changed_anywhere_is_refused(client: TestClient) -> None:
    whole, told = client.get("/toy.csv").content, client.get("/toy.json").content
    read_csv(whole)
    read_json(told)
    for cut in range(len(whole)):
        with pytest.raises(NotWholeError):
            read_csv(whole[:cut])
    for cut in range(len(told)):
        with pytest.raises(NotWholeError):
            read_json(told[:cut])
    for at in range(0, len(whole), 3):
        with pytest.raises((NotWholeError, UnicodeDecodeError)):
            read_csv(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])


@pytest.mark.slow
def test_two_hundred_thousand_rows_take_no_memory(client: TestClient, site: Site) -> None:
    """The pieces are counted as they are made: a client that reads slowly holds no more than a thousand rows."""
    del client
    door = site.door
    with door.reading() as node:
        visit = Visit(door, node, Visitor("IND/rung3", 3, (), ("intelligence",)), Query({}), {})
        made = export.Export(door, visit, listing(visit, Many(200_000)), "long")
        tracemalloc.start()
        made.measure()
    size = 0
    for piece in made._signed(made._csv(), ".csv"):
        size += len(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.count == 200_000
    assert size > 4_000_000
    assert peak < 4_000_000, peak


def test_every_list_of_the_desk_reads_back_the_same_in_both_forms(walk: Walk) -> None:
    read = 0
    for who in ("whole4", "rung0", "paper3"):
        for path, answer in walk.told(who).items():
            where, _, query = path.partition("?")
            if answer.status_code != 200 or not where.endswith(".csv") or walk.route_of(path) not in LISTS(walk):
                continue
            marking, rows = read_csv(answer.content)
            other, told = read_json(walk.get(who, f"{where[:-4]}.json{'?' if query else ''}{query}").content)
            assert marking == other, path
            assert len(rows) == len(told), path
            for row, same in zip(rows, told, strict=True):
                for key, value in same.items():
                    assert row[key] in (value, value.removeprefix("'")), (path, key)
            read += 1
    assert read > 10


def LISTS(walk: Walk) -> set[str]:  # noqa: N802
    """The routes of lists as CSV."""
    return {one.path for one in walk.routes("GET") if one.path.endswith(".csv")}


def test_every_export_stands_in_the_home_journal(client: TestClient, site: Site) -> None:
    client.get("/toy.csv")
    site.door.diary.flush()
    rows = [
        row
        for row in site.node.db.raw.execute("SELECT kind, key, data FROM journal").fetchall()
        if row[0] == diary.EXPORT
    ]
    assert rows
    told = json.loads(rows[-1][2])
    assert (told["by"], told["place"], told["rows"]) == (f"{site.code}/rung3", "/toy.csv", 5)
