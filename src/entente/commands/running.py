"""Running a node: pairing it with the partner's, serving it, looking at the partner once."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from entente.app import AREAS, validate, web
from entente.commands.frame import FILE, default_node, main, node_verb, opened, show
from entente.node import pair as pairing
from entente.node import setup
from entente.node.node import Node
from entente.node.worker import Worker
from entente.node.worker import serve as serve_node

if TYPE_CHECKING:
    from entente.web.listener import WebListener


@main.group()
def pair() -> None:
    """Pair this node with the partner's, by a file that passes by hand."""


@pair.command("show")
@click.option("--url", default="", help="Where the partner will find this node, as https://HOST:PORT.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@node_verb
def pair_show(url: str, out: Path, folder: Path | None, *, as_json: bool) -> None:
    """Write this party's pairing file: URL, CA, leaf key, and the hash of its register's entry 0."""
    with opened(folder) as node:
        data = pairing.own_pairing(node, url)
    out.write_bytes(data)
    words = pairing.fingerprint(data)
    show(as_json, {"file": str(out), "fingerprint": words}, f"{out}\nread aloud: {words}")


@pair.command("accept")
@click.argument("path", type=FILE)
@click.option("--tree", default="", help="Read the partner's tree in this folder, not at its URL.")
@node_verb
def pair_accept(path: Path, tree: str, folder: Path | None, *, as_json: bool) -> None:
    """Remember the partner by its pairing file PATH. Read the fingerprint aloud to each other first."""
    data = path.read_bytes()
    with opened(folder) as node:
        settings = pairing.accept_pairing(node.folder, node.law.hash, data, tree=tree)
    where = settings.partner_url or settings.partner_tree
    show(as_json, settings, f"read aloud: {pairing.fingerprint(data)}\npaired; the partner is read at {where}")


@main.command()
@click.option("--listen", default="", help="HOST:PORT for the partner alone. Default: `listen` in node.json.")
@click.option(
    "--web", "web_at", default="", help="Loopback HOST:PORT for your own persons' tools. Default: node.json's."
)
@click.option("--poll-seconds", type=float, help="Seconds between two looks at the partner. Default: node.json's.")
@node_verb
def serve(listen: str, web_at: str, poll_seconds: float | None, folder: Path | None, *, as_json: bool) -> None:
    """Serve the partner over mutual TLS and work on what it publishes, until Ctrl-C. Other verbs work meanwhile."""
    place = folder or default_node()
    settings = setup.read_settings(place)
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    worker = Worker(
        lambda: Node(place, AREAS, validate, yields=True),
        place,
        every_s=poll_seconds if poll_seconds is not None else settings.poll_seconds,
        stop=stop,
    )
    at = web_at or settings.web
    serve_node(
        worker,
        listen or settings.listen,
        lambda text: click.echo(text, err=as_json),
        (lambda node: _door(worker, node, at)) if at else None,
    )
    show(as_json, worker.state, "stopped")


def _door(worker: Worker, node: Node, listen: str) -> "WebListener":
    from entente.web.door import Door  # noqa: PLC0415 - a quarter of a second that no other verb should pay
    from entente.web.listener import WebListener  # noqa: PLC0415

    door = Door(worker.folder, node, worker.using, origin=node.settings.web_origin)
    try:
        return WebListener(web(door), listen, door.close)
    except BaseException:
        door.close()
        raise


@main.command()
@node_verb
def rebuild(folder: Path | None, *, as_json: bool) -> None:
    """Make view.db anew: what screens and searches read, from registers, blobs and keys."""
    with opened(folder) as node:
        done, lost = node.rebuild()
    text = f"{done} imports and releases can be read" + "".join(f"\n  lost {place}: {why}" for place, why in lost)
    show(as_json, {"lost": [{"place": place, "reason": why} for place, why in lost], "rebuilt": done}, text)


@main.command()
@node_verb
def sync(folder: Path | None, *, as_json: bool) -> None:
    """Dispatch what is due and look at the partner's tree now: pull, verify, cosign, open, answer."""
    with opened(folder) as node:
        done = node.sync()
    got = done.pulled
    text = (
        f"{done.dispatched} releases dispatched, {got.entries} new entries of the partner, "
        f"{got.acknowledged} of ours cosigned, {len(got.opened)} opened, {len(got.refused)} refused, "
        f"{len(got.waiting)} waiting, {done.answered} answers written"
    )
    show(as_json, done, text)
