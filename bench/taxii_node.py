"""This node as `bench.taxii` runs it: founded once, with a marking map, and served from copies of its folder."""

import json
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from bench import rivals
from bench.rivals import Served
from bench.taxii_client import HOST, Place
from bench.wire import map_of, sides_of
from entente.app import AREAS, validate
from entente.node.node import Node
from entente.node.setup import read_settings, write_settings
from entente.node.shelves import OWN, shelf
from entente.stage import Stage
from entente.store.shelf_rows import NOBODY, time_of
from entente.store.view_db import Holding
from entente.treaty.record import Record

NAME = "entente"
AREA = "intelligence"
API_ROOT = f"/taxii2/{AREA}/"
BATCH = 10_000
SOME = 10  # one in so many is for a clearance that nobody has


class Founded(msgspec.Struct, frozen=True):
    """A node's folder, closed, and the person who asks it."""

    folder: Path
    user: str
    password: str

    def copy(self, folder: Path) -> "Founded":
        """The same node in another folder."""
        shutil.copytree(self.folder, folder)
        return msgspec.structs.replace(self, folder=folder)

    @contextmanager
    def served(self, folder: Path) -> Iterator[Served]:
        """The node's process serves its persons on loopback; `folder` takes its log."""
        port = rivals.free_port()
        command = [sys.executable, "-m", "entente", "serve", "--node", str(self.folder), "--web", f"{HOST}:{port}"]
        with rivals.running(command, folder, port) as process:
            place = Place(port, f"{API_ROOT}collections/own/", API_ROOT, self.user, self.password)
            yield Served(NAME, place, process)

    def hold(self, many: int) -> tuple[str, str]:
        """More than `many` objects are listed, some not for this person: stamps before the first and of that number.

        view.db holds them as imports would have left them; node.db knows of each import, and all share one file.
        """
        with closing(Node(self.folder, AREAS, validate)) as node:
            one = json.dumps({"type": "bundle", "id": f"bundle--{uuid.UUID(int=1)}", "objects": [indicator(0)]})
            model = node.db.source(node.import_file(AREA, one.encode(), place="bench", map_id="").source)
            if model is None:
                raise RuntimeError("nothing was imported")
            stamps = [node.view.number("stamp")]
            for start in range(1, many + 2 * BATCH, BATCH):
                records = ((record(n), 0, 0 if n % SOME else NOBODY) for n in range(start, start + BATCH))
                place = f"{start:016x}"
                node.view.put_holdings([Holding(place, records, (), shelf(AREA, OWN))])
                stamps.append(node.view.number("stamp"))
                with node.db.transaction():
                    node.db.put_source(msgspec.structs.replace(model, id=place, count=BATCH))
        return time_of(stamps[0]), time_of(stamps[many // BATCH])


@contextmanager
def fresh(pristine: Founded, folder: Path) -> Iterator[Served]:
    """A copy of the node serves; nothing is in it yet."""
    with pristine.copy(folder / "node").served(folder) as served:
        yield served


def founded(folder: Path) -> Founded:
    """A node that knows its partner, whose process never ran, and whose persons have signed a marking map."""
    folder.mkdir()
    sides = sides_of(folder)
    stage = Stage(folder, *sides)
    side = sides[0]
    map_of(side, side.node)
    place, user, password = side.node.folder, side.people[0].user, side.people[0].password
    for each in sides:
        each.node.close()
    stage.stop()
    write_settings(place, msgspec.structs.replace(read_settings(place), poll_seconds=60.0))
    return Founded(place, user, password)


def record(number: int) -> Record:
    """An indicator as the area reads it."""
    name = f"indicator--00000000-0000-4000-8000-{number:012d}"
    data = json.dumps(indicator(number)).encode()
    at = "2026-01-01T00:00:00.000Z"
    return Record(data, "application/stix+json;version=2.1", name, "indicator", at, order=at)


def indicator(number: int) -> dict[str, object]:
    """An indicator of its own for each number."""
    at = "2026-01-01T00:00:00.000Z"
    return {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
        "created": at, "modified": at, "name": f"address {number}", "pattern_type": "stix", "valid_from": at,
        "pattern": f"[ipv4-addr:value = '10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}']",
        "indicator_types": ["malicious-activity"],
    }  # fmt: skip
