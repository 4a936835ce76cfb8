"""The agreement file: read it in words, find its holes, sign it."""

from pathlib import Path

import click

from entente.commands.frame import FILE, main, node_verb, opened, show
from entente.node import adopt, setup
from entente.treaty.agreement import holes, parse_agreement


@main.group()
def agreement() -> None:
    """The agreement file: read it, find its holes, sign it."""


@agreement.command("check")
@click.argument("path", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def agreement_check(path: Path, *, as_json: bool) -> None:
    """Say in words what an agreement allows, and find its holes."""
    signed = parse_agreement(path.read_bytes(), place=path.name)
    law = signed.law
    found = [{"article": article, "hole": words} for words, article in holes(law)]
    lines = [f"{law.id}, version {law.version}: {' and '.join(law.parties)}{', an exercise' if law.exercise else ''}"]
    lines.append(
        f"from {law.start} to {law.end}, then renewed by {law.renew_years} year(s) "
        f"unless {law.notice_days} days' notice"
    )
    lines += [
        f"{row.level} ({code}) = {row.equivalent}  Art. {row.article}"
        for code in law.parties[:1]
        for row in law.rows[code].values()
    ]
    for name, terms in law.areas.items():
        withheld = ", ".join(f"{row.type} (Art. {row.article})" for row in terms.withhold or ())
        lines.append(
            f"{name}: {', '.join(terms.formats or ())} under Art. {', '.join(terms.articles or ())}; "
            f"{terms.approvals} approval(s) by {', '.join(terms.roles or ())}"
            + (f"; withheld: {withheld}" if withheld else "")
        )
    lines += [f"{article}: {words} ({strength})" for article, (words, strength) in law.statements.items()]
    lines += [f"hole: {item['hole']}" + (f"  Art. {item['article']}" if item["article"] else "") for item in found]
    lines.append(f"hash {signed.hash}")
    show(as_json, {"hash": signed.hash, "holes": found, "id": law.id, "version": law.version}, "\n".join(lines))


@agreement.command("sign")
@click.argument("path", type=FILE)
@click.option("--authority", "authority_file", type=FILE, required=True, help="The authority's locked key.")
@click.option("--authority-passphrase-file", type=FILE, required=True, help="What opens the authority's key.")
@click.option(
    "--signatures",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The DSSE file; added to if there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def agreement_sign(
    path: Path, authority_file: Path, authority_passphrase_file: Path, signatures: Path, *, as_json: bool
) -> None:
    """Add an authority's signature over PATH's exact bytes to the DSSE file."""
    authority = setup.read_authority(authority_file, authority_passphrase_file.read_bytes().strip())
    old = signatures.read_bytes() if signatures.exists() else None
    signatures.write_bytes(setup.add_signature(path.read_bytes(), old, authority))
    name = parse_agreement(path.read_bytes(), place=path.name).hash
    show(as_json, {"agreement": name}, f"signed {name}")


@agreement.command("adopt")
@click.argument("path", type=FILE)
@click.option("--signatures", type=FILE, required=True, help="The DSSE file that both authorities signed.")
@click.option(
    "--authority",
    "authority_files",
    type=FILE,
    multiple=True,
    required=True,
    help="Our authority's locked key; if it changes, the one before too.",
)
@click.option(
    "--authority-passphrase-file",
    "phrases",
    type=FILE,
    multiple=True,
    required=True,
    help="What opens them, in the same order.",
)
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would be entered is shown.")
@node_verb
def agreement_adopt(
    path: Path, signatures: Path, authority_files: tuple[Path, ...], phrases: tuple[Path, ...], folder: Path | None, *,
    yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Adopt the next version of the agreement; it is in force once both have, and it has started."""
    data, envelope = path.read_bytes(), signatures.read_bytes()
    if len(phrases) != len(authority_files):
        raise click.UsageError("give one --authority-passphrase-file for each --authority")
    keys = [
        setup.read_authority(file, phrase.read_bytes().strip())
        for file, phrase in zip(authority_files, phrases, strict=True)
    ]
    with opened(folder) as node:
        found = node.adopt(data, envelope, keys) if yes else adopt.adoption(node, data, envelope)[0]
        current = node.law.hash
    words = (
        f"version {found.version} from {found.start}\n  agreement  {found.agreement}\n  supersedes {found.supersedes}"
    )
    last = "nothing was done; add --yes" if found.entry is None else f"entry {found.entry}; in force now: {current}"
    show(as_json, found, f"{words}\n{last}")
