"""Audit events of faults: what happened while the store did not answer is written once it does."""

import collections
import datetime as dt
import logging
import threading
import time
from dataclasses import dataclass

from store.audit import AuditAction
from store.database import Database
from store.errors import StoreUnavailable

_MOST_WAITING = 10_000
_PAUSE_SECONDS = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """One sign-in that got the stated answer for faults."""

    action: AuditAction
    at: dt.datetime
    reference: str
    client_id: str


class FaultAudit:
    """Keeps faults in memory until the database takes them; the oldest go first when there are too many."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: collections.deque[Fault] = collections.deque(maxlen=_MOST_WAITING)
        self._failed_at = float("-inf")

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def record(self, fault: Fault) -> None:
        """Log a fault, and write it as soon as the database takes it."""
        _log.warning("sign-in answered by the policy for faults: %s %s", fault.action.value, fault.reference)
        self._waiting.append(fault)
        # A database that just did not answer is not waited for at every fault.
        if time.monotonic() - self._failed_at > _PAUSE_SECONDS:
            self.write()

    def write(self) -> None:
        """Write what waits; nothing is lost when the database still does not answer."""
        with self._lock:
            faults = tuple(self._waiting)
            try:
                self._store(faults)
            except StoreUnavailable:
                self._failed_at = time.monotonic()
                return
            for _ in faults:
                self._waiting.popleft()

    def _store(self, faults: tuple[Fault, ...]) -> None:
        with self._database.transaction() as transaction:
            for fault in faults:
                transaction.audit.record(
                    fault.action,
                    now=fault.at,
                    reference=fault.reference,
                    detail={"client": fault.client_id},
                )
