"""What the crash tests run in processes that die: a sender that releases, a receiver that answers, and a fuse.

The sender writes each release whose `dispatch` returned to `PARTY.acknowledged`, flushed to disk; the receiver writes
each release it saw opened to `PARTY.opened`. Both run until the file `drain` stands in the demo's folder and nothing is
left to do. A node whose settings say where to listen serves its partner, in the same process, and reads it over the
wire; the others read each other's folders. The fuse ends the process before the Nth act that would leave a trace on
disk.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite

from entente import keys
from entente.app import AREAS, validate
from entente.cast import SAMPLES, Side, marking_map
from entente.errors import BehindError, CorruptionError, EntenteError, ForkError, PartnerError
from entente.node import wire
from entente.node.import_ import Validate
from entente.node.node import Node
from entente.node.pair import accept_pairing, own_pairing
from entente.node.propose import Wish
from entente.node.serve_partner import Listener
from entente.node.served import Reader
from entente.register.checkpoint import parse_text
from entente.register.note import parse
from entente.stage import write_index
from entente.steps import Demo
from entente.treaty.record import Data, Record
from lab.pair import in_process

AREA = "intelligence"
BLOWN = 9
QUICK = "quick"  # a file in the demo's folder: passphrases cost nothing, and a silent partner is given up in seconds
IN_FLIGHT = 40
EVERY_NTH_IN_A_CHILD = 5
_WRITES = ("INSERT", "UPDATE", "DELETE", "COMMIT", "PRAGMA wal_checkpoint")
_FILE_ACTS = frozenset({"os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir"})


# Two nodes


def by_folder(sides: dict[str, Side]) -> None:
    """The two nodes, open, know each other and have each other's first entries; each reads the other's folder."""
    for code, side in sides.items():
        (other,) = (found for name, found in sides.items() if name != code)
        data = own_pairing(other.node, "")
        side.node.settings = accept_pairing(side.node.folder, side.node.law.hash, data, tree=f"../{other.code}/served")
        side.node.partner_genesis = side.node.settings.partner_genesis
    for side in sides.values():
        side.node.pull()


def make_pair(folder: Path) -> tuple[str, str]:
    """Two nodes under the sample agreement stand in `folder`, closed; returns the sender's and the receiver's code."""
    sample = SAMPLES / "sample.stix.json"
    demo = Demo(folder, SAMPLES / "india-korea.toml", sample, default=True, taxii=False, say=lambda _: None)
    demo.found()
    by_folder(demo.sides)
    write_index(folder, demo.sides)
    sender, receiver = demo.sender, demo.receiver
    signed = [(f"{sender.code}/{person.user}", sender.signer(person)) for person in demo._mappers()]
    (folder / "map").write_text(sender.node.sign_map(marking_map(sender, default=True), signed))
    for side in demo.sides.values():
        side.node.pull()
    for side in demo.sides.values():
        side.node.close()
    return sender.code, receiver.code


def fresh_object(number: int, *, salt: str = "") -> bytes:
    """A bundle with one indicator that no other call gave."""
    made = salt or os.urandom(6).hex()
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    indicator = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--11111111-2222-4333-8444-{made}",
        "created": at,
        "modified": at,
        "name": f"SAMPLE {number}",
        "pattern": f"[domain-name:value = '{made}.example']",
        "pattern_type": "stix",
        "valid_from": at,
    }
    bundle = {"type": "bundle", "id": f"bundle--11111111-2222-4333-8444-{made}", "objects": [indicator]}
    return json.dumps(bundle).encode()


def validate_here(form: str, releases: list[list[Data]]) -> list[list[Record] | str]:
    """What `entente.app.validate` says, without the child process."""
    return in_process(form, releases)


def validate_mostly_here() -> Validate:
    """One in a few in a child process as in real life, the others here, so that more releases cross in a minute."""
    calls = 0

    def run(form: str, releases: list[list[Data]]) -> list[list[Record] | str]:
        nonlocal calls
        calls += 1
        return (validate if calls % EVERY_NTH_IN_A_CHILD == 0 else validate_here)(form, releases)

    return run


def open_node(folder: Path, party: str, validator: Validate = validate_here) -> Node:
    """The party's node, open in this process."""
    return Node(folder / party, AREAS, validator)


class Desk:
    """The persons of one node and what they do, each step able to take up where a killed process left off."""

    def __init__(self, folder: Path, party: str, node: Node) -> None:
        self.node, self.party = node, party
        self.map_id = (folder / "map").read_text()
        people = json.loads((folder / "demo.json").read_text())[party]["users"]
        self.author = f"{party}/{people[0]['user']}"
        self.roles = node.law.law.areas[AREA].roles or ()
        self.signers = [
            (
                f"{party}/{person['user']}",
                next(role for role in person["roles"] if role in self.roles),
                node.person_signer(f"{party}/{person['user']}", person["password"].encode()),
            )
            for person in people[1:]
        ]

    def bring_in(self, data: bytes) -> str:
        """The bundle is imported; returns its id."""
        return self.node.import_file(AREA, data, place="fresh", map_id=self.map_id).source

    def propose(self, source: str) -> str:
        """A draft of the import; returns its release id."""
        return self.node.propose(source, Wish(self.author)).rid

    def approve(self, rid: str) -> None:
        """Everybody who may approve has approved."""
        for handle, role, signer in self.signers:
            self.node.approve(rid, handle, role, signer)

    def unfinished(self) -> list[str]:
        """Drafts that are not dispatched."""
        return [draft.rid for draft in self.node.db.drafts() if draft.state != "dispatched"]

    def finish(self, rid: str) -> None:
        """The draft is approved where it is not, and dispatched."""
        if (draft := self.node.db.draft(rid)) is not None and draft.state == "checked":
            self.approve(rid)
        self.node.dispatch([rid])


# The fuse


class _Fused(sqlite.Connection):  # type: ignore[misc]  # pysqlite3 ships no types
    """A connection that burns the fuse before every statement after which the file could be another one."""

    fuse: Callable[[str], None]

    def execute(self, text: str, *values: object) -> object:
        if text.startswith(_WRITES) and (not self.in_transaction or text == "COMMIT"):
            self.fuse(text.partition(" SET ")[0].partition(" (")[0])
        return super().execute(text, *values)


class Fuse:
    """Ends this process, as if killed, before the Nth act from `set` on that would leave a trace below a folder.

    Acts are SQL statements that commit, renames, links, removals, new folders, flushes and files opened for writing.
    Only stores opened after the fuse was laid are watched for SQL. It cannot be taken out of a process again.
    """

    def __init__(self, under: Path) -> None:
        self.root = f"{under}{os.sep}"
        self.left = 0
        self.acts: list[str] = []
        _Fused.fuse = staticmethod(self._burn)
        sync, connect = os.fsync, sqlite.connect

        def fsync(handle: int) -> None:
            self._burn("fsync")
            sync(handle)

        os.fsync = fsync  # type: ignore[assignment]  # nobody here flushes anything but a handle
        sqlite.connect = lambda *args, **named: connect(*args, factory=_Fused, **named)
        sys.addaudithook(self._hook)

    def set(self, left: int) -> None:
        """The process ends before the `left`th act from now on; the acts before it are in `acts`."""
        self.left, self.acts = left, []

    def _burn(self, what: str) -> None:
        self.left -= 1
        self.acts.append(what)
        if self.left == 0:
            os._exit(BLOWN)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _FILE_ACTS:
            self._burn(f"{event} {str(args[0]).removeprefix(self.root)}")
        elif event == "open" and str(args[0]).startswith(self.root) and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            self._burn(f"open {str(args[0]).removeprefix(self.root)}")


# The processes that get killed


def note_down(path: Path, line: str) -> None:
    """One line more in a file of the test's own, on disk when this returns."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{line}\n".encode())
    os.fsync(handle)
    os.close(handle)


@contextmanager
def faults_noted(folder: Path, party: str) -> Iterator[None]:
    """What a partner that is just starting, or just publishing, may cause is noted; anything else ends the process."""
    try:
        yield
    except (PartnerError, CorruptionError) as fault:
        note_down(folder / f"{party}.faults", f"{type(fault).__name__} {fault.place}: {fault.detail}")
    except (ForkError, BehindError) as fault:
        note_down(folder / f"{party}.alarms", f"{type(fault).__name__} {fault.place}: {fault.detail}")
        raise


def level(node: Node, tree: Reader) -> bool:
    """Everything that the partner shows is held, and the partner has cosigned all that is ours."""
    shown = tree.get("own/checkpoint", 4096)
    size = parse_text(parse(shown).text).size if shown is not None else -1
    return node.other_side.size == size and node.acknowledged() == node.side.size


@contextmanager
def at_work(folder: Path, node: Node) -> Iterator[Reader]:
    """The node serves its partner where its settings say so; what is yielded is the partner's tree."""
    with ExitStack() as ends:
        ends.callback(node.close)
        if node.settings.listen:
            host, _, port = node.settings.listen.rpartition(":")
            context = node.tls_context(server=True)
            listener = Listener(node.folder / "served", context, node.is_partner_leaf, host=host, port=int(port))
            listener.start()
            ends.callback(listener.stop)
        tree = node.partner_tree()
        ends.callback(tree.close)
        (folder / f"{node.party}.ready").write_text(str(os.getpid()))
        yield tree


def both_done(folder: Path, party: str) -> bool:
    """This node has nothing left to do, and neither has the other: until then it is still to be read."""
    (folder / f"{party}.done").touch()
    return len(list(folder.glob("*.done"))) == 2


def send(folder: Path, party: str, drain: Path) -> None:
    """Release after release, each noted once `dispatch` has returned."""
    node = open_node(folder, party)
    desk = Desk(folder, party, node)
    number = 0
    with at_work(folder, node) as tree:
        while True:
            for rid in desk.unfinished():
                desk.finish(rid)
                note_down(folder / f"{party}.acknowledged", rid)
            at_rest = False
            with faults_noted(folder, party):
                node.pull(tree)
                at_rest = drain.exists() and level(node, tree)
            waiting = [fact for fact in node.side.releases if not fact.answers]
            if drain.exists():
                if at_rest and not waiting and both_done(folder, party):
                    return
                time.sleep(0.01)
            elif len(waiting) < IN_FLIGHT:
                number += 1
                data = fresh_object(number)
                rid = desk.propose(desk.bring_in(data))
                desk.approve(rid)
                (done,) = node.dispatch([rid])
                note_down(folder / f"{party}.acknowledged", done.rid)
            else:
                time.sleep(0.01)


def receive(folder: Path, party: str, drain: Path) -> None:
    """Pull and answer; what was opened is noted."""
    node = open_node(folder, party, validate_mostly_here())
    log_id = node.logs[node.partner]
    with at_work(folder, node) as tree:
        while True:
            at_rest = False
            with faults_noted(folder, party):
                got = node.pull(tree)
                for held in got.opened:
                    note_down(folder / f"{party}.opened", held.rid)
                for idx, outcome, reason in got.refused:
                    note_down(folder / f"{party}.alarms", f"refused {idx} {outcome} {reason}")
                at_rest = drain.exists() and level(node, tree)
            node.answer()
            if at_rest and not node.db.pending(log_id) and not node.db.intents(log_id) and both_done(folder, party):
                return
            time.sleep(0.01)


def run(party: str, folder: Path) -> None:
    """Send or receive, as the test's file `sender` says, in a process of its own; what it says goes to a file."""
    errors = os.open(folder / f"{party}.errors", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(errors, stream)
    if (folder / QUICK).exists():
        keys._ARGON2_KIB = 2**5
        wire.ANSWER_S = wire.CONNECT_S = 2.0
        wire.PAUSE_S = 0.01
    sender = (folder / "sender").read_text()
    try:
        (send if party == sender else receive)(folder, party, folder / "drain")
    except EntenteError as fault:
        sys.exit(f"{type(fault).__name__}: {fault.explain()}")
