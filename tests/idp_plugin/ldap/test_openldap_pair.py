"""Two replicating OpenLDAP servers: which one is asked, and what becomes of a write when one fails."""

import datetime as dt
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from idp_plugin.base import Convergence, PasswordState, Subject, TargetOutcome, TargetResult
from idp_plugin.errors import IdpMisconfigured, OutcomeUnknown
from idp_plugin.ldap.openldap import OpenLdap
from tests.idp_plugin.ldap.record_cutter import RecordCutter
from tests.servers import processes
from tests.servers.slapd import LONG_AGO, Slapd, SlapdPerson, dn_of
from tests.servers.slapd_pair import SlapdPair, slapd_pair

ISSUER = "https://sso.example.org"
NEW = "Quite-New-Passw0rd"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[SlapdPair]:
    with slapd_pair(tmp_path) as servers:
        yield servers


def account(directory: OpenLdap, username: str) -> Subject:
    identity = directory.find(username)
    assert identity
    return identity.account


def changed(server: Slapd, uid: str) -> list[str]:
    return server.read(dn_of(uid)).get("pwdChangedTime", [])


def test_a_reset_at_the_first_server_opens_the_account_at_the_second(pair: SlapdPair) -> None:
    directory = OpenLdap(pair.settings(), ISSUER)
    directory.set_password(account(directory, "alice"), NEW)
    (written,) = changed(pair.first, "alice")
    pair.wait(pair.second, "alice", "pwdChangedTime", written)
    assert pair.first.accepts("alice", NEW)
    assert pair.second.accepts("alice", NEW)


def test_the_first_server_takes_the_write_while_it_lives(pair: SlapdPair) -> None:
    directory = OpenLdap(pair.settings(), ISSUER)
    alice = account(directory, "alice")
    pair.second.stop()
    directory.set_password(alice, NEW)
    assert pair.first.accepts("alice", NEW)


def test_the_second_server_takes_the_write_when_the_first_is_dead_and_passes_it_on(pair: SlapdPair) -> None:
    directory = OpenLdap(pair.settings(), ISSUER)
    alice = account(directory, "alice")
    pair.first.stop()
    directory.set_password(alice, NEW)
    (written,) = changed(pair.second, "alice")
    pair.first.restart()
    pair.wait(pair.first, "alice", "pwdChangedTime", written)
    assert pair.first.accepts("alice", NEW)


def test_a_lock_at_one_server_is_cleared_for_both(pair: SlapdPair) -> None:
    directory = OpenLdap(pair.settings(), ISSUER)
    carol = account(directory, "carol")
    for _ in range(6):
        pair.first.accepts("carol", "wrong")
    (since,) = pair.first.read(dn_of("carol"))["pwdAccountLockedTime"]
    pair.wait(pair.second, "carol", "pwdAccountLockedTime", since)
    assert directory.unlock(carol) is True
    state = directory.verify_password(carol, "Carol-Passw0rd")
    assert state is PasswordState.USABLE


def test_a_write_whose_answer_is_lost_is_read_back_where_it_was_sent(tmp_path: Path) -> None:
    # The second has the same people and hears of nothing: asked there, the write would not have happened.
    people = [
        SlapdPerson(name, "Old-Passw0rd", (), {"entryUUID": str(uuid.uuid4()), "pwdChangedTime": LONG_AGO})
        for name in ("alice", "bob", "erin")
    ]
    with (
        Slapd(tmp_path / "first", people) as first,
        Slapd(tmp_path / "second", people, certificates=first.certificates) as second,
        RecordCutter(first.tls_port) as cutter,
    ):
        servers = (f"ldaps://127.0.0.1:{cutter.port}", second.address)
        directory = OpenLdap(
            first.settings(servers=servers, seconds=8, keep_seconds=0, protected_groups=()), ISSUER
        )
        alice, bob = account(directory, "alice"), account(directory, "bob")
        records = cutter.count(lambda: directory.set_password(bob, NEW))
        # The last record says goodbye; the one before it carries the write.
        cutter.drop_answer_to(records - 1)
        with capture_logs() as logs:
            directory.set_password(alice, NEW)
        assert first.accepts("alice", NEW)
        assert not second.accepts("alice", NEW)
    settled = [entry for entry in logs if entry["event"] == "directory_write_settled"]
    assert [entry["server"] for entry in settled] == [f"127.0.0.1:{cutter.port}"]


def test_a_write_that_was_swallowed_is_unknown_and_not_tried_at_the_second_server(pair: SlapdPair) -> None:
    with RecordCutter(pair.first.tls_port) as cutter:
        servers = (f"ldaps://127.0.0.1:{cutter.port}", pair.second.address)
        directory = OpenLdap(pair.first.settings(servers=servers, seconds=4, keep_seconds=0), ISSUER)
        alice, bob = account(directory, "alice"), account(directory, "bob")
        records = cutter.count(lambda: directory.set_password(bob, NEW))
        cutter.swallow(records - 1)
        with pytest.raises(OutcomeUnknown):
            directory.set_password(alice, NEW)
    assert pair.second.accepts("alice", "Alice-Passw0rd")


def test_a_copy_that_refers_writes_elsewhere_is_passed_over(tmp_path: Path) -> None:
    with slapd_pair(tmp_path, is_copy=True) as pair:
        servers = (pair.second.address, pair.first.address)
        directory = OpenLdap(pair.settings().model_copy(update={"servers": servers}), ISSUER)
        directory.set_password(account(directory, "alice"), NEW)
        assert pair.first.accepts("alice", NEW)


def test_when_there_are_only_copies_the_operator_has_to_act(tmp_path: Path) -> None:
    with slapd_pair(tmp_path, is_copy=True) as pair:
        directory = OpenLdap(pair.second.settings(), ISSUER)
        with pytest.raises(IdpMisconfigured):
            directory.set_password(account(directory, "alice"), NEW)
        assert pair.first.accepts("alice", "Alice-Passw0rd")


# At how many servers a new password works


def converged(pair: SlapdPair, *replicas: str, seconds: float = 5) -> tuple[TargetResult, ...]:
    settings = pair.first.settings(replicas=replicas, replica_seconds=seconds)
    directory = OpenLdap(settings, ISSUER)
    return directory.set_password(account(directory, "alice"), NEW)


def works(works: int, asked: int) -> tuple[TargetResult, ...]:
    return (TargetResult("corp", TargetOutcome.WRITTEN, Convergence(works, asked)),)


def test_a_new_password_is_tried_at_the_servers_that_have_heard_of_it(pair: SlapdPair) -> None:
    pair.first.change(dn_of("alice"), pwdChangedTime=LONG_AGO)
    assert converged(pair, pair.second.address) == works(1, 1)


def test_a_server_that_has_not_heard_is_not_asked_to_take_it(pair: SlapdPair, tmp_path: Path) -> None:
    pair.first.change(dn_of("alice"), pwdChangedTime=LONG_AGO)
    alice = pair.first.read(dn_of("alice"))
    deaf = SlapdPerson(
        "alice", "Alice-Passw0rd", (), {name: alice[name][0] for name in ("entryUUID", "pwdChangedTime")}
    )
    administrator = SlapdPerson("erin", "Erin-Passw0rd", ("administrators",))
    with Slapd(tmp_path / "deaf", [deaf, administrator], certificates=pair.first.certificates) as third:
        # One says nothing at all, and costs no more than the others.
        pair.second.freeze()
        gone = f"ldaps://127.0.0.1:{processes.free_port()}"
        replicas = (pair.first.address, third.address, pair.second.address, gone)
        began = time.monotonic()
        assert converged(pair, *replicas, seconds=1) == works(1, 4)
        assert time.monotonic() - began < 10
        assert "pwdFailureTime" not in third.read(dn_of("alice"))


def test_two_writes_within_a_second_cannot_be_told_apart_and_none_is_tried(pair: SlapdPair) -> None:
    settings = pair.first.settings(replicas=(pair.second.address,))
    directory = OpenLdap(settings, ISSUER)
    alice = account(directory, "alice")
    now = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    pair.first.change(dn_of("alice"), pwdChangedTime=f"{now:%Y%m%d%H%M%SZ}")
    assert directory.set_password(alice, NEW) == ()
    assert pair.first.accepts("alice", NEW)


def test_nothing_is_said_where_no_servers_are_to_be_asked(pair: SlapdPair) -> None:
    assert converged(pair) == ()
