"""A paper: what stands in a signed record of one release, and how a reader checks it years later.

It holds the entries that matter with proofs that they stand in both registers, and what their author makes of them.
`check` needs the paper and the agreement alone: it folds the entries that are there as a node folds its registers, and
compares. That nothing was left out (a revocation, a suspension, an earlier release with the same id) no part of a
register can prove; `entente verify` reads the whole. Fields: docs/reference/formats.md, Papers.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, Literal

import msgspec

from entente.account.acts import RANK_2, Release, parse_body
from entente.account.cascade import carried, current_marking, scale_of
from entente.account.fold import new_pair
from entente.account.judge import Judge, NotValidError, Rules
from entente.account.state import Pair, Side, find_release, release_state
from entente.account.view import view_for
from entente.errors import EntenteError, FormatError, VerificationError
from entente.keys import pae, verify
from entente.node.ledger import mirror_name
from entente.register.checkpoint import Checkpoint, open_checkpoint
from entente.register.entry import Entry, act_id, parse_entry
from entente.register.note import COSIGNATURE, LOG, NoteKey
from entente.register.proof import check_inclusion
from entente.register.tree import leaf_hash
from entente.strict import canonical, check_sorted_set, convert, parse
from entente.treaty.agreement import Agreement, SignedAgreement, parse_agreement
from entente.treaty.decision import decide
from entente.treaty.marking import Count, Hex32, Hex64, Marking, Wire
from entente.treaty.request import Finding, Request, sealed_ref

MAX_PAPER_BYTES = 1 << 26
WHOLE = frozenset({"answers", "standing", "once"})  # rules that look at the whole register, not at what stands here
ENDS = frozenset({"destroyed", "returned"})


class Proven(Wire, frozen=True):
    """One entry, its exact text, and the hashes that lead from it to the root of its register's checkpoint."""

    entry: str
    idx: Count
    party: str
    proof: tuple[Hex32, ...]


class Paper(Wire, frozen=True):
    """A decision with its receipt, or a certificate that a release has ended, as `issuer` states it."""

    agreement: Hex32
    entries: tuple[Proven, ...]
    findings: tuple[Finding, ...]
    issuer: str
    kind: Literal["decision", "destruction"]
    marking: Marking
    number: Count
    registers: dict[str, str]
    rid: Hex32
    state: str
    v: Literal[1]
    words: dict[str, str]
    sig: Hex64 | msgspec.UnsetType = msgspec.UNSET


def read(data: bytes) -> Paper:
    """The paper in canonical bytes; FormatError if they are not one. Nothing in it is verified."""
    paper, _ = _read(data)
    return paper


def _read(data: bytes) -> tuple[Paper, Any]:
    if len(data) > MAX_PAPER_BYTES:
        raise FormatError(f"{len(data)} bytes are too many", place="paper")
    raw = parse(data, place="paper", newlines=True)
    return convert(raw, Paper, place="paper"), raw


def signed_message(body: bytes) -> bytes:
    """What the issuer's log key signs: the paper's canonical bytes without `sig`."""
    return pae("paper", body)


def words_of(law: Agreement, mark: Marking, sender: str) -> dict[str, str]:
    """The level of a release of `sender` in each party's own word; a party without one is left out."""
    scale = scale_of(mark, sender, law)
    found = {code: carried(mark.level, scale, code, law) for code in law.parties}
    return {code: word for code, word in found.items() if word is not None}


def check(data: bytes, agreements: Iterable[bytes]) -> list[str]:
    """What is wrong with a paper; nothing if all of it is signed, proven and follows from what it holds.

    Args:
        data: the paper's bytes.
        agreements: the exact TOML of each version of the agreement that its entries name; they are what is trusted.
    """
    try:
        laws = {signed.hash: signed for signed in map(parse_agreement, agreements)}
        paper, raw = _read(data)
        raw.pop("sig", None)
        return list(_Reader(paper, laws).faults(canonical(raw)))
    except EntenteError as fault:
        return [fault.explain()]


class _Reader:
    """One paper being checked: its entries, and the facts they add up to."""

    def __init__(self, paper: Paper, laws: Mapping[str, SignedAgreement]) -> None:
        if paper.agreement not in laws:
            raise VerificationError(f"agreement {paper.agreement[:16]} was not given", place="paper")
        self.paper, self.laws = paper, laws
        self.law = laws[paper.agreement].law
        self.pair: Pair = new_pair(self.law)
        if set(paper.registers) != set(self.pair.sides) or paper.issuer not in self.pair.sides:
            raise VerificationError("is not about the two registers of this agreement", place="paper")
        self.log_keys: dict[str, list[str]] = {party: [] for party in self.pair.sides}
        self.mirror_keys: dict[str, list[str]] = {party: [] for party in self.pair.sides}
        self.findings: tuple[Finding, ...] = ()

    def faults(self, body: bytes) -> Iterator[str]:
        """Everything that does not hold."""
        self._fold()
        for party in self.pair.sides:
            head = self._head(party)
            yield from self._proofs(party, head)
        keys = self.log_keys[self.paper.issuer]
        sig = self.paper.sig if isinstance(self.paper.sig, str) else ""
        if not any(verify(key, signed_message(body), sig) for key in keys):
            yield f"the signature is not of the log of {self.paper.issuer}"
        yield from self._stated()

    def _fold(self) -> None:
        """The entries joined the facts, each in its own causal past, as far as that stands here."""
        queues: dict[str, list[tuple[int, Entry]]] = {party: [] for party in self.pair.sides}
        for item in self.paper.entries:
            if item.party not in queues:
                raise VerificationError(f"{item.party} is not a party", place="entries")
            queues[item.party].append((item.idx, parse_entry(item.entry.encode(), place=_place(item.party, item.idx))))
        for party, queue in queues.items():
            check_sorted_set([f"{idx:016}" for idx, _ in queue], f"entries of {party}")
        while any(queues.values()):
            ready = [party for party, queue in queues.items() if queue and not self._waits(queue[0][1], party, queues)]
            if not ready:
                raise VerificationError("entries claim to have seen each other", place="entries")
            idx, entry = queues[ready[0]].pop(0)
            self._join(self.pair.sides[ready[0]], idx, entry)

    def _waits(self, entry: Entry, party: str, queues: Mapping[str, list[tuple[int, Entry]]]) -> bool:
        theirs = queues[self.pair.other(party).party]
        return bool(theirs) and theirs[0][0] < entry.seen.size

    def _join(self, side: Side, idx: int, entry: Entry) -> None:
        """The entry is signed by whom it must be and has had its effect."""
        place = _place(side.party, idx)
        named = self.laws.get(entry.agreement)
        if named is None or (named.law.id, named.law.parties) != (self.law.id, self.law.parties):
            raise VerificationError(f"names agreement {entry.agreement[:16]}, which was not given", place=place)
        if (idx == 0) != (entry.kind in ("genesis", "epoch")) or (idx and not self.log_keys[side.party]):
            raise VerificationError("the register does not begin with its first entry", place=place)
        body = parse_body(entry.kind, entry.body)
        act = act_id(side.origin, entry) if hasattr(body, "nonce") else ""
        side.size = idx
        rules = Rules(self.laws, verify, self._decide)
        try:
            Judge(rules, self.pair, side, idx=idx, entry=entry, law=named.law, act=act).run(body)
        except NotValidError as fault:
            raise VerificationError(f"not valid: {fault}", place=place) from None
        if entry.kind in RANK_2:
            side.rank2.append(idx)
        side.size, side.seen, side.last_at = idx + 1, entry.seen.size, entry.at
        self.log_keys[side.party].append(side.log_key or "")
        self.mirror_keys[side.party].append(side.mirror_key or "")

    def _decide(self, side: Side, idx: int, entry: Entry, body: Release) -> None:
        """The decision on the paper's release, computed again from what stands here."""
        if body.core.rid != self.paper.rid or self.findings:
            return
        request = Request(side.origin, idx, entry.at, body.core, sealed_ref(body.sealed), body.approvals)
        view = view_for(self.pair, side.party, entry.seen.size, request, self.laws)
        self.findings = decide(self.laws[entry.agreement].law, view, request, verify).findings

    def _head(self, party: str) -> Checkpoint:
        """The register's checkpoint, signed by its log and, where a second line stands, cosigned by the partner."""
        data, side = self.paper.registers[party].encode(), self.pair.sides[party]
        cosigner = mirror_name(self.law.id, self.pair.other(party).party)
        mirrors = sorted(set(self.mirror_keys[self.pair.other(party).party]))
        for log, mirror in product(sorted(set(self.log_keys[party])), ("", *mirrors)):
            expected = [NoteKey(side.origin, log, LOG)]
            expected += [NoteKey(cosigner, mirror, COSIGNATURE)] if mirror else []
            try:
                return open_checkpoint(data, expected).checkpoint
            except EntenteError:
                continue
        raise VerificationError("not signed by the keys its register names", place=f"checkpoint of {party}")

    def _proofs(self, party: str, head: Checkpoint) -> Iterator[str]:
        for item in self.paper.entries:
            if item.party == party:
                proof = [bytes.fromhex(node) for node in item.proof]
                try:
                    check_inclusion(leaf_hash(item.entry.encode()), item.idx, head.size, proof, head.root)
                except VerificationError as fault:
                    yield f"{_place(party, item.idx)}: {fault.detail}"

    def _stated(self) -> Iterator[str]:
        """What the paper says, against what its entries add up to."""
        paper, found = self.paper, find_release(self.pair, self.paper.rid)
        if found is None:
            yield "holds no release of that id"
            return
        side, fact = found
        if fact.acts_under != paper.agreement:
            yield "names another agreement than the one its release acts under"
        if paper.state != release_state(fact, side.size, self.pair.other(side.party).size):
            yield f"says {paper.state}, which its entries do not"
        if paper.marking != current_marking(self.pair, side, fact, self.laws).marking:
            yield "its marking does not follow from its entries"
        if paper.words != words_of(self.law, paper.marking, side.party):
            yield "its words are not those of the agreement"
        if paper.kind == "destruction":
            if paper.findings or not ENDS & {given.outcome for given in fact.answers}:
                yield "is no certificate of an end"
            return
        if [finding.rule for finding in paper.findings] != [finding.rule for finding in self.findings]:
            yield "does not hold every rule's finding"
        for mine, theirs in zip(paper.findings, self.findings, strict=False):
            same = mine.article == theirs.article if mine.rule in WHOLE else mine == theirs
            if not same:
                yield f"rule {mine.rule} finds {theirs.observed!r}, not {mine.observed!r}"


def _place(party: str, idx: int) -> str:
    return f"{party} entry {idx}"
