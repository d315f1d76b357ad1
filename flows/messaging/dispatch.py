"""Messages leave through the queue, after the response, and are tried again with growing waits."""

import datetime as dt
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from flows.abuse.familiarity import Familiarity
from flows.errors import MessageNotSent
from flows.messaging.budgets import Budgets, Refusal
from flows.messaging.message import Channel, Message, MessageKind
from flows.messaging.receipts import Receipts
from flows.messaging.undeliverable import note_undeliverable
from store.audit import AuditAction
from store.database import Database
from store.jobs import Jobs

JOB = "message.send"
TRIES = 8
"""Over about 40 minutes."""
FIRST_WAIT = dt.timedelta(seconds=20)
_SENT = {
    MessageKind.RESET_CODE: AuditAction.RESET_CODE_SENT,
    MessageKind.UNLOCK_CODE: AuditAction.UNLOCK_CODE_SENT,
    MessageKind.REGISTRATION_CODE: AuditAction.REGISTRATION_CODE_SENT,
    MessageKind.STEP_UP_CODE: AuditAction.REGISTRATION_CODE_SENT,
    MessageKind.CHANGE_CODE: AuditAction.CHANGE_CODE_SENT,
    MessageKind.NOTICE: AuditAction.NOTICE_SENT,
    MessageKind.NAME: AuditAction.NAME_SENT,
    MessageKind.CONTACT: AuditAction.CONTACT_SENT,
    MessageKind.INVITATION: AuditAction.HELP_INVITATION_SENT,
    MessageKind.ALARM: AuditAction.ALARM_SENT,
}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """One message on the queue."""

    message: Message = field(repr=False)
    person_id: str | None
    until: dt.datetime | None
    """When it becomes useless: a code's end of life; None for notices."""
    familiarity: Familiarity = Familiarity.KNOWN
    """Of whoever had it sent."""
    tries: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    """What the audit calls it: rows with the same id tell what became of one message."""

    def to_json(self) -> dict[str, Any]:
        """Return the job's body; the queue seals it."""
        message = self.message
        return {
            "to": message.to,
            "channel": message.channel,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "kind": message.kind.value,
            "reference": message.reference,
            "locale": message.locale,
            "person": self.person_id,
            "until": self.until.isoformat() if self.until else None,
            "familiarity": self.familiarity.value,
            "tries": self.tries,
            "id": self.id,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Posted":
        """Read what `to_json` made."""
        names = ("to", "channel", "subject", "text", "html", "reference", "locale")
        message = Message(kind=MessageKind(body["kind"]), **{name: body[name] for name in names})
        until = dt.datetime.fromisoformat(body["until"]) if body["until"] else None
        return cls(
            message=message,
            person_id=body["person"],
            until=until,
            familiarity=Familiarity(body["familiarity"]),
            tries=body["tries"],
            id=body["id"],
        )


class Dispatch:
    """Puts messages on the queue and hands them to every channel of their name."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        database: Database,
        channels: Mapping[str, Sequence[Channel]],
        clock: Callable[[], dt.datetime],
        budgets: Budgets | None = None,
        receipts: Receipts | None = None,
    ) -> None:
        """Take the channels by name: all of a name get a message, and again where one of them failed.

        Args:
            budgets: Asked before a message leaves; None where messages are only posted.
            receipts: Told what providers took; None where nothing is known of receipts.
        """
        self._jobs = jobs
        self._database = database
        self._channels = channels
        self._clock = clock
        self._budgets = budgets
        self._receipts = receipts

    def post(
        self,
        message: Message,
        *,
        person_id: str | None,
        until: dt.datetime | None = None,
        familiarity: Familiarity = Familiarity.KNOWN,
    ) -> None:
        """Queue one message.

        Args:
            message: Complete.
            person_id: Whose audit tells of it; None for nobody's.
            until: Not to be sent from then on.
            familiarity: Of whoever has it sent; the budgets keep a part from strangers.
        """
        posted = Posted(message=message, person_id=person_id, until=until, familiarity=familiarity)
        self._record(posted, self._clock(), AuditAction.NOTICE_QUEUED, "")
        self._jobs.enqueue(JOB, posted.to_json())

    def deliver(self, body: Mapping[str, Any]) -> None:
        """Run the job: send, or put it back with twice the wait."""
        posted = Posted.from_json(body)
        now = self._clock()
        if posted.until and posted.until <= now:
            self._record(posted, now, AuditAction.NOTICE_FAILED, "late")
            return
        if refusal := self._refusal(posted, now):
            self._record(posted, now, AuditAction.MESSAGE_REFUSED, refusal)
            return
        try:
            self._send(posted)
        except MessageNotSent as error:
            self._failed(posted, error, now)
        else:
            self._record(posted, now, _SENT[posted.message.kind], "")

    def _refusal(self, posted: Posted, now: dt.datetime) -> Refusal:
        # A message is paid once, however often it is tried.
        if self._budgets is None or posted.tries:
            return ""
        message = posted.message
        return self._budgets.take(message.channel, message.to, now=now, familiarity=posted.familiarity)

    def _send(self, posted: Posted) -> None:
        message = posted.message
        channels = self._channels.get(message.channel, ())
        if not channels:
            raise MessageNotSent(permanent=True)
        for channel in channels:
            handed = channel.send(message)
            if handed and self._receipts:
                self._receipts.expect(
                    handed,
                    person_id=posted.person_id,
                    reference=message.reference,
                    channel=message.channel,
                    kind=message.kind.value,
                )

    def _failed(self, posted: Posted, error: MessageNotSent, now: dt.datetime) -> None:
        # The cause names the server's answer or the socket's error; the address is not in the type's name.
        cause = type(error.__cause__).__name__
        tries = posted.tries + 1
        if error.permanent or tries >= TRIES:
            _log.error("message_not_sent", kind=posted.message.kind.value, cause=cause, tries=tries)
            self._record(posted, now, AuditAction.NOTICE_FAILED, "refused" if error.permanent else "gave_up")
            if error.unreachable:
                note_undeliverable(self._database, posted.person_id, posted.message.kind, now=now)
            return
        _log.warning("message_waits", kind=posted.message.kind.value, cause=cause, tries=tries)
        again = replace(posted, tries=tries)
        self._record(again, now, AuditAction.NOTICE_WAITING, "")
        self._jobs.enqueue(JOB, again.to_json(), delay=FIRST_WAIT * 2 ** (tries - 1))

    def _record(self, posted: Posted, now: dt.datetime, action: AuditAction, why: str) -> None:
        message = posted.message
        detail: dict[str, str | int] = {
            "kind": message.kind.value,
            "channel": message.channel,
            "message": posted.id,
        }
        if why:
            detail["why"] = why
        if posted.tries:
            detail["tries"] = posted.tries
        with self._database.transaction() as transaction:
            transaction.audit.record(
                action, now=now, person_id=posted.person_id, reference=message.reference, detail=detail
            )
