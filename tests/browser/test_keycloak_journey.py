"""The main job in Chromium, on `sparekey serve` before a real Keycloak with a real OpenLDAP behind it."""

import base64
import json
import re
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.servers import keycloak as kc
from tests.servers.mellon import StartMellon, registration
from tests.servers.processes import answers, free_port, running
from tests.servers.relying_party import RelyingParty, StartRelyingParty
from tests.servers.slapd import PEOPLE, SERVICE_DN, SERVICE_PASSWORD, Slapd
from tests.servers.smtp import SmtpSink

CODE = re.compile(r"^\s*(\d{6})\s*$", re.MULTILINE)
PRIVATE = "bob.private@example.net"
NEW_PASSWORD = "four words not together"
POLICY = """\
[[rules]]
name = "Everybody"
kinds = ["email"]
register = 1
reset = 1
trust_delay_hours = 0
who = { everyone = true }
"""


@dataclass
class Site:
    """Everything that a person meets, and what stands behind it."""

    public: str
    realm: kc.Realm
    slapd: Slapd
    mail: SmtpSink
    application: RelyingParty

    def code_mailed_to(self, address: str, *, after: int) -> str:
        """Return the code in the first message to an address that came after the first `after` messages."""
        count = after
        while True:
            count += 1
            received = self.mail.wait(count)[count - 1]
            found = CODE.search(received.text)
            if found and received.recipients == (address,):
                return found.group(1)


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
    (tmp_path / "policies.toml").write_text(POLICY)
    settings.write_text(_settings(tmp_path, port, realm, slapd, smtp_sink))
    command = [sys.executable, "-m", "gateway.cli.main", "serve", "--settings", settings]
    with running(command, log=tmp_path / "gateway.log", ready=lambda: answers(port), seconds=60):
        yield Site(public, realm, slapd, smtp_sink, application)


def _settings(folder: Path, port: int, realm: kc.Realm, slapd: Slapd, mail: SmtpSink) -> str:
    directory = slapd.settings()
    sections = {
        "gateway": {"public": realm.public, "listen": f"127.0.0.1:{port}", "operations": ""},
        "idp": {
            "kind": "keycloak",
            "address": realm.keycloak.address,
            "issuer": realm.issuer,
            "client_id": kc.GATEWAY_CLIENT,
            "client_secret": kc.GATEWAY_SECRET,
        },
        "database": {"url": f"sqlite:///{folder / 'sparekey.db'}"},
        "redis": {"directory": str(folder / "valkey")},
        "messages.mail": {"host": "localhost", "port": mail.port, "ca": str(mail.ca)},
        "vault": {"keys": [base64.b64encode(secrets.token_bytes(32)).decode()]},
        "policies": {"file": str(folder / "policies.toml")},
    }
    tables = [(f"[{name}]", values) for name, values in sections.items()]
    tables.append(
        (
            "[[directories]]",
            {
                "name": directory.name,
                "servers": list(directory.servers),
                "ca": str(directory.ca),
                "bind_dn": directory.bind_dn,
                "bind_password": directory.bind_password.get_secret_value(),
                "base": directory.base,
                "protected_groups": list(directory.protected_groups),
            },
        )
    )
    # What JSON writes of these values is TOML too.
    return "\n".join(
        "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in values.items())])
        for head, values in tables
    )


@pytest.fixture
def page(browser_context: BrowserContext) -> Page:
    return browser_context.new_page()


def _sign_in(page: Page, password: str) -> None:
    page.locator("#username").fill("bob")
    page.locator("#password").fill(password)
    page.locator("#kc-login").click()


def _register(site: Site, page: Page) -> None:
    page.goto(site.application.start)
    _sign_in(page, site.slapd.people["bob"].password)
    _add_address(site, page)


def _add_address(site: Site, page: Page) -> None:
    page.wait_for_url(f"{site.public}/sparekey/register**")
    page.get_by_role("link", name="Add an e-mail address").click()
    page.get_by_label("E-mail address").fill(PRIVATE)
    page.get_by_role("button", name="Send the code").click()
    page.get_by_label("Code", exact=True).fill(site.code_mailed_to(PRIVATE, after=0))
    page.get_by_role("button", name="Add this address").click()
    page.get_by_role("button", name="Continue to").click()


def test_a_person_is_interrupted_registers_and_arrives_in_the_application(site: Site, page: Page) -> None:
    page.goto(site.application.start)
    _sign_in(page, site.slapd.people["bob"].password)
    page.wait_for_url(f"{site.public}/sparekey/register**")
    assert site.application.sign_ins == []

    page.go_back()
    page.goto(site.application.start)
    page.wait_for_url(f"{site.public}/sparekey/register**")
    page.get_by_role("link", name="Add an e-mail address").click()
    page.get_by_label("E-mail address").fill(PRIVATE)
    page.get_by_role("button", name="Send the code").click()
    page.get_by_label("Code", exact=True).fill(site.code_mailed_to(PRIVATE, after=0))
    page.get_by_role("button", name="Add this address").click()
    page.get_by_role("button", name="Continue to").click()

    page.get_by_role("heading", name="Signed in as bob").wait_for()
    # State, nonce, PKCE, issuer, audience and signature were verified by the relying party itself.
    assert [claims["preferred_username"] for claims in site.application.sign_ins] == ["bob"]
    assert site.application.refusals == []


def test_a_forgotten_password_is_reset_and_the_new_one_opens_the_application(
    site: Site, page: Page, browser_context: BrowserContext
) -> None:
    _register(site, page)
    page.get_by_role("heading", name="Signed in as bob").wait_for()
    browser_context.clear_cookies()
    messages = len(site.mail.messages)

    page.goto(site.application.start)
    page.get_by_role("link", name="Can't access your account?").click()
    page.get_by_label("User name").fill("bob")
    page.get_by_role("button", name="Continue").click()
    # With one kind in the whole policy the page of choice has one choice, or is not needed.
    page.wait_for_url(re.compile("/reset/(choose|code)"))
    if "/choose" in page.url:
        page.get_by_role("radio").first.check()
        page.get_by_role("button", name="Continue").click()
    page.get_by_label("Code", exact=True).fill(site.code_mailed_to(PRIVATE, after=messages))
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change my password").click()
    page.get_by_role("link", name="Go to sign-in").click()
    assert not site.slapd.accepts("bob", site.slapd.people["bob"].password)

    _sign_in(page, NEW_PASSWORD)

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
    _sign_in(page, site.slapd.people["bob"].password)
    _add_address(site, page)

    page.get_by_role("heading", name="Signed in by SAML").wait_for()
    # Request, response, signature, audience and time were verified by mod_auth_mellon.
    assert page.url == wanted, application.log()
