"""One message to one person, and what carries it."""

import enum
from dataclasses import dataclass, field
from typing import Protocol


class MessageKind(enum.StrEnum):
    """What a message is for; decides what the audit says of it."""

    RESET_CODE = "reset_code"
    UNLOCK_CODE = "unlock_code"
    REGISTRATION_CODE = "registration_code"
    STEP_UP_CODE = "step_up_code"
    CHANGE_CODE = "change_code"
    NOTICE = "notice"
    NAME = "name"
    CONTACT = "contact"
    INVITATION = "invitation"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Complete and ready to leave."""

    to: str = field(repr=False)
    """The bare address, or the number in E.164, for a call perhaps with `;ext=` and an extension."""
    channel: str
    """`email`, `sms` or `voice`."""
    subject: str
    """Empty but for mail."""
    text: str = field(repr=False)
    """For a call two paragraphs: what is said at once, and what is said once # was pressed."""
    html: str | None = field(default=None, repr=False)
    kind: MessageKind
    reference: str
    """The reference number in the text, if any."""
    locale: str = ""
    """BCP 47, for a voice; empty where nobody knows it."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A message that a provider took, and will tell the end of."""

    provider: str
    """Name of the channel's provider."""
    id: str
    """The provider's own for the message."""


class Channel(Protocol):
    """Carries messages. Blocking; called by the queue's worker only."""

    def send(self, message: Message) -> Handed | None:
        """Hand one message on.

        Returns:
            How its receipt will name it; None where there will be none.

        Raises:
            MessageNotSent: `permanent` where trying again is useless.
        """
