r"""The auditor's extract: every decision and every refusal made here in a period, and a sample that anyone can redo.

A row says what was decided, when, by whom, under which rule and article, and where that stands: an entry of our
register or a line of the home journal. It holds no content: an object is named by its digest.

The sample: of what was granted and of what was refused, each apart, the rows whose SHA-256(seed, line feed, id) in hex
comes first; `printf '%s\n%s' SEED ID | sha256sum` gives it for one row. Who does not trust this node gives the seed.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain

import msgspec

from entente.account.acts import REFUSALS, Answer, parse_body
from entente.account.state import ReleaseFact
from entente.errors import UsageError
from entente.node.approve import approvers
from entente.node.history import entry_at
from entente.node.ledger import Ledger
from entente.node.shelves import rank_of
from entente.store.journal_rows import Line
from entente.store.thing_rows import Resting
from entente.strict import parse, parse_time, read_own
from entente.treaty.marking import Marking
from entente.treaty.request import Finding

LONGEST_SEED = 200
MANY = 500
AWAY = {"author": ("gate", "author"), "refused": ("decide", "approval_valid")}


class Row(msgspec.Struct, frozen=True):
    """One decision. `rank` is the least clearance, in this party's scale, that may know of it; `rid` what it is about.

    `what` is release, draft, object, check, gate, approval, act or answer. `rule` is empty where nothing was refused;
    `article` is then that under which it was granted, if one is named.
    """

    id: str
    what: str
    refused: bool
    at: str
    by: tuple[str, ...]
    outcome: str
    area: str
    rank: int
    rule: str = ""
    article: str = ""
    rid: str = ""
    object: str = ""
    idx: int = -1
    seq: int = 0


class Total(msgspec.Struct, frozen=True):
    """How many rows there are of one kind, rule and article."""

    refused: bool
    what: str
    rule: str
    article: str
    count: int


class Extract(msgspec.Struct, frozen=True):
    """The rows of a period, from `since` up to, not including, `until`; the totals sum to them."""

    party: str
    since: str
    until: str
    rows: tuple[Row, ...]
    totals: tuple[Total, ...]


class Sample(msgspec.Struct, frozen=True):
    """What to look at: rows of each stratum in the order of their digests, by a seed, out of so many."""

    seed: str
    granted: tuple[Row, ...]
    refused: tuple[Row, ...]
    of_granted: int
    of_refused: int


Sees = Callable[[Row], bool]


def extract(node: Ledger, since: str, until: str, *, sees: Sees = lambda _: True) -> Extract:
    """Every decision and refusal of the period that the reader may know of, held at once; `each` gives one by one.

    It goes through the journal and the releases of the period: keep it by (own size, partner size, minute, reader).
    """
    rows = tuple(row for row in each(node, since, until) if sees(row))
    return Extract(node.party, since, until, rows, totals(rows))


def totals(rows: Iterable[Row]) -> tuple[Total, ...]:
    """The rows counted by kind, rule and article; they sum to the rows."""
    found: dict[tuple[bool, str, str, str], int] = {}
    for row in rows:
        key = row.refused, row.what, row.rule, row.article
        found[key] = found.get(key, 0) + 1
    return tuple(Total(*key, count) for key, count in sorted(found.items()))


def sample(rows: Iterable[Row], n: int, seed: str) -> Sample:
    """At most `n` rows of what was granted and `n` of what was refused, the same for the same rows and seed.

    Rows may come one by one; no more than those that are taken are kept.
    """
    if n < 0 or not seed or len(seed) > LONGEST_SEED or not seed.isprintable():
        raise UsageError(f"a seed is 1 to {LONGEST_SEED} printable characters", remedy="Write down the seed you give.")
    counts = [0, 0]
    taken: list[list[tuple[int, str, Row]]] = [[], []]
    for row in rows:
        counts[row.refused] += 1
        entry = -int(place_of(row.id, seed), 16), row.id, row
        heap = taken[row.refused]
        if len(heap) < n:
            heapq.heappush(heap, entry)
        elif n and entry > heap[0]:
            heapq.heapreplace(heap, entry)
    granted, refused = (tuple(row for *_, row in sorted(heap, reverse=True)) for heap in taken)
    return Sample(seed, granted, refused, counts[0], counts[1])


def place_of(row_id: str, seed: str) -> str:
    """The digest by which a row is placed in a sample."""
    return sha256(f"{seed}\n{row_id}".encode()).hexdigest()


def each(node: Ledger, since: str, until: str) -> Iterator[Row]:
    """The rows one by one: releases, drafts that never left, then the home journal by kind, then answers of ours."""
    if parse_time(since) > parse_time(until):
        raise UsageError("the period ends before it begins")
    rows = _Rows(node, since, until)
    yield from chain(rows.releases(), rows.drafts(), rows.journal(), rows.answers())


class _About(msgspec.Struct, frozen=True):
    """What a line is about: its area, the article it is released under, the rank of who may know of it."""

    area: str
    article: str
    rank: int
    source: str


class _Core(msgspec.Struct):
    area: str
    article: str
    marking: Marking


class _Refused(msgspec.Struct):
    sha256: str
    rule: str
    article: str


class _Said(msgspec.Struct):
    by: str
    outcome: str


class _Gated(msgspec.Struct):
    findings: list[Finding]


class _Rows:
    """One walk over the period."""

    def __init__(self, node: Ledger, since: str, until: str) -> None:
        self.node, self.since, self.until = node, since, until
        self.top = len(node.law.law.ranks[node.party]) - 1
        self._known: dict[str, _About] = {}

    def _within(self, at: str) -> bool:
        return self.since <= at < self.until

    def _rank(self, fact: ReleaseFact, sender: str) -> int:
        return rank_of(self.node.law.law, self.node.party, fact.marking, sender)

    def releases(self) -> Iterator[Row]:
        """What was dispatched."""
        for fact in self.node.side.releases:
            if self._within(fact.at):
                yield Row(
                    id=f"release/{fact.rid}", what="release", refused=False, at=fact.at,
                    by=approvers(self.node, fact.rid), outcome="dispatched", area=fact.area,
                    rank=self._rank(fact, self.node.party), article=fact.article, rid=fact.rid, idx=fact.idx,
                )  # fmt: skip

    def drafts(self) -> Iterator[Row]:
        """What was drafted in the period and has not left, with the state it is in now."""
        for head in self.node.db.draft_heads():
            if head.state != "dispatched" and self._within(head.at):
                about, draft = self._about(head.rid), self.node.db.draft(head.rid)
                by = (draft.author,) if draft is not None else ()
                yield Row(
                    id=f"draft/{head.rid}", what="draft", refused=False, at=head.at, by=by, outcome=head.state,
                    area=about.area, rank=about.rank, article=about.article, rid=head.rid,
                )  # fmt: skip

    def journal(self) -> Iterator[Row]:
        """What the home journal says of objects, drafts, approvals and acts."""
        tellers: Sequence[tuple[str, Callable[[Line], Iterator[Row]]]] = (
            ("refused", self._objects),
            ("decision", lambda line: self._decision(line, "check", read_own(line.data, list[Finding]))),
            ("gate", lambda line: self._decision(line, "gate", read_own(line.data, _Gated).findings)),
            ("approval", self._approval),
            ("act", self._act),
        )
        for kind, tell in tellers:
            for line in self.node.db.lines_between(kind, self.since, self.until):
                yield from tell(line)

    def _about(self, key: str) -> _About:
        """The draft or import that a line is about; of what is gone, for the highest clearance alone."""
        if key not in self._known:
            self._known[key] = self._find(key)
        return self._known[key]

    def _find(self, key: str) -> _About:
        draft, source = self.node.db.draft(key), self.node.db.source(key)
        if draft is not None:
            core = read_own(draft.core, _Core)
            rank = rank_of(self.node.law.law, self.node.party, core.marking, self.node.party)
            return _About(core.area, core.article, rank, draft.source)
        return _About(source.area if source is not None else "", "", self.top, key)

    def _objects(self, line: Line) -> Iterator[Row]:
        about = self._about(line.key)
        digests = read_own(line.data, list[_Refused])
        found = self._resting(about.source, {one.sha256 for one in digests})
        for one in digests:
            row = found.get(one.sha256)
            yield Row(
                id=f"object/{line.seq}/{one.sha256}", what="object", refused=True, at=line.at, by=(self.node.party,),
                outcome="stays at home", area=about.area, rank=row.rank if row is not None else self.top,
                rule=one.rule, article=one.article, rid=line.key, object=one.sha256, seq=line.seq,
            )  # fmt: skip

    def _resting(self, place: str, digests: set[str]) -> dict[str, Resting]:
        """The rows of an import with these digests: by index while they are few, else in one walk."""
        if len(digests) > MANY:
            return self.node.view.with_digests(place, digests)
        rows = {digest: self.node.view.with_digest(place, digest) for digest in digests}
        return {digest: row for digest, row in rows.items() if row is not None}

    def _decision(self, line: Line, what: str, findings: Sequence[Finding]) -> Iterator[Row]:
        """One row if it permits, else one for each rule that refuses."""
        about = self._about(line.key)
        bad = [(one.rule, one.article, one.observed) for one in findings if not one.ok]
        for rule, article, observed in bad or [("", about.article, "permitted")]:
            yield Row(
                id=f"{what}/{line.seq}/{rule}", what=what, refused=bool(bad), at=line.at, by=(self.node.party,),
                outcome=observed, area=about.area, rank=about.rank, rule=rule, article=article, rid=line.key,
                seq=line.seq,
            )  # fmt: skip

    def _approval(self, line: Line) -> Iterator[Row]:
        about, said = self._about(line.key), read_own(line.data, _Said)
        rule, article = "", about.article
        if said.outcome in AWAY:
            part, rule = AWAY[said.outcome]
            rules = self.node.law.law.rules
            article = (rules.gate if part == "gate" else rules.decide).get(rule, "")
        yield Row(
            id=f"approval/{line.seq}", what="approval", refused=bool(rule), at=line.at, by=(said.by,),
            outcome="turned away" if rule else said.outcome, area=about.area, rank=about.rank, rule=rule,
            article=article, rid=line.key, seq=line.seq,
        )  # fmt: skip

    def _act(self, line: Line) -> Iterator[Row]:
        said = read_own(line.data, _Said)
        area, rank, rid, kind = self._acted(line.key)
        yield Row(
            id=f"act/{line.seq}", what="act", refused=False, at=line.at, by=(said.by,) if said.by else (),
            outcome=f"{kind}: {said.outcome}", area=area, rank=rank, rid=rid,
            idx=self.node.side.acts.get(line.key, -1) if said.outcome == "entered" else -1, seq=line.seq,
        )  # fmt: skip

    def _acted(self, name: str) -> tuple[str, int, str, str]:
        """Area, rank, release and kind of an act; one about no release is in clear in both registers."""
        rows = self.node.db.acts_named(name)
        if not rows:
            return "", self.top, "", "act"
        body = parse(rows[0].body, newlines=rows[0].kind == "undertaking")
        fact = self.node.side.release(str(body.get("rid", "")))
        if fact is not None:
            return fact.area, self._rank(fact, self.node.party), fact.rid, rows[0].kind
        return "", 0, "", rows[0].kind

    def answers(self) -> Iterator[Row]:
        """What this node answered to releases of the partner's; the rule is that of decide() where it refused."""
        for fact in self.node.other_side.releases:
            for number, given in enumerate(fact.answers):
                if not self._within(given.at):
                    continue
                refused = given.outcome in REFUSALS
                rule, article = self._why(fact, given.outcome) if refused else ("", fact.article)
                yield Row(
                    id=f"answer/{given.idx}/{fact.idx}/{number}", what="answer", refused=refused, at=given.at,
                    by=self._witnesses(given.idx, given.outcome), outcome=given.outcome, area=fact.area,
                    rank=self._rank(fact, self.node.partner), rule=rule, article=article, rid=fact.rid, idx=given.idx,
                )  # fmt: skip

    def _why(self, fact: ReleaseFact, outcome: str) -> tuple[str, str]:
        row = self.node.db.inbox_row(self.node.logs[self.node.partner], fact.idx)
        bad = [one for one in read_own(row.findings, list[Finding]) if not one.ok] if row is not None else []
        return (bad[0].rule, bad[0].article) if bad else (outcome, "")

    def _witnesses(self, idx: int, outcome: str) -> tuple[str, ...]:
        if outcome not in ("destroyed", "returned"):
            return (self.node.party,)
        body = parse_body("answer", entry_at(self.node, self.node.party, idx).body)
        return tuple(sig.by for sig in body.witnesses) if isinstance(body, Answer) else ()
