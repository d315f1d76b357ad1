"""A relying party on authlib and joserfc: what a server application does, without a server of its own."""

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken, HybridIDToken, ImplicitIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

CLAIMS = {"code": CodeIDToken, "hybrid": HybridIDToken, "implicit": ImplicitIDToken}


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that was begun."""

    session: OAuth2Session = field(repr=False)
    flow: str
    issuer: str
    state: str
    nonce: str
    verifier: str
    token_endpoint: str


@dataclass(slots=True)
class AuthlibClient:
    """Begins sign-ins and verifies their answers; the same two steps as `OpenidClient`."""

    http: httpx.Client = field(repr=False)
    pending: dict[str, Pending] = field(default_factory=dict)

    def begin(self, client: Mapping[str, str], flow: str, send: str, **parameters: str) -> tuple[str, str]:
        """Begin a sign-in; return its id and where the browser goes."""
        assert send == "plain"
        metadata = self._metadata(client["issuer"])
        session = OAuth2Session(
            client["client_id"],
            client.get("client_secret"),
            scope="openid profile",
            redirect_uri=client["redirect_uri"],
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if client.get("client_secret") else "none",
        )
        session.trust_env = False
        nonce, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
        wishes = {"nonce": nonce, **({"code_verifier": verifier} if flow == "code" else {}), **parameters}
        url, state = session.create_authorization_url(metadata["authorization_endpoint"], **wishes)
        self.pending[state] = Pending(
            session, flow, client["issuer"], state, nonce, verifier, metadata["token_endpoint"]
        )
        return state, url

    def finish(self, begun: str, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Verify an answer and redeem it; return `claims` and `tokens`, or why it was `refused`."""
        pending = self.pending[begun]
        parts = urlsplit(url)
        answer = dict(form or parse_qsl(parts.fragment or parts.query))
        try:
            if answer.get("state") != pending.state or answer.get("iss", pending.issuer) != pending.issuer:
                return {"refused": "not_ours"}
            if "error" in answer:
                return {"refused": answer["error"], "description": answer.get("error_description", "")}
            return self._verified(pending, answer)
        except (AuthlibBaseError, JoseError) as error:
            return {"refused": getattr(error, "error", type(error).__name__), "description": str(error)}

    def _verified(self, pending: Pending, answer: Mapping[str, str]) -> dict[str, Any]:
        tokens = dict(answer)
        claims = self._claims(pending, pending.flow, answer, answer) if "id_token" in answer else {}
        if "code" in answer:
            verifier = {"code_verifier": pending.verifier} if pending.flow == "code" else {}
            tokens = pending.session.fetch_token(pending.token_endpoint, code=answer["code"], **verifier)
            again = self._claims(pending, "code", tokens, tokens)
            assert claims.get("sub", again["sub"]) == again["sub"]
            claims = again
        return {"claims": claims, "tokens": tokens}

    def _claims(
        self, pending: Pending, flow: str, holder: Mapping[str, str], answer: Mapping[str, str]
    ) -> dict[str, Any]:
        keys = KeySet.import_key_set(self.http.get(self._metadata(pending.issuer)["jwks_uri"]).json())
        token = jwt.decode(holder["id_token"], keys, algorithms=["RS256"])
        expected = {
            "iss": {"essential": True, "value": pending.issuer},
            "aud": {"essential": True, "value": pending.session.client_id},
            "nonce": {"essential": True, "value": pending.nonce},
        }
        about = {"nonce": pending.nonce, "client_id": pending.session.client_id, **answer}
        claims = CLAIMS[flow](token.claims, token.header, expected, about)
        claims.validate(leeway=5)
        return dict(claims)

    def _metadata(self, issuer: str) -> dict[str, Any]:
        return self.http.get(f"{issuer}/.well-known/openid-configuration").raise_for_status().json()


@pytest.fixture(scope="session")
def authlib_client() -> Iterator[AuthlibClient]:
    """One for the run."""
    with contextlib.closing(httpx.Client(trust_env=False, timeout=60)) as http:
        yield AuthlibClient(http)
