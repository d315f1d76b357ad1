"""The strict connection: every call of ldap3 is here, so that another library could take its place.

What it insists on, and why, was measured on real directories: verification always; StartTLS before
anything else on `ldap://`; one connection per operation, always closed; one deadline over the whole
operation; fail-over with a cool-down; and a write is never sent twice.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ldap3
import structlog
from ldap3.core.exceptions import LDAPException

from idp_plugin.errors import IdpMisconfigured, IdpUnavailable, OutcomeUnknown
from idp_plugin.ldap.password_policy_control import (
    PASSWORD_POLICY_OID,
    MalformedControl,
    PasswordPolicyResponse,
    decode,
)
from idp_plugin.ldap.strict_socket import Deadline, PlainSocket, secure, tls_context

log = structlog.get_logger(__name__)
T = TypeVar("T")

COOL_DOWN_SECONDS = 30.0
"""For this long a server that did not answer is asked last."""
PAGE = 500
"""Entries per page of a long search."""

SUCCESS = 0
SIZE_LIMIT_EXCEEDED = 4
REFERRAL = 10
CONSTRAINT_VIOLATION = 19
NO_SUCH_OBJECT = 32
INVALID_CREDENTIALS = 49
INSUFFICIENT_ACCESS = 50
UNWILLING = 53
_TRY_ANOTHER = frozenset({1, 51, 52, 80})
"""operationsError, busy, unavailable, other: this server cannot now, another one might."""

_POLICY_CONTROL = (PASSWORD_POLICY_OID, False, None)
_PAGED_RESULTS = "1.2.840.113556.1.4.319"


@dataclass(frozen=True, slots=True)
class Server:
    """One address of a directory."""

    host: str
    port: int
    start_tls: bool
    """`ldap://`: upgraded before anything is sent; otherwise TLS from the first byte."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One found entry, as the directory sent it."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]] = field(repr=False)
    """By lower-case attribute name; absent ones are missing."""

    def all(self, attribute: str) -> tuple[str, ...]:
        """Return every value that is text, in the directory's order."""
        values = self.attributes.get(attribute.lower(), ())
        return tuple(value.decode("utf-8", "replace") for value in values)

    def first(self, attribute: str) -> str:
        """Return the first value, or an empty text."""
        return next(iter(self.all(attribute)), "")


@dataclass(frozen=True, slots=True)
class Answer:
    """The result code of one operation, and the password policy's word on it."""

    code: int
    policy: PasswordPolicyResponse = field(default_factory=PasswordPolicyResponse)


class ServerFailed(Exception):
    """This server could not be asked; nothing was changed. Caught by `Servers`, never by others."""

    def __init__(self, server: Server, *, certificate: bool = False) -> None:
        super().__init__(str(server))
        self.server = server
        self.certificate = certificate
        """Whether it was its certificate that failed."""


def parse_server(address: str) -> Server:
    """Read `ldaps://host[:636]` or `ldap://host[:389]`.

    Raises:
        IdpMisconfigured: Anything else.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise IdpMisconfigured(f"server address {address}") from None
    if parts.scheme not in {"ldap", "ldaps"} or not parts.hostname or parts.path not in {"", "/"}:
        raise IdpMisconfigured(f"server address {address}")
    start_tls = parts.scheme == "ldap"
    return Server(parts.hostname, port or (389 if start_tls else 636), start_tls)


class Session:
    """An open, verified connection to one server; used by one thread for one operation."""

    def __init__(self, connection: ldap3.Connection, server: Server, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self.server = server
        self.has_written = False
        """Whether a write was sent: from then on nothing may be tried again elsewhere."""

    def bind(self, dn: str, password: str) -> Answer:
        """Bind and return the answer; after anything but success the connection must not be used.

        Source: OpenLDAP 2.5 keeps the identity after refusing an expired password.
        """
        if not dn or not password:
            # Spec: RFC 4513 section 5.1.2, an empty password is an anonymous bind that succeeds.
            return Answer(INVALID_CREDENTIALS)
        self._connection.authentication = ldap3.SIMPLE
        self._connection.user = dn
        # Bytes, because ldap3 would put text through SASLprep, and browsers and servers do not.
        self._connection.password = password.encode("utf-8")
        return self._asked(lambda: self._connection.bind(controls=[_POLICY_CONTROL]))

    def renew(self, seconds: float) -> None:
        """Start the deadline again, for work that goes on page by page."""
        self._deadline.renew(seconds)

    def search(
        self,
        base: str,
        filter_: str,
        attributes: Sequence[str],
        *,
        limit: int = 0,
        below: bool = True,
        must_exist: bool = False,
    ) -> list[Entry]:
        """Return the entries found.

        Args:
            base: DN.
            filter_: RFC 4515, values already escaped.
            attributes: Names; never `*`.
            limit: At most so many entries, 0 for all that the server gives.
            below: The whole subtree, else the base entry alone.
            must_exist: Whether a base that is missing, or hidden from us, is a mistake; else it is empty.
        """
        answer = self._asked(lambda: self._send_search(base, filter_, attributes, limit=limit, below=below))
        fine = (
            {SUCCESS, SIZE_LIMIT_EXCEEDED} if must_exist else {SUCCESS, SIZE_LIMIT_EXCEEDED, NO_SUCH_OBJECT}
        )
        if answer.code not in fine:
            raise IdpMisconfigured(f"search below {base!r} answered {answer.code} on {self.server}")
        return list(self._entries())

    def page(
        self, base: str, filter_: str, attributes: Sequence[str], cookie: bytes
    ) -> tuple[list[Entry], bytes]:
        """Return one page of a long search, and the cookie of the next; empty when there is none.

        Source: RFC 2696.
        """
        answer = self._asked(
            lambda: self._send_search(base, filter_, attributes, limit=0, below=True, page=cookie)
        )
        if answer.code != SUCCESS:
            raise IdpMisconfigured(f"search below {base!r} answered {answer.code} on {self.server}")
        controls = self._connection.result.get("controls") or {}
        return list(self._entries()), controls.get(_PAGED_RESULTS, {}).get("value", {}).get("cookie") or b""

    def _send_search(
        self,
        base: str,
        filter_: str,
        attributes: Sequence[str],
        *,
        limit: int,
        below: bool,
        page: bytes | None = None,
    ) -> None:
        self._connection.search(
            base,
            filter_,
            search_scope=ldap3.SUBTREE if below else ldap3.BASE,
            dereference_aliases=ldap3.DEREF_NEVER,
            attributes=list(attributes),
            size_limit=limit,
            paged_size=None if page is None else PAGE,
            paged_cookie=page or None,
        )

    def _entries(self) -> Iterator[Entry]:
        for item in self._connection.response or ():
            # References to other servers are left alone: our credentials go nowhere else.
            if item["type"] != "searchResEntry":
                continue
            raw = item["raw_attributes"]
            yield Entry(item["dn"], {name.lower(): tuple(values) for name, values in raw.items()})

    def clear(self, dn: str, attribute: str) -> Answer:
        """Remove an attribute; succeeds also where it is not there."""
        return self._written(lambda: self._connection.modify(dn, {attribute: [(ldap3.MODIFY_REPLACE, [])]}))

    def write_password(self, dn: str, new: str, old: str | None = None) -> Answer:
        """Set a password by the extended operation, which makes the server hash and check it.

        Source: RFC 3062.
        """
        return self._written(
            lambda: self._connection.extend.standard.modify_password(
                dn,
                old.encode("utf-8") if old is not None else None,
                new.encode("utf-8"),
                controls=[_POLICY_CONTROL],
            )
        )

    def _asked(self, send: Callable[[], object]) -> Answer:
        """Run something that may be asked again elsewhere."""
        try:
            send()
            answer = self._answer()
        except _LIBRARY_FAILURES as error:
            raise ServerFailed(self.server) from error
        if answer.code in _TRY_ANOTHER:
            raise ServerFailed(self.server)
        return answer

    def _written(self, send: Callable[[], object]) -> Answer:
        """Run a write once.

        Raises:
            OutcomeUnknown: The answer was lost; it is never sent again.
        """
        self.has_written = True
        try:
            send()
            answer = self._answer()
        except _LIBRARY_FAILURES as error:
            raise OutcomeUnknown(str(self.server)) from error
        if answer.code in _TRY_ANOTHER:
            self.has_written = False
            raise ServerFailed(self.server)
        if answer.code == REFERRAL:
            raise IdpMisconfigured(f"{self.server} is read-only and refers writes elsewhere")
        return answer

    def _answer(self) -> Answer:
        result = self._connection.result
        control = (result.get("controls") or {}).get(PASSWORD_POLICY_OID)
        value = bytes(control["value"] or b"") if control else b""
        return Answer(int(result["result"]), decode(value))

    def close(self) -> None:
        """Say goodbye and free the socket, whatever state it is in."""
        sock = self._connection.socket
        with contextlib.suppress(*_LIBRARY_FAILURES):
            self._connection.unbind()
        if sock is not None:
            sock.close()


_LIBRARY_FAILURES: tuple[type[Exception], ...] = (
    LDAPException,
    OSError,
    MalformedControl,
    # What a server's garbage makes of ldap3's and pyasn1's decoders.
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


class Servers:
    """The servers of one directory, with fail-over. Thread-safe."""

    def __init__(
        self,
        addresses: Sequence[str],
        ca: Path,
        seconds: float,
        *,
        cool_down: float = COOL_DOWN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read addresses and authority.

        Raises:
            IdpMisconfigured: No server, an address that is none, or an unreadable authority file.
        """
        if not addresses:
            raise IdpMisconfigured("no servers")
        self._servers = tuple(parse_server(address) for address in addresses)
        try:
            self._context = tls_context(ca)
        except OSError as error:
            raise IdpMisconfigured(f"authority file {ca}") from error
        self._seconds = seconds
        self._cool_down = cool_down
        self._clock = clock
        self._failed_until: dict[Server, float] = {}
        self._lock = threading.Lock()

    def run(self, work: Callable[[Session], T], *, only: Server | None = None) -> T:
        """Run `work` on the first server that can be asked, the next one when it fails before a write.

        Args:
            work: Gets an open connection, not yet bound. May be called once per server.
            only: Ask this server and no other.

        Raises:
            OutcomeUnknown: From a write whose answer was lost.
            IdpUnavailable: No server answered in time; nothing was changed.
            IdpMisconfigured: None could be verified, or `work` says so.
        """
        servers = (only,) if only else self._in_order()
        return self._first(servers, lambda server, deadline: self._on(server, work, deadline))

    def _first(self, servers: Sequence[Server], ask: Callable[[Server, Deadline], T]) -> T:
        """Return the first server's answer; each gets an equal share of the time that is left."""
        deadline = Deadline(self._seconds)
        failure = ServerFailed(servers[0])
        for position, server in enumerate(servers):
            try:
                share = deadline.left() / (len(servers) - position)
                result = ask(server, Deadline(share))
            except TimeoutError:
                break
            except ServerFailed as error:
                self._note_failure(server, error)
                failure = error
            else:
                self._note_success(server)
                return result
        if failure.certificate:
            raise IdpMisconfigured(f"certificate of {failure.server}") from failure
        raise IdpUnavailable(str(failure.server)) from failure

    @contextlib.contextmanager
    def lasting(self) -> Iterator[Session]:
        """Open a connection for long work; the caller renews its deadline.

        Raises:
            IdpUnavailable: No server answered, or it stopped answering in the middle.
        """
        session = self._first(self._in_order(), self._open)
        try:
            yield session
        except ServerFailed as error:
            self._note_failure(error.server, error)
            raise IdpUnavailable(str(error.server)) from error
        finally:
            session.close()

    def _on(self, server: Server, work: Callable[[Session], T], deadline: Deadline) -> T:
        session = self._open(server, deadline)
        try:
            return work(session)
        except ServerFailed as error:
            if session.has_written:
                raise IdpUnavailable(str(server)) from error
            raise
        except OutcomeUnknown:
            self._note_failure(server, ServerFailed(server))
            raise
        finally:
            session.close()

    def _open(self, server: Server, deadline: Deadline) -> Session:
        failure: Exception | None = None
        try:
            addresses = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ServerFailed(server) from error
        for address in addresses:
            try:
                return self._open_address(server, str(address[4][0]), deadline)
            except ServerFailed as error:
                failure = error
                if error.certificate:
                    raise
        raise ServerFailed(server) from failure

    def _open_address(self, server: Server, ip: str, deadline: Deadline) -> Session:
        tls = _StrictTls(self._context, server.host, deadline)
        connection = None
        try:
            connection = _connection(server, ip, tls, deadline)
            session = Session(connection, server, deadline)
            connection.open(read_server_info=False)
            if server.start_tls:
                connection.socket = PlainSocket.over(connection.socket, deadline)
                connection.start_tls(read_server_info=False)
            _require_tls(connection)
        except _LIBRARY_FAILURES as error:
            if connection is not None and connection.socket is not None:
                connection.socket.close()
            raise ServerFailed(server, certificate=tls.certificate_failed) from error
        return session

    def _in_order(self) -> tuple[Server, ...]:
        """Return servers as configured, those that failed lately last, never left out."""
        now = self._clock()
        with self._lock:
            resting = {server for server, until in self._failed_until.items() if until > now}
        return tuple(sorted(self._servers, key=lambda server: server in resting))

    def _note_failure(self, server: Server, error: ServerFailed) -> None:
        with self._lock:
            self._failed_until[server] = self._clock() + self._cool_down
        cause = type(error.__cause__).__name__ if error.__cause__ else "refused"
        log.warning("directory_server_failed", server=str(server), certificate=error.certificate, cause=cause)

    def _note_success(self, server: Server) -> None:
        with self._lock:
            self._failed_until.pop(server, None)


class _StrictTls(ldap3.Tls):  # type: ignore[misc]  # ldap3 has no types
    """Lets OpenSSL do the checks, with our deadline; ldap3's own checks are not used."""

    def __init__(self, context: ssl.SSLContext, host: str, deadline: Deadline) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._host = host
        self._deadline = deadline
        self.certificate_failed = False

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Called by ldap3 when it wants TLS; it shakes hands at once, whatever is asked."""
        del do_handshake
        try:
            connection.socket = secure(connection.socket, self._context, self._host, self._deadline)
        except ssl.SSLCertVerificationError:
            self.certificate_failed = True
            raise


def _connection(server: Server, ip: str, tls: _StrictTls, deadline: Deadline) -> ldap3.Connection:
    """Build ldap3's connection with everything that is dangerous or slow turned off."""
    peer = ldap3.Server(
        ip,
        port=server.port,
        use_ssl=not server.start_tls,
        tls=tls,
        get_info=ldap3.NONE,
        allowed_referral_hosts=[],
        connect_timeout=deadline.left(),
    )
    return ldap3.Connection(
        peer,
        client_strategy=ldap3.SYNC,
        auto_bind=ldap3.AUTO_BIND_NONE,
        auto_referrals=False,
        auto_range=False,
        check_names=False,
        raise_exceptions=False,
    )


def _require_tls(connection: ldap3.Connection) -> None:
    # Security: nothing may be sent before this holds; ldap3's start_tls answers False in some cases
    # instead of raising.
    if not isinstance(connection.socket, ssl.SSLSocket):
        raise TypeError(type(connection.socket))
