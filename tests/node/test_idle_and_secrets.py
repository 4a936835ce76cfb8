"""A pair that has nothing to say falls silent, and what it carried is in clear in one database only."""

import base64
from pathlib import Path

import pytest
from lab.pair import Pair, answers, files, sighted, state
from stix_objects import as_bytes, indicator

from entente.app import validate
from entente.node.node import Node

CANARY = "zebra-quagga-4711"


def test_a_release_crosses_and_is_answered_received_once(either: Pair) -> None:
    """Both know: one release, received; the objects' bytes are the same at both, and neither lists an invalid entry."""
    bodies = sighted(3)
    done = either.release(either.a, bodies)
    either.exchange()
    assert either.b.view.bodies(done.rid) == bodies
    assert answers(either.b) == [("received", [[done.idx, done.idx]])]
    assert [given.outcome for given in either.a.side.releases[0].answers] == ["received"]
    assert not either.a.side.invalid
    assert not either.b.side.invalid


def test_the_child_process_validates_what_came(pair: Pair) -> None:
    """Both know: received. The receiver's child process saw exactly these objects."""
    pair.b.validate = validate
    done = pair.release(pair.a)
    pair.exchange()
    assert answers(pair.b) == [("received", [[done.idx, done.idx]])]


def test_two_hundred_polls_without_news_change_nothing(pair: Pair) -> None:
    """Both know what they knew: no entry, no row, no head and no served byte is new after 200 polls both ways."""
    pair.release(pair.a)
    pair.exchange()
    before = [state(node) for node in pair.nodes.values()]
    for _ in range(200):
        pair.round()
        pair.clock.forward(minutes=15)
    assert [state(node) for node in pair.nodes.values()] == before
