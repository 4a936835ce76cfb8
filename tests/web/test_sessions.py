"""A session is its person's alone, from sign-in to its end: by itself, from elsewhere, by time, by the authority."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from entente.app import web
from entente.node import shelves
from entente.store.access_db import SessionRow
from entente.strict import time_text
from entente.web import render
from entente.web.door import Door
from entente.web.sessions import IDLE, LONGEST
from lab.browser import Browser
from lab.pages import Parsed
from lab.pair import Pair, revoke
from lab.site import PASSWORD, Site, certified, put_password


@pytest.fixture(autouse=True)
def patience(site: Site) -> Iterator[None]:
    """Nobody has tried anything before."""
    site.door.sign_in._left.clear()
    yield
    site.door.sign_in._left.clear()


def person(site: Site, name: str) -> Browser:
    """A browser in which a person of their own is signed in."""
    certified(site.pair, site.node, name, 2)
    put_password(site.pair, site.node, name)
    browser = Browser(site)
    assert browser.sign_in(name).status_code == 303
    return browser


def change(site: Site, browser: Browser, **columns: str) -> None:
    """The session's row says this now."""
    digest = site.door.sign_in.sessions.find(browser.cookie)
    assert digest is not None
    for name, value in columns.items():
        site.door.sign_in.access.raw.execute(f"UPDATE session SET {name} = ? WHERE digest = ?", (value, digest.digest))  # noqa: S608


# The cookie


def test_the_cookie_is_for_this_site_and_no_script_and_long(site: Site) -> None:
    certified(site.pair, site.node, "adya", 1)
    put_password(site.pair, site.node, "adya")
    answer = Browser(site).sign_in("adya")
    said = answer.headers["set-cookie"]
    parts = {part.strip().lower() for part in said.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert not any(part.startswith(("domain", "expires", "max-age")) for part in parts)
    assert len(said.partition("=")[2].partition(";")[0]) >= 43
    assert site.code.encode().hex() in said.partition("=")[0]


def test_behind_a_proxy_with_tls_every_cookie_is_secure(site: Site) -> None:
    door = Door(site.node.folder, site.node, site.using, origin="https://desk.example")
    client = TestClient(web(door), base_url="http://desk.example", follow_redirects=False)
    certified(site.pair, site.node, "bano", 1)
    put_password(site.pair, site.node, "bano")
    answer = client.post(
        "/signin", data={"user": "bano", "password": PASSWORD}, headers={"Origin": "https://desk.example"}
    )
    assert answer.status_code == 303
    assert "secure" in answer.headers["set-cookie"].lower()
    door.close()


def test_a_session_made_before_sign_in_is_not_the_one_after(site: Site) -> None:
    """Fixation: whoever planted the cookie has nothing, and the session that was in this browser is over."""
    browser = person(site, "chaya")
    planted = browser.cookie
    assert browser.sign_in("chaya").status_code == 303
    assert browser.cookie != planted
    other = Browser(site)
    other.cookie = planted
    assert not other.inside
    assert browser.inside
    other.cookie = "x" * 43
    assert "x" * 43 not in other.sign_in("chaya").headers["set-cookie"]


def test_only_the_digest_is_kept(site: Site) -> None:
    browser = person(site, "divya")
    rows = site.door.sign_in.access.raw.execute("SELECT * FROM session").fetchall()
    assert browser.cookie.encode() not in repr(rows).encode()


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"x",
        b"\x00",
        b"\xff\xfe",
        b'"',
        b"a" * 9000,
        b"%00",
        "é".encode(),
        b"a;b",
        b"0" * 43,
        b"../../x",
        b"' OR 1=1 --",
    ],
)
def test_odd_cookies_are_nobodys(site: Site, odd: bytes) -> None:
    name = site.door.sign_in.cookie.encode()
    for header in (name + b"=" + odd, name + b"=" + odd + b"; " + name + b"=" + odd, odd):
        answer = site.client.get("/me", headers=[(b"cookie", header)])
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/signin")


def test_the_other_nodes_session_is_none_here(site: Site, pair: Pair) -> None:
    other = Site(pair, pair.codes[1])
    there = person(other, "eka")
    here = Browser(site)
    here.client.cookies.update(there.client.cookies)
    assert not here.inside
    here.cookie = there.cookie
    assert not here.inside
    assert there.inside
    other.close()


# Its end


def test_signing_out_ends_it_for_everybody_who_has_the_cookie(site: Site) -> None:
    browser = person(site, "falak")
    copy = Browser(site)
    copy.cookie = browser.cookie
    assert copy.inside
    form = next(one for one in browser.page("/me").forms if one.action == "/signout")
    assert browser.post("/signout", {}).status_code == 403
    assert copy.inside
    answer = browser.post("/signout", form.fields)
    assert answer.status_code == 303
    assert not browser.cookie
    assert not copy.inside


def test_a_session_ended_from_another_is_over_at_once(site: Site) -> None:
    first = person(site, "gauri")
    second = Browser(site)
    second.sign_in("gauri")
    assert first.inside
    assert second.hand_in("/me", "end").status_code == 303
    assert [first.inside, second.inside] == [False, True]


def test_it_ends_when_idle_and_at_the_end_of_the_day_whatever_is_done(site: Site) -> None:
    now = datetime.now(UTC)
    minute = timedelta(minutes=1)
    for name, columns, inside in [
        ("hema", {"seen": time_text(now - IDLE + 2 * minute)}, True),
        ("hema", {"seen": time_text(now - IDLE)}, False),
        ("ilaa", {"made": time_text(now - LONGEST + 2 * minute)}, True),
        ("ilaa", {"made": time_text(now - LONGEST), "seen": time_text(now)}, False),
    ]:
        browser = person(site, name)
        change(site, browser, **columns)
        assert browser.inside is inside, columns


def test_what_is_over_stays_over(site: Site) -> None:
    """Being asked for does not revive it."""
    browser = person(site, "jiya")
    change(site, browser, seen=time_text(datetime.now(UTC) - IDLE))
    assert not browser.inside
    assert not browser.inside
    assert not site.door.sign_in.sessions.of(f"{site.code}/jiya")


def test_a_person_who_is_revoked_is_out_at_once(site: Site) -> None:
    browser = person(site, "kavi")
    form = browser.form("/me", "end").fields
    assert browser.inside
    revoke(site.pair, site.node, "kavi")
    shelves.project(site.node)
    assert browser.get("/").status_code == 303
    assert browser.post("/me", form).status_code == 401
    assert browser.get("/register.json").status_code == 401


def test_a_session_has_the_clearance_of_this_moment(site: Site) -> None:
    browser = person(site, "laila")
    assert "CONFIDENTIAL" in browser.page("/me").text
    certified(site.pair, site.node, "laila", 0)
    assert "CONFIDENTIAL" not in browser.page("/me").text


def test_a_token_and_a_wrong_one_count_more_than_the_cookie(site: Site) -> None:
    browser = person(site, "meena")
    assert browser.get("/me", Authorization="Bearer nothing").status_code == 401
    assert browser.inside


def test_sessions_do_not_pile_up(site: Site) -> None:
    access, old = site.door.sign_in.access, time_text(datetime.now(UTC) - 3 * LONGEST)
    access.put_session(SessionRow(b"x" * 32, "IND/x", "", old, old), forget_before="")
    person(site, "nila")
    assert access.session(b"x" * 32) is None


# The way in


SPACED = " a phrase "
FOLLOW = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/\t/evil.example",
    "/\n/evil.example",
    "\x00//evil.example",
    "//evil.example%2f@",
    "http:evil.example",
    "/\r\nSet-Cookie: x=1",
    " //evil.example",
    "evil.example",
    "//localhost@evil.example",
    "/\x85/evil",
    "/\u2028/evil",
    "//[",
    "/\\\\x",
]


@pytest.mark.parametrize("follow", FOLLOW)
def test_sign_in_leads_to_no_other_site(site: Site, follow: str) -> None:
    browser = person(site, "omana")
    answer = browser.sign_in("omana", follow=follow)
    assert answer.status_code in (303, 400), answer.text
    if answer.status_code == 303:
        assert answer.headers["location"] == "/"
        assert answer.headers.get_list("set-cookie")[0].startswith("entente_")


@given(st.text(alphabet=st.sampled_from("/\\:.@?#%5cevil\t\r\n []"), max_size=12))
@example("/%5c%5cevil.example")
@example("/%2f/evil.example")
@example("/.//evil.example")
def test_whatever_is_followed_stays_on_this_node(follow: str) -> None:
    found = render.local(follow)
    if found:
        assert found.startswith("/")
        assert found[1:2] not in ("/", "\\")
        assert "\\" not in found
        assert not urlsplit(found).netloc
        assert found.isprintable()


def test_who_was_led_to_sign_in_comes_back_where_they_wanted_to_be(site: Site) -> None:
    browser = person(site, "padma")
    answer = Browser(site).get("/register?kind=release&from=50")
    follow = Browser(site).client.get(answer.headers["location"])
    (form,) = [one for one in Parsed(follow.text).forms if one.action == "/signin"]
    assert form.fields["next"] == "/register?kind=release&from=50"
    assert browser.sign_in("padma", follow=form.fields["next"]).headers["location"] == form.fields["next"]


def test_guesses_over_many_handles_give_no_handle_its_tries_back(site: Site) -> None:
    sign_in = site.door.sign_in
    for _ in range(10):
        sign_in.count("IND/victim", -1)
    for number in range(1200):
        sign_in.count(f"IND/other{number}", -1)
    with pytest.raises(Exception, match="too many wrong passwords"):
        sign_in.count("IND/victim", -1)


def test_strangers_who_guess_do_not_keep_a_person_from_signing_papers(site: Site) -> None:
    browser = person(site, "rupa")
    for number in range(12):
        Browser(site).sign_in("rupa", f"guess {number}")
    assert Browser(site).sign_in("rupa", "guess").status_code == 429
    answer = browser.hand_in("/me", "token", label="x", days="3", password=PASSWORD)
    assert answer.status_code == 303


def test_guesses_in_a_form_are_counted_too(site: Site) -> None:
    browser = person(site, "sita")
    told = [browser.hand_in("/me", "token", label="x", days="3", password=f"no {n}").status_code for n in range(12)]
    assert told == [400] * 10 + [429] * 2
    assert browser.hand_in("/me", "token", label="x", days="3", password="").status_code == 400


def test_a_password_that_begins_with_a_space_opens_both(site: Site) -> None:
    certified(site.pair, site.node, "tara", 1)
    put_password(site.pair, site.node, "tara", " a phrase ")
    browser = Browser(site)
    assert browser.sign_in("tara", " a phrase ").status_code == 303
    assert browser.hand_in("/me", "token", label="x", days="3", password=SPACED).status_code == 303


def test_handles_of_any_length_cost_no_memory(site: Site) -> None:
    assert Browser(site).sign_in("x" * 60_000, "no").status_code == 401
    assert max(map(len, site.door.sign_in._left)) <= 210


def test_two_at_once_in_one_browser_have_one_session_each(site: Site) -> None:
    person(site, "usha")
    found: list[str] = []

    def enter() -> None:
        browser = Browser(site)
        browser.sign_in("usha")
        found.append(browser.cookie)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 4
