"""Sparekey as a relying party of the identity provider: code flow with PKCE, and back-channel logout.

The browser is sent to the provider's public address; codes are redeemed at its internal one.

Source: OpenID Connect Core 1.0 section 3.1; RFC 7636 (PKCE); RFC 9207 (`iss`); OpenID Connect Back-Channel
Logout 1.0 section 2.
"""

import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from authlib.oauth2.claims import JWTClaims
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError

from gateway.sealed_text import open_text, seal_text
from idp_plugin.base import Subject
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.silent_check import ALGORITHMS, LEEWAY, LONGEST_SUBJECT
from idp_plugin.stated import groups_of, roles_of
from store.expiring import Expiring

BEGUN = "sign_in"
BEGUN_LIFETIME = dt.timedelta(minutes=15)
LOGOUT_TOKEN = "logout_token"  # noqa: S105 - the name of a parameter
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_AGE = dt.timedelta(minutes=5)


class SignInRefused(Exception):
    """The provider's answer cannot be accepted; `why` is for the log and the page's choice of words."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A verified answer of the provider to our own client."""

    subject: Subject
    idp_session: str
    """`sid`, or empty."""
    username: str
    display_name: str
    email: str
    """As the provider states it, unless it says that nobody verified it."""
    groups: frozenset[str]
    roles: frozenset[str]
    unstated: frozenset[str]
    """Which of `groups` and `roles` it did not state."""
    amr: tuple[str, ...]
    next_path: str
    """Where the person was going, as given to `begin`."""


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """What a logout token names: a session, or everything of a subject where `idp_session` is empty."""

    issuer: str
    subject: Subject | None
    idp_session: str


class PortalSignIn:
    """Signs people in to Sparekey's own pages.

    Args:
        redirect_uri: Exactly `{public}{prefix}/oidc/callback`; interception exempts this address alone.
        on_logout: Told the `sid` of each session that ended at the provider.
        begun: What such sign-ins are called; one begun under one name is finished under no other.
        is_fresh: Whether the person must sign in now, whatever session the provider has.
    """

    def __init__(
        self,
        provider: OidcProvider,
        expiring: Expiring,
        *,
        redirect_uri: str,
        on_logout: Callable[[str], None] | None = None,
        begun: str = BEGUN,
        is_fresh: bool = False,
    ) -> None:
        self._provider = provider
        self._expiring = expiring
        self._redirect_uri = redirect_uri
        self._on_logout = on_logout
        self._begun = begun
        self._is_fresh = is_fresh

    def begin(self, next_path: str, *, browser: str, now: dt.datetime) -> str:
        """Return the provider's address to send the browser to; where the person is going is in `state`.

        Args:
            next_path: A path of ours, chosen by us.
            browser: Digest of the browser's secret; only this browser can finish.

        Raises:
            IdpError: The provider's metadata cannot be read.
        """
        nonce, verifier = (secrets.token_urlsafe(32) for _part in range(2))
        begun = {
            "nonce": nonce,
            "verifier": verifier,
            "browser": browser,
            "next": next_path,
            "until": (now + BEGUN_LIFETIME).isoformat(),
        }
        state = seal_text(self._expiring.vault, begun, self._begun)
        query = {
            "response_type": "code",
            "client_id": self._provider.settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._provider.settings.scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
            **({"prompt": "login", "max_age": "0"} if self._is_fresh else {}),
        }
        return f"{self._provider.endpoint('authorization_endpoint')}?{urlencode(query)}"

    def going_to(self, answer: Mapping[str, str], *, browser: str) -> str:
        """Return where a sign-in of this browser was going, finished or not; empty where it is none."""
        begun = open_text(self._expiring.vault, answer.get("state", ""), self._begun)
        is_own = bool(begun) and secrets.compare_digest(begun["browser"], browser)
        return begun["next"] if is_own else ""

    def finish(self, answer: Mapping[str, str], *, browser: str, now: dt.datetime) -> SignedIn:
        """Verify the provider's answer.

        Raises:
            SignInRefused: `unknown_state` (old, replayed, or another browser's), `foreign_issuer`, the
                provider's own `error`, or what is wrong with the token.
            IdpError: The provider did not answer, or not as its metadata promises.
        """
        begun = open_text(self._expiring.vault, answer.get("state", ""), self._begun)
        if not begun or not secrets.compare_digest(begun["browser"], browser):
            raise SignInRefused("unknown_state")
        # Security: an answer is good once, and not for long.
        until = dt.datetime.fromisoformat(begun["until"])
        if until <= now or not self._expiring.once(BEGUN, begun["nonce"], ttl=BEGUN_LIFETIME):
            raise SignInRefused("unknown_state")
        if answer.get("iss", self._provider.settings.issuer) != self._provider.settings.issuer:
            raise SignInRefused("foreign_issuer")
        if "error" in answer or not answer.get("code"):
            raise SignInRefused(answer.get("error", "no_code")[:64])
        token = self._redeem(answer["code"], begun["verifier"])
        claims = self._verified(token, begun["nonce"], now)
        if self._is_fresh and not _is_since(claims.get("auth_time"), until - BEGUN_LIFETIME):
            raise SignInRefused("auth_time")
        return _signed_in(claims, self._provider.settings.issuer, begun["next"])

    def logged_out(self, token: str, *, now: dt.datetime) -> LoggedOut:
        """Verify a logout token and return whom it signs out (S13).

        Raises:
            SignInRefused: Not the provider's, not for us, too old, or seen before.
            IdpError: The provider's keys cannot be read.
        """
        claims = self._claims(token, JWTClaims, {}, now)
        session, subject = claims.get("sid", ""), claims.get("sub", "")
        jti = claims.get("jti")
        sound = {
            "events": LOGOUT_EVENT in _mapping(claims.get("events")),
            "nonce": "nonce" not in claims,
            "jti": isinstance(jti, str) and bool(jti),
            "iat": _is_recent(claims.get("iat"), now),
            "sid": isinstance(session, str) and isinstance(subject, str) and bool(session or subject),
        }
        broken = [claim for claim, holds in sound.items() if not holds]
        if broken:
            raise SignInRefused(f"logout_token_{broken[0]}")
        if not self._expiring.once(LOGOUT_TOKEN, str(jti), ttl=2 * LOGOUT_AGE):
            raise SignInRefused("logout_token_replayed")
        if self._on_logout and session:
            self._on_logout(session)
        issuer = self._provider.settings.issuer
        return LoggedOut(issuer, Subject(issuer, subject) if subject else None, session)

    def sign_out_address(self, back: str) -> str:
        """Return the provider's sign-out address, or the empty string where it has none.

        Source: OpenID Connect RP-Initiated Logout 1.0; without a hint the provider asks the person.
        """
        address = self._provider.metadata.get("end_session_endpoint", "")
        query = urlencode({"client_id": self._provider.settings.client_id, "post_logout_redirect_uri": back})
        return f"{address}?{query}" if address else ""

    def _redeem(self, code: str, verifier: str) -> str:
        settings = self._provider.settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        # Spec: RFC 6749 section 2.3.1, both parts are form-encoded before they are joined.
        client = (quote(settings.client_id, safe=""), quote(self._provider.secret, safe=""))
        endpoint = self._provider.endpoint("token_endpoint")
        response = self._provider.request("POST", endpoint, data=form, auth=client)
        try:
            token = _mapping(response.json()).get("id_token")
        except ValueError:
            token = None
        if response.status_code != 200 or not isinstance(token, str):
            raise SignInRefused("code_not_redeemed")
        return token

    def _verified(self, token: str, nonce: str, now: dt.datetime) -> Mapping[str, Any]:
        claims = self._claims(token, CodeIDToken, {"nonce": nonce}, now)
        if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= LONGEST_SUBJECT:
            raise SignInRefused("id_token_sub")
        return claims

    def _claims(
        self, token: str, kind: type[JWTClaims], parameters: Mapping[str, str], now: dt.datetime
    ) -> Mapping[str, Any]:
        """Return the claims of a token signed by the provider for our client."""
        settings = self._provider.settings
        options = {
            "iss": {"essential": True, "value": settings.issuer},
            "aud": {"essential": True, "value": settings.client_id},
        }
        try:
            decoded = self._decoded(token)
            claims = kind(
                decoded.claims, decoded.header, options, {"client_id": settings.client_id, **parameters}
            )
            claims.validate(now=int(now.timestamp()), leeway=LEEWAY)
        except (JoseError, ValueError) as error:
            raise SignInRefused("token_not_valid") from error
        return dict(claims)

    def _decoded(self, token: str) -> jwt.Token:
        try:
            return jwt.decode(token, self._provider.keys(), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            # The provider may have begun to sign with a new key.
            return jwt.decode(token, self._provider.keys(again=True), algorithms=ALGORITHMS)


def _signed_in(claims: Mapping[str, Any], issuer: str, next_path: str) -> SignedIn:
    groups, roles = groups_of(claims), roles_of(claims)
    return SignedIn(
        subject=Subject(issuer, claims["sub"]),
        idp_session=_text(claims, "sid"),
        username=_text(claims, "preferred_username"),
        display_name=_text(claims, "name"),
        # Security: applications know people by their address; somebody typed an unverified one.
        email="" if _is_denied(claims.get("email_verified")) else _text(claims, "email"),
        groups=groups or frozenset(),
        roles=roles or frozenset(),
        unstated=frozenset(name for name, stated in (("groups", groups), ("roles", roles)) if stated is None),
        amr=tuple(_texts(claims.get("amr"))),
        next_path=next_path,
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name, "")
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _is_denied(stated: Any) -> bool:
    # Some providers write truth values as words.
    return str(stated).lower() in {"false", "0"}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_since(stated: Any, begun_at: dt.datetime) -> bool:
    # Spec: OpenID Connect Core section 3.1.2.1, `auth_time` is stated wherever `max_age` was asked for.
    return isinstance(stated, int | float) and stated >= begun_at.timestamp() - LEEWAY


def _is_recent(issued: Any, now: dt.datetime) -> bool:
    return isinstance(issued, int | float) and abs(now.timestamp() - issued) <= LOGOUT_AGE.total_seconds()
