"""The area of documents: any file with a cover sheet; and what most of an exchange is made of, requests and replies.

`AREA` is all the core knows of it. The sheets are `treaty.cover`'s. `record` makes records of packages and reads them
again; `media` names what a file is; `scan` looks through it for what acts (`zips`, `markup`, `pdf`) and for its `text`.
"""

import re
from collections.abc import Iterable

from entente.areas.documents import record
from entente.treaty.area import Area
from entente.treaty.cover import DOCUMENT, FORMATS
from entente.treaty.record import Record


def no_mentions(_: Iterable[Record]) -> re.Pattern[bytes] | None:
    """Documents have no addresses by which prose would point at them."""
    return None


AREA = Area(
    name="documents",
    formats=FORMATS,
    views=("full",),
    split=record.split,
    read=record.read,
    view=record.view,
    mention_pattern=no_mentions,
    opens=(DOCUMENT,),
    quotes=False,
)
