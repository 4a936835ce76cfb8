"""What can be proposed: the records of an import, or of a release of the partner's, which then goes back to it.

Each record comes with how it is marked. What derives from releases of the partner's is marked no lower than they are
now: the join of its own marking and theirs, in our words.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from entente.account.cascade import carried, current_marking, scale_of
from entente.account.state import ReleaseFact
from entente.errors import StateError, StoreError, UsageError
from entente.node.held import read_release, read_source
from entente.node.import_ import Validate, read_map
from entente.node.ledger import Ledger
from entente.store.node_db import SourceRow
from entente.treaty.agreement import Agreement
from entente.treaty.area import Area
from entente.treaty.marking import Mapper, Marking, join
from entente.treaty.record import Record


class Material(msgspec.Struct, frozen=True):
    """Records that can be proposed: where they rest, their area and format, and how each is marked.

    `mark` gives a record's marking, or the reason why it has none. `ancestors` are the partner's releases that all of
    them derive from; `map` is the marking map that was used, if one was.
    """

    place: str
    area: str
    form: str
    records: list[Record]
    mark: Callable[[Record], Marking | str]
    ancestors: frozenset[str]
    map: str = ""


def find_material(
    node: Ledger, areas: Mapping[str, Area], validate: Validate, name: str, parents: Iterable[str]
) -> Material:
    """What rests under the id of an import, or the id (or its beginning) of a release received.

    Raises: UsageError if nothing does, StateError if it was withdrawn or is not held any more; StoreError if its key
    is gone.
    """
    source = node.db.source(name)
    if source is not None:
        return _imported(node, areas[source.area], source, parents)
    rids = [rid for rid in node.other_side.by_rid if rid.startswith(name)] if len(name) > 7 else []
    if len(rids) != 1:
        raise UsageError(f"no import and no release {name}", remedy="See `entente list imports` and `list releases`.")
    return _returned(node, validate, received(node, rids[0]))


def received(node: Ledger, rid: str) -> ReleaseFact:
    """A release of the partner's that is held here and may be used; StateError if it is not."""
    fact = node.other_side.release(rid)
    if fact is None:
        raise UsageError(f"the partner released nothing with the id {rid[:16]}", remedy="See `entente list releases`.")
    if fact.withdrawn_at(node.other_side.size):
        raise StateError("the partner withdrew this release; it may not be used", place=rid[:16])
    if node.keys.key(rid) is None or not node.blobs.holds(fact.blob):
        raise StateError("this release is not held here", place=rid[:16])
    return fact


def _imported(node: Ledger, area: Area, source: SourceRow, parents: Iterable[str]) -> Material:
    law = node.law.law
    records = read_source(node, area, source)
    mapper = Mapper(read_map(node, source.map), law.ranks[node.party], node.party)
    named = frozenset(parents)
    above = {rid: _in_our_words(node, law, rid) for rid in named.union(*(record.parents for record in records))}

    def mark(record: Record) -> Marking | str:
        own = mapper.mark(record.id, record.author, record.markings, record.granular)
        over = [above[rid] for rid in sorted(named.union(record.parents))]
        if isinstance(own, str) or not over:
            return own
        words = [found for found in over if isinstance(found, str)]
        if words:
            return words[0]
        marks = [own, *(found for found in over if isinstance(found, Marking))]
        return join(marks, law.ranks[node.party], node.party) or "it has no common marking with what it derives from"

    return Material(source.id, source.area, source.format, records, mark, named, source.map)


def _in_our_words(node: Ledger, law: Agreement, rid: str) -> Marking | str:
    """The current marking of a release of the partner's, as something of ours that derives from it must bear it."""
    fact = received(node, rid)
    now = current_marking(node.pair, node.other_side, fact, node.laws)
    word = carried(now.marking.level, scale_of(now.marking, node.partner, law), node.party, law)
    if word is None or not now.known:
        return f"{now.marking.level}, of what it derives from, has no equivalent in our scale"
    return msgspec.structs.replace(now.marking, level=word, originator=node.party)


def _returned(node: Ledger, validate: Validate, fact: ReleaseFact) -> Material:
    """The records of a release as they came, each with the marking it came with, or the release's own if that rose."""
    secret = node.keys.key(fact.rid)
    if secret is None:
        raise StoreError("the key of this release is gone", place=fact.rid[:16])
    listing, bodies = read_release(node, fact.blob, node.blobs.size(fact.blob), secret)
    (found,) = validate(fact.format, [bodies])
    if isinstance(found, str):
        raise StoreError(f"what is held is not valid any more: {found}", place=fact.rid[:16])
    pairs = zip(found, listing.records, strict=True)
    records = [msgspec.structs.replace(record, media=item.media) for record, item in pairs]
    now = current_marking(node.pair, node.other_side, fact, node.laws).marking
    ranks = node.law.law.ranks[scale_of(now, node.partner, node.law.law)]
    places = {
        record.sha256: listing.markings[item.marking] for record, item in zip(found, listing.records, strict=True)
    }

    def mark(record: Record) -> Marking | str:
        return join([places[record.sha256], now], ranks, now.originator) or "it has no common marking with its release"

    return Material(fact.rid, fact.area, fact.format, records, mark, frozenset({fact.rid}))
