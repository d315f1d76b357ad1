"""What changing a password asks of the place that keeps it."""

import pytest

from flows.errors import NotPossible, OutcomeIsUnknown, TooManyAttempts, WeakPassword
from idp_plugin.base import Subject, TargetResult, WriterCapabilities
from idp_plugin.errors import IdpError, OutcomeUnknown, PasswordRefused, RefusalReason
from tests.flows.world import World

NEW = "Correct-Horse-Battery-9"


def loses(world: World, error: IdpError) -> None:
    """Let the directory's next words be lost, whatever the old password was."""

    def change_password(account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        del account, old, new
        raise error

    world.directory.change_password = change_password


def change(world: World, old: str) -> None:
    # Past the pause between two codes.
    world.clock.forward(minutes=2)
    attempt = world.proved("dave", purpose="change")
    world.recovery.change.change(attempt.id, old, NEW, browser="browser-a", now=world.now)


def test_an_old_password_that_nobody_can_check_is_never_asked_for(world: World) -> None:
    world.a_person("dave", registered=("email",))
    world.directory.can = WriterCapabilities(takes_old_password=False)
    with pytest.raises(NotPossible) as refused:
        world.proved("dave", purpose="change")
    assert refused.value.why == "cannot_change"


def test_a_guess_whose_answer_was_lost_stays_counted(world: World) -> None:
    world.a_person("dave", registered=("email",))
    loses(world, OutcomeUnknown("memory"))
    for _time in range(3):
        with pytest.raises(OutcomeIsUnknown):
            change(world, "a guess")
    with pytest.raises(TooManyAttempts):
        change(world, "one more guess")


def test_an_old_password_that_was_shown_right_costs_nothing(world: World) -> None:
    world.a_person("dave", registered=("email",))
    loses(world, PasswordRefused((RefusalReason.IN_HISTORY,)))
    for _time in range(4):
        with pytest.raises(WeakPassword):
            change(world, "Old-Password-1")
