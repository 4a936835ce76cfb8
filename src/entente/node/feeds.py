"""Feeds: which servers of the nation's own are read or written, as whom, and what each has brought and taken.

What a feed brings is an import like any other, quarantined object by object; the position in the feed is committed with
it. What goes out by one stands in the home journal before it leaves. Secrets rest in keys.db and are shown by nothing.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from entente.errors import StateError, UsageError
from entente.node.import_ import Imported, read_map
from entente.node.ledger import Ledger
from entente.store.feed_rows import FeedRow
from entente.strict import canonical, encode, read_own
from entente.treaty.record import Rejected

FED = "fed"  # kinds of journal lines, under the feed: which import a page became,
POISON = "poison"  # which object it was refused before (under the feed and its digest),
PUSH = "push"  # what leaves,
PUSHED = "pushed"  # and what the other server said of it
_KEY = "feed/"  # how a feed's secret is named in keys.db


class Sent(msgspec.Struct, frozen=True):
    """One envelope that leaves: how many objects of which import, the digest of theirs, and what became of them.

    One of no objects says that nothing of the import is left to be sent.
    """

    count: int
    failed: int
    pending: int
    sha256: str
    source: str


def add_feed(node: Ledger, row: FeedRow, secret: bytes) -> FeedRow:
    """The feed is known and its secret rests locked; if it was known, what is new takes the place of the old.

    It goes on where it was, unless its map is another: then it is read from the beginning, for what was taken in by one
    map is not taken in by another.
    Raises: UsageError for a name that is taken by another collection, or a map that is not held here.
    """
    if row.map:
        read_map(node, row.map)
    old = node.db.feed(row.name)
    if old is not None and old.url != row.url:
        raise UsageError(
            "this name is another collection's", place=row.name, remedy=f"Another name, or `feed remove {row.name}`."
        )
    if old is not None:
        counts = {name: getattr(old, name) for name in ("objects", "quarantined", "skipped", "polled")}
        row = msgspec.structs.replace(row, **counts, position=old.position if old.map == row.map else row.position)
    if row.auth:
        node.keys.replace_key(_KEY + row.name, secret)
    else:
        node.keys.destroy(_KEY + row.name)
    node.db.put_feed(row)
    return row


def feed_named(node: Ledger, name: str) -> FeedRow:
    """One feed; UsageError if there is none such."""
    row = node.db.feed(name)
    if row is None:
        raise UsageError(f"no feed {name}", remedy="See `entente intelligence feed list`.")
    return row


def secret_of(node: Ledger, row: FeedRow) -> bytes:
    """The password or token of a feed; StateError if it is not held any more."""
    secret = node.keys.key(_KEY + row.name) if row.auth else b""
    if secret is None:
        raise StateError("its secret is not held here", place=row.name, remedy="Add the feed again.")
    return secret


def remove_feed(node: Ledger, name: str) -> FeedRow:
    """The feed is not known any more, and its secret is in no file of this node; what it brought stays."""
    row = feed_named(node, name)
    node.keys.destroy(_KEY + name)
    node.db.drop_feed(name)
    return row


# What comes


def unknown(node: Ledger, row: FeedRow, objects: Iterable[bytes]) -> list[bytes]:
    """The objects whose very bytes this feed has not brought: neither held by an import under its map nor refused."""
    found = {}
    maps: dict[str, bool] = {}
    for data in objects:
        digest = hashlib.sha256(data).hexdigest()
        if digest in found or node.db.journal_of(POISON, f"{_key(row)} {digest}"):
            continue
        for place in node.view.places_of(digest):
            if place not in maps:
                source = node.db.source(place)
                maps[place] = source is not None and source.map == row.map
        if not any(maps[place] for place in node.view.places_of(digest)):
            found[digest] = data
    return list(found.values())


def moved(row: FeedRow, position: bytes, now: str, *, new: int = 0, bad: int = 0, skipped: int = 0) -> FeedRow:
    """The feed as it is after so much more."""
    return msgspec.structs.replace(
        row,
        position=position,
        objects=row.objects + new,
        quarantined=row.quarantined + bad,
        skipped=row.skipped + skipped,
        polled=now,
    )


def commit(node: Ledger, old: FeedRow, new: FeedRow, done: Imported | None = None) -> None:
    """Inside a transaction: the feed is at `new`, and what was imported on the way is remembered as this feed's.

    Raises: StateError if the feed is not at `old` any more.
    """
    if not node.db.move_feed(old, new):
        raise StateError("another poll of this feed went on meanwhile", place=old.name, remedy="Let that one end.")
    if done is None:
        return
    node.db.journal(new.polled, FED, _key(old), canonical({"source": done.source}))
    for bad in done.quarantined:
        _refuse(node, new, bad)


def _refuse(node: Ledger, row: FeedRow, bad: Rejected) -> None:
    node.db.journal(row.polled, POISON, f"{_key(row)} {bad.sha256}", canonical({"sha256": bad.sha256}))


def _key(row: FeedRow) -> str:
    """A feed by name and collection: what one of the same name and another URL did is another's."""
    return f"{row.name} {row.url}"


# What goes


def brought(node: Ledger, row: FeedRow) -> set[str]:
    """The imports that a feed brought."""
    return {read_own(line, dict[str, str])["source"] for line in node.db.journal_of(FED, _key(row))}


def journal_leaving(node: Ledger, row: FeedRow, sent: Sent) -> None:
    """It stands in the home journal that this is about to leave."""
    node.db.journal(node.now(), PUSH, _key(row), encode(sent))


def journal_left(node: Ledger, row: FeedRow, sent: Sent) -> None:
    """It stands in the home journal what became of it."""
    node.db.journal(node.now(), PUSHED, _key(row), encode(sent))


def left(node: Ledger, row: FeedRow) -> list[Sent]:
    """Every envelope that left by this feed and whose outcome is known, oldest first."""
    return [read_own(line, Sent) for line in node.db.journal_of(PUSHED, _key(row))]
