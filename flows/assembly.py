"""The journeys, put together."""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from flows.abuse.known_device import KnownDevices
from flows.abuse.proof_of_work import ProofOfWork
from flows.abuse.throttle import Throttle
from flows.authenticators.base import Kinds
from flows.authenticators.registry import all_kinds
from flows.ground import Ground, administrators_of, letters_of
from flows.help.helpdesk_codes import IssuedCodes
from flows.jobs import register_all
from flows.messaging.budgets import Budgets
from flows.messaging.dispatch import Dispatch
from flows.messaging.render import Render
from flows.notices.alarms import JOB as ALARM_JOB
from flows.notices.alarms import Alarms, Event, alarm_everybody
from flows.notices.freezing import VOID_PASSWORD, Freezing
from flows.notices.notifications import Notices, Stops
from flows.notices.recovery_code_jobs import RecoveryCodeJobs
from flows.passwords.rules import PasswordRules
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
from flows.registering.handed_out import HandedOutCodes, Redeeming
from flows.registering.pending import Questions
from flows.registering.registration import Registration
from flows.registering.standing import Standings
from flows.registering.step_up import StepUp
from store.jobs import Jobs


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
    late_writes: LateWrites


def assemble(ground: Ground) -> Recovery:
    """Put the journeys together and register their jobs."""
    made = _Made(ground)
    ground.jobs.register(VOID_PASSWORD, made.freezing.void_password, retries=8)
    ground.jobs.register(ALARM_JOB, made.alarms.post, retries=3)
    register_all(
        ground.jobs,
        reset_jobs=made.reset_jobs,
        recovery_code_jobs=made.recovery_code_jobs,
        password_write=made.password_write,
        unlocking=made.unlocking,
        late_writes=made.late_writes,
        dispatch=made.dispatch,
    )
    return Recovery(
        Reset(made.parts, made.password_write),
        Unlock(made.parts, made.unlocking),
        Change(made.parts, made.password_change, ground.directory),
        made.registration,
        made.work,
        made.freezing,
        made.devices,
        made.moves,
        made.eligibility,
        made.late_writes,
    )


class _Made:
    """Each part, made once, when another first needs it."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._database, self._expiring, self._jobs = ground.database, ground.expiring, ground.jobs
        self._limits = ground.limits
        self._organisation = ground.messages.mail.organisation
        self.throttle = Throttle(ground.counters, ground.limits)
        self.stops = Stops(ground.expiring, ground.portal)
        self.moves = Moves(ground.expiring, ground.portal)

    # Messages

    @cached_property
    def budgets(self) -> Budgets:
        return Budgets(
            database=self._database,
            expiring=self._expiring,
            settings=self._ground.messages.budgets,
            on_spike=lambda channel, count, now: _alarm_of_spike(self._jobs, channel, count, now),
        )

    @cached_property
    def dispatch(self) -> Dispatch:
        return Dispatch(
            jobs=self._jobs,
            database=self._database,
            channels=self._ground.channels,
            clock=self._ground.clock,
            budgets=self.budgets,
            receipts=self._ground.receipts,
        )

    @cached_property
    def render(self) -> Render:
        return Render(
            organisation=self._organisation,
            zone=self._ground.messages.zone,
            languages=self._ground.languages,
            host=_host_of(self._ground.portal),
        )

    @cached_property
    def notices(self) -> Notices:
        return Notices(dispatch=self.dispatch, render=self.render, stops=self.stops)

    @cached_property
    def alarms(self) -> Alarms:
        return Alarms(
            jobs=self._jobs,
            directory=self._ground.directory,
            administrators=administrators_of(self._ground),
            dispatch=self.dispatch,
            letters=letters_of(self._ground),
        )

    @cached_property
    def freezing(self) -> Freezing:
        return Freezing(
            database=self._database,
            jobs=self._jobs,
            directory=self._ground.directory,
            writer=self._ground.writer,
            stops=self.stops,
            sessions=self._ground.sessions,
            alarms=self.alarms,
        )

    # Who somebody is, and how it is proved

    @cached_property
    def kinds(self) -> Kinds:
        ground = self._ground
        return all_kinds(
            self._expiring.vault,
            organisation=self._organisation,
            portal=ground.portal,
            issued=IssuedCodes(self._expiring),
            sign_in_domains=ground.messages.sign_in_domains,
            default_region=ground.messages.default_region,
            questions=ground.questions,
            identities=ground.identities,
            channels=[name for name, carriers in ground.channels.items() if carriers],
            is_allowed_number=self.budgets.is_allowed_number,
        )

    @cached_property
    def eligibility(self) -> Eligibility:
        return Eligibility(
            database=self._database,
            directory=self._ground.directory,
            policies=self._ground.policies,
            kinds=self.kinds,
            privileged_groups=self._ground.privileged_groups,
            opened_groups=self._ground.opened_groups,
            opened_in_directories=self._ground.opened_in_directories,
        )

    @cached_property
    def devices(self) -> KnownDevices:
        return KnownDevices(
            database=self._database,
            expiring=self._expiring,
            directory=self._ground.directory,
            lives=dt.timedelta(days=self._limits.known_device_days),
        )

    @cached_property
    def work(self) -> ProofOfWork:
        return ProofOfWork(vault=self._expiring.vault, expiring=self._expiring, throttle=self.throttle)

    # Reset, unlock and change

    @cached_property
    def parts(self) -> Parts:
        return Parts(
            database=self._database,
            expiring=self._expiring,
            vault=self._expiring.vault,
            jobs=self._jobs,
            throttle=self.throttle,
            work=self.work,
            kinds=self.kinds,
            policies=self._ground.policies,
            eligibility=self.eligibility,
            devices=self.devices,
            limits=self._limits,
        )

    @cached_property
    def reset_jobs(self) -> ResetJobs:
        return ResetJobs(
            database=self._database,
            expiring=self._expiring,
            eligibility=self.eligibility,
            kinds=self.kinds,
            throttle=self.throttle,
            dispatch=self.dispatch,
            render=self.render,
            moves=self.moves,
            clock=self._ground.clock,
        )

    @cached_property
    def last_parts(self) -> LastParts:
        return LastParts(
            database=self._database,
            expiring=self._expiring,
            jobs=self._jobs,
            eligibility=self.eligibility,
            writer=self._ground.writer,
            notices=self.notices,
            throttle=self.throttle,
            locks=self._ground.locks,
        )

    @cached_property
    def password_parts(self) -> PasswordParts:
        rules = PasswordRules(
            self._ground.passwords, organisation=self._organisation, breaches=self._ground.breaches
        )
        return PasswordParts(
            late_writes=self.late_writes, rules=rules, sessions=self._ground.sessions, alarms=self.alarms
        )

    @cached_property
    def password_write(self) -> PasswordWrite:
        return PasswordWrite(self.last_parts, self.password_parts)

    @cached_property
    def password_change(self) -> PasswordChange:
        old_passwords = OldPasswords(self._ground.counters, self._limits.wrong_passwords)
        return PasswordChange(self.last_parts, self.password_parts, old_passwords)

    @cached_property
    def unlocking(self) -> Unlocking:
        return Unlocking(self.last_parts)

    @cached_property
    def late_writes(self) -> LateWrites:
        return LateWrites(
            database=self._database,
            expiring=self._expiring,
            jobs=self._jobs,
            directory=self._ground.directory,
            writer=self._ground.writer,
            notices=self.notices,
            lives=dt.timedelta(minutes=self._ground.passwords.late_minutes),
            clock=self._ground.clock,
        )

    # Registration

    @cached_property
    def questions(self) -> Questions:
        return Questions(expiring=self._expiring, vault=self._expiring.vault, limits=self._limits)

    @cached_property
    def step_up(self) -> StepUp:
        return StepUp(
            database=self._database,
            directory=self._ground.directory,
            expiring=self._expiring,
            jobs=self._jobs,
            questions=self.questions,
            kinds=self.kinds,
            throttle=self.throttle,
            dispatch=self.dispatch,
            render=self.render,
            limits=self._limits,
        )

    @cached_property
    def standings(self) -> Standings:
        return Standings(
            database=self._database,
            directory=self._ground.directory,
            policies=self._ground.policies,
            step_up=self.step_up,
        )

    @cached_property
    def recovery_code_jobs(self) -> RecoveryCodeJobs:
        return RecoveryCodeJobs(
            database=self._database, directory=self._ground.directory, notices=self.notices
        )

    @cached_property
    def registration(self) -> Registration:
        redeeming = Redeeming(
            database=self._database,
            codes=HandedOutCodes(self._expiring),
            step_up=self.step_up,
            throttle=self.throttle,
        )
        return Registration(
            database=self._database,
            standings=self.standings,
            kinds=self.kinds,
            questions=self.questions,
            step_up=self.step_up,
            freezing=self.freezing,
            throttle=self.throttle,
            dispatch=self.dispatch,
            render=self.render,
            notices=self.notices,
            limits=self._limits,
            redeeming=redeeming,
            sign_in_domains=self._ground.messages.sign_in_domains,
            lost_waits=self._ground.lost_waits,
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
