"""What people do in front of a screen; each page on the way is handed to whoever wants to look at it."""

import re
import time
from collections.abc import Callable
from typing import Literal

import pyotp
from playwright.sync_api import BrowserContext, Page

from tests.browser.demo import RunningDemo

Look = Callable[[str, Page], None]
CODE = re.compile(r"\b(\d{3}) ?(\d{3})\b")
NEW = "four words not together"


def nobody_looks(name: str, page: Page) -> None:
    """Look at nothing."""


def go(page: Page, role: Literal["link", "button"], name: str) -> None:
    """Press what leads to another page, and wait until that page is there: the old one must not be judged."""
    with page.expect_navigation():
        page.get_by_role(role, name=name).click()


def first_sign_in(demo: RunningDemo, context: BrowserContext, look: Look = nobody_looks) -> Page:
    """Alice wants to use the application, is stopped, registers an address, and arrives."""
    page = context.new_page()
    page.goto(demo.application)
    go(page, "link", "Sign in")
    look("sign-in", page)
    sign_in(demo, page, "alice")
    look("register", page)
    go(page, "link", "Add an e-mail address")
    look("register-email", page)
    go(page, "button", "Send the code")
    look("register-email-error", page)
    page.get_by_label("E-mail address").fill("alice.private@example.net")
    go(page, "button", "Send the code")
    look("register-code", page)
    page.get_by_label("Code", exact=True).fill(code(demo, page, "alice.private"))
    go(page, "button", "Add this address")
    look("hold", page)
    page.get_by_role("button", name="Continue to").click()
    page.wait_for_url(f"{demo.application}/**")
    return page


def at_home(demo: RunningDemo, context: BrowserContext, look: Look = nobody_looks) -> None:
    """Alice, signed in, looks at what she has, adds an app, and looks at removing."""
    page = context.new_page()
    page.goto(f"{demo.gateway}/sparekey/")
    look("home", page)
    go(page, "link", "Add, change or remove")
    look("ways-back", page)
    page.get_by_role("button", name="Add an authenticator app").click()
    page.get_by_text("I cannot scan it").click()
    look("register-app", page)
    secret = page.locator(".secret").inner_text().replace(" ", "")
    page.get_by_label("Code", exact=True).fill(pyotp.TOTP(secret).now())
    go(page, "button", "Add this app")
    look("added", page)
    page.get_by_role("button", name="Make recovery codes").click()
    page.wait_for_url("**/recovery-codes/*")
    look("recovery-codes", page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    shown = page.locator(".codes li").all_inner_texts()
    assert set(shown) < set(download.value.path().read_text("utf-8").splitlines())
    page.get_by_role("button", name="I have saved them").click()
    page.get_by_text("10 codes left").wait_for()
    look("recovery-codes-added", page)
    page.get_by_role("link", name="Remove").first.click()
    look("remove", page)
    page.goto(f"{demo.gateway}/sparekey/oidc/logout")
    look("sign-out", page)
    page.goto(demo.outbox)
    look("outbox", page)
    page.close()


def confirmed_again(demo: RunningDemo, context: BrowserContext, look: Look = nobody_looks) -> Page:
    """Grace registered 400 days ago; one click is enough, but not for changes."""
    page = context.new_page()
    page.goto(demo.application)
    page.get_by_role("link", name="Sign in").click()
    sign_in(demo, page, "grace")
    look("confirm", page)
    page.get_by_role("button", name="Looks good").click()
    page.wait_for_url(f"{demo.application}/**")
    page.goto(f"{demo.gateway}/sparekey/register")
    go(page, "link", "Change")
    look("prove", page)
    page.get_by_role("radio").first.check()
    go(page, "button", "Continue")
    look("prove-code", page)
    page.get_by_label("Code", exact=True).fill(code(demo, page, "grace.private"))
    go(page, "button", "Continue")
    look("register-change", page)
    return page


def forgotten_password(demo: RunningDemo, context: BrowserContext, look: Look = nobody_looks) -> Page:
    """Bob forgot his password on the way to the application, and arrives there with a new one."""
    page = context.new_page()
    page.goto(demo.application)
    page.get_by_role("link", name="Sign in").click()
    go(page, "link", "Can't access your account?")
    look("reset", page)
    go(page, "button", "Continue")
    look("reset-error", page)
    page.get_by_label("User name").fill("bob")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/choose")
    look("choose", page)
    page.get_by_label("Use a recovery code").check()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/code")
    look("recovery-code", page)
    page.get_by_role("link", name="Use another way").click()
    page.get_by_label("Get a code by e-mail").check()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/code")
    look("code", page)
    right = code(demo, page, "bob.private")
    page.get_by_label("Code", exact=True).fill(f"{(int(right) + 1) % 1_000_000:06}")
    go(page, "button", "Continue")
    look("code-error", page)
    page.get_by_label("Code", exact=True).fill(f"{right[:3]} {right[3:]}")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/password")
    page.get_by_label("New password").press_sequentially("bob", delay=20)
    page.locator("[data-rule=length_min].fails").wait_for()
    page.get_by_role("button", name="Show the password").click()
    look("password", page)
    page.get_by_label("New password").fill(NEW)
    page.locator("[data-rule=length_min].holds").wait_for()
    go(page, "button", "Change my password")
    look("done", page)
    page.get_by_role("link", name="Go to sign-in").click()
    page.get_by_role("textbox").first.fill("bob")
    page.locator("input[type=password]").fill(NEW)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{demo.application}/**")
    return page


def stopped(demo: RunningDemo, context: BrowserContext, look: Look = nobody_looks) -> None:
    """Where it does not go on."""
    page = context.new_page()
    for name, path in {
        "not-found": "nothing",
        "hold-gone": "hold/AAAAAAAAAAAAAAAAAAAAAAAA",
        "over": "reset/code",
    }.items():
        page.goto(f"{demo.gateway}/sparekey/{path}")
        look(name, page)
    page.close()


def sign_in(demo: RunningDemo, page: Page, username: str) -> None:
    """Fill in the provider's own page."""
    page.get_by_role("textbox").first.fill(username)
    page.locator("input[type=password]").fill(demo.passwords[username])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{demo.gateway}/sparekey/**")


def code(demo: RunningDemo, page: Page, to: str) -> str:
    """The newest code that somebody was sent; the queue may need a moment."""
    for _try in range(100):
        for message in page.request.get(f"{demo.outbox}.json").json():
            found = CODE.search(message["text"])
            if to in message["to"] and found:
                return "".join(found.groups())
        time.sleep(0.05)
    raise AssertionError(f"no code was sent to {to}")
