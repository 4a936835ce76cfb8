"""Two nodes and their model, compared: after each act what either shows and holds, and at rest everything."""

from entente.account.cascade import current_marking
from entente.account.claim import claims
from entente.account.duties import duties
from entente.account.state import ReleaseFact
from entente.account.undertaking import undertakings
from entente.node.approve import approvers
from entente.node.node import Node
from entente.node.verify import verify_folders
from entente.strict import parse, parse_time
from lab.acts import found_in
from lab.doing import Doing
from lab.killing import load_script
from lab.registers import ENDS


class TwoNodes(Doing):
    """A pair that is what its world says."""

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
            for draft in world.drafts:
                if draft.party == x and not draft.gone:
                    row = node.db.draft(draft.rid)
                    assert row is not None
                    signed = {f"{x}/{name}" for name in draft.approvals}
                    assert (row.state, set(approvers(node, draft.rid))) == (draft.state, signed)
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
        kept |= {draft.canary for draft in world.drafts if draft.party == x == draft.originator and not draft.gone}
        for rid, (party, _) in world.where.items():
            entry = world.entry_of(rid)
            orders = [order.what for _, order in world.orders(rid, world.cut(x))]
            if party == entry.originator == x and "destroy" in orders:
                kept.discard(entry.canary)
        kept |= {
            world.entry_of(rid).canary for rid, (party, _) in world.where.items() if party != x and world.holds(x, rid)
        }
        for number in range(1, self.count + 1):
            canary = f"canary-{number:04d}-"
            assert bool(found_in(node.folder, canary.encode())) == (canary in kept), (
                f"{canary} in {found_in(node.folder, canary.encode())} of {x}, kept: {canary in kept}"
            )

    def _check_custody(self) -> None:
        """What was ever received is held, or has ended: per direction, counted at both nodes."""
        for x, node in self.pair.nodes.items():
            came = [fact for fact in node.other_side.releases if "received" in {a.outcome for a in fact.answers}]
            ended = [
                fact
                for fact in came
                if ENDS[0] in {a.outcome for a in fact.answers} or ENDS[1] in {a.outcome for a in fact.answers}
            ]
            held = [fact for fact in came if node.keys.key(fact.rid) is not None]
            assert len(came) == len(held) + len(ended)
            partner = self.node(self.world.other(x))
            assert [fact.rid for fact in partner.side.releases] == [fact.rid for fact in node.other_side.releases]
