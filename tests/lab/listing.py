"""Records and holdings for tests of what is listed; their bytes say what they are."""

from collections.abc import Mapping, Sequence

from entente.store.view_db import Holding
from entente.treaty.record import Record

SHELF = "area/own"


def body_of(own: str, order: str, content: str = "") -> str:
    """The bytes of such a record, as text."""
    return f"{own}/{order}/{content}"


def record(own: str, order: str, content: str = "", *, exact: bool = False, kind: str = "") -> Record:
    """A record of this id and version; `exact`: its bytes are `content` and nothing else."""
    data = (content if exact else body_of(own, order, content)).encode()
    return Record(data, "text/plain", own, kind or own[:1], version=order, order=order)


def holding(
    place: str, things: Sequence[tuple[Record, int]], *, shelf: str = SHELF, apart: Mapping[str, str] | None = None
) -> Holding:
    """These records, each with its rank, at a place."""
    return Holding(place, [(one, 0, rank) for one, rank in things], (), shelf, apart or {})
