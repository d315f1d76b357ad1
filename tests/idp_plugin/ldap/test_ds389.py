"""389-ds beyond the contract: its codes, its policies, and the rights that `deploy/` gives."""

import contextlib
import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest
from structlog.testing import capture_logs

from idp_plugin.base import Identity, PasswordState, Subject
from idp_plugin.ber import Malformed
from idp_plugin.errors import (
    IdpMisconfigured,
    NotPermitted,
    OutcomeUnknown,
    PasswordRefused,
    RefusalReason,
    WrongPassword,
)
from idp_plugin.ldap.account_usability import says_locked
from idp_plugin.ldap.ds389 import Ds389 as Ds389Directory
from idp_plugin.ldap.ds389_policy import POLICY_ATTRIBUTES
from idp_plugin.password_rules import AccountNames, RuleName, check
from tests.idp_plugin.ldap.record_cutter import RecordCutter
from tests.servers.ds389 import (
    GROUPS,
    PEOPLE,
    SERVICE_DN,
    SERVICE_PASSWORD,
    USABILITY_DN,
    Ds389,
    dn_of,
    written,
)

ISSUER = "https://sso.example.org"
NEW = "Quite-New-Passw0rd"


@pytest.fixture
def directory(ds389: Ds389) -> Ds389Directory:
    return Ds389Directory(ds389.settings(), ISSUER)


def known(directory: Ds389Directory, username: str = "alice") -> Identity:
    identity = directory.find(username)
    assert identity
    return identity


def reasons(directory: Ds389Directory, new: str) -> tuple[RefusalReason, ...]:
    with pytest.raises(PasswordRefused) as refused:
        directory.set_password(known(directory).account, new)
    return refused.value.reasons


# Codes


def test_a_closed_account_is_wrong_with_any_password_and_says_nothing_else(
    ds389: Ds389, directory: Ds389Directory
) -> None:
    ds389.change(dn_of("dave"), nsAccountLock="true")
    dave = known(directory, "dave")
    assert not dave.enabled
    for password in ("Dave-Passw0rd", "wrong"):
        with pytest.raises(WrongPassword):
            directory.verify_password(dave.account, password)


def test_an_account_that_a_role_closes_is_closed(ds389: Ds389, directory: Ds389Directory) -> None:
    role = f"cn=closed,{PEOPLE}"
    kinds = ["ldapsubentry", "nsRoleDefinition", "nsSimpleRoleDefinition", "nsManagedRoleDefinition"]
    ds389.add(role, kinds, cn="closed")
    ds389.add(f"cn=closing,{PEOPLE}", ["nsContainer"], cn="closing")
    escaped = role.replace(",", r"\,").replace("=", r"\=")
    template = f"cn={escaped},cn=closing,{PEOPLE}"
    ds389.add(
        template, ["extensibleObject", "costemplate", "ldapsubentry"], nsAccountLock="true", cosPriority="1"
    )
    ds389.add(
        f"cn=closing-cos,{PEOPLE}",
        ["ldapsubentry", "cosSuperDefinition", "cosClassicDefinition"],
        cosTemplateDn=f"cn=closing,{PEOPLE}",
        cosSpecifier="nsRole",
        cosAttribute="nsAccountLock operational",
    )
    ds389.change(dn_of("dave"), nsRoleDN=role)
    dave = known(directory, "dave")
    assert dave.roles == {"closed"}
    assert not dave.enabled
    with pytest.raises(NotPermitted):
        directory.set_password(dave.account, NEW)


def test_a_protected_role_protects(ds389: Ds389) -> None:
    role = f"cn=boss,{PEOPLE}"
    kinds = ["ldapsubentry", "nsRoleDefinition", "nsSimpleRoleDefinition", "nsManagedRoleDefinition"]
    ds389.add(role, kinds, cn="boss")
    ds389.change(dn_of("bob"), nsRoleDN=role)
    protecting = (f"cn=administrators,{GROUPS}", f"CN=Boss, {PEOPLE.replace(',', ', ')}")
    directory = Ds389Directory(ds389.settings(protected_groups=protecting), ISSUER)
    assert known(directory, "bob").privileged
    with pytest.raises(NotPermitted):
        directory.set_password(known(directory, "bob").account, NEW)
    assert not known(directory, "alice").privileged


def test_roles_that_are_hidden_from_us_protect_everybody(ds389: Ds389) -> None:
    role = f"cn=boss,{PEOPLE}"
    kinds = ["ldapsubentry", "nsRoleDefinition", "nsSimpleRoleDefinition", "nsManagedRoleDefinition"]
    ds389.add(role, kinds, cn="boss")
    ds389.change(dn_of("bob"), nsRoleDN=role)
    rules = ds389.read(PEOPLE)["aci"]
    hidden = [rule.replace("nsRole || ", "") for rule in rules]
    assert hidden != rules
    with ds389.as_root() as root:
        root.modify(PEOPLE, {"aci": [(ldap3.MODIFY_REPLACE, hidden)]})
    directory = Ds389Directory(ds389.settings(protected_groups=(role,)), ISSUER)
    for name in ("bob", "alice"):
        assert known(directory, name).privileged, name
        with pytest.raises(NotPermitted):
            directory.set_password(known(directory, name).account, NEW)


def test_a_lock_for_good_is_seen_and_can_be_ended(ds389: Ds389, directory: Ds389Directory) -> None:
    ds389.configure(passwordUnlock="off")
    carol = known(directory, "carol")
    for _ in range(6):
        with contextlib.suppress(WrongPassword):
            directory.verify_password(carol.account, "wrong")
    assert known(directory, "carol").locked
    assert directory.unlock(carol.account) is True
    assert directory.verify_password(carol.account, "Carol-Passw0rd") is PasswordState.USABLE


def test_the_lock_is_read_from_the_entry_where_the_control_is_not_granted(
    ds389: Ds389, directory: Ds389Directory
) -> None:
    for _ in range(6):
        with contextlib.suppress(WrongPassword):
            directory.verify_password(known(directory, "carol").account, "wrong")
    ds389.change(USABILITY_DN, aci=[])
    without = Ds389Directory(ds389.settings(), ISSUER)
    assert known(without, "carol").locked
    without.set_password(known(without, "carol").account, NEW)
    assert not known(without, "carol").locked
    assert not known(without, "alice").locked


def test_grace_is_told_and_used_up(ds389: Ds389) -> None:
    ds389.configure(passwordGraceLimit="2")
    ds389.change(
        dn_of("alice"), passwordExpirationTime=written(dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
    )
    directory = Ds389Directory(ds389.settings(), ISSUER)
    alice = known(directory)
    assert alice.password_state is PasswordState.GRACE
    states = [directory.verify_password(alice.account, "Alice-Passw0rd") for _ in range(3)]
    assert states == [PasswordState.GRACE, PasswordState.GRACE, PasswordState.EXPIRED]
    assert known(directory).password_state is PasswordState.EXPIRED


def test_a_policy_that_lets_nobody_change_says_so(ds389: Ds389) -> None:
    ds389.configure(passwordChange="off")
    directory = Ds389Directory(ds389.settings(), ISSUER)
    alice = known(directory)
    assert not alice.may_change_password
    with pytest.raises(PasswordRefused) as refused:
        directory.change_password(alice.account, "Alice-Passw0rd", NEW)
    assert refused.value.reasons == (RefusalReason.CHANGE_NOT_ALLOWED,)
    ds389.configure(passwordChange="on")


def test_a_reset_leaves_no_order_to_change_even_where_the_policy_orders_it(
    ds389: Ds389, directory: Ds389Directory
) -> None:
    ds389.change(dn_of("alice"), userPassword="Chosen-by-Somebody-1")
    assert known(directory).password_state is PasswordState.MUST_CHANGE
    directory.set_password(known(directory).account, NEW)
    assert known(directory).password_state is PasswordState.USABLE
    assert directory.verify_password(known(directory).account, NEW) is PasswordState.USABLE
    assert directory.capabilities(known(directory).account).clears_must_change


# Reasons, for which the server has but one code


def test_no_change_is_ordered_where_the_server_would_not_hold_anybody_to_it(ds389: Ds389) -> None:
    ds389.configure(passwordMustChange="off")
    directory = Ds389Directory(ds389.settings(), ISSUER)
    alice = known(directory).account
    before = ds389.read(dn_of("alice"))["passwordExpirationTime"]
    with pytest.raises(NotPermitted, match="passwordMustChange"):
        directory.require_change(alice)
    assert ds389.read(dn_of("alice"))["passwordExpirationTime"] == before


def test_too_short_too_simple_and_too_like_a_name_are_told_apart(ds389: Ds389) -> None:
    ds389.configure(passwordMinCategories="3")
    directory = Ds389Directory(ds389.settings(), ISSUER)
    assert reasons(directory, "aB3-x") == (RefusalReason.TOO_SHORT,)
    assert reasons(directory, "onlylowerletters") == (RefusalReason.TOO_SIMPLE,)
    assert reasons(directory, "xX9-aLiCe-xX9") == (RefusalReason.TOO_SIMPLE,)


def test_the_present_password_is_in_the_history_though_the_server_gives_no_code(
    directory: Ds389Directory,
) -> None:
    directory.set_password(known(directory).account, NEW)
    assert reasons(directory, NEW) == (RefusalReason.IN_HISTORY,)


def test_the_dictionary_is_a_rule_that_cannot_be_told(ds389: Ds389) -> None:
    ds389.configure(passwordDictCheck="on")
    directory = Ds389Directory(ds389.settings(), ISSUER)
    promised = directory.capabilities(known(directory).account)
    verdicts = {
        each.rule.name: each.holds for each in check(promised.rules, "whatever it is", AccountNames())
    }
    assert verdicts[RuleName.QUALITY] is None
    assert verdicts[RuleName.LENGTH_MIN] is True


# Policies


def test_a_local_policy_replaces_the_global_one_whole(ds389: Ds389, directory: Ds389Directory) -> None:
    ds389.configure(passwordMinLength="20", passwordMinDigits="5", passwordBadWords="forbidden")
    ds389.add_local_policy(passwordCheckSyntax="on", passwordMinLength="12", passwordMinTokenLength="4")
    rules = {rule.name: rule for rule in directory.capabilities(known(directory).account).rules}
    assert rules[RuleName.LENGTH_MIN].count == 12
    # What it does not say has the server's default, not the global value.
    assert rules[RuleName.CLASSES_MIN].count == 3
    assert RuleName.DIGITS_MIN not in rules
    assert rules[RuleName.NOT_WORDS].words == ("forbidden",)
    assert RuleName.NOT_IN_HISTORY not in rules
    directory.set_password(known(directory).account, "Twelve-Chars-1")


def test_a_local_policy_is_obeyed_as_it_was_read(ds389: Ds389, directory: Ds389Directory) -> None:
    ds389.add_local_policy(passwordCheckSyntax="on", passwordMinLength="12", passwordMinCategories="1")
    assert reasons(directory, "Eleven-Ch-1") == (RefusalReason.TOO_SHORT,)
    ds389.configure(**{"nsslapd-pwpolicy-local": "off"})
    again = Ds389Directory(ds389.settings(), ISSUER)
    assert again.capabilities(known(again).account).minimum_length == 8
    again.set_password(known(again).account, "Eleven-Ch-1")


def test_a_policy_that_cannot_be_read_is_the_operators_mistake(ds389: Ds389) -> None:
    ds389.change("cn=config", aci=[])
    with pytest.raises(IdpMisconfigured):
        Ds389Directory(ds389.settings(), ISSUER).find("alice")


def test_minimum_age_is_told_before_it_refuses(ds389: Ds389) -> None:
    ds389.configure(passwordMinAge="3600")
    directory = Ds389Directory(ds389.settings(), ISSUER)
    directory.set_password(known(directory).account, NEW)
    after = known(directory).may_change_password_after
    assert after
    assert dt.timedelta(minutes=59) < after - dt.datetime.now(dt.UTC) <= dt.timedelta(hours=1)
    assert reasons(directory, "Another-Passw0rd") == (RefusalReason.TOO_YOUNG,)


# The rights of deploy/389-directory-server.md


def test_the_service_account_can_do_no_more_than_the_page_says(ds389: Ds389) -> None:
    server = ldap3.Server("127.0.0.1", ds389.port, get_info=ldap3.NONE)
    connection = ldap3.Connection(server, SERVICE_DN, SERVICE_PASSWORD, auto_bind=ldap3.AUTO_BIND_NO_TLS)
    connection.search(dn_of("alice"), "(objectClass=*)", ldap3.BASE, attributes=["*", "+", "passwordHistory"])
    seen = {name.lower() for name, values in connection.response[0]["raw_attributes"].items() if values}
    assert not seen & {"userpassword", "passwordhistory"}
    for change in (
        {"mail": "mallory@example.org"},
        {"nsAccountLock": "true"},
        {"uid": "mallory"},
        {"passwordAllowChangeTime": "19700101000000Z"},
        {"nsRoleDN": "cn=boss"},
    ):
        (name, value), *_ = change.items()
        assert not connection.modify(dn_of("alice"), {name: [(ldap3.MODIFY_REPLACE, [value])]})
        assert connection.result["result"] == 50
    group = f"cn=administrators,{GROUPS}"
    assert not connection.modify(group, {"member": [(ldap3.MODIFY_ADD, [dn_of("alice")])]})
    assert not connection.modify(SERVICE_DN, {"userPassword": [(ldap3.MODIFY_REPLACE, ["x" * 20])]})
    assert not connection.delete(dn_of("alice"))
    connection.search("cn=config", "(objectClass=*)", attributes=["nsslapd-rootpw", "passwordMinLength"])
    shown = [item["raw_attributes"] for item in connection.response if item["raw_attributes"]]
    assert all(not values.get("nsslapd-rootpw") for values in shown)
    connection.unbind()


def test_the_page_names_every_attribute_that_is_read(directory: Ds389Directory) -> None:
    page = (Path(__file__).parents[3] / "deploy/389-directory-server.md").read_text("utf-8")
    named = {word.lower() for word in re.findall(r"[\w-]+", page)}
    read = {*directory.attributes_read, *POLICY_ATTRIBUTES}
    # The page names these two by their beginning; the schema does not know the second.
    begun = {"nsslapd-pwpolicy-local", "nsslapd-pwpolicy-inherit-global"}
    assert {name for name in read - begun if name.lower() not in named} == set()


# Lost answers


@pytest.fixture
def cutter(ds389: Ds389) -> Iterator[RecordCutter]:
    with RecordCutter(ds389.tls_port) as cutter:
        yield cutter


def test_a_reset_whose_answer_is_lost_is_settled(ds389: Ds389, cutter: RecordCutter) -> None:
    address = f"ldaps://localhost:{cutter.port}"
    directory = Ds389Directory(ds389.settings(servers=(address,), seconds=4, keep_seconds=0), ISSUER)
    alice, bob = known(directory).account, known(directory, "bob").account
    records = cutter.count(lambda: directory.set_password(bob, NEW))
    cutter.drop_answer_to(records - 1)
    with capture_logs() as logs:
        directory.set_password(alice, NEW)
    assert "directory_write_settled" in [entry["event"] for entry in logs]
    assert NEW not in str(logs)
    assert directory.verify_password(alice, NEW) is PasswordState.USABLE


def test_a_reset_that_never_arrived_is_unknown(ds389: Ds389, cutter: RecordCutter) -> None:
    address = f"ldaps://localhost:{cutter.port}"
    directory = Ds389Directory(ds389.settings(servers=(address,), seconds=4, keep_seconds=0), ISSUER)
    alice, bob = known(directory).account, known(directory, "bob").account
    records = cutter.count(lambda: directory.set_password(bob, NEW))
    cutter.swallow(records - 1)
    with pytest.raises(OutcomeUnknown):
        directory.set_password(alice, NEW)
    assert directory.verify_password(alice, "Alice-Passw0rd") is PasswordState.USABLE


# Ids and controls


def test_both_kinds_of_id_find_the_same_person(ds389: Ds389) -> None:
    by_uuid = Ds389Directory(ds389.settings(id_attribute="entryUUID"), ISSUER)
    alice = known(by_uuid)
    assert by_uuid.get(alice.subject) == alice
    by_unique_id = Ds389Directory(ds389.settings(), ISSUER)
    assert by_unique_id.get(alice.subject) is None
    assert by_unique_id.get(Subject(ISSUER, "*-*-*-*")) is None


def test_an_id_that_cannot_be_read_is_the_operators_mistake_and_never_an_empty_one(ds389: Ds389) -> None:
    for attribute in ("telephoneNumber", "userPassword", "uid"):
        with pytest.raises(IdpMisconfigured):
            Ds389Directory(ds389.settings(id_attribute=attribute), ISSUER).find("alice")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("800100", False),
        ("a1840000000e8001ff8101008201008403015180", True),
        ("a1840000000c8001008101008201ff830100", False),
        ("a100", None),
    ],
)
def test_what_a_live_server_said_of_locks_is_read(value: str, says: bool | None) -> None:
    assert says_locked(bytes.fromhex(value)) is says


@pytest.mark.parametrize("value", ["", "80", "a105", "8201ff", "800100800100", "a1038001"])
def test_bytes_of_another_shape_are_refused(value: str) -> None:
    with pytest.raises(Malformed):
        says_locked(bytes.fromhex(value))
