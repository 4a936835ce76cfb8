"""A node may be killed at any moment: nothing acknowledged is lost, nothing is doubled, and what is served stays whole.

Twice over: the process ends before each single act that would leave a trace on disk (the way SQLite tests itself), and,
slow, two workers are killed at random moments while releases cross. Power loss is another matter: see NOT_DURABLE.
"""

import importlib.util
import os
import random
import shutil
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from lab import worker
from lab.worker import BLOWN, Desk, Fuse, fresh_object, make_pair, open_node

from entente import keys
from entente.account.acts import Release, parse_body
from entente.node import setup
from entente.node.node import Node
from entente.node.verify import verify_folders
from entente.register.checkpoint import parse_text
from entente.register.entry import parse_entry
from entente.register.note import parse
from entente.strict import time_text

ROOT = Path(__file__).resolve().parents[2]
SENDER, RECEIVER = "IND", "KOR"
PARTIES = (SENDER, RECEIVER)
MAX_ROUNDS = 6


@pytest.fixture(scope="module")
def _quick_locks() -> Iterator[None]:
    """Opening a node derives a key for a tenth of a second; these tests open thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_SCRYPT_N", 2)
        yield


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """verify.py as a module."""
    spec = importlib.util.spec_from_file_location("verify_script", ROOT / "verify.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# What must hold


def tree_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_alone(folder: Path, party: str, script: ModuleType) -> None:
    """A node that was killed and opened again is whole by itself, before anything else happens."""
    open_node(folder, party).close()
    assert list((folder / party / "tmp").iterdir()) == []
    assert verify_folders({party: folder / party}).faults == []
    assert script.verify(folder / party).failed == 0


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
        assert answers == dict.fromkeys(entered, ["received"])
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
    from entente.crossing.payload import open_payload  # noqa: PLC0415
    from entente.node.import_ import unseal_blob  # noqa: PLC0415

    secret = node.keys.key(rid)
    assert secret is not None
    return list(open_payload(b"".join(unseal_blob(node.blobs, blob, secret[:32])))[1])


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
            if worker.level(sender.node) and worker.level(receiver) and not receiver.db.pending(receiver.logs[SENDER]):
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
}


class Stages:
    """A folder of the two nodes as they stand before each step."""

    def __init__(self, folder: Path, entries: int) -> None:
        self.folder = folder
        self.job = Job([fresh_object(number, salt=f"{number:012x}") for number in (1, 2)])
        live = folder / "live"
        live.mkdir()
        assert make_pair(live) == PARTIES
        first = Job([fresh_object(0, salt=f"{0:012x}")])
        self.run(live, lambda sender, receiver: first.rest(sender, receiver.node))
        if entries:
            self.run(live, lambda sender, receiver: (fill(live, sender.node, entries), first.rest(sender, receiver.node)))
        for name, (party, act) in STEPS.items():
            shutil.copytree(live, folder / name)
            self.run(live, lambda sender, receiver, party=party, act=act: act(self.job, sender if party == SENDER else receiver))

    def run(self, live: Path, act: Callable[[Desk, Desk], object]) -> None:
        nodes = [open_node(live, party) for party in PARTIES]
        act(*(Desk(live, node.party, node) for node in nodes))
        for node in nodes:
            node.close()


def fill(folder: Path, node: Node, entries: int) -> None:
    """The register has so many entries: the authority assures again and again."""
    authority = setup.read_authority(folder / f"authority-{node.party}.key", (folder / node.party / "passphrase").read_bytes())
    until = time_text(node.clock() + timedelta(days=30))
    level = node.law.law.party[node.party].levels[0]
    missing = entries - node.side.size
    node.append([setup.assure(node, authority, level=level, areas=[worker.AREA], until=until) for _ in range(missing)])


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, _quick_locks: None) -> Stages:
    """A register of a handful of entries: partial tiles grow."""
    return Stages(tmp_path_factory.mktemp("few"), 0)


@pytest.fixture(scope="module")
def brim(tmp_path_factory: pytest.TempPathFactory, _quick_locks: None) -> Stages:
    """A register of 255 entries: the batch of two fills a tile and begins the next."""
    return Stages(tmp_path_factory.mktemp("brim"), 255)


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
    check_alone(folder, party, script)
    sender, receiver = (open_node(folder, name) for name in PARTIES)
    job.rest(Desk(folder, SENDER, sender), receiver)
    sent = rids_in(sender, SENDER)
    assert len(sent) == 3, "the first release and the job's two"
    check_pair(sender, receiver, list(sent))
    for node in (sender, receiver):
        node.close()
    check_files(folder, script)


def sweep(stages: Stages, step: str, script: ModuleType, folder: Path, recoveries: Sequence[int] = ()) -> int:
    """A crash before every act of one step, and after each of them before these acts of opening again; how many acts."""
    for left in range(1, 500):
        shutil.copytree(stages.folder / step, folder / "now")
        crashed = crash(folder / "now", step, stages.job, left)
        if crashed:
            for again in recoveries:
                crash_opening(folder / "now", STEPS[step][0], again)
        try:
            check_recovery(folder / "now", STEPS[step][0], stages.job, script)
        except Exception as fault:
            fault.add_note(f"after a crash before act {left} of {step}")
            raise
        shutil.rmtree(folder / "now")
        if not crashed:
            return left - 1
    raise AssertionError("the step never ends")


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_before_any_act_on_disk_loses_and_doubles_nothing(
    step: str, few: Stages, script: ModuleType, tmp_path: Path
) -> None:
    acts = sweep(few, step, script, tmp_path)
    print(f"{step}: {acts}")
    assert acts > 0
