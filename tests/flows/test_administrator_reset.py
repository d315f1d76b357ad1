"""What an administrator's reset leaves behind: nothing that the old password opened."""

import datetime as dt
from typing import Any

import pytest

from flows.help.assembly import assemble_help
from flows.messaging.message import MessageKind
from idp_plugin.base import PasswordState, Subject, WriterCapabilities
from tests.flows.world import MemoryDirectory, World, private

HOUR = dt.timedelta(minutes=60)


class Forcing(MemoryDirectory):
    """A directory that can ask for a change, where an old password lives on for an hour."""

    def __init__(self) -> None:
        super().__init__()
        self.can = WriterCapabilities(old_password_lives=HOUR)

    def require_change(self, account: Subject) -> None:
        name = next(name for name, each in self.people.items() if each.account == account)
        self.change(name, password_state=PasswordState.MUST_CHANGE)


@pytest.fixture
def world(make_world: Any) -> World:
    world: World = make_world(directory=Forcing())
    world.a_person("bob", registered=("email",))
    return world


def temporary(world: World) -> Any:
    helping = assemble_help(world.ground, world.recovery.eligibility, world.recovery.late_writes)
    return helping.administrator_reset.temporary("bob", author="frank", now=world.now)


def test_sessions_are_ended_again_when_the_old_password_has_died(world: World) -> None:
    temporary(world)
    world.drain()
    assert world.directory.ended == ["sub-bob"]
    world.drain_later()
    assert world.directory.ended == ["sub-bob", "sub-bob"]


def test_what_a_temporary_password_opened_ends_after_this_was_not_me(world: World) -> None:
    temporary(world)
    world.drain_later()
    (notice,) = [each for each in world.outbox.to(private("bob")) if each.kind is MessageKind.NOTICE]
    reference = notice.text.partition("/not-me/")[2].split()[0]
    world.directory.ended.clear()
    assert world.recovery.freezing.stop(reference, now=world.now)
    assert world.directory.ended == ["sub-bob"]
    world.drain()
    assert world.directory.ended == ["sub-bob"] * 2
    world.drain_later()
    assert world.directory.ended == ["sub-bob"] * 3


def test_whatever_fails_after_the_write_keeps_the_password_from_nobody(world: World) -> None:
    world.directory.refuse_sessions = ValueError("not what the provider promised")
    done = temporary(world)
    assert (done.password, done.sessions_left) == (world.directory.passwords["entry-bob"], None)
