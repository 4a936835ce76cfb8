"""A feed misses nothing, takes nothing in twice, sets what is bad aside alone and keeps its secret; pushes are told.

Real nodes; the server is lab/taxii.Wicked on loopback.
"""

import json
import os
import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from stix_objects import as_bytes, bundle_of, indicator

from entente.app import AREAS
from entente.areas.intelligence import feeds
from entente.areas.intelligence.feeds import Polled, Pushed, locate, poll, push, waiting
from entente.areas.intelligence.taxii_wire import TaxiiError
from entente.errors import StateError, StoreError, UsageError
from entente.node.feeds import PUSH, add_feed, remove_feed, secret_of, unknown
from entente.node.node import Node
from entente.node.propose import Wish
from entente.store.feed_rows import FeedRow
from entente.treaty.marking import MarkingMap
from lab.pair import AREA, PASSPHRASE, Clock, Pair, in_process, rows, sighted, unchanged
from lab.taxii import COLLECTION, HOST, PLACE, Given, Shelf, Wicked, answer, envelope
from lab.worker import BLOWN, Fuse

pytestmark = pytest.mark.allow_hosts([HOST])
SECRET = b"saffron-kettle-9"
OBJECTS = f"{PLACE}objects/"
PAGES, EACH = 3, 4
POISON = as_bytes(indicator(900, pattern_type=None))


@pytest.fixture
def foreign() -> Iterator[Wicked]:
    """Twelve objects in three pages."""
    with Wicked(Shelf([(1000 * n, body) for n, body in enumerate(sighted(PAGES * EACH))], cap=EACH)) as made:
        yield made


def known(node: Node, foreign: Wicked, *, map_id: str = "", write: bool = False, name: str = "siem") -> FeedRow:
    row = FeedRow(name, foreign.url, "ana", "basic", "", map_id, write, b"")
    return add_feed(node, locate(row, SECRET)[0], SECRET)


def opened(node: Node) -> Callable[[], AbstractContextManager[Node]]:
    return lambda: nullcontext(node)


def polled(node: Node, name: str = "siem", *, anew: bool = False) -> Polled:
    return poll(opened(node), name, anew=anew, tell=lambda _: None)


def pushed(node: Node, since: str = "") -> Pushed:
    return push(opened(node), "siem", since=since, tell=lambda _: None)


def held(node: Node) -> list[bytes]:
    """The bytes of every object of every import."""
    return sorted(data for source in node.db.sources() for data in node.view.each_body(source.id))


def a_map(pair: Pair) -> str:
    return pair.a.sign_map(MarkingMap(pair.a.law.hash, AREA, (), pair.marking(pair.a)), [pair.of(pair.a, "iyer")])


# What comes


def test_a_poll_takes_in_page_by_page_what_is_there_byte_for_byte(either: Pair, foreign: Wicked) -> None:
    known(either.a, foreign)
    done = polled(either.a)
    assert (done.pages, done.new, done.known, len(done.imports)) == (PAGES, PAGES * EACH, 0, PAGES)
    assert held(either.a) == sorted(body for _, body in foreign.shelf.rows)
    assert all(asked.headers["Authorization"].startswith("Basic ") for asked in foreign.heard)


def test_a_poll_without_news_changes_nothing_but_when_it_was(pair: Pair, foreign: Wicked) -> None:
    known(pair.a, foreign)
    polled(pair.a)
    polled(pair.a)
    with unchanged(pair.a, but=["feed"]):
        done = polled(pair.a)
        again = polled(pair.a, anew=True)
    assert (done.new, done.imports) == (0, ())
    assert (again.new, again.known) == (0, PAGES * EACH)


def test_what_is_added_later_is_all_that_comes(pair: Pair, foreign: Wicked) -> None:
    known(pair.a, foreign)
    polled(pair.a)
    late = sighted(2, first=500)
    for body in late:
        foreign.shelf.add(body, 11_000)  # the very stamp of the last object before
    assert polled(pair.a).new == 2
    assert set(late) < set(held(pair.a))


@pytest.mark.parametrize(
    "wrong",
    [{"cursor": False}, {"digits": 3}, {"digits": 0, "cursor": True}, {"trailing": True}, {"forgets": True},
     {"states": False}, {"digits": 3, "cursor": False}],
    ids=str,
)  # fmt: skip
def test_what_servers_get_wrong_loses_nothing(pair: Pair, foreign: Wicked, wrong: dict[str, object]) -> None:
    """No `next`, stamps cut to milliseconds or seconds, `next` at the end, cursors forgotten, no stamps."""
    for name, value in wrong.items():
        setattr(foreign.shelf, name, value)
    known(pair.a, foreign)
    polled(pair.a)
    polled(pair.a)
    assert held(pair.a) == sorted(body for _, body in foreign.shelf.rows)


def test_a_poison_object_is_set_aside_alone_and_told_once(pair: Pair, foreign: Wicked) -> None:
    nan = b'{"type":"indicator","id":"indicator--1","x":NaN}'
    foreign.shelf.rows[1:1] = [(500, POISON), (501, nan), (502, b"7")]
    known(pair.a, foreign)
    first, second = polled(pair.a), polled(pair.a, anew=True)
    assert len(first.quarantined) == 3
    assert any("pattern_type" in item.reason for item in first.quarantined)
    assert (first.new, second.quarantined, second.new) == (PAGES * EACH, (), 0)
    row = pair.a.db.feed("siem")
    assert row is not None
    assert (row.objects, row.quarantined, row.skipped) == (PAGES * EACH, 3, 0)


def test_a_poison_page_does_not_stop_a_feed(pair: Pair, foreign: Wicked) -> None:
    """The one object that makes any page unreadable is passed by and told; all others come."""
    poison = foreign.shelf.rows[5][1]
    foreign.shelf.poison = {poison}
    known(pair.a, foreign)
    done = polled(pair.a)
    assert held(pair.a) == sorted(body for _, body in foreign.shelf.rows if body != poison)
    assert len(done.passed) == 1
    assert foreign.shelf.stated(5000) in done.passed[0]
    row = pair.a.db.feed("siem")
    assert row is not None
    assert row.skipped == 1


def test_a_poison_page_that_the_server_lets_nobody_past_is_a_fault_and_what_came_stays(
    pair: Pair, foreign: Wicked
) -> None:
    foreign.shelf.poison, foreign.shelf.states = {foreign.shelf.rows[5][1]}, False
    known(pair.a, foreign)
    with pytest.raises(TaxiiError):
        polled(pair.a)
    assert len(held(pair.a)) == 5
    foreign.shelf.poison = set()
    polled(pair.a)
    assert len(held(pair.a)) == PAGES * EACH


def test_the_same_page_for_ever_is_a_fault(pair: Pair, foreign: Wicked) -> None:
    foreign.scripts["GET", OBJECTS] = lambda _: envelope(Given(sighted(), more=True, next="1", last=""))
    known(pair.a, foreign)
    with pytest.raises(TaxiiError, match="the same page again"):
        polled(pair.a)
    assert len(foreign.heard) < 8


def test_a_poll_that_is_stopped_between_pages_goes_on_there(pair: Pair, foreign: Wicked) -> None:
    class StoppedError(Exception):
        pass

    def stop(text: str) -> None:
        if text.startswith("page 2"):
            raise StoppedError

    known(pair.a, foreign)
    with pytest.raises(StoppedError):
        poll(opened(pair.a), "siem", tell=stop)
    assert len(held(pair.a)) == 2 * EACH
    asked = foreign.shelf.asked
    done = polled(pair.open(pair.codes[0]))
    assert (done.new, done.known, foreign.shelf.asked - asked) == (EACH, 0, 1)


def test_a_second_reader_takes_nothing_in_twice_and_stops(pair: Pair, foreign: Wicked) -> None:
    """While one has a page in hand another goes on to the end; the node is free then, as between two processes."""
    known(pair.a, foreign)
    inside: list[Polled] = []

    def meanwhile(_: str) -> None:
        if not inside:
            inside.append(polled(pair.a))
            foreign.shelf.add(late, 4500)  # so that the page in hand is not the one that the other took

    (late,) = sighted(1, first=800)
    with pytest.raises(StateError, match="another poll"):
        poll(opened(pair.a), "siem", tell=meanwhile)
    assert [len(pair.a.view.raw.execute("SELECT place FROM holding").fetchall()), len(pair.a.db.sources())] == [
        PAGES,
        PAGES,
    ], "nothing of its page rests here"
    assert polled(pair.a).new == 1
    assert held(pair.a) == sorted(body for _, body in foreign.shelf.rows)
    row = pair.a.db.feed("siem")
    assert row is not None
    assert row.objects == PAGES * EACH + 1


def test_a_reader_that_dies_before_any_act_on_disk_loses_and_doubles_nothing(
    pair: Pair, foreign: Wicked, tmp_path: Path
) -> None:
    known(pair.a, foreign)
    whole = sorted(body for _, body in foreign.shelf.rows)
    foreign.pace = timedelta(hours=1)  # what is there is long settled
    foreign.shelf.cap, pages = 6, 2
    before = pair.shut(pair.codes[0])
    for left in range(1, 200):
        folder = tmp_path / "now"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)
        foreign.shelf.asked = 0
        blown = crashed(folder, left)
        node = Node(folder, AREAS, in_process, passphrase=PASSPHRASE, clock=Clock())
        polled(node)
        row = node.db.feed("siem")
        assert row is not None
        assert (held(node), len(node.db.sources()), row.objects) == (whole, pages, len(whole)), f"before act {left}"
        assert foreign.shelf.asked <= pages + 1, "at most one page is asked for again"
        node.close()
        if not blown:
            assert left > 20
            return
    raise AssertionError("the poll never ends")


def crashed(folder: Path, left: int) -> bool:
    """A poll in a process of its own that ends before its `left`th act on disk; whether it came to that."""
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, BLOWN)
        return code == BLOWN
    try:
        fuse = Fuse(folder)
        node = Node(folder, AREAS, in_process, passphrase=PASSPHRASE, clock=Clock())
        fuse.set(left)
        polled(node)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing may return into pytest from here
        os.write(2, traceback.format_exc().encode())
        os._exit(1)


# Maps


def test_without_a_map_nothing_of_a_feed_can_cross_and_it_says_so(pair: Pair, foreign: Wicked) -> None:
    known(pair.a, foreign)
    source = polled(pair.a).imports[0]
    with pytest.raises(UsageError, match="without a marking map"):
        pair.a.propose(source, Wish(f"{pair.a.party}/rao"))


def test_a_feed_that_gets_a_map_is_read_again_by_it(pair: Pair, foreign: Wicked) -> None:
    known(pair.a, foreign)
    polled(pair.a)
    name = a_map(pair)
    known(pair.a, foreign, map_id=name)
    done = polled(pair.a)
    assert done.new == PAGES * EACH
    assert pair.a.propose(done.imports[0], Wish(f"{pair.a.party}/rao")).kept == EACH
    with pytest.raises(UsageError, match="no marking map"):
        known(pair.a, foreign, map_id="0" * 64)


def test_what_a_feed_has_brought_is_known_by_its_bytes_and_its_map(pair: Pair, foreign: Wicked) -> None:
    row = known(pair.a, foreign)
    body = foreign.shelf.rows[0][1]
    assert unknown(pair.a, row, [body, body]) == [body]
    pair.a.import_file(AREA, bundle_of(body), place="by hand", map_id=a_map(pair))
    assert unknown(pair.a, row, [body]) == [body], "under a map it is another import"
    pair.a.import_file(AREA, bundle_of(body), place="by hand", map_id="")
    assert unknown(pair.a, row, [body]) == []


# Secrets and names


def test_a_secret_is_in_no_file_and_a_new_one_takes_its_place(pair: Pair, foreign: Wicked) -> None:
    row = known(pair.a, foreign)
    assert secret_of(pair.a, row) == SECRET
    folder = pair.a.folder
    locked = rest(pair.a)
    add_feed(pair.a, msgspec.structs.replace(row, auth="bearer"), b"another-token")
    assert secret_of(pair.a, row) == b"another-token"
    polled(pair.a)
    assert foreign.heard[-1].headers["Authorization"] == "Bearer another-token"
    remove_feed(pair.a, "siem")
    pair.shut(pair.codes[0])
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert SECRET not in data, path
            assert b"another-token" not in data, path
            assert locked not in data, f"{path}: what was locked there is still there"


def rest(node: Node) -> bytes:
    """The secret as it rests."""
    return bytes(node.keys.raw.execute("SELECT locked FROM record_key WHERE name = 'feed/siem'").fetchone()[0])


def test_a_feed_that_the_server_does_not_let_in_is_not_kept(pair: Pair, foreign: Wicked) -> None:
    foreign.authorization = "Basic other"
    with unchanged(pair.a), pytest.raises(TaxiiError, match="does not let us"):
        known(pair.a, foreign)
    foreign.authorization = ""
    foreign.scripts["GET", PLACE] = lambda _: answer({"id": COLLECTION, "can_read": False, "can_write": False})
    with unchanged(pair.a):
        with pytest.raises(UsageError, match="may not read"):
            known(pair.a, foreign)
        with pytest.raises(UsageError, match="may not write"):
            known(pair.a, foreign, write=True)


def test_a_name_is_one_collections_until_it_is_removed(pair: Pair, foreign: Wicked) -> None:
    known(pair.a, foreign)
    with Wicked() as other, pytest.raises(UsageError, match="another collection"):
        known(pair.a, other)
    row = remove_feed(pair.a, "siem")
    with pytest.raises(UsageError, match="no feed"):
        polled(pair.a)
    with pytest.raises(StateError, match="not held here"):
        secret_of(pair.a, row)


# What goes


def test_what_is_pushed_is_ours_and_stands_in_the_journal_before_it_leaves(either: Pair, foreign: Wicked) -> None:
    pair = either
    pair.release(pair.b, sighted(2, first=700, word="theirs"))
    pair.exchange()
    known(pair.a, foreign, write=True)
    polled(pair.a)
    ours = [*sighted(3, first=600), POISON]
    pair.a.import_file(AREA, bundle_of(*ours), place="by hand", map_id="")
    journalled: list[int] = []

    def take(asked: object) -> tuple[int, dict[str, str], bytes]:
        journalled.append(len(pair.a.db.journal_lines(PUSH)))
        return foreign._take(asked.body)  # type: ignore[attr-defined]

    foreign.scripts["POST", OBJECTS] = take
    assert waiting(pair.a, "siem").objects == 3
    done = pushed(pair.a)
    assert (done.objects, done.taken, done.failed, done.pending) == (3, 3, (), 0)
    assert sorted(foreign.took) == sorted(ours[:3]), "neither the partner's, nor what came by this feed, nor poison"
    assert journalled == [1]
    ((_, line),) = pair.a.db.journal_lines(PUSH)
    assert (json.loads(line)["count"], json.loads(line)["sha256"]) == (3, done.sha256[0])
    assert pushed(pair.a).objects == 0
    assert waiting(pair.a, "siem").objects == 0
    assert pushed(pair.a, since="2026-01-01T00:00Z").objects == 3


def test_a_feed_that_was_not_added_for_it_is_not_written_to(pair: Pair, foreign: Wicked) -> None:
    known(pair.a, foreign)
    with pytest.raises(UsageError, match="only read"):
        pushed(pair.a)
    with pytest.raises(UsageError, match="only read"):
        waiting(pair.a, "siem")


def test_failures_are_told_object_by_object_and_what_is_too_large_is_halved(pair: Pair, foreign: Wicked) -> None:
    ours = [*sighted(5, first=600), as_bytes(indicator(650, description="x" * 4000))]
    pair.a.import_file(AREA, bundle_of(*ours), place="by hand", map_id="")
    foreign.most_bytes = 1500
    known(pair.a, foreign, write=True)
    foreign.scripts["GET", "/api1/"] = lambda _: answer({"title": "it does not say what is too large", "versions": []})
    done = pushed(pair.a)
    assert (done.objects, done.taken) == (6, 5)
    assert [words.partition(":")[0] for words in done.failed] == [msgspec.json.decode(ours[5])["id"]]
    assert sorted(foreign.took) == sorted(ours[:5])


def test_an_object_for_which_an_envelope_is_refused_is_found(pair: Pair, foreign: Wicked) -> None:
    """OpenTAXII 0.9.3 answers 500 to an envelope that holds one object without `modified`."""
    ours = sighted(9, first=600)
    pair.a.import_file(AREA, bundle_of(*ours), place="by hand", map_id="")
    known(pair.a, foreign, write=True)

    def take(asked: object) -> tuple[int, dict[str, str], bytes]:
        body = asked.body  # type: ignore[attr-defined]
        return answer({}, 500) if ours[4] in body else foreign._take(body)

    foreign.scripts["POST", OBJECTS] = take
    done = pushed(pair.a)
    assert (done.taken, len(done.failed)) == (8, 1)
    assert sorted(foreign.took) == sorted(ours[:4] + ours[5:])


def test_a_push_that_is_cut_off_sends_nothing_twice(
    pair: Pair, foreign: Wicked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MOST_SENT", 2)
    ours = sighted(6, first=600)
    pair.a.import_file(AREA, bundle_of(*ours), place="by hand", map_id="")
    known(pair.a, foreign, write=True)
    count = [0]

    def take(asked: object) -> tuple[int, dict[str, str], bytes]:
        count[0] += 1
        return answer({}, 401) if count[0] == 2 else foreign._take(asked.body)  # type: ignore[attr-defined]

    foreign.scripts["POST", OBJECTS] = take
    with pytest.raises(TaxiiError):
        pushed(pair.a)
    assert pushed(pair.a).objects == 4
    assert sorted(foreign.took) == sorted(ours)


# node.db


def test_a_database_without_feeds_gains_the_table_and_keeps_all_else(pair: Pair) -> None:
    code = pair.codes[0]
    before = rows(pair.a)
    folder = pair.a.folder
    pair.a.db.raw.execute("DROP TABLE feed")
    pair.a.db.raw.execute("PRAGMA user_version = 3")
    pair.shut(code)
    assert rows(pair.open(code)) == before
    pair.a.db.raw.execute("PRAGMA user_version = 5")
    pair.shut(code)
    with pytest.raises(StoreError, match="schema version 5"):
        Node(folder, AREAS, in_process, passphrase=PASSPHRASE)
