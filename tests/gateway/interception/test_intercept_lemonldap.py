"""Interception in front of LemonLDAP::NG: OpenID Connect, SAML and CAS on one session, by settings alone."""

import contextlib
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.interception.hold import Replay
from idp_plugin.settings import IdpSettings
from tests.gateway.interception.interception_world import World, gateway_settings, hold_secret, world
from tests.servers import lemonldap
from tests.servers.mellon import KeyPair, Mellon, StartMellon
from tests.servers.processes import free_port
from tests.servers.valkey import Valkey
from tests.servers.visitor import Visitor, forms

SERVICE = "http://127.0.0.1/timesheets?week=7"


@dataclass
class Site:
    """A gateway before one portal."""

    world: World
    mellon_port: int

    def cas(self, **wishes: str) -> str:
        """Where a sign-in by CAS begins."""
        return f"{self.world.public}/cas/login?{urllib.parse.urlencode({'service': SERVICE, **wishes})}"

    def oidc(self) -> str:
        """Where a sign-in by OpenID Connect begins."""
        query = {
            "client_id": "application",
            "redirect_uri": "http://127.0.0.1/callback",
            "response_type": "code",
            "scope": "openid",
            "state": "s1",
        }
        return f"{self.world.public}/oauth2/authorize?{urllib.parse.urlencode(query)}"

    def sign_in(self, visitor: Visitor, page: httpx.Response) -> httpx.Response:
        """Fill in the portal's form; return what it answers."""
        form = next(form for form in forms(page) if "password" in form.fields)
        typed = {"user": lemonldap.PERSON, "password": lemonldap.PERSON}
        return visitor.post(form.action, {**form.fields, **typed})

    def covered(self, visitor: Visitor) -> None:
        """Sign somebody in who is covered meanwhile."""
        self.world.register(lemonldap.PERSON)
        self.sign_in(visitor, visitor.get(self.cas()))
        self.world.unregister(lemonldap.PERSON)

    def released(self, visitor: Visitor, held: httpx.Response) -> httpx.Response:
        """Register, and follow what releases a held sign-in."""
        hold_id = self.world.held(held)
        self.world.register(lemonldap.PERSON)
        released = self.world.release(visitor, hold_id)
        assert isinstance(released, Replay)
        return visitor.get(released.location)


@pytest.fixture(scope="module")
def running(
    lemonldap_here: None,
    tmp_path_factory: pytest.TempPathFactory,
    valkey_server: Valkey,
    mellon_keys: KeyPair,
) -> Iterator[Site]:
    del lemonldap_here
    gateway = gateway_settings()
    application = Mellon(free_port(), mellon_keys, Path())
    with lemonldap.serving(gateway.public, service_metadata=application.metadata()) as portal:
        idp = IdpSettings(
            kind="lemonldap",
            address=portal.address,
            issuer=portal.public,
            client_id=lemonldap.CLIENT,
            client_secret=lemonldap.SECRET,
        )
        with world(idp, gateway, tmp_path_factory.mktemp("gateway"), valkey_server.url) as started:
            yield Site(started, application.port)


@pytest.fixture
def site(running: Site, valkey: Valkey) -> Site:
    del valkey
    with contextlib.suppress(AssertionError):
        running.world.unregister(lemonldap.PERSON)
    return running


@pytest.fixture
def visitor() -> Visitor:
    return Visitor()


def test_a_code_is_held_and_comes_again(site: Site, visitor: Visitor) -> None:
    held = site.sign_in(visitor, visitor.get(site.oidc()))
    answer = site.released(visitor, held)
    assert re.fullmatch(r"http://127\.0\.0\.1/callback\?.*code=.+", answer.headers["location"])
    assert "state=s1" in answer.headers["location"]


def test_a_ticket_is_held_and_comes_again_and_is_good(site: Site, visitor: Visitor) -> None:
    held = site.sign_in(visitor, visitor.get(site.cas()))
    answer = site.released(visitor, held)
    service, _, ticket = answer.headers["location"].partition("&ticket=")
    assert service == SERVICE
    query = urllib.parse.urlencode({"service": SERVICE, "ticket": ticket})
    asked = httpx.get(f"{site.world.public}/cas/serviceValidate?{query}", trust_env=False)
    assert f"<cas:user>{lemonldap.PERSON}</cas:user>" in asked.text


def test_a_ticket_within_a_session_is_held(site: Site, visitor: Visitor) -> None:
    site.covered(visitor)
    hold_id = site.world.held(visitor.get(site.cas()))
    sign_in = site.world.parts.holds.read(hold_id, hold_secret(visitor, hold_id)).sign_in
    assert (sign_in.protocol, sign_in.client_id) == ("cas", "127.0.0.1")
    assert (sign_in.subject.id, sign_in.verified_by) == (lemonldap.PERSON, "silent_check")


def test_a_service_that_forbids_pages_gets_no_ticket(site: Site, visitor: Visitor) -> None:
    site.covered(visitor)
    assert visitor.get(site.cas(gateway="true")).headers["location"] == SERVICE
    site.world.register(lemonldap.PERSON)
    assert "ticket=ST-" in visitor.get(site.cas(gateway="true")).headers["location"]


def test_mellon_takes_the_portals_assertion(site: Site, visitor: Visitor, mellon: StartMellon) -> None:
    metadata = httpx.get(f"{site.world.public}/saml/metadata", trust_env=False).text
    application = mellon(metadata, port=site.mellon_port)
    wanted = application.page("reports?week=7")
    held = site.sign_in(visitor, visitor.follow(visitor.get(wanted)))
    answer = visitor.submit(site.released(visitor, held))
    assert str(answer.url) == wanted, application.log()
    assert answer.headers["x-signed-in"] == lemonldap.PERSON
