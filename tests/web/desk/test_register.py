"""The register's screens: every entry is listed for everybody, what it says only for who may know of its release."""

import hashlib

import pytest
from lab.pair import Pair
from lab.site import Site


@pytest.fixture(scope="module")
def rids(pair: Pair, site: Site) -> tuple[str, str]:
    """A release of the lowest level and one of the fourth, both received, and one that waits."""
    low = site.node.dispatch([pair.approved(site.node)])[0].rid
    high = site.node.dispatch([pair.approved(site.node, level=pair.a.law.law.party[site.code].levels[3])])[0].rid
    pair.exchange()
    return low, high


def test_x(site: Site, rids: tuple[str, str]) -> None:
    for path in (
        "/register",
        "/register.csv",
        "/verify",
        f"/release/{rids[0]}",
        f"/release/{rids[1]}",
        f"/entry/{site.code}/3",
        f"/release/{rids[0]}.json",
    ):
        got = site.ask("rung3", path, Accept="text/html")
        print(path, got.status_code, len(got.text))
        assert got.status_code == 200, got.text
