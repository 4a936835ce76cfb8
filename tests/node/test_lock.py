"""One process at a time has a node; who has it for long sees that it is wanted; who dies frees it.

Holders are real processes where a process makes the difference; waits are made short by their constants.
"""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entente.errors import BusyError
from entente.node import lock
from entente.node.lock import Lock, sole_worker
from lab.pair import Pair, unchanged
from lab.tls import until

HOLDER = """
import subprocess, sys
from pathlib import Path
from entente.node.lock import Lock
held = Lock(Path(sys.argv[1]), yields=sys.argv[2] == "yields")
if sys.argv[2] == "child":
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    print(child.pid, flush=True)
print("held", flush=True)
for line in sys.stdin:
    if line == "wanted?\\n":
        print(held.wanted(), flush=True)
    else:
        held.close()
        print("closed", flush=True)
"""
COUNTER = """
import sys
from pathlib import Path
from entente.node import lock
from entente.node.lock import Lock
lock.TURN_S, lock._LOOK_S = 60.0, 0.001
folder, count, yields = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "yields"
for _ in range(count):
    held = Lock(folder, yields=yields)
    number = int((folder / "number").read_text())
    (folder / "number").write_text(str(number + 1))
    held.close()
"""


class Holder:
    """A process that has the lock of a folder."""

    def __init__(self, folder: Path, how: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.child = int(self._line()) if how == "child" else 0
        assert self._line() == "held"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, word: str) -> str:
        """What it says to this."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self._line()

    def kill(self) -> None:
        """It is dead, and closed nothing."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[str], Holder]]:
    """Makes processes that have the lock of the test's folder."""
    with contextlib.ExitStack() as stack:

        def make(how: str = "keeps") -> Holder:
            made = Holder(tmp_path, how)
            stack.callback(made.kill)
            return made

        yield make


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits has little patience."""
    monkeypatch.setattr(lock, "TURN_S", 0.1)
    monkeypatch.setattr(lock, "LOCK_S", 0.1)


def free(folder: Path) -> bool:
    """Whether the lock can be had."""
    try:
        Lock(folder).close()
    except BusyError:
        return False
    return True


def test_a_node_has_one_worker_at_a_time_and_is_free_again_after_it(tmp_path: Path) -> None:
    with sole_worker(tmp_path):
        with pytest.raises(BusyError, match="another process serves"), sole_worker(tmp_path):
            pytest.fail("two workers")
        Lock(tmp_path).close()
    with sole_worker(tmp_path):
        pass


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("how", ["keeps", "yields"])
def test_a_second_process_is_told_that_the_first_has_it(
    tmp_path: Path, hold: Callable[[str], Holder], how: str
) -> None:
    first = hold(how)
    with pytest.raises(BusyError) as fault:
        Lock(tmp_path)
    assert fault.value.place == str(tmp_path)
    assert first.ask("close") == "closed"
    assert free(tmp_path)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("how", ["keeps", "yields", "child"])
def test_who_is_killed_frees_it(tmp_path: Path, hold: Callable[[str], Holder], how: str) -> None:
    """However it ends, and though a child of its own lives on."""
    holder = hold(how)
    assert not free(tmp_path)
    holder.process.send_signal(signal.SIGKILL)
    holder.process.wait()
    try:
        if holder.child:
            os.kill(holder.child, 0)
        assert free(tmp_path)
    finally:
        if holder.child:
            os.kill(holder.child, signal.SIGKILL)


def test_a_holder_that_yields_sees_who_waits_and_no_one_else(tmp_path: Path, hold: Callable[[str], Holder]) -> None:
    """Nobody: no. Somebody stands there: yes, again and again. It has come and gone: no."""
    holder = hold("yields")
    assert [holder.ask("wanted?") for _ in range(3)] == ["False"] * 3
    got: list[Lock] = []
    waiting = threading.Thread(target=lambda: got.append(Lock(tmp_path)))
    waiting.start()
    until(lambda: holder.ask("wanted?") == "True", "being wanted")
    assert [holder.ask("wanted?") for _ in range(3)] == ["True"] * 3
    assert not got
    assert holder.ask("close") == "closed"
    waiting.join()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock, "TURN_S", 0.05)
        with pytest.raises(BusyError):
            Lock(tmp_path, yields=True)
    got[0].close()
    held = Lock(tmp_path, yields=True)
    assert not held.wanted()
    held.close()


def test_a_holder_that_keeps_it_is_never_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its turn still: who comes is turned away after a moment."""
    monkeypatch.setattr(lock, "TURN_S", 0.05)
    held = Lock(tmp_path)
    assert not held.wanted()
    assert not free(tmp_path)
    assert not held.wanted()
    held.close()


@pytest.mark.parametrize("how", ["killed", "impatient"])
def test_who_waited_in_vain_is_not_waited_for(
    tmp_path: Path, hold: Callable[[str], Holder], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Killed in the queue, or at the end of its patience: it leaves neither its turn nor the lock taken."""
    held = Lock(tmp_path, yields=True)
    if how == "killed":
        waiting = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path), "keeps"], stdin=subprocess.PIPE)
        until(held.wanted, "being wanted")
        waiting.kill()
        waiting.communicate()
    else:
        monkeypatch.setattr(lock, "LOCK_S", 0.05)
        with pytest.raises(BusyError):
            Lock(tmp_path)
    assert not held.wanted()
    held.close()
    assert hold("keeps").ask("close") == "closed"


@pytest.mark.parametrize("how", ["keeps", "yields"])
def test_many_processes_have_it_one_after_another_and_none_is_left_out(tmp_path: Path, how: str) -> None:
    """Six processes count to fifteen each, reading and writing one number: not one count is lost."""
    (tmp_path / "number").write_text("0")
    call = [sys.executable, "-c", COUNTER, str(tmp_path), "15", how]
    processes = [subprocess.Popen(call) for _ in range(6)]
    assert [process.wait(60) for process in processes] == [0] * 6
    assert (tmp_path / "number").read_text() == "90"


def test_nobody_else_on_the_machine_may_take_the_turn(tmp_path: Path) -> None:
    Lock(tmp_path).close()
    for name in ("turn", "lock"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        assert (tmp_path / name).read_bytes() == b""


@pytest.mark.usefixtures("short")
def test_a_node_that_is_open_elsewhere_is_not_touched(pair: Pair) -> None:
    """The whole node: who comes second reads and writes nothing, and says why."""
    folder = pair.b.folder
    with unchanged(pair.b), pytest.raises(BusyError):
        pair.nodes["second"] = type(pair.b)(folder, pair.b.areas, pair.b.validate)
    pair.shut("KOR")
    pair.open("KOR")


@pytest.mark.usefixtures("short")
def test_a_node_that_cannot_be_opened_is_left_free(pair: Pair) -> None:
    folder = pair.shut("KOR")
    right = (folder / "passphrase").read_bytes()
    (folder / "passphrase").write_bytes(b"wrong")
    for _ in range(3):
        with pytest.raises(Exception, match="passphrase"):
            pair.open("KOR")
    (folder / "passphrase").write_bytes(right)
    pair.open("KOR")
