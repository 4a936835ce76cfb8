"""Only who is certified now comes in, by the right password or a token that works; nobody learns more than that.

Secrets stand in no log, no answer and no file of the node.
"""

import base64
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from entente.errors import UsageError
from entente.keys import lock, unlock
from entente.node import shelves
from entente.node.tokens import make_token
from entente.store.access_db import Token
from entente.strict import time_text
from entente.web import signin
from entente.web.signin import SignIn
from lab.acts import found_in
from lab.pair import Pair, revoke
from lab.site import PASSWORD, ROOT, TAXII, Site, certified, details, envelope, marked, put_password

WHERE = f"{ROOT}/collections/own/objects/"


WELL_FORMED = lock(b"", b"x", label="")[:-1]


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def sign_in(site: Site, given: str, method: str = "GET") -> httpx2.Response:
    headers = {"Accept": TAXII, "Authorization": given, "Content-Type": TAXII}
    body = envelope(marked(1, 0)) if method == "POST" else None
    return site.client.request(method, WHERE, headers=headers, content=body)


def with_person(site: Site, name: str, *, level: int = 4) -> str:
    """A person of their own for a test, who can sign in by password; returns the handle."""
    certified(site.pair, site.node, name, level)
    put_password(site.pair, site.node, name)
    return f"{site.code}/{name}"


@pytest.fixture
def tried(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The label of each key that a password was tried on; nobody has tried anything before, and nobody waits."""
    labels: list[str] = []

    def noting(locked: bytes, passphrase: bytes, *, label: str) -> bytes:
        if len(locked) > len(WELL_FORMED):  # else it is refused at once, and that tells who is known here
            labels.append(label)
        return unlock(locked, passphrase, label=label)

    monkeypatch.setattr(signin, "unlock", noting)
    site.door.sign_in._left.clear()
    site.door.sign_in._known.clear()
    yield labels
    site.door.sign_in._left.clear()


# By password


@pytest.mark.parametrize("user", ["IND/anna", "anna"])
def test_the_password_lets_its_person_in_with_and_without_the_partys_code(site: Site, user: str) -> None:
    with_person(site, "anna")
    assert sign_in(site, basic(user, PASSWORD)).status_code == 200


def test_a_password_may_hold_colons_and_hindi(site: Site) -> None:
    with_person(site, "ravi")
    put_password(site.pair, site.node, "ravi", "पासवर्ड: दो:तीन")
    assert sign_in(site, basic("ravi", "पासवर्ड: दो:तीन")).status_code == 200
    assert sign_in(site, basic("ravi", "पासवर्ड: दो")).status_code == 401


@pytest.mark.parametrize(
    "user", ["bela", "IND/bela", "nobody", "IND/nobody", "KOR/rao", "bela\0", "/", "../bela", "log"]
)
def test_a_wrong_password_and_an_unknown_person_look_the_same_and_cost_the_same(
    site: Site, tried: list[str], user: str
) -> None:
    with_person(site, "bela")
    answer = sign_in(site, basic(user, "wrong"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="entente", charset="UTF-8"'
    assert details(answer)["description"] == "wrong user or password."
    assert len(tried) == 1


@pytest.mark.parametrize(
    "given",
    [
        "", "Basic", "Basic ", "Basic !!!", "Basic é", "Basic YQ", "Basic YQ==", "Basic /////w==", "Bearer", "Bearer ",
        "Bearer x", "Bearer ent_", "Bearer ent__", "Bearer é", "Digest username=a", "Token x", "basic", "Negotiate",
        basic("rung4", ""), basic("", PASSWORD), basic("", ""),
    ],
)  # fmt: skip
def test_whatever_is_no_sign_in_is_answered_so(site: Site, given: str) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"authorization", given.encode("latin-1"))] if given else []
    answer = site.client.request("GET", WHERE, headers=headers)
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers
    details(answer)


def test_a_right_password_is_remembered_but_not_across_a_change_of_it(site: Site, tried: list[str]) -> None:
    with_person(site, "chandra")
    for _ in range(3):
        assert sign_in(site, basic("chandra", PASSWORD)).status_code == 200
    assert len(tried) == 1
    put_password(site.pair, site.node, "chandra", "another")
    assert sign_in(site, basic("chandra", PASSWORD)).status_code == 401
    assert sign_in(site, basic("chandra", "another")).status_code == 200
    put_password(site.pair, site.node, "chandra", "another")  # the same again, but the key rests anew
    assert sign_in(site, basic("chandra", "another")).status_code == 200
    assert len(tried) == 4


def test_what_was_remembered_is_forgotten_after_some_minutes_without_use(
    site: Site, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_person(site, "dev")
    now = time.monotonic()
    for at, opened in [(0, 1), (290, 1), (580, 1), (881, 2)]:
        monkeypatch.setattr(time, "monotonic", lambda at=at: now + at)
        assert sign_in(site, basic("dev", PASSWORD)).status_code == 200
        assert len(tried) == opened, at


def test_too_many_wrong_passwords_are_slowed_down_but_who_is_signed_in_goes_on(site: Site, tried: list[str]) -> None:
    with_person(site, "esha")
    assert sign_in(site, basic("esha", PASSWORD)).status_code == 200
    for user in ("esha", "nobody"):
        told = [sign_in(site, basic(user, f"wrong {n}")) for n in range(12)]
        assert [answer.status_code for answer in told] == [401] * 10 + [429] * 2, user
        assert int(told[-1].headers["retry-after"]) > 0
        details(told[-1])
    assert len(tried) == 21
    assert sign_in(site, basic("esha", PASSWORD)).status_code == 200
    assert sign_in(site, f"Bearer {site.token('esha')}").status_code == 200
    with_person(site, "farid")
    assert sign_in(site, basic("farid", PASSWORD)).status_code == 200


def test_wrong_passwords_at_the_same_time_count_each(site: Site, tried: list[str]) -> None:
    with_person(site, "gita")
    statuses: list[int] = []

    def guess(number: int) -> None:
        statuses.append(sign_in(site, basic("gita", f"guess {number}")).status_code)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tried) == 10
    assert sorted(statuses) == [401] * 10 + [429] * 20


def test_right_passwords_use_up_no_tries(site: Site, tried: list[str]) -> None:
    with_person(site, "hari")
    for _ in range(15):
        site.door.sign_in._known.clear()
        assert sign_in(site, basic("hari", PASSWORD)).status_code == 200
    assert len(tried) == 15


# Who is certified


def test_a_person_who_is_revoked_is_out_at_once_by_password_and_by_token(site: Site) -> None:
    handle = with_person(site, "indra")
    ways = [basic("indra", PASSWORD), f"Bearer {site.token('indra')}"]
    assert [sign_in(site, way).status_code for way in ways] == [200, 200]
    revoke(site.pair, site.node, "indra")
    shelves.project(site.node)
    for way in ways:
        answer = sign_in(site, way)
        assert answer.status_code == 401
        assert handle not in answer.text
    certified(site.pair, site.node, "indra", 2)
    assert [sign_in(site, way).status_code for way in ways] == [200, 200]


def test_a_key_that_opens_is_not_enough_for_a_person_who_was_never_certified(site: Site) -> None:
    certified(site.pair, site.node, "jaya", 1)
    site.pair.template.people["IND/jaya.two"] = site.pair.template.people["IND/jaya"]
    put_password(site.pair, site.node, "jaya.two")
    assert sign_in(site, basic("jaya.two", PASSWORD)).status_code == 401
    assert sign_in(site, f"Bearer {site.token('jaya.two')}").status_code == 401


def test_a_person_whose_certificate_ran_out_is_out(site: Site) -> None:
    """`brief` of the lab's persons is certified to a day that has passed."""
    put_password(site.pair, site.node, "brief")
    for way in (basic("brief", PASSWORD), f"Bearer {site.token('brief')}"):
        assert details(sign_in(site, way))["description"].startswith("not certified now")


def test_a_person_certified_anew_has_the_new_clearance_and_areas_at_once(site: Site) -> None:
    with_person(site, "kiran", level=0)
    site.add("rung4", marked(901, 3))
    number = (f"indicator--11111111-2222-4333-8444-{901:012x}", "2026-01-02T03:04:05.000Z")
    seen = []
    for level in (0, 3, 1, 4):
        certified(site.pair, site.node, "kiran", level)
        seen.append(number in site.seen("kiran"))
    assert seen == [False, True, False, True]
    certified(site.pair, site.node, "kiran", 4, areas=["documents"])
    for method in ("GET", "POST"):
        assert sign_in(site, f"Bearer {site.token('kiran')}", method).status_code == 403
        assert sign_in(site, basic("kiran", PASSWORD), method).status_code == 403


# Tokens


def test_a_token_that_is_revoked_or_expired_is_dead_now(site: Site) -> None:
    access = site.door.sign_in.access
    token, text = make_token(access, "IND/rung1", label="x", days=1, read_only=False)
    assert sign_in(site, f"Bearer {text}").status_code == 200
    assert access.revoke(token.id, time_text(datetime.now(UTC)))
    assert sign_in(site, f"Bearer {text}").status_code == 401
    assert not access.revoke(token.id, time_text(datetime.now(UTC)))
    now = datetime.now(UTC)
    for until, status in [(now - timedelta(minutes=1), 401), (now, 401), (now + timedelta(minutes=2), 200)]:
        token, text = make_token(access, "IND/rung1", label="x", days=1, read_only=False)
        access.raw.execute("UPDATE token SET until = ? WHERE id = ?", (time_text(until), token.id))
        assert sign_in(site, f"Bearer {text}").status_code == status


def test_a_token_that_was_changed_works_no_more(site: Site) -> None:
    token = site.token("rung2")
    for changed in (token[:-1], f"{token}x", token.swapcase(), f"{token[4:]}y", token.replace("_", "-")):
        assert sign_in(site, f"Bearer {changed}").status_code == 401


def test_one_tokens_secret_does_not_open_anothers_name(site: Site) -> None:
    first, second = site.token("rung1").split("_", 2), site.token("rung2").split("_", 2)
    assert sign_in(site, f"Bearer ent_{first[1]}_{second[2]}").status_code == 401


def test_a_token_that_may_only_read_adds_and_deletes_nothing(site: Site) -> None:
    site.add("rung1", marked(902, 0))
    before = site.listed("rung4")
    token = site.token("rung1", read_only=True)
    headers = {"Authorization": f"Bearer {token}", "Accept": TAXII, "Content-Type": TAXII}
    own = before[0]["id"]
    for method, path in [
        ("POST", WHERE),
        ("DELETE", f"{WHERE}{own}/"),
        ("POST", f"{ROOT}/collections/to-KOR/objects/"),
    ]:
        answer = site.client.request(method, path, headers=headers, content=envelope(marked(903, 0)))
        assert answer.status_code == 403
        details(answer)
    assert site.client.get(WHERE, headers=headers).status_code == 200
    found = site.client.get(f"{ROOT}/collections/", headers=headers).json()
    assert not any(one["can_write"] for one in found["collections"])
    assert site.listed("rung4") == before


@pytest.mark.parametrize(("label", "days"), [("", 1), (" ", 1), ("x", 0), ("x", -1), ("x", 367)])
def test_a_token_has_a_label_and_an_end_within_a_year(site: Site, label: str, days: int) -> None:
    with pytest.raises(UsageError):
        make_token(site.door.sign_in.access, "IND/rung1", label=label, days=days, read_only=False)


def test_a_token_tells_when_it_was_used_last(site: Site) -> None:
    access = site.door.sign_in.access
    token, text = make_token(access, "IND/rung1", label="x", days=1, read_only=False)
    assert isinstance(token, Token)
    sign_in(site, f"Bearer {text}")
    found = access.token(token.id)
    assert found is not None
    assert found.used


# Secrets


def test_no_secret_stands_in_a_log_an_answer_or_a_file(
    site: Site, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with_person(site, "lata")
    wrong = "a wrong pass phrase that nobody else has"
    made = make_token(site.door.sign_in.access, "IND/lata", label="x", days=1, read_only=False)[1]
    answers = [
        sign_in(site, way, method)
        for way in (basic("lata", PASSWORD), basic("lata", wrong), f"Bearer {made}", f"Bearer {made}x")
        for method in ("GET", "POST")
    ]
    secrets = [made, made.split("_", 2)[2], PASSWORD, wrong, basic("lata", PASSWORD)[6:], basic("lata", wrong)[6:]]
    said = "".join([*capfd.readouterr(), caplog.text, *(str(one.headers) + one.text for one in answers)])
    assert not [secret for secret in secrets if secret in said]
    site.node.view.wipe()
    assert not found_in(site.node.folder, *(secret.encode() for secret in secrets))


def test_sign_ins_of_one_process_mean_nothing_to_the_next(site: Site, pair: Pair) -> None:
    again = SignIn(pair.a.folder, "IND", site.door.pool)
    assert again._secret != site.door.sign_in._secret
    assert not again._known
    again.close()
