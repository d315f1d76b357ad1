import datetime as dt

import pytest

from store.expiring import Expiring
from store.spending import Budget, Spending
from tests.store.conftest import NOW
from tests.store.race import race

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def spending(expiring: Expiring) -> Spending:
    return Spending(expiring)


def money(amount: int, most: int = 100) -> Budget:
    return Budget("money", amount, most, HOUR)


def test_amounts_are_taken_until_the_budget_is_used_up(spending: Spending) -> None:
    taken = [spending.take([money(30)], now=NOW).allowed for _ in range(5)]
    assert taken == [True, True, True, False, False]
    assert spending.take([money(10)], now=NOW).allowed
    assert spending.take([money(0)], now=NOW).totals == {"money": 100}


def test_nothing_is_taken_unless_every_budget_allows(spending: Spending) -> None:
    refused = spending.take([Budget("messages", 1, 9, HOUR), money(101)], now=NOW)
    assert (refused.allowed, refused.exceeded) == (False, "money")
    assert refused.totals == {"messages": 0, "money": 0}
    assert spending.take([Budget("messages", 2, 9, HOUR), money(3)], now=NOW).totals == {
        "messages": 2,
        "money": 3,
    }


def test_what_was_spent_is_forgotten_after_its_window_and_not_before(spending: Spending) -> None:
    spending.take([money(100)], now=NOW)
    assert not spending.take([money(1)], now=NOW + HOUR - dt.timedelta(milliseconds=1)).allowed
    assert spending.take([money(1)], now=NOW + HOUR + MINUTE).allowed


def test_after_the_wait_it_is_allowed_and_not_a_millisecond_before(spending: Spending) -> None:
    spending.take([money(60)], now=NOW)
    spending.take([money(40)], now=NOW + 30 * MINUTE)
    wait = spending.take([money(50)], now=NOW + 31 * MINUTE).retry_after
    at = NOW + 31 * MINUTE + wait
    assert not spending.take([money(50)], now=at - dt.timedelta(milliseconds=1)).allowed
    assert spending.take([money(50)], now=at).allowed


def test_what_can_never_be_allowed_waits_for_a_window(spending: Spending) -> None:
    assert spending.take([money(101)], now=NOW).retry_after == HOUR + MINUTE


def test_fifty_at_once_take_no_more_than_there_is(spending: Spending) -> None:
    answers = race(lambda _: spending.take([money(3)]), runners=50)
    assert [each.allowed for each in answers].count(True) == 33
    assert max(each.totals["money"] for each in answers) == 99


def test_no_budgets_allow(spending: Spending) -> None:
    assert spending.take([]).allowed
