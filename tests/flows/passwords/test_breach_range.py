import hashlib
import logging
import socket

import pytest

from flows.passwords.breach_range import RangeService
from flows.passwords.breaches import BreachesUnavailable
from flows.passwords.settings import BreachSettings
from gateway import logs
from tests.servers.range_service import RangeServer

LEAKED = "four words of a leak"


@pytest.fixture
def service(range_server: RangeServer):
    range_server.leak(LEAKED, 3)
    service = RangeService(range_server.address, seconds=1)
    yield service
    service.close()


def test_a_leaked_password_is_found_and_another_is_not(service: RangeService) -> None:
    assert service.have(LEAKED)
    assert not service.have("four words of nobody")


def test_five_digits_leave_and_nothing_else(service: RangeService, range_server: RangeServer) -> None:
    service.have(LEAKED)
    ((path, headers),) = range_server.asked
    digest = hashlib.sha1(LEAKED.encode()).hexdigest().upper()
    assert path == f"/range/{digest[:5]}"
    assert headers["add-padding"] == "true"
    assert "cookie" not in headers
    assert not any(digest[5:12] in value.upper() for value in (path, *headers.values()))


def test_padding_is_no_leak(service: RangeService, range_server: RangeServer) -> None:
    range_server.leak("padded", 0)
    assert not service.have("padded")


def test_how_often_it_must_have_been_seen_is_a_setting(range_server: RangeServer) -> None:
    range_server.leak(LEAKED, 3)
    for at_least, found in ((3, True), (4, False)):
        service = RangeService(range_server.address, seconds=1, at_least=at_least)
        assert service.have(LEAKED) is found
        service.close()


@pytest.mark.parametrize(
    ("mood", "why"),
    [
        ("status", "status 503"),
        ("redirect", "status 302"),
        ("nonsense", "nonsense"),
        ("empty", "nonsense"),
        ("huge", "too large"),
        ("drip", "too slow"),
        ("cut", "RemoteProtocolError"),
    ],
)
def test_whatever_is_no_range_is_a_fault(
    service: RangeService, range_server: RangeServer, mood: str, why: str
) -> None:
    range_server.mood = mood
    with pytest.raises(BreachesUnavailable, match=why):
        service.have(LEAKED)
    assert [path for path, _headers in range_server.asked if not path.startswith("/range/")] == []


def test_after_a_fault_the_service_is_left_alone_for_a_while(
    service: RangeService, range_server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    range_server.mood = "status"
    for _question in range(3):
        with pytest.raises(BreachesUnavailable):
            service.have(LEAKED)
    assert len(range_server.asked) == 1
    range_server.mood = ""
    monkeypatch.setattr("flows.passwords.breach_range._PAUSE", 0)
    service._silent_until = 0.0
    assert service.have(LEAKED)


def test_nobody_listening_is_a_fault() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = RangeService(f"http://127.0.0.1:{port}", seconds=1)
    with pytest.raises(BreachesUnavailable, match="ConnectError"):
        service.have(LEAKED)
    service.close()


def test_no_digit_of_the_digest_is_logged(
    service: RangeService, range_server: RangeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.handlers, root.level
    logs.configure(logging.DEBUG)
    try:
        service.have(LEAKED)
        range_server.mood = "status"
        with pytest.raises(BreachesUnavailable):
            service.have(LEAKED)
    finally:
        root.handlers, root.level = before
    told = "".join(capfd.readouterr())
    assert hashlib.sha1(LEAKED.encode()).hexdigest()[:5] not in told.lower()
    assert LEAKED not in told


@pytest.mark.parametrize(
    "address", ["http://ranges.example.org", "ftp://127.0.0.1", "ranges", "http://127.0.0.1.example.org"]
)
def test_a_service_beyond_loopback_is_asked_by_https_alone(address: str) -> None:
    with pytest.raises(ValueError, match="https"):
        BreachSettings(api=address)
