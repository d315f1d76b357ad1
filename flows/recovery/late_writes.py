"""A target that did not answer gets the new password later, or its owner is told that it never did.

Only targets that are not required, and only for the minutes that the settings say. Whatever is written for
a person takes turns: while a newer password is written, the older one is out of every job's reach, so that
it can never come after it.
"""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from flows.notices.notifications import Notices, recipient
from flows.recovery.late_passwords import Kept, LatePasswords, LateWrite, tried
from idp_plugin.base import (
    Directory,
    LateWriter,
    PasswordWriter,
    Subject,
    TargetOutcome,
    TargetResult,
)
from idp_plugin.errors import IdpError, IdpUnavailable, OutcomeUnknown, PasswordRefused, RefusalReason
from store.audit import AuditAction
from store.database import Database, Transaction
from store.errors import StoreUnavailable
from store.expiring import Expiring
from store.jobs import Jobs
from store.people import Person

T = TypeVar("T")
JOB = "password.late"
FIRST_WAIT = dt.timedelta(seconds=15)
"""Before the second write to a target; every further wait is twice as long."""
_TURN_WAIT = dt.timedelta(seconds=20)
"""How long somebody waits while another write for the same account goes on."""
_POLL = dt.timedelta(seconds=0.05)
_AGAIN = frozenset({TargetOutcome.FAILED, TargetOutcome.UNKNOWN})
_log = structlog.get_logger(__name__)


class LateWrites:
    """Wraps the write of a new password, and is the job that comes after it."""

    def __init__(
        self,
        *,
        database: Database,
        expiring: Expiring,
        jobs: Jobs,
        directory: Directory,
        writer: PasswordWriter,
        notices: Notices,
        lives: dt.timedelta,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Take the parts.

        Args:
            lives: How long a password is kept; zero keeps none.
            clock: For the job.
        """
        self._database = database
        self._passwords = LatePasswords(expiring)
        self._jobs = jobs
        self._directory = directory
        self._writer = writer
        self._notices = notices
        self._lives = lives
        self._clock = clock

    def write(
        self,
        account: Subject,
        new: str,
        write: Callable[[], tuple[TargetResult, ...]],
        *,
        person_id: str,
        reference: str,
    ) -> tuple[TargetResult, ...]:
        """Run `write` alone for this account, and keep the password for targets that did not answer.

        Returns:
            What `write` returned, with `LATER` for the targets that are tried again.

        Raises:
            IdpUnavailable: Another write goes on, or nobody can tell; nothing was changed.
        """
        late = self._late_targets(account)
        if not late:
            return self._noted(person_id, write)

        def write_and_keep() -> tuple[TargetResult, ...]:
            results = self._replaced(account, write)
            left = self._late_of(results, late, person_id=person_id, reference=reference)
            return self._kept(account, Kept(left, new), results, token) if left.targets else results

        with self._turn(account) as token:
            return self._noted(person_id, write_and_keep)

    def write_alone(
        self, account: Subject, write: Callable[[], tuple[TargetResult, ...]], *, person_id: str
    ) -> tuple[TargetResult, ...]:
        """Run `write` as above, and keep nothing: an older password that waits goes nowhere any more.

        Raises:
            IdpUnavailable: Another write goes on, or nobody can tell; nothing was changed.
        """
        if not self._late_targets(account):
            return self._noted(person_id, write)
        with self._turn(account):
            return self._noted(person_id, lambda: self._replaced(account, write))

    def try_again(self, body: Mapping[str, Any]) -> None:
        """Run the job: write to what is left, or give it up; an error means that the queue tries again."""
        account = Subject(body["source"], body["id"])
        token = self._passwords.take_turn(account)
        if token is None:
            # Whoever writes now supersedes this, or is this very job, redelivered.
            self._enqueue(account, body["order"], FIRST_WAIT)
            return
        try:
            late = self._passwords.read(account)
            if late is not None and late.order == body["order"]:
                self._go_on(account, late, token)
        finally:
            self._passwords.end_turn(account, token)

    def _late_targets(self, account: Subject) -> frozenset[str]:
        return self._writer.late_targets(account) if isinstance(self._writer, LateWriter) else frozenset()

    @contextlib.contextmanager
    def _turn(self, account: Subject) -> Iterator[str]:
        try:
            token = self._wait_for_turn(account)
        except StoreUnavailable as error:
            raise IdpUnavailable("turn") from error
        try:
            yield token
        finally:
            self._afterwards("turn", lambda: self._passwords.end_turn(account, token))

    def _wait_for_turn(self, account: Subject) -> str:
        deadline = time.monotonic() + _TURN_WAIT.total_seconds()
        while (token := self._passwords.take_turn(account)) is None:
            if time.monotonic() > deadline:
                raise IdpUnavailable("turn")
            time.sleep(_POLL.total_seconds())
        return token

    def _noted(
        self, person_id: str, write: Callable[[], tuple[TargetResult, ...]]
    ) -> tuple[TargetResult, ...]:
        """Write, and remember which password works where."""
        try:
            results = write()
        except OutcomeUnknown:
            self._afterwards("states", lambda: self._forget(person_id))
            raise
        if results:
            self._afterwards("states", lambda: self._note(person_id, results))
        return results

    def _replaced(
        self, account: Subject, write: Callable[[], tuple[TargetResult, ...]]
    ) -> tuple[TargetResult, ...]:
        """Write while the older password is in nobody's reach; it comes back where nothing was changed."""
        try:
            older = self._passwords.take(account)
        except StoreUnavailable as error:
            raise IdpUnavailable("late passwords") from error
        try:
            return write()
        except OutcomeUnknown:
            raise
        except IdpError:
            if older is not None:
                self._afterwards("older", lambda: self._put_back(account, older))
            raise

    def _put_back(self, account: Subject, older: Kept) -> None:
        now = self._clock()
        if now < older.late.until:
            self._passwords.keep(account, older, now=now)

    def _late_of(
        self, results: tuple[TargetResult, ...], late: frozenset[str], *, person_id: str, reference: str
    ) -> LateWrite:
        return LateWrite(
            person_id=person_id,
            reference=reference,
            until=self._clock() + self._lives,
            targets={
                each.target: each.outcome is TargetOutcome.UNKNOWN
                for each in results
                if self._lives and each.target in late and each.outcome in _AGAIN
            },
        )

    def _kept(
        self, account: Subject, kept: Kept, results: tuple[TargetResult, ...], token: str
    ) -> tuple[TargetResult, ...]:
        def keep() -> bool:
            # Security: once the turn is over, a newer password may have been written.
            if not self._passwords.has_turn(account, token):
                return False
            self._enqueue(account, kept.late.order, min(FIRST_WAIT, self._lives))
            self._passwords.keep(account, kept, now=self._clock())
            return True

        if not self._afterwards("keep", keep):
            return results
        return tuple(_later(each, kept.late.targets) for each in results)

    def _go_on(self, account: Subject, late: LateWrite, token: str) -> None:
        now = self._clock()
        person = self._person(late.person_id)
        if person is None or person.frozen_at is not None:
            # Security: "this was not me" may have been said of this very password (S23).
            self._give_up(account, late, now, why="frozen")
            return
        password = self._passwords.password(account, late)
        if password is None or now >= late.until:
            self._give_up(account, late, now, why="expired")
            self._tell(person, late, late.targets, now)
            return
        self._try(account, person, Kept(late, password), token, now)

    def _try(self, account: Subject, person: Person, kept: Kept, token: str, now: dt.datetime) -> None:
        late = kept.late
        # First of all, so that a worker that dies in the middle loses neither the try nor the telling.
        wait = min(FIRST_WAIT * 2 ** (late.tries + 1), late.until - now)
        self._enqueue(account, late.order, wait)
        self._passwords.note(account, tried(late), now=now)
        results = {
            name: self._one(account, name, kept.password, maybe=maybe) for name, maybe in late.targets.items()
        }
        if not self._passwords.has_turn(account, token):
            return
        left = {name: maybe for name, (outcome, maybe) in results.items() if outcome is TargetOutcome.LATER}
        if left:
            self._passwords.note(account, replace(tried(late), targets=left), now=now)
        else:
            self._passwords.drop(account)
        ended = {name: outcome for name, (outcome, _) in results.items() if name not in left}
        self._record(tried(late), ended, now, why="refused")
        self._tell(person, late, [name for name in ended if ended[name] is not TargetOutcome.WRITTEN], now)

    def _one(
        self, account: Subject, target: str, password: str, *, maybe: bool
    ) -> tuple[TargetOutcome, bool]:
        """Write to one; return what came of it, and whether it may have the password all the same."""
        try:
            if isinstance(self._writer, LateWriter):
                self._writer.set_late(account, target, password)
        except IdpError as error:
            _log.warning("target_not_written_late", target=target, cause=type(error).__name__)
            return _failed(error, maybe=maybe)
        return TargetOutcome.WRITTEN, True

    def _give_up(self, account: Subject, late: LateWrite, now: dt.datetime, *, why: str) -> None:
        self._passwords.drop(account)
        ended = {
            name: TargetOutcome.UNKNOWN if maybe else TargetOutcome.FAILED
            for name, maybe in late.targets.items()
        }
        self._record(late, ended, now, why=why)

    def _record(
        self, late: LateWrite, ended: Mapping[str, TargetOutcome], now: dt.datetime, *, why: str
    ) -> None:
        if not ended:
            return
        with self._database.transaction() as transaction:
            for target, outcome in ended.items():
                _audit(transaction, late, now, target=target, outcome=outcome, why=why)
            if transaction.people.get(late.person_id):
                states = {target: outcome.value for target, outcome in ended.items()}
                transaction.target_states.note(late.person_id, states, now=now)

    def _tell(self, person: Person, late: LateWrite, targets: Collection[str], now: dt.datetime) -> None:
        if not targets:
            return
        try:
            identity = self._directory.get(Subject(person.source, person.subject))
        except IdpError:
            # What is registered here is told all the same.
            identity = None
        with self._database.reading() as transaction:
            own = transaction.authenticators.of(person.id)
        self._notices.password_not_everywhere(
            recipient(person.id, identity, own), targets=sorted(targets), now=now, reference=late.reference
        )

    def _person(self, person_id: str) -> Person | None:
        with self._database.reading() as transaction:
            return transaction.people.get(person_id)

    def _note(self, person_id: str, results: tuple[TargetResult, ...]) -> None:
        states = {each.target: each.outcome.value for each in results}
        with self._database.transaction() as transaction:
            transaction.target_states.note(person_id, states, now=self._clock())

    def _forget(self, person_id: str) -> None:
        with self._database.transaction() as transaction:
            transaction.target_states.forget(person_id)

    def _enqueue(self, account: Subject, order: str, delay: dt.timedelta) -> None:
        body = {"source": account.source, "id": account.id, "order": order}
        self._jobs.enqueue(JOB, body, delay=delay)

    def _afterwards(self, step: str, function: Callable[[], T]) -> T | None:
        """Do what follows a write; its failure never hides that it was done."""
        try:
            return function()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong now, the write is done
            _log.error("late_step_failed", step=step, cause=type(error).__name__)
            return None


def _later(result: TargetResult, due: Collection[str]) -> TargetResult:
    # What may have the password already stays unknown for its owner, though it is tried again as well.
    is_later = result.target in due and result.outcome is TargetOutcome.FAILED
    return replace(result, outcome=TargetOutcome.LATER) if is_later else result


def _failed(error: IdpError, *, maybe: bool) -> tuple[TargetOutcome, bool]:
    match error:
        case PasswordRefused(reasons=reasons) if maybe and RefusalReason.IN_HISTORY in reasons:
            # It says so of a password that it has: an earlier try may have arrived.
            return TargetOutcome.UNKNOWN, True
        case OutcomeUnknown():
            return TargetOutcome.LATER, True
        case IdpUnavailable():
            return TargetOutcome.LATER, maybe
        case _:
            return TargetOutcome.REFUSED, maybe


def _audit(
    transaction: Transaction,
    late: LateWrite,
    now: dt.datetime,
    *,
    target: str,
    outcome: TargetOutcome,
    why: str,
) -> None:
    detail: dict[str, str | int] = {"target": target, "outcome": outcome.value, "tries": late.tries}
    is_written = outcome is TargetOutcome.WRITTEN
    action = AuditAction.TARGET_WRITTEN_LATE if is_written else AuditAction.TARGET_GIVEN_UP
    if not is_written:
        detail["why"] = why
    transaction.audit.record(
        action, now=now, person_id=late.person_id, reference=late.reference, detail=detail
    )
