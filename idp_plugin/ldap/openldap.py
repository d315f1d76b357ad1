"""OpenLDAP: finds people and writes passwords, as a service account with few rights.

It needs `=w` on `userPassword` (not `manage`, which would step over history and length), `write` on
`pwdAccountLockedTime`, and `read` on people, groups and the policy. People need `=xw` on their own
password.

Source: OpenLDAP 2.5 slapo-ppolicy(5); what it answers was taken from a live server, result codes and
control values only, never texts.
"""

import datetime as dt
from collections.abc import Callable

from idp_plugin.base import PasswordState, Subject, TargetResult, WriterCapabilities
from idp_plugin.errors import IdpUnavailable, NotPermitted
from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.account_state import AccountState
from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.directory import LdapDirectory, utc_now
from idp_plugin.ldap.groups import GroupReader
from idp_plugin.ldap.names import is_uuid, moment
from idp_plugin.ldap.password_policy import (
    STATE_ATTRIBUTES,
    is_enabled,
    is_locked,
    may_change_after,
    password_state,
)
from idp_plugin.ldap.password_write import PasswordWrite, bind_as_person, judge, require_writable
from idp_plugin.ldap.plain_rights import NOBODYS_PASSWORD, PlainRight, PlainRightCheck, check_rights
from idp_plugin.ldap.policy_reader import PolicyReader
from idp_plugin.settings import DirectorySettings

_TRIALS = {
    PlainRight.RESET_PASSWORD: ("userPassword", NOBODYS_PASSWORD),
    PlainRight.END_LOCK: ("pwdAccountLockedTime", "19990101000000Z"),
    # As good as absent.
    PlainRight.ORDER_CHANGE: ("pwdReset", "FALSE"),
}


class OpenLdap(LdapDirectory):
    """A `Directory` and a `PasswordWriter`. Thread-safe; see `LdapDirectory`."""

    def __init__(
        self,
        settings: DirectorySettings,
        subject_source: str,
        *,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """Read the settings; see `LdapDirectory`."""
        super().__init__(settings, subject_source, STATE_ATTRIBUTES, clock)
        self._policies = PolicyReader(settings.default_policy, settings.base, self._facts)

    def _promised(self, session: Session, person: Entry | None) -> WriterCapabilities:
        policy = self._policies.of(session, person) if person else None
        if policy is None:
            return WriterCapabilities(unlocks_on_reset=True)
        return WriterCapabilities(
            checks_history_on_reset=policy.history > 0,
            unlocks_on_reset=True,
            minimum_length=policy.minimum_length if policy.checks_quality else None,
            history_length=policy.history or None,
            rules=policy.rules(),
        )

    def rights(self, account: Subject) -> tuple[PlainRightCheck, ...]:
        """Return which rights our account has over this one; nothing is changed.

        Raises:
            NotPermitted: There is no such account, or it is hidden from us.
        """
        return self._looked_at(
            account, lambda session, person: check_rights(session, person, _TRIALS, "pwdChangedTime")
        )

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        """Write a new password as the service account; ppolicy clears the lock with it."""
        require_writable(new)
        write = PasswordWrite(new)

        def work(session: Session) -> None:
            person = self._writable(session, account)
            write.begins(session, person)
            judge(session.write_password(person.dn, new))

        self._settled(write, lambda: self._as_service(work))
        return self._results(write)

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        """Write a new password as the person, who proves the old one."""
        require_writable(new)
        person = self._as_service(lambda session: self._writable(session, account))
        write = PasswordWrite(new)

        def work(session: Session) -> PasswordState:
            # The extended operation does not count wrong old passwords towards the lock; a bind does.
            state = bind_as_person(session, person.dn, old)
            if state is not PasswordState.EXPIRED:
                write.begins(session, person)
                judge(session.write_password(person.dn, new, old))
            return state

        state = self._settled(write, lambda: self._servers.run(work))
        if state is PasswordState.EXPIRED:
            # The old password was proved; an expired one may not write, so the service account does.
            return self.set_password(account, new)
        return self._results(write)

    def require_change(self, account: Subject) -> None:
        """Set `pwdReset`, which lets the person do nothing but choose another password."""
        self._mark(account, "pwdReset", b"TRUE")

    def unlock(self, account: Subject) -> bool:
        """Clear a temporary lock and tell whether it still held; see `PasswordWriter`."""

        def work(session: Session) -> bool:
            person = self._writable(session, account)
            locked_since = person.first("pwdAccountLockedTime")
            if not locked_since:
                return False
            held = is_locked(person, self._policies.of(session, person), self._clock())
            # Security: by value, so that a lock which an administrator sets at this moment stays (S17).
            # Only a deletion makes slapd forget the wrong passwords too: else one more locks again.
            answer = session.remove(person.dn, "pwdAccountLockedTime", locked_since)
            if answer.code == ldap.NO_SUCH_ATTRIBUTE:
                raise IdpUnavailable(str(session.server))
            if answer.code != ldap.SUCCESS:
                raise NotPermitted(f"unlock answered {answer.code}")
            return held

        return self._as_service(work)

    def _is_id(self, id_: str) -> bool:
        return is_uuid(id_)

    def _is_enabled(self, person: Entry) -> bool:
        return is_enabled(person, self._clock())

    def _written_time(self, person: Entry) -> str:
        return person.first("pwdChangedTime")

    def _written_at(self, person: Entry) -> dt.datetime | None:
        return moment(self._written_time(person))

    def _bind_as_person(self, session: Session, dn: str, password: str) -> PasswordState:
        return bind_as_person(session, dn, password)

    def _account_state(self, session: Session, reader: GroupReader, person: Entry) -> AccountState:
        del reader
        policy, now = self._policies.of(session, person), self._clock()
        return AccountState(
            locked=is_locked(person, policy, now),
            password_state=password_state(person, policy, now),
            may_change_password=policy is None or policy.people_may_change,
            may_change_password_after=may_change_after(person, policy, now),
        )
