"""What every channel between gateway and agents has to do, over a real Valkey."""

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp_plugin.writeback.channel import AgentEnd, ChannelDown, Delivery, Withdrawal
from idp_plugin.writeback.order import new_id
from idp_plugin.writeback.streams import StreamAgentEnd, StreamGatewayEnd, key_prefix
from tests.contracts.arranged_channels import DIRECTORY, ArrangedChannel, over_https, over_streams
from tests.servers.processes import free_port
from tests.servers.valkey import Valkey

AT_ONCE = dt.timedelta(0)
SOON = dt.timedelta(seconds=5)
BODY = b'{"order": "signed", "envelope": "sealed"}'


@pytest.fixture(params=["streams", "https"])
def channel(request: pytest.FixtureRequest, tmp_path: Path, valkey: Valkey) -> Iterator[ArrangedChannel]:
    opened = over_streams(valkey.url) if request.param == "streams" else over_https(tmp_path, valkey.url)
    with opened as arranged:
        yield arranged


def received(agent: AgentEnd) -> Delivery:
    delivery = agent.receive(SOON)
    assert delivery is not None
    return delivery


def left(valkey: Valkey) -> set[str]:
    """What of orders is still in the store."""
    names = {name.decode() for name in valkey.client.keys(f"{key_prefix(DIRECTORY)}*")}
    orders = f"{key_prefix(DIRECTORY)}orders"
    empty = {orders} if valkey.client.xlen(orders) == 0 else set()
    return {name for name in names - empty if "claim" not in name}


def test_an_order_arrives_as_it_was_sent(channel: ArrangedChannel) -> None:
    agent = channel.agent("one")
    channel.gateway.send(new_id(), BODY)
    assert received(agent).body == BODY


def test_an_order_that_waited_for_the_first_agent_arrives(channel: ArrangedChannel) -> None:
    channel.gateway.send(new_id(), BODY)
    assert received(channel.agent("one")).body == BODY


def test_an_order_wakes_an_agent_that_waits(channel: ArrangedChannel) -> None:
    agent, found = channel.agent("one"), list[Delivery | None]()
    thread = threading.Thread(target=lambda: found.append(agent.receive(SOON)))
    thread.start()
    channel.gateway.send(new_id(), BODY)
    thread.join(10)
    assert [each.body for each in found if each] == [BODY]


def test_one_agent_gets_an_order_and_the_other_none(channel: ArrangedChannel) -> None:
    one, two = channel.agent("one"), channel.agent("two")
    channel.gateway.send(new_id(), BODY)
    received(one)
    assert two.receive(AT_ONCE) is None


def test_an_order_without_an_answer_goes_to_the_other_agent(channel: ArrangedChannel) -> None:
    one, two = channel.agent("one"), channel.agent("two")
    channel.gateway.send(new_id(), BODY)
    first = received(one)
    assert received(two) == first


def test_an_answer_reaches_who_waits_for_it(channel: ArrangedChannel) -> None:
    agent, order = channel.agent("one"), new_id()
    channel.gateway.send(order, BODY)
    agent.answer(received(agent), order, b"signed answer")
    assert channel.gateway.answer(order, SOON) == b"signed answer"


def test_an_answer_is_for_its_own_order(channel: ArrangedChannel) -> None:
    agent, order = channel.agent("one"), new_id()
    channel.gateway.send(order, BODY)
    agent.answer(received(agent), order, b"signed answer")
    assert channel.gateway.answer(new_id(), AT_ONCE) is None


def test_what_was_answered_is_given_to_nobody_again(channel: ArrangedChannel, valkey: Valkey) -> None:
    agent, order = channel.agent("one"), new_id()
    delivery = channel.gateway.send(order, BODY)
    agent.answer(received(agent), order, b"signed answer")
    assert channel.agent("two").receive(dt.timedelta(seconds=0.6)) is None
    channel.gateway.forget(order, delivery)
    assert left(valkey) == set()


def test_what_was_dropped_is_given_to_nobody_again(channel: ArrangedChannel, valkey: Valkey) -> None:
    agent = channel.agent("one")
    channel.gateway.send(new_id(), BODY)
    agent.drop(received(agent))
    assert channel.agent("two").receive(dt.timedelta(seconds=0.6)) is None
    # That it is waited for is forgotten by who waits.
    assert {name for name in left(valkey) if "awaited" not in name} == set()


def test_what_its_gateway_forgot_is_given_to_nobody(channel: ArrangedChannel, valkey: Valkey) -> None:
    order = new_id()
    channel.gateway.forget(order, channel.gateway.send(order, BODY))
    assert channel.agent("one").receive(AT_ONCE) is None
    assert left(valkey) == set()


def test_of_two_agents_one_begins_an_order(channel: ArrangedChannel) -> None:
    one, two, order = channel.agent("one"), channel.agent("two"), new_id()
    channel.gateway.send(order, BODY)
    delivery = received(one)
    assert [each.claim(delivery, order) for each in (one, two, one)] == [True, False, False]


def test_nobody_begins_an_order_that_was_withdrawn(channel: ArrangedChannel) -> None:
    agent, order = channel.agent("one"), new_id()
    delivery = channel.gateway.send(order, BODY)
    assert channel.gateway.withdraw(order, delivery) is Withdrawal.WITHDRAWN
    assert not agent.claim(received(agent), order)


def test_an_order_that_was_begun_is_not_withdrawn(channel: ArrangedChannel) -> None:
    agent, order = channel.agent("one"), new_id()
    delivery = channel.gateway.send(order, BODY)
    assert agent.claim(received(agent), order)
    assert channel.gateway.withdraw(order, delivery) is Withdrawal.BEGUN


def test_an_order_that_the_channel_lost_may_have_been_begun(channel: ArrangedChannel, valkey: Valkey) -> None:
    order = new_id()
    delivery = channel.gateway.send(order, BODY)
    valkey.client.flushall()
    assert channel.gateway.withdraw(order, delivery) is Withdrawal.UNSURE


def test_an_order_of_an_earlier_life_of_the_server_is_neither_begun_nor_withdrawn(
    channel: ArrangedChannel, valkey: Valkey
) -> None:
    """A server that was killed comes back with the order, and may have lost what was done with it."""
    agent, order = channel.agent("one"), new_id()
    orders = f"{key_prefix(DIRECTORY)}orders"
    delivery = valkey.client.xadd(orders, {"body": BODY, "run": "an-earlier-one"}).decode()
    assert channel.gateway.withdraw(order, delivery) is Withdrawal.UNSURE
    assert not agent.claim(received(agent), order)


def test_it_goes_on_after_the_channel_lost_everything(channel: ArrangedChannel, valkey: Valkey) -> None:
    agent = channel.agent("one")
    agent.receive(AT_ONCE)
    valkey.client.flushall()
    channel.gateway.send(new_id(), BODY)
    assert received(agent).body == BODY


def test_a_heartbeat_is_there_with_its_age(channel: ArrangedChannel, valkey: Valkey) -> None:
    channel.agent("one").beat(b"signed beat")
    names = [name.decode().rpartition(":")[2] for name in valkey.client.keys("*beat*")]
    beats = channel.gateway.beats([*names, "silent"])
    assert [(beat.body, beat.age < SOON) for beat in beats.values()] == [(b"signed beat", True)]


def test_waiting_for_nothing_ends(channel: ArrangedChannel) -> None:
    assert channel.agent("one").receive(dt.timedelta(seconds=0.1)) is None
    assert channel.gateway.answer(new_id(), dt.timedelta(seconds=0.1)) is None


def test_an_end_without_a_server_says_that_the_channel_is_down() -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    agent, gateway = StreamAgentEnd(url, DIRECTORY, "one"), StreamGatewayEnd(url, DIRECTORY)
    with pytest.raises(ChannelDown):
        agent.receive(AT_ONCE)
    with pytest.raises(ChannelDown):
        gateway.send(new_id(), BODY)
