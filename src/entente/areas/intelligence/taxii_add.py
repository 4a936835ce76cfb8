"""What a TAXII client adds: imported into this node, or proposed to the partner as a release; and what it deletes.

A POST to `own` is an import like any other: every object is judged alone, and what is no STIX is set aside with its
reason. A POST to `to-...` is an import and a proposal: the agreement decides each object, and persons, or a standing
approval, approve the rest. Adding the same again changes nothing.
"""

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from entente.areas.intelligence import bundle, rules, stix
from entente.areas.intelligence.taxii import Filters, MissingError
from entente.errors import RefusedError, UsageError
from entente.node.import_ import Imported
from entente.node.map import latest_map
from entente.node.node import Node
from entente.node.propose import NOT_YET, NothingCrossesError, Proposal, Wish, check_draft, foreseen
from entente.node.shelves import FROM, OWN, shelf, take_down
from entente.node.standing import Granted, usable
from entente.store.node_db import DraftRow
from entente.store.shelf_pages import ALL, FIRST, LAST
from entente.store.shelf_rows import NOBODY, Listing, stamp_of, time_of
from entente.store.view_db import Thing
from entente.strict import canonical
from entente.treaty.request import Decision
from entente.web.door import Door
from entente.web.signin import Visitor

FORMAT = "stix-2.1"
JOURNAL = "taxii"


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one object. Source: TAXII 2.1, 4.3.1 status details."""

    id: str
    version: str
    message: str = ""


def add(door: Door, area: str, kind: str, visitor: Visitor, body: bytes) -> bytes:
    """The objects of an envelope are in the collection, or proposed; returns the status resource.

    Raises: FormatError if the envelope cannot be read: nothing was taken in then; BusyError, StoreError.
    """
    data = bundle.from_envelope(body, place="the envelope")
    handle = visitor.handle
    with door.using(news=kind != OWN) as node:
        adding = _Adding(node, area, visitor)
        place = adding.run(kind, data) if data else ""
        status = _status(adding.good, adding.bad)
        name = status["id"]
        with node.view.transaction():
            made = msgspec.json.encode(status)
            node.view.put_status(str(name), handle, shelf(area, kind), place, made)
        with node.db.transaction():
            counts = {"bad": len(adding.bad), "good": len(adding.good), "kind": kind, "source": place}
            node.db.journal(node.now(), JOURNAL, handle, canonical(counts))
    return made


class _Adding:
    """One act of adding, while the node is ours."""

    def __init__(self, node: Node, area: str, visitor: Visitor) -> None:
        self.node, self.area, self.visitor = node, area, visitor
        self.now = time_of(stamp_of(datetime.now(UTC)))
        self.good: list[Outcome] = []
        self.bad: list[Outcome] = []

    def run(self, kind: str, data: bytes) -> str:
        """The bundle is imported, and proposed unless it is for ourselves; returns the import's id."""
        name, reads = latest_map(self.node, self.area), self.visitor.rank
        done = self.node.import_file(self.area, data, place="the envelope", map_id=name, reads=reads)
        self.bad += [Outcome(*_named(each.data, self.now), each.reason) for each in done.quarantined]
        things = self._taken(data, done)
        if kind == OWN:
            self.good += [self._told(one, "") for one in things]
        elif things:
            self._propose(done.source, things)
        return done.source

    def _taken(self, data: bytes, done: Imported) -> list[Thing]:
        """What was taken in, now or when the same was added before, each as often as the envelope holds it."""
        bad = {each.sha256 for each in done.quarantined}
        known = {one.sha256: one for one in self.node.view.things(done.source) if one.sha256 not in bad}
        things: list[Thing] = []
        for each in bundle.members(data, place="the envelope"):
            digest = hashlib.sha256(each).hexdigest()
            if digest in known:
                things.append(known[digest])
            elif digest not in bad:
                words = "set aside when the same envelope was added before: add it in another"
                self.bad.append(Outcome(*_named(each, self.now), words))
        return things

    def _told(self, one: Thing, words: str) -> Outcome:
        return Outcome(one.id, one.version or self.now, words)

    def _propose(self, source: str, things: Sequence[Thing]) -> None:
        """What is drafted as a release is good; what the agreement refuses is not, each object with its article."""
        known = [row for row in self.node.db.drafts_of(source) if self.node.keys.key(row.rid) is not None]
        if known:
            self._again(known, things)
            return
        try:
            made = self._best(source)
        except NothingCrossesError as fault:
            reasons = {each.sha256: f"{each.reason} (Art. {each.article})" for each in fault.refusals}
            self.bad += [self._told(one, reasons.get(one.sha256, "refused")) for one in things]
            return
        except (RefusedError, UsageError) as fault:
            self.bad += [self._told(one, f"{fault.detail} {fault.place}".strip()) for one in things]
            return
        reasons = {record.sha256: f"{why.reason} (Art. {why.article})" for record, why in made.refused}
        words = _refused(made.decision, made.gate)
        if made.state == "drafted" and words:
            self.bad += [self._told(one, reasons.get(one.sha256, words)) for one in things]
        elif made.state == "approved":
            when = self.node.queue([made.rid])
            words = f"in release {made.rid[:16]}, under a standing approval; leaves at {when}"
            self._split(things, made.rid, words, reasons)
        else:
            self._split(things, made.rid, f"in draft {made.rid[:16]}, which persons must approve", reasons)

    def _again(self, known: Sequence[DraftRow], things: Sequence[Thing]) -> None:
        """What was added before is in the draft it was in then, and a draft that stands refused is not made anew."""
        row = next((row for row in reversed(known) if row.state != "drafted"), known[-1])
        state = row.state
        if state == "drafted":
            words = _refused(*check_draft(self.node, row, skip=NOT_YET))
            if words:
                self.bad += [self._told(one, words) for one in things]
                return
            state = "persons must approve it"
        self._split(things, row.rid, f"in release {row.rid[:16]}: {state}", {})

    def _split(self, things: Iterable[Thing], rid: str, words: str, reasons: Mapping[str, str]) -> None:
        crossing = {(one.id, one.version) for one in self.node.view.things(rid)}
        for one in things:
            if (one.id, one.version) in crossing and one.sha256 not in reasons:
                self.good.append(self._told(one, words))
            else:
                why = reasons.get(one.sha256, "refused when it was first added: `entente why`")
                self.bad.append(self._told(one, why))

    def _best(self, source: str) -> Proposal:
        """The proposal under a standing approval that lets it leave by itself, or else one for persons to approve."""
        parents = self._parents(source)
        for standing in usable(self.node, self.area, FORMAT):
            wish = Wish(self.visitor.handle, view=standing.view, standing=standing.act, parents=parents)
            if self._fits(source, standing, wish):
                made = self.node.propose(source, wish)
                if made.state == "approved":
                    return made
        return self.node.propose(source, Wish(self.visitor.handle, parents=parents))

    def _fits(self, source: str, standing: Granted, wish: Wish) -> bool:
        """Whether what would cross is of the standing approval's class, so that no draft is made for nothing."""
        area, mark = foreseen(self.node, self.node.areas, self.node.validate, source, wish)
        ranks = self.node.law.law.ranks[self.node.party]
        return (
            mark is not None
            and (area, mark.purpose, mark.caveats) == (standing.area, standing.purpose, ())
            and ranks.get(mark.level, NOBODY) <= ranks.get(standing.ceiling, -1)
        )

    def _parents(self, source: str) -> tuple[str, ...]:
        """The partner's releases about whose objects something is said here: what is said derives from them.

        Only of what may be read by who says it: else what becomes of it would tell that it is there.
        """
        about: set[str] = set()
        for number, thing in enumerate(self.node.view.things(source)):
            if thing.type in stix.RETURNS:
                about.update(stix.about(self.node.view.body(source, number)))
        held = (self.node.view.versions(shelf(self.area, FROM), own) for own in sorted(about))
        return tuple(sorted({one.place for versions in held for one in versions if one.rank <= self.visitor.rank}))


def _refused(decision: Decision, gate: Decision) -> str:
    """Why a whole release is refused; empty if it is not."""
    worst = next(iter((*decision.refusals, *gate.refusals)), None)
    if worst is None:
        return ""
    return f"the whole release, by rule {worst.rule}: {worst.observed} (Art. {worst.article})"


def _named(data: object, now: str) -> tuple[str, str]:
    """Id and version of an object that was not taken, as far as they can be read; never what else it says."""
    try:
        found = msgspec.json.decode(data if isinstance(data, bytes) else b"", type=_Named)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        found = _Named()
    own = found.id if rules.IDENTIFIER(found.id) else "unreadable"
    return own, next(filter(rules.is_timestamp, (found.modified, found.created)), now)


class _Named(msgspec.Struct):
    id: str = ""
    modified: str = ""
    created: str = ""


def _status(good: list[Outcome], bad: list[Outcome]) -> dict[str, object]:
    """Source: TAXII 2.1, 4.3."""
    return {
        "id": str(uuid.uuid4()),
        "status": "complete",
        "request_timestamp": time_of(stamp_of(datetime.now(UTC))),
        "total_count": len(good) + len(bad),
        "success_count": len(good),
        "successes": good,
        "failure_count": len(bad),
        "failures": bad,
        "pending_count": 0,
        "pendings": [],
    }


# Deleting


def delete(door: Door, shelf: str, visitor: Visitor, own_id: str, filters: Filters) -> None:
    """The chosen versions stand on the shelf no more; MissingError if this person can see none of the id."""
    with door.using() as node:
        seen = [one for one in node.view.versions(shelf, own_id) if one.rank <= visitor.rank]
        if not seen:
            raise MissingError("no such object", place="objects")
        chosen = [] if filters.nothing else _chosen(seen, filters)
        if chosen:
            take_down(node, shelf, visitor.handle, [(own_id, one.order) for one in chosen], visitor.rank)


def _chosen(seen: list[Listing], filters: Filters) -> list[Listing]:
    if not filters.versions or ALL in filters.versions:
        return seen
    picked = {one.order: one for one in seen if one.order in filters.versions}
    if FIRST in filters.versions:
        picked[seen[0].order] = seen[0]
    if LAST in filters.versions:
        picked[seen[-1].order] = seen[-1]
    for one in seen:
        if not one.order and one.stamp in filters.stamps:
            picked[one.order] = one
    return list(picked.values())
