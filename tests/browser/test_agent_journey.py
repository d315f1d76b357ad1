"""A forgotten password in Chromium: reset through an agent to Active Directory, and good at Keycloak at once.

Four programs of their own: the gateway, which knows no way to the directory; the agent, which dials out to
it; Keycloak, which federates the directory; and the domain controller.
"""

import base64
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.servers import keycloak as kc
from tests.servers.processes import answers, free_port, running
from tests.servers.relying_party import RelyingParty, StartRelyingParty
from tests.servers.samba import SambaDomain, SambaPerson, serving
from tests.servers.samba_build import REALM, SERVICE, SERVICE_PASSWORD
from tests.servers.smtp import SmtpSink

PROGRAM = Path(sys.executable).with_name("sparekey")
CODE = re.compile(r"^\s*(\d{6})\s*$", re.MULTILINE)
PRIVATE = "bob.private@example.net"
OLD, NEW = "Bob-Passw0rd", "four Words not together"
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
    domain: SambaDomain
    mail: SmtpSink
    application: RelyingParty
    logs: Path

    def code(self, *, after: int) -> str:
        """Return the code in the first message to the private address after so many messages."""
        count = after
        while True:
            count += 1
            received = self.mail.wait(count)[count - 1]
            found = CODE.search(received.text)
            if found and received.recipients == (PRIVATE,):
                return found.group(1)


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaDomain]:
    folder = tmp_path_factory.mktemp("domain")
    # Keycloak binds without TLS here, on loopback; the agent uses LDAPS.
    with (
        serving(folder, takes_plain_binds=True) as server,
        SambaDomain(
            server, (SambaPerson("bob", OLD), SambaPerson("erin", "Erin-Passw0rd", ("protected",)))
        ) as it,
    ):
        yield it


@pytest.fixture
def site(
    keycloak_realm: kc.MakeRealm,
    domain: SambaDomain,
    smtp_sink: SmtpSink,
    relying_party: StartRelyingParty,
    tmp_path: Path,
) -> Iterator[Site]:
    port = free_port()
    public = f"http://127.0.0.1:{port}"
    service = f"{SERVICE}@{REALM}"
    federation = kc.Federation(
        f"ldap://{domain.server.host}", domain.base, service, SERVICE_PASSWORD, is_active_directory=True
    )
    realm = keycloak_realm(public=public, federation=federation)
    application = relying_party(realm.issuer, kc.PUBLIC_APPLICATION, host="localhost")
    gateway, agent = tmp_path / "sparekey.toml", tmp_path / "agent.toml"
    (tmp_path / "policies.toml").write_text(POLICY)
    gateway.write_text(_toml(_gateway(tmp_path, port, realm, smtp_sink)) + _DIRECTORY)
    agent.write_text(_toml(_agent(tmp_path, public, domain)))
    serve = [PROGRAM, "serve", "--settings", gateway]
    with running(serve, log=tmp_path / "gateway.log", ready=lambda: answers(port), seconds=60):
        token = _run("agents", "invite", "corp", "--settings", gateway)
        _run("agent", "--settings", agent, "join", token, "--name", "One")

        def takes_orders() -> bool:
            return httpx.get(f"{public}/sparekey/reset", trust_env=False).status_code == 200

        works = [PROGRAM, "agent", "--settings", agent]
        with running(works, log=tmp_path / "agent.log", ready=takes_orders, seconds=60):
            yield Site(public, domain, smtp_sink, application, tmp_path)


_DIRECTORY = """
[[directories]]
name = "corp"
kind = "active_directory"
agent = true
"""


def _gateway(folder: Path, port: int, realm: kc.Realm, mail: SmtpSink) -> dict[str, dict[str, object]]:
    return {
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
        "messages": {"default_region": "US"},
        "messages.mail": {"host": "localhost", "port": mail.port, "ca": str(mail.ca)},
        "vault": {"keys": [base64.b64encode(secrets.token_bytes(32)).decode()]},
        "policies": {"file": str(folder / "policies.toml")},
    }


def _agent(folder: Path, public: str, domain: SambaDomain) -> dict[str, dict[str, object]]:
    directory = domain.settings()
    return {
        "": {"state": str(folder / "agent")},
        "channel": {"kind": "https", "url": f"{public}/sparekey"},
        "directory": {
            "name": "corp",
            "kind": "active_directory",
            "servers": list(directory.servers),
            "ca": str(directory.ca),
            "bind_dn": directory.bind_dn,
            "bind_password": directory.bind_password.get_secret_value(),
            "base": directory.base,
            "protected_groups": list(directory.protected_groups),
            "seconds": directory.seconds,
        },
    }


def _toml(sections: Mapping[str, Mapping[str, object]]) -> str:
    # What JSON writes of these values is TOML too.
    return "\n".join(
        "\n".join([*([f"[{name}]"] if name else []), *(f"{k} = {json.dumps(v)}" for k, v in values.items())])
        for name, values in sections.items()
    )


def _run(*words: str | Path) -> str:
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def page(browser_context: BrowserContext) -> Page:
    return browser_context.new_page()


def _sign_in(page: Page, password: str) -> None:
    page.locator("#username").fill("bob")
    page.locator("#password").fill(password)
    page.locator("#kc-login").click()


def _register(site: Site, page: Page) -> None:
    page.goto(site.application.start)
    _sign_in(page, OLD)
    page.wait_for_url(f"{site.public}/sparekey/register**")
    page.get_by_role("link", name="Add an e-mail address").click()
    page.get_by_label("E-mail address").fill(PRIVATE)
    page.get_by_role("button", name="Send the code").click()
    page.get_by_label("Code", exact=True).fill(site.code(after=0))
    page.get_by_role("button", name="Add this address").click()
    page.get_by_role("button", name="Continue to").click()
    page.get_by_role("heading", name="Signed in as bob").wait_for()


def _reset(site: Site, page: Page) -> None:
    messages = len(site.mail.messages)
    page.goto(site.application.start)
    page.get_by_role("link", name="Can't access your account?").click()
    page.get_by_label("User name").fill("bob")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(re.compile("/reset/(choose|code)"))
    if "/choose" in page.url:
        page.get_by_role("radio").first.check()
        page.get_by_role("button", name="Continue").click()
    page.get_by_label("Code", exact=True).fill(site.code(after=messages))
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button", name="Change my password").click()
    page.get_by_role("link", name="Go to sign-in").click()


@pytest.mark.timeout(300)
def test_a_password_reset_through_an_agent_opens_keycloak_and_the_application(
    site: Site, page: Page, browser_context: BrowserContext
) -> None:
    _register(site, page)
    browser_context.clear_cookies()

    _reset(site, page)
    assert site.domain.accepts("bob", NEW)
    assert not site.domain.accepts("bob", OLD)
    _sign_in(page, NEW)

    page.get_by_role("heading", name="Signed in as bob").wait_for()
    assert len(site.application.sign_ins) == 2
    assert site.application.refusals == []
    logs = "".join((site.logs / name).read_text() for name in ("gateway.log", "agent.log"))
    assert NEW not in logs
    assert SERVICE_PASSWORD not in logs
