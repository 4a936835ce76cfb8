"""A draft that a person refused is over: in whatever order steps are then tried, none approves or dispatches it.

And without a refusal no order of steps lets a draft leave that fewer persons than the article asks have signed.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entente.errors import EntenteError, RefusedError, StateError, UsageError
from entente.node.custody import custody
from entente.node.node import Node
from entente.node.refuse import refusal_of
from lab.pair import AREA, Pair, sighted

Step = Callable[[Pair, Node, str], object]


def refuse(pair: Pair, node: Node, rid: str, name: str, reason: str = "names a source") -> object:
    handle, signer = pair.of(node, name)
    return node.refuse(rid, handle, reason, signer)


def revoke(pair: Pair, node: Node, rid: str) -> object:
    handle, signer = pair.of(node, "nair")
    return node.revoke_approval(rid, handle, signer)


STEPS: dict[str, Step] = {
    "nair approves": lambda pair, node, rid: pair.approve(node, rid, "nair"),
    "iyer approves": lambda pair, node, rid: pair.approve(node, rid, "iyer", "security"),
    "the author approves": lambda pair, node, rid: pair.approve(node, rid, "rao"),
    "nair revokes": revoke,
    "queue": lambda _, node, rid: node.queue([rid]),
    "dispatch": lambda _, node, rid: node.dispatch([rid]),
    "sync": lambda pair, node, _: node.sync(pair.tree(pair.b)),
    "nair refuses": lambda pair, node, rid: refuse(pair, node, rid, "nair"),
}


def test_a_refused_draft_is_kept_with_who_and_why(either: Pair) -> None:
    node = either.a
    rid = either.approved(node)
    refuse(either, node, rid, "nair", " says more than was asked ")
    found = refusal_of(node, rid)
    assert found is not None
    assert (found.by, found.reason, found.at) == (f"{node.party}/nair", "says more than was asked", node.now())
    steps = [step for step in custody(node, rid).steps if step.what == "refused by a person"]
    assert [step.by for step in steps] == [(f"{node.party}/nair",)]
    assert custody(node, rid).open == ()
    for name in ("nair approves", "nair revokes", "queue", "dispatch", "nair refuses"):
        with pytest.raises(StateError, match="refused"):
            STEPS[name](either, node, rid)
    assert node.side.releases == []


def test_its_author_may_refuse_it_and_nobody_without_area_role_ceiling_or_key(pair: Pair) -> None:
    node = pair.a
    top = node.law.law.party[node.party].levels[2]
    rid = pair.propose(node, sighted(), level=top).rid
    for name in ("low", "elsewhere"):
        with pytest.raises(RefusedError, match="may not refuse this"):
            refuse(pair, node, rid, name)
    with pytest.raises(RefusedError, match="the key given"):
        node.refuse(rid, f"{node.party}/nair", "no", pair.of(node, "iyer")[1])
    with pytest.raises(RefusedError, match="not certified"):
        node.refuse(rid, f"{node.party}/nobody", "no", pair.of(node, "iyer")[1])
    for reason in ("", "  ", "two\nlines", "x" * 501):
        with pytest.raises(UsageError, match="a reason is one line"):
            refuse(pair, node, rid, "nair", reason)
    assert refusal_of(node, rid) is None
    refuse(pair, node, rid, "rao")
    assert refusal_of(node, rid) is not None


def test_what_is_dispatched_cannot_be_refused(pair: Pair) -> None:
    done = pair.release(pair.a)
    with pytest.raises(StateError, match="dispatched"):
        refuse(pair, pair.a, done.rid, "nair")


def test_a_refusal_outlives_the_end_of_the_import(pair: Pair) -> None:
    node = pair.a
    rid = pair.propose(node, sighted()).rid
    refuse(pair, node, rid, "rao")
    node.db.set_draft(rid, "drafted")  # what destroying its import does
    assert [row.state for row in node.db.drafts()] == ["refused"]


def test_no_order_of_steps_lets_a_draft_leave_that_is_refused_or_not_signed_enough(pair: Pair) -> None:
    node = pair.a
    needed = node.law.law.areas[AREA].approvals or 0

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.sampled_from(sorted(STEPS)), max_size=8))
    def tried(names: list[str]) -> None:
        rid = pair.propose(node, sighted()).rid
        signed: set[str] = set()
        refused = left = False
        for name in names:
            try:
                STEPS[name](pair, node, rid)
            except EntenteError:
                continue
            if name.endswith(" approves"):
                signed.add(name.split()[0])
            signed -= {"nair"} if name == "nair revokes" else set()
            refused = refused or name == "nair refuses"
            now = rid in node.side.by_rid
            assert not now or left or (len(signed) == needed and not refused)
            left = now
        row = node.db.draft(rid)
        assert row is not None
        assert (row.state == "refused") == refused
        assert (row.state == "dispatched") == left

    tried()
