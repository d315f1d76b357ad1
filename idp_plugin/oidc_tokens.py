"""Whose tokens an answer of the token endpoint holds: signed ones say it, opaque ones are asked about.

Source: OpenID Connect Core 1.0 section 2; RFC 9068 (JWT access tokens); RFC 7662 (introspection).
"""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from joserfc import jwt
from joserfc.errors import JoseError

from idp_plugin.base import SignIn, Subject, Unrecognised
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.silent_check import ALGORITHMS, LEEWAY, LONGEST_SUBJECT
from idp_plugin.stated import groups_of, roles_of


class OidcTokens:
    """Reads token answers of one provider. Blocking."""

    def __init__(self, provider: OidcProvider) -> None:
        self._provider = provider

    def sign_in(self, answer: Mapping[str, Any]) -> SignIn:
        """Return who the tokens are for, and to which client.

        Args:
            answer: The provider's JSON, as it came from it.

        Raises:
            Unrecognised: Nobody could be told for certain.
            IdpUnavailable: No answer in time.
            IdpMisconfigured: The provider refuses our client.
        """
        for name in ("id_token", "access_token"):
            claims = self._signed(answer.get(name))
            if claims:
                return self._signed_in(claims, "token")
        return self._signed_in(self._introspected(answer.get("access_token")), "introspection")

    def _signed(self, token: Any) -> dict[str, Any]:
        """Return the claims of a token that holds and names somebody; empty for any other."""
        if not isinstance(token, str) or token.count(".") != 2:
            return {}
        try:
            claims = self._decode(token)
        except (JoseError, ValueError):
            return {}
        return claims if self._names_somebody(claims) else {}

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(token, self._provider.keys(), algorithms=ALGORITHMS).claims
        except (JoseError, ValueError):
            # The provider may have begun to sign with a new key.
            return jwt.decode(token, self._provider.keys(again=True), algorithms=ALGORITHMS).claims

    def _names_somebody(self, claims: Mapping[str, Any]) -> bool:
        subject, expires = claims.get("sub"), claims.get("exp")
        return (
            claims.get("iss") == self._provider.settings.issuer
            and isinstance(expires, int | float)
            and expires > time.time() - LEEWAY
            and isinstance(subject, str)
            and 0 < len(subject) <= LONGEST_SUBJECT
        )

    def _introspected(self, token: Any) -> dict[str, Any]:
        if not isinstance(token, str):
            raise Unrecognised("no_token")
        settings = self._provider.settings
        # Spec: RFC 6749 section 2.3.1, both parts are form-encoded before they are joined.
        client = (quote(settings.client_id, safe=""), quote(self._provider.secret, safe=""))
        response = self._provider.request(
            "POST", self._provider.endpoint("introspection_endpoint"), data={"token": token}, auth=client
        )
        try:
            said = response.json()
        except ValueError:
            said = None
        if not isinstance(said, dict) or said.get("active") is not True:
            raise Unrecognised("token_not_introspected")
        said = {"iss": settings.issuer, "exp": time.time(), **said}
        if not self._names_somebody(said):
            raise Unrecognised("token_names_nobody")
        return said

    def _signed_in(self, claims: Mapping[str, Any], verified_by: str) -> SignIn:
        return SignIn(
            Subject(self._provider.settings.issuer, claims["sub"]),
            str(claims.get("sid") or claims.get("session_state") or ""),
            str(claims.get("azp") or claims.get("client_id") or ""),
            username=str(claims.get("preferred_username") or claims.get("username") or ""),
            groups=groups_of(claims),
            roles=roles_of(claims),
            acr=str(claims.get("acr", "")),
            verified_by=verified_by,
            protocol="token",
        )
