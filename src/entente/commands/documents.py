"""Documents, requests and replies: what most of an exchange is made of. Nothing here leaves; dispatch does that."""

from pathlib import Path
from typing import get_args

import click
import msgspec

from entente.commands.frame import FILE, aligned, main, many, node_verb, opened, show
from entente.errors import UsageError
from entente.node.documents import Held
from entente.node.import_ import file_data
from entente.node.node import Node
from entente.node.requests import Asked, Proposed, pace
from entente.treaty.cover import Kind, Priority, Reason, ReplySheet, RequestSheet, Stated
from entente.treaty.cover import State as ReplyState

LONGEST = 90  # of a request's words in a list


def _texts(given: tuple[str, ...], what: str) -> dict[str, str]:
    """`en=words` for each language."""
    found: dict[str, str] = {}
    for text in given:
        language, mark, words = text.partition("=")
        if not mark or language in found:
            raise UsageError(f"{text[:40]!r} is no {what}", remedy="Write en=words, once for each language.")
        found[language] = words
    return found


def _rid(node: Node, start: str) -> str:
    """The release, or draft of ours, whose id begins so; UsageError unless there is exactly one."""
    rids = {rid for side in node.pair.sides.values() for rid in side.by_rid}
    found = {rid for rid in rids | {draft.rid for draft in node.db.drafts()} if rid.startswith(start)}
    if len(found) != 1 or not start:
        raise UsageError(f"{start!r} names {len(found)} releases and drafts", remedy="See `entente list releases`.")
    return found.pop()


def _proposed(node: Node, done: Proposed, author: str) -> str:
    made = done.proposal
    needed = node.law.law.areas[made.core.area]
    lines = [f"draft {made.rid}", f"{made.state}; nothing has left"]
    lines += [f"  refused: {finding.rule}, Art. {finding.article}" for finding in made.decision.refusals]
    lines += [f"  refused at home: {finding.rule}" for finding in made.gate.refusals]
    roles = ", ".join(needed.roles or ())
    lines.append(f"next: {many(needed.approvals or 1, 'person')} other than {author} approve it, roles: {roles}")
    lines.append(f"  entente approve {made.rid[:16]} --as HANDLE --role ROLE")
    lines.append(f"  entente dispatch {made.rid[:16]} --yes")
    return "\n".join(lines)


@main.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--area", required=True, help="The area of the agreement it is about.")
@click.option(
    "--priority", type=click.Choice(get_args(Priority)), default="routine", show_default=True, help="How soon."
)
@click.option("--wanted-by", default="", help="By when it is wanted: YYYY-MM-DDTHH:MMZ.")
@click.option("--author", required=True, help="Handle of who asks.")
@click.option(
    "--map", "map_id", required=True, help="The marking map by which it is marked: what `entente map` printed."
)
@node_verb
def request(
    text: tuple[str, ...],
    area: str,
    priority: Priority,
    wanted_by: str,
    author: str,
    map_id: str,
    folder: Path | None,
    *,
    as_json: bool,
) -> None:
    """Draft a question to the partner: TEXT is en=words, once for each language."""
    sheet = RequestSheet(_texts(text, "text"), area, priority, wanted_by or msgspec.UNSET)
    with opened(folder) as node:
        done = node.ask(sheet, author=author, map_id=map_id)
        words = _proposed(node, done, author)
    show(as_json, {"rid": done.proposal.rid, "source": done.source, "state": done.proposal.state}, words)


@main.command()
@click.argument("rid")
@click.option("--state", type=click.Choice(get_args(ReplyState)), required=True, help="What became of it.")
@click.option("--rid", "rids", multiple=True, help="A release of ours that answers it; may be repeated.")
@click.option("--reason", type=click.Choice(get_args(Reason)), help="Why, as a class: a refusal needs one.")
@click.option("--author", required=True, help="Handle of who replies.")
@click.option(
    "--map", "map_id", required=True, help="The marking map by which it is marked: what `entente map` printed."
)
@node_verb
def reply(
    rid: str,
    state: ReplyState,
    rids: tuple[str, ...],
    reason: Reason | None,
    author: str,
    map_id: str,
    folder: Path | None,
    *,
    as_json: bool,
) -> None:
    """Draft a person's reply to the partner's request RID (`entente list requests`; its beginning is enough)."""
    with opened(folder) as node:
        named = tuple(sorted({_rid(node, one) for one in rids}))
        sheet = ReplySheet(_rid(node, rid), state, named, reason or msgspec.UNSET)
        done = node.reply(sheet, author=author, map_id=map_id)
        words = _proposed(node, done, author)
    show(as_json, {"rid": done.proposal.rid, "source": done.source, "state": done.proposal.state}, words)


@main.group()
def document() -> None:
    """Take in, show and give out documents: any file with a cover sheet."""


@document.command("import")
@click.argument("path", type=FILE, metavar="FILE")
@click.option("--title", "titles", multiple=True, required=True, help="en=words; may be repeated.")
@click.option("--language", required=True, help="Its language (BCP 47); zxx if it holds no words.")
@click.option("--kind", type=click.Choice(get_args(Kind)), required=True, help="What it is; a type may be withheld.")
@click.option("--written-by", default="", help="Who made the document, as it is to be shown.")
@click.option("--date", "day", default="", help="The document's date: YYYY-MM-DD.")
@click.option("--label", default="", help="The foreign marking it bears; a row of the marking map must name it.")
@click.option("--parent", "parents", multiple=True, help="A release of the partner's it derives from; may be repeated.")
@click.option(
    "--map", "map_id", required=True, help="The marking map by which it is marked: what `entente map` printed."
)
@node_verb
def import_(
    path: Path,
    titles: tuple[str, ...],
    language: str,
    kind: Kind,
    written_by: str,
    day: str,
    label: str,
    parents: tuple[str, ...],
    map_id: str,
    folder: Path | None,
    *,
    as_json: bool,
) -> None:
    """Take in FILE as a document; what acts by itself when it is opened is refused."""
    stated = Stated(
        title=_texts(titles, "title"),
        language=language,
        kind=kind,
        author=written_by or msgspec.UNSET,
        date=day or msgspec.UNSET,
    )
    with opened(folder) as node:
        named = [_rid(node, one) for one in parents]
        done = node.document(file_data(path), stated, label=label, parents=named, place=path.name, map_id=map_id)
    bad = [item.reason for item in done.quarantined]
    text = "\n".join(f"refused: {reason}" for reason in bad)
    text = text or f"import {done.source}\nnext: entente propose {done.source} --author HANDLE"
    show(as_json, {"refused": bad, "source": done.source}, text)
    if bad:
        click.get_current_context().exit(1)


def _held(node: Node, rid: str) -> Held:
    found = node.documents(_rid(node, rid))
    if len(found) != 1:
        raise UsageError(f"{rid} holds {len(found)} documents")
    return found[0]


@document.command("show")
@click.argument("rid")
@node_verb
def show_(rid: str, folder: Path | None, *, as_json: bool) -> None:
    """Show the cover of the document in release or draft RID (its beginning is enough), with both markings."""
    with opened(folder) as node:
        held = _held(node, rid)
    sheet = held.sheet
    lines = [*held.banner, *(f"{language}: {words}" for language, words in sheet.title.items())]
    lines += [f"{sheet.kind}, {sheet.language}, {sheet.media}, {sheet.size:,} bytes", f"sha256 {sheet.sha256}"]
    lines += [
        f"{name}: {value}" for name, value in (("by", sheet.author), ("date", sheet.date)) if isinstance(value, str)
    ]
    show(as_json, {"banner": held.banner, "cover": msgspec.to_builtins(sheet), "rid": held.rid}, "\n".join(lines))


@document.command()
@click.argument("rid")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A new file.")
@click.option("--holder", default="", help="Who will have it; wanted for what the partner released.")
@click.option("--place", default="", help="Where it will be; wanted for what the partner released.")
@node_verb
def export(rid: str, out: Path, holder: str, place: str, folder: Path | None, *, as_json: bool) -> None:
    """Write a document that is held here to a file. Of what the partner released that is a numbered copy."""
    with opened(folder) as node:
        held = _held(node, rid)
        copy = node.export(held, out, holder, place)
        allowed = node.show(held.rid).copies_allowed if copy is not None else 0
    lines = [*held.banner, f"{out}: {held.sheet.size:,} bytes, {held.sheet.media}", *held.banner]
    if copy is not None:
        lines.append(f"copy {copy.n} of {allowed}: {copy.holder}, {copy.place}; `entente copy close` when it is gone")
    value = {"banner": held.banner, "copy": copy, "out": str(out), "rid": held.rid, "sha256": held.sheet.sha256}
    show(as_json, value, "\n".join(lines))


def requests_shown(node: Node) -> tuple[dict[str, object], str]:
    """Requests of both sides with their replies, stray replies, and the measure; for scripts and for people."""
    rows, strays = node.asked(), node.stray_replies()
    measure = pace(rows)
    heads = aligned(map(_line, rows))
    lines = [line for row, head in zip(rows, heads, strict=True) for line in (head, f"  {_asked(row)}")]
    lines += [
        f"reply {found.rid[:16]} by {found.by} names no request known here ({name[:16]})" for name, found in strays
    ]
    median = "" if measure.hours_median is None else f", median {measure.hours_median} hours"
    lines.append(f"{many(measure.requests, 'request')}, {measure.answered} answered{median}")
    value = {
        "pace": msgspec.to_builtins(measure),
        "requests": msgspec.to_builtins(rows),
        "strays": [{"request": name, **msgspec.to_builtins(found)} for name, found in strays],
    }
    return value, "\n".join(lines)


def _line(row: Asked) -> tuple[str, ...]:
    hours = "" if row.hours is None else f"{row.hours} h"
    state = f"{row.state} ({row.reason})" if row.reason else row.state
    return (
        f"{row.by} {row.number}", row.rid[:16], state if row.received else "not received yet", hours, row.priority,
        row.area, f"wanted by {row.wanted_by}" if row.wanted_by else "",
    )  # fmt: skip


def _asked(row: Asked) -> str:
    words = " ".join(next(iter(row.text.values())).split())
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
