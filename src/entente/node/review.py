"""Review: a draft as its approvers must see it, object by object: source bytes beside the bytes that would cross.

The outgoing bytes are read from the sealed blob itself. What persons sign is the rid; the rid is D of the core, the
core names the root over the list of records, and the list names each record's digest: every step is computed again
here. One page opens the sealed chunks (1 MiB each) in which its objects lie, and no others.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from entente.crossing import payload
from entente.crossing.references import names_withheld_type
from entente.crossing.seal import Unsealed
from entente.errors import StateError, VerificationError
from entente.node.approve import draft_of
from entente.node.held import window
from entente.node.ledger import Ledger
from entente.node.shelves import rank_of
from entente.node.why import sha256_hex
from entente.store.node_db import DraftRow
from entente.store.thing_rows import Resting
from entente.strict import parse_as, read_own
from entente.treaty.approval import Core
from entente.treaty.area import Area
from entente.treaty.marking import Marking
from entente.treaty.record import LONG, Record

MOST_MENTIONS = 100  # in one object: more are not underlined


class Mention(msgspec.Struct, frozen=True):
    """Prose that points at a withheld object: the bytes from `start` to `end` of what would cross."""

    start: int
    end: int
    text: str


class Reviewed(msgspec.Struct, frozen=True):
    """One object, crossing or not. `rank` is the least clearance that may read it.

    `source` are its bytes in the import and `outgoing` those that cross, both empty where they are longer than 1 MiB;
    `source_sha256` is empty where the import has no such row any more. `stripped` counts properties that granular
    markings kept back. `refers` are the withheld objects it names, `named_by` those that name it, by id.
    """

    number: int
    id: str
    type: str
    title: str
    version: str
    crosses: bool
    rank: int
    sha256: str
    size: int
    outgoing: bytes = b""
    source: bytes = b""
    source_sha256: str = ""
    media: str = ""
    marking: Marking | None = None
    stripped: int = 0
    rule: str = ""
    article: str = ""
    mentions: tuple[Mention, ...] = ()
    refers: tuple[str, ...] = ()
    named_by: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether something else crosses than what was imported."""
        return self.crosses and self.sha256 != self.source_sha256 != ""


class Refused(msgspec.Struct, frozen=True):
    """A line of the home journal about an object that stays."""

    sha256: str
    rule: str
    article: str


class Prepared(msgspec.Struct, frozen=True):
    """What all pages of one draft share. It changes only when the import or the draft is destroyed: keep it by rid."""

    draft: DraftRow
    core: Core
    listing: payload.Listing
    starts: tuple[int, ...]
    refused: tuple[Refused, ...]
    redacted: dict[str, int]
    resting: dict[str, Resting]  # by digest, of what stays
    names: dict[str, tuple[str, ...]]  # by digest, of what stays: the withheld objects that it names
    named_by: dict[str, tuple[str, ...]]  # by withheld id: what names it
    pattern: re.Pattern[bytes] | None
    highest: int


class Review(msgspec.Struct, frozen=True):
    """One page of a draft: so many objects cross and so many stay, by rule and article, and these are some of them.

    Objects are numbered through: first what crosses, in the order of the payload, then what stays.
    """

    rid: str
    state: str
    author: str
    at: str
    area: str
    article: str
    format: str
    view: str
    marking: Marking
    rank: int
    crosses: int
    stays: int
    rules: tuple[tuple[str, str, int], ...]
    first: int
    objects: tuple[Reviewed, ...]


def prepare(node: Ledger, areas: Mapping[str, Area], rid: str) -> Prepared:
    """What the pages share, once for a draft: its list opened and proved, and every object that stays read.

    Takes time by the number of its objects, so whoever shows several pages keeps it.
    Raises: UsageError for an unknown draft; StateError if its key is gone; VerificationError if what rests sealed is
    not what approvals commit to.
    """
    draft = draft_of(node, rid)
    core = parse_as(draft.core, Core, place="draft")
    if core.rid != draft.rid:
        raise VerificationError("the core is not the one that approvals sign", place=draft.rid[:16])
    listing, head = _listing(node, draft, core)
    starts, at = [], head
    for item in listing.records:
        starts.append(at)
        at += item.size
    refused = tuple(line for data in node.db.journal_of("refused", draft.rid) for line in read_own(data, list[Refused]))
    lines = node.db.journal_of("redacted", draft.rid)
    resting = node.view.with_digests(draft.source, {line.sha256 for line in refused})
    withheld = _records(node, areas[core.area], core.format, resting.values())
    ids = {record.id for record in withheld.values()}
    ids -= {row.id for row in node.view.with_ids(draft.rid, ids)}  # of which another version crosses
    types = {row.type: row.article for row in node.laws[core.agreement].law.areas[core.area].withhold or ()}
    names = {
        digest: tuple(name for name in record.names if name in ids or names_withheld_type(name, types))
        for digest, record in withheld.items()
    }
    return Prepared(
        draft=draft, core=core, listing=listing, starts=tuple(starts), refused=refused,
        redacted=read_own(lines[-1], dict[str, int]) if lines else {}, resting=resting, names=names,
        named_by=_turned(withheld, names), pattern=areas[core.area].mention_pattern(withheld.values()),
        highest=node.view.highest(draft.source),
    )  # fmt: skip


def _listing(node: Ledger, draft: DraftRow, core: Core) -> tuple[payload.Listing, int]:
    """The list of a sealed payload, proved against the core, and where the first record begins."""
    secret, rest = _rest(node, draft)
    length = int.from_bytes(b"".join(rest.read(0, 8)), "big")
    if length > min(payload.MAX_LIST, core.bytes_padded):
        raise VerificationError("the sealed bytes hold no list", place=draft.rid[:16])
    listing = parse_as(b"".join(rest.read(8, 8 + length)), payload.Listing, place="payload list")
    if payload.commit(secret[32:], listing) != core.records:
        raise VerificationError("the sealed list is not the one that approvals commit to", place=draft.rid[:16])
    return listing, 8 + length


def _rest(node: Ledger, draft: DraftRow) -> tuple[bytes, Unsealed]:
    secret = node.keys.key(draft.rid)
    if secret is None or not node.blobs.holds(draft.blob):
        raise StateError(
            "what it would send is not here any more", place=draft.rid[:16], remedy="Propose it again from its import."
        )
    return secret, window(node.blobs, draft.blob, draft.blob_bytes, secret[:32])


def _records(node: Ledger, area: Area, form: str, rows: Iterable[Resting]) -> dict[str, Record]:
    """By digest, the records that stay; none of a format that only a child process opens."""
    found = {}
    for row in rows if form not in area.opens else ():
        body = _source(node, row)
        record = area.read(form, body) if body else ""
        if isinstance(record, Record):
            found[row.sha256] = record
    return found


def _turned(withheld: Mapping[str, Record], names: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for digest, named in names.items():
        for name in named:
            found.setdefault(name, {})[withheld[digest].id] = None
    return {name: tuple(by) for name, by in found.items()}


def review(
    node: Ledger,
    areas: Mapping[str, Area],
    rid: str,
    *,
    first: int = 0,
    most: int = 50,
    prepared: Prepared | None = None,
) -> Review:
    """One page of a draft, or of a release of ours that is still held: `most` objects from number `first` on.

    Raises: as `prepare`; VerificationError if the bytes of an object are not those that approvals commit to.
    """
    with_all = prepared or prepare(node, areas, rid)
    draft = draft_of(node, with_all.draft.rid)
    core, crosses = with_all.core, len(with_all.listing.records)
    rules: dict[tuple[str, str], int] = {}
    for line in with_all.refused:
        rules[line.rule, line.article] = rules.get((line.rule, line.article), 0) + 1
    numbers = range(max(first, 0), min(max(first, 0) + most, crosses + len(with_all.refused)))
    return Review(
        rid=draft.rid, state=draft.state, author=draft.author, at=draft.at, area=core.area, article=core.article,
        format=core.format, view=core.view, marking=core.marking, crosses=crosses, stays=len(with_all.refused),
        rank=rank_of(node.law.law, node.party, core.marking, node.party), first=numbers.start,
        rules=tuple((rule, article, count) for (rule, article), count in rules.items()),
        objects=reviewed(node, areas, with_all, numbers),
    )  # fmt: skip


def reviewed(node: Ledger, areas: Mapping[str, Area], shared: Prepared, numbers: Iterable[int]) -> tuple[Reviewed, ...]:
    """The objects of a draft with these numbers: those that cross, then those that stay.

    Raises: VerificationError if the bytes of one are not those that approvals commit to.
    """
    crosses = len(shared.listing.records)
    wanted = list(numbers)
    going = [number for number in wanted if number < crosses]
    staying = [number for number in wanted if number >= crosses]
    area = areas[shared.core.area]
    return (*_crossing(node, area, shared, going), *_staying(node, shared, staying))


def _crossing(node: Ledger, area: Area, shared: Prepared, numbers: Sequence[int]) -> list[Reviewed]:
    if not numbers:
        return []
    draft, found = shared.draft, []
    _, rest = _rest(node, draft)
    for number in numbers:
        item = shared.listing.records[number]
        body = _body(rest, shared, number)
        row = node.view.resting(draft.rid, number)
        row = row if row is not None and row.sha256 == item.sha256 else None
        name, kind, title, version = _named(row, item.sha256)
        source = _source_row(node, area, draft, item.sha256, row)
        found.append(
            Reviewed(
                number=number,
                id=name,
                type=kind,
                title=title,
                version=version,
                crosses=True,
                rank=row.rank if row else shared.highest,
                sha256=item.sha256,
                size=item.size,
                outgoing=body,
                source=_source(node, source),
                source_sha256=source.sha256 if source else "",
                media=item.media,
                marking=shared.listing.markings[item.marking],
                stripped=shared.redacted.get(item.sha256, 0),
                mentions=_mentions(shared.pattern, body),
            )
        )
    return found


def _named(row: Resting | None, sha256: str) -> tuple[str, str, str, str]:
    """What people know an object by: id, type, title and version; its digest alone where view.db has no row of it."""
    return (row.id, row.type, row.title, row.version) if row is not None else (sha256, "", "", "")


def _body(rest: Unsealed, shared: Prepared, number: int) -> bytes:
    """The bytes of one record from the sealed payload, as its line in the list says; empty where they are long."""
    item, start = shared.listing.records[number], shared.starts[number]
    if item.size > LONG:
        return b""
    body = b"".join(rest.read(start, start + item.size))
    if sha256_hex(body) != item.sha256:
        raise VerificationError(f"record {number} is not the one that approvals commit to", place=shared.draft.rid[:16])
    return body


def _source_row(node: Ledger, area: Area, draft: DraftRow, sha256: str, row: Resting | None) -> Resting | None:
    """The object of the import that a crossing one was made from: the same bytes, or else the same id and version."""
    same = node.view.with_digest(draft.source, sha256)
    if same is not None or row is None:
        return same
    order = area.order(row.version)
    number = node.view.number_of(draft.source, row.id, order)
    return None if number is None else node.view.resting(draft.source, number)


def _source(node: Ledger, row: Resting | None) -> bytes:
    """The bytes of an object as it was imported; empty where they are long."""
    if row is None or row.size > LONG:
        return b""
    body = node.view.body(row.place, row.number)
    if sha256_hex(body) != row.sha256:
        raise VerificationError("view.db holds other bytes than were imported", place=row.place)
    return body


def _mentions(pattern: re.Pattern[bytes] | None, body: bytes) -> tuple[Mention, ...]:
    found = []
    for match in pattern.finditer(body) if pattern is not None else ():
        found.append(Mention(match.start(), match.end(), match[0].decode(errors="replace")))
        if len(found) == MOST_MENTIONS:
            break
    return tuple(found)


def _staying(node: Ledger, shared: Prepared, numbers: Sequence[int]) -> list[Reviewed]:
    found = []
    for number in numbers:
        line = shared.refused[number - len(shared.listing.records)]
        row = shared.resting.get(line.sha256)
        name, kind, title, version = _named(row, line.sha256)
        found.append(
            Reviewed(
                number=number,
                id=name,
                type=kind,
                title=title,
                version=version,
                crosses=False,
                rank=row.rank if row else shared.highest,
                sha256=line.sha256,
                size=row.size if row else 0,
                source=_source(node, row),
                source_sha256=row.sha256 if row else "",
                rule=line.rule,
                article=line.article,
                refers=shared.names.get(line.sha256, ()),
                named_by=shared.named_by.get(name, ()),
            )
        )
    return found


def mentioning(node: Ledger, shared: Prepared) -> tuple[int, ...]:
    """The numbers of the crossing objects whose prose points at a withheld one. It reads the whole payload: keep it."""
    if shared.pattern is None:
        return ()
    _, rest = _rest(node, shared.draft)
    return tuple(
        number for number in range(len(shared.starts)) if shared.pattern.search(_body(rest, shared, number)) is not None
    )
