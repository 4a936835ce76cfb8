"""ATT&CK from import to the answer back, between two nodes in one process: seconds, and memory at its height.

What is timed: import (the file is read, each object validated, the exact file sealed at rest), propose (screened,
closed over references, frozen), approve by one person for each role, dispatch, the pulls by which it is mirrored,
cosigned, opened, validated again in a child process and stored, the answer, and the pull that brings it back. Making
the two nodes is not counted; there is no TLS, the partner's tree is a folder. The floor does what no design can leave
out: read the file, hash each object, encrypt once, write, wait for the disk.

Processor time is that of the process and its child, for a machine that is busy with other things. Each run is a
process of its own. Memory is what the kernel calls VmHWM and VmRSS, seen from outside: of the process with both
nodes, of the validator's child, and of the two at one moment (pages that both share count twice).
"""

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.measure import Result, Skipped, result, take_turns
from entente.app import AREAS, validate
from entente.keys import SoftSigner
from entente.node import setup
from entente.node.node import Node
from entente.node.propose import Wish
from entente.strict import time_text
from entente.treaty.agreement import parse_agreement
from entente.treaty.marking import MapRow, Marking, MarkingMap

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "intelligence"
BUNDLES = {
    "ics-attack": DATA / "ics-attack-18.1.stix21.json",
    "enterprise-attack": DATA / "enterprise-attack-18.1.stix21.json",
}
AGREEMENT = ROOT / "src" / "entente" / "samples" / "india-korea.toml"
AREA = "intelligence"
STATEMENT = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168"
ROUNDS = 5
LOOK_S = 0.005
PASSPHRASE = b"benchmark"


class Once(msgspec.Struct, frozen=True):
    """What one run says of itself: seconds by verb, processor seconds in all, how many objects came over."""

    verbs: dict[str, float]
    busy_s: float
    objects: int = 0


class Peaks(msgspec.Struct):
    """Megabytes at their height: the process, its child, and both at one moment."""

    process: float = 0
    child: float = 0
    both: float = 0


def run() -> Iterator[Result | Skipped]:
    """Every bundle that is here."""
    for name, path in BUNDLES.items():
        if path.is_file():
            yield from _measured(name, path)
        else:
            yield Skipped(name, f"{path} is not there")


def _measured(name: str, path: Path) -> Iterator[Result]:
    """Seconds in all and by verb, then memory; runs and floors take turns."""
    verbs: defaultdict[str, list[float]] = defaultdict(list)
    busy: list[float] = []
    peaks: list[Peaks] = []

    def ours() -> float:
        once, height = _outside("--once", path)
        if not once.objects:
            raise RuntimeError("nothing came over")
        for verb, seconds in once.verbs.items():
            verbs[verb].append(seconds)
        busy.append(once.busy_s)
        peaks.append(height)
        return sum(once.verbs.values())

    seconds = take_turns(
        {"value": ours, "floor": lambda: sum(_outside("--floor", path)[0].verbs.values())}, rounds=ROUNDS
    )
    yield result(name, "s", seconds["value"], floor=seconds["floor"])
    yield result(f"{name}, processor time", "s", statistics.median(busy[1:]))
    for verb, found in verbs.items():
        yield result(f"{name}, {verb}", "s", statistics.median(found[1:]))
    for what, sizes in (
        ("memory of the process with both nodes", [height.process for height in peaks]),
        ("memory of the validator's child", [height.child for height in peaks]),
        ("memory of both at once", [height.both for height in peaks]),
    ):
        yield result(f"{name}, {what}", "MB", statistics.median(sizes[1:]))


def _outside(mode: str, path: Path) -> tuple[Once, Peaks]:
    """One run in a process of its own, watched until it ends."""
    with tempfile.TemporaryDirectory(prefix="entente-bench-") as folder:
        command = [sys.executable, "-m", "bench.crossing", mode, str(path), folder]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own module
            peaks = Peaks()
            while process.poll() is None:
                look(process.pid, peaks)
                time.sleep(LOOK_S)
            told = process.stdout.read() if process.stdout is not None else b""
        if process.returncode:
            raise RuntimeError(f"{mode} ended with {process.returncode}")
        return msgspec.json.decode(told, type=Once), peaks


def look(pid: int, peaks: Peaks) -> None:
    """Raise the peaks to what the process and its children hold now."""
    with contextlib.suppress(OSError, KeyError):  # it may end while we look
        own = status_of(pid)
        peaks.process = max(peaks.process, own["VmHWM"])
        now = own["VmRSS"]
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError, KeyError):
                held = status_of(int(child))
                peaks.child = max(peaks.child, held["VmHWM"])
                now += held["VmRSS"]
        peaks.both = max(peaks.both, now)


def status_of(pid: int) -> dict[str, float]:
    """The sizes in /proc/PID/status, in megabytes."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().split("\n"))
    return {line[0].rstrip(":"): int(line[1]) * 1024 / 1e6 for line in lines if len(line) == 3 and line[2] == "kB"}


# Inside one run


class _Laps:
    """Seconds by name; those of one name are added up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._before = sum(os.times()[:4])

    @property
    def busy_s(self) -> float:
        """Processor seconds since the first lap could begin, those of ended children with them."""
        return sum(os.times()[:4]) - self._before

    @contextlib.contextmanager
    def lap(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - began


def _once(path: Path, folder: Path) -> Once:
    """Two new nodes, and the bundle's way from one to the other and the answer's way back."""
    sender, receiver, approvers = _nodes(folder)
    laps = _Laps()
    with laps.lap("import"):
        map_id = sender.sign_map(_map(sender), approvers[-1:])
        source = sender.import_file(AREA, path.read_bytes(), place=path.name, map_id=map_id).source
    with laps.lap("propose"):
        draft = sender.propose(source, Wish(f"{sender.party}/author"))
    with laps.lap("approve"):
        for (handle, signer), role in zip(approvers, sender.law.law.areas[AREA].roles or (), strict=True):
            sender.approve(draft.rid, handle, role, signer)
    with laps.lap("dispatch"):
        sender.dispatch([draft.rid])
    with laps.lap("pull"):
        receiver.pull()
        sender.pull()
        opened = receiver.pull().opened
    with laps.lap("answer"):
        receiver.answer()
        sender.pull()
    busy_s = laps.busy_s
    fact = sender.side.release(draft.rid)
    done = fact is not None and sender.state_of(fact) == "received"
    same = len(opened) == 1 and sorted(opened[0].sha256) == sorted(draft.crossing)
    sender.close()
    receiver.close()
    return Once(laps.seconds, busy_s, len(draft.crossing) if done and same else 0)


def _nodes(folder: Path) -> tuple[Node, Node, list[tuple[str, SoftSigner]]]:
    """Two nodes that have each other's first entries; the first one's approvers, one for each role of the area."""
    authorities = {code: SoftSigner.generate() for code in _codes()}
    data = setup.with_authorities(AGREEMENT.read_bytes(), {code: own.public for code, own in authorities.items()})
    envelope = setup.sign_agreement(data, list(authorities.values()))
    nodes: list[Node] = []
    approvers: list[tuple[str, SoftSigner]] = []
    for place, (code, authority) in enumerate(authorities.items()):
        other = _codes()[1 - place]
        setup.create(folder / code, setup.Settings(code, partner_tree=f"../{other}/served"), PASSPHRASE)
        node = Node(folder / code, AREAS, validate, passphrase=PASSPHRASE)
        setup.found(node, data, envelope, authority)
        persons = _persons(node, authority)
        approvers = approvers or persons
        nodes.append(node)
    for node, partner in zip(nodes, reversed(nodes), strict=True):
        node.partner_genesis = setup.genesis_hash(partner)
    for node in nodes:
        node.pull()
    return nodes[0], nodes[1], approvers


def _codes() -> tuple[str, str]:
    return parse_agreement(AGREEMENT.read_bytes()).law.parties


def _persons(node: Node, authority: SoftSigner) -> list[tuple[str, SoftSigner]]:
    """An author and an approver for each role are certified, and the party's assurance given; returns the approvers."""
    law = node.law.law
    terms = law.areas[AREA]
    roles = terms.roles or ()
    ceiling = (terms.ceiling or {})[node.party]
    until = time_text(node.clock() + timedelta(days=365))
    signers = {name: SoftSigner.generate() for name in ("author", *roles)}
    drafts = [
        setup.certify(
            node, authority, handle=f"{node.party}/{name}", national_id=name, key=signer.public,
            roles=sorted({roles[0] if name == "author" else name, law.acts.roles.map}), areas=[AREA], ceiling=ceiling,
            until=until,
        )
        for name, signer in signers.items()
    ]  # fmt: skip
    node.append([*drafts, setup.assure(node, authority, level=ceiling, areas=[AREA], until=until)])
    return [(f"{node.party}/{name}", signers[name]) for name in roles]


def _map(node: Node) -> MarkingMap:
    """MITRE's statement, and what bears no marking at all, are of the lowest level."""
    law = node.law
    purpose = (law.law.areas[AREA].purposes or ("",))[0]
    plain = Marking((), law.law.party[node.party].levels[0], node.party, purpose, tuple(sorted(law.law.parties)))
    return MarkingMap(law.hash, AREA, (MapRow(STATEMENT, plain),), plain)


def _floor(path: Path, folder: Path) -> Once:
    """The same bytes, read, hashed object by object, encrypted once, written, and on the disk."""
    laps = _Laps()
    with laps.lap("floor"):
        data = path.read_bytes()
        bundle = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        objects = msgspec.json.decode(bundle["objects"], type=list[msgspec.Raw])
        for one in objects:
            hashlib.sha256(one).digest()
        with (folder / "sealed").open("wb") as file:
            file.write(AESGCM(os.urandom(32)).encrypt(os.urandom(12), data, None))
            file.flush()
            os.fsync(file.fileno())
    return Once(laps.seconds, laps.busy_s, len(objects))


def main() -> None:
    """One run or one floor, for the process that watches."""
    modes: dict[str, Callable[[Path, Path], Once]] = {"once": _once, "floor": _floor}
    parser = argparse.ArgumentParser()
    for mode in modes:
        parser.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode)
    parser.add_argument("path", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    sys.stdout.write(json.dumps(msgspec.to_builtins(modes[given.mode](given.path, given.folder))))


if __name__ == "__main__":
    main()
