"""The other side: a pool of connections to the identity provider, one request on each at a time."""

import asyncio
import ssl
import time
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools
import structlog

from gateway.plane.observe import UPSTREAM_RETRIES
from gateway.plane.request_head import Refused
from gateway.plane.response_head import MisbehavedError, ResponseHead, read_response_head

HEAD_BYTES = 65_536
IDLE_CONNECTIONS = 512
IDLE_SECONDS = 30.0
FRESH_SECONDS = 1.0
"""A request that may not be sent twice only goes on a connection that was used this short ago: an older
one may just be closing."""


log = structlog.get_logger("sparekey.plane")


class Requester(Protocol):
    """What a connection to the identity provider knows of the request that it carries."""

    wire_head: bytes
    """The request head, as it goes out."""
    is_head: bool
    may_repeat: bool
    """No body, and sending it twice does no harm."""
    received: bool
    """The whole request body was handed over."""
    over: bool
    progress: float
    """Monotonic time at which the identity provider last did something for this request."""

    def connected(self, connection: "UpstreamConnection") -> None:
        """The head is on its way: send the body by `connection.write`."""

    def response_head(self, head: ResponseHead) -> None:
        """The answer's head is here."""

    def response_body(self, data: bytes) -> None:
        """A piece of the answer's body."""

    def response_end(self) -> None:
        """The answer is complete. The connection is no longer this request's."""

    def failed(self, refused: Refused) -> None:
        """There is no answer, or no end of one. The connection is no longer this request's."""

    def flush(self) -> None:
        """No more of the answer is here for now: send what there is."""

    def upstream_full(self, *, full: bool) -> None:
        """The identity provider does not take the body as fast as it comes, or does again."""


class UpstreamConnection(asyncio.Protocol):
    """The protocol of one connection to the identity provider; the methods `on_…` are called by llhttp."""

    __slots__ = (
        "_answered",
        "_ended",
        "_fields",
        "_head_bytes",
        "_in_body",
        "_interim",
        "_keeps",
        "_no_body",
        "_parser",
        "_paused",
        "_pool",
        "_reason",
        "_requester",
        "_reused",
        "_spoilt",
        "_transport",
        "_until_close",
        "idle_since",
    )

    def __init__(self, pool: "Upstream") -> None:
        self._pool = pool
        self._requester: Requester | None = None
        self._reused = False
        self._paused = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)

    def carry(self, requester: Requester) -> None:
        """Send a request head; the answer goes to the requester."""
        self._requester = requester
        self._fields: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._head_bytes = 0
        self._answered = self._ended = self._interim = False
        self._until_close = self._no_body = self._spoilt = self._keeps = self._in_body = False
        # Security: a parser of its own for every answer: nothing of one leaks into the next.
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(requester.wire_head)
        requester.connected(self)

    def write(self, data: bytes) -> None:
        """Send a piece of the request body."""
        self._transport.write(data)

    def pause(self) -> None:
        """Do not read on: the client is slow."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def abandon(self) -> None:
        """Close the connection: its request or answer is not complete (S13)."""
        self._requester = None
        self._transport.abort()

    @property
    def is_usable(self) -> bool:
        """Whether it is open, as far as we know."""
        return not self._transport.is_closing()

    # The transport calls these.

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bytes that nobody asked for end the connection."""
        requester = self._requester
        if requester is None:
            self._pool.forget(self)
            self._transport.abort()
            return
        self._answered = True
        requester.progress = time.monotonic()
        if not self._in_body:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if isinstance(error, httptools.HttpParserCallbackError):
                _log_fault(error.__context__)
            if not self._ended:
                self._fail(requester)
                return
            self._spoilt = True
        if not self._in_body and self._head_bytes > HEAD_BYTES:
            self._fail(requester)
            return
        if self._requester is None:
            return
        if self._ended:
            self._release(requester)
        else:
            requester.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer without length is complete now; any other is cut."""
        requester, self._requester = self._requester, None
        if requester is None:
            self._pool.forget(self)
        elif self._until_close and exc is None:
            requester.response_end()
        elif self._reused and not self._answered and requester.may_repeat:
            UPSTREAM_RETRIES.inc()
            self._pool.connect(requester)
        else:
            requester.failed(Refused(502, "cut"))

    def pause_writing(self) -> None:
        """The identity provider does not read."""
        if self._requester is not None:
            self._requester.upstream_full(full=True)

    def resume_writing(self) -> None:
        """The identity provider reads again."""
        if self._requester is not None:
            self._requester.upstream_full(full=False)

    # llhttp calls these.

    def on_message_begin(self) -> None:
        """A second answer to one request spoils the connection."""
        if self._ended:
            self._spoilt = True

    def on_status(self, piece: bytes) -> None:
        """Collect the reason phrase."""
        self._reason += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a field; fields after a chunked body are dropped."""
        if not self._in_body:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Skip interim answers; hand a real one on."""
        requester = self._requester
        if self._spoilt or requester is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._skip_interim(status)
            return
        self._interim = False
        self._in_body = True
        head = read_response_head(status, self._reason, self._fields, to_head=requester.is_head)
        self._no_body = head.no_body
        self._until_close = head.until_close
        if head.no_body:
            self._end()
        requester.response_head(head)

    def on_body(self, data: bytes) -> None:
        """Hand a piece on; body bytes where none may be spoil the connection."""
        if self._spoilt or self._no_body:
            self._spoilt = True
        elif self._requester is not None:
            self._requester.response_body(data)

    def on_message_complete(self) -> None:
        """The answer is complete, or an interim one is."""
        if self._interim:
            self._interim = False
        elif not self._ended:
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._keeps = self._parser.should_keep_alive()

    def _skip_interim(self, status: int) -> None:
        if status == 101:
            raise MisbehavedError
        self._interim = True
        self._fields = []
        self._reason = b""

    def _fail(self, requester: Requester) -> None:
        self.abandon()
        requester.failed(Refused(502, "malformed"))

    def _release(self, requester: Requester) -> None:
        """Give the connection back before the answer's end is told, unless anything is odd."""
        self._requester = None
        # Security: an early answer leaves half a request on the wire (S13).
        if self._keeps and not self._spoilt and requester.received:
            self._reused = True
            self.resume()
            self._pool.keep(self, requester.progress)
        else:
            self._transport.abort()
        requester.response_end()


class Upstream:
    """The identity provider's address, and the open connections to it.

    Args:
        address: `http://host:port` or `https://host:port`.
        tls_ca: Authorities for `https`; the system's when None.
        connect_seconds: How long a connection may take to open.
    """

    def __init__(self, address: str, *, tls_ca: Path | None, connect_seconds: float) -> None:
        parts = urlsplit(address)
        self._host = parts.hostname or ""
        self._tls = _tls_context(tls_ca) if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._connect_seconds = connect_seconds
        self._idle: list[UpstreamConnection] = []
        self._opening: set[asyncio.Task[None]] = set()

    def send(self, requester: Requester) -> None:
        """Send a request on an open connection, or open one."""
        oldest = requester.progress - (IDLE_SECONDS if requester.may_repeat else FRESH_SECONDS)
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since < oldest:
                self._idle.append(connection)
                break
            if connection.is_usable:
                connection.carry(requester)
                return
        self.connect(requester)

    def connect(self, requester: Requester) -> None:
        """Send a request on a new connection."""
        task = asyncio.get_running_loop().create_task(self._open(requester))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def keep(self, connection: UpstreamConnection, now: float) -> None:
        """Keep a connection whose answer is complete."""
        connection.idle_since = now
        self._idle.append(connection)
        if len(self._idle) > IDLE_CONNECTIONS:
            self._idle.pop(0).abandon()

    def forget(self, connection: UpstreamConnection) -> None:
        """A kept connection was closed by the other side."""
        if connection in self._idle:
            self._idle.remove(connection)

    def close_idle(self, now: float) -> None:
        """Close connections that nobody used for a while."""
        while self._idle and now - self._idle[0].idle_since > IDLE_SECONDS:
            self._idle.pop(0).abandon()

    async def close(self) -> None:
        """Close every kept connection and give up those being opened."""
        for task in tuple(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        while self._idle:
            self._idle.pop().abandon()

    async def _open(self, requester: Requester) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self),
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except TimeoutError:
            requester.failed(Refused(504, "connect_time"))
            return
        except OSError:
            requester.failed(Refused(502, "unreachable"))
            return
        if requester.over:
            connection.abandon()
        else:
            connection.carry(requester)


def _tls_context(tls_ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(tls_ca) if tls_ca else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _log_fault(error: BaseException | None) -> None:
    if not isinstance(error, MisbehavedError):
        log.error("plane_fault", exc_info=error)
