"""Which password works where: on the page after a reset, and at home."""

import datetime as dt

import pytest

from tests.journeys.world import World, WorldFactory, heading
from tests.servers.slapd import Slapd

NEW = "four words not together"
NOWHERE = "This is where your password works"


@pytest.fixture
def world(open_a_world: WorldFactory, slapd: Slapd) -> World:
    world = open_a_world(
        directories=[slapd.settings(name="branch", seconds=2).model_dump()],
        targets=[{"directory": "demo"}, {"directory": "branch", "required": False}],
    )
    world.register("bob", "email")
    return world


def reset(world: World) -> str:
    browser = world.browser()
    page = browser.submit(browser.reset_until_code("bob"), code=world.code("bob.private"))
    page = browser.submit(page, password=NEW)
    assert heading(page) == "Your password was changed"
    return " ".join(page.html.main.get_text(" ").split())


def home(world: World) -> str:
    page = world.browser().sign_in("bob", password=NEW)
    assert heading(page) == "My ways back in"
    return " ".join(page.html.main.get_text(" ").split())


def test_home_says_where_the_password_works_and_when_that_changes(world: World, slapd: Slapd) -> None:
    slapd.stop()
    assert "branch : not yet" in reset(world)
    slapd.restart()
    at_home = home(world)
    assert "demo : the new password works" in at_home
    assert "branch : not yet, because it did not answer" in at_home
    world.clock.forward(seconds=60)
    world.work()
    assert slapd.accepts("bob", NEW)
    assert "branch : the new password works" in home(world)


def test_what_is_never_settled_is_not_called_under_way_for_ever(world: World) -> None:
    services, subject = world.sparekey.services, world.identity("bob").subject
    with services.database.transaction() as transaction:
        person = transaction.people.ensure(subject.source, subject.id, now=world.clock())
        long_ago = world.clock() - dt.timedelta(minutes=91)
        transaction.target_states.note(person.id, {"branch": "later"}, now=long_ago)
    page = world.browser().sign_in("bob")
    assert "still the old password, because it did not answer" in page


def test_home_says_nothing_before_the_first_change(world: World) -> None:
    page = world.browser().sign_in("bob")
    assert NOWHERE not in page


def test_home_says_nothing_where_there_is_one_place(open_a_world: WorldFactory) -> None:
    world = open_a_world()
    world.register("bob", "email")
    services, subject = world.sparekey.services, world.identity("bob").subject
    with services.database.transaction() as transaction:
        person = transaction.people.ensure(subject.source, subject.id, now=dt.datetime.now(dt.UTC))
        transaction.target_states.note(person.id, {"demo": "written"}, now=dt.datetime.now(dt.UTC))
    assert NOWHERE not in world.browser().sign_in("bob")
