"""Settings of what carries text messages and calls."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from flows.messaging.loopback import is_loopback
from store.settings import Section

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
PLACEHOLDERS = frozenset({"to", "text", "reference", "sender"})


class SmppSettings(Section):
    """A text message centre that speaks SMPP 3.4."""

    host: str
    """Its name; certificates are checked against it."""
    port: int = Field(default=3550, ge=1, le=65535)
    """Its port."""
    tls: Literal["required", "none"] = "required"
    """`none` is refused unless the centre is on loopback or behind `tunnel`."""
    tunnel: bool = False
    """Say yes where the connection runs through a tunnel of your own: codes pass it in the clear."""
    ca: str = ""
    """CA file; the system's authorities when empty."""
    system_id: str = Field(max_length=15)
    """The name to bind with."""
    password: SecretStr = SecretStr("")
    """Its password; the protocol has room for eight letters."""
    system_type: str = Field(default="", max_length=12)
    """Some centres ask for one."""
    bind: Literal["transceiver", "transmitter"] = "transceiver"
    """`transmitter` for centres that know no connection for both ways, like those of SMPP 3.3; receipts then
    never come."""
    sender: str = Field(default="", max_length=20)
    """Number or name that people see, at most 11 letters for a name; empty leaves it to the centre."""
    alphabet: Literal["gsm", "ucs2"] = "gsm"
    """`ucs2` where the centre's default alphabet is not GSM 03.38; a message then has 70 letters."""
    valid_minutes: int = Field(default=10, ge=1, le=1440)
    """How long the network may try."""
    seconds: float = Field(default=10, gt=0, le=60)
    """How long one answer may take."""
    enquire_seconds: float = Field(default=30, gt=0, le=600)
    """After so much silence the centre is asked whether it is still there."""

    @field_validator("password")
    @classmethod
    def _fits(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) > 8:
            raise ValueError("has more than the eight letters that the protocol has room for")
        return value

    @model_validator(mode="after")
    def _is_private(self) -> "SmppSettings":
        if self.tls == "none" and not self.tunnel and not is_loopback(self.host):
            raise ValueError("tls: `none` is allowed on loopback or behind `tunnel` only")
        return self


class ReceiptSettings(Section):
    """Call-backs of a provider, at `/messages/receipts/<provider>` below the prefix."""

    secret: SecretStr
    """For HMAC-SHA256 over the time, a full stop and the body; at least 32 letters."""
    signature_header: str = "X-Signature"
    """Field with the signature in hexadecimal, perhaps after `sha256=`."""
    time_header: str = "X-Timestamp"
    """Field with the time in seconds since 1970; older than five minutes is refused."""
    id_path: str = "id"
    """Where the message's id is in the JSON body: names and numbers between full stops."""
    state_path: str = "state"
    """Where its state is."""
    delivered: tuple[str, ...] = ("delivered",)
    """States that mean that it arrived."""
    failed: tuple[str, ...] = ("failed", "undelivered", "rejected", "expired")
    """States that mean that it never will; any other says nothing yet."""

    @field_validator("secret")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        return _long(value)


class HttpCarrierSettings(Section):
    """A provider that is asked by HTTP."""

    name: str
    """A word of small letters for the call-backs' address."""
    url: str
    """`https`, or `http` on loopback. Without placeholders: addresses end up in logs."""
    headers: Mapping[str, SecretStr] = Field(default={})
    """Fields to send along, an authorization for one."""
    ca: str = ""
    """CA file; the system's authorities when empty."""
    seconds: float = Field(default=10, gt=0, le=60)
    """How long one answer may take."""
    id_path: str = "id"
    """Where the provider's id of the message is in its JSON answer: names and numbers between full stops."""
    receipts: ReceiptSettings | None = None
    """Call-backs; none are taken when left out."""

    @field_validator("name")
    @classmethod
    def _is_word(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("must be small letters, digits and dashes")
        return value

    @field_validator("url")
    @classmethod
    def _is_private(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise ValueError("must be https; http is allowed on loopback only")
        if _PLACEHOLDER.search(value):
            raise ValueError("takes no placeholders: addresses end up in logs")
        return value


class SmsHttpSettings(HttpCarrierSettings):
    """A gateway for text messages."""

    method: Literal["POST", "PUT"] = "POST"
    """How it is asked."""
    body: Literal["json", "form"] = "json"
    """What `template` becomes."""
    template: SecretStr = SecretStr('{"to": "{to}", "text": "{text}", "reference": "{reference}"}')
    """A JSON document whose words may hold `{to}`, `{text}`, `{reference}` and `{sender}`, and nothing else
    in braces. For a form, an object of words."""
    sender: str = ""
    """What `{sender}` stands for."""
    accepted: tuple[int, ...] = (200, 201, 202)
    """Statuses that mean that the message was taken."""
    refused: tuple[int, ...] = (400, 404, 422)
    """Statuses that mean that it never will be; any other is tried again."""

    @field_validator("template")
    @classmethod
    def _is_template(cls, value: SecretStr) -> SecretStr:
        try:
            document = json.loads(value.get_secret_value())
        except ValueError as error:
            raise ValueError("is not JSON") from error
        unknown = {name for word in _words(document) for name in _PLACEHOLDER.findall(word)} - PLACEHOLDERS
        if unknown:
            raise ValueError(f"there is no placeholder {{{min(unknown)}}}")
        return value

    @model_validator(mode="after")
    def _fits_a_form(self) -> "SmsHttpSettings":
        document = json.loads(self.template.get_secret_value())
        is_flat = isinstance(document, dict) and all(isinstance(each, str) for each in document.values())
        if self.body == "form" and not is_flat:
            raise ValueError("template: a form is an object of words")
        return self


class VoiceHttpSettings(HttpCarrierSettings):
    """A provider that calls people and speaks; `docs/voice-provider.md` says what it is sent."""

    key: SecretStr
    """Signs our requests as `receipts` are signed; at least 32 letters."""
    tries: int = Field(default=1, ge=1, le=3)
    """How often a number that does not answer is called."""

    @field_validator("key")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        return _long(value)


class SmsSettings(Section):
    """Text messages: one of the two, or neither."""

    smpp: SmppSettings | None = None
    """By SMPP."""
    http: SmsHttpSettings | None = None
    """By HTTP."""

    @model_validator(mode="after")
    def _only_one(self) -> "SmsSettings":
        if self.smpp and self.http:
            raise ValueError("smpp and http: only one of them, or everybody gets each message twice")
        return self


class VoiceSettings(Section):
    """Calls."""

    http: VoiceHttpSettings | None = None
    """By HTTP."""


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 32:
        raise ValueError("must have 32 letters at least")
    return value


def filled(document: Any, values: dict[str, str]) -> Any:
    """Return a template with its placeholders filled in; what is filled in is never read again (S24)."""
    if isinstance(document, str):
        return _PLACEHOLDER.sub(lambda found: values[found[1]], document)
    if isinstance(document, dict):
        return {name: filled(each, values) for name, each in document.items()}
    if isinstance(document, list):
        return [filled(each, values) for each in document]
    return document


def _words(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for each in document.values():
            yield from _words(each)
    elif isinstance(document, list):
        for each in document:
            yield from _words(each)
