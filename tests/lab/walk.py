"""A desk with something of every level and area at it, persons of every kind, and a walk over all that is served.

Each thing holds a canary: a word that tells its area and level, and stands nowhere else. `Walk` follows links as the
person who may read most, and so knows an address of every route; what a route without a link leads to is named here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

import httpx2
from starlette.routing import Match, Route
from stix_objects import bundle_of

from entente.node import shelves
from entente.node.node import Node
from entente.node.order import order_body
from entente.node.propose import Wish
from entente.treaty.cover import RequestSheet, Stated
from entente.treaty.marking import Marking, MarkingMap
from entente.web.desk import SCREENS
from entente.web.screen import Screen
from lab.acts import entered, prepared
from lab.pages import Parsed
from lab.pair import AREA, Pair, sighted
from lab.site import PASSWORD, Site, certified, marked, put_password

DOCUMENTS = "documents"
AREAS = (AREA, DOCUMENTS)
CROSSING = (0, 2, 3)  # the levels that have a counterpart
MOST = 24  # addresses of one route that are looked at
CANARY = re.compile(r"q(int|doc)([0-4])zz")
# (areas, level) of everybody who looks
WHO: dict[str, tuple[tuple[str, ...], int]] = {
    "rung0": ((AREA,), 0),
    "rung1": ((AREA,), 1),
    "rung2": ((AREA,), 2),
    "rung3": ((AREA,), 3),
    "rung4": ((AREA,), 4),
    "paper0": ((DOCUMENTS,), 0),
    "paper3": ((DOCUMENTS,), 3),
    "whole0": (AREAS, 0),
    "whole2": (AREAS, 2),
    "whole4": (AREAS, 4),
}
TOP = "whole4"


def canary(area: str, level: int) -> str:
    """The word that stands in everything of this area and level, and nowhere else."""
    return f"q{area[:3]}{level}zz"


def readable(who: str, area: str, level: int) -> bool:
    """Whether a person may read what is of this area and level."""
    areas, most = WHO[who]
    return area in areas and level <= most


@dataclass
class Thing:
    """Something that not everybody may know of: by which names it could be betrayed."""

    area: str
    level: int
    names: tuple[str, ...]


@dataclass
class Filled:
    """A site with something of everything."""

    site: Site
    things: list[Thing] = field(default_factory=list)

    @property
    def pair(self) -> Pair:
        """Both nodes."""
        return self.site.pair

    def hidden(self, who: str) -> set[str]:
        """Every word that this person's pages must not hold."""
        words = {canary(area, level) for area in AREAS for level in range(5) if not readable(who, area, level)}
        for thing in self.things:
            if not readable(who, thing.area, thing.level):
                words |= set(thing.names)
        return words


def fill(site: Site) -> Filled:
    """Drafts, releases of both sides, documents, requests, prepared acts, of every level that can be."""
    made = Filled(site)
    pair, node = site.pair, site.node
    for name, (areas, level) in WHO.items():
        certified(pair, node, name, level, areas=areas)
        put_password(pair, node, name)
    for level in range(5):
        bodies = [marked(100 * level + n, level, canary(AREA, level)) for n in range(1, 3)]
        node.import_file(AREA, bundle_of(*bodies), place=f"{canary(AREA, level)}.json", map_id=site.map_id)
        made.things.append(Thing(AREA, level, tuple(f"-{100 * level + n:012x}" for n in range(1, 3))))
    for level in CROSSING:
        _intelligence(made, level)
        _papers(made, level)
    promise = {
        "band": "", "basis": "", "from": node.party, "key": "radar/1", "measure": "units", "source": "talks",
        "strength": "will", "text": {"en": "First line."}, "to": node.partner,
    }  # fmt: skip
    entered(pair, node, "undertaking", promise)
    pair.exchange()
    shelves.project(node)
    return made


def _sent(made: Filled, node: Node, rid: str, area: str) -> str:
    pair = made.pair
    pair.approve(node, rid, "nair")
    if (node.law.law.areas[area].approvals or 0) > 1:
        pair.approve(node, rid, "iyer", "security")
    node.dispatch([rid])
    return rid


def _intelligence(made: Filled, level: int) -> None:
    pair, word = made.pair, canary(AREA, level)
    rids = []
    for at, node in enumerate((pair.a, pair.b)):
        levels = node.law.law.party[node.party].levels
        first = 1000 + 100 * level + 50 * at
        for n, crosses in ((0, True), (10, False), (20, True)):
            rid = pair.propose(node, sighted(word=word, first=first + n), level=levels[level]).rid
            if crosses:
                _sent(made, node, rid, AREA)
            if crosses or node is made.site.node:
                rids.append(rid)
    pair.exchange()
    theirs = made.site.node.other_side.releases[-1]
    made.site.node.destroy(theirs.rid, [pair.of(made.site.node, name) for name in ("nair", "iyer")])
    made.things.append(Thing(AREA, level, tuple(rids)))
    ours = rids[0] if made.site.node is pair.a else rids[-1]
    act = prepared(pair, made.site.node, "order", order_body(made.site.node, ours, "withdraw"), "nair")
    made.things.append(Thing(AREA, level, (act.id,)))


def paper_map(pair: Pair, node: Node, level: int) -> str:
    """A map for documents by which everything is of this level."""
    law = node.law.law
    purposes = law.areas[DOCUMENTS].purposes or ("",)
    word = law.party[node.party].levels[level]
    mark = Marking((), word, node.party, purposes[0], tuple(sorted(law.parties)))
    return node.sign_map(MarkingMap(node.law.hash, DOCUMENTS, (), mark), [pair.of(node, "iyer")])


def _papers(made: Filled, level: int) -> None:
    pair, word = made.pair, canary(DOCUMENTS, level)
    rids = []
    for node in (pair.a, pair.b):
        map_id, author = paper_map(pair, node, level), f"{node.party}/rao"
        stated = Stated(title={"en": f"Title {word}"}, language="en", kind="report")
        done = node.document(
            f"Text {word} of {node.party}".encode(), stated, label="", parents=(), place=f"{word}.txt", map_id=map_id
        )
        rids.append(_sent(made, node, node.propose(done.source, Wish(author)).rid, DOCUMENTS))
        sheet = RequestSheet({"en": f"Question {word} of {node.party}"}, DOCUMENTS, "priority", "2026-06-05T00:00Z")
        rids.append(_sent(made, node, node.ask(sheet, author=author, map_id=map_id).proposal.rid, DOCUMENTS))
    made.things.append(Thing(DOCUMENTS, level, tuple(rids)))


class Walk:
    """Everything of a site that can be asked for by GET, by route."""

    def __init__(self, filled: Filled, who: str = TOP) -> None:
        self.filled, self.site, self.who = filled, filled.site, who
        self.found: dict[str, list[str]] = {}
        self._told: dict[str, dict[str, httpx2.Response]] = {}
        todo = ["/", *(one.path for one in self.routes("GET") if "{" not in one.path)]
        seen = set(todo)
        while todo:
            path = todo.pop(0)
            name = self.route_of(path)
            if name is None or len(self.found.setdefault(name, [])) >= MOST:
                continue
            self.found[name].append(path)
            answer = self.get(who, path)
            if not answer.headers.get("content-type", "").startswith("text/html"):
                continue
            for link in Parsed(answer.text).links:
                if (
                    link.startswith("/")
                    and not link.startswith("/static/")
                    and link not in seen
                    and "sort=" not in link
                ):
                    seen.add(link)
                    todo.append(link)

    def routes(self, method: str) -> list[Route]:
        """The pages' routes that have this method."""
        return [
            one
            for one in self.site.app.routes
            if isinstance(one, Route) and method in (one.methods or ()) and not one.path.startswith("/taxii2")
        ]

    def route_of(self, path: str, method: str = "GET") -> str | None:
        """The route that answers this method for this address; None if there is none."""
        scope = {"type": "http", "method": method, "path": unquote(path.partition("?")[0]), "headers": []}
        for one in self.routes(method):
            if one.matches(scope)[0] is Match.FULL:
                return one.path
        return None

    def get(self, who: str, path: str, **headers: str) -> httpx2.Response:
        """What this person's tool is answered; "" is nobody."""
        sent = {"Authorization": f"Bearer {self.site.token(who)}"} if who else {}
        return self.site.client.get(path, headers={**sent, **headers})

    def screens(self) -> dict[str, list[str]]:
        """The acts of each page, by its route."""
        return {one.path: sorted(one.acts) for one in SCREENS if isinstance(one, Screen) and one.acts}

    def post(self, who: str, path: str, act: str, **fields: str) -> httpx2.Response:
        """What this person's tool is answered that hands in a form."""
        sent = {"Authorization": f"Bearer {self.site.token(who)}"} if who else {}
        return self.site.client.post(path, headers=sent, data={"act": act, "password": PASSWORD, **fields})

    def told(self, who: str) -> dict[str, httpx2.Response]:
        """What this person is answered at every address, asked once."""
        if who not in self._told:
            self._told[who] = {path: self.get(who, path) for _, path in self.addresses()}
        return self._told[who]

    def addresses(self, *, ids: bool = False) -> Iterator[tuple[str, str]]:
        """(route, address) of all; `ids`: only of routes that name something."""
        for name, paths in self.found.items():
            if "{" in name or not ids:
                yield from ((name, path) for path in paths)
