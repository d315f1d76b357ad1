"""The steps of alice and bob at Keycloak's page and at ours, where an authenticator app is asked for."""

import pyotp
from playwright.sync_api import Page

from tests.browser.stories import go
from tests.journeys.keycloak_site import PASSWORD


def sign_in(page: Page, username: str) -> None:
    """Fill in Keycloak's page."""
    page.locator("#username").fill(username)
    page.locator("#password").fill(PASSWORD.format(username))
    with page.expect_navigation():
        page.locator("#kc-login").click()


def add_app(page: Page) -> None:
    """Register an authenticator app where the sign-in was stopped."""
    go(page, "button", "Add an authenticator app")
    page.get_by_text("I cannot scan it").click()
    secret = page.locator(".secret").inner_text().replace(" ", "")
    page.get_by_label("Code", exact=True).fill(pyotp.TOTP(secret).now())
    go(page, "button", "Add this app")
