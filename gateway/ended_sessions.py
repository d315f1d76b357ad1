"""Which sign-ins are over, for every kind of session that we keep: the portal's and the applications'.

Sessions are not listed by person, so none is looked for: a mark is put, and each session is compared with
the marks when it is read. Whoever remembers what was read asks `revision` whether a mark was put since.
"""

import datetime as dt

from idp_plugin.base import Subject
from store.expiring import Expiring

MARK_LIFETIME = dt.timedelta(days=1, hours=1)
"""Longer than any session of ours that may have begun before."""
OVER = "ended_idp_session"
SIGNED_OUT = "signed_out_idp_session"
SUBJECT = "ended_subject"
REVISION = "ended_revision"


class EndedSessions:
    """Puts marks and compares with them. Every change is seen by all gateways on the same store."""

    def __init__(self, expiring: Expiring) -> None:
        self._expiring = expiring

    def end_idp_session(self, issuer: str, idp_session: str, *, now: dt.datetime) -> None:
        """End what an IdP session opened, for good: it is over at the provider."""
        self._mark(OVER, issuer, idp_session, now)

    def sign_out(self, subject: Subject, idp_session: str, *, now: dt.datetime) -> None:
        """End what an IdP session opened until now; it may live on and open new sessions.

        Where the provider states no session, everything of the person ends: one cannot be told from another.
        """
        if idp_session:
            self._mark(SIGNED_OUT, subject.source, idp_session, now)
        else:
            self.end_subject(subject, now=now)

    def end_subject(self, subject: Subject, *, now: dt.datetime) -> None:
        """End everything that a person opened until now."""
        self._mark(SUBJECT, subject.source, subject.id, now)

    def is_over(self, subject: Subject, idp_session: str, started_at: dt.datetime) -> bool:
        """Tell whether a session that a person opened then is over.

        Raises:
            StoreUnavailable: It cannot be told.
        """
        if idp_session and self._expiring.peek(OVER, _key(subject.source, idp_session)):
            return True
        return self._is_since(started_at, SUBJECT, subject.source, subject.id) or (
            bool(idp_session) and self._is_since(started_at, SIGNED_OUT, subject.source, idp_session)
        )

    def changed(self) -> None:
        """Say that something was ended that carries no mark."""
        self._expiring.put(REVISION, "", b"", ttl=MARK_LIFETIME)

    def revision(self) -> int:
        """Return a number that differs whenever anything was ended since; 0 where nothing ever was.

        Raises:
            StoreUnavailable: It cannot be told.
        """
        found = self._expiring.read(REVISION, "")
        return found.version if found else 0

    def _mark(self, kind: str, issuer: str, name: str, now: dt.datetime) -> None:
        self._expiring.put(kind, _key(issuer, name), now.isoformat().encode(), ttl=MARK_LIFETIME)
        # After the mark, so that whoever sees the change finds it.
        self.changed()

    def _is_since(self, started_at: dt.datetime, kind: str, issuer: str, name: str) -> bool:
        ended = self._expiring.peek(kind, _key(issuer, name))
        return ended is not None and started_at <= dt.datetime.fromisoformat(ended.decode())


def _key(issuer: str, name: str) -> str:
    return f"{len(issuer)} {issuer} {name}"
