"""Every screen of the desk: how a person comes to it by what it says, and its sentence in docs/reference/screens.md.

A demo that is a minute old shows little: `furnish` does a day's work first, by the tasks that are tested.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from browser import tasks
from browser.bed import Desk
from browser.hand import PROOF, Hand

UNDERTAKING = "radar/1"
TITLE = "Relay hosts seen in March"


@dataclass(frozen=True)
class Shot:
    """One picture: its name, the screen's path as it is declared, what is pressed from the menu on, and a sentence."""

    name: str
    path: str
    way: tuple[str, ...]  # a link by its words; "row: WORDS" opens a row; "words: LABEL = TEXT" writes
    words: str
    party: int = 0
    person: int = 0

    def walk(self, hand: Hand) -> None:
        """The screen is open, by visible words alone."""
        for step in self.way:
            kind, _, rest = step.partition(": ")
            if kind == "row":
                hand.row(rest)
            elif kind == "words":
                label, _, text = rest.partition(" = ")
                hand.write(label, text, within=hand.page.get_by_role("banner"))
            elif kind == "button":
                hand.press(rest, "button")
            else:
                hand.press(step)
        assert self.fits(hand.page.url), f"{self.way} led to {hand.page.url}, no {self.path}"

    def fits(self, url: str) -> bool:
        """Whether this address is of the screen."""
        pattern = re.sub(r"\\{\w+:path\\}", ".+", re.sub(r"\\{\w+\\}", "[^/]+", re.escape(self.path)))
        return re.fullmatch(rf"https?://[^/]+{pattern}(\?.*)?", url) is not None


SHOTS = (
    Shot(
        "today", "/", ("Today",), "What waits on this person, the oldest first, and how link and registers stand.", 0, 2
    ),
    Shot("today-partner", "/", ("Today",), "The partner's author: a question that is not answered yet.", 1),
    Shot("desk", "/desk", ("Desk",), "Every draft that has not left, and what it waits for.", 0, 2),
    Shot(
        "draft",
        "/draft/{rid}",
        ("Desk", "row: checked"),
        "One draft: source beside outgoing bytes, what stays and by which article, every rule, then approve or refuse.",
        0,
        2,
    ),
    Shot(
        "draft-object",
        "/draft/{rid}/object/{number}",
        ("Desk", "row: checked", "row: malware"),
        "One object of a draft, whole: what rests here beside what would cross.",
        0,
        2,
    ),
    Shot("propose", "/propose", ("Desk", "Propose"), "What was taken in and could cross."),
    Shot(
        "import",
        "/import/{id}",
        ("Inbox", "row: import .* intelligence"),
        "One import, and the form that freezes a draft of it.",
    ),
    Shot(
        "acts",
        "/acts",
        ("Desk", "Acts"),
        "Acts that persons sign: orders, terms, undertakings; and standing approvals.",
    ),
    Shot(
        "act",
        "/act/{id}",
        ("Today", "row: order"),
        "One act in words and exactly as it is signed; sign, enter or give up.",
        0,
        1,
    ),
    Shot(
        "inbox", "/inbox", ("Inbox",), "What arrived from the partner and what was imported here, the newest first.", 1
    ),
    Shot(
        "take-in",
        "/import",
        ("Inbox", "Take in a file"),
        "A file becomes an import; each bad object is set aside alone.",
    ),
    Shot(
        "quarantine",
        "/quarantine",
        ("Inbox", "Quarantine"),
        "What was set aside or refused, and why. None of it can cross.",
    ),
    Shot(
        "search",
        "/search",
        ("words: Search = relay", "button: Search"),
        "Objects by words or id, of those this person may read.",
    ),
    Shot(
        "object",
        "/object/{place}/{number}",
        ("words: Search = relay", "button: Search", "Relay seen by Team Meridian"),
        "One object: what it says, where it came from, where it went.",
    ),
    Shot("requests", "/requests", ("Requests",), "Questions of either side with their clocks."),
    Shot(
        "request",
        "/request/{rid}",
        ("Requests", "row: Did your sensors"),
        "One question, its replies, and the reply form.",
        1,
    ),
    Shot("ask", "/ask", ("Requests", "Ask the partner"), "A question to the partner becomes a draft."),
    Shot("documents", "/documents", ("Requests", "Documents"), "Documents held here.", 1),
    Shot(
        "document",
        "/document/{rid}",
        ("Requests", "Documents", f"row: {TITLE}"),
        "One document and its cover, custody and copies.",
        1,
    ),
    Shot(
        "document-new",
        "/documents/new",
        ("Requests", "Documents", "Take in a document"),
        "A file and its cover sheet are taken in.",
    ),
    Shot(
        "threat-intelligence",
        "/intelligence",
        ("Threat intelligence",),
        "What is held of threat intelligence, whoever made it.",
        1,
    ),
    Shot(
        "exchange",
        "/exchange",
        ("Exchange",),
        "Drafted to received, counted by both registers, and where the two do not agree.",
    ),
    Shot("release", "/release/{rid}", ("Exchange", "row: KOR 1"), "One release: how far it came, its rules, its life."),
    Shot(
        "release-received",
        "/release/{rid}",
        ("Exchange", "row: IND 1"),
        "The same at the receiver, with its numbered copies.",
        1,
    ),
    Shot(
        "order",
        "/release/{rid}/order",
        ("Exchange", "row: IND 1", "Order it withdrawn, reclassified, returned or destroyed"),
        "What can be ordered of a release of ours, and what follows from each.",
    ),
    Shot(
        "reconcile",
        "/reconcile",
        ("Exchange", "The account of both registers: reconcile", "button: Draw the account now"),
        "The account that both nodes draw alike, byte for byte.",
    ),
    Shot("register", "/register", ("Register",), "Every entry of both registers."),
    Shot("entry", "/entry/{party}/{idx}", ("Register", "row: IND .* a release"), "One entry and its proof."),
    Shot(
        "custody",
        "/custody/{which}",
        ("Exchange", "row: IND 1", "Its whole life: custody"),
        "One item from birth to destruction, and what end is still open.",
    ),
    Shot(
        "verify",
        "/verify",
        ("Register", "Verify everything now", "button: Verify now"),
        "Every hash, head, signature and decision computed again.",
    ),
    Shot(
        "extract",
        "/extract",
        ("Register", "The auditor's extract", "button: Draw the extract"),
        "Decisions and refusals of a period, with a sample to look at.",
    ),
    Shot(
        "undertakings",
        "/undertakings",
        ("Undertakings",),
        "What either party undertook, by its date, as both state it.",
    ),
    Shot(
        "undertaking",
        "/undertaking/{key:path}",
        ("Undertakings", f"row: {UNDERTAKING}"),
        "One undertaking in both parties' words.",
    ),
    Shot(
        "administration", "/admin", ("Administration",), "Link, keys, backups, devices and tokens, without any content."
    ),
    Shot("persons", "/persons", ("Administration", "Persons"), "Who is certified, in which roles, and until when."),
    Shot("person", "/person/{user}", ("Administration", "Persons", "row: iyer"), "One person as certified."),
    Shot(
        "agreement",
        "/agreement",
        ("Administration", "The agreement in words"),
        "The agreement in words, and what it leaves open.",
    ),
    Shot("me", "/me", ("rao",), "My sessions, passkeys and the tokens of my tools."),
    Shot("api", "/api", ("Administration", "Programs' interface"), "Every route of this node, from its one table."),
)
NOT_PICTURED = {"/me/passkey": "asked for by the script that makes a passkey, and seen by nobody"}
DARK = ("today", "draft")


def furnish(ours: Hand, theirs: Hand, desks: tuple[Desk, Desk], folder: Path) -> None:
    """Both nodes have a day's work behind them, and some of it open."""
    author = desks[0].people[0]
    _undertake(ours, desks[0])
    _undertake(theirs, desks[1])
    _document(ours, desks[0], folder)
    words = "Did your sensors see any of these hosts after 1 March?"
    ours.sign_in(author)
    tasks.send(ours, desks[0], tasks.ask(ours, words))
    ours.sign_in(author)
    tasks.take_in(ours, tasks.bundle(folder, "evening-feed", unsound=True))
    draft = tasks.freeze(ours)
    _order(ours, desks[0])
    tasks.approve(ours, desks[0], draft, number=1)
    ours.sign_in(author)
    tasks.token(ours, desks[0], "the watch floor's importer")
    theirs.sign_in(desks[1].people[0])
    _copy(theirs, desks[1])
    theirs.press("Today")
    theirs.wait_for(lambda: theirs.page.get_by_role("link", name=words).count() > 0, "the question")


def _undertake(hand: Hand, desk: Desk) -> None:
    """An undertaking of the first party stands in this party's register."""
    hand.sign_in(desk.people[0])
    hand.press("Undertakings")
    part = hand.part("State an undertaking")
    hand.write("Key", UNDERTAKING, within=part)
    hand.choose("Owed by", "IND", within=part)
    hand.write("Words, en", "India will give Korea the tracks of its coastal radars within ten minutes.", within=part)
    hand.write("Due", "2027-03-31", within=part)
    hand.write("Where it was said", "Joint committee, first session", within=part)
    hand.press("Prepare it for signing", "button")
    hand.write(PROOF, desk.people[0].password, within=hand.part("Sign"))
    hand.press("Sign", "button")
    hand.press("Enter it", "button")
    hand.says("Entered, entry")


def _document(hand: Hand, desk: Desk, folder: Path) -> None:
    """A document has crossed."""
    path = folder / "relay-hosts.txt"
    path.write_text("SAMPLE. Relay hosts seen in March, by week and by network.\n")
    hand.sign_in(desk.people[0])
    hand.press("Requests")
    hand.press("Documents")
    hand.press("Take in a document")
    hand.attach("File", path)
    hand.write("Title in en", TITLE)
    hand.press("Take it in", "button")
    tasks.send(hand, desk, tasks.freeze(hand))


def _order(hand: Hand, desk: Desk) -> None:
    """An order about the demo's release waits for its second signature."""
    hand.press("Exchange")
    hand.row(rf"\b{desk.party} 1\b")
    hand.press("Order it withdrawn, reclassified, returned or destroyed")
    part = hand.part("Withdraw it: the partner uses it no more")
    hand.write(PROOF, desk.people[0].password, within=part)
    hand.press("Order it withdrawn", "button")


def _copy(hand: Hand, desk: Desk) -> None:
    """A numbered copy of the partner's first release is out."""
    hand.press("Exchange")
    hand.row(r"\bIND 1\b")
    part = hand.part("Make a numbered copy")
    hand.write("Who holds it", "Watch officer, night shift", within=part)
    hand.write("Where", "Operations room 2, safe 4", within=part)
    hand.write(PROOF, desk.people[0].password, within=part)
    hand.press("Make the copy", "button")
