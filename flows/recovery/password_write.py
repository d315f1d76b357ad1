"""From everything proved to a password written: findings, claim, re-read, write, and what follows.

`last_step` says how it is claimed; a password that the directory refused gives the claim back.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

import structlog

from enforcement.policy import Rule
from flows.audited import AUDITED, RESET_AUDITED, Audited, PasswordAudited
from flows.errors import NotPossible, OutcomeIsUnknown, PasswordNotWritten, Unavailable, WeakPassword
from flows.notices.alarms import Alarms
from flows.passwords.finding import Finding, broken, refusals
from flows.passwords.rules import PasswordRules
from flows.passwords.suggestion import Suggestion, suggest
from flows.recovery.attempt import Attempt, Stage
from flows.recovery.eligibility import too_young
from flows.recovery.last_step import LastParts, LastStep, account_of, person_of
from flows.recovery.late_writes import LateWrites
from flows.recovery.unlock import END_LOCK
from flows.session_jobs import END_SESSIONS
from idp_plugin.base import (
    Identity,
    IdpSessions,
    Subject,
    TargetResult,
    WriterCapabilities,
)
from idp_plugin.errors import IdpError, OutcomeUnknown, PasswordRefused, RefusalReason
from store.audit import AuditAction, Detail

_NEVER = {RefusalReason.TOO_YOUNG: "too_young", RefusalReason.CHANGE_NOT_ALLOWED: "cannot_change"}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a written password brought with it."""

    sessions_left: int | None
    """Sessions at the identity provider that remain; None where it could not be told."""
    notices: int
    """How many messages tell about it."""
    targets: tuple[TargetResult, ...] = ()
    """What each target did; empty where there is but one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordParts:
    """What every last step that sets a password needs besides."""

    late_writes: LateWrites
    rules: PasswordRules
    sessions: IdpSessions
    alarms: Alarms


class PasswordWrite(LastStep):
    """The last step of every journey that sets a password."""

    def __init__(
        self,
        parts: LastParts,
        passwords: PasswordParts,
        *,
        audited: Audited = AUDITED["reset"],
        password_audited: PasswordAudited = RESET_AUDITED,
    ) -> None:
        super().__init__(parts, stage=Stage.NEW_PASSWORD, spent_as="password", audited=audited)
        self._password_audited = password_audited
        self._late_writes = passwords.late_writes
        self._rules = passwords.rules
        self._sessions = passwords.sessions
        self._alarms = passwords.alarms

    def findings(self, attempt: Attempt, candidate: str) -> tuple[Finding, ...]:
        """Return what the rules say of a candidate for the attempt's account, as it is typed."""
        return self._rules.findings(candidate, names=attempt.names, capabilities=self._capabilities(attempt))

    def suggest(self, attempt: Attempt) -> Suggestion | None:
        """Return a password that the rules accept for the attempt's account; it is kept nowhere."""
        return suggest(lambda candidate: not broken(self.findings(attempt, candidate)))

    def refuse_weak(self, attempt: Attempt, new: str, now: dt.datetime) -> None:
        """Apply every rule to a submitted password, before anything is claimed.

        Raises:
            WeakPassword: With the findings that do not hold.
            Unavailable: Nobody can tell whether it leaked, and the settings then accept none.
        """
        judgement = self._rules.judge(new, names=attempt.names, capabilities=self._capabilities(attempt))
        if judgement.broken:
            raise WeakPassword(judgement.broken)
        if not judgement.unasked:
            return
        self._record(attempt, AuditAction.PASSWORD_BREACHES_UNASKED, now, {"why": judgement.unasked})
        if self._rules.settings.breaches.unavailable == "refuse":
            raise Unavailable

    def run(self, attempt: Attempt, new: str, now: dt.datetime) -> Finished:
        """Write a password that our own rules accept; raises as `Reset.set_password`."""
        return self._run(attempt, new, lambda account: self._writer.set_password(account, new), now)

    def _run(
        self,
        attempt: Attempt,
        new: str,
        write: Callable[[Subject], tuple[TargetResult, ...]],
        now: dt.datetime,
    ) -> Finished:
        claimed = self._claim(attempt, now)
        identity, rule = self._read_again(claimed, now)
        try:
            targets = self._write_in_turn(claimed, new, write)
        except OutcomeUnknown as error:
            self._unknown(claimed, identity, rule, now)
            raise OutcomeIsUnknown from error
        except IdpError as error:
            if isinstance(error, PasswordRefused):
                self._refused(claimed, error, now)
            self._not_done(claimed, error, now, PasswordNotWritten)
        return self._written(claimed, identity, rule, now, targets)

    def _write_in_turn(
        self, claimed: Attempt, new: str, write: Callable[[Subject], tuple[TargetResult, ...]]
    ) -> tuple[TargetResult, ...]:
        account = account_of(claimed)
        return self._late_writes.write(
            account,
            new,
            lambda: write(account),
            person_id=person_of(claimed),
            reference=claimed.reference,
        )

    def end_sessions_again(self, subject: Subject) -> None:
        """Run the job: end every session once more; an error means that the queue tries again."""
        self._sessions.end_all(subject)

    def _refused(self, claimed: Attempt, error: PasswordRefused, now: dt.datetime) -> NoReturn:
        never = next((_NEVER[reason] for reason in error.reasons if reason in _NEVER), "")
        if never:
            self._refuse(claimed, never, now)
            raise NotPossible(never) from error
        self._give_back(claimed)
        detail = {"reasons": " ".join(sorted(error.reasons))}
        self._record(claimed, self._password_audited.refused, now, detail)
        raise WeakPassword(refusals(error.reasons)) from error

    def _unknown(self, claimed: Attempt, identity: Identity, rule: Rule, now: dt.datetime) -> None:
        _log.error("password_outcome_unknown", reference=claimed.reference)
        self._afterwards("finish", claimed, lambda: self._finish(claimed, "unknown"))
        self._afterwards("audit", claimed, lambda: self._close(claimed, self._audited.unknown, now))
        self._end_sessions(claimed, now)
        self._notify(claimed, identity, rule, now, certain=False)

    def _written(
        self,
        claimed: Attempt,
        identity: Identity,
        rule: Rule,
        now: dt.datetime,
        targets: tuple[TargetResult, ...],
    ) -> Finished:
        detail = {f"target:{each.target}": each.outcome.value for each in targets}
        detail |= {
            f"servers:{each.target}": f"{each.convergence.works} of {each.convergence.asked}"
            for each in targets
            if each.convergence
        }
        self._afterwards("finish", claimed, lambda: self._finish(claimed, "written"))
        self._afterwards(
            "audit", claimed, lambda: self._close(claimed, self._password_audited.written, now, **detail)
        )
        self._afterwards("limits", claimed, lambda: self._forget_limits(claimed))
        self._afterwards(
            "alarm",
            claimed,
            lambda: self._alarms.password_set(identity, now=now, reference=claimed.reference),
        )
        self._end_lock(claimed)
        sessions_left = self._end_sessions(claimed, now)
        return Finished(sessions_left, self._notify(claimed, identity, rule, now, certain=True), targets)

    def _end_lock(self, claimed: Attempt) -> None:
        """End the provider's own lock: it would refuse the new password that the directory takes."""
        subject, locks = claimed.subject, self._locks
        if locks is None or subject is None:
            return
        if self._afterwards("provider lock", claimed, lambda: locks.clear(subject)) is None:
            body = {"source": subject.source, "id": subject.id}
            self._afterwards("provider lock again", claimed, lambda: self._jobs.enqueue(END_LOCK, body))

    def _end_sessions(self, claimed: Attempt, now: dt.datetime) -> int | None:
        subject = claimed.subject or account_of(claimed)
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
            lambda: self._record(claimed, self._password_audited.sessions_ended, now, detail),
        )
        return left

    def _notify(
        self, claimed: Attempt, identity: Identity, rule: Rule, now: dt.datetime, *, certain: bool
    ) -> int:
        return self._tell(
            claimed,
            identity,
            rule,
            lambda reached: self._notices.password_reset(
                reached, now=now, reference=claimed.reference, certain=certain
            ),
        )

    def _prepared(self, attempt: Attempt) -> Attempt:
        """Keep what the directory promises, so that findings need not ask it."""
        capabilities = self._writer.capabilities(account_of(attempt))
        return self._attempts.change(attempt.id, lambda facts: replace(facts, capabilities=capabilities))

    def _confirm(self, attempt: Attempt, now: dt.datetime) -> tuple[Identity, Rule]:
        identity, rule = super()._confirm(attempt, now)
        if too_young(identity, now):
            raise NotPossible("too_young")
        return identity, rule

    def _capabilities(self, attempt: Attempt) -> WriterCapabilities:
        if attempt.capabilities is not None:
            return attempt.capabilities
        try:
            return self._writer.capabilities(account_of(attempt))
        except IdpError:
            # Only promises come from here; the directory itself still decides.
            return WriterCapabilities()
