"""Going on on another device: the link opens a page, the typed code moves the attempt there (S15)."""

import re

import pytest

from store.audit import AuditAction
from tests.journeys.world import PageVisitor, World, WorldFactory, heading

NEW = "four words not together"
BOB = "bob.private@example.net"


def link(world: World, to: str = BOB) -> str:
    found = (re.search(r"/sparekey/here/\S+", message["text"]) for message in world.messages(to))
    return next(match[0] for match in found if match)


def begun(world: World, name: str = "bob") -> PageVisitor:
    browser = world.browser()
    browser.page = browser.reset_until_code(name)
    return browser


@pytest.fixture
def with_bob(world: World) -> World:
    world.register("bob", "email")
    return world


def test_the_code_typed_there_goes_on_there_and_ends_here(with_bob: World) -> None:
    desk, phone = begun(with_bob), with_bob.browser("198.51.100.7")
    assert "Rather on another device?" in desk.page
    page = phone.get(link(with_bob))
    assert heading(page) == "Do you want to go on here?"
    page = phone.submit(page, code=with_bob.code(BOB))
    assert heading(page) == "What should your new password be?"
    assert heading(desk.get("/sparekey/reset/code", status=410)) == "It goes on in another browser"
    assert heading(desk.get("/sparekey/reset/password", status=410)) == "It goes on in another browser"
    assert heading(phone.submit(page, password=NEW)) == "Your password was changed"
    with with_bob.sparekey.services.database.reading() as transaction:
        assert len(transaction.audit.find(action=AuditAction.ATTEMPT_MOVED)) == 1


def test_opening_the_link_changes_nothing_however_often(with_bob: World) -> None:
    desk, address = begun(with_bob), link(with_bob)
    for _time in range(3):
        scanner = with_bob.browser("203.0.113.9")
        scanner.app.head(address)
        scanner.get(address)
    page = desk.submit(desk.page, code=with_bob.code(BOB))
    assert heading(page) == "What should your new password be?"


def test_the_link_holds_no_code_and_the_code_is_no_part_of_an_address(with_bob: World) -> None:
    begun(with_bob)
    assert with_bob.code(BOB) not in link(with_bob)


def test_a_wrong_code_there_counts_as_one_here(with_bob: World) -> None:
    desk, phone = begun(with_bob), with_bob.browser("198.51.100.7")
    right = with_bob.code(BOB)
    page = phone.get(link(with_bob))
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    page = phone.submit(page, code=wrong, status=422)
    assert "You can try 4 more times" in page
    page = desk.submit(desk.page, code=wrong, status=422)
    assert "You can try 3 more times" in page
    for _time in range(3):
        phone.submit(phone.get(link(with_bob)), code=wrong, status=None)
    phone.submit(phone.get(link(with_bob)), code=right, status=None)
    assert heading(phone.get("/sparekey/reset/password", status=410)) == "Please start again"


def test_a_newer_code_voids_the_older_link(with_bob: World) -> None:
    desk, phone = begun(with_bob), with_bob.browser("198.51.100.7")
    older, code = link(with_bob), with_bob.code(BOB)
    with_bob.clock.forward(seconds=61)
    desk.submit(desk.get("/sparekey/reset/choose"), kind="email")
    with_bob.work()
    page = phone.submit(phone.get(older), code=code, status=422)
    assert "This code is no longer good" in page


def test_in_the_same_browser_it_just_goes_on(with_bob: World) -> None:
    desk = begun(with_bob)
    page = desk.submit(desk.get(link(with_bob)), code=with_bob.code(BOB))
    assert heading(page) == "What should your new password be?"
    with with_bob.sparekey.services.database.reading() as transaction:
        assert not transaction.audit.find(action=AuditAction.ATTEMPT_MOVED)


def test_a_link_that_was_made_up_says_that_it_is_too_old(world: World) -> None:
    for made_up in ("x", "A" * 32, "..%2e"):
        page = world.browser().get(f"/sparekey/here/{made_up}", status=None)
        assert page.status_int in {404, 410}


def test_proofs_of_the_first_browser_do_not_come_along(open_a_world: WorldFactory) -> None:
    world = open_a_world(reset=2)
    world.register("bob", "email", "recovery_codes")
    desk = world.browser()
    page = desk.reset_until_code("bob", "recovery_codes")
    page = desk.submit(page, code=world.codes["bob"][0])
    desk.submit(page, kind="email")
    thief = world.browser("203.0.113.9")
    page = thief.submit(thief.get(link(world)), code=world.code(BOB))
    assert heading(page) == "How do you want to prove that it is you?"
    assert [option["value"] for option in page.html.select("input[name=kind]")] == ["recovery_codes"]
    thief.app.get("/sparekey/reset/password", status=303)


def test_an_unlock_moves_as_well(world: World) -> None:
    world.register("carol", "email")
    world.credential("carol").locked_at = world.clock()
    desk, phone = world.browser(), world.browser("198.51.100.7")
    desk.submit(desk.start_reset("carol", path="/sparekey/unlock"), kind="email")
    page = phone.get(link(world, "carol.private"))
    page = phone.submit(page, code=world.code("carol.private"))
    assert heading(page) == "Shall we unlock your account?"
    assert heading(desk.get("/sparekey/unlock/code", status=410)) == "It goes on in another browser"
