"""An application of one page asks silently in a frame before it asks with the whole window, in Chromium."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.inspector import complain
from tests.browser.people_at_keycloak import add_app, sign_in
from tests.browser.single_page_application import learnt, redeem, serving
from tests.browser.stories import go
from tests.journeys.keycloak_site import Site

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
WANTED = "/reports?week=7&next=%2Fa"


@pytest.fixture(params=[PHONE, DESK], ids=["phone", "desk"])
def context(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    opened = chromium.new_context(locale="en-GB", viewport=request.param)
    opened.set_default_timeout(15_000)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def origin(totp_site: Site) -> Iterator[str]:
    with serving(totp_site) as address:
        yield address


def test_a_silent_sign_in_becomes_a_page_once_and_is_silent_ever_after(
    empty_totp_site: Site, origin: str, context: BrowserContext
) -> None:
    site, page, wrong = empty_totp_site, context.new_page(), []
    complain(page, wrong)
    page.goto(f"{origin}{WANTED}")
    sign_in(page, "alice")
    page.wait_for_url(f"{site.public}/sparekey/register**")
    add_app(page)
    go(page, "button", "Continue to")
    page.wait_for_url(f"{origin}{WANTED}")
    answer = learnt(page)
    # Nobody was signed in when the frame asked: the provider's own answer.
    assert answer["refused"] == "login_required"
    assert redeem(site, origin, answer)["sub"] == site.subject("alice")
    assert_silent(page, site, origin)
    assert wrong == []


def test_a_frame_is_told_that_a_page_is_needed_as_long_as_one_is(
    empty_totp_site: Site, origin: str, browser_context: BrowserContext
) -> None:
    site, page, later = empty_totp_site, browser_context.new_page(), browser_context.new_page()
    page.goto(origin)
    sign_in(page, "alice")
    page.wait_for_url(f"{site.public}/sparekey/register**")
    # Now there is a session, and the frame would be given a code if we did not speak for the provider.
    later.goto(f"{origin}{WANTED}")
    later.wait_for_url(f"{site.public}/sparekey/register**")
    add_app(later)
    go(later, "button", "Continue to")
    later.wait_for_url(f"{origin}{WANTED}")
    answer = learnt(later)
    assert answer["refused"] == "interaction_required"
    assert redeem(site, origin, answer)["sub"] == site.subject("alice")
    assert_silent(later, site, origin)


def test_whoever_is_covered_from_the_start_meets_no_page_of_ours(
    empty_totp_site: Site, origin: str, browser_context: BrowserContext
) -> None:
    site, page, opened = empty_totp_site, browser_context.new_page(), []
    page.on("framenavigated", lambda frame: opened.append(frame.url))
    site.register("alice")
    page.goto(f"{origin}{WANTED}")
    sign_in(page, "alice")
    page.wait_for_url(f"{origin}{WANTED}")
    assert redeem(site, origin, learnt(page))["sub"] == site.subject("alice")
    assert_silent(page, site, origin)
    assert [address for address in opened if "/sparekey/" in address] == []


def assert_silent(page: Page, site: Site, origin: str) -> None:
    """Open the application anew: it signs in, the window stays where it is, and no page of ours is asked."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    answer = learnt(page)
    assert "refused" not in answer
    assert redeem(site, origin, answer)["sub"] == site.subject("alice")
    assert sum("prompt=none" in address for address in asked) == 1
    assert [address for address in asked if "/sparekey/" in address] == []
    assert page.url == f"{origin}{WANTED}"
