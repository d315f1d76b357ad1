"""The journeys beside the reset, in front of a screen, as `stories` tells the first ones."""

import re
import time

from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.demo import RunningDemo
from tests.browser.stories import Look, code, go, nobody_looks, sign_in

NEW = "four words not together"
DONE = re.compile(r".+")


def forgotten_name(demo: RunningDemo, context: BrowserContext, look: Look = nobody_looks) -> Page:
    """Bob does not know his name any more, and finds it in his mail."""
    page = context.new_page()
    page.goto(demo.application)
    page.get_by_role("link", name="Sign in").click()
    go(page, "link", "Can't access your account?")
    look("is-it-something-else", page)
    go(page, "link", "I do not know my name")
    look("forgotten-name", page)
    page.get_by_role("button", name="Send me my name").click()
    page.get_by_role("alert").wait_for()
    look("forgotten-name-error", page)
    page.get_by_label("E-mail address").fill("bob.private@example.net")
    page.get_by_role("button", name="Send me my name").click()
    page.wait_for_url("**/forgotten-name/sent**")
    look("forgotten-name-sent", page)
    assert "\nbob\n" in mailed(demo, page, "bob.private", "The name to sign in with")
    return page


def asked_for_help(demo: RunningDemo, context: BrowserContext, look: Look = nobody_looks) -> Page:
    """Bob can use none of his ways, and asks the helpdesk."""
    page = context.new_page()
    page.goto(f"{demo.gateway}/sparekey/reset")
    page.get_by_label("User name").fill("bob")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reset/choose")
    go(page, "link", "I can use none of these")
    look("contact", page)
    page.get_by_role("button", name="Ask for help").click()
    page.get_by_role("alert").wait_for()
    look("contact-error", page)
    page.get_by_label("User name").fill("bob")
    page.get_by_label("I can use none of the ways").check()
    page.get_by_role("button", name="Ask for help").click()
    page.wait_for_url("**/contact/sent**")
    look("contact-sent", page)
    reference = page.locator(".secret").inner_text()
    assert "Bob Baker, bob" in mailed(demo, page, "frank@", reference)
    return page


def changed_signed_in(demo: RunningDemo, context: BrowserContext, look: Look = nobody_looks) -> Page:
    """Grace is signed in and changes her password, knowing the old one."""
    page = context.new_page()
    page.goto(f"{demo.gateway}/sparekey/")
    sign_in(demo, page, "grace")
    look("home-password", page)
    go(page, "link", "Change my password")
    look("change", page)
    page.get_by_label("Your current password", exact=True).fill("not it")
    page.get_by_label("New password").fill(NEW)
    page.locator("[data-rule=length_min].holds").wait_for()
    go(page, "button", "Change my password")
    look("change-error", page)
    page.get_by_label("Your current password", exact=True).fill(demo.passwords["grace"])
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button", name="Change my password").click()
    page.wait_for_url("**/change/done")
    look("change-done", page)
    return page


def expired(demo: RunningDemo, context: BrowserContext, look: Look = nobody_looks) -> Page:
    """Dave's password has expired on the way to the application, and he arrives there with a new one."""
    page = context.new_page()
    page.goto(demo.application)
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Can't access your account?").click()
    page.get_by_role("link", name="My password has expired").click()
    page.get_by_label("User name").fill("dave")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Get a code by e-mail").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Code", exact=True).fill(code(demo, page, "dave.private"))
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Your current password", exact=True).fill(demo.passwords["dave"])
    page.get_by_label("New password").fill(NEW)
    look("change-expired", page)
    page.get_by_role("button", name="Change my password").click()
    page.get_by_role("link", name="Go to sign-in").click()
    page.get_by_role("textbox").first.fill("dave")
    page.locator("input[type=password]").fill(NEW)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{demo.application}/**")
    return page


def moved(demo: RunningDemo, browser: Browser, context: BrowserContext, look: Look = nobody_looks) -> Page:
    """Carol begins at a desk and goes on on her phone."""
    desk = context.new_page()
    desk.goto(f"{demo.gateway}/sparekey/unlock")
    desk.get_by_label("User name").fill("carol")
    desk.get_by_role("button", name="Continue").click()
    desk.get_by_label("Get a code by e-mail").check()
    desk.get_by_role("button", name="Continue").click()
    desk.wait_for_url("**/unlock/code")
    look("code-and-another-device", desk)
    text = mailed(demo, desk, "carol.private", "/sparekey/here/")
    phone = browser.new_context(
        locale="en-GB", reduced_motion="reduce", viewport={"width": 390, "height": 844}
    )
    page = phone.new_page()
    page.goto(next(line for line in text.splitlines() if "/sparekey/here/" in line))
    look("here", page)
    page.get_by_label("Code", exact=True).fill(code(demo, page, "carol.private"))
    page.get_by_role("button", name="Go on here").click()
    page.get_by_role("button", name="Unlock my account").wait_for()
    desk.reload()
    look("moved", desk)
    assert desk.get_by_role("heading", level=1).inner_text() == "It goes on in another browser"
    phone.close()
    return desk


def mailed(demo: RunningDemo, page: Page, to: str, about: str) -> str:
    """The newest message to somebody with such words; the queue may need a moment."""
    for _try in range(200):
        for message in page.request.get(f"{demo.outbox}.json").json():
            if to in message["to"] and about in message["text"]:
                return str(message["text"])
        time.sleep(0.05)
    raise AssertionError(f"nothing about {about} was sent to {to}")
