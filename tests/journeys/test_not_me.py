""" "This was not me": one button stops what runs, ends sessions and tells the administrators."""

import re
from collections.abc import Iterator

import pytest

from store.audit import AuditAction
from tests.journeys.conftest import opened
from tests.journeys.world import World, WorldFactory, heading

NEW = "four words not together"
BOB = "bob.private@example.net"
ROLES = {"administrator": ["administrators"], "helpdesk": ["helpdesk"]}


@pytest.fixture(scope="module")
def staffed_world() -> Iterator[World]:
    with opened(roles=ROLES) as world:
        yield world


@pytest.fixture
def told(staffed_world: World) -> tuple[World, str]:
    """Bob, whose password was reset, and the page that the notice leads to."""
    world = staffed_world
    world.begin_anew()
    world.register("bob", "email")
    browser = world.browser()
    page = browser.submit(browser.reset_until_code("bob"), code=world.code(BOB))
    browser.submit(page, password=NEW)
    found = next(
        match[0]
        for message in world.messages(BOB)
        if (match := re.search(r"/sparekey/not-me/\S+", message["text"]))
    )
    world.clock.forward(minutes=2)
    return world, found


def stop(world: World, address: str) -> None:
    owner = world.browser("198.51.100.7")
    assert heading(owner.submit(owner.get(address))) == "It is stopped"


def test_a_running_attempt_ends(told: tuple[World, str]) -> None:
    world, address = told
    thief = world.browser("203.0.113.9")
    page = thief.submit(thief.reset_until_code("bob"), code=world.code(BOB))
    assert heading(page) == "What should your new password be?"
    stop(world, address)
    assert heading(thief.submit(page, password="another one of four", status=410)) == "Please start again"


def test_no_new_attempt_gets_anywhere(told: tuple[World, str]) -> None:
    world, address = told
    stop(world, address)
    before = len(world.messages(BOB))
    world.browser().reset_until_code("bob")
    assert len(world.messages(BOB)) == before


def test_sessions_are_over(told: tuple[World, str]) -> None:
    world, address = told
    thief = world.browser("203.0.113.9")
    thief.sign_in("bob", password=NEW)
    world.clock.forward(seconds=1)
    stop(world, address)
    thief.provider_cookies.clear()
    assert "/authorize" in thief.app.get("/sparekey/", status=303).headers["Location"]


def test_the_administrators_are_told_whom_it_is_about(told: tuple[World, str]) -> None:
    world, address = told
    stop(world, address)
    message = world.messages("erin@example.org")[0]
    assert "this was not me" in message["subject"]
    assert "Bob Baker bob" in message["text"]
    assert not world.messages("frank@example.org")
    with world.sparekey.services.database.reading() as transaction:
        assert len(transaction.audit.find(action=AuditAction.ALARM_SENT)) == 1


def test_addresses_in_the_settings_are_told_instead(open_a_world: WorldFactory) -> None:
    world = open_a_world(roles=ROLES, contact={"alarms": ["security@example.org"]})
    world.register("bob", "email")
    browser = world.browser()
    page = browser.submit(browser.reset_until_code("bob"), code=world.code(BOB))
    browser.submit(page, password=NEW)
    text = next(m["text"] for m in world.messages(BOB) if "/not-me/" in m["text"])
    stop(world, re.search(r"/sparekey/not-me/\S+", text)[0])
    assert len(world.messages("security@example.org")) == 1
    assert not world.messages("erin@example.org")


def test_home_tells_of_it_and_what_happened_in_words(told: tuple[World, str]) -> None:
    world, address = told
    stop(world, address)
    world.clock.forward(seconds=1)
    page = world.browser().sign_in("bob", password=NEW)
    assert "Account recovery is stopped for your account" in page
    for sentence in ("Your password was reset", "Account recovery was frozen"):
        assert sentence in page


def test_home_leads_to_the_change_and_to_the_helpdesk(told: tuple[World, str]) -> None:
    world, _address = told
    page = world.browser().sign_in("bob", password=NEW)
    assert page.html.find("a", string="Change my password")["href"] == "/sparekey/change"
    assert (
        page.html.find("a", string="Tell your helpdesk at once")["href"] == "/sparekey/contact?identifier=bob"
    )
