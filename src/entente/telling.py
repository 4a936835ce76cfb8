"""What the demo says: one line a step, as in the first screen of the README, and how long each step took."""

import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

COLOURS = ("cyan", "magenta")
WORDS = {
    "withhold": "objects of this type are withheld",
    "reference": "would name what is withheld",
    "originator": "received from a third, which has not consented",
    "mapped": "its marking is not mapped",
}


class Telling:
    """Lines of text through `say`; each party has its own colour, and a word stands beside every colour."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.seconds: dict[str, float] = {}
        self.parties: list[str] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        began = time.monotonic()
        if sys.stderr.isatty():
            click.echo(f"… {name}\r", err=True, nl=False)
        yield
        self.seconds[name] = round(time.monotonic() - began, 3)

    def line(self, number: int, verb: str, who: str, text: str, proof: str = "") -> None:
        """One step's line."""
        head = f"{number:2d} {verb:9s} "
        colour = COLOURS[self.parties.index(who)] if who in self.parties else None
        pad = " " * max(1, 60 - width(text)) if proof else ""
        self.say(head + click.style(f"{who:8s} ", fg=colour) + text + pad + proof)

    def refused(self, text: str, article: str, words: str) -> None:
        """One refusal, with its article or the lack of one."""
        words = words if article else f"no article in [rules] ({words})"
        self.say(f"   {click.style('REFUSED', fg='yellow'):19s} {text:45.45s} Art. {article:6s} {words}")


def width(text: str) -> int:
    """Columns a terminal needs for the text."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def short_sha(digest: str) -> str:
    """A digest as people compare it at a glance."""
    return f"sha256 {digest[:4]}…{digest[-2:]}"
