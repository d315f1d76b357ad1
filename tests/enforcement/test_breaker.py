import pytest

from enforcement.breaker import Breaker
from store.errors import StoreUnavailable


class Server:
    """A probe that can be told to fail, and a clock."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = 0
        self.second = 100.0

    def __call__(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error

    def time(self) -> float:
        return self.second


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def breaker(server: Server) -> Breaker:
    return Breaker([server], clock=server.time)


def test_it_is_closed_at_first_and_asks_nobody(breaker: Breaker, server: Server) -> None:
    assert not breaker.is_open()
    assert server.asked == 0


def test_it_opens_when_its_own_probe_fails_too(breaker: Breaker, server: Server) -> None:
    server.error = StoreUnavailable("database")
    assert breaker.failed()
    assert breaker.is_open()


def test_no_number_of_failing_requests_opens_it_while_the_probe_succeeds(
    breaker: Breaker, server: Server
) -> None:
    for _ in range(1000):
        server.second += 0.01
        assert not breaker.failed()
    assert not breaker.is_open()


def test_it_probes_at_most_once_a_second(breaker: Breaker, server: Server) -> None:
    for _ in range(100):
        server.second += 0.1
        breaker.failed()
    assert server.asked <= 11


def test_it_closes_after_five_seconds_when_the_probe_succeeds(breaker: Breaker, server: Server) -> None:
    server.error = StoreUnavailable("database")
    breaker.failed()
    server.error = None
    server.second += 4.9
    assert breaker.is_open()
    server.second += 0.1
    assert not breaker.is_open()


def test_it_stays_open_while_the_probe_fails(breaker: Breaker, server: Server) -> None:
    server.error = StoreUnavailable("database")
    breaker.failed()
    for _ in range(10):
        server.second += 5
        assert breaker.is_open()
    assert server.asked == 11


def test_one_of_several_probes_is_enough(server: Server) -> None:
    other = Server()
    breaker = Breaker([server, other], clock=server.time)
    other.error = OSError()
    assert breaker.failed()


def test_a_mistake_of_ours_in_a_probe_opens_nothing(breaker: Breaker, server: Server) -> None:
    server.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        breaker.failed()
    server.error = None
    assert not breaker.is_open()
