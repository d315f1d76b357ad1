"""Two tabs, the back button, another person, no cookies, no JavaScript: held sign-ins in Chromium."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.people_at_keycloak import add_app, sign_in
from tests.browser.stories import go
from tests.journeys.keycloak_site import Site
from tests.servers import keycloak as kc
from tests.servers.browser import FLAGS
from tests.servers.presence import program
from tests.servers.relying_party import RelyingParty, StartRelyingParty

KEYCLOAKS_COOKIES = re.compile("^(AUTH|KEYCLOAK|KC_)")


@dataclass(frozen=True, slots=True)
class Applications:
    """Two that know nothing of each other: another client, another host."""

    timesheets: RelyingParty
    payroll: RelyingParty


@pytest.fixture
def applications(empty_totp_site: Site, relying_party: StartRelyingParty) -> Applications:
    issuer = empty_totp_site.realm.issuer
    return Applications(
        relying_party(issuer, kc.PUBLIC_APPLICATION, host="localhost"),
        relying_party(issuer, kc.CONFIDENTIAL_APPLICATION, kc.APPLICATION_SECRET),
    )


def is_asked(page: Page, site: Site) -> None:
    """Wait until the sign-in was stopped."""
    page.wait_for_url(f"{site.public}/sparekey/register**")


def test_each_tab_goes_on_to_its_own_application_and_only_one_is_asked(
    empty_totp_site: Site, applications: Applications, browser_context: BrowserContext
) -> None:
    site = empty_totp_site
    first, second = browser_context.new_page(), browser_context.new_page()
    first.goto(applications.timesheets.start)
    second.goto(applications.payroll.start)
    sign_in(first, "alice")
    is_asked(first, site)
    # Keycloak's page in the other tab notices by itself that somebody signed in.
    is_asked(second, site)
    add_app(first)
    second.reload()
    expect(second.get_by_text("Before you go on to 127.0.0.1")).to_be_visible()
    go(second, "button", "Continue to 127.0.0.1")
    second.get_by_role("heading", name="Signed in as alice").wait_for()
    go(first, "button", "Continue to localhost")
    first.get_by_role("heading", name="Signed in as alice").wait_for()
    assert first.url.startswith(applications.timesheets.callback)
    assert second.url.startswith(applications.payroll.callback)
    for application in (applications.timesheets, applications.payroll):
        assert application.refusals == []
        assert [claims["sub"] for claims in application.sign_ins] == [site.subject("alice")]


def test_the_back_button_after_the_release_says_so_and_ends_nothing(
    empty_totp_site: Site, applications: Applications, browser_context: BrowserContext
) -> None:
    site, page = empty_totp_site, browser_context.new_page()
    page.goto(applications.timesheets.start)
    sign_in(page, "alice")
    is_asked(page, site)
    add_app(page)
    go(page, "button", "Continue to")
    page.get_by_role("heading", name="Signed in as alice").wait_for()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("This sign-in is finished or too old")
    page.goto(applications.timesheets.start)
    page.get_by_role("heading", name="Signed in as alice").wait_for()
    assert applications.timesheets.refusals == []


def test_what_one_person_left_open_registers_nothing_for_the_next(
    empty_totp_site: Site, applications: Applications, browser_context: BrowserContext
) -> None:
    site = empty_totp_site
    alices, bobs = browser_context.new_page(), browser_context.new_page()
    alices.goto(applications.timesheets.start)
    sign_in(alices, "alice")
    is_asked(alices, site)
    browser_context.clear_cookies(name=KEYCLOAKS_COOKIES)
    bobs.goto(applications.payroll.start)
    sign_in(bobs, "bob")
    is_asked(bobs, site)
    go(alices, "button", "Add an authenticator app")
    expect(alices.get_by_role("heading", level=1)).to_have_text("This page was too old")
    add_app(bobs)
    go(bobs, "button", "Continue to")
    bobs.get_by_role("heading", name="Signed in as bob").wait_for()
    assert [claims["sub"] for claims in applications.payroll.sign_ins] == [site.subject("bob")]
    assert applications.timesheets.sign_ins == []


def test_a_held_sign_in_needs_no_javascript(
    empty_totp_site: Site, applications: Applications, chromium: Browser
) -> None:
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.goto(applications.timesheets.start)
    sign_in(page, "alice")
    is_asked(page, empty_totp_site)
    add_app(page)
    go(page, "button", "Continue to")
    page.get_by_role("heading", name="Signed in as alice").wait_for()
    context.close()


@pytest.fixture
def without_cookies(chromium: Browser, tmp_path: Path) -> Iterator[Page]:
    """A browser whose settings refuse every cookie."""
    settings = tmp_path / "Default" / "Preferences"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"profile": {"default_content_setting_values": {"cookies": 2}}}))
    program_path = program("chromium", package="chromium")
    with contextlib.closing(
        chromium.browser_type.launch_persistent_context(
            tmp_path, executable_path=program_path, args=FLAGS, chromium_sandbox=False, locale="en-GB"
        )
    ) as context:
        yield context.new_page()


def test_a_browser_that_refuses_cookies_is_told_by_whoever_it_asks_and_arrives_nowhere(
    empty_totp_site: Site, applications: Applications, without_cookies: Page
) -> None:
    page = without_cookies
    page.goto(applications.timesheets.start)
    sign_in(page, "alice")
    # Keycloak cannot go on either, so no answer is there to be held.
    page.get_by_text("cookies are disabled in your browser").wait_for()
    go(page, "link", "Can't access your account?")
    page.get_by_label("User name").fill("alice")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Your browser did not keep our cookie").wait_for()
    assert applications.timesheets.sign_ins == []
