"""The one contract of every channel between gateway and agents.

A channel is not trusted: it may lose, repeat, delay and show what it carries. Several agents of one
directory share its orders; each is given to one of them, and to another when no answer follows.
"""

import datetime as dt
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

REDELIVERY = dt.timedelta(seconds=3)
"""An order without an answer for so long is given to another agent."""
BEAT_LIFE = dt.timedelta(seconds=90)
"""An agent that was silent for so long is not connected."""


class ChannelDown(Exception):
    """The channel did not answer; what was sent may have arrived."""


class NotSent(ChannelDown):
    """The channel refused what was to be sent: it is full, or its user may not. It has not arrived."""


class NotAccepted(Exception):
    """The gateway does not know this agent any more, or its clock is wrong; `why` is an identifier."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Withdrawal(enum.Enum):
    """What became of an order that its gateway no longer waits for."""

    WITHDRAWN = "withdrawn"
    """Nobody began it, and nobody will."""
    BEGUN = "begun"
    """Somebody did; the outcome is open."""
    UNSURE = "unsure"
    """The channel forgot the order, or may have forgotten that somebody began it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One order as it arrived."""

    id: str
    """The channel's own number for it."""
    body: bytes = field(repr=False)
    run: str = ""
    """In which life of the channel's server it was sent."""


@dataclass(frozen=True, slots=True)
class ReceivedBeat:
    """An agent's newest heartbeat."""

    body: bytes
    age: dt.timedelta
    """Since it arrived, by the channel's clock alone."""


class AgentEnd(Protocol):
    """The agent's end. Blocking; may be shared between threads. Everything raises `ChannelDown`."""

    def receive(self, wait: dt.timedelta) -> Delivery | None:
        """Return the next order, or None when there was none for so long."""

    def claim(self, delivery: Delivery, order_id: str) -> bool:
        """Tell whether this call is the first to begin the order.

        False also where it was withdrawn, and where the channel's server was started anew since it was
        sent: it may then have forgotten that somebody began or withdrew it.
        """

    def answer(self, delivery: Delivery, order_id: str, body: bytes) -> None:
        """Send the answer; the order is given to nobody else."""

    def drop(self, delivery: Delivery) -> None:
        """Forget a delivery that deserves no answer."""

    def beat(self, body: bytes) -> None:
        """Send a heartbeat."""

    def close(self) -> None:
        """Close connections."""


class GatewayEnd(Protocol):
    """The gateway's end, of one directory. Blocking; shared between threads. Raises `ChannelDown`."""

    def send(self, order_id: str, body: bytes) -> str:
        """Send an order; return the channel's number for it. `NotSent` where it surely did not arrive."""

    def answer(self, order_id: str, wait: dt.timedelta) -> bytes | None:
        """Wait for the next answer to an order."""

    def withdraw(self, order_id: str, delivery: str) -> Withdrawal:
        """Stop an order that nobody began."""

    def forget(self, order_id: str, delivery: str) -> None:
        """Remove everything of an order from the channel."""

    def beats(self, agents: Iterable[str]) -> Mapping[str, ReceivedBeat]:
        """Return the newest heartbeats of these agents; silent ones are left out."""
