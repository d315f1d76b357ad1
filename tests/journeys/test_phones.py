"""Phones as pages: registered by text message or call, and used to get back in."""

import re
from collections.abc import Iterator

import pytest

from tests.journeys.conftest import opened
from tests.journeys.world import PageVisitor, World, heading

NUMBER = "(202) 555-0143"
STORED = "+12025550143"
DESK = "+12025550100;ext=12"
KINDS = ("email", "mobile_phone", "office_phone", "totp")


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    messages = {"mail": {"organisation": "Example Company"}, "default_region": "US"}
    with opened(kinds=KINDS, messages=messages) as world:
        yield world


def calls(world: World, to: str) -> list[dict[str, str]]:
    return [message for message in world.messages(to) if message["channel"] == "voice"]


def spoken_code(message: dict[str, str]) -> str:
    found = re.search(r"(\d(?:, \d){5})", message["text"])
    assert found
    return found[1].replace(", ", "")


def press(browser: PageVisitor, page, name: str, value: str):
    form = next(form for form in page.forms.values() if name in form.fields)
    return browser._follow(form.submit(name, value=value, status="*"), 200)


def registered(world: World, username: str = "alice", way: str = "sms") -> PageVisitor:
    browser = world.browser()
    browser.sign_in(username)
    page = browser.submit(browser.get("/sparekey/register/mobile-phone"), number=NUMBER)
    page = press(browser, page, "way", way)
    message = world.messages(STORED)[0]
    code = world.code(STORED) if way == "sms" else spoken_code(message)
    page = browser.submit(page, code=code)
    assert "Added." in page
    world.clock.forward(minutes=2)
    return browser


def reset_until_number(browser: PageVisitor, identifier: str, by: str = "mobile_phone.sms"):
    page = browser.submit(browser.start_reset(identifier), kind=by)
    browser.world.work()
    return page


def test_a_mobile_is_shown_as_it_was_read_before_anything_is_sent(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    page = browser.submit(browser.get("/sparekey/register/mobile-phone"), number=NUMBER)
    assert heading(page) == "Is this your number?"
    assert "+1 202-555-0143" in page
    assert "United States" in page
    assert not world.messages(STORED)


def test_a_mobile_registered_by_text_message_resets_the_password(world: World) -> None:
    browser = registered(world)
    assert "+1 •••••• 43" in browser.get("/sparekey/register")
    browser = world.browser()
    page = reset_until_number(browser, "alice")
    assert heading(page) == "What is the number of your mobile phone?"
    page = browser.submit(page, number="202.555.0143")
    assert heading(page) == "Which code did we text you?"
    page = browser.submit(page, code=world.code(STORED))
    page = browser.submit(page, password="four words not together")
    assert heading(page) == "Your password was changed"


def test_a_call_tells_the_code_only_after_a_key_was_pressed(world: World) -> None:
    registered(world, way="voice")
    at_once, after_the_key = calls(world, STORED)[0]["text"].split("\n\n")
    assert "press the hash key" in at_once
    assert not re.search(r"\d", at_once)
    assert after_the_key.count(", ") >= 10


def test_a_mobile_is_called_in_a_reset(world: World) -> None:
    registered(world)
    browser = world.browser()
    page = browser.submit(reset_until_number(browser, "alice", "mobile_phone.voice"), number=NUMBER)
    assert heading(page) == "Which code did the voice tell you?"
    page = browser.submit(page, code=spoken_code(calls(world, STORED)[0]))
    assert heading(page) == "What should your new password be?"


def test_any_number_and_any_name_are_answered_alike(world: World) -> None:
    registered(world)
    sent = len(world.messages("+1"))
    pages = []
    for name, number in (
        ("alice", "202 555 0199"),
        ("nobody-at-all", "202 555 0199"),
        ("bob", "202 555 0199"),
    ):
        browser = world.browser()
        page = browser.submit(reset_until_number(browser, name), number=number)
        refused = browser.submit(page, code="123456", status=422)
        pages.append([re.sub(r'value="[^"]{40,}"', "", each.text) for each in (page, refused)])
    assert pages[0] == pages[1] == pages[2]
    assert len(world.messages("+1")) == sent


def test_a_code_for_another_number_proves_nothing(world: World) -> None:
    registered(world)
    browser = world.browser()
    browser.submit(reset_until_number(browser, "alice"), number=NUMBER)
    old = world.code(STORED)
    world.clock.forward(seconds=61)
    page = browser.submit(browser.get("/sparekey/reset/number?by=mobile_phone.sms"), number="202 555 0199")
    assert "You can try 4 more times" in browser.submit(page, code=old, status=422)


def test_another_code_goes_to_the_same_number_by_the_same_way(world: World) -> None:
    registered(world)
    browser = world.browser()
    page = browser.submit(reset_until_number(browser, "alice"), number=NUMBER)
    world.work()
    before = len(world.messages(STORED))
    world.clock.forward(seconds=61)
    page = browser.submit(page, 1)
    assert heading(page) == "Which code did we text you?"
    assert len(world.messages(STORED)) == before + 1
    browser.submit(page, code=world.code(STORED))


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "Enter a phone number"),
        ("202 555", "too short"),
        ("900 555 0143", "costs extra"),
        ("800 555 0143", "costs extra"),
        ("+999 12345678", "No country has the code"),
        ("+31 20 794 6000", "belongs to a fixed line"),
        ("202 555 0143 x12", "without an extension"),
        ("2025550143" * 10, "in digits"),
        ("202 555 O143", "in digits"),
        ("202\x00 555 0143", "cannot be seen"),
        ("<script>", "in digits"),
    ],
)
def test_a_number_that_will_not_do_is_told_how_to_be_mended(world: World, typed: str, told: str) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    page = browser.submit(browser.get("/sparekey/register/mobile-phone"), number=typed, status=422)
    assert told in page
    assert page.html.select_one(".summary a")["href"] == "#number"


def test_a_hidden_number_that_was_tampered_with_is_read_again(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    page = browser.submit(browser.get("/sparekey/register/mobile-phone"), number=NUMBER)
    for typed in ("+19005550143", "", "x", "+1 202 555 0143;ext=1"):
        assert (
            heading(browser.submit(page, number=typed, status=422))
            == "What is the number of your mobile phone?"
        )
    assert not world.messages("+1")


def test_an_office_phone_is_the_directorys_and_is_called_with_its_extension(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    page = browser.get("/sparekey/register/office-phone")
    browser.submit(page, number=STORED, status=422)
    page = browser.submit(page, number=DESK)
    page = browser.submit(page, code=spoken_code(calls(world, DESK)[0]))
    assert "Added." in page
    browser = world.browser()
    world.clock.forward(minutes=2)
    page = browser.submit(reset_until_number(browser, "alice", "office_phone"), number="202 555 0100")
    page = browser.submit(page, code=spoken_code(calls(world, DESK)[0]))
    assert heading(page) == "What should your new password be?"


def test_nobody_registers_an_office_phone_that_the_directory_does_not_know(world: World) -> None:
    browser = world.browser()
    browser.sign_in("grace")
    assert (
        heading(browser.get("/sparekey/register/office-phone"))
        == "Your organisation knows no office phone of yours"
    )


def test_a_change_is_allowed_by_a_code_to_the_phone(world: World) -> None:
    registered(world)
    browser = world.browser()
    browser.sign_in("alice")
    world.clock.forward(minutes=2)
    page = browser.get("/sparekey/register/email")
    assert heading(page) == "Which way do you use to show that it is you?"
    page = browser.submit(page, kind=page.forms[0]["kind"].options[0][0])
    assert heading(page) == "Which code did we text you?"
    page = browser.submit(page, code=world.code(STORED))
    assert heading(page) == "Where should we send a code when you need one?"
