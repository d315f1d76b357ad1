"""A code that the helpdesk hands out stands for the proof of an existing way back in (S1)."""

import datetime as dt
import re
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from flows.errors import HelpRefused
from gateway.cli import people
from store.audit import AuditAction
from tests.journeys.conftest import opened
from tests.journeys.world import PageVisitor, World, heading

HOME = "alice@home.example"


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    with opened(trust_delay_hours=24) as world:
        yield world


def issue(world: World, name: str = "alice", **more: dt.timedelta) -> str:
    codes = world.sparekey.services.helping.registration_codes
    return codes.issue(name, author="frank", now=world.clock(), **more).code


def redeem(browser: PageVisitor, code: str, status: int = 200) -> str:
    return heading(browser.submit(browser.get("/sparekey/register/code"), code=code, status=status))


def add_address(world: World, browser: PageVisitor, address: str = HOME) -> None:
    page = browser.submit(browser.get("/sparekey/register/email"), address=address)
    browser.submit(page, code=world.code(address))
    world.clock.forward(minutes=2)


def bound(world: World, name: str = "alice") -> tuple:
    subject = world.sparekey.provider.directory.find(name).subject
    with world.sparekey.services.database.reading() as transaction:
        person = transaction.people.by_subject(subject.source, subject.id)
        return transaction.authenticators.of(person.id)


def test_what_is_added_after_the_code_counts_at_once_and_is_marked(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    redeem(browser, issue(world).lower())
    add_address(world, browser)
    (added,) = bound(world)
    assert added.trusted_from <= added.created_at
    assert added.provenance == "registration_code"


def test_without_the_code_it_waits(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    add_address(world, browser)
    (added,) = bound(world)
    assert added.trusted_from == added.created_at + dt.timedelta(hours=24)
    assert added.provenance == "self"


def test_a_second_way_in_the_same_sitting_is_marked_too(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    redeem(browser, issue(world))
    add_address(world, browser)
    add_address(world, browser, "alice@other.example")
    assert {each.provenance for each in bound(world)} == {"registration_code"}


def test_what_is_added_later_by_the_proof_of_it_is_marked_too(world: World) -> None:
    helped = world.browser()
    helped.sign_in("alice")
    redeem(helped, issue(world))
    add_address(world, helped)
    later = world.browser()
    later.sign_in("alice")
    page = later.submit(later.get("/sparekey/register/prove?then=email"))
    later.submit(page, code=world.code(HOME))
    add_address(world, later, "alice@other.example")
    assert [each.provenance for each in bound(world)] == ["registration_code"] * 2


def test_a_code_works_once_for_its_person_until_a_newer_one(world: World) -> None:
    mine, hers = world.browser(), world.browser()
    mine.sign_in("alice")
    hers.sign_in("bob")
    older, newer = issue(world), issue(world)
    redeem(mine, older, 422)
    redeem(hers, newer, 422)
    redeem(mine, newer)
    redeem(mine, newer, 422)


def test_a_code_is_over_in_the_end(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    code = issue(world, lives=dt.timedelta(minutes=5))
    world.clock.forward(minutes=5)
    redeem(browser, code, 422)


def test_guesses_have_an_end(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    code = issue(world)
    for _guess in range(4):
        redeem(browser, "00000-00000-00000", 422)
    browser.submit(browser.get("/sparekey/register/code"), code="00000-00000-00000", status=410)
    redeem(browser, code, 429)


def test_an_operator_gives_new_guesses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    code = issue(world)
    for status in (422, 422, 422, 422, 410, 429):
        browser.submit(browser.get("/sparekey/register/code"), code="00000-00000-00000", status=status)
    assert ran(world, monkeypatch, "clear-limits", "alice").exit_code == 0
    redeem(browser, code)


def test_the_person_is_told_everywhere_and_can_stop_it(world: World) -> None:
    code = issue(world)
    (told,) = [each for each in world.messages() if "helpdesk made a code" in each["text"]]
    assert told["to"] == "alice@example.org"
    assert code not in told["text"]
    stranger, browser = world.browser(), world.browser()
    stop = re.search(r"/sparekey/not-me/\S+", told["text"])
    assert stop
    stranger.submit(stranger.get(stop[0]))
    browser.sign_in("alice")
    browser.submit(browser.get("/sparekey/register/code"), code=code, status=403)
    assert bound(world) == ()


@pytest.mark.parametrize(("name", "why"), [("erin", "privileged"), ("nobody", "unknown")])
def test_nobody_gets_one_who_must_not(world: World, name: str, why: str) -> None:
    with pytest.raises(HelpRefused) as refused:
        issue(world, name)
    assert refused.value.why == why


def ran(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run `sparekey people` beside the running gateway."""
    monkeypatch.setattr(people, "load_or_exit", lambda *_: world.sparekey.services.settings)
    settings = world.folder / "sparekey.toml"
    settings.touch()
    return CliRunner().invoke(people.command, [*arguments, "--settings", str(settings)])


def test_the_command_shows_the_code_once_and_is_audited(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = ran(world, monkeypatch, "registration-code", "alice", "--hours", "2")
    assert done.exit_code == 0, done.output
    code = done.output.splitlines()[0].rpartition(" ")[2]
    with world.sparekey.services.database.reading() as transaction:
        rows = transaction.audit.find()
    assert code not in str(rows)
    assert any(row.action is AuditAction.REGISTRATION_CODE_ISSUED for row in rows)
