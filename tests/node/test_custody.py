"""Custody tells one item's whole life from both registers and the home journal, and every copy's life has an end.

Each copy that either register or the node knows of is held, or was returned, destroyed or closed, and the totals count
all of them once (test G-07).
"""

import itertools
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stix_objects import bundle_of

from entente.errors import EntenteError, RefusedError, UsageError
from entente.node.custody import Custody, custody
from entente.node.order import Remark
from entente.node.propose import Wish
from entente.treaty.cover import Stated
from entente.treaty.marking import MarkingMap
from lab.acts import derived, entered, give_back, ordered
from lab.lives import ACTS, befall
from lab.pair import AREA, UNTIL, Pair, sighted

WORD = "canary"


def whats(found: Custody) -> list[str]:
    return [step.what for step in found.steps]


def released(pair: Pair) -> str:
    rid = pair.release(pair.a, sighted(word=WORD)).rid
    pair.exchange()
    return rid


def check_balance(pair: Pair) -> None:
    """At both nodes each copy has one life, and the lives are what keys, registers and copies say."""
    for node in pair.nodes.values():
        for side in (node.side, node.other_side):
            for fact in side.releases:
                found = custody(node, fact.rid)
                assert sum(found.totals.values()) == len(found.lives)
                outcomes = {answer.outcome for answer in fact.answers}
                ends = outcomes & {"returned", "destroyed"}
                (received,) = [life for life in found.lives if life.what == "received copy"]
                held = "held" if "received" in outcomes else "never held"
                assert received.end == (next(iter(ends)) if ends else held)
                assert (received.until != "") == bool(ends)
                mine = [life for life in found.lives if life.what == "sealed copy"]
                assert len(mine) == (side is node.side)
                has_key = node.keys.key(fact.rid) is not None
                assert all((life.end == "held") == has_key for life in mine)
                if side is node.other_side:
                    assert has_key == (received.end == "held") == found.held.key
                numbered = [life for life in found.lives if life.n]
                out = tuple(life.n for life in numbered if life.end == "held")
                assert out == found.held.copies_out
                if ends:
                    assert not out
                    assert found.held.nothing
                told = {step.idx for step in found.steps if step.party == side.party and step.what == "dispatched"}
                assert told == {fact.idx}


def test_a_release_is_told_from_import_to_certificate_at_its_author(either: Pair) -> None:
    rid = released(either)
    either.clock.forward(hours=1)
    ordered(either, either.a, rid, "destroy", keep_import=True)
    either.exchange()
    either.clock.forward(hours=1)
    either.b.destroy(rid[:12], [either.of(either.b, name) for name in ("sen", "rao")])
    either.exchange()
    found = custody(either.a, "1")
    assert found == custody(either.a, rid[:12])
    words = whats(found)
    order = ["imported", "marked by map", "drafted", "screened", "checked", "approved", "dispatched", "cosigned",
             "received", "ordered: destroy", "destroyed"]  # fmt: skip
    assert [words.index(word) for word in order] == sorted(words.index(word) for word in order)
    by = {step.what: step for step in found.steps}
    code = either.a.party
    assert by["drafted"].by == (f"{code}/rao",)
    assert by["ordered: destroy"].by == (f"{code}/iyer", f"{code}/nair")
    assert by["dispatched"].idx == either.a.side.releases[0].idx
    assert (by["destroyed"].party, by["destroyed"].idx) == (either.b.party, either.b.side.size - 1)
    assert by["destroyed"].by == (f"{either.b.party}/rao", f"{either.b.party}/sen")
    signed = [step.by[0] for step in found.steps if step.what == "approval in the entry"]
    assert sorted(signed) == sorted(step.by[0] for step in found.steps if step.what == "approved")
    assert (found.state, found.totals["destroyed"], found.open) == ("ended", 2, ())
    assert all(
        step.seq or step.idx >= 0 or step.what in ("imported", "marked by map", "drafted") for step in found.steps
    )
    check_balance(either)


def test_no_step_holds_content(pair: Pair) -> None:
    rid = released(pair)
    pair.b.make_copy(rid, "Maj. Bose", "room 3")
    for node in pair.nodes.values():
        found = custody(node, rid)
        assert WORD not in repr(found)
        assert found.rank == 0
        assert found.marking is not None


def test_what_the_partner_released_is_told_with_copies_and_derivatives_and_its_open_end(either: Pair) -> None:
    rid = released(either)
    either.b.make_copy(rid, "Maj. Bose", "room 3")
    own = derived(either, either.b, rid)
    back = give_back(either, either.b, rid)
    either.exchange()
    found = custody(either.b, rid)
    assert found.kind == "received"
    assert {step.rid: step.what for step in found.steps if step.rid} == {own: "derived from it", back: "went back"}
    assert [(life.what, life.n, life.end) for life in found.lives] == [
        ("received copy", 0, "held"), ("numbered copy", 1, "held")
    ]  # fmt: skip
    owed = {one.what: one for one in found.open}
    assert set(owed) == {"return or destroy it", "close copy 1"}
    (duty,) = [duty for duty in either.b.duties() if duty.rid == rid and duty.kind == "return_or_destroy"]
    assert (owed["return or destroy it"].by, owed["return or destroy it"].due) == (duty.owed_by, duty.due)
    either.b.close_copy(rid, 1)
    assert "close copy 1" not in {one.what for one in custody(either.b, rid).open}
    assert whats(custody(either.b, rid)).count("copy 1 closed") == 1
    check_balance(either)


def test_what_is_not_answered_is_due_when_the_account_says(either: Pair) -> None:
    rid = either.release(either.a).rid
    (duty,) = [duty for duty in either.a.duties() if duty.rid == rid]
    (owed,) = custody(either.a, rid).open
    assert (owed.by, owed.due) == (duty.owed_by, duty.due or "")
    assert "cosigned" not in whats(custody(either.a, rid))
    either.b.pull()
    either.a.pull()
    (cosigned,) = [step for step in custody(either.a, rid).steps if step.what == "cosigned"]
    assert cosigned.by == (either.b.party,)


def test_a_draft_tells_who_was_turned_away_and_who_took_an_approval_back(pair: Pair) -> None:
    made = pair.propose(pair.a, sighted())
    for _ in range(2):
        with pytest.raises(RefusedError):
            pair.approve(pair.a, made.rid, "rao")
    pair.approve(pair.a, made.rid, "nair")
    handle, signer = pair.of(pair.a, "nair")
    pair.a.revoke_approval(made.rid, handle, signer)
    found = custody(pair.a, made.rid[:10])
    assert (found.kind, found.state, found.lives[0].end) == ("draft", "checked", "held")
    away = [step for step in found.steps if step.what.startswith("turned away")]
    assert [step.by for step in away] == [(f"{pair.a.party}/rao",)] * 2
    assert "approval revoked" in whats(found)
    assert [one.what for one in found.open] == ["approve it"]


def test_a_release_under_a_standing_approval_names_it(pair: Pair) -> None:
    node = pair.a
    low = pair.marking(node)
    covers = {"area": AREA, "format": "stix-2.1", "view": "full", "ceiling": low.level, "purpose": low.purpose}
    body = {"class": covers, "per_day": {"bytes": 10**6, "count": 3}, "until": UNTIL}
    act = entered(pair, node, "standing", body)
    map_id = node.sign_map(MarkingMap(node.law.hash, AREA, (), low), [pair.of(node, "iyer")])
    source = node.import_file(AREA, bundle_of(*sighted()), place="own.json", map_id=map_id).source
    made = node.propose(source, Wish(f"{node.party}/rao", standing=act.id))
    assert [one.what for one in custody(node, made.rid).open] == ["dispatch it"]
    node.dispatch([made.rid])
    (under,) = [step for step in custody(node, made.rid).steps if step.what == "under a standing approval"]
    assert under.detail == act.id[:16]


def test_an_import_leads_to_what_was_drawn_from_it_also_when_it_is_gone(pair: Pair) -> None:
    rid = released(pair)
    source = custody(pair.a, rid).source
    found = custody(pair.a, source[:8])
    assert (found.kind, found.id, found.held.key, found.held.rows) == ("import", source, True, 2)
    assert [step.rid for step in found.steps if step.rid] == [rid]
    ordered(pair, pair.a, rid, "destroy")
    gone = custody(pair.a, source)
    assert (gone.state, gone.held.nothing, gone.totals["destroyed"]) == ("destroyed", True, 1)
    assert whats(gone) == ["drafted from it", "destroyed here"]
    assert pair.a.db.source(source) is None


def test_what_was_taken_in_or_drafted_from_a_release_stands_in_its_life_before_it_leaves(either: Pair) -> None:
    rid, node = released(either), either.b
    law = node.law.law
    purpose = (law.areas["documents"].purposes or ("",))[0]
    high = list(law.rows[node.party])[-1]
    mark = msgspec.structs.replace(either.marking(node, high), purpose=purpose)
    map_id = node.sign_map(MarkingMap(node.law.hash, "documents", (), mark), [either.of(node, "iyer")])
    stated = Stated({"en": "x"}, "en", "translation")
    source = node.document(b"words", stated, label="", parents=(rid,), place="x", map_id=map_id).source
    back = node.propose(rid, Wish(f"{node.party}/rao"))
    found = {step.what: step for step in custody(node, rid).steps if step.rid}
    assert {what: step.rid for what, step in found.items()} == {"imported from it": source, "drafted from it": back.rid}
    assert (found["imported from it"].area, found["drafted from it"].area) == ("documents", back.core.area)
    assert found["imported from it"].rank == law.ranks[node.party][high]
    (drafted,) = [step for step in custody(node, back.rid).steps if step.what.startswith("drafted")]
    assert (drafted.what, drafted.rid) == ("drafted from a release received", rid)


def test_losses_and_new_markings_stand_in_the_life_of_what_they_are_about(pair: Pair) -> None:
    rid = released(pair)
    level = list(pair.a.law.law.rows[pair.a.party])[-1]
    ordered(pair, pair.a, rid, "reclass", Remark(level=level))
    idx = pair.a.side.releases[0].idx
    spans = [{"origin": pair.a.side.origin, "spans": [[idx, idx]]}]
    body = {"class": "loss", "discovered_at": "2026-06-01T08:00Z", "releases": spans, "stage": "notice"}
    pair.exchange()
    entered(pair, pair.b, "incident", body)
    pair.exchange()
    for node in pair.nodes.values():
        found = custody(node, rid)
        (marked,) = [step for step in found.steps if step.what == "reclassified"]
        assert marked.detail == level
        assert found.marking is not None
        assert found.marking.level == level
        assert "incident: loss, notice" in whats(found)
        assert "answered reclass: applied" in whats(found)


def test_what_is_none_or_several_is_refused(pair: Pair) -> None:
    released(pair), released(pair)
    for which in ("", "zz", "3", "0" * 64):
        with pytest.raises(UsageError):
            custody(pair.a, which)


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 3)), min_size=3, max_size=12))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_happens_every_copys_life_ends_or_it_is_held(
    make_pair: Callable[[], Pair], acts: list[tuple[str, int]]
) -> None:
    pair = make_pair()
    counter = itertools.count(1)
    for act, which in [("release", 0), ("exchange", 0), *acts]:
        rids = [fact.rid for fact in pair.a.side.releases]
        rid = rids[which % len(rids)] if rids else ""
        try:
            befall(pair, act, rid, next(counter))
        except EntenteError:
            continue  # refused as it stands: nothing happened
    check_balance(pair)
    pair.exchange()
    check_balance(pair)
