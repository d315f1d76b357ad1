"""Active Directory: finds people and writes passwords, as a service account with few rights.

It needs, on people alone: the extended right *Reset Password*, and *write* on `lockoutTime` and
`pwdLastSet`; *Unexpire Password* on the domain; and *read* on the password settings container, where there
are fine-grained policies. See `deploy/active-directory.md`. `userPassword` is never touched: it is a plain
attribute there.

Source: [MS-ADTS] section 3.1.1.3.1.5 (password operations); what it answers was taken from a live Samba
4.17, result and Windows error codes only, never texts.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from idp_plugin.base import Identity, PasswordState, Subject, TargetResult, WriterCapabilities
from idp_plugin.errors import IdpMisconfigured, NotPermitted, PasswordRefused, RefusalReason
from idp_plugin.ldap import active_directory_account as account_of
from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.account_state import AccountState
from idp_plugin.ldap.active_directory_codes import judge, proved
from idp_plugin.ldap.active_directory_groups import TokenReader
from idp_plugin.ldap.active_directory_policy import AccountPolicy, AccountPolicyReader, reasons
from idp_plugin.ldap.active_directory_rights import RightCheck, check_rights, may_unexpire
from idp_plugin.ldap.active_directory_root import ACCESS_LIST, RootEntry, root_entry
from idp_plugin.ldap.active_directory_rules import names_in
from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.directory import LdapDirectory, utc_now
from idp_plugin.ldap.groups import GroupReader
from idp_plugin.ldap.message import Control
from idp_plugin.ldap.names import alike, equals, is_askable, is_uuid
from idp_plugin.ldap.password_write import PasswordWrite, require_writable
from idp_plugin.password_rule import PasswordRule
from idp_plugin.settings import DirectorySettings

_IS_PERSON = "(sAMAccountType=805306368)"
"""Ordinary accounts: no computers, no trusts, no managed service accounts."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """An account that may be written to, as it is now."""

    person: Entry
    root: RootEntry
    policy: AccountPolicy | None


class ActiveDirectory(LdapDirectory):
    """A `Directory` and a `PasswordWriter`. Thread-safe; see `LdapDirectory`."""

    def __init__(
        self,
        settings: DirectorySettings,
        subject_source: str,
        *,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """Read the settings; see `LdapDirectory`."""
        super().__init__(settings, subject_source, account_of.ATTRIBUTES, clock)
        self._policies = AccountPolicyReader()

    def find(self, identifier: str) -> Identity | None:
        """Return the one person whose name or address this is; see `Directory`."""
        if not is_askable(identifier):
            return None
        return self._as_service(lambda session: self._named(session, identifier))

    def _named(self, session: Session, typed: str) -> Identity | None:
        tests = "".join(equals(name, typed) for name in self._settings.name_attributes)
        person = self._only_entry(session, f"(|{tests})")
        if person is None:
            return None
        stored = (value for name in self._settings.name_attributes for value in person.all(name))
        # Security: Windows finds `jose` for `josé`, and wide letters for narrow ones (S7).
        if alike(typed) not in map(alike, stored):
            return None
        return self._identity(session, self._reader(session), person)

    def _promised(self, session: Session, person: Entry | None) -> WriterCapabilities:
        root = root_entry(session)
        policy = self._policies.of(session, person, root.domain) if person else None
        at_least = WriterCapabilities(
            unlocks_on_reset=True,
            old_password_lives=self._old_lives,
            clears_must_change=may_unexpire(session, root) is not False,
        )
        if person is None or policy is None:
            return at_least
        return replace(
            at_least,
            checks_history_on_reset=policy.history > 0 and bool(root.policy_hints),
            minimum_length=policy.minimum_length or None,
            history_length=policy.history or None,
            rules=_rules(root, person, policy),
        )

    @property
    def _old_lives(self) -> dt.timedelta:
        return dt.timedelta(minutes=self._settings.old_password_minutes)

    def rights(self, account: Subject) -> tuple[RightCheck, ...]:
        """Return which rights our account has over this one; nothing is written.

        Raises:
            NotPermitted: There is no such account, or it is hidden from us.
        """

        def check(session: Session, person: Entry) -> tuple[RightCheck, ...]:
            root = root_entry(session)
            policy = self._policies.of(session, person, root.domain)
            reader = TokenReader(session, root, self._settings.bind_dn)
            return check_rights(session, root, person, reader, policy)

        return self._looked_at(account, check)

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        """Write a new password, end the lock and the duty to change: all in one operation, or nothing."""
        require_writable(new)
        write = PasswordWrite(new)

        def work(session: Session) -> None:
            found = self._ready(session, account)
            hints = found.root.policy_hints
            why = self._require_changeable(found, new, checks_history=bool(hints))
            write.begins(session, found.person)
            changes = {"unicodePwd": _quoted(new), "lockoutTime": b"0", "pwdLastSet": b"-1"}
            judge(session.replace(found.person.dn, changes, hints), why)

        self._settled(write, lambda: self._as_service(work))
        return self._results(write)

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        """Write a new password as the person, who proves the old one; history and age are checked."""
        require_writable(new)
        # Everything is read as the service account: what the person may not read must not be remembered.
        found = self._as_service(lambda session: self._ready(session, account))
        write = PasswordWrite(new)

        def exchange(session: Session, found: _Ready) -> None:
            why = self._require_changeable(found, new, checks_history=True)
            write.begins(session, found.person)
            judge(session.exchange(found.person.dn, "unicodePwd", _quoted(old), _quoted(new)), why)

        def as_person(session: Session) -> bool:
            answer = session.bind(found.person.dn, old)
            proved(answer, session)
            is_bound = answer.code == ldap.SUCCESS
            if is_bound:
                exchange(session, found)
            return is_bound

        def send() -> None:
            if not self._servers.run(as_person):
                # Expired, or to be changed: the right one may not sign in. The exchange proves it again.
                self._as_service(lambda session: exchange(session, self._ready(session, account)))

        self._settled(write, send)
        return self._results(write)

    def require_change(self, account: Subject) -> None:
        """Date the password to never, which lets the person do nothing but choose another one."""
        self._mark(account, "pwdLastSet", b"0")

    def unlock(self, account: Subject) -> bool:
        """Clear a temporary lock and tell whether there was one; see `PasswordWriter`.

        What an administrator closed is another attribute, and stays.
        """

        def work(session: Session) -> bool:
            person = self._writable(session, account)
            if not account_of.is_locked(person):
                return False
            answer = session.replace(person.dn, {"lockoutTime": b"0"})
            if answer.code != ldap.SUCCESS:
                raise NotPermitted(f"unlock answered {answer.code}")
            return True

        return self._as_service(work)

    def _is_id(self, id_: str) -> bool:
        return is_uuid(id_)

    def _has_id(self, id_: str) -> str:
        return account_of.id_filter(id_)

    def _id(self, person: Entry) -> str:
        id_ = account_of.canonical_id(person)
        if not id_:
            # Security: people without an id would all be the same person (rule 9).
            raise IdpMisconfigured(f"{account_of.ID} is not readable")
        return id_

    def _people(self, test: str) -> str:
        return f"(&{_IS_PERSON}{test})"

    def _controls(self, session: Session) -> Sequence[Control]:
        del session
        return (ACCESS_LIST,)

    def _reader(self, session: Session) -> TokenReader:
        return TokenReader(session, root_entry(session), self._settings.bind_dn)

    def _is_protected(self, reader: GroupReader, person: Entry, groups: Sequence[str]) -> bool:
        return reader.is_protected(person, self._username(person), groups)

    def _is_enabled(self, person: Entry) -> bool:
        return account_of.is_enabled(person, self._clock())

    def _written_time(self, person: Entry) -> str:
        return person.first("pwdLastSet")

    def _written_at(self, person: Entry) -> dt.datetime | None:
        return account_of.moment(account_of.number(person, "pwdLastSet"))

    def _bind_as_person(self, session: Session, dn: str, password: str) -> PasswordState:
        return proved(session.bind(dn, password), session)

    def _ready(self, session: Session, account: Subject) -> _Ready:
        """Return what a write needs to know, read as the service account on this connection."""
        person, root = self._writable(session, account), root_entry(session)
        return _Ready(person, root, self._policies.of(session, person, root.domain))

    def _require_changeable(
        self, found: _Ready, new: str, *, checks_history: bool
    ) -> tuple[RefusalReason, ...]:
        """Refuse what an administrative reset would step over, but the organisation forbids its people.

        Returns:
            Why the directory will have refused this password, if it does.
        """
        if not account_of.may_change(found.person):
            raise PasswordRefused((RefusalReason.CHANGE_NOT_ALLOWED,))
        if self._may_change_after(found.person, found.policy):
            raise PasswordRefused((RefusalReason.TOO_YOUNG,))
        rules = _rules(found.root, found.person, found.policy) if found.policy else ()
        return reasons(rules, new, checks_history=checks_history)

    def _may_change_after(self, person: Entry, policy: AccountPolicy | None) -> dt.datetime | None:
        age = policy.minimum_age if policy else dt.timedelta(0)
        return account_of.may_change_after(person, age, self._clock())

    def _account_state(self, session: Session, reader: GroupReader, person: Entry) -> AccountState:
        policy = self._policies.of(session, person, reader.context)
        return AccountState(
            locked=account_of.is_locked(person),
            password_state=account_of.password_state(person, self._clock()),
            may_change_password=account_of.may_change(person),
            may_change_password_after=self._may_change_after(person, policy),
        )


def _quoted(password: str) -> bytes:
    """Return a password as `unicodePwd` takes it.

    Source: [MS-ADTS] section 3.1.1.3.1.5.1.
    """
    return f'"{password}"'.encode("utf-16-le")


def _rules(root: RootEntry, person: Entry, policy: AccountPolicy) -> tuple[PasswordRule, ...]:
    # Samba looks for no names in complex passwords.
    names = () if root.is_samba else names_in(person.first("sAMAccountName"), person.first("displayName"))
    return policy.rules(names)
