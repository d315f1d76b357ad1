"""Passkeys in Chromium, with its virtual authenticator: registered, named, proved, and refused."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from tests.browser.served import served
from tests.journeys.world import World

KINDS = ["email", "passkey"]


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    with served(kinds=KINDS) as world:
        yield world


@dataclass
class Desk:
    """One browser with a device attached that makes passkeys."""

    world: World
    page: Page
    cdp: CDPSession
    device: str

    def credentials(self) -> list[dict[str, Any]]:
        return self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.device})["credentials"]

    def verify_user(self, *, verified: bool) -> None:
        self.cdp.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.device, "isUserVerified": verified}
        )

    def sign_in(self, username: str) -> None:
        self.page.goto(f"{self.world.public}/sparekey/register")
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(self.world.around.passwords[username])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/sparekey/register")

    def sign_in_again(self, username: str) -> None:
        self.page.context.clear_cookies()
        self.sign_in(username)

    def add_passkey(self, name: str) -> None:
        self.page.get_by_role("button", name="Add a passkey").click()
        self.page.get_by_label("Name of the passkey").fill(name)
        self.page.get_by_role("button", name="Create the passkey").click()

    def reset_until_choice(self, username: str) -> None:
        self.page.goto(f"{self.world.public}/sparekey/reset")
        self.page.get_by_label("User name or e-mail address").fill(username)
        self.page.get_by_role("button", name="Continue").click()
        self.page.wait_for_url("**/choose")
        self.world.work()

    def choose(self, way: str) -> None:
        self.page.get_by_role("radio", name=way).check()
        self.page.get_by_role("button", name="Continue").click()
        self.page.wait_for_url("**/code")
        self.world.work()
        self.world.clock.forward(seconds=6)


def attach(context: BrowserContext, page: Page, *, resident: bool) -> tuple[CDPSession, str]:
    cdp = context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "usb",
        "hasResidentKey": resident,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    return cdp, cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]


@contextlib.contextmanager
def elsewhere(desk: Desk, chromium: Browser) -> Iterator[Desk]:
    """Another browser, with a device of its own."""
    context = chromium.new_context(locale="en-GB")
    context.set_default_timeout(15_000)
    page = context.new_page()
    cdp, device = attach(context, page, resident=True)
    yield Desk(desk.world, page, cdp, device)
    context.close()


@pytest.fixture
def desk(shared_world: World, browser_context: BrowserContext) -> Desk:
    shared_world.begin_anew()
    page = browser_context.new_page()
    cdp, device = attach(browser_context, page, resident=True)
    return Desk(shared_world, page, cdp, device)


def test_a_passkey_is_registered_by_name_and_asks_not_to_be_kept_in_a_list(desk: Desk) -> None:
    desk.sign_in("alice")
    desk.add_passkey("Blue key")
    expect(desk.page.get_by_text("Blue key", exact=True)).to_be_visible()
    made = desk.credentials()
    assert [each["rpId"] for each in made] == ["localhost"]
    assert [each["isResidentCredential"] for each in made] == [False]


def test_a_second_passkey_on_the_same_device_is_refused_by_it(desk: Desk) -> None:
    desk.sign_in("alice")
    desk.add_passkey("Blue key")
    desk.page.get_by_text("Blue key", exact=True).wait_for()
    desk.add_passkey("The same again")
    expect(desk.page.get_by_role("alert")).to_contain_text("has a passkey for you already")


def test_a_device_that_does_not_check_its_holder_is_refused(desk: Desk) -> None:
    desk.sign_in("alice")
    desk.verify_user(verified=False)
    desk.add_passkey("Blue key")
    expect(desk.page.get_by_role("alert")).to_contain_text("Nothing is lost")
    assert desk.credentials() == []


def test_a_browser_that_is_known_resets_the_password_with_the_passkey_first(desk: Desk) -> None:
    desk.sign_in("alice")
    desk.add_passkey("Blue key")
    desk.page.get_by_text("Blue key", exact=True).wait_for()
    desk.reset_until_choice("alice")
    desk.choose("Use a passkey")
    desk.page.get_by_role("button", name="Continue").click()
    expect(desk.page.get_by_role("heading", name="What should your new password be?")).to_be_visible()


def test_a_strange_browser_resets_with_a_passkey_that_its_device_lists(desk: Desk, chromium: Browser) -> None:
    desk.sign_in("alice")
    desk.add_passkey("Blue key")
    desk.page.get_by_text("Blue key", exact=True).wait_for()
    (made,) = desk.credentials()
    with elsewhere(desk, chromium) as strange:
        strange.reset_until_choice("alice")
        strange.choose("Use a passkey")
        strange.page.get_by_role("button", name="Continue").click()
        expect(strange.page.get_by_role("alert")).to_contain_text("Nothing is lost")
        # As password managers do, which keep every passkey in their list, asked to or not.
        listed = {**made, "isResidentCredential": True, "userHandle": "AAAA"}
        strange.cdp.send("WebAuthn.addCredential", {"authenticatorId": strange.device, "credential": listed})
        strange.page.get_by_role("button", name="Continue").click()
        expect(strange.page.get_by_role("heading", name="What should your new password be?")).to_be_visible()


def test_a_passkey_is_proved_before_another_is_added(desk: Desk, chromium: Browser) -> None:
    desk.sign_in("alice")
    desk.add_passkey("Blue key")
    desk.page.get_by_text("Blue key", exact=True).wait_for()
    desk.sign_in_again("alice")
    desk.page.get_by_role("button", name="Add a passkey").click()
    desk.page.get_by_role("radio", name="Use a passkey").check()
    desk.page.get_by_role("button", name="Continue").click()
    expect(desk.page.get_by_role("heading", name="Is your passkey at hand?")).to_be_visible()
    desk.page.get_by_role("button", name="Continue").click()
    desk.page.get_by_role("button", name="Add a passkey").click()
    expect(desk.page.get_by_role("heading", name="What should we call this passkey?")).to_be_visible()


def test_without_a_script_the_page_says_so_and_offers_another_way(desk: Desk, chromium: Browser) -> None:
    visitor = desk.world.browser()
    visitor.submit(visitor.start_reset("alice"), kind="passkey")
    context = chromium.new_context(locale="en-GB", java_script_enabled=False)
    for cookie in visitor.app.cookiejar:
        context.add_cookies(
            [{"name": cookie.name, "value": str(cookie.value).strip('"'), "url": desk.world.public}]
        )
    page = context.new_page()
    page.goto(f"{desk.world.public}/sparekey/reset/code")
    expect(page.get_by_text("Passkeys need JavaScript")).to_be_visible()
    expect(page.get_by_role("link", name="Use another way")).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_be_hidden()
    context.close()
