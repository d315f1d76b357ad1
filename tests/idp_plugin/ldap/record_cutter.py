"""A TCP relay that counts the client's TLS records and loses what it is told to lose."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self


class RecordCutter:
    """Listens on `port` and relays to a loopback address; each connection counts its own records."""

    def __init__(self, target: int, host: str = "127.0.0.1") -> None:
        self._target = (host, target)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._counts: list[int] = []
        self._silent_after: int | None = None
        self._from = 0
        self._swallowed: int | None = None
        self._instead: Callable[[], object] = object
        self._open: list[socket.socket] = []
        self._readers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for each in self._open:
            each.close()

    @property
    def records(self) -> tuple[int, ...]:
        """How many records each connection has sent so far."""
        return tuple(self._counts)

    def count(self, work: Callable[[], object]) -> int:
        """Return how many records the client sent over the last connection that `work` made."""
        work()
        # The last record may still be on its way through here.
        self._readers[-1].join(10)
        return self._counts[-1]

    def drop_answer_to(self, record: int, after: int = 0) -> None:
        """Deliver this record of a connection, lose what comes back, and hang up; once.

        Args:
            record: Its number.
            after: So many connections are left alone before that one.
        """
        self._silent_after = record
        self._from = len(self._counts) + after

    def swallow(self, record: int, instead: Callable[[], object] = object) -> None:
        """Never deliver this record of the next connection, do something instead, and hang up; once."""
        self._swallowed = record
        self._instead = instead

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                connection = (len(self._counts), client, server)
                self._counts.append(0)
                self._readers.append(threading.Thread(target=self._upstream, args=connection, daemon=True))
                self._readers[-1].start()
                threading.Thread(target=_pour, args=(server, client), daemon=True).start()

    def _upstream(self, which: int, client: socket.socket, server: socket.socket) -> None:
        number = 0
        with contextlib.suppress(OSError):
            while record := _record(client):
                number += 1
                self._counts[which] = number
                if number == self._swallowed:
                    self._swallowed = None
                    self._instead()
                    client.shutdown(socket.SHUT_RDWR)
                    return
                if number == self._silent_after and which >= self._from:
                    self._silent_after = None
                    client.shutdown(socket.SHUT_RDWR)
                    server.sendall(record)
                    return
                server.sendall(record)
            server.shutdown(socket.SHUT_WR)


def _record(source: socket.socket) -> bytes:
    head = _exactly(source, 5)
    return head + _exactly(source, int.from_bytes(head[3:], "big")) if head else b""


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = source.recv(size - len(data))
        if not chunk:
            return b""
        data += chunk
    return data


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
