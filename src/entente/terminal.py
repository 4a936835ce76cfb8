"""What every door at a terminal shares: the options a verb takes, results as text or JSON, tables in columns.

It lies below the areas, whose own commands use it too; how a node is opened they are told by who mounts them.
"""

import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from entente.node.import_ import Imported
from entente.node.node import Node
from entente.node.propose import Proposal
from entente.treaty.request import Finding

F = TypeVar("F", bound=Callable[..., Any])
Opened = Callable[[Path | None], AbstractContextManager[Node]]  # opens the node in a folder, or the default one
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
MOST = 12  # of what stays is printed; the rest on request


def node_verb(verb: F) -> F:
    """Give a command --node and --json."""
    verb = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")(verb)
    return click.option(
        "--node", "folder", type=FOLDER, help="The node's folder. Default: the last demo's first party."
    )(verb)


def show(as_json: bool, value: object, text: str) -> None:  # noqa: FBT001 - a flag of the command line
    """Print the result in the form asked for."""
    click.echo(json.dumps(msgspec.to_builtins(value), ensure_ascii=False, sort_keys=True) if as_json else text)


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


def finding_line(finding: Finding) -> str:
    """One rule's answer as a line of text."""
    mark = click.style("ok  ", fg="green") if finding.ok else click.style("FAIL", fg="red")
    where = f"Art. {finding.article:8s}" if finding.article else "no article in [rules]:"
    return f"  {mark} {finding.rule:16s} {where} {finding.observed}"


def told_import(done: Imported) -> tuple[dict[str, object], str]:
    """What an import took in; for scripts and for people."""
    bad = [{"place": item.place, "reason": item.reason} for item in done.quarantined]
    lines = [f"import {done.source}: {done.records:,} valid, {len(bad):,} quarantined"]
    lines += [f"  quarantined {item['place']}: {item['reason']}" for item in bad]
    return {"quarantined": bad, "records": done.records, "source": done.source}, "\n".join(lines)


def told_proposal(made: Proposal) -> tuple[dict[str, object], str]:
    """What a draft would let cross and what stays; for scripts and for people."""
    refused = [{"article": w.article, "id": w.id, "reason": w.reason, "rule": w.rule} for _, w in made.refused]
    lines = [
        f"draft {made.rid}",
        f"{made.state}: {many(made.kept, 'object')}, {made.bytes:,} bytes; {len(refused):,} stay",
    ]
    lines += [f"  stays: {item['id']}: {item['reason']} (Art. {item['article']})" for item in refused[:MOST]]
    lines += [f"  … and {len(refused) - MOST:,} more (`entente why {made.rid[:16]} --all`)"] if refused[MOST:] else []
    lines += [finding_line(f) for f in (*made.decision.refusals, *made.gate.refusals)]
    if made.redacted:
        kept_back = sum(count for _, count in made.redacted)
        lines.append(
            f"{len(made.redacted):,} of them cross without what their granular markings keep back ({kept_back:,})"
        )
    if made.mentions:
        lines.append(f"{made.mentions:,} of them mention a withheld object in prose")
    return {"kept": made.kept, "refused": refused, "rid": made.rid, "state": made.state}, "\n".join(lines)
