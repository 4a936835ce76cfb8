"""Rebuild: view.db anew from what is authoritative. It needs blobs and record keys, and no sealing key."""

from collections.abc import Mapping

from entente.account.state import ReleaseFact
from entente.errors import EntenteError
from entente.node.held import read_release, read_source
from entente.node.import_ import Validate, opened
from entente.node.ledger import Ledger
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
            node.view.put_holding(source.id, [(record, 0) for record in kept], [])
            done += 1
        except EntenteError as fault:
            lost.append((source.id, fault.detail))
    for fact in node.other_side.releases if node.trees else ():
        if _is_held(node, fact):
            try:
                _read_again(node, fact, validate)
                done += 1
            except EntenteError as fault:
                lost.append((fact.rid, fault.detail))
    node.view.mark_built()
    return done, lost


def _is_held(node: Ledger, fact: ReleaseFact) -> bool:
    row = node.db.inbox_row(node.logs[node.partner], fact.idx)
    return row is not None and row.outcome == "received" and node.keys.key(fact.rid) is not None


def _read_again(node: Ledger, fact: ReleaseFact, validate: Validate) -> None:
    secret = node.keys.key(fact.rid) or b""
    listing, bodies = read_release(node, fact.blob, node.blobs.size(fact.blob), secret)
    (found,) = validate(fact.format, [bodies])
    if not isinstance(found, str):
        marks = [item.marking for item in listing.records]
        node.view.put_holding(fact.rid, zip(found, marks, strict=True), listing.markings)
