"""Keycloak: one server per run, a realm of their own for every module of tests."""

import contextlib
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from tests.servers import keycloak_build as building
from tests.servers.presence import missing
from tests.servers.processes import free_port
from tests.servers.versions import ReportVersion

GATEWAY_CLIENT = "sparekey"
GATEWAY_SECRET = "the gateway's secret"
PUBLIC_APPLICATION = "application"
CONFIDENTIAL_APPLICATION = "application-with-secret"
APPLICATION_SECRET = "the application's secret"
CHANNEL = "spi-ciba-auth-channel--ciba-http-auth-channel--http-authentication-channel-uri"
TOKEN_SECONDS = 30
"""Half of what Keycloak gives an administrator's token."""


@dataclass(frozen=True, slots=True)
class LocalPerson:
    """A person whose password Keycloak keeps itself."""

    username: str
    """At least 3 characters."""
    password: str
    """In the clear."""


@dataclass(frozen=True, slots=True)
class Federation:
    """A directory that Keycloak reads people from and writes passwords to."""

    url: str
    """`ldap://` or `ldaps://`."""
    people: str
    """DN above the people."""
    bind_dn: str
    """The service account."""
    bind_password: str
    """Its password."""
    is_active_directory: bool = False
    """Else OpenLDAP."""
    name: str = "corp"
    """Of the federation."""


@dataclass(slots=True)
class Keycloak:
    """A running server."""

    address: str
    """Where the gateway reaches it."""
    pid: int
    """Of its outermost process."""
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=60), repr=False)
    """For the admin API."""

    log: Path | None = None
    """What it writes."""
    channel_port: int = 0
    """Where it asks for a person's consent without a browser (CIBA); a test may listen there."""
    bearer: tuple[str, float] = field(default=("", 0.0), repr=False)
    """The administrator's token, and until when it is taken: a password is costly to check."""

    def admin(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Call the admin API as the server's administrator.

        Args:
            path: Below `/admin/realms`.
        Raises:
            httpx.HTTPStatusError: Refused.
        """
        url = f"{self.address}/admin/realms{path}"
        answer = self.http.request(method, url, headers=self._bearer(), **arguments)
        if not path:
            # A new realm's roles are in new tokens only.
            self.bearer = ("", 0.0)
        return answer.raise_for_status()

    def version(self) -> str:
        """Ask the server what it is."""
        answer = self.http.get(f"{self.address}/admin/serverinfo", headers=self._bearer())
        return answer.raise_for_status().json()["systemInfo"]["version"]

    def _bearer(self) -> dict[str, str]:
        if self.bearer[1] < time.monotonic():
            self.bearer = (self._token(), time.monotonic() + TOKEN_SECONDS)
        return {"Authorization": f"Bearer {self.bearer[0]}"}

    def _token(self) -> str:
        answer = self.http.post(
            f"{self.address}/realms/master/protocol/openid-connect/token",
            data={
                "grant_type": "password",
                "client_id": "admin-cli",
                "username": building.ADMINISTRATOR,
                "password": building.PASSWORD,
            },
        )
        return answer.raise_for_status().json()["access_token"]


@dataclass(frozen=True, slots=True)
class Realm:
    """A realm with the gateway's client and two applications."""

    keycloak: Keycloak
    """Where it lives."""
    name: str
    """In addresses."""
    public: str
    """The origin that people see: the gateway's, or Keycloak's own."""

    @property
    def issuer(self) -> str:
        """What its tokens state, whoever asks for them."""
        return f"{self.public}/realms/{self.name}"

    def admin(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Call the admin API below this realm; errors as `Keycloak.admin`."""
        return self.keycloak.admin(method, f"/{self.name}{path}", **arguments)

    def subject(self, username: str) -> str:
        """Return a person's id."""
        found = self.admin("GET", "/users", params={"username": username, "exact": "true"}).json()
        return found[0]["id"]

    def federate(self, directory: Federation) -> None:
        """Read people from a directory, and write changed passwords to it."""
        self.admin("POST", "/components", json=_federation(directory))


def make_realm(keycloak: Keycloak, name: str, *, public: str, people: Sequence[LocalPerson] = ()) -> Realm:
    """Make a realm that people reach at `public`, with people whose passwords Keycloak keeps itself."""
    redirects = [f"{public}/sparekey/*"]
    keycloak.admin("POST", "", json=_realm(name, public, redirects, people))
    return Realm(keycloak, name, public)


def _realm(name: str, public: str, redirects: Sequence[str], people: Sequence[LocalPerson]) -> dict[str, Any]:
    applications = [
        _client(PUBLIC_APPLICATION, None, [*LOOPBACK], {"pkce.code.challenge.method": "S256"}),
        _client(CONFIDENTIAL_APPLICATION, APPLICATION_SECRET, [*LOOPBACK], {}),
    ]
    gateway = _client(GATEWAY_CLIENT, GATEWAY_SECRET, redirects, {})
    gateway |= {"name": "Account recovery gateway", "serviceAccountsEnabled": True, "fullScopeAllowed": True}
    service_account = {
        "username": f"service-account-{GATEWAY_CLIENT}",
        "enabled": True,
        "serviceAccountClientId": GATEWAY_CLIENT,
        "clientRoles": {"realm-management": ["manage-users"]},
    }
    return {
        "realm": name,
        "enabled": True,
        "sslRequired": "none",
        "loginTheme": "keycloak.v2",
        "rememberMe": True,
        "resetPasswordAllowed": False,
        "bruteForceProtected": True,
        "failureFactor": 5,
        "internationalizationEnabled": True,
        "supportedLocales": ["en", "de", "fr", "ar"],
        "defaultLocale": "en",
        # Keeps one issuer for calls from inside and from outside, as `--hostname` does for a whole server.
        "attributes": {"frontendUrl": public},
        "clients": [gateway, *applications],
        "users": [service_account, *(_person(name, person) for person in people)],
    }


LOOPBACK = ("http://127.0.0.1/callback", "http://localhost/callback")
"""Keycloak takes any port where a loopback redirect names none (RFC 8252 §7.3)."""


def _client(
    name: str, secret: str | None, redirects: Sequence[str], attributes: dict[str, str]
) -> dict[str, Any]:
    return {
        "clientId": name,
        "publicClient": secret is None,
        "secret": secret,
        "standardFlowEnabled": True,
        "directAccessGrantsEnabled": False,
        "fullScopeAllowed": False,
        "redirectUris": list(redirects),
        "attributes": attributes,
    }


def _person(realm: str, person: LocalPerson) -> dict[str, Any]:
    return {
        "username": person.username,
        "enabled": True,
        "email": f"{person.username}@example.org",
        "emailVerified": True,
        "firstName": person.username.title(),
        "lastName": "Test",
        "realmRoles": [f"default-roles-{realm}"],
        "credentials": [{"type": "password", "value": person.password, "temporary": False}],
    }


def _federation(directory: Federation) -> dict[str, Any]:
    config = {
        "enabled": "true",
        "editMode": "WRITABLE",
        "importEnabled": "true",
        "syncRegistrations": "false",
        "vendor": "other",
        "usernameLDAPAttribute": "uid",
        "rdnLDAPAttribute": "uid",
        "uuidLDAPAttribute": "entryUUID",
        "userObjectClasses": "inetOrgPerson",
        "connectionUrl": directory.url,
        "usersDn": directory.people,
        "authType": "simple",
        "bindDn": directory.bind_dn,
        "bindCredential": directory.bind_password,
        "searchScope": "2",
        "useTruststoreSpi": "always",
        "trustEmail": "true",
        "pagination": "false",
    }
    if directory.is_active_directory:
        config |= _ACTIVE_DIRECTORY
    return {
        "name": directory.name,
        "providerId": "ldap",
        "providerType": "org.keycloak.storage.UserStorageProvider",
        "config": {name: [value] for name, value in config.items()},
    }


_ACTIVE_DIRECTORY = {
    "vendor": "ad",
    "usernameLDAPAttribute": "sAMAccountName",
    "rdnLDAPAttribute": "cn",
    "uuidLDAPAttribute": "objectGUID",
    "userObjectClasses": "person, organizationalPerson, user",
}
"""What Keycloak's console fills in for the vendor "Active Directory"."""


@contextlib.contextmanager
def serving(options: dict[str, str] | None = None, *, java: str | None = None) -> Iterator[Keycloak]:
    """Start a Keycloak of one's own.

    Args:
        options: Of Keycloak's, without their dashes.
        java: Options of the Java machine; those for a quick start by default.
    Raises:
        building.NotAvailableError: It cannot be built here.
    """
    made = building.build()
    folder = Path(tempfile.mkdtemp(prefix="sparekey-keycloak-"))
    try:
        shutil.copytree(made.database, folder / "database")
        port, channel = free_port(), free_port()
        options = {CHANNEL: f"http://127.0.0.1:{channel}/", **(options or {})}
        with building.started(
            made, port, folder / "database", folder / "log", java=java or building.fast(made), options=options
        ) as process:
            server = Keycloak(
                f"http://127.0.0.1:{port}", process.pid, log=folder / "log", channel_port=channel
            )
            with server.http:
                yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def keycloak(report_version: ReportVersion) -> Iterator[Keycloak]:
    """One Keycloak for the run."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(serving())
        except building.NotAvailableError as error:
            missing("Keycloak", str(error))
        report_version("Keycloak", server.version())
        yield server


class MakeRealm(Protocol):
    """Makes a realm that lives until the module's tests are through."""

    def __call__(
        self,
        *,
        public: str | None = None,
        people: Sequence[LocalPerson] = (),
        federation: Federation | None = None,
    ) -> Realm:
        """Return a realm.

        Args:
            public: The gateway's origin; Keycloak's own when left out.
            people: Kept by Keycloak itself.
            federation: Where the others come from.
        """


NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def keycloak_realm(keycloak: Keycloak) -> Iterator[MakeRealm]:
    """Call to get a realm."""
    made: list[str] = []

    def make(
        *,
        public: str | None = None,
        people: Sequence[LocalPerson] = (),
        federation: Federation | None = None,
    ) -> Realm:
        name = f"realm{next(NUMBERS)}"
        realm = make_realm(keycloak, name, public=public or keycloak.address, people=people)
        made.append(name)
        if federation:
            realm.federate(federation)
        return realm

    yield make
    for name in made:
        keycloak.admin("DELETE", f"/{name}")
