"""Two nodes do what a plain model says, whatever persons, the wire, time and crashes do, in any order.

Both nodes know the same, nothing acknowledged is lost or doubled, what is refused leaves no trace, what has ended can
be read nowhere, and with nothing to do both registers fall silent. The model is `lab/model.py`, the nodes are real.
"""

import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from entente import keys
from lab.model import Draft
from lab.near_end import CHEAP, near_end
from lab.pair import Template
from lab.twonodes import TwoNodes

SAMPLES = ("india-korea", "two-certs")
FAST = settings(max_examples=14, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=110, stateful_step_count=45, deadline=None, suppress_health_check=list(HealthCheck))
NAMES = ("rao", "nair", "iyer", "sen", "rao.two", "nair.two", "twin", "low", "brief", "elsewhere")
PAIRS = (  # who signs: nobody, one, one person or key twice, the author, one without the role, area, time or ceiling
    (),
    ("nair",),
    ("nair", "nair.two"),
    ("nair", "twin"),
    ("rao.two", "iyer"),
    ("sen", "brief"),
    ("low", "iyer"),
    ("nair", "elsewhere"),
)

which = st.integers(0, 1)
pick = st.integers(0, 30)
levels = st.integers(0, 2)
some_signers = st.sampled_from([("nair", "iyer"), ("nair", "iyer"), ("nair", "iyer"), ("nair",)])


@pytest.fixture(scope="module")
def grounds() -> Iterator[tuple[Path, dict[str, Template]]]:
    """A folder in memory where there is one, and a template under each sample."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(keys, "_ARGON2_KIB", CHEAP)
        yield Path(folder), {sample: near_end(Path(folder) / sample, sample) for sample in SAMPLES}


class Course(RuleBasedStateMachine):
    """Any course of two nodes."""

    ground: Path
    template: Template

    def __init__(self) -> None:
        super().__init__()
        self.two = TwoNodes(self.template, Path(tempfile.mkdtemp(dir=self.ground)) / "pair")
        self.world = self.two.world

    def code(self, which: int) -> str:
        return self.two.pair.codes[which]

    def received(self, x: str) -> list[str]:
        """The partner's releases that the node of `x` knows of."""
        world = self.world
        return [e.rid for _, e in world.releases(world.other(x), world.cut(x))]

    # A release

    @initialize(began=st.lists(st.tuples(which, levels), max_size=3), told=st.booleans())
    def begin(self, began: list[tuple[int, int]], told: bool) -> None:
        for which, level in began:
            self.release(which, level, 2)
        if told:
            self.two.exchange()

    def finish(self, draft: Draft | None) -> None:
        """Whoever should approve it does, and it leaves, as far as it may."""
        if draft is not None:
            self.two.approve(draft, "nair", "release")
            self.two.approve(draft, "iyer", "security")
            self.two.dispatch(draft)

    @rule(which=which, level=levels, copies=st.integers(1, 2))
    def release(self, which: int, level: int, copies: int) -> None:
        self.finish(self.two.propose(self.code(which), level, copies=copies))

    @rule(which=which, level=levels, by=st.sampled_from(PAIRS), leave=st.booleans())
    def propose(self, which: int, level: int, by: tuple[str, ...], leave: bool) -> None:
        draft = self.two.propose(self.code(which), level)
        if draft is not None:
            for name, role in zip(by, ("release", "security"), strict=False):
                self.two.approve(draft, name, role)
            if leave:
                self.two.dispatch(draft)

    @precondition(lambda self: self.world.where)
    @rule(
        which=which,
        level=levels,
        number=pick,
        meanwhile=st.sampled_from(["", "", "withdraw", "reclass", "destroy"]),
        told=st.booleans(),
    )
    def derive(self, which: int, level: int, number: int, meanwhile: str, told: bool) -> None:
        """Something is made of what came; before it leaves, the author of that may have ordered otherwise."""
        x = self.code(which)
        known = self.received(x)
        draft = self.two.propose(x, level, parent=known[number % len(known)]) if known else None
        if draft is not None:
            self.two.approve(draft, "nair", "release")
            self.two.approve(draft, "iyer", "security")
            if meanwhile:
                self.two.order(draft.ancestors[0], meanwhile, 2, ("nair", "iyer"))
            if told:
                self.two.exchange()
            self.two.dispatch(draft)

    @precondition(lambda self: self.world.where)
    @rule(which=which, number=pick, finish=st.booleans())
    def bring_home(self, which: int, number: int, finish: bool) -> None:
        x = self.code(which)
        known = [rid for rid in self.received(x) if not self.world.is_return(self.world.entry_of(rid))]
        if known:
            draft = self.two.propose_return(x, known[number % len(known)])
            if finish:
                self.finish(draft)

    @precondition(lambda self: self.world.drafts)
    @rule(number=pick, name=st.sampled_from(NAMES), role=st.sampled_from(["release", "security"]))
    def approve(self, number: int, name: str, role: str) -> None:
        drafts = self.world.drafts[::-1]
        self.two.approve(drafts[number % len(drafts)], name, role)

    @precondition(lambda self: any(draft.approvals for draft in self.world.drafts))
    @rule(number=pick, by=pick)
    def revoke(self, number: int, by: int) -> None:
        """One of those who signed, or somebody who did not, takes an approval back."""
        signed = [draft for draft in self.world.drafts[::-1] if draft.approvals]
        drafts = [draft for draft in signed if draft.state != "dispatched"] or signed
        draft = drafts[number % len(drafts)]
        names = [*sorted(draft.approvals), "sen"]
        self.two.revoke(draft, names[by % len(names)])

    @precondition(lambda self: self.world.drafts)
    @rule(number=pick)
    def dispatch(self, number: int) -> None:
        drafts = self.world.drafts[::-1]
        self.two.dispatch(drafts[number % len(drafts)])

    # Standing approvals

    @precondition(lambda self: len(self.two.standings) < 3)
    @rule(which=which, level=levels, quota=st.integers(1, 2), days=st.sampled_from([2, 30]))
    def grant(self, which: int, level: int, quota: int, days: int) -> None:
        self.two.grant(self.code(which), level, quota, days)

    @precondition(lambda self: self.two.standings)
    @rule(level=st.integers(0, 1), number=pick, times=st.integers(1, 3))
    def use(self, level: int, number: int, times: int) -> None:
        x, act = self.two.standings[number % len(self.two.standings)]
        for _ in range(times):
            draft = self.two.propose(x, level, standing=act)
            if draft is not None:
                self.two.dispatch(draft)

    @precondition(lambda self: self.two.standings)
    @rule(number=pick)
    def end_standing(self, number: int) -> None:
        self.two.end_standing(*self.two.standings[number % len(self.two.standings)])

    # Orders, terms, statements

    @precondition(lambda self: self.world.where)
    @rule(
        number=pick,
        what=st.sampled_from(["withdraw", "reclass", "reclass", "return", "destroy"]),
        level=levels,
        signers=some_signers,
    )
    def order(self, number: int, what: str, level: int, signers: tuple[str, ...]) -> None:
        rids = list(self.world.where)[::-1]
        self.two.order(rids[number % len(rids)], what, level, signers)

    @rule(which=which, number=pick, up=st.integers(1, 2), down=st.integers(0, 1), told=st.booleans())
    def raise_and_lower(self, which: int, number: int, up: int, down: int, told: bool) -> None:
        """What something derives from is marked twice; what derives from it may know of one, both or neither."""
        x = self.code(which)
        known = self.received(x)
        if known and not self.above():
            self.finish(self.two.propose(x, 0, parent=known[number % len(known)]))
        above = self.above()
        if above:
            rid = above[number % len(above)]
            self.two.order(rid, "reclass", up, ("nair", "iyer"))
            if told:
                self.two.exchange()
            self.two.order(rid, "reclass", down, ("nair", "iyer"))

    def above(self) -> list[str]:
        """What releases derive from."""
        return [rid for one in self.world.where for rid in self.world.entry_of(one).ancestors]

    @rule(
        which=which,
        what=st.sampled_from(["suspend", "resume", "resume", "resume", "notice_of_end"]),
        signers=some_signers,
    )
    def term(self, which: int, what: str, signers: tuple[str, ...]) -> None:
        self.two.term(self.code(which), what, signers)

    @rule(which=which, key=st.sampled_from(["k/1", "k/2"]), words=st.sampled_from(["so", "or so"]), amend=st.booleans())
    def undertake(self, which: int, key: str, words: str, amend: bool) -> None:
        self.two.undertake(self.code(which), key, words, amend=amend)

    @rule(which=which, key=st.sampled_from(["k/1", "k/2"]), words=st.sampled_from(["so", "or so"]))
    def claim(self, which: int, key: str, words: str) -> None:
        self.two.claim(self.code(which), key, words)

    @precondition(lambda self: sum(e.kind == "adopt" for log in self.world.logs.values() for e in log) < 2)
    @rule(which=which)
    def adopt(self, which: int) -> None:
        self.two.adopt(self.code(which))

    @rule(which=which)
    def renew_kem(self, which: int) -> None:
        self.two.renew_kem(self.code(which))

    # The wire

    @rule(which=which)
    def pull(self, which: int) -> None:
        self.two.pull(self.code(which))

    @rule(which=which)
    def answer(self, which: int) -> None:
        self.two.answer(self.code(which))

    @rule()
    def exchange(self) -> None:
        self.two.exchange()

    # The receiver

    @precondition(lambda self: self.world.where)
    @rule(which=which, number=pick)
    def copy(self, which: int, number: int) -> None:
        known = self.received(self.code(which))[::-1]
        if known:
            self.two.copy(self.code(which), known[number % len(known)])

    @precondition(lambda self: self.world.copies)
    @rule(number=pick, copy=st.integers(1, 2))
    def close_copy(self, number: int, copy: int) -> None:
        rids = list(self.world.copies)
        rid = rids[number % len(rids)]
        self.two.close_copy(self.world.other(self.world.where[rid][0]), rid, copy)

    @precondition(lambda self: self.world.where)
    @rule(
        which=which,
        number=pick,
        outcome=st.sampled_from(["destroyed", "destroyed", "returned"]),
        witnessed=st.booleans(),
    )
    def end(self, which: int, number: int, outcome: str, witnessed: bool) -> None:
        known = self.received(self.code(which))[::-1]
        if known:
            self.two.end(self.code(which), known[number % len(known)], outcome, witnessed=witnessed)

    @precondition(lambda self: self.world.where)
    @rule(number=pick, how=st.sampled_from(["destroyed", "returned"]), raised=st.booleans(), told=st.booleans())
    def ended_by_order(self, number: int, how: str, raised: bool, told: bool) -> None:
        """A release is wanted back or destroyed, and its receiver does what it takes."""
        rid = list(self.world.where)[::-1][number % len(self.world.where)]
        x = self.world.other(self.world.where[rid][0])
        if raised:
            self.two.order(rid, "reclass", 2, ("nair", "iyer"))
        self.two.order(rid, {"destroyed": "destroy", "returned": "return"}[how], 0, ("nair", "iyer"))
        self.two.exchange()
        if how == "returned" and not self.world.is_return(self.world.entry_of(rid)):
            self.finish(self.two.propose_return(x, rid))
            self.two.exchange()
        for witnessed in (False, True):  # the second is refused where the first was enough
            self.two.end(x, rid, how, witnessed=witnessed)
        if told:
            self.two.exchange()

    # Time, and what befalls a node

    @rule(hours=st.sampled_from([1, 12, 24, 24 * 3, 24 * 9, 24 * 20]))
    def forward(self, hours: int) -> None:
        self.two.forward(timedelta(hours=hours))

    @rule(which=which, after=st.sampled_from([-24 * 60, 0, 1, 24 * 60]), told=st.booleans())
    def end_of_term(self, which: int, after: int, told: bool) -> None:
        """Notice is given around the last minute at which it counts, and the end comes."""
        limit = self.world.terms.end - self.world.terms.notice + timedelta(minutes=after)
        if self.world.now <= limit:
            self.two.forward(limit - self.world.now)
            self.two.term(self.code(which), "notice_of_end", ("nair", "iyer"))
            if told:
                self.two.exchange()
            self.two.forward(self.world.terms.end - self.world.now)

    @rule(which=which)
    def sleep(self, which: int) -> None:
        self.two.sleep(self.code(which))

    @rule(which=which, forgetful=st.booleans())
    def reopen(self, which: int, forgetful: bool) -> None:
        self.two.reopen(self.code(which), forgetful=forgetful)

    @rule(left=st.integers(1, 30))
    def arm(self, left: int) -> None:
        """The next act that writes is killed before its `left`th act on disk."""
        self.two.armed = left

    @invariant()
    def both_are_what_the_model_says(self) -> None:
        self.two.check()

    def teardown(self) -> None:
        """Told each other everything, the two have one account, and both verifiers are content."""
        try:
            if sys.exc_info()[0] is None:  # else a step has failed, and nothing more need hold
                self.two.check_rest()
        finally:
            self.two.close()


def run(grounds: tuple[Path, dict[str, Template]], sample: str, how: settings) -> None:
    ground, templates = grounds
    machine = type("CourseOf", (Course,), {"ground": ground, "template": templates[sample]})
    run_state_machine_as_test(machine, settings=how)


@pytest.mark.parametrize("sample", SAMPLES)
def test_two_nodes_do_what_the_model_says(grounds: tuple[Path, dict[str, Template]], sample: str) -> None:
    run(grounds, sample, FAST)


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES)
def test_two_nodes_do_what_the_model_says_for_long(grounds: tuple[Path, dict[str, Template]], sample: str) -> None:
    run(grounds, sample, LONG)
