"""The command line's frame: the group, the options every verb takes, and how results and errors are printed.

Exit codes: 0 ok, 1 refused, 2 usage, 3 verification failed, 4 partner unreachable. Secrets come from files or a
prompt, never from arguments.
"""

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from entente import __version__
from entente.app import AREAS, validate
from entente.errors import EntenteError
from entente.keys import SoftSigner
from entente.node.node import Node
from entente.place import last_demo
from entente.strict import read_own
from entente.treaty.marking import Marking, marking_line
from entente.treaty.request import Finding

F = TypeVar("F", bound=Callable[..., Any])
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def default_node() -> Path:
    """The folder of the last demo's first party."""
    demo = last_demo()
    first = next(iter(read_own((demo / "demo.json").read_bytes(), dict[str, dict[str, Any]]).values()))
    return Path(first["dir"])


def node_verb(verb: F) -> F:
    """Give a command --node and --json."""
    verb = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")(verb)
    return click.option(
        "--node", "folder", type=FOLDER, help="The node's folder. Default: the last demo's first party."
    )(verb)


def password_files(verb: F) -> F:
    """Give a command --password-file, as often as persons sign."""
    files = "The passwords of those who sign, in the same order; asked for if left out."
    return click.option("--password-file", "passwords", type=FILE, multiple=True, help=files)(verb)


def sign_as(verb: F) -> F:
    """Give a command --as, at least once, and --password-file."""
    verb = click.option("--as", "handles", multiple=True, required=True, help="Who signs (repeat for several).")(verb)
    return password_files(verb)


@contextmanager
def opened(folder: Path | None) -> Iterator[Node]:
    """The node, open while the command runs."""
    node = Node(folder or default_node(), AREAS, validate)
    try:
        yield node
    finally:
        node.close()


def show(as_json: bool, value: object, text: str) -> None:  # noqa: FBT001 - a flag of the command line
    """Print the result in the form asked for."""
    click.echo(json.dumps(msgspec.to_builtins(value), ensure_ascii=False, sort_keys=True) if as_json else text)


def password_of(handle: str, path: Path | None) -> bytes:
    """A person's password, from a file or typed unseen."""
    if path is not None:
        return path.read_bytes().strip()
    return str(click.prompt(f"password of {handle}", hide_input=True, err=True)).encode()


def signers_of(node: Node, handles: Sequence[str], passwords: Sequence[Path]) -> list[tuple[str, SoftSigner]]:
    """Each person with their signer; those who have no password file are asked for their password."""
    files: list[Path | None] = [*passwords, *([None] * len(handles))]
    return [
        (handle, node.person_signer(handle, password_of(handle, path)))
        for handle, path in zip(handles, files, strict=False)
    ]


def columns(rows: Iterable[Sequence[object]], indent: str = "") -> str:
    """The rows as lines with aligned columns, as a terminal draws them; a column that is empty throughout is gone."""
    return "\n".join(aligned(rows, indent))


def aligned(rows: Iterable[Sequence[object]], indent: str = "") -> list[str]:
    """The same, a line for each row."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return [
        indent
        + "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True) if width
        ).rstrip()
        for row in cells
    ]


def _width(text: str) -> int:
    """How many places a terminal gives to a text: two to a wide letter, none to what colours it or joins another."""
    plain = click.unstyle(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in plain
    )


def many(count: int, thing: str) -> str:
    """`1 object`, `2 objects`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def body_lines(body: Mapping[str, Any]) -> str:
    """What an act says, a line for each field; its exact bytes are what --json shows. The nonce says nothing."""
    return columns(((f"{name}:", _words_of(name, value)) for name, value in body.items() if name != "nonce"), "  ")


def _words_of(name: str, value: Any) -> str:  # noqa: ANN401 - a field of any act
    if name == "marking":
        return marking_line(msgspec.convert(value, Marking))
    if name == "releases":
        return "; ".join(f"{one['origin'].split('/')[2]} {_spans(one['spans'])}" for one in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_words_of(key, item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else " ".join(str(value).split()) or "not stated"


def _spans(spans: Sequence[Sequence[int]]) -> str:
    found = [str(first) if first == last else f"{first} to {last}" for first, last in spans]
    return f"{'entry' if len(found) == 1 and found[0].isdecimal() else 'entries'} {', '.join(found)}"


class Verbs(click.Group):
    """A group whose commands turn an EntenteError into its words and its exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; explain and exit on an error of ours."""
        try:
            return super().invoke(ctx)
        except EntenteError as fault:
            click.echo(fault.explain(), err=True)
            ctx.exit(fault.exit_code)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """Carry out an agreement: share exactly what it allows, prove what was shared, count what is owed."""


def finding_line(finding: Finding) -> str:
    """One rule's answer as a line of text."""
    mark = click.style("ok  ", fg="green") if finding.ok else click.style("FAIL", fg="red")
    where = f"Art. {finding.article:8s}" if finding.article else "no article in [rules]:"
    return f"  {mark} {finding.rule:16s} {where} {finding.observed}"
