"""Every screen can be come to by its visible words, is listed in docs/reference/screens.md, and has its picture there.

`./run test browser --screenshots` takes the pictures anew, in a demo of its own with a day's work done.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from browser import bed, screens
from browser.bed import Desk, demo_up, desks_of, watched
from browser.hand import Hand
from entente.areas.intelligence.pages import SCREENS as INTELLIGENCE_SCREENS
from entente.web.desk import SCREENS
from entente.web.screen import Screen
from promises.demo_run import ROOT

pytestmark = pytest.mark.browser
PAGE = ROOT / "docs" / "reference" / "screens.md"
MOST_BYTES = 4 << 20
TALLEST = 3200  # what is below that in a picture is more of the same


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[tuple[Desk, Desk]]:
    """The demo's two nodes after a day's work."""
    with demo_up() as folder:
        ours, theirs = desks_of(folder).values()
        with watched(browser, ours.web) as (here, _), watched(browser, theirs.web) as (there, _):
            hands = [Hand(page, "mouse") for page in (here, there)]
            for hand, desk in zip(hands, (ours, theirs), strict=True):
                hand.sign_in(desk.people[0], at="/")
            screens.furnish(hands[0], hands[1], (ours, theirs), tmp_path_factory.mktemp("feed"))
        yield ours, theirs


def test_every_screen_can_be_come_to_by_its_words(
    furnished: tuple[Desk, Desk], browser: Browser, pytestconfig: pytest.Config
) -> None:
    for party, desk in enumerate(furnished):
        for person, who in enumerate(desk.people):
            mine = [shot for shot in screens.SHOTS if (shot.party, shot.person) == (party, person)]
            if mine:
                with watched(browser, desk.web) as (page, _):
                    hand = Hand(page, "mouse")
                    hand.sign_in(who, at="/")
                    for shot in mine:
                        shot.walk(hand)
                        _take(pytestconfig, hand, shot.name)


def _take(config: pytest.Config, hand: Hand, name: str) -> None:
    page = hand.page
    page.wait_for_load_state("networkidle")
    _picture(config, page, name)
    if name in screens.DARK:
        page.emulate_media(color_scheme="dark")
        _picture(config, page, f"{name}-dark")
        page.emulate_media(color_scheme="light")


def _picture(config: pytest.Config, page: Page, name: str) -> None:
    """The picture stands there, if asked for, with few colours and not too tall."""
    bed.picture(config, page, name)
    if config.getoption("--screenshots"):
        _shrink(bed.SCREENSHOTS / f"{name}.png")


def test_the_page_where_persons_sign_in_is_pictured(
    furnished: tuple[Desk, Desk], browser: Browser, pytestconfig: pytest.Config
) -> None:
    with watched(browser, furnished[0].web) as (page, _):
        page.goto("/")
        _picture(pytestconfig, page, "sign-in")


def test_no_screen_is_left_out() -> None:
    walked = {shot.path for shot in screens.SHOTS} | set(screens.NOT_PICTURED)
    assert walked == {one.path for one in (*SCREENS, *INTELLIGENCE_SCREENS) if isinstance(one, Screen)}


def test_the_list_of_screens_shows_each_of_them() -> None:
    assert PAGE.read_text() == listed()
    pictures = {path.stem: path for path in bed.SCREENSHOTS.glob("*.png")}
    wanted = {shot.name for shot in screens.SHOTS} | {f"{name}-dark" for name in screens.DARK} | {"sign-in"}
    assert set(pictures) == wanted
    assert sum(path.stat().st_size for path in pictures.values()) < MOST_BYTES


def listed() -> str:
    """docs/reference/screens.md."""
    head = (
        "# The screens of the desk\n\n"
        "Every screen, in the order of the menu, with its address and what it is for. The pictures are of the demo "
        "after a day's work\n(SAMPLE agreement, invented persons); `./run test browser --screenshots` takes them and "
        "writes this page anew.\n\n"
        "## Sign in\n\n`/signin`: password, or a passkey where the desk is opened by a name.\n\n"
        "![Sign in](../screenshots/sign-in.png)\n"
    )
    parts = [head]
    for shot in screens.SHOTS:
        title = shot.name.replace("-", " ").capitalize()
        parts.append(f"\n## {title}\n\n`{shot.path}`: {shot.words}\n\n![{title}](../screenshots/{shot.name}.png)\n")
        if shot.name in screens.DARK:
            parts.append(f"\n![{title}, dark](../screenshots/{shot.name}-dark.png)\n")
    return "".join(parts)


@pytest.fixture(scope="module", autouse=True)
def _written(pytestconfig: pytest.Config) -> None:
    """The page stands anew, if the test run was asked for pictures."""
    if pytestconfig.getoption("--screenshots"):
        PAGE.write_text(listed())


def _shrink(path: Path) -> None:
    with Image.open(path) as picture:
        top = picture.convert("RGB").crop((0, 0, picture.width, min(picture.height, TALLEST)))
        top.quantize(48, dither=Image.Dither.NONE).save(path, optimize=True)
