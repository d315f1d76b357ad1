"""The field for a new password, as people and password managers meet it in Chromium."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from tests.browser import stories
from tests.browser.demo import RunningDemo, started
from tests.browser.inspector import violations

GOOD = "four words not together"
SHIFTS = """() => new Promise((resolve) => {
  let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => { sum += entry.value; }))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(sum), 100);
})"""


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with started() as running:
        yield running


@pytest.fixture(scope="module")
def context(chromium: Browser, demo: RunningDemo) -> Iterator[BrowserContext]:
    """Bob's browser, whose attempt stands at the new password; no test here sets one."""
    context = chromium.new_context(
        locale="en-GB",
        viewport={"width": 390, "height": 844},
        permissions=["clipboard-read", "clipboard-write"],
        reduced_motion="reduce",
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(f"{demo.gateway}/sparekey/reset")
    page.get_by_label("User name").fill("bob")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/choose")
    page.get_by_label("Get a code by e-mail").check()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/code")
    page.get_by_label("Code", exact=True).fill(stories.code(demo, page, "bob.private"))
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/password")
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, demo: RunningDemo) -> Iterator[Page]:
    page = context.new_page()
    page.goto(f"{demo.gateway}/sparekey/reset/password")
    yield page
    page.close()


def typed(page: Page, text: str) -> None:
    """Type, and wait for the findings about all of it."""
    with page.expect_response(lambda answer: answer.url.endswith("/findings") and answer.ok):
        page.get_by_label("New password").fill(text)


def test_rules_and_strength_follow_what_is_typed_and_nothing_moves(page: Page) -> None:
    strength = page.locator("[data-strength]")
    height = page.evaluate("document.documentElement.scrollHeight")
    for text, score in (("password1", "0"), ("Example1!", "0"), ("gr7mvqpz", "2"), (GOOD, "4")):
        typed(page, text)
        expect(strength).to_have_attribute("data-score", score)
        assert page.evaluate("document.documentElement.scrollHeight") == height
    expect(page.locator("[data-rule=not_banned]")).to_have_class(re.compile("holds"))
    expect(page.locator("[data-advice]")).to_have_text("Very hard to guess.")
    page.get_by_label("New password").fill("")
    expect(page.locator(".rules .holds, .rules .fails")).to_have_count(0)
    assert page.evaluate(SHIFTS) < 0.01


def test_what_is_typed_goes_to_our_own_page_and_nowhere_else(page: Page, demo: RunningDemo) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - Playwright marks what it gets
    typed(page, "gr7mvqpz-unusual")
    page.wait_for_load_state("networkidle")
    carrying = [each for each in asked if "gr7mvqpz" in (each.post_data or "") + each.url]
    assert {each.url for each in carrying} == {f"{demo.gateway}/sparekey/reset/findings"}
    assert {each.method for each in carrying} == {"POST"}
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    assert "gr7mvqpz" not in page.evaluate(kept)


def test_it_can_be_pasted_shown_and_hidden(page: Page) -> None:
    field = page.get_by_label("New password")
    page.evaluate("text => navigator.clipboard.writeText(text)", GOOD)
    field.focus()
    page.keyboard.press("Control+V")
    expect(field).to_have_value(GOOD)
    page.get_by_role("button", name="Show the password").click()
    expect(field).to_have_attribute("type", "text")
    page.get_by_role("button", name="Show the password").click()
    expect(field).to_have_attribute("type", "password")


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_a_suggestion_is_shown_ready_to_be_sent(page: Page, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.get_by_role("button", name="Suggest a password").click()
    expect(page.get_by_text("54 bits")).to_be_visible()
    field = page.get_by_label("New password")
    expect(field).to_have_attribute("type", "text")
    first = field.input_value()
    assert re.fullmatch(r"[a-z]{6}(-[a-z]{6}){2}", first)
    assert violations(page) == []
    page.get_by_role("button", name="Suggest another one").click()
    expect(field).not_to_have_value(first)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("What should your new password be?")


def test_a_suggestion_needs_no_script(chromium: Browser, context: BrowserContext, demo: RunningDemo) -> None:
    plain = chromium.new_context(
        java_script_enabled=False, locale="en-GB", storage_state=context.storage_state()
    )
    page = plain.new_page()
    page.goto(f"{demo.gateway}/sparekey/reset/password")
    page.get_by_role("button", name="Suggest a password").click()
    made = page.get_by_label("New password").input_value()
    assert re.fullmatch(r"[a-z]{6}(-[a-z]{6}){2}", made)
    expect(page.get_by_label("The same password again")).to_have_value(made)
    plain.close()
