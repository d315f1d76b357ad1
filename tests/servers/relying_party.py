"""An application that people sign in to, written on authlib and knowing nothing of Sparekey.

It verifies what a relying party has to: state, nonce, PKCE, issuer, audience, signature. What it verified is
in `sign_ins`, what it would not take in `refusals`.
"""

import contextlib
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pytest
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, request
from joserfc.errors import JoseError
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from tests.servers.processes import free_port

ResponseMode = Literal["query", "form_post"]

HOME = """\
<!doctype html><html lang="en"><title>The application</title>
<a id="sign-in" href="{start}">Sign in</a>"""

SIGNED_IN = """\
<!doctype html><html lang="en"><title>The application</title>
<h1 id="signed-in">Signed in as {name}</h1>"""

REFUSED = """\
<!doctype html><html lang="en"><title>The application</title>
<h1 id="refused">Not signed in</h1><p>{reason}</p>"""


class _NotTakenError(Exception):
    """The answer does not verify."""


@dataclass(slots=True)
class RelyingParty:
    """A running relying party."""

    issuer: str
    """As its tokens must state it."""
    client_id: str
    """At the identity provider."""
    client_secret: str | None
    """`None` for a public client."""
    response_mode: ResponseMode
    """How the code comes."""
    ca: str | None
    """File with the authority of an `https` issuer."""
    address: str = ""
    """Its origin."""
    sign_ins: list[dict[str, Any]] = field(default_factory=list)
    """Claims of every verified ID token, oldest first."""
    refusals: list[str] = field(default_factory=list)
    """Why an answer was not taken, oldest first."""
    _pending: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def start(self) -> str:
        """Where a sign-in starts; query parameters are handed on to the identity provider."""
        return f"{self.address}/sign-in"

    @property
    def callback(self) -> str:
        """The redirect address to register."""
        return f"{self.address}/callback"

    def application(self) -> Flask:
        """Build the WSGI application."""
        app = Flask("relying_party")
        app.secret_key = secrets.token_bytes(32)
        # Ports share cookies: two relying parties on one host must not share theirs.
        app.config["SESSION_COOKIE_NAME"] = f"application_{secrets.token_hex(4)}"
        provider = OAuth(app).register(
            "provider",
            client_id=self.client_id,
            client_secret=self.client_secret,
            server_metadata_url=f"{self.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "client_secret_basic" if self.client_secret else "none",
                "verify": self.ca or True,
            },
        )
        app.add_url_rule("/", view_func=self._home)
        app.add_url_rule("/sign-in", view_func=lambda: self._start(provider), endpoint="start")
        callback = app.route("/callback", methods=["GET", "POST"], endpoint="callback")
        callback(lambda: self._callback(provider))
        return app

    def _home(self) -> str:
        return HOME.format(start=self.start)

    def _start(self, provider: Any) -> Response:
        wishes = dict(request.args)
        if self.response_mode == "query":
            return provider.authorize_redirect(self.callback, **wishes)
        # A form that another site posts comes without our Lax cookie, so the state waits here.
        begun = provider.create_authorization_url(self.callback, response_mode="form_post", **wishes)
        self._pending[begun["state"]] = begun
        return redirect(begun["url"])

    def _callback(self, provider: Any) -> tuple[str, int]:
        try:
            claims = self._claims(provider)
        except (AuthlibBaseError, JoseError, _NotTakenError) as error:
            self.refusals.append(str(error))
            return REFUSED.format(reason=type(error).__name__), 400
        self.sign_ins.append(claims)
        return SIGNED_IN.format(name=claims.get("preferred_username", claims["sub"])), 200

    def _claims(self, provider: Any) -> dict[str, Any]:
        came_as_form = request.method == "POST"
        if came_as_form != (self.response_mode == "form_post"):
            raise _NotTakenError(f"the answer came by {request.method}")
        answer = request.form if came_as_form else request.args
        if answer.get("iss", self.issuer) != self.issuer:
            raise _NotTakenError("another issuer answered")
        if came_as_form:
            return self._claims_of_form(provider)
        return dict(provider.authorize_access_token(claims_options=self._expected)["userinfo"])

    def _claims_of_form(self, provider: Any) -> dict[str, Any]:
        begun = self._pending.pop(request.form.get("state", ""), None)
        if begun is None:
            raise _NotTakenError("the state is unknown or used")
        if "error" in request.form:
            raise _NotTakenError(request.form["error"])
        token = provider.fetch_access_token(
            code=request.form["code"], redirect_uri=self.callback, code_verifier=begun["code_verifier"]
        )
        return dict(provider.parse_id_token(token, nonce=begun["nonce"], claims_options=self._expected))

    @property
    def _expected(self) -> dict[str, Any]:
        return {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self.client_id},
            "nonce": {"essential": True},
        }


@contextlib.contextmanager
def serving(party: RelyingParty, host: str = "127.0.0.1") -> Iterator[RelyingParty]:
    """Serve a relying party from a thread, at a free port."""
    port = free_port()
    party.address = f"http://{host}:{port}"
    server = make_server(host, port, party.application(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="relying party")
    thread.start()
    try:
        yield party
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class StartRelyingParty(Protocol):
    """Starts a relying party until the test ends."""

    def __call__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        response_mode: ResponseMode = "query",
        ca: str | None = None,
        host: str = "127.0.0.1",
    ) -> RelyingParty:
        """Return the running relying party; its `callback` has to be registered at the issuer."""


@pytest.fixture
def relying_party() -> Iterator[StartRelyingParty]:
    """Call with the issuer and the client."""
    with contextlib.ExitStack() as stack:

        def start(
            issuer: str,
            client_id: str,
            client_secret: str | None = None,
            *,
            response_mode: ResponseMode = "query",
            ca: str | None = None,
            host: str = "127.0.0.1",
        ) -> RelyingParty:
            party = RelyingParty(issuer, client_id, client_secret, response_mode, ca)
            return stack.enter_context(serving(party, host))

        yield start
