"""Forward one request to the identity provider, and its answer back: streamed, or whole when asked."""

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from gateway.plane import eager
from gateway.plane.content_encoding import decoded
from gateway.plane.observe import LINK_PAGES, UPSTREAM_FAILURES
from gateway.plane.origin import Origin
from gateway.plane.refusal_page import CLOCK, reason
from gateway.plane.request_head import IDEMPOTENT, Refused, RequestHead
from gateway.plane.response_head import NO_BODY, ResponseHead, treatments
from gateway.plane.rewriting import Field, Treatment, lines
from gateway.plane.turn import Turn
from gateway.plane.upstream import Upstream, UpstreamConnection
from gateway.plane.verdict import Asked, Interceptor, Pass, Replace, Verdict
from gateway.settings import LimitsSettings, TimeoutSettings
from idp_plugin.base import Exchange

if TYPE_CHECKING:
    from gateway.plane.connection import Connection

KEPT_BODY_BYTES = 65_536
WAITING_BYTES = 131_072
"""So much of a body is taken while the connection to the identity provider opens."""

log = structlog.get_logger("sparekey.plane")


class Proxy:
    """What all forwarded requests share."""

    def __init__(
        self,
        upstream: Upstream,
        interceptor: Interceptor,
        *,
        origin: Origin,
        limits: LimitsSettings,
        timeouts: TimeoutSettings,
    ) -> None:
        self.upstream = upstream
        self.interceptor = interceptor
        self.limits = limits
        self.timeouts = timeouts
        self.host_line = b" HTTP/1.1\r\nHost: %b" % origin.host
        self.forwarded_lines = origin.forwarded_lines
        self.examining: set[asyncio.Task[None]] = set()

    def turn(self, connection: "Connection", head: RequestHead) -> "ProxyTurn":
        """Return the turn of a request to the identity provider.

        Raises:
            Refused: 413.
        """
        if head.length is not None and head.length > self.limits.proxied_body_bytes:
            raise Refused(413, "body_bytes")
        return ProxyTurn(connection, head, self)


class ProxyTurn(Turn):
    """One forwarded request; it is the upstream's `Requester`."""

    side = "idp"

    __slots__ = (
        "_body_bytes",
        "_chunked",
        "_flushed",
        "_full",
        "_kept_body",
        "_out",
        "_page",
        "_page_bytes",
        "_pieces",
        "_proxy",
        "_response",
        "_upstream",
        "_waiting",
        "asked",
        "head",
        "is_head",
        "may_repeat",
        "wire_head",
    )

    def __init__(self, connection: "Connection", head: RequestHead, proxy: Proxy) -> None:
        super().__init__(connection, head)
        self._proxy = proxy
        self.head = head
        interceptor = proxy.interceptor
        self.asked = Asked(head.method, head.target, head.fields, head.client)
        self.wire_head = _wire_head(head, proxy, identity=interceptor.wants_identity(self.asked))
        self.is_head = head.method == b"HEAD"
        self.may_repeat = self.received and head.method in IDEMPOTENT
        self._upstream: UpstreamConnection | None = None
        self._pieces: list[bytes] = []
        """What one read brought of the request body."""
        self._waiting = b""
        """Body bytes that came before the connection to the identity provider."""
        self._body_bytes = 0
        self._full = False
        """The identity provider does not take more now."""
        self._kept_body: bytearray | None = None
        if not self.received and interceptor.keeps_request_body(self.asked):
            self._kept_body = bytearray()
        self._response: ResponseHead
        self._out: list[bytes] = []
        """What one read brought of the answer."""
        self._flushed = False
        self._chunked = False
        self._page: list[bytes] | None = None
        """The answer's body, while it is read whole."""
        self._page_bytes = 0

    # The request, from the client to the identity provider.

    def begin(self) -> None:
        """Send the head on its way."""
        self.began = True
        self.progress = time.monotonic()
        self._proxy.upstream.send(self)
        if self.head.expects_continue and not self._body_bytes:
            self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def take(self, data: bytes) -> None:
        """Collect a piece of the body."""
        self._body_bytes += len(data)
        self._pieces.append(data)
        if self._body_bytes > self._proxy.limits.proxied_body_bytes:
            self.connection.refuse(Refused(413, "body_bytes"))

    def pass_on(self) -> None:
        """Send what one read brought of the body, as one piece: a client may chop it very small."""
        if not self._pieces:
            return
        data = b"".join(self._pieces)
        self._pieces.clear()
        if self._kept_body is not None:
            self._kept_body += data
            if len(self._kept_body) > KEPT_BODY_BYTES:
                self._kept_body = None
        self._send_body(b"%x\r\n%b\r\n" % (len(data), data) if self.head.chunked else data)

    def take_end(self) -> None:
        """The body is complete."""
        if self.received:
            return
        self.pass_on()
        self.received = True
        self.progress = time.monotonic()
        if self.head.chunked:
            self._send_body(b"0\r\n\r\n")

    def _send_body(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.write(data)
        else:
            self._waiting += data

    @property
    def holds_back(self) -> bool:
        """Whether the identity provider does not take more now."""
        return self._full or len(self._waiting) > WAITING_BYTES

    def connected(self, connection: UpstreamConnection) -> None:
        """Send what has waited."""
        self._upstream = connection
        if self._waiting:
            connection.write(self._waiting)
            self._waiting = b""
            self.connection.reconsider_reading()

    def upstream_full(self, *, full: bool) -> None:
        """Stop or start reading the client."""
        self._full = full
        self.progress = time.monotonic()
        self.connection.reconsider_reading()

    # The answer, from the identity provider to the client.

    def response_head(self, head: ResponseHead) -> None:
        """Choose between streaming and reading the whole answer."""
        self._response = head
        self.status = head.status
        if self._proxy.interceptor.needs_body(self.asked, head.status, tuple(head.fields)):
            self._page = []
        else:
            self._send_head(head)
        if self.connection.is_stalled:
            self.reader_stalled()

    def _send_head(self, head: ResponseHead) -> None:
        framing = b""
        if head.length is not None:
            framing = b"\r\nContent-Length: %b" % head.length
        elif self.head.is_http_1_0:
            self.closes = True
        elif not head.no_body:
            framing = b"\r\nTransfer-Encoding: chunked"
            self._chunked = True
        self._write_head(head.status_line, head.fields, framing)

    def _write_head(
        self, status_line: bytes, fields: Iterable[Field], framing: bytes, body: bytes = b""
    ) -> None:
        self.answering = True
        if self.closes or not self.received or self.connection.listener.stopping:
            self.closes = True
            framing += b"\r\nConnection: close"
        self._out.append(b"".join((status_line, lines(fields), framing, b"\r\n\r\n", body)))

    def response_body(self, data: bytes) -> None:
        """Pass a piece on, or add it to the page."""
        if self._page is not None:
            self._page.append(data)
            self._page_bytes += len(data)
            if self._page_bytes > self._proxy.limits.page_bytes:
                # Security: a page too large to be read is not passed unread: it may be a sign-in (S8, S10).
                LINK_PAGES.labels("too_big").inc()
                self.refuse(Refused(502, "page_bytes"))
            return
        self.sent += len(data)
        self._out.append(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def flush(self) -> None:
        """Send what one read brought, at once: a write costs more than the rest of the request."""
        if self._out:
            self._flushed = True
            self.connection.write_all(self._out)
            self._out = []

    def response_end(self) -> None:
        """End the answer, or have the page examined."""
        self._upstream = None
        if self._page is None:
            if self._chunked:
                self._out.append(b"0\r\n\r\n")
            self._done()
            return
        task = eager.start(self._examine(b"".join(self._page)))
        if task is not None:
            self._proxy.examining.add(task)
            task.add_done_callback(self._proxy.examining.discard)

    def failed(self, refused: Refused) -> None:
        """Answer 502 or 504, or cut an answer that has begun."""
        self._upstream = None
        if self.answering and not self._flushed:
            self.answering = False
            self._out = []
        if not self.over:
            UPSTREAM_FAILURES.labels(refused.why).inc()
            self.refuse(refused)

    def reader_stalled(self) -> None:
        """Stop reading the identity provider's answer."""
        if self._upstream is not None:
            self._upstream.pause()

    def reader_ready(self) -> None:
        """Read the identity provider's answer again."""
        self.progress = time.monotonic()
        if self._upstream is not None:
            self._upstream.resume()

    def overdue(self, now: float) -> Refused | None:
        """Tell whether the identity provider, or our own examination, has been silent for too long."""
        waits_for_client = not self.received and not self.holds_back
        if waits_for_client or now - self.progress <= self._proxy.timeouts.upstream:
            return None
        UPSTREAM_FAILURES.labels("answer_time").inc()
        return Refused(504, "answer_time")

    def drop(self) -> None:
        """Close the connection to the identity provider: what it carries is not complete (S13)."""
        self._pieces = []
        self._waiting = b""
        self._page = None
        if self._upstream is not None:
            self._upstream.abandon()
            self._upstream = None

    # The verdict on a complete answer.

    async def _examine(self, body: bytes) -> None:
        """Ask the interceptor. It runs to its end even when the client leaves: it may have kept a hold."""
        plain = decoded(body, self._response.coding, self._proxy.limits.page_bytes)
        if plain is None:
            self.refuse(Refused(502, "content_encoding"))
            return
        try:
            verdict = await self._proxy.interceptor.examine(self.asked, self._exchange(plain))
        except Exception:
            # Security: a fault of ours never lets an unexamined answer out (S10).
            log.exception("examine_fault")
            self.refuse(Refused(500, "fault"))
            return
        if not self.over:
            self._apply(verdict, body)
            self._done()

    def _exchange(self, plain: bytes) -> Exchange:
        response = self._response
        fields = self._fields_but(Treatment.CONTENT_ENCODING) if response.coding else response.fields
        return Exchange(
            method=self.asked.method,
            target=self.asked.target,
            request_headers=self.asked.headers,
            # Security: a part of a form is no form; the provider may have read the rest.
            request_body=bytes(self._kept_body or b"") if self.received else b"",
            status=self.status,
            response_headers=tuple(fields),
            response_body=plain,
        )

    def _apply(self, verdict: Verdict, body: bytes) -> None:
        response = self._response
        match verdict:
            case Pass(add_headers=added, body=None):
                length = response.length if response.no_body else b"%d" % len(body)
                self._answer(response.status_line, (*response.fields, *added), length, body)
            case Pass(add_headers=added, body=bytes() as changed):
                kept = self._fields_but(Treatment.CONTENT_ENCODING, Treatment.VALIDATOR)
                self._answer(response.status_line, (*kept, *added), b"%d" % len(changed), changed)
            case Replace():
                self._replace(verdict)

    def _replace(self, verdict: Replace) -> None:
        self.status = verdict.status
        status_line = f"HTTP/1.1 {verdict.status} {reason(verdict.status)}".encode()
        fields = [*verdict.headers, *(self._set_cookies() if verdict.keep_cookies else ())]
        length = None if verdict.status in NO_BODY else b"%d" % len(verdict.body)
        self._answer(status_line + CLOCK.date_line(), fields, length, verdict.body)

    def _answer(self, status_line: bytes, fields: Iterable[Field], length: bytes | None, body: bytes) -> None:
        if self.is_head or self.status in NO_BODY:
            body = b""
        framing = b"\r\nContent-Length: %b" % length if length is not None else b""
        self.sent = len(body)
        self._write_head(status_line, fields, framing, body)

    def _fields_but(self, *left_out: Treatment) -> list[Field]:
        return [field for field in self._response.fields if treatments.of(field[0]) not in left_out]

    def _set_cookies(self) -> list[Field]:
        return [field for field in self._response.fields if treatments.of(field[0]) is Treatment.SET_COOKIE]

    def _done(self) -> None:
        self.flush()
        self.finish()
        self.connection.finished(self)


def _wire_head(head: RequestHead, proxy: Proxy, *, identity: bool) -> bytes:
    """Return the request head for the identity provider, in exact bytes.

    Security: the forwarding fields come last and are ours alone (S13).
    """
    encoding = b"identity" if identity else head.accept_encoding
    if head.chunked:
        framing = b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    elif head.length is not None:
        framing = b"\r\nContent-Length: %d\r\n\r\n" % head.length
    else:
        framing = b"\r\n\r\n"
    return b"".join(
        (
            head.method,
            b" ",
            head.target,
            proxy.host_line,
            lines(head.passed),
            b"\r\nAccept-Encoding: %b" % encoding if encoding else b"",
            b"\r\nX-Forwarded-For: ",
            head.client.encode(),
            proxy.forwarded_lines,
            framing,
        )
    )
