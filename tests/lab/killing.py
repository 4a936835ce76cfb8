"""Killing: two workers in processes of their own, what watches them, and what must hold when they have come to rest.

Each process is forked from one that has loaded everything, so that starting again costs next to nothing; nothing of a
node is open in that one, so what is killed and what comes after share no state but the disk.
"""

import importlib.util
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Self

import pytest

from entente.account.acts import Release, parse_body
from entente.node.held import read_release
from entente.node.node import Node
from entente.node.propose import check_draft
from entente.node.verify import verify_folders
from entente.register.checkpoint import parse_text
from entente.register.entry import parse_entry
from entente.register.note import parse
from entente.treaty.record import whole
from lab import worker
from lab.worker import open_node

ROOT = Path(__file__).resolve().parents[2]
SENDER, RECEIVER = "IND", "KOR"
PARTIES = (SENDER, RECEIVER)
KILLED_WHILE_OPENING = 0.2
DRAIN_S = 120


def load_script() -> ModuleType:
    """verify.py as a module."""
    spec = importlib.util.spec_from_file_location("verify_script", ROOT / "verify.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def tell(text: str) -> None:
    """A line for whoever reads the output of a test that failed, or asked for it by -s."""
    sys.stdout.write(f"{text}\n")


# The processes that get killed


class Worker:
    """A worker process of one party, started again each time it is killed."""

    def __init__(self, folder: Path, party: str) -> None:
        self.folder, self.party = folder, party
        self._make = multiprocessing.get_context("forkserver")
        self._make.set_forkserver_preload(["__main__", "lab.worker"])
        self.start()

    def start(self) -> None:
        """A new process works on the node."""
        self.process = self._make.Process(target=worker.run, args=(self.party, self.folder), daemon=True)
        self.process.start()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; it must not have ended by itself."""
        assert self.process.is_alive(), self.errors()
        self.end()

    def end(self) -> None:
        """It is gone, whatever it was at."""
        self.process.kill()
        self.process.join()

    def finish(self, within_s: float) -> None:
        """It has come to its own end, and had nothing to complain of."""
        self.process.join(within_s)
        assert self.process.exitcode == 0, self.errors()

    def wait_open(self) -> None:
        """The worker has its node open and works."""
        ready = self.folder / f"{self.party}.ready"
        while not ready.exists() or ready.read_text() != str(self.process.pid):
            assert self.process.is_alive(), self.errors()
            time.sleep(0.005)

    def errors(self) -> str:
        """How it ended and what it said."""
        said = (self.folder / f"{self.party}.errors").read_text()
        return f"{self.party} ended with {self.process.exitcode}: {said}"


class Witness(threading.Thread):
    """Reads all four checkpoints all the time, as anyone might: what was once shown signed must stay true."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.seen: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
        self.files = {
            (party, kind): folder / party / f"served/{kind}/checkpoint"
            for party in PARTIES
            for kind in ("own", "mirror")
        }
        self.gone: Counter[tuple[str, str]] = Counter()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.005):
            for key, path in self.files.items():
                try:
                    head = parse_text(parse(path.read_bytes()).text)
                except FileNotFoundError:
                    self.gone[key] += 1
                    continue
                heads = self.seen.setdefault(key, [])
                if not heads or heads[-1] != (head.size, head.root):
                    heads.append((head.size, head.root))

    def check(self, sender: Node, receiver: Node) -> None:
        for (party, kind), heads in self.seen.items():
            author = party if kind == "own" else next(other for other in PARTIES if other != party)
            assert [size for size, _ in heads] == sorted({size for size, _ in heads}), f"{party}/{kind} went back"
            for node in (sender, receiver):
                for size, root in heads:
                    assert node.trees[author].root(size) == root, f"{party}/{kind} showed another history at {size}"


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


@dataclass
class Killing:
    """Kills at random moments: one worker or, now and then, both; some while they open their node."""

    kills: int
    rng: random.Random
    pause_s: float
    within_s: float

    @classmethod
    def seeded(cls, kills: int, *, pause_s: float, within_s: float) -> Self:
        """As many as ENTENTE_KILLS says or else `kills`, drawn from ENTENTE_SEED or else a new seed; both are told."""
        seed = int(os.environ.get("ENTENTE_SEED") or random.SystemRandom().randrange(1 << 32))
        made = cls(int(os.environ.get("ENTENTE_KILLS") or kills), random.Random(seed), pause_s, within_s)
        tell(f"ENTENTE_SEED={seed} ENTENTE_KILLS={made.kills}")
        return made

    def run(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        meddle: Callable[[], object] = lambda: None,
        calm: Callable[[], object] = lambda: None,
    ) -> tuple["Witness", int]:
        """Both workers were killed so often, then drained, and have ended; returns what was seen, and how many kills.

        `meddle` is called before each kill, `calm` before the drain.
        """
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests"))))
        (folder / "sender").write_text(SENDER)
        workers = [Worker(folder, party) for party in PARTIES]
        witness = Witness(folder)
        witness.start()
        try:
            done = self._kill(workers, meddle)
            calm()
            (folder / "drain").touch()
            for each in workers:
                each.finish(DRAIN_S)
        finally:
            witness.done.set()
            for each in workers:
                each.end()
        witness.join()
        return witness, done

    def _kill(self, workers: list[Worker], meddle: Callable[[], object]) -> int:
        until = time.monotonic() + self.within_s
        for done in range(self.kills):
            if time.monotonic() > until:
                tell(f"a slow machine: only {done} kills")
                return done
            victims = self.rng.choices([workers[:1], workers[1:], workers], [4, 4, 1])[0]
            if self.rng.random() > KILLED_WHILE_OPENING:
                victims[0].wait_open()
            time.sleep(self.rng.uniform(0, self.pause_s))
            meddle()
            for victim in victims:
                victim.kill()
                victim.start()
        return self.kills


# What must hold


def tree_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_alone(folder: Path, party: str) -> None:
    """A node that was killed and opened again is whole by itself, before anything else happens."""
    node = open_node(folder, party)
    assert list((folder / party / "tmp").iterdir()) == []
    for draft in node.db.drafts():
        decision, private = check_draft(node, draft, skip=frozenset({"kem"}))
        enough = decision.permit and private.permit
        assert draft.state != "checked" or not enough, "a draft with all its approvals is approved"
    node.close()
    assert verify_folders({party: folder / party}).faults == []


def check_files(folder: Path, script: ModuleType) -> None:
    """Both verifiers find nothing, and each mirror is the other's register byte for byte."""
    report = verify_folders({party: folder / party for party in PARTIES})
    assert report.faults == []
    assert report.invalid == 0
    again = script.verify(folder)
    assert (again.failed, again.invalid_count) == (0, 0)
    for party, other in (PARTIES, PARTIES[::-1]):
        own, mirror = tree_of(folder / party / "served/own"), tree_of(folder / other / "served/mirror")
        assert mirror.pop("checkpoint").startswith(own.pop("checkpoint")), "the cosignature follows the same note"
        assert own == mirror
        assert list((folder / party / "tmp").iterdir()) == []


def rids_in(node: Node, party: str) -> Counter[str]:
    found = []
    for data in node.db.entries(node.logs[party]):
        body = parse_body((entry := parse_entry(data)).kind, entry.body)
        if isinstance(body, Release):
            found.append(body.core.rid)
    return Counter(found)


def check_pair(sender: Node, receiver: Node, acknowledged: Sequence[str]) -> None:
    """Every acknowledged release stands once in both registers, was received once, and can be read at the receiver."""
    entered = rids_in(sender, SENDER)
    assert set(entered.values()) <= {1}
    assert set(acknowledged) <= entered.keys()
    assert entered == rids_in(receiver, SENDER)
    for node in (sender, receiver):
        answers = {fact.rid: [given.outcome for given in fact.answers] for fact in node.pair.sides[SENDER].releases}
        assert answers == {rid: ["received"] for rid in entered}
        assert not node.frozen
    for draft in sender.db.drafts():
        assert (draft.state == "dispatched") == (draft.rid in entered), f"{draft.rid} is {draft.state}"
    log_id = receiver.logs[SENDER]
    assert receiver.db.pending(log_id) == []
    assert receiver.db.intents(log_id) == []
    for fact in receiver.other_side.releases:
        row = receiver.db.inbox_row(log_id, fact.idx)
        assert row is not None
        assert (row.outcome, row.answered) == ("received", 1)
        sent = open_payload_of(sender, fact.rid, fact.blob)
        assert receiver.view.bodies(fact.rid) == sent == open_payload_of(receiver, fact.rid, fact.blob)
        holding = receiver.view.holding(fact.rid)
        assert holding is not None
        assert holding[1] == len(sent)
    mine = sender.reconcile()
    assert mine.cut == ":".join(str(sender.pair.sides[party].size) for party in sender.pair.sides)
    assert mine.text == receiver.reconcile(mine.cut, mine.at).text == receiver.reconcile().text


def open_payload_of(node: Node, rid: str, blob: str) -> list[bytes]:
    """The records in the blob that rests at this node, by the key that rests there."""
    secret = node.keys.key(rid)
    assert secret is not None
    return [whole(body) for body in read_release(node, blob, node.blobs.size(blob), secret)[1]]


def check_after(folder: Path, script: ModuleType, witness: Witness) -> None:
    """Everything holds; what the workers noted fits."""
    assert [lines(folder / f"{party}.alarms") for party in PARTIES] == [[], []]
    acknowledged, opened = lines(folder / f"{SENDER}.acknowledged"), lines(folder / f"{RECEIVER}.opened")
    assert len(set(acknowledged)) == len(acknowledged) > 0
    for party in PARTIES:
        check_alone(folder, party)
    sender, receiver = (open_node(folder, party) for party in PARTIES)
    check_pair(sender, receiver, acknowledged)
    entered = set(rids_in(sender, SENDER))
    assert set(opened) <= entered
    witness.check(sender, receiver)
    size = sender.side.size
    for node in (sender, receiver):
        node.close()
    check_files(folder, script)
    done = subprocess.run([sys.executable, ROOT / "verify.py", folder], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()
    noted = [path.read_text().splitlines() for path in folder.glob("*.faults")]
    faults = Counter(line.split()[0] for found in noted for line in found)
    tell(f"{size} entries, {len(acknowledged)} acknowledged of {len(entered)}, {len(opened)} noted as opened")
    tell(f"passing faults: {dict(faults)}; checkpoint not there: {dict(witness.gone)}")
