"""What administrators are told that is about nobody in particular."""

import pytest

from flows.messaging.dispatch import Dispatch
from flows.messaging.message import Message, MessageKind
from flows.notices.alarms import Event, alarm_everybody
from flows.settings import ContactSettings
from tests.flows.world import World

OPERATORS = "operators@example.org"


@pytest.fixture
def watched(make_world) -> World:
    return make_world(contact=ContactSettings(alarms=(OPERATORS,)))


def text_to(world: World, number: str) -> None:
    dispatch = Dispatch(jobs=world.jobs, database=world.database, channels={}, clock=world.clock)
    message = Message(
        to=number, channel="sms", subject="", text="text", kind=MessageKind.NOTICE, reference="7K2M-PQ4D"
    )
    dispatch.post(message, person_id=None)


def test_a_spike_of_text_messages_is_mailed_to_the_administrators_once(watched: World) -> None:
    for block in range(40):
        text_to(watched, f"+316{block:02}345678")
    watched.drain()
    (told,) = watched.outbox.to(OPERATORS)
    assert told.subject == "Far more text messages than usual leave for Example Company"
    assert "30 text messages left" in told.text


def test_a_range_of_numbers_uses_up_no_more_than_its_part(watched: World) -> None:
    for number in range(25):
        text_to(watched, f"+31612345{number:03}")
    text_to(watched, "+31687654321")
    watched.drain()
    texts = [each for each in watched.outbox.messages if each.channel == "sms"]
    assert len(texts) == 21
    assert watched.outbox.to("+31687654321")


def test_a_weaker_policy_is_told_with_who_proposed_it_and_in_what_it_is_weaker(watched: World) -> None:
    facts = {"number": "3", "author": "ana", "weaker": "reset, trust_delay_hours"}
    alarm_everybody(watched.jobs, Event.POLICY_WEAKER, now=watched.now, facts=facts)
    watched.drain()
    (told,) = watched.outbox.to(OPERATORS)
    assert "Proposed by: ana" in told.text
    assert "Weaker in: reset, trust_delay_hours" in told.text
    assert "sparekey policy approve 3" in told.text
