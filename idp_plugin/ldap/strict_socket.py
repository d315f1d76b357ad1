"""Sockets that verify whom they talk to and obey one deadline over a whole operation.

Nagle's algorithm is off (45 ms per bind instead of 3), and a time-out per read would let a server which
drips one byte a second hold a bind for ever.
"""

import socket
import ssl
import time
from pathlib import Path
from typing import Any


class Deadline:
    """A moment on the monotonic clock by which an operation has to be over."""

    def __init__(self, seconds: float) -> None:
        self.renew(seconds)

    def renew(self, seconds: float) -> None:
        """Start again."""
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, always more than zero.

        Raises:
            TimeoutError: None are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class PlainSocket(socket.socket):
    """A connected socket whose reads and writes end at the deadline; for the moment before StartTLS."""

    deadline: Deadline

    @classmethod
    def over(cls, connected: socket.socket, deadline: Deadline) -> "PlainSocket":
        """Take over a connected socket; the one given is unusable afterwards."""
        taken = cls(fileno=connected.detach())
        taken.deadline = deadline
        return taken

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read what is there."""
        self.settimeout(self.deadline.left())
        return super().recv(bufsize, flags)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Write everything."""
        self.settimeout(self.deadline.left())
        super().sendall(data, flags)


class TlsSocket(ssl.SSLSocket):
    """The same over TLS."""

    deadline: Deadline

    def recv(self, buflen: int = 4096, flags: int = 0) -> bytes:
        """Read what is there."""
        self.settimeout(self.deadline.left())
        return super().recv(buflen, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Write everything."""
        self.settimeout(self.deadline.left())
        super().sendall(data, flags)


def tls_context(ca: Path) -> ssl.SSLContext:
    """Return a context that trusts this authority file alone.

    OpenSSL checks the name, DNS or IP address, against the certificate.

    Raises:
        OSError: The file cannot be read, or holds no certificate (`ssl.SSLError`).
    """
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TlsSocket
    return context


def secure(raw: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline) -> TlsSocket:
    """Shake hands and return the verified socket; the raw one is closed when that fails.

    Raises:
        ssl.SSLCertVerificationError: Wrong authority or wrong name.
        OSError: Anything else on the way.
    """
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(deadline.left())
        wrapped = context.wrap_socket(raw, server_hostname=host)
    except OSError:
        raw.close()
        raise
    if not isinstance(wrapped, TlsSocket):
        raise TypeError(type(wrapped))
    wrapped.deadline = deadline
    return wrapped
