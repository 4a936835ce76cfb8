"""Each main task can be done by mouse, by the keyboard alone, and without scripts, by visible words alone."""

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser import tasks
from browser.bed import Desk
from browser.conftest import Open
from browser.hand import PROOF, WAYS, Hand, Way

pytestmark = pytest.mark.browser
every_way = pytest.mark.parametrize("way", WAYS)


def at(open_page: Open, desk: Desk, way: Way, number: int = 0) -> Hand:
    """A hand at this party's desk, signed in as its author."""
    hand = Hand(open_page(desk.web, scripts=way != "no scripts")[0], way)
    hand.sign_in(desk.people[number], at="/")
    return hand


@every_way
def test_a_file_is_taken_in_and_what_is_unsound_in_it_is_set_aside(
    open_page: Open, desks: dict[str, Desk], way: Way, tmp_path: Path
) -> None:
    ours = next(iter(desks.values()))
    hand = at(open_page, ours, way)
    tasks.take_in(hand, tasks.bundle(tmp_path, f"unsound by {way}", unsound=True))
    hand.says("12 objects taken in, 1 set aside.")
    name = hand.page.url.rpartition("/")[2][:16]
    hand.press("Inbox")
    hand.press("Quarantine")
    expect(hand.page.get_by_role("row", name=name)).to_be_visible()


@every_way
def test_a_draft_is_refused_for_good(open_page: Open, desks: dict[str, Desk], way: Way, tmp_path: Path) -> None:
    ours = next(iter(desks.values()))
    hand = at(open_page, ours, way)
    tasks.take_in(hand, tasks.bundle(tmp_path, f"refused by {way}"))
    tasks.refuse(hand, ours, tasks.freeze(hand))


@every_way
def test_a_question_is_asked_and_the_partner_replies(open_page: Open, desks: dict[str, Desk], way: Way) -> None:
    ours, theirs = desks.values()
    words = f"Was this seen at your side? Asked by {way}."
    hand = at(open_page, ours, way)
    tasks.send(hand, ours, tasks.ask(hand, words))
    partner = at(open_page, theirs, way)
    tasks.send(partner, theirs, tasks.reply(partner, theirs, words))
    hand.press("Requests")
    hand.wait_for(
        lambda: hand.page.get_by_role("row", name=re.compile(rf"{re.escape(words)}.*acknowledged")).count() > 0,
        "the reply",
    )


@every_way
def test_a_release_is_ordered_withdrawn_by_two_persons(
    open_page: Open, desks: dict[str, Desk], way: Way, tmp_path: Path
) -> None:
    ours, theirs = desks.values()
    maker = at(open_page, ours, "mouse")
    tasks.take_in(maker, tasks.bundle(tmp_path, f"withdrawn by {way}"))
    number = tasks.send(maker, ours, tasks.freeze(maker))
    hand = at(open_page, ours, way)
    tasks.order(hand, ours, number)
    partner = at(open_page, theirs, way)
    partner.press("Inbox")
    partner.wait_for(
        lambda: partner.page.get_by_role("row", name=re.compile(rf"release {number} .*withdrawn")).count() > 0,
        "the order",
    )


@every_way
def test_an_object_is_found_and_opened(open_page: Open, desks: dict[str, Desk], way: Way) -> None:
    hand = at(open_page, next(iter(desks.values())), way)
    tasks.find(hand, "relay", "Relay seen by Team Meridian")


@every_way
def test_a_list_is_taken_away_as_csv_whole(open_page: Open, desks: dict[str, Desk], way: Way) -> None:
    hand = at(open_page, next(iter(desks.values())), way)
    hand.press("Register")
    data = hand.download("CSV")
    body, _, end = data.removesuffix(b"\r\n").rpartition(b"\r\n")
    rows = body.count(b"\r\n") - 2  # the marking, the times and the columns are no rows
    digest = hashlib.sha256(body + b"\r\n").hexdigest()
    assert end.decode() == f"#END rows={rows} sha256={digest}"
    assert rows > 20


@every_way
def test_the_life_of_one_item_is_read_step_by_step(open_page: Open, desks: dict[str, Desk], way: Way) -> None:
    ours = next(iter(desks.values()))
    hand = at(open_page, ours, way)
    tasks.custody(hand, ours.party, "1")
    for step in ("Drafted", "Approved", "Dispatched", "Received"):
        assert re.search(step, hand.page.get_by_role("main").inner_text(), re.IGNORECASE), step


@every_way
def test_the_auditors_extract_is_drawn(open_page: Open, desks: dict[str, Desk], way: Way) -> None:
    hand = at(open_page, next(iter(desks.values())), way)
    tasks.extract(hand, "2026-01-01", "2099-01-01")
    hand.says("refused", "4(3)")


@every_way
def test_a_tools_token_works_until_it_is_revoked(open_page: Open, desks: dict[str, Desk], way: Way) -> None:
    ours = next(iter(desks.values()))
    hand = at(open_page, ours, way)
    headers = {"Authorization": f"Bearer {tasks.token(hand, ours, f'tool by {way}')}"}
    other = hand.page.context.browser.new_context(base_url=ours.web)
    assert other.request.get("/exchange.json", headers=headers).status == 200
    tasks.revoke(hand, ours, f"tool by {way}")
    assert other.request.get("/exchange.json", headers=headers).status == 401
    other.close()


@every_way
def test_who_is_signed_in_elsewhere_is_signed_out(open_page: Open, desks: dict[str, Desk], way: Way) -> None:
    ours = next(iter(desks.values()))
    left, hand = at(open_page, ours, way), at(open_page, ours, way)
    hand.press(ours.people[0].user)
    hand.press("End all other sessions", "button")
    hand.says("All other sessions are over.")
    left.press("Exchange")
    expect(left.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_device_signs_in_by_its_passkey(open_page: Open, desks: dict[str, Desk]) -> None:
    ours = next(iter(desks.values()))
    person = ours.people[0]
    page = open_page(ours.web.replace("127.0.0.1", "localhost"))[0]
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    session.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    hand = Hand(page, "mouse")
    hand.sign_in(person, at="/")
    hand.press(person.user)
    part = hand.part("A passkey on this device")
    hand.write("For which device", "this test's", within=part)
    hand.write(PROOF, person.password, within=part)
    hand.press("Make a passkey", "button")
    hand.says("This device signs you in from now on.")
    hand.press("Sign out", "button")
    hand.press("Sign in with a passkey", "button")
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    expect(page.get_by_role("link", name=person.user, exact=True)).to_be_visible()
