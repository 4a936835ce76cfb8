"""Every screen of a node with 50,000 entries and 200,000 readable records; each beside a constant page of its size.

The node (`bench.web_site`; kept in the temporary folder for a week, since it takes minutes to make) is served by a
process of its own with one worker. One client asks for each screen in turn over one kept connection, signed in by
HTTP Basic, and after each the floor for as many bytes: a Starlette page without any work. Time at the server is taken
around the whole application by `bench.web_server`; time at the client has the kernel and the parser in it too.

A new screen is a line in SCREENS. `{site.X}` in a path is a fact of the site: a release, an object, a party.

* at the server: p50 and p95 of the requests after the first two, and the very first answer by itself.
* stream: the whole list as CSV, once: the memory of the serving process before it, at its height and after.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench import rivals, web_site
from bench.crossing import status_of
from bench.measure import Result, Skipped, result
from bench.taxii_client import MEDIA, Answer, Connection, Place
from bench.web_server import TIMINGS
from bench.web_site import Site

REQUESTS, WARM = 60, 2
HTML, CSV = "text/html", "text/csv"
Timing = tuple[float, int]  # milliseconds at the server, bytes


class Screen(NamedTuple):
    """What is asked for; `low`: by a person who is cleared for the lowest level alone."""

    name: str
    path: str
    accept: str = HTML
    low: bool = False


OWN = "/taxii2/intelligence/collections/own/"
CAME = "/taxii2/intelligence/collections/from-{site.partner}/"
SCREENS = (
    Screen("Today", "/"),
    Screen("Desk", "/desk"),
    Screen("Propose", "/propose"),
    Screen("Import of 3,333 objects", "/import/{site.source}"),
    Screen("Draft under review", "/draft/{site.draft}"),
    Screen("Acts", "/acts"),
    Screen("Inbox", "/inbox"),
    Screen("Quarantine", "/quarantine"),
    Screen("Search, a word that 1 object holds", "/search?q={site.thing}"),
    Screen("Search, all of one area", "/search?area=intelligence"),
    Screen("Search, nothing found", "/search?q=nowhere-at-all"),
    Screen("Exchange", "/exchange"),
    Screen("Exchange, the last of 18,080", "/exchange?from=18000"),
    Screen("Release of ours", "/release/{site.sent}"),
    Screen("Release of the partner's", "/release/{site.came}"),
    Screen("Reconcile", "/reconcile"),
    Screen("Register", "/register"),
    Screen("Register, one kind", "/register?kind=release"),
    Screen("Register, lowest clearance", "/register", low=True),
    Screen("Entry", "/entry/{site.party}/20000"),
    Screen("Custody", "/custody/{site.sent}"),
    Screen("Extract", "/extract"),
    Screen("Verify", "/verify"),
    Screen("Undertakings", "/undertakings"),
    Screen("Requests", "/requests"),
    Screen("Documents", "/documents"),
    Screen("Administration", "/admin"),
    Screen("Persons", "/persons"),
    Screen("Agreement", "/agreement"),
    Screen("My account", "/me"),
    Screen("API", "/api"),
    Screen("TAXII discovery", "/taxii2/", MEDIA),
    Screen("TAXII collections", "/taxii2/intelligence/collections/", MEDIA),
    Screen("TAXII objects, 100", OWN + "objects/?limit=100", MEDIA),
    Screen("TAXII objects, 100 of the partner's", CAME + "objects/?limit=100", MEDIA),
    Screen("TAXII objects, 100, lowest clearance", CAME + "objects/?limit=100", MEDIA, low=True),
    Screen("TAXII one object", OWN + "objects/{site.thing}/", MEDIA),
    Screen("TAXII manifest, 100", OWN + "manifest/?limit=100", MEDIA),
)
STREAM: Screen | None = Screen("every object as CSV", "/search.csv?area=intelligence", CSV)


def run() -> Iterator[Result | Skipped]:
    """The screens, then the stream."""
    kept = web_site.kept()
    with tempfile.TemporaryDirectory(prefix="entente-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        site = kept.copy(folder / "node")
        server, floor = Server(folder, stack, site), Server(folder, stack)
        yield result("the site: entries in both registers", "entries", site.entries)
        yield result("the site: records that can be read", "records", site.records)
        yield result("memory of the serving process before the first request", "MB", status_of(server.pid)["VmRSS"])
        yield from _screens(server, floor, site)
        yield result("memory of the serving process after all screens", "MB", status_of(server.pid)["VmRSS"])
        if STREAM is None:
            yield Skipped("the whole list as CSV", "no route gives it yet: bench.web.STREAM")
        else:
            yield from _stream(server, floor, site, STREAM)


class Server:
    """A server's process, and one connection for each way to ask it; closed by the stack."""

    def __init__(self, folder: Path, stack: ExitStack, site: Site | None = None) -> None:
        """The node's, or without a site the floor's."""
        self.port, self._stack, self._site = rivals.free_port(), stack, site
        words = [] if site is None else [str(site.folder)]
        command = [sys.executable, "-m", "bench.web_server", str(self.port), *words]
        self.pid = stack.enter_context(rivals.running(command, folder, self.port)).pid
        self._open: dict[tuple[str, bool], Connection] = {}

    def get(self, path: str, accept: str = HTML, *, low: bool = False) -> Answer:
        """The answer, which is a 200."""
        if (accept, low) not in self._open:
            site = self._site
            user = "" if site is None else site.low if low else site.user
            password = site.password if site is not None else ""
            place = Place(self.port, "", "", user, password, accept)
            self._open[accept, low] = self._stack.enter_context(Connection(place))
        return self._open[accept, low].get(path)

    def timings(self) -> list[Timing]:
        """Of every answer since they were last asked for."""
        return msgspec.json.decode(self.get(TIMINGS).body, type=list[Timing])


class Spent(NamedTuple):
    """Milliseconds of one screen's answers: at the server, at the client, and the floor's at both."""

    server: list[float]
    client: list[float]
    floor_server: list[float]
    floor_client: list[float]
    sizes: list[float]


def _screens(server: Server, floor: Server, site: Site) -> Iterator[Result]:
    found = {screen: Spent([], [], [], [], []) for screen in SCREENS}
    for _ in range(REQUESTS + WARM):
        for screen, spent in found.items():
            taken, size, seen = _ask(server, screen.path.format(site=site), screen)
            least, _, seen_there = _ask(floor, f"/constant?bytes={size}", screen)
            for times, one in zip(spent, (taken, seen, least, seen_there, size), strict=True):
                times.append(one)
    for screen, spent in found.items():
        yield result(f"{screen.name}: size", "bytes", statistics.median(spent.sizes))
        yield result(f"{screen.name}: the first answer, at the server", "ms", spent.server[0])
        for what, place in (("p50", 9), ("p95", 18)):
            for where, ours, theirs in (
                ("server", spent.server, spent.floor_server),
                ("client", spent.client, spent.floor_client),
            ):
                p_ours, p_theirs = (statistics.quantiles(times[WARM:], n=20)[place] for times in (ours, theirs))
                yield result(f"{screen.name}: {what} at the {where}", "ms", p_ours, floor=p_theirs)


def _ask(server: Server, path: str, screen: Screen) -> tuple[float, int, float]:
    """Milliseconds at the server, bytes, milliseconds at the client."""
    began = time.perf_counter()
    server.get(path, screen.accept, low=screen.low)
    seen = 1000 * (time.perf_counter() - began)
    ((spent, size),) = server.timings()
    return spent, size, seen


def _stream(server: Server, floor: Server, site: Site, screen: Screen) -> Iterator[Result]:
    """Once, and the floor for as many bytes; the client holds all of it, the server must not."""
    path, memory, seconds = screen.path.format(site=site), [], []
    for each in (server, floor):
        each.timings()
        before = _calm(each.pid)
        body = each.get(path, screen.accept).body
        memory.append((before, status_of(each.pid)["VmHWM"], status_of(each.pid)["VmRSS"]))
        ((spent, size),) = each.timings()
        seconds.append(spent / 1000)
        path = f"/constant?bytes={size}&stream=1"
        if each is server:
            yield result(f"{screen.name}: rows", "rows", body.count(b"\n"))
            yield result(f"{screen.name}: size", "MB", size / 1e6)
    yield result(f"{screen.name}: time at the server", "s", seconds[0], floor=seconds[1])
    for what, place in (("before it", 0), ("at its height", 1), ("after it", 2)):
        yield result(
            f"{screen.name}: memory of the serving process {what}", "MB", memory[0][place], floor=memory[1][place]
        )
    grown = [height - before for before, height, _ in memory]
    yield result(f"{screen.name}: memory that it took", "MB", grown[0], floor=grown[1])


def _calm(pid: int) -> float:
    """The memory that a process holds, from which its height is counted anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return status_of(pid)["VmRSS"]
