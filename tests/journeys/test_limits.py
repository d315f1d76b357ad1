"""Limits as people and attackers meet them: over the pages, with the numbers that are shipped."""

import pytest
from click.testing import CliRunner
from webtest import TestResponse

from gateway.cli import people
from gateway.cli.who_runs import operator_name
from store.audit import AuditAction
from tests.journeys.world import PageVisitor, World, heading, solved

PASSWORD = "four words not together"
SHIPPED = {"starts_per_minute": 3}


def ask_for_a_code(world: World, number: int, name: str, *, fresh: bool = True) -> int:
    """Ask for a code as a new browser at a new address that also lies about it; returns the last status."""
    address = f"198.51.{number}.7" if fresh else "198.51.100.7"
    lies = {"HTTP_X_FORWARDED_FOR": f"203.0.113.{number}", "HTTP_FORWARDED": f"for=203.0.113.{number}"}
    browser = world.browser(address, **lies)
    page = browser.start_reset(name, status=None)
    if page.status_int == 200:
        page = browser.submit(page, kind="email", status=None)
    world.work()
    world.clock.forward(seconds=61)
    return page.status_int


def guess(world: World, name: str, times: int) -> TestResponse:
    """Answer wrongly as so many strangers; returns the last one's last page."""
    for _ in range(times):
        browser = world.browser("203.0.113.7")
        page = browser.start_reset(name, status=None)
        page = browser.submit(page, kind="totp", status=None)
        world.work()
        world.clock.forward(seconds=5)
        if page.status_int == 200:
            page = browser.submit(page, code="000000", status=None)
    return page


def finish(world: World, browser: PageVisitor, name: str = "bob") -> TestResponse:
    page = browser.submit(browser.reset_until_code(name), code=world.code(f"{name}.private"))
    return browser.submit(page, password=PASSWORD)


def test_forty_requests_for_one_person_send_five_messages_whatever_they_claim(world: World) -> None:
    world.register("bob", "email")
    aliases = ["bob", "BOB", " bob ", "bob@example.org", "Bob@Example.ORG", "\uff42ob"]
    world.clock.forward(seconds=0.5)
    for number in range(40):
        ask_for_a_code(world, number, aliases[number % len(aliases)])
    assert len(world.messages("bob.private")) == 5


def test_requests_of_one_client_do_not_shut_out_the_others_behind_its_address(open_a_world) -> None:
    world = open_a_world(limits=SHIPPED)
    world.register("bob", "email")
    world.register("grace", "email")
    for _ in range(40):
        browser = world.browser("198.51.100.7")
        browser.submit(browser.start_reset("bob"), kind="email", status=None)
    neighbour = world.browser("198.51.100.9")
    assert heading(finish(world, neighbour, "grace")) == "Your password was changed"


def test_noise_makes_the_work_harder_before_anybody_is_refused(open_a_world) -> None:
    world = open_a_world(limits=SHIPPED)
    asked = []
    for number in range(40):
        browser = world.browser("198.51.100.7")
        page = browser.get("/sparekey/reset")
        asked.append(int(page.html.form["data-work"].split('"maxnumber": ')[1].split(",")[0]))
        browser.submit(page, identifier=f"name-{number}", work=solved(page))
    assert asked[0] == asked[2] == 200
    assert asked[-1] == 200 << 6
    assert asked == sorted(asked)


def test_the_visible_limit_tells_when_to_come_back_both_ways(world: World) -> None:
    world.clock.now = world.clock.now.replace(hour=13, minute=0, second=0, microsecond=0)
    for _ in range(5):
        browser = world.browser()
        browser.reset_until_code("nobody")
        world.clock.forward(minutes=2)
    page = browser.submit(browser.start_reset("nobody"), kind="email", status=429)
    assert "Try again in 50 minutes (2:00\u202fPM UTC)" in page
    page = browser.submit(browser.start_reset("somebody"), kind="email")
    page = browser.submit(page, 1, status=429)
    assert "You can ask for another code in 1 minute (1:11\u202fPM UTC)" in page


def test_strangers_shut_nobody_out_of_a_browser_that_is_known(world: World) -> None:
    world.register("bob", "email", "totp")
    mine = world.browser()
    finish(world, mine)
    world.clock.forward(minutes=61)
    for name in ("bob", "bob@example.org"):
        assert guess(world, name, 6).status_int == 429
    page = mine.reset_until_code("bob")
    page = mine.submit(page, code=world.code("bob.private"))
    assert heading(mine.submit(page, password=PASSWORD + " 2")) == "Your password was changed"


def test_a_browser_is_known_only_after_a_proof(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.reset_until_code("bob")
    assert not browser.cookie("device")
    page = browser.submit(page, code=world.code("bob.private"))
    assert not browser.cookie("device")
    browser.submit(page, password=PASSWORD)
    assert browser.cookie("device")


def test_the_cookie_of_a_known_browser_outlives_it_and_is_out_of_reach_of_scripts(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.submit(browser.reset_until_code("bob"), code=world.code("bob.private"))
    form = page.forms[0]
    form["password"].force_value(PASSWORD)
    form["again"].force_value(PASSWORD)
    answer = form.submit()
    (cookie,) = [line for line in answer.headers.getall("Set-Cookie") if "sparekey-device=" in line]
    attributes = {part.strip().split("=")[0] for part in cookie.split(";")[1:]}
    assert {"HttpOnly", "Path", "SameSite", "Max-Age"} <= attributes
    assert "Max-Age=15552000" in cookie


def test_a_portal_session_makes_a_browser_known(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.get("/sparekey/reset")
    browser.sign_in("bob")
    assert browser.cookie("device")


def test_an_unlock_makes_a_browser_known(world: World) -> None:
    world.register("carol", "email")
    world.credential("carol").is_locked_permanently = False
    browser = world.browser()
    page = browser.start_reset("carol", path="/sparekey/unlock")
    page = browser.submit(page, kind="email")
    page = browser.submit(page, code=world.code("carol.private"))
    browser.submit(page)
    assert browser.cookie("device")


def test_this_was_not_me_makes_every_known_browser_a_stranger(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    finish(world, browser)
    device = browser.cookie("device")
    with world.sparekey.services.database.transaction() as transaction:
        person = transaction.people.by_subject(
            world.identity("bob").subject.source, world.identity("bob").subject.id
        )
        assert person
        transaction.people.freeze(person.id, now=world.clock.now)
    browser.sign_in("bob", password=PASSWORD)
    assert browser.cookie("device") == device
    browser.start_reset("bob")
    with world.sparekey.services.database.reading() as transaction:
        newest = transaction.audit.find(action=AuditAction.RESET_ATTEMPT_STARTED, limit=1)[0]
    assert newest.detail["known"] is False


@pytest.mark.parametrize("name", ["bob", "bob@example.org"])
def test_an_operator_clears_somebodys_limits(world: World, name: str, monkeypatch) -> None:
    world.register("bob", "email", "totp")
    assert guess(world, "bob", 6).status_int == 429
    monkeypatch.setattr(people, "load_or_exit", lambda *_: world.sparekey.services.settings)
    settings = world.folder / "sparekey.toml"
    settings.touch()
    ran = CliRunner().invoke(people.command, ["clear-limits", name, "--settings", str(settings)])
    assert ran.output == "bob may try again\n"
    assert heading(finish(world, world.browser())) == "Your password was changed"
    with world.sparekey.services.database.reading() as transaction:
        (cleared,) = transaction.audit.find(action=AuditAction.LIMITS_CLEARED)
    assert cleared.detail == {"author": operator_name()}
    assert cleared.person_id


def test_clearing_the_limits_of_nobody_says_so(world: World, monkeypatch) -> None:
    monkeypatch.setattr(people, "load_or_exit", lambda *_: world.sparekey.services.settings)
    settings = world.folder / "sparekey.toml"
    settings.touch()
    ran = CliRunner().invoke(people.command, ["clear-limits", "nobody", "--settings", str(settings)])
    assert (ran.exit_code, "no one person" in ran.output) == (1, True)
