"""The pages as people meet them: in Chromium, on a phone and on a desk, with and without script."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from gateway.catalogs import LANGUAGES
from tests.browser import stories
from tests.browser.demo import RunningDemo, started
from tests.browser.inspector import OVERFLOW, SMALL_TARGETS, Inspector, complain

OWN = "/sparekey/"
DONE = re.compile(r".+")


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with started() as running:
        yield running


def test_every_page_on_the_way_is_easy_to_use(demo: RunningDemo, chromium: Browser) -> None:
    inspector, said = Inspector(), []
    alice, bob, grace, nobody = (
        chromium.new_context(locale="en-GB", reduced_motion="reduce") for _person in range(4)
    )
    for context in (alice, bob, grace, nobody):
        context.set_default_timeout(15_000)
        context.on("page", lambda page: complain(page, said))
    stories.first_sign_in(demo, alice, inspector)
    stories.at_home(demo, alice, inspector)
    stories.forgotten_password(demo, bob, inspector)
    stories.confirmed_again(demo, grace, inspector)
    stories.stopped(demo, nobody, inspector)
    for context in (alice, bob, grace, nobody):
        context.close()
    assert len(inspector.seen) >= 24
    assert inspector.wrong == []
    assert said == []


def test_the_work_is_done_while_the_name_is_typed(demo: RunningDemo, browser_context: BrowserContext) -> None:
    page = browser_context.new_page()
    visited: list[str] = []
    page.on("framenavigated", lambda frame: visited.append(urlsplit(frame.url).path))
    page.goto(f"{demo.gateway}/sparekey/reset")
    expect(page.locator("[name=work]")).to_have_value(DONE)
    page.get_by_label("User name").fill("nobody")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/choose")
    assert visited == ["/sparekey/reset", "/sparekey/reset/choose"]


def test_pressing_before_the_work_is_done_waits_visibly_and_sends_once(
    demo: RunningDemo, browser_context: BrowserContext
) -> None:
    page, sent, held = browser_context.new_page(), [], []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    # The script comes twice: for the page, and for the worker whose answer is held back here.
    page.route("**/work.js*", lambda route: held.append(route))  # noqa: PLW0108 - a built-in is not taken
    page.goto(f"{demo.gateway}/sparekey/reset", wait_until="commit")
    _let_go(page, held)
    page.wait_for_load_state("load")
    page.get_by_label("User name").fill("nobody")
    page.get_by_role("button", name="Continue").dblclick()
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert sent == []
    _let_go(page, held)
    page.wait_for_url("**/reset/choose")
    assert len(sent) == 1


def _let_go(page: Page, held: list[Route]) -> None:
    while not held:
        page.wait_for_timeout(10)
    held.pop().continue_()


def test_errors_take_the_focus_to_their_summary(demo: RunningDemo, browser_context: BrowserContext) -> None:
    page = browser_context.new_page()
    page.goto(f"{demo.gateway}/sparekey/reset")
    expect(page.locator("[name=work]")).to_have_value(DONE)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_be_focused()
    page.get_by_role("link", name="Enter your user name").click()
    expect(page.get_by_label("User name")).to_be_focused()


def test_the_whole_way_works_by_keyboard(demo: RunningDemo, browser_context: BrowserContext) -> None:
    page = browser_context.new_page()
    page.goto(f"{demo.gateway}/sparekey/reset")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the main part")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("nobody-at-all")
    page.keyboard.press("Enter")
    page.wait_for_url("**/reset/choose")
    page.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**/reset/code")


def test_a_cookie_less_browser_is_told_so(demo: RunningDemo, browser_context: BrowserContext) -> None:
    page = browser_context.new_page()
    page.goto(f"{demo.gateway}/sparekey/reset")
    expect(page.locator("[name=work]")).to_have_value(DONE)
    browser_context.clear_cookies()
    page.get_by_label("User name").fill("bob")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your browser did not keep our cookie")


def test_our_pages_cannot_be_framed_and_run_no_inline_script(
    demo: RunningDemo, browser_context: BrowserContext
) -> None:
    page = browser_context.new_page()
    page.goto(f"{demo.gateway}/sparekey/reset")
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          const frame = document.createElement("iframe");
          frame.src = location.href;
          document.body.append(script, frame);
        }"""
    )
    assert page.evaluate("window.ran") is None
    assert len([frame for frame in page.frames if "/reset" in frame.url]) == 1


def test_no_language_is_too_wide_for_a_small_screen(
    demo: RunningDemo, browser_context: BrowserContext
) -> None:
    page, wide = browser_context.new_page(), []
    page.goto(f"{demo.gateway}/sparekey/reset")
    expect(page.locator("[name=work]")).to_have_value(DONE)
    page.get_by_label("User name").fill("nobody")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/choose")
    page.get_by_label("Get a code by e-mail").check()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/code")
    page.goto(f"{demo.gateway}/sparekey/register")
    stories.sign_in(demo, page, "heidi")
    page.set_viewport_size({"width": 320, "height": 640})
    for language in LANGUAGES:
        for path in ("reset", "reset/choose", "reset/code", "register"):
            page.goto(f"{demo.gateway}/sparekey/{path}?lang={language}")
            assert page.locator("html").get_attribute("lang") == language
            if page.evaluate(OVERFLOW) > 0:
                wide.append(f"{language} {path}")
            wide += [f"{language} {path}: {small}" for small in page.evaluate(SMALL_TARGETS)]
    assert wide == []


def test_the_language_is_changed_without_script_and_nothing_in_the_address_is_lost(
    demo: RunningDemo, chromium: Browser
) -> None:
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.goto(f"{demo.gateway}/sparekey/reset?identifier=bob")
    page.get_by_role("link", name="العربية").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("[name=identifier]")).to_have_value("bob")
    context.close()


def test_the_way_without_script_asks_for_patience_and_works(demo: RunningDemo, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{demo.gateway}/sparekey/reset")
    page.get_by_label("User name").fill("dave")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("One moment, please")
    # The page reloads itself when the server's clock says so.
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for waiting", timeout=20_000)
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Get a code by e-mail").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Code", exact=True).fill(stories.code(demo, page, "dave.private"))
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("New password").fill(stories.NEW)
    page.get_by_label("The same password again").fill(stories.NEW)
    page.get_by_role("button", name="Change my password").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your password was changed")
    context.close()
