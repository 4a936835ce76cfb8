"""What a verification found: lines for people, figures for scripts, faults by place; and which folders it is about."""

from pathlib import Path

import msgspec

from entente.errors import UsageError
from entente.strict import parse_foreign


class Line(msgspec.Struct, frozen=True):
    """One check: `ok`, `FAIL` or `not checked`, and what."""

    status: str
    text: str


def _plain(text: str) -> str:
    """The text on one line, whatever a file's name may hold."""
    shown = text.encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in shown)


class Report(msgspec.Struct):
    """What was verified and how far."""

    lines: list[Line] = []
    entries: int = 0
    heads: int = 0
    signatures: int = 0
    decisions: int = 0
    invalid: int = 0
    registers: dict[str, dict[str, int | str]] = {}
    faults: list[tuple[str, str]] = []
    keys: list[tuple[str, int, str, bool]] = []

    def ok(self, text: str) -> None:
        """A check passed."""
        self.lines.append(Line("ok", text))

    def fail(self, place: str, detail: str) -> None:
        """A check failed at a place."""
        self.faults.append((_plain(place), _plain(detail)))
        self.lines.append(Line("FAIL", f"{_plain(place)}: {_plain(detail)}"))

    def summary(self) -> dict[str, object]:
        """The figures others script against."""
        return {
            "entries": self.entries,
            "failed": len(self.faults),
            "heads": self.heads,
            "not_checked": [line.text for line in self.lines if line.status == "not checked"],
            "signatures": self.signatures,
        }


def find_folders(folder: Path) -> dict[str, Path]:
    """The node's folder, or a demo's: all its nodes. UsageError if it is neither."""
    if (folder / "served").is_dir():
        return {folder.name: folder}
    listing = folder / "demo.json"
    nodes = {}
    try:
        found = parse_foreign(listing.read_bytes(), place=str(listing))
    except FileNotFoundError:
        raise UsageError(
            "neither a node's folder nor a demo's", place=str(folder), remedy="It needs `served` or demo.json."
        ) from None
    for name, entry in found.items() if isinstance(found, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("dir"), str):
            given = Path(entry["dir"])
            beside = folder / given.name  # a demo that was moved or copied is verified where it is
            nodes[name] = beside if beside.is_dir() else given
    if len(nodes) < 2:
        raise UsageError("does not name two nodes' folders", place=str(listing))
    return nodes
