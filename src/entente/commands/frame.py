"""The command line's frame: the group, the options every verb takes, and how results and errors are printed.

Exit codes: 0 ok, 1 refused, 2 usage, 3 verification failed, 4 partner unreachable. Secrets come from files or a
prompt, never from arguments.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from entente.terminal import FILE, FOLDER, aligned, columns, finding_line, many, node_verb, show
from entente.treaty.marking import Marking, marking_line

F = TypeVar("F", bound=Callable[..., Any])
__all__ = [
    "FILE",
    "FOLDER",
    "Verbs",
    "aligned",
    "body_lines",
    "columns",
    "default_node",
    "finding_line",
    "main",
    "many",
    "node_verb",
    "opened",
    "password_files",
    "password_of",
    "show",
    "sign_as",
    "signers_of",
]


def default_node() -> Path:
    """The folder of the last demo's first party."""
    demo = last_demo()
    first = next(iter(read_own((demo / "demo.json").read_bytes(), dict[str, dict[str, Any]]).values()))
    return Path(first["dir"])


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
