"""What only nginx's configuration does: it chooses the way of a plain request before any script runs."""

import httpx
import pytest

from gateway.data_plane.direct_requests import BROWSER_FIELDS
from tests.data_plane.fake_keycloak import AUTHORIZATION, STYLES
from tests.data_plane.site import Site

pytestmark = pytest.mark.xdist_group("data_plane")


@pytest.fixture
def site(nginx_site: Site) -> Site:
    nginx_site.keycloak.planted.clear()
    return nginx_site


def reaches_the_gateway(site: Site, address: str, **headers: str) -> bool:
    """Tell whether a request is one of those that the gateway counts."""
    before = site.metric("sparekey_requests_total")
    site.visitor().client.get(address, headers=headers)
    return site.metric("sparekey_requests_total") > before


def test_only_a_plain_request_goes_past_the_gateway(site: Site) -> None:
    plain = site.address()
    assert not reaches_the_gateway(site, plain)
    assert not reaches_the_gateway(site, plain, Cookie="theirs=1")
    for more in ("&state=again", "&client_id=another", "&prompt=none", "&scope=a&nonce=b&scope=c", "&"):
        assert reaches_the_gateway(site, plain + more), more
    assert reaches_the_gateway(site, plain.replace("=code", "=token"))
    assert reaches_the_gateway(site, plain, Authorization="Bearer x")
    assert reaches_the_gateway(site, plain, Cookie="KEYCLOAK_IDENTITY=a")


@pytest.mark.parametrize("cookie", ["", "theirs=1"])
def test_only_what_a_browser_says_goes_to_the_provider_directly(site: Site, cookie: str) -> None:
    sent = dict.fromkeys((*BROWSER_FIELDS, "X-Anything", "X-Client-Address"), "said")
    site.visitor().client.get(site.address(), headers=sent | ({"Cookie": cookie} if cookie else {}))
    seen = site.keycloak.requests[-1][2]
    assert {field.lower() for field in BROWSER_FIELDS} <= seen.keys()
    assert not {"x-anything", "x-client-address"} & seen.keys()
    assert seen.get("cookie", "") == cookie


def test_a_request_for_a_code_that_is_posted_arrives_whole(site: Site) -> None:
    body = f"{httpx.URL(site.address()).query.decode()}&filled={'x' * 100_000}".encode()
    site.visitor().client.post(f"{site.public}{AUTHORIZATION}", content=body)
    method, target, seen = site.keycloak.requests[-1][:3]
    assert (method, target) == ("POST", AUTHORIZATION)
    assert seen["content-length"] == str(len(body))


NO_FILES = {
    "a page": (200, [("Content-Type", "text/html")], b"<html>xyzzy</html>"),
    "a page after a file": (200, [("Content-Type", "text/css, text/html")], b"<html>xyzzy</html>"),
    "no type": (200, [], b"xyzzy"),
    "leads on": (302, [("Content-Type", "text/css"), ("Location", "/xyzzy")], b"xyzzy"),
}


@pytest.mark.parametrize("name", NO_FILES)
def test_what_is_no_public_file_is_refused_at_its_address(site: Site, name: str) -> None:
    site.keycloak.planted[STYLES] = NO_FILES[name]
    answer = site.visitor().get(site.public + STYLES)
    assert answer.status_code == 502
    assert "xyzzy" not in f"{answer.headers}{answer.text}"


def test_a_cookie_is_taken_off_a_public_file(site: Site) -> None:
    cookies = [("Set-Cookie", "balancer=1; Path=/"), ("Set-Cookie", "other=2; Path=/")]
    site.keycloak.planted[STYLES] = (200, [("Content-Type", "text/css"), *cookies], b"x")
    answer = site.visitor().get(site.public + STYLES)
    assert (answer.status_code, answer.content) == (200, b"x")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("status", "said"), [(200, [("Content-Type", "text/css")]), (304, []), (404, [])])
def test_a_public_file_passes_as_it_is(site: Site, status: int, said: list[tuple[str, str]]) -> None:
    site.keycloak.planted[STYLES] = (status, said, b"" if status == 304 else b"x")
    assert site.visitor().get(site.public + STYLES).status_code == status
