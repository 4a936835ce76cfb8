"""Papers by the command line: written as JSON and PDF, checked by the agreement alone, and a lie in one is found."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from entente.cli import main
from promises.demo_run import sample_run


def entente(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def place() -> Path:
    """The folder of a node, closed, whose first release the partner received."""
    folder = sample_run().folder
    index: dict[str, object] = json.loads((folder / "demo.json").read_bytes())
    return folder / next(iter(index))


def test_a_decision_is_written_checked_and_an_altered_one_is_refused(place: Path, tmp_path: Path) -> None:
    paper, law = tmp_path / "decision.json", place.parent / "agreement.toml"
    made = entente("paper", "decision", "1", "--out", paper, "--node", place)
    assert made.exit_code == 0, made.output
    checked = entente("paper", "check", paper, "--agreement", law)
    assert (checked.exit_code, "it holds" in checked.output) == (0, True)
    paper.write_bytes(paper.read_bytes().replace(b'"state":"received"', b'"state":"disputed"'))
    lied = entente("paper", "check", paper, "--agreement", law, "--json")
    assert lied.exit_code == 3
    assert json.loads(lied.output)["faults"]


def test_a_paper_is_drawn_and_never_written_over_anything(place: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "decision.pdf"
    assert entente("paper", "decision", "1", "--out", drawn, "--node", place).exit_code == 0
    assert drawn.read_bytes().startswith(b"%PDF-")
    assert entente("paper", "decision", "1", "--out", drawn, "--node", place).exit_code == 2
    odd = entente("paper", "decision", "1", "--out", tmp_path / "x.doc", "--node", place)
    assert (odd.exit_code, "Give --out NAME.json or NAME.pdf" in odd.output) == (2, True)


def test_what_has_not_ended_has_no_certificate(place: Path, tmp_path: Path) -> None:
    told = entente("paper", "destruction", "1", "--out", tmp_path / "x.json", "--node", place)
    assert told.exit_code == 1
    assert "has not answered it destroyed" in told.output
    assert not (tmp_path / "x.json").exists()
