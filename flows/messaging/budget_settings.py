"""Settings of what messages may cost, and where they may go."""

import re
from decimal import Decimal, InvalidOperation

from pydantic import Field, field_validator

from store.settings import Section

_COUNTRY = re.compile(r"[A-Z]{2}")
_PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")


class ChannelBudgetSettings(Section):
    """What leaves by one channel. Limits per person come first; these bound what all together can cost."""

    messages_per_hour: int = Field(default=200, ge=0, le=10_000_000)
    """Messages of everybody together, notices too; 0 for any number."""
    messages_per_day: int = Field(default=1000, ge=0, le=10_000_000)
    """The same for 24 hours."""
    messages_per_range: int = Field(default=20, ge=0, le=1_000_000)
    """Messages an hour to numbers that differ in their last three digits alone; 0 for any number. Whoever is
    paid for messages to numbers of his own owns whole ranges; so may your company's telephones, though."""
    money_per_hour: float = Field(default=20, ge=0, le=1_000_000)
    """What messages may cost in an hour, in the currency that the prices are in; 0 for any amount."""
    money_per_day: float = Field(default=60, ge=0, le=1_000_000)
    """The same for 24 hours."""
    kept_percent: int = Field(default=25, ge=0, le=45)
    """How much of each of these is kept from strangers: codes to registered numbers that anybody asks for use
    up the rest at most, and messages to numbers that are new, or asked for by the number alone, leave twice
    as much. The whole is for people in a browser that is known for them, the helpdesk and notices."""
    price: float = Field(default=0.1, ge=0, le=100)
    """Of one message where `prices` names no prefix of the number."""
    prices: tuple[str, ...] = ()
    """Of one message by prefix, like `+31 0.085`; the longest prefix of a number decides."""
    countries: tuple[str, ...] = ()
    """ISO 3166 codes of the only countries that messages go to, like `NL`; all where none is named. Name
    those where your people live: most fraud with messages sends them elsewhere."""
    blocked_countries: tuple[str, ...] = ()
    """Countries that messages never go to."""
    blocked_prefixes: tuple[str, ...] = ()
    """Beginnings of numbers that messages never go to, like `+4470`."""
    spike_times: float = Field(default=5, ge=1.5, le=1000)
    """An alarm is raised when ten minutes bring so many times the messages of usual ten minutes; usual is
    the week before."""
    spike_least: int = Field(default=30, ge=1, le=1_000_000)
    """Fewer messages in ten minutes never raise the alarm."""

    @field_validator("countries", "blocked_countries")
    @classmethod
    def _codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_COUNTRY.fullmatch(each) for each in value):
            raise ValueError("must be ISO 3166 codes of two capitals, like NL")
        return value

    @field_validator("blocked_prefixes")
    @classmethod
    def _prefixes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_PREFIX.fullmatch(each) for each in value):
            raise ValueError("must begin with + and a country's code, like +4470")
        return value

    @field_validator("prices")
    @classmethod
    def _priced(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            priced(each)
        return value


class MailBudgetSettings(Section):
    """What leaves by mail."""

    messages_per_hour: int = Field(default=0, ge=0, le=10_000_000)
    """Messages of everybody together, notices too; 0 for any number."""
    messages_per_day: int = Field(default=0, ge=0, le=10_000_000)
    """The same for 24 hours."""
    kept_percent: int = Field(default=25, ge=0, le=45)
    """As for other channels."""
    spike_times: float = Field(default=5, ge=1.5, le=1000)
    """As for other channels."""
    spike_least: int = Field(default=300, ge=1, le=1_000_000)
    """Fewer messages in ten minutes never raise the alarm."""


class BudgetsSettings(Section):
    """What messages may cost, and where they may go, by channel."""

    sms: ChannelBudgetSettings = ChannelBudgetSettings()
    """Text messages."""
    voice: ChannelBudgetSettings = ChannelBudgetSettings()
    """Calls."""
    email: MailBudgetSettings = MailBudgetSettings()
    """Mail."""


def priced(entry: str) -> tuple[str, Decimal]:
    """Read one entry of `prices`.

    Raises:
        ValueError: It is not a prefix and an amount.
    """
    prefix, _, amount = entry.partition(" ")
    try:
        price = Decimal(amount.strip())
    except InvalidOperation as error:
        raise ValueError("must be a prefix and a price, like +31 0.085") from error
    if not _PREFIX.fullmatch(prefix) or not price.is_finite() or price < 0:
        raise ValueError("must be a prefix and a price, like +31 0.085")
    return prefix, price
