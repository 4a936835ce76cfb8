"""Two nodes left alone carry what is released to its answer; a worker gives way, waits, and ends in order.

Workers run in threads, as in `entente serve`, over the real wire; a bad wire stands between where a test breaks it.
"""

import base64
import contextlib
import json
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from stix_objects import as_bytes, indicator

from entente.app import AREAS
from entente.bad_wire import Fault, Scripted, Seeded, Wire
from entente.errors import BusyError, UsageError
from entente.node import lock, setup, wire, worker
from entente.node import pair as pairing
from entente.node.node import Node
from entente.node.receive import GIVE_UP
from entente.node.worker import State, Worker, read_state, serve
from lab.cheat import Cheat
from lab.pair import Pair, answers, files, in_process, sighted, state
from lab.tls import GET, HOST, Server, answer, ask, client, until
from lab.tls import server as tls_server

pytestmark = pytest.mark.allow_hosts([HOST])
CANARY = "zebra-quagga-4711"
EVERY_S = 0.02


class Running:
    """A node that is served and worked on, in a thread, until the block ends; what it said is in `said`."""

    def __init__(
        self, folder: Path, clock: Callable[..., object], *, every_s: float = EVERY_S, listen: str = ""
    ) -> None:
        self.folder, self.listen = folder, listen or f"{HOST}:0"
        self.stop = threading.Event()
        self.worker = Worker(
            lambda: Node(folder, AREAS, in_process, clock=clock, yields=True),  # type: ignore[arg-type]
            folder,
            every_s=every_s,
            stop=self.stop,
        )
        self.said: list[str] = []
        self.fault: BaseException | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            serve(self.worker, self.listen, self.said.append)
        except BaseException as fault:  # noqa: BLE001 - told where the block ends
            self.fault = fault

    def __enter__(self) -> Self:
        self.thread.start()
        until(lambda: len(self.said) > 1 or not self.thread.is_alive(), "serving")
        return self

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: TracebackType | None) -> None:
        self.end()
        if fault is None and self.fault is not None:
            raise self.fault

    def end(self) -> None:
        """It has ended."""
        self.stop.set()
        self.thread.join()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self.worker.listener is not None
        return self.worker.listener.port

    @property
    def state(self) -> State:
        """What it last wrote of itself."""
        found = read_state(self.folder)
        assert found is not None
        return found

    def rounds(self, more: int = 2) -> None:
        """It has done this many rounds more."""
        before = self.worker.state.rounds
        until(lambda: self.worker.state.rounds >= before + more, "another round")


@dataclass
class Street:
    """A pair whose nodes are closed here and know each other by pairing files; `wires` lead to each party's node."""

    pair: Pair
    wires: dict[str, Wire]
    running: dict[str, Running] = field(default_factory=dict)

    def folder(self, code: str) -> Path:
        """Where a party's node is."""
        return self.pair.folder / code

    @contextlib.contextmanager
    def at_work(self, *codes: str) -> Iterator[list[Running]]:
        """These parties' nodes (default both) serve and work."""
        with contextlib.ExitStack() as stack:
            for code in codes or self.pair.codes:
                made = stack.enter_context(Running(self.folder(code), self.pair.clock))
                self.wires[code].target = made.port
                self.running[code] = made
            made_all = [self.running[code] for code in codes or self.pair.codes]
            try:
                yield made_all
            finally:
                for made in made_all:
                    made.stop.set()

    def level(self) -> None:
        """Each holds all that the other has, and knows that all of its own is cosigned."""
        a, b = (self.running[code].worker.state for code in self.pair.codes)

        def same() -> bool:
            return a.own == a.acknowledged == b.partner and b.own == b.acknowledged == a.partner and not b.waiting

        until(lambda: a.last_contact and b.last_contact and same(), "becoming level")

    def send(self, count: int = 2, first: int = 1) -> str:
        """A person of the first party releases objects while the workers run; returns the release's id."""
        node = self.pair.open(self.pair.codes[0])
        try:
            return self.pair.release(node, sighted(count, first=first)).rid
        finally:
            self.pair.shut(self.pair.codes[0])

    def received(self, *rids: str) -> None:
        """Both nodes know: these releases, in this order, each received once."""
        for code in self.pair.codes:
            self.pair.open(code)
        assert [fact.rid for fact in self.pair.a.side.releases] == list(rids)
        assert [[given.outcome for given in fact.answers] for fact in self.pair.a.side.releases] == [
            ["received"]
        ] * len(rids)
        spans = [
            index for _, found in answers(self.pair.b) for first, last in found for index in range(first, last + 1)
        ]
        assert sorted(spans) == [fact.idx for fact in self.pair.a.side.releases], "each once"
        assert {outcome for outcome, _ in answers(self.pair.b)} == ({"received"} if rids else set())
        for node in self.pair.nodes.values():
            assert not node.side.invalid
            assert not node.other_side.invalid
            assert not node.frozen


@pytest.fixture
def street(pair: Pair) -> Iterator[Street]:
    """The two nodes, closed, and the wires between them."""
    with contextlib.ExitStack() as stack:
        wires = {code: stack.enter_context(Wire(9)) for code in pair.codes}
        for code, other in (pair.codes, pair.codes[::-1]):
            node = pair.nodes[other]
            data = pairing.own_pairing(pair.nodes[code], f"https://{HOST}:{wires[code].port}")
            pairing.accept_pairing(node.folder, node.law.hash, data)
        for code in pair.codes:
            pair.shut(code)
        yield Street(pair, wires)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants the node gets it within seconds or fails; a reader that lost its partner asks again at once."""
    monkeypatch.setattr(lock, "TURN_S", 5.0)
    monkeypatch.setattr(lock, "LOCK_S", 10.0)
    monkeypatch.setattr(wire, "PAUSE_S", 0.0)


def in_use() -> tuple[set[threading.Thread], int]:
    """The threads that run, and how many files and sockets are open."""
    return set(threading.enumerate()), len(list(Path("/dev/fd").iterdir()))


# Left alone


def test_what_is_released_is_received_and_answered_without_a_hand(street: Street) -> None:
    """From one command at the first node to the answer back there, by two workers over mutual TLS."""
    with street.at_work() as (a, b):
        rid = street.send()
        street.level()
        until(lambda: b.worker.state.opened == 1, "opening")
        street.level()
        assert [each.worker.state.fault for each in (a, b)] == ["", ""]
        assert [each.worker.state.failures for each in (a, b)] == [0, 0]
    street.received(rid)


def test_hundreds_of_rounds_without_news_change_nothing_but_the_workers_own_state(street: Street) -> None:
    """No entry, no row, no head and no served byte is new; every other file of the nodes is as it was."""
    street.send()
    with street.at_work() as (a, b):
        until(lambda: b.worker.state.opened == 1, "opening")
        street.level()
        a.rounds(3)
        b.rounds(3)
    with street.at_work() as workers:
        for each in workers:
            until(lambda each=each: each.worker._node is not None and each.worker.state.last_contact, "a first round")  # type: ignore[misc]
        nodes = [each.worker._node for each in workers]
        before = [state(node) for node in nodes if node is not None]
        kept = [quiet_files(each.folder) for each in workers]
        for each in workers:
            each.worker.every_s = 0.0
        for each in workers:
            each.rounds(100)
        assert [state(node) for node in nodes if node is not None] == before
        assert [quiet_files(each.folder) for each in workers] == kept
        assert all(each.worker._node is node for each, node in zip(workers, nodes, strict=True))


def quiet_files(folder: Path) -> dict[str, str]:
    """The files of a node, but for what its worker says of itself."""
    return {name: digest for name, digest in files(folder).items() if not name.startswith(worker.STATE)}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))])
def test_a_line_that_breaks_again_and_again_loses_and_doubles_nothing(
    street: Street, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Cuts, flipped bits, repeats and lost replies on every second connection; then calm: each release once (F-06)."""
    monkeypatch.setattr(wire, "PAUSE_S", 0.0)
    monkeypatch.setattr(wire, "ANSWER_S", 1.0)
    rates = {"cut": 0.15, "flip": 0.15, "repeat": 0.1, "truncate": 0.1, "lose_reply": 0.1, "delay": 0.1}
    rids = []
    with street.at_work() as (a, b):
        for number, code in enumerate(street.pair.codes):
            street.wires[code].partition()
            street.wires[code].plan = Seeded(2 * seed + number, rates, span=9000)  # type: ignore[arg-type]
            street.wires[code].heal()
        for number in range(4):
            rids.append(street.send(first=1 + 10 * number))
            for each in (a, b):
                each.rounds(3)
            for line in street.wires.values():
                line.partition()
                line.heal()
        for code in street.pair.codes:
            street.wires[code].partition()
            street.wires[code].plan = Scripted()
            street.wires[code].heal()
        until(lambda: b.worker.state.opened == 4, "opening")
        street.level()
        assert sum(bool(deed.struck) for line in street.wires.values() for deed in line.log) > 5
        assert a.worker.state.wire_faults + b.worker.state.wire_faults > 5
    street.received(*rids)


@pytest.mark.parametrize("way", ["up", pytest.param("down", marks=pytest.mark.slow)])
def test_a_reply_that_is_lost_is_asked_for_again(street: Street, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """The reader's question or its answer is cut in the middle: one fault is counted, one release is received."""
    monkeypatch.setattr(wire, "PAUSE_S", 0.0)
    rid = street.send()
    first = street.pair.codes[0]
    street.wires[first].plan = Scripted([Fault("lose_reply", at=1500) if way == "up" else Fault("cut", "down", 2500)])
    with street.at_work() as (_, b):
        until(lambda: b.worker.state.opened == 1, "opening")
        street.level()
        assert street.wires[first].log[0].struck
        assert b.worker.state.wire_faults == 1
    street.received(rid)


# Giving way


@pytest.mark.usefixtures("impatient")
def test_a_worker_gives_way_to_each_who_wants_the_node_and_goes_on_afterwards(street: Street) -> None:
    """Four acts of persons, each an opening of its own: each gets the node, and the worker does rounds in between."""
    with street.at_work() as (a, b):
        rids = []
        for number in range(4):
            rids.append(street.send(1, first=1 + number))
            a.rounds(1)
        until(lambda: b.worker.state.opened == 4, "opening")
        street.level()
    street.received(*rids)


@pytest.mark.usefixtures("impatient")
def test_a_partner_that_drips_does_not_keep_local_users_out(street: Street) -> None:
    """In the middle of an answer whose deadline is minutes away, the worker is asked for the node, and yields it."""
    gone = threading.Event()

    def drip(sock: ssl.SSLSocket, _: bytes) -> None:
        with contextlib.suppress(OSError):
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n")
            while not gone.wait(0.02):
                sock.sendall(b"x")

    with partner_of(street, drip) as server, street.at_work(street.pair.codes[1]) as (b,):
        until(lambda: server.heard, "a question")
        try:
            street.pair.open(street.pair.codes[1])
            assert b.worker.state.failures == 0, "who is interrupted has not failed"
            street.pair.shut(street.pair.codes[1])
            heard = len(server.heard)
            until(lambda: len(server.heard) > heard, "going on")
        finally:
            gone.set()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_partner_that_asks_for_patience_does_not_keep_local_users_out(street: Street) -> None:
    """L-06: half a minute between two questions belongs to whoever needs the node meanwhile."""
    busy = answer(b"", "429 Too Many Requests", "retry-after: 30")
    with (
        partner_of(street, lambda sock, _: sock.sendall(busy)) as server,
        street.at_work(street.pair.codes[1]) as (b,),
    ):
        until(lambda: server.heard, "a question")
        street.pair.open(street.pair.codes[1])
        assert b.worker.state.failures == 0
        street.pair.shut(street.pair.codes[1])


@contextlib.contextmanager
def partner_of(street: Street, script: Callable[[ssl.SSLSocket, bytes], None]) -> Iterator[Server]:
    """What the second party reads is said by this script, with the first party's real keys."""
    node = street.pair.open(street.pair.codes[0])
    owner = Ed25519PrivateKey.from_private_bytes(node.keys.key("tls/leaf") or b"")
    leaf = x509.load_pem_x509_certificate((node.folder / "tls" / "leaf.pem").read_bytes())
    street.pair.shut(street.pair.codes[0])
    with Server(tls_server(street.pair.folder, [leaf], owner), script) as made:
        street.wires[street.pair.codes[0]].target = made.port
        yield made


@pytest.mark.usefixtures("impatient")
def test_the_partner_is_served_while_another_process_has_the_node(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The served tree is files: a person at work here does not keep the partner from reading."""
    monkeypatch.setattr(lock, "TURN_S", 0.2)
    a, b = street.pair.codes
    with street.at_work() as (first, second):
        street.pair.open(a)
        until(lambda: first.state.doing == "another process has the node", "giving way")
        before = second.worker.state.rounds
        until(lambda: second.worker.state.rounds > before + 3, "the partner's rounds")
        assert second.worker.state.failures == 0
        leaf, owner = leaf_of(street, b, second)
        heard = ask(
            first.port,
            client(street.pair.folder, [leaf], owner),
            GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        )
        assert heard.data.startswith(b"HTTP/1.1 200")
        street.pair.shut(a)
        first.rounds(1)


def leaf_of(street: Street, code: str, running: Running) -> tuple[x509.Certificate, Ed25519PrivateKey]:
    """The certificate and key that a running node shows."""
    node = running.worker._last
    assert node is not None
    seed = node.keys.key("tls/leaf")
    leaf = x509.load_pem_x509_certificate((street.folder(code) / "tls" / "leaf.pem").read_bytes())
    return leaf, Ed25519PrivateKey.from_private_bytes(seed or b"")


def test_whoever_would_serve_a_node_that_is_served_is_told_so_and_disturbs_nobody(street: Street) -> None:
    """A mistake of the operator's. The one that serves goes on, and nothing was opened or listened on twice."""
    _, b = street.pair.codes
    with street.at_work() as (_, second):
        second.rounds(1)
        made = alone(street, b)
        with pytest.raises(BusyError, match="another process serves this node"):
            serve(made, "", lambda _: None)
        assert made.state.rounds == 0
        second.rounds(2)
        assert second.worker.state.failures == 0


# A partner that is away


def test_a_partner_that_is_away_makes_pauses_grow_and_its_return_ends_that(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as long each time, a quarter of an hour at most, a tenth more or less by chance; then as ever."""
    monkeypatch.setattr(wire, "PAUSE_S", 0.0)
    a, b = street.pair.codes
    with street.at_work(a):
        street.wires[a].partition()
        made = alone(street, b, every_s=10.0)
        try:
            pauses = [rest(made) for _ in range(9)]
            for pause, expected in zip(pauses, [20, 40, 80, 160, 320, 640, 900, 900, 900], strict=True):
                assert expected * 0.9 <= pause <= expected * 1.1
            assert len(set(pauses)) == 9, "nodes that lost each other do not come back in step"
            assert made.state.failures == 9
            assert "refused" in made.state.fault
            assert made.state.last_contact == ""
            street.wires[a].heal()
            assert rest(made) in (10.0, worker.NEWS_S)
            assert (made.state.failures, made.state.fault) == (0, "")
            assert made.state.last_contact
            street.wires[a].partition()
            assert 18 <= rest(made) <= 22, "the next failure is the first again"
        finally:
            made.close()


def alone(street: Street, code: str, *, every_s: float = EVERY_S) -> Worker:
    """A worker in this thread, whose rounds the test asks for."""
    clock = street.pair.clock
    return Worker(
        lambda: Node(street.folder(code), AREAS, in_process, clock=clock, yields=True),
        street.folder(code),
        every_s=every_s,
        stop=threading.Event(),
    )


def rest(made: Worker) -> float:
    """The pause that it would make after one round."""
    return made._round()


def test_a_partner_that_was_away_for_an_hour_finds_all_in_order(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-07: five releases wait while the line is down; once it is up they cross in order, each once."""
    monkeypatch.setattr(wire, "PAUSE_S", 0.0)
    with street.at_work() as (_, b):
        street.level()
        for line in street.wires.values():
            line.partition()
        rids = [street.send(1, first=1 + number) for number in range(5)]
        street.pair.clock.forward(hours=1)
        until(lambda: b.worker.state.failures, "a failure")
        for line in street.wires.values():
            line.heal()
        until(lambda: b.worker.state.opened == 5, "opening")
        street.level()
    street.received(*rids)


@pytest.mark.parametrize("fill", ["disk", pytest.param("files", marks=pytest.mark.slow)])
def test_a_machine_that_is_full_for_a_while_does_not_end_the_worker(street: Street, fill: str) -> None:
    """Threats 19, F-04: nothing can be written, or no file opened; the fault is shown, and later all goes on."""
    with street.at_work() as (_, b):
        street.level()
        rid = street.send()
        kind = resource.RLIMIT_FSIZE if fill == "disk" else resource.RLIMIT_NOFILE
        soft, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (0 if fill == "disk" else 3, hard))
        try:
            before = b.worker.state.rounds
            until(lambda: b.worker.state.rounds > before + 2 or not b.thread.is_alive(), "rounds")
        finally:
            resource.setrlimit(kind, (soft, hard))
        assert b.thread.is_alive()
        until(lambda: b.worker.state.opened == 1, "opening")
        street.level()
        assert b.worker.state.fault == ""
    street.received(rid)


def test_a_release_that_waits_a_day_is_not_refused_because_its_reading_was_interrupted(pair: Pair) -> None:
    """Its key is served at last; a person of ours opens the node at that very moment. It is read later, not refused."""
    cheat = Cheat(pair, pair.a)
    made = cheat.release()
    (cheat.folder / "key" / made.rid).rename(pair.folder / "late")
    pair.b.pull(cheat.publish())
    pair.clock.now += GIVE_UP
    (pair.folder / "late").rename(cheat.folder / "key" / made.rid)

    class Interrupted(type(cheat.tree)):  # type: ignore[misc]
        """A folder whose reading ends at the key."""

        def get(self, path: str, limit: int) -> bytes | None:
            """As over the wire, when the node is wanted."""
            if path.startswith("key/"):
                raise wire.YieldedError("this node is needed for something else")
            found: bytes | None = super().get(path, limit)
            return found

    with contextlib.suppress(wire.YieldedError):
        pair.b.pull(Interrupted(cheat.folder))
    pair.b.pull(cheat.tree)
    assert [outcome for _, outcome in pair.b.db.intents(pair.b.logs[pair.b.partner])] == ["received"]


# What it says of itself


def test_the_state_file_holds_neither_secret_nor_content_nor_a_partners_words(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After releases, faults and a partner that says what it likes: numbers, times, and words of ours."""
    monkeypatch.setattr(wire, "PAUSE_S", 0.0)
    a, b = street.pair.codes
    node = street.pair.open(a)
    telling = [
        as_bytes(indicator(n, name=CANARY, description=CANARY, pattern=f"[domain-name:value = '{CANARY}']"))
        for n in (1, 2)
    ]
    street.pair.release(node, telling)
    street.pair.shut(a)
    written: list[bytes] = []
    with street.at_work() as (first, second):
        until(lambda: second.worker.state.opened == 1, "opening")
        street.level()
        written += [(each.folder / worker.STATE).read_bytes() for each in (first, second)]
    for words in (
        f"HTTP/1.1 200 {CANARY}\r\n\r\n".encode(),
        f"{CANARY} \x1b]0;owned\x07\r\n\r\n".encode(),
        f"HTTP/1.1 404 {CANARY}\r\nx: {CANARY}\r\ncontent-length: 0\r\n\r\n".encode(),
        answer(f"{CANARY}\n1\n\x1b[2J\n\n".encode()),
        answer(CANARY.encode()),
    ):
        with partner_of(street, lambda sock, _, words=words: sock.sendall(words)):  # type: ignore[misc]
            made = alone(street, b)
            made.open()
            made._round()
            made.close()
            assert made.state.failures == 1
            written.append((street.folder(b) / worker.STATE).read_bytes())
    for code in (a, b):
        street.pair.open(code)
    secrets = [CANARY.encode(), b"owned", b"a passphrase of the lab", b"PRIVATE"]
    for each in street.pair.nodes.values():
        names = [row[0] for row in each.keys.raw.execute("SELECT name FROM record_key").fetchall()]
        seeds = [seed for name in names if (seed := each.keys.key(name)) is not None]
        assert len(seeds) > 6
        secrets += [form for seed in seeds for form in (seed, seed.hex().encode(), base64.b64encode(seed).rstrip(b"="))]
    secrets += [signer.seed.hex().encode() for signer in street.pair.template.people.values()]
    for data in written:
        assert not [secret for secret in secrets if secret in data], data
        for value in json.loads(data).values():
            assert isinstance(value, int) or value.replace("\n", "").isprintable()


def test_the_state_file_is_whole_at_any_moment(street: Street) -> None:
    """Whoever looks, however often, reads a whole state of this process."""
    with street.at_work() as workers:
        for each in workers:
            each.worker.every_s = 0.0
            each.rounds(2)
        for _ in range(300):
            for each in workers:
                assert each.state.pid == each.worker.state.pid
                assert each.state.listening == f"https://{HOST}:{each.port}"


def test_no_state_is_there_before_a_worker_ran(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None


def test_a_frozen_node_is_shown_as_frozen_and_goes_on_looking(street: Street) -> None:
    """It signs nothing, says so, and still serves and asks its partner."""
    b = street.pair.codes[1]
    (street.folder(b) / "evidence").mkdir()
    with street.at_work() as (_, second):
        second.rounds(2)
        until(lambda: second.state.doing == "frozen", "being frozen")
        assert second.thread.is_alive()


# Starting and ending


@pytest.mark.parametrize(
    "moment",
    [
        "waiting",
        "dripping",
        "node is elsewhere",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("asked for patience", "partner away")),
    ],
)
def test_it_ends_in_order_whatever_it_is_at_and_leaves_nothing_open(
    street: Street, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Node free, port free, no thread, no file, and the state says that it stopped."""
    monkeypatch.setattr(lock, "TURN_S", 0.1)
    b = street.pair.codes[1]
    gone = threading.Event()

    def script(sock: ssl.SSLSocket, _: bytes) -> None:
        with contextlib.suppress(OSError):
            if moment != "dripping":
                sock.sendall(answer(b"", "429 Too Many Requests", "retry-after: 30"))
                return
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n")
            while not gone.wait(0.02):
                sock.sendall(b"x")

    with contextlib.ExitStack() as stack:
        if moment in ("dripping", "asked for patience"):
            server = stack.enter_context(partner_of(street, script))
        elif moment == "waiting":
            stack.enter_context(street.at_work(street.pair.codes[0]))
        stack.callback(gone.set)
        before = in_use()
        with street.at_work(b) as (made,):
            if moment in ("dripping", "asked for patience"):
                until(lambda: server.heard, "a question")
            elif moment == "waiting":
                made.rounds(2)
            elif moment == "partner away":
                until(lambda: made.worker.state.failures, "a failure")
            else:
                street.pair.open(b)
                until(lambda: made.state.doing == "another process has the node", "giving way")
            port = made.port
        assert made.state.doing == "stopped"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port))
        if moment == "node is elsewhere":
            street.pair.shut(b)
        street.pair.open(b)
        street.pair.shut(b)
        if moment in ("partner away", "node is elsewhere"):
            until(lambda: in_use()[1] <= before[1], "closing files")
        assert made.thread not in threading.enumerate()
        assert "partner" not in {thread.name for thread in in_use()[0] - before[0]}


def test_an_end_before_the_node_could_be_opened_is_an_end(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has the node from the beginning: nothing is served, nothing is taken, and stop is enough."""
    monkeypatch.setattr(lock, "TURN_S", 0.05)
    b = street.pair.codes[1]
    street.pair.open(b)
    made = Running(street.folder(b), street.pair.clock)
    made.thread.start()
    until(lambda: made.worker.state.doing == "another process has the node", "waiting")
    made.end()
    assert made.fault is None
    assert made.said == []
    assert made.worker.listener is None


@pytest.mark.parametrize("wrong", ["not paired", "listen", "port taken"])
def test_what_cannot_be_served_is_said_and_leaves_the_node_free(pair: Pair, wrong: str) -> None:
    """UsageError, no listener, no lock."""
    if wrong != "not paired":
        data = pairing.own_pairing(pair.a, "https://192.0.2.1")
        pairing.accept_pairing(pair.b.folder, pair.b.law.hash, data)
    folder = pair.shut("KOR")
    with socket.create_server((HOST, 0)) as taken:
        listen = {"listen": "nowhere", "port taken": f"{HOST}:{taken.getsockname()[1]}"}.get(wrong, f"{HOST}:0")
        made = Running(folder, pair.clock, listen=listen)
        made.thread.start()
        made.thread.join()
    assert isinstance(made.fault, UsageError)
    pair.open("KOR")


def test_a_worker_without_a_listener_reads_a_partner_on_a_stick(pair: Pair) -> None:
    """No pairing file, no port: the partner's tree is a folder, and the rounds are the same."""
    rid = pair.release(pair.a).rid
    for code in pair.codes:
        pair.shut(code)
    with contextlib.ExitStack() as stack:
        workers = []
        for code in pair.codes:
            stop = threading.Event()
            clock, folder = pair.clock, pair.folder / code
            made = Worker(
                lambda folder=folder, clock=clock: Node(folder, AREAS, in_process, clock=clock, yields=True),  # type: ignore[misc]
                folder,
                every_s=0.02,
                stop=stop,
            )
            thread = threading.Thread(target=serve, args=(made, "", lambda _: None))
            thread.start()
            stack.callback(thread.join)
            stack.callback(stop.set)
            workers.append(made)
        until(lambda: workers[1].state.opened == 1, "opening")
        until(lambda: workers[0].state.acknowledged == workers[0].state.own, "being cosigned")
        until(lambda: workers[0].state.partner == workers[1].state.own, "reading the answer")
    for code in pair.codes:
        pair.open(code)
    assert [[given.outcome for given in fact.answers] for fact in pair.a.side.releases] == [["received"]]
    assert pair.a.side.releases[0].rid == rid


COMMAND = (
    "from entente import keys\nkeys._ARGON2_KIB = 2**5  # as in conftest.py\nfrom entente.cli import main\nmain()\n"
)


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGINT, signal.SIGKILL))],
)
def test_a_serving_process_ends_by_signal_and_its_node_can_be_opened(street: Street, number: signal.Signals) -> None:
    """`entente serve` as a process: asked to end it closes in order; killed it leaves a node that opens."""
    b = street.pair.codes[1]
    folder = street.folder(b)
    settings = setup.read_settings(folder)
    setup.write_settings(folder, msgspec.structs.replace(settings, listen=f"{HOST}:0", poll_seconds=0.05))
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "serve", "--node", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        until(lambda: (found := read_state(folder)) is not None and found.failures, "a round")
        found = read_state(folder)
        assert found is not None
        assert found.pid == process.pid
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == (-number if number == signal.SIGKILL else 0)
    assert err == b""
    assert b"a stranger gets nothing (tried)" in out
    last = read_state(folder)
    assert last is not None
    assert (last.doing == "stopped") == (number != signal.SIGKILL)
    street.pair.open(b)
