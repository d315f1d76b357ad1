"""The journeys put together around any directory, writer and sessions; the gateway has its own way."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from enforcement.gate import Gate
from flows.authenticators.registry import all_kinds
from flows.binding import LOST_WAITS
from flows.eligibility import Eligibility
from flows.freezing import Freezing
from flows.jobs import register_all
from flows.journey import Parts
from flows.messaging.dispatch import Dispatch
from flows.messaging.message import Channel
from flows.messaging.render import Render
from flows.notifications import Notices, Stops
from flows.password_write import PasswordWrite
from flows.pending import Questions
from flows.proof_of_work import ProofOfWork
from flows.recovery_code_jobs import RecoveryCodeJobs
from flows.registration import Registration
from flows.reset import Reset
from flows.reset_jobs import ResetJobs
from flows.settings import LimitSettings
from flows.standing import Standings
from flows.step_up import StepUp
from flows.throttle import Throttle
from flows.unlock import Unlock, Unlocking
from store.counters import Counters
from store.database import Database
from store.expiring import Expiring
from store.jobs import Jobs

ORGANISATION = "Example Company"
PORTAL = "https://sso.example.org/sparekey"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the tests call."""

    reset: Reset
    unlock: Unlock
    registration: Registration
    work: ProofOfWork
    freezing: Freezing


def build_recovery(
    *,
    database: Database,
    expiring: Expiring,
    counters: Counters,
    jobs: Jobs,
    gate: Gate,
    directory: Any,
    writer: Any,
    sessions: Any,
    locks: Any = None,
    channels: Mapping[str, Sequence[Channel]],
    limits: LimitSettings,
    clock: Callable[[], dt.datetime],
    sign_in_domains: Sequence[str] = (),
    privileged_groups: frozenset[str] = frozenset(),
    lost_waits: dt.timedelta = LOST_WAITS,
) -> Recovery:
    """Put the journeys together and register their jobs."""
    vault, policies, kinds = expiring.vault, gate.current_policy, all_kinds(expiring.vault)
    throttle = Throttle(counters, limits)
    dispatch = Dispatch(jobs=jobs, database=database, channels=channels, clock=clock)
    render, stops = Render(organisation=ORGANISATION), Stops(expiring, PORTAL)
    notices = Notices(dispatch=dispatch, render=render, stops=stops)
    eligibility = Eligibility(
        database=database, directory=directory, policies=policies, privileged_groups=privileged_groups
    )
    questions = Questions(expiring=expiring, vault=vault, limits=limits)
    work = ProofOfWork(vault=vault, expiring=expiring, throttle=throttle)
    freezing = Freezing(database=database, stops=stops, sessions=sessions)
    password_write = PasswordWrite(
        database=database,
        expiring=expiring,
        jobs=jobs,
        eligibility=eligibility,
        writer=writer,
        sessions=sessions,
        notices=notices,
        throttle=throttle,
    )
    unlocking = Unlocking(
        database=database,
        expiring=expiring,
        jobs=jobs,
        eligibility=eligibility,
        writer=writer,
        locks=locks,
        notices=notices,
        throttle=throttle,
    )
    reset_jobs = ResetJobs(
        database=database,
        expiring=expiring,
        eligibility=eligibility,
        throttle=throttle,
        dispatch=dispatch,
        render=render,
        clock=clock,
    )
    register_all(
        jobs,
        reset_jobs=reset_jobs,
        recovery_code_jobs=RecoveryCodeJobs(database=database, directory=directory, notices=notices),
        password_write=password_write,
        unlocking=unlocking,
        dispatch=dispatch,
    )
    parts = Parts(
        database=database,
        expiring=expiring,
        vault=vault,
        jobs=jobs,
        throttle=throttle,
        work=work,
        kinds=kinds,
        policies=policies,
        eligibility=eligibility,
        limits=limits,
    )
    reset, unlock = Reset(parts, password_write), Unlock(parts, unlocking)
    step_up = StepUp(
        database=database,
        expiring=expiring,
        jobs=jobs,
        questions=questions,
        kinds=kinds,
        throttle=throttle,
        dispatch=dispatch,
        render=render,
        limits=limits,
    )
    standings = Standings(database=database, directory=directory, policies=policies, step_up=step_up)
    registration = Registration(
        database=database,
        vault=vault,
        standings=standings,
        kinds=kinds,
        questions=questions,
        step_up=step_up,
        freezing=freezing,
        throttle=throttle,
        dispatch=dispatch,
        render=render,
        notices=notices,
        limits=limits,
        organisation=ORGANISATION,
        sign_in_domains=sign_in_domains,
        lost_waits=lost_waits,
    )
    return Recovery(reset, unlock, registration, work, freezing)
