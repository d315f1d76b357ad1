"""The silent check: ask the provider itself whose session a cookie stands for.

One server-side `prompt=none` code request with the session cookie, then the token request. The ID token is
verified in full; cookies that the check's answers set are thrown away.

Source: OpenID Connect Core 1.0 sections 3.1.2.1, 3.1.2.6, 3.1.3.7; RFC 7636; RFC 9207.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import httpx
from joserfc import jwt
from joserfc.errors import JoseError

from idp_plugin.base import SignIn, Subject, Unrecognised
from idp_plugin.errors import IdpMisconfigured, IdpUnavailable
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.stated import groups_of, roles_of

_RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
ALGORITHMS = [*_RSA, "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Only signatures that the provider alone can make."""
LEEWAY = 30
"""Seconds of clock difference."""
NO_SESSION = frozenset(
    {"login_required", "interaction_required", "consent_required", "account_selection_required"}
)
LONGEST_SUBJECT = 255
"""Source: OpenID Connect Core 1.0 section 2, `sub`."""


class SilentCheck:
    """Makes silent checks for one client. Blocking.

    Args:
        redirect_uri: Of the gateway's own client; the provider never sends a browser there for a check.
        page_is_no_session: Whether the provider shows a page where it should answer `login_required`.
    """

    def __init__(
        self, provider: OidcProvider, *, redirect_uri: str, page_is_no_session: bool = False
    ) -> None:
        self._provider = provider
        self._redirect_uri = redirect_uri
        self._page_is_no_session = page_is_no_session

    def ask(self, cookies: Mapping[str, str], *, session_id: str = "") -> SignIn:
        """Return whose session the cookies stand for.

        Args:
            cookies: Names and values as the browser would send them.
            session_id: The `sid` that the token must have; empty where none is known.

        Raises:
            Unrecognised: No session, or another one.
            IdpUnavailable: No answer in time.
            IdpMisconfigured: The provider does not know our client, or answers something else.
        """
        nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        parameters = self._authorize(cookies, nonce, verifier)
        error = parameters.get("error", "")
        if error in NO_SESSION:
            raise Unrecognised(error)
        if error or not parameters.get("code"):
            raise IdpMisconfigured(f"silent check: {error or 'no code'}")
        token = self._redeem(parameters["code"], verifier)
        return self._signed_in(self._claims(token, nonce), session_id)

    def self_check(self) -> None:
        """Make one check without a session, then redeem a code that cannot be; raise where both pass.

        Raises:
            IdpMisconfigured: The answer was not `login_required`, or our client was refused.
            IdpUnavailable: No answer.
        """
        error = self._authorize({}, "self-check", secrets.token_urlsafe(48)).get("error", "no error")
        if error != "login_required":
            raise IdpMisconfigured(f"silent check without a session: {error}")
        error = self._token_answer("self-check", secrets.token_urlsafe(48)).get("error", "no error")
        if error != "invalid_grant":
            raise IdpMisconfigured(f"token request of our client: {error}")

    def _authorize(self, cookies: Mapping[str, str], nonce: str, verifier: str) -> dict[str, str]:
        state = secrets.token_urlsafe(24)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": self._provider.settings.client_id,
            "response_type": "code",
            "scope": self._provider.settings.scope,
            "prompt": "none",
            "redirect_uri": self._redirect_uri,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = f"{self._provider.endpoint('authorization_endpoint')}?{urlencode(query)}"
        brought = "; ".join(f"{name}={value}" for name, value in cookies.items())
        headers = {"Cookie": brought} if brought else {}
        return self._answer(self._provider.request("GET", address, headers=headers), state)

    def _answer(self, response: httpx.Response, state: str) -> dict[str, str]:
        if self._page_is_no_session and response.status_code == 200:
            return {"error": "login_required"}
        target, _, query = response.headers.get("location", "").partition("?")
        if not response.is_redirect or target != self._redirect_uri:
            raise IdpMisconfigured(f"silent check: HTTP {response.status_code}")
        stated = parse_qs(query, keep_blank_values=True)
        parameters = {name: values[0] for name, values in stated.items() if len(values) == 1}
        issuer = self._provider.settings.issuer
        if parameters.get("state") != state or parameters.get("iss", issuer) != issuer:
            raise Unrecognised("foreign_answer_to_silent_check")
        return parameters

    def _redeem(self, code: str, verifier: str) -> str:
        answer = self._token_answer(code, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise IdpMisconfigured(f"token request: {answer.get('error', 'no id_token')}")
        return token

    def _token_answer(self, code: str, verifier: str) -> dict[str, Any]:
        settings = self._provider.settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        # Spec: RFC 6749 section 2.3.1, both parts are form-encoded before they are joined.
        client = (quote(settings.client_id, safe=""), quote(self._provider.secret, safe=""))
        response = self._provider.request(
            "POST", self._provider.endpoint("token_endpoint"), data=form, auth=client
        )
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise IdpUnavailable(self._provider.address)
        return answer

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        try:
            claims = self._decode(token)
        except (JoseError, ValueError) as error:
            raise Unrecognised("id_token_signature") from error
        settings, now = self._provider.settings, time.time()
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        authorized = claims.get("azp", settings.client_id if len(audiences) == 1 else "")
        expires, issued = claims.get("exp"), claims.get("iat", now)
        sound = {
            "iss": claims.get("iss") == settings.issuer,
            "aud": settings.client_id in audiences and authorized == settings.client_id,
            "nonce": claims.get("nonce") == nonce,
            "exp": isinstance(expires, int | float) and expires > now - LEEWAY,
            "iat": isinstance(issued, int | float) and issued < now + LEEWAY,
            "sub": isinstance(claims.get("sub"), str) and 0 < len(claims["sub"]) <= LONGEST_SUBJECT,
        }
        broken = [claim for claim, holds in sound.items() if not holds]
        if broken:
            raise Unrecognised(f"id_token_{broken[0]}")
        return claims

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(token, self._provider.keys(), algorithms=ALGORITHMS).claims
        except (JoseError, ValueError):
            # The provider may have begun to sign with a new key.
            return jwt.decode(token, self._provider.keys(again=True), algorithms=ALGORITHMS).claims

    def _signed_in(self, claims: Mapping[str, Any], session_id: str) -> SignIn:
        stated = str(claims.get("sid", ""))
        if session_id and stated != session_id:
            raise Unrecognised("another_session")
        return SignIn(
            Subject(self._provider.settings.issuer, claims["sub"]),
            stated,
            "",
            username=str(claims.get("preferred_username", "")),
            groups=groups_of(claims),
            roles=roles_of(claims),
            amr=_strings(claims.get("amr")),
            acr=str(claims.get("acr", "")),
            verified_by="silent_check",
        )


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
