"""Every screen that links lead to can be used by all: axe, light and dark, narrow, enlarged, printed, at both nodes."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from playwright.sync_api import Browser, Page, ViewportSize
from pypdf import PdfReader

from browser.bed import Desk, Violation, watched
from browser.conftest import Open
from browser.hand import PROOF, Hand

pytestmark = pytest.mark.browser
Axe = Callable[[Page], list[Violation]]
FILES = re.compile(r"\.(csv|json|pdf)(\?|$)|/bytes$")
LEAST_SCREENS = 20
SIZES: tuple[tuple[str, ViewportSize], ...] = (
    ("narrow", {"width": 360, "height": 740}),
    ("at 200%", {"width": 640, "height": 400}),  # what a window of 1280 by 800 is then
)
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
# what sticks out to the right of the window and is not within something that scrolls by itself
WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.body.querySelectorAll("*")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, pre"))
  .map((one) => one.outerHTML.slice(0, 100))"""
# what is pressed and is smaller than 24 by 24, with no room of 24 around its middle, and does not stand in a sentence
SMALL = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
    .map((one) => [one, one.closest("label") || one]).map(([one, hit]) => [one, hit.getBoundingClientRect()])
    .filter(([one, box]) => box.width > 2 && box.height > 2 && one.checkVisibility() && !one.matches(".skip"));
  const middle = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  const near = (a, b) => {
    const [x, y] = middle(a), dx = Math.max(b.left - x, 0, x - b.right), dy = Math.max(b.top - y, 0, y - b.bottom);
    return Math.hypot(dx, dy) < 12;
  };
  return all.filter(([one, box]) => (box.width < 24 || box.height < 24)
      && all.some(([other, its]) => other !== one && near(box, its)) && !one.closest("p, td, dd, li"))
    .map(([one]) => one.outerHTML.slice(0, 100));
}"""


def kind_of(path: str) -> str:
    """An address without what differs between pages of one screen."""
    plain = re.sub(r"[0-9a-f]{16,64}", "ID", path.partition("?")[0])
    return re.sub(r"/(IND|KOR)/\d+|/\d+(?=/|$)", "/N", re.sub(r"^/person/.*", "/person/WHO", plain))


@pytest.fixture(scope="module")
def found(desks: dict[str, Desk], browser: Browser) -> dict[str, list[str]]:
    """Party to one address of each screen that links lead to from the menu."""
    made = {}
    for party, desk in desks.items():
        with watched(browser, desk.web) as (page, _):
            Hand(page, "mouse").sign_in(desk.people[0], at="/")
            made[party] = list(_led_to(page))
    return made


def _led_to(page: Page) -> Iterator[str]:
    seen, ahead = set[str](), ["/"]
    while ahead:
        path = ahead.pop(0)
        if FILES.search(path) or kind_of(path) in seen:
            continue
        seen.add(kind_of(path))
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"
        yield path
        ahead += list(page.eval_on_selector_all("a[href^='/']", "all => all.map(a => a.getAttribute('href'))"))


@pytest.fixture(params=[0, 1], ids=["first", "second"])
def rounds(
    request: pytest.FixtureRequest, desks: dict[str, Desk], found: dict[str, list[str]]
) -> tuple[Desk, list[str]]:
    """A party's desk, and one address of each of its screens."""
    desk = list(desks.values())[request.param]
    assert len(found[desk.party]) >= LEAST_SCREENS
    return desk, found[desk.party]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_screen_can_be_used_by_all(open_page: Open, axe: Axe, rounds: tuple[Desk, list[str]], dark: bool) -> None:
    desk, paths = rounds
    page = open_page(desk.web, dark=dark)[0]
    Hand(page, "mouse").sign_in(desk.people[0], at="/")
    faults: dict[str, object] = {}
    for path in paths:
        page.set_viewport_size(DESKTOP)
        page.goto(path)
        if grave := axe(page):
            faults[f"{path}: axe"] = grave
        for name, size in () if dark else SIZES:  # the dark theme changes colours alone
            page.set_viewport_size(size)
            if wrong := page.evaluate(WIDE) + page.evaluate(SMALL):
                faults[f"{path}: {name}"] = wrong
    assert not faults, "\n".join(f"{where}: {what}" for where, what in faults.items())


def test_each_printed_sheet_bears_the_banner(open_page: Open, rounds: tuple[Desk, list[str]]) -> None:
    desk, paths = rounds
    page = open_page(desk.web)[0]
    Hand(page, "mouse").sign_in(desk.people[0], at="/")
    for path in (one for one in paths if kind_of(one) in {"/", "/release/ID", "/agreement", "/register"}):
        page.goto(path)
        words = page.locator(".banner .marking").first.inner_text()
        sheets = PdfReader(BytesIO(page.pdf(format="A4"))).pages
        for sheet in sheets:
            assert sheet.extract_text().count(words.partition(" /")[0]) >= 2, f"{path}: a sheet of {len(sheets)}"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_so_can_the_pages_that_are_no_screens(open_page: Open, axe: Axe, desks: dict[str, Desk], dark: bool) -> None:
    desk = next(iter(desks.values()))
    page, watch = open_page(desk.web, dark=dark)
    watch.expect("status of 4")  # each of these pages is a refusal
    hand = Hand(page, "mouse")
    page.goto("/")
    assert not axe(page), "sign-in"
    hand.write("User", desk.people[0].user)
    hand.write("Password", "not this one")
    hand.press("Sign in", "button")
    assert not axe(page), "sign-in refused"
    hand.sign_in(desk.people[0], at="/")
    for path in ("/nowhere", "/release/" + "0" * 64):
        page.goto(path)
        assert not axe(page), path
    page.goto("/me")
    part = hand.part("A token for a tool")
    hand.write("For which tool", "x", within=part)
    hand.write(PROOF, "not this one", within=part)
    hand.press("Make the token", "button")
    assert page.get_by_role("alert").count() == 1
    assert not axe(page), "a form with an error"


def test_the_first_stop_skips_to_the_content(open_page: Open, desks: dict[str, Desk]) -> None:
    desk = next(iter(desks.values()))
    page = open_page(desk.web)[0]
    Hand(page, "mouse").sign_in(desk.people[0], at="/")
    page.goto("/desk")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
