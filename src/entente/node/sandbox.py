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
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import msgspec

from entente.errors import FormatError
from entente.strict import convert, parse_foreign
from entente.treaty.area import Area
from entente.treaty.record import Record

MEMORY_BYTES = 4 << 30
CPU_S = 120
WALL_S = 300
_LENGTH = struct.Struct(">Q")


class _Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the child says of one record."""

    id: str
    names: tuple[str, ...]
    title: str
    type: str
    version: str


def validate_in_child(command: Sequence[str], releases: Sequence[list[bytes]]) -> list[list[Record] | str]:
    """For each release the records of its bodies as the child saw them, or the reason why it is not valid."""
    found: list[list[Record] | str] = []
    while len(found) < len(releases):
        rest = releases[len(found) :]
        done, end = _run(command, rest)
        found += done
        if len(done) < len(rest):
            alone, end = ([], end) if len(rest) == 1 else _run(command, rest[len(done) : len(done) + 1])
            found += alone or [f"the validator {end}"]
    return found


def _run(command: Sequence[str], releases: Sequence[list[bytes]]) -> tuple[list[list[Record] | str], str]:
    """What one child says of the releases it got through, and how it ended."""
    framed = b"".join(part for bodies in releases for part in _framed(bodies))
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, input=framed, capture_output=True, timeout=WALL_S, check=False
        )
        lines, end = done.stdout.split(b"\n")[:-1], f"ended with {done.returncode}"
        del done
    except subprocess.TimeoutExpired as late:
        lines, end = (late.stdout or b"").split(b"\n")[:-1], "did not finish"
    del framed  # as large as the releases, like what follows
    if len(lines) > len(releases):
        return [], "answered more than it was asked"
    return [_records(line, bodies) for line, bodies in zip(lines, releases, strict=False)], end


def _framed(bodies: list[bytes]) -> Iterator[bytes]:
    yield _LENGTH.pack(len(bodies))
    for body in bodies:
        yield _LENGTH.pack(len(body))
        yield body


def _records(line: bytes, bodies: list[bytes]) -> list[Record] | str:
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
        Record(data, "", fact.id, fact.type, fact.version, fact.title, fact.names)
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
        bodies = [source.read(*_LENGTH.unpack(source.read(_LENGTH.size))) for _ in range(*_LENGTH.unpack(head))]
        answer = _facts(area, bodies) if area is not None else f"no area here reads {form}"
        sink.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
        sink.flush()


def _facts(area: Area, bodies: list[bytes]) -> object:
    found: list[object] = []
    for body in bodies:
        reason = area.check(body)
        if reason is not None:
            return f"record {len(found)}: {reason}"[:300]
        record = area.record_of(body)
        found.append(msgspec.to_builtins(_Fact(record.id, record.names, record.title, record.type, record.version)))
    return found


def child_command(form: str) -> list[str]:
    """How the child for a format is started."""
    return [sys.executable, "-I", "-m", "entente.app", form]
