"""Asking for help: a message to whoever may help, about somebody whom the directory knows.

What a stranger typed is in no message (S24): a name is looked up, and what the directory says of that one
person is told, with a reason from a fixed list, the time and the network. A name that nobody has sends
nothing; the page says the same.
"""

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from flows.abuse.familiarity import Familiarity
from flows.help.forgotten_name import tellable
from flows.help.requests import Requests, Sort, Stranger, asked_of
from flows.messaging.dispatch import Dispatch
from flows.messaging.letters import Letters
from flows.messaging.message import MessageKind
from flows.notices.administrators import Administrators
from flows.settings import ContactSettings
from flows.typed_name import normalised
from idp_plugin.base import Directory, Identity
from store.audit import AuditAction
from store.counters import Counters, Limit
from store.database import Database

PURPOSE = "contact"
JOB = "contact.send"
_HOUR = dt.timedelta(hours=1)
_log = structlog.get_logger(__name__)


class Trouble(enum.StrEnum):
    """What somebody needs help with; the only thing that a message says in the person's place."""

    NO_WAY = "no_way"
    """None of the registered ways can be used."""
    NOTHING_REGISTERED = "nothing_registered"
    """Nothing was ever registered."""
    CLOSED = "closed"
    """The account seems to be closed."""
    OTHER = "other"


SORT = Sort(purpose=PURPOSE, job=JOB, asked=AuditAction.CONTACT_ASKED, typed=normalised)


class Contact:
    """What the pages call."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def ask(self, identifier: str, trouble: Trouble, stranger: Stranger, *, now: dt.datetime) -> str:
        """Ask for help; raises and returns as `Requests.take`."""
        return self._requests.take(SORT, identifier, stranger, now=now, trouble=trouble.value)


class ContactJobs:
    """What the queue does with it."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        administrators: Administrators,
        counters: Counters,
        dispatch: Dispatch,
        letters: Letters,
        settings: ContactSettings,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._database = database
        self._directory = directory
        self._administrators = administrators
        self._counters = counters
        self._dispatch = dispatch
        self._letters = letters
        self._settings = settings
        self._clock = clock

    def send(self, body: Mapping[str, Any]) -> None:
        """Tell those who may help; an error means: again later."""
        identifier = body["typed"].strip()
        identity = self._directory.find(identifier) if identifier else None
        if identity is None:
            self._record(AuditAction.CONTACT_REFUSED, body["reference"], "unknown")
            return
        receivers = self._administrators.for_help()
        if not receivers:
            _log.error("nobody_helps", reference=body["reference"])
            self._record(AuditAction.CONTACT_REFUSED, body["reference"], "nobody")
        elif not self._is_new(identity):
            self._record(AuditAction.CONTACT_REFUSED, body["reference"], "told")
        else:
            self._post(identity, receivers, body)

    def _is_new(self, identity: Identity) -> bool:
        """Count one request: the same person's is told once in a while, whatever name was typed (S5)."""
        subject = identity.subject
        again = dt.timedelta(hours=self._settings.again_after_hours)
        limits = [
            Limit(f"help for:{subject.source} {subject.id}", 1, again),
            Limit("help", self._settings.per_hour, _HOUR),
        ]
        return self._counters.hit(limits, now=self._clock()).allowed

    def _post(self, identity: Identity, receivers: tuple[str, ...], body: Mapping[str, Any]) -> None:
        reference = body["reference"]
        draft = self._letters.in_language("").help_asked(
            names=tellable([identity]),
            display_name=identity.display_name,
            trouble=body["trouble"],
            privileged=identity.privileged or self._administrators.is_one(identity),
            asked=asked_of(body),
            reference=reference,
        )
        for receiver in receivers:
            message = draft.to(receiver, MessageKind.CONTACT, reference)
            self._dispatch.post(message, person_id=None, familiarity=Familiarity.TYPED)
        self._record(AuditAction.CONTACT_PASSED_ON, reference, "", receivers=len(receivers))

    def _record(self, action: AuditAction, reference: str, why: str, *, receivers: int = 0) -> None:
        detail = {"why": why} if why else {"receivers": receivers}
        with self._database.transaction() as transaction:
            transaction.audit.record(action, now=self._clock(), reference=reference, detail=detail)
