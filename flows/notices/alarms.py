"""Alarms: grave events that administrators are told of, by the queue, since finding them takes a while."""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any

import structlog

from flows.messaging.dispatch import Dispatch
from flows.messaging.letters import Letters
from flows.messaging.message import MessageKind
from flows.messaging.render import Draft
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
    MESSAGES_SPIKED = "messages_spiked"
    """Far more messages leave than usual."""
    POLICY_WEAKER = "policy_weaker"
    """A weaker version of the policy waits for a second person (S23)."""


def alarm_everybody(jobs: Jobs, event: Event, *, now: dt.datetime, facts: Mapping[str, str]) -> None:
    """Have all administrators told of an event that is about nobody in particular.

    Args:
        facts: What `Alarms.post` puts into the sentences of this event.
    """
    jobs.enqueue(JOB, {"event": event.value, "at": now.isoformat(), "reference": "", "facts": dict(facts)})


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
        subject, reference = _subject(body), body["reference"]
        receivers = self._administrators.for_alarms(but=subject)
        if not receivers:
            _log.error("nobody_alarmed", reference=reference, alarm=body["event"])
        draft = self._draft(body, self._name(subject))
        for receiver in receivers:
            self._dispatch.post(draft.to(receiver, MessageKind.ALARM, reference), person_id=None)

    def _draft(self, body: Mapping[str, Any], name: str) -> Draft:
        letters, at = self._letters.in_language(""), dt.datetime.fromisoformat(body["at"])
        match Event(body["event"]):
            case Event.RECOVERY_STOPPED:
                return letters.recovery_stopped(name=name, at=at, reference=body["reference"])
            case Event.ADMINISTRATORS_PASSWORD:
                return letters.administrators_password(name=name, at=at, reference=body["reference"])
            case Event.MESSAGES_SPIKED:
                return letters.messages_spiked(at=at, **body["facts"])
            case Event.POLICY_WEAKER:
                return letters.policy_weaker(at=at, **body["facts"])

    def _name(self, subject: Subject | None) -> str:
        identity = self._directory.get(subject) if subject else None
        return f"{identity.display_name} {identity.username}" if identity else ""


def _subject(body: Mapping[str, Any]) -> Subject | None:
    return Subject(body["source"], body["id"]) if "id" in body else None
