"""Who keeps whose password: a real Keycloak over two slapd servers, put together as the gateway does."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.providers import Provider, open_provider
from gateway.settings import Settings, from_mapping
from idp_plugin.base import Identity, Subject
from idp_plugin.errors import NotPermitted
from idp_plugin.keycloak.federations import NOBODY
from tests.contracts.arranged_keycloak import lock, make_ready
from tests.servers import keycloak as kc
from tests.servers.slapd import PEOPLE, SERVICE_DN, SERVICE_PASSWORD, Slapd, SlapdPerson

NEW = "Quite-New-Passw0rd"
STAFF = (
    SlapdPerson("alice", "Alice-Passw0rd"),
    SlapdPerson("bob", "Bob-Passw0rd"),
    SlapdPerson("erin", "Erin-Passw0rd", groups=("administrators",)),
)
GUESTS = (
    SlapdPerson("gina", "Gina-Passw0rd"),
    SlapdPerson("boss", "Boss-Passw0rd", groups=("administrators",)),
)


@pytest.fixture(scope="module")
def staff(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("staff"), STAFF) as server:
        yield server


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("guests"), GUESTS) as server:
        yield server


@pytest.fixture(scope="module")
def realm(keycloak_realm: kc.MakeRealm, staff: Slapd, guests: Slapd) -> kc.Realm:
    realm = make_ready(keycloak_realm(people=[kc.LocalPerson("local-lena", "Lena-Passw0rd")]))
    for name, server in (("employees", staff), ("visitors", guests)):
        realm.federate(kc.Federation(server.plain_address, PEOPLE, SERVICE_DN, SERVICE_PASSWORD, name=name))
    return realm


def settings(realm: kc.Realm, *directories: dict[str, Any]) -> Settings:
    return from_mapping(
        {
            "gateway": {"public": realm.public},
            "idp": {
                "kind": "keycloak",
                "address": realm.keycloak.address,
                "issuer": realm.issuer,
                "client_id": kc.GATEWAY_CLIENT,
                "client_secret": kc.GATEWAY_SECRET,
            },
            "directories": directories,
            "vault": {"keys": [base64.b64encode(b"k" * 32).decode()]},
            "policies": {"file": "policies.toml"},
        }
    )


def directory(server: Slapd, name: str, federation: str) -> dict[str, Any]:
    found = server.settings().model_dump(exclude_unset=True)
    password = server.settings().bind_password.get_secret_value()
    return found | {"name": name, "federation": federation, "bind_password": password}


@pytest.fixture
def provider(realm: kc.Realm, staff: Slapd) -> Iterator[Provider]:
    opened = open_provider(settings(realm, directory(staff, "corp", "employees")))
    yield opened
    opened.close()


def found(provider: Provider, username: str) -> Identity:
    identity = provider.directory.find(username)
    assert identity
    return identity


def test_everybody_is_written_to_at_the_one_owner(realm: kc.Realm, staff: Slapd, guests: Slapd) -> None:
    visitors = realm.admin("GET", "/components", params={"name": "visitors"}).json()[0]["id"]
    provider = open_provider(
        settings(realm, directory(staff, "corp", "employees"), directory(guests, "others", visitors))
    )
    for username, source in (("alice", "corp"), ("gina", "others"), ("local-lena", realm.issuer)):
        person = found(provider, username)
        assert person.account.source == source
        provider.writer.set_password(person.account, NEW)
    provider.close()
    assert staff.accepts("alice", NEW)
    assert guests.accepts("gina", NEW)


def test_who_belongs_to_no_directory_of_the_settings_is_written_to_nowhere(
    provider: Provider, realm: kc.Realm, guests: Slapd
) -> None:
    with capture_logs() as logs:
        gina = found(provider, "gina")
    assert {entry["event"] for entry in logs} == {"federation_without_directory"}
    assert gina.account.source == NOBODY
    assert gina.privileged
    before = guests.read(guests.people["gina"].dn)
    for account in (gina.account, gina.subject, Subject("corp", before["entryUUID"][0])):
        with pytest.raises(NotPermitted):
            provider.writer.set_password(account, "Another-New-Passw0rd")
        with pytest.raises(NotPermitted):
            provider.writer.unlock(account)
    assert guests.read(guests.people["gina"].dn) == before


def test_a_federated_person_is_never_written_to_through_keycloak(provider: Provider, staff: Slapd) -> None:
    with pytest.raises(NotPermitted):
        provider.writer.set_password(found(provider, "bob").subject, NEW)
    assert staff.accepts("bob", "Bob-Passw0rd")


def test_power_and_locks_of_the_directory_are_known_when_somebody_is_found(
    provider: Provider, staff: Slapd
) -> None:
    assert found(provider, "erin").privileged
    for _ in range(6):
        staff.accepts("bob", "a wrong guess")
    bob = found(provider, "bob")
    assert bob.locked
    assert provider.directory.get(bob.subject) == bob
    provider.writer.unlock(bob.account)
    assert not found(provider, "bob").locked


def test_keycloaks_own_lock_ends_with_the_directorys(provider: Provider, realm: kc.Realm) -> None:
    bob = found(provider, "bob")
    lock(realm, "bob")
    assert found(provider, "bob").locked
    provider.writer.unlock(bob.account)
    assert provider.locks
    assert provider.locks.clear(bob.subject)
    assert not found(provider, "bob").locked


def test_somebody_with_a_second_password_at_keycloak_is_written_to_nowhere(
    provider: Provider, realm: kc.Realm, staff: Slapd
) -> None:
    alice = realm.subject("alice")
    component = realm.admin("GET", "/components", params={"name": "employees"}).json()[0]
    writable = component["config"]["editMode"]
    component["config"]["editMode"] = ["UNSYNCED"]
    realm.admin("PUT", f"/components/{component['id']}", json=component)
    second = {"type": "password", "value": "Second-Passw0rd", "temporary": False}
    realm.admin("PUT", f"/users/{alice}/reset-password", json=second)
    with capture_logs() as logs:
        account = found(provider, "alice").account
    assert {entry["event"] for entry in logs} == {"federated_person_with_a_second_password"}
    assert account == Subject(NOBODY, alice)
    component["config"]["editMode"] = writable
    realm.admin("PUT", f"/components/{component['id']}", json=component)
    assert found(provider, "alice").account.source == NOBODY


def test_keycloak_alone_needs_no_directory(realm: kc.Realm) -> None:
    provider = open_provider(settings(realm))
    lena = found(provider, "local-lena")
    provider.writer.set_password(lena.account, "Lena-Next-Passw0rd")
    assert not provider.writer.capabilities(lena.account).takes_old_password
    provider.close()
