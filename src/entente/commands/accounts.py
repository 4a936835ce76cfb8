"""What it adds up to: the account of both registers, what each party owes, and what an incident reaches."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec

from entente.account.duties import Duty
from entente.account.incidents import Case, Reached
from entente.commands.frame import aligned, main, many, node_verb, opened, show
from entente.commands.statements import incident
from entente.errors import UsageError
from entente.node.copies import copies_of
from entente.node.node import Node
from entente.treaty.marking import marking_line

MOST_SHOWN = 12
WORDS = {
    "answer": "answer",
    "renew_assurance": "renew the assurance",
    "report": "report",
    "return_or_destroy": "return or destroy",
}
CAUSES = {
    ("answer", "order"): "to an order",
    ("answer", "release"): "to a release",
    ("answer", "incident"): "to an incident",
    ("return_or_destroy", "retention"): "time over",
    ("return_or_destroy", "withdrawn"): "withdrawn",
    ("return_or_destroy", "return"): "wanted back",
    ("return_or_destroy", "destroy"): "ordered",
}


@main.command()
@click.option("--cut", default="", help="A:B, entries of each register. Default: the largest cut both have cosigned.")
@click.option("--at", default="", help="The time it is drawn for. Default: the latest within the cut.")
@click.option("--year", type=int, help="A year's report: drawn for its end, with totals of what was released in it.")
@node_verb
def reconcile(cut: str, at: str, year: int | None, folder: Path | None, *, as_json: bool) -> None:
    """Draw the account of both registers, at a cut or of a year: the same bytes on both nodes."""
    if year is not None and (cut or at):
        raise UsageError("a year has its own cut and time", remedy="Leave --cut and --at out.")
    with opened(folder) as node:
        found = node.reconcile(cut, at) if year is None else node.reconcile_year(year)
        early = year is not None and node.now() < found.at
    if as_json:
        show(as_json, {"at": found.at, "cut": found.cut, "sha256": found.sha256}, "")
        return
    if early:
        click.echo("# the year is not over: what is due by its end is shown as if it were", err=True)
    same = f"--year {year}" if year is not None else f"--cut {found.cut} --at {found.at}"
    click.echo(f"# the partner gets the same with: entente reconcile {same}", err=True)
    click.echo(found.text.decode(), nl=False)


@main.command("show")
@click.argument("which")
@node_verb
def show_(which: str, folder: Path | None, *, as_json: bool) -> None:
    """Show one release: marking, orders, answers, copies, what it derives from and what derives from it."""
    with opened(folder) as node:
        found = node.show(which)
    size = f"{found.records:,} record(s), {found.bytes:,} bytes"
    held = "held here" if found.held == "sealed" else "nothing of it is held here"
    lines = [
        *found.banner,
        f"{found.by} release {found.number}  {found.rid}",
        f"{found.state}; {found.area}, Art. {found.article}, {found.format}; {size}; {held}",
    ]
    lines += [f"  {event.at}  {event.by} entry {event.idx}: {event.what}" for event in found.events]
    lines += [f"  derives from {rid}" for rid in found.ancestors]
    lines += [f"  from it derives {rid}" for rid in found.derivatives]
    lines += [
        f"  copy {copy.n} of {found.copies_allowed}: {copy.holder}, {copy.place}, "
        + (f"closed {copy.closed}" if copy.closed else f"out since {copy.made}")
        for copy in found.copies
    ]
    lines += [f"  {_duty(duty)}" for duty in found.duties]
    lines += [f"  {thing.type:24s} {thing.title}" for thing in found.objects[:MOST_SHOWN]]
    if len(found.objects) > MOST_SHOWN:
        lines.append(f"  … and {len(found.objects) - MOST_SHOWN:,} more (--json)")
    show(as_json, found, "\n".join(lines))


@main.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--most", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many to list.")
@node_verb
def search(words: tuple[str, ...], most: int, folder: Path | None, *, as_json: bool) -> None:
    """Find what is held here by words in its title, its text or its own bytes."""
    with opened(folder) as node:
        found = node.search(" ".join(words), most)
        known = {rid: side.party for side in node.pair.sides.values() for rid in side.by_rid}
    rows = [
        {"from": known.get(place, "import"), "id": thing.id, "place": place, "title": thing.title, "type": thing.type}
        for place, thing in found
    ]
    lines = [f"{row['from']:8s} {row['place'][:16]}  {row['type']:20.20s} {row['title']}" for row in rows]
    show(as_json, rows, "\n".join(lines) or "nothing held here has these words")


def owed(node: Node) -> dict[str, dict[str, int]]:
    """For each party, how many duties it has and how many of them are overdue."""
    found = {party: {"open": 0, "overdue": 0} for party in node.pair.sides}
    for duty in node.duties():
        found[duty.owed_by]["open"] += 1
        found[duty.owed_by]["overdue"] += duty.overdue
    return found


def owed_lines(found: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What `owed` found, as lines of text for `status`."""
    return [
        f"  {party} owes {many(counts['open'], 'thing')}, {counts['overdue']} overdue (`entente list duties`)"
        for party, counts in found.items()
        if counts["open"]
    ]


def duties_shown(node: Node, at: str) -> tuple[list[dict[str, object]], str]:
    """Every duty of both parties; for scripts and for people."""
    found = node.duties(at)
    return [msgspec.to_builtins(duty) for duty in found], _owed(found) or "nothing is owed"


def _owed(found: Sequence[Duty]) -> str:
    """The duties under a line for each party that owes, all in the same columns."""
    rows = aligned(map(_duty, found), "  ")
    owing: dict[str, list[str]] = {}
    for duty, row in zip(found, rows, strict=True):
        owing.setdefault(f"{duty.owed_by} owes {duty.owed_to}", []).append(row)
    return "\n".join(line for head, lines in owing.items() for line in (head, *lines))


def _duty(duty: Duty) -> tuple[str, ...]:
    due = f"by {duty.due}" if duty.due else "no time stated"
    late = click.style("OVERDUE", fg="yellow") if duty.overdue else ""
    about = duty.rid[:16] if duty.rid else ""
    article = f"Art. {duty.article}" if duty.article else "no article"
    cause = CAUSES.get((duty.kind, duty.cause), duty.cause)
    return f"{WORDS[duty.kind]} ({cause})", about, due, article, late


@incident.command("list")
@node_verb
def incident_list(folder: Path | None, *, as_json: bool) -> None:
    """List every incident with all that it reaches: the releases named, what derives from them, who holds them."""
    with opened(folder) as node:
        found = node.incidents()
        out = {
            reached.rid: [copy for copy in copies_of(node, reached.rid) if not copy.closed]
            for _, rows in found
            for reached in rows
        }
    value = [
        {
            "author": case.author,
            "idx": case.idx,
            "open": case.open,
            "reaches": [{**msgspec.to_builtins(row), "copies_out": msgspec.to_builtins(out[row.rid])} for row in rows],
            "stages": case.stages,
        }
        for case, rows in found
    ]
    lines = []
    for case, rows in found:
        lines.append(_case(case))
        for row in rows:
            lines.append(_reached(row))
            lines += [f"      copy {copy.n} with {copy.holder}, {copy.place}" for copy in out[row.rid]]
    show(as_json, value, "\n".join(lines) or "no incident")


def _case(case: Case) -> str:
    what = case.facts[0].body
    classes = ", then ".join(dict.fromkeys(fact.body.kind for fact in case.facts))
    state = f"open, owes {case.owes}" if case.open else "closed"
    return f"{case.author} entry {case.idx}: {classes}; discovered {what.discovered_at}; {state}"


def _reached(row: Reached) -> str:
    how = "named" if not row.steps else f"{many(row.steps, 'step')} from it"
    holder = f"held by {row.holder}" if row.holder else "held by nobody"
    line = marking_line(row.marking)
    return f"   {row.rid[:16]}  {how}, {row.state}, {holder}, at most {row.copies} numbered\n      {line}"
