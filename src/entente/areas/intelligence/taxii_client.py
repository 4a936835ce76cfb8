"""A strict client of TAXII 2.1: it finds a collection, reads its objects page by page, and adds objects to it.

Objects stay the bytes that came. What servers in the wild get wrong is read as far as it can be understood in one way
only; what follows from it over several pages is in `paging`.
Source: TAXII 2.1 (OASIS Standard), 3.1 to 3.8, 4, 5.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import msgspec

from entente.areas.intelligence import bundle
from entente.areas.intelligence.taxii_wire import Answer, TaxiiError, Wire
from entente.errors import FormatError, UsageError
from entente.strict import parse_foreign

STATUS_S = 60.0  # how long the outcome of an addition is waited for
STATUS_PAUSE_S = 0.5
LONGEST_CURSOR = 8192
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(?:Z|\+00:00)").fullmatch
_STATUS_ID = re.compile(r"[A-Za-z0-9._-]{1,100}").fullmatch
_COLLECTION = re.compile(r"(?P<root>.*/)collections/(?P<id>[^/]+)/(?:objects/)?").fullmatch
_MICROSECOND = 6
_SHOWN = 80
Object = dict[str, Any]


class Collection(msgspec.Struct, frozen=True):
    """A collection of a foreign server: its own URL and its API root's, and what we may do there.

    `most_bytes` is how large an addition may be.
    """

    url: str
    root: str
    id: str
    title: str
    can_read: bool
    can_write: bool
    most_bytes: int


class Page(msgspec.Struct, frozen=True):
    """One page of a collection: the exact bytes of its objects, and how to go on.

    `next` is the server's cursor, `last` the date_added of its last object as the server states it, `clock` what time
    it is there; each empty where the server does not say.
    """

    objects: tuple[bytes, ...]
    more: bool
    next: str
    last: str
    clock: str


class Added(msgspec.Struct, frozen=True):
    """What the server says became of objects sent to it: how many it has, has refused, and has not decided on."""

    success: int
    failed: tuple[str, ...]
    pending: int


# Times


def stamp(text: str) -> str:
    """The time in one form, UTC with as many digits as were stated (at most nine), or "" if it is none."""
    found = _STAMP(text)
    if found is None:
        return ""
    try:
        datetime.fromisoformat(f"{found[1]}+00:00")
    except ValueError:
        return ""
    return f"{found[1]}.{found[2]}Z" if found[2] else f"{found[1]}Z"


def instant(text: str) -> tuple[str, str]:
    """A form of a stamp that orders by time."""
    whole, _, digits = text.removesuffix("Z").partition(".")
    return whole, digits.rstrip("0")


def lowered(text: str) -> str:
    """The latest time that is surely before this stamp, whichever way the server rounded it.

    One unit of its last digit earlier, at least a microsecond: strictly after that is whatever bears the stamp.
    """
    whole, _, digits = text.removesuffix("Z").partition(".")
    digits = digits[:_MICROSECOND]
    moment = datetime.fromisoformat(f"{whole}.{digits:0<6}+00:00")
    unit = timedelta(microseconds=10 ** (_MICROSECOND - len(digits)))
    return written(moment - unit if moment - datetime.min.replace(tzinfo=UTC) >= unit else moment)


def written(moment: datetime) -> str:
    """The time with six digits, as every server reads it."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def before(text: str, seconds: float) -> str:
    """So many seconds earlier."""
    return written(datetime.fromisoformat(f"{text.removesuffix('Z')}+00:00") - timedelta(seconds=seconds))


# Reading documents


def _document(answer: Answer, place: str) -> Object:
    try:
        found = parse_foreign(answer.body, place=place)
    except FormatError as fault:
        raise TaxiiError(_unquoted(fault), "unreadable", place=place, headers=answer.headers) from None
    if not isinstance(found, dict):
        raise TaxiiError("its answer is no JSON object", "unreadable", place=place, headers=answer.headers)
    return found


def _unquoted(fault: Exception) -> str:
    """The kind of fault, without what the server wrote there."""
    return f"its answer is not JSON that all readers read alike ({type(fault).__name__})"


def _text(value: object) -> str:
    """A string of theirs as it may be shown on one line; "" if it is none."""
    return "".join(char for char in value if char.isprintable())[:_SHOWN] if isinstance(value, str) else ""


def _objects(value: object) -> list[Object]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


# Finding a collection


def find_collection(wire: Wire, url: str, wanted: str = "") -> Collection:
    """The collection that a URL is, or that `wanted` (id, alias or title) names at an API root or a server.

    Raises: UsageError if there is none such, or more than one; TaxiiError.
    """
    parts = urlsplit(url)
    path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    url = urlunsplit((parts.scheme, parts.netloc, "/taxii2/" if path == "/" else path, "", ""))
    whole = _COLLECTION(url)
    if whole is not None:
        return _collection(wire, whole["root"], _described(wire, f"{whole['root']}collections/{whole['id']}/"))
    found = [(root, row) for root in _roots(wire, url) for row in _collections(wire, root)]
    fits = [(root, row) for root, row in found if not wanted or wanted in (row.get("id"), row.get("alias"))]
    if not fits:
        fits = [(root, row) for root, row in found if row.get("title") == wanted]
    if len(fits) != 1:
        names = ", ".join(f"{_text(row.get('title'))} ({_text(row.get('id'))})" for _, row in fits or found)
        raise UsageError(
            f"{len(fits)} collections there are meant",
            place=url,
            remedy=f"Give --collection: its id, alias or title. There are: {wire.conceal(names) or 'none'}.",
        )
    return _collection(wire, *fits[0])


def _described(wire: Wire, url: str) -> Object:
    """What the server says of a collection; of one that it cannot describe but opens, that it may be used."""
    try:
        return _document(wire.get(url), url)
    except TaxiiError as fault:
        if fault.fault != "unreadable":
            raise
        read_page(wire, url, limit=1)  # OpenTAXII 0.9.3 has objects and answers 500 to any question about collections
        return {"id": unquote(url.rstrip("/").rpartition("/")[2]), "can_read": True, "can_write": True}


def _roots(wire: Wire, url: str) -> list[str]:
    """The API roots of a discovery document's URL; of an API root's, itself."""
    found = _document(wire.get(url), url)
    named = [item for item in (found.get("default"), *_list(found.get("api_roots"))) if isinstance(item, str)]
    if not named:
        return [url]
    roots = [wire.url(item if item.endswith("/") else f"{item}/", base=url) for item in named]
    return list(dict.fromkeys(roots))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _collections(wire: Wire, root: str) -> list[Object]:
    return _objects(_document(wire.get(f"{root}collections/"), root).get("collections"))


def _collection(wire: Wire, root: str, row: Object) -> Collection:
    name = row.get("id")
    if not isinstance(name, str) or not name:
        raise TaxiiError("a collection without an id", "unfit", place=root)
    try:
        most = _document(wire.get(root), root).get("max_content_length")
    except TaxiiError as fault:
        if fault.fault not in ("denied", "missing"):
            raise
        most = 0  # there are servers that open a collection and not its API root
    return Collection(
        f"{root}collections/{quote(name, safe='')}/",
        root,
        _text(name),
        _text(row.get("title")),
        row.get("can_read") is True,
        row.get("can_write") is True,
        most if isinstance(most, int) and not isinstance(most, bool) and most > 0 else 0,
    )


# Objects


def read_page(wire: Wire, collection: str, *, after: str = "", cursor: str = "", limit: int = 0) -> Page:
    """One page of the objects at a collection's URL.

    Args:
        wire: to its server.
        collection: its URL.
        after: only what was added after this time.
        cursor: `next` of the page before, to be given with the same `after`.
        limit: how many objects at most; the server may give fewer.
    Raises: TaxiiError; `unreadable` or `too large` if this page is what fails, `refused` or `missing` perhaps because
        the cursor is not known any more.
    """
    asked = {"added_after": after, "next": cursor, "limit": str(limit or "")}
    query = urlencode({name: value for name, value in asked.items() if value})
    url = f"{collection}objects/" + (f"?{query}" if query else "")
    return _page(wire.get(url), collection)


def _page(answer: Answer, place: str) -> Page:
    def fault(words: str) -> TaxiiError:
        return TaxiiError(words, "unreadable", place=place, headers=answer.headers)

    try:
        objects, rest = bundle.cut(answer.body)
        frame = parse_foreign(rest)
    except (FormatError, RecursionError, ValueError) as wrong:
        raise fault(_unquoted(wrong)) from None
    if not isinstance(frame, dict) or not isinstance(frame.get("objects"), list | type(None)):
        raise fault("its answer is no envelope")
    if "objects" not in frame and any(isinstance(value, list | dict) for value in frame.values()):
        raise TaxiiError("an envelope whose objects are not under `objects`", "unfit", place=place)
    cursor = frame.get("next")
    cursor = str(cursor) if isinstance(cursor, str | int) and not isinstance(cursor, bool) else ""
    if len(cursor) > LONGEST_CURSOR:
        raise TaxiiError("a cursor that is longer than a URL can be", "unfit", place=place)
    return Page(tuple(objects), frame.get("more") is True, cursor, last_added(answer.headers), _clock(answer))


def last_added(headers: Mapping[str, str]) -> str:
    """The stamp that an answer bears as that of its last object, or ""."""
    return stamp(headers.get("x-taxii-date-added-last", ""))


def _clock(answer: Answer) -> str:
    try:
        return written(parsedate_to_datetime(answer.headers.get("date", "")))
    except (ValueError, TypeError, OverflowError):
        return ""


# Additions


def envelopes(objects: Iterable[bytes], most_objects: int, most_bytes: int) -> Iterator[list[bytes]]:
    """The objects in groups that fit an envelope; one that fits none stands alone."""
    group: list[bytes] = []
    size = 0
    for data in objects:
        if group and (len(group) == most_objects or size + len(data) + 1 > most_bytes):
            yield group
            group, size = [], 0
        group.append(data)
        size += len(data) + 1
    if group:
        yield group


def add(wire: Wire, collection: Collection, objects: Sequence[bytes]) -> Added:
    """The objects are offered to the collection, and their outcome waited for.

    Raises: TaxiiError; `too large` if the server takes fewer at once.
    """
    body = b'{"objects":[' + b",".join(objects) + b"]}"
    place = f"{collection.url}objects/"
    status = _document(wire.post(place, body), place)
    waited = 0.0
    while status.get("status") == "pending" and waited < STATUS_S:
        name = status.get("id")
        if not isinstance(name, str) or not _STATUS_ID(name) or not name.strip("."):
            break
        wire.pause(STATUS_PAUSE_S)
        waited += STATUS_PAUSE_S
        status = _document(wire.get(f"{collection.root}status/{name}/"), place)
    done = _added(status, len(objects))
    return msgspec.structs.replace(done, failed=tuple(map(wire.conceal, done.failed)))


def _added(status: Object, sent: int) -> Added:
    """The outcome by the counts of a status resource, never more than was sent; what it does not count is pending."""
    failed = [_text(item.get("id")) or "an object without id" for item in _objects(status.get("failures"))]
    stated = _count(status.get("failure_count"), sent)
    failed = failed[:sent] + ["an object that it does not name"] * (stated - len(failed))
    success = _count(status.get("success_count"), sent - len(failed))
    return Added(success, tuple(failed), sent - len(failed) - success)


def _count(value: object, most: int) -> int:
    return min(max(value, 0), most) if isinstance(value, int) and not isinstance(value, bool) else 0
