"""A real Keycloak that federates a real Active Directory: one account, written once, at its owner."""

from collections.abc import Iterator

import pytest

from idp_plugin.base import Identity, PasswordState
from idp_plugin.keycloak.admin import KeycloakAdmin
from idp_plugin.keycloak.directory import KeycloakDirectory
from idp_plugin.ldap.active_directory import ActiveDirectory
from idp_plugin.settings import IdpSettings
from tests.servers import keycloak as kc
from tests.servers.samba import SambaDomain, serving
from tests.servers.samba_build import REALM, SERVICE, SERVICE_PASSWORD

NEW = "Quite-New-Passw0rd"
PROBE = "probe"


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaDomain]:
    folder = tmp_path_factory.mktemp("federated")
    with serving(folder, takes_plain_binds=True) as server, SambaDomain(server) as domain:
        yield domain


@pytest.fixture(scope="module")
def realm(keycloak_realm: kc.MakeRealm, domain: SambaDomain) -> kc.Realm:
    federation = kc.Federation(
        f"ldap://{domain.server.host}",
        domain.base,
        f"{SERVICE}@{REALM}",
        SERVICE_PASSWORD,
        is_active_directory=True,
    )
    realm = keycloak_realm(federation=federation)
    client = {"clientId": PROBE, "publicClient": True, "directAccessGrantsEnabled": True}
    realm.admin("POST", "/clients", json=client)
    return realm


@pytest.fixture
def people(realm: kc.Realm) -> KeycloakDirectory:
    settings = {
        "kind": "keycloak",
        "address": realm.keycloak.address,
        "issuer": realm.issuer,
        "client_id": kc.GATEWAY_CLIENT,
        "client_secret": kc.GATEWAY_SECRET,
    }
    admin = KeycloakAdmin(IdpSettings.model_validate(settings))
    return KeycloakDirectory(admin, federations={"corp": "corp"})


@pytest.fixture
def writer(domain: SambaDomain, realm: kc.Realm) -> ActiveDirectory:
    return ActiveDirectory(domain.settings(), realm.issuer)


def found(people: KeycloakDirectory, identifier: str) -> Identity:
    identity = people.find(identifier)
    assert identity
    return identity


def signs_in(realm: kc.Realm, username: str, password: str) -> bool:
    answer = realm.keycloak.http.post(
        f"{realm.keycloak.address}/realms/{realm.name}/protocol/openid-connect/token",
        data={"grant_type": "password", "client_id": PROBE, "username": username, "password": password},
    )
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


def test_keycloak_and_the_directory_mean_the_same_account(
    people: KeycloakDirectory, writer: ActiveDirectory
) -> None:
    alice = writer.find("alice")
    assert alice
    assert found(people, "alice").account == alice.account
    assert found(people, "alice@example.org").account == alice.account


def test_a_reset_at_the_owner_signs_in_at_keycloak(
    people: KeycloakDirectory, writer: ActiveDirectory, realm: kc.Realm
) -> None:
    bob = found(people, "bob")
    assert signs_in(realm, "bob", "Bob-Passw0rd")
    writer.set_password(bob.account, NEW)
    assert signs_in(realm, "bob", NEW)
    assert not signs_in(realm, "bob", "Bob-Passw0rd")
    assert writer.verify_password(bob.account, NEW) is PasswordState.USABLE


def test_a_lock_of_the_directory_is_ended_for_keycloak_too(
    people: KeycloakDirectory, writer: ActiveDirectory, realm: kc.Realm, domain: SambaDomain
) -> None:
    for _ in range(6):
        domain.accepts("carol", "a wrong guess")
    assert not signs_in(realm, "carol", "Carol-Passw0rd")
    carol = found(people, "carol")
    assert writer.unlock(carol.account) is True
    people.clear(carol.subject)
    assert signs_in(realm, "carol", "Carol-Passw0rd")
