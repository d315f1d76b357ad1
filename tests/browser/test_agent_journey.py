"""A forgotten password in Chromium: reset through an agent to Active Directory, and good at Keycloak at once.

Four programs of their own: the gateway, which knows no way to the directory; the agent, which dials out to
it; Keycloak, which federates the directory; and the domain controller.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.bob_at_keycloak import add_address, gateway_settings, reset, sign_in, toml
from tests.servers import keycloak as kc
from tests.servers.processes import answers, free_port, running
from tests.servers.relying_party import RelyingParty, StartRelyingParty
from tests.servers.samba import SambaDomain, SambaPerson, serving
from tests.servers.samba_build import REALM, SERVICE, SERVICE_PASSWORD
from tests.servers.smtp import SmtpSink

PROGRAM = Path(sys.executable).with_name("sparekey")
OLD, NEW = "Bob-Passw0rd", "four Words not together"


@dataclass
class Site:
    """Everything that a person meets, and what stands behind it."""

    public: str
    domain: SambaDomain
    mail: SmtpSink
    application: RelyingParty
    logs: Path


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
    tables = gateway_settings(tmp_path, port, realm, smtp_sink)
    gateway.write_text(toml({**tables, **_DIRECTORY}))
    agent.write_text(toml(_agent(tmp_path, public, domain)))
    serve = [PROGRAM, "serve", "--settings", gateway]
    with running(serve, log=tmp_path / "gateway.log", ready=lambda: answers(port), seconds=60):
        token = _run("agents", "invite", "corp", "--settings", gateway)
        _run("agent", "--settings", agent, "join", token, "--name", "One")

        def takes_orders() -> bool:
            return httpx.get(f"{public}/sparekey/reset", trust_env=False).status_code == 200

        works = [PROGRAM, "agent", "--settings", agent]
        with running(works, log=tmp_path / "agent.log", ready=takes_orders, seconds=60):
            yield Site(public, domain, smtp_sink, application, tmp_path)


_DIRECTORY: Mapping[str, Mapping[str, object]] = {
    "[messages]": {"default_region": "US"},
    "[[directories]]": {"name": "corp", "kind": "active_directory", "agent": True},
}


def _agent(folder: Path, public: str, domain: SambaDomain) -> dict[str, dict[str, object]]:
    directory = domain.settings()
    return {
        "": {"state": str(folder / "agent")},
        "[channel]": {"kind": "https", "url": f"{public}/sparekey"},
        "[directory]": {
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


def _run(*words: str | Path) -> str:
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def page(browser_context: BrowserContext) -> Page:
    return browser_context.new_page()


@pytest.mark.timeout(300)
def test_a_password_reset_through_an_agent_opens_keycloak_and_the_application(
    site: Site, page: Page, browser_context: BrowserContext
) -> None:
    page.goto(site.application.start)
    sign_in(page, OLD)
    add_address(page, site.mail, site.public)
    page.get_by_role("heading", name="Signed in as bob").wait_for()
    browser_context.clear_cookies()

    page.goto(site.application.start)
    reset(page, site.mail, NEW)
    assert site.domain.accepts("bob", NEW)
    assert not site.domain.accepts("bob", OLD)
    sign_in(page, NEW)

    page.get_by_role("heading", name="Signed in as bob").wait_for()
    assert len(site.application.sign_ins) == 2
    assert site.application.refusals == []
    logs = "".join((site.logs / name).read_text() for name in ("gateway.log", "agent.log"))
    assert NEW not in logs
    assert SERVICE_PASSWORD not in logs
