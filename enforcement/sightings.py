"""When people were last let go: written beside the sign-in, which never waits for it."""

import datetime as dt
import logging
import threading

from store.database import Database
from store.errors import StoreError

FRESH = dt.timedelta(days=1)
"""Who was seen so lately is not written down again."""
_log = logging.getLogger(__name__)


class Sightings:
    """Writes in a thread of its own, together what came meanwhile; what cannot be written is forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: dict[str, dt.datetime] = {}
        self._writer: threading.Thread | None = None

    def note(self, person_id: str, *, now: dt.datetime) -> None:
        """Have it written that somebody was let go; returns at once."""
        with self._lock:
            self._waiting[person_id] = now
            # One that ended by a failure of ours must not be the last.
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._write, name="sightings", daemon=True)
                self._writer.start()

    def wait(self) -> None:
        """Wait until everything noted so far is written or given up."""
        if writer := self._writer:
            writer.join()

    def _write(self) -> None:
        while moments := self._next():
            try:
                with self._database.transaction() as transaction:
                    transaction.people.seen(moments)
            except StoreError:
                _log.exception("not written when %s people were seen", len(moments))

    def _next(self) -> dict[str, dt.datetime]:
        with self._lock:
            moments, self._waiting = self._waiting, {}
            if not moments:
                self._writer = None
            return moments
