"""What an agent remembers of its orders, on its own disk: so that nothing is done twice, nor too often.

The replay list must survive a crash: what was begun, and what must never be, is on disk before the next
step. The rest may be lost with the power: an order that was only seen was not begun, and one whose answer is
gone is read back. No password is ever in it; the answers are sealed to keys that only a gateway's memory
holds.
"""

import contextlib
import datetime as dt
import enum
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from idp_plugin.writeback.order import Order, new_id

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    writes INTEGER NOT NULL,
    begun_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT '',
    why TEXT NOT NULL DEFAULT '',
    answer BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_begun_at ON orders (begun_at);
CREATE INDEX IF NOT EXISTS orders_written ON orders (begun_at) WHERE writes AND state <> 'taken';
CREATE INDEX IF NOT EXISTS orders_written_of ON orders (subject, begun_at) WHERE writes AND state <> 'taken';
"""
_INSERT = "INSERT INTO orders (id, subject, writes, begun_at, state) VALUES (?, ?, ?, ?, ?)"
_KEPT = dt.timedelta(days=1)
"""Longer than any order lives: limits count a day."""


class State(enum.StrEnum):
    """How far an order came here."""

    TAKEN = "taken"
    """Seen; nothing was sent to the directory."""
    BEGUN = "begun"
    """The directory may have been asked."""
    ANSWERED = "answered"
    VOID = "void"
    """Its gateway asked what became of it before it came: it is never begun."""
    COMPARED = "compared"
    """No order, but a bind that found out what became of one."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """One order as the record has it."""

    state: State
    answer: bytes = field(repr=False)
    """Empty until there is one."""
    outcome: str = ""
    """What the answer says, for whoever asks later with another key; empty until there is one."""
    why: tuple[str, ...] = ()


class Record:
    """One file. Thread-safe; one process at a time (`state.only_one`)."""

    def __init__(self, file: Path) -> None:
        """Open or make the file, for its owner only."""
        file.touch(mode=0o600)
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        self._connection.executescript(f"PRAGMA journal_mode=WAL; {_SCHEMA}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def take(self, order: Order, now: dt.datetime, state: State = State.TAKEN) -> Remembered | None:
        """Note an order; return what was known of it, None where it is new."""
        with self._changing(is_lasting=False) as connection:
            known = self._known(order.id)
            if known is None:
                connection.execute(
                    _INSERT,
                    (order.id, _account(order.subject), order.kind.writes, _seconds(now), state.value),
                )
            return known

    def void(self, order_id: str, subject: str, now: dt.datetime) -> Remembered | None:
        """Let an order that did not come yet never be begun; return what was known of it."""
        with self._changing() as connection:
            known = self._known(order_id)
            if known is None:
                connection.execute(
                    _INSERT,
                    (order_id, _account(subject), False, _seconds(now), State.VOID.value),
                )
            return known

    def known(self, order_id: str) -> Remembered | None:
        """Return what is known of an order."""
        with self._lock:
            return self._known(order_id)

    def begin(self, order_id: str) -> None:
        """Note that the directory is asked next."""
        with self._changing() as connection:
            connection.execute("UPDATE orders SET state = ? WHERE id = ?", (State.BEGUN.value, order_id))

    def finish(self, order_id: str, answer: bytes, outcome: str, why: tuple[str, ...]) -> None:
        """Keep the answer, so that a repeated order gets the same one."""
        with self._changing(is_lasting=False) as connection:
            connection.execute(
                "UPDATE orders SET state = ?, answer = ?, outcome = ?, why = ? WHERE id = ?",
                (State.ANSWERED.value, answer, outcome, " ".join(why), order_id),
            )

    def forget(self, now: dt.datetime) -> None:
        """Drop what is older than every limit."""
        with self._changing() as connection:
            connection.execute("DELETE FROM orders WHERE begun_at < ?", (_seconds(now - _KEPT),))

    def writes_since(self, since: dt.datetime, subject: str | None = None) -> int:
        """Count orders that were allowed to write, of everybody or of one account."""
        # The state stands in the text, so that the indexes above are used: a day has thousands of orders.
        query = "SELECT count(*) FROM orders WHERE writes AND state <> 'taken' AND begun_at >= ?"
        values: list[object] = [_seconds(since)]
        if subject is not None:
            query += " AND subject = ?"
            values.append(_account(subject))
        return self._count(query, values)

    def compare(self, subject: str, now: dt.datetime) -> None:
        """Note that a bind is about to find out about an account."""
        with self._changing() as connection:
            connection.execute(
                _INSERT, (new_id(), _account(subject), False, _seconds(now), State.COMPARED.value)
            )

    def comparisons_since(self, since: dt.datetime, subject: str) -> int:
        """Count the binds that found out about an account."""
        query = "SELECT count(*) FROM orders WHERE state = ? AND begun_at >= ? AND subject = ?"
        return self._count(query, [State.COMPARED.value, _seconds(since), _account(subject)])

    def _count(self, query: str, values: Sequence[object]) -> int:
        with self._lock:
            return int(self._connection.execute(query, values).fetchone()[0])

    def _known(self, order_id: str) -> Remembered | None:
        found = self._connection.execute(
            "SELECT state, answer, outcome, why FROM orders WHERE id = ?", (order_id,)
        ).fetchone()
        if found is None:
            return None
        state, answer, outcome, why = found
        return Remembered(State(state), answer or b"", outcome, tuple(why.split()))

    @contextlib.contextmanager
    def _changing(self, *, is_lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """Change the file; what lasts is on the disk afterwards, with everything before it."""
        with self._lock:
            # Security: FULL, so that a power cut forgets no order that was begun; it waits for the disk.
            self._connection.execute(f"PRAGMA synchronous={'FULL' if is_lasting else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _account(subject: str) -> str:
    # Security: directories compare ids without case; another spelling must not count as another account.
    return subject.lower()


def _seconds(moment: dt.datetime) -> int:
    return int(moment.timestamp())
