"""Acts of persons: orders, suspension and end, standing approvals; each signed by as many as the agreement asks.

Without --yes a verb shows what would be entered and how many must sign. With it the act is prepared, signed by those
named, and entered if they are enough; else it waits, and others sign it (`entente act sign`) and enter it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import click
import msgspec

from entente.commands.frame import (
    body_lines,
    columns,
    main,
    many,
    node_verb,
    opened,
    password_files,
    show,
    sign_as,
    signers_of,
)
from entente.errors import EntenteError
from entente.node.act import Act, Entered
from entente.node.node import Node
from entente.node.order import KEEP_IMPORT, Remark, order_body
from entente.node.standing import grant_body, granted, revoke_body

F = TypeVar("F", bound=Callable[..., Any])
Make = Callable[[Node], Mapping[str, Any]]


def signing(verb: F) -> F:
    """Give a command what every act takes: who signs at once, and --yes."""
    verb = click.option("--yes", is_flag=True, help="Do it. Without it, only what would be entered is shown.")(verb)
    return click.option("--as", "handles", multiple=True, help="Who signs at once (repeat for several).")(
        password_files(verb)
    )


class Signing(TypedDict):
    """The options that `signing` and `node_verb` give a command."""

    handles: tuple[str, ...]
    passwords: tuple[Path, ...]
    folder: Path | None
    yes: bool
    as_json: bool


def act_out(given: Signing, kind: str, make: Make, note: str = "", **home: object) -> None:
    """The act is shown, or prepared, signed and entered, as its options say. `home` stays at this node.

    A signer who may not sign leaves nothing prepared.
    """
    handles = given["handles"]
    with opened(given["folder"]) as node:
        body = dict(make(node))
        if not given["yes"]:
            _show_dry(node, kind, body, note, as_json=given["as_json"])
            return
        signers = signers_of(node, handles, given["passwords"])
        act = node.prepare(kind, body, by=handles[0] if handles else "", home=home)
        try:
            for handle, signer in signers:
                act = node.sign(act.id, handle, signer)
        except EntenteError:
            node.drop(act.id)
            raise
        done = node.enter(act.id) if act.enough else None
    show(given["as_json"], _told(act, done), f"{note}{_words(act, done)}")


def _show_dry(node: Node, kind: str, body: dict[str, Any], note: str, *, as_json: bool) -> None:
    wanted = node.needed(kind, body)
    takes = _takes(wanted.count, wanted.roles)
    text = f"{note}{kind}\n{body_lines(body)}\n{takes}; nothing was done; add --yes"
    value = {"body": body, "entered": None, "kind": kind, "needed": wanted.count, "roles": wanted.roles}
    show(as_json, value, text)


def _takes(count: int, roles: tuple[str, ...] | None) -> str:
    whose = "1 person's signature" if count == 1 else f"{count} persons' signatures"
    return f"it takes {whose}" + (f" (roles: {', '.join(roles)})" if roles else "")


def _told(act: Act, done: Entered | None) -> dict[str, Any]:
    return {**msgspec.to_builtins(act), "entered": done.idx if done is not None else None}


def _words(act: Act, done: Entered | None) -> str:
    if done is not None:
        return f"{act.kind} {act.id[:16]} entered, entry {done.idx}; signed by {', '.join(act.signed)}"
    more = f"others sign it: `entente act sign {act.id[:16]} --as HANDLE`"
    return f"{act.kind} {act.id[:16]} waits: {len(act.signed)} of {act.needed} have signed; {more}"


# What waits


@main.group()
def act() -> None:
    """Acts that wait for signatures: see, sign, enter or drop them."""


@act.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those entered or dropped.")
@node_verb
def act_list(folder: Path | None, *, everything: bool, as_json: bool) -> None:
    """List the acts that wait, with who has signed."""
    with opened(folder) as node:
        found = [act for act in node.acts() if everything or act.state == "prepared"]
    rows = [
        (act.id[:16], act.kind, act.body.get("act", ""), act.state, f"{len(act.signed)} of {act.needed} signed",
         ", ".join(act.signed), act.fault)
        for act in found
    ]  # fmt: skip
    show(as_json, found, columns(rows) or "no act waits")


@act.command("show")
@click.argument("name")
@node_verb
def act_show(name: str, folder: Path | None, *, as_json: bool) -> None:
    """Show what the act whose id begins with NAME says, and who has signed it; --json has its exact words."""
    with opened(folder) as node:
        found = node.act_named(name)
    lines = [
        f"{found.kind} {found.id}",
        body_lines(found.body),
        f"{found.state}; drawn up {found.at}{f' by {found.by}' if found.by else ''}",
        f"signed by {', '.join(found.signed) or 'nobody'}; {_takes(found.needed, found.roles)}",
    ]
    show(as_json, found, "\n".join([*lines, *([found.fault] if found.fault else [])]))


@act.command("sign")
@click.argument("name")
@sign_as
@node_verb
def act_sign(
    name: str, handles: tuple[str, ...], passwords: tuple[Path, ...], folder: Path | None, *, as_json: bool
) -> None:
    """Sign the act whose id begins with NAME; nothing crosses before it is entered."""
    with opened(folder) as node:
        found = node.act_named(name)
        for handle, signer in signers_of(node, handles, passwords):
            found = node.sign(found.id, handle, signer)
    last = f"enough: `entente act enter {found.id[:16]} --yes`" if found.enough else f"{found.needed} needed"
    show(as_json, found, f"signed by {', '.join(found.signed)}; {last}")


@act.command("enter")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would be entered is shown.")
@node_verb
def act_enter(name: str, folder: Path | None, *, yes: bool, as_json: bool) -> None:
    """Enter the act whose id begins with NAME into the register, for good: the partner will see it."""
    with opened(folder) as node:
        found = node.act_named(name)
        done = node.enter(found.id) if yes else None
    if done is None:
        ready = "ready" if found.enough else found.fault or f"{len(found.signed)} of {found.needed} have signed"
        text = f"{found.kind}\n{body_lines(found.body)}\n{ready}; nothing was done; add --yes"
        show(as_json, _told(found, None), text)
        return
    show(as_json, _told(found, done), _words(found, done))


@act.command("drop")
@click.argument("name")
@node_verb
def act_drop(name: str, folder: Path | None, *, as_json: bool) -> None:
    """Give up the act whose id begins with NAME; its signatures come to nothing."""
    with opened(folder) as node:
        found = node.drop(name)
    show(as_json, found, f"{found.kind} {found.id[:16]} dropped")


# Orders


@main.group()
def order() -> None:
    """Orders about what we released. WHICH is its number in our register, or its id; `entente list` shows both."""


@order.command("withdraw")
@click.argument("which")
@signing
@node_verb
def order_withdraw(which: str, **given: Unpack[Signing]) -> None:
    """Withdraw a release of ours: it is served no more, and gone at once if the partner has not stored it yet."""
    act_out(given, "order", lambda node: order_body(node, which, "withdraw"))


@order.command("return")
@click.argument("which")
@signing
@node_verb
def order_return(which: str, **given: Unpack[Signing]) -> None:
    """Order a release of ours back: the partner answers once it has released it back and holds it no more."""
    act_out(given, "order", lambda node: order_body(node, which, "return"))


@order.command("destroy")
@click.argument("which")
@click.option("--keep-import", is_flag=True, help="Keep the import here from which it was drawn.")
@signing
@node_verb
def order_destroy(which: str, *, keep_import: bool, **given: Unpack[Signing]) -> None:
    """Order a release of ours destroyed, there and here: our sealed copy goes, and the import if nothing needs it."""
    note = "our sealed copy goes at once" + ("\n" if keep_import else ", and the import if nothing else draws on it\n")
    act_out(given, "order", lambda node: order_body(node, which, "destroy"), note, **{KEEP_IMPORT: keep_import})


@order.command("reclass")
@click.argument("which")
@click.option("--level", help="The new level, in the scale of its marking. Default: as it is.")
@click.option("--caveat", "caveats", multiple=True, help="All its caveats from now on (repeat). Default: as they are.")
@click.option("--no-caveats", is_flag=True, help="It has none from now on.")
@click.option("--releasable-to", multiple=True, help="All to whom it may go from now on (repeat). Default: as it is.")
@signing
@node_verb
def order_reclass(
    which: str, level: str | None, caveats: tuple[str, ...], releasable_to: tuple[str, ...], *, no_caveats: bool,
    **given: Unpack[Signing],
) -> None:  # fmt: skip
    """Give a release of ours another marking; originator and purpose stay."""
    remark = Remark(level, caveats if caveats or no_caveats else None, releasable_to or None)
    act_out(given, "order", lambda node: order_body(node, which, "reclass", remark))


# The term


@main.command()
@signing
@node_verb
def suspend(**given: Unpack[Signing]) -> None:
    """Suspend the agreement: nothing is released either way until it is resumed."""
    act_out(given, "term", lambda _: {"act": "suspend"})


@main.command()
@signing
@node_verb
def resume(**given: Unpack[Signing]) -> None:
    """Resume what this party has suspended."""
    act_out(given, "term", lambda _: {"act": "resume"})


@main.command()
@signing
@node_verb
def end(**given: Unpack[Signing]) -> None:
    """Give notice of the agreement's end: it will not be renewed. No verb takes this back."""
    act_out(given, "term", lambda _: {"act": "notice_of_end"})


# Standing approvals


@main.group()
def standing() -> None:
    """Standing approvals: a class of releases approved in advance, with a quota and an end."""


@standing.command("grant")
@click.option("--area", required=True, help="The area.")
@click.option("--format", "form", required=True, help="One of the area's formats, as stix-2.1.")
@click.option("--view", default="full", show_default=True, help="One of the area's views.")
@click.option("--ceiling", required=True, help="The highest level, in this party's scale.")
@click.option("--purpose", required=True, help="One of the area's purposes.")
@click.option("--per-day", type=click.IntRange(min=1), required=True, help="How many releases a UTC day.")
@click.option("--bytes-per-day", type=click.IntRange(min=1), required=True, help="How many padded bytes a UTC day.")
@click.option("--until", required=True, help="When it ends: YYYY-MM-DDTHH:MMZ")
@signing
@node_verb
def standing_grant(
    area: str, form: str, view: str, ceiling: str, purpose: str, per_day: int, bytes_per_day: int, until: str,
    **given: Unpack[Signing],
) -> None:  # fmt: skip
    """Approve a class of releases in advance, as many persons as the area's approvals."""
    covers = {"area": area, "ceiling": ceiling, "format": form, "purpose": purpose, "view": view}
    body = {"class": covers, "per_day": {"bytes": bytes_per_day, "count": per_day}, "until": until}
    act_out(given, "standing", lambda node: grant_body(node, body))


@standing.command("revoke")
@click.argument("name")
@signing
@node_verb
def standing_revoke(name: str, **given: Unpack[Signing]) -> None:
    """Revoke a standing approval by its act id, or the beginning of one."""
    act_out(given, "standing", lambda node: revoke_body(node, name))


@standing.command("list")
@node_verb
def standing_list(folder: Path | None, *, as_json: bool) -> None:
    """List both parties' standing approvals, and what is used of ours today."""
    with opened(folder) as node:
        rows = granted(node)
    lines = [
        f"{row.party}  {row.act[:16]}  {row.state}, until {row.until}\n"
        f"  {row.area}, {row.format}, view {row.view}, up to {row.ceiling}, for {row.purpose}\n"
        f"  used today: {row.used_count} of {many(row.count, 'release')}, {row.used_bytes:,} of {row.bytes:,} bytes"
        for row in rows
    ]
    show(as_json, rows, "\n".join(lines) or "no standing approval")
