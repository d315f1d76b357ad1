"""An administrator's reset: by a temporary password, or by a link to the person's own."""

import json
import re
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from flows.errors import HelpRefused, OutcomeIsUnknown, PasswordNotWritten
from gateway.cli import people
from gateway.cli.who_runs import operator_name
from idp_plugin.demo.directory_entry import is_password
from idp_plugin.errors import NotPermitted
from idp_plugin.ldap.openldap import OpenLdap
from store.audit import AuditAction
from store.database import Database
from store.errors import StoreUnavailable
from tests.journeys.conftest import opened
from tests.journeys.world import World, heading

NEW = "four words not together"
BOB = "bob.private@example.net"
ROLES = {"administrator": ["administrators"], "helpdesk": ["helpdesk"]}


@pytest.fixture(scope="module")
def staffed_world() -> Iterator[World]:
    with opened(roles=ROLES) as world:
        yield world


@pytest.fixture
def world(staffed_world: World) -> World:
    staffed_world.begin_anew()
    staffed_world.register("bob", "email")
    return staffed_world


def temporary(world: World, name: str = "bob"):
    resets = world.sparekey.services.helping.administrator_reset
    return resets.temporary(name, author="frank", now=world.clock())


def invite(world: World, name: str = "bob"):
    resets = world.sparekey.services.helping.administrator_reset
    return resets.invite(name, author="frank", now=world.clock())


def invitation(world: World) -> str:
    found = re.search(r"/sparekey/invited/\S+", world.messages(BOB)[0]["text"])
    assert found
    return found[0]


def test_a_temporary_password_works_once_and_only_to_choose_another(world: World) -> None:
    done = temporary(world)
    assert is_password(done.password.encode(), world.credential("bob").stored)
    assert world.credential("bob").must_change
    browser = world.browser()
    page = browser.submit(browser.start_reset("bob", path="/sparekey/change/expired"), kind="email")
    page = browser.submit(page, code=world.code(BOB))
    page = browser.submit(page, old=done.password, password=NEW)
    assert heading(page) == "Your password was changed"
    assert not world.credential("bob").must_change


def test_the_password_is_in_no_message_row_or_representation(world: World) -> None:
    done = temporary(world)
    said = "".join(message["text"] for message in world.messages())
    with world.sparekey.services.database.reading() as transaction:
        said += str(transaction.audit.find())
    assert done.password not in said + repr(done)


def test_the_person_is_told_at_every_address_and_the_audit_names_the_author(world: World) -> None:
    done = temporary(world)
    told = {message["to"] for message in world.messages() if "temporary password" in message["text"]}
    assert told == {BOB, "bob@example.org"}
    with world.sparekey.services.database.reading() as transaction:
        row = transaction.audit.find(action=AuditAction.HELP_PASSWORD_WRITTEN)[0]
    assert (row.detail["author"], row.reference) == ("frank", done.reference)


def test_sessions_end_and_running_attempts_are_void(world: World) -> None:
    signed_in, running = world.browser(), world.browser()
    signed_in.sign_in("bob")
    page = running.reset_until_code("bob")
    page = running.submit(page, code=world.code(BOB))
    world.clock.forward(seconds=1)
    temporary(world)
    running.submit(page, password=NEW, status=410)
    signed_in.provider_cookies.clear()
    assert "/authorize" in signed_in.app.get("/sparekey/", status=303).headers["Location"]


@pytest.mark.parametrize("reset", [temporary, invite])
@pytest.mark.parametrize(
    ("name", "why"), [("erin", "privileged"), ("frank", "privileged"), ("nobody", "unknown")]
)
def test_it_is_refused_for_whom_it_must_not_be_done(world: World, reset, name: str, why: str) -> None:
    before = world.credential("erin").stored
    with pytest.raises(HelpRefused) as refused:
        reset(world, name)
    assert refused.value.why == why
    assert world.credential("erin").stored == before
    assert world.messages() == []


def test_an_account_that_is_closed_stays_closed(world: World) -> None:
    world.credential("bob").is_locked_permanently = True
    with pytest.raises(HelpRefused) as refused:
        temporary(world)
    assert refused.value.why == "disabled"


def test_without_the_right_to_ask_for_a_change_the_password_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.credential("bob").stored

    def refuse(*_: object) -> None:
        raise NotPermitted("pwdReset answered 50")

    monkeypatch.setattr(OpenLdap, "require_change", refuse)
    with pytest.raises(PasswordNotWritten):
        temporary(world)
    assert world.credential("bob").stored == before


def test_a_password_that_need_not_be_changed_is_shown_to_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter((None, NotPermitted("pwdReset answered 50")))

    def refuse_later(*_: object) -> None:
        if error := next(answers):
            raise error

    monkeypatch.setattr(OpenLdap, "require_change", refuse_later)
    with pytest.raises(OutcomeIsUnknown):
        temporary(world)


def say_not_me(world: World) -> None:
    """Press the button in the notice about a temporary password."""
    text = next(each["text"] for each in world.messages(BOB) if "temporary password" in each["text"])
    link = re.search(r"/sparekey/not-me/\S+", text)
    assert link
    browser = world.browser()
    browser.submit(browser.get(link[0]))
    world.messages()


def test_a_temporary_password_opens_nothing_after_this_was_not_me(world: World) -> None:
    done = temporary(world)
    say_not_me(world)
    assert not is_password(done.password.encode(), world.credential("bob").stored)
    assert world.credential("bob").must_change


def test_a_password_that_was_chosen_since_stays(world: World) -> None:
    done = temporary(world)
    browser = world.browser()
    page = browser.submit(browser.start_reset("bob", path="/sparekey/change/expired"), kind="email")
    page = browser.submit(page, code=world.code(BOB))
    browser.submit(page, old=done.password, password=NEW)
    say_not_me(world)
    assert is_password(NEW.encode(), world.credential("bob").stored)


def test_a_write_that_was_done_is_never_called_undone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    written = OpenLdap.set_password

    def write_and_lose_the_database(self: OpenLdap, *given: str) -> object:
        done = written(self, *given)
        monkeypatch.setattr(Database, "transaction", no_database)
        return done

    def no_database(*_: object, **__: object) -> None:
        raise StoreUnavailable("database")

    monkeypatch.setattr(OpenLdap, "set_password", write_and_lose_the_database)
    done = temporary(world)
    assert is_password(done.password.encode(), world.credential("bob").stored)


def test_an_invitation_leads_to_the_persons_own_reset(world: World) -> None:
    done = invite(world)
    assert done.messages == 2
    browser = world.browser()
    page = browser.get(invitation(world))
    assert heading(page) == "Do you want to set a new password?"
    page = browser.submit(page)
    assert heading(page) == "How do you want to prove that it is you?"
    page = browser.submit(page, kind="email")
    page = browser.submit(page, code=world.code(BOB))
    assert heading(browser.submit(page, password=NEW)) == "Your password was changed"


def test_opening_the_link_begins_nothing_and_the_link_proves_nothing(world: World) -> None:
    invite(world)
    address = invitation(world)
    scanner = world.browser("203.0.113.9")
    for _time in range(10):
        scanner.app.head(address)
        scanner.get(address)
    assert not scanner.cookie("attempt")
    scanner.submit(scanner.get(address))
    scanner.app.get("/sparekey/reset/password", status=303)


def test_a_link_begins_a_few_attempts_for_a_day(world: World) -> None:
    invite(world)
    address = invitation(world)
    for _time in range(5):
        browser = world.browser()
        browser.submit(browser.get(address))
    late = world.browser()
    late.submit(late.get(address), status=429)
    world.clock.forward(hours=25)
    assert heading(late.get(address, status=410)) == "This link is too old"


def test_who_registered_nothing_is_sent_no_link(world: World) -> None:
    with pytest.raises(HelpRefused) as refused:
        invite(world, "alice")
    assert refused.value.why == "no_way"
    assert world.messages() == []


def ran(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run `sparekey people` beside the running gateway."""
    monkeypatch.setattr(people, "load_or_exit", lambda *_: world.sparekey.services.settings)
    settings = world.folder / "sparekey.toml"
    settings.touch()
    return CliRunner().invoke(people.command, [*arguments, "--settings", str(settings)])


def test_the_command_shows_the_temporary_password_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done = ran(world, monkeypatch, "reset", "bob", "--temporary")
    assert done.exit_code == 0, done.output
    password = done.output.splitlines()[0].rpartition(" ")[2]
    assert is_password(password.encode(), world.credential("bob").stored)
    with world.sparekey.services.database.reading() as transaction:
        row = transaction.audit.find(action=AuditAction.HELP_PASSWORD_WRITTEN)[0]
    assert row.detail["author"] == operator_name()


def test_nobody_does_it_in_a_colleagues_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "colleague")
    done = ran(world, monkeypatch, "reset", "bob", "--temporary")
    assert done.exit_code == 0, done.output
    with world.sparekey.services.database.reading() as transaction:
        row = transaction.audit.find(action=AuditAction.HELP_PASSWORD_WRITTEN)[0]
    assert row.detail["author"] == operator_name() != "colleague"


def test_the_command_sends_the_link(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done = ran(world, monkeypatch, "reset", "bob", "--send-code")
    assert (done.exit_code, "in 2 messages" in done.output) == (0, True)
    assert invitation(world)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("erin", "--temporary"), 1, "special rights"),
        (("nobody", "--send-code"), 1, "no one person"),
        (("bob",), 2, "choose --temporary or --send-code"),
    ],
)
def test_the_command_says_why_not(
    world: World, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = ran(world, monkeypatch, "reset", *arguments)
    assert (done.exit_code, words in done.output) == (status, True)


def test_a_command_tells_what_became_of_messages_and_not_what_they_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary(world)
    world.work()
    told = json.loads(ran(world, monkeypatch, "messages", "bob", "--json").output)
    assert [(each["kind"], each["state"]) for each in told] == [("notice", "sent")] * 2
    assert "@" not in str(told)
