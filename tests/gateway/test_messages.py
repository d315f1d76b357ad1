"""Channels as the settings ask for them, and the refusal to start without one that the policy needs."""

import base64
from pathlib import Path
from typing import Any

import pytest

from enforcement.policy import Policy, from_document
from flows.messaging.smpp import Smpp
from flows.messaging.sms_http import SmsHttp
from flows.messaging.voice_http import VoiceHttp
from gateway.cli.check import _channels
from gateway.messages import carriers_of, channels, require_channels
from gateway.services import system_clock
from gateway.settings import Settings, SettingsInvalid, from_mapping

KEY = "a key that is long enough for anybody"
HTTP = {"name": "acme", "url": "https://phones.example.org/v1"}


def settings(tmp_path: Path, **messages: Any) -> Settings:
    directory = {
        "name": "people",
        "servers": ["ldaps://localhost"],
        "ca": "/ca.pem",
        "bind_dn": "cn=s",
        "base": "o=e",
    }
    return from_mapping(
        {
            "gateway": {"public": "https://sso.example.org"},
            "idp": {
                "kind": "oidc",
                "address": "https://idp.example.org",
                "issuer": "https://sso.example.org",
                "client_id": "s",
                "client_secret": "s",
            },
            "directories": [{**directory, "bind_password": "secret"}],
            "vault": {"keys": [base64.b64encode(b"k" * 32).decode()]},
            "policies": {"file": str(tmp_path / "policies.toml")},
            "messages": {"mail": {"host": "mail.example.org"}, **messages},
        }
    )


def policy(*kinds: str) -> Policy:
    return from_document({"rules": [{"name": "Everybody", "kinds": kinds, "who": {"everyone": True}}]})


def problems(policy: Policy, settings: Settings) -> list[str]:
    try:
        require_channels(policy, channels(settings, system_clock))
    except SettingsInvalid as invalid:
        return [where for where, _what in invalid.problems]
    return []


def test_a_policy_with_phones_needs_a_channel_for_them(tmp_path: Path) -> None:
    nothing = settings(tmp_path)
    assert problems(policy("email"), nothing) == []
    assert problems(policy("email", "mobile_phone"), nothing) == ["messages.sms"]
    assert problems(policy("mobile_phone", "office_phone"), nothing) == ["messages.sms", "messages.voice"]


def test_text_messages_alone_serve_mobiles_and_no_office_phones(tmp_path: Path) -> None:
    texts = settings(tmp_path, sms={"http": HTTP})
    assert problems(policy("mobile_phone"), texts) == []
    assert problems(policy("mobile_phone", "office_phone"), texts) == ["messages.voice"]


def test_calls_alone_serve_both(tmp_path: Path) -> None:
    calls = settings(tmp_path, voice={"http": {**HTTP, "key": KEY}})
    assert problems(policy("mobile_phone", "office_phone"), calls) == []


def test_each_channel_is_opened_as_it_is_set(tmp_path: Path) -> None:
    smpp = {"smpp": {"host": "smsc.example.org", "system_id": "sparekey"}}
    both = settings(tmp_path, sms=smpp, voice={"http": {**HTTP, "key": KEY}})
    closing: list[object] = []
    opened = channels(both, system_clock, close=closing.append)
    assert isinstance(opened["sms"][0], Smpp)
    assert isinstance(opened["voice"][0], VoiceHttp)
    assert len(closing) == 2
    assert [carrier.name for carrier in carriers_of(both)] == ["acme"]
    assert isinstance(channels(settings(tmp_path, sms={"http": HTTP}), system_clock)["sms"][0], SmsHttp)


@pytest.mark.parametrize("region", ["nl", "XX", "NLD", "31"])
def test_a_region_that_is_no_country_is_refused(tmp_path: Path, region: str) -> None:
    with pytest.raises(SettingsInvalid):
        settings(tmp_path, default_region=region)


def test_the_check_tells_that_a_channel_is_missing(tmp_path: Path) -> None:
    (tmp_path / "policies.toml").write_text(
        '[[rules]]\nname = "Everybody"\nkinds = ["mobile_phone"]\nwho = {everyone = true}\n', encoding="utf-8"
    )
    told = list(_channels(settings(tmp_path)))
    assert told == [("messages.sms", "the policy lists mobile_phone, and no channel carries sms or voice")]
    assert list(_channels(settings(tmp_path, sms={"http": HTTP}))) == [("messages", "")]
