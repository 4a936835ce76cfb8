"""node.db: registers, notes, drafts, the home journal and the inbox. Authoritative, backed up, without content."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import bindparam, delete, func, insert, literal, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from entente.errors import StateError, StoreError
from entente.register.tiles import TILE_WIDTH, pack, segments, split
from entente.store import tables as t
from entente.store.act_rows import ActRows
from entente.store.feed_rows import FeedRows
from entente.store.journal_rows import JournalRows
from entente.store.sqlite import Row

VERSION = 4
GROWN_FROM = (2, 3)  # versions that lack tables of this one and differ by nothing else
REFUSED = "refused"  # the state of a draft that a person ended, for good
AHEAD = "ahead"  # the kind of note that tells up to where entries rest ahead of a register's head, and their root

_add_log = insert(t.log)
_add_segment = insert(t.segment)
_add_rids = insert(t.rid_index)
_rids = select(t.rid_index.c.data).where(
    t.rid_index.c.place >= bindparam("b_first"), t.rid_index.c.place < bindparam("b_end")
)
_move_head = (
    update(t.log)
    .where(t.log.c.log_id == bindparam("b_log"), t.log.c.size == bindparam("b_old"))
    .values(size=bindparam("b_size"), root=bindparam("b_root"))
)
_read_segments = (
    select(t.segment.c.place, t.segment.c.count, t.segment.c.data)
    .where(t.segment.c.place > bindparam("b_after"), t.segment.c.place < bindparam("b_end"))
    .order_by(t.segment.c.place)
)
_drop_segments = delete(t.segment).where(
    t.segment.c.place >= bindparam("b_first"), t.segment.c.place < bindparam("b_end")
)
_head = select(t.log.c.size, t.log.c.root).where(t.log.c.log_id == bindparam("b_log"))
_log_of = select(t.log.c.log_id).where(t.log.c.origin == bindparam("b_origin"))
_note_upsert = upsert(t.note)
_put_note = _note_upsert.on_conflict_do_update(
    index_elements=["log_id", "kind"],
    set_={name: _note_upsert.excluded[name] for name in ("size", "root", "data")},
    where=_note_upsert.excluded.size >= t.note.c.size,
)
_get_note = select(t.note.c.size, t.note.c.root, t.note.c.data).where(
    t.note.c.log_id == bindparam("b_log"), t.note.c.kind == bindparam("b_kind")
)
_drop_note = delete(t.note).where(t.note.c.log_id == bindparam("b_log"), t.note.c.kind == bindparam("b_kind"))
_put_agreement = insert(t.agreement).prefix_with("OR IGNORE")
_agreements = select(t.agreement.c.data)
_put_draft = insert(t.draft)
_get_draft = select(t.draft).where(t.draft.c.rid == bindparam("b_rid"))
_drafts = select(t.draft).order_by(t.draft.c.at, literal(1))
_drafts_of = select(t.draft).where(t.draft.c.source == bindparam("b_source")).order_by(t.draft.c.at, t.draft.c.rid)
_drafts_named = (
    select(t.draft)
    .where(t.draft.c.rid >= bindparam("b_first"), t.draft.c.rid < bindparam("b_end"))
    .order_by(t.draft.c.rid)
    .limit(bindparam("b_most"))
)
_set_draft = (
    update(t.draft)
    .where(t.draft.c.rid == bindparam("b_rid"), t.draft.c.state != REFUSED)
    .values(state=bindparam("b_state"))
)
_approval_upsert = upsert(t.approval)
_put_approval = _approval_upsert.on_conflict_do_update(
    index_elements=["rid", "by"], set_={"data": _approval_upsert.excluded.data}
)
_drop_approval = delete(t.approval).where(t.approval.c.rid == bindparam("b_rid"), t.approval.c.by == bindparam("b_by"))
_approvals = select(t.approval.c.data).where(t.approval.c.rid == bindparam("b_rid")).order_by(t.approval.c.by)
_add_journal = insert(t.journal)
_journal = (
    select(t.journal.c.data, t.journal.c.at)
    .where(t.journal.c.kind == bindparam("b_kind"), t.journal.c.key == bindparam("b_key"))
    .order_by(t.journal.c.seq)
)
_add_inbox = insert(t.inbox)
_pending = (
    select(t.inbox).where(t.inbox.c.log_id == bindparam("b_log"), t.inbox.c.outcome.is_(None)).order_by(t.inbox.c.idx)
)
_pending_indices = (
    select(t.inbox.c.idx)
    .where(t.inbox.c.log_id == bindparam("b_log"), t.inbox.c.outcome.is_(None))
    .order_by(t.inbox.c.idx)
)
_intents = (
    select(t.inbox.c.idx, t.inbox.c.outcome)
    .where(t.inbox.c.log_id == bindparam("b_log"), t.inbox.c.outcome.is_not(None), t.inbox.c.answered == 0)
    .order_by(t.inbox.c.idx)
)
_inbox_size = select(func.count()).select_from(t.inbox).where(t.inbox.c.log_id == bindparam("b_log"))
_inbox_row = select(t.inbox).where(t.inbox.c.log_id == bindparam("b_log"), t.inbox.c.idx == bindparam("b_idx"))
_set_outcome = (
    update(t.inbox)
    .where(t.inbox.c.log_id == bindparam("b_log"), t.inbox.c.idx == bindparam("b_idx"), t.inbox.c.outcome.is_(None))
    .values(outcome=bindparam("b_outcome"), reason=bindparam("b_reason"))
)
_set_answered = (
    update(t.inbox)
    .where(t.inbox.c.log_id == bindparam("b_log"), t.inbox.c.idx == bindparam("b_idx"))
    .values(answered=1)
)
_put_source = insert(t.source)
_sources = select(t.source).order_by(t.source.c.at)
_get_source = select(t.source).where(t.source.c.id == bindparam("b_id"))
_put_map = insert(t.marking_map).prefix_with("OR IGNORE")
_get_map = select(t.marking_map.c.data, t.marking_map.c.sigs).where(t.marking_map.c.id == bindparam("b_id"))


class DraftRow(msgspec.Struct, frozen=True):
    """A frozen draft: the exact core, who proposed it, where its blob is and which import it came from."""

    rid: str
    state: str
    author: str
    at: str
    core: bytes
    blob: str
    blob_bytes: int
    source: str


class InboxRow(msgspec.Struct, frozen=True):
    """A rank-2 entry of the partner and how far this node is with it."""

    log_id: int
    idx: int
    kind: str
    rid: str
    permit: int
    findings: bytes
    outcome: str | None
    reason: str
    since: str
    answered: int


class SourceRow(msgspec.Struct, frozen=True):
    """One import."""

    id: str
    at: str
    area: str
    format: str
    blob: str
    blob_bytes: int
    count: int
    quarantined: int
    map: str


class NoteRow(msgspec.Struct, frozen=True):
    """A signed note and the head that it states."""

    size: int
    root: str
    data: bytes


class NodeDb(ActRows, FeedRows, JournalRows):
    """The authoritative database of one node."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, t.node, version=VERSION, grown=GROWN_FROM)

    # Registers

    def add_log(self, origin: str, party: str, root: str) -> int:
        """A register exists, empty if it is new; returns its number in this database."""
        row = self.one(_log_of, b_origin=origin)
        if row is None:
            self.run(_add_log, log_id=None, origin=origin, party=party, size=0, root=root)
            row = self.one(_log_of, b_origin=origin)
        if row is None:
            raise StoreError("a register could not be added", place=origin)
        return int(row[0])

    def head(self, log_id: int) -> tuple[int, str]:
        """Size and hex root of a register as committed."""
        row = self.one(_head, b_log=log_id)
        if row is None:
            raise StoreError("no such register", place=str(log_id))
        return int(row[0]), str(row[1])

    def append(
        self, log_id: int, old: int, entries: Sequence[bytes], root: str, rids: Iterable[tuple[str, int]] = ()
    ) -> None:
        """Inside a transaction: entries follow index `old`, and the head moves.

        Raises: StateError if the register is not at `old` any more (the fence); roll back and read again.
        """
        self._put_segments(log_id, old, entries)
        data = b"".join(sorted(bytes.fromhex(rid) + idx.to_bytes(8, "big") for rid, idx in rids))
        if data:
            self.run(_add_rids, place=t.place(log_id, old), data=data)
        self._move_head(log_id, old, old + len(entries), root)

    def _put_segments(self, log_id: int, start: int, entries: Sequence[bytes]) -> None:
        for first, count in segments(start, len(entries)):
            data = pack(entries[first - start : first - start + count])
            self.run(_add_segment, place=t.place(log_id, first), count=count, data=data)

    def _move_head(self, log_id: int, old: int, size: int, root: str) -> None:
        if self.run(_move_head, b_log=log_id, b_old=old, b_size=size, b_root=root) != 1:
            raise StateError("another writer moved the register", remedy="Try again.")

    # Entries that rest ahead of a register's head: proven, but of no effect until the head moves over them

    def ahead(self, log_id: int) -> NoteRow | None:
        """Up to which size entries rest ahead of the head, and the root there; None if none do."""
        note = self.get_note(log_id, AHEAD)
        return note if note is not None and note.size > self.head(log_id)[0] else None

    def put_ahead(self, log_id: int, entries: Sequence[bytes], root: str) -> None:
        """Inside a transaction: entries follow what rests ahead, and give this root; the head does not move."""
        before = self.ahead(log_id)
        start = before.size if before is not None else self.head(log_id)[0]
        self._put_segments(log_id, start, entries)
        self.put_note(log_id, AHEAD, NoteRow(start + len(entries), root, b""))

    def take_ahead(self, log_id: int, last: Sequence[bytes], root: str) -> None:
        """Inside a transaction: the head moves over all that rests ahead, and over the `last` entries after it."""
        before, size = self.ahead(log_id), self.head(log_id)[0]
        start = before.size if before is not None else size
        self._put_segments(log_id, start, last)
        self._move_head(log_id, size, start + len(last), root)

    def drop_ahead(self, log_id: int) -> None:
        """Inside a transaction: nothing rests ahead of the head."""
        first = t.place(log_id, self.head(log_id)[0])
        self.run(_drop_segments, b_first=first, b_end=t.place(log_id + 1, 0))
        self.run(_drop_note, b_log=log_id, b_kind=AHEAD)

    def entries(self, log_id: int, first: int = 0, end: int | None = None) -> list[bytes]:
        """The entries from `first` up to, not including, `end`."""
        stop = self.head(log_id)[0] if end is None else end
        found: list[bytes] = []
        offset, base = None, t.place(log_id, 0)
        after = base + max(first - TILE_WIDTH, -1)
        for where, count, data in self.all(_read_segments, b_after=after, b_end=base + stop):
            offset = where - base if offset is None else offset
            found.extend(split(bytes(data), count))
        return found[max(first - offset, 0) : stop - offset] if offset is not None else []

    def find_rid(self, log_id: int, rid: str) -> int | None:
        """The first index at which a release id stands in a register, without reading its entries."""
        want = bytes.fromhex(rid)
        found = []
        for (data,) in self.all(_rids, b_first=t.place(log_id, 0), b_end=t.place(log_id + 1, 0)):
            rids = [data[at : at + 32] for at in range(0, len(data), 40)]
            place = bisect_left(rids, want)
            if rids[place : place + 1] == [want]:
                found.append(int.from_bytes(data[40 * place + 32 : 40 * place + 40], "big"))
        return min(found, default=None)

    def put_note(self, log_id: int, kind: str, row: NoteRow) -> None:
        """The note of this kind is stored unless a larger one is."""
        self.run(_put_note, log_id=log_id, kind=kind, size=row.size, root=row.root, data=row.data)

    def get_note(self, log_id: int, kind: str) -> NoteRow | None:
        """The latest note of this kind."""
        row = self.one(_get_note, b_log=log_id, b_kind=kind)
        return None if row is None else NoteRow(int(row[0]), str(row[1]), bytes(row[2]))

    # Agreements, maps, sources

    def put_agreement(self, name: str, data: bytes) -> None:
        """The exact bytes of an agreement are kept under their hash."""
        self.run(_put_agreement, hash=name, data=data)

    def agreements(self) -> list[bytes]:
        """The exact bytes of every agreement."""
        return [bytes(row[0]) for row in self.all(_agreements)]

    def put_map(self, name: str, data: bytes, sigs: bytes) -> None:
        """A signed marking map is kept under its id."""
        self.run(_put_map, id=name, data=data, sigs=sigs)

    def get_map(self, name: str) -> tuple[bytes, bytes] | None:
        """A marking map's bytes and its signatures."""
        row = self.one(_get_map, b_id=name)
        return None if row is None else (bytes(row[0]), bytes(row[1]))

    def put_source(self, row: SourceRow) -> None:
        """An import is recorded."""
        self.run(_put_source, **msgspec.structs.asdict(row))

    def sources(self) -> list[SourceRow]:
        """Every import, oldest first."""
        return [SourceRow(*row) for row in self.all(_sources)]

    def source(self, name: str) -> SourceRow | None:
        """One import."""
        row = self.one(_get_source, b_id=name)
        return None if row is None else SourceRow(*row)

    # Drafts and approvals

    def put_draft(self, row: DraftRow) -> None:
        """A frozen draft is kept."""
        self.run(_put_draft, **msgspec.structs.asdict(row))

    def draft(self, rid: str) -> DraftRow | None:
        """One draft."""
        row = self.one(_get_draft, b_rid=rid)
        return None if row is None else _draft_row(row)

    def drafts(self) -> list[DraftRow]:
        """Every draft, oldest first."""
        return [_draft_row(row) for row in self.all(_drafts)]

    def drafts_of(self, source: str) -> list[DraftRow]:
        """Every draft drawn from an import, oldest first."""
        return [_draft_row(row) for row in self.all(_drafts_of, b_source=source)]

    def drafts_named(self, start: str, most: int = 2) -> list[DraftRow]:
        """The first drafts whose id begins like this."""
        return [_draft_row(row) for row in self.all(_drafts_named, b_first=start, b_end=f"{start}g", b_most=most)]

    def set_draft(self, rid: str, state: str) -> None:
        """The draft has this state, unless a person refused it: that is final."""
        self.run(_set_draft, b_rid=rid, b_state=state)

    def put_approval(self, rid: str, by: str, data: bytes) -> None:
        """The person's approval stands; a newer one takes the place of an older."""
        self.run(_put_approval, rid=rid, by=by, data=data)

    def drop_approval(self, rid: str, by: str) -> None:
        """The person's approval of this draft is gone."""
        self.run(_drop_approval, b_rid=rid, b_by=by)

    def approvals(self, rid: str) -> list[bytes]:
        """The approvals of a draft, sorted by handle."""
        return [bytes(row[0]) for row in self.all(_approvals, b_rid=rid)]

    # The home journal

    def journal(self, at: str, kind: str, key: str, data: bytes) -> None:
        """One line more in the home journal."""
        self.run(_add_journal, seq=None, at=at, kind=kind, key=key, data=data)

    def journal_of(self, kind: str, key: str) -> list[bytes]:
        """The lines of this kind under this key, oldest first."""
        return [bytes(row[0]) for row in self.all(_journal, b_kind=kind, b_key=key)]

    # The inbox

    def add_inbox(self, row: InboxRow) -> None:
        """A rank-2 entry of the partner waits to be processed and answered."""
        self.run(_add_inbox, **msgspec.structs.asdict(row))

    def inbox_size(self, log_id: int) -> int:
        """How many rank-2 entries of the partner have a row; they stand in the order of the register."""
        row = self.one(_inbox_size, b_log=log_id)
        return int(row[0]) if row else 0

    def pending(self, log_id: int) -> list[InboxRow]:
        """Entries without an outcome, in order."""
        return [_inbox(row) for row in self.all(_pending, b_log=log_id)]

    def pending_indices(self, log_id: int) -> list[int]:
        """The indices of entries without an outcome, in order."""
        return [int(row[0]) for row in self.all(_pending_indices, b_log=log_id)]

    def intents(self, log_id: int) -> list[tuple[int, str]]:
        """(index, outcome) of what has an outcome and is not answered yet."""
        return [(int(row[0]), str(row[1])) for row in self.all(_intents, b_log=log_id)]

    def inbox_row(self, log_id: int, idx: int) -> InboxRow | None:
        """One entry of the inbox."""
        row = self.one(_inbox_row, b_log=log_id, b_idx=idx)
        return None if row is None else _inbox(row)

    def set_outcome(self, log_id: int, idx: int, outcome: str, reason: str) -> None:
        """The entry's outcome is decided; the first one stands."""
        self.run(_set_outcome, b_log=log_id, b_idx=idx, b_outcome=outcome, b_reason=reason)

    def set_answered(self, log_id: int, indices: Iterable[int]) -> None:
        """The partner's entries are answered in our register."""
        for idx in indices:
            self.run(_set_answered, b_log=log_id, b_idx=idx)


def _draft_row(row: Row) -> DraftRow:
    return DraftRow(row[0], row[1], row[2], row[3], bytes(row[4]), row[5], row[6], row[7])


def _inbox(row: Row) -> InboxRow:
    return InboxRow(row[0], row[1], row[2], row[3], row[4], bytes(row[5]), row[6], row[7], row[8], row[9])
