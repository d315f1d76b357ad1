"""What only Active Directory does: names and moves, power, fine-grained policies, old passwords."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from ldap3.utils.dn import escape_rdn
from pydantic import SecretStr

from idp_plugin.base import PasswordState, Subject
from idp_plugin.errors import (
    IdpMisconfigured,
    NotPermitted,
    PasswordRefused,
    RefusalReason,
    WrongPassword,
)
from idp_plugin.ldap.active_directory import ActiveDirectory
from idp_plugin.ldap.active_directory_account import NEVER, ticks
from idp_plugin.password_rule import RuleName
from tests.servers.processes import free_port
from tests.servers.samba import DOMAIN, Samba, SambaDomain, serving, span
from tests.servers.samba_build import SERVICE

ISSUER = "https://sso.example.org"
NEW = "Quite-New-Passw0rd"
CHANGE_PASSWORD = "ab721a53-1e2f-11d0-9819-00aa0040529b"


@pytest.fixture
def directory(samba_domain: SambaDomain) -> ActiveDirectory:
    return ActiveDirectory(samba_domain.settings(), ISSUER)


def account(directory: ActiveDirectory, username: str) -> Subject:
    identity = directory.find(username)
    assert identity
    return identity.account


def is_privileged(directory: ActiveDirectory, username: str) -> bool:
    identity = directory.find(username)
    assert identity
    return identity.privileged


# Connections and mistakes of the operator


def test_start_tls_comes_before_anything_else(samba_domain: SambaDomain) -> None:
    address = f"ldap://{samba_domain.server.host}"
    directory = ActiveDirectory(samba_domain.settings(servers=(address,)), ISSUER)
    directory.set_password(account(directory, "alice"), NEW)
    assert samba_domain.accepts("alice", NEW)


def test_another_authority_is_not_trusted(samba_domain: SambaDomain) -> None:
    certificate = samba_domain.server.certificates.certificate
    with pytest.raises(IdpMisconfigured):
        ActiveDirectory(samba_domain.settings(ca=certificate), ISSUER).find("alice")


def test_a_wrong_service_password_is_the_operators_mistake(samba_domain: SambaDomain) -> None:
    directory = ActiveDirectory(samba_domain.settings(bind_password=SecretStr("wrong")), ISSUER)
    with pytest.raises(IdpMisconfigured) as error:
        directory.find("alice")
    assert "wrong" not in str(error.value)


def test_a_second_controller_is_asked_when_the_first_is_down(samba_domain: SambaDomain) -> None:
    dead = f"ldaps://127.0.0.1:{free_port()}"
    both = (dead, samba_domain.server.address)
    directory = ActiveDirectory(samba_domain.settings(servers=both), ISSUER)
    directory.set_password(account(directory, "alice"), NEW)
    assert samba_domain.accepts("alice", NEW)


# Names, moves, ids

NASTY = (
    'Doe, "Jane" + Co; <jane>',
    "back\\slash = #1",
    "#begins with a number sign",
    " begins and ends with a space ",
    "Ünïcödé Жанна 日本 🙂",
    "(brackets) * and | pipes & more",
)


@pytest.mark.parametrize("name", NASTY)
def test_any_name_is_found_written_and_protected(samba_domain: SambaDomain, name: str) -> None:
    person = f"CN={escape_rdn(name)},{samba_domain.base}"
    samba_domain.add_person("odd", "Odd-Passw0rd-1", dn=person, displayName=name)
    directory = ActiveDirectory(samba_domain.settings(), ISSUER)
    directory.set_password(account(directory, "odd"), NEW)
    assert directory.verify_password(account(directory, "odd"), NEW) is PasswordState.USABLE
    group = f"CN={escape_rdn(name + ' group')},{samba_domain.base}"
    samba_domain.server.add(group, ["group"], sAMAccountName="oddgroup", member=[person])
    protecting = ActiveDirectory(samba_domain.settings(protected_groups=(group,)), ISSUER)
    assert is_privileged(protecting, "odd")
    assert not is_privileged(protecting, "alice")


def test_who_is_moved_and_renamed_is_still_the_same(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    alice = account(directory, "alice")
    samba_domain.server.add(f"OU=elsewhere,{samba_domain.base}", ["organizationalUnit"])
    administrator = samba_domain.server.administrator
    elsewhere = f"OU=elsewhere,{samba_domain.base}"
    assert administrator.modify_dn(samba_domain.dn("alice"), "CN=Renamed, wife", new_superior=elsewhere) or (
        administrator.modify_dn(samba_domain.dn("alice"), "CN=Renamed\\, wife", new_superior=elsewhere)
    )
    samba_domain.server.change(f"CN=Renamed\\, wife,{elsewhere}", {"sAMAccountName": "renamed"})
    directory.set_password(alice, NEW)
    assert directory.verify_password(alice, NEW) is PasswordState.USABLE
    assert account(directory, "renamed") == alice


def test_an_id_is_written_as_the_domains_own_tools_write_it(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    shown = samba_domain.server.tool("user", "show", "alice", "--attributes=objectGUID")
    assert f"objectGUID: {account(directory, 'alice').id}" in shown


def test_an_id_that_cannot_be_read_is_the_operators_mistake(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    object_guid = "bf9679e7-0de6-11d0-a285-00aa003049e2"
    sddl = f"(OD;;RP;{object_guid};;AU)"
    samba_domain.server.tool("dsacl", "set", f"--objectdn={samba_domain.dn('alice')}", f"--sddl={sddl}")
    with pytest.raises(IdpMisconfigured):
        directory.find("alice")


def test_people_are_found_by_their_principal_name_too(directory: ActiveDirectory) -> None:
    assert account(directory, "alice@example.test") == account(directory, "alice")


def test_a_loose_match_of_the_directorys_is_nobody(samba_domain: SambaDomain) -> None:
    # Windows finds `jose` for `josé`. Samba does not, but its ambiguous names are as loose.
    settings = samba_domain.settings(name_attributes=("sAMAccountName", "anr"))
    directory = ActiveDirectory(settings, ISSUER)
    server = samba_domain.server.administrator
    assert server.search(samba_domain.base, "(&(objectClass=user)(anr=ali))", attributes=["cn"])
    assert directory.find("ali") is None
    assert directory.find("alice")


def test_computers_are_nobody(samba_domain: SambaDomain, directory: ActiveDirectory) -> None:
    samba_domain.server.add(
        f"CN=PC1,{samba_domain.base}", ["computer"], sAMAccountName="PC1$", userAccountControl="4096"
    )
    assert directory.find("PC1$") is None
    assert "PC1$" not in {person.username for person in directory.everyone()}


# Security rule S18: who is privileged


def test_the_administrator_and_our_own_account_are_privileged(samba: Samba) -> None:
    directory = ActiveDirectory(samba.settings(DOMAIN), ISSUER)
    for name in ("Administrator", "krbtgt", SERVICE):
        identity = directory.find(name)
        assert identity
        assert identity.privileged
        with pytest.raises(NotPermitted):
            directory.set_password(identity.account, NEW)


@pytest.mark.parametrize("group", ["CN=Domain Admins,CN=Users", "CN=Backup Operators,CN=Builtin"])
def test_windows_own_powerful_groups_count_without_being_named(
    samba_domain: SambaDomain, directory: ActiveDirectory, group: str
) -> None:
    samba_domain.add_group("inner")
    samba_domain.add_group("outer", [samba_domain.group("inner")])
    samba_domain.join(samba_domain.group("outer"), f"{group},{DOMAIN}")
    assert not is_privileged(directory, "alice")
    samba_domain.join(samba_domain.dn("alice"), samba_domain.group("inner"))
    assert is_privileged(directory, "alice")
    with pytest.raises(NotPermitted):
        directory.set_password(account(directory, "alice"), NEW)


@pytest.fixture
def primary_group(samba_domain: SambaDomain) -> Iterator[str]:
    """Alice's primary group, within the protected one."""
    group = samba_domain.group("inner")
    samba_domain.add_group("inner", [samba_domain.dn("alice")])
    samba_domain.join(group, samba_domain.group("protected"))
    identifier = samba_domain.server.read(group, "objectSid")["objectSid"][0]
    samba_domain.change("alice", primaryGroupID=str(int.from_bytes(identifier[-4:], "little")))
    yield group
    # A primary group cannot be deleted.
    samba_domain.change("alice", primaryGroupID="513")


def test_a_primary_group_counts_although_no_membership_names_it(
    samba_domain: SambaDomain, directory: ActiveDirectory, primary_group: str
) -> None:
    read = samba_domain.server.read(samba_domain.dn("alice"), "memberOf")
    assert primary_group.encode() not in read["memberOf"]
    assert is_privileged(directory, "alice")


@pytest.mark.parametrize(
    "changes",
    [{"adminCount": "1"}, {"userAccountControl": str(512 | 0x80000)}],
    ids=["adminCount", "delegates"],
)
def test_marks_of_power_count(
    samba_domain: SambaDomain, directory: ActiveDirectory, changes: dict[str, str]
) -> None:
    samba_domain.change("alice", **changes)
    assert is_privileged(directory, "alice")
    assert not is_privileged(directory, "bob")


def test_whose_groups_cannot_be_read_is_privileged(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    token_groups = "b7c69e6d-2cc7-11d2-854e-00a0c983f608"
    sddl = f"(OD;;RP;{token_groups};;AU)"
    samba_domain.server.tool("dsacl", "set", f"--objectdn={samba_domain.dn('alice')}", f"--sddl={sddl}")
    assert is_privileged(directory, "alice")
    assert not is_privileged(directory, "bob")


def test_a_protected_group_that_is_not_there_protects_everybody(samba_domain: SambaDomain) -> None:
    missing = samba_domain.group("not-there")
    directory = ActiveDirectory(samba_domain.settings(protected_groups=(missing,)), ISSUER)
    assert is_privileged(directory, "alice")


def test_a_group_elsewhere_never_takes_anothers_name(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    unit = f"OU=delegated,{samba_domain.base}"
    samba_domain.server.add(unit, ["organizationalUnit"])
    samba_domain.server.add(
        f"CN=helpdesk,{unit}", ["group"], sAMAccountName="mine", member=[samba_domain.dn("alice")]
    )
    alice = directory.find("alice")
    assert alice
    assert "mine" in alice.groups
    assert "helpdesk" not in alice.groups


# Policies


@pytest.fixture
def fine_grained(samba_domain: SambaDomain) -> Iterator[str]:
    """A policy of 14 characters for Alice."""
    dn = f"CN=Strict,CN=Password Settings Container,CN=System,{DOMAIN}"
    rules = {
        "msDS-PasswordSettingsPrecedence": "10",
        "msDS-PasswordReversibleEncryptionEnabled": "FALSE",
        "msDS-PasswordHistoryLength": "6",
        "msDS-PasswordComplexityEnabled": "TRUE",
        "msDS-MinimumPasswordLength": "14",
        "msDS-MinimumPasswordAge": "0",
        "msDS-MaximumPasswordAge": span(dt.timedelta(days=10)),
        "msDS-LockoutThreshold": "2",
        "msDS-LockoutObservationWindow": span(dt.timedelta(minutes=5)),
        "msDS-LockoutDuration": span(dt.timedelta(minutes=5)),
        "msDS-PSOAppliesTo": samba_domain.dn("alice"),
    }
    samba_domain.server.add(dn, ["msDS-PasswordSettings"], **rules)
    yield dn
    samba_domain.server.delete(dn)


@pytest.mark.usefixtures("fine_grained")
def test_a_fine_grained_policy_holds_for_whom_it_is_meant(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    strict = directory.capabilities(account(directory, "alice"))
    plain = directory.capabilities(account(directory, "bob"))
    assert (strict.minimum_length, strict.history_length) == (14, 6)
    assert [rule.name for rule in strict.rules] == [
        RuleName.LENGTH_MIN,
        RuleName.CLASSES_MIN,
        RuleName.NOT_IN_HISTORY,
    ]
    assert (plain.minimum_length, plain.history_length) == (8, 3)
    with pytest.raises(PasswordRefused) as refused:
        directory.set_password(account(directory, "alice"), "Short-Pw-123")
    assert refused.value.reasons == (RefusalReason.TOO_SHORT,)
    assert samba_domain.accepts("alice", "Alice-Passw0rd")


@pytest.mark.usefixtures("fine_grained")
def test_what_a_person_may_not_read_is_never_remembered(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    alice = account(directory, "alice")
    fresh = ActiveDirectory(samba_domain.settings(), ISSUER)
    fresh.change_password(alice, "Alice-Passw0rd", "Quite-New-And-Long-1")
    assert fresh.capabilities(alice).minimum_length == 14


def test_a_simple_password_is_refused_as_too_simple(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    samba_domain.server.change(DOMAIN, {"pwdProperties": "1"})
    with pytest.raises(PasswordRefused) as refused:
        directory.set_password(account(directory, "alice"), "onlylowercase")
    assert refused.value.reasons == (RefusalReason.TOO_SIMPLE,)
    with pytest.raises(PasswordRefused) as refused:
        directory.change_password(account(directory, "alice"), "Alice-Passw0rd", "simple")
    assert set(refused.value.reasons) == {RefusalReason.TOO_SHORT, RefusalReason.TOO_SIMPLE}


def test_who_may_not_change_the_password_may_not_reset_it_either(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    sddl = f"(OD;;CR;{CHANGE_PASSWORD};;WD)(OD;;CR;{CHANGE_PASSWORD};;PS)"
    samba_domain.server.tool("dsacl", "set", f"--objectdn={samba_domain.dn('alice')}", f"--sddl={sddl}")
    alice = directory.find("alice")
    assert alice
    assert not alice.may_change_password
    with pytest.raises(PasswordRefused) as reset:
        directory.set_password(alice.account, NEW)
    with pytest.raises(PasswordRefused) as change:
        directory.change_password(alice.account, "Alice-Passw0rd", NEW)
    assert reset.value.reasons == change.value.reasons == (RefusalReason.CHANGE_NOT_ALLOWED,)
    # The wrong old password stays just wrong.
    with pytest.raises(WrongPassword):
        directory.change_password(alice.account, "wrong", NEW)


def test_an_account_that_has_run_out_is_closed(samba_domain: SambaDomain, directory: ActiveDirectory) -> None:
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    samba_domain.change("alice", accountExpires=str(ticks(yesterday)))
    samba_domain.change("bob", accountExpires=str(NEVER))
    alice, bob = directory.find("alice"), directory.find("bob")
    assert alice
    assert not alice.enabled
    assert bob
    assert bob.enabled
    with pytest.raises(NotPermitted):
        directory.set_password(alice.account, NEW)
    with pytest.raises(WrongPassword):
        directory.verify_password(alice.account, "Alice-Passw0rd")


def test_a_lock_without_an_end_stays_until_it_is_ended(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    samba_domain.server.change(DOMAIN, {"lockoutDuration": "-9223372036854775808"})
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=400)
    samba_domain.change("carol", lockoutTime=str(ticks(long_ago)))
    carol = directory.find("carol")
    assert carol
    assert carol.locked
    assert directory.unlock(carol.account) is True
    assert samba_domain.accepts("carol", "Carol-Passw0rd")


# Writing


def test_a_write_never_touches_user_password(samba_domain: SambaDomain, directory: ActiveDirectory) -> None:
    directory.set_password(account(directory, "alice"), NEW)
    directory.change_password(account(directory, "alice"), NEW, f"{NEW}-2")
    assert samba_domain.server.read(samba_domain.dn("alice"), "userPassword").get("userPassword", []) == []


def test_a_change_that_is_ordered_obeys_the_history_although_a_reset_would_not(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    samba_domain.change("alice", pwdLastSet="0")
    alice = account(directory, "alice")
    with pytest.raises(PasswordRefused) as refused:
        directory.change_password(alice, "Alice-Passw0rd", "Alice-Passw0rd")
    assert refused.value.reasons == (RefusalReason.IN_HISTORY,)


def test_a_quote_in_a_password_is_a_character_like_any_other(
    samba_domain: SambaDomain, directory: ActiveDirectory
) -> None:
    directory.set_password(account(directory, "alice"), 'Has-"quotes"-1')
    assert samba_domain.accepts("alice", 'Has-"quotes"-1')


def test_when_the_password_was_written_is_told(directory: ActiveDirectory) -> None:
    alice = account(directory, "alice")
    before = directory.last_write(alice)
    directory.set_password(alice, NEW)
    after = directory.last_write(alice)
    assert before
    assert after
    assert before.at < after.at <= dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)


# How old passwords die (S19)


def test_an_old_password_lives_for_as_long_as_we_say(samba: Samba, tmp_path: Path) -> None:
    del samba
    with serving(tmp_path / "dc", old_password_minutes=60) as server, SambaDomain(server) as domain:
        directory = ActiveDirectory(domain.settings(), ISSUER)
        alice = account(directory, "alice")
        assert directory.capabilities(alice).old_password_lives == dt.timedelta(minutes=60)
        directory.set_password(alice, NEW)
        assert domain.accepts("alice", "Alice-Passw0rd")
        # It still opens the door; it changes nothing any more.
        with pytest.raises(WrongPassword):
            directory.change_password(alice, "Alice-Passw0rd", "Taken-Back-Passw0rd")
        server.age(domain.dn("alice"), dt.timedelta(minutes=59))
        assert domain.accepts("alice", "Alice-Passw0rd")
        server.age(domain.dn("alice"), dt.timedelta(minutes=61))
        assert not domain.accepts("alice", "Alice-Passw0rd")
        assert domain.accepts("alice", NEW)


def test_where_old_passwords_die_at_once_the_settings_may_say_so(samba_domain: SambaDomain) -> None:
    directory = ActiveDirectory(samba_domain.settings(old_password_minutes=0), ISSUER)
    alice = account(directory, "alice")
    assert directory.capabilities(alice).old_password_lives == dt.timedelta(0)
    directory.set_password(alice, NEW)
    assert not samba_domain.accepts("alice", "Alice-Passw0rd")
