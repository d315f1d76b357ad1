"""An application behind nginx whose people sign in at a real Keycloak, and everything that ends it there."""

import contextlib
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from gateway.interception.sign_in_metrics import GATE_REPORTS
from tests.gateway.forward_auth.around import NAVIGATION, SCRIPT, Mapped
from tests.gateway.forward_auth.guarded import Guarded, guarded
from tests.journeys import keycloak_site
from tests.journeys.keycloak_site import PASSWORD, POLICY, change_client, open_site
from tests.journeys.world import CODE, solved
from tests.servers import forward_auth_proxies as proxies
from tests.servers import keycloak as kc
from tests.servers.certificates import Authority
from tests.servers.processes import free_port
from tests.servers.valkey import Valkey
from tests.servers.visitor import Visitor, forms

HOST = "wiki.localhost"
NEW = "four words not together"


@dataclass
class Site:
    """Keycloak, the gateway, nginx, and the application behind it."""

    site: keycloak_site.Site
    application: Guarded
    origin: str
    outbox: Path
    port: int
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def gateway(self) -> str:
        """Below which our own pages are."""
        return f"{self.site.public}/sparekey"

    def browser(self) -> Visitor:
        """A new browser."""
        transport = Mapped(ssl.create_default_context(), {HOST: self.port})
        self.clients.append(httpx.Client(transport=transport, timeout=30, headers=NAVIGATION))
        return Visitor(self.clients[-1])

    def opens(self, browser: Visitor, path: str = "/") -> httpx.Response:
        """Open a page of the application, wherever that leads."""
        return browser.follow(browser.get(self.origin + path))

    def signs_in(self, username: str, path: str = "/") -> Visitor:
        """Open a page of the application in a new browser, and sign in."""
        browser = self.browser()
        page = self.opens(browser, path)
        assert page.url.path.startswith("/realms/"), page.url
        arrived = browser.submit(page, username=username, password=PASSWORD.format(username))
        assert str(arrived.url) == self.origin + path, (arrived.url, arrived.text[-500:])
        return browser

    def passes(self, browser: Visitor) -> bool:
        """Tell whether a session still opens the application, once it can be known that it does not."""
        time.sleep(self.site.sparekey.services.settings.forward_auth.revoked_within_ms / 1000)
        browser.headers = SCRIPT
        status = browser.get(f"{self.origin}/").status_code
        browser.headers = {}
        assert status in {200, 401}
        return status == 200

    def code(self) -> str:
        """Return the code of the newest message."""
        while self.site.sparekey.services.jobs.drain(now=self.site.now()):
            pass
        told = [json.loads(file.read_text("utf-8")) for file in self.outbox.glob("*.json")]
        found = (CODE.search(each["text"]) for each in sorted(told, key=lambda each: each["sent_at"]))
        return "".join(next(code for code in reversed([*found]) if code).groups())


@pytest.fixture(scope="module")
def started(
    keycloak: kc.Keycloak, valkey_server: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder, port, asked_at = tmp_path_factory.mktemp("wiki"), free_port(), free_port()
    origin, outbox = f"http://{HOST}:{port}", folder / "outbox"
    forward_auth: dict[str, object] = {
        "listen": f"127.0.0.1:{asked_at}",
        "proxies": [{"address": "127.0.0.1", "states": "x_original"}],
        "applications": [origin],
    }
    sections = {"forward_auth": forward_auth, "demo": {"outbox": str(outbox)}}
    with (
        open_site(keycloak, valkey_server.url, "http://127.0.0.1", **sections) as site,
        guarded() as application,
    ):
        attributes = {
            "backchannel.logout.url": f"{site.public}/sparekey/oidc/backchannel-logout",
            "backchannel.logout.session.required": "true",
            "post.logout.redirect.uris": f"{site.public}/sparekey/*",
        }
        change_client(site.realm, kc.GATEWAY_CLIENT, attributes=attributes)
        certificate = Authority.new(folder).issue("unused")
        place = proxies.Around(folder, asked_at, application.port, certificate)
        with proxies.nginx_without_tls(place, port, origin), contextlib.ExitStack() as close:
            running = Site(site, application, origin, outbox, port)
            close.callback(lambda: [client.close() for client in running.clients])
            yield running


@pytest.fixture
def wiki(started: Site) -> Site:
    started.site.begin_anew()
    started.site.register("bob")
    started.application.seen.clear()
    return started


def test_a_person_arrives_where_they_were_going_and_is_named(wiki: Site) -> None:
    browser = wiki.signs_in("bob", "/pages/Home?action=view&next=%2Fa")
    (request, fields), *_ = wiki.application.seen
    assert request == "GET /pages/Home?action=view&next=%2Fa"
    assert dict(fields)["Remote-User"] == "bob"
    assert wiki.passes(browser)
    # The session at Keycloak is enough for a new one here.
    browser.cookies.pop((HOST, "/", "sparekey-application"))
    assert wiki.opens(browser).status_code == 200


def test_somebody_without_a_way_back_does_not_arrive(wiki: Site) -> None:
    browser = wiki.browser()
    page = wiki.opens(browser)
    registration = browser.submit(page, username="alice", password=PASSWORD.format("alice"))
    assert str(registration.url).startswith(f"{wiki.gateway}/")
    assert wiki.application.seen == []


def test_a_rule_on_trial_holds_nobody_and_is_counted(wiki: Site) -> None:
    counted = GATE_REPORTS.labels("On trial")
    before = counted._value.get()
    with wiki.site.as_shipped():
        wiki.site.obey(POLICY.replace('name = "Everybody"', 'name = "On trial"\nreport_only = true'))
        wiki.signs_in("alice")
        assert counted._value.get() == before + 1
        wiki.signs_in("bob")
        assert counted._value.get() == before + 1


def test_a_reset_ends_the_session_at_the_application(wiki: Site) -> None:
    thief = wiki.signs_in("bob")
    assert wiki.passes(thief)
    person = wiki.browser()
    page = person.get(f"{wiki.gateway}/reset")
    page = person.submit(page, identifier="bob", work=solved(page))
    page = person.submit(page, kind="email")
    page = person.submit(page, code=wiki.code())
    try:
        done = person.submit(page, password=NEW, again=NEW)
        assert done.status_code == 200, done.text[-800:]
        assert not wiki.passes(thief)
        # Nor does the session at Keycloak open a new one.
        assert "password" in forms(wiki.opens(thief))[0].fields
    finally:
        realm, value = wiki.site.realm, {"type": "password", "value": PASSWORD.format("bob")}
        realm.admin("PUT", f"/users/{wiki.site.subject('bob')}/reset-password", json=value)


def test_who_is_signed_out_at_keycloak_is_signed_out_here(wiki: Site) -> None:
    bob = wiki.signs_in("bob")
    wiki.site.register("alice")
    alice = wiki.signs_in("alice")
    wiki.site.realm.admin("POST", f"/users/{wiki.site.subject('bob')}/logout")
    assert not wiki.passes(bob)
    assert wiki.passes(alice)


def test_signing_out_at_the_application_ends_the_session_at_keycloak_too(wiki: Site) -> None:
    browser = wiki.signs_in("bob")
    question = wiki.opens(browser, "/sparekey/forward-auth/sign-out")
    assert wiki.passes(browser)
    form = next(form for form in forms(question) if form.action == f"{wiki.gateway}/oidc/logout")
    asked = browser.follow(browser.post(form.action, form.fields))
    assert not wiki.passes(browser)
    # Keycloak asks, too: the request names no session.
    assert asked.url.path.endswith("/protocol/openid-connect/logout")
    left = browser.submit(asked, confirmLogout="Logout")
    assert str(left.url).startswith(f"{wiki.gateway}/")
    assert "password" in forms(wiki.opens(browser))[0].fields
