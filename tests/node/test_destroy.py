"""What is destroyed is in no file of either node and no key that is left opens it, also not from a backup.

Both registers say so, with witnesses where the level asks for them, and only once nothing made from it is out. A crash
at any point leaves nothing done, or something that the next opening finishes.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from stix_objects import bundle_of

from entente.errors import EntenteError, FrozenError, RefusedError, StateError, UsageError
from entente.keys import SoftSigner
from entente.node.node import Node
from entente.node.order import Remark
from entente.node.propose import Wish
from entente.node.verify import verify_folders
from entente.store.act_rows import BEGUN, DONE
from entente.treaty.marking import MarkingMap
from lab.acts import crashed, derived, found_in, give_back, openable, ordered, reopened, sweep
from lab.killing import load_script
from lab.pair import AREA, Pair, answers, copy_of, put_back, revoke, sighted, unchanged

CANARY = b"canary-in-the-mine"
PIECES = (CANARY, b"canary-in", b"in-the-mine")
WITNESSES = ("sen", "rao")


def release(pair: Pair, level: str = "") -> str:
    """A release with the canary in it, received; returns its rid."""
    rid = pair.approved(pair.a, sighted(word=CANARY.decode()), level=level)
    pair.a.dispatch([rid])
    pair.exchange()
    assert pair.b.view.bodies(rid)
    return rid


def secret(pair: Pair) -> str:
    """The lowest level at which the receiver wants witnesses, in the sender's words."""
    law = pair.a.law.law
    wanted = law.party[pair.b.party].witnesses_from
    return next(row.level for row in law.rows[pair.a.party].values() if row.equivalent == wanted)


def people(pair: Pair, *names: str) -> list[tuple[str, SoftSigner]]:
    return [pair.of(pair.b, name) for name in names]


def locked(node: Node, rid: str) -> list[bytes]:
    """The bytes under which the keys of a release rest."""
    record = node.keys.raw.execute("SELECT locked FROM record_key WHERE name = ?", [rid]).fetchall()
    wrapped = node.keys.raw.execute("SELECT data FROM wrapped WHERE rid = ?", [rid]).fetchall()
    return [bytes(row[0]) for row in (*record, *wrapped)]


def backups(pair: Pair) -> list[Path]:
    """What a careful operator has of both nodes: node.db, blobs, served files; never keys."""
    found = []
    for code, node in pair.nodes.items():
        to = pair.folder / f"backup-{code}"
        copy_of(node.folder, "node.db", to)
        shutil.copytree(node.folder / "blobs", to / "blobs")
        shutil.copytree(node.folder / "served", to / "served")
        found.append(to)
    return found


def verified(pair: Pair) -> None:
    folders = {code: pair.folder / code for code in pair.codes}
    assert verify_folders(folders).faults == []
    script = load_script()
    for folder in folders.values():
        assert script.verify(folder).failed == 0


def ended(pair: Pair, rid: str, outcome: str) -> None:
    """Both registers say that it ended so, and nothing of it is left at either node or can be opened."""
    for node in pair.nodes.values():
        fact = node.pair.sides[pair.codes[0]].release(rid)
        assert fact is not None
        assert [given.outcome for given in fact.answers][-1] == outcome
        assert node.state_of(fact) == "ended"
        assert node.keys.key(rid) is None
        assert not node.blobs.holds(fact.blob)
        assert [row.state for row in node.db.erasures()] == [DONE]
        assert not node.side.invalid


def test_an_order_to_destroy_leaves_no_byte_and_no_key_anywhere(either: Pair) -> None:
    rid = release(either)
    old = backups(either)
    assert found_in(either.a.folder, *PIECES)
    assert found_in(either.b.folder, *PIECES)
    assert openable(either.b, *old), "before, a backup's blob can be opened with the node's keys"
    keys = [key for node in either.nodes.values() for key in locked(node, rid)]
    assert len(keys) == 3, "a record key at each node, a wrapped one at the sender"
    assert all(found_in(node.folder, *keys) for node in either.nodes.values())
    ordered(either, either.a, rid, "destroy")
    either.exchange()
    assert found_in(either.b.folder, *PIECES), "it waits for persons"
    either.b.destroy(rid)
    either.exchange()
    ended(either, rid, "destroyed")
    for node in either.nodes.values():
        assert not found_in(node.folder, *PIECES, *keys)
        assert not openable(node, node.folder / "blobs", *old)
    order = either.a.side.releases[0].orders[0]
    assert [given.outcome for given in either.a.side.order_answers[order.idx]] == ["destroyed"]
    assert not either.b.db.pending(either.b.logs[either.a.party])
    for code in either.codes:
        assert not found_in(either.shut(code), *PIECES)
        either.open(code)
    verified(either)


def test_a_party_may_destroy_without_an_order_and_the_originator_drops_its_sealed_copy(either: Pair) -> None:
    rid = release(either)
    either.b.destroy(rid[:12])
    assert either.a.keys.key(rid) is not None
    either.exchange()
    ended(either, rid, "destroyed")
    assert not found_in(either.b.folder, *PIECES)
    assert found_in(either.a.folder, CANARY), "the originator's own import is its own"
    verified(either)


def test_one_release_is_destroyed_and_the_others_stay(either: Pair) -> None:
    first = release(either)
    other = either.release(either.a, sighted(word="harmless", first=9)).rid
    either.exchange()
    either.b.destroy(first)
    either.exchange()
    assert not found_in(either.b.folder, *PIECES)
    assert either.b.view.bodies(other)
    assert either.b.keys.key(other)
    assert either.a.state_of(either.a.side.releases[1]) == "received"


# Witnesses


def test_from_a_level_on_it_takes_witnesses_who_sign_the_answer(pair: Pair) -> None:
    rid = release(pair, secret(pair))
    assert pair.b.ending(rid, "destroyed").witnesses == 2
    wrong = [
        (people(pair), "0 of 2"),
        (people(pair, "sen"), "1 of 2"),
        (people(pair, "nair", "nair.two"), "signed already"),
        (people(pair, "nair", "twin"), "signed already"),
        ([pair.of(pair.a, "nair"), *people(pair, "sen")], "not certified"),
    ]
    for given, words in wrong:
        with unchanged(pair.b), pytest.raises(RefusedError, match=words):
            pair.b.destroy(rid, given)
    assert found_in(pair.b.folder, CANARY)
    revoke(pair, pair.b, "rao")
    with pytest.raises(RefusedError, match="not certified"):
        pair.b.destroy(rid, people(pair, *WITNESSES))
    pair.b.destroy(rid, people(pair, "sen", "iyer"))
    pair.exchange()
    ended(pair, rid, "destroyed")
    verified(pair)


def test_below_that_level_and_where_nobody_asks_none_is_needed(either: Pair) -> None:
    rid = release(either)
    assert either.b.ending(rid, "destroyed").witnesses == 0
    either.b.destroy(rid, people(either, "sen"))
    either.exchange()
    ended(either, rid, "destroyed")


def test_the_level_that_counts_is_the_current_one(pair: Pair) -> None:
    rid = release(pair)
    ordered(pair, pair.a, rid, "reclass", Remark(level=secret(pair)))
    pair.exchange()
    assert pair.b.ending(rid, "destroyed").witnesses == 2


# What is out


def test_it_is_refused_while_a_copy_is_out(either: Pair) -> None:
    rid = release(either)
    copy = either.b.make_copy(rid, "desk 1", "room 5")
    with unchanged(either.b), pytest.raises(StateError, match="copies are out: 1"):
        either.b.destroy(rid)
    either.b.close_copy(rid, copy.n)
    either.b.destroy(rid)
    either.exchange()
    ended(either, rid, "destroyed")
    assert either.a.side.releases[0].answers[-1].copies == 1
    with pytest.raises(StateError, match="not held"):
        either.b.make_copy(rid, "desk 1", "room 5")


def test_copies_are_numbered_and_no_more_than_the_release_allows(pair: Pair) -> None:
    rid = release(pair)
    node = pair.b
    made = node.make_copy(rid, "Cdr. Example", "room 5")
    assert (made.n, made.closed) == (1, "")
    with unchanged(node), pytest.raises(RefusedError, match="1 of 1") as told:
        node.make_copy(rid, "another", "room 6")
    assert told.value.place.startswith("Art. ")
    node.close_copy(rid, 1)
    with unchanged(node), pytest.raises(RefusedError):
        node.make_copy(rid, "another", "room 6")
    for number in (0, 1, 2):
        with unchanged(node), pytest.raises(StateError):
            node.close_copy(rid, number)
    for holder, place in (("", "room"), ("name", " "), ("x" * 201, "room"), ("line\nfeed", "room")):
        with unchanged(node), pytest.raises(EntenteError):
            node.make_copy(rid, holder, place)
    with pytest.raises(UsageError):
        pair.a.make_copy(rid, "the sender", "has none")


def test_it_is_refused_while_a_release_of_ours_made_from_it_is_live(either: Pair) -> None:
    rid = release(either)
    own = derived(either, either.b, rid)
    either.exchange()
    with unchanged(either.b), pytest.raises(StateError, match=own[:16]):
        either.b.destroy(rid)
    ordered(either, either.b, own, "withdraw")
    either.b.destroy(rid)
    either.exchange()
    ended_fact = either.a.side.release(rid)
    assert ended_fact is not None
    assert either.a.state_of(ended_fact) == "ended"


# Return


def test_it_is_given_back_only_once_the_originator_has_received_the_return(either: Pair) -> None:
    rid = release(either)
    ordered(either, either.a, rid, "return")
    either.exchange()
    with pytest.raises(StateError, match="ordered: return"):
        either.b.destroy(rid)
    with unchanged(either.b), pytest.raises(StateError, match="received it back"):
        either.b.give_back(rid)
    either.b.propose(rid, Wish(f"{either.b.party}/rao"))  # a draft that never leaves has the same bytes
    back = give_back(either, either.b, rid)
    with pytest.raises(StateError, match="on its way back"):
        either.b.give_back(rid)
    either.exchange()
    fact = either.b.side.release(back)
    assert fact is not None
    assert either.b.state_of(fact) == "received"
    assert found_in(either.b.folder, *PIECES)
    either.b.give_back(rid)
    assert not found_in(either.b.folder, *PIECES)
    assert not openable(either.b, either.b.folder / "blobs")
    either.exchange()
    found = either.a.side.release(rid)
    assert found is not None
    assert either.a.state_of(found) == "ended"
    assert either.b.view.holding(rid) is None
    assert either.b.keys.key(rid) is None
    order = found.orders[0]
    assert [given.outcome for given in either.a.side.order_answers[order.idx]] == ["returned"]
    verified(either)


def test_what_is_ordered_destroyed_is_not_given_back(pair: Pair) -> None:
    rid = release(pair)
    give_back(pair, pair.b, rid)
    pair.exchange()
    ordered(pair, pair.a, rid, "destroy")
    pair.exchange()
    with pytest.raises(StateError, match="ordered: destroy"):
        pair.b.give_back(rid)


def test_it_ends_once_and_only_at_its_receiver(pair: Pair) -> None:
    rid = release(pair)
    with pytest.raises(UsageError):
        pair.a.destroy(rid)
    pair.b.destroy(rid)
    with unchanged(pair.b), pytest.raises(StateError, match="ended already"):
        pair.b.destroy(rid)
    with pytest.raises(UsageError):
        pair.b.destroy("ff" * 32)
    assert [outcome for outcome, _ in answers(pair.b)] == ["received", "destroyed"]


def test_a_frozen_node_destroys_nothing(pair: Pair) -> None:
    rid = release(pair)
    saved = pair.folder / "saved"
    copy_of(pair.b.folder, "node.db", saved)
    pair.release(pair.a, sighted(first=9))
    pair.exchange()
    put_back(pair, pair.b.party, "node.db", saved=saved)
    assert pair.b.frozen
    with unchanged(pair.b), pytest.raises(FrozenError):
        pair.b.destroy(rid)
    assert pair.b.view.bodies(rid)


# Crashes


def test_a_crash_before_any_act_on_disk_is_finished_by_the_next_opening(pair: Pair) -> None:
    rid = release(pair)
    ordered(pair, pair.a, rid, "destroy")
    pair.exchange()
    first, second = pair.codes

    def check(folder: Path) -> None:
        node = reopened(pair, folder, second)
        begun = bool(node.db.erasures())
        if begun:
            assert [row.state for row in node.db.erasures()] == [DONE]
            assert not found_in(node.folder, *PIECES)
            assert node.keys.key(rid) is None
        else:
            assert node.view.bodies(rid)
            node.destroy(rid)
        assert [outcome for outcome, _ in answers(node)] == ["received", "destroyed"]
        other = reopened(pair, folder, first)
        other.pull()
        fact = other.side.release(rid)
        assert fact is not None
        assert other.state_of(fact) == "ended"
        for each in (node, other):
            each.close()
            assert not found_in(each.folder, *PIECES)
        assert verify_folders({code: folder / code for code in pair.codes}).faults == []

    assert sweep(pair, lambda node: node.destroy(rid), check, second) > 10


def test_a_crash_at_the_originator_that_folds_the_answer_is_finished_too(pair: Pair) -> None:
    rid = release(pair)
    pair.b.destroy(rid)
    first, _ = pair.codes

    def check(folder: Path) -> None:
        node = reopened(pair, folder, first)
        node.pull()
        assert [(row.rid, row.state) for row in node.db.erasures()] == [(rid, DONE)]
        assert node.keys.key(rid) is None
        fact = node.side.release(rid)
        assert fact is not None
        assert not node.blobs.holds(fact.blob)
        node.close()
        assert verify_folders({code: folder / code for code in pair.codes}).faults == []

    assert sweep(pair, lambda node: node.pull(), check, first) > 10


def test_what_was_begun_and_can_no_longer_be_witnessed_waits_for_new_witnesses(pair: Pair) -> None:
    rid = release(pair, secret(pair))
    handles = people(pair, "brief", "sen")
    code = pair.codes[1]
    folder = pair.shut(code)

    def run(set_fuse: Callable[[int], None]) -> None:
        node = reopened(pair, pair.folder, code)
        set_fuse(4)
        node.destroy(rid, handles)

    assert crashed(folder, run)
    pair.clock.forward(days=3)
    node = pair.open(code)
    anew = people(pair, "iyer", "sen")
    with pytest.raises(FrozenError):
        node.destroy(rid, anew)
    node.confirm(anew)
    node.pull()
    (row,) = node.db.erasures()
    assert row.state == BEGUN, "its witness's certificate ran out"
    assert node.keys.key(rid) is None
    node.destroy(rid, anew)
    pair.exchange()
    ended(pair, rid, "destroyed")


def test_an_order_that_crossed_the_end_is_answered_like_it(either: Pair) -> None:
    rid = release(either)
    either.b.destroy(rid)
    ordered(either, either.a, rid, "destroy")
    either.exchange()
    ended(either, rid, "destroyed")
    order = either.a.side.releases[0].orders[0]
    assert [given.outcome for given in either.a.side.order_answers[order.idx]] == ["destroyed"]
    assert not either.b.db.pending(either.b.logs[either.a.party])
    verified(either)


def test_what_never_came_is_not_given_back_but_answered_destroyed(either: Pair) -> None:
    rid = either.release(either.a).rid
    either.b.pull()
    either.a.pull()
    ordered(either, either.a, rid, "return")
    either.a.served.delete(f"key/{rid}")
    either.b.pull()
    assert either.b.keys.key(rid) is None
    with pytest.raises(StateError):
        either.b.give_back(rid)
    either.b.destroy(rid)
    either.a.pull()
    fact = either.a.side.release(rid)
    assert fact is not None
    assert either.a.state_of(fact) == "ended"


def test_drafts_made_from_it_go_with_it(either: Pair) -> None:
    rid = release(either)
    node = either.b
    draft = node.propose(rid, Wish(f"{node.party}/rao")).rid
    assert set(node.ending(rid, "destroyed").what.keys) == {rid, draft}
    node.destroy(rid)
    assert not openable(node, node.folder / "blobs")
    row = node.db.draft(draft)
    assert row is not None
    assert row.state == "drafted"
    with pytest.raises(EntenteError):
        either.approve(node, draft, "nair")


def test_a_withdrawn_release_made_from_it_goes_with_it_and_so_does_its_import(either: Pair) -> None:
    rid = release(either)
    node = either.b
    map_id = node.sign_map(MarkingMap(node.law.hash, AREA, (), either.marking(node)), [either.of(node, "iyer")])
    data = bundle_of(*sighted(word=f"more on {CANARY.decode()}", first=20))
    source = node.import_file(AREA, data, place="made", map_id=map_id).source
    own = node.propose(source, Wish(f"{node.party}/rao", parents=(rid,))).rid
    either.approve(node, own, "nair")
    if (node.law.law.areas[AREA].approvals or 0) > 1:
        either.approve(node, own, "iyer", "security")
    node.dispatch([own])
    either.exchange()
    with pytest.raises(StateError, match="live"):
        node.destroy(rid)
    ordered(either, node, own, "withdraw")
    assert node.ending(rid, "destroyed").what.sources == (source,)
    node.destroy(rid)
    assert not found_in(node.folder, *PIECES)
    assert not openable(node, node.folder / "blobs")
    either.exchange()
    verified(either)
