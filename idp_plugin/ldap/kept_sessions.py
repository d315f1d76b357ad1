"""Connections that are signed in as the service account and wait for the next question.

Connecting, shaking hands and signing in cost more than most questions do. What is kept is lent to one thread
at a time; whatever went wrong on a connection, or was left over on it, ends it.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from idp_plugin.ldap.address import Server
from idp_plugin.ldap.connection import Session

MOST = 8
"""Of one server; more than so many at once are closed after their work."""
LIFE_SECONDS = 300.0
"""After so long a connection is made anew: certificates are looked at again, and the account's password."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    session: Session
    made_at: float
    since: float


class KeptSessions:
    """Thread-safe."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep nothing yet.

        Args:
            seconds: For so long one may wait unused; 0 keeps none.
            clock: Monotonic seconds.
        """
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[Server, list[_Waiting]] = {}
        self._made_at: weakref.WeakKeyDictionary[Session, float] = weakref.WeakKeyDictionary()
        self._owner = os.getpid()
        weakref.finalize(self, _abandon, self._waiting)

    def take(self, server: Server) -> Session | None:
        """Return one that is signed in and silent, for the caller alone; None where there is none."""
        while (found := self._next(server)) is not None:
            if not found.session.is_silent():
                found.session.abandon()
            elif self._is_over(found):
                found.session.close()
            else:
                return found.session
        return None

    def put(self, session: Session) -> None:
        """Keep one whose work is done, or close it. Signed in as the service account, all answers read."""
        now = self._clock()
        with self._lock:
            made_at = self._made_at.setdefault(session, now)
            waiting = self._waiting.setdefault(session.server, [])
            is_kept = self._seconds > 0 and len(waiting) < MOST and now - made_at < LIFE_SECONDS
            if is_kept:
                waiting.append(_Waiting(session, made_at, now))
        if not is_kept:
            session.close()

    def _next(self, server: Server) -> _Waiting | None:
        with self._lock:
            if self._owner != os.getpid():
                # Security: two processes must not speak over one connection; the parent's stays the parent's.
                _abandon(self._waiting)
                self._owner = os.getpid()
            waiting = self._waiting.get(server)
            return waiting.pop() if waiting else None

    def _is_over(self, found: _Waiting) -> bool:
        now = self._clock()
        return now - found.since >= self._seconds or now - found.made_at >= LIFE_SECONDS


def _abandon(waiting: dict[Server, list[_Waiting]]) -> None:
    """Free the sockets without a word: nobody waits for an answer."""
    for kept in waiting.values():
        while kept:
            kept.pop().session.abandon()
