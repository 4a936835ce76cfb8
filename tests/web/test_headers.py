"""Every answer forbids what pages of ours never do, and no page does it: no inline code, no other site, no frame."""

import re
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest

from entente.web.render import HEADERS
from lab.pages import Parsed
from lab.walk import TOP, WHO, Walk

ODD = (
    "/none",
    "/static/none",
    "/release/%0d%0aX-Evil:%201",
    "/release/%00",
    "/release/" + "x" * 4000,
    "//evil.example/",
)


def guarded(answer: httpx2.Response) -> None:
    """The answer bears every header of ours."""
    for name, value in HEADERS.items():
        if name == "Cache-Control" and answer.request.url.path.startswith("/static/"):
            assert "max-age" in answer.headers[name] or answer.status_code != 200
        else:
            assert answer.headers.get(name) == value, (name, answer.request.url)


def test_what_the_policy_allows_is_this_nodes_own_alone() -> None:
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("frame-ancestors") == "'none'"
    assert policy.pop("base-uri") == "'none'"
    assert set(policy.values()) == {"'self'"}


@pytest.mark.parametrize("who", ["", "rung0", TOP])
def test_every_answer_bears_the_headers(walk: Walk, who: str) -> None:
    for _, path in walk.addresses():
        guarded(walk.get(who, path))


@pytest.mark.parametrize("who", ["", "rung0"])
def test_errors_and_methods_that_there_are_not_bear_them_too(walk: Walk, who: str) -> None:
    sent = {"Authorization": f"Bearer {walk.site.token(who)}"} if who else {}
    for path in (*ODD, "/", "/signin", "/static/desk.css", "/me", "/register.csv", "/taxii2/", "/taxii2/none"):
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
            answer = walk.site.client.request(method, path, headers=sent)
            guarded(answer)
            assert answer.status_code < 500, (method, path)
            assert "x-evil" not in answer.headers


def test_no_page_has_inline_code_or_leads_elsewhere(walk: Walk) -> None:
    for who in WHO:
        for path, answer in walk.told(who).items():
            if not answer.headers["content-type"].startswith("text/html"):
                continue
            page = Parsed(answer.text)
            assert not page.faults, (path, page.faults)
            for link in page.links:
                parts = urlsplit(link)
                assert not parts.scheme, (path, link)
                assert not parts.netloc, (path, link)
                assert link.startswith(("/", "#")), (path, link)
            for form in page.forms:
                assert form.method in ("get", "post", "dialog"), path


def test_no_file_that_pages_are_drawn_with_asks_another_site(walk: Walk) -> None:
    for name in ("desk.css", "desk.js", "icon.svg"):
        answer = walk.site.client.get(f"/static/{name}")
        assert answer.status_code == 200
        found = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", answer.text)) - {"http://www.w3.org"}
        assert not found, (name, found)


def test_what_is_served_says_what_it_is(walk: Walk) -> None:
    kinds = {".csv": "text/csv; charset=utf-8", ".css": "text/css; charset=utf-8", ".pdf": "application/pdf"}
    kinds |= {".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
    for path, answer in [
        *walk.told(TOP).items(),
        *((f"/static/{name}", walk.site.client.get(f"/static/{name}")) for name in ("desk.css", "desk.js", "icon.svg")),
    ]:
        if answer.status_code == 200:
            kind = next((kinds[end] for end in kinds if path.partition("?")[0].endswith(end)), None)
            assert kind is None or answer.headers["content-type"] == kind, path


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "evil.example#localhost",
        "127.0.0.1.evil.example",
        "localhost/evil",
        "localhost?x",
        "evil.example\\@localhost",
        "",
        "[::1",
        "::1",
        "localhost:port",
        "0x7f.1",
        "2130706433",
        "localhost:80@evil.example",
        "user@localhost",
        "10.0.0.1",
        "8.8.8.8",
        "[::ffff:10.0.0.1]",
        "localhost ",
        "l\u043ecalhost".encode().decode("latin-1"),
    ],
)
def test_a_host_of_another_name_is_not_answered(walk: Walk, host: str) -> None:
    headers = [(b"host", host.encode("latin-1")), (b"authorization", f"Bearer {walk.site.token(TOP)}".encode())]
    answer = walk.site.client.get("/me", headers=headers)
    assert answer.status_code == 421, (host, answer.text[:300])
    guarded(answer)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.9.9.9:1", "[::1]:8000"])
def test_this_machines_own_names_are(walk: Walk, host: str) -> None:
    headers = {"Host": host, "Authorization": f"Bearer {walk.site.token(TOP)}"}
    assert walk.site.client.get("/me", headers=headers).status_code == 200


QUERIES = (
    b"%ff",
    b"\xff\xfe",
    b"lang=%00",
    b"size=-1&from=-1",
    b"from=1e9",
    b"from=\xd9\xa1",
    b"%",
    b"&&&=&",
    b"sort=%0d",
)


@pytest.mark.parametrize("query", QUERIES)
def test_odd_queries_are_answered(walk: Walk, query: bytes) -> None:
    """Also those whose bytes no client of ours would send."""
    for path in ("/", "/register", "/register.json", "/none", "/release/none", "/taxii2/"):
        for who in (TOP, ""):
            status, headers = raw(walk, path, query, who)
            assert status in (200, 303, 400, 401, 404), (path, query, status)
            assert headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
            assert all("\r" not in value and "\n" not in value for value in headers.values())


def raw(walk: Walk, path: str, query: bytes, who: str) -> tuple[int, dict[str, str]]:
    """The application's answer to exactly these bytes."""
    told: dict[str, Any] = {}
    headers = [(b"host", b"localhost")]
    if who:
        headers.append((b"authorization", f"Bearer {walk.site.token(who)}".encode()))
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query,
        "root_path": "",
        "headers": headers, "scheme": "http", "http_version": "1.1", "server": ("127.0.0.1", 80), "client": None,
    }  # fmt: skip

    asked: list[None] = []

    async def receive() -> MutableMapping[str, Any]:
        if asked:
            await anyio.sleep_forever()  # nobody goes away
        asked.append(None)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told.update(message)

    portal = walk.site.client.portal
    assert portal is not None
    portal.call(lambda: walk.site.app(scope, receive, send))
    return told["status"], {name.decode(): value.decode("latin-1") for name, value in told["headers"]}
