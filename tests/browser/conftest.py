"""Fixtures of the browser tests: `desks`, `page`, `open_page`, `axe`, `screenshot`. What they do is in bed.py."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from browser.bed import Desk, Violation, Watch, chromium, demo_up, desks_of, grave_violations, picture, watched

Open = Callable[..., tuple[Page, Watch]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, one for the test run."""
    with sync_playwright() as playwright:
        started = chromium(playwright)
        yield started
        started.close()


@pytest.fixture(scope="session")
def desks() -> Iterator[dict[str, Desk]]:
    """Party to its node: the demo's two, up for the test run. What one test does there the next one finds."""
    with demo_up() as folder:
        yield desks_of(folder)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens watched pages: `open_page(desk.web, dark=True, scripts=False)` gives a page and its watch.

    Each has a context of its own: no cookie goes from one to another. All are checked when the test ends.
    """
    with ExitStack() as stack:
        yield lambda origin, **how: stack.enter_context(watched(browser, origin, **how))


@pytest.fixture
def page(open_page: Open, desks: dict[str, Desk]) -> Page:
    """A watched page at the first party's node, light, with scripts; nobody is signed in."""
    return open_page(next(iter(desks.values())).web)[0]


@pytest.fixture
def axe() -> Callable[[Page], list[Violation]]:
    """What asks axe about a page; a test asserts that it finds nothing serious or critical."""
    return grave_violations


@pytest.fixture
def screenshot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """`screenshot(page, name)` writes docs/screenshots/NAME.png, with `--screenshots` alone."""
    return lambda page, name: picture(request.config, page, name)
