"""The demo identity provider's side of OpenID Connect: authlib's grants, tied to our memory."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Payload, FlaskOAuth2Request
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Request, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core import OpenIDCode
from authlib.oidc.rpinitiated import EndSessionEndpoint, EndSessionRequest
from flask import Flask
from flask import request as flask_request
from joserfc.jwk import RSAKey

from idp_plugin.base import Identity
from idp_plugin.demo.provider_memory import (
    CODE_SECONDS,
    SCOPES,
    AuthorizationCode,
    DemoClient,
    IdpSession,
    ProviderMemory,
)

ID_TOKEN_SECONDS = 300
RESPONSE_MODES = ("query", "form_post")


@dataclass(frozen=True, slots=True)
class Provider:
    """What the endpoints share."""

    issuer: str
    clients: dict[str, DemoClient]
    memory: ProviderMemory
    key: RSAKey
    identity: Callable[[str], Identity | None]
    """Looks a subject up in the directory."""


def claims_of(identity: Identity, scope: str) -> dict[str, Any]:
    """Return what a relying party is told about a person."""
    scopes = scope.split()
    claims: dict[str, Any] = {"sub": identity.subject.id}
    if "profile" in scopes:
        claims |= {"preferred_username": identity.username, "name": identity.display_name}
    if "email" in scopes and identity.emails:
        claims |= {"email": identity.emails[0], "email_verified": True}
    if "groups" in scopes:
        claims["groups"] = sorted(identity.groups)
    return claims


class _LoopbackRequest(FlaskOAuth2Request):  # type: ignore[misc]  # authlib has no types
    """authlib's request, without its demand for HTTPS: this provider listens on loopback only."""

    def __init__(self, request: Any, issuer: str) -> None:
        OAuth2Request.__init__(
            self, method=request.method, uri=f"https{issuer[issuer.index(':') :]}", headers=request.headers
        )
        self._request = request
        self.payload = FlaskOAuth2Payload(request)


class _Server(AuthorizationServer):  # type: ignore[misc]  # authlib has no types
    def __init__(self, app: Flask, provider: Provider) -> None:
        super().__init__(app, query_client=provider.clients.get, save_token=self._keep)
        self.provider = provider

    def create_oauth2_request(self, request: Any) -> OAuth2Request:
        del request
        return _LoopbackRequest(flask_request, self.provider.issuer)

    def _keep(self, token: dict[str, Any], request: OAuth2Request) -> None:
        self.provider.memory.keep_token(token["access_token"], request.authorization_code)


class _CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]  # authlib has no types
    """Codes, each given out once."""

    def validate_authorization_request(self) -> str:
        redirect_uri: str = super().validate_authorization_request()
        if self.request.payload.data.get("response_mode", "query") not in RESPONSE_MODES:
            raise InvalidRequestError("Unknown 'response_mode'", redirect_uri=redirect_uri)
        return redirect_uri

    def create_authorization_response(self, redirect_uri: str, grant_user: IdpSession | None) -> Any:
        status, body, headers = super().create_authorization_response(redirect_uri, grant_user)
        if grant_user is None:
            return status, body, headers
        # Spec: OpenID Connect Session Management 1.0 section 2; here it is the `sid` itself, as in Keycloak.
        (name, location), *_ = headers
        return status, body, [(name, f"{location}&session_state={grant_user.sid}")]

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        asked = request.payload.data
        self.server.provider.memory.keep_code(
            AuthorizationCode(
                code=code,
                client_id=request.client.client_id,
                redirect_uri=request.payload.redirect_uri,
                scope=request.scope,
                nonce=asked.get("nonce"),
                code_challenge=asked.get("code_challenge"),
                code_challenge_method=asked.get("code_challenge_method"),
                session=request.user,
                expires_at=time.monotonic() + CODE_SECONDS,
            )
        )

    def query_authorization_code(self, code: str, client: DemoClient) -> AuthorizationCode | None:
        provider: Provider = self.server.provider
        return provider.memory.take_code(code, client.client_id)

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        """It was taken out when it was looked up: two requests at once get one answer."""

    def authenticate_user(self, authorization_code: AuthorizationCode) -> Identity | None:
        provider: Provider = self.server.provider
        return provider.identity(authorization_code.session.subject)


class _Pkce(CodeChallenge):  # type: ignore[misc]  # authlib has no types
    """S256, demanded of clients that are set so."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        if grant.request.client.requires_pkce and not grant.request.payload.data.get("code_challenge"):
            raise InvalidRequestError("Missing 'code_challenge'")
        super().validate_code_challenge(grant, redirect_uri)


class _OpenIdCode(OpenIDCode):  # type: ignore[misc]  # authlib has no types
    def __init__(self, provider: Provider) -> None:
        super().__init__(require_nonce=False)
        self._provider = provider

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        """Let relying parties check their nonces; ours is to repeat them."""
        del nonce, request
        return False

    def resolve_client_private_key(self, client: DemoClient) -> RSAKey:
        del client
        return self._provider.key

    def get_encode_header(self, client: DemoClient) -> dict[str, str]:
        del client
        return {"alg": "RS256", "kid": str(self._provider.key.kid)}

    def get_client_claims(self, client: DemoClient) -> dict[str, Any]:
        return {
            "iss": self._provider.issuer,
            "aud": client.client_id,
            "exp": int(time.time()) + ID_TOKEN_SECONDS,
        }

    def get_authorization_code_claims(self, authorization_code: AuthorizationCode) -> dict[str, Any]:
        claims: dict[str, Any] = super().get_authorization_code_claims(authorization_code)
        return claims | {"sid": authorization_code.session.sid}

    def generate_user_info(self, user: Identity, scope: str) -> dict[str, Any]:
        return claims_of(user, scope)


class _Issuer(IssuerParameter):  # type: ignore[misc]  # authlib has no types
    """Says who answers.

    Source: RFC 9207.
    """

    def __init__(self, server: _Server) -> None:
        self._issuer = server.provider.issuer
        super().__call__(server)

    def get_issuer(self) -> str:
        return self._issuer


class _EndSession(EndSessionEndpoint):  # type: ignore[misc]  # authlib has no types
    """Sign-out at the relying party's wish.

    Source: OpenID Connect RP-Initiated Logout 1.0.
    """

    def get_server_jwks(self) -> dict[str, Any]:
        return {"keys": [self.server.provider.key.as_dict(private=False)]}

    def get_algorithms(self) -> list[str]:
        return ["RS256"]

    def end_session(self, end_session_request: EndSessionRequest) -> None:
        claims = end_session_request.id_token_claims or {}
        self.server.provider.memory.end(str(claims.get("sid", "")))


def create_server(app: Flask, provider: Provider) -> AuthorizationServer:
    """Register authorization, token and end-session handling with a Flask application."""
    app.config["OAUTH2_SCOPES_SUPPORTED"] = list(SCOPES)
    server = _Server(app, provider)
    server.register_grant(_CodeGrant, [_Pkce(required=False), _OpenIdCode(provider)])
    server.register_extension(_Issuer)
    server.register_endpoint(_EndSession)
    return server
