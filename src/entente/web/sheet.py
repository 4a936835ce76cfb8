"""What a printed paper says, in words and tables: nothing but what stands in its JSON and in the agreement."""

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from entente.account.acts import act_message
from entente.errors import UsageError
from entente.keys import digest
from entente.node.paper import Paper, Proven, read
from entente.register.checkpoint import parse_text
from entente.register.entry import Entry, parse_entry
from entente.register.note import parse as parse_note
from entente.register.tree import leaf_hash
from entente.strict import canonical, parse_time
from entente.treaty.agreement import Agreement, SignedAgreement
from entente.treaty.marking import marking_line
from entente.treaty.request import Finding

TITLES = {
    "decision": "Release decision",
    "destroyed": "Certificate of destruction",
    "returned": "Certificate of return",
}
STATES = {
    "dispatched": "dispatched: it stands in the sender's register; no answer is known",
    "received": "received: the recipient's signed answer says so",
    "disputed": "disputed: the recipient's signed answer refuses it",
    "withdrawn": "withdrawn by its sender",
    "ended": "ended: the recipient's signed answer says that it was destroyed or returned",
}
ENDS = ("destroyed", "returned")
OUTCOMES = {
    "not_permitted": "not permitted", "bad_digest": "bad digest", "bad_format": "bad format", "too_large": "too large",
    "no_blob": "no content was served",
}  # fmt: skip


class Cell(msgspec.Struct, frozen=True):
    """One cell of a table."""

    text: str
    strong: bool = False


Rows = tuple[tuple[Cell, ...], ...]


class Part(msgspec.Struct, frozen=True):
    """One section: its title, paragraphs, and a table with the shares of its columns; `head` empty for none."""

    title: str
    text: tuple[str, ...] = ()
    columns: tuple[int, ...] = ()
    head: tuple[str, ...] = ()
    rows: Rows = ()


class Sheet(msgspec.Struct, frozen=True):
    """What is drawn: `banner` stands at head and foot of each page, `foot` left, centre and before the page number."""

    title: str
    lead: tuple[str, ...]
    banner: tuple[str, ...]
    foot: tuple[str, str, str]
    parts: tuple[Part, ...]
    attachment: str
    attached: str
    date: tuple[int, int, int]


class Stood(msgspec.Struct, frozen=True):
    """One entry of a paper, read."""

    party: str
    idx: int
    entry: Entry
    leaf: str


def code_of(data: bytes) -> str:
    """The short code of a paper: the first 16 hexadecimal digits of its bytes' SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def name_of(paper: Paper) -> str:
    """The file name under which a paper's JSON is kept."""
    return f"{paper.kind}-{paper.rid[:16]}.json"


def sheet_of(data: bytes, agreement: SignedAgreement) -> tuple[Sheet, int]:
    """The sheet of a paper, and the time of its latest act in POSIX seconds.

    The paper is not verified: `paper.check` does that. Raises: FormatError if it is no paper; UsageError if it has no
    release, or the agreement is another than the one it names.
    """
    paper, law = read(data), agreement.law
    if paper.agreement != agreement.hash:
        raise UsageError("the paper is under another version of the agreement", place=paper.agreement[:16])
    stood = [_stood(item) for item in paper.entries]
    release = next((one for one in stood if _rid(one) == paper.rid), None)
    if release is None:
        raise UsageError("the paper holds no release of its id", place=paper.rid[:16])
    spoken = _Spoken(paper, law, stood, release)
    latest = parse_time(max(one.entry.at for one in (release, *spoken.answers, *spoken.orders)))
    code = code_of(data)
    mode = "EXERCISE" if law.exercise else "PRODUCTION"
    return Sheet(
        title=spoken.title,
        lead=(spoken.lead,),
        banner=(_cut(spoken.words, 80), f"{_cut(marking_line(paper.marking), 110)} \u2014 {mode}"),
        foot=(f"{mode}. Issued by {paper.issuer}", f"Code {_grouped(code)}", "Page"),
        parts=tuple(spoken.parts(hashlib.sha256(data).hexdigest())),
        attachment=name_of(paper),
        attached="The signed record; this document is its picture.",
        date=(latest.year, latest.month, latest.day),
    ), int(latest.timestamp())  # fmt: skip


def _stood(item: Proven) -> Stood:
    data = item.entry.encode()
    return Stood(item.party, item.idx, parse_entry(data, place=f"{item.party} entry {item.idx}"), leaf_hash(data).hex())


def _rid(one: Stood) -> str:
    return digest("core", canonical(one.entry.body["core"])) if one.entry.kind == "release" else ""


def _grouped(text: str) -> str:
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _row(*texts: str) -> tuple[Cell, ...]:
    return tuple(Cell(text) for text in texts)


def _cut(text: str, most: int) -> str:
    """The text, its end left out where it would push the banner into the page; the whole stands in the tables."""
    return text if len(text) <= most else f"{text[:most]}\u2026"


def _time(text: str) -> str:
    return text.replace("T", " ")


class _Spoken:
    """One paper in words."""

    def __init__(self, paper: Paper, law: Agreement, stood: list[Stood], release: Stood) -> None:
        self.paper, self.law, self.stood, self.release = paper, law, stood, release
        self.core = release.entry.body["core"]
        self.sender, self.recipient = release.party, law.other(release.party)
        self.orders = [one for one in stood if one.entry.kind == "order" and one.entry.body["rid"] == paper.rid]
        about = {release.idx, *(one.idx for one in self.orders)}
        self.answers = [one for one in stood if one.entry.kind == "answer" and self._covers(one, about)]
        self.words = " / ".join(f"{code} {paper.words[code]}" for code in law.parties if code in paper.words)
        outcome = next((one.entry.body["outcome"] for one in self.answers if one.entry.body["outcome"] in ENDS), "")
        self.title = TITLES[outcome if paper.kind == "destruction" and outcome else "decision"]

    def _covers(self, one: Stood, about: set[int]) -> bool:
        spans = one.entry.body["re"]["spans"]
        return one.party == self.recipient and any(first <= idx <= last for first, last in spans for idx in about)

    @property
    def lead(self) -> str:
        """What the paper is about, in one paragraph."""
        number, law, state = self.paper.number, self.law, self.paper.state
        return (
            f"Release {number} of {self.sender} to {self.recipient}, agreement {law.id} version {law.version}. "
            f"State: {STATES.get(state, state)}. Times are UTC (Z)."
        )

    def parts(self, sha256: str) -> Iterator[Part]:
        """The sections in their order."""
        yield self._parties()
        yield self._release()
        if self.paper.kind == "decision":
            yield self._rules(self.paper.findings)
            yield self._approvals()
        yield self._orders()
        yield self._answers()
        if any(one.entry.body["witnesses"] for one in self.answers):
            yield self._witnesses()
        yield self._registers()
        yield self._entries()
        yield self._how(sha256)

    def _parties(self) -> Part:
        rows = []
        for part, code in (("Sender", self.sender), ("Recipient", self.recipient)):
            names = self.law.party[code].names
            english = names.get("en", code)
            own = " / ".join(name for language, name in sorted(names.items()) if language != "en") or "the same"
            rows.append(_row(part, code, english, own))
        return Part("Parties", columns=(2, 1, 3, 3), head=("", "Code", "Name", "In its own script"), rows=tuple(rows))

    def _release(self) -> Part:
        core, marks = self.core, self.paper.marking
        what = f"{core['records']['count']} records of format {core['format']}, view {core['view']}"
        kept = f"numbered copies: {core['copies']} at most; kept for {core['retain_days']} days"
        pairs = {
            "Release id": self.paper.rid,
            "Entry": f"{self.release.idx} of the register {core['origin']}, {_time(self.release.entry.at)}",
            "Marking": marking_line(marks),
            "In both nations' words": self.words,
            "Area and article": f"{core['area']}, Art. {core['article']}",
            "What": f"{what}, {core['bytes_padded']} bytes as sealed",
            "Custody": f"{core['custody']} by {core['channel']}; {kept}",
            "Derives from": ", ".join(core["ancestors"]) or "nothing of the recipient's",
            "Content": f"{core['content']} (keyed digest of the exact plaintext that was approved)",
        }
        return Part(
            "The release",
            columns=(2, 7),
            rows=tuple((Cell(name, strong=True), Cell(text)) for name, text in pairs.items()),
        )

    def _rules(self, findings: Sequence[Finding]) -> Part:
        bad = [finding for finding in findings if not finding.ok]
        summary = (
            f"Not permitted: {len(bad)} of {len(findings)} rules failed."
            if bad
            else f"Permitted: all {len(findings)} rules of the agreement passed."
        )
        rows = tuple(
            (
                Cell(str(number)),
                Cell(finding.rule),
                Cell(finding.article or "none"),
                Cell("passed" if finding.ok else "FAILED", strong=not finding.ok),
                Cell(finding.observed),
            )
            for number, finding in enumerate(findings, 1)
        )
        head = ("No.", "Rule", "Article", "Result", "Observed")
        return Part("The decision, rule by rule", (summary,), (1, 3, 2, 2, 9), head, rows)

    def _approvals(self) -> Part:
        given = self.release.entry.body["approvals"]
        if "standing" in self.core:
            return Part("Approvals", (f"Under the standing approval {self.core['standing']}.",))
        if not given:
            return Part("Approvals", ("None.",))
        rows = tuple(_row(item["by"], item["role"], _time(item["until"]), item["sig"]) for item in given)
        return Part("Approvals", (), (2, 2, 2, 7), ("By", "Role", "Valid until", "Signature (Ed25519)"), rows)

    def _orders(self) -> Part:
        if not self.orders:
            return Part("Orders", ("None.",))
        rows = tuple(
            _row(str(one.idx), _time(one.entry.at), str(one.entry.body["act"]), ", ".join(s.by for s in one.entry.sigs))
            for one in self.orders
        )
        return Part("Orders", (), (1, 2, 2, 6), (f"{self.sender} entry", "At", "Order", "Signed by"), rows)

    def _answers(self) -> Part:
        if not self.answers:
            return Part("Receipt and answers", ("None is known to the issuer.",))
        rows = tuple(
            _row(str(one.idx), _time(one.entry.at), OUTCOMES.get(body["outcome"], body["outcome"]), self._what(one),
                 str(body["copies"]) if "copies" in body else "none")
            for one in self.answers for body in (one.entry.body,)
        )  # fmt: skip
        head = (f"{self.recipient} entry", "At", "Outcome", "Answers", "Numbered copies")
        return Part("Receipt and answers", (), (2, 3, 2, 3, 3), head, rows)

    def _what(self, one: Stood) -> str:
        about = [("release", self.release), *((str(order.entry.body["act"]), order) for order in self.orders)]
        return ", ".join(name for name, what in about if self._covers(one, {what.idx}))

    def _witnesses(self) -> Part:
        rows = []
        for one in self.answers:
            bare = {**one.entry.body, "witnesses": []}
            signed = hashlib.sha256(
                act_message("answer", self._origin(one.party), one.entry.agreement, bare)
            ).hexdigest()
            rows += [_row(item["by"], str(one.idx), signed[:16], item["sig"]) for item in one.entry.body["witnesses"]]
        head = ("Witness", "Entry", "Signed digest", "Signature (Ed25519)")
        return Part("Witnesses", (), (2, 1, 3, 7), head, tuple(rows))

    def _origin(self, party: str) -> str:
        return parse_text(parse_note(self.paper.registers[party].encode()).text).origin

    def _registers(self) -> Part:
        rows = []
        for party in self.law.parties:
            note = parse_note(self.paper.registers[party].encode())
            head = parse_text(note.text)
            rows.append(_row(head.origin, str(head.size), head.root.hex(), ", ".join(line.name for line in note.lines)))
        heads = ("Register", "Entries", "Root", "Signed by")
        return Part("Signed heads of both registers", (), (6, 2, 7, 6), heads, tuple(rows))

    def _entries(self) -> Part:
        text = "Each stands in its register under the root above; the exact bytes and the proofs are in the JSON."
        rows = tuple(_row(one.party, str(one.idx), one.entry.kind, _time(one.entry.at), one.leaf) for one in self.stood)
        return Part("Entries", (text,), (4, 3, 5, 8, 29), ("Register", "Entry", "Kind", "At", "Leaf hash"), rows)

    def _how(self, sha256: str) -> Part:
        rid, name = self.paper.rid[:16], name_of(self.paper)
        record = (
            f"The record is the signed JSON, attached to this PDF as {name}; this document is its picture. The code at "
            f"the foot of each page begins the SHA-256 of that file: {sha256}."
        )
        commands = (
            f"sha256sum {name} \u2014 prints that digest.",
            f"entente show {rid} \u2014 on either party's node: the same state, marking, orders and answers.",
            f"entente why {rid} \u2014 the same findings, rule by rule.",
            f"entente paper check {name} --agreement FILE \u2014 every signature and proof in it, without a node.",
            "entente verify \u2014 that both registers are whole, and every decision computed again.",
        )
        return Part("How to verify", (record, *commands))
