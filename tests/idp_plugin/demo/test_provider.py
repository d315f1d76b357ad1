"""The demo's identity provider, asked as relying parties and browsers ask it."""

import secrets
import time
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import KeySet

from idp_plugin.demo.provider import SESSION_COOKIE, create_provider
from idp_plugin.demo.provider_memory import DemoClient
from idp_plugin.demo.servers import GATEWAY_CLIENT, RunningDemo
from idp_plugin.ldap.openldap import OpenLdap
from tests.idp_plugin.demo.browser import Browser, answer

VERIFIER = secrets.token_urlsafe(48)


def request(demo: RunningDemo, **changes: str) -> str:
    """Return an authorization request of the gateway's client, the one whose secret is known here."""
    parameters = {
        "client_id": GATEWAY_CLIENT,
        "response_type": "code",
        "redirect_uri": redirect_uri(demo),
        "scope": "openid profile email groups",
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": create_s256_code_challenge(VERIFIER),
        "code_challenge_method": "S256",
    }
    kept = {name: value for name, value in (parameters | changes).items() if value}
    return f"{demo.addresses.public}/authorize?{urlencode(kept)}"


def redirect_uri(demo: RunningDemo) -> str:
    return f"{demo.addresses.public}/sparekey/oidc/callback"


def redeem(browser: Browser, code: str, /, **changes: str) -> httpx.Response:
    data = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(browser.demo),
        "code_verifier": VERIFIER,
    }
    secret = changes.pop("client_secret", browser.demo.client_secret)
    return browser.http.post(
        f"{browser.demo.addresses.public}/token", data=data | changes, auth=(GATEWAY_CLIENT, secret)
    )


def signed_in_code(browser: Browser, username: str = "alice") -> str:
    page = browser.get(request(browser.demo))
    return answer(browser.sign_in(page, username))["code"]


def id_token(browser: Browser, tokens: httpx.Response) -> dict[str, object]:
    keys = KeySet.import_key_set(browser.get(f"{browser.demo.addresses.public}/jwks.json").json())
    return dict(jwt.decode(tokens.json()["id_token"], keys, algorithms=["RS256"]).claims)


# The sign-in page


def test_the_sign_in_page_is_a_plain_form(browser: Browser) -> None:
    page = browser.get(request(browser.demo))
    assert page.status_code == 200
    assert '<form id="sign-in" method="post" action="/sign-in?' in page.text
    assert 'autocomplete="current-password"' in page.text
    assert "forgot" not in page.text.lower()


@pytest.mark.parametrize(
    ("language", "expected", "button"),
    [
        ("de-AT,en;q=0.5", "de", "Anmelden"),
        ("fr", "fr", "Se connecter"),
        ("ja", "en", "Sign in"),
        ("", "en", "Sign in"),
    ],
)
def test_the_sign_in_page_speaks_the_persons_language(
    browser: Browser, language: str, expected: str, button: str
) -> None:
    page = browser.get(request(browser.demo), **{"Accept-Language": language})
    assert f'<html lang="{expected}"' in page.text
    assert f">{button}</button>" in page.text
    assert page.headers["Vary"] == "Accept-Language"


def test_the_request_may_ask_for_a_language(browser: Browser) -> None:
    page = browser.get(request(browser.demo, ui_locales="xx fr-CA de"), **{"Accept-Language": "en"})
    assert '<html lang="fr"' in page.text


def test_the_sign_in_page_allows_no_script_and_only_the_two_form_targets(browser: Browser) -> None:
    policy = browser.get(request(browser.demo)).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.endswith(f"form-action 'self' {browser.demo.addresses.public}")


def test_a_login_hint_fills_the_name(browser: Browser) -> None:
    page = browser.get(request(browser.demo, login_hint='al"ice<b>'))
    assert 'value="al&#34;ice&lt;b&gt;"' in page.text


@pytest.mark.parametrize(
    ("username", "password"),
    [("alice", "wrong"), ("nobody", "wrong"), ("carol", None), ("alice", " "), ("*", "x")],
)
def test_a_failed_sign_in_says_the_same_and_keeps_name_and_request(
    browser: Browser, username: str, password: str | None
) -> None:
    page = browser.sign_in(browser.get(request(browser.demo)), username, password)
    assert page.status_code == 200
    assert "The user name or the password is not right." in page.text
    assert "<title>Error: " in page.text
    assert f'value="{username}"' in page.text
    assert SESSION_COOKIE not in browser.http.cookies
    assert answer(browser.sign_in(page, "bob"))["state"] == "state-1"


def test_an_expired_password_is_said_so_and_opens_nothing(browser: Browser) -> None:
    page = browser.sign_in(browser.get(request(browser.demo)), "dave")
    assert "has expired" in page.text
    assert SESSION_COOKIE not in browser.http.cookies


def test_the_form_of_a_failed_attempt_can_be_opened_again(browser: Browser) -> None:
    failed = browser.sign_in(browser.get(request(browser.demo)), "alice", "wrong")
    again = browser.get(str(failed.url))
    assert again.status_code == 200
    assert answer(browser.sign_in(again, "alice"))["state"] == "state-1"


def test_nobody_is_signed_in_from_another_sites_form(browser: Browser) -> None:
    page = browser.get(request(browser.demo))
    action = str(page.url).replace("/authorize", "/sign-in")
    fields = {"username": "alice", "password": browser.demo.passwords["alice"]}
    for origin in ("https://evil.example", "null"):
        sent = browser.http.post(action, data=fields, headers={"Origin": origin})
        assert sent.status_code == 403
    assert SESSION_COOKIE not in browser.http.cookies


def test_addresses_come_from_the_issuer_and_not_from_the_host(browser: Browser) -> None:
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    metadata = browser.get(f"{browser.demo.provider}/.well-known/openid-configuration", **forged).json()
    assert metadata["issuer"] == browser.demo.addresses.public
    assert "evil" not in str(metadata)
    page = browser.get(request(browser.demo), **forged)
    assert "evil" not in page.text + str(page.headers)


# Authorization


def test_a_sign_in_answers_with_code_state_session_and_issuer(browser: Browser) -> None:
    response = browser.sign_in(browser.get(request(browser.demo)), "alice")
    assert response.status_code == 302
    given = answer(response)
    assert set(given) == {"code", "state", "session_state", "iss"}
    assert given["state"] == "state-1"
    assert given["iss"] == browser.demo.addresses.public
    assert SESSION_COOKIE in response.cookies
    assert "HttpOnly" in response.headers["set-cookie"]
    assert "SameSite=Lax" in response.headers["set-cookie"]


def test_the_id_token_says_who_and_when(browser: Browser) -> None:
    given = answer(browser.sign_in(browser.get(request(browser.demo)), "erin"))
    tokens = redeem(browser, given["code"])
    claims = id_token(browser, tokens)
    assert claims["iss"] == browser.demo.addresses.public
    assert claims["aud"] == GATEWAY_CLIENT
    assert claims["nonce"] == "nonce-1"
    assert claims["sid"] == given["session_state"]
    assert claims["amr"] == ["pwd"]
    assert claims["preferred_username"] == "erin"
    assert claims["email"] == "erin@example.org"
    assert claims["groups"] == ["administrators", "staff"]
    assert abs(int(str(claims["auth_time"])) - time.time()) < 5
    entry = browser.demo.served.entry("uid=erin,ou=people,dc=example,dc=org")
    assert claims["sub"] == entry.entry_uuid


def test_userinfo_repeats_the_claims(browser: Browser) -> None:
    tokens = redeem(browser, signed_in_code(browser)).json()
    address = f"{browser.demo.addresses.public}/userinfo"
    found = browser.get(address, Authorization=f"Bearer {tokens['access_token']}").json()
    assert found["preferred_username"] == "alice"
    assert browser.get(address, Authorization="Bearer wrong").status_code == 401
    assert browser.get(address).status_code == 401


def test_a_second_request_is_answered_without_a_question(browser: Browser) -> None:
    first = answer(browser.sign_in(browser.get(request(browser.demo)), "alice"))
    second = browser.get(request(browser.demo, state="state-2"))
    assert answer(second)["session_state"] == first["session_state"]
    assert answer(second)["state"] == "state-2"


def test_prompt_none_without_a_session_says_login_required(browser: Browser) -> None:
    refused = answer(browser.get(request(browser.demo, prompt="none")))
    assert refused["error"] == "login_required"
    assert refused["state"] == "state-1"
    assert refused["iss"] == browser.demo.addresses.public


def test_prompt_none_with_a_session_is_silent(browser: Browser) -> None:
    signed_in_code(browser)
    assert "code" in answer(browser.get(request(browser.demo, prompt="none")))


def test_prompt_login_asks_again_and_keeps_the_session(browser: Browser) -> None:
    first = answer(browser.sign_in(browser.get(request(browser.demo)), "alice"))
    page = browser.get(request(browser.demo, prompt="login"))
    assert page.status_code == 200
    second = answer(browser.sign_in(page, "alice"))
    assert second["session_state"] == first["session_state"]


def test_another_person_in_the_same_browser_gets_another_session(browser: Browser) -> None:
    first = answer(browser.sign_in(browser.get(request(browser.demo)), "alice"))
    second = answer(browser.sign_in(browser.get(request(browser.demo, prompt="login")), "bob"))
    assert second["session_state"] != first["session_state"]
    claims = id_token(browser, redeem(browser, second["code"]))
    assert claims["preferred_username"] == "bob"


def test_max_age_asks_again_when_the_sign_in_is_older(browser: Browser) -> None:
    signed_in_code(browser)
    assert "code" in answer(browser.get(request(browser.demo, max_age="600")))
    assert browser.get(request(browser.demo, max_age="0")).status_code == 200
    refused = answer(browser.get(request(browser.demo, max_age="0", prompt="none")))
    assert refused["error"] == "login_required"


def test_form_post_sends_the_answer_in_a_form(browser: Browser) -> None:
    page = browser.get(request(browser.demo, response_mode="form_post", state='a&b"<c>'))
    form = browser.sign_in(page, "alice")
    assert form.status_code == 200
    assert "location" not in form.headers
    assert f'action="{redirect_uri(browser.demo)}"' in form.text
    assert 'name="state" value="a&amp;b&#34;&lt;c&gt;"' in form.text
    assert 'name="code"' in form.text
    assert 'name="session_state"' in form.text
    assert "script-src 'sha256-" in form.headers["Content-Security-Policy"]


def test_form_post_sends_errors_in_a_form_too(browser: Browser) -> None:
    form = browser.get(request(browser.demo, response_mode="form_post", prompt="none"))
    assert 'name="error" value="login_required"' in form.text


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "unknown"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": ""},
        {"client_id": ""},
    ],
)
def test_a_request_that_names_no_known_target_is_never_redirected(
    browser: Browser, changes: dict[str, str]
) -> None:
    refused = browser.get(request(browser.demo, **changes))
    assert refused.status_code == 400
    assert "location" not in refused.headers
    assert "cannot be used" in refused.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
    ],
)
def test_other_mistakes_are_told_to_the_relying_party(
    browser: Browser, changes: dict[str, str], error: str
) -> None:
    refused = answer(browser.get(request(browser.demo, **changes)))
    assert refused["error"] == error
    assert refused["state"] == "state-1"


# Tokens


def test_a_code_is_redeemed_once_and_a_second_try_voids_the_first(browser: Browser) -> None:
    code = signed_in_code(browser)
    tokens = redeem(browser, code).json()
    address = f"{browser.demo.addresses.public}/userinfo"
    authorization = f"Bearer {tokens['access_token']}"
    assert browser.get(address, Authorization=authorization).status_code == 200
    assert redeem(browser, code).json()["error"] == "invalid_grant"
    assert browser.get(address, Authorization=authorization).status_code == 401


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "x" * 64}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_grant"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_code_is_worth_nothing_in_other_hands(
    browser: Browser, changes: dict[str, str], error: str
) -> None:
    refused = redeem(browser, signed_in_code(browser), **changes)
    assert refused.status_code in {400, 401}
    assert refused.json()["error"] == error


def test_a_code_of_another_client_is_refused(browser: Browser) -> None:
    target = f"{browser.demo.addresses.application}/callback"
    asked = request(browser.demo, client_id="timesheets", redirect_uri=target)
    code = answer(browser.sign_in(browser.get(asked), "alice"))["code"]
    assert redeem(browser, code, redirect_uri=target).json()["error"] == "invalid_grant"


def test_the_application_must_use_pkce(browser: Browser) -> None:
    application = browser.demo.addresses.application
    changes = {"client_id": "timesheets", "redirect_uri": f"{application}/callback"}
    refused = answer(
        browser.get(request(browser.demo, **changes, code_challenge="", code_challenge_method=""))
    )
    assert refused["error"] == "invalid_request"


# Sessions


def end_sessions(browser: Browser, subject: str, secret: str) -> httpx.Response:
    address = f"{browser.demo.addresses.public}/admin/sessions/end"
    return browser.http.post(address, data={"subject": subject}, auth=(GATEWAY_CLIENT, secret))


def test_the_gateway_ends_every_session_of_a_person(browser: Browser) -> None:
    tokens = redeem(browser, signed_in_code(browser))
    subject = str(id_token(browser, tokens)["sub"])
    with Browser(browser.demo) as elsewhere, Browser(browser.demo) as bobs:
        signed_in_code(elsewhere)
        signed_in_code(bobs, "bob")
        ended = end_sessions(browser, subject, browser.demo.client_secret)
        assert ended.json() == {"remaining": 0}
        for each in (browser, elsewhere):
            assert answer(each.get(request(browser.demo, prompt="none")))["error"] == "login_required"
        assert "code" in answer(bobs.get(request(browser.demo, prompt="none")))
    userinfo = f"{browser.demo.addresses.public}/userinfo"
    held = f"Bearer {tokens.json()['access_token']}"
    assert browser.get(userinfo, Authorization=held).status_code == 401


@pytest.mark.parametrize("secret", ["wrong", "", "é"])
def test_nobody_else_ends_sessions(browser: Browser, secret: str) -> None:
    assert end_sessions(browser, "anybody", secret).status_code == 401


def test_a_client_without_the_right_may_not_end_sessions(demo: RunningDemo) -> None:
    clients = [
        DemoClient("may-not", "Secret-1", ()),
        DemoClient("may", "Secret-2", (), may_end_sessions=True),
    ]
    issuer = demo.addresses.public
    provider = create_provider(issuer, clients, OpenLdap(demo.directory, issuer)).test_client()
    asked = {"path": "/admin/sessions/end", "data": {"subject": "x"}}
    assert provider.post(**asked, auth=("may-not", "Secret-1")).status_code == 401
    assert provider.post(**asked).status_code == 401
    assert provider.post(**asked, auth=("may", "Secret-2")).status_code == 200


def test_signing_out_without_a_token_is_asked_about(browser: Browser) -> None:
    signed_in_code(browser)
    page = browser.get(f"{browser.demo.addresses.public}/sign-out")
    assert "Do you want to sign out?" in page.text
    assert "code" in answer(browser.get(request(browser.demo, prompt="none")))
    done = browser.http.post(f"{browser.demo.addresses.public}/sign-out")
    assert "You are signed out" in done.text
    assert answer(browser.get(request(browser.demo, prompt="none")))["error"] == "login_required"


def test_signing_out_goes_back_only_where_it_was_registered(browser: Browser) -> None:
    tokens = redeem(browser, signed_in_code(browser)).json()
    asked = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "https://evil.example/"}
    done = browser.get(f"{browser.demo.addresses.public}/sign-out?{urlencode(asked)}")
    assert "location" not in done.headers
    assert "You are signed out" in done.text


def test_discovery_and_keys_fit_together(browser: Browser) -> None:
    issuer = browser.demo.addresses.public
    metadata = browser.get(f"{issuer}/.well-known/openid-configuration").json()
    assert metadata["authorization_response_iss_parameter_supported"] is True
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"):
        assert urlsplit(metadata[name]).netloc == urlsplit(issuer).netloc
    (key,) = browser.get(metadata["jwks_uri"]).json()["keys"]
    assert "d" not in key
