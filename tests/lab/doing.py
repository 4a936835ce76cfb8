"""Two real nodes beside their model: every act is done to both; what the model refuses is refused without a trace.

An act may be armed with a crash: it is then begun in a process that ends before its Nth act on disk, and finished here.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from stix_objects import bundle_of

from entente.errors import EntenteError
from entente.node import setup
from entente.node.node import Node
from entente.node.order import Remark, order_body
from entente.node.propose import Wish
from entente.strict import parse_time, time_text
from entente.treaty.marking import MarkingMap
from lab.acts import SIGNERS, crashed, reopened
from lab.model import Draft, World
from lab.near_end import second_version, terms_of
from lab.pair import AREA, START, Pair, Template, sighted, unchanged

STEP = timedelta(hours=23)  # a node that runs marks the time more often than that


class Doing:
    """A pair and its world."""

    def __init__(self, template: Template, folder: Path) -> None:
        self.folder = folder
        self.pair = Pair(template, folder)
        terms, self.words, people = terms_of(template)
        sizes = {x: node.trees[x].size for x, node in self.pair.nodes.items()}
        sealing = {x: max(parse_time(f.until) for f in n.side.kems.values()) for x, n in self.pair.nodes.items()}
        self.world = World(terms, sizes, START, people, sealing)
        self.world.mirror = {x: n.trees[n.partner].size for x, n in self.pair.nodes.items()}
        self.world.acked = {x: n.acknowledged() for x, n in self.pair.nodes.items()}
        self.second = second_version(template)
        self.armed = 0
        self.count = 0
        self.undertaken: dict[tuple[str, str], str] = {}
        self.standings: list[tuple[str, str]] = []

    def node(self, x: str) -> Node:
        return self.pair.nodes[x]

    # Doing

    @contextmanager
    def refused(self, *but: str) -> Iterator[None]:
        """What happens inside is refused, and leaves nothing on either node but lines in these tables."""
        armed, self.armed = self.armed, 0
        with unchanged(*self.pair.nodes.values(), but=but), pytest.raises(EntenteError):
            yield
        self.armed = armed

    def judged(self, good: bool, *but: str) -> AbstractContextManager[object]:
        return nullcontext() if good else self.refused(*but)

    def do(self, x: str, act: Callable[[Node], object], stands: Callable[[Node], bool] = lambda _: False) -> None:
        """It is done, after a crash in the middle of it if one was armed; `stands` says whether that came too late."""
        if self.armed:
            left, self.armed = self.armed, 0
            folder = self.pair.shut(x)

            def run(set_fuse: Callable[[int], None]) -> None:
                node = reopened(self.pair, self.folder, x)
                set_fuse(left)
                act(node)
                set_fuse(0)
                node.close()

            crashed(folder, run)
            self.pair.open(x)
        if not stands(self.node(x)):
            act(self.node(x))

    def grown(self, x: str) -> Callable[[Node], bool]:
        size = len(self.world.logs[x])
        return lambda node: node.trees[x].size > size

    # The way of a release

    def propose(self, x: str, level: int, *, parent: str = "", standing: str = "", copies: int = 1) -> Draft | None:
        """A draft of a new import, derived from `parent` if one is given; None if it must be refused, and was."""
        self.count += 1
        canary = f"canary-{self.count:04d}-"
        node, pair = self.node(x), self.pair
        found = MarkingMap(node.law.hash, AREA, (), pair.marking(node, self.words[x][level]))
        map_id = node.sign_map(found, [pair.of(node, "iyer")])
        bundle = bundle_of(*sighted(2, word=canary, first=10 * self.count))
        source = node.import_file(AREA, bundle, place="model.json", map_id=map_id).source
        wish = Wish(f"{x}/rao", parents=(parent,) if parent else (), standing=standing, copies=copies)
        if parent and not self.world.usable(x, parent):
            with self.refused():
                node.propose(source, wish)
            self.world.loose.add((x, canary))
            return None
        made = node.propose(source, wish)
        above = self.world.current(parent, self.world.cut(x)) if parent else 0
        draft = Draft(
            made.rid, x, max(level, above), x, self.world.version(x), (parent,) if parent else (), standing, copies,
            canary,
        )  # fmt: skip
        return self._drafted(draft, made.state)

    def propose_return(self, x: str, rid: str) -> Draft | None:
        """A draft that brings a release of the partner's home."""
        world = self.world
        wish = Wish(f"{x}/rao")
        if not world.usable(x, rid):
            with self.refused():
                self.node(x).propose(rid, wish)
            return None
        made, entry = self.node(x).propose(rid, wish), world.entry_of(rid)
        level = max(entry.level, world.current(rid, world.cut(x)))
        draft = Draft(made.rid, x, level, world.other(x), world.version(x), (rid,), canary=entry.canary)
        return self._drafted(draft, made.state)

    def _drafted(self, draft: Draft, state: str) -> Draft:
        ready = "approved" if draft.standing else "checked"
        draft.state = "drafted" if self.world.refusal(draft) else ready
        assert state == draft.state, (state, self.world.refusal(draft))
        self.world.drafts.append(draft)
        return draft

    def approve(self, draft: Draft, name: str, role: str) -> None:
        world, node = self.world, self.node(draft.party)
        until = min(world.approval_end(), world.persons[name].until)
        open_ = draft.state != "dispatched" and not draft.standing and not world.refusal(draft)
        good = open_ and world.may_approve(draft, name, role, until)
        if draft.state != "dispatched" and not draft.standing and world.refusal(draft) and not draft.gone:
            draft.state = "drafted"
        handle, signer = self.pair.of(node, name)
        with self.judged(good, "journal", "draft"):
            node.approve(draft.rid, handle, role, signer)
            draft.approvals[name] = role, until
            world.settle_draft(draft)

    def revoke(self, draft: Draft, name: str) -> None:
        node = self.node(draft.party)
        good = draft.state != "dispatched" and name in draft.approvals and not draft.gone
        if draft.gone:
            return
        with self.judged(good):
            node.revoke_approval(draft.rid, *self.pair.of(node, name))
            del draft.approvals[name]
            self.world.settle_draft(draft)

    def dispatch(self, draft: Draft) -> bool:
        """Whether it was entered, as the model has it."""
        world, x = self.world, draft.party
        ready = draft.state == "approved" and not draft.gone and world.now < world.sealing_until(x)
        good = ready and not world.refusal(draft) and world.approvals_hold(draft)
        if good:
            self.do(x, lambda node: node.dispatch([draft.rid]), lambda node: draft.rid in node.side.by_rid)
            world.dispatch(draft)
            return True
        with self.refused("journal", "draft"):
            self.node(x).dispatch([draft.rid])
        if ready:
            draft.state = "drafted"
        return False

    # Acts of persons

    def act(
        self, x: str, kind: str, body: dict[str, Any], needed: int, signers: Sequence[str] = SIGNERS, **fields: Any
    ) -> str:
        """The act stands in the register if enough have signed it; returns its id, or nothing."""
        node = self.node(x)
        made = node.prepare(kind, body, by=f"{x}/rao")
        for name in signers:
            node.sign(made.id, *self.pair.of(node, name))
        if len(signers) < needed:
            with self.refused():
                node.enter(made.id)
            return ""
        self.do(x, lambda node: node.enter(made.id), lambda node: made.id in node.side.acts)
        self.world.enter(x, fields.pop("entry", kind), **{"act": made.id, **fields})
        return made.id

    def order(self, rid: str, what: str, level: int, signers: Sequence[str]) -> None:
        world = self.world
        x, idx = world.where[rid]
        cut, entry = world.cut(x), world.entry_of(rid)
        given = [e.what for _, e in world.orders(rid, cut)]
        scale = world.other(x) if world.is_return(entry) else x
        news = world.current(rid, cut) != level if what == "reclass" else what not in given
        good = not world.ended(rid, cut) and news
        with self.judged(good):
            body = order_body(self.node(x), rid, what, Remark(level=self.words[scale][level]))
            unstored = what == "withdraw" and idx >= world.acked[x]
            self.act(
                x, "order", body, world.terms.signers["order"], signers, rid=rid, what=what, level=level,
                unstored=unstored,
            )  # fmt: skip

    def term(self, x: str, what: str, signers: Sequence[str]) -> None:
        self.act(x, "term", {"act": what}, self.world.terms.signers[what], signers, what=what)

    def grant(self, x: str, level: int, quota: int, days: int) -> None:
        law = self.node(x).law.law
        covers = {
            "area": AREA, "ceiling": self.words[x][level], "format": "stix-2.1",
            "purpose": (law.areas[AREA].purposes or ("",))[0], "view": "full",
        }  # fmt: skip
        until = self.world.now + timedelta(days=days)
        body = {"class": covers, "per_day": {"bytes": 10**9, "count": quota}, "until": time_text(until)}
        act = self.act(x, "standing", body, self.world.terms.approvals, level=level, quota=quota, until=until)
        self.standings.append((x, act))

    def end_standing(self, x: str, act: str) -> None:
        done = any(e.kind == "revoke" and e.act == act for e in self.world.logs[x])
        with self.judged(not done):
            made = self.node(x).prepare("standing", {"revokes": act}, by=f"{x}/rao")
            self.node(x).sign(made.id, *self.pair.of(self.node(x), "nair"))
            self.node(x).enter(made.id)
            self.world.enter(x, "revoke", act=act)

    def undertake(self, x: str, key: str, words: str, *, amend: bool) -> None:
        first, second = self.pair.codes
        known = self.undertaken.get((x, key), "")
        body = {
            "band": "", "basis": "", "from": first, "key": key, "measure": "units", "source": "talks",
            "strength": "will", "text": {"en": words}, "to": second,
        }  # fmt: skip
        if amend:
            body["amends"] = known or "ab" * 32
        with self.judged(bool(known) == amend):
            self.undertaken[x, key] = self.act(x, "undertaking", body, 1, ("nair",), what=key, words=words)

    def claim(self, x: str, key: str, words: str) -> None:
        body = {"basis": "report", "evidence": [], "key": key, "value": words}
        self.act(x, "claim", body, 1, ("nair",), what=key, words=words)

    def adopt(self, x: str) -> None:
        done = any(e.kind == "adopt" for e in self.world.logs[x])
        signers = self.pair.template.authorities
        envelope = setup.sign_agreement(self.second, list(signers.values()))
        with self.judged(not done):
            self.do(x, lambda node: node.adopt(self.second, envelope, [signers[x]]), self.grown(x))
            self.world.enter(x, "adopt")

    def renew_kem(self, x: str) -> None:
        self.node(x).append([setup.renew_kem(self.node(x), self.pair.template.authorities[x])])
        self.world.enter(x, "kem", until=self.world.now + timedelta(days=90))

    # The wire

    def pull(self, x: str) -> None:
        self.do(x, lambda node: node.pull())
        self.world.pull(x)

    def answer(self, x: str) -> None:
        self.do(x, lambda node: node.answer())
        self.world.answer(x)

    # The receiver

    def copy(self, x: str, rid: str) -> None:
        with self.judged(self.world.may_copy(x, rid)):
            self.node(x).make_copy(rid, "desk 1", "room 5")
            self.world.copies.setdefault(rid, []).append(True)

    def close_copy(self, x: str, rid: str, number: int) -> None:
        out = self.world.copies.get(rid, [])
        good = 0 < number <= len(out) and out[number - 1]
        with self.judged(good):
            self.node(x).close_copy(rid, number)
            out[number - 1] = False

    def end(self, x: str, rid: str, outcome: str, *, witnessed: bool) -> None:
        world, node = self.world, self.node(x)
        names = ("sen", "rao") if witnessed else ()
        people = [self.pair.of(node, name) for name in names]
        lacking = outcome == "destroyed" and world.witnesses(x, rid) and not witnessed
        good = world.may_end(x, rid, outcome) and not lacking

        def act(node: Node) -> object:
            return (node.destroy if outcome == "destroyed" else node.give_back)(rid, people)

        with self.judged(good):
            self.do(x, act, self.grown(x)) if good else act(node)
            world.end_release(x, rid, outcome)

    # Time, and what befalls a node

    def forward(self, time: timedelta) -> None:
        """It is later; both nodes have run meanwhile."""
        while time > timedelta():
            self._tick(min(time, STEP), *self.pair.nodes.values())
            time -= STEP

    def _tick(self, time: timedelta, *running: Node) -> None:
        self.pair.clock.now += time
        self.world.now += time
        for node in running:
            node.mark_time()

    def sleep(self, x: str) -> None:
        """A node was off for two days: it signs nothing until persons vouch for its clock."""
        self.pair.shut(x)
        for _ in range(3):
            self._tick(STEP, *self.pair.nodes.values())
        node = self.pair.open(x)
        with self.refused():
            node.append([setup.renew_kem(node, self.pair.template.authorities[x])])
        node.confirm([self.pair.of(node, name) for name in SIGNERS])

    def reopen(self, x: str, *, forgetful: bool) -> None:
        folder = self.pair.shut(x)
        for path in folder.glob("view.db*") if forgetful else ():
            path.unlink()
        self.pair.open(x)

    def close(self) -> None:
        """Both are closed, and their files gone."""
        self.pair.close()
        shutil.rmtree(self.folder)
