"""One process at a time has a node open, and a process that has it for long can be asked to give way.

Two files, both locked with flock, so that the end of a process, however it comes, frees them. Whoever wants the node
first takes `turn`, then `lock`. One that opens it to yield gives `turn` back at once: from then on it can see that
somebody stands there, closes the node, and queues up again.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from entente.errors import BusyError

TURN_S = 2.0
LOCK_S = 60.0  # a worker in the middle of a step gives way within a second or two; more means that it hangs
_LOOK_S = 0.02


class Lock:
    """The node is this process's until `close`."""

    def __init__(self, folder: Path, *, yields: bool = False) -> None:
        """Wait for the node; BusyError if another process keeps it."""
        self._turn: int | None = None
        self._path = folder / "turn"
        turn = _take(self._path, TURN_S)
        try:
            self._lock = _take(folder / "lock", LOCK_S)
        except BaseException:
            os.close(turn)
            raise
        if yields:
            os.close(turn)
        else:
            self._turn = turn

    def wanted(self) -> bool:
        """Whether another process waits for its turn; false while the turn is ours."""
        if self._turn is not None:
            return False
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def close(self) -> None:
        """Another process may have it."""
        os.close(self._lock)
        if self._turn is not None:
            os.close(self._turn)


@contextmanager
def sole_worker(folder: Path) -> Iterator[None]:
    """While this lasts no other process can be the node's worker; BusyError if one is.

    Two would take turns without end and listen twice.
    """
    try:
        handle = _take(folder / "worker.lock", 0.0)
    except BusyError:
        raise BusyError(
            "another process serves this node", place=str(folder), remedy="`entente status` names it; end that first."
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def _take(path: Path, patience_s: float) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                os.close(handle)
                raise BusyError(
                    "another process has this node open", place=str(path.parent), remedy="Stop it, or use it."
                ) from None
            time.sleep(_LOOK_S)
        else:
            return handle
