"""Keys of the machine that run out are renewed in time, by the authority, and old and new overlap."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from entente.errors import RefusedError
from entente.keys import SoftSigner
from entente.node import pair as pairing
from entente.node import setup, tls
from entente.node.node import Node
from entente.node.serve_partner import Listener
from entente.node.wire import WireTree
from lab.pair import Pair, sighted

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def authority(pair: Pair, code: str) -> SoftSigner:
    return pair.template.authorities[code]


def test_without_a_fresh_sealing_key_nothing_is_sent_and_with_one_it_is(pair: Pair) -> None:
    """After 90 days: the sender is refused by rule kem. After the renewal both know: received."""
    rid = pair.approved(pair.a)
    pair.clock.forward(days=5)
    pair.exchange()
    old = set(pair.b.side.kems)
    pair.b.append([setup.renew_kem(pair.b, authority(pair, pair.b.party))])
    pair.exchange()
    assert len(pair.a.other_side.kems) == 2
    pair.a.dispatch([rid])
    pair.exchange()
    fact = pair.a.side.release(rid)
    assert fact is not None
    assert pair.a.state_of(fact) == "received"
    pair.clock.forward(days=86)  # the first key has expired, the second has not
    pair.release(pair.a, sighted(first=50))
    pair.exchange()
    assert {answer for fact in pair.a.side.releases for answer in fact.outcomes_at(pair.b.side.size)} == {"received"}
    pair.clock.forward(days=10)
    with pytest.raises(RefusedError, match="sealing key"):
        pair.release(pair.a, sighted(first=90))
    assert old < set(pair.b.side.kems)


def test_a_new_leaf_key_is_shown_once_the_partner_has_cosigned_it(pair: Pair) -> None:
    """Before: the paired leaf. After: the new one, which the partner accepts by the register alone, and so again."""
    ends = {node.party: node for node in (pair.a, pair.b)}
    for node in ends.values():
        other = ends[node.partner]
        data = pairing.own_pairing(other, "https://127.0.0.1:1")
        node.settings = pairing.accept_pairing(node.folder, node.law.hash, data, tree=node.settings.partner_tree)
    shown: list[str] = []
    for turn in range(3):
        if turn:
            pair.a.append([setup.rotate_tls(pair.a, authority(pair, pair.a.party))])
            assert leaf_of(pair.a) == shown[-1], "shown before the partner knows it"
            pair.exchange()
        shown.append(leaf_of(pair.a))
        listener = Listener(
            pair.a.folder / "served", pair.a.tls_context(server=True), pair.a.is_partner_leaf, host="127.0.0.1", port=0
        )
        listener.start()
        reader = WireTree(listener.url, pair.b.tls_context(server=False), pair.b.is_partner_leaf)
        try:
            assert reader.get("own/checkpoint", 4096) == (pair.a.folder / "served/own/checkpoint").read_bytes()
        finally:
            reader.close()
            listener.stop()
    assert len(set(shown)) == 3


def leaf_of(node: Node) -> str:
    """The public key of the leaf that the node would show now."""
    node.tls_context(server=True)
    return public_key(node.folder / "tls" / "leaf.pem")


def public_key(path: Path) -> str:
    der = x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    return tls.check_peer(der, lambda _: True)
