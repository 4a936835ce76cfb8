"""Who read what, took what away, came in or was turned away stands in the home journal, or nothing is shown."""

import json
from collections.abc import Iterator

import pytest
from stix_objects import bundle_of

from entente.errors import StoreError
from entente.node.propose import Wish
from entente.web import diary
from entente.web.diary import DiaryError
from lab.browser import Browser
from lab.site import PASSWORD, Site, certified, marked, put_password

WORD = "qdiarysecretzz"
WRONG = "wrong"


def lines(site: Site) -> list[tuple[str, str, dict[str, object], str]]:
    """(kind, who, what, when) of what the desk wrote."""
    site.door.diary.flush()
    rows = site.node.db.raw.execute("SELECT kind, key, data, at FROM journal ORDER BY rowid").fetchall()
    kinds = {diary.READ, diary.EXPORT, diary.TURNED_AWAY, diary.SIGN_IN, diary.SIGN_OUT}
    return [(row[0], row[1], json.loads(row[2]), row[3]) for row in rows if row[0] in kinds]


@pytest.fixture(scope="module")
def rid(site: Site) -> str:
    """A draft of the third level."""
    node = site.node
    done = node.import_file("intelligence", bundle_of(marked(1, 3, WORD)), place="x.json", map_id=site.map_id)
    return node.propose(done.source, Wish(f"{node.party}/rao")).rid


@pytest.fixture(autouse=True)
def whole(site: Site) -> Iterator[None]:
    """The journal can be written."""
    yield
    site.door.diary._fault = ""


def read(site: Site, who: str, path: str) -> int:
    answer = site.client.get(path, headers={"Authorization": f"Bearer {site.token(who)}"})
    return answer.status_code


def test_a_marked_page_that_was_read_stands_there_with_its_level(site: Site, rid: str) -> None:
    assert read(site, "rung3", f"/draft/{rid}") == 200
    kind, who, what, when = lines(site)[-1]
    assert (kind, who, what["place"], what["level"]) == (diary.READ, "IND/rung3", f"/draft/{rid}", "SECRET")
    assert when == site.node.now()


def test_who_is_turned_away_stands_there(site: Site, rid: str) -> None:
    for path in (f"/draft/{rid}", "/draft/none", f"/draft/{rid}.csv"):
        assert read(site, "rung0", path) == 404
        kind, who, what, _ = lines(site)[-1]
        assert (kind, who, what["place"]) == (diary.TURNED_AWAY, "IND/rung0", path)


def test_sign_in_and_out_and_wrong_passwords_stand_there(site: Site) -> None:
    certified(site.pair, site.node, "asha", 1)
    put_password(site.pair, site.node, "asha")
    browser = Browser(site)
    browser.sign_in("asha", "wrong")
    browser.sign_in("asha")
    browser.hand_in("/me", "token", label="x", days="2", password=WRONG)
    browser.post("/signout", next(one for one in browser.page("/me").forms if one.action == "/signout").fields)
    found = [(kind, who) for kind, who, *_ in lines(site)][-4:]
    wanted = [
        (diary.TURNED_AWAY, "asha"),
        (diary.SIGN_IN, "IND/asha"),
        (diary.TURNED_AWAY, "IND/asha"),
        (diary.SIGN_OUT, "IND/asha"),
    ]
    assert found == wanted


def test_a_password_written_into_the_field_of_the_user_is_kept_nowhere(site: Site) -> None:
    Browser(site).sign_in(PASSWORD, "x")
    assert lines(site)[-1][1] == "unknown"
    rows = site.node.db.raw.execute("SELECT * FROM journal").fetchall()
    assert PASSWORD not in repr(rows)


def test_no_content_and_no_line_break_gets_in(site: Site, rid: str) -> None:
    read(site, "rung3", f"/draft/{rid}")
    read(site, "rung3", "/draft/%0d%0aread%20evil")
    rows = [
        row
        for row in site.node.db.raw.execute("SELECT kind, key, data FROM journal").fetchall()
        if row[0] in ("read", "turned-away")
    ]
    site.door.diary.flush()
    assert WORD not in repr(rows)
    for row in site.node.db.raw.execute("SELECT data FROM journal").fetchall():
        assert b"\n" not in bytes(row[0])[:-1]
        assert b"\r" not in bytes(row[0])
    assert "\r\nread" in str(lines(site)[-1][2]["place"])


def test_when_it_cannot_be_written_marked_pages_are_refused_and_come_back(site: Site, rid: str) -> None:
    book = site.door.diary
    with pytest.MonkeyPatch.context() as broken:

        def fails(*_: object) -> None:
            raise StoreError("disk full")

        broken.setattr(book._db, "journal", fails)
        read(site, "rung3", f"/draft/{rid}")
        with pytest.raises(StoreError):
            book.flush()
        assert read(site, "rung3", f"/draft/{rid}") == DiaryError.status
        answer = site.client.get(f"/draft/{rid}", headers={"Authorization": f"Bearer {site.token('rung3')}"})
        assert WORD not in answer.text
        assert rid not in answer.text
        assert read(site, "rung3", f"/draft/{rid}.csv") == DiaryError.status
        assert read(site, "rung3", "/me") == 200
    book.flush()
    assert read(site, "rung3", f"/draft/{rid}") == 200
    assert [what["place"] for *_, what, _ in lines(site)].count(f"/draft/{rid}") >= 2


def test_nothing_is_given_out_faster_than_it_is_written(site: Site, rid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diary, "MOST_WAITING", 0)
    assert read(site, "rung3", f"/draft/{rid}") == DiaryError.status
    assert read(site, "rung3", "/me") == 200


def test_a_flood_of_attempts_fills_no_disk_and_is_counted(site: Site) -> None:
    book = site.door.diary
    before = len(lines(site))
    for number in range(500):
        book.note(diary.TURNED_AWAY, "IND/flood", f"/x/{number}")
    found = lines(site)[before:]
    told = sum(int(str(what.get("attempts", 0))) for *_, what, _ in found)
    assert len(found) < 450
    assert len(found) + told >= 500
