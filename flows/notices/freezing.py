"""What "this was not me" does: recovery is frozen and nothing is deleted (S23); an operator lifts it.

Where the notice told of a temporary password, which others know, that password is made useless: one that
nobody knows takes its place. Once somebody has chosen another password, it stays: it may be the owner's.
"""

import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from flows.notices.alarms import Alarms, Event
from flows.notices.notifications import Stop, Stops
from flows.session_jobs import END_SESSIONS
from idp_plugin.base import (
    ChangeForcer,
    Directory,
    IdpSessions,
    PasswordState,
    PasswordWriter,
    Subject,
)
from idp_plugin.errors import IdpError
from store.audit import AuditAction
from store.database import Database
from store.errors import StoreUnavailable
from store.jobs import Jobs

VOID_PASSWORD = "stop.void_password"  # noqa: S105 - a job's name
_EVERY_CLASS = "aA1-"
"""Added to chance, because directories ask for letters and digits of every sort."""
_log = structlog.get_logger(__name__)


class Freezing:
    """Freezes by a reference from a notice, unfreezes by an operator."""

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        directory: Directory,
        writer: PasswordWriter,
        stops: Stops,
        sessions: IdpSessions,
        alarms: Alarms,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._directory = directory
        self._writer = writer
        self._stops = stops
        self._sessions = sessions
        self._alarms = alarms

    def is_known(self, reference: str) -> bool:
        """Tell whether a reference from a notice still stands for something; changes nothing."""
        return self._stops.read(reference) is not None

    def stop(self, reference: str, *, now: dt.datetime) -> bool:
        """Freeze, suspend what was bound since the notice's event, end every session, alarm administrators.

        A temporary password that the notice told of is made useless by the queue.

        Every attempt that runs ends with it: the person's epoch grows.

        Returns:
            False for a reference that is unknown or too old.
        """
        stop = self._stops.read(reference)
        subject = self._freeze(stop, now) if stop else None
        if stop is None or subject is None:
            return False
        if stop.is_temporary:
            body = {"source": subject.source, "id": subject.id, "reference": stop.reference}
            _tried("password_not_voided", lambda: self._jobs.enqueue(VOID_PASSWORD, body))
        self._alarm(subject, stop.reference, now)
        try:
            self._sessions.end_all(subject)
        except IdpError as error:
            _log.error("sessions_not_ended", cause=type(error).__name__)
        return True

    def void_password(self, body: Mapping[str, Any]) -> None:
        """Run the job: write a password that nobody knows over a temporary one; an error means: once more."""
        identity = self._directory.get(Subject(body["source"], body["id"]))
        if identity is None or identity.password_state is not PasswordState.MUST_CHANGE:
            return
        self._writer.set_password(identity.account, secrets.token_urlsafe(24) + _EVERY_CLASS)
        if isinstance(self._writer, ChangeForcer):
            self._writer.require_change(identity.account)
        _log.warning("temporary_password_voided", reference=body["reference"])
        # Security: it opened sessions until now, and may do so until it has died (S19).
        again = {"source": body["source"], "id": body["id"]}
        self._jobs.enqueue(END_SESSIONS, again)
        if lives := self._writer.capabilities(identity.account).old_password_lives:
            self._jobs.enqueue(END_SESSIONS, again, delay=lives)

    def _alarm(self, subject: Subject, reference: str, now: dt.datetime) -> None:
        # It is frozen; that nobody could be told of it hides nothing.
        _tried(
            "alarm_not_raised",
            lambda: self._alarms.raise_for(Event.RECOVERY_STOPPED, subject, now=now, reference=reference),
        )

    def _freeze(self, stop: Stop, now: dt.datetime) -> Subject | None:
        with self._database.transaction() as transaction:
            person = transaction.people.get(stop.person_id)
            if person is None:
                return None
            for authenticator in transaction.authenticators.of(person.id):
                if authenticator.created_at >= stop.since and authenticator.suspended_at is None:
                    transaction.authenticators.suspend(authenticator.id, now=now)
                    transaction.audit.record(
                        AuditAction.REGISTRATION_AUTHENTICATOR_SUSPENDED,
                        now=now,
                        person_id=person.id,
                        reference=stop.reference,
                        detail={"kind": authenticator.kind, "number": authenticator.number},
                    )
            transaction.people.freeze(person.id, now=now)
            transaction.audit.record(
                AuditAction.RECOVERY_FROZEN, now=now, person_id=person.id, reference=stop.reference
            )
        return Subject(person.source, person.subject)


def _tried(failure: str, function: Callable[[], None]) -> None:
    try:
        function()
    except StoreUnavailable as error:
        _log.error(failure, cause=type(error).__name__)


def unfreeze(database: Database, subject: Subject, *, author: str, now: dt.datetime) -> bool:
    """Let recovery work again; what was suspended stays so. False for somebody never seen."""
    with database.transaction() as transaction:
        person = transaction.people.by_subject(subject.source, subject.id)
        if person is None:
            return False
        transaction.people.unfreeze(person.id)
        transaction.audit.record(
            AuditAction.RECOVERY_UNFROZEN, now=now, person_id=person.id, detail={"author": author}
        )
    return True
