"""Propose, approve, approve, dispatched, received, verified: by visible words alone, in at most 15 clicks.

The first address is typed and no other; no id, no style and no path is known here. Signing in is not counted.
"""

import sys

import pytest
from playwright.sync_api import Page

from browser.bed import Desk
from browser.conftest import Open
from browser.hand import PROOF, WAYS, Hand, Way

pytestmark = pytest.mark.browser
MOST_CLICKS = 15


@pytest.mark.parametrize("way", WAYS)
def test_a_release_goes_its_whole_way_in_at_most_fifteen_clicks(
    open_page: Open, desks: dict[str, Desk], way: Way
) -> None:
    ours, theirs = desks.values()
    author, approver, guard = ours.people[:3]
    counted: list[str] = []

    page = open_page(ours.web, scripts=way != "no scripts")[0]
    hand = Hand(page, way, counted)
    hand.sign_in(author, at="/")
    hand.press("Inbox")
    hand.row("import .* intelligence")
    hand.press("Freeze the draft", "button")
    hand.says("objects frozen")
    draft = hand.shown_id()

    for person in (approver, guard):
        hand.sign_in(person)
        hand.row(draft)
        hand.says("It waits for your approval.")
        hand.write(PROOF, person.password, within=hand.part("Approve"))
        hand.press("Approve", "button")
    hand.says("It can be dispatched.")
    hand.press("Dispatch", "button")
    hand.says("Dispatched as release")
    name = page.get_by_role("status").inner_text().removeprefix("Dispatched as ").partition(",")[0]

    there = open_page(theirs.web, scripts=way != "no scripts")[0]
    partner = Hand(there, way, counted)
    partner.sign_in(theirs.people[0], at="/")
    partner.press("Inbox")
    partner.wait_for(lambda: _shows(there, name, "received"), f"{name}, received,")

    hand.press("Exchange")
    hand.wait_for(
        lambda: _shows(page, f"{ours.party} {name.removeprefix('release ')}", "received"), f"{name}, received,"
    )
    hand.press("Register")
    hand.press("Verify everything now")
    hand.press("Verify now", "button")
    hand.says("Verified to entry", "Verified in")

    sys.stdout.write(f"{way}: {len(counted)} clicks: {', '.join(counted)}\n")
    assert len(counted) <= MOST_CLICKS, counted


def _shows(page: Page, *words: str) -> bool:
    rows = page.get_by_role("row")
    for word in words:
        rows = rows.filter(has_text=word)
    found: int = rows.count()
    return found > 0
