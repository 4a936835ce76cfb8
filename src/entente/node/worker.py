"""The worker: pull, verify, cosign, open, answer, again and again, and give way whenever somebody needs the node.

A round without news writes nothing but the worker's own state. A fault is shown there, and the pause before the next
round grows; a partner that is away is no fault of ours, and the pause ends growing when it is back.
"""

import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from entente.errors import BusyError, EntenteError, StoreError
from entente.node.lock import sole_worker
from entente.node.node import Node
from entente.node.wire import WireTree, YieldedError
from entente.strict import read_own, time_text

if TYPE_CHECKING:
    from entente.node.serve_partner import Listener
    from entente.node.served import Reader

STATE = "worker.json"
LONGEST_S = 900.0
DOUBLINGS = 10
NEWS_S = 1.0  # after news there is soon more: keys follow cosignatures, answers follow keys
LOOK_S = 0.05
GUEST_S = 60.0
HOLD_S = 0.5  # who has the node gets something done, however many stand in line
_FAULTS = (EntenteError, OSError)  # a full disk among them: it ends no worker


class State(msgspec.Struct):
    """What the worker is at, as `status` shows it; sizes are numbers of entries, `*_faults` and so on are totals."""

    pid: int
    doing: str = "starting"
    listening: str = ""
    web: str = ""
    since: str = ""
    last_contact: str = ""
    failures: int = 0
    fault: str = ""
    rounds: int = 0
    own: int = 0
    acknowledged: int = 0
    partner: int = 0
    released: int = 0
    answered: int = 0
    waiting: int = 0
    opened: int = 0
    refused: int = 0
    wire_faults: int = 0
    last_wire_fault: str = ""
    turned_away: int = 0


def read_state(folder: Path) -> State | None:
    """What the worker last wrote, or None if none ever ran here."""
    try:
        return read_own((folder / STATE).read_bytes(), State, place=str(folder / STATE))
    except FileNotFoundError:
        return None


class Worker:
    """Rounds on one node until `stop` is set. `open_node` opens it to yield."""

    def __init__(self, open_node: Callable[[], Node], folder: Path, *, every_s: float, stop: threading.Event) -> None:
        self.folder, self.every_s, self.stop = folder, every_s, stop
        self.state = State(os.getpid(), since=time_text(datetime.now(UTC)))
        self.listener: Listener | None = None
        self._open_node = open_node
        self._node: Node | None = None
        self._opened_s = 0.0
        self._last: Node | None = None
        self._tree: Reader | None = None
        self._unsure = False  # whether what the node has in memory may not be what its stores say
        self._chance = random.Random()  # noqa: S311 - spreads polls in time, no secret
        self._held = threading.Lock()  # by whichever thread of this process works on the node
        self._guests = 0  # threads that wait for it, or have it; each changes it under `_counted`
        self._counted = threading.Lock()
        self._news = threading.Event()

    def is_partner_leaf(self, key: str) -> bool:
        """Whether a TLS leaf key is the partner's, as the node last knew; also while another process has the node."""
        return self._last is not None and self._last.is_partner_leaf(key)

    def open(self, patience_s: float = math.inf) -> Node | None:
        """The node, opened if it was not, anew after a store failed; None if `stop` was set before it could be had.

        Raises: BusyError if another process still has it after so many seconds.
        """
        if self._unsure:
            self.close()
            self._unsure = False
        deadline = time.monotonic() + patience_s
        while self._node is None and not self.stop.is_set():
            try:
                self._node = self._last = self._open_node()
                self._opened_s = time.monotonic()
            except BusyError:
                self._show("another process has the node")
                if time.monotonic() > deadline:
                    raise
        return self._node

    @contextmanager
    def using(self, *, news: bool = False) -> Iterator[Node]:
        """The node, for another thread of this process; the rounds wait meanwhile, but never for long.

        Args: `news`: a round follows at once, because something may be due.
        Raises: BusyError if this process is about to end, or if another keeps the node for long.
        """
        with self._counted:
            self._guests += 1
        try:
            if not self._held.acquire(timeout=GUEST_S):
                raise BusyError("the node is at work", place=str(self.folder), remedy="Try again in a moment.")
            try:
                node = self.open(GUEST_S)
                if node is None:
                    raise BusyError("this process ends", place=str(self.folder), remedy="Try again in a moment.")
                yield node
            except (StoreError, OSError):
                self._unsure = True
                raise
            finally:
                self._held.release()
        finally:
            with self._counted:
                self._guests -= 1
            if news:
                self._news.set()

    def run(self) -> None:
        """Round after round; returns once `stop` is set and the node is closed."""
        try:
            while not self.stop.is_set():
                patience = time.monotonic() + HOLD_S
                while self._guests and not self.stop.is_set() and time.monotonic() < patience:
                    time.sleep(LOOK_S / 10)
                self._news.clear()
                with self._held:
                    pause_s = self._round()
                self._rest(pause_s)
        finally:
            self.close()
            self._show("stopped")

    def close(self) -> None:
        """The node is closed and the connection to the partner ended."""
        if self._tree is not None:
            self._note_wire()
            self._tree.close()
            self._tree = None
        if self._node is not None:
            self._node.close()
            self._node = None

    def _round(self) -> float:
        """One look at the partner; returns the seconds until the next."""
        self.state.rounds += 1
        try:
            pause_s = self._look()
        except YieldedError:
            pause_s = 0.0
        except _FAULTS as fault:
            pause_s = self._failed(fault)
        with suppress(*_FAULTS):
            self._count()
        return pause_s

    def _look(self) -> float:
        node = self.open()
        if node is None:
            return 0.0
        self._show("pulling")
        if self._tree is None:
            self._tree = node.partner_tree(self._interrupted)
        done = node.sync(self._tree)
        state = self.state
        state.failures, state.fault = 0, ""
        state.last_contact = node.now()
        got = done.pulled
        state.opened += len(got.opened)
        state.refused += len(got.refused)
        state.waiting = len(got.waiting)
        return min(self.every_s, NEWS_S) if got.entries or got.opened or got.refused else self.every_s

    def _failed(self, fault: EntenteError | OSError) -> float:
        state = self.state
        state.failures += 1
        state.fault = fault.explain() if isinstance(fault, EntenteError) else str(fault)
        self._unsure = isinstance(fault, StoreError | OSError)
        longest = min(self.every_s * 2.0 ** min(state.failures, DOUBLINGS), LONGEST_S)
        return max(self.every_s, longest) * self._chance.uniform(0.9, 1.1)

    def _count(self) -> None:
        node, state = self._node, self.state
        if node is not None and node.trees:
            if (state.own, state.partner) != (node.side.size, node.other_side.size):
                state.released = len(node.side.releases)
                state.answered = sum(1 for fact in node.side.releases if fact.answers)
            state.own, state.partner = node.side.size, node.other_side.size
            state.acknowledged = node.acknowledged()
        self._note_wire()

    def _note_wire(self) -> None:
        if isinstance(self._tree, WireTree) and self._tree.faults:
            self.state.wire_faults += len(self._tree.faults)
            self.state.last_wire_fault = self._tree.faults[-1]
            self._tree.faults.clear()

    def _interrupted(self) -> bool:
        due = time.monotonic() - self._opened_s >= HOLD_S
        return self.stop.is_set() or (due and (self._guests > 0 or self._wanted()))

    def _wanted(self) -> bool:
        with suppress(OSError):
            return self._node is not None and self._node.wanted()
        return False

    def _rest(self, pause_s: float) -> None:
        """Wait, and close the node as soon as another process wants it: `open` queues up behind it."""
        self._show("frozen" if self._node is not None and self._node.frozen else "waiting")
        left = pause_s
        while not self.stop.is_set():
            if self._wanted():
                self._give_way()
            if left <= 0 or self._news.is_set():
                return
            self.stop.wait(min(left, LOOK_S))
            left -= LOOK_S

    def _give_way(self) -> None:
        with self._held:
            try:
                self.close()
            except _FAULTS as fault:  # what is left to write is written, and the node given, once there is room
                self._failed(fault)

    def _show(self, doing: str) -> None:
        """The state is in its file, for `status` and for whoever watches this node."""
        self.state.doing = doing
        if self.listener is not None:
            self.state.turned_away = self.listener.turned_away
        draft = self.folder / f"{STATE}.new"
        with suppress(OSError):  # it is shown once there is room
            draft.write_bytes(msgspec.json.encode(self.state))
            draft.rename(self.folder / STATE)


class Door(Protocol):
    """Another listener of this process, such as the one for this party's own persons."""

    url: str

    def start(self) -> None:
        """It serves."""

    def stop(self) -> None:
        """It serves no more, and all that it had open is closed."""


def serve(
    worker: Worker, listen: str, say: Callable[[str], object], open_door: Callable[[Node], Door] | None = None
) -> None:
    """The node is served to the partner and worked on until `worker.stop` is set; then all is closed, in order.

    Args: `open_door`: makes another listener, which is served beside.
    Raises: UsageError (not paired, or nowhere to listen), StateError (the listener answered a stranger), BusyError
    (another process serves this node).
    """
    with sole_worker(worker.folder):
        _serve(worker, listen, say, open_door)


def _serve(worker: Worker, listen: str, say: Callable[[str], object], open_door: Callable[[Node], Door] | None) -> None:
    from entente.node.listening import split_address  # noqa: PLC0415
    from entente.node.serve_partner import Listener  # noqa: PLC0415 - a tenth of a second that no other verb should pay

    node = worker.open()
    if node is None:
        return
    door = None
    try:
        if listen:
            host, port = split_address(listen)
            worker.listener = Listener(
                node.folder / "served", node.tls_context(server=True), worker.is_partner_leaf, host=host, port=port
            )
            worker.listener.start()
            worker.state.listening = worker.listener.url
            say(f"{node.party} serves its partner at {worker.listener.url}; a stranger gets nothing (tried)")
        if open_door is not None:
            door = open_door(node)
            door.start()
            worker.state.web = door.url
            say(f"{node.party} serves its own persons and their tools at {door.url}")
        say(f"{node.party} looks at its partner's tree every {worker.every_s:g} s; end with Ctrl-C")
        worker.run()
    finally:
        try:
            if door is not None:
                door.stop()
            worker.close()
        finally:
            if worker.listener is not None:
                worker.listener.stop()
