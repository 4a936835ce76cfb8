"""Bytes laid out for people: JSON line by line, token for token as it stands; only the spaces between are ours.

What cannot be seen (controls, directions of writing) is shown by its number, so that no text looks like another.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

_TOKEN = re.compile(rb'\s*("(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++)', re.DOTALL)
MOST_COMPARED = 1500  # lines; of longer texts those that stand on one side alone are struck through
Pieces = list[tuple[str, bool]]


def visible(text: str) -> str:
    """The text with nothing in it that cannot be seen."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else f"⟨U+{ord(char):04X}⟩" for char in text)


def lines_of(data: bytes) -> tuple[list[str], bytes]:
    """The bytes as lines, and what follows the JSON they begin with (a document's file); b"" if nothing does."""
    if data[:1] not in (b"{", b"["):
        return visible(data.decode(errors="replace")).split("\n"), b""
    lines, line, depth, at = list[str](), "", 0, 0
    while (found := _TOKEN.match(data, at)) is not None:
        piece, at = visible(found[1].decode(errors="replace")), found.end()
        if piece in ("}", "]"):
            depth -= 1
            if line.strip():
                lines.append(line)
            line = "  " * depth + piece
            if depth == 0:
                break
        elif piece == ",":
            lines.append(line + ",")
            line = "  " * depth
        elif piece in ("{", "["):
            depth += 1
            lines.append(line + piece)
            line = "  " * depth
        else:
            line += piece + (" " if piece == ":" else "")
    if line.strip():
        lines.append(line)
    return lines, data[at:]


def beside(source: Sequence[str], outgoing: Sequence[str]) -> Pieces:
    """The lines of the source, each with whether it goes out."""
    left, right = [line.rstrip(",") for line in source], [line.rstrip(",") for line in outgoing]
    kept = [False] * len(left)
    if max(len(left), len(right)) > MOST_COMPARED:
        there = frozenset(right)
        kept = [line in there for line in left]
    else:
        for match in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
            kept[match.a : match.a + match.size] = [True] * match.size
    pieces: Pieces = []
    for line, stays in zip(source, kept, strict=True):
        if pieces and pieces[-1][1] == stays:
            pieces[-1] = (f"{pieces[-1][0]}{line}\n", stays)
        else:
            pieces.append((f"{line}\n", stays))
    return pieces
