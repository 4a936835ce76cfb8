"""Verify: everything that this node serves is computed again from its files, while others go on working."""

import re
import threading
import time
from datetime import UTC, datetime

import msgspec

from entente.errors import StateError
from entente.node.node import Node
from entente.node.report import Line, Report
from entente.node.verify import verify_folders
from entente.strict import time_text
from entente.web import times
from entente.web.desk.books import release_named
from entente.web.door import Door
from entente.web.page import Block, Cell, Content, Done, Facts, Form, Page, Said, Table, said
from entente.web.screen import Given, page
from entente.web.visit import Visit

TRIES = 3  # a register that grew meanwhile is verified anew; the last time nobody may write
HEADS = ("own/checkpoint", "mirror/checkpoint")
_BLOB = re.compile(r"/blob/[0-9a-f]{16}…: ")
_ID = re.compile(r"[0-9a-f]{64}")


class Verified(msgspec.Struct, frozen=True):
    """What a verification found: when, how long it took, and how far each register was verified."""

    at: str
    seconds: float
    report: Report

    @property
    def good(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.report.faults


class Verifier:
    """The last verification of this door, in memory alone; one at a time."""

    def __init__(self) -> None:
        self.last: Verified | None = None
        self._one = threading.Lock()

    def run(self, door: Door, node: Node) -> Verified:
        """All that the node serves was verified; StateError if that is being done already."""
        if not self._one.acquire(blocking=False):
            raise StateError("a verification is running", remedy="Look at this page in a moment.")
        try:
            began = time.monotonic()
            report = _report(door, node)
            self.last = Verified(time_text(datetime.now(UTC)), time.monotonic() - began, report)
            return self.last
        finally:
            self._one.release()


def _report(door: Door, node: Node) -> Report:
    """The report on a state in which nothing was written while it was read."""
    folders = {node.party: node.folder}
    for _ in range(TRIES - 1):
        before = _heads(node)
        report = verify_folders(folders)
        if not report.faults or before == _heads(node):
            return report
    with door.using():
        return verify_folders(folders)


def _heads(node: Node) -> list[bytes]:
    paths = [node.folder / "served" / name for name in HEADS]
    return [path.read_bytes() if path.is_file() else b"" for path in paths]


def verifier(door: Door) -> Verifier:
    """The verifier of this door."""
    return door.lasting("verifier", Verifier)


def verified(visit: Visit) -> Said:
    """How far the registers were verified, and when, in a line."""
    last = verifier(visit.door).last
    if last is None:
        return said("Not verified since this desk was opened.", tone="wait")
    at = times.clock(last.at, visit.zones)
    size = last.report.registers.get(visit.node.party, {}).get("size", 0)
    if not last.good:
        return said("Verification failed at {at}: {n} faults.", tone="bad", at=at, n=len(last.report.faults))
    return said("Verified to entry {n} at {at}.", tone="good", n=size, at=at)


@page("/verify", said("Verify"))
def verify(visit: Visit) -> Page:
    """What the last verification found, line by line, and the button for another."""
    last = verifier(visit.door).last
    note = said("Every hash, tile, head, signature and decision is computed again from the files this node serves.")
    form = Form("verify", said("Verify now"), said("Verify now"), note=note)
    crumbs = [Cell(said("Register"), href="/register")]
    if last is None:
        return Page(said("Verify"), [form], lead=verified(visit), crumbs=crumbs)
    report = last.report
    rows: list[tuple[Said | str, Content]] = [
        (said("When"), visit.time(last.at)),
        (said("How long it took"), said("{n} ms", n=round(last.seconds * 1000))),
        (said("Entries"), report.entries),
        (said("Heads"), report.heads),
        (said("Signatures"), report.signatures),
        (said("Decisions computed again"), report.decisions),
        (said("Faults"), said("{n} faults", tone="bad", n=len(report.faults)) if report.faults else said("none")),
    ]
    rows += [
        (party, said("{n} entries give root {root}", n=int(head["size"]), root=str(head["root"])))
        for party, head in report.registers.items()
    ]
    blocks: list[Block] = [Facts(said("How far"), rows), _table(visit, report), form]
    return Page(said("Verify"), blocks, lead=verified(visit), crumbs=crumbs)


def _table(visit: Visit, report: Report) -> Table:
    """Each check; those of single blobs that hold are one line."""
    blobs = sum(1 for line in report.lines if line.status == "ok" and _BLOB.search(line.text))
    shown = [line for line in report.lines if line.status != "ok" or not _BLOB.search(line.text)]
    if blobs:
        shown.append(Line("ok", f"{blobs:,} blobs, every chunk matching its leaf hash"))
    words = {"ok": said("holds", tone="good"), "FAIL": said("FAILED", tone="bad")}
    order = {"FAIL": 0, "ok": 1}
    rows = [
        (words.get(line.status, said("not checked", tone="wait")), Cell(_told(visit, line.text)))
        for line in sorted(shown, key=lambda line: order.get(line.status, 2))
    ]
    return Table(said("Every check"), [said("Result"), said("What")], rows)


def _told(visit: Visit, text: str) -> str:
    """A line of a report, without the ids of what this visitor may not know of."""
    return _ID.sub(lambda found: found[0] if release_named(visit, found[0]) is not None else "…", text)


@verify.act("verify", apart=True)
def _verify(visit: Visit, _: Given) -> Done:
    done = verifier(visit.door).run(visit.door, visit.node)
    taken = round(done.seconds * 1000)
    if done.good:
        return Done("/verify", said("Verified in {n} ms.", n=taken))
    return Done("/verify", said("Verification failed, after {n} ms.", n=taken))
