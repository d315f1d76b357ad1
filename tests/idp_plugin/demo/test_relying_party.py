"""The demo's application: what it accepts, and what not."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from idp_plugin.demo.servers import RunningDemo
from tests.idp_plugin.demo.browser import Browser, answer


@pytest.fixture
def home(demo: RunningDemo) -> str:
    return f"{demo.addresses.application}/"


def test_signed_out_people_see_a_sign_in_button(browser: Browser, home: str) -> None:
    page = browser.get(home)
    assert 'href="/sign-in">Sign in</a>' in page.text
    assert "Signed in as" not in page.text


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_a_sign_in_shows_who_and_every_claim(browser: Browser, home: str, mode: str) -> None:
    response = browser.sign_in(browser.open_application(response_mode=mode), "alice")
    if mode == "form_post":
        response = browser.submit(response)
    page = browser.follow(response)
    assert str(page.url) == home
    assert "Signed in as Alice Arden" in page.text
    assert "alice@example.org" in page.text


def test_each_request_has_its_own_state_nonce_and_challenge(browser: Browser) -> None:
    asked = [dict(parse_qsl(urlsplit(str(browser.open_application().url)).query)) for _ in range(2)]
    assert asked[0]["code_challenge_method"] == "S256"
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]


def callback(browser: Browser, **changes: str) -> str:
    """Finish a sign-in up to the answer; return the address of the callback with changes."""
    given = answer(browser.sign_in(browser.open_application(), "alice")) | changes
    return f"{browser.demo.addresses.application}/callback?{urlencode(given)}"


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "made-up"},
        {"iss": "https://evil.example"},
        {"code": "made-up"},
        {"state": ""},
        {"error": "access_denied"},
    ],
)
def test_an_answer_that_does_not_fit_signs_nobody_in(
    browser: Browser, home: str, changes: dict[str, str]
) -> None:
    page = browser.get(callback(browser, **changes))
    assert page.status_code == 400
    assert "The sign-in did not finish" in page.text
    assert "Signed in as" not in browser.get(home).text


def test_an_answer_is_worth_nothing_in_another_browser(browser: Browser) -> None:
    address = callback(browser)
    with Browser(browser.demo) as other:
        other.open_application()
        assert other.get(address).status_code == 400


def test_an_answer_is_taken_once(browser: Browser) -> None:
    address = callback(browser)
    assert browser.get(address).status_code == 303
    assert browser.get(address).status_code == 400


def test_signing_out_ends_both_sessions(browser: Browser, home: str) -> None:
    page = browser.follow(browser.sign_in(browser.open_application(), "alice"))
    page = browser.follow(browser.submit(page))
    assert str(page.url) == home
    assert "You are signed out" in page.text
    assert 'id="sign-in"' in browser.open_application().text


def test_an_error_of_the_provider_is_shown(browser: Browser) -> None:
    page = browser.follow(browser.open_application(prompt="none"))
    assert page.status_code == 400
    assert "login_required" in page.text


def test_a_new_cookie_comes_with_the_sign_in(browser: Browser) -> None:
    page = browser.open_application()
    before = browser.http.cookies["demo_application"]
    browser.follow(browser.sign_in(page, "alice"))
    assert browser.http.cookies["demo_application"] != before
