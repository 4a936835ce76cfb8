"""What happened to one import, draft or release, step by step, each with the line or entry that says so.

A step of ours at home has the number of its line in the home journal, or none where it stands in a table of node.db
alone; a step in a register has the party and the index. No step holds content: neither a title nor a word of an object.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from entente.account.acts import Answer, Release, parse_body
from entente.account.cascade import derivatives
from entente.account.state import AnswerFact, ReleaseFact, Side
from entente.node.copies import COPY, Copy
from entente.node.import_ import DERIVED
from entente.node.ledger import Ledger
from entente.node.refuse import REFUSAL
from entente.node.shelves import rank_of
from entente.node.slots import QUEUED
from entente.register.entry import Entry, parse_entry
from entente.register.note import parse as parse_note
from entente.store.journal_rows import Line
from entente.store.node_db import DraftRow, SourceRow
from entente.strict import read_own, time_text
from entente.treaty.marking import Marking
from entente.treaty.request import Finding

TIME_BYTES = 8


class Step(msgspec.Struct, frozen=True):
    """One thing that happened: when, by whom, and where it stands.

    `by` are persons' handles or a party; `party` and `idx` name an entry, `seq` a line of the home journal (0: none).
    `rid` is another import, draft or release that the step leads to; `area` and `rank` (the least clearance, in this
    party's scale) say who may know of that one.
    """

    at: str
    by: tuple[str, ...]
    what: str
    detail: str = ""
    party: str = ""
    idx: int = -1
    seq: int = 0
    rid: str = ""
    area: str = ""
    rank: int = 0


Placed = tuple[str, int, int, Step]  # at, phase within one minute, number within the phase


def in_order(found: Sequence[Placed]) -> tuple[Step, ...]:
    """By the time that each states, and within a minute as one leads to another; display only."""
    return tuple(step for *_, step in sorted(found, key=lambda one: one[:3]))


def entry_at(node: Ledger, party: str, idx: int) -> Entry:
    """One entry of either register."""
    (data,) = node.db.entries(node.logs[party], idx, idx + 1)
    return parse_entry(data)


# At home


def of_import(node: Ledger, source: SourceRow) -> Iterator[Placed]:
    """It was taken in, so many objects, under a map that these persons signed."""
    told = f"{source.area}, {source.format}: {source.count} objects, {source.quarantined} set aside"
    yield source.at, 0, 0, Step(source.at, (), "imported", told)
    if source.map:
        found = node.db.get_map(source.map)
        sigs = read_own(found[1], list[dict[str, str]]) if found is not None else []
        lines = node.db.lines_of("map", source.map)
        seq = lines[-1].seq if lines else 0
        step = Step(source.at, tuple(sig["by"] for sig in sigs), "marked by map", source.map[:16], seq=seq)
        yield source.at, 0, 1, step


def drawn_from(node: Ledger, place: str) -> Iterator[Placed]:
    """Drafts that were drawn from an import or a release received."""
    for draft in node.db.drafts_of(place):
        core = read_own(draft.core, _Marked)
        step = Step(
            draft.at, (draft.author,), "drafted from it", draft.state, rid=draft.rid, area=core.area,
            rank=rank_of(node.law.law, node.party, core.marking, node.party),
        )  # fmt: skip
        yield draft.at, 1, 0, step


def taken_in(node: Ledger, rid: str) -> Iterator[Placed]:
    """Imports here that derive from a release of the partner's, and drafts that would bring it back."""
    for line in node.db.lines_of(DERIVED, rid):
        source = node.db.source(read_own(line.data, dict[str, str])["source"])
        if source is not None:
            told = Step(
                line.at, (node.party,), "imported from it", seq=line.seq, rid=source.id, area=source.area,
                rank=node.view.highest(source.id),
            )  # fmt: skip
            yield line.at, 7, line.seq, told
    yield from (one for one in drawn_from(node, rid) if one[3].detail != "dispatched")


class _Marked(msgspec.Struct):
    area: str
    marking: Marking


def of_draft(node: Ledger, draft: DraftRow) -> Iterator[Placed]:
    """Drafted, decided, approved, queued; each approval with the role if it still stands."""
    home = node.other_side.release(draft.source)
    step = Step(draft.at, (draft.author,), "drafted")
    if home is not None:
        rank = rank_of(node.law.law, node.party, home.marking, node.partner)
        step = Step(draft.at, step.by, "drafted from a release received", rid=home.rid, area=home.area, rank=rank)
    yield draft.at, 1, 0, step
    roles = {given.by: given.role for given in (read_own(data, _Given) for data in node.db.approvals(draft.rid))}
    for kind in ("refused", "decision", "gate", "redacted", "approval", QUEUED, REFUSAL):
        for line in node.db.lines_of(kind, draft.rid):
            by, what, detail = _told(line)
            role = roles.get(by[0], "") if by and what == "approved" else ""
            step = Step(line.at, by, what, f"as {role}" if role else detail, seq=line.seq)
            yield line.at, 2, line.seq, step


class _Given(msgspec.Struct):
    by: str
    role: str


class _Said(msgspec.Struct):
    by: str = ""
    outcome: str = ""


class _Gated(msgspec.Struct):
    findings: list[Finding]


APPROVALS = {
    "signed": "approved",
    "revoked": "approval revoked",
    "void": "approval void",
    "author": "turned away: the author may not approve",
    "refused": "turned away: may not approve this",
    REFUSAL: "refused by a person",
}


def _told(line: Line) -> tuple[tuple[str, ...], str, str]:
    """By whom, what and how, of one line about a draft."""
    match line.kind:
        case "refused":
            return (), "screened", f"{len(read_own(line.data, list[dict[str, str]]))} objects stay at home"
        case "redacted":
            return (), "stripped", f"{len(read_own(line.data, dict[str, int]))} objects lost properties"
        case "decision":
            return (), "checked", decided(read_own(line.data, list[Finding]))
        case "gate":
            return (), "checked by national rules", decided(read_own(line.data, _Gated).findings)
        case "approval" | "refusal":
            said = read_own(line.data, _Said)
            return (said.by,), APPROVALS.get(said.outcome or line.kind, said.outcome), ""
    return (), "queued", ""


def decided(findings: Sequence[Finding]) -> str:
    """A decision in a line: permitted, or the rules that refused with their articles."""
    bad = [f"{one.rule} (Art. {one.article})" if one.article else one.rule for one in findings if not one.ok]
    return f"refused by {', '.join(bad)}" if bad else f"permitted, {len(findings)} rules"


def of_copies(node: Ledger, rid: str) -> Iterator[Placed]:
    """Numbered copies made and closed here."""
    for line in node.db.lines_of(COPY, rid):
        copy = read_own(line.data, Copy)
        what = f"copy {copy.n} closed" if copy.closed else f"copy {copy.n} made"
        yield line.at, 6, line.seq, Step(line.at, (), what, f"{copy.holder}, {copy.place}", seq=line.seq)


def of_erasure(node: Ledger, rid: str) -> Iterator[Placed]:
    """What was held here began to be destroyed, and was."""
    for line in node.db.lines_of("erasure", rid):
        begun = read_own(line.data, _Said).outcome == "begun"
        step = Step(line.at, (node.party,), "destruction begun here" if begun else "destroyed here", seq=line.seq)
        yield line.at, 10 if begun else 12, line.seq, step


# In the registers


def of_release(node: Ledger, side: Side, fact: ReleaseFact) -> Iterator[Placed]:
    """Dispatched, cosigned, answered, ordered, reclassified, ended: what both registers say, and what derives from it.

    The entries are read one by one, for who signed them: as many as the release has orders and ends.
    """
    other = node.pair.other(side.party)
    entry = entry_at(node, side.party, fact.idx)
    body = parse_body("release", entry.body)
    given = body.approvals if isinstance(body, Release) else ()
    standing = body.core.standing if isinstance(body, Release) else ""
    if isinstance(standing, str) and standing:
        step = Step(fact.at, (side.party,), "under a standing approval", standing[:16], side.party, fact.idx)
        yield fact.at, 3, 1, step
    step = Step(fact.at, (side.party,), "dispatched", f"release {fact.number}", side.party, fact.idx)
    yield fact.at, 3, 0, step
    for approval in given:
        step = Step(fact.at, (approval.by,), "approval in the entry", f"as {approval.role}", side.party, fact.idx)
        yield fact.at, 3, 1, step
    yield from _cosigned(node, side, fact)
    for answer in fact.answers:
        yield _answered(node, other, answer, "")
    for order in fact.orders:
        entry = entry_at(node, side.party, order.idx)
        by = tuple(sig.by for sig in entry.sigs)
        level = order.marking.level if order.marking is not None else ""
        what = "reclassified" if order.act == "reclass" else f"ordered: {order.act}"
        yield order.at, 7, order.idx, Step(order.at, by, what, level, side.party, order.idx)
        for answer in side.order_answers[order.idx]:
            if not any(answer.idx == one.idx for one in fact.answers):
                yield _answered(node, other, answer, order.act)
    yield from _around(node, side, fact)


def _around(node: Ledger, side: Side, fact: ReleaseFact) -> Iterator[Placed]:
    """What derives from a release, and what was stated of its loss."""
    for steps, holder, found in derivatives(node.pair, node.pair.sizes, side, [fact.rid]):
        what = "went back" if found.marking.originator == side.party else "derived from it"
        detail = f"{steps} steps away" if steps > 1 else ""
        rank = rank_of(node.law.law, node.party, found.marking, holder.party)
        yield found.at, 8, found.idx, Step(
            found.at, (holder.party,), what, detail, holder.party, found.idx, rid=found.rid, area=found.area, rank=rank
        )  # fmt: skip
    for author in node.pair.sides.values():
        for incident in author.incidents:
            spans = [span for one in incident.body.releases if one.origin == side.origin for span in one.spans]
            if any(first <= fact.idx <= last for first, last in spans):
                what = f"incident: {incident.body.kind}, {incident.body.stage}"
                yield incident.at, 9, incident.idx, Step(
                    incident.at, (author.party,), what, "", author.party, incident.idx
                )  # fmt: skip


def _cosigned(node: Ledger, side: Side, fact: ReleaseFact) -> Iterator[Placed]:
    """By the latest cosignature that covers it: an earlier one may have, but is not kept."""
    if side is node.side:
        note = node.db.get_note(node.logs[side.party], "acknowledged")
        data, size = (note.data, note.size) if note is not None else (b"", 0)
    else:
        head = node.head_of(side.party)
        data, size = (head.line, head.size) if head is not None else (b"", 0)
    if fact.idx >= size:
        return
    by = node.pair.other(side.party).party
    at = time_text(cosigned_at(data))
    step = Step(at, (by,), "cosigned", f"covered by the cosignature of {size} entries", side.party, fact.idx)
    yield fact.at, 4, 0, step


def _answered(node: Ledger, other: Side, answer: AnswerFact, act: str) -> Placed:
    """The partner's outcome; the end of a release names who witnessed it and how many copies there were."""
    end = answer.outcome in ("destroyed", "returned")
    by: tuple[str, ...] = (other.party,)
    detail = ""
    if end:
        body = parse_body("answer", entry_at(node, other.party, answer.idx).body)
        witnesses = tuple(sig.by for sig in body.witnesses) if isinstance(body, Answer) else ()
        by = witnesses or by
        detail = ("witnessed" if witnesses else "no witness needed") + (
            f", {answer.copies} copies closed" if answer.copies else ""
        )
    what = f"answered {act}: {answer.outcome}" if act else answer.outcome
    phase = 11 if end else 8 if act else 5
    return answer.at, phase, answer.idx, Step(answer.at, by, what, detail, other.party, answer.idx)


def cosigned_at(data: bytes) -> datetime:
    """When the last line of a cosigned note was made, as its cosigner's clock had it."""
    line = parse_note(data).lines[-1]
    return datetime.fromtimestamp(int.from_bytes(line.signature[:TIME_BYTES], "big"), UTC)
