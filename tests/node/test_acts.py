"""An act takes as many certified persons as the agreement asks, each at their own time, and is entered once.

What the fold would refuse is refused when it is prepared; what was signed is never changed; nobody counts twice.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from entente.errors import EntenteError, FormatError, FrozenError, RefusedError, StateError, StoreError, UsageError
from entente.node.act import ACT_KINDS
from entente.store.node_db import NodeDb
from entente.strict import parse
from lab.acts import SIGNERS, entered, ordered, prepared
from lab.pair import AREA, UNTIL, Pair, copy_of, put_back, revoke, signs_nothing, unchanged

Body = dict[str, Any]


def bodies(pair: Pair) -> dict[str, Body]:
    """One valid body of each kind of act."""
    node = pair.a
    law = node.law.law
    rid = pair.release(node).rid
    covers = {
        "area": AREA,
        "ceiling": law.party[node.party].levels[0],
        "format": "stix-2.1",
        "purpose": (law.areas[AREA].purposes or ("",))[0],
        "view": "full",
    }
    return {
        "claim": {"basis": "report", "evidence": [], "key": "radar/1", "value": "done"},
        "incident": {
            "class": "possible",
            "discovered_at": node.now(),
            "releases": [{"origin": node.side.origin, "spans": [[node.side.releases[0].idx] * 2]}],
            "stage": "notice",
        },
        "order": {"act": "withdraw", "rid": rid},
        "standing": {"class": covers, "per_day": {"bytes": 10**6, "count": 3}, "until": UNTIL},
        "term": {"act": "suspend"},
        "undertaking": {
            "band": "", "basis": "", "from": node.party, "key": "radar/1", "measure": "units", "source": "talks",
            "strength": "will", "text": {"en": "First line.\nSecond line."}, "to": node.partner,
        },
    }  # fmt: skip


def kind_of(pair: Pair, idx: int) -> str:
    (data,) = pair.a.db.entries(pair.a.logs[pair.a.party], idx, idx + 1)
    return str(parse(data, newlines=True)["kind"])


@pytest.mark.parametrize("kind", ACT_KINDS)
def test_an_act_of_every_kind_is_signed_one_by_one_and_entered(either: Pair, kind: str) -> None:
    node, body = either.a, bodies(either)[kind]
    act = node.prepare(kind, body, by=f"{node.party}/rao")
    assert (act.state, act.signed) == ("prepared", ())
    wanted = act.needed
    for number, name in enumerate(("nair", "iyer")[:wanted]):
        assert (act.enough, len(act.signed)) == (False, number)
        act = node.sign(act.id, *either.of(node, name))
    assert act.enough
    done = node.enter(act.id)
    assert kind_of(either, done.idx) == kind
    assert node.side.acts[act.id] == done.idx
    assert not node.side.invalid
    assert node.act_named(act.id).state == "entered"
    either.exchange()
    assert either.b.other_side.acts[act.id] == done.idx


@pytest.mark.parametrize("kind", ACT_KINDS)
def test_what_too_few_have_signed_is_not_entered(pair: Pair, kind: str) -> None:
    node, body = pair.a, bodies(pair)[kind]
    act = node.prepare(kind, body)
    for name in ("nair", "iyer")[: act.needed - 1]:
        node.sign(act.id, *pair.of(node, name))
    with unchanged(node), pytest.raises(RefusedError, match=f"{act.needed - 1} of {act.needed} persons"):
        node.enter(act.id)


def test_an_order_that_one_person_signed_changes_nothing(pair: Pair) -> None:
    rid = pair.release(pair.a).rid
    pair.exchange()
    act = prepared(pair, pair.a, "order", {"act": "withdraw", "rid": rid}, "nair")
    with pytest.raises(RefusedError):
        pair.a.enter(act.id)
    assert pair.a.state_of(pair.a.side.releases[0]) == "received"


def test_the_same_person_or_key_counts_once(pair: Pair) -> None:
    node = pair.a
    act = prepared(pair, node, "order", bodies(pair)["order"], "nair")
    for name in ("nair.two", "twin"):
        with unchanged(node), pytest.raises(RefusedError, match="who signed already"):
            node.sign(act.id, *pair.of(node, name))
    assert node.sign(act.id, *pair.of(node, "nair")).signed == (f"{node.party}/nair",)
    with pytest.raises(RefusedError, match="1 of 2"):
        node.enter(act.id)


def test_who_may_not_sign_is_told_why(pair: Pair) -> None:
    node = pair.a
    act = node.prepare("claim", bodies(pair)["claim"])
    handle, signer = pair.of(node, "nair")
    cases = [
        ((f"{node.party}/nobody", signer), "not certified"),
        ((handle, pair.of(node, "sen")[1]), "not the one certified"),
        (pair.of(node, "iyer"), "may not sign"),
        ((pair.of(pair.b, "nair")), "not certified"),
    ]
    for (name, key), reason in cases:
        with unchanged(node), pytest.raises(RefusedError, match=reason) as told:
            node.sign(act.id, name, key)
        assert told.value.place.startswith("Art. ")
    revoke(pair, node, "sen")
    with pytest.raises(RefusedError, match="not certified"):
        node.sign(act.id, *pair.of(node, "sen"))
    pair.clock.forward(days=2)
    with pytest.raises(RefusedError, match="expired"):
        node.sign(act.id, *pair.of(node, "brief"))


def test_a_signature_of_one_who_was_revoked_since_counts_no_more(pair: Pair) -> None:
    node = pair.a
    act = prepared(pair, node, "order", bodies(pair)["order"], *SIGNERS)
    assert act.enough
    revoke(pair, node, "iyer")
    assert node.act_named(act.id).signed == (f"{node.party}/nair",)
    with pytest.raises(RefusedError, match="1 of 2"):
        node.enter(act.id)
    node.sign(act.id, *pair.of(node, "sen"))
    node.enter(act.id)
    assert not node.side.invalid


def test_a_signature_whose_certificate_ran_out_since_counts_no_more(pair: Pair) -> None:
    act = prepared(pair, pair.a, "order", bodies(pair)["order"], "nair", "brief")
    pair.clock.forward(days=2)
    with pytest.raises(RefusedError, match="1 of 2"):
        pair.a.enter(act.id)


@pytest.mark.parametrize(
    ("kind", "change", "error"),
    [
        ("order", {"rid": "ab" * 32}, StateError),
        ("order", {"rid": "ab"}, FormatError),
        ("order", {"act": "reclass"}, FormatError),
        ("order", {"act": "burn"}, FormatError),
        ("term", {"act": "notice"}, FormatError),
        ("standing", {"until": "soon"}, FormatError),
        ("standing", {"class": {}}, FormatError),
        ("claim", {"evidence": ["x"]}, FormatError),
        ("undertaking", {"strength": "sworn"}, FormatError),
        ("incident", {"stage": "over"}, FormatError),
        ("incident", {"title": "free text"}, FormatError),
        ("answer", {}, UsageError),
        ("key", {}, UsageError),
    ],
)
def test_what_the_fold_would_refuse_is_not_prepared(
    pair: Pair, kind: str, change: Body, error: type[EntenteError]
) -> None:
    body = {**bodies(pair).get(kind, {}), **change}
    with unchanged(pair.a), pytest.raises(error):
        pair.a.prepare(kind, body)


def test_an_act_is_entered_once_and_a_dropped_one_never(either: Pair) -> None:
    node = either.a
    act = prepared(either, node, "term", {"act": "suspend"}, *SIGNERS)
    node.enter(act.id)
    for verb in (node.enter, node.drop, lambda name: node.sign(name, *either.of(node, "nair"))):
        with unchanged(node), pytest.raises(StateError, match="entered"):
            verb(act.id)
    other = prepared(either, node, "term", {"act": "resume"}, *SIGNERS)
    assert node.drop(other.id).state == "dropped"
    with unchanged(node), pytest.raises(StateError, match="dropped"):
        node.enter(other.id)
    assert node.side.suspended_at(node.side.size)


def test_the_same_words_prepared_twice_are_two_acts(pair: Pair) -> None:
    first, second = (entered(pair, pair.a, "term", {"act": "suspend"}) for _ in range(2))
    assert first.id != second.id
    assert not pair.a.side.invalid


def test_acts_and_their_signatures_survive_a_restart(either: Pair) -> None:
    node = either.a
    act = prepared(either, node, "order", bodies(either)["order"], "nair", keep_import=True)
    again = either.open(node.party)
    assert again.act_named(act.id[:12]) == act
    assert [found.id for found in again.acts()] == [act.id]
    if not again.act_named(act.id).enough:
        again.sign(act.id, *either.of(again, "iyer"))
    again.enter(act.id)
    assert not again.side.invalid


def test_everything_that_happens_to_an_act_is_journalled(pair: Pair) -> None:
    act = prepared(pair, pair.a, "order", bodies(pair)["order"], *SIGNERS)
    pair.a.enter(act.id)
    lines = [parse(line)["outcome"] for line in pair.a.db.journal_of("act", act.id)]
    assert lines == ["prepared", "signed", "signed", "entered"]


def test_a_frozen_node_enters_nothing(pair: Pair) -> None:
    node = pair.a
    saved = pair.folder / "saved"
    act = prepared(pair, node, "term", {"act": "suspend"}, *SIGNERS)
    copy_of(node.folder, "node.db", saved)
    entered(pair, node, "term", {"act": "resume"})
    put_back(pair, node.party, "node.db", saved=saved)
    node = pair.a
    assert node.frozen
    with pytest.raises(FrozenError):
        node.enter(act.id)
    signs_nothing(pair, node)
    assert node.act_named(act.id).state == "prepared"


def test_an_act_that_stands_in_the_register_is_not_entered_again_after_a_restore(pair: Pair) -> None:
    node = pair.a
    saved = pair.folder / "saved"
    act = prepared(pair, node, "term", {"act": "suspend"}, *SIGNERS)
    copy_of(node.folder, "node.db", saved)
    node.enter(act.id)
    pair.exchange()
    put_back(pair, node.party, "node.db", saved=saved)
    pair.a.pull()
    assert not pair.a.frozen
    with pytest.raises(StateError, match="entered"):
        pair.a.enter(act.id)


def test_a_beginning_that_fits_two_acts_or_none_is_refused(pair: Pair) -> None:
    for name in ("", "zz", "0" * 64):
        with pytest.raises(UsageError):
            pair.a.act_named(name)


def test_a_database_without_the_new_tables_gets_them_and_keeps_the_rest(tmp_path: Path, pair: Pair) -> None:
    folder = pair.shut(pair.codes[0])
    raw = sqlite.connect(str(folder / "node.db"))
    before = raw.execute("SELECT * FROM segment").fetchall()
    for table in ("act_sig", "act", "erasure"):
        raw.execute(f"DROP TABLE {table}")
    raw.execute("PRAGMA user_version = 2")
    raw.close()
    shutil.copy(folder / "node.db", tmp_path / "one.db")
    node = pair.open(pair.codes[0])
    assert node.db.raw.execute("SELECT * FROM segment").fetchall() == before
    entered(pair, node, "term", {"act": "suspend"})
    raw = sqlite.connect(str(tmp_path / "one.db"))
    raw.execute("PRAGMA user_version = 1")
    raw.close()
    with pytest.raises(StoreError, match="schema version 1"):
        NodeDb(tmp_path / "one.db")


SAME = frozenset(  # one natural person under two handles, and two persons who share a key
    frozenset(names) for names in (("rao", "rao.two"), ("nair", "nair.two"), ("nair", "twin"))
)


def test_any_course_of_an_act_enters_it_once_with_enough_persons(make_pair: Callable[..., Pair]) -> None:
    """Prepared, signed, revoked, dropped, entered, reopened in any order: the register holds only valid acts."""
    pair = make_pair()

    class Course(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.size = pair.a.side.size
            self.acts: dict[str, set[str]] = {}
            self.closed: dict[str, str] = {}

        @rule()
        def prepare(self) -> None:
            self.acts[pair.a.prepare("term", {"act": "resume"}).id] = set()

        @precondition(lambda self: bool(self.acts))
        @rule(data=st.data(), name=st.sampled_from(["rao", "nair", "iyer", "rao.two", "nair.two", "twin"]))
        def sign(self, data: st.DataObject, name: str) -> None:
            act = data.draw(st.sampled_from(sorted(self.acts)))
            try:
                pair.a.sign(act, *pair.of(pair.a, name))
            except RefusedError:
                assert any(frozenset({name, other}) in SAME for other in self.acts[act])
            except StateError:
                assert act in self.closed
            else:
                assert act not in self.closed
                assert not any(frozenset({name, other}) in SAME for other in self.acts[act])
                self.acts[act].add(name)

        @precondition(lambda self: bool(self.acts))
        @rule(data=st.data())
        def enter(self, data: st.DataObject) -> None:
            act = data.draw(st.sampled_from(sorted(self.acts)))
            try:
                pair.a.enter(act)
            except RefusedError:
                assert len(self.acts[act]) < 2
            except StateError:
                assert act in self.closed
            else:
                assert len(self.acts[act]) >= 2
                assert act not in self.closed
                self.closed[act] = "entered"
                self.size += 1

        @precondition(lambda self: bool(self.acts))
        @rule(data=st.data())
        def drop(self, data: st.DataObject) -> None:
            act = data.draw(st.sampled_from(sorted(self.acts)))
            try:
                pair.a.drop(act)
            except StateError:
                assert act in self.closed
            else:
                assert act not in self.closed
                self.closed[act] = "dropped"

        @rule()
        def reopen(self) -> None:
            pair.open(pair.codes[0])

        @invariant()
        def the_register_says_so(self) -> None:
            assert pair.a.side.size == self.size
            assert not pair.a.side.invalid
            for act in self.acts:
                assert pair.a.act_named(act).state == self.closed.get(act, "prepared")
                assert (act in pair.a.side.acts) == (self.closed.get(act) == "entered")

    run = settings(max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
    machine = Course.TestCase
    machine.settings = run
    machine().runTest()


def test_an_order_goes_its_way_under_both_agreements(either: Pair) -> None:
    rid = either.release(either.a).rid
    either.exchange()
    ordered(either, either.a, rid, "withdraw")
    either.exchange()
    for node in either.nodes.values():
        assert node.state_of(node.pair.sides[either.codes[0]].releases[0]) == "withdrawn"
