"""The unlock against a real OpenLDAP server."""

import datetime as dt

import pytest

from flows.errors import NotPossible
from flows.recovery.attempt import Locks
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.ldap.password_policy import PERMANENTLY
from tests.flows.test_reset_slapd import Mixed, register
from tests.flows.world import ISSUER, World
from tests.servers.slapd import Slapd


@pytest.fixture
def world(make_world, slapd: Slapd) -> World:
    world = make_world(directory=Mixed(OpenLdap(slapd.settings(seconds=2), ISSUER)))
    world.clock.now = dt.datetime.now(dt.UTC)
    return world


def lock_by_guessing(slapd: Slapd) -> None:
    for _ in range(6):
        slapd.accepts("carol", "a wrong guess")
    assert not slapd.accepts("carol", "Carol-Passw0rd")


def test_a_lock_by_wrong_binds_ends_and_the_old_password_works(world: World, slapd: Slapd) -> None:
    register(world, "carol")
    lock_by_guessing(slapd)
    assert world.unlock(world.proved("carol", purpose="unlock")) == Locks("ended", "none")
    assert slapd.accepts("carol", "Carol-Passw0rd")


def test_after_an_unlock_one_wrong_guess_does_not_lock_again(world: World, slapd: Slapd) -> None:
    register(world, "carol")
    lock_by_guessing(slapd)
    world.unlock(world.proved("carol", purpose="unlock"))
    slapd.accepts("carol", "a wrong guess")
    assert slapd.accepts("carol", "Carol-Passw0rd")


def test_what_is_not_locked_says_so(world: World, slapd: Slapd) -> None:
    register(world, "bob")
    assert world.unlock(world.proved("bob", purpose="unlock")) == Locks("none", "none")
    assert slapd.accepts("bob", "Bob-Passw0rd")


def test_a_lock_that_an_administrator_set_for_good_stays(world: World, slapd: Slapd) -> None:
    register(world, "carol")
    attempt = world.proved("carol", purpose="unlock")
    slapd.change(slapd.people["carol"].dn, pwdAccountLockedTime=PERMANENTLY)
    with pytest.raises(NotPossible) as refused:
        world.unlock(attempt)
    assert refused.value.why == "disabled"
    assert not slapd.accepts("carol", "Carol-Passw0rd")
