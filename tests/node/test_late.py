"""What fails after the entries are durable is told as what it is, and finished later; nothing is lost or doubled."""

import pytest

from entente.errors import StoreError
from lab.pair import Pair, sighted


def test_an_act_that_could_not_be_published_says_that_it_stands_and_is_finished_by_the_next(pair: Pair) -> None:
    """At first our register holds the release and the partner sees nothing; then both know both: received."""
    own = pair.a.folder / "served" / "own"
    size = pair.a.side.size
    own.rename(own.with_name("aside"))
    own.write_bytes(b"in the way")
    with pytest.raises(StoreError, match="the act stands in the register"):
        pair.release(pair.a)
    assert pair.a.side.size == size + 1
    own.unlink()
    own.with_name("aside").rename(own)
    pair.release(pair.a, sighted(first=10))
    pair.exchange()
    assert [pair.a.state_of(fact) for fact in pair.a.side.releases] == ["received", "received"]
