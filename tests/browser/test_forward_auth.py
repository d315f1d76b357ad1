"""An application behind nginx that knows nothing of sign-ins, in Chromium."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.served import served
from tests.browser.test_pages import complain
from tests.gateway.forward_auth.guarded import Guarded, guarded
from tests.journeys.world import World
from tests.servers import forward_auth_proxies as proxies
from tests.servers.certificates import Authority
from tests.servers.processes import free_port


@dataclass(frozen=True, slots=True)
class Site:
    """The gateway's world, and the application's origin in front of nginx."""

    world: World
    application: Guarded
    origin: str


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    asked_at, port = free_port(), free_port()
    # Browsers take every name below `localhost` for this machine; cookies know it as another host.
    origin = f"http://wiki.localhost:{port}"
    forward_auth = {
        "listen": f"127.0.0.1:{asked_at}",
        "proxies": [{"address": "127.0.0.1", "states": "x_original"}],
        "applications": [origin],
    }
    certificate = Authority.new(tmp_path).issue("unused")
    with served(forward_auth=forward_auth) as world, guarded() as application:
        place = proxies.Around(tmp_path, asked_at, application.port, certificate)
        with proxies.nginx_without_tls(place, port, origin):
            yield Site(world, application, origin)


def test_a_person_signs_in_registers_and_arrives_exactly_where_they_were_going(
    site: Site, browser_context: BrowserContext
) -> None:
    page, world = browser_context.new_page(), site.world
    wrong: list[str] = []
    complain(page, wrong)
    going_to = f"{site.origin}/pages/Home?action=view&next=%2Fa%2Fb"
    page.goto(going_to)
    assert page.url.startswith(f"{world.public}/")
    sign_in(page, world)
    page.get_by_role("link", name="Add an e-mail address").click()
    page.get_by_label("E-mail address").fill("alice.private@example.net")
    page.get_by_role("button", name="Send the code").click()
    page.get_by_label("Code", exact=True).wait_for()
    page.get_by_label("Code", exact=True).fill(world.code("alice.private"))
    page.get_by_role("button", name="Add this address").click()
    page.get_by_role("button", name="Continue to").click()
    page.wait_for_url(going_to)
    told = dict(json.loads(page.locator("body").inner_text())["fields"])
    assert (told["Remote-User"], told["Remote-Name"]) == ("alice", "Alice Arden")
    # A page of the application asks for more with what the browser has by now.
    assert page.evaluate("fetch('/api').then(answer => answer.status)") == 200
    (cookie,) = browser_context.cookies(site.origin)
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("sparekey-application", True, "Lax")
    # Somebody who registered is led round without being asked anything.
    browser_context.clear_cookies(name="sparekey-application")
    page.goto(going_to)
    page.wait_for_url(going_to)
    # Browsers ask for an icon when they like.
    opened = [request for request, *_ in site.application.seen if "/favicon.ico" not in request]
    assert opened[-1] == f"GET {going_to.removeprefix(site.origin)}"
    # And with one password in a browser that is new.
    browser_context.clear_cookies()
    page.goto(going_to)
    sign_in(page, world)
    page.wait_for_url(going_to)
    assert wrong == []


def sign_in(page: Page, world: World) -> None:
    """Type name and password into the provider's page."""
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill(world.around.passwords["alice"])
    page.get_by_role("button", name="Sign in").click()
