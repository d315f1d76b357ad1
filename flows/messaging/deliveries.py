"""What became of messages: read from the audit, where each message has an id of its own."""

import datetime as dt
import enum
from collections.abc import Iterable
from dataclasses import dataclass

from store.audit import AuditAction, AuditEvent


class State(enum.StrEnum):
    """Where one message stands."""

    QUEUED = "queued"
    WAITING = "waiting"
    """It could not be delivered yet, and is tried again."""
    SENT = "sent"
    """The next server, or the provider, took it."""
    REFUSED = "refused"
    """The server will never take it, or a budget is used up."""
    GAVE_UP = "gave_up"
    """It was tried as often as it is ever tried."""
    LATE = "late"
    """Its code was no longer good when it could have left."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message, as the audit knows it: never its text or its address."""

    id: str
    kind: str
    """A `MessageKind`."""
    channel: str
    reference: str
    state: State
    tries: int
    """Deliveries that failed."""
    at: dt.datetime
    """Since when it stands there."""


_FAILED = {"gave_up": State.GAVE_UP, "late": State.LATE}


def deliveries(events: Iterable[AuditEvent]) -> tuple[Delivery, ...]:
    """Return what became of each message in some audit events.

    Args:
        events: Newest first, as the audit returns them; others than those of messages are passed over.

    Returns:
        The message that moved last comes first.
    """
    found: dict[str, Delivery] = {}
    for event in events:
        message = str(event.detail.get("message", ""))
        if message and message not in found:
            found[message] = _delivery(message, event)
    return tuple(found.values())


def _delivery(message: str, event: AuditEvent) -> Delivery:
    detail = event.detail
    return Delivery(
        id=message,
        kind=str(detail["kind"]),
        channel=str(detail["channel"]),
        reference=event.reference,
        state=_state(event),
        tries=int(detail.get("tries", 0)),
        at=event.at,
    )


def _state(event: AuditEvent) -> State:
    match event.action:
        case AuditAction.NOTICE_QUEUED:
            return State.QUEUED
        case AuditAction.NOTICE_WAITING:
            return State.WAITING
        case AuditAction.NOTICE_FAILED:
            return _FAILED.get(str(event.detail.get("why")), State.REFUSED)
        case AuditAction.MESSAGE_REFUSED:
            return State.REFUSED
        case _:
            return State.SENT
