"""389 Directory Server: finds people and writes passwords, as a service account bound by access rules.

It must be neither the Directory Manager nor a password administrator: for those the server steps over its
own policy. `deploy/389-directory-server.md` has the rights.

A reset writes `userPassword` itself: the extended operation would order the person to change it again.

Source: 389-ds-base 2.3; what it answers was taken from a live server, result codes and control values only.
"""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from idp_plugin.base import PasswordState, Subject, TargetResult, WriterCapabilities
from idp_plugin.errors import (
    IdpError,
    IdpMisconfigured,
    NotPermitted,
    PasswordRefused,
    RefusalReason,
    WrongPassword,
)
from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.account_state import AccountState
from idp_plugin.ldap.account_usability import says_locked
from idp_plugin.ldap.connection import POLICY_CONTROL, Entry, Session
from idp_plugin.ldap.directory import LdapDirectory, utc_now
from idp_plugin.ldap.ds389_policy import (
    SET_BY_SOMEBODY,
    STATE_ATTRIBUTES,
    Ds389Policy,
    is_enabled,
    is_locked,
    may_change_after,
    password_state,
)
from idp_plugin.ldap.ds389_policy_reader import Ds389PolicyReader
from idp_plugin.ldap.ds389_roles import RoleReader
from idp_plugin.ldap.groups import GroupReader, group_names
from idp_plugin.ldap.message import Control
from idp_plugin.ldap.names import is_ds389_id, is_uuid, moment
from idp_plugin.ldap.password_policy_control import PasswordPolicyError
from idp_plugin.ldap.password_write import PasswordWrite, judge, require_writable
from idp_plugin.ldap.plain_rights import NOBODYS_PASSWORD, PlainRight, PlainRightCheck, check_rights
from idp_plugin.ldap.server_facts import ACCOUNT_USABILITY
from idp_plugin.password_rules import AccountNames, PasswordRule, RuleName, check
from idp_plugin.settings import DirectorySettings

_USABILITY_CONTROL: Control = (ACCOUNT_USABILITY, False, None)
_NOTED_SECONDS = 1.0
_NOTED_PAUSE_SECONDS = 0.005
_LOCK_ATTRIBUTES = ("accountUnlockTime", "passwordRetryCount", "retryCountResetTime")


_TRIALS = {
    PlainRight.RESET_PASSWORD: ("userPassword", NOBODYS_PASSWORD),
    PlainRight.END_LOCK: ("accountUnlockTime", "19990101000000Z"),
    PlainRight.ORDER_CHANGE: ("passwordExpirationTime", "19990101000000Z"),
}


class Ds389(LdapDirectory):
    """A `Directory` and a `PasswordWriter`. Thread-safe; see `LdapDirectory`."""

    # It notes the history after it has answered: a question over the same connection, and even another write,
    # can be quicker than that.
    _notes_before_it_answers = False

    def __init__(
        self,
        settings: DirectorySettings,
        subject_source: str,
        *,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """Read the settings; see `LdapDirectory`."""
        super().__init__(settings, subject_source, STATE_ATTRIBUTES, clock)
        self._policies = Ds389PolicyReader()

    def _promised(self, session: Session, person: Entry | None) -> WriterCapabilities:
        if person is None:
            return WriterCapabilities(unlocks_on_reset=True)
        policy = self._policies.of(session, person)
        return WriterCapabilities(
            checks_history_on_reset=policy.history > 0,
            unlocks_on_reset=True,
            minimum_length=policy.minimum_length,
            history_length=policy.history or None,
            rules=self._rules(session, person, policy),
        )

    @staticmethod
    def _rules(session: Session, person: Entry, policy: Ds389Policy) -> tuple[PasswordRule, ...]:
        found = session.search(person.dn, "(objectClass=*)", policy.compared(), below=False)
        values = (value for entry in found for name in policy.compared() for value in entry.all(name))
        return policy.rules(tuple(dict.fromkeys(values)))

    def rights(self, account: Subject) -> tuple[PlainRightCheck, ...]:
        """Return which rights our account has over this one; nothing is changed.

        Raises:
            NotPermitted: There is no such account, or it is hidden from us.
        """
        return self._looked_at(
            account, lambda session, person: check_rights(session, person, _TRIALS, "modifyTimestamp")
        )

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        """Write a new password as the service account; the server forgets the wrong ones with it."""
        require_writable(new)
        write = PasswordWrite(new)

        def work(session: Session) -> None:
            person = self._writable(session, account)
            rules = self._rules(session, person, self._policies.of(session, person))
            write.begins(session, person)
            _write(session, person, new, rules)

        self._settled(write, lambda: self._as_service(work))
        with contextlib.suppress(IdpError):
            self._await_notes(write)
        return self._results(write)

    def _await_notes(self, write: PasswordWrite) -> None:
        """Wait until the server has ended lock, expiry and orders: it answers first, and notes that after.

        Security: an order to change that is given before it has noted the write is gone again (S23).
        """
        person, end = write.person, time.monotonic() + _NOTED_SECONDS
        watched = self._noted_later(person) if person else {}
        while person and watched and time.monotonic() < end:
            found = self._as_service(partial(_values, dn=person.dn, names=tuple(watched)), only=write.server)
            watched = {name: value for name, value in found.items() if value == watched[name]}
            time.sleep(_NOTED_PAUSE_SECONDS if watched else 0)

    def _noted_later(self, person: Entry) -> dict[str, str]:
        """Return what a write changes of an account that cannot be used as it stands."""
        ends, failures = person.first("passwordExpirationTime"), person.first("passwordRetryCount")
        moment_of_end = moment(ends)
        is_over = moment_of_end is not None and moment_of_end <= self._clock()
        return {
            **({"passwordExpirationTime": ends} if is_over else {}),
            **({"passwordRetryCount": failures} if failures not in {"", "0"} else {}),
        }

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        """Write a new password as the person, who proves the old one."""
        require_writable(new)

        def read(session: Session) -> tuple[Entry, tuple[PasswordRule, ...]]:
            person = self._writable(session, account)
            return person, self._rules(session, person, self._policies.of(session, person))

        person, rules = self._as_service(read)
        write = PasswordWrite(new)

        def work(session: Session) -> PasswordState:
            state = self._bind_as_person(session, person.dn, old)
            if state is not PasswordState.EXPIRED:
                write.begins(session, person)
                _write(session, person, new, rules)
            return state

        state = self._settled(write, lambda: self._servers.run(work))
        if state is PasswordState.EXPIRED:
            # The old password was proved; an expired one may not write, so the service account does.
            return self.set_password(account, new)
        return self._results(write)

    def require_change(self, account: Subject) -> None:
        """Date the expiry to where the server puts it after somebody else's write.

        Raises:
            NotPermitted: As `ChangeForcer`, and where the policy has `passwordMustChange` off: the server
                then takes the mark for a first sign-in, and lets everything be done.
        """
        self._mark(account, "passwordExpirationTime", SET_BY_SOMEBODY.encode(), self._require_forcing)

    def _require_forcing(self, session: Session, person: Entry) -> None:
        if not self._policies.of(session, person).is_on("passwordMustChange"):
            raise NotPermitted("passwordMustChange")

    def unlock(self, account: Subject) -> bool:
        """Clear a temporary lock and tell whether it still held; see `PasswordWriter`."""

        def work(session: Session) -> bool:
            person = self._writable(session, account)
            if not person.all("accountUnlockTime") and not person.all("passwordRetryCount"):
                return False
            held = self._is_locked(person, self._policies.of(session, person))
            # What an administrator closes is another attribute, which stays (S17).
            answer = session.clear(person.dn, _LOCK_ATTRIBUTES)
            if answer.code != ldap.SUCCESS:
                raise NotPermitted(f"unlock answered {answer.code}")
            return held

        return self._as_service(work)

    def _reader(self, session: Session) -> GroupReader:
        return RoleReader(session, self._facts.of(session).context_of(self._settings.base))

    def _is_id(self, id_: str) -> bool:
        return is_ds389_id(id_) or is_uuid(id_)

    def _is_enabled(self, person: Entry) -> bool:
        return is_enabled(person)

    def _written_time(self, person: Entry) -> str:
        # The first is kept only where the server is told to; the second changes with every modification.
        return f"{person.first('pwdUpdateTime')} {person.first('modifyTimestamp')}".strip()

    def _written_at(self, person: Entry) -> dt.datetime | None:
        return moment(person.first("pwdUpdateTime") or person.first("modifyTimestamp"))

    def _controls(self, session: Session) -> Sequence[Control]:
        return self._policies.usability(session, self._facts.of(session), _USABILITY_CONTROL)

    def _is_locked(self, person: Entry, policy: Ds389Policy) -> bool:
        said = person.controls.get(ACCOUNT_USABILITY)
        told = says_locked(said) if said else None
        return is_locked(person, policy, self._clock()) if told is None else told

    def _bind_as_person(self, session: Session, dn: str, password: str) -> PasswordState:
        answer = session.bind(dn, password)
        error = answer.policy.error
        match answer.code:
            case ldap.SUCCESS if error is PasswordPolicyError.CHANGE_AFTER_RESET:
                return PasswordState.MUST_CHANGE
            case ldap.SUCCESS:
                in_grace = answer.policy.grace_sign_ins_left is not None
                return PasswordState.GRACE if in_grace else PasswordState.USABLE
            case ldap.INVALID_CREDENTIALS if error is PasswordPolicyError.PASSWORD_EXPIRED:
                # Said only for the right password.
                return PasswordState.EXPIRED
            case ldap.INVALID_CREDENTIALS | ldap.CONSTRAINT_VIOLATION | ldap.UNWILLING:
                # Wrong; locked; closed by an administrator, which it says for any password.
                raise WrongPassword
            case _:
                raise IdpMisconfigured(f"bind answered {answer.code} on {session.server}")

    def _account_state(self, session: Session, reader: GroupReader, person: Entry) -> AccountState:
        del reader
        policy, now = self._policies.of(session, person), self._clock()
        return AccountState(
            locked=not is_enabled(person) or self._is_locked(person, policy),
            password_state=password_state(person, policy, now),
            may_change_password=policy.is_on("passwordChange"),
            may_change_password_after=may_change_after(person, policy, now),
            roles=group_names(person.all("nsRole")),
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """What our own reading of the rules says of a candidate that was refused."""

    broken: frozenset[RuleName]
    untold: frozenset[RuleName]


def _values(session: Session, *, dn: str, names: tuple[str, ...]) -> dict[str, str]:
    found = session.search(dn, "(objectClass=*)", names, below=False)
    return {name: entry.first(name) for entry in found for name in names}


def _write(session: Session, person: Entry, new: str, rules: tuple[PasswordRule, ...]) -> None:
    answer = session.replace(person.dn, {"userPassword": new.encode("utf-8")}, [POLICY_CONTROL])
    try:
        judge(answer)
    except PasswordRefused as refused:
        raise PasswordRefused(_reasons(refused.reasons, _told(rules, new))) from refused


def _told(rules: tuple[PasswordRule, ...], candidate: str) -> _Told:
    verdicts = check(rules, candidate, AccountNames())
    return _Told(
        frozenset(verdict.rule.name for verdict in verdicts if verdict.holds is False),
        frozenset(verdict.rule.name for verdict in verdicts if verdict.holds is None),
    )


def _reasons(given: tuple[RefusalReason, ...], told: _Told) -> tuple[RefusalReason, ...]:
    """Say more closely what the server says by one code, or by none.

    Too short and too simple have the same code, and the present password has none.
    """
    if given == (RefusalReason.TOO_SIMPLE,) and RuleName.LENGTH_MIN in told.broken:
        return (RefusalReason.TOO_SHORT,)
    if given == (RefusalReason.OTHER,) and not told.broken and told.untold == {RuleName.NOT_IN_HISTORY}:
        return (RefusalReason.IN_HISTORY,)
    return given
