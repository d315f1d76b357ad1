"""From everything proved to a password written: findings, claim, re-read, write, and what follows.

Claim before write: of parallel submissions exactly one reaches the directory. A refused password gives
the claim back; a lost answer is *unknown*, never a failure; and nothing that comes after the write turns
a success into an error.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NoReturn, TypeVar

import structlog

from enforcement.policy import Rule
from flows.attempt import Attempt, Attempts, Stage
from flows.eligibility import Eligibility, too_young
from flows.errors import (
    AttemptExpired,
    NotPossible,
    OutcomeIsUnknown,
    PasswordNotWritten,
    Unavailable,
    WeakPassword,
    WrongStage,
)
from flows.notifications import Notices, recipient
from flows.password_policy import Finding, check, refusals
from flows.throttle import Throttle
from idp_plugin.base import Identity, IdpSessions, PasswordWriter, Subject, WriterCapabilities
from idp_plugin.errors import (
    IdpError,
    IdpUnavailable,
    NotPermitted,
    OutcomeUnknown,
    PasswordRefused,
    RefusalReason,
)
from store.audit import AuditAction, Detail
from store.database import Database
from store.errors import StoreUnavailable
from store.expiring import Expiring
from store.jobs import Jobs

END_SESSIONS = "reset.end_sessions"
_NEVER = {RefusalReason.TOO_YOUNG: "too_young", RefusalReason.CHANGE_NOT_ALLOWED: "cannot_change"}
_PERSONS = {"privileged": "privileged", "disabled": "disabled", "missing": "disabled"}
"""What the writer does not permit because of the person; anything else is a right that we lack."""
_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Finished:
    """What a written password brought with it."""

    sessions_left: int | None
    """Sessions at the identity provider that remain; None where it could not be told."""
    notices: int
    """How many messages tell about it."""


class PasswordWrite:
    """The last step of every journey that sets a password."""

    def __init__(
        self,
        *,
        database: Database,
        expiring: Expiring,
        jobs: Jobs,
        eligibility: Eligibility,
        writer: PasswordWriter,
        sessions: IdpSessions,
        notices: Notices,
        throttle: Throttle,
    ) -> None:
        self._database = database
        self._attempts = Attempts(expiring)
        self._jobs = jobs
        self._eligibility = eligibility
        self._writer = writer
        self._sessions = sessions
        self._notices = notices
        self._throttle = throttle

    def findings(self, attempt: Attempt, candidate: str) -> tuple[Finding, ...]:
        """Return what our rules say of a candidate for the attempt's account."""
        return check(candidate, names=attempt.names, capabilities=self._capabilities(attempt))

    def prepare(self, attempt: Attempt, now: dt.datetime) -> Attempt:
        """Say right after the first proof what would otherwise be said after a password is typed.

        Returns:
            The stored attempt, with what the directory promises, so that findings need not ask it.

        Raises:
            NotPossible: The attempt is over.
            AttemptExpired: The person's recovery data changed since the look-up.
        """
        try:
            self._confirm(attempt, now)
            capabilities = self._writer.capabilities(_account(attempt))
        except NotPossible as error:
            self._refuse(attempt, error.why, now)
            raise
        except (Unavailable, IdpError):
            # It is asked again before anything is written.
            return attempt
        return self._attempts.change(attempt.id, lambda facts: replace(facts, capabilities=capabilities))

    def _confirm(self, attempt: Attempt, now: dt.datetime) -> tuple[Identity, Rule]:
        """Read again whether this person may have a new password now; raises as `Eligibility.confirm`."""
        identity, rule = self._eligibility.confirm(attempt, now)
        if too_young(identity, now):
            raise NotPossible("too_young")
        return identity, rule

    def _refuse(self, attempt: Attempt, why: str, now: dt.datetime) -> None:
        """End an attempt that can never succeed."""
        self._finish(attempt, "refused")
        self._record(attempt, AuditAction.RESET_ATTEMPT_REFUSED, now, {"why": why})

    def run(self, attempt: Attempt, new: str, now: dt.datetime) -> Finished:
        """Write a password that our own rules accept; raises as `Reset.set_password`."""
        claimed = self._claim(attempt, now)
        identity, rule = self._read_again(claimed, now)
        try:
            self._writer.set_password(_account(claimed), new)
        except OutcomeUnknown as error:
            self._unknown(claimed, identity, rule, now)
            raise OutcomeIsUnknown from error
        except IdpError as error:
            self._not_written(claimed, error, now)
        return self._written(claimed, identity, rule, now)

    def end_sessions_again(self, subject: Subject) -> None:
        """Run the job: end every session once more; an error means that the queue tries again."""
        self._sessions.end_all(subject)

    def _claim(self, attempt: Attempt, now: dt.datetime) -> Attempt:
        def claim(facts: Attempt) -> Attempt:
            if facts.stage is not Stage.NEW_PASSWORD or facts.claimed_at is not None:
                raise WrongStage
            return replace(facts, claimed_at=now)

        claimed = self._attempts.change(attempt.id, claim)
        # Security: recorded in SQL as well, because a fail-over may lose the newest writes (S16).
        if not self._spend(claimed, now):
            self._finish(claimed, "unknown")
            raise AttemptExpired
        return claimed

    def _spend(self, claimed: Attempt, now: dt.datetime) -> bool:
        try:
            with self._database.transaction() as transaction:
                return transaction.spent.spend("password", f"{claimed.id}:{claimed.claims}", now=now)
        except StoreUnavailable as error:
            self._give_back(claimed)
            raise Unavailable from error

    def _read_again(self, claimed: Attempt, now: dt.datetime) -> tuple[Identity, Rule]:
        try:
            identity, rule = self._confirm(claimed, now)
        except NotPossible as error:
            self._refuse(claimed, error.why, now)
            raise
        except AttemptExpired:
            self._refuse(claimed, "changed", now)
            raise
        except (Unavailable, StoreUnavailable) as error:
            self._give_back(claimed)
            raise Unavailable from error
        if rule.reset > len(claimed.proofs):
            # The policy became stricter meanwhile: one more proof (S17).
            self._give_back(claimed, own_gates=rule.reset)
            raise WrongStage
        return identity, rule

    def _not_written(self, claimed: Attempt, error: IdpError, now: dt.datetime) -> NoReturn:
        match error:
            case PasswordRefused(reasons=reasons):
                self._refused(claimed, reasons, now, error)
            case NotPermitted(what=what) if what in _PERSONS:
                self._refuse(claimed, _PERSONS[what], now)
                raise NotPossible(_PERSONS[what]) from error
            case IdpUnavailable():
                self._failed(claimed, error, now)
                raise Unavailable from error
            case _:
                self._failed(claimed, error, now)
                raise PasswordNotWritten from error

    def _refused(
        self, claimed: Attempt, reasons: tuple[RefusalReason, ...], now: dt.datetime, error: IdpError
    ) -> NoReturn:
        never = next((_NEVER[reason] for reason in reasons if reason in _NEVER), "")
        if never:
            self._refuse(claimed, never, now)
            raise NotPossible(never) from error
        self._give_back(claimed)
        detail = {"reasons": " ".join(sorted(reasons))}
        self._record(claimed, AuditAction.RESET_PASSWORD_REFUSED, now, detail)
        raise WeakPassword(refusals(reasons)) from error

    def _failed(self, claimed: Attempt, error: IdpError, now: dt.datetime) -> None:
        self._give_back(claimed)
        cause = type(error).__name__
        _log.error("password_not_written", reference=claimed.reference, cause=cause)
        self._record(claimed, AuditAction.RESET_PASSWORD_FAILED, now, {"cause": cause})

    def _unknown(self, claimed: Attempt, identity: Identity, rule: Rule, now: dt.datetime) -> None:
        _log.error("password_outcome_unknown", reference=claimed.reference)
        self._afterwards("finish", claimed, lambda: self._finish(claimed, "unknown"))
        self._afterwards(
            "audit", claimed, lambda: self._close(claimed, AuditAction.RESET_OUTCOME_UNKNOWN, now)
        )
        self._end_sessions(claimed, now)
        self._notify(claimed, identity, rule, now, certain=False)

    def _written(self, claimed: Attempt, identity: Identity, rule: Rule, now: dt.datetime) -> Finished:
        self._afterwards("finish", claimed, lambda: self._finish(claimed, "written"))
        self._afterwards(
            "audit", claimed, lambda: self._close(claimed, AuditAction.RESET_PASSWORD_WRITTEN, now)
        )
        self._afterwards("limits", claimed, lambda: self._throttle.succeeded(claimed.typed, _person(claimed)))
        sessions_left = self._end_sessions(claimed, now)
        return Finished(sessions_left, self._notify(claimed, identity, rule, now, certain=True))

    def _close(self, claimed: Attempt, action: AuditAction, now: dt.datetime) -> None:
        """Void everything else that was proved or said of the person before (S12, S16), and record it."""
        with self._database.transaction() as transaction:
            transaction.people.bump_epoch(_person(claimed))
            transaction.audit.record(
                action,
                now=now,
                person_id=claimed.person_id,
                reference=claimed.reference,
                detail={
                    "proofs": " ".join(proof.kind for proof in claimed.proofs),
                    "policy": claimed.policy_version,
                },
            )

    def _end_sessions(self, claimed: Attempt, now: dt.datetime) -> int | None:
        subject = claimed.subject or _account(claimed)
        left = self._afterwards("sessions", claimed, lambda: self._sessions.end_all(subject))
        # The old password may live on for a while and open new sessions (S19).
        lives = self._capabilities(claimed).old_password_lives
        body = {"source": subject.source, "id": subject.id}
        if left is None or left > 0:
            self._afterwards("sessions again", claimed, lambda: self._jobs.enqueue(END_SESSIONS, body))
        if lives:
            self._afterwards(
                "sessions later", claimed, lambda: self._jobs.enqueue(END_SESSIONS, body, delay=lives)
            )
        detail: Detail = {"left": -1 if left is None else left}
        self._afterwards(
            "sessions audit",
            claimed,
            lambda: self._record(claimed, AuditAction.RESET_SESSIONS_ENDED, now, detail),
        )
        return left

    def _notify(
        self, claimed: Attempt, identity: Identity, rule: Rule, now: dt.datetime, *, certain: bool
    ) -> int:
        if not rule.notify_person:
            return 0

        def notify() -> int:
            with self._database.reading() as transaction:
                authenticators = transaction.authenticators.of(_person(claimed))
            reached = recipient(_person(claimed), identity, authenticators)
            return self._notices.password_reset(
                reached, now=now, reference=claimed.reference, certain=certain
            )

        return self._afterwards("notices", claimed, notify) or 0

    def _afterwards(self, step: str, claimed: Attempt, function: Callable[[], _T]) -> _T | None:
        """Do what follows a write; its failure is reported, and never hides that the password was written."""
        try:
            return function()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong now, the password is written
            _log.error(
                "step_after_reset_failed", step=step, reference=claimed.reference, cause=type(error).__name__
            )
            return None

    def _finish(self, attempt: Attempt, outcome: Literal["written", "unknown", "refused"]) -> None:
        self._attempts.change(attempt.id, lambda facts: replace(facts, outcome=outcome))

    def _give_back(self, claimed: Attempt, own_gates: int = 0) -> None:
        def give_back(facts: Attempt) -> Attempt:
            gates = max(facts.own_gates, own_gates)
            return replace(facts, claimed_at=None, claims=facts.claims + 1, own_gates=gates)

        self._attempts.change(claimed.id, give_back)

    def _capabilities(self, attempt: Attempt) -> WriterCapabilities:
        if attempt.capabilities is not None:
            return attempt.capabilities
        try:
            return self._writer.capabilities(_account(attempt))
        except IdpError:
            # Only promises come from here; the directory itself still decides.
            return WriterCapabilities()

    def _record(self, attempt: Attempt, action: AuditAction, now: dt.datetime, detail: Detail) -> None:
        with self._database.transaction() as transaction:
            transaction.audit.record(
                action, now=now, person_id=attempt.person_id, reference=attempt.reference, detail=detail
            )


def _account(attempt: Attempt) -> Subject:
    if attempt.account is None:
        raise AttemptExpired
    return attempt.account


def _person(attempt: Attempt) -> str:
    if attempt.person_id is None:
        raise AttemptExpired
    return attempt.person_id
