"""The first ten minutes: two nodes on this machine carry a real bundle across and prove it.

Invented persons, keys made a minute ago, a SAMPLE agreement. Everything is done by the verbs that a real node has.
"""

import json
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from entente.cast import AUTHOR_AND_APPROVERS, SAMPLES, Person, Side, area_for, make_side, marking_map
from entente.crossing.references import Refusal
from entente.errors import EntenteError, RefusedError
from entente.keys import SoftSigner
from entente.node import setup
from entente.node.propose import NothingCrossesError, Proposal, Wish
from entente.node.report import Report
from entente.node.verify import verify_folders
from entente.node.why import digest_of, sha256_hex
from entente.place import free_folder, make_folder, remember_demo
from entente.treaty.agreement import holes, parse_agreement
from entente.treaty.record import Record

ROOT = Path(__file__).parents[2]
SHOWN_REFUSALS = 6
WORDS = {
    "withhold": "objects of this type are withheld",
    "reference": "would name what is withheld",
    "originator": "received from a third, which has not consented",
    "mapped": "its marking is not mapped",
}
COLOURS = ("cyan", "magenta")


class Demo:
    """Steps 1 to 7 on two nodes; each prints what it did and adds to the result."""

    def __init__(
        self, folder: Path, agreement: Path, bundle: Path, *, default: bool, say: Callable[[str], None]
    ) -> None:
        self.folder, self.agreement, self.bundle, self.say = folder, agreement, bundle, say
        self.states_default = default
        self.seconds: dict[str, float] = {}
        self.objects = {"crossed": 0, "imported": 0, "quarantined": 0, "refused": 0}
        self.kept = 0
        self.result: dict[str, object] = {
            "bytes": 0, "digest_received": "", "digest_sent": "", "objects": self.objects, "refused": [],
            "registers": {}, "releases": [], "same_answer": False, "seconds": self.seconds, "verified": {},
        }  # fmt: skip
        self.sides: dict[str, Side] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        began = time.monotonic()
        if sys.stderr.isatty():
            click.echo(f"… {name}\r", err=True, nl=False)
        yield
        self.seconds[name] = round(time.monotonic() - began, 3)

    def line(self, number: int, verb: str, who: str, text: str, proof: str = "") -> None:
        """One step's line, as in the first screen of the README."""
        head = f"{number:2d} {verb:9s} "
        colour = COLOURS[list(self.sides).index(who)] if who in self.sides else None
        pad = " " * max(1, 60 - _width(text)) if proof else ""
        self.say(head + click.style(f"{who:8s} ", fg=colour) + text + pad + proof)

    def refused(self, text: str, article: str, words: str) -> None:
        """One refusal, with its article or the lack of one."""
        words = words if article else f"no article in [rules] ({words})"
        self.say(f"   {click.style('REFUSED', fg='yellow'):19s} {text:45.45s} Art. {article:6s} {words}")

    # 1 agree

    def agree(self) -> None:
        """Both nodes exist, hold the signed agreement, their persons and each other's first entries."""
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
        for code, side in self.sides.items():
            other = self.sides[law.other(code)].node
            settings = msgspec.structs.replace(side.node.settings, partner_genesis=setup.genesis_hash(other))
            setup.write_settings(side.node.folder, settings)
            side.node.partner_genesis = settings.partner_genesis
        for side in self.sides.values():
            side.node.pull()
        signed = next(iter(self.sides.values())).node.law
        count = f" · {len(law.statements)} statements" if law.statements else ""
        self.line(1, "agree", " ".join(self.sides), f"{self.agreement.name}, signed by both{count}", _sha(signed.hash))
        for words, article in holes(signed.law):
            if article:
                self.say(f"{'':22s}hole: {words}{' ' * max(1, 54 - _width(words))}Art. {article}")

    # 2 to 4: import, decide, approve

    def bring_in(self) -> str:
        """The bundle's objects rest at the sender; returns the import's id."""
        side = self.sender
        data = self.bundle.read_bytes()
        map_id = side.node.sign_map(
            marking_map(side, default=self.states_default),
            [(f"{side.code}/{p.user}", side.signer(p)) for p in self._mappers()],
        )
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
        author, *others = side.people
        wanted = side.node.law.law.areas[draft.core.area].approvals or 1
        roles = side.node.law.law.areas[draft.core.area].roles or ()
        signing = others[: max(wanted, len(roles))]
        for person in signing:
            role = next((role for role in person.roles if role in roles), person.roles[0])
            side.node.approve(draft.rid, f"{side.code}/{person.user}", role, side.signer(person))
        signed = " and ".join(person.user.capitalize() for person in signing)
        self.line(
            4, "approve", side.code, f"{signed} signed exactly these {draft.bytes:,} bytes", _sha(draft.core.content)
        )
        try:
            side.node.approve(draft.rid, f"{side.code}/{author.user}", author.roles[0], side.signer(author))
        except RefusedError as fault:
            words = f"{author.user.capitalize()} (the author) tried to approve"
            self.refused(words, fault.place.removeprefix("Art. "), fault.detail)
        made = side.node.db.draft(draft.rid)
        return made is not None and made.state == "approved"

    # 5 to 7: dispatch, pull, answer

    def cross(self, draft: Proposal) -> None:
        """The release is entered, mirrored, cosigned, opened, answered; both nodes show received."""
        sender, receiver = self.sender, self.receiver
        with self.step("dispatch"):
            (done,) = sender.node.dispatch([draft.rid])
        self.line(
            5,
            "dispatch",
            sender.code,
            f"release {done.number}: sealed for {receiver.code}, "
            f"entered as no. {done.idx + 1} of {sender.code}'s register",
        )
        with self.step("pull"):
            receiver.node.pull()
            sender.node.pull()
            got = receiver.node.pull()
        bodies = receiver.node.view.bodies(draft.rid)
        same = sum(1 for body in bodies if sha256_hex(body) in set(draft.crossing)) if bodies else 0
        self.line(
            6, "pull", receiver.code, f"stored, cosigned, key served, {same:,} of {draft.kept:,} objects verified"
        )
        for _, outcome, reason in got.refused:
            self.refused(f"{receiver.code} answers {outcome}", "", reason)
        with self.step("answer"):
            receiver.node.answer()
            sender.node.pull()
            receiver.node.pull()
        fact = sender.node.side.release(draft.rid)
        state = sender.node.state_of(fact) if fact is not None else "?"
        self.objects["crossed"] = same if state == "received" else 0
        self.line(
            7,
            "answer",
            f"{receiver.code}→{sender.code}",
            f'{receiver.code} signed "{state}". {sender.code} now shows {state}',
        )
        self.result["digest_sent"] = digest_of(list(draft.crossing))
        self.result["digest_received"] = digest_of([sha256_hex(body) for body in bodies])
        self.result["releases"] = [{"rid": draft.rid, "state": state}]

    def account(self) -> None:
        """Both nodes' accounts at one cut, and both verifiers' word."""
        first, second = self.sides.values()
        mine = first.node.reconcile()
        theirs = second.node.reconcile(mine.cut, mine.at)
        same = mine.text == theirs.text
        self.result["same_answer"] = same
        self.say(f"{'':26s}{self.sender.code} gave")
        self.say(f"   {'objects received':22s} {self.objects['crossed']:,} of {self.kept:,}")
        words = "same answer at both nodes, byte for byte" if same else click.style("the two accounts DIFFER", fg="red")
        self.say(f"   {words:79s}{_sha(mine.sha256)}")
        for side in self.sides.values():
            side.node.close()
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

    def write_index(self) -> None:
        """`demo.json`: where the nodes are and who may sign in."""
        index = {}
        for code, side in self.sides.items():
            author = side.people[0]
            index[code] = {
                "dir": str(self.folder / code),
                "password": author.password,
                "user": author.user,
                "users": [msgspec.to_builtins(person) for person in side.people],
            }
        path = self.folder / "demo.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(index, indent=2) + "\n")

    def run(self) -> int:
        """All steps; the exit code."""
        with self.step("agree"):
            self.agree()
        self.write_index()
        with self.step("import"):
            source = self.bring_in()
        with self.step("decide"):
            draft = self.decide(source)
        if draft is not None:
            with self.step("approve"):
                approved = self.approve(draft)
            if approved:
                self.cross(draft)
        with self.step("verify"):
            self.account()
        done = bool(self.result["releases"]) and self.result["same_answer"] and not self.result["verified"]["failed"]  # type: ignore[index]
        return 0 if done else 1


def _width(text: str) -> int:
    """Columns a terminal needs for the text."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _sha(digest: str) -> str:
    return f"sha256 {digest[:4]}…{digest[-2:]}"


def _one_of_each(refusals: list[Refusal]) -> list[Refusal]:
    found: dict[tuple[str, str], Refusal] = {}
    for why in refusals:
        found.setdefault((why.rule, why.article), why)
    return list(found.values())[:SHOWN_REFUSALS]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Where the two nodes go (new or empty). Default: demo-N here.",
)
@click.option("--once", is_flag=True, help="End when all steps are done.")
@click.option("--json", "as_json", is_flag=True, help="The last line on standard output is one JSON object.")
@click.option(
    "--bundle", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Your own STIX 2.1 bundle."
)
@click.option(
    "--agreement", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Your own agreement (TOML)."
)
def main(folder: Path | None, *, once: bool, as_json: bool, bundle: Path | None, agreement: Path | None) -> None:
    """Carry a bundle between two nodes on this machine, under a SAMPLE agreement, and prove it."""
    del once  # nothing serves yet that would have to stay up
    began = time.monotonic()
    place = (folder or free_folder()).resolve()
    try:
        make_folder(place)
        demo = Demo(
            place,
            agreement or SAMPLES / "india-korea.toml",
            bundle or SAMPLES / "sample.stix.json",
            default=bundle is not None,
            say=click.echo,
        )
        click.echo("SAMPLE agreement, invented persons. Two nodes, two keys, two databases, one folder between them.")
        code = demo.run()
    except EntenteError as fault:
        click.echo(fault.explain(), err=True)
        sys.exit(fault.exit_code)
    remember_demo(place)
    click.echo(f"Done in {time.monotonic() - began:.0f} s. Files: {place}")
    click.echo("   ./run entente why 1            every object, every article, passed or failed")
    click.echo("   ./run entente verify           every hash, head and signature again; so does python3 verify.py DIR")
    click.echo("   ./run demo --bundle FILE       your own STIX 2.1 bundle (ATT&CK for ICS: 1,766 of 1,826 cross)")
    if as_json:
        click.echo(json.dumps(demo.result, ensure_ascii=False, sort_keys=True))
    sys.exit(code)


if __name__ == "__main__":
    main()
