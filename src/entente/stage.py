"""The demo's stage: each party's node as a process of its own, and between them a wire that can be cut.

The demo itself is then a person at the keyboard: it opens a node for as long as it has something to do there, and the
process gives way. What a process is at, it says in its `worker.json`.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from entente.bad_wire import Fault, Scripted, Wire
from entente.cast import Side
from entente.errors import StateError
from entente.node.pair import accept_pairing, own_pairing
from entente.node.setup import read_settings, write_settings
from entente.node.worker import State, read_state

HOST = "127.0.0.1"
POLL_S = 0.2
PATIENCE_S = 120.0
LOOK_S = 0.02


class Server:
    """One party's node as a process: it serves its partner and works until `stop`."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder, self.log = folder, log
        with log.open("wb") as out:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "entente", "serve", "--node", str(folder)], stdout=out, stderr=out
            )

    @property
    def state(self) -> State | None:
        """What the process last said of itself."""
        found = read_state(self.folder)
        return found if found is not None and found.pid == self.process.pid else None

    def wait(self, ready: Callable[[State], bool], what: str) -> State:
        """The state once it is as wanted; StateError if the process ends, or does not get there in two minutes."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            state = self.state
            if state is not None and ready(state):
                return state
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise StateError(f"the node did not get as far as this: {what}", place=str(self.folder), remedy=said)
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """The process has closed everything and ended."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


class Stage:
    """Both nodes as processes, paired over mutual TLS; the receiver reads the sender through `wire`.

    `webs` is where each serves its own persons and their tools.
    """

    def __init__(self, folder: Path, sender: Side, receiver: Side) -> None:
        """The nodes, open here and not yet paired, know each other by their pairing files."""
        self.folder = folder
        self.sides = {side.code: side for side in (sender, receiver)}
        self.receiver = receiver.code
        self.servers: dict[str, Server] = {}
        first, second, third, fourth = _free_ports(4)
        self.ports = dict(zip(self.sides, (first, second), strict=True))
        webs = dict(zip(self.sides, (third, fourth), strict=True))
        self.webs = {code: f"http://{HOST}:{port}" for code, port in webs.items()}
        self._from = 0
        self.wire = Wire(self.ports[sender.code])
        self.wire.__enter__()
        self.urls = {code: f"https://{HOST}:{port}" for code, port in self.ports.items()}
        for side, other in ((sender, receiver), (receiver, sender)):
            data = own_pairing(side.node, self.urls[side.code])
            (folder / f"{side.code}.pairing.json").write_bytes(data)
            accept_pairing(other.node.folder, other.node.law.hash, data)
        for code, side in self.sides.items():
            self._set(side, listen=f"{HOST}:{self.ports[code]}", web=f"{HOST}:{webs[code]}", poll_seconds=POLL_S)
        self._set(receiver, partner_url=f"https://{HOST}:{self.wire.port}")

    def write_index(self) -> None:
        """`demo.json` names these places too."""
        write_index(self.folder, self.sides, self.urls, self.webs)

    def start(self) -> None:
        """Both processes serve and have reached each other; the nodes must be closed here."""
        for code in self.sides:
            self.serve(code)
        for server in self.servers.values():
            server.wait(lambda state: bool(state.last_contact), "reach the partner")

    def serve(self, code: str) -> None:
        """The process of one party is up and listens; its node must be closed here."""
        server = self.servers[code] = Server(self.sides[code].node.folder, self.folder / f"serve-{code}.log")
        server.wait(lambda state: bool(state.listening and state.web), "listen")

    @contextmanager
    def away(self, code: str) -> Iterator[Callable[[Path], None]]:
        """The process of one party is down, and its node.db can be swapped for another; in the end it is as it was."""
        place, kept = self.sides[code].node.folder / "node.db", self.folder / "kept-node.db"

        def swap(other: Path) -> None:
            for name in (f"{place}-wal", f"{place}-shm"):
                Path(name).unlink(missing_ok=True)
            shutil.copyfile(other, place)

        self.servers[code].stop()
        shutil.copyfile(place, kept)
        try:
            yield swap
        finally:
            swap(kept)
            kept.unlink()
        self.serve(code)

    def meet(self, fault: Fault) -> None:
        """The receiver's connection is broken off, and the next one meets the fault."""
        self.wire.partition()
        self.wire.plan = Scripted([fault])
        self._from = len(self.wire.log)
        self.wire.heal()

    def struck(self) -> bool:
        """Whether the last fault set has happened."""
        return any(deed.struck for deed in self.wire.log[self._from :])

    def level(self) -> None:
        """Each process holds all that the other has, and knows that all of its own is cosigned."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            first, second = (server.state for server in self.servers.values())
            if first is not None and second is not None and _level(first, second) and _level(second, first):
                return
            time.sleep(LOOK_S)
        raise StateError("the two nodes did not become level", place=str(self.folder), remedy="See serve-*.log there.")

    def stop(self) -> None:
        """Both processes have ended; from now on each node reads the other's tree as the folder that it is."""
        for server in self.servers.values():
            server.stop()
        self.wire.__exit__(None, None, None)
        for code, side in self.sides.items():
            (other,) = (name for name in self.sides if name != code)
            self._set(side, partner_url=self.urls[other], partner_tree=f"../{other}/served")

    @staticmethod
    def _set(side: Side, **changes: object) -> None:
        settings = msgspec.structs.replace(read_settings(side.node.folder), **changes)
        write_settings(side.node.folder, settings)
        side.node.settings = settings


def write_index(
    folder: Path, sides: Mapping[str, Side], urls: Mapping[str, str] = {}, webs: Mapping[str, str] = {}
) -> None:
    """`demo.json`: where the nodes are, at which address the partner reads them, and who may sign in where."""
    index = {}
    for code, side in sides.items():
        author, web = side.people[0], f"{webs[code]}/" if code in webs else ""
        index[code] = {
            "dir": str(folder / code),
            "partner_url": urls.get(code, ""),
            "password": author.password,
            "taxii": web and f"{web}taxii2/",
            "user": author.user,
            "users": [msgspec.to_builtins(person) for person in side.people],
            "web": web,
        }
    path = folder / "demo.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(index, indent=2) + "\n")


def _level(state: State, partner: State) -> bool:
    return state.own == state.acknowledged == partner.partner and not state.waiting


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has now."""
    held = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports
