"""Alarms: grave events that administrators are told of, by the queue, since finding them takes a while."""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any

import structlog

from flows.messaging.dispatch import Dispatch
from flows.messaging.letters import Letters
from flows.messaging.message import MessageKind
from flows.notices.administrators import Administrators
from idp_plugin.base import Directory, Identity, Subject
from store.jobs import Jobs

JOB = "alarm.post"
_log = structlog.get_logger(__name__)


class Event(enum.StrEnum):
    """What happened."""

    RECOVERY_STOPPED = "recovery_stopped"
    """A person said "this was not me"."""
    ADMINISTRATORS_PASSWORD = "administrators_password"  # noqa: S105 - an event's name
    """The password of somebody with special rights was set anew."""


class Alarms:
    """Raises alarms, and posts them when the queue comes to it."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        directory: Directory,
        administrators: Administrators,
        dispatch: Dispatch,
        letters: Letters,
    ) -> None:
        self._jobs = jobs
        self._directory = directory
        self._administrators = administrators
        self._dispatch = dispatch
        self._letters = letters

    def raise_for(self, event: Event, subject: Subject, *, now: dt.datetime, reference: str) -> None:
        """Have the administrators told of an event about somebody."""
        about = {"source": subject.source, "id": subject.id}
        body = {"event": event.value, **about, "at": now.isoformat(), "reference": reference}
        self._jobs.enqueue(JOB, body)

    def password_set(self, identity: Identity, *, now: dt.datetime, reference: str) -> None:
        """Have the other administrators told where it was an administrator's own password."""
        if identity.privileged or self._administrators.is_one(identity):
            self.raise_for(Event.ADMINISTRATORS_PASSWORD, identity.subject, now=now, reference=reference)

    def post(self, body: Mapping[str, Any]) -> None:
        """Run the job; an error means: again later."""
        subject, reference = Subject(body["source"], body["id"]), body["reference"]
        identity = self._directory.get(subject)
        receivers = self._administrators.for_alarms(but=subject)
        if not receivers:
            _log.error("nobody_alarmed", reference=reference, alarm=body["event"])
        letters, at = self._letters.in_language(""), dt.datetime.fromisoformat(body["at"])
        name = _name(identity)
        match Event(body["event"]):
            case Event.RECOVERY_STOPPED:
                draft = letters.recovery_stopped(name=name, at=at, reference=reference)
            case Event.ADMINISTRATORS_PASSWORD:
                draft = letters.administrators_password(name=name, at=at, reference=reference)
        for receiver in receivers:
            self._dispatch.post(draft.to(receiver, MessageKind.ALARM, reference), person_id=None)


def _name(identity: Identity | None) -> str:
    return f"{identity.display_name} {identity.username}" if identity else ""
