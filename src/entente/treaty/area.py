"""What the core knows of an area: its name, its formats and views, and five functions over bytes and records.

An area registers one `Area` as `AREA` in its package; only `app` knows all of them. Nothing here knows a format.
"""

import re
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from entente.treaty.record import Record, Rejected


class Split(Protocol):
    """Takes a foreign file apart, keeping each object's bytes."""

    def __call__(self, data: bytes, *, place: str) -> tuple[list[Record], list[Rejected]]:
        """Records and quarantined objects, both in file order.

        Raises: FormatError naming `place` when the file as a whole cannot be read; nothing is imported then.
        """


class Area(msgspec.Struct, frozen=True):
    """One area of cooperation, as the core calls it.

    `name` is the area's key in the agreement; `formats` and `views` are what its `formats` and `views` there may name.
    `split(data, place=...)` makes records of an import. `record_of(data)` makes the record of one object's bytes, which
    `check(data)` has passed: it gives the reason why they are no valid object, or None. `view(name, data)` gives the
    bytes that cross under a view, or None when the object cannot be shown so. `mention_pattern(records)` finds, in
    another object's bytes, prose that points at one of these (withheld) records; None when nothing could.
    """

    name: str
    formats: tuple[str, ...]
    views: tuple[str, ...]
    split: Split
    record_of: Callable[[bytes], Record]
    check: Callable[[bytes], str | None]
    view: Callable[[str, bytes], bytes | None]
    mention_pattern: Callable[[Iterable[Record]], re.Pattern[bytes] | None]
