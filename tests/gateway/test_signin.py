"""Sparekey as relying party, against a provider whose every answer can be forged."""

import datetime as dt
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from gateway.signin import LOGOUT_EVENT, PortalSignIn, SignInRefused
from idp_plugin.base import Subject
from store.expiring import Expiring
from store.vault import Vault
from tests.servers.valkey import Valkey

ISSUER = "https://sso.example.org"
CALLBACK = f"{ISSUER}/sparekey/oidc/callback"
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
OURS = ECKey.generate_key("P-256", {"kid": "ours", "use": "sig"})
FOREIGN = ECKey.generate_key("P-256", {"kid": "ours", "use": "sig"})


@dataclass
class ForgingProvider:
    """What `OidcProvider` offers, with answers as a test wants them."""

    claims: dict[str, Any] = field(default_factory=dict)
    key: ECKey = field(default_factory=lambda: OURS)
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "ES256", "kid": "ours"})
    status: int = 200
    redeemed: list[dict[str, str]] = field(default_factory=list)
    settings: Any = field(
        default_factory=lambda: SimpleNamespace(
            issuer=ISSUER, client_id="sparekey", scope="openid profile email"
        )
    )
    secret: str = "s:e c"
    metadata: dict[str, str] = field(default_factory=dict)

    def endpoint(self, name: str) -> str:
        return f"{ISSUER}/{name}"

    def keys(self, *, again: bool = False) -> KeySet:
        return KeySet([OURS])

    def request(
        self, method: str, address: str, *, data: dict[str, str], auth: tuple[str, str]
    ) -> httpx.Response:
        assert (method, address, auth) == ("POST", f"{ISSUER}/token_endpoint", ("sparekey", "s%3Ae%20c"))
        self.redeemed.append(data)
        return httpx.Response(self.status, json={"id_token": self.token(), "access_token": "a"})

    def token(self) -> str:
        return jwt.encode(self.header, self.claims, self.key)


@dataclass
class Portal:
    provider: ForgingProvider
    signin: PortalSignIn
    ended: list[str]

    def begin(self, browser: str = "browser") -> dict[str, str]:
        """Begin, and let the provider's token fit; returns the query that the browser was sent with."""
        query = {
            name: values[0]
            for name, values in parse_qs(
                urlsplit(self.signin.begin("/sparekey/", browser=browser, now=NOW)).query
            ).items()
        }
        self.provider.claims = {
            "iss": ISSUER,
            "aud": "sparekey",
            "sub": "s-1",
            "sid": "sid-1",
            "nonce": query["nonce"],
            "iat": int(NOW.timestamp()),
            "exp": int(NOW.timestamp()) + 60,
            "preferred_username": "alice",
            "groups": ["staff"],
            "amr": ["pwd"],
        }
        return query

    def finish(self, query: dict[str, str], browser: str = "browser", **answer: str):
        return self.signin.finish(
            {"state": query["state"], "code": "c", "iss": ISSUER, **answer}, browser=browser, now=NOW
        )


@pytest.fixture
def portal(valkey: Valkey) -> Portal:
    expiring = Expiring(valkey.url, Vault([bytes(32)]))
    provider, ended = ForgingProvider(), []
    yield Portal(
        provider, PortalSignIn(provider, expiring, redirect_uri=CALLBACK, on_logout=ended.append), ended
    )
    expiring.close()


def test_a_sign_in_is_verified_and_tells_who(portal: Portal) -> None:
    query = portal.begin()
    signed_in = portal.finish(query)
    assert signed_in.subject == Subject(ISSUER, "s-1")
    assert (signed_in.idp_session, signed_in.username, signed_in.groups) == ("sid-1", "alice", {"staff"})
    assert signed_in.next_path == "/sparekey/"


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({}, ""),
        ({"email": "a@x.example"}, "a@x.example"),
        ({"email": "a@x.example", "email_verified": True}, "a@x.example"),
        ({"email": "a@x.example", "email_verified": "true"}, "a@x.example"),
    ],
)
def test_an_address_is_told_as_the_provider_states_it(
    portal: Portal, stated: dict[str, Any], told: str
) -> None:
    query = portal.begin()
    portal.provider.claims |= stated
    assert portal.finish(query).email == told


@pytest.mark.parametrize("stated", [False, "false", "False", 0])
def test_an_address_that_nobody_verified_is_not_told(portal: Portal, stated: object) -> None:
    query = portal.begin()
    portal.provider.claims |= {"email": "boss@x.example", "email_verified": stated}
    assert portal.finish(query).email == ""


def test_groups_that_are_none_differ_from_groups_that_are_not_stated(portal: Portal) -> None:
    query = portal.begin()
    assert portal.finish(query).unstated == {"roles"}
    query = portal.begin()
    portal.provider.claims |= {"groups": None, "roles": []}
    assert portal.finish(query).unstated == {"groups"}


def test_the_request_carries_pkce_and_exactly_our_callback(portal: Portal) -> None:
    query = portal.begin()
    portal.finish(query)
    assert query["redirect_uri"] == CALLBACK
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert query["code_challenge"] == create_s256_code_challenge(portal.provider.redeemed[0]["code_verifier"])
    assert "secret" not in query


def test_an_answer_is_good_once(portal: Portal) -> None:
    query = portal.begin()
    portal.finish(query)
    with pytest.raises(SignInRefused, match="unknown_state"):
        portal.finish(query)


def test_an_answer_is_good_in_the_browser_that_began_only(portal: Portal) -> None:
    with pytest.raises(SignInRefused, match="unknown_state"):
        portal.finish(portal.begin(), browser="another")
    assert portal.provider.redeemed == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"state": "made-up"}, "unknown_state"),
        ({"state": ""}, "unknown_state"),
        ({"iss": "https://evil.example"}, "foreign_issuer"),
        ({"error": "access_denied"}, "access_denied"),
        ({"code": ""}, "no_code"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_before_its_code_is_used(
    portal: Portal, answer: dict[str, str], why: str
) -> None:
    with pytest.raises(SignInRefused, match=why):
        portal.finish(portal.begin(), **answer)
    assert portal.provider.redeemed == []


@pytest.mark.parametrize(
    "forged",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": ["sparekey", "another"]},
        {"aud": ["sparekey", "another"], "azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": ""},
        {"sub": None},
        {"sub": 7},
        {"sub": "s" * 256},
        {"exp": int(NOW.timestamp()) - 60},
        {"exp": None},
        {"iat": int(NOW.timestamp()) + 600},
        {"nbf": int(NOW.timestamp()) + 600},
    ],
)
def test_a_token_with_a_foreign_claim_is_refused(portal: Portal, forged: dict[str, Any]) -> None:
    query = portal.begin()
    portal.provider.claims = {
        name: value for name, value in (portal.provider.claims | forged).items() if value is not None
    }
    with pytest.raises(SignInRefused):
        portal.finish(query)


def test_a_token_of_another_key_is_refused(portal: Portal) -> None:
    query = portal.begin()
    portal.provider.key = FOREIGN
    with pytest.raises(SignInRefused, match="token_not_valid"):
        portal.finish(query)


def test_an_unsigned_token_is_refused(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    query = portal.begin()
    head, body, _ = portal.provider.token().split(".")
    del head
    monkeypatch.setattr(portal.provider, "token", lambda: f"eyJhbGciOiJub25lIn0.{body}.")
    with pytest.raises(SignInRefused, match="token_not_valid"):
        portal.finish(query)


def test_a_code_that_is_not_redeemed_signs_nobody_in(portal: Portal) -> None:
    query = portal.begin()
    portal.provider.status = 400
    with pytest.raises(SignInRefused, match="code_not_redeemed"):
        portal.finish(query)


def logout_claims(**other: Any) -> dict[str, Any]:
    claims = {
        "iss": ISSUER,
        "aud": "sparekey",
        "sid": "sid-1",
        "sub": "s-1",
        "jti": "once",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
        "events": {LOGOUT_EVENT: {}},
    }
    return {name: value for name, value in (claims | other).items() if value is not None}


def test_a_logout_token_ends_its_session_and_is_good_once(portal: Portal) -> None:
    portal.provider.claims = logout_claims()
    token = portal.provider.token()
    told = portal.signin.logged_out(token, now=NOW)
    assert (told.idp_session, told.subject) == ("sid-1", Subject(ISSUER, "s-1"))
    assert portal.ended == ["sid-1"]
    with pytest.raises(SignInRefused, match="replayed"):
        portal.signin.logged_out(token, now=NOW)


@pytest.mark.parametrize(
    "forged",
    [
        {"aud": "another-client"},
        {"iss": "https://evil.example"},
        {"events": None},
        {"events": {"http://schemas.example/other": {}}},
        {"events": [LOGOUT_EVENT]},
        {"nonce": "n"},
        {"jti": None},
        {"jti": ""},
        {"iat": int(NOW.timestamp()) - 3600},
        {"iat": None},
        {"sid": None, "sub": None},
        {"sid": 7},
    ],
)
def test_a_forged_logout_token_ends_nothing(portal: Portal, forged: dict[str, Any]) -> None:
    portal.provider.claims = logout_claims(**forged)
    with pytest.raises(SignInRefused):
        portal.signin.logged_out(portal.provider.token(), now=NOW)
    assert portal.ended == []


def test_a_logout_token_of_another_key_ends_nothing(portal: Portal) -> None:
    portal.provider.claims, portal.provider.key = logout_claims(), FOREIGN
    with pytest.raises(SignInRefused):
        portal.signin.logged_out(portal.provider.token(), now=NOW)


def test_an_id_token_is_no_logout_token(portal: Portal) -> None:
    portal.begin()
    with pytest.raises(SignInRefused):
        portal.signin.logged_out(portal.provider.token(), now=NOW)


@pytest.fixture
def fresh(valkey: Valkey) -> Portal:
    """A sign-in that must be a new one, as a proof is."""
    expiring = Expiring(valkey.url, Vault([bytes(32)]))
    provider = ForgingProvider()
    signin = PortalSignIn(provider, expiring, redirect_uri=CALLBACK, begun="identity:other", is_fresh=True)
    yield Portal(provider, signin, [])
    expiring.close()


@pytest.mark.parametrize("stated", [None, "now", int(NOW.timestamp()) - 3600])
def test_a_proof_needs_a_sign_in_that_was_made_for_it(fresh: Portal, stated: object) -> None:
    query = fresh.begin()
    assert (query["prompt"], query["max_age"]) == ("login", "0")
    if stated is not None:
        fresh.provider.claims["auth_time"] = stated
    with pytest.raises(SignInRefused):
        fresh.finish(query)


def test_a_sign_in_that_was_made_for_it_is_a_proof(fresh: Portal) -> None:
    query = fresh.begin()
    fresh.provider.claims["auth_time"] = int(NOW.timestamp())
    assert fresh.finish(query).subject == Subject(ISSUER, "s-1")


def test_a_sign_in_begun_for_one_thing_is_finished_for_no_other(fresh: Portal, portal: Portal) -> None:
    with pytest.raises(SignInRefused, match="unknown_state"):
        fresh.finish(portal.begin())
