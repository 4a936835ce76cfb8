"""The first party's desk with persons at it, for all tests of a module."""

from collections.abc import Iterator

import pytest

from lab.pair import Pair
from web.desk.hands import Hands


@pytest.fixture(scope="module")
def hands(pair: Pair) -> Iterator[Hands]:
    """The first party's desk."""
    made = Hands(pair, pair.codes[0])
    yield made
    made.close()
