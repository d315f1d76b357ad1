"""One password for several directories, on real slapd servers."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp_plugin.base import PasswordState, Subject, TargetOutcome
from idp_plugin.errors import IdpUnavailable, NotPermitted, PasswordRefused, WrongPassword
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.targets import Target, Targets
from tests.servers.slapd import GROUPS, PEOPLE, POLICY_DN, Slapd

ISSUER = "https://sso.example.org"
NEW = "Quite-New-Passw0rd"
OLD = "Alice-Passw0rd"
W, R, F, S = TargetOutcome.WRITTEN, TargetOutcome.REFUSED, TargetOutcome.FAILED, TargetOutcome.SKIPPED


@pytest.fixture
def home(slapd: Slapd) -> Slapd:
    return slapd


@pytest.fixture
def other(tmp_path: Path, slapd: Slapd) -> Iterator[Slapd]:
    with Slapd(tmp_path / "other", certificates=slapd.certificates) as server:
        yield server


def targets(home: Slapd, other: Slapd, *, required: bool = True, other_first: bool = False) -> Targets:
    own = OpenLdap(home.settings(seconds=2), ISSUER)
    second = OpenLdap(other.settings(name="second", seconds=2), ISSUER)
    pair = [Target("corp", own), Target("second", second, required)]

    def username(account: Subject) -> str:
        person = own.get(Subject(ISSUER, account.id))
        if person is None:
            raise NotPermitted("missing")
        return person.username

    return Targets(pair[::-1] if other_first else pair, home="corp", username=username)


def account(home: Slapd, name: str = "alice") -> Subject:
    identity = OpenLdap(home.settings(), ISSUER).find(name)
    assert identity is not None
    return identity.account


def outcomes(results: object) -> list[TargetOutcome]:
    return [each.outcome for each in results]  # type: ignore[attr-defined]


def test_a_reset_arrives_everywhere_in_order(home: Slapd, other: Slapd) -> None:
    results = targets(home, other, other_first=True).set_password(account(home), NEW)
    assert [(each.target, each.outcome) for each in results] == [("second", W), ("corp", W)]
    assert home.accepts("alice", NEW)
    assert other.accepts("alice", NEW)


def test_what_is_required_and_dead_stops_it_before_anything_is_written(home: Slapd, other: Slapd) -> None:
    writer = targets(home, other)
    other.stop()
    with pytest.raises(IdpUnavailable):
        writer.set_password(account(home), NEW)
    assert home.accepts("alice", OLD)


def test_what_is_not_required_and_dead_is_told(home: Slapd, other: Slapd) -> None:
    writer = targets(home, other, required=False)
    other.stop()
    assert outcomes(writer.set_password(account(home), NEW)) == [W, F]
    assert home.accepts("alice", NEW)
    other.restart()
    assert other.accepts("alice", OLD)


def test_a_refusal_after_the_first_write_is_no_failure_of_the_whole(home: Slapd, other: Slapd) -> None:
    other.change(POLICY_DN, pwdMinLength="40")
    assert outcomes(targets(home, other).set_password(account(home), NEW)) == [W, R]
    assert home.accepts("alice", NEW)
    assert other.accepts("alice", OLD)


def test_a_refusal_of_the_first_changes_nothing(home: Slapd, other: Slapd) -> None:
    other.change(POLICY_DN, pwdMinLength="40")
    with pytest.raises(PasswordRefused):
        targets(home, other, other_first=True).set_password(account(home), NEW)
    assert home.accepts("alice", OLD)


def test_power_in_any_target_is_power(home: Slapd, other: Slapd) -> None:
    other.change(f"cn=administrators,{GROUPS}", member=[other.people["alice"].dn])
    for required in (True, False):
        with pytest.raises(NotPermitted, match="privileged"):
            targets(home, other, required=required).set_password(account(home), NEW)
    assert home.accepts("alice", OLD)


def test_somebody_whom_another_target_does_not_know(home: Slapd, other: Slapd) -> None:
    other.delete(other.people["alice"].dn)
    with pytest.raises(NotPermitted, match="missing"):
        targets(home, other).set_password(account(home), NEW)
    assert outcomes(targets(home, other, required=False).set_password(account(home), NEW)) == [W, S]


def test_a_name_that_only_looks_alike_is_another_person(home: Slapd, other: Slapd) -> None:
    # With a long s: OpenLDAP finds either name for the other.
    alike = "was\N{LATIN SMALL LETTER LONG S}er"
    for server, uid in ((home, alike), (other, "wasser")):
        server.add(f"uid={uid},{PEOPLE}", ["inetOrgPerson"], uid=uid, cn=uid, sn=uid, userPassword=OLD)
    with pytest.raises(NotPermitted, match="missing"):
        targets(home, other).set_password(account(home, alike), NEW)
    second = OpenLdap(other.settings(), ISSUER)
    second.verify_password(account(other, "wasser"), OLD)


def test_a_change_is_proved_at_home(home: Slapd, other: Slapd) -> None:
    writer = targets(home, other, other_first=True)
    with pytest.raises(WrongPassword):
        writer.change_password(account(home), "not hers", NEW)
    assert other.accepts("alice", OLD)
    assert outcomes(writer.change_password(account(home), OLD, NEW)) == [W, W]
    assert other.accepts("alice", NEW)


def test_a_wrong_old_password_sets_none_where_home_is_not_required(home: Slapd, other: Slapd) -> None:
    own = OpenLdap(home.settings(), ISSUER)
    second = OpenLdap(other.settings(name="second"), ISSUER)
    pair = [Target("corp", own, required=False), Target("second", second)]
    writer = Targets(pair, home="corp", username=lambda _: "alice")
    with pytest.raises(WrongPassword):
        writer.change_password(account(home), "not hers", NEW)
    assert other.accepts("alice", OLD)


def test_the_strictest_rules_are_promised(home: Slapd, other: Slapd) -> None:
    other.change(POLICY_DN, pwdMinLength="14")
    promised = targets(home, other).capabilities(account(home))
    assert promised.minimum_length == 14
    assert {rule.count for rule in promised.rules if rule.name == "length_min"} == {8, 14}


def test_locks_end_everywhere(home: Slapd, other: Slapd) -> None:
    other.change(other.people["alice"].dn, pwdAccountLockedTime=f"{dt.datetime.now(dt.UTC):%Y%m%d%H%M%SZ}")
    assert not other.accepts("alice", OLD)
    targets(home, other).unlock(account(home))
    assert other.accepts("alice", OLD)


def test_a_change_is_asked_for_everywhere(home: Slapd, other: Slapd) -> None:
    writer = targets(home, other, required=False)
    writer.set_password(account(home), NEW)
    writer.require_change(account(home))
    for server, name in ((home, "corp"), (other, "second")):
        directory = OpenLdap(server.settings(name=name), ISSUER)
        person = directory.find("alice")
        assert person
        assert directory.verify_password(person.account, NEW) is PasswordState.MUST_CHANGE


def test_where_one_place_cannot_ask_for_a_change_none_is_asked(home: Slapd, other: Slapd) -> None:
    class Unable(OpenLdap):
        require_change = None  # type: ignore[assignment]

    own = OpenLdap(home.settings(), ISSUER)
    second = Unable(other.settings(name="second"), ISSUER)
    writer = Targets([Target("corp", own), Target("second", second)], home="corp", username=lambda _: "alice")
    with pytest.raises(NotPermitted):
        writer.require_change(account(home))
    assert "pwdReset" not in home.read(f"uid=alice,{PEOPLE}")


def test_no_change_is_asked_for_while_a_place_does_not_answer(home: Slapd, other: Slapd) -> None:
    writer = targets(home, other, required=False)
    other.stop()
    with pytest.raises(IdpUnavailable):
        writer.require_change(account(home))
    assert "pwdReset" not in home.read(f"uid=alice,{PEOPLE}")
