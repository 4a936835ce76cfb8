"""Two nodes over a bad wire, killed at any moment: nothing acknowledged is lost, nothing is doubled, nobody is accused.

Each runs in a process of its own and reads the other over mutual TLS, through a wire that cuts, truncates, flips,
delays, repeats, loses replies and stalls as a seed says, and is now and then away altogether. ENTENTE_SEED and
ENTENTE_KILLS repeat or prolong.
"""

import random
import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from entente import keys
from entente.bad_wire import HOST, Fault, Kind, Plan, Seeded, Wire, calm
from lab.killing import PARTIES, Killing, check_after, load_script, tell
from lab.wired import pair_by_wire
from lab.worker import QUICK, make_pair, open_node

pytestmark = pytest.mark.allow_hosts([HOST])
KILLS = 200
PAUSE_S = 0.8
KILLING_S = 240
AWAY = 0.1  # of the kills happen while the wire is away
RATES: dict[Kind, float] = {
    "delay": 0.1,
    "stall": 0.1,
    "cut": 0.15,
    "truncate": 0.1,
    "flip": 0.15,
    "repeat": 0.1,
    "lose_reply": 0.1,
}
HANDSHAKE, LONG = 3_000, 100_000  # bytes of a connection within which it meets its faults, by turns


def bad(seed: int) -> Plan:
    """Every second connection meets its faults soon, the others when much has crossed; a few meet none."""
    soon, late = Seeded(seed, RATES, HANDSHAKE), Seeded(seed, RATES, LONG)

    def plan(number: int) -> Sequence[Fault]:
        return (soon if number % 2 else late)(number)

    return plan


def free_ports(rng: random.Random, count: int) -> list[int]:
    """Ports that nobody has, below those that the kernel gives to whoever connects while a node is down."""
    found: list[int] = []
    while len(found) < count:
        port = rng.randrange(20_000, 32_000)
        try:
            socket.create_server((HOST, port)).close()
        except OSError:
            continue
        found.append(port)
    return found


@pytest.mark.slow
def test_two_hundred_kills_over_a_bad_wire_lose_and_double_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both know: every release once, received, what was acknowledged among them; both accounts are the same bytes.

    No head ever went back and no fork was claimed; both verifiers agree.
    """
    monkeypatch.setattr(keys, "_ARGON2_KIB", 2**5)
    killing = Killing.seeded(KILLS, pause_s=PAUSE_S, within_s=KILLING_S)
    rng = random.Random(killing.rng.random())
    assert make_pair(tmp_path) == PARTIES
    (tmp_path / QUICK).touch()
    listen = dict(zip(PARTIES, free_ports(rng, 2), strict=True))
    with (
        Wire(listen[PARTIES[0]], bad(rng.getrandbits(32))) as first,
        Wire(listen[PARTIES[1]], bad(rng.getrandbits(32))) as second,
    ):
        wires = (first, second)
        nodes = {party: open_node(tmp_path, party) for party in PARTIES}
        pair_by_wire(nodes, {party: wire.port for party, wire in zip(PARTIES, wires, strict=True)}, listen)
        for node in nodes.values():
            node.close()

        def meddle() -> None:
            wire = rng.choice(wires)
            wire.heal()
            if rng.random() < AWAY:
                wire.partition()

        def end() -> None:
            for wire in wires:
                wire.partition()
                wire.plan = calm()
                wire.heal()

        witness, kills = killing.run(tmp_path, monkeypatch, meddle=meddle, calm=end)
        struck = Counter(fault.kind for wire in wires for deed in wire.log for fault in deed.struck)
        tell(f"{kills} kills; {sum(len(wire.log) for wire in wires)} connections; faults that struck: {dict(struck)}")
    check_after(tmp_path, load_script(), witness)
    assert set(struck) == set(RATES) or kills < KILLS
