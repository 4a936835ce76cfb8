"""The start gate, row by row: a node that is behind, lost or doubled signs nothing until it is whole again.

Source: design core-spec, start gate and Clock.
"""

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pysqlite3.dbapi2 as sqlite
import pytest

from entente.app import AREAS
from entente.errors import (
    EntenteError,
    ForkError,
    FrozenError,
    KeyUnavailableError,
    StoreError,
)
from entente.node.node import Node
from lab.cheat import Cheat
from lab.pair import (
    PASSPHRASE,
    Pair,
    Tampered,
    answers,
    copy_of,
    gone,
    heads,
    in_process,
    put_back,
    sighted,
    signs_nothing,
    unchanged,
)


def test_a_frozen_node_dispatches_nothing(pair: Pair, tmp_path: Path) -> None:
    """The restored sender has an approved draft and may not enter it; the partner knows nothing of it."""
    rid = pair.approved(pair.a)
    saved = copy_of(pair.a.folder, "node.db", tmp_path / "backup").parent
    pair.release(pair.a, sighted(first=5))
    pair.exchange()
    put_back(pair, "IND", "node.db", saved=saved)
    with unchanged(pair.a), pytest.raises(FrozenError):
        pair.a.dispatch([rid])


def test_an_import_made_again_after_a_restore_can_be_proposed(pair: Pair, tmp_path: Path) -> None:
    """node.db was restored from before an import, keys.db was not: the same file is imported again, and crosses."""
    saved = copy_of(pair.a.folder, "node.db", tmp_path / "backup").parent
    pair.propose(pair.a, sighted())
    put_back(pair, "IND", "node.db", saved=saved)
    done = pair.release(pair.a, sighted())
    pair.exchange()
    assert answers(pair.b) == [("received", [[done.idx, done.idx]])]


def test_an_older_database_is_read_only_and_heals_from_the_partner(pair: Pair, tmp_path: Path) -> None:
    """Restored: read-only, both know what they knew.

    After one pull both hold every entry again, and a new one crosses.
    """
    saved = copy_of(pair.a.folder, "node.db", tmp_path / "backup").parent
    first = pair.release(pair.a)
    pair.exchange()
    whole = heads(pair.a)
    put_back(pair, "IND", "node.db", saved=saved)
    assert pair.a.frozen
    signs_nothing(pair, pair.a)
    pair.a.pull()
    assert not pair.a.frozen
    assert heads(pair.a) == whole
    second = pair.release(pair.a, sighted(first=5))
    pair.exchange()
    assert second.number == first.number + 1
    assert answers(pair.b) == [("received", [[done.idx, done.idx]]) for done in (first, second)]


def test_an_older_database_of_the_receiver_answers_nothing_twice(pair: Pair, tmp_path: Path) -> None:
    """Restored: read-only. After a pull both hold every entry again; each release has one answer still."""
    done = pair.release(pair.a)
    pair.exchange()
    saved = copy_of(pair.b.folder, "node.db", tmp_path / "backup").parent
    later = pair.release(pair.a, sighted(first=5))
    pair.exchange()
    whole = heads(pair.b)
    put_back(pair, "KOR", "node.db", saved=saved)
    signs_nothing(pair, pair.b)
    pair.exchange()
    assert heads(pair.b) == whole
    assert answers(pair.b) == [("received", [[found.idx, found.idx]]) for found in (done, later)]


def test_a_node_that_lost_its_last_entries_before_the_partner_had_them_stays_read_only(
    pair: Pair, tmp_path: Path
) -> None:
    """Nobody has the rest: the restored node signs nothing, after pulls and restarts too.

    The partner knows nothing of it.
    """
    saved = copy_of(pair.a.folder, "node.db", tmp_path / "backup").parent
    pair.release(pair.a)
    shutil.rmtree(pair.a.folder / "served")  # the disk was lost
    put_back(pair, "IND", "node.db", saved=saved)
    for _ in range(2):
        with pytest.raises(EntenteError):
            pair.a.pull()
        signs_nothing(pair, pair.a)
        pair.open("IND")


def test_a_partner_without_our_entries_leaves_the_older_node_read_only(pair: Pair, tmp_path: Path) -> None:
    """The restored node waits, signing nothing, while the partner's mirror is away; then it heals."""
    saved = copy_of(pair.a.folder, "node.db", tmp_path / "backup").parent
    pair.release(pair.a)
    pair.exchange()
    shutil.rmtree(pair.a.folder / "served")  # the disk was lost
    put_back(pair, "IND", "node.db", saved=saved)
    for pattern in ("mirror/checkpoint", "mirror/tile/*", "own/checkpoint", "*"):
        with pytest.raises(EntenteError):
            pair.a.pull(Tampered(pair.tree(pair.b), (pattern, gone)))
        signs_nothing(pair, pair.a)
    pair.a.pull()
    assert not pair.a.frozen


def test_a_whole_folder_restored_heals_before_it_signs(pair: Pair, tmp_path: Path) -> None:
    """heads.db was restored too, against the rule.

    The partner's mirror shows the loss, and after the pull both agree.
    """
    for name in ("node.db", "heads.db"):
        copy_of(pair.a.folder, name, tmp_path / "backup")
    done = pair.release(pair.a)
    pair.exchange()
    whole = heads(pair.a)
    put_back(pair, "IND", "node.db", "heads.db", saved=tmp_path / "backup")
    pair.a.pull()
    assert heads(pair.a) == whole
    assert pair.a.side.invalid == []
    assert pair.a.other_side.invalid == []
    assert [given.outcome for given in pair.a.side.releases[done.number - 1].answers] == ["received"]


def test_a_node_that_has_seen_that_it_is_behind_signs_nothing_until_it_is_whole(pair: Pair, tmp_path: Path) -> None:
    """The partner's cosignature names entries that this node lacks and cannot fetch.

    It must not sign a second history.
    """
    for name in ("node.db", "heads.db"):
        copy_of(pair.a.folder, name, tmp_path / "backup")
    pair.release(pair.a)
    pair.exchange()
    put_back(pair, "IND", "node.db", "heads.db", saved=tmp_path / "backup")
    with pytest.raises(EntenteError):
        pair.a.pull(Tampered(pair.tree(pair.b), ("mirror/tile/*", gone)))
    signs_nothing(pair, pair.a)
    pair.open("IND")
    signs_nothing(pair, pair.a)
    pair.a.pull()
    assert not pair.a.frozen


def test_lost_heads_mean_read_only_until_the_partner_is_seen(pair: Pair) -> None:
    """heads.db gone: read-only, after a restart too. Once the partner's mirror was seen, a new release crosses."""
    first = pair.release(pair.a)
    pair.exchange()
    folder = pair.shut("IND")
    for path in folder.glob("heads.db*"):
        path.unlink()
    for _ in range(2):
        pair.open("IND")
        signs_nothing(pair, pair.a)
    with pytest.raises(EntenteError):
        pair.a.pull(Tampered(pair.tree(pair.b), ("*", gone)))
    signs_nothing(pair, pair.a)
    pair.a.pull()
    assert not pair.a.frozen
    second = pair.release(pair.a, sighted(first=5))
    pair.exchange()
    assert answers(pair.b) == [("received", [[done.idx, done.idx]]) for done in (first, second)]


def test_lost_heads_are_not_given_back_by_a_stranger(pair: Pair, tmp_path: Path) -> None:
    """heads.db gone: a tree without the partner's cosignature does not make the node sign again."""
    pair.release(pair.a)
    pair.exchange()
    folder = pair.shut("IND")
    for path in folder.glob("heads.db*"):
        path.unlink()
    pair.open("IND")
    for tree in (
        Tampered(pair.tree(pair.b), ("mirror/*", gone)),
        Tampered(pair.tree(pair.b), ("mirror/checkpoint", lambda data: data and data.rpartition("\u2014".encode())[0])),
    ):
        with pytest.raises(EntenteError):
            pair.a.pull(tree)
        signs_nothing(pair, pair.a)
    assert tmp_path.exists()


def test_a_database_ahead_of_its_heads_starts_and_signs(pair: Pair, tmp_path: Path) -> None:
    """An older heads.db: node.db extends it, so the node goes on; both know one more release, received."""
    copy_of(pair.a.folder, "heads.db", tmp_path / "backup")
    pair.release(pair.a)
    pair.exchange()
    put_back(pair, "IND", "heads.db", saved=tmp_path / "backup")
    assert not pair.a.frozen
    done = pair.release(pair.a, sighted(first=5))
    pair.exchange()
    assert answers(pair.b)[-1] == ("received", [[done.idx, done.idx]])


def test_another_history_than_the_signed_one_is_frozen(pair: Pair, tmp_path: Path) -> None:
    """node.db has as many entries as were signed, but others: nothing is signed, now or after a pull."""
    copy_of(pair.a.folder, "heads.db", tmp_path / "backup")
    copy_of(pair.a.folder, "node.db", tmp_path / "backup")
    pair.release(pair.a)
    copy_of(pair.a.folder, "heads.db", tmp_path / "ahead")
    put_back(pair, "IND", "node.db", "heads.db", saved=tmp_path / "backup")
    pair.release(pair.a, sighted(first=5))
    put_back(pair, "IND", "heads.db", saved=tmp_path / "ahead")
    assert "another history" in pair.a.frozen
    signs_nothing(pair, pair.a)
    with suppress(EntenteError):
        pair.a.pull()
    signs_nothing(pair, pair.a)


def test_a_node_that_signed_two_histories_is_frozen_by_the_partners_copy(pair: Pair, tmp_path: Path) -> None:
    """The restored node signed anew before it looked: the partner sees a fork and so does it; both keep both notes."""
    for name in ("node.db", "heads.db"):
        copy_of(pair.a.folder, name, tmp_path / "backup")
    pair.release(pair.a)
    pair.exchange()
    put_back(pair, "IND", "node.db", "heads.db", saved=tmp_path / "backup")
    pair.release(pair.a, sighted(first=5))
    with pytest.raises(ForkError):
        pair.b.pull()
    with pytest.raises(EntenteError):
        pair.a.pull()
    signs_nothing(pair, pair.b)
    signs_nothing(pair, pair.a)
    assert len(list((pair.b.folder / "evidence").iterdir())) == 2


def test_two_processes_cannot_open_one_node(pair: Pair) -> None:
    """The second process is told so and has changed nothing; the first goes on."""
    code = (
        "import sys; from pathlib import Path; from entente.app import AREAS, validate\n"
        "from entente.errors import StoreError; from entente.node.node import Node\n"
        "try: Node(Path(sys.argv[1]), AREAS, validate)\n"
        "except StoreError as fault: print(fault.explain()); sys.exit(7)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(pair.a.folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 7, done.stderr
    assert "another process" in done.stdout
    pair.release(pair.a)
    pair.exchange()


def test_a_wrong_passphrase_leaves_the_node_free_to_be_opened(pair: Pair) -> None:
    """The node is told by its passphrase only; after a wrong one the right one opens it, in the same process too."""
    folder = pair.shut("IND")
    with pytest.raises(KeyUnavailableError):
        Node(folder, AREAS, in_process, passphrase=b"wrong", clock=pair.clock)
    Node(folder, AREAS, in_process, passphrase=PASSPHRASE, clock=pair.clock).close()


def test_a_damaged_entry_in_the_database_is_named_at_the_start(pair: Pair) -> None:
    """The node does not open on entries that do not give its head; it says so and signs nothing."""
    folder = pair.shut("IND")
    raw = sqlite.connect(str(folder / "node.db"))
    raw.execute(
        "UPDATE segment SET data = CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB) WHERE place % (1 << 40) = 0"
    )
    raw.commit()
    raw.close()
    with pytest.raises(StoreError):
        pair.open("IND")


def test_a_file_that_is_no_database_is_named_at_the_start(pair: Pair) -> None:
    """The node does not open and says which file it is."""
    folder = pair.shut("IND")
    for path in folder.glob("node.db*"):
        path.unlink()
    (folder / "node.db").write_bytes(b"not a database at all, " * 400)
    with pytest.raises(StoreError, match=r"node\.db"):
        pair.open("IND")


def test_an_old_sqlite_is_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node does not open on an SQLite that carries the WAL-reset bug; its files are as they were."""
    pair.shut("IND")
    monkeypatch.setattr(sqlite, "sqlite_version_info", (3, 40, 1))
    monkeypatch.setattr(sqlite, "sqlite_version", "3.40.1")
    with pytest.raises(StoreError, match="WAL-reset"):
        pair.open("IND")


def test_a_clock_that_fell_back_signs_nothing_until_it_is_right(pair: Pair) -> None:
    """An hour back: read-only, with both times in the words. Set right.

    The release crosses and both know it received.
    """
    rid = pair.approved(pair.a)
    pair.exchange()
    pair.clock.forward(hours=2)
    pair.release(pair.a, sighted(first=5))
    pair.clock.forward(hours=-1)
    with pytest.raises(FrozenError, match="clock"):
        pair.a.dispatch([rid])
    with pytest.raises(FrozenError):
        pair.a.append([])
    pair.open("IND")
    with pytest.raises(FrozenError):
        pair.a.dispatch([rid])
    pair.clock.forward(hours=1)
    pair.a.dispatch([rid])
    pair.exchange()
    assert [given.outcome for fact in pair.a.side.releases for given in fact.answers] == ["received", "received"]


def test_four_minutes_back_are_forgiven(pair: Pair) -> None:
    """Clocks are set by seconds and minutes; a node four minutes back goes on and both know its release."""
    pair.clock.forward(minutes=10)
    pair.release(pair.a)
    pair.clock.forward(minutes=-4)
    pair.release(pair.a, sighted(first=5))
    pair.exchange()
    assert len(pair.b.other_side.releases) == 2


def test_a_clock_a_year_ahead_after_a_stop_signs_nothing_until_confirmed(pair: Pair) -> None:
    """More than a day since the last signature, at a restart.

    Read-only until the partner or persons confirm the time.
    """
    pair.release(pair.a)
    pair.exchange()
    pair.shut("IND")
    pair.clock.forward(days=20)
    pair.open("IND")
    with pytest.raises(FrozenError):
        pair.release(pair.a)


@pytest.mark.parametrize("name", ["own/checkpoint", "mirror/checkpoint", "own/tile/entries/000.p/*"])
def test_a_damaged_served_tree_does_not_keep_an_older_node_from_healing(pair: Pair, tmp_path: Path, name: str) -> None:
    """Our own files cannot heal us; the partner's can, and do at the same pull."""
    saved = copy_of(pair.a.folder, "node.db", tmp_path / "backup").parent
    pair.release(pair.a)
    pair.exchange()
    size = pair.a.side.size
    put_back(pair, "IND", "node.db", saved=saved)
    (path,) = (pair.a.folder / "served").glob(name)
    path.write_bytes(b"garbage\n" * 20)
    pair.a.pull()
    pair.a.check_may_sign()
    assert pair.a.side.size == size


def test_evidence_of_a_fork_survives_a_failed_batch(pair: Pair) -> None:
    """A frozen node is frozen after whatever else goes wrong; the partner gets no entry from it."""
    cheat = Cheat(pair, pair.a)
    pair.release(pair.a)
    pair.exchange()
    cheat.order("11" * 32)
    with pytest.raises(ForkError):
        pair.b.pull(cheat.publish())
    pair.b.reload()
    signs_nothing(pair, pair.b)
