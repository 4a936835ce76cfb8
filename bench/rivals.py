"""The servers that `bench.taxii` measures, each as a process of its own on loopback: the rivals, and the floor.

The rivals are what tools/rivals.txt pins, installed unchanged into `.venv-rivals` (`./run prepare rivals`), and set up
by their own configuration as is best for them: OpenTAXII on SQLite by gunicorn, which its manual names, its collection
open to all (its Basic authentication costs 158 ms a request); medallion in memory, its page size raised to 1,000.

As released, OpenTAXII 0.9.3 stores what is posted and answers 500: its answer cannot hold the UUID of its own job
(eclecticiq/OpenTAXII#243, mended after the release). Its setting `persistence_api.class` names a class: ours is its
own, with that id as text. It also takes no object without `modified`.
"""

import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench import taxii_floor
from bench.taxii_client import HOST, Connection, Place

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv-rivals" / "bin"
PATIENCE_S = 60.0
MOST_BYTES = 100 << 20
OPENTAXII_STORE = """\
from opentaxii.persistence.sqldb import Taxii2SQLDatabaseAPI


class Store(Taxii2SQLDatabaseAPI):
    def add_objects(self, *args, **kwargs):
        job = super().add_objects(*args, **kwargs)
        job.id = str(job.id)
        return job
"""
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"


class Missing(Exception):  # noqa: N818 - it is a reason to skip, no fault
    """A rival is not here, and why."""


class Served(msgspec.Struct):
    """A server that answers."""

    name: str
    place: Place
    process: subprocess.Popen[bytes]
    workers: bool = False  # whether the work is done by children of the process

    @property
    def pid(self) -> int:
        """The process that does the work."""
        if not self.workers:
            return self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])


@functools.cache
def prepare() -> None:
    """`.venv-rivals` is there, as pinned; Missing with the reason if it cannot be made."""
    done = subprocess.run(  # noqa: S603 - our own starter
        [sys.executable, str(ROOT / "run"), "prepare", "rivals"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Missing(" ".join((done.stderr or done.stdout).split())[-300:])


@contextmanager
def floor(folder: Path) -> Iterator[Served]:
    """The floor serves from an empty file."""
    port = free_port()
    command = [sys.executable, "-m", "bench.taxii_floor", str(port), str(folder / "floor.db")]
    with running(command, folder, port) as process:
        yield Served("floor", Place(port, taxii_floor.COLLECTION, taxii_floor.API_ROOT), process)


@contextmanager
def opentaxii(folder: Path, *, workers: int = 1) -> Iterator[Served]:
    """OpenTAXII serves an empty collection from SQLite."""
    prepare()
    port = free_port()
    config = folder / "opentaxii.yml"
    databases = {name: f"sqlite:///{folder / name}.db" for name in ("auth", "data")}
    config.write_text(json.dumps(_opentaxii(port, databases)))  # JSON is YAML
    (folder / "store_of_rival.py").write_text(OPENTAXII_STORE)
    env = {**os.environ, "OPENTAXII_CONFIG": str(config), "PYTHONPATH": str(folder)}
    _once("opentaxii-add-api-root", "-t", "bench", "--default", env=env)
    command = [str(BIN / "gunicorn"), "opentaxii.http:app", "--bind", f"{HOST}:{port}", "--workers", str(workers)]
    command += ["--config", "python:opentaxii.http", "--timeout", "600", "--no-control-socket"]
    with running([*command, "--worker-class", "gthread", "--threads", "1"], folder, port, env=env) as process:
        with Connection(Place(port, "", "")) as asking:
            (root,) = json.loads(asking.get("/taxii2/").body)["api_roots"]
        names = ("-r", root.split("/")[2], "-t", "bench", "-a", "bench", "--public", "--public-write")
        _once("opentaxii-add-collection", *names, env=env)
        yield Served("OpenTAXII 0.9.3", Place(port, f"{root}collections/bench/", root), process, workers=True)


def _opentaxii(port: int, databases: dict[str, str]) -> dict[str, object]:
    common = {"create_tables": True}
    auth = {"db_connection": databases["auth"], "secret": "benchmark", **common}
    data = {"db_connection": databases["data"], **common}
    return {
        "domain": f"{HOST}:{port}",
        "auth_api": {"class": "opentaxii.auth.sqldb.SQLDatabaseAPI", "parameters": auth},
        "taxii1": None,
        "taxii2": {
            "title": "bench",
            "max_content_length": MOST_BYTES,
            "public_discovery": True,
            "persistence_api": {"class": "store_of_rival.Store", "parameters": data},
        },
        "logging": {"opentaxii": "error", "root": "error"},
    }


@contextmanager
def medallion(folder: Path) -> Iterator[Served]:
    """Medallion serves an empty collection from memory."""
    prepare()
    port = free_port()
    (folder / "medallion-data.json").write_text(json.dumps(_medallion_data()))
    backend = {"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend"}
    config = {
        "backend": {**backend, "filename": str(folder / "medallion-data.json")},
        "users": {"bench": "bench"},
        "taxii": {"max_page_size": 1000},
    }
    (folder / "medallion.json").write_text(json.dumps(config))
    command = [str(BIN / "medallion"), "--host", HOST, "--port", str(port), str(folder / "medallion.json")]
    with running(command, folder, port) as process:
        place = Place(port, f"/bench/collections/{COLLECTION}/", "/bench/", "bench", "bench")
        yield Served("medallion 3.0.0", place, process)


def _medallion_data() -> dict[str, object]:
    root = {"title": "bench", "versions": ["application/taxii+json;version=2.1"], "max_content_length": MOST_BYTES}
    collection = {
        "id": COLLECTION, "title": "bench", "can_read": True, "can_write": True,
        "media_types": ["application/stix+json;version=2.1"], "manifest": [], "objects": [],
    }  # fmt: skip
    discovery = {"title": "bench", "default": "/bench/", "api_roots": ["/bench/"]}
    return {"/discovery": discovery, "bench": {"information": root, "status": [], "collections": [collection]}}


@contextmanager
def running(
    command: Sequence[str], folder: Path, port: int, *, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The command runs and takes connections; in the end it has ended."""
    log = folder / f"server-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out)  # noqa: S603 - pinned, or ours
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise RuntimeError(f"{command[0]} does not listen: {said}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server((HOST, 0)) as held:
        return int(held.getsockname()[1])


def _once(name: str, *words: str, env: dict[str, str]) -> None:
    done = subprocess.run([str(BIN / name), *words], env=env, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise Missing(f"{name}: {' '.join(done.stderr.split())[-300:]}")
