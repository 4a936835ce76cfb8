"""Follows a page of docs/howto as its reader does: saves its files, types its commands, fills in what was printed.

A page is a list of fenced blocks. `sh` holds commands; the `text` directly after it is what they print, line by line; a
block after the words "Save as `NAME`:" is a file. In what is printed, `…` stands for anything, a line of it for any
lines, a time for any time, a gap between columns for any such gap, and `$NAME` for an id: that is what `$NAME` means
from there on. A command that this does not know, or output that the page does not show, fails.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from entente.cli import main as entente_command
from promises.demo_run import index_of, said, surroundings, verify_py

PREPARE = (
    "./run demo --once --dir trial",
    "cd trial",
    'entente() { ../run entente "$@"; }',
    "exchange() { for node in IND KOR IND KOR IND; do entente sync --node $node; done; }",
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SAVE = re.compile(r"Save as `([\w.-]+)`:\s*$")
_NAME = re.compile(r"\$([A-Z][A-Z0-9_]*)")
_PART = re.compile(r"\$[A-Z][A-Z0-9_]*|…| {2,}|\d{4}-\d\d-\d\dT\d\d:\d\dZ|\d{4}-\d\d-\d\d|[^$…\d ]+|.")
_SHORT = 16  # ids are shortened to this in lists


@dataclass(frozen=True)
class Block:
    """Commands with what the page says they print, or a file to save (`saved` is its name)."""

    line: int
    text: str
    shown: str | None = None
    saved: str = ""


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order; one that is neither commands, their output nor a file fails."""
    text = page.read_text()
    assert text.count("```") == 2 * len(_FENCE.findall(text)), f"{page.name}: a fence is indented or not closed"
    found: list[Block] = []
    end = -1
    for match in _FENCE.finditer(text):
        kind, body = match.groups()
        before = text[: match.start()]
        saved = _SAVE.search(before)
        line = before.count("\n") + 1
        if saved:
            found.append(Block(line, body, saved=saved.group(1)))
        elif kind == "sh":
            found.append(Block(line, body))
        else:
            joined = kind == "text" and found and not before[end:].strip() and found[-1].shown is None
            assert joined, f"{page.name}:{line}: a block that is no command, no output and no file"
            found[-1] = Block(found[-1].line, found[-1].text, body)
        end = match.end()
    return found


@dataclass
class Reader:
    """Someone at a demo's folder who follows pages. `words` are the party's own for what a page names."""

    folder: Path
    words: Mapping[str, str] = field(default_factory=dict)
    exact: bool = True  # whether what is printed is compared, or only read for ids
    values: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)  # commands about what this agreement made unnecessary
    _missing: set[str] = field(default_factory=set)

    def follow(self, page: Path) -> None:
        """Every block of the page was carried out in turn."""
        for block in blocks(page):
            where = f"{page.name}:{block.line}"
            if block.saved:
                (self.folder / block.saved).write_text(self._filled(block.text, where))
            else:
                self._type(block, where)

    def _type(self, block: Block, where: str) -> None:
        lines = tuple(block.text.replace("\\\n", " ").splitlines())
        if lines == PREPARE:
            return
        printed = ""
        for line in lines:
            if self._missing & set(_NAME.findall(line)):
                self.skipped.append(" ".join(line.split()))
                continue
            code, out, err = self._run(self._filled(line, where), where)
            assert code == 0 or block.shown is not None, f"{where}: {line}\nexit {code}: {out}{err}"
            printed += out if code == 0 else err
        if block.shown is not None:
            self._compare(block.shown, printed, where)

    def _filled(self, text: str, where: str) -> str:
        for name in _NAME.findall(text):
            assert name in self.values, f"{where}: nothing printed ${name}"
        return self._own(_NAME.sub(lambda match: self.values[match.group(1)], text))

    def _own(self, text: str) -> str:
        """The text with this party's own words."""
        known = re.compile("|".join([_NAME.pattern, *map(re.escape, self.words)]))
        return known.sub(lambda match: self.words.get(match.group(), match.group()), text)

    # Commands

    def _run(self, line: str, where: str) -> tuple[int, str, str]:
        words, to = shlex.split(line), ""
        if len(words) > 2 and words[-2] == ">":
            words, to = words[:-2], words[-1]
        match words:
            case ["exchange"]:
                return self._exchange()
            case ["cmp", first, second]:
                same = (self.folder / first).read_bytes() == (self.folder / second).read_bytes()
                return int(not same), "", "" if same else f"{first} {second} differ\n"
            case ["sed", "-e", first, "-e", second, name] if to:
                self._sed((first, second), name, to)
                return 0, "", ""
            case ["python3", "../verify.py", *places]:
                done = verify_py(*(self.folder / place for place in places))
                return done.code, done.out, done.err
            case ["entente", *rest]:
                return self._entente(rest, to)
        pytest.fail(f"{where}: a command that the test does not know: {line}")

    def _sed(self, scripts: tuple[str, ...], name: str, to: str) -> None:
        """Each `s/^this$/that/` replaces one line of the file."""
        text = (self.folder / name).read_text()
        for script in scripts:
            _, before, after, _ = script.split("/")
            text, count = re.subn(before, after, text, flags=re.MULTILINE)
            assert count == 1, script
        (self.folder / to).write_text(text)

    def _exchange(self) -> tuple[int, str, str]:
        nodes = list(index_of(self.folder))
        for code in (*nodes, *nodes, nodes[0]):
            said("sync", "--node", self.folder / code)
        return 0, "", ""

    def _entente(self, words: list[str], to: str) -> tuple[int, str, str]:
        if not self.exact:
            words = _each_once(words)
        runner = CliRunner(env=surroundings())
        done = runner.invoke(entente_command, words, input="".join(f"{word}\n" for word in self._passwords(words)))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise AssertionError(f"a traceback would have been shown for {words}") from done.exception
        if to:
            (self.folder / to).write_bytes(done.stdout_bytes)
            return done.exit_code, "", done.stderr
        return done.exit_code, done.stdout, done.stderr

    def _passwords(self, words: list[str]) -> Iterator[str]:
        """What those who sign type, in the order they are named."""
        known = {
            f"{party}/{user['user']}": str(user["password"])
            for party, entry in index_of(self.folder).items()
            for user in entry["users"]
        }
        for flag, word in pairwise(words):
            if flag in {"--as", "--witness"}:
                yield known[word]

    # What is printed

    def _compare(self, shown: str, printed: str, where: str) -> None:
        lines, at = [line for line in printed.splitlines() if not line.startswith("password of ")], 0
        skip = not self.exact
        for wanted in shown.splitlines():
            if wanted.strip() == "…":
                skip = True
                continue
            if not self.exact and not set(_NAME.findall(wanted)) - set(self.values):
                continue
            pattern = self._pattern(self._own(wanted))
            last = len(lines) if skip else min(at + 1, len(lines))
            hit = next((found for place in range(at, last) if (found := _hit(pattern, lines, place))), None)
            if hit is None and not self.exact:
                self._missing |= set(_NAME.findall(wanted)) - set(self.values)
                continue
            assert hit is not None, f"{where}: not printed: {wanted}\nprinted:\n{printed}"
            at, skip = hit[0] + 1, not self.exact
            self.values.update(hit[1])
            self._missing -= set(hit[1])
        assert skip or at == len(lines), f"{where}: printed, but not shown:\n" + "\n".join(lines[at:])

    def _pattern(self, line: str) -> re.Pattern[str]:
        """What a line of the page stands for."""
        made, new = [], set()
        for part in _PART.findall(line):
            name = part[1:] if _NAME.fullmatch(part) else ""
            if name in self.values:
                value = self.values[name]
                made.append(f"(?:{re.escape(value)}|{re.escape(value[:_SHORT])})")
            elif name in new:
                made.append(f"(?P={name})")
            elif name:
                new.add(name)
                made.append(f"(?P<{name}>[0-9a-f]+)")
            elif part == "…":
                made.append(".*?")
            elif part.isspace() and len(part) > 1:  # between columns, as wide as they are
                made.append(" {2,}")
            elif re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", part):
                made.append(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ")
            else:
                made.append(re.escape(part))
        return re.compile("".join(made))


def _hit(pattern: re.Pattern[str], lines: list[str], place: int) -> tuple[int, dict[str, str]] | None:
    found = pattern.fullmatch(lines[place])
    return (place, found.groupdict()) if found else None


def _each_once(words: list[str]) -> list[str]:
    """The same words, with each signer named once: a party of few persons has one for two of the page's."""
    kept: list[str] = []
    seen: set[str] = set()
    rest = iter(words)
    for word in rest:
        if word in {"--as", "--witness"}:
            handle = next(rest)
            kept += [] if handle in seen else [word, handle]
            seen.add(handle)
        else:
            kept.append(word)
    return kept


def release(node: Path, rid: str) -> dict[str, Any]:
    """The row of `list releases` with this id."""
    (row,) = [row for row in said("list", "releases", "--node", node) if row["rid"] == rid]
    assert isinstance(row, dict)
    return row
