"""Connections that wait for the next question, before a real slapd that restarts, freezes and forgets."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from idp_plugin.base import Subject
from idp_plugin.errors import PasswordRefused, WrongPassword
from idp_plugin.ldap.connection import Session
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.ldap.servers import Servers
from tests.idp_plugin.ldap.record_cutter import RecordCutter
from tests.servers.slapd import LONG_AGO, PEOPLE, SERVICE_DN, SERVICE_PASSWORD, Slapd

ISSUER = "https://sso.example.org"
NEW = "Quite-New-Passw0rd"


@pytest.fixture
def cutter(slapd: Slapd) -> Iterator[RecordCutter]:
    with RecordCutter(slapd.tls_port) as cutter:
        yield cutter


@pytest.fixture
def directory(slapd: Slapd, cutter: RecordCutter) -> OpenLdap:
    return OpenLdap(slapd.settings(servers=(f"ldaps://127.0.0.1:{cutter.port}",), seconds=4), ISSUER)


def account(directory: OpenLdap, username: str) -> Subject:
    identity = directory.find(username)
    assert identity
    return identity.account


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def sign_in(session: Session) -> None:
    session.bind(SERVICE_DN, SERVICE_PASSWORD)


def test_questions_and_writes_share_one_connection(directory: OpenLdap, cutter: RecordCutter) -> None:
    directory.set_password(account(directory, "alice"), NEW)
    directory.unlock(account(directory, "carol"))
    assert len(cutter.records) == 1


def test_a_person_signs_in_over_a_connection_of_their_own(directory: OpenLdap, cutter: RecordCutter) -> None:
    alice = account(directory, "alice")
    directory.verify_password(alice, "Alice-Passw0rd")
    with pytest.raises(WrongPassword):
        directory.verify_password(alice, "wrong")
    # Were the person's connection asked next, it would show nothing and write nothing.
    directory.set_password(account(directory, "bob"), NEW)
    assert len(cutter.records) == 3


def test_a_server_that_was_started_anew_is_asked_again_and_not_called_failed(
    slapd: Slapd, directory: OpenLdap, cutter: RecordCutter
) -> None:
    alice = account(directory, "alice")
    slapd.restart()
    sent = cutter.records
    with capture_logs() as logs:
        directory.set_password(alice, NEW)
    assert logs == []
    assert slapd.accepts("alice", NEW)
    # Nothing is said over what the server has ended.
    assert cutter.records[:1] == sent


def test_a_connection_that_ends_as_it_is_asked_costs_one_more_question(
    slapd: Slapd, directory: OpenLdap, cutter: RecordCutter
) -> None:
    alice = account(directory, "alice")
    (sent,) = cutter.records
    cutter.swallow(sent + 1)
    with capture_logs() as logs:
        directory.set_password(alice, NEW)
    assert logs == []
    assert slapd.accepts("alice", NEW)


def test_a_server_that_freezes_is_passed_over_in_time(slapd: Slapd, tmp_path: Path) -> None:
    people = list(slapd.people.values())
    with Slapd(tmp_path / "second", people, certificates=slapd.certificates) as second:
        servers = (slapd.address, second.address)
        directory = OpenLdap(slapd.settings(servers=servers, seconds=2), ISSUER)
        assert directory.find("alice")
        slapd.freeze()
        assert directory.find("alice")


def test_a_write_whose_answer_is_lost_is_settled_and_not_repeated(
    slapd: Slapd, directory: OpenLdap, cutter: RecordCutter
) -> None:
    alice, bob = account(directory, "alice"), account(directory, "bob")
    (before,) = cutter.records
    directory.set_password(bob, NEW)
    (after,) = cutter.records
    slapd.change(f"uid=alice,{PEOPLE}", pwdChangedTime=LONG_AGO)
    cutter.drop_answer_to(after + (after - before), after=-1)
    with capture_logs() as logs:
        directory.set_password(alice, NEW)
    assert "directory_write_settled" in [entry["event"] for entry in logs]
    assert slapd.accepts("alice", NEW)
    # The one that was replaced: a second write would have left another.
    assert len(slapd.read(f"uid=alice,{PEOPLE}")["pwdHistory"]) == 1


def test_a_connection_on_which_something_went_wrong_is_not_kept(
    directory: OpenLdap, cutter: RecordCutter
) -> None:
    with pytest.raises(PasswordRefused):
        directory.set_password(account(directory, "alice"), "short")
    assert directory.find("alice")
    assert len(cutter.records) == 2


@pytest.mark.parametrize(
    ("pauses", "connections"), [([29.0], 1), ([31.0], 2), ([25.0] * 11, 1), ([25.0] * 12, 2)]
)
def test_a_connection_is_kept_for_its_time_alone(
    slapd: Slapd, cutter: RecordCutter, pauses: list[float], connections: int
) -> None:
    now = [1000.0]
    address = f"ldaps://127.0.0.1:{cutter.port}"
    servers = Servers((address,), slapd.certificates.authority, 4, keep=30, clock=lambda: now[0])
    for pause in [0.0, *pauses]:
        now[0] += pause
        servers.run_signed_in(sign_in, lambda session: session.search(PEOPLE, "(uid=alice)", ["uid"]))
    assert len(cutter.records) == connections


def test_no_connection_is_kept_where_the_settings_say_so(slapd: Slapd, cutter: RecordCutter) -> None:
    address = f"ldaps://127.0.0.1:{cutter.port}"
    directory = OpenLdap(slapd.settings(servers=(address,), keep_seconds=0), ISSUER)
    assert directory.find("alice")
    assert directory.find("alice")
    assert len(cutter.records) == 2


def test_a_process_that_splits_off_speaks_over_a_connection_of_its_own(
    directory: OpenLdap, cutter: RecordCutter
) -> None:
    assert directory.find("alice")
    child = os.fork()
    if child == 0:
        os._exit(0 if directory.find("bob") else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(cutter.records) == 2
    assert directory.find("carol")
    assert len(cutter.records) == 2


def test_nothing_stays_open_when_the_adapter_is_gone(slapd: Slapd) -> None:
    gc.collect()
    before = _open_files()
    directory = OpenLdap(slapd.settings(), ISSUER)
    assert directory.find("alice")
    assert _open_files() > before
    del directory
    gc.collect()
    assert _open_files() == before
