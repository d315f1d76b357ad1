"""The strict connection against real servers that are right, wrong, dead, frozen, slow and forgetful."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from idp_plugin.demo.pki import Certificates, make_certificates
from idp_plugin.errors import IdpMisconfigured, IdpUnavailable, OutcomeUnknown
from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.address import parse_server
from idp_plugin.ldap.connection import Session
from idp_plugin.ldap.servers import Servers
from tests.servers import processes
from tests.servers.slapd import SERVICE_DN, SERVICE_PASSWORD, Slapd


def bind(session: Session) -> str:
    assert session.bind(SERVICE_DN, SERVICE_PASSWORD).code == ldap.SUCCESS
    return str(session.server)


def ask(servers: Servers) -> str:
    return servers.run(bind)


def servers(slapd: Slapd, *addresses: str, seconds: float = 5, cool_down: float = 30) -> Servers:
    return Servers(addresses or (slapd.address,), slapd.certificates.authority, seconds, cool_down=cool_down)


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server of one function; a connection is closed when it returns."""

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


# Whom it talks to


def test_the_right_server_is_believed_over_ldaps(slapd: Slapd) -> None:
    assert ask(servers(slapd)) == f"127.0.0.1:{slapd.tls_port}"


def test_the_right_server_is_believed_after_start_tls(slapd: Slapd) -> None:
    assert ask(servers(slapd, slapd.plain_address)) == f"127.0.0.1:{slapd.port}"


def test_a_dns_name_in_the_certificate_is_believed(slapd: Slapd) -> None:
    assert ask(servers(slapd, f"ldaps://localhost:{slapd.tls_port}"))


@pytest.mark.parametrize("scheme", ["ldaps", "ldap"])
def test_another_authoritys_server_is_not_believed(slapd: Slapd, tmp_path: Path, scheme: str) -> None:
    other = make_certificates(tmp_path / "other").authority
    address = slapd.address if scheme == "ldaps" else slapd.plain_address
    with pytest.raises(IdpMisconfigured, match="certificate"):
        ask(Servers((address,), other, 5))


@pytest.mark.parametrize("scheme", ["ldaps", "ldap"])
def test_a_server_of_another_name_is_not_believed(slapd: Slapd, tmp_path: Path, scheme: str) -> None:
    slapd.stop()
    elsewhere = make_certificates(tmp_path / "elsewhere", names=["ldap.example.org"], addresses=["192.0.2.1"])
    with Slapd(tmp_path / "named", certificates=elsewhere) as named:
        address = named.address if scheme == "ldaps" else named.plain_address
        with pytest.raises(IdpMisconfigured, match="certificate"):
            ask(Servers((address,), elsewhere.authority, 5))


def test_a_badly_certified_server_is_passed_over_for_a_good_one(slapd: Slapd, tmp_path: Path) -> None:
    elsewhere = make_certificates(tmp_path / "elsewhere", addresses=["192.0.2.1"], names=["elsewhere"])
    with Slapd(tmp_path / "named", certificates=elsewhere) as named:
        assert ask(servers(slapd, named.address, slapd.address)).endswith(str(slapd.tls_port))


def test_nothing_is_said_to_a_server_that_refuses_start_tls(tmp_path: Path) -> None:
    heard = []

    def refuse(connection: socket.socket) -> None:
        connection.settimeout(5)
        while data := connection.recv(4096):
            heard.append(data)
            # unwillingToPerform, to message 1
            connection.sendall(bytes.fromhex("300c02010178070a013504000400"))

    certificates = make_certificates(tmp_path)
    with listening(refuse) as port, pytest.raises(IdpUnavailable):
        ask(Servers((f"ldap://127.0.0.1:{port}",), certificates.authority, 2))
    assert b"1.3.6.1.4.1.1466.20037" in heard[0]
    assert SERVICE_PASSWORD.encode() not in b"".join(heard)
    assert b"svc-reset" not in b"".join(heard)


def test_whoever_says_more_than_yes_to_start_tls_is_left(tmp_path: Path) -> None:
    heard = []

    def agree(connection: socket.socket) -> None:
        connection.settimeout(5)
        while data := connection.recv(4096):
            heard.append(data)
            # success, to message 1, and a bind's success, to message 2, which anybody could have put there
            connection.sendall(bytes.fromhex("300c02010178070a010004000400300c02010261070a010004000400"))

    certificates = make_certificates(tmp_path)
    with listening(agree) as port, pytest.raises(IdpUnavailable):
        ask(Servers((f"ldap://127.0.0.1:{port}",), certificates.authority, 2))
    assert len(heard) == 1


def test_old_tls_is_refused(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    def shake(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    with listening(shake) as port, pytest.raises(IdpUnavailable):
        ask(Servers((f"ldaps://127.0.0.1:{port}",), certificates.authority, 2))


@pytest.mark.parametrize(
    "address", ["http://x", "ldap://", "ldaps://h:port", "host", "ldap://h/dc=x", "ldapi://x"]
)
def test_what_is_no_address_is_the_operators_mistake(address: str) -> None:
    with pytest.raises(IdpMisconfigured):
        parse_server(address)


def test_the_usual_ports_are_implied() -> None:
    assert (parse_server("ldap://h").port, parse_server("ldaps://h").port) == (389, 636)


def test_a_missing_authority_file_is_the_operators_mistake(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for file in ("missing.pem", "empty.pem"):
        with pytest.raises(IdpMisconfigured):
            Servers(("ldaps://h",), tmp_path / file, 5)


# Fail-over and deadlines


def test_a_dead_server_is_passed_over(slapd: Slapd) -> None:
    dead = f"ldaps://127.0.0.1:{processes.free_port()}"
    assert ask(servers(slapd, dead, slapd.address)).endswith(str(slapd.tls_port))


def test_a_frozen_server_is_passed_over_and_then_asked_last(slapd: Slapd, tmp_path: Path) -> None:
    with Slapd(tmp_path / "second", certificates=slapd.certificates) as second:
        both = servers(slapd, slapd.address, second.address, seconds=3)
        slapd.freeze()
        assert ask(both).endswith(str(second.tls_port))
        began = time.monotonic()
        assert ask(both).endswith(str(second.tls_port))
        # Asked first, the frozen one would cost half of the three seconds again.
        assert time.monotonic() - began < 1.4


def test_a_recovered_server_is_asked_first_again_after_the_cool_down(slapd: Slapd, tmp_path: Path) -> None:
    now = [0.0]
    with Slapd(tmp_path / "second", certificates=slapd.certificates) as second:
        both = Servers((slapd.address, second.address), slapd.certificates.authority, 5, clock=lambda: now[0])
        slapd.stop()
        assert ask(both).endswith(str(second.tls_port))
        slapd.restart()
        now[0] = 29
        assert ask(both).endswith(str(second.tls_port))
        now[0] = 31
        assert ask(both).endswith(str(slapd.tls_port))


def test_a_server_that_failed_lately_is_still_asked_when_it_is_the_only_one_left(
    slapd: Slapd, tmp_path: Path
) -> None:
    with Slapd(tmp_path / "second", certificates=slapd.certificates) as second:
        both = servers(slapd, slapd.address, second.address)
        slapd.stop()
        ask(both)
        second.stop()
        slapd.restart()
        assert ask(both).endswith(str(slapd.tls_port))


def test_when_all_are_dead_it_says_so_at_once(slapd: Slapd) -> None:
    slapd.stop()
    began = time.monotonic()
    with pytest.raises(IdpUnavailable):
        ask(servers(slapd))
    assert time.monotonic() - began < 3


def test_when_all_are_frozen_the_whole_time_is_not_exceeded(slapd: Slapd) -> None:
    slapd.freeze()
    began = time.monotonic()
    with pytest.raises(IdpUnavailable):
        ask(servers(slapd, slapd.address, slapd.plain_address, seconds=1))
    assert time.monotonic() - began < 1.9


@pytest.mark.parametrize("scheme", ["ldaps", "ldap"])
def test_a_server_that_drips_does_not_hold_a_bind(tmp_path: Path, scheme: str) -> None:
    certificates = make_certificates(tmp_path)

    def drip(connection: socket.socket) -> None:
        talk = connection if scheme == "ldap" else _tls(connection, certificates)
        with talk:
            talk.recv(4096)
            talk.sendall(b"\x30\x84\x00\x0f\xff\xff")
            while True:
                talk.sendall(b"\0")
                time.sleep(0.1)

    with listening(drip) as port:
        began = time.monotonic()
        with pytest.raises(IdpUnavailable):
            ask(Servers((f"{scheme}://127.0.0.1:{port}",), certificates.authority, 0.7))
        assert time.monotonic() - began < 3


def _tls(connection: socket.socket, certificates: Certificates) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context.wrap_socket(connection, server_side=True)


@pytest.mark.parametrize(
    "garbage", ["00", "3003020101", "30020201", "300502010161ff", "ff" * 40, "30840000000a" + "41" * 10]
)
def test_garbage_is_an_unavailable_server(tmp_path: Path, garbage: str) -> None:
    certificates = make_certificates(tmp_path)

    def answer(connection: socket.socket) -> None:
        with _tls(connection, certificates) as talk:
            talk.recv(4096)
            talk.sendall(bytes.fromhex(garbage))

    with listening(answer) as port, pytest.raises(IdpUnavailable):
        ask(Servers((f"ldaps://127.0.0.1:{port}",), certificates.authority, 1))


# Writes


def test_a_write_is_never_sent_twice(slapd: Slapd, tmp_path: Path) -> None:
    tried = []

    def write(session: Session) -> None:
        bind(session)
        tried.append(session.server)
        slapd.freeze()
        session.write_password(slapd.people["alice"].dn, "Quite-New-1")

    with Slapd(tmp_path / "second", certificates=slapd.certificates) as second:
        with pytest.raises(OutcomeUnknown):
            servers(slapd, slapd.address, second.address, seconds=4).run(write)
        assert second.accepts("alice", "Alice-Passw0rd")
    assert len(tried) == 1


def test_nothing_is_tried_elsewhere_after_a_write(slapd: Slapd, tmp_path: Path) -> None:
    tried = []

    def write_then_read(session: Session) -> None:
        bind(session)
        tried.append(session.server)
        assert session.write_password(slapd.people["alice"].dn, "Quite-New-Passw0rd-7").code == ldap.SUCCESS
        slapd.freeze()
        session.search(slapd.people["alice"].dn, "(objectClass=*)", ["uid"])

    with Slapd(tmp_path / "second", certificates=slapd.certificates) as second, pytest.raises(IdpUnavailable):
        servers(slapd, slapd.address, second.address, seconds=4).run(write_then_read)
    assert len(tried) == 1


def test_a_search_is_asked_again_on_the_next_server(slapd: Slapd, tmp_path: Path) -> None:
    tried = []

    def read(session: Session) -> str:
        bind(session)
        if not tried:
            slapd.freeze()
        tried.append(session.server)
        return session.search(slapd.people["alice"].dn, "(objectClass=*)", ["uid"])[0].first("uid")

    with Slapd(tmp_path / "second", certificates=slapd.certificates) as second:
        assert servers(slapd, slapd.address, second.address, seconds=6).run(read) == "alice"
    assert len(tried) == 2


# What it leaves behind


def test_no_connection_is_left_open(slapd: Slapd, tmp_path: Path) -> None:
    wrong = Servers((slapd.address,), make_certificates(tmp_path / "other").authority, 5)
    before = _open_files()
    for _ in range(5):
        ask(servers(slapd))
        ask(servers(slapd, slapd.plain_address))
        with pytest.raises(IdpMisconfigured):
            ask(wrong)
        with pytest.raises(IdpUnavailable):
            ask(servers(slapd, f"ldaps://127.0.0.1:{processes.free_port()}"))
        servers(slapd).run(lambda session: session.bind(SERVICE_DN, "wrong"))
    assert _open_files() <= before


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_small_messages_are_not_held_back(slapd: Slapd) -> None:
    pool = servers(slapd)
    took = []
    for _ in range(20):
        began = time.monotonic()
        ask(pool)
        took.append(time.monotonic() - began)
    # Nagle's algorithm with TLS 1.3 would cost 40 ms each time; a busy machine costs it now and then.
    assert min(took) < 0.04
