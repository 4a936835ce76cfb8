"""The steps of the demo, each by the verbs that a real node has, told line by line."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from entente.analyst import Analyst, tell_added, tell_listed
from entente.bad_wire import Fault
from entente.cast import AUTHOR_AND_APPROVERS, Person, Side, area_for, make_side, marking_map
from entente.crossing.references import Refusal
from entente.errors import RefusedError
from entente.keys import SoftSigner
from entente.node import setup
from entente.node.propose import NothingCrossesError, Proposal, Wish
from entente.node.report import Report
from entente.node.verify import verify_folders
from entente.node.why import digest_of, sha256_hex
from entente.stage import Stage
from entente.telling import COLOURS, WORDS, Telling, short_sha, width
from entente.treaty.agreement import holes, parse_agreement
from entente.treaty.record import Record
from entente.way_back import WayBack, approvers, ledger

ROOT = Path(__file__).parents[2]
SHOWN_REFUSALS = 6
CUT_AT, FLIP_AT = 3_000, 1_000  # bytes that the sender sent on a connection; the second lies behind the handshake


class Demo(Telling):
    """The steps on two nodes; each prints what it did and adds to the result."""

    def __init__(
        self, folder: Path, agreement: Path, bundle: Path, *, default: bool, taxii: bool, say: Callable[[str], None]
    ) -> None:
        super().__init__(say)
        self.folder, self.agreement, self.bundle = folder, agreement, bundle
        self.states_default, self.by_taxii = default, taxii
        self.objects = {"crossed": 0, "imported": 0, "quarantined": 0, "refused": 0}
        self.kept = 0
        self.result: dict[str, object] = {
            "bytes": 0, "digest_received": "", "digest_sent": "", "objects": self.objects, "owed": [], "refused": [],
            "registers": {}, "releases": [], "returned": [], "same_answer": False, "seconds": self.seconds,
            "verified": {},
        }  # fmt: skip
        self.backup = folder / "backup-of-node.db"
        self.sides: dict[str, Side] = {}
        self.stage: Stage | None = None

    # 1 agree

    def found(self) -> None:
        """Both nodes exist, hold the signed agreement and their persons, and are open; they do not know each other."""
        raw = self.agreement.read_bytes()
        law = parse_agreement(raw, place=self.agreement.name).law
        authorities = {code: SoftSigner.generate() for code in law.parties}
        data = setup.with_authorities(raw, {code: signer.public for code, signer in authorities.items()})
        envelope = setup.sign_agreement(data, list(authorities.values()))
        (self.folder / "agreement.toml").write_bytes(data)
        (self.folder / "agreement.dsse.json").write_bytes(envelope)
        for place, code in enumerate(law.parties):
            self.sides[code] = make_side(
                self.folder, law, code, AUTHOR_AND_APPROVERS[place], authorities[code], data=data, envelope=envelope
            )
        self.parties = list(self.sides)

    def agree(self) -> None:
        """Both nodes are founded, paired, closed here, and up as processes that hold each other's first entries."""
        self.found()
        signed = next(iter(self.sides.values())).node.law
        try:
            self.stage = Stage(self.folder, self.sender, self.receiver)
        finally:
            for side in self.sides.values():
                side.node.close()
        self.stage.start()
        self.stage.level()
        count = f" · {len(signed.law.statements)} statements" if signed.law.statements else ""
        self.line(
            1, "agree", " ".join(self.sides), f"{self.agreement.name}, signed by both{count}", short_sha(signed.hash)
        )
        for words, article in holes(signed.law):
            if article:
                self.say(f"{'':22s}hole: {words}{' ' * max(1, 54 - width(words))}Art. {article}")

    # 2 to 4: import, decide, approve

    def sign_map(self) -> str:
        """The marking map that reads the bundle is signed; returns its id."""
        side = self.sender
        return side.node.sign_map(
            marking_map(side, default=self.states_default),
            [(f"{side.code}/{p.user}", side.signer(p)) for p in self._mappers()],
        )

    def analyst(self, side: Side) -> Analyst:
        """The side's first person, with a TAXII client."""
        person = side.people[0]
        return Analyst(self.taxii_url(side.code), person.user, person.password)

    def taxii_url(self, code: str) -> str:
        """Where a party's own persons find its TAXII server."""
        return f"{self.stage.webs[code]}/taxii2/" if self.stage is not None else ""

    def bring_in_by_taxii(self) -> None:
        """The bundle's objects rest at the sender, added by a TAXII client; its node must be closed here."""
        with self.sender.at_desk():
            self.sign_map()
        analyst = self.analyst(self.sender)
        self.objects.update(tell_added(self, self.sender.code, self.bundle, analyst))

    def bring_in(self) -> str:
        """The bundle's objects rest at the sender; returns the import's id."""
        side = self.sender
        if self.by_taxii:
            return side.node.db.sources()[-1].id
        data = self.bundle.read_bytes()
        map_id = self.sign_map()
        done = side.node.import_file(area_for(side.node.law.law), data, place=self.bundle.name, map_id=map_id)
        bad = done.quarantined
        total = done.records + len(bad)
        self.objects.update(imported=done.records, quarantined=len(bad))
        self.line(
            2,
            "import",
            side.code,
            f"{self.bundle.name}: {total:,} objects, {done.records:,} valid, {len(bad):,} quarantined",
        )
        for rejected in bad[:SHOWN_REFUSALS]:
            self.say(
                f"   {click.style('QUARANTINED', fg='yellow')}        {rejected.place[:60]}: {rejected.reason[:80]}"
            )
        return done.source

    @property
    def sender(self) -> Side:
        """The first party whose direction the area opens."""
        law = next(iter(self.sides.values())).node.law.law
        first, second = self.sides
        opened = law.areas[area_for(law)].directions or ()
        return self.sides[second if f"{first}>{second}" not in opened and f"{second}>{first}" in opened else first]

    @property
    def receiver(self) -> Side:
        """The other party."""
        return next(side for side in self.sides.values() if side is not self.sender)

    def _mappers(self) -> list[Person]:
        law = self.sender.node.law.law
        able = [person for person in self.sender.people[1:] if law.acts.roles.map in person.roles]
        return able[: law.acts.signers.map]

    def decide(self, source: str) -> Proposal | None:
        """What may cross is frozen into a draft; None if nothing may."""
        side = self.sender
        author = f"{side.code}/{side.people[0].user}"
        try:
            made = side.node.propose(source, Wish(author))
        except NothingCrossesError as fault:
            self.line(3, "decide", side.code, f"0 may cross. {len(fault.refusals):,} may not:")
            self._list(fault.refusals)
            for why in _one_of_each(list(fault.refusals)):
                self.refused(why.id, why.article, WORDS.get(why.rule, why.reason))
            return None
        self.kept = made.kept
        words = f"{made.kept:,} may cross under Art. {made.core.article}."
        self.line(3, "decide", side.code, f"{words} {len(made.refused):,} may not:" if made.refused else words)
        self._show_refusals([why for _, why in made.refused], {record.sha256: record for record, _ in made.refused})
        if made.mentions:
            who = "object mentions" if made.mentions == 1 else "objects mention"
            self.say(f"{'':22s}{made.mentions:,} crossing {who} a withheld one in prose (view no-prose strips it)")
        self._list([why for _, why in made.refused])
        self.result["bytes"] = made.bytes
        if made.state == "checked":
            return made
        worst = (*made.decision.refusals, *made.gate.refusals)
        staying = [item for item in side.node.why(made.rid).objects if item.crosses]
        reason = [Refusal(item.id, "", worst[0].rule, worst[0].article, worst[0].observed) for item in staying]
        self._list([*(why for _, why in made.refused), *reason])
        for finding in worst:
            self.refused(f"the whole release, by rule {finding.rule}", finding.article, finding.observed)
        return None

    def _list(self, refusals: Sequence[Refusal]) -> None:
        """Every object that does not cross, for the JSON result."""
        self.objects["refused"] = len(refusals)
        self.result["refused"] = [
            {"article": why.article, "id": why.id, "reason": why.reason, "rule": why.rule} for why in refusals
        ]

    def _show_refusals(self, refusals: list[Refusal], records: dict[str, Record]) -> None:
        shown = refusals if len(refusals) <= SHOWN_REFUSALS else _one_of_each(refusals)
        for why in shown:
            record = records[why.sha256]
            text = f'{record.type} "{record.title}"' if why.rule != "reference" else f"{record.type} that points at it"
            self.refused(text, why.article, WORDS.get(why.rule, why.reason))
        if len(shown) < len(refusals):
            counted = Counter((why.rule, why.article) for why in refusals)
            parts = ", ".join(f"{count:,} by {rule} (Art. {article})" for (rule, article), count in counted.items())
            self.say(f"{'':22s}in all {parts}")

    def approve(self, draft: Proposal) -> bool:
        """Enough persons signed exactly these bytes; the author was turned away."""
        side = self.sender
        author = side.people[0]
        signing = approvers(side, side.node.law.law, draft.core.area)
        for person, role in signing:
            side.node.approve(draft.rid, f"{side.code}/{person.user}", role, side.signer(person))
        signed = " and ".join(person.user.capitalize() for person, _ in signing)
        self.line(
            4,
            "approve",
            side.code,
            f"{signed} signed exactly these {draft.bytes:,} bytes",
            short_sha(draft.core.content),
        )
        try:
            side.node.approve(draft.rid, f"{side.code}/{author.user}", author.roles[0], side.signer(author))
        except RefusedError as fault:
            words = f"{author.user.capitalize()} (the author) tried to approve"
            self.refused(words, fault.place.removeprefix("Art. "), fault.detail)
        made = side.node.db.draft(draft.rid)
        return made is not None and made.state == "approved"

    # 5 to 7: dispatch, pull, answer

    def dispatch(self, draft: Proposal) -> None:
        """The release stands in the sender's register; a backup from before it is kept for step 9."""
        self.sender.node.db.copy_to(self.backup)
        (done,) = self.sender.node.dispatch([draft.rid])
        words = f"sealed for {self.receiver.code}, entered as no. {done.idx + 1} of {self.sender.code}'s register"
        self.line(5, "dispatch", self.sender.code, f"release {done.number}: {words}")

    def cross(self, stage: Stage, draft: Proposal) -> None:
        """The release is mirrored, cosigned, opened and answered by the two processes; both show received."""
        sender, receiver = self.sender, self.receiver
        ends = stage.servers[sender.code], stage.servers[receiver.code]
        before = [server.wait(lambda _: True, "start") for server in ends]
        with self.step("pull"):
            stage.meet(Fault("cut", "down", CUT_AT))
            ends[1].wait(
                lambda now: now.opened + now.refused > before[1].opened + before[1].refused, "open the release"
            )
        with self.step("answer"):
            ends[0].wait(lambda now: now.partner > before[0].partner, "see the answer")
            stage.level()
        with receiver.at_desk() as node:
            came = [sha256_hex(body) for body in node.view.each_body(draft.rid)]
            rows = [node.db.inbox_row(node.logs[sender.code], fact.idx) for fact in node.other_side.releases]
        crossing = set(draft.crossing)
        same = sum(1 for digest in came if digest in crossing)
        cut = f"wire cut at {CUT_AT:,} bytes … resumed … " if stage.struck() else ""
        words = f"{cut}stored, cosigned, key served, {same:,} of {draft.kept:,} objects verified"
        self.line(6, "pull", receiver.code, words)
        for row in rows:
            if row is not None and row.outcome not in (None, "received"):
                self.refused(f"{receiver.code} answers {row.outcome}", "", row.reason)
        with sender.at_desk() as node:
            fact = node.side.release(draft.rid)
            state = node.state_of(fact) if fact is not None else "?"
        self.objects["crossed"] = same if state == "received" else 0
        if self.by_taxii:
            self.result["listed"] = tell_listed(self, receiver.code, sender.code, self.analyst(receiver))
        words = f'{receiver.code} signed "{state}". {sender.code} now shows {state}'
        self.line(7, "answer", f"{receiver.code}→{sender.code}", words)
        self.result["digest_sent"] = digest_of(list(draft.crossing))
        self.result["digest_received"] = digest_of(came)
        self.result["releases"] = [{"rid": draft.rid, "state": state}]

    # 9 attack

    def attack(self, stage: Stage) -> None:
        """One bit is flipped on its way; the receiver drops what came and asks again."""
        server = stage.servers[self.receiver.code]
        stage.meet(Fault("flip", "down", FLIP_AT))
        server.wait(lambda _: stage.struck(), "meet the flipped bit")
        rounds = server.wait(lambda _: True, "go on").rounds
        after = server.wait(lambda now: now.rounds > rounds + 1 and not now.failures, "read again after it")
        caught = "corrupt" if "MAC" in after.last_wire_fault.upper() else after.last_wire_fault
        self.line(
            9, "attack", self.receiver.code, f"one bit flipped on the wire    caught: {caught}; dropped, fetched again"
        )
        with stage.away(self.sender.code) as swap:  # the process is down; what it had comes back when this is over
            swap(self.backup)
            self.backup.unlink()
            with self.sender.at_desk() as node:
                caught = f"behind what {self.receiver.code} cosigned" if node.frozen else click.style("NOT", fg="red")
                node.pull()
                healed = "healed first" if not node.frozen else node.frozen
        colour = click.style(f"{self.sender.code:8s} ", fg=COLOURS[self.parties.index(self.sender.code)])
        self.say(f"{'':13s}{colour}restored from an old backup    caught: {caught}; {healed}")

    def account(self) -> None:
        """Both nodes' accounts at one cut, and both verifiers' word."""
        first, second = self.sides.values()
        with first.at_desk() as node:
            mine = node.reconcile()
        with second.at_desk() as node:
            theirs = node.reconcile(mine.cut, mine.at)
        same = mine.text == theirs.text
        self.result["same_answer"] = same
        self.result["owed"] = msgspec.to_builtins(ledger(self, self.sender, self.receiver))
        words = "same answer at both nodes, byte for byte" if same else click.style("the two accounts DIFFER", fg="red")
        self.say(f"   {words:79s}{short_sha(mine.sha256)}")
        report = verify_folders({code: self.folder / code for code in self.sides})
        self.result["registers"] = report.registers
        self.result["verified"] = report.summary()
        self._verified(report)

    def _verified(self, report: Report) -> None:
        script = ROOT / "verify.py"
        second = "the separate verify.py was not found"
        if script.is_file():
            done = subprocess.run([sys.executable, str(script), str(self.folder)], capture_output=True, check=False)  # noqa: S603
            second = "by entente and by the separate verify.py"
            if (done.returncode == 0) != (not report.faults):
                second = click.style("entente and verify.py DISAGREE", fg="red")
        if report.faults:
            place, detail = report.faults[0]
            self.say(click.style(f"   FAILED: {place}: {detail}", fg="red"))
            return
        done_words = (
            click.style("verified", fg="green")
            + f": {report.entries} entries, {report.heads} heads and {report.signatures} signatures"
        )
        self.say(f"   {done_words}, {second}")
        self.say("   not verified: who the persons are; these keys were made a minute ago")

    def run(self) -> int:
        """All steps; the exit code. Both nodes are up, as far as it came."""
        with self.step("agree"):
            self.agree()
        if self.stage is not None:
            self.stage.write_index()
        draft = self.at_the_desk()
        if draft is not None and self.stage is not None:
            self.cross(self.stage, draft)
            with self.step("return"):
                back = WayBack(self, self.stage, self.sender, self.receiver, self.analyst if self.by_taxii else None)
                back.run(draft.rid)
                self.result["returned"] = back.returned
            with self.step("attack"):
                self.attack(self.stage)
        with self.step("verify"):
            self.account()
        done = bool(self.result["releases"]) and self.result["same_answer"] and not self.result["verified"]["failed"]  # type: ignore[index]
        return 0 if done else 1

    def at_the_desk(self) -> Proposal | None:
        """Steps 2 to 5, by the sender's persons; the draft that was dispatched, or None."""
        if self.by_taxii:
            with self.step("taxii"):
                self.bring_in_by_taxii()
        with self.sender.at_desk():
            with self.step("import"):
                source = self.bring_in()
            with self.step("decide"):
                draft = self.decide(source)
            if draft is None:
                return None
            with self.step("approve"):
                approved = self.approve(draft)
            if not approved:
                return None
            with self.step("dispatch"):
                self.dispatch(draft)
            return draft

    def close(self) -> None:
        """Both processes have ended."""
        if self.stage is not None:
            self.stage.stop()


def _one_of_each(refusals: list[Refusal]) -> list[Refusal]:
    found: dict[tuple[str, str], Refusal] = {}
    for why in refusals:
        found.setdefault((why.rule, why.article), why)
    return list(found.values())[:SHOWN_REFUSALS]
