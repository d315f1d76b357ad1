"""The turn of one question of a proxy."""

import time
from typing import TYPE_CHECKING

from gateway.forward_auth.ask_head import AskHead
from gateway.forward_auth.door import Door
from gateway.forward_auth.known_sessions import Known
from gateway.plane.refusal_page import CLOCK
from gateway.plane.request_head import Refused
from gateway.plane.rewriting import lines
from gateway.plane.turn import Turn
from gateway.plane.verdict import Replace

if TYPE_CHECKING:
    from gateway.plane.connection import Connection

PATIENCE = 5.0
"""Seconds that an answer may take; people wait for it."""
# Spec: Envoy's HTTP ext_authz lets pass on 200 alone, and hands any other success to the browser.
LET_IN = b"HTTP/1.1 200 OK\r\nCache-Control: no-store"
TURNED_AWAY = b"HTTP/1.1 401 Unauthorized\r\nCache-Control: no-store\r\nWWW-Authenticate: Sparekey"
LED_BY_PROXY = b"HTTP/1.1 302 Found\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nLocation: "
LED_BESIDE = b"HTTP/1.1 401 Unauthorized\r\nCache-Control: no-store\r\nX-Sparekey-Location: "
END = b"\r\nContent-Length: 0\r\n\r\n"
CLOSING_END = b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class AskTurn(Turn):
    """Asks the door and writes what it says."""

    __slots__ = ("_door", "_head")
    side = "auth"

    def __init__(self, connection: "Connection", head: AskHead, door: Door) -> None:
        super().__init__(connection, head)
        # What was asked about is the application's own, and may be secret; the log has the question alone.
        self.received = True
        self._head = head
        self._door = door

    def begin(self) -> None:
        """Ask."""
        self.began = True
        self.progress = time.monotonic()
        if self._head.asked is not None:
            self._door.answer(self, self._head.asked)

    def overdue(self, now: float) -> Refused | None:
        """Tell whether Redis takes too long."""
        return Refused(503, "answer_time") if now - self.progress > PATIENCE else None

    def let_in(self, known: Known) -> None:
        """The request may reach the application, with these fields."""
        self._send(200, LET_IN + known.fields)

    def lead_to(self, address: str, cookie: str = "", *, follows: bool) -> None:
        """The browser is to go to an address, with a `Set-Cookie`."""
        status, head = (302, LED_BY_PROXY) if follows else (401, LED_BESIDE)
        set_cookie = f"\r\nSet-Cookie: {cookie}" if cookie else ""
        self._send(status, head + f"{address}{set_cookie}".encode())

    def turn_away(self) -> None:
        """Nobody is signed in, and nobody would see a page."""
        self._send(401, TURNED_AWAY)

    def stop(self, page: Replace) -> None:
        """A person is to see a page."""
        head = b"HTTP/1.1 %d Stopped%b" % (page.status, lines(page.headers))
        self._send(page.status, head, b"" if self.method == b"HEAD" else page.body)

    def _send(self, status: int, head: bytes, body: bytes = b"") -> None:
        if self.over:
            return
        self.status = status
        self.answering = True
        self.sent = len(body)
        self.closes = self.closes or self.connection.listener.stopping
        end = CLOSING_END if self.closes else END
        if body:
            end = end.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body))
        self.connection.write(b"".join((head, CLOCK.date_line(), end, body)))
        self.finish()
        self.connection.finished(self)
