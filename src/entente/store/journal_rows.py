"""The part of node.db that people ask about afterwards: the home journal by item and by period, imports by name."""

from collections.abc import Iterator

import msgspec
from sqlalchemy import bindparam, select

from entente.store import tables as t
from entente.store.sqlite import Database

_LINE = t.journal.c.seq, t.journal.c.at, t.journal.c.kind, t.journal.c.key, t.journal.c.data
_lines_of = (
    select(*_LINE)
    .where(t.journal.c.kind == bindparam("b_kind"), t.journal.c.key == bindparam("b_key"))
    .order_by(t.journal.c.seq)
)
_lines_between = (
    select(*_LINE)
    .where(
        t.journal.c.kind == bindparam("b_kind"),
        t.journal.c.at >= bindparam("b_since"),
        t.journal.c.at < bindparam("b_until"),
    )
    .order_by(t.journal.c.seq)
)
_sources_named = (
    select(t.source.c.id)
    .where(t.source.c.id >= bindparam("b_first"), t.source.c.id < bindparam("b_end"))
    .order_by(t.source.c.id)
    .limit(2)
)
_rids_in = select(t.draft.c.rid).where(t.draft.c.state == bindparam("b_state")).order_by(t.draft.c.rid)
HERE = "drafted", "checked", "approved", "queued", "refused"  # the states of a draft that has not left
_draft_heads = select(t.draft.c.rid, t.draft.c.state, t.draft.c.at, t.draft.c.source)


class Line(msgspec.Struct, frozen=True):
    """One line of the home journal; `seq` is its number there."""

    seq: int
    at: str
    kind: str
    key: str
    data: bytes


class DraftHead(msgspec.Struct, frozen=True):
    """A draft without its core."""

    rid: str
    state: str
    at: str
    source: str


class JournalRows(Database):
    """Questions only: nothing here writes."""

    def lines_of(self, kind: str, key: str) -> list[Line]:
        """The lines of a kind under a key, oldest first."""
        return [_line(row) for row in self.all(_lines_of, b_kind=kind, b_key=key)]

    def lines_between(self, kind: str, since: str, until: str) -> Iterator[Line]:
        """The lines of a kind from `since` up to, not including, `until`, oldest first."""
        for row in self.each(_lines_between, b_kind=kind, b_since=since, b_until=until):
            yield _line(row)

    def sources_named(self, start: str) -> list[str]:
        """The ids of the first two imports that begin like this."""
        return [str(row[0]) for row in self.all(_sources_named, b_first=start, b_end=f"{start}g")]

    def rids_in(self, state: str) -> list[str]:
        """The ids of the drafts in this state, sorted."""
        return [str(row[0]) for row in self.all(_rids_in, b_state=state)]

    def open_rids(self) -> list[str]:
        """The ids of the drafts that have not left; found by an index, however many have."""
        return [rid for state in HERE for rid in self.rids_in(state)]

    def draft_heads(self) -> Iterator[DraftHead]:
        """Every draft, in no order."""
        for row in self.each(_draft_heads):
            yield DraftHead(*row)


def _line(row: tuple[object, ...]) -> Line:
    return Line(int(str(row[0])), str(row[1]), str(row[2]), str(row[3]), row[4] if isinstance(row[4], bytes) else b"")
