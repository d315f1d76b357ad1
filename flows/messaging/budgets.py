"""What may leave by each channel: countries, messages, money; and an alarm when far more leaves than usual.

Asked by the queue for every message just before it is sent, so that nobody who makes messages leave learns
of it (S5). Channels are known by name; one without settings of its own has no budget.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Literal

import phonenumbers
import structlog
from phonenumbers import NumberParseException

from flows.abuse.familiarity import Familiarity, shares
from flows.messaging.budget_settings import (
    BudgetsSettings,
    ChannelBudgetSettings,
    MailBudgetSettings,
    priced,
)
from store.audit import AuditAction
from store.database import Database
from store.expiring import Expiring
from store.spending import Budget, Spending, Spent
from store.totals import Totals

Refusal = Literal["", "country", "messages", "money"]
"""Why a message may not leave; empty where it may."""

REFUSED = "messages refused"
"""Total of what a budget or rule held back, by channel and why."""
SPIKES = "message spikes"
"""Total of alarms, by channel."""

_HOUR = dt.timedelta(hours=1)
_DAY = dt.timedelta(days=1)
_SHORT = dt.timedelta(minutes=10)
_USUAL = dt.timedelta(days=7)
_UNBOUNDED = 1 << 52
_RANGE_DIGITS = 3
"""Numbers that differ in their last digits alone are one range: whoever is paid for messages owns ranges."""
_PARTS_OF_MONEY = 10_000
"""Amounts are counted in these parts of the currency's unit."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Rates:
    """How much left by one channel."""

    recent: int
    """In the last ten minutes."""
    usual: float
    """In ten minutes of the week before, on average."""


def _tell_nobody(_channel: str, _count: int, _now: dt.datetime) -> None:
    """Leave it at the audit and the log."""


class Budgets:
    """The budgets of every channel; each message is one atomic operation."""

    def __init__(
        self,
        *,
        database: Database,
        expiring: Expiring,
        settings: BudgetsSettings,
        on_spike: Callable[[str, int, dt.datetime], None] = _tell_nobody,
    ) -> None:
        """Take the parts.

        Args:
            on_spike: Told the channel, how many messages left in ten minutes, and when; once an hour.
        """
        self._on_spike = on_spike
        self._database = database
        self._expiring = expiring
        self._spending = Spending(expiring)
        self._totals = Totals(expiring)
        self._of: Mapping[str, ChannelBudgetSettings | MailBudgetSettings] = {
            "sms": settings.sms,
            "voice": settings.voice,
            "email": settings.email,
        }

    def is_allowed_number(self, channel: str, number: str) -> bool:
        """Tell whether messages may go to a number at all, by its country and prefix.

        Args:
            channel: `sms` or `voice`.
            number: In E.164.
        """
        rules = self._of.get(channel)
        if not isinstance(rules, ChannelBudgetSettings):
            return True
        region = _region(number)
        if not region or number.startswith(rules.blocked_prefixes) or region in rules.blocked_countries:
            return False
        return not rules.countries or region in rules.countries

    def take(
        self,
        channel: str,
        to: str,
        *,
        now: dt.datetime,
        familiarity: Familiarity = Familiarity.KNOWN,
    ) -> Refusal:
        """Count one message that is about to leave.

        Args:
            channel: By whose name; `sms`, `voice` and `email` have budgets.
            to: A number in E.164, or an address.
            now: Aware UTC time.
            familiarity: Of whoever had it sent: strangers can use up a part of each budget only.

        Returns:
            Why it must not leave; then nothing was counted. Empty where it may.
        """
        rules = self._of.get(channel)
        if rules is None:
            return ""
        if not self.is_allowed_number(channel, to):
            return self._refused(channel, "country")
        spent = self._spending.take(_budgets(channel, rules, to, familiarity), now=now)
        if not spent.allowed:
            is_money = (spent.exceeded or "").startswith("money:")
            return self._refused(channel, "money" if is_money else "messages")
        self._watch(channel, rules, _rates(channel, spent), now)
        return ""

    def _refused(self, channel: str, why: Refusal) -> Refusal:
        self._totals.add(REFUSED, channel, why)
        _log.warning("message_refused", channel=channel, why=why)
        return why

    def _watch(
        self,
        channel: str,
        rules: ChannelBudgetSettings | MailBudgetSettings,
        rates: _Rates,
        now: dt.datetime,
    ) -> None:
        if rates.recent < max(rules.spike_least, rules.spike_times * rates.usual):
            return
        # Once an hour: an alarm that repeats itself with every message is switched off.
        if not self._expiring.once("spike told", channel, ttl=_HOUR):
            return
        _log.error("messages_spiked", channel=channel, recent=rates.recent, usual=round(rates.usual, 1))
        with self._database.transaction() as transaction:
            transaction.audit.record(
                AuditAction.MESSAGES_SPIKED,
                now=now,
                detail={"channel": channel, "recent": rates.recent, "usual": round(rates.usual)},
            )
        self._on_spike(channel, rates.recent, now)
        self._totals.add(SPIKES, channel)


def _rates(channel: str, spent: Spent) -> _Rates:
    recent, week = spent.totals[f"short:{channel}"], spent.totals[f"usual:{channel}"]
    return _Rates(recent, max(week - recent, 0) / (_USUAL / _SHORT))


def _budgets(
    channel: str, rules: ChannelBudgetSettings | MailBudgetSettings, to: str, familiarity: Familiarity
) -> list[Budget]:
    found = [
        Budget(f"short:{channel}", 1, _UNBOUNDED, _SHORT),
        Budget(f"usual:{channel}", 1, _UNBOUNDED, _USUAL),
    ]
    for key, amount, most, window in _bounds(channel, rules, to):
        # Security: people who are known here get theirs, whatever strangers have sent.
        for share, share_most in shares(familiarity, key, amount, most, rules.kept_percent):
            found.append(Budget(share, amount, share_most, window))
    return found


def _bounds(
    channel: str, rules: ChannelBudgetSettings | MailBudgetSettings, to: str
) -> Iterator[tuple[str, int, int, dt.timedelta]]:
    """Return each bound's name, what one message takes of it, its most and its window."""
    for most, window in ((rules.messages_per_hour, _HOUR), (rules.messages_per_day, _DAY)):
        if most:
            yield f"messages:{channel}:{window}", 1, most, window
    if not isinstance(rules, ChannelBudgetSettings):
        return
    if rules.messages_per_range:
        block = f"range:{channel}:{to.partition(';')[0][:-_RANGE_DIGITS]}"
        yield block, 1, rules.messages_per_range, _HOUR
    price = _parts(_price(rules, to))
    for amount, window in ((rules.money_per_hour, _HOUR), (rules.money_per_day, _DAY)):
        if amount:
            yield f"money:{channel}:{window}", price, _parts(Decimal(str(amount))), window


def _price(rules: ChannelBudgetSettings, number: str) -> Decimal:
    fitting = [entry for entry in map(priced, rules.prices) if number.startswith(entry[0])]
    return max(fitting, key=lambda entry: len(entry[0]))[1] if fitting else Decimal(str(rules.price))


def _parts(amount: Decimal) -> int:
    return int((amount * _PARTS_OF_MONEY).to_integral_value(ROUND_CEILING))


def _region(number: str) -> str:
    """Return the country of a number in E.164; empty where it has none, satellites among them."""
    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:
        return ""
    region = phonenumbers.region_code_for_number(parsed)
    return region if region and region != phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY else ""
