"""The gate's look-up with many people in SQLite: CPU time of one prepared statement, facts included."""

import datetime as dt
import random
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from store.columns import to_microseconds
from store.database import Database
from store.vault import Vault

ISSUER = "https://sso.example.org/realms/staff"
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

_FILL = (
    # Ids come in another order than subjects, and both in their own order within their index.
    """
    WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :people)
    INSERT INTO people
    SELECT printf('%08x%024x', (n * 2654435761) & 4294967295, n), :source,
           printf('%08x-%04x-4%03x-8%03x-%012x', n * 429, n & 65535, n & 4095, n & 4095, n),
           0, :at, :at, NULL, NULL, NULL
      FROM numbers
    """,
    """
    INSERT INTO authenticators
    SELECT printf('%032x', 2 * p.rowid + k.number), p.id, k.kind, 1, randomblob(80), '', 'self',
           :at, :at, :at, NULL, NULL, 1
      FROM people p
      JOIN (SELECT 0 AS number, 'email' AS kind UNION ALL SELECT 1, 'totp') k ON k.number <= p.rowid % 2
    """,
    """
    INSERT INTO postponements SELECT id, printf('%032x', rowid), :at FROM people WHERE rowid % 20 = 0
    """,
)
"""One statement for each table: ten million people in minutes."""


@dataclass(frozen=True, slots=True)
class LookUpFigures:
    """CPU microseconds of one look-up."""

    people: int
    look_ups: int
    p50: float
    p99: float
    mean: float
    """Of the whole loop, so that nothing hides in the clock's own cost."""
    floor_p50: float
    """Of one person again and again: everything is in the processor's caches."""
    floor_p99: float
    """As `floor_p50`: what the machine itself makes of the slowest."""


def measure_look_up(
    people: int = 10_000_000, look_ups: int = 200_000, folder: Path | None = None
) -> LookUpFigures:
    """Fill a database and look up people at random, one in ten of them unknown.

    Args:
        people: Each with one or two authenticators, one in twenty with a postponement.
        look_ups: After a tenth as many that are not counted.
        folder: Where the database goes; a temporary folder without it.
    """
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(folder or temporary) / "gate.db"
        database = Database(f"sqlite:///{file}", Vault([secrets.token_bytes(32)]))
        try:
            database.upgrade()
            # Filling writes no journal, which wants the file for itself.
            database.dispose()
            fill(file, people)
            return _measured(database, people, look_ups)
        finally:
            database.dispose()


def fill(file: Path, people: int) -> None:
    """Write people straight into the tables; the secrets are random bytes, which the gate never opens."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000;"
    )
    connection.execute("BEGIN")
    given = {"people": people, "source": ISSUER, "at": to_microseconds(NOW)}
    for statement in _FILL:
        connection.execute(statement, given)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def subject(number: int) -> str:
    """Return a subject that looks like Keycloak's, as `_FILL` makes it."""
    return f"{number * 429:08x}-{number & 65535:04x}-4{number & 4095:03x}-8{number & 4095:03x}-{number:012x}"


def _measured(database: Database, people: int, look_ups: int) -> LookUpFigures:
    choose = random.Random(1)
    asked = [
        subject(choose.randrange(people)) if choose.random() < 0.9 else f"nobody-{choose.randrange(people)}"
        for _ in range(look_ups + look_ups // 10)
    ]
    for one in asked[: look_ups // 10]:
        database.gate_facts(ISSUER, one)
    before = time.process_time_ns()
    p50, p99 = _percentiles(database, asked[look_ups // 10 :])
    mean = (time.process_time_ns() - before) / 1000 / look_ups
    floor = _percentiles(database, [subject(0)] * (look_ups // 10))
    return LookUpFigures(people, look_ups, p50, p99, mean, *floor)


def _percentiles(database: Database, asked: Sequence[str]) -> tuple[float, float]:
    """Return the median and the 99th percentile of looking each of them up, in turn."""
    each = []
    for one in asked:
        start = time.thread_time_ns()
        database.gate_facts(ISSUER, one)
        each.append((time.thread_time_ns() - start) / 1000)
    cuts = statistics.quantiles(each, n=100)
    return cuts[49], cuts[98]


if __name__ == "__main__":
    print(measure_look_up())
