"""Tokens of persons' tools: made by the person, seen once, listed and revoked by id."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from entente.commands.frame import FILE, columns, default_node, main, node_verb, opened, password_of, show
from entente.errors import RefusedError
from entente.node.setup import read_settings
from entente.node.tokens import MOST_DAYS, make_token, revoke_token
from entente.store.access_db import AccessDb


@main.group()
def token() -> None:
    """Tokens by which a person's own tools sign in, such as a TAXII client."""


@contextmanager
def _access(folder: Path) -> Iterator[AccessDb]:
    read_settings(folder)  # or it is no node's folder
    access = AccessDb(folder / "access.db")
    try:
        yield access
    finally:
        access.close()


@token.command("make")
@click.argument("handle")
@click.option("--label", required=True, help="What it is for, such as the tool's name.")
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=90, show_default=True, help="How long it works.")
@click.option("--read-only", is_flag=True, help="It may read and nothing else.")
@click.option("--password-file", type=FILE, help="The person's password; asked for if left out.")
@node_verb
def token_make(
    handle: str, label: str, days: int, password_file: Path | None, folder: Path | None, *,
    read_only: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make a token for the tools of person HANDLE. It is shown once: keep it where the tool keeps its secrets."""
    with opened(folder) as node:
        fact = node.side.persons.get(handle)
        node.person_signer(handle, password_of(handle, password_file))
        if fact is None or fact.revoked_from is not None:
            raise RefusedError(f"{handle} is not certified here", remedy="The authority certifies: `entente person`.")
        with _access(node.folder) as access:
            made, text = make_token(access, handle, label=label, days=days, read_only=read_only)
    value = {"handle": handle, "id": made.id, "token": text, "until": made.until}
    show(as_json, value, f"{text}\n  {made.id} for {handle}, until {made.until}; it is shown this once")


@token.command("list")
@node_verb
def token_list(folder: Path | None, *, as_json: bool) -> None:
    """Show every token: whose, for what, until when, when last used."""
    with _access(folder or default_node()) as access:
        found = access.tokens()
    rows = [
        {
            "handle": one.handle, "id": one.id, "label": one.label, "made": one.made, "read_only": one.read_only,
            "revoked": one.revoked, "until": one.until, "used": one.used,
        }
        for one in found
    ]  # fmt: skip
    lines = [
        (
            one.id, one.handle, one.label, "reads" if one.read_only else "reads and writes", f"until {one.until}",
            f"used {one.used}" if one.used else "never used", f"REVOKED {one.revoked}" if one.revoked else "",
        )
        for one in found
    ]  # fmt: skip
    show(as_json, rows, columns(lines) if lines else "no tokens")


@token.command("revoke")
@click.argument("name")
@node_verb
def token_revoke(name: str, folder: Path | None, *, as_json: bool) -> None:
    """Revoke the token with the id NAME: its next request is refused."""
    with _access(folder or default_node()) as access:
        revoke_token(access, name)
    show(as_json, {"revoked": name}, f"{name} works no more")
