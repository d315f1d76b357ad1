"""Which channels messages leave by."""

from collections.abc import Callable, Collection, Mapping, Sequence

from enforcement.policy import Policy
from flows.messaging.carrier_settings import HttpCarrierSettings
from flows.messaging.folder import Folder
from flows.messaging.message import Channel, Handed
from flows.messaging.receipts import DeliveryState
from flows.messaging.smpp import OnReceipt, Smpp
from flows.messaging.sms_http import SmsHttp
from flows.messaging.smtp_relay import SmtpRelay
from flows.messaging.voice_http import VoiceHttp
from gateway.services import Clock
from gateway.settings import Settings, SettingsInvalid

CALL_BACKS = "/messages/receipts/"
"""Below the prefix; the provider's name follows."""
_NEEDED = {"mobile_phone": ("sms", "voice"), "office_phone": ("voice",)}
"""One of which must be there for a kind."""


def _nobody(_handed: Handed, _state: DeliveryState) -> None:
    """Tell nobody: who only queues messages gets no receipts."""


def channels(
    settings: Settings,
    clock: Clock,
    *,
    on_receipt: OnReceipt = _nobody,
    close: Callable[[Callable[[], None]], object] | None = None,
) -> Mapping[str, Sequence[Channel]]:
    """Return the channels by name; the demo's outbox takes part where it is set.

    Args:
        settings: All of them.
        clock: For what is dated.
        on_receipt: Told how messages ended that a connection of ours brings the receipts of.
        close: Takes what closes the connections at the end; None where none are ever opened.

    Raises:
        SettingsInvalid: No mail can leave.
    """
    mail: list[Channel] = []
    if settings.messages.mail.host:
        try:
            mail.append(SmtpRelay(settings.messages.mail, clock))
        except ValueError as error:
            raise SettingsInvalid([("messages.mail", str(error))]) from error
    outbox = [Folder(settings.demo.outbox, clock)] if settings.demo.outbox else []
    if not mail and not outbox:
        raise SettingsInvalid([("messages.mail.host", "no mail server is set, so nobody can be helped")])
    carriers = {"sms": _texts(settings, on_receipt), "voice": _calls(settings)}
    for carrier in carriers.values():
        if carrier and close:
            close(carrier.close)
    carried = {name: [carrier, *outbox] if carrier else outbox for name, carrier in carriers.items()}
    return {"email": [*mail, *outbox], **carried}


def require_channels(policy: Policy, available: Mapping[str, Collection[Channel]]) -> None:
    """Check that every kind of the policy can reach people.

    Raises:
        SettingsInvalid: With each that cannot.
    """
    problems = [
        (f"messages.{ways[0]}", f"the policy lists {kind}, and no channel carries {' or '.join(ways)}")
        for kind, ways in _NEEDED.items()
        if kind in policy.kinds and not any(available.get(way) for way in ways)
    ]
    if problems:
        raise SettingsInvalid(problems)


def carriers_of(settings: Settings) -> tuple[HttpCarrierSettings, ...]:
    """Return the providers that are asked by HTTP and may call back."""
    known = (settings.messages.sms.http, settings.messages.voice.http)
    return tuple(carrier for carrier in known if carrier)


def _texts(settings: Settings, on_receipt: OnReceipt) -> Smpp | SmsHttp | None:
    sms = settings.messages.sms
    if sms.smpp:
        return Smpp(sms.smpp, on_receipt)
    return SmsHttp(sms.http) if sms.http else None


def _calls(settings: Settings) -> VoiceHttp | None:
    voice, gateway = settings.messages.voice, settings.gateway
    if voice.http is None:
        return None
    return VoiceHttp(voice.http, f"{gateway.public}{gateway.prefix}{CALL_BACKS}{voice.http.name}")
