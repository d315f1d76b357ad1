"""OpenLDAP: finds people and writes passwords, as a service account with few rights.

It needs `=w` on `userPassword` (not `manage`, which would step over history and length), `write` on
`pwdAccountLockedTime`, and `read` on people, groups and the policy. People need `=xw` on their own
password.

Source: OpenLDAP 2.5 slapo-ppolicy(5); what it answers was taken from a live server, result codes and
control values only, never texts.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import structlog

from idp_plugin.base import Identity, PasswordState, Subject, WriterCapabilities
from idp_plugin.errors import (
    IdpMisconfigured,
    IdpUnavailable,
    NotPermitted,
    OutcomeUnknown,
    WrongPassword,
)
from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.address import Server
from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.groups import GroupReader, TooManyGroups, group_names
from idp_plugin.ldap.names import comparable, equals, is_askable, is_uuid
from idp_plugin.ldap.password_policy import (
    STATE_ATTRIBUTES,
    PasswordPolicy,
    is_enabled,
    is_locked,
    may_change_after,
    password_state,
)
from idp_plugin.ldap.password_write import (
    PasswordWrite,
    bind_as_person,
    changed_time,
    judge,
    require_writable,
)
from idp_plugin.ldap.policy_reader import PolicyReader
from idp_plugin.ldap.servers import Servers
from idp_plugin.settings import DirectorySettings

log = structlog.get_logger(__name__)
T = TypeVar("T")

EMAIL_ATTRIBUTES = ("mail",)
PHONE_ATTRIBUTES = ("mobile", "telephoneNumber")
_OTHER_ATTRIBUTES = ("displayName", "cn", "preferredLanguage", "memberOf")


def utc_now() -> dt.datetime:
    """Return the time."""
    return dt.datetime.now(dt.UTC)


class OpenLdap:
    """A `Directory` and a `PasswordWriter`. Thread-safe; every call is one connection of its own."""

    def __init__(
        self,
        settings: DirectorySettings,
        subject_source: str,
        *,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """Read the settings; nothing is sent yet.

        Args:
            settings: Of this directory.
            subject_source: `Identity.subject.source`: the issuer whose `sub` is the entry's id.
            clock: Aware UTC.

        Raises:
            IdpMisconfigured: No server, or an unreadable authority file.
        """
        self._settings = settings
        self._source = subject_source
        self._clock = clock
        self._servers = Servers(settings.servers, settings.ca, settings.seconds)
        self._policies = PolicyReader(settings.default_policy, settings.base)
        self._attributes = (
            settings.id_attribute,
            *settings.name_attributes,
            *EMAIL_ATTRIBUTES,
            *PHONE_ATTRIBUTES,
            *_OTHER_ATTRIBUTES,
            *STATE_ATTRIBUTES,
        )

    def find(self, identifier: str) -> Identity | None:
        """Return the one person whose name or address this is; see `Directory`."""
        if not is_askable(identifier):
            return None
        tests = "".join(equals(name, identifier) for name in self._settings.name_attributes)
        return self._as_service(lambda session: self._one(session, f"(|{tests})"))

    def get(self, subject: Subject) -> Identity | None:
        """Return the person with this `Identity.subject`."""
        if subject.source != self._source or not is_uuid(subject.id):
            return None
        test = equals(self._settings.id_attribute, subject.id)
        return self._as_service(lambda session: self._one(session, test))

    def everyone(self, groups: Iterable[str] = ()) -> Iterator[Identity]:
        """Yield everybody, or the members of the named groups, in the directory's order.

        Raises:
            IdpUnavailable: Also in the middle; what was yielded until then is right but not all.
            IdpMisconfigured: The server's limits end the search before everybody was read.
        """
        wanted = frozenset(groups)
        with self._servers.lasting() as session:
            self._bind(session)
            reader = GroupReader(session)
            for person in self._pages(session):
                identity = self._identity(session, reader, person)
                if not wanted or wanted & identity.groups:
                    yield identity

    def capabilities(self, account: Subject) -> WriterCapabilities:
        """Return what the policy in force for this account promises."""
        policy = self._as_service(lambda session: self._policy_of(session, account))
        if policy is None:
            return WriterCapabilities(unlocks_on_reset=True)
        return WriterCapabilities(
            checks_history_on_reset=policy.history > 0,
            unlocks_on_reset=True,
            minimum_length=policy.minimum_length if policy.checks_quality else None,
            history_length=policy.history or None,
        )

    def verify_password(self, account: Subject, password: str) -> PasswordState:
        """Check a password by one bind, which counts towards the directory's lock.

        Returns:
            USABLE, MUST_CHANGE or EXPIRED: in each case the password was right.

        Raises:
            WrongPassword: Wrong, locked, or nobody has this account.
        """
        person = self._as_service(lambda session: self._entry(session, account))
        if person is None:
            raise WrongPassword
        return self._servers.run(lambda session: bind_as_person(session, person.dn, password))

    def set_password(self, account: Subject, new: str) -> None:
        """Write a new password as the service account; ppolicy clears the lock with it."""
        require_writable(new)
        write = PasswordWrite(new)

        def work(session: Session) -> None:
            person = self._writable(session, account)
            write.begins(session, person)
            judge(session.write_password(person.dn, new))

        self._settled(write, lambda: self._as_service(work))

    def change_password(self, account: Subject, old: str, new: str) -> None:
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
            self.set_password(account, new)

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

    def _as_service(self, work: Callable[[Session], T], *, only: Server | None = None) -> T:
        def bound(session: Session) -> T:
            self._bind(session)
            return work(session)

        return self._servers.run(bound, only=only)

    def _bind(self, session: Session) -> None:
        answer = session.bind(self._settings.bind_dn, self._settings.bind_password.get_secret_value())
        if answer.code != ldap.SUCCESS:
            raise IdpMisconfigured(f"service account's bind answered {answer.code} on {session.server}")

    def _one(self, session: Session, test: str) -> Identity | None:
        person = self._only_entry(session, test)
        return self._identity(session, GroupReader(session), person) if person else None

    def _only_entry(self, session: Session, test: str) -> Entry | None:
        found = session.search(
            self._settings.base, self._people(test), self._attributes, limit=2, must_exist=True
        )
        if len(found) > 1:
            # Security: S7, more than one match is nobody, and somebody should look at it.
            log.warning("directory_identifier_ambiguous", directory=self._settings.name)
            return None
        return found[0] if found else None

    def _people(self, test: str) -> str:
        return f"(&({self._settings.name_attributes[0]}=*){test})"

    def _pages(self, session: Session) -> Iterator[Entry]:
        cookie = b""
        while True:
            session.renew(self._settings.seconds)
            found, cookie = session.page(self._settings.base, self._people(""), self._attributes, cookie)
            for person in found:
                session.renew(self._settings.seconds)
                yield person
            if not cookie:
                return

    def _entry(self, session: Session, account: Subject) -> Entry | None:
        if account.source != self._settings.name or not is_uuid(account.id):
            return None
        return self._only_entry(session, equals(self._settings.id_attribute, account.id))

    def _writable(self, session: Session, account: Subject) -> Entry:
        """Return the entry as it is now, if this package may write to it (S17, S18)."""
        person = self._entry(session, account)
        if person is None:
            raise NotPermitted("missing")
        if not is_enabled(person, self._clock()):
            raise NotPermitted("disabled")
        if self._is_privileged(GroupReader(session), person):
            raise NotPermitted("privileged")
        return person

    def _is_privileged(self, reader: GroupReader, person: Entry) -> bool:
        if comparable(person.dn) == comparable(self._settings.bind_dn):
            return True
        return reader.is_protected(person, self._username(person), self._settings.protected_groups)

    def _username(self, person: Entry) -> str:
        return person.first(self._settings.name_attributes[0])

    def _policy_of(self, session: Session, account: Subject) -> PasswordPolicy | None:
        person = self._entry(session, account)
        return self._policies.of(session, person) if person else None

    def _identity(self, session: Session, reader: GroupReader, person: Entry) -> Identity:
        policy, now = self._policies.of(session, person), self._clock()
        try:
            groups = group_names(reader.of(person))
        except TooManyGroups:
            groups = group_names(person.all("memberOf"))
        id_ = person.first(self._settings.id_attribute)
        return Identity(
            subject=Subject(self._source, id_),
            account=Subject(self._settings.name, id_),
            username=self._username(person),
            display_name=person.first("displayName") or person.first("cn"),
            emails=self._contacts(person, EMAIL_ATTRIBUTES),
            phones=self._contacts(person, PHONE_ATTRIBUTES),
            groups=groups,
            locale=person.first("preferredLanguage"),
            enabled=is_enabled(person, now),
            locked=is_locked(person, policy, now),
            privileged=self._is_privileged(reader, person),
            password_state=password_state(person, policy, now),
            may_change_password_after=may_change_after(person, policy, now),
        )

    def _contacts(self, person: Entry, attributes: Iterable[str]) -> tuple[str, ...]:
        """Return values, those of attributes that people cannot write first (S2), each once."""
        trusted = {name.lower() for name in self._settings.trusted_attributes}
        ordered = sorted(attributes, key=lambda name: name.lower() not in trusted)
        return tuple(dict.fromkeys(value for name in ordered for value in person.all(name)))

    def _settled(self, write: PasswordWrite, send: Callable[[], T]) -> T | None:
        """Send a write; where its answer is lost, find out on the same server (S19)."""
        try:
            return send()
        except OutcomeUnknown as lost:
            if not self._was_written(write):
                raise
            log.warning("directory_write_settled", server=lost.server)
            return None

    def _was_written(self, write: PasswordWrite) -> bool:
        server, person = write.server, write.person
        if server is None or person is None:
            return False
        try:
            now = self._as_service(lambda session: changed_time(session, person.dn), only=server)
            if now == person.first("pwdChangedTime"):
                return False
            # Somebody wrote; one bind tells whether it was this password.
            answer = self._servers.run(lambda session: session.bind(person.dn, write.new), only=server)
        except (IdpUnavailable, IdpMisconfigured):
            return False
        return answer.code == ldap.SUCCESS
