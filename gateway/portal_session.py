"""What the browser's portal cookie stands for: a record on our side, 30 minutes long.

The cookie is a random token; the record is found by its digest and sealed. Signing in always makes a new
token, so that one planted before the sign-in is worth nothing.
"""

import datetime as dt
import secrets
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from gateway.ended_sessions import EndedSessions
from idp_plugin.base import Subject
from store.expiring import Expiring

LIFETIME = dt.timedelta(minutes=30)
KIND = "portal_session"


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
    email: str = ""
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    unstated: frozenset[str] = frozenset()
    """Which of `groups` and `roles` the provider did not state: they are empty, and unknown."""
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
        self._ended = EndedSessions(expiring)

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
        is_over = self._ended.is_over(session.subject, session.idp_session, session.started_at)
        return None if session.expires_at <= now or is_over else session

    def end(self, token: str) -> None:
        """Forget a session."""
        if token:
            self._expiring.drop(KIND, token)

    def sign_out(self, session: PortalSession, *, now: dt.datetime) -> None:
        """End whatever this sign-in opened, at applications too."""
        self._ended.sign_out(session.subject, session.idp_session, now=now)

    def end_at_provider(
        self, subject: Subject | None, issuer: str, idp_session: str, *, now: dt.datetime
    ) -> None:
        """End the sessions of an IdP session, or of a subject where no session is named."""
        if idp_session:
            self._ended.end_idp_session(issuer, idp_session, now=now)
        elif subject:
            self._ended.end_subject(subject, now=now)
