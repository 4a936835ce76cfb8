"""Papers: a release's decision with its receipt, or the certificate of its end, written out and checked."""

import sys
from pathlib import Path

import click

from entente.commands.frame import FILE, main, many, node_verb, opened, show
from entente.errors import UsageError
from entente.node import papers
from entente.node.node import Node
from entente.web.sheet import code_of

OUT = click.Path(path_type=Path, dir_okay=False)


@main.group()
def paper() -> None:
    """Signed papers of one release, to be kept for years, and checked without a node."""


@paper.command("decision")
@click.argument("which")
@click.option("--out", type=OUT, required=True, help="Where it goes: NAME.json, or NAME.pdf with the JSON in it.")
@node_verb
def paper_decision(which: str, out: Path, folder: Path | None, *, as_json: bool) -> None:
    """Write why release WHICH (number or id) could cross, who approved it, and what the partner answered."""
    with opened(folder) as node:
        _write(node, papers.decision(node, which), out, as_json=as_json)


@paper.command("destruction")
@click.argument("which")
@click.option("--out", type=OUT, required=True, help="Where it goes: NAME.json, or NAME.pdf with the JSON in it.")
@node_verb
def paper_destruction(which: str, out: Path, folder: Path | None, *, as_json: bool) -> None:
    """Write that release WHICH (number or id) was destroyed or given back, by whose order, before which witnesses."""
    with opened(folder) as node:
        _write(node, papers.destruction(node, which), out, as_json=as_json)


def _write(node: Node, made: bytes, out: Path, *, as_json: bool) -> None:
    """The paper stands at `out`; UsageError if something does already, or its name says no kind."""
    if out.exists():
        raise UsageError("something is there", place=str(out), remedy="Give --out a new name.")
    if out.suffix == ".pdf":
        from entente.web.pdf import pdf  # noqa: PLC0415 - an engine that nothing else needs

        data = pdf(made, node.laws[papers.read(made).agreement])
    elif out.suffix == ".json":
        data = made
    else:
        raise UsageError("a paper is .json or .pdf", place=str(out), remedy="Give --out NAME.json or NAME.pdf.")
    out.write_bytes(data)
    show(as_json, {"code": code_of(made), "file": str(out)}, f"{out}: code {code_of(made)}")


@paper.command("check")
@click.argument("file", type=FILE)
@click.option("--agreement", "agreements", type=FILE, multiple=True, required=True, help="Each version that it names.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def paper_check(file: Path, agreements: tuple[Path, ...], *, as_json: bool) -> None:
    """Check the signed JSON in FILE by the agreement alone: every signature, proof and rule. Exit 3 if one fails."""
    data = file.read_bytes()
    faults = papers.check(data, [one.read_bytes() for one in agreements])
    words = "it holds" if not faults else f"{many(len(faults), 'fault')}:\n" + "\n".join(f"  {one}" for one in faults)
    show(as_json, {"code": code_of(data), "faults": faults}, f"{file}: code {code_of(data)}; {words}")
    if faults:
        sys.exit(3)
