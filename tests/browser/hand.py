"""A person at a desk, who knows it by its visible words alone: by mouse, by the keyboard alone, or without scripts.

What they press is listed, for a task is measured by it. Typing is not pressing; nor is signing in, or looking again.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Locator, Page, expect

from browser.bed import Person

Way = Literal["mouse", "keyboard", "no scripts"]
WAYS: tuple[Way, ...] = ("mouse", "keyboard", "no scripts")
PROOF = "Your password, once more"
MOST_STOPS = 500
PATIENCE_S = 45.0
# where the focus is: at the one looked for, with an outline, and not below something else
STOP = """
wanted => {
  const here = document.activeElement;
  const box = here.getBoundingClientRect(), style = getComputedStyle(here);
  const x = Math.min(Math.max(box.x + Math.min(box.width / 2, 12), 0), innerWidth - 1);
  const y = Math.min(Math.max(box.y + Math.min(box.height / 2, 12), 0), innerHeight - 1);
  const top = document.elementFromPoint(x, y);
  return {
    there: here === wanted, nowhere: here === document.body, name: here.outerHTML.slice(0, 120),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    inside: box.bottom > 0 && box.top < innerHeight, covered: !(here.contains(top) || top?.contains(here)),
  };
}
"""


@dataclass
class Hand:
    """Works one page in one way."""

    page: Page
    way: Way
    pressed: list[str] = field(default_factory=list)

    def sign_in(self, person: Person, *, at: str = "") -> None:
        """Signed in as this person; whoever was is signed out. `at` is the one address that is typed."""
        if at:
            self.page.goto(at)
        counted = list(self.pressed)
        if self.page.get_by_role("button", name="Sign out").count():
            self.press("Sign out", "button")
        self.write("User", person.user)
        self.write("Password", person.password)
        self.press("Sign in", "button")
        self.pressed[:] = counted

    def press(self, name: str, role: Literal["link", "button"] = "link", *, within: Locator | None = None) -> None:
        """The link or button of this name is pressed, and what it leads to is there."""
        found = (within or self.page.get_by_role("main")).get_by_role(role, name=name, exact=True)
        if within is None and not found.count():  # the menu and the head have it
            found = self.page.get_by_role(role, name=name, exact=True)
        self.press_it(found.first, name)

    def press_it(self, found: Locator, name: str) -> None:
        """This link or button is pressed, known to whoever looks as `name`, and what it leads to is there."""
        expect(found).to_be_visible()
        with self.page.expect_navigation(wait_until="load"):
            self.strike(found)
        self.pressed.append(name)

    def row(self, words: str, *, link: int = 0) -> None:
        """The first row that says these words is opened, by its link."""
        found = self.page.get_by_role("row", name=re.compile(words.replace("/", r"\/"))).first
        self.press_it(found.get_by_role("link").nth(link), f"the row of {words}")

    def write(self, label: str, text: str, *, within: Locator | None = None) -> None:
        """The field of this label holds this text; a field is named by what it begins with."""
        found = (within or self.page).get_by_label(re.compile(rf"^{re.escape(label)}( \(optional\))?$")).first
        if self.way == "keyboard":
            self.reach(found)
            self.page.keyboard.press("Control+a")
            self.page.keyboard.type(text)
        else:
            found.fill(text)

    def choose(self, label: str, words: str, *, within: Locator | None = None) -> None:
        """The choice of this label stands at the option that begins with these words."""
        found = (within or self.page).get_by_label(label, exact=True).first
        if self.way == "keyboard":
            self.reach(found)
            self.page.keyboard.type(words)
        else:
            option = found.get_by_role("option", name=re.compile(rf"^{re.escape(words)}")).first
            found.select_option(option.inner_text())
        self.pressed.append(label)

    def date(self, label: str, day: str) -> None:
        """The field of this label holds this day, YYYY-MM-DD; the browser is English, and takes DD/MM/YYYY by keys."""
        found = self.page.get_by_label(label, exact=True)
        if self.way == "keyboard":
            self.reach(found)
            self.page.keyboard.type("".join(reversed(day.split("-"))))
        else:
            found.fill(day)

    def attach(self, label: str, path: Path) -> None:
        """The field of this label holds this file, chosen in the browser's own window."""
        found = self.page.get_by_label(label, exact=True)
        with self.page.expect_file_chooser() as chooser:
            self.strike(found)
        chooser.value.set_files(path)
        self.pressed.append(label)

    def download(self, name: str) -> bytes:
        """What the link of this name hands over as a file."""
        found = self.page.get_by_role("link", name=name, exact=True)
        with self.page.expect_download() as handed:
            self.strike(found)
        self.pressed.append(name)
        data: bytes = handed.value.path().read_bytes()
        return data

    def strike(self, found: Locator) -> None:
        """It is clicked, or reached and entered by keys."""
        if self.way == "keyboard":
            self.reach(found)
            self.page.keyboard.press("Enter")
        else:
            found.click()

    def part(self, title: str) -> Locator:
        """The part of the page that is headed so."""
        return self.page.get_by_role("region", name=title, exact=True)

    def shown_id(self) -> str:
        """The id of what is shown, as every list shows it: the beginning of the address's last word."""
        last: str = self.page.url.rpartition("/")[2]
        return last[:12]

    def tick(self, label: str) -> None:
        """The box of this label is ticked."""
        found = self.page.get_by_label(label, exact=True)
        if self.way == "keyboard":
            self.reach(found)
            self.page.keyboard.press("Space")
        else:
            found.check()
        self.pressed.append(label)

    def reach(self, found: Locator) -> None:
        """Tab has come to it: each stop on the way is outlined, in sight and not covered, and none holds the focus."""
        wanted = found.element_handle()
        seen = dict[str, int]()
        for _ in range(MOST_STOPS):
            self.page.keyboard.press("Tab")
            stop = self.page.evaluate(STOP, wanted)
            if not stop["nowhere"]:
                assert stop["outlined"], f"no outline at {stop['name']} of {self.page.url}"
                assert stop["inside"], f"out of sight: {stop['name']} of {self.page.url}"
                assert not stop["covered"], f"covered: {stop['name']} of {self.page.url}"
            if stop["there"]:
                return
            seen[stop["name"]] = seen.get(stop["name"], 0) + 1
        most = max(seen, key=lambda name: seen[name])
        raise AssertionError(f"{MOST_STOPS} stops of Tab did not come to {found}; most often at {most}")

    def says(self, *words: str) -> None:
        """The page says all of these words."""
        for one in words:
            expect(self.page.get_by_role("main")).to_contain_text(one)

    def wait_for(self, found: Callable[[], bool], what: str) -> None:
        """It has come about while somebody looked again and again: nothing of it is pressed."""
        end = time.monotonic() + PATIENCE_S
        while not found():
            assert time.monotonic() < end, f"{what} did not come at {self.page.url}"
            self.page.wait_for_timeout(400)
            self.page.reload()
