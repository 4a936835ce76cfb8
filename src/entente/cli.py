"""The command line: every verb of a node, with --json for scripts.

Exit codes: 0 ok, 1 refused, 2 usage, 3 verification failed, 4 partner unreachable. What crosses the border is shown
first and done with --yes. Secrets come from files or a prompt, never from arguments.
"""

import json
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from entente import __version__
from entente.app import AREAS, validate
from entente.errors import EntenteError, UsageError
from entente.node import setup
from entente.node.node import Node
from entente.node.propose import Wish
from entente.node.served import FolderTree
from entente.node.verify import find_folders, verify_folders
from entente.place import last_demo
from entente.store.sqlite import sqlite_version
from entente.strict import read_own
from entente.treaty.agreement import holes, parse_agreement
from entente.treaty.decision import Finding

F = TypeVar("F", bound=Callable[..., Any])
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _default_node() -> Path:
    demo = last_demo()
    first = next(iter(read_own((demo / "demo.json").read_bytes(), dict[str, dict[str, Any]]).values()))
    return Path(first["dir"])


def node_verb(verb: F) -> F:
    """Give a command --node and --json."""
    verb = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")(verb)
    return click.option(
        "--node", "folder", type=FOLDER, help="The node's folder. Default: the last demo's first party."
    )(verb)


@contextmanager
def opened(folder: Path | None) -> Iterator[Node]:
    """The node, open while the command runs."""
    node = Node(folder or _default_node(), AREAS, validate)
    try:
        yield node
    finally:
        node.close()


def show(as_json: bool, value: object, text: str) -> None:  # noqa: FBT001 - a flag of the command line
    """Print the result in the form asked for."""
    click.echo(json.dumps(msgspec.to_builtins(value), ensure_ascii=False, sort_keys=True) if as_json else text)


def password_of(handle: str, path: Path | None) -> bytes:
    """A person's password, from a file or typed unseen."""
    if path is not None:
        return path.read_bytes().strip()
    return str(click.prompt(f"password of {handle}", hide_input=True, err=True)).encode()


class Verbs(click.Group):
    """A group whose commands turn an EntenteError into its words and its exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; explain and exit on an error of ours."""
        try:
            return super().invoke(ctx)
        except EntenteError as fault:
            click.echo(fault.explain(), err=True)
            ctx.exit(fault.exit_code)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """Carry out an agreement: share exactly what it allows, prove what was shared, count what is owed."""


# Setting up


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--party", required=True, help="This party's code in the agreement.")
@click.option(
    "--passphrase-file", type=FILE, required=True, help="Locks the node's keys; copied into the folder, mode 0600."
)
@click.option("--partner-tree", default="", help="Where the partner's served tree is read (a folder).")
def create(folder: Path, party: str, passphrase_file: Path, partner_tree: str) -> None:
    """Make an empty node in FOLDER: its own stores and machine keys, no agreement yet."""
    passphrase = passphrase_file.read_bytes().strip()
    setup.create(folder, setup.Settings(party, partner_tree), passphrase)
    (folder / "passphrase").touch(mode=0o600)
    (folder / "passphrase").write_bytes(passphrase)
    click.echo(f"node of {party} in {folder}; next: `entente init`")


@main.command()
@click.argument("agreement", type=FILE)
@click.argument("signatures", type=FILE)
@click.option(
    "--authority", "authority_file", type=FILE, required=True, help="The authority's locked key (`entente key new`)."
)
@click.option("--authority-passphrase-file", type=FILE, required=True)
@node_verb
def init(
    agreement: Path,
    signatures: Path,
    authority_file: Path,
    authority_passphrase_file: Path,
    folder: Path | None,
    *,
    as_json: bool,
) -> None:
    """Found this party's register under AGREEMENT, which both authorities have signed in SIGNATURES (DSSE)."""
    authority = setup.read_authority(authority_file, authority_passphrase_file.read_bytes().strip())
    with opened(folder) as node:
        signed = setup.found(node, agreement.read_bytes(), signatures.read_bytes(), authority)
        genesis = setup.genesis_hash(node)
    show(
        as_json,
        {"agreement": signed.hash, "genesis": genesis},
        f"agreement {signed.hash}\ngenesis   {genesis} (for the pairing file)",
    )


@main.command()
@click.argument("genesis")
@click.argument("tree")
@node_verb
def pair(genesis: str, tree: str, folder: Path | None, *, as_json: bool) -> None:
    """Remember the partner: the hash of its GENESIS as it passed by hand, and where its TREE is read."""
    place = folder or _default_node()
    settings = msgspec.structs.replace(setup.read_settings(place), partner_genesis=genesis, partner_tree=tree)
    setup.write_settings(place, settings)
    show(as_json, settings, f"paired; next: `entente pull --node {place}`")


@main.group()
def key() -> None:
    """Keys of authorities and persons."""


@key.command("new")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--passphrase-file", type=FILE, required=True)
def key_new(path: Path, passphrase_file: Path) -> None:
    """Make an authority's key in PATH, locked; prints the public half for the agreement."""
    click.echo(setup.new_authority(path, passphrase_file.read_bytes().strip()))


@key.command("list")
@node_verb
def key_list(folder: Path | None, *, as_json: bool) -> None:
    """List the persons' keys held here and how they are certified."""
    with opened(folder) as node:
        rows = [
            {
                "handle": handle,
                "revoked": fact.revoked_from is not None,
                "roles": fact.person.roles,
                "until": fact.person.until,
            }
            for handle, fact in sorted(node.side.persons.items())
        ]
    text = "\n".join(f"{r['handle']:20s} {', '.join(r['roles']):20s} until {r['until']}" for r in rows)  # type: ignore[arg-type]
    show(as_json, rows, text or "nobody is certified yet")


@main.command()
@click.argument("handle")
@click.option("--roles", required=True, help="Comma-separated roles.")
@click.option("--areas", required=True, help="Comma-separated areas.")
@click.option("--ceiling", required=True)
@click.option("--until", required=True, help="YYYY-MM-DDTHH:MMZ")
@click.option(
    "--national-id-file", type=FILE, required=True, help="One natural person, one id: it never leaves the node."
)
@click.option("--password-file", type=FILE, help="The person's password; asked for if left out.")
@click.option("--authority", "authority_file", type=FILE, required=True)
@click.option("--authority-passphrase-file", type=FILE, required=True)
@node_verb
def person(
    handle: str, roles: str, areas: str, ceiling: str, until: str, national_id_file: Path, password_file: Path | None,
    authority_file: Path, authority_passphrase_file: Path, folder: Path | None, *, as_json: bool,
) -> None:  # fmt: skip
    """Certify a person: a key of their own, locked under their password, and an entry by the authority."""
    authority = setup.read_authority(authority_file, authority_passphrase_file.read_bytes().strip())
    with opened(folder) as node:
        public = node.add_person_key(handle, password_of(handle, password_file))
        draft = setup.certify(
            node, authority, handle=handle, national_id=national_id_file.read_text().strip(), key=public,
            roles=roles.split(","), areas=areas.split(","), ceiling=ceiling, until=until,
        )  # fmt: skip
        (idx,) = node.append([draft])
    show(as_json, {"handle": handle, "idx": idx, "key": public}, f"{handle} certified, entry {idx}")


@main.command()
@click.option("--level", required=True)
@click.option("--areas", required=True, help="Comma-separated areas.")
@click.option("--until", required=True)
@click.option("--authority", "authority_file", type=FILE, required=True)
@click.option("--authority-passphrase-file", type=FILE, required=True)
@node_verb
def assure(
    level: str,
    areas: str,
    until: str,
    authority_file: Path,
    authority_passphrase_file: Path,
    folder: Path | None,
    *,
    as_json: bool,
) -> None:
    """State that this party can protect up to LEVEL in these areas: without it the partner may release nothing."""
    authority = setup.read_authority(authority_file, authority_passphrase_file.read_bytes().strip())
    with opened(folder) as node:
        (idx,) = node.append([setup.assure(node, authority, level=level, areas=areas.split(","), until=until)])
    show(as_json, {"idx": idx}, f"assured up to {level}, entry {idx}")


# The agreement


@main.group()
def agreement() -> None:
    """The agreement file: read it, find its holes, sign it."""


@agreement.command("check")
@click.argument("path", type=FILE)
@click.option("--json", "as_json", is_flag=True)
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
@click.option("--authority", "authority_file", type=FILE, required=True)
@click.option("--authority-passphrase-file", type=FILE, required=True)
@click.option(
    "--signatures",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The DSSE file; added to if there.",
)
def agreement_sign(path: Path, authority_file: Path, authority_passphrase_file: Path, signatures: Path) -> None:
    """Add an authority's signature over PATH's exact bytes to the DSSE file."""
    authority = setup.read_authority(authority_file, authority_passphrase_file.read_bytes().strip())
    old = signatures.read_bytes() if signatures.exists() else None
    signatures.write_bytes(setup.add_signature(path.read_bytes(), old, authority))
    click.echo(f"signed {parse_agreement(path.read_bytes(), place=path.name).hash}")


@main.command("map")
@click.argument("path", type=FILE)
@click.option("--as", "handles", multiple=True, required=True, help="Who signs (repeat for several).")
@click.option("--password-file", "passwords", type=FILE, multiple=True, help="Their passwords, in the same order.")
@node_verb
def map_(
    path: Path, handles: tuple[str, ...], passwords: tuple[Path, ...], folder: Path | None, *, as_json: bool
) -> None:
    """Sign a marking map (JSON: agreement, area, rows, default?) so that imports can be read by it."""
    with opened(folder) as node:
        found = setup.parse_map(path.read_bytes(), place=path.name)
        signers = _signers(node, handles, passwords)
        name = node.sign_map(found, signers)
    show(as_json, {"map": name}, f"map {name}")


def _signers(node: Node, handles: tuple[str, ...], passwords: tuple[Path, ...]) -> list[tuple[str, Any]]:
    files: list[Path | None] = [*passwords, *([None] * len(handles))]
    return [
        (handle, node.person_signer(handle, password_of(handle, path)))
        for handle, path in zip(handles, files, strict=False)
    ]


# A release, from import to answer


@main.command("import")
@click.argument("path", type=FILE)
@click.option("--area", default="intelligence", show_default=True)
@click.option("--map", "map_id", required=True, help="The marking map its foreign markings are read by.")
@node_verb
def import_(path: Path, area: str, map_id: str, folder: Path | None, *, as_json: bool) -> None:
    """Take in a file of an area's format; bad objects are quarantined alone."""
    with opened(folder) as node:
        done = node.import_file(area, path.read_bytes(), place=path.name, map_id=map_id)
    bad = [{"place": item.place, "reason": item.reason} for item in done.quarantined]
    lines = [f"import {done.source}: {done.records:,} valid, {len(bad):,} quarantined"]
    lines += [f"  quarantined {item['place']}: {item['reason']}" for item in bad]
    show(as_json, {"quarantined": bad, "records": done.records, "source": done.source}, "\n".join(lines))


@main.command()
@click.argument("source")
@click.option("--author", required=True, help="Handle of who proposes.")
@click.option("--article", default="", help="Default: the area's first.")
@click.option("--view", default="", help="Default: the area's first.")
@click.option("--retain-days", type=int, default=0)
@click.option("--copies", type=int, default=1, show_default=True)
@node_verb
def propose(
    source: str,
    author: str,
    article: str,
    view: str,
    retain_days: int,
    copies: int,
    folder: Path | None,
    *,
    as_json: bool,
) -> None:
    """Freeze what may cross from an import into a draft; nothing leaves."""
    with opened(folder) as node:
        made = node.propose(source, Wish(author, article, view, retain_days=retain_days, copies=copies))
        refused = [{"article": w.article, "id": w.id, "reason": w.reason, "rule": w.rule} for _, w in made.refused]
    lines = [f"draft {made.rid}", f"{made.state}: {made.kept:,} objects, {made.bytes:,} bytes; {len(refused):,} stay"]
    lines += [_finding(f) for f in (*made.decision.refusals, *made.gate.refusals)]
    if made.mentions:
        lines.append(f"{made.mentions:,} of them mention a withheld object in prose")
    show(as_json, {"kept": made.kept, "refused": refused, "rid": made.rid, "state": made.state}, "\n".join(lines))


@main.command()
@click.argument("rid")
@click.option("--as", "handle", required=True, help="Who approves.")
@click.option("--role", default="", help="In which of the area's roles.")
@click.option("--password-file", type=FILE)
@click.option("--revoke", is_flag=True, help="Take the approval back; possible until dispatch.")
@node_verb
def approve(
    rid: str, handle: str, role: str, password_file: Path | None, folder: Path | None, *, revoke: bool, as_json: bool
) -> None:
    """Sign a draft's exact bytes. The author cannot."""
    with opened(folder) as node:
        signer = node.person_signer(handle, password_of(handle, password_file))
        done = node.revoke_approval(rid, handle, signer) if revoke else node.approve(rid, handle, role, signer)
    show(as_json, done, f"{done.state}: signed by {', '.join(done.by) or 'nobody'} ({done.needed} needed)")


@main.command()
@click.argument("rids", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would cross is shown.")
@node_verb
def dispatch(rids: tuple[str, ...], folder: Path | None, *, yes: bool, as_json: bool) -> None:
    """Enter approved drafts into the register, sealed to the partner."""
    with opened(folder) as node:
        if not yes:
            found = [node.why(rid) for rid in rids]
            rows = [{"objects": sum(o.crosses for o in w.objects), "rid": w.rid, "state": w.state} for w in found]
            text = "\n".join(f"{r['rid']}: {r['state']}, {r['objects']:,} objects would cross" for r in rows)
            show(as_json, rows, f"{text}\nnothing was done; add --yes")
            return
        done = node.dispatch(rids)
    show(as_json, done, "\n".join(f"release {d.number}: entry {d.idx}, {d.rid}" for d in done))


@main.command()
@click.option("--from", "tree", type=FOLDER, help="The partner's served tree. Default: from the settings.")
@node_verb
def pull(tree: Path | None, folder: Path | None, *, as_json: bool) -> None:
    """Read the partner's tree: store, cosign, and open what is addressed to us."""
    with opened(folder) as node:
        done = node.pull(FolderTree(tree) if tree else None)
    text = f"{done.entries} new entries (now {done.size}); the partner has cosigned {done.acknowledged} of ours"
    text += "".join(f"\n  entry {h.idx}: {h.records:,} objects received" for h in done.opened)
    text += "".join(f"\n  entry {idx}: {outcome}: {reason}" for idx, outcome, reason in done.refused)
    text += "".join(f"\n  entry {idx}: waiting: {reason}" for idx, reason in done.waiting)
    show(as_json, done, text)


@main.command()
@node_verb
def answer(folder: Path | None, *, as_json: bool) -> None:
    """State the outcomes of what was received in our register."""
    with opened(folder) as node:
        count = node.answer()
    show(as_json, {"entries": count}, f"{count} answer entries" if count else "nothing to answer")


# Questions


def _finding(finding: Finding) -> str:
    mark = click.style("ok  ", fg="green") if finding.ok else click.style("FAIL", fg="red")
    return f"  {mark} {finding.rule:16s} Art. {finding.article:8s} {finding.observed}"


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
    lines += [_finding(item) for item in found.findings]
    if found.gate:
        lines += ["home rules (private):", *(_finding(item) for item in found.gate)]
    crossing = [item for item in found.objects if item.crosses]
    staying = [item for item in found.objects if not item.crosses]
    limit = None if everything else 12
    for title, group in ((f"{len(crossing):,} objects crossed", crossing), (f"{len(staying):,} stayed", staying)):
        lines.append(title)
        for item in group[:limit]:
            reason = f"  Art. {item.article} ({item.rule})" if item.rule else ""
            lines.append(f"  {item.type:24s} {item.title[:60]:60s}{reason}")
        if limit is not None and len(group) > limit:
            lines.append(f"  … and {len(group) - limit:,} more (--all)")
    show(as_json, found, "\n".join(lines))


@main.command("list")
@click.argument("what", type=click.Choice(["releases", "drafts", "imports", "inbox"]), default="releases")
@node_verb
def list_(what: str, folder: Path | None, *, as_json: bool) -> None:
    """List releases (both ways), drafts, imports, or the inbox."""
    with opened(folder) as node:
        rows = _rows(node, what)
    text = "\n".join("  ".join(str(value) for value in row.values()) for row in rows)
    show(as_json, rows, text or f"no {what}")


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
    """Say where this node stands: registers, what waits, what each statement of the agreement has behind it."""
    with opened(folder) as node:
        law = node.law.law
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
        value = {
            "acknowledged": node.acknowledged(), "agreement": node.law.hash, "exercise": law.exercise,
            "frozen": node.frozen,
            "party": node.party, "registers": registers, "statements": statements,
        }  # fmt: skip
        lines = [f"{node.party} under {law.id} version {law.version}{' · EXERCISE' if law.exercise else ''}"]
        lines += [
            f"  {p}: {r['entries']} entries, {r['releases']} releases, {r['invalid']} invalid"
            for p, r in registers.items()
        ]
        lines.append(f"  the partner has cosigned {node.acknowledged()} of our entries")
        if node.frozen:
            lines.append(click.style(f"  READ-ONLY: {node.frozen}", fg="red"))
        lines += [
            f"  Art. {s['article']:6s} {s['strength']:10s} "
            f"{'works' if s['works'] else 'not built yet':14s} {s['words']}"
            for s in statements
        ]
    show(as_json, value, "\n".join(lines))


@main.command()
@click.argument("folder", type=FOLDER, required=False)
@click.option("--node", "given", type=FOLDER, help="The same as FOLDER.")
@click.option("--json", "as_json", is_flag=True)
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
@click.option("--cut", default="", help="A:B, entries of each register. Default: the largest cut both have cosigned.")
@click.option("--at", default="", help="The time it is drawn for. Default: the latest within the cut.")
@node_verb
def reconcile(cut: str, at: str, folder: Path | None, *, as_json: bool) -> None:
    """What both registers add up to at a cut: the same bytes on both nodes."""
    with opened(folder) as node:
        found = node.reconcile(cut, at)
    if as_json:
        show(as_json, {"at": found.at, "cut": found.cut, "sha256": found.sha256}, "")
        return
    click.echo(f"# the partner gets the same with: entente reconcile --cut {found.cut} --at {found.at}", err=True)
    click.echo(found.text.decode(), nl=False)


@main.command()
@click.option("--json", "as_json", is_flag=True)
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


if __name__ == "__main__":
    main()
