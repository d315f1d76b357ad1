import contextlib
import datetime as dt
from collections.abc import Iterator

import pytest

from flows.abuse.throttle import Throttle, address_block
from flows.errors import TooManyAttempts
from flows.settings import LimitSettings
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


def test_starts_are_refused_only_at_a_hundred_times_the_budget(throttle: Throttle) -> None:
    for _ in range(300):
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


def test_a_known_device_starts_whatever_its_neighbours_do(throttle: Throttle) -> None:
    for _ in range(300):
        throttle.start("192.0.2.7", START, waited=False)
    for _ in range(3):
        throttle.start("192.0.2.7", START, waited=True, device="mine")
    assert throttle.work_difficulty("192.0.2.7", START) == 1000 << 6


def test_part_of_the_messages_is_kept_for_known_devices(throttle: Throttle) -> None:
    strangers = [throttle.code_to_person("ana", "reset", START) for _ in range(40)]
    known = [throttle.code_to_person("ana", "reset", START, known=True) for _ in range(40)]
    assert (strangers.count(True), known.count(True)) == (5, 2)


def test_known_devices_never_get_more_than_the_whole_budget(throttle: Throttle) -> None:
    known = [throttle.code_to_person("ana", "reset", START, known=True) for _ in range(40)]
    assert known.count(True) == 7
    assert not throttle.code_to_person("ana", "reset", START)


def test_a_destination_has_its_own_limit_whoever_it_belongs_to(throttle: Throttle) -> None:
    got = [throttle.code_to_person(f"person-{n}", "reset", START, destination="there") for n in range(40)]
    assert got.count(True) == 10
    assert throttle.code_to_person("person-1", "reset", START, destination="elsewhere")


def test_who_types_an_address_uses_up_no_more_than_half_of_its_codes(throttle: Throttle) -> None:
    for _ in range(5):
        throttle.code_to_destination("there", START)
    with pytest.raises(TooManyAttempts):
        throttle.code_to_destination("there", START)
    got = [throttle.code_to_person(f"person-{n}", "reset", START, destination="there") for n in range(10)]
    assert got.count(True) == 5


def test_success_forgets_answers_attempts_and_codes_of_its_purpose(valkey: Valkey) -> None:
    with opened(valkey, attempts_per_hour=1) as throttle:
        for purpose in ("reset", "unlock"):
            for _ in range(7):
                throttle.code_to_person("ana", purpose, START, known=True)
        throttle.start("192.0.2.7", START, waited=False, who="typed")
        for _ in range(5):
            throttle.answer("typed", START)
        throttle.succeeded({"typed"}, {"ana"}, "reset")
        throttle.start("192.0.2.7", START, waited=False, who="typed")
        throttle.answer("typed", START)
        assert throttle.code_to_person("ana", "reset", START)
        assert not throttle.code_to_person("ana", "unlock", START, known=True)


def test_the_preset_locks_for_a_day_after_five_in_an_hour(valkey: Valkey) -> None:
    with opened(valkey, preset="azure-ad-2017") as throttle:
        for _ in range(5):
            throttle.answer("typed", START)
        with pytest.raises(TooManyAttempts) as refused:
            throttle.answer("typed", START + dt.timedelta(minutes=1))
        assert refused.value.retry_after == dt.timedelta(hours=24)
        with pytest.raises(TooManyAttempts):
            throttle.may_answer("typed", START + dt.timedelta(hours=24))
        throttle.answer("typed", START + dt.timedelta(hours=24, minutes=1))


def test_without_a_sixth_the_preset_forgets_after_an_hour(valkey: Valkey) -> None:
    with opened(valkey, preset="azure-ad-2017") as throttle:
        for _ in range(2):
            for _ in range(5):
                throttle.answer("typed", START)
            throttle.succeeded({"typed"}, (), "reset")
        for hours in range(3):
            for _ in range(5):
                throttle.answer("typed", START + dt.timedelta(hours=hours))


def test_what_is_set_beside_a_preset_holds() -> None:
    limits = LimitSettings.model_validate({"preset": "azure-ad-2017", "lock_hours": 2})
    assert (limits.lock_hours, limits.wrong_answers_hours, limits.attempts_per_hour) == (2, 1, 5)
    assert LimitSettings().attempts_per_hour == LimitSettings().lock_hours == 0


@contextlib.contextmanager
def opened(valkey: Valkey, **limits: object) -> Iterator[Throttle]:
    expiring = Expiring(valkey.url, Vault([b"k" * 32]))
    yield Throttle(Counters(expiring), LimitSettings.model_validate(limits))
    expiring.close()


def test_many_known_devices_of_one_person_have_three_times_the_answers_together(throttle: Throttle) -> None:
    believed = [
        throttle.answer_of_person(f"ana:device:{number // 5}", START, besides="ana:devices")
        for number in range(20)
    ]
    assert believed == [True] * 15 + [False] * 5
    throttle.right("typed", "ana:device:4", START, besides="ana:devices")
    assert throttle.answer_of_person("ana:device:4", START, besides="ana:devices")
