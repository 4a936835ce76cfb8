"""What the core knows of an area: its name, its formats and views, and its functions over bytes and records.

An area registers one `Area` as `AREA` in its package; only `app` knows all of them. Nothing here knows a format.
"""

import re
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from entente.treaty.record import Data, Record, Rejected


class Split(Protocol):
    """Takes a foreign file apart, keeping each object's bytes."""

    def __call__(self, form: str, data: Data, /, *, place: str) -> tuple[list[Record], list[Rejected]]:
        """Records and quarantined objects of a file for this format, both in file order.

        Raises: FormatError naming `place` when the file as a whole cannot be read; nothing is imported then.
        """


class Redacted(msgspec.Struct, frozen=True):
    """An object without what some of its markings kept back: its new bytes, and how many properties went."""

    data: bytes
    properties: int


class Area(msgspec.Struct, frozen=True):
    """One area of cooperation, as the core calls it.

    `name` is the area's key in the agreement; `formats` and `views` are what its `formats` and `views` there may name.
    `split(form, data, place=...)` makes records of an import. `read(form, data)` makes the record of one object's bytes
    in one pass, or gives the reason why they are no valid object of that format. `view(name, data)` gives the bytes
    that cross under a view, or None when the object cannot be shown so. `mention_pattern(records)` finds, in another
    object's bytes, prose that points at one of these (withheld) records; None when nothing could. `opens` names the
    formats in which `read` looks into foreign files (to sniff them, for text): their imports too are read in a child.
    `order(version)` is the text by which versions of one id are ordered and told apart, from what a record calls its
    version. `redact(data, refs)`, for areas that have a view `granular`, gives the object without what granular
    markings with these refs select, or None if no valid object would be left. `quotes` is false where the reasons that
    the area gives for refusing an object, and the places it names, hold nothing of the object's content: only then are
    they kept.
    """

    name: str
    formats: tuple[str, ...]
    views: tuple[str, ...]
    split: Split
    read: Callable[[str, Data], Record | str]
    view: Callable[[str, Data], Data | None]
    mention_pattern: Callable[[Iterable[Record]], re.Pattern[bytes] | None]
    opens: tuple[str, ...] = ()
    order: Callable[[str], str] = str
    redact: Callable[[Data, frozenset[str]], Redacted | None] | None = None
    quotes: bool = True
