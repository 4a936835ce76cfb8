"""Granular redaction: an object that may cross as a whole, but not in all its parts, crosses without those parts.

Under the view `granular` each object is decided for the marking that the whole of it bears, joined with that of one
granular marking after the other. What a marking that fails selects goes (`Area.redact`), and the object is screened as
what is left. One that no valid object would be left of is screened as it is, and refused.
"""

from collections.abc import Callable, Mapping

import msgspec

from entente.node.material import Material
from entente.treaty.area import Area
from entente.treaty.marking import Marking
from entente.treaty.record import Record
from entente.treaty.request import Decision


class Redactions(msgspec.Struct, frozen=True):
    """Material as it can be screened; `properties` says how many went from each new record, by its digest."""

    stuff: Material
    properties: Mapping[str, int]


def redact(stuff: Material, area: Area, decide_marking: Callable[[Marking], Decision]) -> Redactions:
    """The material without what granular markings keep back.

    Args:
        stuff: what is proposed.
        area: gives an object's bytes without what some markings select.
        decide_marking: rules 6 to 13 for one marking.
    """
    known: dict[Marking, bool] = {}

    def may(mark: Marking) -> bool:
        if mark not in known:
            known[mark] = decide_marking(mark).permit
        return known[mark]

    def keeps_back(record: Record, ref: str) -> bool:
        found = stuff.mark(msgspec.structs.replace(record, markings=(*_whole(record).markings, ref), granular=(ref,)))
        return isinstance(found, str) or not may(found)

    records, properties = [], {}
    for record in stuff.records:
        left = None
        if record.granular and area.redact is not None:
            own = stuff.mark(_whole(record))
            refs = frozenset(ref for ref in record.granular if keeps_back(record, ref))
            if refs and isinstance(own, Marking) and may(own):
                left = area.redact(record.data, refs)
        made = area.read(stuff.form, left.data) if left is not None else record
        if isinstance(made, str) or left is None:
            records.append(record)
        else:
            records.append(msgspec.structs.replace(made, parents=record.parents))
            properties[made.sha256] = left.properties
    return Redactions(msgspec.structs.replace(stuff, records=records), properties)


def _whole(record: Record) -> Record:
    """The record as if only the markings that the whole object bears were there."""
    whole = tuple(ref for ref in record.markings if ref not in record.granular)
    return msgspec.structs.replace(record, markings=whole, granular=()) if record.granular else record
