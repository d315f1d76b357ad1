import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.counters import Counters, Limit, Verdict
from store.errors import StoreUnavailable
from store.expiring import Expiring
from store.valkey import EmbeddedValkey
from store.vault import Vault
from tests.servers.valkey import Valkey
from tests.store.conftest import MINUTE, NOW
from tests.store.race import race

SECOND = dt.timedelta(seconds=1)
ALLOWED = Verdict(allowed=True, retry_after=dt.timedelta(0), exceeded=None)


@pytest.fixture
def counters(expiring: Expiring) -> Counters:
    return Counters(expiring)


def test_as_many_are_allowed_as_the_limit_says(counters: Counters) -> None:
    limit = [Limit("typed:ana", 3, MINUTE)]
    assert [counters.hit(limit, now=NOW).allowed for _ in range(5)] == [True, True, True, False, False]


def test_a_refusal_names_the_limit_and_the_wait(counters: Counters) -> None:
    limit = Limit("typed:ana", 1, MINUTE)
    assert counters.hit([limit], now=NOW) == ALLOWED
    assert counters.hit([limit], now=NOW + 20 * SECOND) == Verdict(
        allowed=False, retry_after=40 * SECOND, exceeded="typed:ana"
    )


def test_it_says_how_many_more_the_tightest_limit_allows(counters: Counters) -> None:
    limits = [Limit("wide", 9, MINUTE), Limit("narrow", 3, MINUTE)]
    assert [counters.hit(limits, now=NOW).left for _ in range(4)] == [2, 1, 0, 0]
    assert counters.peek([Limit("wide", 9, MINUTE)], now=NOW).left == 6
    locked = [Limit("locked", 1, SECOND, lock=MINUTE)]
    assert [counters.hit(locked, now=NOW).left for _ in range(2)] == [0, 0]
    assert counters.peek(locked, now=NOW + 2 * SECOND).left == 0


def test_what_raises_a_limit_does_so_for_its_window(counters: Counters) -> None:
    limits = [Limit("plain", 9, MINUTE), Limit("answers", 2, MINUTE, raised_by="right")]
    assert [counters.hit(limits, now=NOW).left for _ in range(2)] == [1, 0]
    counters.hit([Limit("right", 100, MINUTE)], now=NOW + SECOND)
    assert [counters.hit(limits, now=NOW + SECOND).allowed for _ in range(2)] == [True, False]
    assert counters.count("plain", MINUTE, now=NOW + SECOND) == 3
    # The first two and what raised the limit are forgotten one second apart.
    assert counters.peek(limits, now=NOW + 60 * SECOND).left == 2
    assert counters.peek(limits, now=NOW + 61 * SECOND).left == 2


def test_the_window_slides_and_never_lets_a_burst_through_its_edge(counters: Counters) -> None:
    limit = [Limit("typed:ana", 2, MINUTE)]
    at = [NOW, NOW + 59 * SECOND, NOW + 60 * SECOND, NOW + 61 * SECOND, NOW + 119 * SECOND]
    assert [counters.hit(limit, now=moment).allowed for moment in at] == [True, True, True, False, True]


def test_after_exactly_the_wait_it_is_allowed_and_not_a_millisecond_before(counters: Counters) -> None:
    limit = [Limit("typed:ana", 1, MINUTE)]
    counters.hit(limit, now=NOW)
    wait = counters.hit(limit, now=NOW + SECOND).retry_after
    later = NOW + SECOND + wait
    assert not counters.peek(limit, now=later - dt.timedelta(milliseconds=1)).allowed
    assert counters.peek(limit, now=later).allowed


def test_nothing_is_counted_unless_every_limit_allows(counters: Counters) -> None:
    narrow, wide = Limit("narrow", 1, MINUTE), Limit("wide", 9, MINUTE)
    counters.hit([narrow, wide], now=NOW)
    for _ in range(3):
        assert not counters.hit([wide, narrow], now=NOW).allowed
    assert counters.count("wide", MINUTE, now=NOW) == 1


def test_of_several_limits_the_longest_wait_is_told(counters: Counters) -> None:
    short, long = Limit("short", 1, SECOND), Limit("long", 1, MINUTE)
    counters.hit([short, long], now=NOW)
    for limits in ([short, long], [long, short]):
        verdict = counters.hit(limits, now=NOW)
        assert (verdict.exceeded, verdict.retry_after) == ("long", MINUTE)


def test_peeking_counts_nothing(counters: Counters) -> None:
    limit = [Limit("typed:ana", 1, MINUTE)]
    assert [counters.peek(limit, now=NOW) for _ in range(3)] == [ALLOWED] * 3
    assert counters.count("typed:ana", MINUTE, now=NOW) == 0


def test_counts_are_of_the_window_asked_for(counters: Counters) -> None:
    for moment in (NOW, NOW + 30 * SECOND, NOW + 59 * SECOND):
        counters.hit([Limit("typed:ana", 9, MINUTE)], now=moment)
    later = NOW + 59 * SECOND
    counts = [counters.count("typed:ana", window, now=later) for window in (MINUTE, 30 * SECOND, 29 * SECOND)]
    assert counts == [3, 2, 1]


def test_what_is_forgotten_starts_again(counters: Counters) -> None:
    limit = [Limit("typed:ana", 1, MINUTE)]
    counters.hit(limit, now=NOW)
    counters.forget(["typed:ana", "never counted"])
    counters.forget([])
    assert counters.hit(limit, now=NOW).allowed


def test_no_limits_allow(counters: Counters) -> None:
    assert counters.hit([]) == ALLOWED


def test_without_a_time_the_servers_clock_counts(counters: Counters) -> None:
    limit = [Limit("typed:ana", 1, MINUTE)]
    assert counters.hit(limit).allowed
    verdict = counters.hit(limit)
    assert 50 * SECOND < verdict.retry_after <= MINUTE
    assert counters.count("typed:ana", MINUTE) == 1


def test_a_limit_that_was_lowered_waits_until_enough_are_past(counters: Counters) -> None:
    for second in range(5):
        counters.hit([Limit("typed:ana", 5, MINUTE)], now=NOW + second * SECOND)
    verdict = counters.hit([Limit("typed:ana", 2, MINUTE)], now=NOW + 10 * SECOND)
    assert verdict.retry_after == 53 * SECOND


def test_of_sixteen_threads_as_many_pass_as_the_limit_says(counters: Counters) -> None:
    limits = [Limit("typed:ana", 5, MINUTE), Limit("block:192.0.2", 7, MINUTE)]
    assert sum(race(lambda _: counters.hit(limits, now=NOW).allowed)) == 5
    assert counters.count("block:192.0.2", MINUTE, now=NOW) == 5


def test_counters_expire_and_tell_nobody_what_was_typed(counters: Counters, valkey: Valkey) -> None:
    counters.hit([Limit("typed:telltale", 5, MINUTE)])
    (key,) = valkey.client.keys()
    assert 50_000 < valkey.client.pttl(key) <= 60_000
    assert b"telltale" not in key
    assert b"telltale" not in valkey.client.dump(key)


def test_a_stopped_server_is_unavailable(tmp_path_factory: pytest.TempPathFactory, vault: Vault) -> None:
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    expiring = Expiring(server.start(), vault)
    counters = Counters(expiring)
    server.stop()
    with pytest.raises(StoreUnavailable):
        counters.hit([Limit("typed:ana", 1, MINUTE)])
    with pytest.raises(StoreUnavailable):
        counters.count("typed:ana", MINUTE)
    with pytest.raises(StoreUnavailable):
        counters.forget(["typed:ana"])
    expiring.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    most=st.integers(1, 4),
    window=st.integers(1, 30),
    pauses=st.lists(st.integers(0, 20), min_size=1, max_size=25),
)
def test_the_window_is_exact(counters: Counters, most: int, window: int, pauses: list[int]) -> None:
    counters.forget(["modelled"])
    limit, second, counted = Limit("modelled", most, window * SECOND), 0, list[int]()
    for pause in pauses:
        second += pause
        inside = [hit for hit in counted if hit > second - window]
        verdict = counters.hit([limit], now=NOW + second * SECOND)
        assert verdict.allowed == (len(inside) < most)
        if verdict.allowed:
            counted.append(second)
        else:
            assert verdict.retry_after == (inside[-most] + window - second) * SECOND


def test_a_lock_begins_with_the_first_refusal_and_ends_by_itself(counters: Counters) -> None:
    limit = [Limit("typed:ana", 1, MINUTE, lock=10 * MINUTE)]
    counters.hit(limit, now=NOW)
    assert counters.hit(limit, now=NOW + SECOND).retry_after == 10 * MINUTE
    assert counters.hit(limit, now=NOW + 5 * MINUTE).retry_after == 5 * MINUTE + SECOND
    assert counters.hit(limit, now=NOW + SECOND + 10 * MINUTE).allowed


def test_looking_begins_no_lock(counters: Counters) -> None:
    limit = [Limit("typed:ana", 1, MINUTE, lock=10 * MINUTE)]
    counters.hit(limit, now=NOW)
    assert not counters.peek(limit, now=NOW + SECOND).allowed
    assert counters.hit(limit, now=NOW + MINUTE).allowed


def test_a_lock_is_no_hit_and_shortens_no_window(counters: Counters) -> None:
    limit = Limit("typed:ana", 2, 60 * MINUTE, lock=60 * MINUTE)
    for minutes in (0, 50):
        counters.hit([limit], now=NOW + minutes * MINUTE)
    assert not counters.hit([limit], now=NOW + 51 * MINUTE).allowed
    assert counters.count(limit.key, limit.window, now=NOW + 52 * MINUTE) == 2
    assert counters.count(limit.key, limit.window, now=NOW + 70 * MINUTE) == 1


def test_fifty_at_once_count_as_fifty(counters: Counters) -> None:
    limit = [Limit("typed:ana", 1000, MINUTE)]
    race(lambda _: counters.hit(limit), runners=50)
    assert counters.count("typed:ana", MINUTE) == 50
