"""Feeds: foreign collections polled into quarantine-then-import, and what is ours pushed to tools of our own nation.

The node is open only while something of it is read or written, never while a server is waited for. Each page is one
import, committed with the position behind it: whoever is stopped anywhere goes on where the last page ended.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from uuid import UUID, uuid5

import msgspec

from entente.areas.intelligence import AREA
from entente.areas.intelligence.paging import LIMIT, Position, Step, steps
from entente.areas.intelligence.taxii_client import Added, Collection, Page, add, envelopes, find_collection, read_page
from entente.areas.intelligence.taxii_wire import Credentials, TaxiiError, Wire
from entente.errors import FormatError, StateError, UsageError
from entente.node import feeds
from entente.node.feeds import Sent
from entente.node.import_ import Imported
from entente.node.node import Node
from entente.node.why import digest_of
from entente.store.feed_rows import FeedRow
from entente.strict import encode, read_own
from entente.treaty.record import Record

MOST_SENT = 500  # objects to an envelope
MOST_BYTES = 8 << 20
MOST_ALONE = 50
_FRAME = len('{"objects":[]}')
_BUNDLES = UUID("6f3c3d0e-2d0f-5a35-9d1b-0d3f1c0c8a52")  # names the bundles that pages become; any fixed one would do

Opened = Callable[[], AbstractContextManager[Node]]
Tell = Callable[[str], None]


class Refused(msgspec.Struct, frozen=True):
    """An object that was quarantined alone."""

    place: str
    reason: str


class Polled(msgspec.Struct, frozen=True):
    """What a poll brought: pages, objects new here, objects that were here, those set aside, what could not be read."""

    pages: int = 0
    new: int = 0
    known: int = 0
    quarantined: tuple[Refused, ...] = ()
    passed: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


class Pushed(msgspec.Struct, frozen=True):
    """What a push sent: envelopes and objects, those the other server has, refused, and has not decided on."""

    envelopes: int = 0
    objects: int = 0
    taken: int = 0
    failed: tuple[str, ...] = ()
    pending: int = 0
    sha256: tuple[str, ...] = ()


class Waiting(msgspec.Struct, frozen=True):
    """What a push would send now."""

    imports: int
    objects: int
    sha256: str


def bundle_of(objects: Sequence[bytes]) -> bytes:
    """A STIX bundle of these exact bytes; the same objects make the same bundle."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in objects)).hexdigest()
    head = f'{{"type":"bundle","id":"bundle--{uuid5(_BUNDLES, digest)}","objects":['
    return head.encode() + b",".join(objects) + b"]}"


def add_feed(
    node: Node, row: FeedRow, secret: bytes, *, collection: str = "", make: Callable[..., Wire] = Wire
) -> tuple[FeedRow, Collection]:
    """The feed is known: the server was asked, and the collection is there and open to us.

    Args:
        node: where.
        row: its `url` is a server's, an API root's or a collection's.
        secret: password or token.
        collection: which one, where the URL leaves that open: its id, alias or title.
        make: makes the wire.
    Raises: UsageError, TaxiiError; nothing was kept then.
    """
    with closing(make(row.url, Credentials(row.auth, row.user, secret), ca=row.ca)) as wire:
        found = find_collection(wire, row.url, collection)
    if not found.can_read and not row.push:
        raise UsageError("we may not read this collection", place=found.url)
    if not found.can_write and row.push:
        raise UsageError("we may not write to this collection", place=found.url, remedy="Leave --push out.")
    position = encode(Position())
    return feeds.add_feed(node, msgspec.structs.replace(row, url=found.url, position=position), secret), found


def _wire(node: Node, row: FeedRow, make: Callable[..., Wire]) -> Wire:
    return make(row.url, Credentials(row.auth, row.user, feeds.secret_of(node, row)), ca=row.ca)


# What comes


def poll(
    opened: Opened, name: str, *, anew: bool = False, tell: Tell, limit: int = LIMIT, make: Callable[..., Wire] = Wire
) -> Polled:
    """Everything that was added to the feed's collection since the last poll is imported, or told to be set aside.

    Args:
        opened: opens the node; called once a page.
        name: the feed.
        anew: read the collection from its beginning; what is held already is not taken in twice.
        tell: takes a line for each page.
        limit: objects to a page.
        make: makes the wire.
    Raises: TaxiiError if the server fails; StateError if another poll of this feed goes on. What came stands.
    """
    with opened() as node:
        row = feeds.feed_named(node, name)
        wire = _wire(node, row, make)
    with closing(wire):
        start = Position() if anew else read_own(row.position, Position)

        def ask(after: str, cursor: str, most: int) -> Page:
            return read_page(wire, row.url, after=after, cursor=cursor, limit=most)

        done = Polled()
        for step in steps(ask, start, limit=limit):
            with opened() as node:
                row, got = take(node, row, step)
            done = _sum(done, got)
            tell(_line(done.pages, step, got))
    return done


def take(node: Node, row: FeedRow, step: Step) -> tuple[FeedRow, Polled]:
    """The page's objects are imported, each bad one set aside alone, and the feed stands behind the page.

    Returns: the feed as it is now, and what the page brought.
    Raises: StateError if the feed does not stand where this page was read from; nothing of it was taken in then.
    """
    now = node.db.feed(row.name)
    if now is None or now.position != row.position:
        raise StateError("another poll of this feed went on meanwhile", place=row.name, remedy="Let that one end.")
    objects = feeds.unknown(node, row, step.objects)
    position, passed = encode(step.new), [step.passed] if step.passed else []
    known = len(step.objects) - len(objects)
    if objects:
        after: list[FeedRow] = []

        def along(done: Imported) -> None:
            after.append(
                feeds.moved(row, position, node.now(), new=done.records, bad=len(done.quarantined), skipped=len(passed))
            )
            feeds.commit(node, row, after[-1], done)

        try:
            done = node.import_file(AREA.name, bundle_of(objects), place=row.name, map_id=row.map, along=along)
        except FormatError as fault:
            passed.append(f"a page of {len(objects)} objects cannot be taken in: {fault.detail}")
        else:
            bad = tuple(Refused(item.place, item.reason) for item in done.quarantined)
            return after[-1], Polled(1, done.records, known, bad, tuple(passed), (done.source,))
    new = feeds.moved(row, position, node.now(), skipped=len(passed))
    with node.db.transaction():
        feeds.commit(node, row, new)
    return new, Polled(1, 0, known, (), tuple(passed))


def _sum(one: Polled, other: Polled) -> Polled:
    return Polled(
        one.pages + other.pages,
        one.new + other.new,
        one.known + other.known,
        one.quarantined + other.quarantined,
        one.passed + other.passed,
        one.imports + other.imports,
    )


def _line(page: int, step: Step, got: Polled) -> str:
    if step.passed:
        return f"page {page}: {step.passed}"
    upto = f", added up to {step.upto}" if step.upto else ""
    return f"page {page}: {got.new:,} new, {got.known:,} known, {len(got.quarantined):,} quarantined{upto}"


# What goes


def waiting(node: Node, name: str, since: str = "") -> Waiting:
    """What a push by this feed would send now; UsageError if it was not added for that."""
    row = _pushing(node, name)
    found = {
        hashlib.sha256(data).hexdigest() for source in _sources(node, row, since) for data in _bodies(node, source)
    }
    return Waiting(len(_sources(node, row, since)), len(found), digest_of(list(found)))


def push(opened: Opened, name: str, *, since: str = "", tell: Tell, make: Callable[..., Wire] = Wire) -> Pushed:
    """What is ours and has not left by this feed is offered to its collection, and the home journal says so.

    Args:
        opened: opens the node.
        name: the feed; what came by it does not go back by it.
        since: send again what was imported at or after this time.
        tell: takes a line for each envelope.
        make: makes the wire.
    Raises: UsageError if the feed was not added for that; TaxiiError. What left is journalled, and is not sent again.
    """
    with opened() as node:
        row = _pushing(node, name)
        wire = _wire(node, row, make)
        sources = _sources(node, row, since)
        before = set() if since else {(sent.source, sent.sha256) for sent in feeds.left(node, row)}
    with closing(wire):
        to = find_collection(wire, row.url)
        if not to.can_write:
            raise StateError("we may not write to this collection any more", place=row.url)
        run = _Push(opened, row, wire, to, tell)
        for source in sources:
            run.send(source, {sha256 for known, sha256 in before if known == source})
    return run.done


class _Push:
    """One push on its way."""

    def __init__(self, opened: Opened, row: FeedRow, wire: Wire, to: Collection, tell: Tell) -> None:
        self.opened, self.row, self.wire, self.to, self.tell = opened, row, wire, to, tell
        self.done = Pushed()
        self._seen: set[bytes] = set()
        self._alone = 0  # objects that were refused one by one since one was taken

    def send(self, source: str, before: set[str]) -> None:
        """What is in this import has left, but for the envelopes with these digests, which left before."""
        with self.opened() as node:
            objects = _fresh(_bodies(node, source), self._seen)
        most = max(min(self.to.most_bytes or MOST_BYTES, MOST_BYTES) - _FRAME, 1)
        queue = deque(envelopes(objects, MOST_SENT, most))
        while queue:
            group = queue.popleft()
            sha256 = digest_of([hashlib.sha256(data).hexdigest() for data in group])
            if sha256 not in before and not self._envelope(Sent(len(group), 0, 0, sha256, source), group):
                half = len(group) // 2
                queue.extendleft((group[half:], group[:half]))
        with self.opened() as node:
            feeds.journal_left(node, self.row, Sent(0, 0, 0, "", source))

    def _envelope(self, sent: Sent, group: Sequence[bytes]) -> bool:
        """The envelope left and its outcome is journalled; False if it is to be halved.

        There are servers that refuse a whole envelope for one object.
        """
        with self.opened() as node:
            feeds.journal_leaving(node, self.row, sent)
        try:
            got = add(self.wire, self.to, group)
        except TaxiiError as fault:
            if fault.fault not in ("too large", "refused", "unreadable") or self._alone >= MOST_ALONE:
                raise
            if len(group) > 1:
                return False
            self._alone += 1
            record = AREA.read(AREA.formats[0], group[0])
            name = record.id if isinstance(record, Record) else sent.sha256
            got = Added(0, (f"{name}: {fault.detail}",), 0)
        else:
            self._alone = 0
        sent = msgspec.structs.replace(sent, failed=len(got.failed), pending=got.pending)
        with self.opened() as node:
            feeds.journal_left(node, self.row, sent)
        self.done = _more(self.done, sent, got)
        self.tell(f"sent {sent.count:,}: {got.success:,} taken, {len(got.failed):,} failed, {got.pending:,} pending")
        return True


def feed_url(node: Node, name: str) -> str:
    """The collection of a feed."""
    return feeds.feed_named(node, name).url


def _pushing(node: Node, name: str) -> FeedRow:
    row = feeds.feed_named(node, name)
    if not row.push:
        raise UsageError("this feed is only read", place=name, remedy="Add it again with --push.")
    return row


def _sources(node: Node, row: FeedRow, since: str) -> list[str]:
    """The imports of ours to be sent: what neither came by this feed nor left by it, or all of it since a time."""
    came = feeds.brought(node, row)
    gone = set() if since else {sent.source for sent in feeds.left(node, row) if not sent.count}
    return [
        source.id
        for source in node.db.sources()
        if source.area == AREA.name and source.at >= since and source.id not in came and source.id not in gone
    ]


def _bodies(node: Node, source: str) -> list[bytes]:
    return [data for data in node.view.bodies_on_shelf(source) if data]


def _fresh(objects: Sequence[bytes], seen: set[bytes]) -> list[bytes]:
    """Those not met before."""
    found = []
    for data in objects:
        digest = hashlib.sha256(data).digest()
        if digest not in seen:
            seen.add(digest)
            found.append(data)
    return found


def _more(done: Pushed, sent: Sent, got: Added) -> Pushed:
    return Pushed(
        done.envelopes + 1,
        done.objects + sent.count,
        done.taken + got.success,
        done.failed + got.failed,
        done.pending + got.pending,
        (*done.sha256, sent.sha256),
    )
