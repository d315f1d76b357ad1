import datetime as dt

import pytest

from flows.errors import TooManyAttempts
from flows.settings import LimitSettings
from flows.throttle import Throttle, address_block
from store.counters import Counters
from store.expiring import Expiring
from store.vault import Vault
from tests.flows.world import START
from tests.servers.valkey import Valkey


@pytest.fixture
def throttle(valkey: Valkey):
    expiring = Expiring(valkey.url, Vault([b"k" * 32]))
    yield Throttle(Counters(expiring), LimitSettings(work_difficulty=1000, starts_per_minute=3))
    expiring.close()


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("192.0.3.7", "192.0.3.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2ff:a:b:c:d", "2001:db8:1:200::/56"),
        ("2001:db8:1:2aa::1", "2001:db8:1:200::/56"),
        ("2001:db8:1:300::1", "2001:db8:1:300::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("192.0.2.7, 198.51.100.1", "unknown"),
    ],
)
def test_addresses_count_by_their_block(address: str, block: str) -> None:
    assert address_block(address) == block


def test_work_doubles_with_every_full_budget_of_starts(throttle: Throttle) -> None:
    seen = []
    for _ in range(9):
        seen.append(throttle.work_difficulty("192.0.2.7", START))
        throttle.start("192.0.2.7", START, waited=False)
    assert seen == [1000, 1000, 1000, 2000, 2000, 2000, 4000, 4000, 4000]


def test_work_gets_easy_again_after_a_minute(throttle: Throttle) -> None:
    for _ in range(6):
        throttle.start("192.0.2.7", START, waited=False)
    assert throttle.work_difficulty("192.0.2.7", START + dt.timedelta(seconds=61)) == 1000


def test_a_noisy_neighbour_outside_the_block_changes_nothing(throttle: Throttle) -> None:
    for _ in range(6):
        throttle.start("198.51.100.9", START, waited=False)
    assert throttle.work_difficulty("192.0.2.7", START) == 1000


def test_starts_are_refused_only_at_ten_times_the_budget(throttle: Throttle) -> None:
    for _ in range(30):
        throttle.start("192.0.2.7", START, waited=False)
    with pytest.raises(TooManyAttempts) as refused:
        throttle.start("192.0.2.200", START, waited=False)
    assert refused.value.retry_after == dt.timedelta(minutes=1)


def test_waiting_instead_of_working_has_the_tighter_budget(throttle: Throttle) -> None:
    for _ in range(3):
        throttle.start("192.0.2.7", START, waited=True)
    with pytest.raises(TooManyAttempts):
        throttle.start("192.0.2.7", START, waited=True)
    throttle.start("192.0.2.7", START, waited=False)


def test_the_wait_grows_with_every_one_that_was_used(throttle: Throttle) -> None:
    assert throttle.waiting("192.0.2.7", START) == dt.timedelta(seconds=20)
    assert throttle.waiting("192.0.2.7", START) == dt.timedelta(seconds=20)
    throttle.start("192.0.2.7", START, waited=True)
    assert throttle.waiting("192.0.2.7", START) == dt.timedelta(seconds=40)


def test_right_answers_leave_room_for_as_many_wrong_ones_as_before(throttle: Throttle) -> None:
    for _ in range(10):
        throttle.answer("typed", START)
        throttle.right("typed", "person", START)
    for _ in range(5):
        throttle.answer("typed", START)
    with pytest.raises(TooManyAttempts):
        throttle.answer("typed", START)


def test_wrong_answers_are_forgotten_after_a_day(throttle: Throttle) -> None:
    for _ in range(5):
        throttle.answer("typed", START)
    with pytest.raises(TooManyAttempts):
        throttle.may_answer("typed", START + dt.timedelta(hours=23))
    throttle.may_answer("typed", START + dt.timedelta(hours=24, seconds=1))
