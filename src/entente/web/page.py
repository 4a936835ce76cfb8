"""What a page is made of: plain values that say what is shown, and under which marking; the kit draws them.

Words of ours are `Said`, which the language seam translates; a plain `str` is data and stays as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

Kind = Literal["text", "number", "time", "day", "digest", "code", "pre"]
Tone = Literal["", "good", "wait", "bad"]  # always beside a word, never instead of one


class Said(msgspec.Struct, frozen=True):
    """Words of the program itself; `{name}` in them stands for what `given` has under that name."""

    text: str
    given: Mapping[str, str | int] = msgspec.field(default_factory=dict)
    tone: Tone = ""


def said(text: str, /, tone: Tone = "", **given: str | int) -> Said:
    """Words of ours with what belongs into them."""
    return Said(text, given, tone)


class Cell(msgspec.Struct, frozen=True):
    """One datum: how it is to be read, where it leads, in which language it is, and which portion mark it bears."""

    text: str | Said
    kind: Kind = "text"
    href: str = ""
    lang: str = ""
    mark: str = ""


Content = str | int | Said | Cell
Line = Content | Sequence[Content]


class Facts(msgspec.Struct, frozen=True):
    """Names and what they are, one below the other."""

    title: Said
    rows: Sequence[tuple[Said | str, Line]]
    name: str = ""


class Table(msgspec.Struct, frozen=True):
    """A short table that is shown whole; `empty` is said where it has no rows."""

    title: Said
    columns: Sequence[Said]
    rows: Sequence[Sequence[Content]]
    empty: Said = Said("Nothing.")
    note: Said | str = ""


class Text(msgspec.Struct, frozen=True):
    """Paragraphs, each with its portion mark in front; `pre` keeps line breaks."""

    title: Said
    paragraphs: Sequence[Content]
    mark: str = ""
    pre: bool = False


class Beside(msgspec.Struct, frozen=True):
    """Two texts side by side: what is here, and what would go out; pieces (text, kept?) of the left one."""

    title: Said
    left_title: Said
    right_title: Said
    left: Sequence[tuple[str, bool]]
    right: Sequence[tuple[str, bool]]
    mark: str = ""


class Figure(msgspec.Struct, frozen=True):
    """A picture of ours (SVG markup, already safe) with the table that says the same."""

    title: Said
    svg: str
    table: Table


class Field(msgspec.Struct, frozen=True):
    """One thing a form asks for."""

    name: str
    label: Said
    kind: Literal["text", "password", "area", "choice", "check", "checks", "date", "number", "file", "hidden"] = "text"
    value: str = ""
    choices: Sequence[tuple[str, Said | str]] = ()
    hint: Said | str = ""
    required: bool = True
    autocomplete: str = "off"


class Form(msgspec.Struct, frozen=True):
    """What a person can do here: `act` names the act of this screen; `proof`: the password is asked with it."""

    act: str
    title: Said
    button: Said
    fields: Sequence[Field] = ()
    note: Said | str = ""
    proof: bool = False
    danger: bool = False


class Links(msgspec.Struct, frozen=True):
    """Where to go on from here."""

    title: Said
    links: Sequence[Cell]


class Steps(msgspec.Struct, frozen=True):
    """A way and how far it has come: (word, when or what is missing, done?)."""

    title: Said
    steps: Sequence[tuple[Said, Content, bool]]


class Column(msgspec.Struct, frozen=True):
    """A column of a list; one with `sort` can be sorted by."""

    key: str
    title: Said
    kind: Kind = "text"
    sort: bool = False


class Filter(msgspec.Struct, frozen=True):
    """Something a list can be narrowed by: one of `choices`, or free text where there are none."""

    key: str
    title: Said
    choices: Sequence[tuple[str, Said | str]] = ()


class Row(msgspec.Struct, frozen=True):
    """One row: where it leads, its cells by column key, and the portion mark of what it shows."""

    key: str
    cells: Mapping[str, Content]
    href: str = ""
    mark: str = ""


class Listing(msgspec.Struct, frozen=True):
    """A list of any length.

    `items(first, most)` gives what matches, filtered and sorted as the visit's query says; `row` makes a row of one.
    `total` is how many match, of what this visitor may see; None if that is not worth counting. `stamp` changes when
    what is listed does: an export that saw it change says so. `bulk` are forms that act on the rows selected.
    """

    title: Said
    columns: Sequence[Column]
    items: Callable[[int, int], Sequence[Any]]
    row: Callable[[Any], Row]
    filters: Sequence[Filter] = ()
    total: int | None = None
    stamp: Callable[[], str] = lambda: ""
    bulk: Sequence[Form] = ()
    empty: Said = Said("Nothing here.")


Block = Facts | Table | Text | Beside | Figure | Form | Links | Steps | Listing


class Page(msgspec.Struct, frozen=True):
    """A page: its title, the one thing to know first, and its blocks in order."""

    title: Said | str
    blocks: Sequence[Block] = ()
    lead: Content = ""
    crumbs: Sequence[Cell] = ()

    @property
    def listing(self) -> Listing | None:
        """The list on it, if it has one."""
        return next((block for block in self.blocks if isinstance(block, Listing)), None)


class Done(msgspec.Struct, frozen=True):
    """An act was done: where to go now, and what to say there; what is `secret` is said once and kept nowhere."""

    href: str
    words: Said
    secret: bool = False
