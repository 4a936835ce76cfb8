"""The TAXII 2.1 server of a node: its own persons' tools read and add here; what crosses, crosses by the core.

Reading asks view.db alone, for the clearance of who reads. Adding goes through the node, in `taxii_add`.
Source: TAXII 2.1 (OASIS Standard), 4 and 5.
"""

import logging
from collections.abc import Awaitable, Callable

import msgspec
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from entente.areas.intelligence import taxii, taxii_add
from entente.areas.intelligence.taxii import Collection, DeniedError, MissingError, TooLargeError
from entente.errors import EntenteError
from entente.node.shelves import shelf
from entente.store.shelf_pages import Page
from entente.web import diary
from entente.web.door import Door
from entente.web.permits import path_of, permits, route
from entente.web.signin import Visitor

AREA = "intelligence"
ROOT = "/taxii2/intelligence/"
ACTING = 4  # threads that wait for the node, or have it; they take none from those who read
_REALM = 'Basic realm="entente", charset="UTF-8"'
_log = logging.getLogger(__name__)
Write = Callable[[Page, str], bytes]


class TaxiiServer:
    """The endpoints of one node."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.collections = taxii.collections(door.party, door.partner, door.agreement)
        self._acting = CapacityLimiter(ACTING)
        self._secret = door.sign_in.access.secret("taxii cursor")

    def routes(self) -> list[BaseRoute]:
        """Every endpoint, with and without a slash at its end: a redirect would lose the body of a POST."""
        root = ROOT.rstrip("/")
        one = f"{root}/collections/{{collection}}"
        ways: list[tuple[str, Callable[[Request, Visitor], Awaitable[Response]], tuple[str, ...]]] = [
            ("/taxii2", self.discovery, ("GET",)),
            (root, self.api_root, ("GET",)),
            (f"{root}/status/{{status}}", self.status, ("GET",)),
            (f"{root}/collections", self.list_collections, ("GET",)),
            (one, self.collection, ("GET",)),
            (f"{one}/manifest", self.manifest, ("GET",)),
            (f"{one}/objects", self.objects, ("GET",)),
            (f"{one}/objects", self.add, ("POST",)),
            (f"{one}/objects/{{object}}", self.object, ("GET",)),
            (f"{one}/objects/{{object}}", self.delete, ("DELETE",)),
            (f"{one}/objects/{{object}}/versions", self.versions, ("GET",)),
        ]
        return [
            route(path + slash, endpoint, *methods, sign_in=self.door.sign_in, note=self.door.turned_away)
            for path, endpoint, methods in ways
            for slash in ("/", "")
        ]

    @permits()
    async def discovery(self, request: Request, _: Visitor) -> Response:
        """Where the API root is."""
        taxii.check_accept(request.headers.get("accept"))
        words = f"What {self.door.party} holds, and exchanges with {self.door.partner}, under {self.door.agreement}."
        return _json(
            {"title": f"entente of {self.door.party}", "description": words, "default": ROOT, "api_roots": [ROOT]}
        )

    @permits(AREA)
    async def api_root(self, request: Request, _: Visitor) -> Response:
        """What the API root speaks, and how much it takes at once."""
        taxii.check_accept(request.headers.get("accept"))
        return _json({"title": AREA, "versions": [taxii.TAXII], "max_content_length": taxii.MAX_BODY})

    @permits(AREA)
    async def list_collections(self, request: Request, visitor: Visitor) -> Response:
        """The three collections."""
        taxii.check_accept(request.headers.get("accept"))
        return _json({"collections": [each.resource(writes=not visitor.read_only) for each in self.collections]})

    @permits(AREA)
    async def collection(self, request: Request, visitor: Visitor) -> Response:
        """One collection, by its id or alias."""
        taxii.check_accept(request.headers.get("accept"))
        return _json(self._collection(request).resource(writes=not visitor.read_only))

    @permits(AREA)
    async def objects(self, request: Request, visitor: Visitor) -> Response:
        """A page of objects."""
        return await self._page(request, visitor, taxii.envelope, taxii.MATCHES, bodies=True)

    @permits(AREA)
    async def manifest(self, request: Request, visitor: Visitor) -> Response:
        """A page of the manifest."""
        return await self._page(request, visitor, taxii.manifest, taxii.MATCHES, bodies=False)

    @permits(AREA)
    async def object(self, request: Request, visitor: Visitor) -> Response:
        """The versions of one object that the filters choose; the latest by default."""
        return await self._page(request, visitor, taxii.envelope, ("version", "spec_version"), bodies=True)

    @permits(AREA)
    async def versions(self, request: Request, visitor: Visitor) -> Response:
        """Which versions of one object there are."""
        return await self._page(request, visitor, taxii.versions, ("spec_version",), bodies=False)

    async def _page(
        self, request: Request, visitor: Visitor, write: Write, matches: tuple[str, ...], *, bodies: bool
    ) -> Response:
        taxii.check_accept(request.headers.get("accept"))
        collection = self._collection(request)
        own_id = request.path_params.get("object", "")
        filters = taxii.parse_filters(request.query_params.multi_items(), matches)
        if own_id:
            filters = msgspec.structs.replace(filters, ids=(own_id,))
        if write is taxii.versions:
            filters = msgspec.structs.replace(filters, versions=("all",))
        scope = (collection.id, write.__name__, own_id, visitor.handle, str(visitor.rank))
        cursor = taxii.Cursor(self._secret, scope)
        question = taxii.wanted(shelf(AREA, collection.kind), visitor.rank, filters, cursor.read(filters))

        def read() -> tuple[bytes, dict[str, str]]:
            with self.door.pool.reading() as pages:
                if own_id and not pages.knows(question.shelf, question.rank, own_id):
                    raise MissingError("no such object", place=f"collection {collection.alias}")
                page = Page([], more=False) if filters.nothing else pages.page(question, bodies=bodies)
            follow = cursor.write(filters, page.rows[-1].stamp) if page.more else ""
            if page.rows:
                self.door.diary.note(diary.READ, visitor.handle, path_of(request), rows=len(page.rows))
            return write(page, follow), taxii.added_headers(page)

        body, headers = await run_sync(read)
        return Response(body, headers=headers, media_type=taxii.TAXII)

    @permits(AREA)
    async def add(self, request: Request, visitor: Visitor) -> Response:
        """The objects are imported, or proposed as a release; the status says what became of each."""
        taxii.check_accept(request.headers.get("accept"))
        collection = self._collection(request)
        if not collection.can_write:
            raise DeniedError("nothing can be added here", place=f"collection {collection.alias}")
        taxii.check_body_type(request.headers.get("content-type"), request.headers.get("content-encoding"))
        body = await _body(request)
        done = await run_sync(taxii_add.add, self.door, AREA, collection.kind, visitor, body, limiter=self._acting)
        return Response(done, status_code=202, media_type=taxii.TAXII)

    @permits(AREA)
    async def delete(self, request: Request, visitor: Visitor) -> Response:
        """These versions of the object stand in the collection no more; all of them by default."""
        taxii.check_accept(request.headers.get("accept"))
        collection = self._collection(request)
        if not collection.can_delete:
            raise DeniedError(
                "nothing can be deleted here",
                place=f"collection {collection.alias}",
                remedy="What crossed is withdrawn by an order: `entente order withdraw`.",
            )
        matches = ("version", "spec_version")
        filters = taxii.parse_filters(request.query_params.multi_items(), matches, paged=False)
        own_id = request.path_params["object"]
        place = shelf(AREA, collection.kind)
        await run_sync(taxii_add.delete, self.door, place, visitor, own_id, filters, limiter=self._acting)
        return Response(status_code=200, media_type=taxii.TAXII)

    @permits(AREA)
    async def status(self, request: Request, visitor: Visitor) -> Response:
        """What became of what this person added."""
        taxii.check_accept(request.headers.get("accept"))
        name = request.path_params["status"]

        def read() -> bytes:
            with self.door.pool.reading() as pages:
                found = pages.status(name)
            if found is None or found[0] != visitor.handle:
                raise MissingError("no such status", place="status")
            return found[2]

        return Response(await run_sync(read), media_type=taxii.TAXII)

    def _collection(self, request: Request) -> Collection:
        name = request.path_params["collection"]
        for each in self.collections:
            if name in (each.id, each.alias):
                return each
        raise MissingError("no such collection", place="collections")


async def _body(request: Request) -> bytes:
    """The whole body; TooLargeError as soon as it is known to be longer than is taken."""
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdecimal() and int(said[:20]) > taxii.MAX_BODY:
        raise TooLargeError(f"more than {taxii.MAX_BODY} bytes", place="body", remedy="Send it in parts.")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > taxii.MAX_BODY:
            raise TooLargeError(f"more than {taxii.MAX_BODY} bytes", place="body", remedy="Send it in parts.")
        parts.append(part)
    return b"".join(parts)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type=taxii.TAXII)


def _explain(request: Request, fault: Exception) -> Response:
    if not isinstance(fault, EntenteError):
        return _crash(request, fault)
    headers = {"WWW-Authenticate": _REALM} if fault.status == 401 else {}
    if fault.status in (429, 503):
        headers["Retry-After"] = "5"
    return Response(taxii.error_body(fault), status_code=fault.status, headers=headers, media_type=taxii.TAXII)


def _http(request: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    body = {"title": str(getattr(fault, "detail", "")) or "Error", "http_status": str(status)}
    headers = dict(getattr(fault, "headers", None) or {})
    if status == 405:  # each method of a path is a route of its own, and the first one is asked
        found = [one for one in request.app.routes if one.matches(request.scope)[0] is not Match.NONE]
        headers["Allow"] = ", ".join(sorted({method for one in found for method in getattr(one, "methods", ())}))
    return Response(msgspec.json.encode(body), status_code=status, headers=headers, media_type=taxii.TAXII)


def _crash(_: Request, fault: Exception) -> Response:
    if not isinstance(fault, ClientDisconnect):
        _log.error("a TAXII request failed: %s", type(fault).__name__)  # its text may quote what was sent
    body = {"title": "Something went wrong", "description": "The request was not carried out.", "http_status": "500"}
    return Response(msgspec.json.encode(body), status_code=500, media_type=taxii.TAXII)


HANDLERS = {EntenteError: _explain, HTTPException: _http, Exception: _crash}
