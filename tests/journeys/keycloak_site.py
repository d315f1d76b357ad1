"""All of Sparekey before a real Keycloak, reached over HTTP alone."""

import asyncio
import base64
import contextlib
import datetime as dt
import json
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from enforcement.current_policy import adopt
from enforcement.policy import load
from gateway.app import Sparekey, build
from gateway.settings import Settings, from_mapping
from store.database import Transaction
from tests.servers import keycloak as kc
from tests.servers.processes import free_port
from tests.servers.visitor import Visitor, forms

POLICY = """
[[rules]]
name = "Everybody"
kinds = ["email"]
register = 1
reset = 1
trust_delay_hours = 0
who = { everyone = true }
"""
PASSWORD = "Passw0rd!of-{}"
REDIRECT = "http://127.0.0.1/callback"
"""Of every relying party; nobody listens there: the visitor stops before it."""
PEOPLE = ("alice", "bob")
JAR = "application-with-request-objects"
CONSENT = "application-with-consent"
HOLD = re.compile(r"/sparekey/hold/([\w-]+)$")


@dataclass
class Site:
    """Everything that a person meets, and what stands behind it."""

    sparekey: Sparekey
    realm: kc.Realm
    ahead: dt.timedelta = dt.timedelta(0)
    """How far our clock is ahead of everybody else's."""
    subjects: dict[str, str] = field(default_factory=dict)

    @property
    def public(self) -> str:
        return self.realm.public

    @property
    def endpoints(self) -> str:
        return f"{self.realm.issuer}/protocol/openid-connect"

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self.ahead

    def subject(self, username: str) -> str:
        if username not in self.subjects:
            self.subjects[username] = self.realm.subject(username)
        return self.subjects[username]

    def begin_anew(self) -> None:
        """Forget everything that a test left behind; sessions at the provider live on."""
        self.ahead = dt.timedelta(0)
        self.sparekey.services.expiring.client.flushall()
        with self.sparekey.services.database.transaction() as transaction:
            for username in PEOPLE:
                self._unregister(username, transaction)

    def unregister(self, username: str) -> None:
        """Take every way back in away again."""
        with self.sparekey.services.database.transaction() as transaction:
            self._unregister(username, transaction)

    def _unregister(self, username: str, transaction: Transaction) -> None:
        person = transaction.people.by_subject(self.realm.issuer, self.subject(username))
        for authenticator in transaction.authenticators.of(person.id) if person else ():
            transaction.authenticators.remove(authenticator.id)

    def obey(self, policy: str) -> None:
        """Put a policy into force, and wait until the gate goes by it."""
        services = self.sparekey.services
        stored = adopt(services.database, policy, author="test", now=self.now())
        while services.gate.current_policy().version != stored.version:
            time.sleep(0.02)

    @contextlib.contextmanager
    def as_shipped(self) -> Iterator[None]:
        """Go by the shipped policy again at the end."""
        yield
        if self.sparekey.services.gate.current_policy().rules != load(POLICY).rules:
            self.obey(POLICY)

    def register(self, username: str) -> None:
        """Give somebody a way back in."""
        with self.sparekey.services.database.transaction() as transaction:
            now = self.now()
            person = transaction.people.ensure(self.realm.issuer, self.subject(username), now=now)
            transaction.authenticators.add(
                person.id, "email", b"own@example.net", now=now, trusted_from=now, provenance="self"
            )

    def client(self, client_id: str = kc.CONFIDENTIAL_APPLICATION) -> dict[str, str]:
        """What a relying party knows of itself."""
        known = {"issuer": self.realm.issuer, "client_id": client_id, "redirect_uri": REDIRECT}
        return (
            known if client_id == kc.PUBLIC_APPLICATION else {**known, "client_secret": kc.APPLICATION_SECRET}
        )

    def goes_to(self, visitor: Visitor, url: str) -> httpx.Response:
        """Follow an address until there is a page, or an answer that leaves the provider."""
        return self.stays(visitor, visitor.get(url))

    def stays(self, visitor: Visitor, answer: httpx.Response) -> httpx.Response:
        """Follow redirects within the provider."""
        for _ in range(10):
            location = answer.headers.get("location", "")
            if not location.startswith(f"{self.public}/realms/"):
                return answer
            answer = visitor.get(location)
        raise AssertionError(location)

    def types_password(self, visitor: Visitor, page: httpx.Response, username: str) -> httpx.Response:
        """Fill in the sign-in page, consent where that is asked, and return what leaves the provider."""
        form = next(form for form in forms(page) if "password" in form.fields)
        fields = {**form.fields, "username": username, "password": PASSWORD.format(username)}
        answer = self.stays(visitor, visitor.post(form.action, fields))
        return self.consents(visitor, answer)

    def consents(self, visitor: Visitor, answer: httpx.Response) -> httpx.Response:
        """Say yes on the consent page, where there is one."""
        if not asks_for_consent(answer):
            return answer
        form = forms(answer)[0]
        return self.stays(visitor, visitor.post(form.action, {**form.fields, "accept": "Yes"}))

    def signs_in(self, visitor: Visitor, url: str, username: str) -> httpx.Response:
        """Sign in with name and password."""
        return self.types_password(visitor, self.goes_to(visitor, url), username)

    def hold(self, answer: httpx.Response) -> str:
        """Return the id of the hold that an answer leads to."""
        location = answer.headers.get("location", "")
        found = HOLD.search(location)
        assert answer.status_code == 303, (answer.status_code, location, answer.text[-400:])
        assert found, location
        assert answer.content == b""
        return found[1]

    def goes_on(self, visitor: Visitor, hold_id: str) -> httpx.Response:
        """Open the hold's page, signed in to the portal silently, and press the button; return the answer."""
        page = visitor.follow(visitor.get(f"{self.public}/sparekey/hold/{hold_id}"))
        assert page.status_code == 200, (page.status_code, page.text[-600:])
        form = next(form for form in forms(page) if form.action.endswith(hold_id))
        return visitor.post(form.action, form.fields)

    def arrives(self, visitor: Visitor, answer: httpx.Response) -> "Arrival":
        """Follow within the provider; return what a relying party gets."""
        return arrival(self.consents(visitor, self.stays(visitor, answer)))


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the browser brings to a relying party."""

    url: str
    form: dict[str, str] | None = None
    """Of an answer by form post."""

    @property
    def parameters(self) -> dict[str, str]:
        """What it says."""
        parts = urlsplit(self.url)
        return self.form if self.form is not None else dict(parse_qsl(parts.fragment or parts.query))

    @property
    def mode(self) -> str:
        """By which way it came."""
        if self.form is not None:
            return "form_post"
        return "fragment" if urlsplit(self.url).fragment else "query"


def asks_for_consent(answer: httpx.Response) -> bool:
    """Tell whether this is the provider's consent page."""
    return answer.status_code == 200 and 'name="accept"' in answer.text


def arrival(answer: httpx.Response) -> Arrival:
    """Read an answer that leaves the provider."""
    location = answer.headers.get("location", "")
    if location:
        assert location.startswith(REDIRECT), location
        return Arrival(location)
    found = [form for form in forms(answer) if form.action.startswith(REDIRECT)]
    assert found, (answer.status_code, str(answer.url), answer.text[-800:])
    return Arrival(found[0].action, dict(found[0].fields))


@contextlib.contextmanager
def open_site(
    keycloak: kc.Keycloak, valkey: str, relying_party: str, **sections: dict[str, object]
) -> Iterator[Site]:
    """Make a realm and serve Sparekey before it.

    Args:
        relying_party: Where the one that signs its requests has its keys.
        sections: Of the settings, besides those that every site has.
    """
    public = f"http://127.0.0.1:{free_port()}"
    people = [kc.LocalPerson(name, PASSWORD.format(name)) for name in PEOPLE]
    realm = kc.make_realm(keycloak, f"site{next(kc.NUMBERS)}", public=public, people=people)
    _arrange(realm, relying_party)
    folder = Path(tempfile.mkdtemp(prefix="sparekey-site-"))
    sites: list[Site] = []

    def clock() -> dt.datetime:
        return sites[0].now() if sites else dt.datetime.now(dt.UTC)

    try:
        with build(_settings(folder, realm, valkey, sections), clock=clock) as sparekey, _listening(sparekey):
            sites.append(Site(sparekey, realm))
            yield sites[0]
    finally:
        keycloak.admin("DELETE", f"/{realm.name}")
        shutil.rmtree(folder)


def _arrange(realm: kc.Realm, relying_party: str) -> None:
    """Let the confidential application do everything, and add one that signs its requests."""
    every = {"oauth2.device.authorization.grant.enabled": "true", "oidc.ciba.grant.enabled": "true"}
    change_client(
        realm,
        kc.CONFIDENTIAL_APPLICATION,
        implicitFlowEnabled=True,
        directAccessGrantsEnabled=True,
        serviceAccountsEnabled=True,
        attributes=every,
    )
    attributes = {
        "request.object.required": "request or request_uri",
        "request.object.signature.alg": "ES256",
        "use.jwks.url": "true",
        "jwks.url": f"{relying_party}/jwks",
        "request.uris": f"{relying_party}/request/*",
    }
    add_client(realm, JAR, attributes=attributes)
    add_client(realm, CONSENT, attributes={}, consentRequired=True)


def _settings(folder: Path, realm: kc.Realm, valkey: str, sections: dict[str, dict[str, object]]) -> Settings:
    (folder / "policies.toml").write_text(POLICY)
    document: dict[str, dict[str, object]] = {
        "gateway": {
            "public": realm.public,
            "listen": f"127.0.0.1:{urlsplit(realm.public).port}",
            "operations": "",
        },
        "idp": {
            "kind": "keycloak",
            "address": realm.keycloak.address,
            "issuer": realm.issuer,
            "client_id": kc.GATEWAY_CLIENT,
            "client_secret": kc.GATEWAY_SECRET,
        },
        "database": {"url": f"sqlite:///{folder / 'sparekey.db'}"},
        "redis": {"url": valkey},
        "messages": {"mail": {"organisation": "Example Company"}},
        "vault": {"keys": [base64.b64encode(secrets.token_bytes(32)).decode()]},
        "policies": {"file": str(folder / "policies.toml")},
        "demo": {"outbox": str(folder / "outbox")},
    }
    return from_mapping({**document, **sections})


@contextlib.contextmanager
def _listening(sparekey: Sparekey) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="plane", daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(sparekey.start(log_descriptor=None), loop).result(20)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(sparekey.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def add_client(realm: kc.Realm, client_id: str, *, attributes: dict[str, str], **more: Any) -> None:
    """Add a relying party with a secret."""
    document = {
        "clientId": client_id,
        "secret": kc.APPLICATION_SECRET,
        "fullScopeAllowed": False,
        "redirectUris": [*kc.LOOPBACK],
        "attributes": attributes,
    }
    realm.admin("POST", "/clients", json={**document, **more})


def change_client(realm: kc.Realm, client_id: str, **changes: Any) -> None:
    """Change a client's settings; `attributes` are added to those that are there."""
    found = realm.admin("GET", "/clients", params={"clientId": client_id}).json()[0]
    attributes = {**found.get("attributes", {}), **changes.pop("attributes", {})}
    realm.admin("PUT", f"/clients/{found['id']}", json={**found, **changes, "attributes": attributes})


def settled(text: str) -> dict[str, Any]:
    """Read a JWT's claims, unverified."""
    part = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
