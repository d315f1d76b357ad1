"""The delegation that the deployment page describes: enough, no more, and each missing right is named."""

import datetime as dt
import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest
from pydantic import SecretStr

from idp_plugin.base import Subject
from idp_plugin.errors import NotPermitted, PasswordRefused, RefusalReason
from idp_plugin.ldap.active_directory import ActiveDirectory
from idp_plugin.ldap.active_directory_rights import Right
from idp_plugin.ldap.active_directory_root import ACCESS_LIST
from idp_plugin.settings import DirectorySettings
from tests.servers.samba import DOMAIN, PEOPLE, REALM, SambaDomain, quoted, span
from tests.servers.samba_build import PAGE

ISSUER = "https://sso.example.org"
NEW = "Quite-New-Passw0rd"
PERSON = "bf967aba-0de6-11d0-a285-00aa003049e2"
RESET_PASSWORD = "00299570-246d-11d0-a768-00aa006e0529"
LOCKOUT_TIME = "28630ebf-41d5-11d1-a9c1-0000f80367c1"
PASSWORD_LAST_SET = "bf967a0a-0de6-11d0-a285-00aa003049e2"
UNEXPIRE_PASSWORD = "ccc2dc7d-a6ad-4a7a-8846-c04e3cc53501"
MAIL = "bf967961-0de6-11d0-a285-00aa003049e2"
PASSWORD = "Weak-Secret-Passw0rd1"
NUMBERS = itertools.count(1)


class WeakAccount:
    """A service account that was given a part of the rights, on the people of one test."""

    def __init__(self, domain: SambaDomain) -> None:
        self._domain = domain
        self._name = f"svc-weak{next(NUMBERS)}"
        self.dn = f"CN={self._name},CN=Users,{DOMAIN}"
        domain.server.add(
            self.dn,
            ["user"],
            sAMAccountName=self._name,
            userPrincipalName=f"{self._name}@{REALM}",
            userAccountControl="66048",
            unicodePwd=quoted(PASSWORD),
        )

    def give(self, *entries: tuple[str, str]) -> ActiveDirectory:
        """Delegate (kind, id of right or attribute) and return the directory as this account sees it."""
        shown = self._domain.server.tool("user", "show", self._name, "--attributes=objectSid")
        (identifier,) = re.findall(r"objectSid: (\S+)", shown)
        sddl = "".join(f"(OA;CIIO;{kind};{right};{PERSON};{identifier})" for kind, right in entries)
        if sddl:
            self._domain.server.tool("dsacl", "set", f"--objectdn={self._domain.base}", f"--sddl={sddl}")
        settings = self._domain.settings(
            bind_dn=f"{self._name}@{REALM}", bind_password=SecretStr(PASSWORD), seconds=20
        )
        return ActiveDirectory(settings, ISSUER)


@pytest.fixture
def weak(samba_domain: SambaDomain) -> Iterator[WeakAccount]:
    account = WeakAccount(samba_domain)
    yield account
    samba_domain.server.delete(account.dn)


def account(directory: ActiveDirectory, username: str) -> Subject:
    identity = directory.find(username)
    assert identity
    return identity.account


def missing(directory: ActiveDirectory, username: str) -> set[Right]:
    checks = directory.rights(account(directory, username))
    assert [check.right for check in checks] == list(Right)
    return {check.right for check in checks if check.is_held is not True}


def test_the_account_of_the_page_has_every_right_and_no_other(samba_domain: SambaDomain) -> None:
    directory = ActiveDirectory(samba_domain.settings(), ISSUER)
    assert missing(directory, "alice") == set()
    assert directory.capabilities(account(directory, "alice")).clears_must_change


@pytest.mark.parametrize(
    ("entries", "lacks"),
    [
        ([], {Right.RESET_PASSWORD, Right.WRITE_LOCKOUT_TIME, Right.WRITE_PASSWORD_LAST_SET}),
        (
            [("CR", RESET_PASSWORD)],
            {Right.WRITE_LOCKOUT_TIME, Right.WRITE_PASSWORD_LAST_SET},
        ),
        ([("WP", LOCKOUT_TIME), ("WP", PASSWORD_LAST_SET)], {Right.RESET_PASSWORD}),
        ([("CR", RESET_PASSWORD), ("WP", LOCKOUT_TIME)], {Right.WRITE_PASSWORD_LAST_SET}),
    ],
    ids=["none", "reset alone", "attributes alone", "no pwdLastSet"],
)
def test_a_missing_right_is_named_and_nothing_is_written_without_it(
    samba_domain: SambaDomain, weak: WeakAccount, entries: list[tuple[str, str]], lacks: set[Right]
) -> None:
    directory = weak.give(*entries)
    assert missing(directory, "alice") == lacks
    with pytest.raises(NotPermitted):
        directory.set_password(account(directory, "alice"), NEW)
    # One operation: not the half of it that was allowed.
    assert samba_domain.accepts("alice", "Alice-Passw0rd")
    assert not samba_domain.accepts("alice", NEW)


def test_a_right_too_many_is_named(weak: WeakAccount) -> None:
    directory = weak.give(
        ("CR", RESET_PASSWORD), ("WP", LOCKOUT_TIME), ("WP", PASSWORD_LAST_SET), ("WP", MAIL)
    )
    assert missing(directory, "alice") == {Right.NOTHING_ELSE}


def test_an_account_that_may_not_unlock_is_told_so(samba_domain: SambaDomain, weak: WeakAccount) -> None:
    directory = weak.give(("CR", RESET_PASSWORD))
    for _ in range(6):
        samba_domain.accepts("carol", "a wrong guess")
    with pytest.raises(NotPermitted):
        directory.unlock(account(directory, "carol"))


@pytest.fixture
def nobody_may_unexpire(samba_domain: SambaDomain) -> Iterator[None]:
    administrator = samba_domain.server.administrator
    assert administrator.search(
        DOMAIN, "(objectClass=*)", ldap3.BASE, attributes=["nTSecurityDescriptor"], controls=[ACCESS_LIST]
    )
    before = administrator.response[0]["raw_attributes"]["nTSecurityDescriptor"]
    samba_domain.server.tool(
        "dsacl", "set", f"--objectdn={DOMAIN}", f"--sddl=(OD;;CR;{UNEXPIRE_PASSWORD};;AU)"
    )
    yield
    restored = {"nTSecurityDescriptor": [(ldap3.MODIFY_REPLACE, before)]}
    assert administrator.modify(DOMAIN, restored, controls=[ACCESS_LIST]), administrator.result


@pytest.mark.usefixtures("nobody_may_unexpire")
def test_where_a_new_password_would_have_to_be_changed_at_once_that_is_said(
    samba_domain: SambaDomain,
) -> None:
    directory = ActiveDirectory(samba_domain.settings(), ISSUER)
    assert missing(directory, "alice") == {Right.UNEXPIRE_PASSWORD}
    assert not directory.capabilities(account(directory, "alice")).clears_must_change


def test_rights_over_nobody_are_refused(samba_domain: SambaDomain) -> None:
    directory = ActiveDirectory(samba_domain.settings(), ISSUER)
    with pytest.raises(NotPermitted):
        directory.rights(Subject("corp", "00000000-0000-0000-0000-000000000000"))


def test_a_policy_that_we_may_not_read_promises_nothing(samba_domain: SambaDomain, weak: WeakAccount) -> None:
    dn = f"CN=Hidden,CN=Password Settings Container,CN=System,{DOMAIN}"
    values = {
        "msDS-PasswordSettingsPrecedence": "10",
        "msDS-PasswordReversibleEncryptionEnabled": "FALSE",
        "msDS-PasswordHistoryLength": "0",
        "msDS-PasswordComplexityEnabled": "FALSE",
        "msDS-MinimumPasswordLength": "20",
        "msDS-MinimumPasswordAge": "0",
        "msDS-MaximumPasswordAge": span(dt.timedelta(days=10)),
        "msDS-LockoutThreshold": "0",
        "msDS-LockoutObservationWindow": span(dt.timedelta(minutes=5)),
        "msDS-LockoutDuration": span(dt.timedelta(minutes=5)),
        "msDS-PSOAppliesTo": samba_domain.dn("alice"),
    }
    samba_domain.server.add(dn, ["msDS-PasswordSettings"], **values)
    try:
        directory = weak.give(("CR", RESET_PASSWORD), ("WP", LOCKOUT_TIME), ("WP", PASSWORD_LAST_SET))
        assert missing(directory, "alice") == {Right.READ_POLICY}
        assert directory.capabilities(account(directory, "alice")).rules == ()
        assert directory.capabilities(account(directory, "alice")).minimum_length is None
        with pytest.raises(PasswordRefused) as refused:
            directory.set_password(account(directory, "alice"), NEW)
        assert refused.value.reasons == (RefusalReason.OTHER,)
    finally:
        samba_domain.server.delete(dn)


def test_the_pages_settings_are_settings(tmp_path: Path) -> None:
    (sample,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "password").write_text("not a real one\n")
    (stated,) = tomllib.loads(sample.replace("/etc/sparekey/domain-password", str(tmp_path / "password")))[
        "directories"
    ]
    settings = DirectorySettings.model_validate(stated)
    assert settings.kind == "active_directory"
    assert settings.name_attributes == ("sAMAccountName", "userPrincipalName", "mail")
    assert settings.id_attribute == "objectGUID"


def test_the_page_delegates_the_same_on_windows_as_on_samba() -> None:
    page = PAGE.read_text("utf-8")
    (shell,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    (windows,) = re.findall(r"```powershell\n(.*?)```", page, re.DOTALL)
    entries = [re.findall(r'[="](?:--sddl=)?"?((?:\([^()"]+\))+)"', text) for text in (shell, windows)]
    assert entries[0] == entries[1]
    assert len(entries[0]) == 3
    ids = [sorted(re.findall(r"[0-9a-f-]{36}", text)) for text in (shell, windows)]
    assert (
        ids[0]
        == ids[1]
        == sorted([PERSON, RESET_PASSWORD, LOCKOUT_TIME, PASSWORD_LAST_SET, UNEXPIRE_PASSWORD])
    )
    assert PEOPLE in shell.replace("$domain", DOMAIN)
