"""The journeys, put together around any directory, writer, sessions and channels."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from enforcement.policy import Policy
from flows.abuse.known_device import KnownDevices
from flows.abuse.proof_of_work import ProofOfWork
from flows.abuse.throttle import Throttle
from flows.authenticators.registry import all_kinds
from flows.help.helpdesk_codes import IssuedCodes
from flows.jobs import register_all
from flows.messaging.budgets import Budgets
from flows.messaging.dispatch import Dispatch
from flows.messaging.letters import Letters
from flows.messaging.message import Channel
from flows.messaging.receipts import Receipts
from flows.messaging.render import Languages, Render, english_only
from flows.notices.administrators import Administrators, RoleGroups
from flows.notices.alarms import JOB as ALARM_JOB
from flows.notices.alarms import Alarms, Event, alarm_everybody
from flows.notices.freezing import VOID_PASSWORD, Freezing
from flows.notices.notifications import Notices, Stops
from flows.notices.recovery_code_jobs import RecoveryCodeJobs
from flows.passwords.breaches import Breaches
from flows.passwords.rules import PasswordRules
from flows.passwords.settings import PasswordsSettings
from flows.recovery.change import Change
from flows.recovery.eligibility import Eligibility
from flows.recovery.journey import Parts
from flows.recovery.last_step import LastParts
from flows.recovery.late_writes import LateWrites
from flows.recovery.moving import Moves
from flows.recovery.old_password import OldPasswords
from flows.recovery.password_change import PasswordChange
from flows.recovery.password_write import PasswordParts, PasswordWrite
from flows.recovery.reset import Reset
from flows.recovery.reset_jobs import ResetJobs
from flows.recovery.unlock import Unlock, Unlocking
from flows.registering.binding import LOST_WAITS
from flows.registering.handed_out import HandedOutCodes, Redeeming
from flows.registering.pending import Questions
from flows.registering.registration import Registration
from flows.registering.standing import Standings
from flows.registering.step_up import StepUp
from flows.settings import ContactSettings, LimitSettings, MessagesSettings, QuestionSettings
from idp_plugin.base import AccountLocks, Directory, IdpSessions, PasswordWriter
from store.counters import Counters
from store.database import Database
from store.expiring import Expiring
from store.jobs import Jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the journeys stand on."""

    database: Database
    expiring: Expiring
    counters: Counters
    jobs: Jobs
    policies: Callable[[], Policy]
    """Returns the policy in force."""
    directory: Directory
    """Finds people."""
    writer: PasswordWriter
    sessions: IdpSessions
    """Ends every session of a person, the portal's own too."""
    locks: AccountLocks | None = None
    """The identity provider's own; None where it has none that can be ended."""
    channels: Mapping[str, Sequence[Channel]]
    """By name; see `flows.messaging.dispatch.Dispatch`."""
    receipts: Receipts | None = None
    """See there."""
    limits: LimitSettings
    messages: MessagesSettings
    passwords: PasswordsSettings = field(default_factory=PasswordsSettings)
    breaches: Breaches | None = None
    """Where leaked passwords are looked up; None looks nowhere."""
    portal: str
    """Address of our own pages, like `https://sso.example.org/sparekey`."""
    clock: Callable[[], dt.datetime]
    languages: Languages = english_only
    privileged_groups: frozenset[str] = frozenset()
    """Groups and roles that make privileged, besides what the directory knows (S18)."""
    opened_groups: frozenset[str] = frozenset()
    """Those of them that an operator opened to the stronger rule."""
    groups: RoleGroups = RoleGroups()  # noqa: RUF009 - frozen
    """Who has which role here."""
    contact: ContactSettings = ContactSettings()  # noqa: RUF009 - frozen
    identities: Mapping[str, str] = field(default_factory=dict)
    """Issuers of the providers that people may link, by name."""
    questions: QuestionSettings = QuestionSettings()  # noqa: RUF009 - frozen
    """Who helps, and who is alarmed."""
    lost_waits: dt.timedelta = LOST_WAITS
    """See `binding.LOST_WAITS`; only the demo sets another."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the pages call."""

    reset: Reset
    unlock: Unlock
    change: Change
    registration: Registration
    work: ProofOfWork
    freezing: Freezing
    devices: KnownDevices
    moves: Moves
    eligibility: Eligibility


def assemble(ground: Ground) -> Recovery:
    """Put the journeys together and register their jobs."""
    database, expiring, jobs, limits = ground.database, ground.expiring, ground.jobs, ground.limits
    vault, organisation = expiring.vault, ground.messages.mail.organisation
    budgets = Budgets(
        database=database,
        expiring=expiring,
        settings=ground.messages.budgets,
        on_spike=lambda channel, count, now: _alarm_of_spike(jobs, channel, count, now),
    )
    kinds = all_kinds(
        vault,
        organisation=organisation,
        portal=ground.portal,
        issued=IssuedCodes(expiring),
        sign_in_domains=ground.messages.sign_in_domains,
        default_region=ground.messages.default_region,
        questions=ground.questions,
        identities=ground.identities,
        channels=[name for name, carriers in ground.channels.items() if carriers],
        is_allowed_number=budgets.is_allowed_number,
    )
    throttle = Throttle(ground.counters, limits)
    dispatch = Dispatch(
        jobs=jobs,
        database=database,
        channels=ground.channels,
        clock=ground.clock,
        budgets=budgets,
        receipts=ground.receipts,
    )
    render = Render(
        organisation=organisation,
        zone=ground.messages.zone,
        languages=ground.languages,
        host=_host_of(ground.portal),
    )
    stops, moves = Stops(expiring, ground.portal), Moves(expiring, ground.portal)
    notices = Notices(dispatch=dispatch, render=render, stops=stops)
    eligibility = Eligibility(
        database=database,
        directory=ground.directory,
        policies=ground.policies,
        kinds=kinds,
        privileged_groups=ground.privileged_groups,
        opened_groups=ground.opened_groups,
    )
    devices = KnownDevices(
        database=database,
        expiring=expiring,
        directory=ground.directory,
        lives=dt.timedelta(days=limits.known_device_days),
    )
    questions = Questions(expiring=expiring, vault=vault, limits=limits)
    work = ProofOfWork(vault=vault, expiring=expiring, throttle=throttle)
    alarms = _alarms(ground, dispatch)
    freezing = Freezing(
        database=database,
        jobs=jobs,
        directory=ground.directory,
        writer=ground.writer,
        stops=stops,
        sessions=ground.sessions,
        alarms=alarms,
    )
    jobs.register(VOID_PASSWORD, freezing.void_password, retries=8)
    late_writes = LateWrites(
        database=database,
        expiring=expiring,
        jobs=jobs,
        directory=ground.directory,
        writer=ground.writer,
        notices=notices,
        lives=dt.timedelta(minutes=ground.passwords.late_minutes),
        clock=ground.clock,
    )
    last_parts = LastParts(
        database=database,
        expiring=expiring,
        jobs=jobs,
        eligibility=eligibility,
        writer=ground.writer,
        notices=notices,
        throttle=throttle,
        locks=ground.locks,
    )
    password_parts = PasswordParts(
        late_writes=late_writes,
        rules=PasswordRules(ground.passwords, organisation=organisation, breaches=ground.breaches),
        sessions=ground.sessions,
        alarms=alarms,
    )
    password_write = PasswordWrite(last_parts, password_parts)
    password_change = PasswordChange(
        last_parts, password_parts, OldPasswords(ground.counters, limits.wrong_passwords)
    )
    unlocking = Unlocking(last_parts)
    reset_jobs = ResetJobs(
        database=database,
        expiring=expiring,
        eligibility=eligibility,
        kinds=kinds,
        throttle=throttle,
        dispatch=dispatch,
        render=render,
        moves=moves,
        clock=ground.clock,
    )
    register_all(
        jobs,
        reset_jobs=reset_jobs,
        recovery_code_jobs=RecoveryCodeJobs(database=database, directory=ground.directory, notices=notices),
        password_write=password_write,
        unlocking=unlocking,
        late_writes=late_writes,
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
        policies=ground.policies,
        eligibility=eligibility,
        devices=devices,
        limits=limits,
    )
    step_up = StepUp(
        database=database,
        directory=ground.directory,
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
        standings=Standings(
            database=database, directory=ground.directory, policies=ground.policies, step_up=step_up
        ),
        kinds=kinds,
        questions=questions,
        step_up=step_up,
        freezing=freezing,
        throttle=throttle,
        dispatch=dispatch,
        render=render,
        notices=notices,
        limits=limits,
        redeeming=Redeeming(
            database=database, codes=HandedOutCodes(expiring), step_up=step_up, throttle=throttle
        ),
        sign_in_domains=ground.messages.sign_in_domains,
        lost_waits=ground.lost_waits,
    )
    return Recovery(
        Reset(parts, password_write),
        Unlock(parts, unlocking),
        Change(parts, password_change, ground.directory),
        registration,
        work,
        freezing,
        devices,
        moves,
        eligibility,
    )


def _host_of(portal: str) -> str:
    """Return the host that text messages bind codes to; empty where it is none that a phone would match."""
    parts = urlsplit(portal)
    host = parts.hostname or ""
    has_name = any(letter.isalpha() for letter in host.rpartition(".")[2]) and ":" not in host
    return host if parts.scheme == "https" and has_name else ""


def _alarm_of_spike(jobs: Jobs, channel: str, count: int, now: dt.datetime) -> None:
    facts = {"channel": channel, "count": str(count)}
    alarm_everybody(jobs, Event.MESSAGES_SPIKED, now=now, facts=facts)


def _alarms(ground: Ground, dispatch: Dispatch) -> Alarms:
    alarms = Alarms(
        jobs=ground.jobs,
        directory=ground.directory,
        administrators=administrators_of(ground),
        dispatch=dispatch,
        letters=letters_of(ground),
    )
    ground.jobs.register(ALARM_JOB, alarms.post, retries=3)
    return alarms


def administrators_of(ground: Ground) -> Administrators:
    """Return who helps and who is alarmed."""
    return Administrators(
        directory=ground.directory,
        groups=ground.groups,
        helpdesk=ground.contact.helpdesk,
        alarms=ground.contact.alarms,
    )


def letters_of(ground: Ground) -> Letters:
    """Return what writes messages without a code."""
    return Letters(
        organisation=ground.messages.mail.organisation,
        zone=ground.messages.zone,
        languages=ground.languages,
    )
