"""Consents of third states: what lets something of theirs be passed on to the partner. The letters stay at home."""

from pathlib import Path

import click

from entente.commands.frame import FILE, columns, main, node_verb, opened, show
from entente.node.consent import NONE, Consent, consents_noted, end_consent, held_consent, note_consent

_BY = click.option("--by", required=True, help="Handle of who notes it; certified here.")


@main.group()
def consent() -> None:
    """Consents of third states to passing on to the partner what they originated."""


@consent.command("note")
@click.argument("third")
@click.argument("letter", type=FILE)
@_BY
@node_verb
def consent_note(third: str, letter: Path, by: str, folder: Path | None, *, as_json: bool) -> None:
    """Note that THIRD has consented in LETTER: what it originated may be proposed. Only its digest is kept."""
    with opened(folder) as node:
        commitment = note_consent(node, third, letter.read_bytes(), by)
    show(
        as_json,
        {"commitment": commitment, "third": third},
        f"{third} consents; releases of its material carry\n  {commitment}",
    )


@consent.command("end")
@click.argument("third")
@_BY
@node_verb
def consent_end(third: str, by: str, folder: Path | None, *, as_json: bool) -> None:
    """State that THIRD consents no more: nothing of it that has not left yet may leave."""
    with opened(folder) as node:
        end_consent(node, third, by)
    show(as_json, {"third": third}, f"{third} consents no more; what has left is not taken back by this")


@consent.command("list")
@node_verb
def consent_list(folder: Path | None, *, as_json: bool) -> None:
    """List for each third state that the agreement names whether its consent is held."""
    with opened(folder) as node:
        noted = consents_noted(node)
        held = {third: held_consent(node, third) for third in noted}
        recipient = node.partner
    rows = [
        (third, _state(last), f"by {last.by}" if last else "", f"letter {last.sha256[:16]}" if last else "")
        for third, last in noted.items()
    ]
    value = [
        {
            "commitment": held[third] if held[third] != NONE else "",
            "noted": last,
            "recipient": recipient,
            "third": third,
        }
        for third, last in noted.items()
    ]
    show(as_json, value, columns(rows) or "the agreement names no third state")


def _state(last: Consent | None) -> str:
    return "no consent" if last is None else "consents" if last.stands else "consents no more"
