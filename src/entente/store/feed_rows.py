"""The part of node.db about feeds: which foreign servers are read, and up to where each was."""

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from entente.store import tables as t
from entente.store.sqlite import Database, Row

_put_feed = insert(t.feed).prefix_with("OR REPLACE")
_feeds = select(t.feed).order_by(t.feed.c.name)
_feed = select(t.feed).where(t.feed.c.name == bindparam("b_name"))
_drop_feed = delete(t.feed).where(t.feed.c.name == bindparam("b_name"))
_move_feed = (
    update(t.feed)
    .where(t.feed.c.name == bindparam("b_name"), t.feed.c.position == bindparam("b_old"))
    .values(
        position=bindparam("b_position"),
        objects=t.feed.c.objects + bindparam("b_objects"),
        quarantined=t.feed.c.quarantined + bindparam("b_quarantined"),
        skipped=t.feed.c.skipped + bindparam("b_skipped"),
        polled=bindparam("b_polled"),
    )
)


class FeedRow(msgspec.Struct, frozen=True):
    """A collection of a foreign server: where, as whom, by which map it is read, how far, and what came of it so far.

    `auth` is basic, bearer or empty; `ca` what its certificate must be signed by, as PEM (empty: what the system
    trusts).
    """

    name: str
    url: str
    user: str
    auth: str
    ca: str
    map: str
    push: bool
    position: bytes
    objects: int = 0
    quarantined: int = 0
    skipped: int = 0
    polled: str = ""


class FeedRows(Database):
    """The table `feed`."""

    def put_feed(self, row: FeedRow) -> None:
        """The feed is known as this row says."""
        self.run(_put_feed, **msgspec.structs.asdict(row))

    def feeds(self) -> list[FeedRow]:
        """Every feed, by name."""
        return [_row(row) for row in self.all(_feeds)]

    def feed(self, name: str) -> FeedRow | None:
        """One feed."""
        row = self.one(_feed, b_name=name)
        return None if row is None else _row(row)

    def move_feed(self, old: FeedRow, new: FeedRow) -> bool:
        """The feed is read as far as `new` says, and so much more came of it.

        False, and nothing changed, if it is not at `old` any more.
        """
        return (
            self.run(
                _move_feed,
                b_name=old.name,
                b_old=old.position,
                b_position=new.position,
                b_objects=new.objects - old.objects,
                b_quarantined=new.quarantined - old.quarantined,
                b_skipped=new.skipped - old.skipped,
                b_polled=new.polled,
            )
            == 1
        )

    def drop_feed(self, name: str) -> bool:
        """The feed is not known any more; False if it was not."""
        return self.run(_drop_feed, b_name=name) == 1


def _row(row: Row) -> FeedRow:
    return FeedRow(
        row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]), bytes(row[7]), row[8], row[9], row[10], row[11]
    )
