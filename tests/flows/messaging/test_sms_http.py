"""Text messages by HTTP: the template, the answers, and what is refused."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr, ValidationError

from flows.errors import MessageNotSent
from flows.messaging.carrier_settings import SmppSettings, SmsHttpSettings, SmsSettings
from flows.messaging.message import Handed, Message, MessageKind
from flows.messaging.sms_http import SmsHttp
from tests.servers.phone_provider import SECRET, PhoneProvider
from tests.servers.processes import free_port

TEMPLATE = (
    '{"messages": [{"to": "{to}", "from": "{sender}", "text": "{text}"}], "ref": "{reference}", "n": 1}'
)


def message(text: str = "123456 is your code") -> Message:
    return Message(
        to="+31612345678", channel="sms", subject="", text=text, kind=MessageKind.RESET_CODE, reference="7K2M"
    )


def settings(url: str, **more: Any) -> SmsHttpSettings:
    facts = {"name": "acme", "url": url, "template": TEMPLATE, "sender": "Example", "id_path": "result.ids.0"}
    receipts = {"secret": SECRET}
    return SmsHttpSettings(
        **{**facts, "headers": {"Authorization": "Bearer t0ps3cret"}, "receipts": receipts, **more}
    )


def refused(channel: SmsHttp) -> MessageNotSent:
    with pytest.raises(MessageNotSent) as error:
        channel.send(message())
    return error.value


def test_the_provider_gets_what_the_template_says(phone_provider: PhoneProvider) -> None:
    channel = SmsHttp(settings(phone_provider.url))
    assert channel.send(message()) == Handed("acme", "call-1")
    (request,) = phone_provider.requests
    assert request["headers"]["authorization"] == "Bearer t0ps3cret"
    assert request["headers"]["content-type"] == "application/json"
    assert json.loads(request["body"]) == {
        "messages": [{"to": "+31612345678", "from": "Example", "text": "123456 is your code"}],
        "ref": "7K2M",
        "n": 1,
    }


def test_no_text_breaks_out_of_its_place(phone_provider: PhoneProvider) -> None:
    text = '"}], "to": "+1", {to} {secret} {0.__class__} \\ \n &to=+1 é 語'
    SmsHttp(settings(phone_provider.url)).send(message(text))
    SmsHttp(settings(phone_provider.url, body="form", template='{"to": "{to}", "text": "{text}"}')).send(
        message(text)
    )
    as_json, as_form = (request["body"] for request in phone_provider.requests)
    assert json.loads(as_json)["messages"][0]["text"] == text
    assert parse_qs(as_form.decode()) == {"to": ["+31612345678"], "text": [text]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"template": '{"to": "{number}"}'},
        {"template": '{"to": "{to.__class__}"}', "body": "form", "receipts": 1},
        {"template": '{"to": "{}"}'},
        {"template": "to={to}"},
        {"template": '{"to": ["{to}"]}', "body": "form"},
        {"url": "http://sms.example.org/send"},
        {"url": "https://sms.example.org/send?to={to}"},
        {"name": "../admin"},
        {"receipts": {"secret": "short"}},
        {"method": "GET"},
    ],
)
def test_settings_that_would_not_do_are_refused_at_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**{"url": "https://sms.example.org/send", **wrong})


def test_not_both_ways_at_once() -> None:
    smpp = SmppSettings(host="localhost", tls="none", system_id="sparekey")
    with pytest.raises(ValidationError):
        SmsSettings(smpp=smpp, http=settings("https://sms.example.org/send"))


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(500, False), (503, False), (429, False), (401, False), (302, False), (400, True), (404, True)],
)
def test_an_answer_decides_whether_it_is_tried_again(
    phone_provider: PhoneProvider, status: int, permanent: bool
) -> None:
    phone_provider.statuses = [status]
    channel = SmsHttp(settings(phone_provider.url))
    assert refused(channel).permanent is permanent
    assert channel.send(message())
    assert len(phone_provider.requests) == 2


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense", b"[]", b'{"result": {"ids": [{"a": 1}]}}', b"[" * 50_000, b"\xff\xfe"]
)
def test_an_answer_without_an_id_only_means_that_no_receipt_is_waited_for(
    phone_provider: PhoneProvider, answer: bytes
) -> None:
    phone_provider.answers = [answer]
    assert SmsHttp(settings(phone_provider.url)).send(message()) is None


def test_an_answer_without_an_end_is_not_read(phone_provider: PhoneProvider) -> None:
    phone_provider.answers = [b" " * (1 << 20)]
    assert not refused(SmsHttp(settings(phone_provider.url))).permanent


def test_a_provider_that_is_not_there_is_waited_for() -> None:
    assert not refused(SmsHttp(settings(f"http://127.0.0.1:{free_port()}/"))).permanent


def test_secrets_are_shown_by_nobody(
    capsys: pytest.CaptureFixture[str], phone_provider: PhoneProvider
) -> None:
    known = settings(phone_provider.url, template=SecretStr('{"key": "k3y", "to": "{to}"}'))
    phone_provider.statuses = [500]
    refused(SmsHttp(known))
    told = repr(known) + str(known.model_dump()) + "".join(capsys.readouterr())
    for secret in ("t0ps3cret", "k3y", SECRET, "123456", "31612345678"):
        assert secret not in told
