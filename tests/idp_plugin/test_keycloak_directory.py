"""People, privileges and sessions of a real Keycloak, federated to a real slapd, with least rights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from idp_plugin.base import Identity, Subject
from idp_plugin.errors import IdpMisconfigured, IdpUnavailable
from idp_plugin.keycloak.admin import KeycloakAdmin
from idp_plugin.keycloak.directory import KeycloakDirectory
from idp_plugin.keycloak.sessions import KeycloakSessions
from idp_plugin.settings import IdpSettings
from tests.servers import keycloak as kc
from tests.servers.processes import free_port
from tests.servers.slapd import PEOPLE, SERVICE_DN, SERVICE_PASSWORD, Slapd

LOCAL = tuple(kc.LocalPerson(name, f"Passw0rd!{name}") for name in ("local-lena", "local-mike", "local-nina"))


@pytest.fixture(scope="module")
def directory_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("slapd")) as server:
        yield server


@pytest.fixture(scope="module")
def realm(keycloak_realm: kc.MakeRealm, directory_server: Slapd) -> kc.Realm:
    federation = kc.Federation(directory_server.plain_address, PEOPLE, SERVICE_DN, SERVICE_PASSWORD)
    return keycloak_realm(people=LOCAL, federation=federation)


def settings(realm: kc.Realm, **changes: Any) -> IdpSettings:
    values = {
        "kind": "keycloak",
        "address": realm.keycloak.address,
        "issuer": realm.issuer,
        "client_id": kc.GATEWAY_CLIENT,
        "client_secret": kc.GATEWAY_SECRET,
    }
    return IdpSettings.model_validate(values | changes)


@pytest.fixture
def people(realm: kc.Realm) -> KeycloakDirectory:
    return KeycloakDirectory(KeycloakAdmin(settings(realm)), federations={"corp": "corp"})


def found(people: KeycloakDirectory, identifier: str) -> Identity:
    identity = people.find(identifier)
    assert identity
    return identity


def test_a_federated_person_has_the_directorys_account(
    people: KeycloakDirectory, realm: kc.Realm, directory_server: Slapd
) -> None:
    alice = found(people, "alice")
    entry = directory_server.read(directory_server.people["alice"].dn)
    assert alice.account == Subject("corp", entry["entryUUID"][0])
    assert alice.subject == Subject(realm.issuer, realm.subject("alice"))
    assert alice.emails == ("alice@example.org",)
    assert alice.enabled
    assert not alice.locked
    assert not alice.privileged


def test_mail_addresses_find_too_in_any_case(people: KeycloakDirectory) -> None:
    assert found(people, "ALICE@example.org").username == "alice"
    assert found(people, "Local-Lena").username == "local-lena"


def test_a_local_person_is_the_account_itself(people: KeycloakDirectory) -> None:
    lena = found(people, "local-lena")
    assert lena.account == lena.subject
    assert lena.display_name == "Local-Lena Test"


@pytest.mark.parametrize(
    "typed",
    ["nobody", "", " ", "*", "ali*", "%", "a" * 300, "alice\0", "\u202ealice", "alice)(uid=*", "alice'--"],
)
def test_odd_names_find_nobody(people: KeycloakDirectory, typed: str) -> None:
    assert people.find(typed) is None


def test_an_address_of_two_people_finds_nobody(people: KeycloakDirectory, realm: kc.Realm) -> None:
    realm.admin("PUT", "", json={"loginWithEmailAllowed": False, "duplicateEmailsAllowed": True})
    for name in ("twin-one", "twin-two"):
        realm.admin("POST", "/users", json={"username": name, "email": "twins@example.org", "enabled": True})
    assert people.find("twins@example.org") is None
    assert people.find("twin-one")


def test_the_id_finds_the_same_person_and_a_foreign_one_nobody(
    people: KeycloakDirectory, realm: kc.Realm
) -> None:
    alice = found(people, "alice")
    assert people.get(alice.subject) == alice
    assert people.get(Subject("https://elsewhere.example", alice.subject.id)) is None
    assert people.get(Subject(realm.issuer, "../realms")) is None
    assert people.get(Subject(realm.issuer, "00000000-0000-0000-0000-000000000000")) is None


def test_groups_are_paths_and_their_members_are_listed(people: KeycloakDirectory, realm: kc.Realm) -> None:
    realm.admin("POST", "/groups", json={"name": "staff"})
    group = realm.admin("GET", "/groups", params={"search": "staff"}).json()[0]["id"]
    mike = found(people, "local-mike")
    realm.admin("PUT", f"/users/{mike.subject.id}/groups/{group}")
    assert found(people, "local-mike").groups == {"/staff"}
    assert [person.username for person in people.everyone(["/staff"])] == ["local-mike"]
    assert [person.username for person in people.everyone(["/nothing"])] == []


def test_everyone_is_everyone(people: KeycloakDirectory) -> None:
    names = {person.username for person in people.everyone()}
    assert {"local-lena", "local-mike", "local-nina"} <= names


def administration_role(realm: kc.Realm, name: str) -> tuple[str, dict[str, Any]]:
    client = realm.admin("GET", "/clients", params={"clientId": "realm-management"}).json()[0]["id"]
    return client, realm.admin("GET", f"/clients/{client}/roles/{name}").json()


def test_administrators_by_role_composite_and_group_are_privileged(
    people: KeycloakDirectory, realm: kc.Realm
) -> None:
    nina = found(people, "local-nina").subject.id
    client, role = administration_role(realm, "view-users")
    mappings = f"/users/{nina}/role-mappings"
    realm.admin("POST", f"{mappings}/clients/{client}", json=[role])
    assert found(people, "local-nina").privileged
    realm.admin("DELETE", f"{mappings}/clients/{client}", json=[role])
    assert not found(people, "local-nina").privileged

    realm.admin("POST", "/roles", json={"name": "supporters"})
    composite = realm.admin("GET", "/roles/supporters").json()
    realm.admin("POST", "/roles/supporters/composites", json=[role])
    realm.admin("POST", f"{mappings}/realm", json=[composite])
    assert found(people, "local-nina").privileged
    assert "supporters" in found(people, "local-nina").roles
    realm.admin("DELETE", f"{mappings}/realm", json=[composite])
    assert not found(people, "local-nina").privileged

    realm.admin("POST", "/groups", json={"name": "bosses"})
    group = realm.admin("GET", "/groups", params={"search": "bosses"}).json()[0]["id"]
    realm.admin("POST", f"/groups/{group}/role-mappings/clients/{client}", json=[role])
    realm.admin("PUT", f"/users/{nina}/groups/{group}")
    assert found(people, "local-nina").privileged


def test_our_own_service_account_is_privileged(people: KeycloakDirectory, realm: kc.Realm) -> None:
    own = KeycloakAdmin(settings(realm)).own_subject()
    account = people.get(Subject(realm.issuer, own))
    assert account
    assert account.privileged


def test_a_lock_is_seen_and_cleared(people: KeycloakDirectory, realm: kc.Realm) -> None:
    for _ in range(6):
        token(realm, "local-mike", "wrong")
    mike = found(people, "local-mike")
    assert mike.locked
    assert people.clear(mike.subject) is True
    assert not found(people, "local-mike").locked
    assert people.clear(mike.subject) is False
    assert people.clear(Subject("https://another.example.org", mike.subject.id)) is False


def test_sessions_end_offline_ones_too(people: KeycloakDirectory, realm: kc.Realm) -> None:
    allow_direct_grants(realm)
    lena = found(people, "local-lena").subject
    assert token(realm, "local-lena", "Passw0rd!local-lena").status_code == 200
    offline = token(realm, "local-lena", "Passw0rd!local-lena", scope="openid offline_access")
    refresh = offline.json()["refresh_token"]
    sessions = KeycloakSessions(KeycloakAdmin(settings(realm)))
    assert sessions.end_all(lena) == 0
    again = token_request(realm, grant_type="refresh_token", refresh_token=refresh)
    assert again.status_code == 400
    assert realm.admin("GET", f"/users/{lena.id}/sessions").json() == []


def test_what_remains_is_counted(
    people: KeycloakDirectory, realm: kc.Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_direct_grants(realm)
    nina = found(people, "local-nina").subject
    assert token(realm, "local-nina", "Passw0rd!local-nina").status_code == 200
    admin = KeycloakAdmin(settings(realm))
    monkeypatch.setattr(KeycloakAdmin, "post", lambda self, path: None)
    assert KeycloakSessions(admin).end_all(nina) == 1


def test_a_wrong_secret_and_a_dead_server_are_told_apart(realm: kc.Realm, tmp_path: Path) -> None:
    with pytest.raises(IdpMisconfigured):
        KeycloakDirectory(KeycloakAdmin(settings(realm, client_secret="wrong"))).find("alice")
    nowhere = settings(realm, address=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(IdpUnavailable):
        KeycloakDirectory(KeycloakAdmin(nowhere)).find("alice")


def allow_direct_grants(realm: kc.Realm) -> None:
    client = realm.admin("GET", "/clients", params={"clientId": kc.CONFIDENTIAL_APPLICATION}).json()[0]
    client["directAccessGrantsEnabled"] = True
    realm.admin("PUT", f"/clients/{client['id']}", json=client)


def token(realm: kc.Realm, username: str, password: str, scope: str = "openid") -> httpx.Response:
    allow_direct_grants(realm)
    return token_request(realm, grant_type="password", username=username, password=password, scope=scope)


def token_request(realm: kc.Realm, **fields: str) -> httpx.Response:
    fields |= {"client_id": kc.CONFIDENTIAL_APPLICATION, "client_secret": kc.APPLICATION_SECRET}
    return realm.keycloak.http.post(f"{realm.issuer}/protocol/openid-connect/token", data=fields)
