"""What every directory and every writer of passwords has to do, on a real slapd and on the demo's."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from idp_plugin.base import Identity, PasswordState, Subject
from idp_plugin.errors import NotPermitted, PasswordRefused, RefusalReason, WrongPassword
from tests.contracts.arranged_agents import by_agent
from tests.contracts.arranged_directories import (
    ISSUER,
    NAMES,
    NEW,
    NOBODY,
    Arrangement,
    Demo,
    Ds389,
    Samba,
    Slapd,
)
from tests.contracts.arranged_keycloak import Federated, Local, make_ready
from tests.servers.keycloak import MakeRealm, Realm

DIRECTORIES = ("slapd", "ds389", "samba", "demo")
KEYCLOAK, FEDERATED = "keycloak local", "keycloak federated"
SERVED: Mapping[str, tuple[str, Callable[[Any], Arrangement]]] = {
    "slapd": ("slapd", Slapd),
    "ds389": ("ds389", Ds389),
    "samba": ("samba_domain", Samba),
    KEYCLOAK: ("local_realm", Local),
}
"""Rows with a server that a fixture starts."""
BY_AGENT = "by agent"
everywhere = pytest.mark.parametrize("arranged", [*DIRECTORIES, KEYCLOAK, FEDERATED], indirect=True)
"""What holds for Keycloak too. It takes no old password, knows no minimum age, and names groups by paths."""
through_agents_too = pytest.mark.parametrize(
    "arranged",
    [*DIRECTORIES, KEYCLOAK, FEDERATED, *(f"{name} {BY_AGENT}" for name in ("slapd", "ds389", "samba"))],
    indirect=True,
)
"""What is asked once more through an agent: one test of each kind of answer that has to find its way back."""


@pytest.fixture(params=DIRECTORIES)
def arranged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Arrangement]:
    name, agent, _ = request.param.partition(f" {BY_AGENT}")
    if name in SERVED:
        fixture, arrangement = SERVED[name]
        served = arrangement(request.getfixturevalue(fixture))
        if not agent:
            yield served
            return
        with by_agent(tmp_path, request.getfixturevalue("valkey"), served) as asked:
            yield asked
        return
    if request.param == FEDERATED:
        federated = Federated(request.getfixturevalue("federating_realm"), request.getfixturevalue("slapd"))
        yield federated
        federated.stop()
        return
    demo = Demo(tmp_path)
    for name in NAMES:
        demo.age(name, 0)
    yield demo
    demo.stop()


@pytest.fixture(scope="module")
def local_realm(keycloak_realm: MakeRealm) -> Realm:
    return make_ready(keycloak_realm())


@pytest.fixture(scope="module")
def federating_realm(keycloak_realm: MakeRealm) -> Realm:
    return make_ready(keycloak_realm())


@pytest.fixture
def known(arranged: Arrangement) -> Callable[[str], Identity]:
    def find(username: str) -> Identity:
        identity = arranged.directory.find(username)
        assert identity is not None
        return identity

    return find


def opens(arranged: Arrangement, identity: Identity, password: str) -> bool:
    try:
        state = arranged.directory.verify_password(identity.account, password)
    except WrongPassword:
        return False
    return state is PasswordState.USABLE


# Finding


@everywhere
@pytest.mark.parametrize("typed", ["alice", "ALICE", "alice@example.org", "Alice@Example.Org"])
def test_a_person_is_found_by_name_or_address_in_any_case(arranged: Arrangement, typed: str) -> None:
    identity = arranged.directory.find(typed)
    assert identity is not None
    assert identity.username == "alice"


def test_an_identity_says_who_where_and_what(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    frank = known("frank")
    assert frank.subject == Subject(ISSUER, frank.account.id)
    assert frank.account.source == "corp"
    assert frank.emails == ("frank@example.org",)
    assert frank.groups == {"staff", "helpdesk"} | arranged.of_everybody
    assert frank.enabled
    assert not frank.locked
    assert not frank.privileged
    assert frank.password_state is PasswordState.USABLE
    assert frank.may_change_password_after is None


@everywhere
def test_what_is_nobodys_name_finds_nobody(arranged: Arrangement) -> None:
    assert [typed for typed in NOBODY if arranged.directory.find(typed)] == []


def test_two_matches_are_nobody_and_raise_an_alarm(arranged: Arrangement) -> None:
    arranged.share_mail("bob", "alice")
    with capture_logs() as logs:
        assert arranged.directory.find("alice@example.org") is None
    assert [entry["event"] for entry in logs] == ["directory_identifier_ambiguous"]
    assert "alice" not in str(logs)


@through_agents_too
def test_a_subject_finds_the_same_person_again(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    alice = known("alice")
    assert arranged.directory.get(alice.subject) == alice


@everywhere
def test_a_re_created_name_inherits_nothing(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    before = known("alice")
    arranged.recreate("alice")
    assert known("alice").subject != before.subject
    assert arranged.directory.get(before.subject) is None
    with pytest.raises(NotPermitted):
        arranged.directory.set_password(before.account, "Another-Passw0rd")


@pytest.mark.parametrize("id_", ["*", "", "alice", "not-a-uuid)(uid=alice"])
def test_a_subject_that_is_no_id_finds_nobody(arranged: Arrangement, id_: str) -> None:
    assert arranged.directory.get(Subject(ISSUER, id_)) is None


@everywhere
def test_a_subject_of_another_issuer_finds_nobody(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    assert arranged.directory.get(Subject("https://elsewhere", known("alice").subject.id)) is None


def test_everyone_is_everyone(arranged: Arrangement) -> None:
    assert {person.username for person in arranged.directory.everyone()} == set(NAMES)


def test_everyone_of_a_group_is_its_members(arranged: Arrangement) -> None:
    assert {person.username for person in arranged.directory.everyone(["helpdesk"])} == {"frank"}


# Locks, ages and power


def test_wrong_passwords_lock(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    alice = known("alice")
    for _ in range(5):
        assert not opens(arranged, alice, "wrong")
    assert known("alice").locked
    assert known("alice").enabled
    assert not opens(arranged, alice, arranged.passwords["alice"])


def test_a_lock_ends_by_itself(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    arranged.lock("alice", dt.datetime.now(dt.UTC) - dt.timedelta(days=2))
    assert not known("alice").locked
    assert opens(arranged, known("alice"), arranged.passwords["alice"])


@everywhere
def test_a_permanent_lock_is_a_closed_account(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    arranged.close("alice")
    assert not known("alice").enabled


def test_an_old_password_is_expired(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    arranged.age("alice", 91)
    alice = known("alice")
    assert alice.password_state is PasswordState.EXPIRED
    assert (
        arranged.directory.verify_password(alice.account, arranged.passwords["alice"])
        is PasswordState.EXPIRED
    )


def test_the_wrong_password_of_an_expired_account_is_just_wrong(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    arranged.age("alice", 91)
    with pytest.raises(WrongPassword):
        arranged.directory.verify_password(known("alice").account, "wrong")


def test_a_password_set_by_an_administrator_must_be_changed(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    arranged.must_change("alice")
    alice = known("alice")
    assert alice.password_state is PasswordState.MUST_CHANGE
    assert (
        arranged.directory.verify_password(alice.account, arranged.passwords["alice"])
        is PasswordState.MUST_CHANGE
    )


def test_a_young_password_says_when_it_may_be_changed(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    arranged.minimum_age(dt.timedelta(hours=1))
    after = arranged.reader().find("alice")
    assert after is not None
    assert after.may_change_password_after is not None
    wait = after.may_change_password_after - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=55) < wait <= dt.timedelta(hours=1)


@pytest.mark.parametrize("password", ["", "\0", "\ud800", "x" * 100_000])
def test_what_can_be_no_password_is_never_right(
    arranged: Arrangement, known: Callable[[str], Identity], password: str
) -> None:
    with pytest.raises(WrongPassword):
        arranged.directory.verify_password(known("alice").account, password)


@through_agents_too
def test_members_of_protected_groups_are_privileged(known: Callable[[str], Identity]) -> None:
    assert known("erin").privileged


def test_members_of_groups_within_protected_groups_are_privileged(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    arranged.nest("helpdesk", arranged.protected)
    frank = known("frank")
    assert frank.privileged
    assert frank.groups == {"staff", "helpdesk", arranged.protected} | arranged.of_everybody


# Setting


@everywhere
def test_a_reset_replaces_the_password(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    alice = known("alice")
    arranged.directory.set_password(alice.account, NEW)
    assert opens(arranged, alice, NEW)
    assert not opens(arranged, alice, arranged.passwords["alice"])


@everywhere
@pytest.mark.parametrize(
    "new", ["Пароль-мой-новый", "pässwörd-ßüñ", "with spaces and \\ * ( )", "日本語のパスワード八"]
)
def test_a_reset_takes_any_text(arranged: Arrangement, known: Callable[[str], Identity], new: str) -> None:
    arranged.directory.set_password(known("alice").account, new)
    assert opens(arranged, known("alice"), new)


@through_agents_too
def test_a_reset_unlocks(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    arranged.lock("carol", dt.datetime.now(dt.UTC))
    assert known("carol").locked
    arranged.directory.set_password(known("carol").account, NEW)
    assert not known("carol").locked
    assert opens(arranged, known("carol"), NEW)


@everywhere
def test_a_reset_ends_expiry_and_the_order_to_change(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    arranged.age("dave", 400)
    arranged.must_change("dave")
    arranged.directory.set_password(known("dave").account, NEW)
    assert known("dave").password_state is PasswordState.USABLE
    assert opens(arranged, known("dave"), NEW)


@through_agents_too
@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ("short", RefusalReason.TOO_SHORT),
        ("", RefusalReason.TOO_SHORT),
        ("nul\0inside-it", RefusalReason.OTHER),
    ],
)
def test_a_reset_to_a_bad_password_is_refused_with_the_reason(
    arranged: Arrangement, known: Callable[[str], Identity], new: str, reason: RefusalReason
) -> None:
    with pytest.raises(PasswordRefused) as refused:
        arranged.directory.set_password(known("alice").account, new)
    assert refused.value.reasons == (reason,)
    assert opens(arranged, known("alice"), arranged.passwords["alice"])


@through_agents_too
def test_a_reset_to_an_earlier_password_is_refused_exactly_where_that_is_promised(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    alice = known("alice")
    arranged.directory.set_password(alice.account, NEW)
    is_checked = arranged.directory.capabilities(alice.account).checks_history_on_reset
    assert is_checked is arranged.checks_history
    for earlier in (arranged.passwords["alice"], NEW):
        if not is_checked:
            arranged.directory.set_password(alice.account, earlier)
            continue
        with pytest.raises(PasswordRefused) as refused:
            arranged.directory.set_password(alice.account, earlier)
        assert refused.value.reasons == (RefusalReason.IN_HISTORY,)


@through_agents_too
def test_privileged_people_are_never_written_to(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    with pytest.raises(NotPermitted):
        arranged.directory.set_password(known("erin").account, NEW)
    assert opens(arranged, known("erin"), arranged.passwords["erin"])


@everywhere
def test_somebody_who_became_privileged_meanwhile_is_not_written_to(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    account = known("alice").account
    arranged.put_in_group("alice", arranged.protected)
    with pytest.raises(NotPermitted):
        arranged.directory.set_password(account, NEW)
    assert opens(arranged, known("alice"), arranged.passwords["alice"])


@everywhere
def test_a_closed_account_is_not_opened_by_a_reset(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    account = known("alice").account
    arranged.close("alice")
    with pytest.raises(NotPermitted):
        arranged.directory.set_password(account, NEW)
    assert not known("alice").enabled


@everywhere
def test_an_account_of_another_directory_is_not_written_to(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    with pytest.raises(NotPermitted):
        arranged.directory.set_password(Subject("elsewhere", known("alice").account.id), NEW)


# Changing


@pytest.mark.parametrize("arranged", [*DIRECTORIES, f"ds389 {BY_AGENT}", f"samba {BY_AGENT}"], indirect=True)
def test_a_change_needs_the_old_password(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    alice = known("alice")
    with pytest.raises(WrongPassword):
        arranged.directory.change_password(alice.account, "wrong", NEW)
    arranged.directory.change_password(alice.account, arranged.passwords["alice"], NEW)
    assert opens(arranged, alice, NEW)


def test_wrong_old_passwords_count_towards_the_lock(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    for _ in range(5):
        with pytest.raises(WrongPassword):
            arranged.directory.change_password(known("alice").account, "wrong", NEW)
    assert known("alice").locked


def test_an_expired_password_can_be_changed(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    arranged.age("dave", 400)
    dave = known("dave")
    with pytest.raises(WrongPassword):
        arranged.directory.change_password(dave.account, "wrong", NEW)
    arranged.directory.change_password(dave.account, arranged.passwords["dave"], NEW)
    assert opens(arranged, dave, NEW)


def test_a_password_that_must_be_changed_can_be(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    arranged.must_change("dave")
    arranged.directory.change_password(known("dave").account, arranged.passwords["dave"], NEW)
    assert opens(arranged, known("dave"), NEW)


def test_a_change_back_is_refused(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    alice, first = known("alice"), arranged.passwords["alice"]
    arranged.directory.change_password(alice.account, first, NEW)
    with pytest.raises(PasswordRefused) as refused:
        arranged.directory.change_password(alice.account, NEW, first)
    assert refused.value.reasons == (RefusalReason.IN_HISTORY,)


def test_a_young_password_can_neither_be_changed_nor_reset(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    arranged.minimum_age(dt.timedelta(hours=1))
    alice, first = known("alice"), arranged.passwords["alice"]
    writes: tuple[Callable[[], object], ...] = (
        lambda: arranged.directory.change_password(alice.account, first, NEW),
        lambda: arranged.directory.set_password(alice.account, NEW),
    )
    for write in writes:
        with pytest.raises(PasswordRefused) as refused:
            write()
        assert refused.value.reasons == (RefusalReason.TOO_YOUNG,)
    assert opens(arranged, alice, first)


def test_a_young_password_that_must_be_changed_can_be_reset_where_the_server_lets_it(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    arranged.minimum_age(dt.timedelta(hours=1))
    arranged.must_change("alice")
    alice = known("alice")
    assert (alice.may_change_password_after is None) is arranged.age_yields
    if arranged.age_yields:
        arranged.directory.set_password(alice.account, NEW)
        assert opens(arranged, known("alice"), NEW)
        return
    with pytest.raises(PasswordRefused) as refused:
        arranged.directory.set_password(alice.account, NEW)
    assert refused.value.reasons == (RefusalReason.TOO_YOUNG,)


def test_a_locked_account_cannot_change(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    arranged.lock("carol", dt.datetime.now(dt.UTC))
    with pytest.raises(WrongPassword):
        arranged.directory.change_password(known("carol").account, arranged.passwords["carol"], NEW)


# Unlocking


@through_agents_too
def test_an_unlock_leaves_the_password(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    arranged.lock("carol", dt.datetime.now(dt.UTC))
    assert arranged.directory.unlock(known("carol").account) is True
    assert not known("carol").locked
    assert opens(arranged, known("carol"), arranged.passwords["carol"])


def test_an_unlock_forgets_the_wrong_passwords_too(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    for _ in range(6):
        assert not opens(arranged, known("carol"), "a wrong guess")
    assert known("carol").locked
    arranged.directory.unlock(known("carol").account)
    assert not opens(arranged, known("carol"), "a wrong guess")
    assert opens(arranged, known("carol"), arranged.passwords["carol"])


@everywhere
def test_an_unlock_of_what_is_not_locked_is_fine(
    arranged: Arrangement, known: Callable[[str], Identity]
) -> None:
    assert arranged.directory.unlock(known("alice").account) is False
    assert opens(arranged, known("alice"), arranged.passwords["alice"])


@everywhere
@pytest.mark.parametrize("username", ["alice", "erin"])
def test_an_unlock_stops_at_closed_and_privileged_accounts(
    arranged: Arrangement, known: Callable[[str], Identity], username: str
) -> None:
    arranged.close(username)
    with pytest.raises(NotPermitted):
        arranged.directory.unlock(known(username).account)
    assert not known(username).enabled


@through_agents_too
def test_the_promises_come_from_the_policy(arranged: Arrangement, known: Callable[[str], Identity]) -> None:
    promised = arranged.directory.capabilities(known("alice").account)
    assert promised.minimum_length == 8
    assert promised.history_length == 3
    assert promised.unlocks_on_reset
