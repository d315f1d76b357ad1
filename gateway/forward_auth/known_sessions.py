"""What this gateway remembers of sessions at applications, and for how long it may.

Looking a session up costs three round trips to Redis and opening a seal. What was found is remembered, and
holds as long as the *revision* of ended sessions stays what it was when it was looked up: one number for all
sessions, which changes whenever anything is ended on any gateway. It is asked for several times a second, or
at every request; requests that come together share one answer.

Everything here runs on the event loop; only the executor's threads ask Redis.
"""

import asyncio
import datetime as dt
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import structlog

from gateway.ended_sessions import EndedSessions
from gateway.forward_auth.application_session import ApplicationSession, ApplicationSessions
from gateway.forward_auth.identity_fields import identity_fields
from store.errors import StoreUnavailable

MOST = 100_000
"""Sessions remembered; then all are forgotten and looked up again."""
WAITING = 2048
"""More look-ups than this wait for nobody."""
OUTAGE = dt.timedelta(minutes=5)
"""So long at most may a session pass of which nobody can tell any more whether it was ended (S12)."""

_THIS_GATEWAY = secrets.token_hex(8)

log = structlog.get_logger("sparekey.forward_auth")


def stated_revision(revision: int) -> str:
    """Return a revision as proxies hear it: another one after each start, with settings that may differ."""
    return f"{_THIS_GATEWAY}.{revision}"


@dataclass(frozen=True, slots=True)
class Known:
    """One session, ready to be passed on."""

    session: ApplicationSession
    fields: bytes
    """Header lines, each after a line end."""
    expires: float
    """POSIX time."""

    @classmethod
    def of(cls, session: ApplicationSession, revision: int) -> "Known":
        """Prepare a session.

        Args:
            revision: As it was before the session was read.
        """
        expires = session.expires_at.timestamp()
        # For a proxy that remembers as we do; it passes them to nobody.
        held = f"\r\nX-Sparekey-Revision: {stated_revision(revision)}\r\nX-Sparekey-Until: {int(expires)}"
        return cls(session, identity_fields(session) + held.encode(), expires)


class Overloaded(Exception):
    """Too many look-ups wait already."""


class KnownSessions:
    """Remembers sessions; start it on the event loop that asks.

    Args:
        delay: How long after its end a session may still pass; zero asks at every request.
    """

    def __init__(
        self,
        sessions: ApplicationSessions,
        ended: EndedSessions,
        *,
        executor: Executor,
        clock: Callable[[], dt.datetime],
        delay: dt.timedelta,
    ) -> None:
        self._sessions = sessions
        self._ended = ended
        self._executor = executor
        self._clock = clock
        self._delay = delay.total_seconds()
        self._known: dict[str, Known] = {}
        self._revision = -1
        self._seen = float("-inf")
        """Monotonic time before which everything that was ended is known to be."""
        self._waiting = 0
        self._checking: asyncio.Future[None] | None = None
        self._looking: dict[tuple[str, str], asyncio.Task[Known | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask; not needed where every request asks."""
        if self._delay and self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask_again_and_again())

    def stop(self) -> None:
        """Stop asking."""
        if self._asking:
            self._asking.cancel()
            self._asking = None

    def recall(self, token: str, host: str) -> Known | None:
        """Return a session that is known well enough to be passed on at once."""
        known = self._known.get(token)
        if known is None or time.monotonic() - self._seen > self._delay:
            return None
        return known if self._is_good(known, host) else None

    def recall_in_outage(self, token: str, host: str) -> Known | None:
        """Return a session that was good when it could last be told, minutes ago at most."""
        known = self._known.get(token)
        if known is None or time.monotonic() - self._seen > OUTAGE.total_seconds():
            return None
        return known if self._is_good(known, host) else None

    async def find(self, token: str, host: str) -> Known | None:
        """Return a session as it is now; None where there is none.

        Raises:
            StoreUnavailable: It cannot be told.
            Overloaded: Too many wait.
        """
        if not self._sessions.is_ours(token, host):
            return None
        if self._waiting >= WAITING:
            raise Overloaded
        self._waiting += 1
        try:
            await self._learn_revision()
            known = self._known.get(token) or await self._look_up(token, host)
            return known if known and self._is_good(known, host) else None
        finally:
            self._waiting -= 1

    def _is_good(self, known: Known, host: str) -> bool:
        # Security: what one application was given opens no other (S12).
        return known.session.host == host and known.expires > self._clock().timestamp()

    async def _look_up(self, token: str, host: str) -> Known | None:
        """Look a session up once for all who ask for it together."""
        key = (token, host)
        if key not in self._looking:
            task = asyncio.get_running_loop().create_task(self._read(token, host))
            self._looking[key] = task
            task.add_done_callback(lambda _done: self._looking.pop(key, None))
        return await asyncio.shield(self._looking[key])

    async def _read(self, token: str, host: str) -> Known | None:
        revision, now = self._revision, self._clock()
        session = await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: self._sessions.read(token, host, now=now)
        )
        if session is None:
            return None
        known = Known.of(session, revision)
        # Security: what was read before something ended must not be remembered after it.
        if revision == self._revision:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[token] = known
        return known

    async def _learn_revision(self) -> None:
        """Wait for an answer to a question that was asked after this call."""
        if self._checking is not None:
            # It was asked before, so it says nothing about now; whoever waits shares the next one.
            await asyncio.shield(self._checking)
        if self._checking is None:
            self._checking = asyncio.ensure_future(self._check())
        await asyncio.shield(self._checking)

    async def _check(self) -> None:
        asked = time.monotonic()
        try:
            revision = await asyncio.get_running_loop().run_in_executor(self._executor, self._ended.revision)
        finally:
            self._checking = None
        if revision != self._revision:
            self._known.clear()
            self._revision = revision
        self._seen = asked

    async def _ask_again_and_again(self) -> None:
        while True:
            try:
                await self._learn_revision()
            except StoreUnavailable:
                log.warning("ended_sessions_unknown")
            # Twice as often as what was told gets too old, so that nobody waits for the next answer.
            await asyncio.sleep(self._delay / 2)
