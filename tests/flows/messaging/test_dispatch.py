import datetime as dt

from flows.errors import MessageNotSent
from flows.messaging.dispatch import TRIES
from store.audit import AuditAction
from tests.flows.world import World


def test_a_message_that_the_server_does_not_take_is_tried_again(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.outbox.fail = MessageNotSent()
    world.send(world.start("bob"))
    world.drain()
    assert world.outbox.messages == []
    assert world.jobs.pending() == 1
    world.outbox.fail = None
    world.drain_later()
    assert len(world.outbox.messages) == 1
    (event,) = world.audited(AuditAction.RESET_CODE_SENT)
    assert event.person_id == world.person_id("bob")


def test_a_message_that_is_refused_for_good_is_not_tried_again(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.outbox.fail = MessageNotSent(permanent=True)
    world.send(world.start("bob"))
    world.drain()
    assert world.jobs.pending() == 0
    (event,) = world.audited(AuditAction.NOTICE_FAILED)
    assert {**event.detail, "message": ""} == {
        "kind": "reset_code",
        "channel": "email",
        "message": "",
        "why": "refused",
    }


def test_it_is_given_up_at_last(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.outbox.fail = MessageNotSent()
    world.send(world.start("bob"))
    world.drain()
    for _ in range(TRIES + 2):
        world.jobs.drain(now=dt.datetime.now(dt.UTC) + dt.timedelta(days=2))
    assert world.jobs.pending() == 0
    (event,) = world.audited(AuditAction.NOTICE_FAILED)
    assert event.detail["why"] == "gave_up"


def test_a_code_that_comes_too_late_is_not_sent(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.outbox.fail = MessageNotSent()
    world.send(world.start("bob"))
    world.drain()
    world.outbox.fail = None
    world.clock.forward(minutes=5)
    world.drain_later()
    assert world.outbox.messages == []
