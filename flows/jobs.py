"""The jobs of this package, by name: the allow-list of the queue."""

from collections.abc import Mapping
from typing import Any

from flows.messaging import dispatch as dispatching
from flows.messaging.dispatch import Dispatch
from flows.notices.recovery_code_jobs import USED, RecoveryCodeJobs
from flows.recovery.journey import DELIVER, RESOLVE
from flows.recovery.late_writes import JOB as LATE_WRITE
from flows.recovery.late_writes import LateWrites
from flows.recovery.password_write import PasswordWrite
from flows.recovery.reset_jobs import ResetJobs
from flows.recovery.unlock import END_LOCK, Unlocking
from flows.session_jobs import END_SESSIONS
from idp_plugin.base import Subject
from store.jobs import Jobs


def register_all(
    jobs: Jobs,
    *,
    reset_jobs: ResetJobs,
    recovery_code_jobs: RecoveryCodeJobs,
    password_write: PasswordWrite,
    unlocking: Unlocking,
    late_writes: LateWrites,
    dispatch: Dispatch,
) -> None:
    """Register every job; whoever enqueues or works must have called it."""

    def end_sessions(body: Mapping[str, Any]) -> None:
        password_write.end_sessions_again(Subject(body["source"], body["id"]))

    def end_lock(body: Mapping[str, Any]) -> None:
        unlocking.end_lock_again(Subject(body["source"], body["id"]))

    jobs.register(RESOLVE, reset_jobs.resolve, retries=3)
    jobs.register(DELIVER, reset_jobs.deliver, retries=3)
    jobs.register(USED, recovery_code_jobs.used)
    jobs.register(END_SESSIONS, end_sessions)
    jobs.register(END_LOCK, end_lock)
    jobs.register(LATE_WRITE, late_writes.try_again, retries=3)
    # It puts itself back on the queue where the mail server does not take a message.
    jobs.register(dispatching.JOB, dispatch.deliver, retries=2)
