"""An administrator's reset: a temporary password that must be changed, or an invitation to the person's own.

The invitation is the better one: nobody but the person ever knows a password. Neither is possible for
somebody with special rights (S18), and nobody chooses a password for another (S23).
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from flows.errors import HelpRefused, OutcomeIsUnknown, PasswordNotWritten, Unavailable
from flows.help.invitation import LIVES, Invitations
from flows.help.person import helpable
from flows.ids import new_reference
from flows.messaging.dispatch import Dispatch
from flows.messaging.letters import Letters
from flows.messaging.message import MessageKind
from flows.notices.notifications import Recipient, Stop, Stops, recipient
from flows.passwords.finding import broken
from flows.passwords.names import account_names
from flows.passwords.rules import PasswordRules
from flows.passwords.suggestion import Suggestion, suggest
from flows.recovery.eligibility import Eligibility
from flows.recovery.late_writes import LateWrites
from flows.session_jobs import END_SESSIONS
from idp_plugin.base import (
    ChangeForcer,
    Directory,
    Identity,
    IdpSessions,
    PasswordWriter,
    TargetResult,
    WriterCapabilities,
)
from idp_plugin.errors import IdpError, IdpUnavailable, NotPermitted, OutcomeUnknown
from store.audit import AuditAction
from store.database import Database
from store.jobs import Jobs

T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Temporary:
    """A temporary password, to be shown once to the administrator."""

    username: str
    password: str = field(repr=False)
    reference: str
    sessions_left: int | None
    """Sessions at the identity provider that remain; None where it could not be told."""


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation that is on its way."""

    username: str
    reference: str
    messages: int


class AdministratorReset:
    """What commands call, and the API later; who may call it is decided there."""

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        directory: Directory,
        writer: PasswordWriter,
        late_writes: LateWrites,
        sessions: IdpSessions,
        eligibility: Eligibility,
        rules: PasswordRules,
        invitations: Invitations,
        stops: Stops,
        dispatch: Dispatch,
        letters: Letters,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._directory = directory
        self._writer = writer
        self._late_writes = late_writes
        self._sessions = sessions
        self._eligibility = eligibility
        self._rules = rules
        self._invitations = invitations
        self._stops = stops
        self._dispatch = dispatch
        self._letters = letters

    def temporary(self, identifier: str, *, author: str, now: dt.datetime) -> Temporary:
        """Set a password made up by chance that must be changed at the next sign-in.

        Args:
            author: Who does it, for the audit.

        Raises:
            HelpRefused: `unknown`, `disabled`, `privileged`, or `cannot_force` where the directory cannot
                ask for a change.
            Unavailable: Nothing was changed.
            PasswordNotWritten: The directory refused; nothing was changed.
            OutcomeIsUnknown: It may have been written; nobody knows the password.
        """
        identity, reference = helpable(self._directory, self._eligibility, identifier), new_reference()
        forcer = self._writer
        if not isinstance(forcer, ChangeForcer):
            raise HelpRefused("cannot_force")
        capabilities, person_id = self._capabilities(identity), self._recipient(identity, now).person_id
        suggestion = self._suggestion(identity, capabilities)

        def write() -> tuple[TargetResult, ...]:
            return self._writer.set_password(identity.account, suggestion.password)

        try:
            # Asked before as well: a right that we lack must not cost somebody a password that worked.
            forcer.require_change(identity.account)
            # Security: an older password that waits for a place would come after this one (S19).
            self._late_writes.write_alone(identity.account, write, person_id=person_id)
        except IdpError as error:
            self._refused(identity, author, reference, error, now)
            raise _flow_error(error) from error
        if capabilities.old_password_lives:
            self._end_sessions_again(identity, delay=capabilities.old_password_lives)
        self._force(forcer, identity, author, reference, now)
        sessions_left = self._written(identity, author, reference, now)
        return Temporary(identity.username, suggestion.password, reference, sessions_left)

    def invite(self, identifier: str, *, author: str, now: dt.datetime) -> Invited:
        """Send somebody a link to their own reset, to every address of theirs; it proves nothing.

        Raises:
            HelpRefused: `unknown`, `disabled`, `privileged`, or `no_way` where nothing registered could
                prove who they are.
            Unavailable: The directory does not answer.
        """
        identity, reference = helpable(self._directory, self._eligibility, identifier), new_reference()
        try:
            eligible = self._eligibility.find(identity.username, "reset", now)
        except IdpError as error:
            raise Unavailable from error
        if eligible is None or eligible.identity.subject != identity.subject:
            raise HelpRefused("no_way")
        link = self._invitations.link(identity.username, reference=reference, now=now)
        reached = self._recipient(identity, now)
        draft = self._letters.in_language(reached.locale).invitation(
            name=reached.name, link=link, hours=LIVES // dt.timedelta(hours=1), reference=reference
        )
        for address in reached.addresses:
            message = draft.to(address, MessageKind.INVITATION, reference)
            self._dispatch.post(message, person_id=reached.person_id, until=now + LIVES)
        self._record(AuditAction.HELP_INVITATION_POSTED, reached.person_id, reference, now, author=author)
        return Invited(identity.username, reference, len(reached.addresses))

    def _capabilities(self, identity: Identity) -> WriterCapabilities:
        try:
            return self._writer.capabilities(identity.account)
        except IdpError:
            # Only promises come from here; the directory itself still decides.
            return WriterCapabilities()

    def _suggestion(self, identity: Identity, capabilities: WriterCapabilities) -> Suggestion:
        names = account_names(identity)

        def accepts(candidate: str) -> bool:
            return not broken(self._rules.findings(candidate, names=names, capabilities=capabilities))

        suggestion = suggest(accepts)
        if suggestion is None:
            raise PasswordNotWritten
        return suggestion

    def _force(
        self, forcer: ChangeForcer, identity: Identity, author: str, reference: str, now: dt.datetime
    ) -> None:
        try:
            forcer.require_change(identity.account)
        except IdpError as error:
            # Security: a password that need not be changed is shown to nobody (S23).
            self._refused(identity, author, reference, error, now)
            self._written(identity, author, reference, now)
            raise OutcomeIsUnknown from error

    def _written(self, identity: Identity, author: str, reference: str, now: dt.datetime) -> int | None:
        """Void what was proved before, end sessions, and tell the person; none of it undoes the write."""
        _tried(lambda: self._void(identity, author, reference, now))
        left = _tried(lambda: self._sessions.end_all(identity.subject))
        if left is None or left > 0:
            self._end_sessions_again(identity)
        _tried(lambda: self._tell(identity, reference, now))
        return left

    def _end_sessions_again(self, identity: Identity, delay: dt.timedelta | None = None) -> None:
        """Let the queue end them, at once or when the old password has died (S19)."""
        body = {"source": identity.subject.source, "id": identity.subject.id}
        _tried(lambda: self._jobs.enqueue(END_SESSIONS, body, delay=delay))

    def _void(self, identity: Identity, author: str, reference: str, now: dt.datetime) -> None:
        with self._database.transaction() as transaction:
            person = transaction.people.ensure(identity.subject.source, identity.subject.id, now=now)
            transaction.people.bump_epoch(person.id)
        self._record(AuditAction.HELP_PASSWORD_WRITTEN, person.id, reference, now, author=author)

    def _tell(self, identity: Identity, reference: str, now: dt.datetime) -> None:
        reached = self._recipient(identity, now)
        link = self._stops.link(Stop(reached.person_id, now, reference, is_temporary=True))
        draft = self._letters.in_language(reached.locale).temporary_password_set(
            name=reached.name, at=now, stop_link=link, reference=reference
        )
        for address in reached.addresses:
            message = draft.to(address, MessageKind.NOTICE, reference)
            self._dispatch.post(message, person_id=reached.person_id)

    def _recipient(self, identity: Identity, now: dt.datetime) -> Recipient:
        with self._database.transaction() as transaction:
            person = transaction.people.ensure(identity.subject.source, identity.subject.id, now=now)
            own = transaction.authenticators.of(person.id)
        return recipient(person.id, identity, own)

    def _refused(
        self, identity: Identity, author: str, reference: str, error: IdpError, now: dt.datetime
    ) -> None:
        cause = type(error).__name__
        _log.error("administrator_reset_not_done", reference=reference, cause=cause)
        _tried(lambda: self._record_refused(identity, reference, now, author=author, cause=cause))

    def _record_refused(self, identity: Identity, reference: str, now: dt.datetime, **detail: str) -> None:
        person_id = self._recipient(identity, now).person_id
        self._record(AuditAction.HELP_PASSWORD_REFUSED, person_id, reference, now, **detail)

    def _record(
        self, action: AuditAction, person_id: str, reference: str, now: dt.datetime, **detail: str
    ) -> None:
        with self._database.transaction() as transaction:
            transaction.audit.record(action, now=now, person_id=person_id, reference=reference, detail=detail)


def _flow_error(error: IdpError) -> Exception:
    match error:
        case OutcomeUnknown():
            return OutcomeIsUnknown()
        case IdpUnavailable():
            return Unavailable()
        case NotPermitted(what="privileged" | "disabled" as what):
            return HelpRefused(what)
        case _:
            return PasswordNotWritten()


def _tried(function: Callable[[], T]) -> T | None:
    """Do what follows a write; its failure never hides that it was done."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - whatever goes wrong now, the write is done
        _log.error("step_afterwards_failed", cause=type(error).__name__)
        return None
