"""What an answer of the token endpoint is taken for; whatever is not certain is asked about."""

import json

import pytest

from gateway.interception.token_grant import BACKCHANNEL, NOT_ASKED, grant_of, is_asked_about
from idp_plugin.base import Exchange

FORM = (b"Content-Type", b"application/x-www-form-urlencoded")
TOKENS = {"access_token": "t", "token_type": "Bearer"}
JSON = (b"Content-Type", b"application/json;charset=UTF-8")


def answered(
    body: bytes,
    *fields: tuple[bytes, bytes],
    target: bytes = b"/realms/corp/protocol/openid-connect/token",
    status: int = 200,
    said: object = TOKENS,
    kind: tuple[bytes, bytes] = JSON,
) -> Exchange:
    return Exchange(b"POST", target, fields or (FORM,), body, status, (kind,), json.dumps(said).encode())


@pytest.mark.parametrize("grant", [*sorted(NOT_ASKED), "password", "refresh_token", BACKCHANNEL, "new"])
def test_a_plain_form_names_its_grant(grant: str) -> None:
    exchange = answered(f"client_id=app&grant_type={grant}&code=c".encode())
    assert grant_of(exchange) == grant
    assert is_asked_about(exchange) is (grant not in NOT_ASKED)


@pytest.mark.parametrize(
    "exchange",
    [
        answered(b""),
        answered(b"grant_type=authorization_code&grant_type=password"),
        answered(b"grant_type=authorization_code&%67rant_type=password"),
        answered(b"grant_type=authorization_code;grant_type=password"),
        answered(b"grant_type=authorization_code&x=\xff"),
        answered(b"grant_type=authorization_code&" + b"a=1&" * 200),
        answered(b"grant_type=authorization_code", target=b"/realms/corp/token?grant_type=password"),
        answered(b"grant_type=authorization_code", (b"Content-Type", b"text/plain")),
        answered(b"grant_type=authorization_code", FORM, FORM),
        answered(b"grant_type=authorization_code", FORM, (b"Content-Encoding", b"gzip")),
        answered(b"grant_type=authorization_code", (b"Content-Type", FORM[1] + b";charset=utf-16")),
        answered(b"grant_type=Authorization_Code"),
        answered(b"grant_type=authorization_code%00"),
    ],
)
def test_what_two_readers_could_read_differently_is_asked_about(exchange: Exchange) -> None:
    assert grant_of(exchange) not in NOT_ASKED
    assert is_asked_about(exchange)


@pytest.mark.parametrize("said", [{"refresh_token": "r"}, {"id_token": "i"}, {"access_token": None}])
def test_any_token_makes_it_one(said: object) -> None:
    assert is_asked_about(answered(b"grant_type=password", said=said))


@pytest.mark.parametrize(
    "exchange",
    [
        answered(b"grant_type=password", said={"error": "invalid_grant"}, status=400),
        answered(b"grant_type=password", said={"active": True}),
        answered(b"grant_type=password", said=["access_token"]),
        answered(b"grant_type=password", kind=(b"Content-Type", b"text/html")),
    ],
)
def test_an_answer_without_tokens_is_none(exchange: Exchange) -> None:
    assert not is_asked_about(exchange)


def test_an_answer_without_a_type_is_read() -> None:
    assert is_asked_about(answered(b"grant_type=password", kind=(b"X-Other", b"1")))
