"""The journeys, put together."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from enforcement.policy import Policy
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
from flows.standing import Standings
from flows.step_up import StepUp
from flows.throttle import Throttle
from flows.unlock import Unlock, Unlocking
from gateway.all_sessions import AllSessions
from gateway.catalogs import translate_for
from gateway.portal_session import PortalSessions
from gateway.providers import Provider
from gateway.services import Clock
from gateway.settings import Settings
from store.counters import Counters
from store.database import Database
from store.expiring import Expiring
from store.jobs import Jobs


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the pages call."""

    reset: Reset
    unlock: Unlock
    registration: Registration
    work: ProofOfWork


def build_recovery(
    settings: Settings,
    *,
    database: Database,
    expiring: Expiring,
    counters: Counters,
    jobs: Jobs,
    policies: Callable[[], Policy],
    provider: Provider,
    channels: Mapping[str, Sequence[Channel]],
    clock: Clock,
) -> Recovery:
    """Put the journeys together and register their jobs.

    Args:
        policies: Returns the policy in force.
        channels: By name; see `flows.messaging.dispatch.Dispatch`.
    """
    vault, limits = expiring.vault, settings.limits
    kinds = all_kinds(vault)
    throttle = Throttle(counters, limits)
    dispatch = Dispatch(jobs=jobs, database=database, channels=channels, clock=clock)
    render = Render(
        organisation=settings.messages.mail.organisation, zone=settings.messages.zone, languages=translate_for
    )
    stops = Stops(expiring, f"{settings.gateway.public}{settings.gateway.prefix}")
    notices = Notices(dispatch=dispatch, render=render, stops=stops)
    eligibility = Eligibility(
        database=database,
        directory=provider.directory,
        policies=policies,
        privileged_groups=frozenset((*settings.roles.administrator, *settings.roles.helpdesk)),
    )
    sessions = AllSessions(PortalSessions(expiring), provider.sessions, clock)
    questions = Questions(expiring=expiring, vault=vault, limits=limits)
    work = ProofOfWork(vault=vault, expiring=expiring, throttle=throttle)
    password_write = PasswordWrite(
        database=database,
        expiring=expiring,
        jobs=jobs,
        eligibility=eligibility,
        writer=provider.writer,
        sessions=sessions,
        notices=notices,
        throttle=throttle,
    )
    unlocking = Unlocking(
        database=database,
        expiring=expiring,
        jobs=jobs,
        eligibility=eligibility,
        writer=provider.writer,
        locks=provider.locks,
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
        recovery_code_jobs=RecoveryCodeJobs(database=database, directory=provider.directory, notices=notices),
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
    registration = Registration(
        database=database,
        vault=vault,
        standings=Standings(
            database=database, directory=provider.directory, policies=policies, step_up=step_up
        ),
        kinds=kinds,
        questions=questions,
        step_up=step_up,
        freezing=Freezing(database=database, stops=stops, sessions=sessions),
        throttle=throttle,
        dispatch=dispatch,
        render=render,
        notices=notices,
        limits=limits,
        organisation=settings.messages.mail.organisation,
        sign_in_domains=settings.messages.sign_in_domains,
        lost_waits=dt.timedelta(0) if settings.demo.outbox else LOST_WAITS,
    )
    return Recovery(reset, unlock, registration, work)
