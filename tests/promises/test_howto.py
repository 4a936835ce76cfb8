"""The pages of docs/howto can be followed: every command in them runs, in order, and prints what the page shows.

What a page promises holds afterwards on both nodes, under both sample agreements: of what was destroyed no byte is
left, the year's account is the same, and both verifiers find nothing.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import pytest

from lab.acts import found_in
from promises.demo_run import ROOT, SAMPLES, Run, cli, copy_of, demo, fresh, index_of, said, sample_run, verify_py
from promises.howto_run import PREPARE, Reader, blocks, release

HOWTO = ROOT / "docs" / "howto"
DOCUMENTS, AFTER = HOWTO / "documents.md", HOWTO / "after.md"
PAGES = (DOCUMENTS, AFTER)
SAMPLE_NAMES = ("india-korea", pytest.param("two-certs", marks=pytest.mark.slow))
TEAMS: Mapping[str, str] = MappingProxyType(
    {
        "IND/iyer": "AAA/nair", "KOR/park": "BBB/lee", "IND": "AAA", "KOR": "BBB",
        "--role security": "--role release", "UNCLASSIFIED": "CLEAR", "일반": "CLEAR", "CONFIDENTIAL": "GREEN",
        "SECRET": "AMBER", "defence cooperation": "cyber defence",
    }
)  # fmt: skip


SAME = (("incident", "list"), ("undertaking", "list"), ("claim", "list"), ("standing", "list"))


@cache
def teams_run() -> Run:
    """The demo under the sample of two response teams, once."""
    return demo("--agreement", SAMPLES / "two-certs.toml").check()


def reader(kind: str, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Someone in a demo's folder under one of the two samples."""
    nations = kind == "india-korea"
    folder = copy_of((sample_run() if nations else teams_run()).folder, fresh("trial"))
    monkeypatch.chdir(folder)
    return Reader(folder, {} if nations else TEAMS, exact=nations)


@pytest.fixture(scope="module", params=SAMPLE_NAMES)
def followed(request: pytest.FixtureRequest) -> Reader:
    """The page on documents, followed to its end."""
    return to_the_end_of(DOCUMENTS, request.param)


@pytest.fixture(scope="module", params=SAMPLE_NAMES)
def later(request: pytest.FixtureRequest) -> Reader:
    """The page on what comes after the crossing, followed to its end."""
    return to_the_end_of(AFTER, request.param)


def to_the_end_of(page: Path, kind: str) -> Reader:
    with pytest.MonkeyPatch.context() as patch:
        found = reader(kind, patch)
        found.follow(page)
    return found


def nodes_of(found: Reader) -> list[Path]:
    """The folders of the two nodes."""
    return [found.folder / code for code in index_of(found.folder)]


def test_only_what_waits_for_a_second_signature_is_skipped_where_one_is_enough(followed: Reader) -> None:
    waits = ["entente act sign $BACK --as IND/iyer --node IND", "entente act enter $BACK --yes --node IND"]
    assert followed.skipped == ([] if followed.exact else waits)


def test_the_first_document_was_asked_for_sent_reclassified_and_returned(followed: Reader) -> None:
    values = followed.values
    for node in nodes_of(followed):
        asked = next(row for row in said("list", "requests", "--node", node)["requests"] if row["rid"] == values["ASK"])
        assert asked["state"] == "answered"
        assert asked["replies"][0]["rids"] == [values["DOC"]]
        assert release(node, values["DOC"])["state"] == "ended"
        assert release(node, values["RETURN"])["state"] == "received"
        assert not {values["DOC"], values["SECRET"]} & {
            row.get("rid") for row in said("list", "duties", "--node", node)
        }


def test_of_the_second_document_no_byte_is_left_at_either_node(followed: Reader) -> None:
    saved = (followed.folder / "depots.txt").read_bytes()
    assert b"saffron-kettle" in saved
    for node in nodes_of(followed):
        assert release(node, followed.values["SECRET"])["state"] == "ended"
        assert found_in(node, b"saffron-kettle", saved, b"Depots") == []
    returned = b"store it high before the snow"
    assert found_in(nodes_of(followed)[1], returned) == []
    assert found_in(nodes_of(followed)[0], returned)


def test_the_accounts_of_the_year_are_equal_and_name_both_documents(followed: Reader) -> None:
    year = next(row["at"] for row in said("list", "drafts", "--node", nodes_of(followed)[0]))[:4]
    drawn = [said("reconcile", "--year", year, "--node", node) for node in nodes_of(followed)]
    assert drawn[0] == drawn[1]
    first, second = ((followed.folder / f"year-{side}.jsonl").read_text() for side in ("ind", "kor"))
    assert first == second
    if year == "2026":
        assert all(followed.values[name] in first for name in ("DOC", "SECRET", "RETURN"))


def test_both_verifiers_find_nothing_after_the_page(followed: Reader) -> None:
    assert said("verify", followed.folder)["faults"] == []
    for node in nodes_of(followed):
        verify_py(node).check()


def test_after_the_page_on_what_follows_both_nodes_say_the_same_of_every_part_of_it(later: Reader) -> None:
    nodes = nodes_of(later)
    both = [[said(*words, "--node", node) for node in nodes] for words in SAME]
    assert all(first == second for first, second in both)
    incidents, undertakings, claims, standings = (first for first, _ in both)
    assert [(case["open"], case["stages"]) for case in incidents] == [(False, ["notice", "findings", "measures"])]
    assert incidents[0]["reaches"]
    assert [(row["key"], row["state"]) for row in undertakings] == [("radar/1", "agree")]
    assert [row["state"] for row in claims] == [f"only {nodes[0].name}"]
    granted = next(row for row in standings if row["act"].startswith(later.values["GRANT"]))
    assert granted["state"] == "revoked"
    for node in nodes:
        found = said("status", "--node", node)
        assert found["agreement"] == later.values["SECOND"]
        assert "SUSPENDED" not in cli("status", "--node", node).check().out
        (withdrawn,) = [
            row for row in said("list", "--node", node) if row["number"] == 2 and row["from"] == nodes[0].name
        ]
        assert withdrawn["state"] in {"ended", "withdrawn"}
        assert withdrawn["rid"] not in {duty.get("rid") for duty in said("list", "duties", "--node", node)}


def test_after_the_page_on_what_follows_the_accounts_are_equal_and_both_verifiers_find_nothing(later: Reader) -> None:
    first, second = ((later.folder / f"year-{side}.jsonl").read_bytes() for side in ("ind", "kor"))
    assert first == second
    assert b"radar/1" in first
    assert said("verify", later.folder)["faults"] == []
    for node in nodes_of(later):
        verify_py(node).check()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_typed_and_none_names_a_folder_of_ours(page: Path) -> None:
    found = blocks(page)
    assert tuple(found[0].text.splitlines()) == PREPARE
    assert any(block.shown for block in found)
    assert not any(" /" in block.text for block in found if not block.saved)


def test_a_page_whose_output_is_not_what_is_printed_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = reader("india-korea", monkeypatch)
    page = tmp_path / "page.md"
    wrong = ("nothing is owed\n", "…\nKOR owes IND  nothing\n…\n", "")
    for shown in wrong:
        page.write_text(f"```sh\nentente list duties --node KOR\n```\n\n```text\n{shown}```\n")
        with pytest.raises(AssertionError, match=r"page.md:1: (not printed|printed, but not shown)"):
            found.follow(page)
    page.write_text("```sh\nentente list duties --node NOWHERE\n```\n")
    with pytest.raises(AssertionError, match="exit"):
        found.follow(page)
    page.write_text("```sh\nrm -r KOR\n```\n")
    with pytest.raises(pytest.fail.Exception, match="does not know"):
        found.follow(page)
    page.write_text("  ```sh\n  entente list\n  ```\n")
    with pytest.raises(AssertionError, match="indented"):
        found.follow(page)
