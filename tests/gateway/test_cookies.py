import pytest
from flask import Flask, Response

from gateway.cookies import FAMILY, Cookie, cookie_name, drop_cookie, hold_cookie, set_cookie
from gateway.settings import GatewaySettings

SECURE = GatewaySettings(public="https://sso.example.org")
LOCAL = GatewaySettings(public="http://127.0.0.1:8080")


@pytest.fixture(autouse=True)
def _in_an_application():
    with Flask("test").test_request_context():
        yield


def header(settings: GatewaySettings) -> str:
    response = Response()
    set_cookie(response, settings, Cookie.SESSION, "value")
    return response.headers["Set-Cookie"]


def test_over_https_only_this_origin_can_set_our_cookies() -> None:
    assert cookie_name(Cookie.SESSION, SECURE) == "__Host-sparekey-session"
    attributes = set(header(SECURE).split("; ")[1:])
    assert attributes == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}


def test_on_loopback_cookies_reach_command_line_clients_too() -> None:
    assert cookie_name(Cookie.SESSION, LOCAL) == "sparekey-session"
    assert "Secure" not in header(LOCAL)


def test_every_name_belongs_to_the_family_that_the_plane_keeps_back() -> None:
    for cookie in (*Cookie, hold_cookie("x")):
        for settings in (SECURE, LOCAL):
            assert cookie_name(cookie, settings).removeprefix("__Host-").startswith(FAMILY)


def test_a_dropped_cookie_keeps_the_attributes_that_its_prefix_asks_for() -> None:
    response = Response()
    drop_cookie(response, SECURE, Cookie.SESSION)
    assert {"Secure", "Path=/"} <= set(response.headers["Set-Cookie"].split("; "))
