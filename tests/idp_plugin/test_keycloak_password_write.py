"""Passwords that a real Keycloak keeps itself: written, refused, unlocked; and lost answers settled."""

import datetime as dt
import string
import time
from typing import Any

import httpx
import pytest

from idp_plugin.base import ChangeForcer, Identity, PasswordState, Subject
from idp_plugin.errors import (
    IdpUnavailable,
    NotPermitted,
    OutcomeUnknown,
    PasswordRefused,
    RefusalReason,
)
from idp_plugin.keycloak.admin import KeycloakAdmin
from idp_plugin.keycloak.directory import KeycloakDirectory
from idp_plugin.keycloak.password_write import KeycloakPasswords
from idp_plugin.password_rules import AccountNames, RuleName, check
from idp_plugin.settings import IdpSettings
from tests.servers import keycloak as kc
from tests.servers.broken_proxy import BrokenProxy
from tests.servers.processes import free_port

NEW = "Quite-New-Passw0rd"
NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
POLICY = (
    "length(8) and maxLength(40) and digits(2) and lowerCase(2) and upperCase(2) and specialChars(2)"
    " and notUsername(undefined) and notEmail(undefined) and notContainsUsername(undefined)"
    " and passwordHistory(2) and regexPattern(^[^#]*$) and forceExpiredPasswordChange(365)"
)


@pytest.fixture(scope="module")
def realm(keycloak_realm: kc.MakeRealm) -> kc.Realm:
    return keycloak_realm(people=[kc.LocalPerson(name, password_of(name)) for name in NAMES])


@pytest.fixture(scope="module")
def admin(realm: kc.Realm) -> KeycloakAdmin:
    return KeycloakAdmin(settings(realm))


@pytest.fixture
def people(admin: KeycloakAdmin) -> KeycloakDirectory:
    return KeycloakDirectory(admin)


@pytest.fixture
def writer(admin: KeycloakAdmin) -> KeycloakPasswords:
    return KeycloakPasswords(admin)


def password_of(username: str) -> str:
    return f"{username.title()}-Passw0rd"


def settings(realm: kc.Realm, **changes: Any) -> IdpSettings:
    values = {
        "kind": "keycloak",
        "address": realm.keycloak.address,
        "issuer": realm.issuer,
        "client_id": kc.GATEWAY_CLIENT,
        "client_secret": kc.GATEWAY_SECRET,
    }
    return IdpSettings.model_validate(values | changes)


def found(people: KeycloakDirectory, username: str) -> Identity:
    identity = people.find(username)
    assert identity
    return identity


def signs_in(realm: kc.Realm, username: str, password: str) -> httpx.Response:
    client = realm.admin("GET", "/clients", params={"clientId": kc.CONFIDENTIAL_APPLICATION}).json()[0]
    if not client["directAccessGrantsEnabled"]:
        realm.admin("PUT", f"/clients/{client['id']}", json={**client, "directAccessGrantsEnabled": True})
    fields = {
        "client_id": kc.CONFIDENTIAL_APPLICATION,
        "client_secret": kc.APPLICATION_SECRET,
        "grant_type": "password",
        "username": username,
        "password": password,
    }
    return realm.keycloak.http.post(f"{realm.issuer}/protocol/openid-connect/token", data=fields)


def opens(realm: kc.Realm, username: str, password: str) -> bool:
    return signs_in(realm, username, password).status_code == 200


def test_an_old_password_is_never_taken_and_that_is_said_beforehand(
    people: KeycloakDirectory, writer: KeycloakPasswords, realm: kc.Realm
) -> None:
    alice = found(people, "alice")
    assert not alice.may_change_password
    assert not writer.capabilities(alice.account).takes_old_password
    with pytest.raises(NotPermitted):
        writer.change_password(alice.account, password_of("alice"), NEW)
    assert opens(realm, "alice", password_of("alice"))


def test_an_order_to_change_leaves_everything_else_and_a_reset_ends_it(
    people: KeycloakDirectory, writer: KeycloakPasswords, realm: kc.Realm
) -> None:
    assert isinstance(writer, ChangeForcer)
    bob = found(people, "bob")
    before = realm.admin("GET", f"/users/{bob.subject.id}").json()
    writer.require_change(bob.account)
    after = realm.admin("GET", f"/users/{bob.subject.id}").json()
    assert after == {**before, "requiredActions": ["UPDATE_PASSWORD"]}
    assert found(people, "bob").password_state is PasswordState.MUST_CHANGE
    assert not opens(realm, "bob", password_of("bob"))
    writer.set_password(bob.account, NEW)
    assert found(people, "bob").password_state is PasswordState.USABLE
    assert opens(realm, "bob", NEW)


def test_a_lock_for_good_is_a_closed_account(
    people: KeycloakDirectory, writer: KeycloakPasswords, realm: kc.Realm
) -> None:
    carol = found(people, "carol")
    realm.admin("PUT", "", json={"permanentLockout": True, "quickLoginCheckMilliSeconds": 0})
    until = time.monotonic() + 120
    # Keycloak counts a little later than it answers.
    while realm.admin("GET", f"/users/{carol.subject.id}").json()["enabled"]:
        assert time.monotonic() < until
        assert not opens(realm, "carol", "wrong")
    realm.admin("PUT", "", json={"permanentLockout": False})
    with pytest.raises(NotPermitted):
        writer.unlock(carol.account)
    with pytest.raises(NotPermitted):
        writer.set_password(carol.account, NEW)
    people.clear(carol.subject)
    assert not found(people, "carol").enabled


def test_power_by_a_composite_role_is_found_right_before_the_write(
    people: KeycloakDirectory, writer: KeycloakPasswords, realm: kc.Realm
) -> None:
    erin = found(people, "erin")
    client = realm.admin("GET", "/clients", params={"clientId": "realm-management"}).json()[0]["id"]
    role = realm.admin("GET", f"/clients/{client}/roles/view-users").json()
    realm.admin("POST", "/roles", json={"name": "supporters"})
    realm.admin("POST", "/roles/supporters/composites", json=[role])
    composite = realm.admin("GET", "/roles/supporters").json()
    realm.admin("POST", f"/users/{erin.subject.id}/role-mappings/realm", json=[composite])
    for write in (
        lambda: writer.set_password(erin.account, NEW),
        lambda: writer.require_change(erin.account),
    ):
        with pytest.raises(NotPermitted):
            write()
    assert opens(realm, "erin", password_of("erin"))


def test_our_own_service_account_is_not_written_to(
    writer: KeycloakPasswords, admin: KeycloakAdmin, realm: kc.Realm
) -> None:
    with pytest.raises(NotPermitted):
        writer.set_password(Subject(realm.issuer, admin.own_subject()), NEW)


@pytest.mark.parametrize("id_", ["", "../realms", "00000000-0000-0000-0000-000000000000"])
def test_nobody_is_not_written_to(writer: KeycloakPasswords, realm: kc.Realm, id_: str) -> None:
    with pytest.raises(NotPermitted):
        writer.set_password(Subject(realm.issuer, id_), NEW)


def test_a_lost_answer_is_settled_by_the_time_of_writing_and_nothing_is_sent_twice(
    people: KeycloakDirectory, realm: kc.Realm
) -> None:
    frank = found(people, "frank")
    with BrokenProxy(realm.keycloak.address) as proxy:
        writer = KeycloakPasswords(KeycloakAdmin(settings(realm, address=proxy.address)))
        proxy.lose_answers_to("PUT")
        writer.set_password(frank.account, NEW)
        assert proxy.count("PUT") == 1
    assert opens(realm, "frank", NEW)


def test_a_request_that_did_not_arrive_is_unknown_and_not_repeated(
    people: KeycloakDirectory, realm: kc.Realm
) -> None:
    grace = found(people, "grace")
    with BrokenProxy(realm.keycloak.address) as proxy:
        writer = KeycloakPasswords(KeycloakAdmin(settings(realm, address=proxy.address)))
        proxy.swallow("PUT")
        with pytest.raises(OutcomeUnknown):
            writer.set_password(grace.account, NEW)
        assert proxy.count("PUT") == 1
    assert opens(realm, "grace", password_of("grace"))


def test_a_server_that_cannot_be_reached_changed_nothing(people: KeycloakDirectory, realm: kc.Realm) -> None:
    grace = found(people, "grace")
    nowhere = KeycloakAdmin(settings(realm, address=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(IdpUnavailable) as raised:
        KeycloakPasswords(nowhere).set_password(grace.account, NEW)
    assert not isinstance(raised.value, OutcomeUnknown)


def candidates() -> list[str]:
    base = "Aa1-Bb2-zz"
    odd = ["heidi", "HEIDI", "heidi@example.org", "xx-Heidi-AA11", "Aa1-Bb2-é", "Ää1-Öö2-ß"]
    cut = [base[:7], base[:8], base, base * 4, base * 5]
    without = [base.replace(letter, "x") for letter in dict.fromkeys(base)]
    letters = [("\u0661\u0662", "AAaa--"), ("ªª", "AA11--"), ("\u216f\u216d", "aa11--"), ("ǅǅ", "aa11--")]
    wide = ["AAaa12😀", "AAaa12😀x", "AAaa12  ", *("".join(each) for each in letters)]
    return [*odd, *cut, *without, *wide, string.ascii_letters, "😀" * 3]


def test_what_the_rules_say_is_what_keycloak_does(people: KeycloakDirectory, realm: kc.Realm) -> None:
    allow(realm, "view-realm")
    realm.admin("PUT", "", json={"passwordPolicy": POLICY})
    writer = KeycloakPasswords(KeycloakAdmin(settings(realm)))
    heidi = found(people, "heidi")
    rules = writer.capabilities(heidi.account).rules
    wrong = []
    for candidate in candidates():
        verdicts = check(rules, candidate, AccountNames("heidi"))
        told = all(verdict.holds is not False for verdict in verdicts)
        if told is not accepts(writer, heidi, candidate):
            wrong.append((candidate, told))
    assert wrong == []


def test_what_cannot_be_told_beforehand_is_refused_with_its_reason(
    people: KeycloakDirectory, realm: kc.Realm
) -> None:
    allow(realm, "view-realm")
    realm.admin("PUT", "", json={"passwordPolicy": POLICY})
    writer = KeycloakPasswords(KeycloakAdmin(settings(realm)))
    heidi = found(people, "heidi")
    promised = writer.capabilities(heidi.account)
    assert promised.checks_history_on_reset
    assert promised.history_length == 2
    assert {rule.name for rule in promised.rules} >= {RuleName.QUALITY, RuleName.NOT_IN_HISTORY}
    writer.set_password(heidi.account, "Aa11--Bb22")
    for candidate, reason in (
        ("Aa11--Bb22#", RefusalReason.TOO_SIMPLE),
        ("Aa11--Bb22", RefusalReason.IN_HISTORY),
    ):
        with pytest.raises(PasswordRefused) as refused:
            writer.set_password(heidi.account, candidate)
        assert refused.value.reasons == (reason,)


def test_a_password_of_last_year_is_expired(admin: KeycloakAdmin, realm: kc.Realm) -> None:
    allow(realm, "view-realm")
    realm.admin("PUT", "", json={"passwordPolicy": POLICY})
    for days, state in ((364, PasswordState.USABLE), (366, PasswordState.EXPIRED)):
        then = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        later = KeycloakDirectory(KeycloakAdmin(settings(realm)), clock=lambda then=then: then)
        assert found(later, "alice").password_state is state


def test_without_the_right_to_read_the_policy_nothing_is_promised(
    people: KeycloakDirectory, realm: kc.Realm
) -> None:
    allow(realm, "view-realm", is_allowed=False)
    realm.admin("PUT", "", json={"passwordPolicy": POLICY})
    writer = KeycloakPasswords(KeycloakAdmin(settings(realm)))
    heidi = found(people, "heidi")
    promised = writer.capabilities(heidi.account)
    assert [rule.name for rule in promised.rules] == [RuleName.QUALITY]
    assert promised.minimum_length is None
    assert not accepts(writer, heidi, "short")


def test_less_than_the_page_gives_is_not_enough(realm: kc.Realm, people: KeycloakDirectory) -> None:
    bob = found(people, "bob")
    allow(realm, "view-users")
    allow(realm, "manage-users", is_allowed=False)
    try:
        weak = KeycloakPasswords(KeycloakAdmin(settings(realm)))
        for write in (lambda: weak.set_password(bob.account, NEW), lambda: weak.require_change(bob.account)):
            with pytest.raises(NotPermitted):
                write()
    finally:
        allow(realm, "manage-users")
        allow(realm, "view-users", is_allowed=False)


def accepts(writer: KeycloakPasswords, person: Identity, candidate: str) -> bool:
    try:
        writer.set_password(person.account, candidate)
    except PasswordRefused as refused:
        return refused.reasons == (RefusalReason.OTHER,)
    return True


def allow(realm: kc.Realm, role_name: str, *, is_allowed: bool = True) -> None:
    client = realm.admin("GET", "/clients", params={"clientId": "realm-management"}).json()[0]["id"]
    role = realm.admin("GET", f"/clients/{client}/roles/{role_name}").json()
    account = realm.subject(f"service-account-{kc.GATEWAY_CLIENT}")
    path = f"/users/{account}/role-mappings/clients/{client}"
    realm.admin("POST" if is_allowed else "DELETE", path, json=[role])
