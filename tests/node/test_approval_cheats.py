"""Nothing crosses on fewer persons, other bytes or older words than the agreement wants; a refusal leaves no trace."""

from collections.abc import Sequence
from contextlib import suppress

import pytest

from entente.errors import EntenteError, RefusedError, StateError
from entente.strict import encode, time_text
from entente.treaty.approval import approve
from lab.pair import AREA, Pair, heads, revoke, rows, sighted, unchanged

ROWS_OF_A_REFUSAL = ("draft", "journal", "approval")


def refused_at_dispatch(pair: Pair, rid: str, error: type[EntenteError] = RefusedError) -> str:
    """What dispatch is refused with; the partner sees no byte of it, now or after an exchange."""
    before = pair.a.side.size, heads(pair.b), rows(pair.b)
    with unchanged(pair.a, but=ROWS_OF_A_REFUSAL), unchanged(pair.b), pytest.raises(error) as fault:
        pair.a.dispatch([rid])
    pair.exchange()
    assert (pair.a.side.size, heads(pair.b), rows(pair.b)) == before
    assert pair.a.side.release(rid) is None
    return fault.value.explain()


def forge(
    pair: Pair, rid: str, *given: tuple[str, str], state: str = "approved", over: str = "", days: int = 7
) -> None:
    """Approvals are written straight into the database.

    (name, role), each signed with that person's key over `over`.
    """
    until = time_text(pair.clock.now.replace(day=1 + days))
    for name, role in given:
        handle, signer = pair.of(pair.a, name)
        pair.a.db.put_approval(rid, handle, encode(approve(signer, over or rid, handle, role, until)))
    pair.a.db.set_draft(rid, state)


# At approve


@pytest.mark.parametrize("name", ["rao", "rao.two"])
def test_the_author_may_not_approve_whatever_the_handle(pair: Pair, name: str) -> None:
    """The sender's journal has the attempt, the draft no approval; the partner knows nothing."""
    made = pair.propose(pair.a, sighted())
    with pytest.raises(RefusedError, match="the author may not approve") as fault:
        pair.approve(pair.a, made.rid, name)
    assert fault.value.place == "Art. 5(2)"
    assert pair.a.db.approvals(made.rid) == []


def test_one_person_under_two_handles_counts_once(pair: Pair) -> None:
    """The sender has two signatures of one natural person and a draft that is not approved.

    The partner knows nothing.
    """
    made = pair.propose(pair.a, sighted())
    pair.approve(pair.a, made.rid, "nair")
    assert pair.approve(pair.a, made.rid, "nair.two", "security") == "checked"
    refused_at_dispatch(pair, made.rid, StateError)


def test_one_key_under_two_handles_counts_once(pair: Pair) -> None:
    """The sender has two persons with one key and a draft that is not approved; the partner knows nothing."""
    made = pair.propose(pair.a, sighted())
    pair.approve(pair.a, made.rid, "nair")
    assert pair.approve(pair.a, made.rid, "twin", "security") == "checked"
    refused_at_dispatch(pair, made.rid, StateError)


def test_a_third_person_completes_what_one_person_signed_twice(pair: Pair) -> None:
    """Both know: one release, received. The doubled person does not spoil the two that count."""
    made = pair.propose(pair.a, sighted())
    pair.approve(pair.a, made.rid, "nair")
    pair.approve(pair.a, made.rid, "nair.two", "security")
    assert pair.approve(pair.a, made.rid, "iyer", "security") == "approved"
    pair.a.dispatch([made.rid])
    pair.exchange()
    assert [given.outcome for given in pair.a.side.releases[0].answers] == ["received"]


def test_a_missing_role_leaves_the_draft_unapproved(pair: Pair) -> None:
    """The sender has two good approvals in one role and a draft that is not approved; the partner knows nothing."""
    made = pair.propose(pair.a, sighted())
    pair.approve(pair.a, made.rid, "nair")
    assert pair.approve(pair.a, made.rid, "sen") == "checked"
    refused_at_dispatch(pair, made.rid, StateError)


@pytest.mark.parametrize(
    ("name", "role"),
    [("nair", "security"), ("iyer", "release"), ("elsewhere", "release"), ("nair", "")],
)
def test_a_role_or_area_that_the_person_lacks_is_refused(pair: Pair, name: str, role: str) -> None:
    """The sender's journal has the attempt, the draft no approval; the partner knows nothing."""
    made = pair.propose(pair.a, sighted())
    with pytest.raises(RefusedError, match="may not approve this in role"):
        pair.approve(pair.a, made.rid, name, role)
    assert pair.a.db.approvals(made.rid) == []


def test_a_key_that_is_not_the_handles_is_refused(pair: Pair) -> None:
    """The sender's draft has no approval; the partner knows nothing."""
    made = pair.propose(pair.a, sighted())
    with pytest.raises(RefusedError, match="not the one certified"):
        pair.a.approve(made.rid, "IND/iyer", "security", pair.of(pair.a, "sen")[1])
    with pytest.raises(RefusedError, match="not certified"):
        pair.a.approve(made.rid, "IND/nobody", "security", pair.of(pair.a, "sen")[1])
    assert pair.a.db.approvals(made.rid) == []


@pytest.mark.parametrize("name", ["low", "brief"])
def test_a_person_whose_word_cannot_count_is_told_so(pair: Pair, name: str) -> None:
    """The sender turned one person away with the article (ceiling too low, or certificate ended).

    The partner knows nothing.
    """
    made = pair.propose(pair.a, sighted(), level="CONFIDENTIAL")
    pair.clock.forward(days=3)
    with pytest.raises(RefusedError):
        pair.approve(pair.a, made.rid, name)
    assert pair.a.db.approvals(made.rid) == [], "nothing was signed"


@pytest.mark.parametrize("name", ["low", "brief"])
def test_a_person_whose_word_cannot_count_does_not_spoil_the_draft(pair: Pair, name: str) -> None:
    """Two others approved after one whose word is void, and it crossed; the partner knows one release, received."""
    made = pair.propose(pair.a, sighted(), level="CONFIDENTIAL")
    pair.clock.forward(days=3)
    with suppress(RefusedError):
        pair.approve(pair.a, made.rid, name)
    pair.approve(pair.a, made.rid, "nair")
    assert pair.approve(pair.a, made.rid, "iyer", "security") == "approved"
    pair.a.dispatch([made.rid])
    pair.exchange()
    assert [given.outcome for given in pair.a.side.releases[0].answers] == ["received"]


def test_a_revoked_approver_does_not_spoil_the_draft(pair: Pair) -> None:
    """Another person approves in place of one who was revoked, and it crosses.

    The partner knows one release, received.
    """
    made = pair.propose(pair.a, sighted())
    pair.approve(pair.a, made.rid, "sen")
    revoke(pair, pair.a, "sen")
    pair.exchange()
    pair.approve(pair.a, made.rid, "nair")
    assert pair.approve(pair.a, made.rid, "iyer", "security") == "approved"
    pair.a.dispatch([made.rid])
    pair.exchange()
    assert [given.outcome for given in pair.a.side.releases[0].answers] == ["received"]


def test_a_draft_that_a_rule_refuses_cannot_be_approved(pair: Pair) -> None:
    """The sender keeps a draft at `drafted` with the rule; nobody can sign it; the partner knows nothing."""
    pair.a.accreditation = "UNCLASSIFIED"
    made = pair.propose(pair.a, sighted(), level="SECRET")
    assert made.state == "drafted"
    with pytest.raises(StateError):
        pair.approve(pair.a, made.rid, "nair")
    refused_at_dispatch(pair, made.rid, StateError)


# Between approval and dispatch


def test_an_approval_that_expired_does_not_count(pair: Pair) -> None:
    """The sender's draft is back at `drafted`, rule approval_valid; the partner knows nothing."""
    rid = pair.approved(pair.a)
    pair.clock.forward(days=8)
    assert "approval_valid" in refused_at_dispatch(pair, rid)
    draft = pair.a.db.draft(rid)
    assert draft is not None
    assert draft.state == "drafted"


def test_an_approver_revoked_before_dispatch_does_not_count(pair: Pair) -> None:
    """The sender's register has the revocation and no release; the partner knows the revocation only."""
    rid = pair.approved(pair.a)
    revoke(pair, pair.a, "iyer")
    pair.exchange()
    assert "unknown:persons" in refused_at_dispatch(pair, rid)


def test_an_author_revoked_before_dispatch_stops_the_draft(pair: Pair) -> None:
    """The sender's register has the revocation and no release; the partner knows the revocation only."""
    rid = pair.approved(pair.a)
    revoke(pair, pair.a, "rao")
    pair.exchange()
    assert "author" in refused_at_dispatch(pair, rid)


def test_a_dispatched_release_cannot_be_dispatched_again(pair: Pair) -> None:
    """Both know one release; the second dispatch left nothing."""
    done = pair.release(pair.a)
    pair.exchange()
    before = heads(pair.a)
    with pytest.raises(StateError):
        pair.a.dispatch([done.rid])
    assert heads(pair.a) == before
    assert pair.a.side.size == done.idx + 1


def test_one_release_named_twice_in_a_batch_is_entered_once(pair: Pair) -> None:
    """Both know one release, received."""
    rid = pair.approved(pair.a)
    assert len(pair.a.dispatch([rid, rid])) == 1
    pair.exchange()
    assert [fact.rid for fact in pair.b.other_side.releases] == [rid]


def test_one_refusal_in_a_batch_does_not_stop_the_others(pair: Pair) -> None:
    """Both know the good release, received; the bad one left nothing but a draft at home."""
    good, bad = pair.approved(pair.a), pair.approved(pair.a, sighted(first=9))
    pair.a.db.raw.execute("DELETE FROM approval WHERE rid = ? AND by = 'IND/iyer'", (bad,))
    with pytest.raises(RefusedError):
        pair.a.dispatch([bad, good])
    pair.exchange()
    assert [fact.rid for fact in pair.b.other_side.releases] == [good]
    assert [given.outcome for given in pair.a.side.releases[0].answers] == ["received"]


# Forged in the database


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param((), "approval_count", id="no approval at all"),
        pytest.param((("nair", "release"),), "approval_count", id="one"),
        pytest.param((("nair", "release"), ("nair.two", "security")), "approval_count", id="one person twice"),
        pytest.param((("nair", "release"), ("twin", "security")), "approval_count", id="one key twice"),
        pytest.param((("rao", "release"), ("iyer", "security")), "author", id="the author"),
        pytest.param((("rao.two", "release"), ("iyer", "security")), "author", id="the author's other handle"),
        pytest.param((("nair", "security"), ("iyer", "security")), "approval_valid", id="a role not held"),
        pytest.param((("elsewhere", "release"), ("iyer", "security")), "approval_valid", id="another area's person"),
    ],
)
def test_approvals_forged_in_the_database_dispatch_nothing(
    pair: Pair, given: Sequence[tuple[str, str]], reason: str
) -> None:
    """The sender's draft goes back to `drafted`; its register, its served tree and the partner are as before."""
    made = pair.propose(pair.a, sighted())
    forge(pair, made.rid, *given)
    assert reason in refused_at_dispatch(pair, made.rid)


def test_an_approval_over_another_drafts_bytes_dispatches_nothing(pair: Pair) -> None:
    """The sender's draft goes back to `drafted`; the partner knows nothing."""
    other = pair.propose(pair.a, sighted(first=5))
    made = pair.propose(pair.a, sighted())
    forge(pair, made.rid, ("nair", "release"), ("iyer", "security"), over=other.rid)
    assert "approval_valid" in refused_at_dispatch(pair, made.rid)


def test_approvals_of_an_older_release_replayed_dispatch_nothing(pair: Pair) -> None:
    """Both know the older release, received, and nothing of the second draft, though its objects are the same."""
    done = pair.release(pair.a)
    pair.exchange()
    made = pair.propose(pair.a, sighted())
    for data in pair.a.db.approvals(done.rid):
        pair.a.db.put_approval(made.rid, "IND/iyer" if b"iyer" in data else "IND/nair", data)
    pair.a.db.set_draft(made.rid, "approved")
    assert "approval_valid" in refused_at_dispatch(pair, made.rid)


def test_an_approval_with_a_longer_until_than_was_signed_dispatches_nothing(pair: Pair) -> None:
    """The sender's draft goes back to `drafted`; the partner knows nothing."""
    rid = pair.approved(pair.a)
    pair.a.db.raw.execute(
        "UPDATE approval SET data = CAST(replace(CAST(data AS TEXT), '2026-06-09', '2026-12-09') AS BLOB)"
    )
    assert b"2026-12-09" in pair.a.db.approvals(rid)[0]
    assert "approval_valid" in refused_at_dispatch(pair, rid)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"level":"UNCLASSIFIED"', '"level":"CONFIDENTIAL"'),
        ('"copies":1', '"copies":5'),
        ('"retain_days":365', '"retain_days":364'),
        ('"view":"full"', '"view":"no-prose"'),
        ('"to":"KOR"', '"to":"IND"'),
        ('"custody":"delivered"', '"custody":"held"'),
    ],
)
def test_a_draft_changed_in_the_database_voids_its_approvals(pair: Pair, old: str, new: str) -> None:
    """The sender refuses what nobody approved; its register and the partner are as before."""
    rid = pair.approved(pair.a)
    pair.a.db.raw.execute("UPDATE draft SET core = CAST(replace(CAST(core AS TEXT), ?, ?) AS BLOB)", (old, new))
    draft = pair.a.db.draft(rid)
    assert draft is not None
    assert new.encode() in draft.core
    refused_at_dispatch(pair, rid)


def test_other_bytes_sealed_under_the_draft_are_refused(pair: Pair) -> None:
    """The sender refuses by rule shown: what rests sealed is not what was approved; the partner knows nothing."""
    rid = pair.approved(pair.a)
    other = pair.a.db.draft(pair.propose(pair.a, sighted(first=7)).rid)
    assert other is not None
    pair.a.db.raw.execute(
        "UPDATE draft SET blob = ?, blob_bytes = ? WHERE rid = ?", (other.blob, other.blob_bytes, rid)
    )
    with unchanged(pair.a, but=ROWS_OF_A_REFUSAL), unchanged(pair.b), pytest.raises(EntenteError):
        pair.a.dispatch([rid])
    pair.exchange()
    assert pair.b.other_side.releases == []


def test_a_false_length_in_the_draft_row_is_refused(pair: Pair) -> None:
    """The sender refuses: no entry tells a length that its blob has not; the partner knows nothing."""
    rid = pair.approved(pair.a)
    pair.a.db.raw.execute("UPDATE draft SET blob_bytes = blob_bytes + 1 WHERE rid = ?", (rid,))
    with pytest.raises(EntenteError, match="sealed bytes"):
        pair.a.dispatch([rid])
    assert pair.a.side.releases == []


def test_a_blob_damaged_on_disk_is_not_dispatched(pair: Pair) -> None:
    """The sender says that the bytes are damaged; nothing is entered, and the partner knows nothing."""
    rid = pair.approved(pair.a)
    draft = pair.a.db.draft(rid)
    assert draft is not None
    path = pair.a.blobs.path(draft.blob)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with unchanged(pair.b), pytest.raises(EntenteError):
        pair.a.dispatch([rid])
    assert pair.a.side.releases == []


def test_a_refused_dispatch_serves_no_key_and_no_blob(pair: Pair) -> None:
    """The sender's served tree has no key, blob or leaves of the refused draft; the partner sees the same files."""
    rid = pair.approved(pair.a)
    pair.clock.forward(days=8)
    refused_at_dispatch(pair, rid)
    for name in ("key", "blob", "leaves"):
        assert not list((pair.a.folder / "served" / name).glob("*"))


@pytest.mark.parametrize("area", [AREA])
def test_the_receiver_refuses_what_too_few_approved(pair: Pair, area: str) -> None:
    """Both know: not_permitted, once. A cheating sender's own node would have refused; the receiver decides again."""
    from lab.cheat import Cheat  # noqa: PLC0415 - a cheat, in this test alone
    from lab.pair import answers  # noqa: PLC0415

    cheat = Cheat(pair, pair.a)
    forged = cheat.release(approvers=[("nair", "release"), ("nair.two", "security")])
    assert forged.core.area == area
    for _ in range(2):
        pair.b.pull(cheat.publish())
        pair.b.answer()
    assert answers(pair.b) == [("not_permitted", [[forged.idx, forged.idx]])]
