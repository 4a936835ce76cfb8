"""A pair over the wire: each node serves on a port of its own, and the other reads it through a wire that can be bad.

`pair_by_wire` also serves nodes that run in processes of their own.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self

import msgspec

from entente.bad_wire import HOST, Wire
from entente.node.node import Node
from entente.node.pair import accept_pairing, own_pairing
from entente.node.serve_partner import Listener
from entente.node.setup import read_settings, write_settings
from entente.node.wire import WireTree
from lab.pair import Pair


def pair_by_wire(nodes: Mapping[str, Node], ports: Mapping[str, int], listen: Mapping[str, int] | None = None) -> None:
    """Each node, open here, knows its partner's TLS identity and reads it at `ports[partner]`.

    It serves at `listen[itself]` where that is given.
    """
    for code, node in nodes.items():
        (other,) = (found for name, found in nodes.items() if name != code)
        url = f"https://{HOST}:{ports[other.party]}"
        node.settings = accept_pairing(node.folder, node.law.hash, own_pairing(other, url))
        if listen is not None:
            node.settings = msgspec.structs.replace(read_settings(node.folder), listen=f"{HOST}:{listen[code]}")
            write_settings(node.folder, node.settings)


class Wired:
    """The nodes of a pair, each behind a real listener; `wires[code]` is the wire by which the other reads `code`."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.wires: dict[str, Wire] = {}
        self.listeners: dict[str, Listener] = {}
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        pair_by_wire(self.pair.nodes, dict.fromkeys(self.pair.nodes, 1))
        for code in self.pair.nodes:
            self._serve(code, 0)
            self._ends.callback(lambda code=code: self.listeners[code].stop())  # type: ignore[misc]  # this code
            self.wires[code] = self._ends.enter_context(Wire(self.listeners[code].port))
        pair_by_wire(self.pair.nodes, {code: wire.port for code, wire in self.wires.items()})
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def serve_again(self, code: str) -> None:
        """The node's listener was stopped, and another listens at the same port."""
        self.listeners[code].stop()
        self._serve(code, self.listeners[code].port)

    def _serve(self, code: str, port: int) -> None:
        node = self.pair.nodes[code]
        self.listeners[code] = Listener(
            node.folder / "served",
            node.tls_context(server=True),
            lambda key: self.pair.nodes[code].is_partner_leaf(key),  # noqa: PLW0108 - whichever node is open then
            host=HOST,
            port=port,
        )
        self.listeners[code].start()

    def tree(self, node: Node) -> WireTree:
        """What this node reads of its partner, without the pauses of a patient reader."""
        url = read_settings(node.folder).partner_url
        return WireTree(url, node.tls_context(server=False), node.is_partner_leaf, pause=lambda _: None)

    def pull(self, node: Node) -> int:
        """The node has pulled over the wire, and answered; returns how many bytes of answers came."""
        tree = self.tree(node)
        try:
            node.pull(tree)
            node.answer()
        finally:
            tree.close()
        return tree.received

    def exchange(self) -> None:
        """Both have pulled and answered until neither has news."""
        for _ in range(4):
            for node in self.pair.nodes.values():
                self.pull(node)
