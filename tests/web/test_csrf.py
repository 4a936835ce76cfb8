"""A form is taken from this session's own page alone, is read within bounds, and is carried out once."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest

from entente.errors import StateError
from entente.strict import time_text
from entente.web import screens
from entente.web.desk.me import me
from entente.web.page import Done, said
from entente.web.screen import Act, Given
from entente.web.visit import Visit
from lab.browser import OWN, Browser
from lab.pages import Parsed
from lab.site import PASSWORD, Site, certified, put_password

DONE: list[str] = []
GATE = threading.Event()


def _noting(visit: Visit, given: Given) -> Done:
    DONE.append(f"{visit.user} {given.get('word')}")
    if given.get("word") == "fails" and len(DONE) == 1:
        raise StateError("not now", remedy="Later.")
    if given.get("word") == "slow":
        GATE.wait(20)
    if given.get("word") == "crashes" and len(DONE) == 1:
        raise ZeroDivisionError
    return Done(given.get("where") or "/me", said("It was noted: {word}", word=given.get("word")))


@pytest.fixture(autouse=True)
def noting(site: Site) -> Iterator[None]:
    """My account has one more act, which notes that it was done."""
    me.acts["note"] = Act("note", _noting, news=False)
    DONE.clear()
    GATE.clear()
    site.door.sign_in._left.clear()
    yield
    del me.acts["note"]


def browser(site: Site, name: str = "anand") -> Browser:
    """A browser in which this person is signed in."""
    certified(site.pair, site.node, name, 2)
    put_password(site.pair, site.node, name)
    made = Browser(site)
    assert made.sign_in(name).status_code == 303
    return made


def form(one: Browser, word: str = "x", once: str = "") -> dict[str, str]:
    """What the page's own form would hand in."""
    fields = one.form("/me", "end").fields
    return {**fields, "act": "note", "word": word, **({"once": once} if once else {})}


def test_the_pages_own_form_is_carried_out(site: Site) -> None:
    one = browser(site)
    answer = one.post("/me", form(one), Origin=OWN, **{"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.headers["location"], DONE) == (303, "/me", ["anand x"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1:81"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": ""},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": OWN},
        {"Sec-Fetch-Site": ""},
    ],
)
def test_a_form_of_another_site_is_refused_whatever_it_bears(site: Site, headers: dict[str, str]) -> None:
    one = browser(site)
    fields = form(one)
    assert one.post("/me", fields, **headers).status_code == 403
    assert not DONE
    for path in ("/signin", "/signout", "/signin/passkey"):
        answer = one.post(path, {**fields, "user": "anand", "password": PASSWORD}, **headers)
        assert answer.status_code == 403, path
    assert one.inside
    tool = {"Authorization": f"Bearer {site.token('anand')}", **headers}
    assert Browser(site).post("/me", fields, **tool).status_code == 403


def test_a_form_without_this_sessions_own_text_is_refused(site: Site) -> None:
    one, two = browser(site), browser(site, "bimal")
    fields, others = form(one), form(two)
    again = Browser(site)
    again.sign_in("anand")
    for csrf in (
        "",
        "x",
        others["csrf"],
        form(again)["csrf"],
        fields["csrf"][:-1],
        fields["csrf"].upper(),
        f"{fields['csrf']}0",
    ):
        assert one.post("/me", {**fields, "csrf": csrf}).status_code == 403
    assert one.post("/me", {key: value for key, value in fields.items() if key != "csrf"}).status_code == 403
    assert not DONE


def test_what_is_asked_for_is_never_an_act(site: Site) -> None:
    one = browser(site)
    fields = form(one)
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"):
        answer = one.client.request(method, "/me", params=fields)
        assert answer.status_code in (200, 404), method
        one.client.request(method, "/me", params=fields, headers={"X-HTTP-Method-Override": "POST"})
    assert not DONE


@pytest.mark.parametrize("act", ["", "none", "__init__", "token\0", "acts"])
def test_an_act_that_there_is_not_is_refused(site: Site, act: str) -> None:
    one = browser(site)
    assert one.post("/me", {**form(one), "act": act}).status_code == 400


# Once


def test_a_form_handed_in_twice_is_carried_out_once_and_leads_to_the_same_place(site: Site) -> None:
    one = browser(site)
    fields = form(one)
    first, second = one.post("/me", fields), one.post("/me", fields)
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.headers["location"] == second.headers["location"]
    assert DONE == ["anand x"]
    assert "It was noted: x" in one.page("/me").text


def test_a_form_changed_after_it_was_carried_out_is_another(site: Site) -> None:
    """What was written is never dropped without a word."""
    one = browser(site)
    fields = form(one)
    one.post("/me", fields)
    one.post("/me", {**fields, "word": "y"})
    assert DONE == ["anand x", "anand y"]


def test_two_at_once_are_one(site: Site) -> None:
    one = browser(site)
    fields = form(one, "slow")
    told: list[int] = []

    def hand_in() -> None:
        two = Browser(site)
        two.cookie = one.cookie
        told.append(two.post("/me", fields).status_code)

    threads = [threading.Thread(target=hand_in) for _ in range(3)]
    for thread in threads:
        thread.start()
    threads[0].join(1.5)
    GATE.set()
    for thread in threads:
        thread.join()
    assert DONE == ["anand slow"]
    assert 303 in told
    assert set(told) <= {303, 409}


@pytest.mark.parametrize(("word", "status"), [("fails", 409), ("crashes", 500)])
def test_a_form_that_failed_can_be_handed_in_again(site: Site, word: str, status: int) -> None:
    one = browser(site)
    fields = form(one, word)
    assert one.post("/me", fields).status_code == status
    assert one.post("/me", fields).status_code == 303
    assert len(DONE) == 2


def test_another_persons_form_with_the_same_number_is_their_own(site: Site) -> None:
    one, two = browser(site), browser(site, "bimal")
    one.post("/me", form(one, once="the same"))
    answer = two.post("/me", form(two, once="the same"))
    assert DONE == ["anand x", "bimal x"]
    assert answer.status_code == 303


def test_a_form_of_a_process_that_died_is_not_carried_out_again_unasked(site: Site) -> None:
    """Between the act and its end nobody knows whether it was done: the person is told to look."""
    one = browser(site)
    fields = form(one)
    access = site.door.sign_in.access
    with pytest.MonkeyPatch.context() as dying:

        def dies(*_: object) -> None:
            raise OSError

        dying.setattr(access, "close_deed", dies)
        assert one.post("/me", fields).status_code == 500
    answer = one.post("/me", fields)
    assert answer.status_code == 409
    assert "stopped while it carried this form out" in answer.text
    assert DONE == ["anand x"]


def test_forms_are_forgotten_after_some_days(site: Site) -> None:
    access = site.door.sign_in.access
    now = time_text(datetime.now(UTC))
    assert access.begin_deed(b"old", "x", "2020-01-01T00:00Z", forget_before="")
    assert access.begin_deed(b"new", "x", now, forget_before=now)
    assert access.deed(b"old") is None


# What an act says


@pytest.mark.parametrize(
    "where", ["//evil.example", "https://evil.example", "/\r\nX: y", "javascript:x", "/\\evil", ""]
)
def test_an_act_leads_to_a_page_of_this_node(site: Site, where: str) -> None:
    one = browser(site)
    answer = one.post("/me", {**form(one), "where": where})
    assert answer.headers["location"] in ("/", "/me")


def test_what_an_act_says_is_said_once_and_to_its_person_alone(site: Site) -> None:
    one, two = browser(site), browser(site, "bimal")
    name = site.door.cookie("said")
    text = one.post("/me", form(one, "mine")).cookies[name]
    assert "It was noted: mine" in one.page("/me").text
    assert "It was noted" not in one.page("/me").text
    two.client.cookies.set(name, text)
    assert "It was noted" not in two.page("/me").text


FORGED = [
    b'{"text":"You are signed out: https://evil.example"}',
    b'{"text":"{a:>99999999}","given":{"a":"x"}}',
    b'{"text":"{missing}"}',
    b'{"text":"{"}',
    b'{"text":"{a.__class__}","given":{"a":"x"}}',
    b"",
    b"null",
    b'{"text":"<script>alert(1)</script>"}',
    b"\xff",
    b"[" * 2000,
]


@pytest.mark.parametrize("data", FORGED)
def test_a_forged_word_of_ours_is_not_said(site: Site, data: bytes) -> None:
    one = browser(site)
    sealed = site.door.sign_in.sessions.sealed("IND/anand", b'{"text":"x"}')
    for text in (
        data.hex(),
        f"{data.hex()}.{sealed.partition('.')[2]}",
        f"{data.hex()}.",
        "zz",
        sealed[:-1],
        f"{sealed}00",
        "é",
    ):
        header = f"{site.door.sign_in.cookie}={one.cookie}; {site.door.cookie('said')}={text}".encode("latin-1")
        answer = site.client.get("/me", headers=[(b"cookie", header)])
        assert answer.status_code == 200
        assert 'class="flash"' not in answer.text


# Bodies


def raw(one: Browser, body: bytes, kind: str, path: str = "/me") -> httpx2.Response:
    return one.client.post(path, content=body, headers={"Content-Type": kind})


BOUNDARY = "multipart/form-data; boundary=x"


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff" * 99, "application/x-www-form-urlencoded"),
        (b"%ff%00%zz=&&==&%", "application/x-www-form-urlencoded"),
        (b"&a" * 5000, "application/x-www-form-urlencoded"),
        (b"a=" + b"x" * (2 << 20), "application/x-www-form-urlencoded"),
        (b"", BOUNDARY),
        (b"--x", BOUNDARY),
        (b"--y--", BOUNDARY),
        (b"x", "multipart/form-data"),
        (part("a", b"b") + b"--x--", BOUNDARY),
        (part("a", b"b") * 5000 + b"--x--", BOUNDARY),
        (part("f", b"", '; filename="x"') * 9 + b"--x--", BOUNDARY),
        (part("a", b"\\ud800") + b"--x--", f"{BOUNDARY}; charset=unicode_escape"),
        (part("a", b"b") + b"--x--", f"{BOUNDARY}; charset=undefined"),
        (part("a", b"b") + b"--x--", f"{BOUNDARY}; charset=idna"),
        (part("a", b"+2AA-") + b"--x--", f"{BOUNDARY}; charset=utf-7"),
        (part("a", b"x\0y") + b"--x--", BOUNDARY),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--", BOUNDARY),
        (b"--x\r\n" + b"A: b\r\n" * 3000 + b"\r\nx\r\n--x--", BOUNDARY),
        (b"--x\r\n" + b"A" * 70000 + b": b\r\n\r\n", BOUNDARY),
        (b"{}", "application/json"),
        (b"act=note", "text/plain"),
        (b"<x/>", "application/xml"),
        (b"x", ""),
        (b"x", "multipart/form-data; boundary=" + "y" * 5000),
        (b'act="note"\r\n', BOUNDARY),
        (b"a=b;c=d", "application/x-www-form-urlencoded; charset=utf-16"),
    ],
)
def test_a_body_that_is_no_form_of_ours_is_refused_without_a_crash(site: Site, body: bytes, kind: str) -> None:
    one = browser(site)
    for path in ("/me", "/signin", "/signin/passkey", "/signout"):
        answer = raw(one, body, kind, path)
        assert answer.status_code in (400, 401, 403), (path, answer.status_code, answer.text)
        assert answer.headers["content-security-policy"]
        assert Parsed(answer.text).banners
    assert not DONE


def test_a_body_says_how_long_it_is_and_is_not_too_long(site: Site) -> None:
    one = browser(site)
    fields = form(one)

    def pieces() -> Iterator[bytes]:
        yield b"act=note"

    assert one.client.post("/me", content=pieces()).status_code == 400  # in chunks, without a length
    for length in ("67108865", "9" * 13, "-1", "1e3", "0x9"):
        answer = one.client.post("/me", content=b"act=note", headers={"Content-Length": length})
        assert answer.status_code == 400, length
    long = {"user": "x", "password": "y" * (65 << 10)}
    assert Browser(site).post("/signin", long).status_code == 400
    assert fields
    assert not DONE


def test_a_files_name_is_one_line_without_a_way() -> None:
    assert screens._file_name("../../etc/passwd") == "passwd"
    assert screens._file_name("C:\\x\\y.json") == "y.json"
    assert screens._file_name('a\r\nSet-Cookie: x\0"') == 'a??Set-Cookie: x?"'
    assert len(screens._file_name("x" * 999)) == 200


def test_characters_that_no_text_has_are_refused_by_field(site: Site) -> None:
    one = browser(site)
    answer = one.post("/me", {**form(one), "word": "a\0b"})
    assert answer.status_code == 400
    assert not DONE
    assert one.post("/me", {**form(one), "word": "a\r\n\tb"}).status_code == 303
