"""The kinds that the demo does not offer, and links that messages bring, in front of a screen."""

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page

from gateway.question_wording import TOPICS
from tests.browser.served import served
from tests.browser.stories import Look, go, nobody_looks
from tests.browser.test_passkeys import attach
from tests.journeys.second_provider import SecondProvider, second_provider
from tests.journeys.world import World
from tests.servers.processes import free_port

KINDS = (
    "email",
    "mobile_phone",
    "office_phone",
    "totp",
    "passkey",
    "recovery_codes",
    "security_questions",
    "identity",
    "helpdesk_code",
)
CHOSEN = ("first_pet", "nickname", "first_job", "dream_job", "favourite_food")
MOBILE = "(202) 555-0143"
SPOKEN = re.compile(r"\d(?:, \d){5}")

Story = Callable[[World, SecondProvider, BrowserContext, Look], None]


@contextlib.contextmanager
def everything_offered() -> Iterator[tuple[World, SecondProvider]]:
    """Open a world whose policy takes two proofs of any kind, and a provider for the other identity."""
    port = free_port()
    with (
        TemporaryDirectory(prefix="sparekey-kinds-") as folder,
        second_provider(Path(folder) / "second", f"http://localhost:{port}") as second,
        served(
            kinds=KINDS,
            reset=2,
            port=port,
            identities=[second.settings],
            messages={"mail": {"organisation": "Example Company"}, "default_region": "US"},
        ) as world,
    ):
        yield world, second


def phones(world: World, _second: SecondProvider, context: BrowserContext, look: Look = nobody_looks) -> None:
    """Alice registers her two phones, is texted and called, and takes the password that we suggest."""
    page = _signed_in(world, context, "alice")
    look("register-every-kind", page)
    go(page, "link", "Add a mobile phone")
    look("register-mobile", page)
    go(page, "button", "Continue")
    look("register-mobile-error", page)
    page.get_by_label("Phone number").fill(MOBILE)
    go(page, "button", "Continue")
    look("register-mobile-read", page)
    go(page, "button", "Text me")
    look("register-mobile-code", page)
    page.get_by_label("Code", exact=True).fill(world.code("+1"))
    page.get_by_role("button", name="Add this number").click()
    world.clock.forward(minutes=2)
    go(page, "link", "Add your office phone")
    look("register-office", page)
    go(page, "button", "Call me")
    look("register-office-code", page)
    page.get_by_label("Code", exact=True).fill(_spoken(world))
    page.get_by_role("button", name="Add this number").click()
    page.get_by_role("status").wait_for()

    world.clock.forward(minutes=2)
    _reset_until_choice(world, page, "alice")
    look("choose-every-kind", page)
    _choose(page, "Text my mobile phone")
    look("number", page)
    page.get_by_label("Phone number").fill(MOBILE)
    page.clock.set_fixed_time(world.clock())
    go(page, "button", "Text me")
    look("text-code", page)
    page.get_by_label("Code", exact=True).fill(world.code("+1"))
    page.get_by_role("button", name="Continue").click()
    _choose(page, "Use a code that my helpdesk tells me")
    look("helpdesk-code", page)
    _type_what_the_helpdesk_tells(world, page, "alice")
    page.get_by_role("button", name="Suggest a password").click()
    page.get_by_role("button", name="Suggest another one").wait_for()
    look("password-suggested", page)


def called(world: World, _second: SecondProvider, context: BrowserContext, look: Look = nobody_looks) -> None:
    """Bob is called at his desk."""
    world.register("bob", "totp", days_ago=1)
    page = context.new_page()
    _reset_until_choice(world, page, "bob")
    _choose(page, "Call my office phone")
    page.get_by_label("Phone number").fill("+1 202 555 0102")
    page.clock.set_fixed_time(world.clock())
    go(page, "button", "Call me")
    look("call-code", page)


def passkey(
    world: World, _second: SecondProvider, context: BrowserContext, look: Look = nobody_looks
) -> None:
    """Alice makes a passkey, proves it before a change, and her device refuses once in a reset."""
    page = context.new_page()
    cdp, device = attach(context, page, resident=True)
    _sign_in(world, page, "alice")
    go(page, "button", "Add a passkey")
    look("register-passkey", page)
    page.get_by_label("Name of the passkey").fill("Blue key")
    page.get_by_role("button", name="Create the passkey").click()
    page.get_by_text("Blue key", exact=True).wait_for()
    context.clear_cookies(name=re.compile("session|portal"))
    _sign_in(world, page, "alice")
    page.get_by_role("button", name="Set up security questions").click()
    _choose(page, "Use a passkey")
    look("prove-passkey", page)

    _reset_until_choice(world, page, "alice")
    _choose(page, "Use a passkey")
    look("passkey", page)
    world.work()
    world.clock.forward(seconds=6)
    cdp.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("alert").get_by_text("Nothing is lost").wait_for()
    look("passkey-error", page)


def questions(
    world: World, _second: SecondProvider, context: BrowserContext, look: Look = nobody_looks
) -> None:
    """Bob sets up questions, repeats an answer by mistake, and is asked them after the mail."""
    world.register("bob", "email", days_ago=1)
    page = _signed_in(world, context, "bob")
    page.get_by_role("button", name="Set up security questions").click()
    _choose(page, "Get a code by e-mail")
    page.get_by_label("Code", exact=True).fill(world.code("bob.private"))
    page.get_by_role("button", name="Continue").click()
    go(page, "button", "Set up security questions")
    look("register-questions", page)
    for number, topic in enumerate(CHOSEN):
        page.get_by_label("Choose a question").nth(number).select_option(f"topic:{topic}")
        page.get_by_label("Your answer").nth(number).fill(f"answer {min(number, 3)}")
    go(page, "button", "Keep these questions")
    look("register-questions-error", page)
    page.get_by_label("Your answer").nth(4).fill("answer 4")
    page.get_by_role("button", name="Keep these questions").click()
    page.get_by_role("status").wait_for()

    world.clock.forward(minutes=2)
    _reset_until_choice(world, page, "bob")
    _choose(page, "Get a code by e-mail")
    page.get_by_label("Code", exact=True).fill(world.code("bob.private"))
    page.get_by_role("button", name="Continue").click()
    _choose(page, "Answer my security questions")
    look("questions", page)
    _answer(page, lambda _topic: "no idea")
    look("questions-error", page)
    _answer(page, lambda topic: f"Answer {topic}")
    page.wait_for_url("**/reset/password")


def identity(
    world: World, second: SecondProvider, context: BrowserContext, look: Look = nobody_looks
) -> None:
    """Alice links her sign-in at the university, and signs in there as somebody else in a reset."""
    page = _signed_in(world, context, "alice")
    go(page, "link", "Link another sign-in")
    look("register-identity", page)
    page.get_by_role("button", name="Sign in at").click()
    _sign_in_there(world, second, page, "bob")
    page.get_by_text("University", exact=True).wait_for()
    _reset_until_choice(world, page, "alice")
    _choose(page, "Sign in elsewhere")
    look("identity", page)
    world.work()
    world.clock.forward(seconds=6)
    page.get_by_role("button", name="Sign in at").click()
    _sign_in_there(world, second, page, "grace")
    page.get_by_role("alert").wait_for()
    look("identity-error", page)


def links_in_messages(
    world: World, _second: SecondProvider, context: BrowserContext, look: Look = nobody_looks
) -> None:
    """The helpdesk invites Bob to a reset; what he did not do himself, he stops."""
    world.register("bob", "email", "totp", days_ago=1)
    page = context.new_page()
    resets = world.sparekey.services.helping.administrator_reset
    resets.invite("bob", author="frank", now=world.clock())
    page.goto(f"{world.public}{_link(world, 'invited')}")
    look("invitation", page)
    page.goto(f"{world.public}/sparekey/invited/AAAAAAAAAAAAAAAAAAAAAAAA")
    look("invitation-gone", page)
    _sign_in(world, page, "bob")
    page.get_by_role("link", name="Remove").first.click()
    go(page, "button", "Remove it")
    look("remove-proof", page)
    page.goto(f"{world.public}/sparekey/register")
    page.get_by_role("button", name="Make recovery codes").click()
    _choose(page, "Get a code by e-mail")
    page.get_by_label("Code", exact=True).fill(world.code("bob.private"))
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Make recovery codes").click()
    page.get_by_role("button", name="I have saved them").click()
    page.get_by_role("status").wait_for()
    page.goto(f"{world.public}{_link(world, 'not-me')}")
    look("not-me", page)
    go(page, "button", "This was not me")
    look("not-me-stopped", page)
    _sign_in(world, page, "bob")
    look("register-stopped", page)


def handed_out(
    world: World, _second: SecondProvider, context: BrowserContext, look: Look = nobody_looks
) -> None:
    """Bob has lost everything; his helpdesk gives him a code, which he mistypes, and he adds an address."""
    world.register("bob", "totp", days_ago=1)
    page = _signed_in(world, context, "bob")
    page.get_by_role("link", name="Add an e-mail address").click()
    go(page, "link", "I have a code from my helpdesk")
    look("register-handed-out", page)
    page.get_by_label("Code", exact=True).fill("ABCD-EFGH")
    go(page, "button", "Continue")
    look("register-handed-out-error", page)
    codes = world.sparekey.services.helping.registration_codes
    page.get_by_label("Code", exact=True).fill(codes.issue("bob", author="frank", now=world.clock()).code)
    go(page, "button", "Continue")
    page.get_by_label("E-mail address").wait_for()


STORIES: tuple[Story, ...] = (
    phones,
    called,
    passkey,
    questions,
    identity,
    links_in_messages,
    handed_out,
)


def _signed_in(world: World, context: BrowserContext, username: str) -> Page:
    page = context.new_page()
    _sign_in(world, page, username)
    return page


def _sign_in(world: World, page: Page, username: str) -> None:
    _catch_up(world)
    page.goto(f"{world.public}/sparekey/register")
    if urlsplit(page.url).path != "/sparekey/register":
        page.get_by_label("User name").fill(username)
        page.get_by_label("Password").fill(world.around.passwords[username])
        page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/sparekey/register")


def _catch_up(world: World) -> None:
    # The providers' tokens bear the real time. And a session of the very moment in which another was ended
    # counts as ended with it.
    world.clock.now = max(world.clock.now, dt.datetime.now(dt.UTC)) + dt.timedelta(milliseconds=1)


def _sign_in_there(world: World, second: SecondProvider, page: Page, username: str) -> None:
    _catch_up(world)
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(second.people.passwords[username])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("http://localhost:*/**")


def _reset_until_choice(world: World, page: Page, username: str) -> None:
    page.goto(f"{world.public}/sparekey/reset")
    page.get_by_label("User name").fill(username)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/choose")
    world.work()


def _choose(page: Page, way: str) -> None:
    page.get_by_role("radio", name=way).check()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_load_state()


def _type_what_the_helpdesk_tells(world: World, page: Page, username: str) -> None:
    reference = page.locator(".secret").inner_text()
    world.clock.forward(seconds=6)
    codes = world.sparekey.services.helping.helpdesk_codes
    told = codes.issue(username, "reset", reference, author="frank", now=world.clock())
    page.get_by_label("Code", exact=True).fill(told.code)
    page.get_by_role("button", name="Continue").click()


def _answer(page: Page, answer: Callable[[int], str]) -> None:
    asked = {str(TOPICS[topic]): number for number, topic in enumerate(CHOSEN)}
    for label in page.locator("label.label").all():
        label.locator("+ * , ~ input").last.fill(answer(asked[label.inner_text()]))
    page.get_by_role("button", name="Continue").click()


def _spoken(world: World) -> str:
    text = next(message["text"] for message in world.messages("+1") if message["channel"] == "voice")
    found = SPOKEN.search(text)
    assert found
    return found[0].replace(", ", "")


def _link(world: World, to: str) -> str:
    return next(
        found[0]
        for message in world.messages()
        if (found := re.search(rf"/sparekey/{to}/\S+", message["text"]))
    )
