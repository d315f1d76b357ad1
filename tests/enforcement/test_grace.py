import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.grace import Postponement, may_postpone, still_postponed
from enforcement.policy import Rule
from store.people import Postponements
from tests.enforcement.making import DAY, NOW, SESSIONS, a_rule, later_in, postponements, rules

TODAY = NOW.date()


def graceful(**postpone: Any) -> Rule:
    return a_rule(postpone=postpone)


def test_without_grace_later_may_never_be_said() -> None:
    assert may_postpone(graceful(), Postponements(), now=NOW) == Postponement(False, 0, None)


@pytest.mark.parametrize(("said", "left"), [(0, 3), (1, 2), (2, 1), (3, 0), (4, 0)])
def test_later_may_be_said_as_often_as_the_rule_says(said: int, left: int) -> None:
    answer = may_postpone(graceful(times=3), later_in(*SESSIONS[:said]), now=NOW)
    assert answer == Postponement(left > 0, left, None)


@pytest.mark.parametrize(("days", "allowed"), [(1, True), (0, True), (-1, False)])
def test_later_may_be_said_until_the_end_of_the_last_day(days: int, allowed: bool) -> None:
    until = TODAY + days * DAY
    answer = may_postpone(graceful(times=3, until=until), Postponements(), now=NOW)
    assert answer == Postponement(allowed, 3 if allowed else 0, until)


def test_the_last_day_ends_at_midnight_utc_wherever_the_clock_is() -> None:
    rule = graceful(times=1, until=TODAY)
    midnight = dt.datetime.combine(TODAY + DAY, dt.time(), tzinfo=dt.UTC)
    elsewhere = dt.timezone(dt.timedelta(hours=14))
    last_moment = (midnight - dt.timedelta(microseconds=1)).astimezone(elsewhere)
    assert may_postpone(rule, Postponements(), now=last_moment).allowed
    assert not may_postpone(rule, Postponements(), now=midnight.astimezone(elsewhere)).allowed


def test_the_days_count_from_the_first_time() -> None:
    rule = graceful(times=9, days=7)
    assert may_postpone(rule, Postponements(), now=NOW).until == TODAY + 7 * DAY
    week_ago, day_more = NOW - 7 * DAY, NOW - 8 * DAY
    assert may_postpone(rule, later_in("s", first=week_ago), now=NOW).allowed
    assert not may_postpone(rule, later_in("s", first=day_more), now=NOW).allowed


def test_of_two_last_days_the_earlier_one_holds() -> None:
    rule = graceful(times=9, days=7, until=TODAY + 3 * DAY)
    assert may_postpone(rule, Postponements(), now=NOW).until == TODAY + 3 * DAY


def test_the_last_later_holds_for_its_own_session_and_for_no_other() -> None:
    rule, said = graceful(times=2), later_in("a", "b")
    assert still_postponed(rule, said, "a", now=NOW)
    assert still_postponed(rule, said, "b", now=NOW)
    assert not still_postponed(rule, said, "c", now=NOW)


def test_later_holds_no_longer_once_its_last_day_is_over() -> None:
    rule = graceful(times=2, until=TODAY)
    assert still_postponed(rule, later_in("a"), "a", now=NOW)
    assert not still_postponed(rule, later_in("a"), "a", now=NOW + DAY)


def test_later_holds_no_longer_once_the_rule_allows_fewer() -> None:
    assert not still_postponed(graceful(times=1), later_in("a", "b"), "a", now=NOW)


def test_a_sign_in_without_a_session_was_never_put_off() -> None:
    assert not still_postponed(graceful(times=9), later_in("", "a"), "", now=NOW)


@given(rule=rules(), said=postponements, session=st.sampled_from(SESSIONS))
def test_saying_later_where_it_may_be_said_holds_for_this_session(
    rule: Rule, said: Postponements, session: str
) -> None:
    if not may_postpone(rule, said, now=NOW).allowed:
        return
    sessions = [one for one in SESSIONS if said.includes(one)]
    after = later_in(*sessions, session, first=said.first_at or NOW)
    assert still_postponed(rule, after, session, now=NOW)


@given(rule=rules(), said=postponements)
def test_what_is_left_is_what_can_still_be_said(rule: Rule, said: Postponements) -> None:
    answer = may_postpone(rule, said, now=NOW)
    assert answer.allowed == (answer.left > 0)
    count, left = said.count, 0
    while may_postpone(rule, Postponements(count, said.first_at or NOW, frozenset()), now=NOW).allowed:
        count, left = count + 1, left + 1
    assert left == answer.left
