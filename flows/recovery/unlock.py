"""The unlock journey: proofs as in `journey`, then the locks end and the password stays as it is.

There may be two locks: the directory's, and one that the identity provider keeps of its own. Both are
ended together, the directory's first, because its writer reads once more whether that is allowed. What an
administrator closed for good stays closed.
"""

import datetime as dt
from dataclasses import replace

import structlog

from enforcement.policy import Rule
from flows.audited import AUDITED
from flows.errors import NotUnlocked, OutcomeIsUnknown, TooManyAttempts
from flows.recovery.attempt import Attempt, Lock, Locks, Outcome, Stage
from flows.recovery.journey import Journey, Parts
from flows.recovery.last_step import LastParts, LastStep, account_of, person_of
from idp_plugin.base import Identity, Subject
from idp_plugin.errors import IdpError, OutcomeUnknown
from store.audit import AuditAction

END_LOCK = "unlock.end_lock"
_log = structlog.get_logger(__name__)


class Unlocking(LastStep):
    """The last step of an unlock."""

    def __init__(self, parts: LastParts) -> None:
        super().__init__(parts, stage=Stage.UNLOCK, spent_as="unlock", audited=AUDITED["unlock"])

    def run(self, attempt: Attempt, now: dt.datetime) -> Locks:
        """End the locks; raises as `Unlock.unlock`."""
        claimed = self._claim(attempt, now)
        identity, rule = self._read_again(claimed, now)
        self._count(claimed, now)
        try:
            was_locked = self._writer.unlock(account_of(claimed))
        except OutcomeUnknown as error:
            self._unknown(claimed, identity, rule, now)
            raise OutcomeIsUnknown from error
        except IdpError as error:
            self._not_done(claimed, error, now, NotUnlocked)
        locks = Locks("ended" if was_locked else "none", self._at_provider(claimed))
        self._done(claimed, locks, identity, rule, now)
        return locks

    def _count(self, claimed: Attempt, now: dt.datetime) -> None:
        # Security: whoever guesses the password beside us gets new guesses by each of them.
        try:
            self._throttle.unlock(person_of(claimed), now)
        except TooManyAttempts:
            self._give_back(claimed)
            self._record(claimed, self._audited.limit_reached, now, {"limit": "unlocks"})
            raise

    def end_lock_again(self, subject: Subject) -> None:
        """Run the job: end the provider's lock once more; an error means that the queue tries again."""
        if self._locks is not None:
            self._locks.clear(subject)

    def _prepared(self, attempt: Attempt) -> Attempt:
        """Find out early whether the directory can be reached at all."""
        self._writer.capabilities(account_of(attempt))
        return attempt

    def _at_provider(self, claimed: Attempt) -> Lock | None:
        subject, locks = claimed.subject, self._locks
        if locks is None or subject is None:
            return None
        was_locked = self._afterwards("provider", claimed, lambda: locks.clear(subject))
        if was_locked is None:
            # The answer may have been lost; ending a lock twice does no harm.
            body = {"source": subject.source, "id": subject.id}
            self._afterwards("provider again", claimed, lambda: self._jobs.enqueue(END_LOCK, body))
            return "unknown"
        return "ended" if was_locked else "none"

    def _done(self, claimed: Attempt, locks: Locks, identity: Identity, rule: Rule, now: dt.datetime) -> None:
        self._afterwards("finish", claimed, lambda: self._finish_with(claimed, "unlocked", locks))
        detail = {"directory": locks.directory, "provider": locks.provider or ""}
        # Security: wrong answers stay counted. Fewer proofs may be enough here than for a password, and an
        # unlock can be done again and again: each would give new guesses of what a reset asks besides.
        if not locks.ended:
            action = AuditAction.UNLOCK_ACCOUNT_NOT_LOCKED
            self._afterwards("audit", claimed, lambda: self._record(claimed, action, now, detail))
            return
        action = AuditAction.UNLOCK_ACCOUNT_UNLOCKED
        self._afterwards("audit", claimed, lambda: self._close(claimed, action, now, **detail))
        self._notify(claimed, identity, rule, now, certain="ended" in {locks.directory, locks.provider})

    def _unknown(self, claimed: Attempt, identity: Identity, rule: Rule, now: dt.datetime) -> None:
        _log.error("unlock_outcome_unknown", reference=claimed.reference)
        locks = Locks("unknown", None)
        self._afterwards("finish", claimed, lambda: self._finish_with(claimed, "unknown", locks))
        self._afterwards("audit", claimed, lambda: self._close(claimed, self._audited.unknown, now))
        self._notify(claimed, identity, rule, now, certain=False)

    def _finish_with(self, claimed: Attempt, outcome: Outcome, locks: Locks) -> None:
        self._attempts.change(claimed.id, lambda facts: replace(facts, outcome=outcome, locks=locks))

    def _notify(
        self, claimed: Attempt, identity: Identity, rule: Rule, now: dt.datetime, *, certain: bool
    ) -> None:
        self._tell(
            claimed,
            identity,
            rule,
            lambda reached: self._notices.account_unlocked(
                reached, now=now, reference=claimed.reference, certain=certain
            ),
        )


class Unlock(Journey):
    """Everything that the unlock pages call."""

    def __init__(self, parts: Parts, unlocking: Unlocking) -> None:
        super().__init__(parts, "unlock", unlocking)
        self._unlocking = unlocking

    def unlock(self, attempt_id: str, *, browser: str, now: dt.datetime) -> Locks:
        """End every temporary lock: claim, re-read, write, notices, audit.

        Returns:
            Which locks there were; where there was none, nothing was changed.

        Raises:
            AttemptExpired: None such, or what it rests on changed meanwhile.
            WrongStage: Not everything is proved, or another submission was first.
            NotPossible: Never with this account: an administrator closed it; the attempt is over.
            Unavailable: Nothing was changed; the attempt stays open.
            NotUnlocked: An operator must act; nothing was changed.
            TooManyAttempts: This person's lock was ended too often today; the attempt stays open.
            OutcomeIsUnknown: The directory's lock may or may not have been ended; the attempt is over.
        """
        return self._unlocking.run(self.read(attempt_id, browser=browser, now=now), now)
