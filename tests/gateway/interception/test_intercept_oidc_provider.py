"""Interception in front of npm's `oidc-provider`, known by nothing but settings."""

import contextlib
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.interception.hold import Replay
from idp_plugin.settings import IdpSettings
from tests.gateway.interception.interception_world import World, gateway_settings, hold_secret, world
from tests.servers import oidc_provider
from tests.servers.valkey import Valkey
from tests.servers.visitor import Visitor, forms


@pytest.fixture(scope="module")
def running(
    oidc_provider_program: Path, tmp_path_factory: pytest.TempPathFactory, valkey_server: Valkey
) -> Iterator[World]:
    gateway, folder = gateway_settings(), tmp_path_factory.mktemp("gateway")
    with oidc_provider.serving(oidc_provider_program, gateway.public, folder) as provider:
        idp = IdpSettings(
            kind="oidc",
            address=provider.address,
            issuer=provider.public,
            client_id=oidc_provider.CLIENT,
            client_secret=provider.secret,
            session_cookies=oidc_provider.COOKIES,
        )
        with world(idp, gateway, folder, valkey_server.url) as started:
            yield started


@pytest.fixture
def site(running: World, valkey: Valkey) -> World:
    del valkey
    with contextlib.suppress(AssertionError):
        running.unregister("dana")
    return running


@pytest.fixture
def visitor() -> Visitor:
    return Visitor()


def begins(site: World, **wishes: str) -> str:
    """Where a sign-in begins."""
    query = {
        "client_id": "application",
        "redirect_uri": "http://127.0.0.1/callback",
        "response_type": "code",
        "scope": "openid",
        "state": "s1",
        **wishes,
    }
    return f"{site.public}/auth?{urllib.parse.urlencode(query)}"


def stays(site: World, visitor: Visitor, answer: httpx.Response) -> httpx.Response:
    """Follow redirects within the provider."""
    while (location := answer.headers.get("location", "")) and not location.startswith("http://127.0.0.1/"):
        if f"{site.public}/sparekey/" in location:
            return answer
        answer = visitor.get(urllib.parse.urljoin(str(answer.url), location))
    return answer


def signs_in(site: World, visitor: Visitor, **wishes: str) -> httpx.Response:
    """Fill in the provider's form."""
    page = stays(site, visitor, visitor.get(begins(site, **wishes)))
    form = next(form for form in forms(page) if "login" in form.fields)
    typed = {**form.fields, "login": "dana", "password": "any"}
    return stays(site, visitor, visitor.post(form.action, typed))


def test_a_code_is_held_and_comes_again(site: World, visitor: Visitor) -> None:
    hold_id = site.held(signs_in(site, visitor))
    sign_in = site.parts.holds.read(hold_id, hold_secret(visitor, hold_id)).sign_in
    assert (sign_in.subject.id, sign_in.client_id) == ("dana", "application")
    assert sign_in.verified_by == "silent_check"
    site.register("dana")
    released = site.release(visitor, hold_id)
    assert isinstance(released, Replay)
    location = visitor.get(released.location).headers["location"]
    assert location.startswith("http://127.0.0.1/callback?code=")
    assert "state=s1" in location


def test_a_code_within_a_session_is_held(site: World, visitor: Visitor) -> None:
    site.register("dana")
    assert "code=" in signs_in(site, visitor).headers["location"]
    site.unregister("dana")
    assert site.held(stays(site, visitor, visitor.get(begins(site))))


def test_a_silent_request_learns_that_a_page_is_needed(site: World, visitor: Visitor) -> None:
    site.register("dana")
    signs_in(site, visitor)
    site.unregister("dana")
    answer = stays(site, visitor, visitor.get(begins(site, prompt="none")))
    assert "error=interaction_required" in answer.headers["location"]


def test_a_form_is_held_and_comes_again(site: World, visitor: Visitor) -> None:
    hold_id = site.held(signs_in(site, visitor, response_mode="form_post"))
    site.register("dana")
    released = site.release(visitor, hold_id)
    assert isinstance(released, Replay)
    assert 'name="code"' in visitor.get(released.location).text
