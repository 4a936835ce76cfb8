"""Every route of the router, for everybody, by every method; and asking never changes anything."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest
from starlette.routing import Route

from entente.node import shelves
from entente.strict import time_text
from entente.web.permits import OPEN, Permit
from entente.web.render import SIGN_IN
from entente.web.sessions import IDLE, LONGEST
from lab.browser import Browser
from lab.pair import AREA, revoke
from lab.site import PASSWORD, certified, put_password
from lab.walk import WHO, Walk

# Each route of the desk, for whoever is signed in; what they see is their need to know (test_idor, test_canaries).
READ = """
    / /acts.csv /acts.json /agreement /api /custody/{which} /desk /desk.csv /desk.json /document/{rid}/file
    /documents /documents.csv /documents.json /draft/{rid}.csv /draft/{rid}.json /draft/{rid}/object/{number}
    /entry/{party}/{idx} /exchange /exchange.csv /exchange.json /extract.csv /extract.json /import/{id}.csv
    /import/{id}.json /inbox /inbox.csv /inbox.json /intelligence /intelligence.csv /intelligence.json
    /me/passkey /object/{place}/{number} /object/{place}/{number}/bytes /openapi.json /person/{user} /persons
    /persons.csv /persons.json /propose /propose.csv /propose.json /quarantine /quarantine.csv /quarantine.json
    /reconcile.latest.txt /reconcile.year.txt /register /register.csv /register.json /release/{rid}.csv
    /release/{rid}.json /release/{rid}/decision.json /release/{rid}/decision.pdf /release/{rid}/destruction.json
    /release/{rid}/destruction.pdf /requests /requests.csv /requests.json /search.csv /search.json
    /undertakings.csv /undertakings.json
"""
READ_AND_ACT = """
    /act/{id} /acts /admin /ask /document/{rid} /documents/new /draft/{rid} /extract /import /import/{id} /me
    /reconcile /release/{rid} /release/{rid}/order /request/{rid} /search /undertaking/{key:path} /undertakings
    /verify
"""
# An area's own pages, for its persons alone: `/AREA`.
OF_AREAS = {"/intelligence", "/intelligence.csv", "/intelligence.json"}
TABLE = dict.fromkeys(READ.split(), "GET") | dict.fromkeys(READ_AND_ACT.split(), "GET POST")
# Nobody is asked who they are.
OPENED = {"/signin": "GET POST", "/signin/passkey": "GET POST", "/signout": "POST", "/static/{name}": "GET"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")
OUT = ("nobody", "ended", "idle", "expired", "revoked", "stranger", "uncertified")


def real(walk: Walk) -> dict[str, dict[str, Permit]]:
    """What the router has."""
    found: dict[str, dict[str, Permit]] = {}
    for one in walk.site.app.routes:
        assert isinstance(one, Route)
        if not one.path.startswith("/taxii2"):
            for method in (one.methods or set()) - {"HEAD"}:
                found.setdefault(one.path, {})[method] = one.permit  # type: ignore[attr-defined]
    return found


def test_every_route_stands_in_the_table_and_no_other_does(walk: Walk) -> None:
    """A new route without a row fails here."""
    permits = real(walk)
    assert {path: " ".join(sorted(by)) for path, by in permits.items()} == {**TABLE, **OPENED}
    for path, by in permits.items():
        for permit in by.values():
            assert permit.open is (path in OPENED), path
            area = path.strip("/").partition(".")[0] if path in OF_AREAS else ""
            assert permit == (OPEN if path in OPENED else Permit(area)), path


@pytest.fixture(scope="module")
def outside(walked: Walk) -> dict[str, httpx2.Headers]:
    """What those send who are not signed in, or not any more."""
    site, now = walked.site, datetime.now(UTC)
    made: dict[str, dict[str, str]] = {"nobody": {}, "stranger": {"Authorization": "Bearer ent_x_y"}}
    changes = {
        "ended": ("ended", time_text(now)),
        "idle": ("seen", time_text(now - IDLE)),
        "expired": ("made", time_text(now - LONGEST)),
    }
    for name in ("ended", "idle", "expired", "revoked"):
        certified(site.pair, site.node, f"out.{name}", 3)
        put_password(site.pair, site.node, f"out.{name}")
        browser = Browser(site)
        assert browser.sign_in(f"out.{name}").status_code == 303
        found = site.door.sign_in.sessions.find(browser.cookie)
        assert found is not None
        if name in changes:
            column, value = changes[name]
            site.door.sign_in.access.raw.execute(
                f"UPDATE session SET {column} = ? WHERE digest = ?",  # noqa: S608 - of three of ours
                (value, found.digest),
            )
        made[name] = {"Cookie": f"{site.door.sign_in.cookie}={browser.cookie}", "X-Csrf": found.csrf}
    revoke(site.pair, site.node, "out.revoked")
    shelves.project(site.node)
    made["uncertified"] = {"Authorization": f"Bearer {site.token('out.revoked')}"}
    return {name: httpx2.Headers(headers) for name, headers in made.items()}


def asked(walk: Walk, path: str, method: str, headers: httpx2.Headers) -> httpx2.Response:
    """What is answered; a POST bears what a form of the page would."""
    body = (
        {"act": "none", "csrf": headers.get("x-csrf", ""), "once": "x", "password": PASSWORD}
        if method == "POST"
        else None
    )
    return walk.site.client.request(method, path, headers=headers, data=body)


@pytest.mark.parametrize("who", OUT)
def test_nobody_gets_further_than_the_way_in(walk: Walk, outside: dict[str, httpx2.Headers], who: str) -> None:
    for route, paths in walk.found.items():
        if route in OPENED:
            continue
        for method in METHODS:
            answer = asked(walk, paths[0], method, outside[who])
            if method not in ("GET", "HEAD") and walk.route_of(paths[0], method) is None:
                assert answer.status_code == 404, (route, method)
            elif method != "POST" and "authorization" not in outside[who] and not route.endswith((".csv", ".json")):
                assert answer.status_code == 303, (route, method)
                assert answer.headers["location"].startswith(f"{SIGN_IN}?next=%2F"), route
            else:
                assert answer.status_code == 401, (route, method)
            assert "set-cookie" not in answer.headers


def test_a_reading_token_reads_and_does_nothing(walk: Walk) -> None:
    headers = httpx2.Headers({"Authorization": f"Bearer {walk.site.token('whole4', read_only=True)}"})
    for route, paths in walk.found.items():
        if route in OPENED:
            continue
        assert asked(walk, paths[0], "GET", headers).status_code == walk.told("whole4")[paths[0]].status_code, route
        if "POST" in TABLE[route]:
            for act in walk.screens()[route]:
                answer = walk.site.client.post(paths[0], headers=headers, data={"act": act, "password": PASSWORD})
                assert answer.status_code == 403, (route, act)
                assert "only read" in answer.text


def test_a_session_without_its_forms_text_does_nothing(walk: Walk) -> None:
    browser = Browser(walk.site)
    assert browser.sign_in("whole4").status_code == 303
    for route, acts in walk.screens().items():
        for act in acts:
            answer = browser.post(walk.found[route][0], {"act": act, "password": PASSWORD})
            assert answer.status_code == 403, (route, act)
            assert "not of your session" in answer.text


@pytest.mark.parametrize("who", ["rung0", "paper0", "whole4"])
def test_a_person_gets_pages_by_asking_and_nothing_by_other_methods(walk: Walk, who: str) -> None:
    headers = httpx2.Headers({"Authorization": f"Bearer {walk.site.token(who)}"})
    for route, paths in walk.found.items():
        if route in OPENED:
            continue
        for method in METHODS:
            answer = asked(walk, paths[0], method, headers)
            known = method == "HEAD" or walk.route_of(paths[0], method) is not None
            expected = {404} if not known else {400, 404} if method == "POST" else {200, 404}
            if known and route in OF_AREAS and AREA not in WHO[who][0]:
                expected = {403}
            assert answer.status_code in expected, (route, method, answer.status_code)
            if method == "HEAD":
                assert answer.content == b""


def test_every_error_is_a_page_with_a_way_on(walk: Walk) -> None:
    for who, path in [("", "/none"), ("whole4", "/none"), ("whole4", "/release/none"), ("", "/me/x")]:
        answer = walk.get(who, path)
        assert answer.status_code == 404
        assert 'href="/' in answer.text


# Asking changes nothing


def everything(walk: Walk) -> Iterator[tuple[str, str]]:
    """A digest of each table of each database of the node, and of each file that it serves."""
    node = walk.site.node
    for name, store in (
        ("node", node.db),
        ("keys", node.keys),
        ("heads", node.heads),
        ("view", node.view),
        ("access", walk.site.door.sign_in.access),
    ):
        for (table,) in store.raw.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        ).fetchall():
            if (name, table) == ("node", "journal"):
                rows = store.raw.execute(
                    "SELECT * FROM journal WHERE kind NOT IN ('read', 'export', 'turned-away', 'sign-in')"
                )
            elif (name, table) in (("access", "session"), ("access", "token")):
                column = {
                    "session": "digest, handle, agent, made, ended",
                    "token": "id, handle, label, digest, until, revoked",
                }[table]
                rows = store.raw.execute(f"SELECT {column} FROM {table}")  # noqa: S608
            else:
                rows = store.raw.execute(f"SELECT * FROM {table}")  # noqa: S608
            yield f"{name}.{table}", hashlib.sha256(repr(sorted(map(repr, rows.fetchall()))).encode()).hexdigest()
    for path in sorted((node.folder / "served").rglob("*")):
        if path.is_file():
            yield str(path), hashlib.sha256(path.read_bytes()).hexdigest()


def test_asking_changes_nothing(walk: Walk) -> None:
    """Tables before and after everybody has asked for everything; the home journal says that they did."""
    browser = Browser(walk.site)
    browser.sign_in("whole4")
    for who in ("whole4", "rung0"):
        walk.site.token(who)
    before = dict(everything(walk))
    assert any(name == "keys.secret" for name in before), sorted(before)
    for who in ("whole4", "rung0", ""):
        for _, path in walk.addresses():
            walk.get(who, path)
    for _, path in walk.addresses():
        browser.get(path)
        browser.client.head(path)
    walk.site.door.diary.flush()
    after = dict(everything(walk))
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()
