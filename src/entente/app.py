"""The only file that knows every area: which formats are read here, and by whom."""

import sys
from typing import TYPE_CHECKING

from entente.areas.documents import AREA as DOCUMENTS
from entente.areas.intelligence import AREA as INTELLIGENCE
from entente.node.sandbox import child_command, run_child, validate_in_child
from entente.treaty.area import Area
from entente.treaty.record import Data, Record

if TYPE_CHECKING:
    import click
    from starlette.applications import Starlette

    from entente.terminal import Opened
    from entente.web.door import Door

AREAS: dict[str, Area] = {area.name: area for area in (INTELLIGENCE, DOCUMENTS)}


def area_of(form: str) -> Area | None:
    """The area that reads a format, or None if it is not built."""
    return next((area for area in AREAS.values() if form in area.formats), None)


def validate(form: str, releases: list[list[Data]]) -> list[list[Record] | str]:
    """For each release the records of its bodies, all validated in one child process; or why it is refused."""
    area = area_of(form)
    return validate_in_child(child_command(form), releases, area.order if area is not None else str)


def web(door: "Door") -> "Starlette":
    """What this node serves its own persons and their tools."""
    from entente.areas.intelligence.pages import SCREENS as INTELLIGENCE_SCREENS  # noqa: PLC0415 - see below
    from entente.areas.intelligence.taxii_server import HANDLERS, TaxiiServer  # noqa: PLC0415 - see below
    from entente.web.desk import SCREENS  # noqa: PLC0415 - a quarter of a second that no other verb should pay
    from entente.web.site import make_site  # noqa: PLC0415

    return make_site(door, (*SCREENS, *INTELLIGENCE_SCREENS), TaxiiServer(door).routes(), HANDLERS, "/taxii2")


def groups(opened: "Opened") -> "tuple[click.Group, ...]":
    """The commands that areas have of their own; `opened` opens a node for them."""
    from entente.areas.intelligence.commands import group as intelligence  # noqa: PLC0415 - no child needs a terminal

    return (intelligence(opened),)


if __name__ == "__main__":
    run_child(area_of, sys.argv[1], sys.stdin.buffer, sys.stdout.buffer)
