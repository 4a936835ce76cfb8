"""A site: one node's door with persons of every clearance, shared by the tests of a module."""

from collections.abc import Callable, Iterator

import pytest

from entente import keys
from lab.pair import Pair, Template
from lab.site import Site
from lab.walk import Walk, fill

CHEAP = 2**5


@pytest.fixture(scope="module")
def pair(templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two nodes under the India-Korea sample, for all tests of a module."""
    with pytest.MonkeyPatch.context() as cheap:
        cheap.setattr(keys, "_ARGON2_KIB", CHEAP)
        made = Pair(templates("india-korea"), tmp_path_factory.mktemp("pair"))
        yield made
        made.close()


@pytest.fixture(scope="module")
def site(pair: Pair) -> Iterator[Site]:
    """The first party's door."""
    made = Site(pair, pair.codes[0])
    yield made
    made.close()


@pytest.fixture(scope="session")
def walked(templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """All that is served of a site with something of every level; keys are cheap to open while it is made only."""
    with pytest.MonkeyPatch.context() as cheap:
        cheap.setattr(keys, "_ARGON2_KIB", CHEAP)
        pair = Pair(templates("india-korea"), tmp_path_factory.mktemp("walk"))
        made = Site(pair, pair.codes[0])
        found = Walk(fill(made))
    yield found
    made.close()
    pair.close()


@pytest.fixture
def walk(walked: Walk, cheap_passphrases: None) -> Walk:  # noqa: ARG001 - wanted for what it does
    """The same, for a test; whoever uses it changes nothing."""
    return walked
