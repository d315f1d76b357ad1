"""The change journey: the old password and, where nobody is signed in, one more proof; then a new password.

A name whose password has expired walks the same pages as in `journey`, with the same decoys and limits; the
old password is asked only after the proof, and nothing is decided before both (S6). Whoever is signed in
gives the old password alone.
"""

import datetime as dt

from flows.errors import NotPossible, Unavailable, WrongStage
from flows.ids import new_id, new_reference
from flows.passwords.finding import Finding
from flows.passwords.names import account_names
from flows.passwords.suggestion import Suggestion
from flows.recovery.attempt import Attempt, Stage
from flows.recovery.eligibility import too_young
from flows.recovery.journey import Journey, Parts
from flows.recovery.password_change import PasswordChange, require_changeable
from flows.recovery.password_write import Finished
from flows.registering.member import Member
from idp_plugin.base import Directory, Identity
from idp_plugin.errors import IdpError


class Change(Journey):
    """Everything that the pages of a change call."""

    def __init__(self, parts: Parts, password_change: PasswordChange, directory: Directory) -> None:
        super().__init__(parts, "change", password_change)
        self._password_change = password_change
        self._directory = directory

    def begin_signed_in(self, member: Member, *, browser: str, now: dt.datetime) -> Attempt:
        """Begin a change by somebody who is signed in.

        Raises:
            NotPossible: Said before anything is typed: never with this account, or not yet.
            Unavailable: The directory does not answer.
            TooManyAttempts: This person began too many just now.
        """
        identity = self._identity(member)
        self._require_possible(identity, now)
        with self._database.transaction() as transaction:
            person = transaction.people.ensure(member.subject.source, member.subject.id, now=now)
        # Security: no work is asked of the signed-in, and each attempt takes room for a quarter of an hour.
        self._throttle.start("", now, waited=False, device=f"person:{person.id}")
        policy = self._policies()
        attempt = Attempt(
            id=new_id(),
            purpose=self.purpose,
            reference=new_reference(),
            identifier="",
            typed=self._vault.digest(person.id, "identifier"),
            browser=self._vault.digest(browser, "browser"),
            started_at=now,
            expires_at=now + dt.timedelta(minutes=self._limits.attempt_minutes),
            answers_allowed=self._limits.wrong_answers,
            policy_version=policy.version,
            policy_gates=0,
            policy_kinds=(),
            signed_in=True,
            resolved=True,
            subject=identity.subject,
            account=identity.account,
            person_id=person.id,
            epoch=person.epoch,
            display_name=identity.display_name,
            locale=member.locale or identity.locale,
            names=account_names(identity),
        )
        self._attempts.create(attempt, now=now)
        return self._password_change.prepare(attempt, now)

    def findings(self, attempt: Attempt, candidate: str) -> tuple[Finding, ...]:
        """Return what the rules say of a candidate password, as it is typed.

        Raises:
            WrongStage: Not everything is proved yet.
        """
        _require_stage(attempt)
        return self._password_change.findings(attempt, candidate)

    def suggest(self, attempt: Attempt) -> Suggestion | None:
        """Return a password made up by chance that the rules accept; see `Reset.suggest`."""
        _require_stage(attempt)
        return self._password_change.suggest(attempt)

    def change(self, attempt_id: str, old: str, new: str, *, browser: str, now: dt.datetime) -> Finished:
        """Write the new password: findings, claim, re-read, old password, write, and what follows.

        Our own rules come first, so that a weak new password costs no guess of the old one.

        Raises:
            AttemptExpired: None such, or what it rests on changed meanwhile.
            WrongStage: Not everything is proved, or another submission was first.
            WeakPassword: Our rules or the directory's said no; the attempt stays open.
            WrongOldPassword: With `attempts_left`; the attempt stays open.
            TooManyAttempts: This person's old passwords of 24 hours are used up; the directory was not asked.
            NotPossible: Never with this account, or not now; the attempt is over.
            Unavailable: Nothing was changed; the attempt stays open.
            PasswordNotWritten: An operator must act; nothing was changed.
            OutcomeIsUnknown: It may or may not have been written; the attempt is over.
        """
        attempt = self.read(attempt_id, browser=browser, now=now)
        _require_stage(attempt)
        self._password_change.refuse_weak(attempt, new, now)
        return self._password_change.change(attempt, old, new, now)

    def _identity(self, member: Member) -> Identity:
        try:
            identity = self._directory.get(member.subject)
        except IdpError as error:
            raise Unavailable from error
        if identity is None or not identity.enabled:
            raise NotPossible("disabled")
        return identity

    def _require_possible(self, identity: Identity, now: dt.datetime) -> None:
        require_changeable(identity)
        if too_young(identity, now):
            raise NotPossible("too_young")


def _require_stage(attempt: Attempt) -> None:
    if attempt.stage is not Stage.NEW_PASSWORD:
        raise WrongStage
