"""The change of a password against a real OpenLDAP server."""

import datetime as dt
from typing import Any

import pytest

from flows.errors import NotPossible, TooManyAttempts, Unavailable, WeakPassword, WrongOldPassword
from flows.recovery.password_write import Finished
from idp_plugin.ldap.openldap import OpenLdap
from tests.flows.test_reset_slapd import Mixed, register
from tests.flows.world import ISSUER, World
from tests.servers.slapd import Slapd

NEW = "Correct-Horse-Battery-9"
OLD = "Bob-Passw0rd"


@pytest.fixture
def world(make_world, slapd: Slapd) -> World:
    world = make_world(directory=Mixed(OpenLdap(slapd.settings(seconds=2), ISSUER)))
    world.clock.now = dt.datetime.now(dt.UTC)
    register(world, "bob")
    return world


def change(world: World, attempt: Any, old: str = OLD, new: str = NEW) -> Finished:
    return world.recovery.change.change(attempt.id, old, new, browser="browser-a", now=world.now)


def expire(slapd: Slapd) -> None:
    slapd.change(slapd.people["bob"].dn, pwdChangedTime="20200101000000Z")


def test_an_expired_password_is_changed_by_itself_and_a_proof(world: World, slapd: Slapd) -> None:
    expire(slapd)
    assert not slapd.accepts("bob", OLD)
    change(world, world.proved("bob", purpose="change"))
    assert slapd.accepts("bob", NEW)
    assert not slapd.accepts("bob", OLD)


def test_a_password_that_must_be_changed_is_changed_the_same_way(world: World, slapd: Slapd) -> None:
    slapd.change(slapd.people["bob"].dn, pwdReset="TRUE")
    change(world, world.proved("bob", purpose="change"))
    assert slapd.accepts("bob", NEW)


def test_wrong_old_passwords_run_out_before_the_server_locks(world: World, slapd: Slapd) -> None:
    attempt = world.proved("bob", purpose="change")
    left = []
    for _time in range(3):
        with pytest.raises(WrongOldPassword) as refused:
            change(world, attempt, old="a wrong one")
        left.append(refused.value.attempts_left)
    assert left == [2, 1, 0]
    with pytest.raises(TooManyAttempts):
        change(world, attempt)
    assert slapd.accepts("bob", OLD)
    assert len(slapd.read(slapd.people["bob"].dn).get("pwdFailureTime", ())) < 5


def test_what_the_server_refuses_gives_the_guess_back(world: World, slapd: Slapd) -> None:
    attempt = world.proved("bob", purpose="change")
    for _time in range(5):
        with pytest.raises(WeakPassword):
            change(world, attempt, new=OLD)
    change(world, attempt)
    assert slapd.accepts("bob", NEW)


def test_an_account_that_is_locked_is_asked_for_no_old_password(world: World, slapd: Slapd) -> None:
    for _time in range(6):
        slapd.accepts("bob", "a wrong guess")
    with pytest.raises(NotPossible) as refused:
        world.proved("bob", purpose="change")
    assert refused.value.why == "locked"


def test_a_server_that_does_not_answer_costs_nothing(world: World, slapd: Slapd) -> None:
    attempt = world.proved("bob", purpose="change")
    world.directory._ldap = OpenLdap(
        slapd.settings(seconds=1).model_copy(update={"servers": ("ldaps://127.0.0.1:1",)}), ISSUER
    )
    for _time in range(4):
        with pytest.raises(Unavailable):
            change(world, attempt)
    world.directory._ldap = OpenLdap(slapd.settings(seconds=2), ISSUER)
    change(world, attempt)
    assert slapd.accepts("bob", NEW)
