"""Our own pages: a WSGI application in a thread pool. No thread waits for a body or for a slow reader."""

import asyncio
import io
import re
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import structlog

from gateway.plane.observe import new_reference
from gateway.plane.origin import Origin
from gateway.plane.refusal_page import CLOCK
from gateway.plane.request_head import Refused, RequestHead
from gateway.plane.turn import Turn

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from gateway.plane.connection import Connection

WAITING_PER_THREAD = 64
"""More requests than this wait for nobody: they are told that the service is busy."""
SPLITS = re.compile(r"[\r\n\0]")
FRAMING = {"connection", "content-length", "date", "transfer-encoding"}

log = structlog.get_logger("sparekey.plane")


@dataclass(slots=True)
class Answer:
    """What the application answered."""

    status: int
    head: bytes
    """Status line and fields, without framing."""
    body: bytes
    stated_length: bytes | None
    """The application's own Content-Length; of use to HEAD."""


class Bridge:
    """One WSGI application and its threads.

    Args:
        body_bytes: Largest request body.
        body_seconds: How long the whole body may take.
        seconds: How long the application may take.
    """

    def __init__(
        self,
        application: "WSGIApplication",
        *,
        threads: int,
        origin: Origin,
        body_bytes: int,
        body_seconds: float,
        seconds: float,
    ) -> None:
        self._application = application
        self._origin = origin
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="pages")
        self._most = threads * WAITING_PER_THREAD
        self.waiting = 0
        self.body_bytes = body_bytes
        self.body_seconds = body_seconds
        self.seconds = seconds

    def turn(self, connection: "Connection", head: RequestHead) -> "LocalTurn":
        """Return the turn of a request to our own pages.

        Raises:
            Refused: 413.
        """
        if head.length is not None and head.length > self.body_bytes:
            raise Refused(413, "body_bytes")
        return LocalTurn(connection, head, self)

    def run(self, turn: "LocalTurn", head: RequestHead, body: bytes) -> None:
        """Call the application in a thread, then the turn on the event loop."""
        if self.waiting >= self._most:
            turn.refuse(Refused(503, "busy"))
            return
        self.waiting += 1
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(self._threads, self._call, head, body, turn.reference)
        call.add_done_callback(lambda done: self._called(turn, done))

    def close(self) -> None:
        """End the threads; a page still being made is given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _called(self, turn: "LocalTurn", done: "asyncio.Future[Answer]") -> None:
        self.waiting -= 1
        error = done.exception()
        if error is not None:
            log.error("page_fault", reference=turn.reference, exc_info=error)
            turn.refuse(Refused(500, "fault"))
        elif not turn.over:
            turn.answer(done.result())

    def _call(self, head: RequestHead, body: bytes, reference: str) -> Answer:
        began: list[tuple[str, list[tuple[str, str]]]] = []
        written: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            del exc_info
            began[:] = [(status, headers)]
            return written.append

        pieces: Iterable[bytes] = self._application(self._environ(head, body, reference), start_response)
        try:
            written.extend(pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        return _answer(*began[0], b"".join(written))

    def _environ(self, head: RequestHead, body: bytes, reference: str) -> dict[str, Any]:
        """Return the environment of one request. Source: PEP 3333."""
        path, _, query = head.target.partition(b"?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": head.method.decode(),
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "REQUEST_URI": head.target.decode("latin-1"),
            "SERVER_NAME": self._origin.name,
            "SERVER_PORT": str(self._origin.port),
            "SERVER_PROTOCOL": "HTTP/1.0" if head.is_http_1_0 else "HTTP/1.1",
            "REMOTE_ADDR": head.client,
            "HTTP_HOST": (self._origin.host or head.host).decode("latin-1"),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": self._origin.scheme,
            "wsgi.input": io.BytesIO(body),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "sparekey.reference": reference,
        }
        if head.chunked or head.length is not None:
            environ["CONTENT_LENGTH"] = str(len(body))
        for name, value in head.fields:
            _add_field(environ, name.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1"))
        return environ


def _add_field(environ: dict[str, Any], name: str, value: str) -> None:
    if name == "CONTENT_TYPE":
        environ[name] = value
        return
    key = "HTTP_" + name
    if key in environ:
        value = environ[key] + ("; " if name == "COOKIE" else ",") + value
    environ[key] = value


def _answer(status: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
    """Check the application's head.

    Raises:
        ValueError: A field would split the answer.
    """
    lines = [f"HTTP/1.1 {status}"]
    stated_length = None
    for name, value in headers:
        if name.lower() == "content-length":
            stated_length = value.encode("latin-1")
        elif name.lower() not in FRAMING:
            lines.append(f"{name}: {value}")
    if any(SPLITS.search(line) for line in lines):
        raise ValueError("a header field holds a line end")
    return Answer(int(status[:3]), "\r\n".join(lines).encode("latin-1"), body, stated_length)


class LocalTurn(Turn):
    """One request to our own pages."""

    __slots__ = ("_body", "_bridge", "_request_head")
    side = "own"

    def __init__(self, connection: "Connection", head: RequestHead, bridge: Bridge) -> None:
        super().__init__(connection, head)
        self.reference = new_reference()
        self._request_head = head
        self._bridge = bridge
        self._body = bytearray()

    def begin(self) -> None:
        """Call the application once the body is here."""
        self.began = True
        self.progress = time.monotonic()
        if self.received:
            self._run()
        elif self._request_head.expects_continue and not self._body:
            self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def take(self, data: bytes) -> None:
        """Collect the body."""
        self._body += data
        if len(self._body) > self._bridge.body_bytes:
            self.connection.refuse(Refused(413, "body_bytes"))

    def take_end(self) -> None:
        """The body is complete; a request without one was complete with its head."""
        if self.received:
            return
        self.received = True
        if self.began:
            self._run()

    def _run(self) -> None:
        self.progress = time.monotonic()
        self._bridge.run(self, self._request_head, bytes(self._body))
        self._body.clear()

    def overdue(self, now: float) -> Refused | None:
        """Tell whether the body, sent drop by drop, or the application takes too long."""
        seconds = now - self.progress
        if not self.received:
            return Refused(408, "body_time") if seconds > self._bridge.body_seconds else None
        return Refused(503, "page_time") if seconds > self._bridge.seconds else None

    def drop(self) -> None:
        """Forget the body."""
        self._body.clear()

    def answer(self, answer: Answer) -> None:
        """Send the application's answer."""
        self.status = answer.status
        self.answering = True
        self.closes = self.closes or self.connection.listener.stopping
        is_head = self._request_head.method == b"HEAD"
        body = b"" if is_head or answer.status in {204, 304} else answer.body
        length = answer.stated_length if is_head and answer.stated_length else b"%d" % len(answer.body)
        framing = b"" if answer.status in {204, 304} else b"\r\nContent-Length: %b" % length
        close = b"\r\nConnection: close\r\n\r\n" if self.closes else b"\r\n\r\n"
        self.sent = len(body)
        self.connection.write(b"".join((answer.head, CLOCK.date_line(), framing, close, body)))
        self.finish()
        self.connection.finished(self)
