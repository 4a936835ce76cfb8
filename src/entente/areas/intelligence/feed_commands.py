"""The commands about feeds: servers of the nation's own tools that are read from, and written to."""

from pathlib import Path

import click

from entente.areas.intelligence import feeds
from entente.node.feeds import add_feed, remove_feed
from entente.store.feed_rows import FeedRow
from entente.strict import parse_time
from entente.terminal import FILE, MOST, Opened, columns, many, node_verb, show

NO_MAP = "no marking map: what this feed brings is held, searched and exported here, but nothing of it can cross"
_MAP = "The marking map its foreign markings are read by. Without one nothing of it can cross."


def _progress(text: str) -> None:
    click.echo(text, err=True)


def _secret(user: str, password: Path | None, token: Path | None) -> tuple[str, bytes]:
    """How the feed proves who asks, and by what."""
    if password is not None and token is not None:
        raise click.UsageError("give --password-file or --token-file, not both")
    if bool(user) != (password is not None):
        raise click.UsageError("--user and --password-file go together")
    if token is not None:
        return "bearer", token.read_bytes().strip()
    return ("basic", password.read_bytes().strip()) if password is not None else ("", b"")


def group(opened: Opened) -> click.Group:
    """The group `feed`."""

    @click.group()
    def feed() -> None:
        """Servers of our own nation's tools (a SIEM, OpenCTI): poll them into quarantine, push to them what is ours."""

    for make in (_add, _list, _poll, _push, _remove):
        feed.add_command(make(opened))
    return feed


def _add(opened: Opened) -> click.Command:
    @click.command("add")
    @click.argument("name")
    @click.option("--url", required=True, help="Of the server, an API root or a collection: https://HOST/PATH/.")
    @click.option("--collection", default="", help="Which one, by id, alias or title, if the URL leaves it open.")
    @click.option("--user", default="", help="Who asks (HTTP Basic).")
    @click.option("--password-file", type=FILE, help="The user's password. It rests locked in keys.db.")
    @click.option("--token-file", type=FILE, help="A bearer token, instead of user and password.")
    @click.option("--ca-file", type=FILE, help="PEM of the CA that signed the server's certificate, if it is private.")
    @click.option("--map", "map_id", default="", help=_MAP)
    @click.option("--push", is_flag=True, help="What is ours may be pushed there.")
    @node_verb
    def add(
        name: str, url: str, collection: str, user: str, password_file: Path | None, token_file: Path | None,
        ca_file: Path | None, map_id: str, folder: Path | None, *, push: bool, as_json: bool,
    ) -> None:  # fmt: skip
        """Know a collection under NAME. The server is asked; nothing is kept if it does not let us in.

        Given again for the same collection, secret, CA and map take the place of the old ones.
        """
        if not name.isprintable() or not name.strip() or " " in name:
            raise click.UsageError("NAME is one printable word")
        auth, secret = _secret(user, password_file, token_file)
        ca = ca_file.read_bytes().decode("ascii", "replace") if ca_file is not None else ""
        row, found = feeds.locate(FeedRow(name, url, user, auth, ca, map_id, push, b""), secret, collection=collection)
        with opened(folder) as node:
            row = add_feed(node, row, secret)
        text = f"{row.name}: {row.url}" + ("" if row.map or row.push else f"\n{NO_MAP}")
        show(as_json, {**_shown(row), "collection": found.id}, text)

    return add


def _list(opened: Opened) -> click.Command:
    @click.command("list")
    @node_verb
    def list_(folder: Path | None, *, as_json: bool) -> None:
        """List every feed: where it is, how much it has brought, how much was set aside."""
        with opened(folder) as node:
            rows = node.db.feeds()
        lines = columns(
            (
                row.name,
                f"{row.objects:,} objects",
                f"{row.quarantined:,} quarantined",
                f"{row.skipped:,} passed by" if row.skipped else "",
                f"polled {row.polled}" if row.polled else "never polled",
                f"map {row.map[:16]}" if row.map else "no map",
                "push" if row.push else "",
                row.url,
            )
            for row in rows
        )
        show(as_json, [_shown(row) for row in rows], lines or "no feed")

    return list_


def _poll(opened: Opened) -> click.Command:
    @click.command("poll")
    @click.argument("name")
    @click.option("--all", "anew", is_flag=True, help="From its beginning. Nothing is taken in twice.")
    @node_verb
    def poll(name: str, folder: Path | None, *, anew: bool, as_json: bool) -> None:
        """Take in what was added since the last poll, page by page; a bad object is quarantined alone, and told.

        It may be stopped at any moment, and goes on where it was.
        """
        done = feeds.poll(lambda: opened(folder), name, anew=anew, tell=_progress)
        came = f"{many(done.pages, 'page')}: {many(done.new, 'new object')}, {done.known:,} known"
        lines = [f"{came}, {len(done.quarantined):,} quarantined"]
        lines += [f"  quarantined {item.place}: {item.reason}" for item in done.quarantined[:MOST]]
        lines += [f"  … and {len(done.quarantined) - MOST:,} more (--json)"] if done.quarantined[MOST:] else []
        lines += [f"  passed by: {words}" for words in done.passed]
        lines += [f"  import {source}" for source in done.imports]
        show(as_json, done, "\n".join(lines))

    return poll


def _push(opened: Opened) -> click.Command:
    @click.command("push")
    @click.argument("name")
    @click.option("--since", default="", help="Send again what was imported since then: YYYY-MM-DDTHH:MMZ")
    @click.option("--yes", is_flag=True, help="Do it. Without it, only what would leave is shown.")
    @node_verb
    def push(name: str, since: str, folder: Path | None, *, yes: bool, as_json: bool) -> None:
        """Send what is ours, and has not gone there, to a system of our own nation's. This is no way to the partner.

        To the partner things go by `propose` or `release` alone, under the agreement. Here no rule of it is applied:
        whoever runs that server has what is sent. The home journal keeps how much left, when, and its digest. What came
        by a feed does not go back by it.
        """
        if since:
            parse_time(since)
        if not yes:
            with opened(folder) as node:
                found = feeds.waiting(node, name, since)
                where = feeds.feed_url(node, name)
            text = f"{many(found.objects, 'object')} of {many(found.imports, 'import')} would leave to {where}"
            show(as_json, found, f"{text}\nsha256 {found.sha256}\nnothing was done; add --yes")
            return
        done = feeds.push(lambda: opened(folder), name, since=since, tell=_progress)
        went = f"{many(done.objects, 'object')} sent: {done.taken:,} taken, {len(done.failed):,} failed"
        lines = [f"{went}, {done.pending:,} not decided"]
        lines += [f"  failed {words}" for words in done.failed[:MOST]]
        lines += [f"  … and {len(done.failed) - MOST:,} more (--json)"] if done.failed[MOST:] else []
        show(as_json, done, "\n".join(lines))

    return push


def _remove(opened: Opened) -> click.Command:
    @click.command("remove")
    @click.argument("name")
    @node_verb
    def remove(name: str, folder: Path | None, *, as_json: bool) -> None:
        """Forget a feed and erase its secret. What it brought stays."""
        with opened(folder) as node:
            row = remove_feed(node, name)
        show(as_json, _shown(row), f"{row.name} is not known any more; what it brought stays")

    return remove


def _shown(row: FeedRow) -> dict[str, object]:
    """A feed as it may be shown."""
    return {
        "auth": row.auth, "map": row.map, "name": row.name, "objects": row.objects, "polled": row.polled,
        "push": row.push, "quarantined": row.quarantined, "skipped": row.skipped, "url": row.url, "user": row.user,
    }  # fmt: skip
