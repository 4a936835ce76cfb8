"""What browser tests stand on: Debian's Chromium, pages that are watched, axe, and the demo's two nodes."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from promises.demo_run import ROOT, fresh, start

CHROMIUM = Path("/usr/bin/chromium")
SCREENSHOTS = ROOT / "docs" / "screenshots"
PATIENCE_S = 180.0
GRAVE = frozenset({"serious", "critical"})
WITHIN = ("data:", "blob:", "about:", "chrome-error:")  # addresses that ask nobody
PATIENCE_MS = 10_000
DESKTOP = {"width": 1280, "height": 800}


def chromium(playwright: Playwright) -> Browser:
    """Debian's Chromium, which resolves no name; the test fails where it is not installed."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is not there: apt-get install chromium fonts-noto-core fonts-nanum")
    return playwright.chromium.launch(
        executable_path=str(CHROMIUM),
        args=["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1, EXCLUDE localhost"],
    )


@dataclass
class Watch:
    """What a browser did that no page may make it do. `expect` what a test brings about on purpose."""

    origin: str
    faults: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def attach(self, context: BrowserContext) -> None:
        """From now on every page of this context is watched; nothing is asked of another origin."""
        context.route(self._outside, lambda route: route.abort())
        context.route_web_socket(lambda _: True, self._socket)
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda fault: self.faults.append(f"script: {fault.error}"))

    def expect(self, pattern: str) -> None:
        """A fault like this is no fault, but it must come: a page that is refused says so on the console."""
        self.expected.append(pattern)

    def check(self) -> None:
        """Fails unless the faults are those expected."""
        left = [fault for fault in self.faults if not any(re.search(each, fault) for each in self.expected)]
        absent = [each for each in self.expected if not any(re.search(each, fault) for fault in self.faults)]
        assert not left, "\n".join(left)
        assert not absent, f"did not come: {absent}"

    def _outside(self, url: str) -> bool:
        parts = urlsplit(url)
        return not url.startswith(WITHIN) and f"{parts.scheme}://{parts.netloc}" != self.origin

    def _request(self, request: Any) -> None:
        if self._outside(request.url):
            self.faults.append(f"outside: {request.method} {request.url}")

    def _socket(self, socket: Any) -> None:
        self.faults.append(f"outside: web socket {socket.url}")
        socket.close()

    def _console(self, message: Any) -> None:
        if message.type in {"error", "assert"}:
            self.faults.append(f"console: {message.text}")


@contextmanager
def watched(browser: Browser, origin: str, *, dark: bool = False, scripts: bool = True) -> Iterator[tuple[Page, Watch]]:
    """A page in a context of its own, watched; in the end it fails if anything happened that must not.

    Paths go to `origin`, in a time zone and a language that are neither party's.
    """
    context = browser.new_context(
        base_url=origin,
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
        service_workers="block",
        locale="en-GB",
        timezone_id="UTC",
        viewport=DESKTOP,
    )
    context.set_default_timeout(PATIENCE_MS)
    watch = Watch(origin)
    watch.attach(context)
    try:
        page = context.new_page()
        yield page, watch
        page.wait_for_load_state("networkidle")
        watch.check()
    finally:
        context.close()


@dataclass(frozen=True)
class Violation:
    """What axe found: the rule, what it asks, and where it is not so."""

    rule: str
    impact: str
    help: str
    targets: tuple[str, ...]


def grave_violations(page: Page) -> list[Violation]:
    """What axe finds serious or critical in the page as it is now; scripts must be on."""
    found = Axe().run(page).response["violations"]
    return [
        Violation(one["id"], one["impact"], one["help"], tuple(str(node["target"]) for node in one["nodes"]))
        for one in found
        if one["impact"] in GRAVE
    ]


def fonts_of(page: Page, selector: str) -> set[str]:
    """The families that the letters of an element are really drawn with, whatever the style asks for."""
    session = page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        session.send(f"{domain}.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    node = session.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
    return {one["familyName"] for one in session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]}


def picture(config: pytest.Config, page: Page, name: str) -> None:
    """The page stands in docs/screenshots/NAME.png, if the test run was asked for pictures."""
    if config.getoption("--screenshots"):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True, animations="disabled", caret="hide")


@dataclass(frozen=True)
class Person:
    """Who may sign in at a node."""

    user: str
    password: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Desk:
    """A party's node of the demo, as demo.json tells of it; the first of its persons is the author."""

    party: str
    web: str
    folder: Path
    people: tuple[Person, ...]

    def holding(self, role: str) -> list[Person]:
        """Those persons who hold this role."""
        return [person for person in self.people if role in person.roles]


def desks_of(folder: Path) -> dict[str, Desk]:
    """Party to its node, of a demo whose nodes are up."""
    return {
        party: Desk(
            party,
            (entry.get("web") or entry["taxii"].removesuffix("taxii2/")).rstrip("/"),  # one listener serves both
            Path(entry["dir"]),
            tuple(Person(one["user"], one["password"], tuple(one["roles"])) for one in entry["users"]),
        )
        for party, entry in json.loads((folder / "demo.json").read_text()).items()
    }


@contextmanager
def demo_up(*words: str) -> Iterator[Path]:
    """The folder of `./run demo` with these words, done and with both nodes up until the block ends."""
    place = fresh()
    running = start("-m", "entente.demo", "--dir", place, "--json", *words, state=place.parent / "state")
    try:
        _wait_done(running.process)
        yield place
    finally:
        running.process.terminate()
        try:
            running.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.communicate()


def _wait_done(process: "subprocess.Popen[str]") -> None:
    """The demo has printed its result."""
    assert process.stdout is not None
    said, deadline = [], time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        said.append(line)
        if line.startswith("{") or not line:
            break
    if not said[-1].startswith("{") or "error" in json.loads(said[-1]):
        pytest.fail(f"the demo did not come up:\n{''.join(said)[-2000:]}")
