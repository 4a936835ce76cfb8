"""Two real nodes beside their model: every act is done to both, and what the model refuses must be refused and leave no trace.

An act may be armed with a crash: it is then begun in a process that ends before its Nth act on disk, and finished here.
"""

import os
import re
import shutil
import tomllib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from stix_objects import bundle_of

from entente import keys
from entente.account.cascade import current_marking
from entente.account.duties import duties
from entente.account.claim import claims
from entente.account.state import ReleaseFact
from entente.account.undertaking import undertakings
from entente.errors import EntenteError, FrozenError
from entente.keys import SoftSigner
from entente.node import setup
from entente.node.node import Node
from entente.node.order import Remark, order_body
from entente.node.propose import Wish
from entente.node.verify import verify_folders
from entente.strict import parse, parse_time, time_text
from entente.treaty.marking import MarkingMap
from lab.acts import crashed, found_in, reopened
from lab.killing import load_script
from lab.model import ENDS, Draft, Person, Terms, World
from lab.pair import AREA, SAMPLES, START, UNTIL, Pair, Template, build, persons, sighted, unchanged

SIGNERS = ("nair", "iyer")
END = "2026-07-11T00:00Z"
NOTICE_DAYS = 10
BLOCK_HOURS = 72
STEP = timedelta(hours=23)  # a node that runs marks the time more often than that


def near_end(folder: Path, sample: str) -> Template:
    """Two founded nodes under a sample whose term ends soon, and which blocks on late answers before long."""
    text = (SAMPLES / f"{sample}.toml").read_text()
    text = re.sub(r'(?m)^end = ".*"', f'end = "{END}"', text)
    text = re.sub(r"(?m)^notice_days = \d+", f"notice_days = {NOTICE_DAYS}", text)
    text = re.sub(r"(?m)^block_after_hours = \d+", f"block_after_hours = {BLOCK_HOURS}", text)
    (folder / "samples").mkdir(parents=True)
    (folder / "samples" / f"{sample}.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.pair.SAMPLES", folder / "samples")
        patch.setattr(keys, "_SCRYPT_N", 2)
        return build(folder / "nodes", sample)


def second_version(template: Template) -> bytes:
    """The next version: half as long again to answer."""
    text = re.sub(r"(?m)^version = 1", "version = 2", template.toml.decode())
    return text.replace("answer_hours = 24", "answer_hours = 36").encode()


def terms_of(template: Template) -> tuple[Terms, dict[str, list[str]], dict[str, Person]]:
    """What the model must know of the agreement, read as plain TOML; each party's levels that have a row; its persons."""
    law = tomllib.loads(template.toml.decode())
    area = {**law["terms"], **law["area"][AREA]}
    first, second = law["party"]
    scale = law["party"][first]["levels"]
    words = {code: [row[code] for row in law["equivalence"]["rows"]] for code in (first, second)}
    from_word = law["party"][second].get("witnesses_from")
    block = area["block_after_hours"]
    found = Terms(
        end=parse_time(law["end"]),
        notice=timedelta(days=law["notice_days"]),
        answer_hours={1: area["answer_hours"], 2: 36},
        block_hours=block if isinstance(block, int) else None,
        approvals=area["approvals"],
        roles=frozenset(area["roles"]),
        signers=law["acts"]["signers"],
        witnesses_from=words[second].index(from_word) if from_word else None,
        protected=law["protection_after_end"] == "for ever",
        retain_days=area["retain_days"],
        ranks=tuple(scale.index(word) for word in words[first]),
    )
    people = {}
    for name, natural, roles, areas, ceiling, until in persons("XX", scale, law["acts"]["roles"]["map"]):
        key = "nair" if name == "twin" else name
        rank = scale.index(ceiling)
        people[name] = Person(natural, key, frozenset(roles), frozenset(areas), rank, parse_time(until))
    return found, words, people


class TwoNodes:
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
    def refused(self, x: str, *but: str) -> Any:
        """What happens inside is refused, and leaves nothing on either node but lines in these tables."""
        armed, self.armed = self.armed, 0
        with unchanged(*self.pair.nodes.values(), but=but), pytest.raises(EntenteError):
            yield
        self.armed = armed

    def judged(self, x: str, good: bool, *but: str) -> AbstractContextManager[Any]:
        return nullcontext() if good else self.refused(x, *but)

    def do(self, x: str, act: Callable[[Node], object], stands: Callable[[Node], bool] = lambda _: False) -> None:
        """It is done, after a crash in the middle of it if one was armed; `stands` says that the crash came after it."""
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
        with self.judged(x, not parent or self.world.usable(x, parent)):
            made = node.propose(source, wish)
            above = self.world.current(parent, self.world.cut(x)) if parent else 0
            draft = Draft(
                made.rid, x, max(level, above), x, self.world.version(x), (parent,) if parent else (), standing, copies,
                canary,
            )  # fmt: skip
            return self._drafted(draft, made.state)
        self.world.loose.add((x, canary))
        return None

    def propose_return(self, x: str, rid: str) -> Draft | None:
        """A draft that brings a release of the partner's home."""
        world = self.world
        with self.judged(x, world.usable(x, rid)):
            made = self.node(x).propose(rid, Wish(f"{x}/rao"))
            level = max(world.entry_of(rid).level, world.current(rid, world.cut(x)))
            draft = Draft(made.rid, x, level, world.other(x), world.version(x), (rid,), canary=world.entry_of(rid).canary)
            return self._drafted(draft, made.state)
        return None

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
        with self.judged(draft.party, good, "journal", "draft"):
            node.approve(draft.rid, handle, role, signer)
            draft.approvals[name] = role, until
            world.settle_draft(draft)

    def revoke(self, draft: Draft, name: str) -> None:
        node = self.node(draft.party)
        good = draft.state != "dispatched" and name in draft.approvals and not draft.gone
        if draft.gone:
            return
        with self.judged(draft.party, good):
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
        with self.refused(x, "journal", "draft"):
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
            with self.refused(x):
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
        with self.judged(x, good):
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
        with self.judged(x, not done):
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
        with self.judged(x, bool(known) == amend):
            self.undertaken[x, key] = self.act(x, "undertaking", body, 1, ("nair",), what=key, words=words)

    def claim(self, x: str, key: str, words: str) -> None:
        body = {"basis": "report", "evidence": [], "key": key, "value": words}
        self.act(x, "claim", body, 1, ("nair",), what=key, words=words)

    def adopt(self, x: str) -> None:
        done = any(e.kind == "adopt" for e in self.world.logs[x])
        signers = self.pair.template.authorities
        envelope = setup.sign_agreement(self.second, list(signers.values()))
        with self.judged(x, not done):
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

    def exchange(self) -> None:
        """Both look at each other until neither has news, which must not take long."""
        for _ in range(6):
            before = self.world.quiet()
            for x in self.pair.codes:
                self.pull(x)
                self.answer(x)
            self.check()
            if self.world.quiet() == before:
                return
        raise AssertionError("two nodes with nothing to do do not fall silent")

    # The receiver

    def copy(self, x: str, rid: str) -> None:
        with self.judged(x, self.world.may_copy(x, rid)):
            self.node(x).make_copy(rid, "desk 1", "room 5")
            self.world.copies.setdefault(rid, []).append(True)

    def close_copy(self, x: str, rid: str, number: int) -> None:
        out = self.world.copies.get(rid, [])
        good = 0 < number <= len(out) and out[number - 1]
        with self.judged(x, good):
            self.node(x).close_copy(rid, number)
            out[number - 1] = False

    def end(self, x: str, rid: str, outcome: str, *, witnessed: bool) -> None:
        world, node = self.world, self.node(x)
        names = ("sen", "rao") if witnessed else ()
        people: list[tuple[str, SoftSigner]] = [self.pair.of(node, name) for name in names]
        lacking = outcome == "destroyed" and world.witnesses(x, rid) and not witnessed
        good = world.may_end(x, rid, outcome) and not lacking

        def act(node: Node) -> object:
            return (node.destroy if outcome == "destroyed" else node.give_back)(rid, people)

        with self.judged(x, good):
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
        with self.refused(x):
            node.append([setup.renew_kem(node, self.pair.template.authorities[x])])
        node.confirm([self.pair.of(node, name) for name in SIGNERS])

    def reopen(self, x: str, *, forgetful: bool) -> None:
        folder = self.pair.shut(x)
        for path in folder.glob("view.db*") if forgetful else ():
            path.unlink()
        self.pair.open(x)

    # What must hold

    def check(self) -> None:
        """What either node holds and shows is what the model says; cheap."""
        world = self.world
        for x, node in self.pair.nodes.items():
            other = world.other(x)
            sizes = {party: tree.size for party, tree in node.trees.items()}
            assert sizes == world.cut(x)
            assert node.acknowledged() == world.acked[x]
            assert not node.side.invalid
            assert not node.other_side.invalid
            for side in (node.side, node.other_side):
                told = world.releases(side.party, world.cut(x))
                assert [(fact.idx, fact.rid) for fact in side.releases] == [(idx, e.rid) for idx, e in told]
                for fact in side.releases:
                    self._check_release(x, node, fact)
            rows = {idx: node.db.inbox_row(node.logs[other], idx) for idx in node.other_side.rank2}
            real = {idx: (row.outcome or "", bool(row.answered)) for idx, row in rows.items() if row is not None}
            assert real == {idx: (row.outcome, row.answered) for idx, row in world.inbox[x].items()}

    def _check_release(self, x: str, node: Node, fact: ReleaseFact) -> None:
        world, rid = self.world, fact.rid
        party, entry = world.where[rid][0], world.entry_of(rid)
        assert node.state_of(fact) == world.shown(x, rid)
        now = current_marking(node.pair, node.pair.sides[party], fact, node.laws)
        scale = world.other(party) if world.is_return(entry) else party
        assert now.known
        assert now.marking.level == self.words[scale][world.current(rid, world.cut(x))]
        has_key = node.keys.key(rid) is not None
        if party == x:
            assert has_key == world.keeps(rid)
            assert (node.served.get(f"key/{rid}") is not None) == world.served(x, rid)
        else:
            held = world.holds(x, rid)
            assert (has_key, bool(node.view.bodies(rid))) == (held, held)
            assert not held or node.blobs.holds(fact.blob)

    def check_rest(self) -> None:
        """Everything, once the two have told each other all."""
        self.exchange()
        first, second = self.pair.nodes.values()
        mine = first.reconcile()
        assert mine.text == second.reconcile(mine.cut, mine.at).text
        assert first.reconcile(mine.cut, mine.at) == mine
        self._check_account(mine.text)
        for x, node in self.pair.nodes.items():
            self._check_owed(node)
            self._check_bytes(x, node)
        self._check_custody()
        folders = {x: self.folder / x for x in self.pair.codes}
        for x in self.pair.codes:
            self.pair.shut(x)
        assert verify_folders(folders).faults == []
        script = load_script()
        for folder in folders.values():
            assert script.verify(folder).failed == 0

    def _check_account(self, text: bytes) -> None:
        """The lines and totals of the account are the model's."""
        world, cut = self.world, {x: len(log) for x, log in self.world.logs.items()}
        lines = [parse(line, newlines=True) for line in text.splitlines()]
        states = {line["rid"]: line["state"] for line in lines if line["kind"] == "release"}
        assert states == {rid: world.state(rid, cut) for rid in world.where}
        totals: dict[tuple[str, str], dict[str, int]] = {}
        for rid, (party, _) in world.where.items():
            entry = world.entry_of(rid)
            scale = world.other(party) if world.is_return(entry) else party
            key = f"{party}>{world.other(party)}", self.words[scale][world.current(rid, cut)]
            sums = totals.setdefault(key, {})
            for name, more in (("releases", 1), ("records", 2), (world.state(rid, cut), 2)):
                sums[name] = sums.get(name, 0) + more
        names = ("releases", "records", "dispatched", "received", "disputed", "withdrawn", "ended")
        told = {
            (line["direction"], line["level"]): {name: line[name] for name in names if line[name]}
            for line in lines
            if line["kind"] == "total"
        }
        assert told == totals
        assert all(sum(sums.get(name, 0) for name in names[2:]) == sums["records"] for sums in told.values())

    def _check_owed(self, node: Node) -> None:
        """The duties and the statements of both, as this node has them."""
        world = self.world
        owners = {side.origin: side.party for side in node.pair.sides.values()}
        found = set()
        for duty in duties(node.pair, node.laws, node.now()):
            about = str(duty.idx) if duty.kind == "answer" else str(duty.rid)
            assert duty.due is not None
            due = parse_time(duty.due)
            assert duty.overdue == (world.now >= due)
            found.add((f"{duty.kind} {owners[duty.origin]} {about}", duty.cause, duty.owed_by, due))
        assert found == world.duties()
        assert {one.key: one.state for one in undertakings(node.pair)} == world.statements("undertaking")
        assert {one.key: one.state for one in claims(node.pair)} == world.statements("claim")

    def _check_bytes(self, x: str, node: Node) -> None:
        """What can be read at this node is what it may hold, and of what has ended nothing is left."""
        world = self.world
        kept = {canary for party, canary in world.loose if party == x}
        kept |= {draft.canary for draft in world.drafts if draft.party == x and draft.originator == x}
        for rid, (party, _) in world.where.items():
            entry = world.entry_of(rid)
            if party == x and entry.originator == x:
                if any(order.what == "destroy" for _, order in world.orders(rid, world.cut(x))):
                    kept.discard(entry.canary)
        kept |= {world.entry_of(rid).canary for rid, (party, _) in world.where.items() if party != x and world.holds(x, rid)}
        for number in range(1, self.count + 1):
            canary = f"canary-{number:04d}-"
            assert bool(found_in(node.folder, canary.encode())) == (canary in kept), canary

    def _check_custody(self) -> None:
        """What was ever received is held, or has ended: per direction, counted at both nodes."""
        for x, node in self.pair.nodes.items():
            came = [fact for fact in node.other_side.releases if "received" in {a.outcome for a in fact.answers}]
            ended = [fact for fact in came if ENDS[0] in {a.outcome for a in fact.answers} or ENDS[1] in {a.outcome for a in fact.answers}]
            held = [fact for fact in came if node.keys.key(fact.rid) is not None]
            assert len(came) == len(held) + len(ended)
            partner = self.node(self.world.other(x))
            assert [fact.rid for fact in partner.side.releases] == [fact.rid for fact in node.other_side.releases]

    def close(self) -> None:
        """Both are closed, and their files gone."""
        self.pair.close()
        shutil.rmtree(self.folder)
