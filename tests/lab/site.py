"""A node's door for its own persons, in the lab: persons of every clearance, a marking map, a TAXII client's requests.

The application is called without a socket; what it asks of the node it gets from the pair at once. `LADDER` are persons
with the area, one for each level of the party's scale; `elsewhere` has another area, and `gone` is nobody.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
from starlette.testclient import TestClient
from stix_objects import UUID, as_bytes, indicator

from entente.app import web
from entente.keys import SoftSigner
from entente.node import setup, shelves
from entente.node.node import PERSON, Node
from entente.node.tokens import make_token
from entente.treaty.marking import MapRow, Marking, MarkingMap
from entente.web.door import Door
from lab.pair import AREA, UNTIL, Pair

ROOT = "/taxii2/intelligence"
TAXII = "application/taxii+json;version=2.1"
LADDER = tuple(f"rung{level}" for level in range(5))
REFS = tuple(f"marking-definition--{UUID.format(0xA0 + level)}" for level in range(5))
STRANGE = f"marking-definition--{UUID.format(0xAF)}"  # no row of the map says what it means
PASSWORD = "correct horse: a battery, a staple"  # noqa: S105 - invented


def marked(number: int, level: int | None, word: str = "", **changes: Any) -> bytes:
    """An indicator with a marking of that level (None: one that is not mapped), whose name holds a word."""
    refs = [REFS[level] if level is not None else STRANGE]
    return as_bytes(indicator(number, object_marking_refs=refs, name=f"{word} {number}", **changes))


def id_of(number: int) -> str:
    """The id of that indicator."""
    return f"indicator--{UUID.format(number)}"


def envelope(*members: bytes) -> bytes:
    """A TAXII envelope with these exact bytes as its objects."""
    return b'{"objects":[' + b",".join(members) + b"]}"


def certified(pair: Pair, node: Node, name: str, level: int, *, areas: Sequence[str] = (AREA,)) -> None:
    """The authority certifies a person (anew) up to a level."""
    handle = f"{node.party}/{name}"
    signer = pair.template.people.get(handle) or SoftSigner.generate()
    pair.template.people[handle] = signer
    words = node.law.law.party[node.party].levels
    authority = pair.template.authorities[node.party]
    draft = setup.certify(
        node, authority, handle=handle, national_id=f"{node.party}-{name}", key=signer.public,
        roles=["release", "security"], areas=areas, ceiling=words[level], until=UNTIL,
    )  # fmt: skip
    node.append([draft])
    shelves.project(node)


def put_password(pair: Pair, node: Node, name: str, password: str = PASSWORD) -> None:
    """The person's key rests at the node under this password."""
    handle = f"{node.party}/{name}"
    signer = pair.template.people[handle]
    node.keys.raw.execute("DELETE FROM secret WHERE name = ?", (PERSON + handle,))
    node.keys.put_secret(PERSON + handle, signer.public, signer.seed, password.encode())


def ladder_map(node: Node) -> MarkingMap:
    """A map by which each of REFS means its level, and what bears none is of the lowest."""
    law = node.law.law

    def mark(level: str) -> Marking:
        purpose = (law.areas[AREA].purposes or ("",))[0]
        return Marking((), level, node.party, purpose, tuple(sorted(law.parties)))

    levels = law.party[node.party].levels
    rows = tuple(MapRow(ref, mark(level)) for ref, level in zip(REFS, levels, strict=False))
    return MarkingMap(node.law.hash, AREA, rows, mark(levels[0]))


class Site:
    """One node of a pair with its door open. Close it."""

    def __init__(self, pair: Pair, code: str) -> None:
        self.pair, self.code = pair, code
        levels = self.node.law.law.party[code].levels
        for level, name in enumerate(LADDER[: len(levels)]):
            certified(pair, self.node, name, level)
        self.map_id = self.node.sign_map(ladder_map(self.node), [pair.of(self.node, "iyer")])
        self.partner = self.node.partner
        self.door = Door(self.node.folder, self.node, self.using)
        self.app = web(self.door)
        self._tokens: dict[tuple[str, bool], str] = {}
        self.client = TestClient(
            self.app, base_url="http://127.0.0.1", raise_server_exceptions=False, follow_redirects=False
        )
        self.client.__enter__()

    def close(self) -> None:
        """Nothing is served."""
        self.client.__exit__(None, None, None)
        self.door.close()

    @property
    def node(self) -> Node:
        """The node, as the pair has it open now."""
        return self.pair.nodes[self.code]

    @contextmanager
    def using(self, *, news: bool = False) -> Iterator[Node]:  # noqa: ARG002 - nothing is due here
        """Lends the node."""
        yield self.node

    def token(self, name: str, *, read_only: bool = False) -> str:
        """A token of this person's."""
        if (name, read_only) not in self._tokens:
            access = self.door.sign_in.access
            made = make_token(access, f"{self.code}/{name}", label="lab", days=9, read_only=read_only)
            self._tokens[name, read_only] = made[1]
        return self._tokens[name, read_only]

    def ask(
        self, name: str, path: str, method: str = "GET", *, body: bytes | None = None, **headers: str
    ) -> httpx2.Response:
        """What the person's tool is answered; `path` below the API root unless it begins with a slash."""
        sent = {"Accept": TAXII, "Authorization": f"Bearer {self.token(name)}"}
        if body is not None:
            sent["Content-Type"] = TAXII
        sent |= {key.replace("_", "-"): value for key, value in headers.items()}
        where = path if path.startswith("/") else f"{ROOT}/{path}"
        return self.client.request(method, where, content=body, headers={k: v for k, v in sent.items() if v})

    def add(self, name: str, *members: bytes, to: str = "own") -> dict[str, Any]:
        """The status of what the person's tool added."""
        answer = self.ask(name, f"collections/{to}/objects/", "POST", body=envelope(*members))
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def listed(self, name: str, path: str = "collections/own/objects/", query: str = "") -> list[dict[str, Any]]:
        """All that the person sees, page after page."""
        found: list[dict[str, Any]] = []
        follow = ""
        while True:
            asked = "&".join(part for part in (query, follow) if part)
            answer = self.ask(name, f"{path}?{asked}" if asked else path)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page.get("objects", [])
            if not page.get("more"):
                return found
            follow = f"next={page['next']}"

    def seen(self, name: str, shelf: str = "own", query: str = "match[version]=all") -> set[tuple[str, str]]:
        """(id, version) of all that the person sees on a shelf."""
        found = self.listed(name, f"collections/{shelf}/objects/", query)
        return {(one["id"], one.get("modified", one.get("created", ""))) for one in found}


def numbers(found: set[tuple[str, str]]) -> set[int]:
    """The numbers of the indicators seen."""
    return {int(own[-12:], 16) for own, _ in found}


def details(answer: httpx2.Response) -> dict[str, Any]:
    """The error that an answer is; it must be one as the standard has it."""
    assert answer.headers["content-type"] == TAXII, answer.headers
    found: dict[str, Any] = json.loads(answer.content)
    assert set(found) <= {
        "title",
        "description",
        "http_status",
        "error_id",
        "error_code",
        "external_details",
        "details",
    }
    assert found["title"]
    assert found["http_status"] == str(answer.status_code)
    return found
