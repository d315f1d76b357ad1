"""Strangers use up their part of what text messages may cost, and never that of people who are known."""

from typing import Any

import pytest

from flows.abuse.familiarity import Familiarity, shares
from flows.messaging.budget_settings import BudgetsSettings
from flows.messaging.budgets import Budgets
from flows.typed_name import digest_of
from store.audit import AuditAction
from tests.flows.test_phones import DOCUMENT, MOBILE, bind, send, text_code
from tests.flows.test_races import at_once
from tests.flows.world import START, World

FIFTY = 50
TYPED, REGISTERED, KNOWN = Familiarity.TYPED, Familiarity.REGISTERED, Familiarity.KNOWN


def number(place: int) -> str:
    """A number in a range of its own."""
    return f"+3161{place:04}678"


@pytest.fixture
def ten(make_world: Any) -> World:
    """Ten text messages an hour for everybody."""
    return make_world(document=DOCUMENT, sms_budget={"messages_per_hour": 10})


def budgets(world: World, **sms: object) -> Budgets:
    settings = BudgetsSettings.model_validate({"sms": {"money_per_hour": 0, "money_per_day": 0, **sms}})
    return Budgets(database=world.database, expiring=world.expiring, settings=settings)


def taken(opened: Budgets, familiarity: Familiarity, to: str = "") -> int:
    """Have fifty sent at once, each to a range of its own unless one is named; return how many may leave."""
    refusals = at_once(
        lambda place: opened.take("sms", to or number(place), now=START, familiarity=familiarity), many=FIFTY
    )
    return refusals.count("")


def refused(world: World) -> int:
    return len(world.audited(AuditAction.MESSAGE_REFUSED))


@pytest.mark.parametrize(
    "bound",
    [
        {"messages_per_hour": 20},
        {"messages_per_hour": 0, "messages_per_day": 20},
        {"messages_per_hour": 0, "price": 0.5, "money_per_hour": 10},
        {"messages_per_hour": 0, "price": 0.5, "money_per_day": 10},
    ],
)
def test_fifty_at_once_to_many_ranges_leave_a_half_and_a_quarter(world: World, bound: dict[str, Any]) -> None:
    opened = budgets(world, **bound)
    assert [taken(opened, each) for each in (TYPED, REGISTERED, KNOWN)] == [10, 5, 5]


def test_fifty_at_once_to_one_range_leave_a_part_of_it_too(world: World) -> None:
    opened = budgets(world, messages_per_hour=0, messages_per_range=20)
    assert [taken(opened, each, MOBILE) for each in (TYPED, REGISTERED, KNOWN)] == [10, 5, 5]


def test_what_people_who_are_known_have_sent_is_everybodys(world: World) -> None:
    opened = budgets(world, messages_per_hour=20)
    assert [taken(opened, each) for each in (KNOWN, REGISTERED, TYPED)] == [20, 0, 0]


def test_nothing_is_kept_where_the_settings_say_so(world: World) -> None:
    assert taken(budgets(world, messages_per_hour=20, kept_percent=0), TYPED) == 20


@pytest.mark.parametrize("most", [1, 2, 3, 4, 7])
def test_no_part_of_a_small_budget_is_shut(most: int) -> None:
    for familiarity in Familiarity:
        assert all(1 <= each <= most for _, each in shares(familiarity, "messages", 1, most, 45))


def test_no_part_is_smaller_than_one_dear_message(world: World) -> None:
    opened = budgets(world, messages_per_hour=0, price=0.9, money_per_hour=1)
    assert taken(opened, TYPED) == 1


def test_numbers_typed_by_the_thousand_leave_messages_to_who_has_registered_one(ten: World) -> None:
    ten.a_person("jane")
    bind(ten, "jane")
    for place in range(10):
        member = ten.member(ten.a_person(f"mallory{place}").username, session=f"session-{place}")
        ten.recovery.registration.begin(member, "mobile_phone", number(place), now=ten.now)
        ten.drain()
    assert refused(ten) == 10 - 4
    attempt = ten.start("jane")
    send(ten, attempt, MOBILE)
    ten.verify(attempt, text_code(ten))


def test_resets_for_every_name_leave_messages_to_who_is_known_here(ten: World) -> None:
    ten.a_person("jane")
    bind(ten, "jane")
    token = ten.recovery.devices.remember("", [digest_of(ten.vault, "jane")], ten.person_id("jane"), ten.now)
    for place in range(8):
        ten.a_person(f"mallory{place}")
        bind(ten, f"mallory{place}", number(place))
        ten.clock.forward(minutes=62)
    for place in range(8):
        attempt = ten.start(f"mallory{place}", browser=f"browser-{place}")
        ten.journey("reset").send(
            attempt.id, "mobile_phone", browser=f"browser-{place}", address="", now=ten.now,
            destination=number(place),
        )  # fmt: skip
        ten.drain()
    assert refused(ten) == 0
    stranger, own = ten.start("jane", browser="stranger"), ten.start("jane", device=token)
    ten.journey("reset").send(
        stranger.id, "mobile_phone", browser="stranger", address="", now=ten.now, destination=MOBILE
    )
    ten.drain()
    assert refused(ten) == 1
    ten.clock.forward(seconds=61)
    send(ten, own, MOBILE)
    assert refused(ten) == 1
    ten.verify(own, text_code(ten))
