"""The forgotten name: who registered an address is mailed the name; everybody else learns nothing."""

import datetime as dt
from collections.abc import Iterator

import pytest

from flows.authenticators import phone_number
from flows.authenticators.email_address import lookups
from tests.journeys.conftest import opened
from tests.journeys.test_unknown_name import plain
from tests.journeys.world import PageVisitor, World, heading, solved

START = "/sparekey/forgotten-name"
BOB = "bob.private@example.net"


def ask(world: World, address: str, browser: PageVisitor | None = None, *, status: int | None = 200):
    browser = browser or world.browser()
    page = browser.get(START)
    return browser.submit(page, address=address, work=solved(page), status=status)


def share(world: World, username: str, address: str) -> None:
    """Give somebody an address that another person has registered, too."""
    services, subject = world.sparekey.services, world.identity(username).subject
    with services.database.transaction() as transaction:
        person = transaction.people.ensure(subject.source, subject.id, now=world.clock())
        transaction.authenticators.add(
            person.id,
            "email",
            address.encode(),
            now=world.clock(),
            trusted_from=world.clock(),
            provenance="self",
            lookup=lookups(services.vault, address)[0],
        )


def test_the_name_is_mailed_to_the_registered_address(world: World) -> None:
    world.register("bob", "email")
    page = ask(world, BOB)
    assert heading(page) == "Look at your mail"
    assert "bob" not in page.text.replace("bob.private", "")
    message = world.messages(BOB)[0]
    assert "\nbob\n" in message["text"]
    assert len(world.messages()) == 1


def test_it_goes_to_the_address_as_it_was_registered_and_not_as_it_was_typed(world: World) -> None:
    world.register("bob", "email")
    ask(world, "BOB.private+elsewhere@Example.NET")
    assert [message["to"] for message in world.messages()] == [BOB]


def test_people_who_share_a_mailbox_get_one_message_with_every_name(world: World) -> None:
    world.register("bob", "email")
    share(world, "dave", BOB)
    ask(world, BOB)
    assert len(world.messages()) == 1
    assert "\nbob\n\ndave\n" in world.messages(BOB)[0]["text"]


@pytest.mark.parametrize("typed", ["nobody@example.net", "bob@example.org", "bob", "@", "x" * 200])
def test_an_address_that_nobody_registered_gets_nothing_and_sees_the_same(world: World, typed: str) -> None:
    world.register("bob", "email")
    known, unknown = ask(world, BOB), ask(world, typed)
    world.work()
    assert plain(unknown, typed) == plain(known, BOB)
    assert [message["to"] for message in world.messages()] == [BOB]


def test_what_is_frozen_suspended_or_waits_for_trust_gets_nothing(world: World) -> None:
    for username in ("bob", "carol", "grace"):
        world.register(username, "email")
    services = world.sparekey.services
    with services.database.transaction() as transaction:
        own = {}
        for username in ("bob", "carol"):
            subject = world.identity(username).subject
            person = transaction.people.by_subject(subject.source, subject.id)
            own[username] = person.id
        transaction.people.freeze(own["bob"], now=world.clock())
        suspended = transaction.authenticators.of(own["carol"])[0]
        transaction.authenticators.suspend(suspended.id, now=world.clock())
    for username in ("bob", "carol"):
        ask(world, f"{username}.private@example.net")
    assert world.messages() == []
    ask(world, "grace.private@example.net")
    assert len(world.messages()) == 1


def test_asking_again_at_once_is_refused_by_what_was_typed_alone(world: World) -> None:
    world.register("bob", "email")
    ask(world, BOB)
    ask(world, "nobody@example.net")
    known, unknown = ask(world, BOB, status=429), ask(world, "nobody@example.net", status=429)
    assert "That is enough for now" in known
    assert plain(unknown, "nobody@example.net") == plain(known, BOB)


def test_aliases_of_a_mailbox_earn_it_no_further_messages(world: World) -> None:
    world.register("bob", "email")
    for number in range(8):
        world.clock.forward(minutes=2)
        ask(world, f"bob.private+{number}@example.net", status=None)
    assert len(world.messages()) == 5


def test_opening_pages_sends_nothing(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    for address in ("", "/wait", "/sent"):
        browser.get(f"{START}{address}?address={BOB}")
    assert world.messages() == []


def test_without_a_script_the_page_waits(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.submit(browser.get(START), address=BOB)
    assert heading(page) == "One moment, please"
    address = page.request.path_qs
    assert "bob" not in address
    assert heading(world.browser().get(address)) == "Which address did you register?"
    world.clock.forward(seconds=21)
    assert heading(browser.submit(browser.get(address))) == "Look at your mail"
    assert len(world.messages(BOB)) == 1


def test_without_work_nothing_is_sent(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    answer = browser.submit(browser.get(START), address=BOB, work="x", ticket="", status=422)
    assert "The check for robots did not come through" in answer
    assert world.messages() == []


def test_the_start_of_a_reset_leads_to_it_and_back_to_the_sign_in(world: World) -> None:
    browser = world.browser()
    page = browser.get("/sparekey/reset?return_to=/authorize%3Fclient_id%3Da")
    page = page.click("I do not know my name")
    page = browser.submit(page, address=BOB, work=solved(page))
    assert page.html.find("a", class_="button")["href"] == f"{world.public}/authorize?client_id=a"


NUMBER = "+31612345678"


@pytest.fixture(scope="module")
def phone_world() -> Iterator[World]:
    with opened(kinds=["email", "mobile_phone"], messages={"default_region": "NL"}) as world:
        yield world


@pytest.fixture
def phones(phone_world: World) -> World:
    """Bob has registered a mobile number and an address, Dave the number too, but not in use yet."""
    phone_world.begin_anew()
    phone_world.register("bob", "email")
    for username, wait in (("bob", 0), ("dave", 1)):
        share_number(phone_world, username, wait=dt.timedelta(hours=wait))
    return phone_world


def share_number(world: World, username: str, *, wait: dt.timedelta) -> None:
    services, subject = world.sparekey.services, world.identity(username).subject
    number = phone_number.parse(NUMBER, "")
    with services.database.transaction() as transaction:
        person = transaction.people.ensure(subject.source, subject.id, now=world.clock())
        transaction.authenticators.add(
            person.id,
            "mobile_phone",
            NUMBER.encode(),
            now=world.clock(),
            trusted_from=world.clock() + wait,
            provenance="self",
            lookup=phone_number.lookups(services.vault, number)[0],
        )


@pytest.mark.parametrize("typed", [NUMBER, "06 12345678", "0031 (0)6-1234 5678"])
def test_the_name_goes_to_a_registered_mobile_number(phones: World, typed: str) -> None:
    page = ask(phones, typed)
    assert heading(page) == "Look at your mail or phone"
    (message,) = phones.messages(NUMBER)
    assert message["text"] == "Your name for signing in at Example Company: bob"


@pytest.mark.parametrize(
    "typed", ["+31687654321", "+1 555 0100", "0612345678 ext 12", "nobody@example.net", "06", "☎"]
)
def test_every_number_and_address_is_answered_alike(phones: World, typed: str) -> None:
    known, unknown = ask(phones, NUMBER), ask(phones, typed)
    phones.work()
    assert plain(unknown, typed) == plain(known, NUMBER)
    assert [message["to"] for message in phones.messages()] == [NUMBER]


def test_other_ways_of_writing_a_number_earn_it_no_further_messages(phones: World) -> None:
    ask(phones, NUMBER)
    for typed in ("0612345678", "06-12345678", "\uff10\uff16 12345678"):
        ask(phones, typed, status=429)
    assert len(phones.messages()) == 1


def test_without_a_rule_that_lists_mobiles_nobody_is_asked_for_a_number(world: World) -> None:
    assert heading(world.browser().get(START)) == "Which address did you register?"
