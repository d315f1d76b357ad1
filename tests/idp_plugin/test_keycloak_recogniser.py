"""When Keycloak's own cookie is believed, and when not (S9).

Where it is not, the silent check is made: here at an address where nobody answers, so `IdpUnavailable`
shows it.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from idp_plugin.base import AuthorizationAnswer, Exchange, Unrecognised
from idp_plugin.errors import IdpUnavailable
from idp_plugin.keycloak.recogniser import KeycloakRecogniser
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.settings import IdpSettings
from tests.servers.processes import free_port

PUBLIC = "https://sso.example.org"
ISSUER = f"{PUBLIC}/realms/corp"
OWN = f"{PUBLIC}/sparekey/oidc/callback"
SID = "0b7f4d2e-sid"
CLAIMS = {"iss": ISSUER, "sub": "alice-id", "sid": SID, "typ": "Serialized-ID", "exp": 4_000_000_000}


def token(**changes: Any) -> str:
    said = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    middle = base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzUxMiJ9.{middle}.c2ln"


def identity(
    value: str, path: str = "/realms/corp/", more: str = ";Secure;HttpOnly;SameSite=None"
) -> tuple[str, str]:
    return "Set-Cookie", f"KEYCLOAK_IDENTITY={value};Version=1;Path={path}{more}"


def exchange(
    *headers: tuple[str, str],
    target: str = "/realms/corp/login-actions/authenticate?session_code=x",
    cookies: str = "",
    status: int = 302,
) -> Exchange:
    fields = tuple((name.encode(), value.encode()) for name, value in headers)
    sent = ((b"Cookie", cookies.encode()),) if cookies else ()
    return Exchange(b"POST", target.encode(), sent, b"", status, fields, b"")


def location(
    query: str = f"code=c&state=s&session_state={SID}", at: str = "https://app.example.org/cb"
) -> tuple[str, str]:
    return "Location", f"{at}?{query}"


def recogniser(**changes: Any) -> KeycloakRecogniser:
    settings = {
        "kind": "keycloak",
        "address": f"http://127.0.0.1:{free_port()}",
        "issuer": ISSUER,
        "client_secret": "secret",
        **changes,
    }
    provider = OidcProvider(IdpSettings.model_validate(settings), public=PUBLIC)
    PROVIDERS.append(provider)
    return KeycloakRecogniser(provider, redirect_uri=OWN)


PROVIDERS: list[OidcProvider] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while PROVIDERS:
        PROVIDERS.pop().close()


def answered(seen: Exchange, by: KeycloakRecogniser | None = None) -> AuthorizationAnswer:
    answer = (by or recogniser()).answer(seen)
    assert answer
    return answer


def test_the_cookie_that_this_response_sets_says_who() -> None:
    seen = exchange(location(), identity(token()))
    sign_in = recogniser().recognise(seen, answered(seen))
    assert (sign_in.subject.source, sign_in.subject.id, sign_in.session_id) == (ISSUER, "alice-id", SID)
    assert sign_in.verified_by == "session_cookie"


@pytest.mark.parametrize(
    "seen",
    [
        exchange(location(), cookies=f"KEYCLOAK_IDENTITY={token()}"),
        exchange(location("code=c&state=s"), identity(token())),
        exchange(location(f"code=c&session_state={SID}&session_state={SID}"), identity(token())),
        exchange(location(), identity(token(sid="another"))),
        exchange(location(), identity(token(iss=f"{PUBLIC}/realms/other"))),
        exchange(location(), identity(token(typ="ID"))),
        exchange(location(), identity(token(sub=None))),
        exchange(location(), identity(token(sub=""))),
        exchange(location(), identity(token(sub="x" * 256))),
        exchange(location(), identity(token(sub=["alice-id"]))),
        exchange(location(), identity("no.token.")),
        exchange(location(), identity("notoken")),
        exchange(location(), identity(token(), path="/")),
        exchange(location(), identity(token(), path="/realms/other/")),
        exchange(location(), identity(token()), target="/elsewhere"),
        exchange(location(), identity(token()), target="/realms/c%6Frp/login-actions/authenticate"),
    ],
)
def test_whatever_does_not_fit_means_the_silent_check(seen: Exchange) -> None:
    with pytest.raises(IdpUnavailable):
        recogniser().recognise(seen, answered(seen))


def test_an_address_on_the_network_without_tls_means_the_silent_check() -> None:
    seen = exchange(location(), identity(token()))
    far = recogniser(address="http://192.0.2.1:9", silent_check_seconds=0.2)
    with pytest.raises(IdpUnavailable):
        far.recognise(seen, answered(seen, far))


@pytest.mark.parametrize(
    "seen",
    [
        exchange(location(), identity(token()), identity(token(sub="bob-id"))),
        exchange(location(), cookies=f"KEYCLOAK_IDENTITY={token()}; KEYCLOAK_IDENTITY={token(sub='bob-id')}"),
        exchange(location()),
        exchange(location(), identity("", more=";Max-Age=0"), cookies=f"KEYCLOAK_IDENTITY={token()}"),
    ],
)
def test_two_cookies_or_none_are_nobody(seen: Exchange) -> None:
    with pytest.raises(Unrecognised):
        recogniser().recognise(seen, answered(seen))


def test_a_session_never_changes_its_subject() -> None:
    one = recogniser()
    first = exchange(location(), identity(token()))
    other = exchange(location(), identity(token(sub="bob-id")))
    one.recognise(first, answered(first, one))
    with pytest.raises(Unrecognised):
        one.recognise(other, answered(other, one))


def test_a_session_that_ended_is_forgotten() -> None:
    one = recogniser()
    for sub in ("alice-id", "bob-id"):
        seen = exchange(location(), identity(token(sub=sub)))
        assert one.recognise(seen, answered(seen, one)).subject.id == sub
        one.forget(SID)


@pytest.mark.parametrize(
    "at",
    [
        OWN,
        "/sparekey/oidc/callback",
        f"{PUBLIC}/realms/corp/account/",
        f"{PUBLIC}/realms/other/broker/corp/endpoint",
        f"{PUBLIC}/realms/corp/login-actions/consent",
        f"{PUBLIC}/admin/corp/console/",
    ],
)
def test_own_steps_and_consoles_are_no_answers(at: str) -> None:
    assert recogniser().answer(exchange(location(at=at), identity(token()))) is None


@pytest.mark.parametrize(
    "at",
    [
        f"{PUBLIC}/realms/corp/protocol/openid-connect/oauth/oob",
        f"{OWN}/",
        f"{PUBLIC}/sparekey/oidc/callback2",
        f"{PUBLIC}/realms/corp/account/../protocol/openid-connect/oauth/oob",
        f"{PUBLIC}/realms/corp/account/%2e%2e/%2e%2e/oob",
        f"{PUBLIC}/admin/../realms/corp/protocol/openid-connect/oauth/oob",
        f"{PUBLIC}/realms/corp/accounting",
        f"{PUBLIC}/elsewhere",
        "https://evil.example/realms/corp/account/",
    ],
)
def test_other_addresses_on_the_origin_are_answers(at: str) -> None:
    assert recogniser().answer(exchange(location(at=at), identity(token()))) is not None


def test_another_realms_answer_passes_only_when_it_says_so_itself() -> None:
    other = f"{PUBLIC}/realms/other"
    there = "/realms/other/login-actions/authenticate"
    cookie = identity(token(iss=other), path="/realms/other/")
    one = recogniser()
    assert one.answer(exchange(location(f"code=c&iss={other}"), cookie, target=there)) is None
    assert one.answer(exchange(location("code=c"), cookie, target=there)) is None
    assert one.answer(exchange(location("code=c"), target=there)) is not None
    assert one.answer(exchange(location(f"code=c&iss={other}&iss={ISSUER}"), target=there)) is not None
    assert one.answer(exchange(location(f"code=c&iss={other}"), identity(token()), target=there)) is not None
    here = "/realms/c%6Frp/login-actions/authenticate"
    assert one.answer(exchange(location(f"code=c&iss={other}"), cookie, target=here)) is not None


def test_a_session_without_answer_is_a_miss_unless_it_is_a_known_step() -> None:
    one = recogniser()
    cookie = identity(token())
    assert one.sets_session(exchange(cookie, status=200))
    assert one.sets_session(exchange(("Location", "https://app.example.org/?ticket=1"), cookie))
    assert one.sets_session(exchange(identity("odd"), status=200))
    assert not one.sets_session(exchange(("Location", f"{PUBLIC}/realms/corp/device/status"), cookie))
    assert not one.sets_session(
        exchange(("Location", "https://app.example.org/cb?error=access_denied"), cookie)
    )
    assert not one.sets_session(exchange(identity("", more=";Max-Age=0"), status=200))
    assert not one.sets_session(exchange(identity(token(iss=f"{PUBLIC}/realms/other")), status=200))
    assert not one.sets_session(exchange(status=200))
    assert not one.sets_session(exchange(cookie, status=200, target="/realms/corp/account/?x=1"))
    assert one.sets_session(exchange(cookie, status=200, target="/realms/corp/accounting"))


def test_nothing_of_an_answer_shows_in_its_repr() -> None:
    seen = exchange(location("code=topsecret&state=s"), identity(token()))
    assert "topsecret" not in repr(answered(seen))
