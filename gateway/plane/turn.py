"""One request's turn on its connection: what every kind of turn shares, and the turn of a refused one."""

from typing import TYPE_CHECKING

from gateway.plane import refusal_page
from gateway.plane.observe import CLIENT_GONE, REFUSALS, new_reference
from gateway.plane.request_head import Refused, RequestHead

if TYPE_CHECKING:
    from gateway.plane.connection import Connection


class Turn:
    """A request that waits for, or is at, the front of its connection.

    The connection calls `begin` once, when the answers before it are written; `take` and `take_end` as the
    body arrives, possibly before `begin`; `leave` when the client is gone. The turn calls
    `connection.finished` exactly once, unless the client left.
    """

    __slots__ = (
        "answering",
        "began",
        "client",
        "closes",
        "connection",
        "method",
        "over",
        "path",
        "progress",
        "received",
        "reference",
        "sent",
        "started",
        "status",
        "why",
    )
    side = "refused"

    def __init__(self, connection: "Connection", head: RequestHead | None, path: bytes = b"-") -> None:
        self.connection = connection
        self.started = self.progress = connection.heard
        self.began = False
        """It is at the front of its connection."""
        self.answering = False
        """The answer's head is on its way: too late for another."""
        self.over = False
        self.status = 0
        self.sent = 0
        self.reference = ""
        self.why = ""
        self.received = True
        """The whole request is here."""
        self.closes = True
        """The connection ends with this turn."""
        if head is None:
            self.client = connection.peer.address
            self.method = b"-"
            self.path = path
        else:
            self.client = head.client
            self.method = head.method
            self.path = head.path
            self.received = not head.chunked and not head.length
            self.closes = not head.keep_alive

    def begin(self) -> None:
        """Start answering."""
        raise NotImplementedError

    def take(self, data: bytes) -> None:
        """Take a piece of the request body."""

    def pass_on(self) -> None:
        """One read from the client is over."""

    def take_end(self) -> None:
        """The request body is complete."""
        self.received = True

    @property
    def holds_back(self) -> bool:
        """Whether more of the body must wait."""
        return False

    def reader_stalled(self) -> None:
        """The client does not take the answer as fast as it comes."""

    def reader_ready(self) -> None:
        """The client takes the answer again."""

    def overdue(self, now: float) -> Refused | None:
        """Return what to refuse with when this turn has waited too long for somebody but the client."""
        del now
        return None

    def drop(self) -> None:
        """Let go of everything that this turn holds."""

    def refuse(self, refused: Refused) -> None:
        """Answer with a short page; where an answer has begun, cut it, so that it never looks complete."""
        if self.over:
            return
        self.drop()
        self.why = refused.why
        self.reference = self.reference or new_reference()
        if self.answering:
            self.finish()
            self.connection.abort()
            return
        self.status = refused.status
        self.answering = self.closes = True
        head, page = refusal_page.refusal(refused.status, self.reference)
        self.connection.write(head)
        if self.method != b"HEAD":
            self.sent = len(page)
            self.connection.write(page)
        self.finish()
        self.connection.finished(self, refused=True)

    def leave(self) -> None:
        """The client is gone."""
        if not self.over:
            self.drop()
            self.status = self.status or CLIENT_GONE
            self.why = self.why or "client_gone"
            self.finish()

    def finish(self) -> None:
        """Write the log line; after this nothing more happens in this turn."""
        self.over = True
        self.connection.listener.observer.request(self)


class RefusedTurn(Turn):
    """A request that the rim refused; it waits for its place, so that answers stay in order."""

    __slots__ = ("_refused",)

    def __init__(self, connection: "Connection", refused: Refused, path: bytes) -> None:
        super().__init__(connection, None, path)
        self._refused = refused

    def begin(self) -> None:
        """Refuse."""
        self.began = True
        REFUSALS.labels(self._refused.why).inc()
        self.refuse(self._refused)
