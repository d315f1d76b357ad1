"""What the demo identity provider remembers: clients, sessions, codes and tokens, until it stops."""

import hmac
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oidc.core import AuthorizationCodeMixin

CODE_SECONDS = 60
TOKEN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class DemoClient(ClientMixin):  # type: ignore[misc]  # authlib has no types
    """A relying party; the method names are authlib's."""

    client_id: str
    secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...] = ()
    requires_pkce: bool = True
    may_end_sessions: bool = False
    """Whether it may end everybody's sessions: the gateway's own client."""

    @property
    def client_metadata(self) -> dict[str, Any]:
        """What authlib's end-session endpoint reads."""
        return {"post_logout_redirect_uris": list(self.post_logout_redirect_uris)}

    def get_client_id(self) -> str:
        """Return the id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """Have none: OpenID Connect demands it in the request."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return what of the asked scope is given."""
        return " ".join(part for part in (scope or "").split() if part in SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Compare the whole address."""
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(client_secret.encode(), self.secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Ask for the secret at every endpoint."""
        del endpoint
        return method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, response_type: str) -> bool:
        """Know codes only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Know codes only."""
        return grant_type == "authorization_code"


SCOPES = ("openid", "profile", "email", "groups")


@dataclass(frozen=True, slots=True)
class IdpSession:
    """Somebody is signed in, in one browser."""

    sid: str
    subject: str
    authenticated_at: int
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class AuthorizationCode(AuthorizationCodeMixin):  # type: ignore[misc]  # authlib has no types
    """One code; the method names are authlib's."""

    code: str = field(repr=False)
    client_id: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    session: IdpSession
    expires_at: float

    def get_redirect_uri(self) -> str:
        """Return where it was sent."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return what was granted."""
        return self.scope

    def get_nonce(self) -> str | None:
        """Return the request's nonce."""
        return self.nonce

    def get_auth_time(self) -> int:
        """Return when the password was given."""
        return self.session.authenticated_at

    def get_acr(self) -> None:
        """State none."""

    def get_amr(self) -> list[str]:
        """Say that it was a password."""
        return ["pwd"]


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What an access token stands for."""

    session: IdpSession
    scope: str
    expires_at: float


class ProviderMemory:
    """Sessions by the cookie's secret, codes, tokens. Thread-safe."""

    def __init__(self) -> None:
        self._sessions: dict[str, IdpSession] = {}
        self._codes: dict[str, AuthorizationCode] = {}
        self._tokens: dict[str, AccessToken] = {}
        self._token_of_code: dict[str, str] = {}
        self._lock = threading.Lock()

    def session(self, cookie: str) -> IdpSession | None:
        """Return the session that a cookie's value opens."""
        with self._lock:
            return self._sessions.get(cookie)

    def sign_in(self, subject: str, previous_cookie: str) -> tuple[str, IdpSession]:
        """Start a session and return the new cookie value with it.

        The same person signing in again keeps the session's `sid`; the cookie changes all the same.
        """
        with self._lock:
            previous = self._sessions.pop(previous_cookie, None)
            same = previous is not None and previous.subject == subject
            sid = previous.sid if previous and same else secrets.token_urlsafe(16)
            session = IdpSession(sid, subject, int(time.time()))
            cookie = secrets.token_urlsafe(32)
            self._sessions[cookie] = session
            return cookie, session

    def end(self, sid: str) -> None:
        """End one session and void its tokens."""
        with self._lock:
            self._drop(lambda session: session.sid == sid)

    def end_all(self, subject: str) -> int:
        """End every session of a person; return how many remain."""
        with self._lock:
            self._drop(lambda session: session.subject == subject)
            return sum(session.subject == subject for session in self._sessions.values())

    def _drop(self, is_ended: Any) -> None:
        self._sessions = {key: value for key, value in self._sessions.items() if not is_ended(value)}
        self._codes = {key: value for key, value in self._codes.items() if not is_ended(value.session)}
        self._tokens = {key: value for key, value in self._tokens.items() if not is_ended(value.session)}

    def keep_code(self, code: AuthorizationCode) -> None:
        """Remember a code until it is redeemed."""
        with self._lock:
            self._codes[code.code] = code

    def take_code(self, value: str, client_id: str) -> AuthorizationCode | None:
        """Return a code, for the only time.

        A second attempt voids what the first one gave.

        Source: RFC 6749 section 4.1.2.
        """
        with self._lock:
            code = self._codes.get(value)
            if code is None:
                self._tokens.pop(self._token_of_code.pop(value, ""), None)
                return None
            if code.client_id != client_id:
                return None
            del self._codes[value]
            return code if code.expires_at > time.monotonic() else None

    def keep_token(self, token: str, code: AuthorizationCode) -> None:
        """Remember an access token."""
        with self._lock:
            self._tokens[token] = AccessToken(code.session, code.scope, time.monotonic() + TOKEN_SECONDS)
            self._token_of_code[code.code] = token

    def token(self, value: str) -> AccessToken | None:
        """Return what an access token stands for, while it is valid."""
        with self._lock:
            token = self._tokens.get(value)
        return token if token and token.expires_at > time.monotonic() else None
