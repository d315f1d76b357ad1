"""What may be claimed, and that nobody but the gateway can say it."""

import base64
import datetime as dt
from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from enforcement.decision import Release
from gateway.data_plane.claim import LIFETIME, Claim, claim_of, mint, public_keys
from idp_plugin.base import AuthorizationAnswer, SignIn, Subject
from store.vault import Vault

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
ISSUER = "https://sso.example.org/realms/corp"
SIGN_IN = SignIn(Subject(ISSUER, "alice"), "session", "client", client_address="192.0.2.1")
ANSWER = AuthorizationAnswer(
    "https://app.example/cb", {"code": "x", "state": "y", "session_state": "session"}, "query"
)
COVERED = Release("covered", policy_version=7, person_epoch=1)
CLAIM = Claim(ISSUER, "session", "client", "https://app.example/cb", "192.0.2.1", 7, NOW + LIFETIME)


def test_a_covered_persons_plain_answer_is_claimed_for_five_minutes() -> None:
    assert claim_of(SIGN_IN, ANSWER, COVERED, now=NOW) == CLAIM
    assert dt.timedelta(minutes=5) == LIFETIME


@pytest.mark.parametrize(
    ("sign_in", "answer", "release"),
    [
        (SIGN_IN, ANSWER, Release("postponed", policy_version=7)),
        (SIGN_IN, ANSWER, Release("fault", policy_version=7)),
        (SIGN_IN, ANSWER, Release("not_covered")),
        (SIGN_IN, ANSWER, replace(COVERED, policy_version=0)),
        (replace(SIGN_IN, session_id=""), replace(ANSWER, parameters={"code": "x"}), COVERED),
        (replace(SIGN_IN, session_id="other"), ANSWER, COVERED),
        (replace(SIGN_IN, client_id=""), ANSWER, COVERED),
        (replace(SIGN_IN, client_address=""), ANSWER, COVERED),
        (replace(SIGN_IN, protocol="saml"), ANSWER, COVERED),
        (SIGN_IN, replace(ANSWER, mode="form_post"), COVERED),
        (SIGN_IN, replace(ANSWER, parameters={**ANSWER.parameters, "id_token": "x"}), COVERED),
        (SIGN_IN, replace(ANSWER, redirect_uri="installed-app:"), COVERED),
    ],
)
def test_nothing_else_is(sign_in: SignIn, answer: AuthorizationAnswer, release: Release) -> None:
    assert claim_of(sign_in, answer, release, now=NOW) is None


def verify(token: str, claim: Claim, key: str) -> None:
    version, ends, signature = token.split(".")
    assert (int(version), int(ends)) == (claim.policy_version, int(claim.ends.timestamp()))
    public = load_der_public_key(base64.b64decode(key))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    public.verify(raw, claim.message(), ec.ECDSA(SHA256()))


def test_the_public_key_verifies_and_another_does_not() -> None:
    vault = Vault([b"a" * 32])
    verify(mint(CLAIM, vault), CLAIM, public_keys(vault)[0])
    with pytest.raises(InvalidSignature):
        verify(mint(CLAIM, vault), CLAIM, public_keys(Vault([b"b" * 32]))[0])


def test_a_claim_of_before_the_rotation_still_verifies() -> None:
    old, both = Vault([b"a" * 32]), Vault([b"b" * 32, b"a" * 32])
    verify(mint(CLAIM, old), CLAIM, public_keys(both)[1])
    verify(mint(CLAIM, both), CLAIM, public_keys(both)[0])


def test_no_two_claims_are_signed_alike() -> None:
    pairs = [
        replace(CLAIM, session_id="a\n1:b", client_id="c"),
        replace(CLAIM, session_id="a", client_id="b\n1:c"),
        replace(CLAIM, session_id="a\n", client_id="1:b\n1:c"),
        replace(CLAIM, session_id="", client_id="client"),
        CLAIM,
    ]
    assert len({claim.message() for claim in pairs}) == len(pairs)


def test_the_cookie_names_nobody() -> None:
    token = mint(CLAIM, Vault([b"a" * 32]))
    assert "alice" not in token
    assert len(token) < 160
