"""The reset against a real OpenLDAP server."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from flows.authenticators.email_address import lookups
from flows.errors import NotPossible, OutcomeIsUnknown, Unavailable, WeakPassword
from flows.recovery.attempt import Stage
from idp_plugin.base import Identity, Subject
from idp_plugin.ldap.openldap import OpenLdap
from tests.flows.world import ISSUER, MemoryDirectory, World, code_in, private
from tests.servers.slapd import Slapd

NEW = "Correct-Horse-Battery-9"


class Mixed(MemoryDirectory):
    """People and passwords in slapd, sessions in memory."""

    def __init__(self, ldap: OpenLdap) -> None:
        super().__init__()
        self._ldap = ldap

    def find(self, identifier: str) -> Identity | None:
        return self._ldap.find(identifier)

    def get(self, subject: Subject) -> Identity | None:
        return self._ldap.get(subject)

    def capabilities(self, account: Subject) -> Any:
        return self._ldap.capabilities(account)

    def set_password(self, account: Subject, new: str) -> Any:
        return self._ldap.set_password(account, new)

    def change_password(self, account: Subject, old: str, new: str) -> Any:
        return self._ldap.change_password(account, old, new)

    def unlock(self, account: Subject) -> bool:
        return self._ldap.unlock(account)


@pytest.fixture
def world(make_world, slapd: Slapd, tmp_path: Path) -> World:
    world = make_world(directory=Mixed(OpenLdap(slapd.settings(seconds=2), ISSUER)))
    world.clock.now = dt.datetime.now(dt.UTC)
    return world


def register(world: World, username: str) -> None:
    identity = world.directory.find(username)
    address = private(username)
    with world.database.transaction() as transaction:
        person = transaction.people.ensure(identity.subject.source, identity.subject.id, now=world.now)
        transaction.authenticators.add(
            person.id,
            "email",
            address.encode(),
            now=world.now,
            trusted_from=world.now,
            provenance="self",
            lookup=lookups(world.vault, address)[0],
        )


def test_a_new_password_signs_in_and_the_old_one_does_not(world: World, slapd: Slapd) -> None:
    register(world, "bob")
    world.set_password(world.proved("bob"), NEW)
    assert slapd.accepts("bob", NEW)
    assert not slapd.accepts("bob", "Bob-Passw0rd")


def test_the_mail_address_is_a_name_too(world: World, slapd: Slapd) -> None:
    register(world, "bob")
    world.set_password(world.proved("BOB@example.org", "bob"), NEW)
    assert slapd.accepts("bob", NEW)


def test_a_locked_account_is_opened_by_its_reset(world: World, slapd: Slapd) -> None:
    register(world, "carol")
    for _ in range(6):
        slapd.accepts("carol", "a wrong guess")
    assert not slapd.accepts("carol", "Carol-Passw0rd")
    world.set_password(world.proved("carol"), NEW)
    assert slapd.accepts("carol", NEW)


def test_the_directorys_history_refuses_and_the_next_choice_is_written(world: World, slapd: Slapd) -> None:
    register(world, "bob")
    attempt = world.proved("bob")
    world.set_password(attempt, NEW)
    world.clock.forward(minutes=16)
    attempt = world.proved("bob")
    with pytest.raises(WeakPassword) as refused:
        world.set_password(attempt, NEW)
    assert [each.rule for each in refused.value.findings] == ["directory_in_history"]
    world.set_password(attempt, f"{NEW}-and-more")
    assert slapd.accepts("bob", f"{NEW}-and-more")


def test_the_findings_promise_what_the_directory_asks(world: World, slapd: Slapd) -> None:
    slapd.change("cn=default,ou=policies,dc=example,dc=org", pwdMinLength="14")
    register(world, "bob")
    attempt = world.proved("bob")
    rules = {each.rule: each for each in world.recovery.reset.findings(attempt, "thirteen-char")}
    assert rules["length_min"].parameters == {"count": 14}
    assert rules["directory_in_history"].holds is None


def test_an_administrator_gets_no_code(world: World) -> None:
    register(world, "erin")
    world.send(world.start("erin"))
    world.drain()
    assert world.outbox.messages == []


def test_who_became_an_administrator_meanwhile_is_not_written(world: World, slapd: Slapd) -> None:
    register(world, "bob")
    attempt = world.proved("bob")
    group = "cn=administrators,ou=groups,dc=example,dc=org"
    slapd.change(group, member=[slapd.people["erin"].dn, slapd.people["bob"].dn])
    with pytest.raises(NotPossible) as refused:
        world.set_password(attempt, NEW)
    assert refused.value.why == "privileged"
    assert slapd.accepts("bob", "Bob-Passw0rd")


def test_a_directory_that_is_down_changes_nothing_and_the_attempt_goes_on(world: World, slapd: Slapd) -> None:
    register(world, "bob")
    attempt = world.proved("bob")
    slapd.stop()
    with pytest.raises(Unavailable):
        world.set_password(attempt, NEW)
    slapd.restart()
    world.set_password(attempt, NEW)
    assert slapd.accepts("bob", NEW)


@pytest.mark.parametrize("identifier", ["*", "bob)(uid=*", "uid=bob", "bob\x00", "\\2a", "(objectClass=*)"])
def test_filter_characters_find_nobody(world: World, identifier: str) -> None:
    register(world, "bob")
    attempt = world.start(identifier)
    world.drain()
    assert world.read(attempt).is_decoy


def test_an_answer_that_never_comes_is_never_called_a_failure_to_write(world: World, slapd: Slapd) -> None:
    register(world, "bob")
    attempt = world.proved("bob")
    slapd.freeze()
    try:
        with pytest.raises((Unavailable, OutcomeIsUnknown)):
            world.set_password(attempt, NEW)
    finally:
        slapd.thaw()
    assert world.read(attempt).stage in {Stage.NEW_PASSWORD, Stage.OVER}


def test_the_code_went_to_the_private_address_only(world: World) -> None:
    register(world, "bob")
    world.send(world.start("bob"))
    world.drain()
    (message,) = world.outbox.messages
    assert message.to == private("bob")
    assert code_in(message)
