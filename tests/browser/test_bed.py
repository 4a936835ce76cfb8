"""The bed fails a test whose page asks another origin, complains, breaks its own policy, or cannot be used by all."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser import bed
from browser.bed import Desk, Violation, watched
from browser.conftest import Open
from promises.demo_run import start

pytestmark = pytest.mark.browser
THROWAWAY = Path(__file__).parent / "throwaway.py"
Axe = Callable[[Page], list[Violation]]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The throw-away site."""
    process = start(THROWAWAY).process
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.terminate()
    process.communicate(timeout=30)


def look(browser: Browser, site: str, name: str, *, scripts: bool = True, expected: str = "") -> None:
    """A watched page is opened and left."""
    with watched(browser, site, scripts=scripts) as (page, watch):
        if expected:
            watch.expect(expected)
        page.goto(f"/{name}")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("outside", r"outside: GET http://outside\.example/x\.png"),
        ("led-outside", r"outside: GET http://outside\.example/x\.png"),
        ("socket", r"outside: web socket ws://outside\.example/live"),
        ("complains", "console: the page complains"),
        ("throws", "script: .*the page throws"),
        ("styled", "console: .*Content Security Policy"),
        ("inline", "console: .*Content Security Policy"),
        ("nowhere", "console: .*status of 404"),
    ],
)
def test_a_page_that_does_what_none_may_fails_the_test(browser: Browser, site: str, name: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        look(browser, site, name)


@pytest.mark.parametrize(("name", "fault"), [("outside", "outside: GET"), ("styled", "Content Security Policy")])
def test_so_does_one_without_scripts(browser: Browser, site: str, name: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        look(browser, site, name, scripts=False)


def test_a_fault_that_is_expected_is_none_but_must_come(browser: Browser, site: str) -> None:
    look(browser, site, "nowhere", expected="status of 404")
    with pytest.raises(AssertionError, match="did not come"):
        look(browser, site, "well", expected="status of 404")


@pytest.mark.parametrize("dark", [False, True])
def test_a_page_that_is_well_passes_light_and_dark(open_page: Open, axe: Axe, site: str, dark: bool) -> None:
    page, _ = open_page(site, dark=dark)
    page.goto("/well")
    assert page.locator("output").inner_text() == "scripts are on"
    shown = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shown == ("rgb(17, 17, 17)" if dark else "rgb(255, 255, 255)")
    assert not axe(page)


@pytest.mark.parametrize(("name", "rule"), [("unlabelled", "label"), ("pale", "color-contrast")])
def test_axe_sees_what_cannot_be_used_by_all(open_page: Open, axe: Axe, site: str, name: str, rule: str) -> None:
    page, _ = open_page(site)
    page.goto(f"/{name}")
    assert [found.rule for found in axe(page)] == [rule]


def test_without_scripts_none_runs(open_page: Open, site: str) -> None:
    page, _ = open_page(site, scripts=False)
    page.goto("/well")
    assert page.locator("output").inner_text() == ""
    page.get_by_label("Name").fill("x")
    page.get_by_role("button", name="Ask").click()
    assert page.url == f"{site}/well?name=x"


@pytest.mark.parametrize(("language", "family"), [("hi", "Devanagari"), ("ko", "Nanum")])
def test_names_in_their_own_script_have_a_font_here(open_page: Open, site: str, language: str, family: str) -> None:
    page, _ = open_page(site)
    page.goto("/well")
    (found,) = bed.fonts_of(page, f"p[lang={language}]")
    assert family in found


def test_pictures_are_written_only_when_asked_for(
    open_page: Open, site: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setattr(bed, "SCREENSHOTS", tmp_path)
    page, _ = open_page(site)
    page.goto("/well")
    for asked in (False, True):
        monkeypatch.setattr(pytestconfig.option, "screenshots", asked)
        bed.picture(pytestconfig, page, "well")
        assert [path.name for path in tmp_path.iterdir()] == (["well.png"] if asked else [])


def test_the_demos_nodes_are_up_and_know_their_persons(desks: dict[str, Desk], browser: Browser) -> None:
    assert len({desk.web for desk in desks.values()}) == len(desks) == 2
    for desk in desks.values():
        author = desk.people[0]
        for password, status in (("wrong", 401), (author.password, 200)):
            credentials = {"username": author.user, "password": password, "send": "always"}
            context = browser.new_context(base_url=desk.web, http_credentials=credentials)
            answer = context.request.get("/taxii2/", headers={"Accept": "application/taxii+json;version=2.1"})
            context.close()
            assert answer.status == status
