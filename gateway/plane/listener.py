"""What all connections of one listening address share."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable

from gateway.plane.connection import Connection
from gateway.plane.observe import CONNECTIONS, REFUSALS, Observer
from gateway.plane.request_head import RequestHead, Rules, read_head
from gateway.plane.turn import Turn
from gateway.settings import LimitsSettings, TimeoutSettings

BACKLOG = 2048


class Listener:
    """One listening address.

    Args:
        listen: `host:port`; port 0 takes a free one.
        turn_for: Decides who answers a request.
        read_head: Understands a request's head, or refuses it.
        each_tick: Called with the monotonic time, about once a second.
        bound: A socket to listen on instead of `listen`, bound already.
    """

    def __init__(
        self,
        listen: str,
        *,
        rules: Rules,
        limits: LimitsSettings,
        timeouts: TimeoutSettings,
        observer: Observer,
        turn_for: Callable[[Connection, RequestHead], Turn],
        tls: ssl.SSLContext | None = None,
        each_tick: Callable[[float], None] | None = None,
        read_head: Callable[..., RequestHead] = read_head,
        bound: socket.socket | None = None,
    ) -> None:
        self.rules = rules
        self.limits = limits
        self.timeouts = timeouts
        self.observer = observer
        self.turn_for = turn_for
        self.read_head = read_head
        self.stopping = False
        self.port = 0
        self._listen = listen
        self._tls = tls
        self._each_tick = each_tick
        self._bound = bound
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._tick = min(1.0, max(0.02, _shortest(timeouts) / 4))

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address is taken or not ours.
        """
        if self._bound is not None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(lambda: Connection(self), sock=self._bound)
        else:
            self._server = await self._listen_at_address()
            self.port = self._server.sockets[0].getsockname()[1]
        self._check()

    async def _listen_at_address(self) -> asyncio.Server:
        host, _, port = self._listen.rpartition(":")
        return await asyncio.get_running_loop().create_server(
            lambda: Connection(self),
            host.strip("[]"),
            int(port),
            backlog=BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=self.timeouts.head if self._tls else None,
        )

    async def stop(self) -> None:
        """Take no more connections, let requests in flight end, then tear what is left."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        self._check()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._until_empty(), self.timeouts.stop)
        for connection in tuple(self._connections):
            connection.abort()
        await self._until_empty()
        if self._clock is not None:
            self._clock.cancel()
        self.observer.flush()

    def opened(self, connection: Connection) -> None:
        """A client has connected; one too many is torn at once."""
        if len(self._connections) >= self.limits.connections:
            REFUSALS.labels("connections").inc()
            connection.abort()
            return
        self._connections.add(connection)
        CONNECTIONS.inc()

    def closed(self, connection: Connection) -> None:
        """A client's connection is gone."""
        if connection in self._connections:
            self._connections.discard(connection)
            CONNECTIONS.dec()
            self._empty.set()

    async def _until_empty(self) -> None:
        while self._connections:
            self._empty.clear()
            await self._empty.wait()

    def _check(self) -> None:
        """Look after every connection; this is the plane's only timer."""
        now = time.monotonic()
        for connection in tuple(self._connections):
            connection.check(now)
        if self._each_tick is not None:
            self._each_tick(now)
        self.observer.flush_if_due(now)
        if self._clock is not None:
            self._clock.cancel()
        self._clock = asyncio.get_running_loop().call_later(self._tick, self._check)


def _shortest(timeouts: TimeoutSettings) -> float:
    return min(timeouts.head, timeouts.body, timeouts.idle, timeouts.upstream)
