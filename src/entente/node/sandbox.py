"""The area's parser runs in a child process with limits: a partner's signature proves origin, not harmlessness.

The child has no more than the bytes on its standard input, a bounded address space and time, and may write no file. It
gives back one line of plain facts for each release, as soon as it is through with it, and each is parsed strictly here.
A release that ends the child or hangs it is refused, and no other: what the child was through with stands, the one at
which it ended is tried alone before it is blamed, and the rest get another child. A release that takes the child over
may lie about those after it in the same group, all of which are the same partner's.
"""

import json
import resource
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO, BinaryIO

import msgspec

from entente.errors import EntenteError, FormatError, StoreError
from entente.strict import convert, parse_foreign
from entente.treaty.area import Area
from entente.treaty.record import LONG, Data, Long, Record, pieces, size_of

MEMORY_BYTES = 4 << 30
CPU_S = 120
WALL_S = 300
ANSWER_BYTES = 1 << 30
_LENGTH = struct.Struct(">Q")


class _Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the child says of one record: no more than is needed, for there may be 100,000 of them."""

    id: str
    names: tuple[str, ...]
    title: str
    type: str
    version: str
    text: str = ""


def validate_in_child(
    command: Sequence[str], releases: Sequence[list[Data]], order: Callable[[str], str] = str
) -> list[list[Record] | str]:
    """For each release the records of its bodies as the child saw them, or the reason why it is not valid.

    Args: `order`: the area's, by which a version's order is known here without being told.
    """
    found: list[list[Record] | str] = []
    while len(found) < len(releases):
        rest = releases[len(found) :]
        done, end = _run(command, rest, order)
        found += done
        if len(done) < len(rest):
            alone, end = ([], end) if len(rest) == 1 else _run(command, rest[len(done) : len(done) + 1], order)
            found += alone or [f"the validator {end}"]
    return found


def _run(
    command: Sequence[str], releases: Sequence[list[Data]], order: Callable[[str], str]
) -> tuple[list[list[Record] | str], str]:
    """What one child says of the releases it got through, and how it ended."""
    late = threading.Event()
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise StoreError("no pipe to the validator")
        feed = _Feed(child.stdin, releases)

        def end_it() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(WALL_S, end_it)
        timer.start()
        feed.start()
        lines = child.stdout.read(ANSWER_BYTES).split(b"\n")[:-1]
        if child.stdout.read(1):
            child.kill()
        feed.join()
        code = child.wait()
        timer.cancel()
    if feed.fault is not None:
        raise feed.fault
    if len(lines) > len(releases):
        return [], "answered more than it was asked"
    end = "did not finish" if late.is_set() else f"ended with {code}"
    return [_records(line, bodies, order) for line, bodies in zip(lines, releases, strict=False)], end


class _Feed(threading.Thread):
    """Writes the releases to the child while what it says is read; `fault` is what kept their bytes from being read."""

    def __init__(self, sink: IO[bytes], releases: Sequence[list[Data]]) -> None:
        super().__init__(daemon=True)
        self.sink, self.releases = sink, releases
        self.fault: EntenteError | None = None

    def run(self) -> None:
        """Everything is written, or the child took no more."""
        with suppress(BrokenPipeError):
            try:
                for bodies in self.releases:
                    self.sink.write(_LENGTH.pack(len(bodies)))
                    for body in bodies:
                        self.sink.write(_LENGTH.pack(size_of(body)))
                        for piece in pieces(body):
                            self.sink.write(piece)
            except EntenteError as fault:
                self.fault = fault
            finally:
                self.sink.close()


def _records(line: bytes, bodies: list[Data], order: Callable[[str], str]) -> list[Record] | str:
    try:
        found = parse_foreign(line, place="validator")
        if isinstance(found, str):
            return found
        facts = convert(found, list[_Fact], place="validator")
        del found
    except FormatError as fault:
        return f"the validator answered nonsense ({fault.detail})"[:300]
    if len(facts) != len(bodies):
        return "the validator lost a record"
    return [
        Record(
            data,
            "",
            fact.id,
            fact.type,
            fact.version,
            fact.title,
            fact.names,
            text=fact.text,
            order=order(fact.version),
        )
        for data, fact in zip(bodies, facts, strict=True)
    ]


def run_child(find: Callable[[str], Area | None], form: str, source: BinaryIO, sink: BinaryIO) -> None:
    """The child's whole life: limits, then for each release read framed bodies, write facts or the first fault."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    area = find(form)
    while head := source.read(_LENGTH.size):
        bodies = _bodies(source, *_LENGTH.unpack(head))
        answer = _facts(area, form, bodies) if area is not None else f"no area here reads {form}"
        for _ in bodies:  # what was not looked at after a fault
            pass
        sink.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
        sink.flush()


def _bodies(source: BinaryIO, count: int) -> Iterator[Data]:
    """The bodies of one release. A long one is on the pipe still: it can be gone through once, before the next."""
    for _ in range(count):
        (size,) = _LENGTH.unpack(source.read(_LENGTH.size))
        if size <= LONG:
            yield source.read(size)
            continue
        once = _Once(source, size)
        yield Long(size, once.read)
        for _piece in once.read(size, size):
            pass


class _Once:
    """Bytes on a pipe, taken in order."""

    def __init__(self, source: BinaryIO, size: int) -> None:
        self._source, self._size, self._at = source, size, 0

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end`; what lies before is skipped. FormatError if some were taken already."""
        if start < self._at:
            raise FormatError("a long object can be read once only")
        while self._at < min(end, self._size):
            skipped = self._at < start
            piece = self._source.read(min(LONG, (start if skipped else end) - self._at))
            if not piece:
                raise FormatError("the object ends early")
            self._at += len(piece)
            if not skipped:
                yield piece


def _facts(area: Area, form: str, bodies: Iterator[Data]) -> object:
    found: list[object] = []
    for body in bodies:
        record = area.read(form, body)
        if isinstance(record, str):
            return f"record {len(found)}: {record}"[:300]
        fact = _Fact(record.id, record.names, record.title, record.type, record.version, record.text)
        found.append(msgspec.to_builtins(fact))
    return found


def child_command(form: str) -> list[str]:
    """How the child for a format is started."""
    return [sys.executable, "-I", "-m", "entente.app", form]
