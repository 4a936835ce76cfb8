"""One release is shown with all that both registers say of it; what is held is found by its words, and no more."""

import pytest

from entente.errors import UsageError
from lab.acts import derived, ordered
from lab.pair import Pair, sighted


def released(pair: Pair, word: str = "harmless") -> str:
    rid = pair.release(pair.a, sighted(word=word)).rid
    pair.exchange()
    return rid


def test_both_nodes_show_the_same_events_marking_and_duties(either: Pair) -> None:
    rid = released(either)
    own = derived(either, either.b, rid)
    either.exchange()
    either.clock.forward(hours=1)
    ordered(either, either.a, rid, "return")
    either.exchange()
    one, two = (node.show(rid[:12]) for node in (either.a, either.b))
    assert (one.events, one.banner, one.duties, one.state) == (two.events, two.banner, two.duties, two.state)
    assert [event.what for event in one.events] == ["released", "answered: received", "ordered: return"]
    assert one.derivatives == two.derivatives == (own,)
    assert len(one.banner) == len(either.codes)
    owed = [(duty.kind, duty.cause, duty.owed_by) for duty in one.duties]
    assert owed == [("answer", "order", either.b.party), ("return_or_destroy", "return", either.b.party)]
    assert [thing.title for thing in two.objects] == ["harmless 1", "harmless 2"]
    assert (one.held, two.held) == ("sealed", "sealed")
    assert either.b.show(own).ancestors == (rid,)


def test_a_number_is_one_of_our_own_releases_and_nothing_else(pair: Pair) -> None:
    rid = released(pair)
    assert pair.a.show("1").rid == rid
    for node, which in ((pair.b, "1"), (pair.a, "2"), (pair.a, ""), (pair.a, "zz"), (pair.a, "0")):
        with pytest.raises(UsageError):
            node.show(which)
    with pytest.raises(UsageError):
        pair.a.why("2")


def test_what_ended_is_shown_and_nothing_of_it_is_found(pair: Pair) -> None:
    rid = released(pair, word="canary")
    assert [place for place, _ in pair.b.search("CANARY 2", 10)] == [rid]
    pair.b.destroy(rid)
    shown = pair.b.show(rid)
    assert (shown.state, shown.held, shown.objects) == ("ended", "nothing", ())
    assert pair.b.search("canary", 10) == []


def test_words_are_found_as_they_stand(pair: Pair) -> None:
    """A per cent sign or an underscore is a character like any other."""
    released(pair, word="100 % _sure")
    assert len(pair.b.search("100 % _sure", 10)) == len(sighted())
    assert len(pair.b.search("% _", 1)) == 1
    for words in ("100 x", "_ure", "%%", "\\"):
        assert pair.b.search(words, 10) == []
    with pytest.raises(UsageError):
        pair.b.search("  ", 10)
