"""The area of threat intelligence: STIX 2.1 objects cross one by one, byte for byte as they were received.

`AREA` is all the core knows of it. `stix` takes a bundle apart (`bundle`), each object held to `schema` and `rules`
(with `patterns`, `granular` and `values`); `redact` makes the views and finds prose that points at what is withheld;
`export`, `export_csv` and `export_misp` write records for others' tools.
"""

from entente.areas.intelligence import redact, stix
from entente.treaty.area import Area

AREA = Area(
    name="intelligence",
    formats=("stix-2.1",),
    views=redact.VIEWS,
    split=stix.split_file,
    read=stix.read,
    order=stix.order,
    view=redact.view,
    mention_pattern=redact.mention_pattern,
    redact=redact.redact,
    quotes=False,
)
