"""What OpenLDAP's password policy says of a password, before and after it is asked."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest

from idp_plugin.base import Identity, PasswordState
from idp_plugin.errors import (
    IdpMisconfigured,
    NotPermitted,
    PasswordRefused,
    RefusalReason,
)
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.password_rules import AccountNames, PasswordRule, RuleName, check
from tests.servers import presence
from tests.servers.slapd import (
    GROUPS,
    LONG_AGO,
    PEOPLE,
    POLICY_DN,
    SERVICE_DN,
    SERVICE_PASSWORD,
    SUFFIX,
    Slapd,
    dn_of,
)

ISSUER = "https://sso.example.org"
NEW = "Quite-New-Passw0rd"

MODULE = """\
char *strdup(const char *text);
/* Wants a digit; says why in words that nobody reads. The server frees them. */
int check_password(char *password, char **text, void *entry, void *argument) {
    (void)entry; (void)argument;
    for (; *password; password++) if (*password >= '0' && *password <= '9') return 0;
    *text = strdup("SECRET-REASON-42");
    return 1;
}
"""


def known(directory: OpenLdap, username: str = "alice") -> Identity:
    identity = directory.find(username)
    assert identity
    return identity


def rules_of(slapd: Slapd) -> tuple[PasswordRule, ...]:
    directory = OpenLdap(slapd.settings(), ISSUER)
    return directory.capabilities(known(directory).account).rules


# Rules


def test_the_rules_are_those_of_the_policy_in_force(slapd: Slapd) -> None:
    slapd.change(POLICY_DN, pwdMaxLength="40")
    assert [(rule.name, rule.count, rule.dialect) for rule in rules_of(slapd)] == [
        (RuleName.LENGTH_MIN, 8, "openldap"),
        (RuleName.LENGTH_MAX, 40, "openldap"),
        (RuleName.CHARACTERS, 0, "openldap"),
        (RuleName.NOT_IN_HISTORY, 3, "openldap"),
    ]


def test_a_policy_that_checks_nothing_promises_nothing(slapd: Slapd) -> None:
    slapd.change(POLICY_DN, pwdCheckQuality="0", pwdInHistory="0")
    assert rules_of(slapd) == ()


def test_too_long_is_told_by_code(slapd: Slapd) -> None:
    slapd.change(POLICY_DN, pwdMaxLength="12")
    directory = OpenLdap(slapd.settings(), ISSUER)
    with pytest.raises(PasswordRefused) as refused:
        directory.set_password(known(directory).account, "x" * 13)
    assert refused.value.reasons == (RefusalReason.TOO_LONG,)


@pytest.fixture
def judged(slapd: Slapd, tmp_path: Path) -> Slapd:
    """A server that has a quality module."""
    compiler = presence.program("cc", package="gcc")
    module = tmp_path / "judge.so"
    (tmp_path / "judge.c").write_text(MODULE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", module, tmp_path / "judge.c"], check=True)
    with slapd.as_root() as root:
        assert root.modify(
            POLICY_DN,
            {
                "objectClass": [(ldap3.MODIFY_ADD, ["pwdPolicyChecker"])],
                "pwdCheckModule": [(ldap3.MODIFY_ADD, [str(module)])],
            },
        )
    return slapd


def test_a_quality_module_is_a_rule_that_cannot_be_told_and_refuses_by_code(judged: Slapd) -> None:
    directory = OpenLdap(judged.settings(), ISSUER)
    alice = known(directory).account
    verdicts = check(directory.capabilities(alice).rules, "no digit in it", AccountNames())
    assert {each.rule.name: each.holds for each in verdicts}[RuleName.QUALITY] is None
    with pytest.raises(PasswordRefused) as refused:
        directory.set_password(alice, "no digit in it")
    assert refused.value.reasons == (RefusalReason.TOO_SIMPLE,)
    assert "SECRET-REASON" not in f"{refused.value!r} {refused.value.__cause__!r}"
    directory.set_password(alice, "1 digit in it")
    assert judged.accepts("alice", "1 digit in it")


# States


def test_grace_is_told_and_used_up(slapd: Slapd) -> None:
    slapd.change(POLICY_DN, pwdGraceAuthNLimit="2")
    slapd.change(dn_of("alice"), pwdChangedTime=LONG_AGO)
    directory = OpenLdap(slapd.settings(), ISSUER)
    alice = known(directory)
    assert alice.password_state is PasswordState.GRACE
    states = [directory.verify_password(alice.account, "Alice-Passw0rd") for _ in range(3)]
    assert states == [PasswordState.GRACE, PasswordState.GRACE, PasswordState.EXPIRED]
    assert known(directory).password_state is PasswordState.EXPIRED
    directory.set_password(alice.account, NEW)
    assert known(directory).password_state is PasswordState.USABLE


def test_in_grace_the_person_changes_it_as_ever(slapd: Slapd) -> None:
    slapd.change(POLICY_DN, pwdGraceAuthNLimit="2")
    slapd.change(dn_of("alice"), pwdChangedTime=LONG_AGO)
    directory = OpenLdap(slapd.settings(), ISSUER)
    directory.change_password(known(directory).account, "Alice-Passw0rd", NEW)
    assert slapd.accepts("alice", NEW)


def test_a_policy_that_lets_nobody_change_is_told_beforehand(slapd: Slapd) -> None:
    assert known(OpenLdap(slapd.settings(), ISSUER)).may_change_password
    slapd.change(POLICY_DN, pwdAllowUserChange="FALSE")
    assert not known(OpenLdap(slapd.settings(), ISSUER)).may_change_password


# Groups


def test_groups_within_a_protected_group_protect_though_nobody_says_member_of(
    tmp_path: Path,
) -> None:
    # Loaded offline, so that no entry says memberOf: three groups, each inside the next.
    inner = dn_of("alice")
    ldif = []
    for name in ("inner", "middle", "outer"):
        ldif.append(f"dn: cn={name},{GROUPS}\nobjectClass: groupOfNames\ncn: {name}\nmember: {inner}\n")
        inner = f"cn={name},{GROUPS}"
    with Slapd(tmp_path / "quiet", more_ldif="\n".join(ldif)) as server:
        directory = OpenLdap(server.settings(protected_groups=(f"cn=outer,{GROUPS}",)), ISSUER)
        alice, bob = known(directory), known(directory, "bob")
        assert alice.privileged
        assert alice.groups == {"staff", "inner", "middle", "outer"}
        assert not bob.privileged
        with pytest.raises(NotPermitted):
            directory.set_password(alice.account, NEW)


def test_posix_groups_are_told_by_name(slapd: Slapd) -> None:
    slapd.add(f"cn=wheel,{GROUPS}", ["posixGroup"], cn="wheel", gidNumber="10", memberUid=["bob"])
    directory = OpenLdap(slapd.settings(), ISSUER)
    assert "wheel" in known(directory, "bob").groups
    assert "wheel" not in known(directory, "alice").groups


def test_groups_that_are_hidden_from_the_service_account_are_the_operators_mistake(tmp_path: Path) -> None:
    hidden = f'access to dn.base="{SUFFIX}"\n  by * none\naccess to dn.subtree="{GROUPS}"\n  by * none\n'
    with Slapd(tmp_path / "hidden", more_database=hidden) as server, pytest.raises(IdpMisconfigured):
        OpenLdap(server.settings(), ISSUER).find("alice")


# The rights of deploy/openldap.md


def test_the_service_account_can_do_no_more_than_the_page_says(slapd: Slapd) -> None:
    slapd.change(dn_of("alice"), userPassword="Chosen-by-Root-1")
    OpenLdap(slapd.settings(), ISSUER).set_password(
        known(OpenLdap(slapd.settings(), ISSUER)).account, "So-There-Is-A-History-1"
    )
    with as_service(slapd) as connection:
        may_not_more(connection)


@contextlib.contextmanager
def as_service(slapd: Slapd) -> Iterator[ldap3.Connection]:
    server = ldap3.Server("127.0.0.1", slapd.port, get_info=ldap3.NONE)
    connection = ldap3.Connection(server, SERVICE_DN, SERVICE_PASSWORD, auto_bind=ldap3.AUTO_BIND_NO_TLS)
    try:
        yield connection
    finally:
        connection.unbind()


def may_not_more(connection: ldap3.Connection) -> None:
    connection.search(dn_of("alice"), "(objectClass=*)", ldap3.BASE, attributes=["*", "+"])
    assert not {"userpassword", "pwdhistory"} & {
        name.lower() for name in connection.response[0]["attributes"]
    }
    for name, value in {
        "mail": "mallory@example.org",
        "uid": "mallory",
        "pwdEndTime": "20380101000000Z",
    }.items():
        assert not connection.modify(dn_of("alice"), {name: [(ldap3.MODIFY_REPLACE, [value])]})
        assert connection.result["result"] == 50
    group = f"cn=administrators,{GROUPS}"
    assert not connection.modify(group, {"member": [(ldap3.MODIFY_ADD, [dn_of("alice")])]})
    assert not connection.delete(dn_of("alice"))
    assert not connection.add(f"uid=mallory,{PEOPLE}", ["inetOrgPerson"], {"cn": "m", "sn": "m"})
