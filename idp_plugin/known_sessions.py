"""Which subject each IdP session belongs to, as far as we have seen: it never changes (S9)."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

from idp_plugin.base import SignIn, Unrecognised

MOST = 50_000
CLAIMS_LIFETIME = 300.0
"""Seconds until claims such as groups are asked for again."""

log = structlog.get_logger()


class KnownSessions:
    """A bounded memory of (issuer, `sid`) and what was verified of it. Safe to share between threads."""

    def __init__(self, *, most: int = MOST, seconds: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[SignIn, float]] = OrderedDict()

    def settle(self, sign_in: SignIn) -> SignIn:
        """Remember a verified sign-in and return it.

        Raises:
            Unrecognised: This session was somebody else's before.
        """
        if not sign_in.session_id:
            return sign_in
        key = (sign_in.subject.source, sign_in.session_id)
        with self._lock:
            known = self._known.get(key)
            if known is not None and known[0].subject != sign_in.subject:
                del self._known[key]
                # Security: one session with two subjects is an attack or a broken provider; people look.
                log.error("session_changed_its_subject", alarm=True, issuer=key[0])
                raise Unrecognised("session_changed_its_subject")
            self._known[key] = (sign_in, self._seconds())
            self._known.move_to_end(key)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return sign_in

    def fresh(self, issuer: str, session_id: str) -> SignIn | None:
        """Return what was verified of a session in the last minutes."""
        with self._lock:
            known = self._known.get((issuer, session_id))
        if known is None or self._seconds() - known[1] > CLAIMS_LIFETIME:
            return None
        return known[0]

    def forget(self, issuer: str, session_id: str) -> None:
        """Forget a session that has ended."""
        with self._lock:
            self._known.pop((issuer, session_id), None)
