"""Rebuild: view.db anew from what is authoritative. It needs blobs and record keys, and no sealing key."""

from collections.abc import Mapping

import msgspec

from entente.account.state import ReleaseFact
from entente.errors import EntenteError
from entente.node.held import read_release, read_source
from entente.node.import_ import Validate, mapper_of, opened
from entente.node.ledger import Ledger
from entente.node.shelves import (
    ORDERS,
    SENT,
    apply_changes,
    import_holding,
    kept_apart,
    project,
    release_holding,
    settle,
)
from entente.strict import parse_as
from entente.treaty.approval import Core
from entente.treaty.area import Area


def rebuild(node: Ledger, areas: Mapping[str, Area], validate: Validate) -> tuple[int, list[tuple[str, str]]]:
    """Every import and every release received and held can be listed and read again, and nothing else.

    Returns: how many places were rebuilt, and (place, reason) of those that cannot be read any more.
    """
    node.view.clear()
    done, lost = 0, []
    for source in node.db.sources():
        area = areas.get(source.area)
        if area is None:
            lost.append((source.id, f"area {source.area} is not built here"))
            continue
        try:
            kept, _ = opened(area, source.format, read_source(node, area, source), [], validate)
            mapper, apart = mapper_of(node, source.map), kept_apart(node, source.id)
            node.view.put_holdings([import_holding(node, area.name, source.id, kept, mapper, apart=apart)])
            done += 1
        except EntenteError as fault:
            lost.append((source.id, fault.detail))
    apply_changes(node)
    for fact in node.other_side.releases if node.trees else ():
        if _is_held(node, fact):
            done += _again(node, _Sealed(fact.rid, fact.area, fact.format, fact.blob, ours=False), validate, lost)
    for draft in node.db.drafts():
        core = parse_as(draft.core, Core, place="draft")
        if node.keys.key(draft.rid) is not None and node.blobs.holds(draft.blob):
            _again(node, _Sealed(draft.rid, core.area, core.format, draft.blob, ours=True), validate, lost)
    node.view.set_number(ORDERS, 0)
    node.view.set_number(SENT, 0)
    settle(node)
    project(node)
    node.view.mark_built()
    return done, lost


class _Sealed(msgspec.Struct, frozen=True):
    """A release whose records rest sealed here."""

    rid: str
    area: str
    format: str
    blob: str
    ours: bool


def _is_held(node: Ledger, fact: ReleaseFact) -> bool:
    row = node.db.inbox_row(node.logs[node.partner], fact.idx)
    return row is not None and row.outcome == "received" and node.keys.key(fact.rid) is not None


def _again(node: Ledger, one: _Sealed, validate: Validate, lost: list[tuple[str, str]]) -> int:
    """1 if the release can be listed and read again; else 0, and why it cannot is told."""
    try:
        secret = node.keys.key(one.rid) or b""
        listing, bodies = read_release(node, one.blob, node.blobs.size(one.blob), secret)
        (found,) = validate(one.format, [bodies])
    except EntenteError as fault:
        lost.append((one.rid, fault.detail))
        return 0
    if isinstance(found, str):
        return 0
    marked = zip(found, [item.marking for item in listing.records], strict=True)
    node.view.put_holdings([release_holding(node, one.area, one.rid, marked, listing.markings, ours=one.ours)])
    return 1
