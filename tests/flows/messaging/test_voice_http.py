"""Calls by HTTP: what the person hears, and what a machine does not."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from flows.errors import MessageNotSent
from flows.messaging.asked import Asked
from flows.messaging.carrier_settings import VoiceHttpSettings
from flows.messaging.message import Handed, Message, MessageKind
from flows.messaging.render import Render
from flows.messaging.voice_http import VoiceHttp
from gateway.catalogs import translate_for
from tests.flows.world import START
from tests.servers.phone_provider import KEY, SECRET, PhoneProvider
from tests.servers.processes import free_port

CALL_BACK = "https://sso.example.org/sparekey/messages/receipts/acme"


def message(to: str = "+31612345678", locale: str = "") -> Message:
    render = Render(organisation="Example Company", languages=translate_for).in_language(locale)
    draft = render.step_up_code("123456", minutes=5, asked=Asked(START, "", ""), reference="7K2M")
    return draft.to(to, MessageKind.RESET_CODE, "7K2M", channel="voice")


def channel(url: str, **more: Any) -> VoiceHttp:
    facts = {
        "name": "acme",
        "url": url,
        "key": KEY,
        "id_path": "result.ids.0",
        "receipts": {"secret": SECRET},
    }
    return VoiceHttp(VoiceHttpSettings(**{**facts, **more}), CALL_BACK)


def test_a_person_hears_the_code_twice_digit_by_digit(phone_provider: PhoneProvider) -> None:
    assert channel(phone_provider.url).send(message()) == Handed("acme", "call-1")
    heard = phone_provider.call(presses="#")
    assert heard.dialled == "+31612345678"
    assert "Example Company" in heard.at_once
    assert heard.after_the_key.count("1, 2, 3, 4, 5, 6") == 2


@pytest.mark.parametrize("callee", [{"presses": ""}, {"presses": "1"}, {"machine": True}])
def test_an_answering_machine_is_told_no_digit(phone_provider: PhoneProvider, callee: dict[str, Any]) -> None:
    channel(phone_provider.url).send(message())
    heard = phone_provider.call(**callee)
    assert not heard.after_the_key
    assert not any(letter.isdigit() for letter in heard.at_once)


def test_an_extension_is_dialled_once_somebody_answers(phone_provider: PhoneProvider) -> None:
    channel(phone_provider.url).send(message("+12025550100;ext=12"))
    assert phone_provider.call().dialled == "+12025550100w12"


def test_the_voice_is_told_which_language_it_speaks(phone_provider: PhoneProvider) -> None:
    voice = channel(phone_provider.url)
    for locale, told in (("nl", "nl"), ("", "en")):
        voice.send(message(locale=locale))
        asked = json.loads(phone_provider.requests[-1]["body"])
        assert asked["language"] == told
        assert asked["call_back"] == CALL_BACK


def test_a_call_that_the_provider_does_not_take_is_tried_again(phone_provider: PhoneProvider) -> None:
    phone_provider.statuses = [503, 422]
    for permanent in (False, True):
        with pytest.raises(MessageNotSent) as error:
            channel(phone_provider.url).send(message())
        assert error.value.permanent is permanent
    with pytest.raises(MessageNotSent):
        channel(f"http://127.0.0.1:{free_port()}/").send(message())


def test_a_key_that_can_be_guessed_is_refused_at_start() -> None:
    with pytest.raises(ValidationError):
        VoiceHttpSettings(name="acme", url="https://voice.example.org/", key="short")
