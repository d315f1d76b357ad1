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
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Complete and ready to leave."""

    to: str = field(repr=False)
    """The bare address."""
    channel: str
    """`email`."""
    subject: str
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)
    kind: MessageKind
    reference: str
    """The reference number in the text, if any."""


class Channel(Protocol):
    """Carries messages. Blocking; called by the queue's worker only."""

    def send(self, message: Message) -> None:
        """Hand one message on.

        Raises:
            MessageNotSent: `permanent` where trying again is useless.
        """
