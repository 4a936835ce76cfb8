"""Acts of persons in the lab: who signs by default, what is searched for afterwards, and a release that is a return."""

import os
import shutil
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stix_objects import bundle_of

from entente.app import AREAS
from entente.crossing.seal import chunk_count, unseal
from entente.errors import EntenteError
from entente.node.act import Act, Entered
from entente.node.node import Node
from entente.node.order import Remark, order_body
from entente.node.propose import Wish
from entente.treaty.marking import MarkingMap
from lab.pair import AREA, Pair, in_process, sighted
from lab.worker import BLOWN, Fuse

SIGNERS = ("nair", "iyer")
MEDIA = "application/stix+json;version=2.1"
NONE = "0" * 64


def prepared(pair: Pair, node: Node, kind: str, body: Mapping[str, Any], *names: str, **home: object) -> Act:
    """An act that these persons of the node have signed."""
    act = node.prepare(kind, body, by=f"{node.party}/rao", home=home)
    for name in names:
        act = node.sign(act.id, *pair.of(node, name))
    return act


def entered(pair: Pair, node: Node, kind: str, body: Mapping[str, Any], *names: str) -> Entered:
    """The act stands in the node's register, signed by these or else by two who may sign anything."""
    return node.enter(prepared(pair, node, kind, body, *(names or SIGNERS)).id)


def ordered(pair: Pair, node: Node, rid: str, what: str, remark: Remark | None = None, **home: object) -> Entered:
    """An order about a release of the node's stands in its register."""
    return node.enter(prepared(pair, node, "order", order_body(node, rid, what, remark), *SIGNERS, **home).id)


def give_back(pair: Pair, node: Node, rid: str) -> str:
    """The node's release by which what it received goes back to its originator; returns its rid."""
    made = node.propose(rid, Wish(f"{node.party}/rao"))
    return _dispatched(pair, node, made.rid)


def derived(pair: Pair, node: Node, rid: str) -> str:
    """A release of the node's own that was made from what it received; returns its rid."""
    map_id = node.sign_map(MarkingMap(node.law.hash, AREA, (), pair.marking(node)), [pair.of(node, "iyer")])
    source = node.import_file(AREA, bundle_of(*sighted(first=70)), place="own.json", map_id=map_id).source
    return _dispatched(pair, node, node.propose(source, Wish(f"{node.party}/rao", parents=(rid,))).rid)


def _dispatched(pair: Pair, node: Node, rid: str) -> str:
    pair.approve(node, rid, "nair")
    if (node.law.law.areas[AREA].approvals or 0) > 1:
        pair.approve(node, rid, "iyer", "security")
    node.dispatch([rid])
    return rid


# What is left


def found_in(folder: Path, *words: bytes) -> list[str]:
    """Every file below the folder that holds one of these byte strings."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(word in path.read_bytes() for word in words)
    ]


def openable(node: Node, *folders: Path) -> list[str]:
    """Every file in these folders that a key which the node still has opens as a blob."""
    names = [row[0] for row in node.keys.raw.execute("SELECT name FROM record_key").fetchall()]
    deks = {str(name): (node.keys.key(str(name)) or b"")[:32] for name in names}
    found = []
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            data = path.read_bytes()
            for name, dek in deks.items():
                try:
                    list(unseal(_chunks(data), chunk_count(len(data)), dek))
                except (EntenteError, ValueError):
                    continue
                found.append(f"{path.name} by {name}")
    return found


def _chunks(data: bytes) -> list[bytes]:
    size = 2**20 + 16
    return [data[at : at + size] for at in range(0, len(data), size)]


# A process that ends


def crashed(folder: Path, act: Callable[[Callable[[int], None]], None]) -> bool:
    """Whether a child process that does this ends by the fuse; `act` is given what sets it."""
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, BLOWN)
        return code == BLOWN
    try:
        act(Fuse(folder).set)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing may return into pytest from here
        os.write(2, traceback.format_exc().encode())
        os._exit(1)


def sweep(pair: Pair, act: Callable[[Node], object], check: Callable[[Path], None], code: str) -> int:
    """A crash before each act on disk of what `act` does at this node, then `check`; how many acts there are."""
    for each in list(pair.nodes):
        pair.shut(each)
    for left in range(1, 200):
        folder = pair.folder.parent / f"crash-{left}"
        shutil.copytree(pair.folder, folder)

        def run(set_fuse: Callable[[int], None], folder: Path = folder, left: int = left) -> None:
            node = reopened(pair, folder, code)
            set_fuse(left)
            act(node)
            set_fuse(0)
            node.close()

        blown = crashed(folder / code, run)
        check(folder)
        shutil.rmtree(folder)
        if not blown:
            return left - 1
    raise AssertionError("it never ends")


def reopened(pair: Pair, folder: Path, code: str) -> Node:
    return Node(folder / code, AREAS, in_process, clock=pair.clock)
