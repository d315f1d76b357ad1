"""The reset journey: proofs as in `journey`, then a new password."""

import datetime as dt

from flows.errors import WrongStage
from flows.passwords.finding import Finding
from flows.passwords.suggestion import Suggestion
from flows.recovery.attempt import Attempt, Stage
from flows.recovery.journey import Journey, Parts
from flows.recovery.password_write import Finished, PasswordWrite


class Reset(Journey):
    """Everything that the reset pages call."""

    def __init__(self, parts: Parts, password_write: PasswordWrite) -> None:
        super().__init__(parts, "reset", password_write)
        self._password_write = password_write

    def findings(self, attempt: Attempt, candidate: str) -> tuple[Finding, ...]:
        """Return what the rules say of a candidate password, as it is typed.

        Raises:
            WrongStage: Not everything is proved yet.
        """
        self._at_its_stage(attempt)
        return self._password_write.findings(attempt, candidate)

    def suggest(self, attempt: Attempt) -> Suggestion | None:
        """Return a password made up by chance that the rules accept, or None where they accept none.

        Raises:
            WrongStage: Not everything is proved yet.
        """
        self._at_its_stage(attempt)
        return self._password_write.suggest(attempt)

    def set_password(self, attempt_id: str, new: str, *, browser: str, now: dt.datetime) -> Finished:
        """Write the new password: findings, claim, re-read, write, end sessions, notices, audit.

        Raises:
            AttemptExpired: None such, or what it rests on changed meanwhile.
            WrongStage: Not everything is proved, or another submission was first.
            WeakPassword: Our rules or the directory's said no; the attempt stays open.
            NotPossible: Never with this account; the attempt is over.
            Unavailable: Nothing was changed; the attempt stays open.
            PasswordNotWritten: An operator must act; nothing was changed.
            OutcomeIsUnknown: It may or may not have been written; the attempt is over.
        """
        attempt = self.read(attempt_id, browser=browser, now=now)
        self._at_its_stage(attempt)
        self._password_write.refuse_weak(attempt, new, now)
        return self._password_write.run(attempt, new, now)

    @staticmethod
    def _at_its_stage(attempt: Attempt) -> None:
        if attempt.stage is not Stage.NEW_PASSWORD:
            raise WrongStage
