"""An order comes from the originator alone, and is carried out at the sender down to the last byte.

Withdrawn before it was stored: its key was never served and is nowhere. Destroyed: neither the sealed copy nor the
import it was drawn from can be read again at the sender, unless the import was to be kept or something draws on it.
"""

import shutil
from pathlib import Path

import pytest

from entente.account.cascade import current_marking
from entente.errors import EntenteError, RefusedError, StateError, StoreError, UsageError
from entente.node.order import Remark, order_body
from entente.node.propose import Wish
from entente.node.verify import verify_folders
from entente.store.act_rows import BEGUN
from lab.acts import SIGNERS, found_in, openable, ordered, prepared, reopened, sweep
from lab.killing import load_script
from lab.pair import Pair, files, sighted

CANARY = b"canary-in-the-mine"


def verified(pair: Pair) -> None:
    """Both verifiers find nothing to complain of."""
    folders = {code: pair.folder / code for code in pair.codes}
    assert verify_folders(folders).faults == []
    script = load_script()
    for folder in folders.values():
        assert script.verify(folder).failed == 0


def canary(pair: Pair) -> tuple[str, str]:
    """A release whose records hold the canary: its rid and its import."""
    rid = pair.release(pair.a, sighted(word=CANARY.decode())).rid
    draft = pair.a.db.draft(rid)
    assert draft is not None
    return rid, draft.source


def test_withdrawn_before_it_was_stored_its_key_and_blob_are_nowhere(either: Pair) -> None:
    rid, _ = canary(either)
    node = either.a
    fact = node.side.release(rid)
    assert fact is not None
    saved = either.folder / "saved"
    shutil.copytree(node.folder / "blobs", saved)
    ordered(either, node, rid, "withdraw")
    assert node.keys.key(rid) is None
    assert node.keys.wrapped(rid) is None
    assert not node.blobs.holds(fact.blob)
    assert not any(rid in path or fact.blob in path for path in files(node.folder / "served"))
    assert not any(fact.blob in line for line in openable(node, saved))
    either.exchange()
    assert either.b.keys.key(rid) is None
    assert either.b.view.holding(rid) is None
    assert node.state_of(fact) == "withdrawn"
    verified(either)


def test_withdrawn_after_it_was_stored_it_is_served_no_more_and_stays_as_evidence(either: Pair) -> None:
    rid, _ = canary(either)
    either.exchange()
    node = either.a
    fact = node.side.release(rid)
    assert fact is not None
    ordered(either, node, rid, "withdraw")
    assert not any(rid in path or fact.blob in path for path in files(node.folder / "served"))
    assert node.keys.key(rid) is not None
    either.exchange()
    again = node.side.release(rid)
    assert again is not None
    assert [given.outcome for given in either.a.side.order_answers[again.orders[0].idx]] == ["applied"]
    verified(either)


def test_an_order_to_destroy_leaves_nothing_of_release_and_import_at_the_sender(either: Pair) -> None:
    rid, source = canary(either)
    either.exchange()
    saved = either.folder / "saved"
    shutil.copytree(either.a.folder / "blobs", saved)
    assert found_in(either.a.folder, CANARY), "the search can find it"
    assert openable(either.a, saved), "a key opens it"
    ordered(either, either.a, rid, "destroy")
    assert not found_in(either.a.folder, CANARY)
    assert not openable(either.a, saved, either.a.folder / "blobs")
    assert either.a.db.source(source) is None
    either.open(either.codes[0])
    assert not found_in(either.a.folder, CANARY)
    verified(either)


def test_the_import_is_kept_if_that_was_asked(either: Pair) -> None:
    rid, source = canary(either)
    ordered(either, either.a, rid, "destroy", keep_import=True)
    assert either.a.keys.key(rid) is None
    assert either.a.propose(source, Wish(f"{either.a.party}/rao")).kept == 2


def test_the_import_stays_while_a_draft_or_another_release_draws_on_it(pair: Pair) -> None:
    rid, source = canary(pair)
    node = pair.a
    other = node.propose(source, Wish(f"{node.party}/rao")).rid
    ordered(pair, node, rid, "destroy")
    assert node.db.source(source) is not None
    pair.approve(node, other, "nair")
    pair.approve(node, other, "iyer", "security")
    node.dispatch([other])
    assert found_in(node.folder, CANARY)
    ordered(pair, node, other, "destroy")
    assert node.db.source(source) is None
    assert not found_in(node.folder, CANARY)


def test_what_was_destroyed_can_be_imported_and_released_anew(pair: Pair) -> None:
    rid, _ = canary(pair)
    ordered(pair, pair.a, rid, "destroy")
    again, _ = canary(pair)
    assert again != rid
    pair.exchange()
    assert pair.a.state_of(pair.a.side.releases[1]) == "received"


def test_an_order_to_return_is_served_on_until_it_is_answered(pair: Pair) -> None:
    rid, _ = canary(pair)
    pair.exchange()
    ordered(pair, pair.a, rid, "return")
    assert any(rid in path for path in files(pair.a.folder / "served"))
    pair.exchange()
    (row,) = pair.b.db.pending(pair.b.logs[pair.a.party])
    assert row.kind == "act"


# Reclassification


def test_a_reclassification_keeps_originator_and_purpose_and_is_applied(either: Pair) -> None:
    rid, _ = canary(either)
    either.exchange()
    node, law = either.a, either.a.law.law
    level = sorted(law.rows[node.party], key=law.ranks[node.party].__getitem__)[1]
    ordered(either, node, rid, "reclass", Remark(level=level))
    either.exchange()
    for each in either.nodes.values():
        fact = each.pair.sides[node.party].releases[0]
        mark = current_marking(each.pair, each.pair.sides[node.party], fact, each.laws).marking
        assert (mark.level, mark.originator, mark.purpose) == (level, node.party, fact.marking.purpose)
    assert node.state_of(node.side.releases[0]) == "received"
    with pytest.raises(StateError, match="already"):
        order_body(node, rid, "reclass", Remark(level=level))


@pytest.mark.parametrize(
    ("remark", "error", "words"),
    [
        (Remark(), StateError, "already"),
        (Remark(level="COSMIC"), UsageError, "not a level"),
        (Remark(level="RESTRICTED"), RefusedError, "no equivalent"),
        (Remark(caveats=("UNKNOWN",)), RefusedError, "caveat"),
        (Remark(releasable_to=("IND",)), RefusedError, "releasable"),
        (Remark(releasable_to=("IND", "JPN", "KOR")), RefusedError, "releasable"),
    ],
)
def test_a_marking_under_which_the_partner_cannot_hold_it_is_refused(
    pair: Pair, remark: Remark, error: type[EntenteError], words: str
) -> None:
    rid, _ = canary(pair)
    with pytest.raises(error, match=words):
        order_body(pair.a, rid, "reclass", remark)


def test_an_order_names_one_release_of_ours_and_says_something_new(pair: Pair) -> None:
    rid, _ = canary(pair)
    pair.exchange()
    assert order_body(pair.a, "1", "withdraw") == {"act": "withdraw", "rid": rid}
    assert order_body(pair.a, rid[:10], "withdraw") == order_body(pair.a, "1", "withdraw")
    for which in ("2", "0", "", "ff" * 32):
        with pytest.raises(UsageError):
            order_body(pair.a, which, "withdraw")
    with pytest.raises(UsageError):
        order_body(pair.b, rid, "withdraw")
    ordered(pair, pair.a, rid, "withdraw")
    with pytest.raises(StateError, match="already"):
        order_body(pair.a, rid, "withdraw")


def test_receipt_and_withdrawal_may_cross_and_both_stand(either: Pair) -> None:
    rid, _ = canary(either)
    either.b.pull()
    either.a.pull()
    either.b.pull()
    either.b.answer()
    ordered(either, either.a, rid, "withdraw")
    either.exchange()
    for node in either.nodes.values():
        fact = node.pair.sides[either.codes[0]].releases[0]
        assert [given.outcome for given in fact.answers] == ["received"]
        assert node.state_of(fact) == "withdrawn"


# Crashes


@pytest.mark.parametrize("stop", range(1, 8))
def test_a_fault_before_any_step_of_the_erasure_is_finished_by_the_next_opening(
    pair: Pair, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses to remove the nth file; the order stands, and the next opening does the rest."""
    rid, source = canary(pair)
    pair.exchange()
    act = prepared(pair, pair.a, "order", order_body(pair.a, rid, "destroy"), *SIGNERS)
    left = stop
    unlink = Path.unlink

    def failing(path: Path, *, missing_ok: bool = False) -> None:
        nonlocal left
        left -= path.exists()
        if left == 0 and path.exists():
            raise OSError(28, "No space left on device")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", failing)
        with pytest.raises(StoreError):
            pair.a.enter(act.id)
    assert act.id in pair.a.side.acts
    node = pair.open(pair.codes[0])
    assert not found_in(node.folder, CANARY)
    assert node.db.source(source) is None
    assert not [row for row in node.db.erasures() if row.state == BEGUN]
    verified(pair)


@pytest.mark.slow
def test_a_crash_before_any_act_on_disk_is_finished_by_the_next_opening(pair: Pair) -> None:
    rid, source = canary(pair)
    pair.exchange()
    act = prepared(pair, pair.a, "order", order_body(pair.a, rid, "destroy"), *SIGNERS)
    code = pair.codes[0]

    def check(folder: Path) -> None:
        node = reopened(pair, folder, code)
        if act.id not in node.side.acts:
            assert node.keys.key(rid)
            node.enter(act.id)
        assert act.id in node.side.acts
        assert node.db.source(source) is None
        assert not node.db.begun_erasures()
        assert not found_in(node.folder, CANARY)
        node.close()
        assert verify_folders({code: folder / code}).faults == []

    assert sweep(pair, lambda node: node.enter(act.id), check, code) > 15
