"""The demo directory on the wire: rights, filters, and whatever bytes somebody sends."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp_plugin import ber
from idp_plugin.demo.directory import (
    GROUPS_BASE,
    PEOPLE_BASE,
    POLICY_DN,
    SERVICE_DN,
    SUFFIX,
    DemoDirectory,
)
from idp_plugin.demo.directory_filter import Tag, matches
from idp_plugin.demo.directory_server import DirectoryServer
from idp_plugin.demo.people import PEOPLE
from idp_plugin.demo.pki import make_certificates
from idp_plugin.demo.servers import fill
from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.connection import Session
from idp_plugin.ldap.servers import Servers

PASSWORD = "Everybodys-Passw0rd"
ALICE, BOB = f"uid=alice,{PEOPLE_BASE}", f"uid=bob,{PEOPLE_BASE}"


@dataclass
class Running:
    served: DemoDirectory
    port: int
    authority: Path

    def run(self, work: Callable[[Session], object], *, dn: str = "") -> object:
        def bound(session: Session) -> object:
            if dn:
                assert session.bind(dn, PASSWORD).code == ldap.SUCCESS
            return work(session)

        return Servers((f"ldaps://127.0.0.1:{self.port}",), self.authority, 5).run(bound)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    served = DemoDirectory()
    fill(served, {person.username: PASSWORD for person in PEOPLE}, PASSWORD)
    certificates = make_certificates(tmp_path_factory.mktemp("directory"))
    with DirectoryServer(served, certificates, ("127.0.0.1", 0)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Running(served, server.port, certificates.authority)
        server.shutdown()


def uids(running: Running, dn: str, filter_: str, base: str = SUFFIX) -> list[str]:
    found = running.run(lambda session: session.search(base, filter_, ["uid"]), dn=dn)
    assert isinstance(found, list)
    return sorted(entry.first("uid") for entry in found if entry.first("uid"))


# Rights


def test_a_stranger_sees_nothing(running: Running) -> None:
    assert uids(running, "", "(objectClass=*)") == []


def test_people_see_themselves_only(running: Running) -> None:
    assert uids(running, ALICE, "(objectClass=*)") == ["alice"]


def test_the_service_account_sees_everybody_and_no_password(running: Running) -> None:
    assert uids(running, SERVICE_DN, "(uid=*)") == sorted(person.username for person in PEOPLE)
    (alice,) = running.run(  # type: ignore[misc]
        lambda session: session.search(ALICE, "(objectClass=*)", ["*", "userPassword", "pwdHistory"]),
        dn=SERVICE_DN,
    )
    assert "mail" in alice.attributes
    assert not {"userpassword", "pwdhistory"} & set(alice.attributes)


@pytest.mark.parametrize("dn", ["", BOB])
def test_nobody_writes_somebody_elses_password(running: Running, dn: str) -> None:
    answer = running.run(lambda session: session.write_password(ALICE, "Quite-New-Passw0rd"), dn=dn)
    assert isinstance(answer, ldap.Answer)
    assert answer.code in {ldap.INSUFFICIENT_ACCESS, 8}


@pytest.mark.parametrize(
    "dn", [SERVICE_DN, POLICY_DN, f"cn=staff,{GROUPS_BASE}", "uid=nobody,ou=people", "no dn"]
)
def test_the_service_account_writes_people_only(running: Running, dn: str) -> None:
    for write in (
        lambda session: session.write_password(dn, "Quite-New-Passw0rd"),
        lambda session: session.remove(dn, "pwdAccountLockedTime", "20261122080000Z"),
    ):
        answer = running.run(write, dn=SERVICE_DN)
        assert isinstance(answer, ldap.Answer)
        assert answer.code in {ldap.NO_SUCH_OBJECT, ldap.INSUFFICIENT_ACCESS}
    assert running.run(lambda session: session.bind(SERVICE_DN, PASSWORD).code) == ldap.SUCCESS


@pytest.mark.parametrize("attribute", ["mail", "memberOf", "uid", "pwdChangedTime", "member"])
def test_the_service_account_writes_no_other_attribute(running: Running, attribute: str) -> None:
    answer = running.run(lambda session: session.remove(ALICE, attribute, "20261122080000Z"), dn=SERVICE_DN)
    assert isinstance(answer, ldap.Answer)
    assert answer.code == ldap.INSUFFICIENT_ACCESS


# Filters


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("(uid=alice)", ["alice"]),
        ("(UID=  Alice )", ["alice"]),
        ("(|(uid=alice)(mail=bob@example.org))", ["alice", "bob"]),
        ("(&(uid=*)(!(memberOf=*)))", ["heidi"]),
        (f"(memberOf=CN=HelpDesk, {GROUPS_BASE})", ["frank"]),
        ("(uid=\\2a)", []),
        ("(uid=)", []),
        ("(nothing=*)", []),
    ],
)
def test_filters_find_what_they_say(running: Running, filter_: str, expected: list[str]) -> None:
    assert uids(running, SERVICE_DN, filter_, PEOPLE_BASE) == expected


def substrings(*pieces: tuple[int, str]) -> bytes:
    return ber.sequence([ber.text("uid"), ber.sequence(ber.text(piece, kind) for kind, piece in pieces)])[2:]


FIRST, ANY, LAST = 0x80, 0x81, 0x82


@pytest.mark.parametrize(
    ("tag", "content", "expected"),
    [
        (Tag.SUBSTRINGS, substrings((ANY, "a")), ["alice", "carol", "dave", "frank", "grace"]),
        (Tag.SUBSTRINGS, substrings((FIRST, "g")), ["grace"]),
        (Tag.SUBSTRINGS, substrings((LAST, "e")), ["alice", "dave", "grace"]),
        (Tag.SUBSTRINGS, substrings((FIRST, "a"), (ANY, "i"), (LAST, "e")), ["alice"]),
        (Tag.AT_LEAST, ber.text("uid") + ber.text("grace"), ["grace", "heidi"]),
        (Tag.AT_MOST, ber.text("uid") + ber.text("bob"), ["alice", "bob"]),
    ],
)
def test_filters_that_other_clients_write_hold_for(tag: Tag, content: bytes, expected: list[str]) -> None:
    names = [person.username for person in PEOPLE]
    assert sorted(name for name in names if matches(tag, content, {"uid": (name,)})) == expected


ENTRY: Mapping[str, Sequence[str]] = {"uid": ("alice",), "mail": ("alice@example.org", "a@example.net")}


@given(st.sampled_from(Tag), st.binary(max_size=60))
def test_no_filter_breaks_the_server(tag: Tag, content: bytes) -> None:
    with contextlib.suppress(ber.Malformed):
        assert isinstance(matches(tag, content, ENTRY), bool)


# Bytes


@given(st.integers(0, 2**40), st.binary(max_size=300))
def test_what_is_encoded_is_decoded(number: int, content: bytes) -> None:
    data = ber.sequence([ber.integer(number), ber.text(content)])
    ((tag, inside),) = ber.elements(data)
    (_, encoded), (_, text) = ber.elements(inside)
    assert (tag, ber.number(encoded), text) == (ber.SEQUENCE, number, content)


@given(st.binary(max_size=100))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    with contextlib.suppress(ber.Malformed):
        assert all(isinstance(content, bytes) for _, content in ber.elements(data))


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "ff" * 50,
        "3000",
        "30020201",
        "3084ffffffff",
        "30050201016000",
        "300c020101600702010304008000",
        "300c020101630704000a0100",
        "30050201016600",
        "30050201017700",
        "30070201014a0200ff",
        "300c0201016007020103040080ff",
        "3003020101",
    ],
)
def test_what_is_no_ldap_ends_the_conversation_and_nothing_else(running: Running, sent: str) -> None:
    context = ssl.create_default_context(cafile=running.authority)
    with (
        socket.create_connection(("127.0.0.1", running.port), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as talk,
    ):
        talk.sendall(bytes.fromhex(sent))
        # Half-closing says that no more comes.
        with contextlib.suppress(OSError):
            raw_socket = socket.socket(fileno=socket.dup(talk.fileno()))
            with raw_socket:
                raw_socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            talk.recv(4096)
    assert uids(running, SERVICE_DN, "(uid=alice)") == ["alice"]


def test_plain_text_gets_no_answer(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as raw:
        raw.sendall(bytes.fromhex("300c020101600702010304008000"))
        answer = b""
        with contextlib.suppress(OSError):
            answer = raw.recv(4096)
    # At most a TLS alert.
    assert not answer or answer[0] == 0x15
