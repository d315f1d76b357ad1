"""The moment of the interruption: tabs, other people, other browsers, sessions that end, forgeries."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.journeys.keycloak_site import Site, add_client, arrival
from tests.servers.authlib_client import AuthlibClient
from tests.servers.visitor import Visitor

MANY = tuple(f"tab-{number}" for number in range(10))


@pytest.fixture
def party(authlib_client: AuthlibClient) -> AuthlibClient:
    return authlib_client


def held(site: Site, visitor: Visitor, party: AuthlibClient, username: str = "alice") -> tuple[str, str]:
    """Sign in to be held; return the relying party's sign-in and the hold's id."""
    begun, url = party.begin(site.client(), "code", "plain")
    return begun, site.hold(site.signs_in(visitor, url, username))


def same_browser(visitor: Visitor) -> Visitor:
    """Another tab of it."""
    return Visitor(cookies=dict(visitor.cookies))


def test_a_tab_that_waited_at_the_sign_in_page_is_held_and_released_too(
    site: Site, visitor: Visitor, party: AuthlibClient
) -> None:
    waiting, url = party.begin(site.client(), "code", "plain")
    other_tab = site.goes_to(visitor, url)
    begun, hold_id = held(site, visitor, party)
    second = site.hold(site.stays(visitor, visitor.get(str(other_tab.url))))
    site.register("alice")
    for sign_in, each in ((begun, hold_id), (waiting, second)):
        arrived = site.arrives(visitor, site.goes_on(visitor, each))
        assert "claims" in party.finish(sign_in, arrived.url)


def test_ten_applications_at_once_are_held_and_all_released(
    site: Site, visitor: Visitor, party: AuthlibClient
) -> None:
    for name in MANY:
        add_client(site.realm, name, attributes={})
    begun = [party.begin(site.client(name), "code", "plain") for name in MANY]
    pages = [site.goes_to(visitor, url) for _, url in begun]
    first = site.hold(site.types_password(visitor, pages[0], "alice"))

    def reloads(number: int) -> tuple[Visitor, str]:
        tab = same_browser(visitor)
        return tab, site.hold(site.goes_to(tab, begun[number][1]))

    with ThreadPoolExecutor(5) as tabs:
        holds = [(visitor, first), *tabs.map(reloads, range(1, len(MANY)))]
    # So late that only a request that is still remembered can be made again.
    site.ahead = dt.timedelta(seconds=70)
    site.register("alice")

    def goes_on(number: int) -> dict[str, object]:
        tab, hold_id = holds[number]
        arrived = site.arrives(tab, site.goes_on(tab, hold_id))
        return party.finish(begun[number][0], arrived.url)

    with ThreadPoolExecutor(5) as tabs:
        answers = list(tabs.map(goes_on, range(len(MANY))))
    assert [answer["claims"]["sub"] for answer in answers] == [site.subject("alice")] * len(MANY)


def test_another_person_in_the_same_browser_is_not_given_the_hold(
    site: Site, visitor: Visitor, party: AuthlibClient
) -> None:
    _, alices = held(site, visitor, party)
    for key in [key for key in visitor.cookies if "sparekey" not in key[2]]:
        del visitor.cookies[key]
    begun, bobs = held(site, visitor, party, "bob")
    site.register("alice")
    site.register("bob")
    page = visitor.follow(visitor.get(f"{site.public}/sparekey/hold/{alices}"))
    assert page.status_code == 409
    assert "code=" not in page.text
    arrived = site.arrives(visitor, site.goes_on(visitor, bobs))
    assert party.finish(begun, arrived.url)["claims"]["sub"] == site.subject("bob")


def test_a_session_that_ended_meanwhile_gets_nothing(
    site: Site, visitor: Visitor, party: AuthlibClient
) -> None:
    _, hold_id = held(site, visitor, party)
    site.register("alice")
    site.realm.admin("POST", f"/users/{site.subject('alice')}/logout")
    page = visitor.follow(visitor.get(f"{site.public}/sparekey/hold/{hold_id}"))
    assert 'name="password"' in page.text
    signed_in_anew = visitor.follow(site.types_password(visitor, page, "alice"))
    assert signed_in_anew.status_code == 409
    # From the application everything goes on, with the session that there is now.
    begun, url = party.begin(site.client(), "code", "plain")
    assert "claims" in party.finish(begun, arrival(site.goes_to(visitor, url)).url)


def test_a_hold_opens_in_its_own_browser_once(site: Site, visitor: Visitor, party: AuthlibClient) -> None:
    begun, hold_id = held(site, visitor, party)
    site.register("alice")
    address = f"{site.public}/sparekey/hold/{hold_id}"
    elsewhere = Visitor()
    covered, url = party.begin(site.client(), "code", "plain")
    party.finish(covered, arrival(site.signs_in(elsewhere, url, "alice")).url)
    assert elsewhere.follow(elsewhere.get(address)).status_code == 410
    assert visitor.follow(visitor.get(f"{site.public}/sparekey/hold/{hold_id[:-1]}-")).status_code == 410
    arrived = site.arrives(visitor, site.goes_on(visitor, hold_id))
    assert "claims" in party.finish(begun, arrived.url)
    assert visitor.follow(visitor.get(address)).status_code == 410


def test_a_secret_of_one_hold_opens_no_other(site: Site, visitor: Visitor, party: AuthlibClient) -> None:
    _, first = held(site, visitor, party)
    _, url = party.begin(site.client(), "code", "plain")
    second = site.hold(site.goes_to(visitor, url))
    site.register("alice")
    secrets = {key[2].rpartition("-hold-")[2]: key for key in visitor.cookies if "-hold-" in key[2]}
    visitor.cookies[secrets[first]] = visitor.cookies[secrets[second]]
    assert visitor.follow(visitor.get(f"{site.public}/sparekey/hold/{first}")).status_code == 410


def test_cookies_that_are_too_many_are_told_and_end_nothing(
    site: Site, visitor: Visitor, party: AuthlibClient
) -> None:
    _, url = party.begin(site.client(), "code", "plain")
    for number in range(16):
        visitor.cookies["127.0.0.1", "/", f"much-{number}"] = "x" * 4096
    page = visitor.get(url)
    assert page.status_code == 431
    assert "cookies" in page.text
    for number in range(16):
        del visitor.cookies["127.0.0.1", "/", f"much-{number}"]
    site.hold(site.signs_in(visitor, url, "alice"))


def test_consoles_of_the_provider_and_our_own_pages_are_not_asked_about(
    site: Site, visitor: Visitor, party: AuthlibClient
) -> None:
    held(site, visitor, party)
    console = visitor.get(
        f"{site.endpoints}/auth?client_id=account-console&response_type=code&scope=openid&state=s"
        f"&redirect_uri={site.realm.issuer}/account/&code_challenge={'A' * 43}&code_challenge_method=S256"
    )
    assert console.headers["location"].startswith(f"{site.realm.issuer}/account/")
    assert "code=" in console.headers["location"]
    portal = visitor.follow(visitor.get(f"{site.public}/sparekey/"))
    assert portal.status_code == 200
    assert str(portal.url).startswith(f"{site.public}/sparekey/")
