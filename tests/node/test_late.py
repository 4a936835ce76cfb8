"""What fails after the entries are durable is told as what it is, and finished later; nothing is lost or doubled."""

import msgspec
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


def test_a_queued_draft_whose_key_is_gone_does_not_cut_the_node_off(pair: Pair) -> None:
    """The fault is told each time, and yet the partner's release is received; the draft has not left."""
    pair.a.settings = msgspec.structs.replace(pair.a.settings, dispatch_slot_minutes=15)
    rid = pair.approved(pair.a)
    pair.a.queue([rid])
    pair.a.keys.destroy(rid)
    pair.clock.forward(minutes=15)
    pair.release(pair.b, sighted(first=30))
    for _ in range(3):
        with pytest.raises(StoreError, match="key of this draft is gone"):
            pair.a.sync()
        pair.b.sync()
    assert [pair.b.state_of(fact) for fact in pair.b.side.releases] == ["received"]
    assert not pair.a.side.releases
