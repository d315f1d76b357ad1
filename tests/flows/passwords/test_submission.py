"""What becomes of a submitted password that a list of leaked ones has something to say of."""

import logging

import pytest

from flows.errors import Unavailable, WeakPassword
from flows.passwords.breach_range import RangeService
from flows.passwords.finding import Finding
from flows.passwords.settings import BreachSettings, PasswordsSettings
from store.audit import AuditAction
from tests.flows.conftest import OpenWorld
from tests.flows.world import World
from tests.servers.range_service import RangeServer

LEAKED = "four words of a leak"
FRESH = "four words of nobody"


@pytest.fixture
def world_with(make_world: OpenWorld, range_server: RangeServer):
    """A world whose gateway asks a range service."""
    range_server.leak(LEAKED)
    services: list[RangeService] = []

    def make(unavailable: str = "accept") -> World:
        services.append(RangeService(range_server.address, seconds=1))
        settings = PasswordsSettings(breaches=BreachSettings(source="api", unavailable=unavailable))
        world = make_world(passwords=settings, breaches=services[0])
        world.a_person("alice", registered=("email",))
        return world

    yield make
    for service in services:
        service.close()


def test_a_leaked_password_is_refused_and_the_attempt_goes_on(world_with) -> None:
    world = world_with()
    attempt = world.proved("alice")
    with pytest.raises(WeakPassword) as refused:
        world.set_password(attempt, LEAKED)
    assert refused.value.findings == (Finding("not_breached", False),)
    assert world.directory.written == []
    world.set_password(attempt, FRESH)
    assert world.directory.written == [("entry-alice", FRESH)]


def test_nothing_is_asked_before_the_submission(world_with, range_server: RangeServer) -> None:
    world = world_with()
    attempt = world.proved("alice")
    for end in range(1, len(LEAKED) + 1):
        world.recovery.reset.findings(attempt, LEAKED[:end])
    assert world.recovery.reset.suggest(attempt)
    assert range_server.asked == []
    with pytest.raises(WeakPassword):
        world.set_password(attempt, LEAKED)
    assert len(range_server.asked) == 1


def test_while_the_service_is_down_a_password_is_accepted_and_the_audit_says_so(
    world_with, range_server: RangeServer
) -> None:
    world, range_server.mood = world_with(), "status"
    world.set_password(world.proved("alice"), LEAKED)
    assert world.directory.written == [("entry-alice", LEAKED)]
    (event,) = world.audited(AuditAction.PASSWORD_BREACHES_UNASKED)
    assert event.detail == {"why": "status 503"}


def test_where_it_is_told_to_refuse_nothing_is_changed_while_the_service_is_down(
    world_with, range_server: RangeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    world, range_server.mood = world_with(unavailable="refuse"), "drip"
    attempt = world.proved("alice")
    with pytest.raises(Unavailable):
        world.set_password(attempt, LEAKED)
    assert world.directory.written == []
    assert world.read(attempt).claimed_at is None
    assert LEAKED not in caplog.text


def test_what_a_refused_password_is_like_is_in_no_error_text(world_with) -> None:
    world = world_with()
    with pytest.raises(WeakPassword) as refused:
        world.set_password(world.proved("alice"), "passw0rd")
    assert refused.value.findings[0].parameters["close_to"] == "password"
    assert (str(refused.value), repr(refused.value)) == ("not_banned", "WeakPassword('not_banned')")
