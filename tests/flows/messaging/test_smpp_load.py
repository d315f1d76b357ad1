"""Thousands of text messages: none is lost, none is doubled, and no two are under way at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from flows.errors import MessageNotSent
from flows.messaging.carrier_settings import SmppSettings
from flows.messaging.message import Message, MessageKind
from flows.messaging.smpp import Smpp
from tests.servers.drive_smpp import DriveSmpp
from tests.servers.smsc import PASSWORD, Smsc

WORKERS = 8


def numbered(count: int) -> list[Message]:
    return [
        Message(
            to=f"+316{number:08}",
            channel="sms",
            subject="",
            text=f"{number:06} is your verification code",
            kind=MessageKind.RESET_CODE,
            reference="7K2M",
        )
        for number in range(count)
    ]


def texts(messages: Iterable[Message]) -> list[str]:
    return sorted(message.text for message in messages)


def channel(port: int, **more: object) -> Smpp:
    facts = {"host": "127.0.0.1", "port": port, "tls": "none", "system_id": "sparekey", "seconds": 10}
    return Smpp(SmppSettings(**{**facts, "password": SecretStr(PASSWORD), **more}), lambda *_receipt: None)


@pytest.fixture
def smsc(start_smsc: Callable[..., Smsc]) -> Smsc:
    return start_smsc()


def test_three_thousand_messages_of_many_workers_arrive_once_each(drive_smpp: DriveSmpp) -> None:
    messages = numbered(3000)
    sending = channel(drive_smpp.port, bind="transmitter")
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(sending.send, messages))
    sending.close()
    assert drive_smpp.count() == len(messages)
    assert sorted(drive_smpp.texts()) == texts(messages)


def test_a_centre_that_throttles_gets_each_message_once_and_one_at_a_time(smsc: Smsc) -> None:
    messages = numbered(600)
    smsc.then(*["take", "throttle", "take", "full"] * 300)
    sending = channel(smsc.port)

    def until_taken(message: Message) -> int:
        for tries in range(1, 50):
            try:
                sending.send(message)
            except MessageNotSent as error:
                if error.permanent:
                    raise
            else:
                return tries
        raise AssertionError("it was never taken")

    with ThreadPoolExecutor(WORKERS) as pool:
        tries = sum(pool.map(until_taken, messages))
    sending.close()
    state = smsc.state()
    assert tries == 2 * len(messages) - 1
    assert sorted(each["text"] for each in state["messages"]) == texts(messages)
    assert (state["binds"], state["mostAtOnce"]) == (1, 1)
