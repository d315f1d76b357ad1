"""The demo identity provider: OpenID Connect over the demo directory, with a sign-in page of its own.

It stands behind the gateway: every address that it states is built from its issuer, which is the
gateway's public origin, never from the request's `Host`. Passwords are checked by binding to the
directory, so that what a reset writes is what signs in. It has no link for forgotten passwords: the
gateway adds that.

Source: OpenID Connect Core 1.0; RFC 6749; RFC 7636; RFC 9207; OAuth 2.0 Form Post Response Mode.
"""

import base64
import hashlib
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from flask import Flask, Response, make_response, redirect, render_template, request
from joserfc.jwk import RSAKey

from idp_plugin.base import Identity, PasswordState, Subject
from idp_plugin.demo.provider_grants import RESPONSE_MODES, Provider, claims_of, create_server
from idp_plugin.demo.provider_memory import SCOPES, DemoClient, IdpSession, ProviderMemory
from idp_plugin.demo.provider_wording import WORDING
from idp_plugin.errors import WrongPassword
from idp_plugin.ldap.openldap import OpenLdap

SESSION_COOKIE = "demo_idp_session"
"""The cookie that carries the provider's session: what `idp.session_cookies` names in the demo."""
SESSIONS_PATH = "/admin/sessions/end"
"""Where all sessions of a person are ended: `idp.sessions_path` in the demo."""

# The one script of the form_post page; the policy allows exactly this text.
SUBMIT_SCRIPT = "document.forms[0].submit();"
_SCRIPT_HASH = base64.b64encode(hashlib.sha256(SUBMIT_SCRIPT.encode()).digest()).decode()


def create_provider(issuer: str, clients: Iterable[DemoClient], people: OpenLdap) -> Flask:
    """Build the provider as a WSGI application.

    Args:
        issuer: The public origin, without a slash at the end.
        clients: Everybody who may ask.
        people: The directory, whose `Identity.subject.source` is the issuer.
    """
    app = Flask(__name__)
    provider = Provider(
        issuer,
        {client.client_id: client for client in clients},
        ProviderMemory(),
        RSAKey.generate_key(2048, auto_kid=True),
        lambda subject: people.get(Subject(issuer, subject)),
    )
    app.extensions["memory"] = provider.memory
    server = create_server(app, provider)
    _SignInPages(app, provider, server, people).register()
    _register_machine_endpoints(app, provider, server)
    app.after_request(_harden)
    return app


def _harden(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    # Not no-referrer: browsers would send `Origin: null` with the sign-in form.
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Content-Security-Policy", _content_policy())
    return response


def _content_policy(*, form_target: str = "", script: bool = False) -> str:
    parts = [
        "default-src 'none'",
        "style-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        f"form-action 'self' {form_target}".rstrip(),
    ]
    if script:
        parts.append(f"script-src 'sha256-{_SCRIPT_HASH}'")
    return "; ".join(parts)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _language() -> str:
    asked = request.args.get("ui_locales", "").split()
    asked += [language for language, _ in request.accept_languages]
    known = (value[:2].lower() for value in asked if value[:2].lower() in WORDING)
    return next(known, "en")


def _page(template: str, status: int = 200, *, policy: str = "", **values: Any) -> Response:
    language = _language()
    response = make_response(
        render_template(template, language=language, text=WORDING[language], **values), status
    )
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Accept-Language"
    response.headers["Content-Security-Policy"] = policy or _content_policy()
    return response


class _SignInPages:
    """The endpoints that people meet."""

    def __init__(self, app: Flask, provider: Provider, server: AuthorizationServer, people: OpenLdap) -> None:
        self._app = app
        self._provider = provider
        self._server = server
        self._people = people

    def register(self) -> None:
        """Add the addresses."""
        self._app.add_url_rule("/authorize", "authorize", self.authorize, methods=["GET", "POST"])
        self._app.add_url_rule("/sign-in", "show_sign_in", self.show_sign_in, methods=["GET"])
        self._app.add_url_rule("/sign-in", "sign_in", self.sign_in, methods=["POST"])
        self._app.add_url_rule("/sign-out", "sign_out", self.sign_out, methods=["GET", "POST"])

    def authorize(self) -> Response:
        """Answer at once where a session is good enough, else ask for the password."""
        session = self._usable_session()
        try:
            grant = self._server.get_consent_grant(end_user=session)
        except OAuth2Error as error:
            return self._refuse(error)
        if session is None or getattr(grant, "prompt", None) == "login":
            return self._form(grant)
        return self._answer(grant, session)

    def show_sign_in(self) -> Response:
        """Show the form for the request in the query: where a failed attempt, or a reset, comes back."""
        try:
            return self._form(self._server.get_consent_grant(end_user=None))
        except OAuth2Error as error:
            return self._refuse(error)

    def sign_in(self) -> Response:
        """Check name and password; answer the request in the query."""
        # Security: nobody may be signed in from another site's form.
        if request.headers.get("Origin", self._provider.issuer) != self._provider.issuer:
            return _page("request_error.html", 403)
        try:
            grant = self._server.get_consent_grant(end_user=None)
        except OAuth2Error as error:
            if error.error != "login_required":
                return self._refuse(error)
            return _page("request_error.html", 400)
        username, password = request.form.get("username", ""), request.form.get("password", "")
        problem, identity = self._check(username.strip(), password)
        if problem or identity is None:
            return self._form(grant, username=username, problem=problem)
        previous = request.cookies.get(SESSION_COOKIE, "")
        cookie, session = self._provider.memory.sign_in(identity.subject.id, previous)
        response = self._answer(grant, session)
        response.set_cookie(
            SESSION_COOKIE,
            cookie,
            httponly=True,
            samesite="Lax",
            secure=self._provider.issuer.startswith("https:"),
        )
        return response

    def sign_out(self) -> Response:
        """End the session, after a question where the request does not prove whose it is."""
        try:
            asked = self._server.validate_endpoint_request("end_session")
        except OAuth2Error as error:
            return self._refuse(error)
        if asked.needs_confirmation and request.method == "GET":
            return _page("confirm_sign_out.html")
        session = self._provider.memory.session(request.cookies.get(SESSION_COOKIE, ""))
        if session:
            self._provider.memory.end(session.sid)
        answer = self._server.create_endpoint_response("end_session", asked) or _page("signed_out.html")
        answer.delete_cookie(SESSION_COOKIE)
        return make_response(answer)

    def _usable_session(self) -> IdpSession | None:
        """Return the browser's session if it is fresh enough for `max_age`."""
        session = self._provider.memory.session(request.cookies.get(SESSION_COOKIE, ""))
        oldest = request.values.get("max_age", "")
        if session and oldest.isdecimal() and time.time() - session.authenticated_at >= int(oldest):
            return None
        return session

    def _check(self, username: str, password: str) -> tuple[str, Identity | None]:
        identity = self._people.find(username)
        if identity is None or not password:
            return "wrong", None
        try:
            state = self._people.verify_password(identity.account, password)
        except WrongPassword:
            return "wrong", None
        if state is not PasswordState.USABLE:
            return "expired", None
        return "", identity

    def _form(self, grant: Any, *, username: str | None = None, problem: str = "") -> Response:
        if username is None:
            username = request.values.get("login_hint", "")
        query = urlencode([(name, value) for name, value in request.args.items(multi=True)])
        if request.method == "POST" and request.path == "/authorize":
            query = urlencode([(name, value) for name, value in request.form.items(multi=True)])
        return _page(
            "sign_in.html",
            # Browsers apply form-action to where the answer redirects, too.
            policy=_content_policy(form_target=_origin(grant.redirect_uri)),
            action=f"/sign-in?{query}",
            username=username,
            problem=problem,
        )

    def _answer(self, grant: Any, session: IdpSession) -> Response:
        response = self._server.create_authorization_response(grant_user=session, grant=grant)
        return _in_asked_mode(response, str(grant.redirect_uri))

    def _refuse(self, error: OAuth2Error) -> Response:
        """Send an error back where the request came from, or to a page where that is not known."""
        if not getattr(error, "redirect_uri", None):
            return _page("request_error.html", 400)
        error.state = request.values.get("state")
        response = self._server.handle_error_response(None, error)
        separator = "&" if "?" in response.location else "?"
        response.location += f"{separator}{urlencode({'iss': self._provider.issuer})}"
        return _in_asked_mode(response, error.redirect_uri)


def _in_asked_mode(response: Response, redirect_uri: str) -> Response:
    """Turn a redirect into a form that submits itself, where the request asked for `form_post`."""
    if request.values.get("response_mode", "query") != "form_post" or response.location is None:
        return response
    fields = parse_qsl(response.location[len(redirect_uri) + 1 :], keep_blank_values=True)
    return _page(
        "form_post.html",
        policy=_content_policy(form_target=_origin(redirect_uri), script=True),
        action=redirect_uri,
        fields=fields,
        script=SUBMIT_SCRIPT,
    )


def _register_machine_endpoints(app: Flask, provider: Provider, server: AuthorizationServer) -> None:
    @app.get("/.well-known/openid-configuration")
    def discovery() -> Mapping[str, Any]:
        return _metadata(provider.issuer)

    @app.get("/jwks.json")
    def jwks() -> Mapping[str, Any]:
        return {"keys": [provider.key.as_dict(private=False)]}

    @app.post("/token")
    def token() -> Response:
        answer: Response = server.create_token_response()
        return answer

    @app.route("/userinfo", methods=["GET", "POST"])
    def userinfo() -> tuple[Mapping[str, Any], int, Mapping[str, str]]:
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        held = provider.memory.token(value) if kind.lower() == "bearer" else None
        identity = provider.identity(held.session.subject) if held else None
        if held is None or identity is None:
            return {"error": "invalid_token"}, 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return claims_of(identity, held.scope), 200, {}

    @app.post(SESSIONS_PATH)
    def end_sessions() -> tuple[Mapping[str, Any], int, Mapping[str, str]]:
        given = request.authorization
        client = provider.clients.get(given.username or "") if given and given.type == "basic" else None
        secret = (given.password if given else None) or ""
        if client is None or not client.may_end_sessions or not client.check_client_secret(secret):
            return {"error": "invalid_client"}, 401, {"WWW-Authenticate": 'Basic realm="sessions"'}
        return {"remaining": provider.memory.end_all(request.form.get("subject", ""))}, 200, {}

    @app.get("/")
    def home() -> Response:
        return make_response(redirect("/sign-out", 302))


def _metadata(issuer: str) -> Mapping[str, Any]:
    """Return the discovery document.

    Source: OpenID Connect Discovery 1.0 section 3.
    """
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "end_session_endpoint": f"{issuer}/sign-out",
        "jwks_uri": f"{issuer}/jwks.json",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login"],
        "ui_locales_supported": list(WORDING),
        "claims_supported": [
            "sub",
            "sid",
            "auth_time",
            "amr",
            "preferred_username",
            "name",
            "email",
            "groups",
        ],
        "authorization_response_iss_parameter_supported": True,
    }
