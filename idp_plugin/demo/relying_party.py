"""The demo's relying party: an application that lets people in by OpenID Connect and shows what it learnt.

It believes nothing: state, nonce, PKCE, issuer, signature and audience are all checked, so that a sign-in
which the gateway held and released is shown to be a whole one.

Source: OpenID Connect Core 1.0 section 3.1; RFC 7636; RFC 9207; RFC 9700 section 2.1.
"""

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from flask import Flask, Response, make_response, redirect, render_template, request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

SESSION_COOKIE = "demo_application"
_SIGN_IN_SECONDS = 3600
_PASSED_ON = ("prompt", "max_age", "login_hint", "ui_locales", "response_mode")
"""Parameters of `/sign-in` that go to the identity provider as they are."""


class SignInFailed(Exception):
    """The sign-in cannot be accepted; `why` is shown to the person."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class _Pending:
    """A sign-in that was sent off."""

    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    started: float
    browser: str = field(repr=False)
    """Value of the browser's cookie."""


@dataclass(frozen=True, slots=True)
class _SignedIn:
    claims: Mapping[str, Any]
    id_token: str = field(repr=False)


class RelyingParty:
    """Talks to the identity provider. Thread-safe."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, origin: str) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._origin = origin
        self._http = httpx.Client(trust_env=False, timeout=30)
        self._metadata: Mapping[str, Any] | None = None
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}
        self._signed_in: dict[str, _SignedIn] = {}

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def signed_in(self, browser: str) -> _SignedIn | None:
        """Return who is signed in."""
        return self._signed_in.get(browser)

    def authorization_address(self, browser: str, more: Mapping[str, str]) -> str:
        """Begin a sign-in and return where to send the browser."""
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        pending = _Pending(secrets.token_urlsafe(32), verifier, time.monotonic(), browser)
        with self._lock:
            self._pending[state] = pending
        return str(
            prepare_grant_uri(
                self._discovered()["authorization_endpoint"],
                client_id=self._client_id,
                response_type="code",
                redirect_uri=f"{self._origin}/callback",
                scope="openid profile email groups",
                state=state,
                nonce=pending.nonce,
                code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
                **more,
            )
        )

    def accept(self, browser: str, answer: Mapping[str, str]) -> str:
        """Check an authorization answer and sign the person in; return the new cookie value.

        Raises:
            SignInFailed: Anything is not as it has to be.
        """
        with self._lock:
            pending = self._pending.pop(answer.get("state", ""), None)
        # Security: the browser that comes back is the one that was sent off.
        if pending is None or not secrets.compare_digest(pending.browser, browser):
            raise SignInFailed("unknown or used state")
        if time.monotonic() - pending.started > _SIGN_IN_SECONDS:
            raise SignInFailed("too late")
        if answer.get("iss") != self._issuer:
            raise SignInFailed("answer of another issuer")
        if "error" in answer:
            raise SignInFailed(answer["error"])
        tokens = self._redeem(answer.get("code", ""), pending)
        claims = self._verified(tokens, pending.nonce)
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            self._signed_in.pop(browser, None)
            self._signed_in[cookie] = _SignedIn(claims, tokens["id_token"])
        return cookie

    def sign_out(self, browser: str) -> str:
        """Forget the person and return where the identity provider signs out."""
        with self._lock:
            gone = self._signed_in.pop(browser, None)
        query = {"client_id": self._client_id, "post_logout_redirect_uri": f"{self._origin}/"}
        if gone:
            query["id_token_hint"] = gone.id_token
        return f"{self._discovered()['end_session_endpoint']}?{urlencode(query)}"

    def _discovered(self) -> Mapping[str, Any]:
        """Return the provider's metadata; asked at first use, so that start order does not matter."""
        if self._metadata is None:
            answer = self._http.get(f"{self._issuer}/.well-known/openid-configuration")
            answer.raise_for_status()
            self._metadata = answer.json()
        return self._metadata

    def _redeem(self, code: str, pending: _Pending) -> Mapping[str, Any]:
        answer = self._http.post(
            self._discovered()["token_endpoint"],
            auth=(self._client_id, self._client_secret),
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": f"{self._origin}/callback",
                "code_verifier": pending.verifier,
            },
        )
        tokens: Mapping[str, Any] = answer.json()
        if answer.status_code != 200:
            raise SignInFailed(str(tokens.get("error", "no tokens")))
        return tokens

    def _verified(self, tokens: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        keys = KeySet.import_key_set(self._http.get(self._discovered()["jwks_uri"]).json())
        try:
            token = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": self._issuer},
                    "aud": {"essential": True, "value": self._client_id},
                    "nonce": {"essential": True, "value": nonce},
                },
                params={"nonce": nonce, "client_id": self._client_id, "access_token": tokens["access_token"]},
            )
            claims.validate(leeway=5)
        except JoseError as error:
            raise SignInFailed(error.error) from error
        return dict(claims)


def create_relying_party(issuer: str, client_id: str, client_secret: str, origin: str) -> Flask:
    """Build the application.

    Args:
        issuer: The identity provider's; asked through the gateway like everybody's.
        client_id: Of this relying party.
        client_secret: Its secret.
        origin: Where people reach this application, without a slash at the end.
    """
    app = Flask(__name__)
    party = RelyingParty(issuer, client_id, client_secret, origin)
    app.extensions["relying_party"] = party

    @app.get("/")
    def home() -> Response:
        return _page("application.html", who=party.signed_in(_browser()))

    @app.get("/sign-in")
    def sign_in() -> Response:
        browser = _browser() or secrets.token_urlsafe(32)
        more = {name: value for name, value in request.args.items() if name in _PASSED_ON}
        response = make_response(redirect(party.authorization_address(browser, more), 303))
        return _with_cookie(response, browser)

    @app.route("/callback", methods=["GET", "POST"])
    def callback() -> Response:
        # Spec: the answer is in the query, or in the body with form_post; never in both.
        answer = request.form if request.method == "POST" else request.args
        try:
            cookie = party.accept(_browser(), answer.to_dict())
        except SignInFailed as error:
            return _page("application_error.html", 400, why=error.why)
        return _with_cookie(make_response(redirect("/", 303)), cookie)

    @app.post("/sign-out")
    def sign_out() -> Response:
        response = make_response(redirect(party.sign_out(_browser()), 303))
        response.delete_cookie(SESSION_COOKIE)
        return response

    def _page(template: str, status: int = 200, **values: Any) -> Response:
        response = make_response(render_template(template, **values), status)
        response.headers["Cache-Control"] = "no-store"
        # Browsers apply form-action to where signing out redirects, too.
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
            f"form-action 'self' {issuer}"
        )
        return response

    return app


def _browser() -> str:
    return request.cookies.get(SESSION_COOKIE, "")


def _with_cookie(response: Response, value: str) -> Response:
    response.set_cookie(SESSION_COOKIE, value, httponly=True, samesite="Lax", secure=request.is_secure)
    return response
