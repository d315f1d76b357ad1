"""The main job in Chromium, on `sparekey serve` before a real Keycloak with a real OpenLDAP behind it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.bob_at_keycloak import add_address, gateway_settings, reset, sign_in, toml
from tests.servers import keycloak as kc
from tests.servers.mellon import StartMellon, registration
from tests.servers.processes import answers, free_port, running
from tests.servers.relying_party import RelyingParty, StartRelyingParty
from tests.servers.slapd import PEOPLE, SERVICE_DN, SERVICE_PASSWORD, Slapd
from tests.servers.smtp import SmtpSink

NEW_PASSWORD = "four words not together"


@dataclass
class Site:
    """Everything that a person meets, and what stands behind it."""

    public: str
    realm: kc.Realm
    slapd: Slapd
    mail: SmtpSink
    application: RelyingParty


@pytest.fixture
def site(
    keycloak_realm: kc.MakeRealm,
    slapd: Slapd,
    smtp_sink: SmtpSink,
    relying_party: StartRelyingParty,
    tmp_path: Path,
) -> Iterator[Site]:
    port = free_port()
    public = f"http://127.0.0.1:{port}"
    federation = kc.Federation(slapd.plain_address, PEOPLE, SERVICE_DN, SERVICE_PASSWORD)
    realm = keycloak_realm(public=public, federation=federation)
    application = relying_party(realm.issuer, kc.PUBLIC_APPLICATION, host="localhost")
    settings = tmp_path / "sparekey.toml"
    tables = gateway_settings(tmp_path, port, realm, smtp_sink)
    settings.write_text(toml({**tables, "[[directories]]": _directory(slapd)}))
    command = [sys.executable, "-m", "gateway.cli.main", "serve", "--settings", settings]
    with running(command, log=tmp_path / "gateway.log", ready=lambda: answers(port), seconds=60):
        yield Site(public, realm, slapd, smtp_sink, application)


def _directory(slapd: Slapd) -> dict[str, object]:
    directory = slapd.settings()
    return {
        "name": directory.name,
        "servers": list(directory.servers),
        "ca": str(directory.ca),
        "bind_dn": directory.bind_dn,
        "bind_password": directory.bind_password.get_secret_value(),
        "base": directory.base,
        "protected_groups": list(directory.protected_groups),
    }


@pytest.fixture
def page(browser_context: BrowserContext) -> Page:
    return browser_context.new_page()


def test_a_person_is_interrupted_registers_and_arrives_in_the_application(site: Site, page: Page) -> None:
    page.goto(site.application.start)
    sign_in(page, site.slapd.people["bob"].password)
    page.wait_for_url(f"{site.public}/sparekey/register**")
    assert site.application.sign_ins == []

    page.go_back()
    page.goto(site.application.start)
    add_address(page, site.mail, site.public)

    page.get_by_role("heading", name="Signed in as bob").wait_for()
    # State, nonce, PKCE, issuer, audience and signature were verified by the relying party itself.
    assert [claims["preferred_username"] for claims in site.application.sign_ins] == ["bob"]
    assert site.application.refusals == []


def test_a_forgotten_password_is_reset_and_the_new_one_opens_the_application(
    site: Site, page: Page, browser_context: BrowserContext
) -> None:
    page.goto(site.application.start)
    sign_in(page, site.slapd.people["bob"].password)
    add_address(page, site.mail, site.public)
    page.get_by_role("heading", name="Signed in as bob").wait_for()
    browser_context.clear_cookies()

    page.goto(site.application.start)
    reset(page, site.mail, NEW_PASSWORD)
    assert not site.slapd.accepts("bob", site.slapd.people["bob"].password)

    sign_in(page, NEW_PASSWORD)

    page.get_by_role("heading", name="Signed in as bob").wait_for()
    assert len(site.application.sign_ins) == 2
    assert site.application.refusals == []
    sessions = site.realm.admin("GET", f"/users/{site.realm.subject('bob')}/sessions").json()
    assert len(sessions) == 1


def test_a_saml_application_that_posts_its_requests_is_reached_by_whoever_registered(
    site: Site, page: Page, mellon: StartMellon
) -> None:
    metadata = httpx.get(f"{site.realm.issuer}/protocol/saml/descriptor", trust_env=False).text
    application = mellon(metadata, asks_by="HTTP-POST")
    site.realm.admin("POST", "/clients", json=registration(application))
    wanted = application.page("reports?week=7")

    page.goto(wanted)
    sign_in(page, site.slapd.people["bob"].password)
    add_address(page, site.mail, site.public)

    page.get_by_role("heading", name="Signed in by SAML").wait_for()
    # Request, response, signature, audience and time were verified by mod_auth_mellon.
    assert page.url == wanted, application.log()
