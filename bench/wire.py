"""Two nodes as two processes over mutual TLS on loopback: a large bundle, small releases, a register of a million.

The nodes are those of the demo, each served by a process of its own that looks at the other every 0.2 s and at once
after news. What is timed for the bundle: import, propose, approve, dispatch, until the sender's own register shows the
answer. For the small releases: from dispatch (all are approved by then; one object each) until the sender shows the
last answer. Memory is VmHWM of each serving process, its validator's child apart.

The register holds answers of 340 bytes, the cheapest valid entries there are; each round a receiver that has nothing
yet runs `entente pull` as a process (its start of about half a second is in the figure): tiles, bundles, hashes, the
fold, one cosignature, the mirror published. The floor reads the same bundles from the disk, hashes the leaves and the
tree, and stores them in one file.
"""

import contextlib
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench.crossing import BUNDLES, Peaks, look, status_of
from bench.measure import Result, Skipped, rates, result, take_turns
from entente.cast import AUTHOR_AND_APPROVERS, SAMPLES, Side, area_for, make_side, marking_map
from entente.crossing.seal import SEALED_CHUNK, seal, unseal
from entente.keys import SoftSigner
from entente.node import setup
from entente.node.import_ import file_data
from entente.node.ledger import Draft
from entente.node.node import Node
from entente.node.propose import Wish
from entente.node.served import Reader
from entente.register.tiles import split
from entente.register.tree import Tree, leaf_hashes
from entente.stage import Stage
from entente.treaty.agreement import parse_agreement
from entente.treaty.marking import Marking
from entente.treaty.record import pieces, sha256_of

ROUNDS = 5
SMALL = 1000
PAYLOAD = 1_000_000_000
READS = 1000
LONG, BATCH = 1_000_000, 8192
AGREEMENT = SAMPLES / "india-korea.toml"


def run() -> Iterator[Result | Skipped]:
    """The bundle, then the small releases."""
    path = BUNDLES["enterprise-attack"]
    if path.is_file():
        yield from _bundle(path)
    else:
        yield Skipped("enterprise-attack over TLS", f"{path} is not there")
    yield from _small()
    yield from _register()


def _bundle(path: Path) -> Iterator[Result]:
    seconds, memory = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="entente-bench-") as folder:
            stage = _stage(Path(folder))
            sender, _ = stage.sides.values()
            began = time.perf_counter()
            with sender.at_desk() as node:
                rid = _approved(sender, node, path.read_bytes(), map_of(sender, node))
                node.dispatch([rid])
            _wait_answers(stage, 1)
            seconds.append(time.perf_counter() - began)
            memory.append([status_of(server.process.pid)["VmHWM"] for server in stage.servers.values()])
            stage.stop()
    yield result("enterprise-attack over TLS, import to the answer back", "s", statistics.median(seconds))
    for place, what in enumerate(("sender's", "receiver's")):
        yield result(f"memory of the {what} process", "MB", statistics.median(each[place] for each in memory))


def _small() -> Iterator[Result]:
    rates, waits = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="entente-bench-") as folder:
            stage = _stage(Path(folder))
            sender, _ = stage.sides.values()
            with sender.at_desk() as node:
                map_id = map_of(sender, node)
                rids = [_approved(sender, node, _one(n), map_id) for n in range(SMALL)]
                began = time.perf_counter()
                node.dispatch(rids)
            waits.append(time.perf_counter() - began)
            _wait_answers(stage, SMALL)
            rates.append(SMALL / (time.perf_counter() - began))
            stage.stop()
    yield result(f"{SMALL} small releases, dispatched to received", "releases/s", statistics.median(rates))
    yield result(f"{SMALL} small releases, the dispatch alone", "s", statistics.median(waits))


def long_payload() -> Iterator[Result]:
    """A document of 10^9 bytes from a file to the answer back, once: it takes long, and memory is what is asked."""
    with tempfile.TemporaryDirectory(prefix="entente-bench-") as name:
        folder = Path(name)
        file = folder / "recording.bin"
        _write_noise(file, PAYLOAD)
        floor = _seal_and_open(file, folder / "floor.bin")
        stage = _stage(folder)
        sender, receiver = stage.sides.values()
        with sender.at_desk() as node:
            map_id = map_of(sender, node, "documents")
            place = str(node.folder)
        author, *others = (f"{sender.code}/{person.user}" for person in sender.people)
        desk, peaks = Peaks(), {code: Peaks() for code in stage.servers}
        began = time.perf_counter()
        title = ("--title", "en=Recording", "--language", "zxx", "--kind", "data", "--map", map_id)
        source = _verb(desk, "document", "import", str(file), *title, "--node", place)["source"]
        rid = str(_verb(desk, "propose", str(source), "--author", author, "--node", place)["rid"])
        for number, (handle, person) in enumerate(zip(others, sender.people[1:], strict=True)):
            secret = folder / f"password-{number}"
            secret.write_text(person.password)
            told = ("--as", handle, "--role", person.roles[0], "--password-file", str(secret))
            _verb(desk, "approve", rid, *told, "--node", place)
        _verb(desk, "dispatch", rid, "--yes", "--node", place)
        left = time.perf_counter()
        while (state := stage.servers[sender.code].state) is None or state.answered < 1:
            for code, server in stage.servers.items():
                look(server.process.pid, peaks[code])
            time.sleep(0.05)
        done = time.perf_counter()
        stage.stop()
        with receiver.at_desk() as node:
            (held,) = node.documents(rid)
            if held.sheet.sha256 != sha256_of(file_data(file)):
                raise RuntimeError("another document arrived")
    yield result(f"a document of {PAYLOAD} bytes, file to the answer back", "s", done - began, floor=floor)
    yield result("the same, from dispatched to the answer", "s", done - left)
    yield result("the same, largest verb at the sender's desk", "MB", desk.process)
    yield result("the same, sender's process", "MB", peaks[sender.code].process)
    yield result("the same, receiver's process", "MB", peaks[receiver.code].process)
    yield result("the same, receiver and its validator's child at once", "MB", peaks[receiver.code].both)


def while_sealing(path: Path) -> Iterator[Result | Skipped]:
    """How long the partner waits for a file while the sender imports and seals a large bundle, and while it rests."""
    if not path.is_file():
        yield Skipped("p95 of a read while a large bundle is sealed", f"{path} is not there")
        return
    with tempfile.TemporaryDirectory(prefix="entente-bench-") as name:
        stage = _stage(Path(name))
        sender, receiver = stage.sides.values()
        with sender.at_desk() as node:
            map_id, place = map_of(sender, node), str(node.folder)
        author = f"{sender.code}/{sender.people[0].user}"
        with receiver.at_desk() as node:
            tree = node.partner_tree()
            calm = _reads(tree, lambda: False, at_least=READS)

            def seal_it() -> None:
                source = _verb(Peaks(), "import", str(path), "--map", map_id, "--node", place)["source"]
                _verb(Peaks(), "propose", str(source), "--author", author, "--node", place)

            sealing = threading.Thread(target=seal_it)
            sealing.start()
            busy = _reads(tree, sealing.is_alive, at_least=READS)
            sealing.join()
            tree.close()
        stage.stop()
        with sender.at_desk() as node:
            if not node.db.drafts():
                raise RuntimeError("the bundle was not sealed")
    yield result("p95 of a read while a large bundle is imported and sealed", "ms", busy, floor=calm)


def _reads(tree: Reader, more: Callable[[], bool], *, at_least: int) -> float:
    """The 95th percentile of the milliseconds that reading a small file takes, every 2 ms."""
    spent: list[float] = []
    while len(spent) < at_least or more():
        began = time.perf_counter()
        tree.get("own/checkpoint", 4096)
        spent.append(1000 * (time.perf_counter() - began))
        time.sleep(0.002)
    return statistics.quantiles(spent, n=20)[-1]


def _write_noise(path: Path, size: int) -> None:
    """A file of noise that begins like nothing known."""
    block = os.urandom(1 << 20)
    with path.open("wb") as out:
        while left := size - out.tell():
            out.write((out.tell().to_bytes(8, "little") + block)[: min(left, len(block))])


def _seal_and_open(path: Path, sealed: Path) -> float:
    """Seconds to hash, encrypt and store a file, and to read, decrypt and hash it again."""
    began, dek = time.perf_counter(), bytes(32)
    data, digest = file_data(path), hashlib.sha256()
    with sealed.open("wb") as out:
        blob = seal(pieces(data), dek, out.write)
        os.fsync(out.fileno())
    with sealed.open("rb") as file:
        for piece in unseal(iter(lambda: file.read(SEALED_CHUNK), b""), len(blob.leaves), dek):
            digest.update(piece)
    if digest.hexdigest() != sha256_of(data):
        raise RuntimeError("the floor is broken")
    return time.perf_counter() - began


def _verb(peaks: Peaks, *words: str) -> dict[str, object]:
    """What a verb of the command line says, watched while it runs."""
    command = [sys.executable, "-m", "entente", *words, "--json"]
    with tempfile.TemporaryFile() as out:  # no pipe: what it says may be long, and nobody reads it meanwhile
        with subprocess.Popen(command, stdout=out) as process:  # noqa: S603 - our own module
            while process.poll() is None:
                look(process.pid, peaks)
                time.sleep(0.01)
        out.seek(0)
        told = out.read()
    if process.returncode:
        raise RuntimeError(f"{words[0]} ended with {process.returncode}")
    found = json.loads(told)
    return found if isinstance(found, dict) else {"rows": found}


def _register() -> Iterator[Result]:
    """One sender with a long register; each round a receiver that has not begun."""
    with tempfile.TemporaryDirectory(prefix="entente-bench-") as name:
        folder = Path(name)
        sides = sides_of(folder)
        node = sides[0].node
        origin = node.other_side.origin
        for first in range(0, LONG, BATCH):
            spans = ([n, n + 1] for n in range(first, min(first + BATCH, LONG)))
            named = ({"origin": origin, "spans": [span]} for span in spans)
            node.append(Draft("answer", {"outcome": "received", "re": each, "witnesses": []}) for each in named)
        stage = Stage(folder, *sides)
        for side in sides:
            side.node.close()
        stage.serve(sides[0].code)
        begun = folder / "begun"
        shutil.copytree(sides[1].node.folder, begun)
        bundles = node.folder / "served" / "own" / "tile" / "entries"
        paths = sorted(path for path in bundles.rglob("*") if path.is_file())
        size = sum(path.stat().st_size for path in paths) / 1e6
        heights: list[float] = []

        def ours() -> float:
            place = folder / "receiver"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(begun, place)
            began = time.perf_counter()
            command = [sys.executable, "-m", "entente", "pull", "--node", str(place)]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own module
                peak = 0.0
                while process.poll() is None:
                    with contextlib.suppress(OSError, KeyError):
                        peak = status_of(process.pid)["VmHWM"]
                    time.sleep(0.01)
            if process.returncode:
                raise RuntimeError("the pull failed")
            heights.append(peak)
            return time.perf_counter() - began

        def floor() -> float:
            began = time.perf_counter()
            tree = Tree()
            with (folder / "floor").open("wb") as file:
                for path in paths:
                    data = path.read_bytes()
                    width = int(path.name) if path.parent.suffix == ".p" else 256
                    tree.append(leaf_hashes(split(data, width)))
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
            return time.perf_counter() - began

        seconds = take_turns({"value": ours, "floor": floor}, rounds=ROUNDS)
        stage.stop()
        yield rates(f"pulling a register of {LONG} entries", "entries/s", LONG, seconds)
        yield result("the same", "MB/s", size / seconds["value"], floor=size / seconds["floor"])
        yield result("memory of the pulling process", "MB", statistics.median(heights[1:]))


def _stage(folder: Path) -> Stage:
    """Both nodes founded, paired, served, level."""
    sides = sides_of(folder)
    stage = Stage(folder, *sides)
    for side in sides:
        side.node.close()
    stage.start()
    stage.level()
    return stage


def sides_of(folder: Path) -> list[Side]:
    """Both nodes founded and open."""
    raw = AGREEMENT.read_bytes()
    law = parse_agreement(raw).law
    authorities = {code: SoftSigner.generate() for code in law.parties}
    data = setup.with_authorities(raw, {code: own.public for code, own in authorities.items()})
    envelope = setup.sign_agreement(data, list(authorities.values()))
    return [
        make_side(folder, law, code, names, authorities[code], data=data, envelope=envelope)
        for code, names in zip(law.parties, AUTHOR_AND_APPROVERS, strict=True)
    ]


_signers: dict[str, SoftSigner] = {}


def _signer(side: Side, number: int) -> SoftSigner:
    """A person's signer, unlocked once: what a password costs is not what is measured."""
    person = side.people[number]
    if person.password not in _signers:
        _signers[person.password] = side.signer(person)
    return _signers[person.password]


def map_of(side: Side, node: Node, area: str = "") -> str:
    """The id of a marking map that the side's persons have signed: everything is of the lowest level."""
    law = node.law.law
    found = marking_map(side, default=True)
    if area and isinstance(found.default, Marking):
        plain = msgspec.structs.replace(found.default, purpose=(law.areas[area].purposes or ("",))[0])
        found = msgspec.structs.replace(found, area=area, rows=(), default=plain)
    mappers = [n for n, person in enumerate(side.people) if n and law.acts.roles.map in person.roles]
    signers = [(f"{side.code}/{side.people[n].user}", _signer(side, n)) for n in mappers[: law.acts.signers.map]]
    return node.sign_map(found, signers)


def _approved(side: Side, node: Node, data: bytes, map_id: str) -> str:
    """The draft of a bundle, approved."""
    source = node.import_file(area_for(node.law.law), data, place="bench.json", map_id=map_id).source
    draft = node.propose(source, Wish(f"{side.code}/{side.people[0].user}"))
    roles = node.law.law.areas[draft.core.area].roles or ()
    for number, role in enumerate(roles, 1):
        node.approve(draft.rid, f"{side.code}/{side.people[number].user}", role, _signer(side, number))
    return draft.rid


def _one(number: int) -> bytes:
    """A bundle of one indicator."""
    name = f"00000000-0000-4000-8000-{number:012d}"
    item = {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{name}", "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z", "name": f"address {number}", "pattern_type": "stix",
        "pattern": f"[ipv4-addr:value = '192.0.2.{number % 256}']", "valid_from": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return json.dumps({"type": "bundle", "id": f"bundle--{name}", "objects": [item]}).encode()


def _wait_answers(stage: Stage, count: int) -> None:
    """The sender's process has seen this many releases answered: its state tells how many wait for an answer."""
    server = next(iter(stage.servers.values()))
    server.wait(lambda state: state.answered >= count, f"{count} answers")
