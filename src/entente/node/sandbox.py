"""The area's parser runs in a child process with limits: a partner's signature proves origin, not harmlessness.

The child has no more than the bytes on its standard input, a bounded address space and time, and may write no file. It
gives back plain facts about each record, which are parsed strictly here; a child that dies, hangs or lies refuses the
release, nothing else.
"""

import json
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO

from entente.errors import EntenteError
from entente.strict import parse_foreign
from entente.treaty.area import Area
from entente.treaty.record import Record

MEMORY_BYTES = 4 << 30
CPU_S = 120
WALL_S = 300
_LENGTH = struct.Struct(">Q")


def validate_in_child(command: Sequence[str], bodies: list[bytes]) -> list[Record] | str:
    """The records of these bodies as the child saw them, or the reason why one of them is not valid."""
    framed = b"".join(_LENGTH.pack(len(body)) + body for body in bodies)
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, input=framed, capture_output=True, timeout=WALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        return "the validator did not finish"
    if done.returncode != 0:
        return f"the validator ended with {done.returncode}"
    try:
        found = parse_foreign(done.stdout, place="validator")
        if isinstance(found, str):
            return found
        facts = [(r["id"], r["type"], r["version"], r["title"], tuple(r["names"])) for r in found]
        if len(facts) != len(bodies):
            return "the validator lost a record"
        return [
            Record(data=data, media="", id=name, type=kind, version=version, title=title, names=names)
            for data, (name, kind, version, title, names) in zip(bodies, facts, strict=True)
        ]
    except (EntenteError, KeyError, TypeError) as fault:
        return f"the validator answered nonsense ({type(fault).__name__})"


def run_child(find: Callable[[str], Area | None], form: str, source: BinaryIO, sink: BinaryIO) -> None:
    """The child's whole life: limits, read framed bodies, write facts or the first fault."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    area = find(form)
    answer: object = f"no area here reads {form}"
    if area is not None:
        answer = _facts(area, source)
    sink.write(json.dumps(answer, ensure_ascii=False).encode())


def _facts(area: Area, source: BinaryIO) -> object:
    found: list[dict[str, object]] = []
    while head := source.read(_LENGTH.size):
        body = source.read(_LENGTH.unpack(head)[0])
        reason = area.check(body)
        if reason is not None:
            return f"record {len(found)}: {reason}"[:300]
        record = area.record_of(body)
        found.append(
            {
                "id": record.id,
                "names": record.names,
                "title": record.title,
                "type": record.type,
                "version": record.version,
            }
        )
    return found


def child_command(form: str) -> list[str]:
    """How the child for a format is started."""
    return [sys.executable, "-I", "-m", "entente.app", form]
