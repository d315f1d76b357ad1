"""What the cookie at an application stands for: a record on our side, found by the cookie's digest."""

import datetime as dt
import hmac
import secrets
from dataclasses import dataclass

from pydantic import TypeAdapter

from gateway.ended_sessions import EndedSessions
from idp_plugin.base import Subject
from store.expiring import Expiring

KIND = "application_session"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationSession:
    """A person who is signed in to one application."""

    host: str
    """The application's; the session is worth nothing at another."""
    subject: Subject
    idp_session: str
    """The IdP's `sid`; empty where the provider states none."""
    username: str
    display_name: str
    email: str
    groups: frozenset[str]
    signed_in_at: dt.datetime
    """When the provider was asked: what ends everything before a moment ends this too."""
    expires_at: dt.datetime


_JSON = TypeAdapter(ApplicationSession)


class ApplicationSessions:
    """Starts, reads and ends the sessions at applications. Blocking."""

    def __init__(self, expiring: Expiring, ended: EndedSessions) -> None:
        self._expiring = expiring
        self._ended = ended

    def start(self, session: ApplicationSession, *, now: dt.datetime) -> str:
        """Store a session and return the token for its cookie."""
        chosen = secrets.token_urlsafe(32)
        token = f"{chosen}.{_mark(self._expiring.vault.signing_key(KIND), chosen, session.host)}"
        self._expiring.put(KIND, token, _JSON.dump_json(session), ttl=session.expires_at - now)
        return token

    def is_ours(self, token: str, host: str) -> bool:
        """Tell whether a token was given out by us for this application. Asks nobody, so that a flood of
        invented ones costs no store (S13).
        """
        chosen, _, mark = token.partition(".")
        # What is stored under an older key is not found any more either.
        expected = _mark(self._expiring.vault.signing_key(KIND), chosen, host)
        return hmac.compare_digest(expected.encode(), mark.encode())

    def read(self, token: str, host: str, *, now: dt.datetime) -> ApplicationSession | None:
        """Return the session at an application, unless it is over.

        Raises:
            StoreUnavailable: It cannot be told.
        """
        stored = self._expiring.peek(KIND, token)
        session = _JSON.validate_json(stored) if stored else None
        # Security: what one application was given opens no other (S12).
        if session is None or session.host != host or session.expires_at <= now:
            return None
        is_over = self._ended.is_over(session.subject, session.idp_session, session.signed_in_at)
        return None if is_over else session

    def end(self, token: str) -> None:
        """Forget a session, on every gateway."""
        self._expiring.drop(KIND, token)
        self._ended.changed()


def _mark(key: bytes, chosen: str, host: str) -> str:
    """Return what follows the random part of a token; 32 hexadecimal digits."""
    return hmac.digest(key, f"{host} {chosen}".encode(), "sha256").hex()[:32]
