"""Every route of the router asks who it is, refuses what is not permitted, and answers as the standard has it."""

import logging
import socket
from collections.abc import Iterator

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from entente.app import web
from entente.areas.intelligence import taxii_server
from entente.errors import UsageError
from entente.web.door import Door
from entente.web.listener import WebListener
from entente.web.permits import Permit, permits, route
from entente.web.signin import Visitor
from lab.pair import AREA
from lab.site import ROOT, TAXII, Site, certified, details, envelope, id_of, marked

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")
WHO = ("nobody", "elsewhere", "idle", "reader", "rung0")
# Each route without its last slash: who may come in (by area), and what it does with each method that it has.
TABLE: dict[str, dict[str, str]] = {
    "/taxii2": {"GET": "anyone"},
    "/taxii2/intelligence": {"GET": AREA},
    "/taxii2/intelligence/status/{status}": {"GET": AREA},
    "/taxii2/intelligence/collections": {"GET": AREA},
    "/taxii2/intelligence/collections/{collection}": {"GET": AREA},
    "/taxii2/intelligence/collections/{collection}/manifest": {"GET": AREA},
    "/taxii2/intelligence/collections/{collection}/objects": {"GET": AREA, "POST": AREA},
    "/taxii2/intelligence/collections/{collection}/objects/{object}": {"GET": AREA, "DELETE": AREA},
    "/taxii2/intelligence/collections/{collection}/objects/{object}/versions": {"GET": AREA},
}


@pytest.fixture(scope="module")
def peopled(site: Site) -> Site:
    """Besides the ladder: somebody of another area alone, and somebody whose only area was taken away."""
    certified(site.pair, site.node, "idle", 4)
    certified(site.pair, site.node, "idle", 4, areas=["documents"])
    site.add("rung0", marked(1, 0))
    return site


def routes(site: Site) -> dict[str, dict[str, Permit]]:
    found: dict[str, dict[str, Permit]] = {}
    for one in site.app.routes:
        assert isinstance(one, Route)
        if not one.path.startswith("/taxii2"):
            continue
        for method in (one.methods or set()) - {"HEAD"}:
            found.setdefault(one.path, {})[method] = one.permit  # type: ignore[attr-defined]
    return found


def test_every_route_stands_in_the_table_and_no_other_does(site: Site) -> None:
    """A new route without a row fails here."""
    real = {path: {m: permit.area or "anyone" for m, permit in by.items()} for path, by in routes(site).items()}
    assert real == {path + slash: row for path, row in TABLE.items() for slash in ("", "/")}
    assert not [permit.roles for by in routes(site).values() for permit in by.values() if permit.roles]


def _asked(site: Site, path: str, method: str, who: str) -> httpx2.Response:
    added = site.add("rung0", marked(2, 0))["id"] if "{status}" in path else ""
    path = path.replace("{collection}", "own").replace("{object}", id_of(1)).replace("{status}", added)
    body = envelope(marked(3, 0)) if method in ("POST", "PUT", "PATCH") else None
    headers = {"Accept": TAXII, "Content-Type": TAXII}
    if who != "nobody":
        token = site.token("rung0", read_only=True) if who == "reader" else site.token(who)
        headers["Authorization"] = f"Bearer {token}"
    return site.client.request(method, path, headers=headers, content=body)


@pytest.mark.parametrize("path", TABLE)
@pytest.mark.parametrize("who", WHO)
def test_every_route_for_everybody_by_every_method(peopled: Site, path: str, who: str) -> None:
    row = TABLE[path]
    for slash, method in ((slash, method) for slash in ("", "/") for method in METHODS):
        answer = _asked(peopled, path + slash, method, who)
        known = "GET" if method == "HEAD" else method
        if known not in row:
            want = {405}
        elif who == "nobody":
            want = {401}
        elif (row[known] != "anyone" and who in ("elsewhere", "idle")) or (known != "GET" and who == "reader"):
            want = {403}
        else:
            want = {200, 202}
        assert answer.status_code in want, (method, path, who, answer.text)
        assert answer.headers["content-type"] == TAXII
        assert "set-cookie" not in answer.headers
        if method == "HEAD":
            assert answer.content == b""
        elif answer.status_code >= 400:
            details(answer)
        if answer.status_code == 405:
            assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == set(row)
        if known == "DELETE" and answer.status_code == 200:
            peopled.add("rung0", marked(1, 0))


def test_who_may_not_come_in_learns_nothing_of_what_is_there(peopled: Site) -> None:
    """Another area's person gets the same for what is there and what is not."""
    for there, not_there in [
        ("collections/own/", "collections/none/"),
        ("collections/own/objects/", "collections/none/objects/"),
        (f"collections/own/objects/{id_of(1)}/", f"collections/own/objects/{id_of(99)}/"),
        (f"collections/own/objects/{id_of(1)}/versions/", f"collections/own/objects/{id_of(99)}/versions/"),
        (f"status/{peopled.add('rung0', marked(2, 0))['id']}/", "status/none/"),
    ]:
        first, second = peopled.ask("elsewhere", there), peopled.ask("elsewhere", not_there)
        assert (first.status_code, second.status_code) == (403, 403)
        assert first.text.replace(there, "") == second.text.replace(not_there, "")


@pytest.mark.parametrize(
    "path",
    [
        "/taxii2/other/", "/taxii2//", "/taxii2/intelligence/collections//objects/", "/taxii2/intelligence/%2e%2e/",
        f"{ROOT}/collections/own/objects/a/b/",
    ],
)  # fmt: skip
def test_what_is_no_route_is_not_found_in_json(site: Site, path: str) -> None:
    answer = site.ask("rung0", path)
    assert answer.status_code == 404, answer.text
    details(answer)


# Mounting


async def _open(_request: Request, _visitor: Visitor) -> Response:
    return Response()


def test_an_endpoint_that_does_not_say_whom_it_permits_cannot_be_mounted(site: Site) -> None:
    with pytest.raises(TypeError, match="_open does not say whom it permits"):
        route("/x", _open, "GET", sign_in=site.door.sign_in)


@pytest.mark.parametrize(
    ("permit", "areas", "roles", "allowed"),
    [
        (Permit(), (), (), True),
        (Permit("a"), ("a",), (), True),
        (Permit("a"), ("b",), ("r",), False),
        (Permit("a", ("r",)), ("a",), ("r", "s"), True),
        (Permit("a", ("r", "s")), ("a",), ("s",), True),
        (Permit("a", ("r",)), ("a",), (), False),
        (Permit("a", ("r",)), ("b",), ("r",), False),
        (Permit("", ("r",)), (), ("r",), True),
    ],
)
def test_a_permit_takes_the_area_and_one_of_the_roles(
    permit: Permit, areas: tuple[str, ...], roles: tuple[str, ...], allowed: bool
) -> None:
    assert permit.allows(Visitor("AA/one", 0, roles, areas)) == allowed


CANARY = "canary-in-a-crash"


@permits()
async def _crash(_request: Request, _visitor: Visitor) -> Response:
    raise RuntimeError(CANARY)


@pytest.fixture
def crashing(site: Site) -> Iterator[TestClient]:
    app = web(site.door)
    app.router.routes.append(route("/taxii2/crash", _crash, "GET", sign_in=site.door.sign_in))
    with TestClient(app, base_url="http://127.0.0.1") as client:  # raises whatever a server would be left with
        yield client


def test_a_crash_is_told_to_nobody(site: Site, crashing: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = crashing.get("/taxii2/crash", headers={"Authorization": f"Bearer {site.token('rung0')}"})
    assert answer.status_code == 500
    assert details(answer)["title"] == "Something went wrong"
    assert "RuntimeError" in caplog.text
    assert CANARY not in caplog.text + answer.text


# The listener


@pytest.mark.parametrize(
    "listen",
    [
        "0.0.0.0:0",
        "[::]:0",
        "192.0.2.1:0",
        "example.org:0",
        ":0",
        "127.0.0.1",
        "10.0.0.1:80",
        "127.0.0.1.:0",
        "[::2]:0",
    ],
)
def test_a_listener_beyond_this_machine_is_refused(site: Site, listen: str) -> None:
    closed: list[bool] = []
    with pytest.raises(UsageError):
        WebListener(site.app, listen, lambda: closed.append(True))
    assert not closed


@pytest.mark.parametrize("found", ["192.0.2.1", "::"])
def test_a_name_that_leads_beyond_this_machine_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    def lookup(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(UsageError):
        WebListener(site.app, "localhost:0", lambda: None)


def test_the_door_knows_its_node_and_closes(site: Site) -> None:
    door = Door(site.node.folder, site.node, site.using)
    assert (door.party, door.partner) == (site.node.party, site.node.partner)
    server = taxii_server.TaxiiServer(door)
    assert [one.alias for one in server.collections] == ["own", f"from-{door.partner}", f"to-{door.partner}"]
    assert [one.id for one in server.collections] == [
        one["id"] for one in site.ask("rung0", "collections/").json()["collections"]
    ]
    door.close()
