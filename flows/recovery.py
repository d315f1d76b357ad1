"""This package's parts, put together in their order; the gateway gives it the ones from outside."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from enforcement.gate import Gate
from flows.authenticators.registry import Kinds, all_kinds
from flows.binding import LOST_WAITS
from flows.eligibility import Eligibility
from flows.freezing import Freezing
from flows.jobs import register_all
from flows.messaging.dispatch import Dispatch
from flows.messaging.message import Channel
from flows.messaging.render import Render
from flows.notifications import Notices, Stops
from flows.password_write import PasswordWrite
from flows.pending import Questions
from flows.proof_of_work import ProofOfWork
from flows.registration import Registration
from flows.reset import Reset
from flows.reset_jobs import ResetJobs
from flows.settings import LimitSettings
from flows.standing import Standings
from flows.step_up import StepUp
from flows.throttle import Throttle
from idp_plugin.base import Directory, IdpSessions, PasswordWriter
from store.counters import Counters
from store.database import Database
from store.expiring import Expiring
from store.jobs import Jobs
from store.vault import Vault

Clock = Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the pages and the commands call."""

    reset: Reset
    registration: Registration
    work: ProofOfWork
    freezing: Freezing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outside:
    """What comes from outside of this package."""

    database: Database
    expiring: Expiring
    vault: Vault
    jobs: Jobs
    gate: Gate
    directory: Directory
    writer: PasswordWriter
    sessions: IdpSessions
    limits: LimitSettings
    organisation: str
    sign_in_domains: Sequence[str]
    lost_waits: dt.timedelta
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What both journeys use."""

    kinds: Kinds
    throttle: Throttle
    dispatch: Dispatch
    render: Render
    notices: Notices
    freezing: Freezing


def build_recovery(
    *,
    database: Database,
    expiring: Expiring,
    counters: Counters,
    vault: Vault,
    jobs: Jobs,
    gate: Gate,
    directory: Directory,
    writer: PasswordWriter,
    sessions: IdpSessions,
    channels: Mapping[str, Sequence[Channel]],
    limits: LimitSettings,
    organisation: str,
    portal: str,
    clock: Clock,
    zone: str = "UTC",
    sign_in_domains: Sequence[str] = (),
    lost_waits: dt.timedelta = LOST_WAITS,
) -> Recovery:
    """Put the journeys together and register their jobs.

    Args:
        portal: Public address of our pages with the prefix, like `https://sso.example.org/sparekey`.
        clock: Tells aware UTC time to the jobs; the journeys take it as an argument.
        zone: See `MessagesSettings.zone`.
        sign_in_domains: See `MessagesSettings.sign_in_domains`.
        lost_waits: See `binding.LOST_WAITS`; only the demo sets another.
    """
    outside = _Outside(
        database=database,
        expiring=expiring,
        vault=vault,
        jobs=jobs,
        gate=gate,
        directory=directory,
        writer=writer,
        sessions=sessions,
        limits=limits,
        organisation=organisation,
        sign_in_domains=sign_in_domains,
        lost_waits=lost_waits,
        clock=clock,
    )
    render = Render(organisation=organisation, zone=zone)
    dispatch = Dispatch(jobs=jobs, database=database, channels=channels, clock=clock)
    stops = Stops(expiring, portal)
    shared = _Shared(
        kinds=all_kinds(vault),
        throttle=Throttle(counters, limits),
        dispatch=dispatch,
        render=render,
        notices=Notices(dispatch=dispatch, render=render, stops=stops),
        freezing=Freezing(database=database, stops=stops, sessions=sessions),
    )
    work = ProofOfWork(vault=vault, expiring=expiring, throttle=shared.throttle)
    return Recovery(
        reset=_reset(outside, shared, work),
        registration=_registration(outside, shared),
        work=work,
        freezing=shared.freezing,
    )


def _reset(outside: _Outside, shared: _Shared, work: ProofOfWork) -> Reset:
    eligibility = Eligibility(
        database=outside.database, directory=outside.directory, policies=outside.gate.current_policy
    )
    password_write = PasswordWrite(
        database=outside.database,
        expiring=outside.expiring,
        jobs=outside.jobs,
        eligibility=eligibility,
        writer=outside.writer,
        sessions=outside.sessions,
        notices=shared.notices,
        throttle=shared.throttle,
    )
    reset_jobs = ResetJobs(
        database=outside.database,
        expiring=outside.expiring,
        eligibility=eligibility,
        throttle=shared.throttle,
        dispatch=shared.dispatch,
        render=shared.render,
        clock=outside.clock,
    )
    register_all(outside.jobs, reset_jobs=reset_jobs, password_write=password_write, dispatch=shared.dispatch)
    return Reset(
        database=outside.database,
        expiring=outside.expiring,
        vault=outside.vault,
        jobs=outside.jobs,
        throttle=shared.throttle,
        work=work,
        kinds=shared.kinds,
        policies=outside.gate.current_policy,
        eligibility=eligibility,
        password_write=password_write,
        limits=outside.limits,
    )


def _registration(outside: _Outside, shared: _Shared) -> Registration:
    questions = Questions(expiring=outside.expiring, vault=outside.vault, limits=outside.limits)
    step_up = StepUp(
        database=outside.database,
        expiring=outside.expiring,
        questions=questions,
        kinds=shared.kinds,
        throttle=shared.throttle,
        dispatch=shared.dispatch,
        render=shared.render,
        limits=outside.limits,
    )
    standings = Standings(
        database=outside.database,
        directory=outside.directory,
        policies=outside.gate.current_policy,
        step_up=step_up,
    )
    return Registration(
        database=outside.database,
        vault=outside.vault,
        standings=standings,
        kinds=shared.kinds,
        questions=questions,
        step_up=step_up,
        freezing=shared.freezing,
        throttle=shared.throttle,
        dispatch=shared.dispatch,
        render=shared.render,
        notices=shared.notices,
        limits=outside.limits,
        organisation=outside.organisation,
        sign_in_domains=outside.sign_in_domains,
        lost_waits=outside.lost_waits,
    )
