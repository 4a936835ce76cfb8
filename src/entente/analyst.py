"""The demo's analyst: a person with a TAXII 2.1 client, who adds to and reads from the own node's collections.

A client of its own on purpose, as a foreign tool would have: it shares nothing with the one that reads feeds.
"""

from collections.abc import Sequence
from pathlib import Path

import click
import httpx2
import msgspec

from entente.errors import StateError
from entente.telling import Telling

MEDIA = "application/taxii+json;version=2.1"
PATIENCE_S = 300.0
SHOWN = 6
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Status(msgspec.Struct):
    """A TAXII status resource, as far as the demo tells of it."""

    success_count: int = 0
    failure_count: int = 0
    failures: list[dict[str, str]] = []


class _Named(msgspec.Struct):
    id: str


class _Page(msgspec.Struct):
    more: bool = False
    next: str = ""
    objects: list[_Named] = []


class Analyst:
    """One person's client. `url` is the node's TAXII discovery address."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.root = f"{url}intelligence/collections/"
        self._http = httpx2.Client(auth=(user, password), headers={"Accept": MEDIA}, timeout=PATIENCE_S)

    def add(self, collection: str, bundle: bytes) -> Status:
        """The bundle's objects, byte for byte, were added to a collection; returns what became of them."""
        objects = _members.decode(bundle).get("objects", msgspec.Raw(b"[]"))
        body = msgspec.json.encode({"objects": objects})
        answer = self._http.post(f"{self.root}{collection}/objects/", content=body, headers={"Content-Type": MEDIA})
        return msgspec.json.decode(self._body(answer), type=Status)

    def ids(self, collection: str) -> Sequence[str]:
        """The id of every object that a collection lists for this person, page after page."""
        found: list[str] = []
        page = _Page(more=True)
        while page.more:
            query = {"next": page.next} if page.next else {}
            page = msgspec.json.decode(
                self._body(self._http.get(f"{self.root}{collection}/objects/", params=query)), type=_Page
            )
            found += [each.id for each in page.objects]
        return found

    def close(self) -> None:
        """No connection is open."""
        self._http.close()

    @staticmethod
    def _body(answer: httpx2.Response) -> bytes:
        if answer.status_code >= httpx2.codes.BAD_REQUEST:
            raise StateError(f"{answer.status_code}: {answer.text[:200]}", place=str(answer.url))
        return answer.content


def tell_added(tell: Telling, code: str, bundle: Path, analyst: Analyst) -> dict[str, int]:
    """The bundle was added to the node's own collection, and a line says so; returns how many objects are in."""
    done = analyst.add("own", bundle.read_bytes())
    analyst.close()
    good, bad = done.success_count, done.failure_count
    tell.line(2, "import", code, f"{bundle.name} by TAXII: {good + bad:,} objects, {good:,} valid, {bad:,} quarantined")
    for one in done.failures[:SHOWN]:
        tell.say(f"   {click.style('QUARANTINED', fg='yellow')}        {one['id'][:60]}: {one['message'][:80]}")
    return {"imported": good, "quarantined": bad}


def tell_listed(tell: Telling, code: str, partner: str, analyst: Analyst) -> int:
    """How many objects the receiver's collection of what came lists; a line says so."""
    count = len(set(analyst.ids(f"from-{partner}")))
    analyst.close()
    tell.say(f"{'':13s}{code:8s} by TAXII, from-{partner} lists {count:,} objects")
    return count
