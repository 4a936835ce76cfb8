"""Counts are the same wherever one counts them: dispatched, stored and received, from both nodes' own registers."""

from collections import Counter
from collections.abc import Iterator

import pytest

from entente.account.acts import Answer, Release, parse_body
from entente.bad_wire import HOST
from entente.node.node import Node
from entente.node.verify import verify_folders
from entente.register.entry import parse_entry
from lab.pair import Pair, sighted
from lab.wired import Wired

pytestmark = [pytest.mark.allow_hosts([HOST]), pytest.mark.slow]
BATCH = 50
MOST, SOME = 1_000, 150


def bodies(node: Node, party: str) -> Iterator[tuple[int, object]]:
    """Index and body of every entry in this node's copy of a party's register."""
    for idx, data in enumerate(node.db.entries(node.logs[party])):
        entry = parse_entry(data)
        yield idx, parse_body(entry.kind, entry.body)


def dispatched(node: Node, party: str) -> list[str]:
    """The rids of the releases in this node's copy of a party's register, in order."""
    return [body.core.rid for _, body in bodies(node, party) if isinstance(body, Release)]


def received(node: Node, party: str) -> Counter[str]:
    """How often a party's register, as this node has it, says `received` of each of the other's releases."""
    other = next(code for code in node.trees if code != party)
    releases = {idx: body.core.rid for idx, body in bodies(node, other) if isinstance(body, Release)}
    found: Counter[str] = Counter()
    for _, body in bodies(node, party):
        if isinstance(body, Answer):
            assert body.outcome == "received"
            for first, last in body.re.spans:
                found.update(releases[idx] for idx in range(first, last + 1) if idx in releases)
    return found


def test_dispatched_stored_and_received_are_a_thousand_at_both(pair: Pair) -> None:
    """Both know: a thousand releases one way and 150 the other, each cosigned, held and answered received, once."""
    wanted = {pair.a.party: MOST, pair.b.party: SOME}
    sent: dict[str, list[str]] = {code: [] for code in pair.codes}
    with Wired(pair) as wired:
        for first in range(0, MOST, BATCH):
            for code, node in pair.nodes.items():
                if first < wanted[code]:
                    rids = [pair.approved(node, sighted(1, first=first + n)) for n in range(BATCH)]
                    sent[code] += [done.rid for done in node.dispatch(rids)]
            if first % (4 * BATCH) == 0:
                wired.exchange()
        wired.exchange()
    for code, node in pair.nodes.items():
        other = pair.nodes[node.partner]
        assert len(sent[code]) == wanted[code]
        assert dispatched(node, code) == dispatched(other, code) == sent[code], "dispatched, and stored"
        assert node.acknowledged() == node.side.size, "and known to be stored"
        assert received(other, other.party) == received(node, other.party) == Counter(sent[code])
        assert all(len(other.view.bodies(rid)) == 1 for rid in sent[code])
        assert [node.state_of(fact) for fact in node.side.releases] == ["received"] * wanted[code]
    assert pair.a.reconcile().text == pair.b.reconcile().text
    report = verify_folders({code: pair.folder / code for code in pair.codes})
    assert (report.faults, report.invalid) == ([], 0)
