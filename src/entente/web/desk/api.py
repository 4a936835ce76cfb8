"""The API in words and as a file: every route of this node, from the routes themselves."""

from entente.strict import parse_foreign
from entente.web.page import Cell, Page, Table, Text, said
from entente.web.screen import File, download, page
from entente.web.visit import Visit


@page("/api", said("API"))
def api(visit: Visit) -> Page:
    """Every path, what may be done there, and who may."""
    paths = parse_foreign(visit.door.api)["paths"]
    rows = [
        (Cell(path, "code"), Cell(method.upper(), "code"), Cell(one["summary"]), Cell(one.get("description", "")))
        for path, methods in sorted(paths.items())
        for method, one in methods.items()
    ]
    words = said(
        "Tools sign in by HTTP Basic with a person's user and password, or by a bearer token made at My account. "
        "A list is had as .json and as .csv, with the filters of its page; its last line says how many rows it has."
    )
    columns = [said("Path"), said("Method"), said("What it is"), said("Who may")]
    return Page(
        said("API"),
        [
            Text(said("How tools come in"), [words, Cell(said("The same as OpenAPI 3.1"), href="/openapi.json")]),
            Table(said("Routes"), columns, rows),
        ],
    )


@download("/openapi.json", said("The API as OpenAPI 3.1"))
def description(visit: Visit) -> File:
    """The description as a file."""
    return File(visit.door.api, "openapi.json", "application/json")
