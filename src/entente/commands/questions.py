"""Questions: why, what, how far, and whether it verifies."""

import platform
import shutil
import sys
from pathlib import Path

import click
import msgspec

from entente.app import AREAS
from entente.commands.accounts import duties_shown, owed, owed_lines
from entente.commands.documents import requests_shown
from entente.commands.frame import FOLDER, columns, default_node, finding_line, main, many, node_verb, opened, show
from entente.errors import UsageError
from entente.node.node import Node
from entente.node.report import find_folders
from entente.node.requests import pace
from entente.node.verify import verify_folders
from entente.node.worker import State, read_state
from entente.place import last_demo
from entente.store.act_rows import PREPARED
from entente.store.sqlite import sqlite_version


@main.command()
@click.argument("which")
@click.option("--all", "everything", is_flag=True, help="List every object, not the first of each kind.")
@node_verb
def why(which: str, folder: Path | None, *, everything: bool, as_json: bool) -> None:
    """Every object and every rule of a release (number or id) or draft, passed or failed."""
    with opened(folder) as node:
        found = node.why(which)
    lines = [f"{found.kind} {found.rid}", f"{found.area}, Art. {found.article}: {found.state}"]
    if found.approved_by:
        lines.append(f"approved by {', '.join(found.approved_by)}")
    if found.map:
        lines.append(f"marked by map {found.map[:16]}, signed by {', '.join(found.mapped_by)}")
    lines += [finding_line(item) for item in found.findings]
    if found.gate:
        lines += ["home rules (private):", *(finding_line(item) for item in found.gate)]
    crossing = [item for item in found.objects if item.crosses]
    staying = [item for item in found.objects if not item.crosses]
    if not found.objects:
        lines.append("no object of it is held here")
    limit = None if everything else 12
    for title, group in ((f"{many(len(crossing), 'object')} crossed", crossing), (f"{len(staying):,} stayed", staying)):
        if found.objects:
            lines.append(title)
        for item in group[:limit]:
            reason = f"  Art. {item.article} ({item.rule})" if item.rule else ""
            reason += f"  {item.redacted} of its properties kept back" if item.redacted else ""
            lines.append(f"  {item.type:24s} {item.title[:60]:60s}{reason}".rstrip())
        if limit is not None and len(group) > limit:
            lines.append(f"  … and {len(group) - limit:,} more (--all)")
    show(as_json, found, "\n".join(lines))


@main.command("list")
@click.argument(
    "what", type=click.Choice(["releases", "drafts", "imports", "inbox", "requests", "duties"]), default="releases"
)
@node_verb
def list_(what: str, folder: Path | None, *, as_json: bool) -> None:
    """List releases (both ways), drafts, imports, the inbox, requests with their replies, or what is owed."""
    with opened(folder) as node:
        if what == "duties":
            show(as_json, *duties_shown(node, ""))
            return
        if what == "requests":
            show(as_json, *requests_shown(node))
            return
        rows = _rows(node, what)
    show(as_json, rows, columns(_cells(what, row) for row in rows) or f"no {what}")


def _cells(what: str, row: dict[str, object]) -> list[object]:
    """A row for people: ids shortened to what every command takes, counts with what they count."""
    shown = {**row, **({"rid": str(row["rid"])[:16]} if "rid" in row else {})}
    if what == "imports":
        return [*list(shown.values())[:3], f"{row['count']:,} taken in", f"{row['quarantined']:,} quarantined"]
    if what == "releases":
        return [*list(shown.values())[:4], many(int(str(row["records"])), "record"), shown["rid"]]
    return list(shown.values())


def _rows(node: Node, what: str) -> list[dict[str, object]]:
    if what == "drafts":
        return [{"rid": d.rid, "state": d.state, "author": d.author, "at": d.at} for d in node.db.drafts()]
    if what == "imports":
        return [
            {"source": s.id, "at": s.at, "area": s.area, "count": s.count, "quarantined": s.quarantined}
            for s in node.db.sources()
        ]
    if what == "inbox":
        return [
            {"idx": r.idx, "kind": r.kind, "rid": r.rid, "reason": r.reason}
            for r in node.db.pending(node.logs[node.partner])
        ]
    return [
        {
            "from": side.party,
            "number": fact.number,
            "state": node.state_of(fact),
            "area": fact.area,
            "records": fact.records,
            "rid": fact.rid,
        }
        for side in node.pair.sides.values()
        for fact in side.releases
    ]


@main.command()
@node_verb
def status(folder: Path | None, *, as_json: bool) -> None:
    """Say where this node stands: registers, its worker, what each statement of the agreement has behind it."""
    place = folder or default_node()
    with opened(place) as node:
        worker = read_state(place)
        law = node.law.law
        measure, owing = pace(node.asked()), owed(node)
        registers = {
            side.party: {"entries": side.size, "invalid": len(side.invalid), "releases": len(side.releases)}
            for side in node.pair.sides.values()
        }
        built = {
            article: name for name, terms in law.areas.items() if name in AREAS for article in terms.articles or ()
        }
        statements = [
            {"article": a, "area": built.get(a, ""), "strength": s, "words": w, "works": a in built}
            for a, (w, s) in law.statements.items()
        ]
        begun = [row.rid for row in node.db.begun_erasures()]
        waiting = sum(1 for act in node.db.acts() if act.state == PREPARED)
        value = {
            "owed": owing, "acts_waiting": waiting, "erasures_begun": begun,
            "acknowledged": node.acknowledged(), "agreement": node.law.hash, "exercise": law.exercise,
            "requests": msgspec.to_builtins(measure),
            "frozen": node.frozen,
            "party": node.party, "registers": registers, "statements": statements, "worker": worker,
        }  # fmt: skip
        lines = [f"{node.party} under {law.id} version {law.version}{' · EXERCISE' if law.exercise else ''}"]
        lines.append(f"  agreement {node.law.hash}")
        lines += _term_lines(node)
        lines += [
            f"  {p}: {r['entries']} entries, {many(r['releases'], 'release')}, {r['invalid']} invalid"
            for p, r in registers.items()
        ]
        lines.append(f"  the partner has cosigned {node.acknowledged()} of our entries")
        if waiting:
            lines.append(f"  waiting for signatures: {many(waiting, 'act')} (`entente act list`)")
        lines += [click.style(f"  NOT FULLY ERASED: {rid} (`entente destroy`)", fg="red") for rid in begun]
        if node.frozen:
            lines.append(click.style(f"  READ-ONLY: {node.frozen}", fg="red"))
        median = "" if measure.hours_median is None else f", median {measure.hours_median} hours"
        lines.append(f"  {many(measure.requests, 'request')}, {measure.answered} answered{median}")
        lines += owed_lines(owing)
        lines += _worker_lines(worker)
        lines += [
            f"  Art. {s['article']:6s} {s['strength']:10s} "
            f"{'works' if s['works'] else 'not built yet':14s} {s['words']}"
            for s in statements
        ]
    show(as_json, value, "\n".join(lines))


def _term_lines(node: Node) -> list[str]:
    """What either party has suspended or ended, as far as this node knows."""
    stopped = [side.party for side in node.pair.sides.values() if side.suspended_at(side.size)]
    ended = [side.party for side in node.pair.sides.values() if any(act == "notice_of_end" for _, act, _ in side.terms)]
    lines = [f"  SUSPENDED by {party}: nothing is released either way" for party in stopped]
    lines += [f"  {party} has given notice: not renewed after its end" for party in ended]
    return [click.style(line, fg="yellow") for line in lines]


def _worker_lines(worker: State | None) -> list[str]:
    """What `entente serve` is or was at, from the file it leaves."""
    if worker is None:
        return ["  no worker has run here (`entente serve`)"]
    lines = [
        f"  worker: {worker.doing}, process {worker.pid}, {worker.rounds} rounds since {worker.since}",
        f"  partner last reached {worker.last_contact or 'never'}; broken reads: {worker.wire_faults}",
    ]
    if worker.listening:
        lines.append(f"  serves at {worker.listening}; connections turned away: {worker.turned_away}")
    if worker.fault:
        lines.append(click.style(f"  {worker.failures} faults in a row: {worker.fault}", fg="yellow"))
    return lines


@main.command()
@click.argument("folder", type=FOLDER, required=False)
@click.option("--node", "given", type=FOLDER, help="The same as FOLDER.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def verify(folder: Path | None, given: Path | None, *, as_json: bool) -> None:
    """Verify a node's served tree, or all of a demo's: every hash, head, signature and decision again."""
    place = folder or given or last_demo()
    if not place.is_dir():
        raise UsageError("no such folder", place=str(place))
    report = verify_folders(find_folders(place))
    colours = {"ok": "green", "FAIL": "red"}
    lines = [f"{click.style(f'{line.status:11s}', fg=colours.get(line.status))} {line.text}" for line in report.lines]
    how_far = ", ".join(f"{party} to {found['size']}" for party, found in report.registers.items())
    lines.append(
        f"verified {how_far or 'nothing'}: {report.entries} entries, {report.heads} heads, "
        f"{report.signatures} signatures, {report.decisions} decisions; {len(report.faults)} failed"
    )
    faults = [{"detail": detail, "place": where} for where, detail in report.faults]
    show(as_json, {"faults": faults, "registers": report.registers, "verified": report.summary()}, "\n".join(lines))
    if faults:
        sys.exit(3)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def doctor(*, as_json: bool) -> None:
    """Look whether this machine can run a node, and say what to do where it cannot."""
    disk = shutil.disk_usage(Path.cwd())
    checks = [
        ("python", platform.python_version(), sys.version_info >= (3, 11)),
        ("sqlite", *sqlite_version()),
        ("disk", f"{disk.free // 2**20:,} MiB free", disk.free > 2**30),
        ("areas", ", ".join(AREAS), bool(AREAS)),
    ]
    rows = [{"found": found, "ok": good, "what": what} for what, found, good in checks]
    show(as_json, rows, "\n".join(f"{'ok  ' if good else 'FAIL'} {what:8s} {found}" for what, found, good in checks))
    if not all(good for _, _, good in checks):
        sys.exit(1)
