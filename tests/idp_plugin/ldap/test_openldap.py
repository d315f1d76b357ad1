"""What only a real slapd does: rights, several policies, nested groups, and answers that get lost."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from idp_plugin.base import PasswordState, Subject
from idp_plugin.demo.directory import DemoDirectory
from idp_plugin.demo.directory_entry import DirectoryEntry
from idp_plugin.demo.directory_server import DirectoryServer
from idp_plugin.demo.pki import make_certificates
from idp_plugin.demo.servers import directory_settings, fill
from idp_plugin.errors import (
    IdpMisconfigured,
    IdpUnavailable,
    NotPermitted,
    OutcomeUnknown,
    PasswordRefused,
    RefusalReason,
)
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.settings import DirectorySettings
from tests.idp_plugin.ldap.record_cutter import RecordCutter
from tests.servers.slapd import GROUPS, LONG_AGO, PEOPLE, POLICY_DN, SERVICE_DN, SUFFIX, Slapd, SlapdPerson

ISSUER = "https://sso.example.org"
NEW = "Quite-New-Passw0rd"
STRICT_POLICY = f"cn=strict,ou=policies,{SUFFIX}"


@pytest.fixture
def openldap(slapd: Slapd) -> OpenLdap:
    return OpenLdap(slapd.settings(), ISSUER)


def account(directory: OpenLdap, username: str) -> Subject:
    identity = directory.find(username)
    assert identity
    return identity.account


# Rights and mistakes of the operator


def test_a_wrong_service_password_is_the_operators_mistake(slapd: Slapd) -> None:
    directory = OpenLdap(slapd.settings(bind_password=SecretStr("wrong")), ISSUER)
    with pytest.raises(IdpMisconfigured) as error:
        directory.find("alice")
    assert "wrong" not in str(error.value)


def test_a_missing_base_is_the_operators_mistake(slapd: Slapd) -> None:
    with pytest.raises(IdpMisconfigured):
        OpenLdap(slapd.settings(base=f"ou=nowhere,{SUFFIX}"), ISSUER).find("alice")


def test_an_account_that_may_not_write_is_told_so(slapd: Slapd) -> None:
    slapd.add(
        f"cn=reader,ou=services,{SUFFIX}",
        ["applicationProcess", "simpleSecurityObject"],
        cn="reader",
        userPassword="reader-Secret-1",
    )
    reader = f"cn=reader,ou=services,{SUFFIX}"
    directory = OpenLdap(
        slapd.settings(bind_dn=reader, bind_password=SecretStr("reader-Secret-1"), base=SUFFIX), ISSUER
    )
    # slapd hides what may not be read: here everything.
    with pytest.raises(IdpMisconfigured):
        directory.find("alice")


def test_the_service_account_is_privileged_and_never_written_to(slapd: Slapd) -> None:
    directory = OpenLdap(slapd.settings(base=SUFFIX, name_attributes=("cn",), protected_groups=()), ISSUER)
    service = directory.find("svc-reset")
    assert service
    assert service.privileged
    with pytest.raises(NotPermitted):
        directory.set_password(service.account, NEW)


def test_a_directory_that_is_down_is_unavailable(slapd: Slapd, openldap: OpenLdap) -> None:
    slapd.stop()
    with pytest.raises(IdpUnavailable):
        openldap.find("alice")


# Protected groups


def test_a_protected_group_that_cannot_be_read_makes_everybody_privileged(slapd: Slapd) -> None:
    slapd.add(f"cn=unreadable,{GROUPS}", ["groupOfNames"], cn="unreadable", member=f"uid=erin,{PEOPLE}")
    for group in (f"cn=unreadable,{GROUPS}", f"cn=not-there,{GROUPS}"):
        directory = OpenLdap(slapd.settings(protected_groups=(group,)), ISSUER)
        alice = directory.find("alice")
        assert alice
        assert alice.privileged
        with pytest.raises(NotPermitted):
            directory.set_password(alice.account, NEW)


def test_power_that_an_operator_opened_is_written_to_and_any_other_is_not(slapd: Slapd) -> None:
    groups = tuple(f"cn={name},{GROUPS}" for name in ("administrators", "helpdesk"))
    settings = slapd.settings(protected_groups=groups, opened_groups=(groups[1],))
    directory = OpenLdap(settings, ISSUER)
    frank, erin = directory.find("frank"), directory.find("erin")
    assert frank
    assert (frank.privileged, frank.opened) == (True, True)
    directory.set_password(frank.account, NEW)
    assert slapd.accepts("frank", NEW)
    assert erin
    assert (erin.privileged, erin.opened) == (True, False)
    with pytest.raises(NotPermitted):
        directory.set_password(erin.account, NEW)


def test_nothing_is_opened_by_a_group_that_cannot_be_read(slapd: Slapd) -> None:
    opened, closed = f"cn=not-there,{GROUPS}", f"cn=administrators,{GROUPS}"
    settings = slapd.settings(protected_groups=(opened, closed), opened_groups=(opened,))
    directory = OpenLdap(settings, ISSUER)
    alice = directory.find("alice")
    assert alice
    assert (alice.privileged, alice.opened) == (True, False)
    with pytest.raises(NotPermitted):
        directory.set_password(alice.account, NEW)


def test_an_opened_group_within_a_closed_one_opens_nothing(slapd: Slapd) -> None:
    opened, closed = f"cn=helpdesk,{GROUPS}", f"cn=above,{GROUPS}"
    slapd.add(closed, ["groupOfNames"], cn="above", member=opened)
    settings = slapd.settings(protected_groups=(opened, closed), opened_groups=(opened.upper(),))
    frank = OpenLdap(settings, ISSUER).find("frank")
    assert frank
    assert (frank.privileged, frank.opened) == (True, False)


def test_membership_counts_where_the_server_keeps_no_member_of(tmp_path: Path, slapd: Slapd) -> None:
    slapd.stop()
    group = f"cn=quiet,{GROUPS}"
    # Loaded offline, so that nobody's memberOf names it.
    ldif = f"dn: {group}\nobjectClass: groupOfNames\ncn: quiet\nmember: uid=alice,{PEOPLE}\n"
    with Slapd(tmp_path / "quiet", more_ldif=ldif) as server:
        directory = OpenLdap(server.settings(protected_groups=(group,)), ISSUER)
        alice, bob = directory.find("alice"), directory.find("bob")
    assert alice
    assert alice.privileged
    assert bob
    assert not bob.privileged


def test_a_protected_groups_dn_may_be_spelt_in_any_way(slapd: Slapd) -> None:
    spelt = f"CN = Administrators , OU=Groups,{SUFFIX.upper()}"
    erin = OpenLdap(slapd.settings(protected_groups=(spelt,)), ISSUER).find("erin")
    assert erin
    assert erin.privileged


def test_posix_groups_protect_by_name(slapd: Slapd) -> None:
    slapd.add(f"cn=wheel,{GROUPS}", ["posixGroup"], cn="wheel", gidNumber="10", memberUid=["bob"])
    directory = OpenLdap(slapd.settings(protected_groups=(f"cn=wheel,{GROUPS}",)), ISSUER)
    bob, alice = directory.find("bob"), directory.find("alice")
    assert bob
    assert bob.privileged
    assert alice
    assert not alice.privileged


def test_groups_in_a_circle_end(slapd: Slapd, openldap: OpenLdap) -> None:
    slapd.change(f"cn=staff,{GROUPS}", member=[f"cn=helpdesk,{GROUPS}", f"uid=alice,{PEOPLE}"])
    slapd.change(f"cn=helpdesk,{GROUPS}", member=[f"cn=staff,{GROUPS}"])
    alice = openldap.find("alice")
    assert alice
    assert alice.groups == {"staff", "helpdesk"}
    assert not alice.privileged


def test_a_longer_chain_of_groups_is_followed(slapd: Slapd, openldap: OpenLdap) -> None:
    inner = f"uid=alice,{PEOPLE}"
    for number in range(5):
        slapd.add(f"cn=level{number},{GROUPS}", ["groupOfNames"], cn=f"level{number}", member=inner)
        inner = f"cn=level{number},{GROUPS}"
    slapd.change(f"cn=administrators,{GROUPS}", member=[inner, f"uid=erin,{PEOPLE}"])
    alice = openldap.find("alice")
    assert alice
    assert alice.privileged


# Password policies


def add_policy(slapd: Slapd, **rules: str) -> None:
    slapd.add(
        STRICT_POLICY, ["applicationProcess", "pwdPolicy"], cn="strict", pwdAttribute="userPassword", **rules
    )
    slapd.change(f"uid=alice,{PEOPLE}", pwdPolicySubentry=STRICT_POLICY)


def test_a_persons_own_policy_holds(slapd: Slapd) -> None:
    add_policy(slapd, pwdMinLength="20", pwdInHistory="5", pwdCheckQuality="2")
    directory = OpenLdap(slapd.settings(default_policy=POLICY_DN), ISSUER)
    assert directory.capabilities(account(directory, "alice")).minimum_length == 20
    assert directory.capabilities(account(directory, "bob")).minimum_length == 8
    with pytest.raises(PasswordRefused) as refused:
        directory.set_password(account(directory, "alice"), NEW)
    assert refused.value.reasons == (RefusalReason.TOO_SHORT,)


def test_with_two_policies_and_no_default_named_nothing_is_promised(slapd: Slapd) -> None:
    add_policy(slapd, pwdMinLength="20")
    directory = OpenLdap(slapd.settings(), ISSUER)
    bob = directory.find("bob")
    assert bob
    assert bob.password_state is PasswordState.UNKNOWN
    assert directory.capabilities(bob.account).minimum_length is None


def test_people_who_may_not_change_their_password_are_told_so(slapd: Slapd) -> None:
    add_policy(slapd, pwdAllowUserChange="FALSE")
    directory = OpenLdap(slapd.settings(default_policy=POLICY_DN), ISSUER)
    with pytest.raises(PasswordRefused) as refused:
        directory.change_password(account(directory, "alice"), "Alice-Passw0rd", NEW)
    assert refused.value.reasons == (RefusalReason.CHANGE_NOT_ALLOWED,)


def test_safe_modify_allows_a_change_and_no_reset(slapd: Slapd) -> None:
    add_policy(slapd, pwdSafeModify="TRUE")
    directory = OpenLdap(slapd.settings(default_policy=POLICY_DN), ISSUER)
    with pytest.raises(NotPermitted):
        directory.set_password(account(directory, "alice"), NEW)
    directory.change_password(account(directory, "alice"), "Alice-Passw0rd", NEW)
    assert slapd.accepts("alice", NEW)


def test_a_prehashed_looking_password_is_too_simple(openldap: OpenLdap) -> None:
    with pytest.raises(PasswordRefused) as refused:
        openldap.set_password(account(openldap, "alice"), "{SSHA}c29tZXRoaW5nLWVsc2UtZW50aXJlbHk=")
    assert refused.value.reasons == (RefusalReason.TOO_SIMPLE,)


def test_a_new_password_is_stored_hashed(slapd: Slapd, openldap: OpenLdap) -> None:
    openldap.set_password(account(openldap, "alice"), NEW)
    assert slapd.read(f"uid=alice,{PEOPLE}")["userPassword"][0].startswith("{ARGON2}")


def test_a_lock_without_a_duration_stays(slapd: Slapd) -> None:
    add_policy(slapd, pwdLockout="TRUE", pwdLockoutDuration="0")
    slapd.change(f"uid=alice,{PEOPLE}", pwdAccountLockedTime=LONG_AGO)
    alice = OpenLdap(slapd.settings(default_policy=POLICY_DN), ISSUER).find("alice")
    assert alice
    assert alice.locked
    assert alice.enabled


# Many people


def test_everyone_comes_page_by_page(tmp_path: Path, slapd: Slapd) -> None:
    slapd.stop()
    crowd = [SlapdPerson(f"person{number:04}", "{SSHA}unusable", groups=()) for number in range(1203)]
    crowd.append(SlapdPerson("erin", "Erin-Passw0rd", groups=("administrators",)))
    with Slapd(tmp_path / "crowd", crowd) as server:
        found = [person.username for person in OpenLdap(server.settings(), ISSUER).everyone()]
    assert len(found) == len(set(found)) == 1204


def test_a_server_that_limits_long_searches_never_makes_a_part_look_whole(
    tmp_path: Path, slapd: Slapd
) -> None:
    slapd.stop()
    with Slapd(tmp_path / "limited", largest_search="5") as server, pytest.raises(IdpMisconfigured):
        list(OpenLdap(server.settings(), ISSUER).everyone())


def test_a_servers_low_limit_never_makes_two_matches_look_like_one(tmp_path: Path, slapd: Slapd) -> None:
    slapd.stop()
    with Slapd(tmp_path / "limited", largest_search="1") as server:
        server.change(f"uid=bob,{PEOPLE}", mail="alice@example.org")
        directory = OpenLdap(server.settings(), ISSUER)
        assert directory.find("carol")
        with pytest.raises(IdpMisconfigured):
            directory.find("alice@example.org")


def test_stopping_in_the_middle_of_everyone_leaves_nothing_open(openldap: OpenLdap) -> None:
    before = _open_files()
    everyone = iter(openldap.everyone())
    next(everyone)
    assert _open_files() > before
    everyone.close()  # type: ignore[attr-defined]
    assert _open_files() == before


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# Lost answers


def through(cutter: RecordCutter, slapd: Slapd) -> DirectorySettings:
    # A connection for every operation, so that its records can be counted.
    return slapd.settings(servers=(f"ldaps://127.0.0.1:{cutter.port}",), seconds=2, keep_seconds=0)


def test_a_reset_whose_answer_is_lost_is_settled_by_reading_back(slapd: Slapd) -> None:
    slapd.change(f"uid=alice,{PEOPLE}", pwdChangedTime=LONG_AGO)
    with RecordCutter(slapd.tls_port) as cutter:
        directory = OpenLdap(through(cutter, slapd), ISSUER)
        alice, bob = account(directory, "alice"), account(directory, "bob")
        records = cutter.count(lambda: directory.set_password(bob, NEW))
        # The last record says goodbye; the one before it carries the write.
        cutter.drop_answer_to(records - 1)
        with capture_logs() as logs:
            directory.set_password(alice, NEW)
    assert "directory_write_settled" in [entry["event"] for entry in logs]
    assert slapd.accepts("alice", NEW)


def test_a_reset_that_never_arrived_is_unknown(slapd: Slapd) -> None:
    with RecordCutter(slapd.tls_port) as cutter:
        directory = OpenLdap(through(cutter, slapd), ISSUER)
        alice, bob = account(directory, "alice"), account(directory, "bob")
        records = cutter.count(lambda: directory.set_password(bob, NEW))
        cutter.swallow(records - 1)
        with pytest.raises(OutcomeUnknown):
            directory.set_password(alice, NEW)
    assert slapd.accepts("alice", "Alice-Passw0rd")


class Forgetful(DemoDirectory):
    """Breaks the connection around a password write."""

    before: Callable[[], None]
    after: Callable[[], None]

    def set_password(self, asker: DirectoryEntry | None, dn: str, new: bytes, old: bytes | None) -> None:
        self.before()
        super().set_password(asker, dn, new, old)
        self.after()


def nothing() -> None:
    """Do nothing."""


def hang_up() -> None:
    raise ConnectionAbortedError


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[tuple[Forgetful, OpenLdap]]:
    served = Forgetful()
    served.before = served.after = nothing
    names = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
    fill(served, dict.fromkeys(names, "Alice-Passw0rd"), "svc-Secret-1")
    credential = served.entry(f"uid=alice,{PEOPLE}").credential
    assert credential
    credential.changed -= dt.timedelta(days=1)
    certificates = make_certificates(tmp_path)
    with DirectoryServer(served, certificates, ("127.0.0.1", 0)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        settings = directory_settings(server, certificates, "svc-Secret-1")
        yield served, OpenLdap(settings.model_copy(update={"seconds": 1.0}), ISSUER)
        server.shutdown()


def test_a_change_whose_answer_is_lost_is_settled_too(forgetful: tuple[Forgetful, OpenLdap]) -> None:
    served, directory = forgetful
    served.after = hang_up
    alice = account(directory, "alice")
    directory.change_password(alice, "Alice-Passw0rd", NEW)
    assert directory.verify_password(alice, NEW) is PasswordState.USABLE


def test_a_lost_answer_is_unknown_when_somebody_else_wrote(forgetful: tuple[Forgetful, OpenLdap]) -> None:
    served, directory = forgetful
    alice = account(directory, "alice")

    def somebody_else() -> None:
        served.before = nothing
        served.set_password(served.entry(SERVICE_DN), f"uid=alice,{PEOPLE}", b"Somebody-Elses-1", None)
        hang_up()

    served.before = somebody_else
    with pytest.raises(OutcomeUnknown):
        directory.set_password(alice, NEW)
    assert directory.verify_password(alice, "Somebody-Elses-1") is PasswordState.USABLE


def test_a_write_that_was_not_applied_is_unknown_and_not_repeated(
    forgetful: tuple[Forgetful, OpenLdap],
) -> None:
    served, directory = forgetful
    asked = []

    def count_and_hang_up() -> None:
        asked.append(1)
        hang_up()

    served.before = count_and_hang_up
    with pytest.raises(OutcomeUnknown):
        directory.set_password(account(directory, "alice"), NEW)
    assert len(asked) == 1
    credential = served.entry(f"uid=alice,{PEOPLE}").credential
    assert credential
    # Finding out did not cost one of the person's tries.
    assert credential.failures == []


def test_no_password_is_in_a_log_or_an_error(forgetful: tuple[Forgetful, OpenLdap]) -> None:
    served, directory = forgetful
    served.before = hang_up
    with capture_logs() as logs, pytest.raises(OutcomeUnknown) as lost:
        directory.set_password(account(directory, "alice"), NEW)
    for text in (str(logs), str(lost.value), repr(lost.value), repr(directory)):
        assert NEW not in text
        assert "svc-Secret-1" not in text


def test_a_server_that_dies_in_the_middle_of_everyone_says_so(slapd: Slapd) -> None:
    everyone = iter(OpenLdap(slapd.settings(seconds=1), ISSUER).everyone())
    next(everyone)
    slapd.stop()
    with pytest.raises(IdpUnavailable):
        list(everyone)


def test_many_threads_share_one_directory(slapd: Slapd, openldap: OpenLdap) -> None:
    names = [name for name in slapd.people if name != "erin"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: openldap.set_password(account(openldap, name), f"{NEW}-{name}"), names))
        assert all(pool.map(lambda name: slapd.accepts(name, f"{NEW}-{name}"), names))
