"""One bound connection to a text message centre.

smpplib writes and reads the units of the protocol. Its client is not used: it logs every unit in full, and
with it codes and the password; it checks no certificate against a host, believes any length, and speaks
IPv4 alone.

Source: SMPP 3.4 issue 1.2; smpplib 2.2.4.
"""

import contextlib
import socket
import ssl
import struct
import time
from typing import Any, Self

from smpplib import exceptions, smpp
from smpplib.client import SimpleSequenceGenerator
from smpplib.consts import SMPP_ESME_ROK

from flows.messaging.carrier_settings import SmppSettings

_SHORTEST, _LONGEST = 16, 65_536
"""Bytes of one unit; the longest text is far below."""
_NONSENSE = (
    exceptions.PDUError,
    exceptions.UnknownCommandError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    struct.error,
)
"""What reading bytes of somebody else's making ends in."""


class LinkBroken(Exception):
    """The connection is gone, or what came by it is nonsense."""


class BindRefused(Exception):
    """The centre does not take us; `status` is its own."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class SmppLink:
    """Opened and bound by `opened`; used by one thread at a time."""

    def __init__(self, settings: SmppSettings) -> None:
        """Connect, by TLS unless the settings say otherwise.

        Raises:
            LinkBroken: The centre is not reached, or is another.
        """
        self._settings = settings
        self._numbers = SimpleSequenceGenerator()
        self._read = bytearray()
        self._socket = _connected(settings)
        self.heard_at = time.monotonic()
        self.is_asked = False
        """Whether the centre was asked and has said nothing since."""

    @classmethod
    def opened(cls, settings: SmppSettings) -> Self:
        """Return a link that is bound to send, and to receive unless the settings say otherwise.

        Raises:
            LinkBroken: The centre is not reached, or answers nonsense.
            BindRefused: It does not take us.
        """
        link = cls(settings)
        try:
            link._bind()
        except BaseException:
            link.close()
            raise
        return link

    def submit(self, **fields: Any) -> int:
        """Send one message, or part of one, and return the number that its answer will carry."""
        return self._ask("submit_sm", **fields)

    def enquire(self) -> None:
        """Ask whether the centre is still there."""
        self.is_asked = True
        self._ask("enquire_link")

    def answer(self, command: str, to: int, status: int = SMPP_ESME_ROK) -> None:
        """Answer one of the centre's requests."""
        unit = smpp.make_pdu(command, client=self._numbers, status=status)
        unit.sequence = to
        self._send(unit)

    def receive(self) -> Any:
        """Return the next unit as smpplib's object.

        Raises:
            LinkBroken: None came in time, or nonsense did.
        """
        head = self._exactly(4)
        (length,) = struct.unpack(">L", head)
        if not _SHORTEST <= length <= _LONGEST:
            raise LinkBroken
        raw = head + self._exactly(length - 4)
        self.heard_at, self.is_asked = time.monotonic(), False
        try:
            return smpp.parse_pdu(raw, client=self._numbers, allow_unknown_opt_params=True)
        except _NONSENSE as error:
            raise LinkBroken from error

    def has_news(self) -> bool:
        """Tell whether anything came, without waiting.

        Raises:
            LinkBroken: The end of the connection did.
        """
        self._socket.settimeout(0)
        try:
            self._more(_LONGEST)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            raise LinkBroken from error
        finally:
            self._socket.settimeout(self._settings.seconds)
        return bool(self._read)

    def close(self) -> None:
        """Say good-bye if possible, and close."""
        with contextlib.suppress(LinkBroken):
            self._ask("unbind")
        self._socket.close()

    def _bind(self) -> None:
        where = self._settings
        command = f"bind_{where.bind}"
        self._ask(
            command,
            system_id=where.system_id,
            password=where.password.get_secret_value(),
            system_type=where.system_type,
        )
        answer = self.receive()
        if answer.command != f"{command}_resp" or answer.is_error():
            raise BindRefused(int(answer.status or 0))

    def _ask(self, command: str, **fields: Any) -> int:
        unit = smpp.make_pdu(command, client=self._numbers, **fields)
        self._send(unit)
        return int(unit.sequence)

    def _send(self, unit: Any) -> None:
        try:
            self._socket.sendall(unit.generate())
        except (OSError, *_NONSENSE) as error:
            raise LinkBroken from error

    def _exactly(self, count: int) -> bytes:
        while len(self._read) < count:
            try:
                self._more(count - len(self._read))
            except OSError as error:
                raise LinkBroken from error
        taken = bytes(self._read[:count])
        del self._read[:count]
        return taken

    def _more(self, most: int) -> None:
        more = self._socket.recv(most)
        if not more:
            raise LinkBroken
        self._read += more


def _connected(settings: SmppSettings) -> socket.socket:
    try:
        plain = socket.create_connection((settings.host, settings.port), timeout=settings.seconds)
        if settings.tls == "none":
            return plain
        with contextlib.ExitStack() as stack:
            stack.callback(plain.close)
            context = ssl.create_default_context(cafile=settings.ca or None)
            secured = context.wrap_socket(plain, server_hostname=settings.host)
            stack.pop_all()
            return secured
    except OSError as error:
        raise LinkBroken from error
