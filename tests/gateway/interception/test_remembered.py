"""Remembered requests: at once in memory, soon in Valkey, never without bound, never ambiguous."""

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.interception.authorization_request import AuthorizationRequest, read_request
from gateway.interception.remembered import (
    FLUSHED_BYTES_PER_SECOND,
    FLUSHED_PER_SECOND,
    KEPT_PER_BROWSER,
    RememberedRequests,
)
from gateway.interception.sign_in_metrics import UNSAVED_REQUESTS
from store.errors import StoreUnavailable
from store.expiring import Expiring
from store.valkey import EmbeddedValkey
from store.vault import Vault
from tests.servers.valkey import Valkey

CALLBACK = "https://app.example.org/cb"


def request(state: str = "s", client: str = "app", more: str = "") -> AuthorizationRequest:
    found = read_request(f"/auth?client_id={client}&redirect_uri={CALLBACK}&state={state}{more}".encode())
    assert found
    return found


@pytest.fixture
def expiring(valkey: Valkey) -> Iterator[Expiring]:
    expiring = Expiring(valkey.url, Vault([secrets.token_bytes(32)]))
    yield expiring
    expiring.close()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def remember(remembered: RememberedRequests, *made: tuple[str, AuthorizationRequest]) -> None:
    async def run() -> None:
        for browser, each in made:
            remembered.remember(browser, each.target)
        await remembered.close()

    asyncio.run(run())


def test_a_request_is_found_at_once_and_elsewhere_soon(
    expiring: Expiring, executor: ThreadPoolExecutor
) -> None:
    here, there = RememberedRequests(expiring, executor), RememberedRequests(expiring, executor)

    async def run() -> None:
        here.remember("browser", request().target)
        assert here.matching("browser", CALLBACK, "s") == request()
        assert there.matching("browser", CALLBACK, "s") is None
        await here.close()

    asyncio.run(run())
    assert there.matching("browser", CALLBACK, "s") == request()


def test_another_browser_finds_nothing(expiring: Expiring, executor: ThreadPoolExecutor) -> None:
    remembered = RememberedRequests(expiring, executor)
    remember(remembered, ("browser", request()))
    assert remembered.matching("another", CALLBACK, "s") is None
    assert remembered.matching("", CALLBACK, "s") is None


def test_two_clients_with_one_address_and_state_are_nobody(
    expiring: Expiring, executor: ThreadPoolExecutor
) -> None:
    here, there = RememberedRequests(expiring, executor), RememberedRequests(expiring, executor)
    remember(here, ("browser", request()), ("browser", request(client="other")))
    assert here.matching("browser", CALLBACK, "s") is None
    assert there.matching("browser", CALLBACK, "s") is None


def test_the_newest_of_one_client_counts(expiring: Expiring, executor: ThreadPoolExecutor) -> None:
    remembered = RememberedRequests(expiring, executor)
    remember(remembered, ("browser", request()), ("browser", request(more="&prompt=login")))
    assert remembered.matching("browser", CALLBACK, "s") == request(more="&prompt=login")


def test_a_browser_keeps_a_few(expiring: Expiring, executor: ThreadPoolExecutor) -> None:
    here, there = RememberedRequests(expiring, executor), RememberedRequests(expiring, executor)
    remember(here, *(("browser", request(str(number))) for number in range(KEPT_PER_BROWSER + 1)))
    for remembered in (here, there):
        assert remembered.matching("browser", CALLBACK, "0") is None
        assert remembered.matching("browser", CALLBACK, "1") == request("1")


def test_memory_is_bounded(expiring: Expiring, executor: ThreadPoolExecutor) -> None:
    remembered = RememberedRequests(expiring, executor, most_browsers=3)
    remember(remembered, *((f"browser{number}", request()) for number in range(10)))
    assert len(remembered._local) == 3


def test_memory_is_bounded_in_bytes_and_the_oldest_go_first(
    expiring: Expiring, executor: ThreadPoolExecutor
) -> None:
    size = len(request(more="&x=" + "y" * 2000).target)
    remembered = RememberedRequests(expiring, executor, most_bytes=3 * size)
    big = [(f"browser{number}", request(more="&x=" + "y" * 2000)) for number in range(5)]
    remember(remembered, *big)
    assert list(remembered._local) == ["browser2", "browser3", "browser4"]
    assert remembered._bytes == 3 * size


def test_what_is_old_leaves_memory_when_something_new_comes(
    expiring: Expiring, executor: ThreadPoolExecutor
) -> None:
    now = [0.0]
    remembered = RememberedRequests(expiring, executor, seconds=lambda: now[0])
    remember(remembered, ("old", request()), ("both", request("0")))
    now[0] = 1801
    remember(remembered, ("both", request("1")), ("new", request()))
    assert list(remembered._local) == ["both", "new"]
    assert len(remembered._local["both"]) == 1
    assert remembered._bytes == 2 * len(request().target)


def test_a_flood_of_long_requests_does_not_fill_valkey(
    expiring: Expiring, executor: ThreadPoolExecutor
) -> None:
    remembered = RememberedRequests(expiring, executor, seconds=lambda: 5.0)
    long = request(more="&x=" + "y" * 3900)
    flood = FLUSHED_BYTES_PER_SECOND // len(long.target) + 20
    assert flood < FLUSHED_PER_SECOND
    remember(remembered, *((f"browser{number}", long) for number in range(flood)))
    assert 0 < len(expiring.client.keys("*")) * len(long.target) <= FLUSHED_BYTES_PER_SECOND


def test_a_flood_does_not_fill_valkey(expiring: Expiring, executor: ThreadPoolExecutor) -> None:
    remembered = RememberedRequests(expiring, executor, seconds=lambda: 5.0)
    before = UNSAVED_REQUESTS._value.get()
    flood = FLUSHED_PER_SECOND + 50
    remember(remembered, *((f"browser{number}", request()) for number in range(flood)))
    assert UNSAVED_REQUESTS._value.get() - before == 50
    assert len(expiring.client.keys("*")) == FLUSHED_PER_SECOND
    assert remembered.matching(f"browser{flood - 1}", CALLBACK, "s")


def test_nothing_readable_reaches_valkey(expiring: Expiring, executor: ThreadPoolExecutor) -> None:
    remember(RememberedRequests(expiring, executor), ("browser-id", request("topsecret")))
    names = b"".join(expiring.client.keys("*"))
    values = b"".join(
        value for name in expiring.client.keys("*") for value in expiring.client.lrange(name, 0, -1)
    )
    assert b"browser-id" not in names
    assert b"topsecret" not in values


def test_a_request_grows_old(expiring: Expiring, executor: ThreadPoolExecutor) -> None:
    now = [0.0]
    remembered = RememberedRequests(expiring, executor, seconds=lambda: now[0])
    remember(remembered, ("browser", request()))
    expiring.client.flushall()
    now[0] = 1799
    assert remembered.matching("browser", CALLBACK, "s")
    now[0] = 1801
    assert remembered.matching("browser", CALLBACK, "s") is None


def test_without_valkey_memory_still_serves(
    executor: ThreadPoolExecutor, short_folder: EmbeddedValkey
) -> None:
    expiring = Expiring(short_folder.start(), Vault([secrets.token_bytes(32)]))
    short_folder.stop()
    remembered = RememberedRequests(expiring, executor)
    before = UNSAVED_REQUESTS._value.get()
    remember(remembered, ("browser", request()))
    assert UNSAVED_REQUESTS._value.get() == before + 1
    assert remembered.matching("browser", CALLBACK, "s")
    with pytest.raises(StoreUnavailable):
        remembered.matching("browser", CALLBACK, "other")
    expiring.close()


@pytest.fixture
def short_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path_factory.mktemp("v"))
    yield server
    server.stop()


def test_a_pushed_request_of_this_moment_is_found_beside_older_ones_in_valkey(
    expiring: Expiring, executor: ThreadPoolExecutor
) -> None:
    remembered = RememberedRequests(expiring, executor)
    older, pushed = request().target, "/auth?client_id=app&request_uri=urn%3Apushed%3A1"
    remember(remembered, ("browser", request()))

    async def run() -> None:
        remembered.remember("browser", pushed)
        found = remembered.matching("browser", CALLBACK, "another", step_client="app")
        assert found
        assert found.target == pushed
        await remembered.close()

    asyncio.run(run())
    assert remembered.is_newest("browser", pushed)
    assert not remembered.is_newest("browser", older)
    assert not remembered.is_newest("another", pushed)
    assert RememberedRequests(expiring, executor).is_newest("browser", pushed)
