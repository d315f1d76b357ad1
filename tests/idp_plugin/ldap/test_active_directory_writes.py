"""Writes whose answer is lost, the control that holds a reset to the history, and long lists."""

import datetime as dt
from collections.abc import Callable

import pytest
from pyasn1.codec.ber.decoder import decode
from structlog.testing import capture_logs

from idp_plugin.base import Convergence, Subject, TargetOutcome, TargetResult
from idp_plugin.errors import OutcomeUnknown
from idp_plugin.ldap.active_directory import ActiveDirectory
from idp_plugin.ldap.active_directory_root import ACCESS_LIST, RootEntry
from idp_plugin.ldap.address import parse_server
from idp_plugin.ldap.connection import Entry, Session, open_session
from idp_plugin.ldap.ranged_values import all_values
from idp_plugin.ldap.strict_socket import Deadline, tls_context
from tests.idp_plugin.ldap.record_cutter import RecordCutter
from tests.servers.processes import free_port
from tests.servers.samba import LDAPS, SambaDomain, quoted
from tests.servers.samba_build import ADMINISTRATOR, ADMINISTRATOR_PASSWORD

ISSUER = "https://sso.example.org"
NEW = "Quite-New-Passw0rd"
UNAVAILABLE_CRITICAL_EXTENSION = 12


def account(directory: ActiveDirectory, username: str) -> Subject:
    identity = directory.find(username)
    assert identity
    return identity.account


def through(cutter: RecordCutter, domain: SambaDomain) -> ActiveDirectory:
    address = f"ldaps://127.0.0.1:{cutter.port}"
    return ActiveDirectory(domain.settings(servers=(address,), seconds=10, keep_seconds=0), ISSUER)


def records(cutter: RecordCutter, write: Callable[[str], object]) -> int:
    """Return how many records a write takes, once everything that is remembered is known."""
    write("Warming-Up-Passw0rd")
    return cutter.count(lambda: write(NEW))


@pytest.fixture
def session(samba_domain: SambaDomain) -> Session:
    server = samba_domain.server
    session = open_session(
        parse_server(server.address), tls_context(server.certificates.authority), Deadline(20)
    )
    session.bind(ADMINISTRATOR, ADMINISTRATOR_PASSWORD)
    return session


# Lost answers


def test_a_reset_whose_answer_is_lost_is_settled_by_reading_back(samba_domain: SambaDomain) -> None:
    with RecordCutter(LDAPS, samba_domain.server.host) as cutter:
        directory = through(cutter, samba_domain)
        alice, bob = account(directory, "alice"), account(directory, "bob")
        count = records(cutter, lambda new: directory.set_password(bob, new))
        # The last record says goodbye; the one before it carries the write.
        cutter.drop_answer_to(count - 1)
        with capture_logs() as logs:
            directory.set_password(alice, NEW)
    assert "directory_write_settled" in [entry["event"] for entry in logs]
    assert NEW not in str(logs)
    assert samba_domain.accepts("alice", NEW)


def test_a_change_whose_answer_is_lost_is_settled_too(samba_domain: SambaDomain) -> None:
    with RecordCutter(LDAPS, samba_domain.server.host) as cutter:
        directory = through(cutter, samba_domain)
        alice, bob = account(directory, "alice"), account(directory, "bob")
        directory.set_password(bob, "Bob-2-Passw0rd")
        count = cutter.count(lambda: directory.change_password(bob, "Bob-2-Passw0rd", NEW))
        # A change reads as the service account first; the person's own connection is the second.
        cutter.drop_answer_to(count - 1, after=1)
        directory.change_password(alice, "Alice-Passw0rd", NEW)
    assert samba_domain.accepts("alice", NEW)


def test_a_reset_that_never_arrived_is_unknown_and_not_repeated(samba_domain: SambaDomain) -> None:
    with RecordCutter(LDAPS, samba_domain.server.host) as cutter:
        directory = through(cutter, samba_domain)
        alice, bob = account(directory, "alice"), account(directory, "bob")
        count = records(cutter, lambda new: directory.set_password(bob, new))
        cutter.swallow(count - 1)
        with pytest.raises(OutcomeUnknown) as lost:
            directory.set_password(alice, NEW)
    assert NEW not in repr(lost.value)
    assert samba_domain.accepts("alice", "Alice-Passw0rd")
    read = samba_domain.server.read(samba_domain.dn("alice"), "badPwdCount")
    # Finding out did not cost one of the person's tries.
    assert read["badPwdCount"] == [b"0"]


def test_a_lost_answer_is_unknown_when_somebody_else_wrote(samba_domain: SambaDomain) -> None:
    with RecordCutter(LDAPS, samba_domain.server.host) as cutter:
        directory = through(cutter, samba_domain)
        alice, bob = account(directory, "alice"), account(directory, "bob")
        count = records(cutter, lambda new: directory.set_password(bob, new))
        cutter.swallow(count - 1, lambda: samba_domain.change("alice", unicodePwd=quoted("Somebody-Elses-1")))
        with pytest.raises(OutcomeUnknown):
            directory.set_password(alice, NEW)
    assert samba_domain.accepts("alice", "Somebody-Elses-1")


# The history on a reset


@pytest.mark.parametrize(
    ("announced", "sent"),
    [
        (set(), ""),
        ({"1.2.840.113556.1.4.2066"}, "1.2.840.113556.1.4.2066"),
        ({"1.2.840.113556.1.4.2066", "1.2.840.113556.1.4.2239"}, "1.2.840.113556.1.4.2239"),
    ],
)
def test_policy_hints_are_sent_exactly_where_the_server_announces_them(
    announced: set[str], sent: str
) -> None:
    root = RootEntry(domain="DC=x", controls=frozenset(announced), is_samba=False, own_ids=frozenset())
    assert [number for number, _, _ in root.policy_hints] == ([sent] if sent else [])
    for _, must_be_known, value in root.policy_hints:
        assert must_be_known
        assert value == b"\x30\x03\x02\x01\x01"


@pytest.mark.parametrize("control", [(b"\x30\x03\x02\x01\x01", 1), (ACCESS_LIST[2], 4)])
def test_control_values_are_one_number_in_a_sequence(control: tuple[bytes, int]) -> None:
    value, rest = decode(control[0])
    assert [int(part) for part in value] == [control[1]]
    assert rest == b""


def test_a_control_goes_out_with_the_write(samba_domain: SambaDomain, session: Session) -> None:
    hints = RootEntry("DC=x", frozenset({"1.2.840.113556.1.4.2239"}), False, frozenset()).policy_hints
    changes = {"unicodePwd": quoted(NEW)}
    # Samba does not know it, and has to refuse because it is critical.
    assert session.replace(samba_domain.dn("alice"), changes, hints).code == UNAVAILABLE_CRITICAL_EXTENSION
    assert samba_domain.accepts("alice", "Alice-Passw0rd")
    session.close()


# Long lists


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7, 8, 100])
def test_a_long_list_is_read_to_the_end(samba_domain: SambaDomain, session: Session, step: int) -> None:
    members = all_values(session, samba_domain.group("staff"), "member", step=step)
    assert sorted(members) == sorted(
        samba_domain.dn(name).encode() for name, person in samba_domain.people.items() if person.groups
    )
    tokens = all_values(session, samba_domain.dn("frank"), "tokenGroups", step=step)
    assert set(tokens) == set(all_values(session, samba_domain.dn("frank"), "tokenGroups"))
    assert len(tokens) == 4
    session.close()


def test_a_list_that_is_not_there_is_empty(samba_domain: SambaDomain, session: Session) -> None:
    assert all_values(session, samba_domain.dn("alice"), "otherMailbox", step=2) == ()
    assert all_values(session, samba_domain.dn("nobody"), "member") == ()
    session.close()


# At how many domain controllers a new password works


def converged(domain: SambaDomain, username: str, *replicas: str, seconds: float) -> object:
    directory = ActiveDirectory(domain.settings(replicas=replicas, replica_seconds=seconds), ISSUER)
    return directory.set_password(account(directory, username), NEW)


def test_a_new_password_is_tried_at_the_other_names_of_the_domain(samba_domain: SambaDomain) -> None:
    gone = f"ldaps://127.0.0.1:{free_port()}"
    with RecordCutter(LDAPS, samba_domain.server.host) as second:
        names = (f"ldaps://127.0.0.1:{second.port}", samba_domain.server.address, gone)
        found = converged(samba_domain, "alice", *names, seconds=20)
    assert found == (TargetResult("corp", TargetOutcome.WRITTEN, Convergence(2, 3)),)


def test_a_domain_controller_that_has_not_heard_counts_no_wrong_password(
    samba_domain: SambaDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It writes the time that the password had before: what a controller says that no write has reached.
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    directory = ActiveDirectory(
        samba_domain.settings(replicas=(samba_domain.server.address,), replica_seconds=1), ISSUER
    )
    alice = account(directory, "alice")
    real = directory._written_at
    entries: list[object] = []

    def written_at(person: Entry) -> dt.datetime | None:
        # First the one that took the write, then what it was before it; everybody later has not heard.
        entries.append(person)
        return real(person) if len(entries) <= 2 else old

    monkeypatch.setattr(directory, "_written_at", written_at)
    assert directory.set_password(alice, NEW) == (
        TargetResult("corp", TargetOutcome.WRITTEN, Convergence(0, 1)),
    )
    assert samba_domain.server.read(samba_domain.dn("alice"), "badPwdCount")["badPwdCount"] == [b"0"]
