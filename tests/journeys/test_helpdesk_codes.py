"""A code of the helpdesk as page and command: the reference is read out, the code typed."""

import re
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from gateway.cli import people
from gateway.cli.who_runs import operator_name
from store.audit import AuditAction
from tests.journeys.conftest import opened
from tests.journeys.world import World, heading


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    with opened(kinds=["email", "helpdesk_code"]) as world:
        yield world


def test_the_page_shows_the_reference_and_takes_the_code(world: World) -> None:
    visitor = world.browser()
    page = visitor.reset_until_code("alice", "helpdesk_code")
    assert heading(page) == "Which code did your helpdesk tell you?"
    reference = re.search(r'class="secret"[^>]*>([^<]+)<', page.text)
    assert reference
    codes = world.sparekey.services.helping.helpdesk_codes
    handed_out = codes.issue("alice", "reset", reference[1].lower(), author="frank", now=world.clock())
    assert heading(visitor.submit(page, code=handed_out.code)) == "What should your new password be?"


def test_every_name_is_shown_the_same(world: World) -> None:
    pages = []
    for name in ("alice", "nobody"):
        page = world.browser().reset_until_code(name, "helpdesk_code")
        body = re.sub(r'value="[^"]*"|[2-9A-Z]{4}-[2-9A-Z]{4}', "", page.text)
        pages.append((page.status, sorted(page.headers), body))
    assert pages[0] == pages[1]


def ran(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run `sparekey people code` beside the running gateway."""
    monkeypatch.setattr(people, "load_or_exit", lambda *_: world.sparekey.services.settings)
    settings = world.folder / "sparekey.toml"
    settings.touch()
    return CliRunner().invoke(people.command, ["code", *arguments, "--settings", str(settings)])


def test_the_command_hands_a_code_out_and_is_audited_with_its_user(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = ran(world, monkeypatch, "alice", "--reference", "7K2M-PQ4D")
    assert done.exit_code == 0, done.output
    assert re.fullmatch(r"code for alice: \d{6}", done.output.splitlines()[0])
    with world.sparekey.services.database.reading() as transaction:
        row = transaction.audit.find(action=AuditAction.HELPDESK_CODE_ISSUED)[0]
    assert (row.detail["author"], row.reference) == (operator_name(), "7K2M-PQ4D")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("erin", "--reference", "7K2M-PQ4D"), 1, "special rights"),
        (("nobody", "--reference", "7K2M-PQ4D"), 1, "no one person"),
        (("heidi", "--reference", "7K2M-PQ4D"), 1, "no rule"),
        (("alice",), 2, "--reference"),
        (("alice", "--reference", "7K2M-PQ4D", "--purpose", "fun"), 2, "--purpose"),
    ],
)
def test_the_command_says_why_not(
    world: World, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = ran(world, monkeypatch, *arguments)
    assert (done.exit_code, words in done.output) == (status, True), done.output


def test_administrators_get_none(world: World) -> None:
    page = world.browser().reset_until_code("erin", "helpdesk_code")
    assert heading(page) == "Which code did your helpdesk tell you?"
