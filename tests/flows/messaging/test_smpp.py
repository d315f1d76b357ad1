"""Text messages by SMPP, at a centre that shares no code with ours."""

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr, ValidationError

from flows.errors import MessageNotSent
from flows.messaging.carrier_settings import SmppSettings
from flows.messaging.message import Handed, Message, MessageKind
from flows.messaging.receipts import DeliveryState
from flows.messaging.smpp import Smpp
from store.errors import StoreUnavailable
from tests.servers.certificates import Authority
from tests.servers.processes import free_port
from tests.servers.smsc import PASSWORD, Smsc

TEXT = "123456 is your verification code for Example Company. Give it to nobody."
Came = list[tuple[Handed, DeliveryState]]


def message(text: str = TEXT) -> Message:
    return Message(
        to="+31612345678", channel="sms", subject="", text=text, kind=MessageKind.RESET_CODE, reference="7K2M"
    )


def settings(port: int, **more: object) -> SmppSettings:
    facts = {"host": "127.0.0.1", "port": port, "tls": "none", "system_id": "sparekey", "seconds": 2}
    return SmppSettings(**{**facts, "password": SecretStr(PASSWORD), **more})


def eventually(holds: Callable[[], object]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(scope="module")
def shared_smsc(start_smsc: Callable[..., Smsc]) -> Smsc:
    return start_smsc()


@pytest.fixture
def smsc(shared_smsc: Smsc) -> Smsc:
    shared_smsc.do("reset")
    return shared_smsc


@pytest.fixture
def came() -> Came:
    return []


@pytest.fixture
def channel(smsc: Smsc, came: Came) -> Iterator[Smpp]:
    channel = Smpp(settings(smsc.port, sender="+31201234567"), lambda *receipt: came.append(receipt))
    yield channel
    channel.close()


def refused(channel: Smpp) -> MessageNotSent:
    with pytest.raises(MessageNotSent) as error:
        channel.send(message())
    return error.value


def test_a_message_arrives_and_its_receipt_comes_back(channel: Smpp, smsc: Smsc, came: Came) -> None:
    handed = channel.send(message())
    (arrived,) = smsc.state()["messages"]
    assert arrived["text"] == TEXT
    assert (arrived["to"], arrived["to_type"]) == ("31612345678", 1)
    assert (arrived["from"], arrived["from_type"]) == ("31201234567", 1)
    assert (arrived["coding"], arrived["registered"], arrived["header"]) == (0, 1, [])
    tries_until = dt.datetime.fromisoformat(arrived["validity"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=9) < tries_until <= dt.timedelta(minutes=10)
    eventually(lambda: came)
    assert came == [(handed, DeliveryState.DELIVERED)]
    eventually(lambda: smsc.state()["receiptStatuses"] == [0])


def test_one_connection_carries_all_messages(channel: Smpp, smsc: Smsc) -> None:
    for _each in range(5):
        channel.send(message())
    state = smsc.state()
    assert (state["binds"], state["sessions"], len(state["messages"])) == (1, 1, 5)


@pytest.mark.parametrize(
    ("text", "coding", "parts"),
    [
        ("Votre code à l'Élysée: 123456 {€} ~ [^]", 0, 1),
        ("رمزك هو 123456", 8, 1),
        ("確認コードは 123456 です", 8, 1),
        ("x" * 160, 0, 1),
        ("x" * 161, 0, 2),
        ("x" * 152 + "€" * 100, 0, 3),
        ("語" * 70, 8, 1),
        ("語" * 71, 8, 2),
        ("語" * 66 + "😀" * 6, 8, 2),
    ],
)
def test_every_letter_arrives(channel: Smpp, smsc: Smsc, text: str, coding: int, parts: int) -> None:
    channel.send(message(text))
    arrived = smsc.state()["messages"]
    assert [each["coding"] for each in arrived] == [coding] * parts
    assert "".join(each["text"] for each in arrived) == text
    if parts > 1:
        assert [each["header"][0][-4:] for each in arrived] == [
            f"{parts:02}{n:02}" for n in range(1, parts + 1)
        ]
        assert [each["registered"] for each in arrived] == [0] * (parts - 1) + [1]


def test_a_centre_with_another_alphabet_gets_wide_letters(smsc: Smsc) -> None:
    channel = Smpp(settings(smsc.port, alphabet="ucs2", sender="Example"), lambda *_receipt: None)
    channel.send(message("abc"))
    channel.close()
    (arrived,) = smsc.state()["messages"]
    assert (arrived["coding"], arrived["text"], arrived["from"], arrived["from_type"]) == (
        8,
        "abc",
        "Example",
        5,
    )


def test_a_phone_that_cannot_be_reached_is_told_by_the_receipt(channel: Smpp, smsc: Smsc, came: Came) -> None:
    smsc.then("undeliverable")
    handed = channel.send(message())
    eventually(lambda: came)
    assert came == [(handed, DeliveryState.FAILED)]


def test_a_receipt_may_come_before_the_answer(channel: Smpp, smsc: Smsc, came: Came) -> None:
    smsc.then("early")
    assert [(channel.send(message()), DeliveryState.DELIVERED)] == came


def test_a_receipt_that_cannot_be_kept_is_asked_for_again(smsc: Smsc) -> None:
    def down(_handed: Handed, _state: DeliveryState) -> None:
        raise StoreUnavailable("database")

    channel = Smpp(settings(smsc.port), down)
    channel.send(message())
    eventually(lambda: smsc.state()["receiptStatuses"])
    assert smsc.state()["receiptStatuses"] == [0x64]
    channel.send(message())
    channel.close()


def test_what_people_write_back_is_no_receipt(channel: Smpp, smsc: Smsc, came: Came) -> None:
    smsc.then("unreceipted")
    channel.send(message())
    smsc.do("reply")
    eventually(lambda: smsc.state()["receiptStatuses"])
    assert not came


@pytest.mark.parametrize(
    "what", ["throttle", "full", "silence", "disconnect", "nonsense", "endless", "short", "nack"]
)
def test_whatever_goes_wrong_the_message_is_tried_again(channel: Smpp, smsc: Smsc, what: str) -> None:
    smsc.then(what)
    assert not refused(channel).permanent
    assert channel.send(message())
    assert [each["text"] for each in smsc.state()["messages"]] == [TEXT]


def test_a_number_that_cannot_be_is_not_tried_again(channel: Smpp, smsc: Smsc) -> None:
    smsc.then("refuse")
    assert refused(channel).permanent


def test_a_wrong_password_is_not_tried_again_and_again(smsc: Smsc) -> None:
    channel = Smpp(settings(smsc.port, password=SecretStr("wrong")), lambda *_receipt: None)
    for _each in range(5):
        assert not refused(channel).permanent
    channel.close()
    assert smsc.state()["refusedBinds"] == 1


def test_a_centre_that_is_not_there_is_waited_for() -> None:
    channel = Smpp(settings(free_port()), lambda *_receipt: None)
    assert not refused(channel).permanent
    channel.close()


@pytest.mark.parametrize("what", ["disconnect", "unbind", "nonsense"])
def test_an_end_while_nothing_is_sent_is_noticed(channel: Smpp, smsc: Smsc, what: str) -> None:
    channel.send(message())
    smsc.do(what)
    eventually(lambda: smsc.state()["sessions"] == 0)
    assert channel.send(message())
    assert smsc.state()["binds"] == 2


def test_the_centres_question_is_answered_while_a_message_waits(channel: Smpp, smsc: Smsc) -> None:
    smsc.then("enquire")
    channel.send(message())
    eventually(lambda: smsc.state()["answered"])


def test_a_silent_centre_is_asked_whether_it_is_there(smsc: Smsc) -> None:
    channel = Smpp(settings(smsc.port, enquire_seconds=0.1), lambda *_receipt: None)
    channel.send(message())
    eventually(lambda: smsc.state()["enquiries"] >= 2)
    assert smsc.state()["binds"] == 1
    channel.close()


def test_tls_is_checked_against_the_host(start_smsc: Callable[..., Smsc], authority: Authority) -> None:
    issued = authority.issue("smsc")
    secure = start_smsc(issued.key, issued.certificate)
    trusting = {"tls": "required", "ca": str(authority.file)}
    channel = Smpp(settings(secure.port, **trusting), lambda *_receipt: None)
    assert channel.send(message())
    assert channel.send(message())
    channel.close()
    elsewhere = authority.issue("elsewhere", host="smsc.example.org", address="192.0.2.1")
    another = start_smsc(elsewhere.key, elsewhere.certificate)
    for port, wrong in ((secure.port, {"tls": "required"}), (another.port, trusting)):
        other = Smpp(settings(port, **wrong), lambda *_receipt: None)
        assert not refused(other).permanent
        other.close()
    assert [len(each.state()["messages"]) for each in (secure, another)] == [2, 0]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("what", ["endless", "short"])
def test_a_length_that_cannot_be_is_not_waited_for(smsc: Smsc, what: str) -> None:
    channel = Smpp(settings(smsc.port, seconds=60), lambda *_receipt: None)
    smsc.then(what)
    assert not refused(channel).permanent
    channel.close()


def test_codes_do_not_travel_in_the_clear() -> None:
    with pytest.raises(ValidationError):
        settings(2775, host="smsc.example.org")
    assert settings(2775, host="smsc.example.org", tunnel=True)


def test_nothing_of_a_message_or_the_password_is_logged(
    channel: Smpp, smsc: Smsc, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    smsc.then("take", "throttle", "nonsense")
    channel.send(message())
    for _each in range(2):
        refused(channel)
    told = caplog.text + "".join(capsys.readouterr())
    for secret in ("123456", TEXT.encode().hex(), "12345678", PASSWORD, PASSWORD.encode().hex()):
        assert secret not in told
