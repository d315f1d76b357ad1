import datetime as dt

import pytest

from flows.errors import MessageNotSent
from flows.messaging.deliveries import State, deliveries
from flows.messaging.dispatch import TRIES
from tests.flows.world import World


def states(world: World, username: str = "bob") -> list[tuple[str, State, int]]:
    with world.database.reading() as transaction:
        events = transaction.audit.find(person_id=world.person_id(username))
    return [(each.kind, each.state, each.tries) for each in deliveries(events)]


@pytest.fixture
def bob(world: World) -> World:
    world.a_person("bob", registered=("email",))
    return world


def later(world: World) -> None:
    world.jobs.drain(now=dt.datetime.now(dt.UTC) + dt.timedelta(days=2))


def test_a_message_is_queued_until_its_job_ran_and_then_sent(bob: World) -> None:
    bob.send(bob.start("bob"))
    while bob.jobs.pending() and not states(bob):
        bob.jobs.drain(now=dt.datetime.now(dt.UTC))
    assert states(bob) == [("reset_code", State.QUEUED, 0)]
    bob.drain()
    assert states(bob) == [("reset_code", State.SENT, 0)]


def test_a_message_that_is_not_taken_waits_and_says_how_often_it_was_tried(bob: World) -> None:
    bob.outbox.fail = MessageNotSent()
    bob.send(bob.start("bob"))
    bob.drain()
    later(bob)
    assert states(bob) == [("reset_code", State.WAITING, 2)]
    bob.outbox.fail = None
    later(bob)
    assert states(bob) == [("reset_code", State.SENT, 2)]


def test_a_message_is_given_up_refused_or_too_late(bob: World) -> None:
    bob.outbox.fail = MessageNotSent()
    bob.send(bob.start("bob"))
    bob.drain()
    for _try in range(TRIES):
        later(bob)
    assert states(bob)[0] == ("reset_code", State.GAVE_UP, TRIES - 1)
    bob.clock.forward(minutes=2)
    bob.outbox.fail = MessageNotSent(permanent=True)
    bob.send(bob.start("bob"))
    bob.drain()
    assert states(bob)[0][1] is State.REFUSED
    bob.clock.forward(minutes=2)
    bob.outbox.fail = MessageNotSent()
    bob.send(bob.start("bob"))
    bob.drain()
    bob.clock.forward(minutes=20)
    later(bob)
    assert states(bob)[0][1] is State.LATE


def test_every_notice_of_a_reset_has_a_state_of_its_own(bob: World) -> None:
    attempt = bob.proved("bob")
    bob.set_password(attempt, "four words not together")
    bob.drain()
    assert states(bob)[:2] == [("notice", State.SENT, 0), ("notice", State.SENT, 0)]
