"""TAXII 2.1 on paper: media types, filters, the cursor of a page, times and resources. No server, no store.

Source: TAXII 2.1 (OASIS Standard), 1.6.8 content negotiation, 3.4 filtering and pagination, 3.5 errors, 4 and 5.
"""

import base64
import binascii
import hashlib
import hmac
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from entente.areas.intelligence import rules
from entente.areas.intelligence.stix import MEDIA
from entente.errors import EntenteError, UsageError
from entente.store.shelf_pages import ALL, FIRST, LAST, Listed, Page, Wanted
from entente.store.shelf_rows import stamp_of, time_of
from entente.strict import canonical

TAXII = "application/taxii+json;version=2.1"
MAX_BODY = 64 << 20
MAX_LIMIT = 1000
MAX_NAMED = 1000  # ids, types or versions that one filter may name
MATCHES = ("id", "type", "version", "spec_version")
_LIMIT = re.compile(r"0*([1-9][0-9]*)")
_SPEC = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
_MAC = 16
_encode = msgspec.json.encode
Query = Sequence[tuple[str, str]]


class MediaError(EntenteError):
    """None of the media types that the request accepts is one that this server has."""

    code = "not_acceptable"
    status = 406
    title = "Not acceptable"


class BodyTypeError(EntenteError):
    """The body is of a media type or an encoding that is not taken here."""

    code = "media_type"
    status = 415
    title = "Unsupported media type"


class TooLargeError(EntenteError):
    """The body is longer than is taken at once; send it in parts."""

    code = "too_large"
    status = 413
    title = "Too large"


class MissingError(EntenteError):
    """There is nothing of this name, or nothing that this person may know of: the two look the same."""

    code = "missing"
    status = 404
    title = "Not found"


class DeniedError(EntenteError):
    """The collection is there, and this person may not do that with it."""

    code = "denied"
    status = 403
    title = "Not permitted"


# Media types


def check_accept(header: str | None) -> None:
    """Raise MediaError unless a TAXII 2.1 answer is acceptable; without a header anything is."""
    if header is None or any(_is_taxii(part, wild=True) for part in header.split(",")):
        return
    raise MediaError("this server answers in TAXII 2.1", place="Accept", remedy=f"Accept: {TAXII}")


def check_body_type(content_type: str | None, encoding: str | None) -> None:
    """Raise BodyTypeError unless a body is TAXII 2.1, as it is: a packed one could unpack to anything."""
    if content_type is None or not _is_taxii(content_type, wild=False):
        raise BodyTypeError("a body must be TAXII 2.1", place="Content-Type", remedy=f"Content-Type: {TAXII}")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise BodyTypeError("a body must come unpacked", place="Content-Encoding", remedy="Send it without.")


def _is_taxii(text: str, *, wild: bool) -> bool:
    kind, *parameters = (part.strip().lower() for part in text.split(";"))
    given = dict(_parameter(part) for part in parameters if part)
    if wild and re.fullmatch(r"0(\.0{0,3})?", given.get("q", "1")):
        return False
    if wild and kind in ("*/*", "application/*"):
        return True
    return kind == "application/taxii+json" and given.get("version", "2.1") == "2.1"


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip().strip('"')


# Filters

_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,30}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_instant(text: str, *, place: str) -> datetime:
    """The instant of an RFC 3339 time, rounded down to a microsecond; UsageError names the parameter otherwise."""
    found = _TIME.fullmatch(text)
    try:
        if found is not None:
            whole = datetime.fromisoformat(found[1].upper() + found[3].upper().replace("Z", "+00:00"))
            return whole.replace(microsecond=int((found[2] or "0")[:6].ljust(6, "0"))).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError("not a time", place=place, remedy="Such as 2026-01-01T00:00:00.000000Z.")


class Filters(msgspec.Struct, frozen=True):
    """What a query asks for. `nothing`: it can match nothing here, such as another version of STIX."""

    limit: int = MAX_LIMIT
    after: int = -1
    next: str = ""
    types: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    stamps: tuple[int, ...] = ()
    nothing: bool = False


def parse_filters(query: Query, matches: Sequence[str], *, paged: bool = True) -> Filters:
    """The filters of a query; those not named in `matches` and, unless `paged`, those of pages are refused.

    Raises: UsageError that names the parameter and what it takes.
    """
    given: dict[str, str] = {}
    for name, value in query:
        if name in given:
            raise UsageError("given twice", place=name, remedy="Give it once; separate several values by commas.")
        known = paged and name in ("limit", "next", "added_after")
        if (name.startswith("match[") and name not in [f"match[{each}]" for each in matches]) or (
            not paged and name in ("limit", "next", "added_after")
        ):
            raise UsageError("not a filter of this endpoint", place=name[:80], remedy=f"It takes {_named(matches)}.")
        if known or name.startswith("match["):
            given[name] = value
    versions, stamps = _versions(given.get("match[version]"))
    return Filters(
        limit=_limit(given.get("limit")),
        after=_after(given.get("added_after")),
        next=given.get("next", ""),
        types=_list(given, "match[type]"),
        ids=_list(given, "match[id]"),
        versions=versions,
        stamps=stamps,
        nothing=not _speaks_21(given),
    )


def _named(matches: Sequence[str]) -> str:
    return ", ".join(f"match[{each}]" for each in matches) or "none"


def _limit(text: str | None) -> int:
    if text is None:
        return MAX_LIMIT
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise UsageError("not a number above 0", place="limit", remedy=f"1 to {MAX_LIMIT}.")
    return min(int(found[1][:9]), MAX_LIMIT)


def _after(text: str | None) -> int:
    """The stamp of a time, rounded down: what is listed within the same microsecond is given again, not left out."""
    if text is None:
        return -1
    return stamp_of(parse_instant(text.replace(" ", "+"), place="added_after"))


def _list(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = given.get(name)
    if text is None:
        return ()
    found = tuple(sorted({part.strip() for part in text.split(",")}))
    if "" in found or len(found) > MAX_NAMED:
        raise UsageError("not a list of values", place=name, remedy=f"1 to {MAX_NAMED}, separated by commas.")
    return found


def _versions(text: str | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Keywords and orders of exact versions, and stamps for what has no version of its own."""
    if text is None:
        return (), ()
    keywords, orders, stamps = set(), set(), set()
    for part in _list({"match[version]": text}, "match[version]"):
        if part in (FIRST, LAST, ALL):
            keywords.add(part)
            continue
        moment = parse_instant(part.replace(" ", "+"), place="match[version]")
        orders.add("".join(rules.instant(part.upper())))
        stamps.add(stamp_of(moment))
    return tuple(sorted(keywords | orders)), tuple(sorted(stamps))


def _speaks_21(given: Mapping[str, str]) -> bool:
    wanted = _list(given, "match[spec_version]")
    for each in wanted:
        if not _SPEC.fullmatch(each):
            raise UsageError("not a version of STIX", place="match[spec_version]", remedy="Such as 2.1.")
    return not wanted or "2.1" in wanted


# The cursor of a page: where it goes on, and a proof that this server wrote it for this reader and these filters


class Cursor(msgspec.Struct, frozen=True):
    """What the `next` of one endpoint is bound to; `scope` says whose, of what, and under which clearance."""

    secret: bytes
    scope: tuple[str, ...]

    def write(self, filters: Filters, position: int) -> str:
        """The text by which a client asks for what follows a stamp."""
        place = position.to_bytes(8)
        return base64.urlsafe_b64encode(place + self._mac(filters, place)).decode().rstrip("=")

    def read(self, filters: Filters) -> int:
        """The stamp after which the page begins; UsageError unless this server wrote `next` for this very question."""
        if not filters.next:
            return -1
        try:
            raw = base64.b64decode(filters.next + "=" * (-len(filters.next) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 8 + _MAC or not hmac.compare_digest(raw[8:], self._mac(filters, raw[:8])):
            raise UsageError(
                "not a `next` of this collection, these filters and this user",
                place="next",
                remedy="Ask again without it; keep all filters while you page.",
            )
        return int.from_bytes(raw[:8])

    def _mac(self, filters: Filters, place: bytes) -> bytes:
        bound = _encode(msgspec.structs.replace(filters, limit=0, next=""))
        scope = _encode(self.scope)
        return hmac.digest(self.secret, hashlib.sha256(scope).digest() + place + bound, "sha256")[:_MAC]


def wanted(shelf: str, rank: int, filters: Filters, position: int) -> Wanted:
    """The filters as a question to a shelf; without match[version], the latest of what the others leave."""
    return Wanted(
        shelf=shelf,
        rank=rank,
        limit=filters.limit,
        after=filters.after,
        position=position,
        types=filters.types,
        ids=filters.ids,
        versions=filters.versions or (LAST,),
        stamps=filters.stamps,
    )


# Resources


def envelope(page: Page, follow: str) -> bytes:
    """An envelope with the objects' exact bytes; `{}` if there are none."""
    return _paged(page, follow, b"objects", [row.data for row in page.rows])


def manifest(page: Page, follow: str) -> bytes:
    """A manifest: id, date added, version and media type of each; `{}` if there are none."""
    return _paged(page, follow, b"objects", [_encode(_manifest_record(row)) for row in page.rows])


def versions(page: Page, follow: str) -> bytes:
    """The versions of one object, as their authors wrote them."""
    return _paged(page, follow, b"versions", [_encode(version_of(row)) for row in page.rows])


def _paged(page: Page, follow: str, name: bytes, items: Iterable[bytes]) -> bytes:
    if not page.rows:
        return b"{}"
    head = b'{"more":true,"next":%s,' % _encode(follow) if page.more else b'{"more":false,'
    return b"".join((head, b'"', name, b'":[', b",".join(items), b"]}"))


def _manifest_record(row: Listed) -> dict[str, str]:
    return {"id": row.id, "date_added": time_of(row.stamp), "version": version_of(row), "media_type": MEDIA}


def version_of(row: Listed) -> str:
    """`modified`, else `created`, as the object says it; else when it was added. Source: TAXII 2.1, 5.3.1."""
    return row.version or time_of(row.stamp)


def added_headers(page: Page) -> dict[str, str]:
    """When the first and the last object of a page were added; nothing for an empty page."""
    if not page.rows:
        return {}
    return {
        "X-TAXII-Date-Added-First": time_of(page.rows[0].stamp),
        "X-TAXII-Date-Added-Last": time_of(page.rows[-1].stamp),
    }


def error_body(fault: EntenteError) -> bytes:
    """A TAXII error: title, description, and the status as a string. Source: TAXII 2.1, 3.6.1."""
    words = ": ".join(part for part in (fault.place, fault.detail) if part)
    return canonical(
        {
            "description": f"{words}. {fault.remedy}".rstrip(". ") + ".",
            "http_status": str(fault.status),
            "title": fault.title,
        }
    )


class Collection(msgspec.Struct, frozen=True):
    """One collection as this node has it: its alias, which of the area's shelves it shows, and what may be done."""

    id: str
    alias: str
    kind: str
    title: str
    description: str
    can_write: bool
    can_delete: bool

    def resource(self, *, writes: bool) -> dict[str, object]:
        """The collection resource for someone who may read it."""
        return {
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "alias": self.alias,
            "can_read": True,
            "can_write": self.can_write and writes,
            "media_types": [MEDIA],
        }


def collections(party: str, partner: str, agreement: str) -> tuple[Collection, ...]:
    """The three collections of a node; their ids are the same whenever they are asked for."""
    base = uuid.uuid5(uuid.NAMESPACE_URL, f"entente/{agreement}/{party}")

    def made(kind: str, alias: str, title: str, words: str, *, can_write: bool) -> Collection:
        return Collection(str(uuid.uuid5(base, alias)), alias, kind, title, words, can_write, kind == "own")

    return (
        made("own", "own", f"{party}: own", "What this node holds of its own. Add to it to import.", can_write=True),
        made("from", f"from-{partner}", f"{party}: from {partner}", f"What {partner} released.", can_write=False),
        made(
            "to",
            f"to-{partner}",
            f"{party}: to {partner}",
            f"What crossed to {partner}. Add to it to propose a release; the agreement decides, and persons approve.",
            can_write=True,
        ),
    )
