"""What the browser's portal cookie stands for: a record on our side, 30 minutes long.

The cookie is a random token; the record is found by its digest and sealed. Signing in always makes a new
token, so that one planted before the sign-in is worth nothing.
"""

import datetime as dt
import secrets
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from idp_plugin.base import Subject
from store.expiring import Expiring

LIFETIME = dt.timedelta(minutes=30)
KIND = "portal_session"
ENDED_SESSION = "ended_idp_session"
ENDED_SUBJECT = "ended_subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSession:
    """A person who signed in to Sparekey's own pages through the identity provider."""

    id: str
    """Names this session in flows; not what the cookie holds."""
    subject: Subject
    idp_session: str
    """The IdP's `sid`; empty where the provider states none."""
    username: str = ""
    display_name: str = ""
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    amr: tuple[str, ...] = ()
    started_at: dt.datetime
    expires_at: dt.datetime
    claims: dict[str, str] = field(default_factory=dict)
    """Nothing secret: `locale`, `zoneinfo` where the provider states them."""


_JSON = TypeAdapter(PortalSession)


class PortalSessions:
    """Starts, reads and ends portal sessions."""

    def __init__(self, expiring: Expiring) -> None:
        self._expiring = expiring

    def start(self, session: PortalSession) -> str:
        """Store a session and return the token for its cookie."""
        token = secrets.token_urlsafe(32)
        self._expiring.put(KIND, token, _JSON.dump_json(session), ttl=LIFETIME)
        return token

    def read(self, token: str, *, now: dt.datetime) -> PortalSession | None:
        """Return the session, unless it is over here or at the identity provider."""
        stored = self._expiring.peek(KIND, token) if token else None
        if stored is None:
            return None
        session = _JSON.validate_json(stored)
        return None if session.expires_at <= now or self._is_ended(session) else session

    def end(self, token: str) -> None:
        """Forget a session."""
        if token:
            self._expiring.drop(KIND, token)

    def end_at_provider(
        self, subject: Subject | None, issuer: str, idp_session: str, *, now: dt.datetime
    ) -> None:
        """End the portal sessions of an IdP session, or of a subject where no session is named."""
        mark = now.isoformat().encode()
        if idp_session:
            self._expiring.put(ENDED_SESSION, _key(issuer, idp_session), mark, ttl=LIFETIME)
        elif subject:
            self._expiring.put(ENDED_SUBJECT, _key(subject.source, subject.id), mark, ttl=LIFETIME)

    def _is_ended(self, session: PortalSession) -> bool:
        issuer = session.subject.source
        if session.idp_session and self._expiring.peek(ENDED_SESSION, _key(issuer, session.idp_session)):
            return True
        ended = self._expiring.peek(ENDED_SUBJECT, _key(issuer, session.subject.id))
        return ended is not None and session.started_at <= dt.datetime.fromisoformat(ended.decode())


def _key(issuer: str, name: str) -> str:
    return f"{len(issuer)} {issuer} {name}"
