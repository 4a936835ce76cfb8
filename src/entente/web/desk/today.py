"""Today: what waits on the visitor, and the one number that tells how things stand."""

from entente.web.page import Facts, Page, said
from entente.web.screen import page
from entente.web.visit import Visit


@page("/", said("Today"), menu=True, key="t")
def today(visit: Visit) -> Page:
    """What waits on this visitor."""
    sizes = visit.node.pair.sizes
    return Page(
        said("Today"),
        [Facts(said("Registers"), [(party, said("{n} entries", n=size)) for party, size in sizes.items()])],
    )
