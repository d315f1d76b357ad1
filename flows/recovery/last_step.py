"""What every journey ends with: claim, read again, act, and tell.

Claim before write: of parallel submissions exactly one reaches the directory. What was not done gives the
claim back; a lost answer is *unknown*, never a failure; and nothing that comes after the write turns a
success into an error.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn, TypeVar

import structlog

from enforcement.policy import Rule
from enforcement.proof import ProofRule
from flows.abuse.throttle import Throttle
from flows.audited import Audited
from flows.errors import AttemptExpired, Failed, NotPossible, NotReachable, Unavailable, WrongStage
from flows.notices.notifications import Notices, Recipient, recipient
from flows.recovery.attempt import Attempt, Attempts, Outcome, Stage, devices_of
from flows.recovery.eligibility import Eligibility
from idp_plugin.base import AccountLocks, Identity, PasswordWriter, Subject
from idp_plugin.errors import IdpError, IdpUnavailable, NotPermitted
from store.audit import AuditAction, Detail
from store.database import Database
from store.errors import StoreUnavailable
from store.expiring import Expiring
from store.jobs import Jobs

_PERSONS = {"privileged": "privileged", "disabled": "disabled", "missing": "disabled"}
"""What the writer does not permit because of the person; anything else is a right that we lack."""
_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LastParts:
    """What every last step is made of."""

    database: Database
    expiring: Expiring
    jobs: Jobs
    eligibility: Eligibility
    writer: PasswordWriter
    notices: Notices
    throttle: Throttle
    locks: AccountLocks | None = None
    """The identity provider's own; None where it has none that can be ended."""


class LastStep:
    """Shared by `PasswordWrite` and `Unlocking`, which say what is done to the directory."""

    def __init__(self, parts: LastParts, *, stage: Stage, spent_as: str, audited: Audited) -> None:
        """Take the parts.

        Args:
            stage: The only one at which an attempt can be claimed.
            spent_as: Under what a claim is recorded in SQL.
            audited: The journey's words.
        """
        self._database = parts.database
        self._attempts = Attempts(parts.expiring)
        self._jobs = parts.jobs
        self._eligibility = parts.eligibility
        self._writer = parts.writer
        self._notices = parts.notices
        self._throttle = parts.throttle
        self._locks = parts.locks
        self._stage = stage
        self._spent_as = spent_as
        self._audited = audited

    def prepare(self, attempt: Attempt, now: dt.datetime) -> Attempt:
        """Say right after the first proof what would otherwise be said at the end.

        Returns:
            The attempt as it is stored now.

        Raises:
            NotPossible: The attempt is over.
            AttemptExpired: The person's recovery data changed since the look-up.
            NotReachable: Nothing could be changed now; the attempt and its proof stay.
        """
        try:
            self._confirm(attempt, now)
            return self._prepared(attempt)
        except NotPossible as error:
            self._refuse(attempt, error.why, now)
            raise
        except (Unavailable, IdpUnavailable) as error:
            # Now, and not after one more code was spent for nothing.
            raise NotReachable from error
        except IdpError:
            # It is asked again before anything is written.
            return attempt

    def _prepared(self, attempt: Attempt) -> Attempt:
        """Return the stored attempt with what the journey needs to know early; nothing by default."""
        return attempt

    def _confirm(self, attempt: Attempt, now: dt.datetime) -> tuple[Identity, Rule]:
        """Read again whether this may be done for this person now; raises as `Eligibility.confirm`."""
        return self._eligibility.confirm(attempt, now)

    def _refuse(self, attempt: Attempt, why: str, now: dt.datetime) -> None:
        """End an attempt that can never succeed."""
        self._finish(attempt, "refused")
        self._record(attempt, self._audited.refused, now, {"why": why})

    def _claim(self, attempt: Attempt, now: dt.datetime) -> Attempt:
        def claim(facts: Attempt) -> Attempt:
            if facts.stage is not self._stage or facts.claimed_at is not None:
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
                return transaction.spent.spend(self._spent_as, f"{claimed.id}:{claimed.claims}", now=now)
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
        asked = rule.proofs[claimed.purpose]
        if not claimed.signed_in and not asked.is_enough({proof.kind for proof in claimed.proofs}):
            # The policy became stricter meanwhile: more is to be proved (S17).
            self._give_back(claimed, own_rule=asked)
            raise WrongStage
        return identity, rule

    def _not_done(
        self, claimed: Attempt, error: IdpError, now: dt.datetime, otherwise: type[Failed]
    ) -> NoReturn:
        """Give the claim back, or end the attempt where the person is the reason."""
        match error:
            case NotPermitted(what=what) if what in _PERSONS:
                self._refuse(claimed, _PERSONS[what], now)
                raise NotPossible(_PERSONS[what]) from error
            case IdpUnavailable():
                self._failed(claimed, error, now)
                raise Unavailable from error
            case _:
                self._failed(claimed, error, now)
                raise otherwise from error

    def _failed(self, claimed: Attempt, error: IdpError, now: dt.datetime) -> None:
        self._give_back(claimed)
        cause = type(error).__name__
        _log.error("last_step_not_done", purpose=claimed.purpose, reference=claimed.reference, cause=cause)
        self._record(claimed, self._audited.failed, now, {"cause": cause})

    def _close(self, claimed: Attempt, action: AuditAction, now: dt.datetime, **detail: str) -> None:
        """Void everything else that was proved or said of the person before (S12, S16), and record it."""
        with self._database.transaction() as transaction:
            transaction.people.bump_epoch(person_of(claimed))
            transaction.audit.record(
                action,
                now=now,
                person_id=claimed.person_id,
                reference=claimed.reference,
                detail={
                    "proofs": " ".join(proof.kind for proof in claimed.proofs),
                    "policy": claimed.policy_version,
                    **detail,
                },
            )

    def _tell(
        self, claimed: Attempt, identity: Identity, rule: Rule, post: Callable[[Recipient], int]
    ) -> int:
        """Post a notice to every address of the person; return how many messages that are."""
        if not rule.notify_person:
            return 0

        def tell() -> int:
            with self._database.reading() as transaction:
                authenticators = transaction.authenticators.of(person_of(claimed))
            return post(recipient(person_of(claimed), identity, authenticators))

        return self._afterwards("notices", claimed, tell) or 0

    def _afterwards(self, step: str, claimed: Attempt, function: Callable[[], _T]) -> _T | None:
        """Do what follows a write; its failure is reported, and never hides that it was done."""
        try:
            return function()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong now, the write is done
            _log.error(
                "step_afterwards_failed", step=step, reference=claimed.reference, cause=type(error).__name__
            )
            return None

    def _forget_limits(self, claimed: Attempt) -> None:
        # Security: a thief who knows the password could otherwise change it for new guesses of the rest.
        if not claimed.proofs:
            return
        person = person_of(claimed)
        self._throttle.succeeded(
            {claimed.typed, claimed.counted_as},
            {person, claimed.counted_person, devices_of(person)},
            claimed.purpose,
        )

    def _finish(self, attempt: Attempt, outcome: Outcome) -> None:
        self._attempts.change(attempt.id, lambda facts: replace(facts, outcome=outcome))

    def _give_back(self, claimed: Attempt, own_rule: ProofRule | None = None) -> None:
        def give_back(facts: Attempt) -> Attempt:
            asked = own_rule or facts.own_rule
            return replace(facts, claimed_at=None, claims=facts.claims + 1, own_rule=asked)

        self._attempts.change(claimed.id, give_back)

    def _record(self, attempt: Attempt, action: AuditAction, now: dt.datetime, detail: Detail) -> None:
        with self._database.transaction() as transaction:
            transaction.audit.record(
                action, now=now, person_id=attempt.person_id, reference=attempt.reference, detail=detail
            )


def account_of(attempt: Attempt) -> Subject:
    """Return where the password lives; raises `AttemptExpired` for a decoy."""
    if attempt.account is None:
        raise AttemptExpired
    return attempt.account


def person_of(attempt: Attempt) -> str:
    """Return the person's id; raises `AttemptExpired` for a decoy."""
    if attempt.person_id is None:
        raise AttemptExpired
    return attempt.person_id
