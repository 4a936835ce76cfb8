"""What a party states in both registers: incidents, undertakings and claims. Every word of them stands in clear."""

from pathlib import Path
from typing import Any, Unpack

import click

from entente.account.acts import STRENGTHS, Claim, Undertaking
from entente.account.claim import claims
from entente.account.statement import Reconciled
from entente.account.undertaking import undertakings
from entente.commands.acts import Signing, act_out, signing
from entente.commands.frame import columns, main, node_verb, opened, show
from entente.errors import UsageError
from entente.node.node import Node
from entente.node.order import pointed
from entente.strict import encode, parse

LONGEST = 40  # of an undertaking's words in a list; --json has them all
CLEAR = "these words will stand in clear in both registers; above the clear level they travel as a document\n"


@main.group()
def incident() -> None:
    """A loss or compromise, or the possibility of one: notice at once, then findings, then measures."""


def _incident(stage: str, which: tuple[str, ...], what: str, discovered_at: str, given: Signing) -> None:
    act_out(
        given,
        "incident",
        lambda node: {
            "class": what,
            "discovered_at": discovered_at,
            "releases": pointed(node, which),
            "stage": stage,
        },
    )


_WHICH = click.argument("which", nargs=-1, required=True)
_CLASS = click.option(
    "--class", "what", type=click.Choice(["loss", "compromise", "possible"]), required=True, help="What happened."
)
_DISCOVERED = click.option("--discovered-at", required=True, help="YYYY-MM-DDTHH:MMZ; the same in all three stages.")


def _stage(stage: str, words: str) -> None:
    """The group has a command for this stage of an incident."""

    @incident.command(stage, help=words)
    @_WHICH
    @_CLASS
    @_DISCOVERED
    @signing
    @node_verb
    def state(which: tuple[str, ...], what: str, discovered_at: str, **given: Unpack[Signing]) -> None:
        _incident(stage, which, what, discovered_at, given)


_stage("notice", "Tell the partner of an incident. WHICH: a number (of ours), an id, or CODE/number for a party's.")
_stage("findings", "State that the investigation has ended, and what it was. WHICH and time are those of the notice.")
_stage("measures", "State that measures were taken: the case is closed. WHICH and time are those of the notice.")


# Undertakings


@main.group()
def undertaking() -> None:
    """Undertakings: who owes whom what by when, in which words and how strongly."""


_TEXT = click.option("--text", "texts", multiple=True, help="LANG=WORDS, verbatim (repeat for each language).")
_STRENGTH = click.option("--strength", type=click.Choice(STRENGTHS), help="How strongly it is stated.")
_SOURCE = click.option("--source", help="Where it was said.")
_MEASURE = click.option("--measure", help="What it is measured in, as sets or days.")
_BASIS = click.option("--basis", help="Of what the measure is a part.")
_BAND = click.option("--band", help="Within which bounds.")
_DUE = click.option("--due", help="By when: YYYY-MM-DDTHH:MMZ")


@undertaking.command("state")
@click.argument("key")
@click.option("--from", "owed_by", help="Code of the party that owes it. Default: this party.")
@_TEXT
@_STRENGTH
@_SOURCE
@_MEASURE
@_BASIS
@_BAND
@_DUE
@click.option("--restates", help="Act id of the undertaking whose content this carries on.")
@signing
@node_verb
def undertaking_state(
    key: str, owed_by: str | None, texts: tuple[str, ...], strength: str | None, source: str | None,
    measure: str | None, basis: str | None, band: str | None, due: str | None, restates: str | None,
    **given: Unpack[Signing],
) -> None:  # fmt: skip
    """State an undertaking under a key that both parties use for it."""
    if not texts or not strength:
        raise click.UsageError("an undertaking has --text and --strength")

    def make(node: Node) -> dict[str, Any]:
        debtor = owed_by or node.party
        body: dict[str, Any] = {
            "band": band or "", "basis": basis or "", "from": debtor, "key": key, "measure": measure or "",
            "source": source or "", "strength": strength, "text": _texts(texts), "to": node.law.law.other(debtor),
        }  # fmt: skip
        return body | ({"due": due} if due else {}) | ({"restates": restates} if restates else {})

    act_out(given, "undertaking", make, CLEAR)


@undertaking.command("amend")
@click.argument("key")
@_TEXT
@_STRENGTH
@_SOURCE
@_MEASURE
@_BASIS
@_BAND
@_DUE
@signing
@node_verb
def undertaking_amend(
    key: str, texts: tuple[str, ...], strength: str | None, source: str | None, measure: str | None,
    basis: str | None, band: str | None, due: str | None,
    **given: Unpack[Signing],
) -> None:  # fmt: skip
    """Amend what this party states under a key; what is not given stays as it is."""
    changed = {
        "band": band, "basis": basis, "due": due, "measure": measure, "source": source, "strength": strength,
        "text": _texts(texts) or None,
    }  # fmt: skip

    def make(node: Node) -> dict[str, Any]:
        name = node.side.undertaken.get(key)
        if name is None:
            raise UsageError(f"{node.party} states nothing under {key}", remedy="See `entente undertaking list`.")
        old = parse(encode(node.side.undertakings[name].body), newlines=True)
        for field in ("nonce", "amends", "restates"):
            old.pop(field, None)
        return {**old, **{field: value for field, value in changed.items() if value is not None}, "amends": name}

    act_out(given, "undertaking", make, CLEAR)


def _texts(given: tuple[str, ...]) -> dict[str, str]:
    """Language → words of `LANG=WORDS`."""
    found = {}
    for item in given:
        lang, sign, words = item.partition("=")
        if not sign or not lang or not words:
            raise click.UsageError(f"{item[:40]!r} is not LANG=WORDS")
        found[lang] = words
    return found


@undertaking.command("list")
@node_verb
def undertaking_list(folder: Path | None, *, as_json: bool) -> None:
    """List every undertaking with what each party states, and whether they agree."""
    with opened(folder) as node:
        rows = undertakings(node.pair)
    _show(rows, as_json=as_json, none="no undertaking")


# Claims


@main.group()
def claim() -> None:
    """Claims: what this party says about a shared key, signed by one person."""


@claim.command("state")
@click.argument("key")
@click.argument("value")
@click.option("--basis", default="", help="On what it rests.")
@click.option("--evidence", multiple=True, help="Record commitment or digest, 64 hex digits (repeat).")
@signing
@node_verb
def claim_state(key: str, value: str, basis: str, evidence: tuple[str, ...], **given: Unpack[Signing]) -> None:
    """State a value under a key; it takes the place of what this party stated before."""
    body = {"basis": basis, "evidence": sorted(set(evidence)), "key": key, "value": value}
    act_out(given, "claim", lambda _: body, CLEAR)


@claim.command("list")
@node_verb
def claim_list(folder: Path | None, *, as_json: bool) -> None:
    """List every claim with what each party states, and whether they agree."""
    with opened(folder) as node:
        rows = claims(node.pair)
    _show(rows, as_json=as_json, none="no claim")


def _show(rows: tuple[Reconciled, ...], *, as_json: bool, none: str) -> None:
    lines = []
    for row in rows:
        lines.append(f"{row.key}: {row.state}{' in ' + ', '.join(row.fields) if row.fields else ''}")
        lines.append(columns((_stated(party, fact.act, fact.body) for party, fact in row.stated.items()), "  "))
    show(as_json, rows, "\n".join(lines) or none)


def _stated(party: str, act: str, body: Undertaking | Claim) -> tuple[str, ...]:
    if isinstance(body, Claim):
        return party, body.value, body.basis, act[:16]
    words = " / ".join(" ".join(text.split()) for text in body.text.values())
    due = f"due {body.due}" if isinstance(body.due, str) else ""
    return party, body.strength, words if len(words) <= LONGEST else words[: LONGEST - 1] + "…", due, act[:16]
