"""Appending to a register, and proving from one of a million entries.

An append is what `node.ledger` does with a batch of encoded entries, each with a release id: leaf hashes, tree, one
durable transaction in node.db, compare-and-swap in heads.db, one checkpoint signature. What comes before (rules, fold)
and after (files served) is not in it. A head must also be flushed before it is published: the second case of each size
does so after every batch, which is what a node pays that publishes each batch by itself. The floor keeps the first
promise without a database: hash, tree, one write to the end of a file, fdatasync, one signature.

Measured is a node that has been up for a while: its write-ahead logs have reached their length (500 small appends) and
are written over, which the round that is not counted sees to. Until then an append is slower, since to flush a file
that grows costs twice as much; the floor's file always grows.
"""

import math
import os
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Result, rates, result, take_turns, timed
from entente.keys import SoftSigner
from entente.register.checkpoint import Checkpoint, sign_checkpoint
from entente.register.proof import consistency_proof, inclusion_proof
from entente.register.tiles import pack
from entente.register.tree import EMPTY_ROOT, HASH_BYTES, Tree, leaf_hashes
from entente.store.heads import Head, Heads
from entente.store.node_db import NodeDb, NoteRow
from entente.strict import time_text

ORIGIN = "entente/bench/AAA-to-BBB/1"
ENTRY_BYTES = 1024
BATCHES = {1: 600, 32: 200, 1024: 10}  # entries in a batch, batches in a round
ROUNDS = 9
LEAVES = 1_000_000
PROOFS = 2_000
SEED = 20261122
Batch = tuple[Sequence[bytes], Sequence[str]]


def run() -> Iterator[Result]:
    """Appends by batch, then proofs."""
    for size, batches in BATCHES.items():
        with tempfile.TemporaryDirectory(prefix="entente-bench-") as folder:
            yield from _appends(Path(folder), size, batches)
    yield from _proofs()


class Ours:
    """One register in node.db and heads.db, appended to as the ledger does it."""

    def __init__(self, folder: Path, *, publish: bool = False) -> None:
        folder.mkdir()
        self.db = NodeDb(folder / "node.db")
        self.heads = Heads(folder / "heads.db")
        self.log = self.db.add_log(ORIGIN, "AAA", EMPTY_ROOT.hex())
        self.tree = Tree()
        self.signer = SoftSigner.generate()
        self.publish = publish
        self.noted = False

    def append(self, entries: Sequence[bytes], rids: Sequence[str]) -> None:
        """The batch is durable, its head signed; flushed too, if it is to be published."""
        growth = self.tree.grown(leaf_hashes(entries))
        old, head = growth.before.size, self.heads.get(ORIGIN)
        with self.db.transaction():
            self.db.append(self.log, old, entries, growth.root.hex(), [(rid, old + i) for i, rid in enumerate(rids)])
            if head is not None and not self.noted:
                self.noted = True
                self.db.put_note(self.log, "signed", NoteRow(head.size, head.root, head.line))
        self.tree.take(growth)
        if head is not None and (head.size, head.root) != (growth.before.size, growth.before.root.hex()):
            raise RuntimeError("the register does not extend the head signed before")
        note = sign_checkpoint(Checkpoint(ORIGIN, self.tree.size, self.tree.root()), self.signer)
        new = Head(self.tree.size, self.tree.root().hex(), note)
        self.heads.swap(ORIGIN, head, new, at=time_text(datetime.now(UTC)))
        if self.publish:
            self.heads.flush()

    def close(self) -> None:
        """Both files are closed."""
        self.db.close()
        self.heads.close()


class Floor:
    """The same promise by one file that only grows."""

    def __init__(self, folder: Path) -> None:
        self.file = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.tree = Tree()
        self.signer = SoftSigner.generate()

    def append(self, entries: Sequence[bytes], rids: Sequence[str]) -> None:
        """The batch is durable, its head signed; the release ids are in no index."""
        del rids
        self.tree.append(leaf_hashes(entries))
        data = pack(entries)
        if os.write(self.file, data) != len(data):
            raise OSError("a short write")
        os.fdatasync(self.file)
        sign_checkpoint(Checkpoint(ORIGIN, self.tree.size, self.tree.root()), self.signer)

    def close(self) -> None:
        """The file is closed."""
        os.close(self.file)


def _appends(folder: Path, size: int, batches: int) -> Iterator[Result]:
    """Entries a second at one batch size, batch by batch in turns."""
    logs: dict[str, Ours | Floor] = {
        "value": Ours(folder / "a"),
        "published": Ours(folder / "b", publish=True),
        "floor": Floor(folder),
    }
    chance = random.Random(SEED)  # noqa: S311 - the same entries each time

    def side(log: Ours | Floor) -> Callable[[], float]:
        def step() -> float:
            entries, rids = _batch(chance, size)
            return timed(lambda: log.append(entries, rids))

        return step

    try:
        seconds = take_turns({name: side(log) for name, log in logs.items()}, rounds=ROUNDS, steps=batches)
    finally:
        for log in logs.values():
            log.close()
    published = seconds.pop("published")
    yield rates(f"sqlite batch {size}", "entries/s", size, seconds)
    again = {"value": published, "floor": seconds["floor"]}
    yield rates(f"sqlite batch {size}, head flushed for publication", "entries/s", size, again)


def _batch(chance: random.Random, size: int) -> Batch:
    entries = [chance.randbytes(ENTRY_BYTES) for _ in range(size)]
    return entries, [chance.randbytes(HASH_BYTES).hex() for _ in range(size)]


def _proofs() -> Iterator[Result]:
    """Milliseconds a proof, from the tree in memory."""
    chance = random.Random(SEED)  # noqa: S311 - the same tree and the same questions each time
    tree = Tree.from_leaves(chance.randbytes(HASH_BYTES * LEAVES))
    cases: dict[str, Callable[[int], object]] = {
        "inclusion": lambda index: inclusion_proof(tree, index, LEAVES),
        "consistency": lambda index: consistency_proof(tree, index + 1, LEAVES),
    }
    for name, prove in cases.items():
        took = sorted(_milliseconds(prove, chance.randrange(LEAVES - 1)) for _ in range(PROOFS))
        yield result(f"{name} proof at {LEAVES}", "ms", statistics.median(took))
        yield result(f"{name} proof at {LEAVES}, p99", "ms", took[math.ceil(0.99 * PROOFS) - 1])


def _milliseconds(prove: Callable[[int], object], index: int) -> float:
    return 1000 * timed(lambda: prove(index))
