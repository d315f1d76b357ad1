"""Who may pass to an application, who is led to the sign-in, and who is told no.

Runs on the event loop. A session that is known passes at once; everything else waits for Redis, in threads.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

import structlog

from enforcement.decision import Release
from enforcement.gate import Gate
from gateway.forward_auth.application import Application
from gateway.forward_auth.application_session import ApplicationSession, ApplicationSessions
from gateway.forward_auth.asked import Asked
from gateway.forward_auth.hand_over import MOST_TRIES, HandOvers, Ticket
from gateway.forward_auth.known_sessions import Known, KnownSessions, Overloaded
from gateway.interception.ask_gate import situation_of
from gateway.interception.sign_in_pages import stopped
from gateway.plane import eager
from gateway.plane.observe import new_reference
from gateway.plane.request_head import Refused
from gateway.plane.verdict import Replace
from idp_plugin.base import SignIn
from store.errors import StoreUnavailable

SESSION = "s."
"""How the cookie of a signed-in browser begins; that of one on its way there holds a nonce."""
NO_COOKIE = (
    403,
    "Your browser did not keep our cookie",
    "Allow cookies for this site in the settings of your browser, then open the page again.",
)

Found = TypeVar("Found")

log = structlog.get_logger("sparekey.forward_auth")


class Answering(Protocol):
    """The turn of one question."""

    def let_in(self, known: Known) -> None:
        """The request may reach the application, with these fields."""

    def lead_to(self, address: str, cookie: str = "", *, follows: bool) -> None:
        """The browser is to go to an address, with a `Set-Cookie`."""

    def turn_away(self) -> None:
        """Nobody is signed in, and nobody would see a page."""

    def stop(self, page: Replace) -> None:
        """A person is to see a page."""

    def refuse(self, refused: Refused) -> None:
        """The question has no answer."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One question and who is behind it."""

    turn: Answering
    asked: Asked
    application: Application
    cookie: str = field(repr=False)
    """What the browser has of ours at this host; empty for nothing."""

    @property
    def token(self) -> str:
        """The session's, or empty."""
        return self.cookie[len(SESSION) :] if self.cookie.startswith(SESSION) else ""

    def lead_to(self, address: str, cookie: str = "") -> None:
        """Send the browser to an address, with a new value for our cookie at this host."""
        set_cookie = self.application.set_cookie(cookie) if cookie else ""
        self.turn.lead_to(address, set_cookie, follows=self.asked.follows)

    def lead_back(self, target: str, cookie: str = "") -> None:
        """Send the browser to a path of the application."""
        self.lead_to(self.application.origin + target, cookie)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Answers questions."""

    known: KnownSessions
    sessions: ApplicationSessions
    hand_overs: HandOvers
    gate: Gate
    """For outages alone: it was asked when the session began."""
    executor: Executor
    clock: Callable[[], dt.datetime]
    lifetime: dt.timedelta
    """Of a session."""
    own: bytes
    """Beginning of the paths at every application's host that are ours."""
    leaving: str
    """Path at every application's host that leads to the gateway's page for signing out."""
    sign_out: str
    """Address of that page."""

    def answer(self, turn: Answering, asked: Asked) -> None:
        """Answer, now or later."""
        application = self.hand_overs.applications.get(asked.host)
        if application is None:
            # Security: decided by host, and only about hosts that are listed (S13).
            turn.refuse(Refused(403, "application"))
            return
        cookie = application.cookie_value(asked.cookies)
        known = None
        if cookie.startswith(SESSION) and not asked.target.startswith(self.own):
            known = self.known.recall(cookie[len(SESSION) :], application.host)
        if known:
            turn.let_in(known)
        else:
            self._visit(Visit(turn, asked, application, cookie))

    def _visit(self, visit: Visit) -> None:
        path = visit.asked.target.partition(b"?")[0].decode()
        if path == self.hand_overs.arrival:
            self._start(visit, self._arrive(visit))
        elif path == self.leaving:
            visit.lead_to(self.sign_out)
        elif visit.token:
            self._start(visit, self._ask(visit))
        else:
            self._nobody(visit)

    def _start(self, visit: Visit, work: Coroutine[Any, Any, None]) -> None:
        eager.start(self._guarded(visit.turn, work))

    async def _guarded(self, turn: Answering, work: Coroutine[Any, Any, None]) -> None:
        """Refuse whatever goes wrong: nobody passes by a fault (S10)."""
        try:
            await work
        except StoreUnavailable:
            turn.refuse(Refused(503, "store"))
        except Overloaded:
            turn.refuse(Refused(503, "busy"))
        except Exception:
            log.exception("forward_auth_fault")
            turn.refuse(Refused(500, "fault"))

    async def _ask(self, visit: Visit) -> None:
        """Look the session up as it is now."""
        try:
            known = await self.known.find(visit.token, visit.application.host)
        except StoreUnavailable:
            known = await self._in_outage(visit)
            if known is None:
                raise
        if known:
            visit.turn.let_in(known)
        else:
            self._nobody(visit)

    async def _in_outage(self, visit: Visit) -> Known | None:
        """Let somebody in who was let in minutes ago, where their rule says so (S10, S12)."""
        known = self.known.recall_in_outage(visit.token, visit.application.host)
        if known is None or not await self._in_thread(self.gate.breaker.failed):
            return None
        situation = situation_of(_sign_in(known.session), now=self.clock())
        answer = await self._in_thread(lambda: self.gate.answer_fault(situation))
        return known if isinstance(answer, Release) else None

    def _nobody(self, visit: Visit) -> None:
        """Lead a person to the sign-in; tell a script that nobody is signed in."""
        if visit.asked.is_navigation:
            self._lead(visit, visit.asked.target.decode())
        else:
            visit.turn.turn_away()

    def _lead(self, visit: Visit, target: str, *, tries: int = 0) -> None:
        visit.lead_to(
            *self.hand_overs.to_sign_in(
                visit.application, target, visit.cookie, now=self.clock(), tries=tries
            )
        )

    async def _arrive(self, visit: Visit) -> None:
        """Give the browser its session for the ticket that it brings, and let it go where it was going."""
        ticket = _ticket(visit.asked.target)
        found = await self._in_thread(lambda: self.hand_overs.find(ticket, visit.application.host))
        if found is None:
            # Spent or too old; whoever has a session goes on with it, and nobody else gets one.
            visit.lead_back("/")
        elif await self._in_thread(lambda: self.hand_overs.redeem(ticket, found, visit.cookie)):
            token = await self._in_thread(lambda: self._begin(found))
            visit.lead_back(found.note.target, SESSION + token)
        else:
            await self._arrive_elsewhere(visit, found)

    async def _arrive_elsewhere(self, visit: Visit, found: Ticket) -> None:
        """Another tab was faster, the cookie was not kept, or the ticket is another browser's."""
        target, tries = found.note.target, found.note.tries + 1
        if visit.token and await self.known.find(visit.token, visit.application.host):
            visit.lead_back(target)
        elif tries < MOST_TRIES:
            self._lead(visit, target, tries=tries)
        else:
            visit.turn.stop(stopped(NO_COOKIE, new_reference()))

    def _begin(self, found: Ticket) -> str:
        now = self.clock()
        return self.sessions.start(replace(found.session, expires_at=now + self.lifetime), now=now)

    async def _in_thread(self, work: Callable[[], Found]) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self.executor, work)


def _ticket(target: bytes) -> str:
    """Return the ticket in the address of an arrival; empty where there is not exactly one."""
    found = parse_qs(target.partition(b"?")[2].decode()).get("ticket", [])
    return found[0] if len(found) == 1 else ""


def _sign_in(session: ApplicationSession) -> SignIn:
    return SignIn(
        session.subject,
        session.idp_session,
        session.host,
        username=session.username,
        groups=session.groups,
        protocol="forward_auth",
    )
