"""Which answers of Keycloak's can be taken up again, and that nobody writes a header field by it."""

import pytest

from idp_plugin.base import Exchange, Resumption
from idp_plugin.keycloak.resumption import resumption

REALM = "/realms/corp/"
STEP = b"/realms/corp/login-actions/authenticate?session_code=x&client_id=app&tab_id=t%26&client_data=d"


def answered(cookie: bytes = b"a=1; KC_RESTART=ab.c-_; b=2", target: bytes = STEP) -> Exchange:
    return Exchange(b"POST", target, ((b"Cookie", cookie),), b"", 302, (), b"")


def test_the_step_and_its_cookie_are_named() -> None:
    assert resumption(answered(), REALM, is_https=True) == Resumption(
        "/realms/corp/login-actions/restart?client_id=app&tab_id=t%26&client_data=d",
        "KC_RESTART=ab.c-_; Path=/realms/corp/; HttpOnly; Secure; SameSite=None",
    )
    found = resumption(answered(), REALM, is_https=False)
    assert found
    assert found.set_cookie.endswith("; HttpOnly; SameSite=Lax")


@pytest.mark.parametrize(
    "exchange",
    [
        answered(b"a=1"),
        answered(b"KC_RESTART=one; KC_RESTART=two"),
        answered(b"KC_RESTART="),
        answered(b"KC_RESTART=a\r\nSet-Cookie: b"),
        answered(b"KC_RESTART=" + b"a" * 4000),
        answered(target=STEP.replace(b"corp", b"other")),
        answered(target=STEP.replace(b"client_id", b"client")),
        answered(target=b"/realms/corp/protocol/openid-connect/auth?client_id=app"),
    ],
    ids=["none", "two", "empty", "lines", "long", "another-realm", "no-client", "no-step"],
)
def test_anything_else_is_not_taken_up(exchange: Exchange) -> None:
    assert resumption(exchange, REALM, is_https=True) is None
