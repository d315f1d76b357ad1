"""What an agent lets through, whatever its gateway asks for: the agent is a boundary, not a pipe."""

import datetime as dt
import threading
from collections.abc import Callable
from pathlib import Path

from idp_plugin.writeback.order import SKEW, Order
from idp_plugin.writeback.record import Record
from idp_plugin.writeback.settings import WriteLimits

_MINUTE = dt.timedelta(minutes=1)
_DAY = dt.timedelta(days=1)


class Boundary:
    """This agent's own limits, clock and kill switch. Which people it writes to is `AgentDirectory`'s."""

    def __init__(
        self,
        *,
        target: str,
        limits: WriteLimits,
        record: Record,
        stop_file: Path,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Take the parts.

        Args:
            target: The directory's name; orders for another one are refused.
            stop_file: While it exists nothing is done.
        """
        self._target = target
        self._limits = limits
        self._record = record
        self._stop_file = stop_file
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def is_stopped(self) -> bool:
        """Whether the kill switch is on."""
        return self._stop_file.exists()

    def admit(self, order: Order) -> str:
        """Return why an order may not be done, empty where it may; a write counts from now on."""
        now = self._clock()
        why = self._why_not(order, now)
        if why or not order.kind.writes:
            return why
        # Counted and noted in one step, so that orders at the same moment cannot pass a limit together.
        with self._lock:
            if self._is_over(order, now):
                return "limit"
            self._record.begin(order.id)
        return ""

    def admit_comparison(self, subject: str) -> bool:
        """Tell whether one more bind may find out about this account; it counts from now on."""
        now = self._clock()
        with self._lock:
            if self._record.comparisons_since(now - _DAY, subject) >= self._limits.per_person_and_day:
                return False
            self._record.compare(subject, now)
        return True

    def _why_not(self, order: Order, now: dt.datetime) -> str:
        if self.is_stopped:
            return "stopped"
        if order.target != self._target:
            return "target"
        if order.issued_at > now + SKEW:
            return "clock"
        if order.expires_at + SKEW <= now:
            return "expired"
        return ""

    def _is_over(self, order: Order, now: dt.datetime) -> bool:
        count, limits = self._record.writes_since, self._limits
        return (
            count(now - _MINUTE) >= limits.per_minute
            or count(now - _DAY) >= limits.per_day
            or count(now - _DAY, order.subject) >= limits.per_person_and_day
        )
