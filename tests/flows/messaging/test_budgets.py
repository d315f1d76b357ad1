"""What may leave by each channel, on a real Valkey."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from flows.messaging.budget_settings import BudgetsSettings
from flows.messaging.budgets import Budgets
from flows.messaging.dispatch import Dispatch
from flows.messaging.message import Message, MessageKind
from store.audit import AuditAction
from store.database import Database
from store.expiring import Expiring
from store.jobs import Jobs
from store.vault import Vault
from tests.flows.world import START, Clock, Outbox
from tests.servers.valkey import Valkey

DUTCH, BRITISH, PERSONAL = "+31612345678", "+447400123456", "+447012345678"
Open = Callable[..., Budgets]


@pytest.fixture
def database(tmp_path, empty) -> Any:
    file = tmp_path / "sparekey.db"
    file.write_bytes(empty.read_bytes())
    database = Database(f"sqlite:///{file}", Vault([b"k" * 32]))
    yield database
    database.dispose()


@pytest.fixture
def expiring(valkey: Valkey) -> Any:
    expiring = Expiring(valkey.url, Vault([b"k" * 32]))
    yield expiring
    expiring.close()


@pytest.fixture
def open_budgets(database: Database, expiring: Expiring) -> Open:
    def opened(**sms: object) -> Budgets:
        settings = BudgetsSettings.model_validate({"sms": sms})
        return Budgets(database=database, expiring=expiring, settings=settings)

    return opened


def taken(budgets: Budgets, times: int, to: str = DUTCH, channel: str = "sms") -> list[str]:
    return [budgets.take(channel, to, now=START) for _ in range(times)]


def test_messages_stop_at_the_hours_budget_and_go_on_afterwards(open_budgets: Open) -> None:
    budgets = open_budgets(messages_per_hour=3)
    assert taken(budgets, 4) == ["", "", "", "messages"]
    assert budgets.take("sms", DUTCH, now=START + dt.timedelta(minutes=62)) == ""


def test_messages_stop_at_the_days_budget(open_budgets: Open) -> None:
    budgets = open_budgets(messages_per_hour=0, messages_per_day=2)
    assert taken(budgets, 3) == ["", "", "messages"]
    assert budgets.take("sms", DUTCH, now=START + dt.timedelta(hours=23)) == "messages"


def test_money_is_counted_by_the_longest_prefix_of_the_number(open_budgets: Open) -> None:
    budgets = open_budgets(money_per_hour=1, price=0.9, prices=("+31 0.5", "+316 0.25"))
    assert taken(budgets, 5) == ["", "", "", "", "money"]


def test_a_number_without_a_price_of_its_own_costs_the_usual_price(open_budgets: Open) -> None:
    assert taken(open_budgets(money_per_day=1, price=0.6, prices=("+44 0.1",)), 2) == ["", "money"]


def test_parts_of_a_cent_are_counted(open_budgets: Open) -> None:
    assert taken(open_budgets(money_per_hour=0.01, price=0.0034), 3) == ["", "", "money"]


def test_each_channel_has_a_budget_of_its_own(open_budgets: Open) -> None:
    budgets = open_budgets(messages_per_hour=1)
    assert taken(budgets, 2) == ["", "messages"]
    assert taken(budgets, 1, channel="voice") == [""]
    assert taken(budgets, 1, to="ana@example.org", channel="email") == [""]
    assert taken(budgets, 1, to="anything", channel="pigeon") == [""]


@pytest.mark.parametrize(
    ("rules", "number", "allowed"),
    [
        ({}, DUTCH, True),
        ({"countries": ("NL",)}, DUTCH, True),
        ({"countries": ("NL",)}, BRITISH, False),
        ({"blocked_countries": ("GB",)}, BRITISH, False),
        ({"blocked_countries": ("GB",)}, DUTCH, True),
        ({"blocked_prefixes": ("+4470",)}, PERSONAL, False),
        ({"blocked_prefixes": ("+4470",)}, BRITISH, True),
        ({"countries": ("US",)}, "+12425550123", False),
        ({}, "+881612345678", False),
        ({}, "not a number", False),
        ({}, "", False),
    ],
)
def test_countries_and_prefixes_decide_where_messages_go(
    open_budgets: Open, rules: dict[str, object], number: str, allowed: bool
) -> None:
    budgets = open_budgets(**rules)
    assert budgets.is_allowed_number("sms", number) is allowed
    assert taken(budgets, 1, to=number) == ["" if allowed else "country"]


def test_a_refused_message_costs_nothing(open_budgets: Open) -> None:
    budgets = open_budgets(countries=("NL",), messages_per_hour=1)
    taken(budgets, 5, to=BRITISH)
    assert taken(budgets, 1) == [""]


@pytest.mark.parametrize(
    "sms",
    [
        {"countries": ("Netherlands",)},
        {"blocked_countries": ("nl",)},
        {"blocked_prefixes": ("0044",)},
        {"prices": ("+31",)},
        {"prices": ("31 0.1",)},
        {"prices": ("+31 -1",)},
        {"prices": ("+31 NaN",)},
    ],
)
def test_rules_that_cannot_be_read_are_refused_at_start(sms: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BudgetsSettings.model_validate({"sms": sms})


def test_a_spike_over_the_usual_rate_raises_one_alarm_an_hour(open_budgets: Open, database: Database) -> None:
    budgets = open_budgets(
        messages_per_hour=0, messages_per_day=0, money_per_hour=0, money_per_day=0, spike_least=5
    )
    # Usual: two in ten minutes, for a week.
    for tens in range(6 * 24 * 7):
        for _ in range(2):
            budgets.take("sms", DUTCH, now=START + tens * dt.timedelta(minutes=10))
    then = START + dt.timedelta(days=7, minutes=11)
    for number in range(30):
        assert len(alarms(database)) == (number >= 10)
        budgets.take("sms", DUTCH, now=then)
    (alarm,) = alarms(database)
    assert alarm.detail == {"channel": "sms", "recent": 10, "usual": 2}


def test_few_messages_are_no_spike_however_rare_they_are(open_budgets: Open, database: Database) -> None:
    taken(open_budgets(spike_least=5), 4)
    assert not alarms(database)


def test_the_queue_sends_nothing_that_a_budget_refuses_and_writes_it_down(
    open_budgets: Open, database: Database, expiring: Expiring, valkey: Valkey
) -> None:
    outbox, jobs = Outbox(), Jobs(valkey.url, expiring.vault)
    dispatch = Dispatch(
        jobs=jobs,
        database=database,
        channels={"sms": [outbox]},
        clock=Clock(),
        budgets=open_budgets(messages_per_hour=2),
    )
    jobs.register("message.send", dispatch.deliver)
    for _ in range(3):
        message = Message(
            to=DUTCH, channel="sms", subject="", text="text", kind=MessageKind.NOTICE, reference="7K2M-PQ4D"
        )
        dispatch.post(message, person_id=None)
    while jobs.drain(now=dt.datetime.now(dt.UTC)):
        pass
    jobs.stop()
    assert len(outbox.messages) == 2
    with database.reading() as transaction:
        (refused,) = transaction.audit.find(action=AuditAction.MESSAGE_REFUSED)
    told = {name: refused.detail[name] for name in ("kind", "channel", "why")}
    assert told == {"kind": "notice", "channel": "sms", "why": "messages"}


def alarms(database: Database) -> tuple[Any, ...]:
    with database.reading() as transaction:
        return transaction.audit.find(action=AuditAction.MESSAGES_SPIKED)
