"""Pairs of nodes, each on a copy of a template that is built once per run and agreement."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from entente import keys
from lab.pair import Pair, Template, build
from lab.tls import Ends, Party

# What needs schemathesis or Playwright is collected where that is: `./run test fuzz` and `./run test browser`, each of
# which fails when it finds no test.
NEEDS = {
    "areas/intelligence/taxii/fuzz/test_schemathesis.py": "schemathesis",
    "browser": "playwright",
    "web/fuzz/test_schemathesis_desk.py": "schemathesis",
}
collect_ignore = [place for place, package in NEEDS.items() if find_spec(package) is None]
CHEAP = 2**5


def pytest_addoption(parser: pytest.Parser) -> None:
    """Here, because pytest asks no conftest below this one for options."""
    parser.addoption("--screenshots", action="store_true", help="write docs/screenshots/ anew (./run test browser)")


Make = Callable[..., Pair]


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Template]:
    """The template of a sample agreement."""
    made: dict[str, Template] = {}

    def get(sample: str) -> Template:
        if sample not in made:
            with pytest.MonkeyPatch.context() as cheap:
                cheap.setattr(keys, "_ARGON2_KIB", CHEAP)
                made[sample] = build(tmp_path_factory.mktemp(sample), sample)
        return made[sample]

    return get


@pytest.fixture
def cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretching a passphrase costs a thousandth: opening a pair takes a tenth of a second less.

    Nothing else differs.
    """
    monkeypatch.setattr(keys, "_ARGON2_KIB", CHEAP)


@pytest.fixture
def make_pair(templates: Callable[[str], Template], tmp_path: Path, cheap_passphrases: None) -> Iterator[Make]:  # noqa: ARG001 - wanted for what it does
    """Makes pairs; they are closed when the test ends."""
    made: list[Pair] = []

    def make(sample: str = "india-korea") -> Pair:
        made.append(Pair(templates(sample), tmp_path / f"pair-{len(made)}"))
        return made[-1]

    yield make
    for pair in made:
        pair.close()


@pytest.fixture
def pair(make_pair: Make) -> Pair:
    """Two nodes under the India-Korea sample."""
    return make_pair()


@pytest.fixture(params=["india-korea", "two-certs"])
def either(make_pair: Make, request: pytest.FixtureRequest) -> Pair:
    """Two nodes under each sample in turn."""
    return make_pair(request.param)


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """Two parties with a CA and a leaf each, who know each other's."""
    folder = tmp_path_factory.mktemp("ends")
    with pytest.MonkeyPatch.context() as cheap:
        cheap.setattr(keys, "_ARGON2_KIB", CHEAP)
        made = Ends(Party.made(folder / "ours", "ours"), Party.made(folder / "theirs", "theirs"), folder)
    yield made
    made.ours.close()
    made.theirs.close()
