"""Today tells whoever looks what waits on them, and nothing that they may not know of."""

from collections.abc import Callable, Iterator

import msgspec
import pytest
from stix_objects import as_bytes, indicator

from entente.node.worker import STATE, State
from entente.strict import time_text
from lab.pair import Pair
from web.desk.hands import Hands


def worker(hands: Hands, **changes: object) -> None:
    """The worker's state says so."""
    state = State(1, doing="waiting", last_contact=time_text(hands.pair.clock.now))
    for name, value in changes.items():
        setattr(state, name, value)
    (hands.site.node.folder / STATE).write_bytes(msgspec.json.encode(state))


@pytest.fixture
def alone(make_pair: Callable[..., Pair]) -> Iterator[Hands]:
    """A desk with nothing on it."""
    pair = make_pair()
    made = Hands(pair, pair.codes[0])
    yield made
    made.close()


def test_who_approves_sees_first_how_much_waits_on_them_and_since_when(alone: Hands) -> None:
    hands, node = alone, alone.site.node
    assert "Nothing waits on you." in hands.read("nair", "/")
    first = hands.pair.propose(node, [as_bytes(indicator(801))]).rid
    hands.pair.clock.forward(hours=5)
    second = hands.pair.propose(node, [as_bytes(indicator(802))], author="nair").rid
    hands.pair.approve(node, second, "iyer", "security")
    assert "Waiting on you: 1, the oldest for 5 h" in hands.read("nair", "/")
    text = hands.get("nair", "/").text
    waiting, own = text.split("Your drafts", 1)
    assert first[:12] in waiting
    assert second[:12] not in waiting
    assert second[:12] in own
    assert "Waiting on you: 1" in hands.read("iyer", "/")
    hands.pair.approve(node, first, "nair")
    hands.pair.approve(node, first, "iyer", "security")
    text = hands.get("sen", "/").text
    assert first[:12] in text.split("Approved and not dispatched", 1)[1]
    node.dispatch([first])
    assert "Releases without an answer" in hands.read("sen", "/")
    hands.pair.exchange()
    assert "Releases without an answer" not in hands.read("sen", "/")


def test_an_act_is_shown_to_those_whose_signature_would_count_and_then_to_who_can_enter_it(hands: Hands) -> None:
    node = hands.site.node
    rid = hands.pair.release(node, [as_bytes(indicator(803))]).rid
    act = node.prepare("order", {"act": "withdraw", "rid": rid}, by=hands.pair.of(node, "rao")[0])
    node.sign(act.id, *hands.pair.of(node, "rao"))
    assert act.id[:12] in hands.get("sen", "/").text.split("Acts that wait for your signature", 1)[1]
    for name in ("rao", "rao.two"):
        assert act.id[:12] not in hands.get(name, "/").text
    node.sign(act.id, *hands.pair.of(node, "nair"))
    assert act.id[:12] in hands.get("rao", "/").text.split("Acts that can be entered", 1)[1]
    node.drop(act.id)
    assert act.id[:12] not in hands.get("sen", "/").text


def test_what_may_not_be_known_of_is_in_no_line_and_no_number(hands: Hands) -> None:
    node = hands.site.node
    high = hands.pair.propose(node, [as_bytes(indicator(811))], level=node.law.law.party[node.party].levels[3]).rid
    assert high[:12] in hands.get("rung3", "/").text
    for name in ("rung1", "elsewhere"):
        before = hands.get(name, "/").text
        assert high[:12] not in before
        assert "Waiting on you" not in hands.read("elsewhere", "/")


def test_the_link_is_told_in_words(hands: Hands) -> None:
    (hands.site.node.folder / STATE).unlink(missing_ok=True)
    assert "No worker has run here" in hands.read("sen", "/")
    worker(hands)
    assert "The link is up; last contact 0 min ago." in hands.read("sen", "/")
    worker(hands, failures=3, fault="the partner cannot be reached")
    text = hands.read("sen", "/")
    assert "The link is down" in text
    assert "The last round failed: the partner cannot be reached" in text
    worker(hands, doing="stopped")
    assert "The worker is stopped" in hands.read("sen", "/")


def test_overdue_duties_are_said_and_lead_to_their_release(alone: Hands) -> None:
    hands, node = alone, alone.site.node
    rid = hands.pair.release(node, [as_bytes(indicator(821))]).rid
    hands.pair.exchange()
    hands.pair.clock.forward(days=900)
    text = hands.read("sen", "/")
    assert "Overdue" in text
    assert "return or destroy" in text
    assert f"/release/{rid}" in hands.get("sen", "/").text
    assert rid not in hands.get("elsewhere", "/").text
