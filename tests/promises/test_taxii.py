"""The README's word on TAXII: a bundle enters one node, a sighting comes back, what is withheld shows nowhere.

The client is OASIS's own. What may cross is worked out here again, by brute force, from the bundle alone.
"""

import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from requests import HTTPError

from promises.demo_run import DATA, ICS, SAMPLE_BUNDLE, fresh, surroundings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from taxii2client.v21 import Collection, Server, as_pages

HOST = "127.0.0.1"
WITHHELD = "intrusion-set"  # by the sample agreement, Art. 4(3)
pytestmark = [pytest.mark.allow_hosts([HOST]), pytest.mark.slow]


class Demo:
    """A demo that is up, and everything that its servers have said to the client."""

    def __init__(self, bundle: Path) -> None:
        self.folder = fresh("taxii")
        words = [sys.executable, "-m", "entente.demo", "--taxii", "--dir", str(self.folder), "--bundle", str(bundle)]
        self.process = subprocess.Popen(
            words, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.told = ""
        for line in self.process.stdout or ():
            self.told += line
            if "until Ctrl-C" in line:
                break
        assert "until Ctrl-C" in self.told, self.told
        self.index = json.loads((self.folder / "demo.json").read_bytes())
        self.said: list[bytes] = []
        self.servers: list[Server] = []

    def collections(self, party: str) -> dict[str, Collection]:
        """The collections of a party's node by alias, each with every body and header noted."""
        one = self.index[party]
        server = Server(one["taxii"], user=one["user"], password=one["password"])
        self.servers.append(server)
        found = {}
        for collection in server.api_roots[0].collections:
            collection._conn.session.hooks["response"].append(self._note)
            found[collection.alias] = collection
        return found

    def _note(self, answer: Any, *_: object, **__: object) -> None:
        self.said += [answer.content, str(dict(answer.headers)).encode()]

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        for server in self.servers:
            server.close()


@pytest.fixture(scope="module", params=["sample", "ics"])
def demo(request: pytest.FixtureRequest) -> Iterator[tuple[Demo, Path]]:
    bundle = SAMPLE_BUNDLE if request.param == "sample" else DATA / ICS
    if not bundle.is_file():
        pytest.skip(f"{bundle} is not here")
    up = Demo(bundle)
    try:
        yield up, bundle
    finally:
        up.end()
        assert not any(Path(f"/proc/{pid}").exists() for pid in _workers(up.folder)), "no process was left behind"


def _workers(folder: Path) -> list[int]:
    return [json.loads(path.read_bytes())["pid"] for path in folder.glob("*/worker.json")]


def objects_of(bundle: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(bundle.read_bytes())["objects"]
    return found


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def withheld_of(bundle: Path) -> set[str]:
    """The ids of what may not cross: the withheld type, and then whatever names something that may not."""
    objects = objects_of(bundle)
    gone = {one["id"] for one in objects if one["type"] == WITHHELD}
    gone |= third_party(objects)
    while True:
        more = {one["id"] for one in objects if one["id"] not in gone and gone & set(strings(one))}
        if not more:
            return gone
        gone |= more


def third_party(objects: list[dict[str, Any]]) -> set[str]:
    """What the sample has from a third party, which has not consented."""
    return {one["id"] for one in objects if one.get("name") == "Relay seen by Team Meridian"}


def paged(collection: Collection, what: str, size: int) -> list[dict[str, Any]]:
    ask = getattr(collection, what)
    return [one for page in as_pages(ask, per_request=size) for one in page.get("objects", [])]


def test_the_partner_lists_exactly_what_crossed_and_no_withheld_id_shows_anywhere(demo: tuple[Demo, Path]) -> None:
    up, bundle = demo
    sender, receiver = up.index
    gone = withheld_of(bundle)
    crossing = {one["id"]: one for one in objects_of(bundle) if one["id"] not in gone}
    if bundle.name == ICS:
        assert (len(crossing), len(gone)) == (1766, 60)
    up.said.clear()  # of what other tests asked the sender
    held = up.collections(receiver)
    listed = paged(held[f"from-{sender}"], "get_objects", 500 if bundle.name == ICS else 4)
    assert {one["id"]: one for one in listed} == crossing
    assert len(listed) == len(crossing), "each once"
    assert {one["id"] for one in paged(held[f"from-{sender}"], "get_manifest", 700)} == set(crossing)
    for ask in (held[f"from-{sender}"].get_object, held[f"from-{sender}"].object_versions):
        for own in gone:
            with pytest.raises(HTTPError, match="404"):
                ask(own)
        for own in list(crossing)[:20]:
            assert ask(own)
    text = b"\n".join(up.said).decode()
    first = next((text.index(own) for own in gone if own in text), None)
    assert first is None, text[max(first - 300, 0) : first + 100]
    for name in ("own", f"to-{sender}"):
        ids = {one["id"] for one in paged(held[name], "get_objects", 100)}
        assert not ids & gone


def test_the_sighting_added_by_taxii_is_at_the_other_node(demo: tuple[Demo, Path]) -> None:
    up, _ = demo
    sender, receiver = up.index
    (sighting,) = paged(up.collections(sender)[f"from-{receiver}"], "get_objects", 10)
    assert sighting["type"] == "sighting"
    assert sighting["sighting_of_ref"] in {
        one["id"] for one in paged(up.collections(sender)[f"to-{receiver}"], "get_objects", 1000)
    }
    assert "1 sighting by TAXII" in up.told


def test_the_sender_holds_the_whole_bundle_and_shows_it_to_its_own_person_alone(demo: tuple[Demo, Path]) -> None:
    up, bundle = demo
    sender, receiver = up.index
    visible = {one["id"] for one in paged(up.collections(sender)["own"], "get_objects", 1000)}
    assert visible <= {one["id"] for one in objects_of(bundle)}
    assert visible >= {one["id"] for one in objects_of(bundle)} - withheld_of(bundle)
    stranger = up.index[receiver]
    server = Server(up.index[sender]["taxii"], user=stranger["user"], password=stranger["password"])
    with pytest.raises(HTTPError, match="401"):
        server.refresh()
    server.close()
