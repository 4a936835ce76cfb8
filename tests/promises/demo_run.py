"""Runs the demo and both verifiers as a person would, each in a process of its own, and the command line within ours.

Nothing here knows how they work: what it reads is standard output, exit codes and the files left behind.
"""

import atexit
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from entente.cli import main as entente_command

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "src" / "entente" / "samples"
SAMPLE_BUNDLE = SAMPLES / "sample.stix.json"
DATA = ROOT.parent / "shared" / "data" / "intelligence"
ICS = "ics-attack-18.1.stix21.json"
ENTERPRISE = "enterprise-attack-18.1.stix21.json"
LONGEST_S = 300

Word = str | Path


@cache
def scratch() -> Path:
    """A folder of this test run's own, gone when it ends."""
    made = Path(tempfile.mkdtemp(prefix="entente-acceptance-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def fresh(name: str = "demo") -> Path:
    """A new path in the scratch folder at which nothing stands yet."""
    return Path(tempfile.mkdtemp(dir=scratch())) / name


def surroundings(state: Path | None = None) -> dict[str, str]:
    """The environment of a child: our sources, and a state folder that is not the person's."""
    kept = {key: value for key, value in os.environ.items() if key not in {"FORCE_COLOR", "NO_COLOR", "PYTHONUTF8"}}
    return kept | {"PYTHONPATH": str(ROOT / "src"), "XDG_STATE_HOME": str(state or scratch() / "state")}


@dataclass(frozen=True)
class Run:
    """What a command did: its exit code and what it printed; for a demo also where it was to work."""

    code: int
    out: str
    err: str
    folder: Path = Path()

    @property
    def result(self) -> dict[str, Any]:
        """The one JSON object on the last line of standard output."""
        last = self.out.rstrip("\n").rpartition("\n")[2]
        found = json.loads(last, parse_constant=pytest.fail)
        assert isinstance(found, dict), last[:200]
        return found

    @property
    def all(self) -> str:
        """Everything it printed."""
        return self.out + self.err

    def check(self, code: int = 0) -> "Run":
        """The same, having ended with this code and with no traceback."""
        assert "Traceback" not in self.all, self.all[-3000:]
        assert self.code == code, f"exit {self.code}, not {code}:\n{self.all[-3000:]}"
        return self


@dataclass(frozen=True)
class Running:
    """A command under way."""

    process: subprocess.Popen[str]
    folder: Path = Path()

    def done(self, within_s: int = LONGEST_S) -> Run:
        """What it did, when it has ended; killed where it would not end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            out, err = self.process.communicate(timeout=within_s)
            return Run(self.process.returncode, out, err, self.folder)
        self.process.kill()
        out, err = self.process.communicate()
        pytest.fail(f"still running after {within_s} s: {out[-500:]}{err[-500:]}")


def start(*words: Word, folder: Path = Path(), state: Path | None = None, cwd: Path | None = None) -> Running:
    """Python with these words, started."""
    command = [sys.executable, *map(str, words)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        encoding="utf-8",
        errors="replace",
        env=surroundings(state),
        cwd=cwd,
    )
    return Running(process, folder)


def begin(*words: Word, folder: Path | None = None, state: Path | None = None) -> Running:
    """`./run demo --once --json` with these words, started in a new folder."""
    place = folder or fresh()
    base = ("-m", "entente.demo", "--dir", place, "--once", "--json")
    return start(*base, *words, folder=place, state=state or place.parent / "state")


def demos(*cases: Sequence[Word]) -> list[Run]:
    """Several demos side by side; all have ended."""
    return [running.done() for running in [begin(*words) for words in cases]]


def demo(*words: Word, folder: Path | None = None, state: Path | None = None) -> Run:
    """One demo, ended."""
    return begin(*words, folder=folder, state=state).done()


def entente(*words: Word, state: Path | None = None, cwd: Path | None = None) -> Run:
    """`./run entente` with these words, in a process of its own."""
    return start("-m", "entente", *words, state=state, cwd=cwd).done()


def verify_py(*words: Word) -> Run:
    """`python3 verify.py` with these words."""
    return start(ROOT / "verify.py", *words).done()


def cli(*words: Word, state: Path | None = None) -> Run:
    """The command line with these words, in this process (a tenth of the time)."""
    done = CliRunner(env=surroundings(state)).invoke(entente_command, list(map(str, words)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise AssertionError(f"a traceback would have been shown for {words}") from done.exception
    return Run(done.exit_code, done.stdout, done.stderr)


def said(*words: Word) -> Any:
    """The value that a verb prints with --json, having succeeded."""
    return json.loads(cli(*words, "--json").check().out)


@cache
def sample_run() -> Run:
    """The demo of the sample bundle under the sample agreement, once per test run. Its folder is not to be changed."""
    return demo().check()


def copy_of(folder: Path, to: Path) -> Path:
    """A copy of a demo's folder that knows only itself: demo.json names the copies of the nodes."""
    shutil.copytree(folder, to, symlinks=True)
    listing = to / "demo.json"
    index = json.loads(listing.read_text())
    for party, entry in index.items():
        entry["dir"] = str(to / party)
    listing.write_text(json.dumps(index))
    return to


def index_of(folder: Path) -> dict[str, Any]:
    """`demo.json`."""
    found = json.loads((folder / "demo.json").read_text())
    assert isinstance(found, dict)
    return found


def written(text: str, to: Path) -> Path:
    """A file with this text."""
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(text)
    return to


def shared(name: str) -> Path:
    """A file of the shared data; skips the test where it is not."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    return path


def bundle_of(*members: bytes) -> bytes:
    """A bundle with these exact bytes as its objects."""
    head = b'{"type": "bundle", "id": "bundle--33333333-2222-4333-8444-000000000000", "objects": ['
    return head + b",\n ".join(members) + b"]}"


def indicator(number: int, **changes: object) -> bytes:
    """A valid indicator's bytes, spelled with spaces and key order that no encoder of ours would choose."""
    whole = {
        "valid_from": "2026-01-02T00:00:00Z",
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--33333333-2222-4333-8444-{number:012x}",
        "created": "2026-01-02T03:04:05.000Z",
        "modified": "2026-01-02T03:04:05.000Z",
        "pattern": "[domain-name:value = 'example.org']",
        "pattern_type": "stix",
    } | changes
    return json.dumps(whole, separators=(" , ", ":  "), ensure_ascii=False).encode()


def passwords(folder: Path) -> Mapping[str, Path]:
    """Each handle of a demo to a file that holds the person's password."""
    found = {}
    for party, entry in index_of(folder).items():
        for user in entry["users"]:
            path = folder.parent / f"{folder.name}-{party}-{user['user']}.password"
            found[f"{party}/{user['user']}"] = written(user["password"] + "\n", path)
    return found


def people(folder: Path, party: str, role: str) -> list[str]:
    """The handles of a party's persons with this role, the author of the demo's release first."""
    return [f"{party}/{user['user']}" for user in index_of(folder)[party]["users"] if role in user["roles"]]


def send_another(folder: Path) -> str:
    """IND carries one more bundle to KOR in a copied demo, by the command line alone; returns its rid."""
    ind, kor = folder / "IND", folder / "KOR"
    held = passwords(folder)
    marking = {
        "caveats": [],
        "level": "UNCLASSIFIED",
        "originator": "IND",
        "purpose": "cyber defence",
        "releasable_to": ["IND", "KOR"],
    }
    agreement = said("status", "--node", ind)["agreement"]
    drawn = {"agreement": agreement, "area": "intelligence", "rows": [], "default": marking}
    paper = written(json.dumps(drawn), folder.parent / "map.json")
    author, approver = people(folder, "IND", "release")[:2]
    guard = people(folder, "IND", "security")[0]
    name = said("map", paper, "--as", guard, "--password-file", held[guard], "--node", ind)["map"]
    bundle = folder.parent / "another.json"
    bundle.write_bytes(bundle_of(indicator(1)))
    source = said("import", bundle, "--map", name, "--node", ind)["source"]
    rid = str(said("propose", source, "--author", author, "--node", ind)["rid"])
    for handle, role in ((approver, "release"), (guard, "security")):
        said("approve", rid, "--as", handle, "--role", role, "--password-file", held[handle], "--node", ind)
    said("dispatch", rid, "--yes", "--node", ind)
    for node in (kor, ind, kor):
        said("pull", "--node", node)
    said("answer", "--node", kor)
    said("pull", "--node", ind)
    return rid
