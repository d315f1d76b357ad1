"""One client's connection: bytes to requests, one turn at a time, nothing read after a refusal."""

import asyncio
import socket
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools
import structlog

from gateway.plane.request_head import Peer, Refused
from gateway.plane.turn import RefusedTurn, Turn

if TYPE_CHECKING:
    from gateway.plane.listener import Listener

PIPELINED_REQUESTS = 8
"""So many may wait behind each other; then the connection ends with the last of them."""
LINGER_SECONDS = 2.0
"""How long a refused client may go on sending before the connection is torn, so that it can read why."""

log = structlog.get_logger("sparekey.plane")


class Connection(asyncio.Protocol):
    """The protocol of one accepted connection; the methods `on_…` are called by llhttp."""

    __slots__ = (
        "_fields",
        "_head_began",
        "_head_bytes",
        "_in_head",
        "_linger_until",
        "_parser",
        "_read_bytes",
        "_reading",
        "_receiving",
        "_stalled_since",
        "_target",
        "_transport",
        "deaf",
        "ended",
        "heard",
        "listener",
        "peer",
        "turns",
        "write",
        "write_all",
    )

    def __init__(self, listener: "Listener") -> None:
        self.listener = listener
        self.turns: deque[Turn] = deque()
        self.deaf = False
        """What still comes is not read any more."""
        self.ended = False
        """The client has closed its side."""
        self.heard = time.monotonic()
        self._in_head = False
        self._reading = True
        self._head_bytes = self._read_bytes = 0
        self._head_began = self._linger_until = self._stalled_since = 0.0
        self._receiving: Turn | None = None
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []

    # The transport calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Meet a client."""
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write
        self.write_all = self._transport.writelines
        # Who comes over a Unix socket has no address.
        address = str((transport.get_extra_info("peername") or [""])[0])
        self.peer = Peer(address, self.listener.rules.proxies.trusts(address))
        self._parser = httptools.HttpRequestParser(self)
        self.listener.opened(self)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; refuse what it refuses."""
        self.heard = time.monotonic()
        if self.deaf:
            return
        self._read_bytes = len(data)
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            log.error("plane_fault", exc_info=error.__context__)  # noqa: TRY400 - the cause is inside
            self._refuse_unless_deaf(Refused(500, "fault"))
        except httptools.HttpParserUpgrade:
            # Security: bytes after a request to switch protocols are never read.
            self._refuse_unless_deaf(Refused(501, "upgrade"))
        except httptools.HttpParserError:
            self._refuse_unless_deaf(Refused(400, "malformed"))
        else:
            if self._in_head and self._head_bytes > self.listener.limits.head_bytes:
                self.refuse(Refused(431, "head_bytes"))
        if self._receiving is not None:
            self._receiving.pass_on()
            self.reconsider_reading()
        elif len(self.turns) > 1:
            self.reconsider_reading()

    def eof_received(self) -> bool:
        """Refuse a cut request; let a complete one be answered on the half-open connection."""
        self.ended = True
        if self._receiving is not None:
            self.refuse(Refused(400, "cut"))
        return bool(self.turns) and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still works for this client."""
        del exc
        self.deaf = True
        self.listener.closed(self)
        turns, self.turns = self.turns, deque()
        for turn in turns:
            turn.leave()

    def pause_writing(self) -> None:
        """The client does not read: stop what feeds it."""
        self._stalled_since = time.monotonic()
        if self.turns:
            self.turns[0].reader_stalled()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._stalled_since = 0.0
        if self.turns and self.turns[0].began:
            self.turns[0].reader_ready()
        else:
            self._begin_front()

    # llhttp calls these.

    def on_message_begin(self) -> None:
        """Start a request, unless too many wait already."""
        if self.deaf:
            return
        if len(self.turns) >= PIPELINED_REQUESTS:
            self.deaf = self.turns[-1].closes = True
            return
        self._in_head = True
        self._head_began = self.heard
        self._head_bytes = 0
        self._target = b""
        self._fields = []

    def on_url(self, piece: bytes) -> None:
        """Collect the target."""
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a field. Security: fields after a chunked body are dropped, never merged."""
        if self._in_head:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Understand the head and give the request its turn, or refuse it."""
        if self.deaf:
            return
        self._in_head = False
        parser = self._parser
        limits = self.listener.limits
        try:
            if (
                len(self._fields) > limits.header_fields
                or self._head_bytes + self._read_bytes > limits.head_bytes
            ):
                self._check_size()
            head = self.listener.read_head(
                parser.get_method(),
                self._target,
                parser.get_http_version(),
                self._fields,
                rules=self.listener.rules,
                peer=self.peer,
            )
            turn = self.listener.turn_for(self, head)
        except Refused as refused:
            self.refuse(refused)
            return
        self._receiving = turn
        self.turns.append(turn)
        self._begin_front()

    def on_body(self, data: bytes) -> None:
        """Hand a piece of the body on."""
        if not self.deaf and self._receiving is not None:
            self._receiving.take(data)

    def on_message_complete(self) -> None:
        """The request is here in full."""
        turn = self._receiving
        if self.deaf or turn is None:
            return
        self._receiving = None
        # Security: nothing after a request that ends the connection is read.
        self.deaf = turn.closes
        turn.take_end()

    # Turns and the listener call these.

    @property
    def is_stalled(self) -> bool:
        """Whether the client does not read."""
        return self._stalled_since > 0

    def finished(self, turn: Turn, *, refused: bool = False) -> None:
        """The front turn is over: go on with the next, or end."""
        if not self.turns or self.turns[0] is not turn:
            return
        self.turns.popleft()
        if turn.closes or not turn.received:
            self.hang_up(listen=refused or not turn.received or self._transport.can_write_eof())
        elif self.turns:
            self._begin_front()
        elif self.deaf or self.ended or self.listener.stopping:
            self.hang_up()
        elif not self._reading:
            self.reconsider_reading()

    def refuse(self, refused: Refused) -> None:
        """Refuse the request that is being read; the connection ends with its answer."""
        turn = self._receiving
        self.deaf = True
        self._in_head = False
        self._receiving = None
        if turn is None:
            self.turns.append(RefusedTurn(self, refused, self._target.partition(b"?")[0] or b"-"))
        elif turn.began:
            turn.refuse(refused)
        elif turn in self.turns:
            self.turns[self.turns.index(turn)] = RefusedTurn(self, refused, turn.path)
        self._begin_front()

    def _refuse_unless_deaf(self, refused: Refused) -> None:
        """Refuse what the parser could not read, unless it comes after the last request anyway."""
        if not self.deaf:
            self.refuse(refused)

    def reconsider_reading(self) -> None:
        """Read, or let the client's bytes wait: they wait while anybody after us cannot take them."""
        wanted = self.deaf or not (
            len(self.turns) > 1 or (self._receiving is not None and self._receiving.holds_back)
        )
        if wanted is not self._reading and not self._transport.is_closing():
            self._reading = wanted
            if wanted:
                self.heard = time.monotonic()
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def hang_up(self, *, listen: bool = False) -> None:
        """End the connection after what is written.

        Args:
            listen: Take and forget what the client still sends for a while, so that it reads the answer
                instead of meeting a torn connection.
        """
        self.deaf = True
        now = time.monotonic()
        if listen and not self.ended and not self.listener.stopping:
            self._linger_until = now + LINGER_SECONDS
            self.reconsider_reading()
            if self._transport.can_write_eof():
                self._transport.write_eof()
        else:
            self._linger_until = now + self.listener.timeouts.body
            self._transport.close()

    def abort(self) -> None:
        """Tear the connection, so that the client cannot take a cut answer for a whole one."""
        self.deaf = True
        if accepted := self._transport.get_extra_info("socket"):
            # An orderly end would complete an answer that lasts until the connection closes.
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def check(self, now: float) -> None:
        """End what has waited too long for the client, or for somebody else; the clock calls it."""
        if self._stalled_since or self._linger_until:
            self._check_reader(now)
        elif self._in_head or not self.turns:
            self._check_idle(now)
        elif not self.turns[0].received and self._reading and now - self.heard > self.listener.timeouts.body:
            self.refuse(Refused(408, "body_time"))
        elif refused := self.turns[0].overdue(now):
            self.turns[0].refuse(refused)

    def _check_reader(self, now: float) -> None:
        if self._stalled_since and now - self._stalled_since > self.listener.timeouts.body:
            self._transport.abort()
        elif self._linger_until and now > self._linger_until:
            self._end_listening()

    def _check_idle(self, now: float) -> None:
        timeouts = self.listener.timeouts
        if self._in_head:
            if now - self._head_began > timeouts.head:
                self.refuse(Refused(408, "head_time"))
        elif now - self.heard > timeouts.idle or self.listener.stopping:
            self.hang_up()

    def _begin_front(self) -> None:
        if self.turns and not self.turns[0].began and not self._stalled_since:
            self.turns[0].begin()

    def _end_listening(self) -> None:
        if self._transport.is_closing():
            self._transport.abort()
        else:
            self.hang_up()

    def _check_size(self) -> None:
        limits = self.listener.limits
        if len(self._fields) > limits.header_fields:
            raise Refused(431, "header_fields")
        size = len(self._target) + sum(len(name) + len(value) + 4 for name, value in self._fields)
        if size > limits.head_bytes:
            raise Refused(431, "head_bytes")
