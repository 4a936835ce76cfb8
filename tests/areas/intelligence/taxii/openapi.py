"""TAXII 2.1 as an OpenAPI document, written by hand from the OASIS Standard, not from our server.

Source: TAXII 2.1 (OASIS Standard), 3.4 filters, 3.6 errors, 4 server information, 5 collections.
"""

from typing import Any

TAXII = "application/taxii+json;version=2.1"
COLLECTION = "/taxii2/intelligence/collections/{collection}/"
STAMP = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"}
VERSION = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
UUID = {"type": "string", "format": "uuid"}
COUNT = {"type": "integer", "minimum": 0}
Json = dict[str, Any]


def record(required: Json, **more: Json) -> Json:
    """An object with these properties and no others."""
    properties = required | more
    return {"type": "object", "required": [*required], "properties": properties, "additionalProperties": False}


def several(item: Json, least: int = 0) -> Json:
    """A list."""
    return {"type": "array", "items": item, "minItems": least}


def paged(name: str, item: Json) -> Json:
    """A page: empty, or with its list; `more: true` is worth nothing without a way on."""
    items = {name: several(item, 1)}
    last = record({"more": {"const": False}, **items})
    return {"oneOf": [record({}), last, record({"more": {"const": True}, "next": {"type": "string"}, **items})]}


TEXT: Json = {"type": "string", "minLength": 1}
ERROR = record({"title": TEXT, "http_status": {"type": "string", "pattern": "^[45][0-9][0-9]$"}}, description=TEXT)
DISCOVERY = record({"title": TEXT}, description=TEXT, default=TEXT, api_roots=several(TEXT, 1), contact=TEXT)
API_ROOT = record(
    {
        "title": TEXT,
        "versions": {"contains": {"const": TAXII}},
        "max_content_length": {"type": "integer", "minimum": 1},
    },
    description=TEXT,
)
COLLECTION_RESOURCE = record(
    {"id": UUID, "title": TEXT, "can_read": {"type": "boolean"}, "can_write": {"type": "boolean"}},
    description=TEXT,
    alias=TEXT,
    media_types=several(TEXT, 1),
)
COLLECTIONS = record({}, collections=several(COLLECTION_RESOURCE, 1))
OBJECT = {"type": "object", "required": ["id", "type"]}
MANIFEST_RECORD = record({"id": TEXT, "date_added": STAMP, "version": VERSION, "media_type": TEXT})
DETAIL = record({"id": TEXT, "version": VERSION}, message={"type": "string"})
FAILURE = record({"id": TEXT, "version": TEXT}, message=TEXT)  # its version is what the object says, however wrong
STATUS = record(
    {
        "id": UUID,
        "status": {"enum": ["complete", "pending"]},
        "total_count": COUNT,
        "success_count": COUNT,
        "failure_count": COUNT,
        "pending_count": COUNT,
    },
    request_timestamp=STAMP,
    successes=several(DETAIL),
    failures=several(FAILURE),
    pendings=several(DETAIL),
)
ADDED = {f"X-TAXII-Date-Added-{which}": {"schema": STAMP} for which in ("First", "Last")}


def answers(status: int, schema: Json | None, *, headers: Json | None = None) -> Json:
    """The good answer, and an error for everything else."""
    error = {"description": "an error", "content": {TAXII: {"schema": ERROR}}}
    good: Json = {"description": "as asked", "headers": headers or {}}
    if schema is not None:
        good["content"] = {TAXII: {"schema": schema}}
    return {str(status): good} | {str(code): error for code in (400, 401, 403, 404, 405, 406, 413, 415, 422)}


def in_query(name: str, *kinds: Json) -> Json:
    """A filter that takes any of these, and text of any other kind."""
    return {"name": name, "in": "query", "schema": {"anyOf": [*kinds, {"type": "string", "maxLength": 60}]}}


def in_path(name: str, *known: str) -> Json:
    """A part of the path: one that is there, or any other."""
    text = {"type": "string", "minLength": 1, "maxLength": 60}
    return {"name": name, "in": "path", "required": True, "schema": {"anyOf": [{"enum": [*known]}, text]}}


def operation(*parameters: Json, answer: Json, body: Json | None = None) -> Json:
    """One method of one path."""
    made: Json = {"parameters": [*parameters], "responses": answer, "security": [{"basic": []}]}
    if body is not None:
        made["requestBody"] = {"required": True, "content": {TAXII: {"schema": body}}}
    return made


def document(collections: list[str], ids: list[str], given_up: list[str]) -> Json:
    """The whole API root; `collections` and `ids` are those that are there, `given_up` those that may be deleted."""
    times = {"type": "string", "format": "date-time"}
    versions = in_query("match[version]", {"enum": ["first", "last", "all", "first,last"]}, times)
    spec = in_query("match[spec_version]", {"enum": ["2.0", "2.1", "2.0,2.1"]})
    pages = [in_query("added_after", times), in_query("limit", {"type": "integer"}), in_query("next")]
    every = [*pages, in_query("match[id]", {"enum": ids}), in_query("match[type]", {"enum": ["indicator,identity"]})]
    every += [versions, spec]
    collection, one = in_path("collection", *collections), in_path("object", *ids)
    envelope: Json = {"type": "object", "properties": {"objects": several({"anyOf": [_indicator(), {}]})}}
    objects = answers(200, paged("objects", OBJECT), headers=ADDED)
    status = in_path("status", "00000000-0000-4000-8000-000000000000")
    paths: Json = {
        "/taxii2/": {"get": operation(answer=answers(200, DISCOVERY))},
        "/taxii2/intelligence/": {"get": operation(answer=answers(200, API_ROOT))},
        "/taxii2/intelligence/status/{status}/": {"get": operation(status, answer=answers(200, STATUS))},
        "/taxii2/intelligence/collections/": {"get": operation(answer=answers(200, COLLECTIONS))},
        COLLECTION: {"get": operation(collection, answer=answers(200, COLLECTION_RESOURCE))},
        f"{COLLECTION}manifest/": {
            "get": operation(collection, *every, answer=answers(200, paged("objects", MANIFEST_RECORD), headers=ADDED))
        },
        f"{COLLECTION}objects/": {
            "get": operation(collection, *every, answer=objects),
            "post": operation(collection, answer=answers(202, STATUS), body=envelope),
        },
        f"{COLLECTION}objects/{{object}}/": {
            "get": operation(collection, one, *pages, versions, spec, answer=objects),
            "delete": operation(collection, in_path("object", *given_up), versions, spec, answer=answers(200, None)),
        },
        f"{COLLECTION}objects/{{object}}/versions/": {
            "get": operation(
                collection, one, *pages, spec, answer=answers(200, paged("versions", VERSION), headers=ADDED)
            )
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "TAXII", "version": "2.1"},
        "components": {"securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
        "paths": paths,
    }


def _indicator() -> Json:
    """What is nearly an indicator: some pass every rule, most fall to one."""
    time = {"enum": ["2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05Z", "2026-13-02T03:04:05Z", "yesterday"]}
    return {
        "type": "object",
        "properties": {
            "type": {"enum": ["indicator"]},
            "spec_version": {"enum": ["2.1", "2.0"]},
            "id": {"type": "string", "format": "uuid"},
            "created": time,
            "modified": time,
            "valid_from": time,
            "pattern": {"enum": ["[domain-name:value = 'example.org']", "[", ""]},
            "pattern_type": {"enum": ["stix", "sigma"]},
        },
        "required": ["type", "id", "created", "modified", "valid_from", "pattern", "pattern_type"],
    }
