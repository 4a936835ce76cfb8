"""A node may be killed at any moment: nothing acknowledged is lost, nothing is doubled, and what is served stays whole.

Twice over: the process ends before each single act that would leave a trace on disk (the way SQLite tests itself), and,
slow, two workers are killed at random moments while releases cross: ENTENTE_SEED and ENTENTE_KILLS repeat or prolong.
A killed process loses no write that the kernel has; a power cut may, and is not tested here.
"""

import os
import random
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from entente import keys
from entente.node import setup
from entente.node.node import Node
from entente.strict import time_text
from lab import worker
from lab.killing import (
    PARTIES,
    RECEIVER,
    SENDER,
    Killing,
    check_after,
    check_alone,
    check_files,
    check_pair,
    load_script,
    rids_in,
    tell,
)
from lab.worker import BLOWN, Desk, Fuse, fresh_object, make_pair, open_node

MAX_ROUNDS = 6
MANY = 500
ACTS_OF_OPENING = 20
REQUIRED = {"dispatch": 25, "pull_entries": 12, "pull_content": 10, "answer": 12}  # step: acts on disk it has at least
PAUSE_S = 0.9
KILLING_S = 180
REAL_ARGON2_KIB = keys._ARGON2_KIB


@pytest.fixture(scope="module")
def _quick_locks() -> Iterator[None]:
    """Opening a node derives a key for a tenth of a second; these tests open thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_ARGON2_KIB", 2**5)
        yield


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """verify.py as a module."""
    return load_script()


# Before each single act


class Job:
    """Two objects cross in one batch. Every step can be asked again by whoever finds it half done."""

    def __init__(self, data: Sequence[bytes]) -> None:
        self.data = data

    def bring_in(self, desk: Desk) -> list[str]:
        return [desk.bring_in(data) for data in self.data]

    def propose(self, desk: Desk) -> None:
        done = {draft.source for draft in desk.node.db.drafts()}
        for source in self.bring_in(desk):
            if source not in done:
                desk.propose(source)

    def approve(self, desk: Desk) -> None:
        for rid in desk.unfinished():
            desk.approve(rid)

    def dispatch(self, desk: Desk) -> None:
        desk.node.dispatch(desk.unfinished())

    def rest(self, sender: Desk, receiver: Node) -> None:
        """Whatever is left to do is done."""
        for node in (sender.node, receiver):
            if node.frozen:
                node.pull()  # it heals
        self.propose(sender)
        for draft in sender.node.db.drafts():
            if draft.state == "checked":
                sender.approve(draft.rid)
        if sender.unfinished():
            self.dispatch(sender)
        for _ in range(MAX_ROUNDS):
            receiver.pull()
            receiver.answer()
            sender.node.pull()
            level = [worker.level(node, node.partner_tree()) for node in (sender.node, receiver)]
            if all(level) and not receiver.db.pending(receiver.logs[SENDER]):
                return
        raise AssertionError("the two nodes do not come to rest")


STEPS: dict[str, tuple[str, Callable[[Job, Desk], object]]] = {
    "import": (SENDER, Job.bring_in),
    "propose": (SENDER, Job.propose),
    "approve": (SENDER, Job.approve),
    "dispatch": (SENDER, Job.dispatch),
    "pull_entries": (RECEIVER, lambda _, desk: desk.node.pull()),
    "pull_cosignature": (SENDER, lambda _, desk: desk.node.pull()),
    "pull_content": (RECEIVER, lambda _, desk: desk.node.pull()),
    "answer": (RECEIVER, lambda _, desk: desk.node.answer()),
    "pull_answer": (SENDER, lambda _, desk: desk.node.pull()),
    "pull_last": (RECEIVER, lambda _, desk: desk.node.pull()),
    "heal_sender": (SENDER, lambda _, desk: desk.node.pull()),
    "heal_receiver": (RECEIVER, lambda _, desk: desk.node.pull()),
    "heal_answerer": (RECEIVER, lambda _, desk: desk.node.pull()),
}
RESTORED = {  # step: (where the nodes stand, whence the backup of node.db is)
    "heal_sender": ("pull_answer", "dispatch"),
    "heal_receiver": ("pull_content", "pull_entries"),
    "heal_answerer": ("pull_last", "pull_entries"),
}


class Stages:
    """A folder of the two nodes as they stand before each step."""

    def __init__(self, folder: Path, entries: int) -> None:
        self.folder = folder
        self.job = Job([fresh_object(number, salt=f"{number:012x}") for number in (1, 2)])
        live = folder / "live"
        live.mkdir(parents=True)
        assert make_pair(live) == PARTIES
        first = Job([fresh_object(0, salt=f"{0:012x}")])
        self.run(live, lambda sender, receiver: first.rest(sender, receiver.node))
        if entries:
            self.run(live, lambda sender, _: fill(live, sender.node, entries))
            self.run(live, lambda sender, receiver: first.rest(sender, receiver.node))
        for name, (party, act) in STEPS.items():
            shutil.copytree(live, folder / name)
            if name not in RESTORED:
                self.run(live, self.step(party, act))
        for name, (now, old) in RESTORED.items():
            self.restore(folder / name, folder / now, folder / old, STEPS[name][0])

    def step(self, party: str, act: Callable[["Job", Desk], object]) -> Callable[[Desk, Desk], object]:
        return lambda sender, receiver: act(self.job, sender if party == SENDER else receiver)

    @staticmethod
    def restore(folder: Path, now: Path, old: Path, party: str) -> None:
        """The nodes as they stand `now`, but for the party's node.db, which comes from a backup."""
        shutil.rmtree(folder)
        shutil.copytree(now, folder)
        for path in (folder / party).glob("node.db*"):
            path.unlink()
        for path in (old / party).glob("node.db*"):
            shutil.copy(path, folder / party)

    def run(self, live: Path, act: Callable[[Desk, Desk], object]) -> None:
        nodes = [open_node(live, party) for party in PARTIES]
        act(*(Desk(live, node.party, node) for node in nodes))
        for node in nodes:
            node.close()


def fill(folder: Path, node: Node, entries: int) -> None:
    """The register has so many entries: the authority assures again and again."""
    authority = setup.read_authority(
        folder / f"authority-{node.party}.key", (folder / node.party / "passphrase").read_bytes()
    )
    until = time_text(node.clock() + timedelta(days=30))
    level = node.law.law.party[node.party].levels[0]
    missing = entries - node.side.size
    node.append([setup.assure(node, authority, level=level, areas=[worker.AREA], until=until) for _ in range(missing)])


@pytest.fixture(scope="module")
def ground(_quick_locks: None) -> Iterator[Path]:
    """A folder in memory where there is one: what a killed process wrote is there, flushed or not."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def few(ground: Path) -> Stages:
    """A register of a handful of entries: partial tiles grow."""
    return Stages(ground / "few", 0)


@pytest.fixture(scope="module")
def brim(ground: Path) -> Stages:
    """A register of 255 entries: the batch of two fills a tile and begins the next."""
    return Stages(ground / "brim", 255)


def in_child(act: Callable[[], None]) -> int:
    """The exit code of a child process that does this."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        act()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing may return into pytest from here
        os.write(2, traceback.format_exc().encode())
        os._exit(1)


def crash(folder: Path, step: str, job: Job, left: int) -> bool:
    """The step is run and the process ends before its `left`th act on disk; whether it came to that."""
    party, act = STEPS[step]

    def run() -> None:
        fuse = Fuse(folder / party)
        node = open_node(folder, party)
        desk = Desk(folder, party, node)
        fuse.set(left)
        act(job, desk)
        fuse.set(0)
        node.close()

    code = in_child(run)
    assert code in (0, BLOWN)
    return code == BLOWN


def crash_opening(folder: Path, party: str, left: int) -> bool:
    """The node is opened and the process ends before the `left`th act on disk of that; whether it came to that."""

    def run() -> None:
        Fuse(folder / party).set(left)
        open_node(folder, party)

    code = in_child(run)
    assert code in (0, BLOWN)
    return code == BLOWN


def check_recovery(folder: Path, party: str, job: Job, script: ModuleType) -> None:
    """After a crash: whole by itself, then everything left is done, then everything holds."""
    check_alone(folder, party)
    sender, receiver = (open_node(folder, name) for name in PARTIES)
    job.rest(Desk(folder, SENDER, sender), receiver)
    sent = rids_in(sender, SENDER)
    assert len(sent) == 3, "the first release and the job's two"
    check_pair(sender, receiver, list(sent))
    for node in (sender, receiver):
        node.close()
    check_files(folder, script)


def sweep(stages: Stages, step: str, script: ModuleType, rng: random.Random | None = None) -> int:
    """A crash before every act of a step; with `rng`, one or two more while opening again. How many acts there are."""
    folder, party = stages.folder / f"{step}-now", STEPS[step][0]
    for left in range(1, MANY):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(stages.folder / step, folder)
        crashed = crash(folder, step, stages.job, left)
        again = [rng.randint(1, ACTS_OF_OPENING) for _ in range(rng.randint(1, 2))] if rng and crashed else []
        try:
            for later in again:
                crash_opening(folder, party, later)
            check_recovery(folder, party, stages.job, script)
        except Exception as fault:
            fault.add_note(f"after a crash before act {left} of {step}, then {again} of opening")
            raise
        if not crashed:
            return left - 1
    raise AssertionError("the step never ends")


@pytest.mark.parametrize("step", REQUIRED)
def test_a_crash_before_any_act_on_disk_loses_and_doubles_nothing(step: str, few: Stages, script: ModuleType) -> None:
    assert sweep(few, step, script) >= REQUIRED[step]


@pytest.mark.slow
@pytest.mark.parametrize("step", [step for step in STEPS if step not in REQUIRED])
def test_nor_does_a_crash_in_the_steps_before_and_after(step: str, few: Stages, script: ModuleType) -> None:
    assert sweep(few, step, script) > 0


@pytest.mark.slow
@pytest.mark.parametrize("step", ["dispatch", "pull_entries"])
def test_nor_does_a_crash_where_a_tile_becomes_full(step: str, brim: Stages, script: ModuleType) -> None:
    assert sweep(brim, step, script) > REQUIRED[step]


@pytest.mark.slow
@pytest.mark.parametrize("step", REQUIRED)
def test_nor_does_a_crash_while_opening_after_a_crash(step: str, few: Stages, script: ModuleType) -> None:
    seed = int(os.environ.get("ENTENTE_SEED", "1"))
    tell(f"ENTENTE_SEED={seed}")
    assert sweep(few, step, script, random.Random(f"{seed} {step}")) > 0


# At random moments


@pytest.mark.slow
def test_sixty_kills_lose_and_double_nothing(
    tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both know: every release once, received; what was acknowledged is among them, and no head ever went back."""
    monkeypatch.setattr(keys, "_ARGON2_KIB", REAL_ARGON2_KIB)
    killing = Killing.seeded(60, pause_s=PAUSE_S, within_s=KILLING_S)
    assert make_pair(tmp_path) == PARTIES
    witness, _ = killing.run(tmp_path, monkeypatch)
    check_after(tmp_path, script, witness)
