"""Keycloak under test: as the place that keeps passwords, and as what finds people of a federated slapd."""

import base64
import datetime as dt
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from idp_plugin.base import Identity, PasswordState, Subject, TargetResult, WriterCapabilities
from idp_plugin.errors import WrongPassword
from idp_plugin.federated_people import FederatedPeople
from idp_plugin.keycloak.admin import KeycloakAdmin
from idp_plugin.keycloak.directory import KeycloakDirectory
from idp_plugin.keycloak.password_write import KeycloakPasswords
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.password_owners import PasswordOwners
from idp_plugin.settings import IdpSettings
from tests.contracts.arranged_directories import NAMES, Slapd
from tests.servers import keycloak as kc
from tests.servers import slapd as real

POLICY = "length(8) and passwordHistory(3) and forceExpiredPasswordChange(90)"
ADMINISTRATORS = "administrators"
_SALT = b"0123456789abcdef"


def make_ready(realm: kc.Realm) -> kc.Realm:
    """Let a realm's service account read the policy and a client check passwords, and return it."""
    realm.admin("PUT", "", json={"passwordPolicy": POLICY, "failureFactor": 5})
    management = realm.admin("GET", "/clients", params={"clientId": "realm-management"}).json()[0]["id"]
    roles = {
        name: realm.admin("GET", f"/clients/{management}/roles/{name}").json()
        for name in ("view-realm", "view-users")
    }
    account = realm.subject(f"service-account-{kc.GATEWAY_CLIENT}")
    path = f"/users/{account}/role-mappings/clients/{management}"
    realm.admin("POST", path, json=[roles["view-realm"]])
    for name in (ADMINISTRATORS, "staff", "helpdesk"):
        realm.admin("POST", "/groups", json={"name": name})
    group = realm.admin("GET", f"/group-by-path/{ADMINISTRATORS}").json()["id"]
    realm.admin("POST", f"/groups/{group}/role-mappings/clients/{management}", json=[roles["view-users"]])
    client = realm.admin("GET", "/clients", params={"clientId": kc.CONFIDENTIAL_APPLICATION}).json()[0]
    realm.admin("PUT", f"/clients/{client['id']}", json={**client, "directAccessGrantsEnabled": True})
    return realm


def administration(realm: kc.Realm) -> KeycloakAdmin:
    settings = {
        "kind": "keycloak",
        "address": realm.keycloak.address,
        "issuer": realm.issuer,
        "client_id": kc.GATEWAY_CLIENT,
        "client_secret": kc.GATEWAY_SECRET,
    }
    return KeycloakAdmin(IdpSettings.model_validate(settings))


class Place:
    """One shape of what finds people and what writes their passwords, as the gateway puts them together."""

    def __init__(
        self, realm: kc.Realm, people: KeycloakDirectory | FederatedPeople, owners: PasswordOwners
    ) -> None:
        self._realm = realm
        self._people = people
        self._owners = owners
        self._usernames: dict[Subject, str] = {}

    def find(self, identifier: str) -> Identity | None:
        found = self._people.find(identifier)
        if found:
            self._usernames[found.account] = found.username
        return found

    def get(self, subject: Subject) -> Identity | None:
        return self._people.get(subject)

    def everyone(self, groups: Iterable[str] = ()) -> Iterable[Identity]:
        return self._people.everyone(groups)

    def capabilities(self, account: Subject) -> WriterCapabilities:
        return self._owners.capabilities(account)

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        return self._owners.set_password(account, new)

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        return self._owners.change_password(account, old, new)

    def unlock(self, account: Subject) -> bool:
        return self._owners.unlock(account)

    def verify_password(self, account: Subject, password: str) -> PasswordState:
        """Ask Keycloak's token endpoint, for somebody who was found before."""
        fields = {
            "client_id": kc.CONFIDENTIAL_APPLICATION,
            "client_secret": kc.APPLICATION_SECRET,
            "grant_type": "password",
            "username": self._usernames[account],
            "password": password,
        }
        address = f"{self._realm.issuer}/protocol/openid-connect/token"
        answer = self._realm.keycloak.http.post(address, data=fields)
        if answer.status_code == 401:
            raise WrongPassword
        return PasswordState.USABLE if answer.status_code == 200 else PasswordState.MUST_CHANGE


class Local:
    """Keycloak's own store."""

    age_yields = True
    checks_history = True
    protected = ADMINISTRATORS
    of_everybody: frozenset[str] = frozenset()

    def __init__(self, realm: kc.Realm) -> None:
        self._realm = realm
        self.passwords = {name: f"{name.title()}-Passw0rd" for name in NAMES}
        self._import(*NAMES)
        self.directory = self.reader()

    def reader(self) -> Place:
        admin = administration(self._realm)
        owners = PasswordOwners({self._realm.issuer: KeycloakPasswords(admin)})
        return Place(self._realm, KeycloakDirectory(admin), owners)

    def _import(self, *names: str, days: int = 0) -> None:
        """Make people anew, each with another id; their passwords are so many days old."""
        people = [self._person(name, days) for name in names]
        self._realm.admin("POST", "/partialImport", json={"ifResourceExists": "OVERWRITE", "users": people})

    def _person(self, name: str, days: int) -> dict[str, Any]:
        more = {"erin": [ADMINISTRATORS], "frank": ["helpdesk"]}.get(name, [])
        return {
            "username": name,
            "enabled": True,
            "email": f"{name}@example.org",
            "firstName": name.title(),
            "lastName": "Test",
            "groups": [f"/{group}" for group in ("staff", *more)],
            "credentials": [_credential(self.passwords[name], days)],
        }

    def _change(self, username: str, **fields: object) -> None:
        self._realm.admin("PUT", f"/users/{self._realm.subject(username)}", json=fields)

    def lock(self, username: str, since: dt.datetime) -> None:
        del since
        lock(self._realm, username)

    def close(self, username: str) -> None:
        self._change(username, enabled=False)

    def age(self, username: str, days: int) -> None:
        self._import(username, days=days)

    def must_change(self, username: str) -> None:
        self._change(username, requiredActions=["UPDATE_PASSWORD"])

    def minimum_age(self, age: dt.timedelta) -> None:
        raise NotImplementedError

    def put_in_group(self, username: str, group: str) -> None:
        group_id = self._realm.admin("GET", f"/group-by-path/{group}").json()["id"]
        self._realm.admin("PUT", f"/users/{self._realm.subject(username)}/groups/{group_id}")

    def nest(self, inner: str, outer: str) -> None:
        raise NotImplementedError

    def share_mail(self, username: str, other: str) -> None:
        raise NotImplementedError

    def recreate(self, username: str) -> None:
        self._import(username)


class Federated(Slapd):
    """A slapd that Keycloak reads people from: found at Keycloak, written to at their owner."""

    def __init__(self, realm: kc.Realm, server: real.Slapd) -> None:
        self._realm = realm
        realm.federate(
            kc.Federation(server.plain_address, real.PEOPLE, real.SERVICE_DN, real.SERVICE_PASSWORD)
        )
        super().__init__(server)

    def reader(self) -> Place:
        admin = administration(self._realm)
        owner = OpenLdap(self._server.settings(), self._realm.issuer)
        owners = PasswordOwners({"corp": owner, self._realm.issuer: KeycloakPasswords(admin)})
        people = KeycloakDirectory(admin, federations={"corp": "corp"})
        return Place(self._realm, FederatedPeople(people, {"corp": owner}), owners)

    def recreate(self, username: str) -> None:
        super().recreate(username)
        # While Keycloak finds out, at the first look-up, it names both.
        self._realm.subject(username)

    def stop(self) -> None:
        """Take the federation away, and with it the people that Keycloak read from there."""
        for each in self._realm.admin("GET", "/components", params={"name": "corp"}).json():
            self._realm.admin("DELETE", f"/components/{each['id']}")


def lock(realm: kc.Realm, username: str) -> None:
    """Guess until Keycloak takes no more, which it notices a little later."""
    status = f"/attack-detection/brute-force/users/{realm.subject(username)}"
    place = f"{realm.issuer}/protocol/openid-connect/token"
    fields = {
        "client_id": kc.CONFIDENTIAL_APPLICATION,
        "client_secret": kc.APPLICATION_SECRET,
        "grant_type": "password",
        "username": username,
        "password": "a wrong guess",
    }
    until = time.monotonic() + 30
    while not realm.admin("GET", status).json()["disabled"]:
        assert time.monotonic() < until
        realm.keycloak.http.post(place, data=fields)


def _credential(password: str, days: int) -> Mapping[str, object]:
    """Return a password as Keycloak keeps it, so that it need not be hashed slowly for every test."""
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), _SALT, 1, 64)
    secret = {"value": base64.b64encode(hashed).decode(), "salt": base64.b64encode(_SALT).decode()}
    then = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    return {
        "type": "password",
        "createdDate": int(then.timestamp() * 1000),
        "secretData": json.dumps({**secret, "additionalParameters": {}}),
        "credentialData": json.dumps({"hashIterations": 1, "algorithm": "pbkdf2-sha512"}),
    }
