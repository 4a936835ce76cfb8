"""What was received, to its end: numbered copies, destruction, giving back.

WHICH is a number in the partner's register, or an id. Destroying cannot be taken back: without --yes only what would be
done is shown.
"""

from pathlib import Path

import click

from entente.commands.frame import columns, main, node_verb, opened, password_files, show, signers_of
from entente.node.copies import copied_rids, copies_of

_WITNESS = click.option("--witness", "handles", multiple=True, help="Who witnesses it (repeat for several).")
_YES = click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is shown.")


@main.command()
@click.argument("which")
@_WITNESS
@password_files
@_YES
@node_verb
def destroy(
    which: str, handles: tuple[str, ...], passwords: tuple[Path, ...], folder: Path | None, *, yes: bool, as_json: bool
) -> None:
    """Destroy what was received as release WHICH (the partner's number, or its id), and state so in our register."""
    _end(which, "destroyed", handles, passwords, folder, yes=yes, as_json=as_json)


@main.command("give-back")
@click.argument("which")
@_WITNESS
@password_files
@_YES
@node_verb
def give_back(
    which: str, handles: tuple[str, ...], passwords: tuple[Path, ...], folder: Path | None, *, yes: bool, as_json: bool
) -> None:
    """Erase WHICH (the partner's number, or its id), which its originator has received back, and state so."""
    _end(which, "returned", handles, passwords, folder, yes=yes, as_json=as_json)


def _end(
    which: str, outcome: str, handles: tuple[str, ...], passwords: tuple[Path, ...], folder: Path | None, *,
    yes: bool, as_json: bool,
) -> None:  # fmt: skip
    with opened(folder) as node:
        found = node.ending(which, outcome)
        made = [place for place in found.what.places if place != found.rid]
        value = {
            "entry": None, "made_from_it": made, "outcome": outcome, "rid": found.rid, "witnesses": found.witnesses,
        }  # fmt: skip
        if not yes:
            takes = (
                f"it takes {found.witnesses} who witness it (--witness)" if found.witnesses else "it takes no witness"
            )
            text = f"{found.rid[:16]}: its key, objects and blob would be erased here for good, and answered {outcome}"
            more = [f"with it what was made from it here: {place[:16]}" for place in made]
            show(as_json, value, "\n".join([text, *more, f"{takes}; nothing was done; add --yes"]))
            return
        signers = signers_of(node, handles, passwords)
        idx = node.destroy(which, signers) if outcome == "destroyed" else node.give_back(which, signers)
    show(as_json, {**value, "entry": idx}, f"{found.rid} {outcome}, entry {idx}")


@main.group()
def copy() -> None:
    """Numbered copies of what was received: who holds each, and where."""


@copy.command("make")
@click.argument("which")
@click.option("--holder", required=True, help="Who holds it.")
@click.option("--place", required=True, help="Where it is kept.")
@node_verb
def copy_make(which: str, holder: str, place: str, folder: Path | None, *, as_json: bool) -> None:
    """Enter a copy of WHICH (the partner's number, or its id) under the next number, if one more is allowed."""
    with opened(folder) as node:
        made = node.make_copy(which, holder, place)
        most = node.received(which).copies
    show(as_json, made, f"copy {made.n} of {most}: {made.holder}, {made.place}")


@copy.command("close")
@click.argument("which")
@click.argument("number", type=int)
@node_verb
def copy_close(which: str, number: int, folder: Path | None, *, as_json: bool) -> None:
    """State that copy NUMBER of WHICH is out no more: destroyed or taken back. Its number is not given again."""
    with opened(folder) as node:
        done = node.close_copy(which, number)
    show(as_json, done, f"copy {done.n} closed {done.closed}")


@copy.command("list")
@node_verb
def copy_list(folder: Path | None, *, as_json: bool) -> None:
    """List every copy of everything received."""
    with opened(folder) as node:
        rows = [{"copy": copy, "rid": rid} for rid in copied_rids(node) for copy in copies_of(node, rid)]
        lines = [
            (rid[:16], f"copy {one.n}", f"closed {one.closed}" if one.closed else "out", one.holder, one.place)
            for rid in copied_rids(node)
            for one in copies_of(node, rid)
        ]
    show(as_json, rows, columns(lines) or "no copy was made")
