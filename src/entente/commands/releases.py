"""One release, from import to answer. What crosses the border is shown first and done with --yes."""

from pathlib import Path

import click

from entente.commands.frame import FILE, FOLDER, main, many, node_verb, opened, password_of, show
from entente.node.import_ import file_data
from entente.node.propose import Wish
from entente.node.served import FolderTree
from entente.terminal import told_import, told_proposal


@main.command("import")
@click.argument("path", type=FILE)
@click.option("--area", default="intelligence", show_default=True, help="The area whose format it is.")
@click.option("--format", "form", default="", help="Default: the area's first.")
@click.option("--map", "map_id", required=True, help="The marking map its foreign markings are read by.")
@node_verb
def import_(path: Path, area: str, form: str, map_id: str, folder: Path | None, *, as_json: bool) -> None:
    """Take in a file of an area's format; bad objects are quarantined alone."""
    with opened(folder) as node:
        done = node.import_file(area, file_data(path), place=path.name, map_id=map_id, form=form)
    show(as_json, *told_import(done))


@main.command()
@click.argument("source")
@click.option("--author", required=True, help="Handle of who proposes.")
@click.option("--article", default="", help="Default: the area's first.")
@click.option("--view", default="", help="Default: the area's first.")
@click.option("--retain-days", type=int, default=0, help="Default: the area's longest.")
@click.option("--copies", type=int, default=1, show_default=True, help="How many the partner may make.")
@click.option("--parent", "parents", multiple=True, help="A release of the partner's that all of it derives from.")
@click.option("--standing", default="", help="Under this standing approval, by its act id: no person signs.")
@node_verb
def propose(
    source: str,
    author: str,
    article: str,
    view: str,
    retain_days: int,
    copies: int,
    parents: tuple[str, ...],
    standing: str,
    folder: Path | None,
    *,
    as_json: bool,
) -> None:
    """Freeze into a draft what may cross of SOURCE: an import, or the id of a release to go back. Nothing leaves."""
    wish = Wish(author, article, view, retain_days=retain_days, copies=copies, parents=parents, standing=standing)
    with opened(folder) as node:
        made = node.propose(source, wish)
    show(as_json, *told_proposal(made))


@main.command()
@click.argument("rid")
@click.option("--as", "handle", required=True, help="Who approves.")
@click.option("--role", default="", help="In which of the area's roles.")
@click.option("--password-file", type=FILE, help="The person's password; asked for if left out.")
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
@click.argument("rid")
@click.option("--as", "handle", required=True, help="Who refuses.")
@click.option("--reason", required=True, help="Why: one line, kept at this node alone.")
@click.option("--password-file", type=FILE, help="The person's password; asked for if left out.")
@node_verb
def refuse(
    rid: str, handle: str, reason: str, password_file: Path | None, folder: Path | None, *, as_json: bool
) -> None:
    """End a draft for good: nobody can approve or dispatch it any more. Its author may, and who could approve it."""
    with opened(folder) as node:
        signer = node.person_signer(handle, password_of(handle, password_file))
        done = node.refuse(rid, handle, reason, signer)
    show(as_json, done, f"refused by {done.by}: {done.reason}")


@main.command()
@click.argument("rids", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would cross is shown.")
@node_verb
def dispatch(rids: tuple[str, ...], folder: Path | None, *, yes: bool, as_json: bool) -> None:
    """Enter approved drafts into the register, sealed to the partner: at the end of the dispatch slot, if any."""
    with opened(folder) as node:
        if not yes:
            found = [node.why(rid) for rid in rids]
            rows = [{"objects": sum(o.crosses for o in w.objects), "rid": w.rid, "state": w.state} for w in found]
            text = "\n".join(
                f"{r['rid']}: {r['state']}, {many(int(str(r['objects'])), 'object')} would cross" for r in rows
            )
            show(as_json, rows, f"{text}\nnothing was done; add --yes")
            return
        if node.settings.dispatch_slot_minutes:
            when = node.queue(rids)
            show(as_json, {"leaves": when, "rids": list(rids)}, f"queued; leaves at {when} (`entente serve` or `sync`)")
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
    text += "".join(f"\n  entry {h.idx}: {many(h.records, 'object')} received" for h in done.opened)
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
