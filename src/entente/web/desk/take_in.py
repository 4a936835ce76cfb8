"""Take in a file: an upload becomes an import of an area, each bad object set aside alone."""

from entente.node.map import maps_of
from entente.treaty.cover import FORMATS
from entente.treaty.marking import Marking, marking_line
from entente.web.page import Cell, Done, Field, Form, Page, Said, said
from entente.web.screen import FieldError, Given, page
from entente.web.visit import Visit

LONGEST_NAME = 80
NO_MAP = "none"


def formats(visit: Visit) -> dict[str, tuple[str, str]]:
    """Key → (area, format) of what the visitor can take in here; documents have a form of their own."""
    return {
        f"{name}:{form}": (name, form)
        for name, area in visit.node.areas.items()
        if name in visit.visitor.areas and name in visit.law.areas
        for form in area.formats
        if form not in FORMATS
    }


def maps(visit: Visit, *areas: str) -> list[tuple[str, Said | str]]:
    """The marking maps of these areas that can be chosen, the latest signed first, each with what it is known by."""
    return [
        (
            name,
            said("{area}: map {id}, {n} rows; without a marking: {default}", area=one.area, id=name[:12],
                 n=len(one.rows), default=marking_line(one.default))
            if isinstance(one.default, Marking)
            else said("{area}: map {id}, {n} rows; without a marking nothing crosses", area=one.area, id=name[:12],
                      n=len(one.rows)),
        )
        for name, one in maps_of(visit.node, *areas)
    ]  # fmt: skip


def map_field(visit: Visit, *areas: str, required: bool = True) -> Field:
    """The field that asks for a marking map; without `required` there may be none."""
    choices = maps(visit, *areas)
    if not required:
        choices.append((NO_MAP, said("none: it can be read here, and nothing of it can cross")))
    hint = said("It says what each foreign marking means under the agreement; persons sign it: entente map FILE")
    return Field("map", said("Marking map"), "choice", choices=choices, hint=hint)


def chosen_map(visit: Visit, given: Given, *areas: str) -> str:
    """The marking map that a form chose, "" for none; FieldError unless it is one of those offered."""
    name = given.need("map")
    if name == NO_MAP:
        return ""
    if not any(name == known for known, _ in maps_of(visit.node, *areas)):
        raise FieldError("map", "this is none of the marking maps held here", remedy="Choose one of the list.")
    return name


def file_of(given: Given, field: str = "file") -> tuple[str, bytes]:
    """The file that a form brought, with one plain line as its name; FieldError if there is none."""
    name, data = given.files.get(field, ("", b""))
    if not data:
        raise FieldError(field, "a file is needed, and it may not be empty")
    plain = "".join(char if char.isprintable() else "?" for char in name.rpartition("/")[2])
    return plain[-LONGEST_NAME:], data


@page("/import", said("Take in a file"))
def take_in(visit: Visit) -> Page:
    """The form by which a file is taken in."""
    known = formats(visit)
    crumbs = [Cell(said("Inbox"), href="/inbox")]
    if not known:
        return Page(said("Take in a file"), [], said("No area of yours takes files here."), crumbs)
    note = said(
        "Up to 64 MiB; a larger file is taken in by the command line: entente import FILE. The exact file rests here, "
        "encrypted. An object that is not valid is set aside alone. Nothing leaves."
    )
    fields = [
        Field("file", said("File"), "file"),
        Field("form", said("Area and format"), "choice", choices=[(key, f"{a}: {f}") for key, (a, f) in known.items()]),
        map_field(visit, *{area for area, _ in known.values()}, required=False),
    ]
    return Page(said("Take in a file"), [Form("take", said("A file"), said("Take it in"), fields, note)], "", crumbs)


@take_in.act("take")
def _take(visit: Visit, given: Given) -> Done:
    name, data = file_of(given)
    area, form = formats(visit).get(given.need("form"), ("", ""))
    if not area:
        raise FieldError("form", "this is none of your areas and formats", remedy="Choose one of the list.")
    map_id = chosen_map(visit, given, area)
    done = visit.node.import_file(area, data, place=name, map_id=map_id, form=form, reads=visit.visitor.rank)
    words = said("{n} objects taken in, {aside} set aside.", n=done.records, aside=len(done.quarantined))
    return Done(f"/import/{done.source}", words)
