"""What every dialect shares: finding people, reading them again before a write, settling a lost answer.

A dialect says which attributes it reads, what an entry means, and how a password is written.
"""

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import structlog

from idp_plugin.base import (
    Identity,
    PasswordState,
    Subject,
    TargetOutcome,
    TargetResult,
    WriterCapabilities,
)
from idp_plugin.errors import (
    IdpError,
    IdpMisconfigured,
    IdpUnavailable,
    NotPermitted,
    OutcomeUnknown,
    WrongPassword,
)
from idp_plugin.last_write import LastWrite
from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.account_state import AccountState
from idp_plugin.ldap.address import Server
from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.convergence import Replicas
from idp_plugin.ldap.groups import GroupReader, Power
from idp_plugin.ldap.message import Control
from idp_plugin.ldap.names import comparable, equals, is_askable
from idp_plugin.ldap.password_write import PasswordWrite
from idp_plugin.ldap.server_facts import READ_ONLY_PRODUCTS, FactsReader, ServerFacts
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


class LdapDirectory(ABC):
    """The common part of a `Directory` and `PasswordWriter`. Thread-safe.

    The service account's connections are kept for a while; a person's is made for one bind and closed.
    """

    _notes_before_it_answers = True
    """Whether lock, expiry and history are up to date when a write is answered."""

    def __init__(
        self,
        settings: DirectorySettings,
        subject_source: str,
        state_attributes: Sequence[str],
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Read the settings; nothing is sent yet.

        Args:
            settings: Of this directory.
            subject_source: `Identity.subject.source`: the issuer whose `sub` is the entry's id.
            state_attributes: What the dialect reads of a person beside names and contacts.
            clock: Aware UTC.

        Raises:
            IdpMisconfigured: No server, or an unreadable authority file.
        """
        self._settings = settings
        self._source = subject_source
        self._clock = clock
        self._servers = Servers(
            settings.servers,
            settings.ca,
            settings.seconds,
            keep=settings.keep_seconds,
            keep_after_write=self._notes_before_it_answers,
        )
        self._replicas = Replicas(settings)
        self._facts = FactsReader()
        self._attributes = (
            settings.id_attribute,
            *settings.name_attributes,
            *EMAIL_ATTRIBUTES,
            *PHONE_ATTRIBUTES,
            *_OTHER_ATTRIBUTES,
            *state_attributes,
        )

    @abstractmethod
    def _is_id(self, id_: str) -> bool:
        """Tell whether it can be an immutable id here at all."""

    @abstractmethod
    def _account_state(self, session: Session, reader: GroupReader, person: Entry) -> AccountState:
        """Return what an entry says beside names and memberships."""

    @abstractmethod
    def _promised(self, session: Session, person: Entry | None) -> WriterCapabilities:
        """Return what the policy in force for an entry promises; None is nobody here."""

    @abstractmethod
    def _is_enabled(self, person: Entry) -> bool:
        """Tell whether no administrator has closed the account."""

    @abstractmethod
    def _written_time(self, person: Entry) -> str:
        """Return when the password was last written, as the server writes it; empty where unknown."""

    @abstractmethod
    def _written_at(self, person: Entry) -> dt.datetime | None:
        """Return the same as a time; the latest that it can have been, where that is all there is."""

    @abstractmethod
    def _bind_as_person(self, session: Session, dn: str, password: str) -> PasswordState:
        """Bind with somebody's password.

        Raises:
            WrongPassword: Wrong, locked or closed.
        """

    def _has_id(self, id_: str) -> str:
        """Return the filter for an immutable id."""
        return equals(self._settings.id_attribute, id_)

    def _controls(self, session: Session) -> Sequence[Control]:
        """Return what is sent along with every search for people."""
        del session
        return ()

    def find(self, identifier: str) -> Identity | None:
        """Return the one person whose name or address this is; see `Directory`."""
        if not is_askable(identifier):
            return None
        tests = "".join(equals(name, identifier) for name in self._settings.name_attributes)
        return self._as_service(lambda session: self._one(session, f"(|{tests})"))

    def get(self, subject: Subject) -> Identity | None:
        """Return the person with this `Identity.subject`."""
        if subject.source != self._source or not self._is_id(subject.id):
            return None
        test = self._has_id(subject.id)
        return self._as_service(lambda session: self._one(session, test))

    def capabilities(self, account: Subject) -> WriterCapabilities:
        """Return what the policy in force for this account promises, on the server that answers."""
        return self._as_service(lambda session: self._promised(session, self._entry(session, account)))

    def everyone(self, groups: Iterable[str] = ()) -> Iterator[Identity]:
        """Yield everybody, or the members of the named groups, in the directory's order.

        Raises:
            IdpUnavailable: Also in the middle; what was yielded until then is right but not all.
            IdpMisconfigured: The server's limits end the search before everybody was read.
        """
        wanted = frozenset(groups)
        with self._servers.lasting() as session:
            self._bind(session)
            reader = self._reader(session)
            for person in self._pages(session):
                identity = self._identity(session, reader, person)
                if not wanted or wanted & identity.groups:
                    yield identity

    def last_write(self, account: Subject, *, server: str = "") -> LastWrite | None:
        """Return when the account's password was last written; None where it never was, or is nobody's.

        Args:
            account: `Identity.account`.
            server: Ask this one of the settings alone; the first that answers when empty.
        """
        only = self._servers.named(server) if server else None
        where, person = self._as_service(lambda session: self._seen(session, account), only=only)
        at = self._written_at(person) if person else None
        return LastWrite(at, str(where)) if at else None

    def _seen(self, session: Session, account: Subject) -> tuple[Server, Entry | None]:
        return session.server, self._entry(session, account)

    @property
    def attributes_read(self) -> tuple[str, ...]:
        """Every attribute of people that the service account must be able to read."""
        return self._attributes

    def facts(self) -> tuple[tuple[str, ServerFacts], ...]:
        """Return the capability matrix: each configured server and what it says of itself, in order.

        Raises:
            IdpUnavailable: One of them did not answer.
            IdpMisconfigured: One of them cannot be verified or refuses the service account.
        """
        return tuple(
            (str(server), self._as_service(self._facts.of, only=server)) for server in self._servers.all
        )

    def verify_password(self, account: Subject, password: str, *, server: str = "") -> PasswordState:
        """Check a password by one bind, which counts towards the directory's lock.

        Args:
            account: `Identity.account`.
            password: As typed.
            server: Ask this one alone; see `LastWrite`.

        Returns:
            USABLE, MUST_CHANGE or EXPIRED: in each case the password was right.

        Raises:
            WrongPassword: Wrong, locked, or nobody has this account.
        """
        only = self._servers.named(server) if server else None
        where, person = self._as_service(lambda session: self._seen(session, account), only=only)
        if person is None:
            raise WrongPassword
        return self._servers.run(
            lambda session: self._bind_as_person(session, person.dn, password), only=where
        )

    def _as_service(self, work: Callable[[Session], T], *, only: Server | None = None) -> T:
        return self._servers.run_signed_in(self._bind, work, only=only)

    def _bind(self, session: Session) -> None:
        answer = session.bind(self._settings.bind_dn, self._settings.bind_password.get_secret_value())
        if answer.code != ldap.SUCCESS:
            raise IdpMisconfigured(f"service account's bind answered {answer.code} on {session.server}")

    def _reader(self, session: Session) -> GroupReader:
        return GroupReader(session, self._facts.of(session).context_of(self._settings.base))

    def _one(self, session: Session, test: str) -> Identity | None:
        person = self._only_entry(session, test)
        return self._identity(session, self._reader(session), person) if person else None

    def _only_entry(self, session: Session, test: str) -> Entry | None:
        found = session.search(
            self._settings.base,
            self._people(test),
            self._attributes,
            limit=2,
            must_exist=True,
            controls=self._controls(session),
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
        controls = self._controls(session)
        while True:
            session.renew(self._settings.seconds)
            found, cookie = session.page(
                self._settings.base, self._people(""), self._attributes, cookie, controls
            )
            for person in found:
                session.renew(self._settings.seconds)
                yield person
            if not cookie:
                return

    def _entry(self, session: Session, account: Subject) -> Entry | None:
        if account.source != self._settings.name or not self._is_id(account.id):
            return None
        return self._only_entry(session, self._has_id(account.id))

    def _looked_at(self, account: Subject, look: Callable[[Session, Entry], T]) -> T:
        """Return what somebody's entry says; raises `NotPermitted` where there is none, or it is hidden."""

        def work(session: Session) -> T:
            person = self._entry(session, account)
            if person is None:
                raise NotPermitted("missing")
            return look(session, person)

        return self._as_service(work)

    def _writable(self, session: Session, account: Subject) -> Entry:
        """Return the entry as it is now, if this package may write to it (S17, S18).

        Raises:
            NotPermitted: Missing, closed or privileged.
            IdpMisconfigured: The server is a product whose passwords are not written here.
        """
        product = self._facts.of(session).product
        if product in READ_ONLY_PRODUCTS:
            raise IdpMisconfigured(f"{session.server} is {product}: its passwords are not written by LDAP")
        person = self._entry(session, account)
        if person is None:
            raise NotPermitted("missing")
        if not self._is_enabled(person):
            raise NotPermitted("disabled")
        power = self._power(self._reader(session), person)
        if power.privileged and not power.opened:
            raise NotPermitted("privileged")
        return person

    def _power(self, reader: GroupReader, person: Entry) -> Power:
        protected = self._settings.protected_groups
        opened = {comparable(group) for group in self._settings.opened_groups}
        closed = tuple(group for group in protected if comparable(group) not in opened)
        if not self._is_protected(reader, person, protected):
            return Power(privileged=False, opened=False)
        # Security: an opened group that is hidden from us may lead into one that is not opened.
        is_open = bool(opened) and all(map(reader.is_readable, self._settings.opened_groups))
        return Power(True, is_open and not self._is_protected(reader, person, closed))

    def _is_protected(self, reader: GroupReader, person: Entry, groups: Sequence[str]) -> bool:
        if comparable(person.dn) == comparable(self._settings.bind_dn):
            return True
        return reader.is_protected(person, self._username(person), groups)

    def _id(self, person: Entry) -> str:
        """Return the immutable id.

        Raises:
            IdpMisconfigured: The service account may not read it, or it is another attribute.
        """
        id_ = person.first(self._settings.id_attribute)
        if not self._is_id(id_):
            # Security: people without an id would all be the same person (rule 9).
            raise IdpMisconfigured(f"{self._settings.id_attribute} is not readable, or no id")
        return id_

    def _username(self, person: Entry) -> str:
        return person.first(self._settings.name_attributes[0])

    def _group_names(self, reader: GroupReader, person: Entry) -> frozenset[str]:
        return reader.names(person, self._username(person))

    def _identity(self, session: Session, reader: GroupReader, person: Entry) -> Identity:
        state, id_ = self._account_state(session, reader, person), self._id(person)
        power = self._power(reader, person)
        return Identity(
            subject=Subject(self._source, id_),
            account=Subject(self._settings.name, id_),
            username=self._username(person),
            display_name=person.first("displayName") or person.first("cn"),
            emails=self._contacts(person, EMAIL_ATTRIBUTES),
            phones=self._contacts(person, PHONE_ATTRIBUTES),
            trusted_phones=self._trusted(person, PHONE_ATTRIBUTES),
            groups=self._group_names(reader, person),
            roles=state.roles,
            locale=person.first("preferredLanguage"),
            enabled=self._is_enabled(person),
            locked=state.locked,
            privileged=power.privileged,
            opened=power.opened,
            password_state=state.password_state,
            may_change_password=state.may_change_password,
            may_change_password_after=state.may_change_password_after,
        )

    def _contacts(self, person: Entry, attributes: Iterable[str]) -> tuple[str, ...]:
        """Return values, those of attributes that people cannot write first (S2), each once."""
        trusted = {name.lower() for name in self._settings.trusted_attributes}
        ordered = sorted(attributes, key=lambda name: name.lower() not in trusted)
        return tuple(dict.fromkeys(value for name in ordered for value in person.all(name)))

    def _trusted(self, person: Entry, attributes: Iterable[str]) -> tuple[str, ...]:
        """Return values of attributes that people cannot write, as the settings say (S2)."""
        trusted = {name.lower() for name in self._settings.trusted_attributes}
        return self._contacts(person, [name for name in attributes if name.lower() in trusted])

    def _mark(
        self,
        account: Subject,
        attribute: str,
        value: bytes,
        require: Callable[[Session, Entry], None] = lambda *_: None,
    ) -> None:
        """Give an attribute of an account that we may write one value, as the service account.

        Args:
            account: `Identity.account`.
            attribute: Its name.
            value: The only one that it has from then on.
            require: Raises where the value would not do here what it is for.

        Raises:
            NotPermitted: Privileged, closed, or our account lacks the right.
        """

        def work(session: Session) -> None:
            person = self._writable(session, account)
            require(session, person)
            answer = session.replace(person.dn, {attribute: value})
            if answer.code != ldap.SUCCESS:
                raise NotPermitted(f"{attribute} answered {answer.code}")

        self._as_service(work)

    def _settled(self, write: PasswordWrite, send: Callable[[], T]) -> T | None:
        """Send a write; where its answer is lost, find out on the same server (S19)."""
        try:
            return send()
        except OutcomeUnknown as lost:
            if not self._was_written(write):
                raise
            log.warning("directory_write_settled", server=lost.server)
            return None

    def _results(self, write: PasswordWrite) -> tuple[TargetResult, ...]:
        """Return at how many further servers a password that was just written works, where any are asked."""
        person, server = write.person, write.server
        if person is None or server is None or not self._settings.replicas:
            return ()

        def written_at(servers: Servers, where: Server) -> dt.datetime | None:
            def work(session: Session) -> dt.datetime | None:
                found = session.search(person.dn, "(objectClass=*)", self._attributes, below=False)
                return self._written_at(found[0]) if found else None

            return servers.run_signed_in(self._bind, work, only=where)

        def opens(servers: Servers, where: Server) -> bool:
            try:
                servers.run(lambda session: self._bind_as_person(session, person.dn, write.new), only=where)
            except WrongPassword:
                return False
            return True

        try:
            since = written_at(self._servers, server)
        except IdpError:
            return ()
        before = self._written_at(person)
        if since is None or (before is not None and since <= before):
            # Two writes in one second: whoever has heard of the first seems to have heard of the second.
            return ()
        found = self._replicas.converged(written_at, opens, since)
        return (TargetResult(self._settings.name, TargetOutcome.WRITTEN, found),) if found else ()

    def _was_written(self, write: PasswordWrite) -> bool:
        server, person = write.server, write.person
        if server is None or person is None:
            return False
        try:
            if self._as_service(lambda session: self._time_now(session, person), only=server) == (
                self._written_time(person)
            ):
                return False
            # Somebody wrote; one bind tells whether it was this password.
            answer = self._servers.run(lambda session: session.bind(person.dn, write.new), only=server)
        except (IdpUnavailable, IdpMisconfigured):
            return False
        return answer.code == ldap.SUCCESS

    def _time_now(self, session: Session, person: Entry) -> str:
        found = session.search(person.dn, "(objectClass=*)", self._attributes, below=False)
        return self._written_time(found[0]) if found else ""
