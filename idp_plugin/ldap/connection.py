"""The strict connection: every call of ldap3 is here, so that another library could take its place.

What it insists on, and why, was measured on real directories: verification always; StartTLS before
anything else on `ldap://`; one deadline over the whole operation; and a write is never sent twice. `servers`
adds the fail-over, `kept_sessions` what outlives an operation.
"""

import contextlib
import select
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.utils import asn1
from pyasn1.error import PyAsn1Error

from idp_plugin.errors import IdpMisconfigured, OutcomeUnknown
from idp_plugin.ldap.address import Server
from idp_plugin.ldap.password_policy_control import (
    PASSWORD_POLICY_OID,
    MalformedControl,
    PasswordPolicyResponse,
    decode,
)
from idp_plugin.ldap.strict_socket import Deadline, PlainSocket, secure

_REFERRAL_FIELD = 3
# ldap3 2.9.1 cannot read a referral that answers an extended operation; it can those of other answers.
asn1.EXTENDED_RESPONSE_CONTEXT.setdefault(_REFERRAL_FIELD, asn1.decode_sequence)

_GOODBYE_SECONDS = 0.5

PAGE = 500
"""Entries per page of a long search."""

SUCCESS = 0
SIZE_LIMIT_EXCEEDED = 4
REFERRAL = 10
NO_SUCH_ATTRIBUTE = 16
CONSTRAINT_VIOLATION = 19
VALUE_EXISTS = 20
NO_SUCH_OBJECT = 32
INVALID_CREDENTIALS = 49
INSUFFICIENT_ACCESS = 50
UNWILLING = 53
_TRY_ANOTHER = frozenset({1, 51, 52, 80})
"""operationsError, busy, unavailable, other: this server cannot now, another one might."""

Control = tuple[str, bool, bytes | None]
"""Number, whether the server must refuse when it does not know it, and value."""

POLICY_CONTROL: Control = (PASSWORD_POLICY_OID, False, None)
_PAGED_RESULTS = "1.2.840.113556.1.4.319"


@dataclass(frozen=True, slots=True)
class Entry:
    """One found entry, as the directory sent it."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]] = field(repr=False)
    """By lower-case attribute name; absent ones are missing."""
    controls: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Values of the response controls that came with it, by number."""

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
    diagnostic: str = field(default="", repr=False)
    """The server's own words: only for dialects that put codes into them, and never shown or logged."""


class ServerFailed(Exception):
    """This server could not be asked; nothing was changed. Caught by `Servers`, never by others."""

    def __init__(self, server: Server, *, certificate: bool = False, read_only: bool = False) -> None:
        super().__init__(str(server))
        self.server = server
        self.certificate = certificate
        """Whether it was its certificate that failed."""
        self.read_only = read_only
        """Whether it refers writes to another server."""


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
        try:
            given = password.encode("utf-8")
        except UnicodeEncodeError:
            given = b""
        if not dn or not given:
            # Spec: RFC 4513 section 5.1.2, an empty password is an anonymous bind that succeeds.
            return Answer(INVALID_CREDENTIALS)
        self._connection.authentication = ldap3.SIMPLE
        self._connection.user = dn
        # Bytes, because ldap3 would put text through SASLprep, and browsers and servers do not.
        self._connection.password = given
        return self._asked(lambda: self._connection.bind(controls=[POLICY_CONTROL]))

    def renew(self, seconds: float) -> None:
        """Start the deadline again, for work that goes on page by page."""
        self._deadline.renew(seconds)

    def begin_again(self, seconds: float) -> None:
        """Get ready for another operation, after a whole one."""
        self._deadline.renew(seconds)
        self.has_written = False

    def is_silent(self) -> bool:
        """Tell whether nothing waits to be read, as it does where the server hung up or left a message."""
        sock = self._connection.socket
        if sock is None or sock.fileno() < 0 or sock.pending():
            return False
        waiting = select.poll()
        waiting.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not waiting.poll(0)

    def search(
        self,
        base: str,
        filter_: str,
        attributes: Sequence[str],
        *,
        limit: int = 0,
        below: bool = True,
        must_exist: bool = False,
        controls: Sequence[Control] = (),
    ) -> list[Entry]:
        """Return the entries found.

        Args:
            base: DN.
            filter_: RFC 4515, values already escaped.
            attributes: Names; never `*`.
            limit: At most so many entries, 0 for all that the server gives.
            below: The whole subtree, else the base entry alone.
            must_exist: Whether a base that is missing, or hidden from us, is a mistake; else it is empty.
            controls: Sent along.
        """
        answer = self._asked(
            lambda: self._send_search(base, filter_, attributes, limit=limit, below=below, controls=controls)
        )
        found = list(self._entries())
        is_whole = answer.code == SUCCESS or (answer.code == NO_SUCH_OBJECT and not must_exist)
        # The server's own limit may be lower than ours: then what was found is not all there is.
        is_enough = answer.code == SIZE_LIMIT_EXCEEDED and 0 < limit <= len(found)
        if not (is_whole or is_enough):
            raise IdpMisconfigured(f"search below {base!r} answered {answer.code} on {self.server}")
        return found

    def page(
        self,
        base: str,
        filter_: str,
        attributes: Sequence[str],
        cookie: bytes,
        controls: Sequence[Control] = (),
    ) -> tuple[list[Entry], bytes]:
        """Return one page of a long search, and the cookie of the next; empty when there is none.

        Source: RFC 2696.
        """
        answer = self._asked(
            lambda: self._send_search(
                base, filter_, attributes, limit=0, below=True, page=cookie, controls=controls
            )
        )
        if answer.code != SUCCESS:
            raise IdpMisconfigured(f"search below {base!r} answered {answer.code} on {self.server}")
        said = self._connection.result.get("controls") or {}
        return list(self._entries()), said.get(_PAGED_RESULTS, {}).get("value", {}).get("cookie") or b""

    def _send_search(
        self,
        base: str,
        filter_: str,
        attributes: Sequence[str],
        *,
        limit: int,
        below: bool,
        page: bytes | None = None,
        controls: Sequence[Control] = (),
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
            controls=list(controls) or None,
        )

    def _entries(self) -> Iterator[Entry]:
        for item in self._connection.response or ():
            # References to other servers are left alone: our credentials go nowhere else.
            if item["type"] != "searchResEntry":
                continue
            raw = item["raw_attributes"]
            said = {number: bytes(one["value"] or b"") for number, one in item.get("controls", {}).items()}
            yield Entry(item["dn"], {name.lower(): tuple(values) for name, values in raw.items()}, said)

    def remove(self, dn: str, attribute: str, value: str) -> Answer:
        """Remove one value; NO_SUCH_ATTRIBUTE where it is not there any more."""
        return self._written(
            lambda: self._connection.modify(dn, {attribute: [(ldap3.MODIFY_DELETE, [value])]})
        )

    def replace(self, dn: str, attributes: Mapping[str, bytes], controls: Sequence[Control] = ()) -> Answer:
        """Give each attribute this one value, all of them or none."""
        changes = {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in attributes.items()}
        return self._written(lambda: self._connection.modify(dn, changes, controls=list(controls) or None))

    def exchange(
        self, dn: str, attribute: str, old: bytes, new: bytes, controls: Sequence[Control] = ()
    ) -> Answer:
        """Put one value in the place of another, which has to be there."""
        changes = {attribute: [(ldap3.MODIFY_DELETE, [old]), (ldap3.MODIFY_ADD, [new])]}
        return self._written(lambda: self._connection.modify(dn, changes, controls=list(controls) or None))

    def clear(self, dn: str, attributes: Sequence[str]) -> Answer:
        """Remove every value of each attribute, whether or not there is one."""
        changes: dict[str, Any] = {name: [(ldap3.MODIFY_REPLACE, [])] for name in attributes}
        return self._written(lambda: self._connection.modify(dn, changes))

    def write_password(self, dn: str, new: str, old: str | None = None) -> Answer:
        """Set a password by the extended operation, which makes the server hash and check it.

        Source: RFC 3062.
        """
        return self._written(
            lambda: self._connection.extend.standard.modify_password(
                dn,
                old.encode("utf-8") if old is not None else None,
                new.encode("utf-8"),
                controls=[POLICY_CONTROL],
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
            # Where it refers to is not followed: our credentials go to configured servers only.
            self.has_written = False
            raise ServerFailed(self.server, read_only=True)
        return answer

    def _answer(self) -> Answer:
        result = self._connection.result
        control = (result.get("controls") or {}).get(PASSWORD_POLICY_OID)
        value = bytes(control["value"] or b"") if control else b""
        return Answer(int(result["result"]), decode(value), str(result.get("message") or ""))

    def abandon(self) -> None:
        """Free the socket without a word."""
        if self._connection.socket is not None:
            self._connection.socket.close()

    def close(self) -> None:
        """Say goodbye and free the socket, whatever state it is in."""
        sock = self._connection.socket
        self._deadline.renew(_GOODBYE_SECONDS)
        with contextlib.suppress(*_LIBRARY_FAILURES):
            self._connection.unbind()
        if sock is not None:
            sock.close()


_LIBRARY_FAILURES: tuple[type[Exception], ...] = (
    LDAPException,
    OSError,
    MalformedControl,
    PyAsn1Error,
    # What a server's garbage makes of ldap3's and pyasn1's decoders.
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


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
        return_empty_attributes=False,
        raise_exceptions=False,
    )


def _require_tls(connection: ldap3.Connection) -> None:
    # Security: nothing may be sent before this holds; ldap3's start_tls answers False in some cases
    # instead of raising.
    if not isinstance(connection.socket, ssl.SSLSocket):
        raise TypeError(type(connection.socket))


def open_session(server: Server, context: ssl.SSLContext, deadline: Deadline) -> Session:
    """Connect, shake hands and verify; every address of the name is tried in turn.

    Raises:
        ServerFailed: None could be reached or verified.
    """
    failure: Exception | None = None
    try:
        addresses = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ServerFailed(server) from error
    for address in addresses:
        try:
            return _open_address(server, str(address[4][0]), context, deadline)
        except ServerFailed as error:
            failure = error
            if error.certificate:
                raise
    raise ServerFailed(server) from failure


def _open_address(server: Server, ip: str, context: ssl.SSLContext, deadline: Deadline) -> Session:
    tls = _StrictTls(context, server.host, deadline)
    connection = None
    try:
        connection = _connection(server, ip, tls, deadline)
        connection.open(read_server_info=False)
        if server.start_tls:
            connection.socket = PlainSocket.over(connection.socket, deadline)
            connection.start_tls(read_server_info=False)
        _require_tls(connection)
    except _LIBRARY_FAILURES as error:
        if connection is not None and connection.socket is not None:
            connection.socket.close()
        raise ServerFailed(server, certificate=tls.certificate_failed) from error
    return Session(connection, server, deadline)
