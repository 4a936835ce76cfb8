"""Why: every object and every rule of one release or draft, passed or failed.

At the sender: the home journal joined with titles from view.db. At the receiver: the 26 rules, and what came.
"""

import hashlib
from collections.abc import Mapping
from typing import Literal

import msgspec

from entente.account.state import ReleaseFact, Side, find_release, release_state
from entente.errors import UsageError
from entente.node.approve import approvers
from entente.node.held import read_release
from entente.node.ledger import Ledger
from entente.node.order import is_number, release_of
from entente.store.node_db import DraftRow
from entente.strict import read_own
from entente.treaty.approval import Core
from entente.treaty.area import Area
from entente.treaty.request import Finding


class Object(msgspec.Struct, frozen=True):
    """One object and what became of it; `rule` and `article` are empty where it crossed.

    `redacted` is how many of its properties granular markings kept back.
    """

    id: str
    type: str
    title: str
    crosses: bool
    rule: str = ""
    article: str = ""
    redacted: int = 0


class Why(msgspec.Struct, frozen=True):
    """A release or draft with its reasons; `map` is the marking map that marked its records, signed by `mapped_by`."""

    kind: Literal["draft", "sent", "received"]
    rid: str
    number: int
    state: str
    area: str
    article: str
    findings: tuple[Finding, ...]
    gate: tuple[Finding, ...]
    objects: tuple[Object, ...]
    answers: tuple[str, ...]
    approved_by: tuple[str, ...]
    map: str = ""
    mapped_by: tuple[str, ...] = ()


def why(node: Ledger, areas: Mapping[str, Area], key: str) -> Why:
    """The reasons of the release with this number in our register, or of the release or draft whose id begins so.

    Raises: UsageError if there is none, or more than one.
    """
    if is_number(key):
        return _sent(node, areas, release_of(node.side, key))
    drafts = [draft for draft in node.db.drafts() if draft.rid.startswith(key) and draft.state != "dispatched"]
    rids = [rid for side in node.pair.sides.values() for rid in side.by_rid if rid.startswith(key)]
    if len(drafts) + len(rids) != 1 or not key:
        found = len(drafts) + len(rids)
        raise UsageError(
            f"{key} names {found} releases and drafts" if found else f"no release or draft {key}",
            remedy="See `entente list releases`.",
        )
    if drafts:
        return _draft(node, areas, drafts[0])
    side_fact = find_release(node.pair, rids[0])
    if side_fact is None:
        raise UsageError(f"no release {key}")
    side, fact = side_fact
    return _sent(node, areas, fact) if side.party == node.party else _received(node, fact)


def _findings(lines: list[bytes]) -> tuple[Finding, ...]:
    return tuple(read_own(lines[-1], list[Finding])) if lines else ()


def _gate(node: Ledger, rid: str) -> tuple[Finding, ...]:
    lines = node.db.journal_of("gate", rid)
    return tuple(read_own(lines[-1], _Gate).findings) if lines else ()


def findings_of(node: Ledger, rid: str) -> tuple[Finding, ...]:
    """What decide() and gate() last said of a draft or release of ours, as the home journal has it."""
    return (*_findings(node.db.journal_of("decision", rid)), *_gate(node, rid))


class _Gate(msgspec.Struct):
    findings: list[Finding]


def rules_of(node: Ledger, side: Side, fact: ReleaseFact) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What decide() found about a release as this node computed it, and what our own gate() found; no object is read.

    A release of the partner's has no gate here, and no findings until this node has decided about it.
    """
    if side is node.side:
        return _findings(node.db.journal_of("decision", fact.rid)), _gate(node, fact.rid)
    row = node.db.inbox_row(node.logs[node.partner], fact.idx)
    return (tuple(read_own(row.findings, list[Finding])) if row else ()), ()


class RefusedLine(msgspec.Struct):
    """A line of the home journal about an object that stays."""

    sha256: str
    rule: str
    article: str


def _own_objects(node: Ledger, areas: Mapping[str, Area], draft: DraftRow, area: str) -> tuple[Object, ...]:
    """What crosses, from the sealed bytes themselves, then what does not, from the journal."""
    found = []
    titles = {thing.sha256: thing for thing in node.view.things(draft.source)}
    secret = node.keys.key(draft.rid)
    if secret is not None and node.blobs.holds(draft.blob):
        listing, bodies = read_release(node, draft.blob, draft.blob_bytes, secret)
        form = read_own(draft.core, Core).format
        lines = node.db.journal_of("redacted", draft.rid)
        redacted = read_own(lines[-1], dict[str, int]) if lines else {}
        for item, body in zip(listing.records, bodies, strict=True):
            known = titles.get(item.sha256) or areas[area].read(form, body)
            name, kind, title = (item.sha256, "", "") if isinstance(known, str) else known.name
            found.append(Object(name, kind, title, crosses=True, redacted=redacted.get(item.sha256, 0)))
    for data in node.db.journal_of("refused", draft.rid):
        for line in read_own(data, list[RefusedLine]):
            thing = titles.get(line.sha256)
            name, kind, title = thing.name if thing else (line.sha256, "", "")
            found.append(Object(name, kind, title, crosses=False, rule=line.rule, article=line.article))
    return tuple(found)


def _map_of(node: Ledger, rid: str) -> tuple[str, tuple[str, ...]]:
    """The marking map that a draft's records were marked by, and who signed that; empty for what goes back."""
    lines = node.db.journal_of("mapped", rid)
    if not lines:
        return "", ()
    name = read_own(lines[-1], dict[str, str])["map"]
    found = node.db.get_map(name)
    sigs = read_own(found[1], list[dict[str, str]]) if found is not None else []
    return name, tuple(sig["by"] for sig in sigs)


def _draft(node: Ledger, areas: Mapping[str, Area], draft: DraftRow) -> Why:
    core = read_own(draft.core, Core)
    findings = _findings(node.db.journal_of("decision", draft.rid))
    objects = _own_objects(node, areas, draft, core.area)
    by = approvers(node, draft.rid)
    return Why(
        "draft", draft.rid, 0, draft.state, core.area, core.article, findings, _gate(node, draft.rid), objects, (), by,
        *_map_of(node, draft.rid),
    )  # fmt: skip


def _sent(node: Ledger, areas: Mapping[str, Area], fact: ReleaseFact) -> Why:
    draft = node.db.draft(fact.rid)
    objects = _own_objects(node, areas, draft, fact.area) if draft is not None else ()
    by = approvers(node, fact.rid)
    name, signed = _map_of(node, fact.rid)
    return Why(
        kind="sent", rid=fact.rid, number=fact.number, state=state_of(node, fact), area=fact.area, article=fact.article,
        findings=_findings(node.db.journal_of("decision", fact.rid)), gate=_gate(node, fact.rid), objects=objects,
        answers=tuple(answer.outcome for answer in fact.answers), approved_by=by, map=name, mapped_by=signed,
    )  # fmt: skip


def _received(node: Ledger, fact: ReleaseFact) -> Why:
    objects = tuple(Object(thing.id, thing.type, thing.title, crosses=True) for thing in node.view.things(fact.rid))
    findings, _ = rules_of(node, node.other_side, fact)
    return Why(
        kind="received", rid=fact.rid, number=fact.number, state=state_of(node, fact), area=fact.area,
        article=fact.article, findings=findings, gate=(), objects=objects,
        answers=tuple(answer.outcome for answer in fact.answers), approved_by=(),
    )  # fmt: skip


def state_of(node: Ledger, fact: ReleaseFact) -> str:
    """The release's state as this node sees it now; `stored` once the partner's cosignature covers a dispatched one."""
    own = any(found is fact for found in node.side.releases[fact.number - 1 : fact.number])
    author = node.side if own else node.other_side
    other = node.other_side if own else node.side
    state = release_state(fact, author.size, other.size)
    if state == "dispatched" and own and fact.idx < node.acknowledged():
        return "stored"
    return state


def digest_of(hashes: list[str]) -> str:
    """SHA-256 over the sorted hex digests, end to end: one figure for a set of objects, the same on both sides."""
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()


def sha256_hex(data: bytes) -> str:
    """The lowercase hex SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()
