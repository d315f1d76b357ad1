"""Audit events of interception. An event that cannot be written never changes what happened."""

import datetime as dt
from dataclasses import dataclass

import structlog

from idp_plugin.base import Subject
from store.audit import AuditAction
from store.database import Database
from store.errors import StoreError

log = structlog.get_logger("sparekey.interception")


@dataclass(frozen=True, slots=True)
class SignInAudit:
    """Writes events in transactions of their own. Blocking."""

    database: Database

    def record(
        self,
        action: AuditAction,
        *,
        now: dt.datetime,
        subject: Subject | None = None,
        reference: str = "",
        **detail: str | int,
    ) -> None:
        """Write one event, about a person where one is known and has a record."""
        try:
            with self.database.transaction() as transaction:
                person = transaction.people.by_subject(subject.source, subject.id) if subject else None
                transaction.audit.record(
                    action,
                    now=now,
                    person_id=person.id if person else None,
                    reference=reference,
                    detail=detail,
                )
        except StoreError as error:
            log.warning(
                "sign_in_not_audited", action=action.value, reference=reference, error=type(error).__name__
            )
