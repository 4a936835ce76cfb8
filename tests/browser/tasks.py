"""The desk's main tasks, each worked by a `Hand` that knows visible words alone; every one ends with what it says."""

import json
import re
from pathlib import Path

from browser.bed import Desk
from browser.hand import PROOF, Hand
from promises.demo_run import SAMPLE_BUNDLE

UNSOUND = {"type": "indicator", "spec_version": "2.1", "id": "indicator--33333333-2222-4333-8444-000000000bad"}


def bundle(folder: Path, name: str, *, unsound: bool = False) -> Path:
    """The sample bundle as a file of this name, whose bytes no other name has; `unsound`: with one bad object."""
    whole = json.loads(SAMPLE_BUNDLE.read_bytes())
    whole["objects"] += [UNSOUND | {"name": name}] if unsound else []
    path = folder / f"{name}.json"
    path.write_text(json.dumps(whole | {"id": whole["id"][:-4] + f"{sum(name.encode()):04x}"}, indent=len(name)))
    return path


def take_in(hand: Hand, path: Path) -> None:
    """The file is an import; its page is open."""
    hand.press("Inbox")
    hand.press("Take in a file")
    hand.attach("File", path)
    hand.choose("Marking map", "intelligence: map")
    hand.press("Take it in", "button")
    hand.says("objects taken in")


def freeze(hand: Hand) -> str:
    """A draft is frozen of the import whose page is open; returns how lists name it."""
    hand.press("Freeze the draft", "button")
    hand.says("frozen")
    return hand.shown_id()


def approve(hand: Hand, desk: Desk, draft: str, *, number: int) -> None:
    """The person of this number has signed in and approved the draft, from Today."""
    person = desk.people[number]
    hand.sign_in(person)
    hand.row(draft)
    hand.says("It waits for your approval.")
    hand.write(PROOF, person.password, within=hand.part("Approve"))
    hand.press("Approve", "button")


def send(hand: Hand, desk: Desk, draft: str) -> str:
    """Both others approve the draft, and the last dispatches it; returns the release's number."""
    approve(hand, desk, draft, number=1)
    hand.says("Signed by 1 of 2 persons.")
    approve(hand, desk, draft, number=2)
    hand.says("It can be dispatched.")
    hand.press("Dispatch", "button")
    hand.says("Dispatched as release")
    found = re.search(r"as release (\d+)", hand.page.get_by_role("status").inner_text())
    assert found is not None
    return found[1]


def refuse(hand: Hand, desk: Desk, draft: str) -> None:
    """The author finds the draft on the desk and refuses it for good."""
    hand.press("Desk")
    hand.row(draft)
    part = hand.part("Refuse")
    hand.write("Reason", "It names a source that must not be known.", within=part)
    hand.write(PROOF, desk.people[0].password, within=part)
    hand.press("Refuse for good", "button")
    hand.says("Refused. The reason stands in the home journal.", "Propose anew")


def ask(hand: Hand, words: str) -> str:
    """A question to the partner is drafted; returns how lists name the draft."""
    hand.press("Requests")
    hand.press("Ask the partner")
    hand.write("Words in en", words)
    hand.choose("Priority", "priority")
    hand.press("Draft the request", "button")
    hand.says("Drafted. It leaves once enough persons have approved it.")
    return hand.shown_id()


def reply(hand: Hand, desk: Desk, words: str) -> str:
    """The partner's question is acknowledged, from Today, by a draft; returns how lists name it."""
    hand.sign_in(desk.people[0])
    hand.wait_for(lambda: hand.page.get_by_role("link", name=words).count() > 0, "the question")
    hand.row(re.escape(words))
    hand.choose("What becomes of it", "acknowledged")
    hand.press("Draft the reply", "button")
    hand.says("Drafted. It leaves once enough persons have approved it.")
    return hand.shown_id()


def order(hand: Hand, desk: Desk, number: str) -> None:
    """A release of ours is ordered withdrawn: one person prepares and signs, another signs and enters it."""
    first, second = desk.people[:2]
    hand.sign_in(first)
    hand.press("Exchange")
    hand.row(rf"\b{desk.party} {number}\b")
    hand.press("Order it withdrawn, reclassified, returned or destroyed")
    part = hand.part("Withdraw it: the partner uses it no more")
    hand.write(PROOF, first.password, within=part)
    hand.press("Order it withdrawn", "button")
    hand.says("Signed by 1 of 2; others sign it.")
    act = hand.shown_id()
    hand.sign_in(second)
    hand.row(act)
    hand.write(PROOF, second.password, within=hand.part("Sign"))
    hand.press("Sign", "button")
    hand.says("Enough have signed: it can be entered.")
    hand.press("Enter it", "button")
    hand.says("Entered, entry")


def find(hand: Hand, words: str, title: str) -> None:
    """The object of this title is found by the search of every page, and opened."""
    hand.write("Search", words, within=hand.page.get_by_role("banner"))
    hand.press("Search", "button", within=hand.page.get_by_role("banner"))
    hand.press(title)
    hand.says(title)


def custody(hand: Hand, party: str, number: str) -> None:
    """The whole life of a release is open."""
    hand.press("Exchange")
    hand.row(rf"\b{party} {number}\b")
    hand.press("Its whole life: custody")
    hand.says("Its life, step by step", "copies still held")


def extract(hand: Hand, since: str, until: str) -> None:
    """The auditor's extract of these days is open."""
    hand.press("Register")
    hand.press("The auditor's extract")
    hand.date("From (day, UTC)", since)
    hand.date("Until, not including (day, UTC)", until)
    hand.press("Draw the extract", "button")
    hand.says("The extract was drawn.")


def token(hand: Hand, desk: Desk, label: str) -> str:
    """A tool has a token of the author's; returns its text, which is shown once."""
    hand.press(desk.people[0].user)
    part = hand.part("A token for a tool")
    hand.write("For which tool", label, within=part)
    hand.write(PROOF, desk.people[0].password, within=part)
    hand.press("Make the token", "button")
    text: str = hand.page.get_by_role("status").inner_text()
    assert "shown this once" in text
    return text.rpartition(": ")[2].strip()


def revoke(hand: Hand, desk: Desk, label: str) -> None:
    """That tool's token works no more."""
    hand.press(desk.people[0].user)
    hand.choose("Token", label)
    hand.press("Revoke", "button")
    hand.says("The token works no more.")
