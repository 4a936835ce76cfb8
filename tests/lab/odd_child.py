"""A validator's child in which certain words in an object do harm: what an area's parser might be brought to do.

    python tests/lab/odd_child.py FORMAT

Everything else is the sandbox's own: its limits, its frames, its lines.
"""

import os
import signal
import sys
import time
from typing import NoReturn

import msgspec

from entente.app import AREAS
from entente.node.sandbox import run_child
from entente.treaty.area import Area
from entente.treaty.record import Data, Record, whole

ENDURES = 2
_worn = 0


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _end() -> NoReturn:
    os._exit(0)


def _eat() -> None:
    held = []
    while True:
        held.append(bytes(1 << 28))


def _wear() -> None:
    global _worn  # noqa: PLW0603 - a parser that leaks keeps something between calls, and so does this
    _worn += 1
    if _worn > ENDURES:
        os._exit(1)


def harm(body: bytes) -> None:
    """Whatever the word in the body says."""
    if b"DIE" in body:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"EXIT" in body:
        os._exit(3)
    if b"EAT" in body:
        _eat()
    if b"HANG" in body:
        time.sleep(60)
    if b"LIE" in body:
        _say(b"[[[\n")
        _end()
    if b"MUCH" in body:
        _say(b'"no"\n' * 99)
        _end()
    if b"LOSE" in body:
        _say(b"[]\n")
        _end()
    if b"WRONG" in body:
        _say(b'[{"id":1,"names":[],"title":"","type":"","version":""}]\n')
        _end()
    if b"EARLY" in body:
        _end()
    if b"WEAR" in body:
        _wear()


def odd(area: Area) -> Area:
    """The area, but for what the words do."""

    def read(form: str, body: Data) -> Record | str:
        harm(whole(body))
        return area.read(form, body)

    return msgspec.structs.replace(area, read=read)


if __name__ == "__main__":
    run_child(
        lambda form: next((odd(area) for area in AREAS.values() if form in area.formats), None),
        sys.argv[1],
        sys.stdin.buffer,
        sys.stdout.buffer,
    )
