"""The demo directory on the wire: LDAP over TLS, on loopback.

Source: RFC 4511; RFC 3062 (password modify); draft-behera-ldap-password-policy-10 (control).
"""

import ipaddress
import socket
import socketserver
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from idp_plugin import ber
from idp_plugin.demo import directory
from idp_plugin.demo.directory import DemoDirectory, Refused
from idp_plugin.demo.directory_entry import DirectoryEntry
from idp_plugin.demo.directory_filter import matches
from idp_plugin.demo.pki import Certificates
from idp_plugin.ldap.password_policy_control import PASSWORD_POLICY_OID, PasswordPolicyError

_BIND, _UNBIND, _SEARCH, _MODIFY, _ABANDON, _EXTENDED = 0x60, 0x42, 0x63, 0x66, 0x50, 0x77
_BIND_ANSWER, _ENTRY, _SEARCH_DONE, _MODIFY_ANSWER, _EXTENDED_ANSWER = 0x61, 0x64, 0x65, 0x67, 0x78
_CONTROLS = 0xA0
_MODIFY_PASSWORD = "1.3.6.1.4.1.4203.1.11.1"  # noqa: S105 - an object identifier
_DELETE, _REPLACE = 1, 2
_LONGEST_MESSAGE = 1 << 20


@dataclass(frozen=True, slots=True)
class _Message:
    """One request, taken apart."""

    id: int
    operation: int
    content: bytes
    wants_policy: bool

    @classmethod
    def parse(cls, data: bytes) -> "_Message":
        parts = ber.elements(ber.elements(data)[0][1])
        if len(parts) < 2:
            raise ber.Malformed
        controls = (
            [ber.elements(control) for _, control in ber.elements(parts[2][1])] if len(parts) > 2 else []
        )
        wants_policy = any(control[0][1] == PASSWORD_POLICY_OID.encode() for control in controls)
        return cls(ber.number(parts[0][1]), parts[1][0], parts[1][1], wants_policy)


@dataclass(frozen=True, slots=True)
class _Result:
    """How an operation ended."""

    code: int = directory.SUCCESS
    policy: PasswordPolicyError | None = None
    known: bool = True


class _Conversation(socketserver.BaseRequestHandler):
    """One client."""

    server: "DirectoryServer"

    def setup(self) -> None:
        self._who: DirectoryEntry | None = None

    def handle(self) -> None:
        try:
            self.request.do_handshake()
            for data in self._messages():
                message = _Message.parse(data)
                if message.operation == _UNBIND:
                    return
                if message.operation != _ABANDON:
                    self._answer(message)
        except (OSError, ber.Malformed, IndexError, UnicodeDecodeError):
            # The other side left, or speaks something else: closing is the whole answer.
            return

    def _messages(self) -> Iterator[bytes]:
        while head := self._read(2):
            size = head[1]
            if size & 0x80:
                more = self._read(size & 0x7F)
                head += more
                size = int.from_bytes(more, "big")
            if size > _LONGEST_MESSAGE:
                return
            yield head + self._read(size)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk: bytes = self.request.recv(size - len(data))
            if not chunk:
                return b""
            data += chunk
        return data

    def _answer(self, message: _Message) -> None:
        answer_tag = {
            _BIND: _BIND_ANSWER,
            _SEARCH: _SEARCH_DONE,
            _MODIFY: _MODIFY_ANSWER,
            _EXTENDED: _EXTENDED_ANSWER,
        }.get(message.operation)
        if answer_tag is None:
            raise ber.Malformed
        try:
            result = self._perform(message)
        except Refused as refused:
            result = _Result(refused.code, refused.policy, refused.known)
        self._send(message, answer_tag, result)

    def _perform(self, message: _Message) -> _Result:
        match message.operation:
            case 0x60:
                return self._bind(message)
            case 0x63:
                return self._search(message)
            case 0x66:
                return self._modify(message)
            case _:
                return self._extended(message)

    def _bind(self, message: _Message) -> _Result:
        self._who = None
        (_, _), (_, name), (kind, password) = ber.elements(message.content)
        if kind != 0x80:
            raise Refused(directory.PROTOCOL_ERROR)
        if not name and not password:
            return _Result()
        if not password:
            raise Refused(directory.UNWILLING)
        self._who, policy = self.server.directory.bind(name.decode(), password)
        return _Result(policy=policy)

    def _search(self, message: _Message) -> _Result:
        base, scope, _, size_limit, _, _, filter_, attributes = ber.elements(message.content)
        wanted = {name.decode().lower() for _, name in ber.elements(attributes[1])}
        limit = ber.number(size_limit[1])
        sent = 0
        for entry in self._candidates(base[1].decode(), below=ber.number(scope[1]) != 0):
            if not matches(*filter_, {name.lower(): values for name, values in entry.items()}):
                continue
            if limit and sent == limit:
                raise Refused(directory.SIZE_LIMIT_EXCEEDED)
            self._send_entry(message, entry, wanted)
            sent += 1
        return _Result()

    def _candidates(self, base: str, *, below: bool) -> Iterator[dict[str, Sequence[str]]]:
        if not base and not below:
            return iter([_ROOT])
        return self.server.directory.search(self._who, base, below=below)

    def _send_entry(self, message: _Message, entry: dict[str, Sequence[str]], wanted: set[str]) -> None:
        parts = [
            ber.sequence([ber.text(name), ber.sequence(map(ber.text, values), ber.SET)])
            for name, values in entry.items()
            if name and (not wanted or name.lower() in wanted or "*" in wanted)
        ]
        body = ber.sequence([ber.text(entry[""][0]), ber.sequence(parts)], _ENTRY)
        self.request.sendall(ber.sequence([ber.integer(message.id), body]))

    def _modify(self, message: _Message) -> _Result:
        (_, dn), (_, changes) = ber.elements(message.content)
        for _, change in ber.elements(changes):
            (_, kind), (_, modification) = ber.elements(change)
            (_, name), (_, values) = ber.elements(modification)
            contents = [value for _, value in ber.elements(values)]
            change_of = {_DELETE: self.server.directory.remove, _REPLACE: self.server.directory.replace}
            if ber.number(kind) not in change_of:
                raise Refused(directory.UNWILLING)
            change_of[ber.number(kind)](self._who, dn.decode(), name.decode(), contents)
        return _Result()

    def _extended(self, message: _Message) -> _Result:
        parts = dict(ber.elements(message.content))
        if parts.get(0x80) != _MODIFY_PASSWORD.encode():
            raise Refused(directory.PROTOCOL_ERROR)
        request = dict(ber.elements(ber.elements(parts.get(0x81, b"\x30\x00"))[0][1]))
        new = request.get(0x82)
        if not new:
            raise Refused(directory.UNWILLING)
        self.server.directory.set_password(self._who, request.get(0x80, b"").decode(), new, request.get(0x81))
        return _Result()

    def _send(self, message: _Message, tag: int, result: _Result) -> None:
        parts = [ber.integer(result.code, ber.ENUMERATED), ber.text(""), ber.text("")]
        body = [ber.integer(message.id), ber.sequence(parts, tag)]
        if message.wants_policy and result.known:
            body.append(ber.sequence([_policy_control(result.policy)], _CONTROLS))
        self.request.sendall(ber.sequence(body))


def _policy_control(error: PasswordPolicyError | None) -> bytes:
    value = [] if error is None else [ber.integer(error, 0x81)]
    return ber.sequence([ber.text(PASSWORD_POLICY_OID), ber.text(ber.sequence(value))])


_ROOT: dict[str, Sequence[str]] = {
    "": ("",),
    "objectClass": ("top",),
    "namingContexts": (directory.SUFFIX,),
    "supportedLDAPVersion": ("3",),
    "supportedControl": (PASSWORD_POLICY_OID,),
    "supportedExtension": (_MODIFY_PASSWORD,),
}


class DirectoryServer(socketserver.ThreadingTCPServer):
    """Serves a directory by LDAPS; refuses any address but loopback."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, served: DemoDirectory, certificates: Certificates, address: tuple[str, int]) -> None:
        """Bind the address; port 0 picks a free one.

        Raises:
            ValueError: The address is not loopback.
            OSError: It is taken.
        """
        # Security: known passwords live here.
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise ValueError("the demo directory listens on loopback only")
        self.directory = served
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.certificate, certificates.key)
        super().__init__(address, _Conversation)

    def get_request(self) -> tuple[Any, Any]:
        """Accept; the handshake happens in the conversation's own thread."""
        connection, address = super().get_request()
        connection.settimeout(60)
        # An answer is several small writes; Nagle's algorithm would hold each for 40 ms.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: a client that breaks off is no news in a demo."""
        del request, client_address

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])
