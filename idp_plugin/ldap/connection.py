"""The strict connection: what may be asked and written, over `conversation`.

What it insists on, and why, was measured on real directories: verification always; StartTLS before
anything else on `ldap://`; one deadline over the whole operation; and a write is never sent twice. `servers`
adds the fail-over, `kept_sessions` what outlives an operation.
"""

import contextlib
import select
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from idp_plugin import ber
from idp_plugin.errors import IdpMisconfigured, OutcomeUnknown
from idp_plugin.ldap import message
from idp_plugin.ldap.address import Server
from idp_plugin.ldap.conversation import Conversation
from idp_plugin.ldap.message import ADD, DELETE, REPLACE, Change, Control, Message
from idp_plugin.ldap.password_policy_control import PASSWORD_POLICY_OID, PasswordPolicyResponse, decode
from idp_plugin.ldap.strict_socket import Deadline, PlainSocket, TlsSocket, secure

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
    cookie: bytes = field(default=b"", repr=False)
    """Where the next page of a long search begins; empty where there is none."""


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

    def __init__(self, sock: TlsSocket, server: Server, deadline: Deadline) -> None:
        self._socket = sock
        self._conversation = Conversation(sock)
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
        return self._asked(message.bind(dn, given), message.BIND_ANSWER, [POLICY_CONTROL])[1]

    def renew(self, seconds: float) -> None:
        """Start the deadline again, for work that goes on page by page."""
        self._deadline.renew(seconds)

    def begin_again(self, seconds: float) -> None:
        """Get ready for another operation, after a whole one."""
        self._deadline.renew(seconds)
        self.has_written = False

    def is_silent(self) -> bool:
        """Tell whether nothing waits to be read, as it does where the server hung up or left a message."""
        sock = self._socket
        if sock.fileno() < 0 or sock.pending() or not self._conversation.is_between_messages:
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
        request = message.search(base, filter_, attributes, limit=limit, below=below)
        found, answer = self._asked(request, message.SEARCH_ANSWER, controls)
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
        request = message.search(base, filter_, attributes, limit=0, below=True)
        wanted = ber.sequence([ber.integer(PAGE), ber.text(cookie)])
        found, answer = self._asked(
            request, message.SEARCH_ANSWER, [(_PAGED_RESULTS, False, wanted), *controls]
        )
        if answer.code != SUCCESS:
            raise IdpMisconfigured(f"search below {base!r} answered {answer.code} on {self.server}")
        return found, answer.cookie

    def remove(self, dn: str, attribute: str, value: str) -> Answer:
        """Remove one value; NO_SUCH_ATTRIBUTE where it is not there any more."""
        return self._modified(dn, [(DELETE, attribute, [value.encode()])])

    def replace(self, dn: str, attributes: Mapping[str, bytes], controls: Sequence[Control] = ()) -> Answer:
        """Give each attribute this one value, all of them or none."""
        changes = [(REPLACE, name, [value]) for name, value in attributes.items()]
        return self._modified(dn, changes, controls)

    def exchange(
        self, dn: str, attribute: str, old: bytes, new: bytes, controls: Sequence[Control] = ()
    ) -> Answer:
        """Put one value in the place of another, which has to be there."""
        return self._modified(dn, [(DELETE, attribute, [old]), (ADD, attribute, [new])], controls)

    def clear(self, dn: str, attributes: Sequence[str]) -> Answer:
        """Remove every value of each attribute, whether or not there is one."""
        return self._modified(dn, [(REPLACE, name, []) for name in attributes])

    def write_password(self, dn: str, new: str, old: str | None = None) -> Answer:
        """Set a password by the extended operation, which makes the server hash and check it.

        Source: RFC 3062.
        """
        request = message.modify_password(dn, new, old)
        return self._written(request, message.EXTENDED_ANSWER, [POLICY_CONTROL])

    def _modified(self, dn: str, changes: Sequence[Change], controls: Sequence[Control] = ()) -> Answer:
        return self._written(message.modify(dn, changes), message.MODIFY_ANSWER, controls)

    def _asked(
        self, request: bytes, answered_by: int, controls: Sequence[Control] = ()
    ) -> tuple[list[Entry], Answer]:
        """Ask something that may be asked again elsewhere."""
        try:
            entries, last = self._conversation.ask(request, answered_by, controls)
            found, answer = [_entry(each) for each in entries], _answer(last)
        except _BROKEN as error:
            raise ServerFailed(self.server) from error
        if answer.code in _TRY_ANOTHER:
            raise ServerFailed(self.server)
        return found, answer

    def _written(self, request: bytes, answered_by: int, controls: Sequence[Control]) -> Answer:
        """Send a write once.

        Raises:
            OutcomeUnknown: The answer was lost; it is never sent again.
        """
        self.has_written = True
        try:
            _, last = self._conversation.ask(request, answered_by, controls)
            answer = _answer(last)
        except _BROKEN as error:
            raise OutcomeUnknown(str(self.server)) from error
        if answer.code in _TRY_ANOTHER:
            self.has_written = False
            raise ServerFailed(self.server)
        if answer.code == REFERRAL:
            # Where it refers to is not followed: our credentials go to configured servers only.
            self.has_written = False
            raise ServerFailed(self.server, read_only=True)
        return answer

    def abandon(self) -> None:
        """Free the socket without a word."""
        self._socket.close()

    def close(self) -> None:
        """Say goodbye and free the socket, whatever state it is in."""
        self._deadline.renew(_GOODBYE_SECONDS)
        with contextlib.suppress(*_BROKEN):
            self._conversation.tell(message.UNBIND)
        self._socket.close()


_BROKEN: tuple[type[Exception], ...] = (OSError, ValueError)
"""What a server that hangs up, is late or sends garbage makes of a conversation."""


def _entry(found: Message) -> Entry:
    dn, attributes = message.entry(found)
    return Entry(dn, attributes, found.controls)


def _answer(last: Message) -> Answer:
    result = message.result(last)
    policy = decode(last.controls.get(PASSWORD_POLICY_OID, b""))
    return Answer(result.code, policy, result.diagnostic, _cookie(last.controls.get(_PAGED_RESULTS)))


def _cookie(value: bytes | None) -> bytes:
    """Return where the next page begins; empty where there is none."""
    if not value:
        return b""
    ((_, content),) = ber.elements(value)
    _, (_, cookie) = ber.elements(content)
    return cookie


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
    try:
        raw = socket.create_connection((ip, server.port), timeout=deadline.left())
        if server.start_tls:
            raw = _ready_for_tls(raw, deadline)
        return Session(secure(raw, context, server.host, deadline), server, deadline)
    except ssl.SSLCertVerificationError as error:
        raise ServerFailed(server, certificate=True) from error
    except _BROKEN as error:
        raise ServerFailed(server) from error


def _ready_for_tls(raw: socket.socket, deadline: Deadline) -> PlainSocket:
    """Have the server agree to StartTLS; the socket is closed when it does not."""
    plain = PlainSocket.over(raw, deadline)
    try:
        conversation = Conversation(plain)
        _, answer = conversation.ask(message.extended(message.START_TLS), message.EXTENDED_ANSWER)
        # Security: whatever came along with the answer could be anybody's, and is never read.
        if message.result(answer).code != SUCCESS or not conversation.is_between_messages:
            raise ConnectionError
    except _BROKEN:
        plain.close()
        raise
    return plain
