"""`entente intelligence`: what concerns threat intelligence alone; how it crosses is the verbs that all areas share."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from entente.areas.intelligence import AREA, feed_commands, feeds, inventory
from entente.areas.intelligence.export import bundle
from entente.areas.intelligence.export_csv import csv
from entente.areas.intelligence.export_misp import misp
from entente.areas.intelligence.inventory import Echo, Item, Kind, Stats
from entente.errors import StoreError, UsageError
from entente.node.copies import Copy, copies_of
from entente.node.import_ import file_data
from entente.node.node import Node
from entente.node.propose import Wish
from entente.strict import parse_time
from entente.terminal import FILE, Opened, columns, many, node_verb, show, told_import, told_proposal

_TYPES = click.option("--type", "types", multiple=True, help="Only objects of this type (repeat for several).")
_FORMATS = ("bundle", "csv", "misp")


def group(opened: Opened) -> click.Group:
    """The group `intelligence`."""

    @click.group()
    def intelligence() -> None:
        """Threat intelligence: STIX 2.1 in and out, feeds, what came back about what crossed."""

    intelligence.add_command(feed_commands.group(opened))
    for make in (_import, _export, _release, _sightings, _stats):
        intelligence.add_command(make(opened))
    return intelligence


def _import(opened: Opened) -> click.Command:
    @click.command("import")
    @click.argument("path", type=FILE)
    @click.option(
        "--map", "map_id", default="", help="The marking map its markings are read by; without one nothing can cross."
    )
    @node_verb
    def import_(path: Path, map_id: str, folder: Path | None, *, as_json: bool) -> None:
        """Take in a STIX 2.1 bundle; bad objects are quarantined alone."""
        with opened(folder) as node:
            done = node.import_file(AREA.name, file_data(path), place=path.name, map_id=map_id)
        value, text = told_import(done)
        show(as_json, value, text if map_id else f"{text}\nno marking map: nothing of it can cross")

    return import_


def _export(opened: Opened) -> click.Command:
    @click.command("export")
    @click.option(
        "--format", "form", type=click.Choice(_FORMATS), default="bundle", show_default=True, help="What the file is."
    )
    @click.option(
        "--collection", "kind", type=click.Choice(inventory.KINDS), default="own", show_default=True,
        help="What is ours, what came from the partner, or what went to it.",
    )  # fmt: skip
    @_TYPES
    @click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A new file; else standard output.")
    @click.option("--holder", default="", help="Who holds the copy, of what came from the partner.")
    @click.option("--place", default="", help="Where that copy is kept.")
    @node_verb
    def export(
        form: str, kind: Kind, types: tuple[str, ...], out: Path | None, holder: str, place: str,
        folder: Path | None, *, as_json: bool,
    ) -> None:  # fmt: skip
        """Write a collection into a file: a STIX bundle of its bytes, or indicators and observables as CSV or MISP.

        Of what came from the partner that is the next numbered copy of each release, as many as it allows.
        """
        if as_json and out is None:
            raise click.UsageError("--json with --out only: standard output is the file")
        if out is not None and out.exists():
            raise UsageError("something is there", place=str(out), remedy="Give --out a new name.")
        with opened(folder) as node:
            found = inventory.chosen(inventory.items(node, kind), types)
            data = _written(node, form, kind, found)
            copies = _copies(node, found, holder, place) if kind == "from" else []
            try:
                _write(out, data)
            except BaseException:
                for rid, copy in copies:
                    node.close_copy(rid, copy.n)
                raise
        value = {
            "copies": [{"copy": copy.n, "rid": rid} for rid, copy in copies], "format": form, "objects": len(found),
            "out": str(out),
        }  # fmt: skip
        lines = [f"{many(len(found), 'object')} in {out}"]
        lines += [f"  copy {copy.n} of release {rid[:16]}: {copy.holder}, {copy.place}" for rid, copy in copies]
        if out is not None:
            show(as_json, value, "\n".join(lines))

    return export


def _copies(node: Node, found: Iterable[Item], holder: str, place: str) -> list[tuple[str, Copy]]:
    """A numbered copy of each release of the partner's is out; of none if one of them allows no more."""
    rids = {item.place: node.received(item.place).copies for item in found}
    left = sorted(rids, key=lambda rid: rids[rid] - len(copies_of(node, rid)))  # what allows none is refused first
    return [(rid, node.make_copy(rid, holder, place)) for rid in left]


def _written(node: Node, form: str, kind: Kind, found: Sequence[Item]) -> Iterator[bytes]:
    """The file, piece by piece."""
    records, marking = inventory.exported(node, found)
    if form == "csv":
        return csv(records, marking=marking)
    if form == "misp":
        day = node.clock().date()
        return misp(records, info=f"{node.party} {AREA.name} {kind} {day}", day=day, marking=marking)
    return bundle(records)


def _write(out: Path | None, data: Iterator[bytes]) -> None:
    if out is None:
        for piece in data:
            click.echo(piece, nl=False)
        return
    part = out.with_name(f".{out.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.writelines(data)
        part.rename(out)
    except OSError as fault:
        raise StoreError(str(fault), place=str(out)) from None
    finally:
        part.unlink(missing_ok=True)


def _release(opened: Opened) -> click.Command:
    @click.command("release")
    @_TYPES
    @click.option("--since", default="", help="Only what was taken in since then: YYYY-MM-DDTHH:MMZ")
    @click.option("--map", "map_id", default="", help="Only what was taken in by this marking map.")
    @click.option("--again", is_flag=True, help="Also what stands released already.")
    @click.option("--author", required=True, help="Handle of who proposes.")
    @click.option("--article", default="", help="Default: the area's first.")
    @click.option("--view", default="", help="Default: the area's first.")
    @click.option("--retain-days", type=int, default=0, help="Default: the area's longest.")
    @click.option("--copies", type=int, default=1, show_default=True, help="How many the partner may make.")
    @click.option("--standing", default="", help="Under this standing approval, by its act id: no person signs.")
    @node_verb
    def release(
        types: tuple[str, ...], since: str, map_id: str, author: str, article: str, view: str, retain_days: int,
        copies: int, standing: str, folder: Path | None, *, again: bool, as_json: bool,
    ) -> None:  # fmt: skip
        """Freeze into a draft what a filter selects of ours, as `propose` does with one import. Nothing leaves."""
        if since:
            parse_time(since)
        wish = Wish(author, article, view, retain_days=retain_days, copies=copies, standing=standing)
        with opened(folder) as node:
            name, objects = inventory.to_release(node, types, since, map_id=map_id, again=again)
            made = node.import_file(AREA.name, feeds.bundle_of(objects), place="release", map_id=name)
            done = node.propose(made.source, wish)
        value, text = told_proposal(done)
        show(as_json, {**value, "source": made.source}, text)

    return release


def _sightings(opened: Opened) -> click.Command:
    @click.command()
    @node_verb
    def sightings(folder: Path | None, *, as_json: bool) -> None:
        """List what came back about what crossed: sightings, opinions and notes, the same at both nodes."""
        with opened(folder) as node:
            rows = inventory.echoes(node)
        show(as_json, rows, columns(map(_echo, rows)) or "nothing came back")

    return sightings


def _echo(row: Echo) -> Sequence[str]:
    seen = f"seen {row.seen:,} times" if row.seen != 1 else "seen once"
    return (
        f"of {row.released_by}",
        row.type,
        row.title[:60],
        f"{many(row.sightings, 'sighting')}, {seen}" if row.sightings else "",
        many(row.opinions, "opinion") if row.opinions else "",
        many(row.notes, "note") if row.notes else "",
        row.id,
    )


def _stats(opened: Opened) -> click.Command:
    @click.command()
    @node_verb
    def stats(folder: Path | None, *, as_json: bool) -> None:
        """Count objects by collection and type, and what was imported, quarantined, released, received each day."""
        with opened(folder) as node:
            found = inventory.stats(node)
        show(as_json, found, _stats_text(found))

    return stats


def _stats_text(found: Stats) -> str:
    lines = []
    for kind, counts in found.collections.items():
        lines.append(f"{kind}: {many(sum(counts.values()), 'object')}")
        lines.append(columns(((f"{count:,}", name) for name, count in counts.items()), "  "))
    lines.append(
        f"{many(found.imports, 'import')}, {found.quarantined:,} quarantined, "
        f"{found.released:,} released, {found.received:,} received"
    )
    words = ("imported", "quarantined", "released", "received")
    days = (
        (day, *(f"{counts[word]:,} {word}" if word in counts else "" for word in words))
        for day, counts in found.days.items()
    )
    lines.append(columns(days, "  "))
    return "\n".join(filter(None, lines))
