"""What derives from the partner's releases is marked no lower than they are; what is the partner's can go back."""

import msgspec
import pytest
from stix_objects import bundle_of

from entente.account.acts import act_message
from entente.errors import RefusedError, StateError, UsageError
from entente.node.held import read_release
from entente.node.ledger import Draft
from entente.node.node import Node
from entente.node.propose import NothingCrossesError, Proposal, Wish
from entente.node.setup import nonce
from entente.register.entry import Sig
from entente.strict import encode, parse
from entente.treaty.marking import MarkingMap
from lab.pair import AREA, Pair, sighted


def level(node: Node, place: int) -> str:
    """The level of a party at this place of the rows by which levels cross, lowest first."""
    law = node.law.law
    return [name for name in law.party[node.party].levels if name in law.rows[node.party]][place]


def derived(pair: Pair, node: Node, *parents: str, of: str = "", first: int = 50) -> Proposal:
    """A draft of other objects that derive from releases received here."""
    found = MarkingMap(node.law.hash, AREA, (), pair.marking(node, of))
    map_id = node.sign_map(found, [pair.of(node, "iyer")])
    source = node.import_file(AREA, bundle_of(*sighted(first=first)), place="own.json", map_id=map_id).source
    return node.propose(source, Wish(f"{node.party}/rao", parents=parents))


def cross(pair: Pair, node: Node, rid: str) -> None:
    """The draft is approved, dispatched and received."""
    pair.approve(node, rid, "nair")
    if (node.law.law.areas[AREA].approvals or 0) > 1:
        pair.approve(node, rid, "iyer", "security")
    node.dispatch([rid])
    pair.exchange()


def order(pair: Pair, node: Node, rid: str, act: str, **more: object) -> None:
    """An order of this node's party stands in its register, signed by two persons."""
    body = {"act": act, "nonce": nonce(), "rid": rid, **more}
    message = act_message("order", node.side.origin, node.law.hash, body)
    sigs = (
        Sig(handle, signer.sign(message).hex()) for handle, signer in (pair.of(node, "nair"), pair.of(node, "iyer"))
    )
    node.append([Draft("order", body, tuple(sigs))])


def sent(pair: Pair, node: Node, at: str = "") -> str:
    """The rid of a release of this node at a level, received by the other."""
    rid = pair.approved(node, level=at)
    node.dispatch([rid])
    pair.exchange()
    return rid


def test_what_derives_from_a_release_is_marked_as_high_as_that_in_our_words(pair: Pair) -> None:
    high = sent(pair, pair.a, level(pair.a, 1))
    made = derived(pair, pair.b, high, of=level(pair.b, 0))
    assert made.core.ancestors == (high,)
    assert made.core.marking.level == level(pair.b, 1)
    assert made.core.marking.originator == pair.b.party
    assert made.state == "checked"
    cross(pair, pair.b, made.rid)
    fact = pair.a.other_side.release(made.rid)
    assert fact is not None
    assert pair.a.state_of(fact) == pair.b.state_of(fact) == "received"


def test_what_is_marked_above_its_parents_stays_so(pair: Pair) -> None:
    low = sent(pair, pair.a, level(pair.a, 0))
    made = derived(pair, pair.b, low, of=level(pair.b, 1))
    assert made.core.marking.level == level(pair.b, 1)


def test_a_parent_that_was_raised_raises_what_is_proposed_after(pair: Pair) -> None:
    low = sent(pair, pair.a, level(pair.a, 0))
    higher = msgspec.structs.replace(pair.marking(pair.a), level=level(pair.a, 1))
    order(pair, pair.a, low, "reclass", marking=parse(encode(higher)))
    pair.exchange()
    assert derived(pair, pair.b, low, of=level(pair.b, 0)).core.marking.level == level(pair.b, 1)


def test_nothing_derives_from_what_was_withdrawn(pair: Pair) -> None:
    gone = sent(pair, pair.a)
    order(pair, pair.a, gone, "withdraw")
    pair.exchange()
    with pytest.raises(StateError, match="withdrew"):
        derived(pair, pair.b, gone)


def test_nothing_derives_from_what_is_unknown_or_our_own(pair: Pair) -> None:
    own = sent(pair, pair.a)
    for rid in ("ab" * 32, own):
        with pytest.raises(UsageError):
            derived(pair, pair.a, rid)


def test_a_release_goes_back_to_its_originator_byte_for_byte(pair: Pair) -> None:
    """Both know: a release of the receiver's, originator the partner, received; the level is the originator's word."""
    rid = sent(pair, pair.a, level(pair.a, 1))
    made = pair.b.propose(rid[:12], Wish(f"{pair.b.party}/rao"))
    assert (made.core.marking.originator, made.core.marking.level) == (pair.a.party, level(pair.a, 1))
    assert made.core.ancestors == (rid,)
    assert made.state == "checked", made.decision.refusals
    cross(pair, pair.b, made.rid)
    fact = pair.a.other_side.release(made.rid)
    assert fact is not None
    assert pair.a.state_of(fact) == "received"
    assert pair.a.view.bodies(made.rid) == pair.b.view.bodies(rid) == sighted()
    secret = pair.a.keys.key(made.rid)
    assert secret is not None
    listing, _ = read_release(pair.a, fact.blob, pair.a.blobs.size(fact.blob), secret)
    assert {item.media for item in listing.records} == {"application/stix+json;version=2.1"}
    assert pair.a.reconcile().text == pair.b.reconcile().text


def test_a_release_that_was_raised_goes_back_as_high_as_it_is_now(pair: Pair) -> None:
    rid = sent(pair, pair.a, level(pair.a, 0))
    higher = msgspec.structs.replace(pair.marking(pair.a), level=level(pair.a, 1))
    order(pair, pair.a, rid, "reclass", marking=parse(encode(higher)))
    pair.exchange()
    made = pair.b.propose(rid, Wish(f"{pair.b.party}/rao"))
    assert made.core.marking.level == level(pair.a, 1)
    cross(pair, pair.b, made.rid)
    fact = pair.a.other_side.release(made.rid)
    assert fact is not None
    assert pair.a.state_of(fact) == "received"


def test_a_draft_that_derives_from_what_is_then_raised_is_refused_at_dispatch(pair: Pair) -> None:
    """Both know: nothing. It was approved at a level that is too low by now: rule join, inside the append."""
    low = sent(pair, pair.a, level(pair.a, 0))
    made = derived(pair, pair.b, low, of=level(pair.b, 0))
    pair.approve(pair.b, made.rid, "nair")
    if (pair.b.law.law.areas[AREA].approvals or 0) > 1:
        pair.approve(pair.b, made.rid, "iyer", "security")
    higher = msgspec.structs.replace(pair.marking(pair.a), level=level(pair.a, 1))
    order(pair, pair.a, low, "reclass", marking=parse(encode(higher)))
    pair.exchange()
    before = pair.b.side.size
    with pytest.raises(RefusedError, match="join"):
        pair.b.dispatch([made.rid])
    assert pair.b.side.size == before


def test_one_release_cannot_hold_what_two_scales_mark(pair: Pair) -> None:
    """What goes back bears the originator's words; nothing of ours can be mixed into it by a marking map."""
    rid = sent(pair, pair.a)
    back = pair.b.propose(rid, Wish(f"{pair.b.party}/rao"))
    assert {back.core.marking.originator} == {pair.a.party}
    foreign = msgspec.structs.replace(pair.marking(pair.b), originator="ELSEWHERE")
    map_id = pair.b.sign_map(MarkingMap(pair.b.law.hash, AREA, (), foreign), [pair.of(pair.b, "iyer")])
    source = pair.b.import_file(AREA, bundle_of(*sighted(first=70)), place="x.json", map_id=map_id).source
    with pytest.raises(NothingCrossesError):
        pair.b.propose(source, Wish(f"{pair.b.party}/rao"))


def test_view_db_can_be_thrown_away_and_is_there_again(pair: Pair) -> None:
    """Own imports and releases, and those received, are listed and read as before, without what the file held."""
    one, two = sent(pair, pair.a), sent(pair, pair.b)
    before = {place: pair.b.view.things(place) for place in (one, two, *(row.id for row in pair.b.db.sources()))}
    assert all(before.values())
    held = pair.b.view.holding(one)
    code = pair.codes[1]
    folder = pair.shut(code)
    for name in ("view.db", "view.db-wal", "view.db-shm"):
        (folder / name).unlink(missing_ok=True)
    again = pair.open(code)
    assert {place: again.view.things(place) for place in before} == before
    assert again.view.bodies(one) == sighted()
    assert again.view.holding(one) == held
    assert again.rebuild() == (len(before) - 1, [])  # its own release is no import and not received
    assert {place: again.view.things(place) for place in before} == before


def test_a_rebuild_that_was_cut_off_is_begun_again_by_the_next_opening(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    rid = sent(pair, pair.a)
    before = pair.b.view.things(rid)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(pair.b.view), "put_holdings", stop)
        with pytest.raises(KeyboardInterrupt):
            pair.b.rebuild()
    assert pair.b.view.things(rid) == []
    assert pair.open(pair.codes[1]).view.things(rid) == before
    assert pair.b.view.built


def test_what_cannot_be_read_any_more_is_named_by_rebuild(pair: Pair) -> None:
    rid = sent(pair, pair.a)
    blob = pair.b.other_side.releases[-1].blob
    pair.b.blobs.delete(blob)
    done, lost = pair.b.rebuild()
    assert [place for place, _ in lost] == [rid]
    assert pair.b.view.things(rid) == []
    assert done == len(pair.b.db.sources())
