"""The OpenAPI description of everything that is served, made from the routes themselves.

Source: OpenAPI Specification 3.1.0.
"""

import re
from collections.abc import Sequence
from typing import Any

from starlette.routing import BaseRoute, Route

from entente.strict import canonical
from entente.web.permits import Permit

FAULTS = {
    "400": "What was asked, or written into a field, cannot be used; nothing was done.",
    "401": "Nobody is signed in.",
    "403": "This needs an area, a role or a clearance that the person does not have, or the agreement refuses it.",
    "404": "There is nothing of this name, or nothing that this person may see.",
    "409": "It does not fit the state of what it names.",
    "421": "The name under which it was asked is none of this node's.",
    "422": "Something that should be provable does not verify.",
    "429": "Too many wrong passwords.",
    "502": "The partner cannot be reached.",
    "503": "The node is busy, or signs nothing now; try again.",
}
TAXII_FAULTS = {
    "406": "None of the media types accepted is TAXII's.",
    "413": "The body is too long.",
    "415": "The body is of another type.",
}
LIST = (
    ("sort", "string", "A column; with - in front, downwards."),
    ("from", "integer", "How many rows to leave out."),
    ("size", "integer", "How many rows: 25, 50, 100 or 250."),
)
FORM = "application/x-www-form-urlencoded"
TAXII = "application/taxii+json;version=2.1"


def describe(routes: Sequence[BaseRoute], agreement: str) -> bytes:
    """The description of these routes, as JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for one in routes:
        if isinstance(one, Route):
            for method in sorted((one.methods or set()) - {"HEAD"}):
                paths.setdefault(_plain(one.path), {})[method.lower()] = _operation(one, method)
    about = f"What this node serves its own persons and their tools, under the agreement {agreement}."
    schemes = {
        "password": {"type": "http", "scheme": "basic", "description": "A person's user and password."},
        "token": {"type": "http", "scheme": "bearer", "description": "A token made at My account."},
    }
    return canonical(
        {
            "openapi": "3.1.0",
            "info": {"title": "entente", "version": "1", "description": about},
            "paths": paths,
            "components": {"securitySchemes": schemes},
            "security": [{"password": []}, {"token": []}],
        }
    )


def _plain(path: str) -> str:
    return re.sub(r"{(\w+):\w+}", r"{\1}", path)


def _operation(one: Route, method: str) -> dict[str, Any]:
    """One method of one path."""
    permit: Permit = getattr(one, "permit", Permit())
    taxii = one.path.startswith("/taxii2")
    faults = FAULTS | (TAXII_FAULTS if taxii else {})
    lists = one.path.endswith((".csv", ".json"))
    made: dict[str, Any] = {
        "operationId": f"{method.lower()} {one.path}",
        "summary": _summary(one),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)", one.path)
        ],
        "responses": {code: {"description": words} for code, words in faults.items()},
    }
    if lists:
        made["parameters"] += [
            {"name": name, "in": "query", "required": False, "schema": {"type": kind}, "description": words}
            for name, kind, words in LIST
        ]
    done = {"description": "Done.", "content": {_media(one, taxii=taxii): {}}}
    made["responses"]["202" if taxii and method == "POST" else "200"] = done
    if not taxii:
        made["responses"]["303"] = {"description": "On to where it can be done, or was."}
    if method == "POST":
        made["requestBody"] = {"content": {TAXII: {"schema": {"type": "object"}}} if taxii else _form(one)}
    if permit.open:
        made["security"] = []
    needs = [f"the area {permit.area}"] * bool(permit.area) + [f"one of the roles {', '.join(permit.roles)}"] * bool(
        permit.roles
    )
    if needs:
        made["description"] = f"Needs {' and '.join(needs)}."
    return made


def _form(one: Route) -> dict[str, Any]:
    """What a page's form brings: the name of one of its acts, and fields that the page names."""
    acts = {"act": {"enum": sorted(getattr(one, "acts", ()))}} if getattr(one, "acts", ()) else {}
    return {
        FORM: {
            "schema": {
                "type": "object", "properties": acts, "required": [*acts], "additionalProperties": {"type": "string"},
            }
        }
    }  # fmt: skip


def _summary(one: Route) -> str:
    """What the route is, by its screen's title or its endpoint's docstring."""
    said = (getattr(one.endpoint, "__doc__", "") or "").strip().partition("\n")[0]
    return said or one.name


def _media(one: Route, *, taxii: bool) -> str:
    if taxii:
        return TAXII
    for ending, media in (
        (".csv", "text/csv"),
        (".json", "application/json"),
        (".pdf", "application/pdf"),
        (".txt", "text/plain"),
    ):
        if one.path.endswith(ending):
            return media
    return "*/*" if getattr(one, "file", False) else "text/html"
