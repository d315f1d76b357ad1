"""Which channels messages leave by."""

from collections.abc import Mapping, Sequence

from flows.messaging.folder import Folder
from flows.messaging.message import Channel
from flows.messaging.smtp_relay import SmtpRelay
from gateway.services import Clock
from gateway.settings import Settings, SettingsInvalid


def channels(settings: Settings, clock: Clock) -> Mapping[str, Sequence[Channel]]:
    """Return the channels by name; the demo's outbox takes part where it is set.

    Raises:
        SettingsInvalid: No mail can leave.
    """
    mail: list[Channel] = []
    if settings.messages.mail.host:
        try:
            mail.append(SmtpRelay(settings.messages.mail, clock))
        except ValueError as error:
            raise SettingsInvalid([("messages.mail", str(error))]) from error
    if settings.demo.outbox:
        mail.append(Folder(settings.demo.outbox, clock))
    if not mail:
        raise SettingsInvalid([("messages.mail.host", "no mail server is set, so nobody can be helped")])
    return {"email": mail}
